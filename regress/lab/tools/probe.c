/*
 * One small packet per interval and its echo, to measure how long a path was
 * without service.
 *
 *	probe echo ADDR PORT                     UDP echo server
 *	probe udp ADDR PORT [interval_us]
 *	probe icmp ADDR 0 [interval_us]
 *
 * On stdin: "report", or "mark" (report, then start a new window).
 */
#include <sys/epoll.h>

#include <err.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

enum { COOKIE_STDIN, COOKIE_TIMER, COOKIE_SOCK };

struct packet {
	struct icmphdr icmp; /* of ICMP only */
	uint64_t seq;
};

static struct {
	bool icmp;
	int fd;
	uint64_t seq;
	uint64_t sent;
	uint64_t received;
	uint64_t high; /* last one that came back */
	uint64_t base; /* the same, when this window began */
	uint64_t last_us; /* when the last echo came */
	uint64_t gap_us;
	uint64_t gap_end_us; /* when the longest one ended; 0: it goes on */
	uint64_t errors;
} st;

static uint16_t
icmp_cksum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void
probe_send(void)
{
	struct packet pkt = {0};
	const void *p = &pkt.seq;
	size_t len = sizeof(pkt.seq);

	pkt.seq = ++st.seq;
	if (st.icmp) {
		pkt.icmp.type = ICMP_ECHO;
		pkt.icmp.un.echo.id = htons((uint16_t)getpid());
		pkt.icmp.un.echo.sequence = htons((uint16_t)pkt.seq);
		p = &pkt;
		len = sizeof(pkt);
		pkt.icmp.checksum = icmp_cksum(&pkt, len);
	}
	/* Unreachable neighbours and the like: an error of the path. */
	if (send(st.fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
		st.errors++;
	st.sent++;
}

/* Strip what a raw socket shows; NULL: not the answer to one of ours. */
static const uint8_t *
probe_payload(const uint8_t *buf, size_t len)
{
	const struct icmphdr *icmp;
	size_t hl;

	if (!st.icmp)
		return len == sizeof(uint64_t) ? buf : NULL;
	if (len < sizeof(struct iphdr))
		return NULL;
	hl = (size_t)((const struct iphdr *)buf)->ihl * 4;
	if (len != hl + sizeof(struct packet))
		return NULL;
	icmp = (const struct icmphdr *)(buf + hl);
	if (icmp->type != ICMP_ECHOREPLY ||
	    icmp->un.echo.id != htons((uint16_t)getpid()))
		return NULL;
	return buf + hl + offsetof(struct packet, seq);
}

static void
probe_receive(void)
{
	uint8_t buf[256];
	const uint8_t *p;
	uint64_t now, seq;
	ssize_t n;

	while ((n = recv(st.fd, buf, sizeof(buf), MSG_DONTWAIT)) != -1) {
		if ((p = probe_payload(buf, (size_t)n)) == NULL)
			continue;
		memcpy(&seq, p, sizeof(seq));
		if (seq == 0 || seq > st.seq)
			continue;
		now = tool_now_us();
		if (st.last_us != 0 && now - st.last_us > st.gap_us) {
			st.gap_us = now - st.last_us;
			st.gap_end_us = now;
		}
		st.last_us = now;
		st.received++;
		if (seq > st.high)
			st.high = seq;
	}
	if (errno != EAGAIN && errno != EINTR)
		st.errors++;
}

static void
probe_command(const char *line)
{
	uint64_t open_gap, gap, lost;

	if (strcmp(line, "report") != 0 && strcmp(line, "mark") != 0)
		errx(2, "unknown command \"%s\"", line);
	/* what is on its way is not lost: counted up to the last echo */
	lost = st.high - st.base;
	lost = lost > st.received ? lost - st.received : 0;
	open_gap = st.last_us == 0 ? 0 : tool_now_us() - st.last_us;
	gap = open_gap > st.gap_us ? open_gap : st.gap_us;
	printf("{\"sent\": %llu, \"received\": %llu, \"errors\": %llu, "
	       "\"lost\": %llu, \"longest_gap_ms\": %.1f, "
	       "\"silent_now_ms\": %.1f, \"gap_end_us\": %llu}\n",
	    (unsigned long long)st.sent, (unsigned long long)st.received,
	    (unsigned long long)st.errors, (unsigned long long)lost,
	    (double)gap / 1000, (double)open_gap / 1000,
	    (unsigned long long)st.gap_end_us);
	if (line[0] == 'm') {
		st.sent = st.received = st.errors = st.gap_us = 0;
		st.base = st.high;
	}
}

static void
probe(const struct sockaddr_storage *ss, socklen_t len, uint64_t interval)
{
	static struct tool_line tl;
	struct epoll_event ev;
	uint64_t ticks;
	int epfd, tfd;

	if ((st.fd = socket(ss->ss_family, st.icmp ? SOCK_RAW : SOCK_DGRAM,
		 st.icmp ? IPPROTO_ICMP : 0)) == -1)
		err(1, "socket");
	if (connect(st.fd, (const struct sockaddr *)ss, len) == -1)
		err(1, "connect");
	if ((epfd = epoll_create1(EPOLL_CLOEXEC)) == -1)
		err(1, "epoll_create1");
	tfd = tool_timer(interval);
	tool_watch(epfd, STDIN_FILENO, COOKIE_STDIN, EPOLLIN);
	tool_watch(epfd, tfd, COOKIE_TIMER, EPOLLIN);
	tool_watch(epfd, st.fd, COOKIE_SOCK, EPOLLIN);
	for (;;) {
		if (epoll_wait(epfd, &ev, 1, -1) != 1)
			continue;
		if (ev.data.u64 == COOKIE_SOCK)
			probe_receive();
		else if (ev.data.u64 == COOKIE_TIMER) {
			if (read(tfd, &ticks, sizeof(ticks)) == sizeof(ticks))
				probe_send();
		} else if (tool_control(&tl, probe_command) == -1)
			exit(0);
	}
}

static void
echo(const struct sockaddr_storage *ss, socklen_t len)
{
	struct sockaddr_storage from;
	uint8_t buf[256];
	socklen_t flen;
	ssize_t n;
	int fd;

	if ((fd = socket(ss->ss_family, SOCK_DGRAM, 0)) == -1)
		err(1, "socket");
	if (bind(fd, (const struct sockaddr *)ss, len) == -1)
		err(1, "bind");
	printf("{\"listening\": true}\n");
	for (;;) {
		flen = sizeof(from);
		n = recvfrom(
		    fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &flen);
		/* A lost echo is the measurement: nothing to be done. */
		if (n > 0)
			(void)sendto(fd, buf, (size_t)n, 0,
			    (struct sockaddr *)&from, flen);
	}
}

int
main(int argc, char **argv)
{
	struct sockaddr_storage ss = {0};
	socklen_t len;

	if (argc < 4 || argc > 5)
		errx(2, "usage: probe echo|udp|icmp ADDR PORT [interval_us]");
	setvbuf(stdout, NULL, _IOLBF, 0);
	len = tool_addr(argv[2], argv[3], &ss);
	if (strcmp(argv[1], "echo") == 0)
		echo(&ss, len);
	st.icmp = strcmp(argv[1], "icmp") == 0;
	if (!st.icmp && strcmp(argv[1], "udp") != 0)
		errx(2, "unknown word \"%s\"", argv[1]);
	if (st.icmp && ss.ss_family != AF_INET)
		errx(2, "icmp: IPv4 only");
	probe(&ss, len,
	    argc == 5 ? tool_number("interval", argv[4], 100, 60000000) : 1000);
}
