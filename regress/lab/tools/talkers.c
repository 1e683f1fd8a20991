/*
 * Many TCP flows on which the server talks. Byte k of each stream is byte
 * k % 8 of the big-endian number k / 8, so that the client can verify every
 * byte. The server adds some bytes to each flow per tick. A gateway that
 * lost a flow's state is found out by what the server sends.
 *
 *	talkers server ADDR PORT [interval_us [bytes]]
 *	talkers client ADDR PORT FLOWS
 *
 * Client, on stdin: "report", or "mark" (report, then start a new window
 * for the longest gap).
 */
#include <sys/epoll.h>

#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

#define TALK_MAX      65536
#define FLOWS_MAX     20000
#define SILENT_US     5000000 /* a flow that says nothing for so long is lost */
#define CONNECT_US    10000000
#define COOKIE_STDIN  UINT64_MAX
#define COOKIE_TIMER  (UINT64_MAX - 1)
#define COOKIE_LISTEN (UINT64_MAX - 2)

enum state { ST_NONE, ST_CONNECTING, ST_OPEN, ST_RESET, ST_CLOSED, ST_BAD };

struct flow {
	int fd;
	enum state state;
	uint64_t pos; /* bytes sent or verified */
	uint64_t due; /* server: bytes to have been sent */
	uint64_t last_us; /* client: when something last arrived */
	uint64_t gap_us; /* client: the longest silence in this window */
};

static struct flow flows[FLOWS_MAX];
static size_t nflows;
static int epfd;
static uint64_t talk_bytes = 8; /* server: per flow and tick */

static uint8_t
stream_byte(uint64_t pos)
{
	return (uint8_t)((pos / 8) >> (8 * (7 - pos % 8)));
}

static void
flow_end(struct flow *f, enum state why)
{
	close(f->fd);
	f->fd = -1;
	f->state = why;
}

static void
server_accept(int lfd)
{
	struct flow *f;
	int fd;

	while ((fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) !=
	    -1) {
		if (nflows == FLOWS_MAX)
			errx(1, "more than %d flows", FLOWS_MAX);
		f = &flows[nflows];
		f->fd = fd;
		f->state = ST_OPEN;
		tool_watch(epfd, fd, nflows++, EPOLLIN);
	}
}

static void
server_talk(struct flow *f)
{
	static uint8_t buf[TALK_MAX];
	size_t i, n;
	ssize_t sent;

	f->due += talk_bytes;
	n = f->due - f->pos;
	if (n > sizeof(buf))
		n = sizeof(buf);
	for (i = 0; i < n; i++)
		buf[i] = stream_byte(f->pos + i);
	sent = send(f->fd, buf, n, MSG_NOSIGNAL);
	if (sent > 0)
		f->pos += (uint64_t)sent;
	else if (errno != EAGAIN)
		flow_end(f, ST_RESET);
}

/* The client never talks: readable is its end. */
static void
server_readable(struct flow *f)
{
	char c;
	ssize_t n;

	if (f->state == ST_OPEN &&
	    (n = recv(f->fd, &c, 1, MSG_DONTWAIT)) != 1 &&
	    !(n == -1 && errno == EAGAIN))
		flow_end(f, n == 0 ? ST_CLOSED : ST_RESET);
}

static size_t
count(enum state st)
{
	size_t i, n = 0;

	for (i = 0; i < nflows; i++)
		if (flows[i].state == st)
			n++;
	return n;
}

static void
server_command(const char *line)
{
	if (strcmp(line, "report") != 0)
		errx(2, "unknown command \"%s\"", line);
	printf("{\"accepted\": %zu, \"open\": %zu, \"reset\": %zu, "
	       "\"closed\": %zu}\n",
	    nflows, count(ST_OPEN), count(ST_RESET), count(ST_CLOSED));
}

static void
server_event(uint64_t cookie, int lfd, int tfd)
{
	static struct tool_line tl;
	uint64_t ticks;
	size_t i;

	if (cookie == COOKIE_LISTEN)
		server_accept(lfd);
	else if (cookie == COOKIE_STDIN) {
		if (tool_control(&tl, server_command) == -1)
			exit(0);
	} else if (cookie == COOKIE_TIMER) {
		if (read(tfd, &ticks, sizeof(ticks)) != sizeof(ticks))
			return;
		for (i = 0; i < nflows; i++)
			if (flows[i].state == ST_OPEN)
				server_talk(&flows[i]);
	} else
		server_readable(&flows[cookie]);
}

static void
server(const struct sockaddr_storage *ss, socklen_t len, uint64_t interval)
{
	int lfd, tfd, on = 1;

	if ((lfd = socket(ss->ss_family,
		 SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) == -1)
		err(1, "socket");
	if (setsockopt(lfd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1)
		err(1, "SO_REUSEADDR");
	if (bind(lfd, (const struct sockaddr *)ss, len) == -1)
		err(1, "bind");
	if (listen(lfd, 4096) == -1)
		err(1, "listen");
	tfd = tool_timer(interval);
	tool_watch(epfd, lfd, COOKIE_LISTEN, EPOLLIN);
	tool_watch(epfd, tfd, COOKIE_TIMER, EPOLLIN);
	printf("{\"listening\": true}\n");
	for (;;) {
		struct epoll_event ev[128];
		int i, n = epoll_wait(epfd, ev, 128, -1);

		for (i = 0; i < n; i++)
			server_event(ev[i].data.u64, lfd, tfd);
	}
}

static void
client_readable(struct flow *f, uint64_t now)
{
	static uint8_t buf[65536];
	ssize_t i, n;

	while ((n = recv(f->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		for (i = 0; i < n; i++)
			if (buf[i] != stream_byte(f->pos + (uint64_t)i)) {
				flow_end(f, ST_BAD);
				return;
			}
		f->pos += (uint64_t)n;
		if (f->state == ST_OPEN && now - f->last_us > f->gap_us)
			f->gap_us = now - f->last_us;
		f->last_us = now;
		f->state = ST_OPEN;
	}
	if (n == 0)
		flow_end(f, ST_CLOSED);
	else if (errno != EAGAIN && errno != EINTR)
		flow_end(f, ST_RESET);
}

static int
cmp_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void
client_command(const char *line)
{
	static uint64_t gaps[FLOWS_MAX];
	uint64_t now = tool_now_us(), bytes = 0, open_gap, now_gap = 0;
	size_t i, silent = 0, alive;

	if (strcmp(line, "report") != 0 && strcmp(line, "mark") != 0)
		errx(2, "unknown command \"%s\"", line);
	for (i = 0; i < nflows; i++) {
		struct flow *f = &flows[i];

		bytes += f->pos;
		open_gap = f->state == ST_OPEN ? now - f->last_us : 0;
		gaps[i] = open_gap > f->gap_us ? open_gap : f->gap_us;
		if (open_gap > now_gap)
			now_gap = open_gap;
		if (open_gap > SILENT_US)
			silent++;
		if (line[0] == 'm')
			f->gap_us = 0;
	}
	alive = count(ST_OPEN) - silent;
	qsort(gaps, nflows, sizeof(gaps[0]), cmp_u64);
	printf("{\"flows\": %zu, \"alive\": %zu, \"lost\": %zu, "
	       "\"reset\": %zu, \"closed\": %zu, \"wrong\": %zu, "
	       "\"silent\": %zu, \"connecting\": %zu, \"bytes\": %llu, "
	       "\"longest_gap_ms\": %.1f, \"median_gap_ms\": %.1f, "
	       "\"silent_now_ms\": %.1f}\n",
	    nflows, alive, nflows - alive, count(ST_RESET), count(ST_CLOSED),
	    count(ST_BAD), silent, count(ST_CONNECTING),
	    (unsigned long long)bytes, (double)gaps[nflows - 1] / 1000,
	    (double)gaps[nflows / 2] / 1000, (double)now_gap / 1000);
}

static void
client_event(uint64_t cookie)
{
	static struct tool_line tl;

	if (cookie == COOKIE_STDIN) {
		if (tool_control(&tl, client_command) == -1)
			exit(0);
	} else if (flows[cookie].fd != -1)
		client_readable(&flows[cookie], tool_now_us());
}

static void
client_connect(const struct sockaddr_storage *ss, socklen_t len, size_t i)
{
	struct flow *f = &flows[i];

	if ((f->fd = socket(ss->ss_family,
		 SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) == -1)
		err(1, "socket");
	f->state = ST_CONNECTING;
	if (connect(f->fd, (const struct sockaddr *)ss, len) == -1 &&
	    errno != EINPROGRESS)
		err(1, "connect");
	tool_watch(epfd, f->fd, i, EPOLLIN);
}

/* A flow is connected when the server's first word is in. */
static void
client(const struct sockaddr_storage *ss, socklen_t len, size_t n)
{
	uint64_t start = tool_now_us();
	bool told = false;

	for (; nflows < n; nflows++)
		client_connect(ss, len, nflows);
	for (;;) {
		struct epoll_event ev[128];
		int i, nev = epoll_wait(epfd, ev, 128, 100);

		for (i = 0; i < nev; i++)
			client_event(ev[i].data.u64);
		if (told)
			continue;
		if (count(ST_CONNECTING) == 0) {
			printf("{\"connected\": %zu}\n", count(ST_OPEN));
			told = true;
		} else if (tool_now_us() - start > CONNECT_US)
			errx(1, "%zu of %zu flows not connected",
			    count(ST_CONNECTING), n);
	}
}

int
main(int argc, char **argv)
{
	struct sockaddr_storage ss = {0};
	socklen_t len;

	if (argc < 4 || argc > 6)
		errx(2, "usage: talkers server|client ADDR PORT [N [N]]");
	setvbuf(stdout, NULL, _IOLBF, 0);
	tool_nofile();
	len = tool_addr(argv[2], argv[3], &ss);
	if ((epfd = epoll_create1(EPOLL_CLOEXEC)) == -1)
		err(1, "epoll_create1");
	tool_watch(epfd, STDIN_FILENO, COOKIE_STDIN, EPOLLIN);
	if (argc == 6)
		talk_bytes = tool_number("bytes", argv[5], 1, TALK_MAX);
	if (strcmp(argv[1], "server") == 0)
		server(&ss, len,
		    argc > 4 ? tool_number("interval", argv[4], 1000, 60000000)
			     : 20000);
	else if (strcmp(argv[1], "client") == 0 && argc == 5)
		client(&ss, len, tool_number("flows", argv[4], 1, FLOWS_MAX));
	errx(2, "unknown word \"%s\"", argv[1]);
}
