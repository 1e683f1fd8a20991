/* The site file: golden files, copies, differences, the hash, the key. */
#include <sys/stat.h>

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/conf.h"
#include "common/conf_read.h"
#include "common/schema.h"

#define GOOD_DIR  "regress/config/good"
#define BAD_DIR   "regress/config/bad"
#define PATH_SIZE 512

/* A pair with everything in it, to be changed word by word. */
static const char pair[] =
    "site: t\n"
    "nodes:\n"
    "  a: { priority: 200 }\n"
    "  b: { priority: 100 }\n"
    "networks:\n"
    "  in:\n"
    "    interface: eth0\n"
    "    address: { a: 10.0.0.1/24, b: 10.0.0.2/24 }\n"
    "    vip: 10.0.0.3\n"
    "    vrid: 1\n"
    "  out:\n"
    "    interface: { a: eth1, b: eth2 }\n"
    "    address: { a: 192.0.2.1/24, b: 192.0.2.2/24 }\n"
    "    vip: 192.0.2.3\n"
    "    vrid: 2\n"
    "ha:\n"
    "  networks: [in, out]\n"
    "  preempt: { after: 10s }\n"
    "  advertise: 500ms\n"
    "sync:\n"
    "  over: [in]\n"
    "  key_file: /k\n"
    "  protocols: [tcp]\n"
    "  port: 4000\n"
    "nat:\n"
    "  source:\n"
    "    - { name: s1, from: in, to: out, address: vip }\n"
    "    - { name: s2, from: out, to: in, address: vip }\n"
    "  forward:\n"
    "    - { name: f1, on: out, port: tcp/80-81, "
    "to: 10.0.0.20:90, hairpin: true }\n"
    "    - { name: f2, on: out, port: udp/53, "
    "to: 10.0.0.21 }\n";

/* One word of it, another one, and what diff says. */
static const struct {
	const char *old;
	const char *new;
	const char *line;
} changes[] = {
    {"site: t", "site: u", "~ site  t -> u"},
    {"priority: 200", "priority: 201", "~ nodes.a.priority  200 -> 201"},
    {"interface: eth0", "interface: { a: eth0, b: eth9 }",
	"~ networks.in.interface.b  eth0 -> eth9"},
    {"a: 10.0.0.1/24", "a: 10.0.0.9/24",
	"~ networks.in.address.a  10.0.0.1/24 -> 10.0.0.9/24"},
    {"vip: 10.0.0.3", "vip: 10.0.0.4",
	"~ networks.in.vip  10.0.0.3 -> 10.0.0.4"},
    {"vrid: 2", "vrid: 3", "~ networks.out.vrid  2 -> 3"},
    {"[in, out]", "[out, in]", "~ ha.networks  [in, out] -> [out, in]"},
    {"preempt: { after: 10s }", "preempt: never",
	"~ ha.preempt  after 10s -> never"},
    {"after: 10s", "after: 10ms", "~ ha.preempt  after 10s -> after 10ms"},
    {"advertise: 500ms", "advertise: 1s", "~ ha.advertise  500ms -> 1s"},
    {"over: [in]", "over: [out]", "~ sync.over  [in] -> [out]"},
    {"key_file: /k", "key_file: /l", "~ sync.key_file  /k -> /l"},
    {"[tcp]", "[tcp, icmp]", "~ sync.protocols  [tcp] -> [tcp, icmp]"},
    {"port: 4000", "port: 4001", "~ sync.port  4000 -> 4001"},
    {"- { name: s2, from: out, to: in, address: vip }\n", "\n",
	"- nat.source \"s2\"  out -> in"},
    {"- { name: f2, on: out,", "- { name: f2, on: in,",
	"~ nat.forward \"f2\" on  out -> in"},
    {"tcp/80-81", "tcp/80-82",
	"~ nat.forward \"f1\" port  tcp/80-81 -> tcp/80-82"},
    {"tcp/80-81", "udp/80-81",
	"~ nat.forward \"f1\" port  tcp/80-81 -> udp/80-81"},
    {"10.0.0.20:90", "10.0.0.20:91",
	"~ nat.forward \"f1\" to  10.0.0.20:90 -> 10.0.0.20:91"},
    {"10.0.0.21", "10.0.0.22",
	"~ nat.forward \"f2\" to  10.0.0.21 -> 10.0.0.22"},
    {", hairpin: true", "", "~ nat.forward \"f1\" hairpin  true -> false"},
    {"  forward:\n",
	"  forward:\n    - { name: smtp, on: out, port: tcp/25, "
	"to: 10.0.0.25 }\n",
	"+ nat.forward \"smtp\"  out tcp/25 -> 10.0.0.25"},
    {"ha:\n", "  dmz: { interface: eth5, address: { a: 10.5.0.1/16 } }\nha:\n",
	"+ networks.dmz  a eth5 10.5.0.1/16"},
};

static char *
slurp(const char *path)
{
	FILE *fp = fopen(path, "r");
	char *buf = calloc(1, 65536);

	if (fp == NULL || buf == NULL)
		fail_msg("%s cannot be read", path);
	fread(buf, 1, 65535, fp);
	fclose(fp);
	return buf;
}

/* old replaced by new where it first stands */
static char *
replace(const char *text, const char *old, const char *new)
{
	const char *at = strstr(text, old);
	char *out;

	if (at == NULL)
		fail_msg("\"%s\" is not there", old);
	assert_return_code(asprintf(&out, "%.*s%s%s", (int)(at - text), text,
			       new, at + strlen(old)),
	    0);
	return out;
}

/* Load text that must have no errors. */
static struct conf *
load_text(const char *text, const char *node)
{
	struct conf_report r;
	struct conf *c;

	conf_report_init(&r, "text");
	c = conf_load_buf(text, strlen(text), "text", node, &r);
	if (c == NULL)
		conf_report_print(stderr, &r);
	conf_report_free(&r);
	assert_non_null(c);
	return c;
}

static char *
print_text(const struct conf *c)
{
	char *text = NULL;
	size_t len;
	FILE *fp = open_memstream(&text, &len);

	assert_non_null(fp);
	conf_print(fp, c);
	fclose(fp);
	return text;
}

static char *
report_text(const struct conf_report *r)
{
	char *text = NULL;
	size_t len;
	FILE *fp = open_memstream(&text, &len);

	assert_non_null(fp);
	conf_report_print(fp, r);
	fclose(fp);
	return text;
}

static void
assert_same_hash(const struct conf *a, const struct conf *b)
{
	assert_memory_equal(a->h.hash, b->h.hash, CONF_HASH_LEN);
}

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
	assert_same_hash(c, again);
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

/* Every value, in the field that the children read. */
static void
test_values(void **state)
{
	struct conf *c = load_text(pair, "b");
	const struct conf_forward *f = &c->forwards[0];

	(void)state;
	assert_string_equal(c->h.site, "t");
	assert_int_equal(c->h.self, 1);
	assert_int_equal(c->h.nodes[0].priority, 200);
	assert_int_equal(c->h.nnets, 2);
	assert_string_equal(c->h.nets[1].name, "out");
	assert_string_equal(conf_ifname(c, 0), "eth0");
	assert_string_equal(conf_ifname(c, 1), "eth2");
	assert_int_equal(ntohl(conf_addr(c, 1).s_addr), 0xc0000202);
	assert_int_equal(c->h.nets[1].plen, 24);
	assert_int_equal(ntohl(c->h.nets[0].vip.s_addr), 0x0a000003);
	assert_int_equal(c->h.nets[0].vrid, 1);
	assert_int_equal(c->h.ha.preempt, 1);
	assert_int_equal(c->h.ha.preempt_after_us, 10000000);
	assert_int_equal(c->h.ha.advertise_us, 500000);
	assert_int_equal(c->h.ha.nnets, 2);
	assert_int_equal(c->h.ha.nets[1], 1);
	assert_int_equal(c->h.sync.npaths, 1);
	assert_int_equal(c->h.sync.paths[0], 0);
	assert_string_equal(c->h.sync.key_file, "/k");
	assert_int_equal(c->h.sync.protocols, CONF_PROTO_TCP);
	assert_int_equal(c->h.sync.port, 4000);
	assert_int_equal(c->h.nsources, 2);
	assert_int_equal(c->sources[1].from, 1);
	assert_int_equal(c->sources[1].to, 0);
	assert_int_equal(c->h.nforwards, 2);
	assert_int_equal(f->on, 1);
	assert_int_equal(f->proto, IPPROTO_TCP);
	assert_int_equal(f->lo, 80);
	assert_int_equal(f->hi, 81);
	assert_int_equal(f->to_port, 90);
	assert_int_equal(f->hairpin, 1);
	assert_int_equal(ntohl(f->to.s_addr), 0x0a000014);
	assert_int_equal(c->forwards[1].to_port, 53);
	assert_true(conf_in_group(c, 1));
	conf_free(c);
}

static void
test_find(void **state)
{
	struct conf *c = load_text(pair, "a");

	(void)state;
	assert_int_equal(conf_node_find(c, "b"), 1);
	assert_int_equal(conf_node_find(c, "c"), -1);
	assert_int_equal(conf_net_find(c, "in"), 0);
	assert_int_equal(conf_net_find(c, ""), -1);
	assert_int_equal(conf_source_find(c, "s2"), 1);
	assert_int_equal(conf_source_find(c, "f1"), -1);
	assert_int_equal(conf_forward_find(c, "f2"), 1);
	assert_int_equal(conf_forward_find(c, "s1"), -1);
	conf_free(c);
}

static void
test_defaults(void **state)
{
	char *text = slurp("etc/site-minimal.yaml");
	struct conf *c = load_text(text, "gw-1");

	(void)state;
	assert_int_equal(c->h.ha.advertise_us, 1000000);
	assert_int_equal(c->h.ha.preempt, 0);
	assert_int_equal(c->h.sync.npaths, 0);
	assert_int_equal(c->h.sync.port, HAGW_SYNC_PORT);
	assert_int_equal(c->h.sync.protocols, CONF_PROTO_ALL);
	assert_string_equal(c->h.sync.key_file, HAGW_DEFAULT_KEY);
	conf_free(c);
	free(text);
}

static void
test_copy(void **state)
{
	struct conf *c = load_text(pair, "b"), *n = conf_copy(c);
	struct conf_forward f = {.name = "more"};
	struct conf_source s = {.name = "more"};
	int i;

	(void)state;
	assert_non_null(n);
	assert_memory_equal(&n->h, &c->h, sizeof(c->h));
	assert_memory_equal(n->sources, c->sources, 2 * sizeof(s));
	assert_memory_equal(n->forwards, c->forwards, 2 * sizeof(f));
	conf_free(c);
	/* the copy is its own, and grows */
	for (i = 0; i < 100; i++) {
		assert_int_equal(conf_add_source(n, &s), 0);
		assert_int_equal(conf_add_forward(n, &f), 0);
	}
	assert_int_equal(n->h.nforwards, 102);
	assert_string_equal(n->forwards[1].name, "f2");
	assert_string_equal(n->forwards[101].name, "more");
	assert_string_equal(n->sources[101].name, "more");
	conf_free(n);
	conf_free(NULL);
}

static void
collect(void *arg, const char *line)
{
	char *buf = arg;

	strcat(buf, line);
	strcat(buf, "\n");
}

static void
test_diff(void **state)
{
	struct conf *c = load_text(pair, NULL), *n;
	char buf[4096], want[512], *text;
	size_t i;

	(void)state;
	for (i = 0; i < nitems(changes); i++) {
		text = replace(pair, changes[i].old, changes[i].new);
		n = load_text(text, NULL);
		buf[0] = '\0';
		assert_int_equal(conf_diff(c, n, collect, buf), 1);
		snprintf(want, sizeof(want), "%s\n", changes[i].line);
		assert_string_equal(buf, want);
		conf_free(n);
		free(text);
	}
	buf[0] = '\0';
	assert_int_equal(conf_diff(c, c, collect, buf), 0);
	assert_string_equal(buf, "");
	conf_free(c);
}

/* Whole objects come and go, in both directions. */
static void
test_diff_objects(void **state)
{
	char *a = slurp("etc/site-minimal.yaml"), buf[4096] = "";
	struct conf *x = load_text(a, NULL), *y = load_text(pair, NULL);

	(void)state;
	assert_int_equal(conf_diff(x, y, collect, buf), 20);
	assert_non_null(strstr(buf, "- nodes.gw-1  priority 100\n"));
	assert_non_null(strstr(buf, "+ nodes.b  priority 100\n"));
	assert_non_null(strstr(buf,
	    "- networks.wan  gw-1 eth0 192.0.2.2/24  vip 192.0.2.1 vrid 2\n"));
	assert_non_null(strstr(buf, "~ sync.over  none -> [in]\n"));
	assert_non_null(strstr(buf, "- nat.source \"out\"  lan -> wan\n"));
	assert_non_null(strstr(buf,
	    "+ nat.forward \"f1\"  out tcp/80-81 -> 10.0.0.20:90  hairpin\n"));
	conf_free(x);
	conf_free(y);
	free(a);
}

/* A site whose rules only change places is another one, and diff says so. */
static void
test_diff_order(void **state)
{
	const char *s1 =
	    "    - { name: s1, from: in, to: out, address: vip }\n";
	char *t = replace(pair, s1, ""), *u, *both, buf[4096] = "";
	struct conf *c = load_text(pair, NULL), *n;

	(void)state;
	assert_return_code(asprintf(&both, "%s  forward:", s1), 0);
	u = replace(t, "  forward:", both);
	n = load_text(u, NULL);
	assert_int_equal(conf_diff(c, n, collect, buf), 1);
	assert_string_equal(buf, "~ nat.source  order of the rules\n");
	conf_free(n);
	conf_free(c);
	free(both);
	free(t);
	free(u);
}

/* Layout does not change the hash. */
static void
test_hash_layout(void **state)
{
	struct conf *c = load_text(pair, "a"), *n;
	char *t, *u;

	(void)state;
	t = replace(pair, "  a: { priority: 200 }\n  b: { priority: 100 }\n",
	    "  b:\n    priority: 100   # a comment\n\n  a: {priority: 200}\n");
	u = replace(t, "    vip: 10.0.0.3\n    vrid: 1\n",
	    "    vrid: \"1\"\n    vip: '10.0.0.3'\n");
	n = load_text(u, "b"); /* nor does the node that reads it */
	assert_int_equal(n->h.self, 1);
	assert_same_hash(c, n);
	conf_free(n);
	conf_free(c);
	free(t);
	free(u);
}

/* Every value changes it. */
static void
test_hash_values(void **state)
{
	struct conf *c = load_text(pair, NULL), *n;
	char *text;
	size_t i;

	(void)state;
	for (i = 0; i < nitems(changes); i++) {
		text = replace(pair, changes[i].old, changes[i].new);
		n = load_text(text, NULL);
		if (memcmp(c->h.hash, n->h.hash, CONF_HASH_LEN) == 0)
			fail_msg("same hash: %s", changes[i].line);
		conf_free(n);
		free(text);
	}
	conf_free(c);
}

/* Which changes need new sockets. */
static void
test_same_sockets(void **state)
{
	static const struct {
		const char *old;
		const char *new;
		bool vrrp_in;
		bool sync;
	} cases[] = {
	    {"site: t", "site: u", true, true},
	    {"priority: 200", "priority: 201", true, true},
	    {"interface: eth0", "interface: eth9", false, false},
	    {"a: 10.0.0.1/24", "a: 10.0.0.9/24", false, false},
	    {"b: 10.0.0.2/24", "b: 10.0.0.9/24", true, false},
	    {"vip: 10.0.0.3", "vip: 10.0.0.4", true, true},
	    {"vrid: 1\n", "vrid: 7\n", false, true},
	    {"vrid: 2\n", "vrid: 7\n", true, true},
	    {"port: 4000", "port: 4001", true, false},
	    {"over: [in]", "over: [out]", true, false},
	};
	struct conf *c = load_text(pair, "a"), *n;
	char *text;
	size_t i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		text = replace(pair, cases[i].old, cases[i].new);
		n = load_text(text, "a");
		assert_int_equal(
		    conf_net_same_vrrp(c, 0, n, 0), cases[i].vrrp_in);
		assert_int_equal(conf_net_same_sync(c, n), cases[i].sync);
		conf_free(n);
		free(text);
	}
	assert_false(conf_net_same_vrrp(c, 0, c, 1));
	conf_free(c);
}

/* key file */
static char key_dir[] = "/tmp/hagw-key-XXXXXX";
static char key_path[64];

static int
key_setup(void **state)
{
	(void)state;
	if (mkdtemp(key_dir) == NULL)
		return -1;
	snprintf(key_path, sizeof(key_path), "%s/sync.key", key_dir);
	return 0;
}

static int
key_teardown(void **state)
{
	(void)state;
	unlink(key_path);
	return rmdir(key_dir);
}

static void
write_key(const void *data, size_t len, mode_t mode)
{
	int fd;

	unlink(key_path);
	fd = open(key_path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd != -1);
	assert_int_equal(write(fd, data, len), len);
	assert_return_code(fchmod(fd, mode), 0);
	close(fd);
}

/* The same key in both forms. */
static const char raw_key[] = "0AbCdEfGhIjKlMnOpQrStUvWxYz+-*/1";
static const char hex_key[] = "304162436445664768496a4b6c4d6e4F"
			      "705172537455765778597a2b2d2a2f31\n";

static void
expect_key(const char *why_part)
{
	uint8_t key[HAGW_SYNC_KEYLEN];
	char why[512] = "";
	int error = conf_read_key(key_path, key, why, sizeof(why));

	if (why_part == NULL) {
		assert_string_equal(why, "");
		assert_int_equal(error, 0);
		assert_memory_equal(key, raw_key, sizeof(key));
		return;
	}
	assert_int_equal(error, -1);
	assert_memory_equal(why, key_path, strlen(key_path));
	if (strstr(why, why_part) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, why_part);
}

static void
test_key_content(void **state)
{
	char hex[sizeof(hex_key)];

	(void)state;
	memcpy(hex, hex_key, sizeof(hex));
	write_key(raw_key, 32, 0600);
	expect_key(NULL);
	write_key(raw_key, 32, 0400);
	expect_key(NULL);
	write_key(hex, 65, 0600);
	expect_key(NULL);
	write_key(hex, 64, 0600);
	expect_key(NULL);
	write_key(raw_key, 31, 0600);
	expect_key("must hold 32 bytes, or 64 hexadecimal digits");
	write_key("", 0, 0600);
	expect_key("must hold 32 bytes");
	write_key(hex, 33, 0600);
	expect_key("must hold 32 bytes");
	write_key(hex_key, 66, 0600);
	expect_key("must hold 32 bytes");
	hex[64] = 'a';
	write_key(hex, 65, 0600);
	expect_key("must hold 32 bytes");
	hex[10] = 'g';
	write_key(hex, 64, 0600);
	expect_key("not hexadecimal");
}

static void
test_key_file(void **state)
{
	static const mode_t modes[] = {0644, 0640, 0660, 0604, 0700, 04600};
	char want[64];
	size_t i;

	(void)state;
	for (i = 0; i < nitems(modes); i++) {
		write_key(raw_key, 32, modes[i]);
		snprintf(want, sizeof(want), "mode %04o, must be 0600: chmod",
		    modes[i]);
		expect_key(want);
	}
	write_key(raw_key, 32, 0600);
	assert_return_code(chown(key_path, 65534, 0), 0);
	expect_key("owned by uid 65534, must be root's: chown root");
	unlink(key_path);
	expect_key("make one, and copy it to every node: (umask 077; head");
	assert_return_code(symlink("/etc/passwd", key_path), 0);
	expect_key("symbolic link");
	unlink(key_path);
	assert_return_code(mkfifo(key_path, 0600), 0);
	expect_key("not a regular file");
}

/* schema */
static void
test_distance(void **state)
{
	char longer[100];

	(void)state;
	assert_int_equal(schema_distance("", ""), 0);
	assert_int_equal(schema_distance("vip", "vip"), 0);
	assert_int_equal(schema_distance("", "abc"), 3);
	assert_int_equal(schema_distance("vip", "vipp"), 1);
	assert_int_equal(schema_distance("vip", "vp"), 1);
	assert_int_equal(schema_distance("vip", "vap"), 1);
	assert_int_equal(schema_distance("vip", "ivp"), 1);
	assert_int_equal(schema_distance("kitten", "sitting"), 3);
	memset(longer, 'a', sizeof(longer));
	longer[99] = '\0';
	assert_int_equal(schema_distance(longer, "a"), 64);
	assert_int_equal(schema_distance("a", longer), 64);
}

static void
test_suggest(void **state)
{
	(void)state;
	assert_string_equal(schema_suggest("ha", "preemt"), "preempt");
	assert_string_equal(schema_suggest("ha", "advertize"), "advertise");
	assert_string_equal(schema_suggest("", "network"), "networks");
	assert_string_equal(schema_suggest("networks.*", "vird"), "vrid");
	assert_string_equal(schema_suggest("nat.forward[]", "prot"), "port");
	assert_null(schema_suggest("ha", "weight"));
	assert_null(schema_suggest("networks.*", "x"));
	assert_null(schema_suggest("ha", ""));
}

static void
test_duration(void **state)
{
	static const char *const bad[] = {"", "10", "s", "-1s", "+1s", " 1s",
	    "1 s", "1s ", "1.5s", "1S", "1min", "1us", "1234567890s", "0x1s"};
	uint64_t us;
	size_t i;

	(void)state;
	assert_int_equal(conf_duration_parse("10ms", &us), 0);
	assert_int_equal(us, 10000);
	assert_int_equal(conf_duration_parse("3s", &us), 0);
	assert_int_equal(us, 3000000);
	assert_int_equal(conf_duration_parse("2m", &us), 0);
	assert_int_equal(us, 120000000);
	assert_int_equal(conf_duration_parse("1h", &us), 0);
	assert_int_equal(us, 3600000000);
	assert_int_equal(conf_duration_parse("999999999d", &us), 0);
	assert_true(us == 999999999ULL * 86400000000ULL);
	for (i = 0; i < nitems(bad); i++)
		assert_int_equal(conf_duration_parse(bad[i], &us), -1);
}

/* Each key of the table is in the manual, with its default. */
static void
test_mdoc(void **state)
{
	char *text = NULL, *s;
	size_t len;
	FILE *fp = open_memstream(&text, &len);

	(void)state;
	assert_non_null(fp);
	conf_schema_mdoc(fp);
	fclose(fp);
	assert_non_null(strstr(text, ".It Ic site : Ar name\n"));
	assert_non_null(strstr(text, ".Ss nat.forward\n"));
	assert_non_null(strstr(text, ".It Ic preempt : Ar never | Ar map\n"));
	s = strstr(text, ".It Ic advertise : Ar duration\n");
	assert_non_null(s);
	assert_non_null(strstr(s,
	    "From 10ms to 40s, in steps of 10ms.\n"
	    "The default is\n.Ql 1s .\n"));
	free(text);
}

/* limits */
static void
test_many_forwards(void **state)
{
	const uint32_t n = 60000;
	struct conf *c, *again;
	char *text = NULL;
	size_t len;
	FILE *fp = open_memstream(&text, &len);
	uint32_t i;

	(void)state;
	assert_non_null(fp);
	fputs("site: t\nnodes: { a: { priority: 1 } }\nnetworks:\n"
	      "  n: { interface: e, address: { a: 10.0.0.1/8 }, "
	      "vip: 10.0.0.2, vrid: 1 }\nha: { networks: [n] }\n"
	      "nat:\n  forward:\n",
	    fp);
	for (i = 1; i <= n; i++)
		fprintf(fp,
		    "    - { name: f%u, on: n, port: tcp/%u, to: 10.1.0.1 }\n",
		    i, i);
	fclose(fp);
	c = load_text(text, "a");
	free(text);
	assert_int_equal(c->h.nforwards, n);
	assert_int_equal(c->forwards[n - 1].lo, n);
	again = conf_copy(c);
	assert_int_equal(conf_diff(c, again, collect, NULL), 0);
	assert_int_equal(conf_hash(again), 0);
	assert_same_hash(c, again);
	conf_free(c);
	conf_free(again);
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
	struct conf_report r;
	struct conf *c;
	size_t len;

	(void)state;
	for (len = 0; len < sizeof(pair); len++) {
		conf_report_init(&r, "x");
		c = conf_load_buf(pair, len, "x", "a", &r);
		assert_true((c == NULL) == (r.errors > 0));
		conf_free(c);
		conf_report_free(&r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_examples),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_copy),
	    cmocka_unit_test(test_diff),
	    cmocka_unit_test(test_diff_objects),
	    cmocka_unit_test(test_diff_order),
	    cmocka_unit_test(test_hash_layout),
	    cmocka_unit_test(test_hash_values),
	    cmocka_unit_test(test_same_sockets),
	    cmocka_unit_test(test_key_content),
	    cmocka_unit_test(test_key_file),
	    cmocka_unit_test(test_distance),
	    cmocka_unit_test(test_suggest),
	    cmocka_unit_test(test_duration),
	    cmocka_unit_test(test_mdoc),
	    cmocka_unit_test(test_many_forwards),
	    cmocka_unit_test(test_many_errors),
	    cmocka_unit_test(test_no_file),
	    cmocka_unit_test(test_odd),
	    cmocka_unit_test(test_truncated),
	};

	return cmocka_run_group_tests(tests, key_setup, key_teardown);
}
