/*
 * Take what comes to the discard port (9) of an address, and forget it.
 *
 *	sink ADDRESS
 */
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
	int fd;

	if (argc != 2)
		errx(2, "usage: sink ADDRESS");
	fd = open_port(argv[1]);
	tool_listen(fd, take, command);
	return 0;
}
