/*
 * Sets and maps natd may make, and what may stand in them. Pure. Removing
 * an element is always allowed: it takes away a translation, never makes
 * one.
 */
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authz_nat.h"

#define GRACE_MAX_MS 60000
#define PORTKEY_LEN  12 /* address, protocol, port: 4 bytes each */
#define PORTDATA_LEN 8
#define SRCKEY_LEN   (4 + IFNAMSIZ)

#define RANGES       (NFT_SET_MAP | NFT_SET_INTERVAL | NFT_SET_CONCAT)

static int elem_vip(struct walk *);
static int elem_forward(struct walk *);
static int elem_source(struct walk *);
static int elem_hairpin(struct walk *);
static int elem_grace(struct walk *);

/* nft's numbers of data types: they decide nothing in the kernel. */
static const struct nset_rule {
	const char *name;
	enum nset_use use;
	int (*elem)(struct walk *);
	uint32_t flags;
	uint32_t keytype, keylen;
	uint32_t datatype, datalen;
	uint8_t fields[WALK_FIELDS_MAX];
	uint8_t nfields;
	bool counter;
} nset_rules[] = {
    {"vip4", NSET_MATCH, elem_vip, 0, 7, 4, 0, 0, {0}, 0, false},
    {"fwd4", NSET_DNAT_PORT, elem_forward, NFT_SET_MAP, 0x730d, PORTKEY_LEN,
	0x1cd, PORTDATA_LEN, {0}, 0, true},
    {"fwd4r", NSET_DNAT, elem_forward, RANGES, 0x730d, PORTKEY_LEN, 7, 4,
	{4, 1, 2}, 3, true},
    {"src4", NSET_SNAT, elem_source, RANGES, 0x1e9, SRCKEY_LEN, 7, 4,
	{4, IFNAMSIZ}, 2, true},
    {"hair4", NSET_SNAT, elem_hairpin, NFT_SET_MAP, 0x730d, PORTKEY_LEN, 7, 4,
	{0}, 0, false},
    {"hair4r", NSET_SNAT, elem_hairpin, RANGES, 0x730d, PORTKEY_LEN, 7, 4,
	{4, 1, 2}, 3, false},
    {"grace", NSET_MATCH, elem_grace, NFT_SET_TIMEOUT, 2, 1, 0, 0, {0}, 0,
	false},
};

const struct nset_rule *
nset_find(const char *name)
{
	size_t i;

	for (i = 0; i < nitems(nset_rules); i++)
		if (strcmp(nset_rules[i].name, name) == 0)
			return &nset_rules[i];
	return NULL;
}

enum nset_use
nset_use(const struct nset_rule *r)
{
	return r->use;
}

int
nset_name(struct walk *w, const struct attr *a)
{
	w->set = nset_find((const char *)a->data);
	if (w->set == NULL)
		return walk_refuse(
		    w, "set \"%.40s\" is not known", (const char *)a->data);
	return 0;
}

int
nset_flags(struct walk *w, const struct attr *a)
{
	w->def.flags = attr_u32(a);
	return 0;
}

int
nset_keytype(struct walk *w, const struct attr *a)
{
	w->def.keytype = attr_u32(a);
	return 0;
}

int
nset_keylen(struct walk *w, const struct attr *a)
{
	w->def.keylen = attr_u32(a);
	return 0;
}

int
nset_datatype(struct walk *w, const struct attr *a)
{
	w->def.datatype = attr_u32(a);
	return 0;
}

int
nset_datalen(struct walk *w, const struct attr *a)
{
	w->def.datalen = attr_u32(a);
	return 0;
}

static int
on_field_len(struct walk *w, const struct attr *a)
{
	if (w->def.nfields == WALK_FIELDS_MAX || attr_u32(a) > UINT8_MAX)
		return walk_refuse(w, "too many fields in a key");
	w->def.fields[w->def.nfields++] = (uint8_t)attr_u32(a);
	return 0;
}

static const struct attr_rule field_attrs[] = {
    {NFTA_SET_FIELD_LEN, K_U32, REQUIRED, 0, "field length", on_field_len},
};
static const struct attr_list field_list = LIST("a field", field_attrs);

static int
on_field(struct walk *w, const struct attr *a)
{
	return walk_attrs(w, a->data, a->len, &field_list);
}

static const struct attr_rule concat_attrs[] = {
    {NFTA_LIST_ELEM, K_NEST, REPEATED, 0, "field", on_field},
};
static const struct attr_list concat_list = LIST("fields", concat_attrs);

static int
on_concat(struct walk *w, const struct attr *a)
{
	return walk_attrs(w, a->data, a->len, &concat_list);
}

static const struct attr_rule desc_attrs[] = {
    {NFTA_SET_DESC_CONCAT, K_NEST, ONCE, 0, "fields", on_concat},
};
static const struct attr_list desc_list = LIST("a description", desc_attrs);

int
nset_desc(struct walk *w, const struct attr *a)
{
	return walk_attrs(w, a->data, a->len, &desc_list);
}

int
nset_expr(struct walk *w, const struct attr *a)
{
	w->def.counter = true;
	return walk_counter(w, a->data, a->len);
}

/* The definition has to be the one of its name, to the last field. */
int
nset_done(struct walk *w)
{
	const struct nset_rule *s = w->set;

	if (w->def.flags != s->flags || w->def.keytype != s->keytype ||
	    w->def.keylen != s->keylen || w->def.datatype != s->datatype ||
	    w->def.datalen != s->datalen || w->def.counter != s->counter ||
	    w->def.nfields != s->nfields ||
	    memcmp(w->def.fields, s->fields, sizeof(s->fields)) != 0)
		return walk_refuse(w, "%s: another definition", s->name);
	return 0;
}

static struct walk_bytes *
value_of(struct walk *w, uint16_t type)
{
	if (type == NFTA_SET_ELEM_KEY)
		return &w->key;
	if (type == NFTA_SET_ELEM_KEY_END)
		return &w->key_end;
	return &w->data;
}

static int
on_value(struct walk *w, const struct attr *a)
{
	w->value.p = a->data;
	w->value.len = a->len;
	return 0;
}

static const struct attr_rule value_attrs[] = {
    {NFTA_DATA_VALUE, K_BIN, REQUIRED, SRCKEY_LEN, "value", on_value},
};
static const struct attr_list value_list = LIST("a value", value_attrs);

static int
on_key(struct walk *w, const struct attr *a)
{
	if (walk_attrs(w, a->data, a->len, &value_list) == -1)
		return -1;
	*value_of(w, a->type) = w->value;
	return 0;
}

static int
on_timeout(struct walk *w, const struct attr *a)
{
	uint32_t hi, lo;

	memcpy(&hi, a->data, sizeof(hi));
	memcpy(&lo, a->data + sizeof(hi), sizeof(lo));
	w->timeout_ms = (uint64_t)ntohl(hi) << 32 | ntohl(lo);
	return 0;
}

static const struct attr_rule elem_attrs[] = {
    {NFTA_SET_ELEM_KEY, K_NEST, REQUIRED, 0, "key", on_key},
    {NFTA_SET_ELEM_KEY_END, K_NEST, ONCE, 0, "last key", on_key},
    {NFTA_SET_ELEM_DATA, K_NEST, ONCE, 0, "data", on_key},
    {NFTA_SET_ELEM_TIMEOUT, K_U64, ONCE, 0, "timeout", on_timeout},
};
static const struct attr_list elem_list = LIST("an element", elem_attrs);

/* What is the same for all sets: which parts there are, and their length. */
static int
elem_shape(struct walk *w)
{
	const struct nset_rule *s = w->set;
	bool data = s->datalen != 0 && !w->deleting;

	if (w->key.len != s->keylen)
		return walk_refuse(
		    w, "%s: key of %zu bytes", s->name, w->key.len);
	if ((w->key_end.p != NULL) != (s->nfields != 0) ||
	    (w->key_end.p != NULL && w->key_end.len != s->keylen))
		return walk_refuse(
		    w, "%s: last key of %zu bytes", s->name, w->key_end.len);
	if ((w->data.p != NULL) != data || (data && w->data.len != s->datalen))
		return walk_refuse(
		    w, "%s: data of %zu bytes", s->name, w->data.len);
	if (w->timeout_ms != 0 && !(s->flags & NFT_SET_TIMEOUT))
		return walk_refuse(w, "%s: an element that ends", s->name);
	return 0;
}

static int
on_elem(struct walk *w, const struct attr *a)
{
	memset(&w->key, 0, sizeof(w->key));
	memset(&w->key_end, 0, sizeof(w->key_end));
	memset(&w->data, 0, sizeof(w->data));
	w->timeout_ms = 0;
	if (walk_attrs(w, a->data, a->len, &elem_list) == -1 ||
	    elem_shape(w) == -1)
		return -1;
	return w->deleting ? 0 : w->set->elem(w);
}

/* libnftnl numbers the elements of a message from 1. */
static const struct attr_rule elems_attrs[] = {
    {NFTA_LIST_ELEM, K_NEST, REPEATED, 0, "element", on_elem},
};
static const struct attr_list elems_list = {
    .name = "an array of elements",
    .rules = elems_attrs,
    .n = nitems(elems_attrs),
    .array = true,
};

/* The set's name has to come first, or its elements mean nothing. */
int
nset_elems(struct walk *w, const struct attr *a)
{
	if (w->set == NULL)
		return walk_refuse(w, "elements before their set");
	w->elems = true;
	return walk_attrs(w, a->data, a->len, &elems_list);
}

int
nset_elems_done(struct walk *w)
{
	if (!w->elems && !w->deleting)
		return walk_refuse(w, "%s: no elements", w->set->name);
	return 0;
}

static in_addr_t
addr_at(const uint8_t *p)
{
	in_addr_t a;

	memcpy(&a, p, sizeof(a));
	return a;
}

static int
need_vip(struct walk *w, const uint8_t *p)
{
	const struct conf *c = w->view->conf;
	in_addr_t a = addr_at(p);
	int n;

	for (n = 0; n < c->h.nnets; n++)
		if (a != 0 && c->h.nets[n].vip.s_addr == a)
			return 0;
	return walk_refuse(w, "%s: %u.%u.%u.%u is no vip of this site",
	    w->set->name, p[0], p[1], p[2], p[3]);
}

static int
target_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(in_addr_t));
}

static int
need_target(struct walk *w, const uint8_t *p)
{
	in_addr_t a = addr_at(p);

	if (w->view->ntargets > 0 &&
	    bsearch(&a, w->view->targets, w->view->ntargets, sizeof(a),
		target_cmp) != NULL)
		return 0;
	return walk_refuse(w, "%s: no forward goes to %u.%u.%u.%u",
	    w->set->name, p[0], p[1], p[2], p[3]);
}

static uint16_t
port_at(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static bool
all_zero(const uint8_t *p, size_t n)
{
	while (n > 0 && p[n - 1] == 0)
		n--;
	return n == 0;
}

/* address . protocol . port, each in 4 bytes; the end differs by its port. */
static int
need_portkey(struct walk *w)
{
	const uint8_t *k = w->key.p;
	const uint8_t *e = w->key_end.p == NULL ? k : w->key_end.p;

	if ((k[4] != IPPROTO_TCP && k[4] != IPPROTO_UDP) ||
	    !all_zero(k + 5, 3) || !all_zero(k + 10, 2))
		return walk_refuse(w, "%s: protocol %u", w->set->name, k[4]);
	if (memcmp(k, e, 8) != 0 || !all_zero(e + 10, 2) ||
	    port_at(k + 8) == 0 || port_at(e + 8) < port_at(k + 8))
		return walk_refuse(w, "%s: ports %u-%u", w->set->name,
		    port_at(k + 8), port_at(e + 8));
	return 0;
}

static int
elem_vip(struct walk *w)
{
	return need_vip(w, w->key.p);
}

static int
elem_forward(struct walk *w)
{
	const uint8_t *d = w->data.p;

	if (need_portkey(w) == -1 || need_vip(w, w->key.p) == -1 ||
	    need_target(w, d) == -1)
		return -1;
	if (w->data.len == PORTDATA_LEN &&
	    (port_at(d + 4) == 0 || !all_zero(d + 6, 2)))
		return walk_refuse(
		    w, "%s: port %u", w->set->name, port_at(d + 4));
	return 0;
}

static bool
is_interface(const struct conf *c, const uint8_t *name)
{
	char padded[IFNAMSIZ];
	int n;

	for (n = 0; n < c->h.nnets; n++) {
		memset(padded, 0, sizeof(padded));
		snprintf(padded, sizeof(padded), "%s", conf_ifname(c, n));
		if (padded[0] != '\0' &&
		    memcmp(padded, name, sizeof(padded)) == 0)
			return true;
	}
	return false;
}

static int
elem_source(struct walk *w)
{
	const uint8_t *k = w->key.p, *e = w->key_end.p;

	if (memcmp(k, e, 4) > 0)
		return walk_refuse(w, "%s: addresses backwards", w->set->name);
	if (memcmp(k + 4, e + 4, IFNAMSIZ) != 0 ||
	    !is_interface(w->view->conf, k + 4))
		return walk_refuse(
		    w, "%s: no interface of this node", w->set->name);
	return need_vip(w, w->data.p);
}

static int
elem_hairpin(struct walk *w)
{
	if (need_portkey(w) == -1 || need_target(w, w->key.p) == -1)
		return -1;
	return need_vip(w, w->data.p);
}

static int
elem_grace(struct walk *w)
{
	if (w->key.p[0] != NFPROTO_IPV4 && w->key.p[0] != NFPROTO_IPV6)
		return walk_refuse(w, "grace: family %u", w->key.p[0]);
	/* without an end as BACKUP, and for what is under way as MASTER */
	if (w->timeout_ms == 0 && w->view->inject)
		return 0;
	if (w->timeout_ms == 0 || w->timeout_ms > GRACE_MAX_MS)
		return walk_refuse(
		    w, "grace: not bounded by %d s", GRACE_MAX_MS / 1000);
	return 0;
}
