/*
 * The state machine of RFC 9568, section 6.4, for a group of networks that
 * move as one: an advertisement heard on any network is the master's, a
 * priority of 0 on any releases all. Pure: no clock, no sockets.
 */
#include <arpa/inet.h>
#include <string.h>

#include "vrrpd.h"

/* Releasing is a time of its own within the role MASTER. */
bool
fsm_active(const struct fsm *f)
{
	return f->role == ROLE_MASTER && f->releasing == 0;
}

uint64_t
fsm_skew_us(uint8_t priority, uint32_t interval_us)
{
	return (256 - (uint64_t)priority) * interval_us / 256;
}

uint64_t
fsm_down_us(uint8_t priority, uint32_t interval_us)
{
	return 3 * (uint64_t)interval_us + fsm_skew_us(priority, interval_us);
}

/* One that lacks flows lets any go first who may have them. */
static uint64_t
cold_us(const struct fsm *f)
{
	return f->cfg.others && (!f->warm || f->stale) ? f->master_interval_us
						       : 0;
}

/*
 * And where sync still hears one that has them, that one is given the time
 * in which sync itself would call it silent: it may have stood still.
 */
static uint64_t
silence_us(const struct fsm *f)
{
	return f->lacks && f->peer_able ? FSM_LACKS_US : cold_us(f);
}

uint64_t
fsm_down(const struct fsm *f)
{
	return fsm_down_us(f->cfg.priority, f->master_interval_us) +
	    silence_us(f);
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t
fsm_next(const struct fsm *f)
{
	uint64_t next = earlier(f->deadline_us, f->ask_us);

	if (f->releasing != 0)
		next = earlier(next, f->hold_end_us);
	if (!f->split)
		next = earlier(next, f->split_us);
	if (f->announce_due)
		next = earlier(next, f->announce_us);
	return next;
}

void
fsm_init(struct fsm *f, const struct fsm_cfg *cfg)
{
	memset(f, 0, sizeof(*f));
	f->cfg = *cfg;
	f->role = ROLE_INIT;
	f->master_interval_us = cfg->interval_us;
	f->deadline_us = f->due_us = f->ask_us = f->split_us = FSM_NEVER;
}

struct fsm_action *
fsm_act(struct fsm_actions *out, enum fsm_action_type type)
{
	struct fsm_action *a;

	/* The last place is lost rather than memory. */
	if (out->n == FSM_ACTIONS_MAX) {
		out->dropped++;
		out->n--;
	}
	a = &out->a[out->n++];
	memset(a, 0, sizeof(*a));
	a->type = type;
	return a;
}

static void
act_send(struct fsm_actions *out, uint8_t priority)
{
	fsm_act(out, ACT_SEND)->priority = priority;
}

static void
act_send_net(struct fsm_actions *out, uint8_t net, uint8_t priority)
{
	struct fsm_action *a = fsm_act(out, ACT_SEND_NET);

	a->net = net;
	a->priority = priority;
}

/*
 * A node that came up alone and took over without any flow must not win
 * against the master it did not hear: it speaks with the lowest priority.
 * Nor must another of that kind win against one that has long had flows.
 */
static uint8_t
own_priority(const struct fsm *f)
{
	bool served =
	    f->role == ROLE_MASTER && f->round_us > f->since_us + FSM_SERVED_US;

	if (!f->cold)
		return f->cfg.priority;
	return served && f->cfg.priority >= FSM_PRIO_SERVED ? FSM_PRIO_SERVED
							    : FSM_PRIO_COLD;
}

uint8_t
fsm_priority(const struct fsm *f)
{
	return f->releasing != 0 ? 0 : own_priority(f);
}

/* A round as MASTER; the next one is an interval from now. */
static void
master_round(struct fsm *f, uint64_t now, struct fsm_actions *out)
{
	act_send(out, fsm_priority(f));
	f->round_us = now;
	f->deadline_us = now + f->cfg.interval_us;
}

/* How a planned release ended. */
static void
release_end(struct fsm *f, uint64_t now, bool ok, struct in_addr successor,
    struct fsm_actions *out)
{
	struct fsm_action *a;

	if (f->releasing == 0)
		return;
	a = fsm_act(out, ACT_RELEASED);
	a->ok = ok;
	a->src = successor;
	a->us = now - f->release_us;
	f->releasing = 0;
}

static void
down_restart(struct fsm *f, uint64_t now)
{
	f->zero = f->preempting = false;
	f->deadline_us = f->leaving ? FSM_NEVER : now + fsm_down(f);
}

static void
forget_master(struct fsm *f)
{
	f->master.s_addr = INADDR_ANY;
	f->master_priority = 0;
	f->heard_us = 0;
	f->zero = f->preempting = false;
}

/* Returns the STATE action, for the facts of its reason. */
static struct fsm_action *
set_role(struct fsm *f, uint64_t now, enum role role, enum fsm_why why,
    struct fsm_actions *out)
{
	struct fsm_action *a = fsm_act(out, ACT_STATE);

	a->from = f->role;
	a->role = role;
	a->why = why;
	a->release = f->releasing;
	f->role = role;
	f->since_us = now;
	f->transitions++;
	f->announce_due = false;
	forget_master(f);
	return a;
}

/* To BACKUP with a full down interval, which is also the hold at boot. */
static struct fsm_action *
to_backup(
    struct fsm *f, uint64_t now, enum fsm_why why, struct fsm_actions *out)
{
	struct fsm_action *a = set_role(f, now, ROLE_BACKUP, why, out);

	f->master_interval_us = f->cfg.interval_us;
	down_restart(f, now);
	return a;
}

/* The wire first: addresses are the parent's work and may take a while. */
static void
to_master(
    struct fsm *f, uint64_t now, enum fsm_why why, struct fsm_actions *out)
{
	struct in_addr master = f->master;
	uint8_t priority = f->master_priority;
	uint64_t last = f->heard_us != 0 ? f->heard_us : f->since_us;
	struct fsm_action *a;

	f->released = f->lacks = f->stale = false;
	f->forced_end_us = 0;
	f->cold = !f->warm;
	f->announce_us = now + FSM_ANNOUNCE_US;
	master_round(f, now, out);
	a = set_role(f, now, ROLE_MASTER, why, out);
	a->src = master;
	a->priority = priority;
	a->us = now - last;
	fsm_act(out, ACT_LEASE);
}

static void
to_fault(struct fsm *f, uint64_t now, uint8_t net, struct fsm_actions *out)
{
	struct in_addr none = {INADDR_ANY};

	if (f->role == ROLE_MASTER)
		act_send(out, 0);
	set_role(f, now, ROLE_FAULT, WHY_LINK_DOWN, out)->net = net;
	release_end(f, now, false, none, out);
	f->deadline_us = FSM_NEVER;
}

/* Without networks there is no role to report. */
static void
to_nothing(struct fsm *f, uint64_t now, struct fsm_actions *out)
{
	struct in_addr none = {INADDR_ANY};

	release_end(f, now, false, none, out);
	forget_master(f);
	f->role = ROLE_INIT;
	f->since_us = now;
	f->deadline_us = FSM_NEVER;
}

static bool
links_are(const struct fsm *f, enum fsm_link link)
{
	unsigned int i;

	for (i = 0; i < f->cfg.nnets; i++)
		if (f->link[i] != link)
			return false;
	return f->cfg.nnets > 0;
}

/* The number of a network without link, or -1. */
static int
link_down(const struct fsm *f)
{
	unsigned int i;

	for (i = 0; i < f->cfg.nnets; i++)
		if (f->link[i] == LINK_DOWN)
			return (int)i;
	return -1;
}

/* Records that came meanwhile are missing. */
static bool
long_unready(const struct fsm *f, uint64_t now)
{
	return !f->ready && now - f->unready_us > FSM_STALE_US;
}

/*
 * FAULT while any link is down; INIT until each is known to be up. Who was
 * cut off from all has an old table, whatever it had before.
 */
static void
links_check(struct fsm *f, uint64_t now, struct fsm_actions *out)
{
	int down = link_down(f);

	if (down != -1 && f->role != ROLE_FAULT)
		to_fault(f, now, (uint8_t)down, out);
	else if (f->role == ROLE_INIT && links_are(f, LINK_UP))
		to_backup(f, now, WHY_STARTED, out);
	else if (f->role == ROLE_FAULT && links_are(f, LINK_UP)) {
		if (long_unready(f, now) && now - f->since_us > FSM_STALE_US)
			f->warm = false;
		to_backup(f, now, WHY_LINKS_UP, out);
	}
}

/* A master is heard that this node should relieve. */
static bool
wants_preempt(const struct fsm *f, uint64_t now)
{
	if (f->role != ROLE_BACKUP || f->zero || !f->ready || f->released ||
	    f->leaving || f->master.s_addr == INADDR_ANY)
		return false;
	return now < f->forced_end_us ||
	    (f->cfg.preempt && !f->mute &&
		f->master_priority < f->cfg.priority);
}

/* preempt.after starts when all conditions hold, and anew when one broke. */
static void
preempt_check(struct fsm *f, uint64_t now)
{
	if (!wants_preempt(f, now)) {
		f->due_us = f->ask_us = FSM_NEVER;
		return;
	}
	if (f->due_us == FSM_NEVER)
		f->due_us = now + f->cfg.preempt_after_us;
	if (now < f->forced_end_us)
		f->due_us = earlier(f->due_us, now);
	f->ask_us = FSM_NEVER;
	if (f->sync_up)
		f->ask_us = f->due_us > f->again_us ? f->due_us : f->again_us;
}

static void
preempt_timer(struct fsm *f, uint64_t now, struct fsm_actions *out)
{
	if (now < f->ask_us)
		return;
	fsm_act(out, ACT_HANDOVER);
	f->again_us = f->ask_us = now + FSM_HANDOVER_US;
}

/* Without a way to ask: RFC preemption, let the timer run out. */
static bool
preempts_plainly(const struct fsm *f, uint64_t now, uint8_t priority)
{
	return now >= f->due_us && !f->sync_up && priority < f->cfg.priority;
}

static void
ev_start(struct fsm *f, uint64_t now, const struct fsm_event *ev,
    struct fsm_actions *out)
{
	const struct imsg_vrrp_resume *r = &ev->resume;

	if (f->cfg.nnets == 0 ||
	    (r->role != ROLE_MASTER && r->role != ROLE_BACKUP)) {
		f->since_us = now;
		links_check(f, now, out);
		return;
	}
	f->role = (enum role)r->role;
	f->since_us = r->since_us;
	f->transitions = r->transitions;
	f->released = r->released != 0;
	f->ready = r->ready != 0;
	if (f->role != ROLE_MASTER) {
		down_restart(f, now);
		return;
	}
	f->warm = true;
	master_round(f, now, out);
	fsm_act(out, ACT_LEASE);
}

/* Backup, the down timer ran out. */
static void
backup_timer(struct fsm *f, uint64_t now, struct fsm_actions *out)
{
	enum fsm_why why = WHY_SILENCE;

	/* a switch keeps the master's word back, which sync still hears */
	if (f->heard_us == 0 && f->peer_master &&
	    now - f->since_us < FSM_UNHEARD_US) {
		down_restart(f, now);
		return;
	}
	if (f->zero)
		why = WHY_ZERO;
	else if (f->preempting)
		why = WHY_PREEMPTED;
	to_master(f, now, why, out);
}

/* Nobody took over within the hold. */
static void
hold_timer(struct fsm *f, uint64_t now, struct fsm_actions *out)
{
	struct in_addr none = {INADDR_ANY};

	if (f->releasing == RELEASE_SHUTDOWN) {
		to_backup(f, now, WHY_NO_SUCCESSOR, out);
		release_end(f, now, false, none, out);
		return;
	}
	release_end(f, now, false, none, out);
	master_round(f, now, out);
	fsm_act(out, ACT_LEASE);
}

/* What makes a round a little late must not make all after it so. */
static void
master_timer(struct fsm *f, uint64_t now, struct fsm_actions *out)
{
	uint64_t due = f->deadline_us;

	if (f->releasing != 0 && now >= f->hold_end_us) {
		hold_timer(f, now, out);
		return;
	}
	if (now < due)
		return;
	master_round(f, now, out);
	if (now - due < f->cfg.interval_us / 2)
		f->deadline_us = due + f->cfg.interval_us;
	fsm_act(out, ACT_LEASE);
}

static void
ev_timer(struct fsm *f, uint64_t now, const struct fsm_event *ev,
    struct fsm_actions *out)
{
	(void)ev;
	if (f->role == ROLE_MASTER)
		master_timer(f, now, out);
	else if (f->role == ROLE_BACKUP && now >= f->deadline_us)
		backup_timer(f, now, out);
	preempt_check(f, now);
	preempt_timer(f, now, out);
	fsm_split_timer(f, now, out);
	fsm_announce_timer(f, now, out);
}

/* Released: skew from the first priority 0 on, not again from its copies. */
static void
backup_zero(struct fsm *f, uint64_t now, const struct fsm_event *ev)
{
	f->master = ev->src;
	f->heard_us = now;
	f->zero = true;
	if (f->leaving)
		return;
	f->deadline_us = earlier(f->deadline_us,
	    now + fsm_skew_us(f->cfg.priority, f->master_interval_us) +
		cold_us(f));
}

static void
backup_advert(struct fsm *f, uint64_t now, const struct fsm_event *ev)
{
	if (ev->priority == 0) {
		backup_zero(f, now, ev);
		return;
	}
	f->master = ev->src;
	f->master_priority = ev->priority;
	f->heard_us = now;
	f->zero = false;
	f->stale = long_unready(f, now);
	preempt_check(f, now);
	if (preempts_plainly(f, now, ev->priority)) {
		f->preempting = true;
		return;
	}
	f->master_interval_us = ev->interval_us;
	down_restart(f, now);
}

/* Equal priorities are told apart by address, as unsigned numbers. */
static bool
beats_us(const struct fsm *f, const struct fsm_event *ev)
{
	if (ev->priority != own_priority(f))
		return ev->priority > own_priority(f);
	return ntohl(ev->src.s_addr) > ntohl(ev->own.s_addr);
}

/* From MASTER to the BACKUP of whom we heard. */
static struct fsm_action *
yield(struct fsm *f, uint64_t now, const struct fsm_event *ev, enum fsm_why why,
    struct fsm_actions *out)
{
	struct fsm_action *a;

	/* so that the winner knows of the contention, and announces itself */
	if (why == WHY_HIGHER)
		act_send(out, 0);
	a = to_backup(f, now, why, out);
	a->src = ev->src;
	a->priority = ev->priority;
	backup_advert(f, now, ev);
	return a;
}

/* Whoever speaks while we release is the successor, lower or not. */
static void
releasing_advert(struct fsm *f, uint64_t now, const struct fsm_event *ev,
    struct fsm_actions *out)
{
	enum vrrp_release kind = f->releasing;

	if (ev->priority == 0)
		return;
	yield(f, now, ev, WHY_SUCCESSOR, out);
	release_end(f, now, true, ev->src, out);
	f->released = kind == RELEASE_FAILOVER;
}

/*
 * A lower master is answered where it was heard, at once: it and the
 * switches on the way learn who is right.
 */
static void
master_advert(struct fsm *f, uint64_t now, const struct fsm_event *ev,
    struct fsm_actions *out)
{
	if (ev->priority == 0) {
		master_round(f, now, out);
		fsm_act(out, ACT_LEASE);
		fsm_announce(f, now, out);
	} else if (beats_us(f, ev)) {
		yield(f, now, ev, WHY_HIGHER, out);
	} else {
		act_send_net(out, ev->net, own_priority(f));
		fsm_announce(f, now, out);
	}
}

static void
ev_advert(struct fsm *f, uint64_t now, const struct fsm_event *ev,
    struct fsm_actions *out)
{
	if (f->role == ROLE_BACKUP)
		backup_advert(f, now, ev);
	else if (fsm_active(f))
		master_advert(f, now, ev, out);
	else if (f->role == ROLE_MASTER)
		releasing_advert(f, now, ev, out);
}

static void
ev_link(struct fsm *f, uint64_t now, const struct fsm_event *ev,
    struct fsm_actions *out)
{
	if (ev->net >= f->cfg.nnets)
		return;
	f->link[ev->net] = ev->up ? LINK_UP : LINK_DOWN;
	if (ev->up)
		f->mute = false;
	links_check(f, now, out);
}

/* What the network said before this socket was there is not known. */
static void
ev_rx(struct fsm *f, uint64_t now, const struct fsm_event *ev,
    struct fsm_actions *out)
{
	(void)ev;
	(void)out;
	if (f->role == ROLE_BACKUP && !f->zero)
		down_restart(f, now);
}

/* A resumed master, or one that got a network, is not silent on it. */
static void
ev_tx(struct fsm *f, uint64_t now, const struct fsm_event *ev,
    struct fsm_actions *out)
{
	(void)now;
	if (f->role != ROLE_MASTER)
		return;
	act_send_net(out, ev->net, fsm_priority(f));
	fsm_act(out, ACT_LEASE);
}

/*
 * Silence takes readiness away, but not the flows. A peer that is up and no
 * master has none that this node lacks.
 */
static void
warm_check(struct fsm *f, uint64_t now, struct fsm_actions *out)
{
	if (f->role != ROLE_MASTER) {
		if (f->ready)
			f->warm = true;
		else if (f->sync_up && f->peer_master)
			f->warm = false;
		f->lacks = !f->warm && (f->lacks || f->peer_master);
		return;
	}
	if (!f->sync_up || f->peer_master)
		return;
	f->warm = true;
	if (!f->cold)
		return;
	f->cold = false;
	if (f->releasing == 0) {
		master_round(f, now, out);
		fsm_act(out, ACT_LEASE);
	}
}

static void
ev_ready(struct fsm *f, uint64_t now, const struct fsm_event *ev,
    struct fsm_actions *out)
{
	uint64_t before = silence_us(f);

	if (f->ready && !ev->ready.ready)
		f->unready_us = now;
	f->ready = ev->ready.ready != 0;
	f->stale &= !f->ready;
	f->sync_up = ev->ready.sync_up != 0;
	f->peer_master = f->sync_up && ev->ready.peer_master != 0;
	f->peer_able = f->sync_up && ev->ready.peer_able != 0;
	warm_check(f, now, out);
	if (f->role == ROLE_BACKUP && !f->zero && f->deadline_us != FSM_NEVER)
		f->deadline_us += silence_us(f) - before;
}

static void
ev_release(struct fsm *f, uint64_t now, const struct fsm_event *ev,
    struct fsm_actions *out)
{
	if (f->role != ROLE_MASTER) {
		fsm_act(out, ACT_RELEASED)->ok = false;
		return;
	}
	if (f->releasing == 0)
		f->release_us = now;
	f->releasing = (enum vrrp_release)ev->release.kind;
	f->hold_end_us = now + ev->release.hold_us;
	f->leaving = f->releasing == RELEASE_SHUTDOWN;
	master_round(f, now, out);
	fsm_act(out, ACT_LEASE);
}

/* The addresses are gone already; let another one take over soon. */
static void
ev_revoked(struct fsm *f, uint64_t now, const struct fsm_event *ev,
    struct fsm_actions *out)
{
	struct in_addr none = {INADDR_ANY};

	(void)ev;
	if (f->role != ROLE_MASTER)
		return;
	act_send(out, 0);
	to_backup(f, now, WHY_REVOKED, out);
	release_end(f, now, false, none, out);
}

/* hagwd hangs: whoever takes over must not be told before it can. */
static void
ev_expired(struct fsm *f, uint64_t now, const struct fsm_event *ev,
    struct fsm_actions *out)
{
	struct in_addr none = {INADDR_ANY};

	(void)ev;
	if (f->role != ROLE_MASTER)
		return;
	to_backup(f, now, WHY_EXPIRED, out);
	release_end(f, now, false, none, out);
}

static void
ev_preempt(struct fsm *f, uint64_t now, const struct fsm_event *ev,
    struct fsm_actions *out)
{
	(void)ev;
	(void)out;
	f->released = false;
	if (f->role != ROLE_MASTER)
		f->forced_end_us = now + FSM_FORCED_US;
}

static void
reconf_links(struct fsm *f, const struct fsm_event *ev)
{
	enum fsm_link old[CONF_NETS_MAX];
	unsigned int i;

	memcpy(old, f->link, sizeof(old));
	for (i = 0; i < ev->cfg.nnets; i++)
		f->link[i] = ev->from[i] < 0 ? LINK_UNKNOWN : old[ev->from[i]];
}

/* A change is on the wire at once: the others' timers depend on it. */
static void
ev_reconf(struct fsm *f, uint64_t now, const struct fsm_event *ev,
    struct fsm_actions *out)
{
	bool other = ev->cfg.interval_us != f->cfg.interval_us ||
	    ev->cfg.priority != f->cfg.priority;

	reconf_links(f, ev);
	if (ev->cfg.preempt_after_us != f->cfg.preempt_after_us)
		f->due_us = f->ask_us = FSM_NEVER;
	f->cfg = ev->cfg;
	f->mute = false;
	if (f->cfg.nnets == 0) {
		to_nothing(f, now, out);
	} else if (f->role == ROLE_MASTER && other) {
		master_round(f, now, out);
		fsm_act(out, ACT_LEASE);
	} else if (f->role != ROLE_MASTER && f->heard_us == 0) {
		f->master_interval_us = f->cfg.interval_us;
	}
	if (f->role == ROLE_BACKUP && other && f->heard_us == 0)
		down_restart(f, now);
	links_check(f, now, out);
}

/*
 * Was stopped, or starved: another one has taken over by now. Say nothing,
 * for it would be heard as a second master.
 */
static void
late_check(struct fsm *f, uint64_t now, struct fsm_actions *out)
{
	struct in_addr none = {INADDR_ANY};
	uint64_t late = now - f->round_us;

	if (f->role != ROLE_MASTER ||
	    late <= FSM_LATE_INTERVALS * (uint64_t)f->cfg.interval_us)
		return;
	to_backup(f, now, WHY_LATE, out)->us = late;
	release_end(f, now, false, none, out);
}

void
fsm_step(struct fsm *f, uint64_t now, const struct fsm_event *ev,
    struct fsm_actions *out)
{
	static void (*const handlers[FSM_NEVENTS])(struct fsm *, uint64_t,
	    const struct fsm_event *, struct fsm_actions *) = {
	    [FSM_START] = ev_start,
	    [FSM_TIMER] = ev_timer,
	    [FSM_ADVERT] = ev_advert,
	    [FSM_LINK] = ev_link,
	    [FSM_RX] = ev_rx,
	    [FSM_TX] = ev_tx,
	    [FSM_READY] = ev_ready,
	    [FSM_RELEASE] = ev_release,
	    [FSM_REVOKED] = ev_revoked,
	    [FSM_EXPIRED] = ev_expired,
	    [FSM_PREEMPT] = ev_preempt,
	    [FSM_RECONF] = ev_reconf,
	};

	late_check(f, now, out);
	handlers[ev->type](f, now, ev, out);
	preempt_check(f, now);
	fsm_split_check(f, now, out);
}
