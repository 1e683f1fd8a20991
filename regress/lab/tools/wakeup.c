/*
 * How long it takes one process to wake another: through a socket pair, once
 * a millisecond, at hagw's nice value. A flow's way has one such step more
 * with hagw, whose parent alone may change the kernel, than with one program
 * that does it all.
 *
 *	wakeup count
 *
 * Prints the median and what one in a hundred exceeds, in microseconds.
 */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tool.h"

#define PAUSE_US 1000
#define NICE     (-10)

static int
by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The one that is woken, until the other is done. */
static void
listen_to(int fd, uint64_t count)
{
	uint64_t *waits = calloc(count, sizeof(*waits)), sent, n = 0;

	if (waits == NULL)
		err(1, "calloc");
	while (n < count && read(fd, &sent, sizeof(sent)) == sizeof(sent))
		waits[n++] = tool_now_us() - sent;
	if (n == 0)
		errx(1, "nothing was heard");
	qsort(waits, n, sizeof(*waits), by_value);
	printf("{\"p50_us\": %llu, \"p99_us\": %llu}\n",
	    (unsigned long long)waits[n / 2],
	    (unsigned long long)waits[n * 99 / 100]);
	free(waits);
}

static void
wake(int fd, uint64_t count)
{
	uint64_t now;

	for (uint64_t i = 0; i < count; i++) {
		usleep(PAUSE_US);
		now = tool_now_us();
		if (write(fd, &now, sizeof(now)) != sizeof(now))
			err(1, "write");
	}
}

int
main(int argc, char **argv)
{
	uint64_t count;
	int fds[2], status;
	pid_t pid;

	if (argc != 2)
		errx(2, "usage: wakeup count");
	count = tool_number("count", argv[1], 1, 1000000);
	if (setpriority(PRIO_PROCESS, 0, NICE) == -1)
		warn("setpriority");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) == -1)
		err(1, "socketpair");
	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0) {
		close(fds[0]);
		listen_to(fds[1], count);
		return 0;
	}
	close(fds[1]);
	wake(fds[0], count);
	close(fds[0]);
	if (waitpid(pid, &status, 0) == -1 || status != 0)
		errx(1, "the other one failed");
	return 0;
}
