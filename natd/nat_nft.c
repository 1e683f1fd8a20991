/*
 * Plans and their differences as nftables batches. A batch is applied whole
 * or not at all; what it holds depends on the plan alone.
 */
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "natd.h"

#define MSG_ROOM    65536 /* no message of ours is longer */

/* nft's numbers for data types, and how it joins them */
#define T_NFPROTO   2
#define T_IPADDR    7
#define T_PROTO     12
#define T_SERVICE   13
#define T_IFNAME    41
#define T2(a, b)    ((a) << 6 | (b))
#define T3(a, b, c) (T2(a, b) << 6 | (c))
#define T_PORTKEY   T3(T_IPADDR, T_PROTO, T_SERVICE)

#define F_HASH      NFT_SET_MAP
#define F_RANGE     (NFT_SET_MAP | NFT_SET_INTERVAL | NFT_SET_CONCAT)

#define PORTKEY_LEN 12
#define SRCKEY_LEN  (4 + IFNAMSIZ)

static const struct set_def {
	const char *name;
	uint32_t flags;
	uint32_t keytype;
	uint32_t keylen;
	uint32_t datatype;
	uint32_t datalen;
	uint8_t fields[3]; /* of an interval's key, in bytes */
	uint8_t nfields;
	bool counter; /* one in each element */
} sets[NS_MAX] = {
    [NS_VIP4] = {"vip4", 0, T_IPADDR, 4, 0, 0, {0}, 0, false},
    [NS_FWD4] = {"fwd4", F_HASH, T_PORTKEY, PORTKEY_LEN,
	T2(T_IPADDR, T_SERVICE), 8, {0}, 0, true},
    [NS_FWD4R] = {"fwd4r", F_RANGE, T_PORTKEY, PORTKEY_LEN, T_IPADDR, 4,
	{4, 1, 2}, 3, true},
    [NS_SRC4] = {"src4", F_RANGE, T2(T_IPADDR, T_IFNAME), SRCKEY_LEN, T_IPADDR,
	4, {4, IFNAMSIZ}, 2, true},
    [NS_HAIR4] = {"hair4", F_HASH, T_PORTKEY, PORTKEY_LEN, T_IPADDR, 4, {0}, 0,
	false},
    [NS_HAIR4R] = {"hair4r", F_RANGE, T_PORTKEY, PORTKEY_LEN, T_IPADDR, 4,
	{4, 1, 2}, 3, false},
    [NS_GRACE] = {"grace", NFT_SET_TIMEOUT, T_NFPROTO, 1, 0, 0, {0}, 0, false},
};

#define P_RAW    (-300)
#define P_MANGLE (-150)
#define P_DSTNAT (-100)
#define P_GUARD  (-5) /* before other tables' filters see the packet */
#define P_SRCNAT 100
#define P_LAST   INT32_MAX /* after all who may drop it */

static const struct chain_def {
	const char *name;
	const char *type;
	uint32_t hook;
	int32_t prio;
} chains[NC_MAX] = {
    [NC_RAW_PRE] = {"raw_pre", "filter", NF_INET_PRE_ROUTING, P_RAW},
    [NC_RAW_OUT] = {"raw_out", "filter", NF_INET_LOCAL_OUT, P_RAW},
    [NC_EVENT_FWD] = {"event_fwd", "filter", NF_INET_FORWARD, P_MANGLE},
    [NC_EVENT_IN] = {"event_in", "filter", NF_INET_LOCAL_IN, P_MANGLE},
    [NC_EVENT_OUT] = {"event_out", "filter", NF_INET_LOCAL_OUT, P_MANGLE},
    [NC_CLOSE_FWD] = {"close_fwd", "filter", NF_INET_FORWARD, P_LAST},
    [NC_GUARD_IN] = {"guard_in", "filter", NF_INET_LOCAL_IN, P_GUARD},
    [NC_GUARD_OUT] = {"guard_out", "filter", NF_INET_LOCAL_OUT, P_GUARD},
    [NC_GUARD_FWD] = {"guard_fwd", "filter", NF_INET_FORWARD, P_GUARD},
    [NC_NAT_PRE] = {"nat_pre", "nat", NF_INET_PRE_ROUTING, P_DSTNAT},
    [NC_NAT_POST] = {"nat_post", "nat", NF_INET_POST_ROUTING, P_SRCNAT},
    [NC_STATE] = {NAT_STATE_CHAIN, NULL, 0, 0},
};

const char *
nft_set_name(enum nat_set s)
{
	return sets[s].name;
}

/* A message's header in the buffer; its payload may take MSG_ROOM bytes. */
static struct nlmsghdr *
msg_begin(struct nat_batch *b, uint16_t type, uint16_t flags, uint8_t set,
    uint8_t chain)
{
	struct nat_label *l;
	uint8_t *p;

	if (b->cap - b->len < MSG_ROOM) {
		b->cap = b->cap * 2 + 2 * MSG_ROOM;
		if ((p = realloc(b->data, b->cap)) == NULL)
			fatal("nftables batch of %zu bytes", b->cap);
		/* libmnl leaves what lies between attributes as it is */
		memset(p + b->len, 0, b->cap - b->len);
		b->data = p;
	}
	if (b->nlabels == b->lcap) {
		b->lcap = b->lcap * 2 + 64;
		l = reallocarray(b->labels, b->lcap, sizeof(*l));
		if (l == NULL)
			fatal("nftables batch of %u messages", b->lcap);
		b->labels = l;
	}
	l = &b->labels[b->nlabels++];
	memset(l, 0, sizeof(*l));
	l->set = set;
	l->chain = chain;
	l->first = NAT_NO_OBJ;
	return nftnl_nlmsg_build_hdr(
	    (char *)b->data + b->len, type, NFPROTO_INET, flags, b->nlabels);
}

static void
msg_end(struct nat_batch *b, const struct nlmsghdr *nlh)
{
	b->len += MNL_ALIGN(nlh->nlmsg_len);
}

/* What libnftnl allocates; there is nothing to do without memory. */
static void *
need(void *p)
{
	if (p == NULL)
		fatal("nftables message");
	return p;
}

static void
batch_mark(struct nat_batch *b, bool begin)
{
	struct nlmsghdr *nlh;

	/* msg_begin makes the room; the mark has a header of its own kind */
	nlh = msg_begin(b, 0, 0, NS_MAX, NC_MAX);
	if (begin)
		nftnl_batch_begin((char *)nlh, b->nlabels);
	else
		nftnl_batch_end((char *)nlh, b->nlabels);
	msg_end(b, nlh);
}

static void
put_table(struct nat_batch *b, uint16_t type, uint16_t flags)
{
	struct nftnl_table *t = need(nftnl_table_alloc());
	struct nlmsghdr *nlh = msg_begin(b, type, flags, NS_MAX, NC_MAX);

	nftnl_table_set_str(t, NFTNL_TABLE_NAME, HAGW_NFT_TABLE);
	nftnl_table_nlmsg_build_payload(nlh, t);
	nftnl_table_free(t);
	msg_end(b, nlh);
}

static void
put_chain(struct nat_batch *b, uint8_t id)
{
	const struct chain_def *d = &chains[id];
	struct nftnl_chain *c = need(nftnl_chain_alloc());
	struct nlmsghdr *nlh;

	nlh = msg_begin(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE, NS_MAX, id);
	nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, HAGW_NFT_TABLE);
	nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, d->name);
	if (d->type != NULL) {
		nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, d->type);
		nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, d->hook);
		nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, d->prio);
		nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	}
	nftnl_chain_nlmsg_build_payload(nlh, c);
	nftnl_chain_free(c);
	msg_end(b, nlh);
}

static struct nftnl_set *
set_new(uint8_t id)
{
	struct nftnl_set *s = need(nftnl_set_alloc());

	nftnl_set_set_str(s, NFTNL_SET_TABLE, HAGW_NFT_TABLE);
	nftnl_set_set_str(s, NFTNL_SET_NAME, sets[id].name);
	return s;
}

static void
put_set(struct nat_batch *b, uint8_t id)
{
	const struct set_def *d = &sets[id];
	struct nftnl_set *s = set_new(id);
	struct nlmsghdr *nlh;

	nlh = msg_begin(b, NFT_MSG_NEWSET, NLM_F_CREATE, id, NC_MAX);
	nftnl_set_set_u32(s, NFTNL_SET_ID, id + 1);
	nftnl_set_set_u32(s, NFTNL_SET_FLAGS, d->flags);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, d->keytype);
	nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, d->keylen);
	if (d->datalen != 0) {
		nftnl_set_set_u32(s, NFTNL_SET_DATA_TYPE, d->datatype);
		nftnl_set_set_u32(s, NFTNL_SET_DATA_LEN, d->datalen);
	}
	if (d->nfields != 0)
		nftnl_set_set_data(
		    s, NFTNL_SET_DESC_CONCAT, d->fields, d->nfields);
	if (d->counter)
		nftnl_set_add_expr(s, need(nftnl_expr_alloc("counter")));
	nftnl_set_nlmsg_build_payload(nlh, s);
	nftnl_set_free(s);
	msg_end(b, nlh);
}

/* An element's key, or with end its last one; each field starts at 4 bytes. */
static size_t
key_write(uint8_t *buf, const struct nat_elem *e, bool end)
{
	uint16_t port = htons(end ? e->hi : e->lo);

	memset(buf, 0, SRCKEY_LEN);
	memcpy(buf, &e->addr, 4);
	if (e->set == NS_SRC4) {
		if (end)
			memcpy(buf, &e->addr_end, 4);
		memcpy(buf + 4, e->ifname, IFNAMSIZ);
	} else if (sets[e->set].keylen == PORTKEY_LEN) {
		buf[4] = e->proto;
		memcpy(buf + 8, &port, sizeof(port));
	}
	return sets[e->set].keylen;
}

int
nft_key_read(struct nat_elem *e, enum nat_set set, const void *key, size_t len,
    const void *key_end, size_t end_len)
{
	const uint8_t *k = key, *end = key_end;
	uint16_t port;

	memset(e, 0, sizeof(*e));
	if (end == NULL) {
		end = k;
		end_len = len;
	}
	if (len != sets[set].keylen || end_len != len || len < 4)
		return -1;
	e->set = set;
	memcpy(&e->addr, k, 4);
	if (set == NS_SRC4) {
		memcpy(&e->addr_end, end, 4);
		memcpy(e->ifname, k + 4, IFNAMSIZ);
	} else if (len == PORTKEY_LEN) {
		e->proto = k[4];
		memcpy(&port, k + 8, sizeof(port));
		e->lo = ntohs(port);
		memcpy(&port, end + 8, sizeof(port));
		e->hi = ntohs(port);
	}
	return 0;
}

static void
elem_add(struct nftnl_set *s, const struct nat_elem *e, bool with_data)
{
	struct nftnl_set_elem *se = need(nftnl_set_elem_alloc());
	const struct set_def *d = &sets[e->set];
	uint8_t buf[SRCKEY_LEN] = {0};
	uint16_t port = htons(e->to_port);
	size_t len;

	len = key_write(buf, e, false);
	nftnl_set_elem_set(se, NFTNL_SET_ELEM_KEY, buf, len);
	if (d->nfields != 0) {
		len = key_write(buf, e, true);
		nftnl_set_elem_set(se, NFTNL_SET_ELEM_KEY_END, buf, len);
	}
	if (with_data && d->datalen != 0) {
		memset(buf, 0, sizeof(buf));
		memcpy(buf, &e->to, 4);
		if (d->datalen == 8)
			memcpy(buf + 4, &port, sizeof(port));
		nftnl_set_elem_set(se, NFTNL_SET_ELEM_DATA, buf, d->datalen);
	}
	nftnl_set_elem_add(s, se);
}

/* Elements of one set, no more than a message holds. */
static void
put_some(struct nat_batch *b, uint16_t type, const struct nat_elem *const *e,
    size_t n)
{
	bool add = type == NFT_MSG_NEWSETELEM;
	struct nftnl_set *s = set_new(e[0]->set);
	struct nlmsghdr *nlh;
	struct nat_label *l;
	size_t i;

	nlh = msg_begin(
	    b, type, add ? NLM_F_CREATE | NLM_F_EXCL : 0, e[0]->set, NC_MAX);
	l = &b->labels[b->nlabels - 1];
	l->first = add ? e[0]->obj : NAT_NO_OBJ;
	l->last = add ? e[n - 1]->obj : NAT_NO_OBJ;
	for (i = 0; i < n; i++)
		elem_add(s, e[i], add);
	nftnl_set_elems_nlmsg_build_payload(nlh, s);
	nftnl_set_free(s);
	msg_end(b, nlh);
}

static void
put_elems(struct nat_batch *b, uint16_t type, const struct nat_elem *const *e,
    size_t n)
{
	size_t i = 0, j;

	while (i < n) {
		for (j = i + 1; j < n && j - i < NAT_ELEMS_PER_MSG; j++) {
			if (e[j]->set != e[i]->set)
				break;
		}
		put_some(b, type, e + i, j - i);
		i = j;
	}
}

static struct nftnl_rule *
rule_new(uint8_t chain)
{
	struct nftnl_rule *r = need(nftnl_rule_alloc());

	nftnl_rule_set_str(r, NFTNL_RULE_TABLE, HAGW_NFT_TABLE);
	nftnl_rule_set_str(r, NFTNL_RULE_CHAIN, chains[chain].name);
	return r;
}

static void
put_rule(struct nat_batch *b, struct nftnl_rule *r, uint16_t type,
    uint16_t flags, uint8_t chain)
{
	struct nlmsghdr *nlh = msg_begin(b, type, flags, NS_MAX, chain);

	nftnl_rule_nlmsg_build_payload(nlh, r);
	nftnl_rule_free(r);
	msg_end(b, nlh);
}

#define RULE_APPEND (NLM_F_CREATE | NLM_F_APPEND)

static void
put_chain_rules(struct nat_batch *b, const struct nat_plan *p, uint8_t chain)
{
	const struct nat_rule *n;
	struct nftnl_rule *r;
	size_t i;

	for (i = 0; i < p->nrules; i++) {
		n = &p->rules[i];
		if (n->chain != chain)
			continue;
		r = rule_new(chain);
		rule_build(r, n);
		put_rule(b, r, NFT_MSG_NEWRULE, RULE_APPEND, chain);
	}
}

/* The marker: which plan this is, told to whoever reads the table. */
static void
put_marker(struct nat_batch *b, const struct nat_plan *p)
{
	struct nftnl_udata_buf *u;
	struct nftnl_rule *r = rule_new(NC_STATE);
	char text[sizeof("plan=") + 2 * NAT_HASH_LEN] = "plan=";
	int i;

	for (i = 0; i < NAT_HASH_LEN; i++)
		snprintf(text + 5 + 2 * i, 3, "%02x", p->hash[i]);
	u = need(nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN));
	nftnl_udata_put_strz(u, NFTNL_UDATA_RULE_COMMENT, text);
	nftnl_rule_set_data(r, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(u),
	    nftnl_udata_buf_len(u));
	nftnl_udata_buf_free(u);
	expr_verdict(r, (uint32_t)NFT_CONTINUE);
	put_rule(b, r, NFT_MSG_NEWRULE, RULE_APPEND, NC_STATE);
}

static void
put_flush_chain(struct nat_batch *b, uint8_t chain)
{
	put_rule(b, rule_new(chain), NFT_MSG_DELRULE, 0, chain);
}

size_t
nft_nrules(const struct nat_plan *p)
{
	return p->nrules + 1;
}

int
nft_full(struct nat_batch *b, const struct nat_plan *p)
{
	const struct nat_elem **e;
	size_t i;

	if ((e = calloc(p->nelems + 1, sizeof(*e))) == NULL)
		return -1;
	for (i = 0; i < p->nelems; i++)
		e[i] = &p->elems[i];
	batch_mark(b, true);
	/* created when missing, so that it can be deleted, whatever it held */
	put_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	put_table(b, NFT_MSG_DELTABLE, 0);
	put_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	for (i = 0; i < NS_MAX; i++)
		put_set(b, i);
	for (i = 0; i < NC_MAX; i++)
		put_chain(b, i);
	put_elems(b, NFT_MSG_NEWSETELEM, e, p->nelems);
	for (i = 0; i < NC_MAX; i++)
		put_chain_rules(b, p, i);
	put_marker(b, p);
	batch_mark(b, false);
	free(e);
	return 0;
}

int
nft_delta(
    struct nat_batch *b, const struct nat_delta *d, const struct nat_plan *to)
{
	uint8_t c;

	batch_mark(b, true);
	/* first out, then in: a new range may lie where an old one was */
	put_elems(b, NFT_MSG_DELSETELEM, d->del, d->ndel);
	put_elems(b, NFT_MSG_NEWSETELEM, d->add, d->nadd);
	for (c = 0; c < NC_MAX; c++) {
		if (!d->chain[c])
			continue;
		put_flush_chain(b, c);
		put_chain_rules(b, to, c);
	}
	put_flush_chain(b, NC_STATE);
	put_marker(b, to);
	batch_mark(b, false);
	return 0;
}

static void
grace_add(struct nftnl_set *s, uint8_t family, uint64_t timeout_ms)
{
	struct nftnl_set_elem *e = need(nftnl_set_elem_alloc());

	nftnl_set_elem_set(e, NFTNL_SET_ELEM_KEY, &family, sizeof(family));
	if (timeout_ms != NAT_GRACE_OPEN)
		nftnl_set_elem_set_u64(e, NFTNL_SET_ELEM_TIMEOUT, timeout_ms);
	nftnl_set_elem_add(s, e);
}

/* The set is emptied first: adding what is there does not prolong it. */
int
nft_grace(struct nat_batch *b, uint64_t timeout_ms)
{
	struct nftnl_set *s = set_new(NS_GRACE);
	struct nlmsghdr *nlh;

	batch_mark(b, true);
	nlh = msg_begin(b, NFT_MSG_DELSETELEM, 0, NS_GRACE, NC_MAX);
	nftnl_set_elems_nlmsg_build_payload(nlh, s);
	msg_end(b, nlh);
	if (timeout_ms != 0) {
		grace_add(s, NFPROTO_IPV4, timeout_ms);
		grace_add(s, NFPROTO_IPV6, timeout_ms);
		nlh = msg_begin(
		    b, NFT_MSG_NEWSETELEM, NLM_F_CREATE, NS_GRACE, NC_MAX);
		nftnl_set_elems_nlmsg_build_payload(nlh, s);
		msg_end(b, nlh);
	}
	nftnl_set_free(s);
	batch_mark(b, false);
	return 0;
}

void
nft_batch_free(struct nat_batch *b)
{
	free(b->data);
	free(b->labels);
	memset(b, 0, sizeof(*b));
}

static const char *
obj_name(const struct conf *c, uint8_t set, uint32_t i)
{
	if (set == NS_SRC4)
		return i < c->h.nsources ? c->sources[i].name : "?";
	return i < c->h.nforwards ? c->forwards[i].name : "?";
}

void
nft_label_str(const struct nat_batch *b, uint32_t seq, const struct conf *c,
    char *buf, size_t bufsz)
{
	const struct nat_label *l;

	if (seq == 0 || seq > b->nlabels) {
		snprintf(buf, bufsz, "table %s", HAGW_NFT_TABLE);
		return;
	}
	l = &b->labels[seq - 1];
	if (l->chain != NC_MAX)
		snprintf(buf, bufsz, "chain %s", chains[l->chain].name);
	else if (l->set == NS_MAX)
		snprintf(buf, bufsz, "table %s", HAGW_NFT_TABLE);
	else if (l->set == NS_VIP4 || l->first == NAT_NO_OBJ)
		snprintf(buf, bufsz, "set %s", sets[l->set].name);
	else if (l->first == l->last)
		snprintf(buf, bufsz, "map %s (\"%s\")", sets[l->set].name,
		    obj_name(c, l->set, l->first));
	else
		snprintf(buf, bufsz, "map %s (\"%s\" to \"%s\")",
		    sets[l->set].name, obj_name(c, l->set, l->first),
		    obj_name(c, l->set, l->last));
}
