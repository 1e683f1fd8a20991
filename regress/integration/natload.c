/*
 * For the ruleset's test: plan a site, encode it, have the batch checked as
 * the parent would, and send it to the kernel of this network namespace.
 *
 *	natload full SITE NODE		the whole table
 *	natload delta OLD SITE NODE	from one site to the other
 *	natload grace SITE NODE MS	open the takeover grace
 *
 * Prints the messages of the batch and the microseconds each step took.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "natd/natd.h"
#include "parentd/parentd.h"

static struct conf *
load(const char *path, const char *node)
{
	struct conf_report r;
	struct conf *c;

	conf_report_init(&r, path);
	c = conf_load(path, node, &r);
	if (c == NULL) {
		conf_report_print(stderr, &r);
		exit(2);
	}
	conf_report_free(&r);
	return c;
}

static struct nat_plan *
plan(const struct conf *c)
{
	char why[CTL_TEXT_MAX];
	struct nat_plan *p;

	if ((p = plan_build(c, why, sizeof(why))) == NULL)
		errx(2, "%s", why);
	return p;
}

static void
encode_delta(struct nat_batch *b, const struct conf *old, const struct conf *c)
{
	struct nat_plan *from = plan(old), *to = plan(c);
	struct nat_delta d;

	if (diff_plans(&d, from, to) == -1 || nft_delta(b, &d, to) == -1)
		err(1, "delta");
	diff_free(&d);
	plan_free(from);
	plan_free(to);
}

static void
encode_full(struct nat_batch *b, const struct conf *c)
{
	struct nat_plan *p = plan(c);

	if (nft_full(b, p) == -1)
		err(1, "full");
	plan_free(p);
}

static void
apply(const struct nat_batch *b, const struct conf *c, uint64_t t0)
{
	struct authz_view view = {0};
	struct knft_result res;
	uint64_t t1 = clock_us(), t2;
	const char *why;
	char what[128];

	if (authz_prepare(&view, c) == -1)
		err(1, "authz");
	if ((why = authz_nat(&view, b->data, b->len)) != NULL)
		errx(4, "%s", why);
	t2 = clock_us();
	if (knft_batch(b->data, b->len, &res) == -1) {
		nft_label_str(b, res.seq, c, what, sizeof(what));
		errx(1, "message %u, %s: %s", res.seq, what,
		    strerror(res.error));
	}
	printf("messages %u bytes %zu plan_us %llu check_us %llu "
	       "kernel_us %llu\n",
	    b->nlabels, b->len, (unsigned long long)(t1 - t0),
	    (unsigned long long)(t2 - t1),
	    (unsigned long long)(clock_us() - t2));
	free(view.targets);
}

int
main(int argc, char *argv[])
{
	struct nat_batch b = {0};
	struct conf *c, *old = NULL;
	uint64_t t0;

	if (argc == 4 && strcmp(argv[1], "full") == 0) {
		c = load(argv[2], argv[3]);
		t0 = clock_us();
		encode_full(&b, c);
	} else if (argc == 5 && strcmp(argv[1], "delta") == 0) {
		old = load(argv[2], argv[4]);
		c = load(argv[3], argv[4]);
		t0 = clock_us();
		encode_delta(&b, old, c);
	} else if (argc == 5 && strcmp(argv[1], "grace") == 0) {
		c = load(argv[2], argv[3]);
		t0 = clock_us();
		nft_grace(&b, strtoul(argv[4], NULL, 10));
	} else {
		errx(2, "usage: natload full|delta|grace ...");
	}
	apply(&b, c, t0);
	nft_batch_free(&b);
	conf_free(old);
	conf_free(c);
	return 0;
}
