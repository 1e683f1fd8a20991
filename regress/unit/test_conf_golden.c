/* The site file: golden files in and out, and what is no site file. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_read.h"
#include "conf_text.h"

#define GOOD_DIR  "regress/config/good"
#define BAD_DIR   "regress/config/bad"
#define PATH_SIZE 512

static const char *
base_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* Run one() for each .yaml of a directory; the number of them. */
static int
each_file(const char *dir, const char *suffix,
    void (*one)(const char *yaml, const char *golden))
{
	char path[PATH_SIZE], golden[PATH_SIZE];
	struct dirent **list;
	int i, n, count = 0;

	n = scandir(dir, &list, NULL, alphasort);
	assert_true(n > 0);
	for (i = 0; i < n; i++) {
		char *dot = strstr(list[i]->d_name, ".yaml");

		if (dot != NULL && dot[5] == '\0') {
			snprintf(
			    path, sizeof(path), "%s/%s", dir, list[i]->d_name);
			snprintf(golden, sizeof(golden), "%s/%.*s%s", dir,
			    (int)(dot - list[i]->d_name), list[i]->d_name,
			    suffix);
			one(path, golden);
			count++;
		}
		free(list[i]);
	}
	free(list);
	return count;
}

static void
one_good(const char *yaml, const char *golden)
{
	char *want = slurp(golden), *text;
	struct conf *c, *again;
	struct conf_report r;

	conf_report_init(&r, base_name(yaml));
	c = conf_load(yaml, NULL, &r);
	if (c == NULL || r.warnings > 0) {
		conf_report_print(stderr, &r);
		fail_msg("%s: has complaints", yaml);
	}
	text = print_text(c);
	if (strcmp(text, want) != 0)
		fail_msg("%s: prints\n%s", yaml, text);
	again = load_text(text, NULL);
	assert_memory_equal(c->h.hash, again->h.hash, CONF_HASH_LEN);
	conf_free(again);
	conf_free(c);
	conf_report_free(&r);
	free(text);
	free(want);
}

static void
test_good(void **state)
{
	(void)state;
	assert_true(each_file(GOOD_DIR, ".out", one_good) >= 10);
}

/* The first line may say which node reads the file: "# node: x". */
static void
node_of(const char *yaml, char *node, size_t size)
{
	char *text = slurp(yaml);

	node[0] = '\0';
	if (strncmp(text, "# node: ", 8) == 0)
		snprintf(
		    node, size, "%.*s", (int)strcspn(text + 8, "\n"), text + 8);
	free(text);
}

static void
one_bad(const char *yaml, const char *golden)
{
	char *want = slurp(golden), *text, node[CONF_NAME_MAX];
	struct conf_report r;
	struct conf *c;

	node_of(yaml, node, sizeof(node));
	conf_report_init(&r, base_name(yaml));
	c = conf_load(yaml, node[0] != '\0' ? node : NULL, &r);
	text = report_text(&r);
	if (c != NULL)
		fail_msg("%s: accepted", yaml);
	if (strcmp(text, want) != 0)
		fail_msg("%s: says\n%s", yaml, text);
	assert_true(r.errors > 0);
	conf_report_free(&r);
	free(text);
	free(want);
}

static void
test_bad(void **state)
{
	(void)state;
	assert_true(each_file(BAD_DIR, ".err", one_bad) >= 140);
}

static void
load_example(const char *path, const char *node)
{
	struct conf_report r;
	struct conf *c;

	conf_report_init(&r, path);
	c = conf_load(path, node, &r);
	if (c == NULL || r.nmsgs > 0) {
		conf_report_print(stderr, &r);
		fail_msg("%s: has complaints", path);
	}
	assert_string_equal(c->h.nodes[c->h.self].name, node);
	conf_report_free(&r);
	conf_free(c);
}

static void
test_examples(void **state)
{
	(void)state;
	load_example("etc/site-nat-pair.yaml", "nat1");
	load_example("etc/site-nat-pair.yaml", "nat2");
	load_example("etc/site-firewall-pair.yaml", "fw-1");
	load_example("etc/site-firewall-pair.yaml", "fw-2");
	load_example("etc/site-minimal.yaml", "gw-1");
}

/* As many complaints as there are, but no more text than fits. */
static void
test_many_errors(void **state)
{
	const size_t n = 3000;
	struct conf_report r;
	char *text = NULL, *out;
	size_t len, i;
	FILE *fp = open_memstream(&text, &len);

	(void)state;
	assert_non_null(fp);
	for (i = 0; i < n; i++)
		fputs("- &a b\n", fp);
	fclose(fp);
	conf_report_init(&r, "x");
	assert_null(conf_load_buf(text, len, "x", NULL, &r));
	assert_int_equal(r.errors, n + 1); /* and a list is no map */
	assert_int_equal(r.nmsgs, REPORT_MSGS_MAX);
	out = report_text(&r);
	assert_non_null(
	    strstr(out, "3001 errors (2001 not shown); nothing was changed\n"));
	conf_report_free(&r);
	free(out);
	free(text);
}

static void
test_no_file(void **state)
{
	struct conf_report r;
	char *out;

	(void)state;
	conf_report_init(&r, "/nonexistent/site.yaml");
	assert_null(conf_load("/nonexistent/site.yaml", NULL, &r));
	out = report_text(&r);
	assert_string_equal(out,
	    "/nonexistent/site.yaml: error: No such file or directory\n"
	    "1 error; nothing was changed\n");
	conf_report_free(&r);
	free(out);
	conf_report_init(&r, "/tmp");
	assert_null(conf_load("/tmp", NULL, &r));
	assert_string_equal(r.msgs[0].text, "not a regular file");
	conf_report_free(&r);
}

/* Found by the fuzzer, or nearly so. */
static void
test_odd(void **state)
{
	static const char *const odd[] = {
	    "ha: { networks: &a [{}] }\nnetworks: { n: x }",
	    "nodes: { a: &x {}, b: [] }\nnetworks: { n: { address: [] } }",
	    "networks: { n: { interface: [], vip: {}, vrid: [] } }",
	    "nat: { source: [[], {}, x, { name: [] }], forward: [{}, ''] }",
	    "? {}\n: x",
	    "? x",
	    "{ x, y: }",
	    "- ",
	    "''",
	    "%YAML 1.1\n---\n",
	    "\xef\xbb\xbfsite: t",
	    "\xff\xfe",
	};
	struct conf_report r;
	size_t i;

	(void)state;
	for (i = 0; i < nitems(odd); i++) {
		conf_report_init(&r, "x");
		assert_null(
		    conf_load_buf(odd[i], strlen(odd[i]), "x", "a", &r));
		free(report_text(&r));
		conf_report_free(&r);
	}
}

/* Whatever a file is cut to, there is an answer and nothing breaks. */
static void
test_truncated(void **state)
{
	char *text = slurp("etc/site-firewall-pair.yaml");
	struct conf_report r;
	struct conf *c;
	size_t len;

	(void)state;
	for (len = 0; len <= strlen(text); len++) {
		conf_report_init(&r, "x");
		c = conf_load_buf(text, len, "x", "fw-1", &r);
		assert_true((c == NULL) == (r.errors > 0));
		conf_free(c);
		conf_report_free(&r);
	}
	free(text);
}

/* What is not read for its anchor has no other complaint. */
static void
test_anchor_anywhere(void **state)
{
	char *text = slurp("regress/config/good/block-style.yaml");
	struct conf_report r;
	char *t, *out;
	size_t i;
	int n = 0;

	(void)state;
	for (i = 0; text[i] != '\0'; i++) {
		if (strchr(":-", text[i]) == NULL ||
		    strchr(" \n", text[i + 1]) == NULL)
			continue;
		assert_int_not_equal(
		    asprintf(&t, "%.*s &x%s", (int)i + 1, text, text + i + 1),
		    -1);
		conf_report_init(&r, "x");
		assert_null(conf_load_buf(t, strlen(t), "x", "a", &r));
		out = report_text(&r);
		if (r.errors + r.warnings != 1)
			fail_msg("%s", out);
		conf_report_free(&r);
		free(out);
		free(t);
		n++;
	}
	assert_true(n > 40);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_examples),
	    cmocka_unit_test(test_many_errors),
	    cmocka_unit_test(test_no_file),
	    cmocka_unit_test(test_odd),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_anchor_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
