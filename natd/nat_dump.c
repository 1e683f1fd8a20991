/*
 * Messages of a dump, as bytes. Pure. libnftnl is not asked: it ends the
 * process when an attribute is not as it expects, and reads a rule's
 * comments without looking at their length.
 */
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <endian.h>
#include <libmnl/libmnl.h>
#include <libnftnl/udata.h>
#include <string.h>

#include "natd.h"

#define MARKER "plan="

struct bytes {
	const uint8_t *p; /* NULL: not there */
	size_t len;
};

static struct bytes
payload(const struct nlattr *a)
{
	return (struct bytes){
	    mnl_attr_get_payload(a), mnl_attr_get_payload_len(a)};
}

/* The first attribute, or with `after` the one behind it; NULL: no more. */
static const struct nlattr *
next_attr(struct bytes in, const struct nlattr *after)
{
	const struct nlattr *a = (const struct nlattr *)in.p;

	if (after != NULL)
		a = mnl_attr_next(after);
	return mnl_attr_ok(a, (int)(in.p + in.len - (const uint8_t *)a)) ? a
									 : NULL;
}

static struct bytes
find(struct bytes in, uint16_t type)
{
	const struct nlattr *a = NULL;

	while (in.p != NULL && (a = next_attr(in, a)) != NULL)
		if (mnl_attr_get_type(a) == type)
			return payload(a);
	return (struct bytes){NULL, 0};
}

static bool
is_string(struct bytes b, const char *s)
{
	return b.len == strlen(s) + 1 && memcmp(b.p, s, b.len) == 0;
}

static struct bytes
attrs_of(const struct nlmsghdr *nlh)
{
	size_t len = mnl_nlmsg_get_payload_len(nlh);

	if (len < sizeof(struct nfgenmsg))
		return (struct bytes){NULL, 0};
	return (struct bytes){
	    mnl_nlmsg_get_payload_offset(nlh, sizeof(struct nfgenmsg)),
	    len - sizeof(struct nfgenmsg)};
}

static bool
parse_hex(uint8_t *out, const uint8_t *s)
{
	static const char digits[] = "0123456789abcdef";
	const char *d;
	int i;

	memset(out, 0, NAT_HASH_LEN);
	for (i = 0; i < 2 * NAT_HASH_LEN; i++) {
		if (s[i] == '\0' || (d = strchr(digits, s[i])) == NULL)
			return false;
		out[i / 2] = out[i / 2] << 4 | (d - digits);
	}
	return s[i] == '\0';
}

/* A comment among the user data: type, length, text, each in its turn. */
static bool
find_marker(struct bytes u, uint8_t *hash)
{
	const size_t want = sizeof(MARKER) + 2 * NAT_HASH_LEN;

	while (u.len >= 2 && u.p[1] <= u.len - 2) {
		if (u.p[0] == NFTNL_UDATA_RULE_COMMENT && u.p[1] == want &&
		    memcmp(u.p + 2, MARKER, sizeof(MARKER) - 1) == 0)
			return parse_hex(hash, u.p + 2 + sizeof(MARKER) - 1);
		u.len -= 2u + u.p[1];
		u.p += 2u + u.p[1];
	}
	return false;
}

void
dump_rule(const struct nlmsghdr *nlh, struct nat_found *f)
{
	struct bytes attrs = attrs_of(nlh);
	uint8_t hash[NAT_HASH_LEN];

	if (!is_string(find(attrs, NFTA_RULE_TABLE), HAGW_NFT_TABLE))
		return;
	f->nrules++;
	if (!is_string(find(attrs, NFTA_RULE_CHAIN), NAT_STATE_CHAIN) ||
	    !find_marker(find(attrs, NFTA_RULE_USERDATA), hash))
		return;
	f->marker = true;
	memcpy(f->hash, hash, sizeof(hash));
}

static uint64_t
packets_of(struct bytes elem)
{
	struct bytes expr = find(elem, NFTA_SET_ELEM_EXPR);
	struct bytes count;
	uint64_t be;

	if (!is_string(find(expr, NFTA_EXPR_NAME), "counter"))
		return 0;
	count = find(find(expr, NFTA_EXPR_DATA), NFTA_COUNTER_PACKETS);
	if (count.len != sizeof(be))
		return 0;
	memcpy(&be, count.p, sizeof(be));
	return be64toh(be);
}

static void
take_elem(struct bytes elem, enum nat_set set, state_elem_cb *cb, void *arg)
{
	struct bytes key, end;
	struct nat_elem e;

	key = find(find(elem, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE);
	end = find(find(elem, NFTA_SET_ELEM_KEY_END), NFTA_DATA_VALUE);
	if (key.p != NULL &&
	    nft_key_read(&e, set, key.p, key.len, end.p, end.len) == 0)
		cb(arg, &e, packets_of(elem));
}

void
dump_elems(
    const struct nlmsghdr *nlh, enum nat_set set, state_elem_cb *cb, void *arg)
{
	struct bytes list;
	const struct nlattr *a = NULL;

	list = find(attrs_of(nlh), NFTA_SET_ELEM_LIST_ELEMENTS);
	while (list.p != NULL && (a = next_attr(list, a)) != NULL)
		take_elem(payload(a), set, cb, arg);
}

void
dump_grace(const struct nlmsghdr *nlh, enum nat_grace *grace)
{
	struct bytes list = find(attrs_of(nlh), NFTA_SET_ELEM_LIST_ELEMENTS);
	const struct nlattr *a = NULL;

	while (list.p != NULL && (a = next_attr(list, a)) != NULL) {
		if (find(payload(a), NFTA_SET_ELEM_TIMEOUT).p == NULL)
			*grace = GRACE_OPEN;
		else if (*grace == GRACE_NONE)
			*grace = GRACE_ENDS;
	}
}
