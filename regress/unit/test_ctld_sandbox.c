/* ctld's sandbox, tried from inside: the profile of its main file. */
#define main ctld_main
int ctld_main(int, char **);
#include "ctl/ctld.c"
#undef main

#define PROFILE profile
static const char *const own_calls[] = {NULL};

#include "test_sandbox.h"

/* Connections it takes, and asks who made them; never makes one. */
static void
own(void **state)
{
	(void)state;
	assert_int_equal(inside(try_accept, SOCK_NONBLOCK | SOCK_CLOEXEC),
	    EXIT_DENIED << 8); /* not a listening socket */
	assert_int_equal(inside(try_getsockopt, SO_PEERCRED), EXIT_DONE << 8);
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
