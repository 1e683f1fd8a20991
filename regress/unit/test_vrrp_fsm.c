/* The state machine with a fake clock: every row, every timer, two nodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <string.h>

#include "vrrpd/vrrpd.h"

#define MS     1000ULL
#define SEC    1000000ULL
#define T0     (1000 * SEC)
#define PRIO   100
#define LOWER  50
#define HIGHER 200

static struct fsm f;
static struct fsm_actions acts;
static uint64_t now;
static struct in_addr own, low, high;

static struct fsm_cfg
config(uint32_t interval_us)
{
	struct fsm_cfg cfg = {.interval_us = interval_us,
	    .priority = PRIO,
	    .nnets = 2,
	    .preempt = true};

	return cfg;
}

static void
step(const struct fsm_event *ev)
{
	memset(&acts, 0, sizeof(acts));
	fsm_step(&f, now, ev, &acts);
	assert_int_equal(acts.dropped, 0);
}

static void
event(enum fsm_event_type type)
{
	struct fsm_event ev = {.type = type};

	step(&ev);
}

static void
advert_on(uint8_t net, uint8_t priority, struct in_addr src, uint32_t us)
{
	struct fsm_event ev = {.type = FSM_ADVERT,
	    .net = net,
	    .priority = priority,
	    .interval_us = us,
	    .src = src,
	    .own = own};

	step(&ev);
}

static void
advert(uint8_t priority)
{
	advert_on(0, priority, priority > PRIO ? high : low, f.cfg.interval_us);
}

static void
links(uint8_t net, bool up)
{
	struct fsm_event ev = {.type = FSM_LINK, .net = net, .up = up};

	step(&ev);
}

static void
ready(bool r, bool sync_up, bool peer_master)
{
	struct fsm_event ev = {
	    .type = FSM_READY, .ready = {r, sync_up, peer_master, sync_up}};

	step(&ev);
}

static void
release(enum vrrp_release kind, uint64_t hold_us)
{
	struct fsm_event ev = {
	    .type = FSM_RELEASE, .release = {kind, (uint32_t)hold_us}};

	step(&ev);
}

static void
reconf(const struct fsm_cfg *cfg, int a, int b, int c)
{
	struct fsm_event ev = {.type = FSM_RECONF, .cfg = *cfg};

	ev.from[0] = (int8_t)a;
	ev.from[1] = (int8_t)b;
	ev.from[2] = (int8_t)c;
	step(&ev);
}

static void
resume(enum role role, bool released)
{
	struct fsm_cfg cfg = config(SEC);
	struct fsm_event ev = {.type = FSM_START,
	    .resume = {.role = role,
		.released = released,
		.transitions = 7,
		.ready = 1,
		.since_us = T0 - 5}};

	now = T0;
	fsm_init(&f, &cfg);
	step(&ev);
}

static const struct fsm_action *
find(enum fsm_action_type type)
{
	unsigned int i;

	for (i = 0; i < acts.n; i++)
		if (acts.a[i].type == type)
			return &acts.a[i];
	return NULL;
}

static unsigned int
count(enum fsm_action_type type)
{
	unsigned int i, n = 0;

	for (i = 0; i < acts.n; i++)
		n += acts.a[i].type == type;
	return n;
}

static void
assert_order(enum fsm_action_type a, enum fsm_action_type b)
{
	assert_non_null(find(a));
	assert_non_null(find(b));
	assert_true(find(a) < find(b));
}

static void
assert_state(enum role role, enum fsm_why why)
{
	const struct fsm_action *a = find(ACT_STATE);

	assert_non_null(a);
	assert_int_equal(a->role, role);
	assert_int_equal(a->why, why);
	assert_int_equal(f.role, role);
	assert_int_equal(f.since_us, now);
	assert_int_equal(count(ACT_STATE), 1);
}

static void
assert_quiet(void)
{
	assert_int_equal(acts.n, 0);
}

static void
assert_sent(uint8_t priority)
{
	const struct fsm_action *a = find(ACT_SEND);

	assert_non_null(a);
	assert_int_equal(a->priority, priority);
	assert_int_equal(count(ACT_SEND), 1);
}

/* Nothing a microsecond before; then the timer. */
static void
run_to(uint64_t when)
{
	assert_int_equal(fsm_next(&f), when);
	now = when - 1;
	event(FSM_TIMER);
	assert_quiet();
	now = when;
	event(FSM_TIMER);
}

static void
backup(uint32_t interval_us)
{
	struct fsm_cfg cfg = config(interval_us);

	now = T0;
	fsm_init(&f, &cfg);
	event(FSM_START);
	links(0, true);
	links(1, true);
	assert_state(ROLE_BACKUP, WHY_STARTED);
	f.warm = true;
}

static void
master(uint32_t interval_us)
{
	backup(interval_us);
	now = fsm_next(&f);
	event(FSM_TIMER);
	assert_state(ROLE_MASTER, WHY_SILENCE);
}

static int
setup(void **state)
{
	(void)state;
	own.s_addr = inet_addr("10.0.0.5");
	low.s_addr = inet_addr("10.0.0.4");
	high.s_addr = inet_addr("10.0.0.6");
	return 0;
}

/* -- timers -- */

static void
timers_exact(void **state)
{
	(void)state;
	assert_int_equal(fsm_skew_us(254, 10 * MS), 78);
	assert_int_equal(fsm_skew_us(255, 10 * MS), 39);
	assert_int_equal(fsm_skew_us(1, 10 * MS), 9960);
	assert_int_equal(fsm_skew_us(100, SEC), 609375);
	assert_int_equal(fsm_down_us(254, 10 * MS), 30078);
	assert_int_equal(fsm_down_us(1, 10 * MS), 39960);
	assert_int_equal(fsm_down_us(254, SEC), 3007812);
	assert_int_equal(fsm_down_us(1, SEC), 3996093);
	assert_int_equal(fsm_down_us(254, 40 * SEC), 120312500);
	assert_int_equal(fsm_down_us(1, 40 * SEC), 159843750);
}

static void
down_and_rounds(void **state)
{
	static const uint32_t intervals[] = {10 * MS, SEC, 40 * SEC};
	uint64_t t;
	unsigned int i, n;

	(void)state;
	for (i = 0; i < nitems(intervals); i++) {
		backup(intervals[i]);
		run_to(T0 + fsm_down_us(PRIO, intervals[i]));
		assert_state(ROLE_MASTER, WHY_SILENCE);
		assert_int_equal(
		    find(ACT_STATE)->us, fsm_down_us(PRIO, intervals[i]));
		assert_int_equal(find(ACT_STATE)->src.s_addr, 0);
		for (t = now, n = 1; n <= 5; n++) {
			run_to(t + n * intervals[i]);
			assert_sent(PRIO);
			assert_order(ACT_SEND, ACT_LEASE);
			assert_int_equal(acts.n, 2);
		}
	}
}

static void
silence_names_the_master(void **state)
{
	(void)state;
	backup(SEC);
	now += 500 * MS;
	advert(HIGHER);
	run_to(now + fsm_down_us(PRIO, SEC));
	assert_state(ROLE_MASTER, WHY_SILENCE);
	assert_int_equal(find(ACT_STATE)->src.s_addr, high.s_addr);
	assert_int_equal(find(ACT_STATE)->us, fsm_down_us(PRIO, SEC));
}

/* -- start -- */

static void
waits_for_links(void **state)
{
	struct fsm_cfg cfg = config(SEC);

	(void)state;
	now = T0;
	fsm_init(&f, &cfg);
	event(FSM_START);
	assert_quiet();
	assert_int_equal(fsm_next(&f), FSM_NEVER);
	links(0, true);
	assert_quiet();
	assert_int_equal(f.role, ROLE_INIT);
	now += SEC;
	links(1, true);
	assert_state(ROLE_BACKUP, WHY_STARTED);
	assert_int_equal(fsm_next(&f), now + fsm_down_us(PRIO, SEC));
}

static void
start_without_link(void **state)
{
	struct fsm_cfg cfg = config(SEC);

	(void)state;
	now = T0;
	fsm_init(&f, &cfg);
	event(FSM_START);
	links(1, false);
	assert_state(ROLE_FAULT, WHY_LINK_DOWN);
	assert_int_equal(find(ACT_STATE)->net, 1);
	assert_null(find(ACT_SEND));
}

static void
socket_restarts_the_hold(void **state)
{
	(void)state;
	backup(SEC);
	now += 2 * SEC;
	event(FSM_RX);
	assert_int_equal(fsm_next(&f), now + fsm_down_us(PRIO, SEC));
}

static void
socket_does_not_delay_a_release(void **state)
{
	uint64_t when;

	(void)state;
	backup(SEC);
	advert(0);
	when = fsm_next(&f);
	now += 1;
	event(FSM_RX);
	assert_int_equal(fsm_next(&f), when);
}

static void
resume_master(void **state)
{
	(void)state;
	resume(ROLE_MASTER, false);
	assert_sent(PRIO);
	assert_order(ACT_SEND, ACT_LEASE);
	assert_null(find(ACT_STATE));
	assert_int_equal(f.role, ROLE_MASTER);
	assert_int_equal(f.since_us, T0 - 5);
	assert_int_equal(f.transitions, 7);
	/* its sockets come later: each is used at once */
	now += 1;
	event(FSM_TX);
	assert_int_equal(find(ACT_SEND_NET)->priority, PRIO);
	assert_order(ACT_SEND_NET, ACT_LEASE);
	run_to(T0 + SEC);
	assert_sent(PRIO);
}

static void
resume_backup(void **state)
{
	(void)state;
	resume(ROLE_BACKUP, true);
	assert_quiet();
	assert_true(f.released);
	assert_true(f.ready);
	run_to(T0 + fsm_down_us(PRIO, SEC));
	assert_state(ROLE_MASTER, WHY_SILENCE);
	assert_false(f.released);
}

/* -- rows of the table -- */

static void
backup_priority_0(void **state)
{
	(void)state;
	backup(SEC);
	advert(HIGHER);
	now += SEC;
	advert(0);
	assert_quiet();
	/* a copy on the other network does not restart it */
	now += 100 * MS;
	advert_on(1, 0, low, SEC);
	run_to(now - 100 * MS + fsm_skew_us(PRIO, SEC));
	assert_state(ROLE_MASTER, WHY_ZERO);
	assert_int_equal(find(ACT_STATE)->src.s_addr, low.s_addr);
	assert_order(ACT_SEND, ACT_STATE);
	assert_order(ACT_STATE, ACT_LEASE);
	assert_sent(PRIO);
}

static void
release_called_off(void **state)
{
	(void)state;
	backup(SEC);
	advert(0);
	now += 100 * MS;
	advert(HIGHER);
	assert_int_equal(fsm_next(&f), now + fsm_down_us(PRIO, SEC));
}

static void
called_off_but_lower(void **state)
{
	(void)state;
	backup(SEC);
	ready(true, false, false);
	advert(0);
	now += 100 * MS;
	advert(LOWER);
	run_to(T0 + fsm_skew_us(PRIO, SEC));
	assert_state(ROLE_MASTER, WHY_PREEMPTED);
}

static void
forgets_the_interval(void **state)
{
	(void)state;
	backup(SEC);
	advert_on(0, HIGHER, high, 40 * SEC);
	links(0, false);
	links(0, true);
	assert_state(ROLE_BACKUP, WHY_LINKS_UP);
	assert_int_equal(fsm_next(&f), now + fsm_down_us(PRIO, SEC));
}

static void
backup_adopts_interval(void **state)
{
	(void)state;
	backup(SEC);
	advert_on(1, HIGHER, high, 40 * SEC);
	assert_quiet();
	assert_int_equal(fsm_next(&f), now + fsm_down_us(PRIO, 40 * SEC));
	advert_on(0, HIGHER, high, 10 * MS);
	assert_int_equal(fsm_next(&f), now + fsm_down_us(PRIO, 10 * MS));
	assert_int_equal(fsm_down(&f), fsm_down_us(PRIO, 10 * MS));
	/* as master its own again */
	run_to(fsm_next(&f));
	assert_int_equal(fsm_next(&f), now + SEC);
}

static void
backup_equal_priority_restarts(void **state)
{
	(void)state;
	backup(SEC);
	ready(true, false, false);
	now += SEC;
	advert(PRIO);
	assert_int_equal(fsm_next(&f), now + fsm_down_us(PRIO, SEC));
}

static void
backup_lower_preempts(void **state)
{
	uint64_t when;

	(void)state;
	backup(SEC);
	ready(true, false, false);
	when = fsm_next(&f);
	now += SEC;
	advert(LOWER);
	assert_quiet();
	assert_int_equal(fsm_next(&f), when);
	assert_int_equal(f.master_interval_us, SEC);
	run_to(when);
	assert_state(ROLE_MASTER, WHY_PREEMPTED);
	assert_int_equal(find(ACT_STATE)->priority, LOWER);
}

static void
backup_lower_without_preemption(void **state)
{
	(void)state;
	backup(SEC);
	f.cfg.preempt = false;
	ready(true, false, false);
	now += SEC;
	advert(LOWER);
	assert_int_equal(fsm_next(&f), now + fsm_down_us(PRIO, SEC));
}

static void
master_priority_0(void **state)
{
	(void)state;
	master(SEC);
	now += 300 * MS;
	advert(0);
	assert_sent(PRIO);
	assert_null(find(ACT_STATE));
	assert_int_equal(f.deadline_us, now + SEC);
}

static void
master_hears_higher(void **state)
{
	(void)state;
	master(SEC);
	now += 300 * MS;
	advert_on(1, HIGHER, low, 2 * SEC);
	assert_state(ROLE_BACKUP, WHY_HIGHER);
	assert_int_equal(acts.n, 2);
	assert_int_equal(find(ACT_SEND)->priority, 0);
	assert_int_equal(find(ACT_STATE)->priority, HIGHER);
	assert_int_equal(fsm_next(&f), now + fsm_down_us(PRIO, 2 * SEC));
}

static void
master_hears_equal(void **state)
{
	struct in_addr top = {inet_addr("200.0.0.1")};

	(void)state;
	master(SEC);
	advert_on(0, PRIO, low, SEC);
	assert_int_equal(f.role, ROLE_MASTER);
	assert_int_equal(count(ACT_SEND_NET), 1);
	advert_on(0, PRIO, high, SEC);
	assert_state(ROLE_BACKUP, WHY_HIGHER);
	/* unsigned: 200.x is more than 10.x */
	master(SEC);
	advert_on(0, PRIO, top, SEC);
	assert_int_equal(f.role, ROLE_BACKUP);
}

static void
master_hears_lower(void **state)
{
	uint64_t when;

	(void)state;
	master(SEC);
	when = fsm_next(&f);
	now += 300 * MS;
	advert_on(1, LOWER, high, SEC);
	assert_null(find(ACT_STATE));
	assert_int_equal(find(ACT_SEND_NET)->net, 1);
	assert_int_equal(find(ACT_SEND_NET)->priority, PRIO);
	assert_int_equal(fsm_next(&f), when);
}

static void
contention_announces_at_a_limit(void **state)
{
	unsigned int n = 0;

	(void)state;
	master(10 * MS);
	for (; now < T0 + 5 * SEC; now += 10 * MS) {
		event(FSM_TIMER);
		n += count(ACT_ANNOUNCE);
		advert(LOWER);
		assert_non_null(find(ACT_SEND_NET));
		n += count(ACT_ANNOUNCE);
	}
	assert_in_range(n, 4, 5);
}

/* Up alone, without a flow: it yields to the master it did not hear. */
static void
cold_master_yields(void **state)
{
	(void)state;
	backup(SEC);
	f.warm = false;
	now = fsm_next(&f);
	event(FSM_TIMER);
	assert_state(ROLE_MASTER, WHY_SILENCE);
	assert_int_equal(find(ACT_SEND)->priority, FSM_PRIO_COLD);
	now += 10 * MS;
	advert_on(1, LOWER, high, SEC);
	assert_state(ROLE_BACKUP, WHY_HIGHER);
}

/* Of three nodes another may have the flows: it is given an interval. */
static void
cold_backup_lets_others_go_first(void **state)
{
	(void)state;
	backup(SEC);
	assert_int_equal(fsm_down(&f), fsm_down_us(PRIO, SEC));
	f.warm = false;
	assert_int_equal(fsm_down(&f), fsm_down_us(PRIO, SEC));
	f.cfg.others = true;
	assert_int_equal(fsm_down(&f), fsm_down_us(PRIO, SEC) + SEC);
	advert(LOWER);
	assert_int_equal(fsm_next(&f), now + fsm_down_us(PRIO, SEC) + SEC);
	advert(0);
	assert_int_equal(fsm_next(&f), now + fsm_skew_us(PRIO, SEC) + SEC);
	ready(true, true, true);
	advert(LOWER);
	advert(0);
	assert_int_equal(fsm_next(&f), now + fsm_skew_us(PRIO, SEC));
}

/* While the master lives, its records do not come: others have more. */
static void
stale_backup_lets_others_go_first(void **state)
{
	(void)state;
	backup(SEC);
	f.cfg.others = true;
	ready(true, true, true);
	ready(false, false, false);
	for (int i = 0; i < 3; i++) {
		advert(LOWER);
		assert_int_equal(fsm_next(&f), now + fsm_down_us(PRIO, SEC));
		now += SEC;
	}
	advert(LOWER);
	assert_int_equal(fsm_next(&f), now + fsm_down_us(PRIO, SEC) + SEC);
	ready(true, true, true);
	assert_int_equal(f.deadline_us, now + fsm_down_us(PRIO, SEC));
	ready(false, false, false);
	now += 9 * SEC;
	event(FSM_TIMER); /* nobody is there who has more */
	assert_state(ROLE_MASTER, WHY_SILENCE);
	assert_int_equal(find(ACT_SEND)->priority, PRIO);
}

/* Cut off from all, it comes back with an old table. */
static void
fault_without_sync_cools(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		backup(SEC);
		ready(true, true, true);
		links(0, false);
		ready(false, i == 1, false);
		now += i == 0 ? FSM_STALE_US + 1 : SEC;
		links(0, true);
		assert_int_equal(f.warm, i == 1);
	}
}

/* A switch that does not pass anything on yet: sync knows of the master. */
static void
unheard_master_is_waited_for(void **state)
{
	uint64_t begin;

	(void)state;
	backup(SEC);
	begin = now;
	ready(true, true, true);
	while (fsm_next(&f) < begin + FSM_UNHEARD_US) {
		now = fsm_next(&f);
		event(FSM_TIMER);
		assert_quiet();
	}
	now = fsm_next(&f);
	event(FSM_TIMER); /* it hangs, or nobody hears it */
	assert_state(ROLE_MASTER, WHY_SILENCE);
	backup(SEC);
	ready(true, true, true);
	ready(true, false, false); /* it died */
	now = fsm_next(&f);
	event(FSM_TIMER);
	assert_state(ROLE_MASTER, WHY_SILENCE);
	backup(SEC);
	ready(true, true, true);
	advert(LOWER); /* heard, and silent since */
	now = f.deadline_us;
	event(FSM_TIMER);
	assert_state(ROLE_MASTER, WHY_SILENCE);
}

/* Of two that never had a master's flows the one that made more stays. */
static void
cold_master_that_served_stays(void **state)
{
	(void)state;
	backup(SEC);
	f.warm = false;
	now = fsm_next(&f);
	event(FSM_TIMER);
	assert_state(ROLE_MASTER, WHY_SILENCE);
	for (int i = 0; i < 302; i++) {
		now = fsm_next(&f);
		event(FSM_TIMER);
	}
	assert_int_equal(find(ACT_SEND)->priority, FSM_PRIO_SERVED);
	advert_on(1, FSM_PRIO_COLD, high, SEC);
	assert_int_equal(f.role, ROLE_MASTER);
	advert_on(1, LOWER, high, SEC);
	assert_state(ROLE_BACKUP, WHY_HIGHER);
}

/* The master stood still for a moment: sync still heard it. */
static void
lacking_backup_waits_for_sync(void **state)
{
	uint64_t down = fsm_down_us(PRIO, SEC);

	(void)state;
	backup(SEC);
	advert(LOWER);
	assert_int_equal(fsm_next(&f), now + down);
	f.warm = false;
	ready(false, true, true);
	assert_int_equal(fsm_next(&f), now + down + FSM_LACKS_US);
	ready(false, true, false); /* stepped down, and is about to return */
	assert_int_equal(fsm_next(&f), now + down + FSM_LACKS_US);
	advert(0); /* but not when it says itself that it goes */
	assert_int_equal(fsm_next(&f), now + fsm_skew_us(PRIO, SEC));
	advert(LOWER);
	assert_int_equal(fsm_next(&f), now + down + FSM_LACKS_US);
	ready(false, false, false); /* silent to sync, too: it is gone */
	assert_int_equal(fsm_next(&f), now + down);
	ready(false, true, true);
	assert_int_equal(fsm_next(&f), now + down + FSM_LACKS_US);
	ready(true, true, true);
	assert_int_equal(f.deadline_us, now + down);
}

static void
cold_master_warms_up(void **state)
{
	(void)state;
	backup(SEC);
	f.warm = false;
	now = fsm_next(&f);
	event(FSM_TIMER);
	ready(true, false, false); /* nobody answers */
	assert_int_equal(fsm_priority(&f), FSM_PRIO_COLD);
	ready(true, true, true); /* another master */
	assert_int_equal(fsm_priority(&f), FSM_PRIO_COLD);
	ready(true, true, false);
	assert_int_equal(fsm_priority(&f), PRIO);
	assert_int_equal(find(ACT_SEND)->priority, PRIO);
}

/* The master dies and sync with it: this node still has its flows. */
static void
silence_does_not_cool(void **state)
{
	(void)state;
	backup(SEC);
	f.warm = false;
	ready(true, true, true);
	ready(false, false, false);
	assert_true(f.warm);
	ready(false, true, true); /* back, and flows were lost meanwhile */
	assert_false(f.warm);
}

/* One contention within the limit: the announcement comes when it ends. */
static void
contention_announces_late_rather_than_never(void **state)
{
	unsigned int n = 0;
	uint64_t begin;

	(void)state;
	master(SEC);
	begin = now;
	now += 10 * MS;
	advert_on(1, LOWER, high, SEC);
	assert_null(find(ACT_ANNOUNCE));
	while (fsm_next(&f) <= begin + 4 * SEC) {
		now = fsm_next(&f);
		event(FSM_TIMER);
		if (count(ACT_ANNOUNCE) > 0)
			assert_int_equal(now, begin + FSM_ANNOUNCE_US);
		n += count(ACT_ANNOUNCE);
	}
	assert_int_equal(n, 1);
}

/* -- preemption -- */

static void
handover_is_asked(void **state)
{
	uint64_t due;

	(void)state;
	backup(SEC);
	f.cfg.preempt_after_us = 10 * SEC;
	ready(false, true, true);
	for (; now < T0 + 20 * SEC; now += SEC) {
		advert(LOWER);
		assert_quiet();
		event(FSM_TIMER);
		assert_quiet();
	}
	advert(LOWER);
	ready(true, true, true);
	due = now + 10 * SEC;
	for (; now < due; now += SEC) {
		advert(LOWER);
		event(FSM_TIMER);
		assert_null(find(ACT_HANDOVER));
	}
	advert(LOWER);
	assert_int_equal(fsm_next(&f), due);
	event(FSM_TIMER);
	assert_int_equal(count(ACT_HANDOVER), 1);
	assert_int_equal(fsm_next(&f), due + 2 * SEC);
	now += SEC;
	advert(LOWER);
	event(FSM_TIMER);
	assert_quiet();
	now += SEC;
	event(FSM_TIMER);
	assert_int_equal(count(ACT_HANDOVER), 1);
	assert_int_equal(f.role, ROLE_BACKUP);
	/* still alive: its advertisements counted */
	advert(LOWER);
	assert_int_equal(f.deadline_us, now + fsm_down_us(PRIO, SEC));
}

static void
handover_succeeds(void **state)
{
	(void)state;
	backup(SEC);
	ready(true, true, true);
	advert(LOWER);
	event(FSM_TIMER);
	assert_non_null(find(ACT_HANDOVER));
	advert(0);
	now += fsm_skew_us(PRIO, SEC);
	event(FSM_TIMER);
	assert_state(ROLE_MASTER, WHY_ZERO);
	assert_null(find(ACT_HANDOVER));
}

static void
falls_back_without_sync(void **state)
{
	uint64_t when;

	(void)state;
	backup(SEC);
	ready(true, true, true);
	advert(LOWER);
	event(FSM_TIMER);
	assert_non_null(find(ACT_HANDOVER));
	ready(true, false, false);
	when = f.deadline_us;
	now += SEC;
	advert(LOWER);
	assert_int_equal(fsm_next(&f), when);
	run_to(when);
	assert_state(ROLE_MASTER, WHY_PREEMPTED);
}

static void
never_preempts_when(bool r, bool preempt, bool released)
{
	backup(SEC);
	f.cfg.preempt = preempt;
	f.released = released;
	for (; now < T0 + 30 * SEC; now += SEC) {
		ready(r, now / SEC % 2, true);
		advert(LOWER);
		assert_quiet();
		event(FSM_TIMER);
		assert_quiet();
		assert_int_equal(f.deadline_us, now + fsm_down(&f));
	}
	/* but a silent master is replaced */
	now = f.deadline_us;
	event(FSM_TIMER);
	assert_state(ROLE_MASTER, WHY_SILENCE);
	assert_false(f.released);
}

static void
no_preemption(void **state)
{
	(void)state;
	never_preempts_when(true, false, false);
	never_preempts_when(false, true, false);
	never_preempts_when(true, true, true);
}

static void
after_starts_anew(void **state)
{
	(void)state;
	backup(SEC);
	f.cfg.preempt_after_us = 10 * SEC;
	ready(true, true, true);
	advert(LOWER);
	assert_int_equal(f.due_us, now + 10 * SEC);
	now += 9 * SEC;
	ready(false, true, true);
	assert_int_equal(f.due_us, FSM_NEVER);
	now += SEC;
	ready(true, true, true);
	assert_int_equal(f.due_us, now + 10 * SEC);
	advert(HIGHER);
	assert_int_equal(f.due_us, FSM_NEVER);
}

static void
failback(void **state)
{
	(void)state;
	backup(SEC);
	f.cfg.preempt = false;
	f.cfg.preempt_after_us = 60 * SEC;
	f.released = true;
	ready(true, true, true);
	advert(LOWER);
	event(FSM_TIMER);
	assert_quiet();
	event(FSM_PREEMPT);
	assert_false(f.released);
	assert_int_equal(fsm_next(&f), now);
	event(FSM_TIMER);
	assert_int_equal(count(ACT_HANDOVER), 1);
	advert(0);
	now = fsm_next(&f);
	event(FSM_TIMER);
	assert_int_equal(f.role, ROLE_MASTER);
	assert_int_equal(f.forced_end_us, 0);
}

static void
failback_waits_until_ready(void **state)
{
	(void)state;
	backup(SEC);
	ready(false, true, true);
	advert(LOWER);
	event(FSM_PREEMPT);
	event(FSM_TIMER);
	assert_quiet();
	now += SEC;
	ready(true, true, true);
	event(FSM_TIMER);
	assert_int_equal(count(ACT_HANDOVER), 1);
}

/* Whom the host does not let speak: until something has changed. */
static void
mute_does_not_preempt(void **state)
{
	(void)state;
	for (int how = 0; how < 3; how++) {
		backup(SEC);
		f.mute = true;
		ready(true, true, true);
		advert(LOWER);
		event(FSM_TIMER);
		assert_quiet();
		if (how == 0) {
			event(FSM_PREEMPT);
		} else if (how == 1) {
			links(0, true);
		} else {
			struct fsm_event ev = {
			    .type = FSM_RECONF, .cfg = f.cfg};

			step(&ev);
		}
		assert_int_equal(f.mute, how == 0);
		event(FSM_TIMER);
		assert_int_equal(count(ACT_HANDOVER), 1);
	}
}

/* An operator's wish is not granted hours later. */
static void
failback_expires(void **state)
{
	unsigned int n = 0;

	(void)state;
	backup(SEC);
	f.cfg.preempt = false;
	ready(true, true, true);
	event(FSM_PREEMPT);
	for (; now < T0 + 60 * SEC; now += SEC) {
		advert(LOWER);
		event(FSM_TIMER);
		n += count(ACT_HANDOVER);
		assert_true(now < T0 + 15 * SEC || acts.n == 0);
	}
	assert_int_equal(n, 8);
	assert_int_equal(f.ask_us, FSM_NEVER);
}

/* -- release -- */

static void
failover_done(void **state)
{
	(void)state;
	master(SEC);
	now += 300 * MS;
	release(RELEASE_FAILOVER, 10 * SEC);
	assert_sent(0);
	assert_order(ACT_SEND, ACT_LEASE);
	assert_int_equal(f.role, ROLE_MASTER);
	run_to(now + SEC);
	assert_sent(0);
	assert_non_null(find(ACT_LEASE));
	now += 200 * MS;
	advert_on(1, LOWER, low, SEC);
	assert_state(ROLE_BACKUP, WHY_SUCCESSOR);
	assert_int_equal(find(ACT_STATE)->release, RELEASE_FAILOVER);
	assert_order(ACT_STATE, ACT_RELEASED);
	assert_true(find(ACT_RELEASED)->ok);
	assert_int_equal(find(ACT_RELEASED)->src.s_addr, low.s_addr);
	assert_int_equal(find(ACT_RELEASED)->us, 1200 * MS);
	assert_null(find(ACT_SEND_NET));
	assert_true(f.released);
	/* and does not preempt by itself */
	ready(true, true, true);
	advert(LOWER);
	event(FSM_TIMER);
	assert_quiet();
	assert_int_equal(f.deadline_us, now + fsm_down_us(PRIO, SEC));
}

static void
handover_done_is_not_released(void **state)
{
	(void)state;
	master(SEC);
	release(RELEASE_HANDOVER, 3 * SEC);
	advert(HIGHER);
	assert_state(ROLE_BACKUP, WHY_SUCCESSOR);
	assert_true(find(ACT_RELEASED)->ok);
	assert_false(f.released);
}

static void
release_failed(void **state)
{
	(void)state;
	master(SEC);
	release(RELEASE_FAILOVER, 1500 * MS);
	run_to(now + SEC);
	assert_sent(0);
	run_to(now + 500 * MS);
	assert_null(find(ACT_STATE));
	assert_false(find(ACT_RELEASED)->ok);
	assert_int_equal(find(ACT_RELEASED)->us, 1500 * MS);
	assert_sent(PRIO);
	assert_non_null(find(ACT_LEASE));
	assert_int_equal(f.role, ROLE_MASTER);
	assert_false(f.released);
	run_to(now + SEC);
	assert_sent(PRIO);
}

static void
shutdown_without_successor(void **state)
{
	(void)state;
	master(SEC);
	release(RELEASE_SHUTDOWN, 500 * MS);
	run_to(now + 500 * MS);
	assert_state(ROLE_BACKUP, WHY_NO_SUCCESSOR);
	assert_order(ACT_STATE, ACT_RELEASED);
	assert_false(find(ACT_RELEASED)->ok);
	assert_null(find(ACT_SEND));
}

/* The parent is stopping: nothing makes this node MASTER again. */
static void
shutdown_is_for_good(void **state)
{
	(void)state;
	master(SEC);
	ready(true, false, false);
	release(RELEASE_SHUTDOWN, 0);
	assert_int_equal(fsm_next(&f), now);
	event(FSM_TIMER);
	assert_state(ROLE_BACKUP, WHY_NO_SUCCESSOR);
	assert_int_equal(fsm_next(&f), FSM_NEVER);
	advert(LOWER);
	advert(0);
	event(FSM_RX);
	event(FSM_PREEMPT);
	assert_quiet();
	assert_int_equal(fsm_next(&f), FSM_NEVER);
	master(SEC);
	release(RELEASE_SHUTDOWN, SEC);
	advert(LOWER);
	assert_state(ROLE_BACKUP, WHY_SUCCESSOR);
	assert_int_equal(fsm_next(&f), FSM_NEVER);
}

static void
release_ignores_priority_0(void **state)
{
	(void)state;
	master(SEC);
	release(RELEASE_HANDOVER, 5 * SEC);
	advert(0);
	assert_quiet();
	assert_int_equal(f.role, ROLE_MASTER);
}

static void
release_of_a_backup(void **state)
{
	(void)state;
	backup(SEC);
	release(RELEASE_FAILOVER, SEC);
	assert_int_equal(acts.n, 1);
	assert_false(find(ACT_RELEASED)->ok);
	assert_false(f.released);
}

static void
shutdown_during_failover(void **state)
{
	(void)state;
	master(SEC);
	release(RELEASE_FAILOVER, 10 * SEC);
	now += 100 * MS;
	release(RELEASE_SHUTDOWN, 200 * MS);
	run_to(now + 200 * MS);
	assert_state(ROLE_BACKUP, WHY_NO_SUCCESSOR);
	assert_int_equal(find(ACT_RELEASED)->us, 300 * MS);
}

/* A round's delay is its own: the next one comes when it would have. */
static void
rounds_keep_step(void **state)
{
	uint64_t due;

	(void)state;
	master(SEC);
	due = fsm_next(&f);
	now = due + SEC / 2 - 1;
	event(FSM_TIMER);
	assert_sent(PRIO);
	assert_int_equal(fsm_next(&f), due + SEC);
	now = due + SEC + SEC / 2;
	event(FSM_TIMER);
	assert_sent(PRIO);
	assert_int_equal(fsm_next(&f), now + SEC);
}

/* -- trouble -- */

static void
late_master_is_silent(void **state)
{
	static const uint32_t intervals[] = {10 * MS, SEC, 40 * SEC};
	unsigned int i;

	(void)state;
	for (i = 0; i < nitems(intervals); i++) {
		master(intervals[i]);
		now += 3 * (uint64_t)intervals[i];
		event(FSM_TIMER);
		assert_int_equal(f.role, ROLE_MASTER);
		now += 3 * (uint64_t)intervals[i] + 1;
		event(FSM_TIMER);
		assert_state(ROLE_BACKUP, WHY_LATE);
		assert_int_equal(
		    find(ACT_STATE)->us, 3 * (uint64_t)intervals[i] + 1);
		assert_int_equal(acts.n, 1);
		assert_int_equal(
		    fsm_next(&f), now + fsm_down_us(PRIO, intervals[i]));
	}
}

static void
late_whatever_the_event(void **state)
{
	(void)state;
	master(SEC);
	now += 10 * SEC;
	advert(LOWER);
	assert_state(ROLE_BACKUP, WHY_LATE);
	assert_null(find(ACT_SEND_NET));
	master(SEC);
	now += 10 * SEC;
	release(RELEASE_FAILOVER, SEC);
	assert_state(ROLE_BACKUP, WHY_LATE);
	assert_false(find(ACT_RELEASED)->ok);
	assert_null(find(ACT_SEND));
	master(SEC);
	release(RELEASE_FAILOVER, 60 * SEC);
	now += 10 * SEC;
	event(FSM_TIMER);
	assert_state(ROLE_BACKUP, WHY_LATE);
	assert_int_equal(count(ACT_RELEASED), 1);
}

static void
revoked(void **state)
{
	(void)state;
	master(SEC);
	now += SEC / 2;
	event(FSM_REVOKED);
	assert_sent(0);
	assert_state(ROLE_BACKUP, WHY_REVOKED);
	assert_null(find(ACT_LEASE));
	event(FSM_REVOKED);
	assert_quiet();
}

static void
link_fault_of_a_master(void **state)
{
	(void)state;
	master(SEC);
	links(1, false);
	assert_sent(0);
	assert_state(ROLE_FAULT, WHY_LINK_DOWN);
	assert_int_equal(find(ACT_STATE)->net, 1);
	assert_int_equal(fsm_next(&f), FSM_NEVER);
	advert(HIGHER);
	advert(0);
	event(FSM_TIMER);
	assert_quiet();
	links(0, false);
	links(1, true);
	assert_quiet();
	now += SEC;
	links(0, true);
	assert_state(ROLE_BACKUP, WHY_LINKS_UP);
	run_to(now + fsm_down_us(PRIO, SEC));
	assert_int_equal(f.role, ROLE_MASTER);
}

static void
link_fault_of_a_backup(void **state)
{
	(void)state;
	backup(SEC);
	links(0, false);
	assert_state(ROLE_FAULT, WHY_LINK_DOWN);
	assert_null(find(ACT_SEND));
}

static void
link_fault_while_releasing(void **state)
{
	(void)state;
	master(SEC);
	release(RELEASE_FAILOVER, SEC);
	links(0, false);
	assert_state(ROLE_FAULT, WHY_LINK_DOWN);
	assert_false(find(ACT_RELEASED)->ok);
	assert_int_equal(f.releasing, 0);
}

static void
split_suspected(void **state)
{
	uint64_t when;

	(void)state;
	master(10 * MS);
	ready(true, true, true);
	when = now + FSM_SPLIT_US;
	while (now < when - 10 * MS) {
		now = fsm_next(&f);
		event(FSM_TIMER);
		assert_null(find(ACT_SPLIT));
	}
	now = when;
	event(FSM_TIMER);
	assert_true(find(ACT_SPLIT)->on);
	assert_int_equal(f.splits, 1);
	now += 10 * MS;
	event(FSM_TIMER);
	assert_null(find(ACT_SPLIT));
	ready(true, true, true);
	assert_quiet();
	ready(true, true, false);
	assert_false(find(ACT_SPLIT)->on);
	assert_non_null(find(ACT_ANNOUNCE));
	assert_int_equal(f.splits, 1);
}

static void
split_not_after_a_change(void **state)
{
	(void)state;
	master(SEC);
	ready(true, true, true);
	now += SEC;
	event(FSM_TIMER);
	ready(true, true, false);
	now += SEC;
	event(FSM_TIMER);
	now += SEC;
	event(FSM_TIMER);
	assert_int_equal(f.splits, 0);
	ready(true, true, true);
	advert(HIGHER);
	assert_int_equal(f.role, ROLE_BACKUP);
	assert_int_equal(f.split_us, FSM_NEVER);
}

/* -- reload -- */

static void
reload_unchanged(void **state)
{
	struct fsm_cfg cfg = config(SEC);
	uint64_t when;

	(void)state;
	master(SEC);
	when = fsm_next(&f);
	now += 400 * MS;
	reconf(&cfg, 0, 1, -1);
	assert_quiet();
	assert_int_equal(fsm_next(&f), when);
	backup(SEC);
	when = fsm_next(&f);
	now += 400 * MS;
	reconf(&cfg, 1, 0, -1);
	assert_quiet();
	assert_int_equal(fsm_next(&f), when);
}

static void
reload_changes_master(void **state)
{
	struct fsm_cfg cfg = config(10 * MS);

	(void)state;
	master(40 * SEC);
	now += 30 * SEC;
	reconf(&cfg, 0, 1, -1);
	assert_sent(PRIO);
	assert_int_equal(f.role, ROLE_MASTER);
	run_to(now + 10 * MS);
	assert_sent(PRIO);
	cfg.priority = 150;
	now += 5 * MS;
	reconf(&cfg, 0, 1, -1);
	assert_sent(150);
	cfg.interval_us = 40 * SEC;
	reconf(&cfg, 0, 1, -1);
	assert_sent(150);
	run_to(now + 40 * SEC);
}

static void
reload_changes_backup(void **state)
{
	struct fsm_cfg cfg = config(10 * MS);

	(void)state;
	backup(40 * SEC);
	now += SEC;
	reconf(&cfg, 0, 1, -1);
	assert_int_equal(fsm_next(&f), now + fsm_down_us(PRIO, 10 * MS));
	advert_on(0, HIGHER, high, SEC);
	cfg.interval_us = 20 * MS;
	reconf(&cfg, 0, 1, -1);
	assert_int_equal(fsm_next(&f), now + fsm_down_us(PRIO, SEC));
	cfg.preempt_after_us = 5 * SEC;
	cfg.priority = 250;
	reconf(&cfg, 0, 1, -1);
	ready(true, true, true);
	assert_int_equal(f.due_us, now + 5 * SEC);
	cfg.preempt = false;
	reconf(&cfg, 0, 1, -1);
	assert_int_equal(f.due_us, FSM_NEVER);
}

static void
reload_adds_network(void **state)
{
	struct fsm_cfg cfg = config(SEC);

	(void)state;
	cfg.nnets = 3;
	master(SEC);
	now += SEC / 2;
	reconf(&cfg, 0, 1, -1);
	assert_quiet();
	assert_int_equal(f.link[2], LINK_UNKNOWN);
	event(FSM_TX);
	assert_non_null(find(ACT_SEND_NET));
	links(2, true);
	assert_quiet();
	links(2, false);
	assert_state(ROLE_FAULT, WHY_LINK_DOWN);
	backup(SEC);
	reconf(&cfg, 0, 1, -1);
	assert_quiet();
	links(2, true);
	assert_quiet();
}

static void
reload_removes_network(void **state)
{
	struct fsm_cfg cfg = config(SEC);
	uint64_t when;

	(void)state;
	cfg.nnets = 1;
	master(SEC);
	when = fsm_next(&f);
	reconf(&cfg, 1, -1, -1);
	assert_quiet();
	assert_int_equal(fsm_next(&f), when);
	/* the one without link goes */
	links(0, false);
	assert_int_equal(f.role, ROLE_FAULT);
	backup(SEC);
	links(0, false);
	reconf(&cfg, 1, -1, -1);
	assert_state(ROLE_BACKUP, WHY_LINKS_UP);
	/* the last ones go, and come back */
	master(SEC);
	cfg.nnets = 0;
	reconf(&cfg, -1, -1, -1);
	assert_quiet();
	assert_int_equal(f.role, ROLE_INIT);
	assert_int_equal(fsm_next(&f), FSM_NEVER);
	cfg.nnets = 1;
	reconf(&cfg, -1, -1, -1);
	assert_quiet();
	links(0, true);
	assert_state(ROLE_BACKUP, WHY_STARTED);
	assert_int_equal(fsm_next(&f), now + fsm_down_us(PRIO, SEC));
}

/* -- two nodes on two networks, with every fault there is -- */

#define SIM_PACKETS 4096
#define SIM_STEPS   6000
#define SIM_NODES   2
#define SIM_NETS    2

struct packet {
	uint64_t at;
	int to;
	uint8_t net;
	uint8_t priority;
};

static struct {
	struct fsm f[SIM_NODES];
	bool alive[SIM_NODES];
	bool cable[SIM_NODES][SIM_NETS];
	uint64_t asked_at[SIM_NODES]; /* a request reaches the peer; 0: none */
	struct packet q[SIM_PACKETS];
	unsigned int nq;
	uint64_t now;
	uint64_t fault_at; /* the last time that something was broken */
	uint64_t dual_since;
	uint32_t interval;
	uint32_t seed;
	unsigned int loss; /* percent */
	uint64_t delay;
	unsigned int takeovers;
} sim;

static const uint8_t sim_prio[SIM_NODES] = {200, 100};

static uint32_t
sim_random(uint32_t n)
{
	sim.seed = sim.seed * 1664525 + 1013904223;
	return (sim.seed >> 8) % n;
}

static struct in_addr
sim_addr(int node)
{
	struct in_addr a = {htonl(0x0a000001U + (uint32_t)node)};

	return a;
}

static void
sim_send(int from, uint8_t net, uint8_t priority)
{
	int to = !from;

	if (!sim.cable[from][net] || !sim.cable[to][net] ||
	    sim_random(100) < sim.loss)
		return;
	assert_true(sim.nq < SIM_PACKETS);
	sim.q[sim.nq].at = sim.now + 1 + sim_random((uint32_t)sim.delay);
	sim.q[sim.nq].to = to;
	sim.q[sim.nq].net = net;
	sim.q[sim.nq++].priority = priority;
}

static void
sim_action(int node, const struct fsm_action *a)
{
	uint8_t net;

	switch (a->type) {
	case ACT_SEND:
		for (net = 0; net < SIM_NETS; net++)
			sim_send(node, net, a->priority);
		break;
	case ACT_SEND_NET:
		sim_send(node, a->net, a->priority);
		break;
	case ACT_HANDOVER:
		if (sim.asked_at[!node] == 0)
			sim.asked_at[!node] = sim.now + sim.delay;
		break;
	case ACT_STATE:
		sim.takeovers += a->role == ROLE_MASTER;
		break;
	default:
		break;
	}
}

static void
sim_event(int node, struct fsm_event *ev)
{
	struct fsm_actions out = {.n = 0};
	unsigned int i;

	if (!sim.alive[node])
		return;
	fsm_step(&sim.f[node], sim.now, ev, &out);
	assert_int_equal(out.dropped, 0);
	for (i = 0; i < out.n; i++)
		sim_action(node, &out.a[i]);
}

static void
sim_link(int node, uint8_t net)
{
	struct fsm_event ev = {
	    .type = FSM_LINK, .net = net, .up = sim.cable[node][net]};

	sim_event(node, &ev);
}

static void
sim_ready(int node)
{
	struct fsm_event ev = {.type = FSM_READY};

	ev.ready.ready = 1;
	ev.ready.sync_up = sim.alive[!node];
	ev.ready.peer_master =
	    sim.alive[!node] && sim.f[!node].role == ROLE_MASTER;
	sim_event(node, &ev);
}

static void
sim_start(int node)
{
	struct fsm_event ev = {.type = FSM_START};
	struct fsm_cfg cfg = {.interval_us = sim.interval,
	    .priority = sim_prio[node],
	    .nnets = SIM_NETS,
	    .preempt = true};
	uint8_t net;

	fsm_init(&sim.f[node], &cfg);
	sim.alive[node] = true;
	sim.asked_at[node] = 0;
	sim_event(node, &ev);
	for (net = 0; net < SIM_NETS; net++)
		sim_link(node, net);
}

static bool
sim_master(int node)
{
	return sim.alive[node] && sim.f[node].role == ROLE_MASTER &&
	    sim.f[node].releasing == 0;
}

/* Two masters may last until the lossless link has told the lower one. */
static void
sim_check(void)
{
	uint64_t since;

	if (!sim_master(0) || !sim_master(1)) {
		sim.dual_since = 0;
		return;
	}
	if (sim.dual_since == 0)
		sim.dual_since = sim.now;
	since = sim.dual_since > sim.fault_at ? sim.dual_since : sim.fault_at;
	assert_true(sim.now - since <= fsm_down_us(1, sim.interval) +
		fsm_skew_us(1, sim.interval) + 2 * sim.delay);
}

/* The earliest of timers, packets and requests, but not after end. */
static uint64_t
sim_earliest(uint64_t end)
{
	uint64_t t = end;
	unsigned int i;
	int n;

	for (n = 0; n < SIM_NODES; n++) {
		if (sim.alive[n] && fsm_next(&sim.f[n]) < t)
			t = fsm_next(&sim.f[n]);
		if (sim.asked_at[n] != 0 && sim.asked_at[n] < t)
			t = sim.asked_at[n];
	}
	for (i = 0; i < sim.nq; i++)
		if (sim.q[i].at < t)
			t = sim.q[i].at;
	return t > sim.now ? t : sim.now;
}

static void
sim_deliver(void)
{
	struct fsm_event ev = {.type = FSM_ADVERT};
	struct packet p;
	unsigned int i;

	for (i = 0; i < sim.nq;) {
		if (sim.q[i].at > sim.now) {
			i++;
			continue;
		}
		p = sim.q[i];
		sim.q[i] = sim.q[--sim.nq];
		ev.net = p.net;
		ev.priority = p.priority;
		ev.interval_us = sim.interval;
		ev.src = sim_addr(!p.to);
		ev.own = sim_addr(p.to);
		sim_event(p.to, &ev);
	}
}

static void
sim_timers(void)
{
	struct fsm_event timer = {.type = FSM_TIMER};
	struct fsm_event rel = {.type = FSM_RELEASE};
	int n;

	rel.release.kind = RELEASE_HANDOVER;
	rel.release.hold_us = 2 * sim.interval;
	for (n = 0; n < SIM_NODES; n++) {
		if (sim.alive[n] && fsm_next(&sim.f[n]) <= sim.now)
			sim_event(n, &timer);
		if (sim.asked_at[n] != 0 && sim.asked_at[n] <= sim.now) {
			sim.asked_at[n] = 0;
			sim_event(n, &rel);
		}
	}
}

static void
sim_run(uint64_t us)
{
	uint64_t end = sim.now + us, before = 0;
	unsigned int turns = 0;

	while (sim.now < end) {
		sim.now = sim_earliest(end);
		/* a timer that stays due would go round for ever */
		turns = sim.now == before ? turns + 1 : 0;
		assert_true(turns < 100);
		before = sim.now;
		sim_deliver();
		sim_timers();
		sim_ready(0);
		sim_ready(1);
		if (sim.loss > 0)
			sim.fault_at = sim.now;
		sim_check();
	}
}

static void
sim_fault(void)
{
	int node = (int)sim_random(SIM_NODES);
	uint8_t net = (uint8_t)sim_random(SIM_NETS);

	sim.fault_at = sim.now;
	switch (sim_random(5)) {
	case 0:
		sim.alive[node] = false;
		break;
	case 1:
		sim_start(node);
		break;
	case 2:
		sim.cable[node][net] = !sim.cable[node][net];
		sim_link(node, net);
		break;
	case 3:
		sim.loss = sim_random(2) == 0 ? 0 : sim_random(90);
		break;
	default:
		sim.now += sim_random(8) * sim.interval; /* both stopped */
		break;
	}
}

/* All is repaired: the better node is MASTER alone, and stays it. */
static void
sim_settle(void)
{
	unsigned int takeovers;
	uint8_t net;
	int n;

	sim.loss = 0;
	for (n = 0; n < SIM_NODES; n++) {
		for (net = 0; net < SIM_NETS; net++) {
			sim.cable[n][net] = true;
			sim_link(n, net);
		}
		if (!sim.alive[n])
			sim_start(n);
	}
	sim_run(12 * (uint64_t)sim.interval + 3 * FSM_HANDOVER_US);
	assert_true(sim_master(0));
	assert_int_equal(sim.f[1].role, ROLE_BACKUP);
	takeovers = sim.takeovers;
	sim_run(20 * (uint64_t)sim.interval);
	assert_int_equal(sim.takeovers, takeovers);
}

static void
simulate(uint32_t seed, uint32_t interval)
{
	unsigned int i;

	memset(&sim, 0, sizeof(sim));
	sim.seed = seed;
	sim.interval = interval;
	sim.delay = interval / 10;
	sim.now = T0;
	memset(sim.cable, true, sizeof(sim.cable));
	sim_start(0);
	sim_start(1);
	for (i = 0; i < SIM_STEPS; i++) {
		if (i % 50 == 49)
			sim_settle();
		if (sim_random(4) == 0)
			sim_fault();
		sim_run(sim_random(2 * interval));
	}
	assert_true(sim.takeovers > 100);
}

static void
two_nodes(void **state)
{
	uint32_t seed;

	(void)state;
	for (seed = 1; seed <= 4; seed++) {
		simulate(seed, 10 * MS);
		simulate(seed, SEC);
		simulate(seed, 40 * SEC);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(timers_exact),
	    cmocka_unit_test(down_and_rounds),
	    cmocka_unit_test(rounds_keep_step),
	    cmocka_unit_test(silence_names_the_master),
	    cmocka_unit_test(waits_for_links),
	    cmocka_unit_test(start_without_link),
	    cmocka_unit_test(socket_restarts_the_hold),
	    cmocka_unit_test(socket_does_not_delay_a_release),
	    cmocka_unit_test(resume_master),
	    cmocka_unit_test(resume_backup),
	    cmocka_unit_test(backup_priority_0),
	    cmocka_unit_test(release_called_off),
	    cmocka_unit_test(called_off_but_lower),
	    cmocka_unit_test(forgets_the_interval),
	    cmocka_unit_test(backup_adopts_interval),
	    cmocka_unit_test(backup_equal_priority_restarts),
	    cmocka_unit_test(backup_lower_preempts),
	    cmocka_unit_test(backup_lower_without_preemption),
	    cmocka_unit_test(master_priority_0),
	    cmocka_unit_test(master_hears_higher),
	    cmocka_unit_test(master_hears_equal),
	    cmocka_unit_test(master_hears_lower),
	    cmocka_unit_test(contention_announces_at_a_limit),
	    cmocka_unit_test(contention_announces_late_rather_than_never),
	    cmocka_unit_test(cold_master_yields),
	    cmocka_unit_test(cold_backup_lets_others_go_first),
	    cmocka_unit_test(lacking_backup_waits_for_sync),
	    cmocka_unit_test(cold_master_warms_up),
	    cmocka_unit_test(silence_does_not_cool),
	    cmocka_unit_test(stale_backup_lets_others_go_first),
	    cmocka_unit_test(fault_without_sync_cools),
	    cmocka_unit_test(unheard_master_is_waited_for),
	    cmocka_unit_test(cold_master_that_served_stays),
	    cmocka_unit_test(handover_is_asked),
	    cmocka_unit_test(handover_succeeds),
	    cmocka_unit_test(falls_back_without_sync),
	    cmocka_unit_test(no_preemption),
	    cmocka_unit_test(after_starts_anew),
	    cmocka_unit_test(failback),
	    cmocka_unit_test(mute_does_not_preempt),
	    cmocka_unit_test(failback_expires),
	    cmocka_unit_test(failback_waits_until_ready),
	    cmocka_unit_test(failover_done),
	    cmocka_unit_test(handover_done_is_not_released),
	    cmocka_unit_test(release_failed),
	    cmocka_unit_test(shutdown_without_successor),
	    cmocka_unit_test(shutdown_is_for_good),
	    cmocka_unit_test(release_ignores_priority_0),
	    cmocka_unit_test(release_of_a_backup),
	    cmocka_unit_test(shutdown_during_failover),
	    cmocka_unit_test(late_master_is_silent),
	    cmocka_unit_test(late_whatever_the_event),
	    cmocka_unit_test(revoked),
	    cmocka_unit_test(link_fault_of_a_master),
	    cmocka_unit_test(link_fault_of_a_backup),
	    cmocka_unit_test(link_fault_while_releasing),
	    cmocka_unit_test(split_suspected),
	    cmocka_unit_test(split_not_after_a_change),
	    cmocka_unit_test(reload_unchanged),
	    cmocka_unit_test(reload_changes_master),
	    cmocka_unit_test(reload_changes_backup),
	    cmocka_unit_test(reload_adds_network),
	    cmocka_unit_test(reload_removes_network),
	    cmocka_unit_test(two_nodes),
	};

	return cmocka_run_group_tests_name("vrrp_fsm", tests, setup, NULL);
}
