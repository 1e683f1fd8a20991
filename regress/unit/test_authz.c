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
    "  forward: [ { name: f, on: out, port: tcp/443, to: 10.0.0.20 } ]\n";

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
	assert_null(authz_ct(&view, &r));
	/* routed, not translated, IPv6 */
	r = snat_flow();
	r.family = AF_INET6;
	memset(&r.orig, 0, sizeof(r.orig));
	inet_pton(AF_INET6, "2001:db8::1", &r.orig.src);
	inet_pton(AF_INET6, "2001:db8::2", &r.orig.dst);
	r.reply.src = r.orig.dst;
	r.reply.dst = r.orig.src;
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

/* On the master a timeout is given back, never taken away. */
static void
test_timeouts(void **state)
{
	struct ct_rec r = snat_flow();

	(void)state;
	r.op = CT_OP_TIMEOUT;
	r.timeout_s = 0;
	refused(r, "ended by its timeout");
	view.role = ROLE_MASTER;
	view.timeouts.tcp[3] = 432000;
	view.timeouts.udp_replied = 120;
	r.timeout_s = 432000;
	refused(r, "long standing");
	view.settle = true;
	assert_null(authz_ct(&view, &r));
	r.timeout_s = 120; /* udp's */
	refused(r, "no protocol has");
	r.timeout_s = 1;
	refused(r, "no protocol has");
	r.proto = IPPROTO_UDP;
	r.timeout_s = 120;
	assert_null(authz_ct(&view, &r));
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
	    cmocka_unit_test(test_if_there),
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_roles),
	    cmocka_unit_test(test_timeouts),
	    cmocka_unit_test(test_vrrp_states),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
