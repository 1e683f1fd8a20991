/* The site as structs: values, copies, differences, the hash. */
#include <netinet/in.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_text.h"

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

static void
assert_same_hash(const struct conf *a, const struct conf *b)
{
	assert_memory_equal(a->h.hash, b->h.hash, CONF_HASH_LEN);
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

static void
test_diff_order_forwards(void **state)
{
	char *t = replace(pair, "name: f1,", "name: f3,"), *u, buf[4096] = "";
	struct conf *c = load_text(pair, NULL), *n, *m;

	(void)state;
	u = replace(t, "on: out, port: udp/53, to: 10.0.0.21",
	    "on: out, port: udp/53, to: 10.0.0.21 }\n    - { name: f1, on: out,"
	    " port: tcp/80-81, to: 10.0.0.20:90, hairpin: true");
	free(t);
	t = replace(u,
	    "    - { name: f3, on: out, port: tcp/80-81, "
	    "to: 10.0.0.20:90, hairpin: true }\n",
	    "");
	n = load_text(t, NULL);
	assert_int_equal(conf_diff(c, n, collect, buf), 1);
	assert_string_equal(buf, "~ nat.forward  order of the rules\n");
	m = conf_copy(n);
	assert_int_equal(conf_diff(n, m, collect, buf), 0);
	conf_free(m);
	conf_free(n);
	conf_free(c);
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

/* One more peer needs a sync socket, though nobody else moved. */
static void
test_third_node(void **state)
{
	struct conf *c = load_text(pair, "a"), *n;
	char *t, *u, *v;

	(void)state;
	t = replace(pair, "b: { priority: 100 }",
	    "b: { priority: 100 }\n  c: { priority: 50 }");
	u = replace(t, "b: 10.0.0.2/24", "b: 10.0.0.2/24, c: 10.0.0.4/24");
	v = replace(u, "b: 192.0.2.2/24", "b: 192.0.2.2/24, c: 192.0.2.4/24");
	free(u);
	u = replace(v, "b: eth2", "b: eth2, c: eth3");
	n = load_text(u, "a");
	assert_true(conf_net_same_vrrp(c, 0, n, 0));
	assert_false(conf_net_same_sync(c, n));
	assert_false(conf_net_same_sync(n, c));
	conf_free(c);
	conf_free(n);
	free(t);
	free(u);
	free(v);
}

static bool
has_eth0(const char *ifname)
{
	return strcmp(ifname, "eth0") == 0;
}

/* The report on text, read for node on a host that has eth0 alone. */
static char *
warnings_of(const char *text, const char *node)
{
	struct conf_report r;
	struct conf *c;
	char *out;

	conf_report_init(&r, "x");
	r.has_link = has_eth0;
	c = conf_load_buf(text, strlen(text), "x", node, &r);
	assert_non_null(c);
	assert_int_equal(r.errors, 0);
	out = report_text(&r);
	conf_report_free(&r);
	conf_free(c);
	return out;
}

static void
assert_warnings(const char *text, const char *node, const char *want)
{
	char *out = warnings_of(text, node);

	assert_string_equal(out, want);
	free(out);
}

/* What is not here is said in its place, and what follows from it. */
static void
test_no_link(void **state)
{
	char *t, *u;

	(void)state;
	assert_warnings(pair, NULL, "");
	assert_warnings(pair, "b",
	    "x:12:30: warning: this host has no interface eth2: until it "
	    "has, b is in FAULT and takes no virtual address\n"
	    "   12 |     interface: { a: eth1, b: eth2 }\n"
	    "      |                              ^^^^\n"
	    "1 warning\n");
	t = replace(pair, "{ a: eth1, b: eth2 }", "eth0");
	u = replace(t, "interface: eth0", "interface: eht0");
	assert_warnings(u, "a",
	    "x:7:16: warning: this host has no interface eht0: until it "
	    "has, a is in FAULT and takes no virtual address\n"
	    "    7 |     interface: eht0\n"
	    "      |                ^^^^\n"
	    "1 warning\n");
	free(u);
	free(t);
}

/* Networks without a virtual address: the node serves all the same. */
static void
test_no_link_beside(void **state)
{
	char *t, *u;

	(void)state;
	t = replace(pair, "a: eth1", "a: eth0");
	u = replace(
	    t, "    interface: eth0", "    interface: { a: eth8, b: e }");
	free(t);
	t = replace(u, "ha:\n",
	    "  dmz: { interface: eth5, address: { a: 10.5.0.1/16 } }\nha:\n");
	free(u);
	u = replace(t, "    vip: 10.0.0.3\n    vrid: 1\n", "");
	free(t);
	t = replace(u, "[in, out]", "[out]");
	free(u);
	u = replace(
	    t, "    - { name: s2, from: out, to: in, address: vip }\n", "");
	free(t);
	t = replace(u, ", hairpin: true", "");
	free(u);
	u = t;
	t = warnings_of(u, "a");
	assert_non_null(strstr(t,
	    "warning: this host has no interface eth8: until it has, a "
	    "neither sends nor receives flows\n"));
	assert_non_null(strstr(t,
	    "warning: this host has no interface eth5: until it has, a has "
	    "no link to dmz\n"));
	assert_non_null(strstr(t, "\n2 warnings\n"));
	free(t);
	/* b is not on dmz */
	t = warnings_of(u, "b");
	assert_null(strstr(t, "dmz"));
	free(t);
	free(u);
}

/* Forwards that some of their clients get no answer by. */
static void
test_forward_warnings(void **state)
{
	char *t, *u;

	(void)state;
	t = replace(pair, "{ name: f2, on: out", "{ name: f2, on: in");
	assert_warnings(t, NULL,
	    "x:31:45: warning: hosts of in cannot use this: 10.0.0.21 answers "
	    "them directly, not from the vip; write hairpin: true, or false "
	    "if they need not\n"
	    "   31 |     - { name: f2, on: in, port: udp/53, to: 10.0.0.21 }\n"
	    "      |                                             ^^^^^^^^^\n"
	    "1 warning\n");
	u = replace(t, "10.0.0.21", "10.0.0.21, hairpin: false");
	assert_warnings(u, NULL, "");
	free(u);
	u = replace(t, "10.0.0.21", "10.0.0.21, hairpin: true");
	assert_warnings(u, NULL, "");
	free(u);
	free(t);
	t = replace(pair, "ha:\n",
	    "  dmz: { interface: eth5, address: { a: 10.5.0.1/16 } }\nha:\n");
	u = replace(t, "10.0.0.20:90", "10.5.0.9:90");
	assert_warnings(u, NULL,
	    "x:31:71: warning: hairpin has no effect: 10.5.0.9 is in dmz, "
	    "which has no vip\n"
	    "   31 |     - { name: f1, on: out, port: tcp/80-81, to: "
	    "10.5.0.9:90, hairpin: true }\n"
	    "      |                                                 "
	    "                      ^^^^\n"
	    "1 warning\n");
	free(t);
	t = replace(u, ", hairpin: true", "");
	assert_warnings(t, NULL, "");
	free(t);
	free(u);
}

/* One place, one warning, whatever follows from it. */
static void
test_forward_to_nowhere(void **state)
{
	char *t, *u;

	(void)state;
	t = replace(pair, "10.0.0.20:90", "10.5.0.9");
	assert_warnings(t, NULL,
	    "x:30:49: warning: 10.5.0.9 is in none of the networks; the nodes "
	    "need a route to it, and hairpin has no effect\n"
	    "   30 |     - { name: f1, on: out, port: tcp/80-81, to: "
	    "10.5.0.9, hairpin: true }\n"
	    "      |                                                 ^^^^^^^^\n"
	    "1 warning\n");
	u = replace(t, ", hairpin: true", "");
	free(t);
	t = warnings_of(u, NULL);
	assert_non_null(strstr(t, "need a route to it\n"));
	free(t);
	free(u);
}

/* limits */
static void
test_many_sources(void **state)
{
	char *text = NULL;
	struct conf_report r;
	size_t len;
	FILE *fp = open_memstream(&text, &len);
	int i;

	(void)state;
	assert_non_null(fp);
	fwrite(pair, 1, (size_t)(strstr(pair, "    - { name: s1") - pair), fp);
	for (i = 0; i <= CONF_SOURCES_MAX; i++)
		fprintf(fp, "    - { name: s%d, to: in, address: vip }\n", i);
	fclose(fp);
	conf_report_init(&r, "x");
	assert_null(conf_load_buf(text, len, "x", NULL, &r));
	/* each has no from, and the last is one too many */
	assert_int_equal(r.errors, CONF_SOURCES_MAX + 1);
	assert_string_equal(r.msgs[r.nmsgs - 1].text, "more than 256 rules");
	conf_report_free(&r);
	free(text);
}

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_copy),
	    cmocka_unit_test(test_diff),
	    cmocka_unit_test(test_diff_objects),
	    cmocka_unit_test(test_diff_order),
	    cmocka_unit_test(test_diff_order_forwards),
	    cmocka_unit_test(test_hash_layout),
	    cmocka_unit_test(test_hash_values),
	    cmocka_unit_test(test_same_sockets),
	    cmocka_unit_test(test_third_node),
	    cmocka_unit_test(test_no_link),
	    cmocka_unit_test(test_no_link_beside),
	    cmocka_unit_test(test_forward_warnings),
	    cmocka_unit_test(test_forward_to_nowhere),
	    cmocka_unit_test(test_many_sources),
	    cmocka_unit_test(test_many_forwards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
