/* The replication as a whole, between two or three nodes in memory. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <string.h>

#include "sim.h"

static void
test_bulk_and_live(void **state)
{
	struct sim *m = sim_new(1);

	(void)state;
	sim_fill(m, 0, 2000);
	sim_run(m, 500000, 0);
	assert_false(sync_ready(&m->h[1].s));
	sim_role(m, 0, ROLE_MASTER);
	assert_true(sync_ready(&m->h[0].s));
	for (int i = 0; i < 1000 && m->h[0].s.dump.kind != DUMP_BULK; i++)
		sim_run(m, 1000, 0);
	assert_true(sync_listens(&m->h[0].s));
	assert_false(sync_patient(&m->h[0].s));
	for (int i = 0; i < 1000 && !m->h[1].s.brx[0].receiving; i++)
		sim_run(m, 1000, 0);
	assert_false(sync_patient(&m->h[1].s));
	assert_true(sim_settle(m, 0, 3000000));
	assert_false(sync_listens(&m->h[0].s));
	assert_true(sync_patient(&m->h[1].s));
	assert_int_equal(sim_differences(m), 0);
	assert_int_equal(sim_count(m, 1), 2000);
	sim_run(m, 2000000, 2);
	assert_true(sim_settle(m, 0, 3000000));
	assert_int_equal(sim_differences(m), 0);
	assert_int_equal(m->h[0].s.peers[1]->stats.bulks_sent, 1);
	assert_int_equal(m->h[0].s.peers[1]->stats.resent, 0);
	assert_int_equal(m->h[1].s.stats.swept, 0);
	/* what stands by never runs out before its owner says so, or when */
	for (int i = 0; i < SIM_FLOWS; i++)
		if (m->h[1].flows[i].alive && m->h[1].flows[i].ends_at == 0)
			assert_int_equal(
			    ct_hold_step(m->h[1].flows[i].rec.timeout_s),
			    m->h[1].s.brx[0].generation % CT_HOLD_STEPS);
	sim_free(m);
}

/* Loss, repetition and reordering, with a bulk in the middle of churn. */
static void
test_bad_network(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct sim *m = sim_new(seed);

		m->loss = 10;
		m->repeat = 10;
		m->jitter_us = 3000;
		sim_fill(m, 0, 1500);
		sim_role(m, 0, ROLE_MASTER);
		sim_run(m, 4000000, 3);
		assert_true(m->h[0].s.peers[1]->stats.resent > 0);
		m->loss = m->repeat = 0;
		assert_true(sim_settle(m, 0, 5000000));
		assert_int_equal(sim_differences(m), 0);
		sim_free(m);
	}
}

/* Overruns force bulks during churn: no ghost may come of the overlap. */
static void
test_bulk_during_churn(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct sim *m = sim_new(100 + seed);

		m->jitter_us = 500;
		sim_fill(m, 0, 2500);
		sim_role(m, 0, ROLE_MASTER);
		for (int i = 0; i < 4; i++) {
			sim_run(m, 1200000, 8);
			/* some events are lost in the kernel */
			m->h[0].ev_head = m->h[0].ev_tail;
			sync_overrun(&m->h[0].s);
		}
		assert_true(sim_settle(m, 0, 8000000));
		assert_int_equal(sim_differences(m), 0);
		assert_true(m->h[0].s.peers[1]->stats.bulks_sent >= 4);
		sim_free(m);
	}
}

static void
test_restarts(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct sim *m = sim_new(200 + seed);

		m->loss = 10;
		m->repeat = 5;
		m->jitter_us = 2000;
		sim_fill(m, 0, 1000);
		sim_role(m, 0, ROLE_MASTER);
		for (int i = 0; i < 8; i++) {
			int host = (int)sim_random(m, 2);

			sim_run(m, 200000 + sim_random(m, 1500000), 4);
			sim_stop(m, host);
			sim_run(m, sim_random(m, 600000), 4);
			sim_start(m, host);
		}
		m->loss = 0;
		sim_run(m, 1000000, 4);
		assert_true(sim_settle(m, 0, 20000000));
		assert_int_equal(sim_differences(m), 0);
		sim_free(m);
	}
}

/* The peer's parent stops: the ring is full, the master goes on. */
static void
test_slow_peer(void **state)
{
	struct sim *m = sim_new(7);
	const struct peer *p = m->h[0].s.peers[1];
	unsigned int n = 0, held = 0;

	(void)state;
	sim_role(m, 0, ROLE_MASTER);
	assert_true(sim_settle(m, 0, 3000000));
	m->h[1].stuck_until = UINT64_MAX;
	sim_run(m, 1000, 1);
	assert_true(sync_patient(&m->h[1].s));
	sim_run(m, 100000, 30);
	assert_false(sync_patient(&m->h[1].s));
	while (p->stats.behind == 0 && n++ < 600) {
		sim_run(m, 100000, 30);
		/* the window is full: only the peer's word opens it */
		held += !m->h[0].s.barrier.on &&
		    m->h[0].s.dump.kind != DUMP_BULK &&
		    sync_listens(&m->h[0].s);
	}
	assert_int_equal(p->stats.behind, 1);
	assert_true(p->stats.lost > 100000);
	assert_true(held > 0);
	assert_int_equal(m->h[1].s.stats.bad[CRYPT_BAD_FORMAT], 0);
	sim_run(m, 1000000, 1);
	assert_false(sync_ready(&m->h[1].s));
	m->h[1].stuck_until = 0;
	assert_true(sim_settle(m, 0, 10000000));
	assert_int_equal(sim_differences(m), 0);
	sim_free(m);
}

static void
test_cut_and_back(void **state)
{
	struct sim *m = sim_new(8);

	(void)state;
	sim_fill(m, 0, 500);
	sim_role(m, 0, ROLE_MASTER);
	assert_true(sim_settle(m, 0, 3000000));
	assert_true(m->h[0].status[1].up);
	m->cut = true;
	sim_run(m, 2000000, 1);
	assert_false(m->h[0].status[1].up);
	assert_false(m->h[1].status[0].self_ready);
	assert_true(m->h[0].status[1].unconfirmed > 0);
	assert_true(m->h[0].status[1].lag_us > 1500000);
	m->cut = false;
	assert_true(sim_settle(m, 0, 3000000));
	assert_int_equal(sim_differences(m), 0);
	/* nothing was lost, so nothing had to be repeated as a whole */
	assert_int_equal(m->h[0].s.peers[1]->stats.bulks_sent, 1);
	sim_free(m);
}

static void
test_barrier(void **state)
{
	struct sim *m = sim_new(9);

	(void)state;
	sim_role(m, 0, ROLE_MASTER);
	assert_true(sim_settle(m, 0, 3000000));
	sim_run(m, 100000, 5);
	sim_change(m, &m->h[0]);
	assert_false(sync_listens(&m->h[0].s));
	assert_true(sync_patient(&m->h[0].s));
	sync_barrier(&m->h[0].s, m->now);
	assert_true(sync_listens(&m->h[0].s));
	assert_false(sync_patient(&m->h[0].s));
	assert_int_equal(m->h[0].barriers, 0);
	sim_run(m, 20000, 0);
	assert_int_equal(m->h[0].barriers, 1);
	assert_true(m->h[0].barrier.ok);
	assert_int_equal(sim_differences(m), 0);

	m->cut = true;
	sim_change(m, &m->h[0]);
	sync_barrier(&m->h[0].s, m->now);
	sim_run(m, 900000, 0);
	assert_int_equal(m->h[0].barriers, 1);
	sim_run(m, 200000, 0);
	assert_int_equal(m->h[0].barriers, 2);
	assert_false(m->h[0].barrier.ok);
	assert_int_equal(m->h[0].barrier.unconfirmed, 1);
	sim_free(m);
}

static void
test_handover_request(void **state)
{
	struct sim *m = sim_new(10);

	(void)state;
	sim_role(m, 0, ROLE_MASTER);
	assert_true(sim_settle(m, 0, 3000000));
	m->loss = 50;
	sync_handover(&m->h[1].s, true, m->now);
	sim_run(m, 900000, 0);
	assert_int_equal(m->h[0].asked, 1);
	assert_true(m->h[0].asked_operator);
	sync_handover(&m->h[1].s, false, m->now);
	sim_run(m, 900000, 0);
	assert_int_equal(m->h[0].asked, 2);
	assert_false(m->h[0].asked_operator);
	sim_free(m);
}

/* Heartbeats of both sides meet, so that each side wakes up once for both. */
static void
test_heartbeats_meet(void **state)
{
	struct sim *m = sim_new(12);
	struct peer *a, *b;
	uint64_t sent;

	(void)state;
	sim_role(m, 0, ROLE_MASTER);
	assert_true(sim_settle(m, 0, 3000000));
	a = m->h[0].s.peers[1];
	b = m->h[1].s.peers[0];
	a->hb_at = m->now + HB_US;
	b->hb_at = a->hb_at + HB_US / 3;
	sent = a->stats.sent + b->stats.sent;
	sim_run(m, 10 * HB_US, 0);
	assert_true(b->hb_at < a->hb_at + 10000);
	assert_true(a->hb_at < b->hb_at + 10000);
	/* and are no more than before */
	assert_in_range(a->stats.sent + b->stats.sent - sent, 18, 22);
	sim_free(m);
}

/*
 * At any interval of VRRP: a MASTER that handed over as its syncd died is not
 * believed to be one for so long that a split is told (FSM_SPLIT_US).
 */
static void
test_a_peer_is_down_before_a_split_is_told(void **state)
{
	struct sim *m = sim_new(13);

	(void)state;
	for (int i = 0; i < 2; i++) {
		sim_stop(m, i);
		m->conf[i]->h.ha.advertise_us = 1000000;
		sim_start(m, i);
		sim_role(m, i, i == 0 ? ROLE_BACKUP : ROLE_MASTER);
	}
	assert_true(sim_settle(m, 1, 3000000));
	m->cut = true;
	sim_run(m, 1000000, 0);
	assert_true(m->h[0].s.peers[1]->up);
	sim_run(m, 900000, 0);
	assert_false(m->h[0].s.peers[1]->up);
	sim_free(m);
}

/* Roles move there and back under traffic; idle flows get their time back. */
static void
test_failover(void **state)
{
	struct sim *m = sim_new(11);
	int master = 0;

	(void)state;
	m->jitter_us = 300;
	sim_fill(m, 0, 1200);
	sim_role(m, 0, ROLE_MASTER);
	assert_true(sim_settle(m, 0, 3000000));
	for (int i = 0; i < 5; i++) {
		sim_run(m, 1000000, 2);
		sync_barrier(&m->h[master].s, m->now);
		sim_run(m, ACK_WAIT_US + 2000, 0);
		assert_true(m->h[master].barrier.ok);
		assert_int_equal(sim_differences(m), 0);
		sim_role(m, master, ROLE_BACKUP);
		master = !master;
		sim_role(m, master, ROLE_MASTER);
		assert_true(sim_settle(m, master, 5000000));
		assert_int_equal(sim_differences(m), 0);
	}
	sim_run(m, 12000000, 0);
	for (int i = 0; i < SIM_FLOWS; i++)
		if (m->h[master].flows[i].alive)
			assert_true(
			    m->h[master].flows[i].rec.timeout_s <= 432000);
	assert_false(m->h[master].s.settle_due);
	assert_true(m->h[master].s.stats.settled > 0);
	sim_free(m);
}

/* What the returning node still has and the owner not is swept. */
static void
test_sweep(void **state)
{
	struct sim *m = sim_new(12);

	(void)state;
	sim_fill(m, 1, 1000); /* ghosts */
	for (int i = 0; i < 1000; i++)
		m->h[1].flows[i].rec.timeout_s -= 20;
	sim_fill(m, 0, 700);
	sim_role(m, 0, ROLE_MASTER);
	assert_true(sim_settle(m, 0, 3000000));
	assert_int_equal(sim_count(m, 1), 700);
	assert_int_equal(sim_differences(m), 0);
	assert_int_equal(m->h[1].s.stats.swept, 300);
	sim_free(m);
}

/* Packets passed through the spare since the bulk began: not ghosts. */
static void
test_sweep_spares_the_living(void **state)
{
	struct sim *m = sim_new(14);

	(void)state;
	sim_fill(m, 1, 1000);
	m->h[1].s.timeouts.udp_unreplied = 30;
	for (int i = 0; i < 1000; i++) {
		struct ct_rec *r = &m->h[1].flows[i].rec;

		r->timeout_s = settle_timeout(&m->h[1].s.timeouts, r);
	}
	sim_fill(m, 0, 700);
	sim_role(m, 0, ROLE_MASTER);
	assert_true(sim_settle(m, 0, 3000000));
	assert_int_equal(sim_count(m, 1), 1000);
	assert_int_equal(m->h[1].s.stats.swept, 0);
	for (int i = 0; i < 1000; i++)
		assert_true(ct_hold_step(m->h[1].flows[i].rec.timeout_s) >= 0);
	sim_free(m);
}

static unsigned int
over(const struct sim *m, int host)
{
	unsigned int n = 0;

	for (int i = 0; i < SIM_FLOWS; i++)
		n += m->h[host].flows[i].alive &&
		    m->h[host].flows[i].ends_at != 0;
	return n;
}

/* Its owner does not tell its end: it goes by itself, also after a bulk. */
static void
test_over(void **state)
{
	struct sim *m = sim_new(15);

	(void)state;
	sim_fill(m, 0, 2000);
	sim_role(m, 0, ROLE_MASTER);
	assert_true(sim_settle(m, 0, 3000000));
	sim_run(m, 1000000, 2);
	sim_stop(m, 1); /* and has a bulk, with what is over in it */
	sim_start(m, 1);
	sim_run(m, 1000000, 2);
	assert_true(sim_settle(m, 0, 3000000));
	assert_int_equal(m->h[0].s.peers[1]->stats.bulks_sent, 2);
	assert_true(over(m, 0) > 100);
	/* seconds are what is told: up to one sooner */
	assert_in_range(over(m, 1), over(m, 0) / 2, over(m, 0) + 10);
	assert_int_equal(sim_differences(m), 0);
	sim_run(m, (SIM_OVER_S + 2) * 1000000, 0);
	assert_int_equal(over(m, 0), 0);
	assert_int_equal(over(m, 1), 0);
	assert_int_equal(sim_differences(m), 0);
	sim_free(m);
}

/* All four hold steps are in use: they are made free before a bulk. */
static void
test_steps_exhausted(void **state)
{
	struct sim *m = sim_new(13);

	(void)state;
	sim_fill(m, 1, 1000);
	for (int i = 0; i < 1000; i++)
		m->h[1].flows[i].rec.timeout_s = ct_hold_timeout((uint32_t)i);
	sim_fill(m, 0, 900);
	sim_stop(m, 1);
	sim_start(m, 1);
	sim_role(m, 0, ROLE_MASTER);
	assert_true(sim_settle(m, 0, 5000000));
	assert_int_equal(sim_differences(m), 0);
	sim_free(m);
}

/* Time passes without packets: none of these flows spoke just now. */
static void
age(struct sim_host *h)
{
	for (int i = 0; i < SIM_FLOWS; i++)
		if (h->flows[i].rec.timeout_s == 300)
			h->flows[i].rec.timeout_s -= 20;
}

/* A new owner; the others may hear of it before the old one knows. */
static void
move(struct sim *m, int from, int to)
{
	sim_role(m, to, ROLE_MASTER);
	sim_run(m, 3000, 0);
	age(&m->h[from]);
	sim_role(m, from, ROLE_BACKUP);
}

static void
test_three_roles_move(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct sim *m = sim_new_of(300 + seed, 3);
		int master = 0;

		m->jitter_us = 2000;
		sim_fill(m, 0, 1000);
		sim_role(m, 0, ROLE_MASTER);
		assert_true(sim_settle(m, 0, 5000000));
		for (int i = 0; i < 5; i++) {
			int next = (master + 1 + (int)sim_random(m, 2)) % 3;

			m->loss = m->repeat = 5;
			sim_run(m, 700000, 3);
			m->loss = m->repeat = 0;
			sync_barrier(&m->h[master].s, m->now);
			sim_run(m, 200000, 0);
			assert_true(m->h[master].barrier.ok);
			move(m, master, next);
			master = next;
			sim_run(m, sim_random(m, 300000), 3);
			assert_true(sim_settle(m, master, 8000000));
			assert_int_equal(sim_differences(m), 0);
		}
		sim_free(m);
	}
}

/* a hangs, or does not hear b: its flows expire; c follows the newer one. */
static void
test_an_old_owner_is_not_believed(void **state)
{
	struct sim *m = sim_new_of(31, 3);
	struct sim_host *a = &m->h[0];

	(void)state;
	sim_fill(m, 0, 1500);
	sim_role(m, 0, ROLE_MASTER);
	assert_true(sim_settle(m, 0, 5000000));
	sim_role(m, 1, ROLE_MASTER);
	sim_run(m, GRACE_US + 2000000, 0);
	assert_true(sync_ready(&m->h[2].s));
	for (int i = 0; i < 6000; i++)
		sim_change(m, a);
	sim_run(m, 1000000, 0);
	assert_true(m->h[2].s.stats.late > 0);
	assert_false(a->status[2].ready); /* not with what is a's */
	age(a);
	sim_role(m, 0, ROLE_BACKUP);
	assert_int_equal(m->h[2].s.peers[1]->stats.bulks_received, 1);
	assert_true(sim_settle(m, 1, 8000000));
	assert_int_equal(sim_differences(m), 0);
	sim_free(m);
}

/* Two owners for a while, and the first one wins: c is to learn its flows. */
static void
test_split_heals_for_the_first(void **state)
{
	struct sim *m = sim_new_of(32, 3);

	(void)state;
	sim_fill(m, 0, 1500);
	sim_role(m, 0, ROLE_MASTER);
	assert_true(sim_settle(m, 0, 5000000));
	sim_role(m, 1, ROLE_MASTER);
	sim_run(m, 3000000, 2);
	assert_true(m->h[2].s.brx[1].synced);
	assert_false(m->h[2].s.brx[0].synced);
	age(&m->h[1]);
	sim_role(m, 1, ROLE_BACKUP);
	assert_true(sim_settle(m, 0, 8000000));
	assert_int_equal(sim_differences(m), 0);
	sim_free(m);
}

/* What the old owner still had to say to c is of no more use to it. */
static void
test_a_backlog_is_not_told(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct sim *m = sim_new_of(330 + seed, 3);

		m->jitter_us = 2000;
		sim_fill(m, 0, 1500);
		sim_role(m, 0, ROLE_MASTER);
		assert_true(sim_settle(m, 0, 5000000));
		m->lone = 2;
		sim_run(m, 500000, 8);
		sync_barrier(&m->h[0].s, m->now);
		sim_run(m, 1100000, 0);
		move(m, 0, 1);
		sim_run(m, seed * 2000000, 4);
		m->lone = -1;
		sim_run(m, 1000000, 4);
		assert_true(sim_settle(m, 1, 8000000));
		assert_int_equal(sim_differences(m), 0);
		assert_false(
		    m->h[0].s.peers[2]->tx.active && seed * 2000000 > GRACE_US);
		sim_free(m);
	}
}

/* One that takes nothing keeps neither another's bulk nor a handover. */
static void
test_one_that_takes_nothing(void **state)
{
	struct sim *m = sim_new_of(34, 3);

	(void)state;
	sim_fill(m, 0, 2500);
	sim_role(m, 0, ROLE_MASTER);
	m->h[1].stuck_until = UINT64_MAX;
	sim_run(m, 6000000, 0);
	assert_false(sync_ready(&m->h[1].s));
	assert_true(sync_ready(&m->h[2].s));
	sync_barrier(&m->h[0].s, m->now);
	sim_run(m, 200000, 0);
	assert_int_equal(m->h[0].barriers, 1);
	assert_true(m->h[0].barrier.ok);
	m->h[1].stuck_until = 0;
	assert_true(sim_settle(m, 0, 8000000));
	assert_int_equal(sim_differences(m), 0);
	sim_free(m);
}

/* And nor does one that goes in the middle of its bulk. */
static void
test_one_that_goes_amid_its_bulk(void **state)
{
	struct sim *m = sim_new_of(35, 3);

	(void)state;
	sim_fill(m, 0, 2500);
	sim_role(m, 0, ROLE_MASTER);
	for (int i = 0; i < 1000 && !m->h[1].s.brx[0].receiving; i++)
		sim_run(m, 1000, 0);
	assert_true(m->h[1].s.brx[0].receiving);
	m->lone = 1;
	sim_run(m, 4000000, 0);
	assert_true(sync_ready(&m->h[2].s));
	m->lone = -1;
	assert_true(sim_settle(m, 0, 8000000));
	assert_int_equal(sim_differences(m), 0);
	sim_free(m);
}

/* The second host holds what the first, which is master, has; flow 1's mark. */
static void
followed(struct sim *m, uint32_t mark)
{
	sim_fill(m, 0, 10);
	m->h[0].flows[1].rec.mark = mark;
	sim_role(m, 0, ROLE_MASTER);
	assert_true(sim_settle(m, 0, 3000000));
}

/* An update of the master's, as its kernel tells it. */
static void
update(struct sim *m, struct ct_rec rec, enum ct_op op, uint16_t fields)
{
	rec.op = op;
	rec.fields = fields;
	sync_events(&m->h[0].s, &rec, 1, m->now);
	sim_run(m, 100000, 0);
}

/*
 * Assured after it was picked up in its middle: the event does not say its
 * state, and it is established all the same.
 */
static void
test_picked_up(void **state)
{
	struct sim *m = sim_new(38);
	struct ct_rec *a = &m->h[0].flows[1].rec;
	struct sim_flow *b = &m->h[1].flows[1];

	(void)state;
	followed(m, 0);
	b->alive = false; /* was half open, and swept */
	announced_set(&m->h[0].s.announced, a->id, false);
	update(m, *a, CT_OP_UPDATE, CTF_ID | CTF_STATUS | CTF_TIMEOUT);
	assert_true(b->alive);
	assert_true(b->rec.fields & CTF_TCP);
	assert_int_equal(b->rec.tcp_state, TCP_CONNTRACK_ESTABLISHED);
	sim_free(m);
}

/* The next flow with the tuple of one that is over is not that one. */
static void
test_a_port_is_used_again(void **state)
{
	struct sim *m = sim_new(39);
	struct ct_rec *a = &m->h[0].flows[1].rec;
	struct sim_flow *b = &m->h[1].flows[1];

	(void)state;
	followed(m, 5);
	a->tcp_state = TCP_CONNTRACK_LAST_ACK;
	update(m, *a, CT_OP_UPDATE, CTF_ID | CTF_STATUS | CTF_TCP | CTF_OVER);
	assert_true(ct_tcp_over(b->rec.tcp_state));
	assert_int_equal(b->rec.mark, 5);
	a->id = ++m->h[0].next_id;
	a->tcp_state = TCP_CONNTRACK_ESTABLISHED;
	a->mark = 0; /* which the kernel does not say */
	announced_set(&m->h[0].s.announced, a->id, true); /* another's bit */
	update(m, *a, CT_OP_NEW, CTF_ID | CTF_STATUS | CTF_TCP);
	assert_int_equal(b->rec.tcp_state, TCP_CONNTRACK_ESTABLISHED);
	assert_int_equal(b->rec.mark, 0);
	sim_free(m);
}

/*
 * What a process changes of a flow that was told of stays an update; as a new
 * flow it would replace what is over.
 */
static void
test_changed_by_a_process(void **state)
{
	struct sim *m = sim_new(40);
	struct ct_rec *a = &m->h[0].flows[1].rec;
	struct sim_flow *b = &m->h[1].flows[1];

	(void)state;
	followed(m, 5);
	a->status |= IPS_ASSURED;
	for (int told = 0; told < 2; told++) {
		announced_set(&m->h[0].s.announced, a->id, told);
		b->rec.mark = 5;
		b->rec.tcp_state = TCP_CONNTRACK_TIME_WAIT;
		update(m, *a, CT_OP_UPDATE, CTF_ID | CTF_STATUS | CTF_TCP);
		assert_int_equal(b->rec.mark, told ? 5 : 0);
	}
	sim_free(m);
}

/* One that a reload takes away leaves nothing of its bulk behind. */
static void
test_one_is_taken_away(void **state)
{
	struct sim *m = sim_new_of(37, 3);
	struct sim_host *b = &m->h[1];

	(void)state;
	sim_fill(m, 2, 2500);
	sim_role(m, 2, ROLE_MASTER);
	for (int i = 0; i < 1000 && !b->s.brx[2].receiving; i++)
		sim_run(m, 1000, 0);
	assert_true(b->s.brx[2].receiving);
	m->conf[1]->h.nnodes = 2;
	sync_configure(&b->s, m->conf[1], NULL, m->now);
	assert_false(b->s.brx[2].receiving);
	sync_patient(&b->s);
	m->lone = 2;
	sim_fill(m, 0, 100);
	sim_role(m, 0, ROLE_MASTER);
	sim_run(m, 5000000, 0);
	assert_true(sync_ready(&b->s));
	sim_free(m);
}

/* Events were lost: not ready before the peer has the bulk that mends it. */
static void
test_a_gap_lasts_until_it_is_mended(void **state)
{
	struct sim *m = sim_new(36);

	(void)state;
	sim_fill(m, 0, 2500);
	sim_role(m, 0, ROLE_MASTER);
	assert_true(sim_settle(m, 0, 5000000));
	sim_run(m, 2000000, 0);
	assert_true(m->h[0].status[1].ready);
	m->cut = true; /* no word of the peer's helps */
	sync_overrun(&m->h[0].s);
	sim_run(m, 10000, 0);
	assert_false(m->h[0].s.btx[1].gap);
	assert_false(m->h[0].status[1].ready);
	sync_barrier(&m->h[0].s, m->now);
	sim_run(m, 10000, 0);
	assert_false(m->h[0].barriers == 1 && m->h[0].barrier.ok);
	m->cut = false;
	assert_true(sim_settle(m, 0, 8000000));
	sim_run(m, 10000, 0);
	assert_true(m->h[0].status[1].ready);
	sim_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bulk_and_live),
	    cmocka_unit_test(test_bad_network),
	    cmocka_unit_test(test_bulk_during_churn),
	    cmocka_unit_test(test_restarts),
	    cmocka_unit_test(test_slow_peer),
	    cmocka_unit_test(test_cut_and_back),
	    cmocka_unit_test(test_barrier),
	    cmocka_unit_test(test_handover_request),
	    cmocka_unit_test(test_heartbeats_meet),
	    cmocka_unit_test(test_a_peer_is_down_before_a_split_is_told),
	    cmocka_unit_test(test_failover),
	    cmocka_unit_test(test_sweep),
	    cmocka_unit_test(test_sweep_spares_the_living),
	    cmocka_unit_test(test_over),
	    cmocka_unit_test(test_steps_exhausted),
	    cmocka_unit_test(test_three_roles_move),
	    cmocka_unit_test(test_an_old_owner_is_not_believed),
	    cmocka_unit_test(test_split_heals_for_the_first),
	    cmocka_unit_test(test_a_backlog_is_not_told),
	    cmocka_unit_test(test_one_that_takes_nothing),
	    cmocka_unit_test(test_one_that_goes_amid_its_bulk),
	    cmocka_unit_test(test_picked_up),
	    cmocka_unit_test(test_a_port_is_used_again),
	    cmocka_unit_test(test_changed_by_a_process),
	    cmocka_unit_test(test_one_is_taken_away),
	    cmocka_unit_test(test_a_gap_lasts_until_it_is_mended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
