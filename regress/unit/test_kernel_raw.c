/* Sockets for children and gratuitous ARP, between two hosts. */
#include "test_kernel.h"

#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>

#include "clock.h"
#include "parentd/parentd.h"

static struct tk_host peer;
static struct event_base *base;

static struct in_addr
ip(const char *s)
{
	return (struct in_addr){.s_addr = inet_addr(s)};
}

static int
setup(void **state)
{
	(void)tk_setup(state);
	base = event_base_new();
	if (tk_here) {
		peer = tk_host();
		tk_cable(&peer, "cab0", "10.3.0.1/24", "10.3.0.2/24");
		tk_run("ip link add oth0 type veth peer name oth1");
		tk_run("ip link set oth0 up");
	}
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (tk_here)
		tk_host_end(&peer);
	event_base_free(base);
	return 0;
}

/* The next datagram within 200 ms; 0: none. */
static ssize_t
hear(int fd, void *buf, size_t len)
{
	ssize_t n = -1;
	int i;

	for (i = 0; i < 200 && n == -1; i++) {
		n = recv(fd, buf, len, MSG_DONTWAIT);
		if (n == -1)
			tk_msleep(1);
	}
	return n == -1 ? 0 : n;
}

static void
cannot_be_widened(int fd)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
	struct sock_fprog prog = {.len = 1, .filter = &all};
	int off = 0;

	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)),
	    -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &off, sizeof(off)),
	    -1);
	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &off, sizeof(off)), -1);
}

static void
vrrp_by_vrid(void **state)
{
	uint8_t adv[12] = {0x31, 11, 100, 1}, buf[256];
	const struct iphdr *iph = (const void *)buf;
	int rx, tx, other, back;

	(void)state;
	TK_NEED();
	rx = rawsock_vrrp_rx("cab0", ip("10.3.0.1"), 11);
	other = rawsock_vrrp_rx("oth0", ip("10.3.0.1"), 11);
	assert_true(rx != -1 && other != -1);
	back = tk_enter(&peer);
	tx = rawsock_vrrp_tx("eth0", ip("10.3.0.2"));
	tk_leave(back);
	assert_true(tx != -1);
	assert_int_equal(send(tx, adv, sizeof(adv), 0), sizeof(adv));
	assert_int_equal(
	    hear(rx, buf, sizeof(buf)), sizeof(struct iphdr) + sizeof(adv));
	assert_int_equal(iph->ttl, 255);
	assert_int_equal(iph->tos, 0xc0);
	assert_int_equal(iph->protocol, 112);
	assert_int_equal(iph->saddr, inet_addr("10.3.0.2"));
	assert_int_equal(iph->daddr, inet_addr("224.0.0.18"));
	assert_memory_equal(buf + sizeof(*iph), adv, sizeof(adv));
	adv[1] = 12;
	assert_int_equal(send(tx, adv, sizeof(adv), 0), sizeof(adv));
	assert_int_equal(send(tx, adv, 1, 0), 1); /* no vrid at all */
	assert_int_equal(hear(rx, buf, sizeof(buf)), 0);
	assert_int_equal(hear(other, buf, sizeof(buf)), 0);
	cannot_be_widened(rx);
	cannot_be_widened(tx);
	close(rx);
	close(tx);
	close(other);
}

/* What one sends does not come back, and the sender hears nothing. */
static void
vrrp_no_loop(void **state)
{
	uint8_t adv[12] = {0x31, 11, 100, 1}, buf[256];
	int rx, tx;

	(void)state;
	TK_NEED();
	rx = rawsock_vrrp_rx("cab0", ip("10.3.0.1"), 11);
	tx = rawsock_vrrp_tx("cab0", ip("10.3.0.1"));
	assert_int_equal(send(tx, adv, sizeof(adv), 0), sizeof(adv));
	assert_int_equal(hear(rx, buf, sizeof(buf)), 0);
	assert_int_equal(hear(tx, buf, sizeof(buf)), 0);
	close(rx);
	close(tx);
}

static void
bad_places(void **state)
{
	(void)state;
	TK_NEED();
	assert_int_equal(rawsock_vrrp_rx("none0", ip("10.3.0.1"), 11), -1);
	assert_int_equal(errno, ENODEV);
	assert_int_equal(rawsock_vrrp_tx("cab0", ip("10.3.0.77")), -1);
	assert_int_equal(errno, EADDRNOTAVAIL);
	assert_int_equal(
	    rawsock_sync("cab0", ip("10.3.0.77"), ip("10.3.0.2"), 3780), -1);
}

/* Two peers on one port: each socket hears its own peer, nobody else. */
static void
sync_by_peer(void **state)
{
	struct sockaddr_in to = {
	    .sin_family = AF_INET, .sin_port = htons(3780)};
	int one, two, there, stranger, back;
	char buf[64];

	(void)state;
	TK_NEED();
	tk_run(
	    "nsenter -t %d -n ip addr add 10.3.0.3/24 dev eth0", (int)peer.pid);
	one = rawsock_sync("cab0", ip("10.3.0.1"), ip("10.3.0.2"), 3780);
	two = rawsock_sync("cab0", ip("10.3.0.1"), ip("10.3.0.3"), 3780);
	assert_true(one != -1 && two != -1);
	back = tk_enter(&peer);
	there = rawsock_sync("eth0", ip("10.3.0.3"), ip("10.3.0.1"), 3780);
	stranger = socket(AF_INET, SOCK_DGRAM, 0);
	tk_leave(back);
	assert_true(there != -1 && stranger != -1);
	assert_int_equal(send(there, "hello", 5, 0), 5);
	assert_int_equal(hear(two, buf, sizeof(buf)), 5);
	assert_int_equal(hear(one, buf, sizeof(buf)), 0);
	assert_int_equal(send(two, "again", 5, 0), 5);
	assert_int_equal(hear(there, buf, sizeof(buf)), 5);
	to.sin_addr = ip("10.3.0.1");
	assert_int_equal(
	    sendto(stranger, "bad", 3, 0, (struct sockaddr *)&to, sizeof(to)),
	    3);
	assert_int_equal(hear(one, buf, sizeof(buf)), 0);
	assert_int_equal(hear(two, buf, sizeof(buf)), 0);
	cannot_be_widened(one);
	close(one);
	close(two);
	close(there);
	close(stranger);
}

static int
arp_listener(void)
{
	struct sockaddr_ll ll = {
	    .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP)};
	int fd, back = tk_enter(&peer);

	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ll.sll_ifindex = (int)if_nametoindex("eth0");
	assert_int_equal(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
	tk_leave(back);
	return fd;
}

static void
loop_ms(unsigned int ms)
{
	uint64_t end = clock_us() + ms * 1000ull;

	while (clock_us() < end) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		tk_msleep(1);
	}
}

static void
gratuitous_arp(void **state)
{
	struct announce_addr a[2] = {{.mac = {2, 0, 0, 0, 0, 9}}};
	struct ether_arp arp;
	uint8_t buf[256];
	int fd, n;

	(void)state;
	TK_NEED();
	fd = arp_listener();
	a[0].ifindex = (int)if_nametoindex("cab0");
	a[0].addr = ip("10.3.0.100");
	a[1] = a[0];
	a[1].addr = ip("10.3.0.101");
	assert_int_equal(announce_init(base), 0);
	announce_start(a, 2); /* one of each at once, without the loop */
	assert_int_equal(announce_sent(), 2);
	assert_true(hear(fd, buf, sizeof(buf)) >= 42);
	assert_memory_equal(
	    buf, "\xff\xff\xff\xff\xff\xff\2\0\0\0\0\11\x8\6", 14);
	memcpy(&arp, buf + 14, sizeof(arp));
	assert_int_equal(ntohs(arp.arp_op), ARPOP_REQUEST);
	assert_memory_equal(arp.arp_sha, a[0].mac, 6);
	assert_memory_equal(arp.arp_spa, &a[0].addr, 4);
	assert_memory_equal(arp.arp_tpa, &a[0].addr, 4);
	loop_ms(700);
	assert_int_equal(announce_sent(), 2 * ANNOUNCE_COUNT);
	for (n = 1; hear(fd, buf, sizeof(buf)) > 0; n++)
		continue;
	assert_int_equal(n, 2 * ANNOUNCE_COUNT);
	announce_again();
	assert_int_equal(announce_sent(), 2 * ANNOUNCE_COUNT + 2);
	announce_again(); /* too soon */
	assert_int_equal(announce_sent(), 2 * ANNOUNCE_COUNT + 2);
	announce_stop();
	loop_ms(300);
	assert_int_equal(announce_sent(), 2 * ANNOUNCE_COUNT + 2);
	assert_true(announce_last_real_ns() != 0);
	close(fd);
}

/* Nor does anybody else wait for it meanwhile. */
static void
arp_goes_on_past_a_link_that_is_down(void **state)
{
	struct announce_addr a[2] = {
	    {.mac = {2, 0, 0, 0, 0, 9}}, {.mac = {2, 0, 0, 0, 0, 9}}};
	uint64_t before;

	(void)state;
	TK_NEED();
	tk_run("ip link add cab9 type veth peer name cab8");
	a[0].ifindex = (int)if_nametoindex("cab9");
	a[0].addr = ip("10.3.9.100");
	a[1].ifindex = (int)if_nametoindex("cab0");
	a[1].addr = ip("10.3.0.100");
	before = announce_sent();
	announce_start(a, 2);
	assert_int_equal(announce_sent(), before + 1);
	loop_ms(100);
	assert_int_equal(announce_sent(), before + 1);
	tk_run("ip link set cab8 up");
	tk_run("ip link set cab9 up");
	loop_ms(300);
	assert_true(announce_sent() >= before + 4);
	announce_stop();
	tk_run("ip link del cab9");
}

/* A link that is down is tried again, until it is up. */
static void
arp_waits_for_the_link(void **state)
{
	struct announce_addr a[1] = {{.mac = {2, 0, 0, 0, 0, 9}}};
	uint64_t before;

	(void)state;
	TK_NEED();
	a[0].ifindex = (int)if_nametoindex("cab0");
	a[0].addr = ip("10.3.0.100");
	tk_run("ip link set cab0 down");
	before = announce_sent();
	announce_start(a, 1);
	loop_ms(100);
	assert_int_equal(announce_sent(), before);
	tk_run("ip link set cab0 up");
	loop_ms(700);
	assert_true(announce_sent() >= before + ANNOUNCE_COUNT);
	announce_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(vrrp_by_vrid),
	    cmocka_unit_test(vrrp_no_loop),
	    cmocka_unit_test(bad_places),
	    cmocka_unit_test(sync_by_peer),
	    cmocka_unit_test(gratuitous_arp),
	    cmocka_unit_test(arp_waits_for_the_link),
	    cmocka_unit_test(arp_goes_on_past_a_link_that_is_down),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
