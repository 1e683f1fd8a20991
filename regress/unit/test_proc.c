/* What a child cannot do without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc.h"

static bool exhausted;

static void *
take(size_t n)
{
	return exhausted ? NULL : malloc(n);
}

static void *
take_again(void *p, size_t n)
{
	return exhausted ? NULL : realloc(p, n);
}

static void
never(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* The exit status of one that watches a descriptor its loop knows not yet. */
static int
watch(bool without_memory)
{
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	if ((pid = fork()) == 0) {
		struct event_base *base = event_base_new();
		struct event *ev =
		    event_new(base, fds[0], EV_READ, never, NULL);

		exhausted = without_memory;
		proc_watch(ev, NULL);
		_exit(0);
	}
	assert_int_not_equal(pid, -1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fds[0]);
	close(fds[1]);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* It would wait for ever; one that ends is started again. */
static void
no_memory_to_watch_ends_it(void **state)
{
	(void)state;
	assert_int_equal(watch(false), 0);
	assert_int_equal(watch(true), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_memory_to_watch_ends_it),
	};

	event_set_mem_functions(take, take_again, free);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
