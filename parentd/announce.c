/*
 * Gratuitous ARP requests. A round is one frame per address; rounds follow
 * a schedule; within a round at most ANNOUNCE_BURST frames leave in one turn
 * of the loop, so that nothing else waits.
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "parentd.h"

#define ANNOUNCE_BURST      64 /* frames in one turn of the loop */
#define ANNOUNCE_TURN_US    1000 /* between two turns of one round */
#define ANNOUNCE_RETRY_US   20000 /* after a full queue */
#define ANNOUNCE_RETRIES    50 /* then the address waits for the next */
#define ANNOUNCE_PACE_US    100000 /* between the first rounds */
#define ANNOUNCE_PAUSE_US   5000000 /* then the rounds once more */
#define ANNOUNCE_REFRESH_US 60000000 /* and then one each minute */
#define ANNOUNCE_AGAIN_US   1000000 /* announce_again: no more often */

struct announce_frame {
	struct ether_header eth;
	struct ether_arp arp;
} __attribute__((packed));

static struct {
	int fd;
	struct event *ev;
	struct announce_addr *addrs;
	size_t n;
	bool *left; /* of them, to be sent in this round */
	size_t next; /* address of the current round */
	bool failed; /* one or more of the round's, so far */
	unsigned int round; /* since announce_start */
	unsigned int tries; /* of what failed in this round */
	uint64_t again_us; /* when announce_again last did something */
	uint64_t sent;
	uint64_t last_real_ns;
} ann = {.fd = -1};

static void
announce_after(uint64_t us)
{
	struct timeval tv = clock_tv(us);

	event_add(ann.ev, &tv);
}

static void
announce_frame(struct announce_frame *f, const struct announce_addr *a)
{
	memset(f, 0, sizeof(*f));
	memset(f->eth.ether_dhost, 0xff, sizeof(f->eth.ether_dhost));
	memcpy(f->eth.ether_shost, a->mac, sizeof(f->eth.ether_shost));
	f->eth.ether_type = htons(ETHERTYPE_ARP);
	f->arp.arp_hrd = htons(ARPHRD_ETHER);
	f->arp.arp_pro = htons(ETHERTYPE_IP);
	f->arp.arp_hln = ETHER_ADDR_LEN;
	f->arp.arp_pln = sizeof(a->addr);
	f->arp.arp_op = htons(ARPOP_REQUEST);
	memcpy(f->arp.arp_sha, a->mac, sizeof(f->arp.arp_sha));
	memcpy(f->arp.arp_spa, &a->addr, sizeof(f->arp.arp_spa));
	memcpy(f->arp.arp_tpa, &a->addr, sizeof(f->arp.arp_tpa));
}

static int
announce_send(const struct announce_addr *a)
{
	struct sockaddr_ll to = {
	    .sll_family = AF_PACKET,
	    .sll_protocol = htons(ETH_P_ARP),
	    .sll_ifindex = a->ifindex,
	    .sll_halen = ETHER_ADDR_LEN,
	};
	struct announce_frame f;

	announce_frame(&f, a);
	memset(to.sll_addr, 0xff, ETHER_ADDR_LEN);
	if (sendto(ann.fd, &f, sizeof(f), MSG_DONTWAIT, (struct sockaddr *)&to,
		sizeof(to)) == -1)
		return -1;
	ann.sent++;
	ann.last_real_ns = clock_real_ns();
	return 0;
}

/* A queue that is full or a link about to come up: worth another try. */
static bool
may_retry(int error)
{
	return (error == ENOBUFS || error == EAGAIN || error == ENETDOWN) &&
	    ann.tries < ANNOUNCE_RETRIES;
}

/* How long after round number `round` the next one comes. */
static uint64_t
announce_pace(unsigned int round)
{
	if (round == ANNOUNCE_COUNT)
		return ANNOUNCE_PAUSE_US;
	if (round < 2 * ANNOUNCE_COUNT)
		return ANNOUNCE_PACE_US;
	return ANNOUNCE_REFRESH_US;
}

static void
announce_one(size_t i)
{
	char addr[INET_ADDRSTRLEN];
	const struct announce_addr *a = &ann.addrs[i];

	ann.left[i] = announce_send(a) == -1;
	if (!ann.left[i])
		return;
	ann.failed = true;
	if (may_retry(errno))
		return;
	ann.left[i] = false;
	log_warn("announce: %s on %s",
	    inet_ntop(AF_INET, &a->addr, addr, sizeof(addr)),
	    kif_name(a->ifindex));
}

/* The neighbours of one network do not wait for another's queue. */
static bool
announce_rest(void)
{
	unsigned int burst = 0;

	for (; ann.next < ann.n; ann.next++) {
		if (!ann.left[ann.next])
			continue;
		if (burst++ == ANNOUNCE_BURST) {
			announce_after(ANNOUNCE_TURN_US);
			return false;
		}
		announce_one(ann.next);
	}
	return true;
}

static void
round_begin(void)
{
	ann.next = 0;
	ann.tries = 0;
	ann.failed = false;
	memset(ann.left, true, ann.n * sizeof(*ann.left));
}

static void
announce_turn(void)
{
	if (!announce_rest())
		return;
	if (ann.failed) {
		ann.failed = false;
		ann.next = 0;
		ann.tries++;
		announce_after(ANNOUNCE_RETRY_US);
		return;
	}
	ann.round++;
	round_begin();
	announce_after(announce_pace(ann.round));
}

static void
announce_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	announce_turn();
}

int
announce_init(struct event_base *base)
{
	/* Protocol 0: the socket sends and never receives. */
	ann.fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ann.fd == -1)
		return -1;
	ann.ev = evtimer_new(base, announce_timer, NULL);
	return ann.ev == NULL ? -1 : 0;
}

static void
announce_first(void)
{
	ann.round = 0;
	round_begin();
	announce_turn();
}

void
announce_start(const struct announce_addr *addrs, size_t n)
{
	announce_stop();
	if (n == 0)
		return;
	ann.addrs = calloc(n, sizeof(*addrs));
	ann.left = calloc(n, sizeof(*ann.left));
	if (ann.addrs == NULL || ann.left == NULL) {
		log_warn("announce: %zu addresses", n);
		announce_stop();
		return;
	}
	memcpy(ann.addrs, addrs, n * sizeof(*addrs));
	ann.n = n;
	announce_first();
}

bool
announce_is(const struct announce_addr *addrs, size_t n)
{
	size_t i = 0;

	while (n == ann.n && i < n &&
	    addrs[i].ifindex == ann.addrs[i].ifindex &&
	    addrs[i].addr.s_addr == ann.addrs[i].addr.s_addr &&
	    memcmp(addrs[i].mac, ann.addrs[i].mac, sizeof(addrs[i].mac)) == 0)
		i++;
	return i == n && n == ann.n;
}

void
announce_again(void)
{
	uint64_t now = clock_us();

	if (ann.n == 0 ||
	    (ann.again_us != 0 && now - ann.again_us < ANNOUNCE_AGAIN_US))
		return;
	ann.again_us = now;
	announce_first();
}

void
announce_stop(void)
{
	if (ann.ev != NULL)
		(void)event_del(ann.ev);
	free(ann.addrs);
	free(ann.left);
	ann.addrs = NULL;
	ann.left = NULL;
	ann.n = 0;
}

uint64_t
announce_sent(void)
{
	return ann.sent;
}

uint64_t
announce_last_real_ns(void)
{
	return ann.last_real_ns;
}
