/* The parent's own filter: what it does not name is refused, not fatal. */
#include <sys/syscall.h>
#include <sys/wait.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

#include "parentd/daemon.h"

#define EXIT_WORKED 10

/* Harmless with zeros for arguments, and without privilege. */
static const struct {
	const char *name;
	long nr;
	int err; /* 0: it works */
} calls[] = {
    {"getuid", SYS_getuid, 0},
    {"getppid", SYS_getppid, 0},
    {"sched_yield", SYS_sched_yield, EPERM},
    {"umask", SYS_umask, EPERM},
    {"getpriority", SYS_getpriority, EPERM},
    {"personality", SYS_personality, EPERM},
};

/* Made by a process of its own: what it got, or its wait status if killed. */
static int
call(long nr, bool confined)
{
	pid_t pid = fork();
	int status;

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		if (confined)
			confine();
		errno = 0;
		_exit(syscall(nr, 0, 0, 0) == -1 ? errno : EXIT_WORKED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -status;
}

static void
test_calls(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		int got = call(calls[i].nr, true);
		int want = calls[i].err == 0 ? EXIT_WORKED : calls[i].err;

		/* that it is the filter's doing */
		assert_int_equal(call(calls[i].nr, false), EXIT_WORKED);
		if (got != want)
			fail_msg("%s: %d, not %d", calls[i].name, got, want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
