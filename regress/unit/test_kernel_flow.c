/*
 * A real TCP connection through NAT whose conntrack entry is thrown away and
 * injected again from a record: what a takeover does to it.
 */
#include "test_kernel.h"

#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <poll.h>

#include "parentd/parentd.h"

#define VIP "10.5.0.100"

static struct tk_host client, server;

struct conn {
	int at_client;
	int at_server;
	uint16_t cport; /* of the client */
	uint16_t vport; /* of the VIP, as translated */
};

static int
setup(void **state)
{
	(void)tk_setup(state);
	if (!tk_here)
		return 0;
	client = tk_host();
	server = tk_host();
	tk_cable(&client, "in0", "10.4.0.1/24", "10.4.0.2/24");
	tk_cable(&server, "out0", "10.5.0.1/24", "10.5.0.2/24");
	tk_run("ip addr add " VIP "/32 dev out0");
	tk_run("nsenter -t %d -n ip route add default via 10.4.0.1",
	    (int)client.pid);
	tk_run("echo 1 >/proc/sys/net/ipv4/ip_forward");
	/* Ports far from the client's own, so that the kernel moves them. */
	tk_run("nft 'add table ip t; add chain ip t post { type nat hook "
	       "postrouting priority 100; }; add rule ip t post oif out0 "
	       "meta l4proto tcp snat to " VIP ":20000-20999;'");
	return kct_init();
}

static int
teardown(void **state)
{
	(void)state;
	if (tk_here) {
		tk_host_end(&client);
		tk_host_end(&server);
	}
	return 0;
}

static struct conn
open_conn(uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = inet_addr("10.5.0.2")};
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	struct conn c;
	int back, listener;

	back = tk_enter(&server);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	tk_leave(back);
	assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(listener, 1), 0);
	back = tk_enter(&client);
	c.at_client = socket(AF_INET, SOCK_STREAM, 0);
	tk_leave(back);
	assert_int_equal(
	    connect(c.at_client, (struct sockaddr *)&sa, sizeof(sa)), 0);
	c.at_server = accept(listener, (struct sockaddr *)&from, &len);
	assert_true(c.at_server != -1);
	close(listener);
	assert_int_equal(from.sin_addr.s_addr, inet_addr(VIP));
	c.vport = from.sin_port;
	len = sizeof(from);
	assert_int_equal(
	    getsockname(c.at_client, (struct sockaddr *)&from, &len), 0);
	c.cport = from.sin_port;
	return c;
}

static void
close_conn(struct conn *c)
{
	close(c->at_client);
	close(c->at_server);
}

static struct ct_rec
record(const struct conn *c, uint16_t port)
{
	struct ct_rec r = {
	    .op = CT_OP_UPDATE,
	    .proto = IPPROTO_TCP,
	    .family = AF_INET,
	    .status = IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED |
		IPS_SRC_NAT | IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE,
	    .timeout_s = ct_hold_timeout(1),
	    .fields = CTF_STATUS | CTF_TIMEOUT | CTF_TCP | CTF_TCP_WIN,
	    .tcp_state = TCP_CONNTRACK_ESTABLISHED,
	    .tcp_flags_orig = IP_CT_TCP_FLAG_WINDOW_SCALE,
	    .tcp_flags_reply = IP_CT_TCP_FLAG_WINDOW_SCALE,
	    .wscale_orig = 7,
	    .wscale_reply = 7,
	};

	r.orig.src.v4.s_addr = inet_addr("10.4.0.2");
	r.orig.dst.v4.s_addr = inet_addr("10.5.0.2");
	r.orig.sport = c->cport;
	r.orig.dport = htons(port);
	r.reply.src = r.orig.dst;
	r.reply.dst.v4.s_addr = inet_addr(VIP);
	r.reply.sport = r.orig.dport;
	r.reply.dport = c->vport;
	return r;
}

/* len bytes from one end to the other: did they all come? */
static bool
transfer(int from, int to, size_t len)
{
	struct pollfd p[2] = {{.fd = from}, {.fd = to, .events = POLLIN}};
	static char buf[65536];
	size_t sent = 0, got = 0;
	ssize_t n;

	while (got < len) {
		p[0].events = sent < len ? POLLOUT : 0;
		if (poll(p, 2, 1500) <= 0 || (p[0].revents & POLLERR))
			return false;
		if (sent < len) {
			n = send(from, buf,
			    len - sent < sizeof(buf) ? len - sent : sizeof(buf),
			    MSG_DONTWAIT | MSG_NOSIGNAL);
			if (n == -1 && errno != EAGAIN)
				return false;
			sent += n > 0 ? (size_t)n : 0;
		}
		n = recv(to, buf, sizeof(buf), MSG_DONTWAIT);
		if (n == 0 || (n == -1 && errno != EAGAIN))
			return false;
		got += n > 0 ? (size_t)n : 0;
	}
	return true;
}

static void
forget_all(void)
{
	tk_run("conntrack -F >/dev/null 2>&1");
}

static void
injected_goes_on(void **state)
{
	struct imsg_ct_fail fail;
	struct ct_rec r;
	struct conn c;

	(void)state;
	TK_NEED();
	c = open_conn(80);
	assert_true(ntohs(c.vport) >= 20000 && ntohs(c.vport) <= 20999);
	assert_true(transfer(c.at_client, c.at_server, 100000));
	assert_true(transfer(c.at_server, c.at_client, 100000));
	forget_all();
	r = record(&c, 80);
	assert_int_equal(kct_apply(&r, 1, &fail), 0);
	/* The server talks first: without the entry this meets an RST. */
	assert_true(transfer(c.at_server, c.at_client, 4000000));
	assert_true(transfer(c.at_client, c.at_server, 4000000));
	tk_has(
	    tk_out("conntrack -L -p tcp --dport 80 2>/dev/null"), "[ASSURED]");
	/* Traffic gives the flow its protocol's time back by itself. */
	tk_has_not(tk_out("conntrack -L -p tcp --dport 80 -o xml 2>/dev/null"),
	    "<timeout>13");
	close_conn(&c);
}

static void
not_injected_dies(void **state)
{
	struct conn c;

	(void)state;
	TK_NEED();
	c = open_conn(81);
	assert_true(transfer(c.at_client, c.at_server, 1000));
	forget_all();
	assert_false(transfer(c.at_server, c.at_client, 1000));
	close_conn(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(injected_goes_on),
	    cmocka_unit_test(not_injected_dies),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
