/* natd's sandbox, tried from inside: the profile of its main file. */
#define main natd_main
int natd_main(int, char **);
#include "natd/natd.c"
#undef main

#define PROFILE natd_sandbox
static const char *const own_calls[] = {"sysinfo"};

#include "test_sandbox.h"

/* It has one socket, to the parent: it sends to nobody. */
static long
send_anywhere(long arg)
{
	(void)arg;
	return sendto(sock_unix, "x", 1, 0, NULL, 0);
}

static void
own(void **state)
{
	(void)state;
	assert_true(died(inside(send_anywhere, 0)));
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
