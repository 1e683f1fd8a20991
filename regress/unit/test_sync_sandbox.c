/* syncd's sandbox, tried from inside: the profile of its main file. */
#define main syncd_main
int syncd_main(int, char **);
#include "syncd/syncd.c"
#undef main

#define PROFILE syncd_sandbox
static const char *const own_calls[] = {"recvmmsg", "recvfrom"};

#include "test_sandbox.h"

/* Who sent it is not asked: the sockets are connected. */
static long
receive(long with_address)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char c;

	if (with_address)
		return recvfrom(sock_udp, &c, 1, MSG_DONTWAIT,
		    (struct sockaddr *)&from, &len);
	return recvfrom(sock_udp, &c, 1, MSG_DONTWAIT, NULL, NULL);
}

static void
own(void **state)
{
	(void)state;
	assert_int_equal(inside(receive, 0), EXIT_DENIED << 8); /* EAGAIN */
	assert_true(died(inside(receive, 1)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    COMMON_TESTS,
	    cmocka_unit_test(own),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
