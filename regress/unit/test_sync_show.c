/* What syncd tells hactl show sync: the rows of a node, made up here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proc.h"
#include "syncd.h"

static struct {
	struct ctl_sync sync;
	struct ctl_sync_peer peer;
	char warnings[1024];
	unsigned int ends;
} got;

static struct sync node;
static struct conf conf;
static struct peer peer;

/* the rows go to this test instead of hagwd */
void
proc_send(enum imsg_type type, uint32_t id, const void *data, size_t len)
{
	const struct ctl_warning *w = data;
	size_t used = strlen(got.warnings);

	assert_int_equal(id, 7);
	if (type == IMSG_CTL_SYNC)
		memcpy(&got.sync, data, len);
	else if (type == IMSG_CTL_SYNC_PEER)
		memcpy(&got.peer, data, len);
	else if (type == IMSG_CTL_WARNING)
		snprintf(got.warnings + used, sizeof(got.warnings) - used,
		    "%s\n", w->text);
	else
		fail_msg("message of type %d", (int)type);
}

void
proc_ctl_end(uint32_t id, int code, const char *fmt, ...)
{
	(void)fmt;
	assert_int_equal(id, 7);
	assert_int_equal(code, 0);
	got.ends++;
}

void
proc_event(const char *fmt, ...)
{
	fail_msg("event: %s", fmt);
}

/* A node of two, as role, that heard the other one as its. */
static void
make_pair(enum role role, enum role other, uint16_t flags)
{
	memset(&node, 0, sizeof(node));
	memset(&conf, 0, sizeof(conf));
	memset(&peer, 0, sizeof(peer));
	conf.h.nnodes = 2;
	conf.h.nnets = 1;
	conf.h.sync.npaths = 1;
	node.conf = &conf;
	node.role = role;
	node.now = 5000000;
	node.peers[1] = &peer;
	node.brx[1].synced = true;
	node.dump.peer = -1;
	snprintf(peer.name, sizeof(peer.name), "fw-2");
	peer.node = 1;
	peer.up = true;
	peer.seen_us = 4900000;
	peer.hb.role = (uint8_t)other;
	peer.hb.flags = flags;
}

static void
show(void)
{
	memset(&got, 0, sizeof(got));
	show_sync(&node, 7, true);
	assert_int_equal(got.ends, 1);
}

/* The row says of this node what its heartbeats say. */
static void
unfit_is_not_ready(void **state)
{
	(void)state;
	make_pair(ROLE_BACKUP, ROLE_MASTER, HB_READY);
	show();
	assert_true(got.sync.ready);
	node.unfit = true;
	show();
	assert_false(got.sync.ready);
	/* hagwd says why; that flows are missing would be wrong */
	assert_string_equal(got.warnings, "");
	node.unfit = false;
	node.brx[1].synced = false;
	show();
	assert_false(got.sync.ready);
	assert_string_equal(got.warnings,
	    "this node is not ready: it does not hold every flow\n");
}

/* A heartbeat does not say which of the two it is. */
static void
peer_not_ready(void **state)
{
	(void)state;
	make_pair(ROLE_MASTER, ROLE_BACKUP, HB_READY);
	show();
	assert_true(got.peer.ready);
	assert_string_equal(got.warnings, "");
	peer.hb.flags = 0;
	show();
	assert_false(got.peer.ready);
	assert_string_equal(got.warnings,
	    "fw-2 is not ready: it does not hold every flow yet or is not fit "
	    "to be MASTER (hactl show summary there)\n");
}

/* Not 0, which would be a time like any other. */
static void
not_measured(void **state)
{
	(void)state;
	make_pair(ROLE_MASTER, ROLE_BACKUP, HB_READY);
	show();
	assert_true(got.peer.rtt_us == CTL_NEVER);
	assert_true(got.peer.bulk_us == CTL_NEVER);
	peer.tx.srtt_us = 300;
	peer.stats.bulk_real_ns = 1;
	peer.stats.bulk_us = 48000;
	show();
	assert_int_equal(got.peer.rtt_us, 300);
	assert_int_equal(got.peer.bulk_us, 48000);
}

/* As in etc/site-minimal.yaml: nothing is wrong with it. */
static void
alone_without_sync(void **state)
{
	(void)state;
	make_pair(ROLE_MASTER, ROLE_INIT, 0);
	conf.h.nnodes = 1;
	conf.h.sync.npaths = 0;
	node.peers[1] = NULL;
	show();
	assert_true(got.sync.ready);
	assert_int_equal(got.sync.npeers, 0);
	assert_string_equal(got.warnings, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(unfit_is_not_ready),
	    cmocka_unit_test(peer_not_ready),
	    cmocka_unit_test(not_measured),
	    cmocka_unit_test(alone_without_sync),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
