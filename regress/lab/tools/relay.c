/*
 * A bad cable: frames between two interfaces, some lost, some twice, some
 * held back so that later ones overtake them.
 *
 *	relay IFACE IFACE [loss=N] [dup=N] [reorder=N] [hold=MS]
 *
 * loss, dup and reorder are percentages; hold is the longest delay of a
 * reordered frame. On stdin: the same words to change them, or "report".
 */
#include <sys/epoll.h>

#include <err.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

#define FRAME_MAX (65536 + 64)
#define HELD_MAX  4096

enum { COOKIE_A, COOKIE_B, COOKIE_STDIN };

struct held {
	uint64_t due_us; /* 0: free */
	int fd; /* where it goes */
	size_t len;
	uint8_t *frame;
};

static struct held held[HELD_MAX];
static size_t nheld;
static struct {
	unsigned int loss, dup, reorder, hold_ms;
	unsigned long long relayed, lost, duplicated, reordered, failed;
} st = {.hold_ms = 5};

/*
 * The virtio header carries checksum and segmentation offload state through;
 * without it veth's partial checksums would arrive as broken ones.
 */
static int
port_open(const char *ifname)
{
	struct sockaddr_ll sll = {0};
	int fd, on = 1, buf = 16 << 20;

	sll.sll_family = AF_PACKET;
	sll.sll_protocol = htons(ETH_P_ALL);
	if ((sll.sll_ifindex = (int)if_nametoindex(ifname)) == 0)
		err(1, "%s", ifname);
	if ((fd = socket(
		 AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) == -1)
		err(1, "socket");
	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) ==
		-1 ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on,
		sizeof(on)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buf, sizeof(buf)) == -1)
		err(1, "%s: setsockopt", ifname);
	if (bind(fd, (struct sockaddr *)&sll, sizeof(sll)) == -1)
		err(1, "%s: bind", ifname);
	return fd;
}

static bool
chance(unsigned int percent)
{
	return (unsigned int)(random() % 100) < percent;
}

static void
frame_send(int fd, const uint8_t *frame, size_t len)
{
	if (send(fd, frame, len, 0) == -1)
		st.failed++;
	else
		st.relayed++;
}

static void
frame_hold(int fd, const uint8_t *frame, size_t len, uint64_t now)
{
	size_t i;

	for (i = 0; i < HELD_MAX && held[i].due_us != 0; i++)
		;
	if (i == HELD_MAX || (held[i].frame = malloc(len)) == NULL) {
		st.lost++;
		return;
	}
	memcpy(held[i].frame, frame, len);
	held[i].len = len;
	held[i].fd = fd;
	held[i].due_us =
	    now + 1 + (uint64_t)random() % ((uint64_t)st.hold_ms * 1000 + 1);
	nheld++;
	st.reordered++;
}

static void
held_release(uint64_t now)
{
	size_t i;

	for (i = 0; nheld > 0 && i < HELD_MAX; i++) {
		if (held[i].due_us == 0 || held[i].due_us > now)
			continue;
		frame_send(held[i].fd, held[i].frame, held[i].len);
		free(held[i].frame);
		held[i].due_us = 0;
		nheld--;
	}
}

static void
relay(int from, int to)
{
	static uint8_t frame[FRAME_MAX];
	ssize_t n;
	int i;

	for (i = 0; i < 64; i++) {
		if ((n = recv(from, frame, sizeof(frame), 0)) == -1)
			return;
		if (chance(st.loss)) {
			st.lost++;
			continue;
		}
		if (chance(st.dup)) {
			st.duplicated++;
			frame_send(to, frame, (size_t)n);
		}
		if (chance(st.reorder))
			frame_hold(to, frame, (size_t)n, tool_now_us());
		else
			frame_send(to, frame, (size_t)n);
	}
}

static void
relay_word(const char *line)
{
	static const struct {
		const char *name;
		unsigned int *value;
		unsigned int max;
	} words[] = {
	    {"loss=", &st.loss, 100},
	    {"dup=", &st.dup, 100},
	    {"reorder=", &st.reorder, 100},
	    {"hold=", &st.hold_ms, 1000},
	};
	size_t i, n;

	if (strcmp(line, "report") == 0) {
		printf("{\"relayed\": %llu, \"lost\": %llu, "
		       "\"duplicated\": %llu, \"reordered\": %llu, "
		       "\"failed\": %llu}\n",
		    st.relayed, st.lost, st.duplicated, st.reordered,
		    st.failed);
		return;
	}
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		n = strlen(words[i].name);
		if (strncmp(line, words[i].name, n) == 0) {
			*words[i].value = (unsigned int)tool_number(
			    words[i].name, line + n, 0, words[i].max);
			return;
		}
	}
	errx(2, "unknown word \"%s\"", line);
}

int
main(int argc, char **argv)
{
	static struct tool_line tl;
	struct epoll_event ev;
	int a, b, epfd, i;

	if (argc < 3)
		errx(2, "usage: relay IFACE IFACE [word=N ...]");
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 3; i < argc; i++)
		relay_word(argv[i]);
	a = port_open(argv[1]);
	b = port_open(argv[2]);
	if ((epfd = epoll_create1(EPOLL_CLOEXEC)) == -1)
		err(1, "epoll_create1");
	tool_watch(epfd, a, COOKIE_A, EPOLLIN);
	tool_watch(epfd, b, COOKIE_B, EPOLLIN);
	tool_watch(epfd, STDIN_FILENO, COOKIE_STDIN, EPOLLIN);
	printf("{\"relaying\": true}\n");
	for (;;) {
		if (epoll_wait(epfd, &ev, 1, nheld > 0 ? 1 : -1) == 1) {
			if (ev.data.u64 == COOKIE_A)
				relay(a, b);
			else if (ev.data.u64 == COOKIE_B)
				relay(b, a);
			else if (tool_control(&tl, relay_word) == -1)
				return 0;
		}
		held_release(tool_now_us());
	}
}
