/*
 * VRRP advertisements of anybody, as often as asked.
 *
 *	advsend IFNAME INTERVAL_US SOURCE,VRID,PRIORITY,ADDRESS ...
 *
 * One after the other, again and again, INTERVAL_US apart; 0: as fast as it
 * goes. On stdin: "report".
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

#define PROTO_VRRP 112
#define PACKET_LEN 32 /* IP header, VRRP header, one address */
#define KINDS_MAX  8
#define BATCH      64

static uint8_t packets[KINDS_MAX][PACKET_LEN];
static unsigned long long sent;

static uint32_t
sum16(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return sum;
}

static void
put_sum(uint8_t *p, uint32_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	p[0] = (uint8_t)(~sum >> 8);
	p[1] = (uint8_t)~sum;
}

static void
packet_make(uint8_t *p, const char *word)
{
	static const uint8_t head[] = {0x45, 0xc0, 0, PACKET_LEN, 0, 0, 0, 0,
	    255, PROTO_VRRP, 0, 0, 0, 0, 0, 0, 224, 0, 0, 18, 0x31, 0, 0, 1, 0,
	    10};
	char source[32], address[32];
	unsigned int vrid, priority;

	if (sscanf(word, "%31[^,],%u,%u,%31s", source, &vrid, &priority,
		address) != 4)
		errx(2, "\"%s\" is not SOURCE,VRID,PRIORITY,ADDRESS", word);
	memcpy(p, head, sizeof(head));
	p[21] = (uint8_t)vrid;
	p[22] = (uint8_t)priority;
	if (inet_pton(AF_INET, source, p + 12) != 1 ||
	    inet_pton(AF_INET, address, p + 28) != 1)
		errx(2, "%s: not two addresses", word);
	put_sum(p + 10, sum16(p, 20));
	put_sum(p + 26, sum16(p + 12, 8) + PROTO_VRRP + 12 + sum16(p + 20, 12));
}

static void
command(const char *line)
{
	if (strcmp(line, "report") != 0)
		errx(2, "unknown command \"%s\"", line);
	printf("{\"sent\": %llu}\n", sent);
}

/* n packets from the one with this number on. */
static void
batch_send(int fd, struct sockaddr_ll *to, int kinds, unsigned int n)
{
	struct mmsghdr msgs[BATCH] = {0};
	struct iovec iov[BATCH];
	int done;

	for (unsigned int i = 0; i < n; i++) {
		iov[i].iov_base = packets[(sent + i) % (unsigned int)kinds];
		iov[i].iov_len = PACKET_LEN;
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
		msgs[i].msg_hdr.msg_name = to;
		msgs[i].msg_hdr.msg_namelen = sizeof(*to);
	}
	if ((done = sendmmsg(fd, msgs, n, 0)) > 0)
		sent += (unsigned int)done;
	else if (errno != ENOBUFS && errno != EAGAIN)
		err(1, "sendmmsg");
}

/*
 * As another machine would: whoever receives does not hold it up, nor it them.
 * vrrpd is on any processor but the last.
 */
static void
take_processor(void)
{
	struct sched_param prio = {.sched_priority = 80};
	cpu_set_t last;

	CPU_ZERO(&last);
	CPU_SET((int)sysconf(_SC_NPROCESSORS_ONLN) - 1, &last);
	if (sched_setaffinity(0, sizeof(last), &last) == -1)
		warn("sched_setaffinity");
	if (sched_setscheduler(0, SCHED_RR, &prio) == -1)
		warn("sched_setscheduler");
}

int
main(int argc, char **argv)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
	    .sll_protocol = htons(ETHERTYPE_IP),
	    .sll_halen = 6,
	    .sll_addr = {0x01, 0x00, 0x5e, 0, 0, 18}};
	static struct tool_line tl;
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	useconds_t interval;
	int fd, kinds = argc - 3;

	if (kinds < 1 || kinds > KINDS_MAX)
		errx(2,
		    "usage: advsend IFNAME INTERVAL_US "
		    "SOURCE,VRID,PRIORITY,ADDRESS ...");
	setvbuf(stdout, NULL, _IOLBF, 0);
	interval = (useconds_t)tool_number("INTERVAL_US", argv[2], 0, 10000000);
	for (int i = 0; i < kinds; i++)
		packet_make(packets[i], argv[3 + i]);
	if (interval == 0)
		take_processor();
	to.sll_ifindex = (int)if_nametoindex(argv[1]);
	if ((fd = socket(AF_PACKET, SOCK_DGRAM, 0)) == -1)
		err(1, "%s", argv[1]);
	for (;;) {
		batch_send(fd, &to, kinds, interval == 0 ? BATCH : 1);
		if (interval != 0)
			usleep(interval);
		if (poll(&in, 1, 0) == 1 && tool_control(&tl, command) == -1)
			return 0;
	}
}
