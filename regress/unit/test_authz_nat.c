/*
 * parentd/authz_nat.c: natd's own batches pass, and nothing else. Hostile
 * batches are either real ones with bytes changed or made here by hand.
 */
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <libmnl/libmnl.h>

#include "test_nat.h"

#include "parentd/parentd.h"

#define SITE                                                                \
	SITE_HEAD "  forward:\n"                                            \
		  "    - { name: web, on: outside, port: tcp/443, "         \
		  "to: 10.0.0.20, hairpin: true }\n"                        \
		  "    - { name: rtp, on: outside, port: udp/10000-20000, " \
		  "to: 10.0.0.30, hairpin: true }\n"

static struct conf *conf;
static struct authz_view view;

static int
setup(void **state)
{
	(void)state;
	conf = site_of(SITE);
	return authz_prepare(&view, conf);
}

static int
teardown(void **state)
{
	(void)state;
	free(view.targets);
	conf_free(conf);
	return 0;
}

static struct nat_batch
full_batch(const struct conf *c)
{
	struct nat_plan *p = plan_of(c);
	struct nat_batch b = {0};

	assert_int_equal(nft_full(&b, p), 0);
	plan_free(p);
	return b;
}

static void
passes(const struct authz_view *v, const struct nat_batch *b)
{
	const char *why = authz_nat(v, b->data, b->len);

	if (why != NULL)
		fail_msg("refused: %s", why);
}

static void
refuses(const void *data, size_t len, const char *expect)
{
	const char *why = authz_nat(&view, data, len);

	if (why == NULL)
		fail_msg("let through; expected \"%s\"", expect);
	if (strstr(why, expect) == NULL)
		fail_msg("\"%s\" has no \"%s\"", why, expect);
}

static void
test_examples_pass(void **state)
{
	static const struct {
		const char *path, *node;
	} sites[] = {
	    {"etc/site-firewall-pair.yaml", "fw-1"},
	    {"etc/site-firewall-pair.yaml", "fw-2"},
	    {"etc/site-nat-pair.yaml", "nat1"},
	    {"etc/site-nat-pair.yaml", "nat2"},
	};
	struct authz_view v = {0};
	struct conf_report r;
	struct nat_batch b;
	struct conf *c;
	size_t i;

	(void)state;
	for (i = 0; i < nitems(sites); i++) {
		conf_report_init(&r, sites[i].path);
		c = conf_load(sites[i].path, sites[i].node, &r);
		assert_non_null(c);
		conf_report_free(&r);
		assert_int_equal(authz_prepare(&v, c), 0);
		b = full_batch(c);
		passes(&v, &b);
		nft_batch_free(&b);
		conf_free(c);
	}
	free(v.targets);
}

static void
test_changes_pass(void **state)
{
	struct conf *old = conf_copy(conf);
	struct nat_plan *p, *q = plan_of(conf);
	struct nat_batch b = {0};
	struct nat_delta d;

	(void)state;
	old->h.sync.port++;
	/* hosts the conf no longer has may leave the maps */
	old->forwards[0].to = ip("10.0.0.77");
	old->forwards[1].hi++;
	p = plan_of(old);
	assert_int_equal(diff_plans(&d, p, q), 0);
	assert_int_equal(nft_delta(&b, &d, q), 0);
	passes(&view, &b);
	nft_batch_free(&b);
	assert_int_equal(nft_grace(&b, NAT_GRACE_MS), 0);
	passes(&view, &b);
	nft_batch_free(&b);
	assert_int_equal(nft_grace(&b, 3600000), 0);
	refuses(b.data, b.len, "not bounded");
	nft_batch_free(&b);
	assert_int_equal(nft_grace(&b, 0), 0); /* closed */
	passes(&view, &b);
	nft_batch_free(&b);
	diff_free(&d);
	plan_free(p);
	plan_free(q);
	conf_free(old);
}

/* Without an end only where nothing is forwarded. */
static void
test_open_grace(void **state)
{
	struct nat_batch b = {0};

	(void)state;
	assert_int_equal(nft_grace(&b, NAT_GRACE_OPEN), 0);
	refuses(b.data, b.len, "not bounded");
	view.inject = true;
	passes(&view, &b);
	view.inject = false;
	nft_batch_free(&b);
}

/* A batch for another configuration than the one that runs. */
static void
test_foreign_addresses(void **state)
{
	struct conf *c = conf_copy(conf);
	int out = conf_net_find(c, "outside");
	struct nat_batch b;

	(void)state;
	c->forwards[0].to = ip("203.0.113.5");
	b = full_batch(c);
	refuses(b.data, b.len, "no forward goes to 203.0.113.5");
	nft_batch_free(&b);
	c->forwards[0].to = conf->forwards[0].to;
	c->h.nets[out].vip = ip("192.0.2.77");
	b = full_batch(c);
	refuses(b.data, b.len, "192.0.2.77 is no vip");
	nft_batch_free(&b);
	c->h.nets[out].vip = conf->h.nets[out].vip;
	snprintf(c->h.nets[out].ifname[c->h.self], IFNAMSIZ, "other0");
	b = full_batch(c);
	refuses(b.data, b.len, "no interface");
	nft_batch_free(&b);
	conf_free(c);
}

/* Batches by hand. */
static struct {
	_Alignas(8) uint8_t buf[16384];
	size_t len;
	struct nlmsghdr *nlh;
} hand;

static void
mark(uint16_t type)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(hand.buf + hand.len);
	struct nfgenmsg *g;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	g = mnl_nlmsg_put_extra_header(nlh, sizeof(*g));
	g->res_id = htons(NFNL_SUBSYS_NFTABLES);
	hand.len += nlh->nlmsg_len;
}

static void
begin(void)
{
	memset(&hand, 0, sizeof(hand));
	mark(NFNL_MSG_BATCH_BEGIN);
}

static struct nlmsghdr *
message(uint16_t type, uint16_t flags)
{
	struct nfgenmsg *g;

	hand.nlh = mnl_nlmsg_put_header(hand.buf + hand.len);
	hand.nlh->nlmsg_type =
	    type < 256 ? NFNL_SUBSYS_NFTABLES << 8 | type : type;
	hand.nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	g = mnl_nlmsg_put_extra_header(hand.nlh, sizeof(*g));
	g->nfgen_family = NFPROTO_INET;
	return hand.nlh;
}

static void
message_end(void)
{
	hand.len += hand.nlh->nlmsg_len;
}

static void
end_refuses(const char *expect)
{
	message_end();
	mark(NFNL_MSG_BATCH_END);
	refuses(hand.buf, hand.len, expect);
}

static void
end_passes(void)
{
	const char *why;

	message_end();
	mark(NFNL_MSG_BATCH_END);
	if ((why = authz_nat(&view, hand.buf, hand.len)) != NULL)
		fail_msg("refused: %s", why);
}

static void
simple(uint16_t type, uint16_t flags, const char *table)
{
	begin();
	mnl_attr_put_strz(message(type, flags), NFTA_TABLE_NAME, table);
}

static void
test_tables_and_types(void **state)
{
	(void)state;
	simple(NFT_MSG_NEWTABLE, NLM_F_CREATE, "hagw");
	end_passes();
	simple(NFT_MSG_DELTABLE, 0, "filter");
	end_refuses("\"filter\" is not hagw's");
	simple(NFT_MSG_NEWTABLE, NLM_F_CREATE, "hagw2");
	end_refuses("is not hagw's");
	simple(NFT_MSG_NEWFLOWTABLE, NLM_F_CREATE, "hagw");
	end_refuses("is not allowed");
	simple(NFT_MSG_NEWOBJ, NLM_F_CREATE, "hagw");
	end_refuses("is not allowed");
	simple(NFNL_SUBSYS_CTNETLINK << 8, 0, "hagw"); /* another subsystem */
	end_refuses("is not allowed");
	simple(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_ECHO, "hagw");
	end_refuses("flags");
	simple(NFT_MSG_NEWTABLE, NLM_F_CREATE, "hagw");
	((struct nfgenmsg *)mnl_nlmsg_get_payload(hand.nlh))->nfgen_family =
	    NFPROTO_IPV4;
	end_refuses("family");
	simple(NFT_MSG_NEWTABLE, NLM_F_CREATE, "hagw");
	mnl_attr_put_strz(hand.nlh, NFTA_TABLE_NAME, "filter");
	end_refuses("stands twice");
	simple(NFT_MSG_NEWTABLE, NLM_F_CREATE, "hagw");
	mnl_attr_put_u32(hand.nlh, NFTA_TABLE_FLAGS, htonl(1));
	end_refuses("is not allowed in a table");
	begin();
	message(NFT_MSG_DELTABLE, 0); /* without a name: every table */
	end_refuses("table is missing");
	begin();
	mnl_attr_put(message(NFT_MSG_DELTABLE, 0), NFTA_TABLE_NAME, 4, "hagw");
	end_refuses("table: 4 bytes"); /* no NUL */
	begin();
	mnl_attr_put(
	    message(NFT_MSG_DELTABLE, 0), NFTA_TABLE_NAME, 7, "hagw\0x");
	end_refuses("table: 7 bytes");
}

static void
test_framing(void **state)
{
	struct nlattr *a;

	(void)state;
	refuses("", 0, "no message");
	begin();
	refuses(hand.buf, hand.len, "does not end");
	refuses(hand.buf, hand.len - 4, "no message");
	simple(NFT_MSG_NEWTABLE, NLM_F_CREATE, "hagw");
	message_end();
	refuses(hand.buf, hand.len, "has to end");
	simple(NFT_MSG_NEWTABLE, NLM_F_CREATE, "hagw");
	message_end();
	mark(NFNL_MSG_BATCH_END);
	simple(NFT_MSG_NEWTABLE, NLM_F_CREATE, "hagw");
	message_end();
	mark(NFNL_MSG_BATCH_END);
	mark(NFNL_MSG_BATCH_BEGIN); /* a second batch behind the first */
	mark(NFNL_MSG_BATCH_END);
	refuses(hand.buf, hand.len, "is not allowed");
	/* a second message hidden in the length of the first */
	simple(NFT_MSG_NEWTABLE, NLM_F_CREATE, "hagw");
	memset((uint8_t *)hand.nlh + hand.nlh->nlmsg_len, 0, 20);
	hand.nlh->nlmsg_len += 20;
	end_refuses("length 0");
	simple(NFT_MSG_NEWTABLE, NLM_F_CREATE, "hagw");
	a = mnl_nlmsg_get_payload_offset(hand.nlh, sizeof(struct nfgenmsg));
	a->nla_len += 8;
	end_refuses("attribute 1: length 17");
	simple(NFT_MSG_NEWTABLE, NLM_F_CREATE, "hagw");
	a = mnl_nlmsg_get_payload_offset(hand.nlh, sizeof(struct nfgenmsg));
	a->nla_type |= NLA_F_NESTED;
	end_refuses("attribute flags");
	simple(NFT_MSG_NEWTABLE, NLM_F_CREATE, "hagw");
	hand.nlh->nlmsg_len -= 1;
	message_end();
	refuses(hand.buf, hand.len, "length");
}

static void
chain(const char *name, const char *type, uint32_t hook, int32_t prio,
    uint32_t policy)
{
	struct nlmsghdr *nlh;
	struct nlattr *n;

	begin();
	nlh = message(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, "hagw");
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, name);
	n = mnl_attr_nest_start(nlh, NFTA_CHAIN_HOOK);
	mnl_attr_put_u32(nlh, NFTA_HOOK_HOOKNUM, htonl(hook));
	mnl_attr_put_u32(nlh, NFTA_HOOK_PRIORITY, htonl((uint32_t)prio));
	mnl_attr_nest_end(nlh, n);
	mnl_attr_put_u32(nlh, NFTA_CHAIN_POLICY, htonl(policy));
	mnl_attr_put_strz(nlh, NFTA_CHAIN_TYPE, type);
}

static void
test_chains(void **state)
{
	(void)state;
	chain("nat_pre", "nat", NF_INET_PRE_ROUTING, -100, NF_ACCEPT);
	end_passes();
	chain("nat_pre", "nat", NF_INET_PRE_ROUTING, -200, NF_ACCEPT);
	end_refuses("another type, hook or priority");
	chain("nat_pre", "nat", NF_INET_LOCAL_OUT, -100, NF_ACCEPT);
	end_refuses("another type, hook or priority");
	chain("nat_pre", "route", NF_INET_PRE_ROUTING, -100, NF_ACCEPT);
	end_refuses("another type, hook or priority");
	chain("guard_in", "filter", NF_INET_LOCAL_IN, -5, NF_DROP);
	end_refuses("policy 0");
	chain("mine", "filter", NF_INET_LOCAL_IN, -5, NF_ACCEPT);
	end_refuses("chain \"mine\"");
	chain("hagw_state", "filter", NF_INET_LOCAL_IN, -5, NF_ACCEPT);
	end_refuses("takes no hook");
}

/* An expression of a rule, with up to four numbers. */
struct number {
	uint16_t id;
	uint32_t value;
};

static struct nlattr *
rule_in(const char *name)
{
	struct nlmsghdr *nlh;

	begin();
	nlh = message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, "hagw");
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, name);
	return mnl_attr_nest_start(nlh, NFTA_RULE_EXPRESSIONS);
}

static struct nlattr *
rule_begin(void)
{
	return rule_in("nat_post");
}

static void
put_expr(const char *name, const char *set, const struct number *num, size_t n)
{
	struct nlattr *e = mnl_attr_nest_start(hand.nlh, NFTA_LIST_ELEM), *d;
	size_t i;

	mnl_attr_put_strz(hand.nlh, NFTA_EXPR_NAME, name);
	d = mnl_attr_nest_start(hand.nlh, NFTA_EXPR_DATA);
	if (set != NULL)
		mnl_attr_put_strz(hand.nlh, NFTA_LOOKUP_SET, set);
	for (i = 0; i < n; i++)
		mnl_attr_put_u32(hand.nlh, num[i].id, htonl(num[i].value));
	mnl_attr_nest_end(hand.nlh, d);
	mnl_attr_nest_end(hand.nlh, e);
}
#define EXPR(name, set, ...)                                      \
	put_expr(name, set, (const struct number[]){__VA_ARGS__}, \
	    sizeof((const struct number[]){__VA_ARGS__}) /        \
		sizeof(struct number))

#define LOAD                                                                  \
	EXPR("payload", NULL, {NFTA_PAYLOAD_DREG, 1}, {NFTA_PAYLOAD_BASE, 1}, \
	    {NFTA_PAYLOAD_OFFSET, 12}, {NFTA_PAYLOAD_LEN, 4})
#define MAP(name) \
	EXPR("lookup", name, {NFTA_LOOKUP_SREG, 1}, {NFTA_LOOKUP_DREG, 1})
#define NAT(type)                                                      \
	EXPR("nat", NULL, {NFTA_NAT_TYPE, type}, {NFTA_NAT_FAMILY, 2}, \
	    {NFTA_NAT_REG_ADDR_MIN, 1})

static void
rule_refuses(struct nlattr *list, const char *expect)
{
	mnl_attr_nest_end(hand.nlh, list);
	end_refuses(expect);
}

static void
rule_passes(struct nlattr *list)
{
	mnl_attr_nest_end(hand.nlh, list);
	end_passes();
}

static void
test_translation(void **state)
{
	struct nlattr *l;

	(void)state;
	l = rule_begin();
	LOAD;
	MAP("src4");
	NAT(NFT_NAT_SNAT);
	mnl_attr_nest_end(hand.nlh, l);
	end_passes();
	l = rule_begin();
	LOAD;
	NAT(NFT_NAT_SNAT); /* to whatever the packet says */
	rule_refuses(l, "nat: not by a map");
	l = rule_begin();
	MAP("src4");
	LOAD; /* overwrites what the map gave */
	NAT(NFT_NAT_SNAT);
	rule_refuses(l, "nat: not by a map");
	l = rule_begin();
	MAP("src4");
	NAT(NFT_NAT_SNAT);
	NAT(NFT_NAT_SNAT);
	rule_refuses(l, "nat: not by a map");
	l = rule_begin();
	MAP("src4");
	NAT(NFT_NAT_DNAT);
	rule_refuses(l, "nat: type");
	l = rule_begin();
	MAP("fwd4"); /* has a port that has to be used */
	NAT(NFT_NAT_DNAT);
	rule_refuses(l, "port register");
	l = rule_begin();
	MAP("mymap");
	rule_refuses(l, "set \"mymap\"");
}

static void
test_expressions(void **state)
{
	static const char *const bad[] = {"log", "queue", "tproxy", "fwd",
	    "dup", "synproxy", "limit", "masq", "redir", "objref", "dynset",
	    "exthdr", "match", "target", "socket", "rt"};
	struct nlattr *l;
	size_t i;

	(void)state;
	for (i = 0; i < nitems(bad); i++) {
		l = rule_begin();
		EXPR(bad[i], NULL, {1, 1});
		rule_refuses(l, "expression \"");
	}
	l = rule_begin(); /* writes into the packet */
	EXPR("payload", NULL, {NFTA_PAYLOAD_SREG, 1}, {NFTA_PAYLOAD_BASE, 1},
	    {NFTA_PAYLOAD_OFFSET, 12}, {NFTA_PAYLOAD_LEN, 4});
	rule_refuses(l, "attribute 5 is not allowed in payload");
	l = rule_begin(); /* sets the packet's mark */
	EXPR("meta", NULL, {NFTA_META_SREG, 1}, {NFTA_META_KEY, NFT_META_MARK});
	rule_refuses(l, "not allowed in meta");
	l = rule_begin();
	EXPR(
	    "meta", NULL, {NFTA_META_DREG, 1}, {NFTA_META_KEY, NFT_META_SKUID});
	rule_refuses(l, "meta: key");
	l = rule_begin();
	EXPR("ct", NULL, {NFTA_CT_SREG, 1}, {NFTA_CT_KEY, NFT_CT_MARK});
	rule_refuses(l, "ct: setting key");
	l = rule_begin();
	put_expr("nat", NULL, NULL, 0);
	rule_refuses(l, "is missing");
	l = rule_begin();
	EXPR("reject", NULL, {NFTA_REJECT_TYPE, NFT_REJECT_ICMP_UNREACH});
	rule_refuses(l, "reject: type");
}

static void
test_verdicts(void **state)
{
	static const struct {
		uint32_t code;
		const char *chain, *expect;
	} bad[] = {
	    {(uint32_t)NFT_JUMP, "nat_pre", "not allowed in a verdict"},
	    {(uint32_t)NFT_GOTO, NULL, "verdict"},
	    {NF_QUEUE, NULL, "verdict 3"},
	    {NF_STOLEN, NULL, "verdict 2"},
	};
	struct nlattr *l, *e, *d, *v, *c;
	size_t i;

	(void)state;
	for (i = 0; i < nitems(bad); i++) {
		l = rule_begin();
		e = mnl_attr_nest_start(hand.nlh, NFTA_LIST_ELEM);
		mnl_attr_put_strz(hand.nlh, NFTA_EXPR_NAME, "immediate");
		d = mnl_attr_nest_start(hand.nlh, NFTA_EXPR_DATA);
		mnl_attr_put_u32(hand.nlh, NFTA_IMMEDIATE_DREG, 0);
		v = mnl_attr_nest_start(hand.nlh, NFTA_IMMEDIATE_DATA);
		c = mnl_attr_nest_start(hand.nlh, NFTA_DATA_VERDICT);
		mnl_attr_put_u32(
		    hand.nlh, NFTA_VERDICT_CODE, htonl(bad[i].code));
		if (bad[i].chain != NULL)
			mnl_attr_put_strz(
			    hand.nlh, NFTA_VERDICT_CHAIN, bad[i].chain);
		mnl_attr_nest_end(hand.nlh, c);
		mnl_attr_nest_end(hand.nlh, v);
		mnl_attr_nest_end(hand.nlh, d);
		mnl_attr_nest_end(hand.nlh, e);
		rule_refuses(l, bad[i].expect);
	}
}

static void
value(uint16_t type, const void *data, size_t len)
{
	struct nlattr *n = mnl_attr_nest_start(hand.nlh, type);

	mnl_attr_put(hand.nlh, NFTA_DATA_VALUE, len, data);
	mnl_attr_nest_end(hand.nlh, n);
}

static void
immediate(uint32_t reg, const void *data, size_t len)
{
	struct nlattr *e, *d;

	e = mnl_attr_nest_start(hand.nlh, NFTA_LIST_ELEM);
	mnl_attr_put_strz(hand.nlh, NFTA_EXPR_NAME, "immediate");
	d = mnl_attr_nest_start(hand.nlh, NFTA_EXPR_DATA);
	mnl_attr_put_u32(hand.nlh, NFTA_IMMEDIATE_DREG, htonl(reg));
	value(NFTA_IMMEDIATE_DATA, data, len);
	mnl_attr_nest_end(hand.nlh, d);
	mnl_attr_nest_end(hand.nlh, e);
}

static void
put_verdict(uint32_t code)
{
	struct nlattr *e, *d, *v, *c;

	e = mnl_attr_nest_start(hand.nlh, NFTA_LIST_ELEM);
	mnl_attr_put_strz(hand.nlh, NFTA_EXPR_NAME, "immediate");
	d = mnl_attr_nest_start(hand.nlh, NFTA_EXPR_DATA);
	mnl_attr_put_u32(hand.nlh, NFTA_IMMEDIATE_DREG, 0);
	v = mnl_attr_nest_start(hand.nlh, NFTA_IMMEDIATE_DATA);
	c = mnl_attr_nest_start(hand.nlh, NFTA_DATA_VERDICT);
	mnl_attr_put_u32(hand.nlh, NFTA_VERDICT_CODE, htonl(code));
	mnl_attr_nest_end(hand.nlh, c);
	mnl_attr_nest_end(hand.nlh, v);
	mnl_attr_nest_end(hand.nlh, d);
	mnl_attr_nest_end(hand.nlh, e);
}

/* What a rule may do depends on its chain, which is to be known by then. */
static void
test_chain_first(void **state)
{
	struct nlattr *l;

	(void)state;
	begin();
	message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	mnl_attr_put_strz(hand.nlh, NFTA_RULE_TABLE, "hagw");
	l = mnl_attr_nest_start(hand.nlh, NFTA_RULE_EXPRESSIONS);
	EXPR("lookup", "vip4", {NFTA_LOOKUP_SREG, 1});
	put_verdict(NF_DROP);
	mnl_attr_nest_end(hand.nlh, l);
	mnl_attr_put_strz(hand.nlh, NFTA_RULE_CHAIN, "guard_in");
	end_refuses("expressions before their chain");
}

/* Ours, one at a time, and no other data may be made one. */
static void
test_label(void **state)
{
	static const uint8_t ours[] = {
	    HAGW_CT_FIN_ORIG, HAGW_CT_FIN_REPLY, HAGW_CT_RST};
	uint8_t label[HAGW_CT_LABEL_LEN] = {0};
	struct nlattr *l;

	(void)state;
#define SET_LABEL(reg) \
	EXPR("ct", NULL, {NFTA_CT_SREG, reg}, {NFTA_CT_KEY, NFT_CT_LABELS})
	for (size_t i = 0; i < nitems(ours); i++) {
		l = rule_begin();
		label[HAGW_CT_LABEL_AT] = ours[i];
		immediate(1, label, sizeof(label));
		SET_LABEL(1);
		mnl_attr_nest_end(hand.nlh, l);
		end_passes();
	}
	l = rule_begin();
	label[0] = 1;
	immediate(1, label, sizeof(label));
	rule_refuses(l, "nor the label");
	label[0] = 0;
	l = rule_begin();
	label[HAGW_CT_LABEL_AT] = HAGW_CT_FIN_ORIG | HAGW_CT_FIN_REPLY;
	immediate(1, label, sizeof(label));
	rule_refuses(l, "nor the label");
	label[HAGW_CT_LABEL_AT] = HAGW_CT_RST;
	l = rule_begin();
	immediate(2, label, sizeof(label));
	rule_refuses(l, "nor the label");
	l = rule_begin();
	LOAD;
	SET_LABEL(1);
	rule_refuses(l, "ct: setting key");
	l = rule_begin();
	immediate(1, label, sizeof(label));
	LOAD;
	SET_LABEL(1);
	rule_refuses(l, "not for the ct");
	l = rule_begin();
	immediate(1, label, sizeof(label));
	SET_LABEL(2);
	rule_refuses(l, "ct: setting key");
}

/* A mask of events is for ct, and goes nowhere else. */
static void
test_event_mask(void **state)
{
	static const uint8_t vip[] = {192, 0, 2, 9};
	struct nlattr *l;

	(void)state;
#define SET_EVENTS(reg) \
	EXPR("ct", NULL, {NFTA_CT_SREG, reg}, {NFTA_CT_KEY, NFT_CT_EVENTMASK})
	l = rule_begin();
	immediate(1, vip, sizeof(vip));
	SET_EVENTS(1);
	rule_passes(l);
	l = rule_begin();
	immediate(1, vip, sizeof(vip));
	EXPR("lookup", "vip4", {NFTA_LOOKUP_SREG, 1});
	rule_refuses(l, "not for the ct");
	l = rule_begin();
	immediate(1, vip, sizeof(vip));
	immediate(1, vip, sizeof(vip));
	SET_EVENTS(1);
	rule_refuses(l, "not for the ct");
	l = rule_begin();
	immediate(1, vip, sizeof(vip));
	EXPR("ct", NULL, {NFTA_CT_DREG, 2}, {NFTA_CT_KEY, NFT_CT_STATE});
	rule_refuses(l, "not for the ct");
	l = rule_begin();
	immediate(1, vip, sizeof(vip));
	rule_refuses(l, "at the end of a rule");
	l = rule_begin();
	immediate(2, vip, sizeof(vip));
	SET_EVENTS(2);
	rule_refuses(l, "no event mask");
	l = rule_begin();
	immediate(1, vip, sizeof(vip));
	SET_EVENTS(2);
	rule_refuses(l, "ct: setting key");
	l = rule_begin();
	LOAD;
	SET_EVENTS(1);
	rule_refuses(l, "ct: setting key");
	l = rule_begin();
	immediate(1, vip, sizeof(vip));
	EXPR("ct", NULL, {NFTA_CT_SREG, 1}, {NFTA_CT_KEY, NFT_CT_LABELS});
	rule_refuses(l, "ct: setting key");
}

/* As natd writes them, so that one at a time can be left out or changed. */
static void
compare(uint32_t reg, uint32_t op, const void *data, size_t len)
{
	struct nlattr *e, *d;

	e = mnl_attr_nest_start(hand.nlh, NFTA_LIST_ELEM);
	mnl_attr_put_strz(hand.nlh, NFTA_EXPR_NAME, "cmp");
	d = mnl_attr_nest_start(hand.nlh, NFTA_EXPR_DATA);
	mnl_attr_put_u32(hand.nlh, NFTA_CMP_SREG, htonl(reg));
	mnl_attr_put_u32(hand.nlh, NFTA_CMP_OP, htonl(op));
	value(NFTA_CMP_DATA, data, len);
	mnl_attr_nest_end(hand.nlh, d);
	mnl_attr_nest_end(hand.nlh, e);
}

static void
mask_with(const void *mask, const void * xor, uint32_t len)
{
	struct nlattr *e, *d;

	e = mnl_attr_nest_start(hand.nlh, NFTA_LIST_ELEM);
	mnl_attr_put_strz(hand.nlh, NFTA_EXPR_NAME, "bitwise");
	d = mnl_attr_nest_start(hand.nlh, NFTA_EXPR_DATA);
	mnl_attr_put_u32(hand.nlh, NFTA_BITWISE_SREG, htonl(1));
	mnl_attr_put_u32(hand.nlh, NFTA_BITWISE_DREG, htonl(1));
	mnl_attr_put_u32(hand.nlh, NFTA_BITWISE_LEN, htonl(len));
	value(NFTA_BITWISE_MASK, mask, len);
	value(NFTA_BITWISE_XOR, xor, len);
	mnl_attr_nest_end(hand.nlh, d);
	mnl_attr_nest_end(hand.nlh, e);
}

static void
load_meta(uint32_t key)
{
	EXPR("meta", NULL, {NFTA_META_DREG, 1}, {NFTA_META_KEY, key});
}

static void
load_bytes(uint32_t base, uint32_t off, uint32_t len)
{
	EXPR("payload", NULL, {NFTA_PAYLOAD_DREG, 1}, {NFTA_PAYLOAD_BASE, base},
	    {NFTA_PAYLOAD_OFFSET, off}, {NFTA_PAYLOAD_LEN, len});
}

static void
match_state(uint32_t bits, uint32_t flip, uint32_t op)
{
	static const uint32_t zero = 0;

	EXPR("ct", NULL, {NFTA_CT_DREG, 1}, {NFTA_CT_KEY, NFT_CT_STATE});
	mask_with(&bits, &flip, sizeof(bits));
	compare(1, op, &zero, sizeof(zero));
}

static void
match_meta(uint32_t key, uint32_t op, uint8_t v)
{
	load_meta(key);
	compare(1, op, &v, 1);
}

static void
match_vip(uint32_t off, uint32_t flags)
{
	load_bytes(NFT_PAYLOAD_NETWORK_HEADER, off, 4);
	EXPR("lookup", "vip4", {NFTA_LOOKUP_SREG, 1},
	    {NFTA_LOOKUP_FLAGS, flags});
}

#define ST_UNKNOWN 0x9
#define EQ         NFT_CMP_EQ
#define NEQ        NFT_CMP_NEQ
#define TO_VIP     match_vip(16, 0)
#define UNKNOWN    match_state(ST_UNKNOWN, 0, NEQ)
#define IPV4       match_meta(NFT_META_NFPROTO, EQ, NFPROTO_IPV4)
#define TCP        match_meta(NFT_META_L4PROTO, EQ, IPPROTO_TCP)
#define CHAIN_RULE(chain, end, ...)                    \
	do {                                           \
		struct nlattr *list_ = rule_in(chain); \
                                                       \
		__VA_ARGS__;                           \
		end;                                   \
	} while (0)
#define PASSES(chain, verdict, ...) \
	CHAIN_RULE(chain, verdict; rule_passes(list_), __VA_ARGS__)
#define DROPS put_verdict(NF_DROP)
#define NO_DROP(chain, ...)      \
	CHAIN_RULE(chain, DROPS; \
		   rule_refuses(list_, "drop of more than"), __VA_ARGS__)

/* Only what comes to a vip, of TCP, and of no flow that is known. */
static void
test_drop_in(void **state)
{
	static const uint8_t six[] = {IPPROTO_TCP, 0};

	(void)state;
	PASSES("guard_in", DROPS, UNKNOWN; TCP; IPV4; TO_VIP);
	NO_DROP("guard_fwd", UNKNOWN; TCP; IPV4; TO_VIP);
	NO_DROP("guard_out", UNKNOWN; TCP; IPV4; TO_VIP);
	NO_DROP("raw_pre", UNKNOWN; TCP; IPV4; TO_VIP);
	NO_DROP("guard_in", TCP; IPV4; TO_VIP);
	NO_DROP("guard_in", UNKNOWN; IPV4; TO_VIP);
	NO_DROP("guard_in", UNKNOWN; TCP; TO_VIP); /* of an IPv6 address */
	NO_DROP("guard_in", UNKNOWN; TCP; IPV4);
	NO_DROP("guard_in", match_state(0xf, 0, NEQ); TCP; IPV4; TO_VIP);
	NO_DROP("guard_in", match_state(0x9, 1, NEQ); TCP; IPV4; TO_VIP);
	NO_DROP("guard_in", match_state(0x9, 0, EQ); TCP; IPV4; TO_VIP);
	NO_DROP("guard_in", UNKNOWN;
		match_meta(NFT_META_L4PROTO, NEQ, IPPROTO_TCP); IPV4; TO_VIP);
	NO_DROP("guard_in", UNKNOWN;
		match_meta(NFT_META_L4PROTO, EQ, IPPROTO_UDP); IPV4; TO_VIP);
	NO_DROP("guard_in", UNKNOWN; load_meta(NFT_META_L4PROTO);
		compare(1, EQ, six, 2); IPV4; TO_VIP);
	NO_DROP("guard_in", UNKNOWN; load_meta(NFT_META_L4PROTO);
		compare(2, EQ, six, 1); IPV4; TO_VIP);
	NO_DROP("guard_in", UNKNOWN; TCP;
		match_meta(NFT_META_NFPROTO, EQ, NFPROTO_IPV6); TO_VIP);
	NO_DROP("guard_in", UNKNOWN; TCP; IPV4; match_vip(12, 0));
	NO_DROP("guard_in", UNKNOWN; TCP; IPV4;
		match_vip(16, NFT_LOOKUP_F_INV));
}

/* A register counts for what it was given last, and not for long. */
static void
test_registers(void **state)
{
	static const uint32_t bits = ST_UNKNOWN, all = UINT32_MAX, zero = 0;
	static const uint8_t tcp = IPPROTO_TCP;

	(void)state;
#define LOOK_VIP(reg) EXPR("lookup", "vip4", {NFTA_LOOKUP_SREG, reg})
	NO_DROP("guard_in", UNKNOWN; TCP; IPV4; LOOK_VIP(1));
	NO_DROP("guard_in", UNKNOWN; TCP; IPV4; load_bytes(1, 16, 4);
		load_bytes(1, 13, 4); LOOK_VIP(1));
	NO_DROP("guard_in", UNKNOWN; TCP; IPV4; load_bytes(1, 16, 4);
		mask_with(&zero, &all, 4); LOOK_VIP(1));
	NO_DROP("guard_in", UNKNOWN; TCP; IPV4; load_bytes(1, 16, 4);
		load_meta(NFT_META_IIFNAME); LOOK_VIP(1));
	/* the same register by its other number, and another one */
	NO_DROP("guard_in", UNKNOWN; TCP; IPV4; load_bytes(1, 16, 4);
		EXPR("meta", NULL, {NFTA_META_DREG, NFT_REG32_00},
		    {NFTA_META_KEY, NFT_META_IIFNAME});
		LOOK_VIP(1));
	NO_DROP("guard_in", UNKNOWN; TCP; IPV4; load_bytes(1, 16, 4);
		LOOK_VIP(2));
	NO_DROP("guard_in", UNKNOWN; TCP; IPV4; load_bytes(2, 16, 4);
		LOOK_VIP(1)); /* of the transport header */
	NO_DROP("guard_in", UNKNOWN; TCP; IPV4; load_bytes(1, 16, 2);
		LOOK_VIP(1));
	NO_DROP("guard_in", UNKNOWN; load_meta(NFT_META_L4PROTO);
		load_bytes(1, 0, 1); compare(1, EQ, &tcp, 1); IPV4; TO_VIP);
	NO_DROP(
	    "guard_in",
	    EXPR("ct", NULL, {NFTA_CT_DREG, 1}, {NFTA_CT_KEY, NFT_CT_STATE});
	    load_bytes(1, 0, 4); mask_with(&bits, &zero, 4);
	    compare(1, NEQ, &zero, 4); TCP; IPV4; TO_VIP);
	NO_DROP(
	    "guard_in",
	    EXPR("ct", NULL, {NFTA_CT_DREG, 1}, {NFTA_CT_KEY, NFT_CT_STATUS});
	    mask_with(&bits, &zero, 4); compare(1, NEQ, &zero, 4); TCP; IPV4;
	    TO_VIP);
}

/* Only the word that nobody listens at a port of a vip's. */
static void
test_drop_out(void **state)
{
	static const uint8_t port[] = {3, 3}, host[] = {3, 1};

	(void)state;
#define ICMP match_meta(NFT_META_L4PROTO, EQ, IPPROTO_ICMP)
#define SAYS(what)           \
	load_bytes(2, 0, 2); \
	compare(1, EQ, what, 2)
	PASSES("guard_out", DROPS, ICMP; SAYS(port); IPV4; match_vip(12, 0));
	NO_DROP("guard_out", SAYS(port); IPV4; match_vip(12, 0));
	NO_DROP("guard_out", ICMP; IPV4; match_vip(12, 0));
	NO_DROP("guard_out", ICMP; SAYS(host); IPV4; match_vip(12, 0));
	NO_DROP("guard_out", ICMP; SAYS(port); IPV4; match_vip(16, 0));
	NO_DROP("guard_in", ICMP; SAYS(port); IPV4; match_vip(12, 0));
}

/* Of what is forwarded, and is TCP, and of no flow that is known. */
static void
test_reject(void **state)
{
	(void)state;
#define RESETS EXPR("reject", NULL, {NFTA_REJECT_TYPE, NFT_REJECT_TCP_RST})
#define NO_RESET(chain, ...)      \
	CHAIN_RULE(chain, RESETS; \
		   rule_refuses(list_, "reject of more than"), __VA_ARGS__)
	PASSES("guard_fwd", RESETS, UNKNOWN; TCP);
	PASSES("guard_fwd", RESETS, match_state(0x1, 0, NEQ); TCP);
	NO_RESET("raw_pre", UNKNOWN; TCP);
	NO_RESET("guard_in", UNKNOWN; TCP; IPV4; TO_VIP);
	NO_RESET("guard_fwd", UNKNOWN);
	NO_RESET("guard_fwd", TCP);
	NO_RESET("guard_fwd", IPV4);
	NO_RESET("guard_fwd", match_state(0xa, 0, NEQ); TCP);
	NO_RESET("guard_fwd", UNKNOWN; ICMP);
	NO_RESET("guard_fwd", UNKNOWN;
		 match_meta(NFT_META_L4PROTO, NEQ, IPPROTO_TCP));
	NO_RESET("guard_fwd", UNKNOWN; match_meta(NFT_META_NFPROTO, EQ, 6));
}

static void
element(const char *set, const void *key, size_t klen, const void *end,
    const void *data, size_t dlen)
{
	struct nlattr *l, *e;

	begin();
	message(NFT_MSG_NEWSETELEM, NLM_F_CREATE);
	mnl_attr_put_strz(hand.nlh, NFTA_SET_ELEM_LIST_TABLE, "hagw");
	mnl_attr_put_strz(hand.nlh, NFTA_SET_ELEM_LIST_SET, set);
	l = mnl_attr_nest_start(hand.nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	e = mnl_attr_nest_start(hand.nlh, 1);
	value(NFTA_SET_ELEM_KEY, key, klen);
	if (end != NULL)
		value(NFTA_SET_ELEM_KEY_END, end, klen);
	if (data != NULL)
		value(NFTA_SET_ELEM_DATA, data, dlen);
	mnl_attr_nest_end(hand.nlh, e);
	mnl_attr_nest_end(hand.nlh, l);
}

static void
test_elements(void **state)
{
	uint8_t key[12] = {192, 0, 2, 9, 6, 0, 0, 0, 1, 187, 0, 0};
	uint8_t end[12] = {192, 0, 2, 9, 6, 0, 0, 0, 2, 0, 0, 0};
	uint8_t to[8] = {10, 0, 0, 20, 1, 187, 0, 0};
	uint8_t family = 2;

	(void)state;
	element("fwd4", key, 12, NULL, to, 8);
	end_passes();
	element("fwd4r", key, 12, end, to, 4);
	end_passes();
	element("fwd4", key, 12, NULL, to, 4);
	end_refuses("data of 4 bytes");
	element("fwd4", key, 12, end, to, 8);
	end_refuses("last key");
	element("fwd4r", key, 12, NULL, to, 4);
	end_refuses("last key");
	element("fwd4", key, 8, NULL, to, 8);
	end_refuses("key of 8 bytes");
	element("fwd4r", end, 12, key, to, 4);
	end_refuses("ports 512-443");
	element("grace", &family, 1, NULL, NULL, 0); /* for ever */
	end_refuses("not bounded");
	key[4] = IPPROTO_ICMP;
	element("fwd4", key, 12, NULL, to, 8);
	end_refuses("protocol 1");
	key[4] = IPPROTO_TCP;
	key[5] = 1;
	element("fwd4", key, 12, NULL, to, 8);
	end_refuses("protocol");
	element("other", key, 12, NULL, to, 8);
	end_refuses("set \"other\"");
}

/* Every byte, every bit of a real batch: no crash, and mostly refused. */
static void
test_flips(void **state)
{
	struct nat_batch b = full_batch(conf);
	uint8_t *copy = malloc(b.len);
	size_t i, let = 0;
	int bit;

	(void)state;
	assert_non_null(copy);
	for (i = 0; i < b.len; i++) {
		memcpy(copy, b.data, b.len);
		for (bit = 0; bit < 8; bit++) {
			copy[i] = b.data[i] ^ (uint8_t)(1 << bit);
			let += authz_nat(&view, copy, b.len) == NULL;
		}
	}
	/* sequence numbers, values compared with, the marker: data */
	assert_true(let * 4 < b.len * 8);
	free(copy);
	nft_batch_free(&b);
}

/* Cut anywhere; the copy is as long as that, for the sanitizer to see. */
static void
test_cuts(void **state)
{
	struct nat_batch b = full_batch(conf);
	uint8_t *copy;
	size_t len;

	(void)state;
	for (len = 0; len < b.len; len++) {
		copy = malloc(len + (len == 0));
		assert_non_null(copy);
		memcpy(copy, b.data, len);
		assert_non_null(authz_nat(&view, copy, len));
		free(copy);
	}
	nft_batch_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_examples_pass),
	    cmocka_unit_test(test_changes_pass),
	    cmocka_unit_test(test_open_grace),
	    cmocka_unit_test(test_label),
	    cmocka_unit_test(test_event_mask),
	    cmocka_unit_test(test_drop_in),
	    cmocka_unit_test(test_drop_out),
	    cmocka_unit_test(test_reject),
	    cmocka_unit_test(test_registers),
	    cmocka_unit_test(test_foreign_addresses),
	    cmocka_unit_test(test_tables_and_types),
	    cmocka_unit_test(test_framing),
	    cmocka_unit_test(test_chains),
	    cmocka_unit_test(test_translation),
	    cmocka_unit_test(test_expressions),
	    cmocka_unit_test(test_verdicts),
	    cmocka_unit_test(test_chain_first),
	    cmocka_unit_test(test_elements),
	    cmocka_unit_test(test_flips),
	    cmocka_unit_test(test_cuts),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
