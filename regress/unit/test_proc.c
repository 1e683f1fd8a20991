/* What a child cannot do without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
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

/* No sandbox: it would need root. */
void
sandbox_prepare(const struct sandbox_profile *profile, int keepfd)
{
	(void)profile;
	(void)keepfd;
}

unsigned int
sandbox_enter(const struct sandbox_profile *profile, const char *emptydir)
{
	(void)profile;
	(void)emptydir;
	return 0;
}

static void
say_goodbye(void)
{
	proc_send(IMSG_CT_DUMP, 0, NULL, 0);
}

static void
run_child(int fd)
{
	static const struct sandbox_profile profile = {.id = PROC_SYNC};
	static const struct proc_ops ops = {.shutdown = say_goodbye};
	char name[] = "child", dir[] = "/";
	char *argv[] = {name, dir, NULL};

	if (fd != PROC_FD) {
		dup2(fd, PROC_FD);
		close(fd);
	}
	proc_init(&profile, 2, argv);
	proc_run(&ops);
}

/* What it still has to say, a batch for the kernel perhaps, nobody hears. */
static void
ends_without_its_parent(void **state)
{
	char packet[IMSG_PACKET_MAX];
	int fds[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	if ((pid = fork()) == 0) {
		int fd = fcntl(fds[1], F_DUPFD, PROC_FD + 1);

		close(fds[0]);
		close(fds[1]);
		run_child(fd);
	}
	assert_int_not_equal(pid, -1);
	close(fds[1]);
	/* HELLO and READY: from then on it runs */
	assert_true(recv(fds[0], packet, sizeof(packet), 0) > 0);
	assert_true(recv(fds[0], packet, sizeof(packet), 0) > 0);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_memory_to_watch_ends_it),
	    cmocka_unit_test(ends_without_its_parent),
	};

	event_set_mem_functions(take, take_again, free);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
