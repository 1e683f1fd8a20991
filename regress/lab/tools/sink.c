/*
 * Take what comes to the discard port (9) of an address, and forget it.
 *
 *	sink ADDRESS
 */
#include <sys/epoll.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tool.h"

#define BATCH 32
#define SIZE  2048

static unsigned long long taken;

static void
command(const char *line)
{
	(void)line;
	printf("{\"taken\": %llu}\n", taken);
}

static int
open_port(const char *address)
{
	struct sockaddr_storage ss;
	socklen_t len = tool_addr(address, "9", &ss);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd == -1 || bind(fd, (struct sockaddr *)&ss, len) == -1)
		err(1, "%s", address);
	return fd;
}

static void
take(int fd)
{
	static char bufs[BATCH][SIZE];
	struct mmsghdr msgs[BATCH] = {0};
	struct iovec iov[BATCH];
	int n;

	for (size_t i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){bufs[i], SIZE};
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	if ((n = recvmmsg(fd, msgs, BATCH, MSG_DONTWAIT, NULL)) > 0)
		taken += (unsigned int)n;
}

int
main(int argc, char **argv)
{
	static struct tool_line tl;
	struct epoll_event ev;
	int epfd, fd;

	if (argc != 2)
		errx(2, "usage: sink ADDRESS");
	setvbuf(stdout, NULL, _IOLBF, 0);
	fd = open_port(argv[1]);
	if ((epfd = epoll_create1(EPOLL_CLOEXEC)) == -1)
		err(1, "epoll_create1");
	tool_watch(epfd, STDIN_FILENO, 0, EPOLLIN);
	tool_watch(epfd, fd, 1, EPOLLIN);
	printf("{\"listening\": true}\n");
	for (;;) {
		if (epoll_wait(epfd, &ev, 1, -1) != 1)
			continue;
		if (ev.data.u64 == 1)
			take(fd);
		else if (tool_control(&tl, command) == -1)
			return 0;
	}
}
