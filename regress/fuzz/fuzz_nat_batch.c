/*
 * natd's batches as hagwd judges them. What is let through is walked once
 * more, by code that shares nothing with the check: table hagw of family
 * inet alone, no jump, no target that the site does not name.
 */
#include <netinet/in.h>

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <string.h>

#include "fuzz.h"
#include "parentd/parentd.h"
#include "sites.h"

static struct conf *conf;
static struct authz_view view;

static void
setup(void)
{
	if (conf != NULL)
		return;
	conf = site_load(SITE_FORWARDS);
	CHECK(authz_prepare(&view, conf) == 0);
}

static bool
is_target(uint32_t a)
{
	for (uint32_t i = 0; i < conf->h.nforwards; i++)
		if (conf->forwards[i].to.s_addr == a)
			return true;
	return false;
}

static bool
is_vip(uint32_t a)
{
	for (int i = 0; i < conf->h.nnets; i++)
		if (conf->h.nets[i].vip.s_addr == a)
			return true;
	return false;
}

/* The first attribute of this type, or NULL. */
static const struct nlattr *
find(const uint8_t *p, size_t len, uint16_t type)
{
	while (len >= sizeof(struct nlattr)) {
		const struct nlattr *a = (const struct nlattr *)p;
		size_t step = NLA_ALIGN(a->nla_len);

		CHECK(a->nla_len >= sizeof(*a) && a->nla_len <= len);
		if ((a->nla_type & NLA_TYPE_MASK) == type)
			return a;
		p += step < len ? step : len;
		len -= step < len ? step : len;
	}
	return NULL;
}

static const uint8_t *
payload(const struct nlattr *a)
{
	return (const uint8_t *)(a + 1);
}

static size_t
payload_len(const struct nlattr *a)
{
	return a->nla_len - sizeof(*a);
}

static uint32_t
data_of(const struct nlattr *elem)
{
	const struct nlattr *d, *v;
	uint32_t a;

	d = find(payload(elem), payload_len(elem), NFTA_SET_ELEM_DATA);
	CHECK(d != NULL);
	v = find(payload(d), payload_len(d), NFTA_DATA_VALUE);
	CHECK(v != NULL && payload_len(v) >= sizeof(a));
	memcpy(&a, payload(v), sizeof(a));
	return a;
}

static void
check_elements(const uint8_t *p, size_t len)
{
	const struct nlattr *set = find(p, len, NFTA_SET_ELEM_LIST_SET);
	const struct nlattr *list = find(p, len, NFTA_SET_ELEM_LIST_ELEMENTS);
	const char *name;
	size_t left;

	CHECK(set != NULL);
	name = (const char *)payload(set);
	if (list == NULL)
		return;
	p = payload(list);
	for (left = payload_len(list); left >= sizeof(struct nlattr);) {
		const struct nlattr *e = (const struct nlattr *)p;
		size_t step = NLA_ALIGN(e->nla_len);

		if (strncmp(name, "fwd4", 4) == 0)
			CHECK(is_target(data_of(e)));
		else if (strcmp(name, "src4") == 0 ||
		    strncmp(name, "hair4", 5) == 0)
			CHECK(is_vip(data_of(e)));
		CHECK(step <= left);
		p += step;
		left -= step;
	}
}

/* A verdict of an expression names no chain: there is no jump. */
static void
check_expr(const struct nlattr *e)
{
	const struct nlattr *name, *data, *value, *verdict;

	name = find(payload(e), payload_len(e), NFTA_EXPR_NAME);
	CHECK(name != NULL);
	if (strcmp((const char *)payload(name), "immediate") != 0)
		return;
	data = find(payload(e), payload_len(e), NFTA_EXPR_DATA);
	CHECK(data != NULL);
	value = find(payload(data), payload_len(data), NFTA_IMMEDIATE_DATA);
	CHECK(value != NULL);
	verdict = find(payload(value), payload_len(value), NFTA_DATA_VERDICT);
	if (verdict != NULL)
		CHECK(find(payload(verdict), payload_len(verdict),
			  NFTA_VERDICT_CHAIN) == NULL);
}

static void
check_rule(const uint8_t *p, size_t len)
{
	const struct nlattr *list = find(p, len, NFTA_RULE_EXPRESSIONS);

	if (list == NULL)
		return;
	p = payload(list);
	for (len = payload_len(list); len >= sizeof(struct nlattr);) {
		const struct nlattr *e = (const struct nlattr *)p;
		size_t step = NLA_ALIGN(e->nla_len);

		CHECK(step <= len && e->nla_len >= sizeof(*e));
		check_expr(e);
		p += step;
		len -= step;
	}
}

static void
check_object(const struct nlmsghdr *h, const struct nfgenmsg *g)
{
	const uint8_t *p = (const uint8_t *)(g + 1);
	size_t len = h->nlmsg_len - sizeof(*h) - sizeof(*g), at = 0;
	const struct nlattr *table = find(p, len, 1);
	unsigned int type = h->nlmsg_type & 0xff, tables = 0;

	CHECK(h->nlmsg_type >> 8 == NFNL_SUBSYS_NFTABLES);
	CHECK(g->nfgen_family == NFPROTO_INET);
	CHECK(type == NFT_MSG_NEWTABLE || type == NFT_MSG_DELTABLE ||
	    type == NFT_MSG_NEWCHAIN || type == NFT_MSG_NEWRULE ||
	    type == NFT_MSG_DELRULE || type == NFT_MSG_NEWSET ||
	    type == NFT_MSG_NEWSETELEM || type == NFT_MSG_DELSETELEM);
	CHECK(table != NULL && table->nla_len == sizeof(*table) + 5 &&
	    memcmp(payload(table), "hagw", 5) == 0);
	while (at < len) {
		const struct nlattr *a = (const struct nlattr *)(p + at);

		tables += (a->nla_type & NLA_TYPE_MASK) == 1;
		at += NLA_ALIGN(a->nla_len);
	}
	CHECK(tables == 1 && at == len);
	if (type == NFT_MSG_NEWSETELEM)
		check_elements(p, len);
	if (type == NFT_MSG_NEWRULE)
		check_rule(p, len);
}

static void
check_batch(const uint8_t *p, size_t len)
{
	unsigned int n = 0;

	while (len > 0) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)p;
		const struct nfgenmsg *g = (const struct nfgenmsg *)(h + 1);
		bool last;

		CHECK(len >= sizeof(*h) + sizeof(*g) && h->nlmsg_len <= len &&
		    h->nlmsg_len >= sizeof(*h) + sizeof(*g));
		last = h->nlmsg_len == len;
		if (n++ == 0 || last)
			CHECK(h->nlmsg_type ==
				(last ? NFNL_MSG_BATCH_END
				      : NFNL_MSG_BATCH_BEGIN) &&
			    g->res_id == htons(NFNL_SUBSYS_NFTABLES));
		else
			check_object(h, g);
		p += h->nlmsg_len;
		len -= h->nlmsg_len;
	}
	CHECK(n >= 2);
}

size_t
LLVMFuzzerCustomMutator(
    uint8_t *data, size_t len, size_t max, unsigned int seed)
{
	return nl_mutate(data, len, max, seed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *buf = fenced(data, len);
	const char *why;

	setup();
	why = authz_nat(&view, buf, len);
	if (why == NULL)
		check_batch(buf, len);
	else
		CHECK(why[0] != '\0');
	free(buf);
	return 0;
}
