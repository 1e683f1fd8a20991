/*
 * Expressions natd may use in a rule, and with what. Pure. What is not in
 * the table (log, queue, tproxy, fwd, dup, limit, writing payloads and so
 * on) is refused by its name.
 */
#include <netinet/in.h>
#include <netinet/ip_icmp.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <string.h>

#include "authz_nat.h"

#define RULE_NAME_MAX 16 /* of an expression, with the NUL */
#define HEADER_MAX    64 /* bytes into a header, and of a value */
#define REG_2ND       NFT_REG32_01
#define OFF_SADDR     12
#define OFF_DADDR     16
#define ST_INVALID    0x1 /* what NFT_CT_STATE loads */
#define ST_NEW        0x8

static int expr_payload(struct walk *);
static int expr_meta(struct walk *);
static int expr_ct(struct walk *);
static int expr_cmp(struct walk *);
static int expr_bitwise(struct walk *);
static int expr_lookup(struct walk *);
static int expr_immediate(struct walk *);
static int expr_nat(struct walk *);
static int expr_reject(struct walk *);
static int expr_fib(struct walk *);

static int
on_number(struct walk *w, const struct attr *a)
{
	w->arg[a->type] = a->len == 1 ? a->data[0] : attr_u32(a);
	w->args |= 1u << a->type;
	return 0;
}

static int
on_value(struct walk *w, const struct attr *a)
{
	w->value.p = a->data;
	w->value.len = a->len;
	return 0;
}

static int
on_code(struct walk *w, const struct attr *a)
{
	w->verdict = true;
	w->code = attr_u32(a);
	return 0;
}

/* No chain: a verdict goes nowhere. */
static const struct attr_rule verdict_attrs[] = {
    {NFTA_VERDICT_CODE, K_U32, REQUIRED, 0, "verdict code", on_code},
};
static const struct attr_list verdict_list = LIST("a verdict", verdict_attrs);

static int
on_verdict(struct walk *w, const struct attr *a)
{
	return walk_attrs(w, a->data, a->len, &verdict_list);
}

static const struct attr_rule data_attrs[] = {
    {NFTA_DATA_VALUE, K_BIN, ONCE, HEADER_MAX, "value", on_value},
    {NFTA_DATA_VERDICT, K_NEST, ONCE, 0, "verdict", on_verdict},
};
static const struct attr_list data_list = LIST("data", data_attrs);

static int
on_data(struct walk *w, const struct attr *a)
{
	return walk_attrs(w, a->data, a->len, &data_list);
}

static int
on_mask(struct walk *w, const struct attr *a)
{
	if (on_data(w, a) == -1)
		return -1;
	w->mask = w->value;
	w->value = (struct walk_bytes){0};
	return 0;
}

static int
on_set(struct walk *w, const struct attr *a)
{
	w->looked_up = nset_find((const char *)a->data);
	if (w->looked_up == NULL)
		return walk_refuse(
		    w, "set \"%.40s\" is not known", (const char *)a->data);
	return 0;
}

#define NUM(id, count, name)                         \
	{                                            \
		id, K_U32, count, 0, name, on_number \
	}

static const struct attr_rule payload_attrs[] = {
    NUM(NFTA_PAYLOAD_DREG, REQUIRED, "register"),
    NUM(NFTA_PAYLOAD_BASE, REQUIRED, "base"),
    NUM(NFTA_PAYLOAD_OFFSET, REQUIRED, "offset"),
    NUM(NFTA_PAYLOAD_LEN, REQUIRED, "length"),
};
static const struct attr_rule meta_attrs[] = {
    NUM(NFTA_META_DREG, REQUIRED, "register"),
    NUM(NFTA_META_KEY, REQUIRED, "key"),
};
static const struct attr_rule ct_attrs[] = {
    NUM(NFTA_CT_DREG, ONCE, "register"),
    NUM(NFTA_CT_KEY, REQUIRED, "key"),
    NUM(NFTA_CT_SREG, ONCE, "source register"),
};
static const struct attr_rule cmp_attrs[] = {
    NUM(NFTA_CMP_SREG, REQUIRED, "register"),
    NUM(NFTA_CMP_OP, REQUIRED, "operation"),
    {NFTA_CMP_DATA, K_NEST, REQUIRED, 0, "data", on_data},
};
static const struct attr_rule bitwise_attrs[] = {
    NUM(NFTA_BITWISE_SREG, REQUIRED, "register"),
    NUM(NFTA_BITWISE_DREG, REQUIRED, "register"),
    NUM(NFTA_BITWISE_LEN, REQUIRED, "length"),
    NUM(NFTA_BITWISE_OP, ONCE, "operation"),
    {NFTA_BITWISE_MASK, K_NEST, REQUIRED, 0, "mask", on_mask},
    {NFTA_BITWISE_XOR, K_NEST, REQUIRED, 0, "xor", on_data},
};
static const struct attr_rule lookup_attrs[] = {
    {NFTA_LOOKUP_SET, K_STR, REQUIRED, NFT_NAME_MAXLEN, "set", on_set},
    NUM(NFTA_LOOKUP_SREG, REQUIRED, "register"),
    NUM(NFTA_LOOKUP_DREG, ONCE, "register"),
    NUM(NFTA_LOOKUP_FLAGS, ONCE, "flags"),
};
static const struct attr_rule immediate_attrs[] = {
    NUM(NFTA_IMMEDIATE_DREG, REQUIRED, "register"),
    {NFTA_IMMEDIATE_DATA, K_NEST, REQUIRED, 0, "data", on_data},
};
static const struct attr_rule nat_attrs[] = {
    NUM(NFTA_NAT_TYPE, REQUIRED, "type"),
    NUM(NFTA_NAT_FAMILY, REQUIRED, "family"),
    NUM(NFTA_NAT_REG_ADDR_MIN, REQUIRED, "register"),
    NUM(NFTA_NAT_REG_PROTO_MIN, ONCE, "port register"),
};
static const struct attr_rule reject_attrs[] = {
    NUM(NFTA_REJECT_TYPE, REQUIRED, "type"),
    {NFTA_REJECT_ICMP_CODE, K_U8, ONCE, 0, "code", on_number},
};
static const struct attr_rule fib_attrs[] = {
    NUM(NFTA_FIB_DREG, REQUIRED, "register"),
    NUM(NFTA_FIB_RESULT, REQUIRED, "result"),
    NUM(NFTA_FIB_FLAGS, REQUIRED, "flags"),
};
static const struct attr_rule counter_attrs[] = {
    {NFTA_COUNTER_BYTES, K_U64, ONCE, 0, "bytes", NULL},
    {NFTA_COUNTER_PACKETS, K_U64, ONCE, 0, "packets", NULL},
};

static const struct expr_rule {
	struct attr_list attrs;
	int (*done)(struct walk *);
	bool set; /* in a set's definition, else in a rule */
} expr_rules[] = {
    {LIST("payload", payload_attrs), expr_payload, false},
    {LIST("meta", meta_attrs), expr_meta, false},
    {LIST("ct", ct_attrs), expr_ct, false},
    {LIST("cmp", cmp_attrs), expr_cmp, false},
    {LIST("bitwise", bitwise_attrs), expr_bitwise, false},
    {LIST("lookup", lookup_attrs), expr_lookup, false},
    {LIST("immediate", immediate_attrs), expr_immediate, false},
    {LIST("nat", nat_attrs), expr_nat, false},
    {LIST("reject", reject_attrs), expr_reject, false},
    {LIST("fib", fib_attrs), expr_fib, false},
    {{"notrack", NULL, 0, false}, NULL, false},
    {LIST("counter", counter_attrs), NULL, true},
};

static bool
has(const struct walk *w, uint16_t arg)
{
	return w->args & 1u << arg;
}

static int
refuse_arg(struct walk *w, const char *what, uint32_t value)
{
	return walk_refuse(
	    w, "%s: %s %u is not allowed", w->expr->attrs.name, what, value);
}

/* An IPv6 packet has other bytes there. */
static enum holds
payload_holds(const struct walk *w)
{
	uint32_t off = w->arg[NFTA_PAYLOAD_OFFSET];
	uint32_t len = w->arg[NFTA_PAYLOAD_LEN];

	if (w->arg[NFTA_PAYLOAD_DREG] != NFT_REG_1)
		return HOLDS_ANYTHING;
	if (w->arg[NFTA_PAYLOAD_BASE] == NFT_PAYLOAD_TRANSPORT_HEADER)
		return off == 0 && len == 2 ? HOLDS_ICMP : HOLDS_ANYTHING;
	if (len != sizeof(struct in_addr) || !(w->seen & SEEN_IPV4))
		return HOLDS_ANYTHING;
	if (off == OFF_SADDR)
		return HOLDS_SADDR;
	return off == OFF_DADDR ? HOLDS_DADDR : HOLDS_ANYTHING;
}

static int
expr_payload(struct walk *w)
{
	uint32_t base = w->arg[NFTA_PAYLOAD_BASE];

	if (base != NFT_PAYLOAD_NETWORK_HEADER &&
	    base != NFT_PAYLOAD_TRANSPORT_HEADER)
		return refuse_arg(w, "base", base);
	if (w->arg[NFTA_PAYLOAD_OFFSET] > HEADER_MAX)
		return refuse_arg(w, "offset", w->arg[NFTA_PAYLOAD_OFFSET]);
	w->holds = payload_holds(w);
	return 0;
}

static int
expr_meta(struct walk *w)
{
	uint32_t key = w->arg[NFTA_META_KEY];

	if (key != NFT_META_NFPROTO && key != NFT_META_L4PROTO &&
	    key != NFT_META_IIFNAME && key != NFT_META_OIFNAME)
		return refuse_arg(w, "key", key);
	if (w->arg[NFTA_META_DREG] == NFT_REG_1 && key == NFT_META_NFPROTO)
		w->holds = HOLDS_NFPROTO;
	if (w->arg[NFTA_META_DREG] == NFT_REG_1 && key == NFT_META_L4PROTO)
		w->holds = HOLDS_L4PROTO;
	return 0;
}

/* Which events a flow reports, or a label of ours. */
static int
ct_sets(struct walk *w)
{
	uint32_t key = w->arg[NFTA_CT_KEY];

	if (w->arg[NFTA_CT_SREG] != NFT_REG_1 ||
	    !((key == NFT_CT_EVENTMASK && w->held == HOLDS_EVENTMASK) ||
		(key == NFT_CT_LABELS && w->held == HOLDS_LABEL)))
		return refuse_arg(w, "setting key", key);
	w->held = HOLDS_ANYTHING; /* that is what it was for */
	return 0;
}

/*
 * Read what a flow is like, or set what the immediate just before it has
 * given.
 */
static int
expr_ct(struct walk *w)
{
	uint32_t key = w->arg[NFTA_CT_KEY];

	if (has(w, NFTA_CT_SREG) == has(w, NFTA_CT_DREG))
		return walk_refuse(w, "ct: neither read nor set");
	if (has(w, NFTA_CT_SREG))
		return ct_sets(w);
	if (key != NFT_CT_STATE && key != NFT_CT_STATUS &&
	    key != NFT_CT_DIRECTION && key != NFT_CT_LABELS)
		return refuse_arg(w, "key", key);
	if (key == NFT_CT_STATE && w->arg[NFTA_CT_DREG] == NFT_REG_1)
		w->holds = HOLDS_STATE;
	return 0;
}

static bool
value_is(const struct walk *w, const void *data, size_t len)
{
	return w->value.len == len && memcmp(w->value.p, data, len) == 0;
}

/* What gets past a comparison of the first register. */
static unsigned int
cmp_sees(const struct walk *w)
{
	static const struct {
		enum holds held;
		uint32_t op;
		size_t len;
		uint8_t value[4];
		unsigned int seen;
	} table[] = {
	    {HOLDS_NFPROTO, NFT_CMP_EQ, 1, {NFPROTO_IPV4}, SEEN_IPV4},
	    {HOLDS_L4PROTO, NFT_CMP_EQ, 1, {IPPROTO_TCP}, SEEN_TCP},
	    {HOLDS_L4PROTO, NFT_CMP_EQ, 1, {IPPROTO_ICMP}, SEEN_ICMP},
	    {HOLDS_ICMP, NFT_CMP_EQ, 2, {ICMP_UNREACH, ICMP_UNREACH_PORT},
		SEEN_UNREACH},
	    {HOLDS_UNKNOWN, NFT_CMP_NEQ, 4, {0}, SEEN_UNKNOWN},
	};

	if (w->arg[NFTA_CMP_SREG] != NFT_REG_1)
		return 0;
	for (size_t i = 0; i < nitems(table); i++)
		if (table[i].held == w->held &&
		    table[i].op == w->arg[NFTA_CMP_OP] &&
		    value_is(w, table[i].value, table[i].len))
			return table[i].seen;
	return 0;
}

static int
expr_cmp(struct walk *w)
{
	uint32_t op = w->arg[NFTA_CMP_OP];

	if (op != NFT_CMP_EQ && op != NFT_CMP_NEQ)
		return refuse_arg(w, "operation", op);
	if (w->value.p == NULL || w->verdict)
		return walk_refuse(w, "cmp: no value");
	w->seen |= cmp_sees(w);
	return 0;
}

/* Does it leave of the flow's state only what says that it is unknown? */
static bool
leaves_unknown(const struct walk *w)
{
	static const uint32_t zero = 0;
	uint32_t mask;

	if (w->held != HOLDS_STATE || w->mask.len != sizeof(mask) ||
	    w->arg[NFTA_BITWISE_SREG] != NFT_REG_1 ||
	    w->arg[NFTA_BITWISE_DREG] != NFT_REG_1 ||
	    w->arg[NFTA_BITWISE_LEN] != sizeof(mask) ||
	    !value_is(w, &zero, sizeof(zero)))
		return false;
	memcpy(&mask, w->mask.p, sizeof(mask)); /* the host's order */
	return (mask & ~(uint32_t)(ST_NEW | ST_INVALID)) == 0;
}

static int
expr_bitwise(struct walk *w)
{
	if (w->arg[NFTA_BITWISE_OP] != NFT_BITWISE_BOOL)
		return refuse_arg(w, "operation", w->arg[NFTA_BITWISE_OP]);
	if (w->value.p == NULL || w->mask.p == NULL || w->verdict)
		return walk_refuse(w, "bitwise: no value");
	if (leaves_unknown(w))
		w->holds = HOLDS_UNKNOWN;
	return 0;
}

static unsigned int
lookup_sees(const struct walk *w)
{
	if (w->looked_up != nset_find("vip4") ||
	    w->arg[NFTA_LOOKUP_FLAGS] != 0 ||
	    w->arg[NFTA_LOOKUP_SREG] != NFT_REG_1)
		return 0;
	if (w->held == HOLDS_SADDR)
		return SEEN_FROMVIP;
	return w->held == HOLDS_DADDR ? SEEN_TOVIP : 0;
}

static int
expr_lookup(struct walk *w)
{
	bool map = nset_use(w->looked_up) != NSET_MATCH;

	if (w->arg[NFTA_LOOKUP_FLAGS] & ~(uint32_t)NFT_LOOKUP_F_INV)
		return refuse_arg(w, "flag", w->arg[NFTA_LOOKUP_FLAGS]);
	if (has(w, NFTA_LOOKUP_DREG) != map ||
	    (map && w->arg[NFTA_LOOKUP_DREG] != NFT_REG_1))
		return refuse_arg(w, "register", w->arg[NFTA_LOOKUP_DREG]);
	w->seen |= lookup_sees(w);
	if (map) {
		w->mapped = w->looked_up;
		w->holds = HOLDS_MAPPED;
	}
	return 0;
}

/* One of ours, and nothing else. */
static bool
is_label(const struct walk *w)
{
	static const uint8_t zero[HAGW_CT_LABEL_AT];
	uint8_t bits;

	if (w->value.len != HAGW_CT_LABEL_LEN ||
	    memcmp(w->value.p, zero, sizeof(zero)) != 0)
		return false;
	bits = w->value.p[HAGW_CT_LABEL_AT];
	return bits == HAGW_CT_FIN_ORIG || bits == HAGW_CT_FIN_REPLY ||
	    bits == HAGW_CT_RST;
}

/* For ct alone: an address has no way from here to nat, nor to a lookup. */
static int
immediate_value(struct walk *w)
{
	if (!w->verdict && w->arg[NFTA_IMMEDIATE_DREG] == NFT_REG_1) {
		if (w->value.len == sizeof(uint32_t))
			w->holds = HOLDS_EVENTMASK;
		else if (is_label(w))
			w->holds = HOLDS_LABEL;
	}
	if (w->holds == HOLDS_ANYTHING)
		return walk_refuse(
		    w, "immediate: no event mask, nor the label");
	return 0;
}

static bool
has_seen(const struct walk *w, unsigned int need)
{
	return need != 0 && (w->seen & need) == need;
}

static int
expr_immediate(struct walk *w)
{
	if (w->arg[NFTA_IMMEDIATE_DREG] != NFT_REG_VERDICT)
		return immediate_value(w);
	if (!w->verdict || w->value.p != NULL)
		return walk_refuse(w, "immediate: no verdict");
	if (w->code != NF_ACCEPT && w->code != NF_DROP &&
	    w->code != (uint32_t)NFT_CONTINUE)
		return refuse_arg(w, "verdict", w->code);
	/* the guards drop what is the host's own, never what it forwards */
	if (w->code == NF_DROP && !has_seen(w, chain_drops(w->chain)))
		return walk_refuse(w,
		    "drop of more than a virtual address's "
		    "unknown flows");
	return 0;
}

/* Only to what the map just before it has given. */
static int
expr_nat(struct walk *w)
{
	bool snat = w->arg[NFTA_NAT_TYPE] == NFT_NAT_SNAT;
	enum nset_use use;

	if (w->held != HOLDS_MAPPED)
		return walk_refuse(w, "nat: not by a map");
	use = nset_use(w->mapped);
	if (w->arg[NFTA_NAT_TYPE] > NFT_NAT_DNAT || snat != (use == NSET_SNAT))
		return refuse_arg(w, "type", w->arg[NFTA_NAT_TYPE]);
	if (w->arg[NFTA_NAT_FAMILY] != NFPROTO_IPV4)
		return refuse_arg(w, "family", w->arg[NFTA_NAT_FAMILY]);
	if (w->arg[NFTA_NAT_REG_ADDR_MIN] != NFT_REG_1)
		return refuse_arg(w, "register", w->arg[NFTA_NAT_REG_ADDR_MIN]);
	if (has(w, NFTA_NAT_REG_PROTO_MIN) != (use == NSET_DNAT_PORT) ||
	    (use == NSET_DNAT_PORT &&
		w->arg[NFTA_NAT_REG_PROTO_MIN] != REG_2ND))
		return refuse_arg(
		    w, "port register", w->arg[NFTA_NAT_REG_PROTO_MIN]);
	return 0;
}

/* Whatever it sends, or for want of TCP sends not, the packet is dropped. */
static int
expr_reject(struct walk *w)
{
	if (w->arg[NFTA_REJECT_TYPE] != NFT_REJECT_TCP_RST)
		return refuse_arg(w, "type", w->arg[NFTA_REJECT_TYPE]);
	if (!has_seen(w, chain_resets(w->chain)))
		return walk_refuse(w,
		    "reject of more than unknown TCP flows that are "
		    "forwarded");
	return 0;
}

static int
expr_fib(struct walk *w)
{
	if (w->arg[NFTA_FIB_RESULT] != NFT_FIB_RESULT_ADDRTYPE)
		return refuse_arg(w, "result", w->arg[NFTA_FIB_RESULT]);
	if (w->arg[NFTA_FIB_FLAGS] != NFTA_FIB_F_SADDR)
		return refuse_arg(w, "flags", w->arg[NFTA_FIB_FLAGS]);
	return 0;
}

static int
on_expr_name(struct walk *w, const struct attr *a)
{
	size_t i;

	for (i = 0; i < nitems(expr_rules); i++) {
		if (strcmp(expr_rules[i].attrs.name, (const char *)a->data) !=
		    0)
			continue;
		w->expr = &expr_rules[i];
		return 0;
	}
	return walk_refuse(
	    w, "expression \"%.16s\" is not allowed", (const char *)a->data);
}

static int
on_expr_data(struct walk *w, const struct attr *a)
{
	if (w->expr == NULL)
		return walk_refuse(w, "expression without a name");
	return walk_attrs(w, a->data, a->len, &w->expr->attrs);
}

static const struct attr_rule expr_attrs[] = {
    {NFTA_EXPR_NAME, K_STR, REQUIRED, RULE_NAME_MAX, "expression",
	on_expr_name},
    {NFTA_EXPR_DATA, K_NEST, ONCE, 0, "expression data", on_expr_data},
};
static const struct attr_list expr_list = LIST("an expression", expr_attrs);

static int
walk_expr(struct walk *w, const uint8_t *p, size_t len, bool set)
{
	w->expr = NULL;
	w->args = 0;
	w->value = w->mask = (struct walk_bytes){0};
	w->verdict = false;
	memset(w->arg, 0, sizeof(w->arg));
	if (walk_attrs(w, p, len, &expr_list) == -1)
		return -1;
	if (w->expr->set != set)
		return walk_refuse(w, "expression \"%s\" has no place here",
		    w->expr->attrs.name);
	/* numbers nobody gave are 0: the checks want them given */
	if (w->expr->done == NULL)
		return 0;
	if (w->args == 0)
		return walk_refuse(w, "%s: empty", w->expr->attrs.name);
	return w->expr->done(w);
}

/* An immediate that nothing has taken. */
static bool
left_over(enum holds h)
{
	return h == HOLDS_EVENTMASK || h == HOLDS_LABEL;
}

/* What the register was given is good for the next expression alone. */
static int
on_expr(struct walk *w, const struct attr *a)
{
	w->held = w->holds;
	w->holds = HOLDS_ANYTHING;
	if (walk_expr(w, a->data, a->len, false) == -1)
		return -1;
	if (left_over(w->held))
		return walk_refuse(w, "immediate: not for the ct behind it");
	return 0;
}

static const struct attr_rule exprs_attrs[] = {
    {NFTA_LIST_ELEM, K_NEST, REPEATED, 0, "expression", on_expr},
};
static const struct attr_list exprs_list = LIST("expressions", exprs_attrs);

/* The chain's name has to come first: it decides what a rule may do. */
int
walk_exprs(struct walk *w, const uint8_t *p, size_t len)
{
	if (w->chain == NULL)
		return walk_refuse(w, "expressions before their chain");
	if (walk_attrs(w, p, len, &exprs_list) == -1)
		return -1;
	if (left_over(w->holds))
		return walk_refuse(w, "immediate: at the end of a rule");
	return 0;
}

int
walk_counter(struct walk *w, const uint8_t *p, size_t len)
{
	return walk_expr(w, p, len, true);
}
