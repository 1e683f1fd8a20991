/*
 * Listen to a host's conntrack events: when was which of ctload's flows
 * there, and what does one event cost the one who reads it?
 *
 *	ctwatch [-d destination net] [-f first] [-n count] [-p pause_us]
 *	    [-w wait_us] [-s address] [-b bytes]
 *
 * Flow i of ctload (from first on, below count) is told by its destination
 * (base of -d) and source port.
 * With a pause events are left in the socket that long between two reads,
 * and only counted; with a wait, that long after the first of them came. With
 * an address each read is followed by datagrams to it (port 9), so many bytes
 * for each event. On stdin: "report", or "save FILE": the time each of
 * the flows was seen (CLOCK_MONOTONIC, microseconds; 0: never).
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

#define PORT_FIRST 10000 /* as ctload has them */
#define PORTS      50000
#define BATCH      128
#define SIZE       1024
#define DGRAM      1400

static uint64_t *seen;
static uint64_t first, count, nseen, events, overruns, pause_us, wait_us, bytes;
static const char *sink; /* NULL: nothing is sent */
static int sink_fd;
static uint32_t base;
static int cpu_fd;

static struct mmsghdr msgs[BATCH];
static struct iovec iov[BATCH];
static char bufs[BATCH][SIZE] __attribute__((aligned(8)));

struct found {
	uint32_t dst;
	uint16_t sport;
};

static int
in_ip(const struct nlattr *a, void *arg)
{
	if (mnl_attr_get_type(a) == CTA_IP_V4_DST)
		((struct found *)arg)->dst = ntohl(mnl_attr_get_u32(a));
	return MNL_CB_OK;
}

static int
in_proto(const struct nlattr *a, void *arg)
{
	if (mnl_attr_get_type(a) == CTA_PROTO_SRC_PORT)
		((struct found *)arg)->sport = ntohs(mnl_attr_get_u16(a));
	return MNL_CB_OK;
}

static int
in_tuple(const struct nlattr *a, void *arg)
{
	if (mnl_attr_get_type(a) == CTA_TUPLE_IP)
		return mnl_attr_parse_nested(a, in_ip, arg);
	if (mnl_attr_get_type(a) == CTA_TUPLE_PROTO)
		return mnl_attr_parse_nested(a, in_proto, arg);
	return MNL_CB_OK;
}

static void
take(const struct nlmsghdr *nlh, uint64_t now)
{
	const struct nlattr *a;
	struct found f = {0};
	uint64_t i;

	mnl_attr_for_each (a, nlh, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(a) != CTA_TUPLE_ORIG)
			continue;
		(void)mnl_attr_parse_nested(a, in_tuple, &f);
		break;
	}
	if (f.dst < base || f.sport < PORT_FIRST)
		return;
	i = (uint64_t)(f.dst - base) * PORTS + f.sport - PORT_FIRST;
	if (i < first || i >= count || seen[i] != 0)
		return;
	seen[i] = now;
	nseen++;
}

static bool
read_events(int fd)
{
	uint64_t now;
	int i, n;

	n = recvmmsg(fd, msgs, BATCH, MSG_DONTWAIT, NULL);
	if (n == -1 && errno == ENOBUFS)
		overruns++;
	if (n <= 0)
		return n == -1 && errno == ENOBUFS;
	now = tool_now_us();
	events += (uint64_t)n;
	for (i = 0; i < n && count > 0; i++)
		take((const struct nlmsghdr *)bufs[i], now);
	return n == BATCH;
}

static void
open_sink(void)
{
	struct sockaddr_storage ss;
	socklen_t len = tool_addr(sink, "9", &ss);

	sink_fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sink_fd == -1 ||
	    connect(sink_fd, (struct sockaddr *)&ss, len) == -1)
		err(1, "%s", sink);
}

static void
send_on(uint64_t n)
{
	static const char nothing[DGRAM];
	uint64_t left = n * bytes;

	while (left > 0) {
		size_t len = left < DGRAM ? left : DGRAM;

		if (send(sink_fd, nothing, len, 0) == -1)
			err(1, "%s", sink);
		left -= len;
	}
}

static void
look(int fd)
{
	uint64_t before = events;

	if (wait_us > 0)
		usleep((useconds_t)wait_us);
	while (read_events(fd))
		continue;
	if (sink != NULL)
		send_on(events - before);
	if (pause_us > 0)
		usleep((useconds_t)pause_us);
}

static void
save(const char *path)
{
	FILE *f = fopen(path, "w");

	if (f == NULL || fwrite(seen, sizeof(*seen), count, f) != count ||
	    fclose(f) == EOF)
		err(1, "%s", path);
}

static void
command(const char *line)
{
	if (strncmp(line, "save ", 5) == 0)
		save(line + 5);
	else if (strcmp(line, "report") != 0)
		errx(2, "unknown command \"%s\"", line);
	printf("{\"events\": %llu, \"seen\": %llu, \"overruns\": %llu, "
	       "\"cpu_us\": %lld}\n",
	    (unsigned long long)events, (unsigned long long)nseen,
	    (unsigned long long)overruns, tool_cpu_us(cpu_fd));
}

static int
open_events(void)
{
	static const int groups[] = {NFNLGRP_CONNTRACK_NEW,
	    NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_DESTROY};
	struct mnl_socket *nl;
	int size = 256 << 20;
	size_t i, n = count > 0 ? 1 : 3;

	if ((nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC)) == NULL ||
	    mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == -1)
		err(1, "netlink");
	if (setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUFFORCE, &size,
		sizeof(size)) == -1)
		err(1, "SO_RCVBUFFORCE");
	for (i = 0; i < n; i++)
		if (mnl_socket_setsockopt(nl, NETLINK_ADD_MEMBERSHIP,
			(void *)(uintptr_t)&groups[i], sizeof(int)) == -1)
			err(1, "group");
	return mnl_socket_get_fd(nl);
}

static void
options(int argc, char **argv)
{
	struct in_addr a = {0};
	int c;

	while ((c = getopt(argc, argv, "b:d:f:n:p:s:w:")) != -1)
		switch (c) {
		case 'b':
			bytes = tool_number("-b", optarg, 1, 1000);
			break;
		case 'd':
			if (inet_pton(AF_INET, optarg, &a) != 1)
				errx(2, "%s: not an IPv4 address", optarg);
			base = ntohl(a.s_addr);
			break;
		case 'f':
			first = tool_number("-f", optarg, 0, 10000000);
			break;
		case 'n':
			count = tool_number("-n", optarg, 0, 10000000);
			break;
		case 'p':
			pause_us = tool_number("-p", optarg, 0, 1000000);
			break;
		case 's':
			sink = optarg;
			break;
		case 'w':
			wait_us = tool_number("-w", optarg, 0, 1000000);
			break;
		default:
			exit(2);
		}
	if (sink != NULL && bytes == 0)
		errx(2, "-s needs -b");
	if ((seen = calloc(count + 1, sizeof(*seen))) == NULL)
		err(1, "calloc");
}

int
main(int argc, char **argv)
{
	/* so that what is measured is not this program's turn to run */
	struct sched_param prio = {.sched_priority = 80};
	int fd;
	size_t i;

	options(argc, argv);
	cpu_fd = tool_cpu_open(0);
	for (i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){bufs[i], SIZE};
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	if (sched_setscheduler(0, SCHED_FIFO, &prio) == -1)
		warn("sched_setscheduler");
	fd = open_events();
	if (sink != NULL)
		open_sink();
	tool_listen(fd, look, command);
	return 0;
}
