/* Records into the kernel, against conntrack(8). */
#include "test_ct.h"

#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "parentd/parentd.h"

static struct ct_rec
echo(const char *src, const char *dst, uint16_t id)
{
	bool v6 = strchr(src, ':') != NULL;
	struct ct_rec r = flow(v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, src, id, dst,
	    (uint16_t)((v6 ? 128 : 8) << 8));

	r.reply.sport = htons(id);
	r.reply.dport = htons((uint16_t)((v6 ? 129 : 0) << 8));
	return r;
}

/* CTA_STATUS of the only entry, which conntrack(8) does not print. */
static uint32_t
status(void)
{
	union {
		struct nlmsghdr nlh;
		char buf[8192];
	} in;
	const struct nlattr *attr;
	uint32_t s = 0;
	int fd = dump();

	assert_true(recv(fd, &in, sizeof(in), 0) > 0);
	close(fd);
	mnl_attr_for_each (attr, &in.nlh, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(attr) == CTA_STATUS)
			s = ntohl(mnl_attr_get_u32(attr));
	}
	return s;
}

/* One byte of CTA_PROTOINFO_TCP of the only entry. */
static int
tcp_info(int what)
{
	union {
		struct nlmsghdr nlh;
		char buf[8192];
	} in;
	const struct nlattr *a, *b, *c;
	int fd = dump(), value = -1;

	assert_true(recv(fd, &in, sizeof(in), 0) > 0);
	close(fd);
	mnl_attr_for_each (a, &in.nlh, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(a) != CTA_PROTOINFO)
			continue;
		mnl_attr_for_each_nested (b, a) {
			mnl_attr_for_each_nested (c, b) {
				if (mnl_attr_get_type(c) == what)
					value = mnl_attr_get_u8(c);
			}
		}
	}
	return value;
}

static long
left_s(void)
{
	const char *s =
	    strstr(tk_out("conntrack -L -o xml 2>/dev/null"), "<timeout>");

	assert_non_null(s);
	return atol(s + strlen("<timeout>"));
}

/* Of the only entry. */
static uint32_t
id_now(void)
{
	const char *s = strstr(tk_out("conntrack -L -o id 2>/dev/null"), "id=");

	assert_non_null(s);
	return (uint32_t)strtoul(s + strlen("id="), NULL, 10);
}

static void
tcp_snat(void **state)
{
	struct ct_rec r;

	(void)state;
	TK_NEED();
	r = flow(IPPROTO_TCP, "10.1.0.2", 4000, "192.0.2.9", 80);
	snat(&r, "198.51.100.1", 5555);
	r.fields |= CTF_MARK;
	r.mark = 0x2a;
	apply(&r, 0);
	tk_has(tk_out("conntrack -L -o extended 2>/dev/null"),
	    "ESTABLISHED src=10.1.0.2 dst=192.0.2.9 sport=4000 dport=80 "
	    "src=192.0.2.9 dst=198.51.100.1 sport=80 dport=5555 "
	    "[ASSURED] mark=42");
	assert_int_equal(flows("-n"), 1);
	assert_int_equal(flows("-g"), 0);
	assert_in_range(left_s(), 997, 1000);
	assert_int_equal(status(), r.status);
}

static void
tcp_window_scale(void **state)
{
	struct ct_rec r;
	int liberal = IP_CT_TCP_FLAG_BE_LIBERAL;
	int both = IP_CT_TCP_FLAG_WINDOW_SCALE | IP_CT_TCP_FLAG_SACK_PERM;

	(void)state;
	TK_NEED();
	r = flow(IPPROTO_TCP, "10.1.0.2", 4000, "192.0.2.9", 80);
	r.wscale_orig = 9;
	r.wscale_reply = 200; /* beyond RFC 7323 */
	r.tcp_flags_reply |= IP_CT_TCP_FLAG_MAXACK_SET; /* not restorable */
	apply(&r, 0);
	assert_int_equal(tcp_info(CTA_PROTOINFO_TCP_WSCALE_ORIGINAL), 9);
	assert_int_equal(tcp_info(CTA_PROTOINFO_TCP_WSCALE_REPLY), 14);
	assert_int_equal(
	    tcp_info(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL), both | liberal);
	assert_int_equal(
	    tcp_info(CTA_PROTOINFO_TCP_FLAGS_REPLY), both | liberal);
	r.op = CT_OP_UPDATE; /* without: what is there stays */
	r.fields &= (uint16_t)~CTF_TCP_WIN;
	apply(&r, 0);
	assert_int_equal(tcp_info(CTA_PROTOINFO_TCP_WSCALE_ORIGINAL), 9);
	assert_int_equal(
	    tcp_info(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL), both | liberal);
}

static void
udp_dnat(void **state)
{
	struct ct_rec r;

	(void)state;
	TK_NEED();
	r = flow(IPPROTO_UDP, "192.0.2.9", 4000, "198.51.100.1", 53);
	dnat(&r, "10.1.0.7", 5353);
	r.status &= ~(unsigned int)(IPS_SEEN_REPLY | IPS_ASSURED);
	apply(&r, 0);
	tk_has(tk_out("conntrack -L 2>/dev/null"),
	    "src=192.0.2.9 dst=198.51.100.1 sport=4000 dport=53 [UNREPLIED] "
	    "src=10.1.0.7 dst=192.0.2.9 sport=5353 dport=4000 mark=0");
	assert_int_equal(flows("-g"), 1);
	assert_int_equal(flows("-n"), 0);
	assert_int_equal(status(), r.status);
}

static void
both_ways(void **state)
{
	struct ct_rec r;

	(void)state;
	TK_NEED(); /* hairpin: both ends translated */
	r = flow(IPPROTO_TCP, "10.1.0.2", 4000, "198.51.100.1", 443);
	dnat(&r, "10.1.0.7", 8443);
	snat(&r, "10.1.0.1", 4001);
	apply(&r, 0);
	tk_has(tk_out("conntrack -L 2>/dev/null"),
	    "src=10.1.0.7 dst=10.1.0.1 sport=8443 dport=4001 [ASSURED]");
	assert_int_equal(flows("-g"), 1);
	assert_int_equal(flows("-n"), 1);
	assert_int_equal(status(), r.status);
}

static void
icmp_id_changed(void **state)
{
	struct ct_rec r;

	(void)state;
	TK_NEED();
	r = echo("10.1.0.2", "192.0.2.9", 100);
	snat(&r, "198.51.100.1", 200);
	apply(&r, 0);
	tk_has(tk_out("conntrack -L 2>/dev/null"),
	    "src=10.1.0.2 dst=192.0.2.9 type=8 code=0 id=100 "
	    "src=192.0.2.9 dst=198.51.100.1 type=0 code=0 id=200");
	assert_int_equal(status(), r.status);
}

/* With NAT at its owner but not translated; and without NAT at all. */
static void
not_translated(void **state)
{
	struct ct_rec r;

	(void)state;
	TK_NEED();
	r = flow(IPPROTO_TCP, "10.1.0.2", 4000, "192.0.2.9", 80);
	apply(&r, 0);
	assert_int_equal(status(), SEEN | NAT_DONE);
	r.op = CT_OP_DELETE;
	apply(&r, 0);
	r.op = CT_OP_NEW;
	r.status = SEEN;
	apply(&r, 0);
	assert_int_equal(status(), SEEN);
}

static void
ipv6(void **state)
{
	struct ct_rec r;
	const char *out;

	(void)state;
	TK_NEED();
	r = flow(IPPROTO_TCP, "2001:db8::2", 4000, "2001:db8:9::9", 80);
	snat(&r, "2001:db8:5::1", 5555);
	apply(&r, 0);
	r = flow(IPPROTO_UDP, "2001:db8::2", 4000, "2001:db8:9::9", 53);
	dnat(&r, "2001:db8:a::1", 5353);
	apply(&r, 0);
	r = echo("2001:db8::2", "2001:db8:9::9", 7);
	apply(&r, 0);
	out = tk_out("conntrack -L -f ipv6 2>/dev/null");
	tk_has(out, "src=2001:db8:9::9 dst=2001:db8:5::1 sport=80 dport=5555 ");
	tk_has(out, "src=2001:db8:a::1 dst=2001:db8::2 sport=5353 dport=4000 ");
	tk_has(out,
	    "type=128 code=0 id=7 src=2001:db8:9::9 "
	    "dst=2001:db8::2 type=129 code=0 id=7");
}

static void
update_existing(void **state)
{
	struct ct_rec r;
	const char *out;

	(void)state;
	TK_NEED();
	r = flow(IPPROTO_TCP, "10.1.0.2", 4000, "192.0.2.9", 80);
	snat(&r, "198.51.100.1", 5555);
	r.tcp_state = TCP_CONNTRACK_SYN_SENT;
	r.status &= ~(unsigned int)(IPS_SEEN_REPLY | IPS_ASSURED);
	r.op = CT_OP_UPDATE; /* not there: created */
	apply(&r, 0);
	tk_has(tk_out("conntrack -L 2>/dev/null"), "SYN_SENT");
	r.op = CT_OP_NEW; /* there: updated */
	r.status |= SEEN;
	r.tcp_state = TCP_CONNTRACK_ESTABLISHED;
	r.timeout_s = 2000;
	r.fields |= CTF_MARK;
	r.mark = 7;
	apply(&r, 0);
	out = tk_out("conntrack -L 2>/dev/null");
	tk_has(out, "ESTABLISHED");
	tk_has(out, "dport=5555 [ASSURED] mark=7");
	/* Fewer bits than the entry has, which the kernel calls EBUSY. */
	r.op = CT_OP_UPDATE;
	r.status &= ~(unsigned int)(IPS_SEEN_REPLY | IPS_ASSURED);
	r.tcp_state = TCP_CONNTRACK_FIN_WAIT;
	r.mark = 8;
	apply(&r, 0);
	out = tk_out("conntrack -L 2>/dev/null");
	tk_has(out, "FIN_WAIT");
	tk_has(out, "[ASSURED] mark=8");
	assert_int_equal(flows(""), 1);
}

static void
other_translation_gives_way(void **state)
{
	struct ct_rec r;

	(void)state;
	TK_NEED();
	r = flow(IPPROTO_TCP, "10.1.0.2", 4000, "192.0.2.9", 80);
	snat(&r, "198.51.100.1", 5555);
	apply(&r, 0);
	snat(&r, "198.51.100.1", 6666); /* same flow, used again */
	apply(&r, 0);
	tk_has(tk_out("conntrack -L 2>/dev/null"), "dport=6666");
	assert_int_equal(flows(""), 1);
}

/*
 * A flow whose tuple is the reply of another cannot be made; nor may its end
 * be that of the other. In one batch, and when it is known of.
 */
static void
delete_leaves_the_other(void **state)
{
	struct ct_rec r[3];

	(void)state;
	TK_NEED();
	r[0] = flow(IPPROTO_UDP, "10.1.0.2", 4000, "192.0.2.9", 53);
	snat(&r[0], "198.51.100.1", 5555);
	apply(&r[0], 0);
	r[1] = flow(IPPROTO_UDP, "192.0.2.9", 53, "198.51.100.1", 5555);
	r[2] = r[1];
	r[2].op = CT_OP_DELETE;
	assert_int_equal(kct_apply(r + 1, 2, fails), 1);
	assert_int_equal(fails[0].index, 0);
	assert_int_equal(fails[0].error, EEXIST);
	apply(&r[2], 0);
	tk_has(tk_out("conntrack -L 2>/dev/null"), "src=10.1.0.2");
	/* what is meant goes, also before and after another of its name */
	r[1] = r[0];
	r[1].op = CT_OP_DELETE;
	r[2] = r[0];
	snat(&r[2], "198.51.100.1", 6666);
	assert_int_equal(kct_apply(r + 1, 2, fails), 0);
	tk_has(tk_out("conntrack -L 2>/dev/null"), "dport=6666");
	assert_int_equal(flows(""), 1);
	apply(&r[1], 0);
	assert_int_equal(flows(""), 0);
	assert_int_equal(kct_apply(r, 2, fails), 0);
	assert_int_equal(flows(""), 0);
}

/* So that what is to be deleted is looked for first, see kct_clashed. */
static void
clash(void)
{
	struct ct_rec r[2];

	r[0] = flow(IPPROTO_UDP, "10.1.0.8", 4000, "192.0.2.8", 53);
	snat(&r[0], "198.51.100.8", 5555);
	r[1] = flow(IPPROTO_UDP, "10.1.0.9", 4000, "192.0.2.8", 53);
	snat(&r[1], "198.51.100.8", 5555);
	assert_int_equal(kct_apply(r, 2, fails), 1);
	assert_int_equal(fails[0].error, EEXIST);
	r[0].op = CT_OP_DELETE;
	apply(&r[0], 0);
}

/* A flow ends, and another takes its address and port: in one batch. */
static void
port_changes_hands(void **state)
{
	struct ct_rec r[4];

	(void)state;
	TK_NEED();
	clash();
	r[0] = flow(IPPROTO_UDP, "10.1.0.2", 4000, "192.0.2.9", 53);
	snat(&r[0], "198.51.100.1", 5555);
	apply(&r[0], 0);
	r[0].op = CT_OP_DELETE;
	r[1] = flow(IPPROTO_UDP, "10.1.0.3", 4000, "192.0.2.9", 53);
	snat(&r[1], "198.51.100.1", 5555);
	assert_int_equal(kct_apply(r, 2, fails), 0);
	assert_int_equal(flows(""), 1);
	tk_has(tk_out("conntrack -L 2>/dev/null"), "src=10.1.0.3");

	/* twice, the second time from one that was here only meanwhile */
	r[0] = r[1];
	r[0].op = CT_OP_DELETE;
	r[1] = flow(IPPROTO_UDP, "10.1.0.4", 4000, "192.0.2.9", 53);
	snat(&r[1], "198.51.100.1", 5555);
	r[2] = r[1];
	r[2].op = CT_OP_DELETE;
	r[3] = flow(IPPROTO_UDP, "10.1.0.5", 4000, "192.0.2.9", 53);
	snat(&r[3], "198.51.100.1", 5555);
	assert_int_equal(kct_apply(r, 4, fails), 0);
	assert_int_equal(flows(""), 1);
	tk_has(tk_out("conntrack -L 2>/dev/null"), "src=10.1.0.5");

	/* who has it goes on with another */
	r[0] = r[3];
	snat(&r[0], "198.51.100.1", 6666);
	r[1] = flow(IPPROTO_UDP, "10.1.0.6", 4000, "192.0.2.9", 53);
	snat(&r[1], "198.51.100.1", 5555);
	assert_int_equal(kct_apply(r, 2, fails), 0);
	assert_int_equal(flows(""), 2);
	tk_has(tk_out("conntrack -L --src 10.1.0.6 2>/dev/null"), "dport=5555");
	tk_has(tk_out("conntrack -L --src 10.1.0.5 2>/dev/null"), "dport=6666");
}

/* As above, and who takes it had another before. */
static void
port_taken_for_another(void **state)
{
	struct ct_rec r[3];

	(void)state;
	TK_NEED();
	r[2] = flow(IPPROTO_UDP, "10.1.0.3", 4000, "192.0.2.9", 53);
	snat(&r[2], "198.51.100.1", 7777);
	apply(&r[2], 0);
	snat(&r[2], "198.51.100.1", 5555);
	r[0] = flow(IPPROTO_UDP, "10.1.0.2", 4000, "192.0.2.9", 53);
	snat(&r[0], "198.51.100.1", 5555);
	r[0].op = CT_OP_UPDATE; /* not there: made at the second try */
	r[1] = r[0];
	r[1].op = CT_OP_DELETE;
	assert_int_equal(kct_apply(r, 3, fails), 0);
	assert_int_equal(flows(""), 1);
	tk_has(tk_out("conntrack -L 2>/dev/null"), "dport=5555");
}

static void
reply_clash_is_told(void **state)
{
	struct ct_rec r[3];

	(void)state;
	TK_NEED();
	r[0] = flow(IPPROTO_TCP, "10.1.0.2", 4000, "192.0.2.9", 80);
	snat(&r[0], "198.51.100.1", 5555);
	r[1] = flow(IPPROTO_TCP, "10.1.0.3", 4000, "192.0.2.9", 80);
	snat(&r[1], "198.51.100.1", 5555); /* the same address and port */
	r[2] = flow(IPPROTO_TCP, "10.1.0.4", 4000, "192.0.2.9", 80);
	snat(&r[2], "198.51.100.1", 5556);
	assert_int_equal(kct_apply(r, 3, fails), 1);
	assert_int_equal(fails[0].index, 1);
	assert_int_equal(fails[0].error, EEXIST);
	r[1].op = CT_OP_UPDATE;
	apply(&r[1], EEXIST);
	assert_int_equal(flows(""), 2);
	tk_has(tk_out("conntrack -L 2>/dev/null"), "src=10.1.0.2");
}

/*
 * A flow's port is used again by its owner while an entry of the flow before
 * is here: over, or over its time and not collected yet.
 */
static void
over_gives_way(void **state)
{
	struct ct_rec r[2];

	(void)state;
	TK_NEED();
	r[0] = flow(IPPROTO_TCP, "10.1.0.2", 4000, "192.0.2.9", 80);
	snat(&r[0], "198.51.100.1", 5555);
	r[0].tcp_state = TCP_CONNTRACK_TIME_WAIT;
	r[0].timeout_s = 100;
	r[1] = flow(IPPROTO_TCP, "10.1.0.3", 4000, "192.0.2.9", 80);
	snat(&r[1], "198.51.100.1", 5555);
	apply(&r[0], 0);
	apply(&r[1], 0);
	assert_int_equal(flows(""), 1);
	tk_has(tk_out("conntrack -L 2>/dev/null"), "ESTABLISHED src=10.1.0.3");

	r[0].tcp_state = TCP_CONNTRACK_ESTABLISHED;
	apply(&r[0], EEXIST); /* the other lives */
	r[1].op = CT_OP_UPDATE;
	r[1].timeout_s = 1;
	apply(&r[1], 0);
	usleep(1100000);
	apply(&r[0], 0);
	assert_int_equal(flows(""), 1);
	tk_has(tk_out("conntrack -L 2>/dev/null"), "ESTABLISHED src=10.1.0.2");

	/* also to one that had another port itself */
	r[0].op = CT_OP_UPDATE;
	r[0].tcp_state = TCP_CONNTRACK_LAST_ACK;
	apply(&r[0], 0);
	snat(&r[1], "198.51.100.1", 6666);
	r[1].timeout_s = 100;
	apply(&r[1], 0);
	r[1].op = CT_OP_NEW;
	snat(&r[1], "198.51.100.1", 5555);
	apply(&r[1], 0);
	assert_int_equal(flows(""), 1);
	tk_has(tk_out("conntrack -L 2>/dev/null"), "ESTABLISHED src=10.1.0.3");
	tk_has(tk_out("conntrack -L 2>/dev/null"), "dport=5555");
}

/* The same ports on both sides: what the flow before was like is gone. */
static void
over_is_not_updated(void **state)
{
	struct ct_rec r;

	(void)state;
	TK_NEED();
	r = flow(IPPROTO_TCP, "10.1.0.2", 4000, "192.0.2.9", 80);
	r.tcp_state = TCP_CONNTRACK_LAST_ACK;
	r.fields |= CTF_MARK;
	r.mark = 7;
	apply(&r, 0);
	r.fields &= (uint16_t)~CTF_MARK;
	apply(&r, 0); /* a bulk tells it again */
	tk_has(tk_out("conntrack -L 2>/dev/null"), "mark=7");
	r.tcp_state = TCP_CONNTRACK_ESTABLISHED;
	apply(&r, 0);
	assert_int_equal(flows(""), 1);
	tk_has(tk_out("conntrack -L 2>/dev/null"), "ESTABLISHED");
	tk_has(tk_out("conntrack -L 2>/dev/null"), "mark=0");
}

static void
timeout_only(void **state)
{
	struct ct_rec r;

	(void)state;
	TK_NEED();
	r = flow(IPPROTO_UDP, "10.1.0.2", 4000, "192.0.2.9", 53);
	r.timeout_s = ct_hold_timeout(2);
	apply(&r, 0);
	assert_int_equal(ct_hold_step((uint32_t)left_s()), 2);
	r.op = CT_OP_TIMEOUT;
	r.timeout_s = 120;
	r.mark = 99;
	r.fields |= CTF_MARK;
	apply(&r, 0);
	assert_in_range(left_s(), 117, 120);
	tk_has(tk_out("conntrack -L 2>/dev/null"), "mark=0");
	r.orig.sport = htons(4001);
	apply(&r, ENOENT);
}

static void
delete_by_id(void **state)
{
	struct ct_rec r;
	uint32_t id;

	(void)state;
	TK_NEED();
	r = flow(IPPROTO_UDP, "10.1.0.2", 4000, "192.0.2.9", 53);
	apply(&r, 0);
	id = id_now();
	r.op = CT_OP_DELETE;
	r.fields |= CTF_ID;
	r.id = id + 1;
	apply(&r, 0); /* another entry's: left alone */
	assert_int_equal(flows(""), 1);
	r.id = id;
	apply(&r, 0);
	assert_int_equal(flows(""), 0);
	r.fields &= (uint16_t)~CTF_ID;
	apply(&r, 0); /* gone already */
	r.op = CT_OP_NEW;
	apply(&r, 0);
	r.op = CT_OP_DELETE;
	apply(&r, 0);
	assert_int_equal(flows(""), 0);
}

/* One flow several times in a batch: the last word counts. */
static void
order_within_a_batch(void **state)
{
	struct ct_rec r[4];

	(void)state;
	TK_NEED();
	r[0] = flow(IPPROTO_TCP, "10.1.0.2", 4000, "192.0.2.9", 80);
	r[0].op = CT_OP_UPDATE; /* needs a second try */
	r[1] = r[0];
	r[1].op = CT_OP_DELETE;
	assert_int_equal(kct_apply(r, 2, fails), 0);
	assert_int_equal(flows(""), 0);
	r[2] = r[0];
	r[2].op = CT_OP_NEW;
	r[2].fields |= CTF_MARK;
	r[2].mark = 3;
	r[3] = r[2];
	r[3].op = CT_OP_UPDATE;
	r[3].mark = 4;
	assert_int_equal(kct_apply(r, 4, fails), 0);
	tk_has(tk_out("conntrack -L 2>/dev/null"), "mark=4");
}

static void
a_whole_batch(void **state)
{
	struct ct_rec r[KCT_BATCH_MAX];
	size_t i;

	(void)state;
	TK_NEED();
	for (i = 0; i < KCT_BATCH_MAX; i++) {
		r[i] = flow(IPPROTO_TCP, "2001:db8::2", (uint16_t)(1000 + i),
		    "2001:db8:9::9", 80);
		snat(&r[i], "2001:db8:5::1", (uint16_t)(3000 + i));
		r[i].fields |= CTF_MARK;
		r[i].zone = 5;
	}
	assert_int_equal(kct_apply(r, KCT_BATCH_MAX, fails), 0);
	assert_int_equal(flows("-f ipv6 -w 5"), KCT_BATCH_MAX);
	assert_int_equal(kct_apply(r, KCT_BATCH_MAX, fails), 0);
	for (i = 0; i < KCT_BATCH_MAX; i++) {
		r[i].op = CT_OP_UPDATE;
		r[i].status &= ~(unsigned int)IPS_ASSURED;
	}
	assert_int_equal(kct_apply(r, KCT_BATCH_MAX, fails), 0);
	for (i = 0; i < KCT_BATCH_MAX; i++) {
		r[i].op = CT_OP_DELETE;
		if (i % 2 == 0)
			r[i].op = 0; /* no such operation: nothing done */
	}
	assert_int_equal(kct_apply(r, KCT_BATCH_MAX, fails), 0);
	assert_int_equal(flows("-f ipv6 -w 5"), KCT_BATCH_MAX / 2);
}

static void
refused_by_the_kernel(void **state)
{
	struct ct_rec r[2];

	(void)state;
	TK_NEED();
	r[0] = flow(IPPROTO_UDP, "10.1.0.2", 4000, "192.0.2.9", 53);
	r[0].fields &= (uint16_t)~CTF_TIMEOUT; /* mandatory at create */
	r[1] = flow(IPPROTO_UDP, "10.1.0.2", 4001, "192.0.2.9", 53);
	assert_int_equal(kct_apply(r, 2, fails), 1);
	assert_int_equal(fails[0].index, 0);
	assert_int_equal(fails[0].error, EINVAL);
	assert_int_equal(flows(""), 1);
}

/* Of the same translation; no other flow that looks like it. */
static void
there(void **state)
{
	struct ct_rec r =
	    flow(IPPROTO_UDP, "198.51.100.5", 1000, "192.0.2.250", 53);
	struct ct_rec other;

	(void)state;
	TK_NEED();
	dnat(&r, "10.0.0.53", 5353);
	assert_false(kct_there(&r));
	apply(&r, 0);
	assert_true(kct_there(&r));
	other = r;
	dnat(&other, "10.0.0.54", 5353);
	assert_false(kct_there(&other));
	other = r;
	other.orig.sport = htons(1001);
	assert_false(kct_there(&other));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup(f, flush)
	const struct CMUnitTest tests[] = {
	    T(tcp_snat),
	    T(tcp_window_scale),
	    T(udp_dnat),
	    T(both_ways),
	    T(icmp_id_changed),
	    T(not_translated),
	    T(ipv6),
	    T(update_existing),
	    T(other_translation_gives_way),
	    T(delete_leaves_the_other),
	    T(port_changes_hands),
	    T(port_taken_for_another),
	    T(reply_clash_is_told),
	    T(over_gives_way),
	    T(over_is_not_updated),
	    T(there),
	    T(timeout_only),
	    T(delete_by_id),
	    T(order_within_a_batch),
	    T(a_whole_batch),
	    T(refused_by_the_kernel),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
