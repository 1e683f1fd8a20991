/*
 * The site file. What is accepted must print to a form that is accepted,
 * with the same hash and no difference; what is refused must say why. A
 * site that loads for a node can be planned there, and hagwd lets the plan
 * through.
 */
#include <string.h>

#include "fuzz.h"
#include "natd/natd.h"
#include "parentd/parentd.h"

#define PLAN_ELEMS 2000 /* more takes too long for each input */

static void
print_report(const struct conf_report *r)
{
	char *text = NULL;
	size_t len;
	FILE *fp = open_memstream(&text, &len);

	CHECK(fp != NULL);
	conf_report_print(fp, r);
	fclose(fp);
	CHECK(r->nmsgs == 0 || len > 0);
	free(text);
}

static struct conf *
load(const char *buf, size_t len, const char *node)
{
	struct conf_report r;
	struct conf *c;

	conf_report_init(&r, "fuzz");
	c = conf_load_buf(buf, len, "fuzz", node, &r);
	CHECK((c == NULL) == (r.errors > 0));
	print_report(&r);
	conf_report_free(&r);
	return c;
}

static void
no_line(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "differs: %s\n", line);
}

static void
reload(const struct conf *c)
{
	struct conf *again;
	char *text = NULL;
	size_t len;
	FILE *fp = open_memstream(&text, &len);

	CHECK(fp != NULL);
	conf_print(fp, c);
	fclose(fp);
	again = load(text, len, NULL);
	CHECK(again != NULL);
	CHECK(memcmp(again->h.hash, c->h.hash, CONF_HASH_LEN) == 0);
	CHECK(conf_diff(c, again, no_line, NULL) == 0);
	conf_free(again);
	free(text);
}

static size_t
forwarded_ports(const struct conf *c)
{
	size_t n = 0;

	for (uint32_t i = 0; i < c->h.nforwards; i++)
		n += c->forwards[i].hi - c->forwards[i].lo + 1u;
	return n;
}

static void
plan(const struct conf *c)
{
	struct authz_view view = {0};
	struct nat_batch b = {0};
	char why[CTL_TEXT_MAX] = "";
	struct nat_plan *p;
	const char *refused;

	if (forwarded_ports(c) > PLAN_ELEMS)
		return;
	p = plan_build(c, why, sizeof(why));
	if (p == NULL)
		fprintf(stderr, "no plan: %s\n", why);
	CHECK(p != NULL);
	CHECK(authz_prepare(&view, c) == 0 && nft_full(&b, p) == 0);
	refused = authz_nat(&view, b.data, b.len);
	if (refused != NULL)
		fprintf(stderr, "refused: %s\n", refused);
	CHECK(refused == NULL);
	nft_batch_free(&b);
	free(view.targets);
	plan_free(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char node[CONF_NAME_MAX];
	struct conf *c;

	if ((c = load((const char *)data, len, NULL)) == NULL)
		return 0;
	reload(c);
	snprintf(node, sizeof(node), "%s", c->h.nodes[c->h.nnodes - 1].name);
	conf_free(c);
	c = load((const char *)data, len, node);
	CHECK(c != NULL && c->h.self == c->h.nnodes - 1);
	plan(c);
	conf_free(c);
	return 0;
}
