/* What the parent lets a child's request do: pure, against a small site. */
#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "parentd/parentd.h"
#include "syncd/syncd.h"

static const char site[] =
    "site: t\n"
    "nodes: { a: { priority: 200 }, b: { priority: 100 } }\n"
    "networks:\n"
    "  out: { interface: e0, address: { a: 192.0.2.2/24, b: 192.0.2.3/24 },"
    " vip: 192.0.2.1, vrid: 1 }\n"
    "  in: { interface: e1, address: { a: 10.0.0.2/24, b: 10.0.0.3/24 },"
    " vip: 10.0.0.1, vrid: 2 }\n"
    "ha: { networks: [out, in] }\n"
    "sync: { over: [in], protocols: [tcp, udp] }\n"
    "nat:\n"
    "  source: [ { name: s, from: in, to: out, address: vip } ]\n"
    "  forward:\n"
    "    - { name: f, on: out, port: tcp/443, to: 10.0.0.20, hairpin: true }\n"
    "    - { name: g, on: out, port: tcp/8443, to: 10.0.0.20:443 }\n"
    "    - { name: h, on: out, port: udp/9900, to: 10.0.0.22 }\n"
    "    - { name: i, on: in, port: tcp/443-700, to: 10.0.0.23 }\n"
    "    - { name: j, on: out, port: udp/10000-20000, to: 10.0.0.30 }\n"
    "    - { name: k, on: out, port: tcp/9000-9535, to: 10.0.0.31:100 }\n"
    "    - { name: l, on: out, port: tcp/1-9, to: 10.0.0.32 }\n"
    "    - { name: m, on: out, port: udp/65000-65535, to: 10.0.0.33 }\n";

static struct authz_view view;

static int
setup(void **state)
{
	struct conf_report report;
	struct conf *conf;

	(void)state;
	conf_report_init(&report, "site");
	conf = conf_load_buf(site, sizeof(site) - 1, "site", "a", &report);
	if (conf == NULL)
		conf_report_print(stderr, &report);
	conf_report_free(&report);
	view.role = ROLE_BACKUP;
	view.inject = true;
	return conf == NULL ? -1 : authz_prepare(&view, conf);
}

static int
teardown(void **state)
{
	(void)state;
	conf_free((struct conf *)(uintptr_t)view.conf);
	free(view.targets);
	return 0;
}

/* 10.0.0.10:1000 -> 198.51.100.5:80, leaving as the outside vip */
static struct ct_rec
snat_flow(void)
{
	struct ct_rec r = {.op = CT_OP_NEW,
	    .family = AF_INET,
	    .proto = IPPROTO_TCP,
	    .status = IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED |
		IPS_SRC_NAT | IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE,
	    .timeout_s = ct_hold_timeout(3),
	    .tcp_state = 3,
	    .wscale_orig = 7,
	    .wscale_reply = 14};

	inet_pton(AF_INET, "10.0.0.10", &r.orig.src);
	inet_pton(AF_INET, "198.51.100.5", &r.orig.dst);
	inet_pton(AF_INET, "198.51.100.5", &r.reply.src);
	inet_pton(AF_INET, "192.0.2.1", &r.reply.dst);
	r.orig.sport = r.reply.dport = htons(1000);
	r.orig.dport = r.reply.sport = htons(80);
	return r;
}

static void
test_good_flows(void **state)
{
	struct ct_rec r = snat_flow();

	(void)state;
	assert_null(authz_ct(&view, &r));
	r.op = CT_OP_UPDATE;
	assert_null(authz_ct(&view, &r));
	r.op = CT_OP_DELETE;
	assert_null(authz_ct(&view, &r));
	/* forwarded: to the vip, answered by the target */
	r = snat_flow();
	inet_pton(AF_INET, "198.51.100.9", &r.orig.src);
	inet_pton(AF_INET, "192.0.2.1", &r.orig.dst);
	inet_pton(AF_INET, "10.0.0.20", &r.reply.src);
	inet_pton(AF_INET, "198.51.100.9", &r.reply.dst);
	r.orig.dport = r.reply.sport = htons(443);
	assert_null(authz_ct(&view, &r));
	/* routed, not translated, IPv6 */
	r = snat_flow();
	r.family = AF_INET6;
	memset(&r.orig, 0, sizeof(r.orig));
	inet_pton(AF_INET6, "2001:db8::1", &r.orig.src);
	inet_pton(AF_INET6, "2001:db8::2", &r.orig.dst);
	r.reply.src = r.orig.dst;
	r.reply.dst = r.orig.src;
	r.orig.sport = r.reply.dport = htons(1000);
	r.orig.dport = r.reply.sport = htons(80);
	assert_null(authz_ct(&view, &r));
}

static void
refused(struct ct_rec r, const char *part)
{
	const char *why = authz_ct(&view, &r);

	assert_non_null(why);
	if (strstr(why, part) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, part);
}

static void
set_addr(union addr *a, const char *text)
{
	memset(a, 0, sizeof(*a));
	inet_pton(AF_INET, text, a);
}

static void
test_addresses(void **state)
{
	struct ct_rec r;

	(void)state;
	r = snat_flow();
	set_addr(&r.reply.dst, "192.0.2.77");
	refused(r, "no virtual address");
	r = snat_flow();
	set_addr(&r.reply.src, "10.0.0.20"); /* forward, but not from a vip */
	refused(r, "forwarded from");
	r = snat_flow();
	set_addr(&r.orig.dst, "192.0.2.1");
	set_addr(&r.reply.src, "10.0.0.21"); /* not a target */
	refused(r, "no nat.forward");
	r = snat_flow();
	set_addr(&r.orig.src, "10.0.0.2");
	refused(r, "own address");
	r = snat_flow();
	set_addr(&r.reply.dst, "192.0.2.3");
	refused(r, "own address");
	r = snat_flow();
	set_addr(&r.orig.dst, "127.0.0.1");
	refused(r, "loopback");
	r = snat_flow();
	set_addr(&r.orig.dst, "224.0.0.18");
	refused(r, "multicast");
	r = snat_flow();
	r.family = AF_INET6;
	memset(&r.reply.src, 0x20, 16);
	memset(&r.reply.dst, 0x20, 16);
	memset(&r.orig.dst, 0x20, 16);
	refused(r, "IPv6");
}

/* An address, and a port or what ICMP has instead. */
struct end {
	const char *addr;
	uint16_t port;
};

static void
set_end(union addr *a, uint16_t *port, const struct end *e, int family)
{
	memset(a, 0, sizeof(*a));
	assert_int_equal(inet_pton(family, e->addr, a), 1);
	*port = htons(e->port);
}

/* From a to b; answered by c to d. */
static struct ct_rec
flow(uint8_t proto, struct end a, struct end b, struct end c, struct end d)
{
	struct ct_rec r = snat_flow();

	r.proto = proto;
	r.family = strchr(a.addr, ':') == NULL ? AF_INET : AF_INET6;
	set_end(&r.orig.src, &r.orig.sport, &a, r.family);
	set_end(&r.orig.dst, &r.orig.dport, &b, r.family);
	set_end(&r.reply.src, &r.reply.sport, &c, r.family);
	set_end(&r.reply.dst, &r.reply.dport, &d, r.family);
	return r;
}

#define E(addr, port)      \
	(struct end)       \
	{                  \
		addr, port \
	}
#define CLIENT E("198.51.100.9", 4444)
#define INSIDE E("10.0.0.10", 1000)
#define OUTVIP "192.0.2.1"
#define TCP    IPPROTO_TCP
#define UDP    IPPROTO_UDP
/* A client's, by way of a vip's port. */
#define VIA(proto, vip, port, host, to) \
	flow(proto, CLIENT, E(vip, port), E(host, to), CLIENT)

static void
taken(struct ct_rec r)
{
	const char *why = authz_ct(&view, &r);

	if (why != NULL)
		fail_msg("refused: %s", why);
}

/* By a forward, in all it says: the virtual address, the protocol, ports. */
static void
test_forwards(void **state)
{
	static const char *const no = "no nat.forward";

	(void)state;
	taken(VIA(TCP, OUTVIP, 443, "10.0.0.20", 443));
	taken(VIA(TCP, OUTVIP, 8443, "10.0.0.20", 443));
	taken(VIA(UDP, OUTVIP, 9900, "10.0.0.22", 9900));
	taken(VIA(TCP, "10.0.0.1", 443, "10.0.0.23", 443));
	refused(VIA(TCP, OUTVIP, 9999, "10.0.0.20", 22), no);
	refused(VIA(TCP, OUTVIP, 443, "10.0.0.20", 22), no);
	refused(VIA(TCP, OUTVIP, 443, "10.0.0.22", 443), no);
	refused(VIA(TCP, OUTVIP, 444, "10.0.0.20", 444), no);
	refused(VIA(TCP, OUTVIP, 8443, "10.0.0.20", 8443), no);
	refused(VIA(UDP, OUTVIP, 8443, "10.0.0.20", 443), no);
	refused(VIA(TCP, "10.0.0.1", 8443, "10.0.0.20", 443), no);
	refused(VIA(TCP, "10.0.0.1", 443, "10.0.0.20", 443), no);
	refused(VIA(TCP, "192.0.2.77", 443, "10.0.0.20", 443), "no virtual");
}

static void
test_ranges(void **state)
{
	static const char *const no = "no nat.forward";

	(void)state;
	taken(VIA(UDP, OUTVIP, 10000, "10.0.0.30", 10000));
	taken(VIA(UDP, OUTVIP, 20000, "10.0.0.30", 20000));
	taken(VIA(TCP, OUTVIP, 9000, "10.0.0.31", 100));
	taken(VIA(TCP, OUTVIP, 9535, "10.0.0.31", 635));
	taken(VIA(UDP, OUTVIP, 65535, "10.0.0.33", 65535));
	taken(VIA(TCP, OUTVIP, 1, "10.0.0.32", 1));
	taken(VIA(TCP, OUTVIP, 9, "10.0.0.32", 9));
	refused(VIA(UDP, OUTVIP, 9999, "10.0.0.30", 9999), no);
	refused(VIA(UDP, OUTVIP, 20001, "10.0.0.30", 20001), no);
	refused(VIA(UDP, OUTVIP, 10001, "10.0.0.30", 10000), no);
	refused(VIA(TCP, OUTVIP, 8999, "10.0.0.31", 99), no);
	refused(VIA(TCP, OUTVIP, 9536, "10.0.0.31", 636), no);
	refused(VIA(TCP, OUTVIP, 9001, "10.0.0.31", 9001), no);
	refused(VIA(TCP, OUTVIP, 9001, "10.0.0.31", 100), no);
	refused(VIA(TCP, OUTVIP, 0, "10.0.0.32", 0), no);
	refused(VIA(TCP, OUTVIP, 10, "10.0.0.32", 10), no);
	/* the one before it in the table: of another protocol, of another vip
	 */
	refused(VIA(UDP, OUTVIP, 9100, "10.0.0.31", 200), no);
	refused(VIA(TCP, OUTVIP, 0, "10.0.0.23", 0), no);
	refused(VIA(TCP, "10.0.0.1", 100, "10.0.0.23", 100), no);
}

/* Where the source is translated too, its port may be any. */
static void
test_source_ports(void **state)
{
	const struct end web = E("198.51.100.5", 80);
	const struct end ssh = E("198.51.100.5", 22);

	(void)state;
	taken(flow(TCP, INSIDE, web, web, E(OUTVIP, 1000)));
	taken(flow(TCP, INSIDE, web, web, E(OUTVIP, 61000)));
	taken(flow(UDP, INSIDE, web, web, E(OUTVIP, 1)));
	refused(flow(TCP, INSIDE, web, ssh, E(OUTVIP, 1000)), "another port");
	/* a hairpin */
	taken(flow(TCP, INSIDE, E(OUTVIP, 443), E("10.0.0.20", 443),
	    E("10.0.0.1", 2000)));
	refused(flow(TCP, INSIDE, E(OUTVIP, 443), E("10.0.0.20", 22),
		    E("10.0.0.1", 2000)),
	    "no nat.forward");
	refused(flow(TCP, INSIDE, E(OUTVIP, 443), E("10.0.0.20", 443),
		    E("10.0.0.99", 2000)),
	    "no virtual address");
}

/* Of what is not translated the ports are kept, but for a clash. */
static void
test_ports_alone(void **state)
{
	const struct end host = E("10.0.0.20", 443), ssh = E("10.0.0.20", 22);
	const struct end six = E("2001:db8::1", 5000),
			 web = E("2001:db8::2", 80);

	(void)state;
	taken(flow(TCP, CLIENT, host, host, CLIENT));
	refused(flow(TCP, CLIENT, host, ssh, CLIENT), "another port");
	refused(flow(UDP, CLIENT, host, ssh, CLIENT), "another port");
	/* the kernel's choice, when a forward's flow has this reply already */
	taken(flow(TCP, CLIENT, host, host, E("198.51.100.9", 1024)));
	taken(VIA(TCP, OUTVIP, 443, "10.0.0.20", 443));
	taken(flow(TCP, CLIENT, E(OUTVIP, 443), host, E("198.51.100.9", 1025)));
	refused(flow(TCP, CLIENT, host, host, E("198.51.100.9", 1023)),
	    "kind of port");
	refused(
	    flow(UDP, E("10.0.0.10", 123), host, host, E("10.0.0.10", 5000)),
	    "kind of port");
	taken(flow(TCP, six, web, web, six));
	taken(flow(UDP, six, web, web, E("2001:db8::1", 5001)));
	refused(flow(TCP, six, web, E("2001:db8::2", 22), six), "another port");
	refused(flow(TCP, six, web, web, E("2001:db8::1", 22)), "kind of port");
}

/* An id has no direction; an answer is of another type. */
static void
test_icmp(void **state)
{
	const struct end to = E("198.51.100.5", 0x0800);
	const struct end six = E("2001:db8::1", 7);
	struct conf *conf = (struct conf *)(uintptr_t)view.conf;

	(void)state;
	conf->h.sync.protocols = CONF_PROTO_ALL;
	taken(flow(IPPROTO_ICMP, E("10.0.0.10", 7), to, E("198.51.100.5", 7),
	    E("10.0.0.10", 0)));
	taken(flow(IPPROTO_ICMP, E("10.0.0.10", 7), to, E("198.51.100.5", 7),
	    E(OUTVIP, 0)));
	taken(flow(IPPROTO_ICMP, E("10.0.0.10", 7), to, E("198.51.100.5", 9999),
	    E(OUTVIP, 0)));
	taken(flow(IPPROTO_ICMPV6, six, E("2001:db8::2", 0x8000),
	    E("2001:db8::2", 7), E("2001:db8::1", 0x8100)));
	refused(flow(IPPROTO_ICMP, E("10.0.0.10", 7), to, E("198.51.100.5", 8),
		    E("10.0.0.10", 0)),
	    "another id");
	refused(flow(IPPROTO_ICMPV6, six, E("2001:db8::2", 0x8000),
		    E("2001:db8::2", 8), E("2001:db8::1", 0x8100)),
	    "another id");
	refused(flow(IPPROTO_ICMP, E("198.51.100.9", 7), E(OUTVIP, 0x0800),
		    E("10.0.0.20", 7), E("198.51.100.9", 0)),
	    "no nat.forward");
	conf->h.sync.protocols = CONF_PROTO_TCP | CONF_PROTO_UDP;
}

/* Of a site without forwards, and the table after a change of site. */
static void
test_no_forwards(void **state)
{
	struct conf *conf = (struct conf *)(uintptr_t)view.conf;
	struct conf *none = conf_copy(conf);

	(void)state;
	assert_non_null(none);
	none->h.nforwards = 0;
	assert_int_equal(authz_prepare(&view, none), 0);
	refused(VIA(TCP, OUTVIP, 443, "10.0.0.20", 443), "no nat.forward");
	assert_int_equal(authz_prepare(&view, conf), 0);
	taken(VIA(TCP, OUTVIP, 443, "10.0.0.20", 443));
	conf_free(none);
}

/* Only its translation may be in the way of what is held on. */
static void
test_if_there(void **state)
{
	struct ct_rec r = snat_flow(), bad;

	(void)state;
	set_addr(&r.orig.dst, "192.0.2.1");
	set_addr(&r.reply.src, "10.0.0.21"); /* not a target */
	refused(r, "no nat.forward");
	assert_true(authz_ct_if_there(&view, &r));
	bad = r;
	bad.op = CT_OP_DELETE;
	assert_false(authz_ct_if_there(&view, &bad));
	bad = r;
	bad.status |= IPS_HELPER;
	assert_false(authz_ct_if_there(&view, &bad));
	bad = r;
	set_addr(&bad.orig.src, "10.0.0.2");
	assert_false(authz_ct_if_there(&view, &bad));
	view.inject = false;
	assert_false(authz_ct_if_there(&view, &r));
	view.inject = true;
}

static void
test_fields(void **state)
{
	static const uint32_t bits[] = {IPS_EXPECTED, IPS_DYING,
	    IPS_FIXED_TIMEOUT, IPS_TEMPLATE, IPS_HELPER, IPS_OFFLOAD, 1u << 30};
	struct ct_rec r;

	(void)state;
	for (size_t i = 0; i < nitems(bits); i++) {
		r = snat_flow();
		r.status |= bits[i];
		refused(r, "status");
	}
	r = snat_flow();
	r.timeout_s = CT_HOLD_MAX_S + 1;
	refused(r, "timeout");
	r = snat_flow();
	r.tcp_state = 9;
	refused(r, "tcp state");
	r = snat_flow();
	r.wscale_reply = 15;
	refused(r, "window");
	r = snat_flow();
	r.proto = IPPROTO_ICMP; /* not in sync.protocols */
	refused(r, "sync.protocols");
	r.op = CT_OP_DELETE; /* from before sync.protocols was made shorter */
	assert_null(authz_ct(&view, &r));
	r = snat_flow();
	r.proto = IPPROTO_ICMPV6; /* in IPv4 */
	refused(r, "unknown protocol");
	r = snat_flow();
	r.proto = IPPROTO_GRE;
	refused(r, "unknown protocol");
	r = snat_flow();
	r.family = 77;
	refused(r, "family");
	r = snat_flow();
	r.zone = 1;
	refused(r, "zone");
	r = snat_flow();
	r.op = 0;
	refused(r, "kind");
	r.op = 200;
	refused(r, "kind");
}

/* The master owns its flows: nobody's record may change them. */
static void
test_roles(void **state)
{
	struct ct_rec r = snat_flow();

	(void)state;
	view.inject = false;
	refused(r, "master");
	r.op = CT_OP_DELETE;
	refused(r, "master");
	r.op = CT_OP_TIMEOUT; /* the settling pass */
	assert_null(authz_ct(&view, &r));
	view.inject = true;
}

static struct ct_rec
settled(uint8_t proto, int family, uint32_t timeout_s)
{
	struct ct_rec r = snat_flow();

	r.op = CT_OP_TIMEOUT;
	r.proto = proto;
	r.timeout_s = timeout_s;
	if (family == AF_INET6) {
		r.family = AF_INET6;
		memset(&r.orig, 0x20, sizeof(r.orig));
		memset(&r.reply, 0x20, sizeof(r.reply));
	}
	return r;
}

/* A number for each, so that none is another's. */
static const struct imsg_ct_timeouts times = {
    .tcp = {1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010,
	1011, 1012, 1013},
    .udp_unreplied = 2000,
    .udp_replied = 2001,
    .icmp = 3000,
    .icmpv6 = 4000,
    .generic = 5000,
};

/* On the master a timeout is given back, never taken away. */
static void
test_timeouts(void **state)
{
	static const char *const no = "its protocol does not have";
	static const struct {
		uint8_t proto;
		int family;
		uint32_t lo, hi;
	} own[] = {
	    {IPPROTO_TCP, AF_INET, 1003, 1008},
	    {IPPROTO_TCP, AF_INET6, 1003, 1008},
	    {IPPROTO_UDP, AF_INET, 2000, 2001},
	    {IPPROTO_ICMP, AF_INET, 3000, 3000},
	    {IPPROTO_ICMPV6, AF_INET6, 4000, 4000},
	};

	(void)state;
	refused(settled(TCP, AF_INET, 0), "ended by its timeout");
	taken(settled(TCP, AF_INET, 77));
	view.role = ROLE_MASTER;
	view.timeouts = times;
	refused(settled(TCP, AF_INET, 1003), "long standing");
	view.settle = true;
	refused(settled(TCP, AF_INET, 0), "ended by its timeout");
	for (size_t i = 0; i < nitems(own); i++)
		for (uint32_t t = 1; t < 6000; t++) {
			struct ct_rec r =
			    settled(own[i].proto, own[i].family, t);

			if (t >= own[i].lo && t <= own[i].hi)
				taken(r);
			else
				refused(r, no);
		}
	view.settle = false;
	view.role = ROLE_BACKUP;
}

/* What syncd's pass asks for, whatever state a flow was replicated in. */
static void
test_settled_states(void **state)
{
	struct ct_rec r = settled(TCP, AF_INET, 0);

	(void)state;
	view.role = ROLE_MASTER;
	view.settle = true;
	view.timeouts = times;
	view.timeouts.tcp[TCP_CONNTRACK_NONE] = 0; /* as hagwd reads them */
	for (uint8_t s = TCP_CONNTRACK_NONE; s <= TCP_CONNTRACK_CLOSE; s++) {
		struct sync node = {0};
		struct ct_rec had = r;

		had.fields = CTF_TCP | CTF_STATUS;
		had.status = IPS_ASSURED;
		had.tcp_state = s;
		record_for_peers(&node, &had);
		r.timeout_s = settle_timeout(&view.timeouts, &had);
		taken(r);
	}
	view.settle = false;
	view.role = ROLE_BACKUP;
}

static void
test_vrrp_states(void **state)
{
	(void)state;
	assert_null(authz_vrrp_state(&view, ROLE_MASTER));
	assert_null(authz_vrrp_state(&view, ROLE_BACKUP));
	assert_null(authz_vrrp_state(&view, ROLE_FAULT));
	assert_non_null(authz_vrrp_state(&view, ROLE_INIT));
	assert_non_null(authz_vrrp_state(&view, ROLE_MAX));
	assert_non_null(authz_vrrp_state(&view, UINT32_MAX));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good_flows),
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_forwards),
	    cmocka_unit_test(test_ranges),
	    cmocka_unit_test(test_source_ports),
	    cmocka_unit_test(test_ports_alone),
	    cmocka_unit_test(test_icmp),
	    cmocka_unit_test(test_no_forwards),
	    cmocka_unit_test(test_if_there),
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_roles),
	    cmocka_unit_test(test_timeouts),
	    cmocka_unit_test(test_settled_states),
	    cmocka_unit_test(test_vrrp_states),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
