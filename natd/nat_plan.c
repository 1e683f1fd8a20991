/*
 * The site as the table's contents: which elements, which rules. Pure; the
 * same conf always gives the same bytes, whatever the order of its lists.
 */
#include <netinet/in.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "natd.h"

/* Part of the hash: raise it when the same plan is encoded otherwise. */
#define PLAN_FORMAT 4

#define PROTO_VRRP  112

/*
 * What the kernel reports of a forwarded flow. TCP is announced when it is
 * assured, not before: a half-open connection is worth nothing to the
 * other gateway. Then it tells that it is over, when a FIN has come from
 * both sides. Two events in its life are what syncd has to read: its end is
 * not told, as the other gateway's entry ends by itself. What ends
 * otherwise is told (DESTROY).
 * UDP and ICMP count from their first packet, REPLY is their second news.
 */
#define EV(b)       (1u << IPCT_##b)
#define EV_ALL      (EV(DESTROY) | EV(ASSURED) | EV(HELPER) | EV(MARK) | EV(SEQADJ))
#define EV_TCP      EV_ALL
#define EV_TCP_RST  (EV_TCP | EV(LABEL))
#define EV_TCP_OVER EV(LABEL) /* nothing that could take it back */
#define EV_DATAGRAM (EV_ALL | EV(NEW) | EV(REPLY))

struct builder {
	const struct conf *conf;
	struct nat_plan *plan;
	char *why;
	size_t whysz;
};

static int __attribute__((format(printf, 2, 3)))
refuse(struct builder *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(b->why, b->whysz, fmt, ap);
	va_end(ap);
	return -1;
}

static void __attribute__((format(printf, 3, 4)))
warning(struct builder *b, const char *object, const char *fmt, ...)
{
	struct nat_plan *p = b->plan;
	struct nat_warning *w;
	va_list ap;

	if (p->nwarnings == NAT_WARNINGS_MAX)
		return;
	w = &p->warnings[p->nwarnings++];
	snprintf(w->object, sizeof(w->object), "%s", object);
	va_start(ap, fmt);
	vsnprintf(w->text, sizeof(w->text), fmt, ap);
	va_end(ap);
}

static int
by_addr(struct in_addr a, struct in_addr b)
{
	uint32_t x = ntohl(a.s_addr), y = ntohl(b.s_addr);

	return (x > y) - (x < y);
}

int
nat_elem_cmp(const struct nat_elem *a, const struct nat_elem *b)
{
	int r;

	if (a->set != b->set)
		return a->set - b->set;
	if ((r = by_addr(a->addr, b->addr)) != 0)
		return r;
	if (a->proto != b->proto)
		return a->proto - b->proto;
	if (a->lo != b->lo)
		return a->lo - b->lo;
	if (a->hi != b->hi)
		return a->hi - b->hi;
	if ((r = by_addr(a->addr_end, b->addr_end)) != 0)
		return r;
	return memcmp(a->ifname, b->ifname, sizeof(a->ifname));
}

static int
cmp_void(const void *a, const void *b)
{
	return nat_elem_cmp(a, b);
}

const struct nat_elem *
plan_find(const struct nat_plan *p, const struct nat_elem *key)
{
	return bsearch(key, p->elems, p->nelems, sizeof(*key), cmp_void);
}

static int
add_elem(struct builder *b, const struct nat_elem *e)
{
	struct nat_plan *p = b->plan;
	struct nat_elem *n;
	size_t cap;

	if (p->nelems == NAT_ELEMS_MAX)
		return refuse(b,
		    "nat: more than %d map elements; a range "
		    "that shifts its ports takes one for each "
		    "port",
		    NAT_ELEMS_MAX);
	if (p->nelems == p->cap) {
		cap = p->cap == 0 ? 64 : p->cap * 2;
		if ((n = reallocarray(p->elems, cap, sizeof(*n))) == NULL)
			return refuse(b, "nat: out of memory");
		p->elems = n;
		p->cap = cap;
	}
	p->elems[p->nelems++] = *e;
	return 0;
}

static struct nat_rule *
add_rule(struct builder *b, enum nat_chain chain, enum nat_rule_kind kind)
{
	struct nat_rule *r = &b->plan->rules[b->plan->nrules++];

	r->chain = chain;
	r->kind = kind;
	return r;
}

/* Any address of the network, for its prefix; 0 when it has none. */
static struct in_addr
net_prefix(const struct conf *c, int n)
{
	const struct conf_net *net = &c->h.nets[n];
	struct in_addr a = net->vip;
	int i;

	for (i = 0; a.s_addr == 0 && i < c->h.nnodes; i++)
		a = net->addr[i];
	a.s_addr &= addr_mask4(net->plen).s_addr;
	return a;
}

/* The network with a vip that holds this address, or -1. */
static int
net_of(const struct conf *c, struct in_addr a)
{
	int n;

	for (n = 0; n < c->h.nnets; n++) {
		if (c->h.nets[n].vip.s_addr != 0 &&
		    addr_in4(a, net_prefix(c, n), c->h.nets[n].plen))
			return n;
	}
	return -1;
}

static int
plan_vips(struct builder *b)
{
	struct nat_elem e = {.set = NS_VIP4};
	int n, m;

	for (n = 0; n < b->conf->h.nnets; n++) {
		e.addr = b->conf->h.nets[n].vip;
		for (m = 0; m < n; m++) {
			if (b->conf->h.nets[m].vip.s_addr == e.addr.s_addr)
				break;
		}
		if (e.addr.s_addr != 0 && m == n && add_elem(b, &e) == -1)
			return -1;
	}
	return 0;
}

/* Two sources may not claim the same packets: the kernel takes no overlap. */
static int
source_overlap(struct builder *b, const struct nat_elem *e)
{
	const struct nat_elem *o;
	size_t i;

	for (i = 0; i < b->plan->nelems; i++) {
		o = &b->plan->elems[i];
		if (o->set == NS_SRC4 && strcmp(o->ifname, e->ifname) == 0 &&
		    by_addr(o->addr, e->addr_end) <= 0 &&
		    by_addr(e->addr, o->addr_end) <= 0)
			return refuse(b,
			    "nat.source \"%s\": its addresses are those of "
			    "\"%s\"",
			    b->conf->sources[e->obj].name,
			    b->conf->sources[o->obj].name);
	}
	return 0;
}

static int
plan_source(struct builder *b, uint32_t i)
{
	const struct conf_source *s = &b->conf->sources[i];
	const struct conf_net *from = &b->conf->h.nets[s->from];
	const struct conf_net *to = &b->conf->h.nets[s->to];
	struct nat_elem e = {.set = NS_SRC4, .obj = i};

	e.addr = net_prefix(b->conf, s->from);
	if (e.addr.s_addr == 0 || to->vip.s_addr == 0) {
		warning(b, s->name, "no effect: network %s has no %s",
		    e.addr.s_addr == 0 ? from->name : to->name,
		    e.addr.s_addr == 0 ? "address" : "vip");
		return 0;
	}
	e.addr_end.s_addr = e.addr.s_addr | ~addr_mask4(from->plen).s_addr;
	e.to = to->vip;
	snprintf(e.ifname, sizeof(e.ifname), "%s", conf_ifname(b->conf, s->to));
	if (source_overlap(b, &e) == -1)
		return -1;
	return add_elem(b, &e);
}

/* What comes back to its own network must leave with that network's vip. */
static int
plan_hairpin(struct builder *b, uint32_t i)
{
	const struct conf_forward *f = &b->conf->forwards[i];
	struct nat_elem e = {.proto = f->proto, .obj = i};
	int n;

	if ((n = net_of(b->conf, f->to)) == -1) {
		warning(b, f->name,
		    "hairpin has no effect: its host is in no network with "
		    "a vip");
		return 0;
	}
	e.set = f->lo == f->hi ? NS_HAIR4 : NS_HAIR4R;
	e.addr = f->to;
	e.lo = f->to_port;
	e.hi = f->to_port + (f->hi - f->lo);
	e.to = b->conf->h.nets[n].vip;
	return add_elem(b, &e);
}

/*
 * One port is a hash key. A range that keeps its ports is one interval; one
 * that shifts them becomes hash keys, for nft's nat has no port offset.
 */
static int
plan_forward(struct builder *b, uint32_t i)
{
	const struct conf_forward *f = &b->conf->forwards[i];
	struct nat_elem e = {.proto = f->proto, .obj = i, .to = f->to};
	uint32_t port;

	e.addr = b->conf->h.nets[f->on].vip;
	if (e.addr.s_addr == 0) {
		warning(b, f->name, "no effect: network %s has no vip",
		    b->conf->h.nets[f->on].name);
		return 0;
	}
	if (f->hairpin && plan_hairpin(b, i) == -1)
		return -1;
	if (f->lo != f->hi && f->lo == f->to_port) {
		e.set = NS_FWD4R;
		e.lo = f->lo;
		e.hi = f->hi;
		return add_elem(b, &e);
	}
	e.set = NS_FWD4;
	for (port = f->lo; port <= f->hi; port++) {
		e.lo = e.hi = port;
		e.to_port = f->to_port + (port - f->lo);
		if (add_elem(b, &e) == -1)
			return -1;
	}
	return 0;
}

static bool
same_place(const struct nat_elem *a, const struct nat_elem *b)
{
	return a->set == b->set && a->addr.s_addr == b->addr.s_addr &&
	    a->proto == b->proto;
}

/*
 * Sort; two forwards of one port are an error, two hairpins to one port the
 * same element.
 */
static int
plan_sort(struct builder *b)
{
	struct nat_plan *p = b->plan;
	struct nat_elem *e, *last = NULL;
	size_t i, n = 0;

	if (p->nelems > 1)
		qsort(p->elems, p->nelems, sizeof(*p->elems), cmp_void);
	for (i = 0; i < p->nelems; i++) {
		e = &p->elems[i];
		if (last == NULL || e->set == NS_VIP4 || e->set == NS_SRC4 ||
		    !same_place(last, e) || e->lo > last->hi) {
			p->elems[n] = *e;
			last = &p->elems[n++];
			continue;
		}
		if (e->set == NS_FWD4 || e->set == NS_FWD4R)
			return refuse(b,
			    "nat.forward \"%s\": port %u is taken by \"%s\"",
			    b->conf->forwards[e->obj].name, e->lo,
			    b->conf->forwards[last->obj].name);
		if (e->hi > last->hi)
			last->hi = e->hi;
	}
	p->nelems = n;
	return 0;
}

static void
rules_raw(struct builder *b)
{
	const struct conf_sync *s = &b->conf->h.sync;
	struct nat_rule *r;
	int i;

	add_rule(b, NC_RAW_PRE, NR_NOTRACK_PROTO)->proto = PROTO_VRRP;
	for (i = 0; i < s->npaths; i++) {
		r = add_rule(b, NC_RAW_PRE, NR_NOTRACK_IN);
		r->port = s->port;
		/* what is forwarded to that port is a flow as any other */
		r->net = conf_addr(b->conf, s->paths[i]);
		snprintf(r->ifname, sizeof(r->ifname), "%s",
		    conf_ifname(b->conf, s->paths[i]));
	}
	add_rule(b, NC_RAW_OUT, NR_NOTRACK_PROTO)->proto = PROTO_VRRP;
	for (i = 0; i < s->npaths; i++) {
		r = add_rule(b, NC_RAW_OUT, NR_NOTRACK_OUT);
		r->port = s->port;
		snprintf(r->ifname, sizeof(r->ifname), "%s",
		    conf_ifname(b->conf, s->paths[i]));
	}
}

static const struct {
	uint8_t proto;
	uint8_t bit;
	uint32_t mask;
} event_table[] = {
    {IPPROTO_TCP, CONF_PROTO_TCP, EV_TCP},
    {IPPROTO_UDP, CONF_PROTO_UDP, EV_DATAGRAM},
    {IPPROTO_ICMP, CONF_PROTO_ICMP, EV_DATAGRAM},
    {IPPROTO_ICMPV6, CONF_PROTO_ICMP, EV_DATAGRAM},
};

/*
 * Last of all that see a forwarded packet, so that a FIN somebody else's rules
 * drop counts for nothing: a flow that only seems over to the kernel still
 * has its end told. (One dropped after that, in a chain of postrouting, and
 * followed by no other packet, leaves an entry at the standby until the next
 * bulk.)
 */
static void
rules_closing(struct builder *b)
{
	static const uint8_t directions[] = {
	    IP_CT_DIR_ORIGINAL, IP_CT_DIR_REPLY};
	struct nat_rule *r;
	size_t i;

	add_rule(b, NC_CLOSE_FWD, NR_NOT_TCP);
	add_rule(b, NC_CLOSE_FWD, NR_OPEN);
	add_rule(b, NC_CLOSE_FWD, NR_HELPED);
	add_rule(b, NC_CLOSE_FWD, NR_AGAIN)->mask = EV_TCP_RST;
	add_rule(b, NC_CLOSE_FWD, NR_RST)->mask = EV_TCP_RST;
	for (i = 0; i < nitems(directions); i++) {
		r = add_rule(b, NC_CLOSE_FWD, NR_FIN_LAST);
		r->direction = directions[i];
		r->mask = EV_TCP_OVER;
	}
	for (i = 0; i < nitems(directions); i++)
		add_rule(b, NC_CLOSE_FWD, NR_FIN)->direction = directions[i];
}

/*
 * The gateway's own flows are silent. Which those are shows in the hook: a
 * packet to a vip that a forward takes has a local destination before
 * dstnat, but passes forward and never input; in both hooks its flow is
 * still unconfirmed, so the mask is in time. Without synchronisation
 * nothing is masked: somebody else may be listening.
 */
static void
rules_events(struct builder *b)
{
	const struct conf_sync *s = &b->conf->h.sync;
	struct nat_rule *r;
	size_t i;

	if (s->npaths == 0)
		return;
	for (i = 0; i < nitems(event_table); i++) {
		r = add_rule(b, NC_EVENT_FWD, NR_EVENTS);
		r->proto = event_table[i].proto;
		if (s->protocols & event_table[i].bit)
			r->mask = event_table[i].mask;
	}
	add_rule(b, NC_EVENT_IN, NR_EVENTS);
	add_rule(b, NC_EVENT_OUT, NR_EVENTS);
	if (s->protocols & CONF_PROTO_TCP)
		rules_closing(b);
}

static void
rules_nat(struct builder *b)
{
	static const uint8_t hairs[] = {NS_HAIR4, NS_HAIR4R};
	struct nat_rule *r;
	size_t i;
	int n;

	add_rule(b, NC_NAT_PRE, NR_DNAT)->set = NS_FWD4;
	add_rule(b, NC_NAT_PRE, NR_DNAT)->set = NS_FWD4R;
	add_rule(b, NC_NAT_POST, NR_LOCAL_ACCEPT);
	for (n = 0; n < b->conf->h.nnets; n++) {
		if (b->conf->h.nets[n].vip.s_addr == 0)
			continue;
		for (i = 0; i < nitems(hairs); i++) {
			r = add_rule(b, NC_NAT_POST, NR_HAIRPIN);
			r->set = hairs[i];
			r->net = net_prefix(b->conf, n);
			r->plen = b->conf->h.nets[n].plen;
		}
	}
	add_rule(b, NC_NAT_POST, NR_SNAT)->set = NS_SRC4;
}

static void
plan_rules(struct builder *b)
{
	rules_raw(b);
	rules_events(b);
	add_rule(b, NC_GUARD_IN, NR_GUARD_VIP);
	add_rule(b, NC_GUARD_OUT, NR_GUARD_UNREACH);
	add_rule(b, NC_GUARD_FWD, NR_MIDSTREAM);
	add_rule(b, NC_GUARD_FWD, NR_MIDSTREAM_FIN);
	rules_nat(b);
}

static void
plan_hash(struct nat_plan *p)
{
	crypto_generichash_state st;
	uint32_t format = PLAN_FORMAT;
	size_t i;

	crypto_generichash_init(&st, NULL, 0, NAT_HASH_LEN);
	crypto_generichash_update(&st, (void *)&format, sizeof(format));
	for (i = 0; i < p->nrules; i++)
		crypto_generichash_update(
		    &st, (void *)&p->rules[i], sizeof(p->rules[i]));
	for (i = 0; i < p->nelems; i++)
		crypto_generichash_update(
		    &st, (void *)&p->elems[i], offsetof(struct nat_elem, obj));
	crypto_generichash_final(&st, p->hash, NAT_HASH_LEN);
}

static int
plan_elems(struct builder *b)
{
	uint32_t i;

	if (plan_vips(b) == -1)
		return -1;
	for (i = 0; i < b->conf->h.nsources; i++) {
		if (plan_source(b, i) == -1)
			return -1;
	}
	for (i = 0; i < b->conf->h.nforwards; i++) {
		if (plan_forward(b, i) == -1)
			return -1;
	}
	return plan_sort(b);
}

struct nat_plan *
plan_build(const struct conf *conf, char *why, size_t whysz)
{
	struct builder b = {.conf = conf, .why = why, .whysz = whysz};

	if ((b.plan = calloc(1, sizeof(*b.plan))) == NULL) {
		refuse(&b, "nat: out of memory");
		return NULL;
	}
	if (plan_elems(&b) == -1) {
		plan_free(b.plan);
		return NULL;
	}
	plan_rules(&b);
	plan_hash(b.plan);
	return b.plan;
}

void
plan_free(struct nat_plan *p)
{
	if (p == NULL)
		return;
	free(p->elems);
	free(p);
}
