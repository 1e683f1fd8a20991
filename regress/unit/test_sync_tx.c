/* The sending half of a peer: acknowledgements out of their turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "syncd/syncd.h"

static unsigned int nsent;

static void
op_send(struct peer *p, const uint8_t *dgram, size_t len)
{
	(void)p;
	(void)dgram;
	(void)len;
	nsent++;
}

static const struct peer_ops ops = {.send = op_send};

static void
fill(struct peer *p, uint64_t upto)
{
	static const uint8_t item[ITEM_MAX];

	while (p->tx.head < upto)
		assert_true(tx_append(p, 1000, item, sizeof(item), 1));
}

/*
 * An old acknowledgement comes after a newer one, when the ring has gone
 * round: the slot it speaks of holds a datagram that nobody has yet.
 */
static void
test_overtaken_ack(void **state)
{
	struct peer *p = peer_new(&ops, NULL, 1, "b", TX_MIN, 1000);
	struct wire_ack late = {.stream = 1, .cum = 0, .nsack = 1};
	struct wire_ack all = {.stream = 1};

	(void)state;
	assert_non_null(p);
	tx_start(p);
	fill(p, 100);
	tx_pump(p, 1000);
	assert_in_range(nsent, CWND_FIRST, 100);
	late.sack[0] = 0x07; /* 1 to 3 are there, 0 is not */
	all.cum = all.applied = p->tx.next;
	tx_ack(p, 2000, &all);
	assert_int_equal(p->tx.base, all.applied);
	fill(p, p->tx.base + TX_MIN - 1);
	assert_true(p->tx.head >= TX_MIN + 3);
	assert_true(p->tx.next < TX_MIN);
	tx_ack(p, 3000, &late);
	for (uint64_t n = p->tx.next; n <= p->tx.head; n++)
		assert_false(tx_slot(&p->tx, n)->acked);
	peer_free(p);
}

/* A ring of which little is under way touches little memory. */
static void
test_little_memory(void **state)
{
	struct peer *p = peer_new(&ops, NULL, 1, "b", TX_MIN, 1000);
	struct wire_ack a = {.stream = 1};

	(void)state;
	assert_non_null(p);
	tx_start(p);
	for (uint64_t n = 1; n < 3 * TX_MIN; n++) {
		fill(p, n);
		tx_pump(p, 1000);
		a.cum = p->tx.next;
		a.applied = a.cum > 3 ? a.cum - 3 : 0;
		tx_ack(p, 2000, &a);
	}
	assert_int_equal(p->tx.cum, p->tx.next);
	assert_in_range(p->tx.slots.touched, 4, 8);
	assert_int_equal(p->tx.slots.touched - p->tx.slots.nspare,
	    p->tx.head - p->tx.base + 1);
	peer_free(p);
}

/* One that speaks of what was never sent is not believed. */
static void
test_future_ack(void **state)
{
	struct peer *p = peer_new(&ops, NULL, 1, "b", TX_MIN, 1000);
	struct wire_ack a = {.stream = 1, .nsack = WIRE_SACK_MAX};

	(void)state;
	assert_non_null(p);
	tx_start(p);
	fill(p, 100);
	tx_pump(p, 1000);
	memset(a.sack, 0xff, sizeof(a.sack));
	tx_ack(p, 2000, &a);
	for (uint64_t n = p->tx.next; n <= p->tx.head; n++)
		assert_false(tx_slot(&p->tx, n)->acked);
	a.cum = p->tx.next + 1;
	tx_ack(p, 2000, &a);
	assert_int_equal(p->tx.cum, 0);
	peer_free(p);
}

/* What waited to be read tells nothing of the round trip. */
static void
test_late_ack(void **state)
{
	struct peer *p = peer_new(&ops, NULL, 1, "b", TX_MIN, 1000);
	struct wire_ack a = {.stream = 1, .ts_echo = 1000};

	(void)state;
	assert_non_null(p);
	tx_start(p);
	fill(p, 3);
	tx_pump(p, 1000);
	p->late = true;
	a.cum = a.applied = 1;
	tx_ack(p, 6000, &a);
	assert_int_equal(p->tx.cum, 1);
	assert_int_equal(p->tx.srtt_us, 0);
	p->late = false;
	a.cum = a.applied = 2;
	tx_ack(p, 1300, &a);
	assert_in_range(p->tx.srtt_us, 300, 301);
	peer_free(p);
}

/* A window that is full opens by what the peer says. */
static void
test_held(void **state)
{
	struct peer *p = peer_new(&ops, NULL, 1, "b", TX_MIN, 1000);
	struct wire_ack a = {.stream = 1};

	(void)state;
	assert_non_null(p);
	tx_start(p);
	fill(p, CWND_FIRST - 1);
	tx_pump(p, 1000);
	assert_false(tx_held(&p->tx));
	fill(p, CWND_FIRST + 1);
	tx_pump(p, 1000);
	assert_true(tx_held(&p->tx));
	a.cum = a.applied = p->tx.next;
	tx_ack(p, 2000, &a);
	tx_pump(p, 2000);
	assert_false(tx_held(&p->tx));
	peer_free(p);
}

/* Each datagram can be read by itself, wherever it was cut or sent. */
static void
test_records(void **state)
{
	struct peer *p = peer_new(&ops, NULL, 1, "b", TX_MIN, 1000);
	struct ct_rec r = {.op = CT_OP_NEW,
	    .family = AF_INET,
	    .proto = IPPROTO_UDP,
	    .fields = CTF_STATUS,
	    .status = 0x1ab};
	uint8_t item[ITEM_MAX];
	uint16_t want = 0;
	size_t n;

	(void)state;
	assert_non_null(p);
	tx_start(p);
	for (uint16_t i = 0; i < 1000; i++) {
		r.orig.sport = i;
		record_mirror(&r, &r.reply);
		assert_true(tx_record(p, 1000, ITEM_LIVE, &r));
		if (i % 300 == 299)
			tx_pump(p, 1000);
	}
	assert_in_range(p->tx.head, 5, 12);
	for (uint64_t seq = 0; seq <= p->tx.head; seq++) {
		const struct tx_slot *s = tx_slot(&p->tx, seq);
		struct rd rd = {s->body, s->body + s->len, false};
		struct ct_rec before = {.op = 0};
		struct item it;

		while (item_decode(&rd, &before, &it) == ITEM_GOOD)
			assert_int_equal(it.rec.orig.sport, want++);
		assert_ptr_equal(rd.p, rd.end);
	}
	assert_int_equal(want, 1000);
	/* nor does another stream know of what was before */
	assert_int_not_equal(p->tx.last.op, 0);
	tx_stop(p);
	tx_start(p);
	assert_true(tx_record(p, 1000, ITEM_LIVE, &r));
	n = record_encode(item, ITEM_LIVE, &r, NULL);
	assert_int_equal(tx_slot(&p->tx, 0)->len, n);
	assert_memory_equal(tx_slot(&p->tx, 0)->body, item, n);
	peer_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_overtaken_ack),
	    cmocka_unit_test(test_little_memory),
	    cmocka_unit_test(test_future_ack),
	    cmocka_unit_test(test_late_ack),
	    cmocka_unit_test(test_held),
	    cmocka_unit_test(test_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
