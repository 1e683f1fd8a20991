/*
 * May this batch go to the kernel? natd builds it, but natd is not trusted:
 * every message and every attribute is walked here, and what is not in a
 * table is refused. Pure.
 *
 * What is confined: the table (inet hagw), the kinds of messages, the shape
 * of its sets and chains, the addresses in its maps (virtual addresses and
 * hosts of forwards, both of the configuration), the expressions of its
 * rules. A rule translates only by one of those maps, jumps nowhere, and
 * writes nothing into a packet.
 */
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "authz_nat.h"

#define MSG_ALIGN 4

int
walk_refuse(struct walk *w, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	if (w->what != NULL)
		n = (size_t)snprintf(w->why, sizeof(w->why),
		    "nat batch: message %u (%s): ", w->msg, w->what);
	else
		n = (size_t)snprintf(
		    w->why, sizeof(w->why), "nat batch: message %u: ", w->msg);
	va_start(ap, fmt);
	vsnprintf(w->why + n, sizeof(w->why) - n, fmt, ap);
	va_end(ap);
	return -1;
}

/* Header of the attribute at p: complete, aligned, padded with zeros. */
static int
attr_at(
    struct walk *w, struct attr *a, const uint8_t *p, size_t left, size_t *used)
{
	struct nlattr nla;
	size_t i;

	if (left < sizeof(nla))
		return walk_refuse(w, "%zu bytes after the attributes", left);
	memcpy(&nla, p, sizeof(nla));
	*used = NLA_ALIGN((size_t)nla.nla_len);
	if (nla.nla_len < NLA_HDRLEN || *used > left)
		return walk_refuse(w, "attribute %u: length %u of %zu",
		    nla.nla_type & NLA_TYPE_MASK, nla.nla_len, left);
	for (i = nla.nla_len; i < *used; i++)
		if (p[i] != 0)
			return walk_refuse(w, "attribute %u: padding used",
			    nla.nla_type & NLA_TYPE_MASK);
	a->type = nla.nla_type & NLA_TYPE_MASK;
	a->flags = nla.nla_type & (uint16_t)~NLA_TYPE_MASK;
	a->data = p + NLA_HDRLEN;
	a->len = nla.nla_len - NLA_HDRLEN;
	return 0;
}

/* A string with one NUL, at its end. */
static bool
is_string(const struct attr *a, size_t max)
{
	return a->len > 1 && a->len <= max &&
	    memchr(a->data, '\0', a->len) == a->data + a->len - 1;
}

static int
attr_kind(struct walk *w, const struct attr *a, const struct attr_rule *r)
{
	uint16_t flags = r->kind == K_NEST ? NLA_F_NESTED : 0;
	bool ok = false;

	if (a->flags != flags)
		return walk_refuse(
		    w, "%s: attribute flags 0x%x", r->name, a->flags);
	switch (r->kind) {
	case K_NEST:
		return 0;
	case K_U8:
		ok = a->len == sizeof(uint8_t);
		break;
	case K_U32:
		ok = a->len == sizeof(uint32_t);
		break;
	case K_U64:
		ok = a->len == sizeof(uint64_t);
		break;
	case K_STR:
		ok = is_string(a, r->max);
		break;
	case K_BIN:
		ok = a->len > 0 && a->len <= r->max;
		break;
	}
	if (!ok)
		return walk_refuse(w, "%s: %zu bytes", r->name, a->len);
	return 0;
}

static const struct attr_rule *
rule_of(const struct attr_list *l, uint16_t type)
{
	size_t i;

	if (l->array)
		return &l->rules[0];
	for (i = 0; i < l->n; i++)
		if (l->rules[i].type == type)
			return &l->rules[i];
	return NULL;
}

int
walk_attrs(
    struct walk *w, const uint8_t *p, size_t len, const struct attr_list *l)
{
	const struct attr_rule *r;
	uint32_t seen = 0, bit;
	struct attr a;
	size_t used = 0, i;

	for (; len > 0; p += used, len -= used) {
		if (attr_at(w, &a, p, len, &used) == -1)
			return -1;
		if ((r = rule_of(l, a.type)) == NULL)
			return walk_refuse(w,
			    "attribute %u is not allowed in "
			    "%s",
			    a.type, l->name);
		bit = 1u << (r - l->rules);
		if ((seen & bit) && r->count != REPEATED)
			return walk_refuse(w, "%s stands twice", r->name);
		seen |= bit;
		if (attr_kind(w, &a, r) == -1 ||
		    (r->fn != NULL && r->fn(w, &a) == -1))
			return -1;
	}
	for (i = 0; i < l->n; i++)
		if (l->rules[i].count == REQUIRED && !(seen & 1u << i))
			return walk_refuse(
			    w, "%s is missing", l->rules[i].name);
	return 0;
}

uint32_t
attr_u32(const struct attr *a)
{
	uint32_t v;

	memcpy(&v, a->data, sizeof(v));
	return ntohl(v);
}

static int
on_table(struct walk *w, const struct attr *a)
{
	if (strcmp((const char *)a->data, HAGW_NFT_TABLE) != 0)
		return walk_refuse(
		    w, "table \"%.40s\" is not hagw's", (const char *)a->data);
	return 0;
}

#define TABLE(id)                                                       \
	{                                                               \
		id, K_STR, REQUIRED, NFT_NAME_MAXLEN, "table", on_table \
	}

static const struct attr_rule table_attrs[] = {TABLE(NFTA_TABLE_NAME)};

/* Chains by name: a rogue one could see packets that are nobody's business. */
static const struct chain_rule {
	const char *name;
	const char *type; /* NULL: no hook */
	uint32_t hook;
	int32_t prio;
	unsigned int drops; /* SEEN_*, all of them; 0: never */
	unsigned int resets; /* the same, to reject with a RST */
} chain_rules[] = {
    {"raw_pre", "filter", NF_INET_PRE_ROUTING, -300, 0, 0},
    {"raw_out", "filter", NF_INET_LOCAL_OUT, -300, 0, 0},
    {"event_fwd", "filter", NF_INET_FORWARD, -150, 0, 0},
    {"event_in", "filter", NF_INET_LOCAL_IN, -150, 0, 0},
    {"event_out", "filter", NF_INET_LOCAL_OUT, -150, 0, 0},
    {"close_fwd", "filter", NF_INET_FORWARD, INT32_MAX, 0, 0},
    {"guard_in", "filter", NF_INET_LOCAL_IN, -5,
	SEEN_UNKNOWN | SEEN_TCP | SEEN_TOVIP, 0},
    {"guard_out", "filter", NF_INET_LOCAL_OUT, -5,
	SEEN_ICMP | SEEN_UNREACH | SEEN_FROMVIP, 0},
    {"guard_fwd", "filter", NF_INET_FORWARD, -5, 0, SEEN_UNKNOWN | SEEN_TCP},
    {"nat_pre", "nat", NF_INET_PRE_ROUTING, -100, 0, 0},
    {"nat_post", "nat", NF_INET_POST_ROUTING, 100, 0, 0},
    {"hagw_state", NULL, 0, 0, 0, 0},
};

unsigned int
chain_drops(const struct chain_rule *c)
{
	return c->drops;
}

unsigned int
chain_resets(const struct chain_rule *c)
{
	return c->resets;
}

static int
on_chain(struct walk *w, const struct attr *a)
{
	size_t i;

	for (i = 0; i < nitems(chain_rules); i++) {
		if (strcmp((const char *)a->data, chain_rules[i].name) != 0)
			continue;
		w->chain = &chain_rules[i];
		return 0;
	}
	return walk_refuse(
	    w, "chain \"%.40s\" is not known", (const char *)a->data);
}

static int
on_hooknum(struct walk *w, const struct attr *a)
{
	w->hook.num = attr_u32(a);
	return 0;
}

static int
on_prio(struct walk *w, const struct attr *a)
{
	w->hook.prio = (int32_t)attr_u32(a);
	return 0;
}

static const struct attr_rule hook_attrs[] = {
    {NFTA_HOOK_HOOKNUM, K_U32, REQUIRED, 0, "hook number", on_hooknum},
    {NFTA_HOOK_PRIORITY, K_U32, REQUIRED, 0, "priority", on_prio},
};
static const struct attr_list hook_list = LIST("hook", hook_attrs);

static int
on_hook(struct walk *w, const struct attr *a)
{
	w->hook.there = true;
	return walk_attrs(w, a->data, a->len, &hook_list);
}

static int
on_policy(struct walk *w, const struct attr *a)
{
	if (attr_u32(a) != NF_ACCEPT)
		return walk_refuse(w, "policy %u", attr_u32(a));
	return 0;
}

static int
on_chain_type(struct walk *w, const struct attr *a)
{
	w->hook.type = (const char *)a->data;
	return 0;
}

static const struct attr_rule chain_attrs[] = {
    TABLE(NFTA_CHAIN_TABLE),
    {NFTA_CHAIN_NAME, K_STR, REQUIRED, NFT_NAME_MAXLEN, "chain", on_chain},
    {NFTA_CHAIN_HOOK, K_NEST, ONCE, 0, "hook", on_hook},
    {NFTA_CHAIN_POLICY, K_U32, ONCE, 0, "policy", on_policy},
    {NFTA_CHAIN_TYPE, K_STR, ONCE, 16, "chain type", on_chain_type},
};

static int
chain_done(struct walk *w)
{
	const struct chain_rule *c = w->chain;

	if (c->type == NULL) {
		if (w->hook.there || w->hook.type != NULL)
			return walk_refuse(w, "%s takes no hook", c->name);
		return 0;
	}
	if (!w->hook.there || w->hook.type == NULL ||
	    strcmp(w->hook.type, c->type) != 0 || w->hook.num != c->hook ||
	    w->hook.prio != c->prio)
		return walk_refuse(
		    w, "%s: another type, hook or priority", c->name);
	return 0;
}

static int
on_exprs(struct walk *w, const struct attr *a)
{
	return walk_exprs(w, a->data, a->len);
}

static const struct attr_rule rule_attrs[] = {
    TABLE(NFTA_RULE_TABLE),
    {NFTA_RULE_CHAIN, K_STR, REQUIRED, NFT_NAME_MAXLEN, "chain", on_chain},
    {NFTA_RULE_EXPRESSIONS, K_NEST, REQUIRED, 0, "expressions", on_exprs},
    {NFTA_RULE_USERDATA, K_BIN, ONCE, NFT_USERDATA_MAXLEN, "userdata", NULL},
};

/* Without a handle: all rules of the chain. */
static const struct attr_rule delrule_attrs[] = {
    TABLE(NFTA_RULE_TABLE),
    {NFTA_RULE_CHAIN, K_STR, REQUIRED, NFT_NAME_MAXLEN, "chain", on_chain},
};

static const struct attr_rule set_attrs[] = {
    TABLE(NFTA_SET_TABLE),
    {NFTA_SET_NAME, K_STR, REQUIRED, NFT_NAME_MAXLEN, "set", nset_name},
    {NFTA_SET_FLAGS, K_U32, ONCE, 0, "set flags", nset_flags},
    {NFTA_SET_KEY_TYPE, K_U32, REQUIRED, 0, "key type", nset_keytype},
    {NFTA_SET_KEY_LEN, K_U32, REQUIRED, 0, "key length", nset_keylen},
    {NFTA_SET_DATA_TYPE, K_U32, ONCE, 0, "data type", nset_datatype},
    {NFTA_SET_DATA_LEN, K_U32, ONCE, 0, "data length", nset_datalen},
    {NFTA_SET_ID, K_U32, REQUIRED, 0, "set id", NULL},
    {NFTA_SET_DESC, K_NEST, ONCE, 0, "set description", nset_desc},
    {NFTA_SET_EXPR, K_NEST, ONCE, 0, "element expression", nset_expr},
};

static const struct attr_rule elem_attrs[] = {
    TABLE(NFTA_SET_ELEM_LIST_TABLE),
    {NFTA_SET_ELEM_LIST_SET, K_STR, REQUIRED, NFT_NAME_MAXLEN, "set",
	nset_name},
    {NFTA_SET_ELEM_LIST_ELEMENTS, K_NEST, ONCE, 0, "elements", nset_elems},
};

static const struct msg_rule {
	const char *what;
	uint16_t type;
	uint16_t flags; /* may be set beyond NLM_F_REQUEST */
	struct attr_list attrs;
	int (*done)(struct walk *);
} msg_rules[] = {
    {"new table", NFT_MSG_NEWTABLE, NLM_F_CREATE, LIST("a table", table_attrs),
	NULL},
    {"delete table", NFT_MSG_DELTABLE, 0, LIST("a table", table_attrs), NULL},
    {"new chain", NFT_MSG_NEWCHAIN, NLM_F_CREATE, LIST("a chain", chain_attrs),
	chain_done},
    {"new rule", NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND,
	LIST("a rule", rule_attrs), NULL},
    {"delete rules", NFT_MSG_DELRULE, 0, LIST("rules", delrule_attrs), NULL},
    {"new set", NFT_MSG_NEWSET, NLM_F_CREATE, LIST("a set", set_attrs),
	nset_done},
    {"new elements", NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL,
	LIST("elements", elem_attrs), nset_elems_done},
    {"delete elements", NFT_MSG_DELSETELEM, 0, LIST("elements", elem_attrs),
	nset_elems_done},
};

static const struct msg_rule *
msg_rule(uint16_t type)
{
	size_t i;

	if (type >> 8 != NFNL_SUBSYS_NFTABLES)
		return NULL;
	for (i = 0; i < nitems(msg_rules); i++)
		if (msg_rules[i].type == (type & 0xff))
			return &msg_rules[i];
	return NULL;
}

static int
check_object(struct walk *w, const struct nlmsghdr *h, const struct nfgenmsg *g,
    const uint8_t *p, size_t len)
{
	const struct msg_rule *r = msg_rule(h->nlmsg_type);

	if (r == NULL)
		return walk_refuse(
		    w, "type 0x%x is not allowed", h->nlmsg_type);
	w->what = r->what;
	w->deleting = r->type == NFT_MSG_DELSETELEM;
	if ((h->nlmsg_flags & ~r->flags) != NLM_F_REQUEST)
		return walk_refuse(w, "flags 0x%x", h->nlmsg_flags);
	if (g->nfgen_family != NFPROTO_INET || g->res_id != 0)
		return walk_refuse(w, "family %u", g->nfgen_family);
	if (walk_attrs(w, p, len, &r->attrs) == -1)
		return -1;
	return r->done == NULL ? 0 : r->done(w);
}

/* BEGIN and END: nothing but the header, and the subsystem it is for. */
static int
check_mark(struct walk *w, const struct nlmsghdr *h, const struct nfgenmsg *g,
    uint16_t type, size_t len)
{
	if (h->nlmsg_type != type)
		return walk_refuse(w, "type 0x%x where the batch has to %s",
		    h->nlmsg_type,
		    type == NFNL_MSG_BATCH_BEGIN ? "begin" : "end");
	if (h->nlmsg_flags != NLM_F_REQUEST || len != 0 ||
	    g->nfgen_family != AF_UNSPEC ||
	    g->res_id != htons(NFNL_SUBSYS_NFTABLES))
		return walk_refuse(w, "not an nftables batch mark");
	return 0;
}

static int
check_message(struct walk *w, const uint8_t *p, size_t len, bool last)
{
	struct nlmsghdr h;
	struct nfgenmsg g;
	size_t hdr = sizeof(h) + sizeof(g);

	memcpy(&h, p, sizeof(h));
	memcpy(&g, p + sizeof(h), sizeof(g));
	if (h.nlmsg_pid != 0 || g.version != NFNETLINK_V0)
		return walk_refuse(
		    w, "port id %u, version %u", h.nlmsg_pid, g.version);
	if (w->msg == 1)
		return check_mark(w, &h, &g, NFNL_MSG_BATCH_BEGIN, len - hdr);
	if (last)
		return check_mark(w, &h, &g, NFNL_MSG_BATCH_END, len - hdr);
	return check_object(w, &h, &g, p + hdr, len - hdr);
}

const char *
authz_nat(const struct authz_view *view, const void *msgs, size_t len)
{
	static struct walk w; /* holds the reason that is returned */
	const uint8_t *p = msgs;
	struct nlmsghdr h;
	unsigned int n;

	for (n = 1; n == 1 || len > 0; n++) {
		memset(&w, 0, sizeof(w));
		w.view = view;
		w.msg = n;
		if (len < sizeof(h) + sizeof(struct nfgenmsg)) {
			walk_refuse(&w, "%zu bytes are no message", len);
			return w.why;
		}
		memcpy(&h, p, sizeof(h));
		if (h.nlmsg_len < sizeof(h) + sizeof(struct nfgenmsg) ||
		    h.nlmsg_len > len || h.nlmsg_len % MSG_ALIGN != 0) {
			walk_refuse(&w, "length %u of %zu", h.nlmsg_len, len);
			return w.why;
		}
		len -= h.nlmsg_len;
		if (check_message(&w, p, h.nlmsg_len, len == 0) == -1)
			return w.why;
		p += h.nlmsg_len;
	}
	if (n <= 2) {
		walk_refuse(&w, "the batch does not end");
		return w.why;
	}
	return NULL;
}
