/*
 * Short TCP connections, opened at a rate: connect, ask, be answered, close.
 *
 *	shortconn server ADDR PORT NPORTS
 *	shortconn client ADDR PORT NPORTS RATE COUNT SOURCE NSOURCES
 *
 * Ports and source addresses are counted up from the first; no connection
 * has the tuple of another one. The client closes first. It prints its
 * report for each line of standard input, and at the end.
 */
#include <sys/epoll.h>

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

#define PORT_FIRST 10000
#define PORTS      50000
#define FDS_MAX    65536
#define EVENTS     256
#define ASK        64 /* bytes */
#define ANSWER     512
#define TICK_US    1000
#define GIVE_UP_US 10000000 /* after the last was opened */

enum { ST_NONE, ST_CONNECTING, ST_ASKED, ST_LISTEN, ST_SERVE, ST_ANSWERED };

static struct sockaddr_in peer, source;
static uint64_t nports, nsources;
static uint8_t state[FDS_MAX];
static uint64_t opened, good, bad, under_way;
static int epfd;

static void
watch(int fd, uint8_t st, uint32_t events)
{
	if (fd >= FDS_MAX)
		errx(1, "too many connections at a time");
	state[fd] = st;
	tool_watch(epfd, fd, (uint64_t)fd, events);
}

static void
end(int fd)
{
	state[fd] = ST_NONE;
	close(fd);
}

static void
serve(int fd)
{
	static const char answer[ANSWER];
	char buf[ASK * 2];
	ssize_t n;

	if (state[fd] == ST_LISTEN) {
		while ((n = accept4(fd, NULL, NULL,
			    SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1)
			watch((int)n, ST_SERVE, EPOLLIN);
		return;
	}
	n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n == -1 && errno == EAGAIN)
		return;
	if (n > 0 && state[fd] == ST_SERVE) {
		state[fd] = ST_ANSWERED;
		if (send(fd, answer, sizeof(answer), MSG_NOSIGNAL) ==
		    sizeof(answer))
			return;
	}
	end(fd);
}

static void
server(void)
{
	struct epoll_event ev[EVENTS];
	struct sockaddr_in a = peer;
	int fd, on = 1;
	uint64_t i;

	for (i = 0; i < nports; i++) {
		a.sin_port = htons((uint16_t)(ntohs(peer.sin_port) + i));
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (fd == -1 ||
		    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
		    bind(fd, (struct sockaddr *)&a, sizeof(a)) == -1 ||
		    listen(fd, 4096) == -1)
			err(1, "listen");
		watch(fd, ST_LISTEN, EPOLLIN);
	}
	tool_watch(epfd, STDIN_FILENO, STDIN_FILENO, EPOLLIN);
	printf("{\"listening\": true}\n");
	for (;;) {
		int n = epoll_wait(epfd, ev, EVENTS, -1);

		for (int k = 0; k < n; k++) {
			if (ev[k].data.u64 == STDIN_FILENO)
				exit(0);
			serve((int)ev[k].data.u64);
		}
	}
}

static void
open_one(uint64_t i)
{
	struct sockaddr_in from = source, to = peer;
	int fd, on = 1;

	from.sin_port = htons((uint16_t)(PORT_FIRST + i % PORTS));
	from.sin_addr.s_addr =
	    htonl(ntohl(source.sin_addr.s_addr) + (uint32_t)(i % nsources));
	to.sin_port =
	    htons((uint16_t)(ntohs(peer.sin_port) + i / PORTS % nports));
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (fd == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    bind(fd, (struct sockaddr *)&from, sizeof(from)) == -1)
		err(1, "source %s", inet_ntoa(from.sin_addr));
	opened++;
	under_way++;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == -1 &&
	    errno != EINPROGRESS)
		err(1, "connect");
	watch(fd, ST_CONNECTING, EPOLLIN | EPOLLOUT);
}

static void
finish(int fd, bool ok)
{
	end(fd);
	under_way--;
	if (ok)
		good++;
	else
		bad++;
}

static void
client_event(int fd)
{
	static const char ask[ASK];
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = (uint64_t)fd};
	char buf[ANSWER * 2];
	ssize_t n;

	if (state[fd] == ST_CONNECTING) {
		if (send(fd, ask, sizeof(ask), MSG_NOSIGNAL) != sizeof(ask)) {
			finish(fd, false);
			return;
		}
		state[fd] = ST_ASKED;
		epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &ev);
		return;
	}
	n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n == -1 && errno == EAGAIN)
		return;
	finish(fd, n == ANSWER);
}

static void
report(const char *line)
{
	(void)line;
	printf("{\"opened\": %llu, \"good\": %llu, \"bad\": %llu, "
	       "\"silent\": %llu}\n",
	    (unsigned long long)opened, (unsigned long long)good,
	    (unsigned long long)bad, (unsigned long long)under_way);
}

static void
client(uint64_t rate, uint64_t count)
{
	uint64_t start = tool_now_us(), due, ticks, last = start;
	int tfd = tool_timer(TICK_US);
	struct epoll_event ev[EVENTS];
	struct tool_line line = {0};

	tool_watch(epfd, tfd, (uint64_t)tfd, EPOLLIN);
	tool_watch(epfd, STDIN_FILENO, STDIN_FILENO, EPOLLIN);
	while (opened < count || under_way > 0) {
		int n = epoll_wait(epfd, ev, EVENTS, 100);

		for (int k = 0; k < n; k++) {
			if (ev[k].data.u64 == STDIN_FILENO) {
				if (tool_control(&line, report) == -1)
					exit(1);
				continue;
			}
			if ((int)ev[k].data.u64 != tfd) {
				client_event((int)ev[k].data.u64);
				continue;
			}
			if (read(tfd, &ticks, sizeof(ticks)) == -1)
				continue;
			due = (tool_now_us() - start) * rate / 1000000;
			while (opened < count && opened < due)
				open_one(opened);
			if (opened < count)
				last = tool_now_us();
		}
		if (opened == count && tool_now_us() - last > GIVE_UP_US)
			break;
	}
	report(NULL);
}

static void
parse(const char *s, struct sockaddr_in *a)
{
	a->sin_family = AF_INET;
	if (inet_pton(AF_INET, s, &a->sin_addr) != 1)
		errx(2, "%s: not an IPv4 address", s);
}

int
main(int argc, char **argv)
{
	if (argc != 5 && argc != 9)
		errx(2, "usage: shortconn server|client ADDR PORT NPORTS ...");
	setvbuf(stdout, NULL, _IOLBF, 0);
	tool_nofile();
	if ((epfd = epoll_create1(EPOLL_CLOEXEC)) == -1)
		err(1, "epoll_create1");
	parse(argv[2], &peer);
	peer.sin_port = htons((uint16_t)tool_number("port", argv[3], 1, 65535));
	nports = tool_number("ports", argv[4], 1, 10000);
	if (strcmp(argv[1], "server") == 0 && argc == 5)
		server();
	if (strcmp(argv[1], "client") != 0 || argc != 9)
		errx(2, "unknown word \"%s\"", argv[1]);
	parse(argv[7], &source);
	nsources = tool_number("sources", argv[8], 1, 250);
	client(tool_number("rate", argv[5], 1, 100000),
	    tool_number("count", argv[6], 1, PORTS * nports));
	return bad == 0 && under_way == 0 ? 0 : 1;
}
