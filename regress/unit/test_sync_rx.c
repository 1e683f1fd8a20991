/* The receiving half of a peer: when it acknowledges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "syncd/syncd.h"

static unsigned int nsent;
static uint64_t now;
static struct peer *p;

static void
op_send(struct peer *to, const uint8_t *dgram, size_t len)
{
	(void)to;
	(void)dgram;
	(void)len;
	nsent++;
}

static void
op_nothing(struct peer *to)
{
	(void)to;
}

static const struct peer_ops ops = {.send = op_send, .new_stream = op_nothing};

static int
setup(void **state)
{
	(void)state;
	now = 1000000;
	nsent = 0;
	p = peer_new(&ops, NULL, 1, "b", TX_MIN, now);
	if (p != NULL)
		p->hb_at = UINT64_MAX; /* acknowledgements alone are counted */
	return p == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	peer_free(p);
	return 0;
}

static void
hear(uint64_t seq)
{
	uint8_t buf[64];
	struct wr w = {buf, buf + sizeof(buf), false};
	struct rd r;

	wr_u32(&w, 1);
	wr_u64(&w, seq);
	wr_u8(&w, 0);
	r = (struct rd){buf, w.p, false};
	p->rx.ts_at = now;
	rx_data(p, now, &r);
}

static void
applied(uint64_t upto)
{
	struct rd r;
	uint64_t seq;

	while (rx_next(&p->rx, &r, &seq))
		continue;
	rx_applied(p, now, 1, upto);
}

/* Nothing but time makes it send its next one. */
static void
sends_after(uint64_t us)
{
	unsigned int before = nsent;

	peer_flush(p, now);
	assert_int_equal(nsent, before);
	now += us;
	assert_true(peer_deadline(p) <= now);
	peer_flush(p, now);
	assert_int_equal(nsent, before + 1);
}

/* One datagram each millisecond; the kernel has it when the next comes. */
static void
many_are_answered_together(void **state)
{
	(void)state;
	for (uint64_t seq = 0; seq < 100; seq++) {
		hear(seq);
		if (seq > 0)
			applied(seq);
		peer_flush(p, now);
		assert_true(seq < 5 || p->rx.acked + 5 >= seq);
		now += 1000;
	}
	assert_in_range(nsent, 20, 40);
	assert_in_range(p->rx.slots.touched, 1, 3); /* of its places */
}

/* One each three milliseconds: every third one, and never by a timer. */
static void
nobody_wakes_up_for_it(void **state)
{
	(void)state;
	for (uint64_t seq = 0; seq < 100; seq++) {
		assert_true(peer_deadline(p) > now);
		hear(seq);
		applied(seq + 1);
		peer_flush(p, now);
		now += 3000;
	}
	assert_int_equal(nsent, 34);
}

/* Nothing was said of late: there is nothing to gather. */
static void
the_first_is_answered_at_once(void **state)
{
	(void)state;
	hear(0);
	peer_flush(p, now);
	assert_int_equal(nsent, 0);
	applied(1);
	peer_flush(p, now);
	assert_int_equal(nsent, 1);
	assert_int_equal(p->rx.ack_at, 0);
	/* the next one is */
	hear(1);
	applied(2);
	sends_after(ACK_WAIT_US);
}

static void
a_crowd_is_answered_at_once(void **state)
{
	(void)state;
	rx_send_ack(p, now);
	for (uint64_t seq = 0; seq < ACK_EVERY; seq++)
		hear(seq);
	applied(ACK_EVERY - 1);
	peer_flush(p, now);
	assert_int_equal(nsent, 1);
	applied(ACK_EVERY);
	peer_flush(p, now);
	assert_int_equal(nsent, 2);
}

/* What the kernel takes long for is acknowledged as received meanwhile. */
static void
a_busy_kernel_is_not_waited_for(void **state)
{
	(void)state;
	hear(0);
	sends_after(ACK_WAIT_US);
	assert_int_equal(p->rx.acked, 0);
	/* and what it took soon after is not left to the next datagram */
	now += 100;
	applied(1);
	sends_after(ACK_WAIT_US);
	assert_int_equal(p->rx.acked, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		many_are_answered_together, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		nobody_wakes_up_for_it, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		the_first_is_answered_at_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		a_crowd_is_answered_at_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		a_busy_kernel_is_not_waited_for, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
