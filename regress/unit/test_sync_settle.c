/* Passes over this node's own kernel ask only for what hagwd allows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_allowed),
	    cmocka_unit_test(test_a_silent_bulk_is_given_up),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
