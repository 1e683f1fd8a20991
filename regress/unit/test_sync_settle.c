/* Passes over this node's own kernel ask only for what hagwd allows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <stdlib.h>
#include <string.h>

#include "parentd/parentd.h"
#include "syncd/syncd.h"

static struct conf *conf;
static struct authz_view view;
static struct sync node;
static struct ct_rec injected[4];
static size_t ninjected;

static void
op_inject(void *arg, uint32_t id, const struct ct_rec *recs, size_t n)
{
	(void)arg;
	(void)id;
	for (size_t i = 0; i < n; i++)
		injected[ninjected++ % nitems(injected)] = recs[i];
}

static void
op_send(void *arg, uint32_t to, const uint8_t *dgram, size_t len)
{
	(void)arg;
	(void)to;
	(void)dgram;
	(void)len;
}

static void
op_dump_close(void *arg)
{
	(void)arg;
}

static void
op_dump(void *arg, uint32_t id)
{
	(void)arg;
	(void)id;
}

static const struct sync_ops ops = {.inject = op_inject,
    .send = op_send,
    .dump = op_dump,
    .dump_close = op_dump_close};

static int
setup(void **state)
{
	static const uint8_t key[HAGW_SYNC_KEYLEN];

	(void)state;
	conf = conf_new();
	if (conf == NULL)
		return -1;
	conf->h.nnodes = 2;
	strcpy(conf->h.nodes[0].name, "a");
	strcpy(conf->h.nodes[1].name, "b");
	conf->h.sync.npaths = 1;
	conf->h.sync.protocols = CONF_PROTO_ALL;
	sync_init(&node, &ops, NULL, 1000000);
	sync_configure(&node, conf, key, 1000000);
	node.timeouts.tcp[TCP_CONNTRACK_ESTABLISHED] = 432000;
	node.timeouts.tcp[TCP_CONNTRACK_SYN_SENT2] = 120;
	view.inject = true;
	return authz_prepare(&view, conf);
}

static int
teardown(void **state)
{
	(void)state;
	peer_free(node.peers[1]);
	free(view.targets);
	conf_free(conf);
	return 0;
}

/* A handshake that both ends began: a state that is never injected. */
static struct ct_rec
entry(uint32_t timeout_s)
{
	struct ct_rec r = {.op = CT_OP_NEW,
	    .family = AF_INET,
	    .proto = IPPROTO_TCP,
	    .status = IPS_CONFIRMED | IPS_OFFLOAD,
	    .timeout_s = timeout_s,
	    .id = 77,
	    .tcp_state = TCP_CONNTRACK_SYN_SENT2,
	    .fields = CTF_STATUS | CTF_TIMEOUT | CTF_TCP | CTF_ID};

	r.orig.src.w[0] = htonl(0x0a000a05u);
	r.orig.dst.w[0] = htonl(0xcb007150u);
	record_mirror(&r, &r.reply);
	return r;
}

static void
test_allowed(void **state)
{
	static const struct {
		enum dump_kind kind;
		uint32_t timeout_s;
		uint8_t op;
	} passes[] = {
	    {DUMP_SWEEP, 5000000, CT_OP_DELETE},
	    {DUMP_SETTLE, CT_HOLD_BASE_S + 5, CT_OP_TIMEOUT},
	    {DUMP_RELEASE, CT_HOLD_BASE_S + 5, CT_OP_TIMEOUT},
	};

	(void)state;
	for (size_t i = 0; i < nitems(passes); i++) {
		struct ct_rec r = entry(passes[i].timeout_s);
		const char *why;

		ninjected = 0;
		node.dump.kind = passes[i].kind;
		node.dump.peer = 1;
		settle_record(&node, &r);
		apply_flush(&node);
		assert_int_equal(ninjected, 1);
		assert_int_equal(injected[0].op, passes[i].op);
		assert_int_equal(injected[0].id, 77);
		assert_true(injected[0].fields & CTF_ID);
		why = authz_ct(&view, &injected[0]);
		if (why != NULL)
			fail_msg("refused: %s", why);
	}
	node.dump.kind = DUMP_NONE;
}

static size_t
asked_of(enum dump_kind kind, struct ct_rec r)
{
	ninjected = 0;
	node.dump.kind = kind;
	node.dump.peer = 1;
	node.dump.generation = 1; /* and the entries are of none, or of 0 */
	settle_record(&node, &r);
	apply_flush(&node);
	node.dump.kind = DUMP_NONE;
	return ninjected;
}

/* Routed, so that nothing but its time tells that it was injected. */
static void
test_held_for_long_is_swept(void **state)
{
	(void)state;
	assert_int_equal(asked_of(DUMP_SWEEP, entry(HELD_MIN_S)), 0);
	assert_int_equal(asked_of(DUMP_SWEEP, entry(CT_HOLD_BASE_S)), 1);
	assert_int_equal(injected[0].op, CT_OP_DELETE);
	assert_int_equal(asked_of(DUMP_SWEEP, entry(HELD_MIN_S + 1)), 1);
}

/* sync.protocols was made shorter since: nobody tells its end. */
static void
test_held_by_an_earlier_filter(void **state)
{
	static const enum dump_kind kinds[] = {
	    DUMP_SWEEP, DUMP_SETTLE, DUMP_RELEASE};
	struct ct_rec own = entry(CT_HOLD_BASE_S + 5);

	(void)state;
	conf->h.sync.protocols = node.filter.protocols = CONF_PROTO_UDP;
	for (size_t i = 0; i < nitems(kinds); i++) {
		const char *why;

		assert_int_equal(
		    asked_of(kinds[i], entry(CT_HOLD_BASE_S + 5)), 1);
		why = authz_ct(&view, &injected[0]);
		if (why != NULL)
			fail_msg("refused: %s", why);
		assert_int_equal(asked_of(kinds[i], entry(HELD_MIN_S)), 0);
	}
	own.zone = 1;
	assert_int_equal(asked_of(DUMP_SWEEP, own), 0);
	conf->h.sync.protocols = node.filter.protocols = CONF_PROTO_ALL;
}

/* A forward that is in neither node's file: its own flows, not readiness. */
static void
test_refused(void **state)
{
	static const struct {
		int error;
		bool same;
		uint32_t failed;
	} cases[] = {{EPERM, true, 0}, {EPERM, false, 1}, {EEXIST, false, 0},
	    {ENOMEM, true, 1}};
	struct apply *a = &node.apply;
	struct ct_rec r = entry(1000);

	(void)state;
	while (a->n > 0)
		apply_done(&node, 1000000, a->batches[a->first].id, NULL, 0);
	for (size_t i = 0; i < nitems(cases); i++) {
		struct imsg_ct_fail fail = {
		    .index = 0, .error = cases[i].error};
		struct bulk_rx *b = &node.brx[1];

		b->conflicts = b->failed = 0;
		node.peers[1]->hb.hash[0] =
		    conf->h.hash[0] ^ (uint8_t)!cases[i].same;
		apply_record(&node, 1, &r);
		apply_flush(&node);
		apply_done(&node, 1000000, node.apply.last_id, &fail, 1);
		assert_int_equal(b->failed, cases[i].failed);
		assert_int_equal(b->conflicts, !cases[i].failed);
	}
}

/* Every hold step in use, and a bulk under way whose sender broke it off. */
static void
test_a_silent_bulk_is_given_up(void **state)
{
	struct bulk_rx *b = &node.brx[1];

	(void)state;
	node.steps = STEPS_ALL;
	node.steps_known = true;
	b->receiving = true;
	b->heard_us = 1000000;
	settle_turn(&node, 3900000);
	assert_true(b->receiving);
	assert_int_equal(node.dump.kind, DUMP_NONE);
	settle_turn(&node, 4100000);
	assert_false(b->receiving);
	assert_true(b->tainted);
	assert_int_equal(node.dump.kind, DUMP_RELEASE);
	node.dump.kind = DUMP_NONE;
}

/* Bulks that reloads cut off used them all up: the next could not begin. */
static void
test_steps_used_up_while_synced(void **state)
{
	struct bulk_rx *b = &node.brx[1];

	(void)state;
	node.steps = STEPS_ALL;
	node.steps_known = true;
	b->receiving = false;
	b->synced = true;
	b->generation = 7;
	settle_turn(&node, 5000000);
	assert_int_equal(node.dump.kind, DUMP_RELEASE);
	settle_done(&node, 5000000);
	assert_int_equal(node.steps, 1u << 7 % CT_HOLD_STEPS);
	b->synced = false;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_allowed),
	    cmocka_unit_test(test_held_for_long_is_swept),
	    cmocka_unit_test(test_held_by_an_earlier_filter),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_a_silent_bulk_is_given_up),
	    cmocka_unit_test(test_steps_used_up_while_synced),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
