/*
 * When did the last VRRP advertisement of another host arrive here?
 *
 *	advwatch IFNAME
 *
 * On stdin: "report". Times are CLOCK_MONOTONIC in microseconds.
 */
#include <err.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

#define PROTO_VRRP 112

static uint64_t count, last_us, longest_us;

static void
heard(int fd)
{
	union {
		struct iphdr ip;
		char buf[256];
	} p;
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);
	uint64_t now;
	ssize_t n;

	n = recvfrom(
	    fd, &p, sizeof(p), MSG_DONTWAIT, (struct sockaddr *)&from, &len);
	if (n < (ssize_t)sizeof(p.ip) || p.ip.protocol != PROTO_VRRP ||
	    from.sll_pkttype == PACKET_OUTGOING)
		return;
	now = tool_now_us();
	if (last_us != 0 && now - last_us > longest_us)
		longest_us = now - last_us;
	last_us = now;
	count++;
}

static void
command(const char *line)
{
	if (strcmp(line, "report") != 0)
		errx(2, "unknown command \"%s\"", line);
	printf("{\"heard\": %llu, \"last_us\": %llu, \"longest_us\": %llu}\n",
	    (unsigned long long)count, (unsigned long long)last_us,
	    (unsigned long long)longest_us);
}

int
main(int argc, char **argv)
{
	struct sched_param prio = {.sched_priority = 80};
	struct sockaddr_ll ll = {
	    .sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE_IP)};
	int fd;

	if (argc != 2)
		errx(2, "usage: advwatch IFNAME");
	if (sched_setscheduler(0, SCHED_FIFO, &prio) == -1)
		warn("sched_setscheduler");
	ll.sll_ifindex = (int)if_nametoindex(argv[1]);
	if ((fd = socket(AF_PACKET, SOCK_DGRAM, htons(ETHERTYPE_IP))) == -1 ||
	    bind(fd, (struct sockaddr *)&ll, sizeof(ll)) == -1)
		err(1, "%s", argv[1]);
	tool_listen(fd, heard, command);
	return 0;
}
