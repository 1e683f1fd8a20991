/* natd/nat_diff.c and the batches made of it. */
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "test_nat.h"

#define FORWARDS 10000

static struct conf *
many(void)
{
	struct conf *c = site_of(SITE_HEAD);
	struct conf_forward f = {.proto = IPPROTO_TCP};
	int i;

	f.on = (uint8_t)conf_net_find(c, "outside");
	for (i = 0; i < FORWARDS; i++) {
		snprintf(f.name, sizeof(f.name), "f%d", i);
		f.lo = f.hi = f.to_port = (uint16_t)(1000 + i);
		f.to.s_addr = htonl(0x0a000010 + (uint32_t)i % 200);
		assert_int_equal(conf_add_forward(c, &f), 0);
	}
	return c;
}

/* Types of a batch's messages, one letter each. */
static void
shape(const struct nat_batch *b, char *out, size_t outsz)
{
	static const char letters[] = {
	    [NFT_MSG_NEWSETELEM] = '+',
	    [NFT_MSG_DELSETELEM] = '-',
	    [NFT_MSG_NEWRULE] = 'R',
	    [NFT_MSG_DELRULE] = 'F',
	};
	struct nlmsghdr h;
	size_t off, n = 0;
	uint8_t type;

	for (off = 0; off < b->len; off += h.nlmsg_len) {
		memcpy(&h, b->data + off, sizeof(h));
		type = h.nlmsg_type & 0xff;
		assert_true(n + 1 < outsz);
		if (h.nlmsg_type == NFNL_MSG_BATCH_BEGIN)
			out[n++] = '(';
		else if (h.nlmsg_type == NFNL_MSG_BATCH_END)
			out[n++] = ')';
		else
			out[n++] = type < sizeof(letters) && letters[type]
			    ? letters[type]
			    : '?';
	}
	out[n] = '\0';
}

static void
delta_shape(const struct conf *from, const struct conf *to, const char *expect,
    size_t ndel, size_t nadd)
{
	struct nat_plan *p = plan_of(from), *q = plan_of(to);
	struct nat_batch b = {0};
	struct nat_delta d;
	char got[64];

	assert_int_equal(diff_plans(&d, p, q), 0);
	assert_int_equal(d.ndel, ndel);
	assert_int_equal(d.nadd, nadd);
	assert_int_equal(nft_delta(&b, &d, q), 0);
	shape(&b, got, sizeof(got));
	assert_string_equal(got, expect);
	nft_batch_free(&b);
	diff_free(&d);
	plan_free(p);
	plan_free(q);
}

/* Out and in again with its new host, and the marker; nothing else. */
static void
test_one_of_many(void **state)
{
	struct conf *c = many(), *d = conf_copy(c);

	(void)state;
	d->forwards[5000].to = ip("10.0.0.250");
	delta_shape(c, d, "(-+FR)", 1, 1);
	d->forwards[5000] = d->forwards[--d->h.nforwards];
	delta_shape(c, d, "(-FR)", 1, 0);
	delta_shape(d, c, "(+FR)", 0, 1);
	delta_shape(c, c, "(FR)", 0, 0);
	conf_free(c);
	conf_free(d);
}

/* A renamed forward is another object with the same element. */
static void
test_names_are_not_in_the_kernel(void **state)
{
	struct conf *c = many(), *d = conf_copy(c);

	(void)state;
	snprintf(d->forwards[1].name, CONF_NAME_MAX, "other");
	delta_shape(c, d, "(FR)", 0, 0);
	conf_free(c);
	conf_free(d);
}

/* Rules of a chain go out and in together; other chains stay. */
static void
test_chain(void **state)
{
	struct conf *c = site_of(SITE_HEAD), *d = conf_copy(c);
	struct nat_plan *p, *q;
	struct nat_delta delta;
	uint8_t i;

	(void)state;
	d->h.sync.port++;
	p = plan_of(c);
	q = plan_of(d);
	assert_int_equal(diff_plans(&delta, p, q), 0);
	for (i = 0; i < NC_MAX; i++)
		assert_int_equal(
		    delta.chain[i], i == NC_RAW_PRE || i == NC_RAW_OUT);
	diff_free(&delta);
	plan_free(p);
	plan_free(q);
	delta_shape(c, d, "(FRRFRRFR)", 0, 0);
	conf_free(c);
	conf_free(d);
}

/* An old range leaves before a new one takes its place. */
static void
test_ranges_swap(void **state)
{
	struct conf *c = site_of(SITE_HEAD), *d;
	struct conf_forward f = {.name = "r", .proto = IPPROTO_UDP};

	(void)state;
	f.on = (uint8_t)conf_net_find(c, "outside");
	f.to = ip("10.0.0.20");
	f.lo = f.to_port = 100;
	f.hi = 200;
	assert_int_equal(conf_add_forward(c, &f), 0);
	d = conf_copy(c);
	d->forwards[0].lo = d->forwards[0].to_port = 150;
	d->forwards[0].hi = 250;
	delta_shape(c, d, "(-+FR)", 1, 1);
	conf_free(c);
	conf_free(d);
}

static void
test_labels(void **state)
{
	struct conf *c = many(), *d = conf_copy(c);
	struct nat_plan *p = plan_of(c), *q;
	struct nat_batch b = {0};
	struct nat_delta delta;
	char text[128];

	(void)state;
	d->forwards[77].to = ip("10.0.0.250");
	q = plan_of(d);
	assert_int_equal(diff_plans(&delta, p, q), 0);
	assert_int_equal(nft_delta(&b, &delta, q), 0);
	nft_label_str(&b, 3, d, text, sizeof(text));
	assert_string_equal(text, "map fwd4 (\"f77\")");
	nft_label_str(&b, 4, d, text, sizeof(text));
	assert_string_equal(text, "chain hagw_state");
	nft_label_str(&b, 0, d, text, sizeof(text));
	assert_string_equal(text, "table hagw");
	nft_batch_free(&b);
	diff_free(&delta);
	plan_free(p);
	plan_free(q);
	conf_free(c);
	conf_free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_of_many),
	    cmocka_unit_test(test_names_are_not_in_the_kernel),
	    cmocka_unit_test(test_chain),
	    cmocka_unit_test(test_ranges_swap),
	    cmocka_unit_test(test_labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
