/*
 * The views: rows as structs in, text and JSON out. The texts are compared
 * whole, columns included.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "ctl/hactl.h"

/* 2026-11-08 22:10:03.140 UTC */
#define SINCE_NS 1794175803140000000ull

static struct in_addr
ip(const char *s)
{
	struct in_addr in;

	assert_int_equal(inet_pton(AF_INET, s, &in), 1);
	return in;
}

static void
put(struct answer *a, enum row row, void *data)
{
	row_clean(row, data);
	assert_int_equal(answer_add(a, row, data), 0);
}

static void
ask(struct answer *a, uint32_t what)
{
	a->queries[a->nqueries].ended = true;
	a->queries[a->nqueries++].req.what = what;
}

static void
put_node(struct answer *a)
{
	struct ctl_node node = {
	    .site = "csr-lab",
	    .node = "fw-1",
	    .version = "0.3.1",
	    .hash = {0x9f, 0x31, 0xc2},
	    .role = ROLE_MASTER,
	    .uptime_us = 1051200000000,
	    .ct_count = 48211,
	    .ct_max = 2000000,
	};
	struct ctl_peer peer = {
	    .node = "fw-2",
	    .hash = {0x9f, 0x31, 0xc2},
	    .up = 1,
	    .role = ROLE_BACKUP,
	    .ready = 1,
	    .same_config = 1,
	    .seen_us = 400000,
	};

	ask(a, CTL_SHOW_NODE);
	put(a, ROW_NODE, &node);
	put(a, ROW_PEER, &peer);
}

static void
put_vrrp(struct answer *a)
{
	struct ctl_vrrp vrrp = {
	    .role = ROLE_MASTER,
	    .priority = 200,
	    .configured = 200,
	    .ready = 1,
	    .transitions = 3,
	    .advertise_us = 1000000,
	    .down_us = 3218750,
	    .since_real_ns = SINCE_NS,
	    .since_us = 1051200000000,
	    .last = "BACKUP -> MASTER, \"peer fw-2 released\"",
	};
	struct ctl_vrrp_net outside = {
	    .name = "outside",
	    .ifname = "ens2",
	    .vip = ip("192.168.255.250"),
	    .peer = ip("192.168.255.22"),
	    .vrid = 22,
	    .link_up = 1,
	    .peer_seen_us = 400000,
	    .sent = 1052113,
	    .received_zero = 1,
	    .received = 1,
	    .announces = 17,
	};
	struct ctl_vrrp_net inside = {
	    .name = "inside",
	    .ifname = "ens4",
	    .vip = ip("10.0.0.3"),
	    .vrid = 11,
	    .link_up = 1,
	    .peer_seen_us = CTL_NEVER,
	    .sent = 1052113,
	    .err_ttl = 4,
	    .err_checksum = 1200,
	};

	ask(a, CTL_SHOW_VRRP);
	put(a, ROW_VRRP, &vrrp);
	put(a, ROW_VRRP_NET, &outside);
	put(a, ROW_VRRP_NET, &inside);
}

static void
put_sync(struct answer *a)
{
	struct ctl_sync sync = {
	    .role = ROLE_MASTER,
	    .ready = 1,
	    .npeers = 1,
	    .flows = 48211,
	    .events = 38456,
	    .records_out = 34335,
	    .coalesced = 120,
	    .filtered = 4001,
	    .injected = 48,
	    .swept = 42,
	    .bad_format = 2,
	};
	struct ctl_sync_peer peer = {
	    .node = "fw-2",
	    .path = "sync",
	    .addr = ip("172.30.16.2"),
	    .up = 1,
	    .role = ROLE_BACKUP,
	    .ready = 1,
	    .same_config = 1,
	    .seen_us = 400000,
	    .rtt_us = 300,
	    .lag_us = 12000,
	    .flows = 48209,
	    .unconfirmed = 2,
	    .sent = 35557,
	    .received = 35619,
	    .resent = 118,
	    .records_in = 21721,
	    .bulks_sent = 1,
	    .bulk_real_ns = SINCE_NS,
	    .bulk_us = 48000,
	    .bulk_records = 48190,
	};

	ask(a, CTL_SHOW_SYNC);
	put(a, ROW_SYNC, &sync);
	put(a, ROW_SYNC_PEER, &peer);
}

static void
put_nat(struct answer *a)
{
	struct ctl_nat nat = {
	    .sources = 1,
	    .forwards = 3,
	    .loaded = 1,
	    .applied_us = 4000000,
	    .batches = 1,
	};
	struct ctl_nat_rule lan = {"lan", "source", "inside -> outside",
	    "192.168.255.250", 0, 0, 9120331};
	struct ctl_nat_rule https = {"https", "forward",
	    "outside 192.168.255.250 tcp/443", "10.0.0.20:443", 1, 0, 88210};

	ask(a, CTL_SHOW_NAT);
	put(a, ROW_NAT, &nat);
	put(a, ROW_NAT_RULE, &lan);
	put(a, ROW_NAT_RULE, &https);
}

static void
warn(struct answer *a, const char *object, const char *text, const char *hint)
{
	struct ctl_warning w = {.object = ""};

	snprintf(w.object, sizeof(w.object), "%s", object);
	snprintf(w.text, sizeof(w.text), "%s", text);
	snprintf(w.hint, sizeof(w.hint), "%s", hint);
	put(a, ROW_WARNING, &w);
}

/* The view of a, which is then dropped, must be this text. */
static void
expect(void (*view)(FILE *, const struct answer *), struct answer *a,
    const char *want)
{
	char *got = NULL;
	size_t len;
	FILE *fp = open_memstream(&got, &len);

	assert_non_null(fp);
	view(fp, a);
	fclose(fp);
	assert_string_equal(got, want);
	free(got);
	answer_free(a);
}

static const char summary_rest[] =
    "NETWORK   INTERFACE   VIP               STATE    SINCE              "
    "PEER\n"
    "outside   ens2        192.168.255.250   MASTER   2026-11-08 22:10   "
    "192.168.255.22   seen 0.4s ago\n"
    "inside    ens4        10.0.0.3          MASTER   2026-11-08 22:10   "
    "-                no other master heard\n"
    "\n"
    "sync      48,211 flows here, 48,209 at fw-2, 2 unconfirmed (lag 12 ms)"
    "   path sync\n"
    "nat       1 source, 3 forwards    kernel as configured (applied 4.0s "
    "ago)\n"
    "conntrack 48,211 of 2,000,000 (2%)   0 dropped\n";

static void
put_all(struct answer *a)
{
	put_node(a);
	put_vrrp(a);
	put_sync(a);
	put_nat(a);
}

static void
summary_calm(void **state)
{
	struct answer a = {.nqueries = 0};
	char want[2048];

	(void)state;
	put_all(&a);
	snprintf(want, sizeof(want), "%s%s%s",
	    "csr-lab   fw-1 MASTER   fw-2 BACKUP, ready   hagw 0.3.1   up 12d "
	    "4h   config 9f31c2, same on both\n\n",
	    summary_rest, "warnings  none\n");
	expect(summary_text, &a, want);
}

/*
 * A master hears nobody, rightly, while the others say they are not; a
 * standby says of itself whether it is ready, and FAULT is never ready.
 */
static void
summary_roles(void **state)
{
	struct answer a = {.nqueries = 0};
	struct ctl_vrrp_net *net;
	struct ctl_peer *p;
	struct ctl_node *n;
	char *got = NULL;
	size_t len;
	FILE *fp = open_memstream(&got, &len);

	(void)state;
	assert_non_null(fp);
	put_all(&a);
	net = (struct ctl_vrrp_net *)(void *)a.rows[ROW_VRRP_NET].v;
	p = (struct ctl_peer *)(void *)a.rows[ROW_PEER].v;
	n = (struct ctl_node *)(void *)a.rows[ROW_NODE].v;
	net->peer_seen_us = 60000000;
	p->role = ROLE_FAULT;
	summary_text(fp, &a);
	fflush(fp);
	assert_null(strstr(got, "quiet"));
	assert_null(strstr(got, "ready"));
	rewind(fp);
	p->up = 0; /* what it is then nobody knows */
	summary_text(fp, &a);
	fflush(fp);
	assert_non_null(strstr(got, "quiet for 1m"));
	rewind(fp);
	n->role = ROLE_BACKUP;
	((struct ctl_sync *)(void *)a.rows[ROW_SYNC].v)->ready = 0;
	((struct ctl_sync *)(void *)a.rows[ROW_SYNC].v)->npeers = 1;
	summary_text(fp, &a);
	fclose(fp);
	assert_non_null(strstr(got, "fw-1 BACKUP, not ready"));
	free(got);
	answer_free(&a);
}

/* What is wrong stands in aligned lines with where to look. */
static void
summary_warnings(void **state)
{
	struct answer a = {.nqueries = 0};
	struct ctl_peer *p;
	char want[2048];

	(void)state;
	put_all(&a);
	p = (struct ctl_peer *)(void *)a.rows[ROW_PEER].v;
	p->same_config = 0;
	p->ready = 0;
	p->hash[0] = 0x77;
	warn(
	    &a, "sync", "fw-2 has confirmed nothing for 8s", "hactl show sync");
	warn(&a, "outside network", "no link", "");
	snprintf(want, sizeof(want), "%s%s%s",
	    "csr-lab   fw-1 MASTER   fw-2 BACKUP, not ready   hagw 0.3.1   "
	    "up 12d 4h   config 9f31c2, fw-2 has 7731c2\n\n",
	    summary_rest,
	    "warnings  2\n"
	    "  sync             fw-2 has confirmed nothing for 8s   "
	    "(hactl show sync)\n"
	    "  outside network  no link\n");
	expect(summary_text, &a, want);
}

/* A process that is down costs its lines, not the whole view. */
static void
summary_unanswered(void **state)
{
	struct answer a = {.nqueries = 0};
	struct ctl_peer *p;

	(void)state;
	put_node(&a);
	p = (struct ctl_peer *)(void *)a.rows[ROW_PEER].v;
	p->up = 0;
	p->seen_us = 12000000;
	ask(&a, CTL_SHOW_VRRP);
	a.queries[1].code = EX_NODAEMON;
	strcpy(a.queries[1].text,
	    "vrrpd is not running; hactl show process says why");
	put_sync(&a);
	put_nat(&a);
	expect(summary_text, &a,
	    "csr-lab   fw-1 MASTER   fw-2 silent (seen 12s ago)   hagw 0.3.1"
	    "   up 12d 4h   config 9f31c2\n"
	    "\n"
	    "sync      48,211 flows here, 48,209 at fw-2, 2 unconfirmed (lag "
	    "12 ms)   path sync\n"
	    "nat       1 source, 3 forwards    kernel as configured (applied "
	    "4.0s ago)\n"
	    "conntrack 48,211 of 2,000,000 (2%)   0 dropped\n"
	    "warnings  1\n"
	    "  vrrpd    is not running; hactl show process says why\n");
}

/* Nor twice: the parent's line says why, hactl's only that. */
static void
warnings_unanswered(void **state)
{
	struct answer a = {.nqueries = 0};

	(void)state;
	ask(&a, CTL_SHOW_VRRP);
	a.queries[0].code = EX_LATE;
	strcpy(a.queries[0].text, "gave up waiting after 5s");
	expect(warnings_text, &a,
	    "warnings  1\n"
	    "  vrrpd    does not answer: gave up waiting after 5s   (hactl "
	    "show process)\n");
	ask(&a, CTL_SHOW_VRRP);
	a.queries[0].code = EX_FAILED;
	strcpy(a.queries[0].text, "vrrpd is not running");
	warn(&a, "vrrpd", "not running (killed by signal 9)",
	    "hactl show process");
	expect(warnings_text, &a,
	    "warnings  1\n"
	    "  vrrpd    not running (killed by signal 9)   (hactl show "
	    "process)\n");
}

static void
vrrp_blocks(void **state)
{
	struct answer a = {.nqueries = 0};

	(void)state;
	put_vrrp(&a);
	expect(vrrp_text, &a,
	    "outside  vrid 22  VRRPv3  multicast  MASTER since 2026-11-08 "
	    "22:10:03 (12d 4h)\n"
	    "  interface     ens2, link up   vip 192.168.255.250\n"
	    "  priority      200 (configured 200)\n"
	    "  advertise     1s    master-down 3.219s    preempt never\n"
	    "  sent          1,052,113 (0 of priority 0)   received 1 (1 of "
	    "priority 0)\n"
	    "  last heard    192.168.255.22: priority 0, 0.4s ago\n"
	    "  transitions   3    last: BACKUP -> MASTER, \"peer fw-2 "
	    "released\"\n"
	    "  announced     192.168.255.250 by gratuitous ARP, 17 times\n"
	    "  errors        none\n"
	    "\n"
	    "inside  vrid 11  VRRPv3  multicast  MASTER since 2026-11-08 "
	    "22:10:03 (12d 4h)\n"
	    "  interface     ens4, link up   vip 10.0.0.3\n"
	    "  priority      200 (configured 200)\n"
	    "  advertise     1s    master-down 3.219s    preempt never\n"
	    "  sent          1,052,113 (0 of priority 0)   received 0 (0 of "
	    "priority 0)\n"
	    "  last heard    nobody\n"
	    "  transitions   3    last: BACKUP -> MASTER, \"peer fw-2 "
	    "released\"\n"
	    "  announced     never\n"
	    "  errors        ttl 4   checksum 1,200\n");
}

static void
vrrp_released(void **state)
{
	struct answer a = {.nqueries = 0};
	struct ctl_vrrp v = {
	    .role = ROLE_BACKUP,
	    .priority = 200,
	    .configured = 200,
	    .preempt = 1,
	    .preempt_after_us = 10000000,
	    .advertise_us = 10000,
	    .down_us = 32187,
	    .released = 1,
	    .splits = 2,
	};
	struct ctl_vrrp_net n = {.name = "lan", .ifname = "eth0", .vrid = 7};

	(void)state;
	put(&a, ROW_VRRP, &v);
	put(&a, ROW_VRRP_NET, &n);
	expect(vrrp_text, &a,
	    "lan  vrid 7  VRRPv3  multicast  BACKUP\n"
	    "  interface     eth0, no link   vip 0.0.0.0\n"
	    "  priority      200 (configured 200)   not ready: does not hold "
	    "every flow yet or is not fit to be MASTER (hactl show summary)\n"
	    "  advertise     10ms    master-down 32.187ms    preempt after "
	    "10s\n"
	    "  sent          0 (0 of priority 0)   received 0 (0 of priority "
	    "0)\n"
	    "  last heard    nobody\n"
	    "  transitions   0\n"
	    "  announced     never\n"
	    "  errors        none\n"
	    "  released      by hactl failover: does not preempt until hactl "
	    "failback\n"
	    "  two masters   not now, seen 2 times\n");
}

static void
sync_view(void **state)
{
	struct answer a = {.nqueries = 0};

	(void)state;
	put_sync(&a);
	expect(sync_text, &a,
	    "peer fw-2   UP over sync (172.30.16.2)   encrypted   rtt 0.3 ms"
	    "   config same   BACKUP, ready\n"
	    "                        HERE        PEER HOLDS   UNCONFIRMED"
	    "       LAG\n"
	    "flows                 48,211            48,209             2"
	    "     12 ms\n"
	    "messages  sent 35,557   received 35,619   resent 118   lost 0\n"
	    "resync    1 sent, 0 received   last full one 2026-11-08 22:10:03"
	    " (48,190 records, 48 ms)\n"
	    "takeover  ready: fw-2 would miss 2 records now\n"
	    "records   sent 34,335   received 21,721   coalesced 120   not "
	    "synchronised 4,001\n"
	    "kernel    events 38,456   overruns 0   injected 48   failed 0   "
	    "conflicts 0\n"
	    "tidied    swept 42   settled 0\n"
	    "dropped   wrong key 0   replay 0   version 0   malformed 2   "
	    "other site 0\n");
}

/* Known to the peer row as never: no figure in the text, null in JSON. */
static void
sync_not_measured(void **state)
{
	struct answer a = {.nqueries = 0};
	struct ctl_sync_peer *p;
	json_t *o, *row;
	char *got = NULL;
	size_t len;
	FILE *fp = open_memstream(&got, &len);

	(void)state;
	put_sync(&a);
	p = (struct ctl_sync_peer *)(void *)a.rows[ROW_SYNC_PEER].v;
	p->rtt_us = CTL_NEVER;
	sync_text(fp, &a);
	fclose(fp);
	assert_non_null(strstr(got, "encrypted   config same"));
	o = answer_json(&a, "show sync");
	row = json_array_get(json_object_get(o, "sync_peers"), 0);
	assert_true(json_is_null(json_object_get(row, "rtt_s")));
	json_decref(o);
	free(got);
	answer_free(&a);
}

/* Which of two things keeps a node from being ready is not told to others. */
static void
sync_not_ready(void **state)
{
	struct answer a = {.nqueries = 0};
	char *got = NULL;
	size_t len;
	FILE *fp = open_memstream(&got, &len);

	(void)state;
	put_sync(&a);
	((struct ctl_sync_peer *)(void *)a.rows[ROW_SYNC_PEER].v)->ready = 0;
	sync_text(fp, &a);
	fflush(fp);
	assert_non_null(strstr(got,
	    "takeover  not ready: fw-2 does not hold every flow yet or is not "
	    "fit to be MASTER (hactl show summary there)\n"));
	((struct ctl_sync *)(void *)a.rows[ROW_SYNC].v)->role = ROLE_BACKUP;
	((struct ctl_sync *)(void *)a.rows[ROW_SYNC].v)->ready = 0;
	rewind(fp);
	sync_text(fp, &a);
	fclose(fp);
	assert_non_null(strstr(got,
	    "takeover  not ready: this node does not hold every flow yet or "
	    "is not fit to be MASTER (hactl show summary)\n"));
	free(got);
	answer_free(&a);
}

static void
nat_view(void **state)
{
	struct answer a = {.nqueries = 0};

	(void)state;
	put_nat(&a);
	expect(nat_text, &a,
	    "NAME    KIND      MATCH                             BECOMES      "
	    "          HITS\n"
	    "lan     source    inside -> outside                 "
	    "192.168.255.250   9,120,331\n"
	    "https   forward   outside 192.168.255.250 tcp/443   "
	    "10.0.0.20:443        88,210   hairpin\n"
	    "kernel    as configured (applied 4.0s ago)   batches 1   "
	    "failures 0\n");
}

static void
events_view(void **state)
{
	struct answer a = {.nqueries = 0};
	struct ctl_event e = {SINCE_NS, "fw-2", "vrrp", "MASTER outside"};

	(void)state;
	put(&a, ROW_EVENT, &e);
	expect(events_text, &a,
	    "2026-11-08T22:10:03.140Z fw-2  vrrp   MASTER outside\n");
}

static void
process_view(void **state)
{
	struct answer a = {.nqueries = 0};
	struct ctl_process up = {.name = "vrrpd",
	    .state = "running",
	    .pid = 4711,
	    .uptime_us = 60000000,
	    .rss_kb = 5120,
	    .messages = 1234};
	struct ctl_process down = {.name = "natd",
	    .state = "waiting 4s",
	    .note = "killed by signal 9",
	    .pid = 0,
	    .restarts = 3};

	(void)state;
	put(&a, ROW_PROCESS, &up);
	put(&a, ROW_PROCESS, &down);
	expect(process_text, &a,
	    "PROCESS    PID   STATE        UP      RESTARTS   QUEUED   "
	    "MESSAGES    MEMORY   NOTE\n"
	    "vrrpd     4711   running      1m 0s          0        0      "
	    "1,234   5120 kB\n"
	    "natd         -   waiting 4s   -              3        0          "
	    "0         -   killed by signal 9\n");
}

/* Foreign bytes: control characters, no terminator, broken UTF-8. */
static void
rows_are_cleaned(void **state)
{
	struct ctl_event e;
	struct ctl_warning w;

	(void)state;
	memset(&e, 'x', sizeof(e));
	memcpy(
	    e.text, "a\033[31mb\nc\x7f\xff\xc3\xa9\xe2\x80\xae\xc2\x9bz", 19);
	row_clean(ROW_EVENT, &e);
	assert_int_equal(strlen(e.node), sizeof(e.node) - 1);
	assert_int_equal(strlen(e.kind), sizeof(e.kind) - 1);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_memory_equal(e.text, "a?[31mb?c??\xc3\xa9?????zx", 20);
	memset(&w, 0xc3, sizeof(w));
	row_clean(ROW_WARNING, &w);
	assert_string_equal(w.object, "???????????????????????????????");
}

/* Each field of each kind of row leaves as JSON that parses again. */
static void
json_is_whole(void **state)
{
	struct answer a = {.nqueries = 0};
	json_t *o, *back;
	char *text;

	(void)state;
	put_all(&a);
	warn(&a, "sync", "a \"quoted\" \033 thing", "");
	o = answer_json(&a, "show summary");
	text = json_dumps(o, 0);
	back = json_loads(text, 0, NULL);
	assert_non_null(back);
	assert_true(json_equal(o, back));
	assert_int_equal(json_integer_value(json_object_get(o, "schema")), 1);
	assert_string_equal(
	    json_string_value(json_object_get(
		json_array_get(json_object_get(o, "warnings"), 0), "text")),
	    "a \"quoted\" ? thing");
	json_decref(o);
	o = json_object_get(back, "vrrp");
	assert_string_equal(json_string_value(json_object_get(o, "since")),
	    "2026-11-08T22:10:03.140Z");
	assert_true(
	    json_real_value(json_object_get(o, "since_s")) == 1051200.0);
	assert_string_equal(
	    json_string_value(json_object_get(o, "role")), "MASTER");
	o = json_object_get(back, "networks");
	assert_int_equal(json_array_size(o), 2);
	assert_true(
	    json_is_null(json_object_get(json_array_get(o, 1), "peer_seen_s")));
	assert_int_equal(json_array_size(json_object_get(back, "rules")), 2);
	assert_int_equal(
	    json_array_size(json_object_get(back, "unanswered")), 0);
	free(text);
	json_decref(back);
	answer_free(&a);
}

/* No view may choke on rows of any content, nor on none at all. */
static void
views_survive_noise(void **state)
{
	void (*const views[])(FILE *, const struct answer *) = {summary_text,
	    vrrp_text, sync_text, nat_text, config_text, events_text,
	    process_text};
	unsigned char noise[1024];
	struct answer a = {.nqueries = 0}, none = {.nqueries = 0};
	char line[1536];
	FILE *fp = fopen("/dev/null", "w");
	enum row row;
	size_t i;

	(void)state;
	assert_non_null(fp);
	for (i = 0; i < sizeof(noise); i++)
		noise[i] = (unsigned char)(i * 37 + 0x80);
	for (row = 0; row < ROW_MAX; row++) {
		assert_true(row_size(row) <= sizeof(noise));
		put(&a, row, noise);
	}
	for (i = 0; i < nitems(views); i++) {
		views[i](fp, &a);
		views[i](fp, &none);
	}
	health_judge(&a, line, sizeof(line));
	health_judge(&none, line, sizeof(line));
	json_decref(answer_json(&a, "x"));
	fclose(fp);
	answer_free(&a);
}

static void
expect_health(struct answer *a, int level, const char *want)
{
	char line[1536];

	assert_int_equal(health_judge(a, line, sizeof(line)), level);
	assert_string_equal(line, want);
	answer_free(a);
}

#define FIGURES " | flows=48211;;;0;2000000 unconfirmed=2 dropped=0c"
#define NOW_OK  "fw-1 MASTER, fw-2 BACKUP and ready, 48,211 flows" FIGURES

static void
health_levels(void **state)
{
	struct answer a = {.nqueries = 0};
	struct ctl_nat *nat;

	(void)state;
	put_all(&a);
	expect_health(&a, 0, NOW_OK);
	put_all(&a);
	warn(&a, "sync", "slow | thing", "");
	expect_health(&a, 1, "sync: slow / thing; " NOW_OK);
	put_all(&a);
	((struct ctl_peer *)(void *)a.rows[ROW_PEER].v)->up = 0;
	expect_health(&a, 1,
	    "fw-2 does not answer; fw-1 MASTER, fw-2 silent, 48,211 "
	    "flows" FIGURES);
	put_all(&a);
	((struct ctl_peer *)(void *)a.rows[ROW_PEER].v)->same_config = 0;
	expect_health(&a, 1, "fw-2 has another configuration; " NOW_OK);
	put_all(&a);
	((struct ctl_vrrp *)(void *)a.rows[ROW_VRRP].v)->role = ROLE_FAULT;
	expect_health(&a, 2, "this node can not be master; " NOW_OK);
	put_all(&a);
	((struct ctl_vrrp *)(void *)a.rows[ROW_VRRP].v)->split = 1;
	expect_health(&a, 2, "two masters suspected; " NOW_OK);
	put_all(&a);
	nat = (struct ctl_nat *)(void *)a.rows[ROW_NAT].v;
	nat->loaded = 0;
	nat->loading = 1; /* a reload's change is on its way */
	expect_health(
	    &a, 1, "NAT is as before the last reload, being changed; " NOW_OK);
	put_all(&a);
	nat = (struct ctl_nat *)(void *)a.rows[ROW_NAT].v;
	nat->loaded = 0; /* somebody removed it */
	expect_health(&a, 2, "NAT is not in the kernel; " NOW_OK);
	put_all(&a);
	nat = (struct ctl_nat *)(void *)a.rows[ROW_NAT].v;
	nat->loaded = 0;
	strcpy(nat->error, "Operation not supported");
	expect_health(&a, 2,
	    "NAT is not in the kernel: Operation not supported; " NOW_OK);
	put_all(&a);
	a.queries[1].code = EX_LATE;
	strcpy(a.queries[1].text, "gave up");
	expect_health(&a, 2, "vrrpd does not answer: gave up; " NOW_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(summary_calm),
	    cmocka_unit_test(summary_roles),
	    cmocka_unit_test(summary_warnings),
	    cmocka_unit_test(summary_unanswered),
	    cmocka_unit_test(warnings_unanswered),
	    cmocka_unit_test(vrrp_blocks),
	    cmocka_unit_test(vrrp_released),
	    cmocka_unit_test(sync_view),
	    cmocka_unit_test(sync_not_measured),
	    cmocka_unit_test(sync_not_ready),
	    cmocka_unit_test(nat_view),
	    cmocka_unit_test(events_view),
	    cmocka_unit_test(process_view),
	    cmocka_unit_test(rows_are_cleaned),
	    cmocka_unit_test(json_is_whole),
	    cmocka_unit_test(views_survive_noise),
	    cmocka_unit_test(health_levels),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
