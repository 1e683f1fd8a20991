/* Which flows are synchronised; what becomes one record; what is let in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "syncd/syncd.h"

static struct filter filter;

static uint32_t
ip(const char *text)
{
	struct in_addr a;

	assert_int_equal(inet_pton(AF_INET, text, &a), 1);
	return a.s_addr;
}

static int
setup(void **state)
{
	struct conf *c = conf_new();
	static const char *const addrs[3][3] = {
	    {"192.168.255.11", "192.168.255.22", "192.168.255.250"},
	    {"10.0.0.1", "10.0.0.2", "10.0.0.3"},
	    {"172.30.16.1", "172.30.16.2", NULL}};

	(void)state;
	assert_non_null(c);
	c->h.nnodes = 2;
	c->h.nnets = 3;
	for (int i = 0; i < 3; i++) {
		c->h.nets[i].plen = i == 2 ? 30 : 24;
		for (int k = 0; k < 2; k++)
			c->h.nets[i].addr[k].s_addr = ip(addrs[i][k]);
		if (addrs[i][2] != NULL)
			c->h.nets[i].vip.s_addr = ip(addrs[i][2]);
	}
	c->h.sync.protocols = CONF_PROTO_TCP | CONF_PROTO_ICMP;
	filter_build(&filter, c);
	conf_free(c);
	return 0;
}

/* orig source, orig destination, reply source, reply destination */
static bool
passes(const char *os, const char *od, const char *rs, const char *rd)
{
	struct ct_rec r = {.family = AF_INET, .proto = IPPROTO_TCP};

	r.orig.src.w[0] = ip(os);
	r.orig.dst.w[0] = ip(od);
	r.reply.src.w[0] = ip(rs);
	r.reply.dst.w[0] = ip(rd);
	return filter_pass(&filter, &r);
}

static bool
plain(const char *src, const char *dst)
{
	return passes(src, dst, dst, src);
}

static void
test_forwarded(void **state)
{
	(void)state;
	assert_true(plain("10.0.0.10", "203.0.113.80"));
	/* source translated to a virtual address */
	assert_true(passes(
	    "10.0.0.10", "203.0.113.80", "203.0.113.80", "192.168.255.250"));
	/* forwarded from a virtual address */
	assert_true(passes(
	    "198.51.100.7", "192.168.255.250", "10.0.0.20", "198.51.100.7"));
	/* hairpin: both */
	assert_true(
	    passes("10.0.0.10", "192.168.255.250", "10.0.0.20", "10.0.0.3"));
}

/* As many addresses as a site may have: many meet in one slot. */
static void
test_full(void **state)
{
	static struct filter full;
	struct conf *c = conf_new();
	struct ct_rec r = {.family = AF_INET, .proto = IPPROTO_TCP};

	(void)state;
	assert_non_null(c);
	c->h.nnodes = CONF_NODES_MAX;
	c->h.nnets = CONF_NETS_MAX;
	c->h.sync.protocols = CONF_PROTO_TCP;
	for (uint32_t i = 0; i < CONF_NETS_MAX; i++) {
		c->h.nets[i].plen = 24;
		for (uint32_t k = 0; k < CONF_NODES_MAX; k++)
			c->h.nets[i].addr[k].s_addr =
			    htonl(0x0a000001U + (i << 8) + k);
		c->h.nets[i].vip.s_addr = htonl(0x0a0000faU + (i << 8));
	}
	filter_build(&full, c);
	conf_free(c);
	r.orig.dst.w[0] = r.reply.src.w[0] = ip("203.0.113.80");
	for (uint32_t a = 0x0a000001; a < 0x0a002000; a++) {
		uint32_t host = a & 0xff;

		r.orig.src.w[0] = r.reply.dst.w[0] = htonl(a);
		assert_int_equal(filter_pass(&full, &r),
		    (host == 0 || host > CONF_NODES_MAX) && host != 0xfa &&
			host != 0xff);
	}
}

static void
test_local(void **state)
{
	static const char *const own[] = {"192.168.255.11", "192.168.255.22",
	    "10.0.0.1", "10.0.0.2", "172.30.16.1", "172.30.16.2"};

	(void)state;
	for (size_t i = 0; i < nitems(own); i++) {
		assert_false(plain(own[i], "203.0.113.80"));
		assert_false(plain("203.0.113.80", own[i]));
		/* masqueraded to it */
		assert_false(passes(
		    "10.0.0.10", "203.0.113.80", "203.0.113.80", own[i]));
		assert_false(passes(
		    "198.51.100.7", own[i], "10.0.0.20", "198.51.100.7"));
	}
	/* a service on a virtual address, and what it asks itself */
	assert_false(plain("198.51.100.7", "192.168.255.250"));
	assert_false(plain("10.0.0.3", "10.0.0.20"));
	assert_false(plain("10.0.0.10", "10.0.0.255"));
	assert_false(plain("10.0.0.10", "255.255.255.255"));
	assert_false(plain("10.0.0.10", "224.0.0.18"));
	assert_false(plain("127.0.0.1", "127.0.0.1"));
}

static void
test_protocols_and_zones(void **state)
{
	struct ct_rec r = {.family = AF_INET, .proto = IPPROTO_TCP};

	(void)state;
	r.orig.src.w[0] = r.reply.dst.w[0] = ip("10.0.0.10");
	r.orig.dst.w[0] = r.reply.src.w[0] = ip("203.0.113.80");
	assert_true(filter_pass(&filter, &r));
	r.proto = IPPROTO_UDP;
	assert_false(filter_pass(&filter, &r));
	r.proto = IPPROTO_ICMP;
	assert_true(filter_pass(&filter, &r));
	r.zone = 1;
	assert_false(filter_pass(&filter, &r));
	r.zone = 0;
	r.proto = IPPROTO_GRE;
	assert_false(filter_pass(&filter, &r));
	r.proto = IPPROTO_ICMPV6;
	r.family = AF_INET6;
	inet_pton(AF_INET6, "2001:db8::1", &r.orig.src);
	inet_pton(AF_INET6, "2001:db8::2", &r.orig.dst);
	record_mirror(&r, &r.reply);
	assert_true(filter_pass(&filter, &r));
	inet_pton(AF_INET6, "fe80::1", &r.orig.src);
	assert_false(filter_pass(&filter, &r));
}

static struct ct_rec
flow(enum ct_op op, uint16_t port)
{
	struct ct_rec r = {.family = AF_INET,
	    .proto = IPPROTO_TCP,
	    .op = (uint8_t)op,
	    .fields = CTF_STATUS,
	    .status = IPS_CONFIRMED};

	r.orig.src.w[0] = ip("10.0.0.10");
	r.orig.dst.w[0] = ip("203.0.113.80");
	r.orig.sport = htons(port);
	record_mirror(&r, &r.reply);
	return r;
}

static struct coalesce co;

static void
add(struct ct_rec r)
{
	assert_true(coalesce_add(&co, &r));
}

static void
test_coalesce(void **state)
{
	struct ct_rec up = flow(CT_OP_UPDATE, 1);

	(void)state;
	coalesce_clear(&co);
	co.merged = 0;
	add(flow(CT_OP_NEW, 1));
	add(flow(CT_OP_NEW, 2));
	up.fields = CTF_MARK;
	up.mark = 9;
	add(up);
	assert_int_equal(co.n, 2);
	assert_int_equal(co.merged, 1);
	assert_int_equal(co.recs[0].op, CT_OP_NEW);
	assert_int_equal(co.recs[0].fields, CTF_STATUS | CTF_MARK);
	assert_int_equal(co.recs[0].mark, 9);
	/* the end of one, and its tuple used again: both are said, in order */
	add(flow(CT_OP_DELETE, 1));
	assert_int_equal(co.recs[0].op, CT_OP_DELETE);
	add(flow(CT_OP_NEW, 1));
	assert_int_equal(co.n, 3);
	add(up);
	assert_int_equal(co.n, 3);
	assert_int_equal(co.recs[2].op, CT_OP_NEW);
	assert_int_equal(co.recs[2].mark, 9);
	coalesce_clear(&co);
	add(up);
	assert_int_equal(co.n, 1);
	assert_int_equal(co.recs[0].op, CT_OP_UPDATE);
	/* over, and its entry used for another flow in the same flush */
	up.fields = CTF_OVER;
	add(up);
	up.fields = CTF_STATUS;
	add(up);
	assert_true(co.recs[0].fields & CTF_OVER);
	up.fields = CTF_STATUS | CTF_TCP;
	up.tcp_state = TCP_CONNTRACK_SYN_SENT;
	add(up);
	assert_int_equal(co.n, 1);
	assert_false(co.recs[0].fields & CTF_OVER);
}

static void
test_coalesce_full(void **state)
{
	struct ct_rec r = flow(CT_OP_NEW, 60000), up = flow(CT_OP_UPDATE, 5);

	(void)state;
	coalesce_clear(&co);
	for (uint16_t i = 0; i < COALESCE_MAX; i++)
		add(flow(CT_OP_NEW, i));
	assert_false(coalesce_add(&co, &r));
	assert_true(coalesce_add(&co, &up));
	coalesce_clear(&co);
	add(r);
}

static struct overlay ov;

static void
test_overlay(void **state)
{
	struct ct_rec del = flow(CT_OP_DELETE, 1), up = flow(CT_OP_UPDATE, 2);
	const struct ct_rec *found;

	(void)state;
	overlay_clear(&ov);
	assert_null(overlay_find(&ov, &del));
	overlay_note(&ov, &del);
	overlay_note(&ov, &up);
	overlay_turn(&ov);
	overlay_turn(&ov);
	assert_int_equal(overlay_find(&ov, &del)->op, CT_OP_DELETE);
	up.fields = CTF_MARK;
	up.mark = 4;
	overlay_note(&ov, &up);
	found = overlay_find(&ov, &up);
	assert_int_equal(found->fields, CTF_STATUS | CTF_MARK);
	overlay_turn(&ov);
	assert_null(overlay_find(&ov, &del));
	assert_non_null(overlay_find(&ov, &up));
	/* an update after the end is another flow: nothing older counts */
	overlay_note(&ov, &del);
	del.op = CT_OP_UPDATE;
	overlay_note(&ov, &del);
	assert_int_equal(overlay_find(&ov, &del)->op, CT_OP_NEW);
	for (uint32_t i = 0; i < OVERLAY_MAX * 2 && !ov.overflow; i++) {
		up.orig.src.w[0] = i;
		overlay_note(&ov, &up);
	}
	assert_true(ov.overflow);
	overlay_clear(&ov);
	assert_false(ov.overflow);
	assert_null(overlay_find(&ov, &up));
}

/* Who makes flows may choose tuples that meet in a hash without a key. */
static void
test_overlay_of_chosen_tuples(void **state)
{
	struct ct_rec r = flow(CT_OP_NEW, 1);
	unsigned int met = 0;

	(void)state;
	overlay_clear(&ov);
	for (uint32_t i = 0; met < 64; i++) {
		r.orig.src.w[0] = i;
		if (tuple_hash(&r) % OVERLAY_MAX != 5)
			continue;
		overlay_note(&ov, &r);
		met++;
	}
	assert_false(ov.overflow);
}

static void
test_sanitise(void **state)
{
	struct ct_rec r = flow(CT_OP_NEW, 1);

	(void)state;
	r.fields = CTF_STATUS | CTF_ID | CTF_TCP_WIN;
	r.status = 0xffffffff;
	r.wscale_orig = 15;
	apply_sanitise(&r, 6);
	assert_int_equal(r.status,
	    IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED | IPS_SRC_NAT |
		IPS_DST_NAT | IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE);
	assert_int_equal(r.timeout_s, ct_hold_timeout(6));
	assert_int_equal(ct_hold_step(r.timeout_s), 2);
	assert_int_equal(
	    r.fields, CTF_STATUS | CTF_TIMEOUT | CTF_TCP | CTF_TCP_WIN);
	assert_int_equal(r.tcp_state, TCP_CONNTRACK_ESTABLISHED);
	assert_int_equal(r.wscale_orig, 14);
	assert_int_equal(r.tcp_flags_orig,
	    IP_CT_TCP_FLAG_BE_LIBERAL | IP_CT_TCP_FLAG_WINDOW_SCALE);
	assert_int_equal(r.tcp_flags_reply, r.tcp_flags_orig);
	r = flow(CT_OP_UPDATE, 1);
	apply_sanitise(&r, 6);
	assert_false(r.fields & CTF_TCP);
	r = flow(CT_OP_DELETE, 1);
	r.fields = CTF_ID;
	apply_sanitise(&r, 6);
	assert_int_equal(r.fields, 0);
	assert_int_equal(r.timeout_s, 0);
}

static void
test_settle_timeout(void **state)
{
	struct imsg_ct_timeouts t = {.udp_unreplied = 30,
	    .udp_replied = 120,
	    .icmp = 31,
	    .icmpv6 = 32,
	    .generic = 600};
	struct ct_rec r = flow(CT_OP_NEW, 1);

	(void)state;
	t.tcp[TCP_CONNTRACK_ESTABLISHED] = 432000;
	t.tcp[TCP_CONNTRACK_CLOSE_WAIT] = 60;
	assert_int_equal(settle_timeout(&t, &r), 432000);
	r.fields |= CTF_TCP;
	r.tcp_state = TCP_CONNTRACK_CLOSE_WAIT;
	assert_int_equal(settle_timeout(&t, &r), 60);
	r.proto = IPPROTO_UDP;
	assert_int_equal(settle_timeout(&t, &r), 30);
	r.status |= IPS_ASSURED;
	assert_int_equal(settle_timeout(&t, &r), 120);
	r.proto = IPPROTO_ICMP;
	assert_int_equal(settle_timeout(&t, &r), 31);
	r.proto = IPPROTO_ICMPV6;
	assert_int_equal(settle_timeout(&t, &r), 32);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_forwarded, setup),
	    cmocka_unit_test_setup(test_full, setup),
	    cmocka_unit_test_setup(test_local, setup),
	    cmocka_unit_test_setup(test_protocols_and_zones, setup),
	    cmocka_unit_test(test_coalesce),
	    cmocka_unit_test(test_coalesce_full),
	    cmocka_unit_test(test_overlay),
	    cmocka_unit_test(test_overlay_of_chosen_tuples),
	    cmocka_unit_test(test_sanitise),
	    cmocka_unit_test(test_settle_timeout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
