/*
 * For tests that need a kernel: a network namespace of the test's own, other
 * hosts as further namespaces, and the output of independent tools.
 */
#ifndef TEST_KERNEL_H
#define TEST_KERNEL_H

#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define TK_OUT_MAX 65536
#define TK_CMD_MAX 1024

struct tk_host {
	pid_t pid; /* keeps the namespace */
	int fd; /* of the namespace */
};

static bool tk_here; /* in a namespace of our own */

/* Group setup: never fails, so that the tests can say why they skip. */
static inline int
tk_setup(void **state)
{
	(void)state;
	if (geteuid() == 0 && unshare(CLONE_NEWNET) == 0)
		tk_here = system("ip link set lo up") == 0;
	if (!tk_here)
		print_message("needs root and network namespaces: skipped\n");
	return 0;
}

#define TK_NEED()               \
	do {                    \
		if (!tk_here)   \
			skip(); \
	} while (0)

static inline void
tk_msleep(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&ts, NULL);
}

/* What the command prints; a static buffer. */
static inline const char *
tk_out(const char *fmt, ...)
{
	static char out[TK_OUT_MAX];
	char cmd[TK_CMD_MAX];
	va_list ap;
	size_t n;
	FILE *f;

	va_start(ap, fmt);
	(void)vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	f = popen(cmd, "r");
	assert_non_null(f);
	n = fread(out, 1, sizeof(out) - 1, f);
	out[n] = '\0';
	(void)pclose(f);
	return out;
}

static inline void
tk_run(const char *fmt, ...)
{
	char cmd[TK_CMD_MAX];
	va_list ap;
	int rc;

	va_start(ap, fmt);
	(void)vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	rc = system(cmd);
	if (rc != 0)
		print_message("failed: %s\n", cmd);
	assert_int_equal(rc, 0);
}

static inline struct tk_host
tk_host(void)
{
	struct tk_host h;
	char path[64], c;
	int p[2];

	assert_int_equal(pipe(p), 0);
	h.pid = fork();
	if (h.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) == -1 ||
		    system("ip link set lo up") != 0 || write(p[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(p[1]);
	assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)h.pid);
	h.fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(h.fd != -1);
	return h;
}

static inline void
tk_host_end(struct tk_host *h)
{
	close(h->fd);
	kill(h->pid, SIGKILL);
	(void)waitpid(h->pid, NULL, 0);
}

/* Sockets made between enter and leave belong to that host. */
static inline int
tk_enter(const struct tk_host *h)
{
	int back = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_true(back != -1);
	assert_int_equal(setns(h->fd, CLONE_NEWNET), 0);
	return back;
}

static inline void
tk_leave(int back)
{
	assert_int_equal(setns(back, CLONE_NEWNET), 0);
	close(back);
}

/* A cable: `here` in this namespace, eth0 at the host. */
static inline void
tk_cable(const struct tk_host *h, const char *here, const char *addr_here,
    const char *addr_there)
{
	tk_run("ip link add %s type veth peer name eth0 netns %d", here,
	    (int)h->pid);
	tk_run("ip addr add %s dev %s", addr_here, here);
	tk_run("ip link set %s up", here);
	tk_run("nsenter -t %d -n ip addr add %s dev eth0", (int)h->pid,
	    addr_there);
	tk_run("nsenter -t %d -n ip link set eth0 up", (int)h->pid);
}

#define tk_has(text, what)                                                     \
	do {                                                                   \
		const char *tk_text = (text);                                  \
		if (strstr(tk_text, (what)) == NULL)                           \
			print_message("no \"%s\" in:\n%s\n", (what), tk_text); \
		assert_non_null(strstr(tk_text, (what)));                      \
	} while (0)

#define tk_has_not(text, what)                                              \
	do {                                                                \
		const char *tk_text = (text);                               \
		if (strstr(tk_text, (what)) != NULL)                        \
			print_message("\"%s\" in:\n%s\n", (what), tk_text); \
		assert_null(strstr(tk_text, (what)));                       \
	} while (0)

#endif
