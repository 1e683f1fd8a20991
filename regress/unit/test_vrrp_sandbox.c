/* vrrpd's sandbox, tried from inside: the profile of its main file. */
#define main vrrpd_main
int vrrpd_main(int, char **);
#include "vrrpd/vrrpd.c"
#undef main

#define PROFILE vrrpd_sandbox
static const char *const own_calls[] = {"sendto"};

#include "test_sandbox.h"

/* To where the socket is connected, nowhere else. */
static long
send_connected(long arg)
{
	(void)arg;
	return sendto(sock_unix, "x", 1, 0, NULL, 0);
}

static void
own(void **state)
{
	(void)state;
	assert_int_equal(inside(send_connected, 0), EXIT_DONE << 8);
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
