/*
 * Planned handover: the peer confirms every record, then vrrpd releases and
 * keeps the addresses until the successor is heard. Asked for by hactl, by
 * a better node that is ready (preemption, failback), or by a stop.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "daemon.h"
#include "fmt.h"
#include "log.h"

#define BARRIER_TIMEOUT_US  2000000
#define HOLD_EXTRA_US       1000000 /* beyond the peer's down time */
#define STOP_HOLD_US        12000000 /* less than init waits for a stop */
#define FAILBACK_TIMEOUT_US 15000000

enum step { STEP_IDLE, STEP_BARRIER, STEP_RELEASE, STEP_AWAIT_MASTER };

static struct {
	enum step step;
	enum vrrp_release kind;
	uint32_t ctl_id;
	bool force;
	uint64_t began_us;
	uint64_t flows;
	struct event *timer;
	void (*done)(void); /* shutdown's continuation */
} h;

static const char *
self_name(void)
{
	return hagwd.conf->h.nodes[hagwd.conf->h.self].name;
}

static void
set_timer(uint64_t us)
{
	struct timeval tv = clock_tv(us);

	event_add(h.timer, &tv);
}

/* Over, well or not: answer whoever asked. */
static void
finish(int code, const char *text)
{
	void (*done)(void) = h.done;
	uint32_t id = h.ctl_id;

	event_del(h.timer);
	h.step = STEP_IDLE;
	h.ctl_id = 0;
	h.done = NULL;
	if (id != 0)
		control_end(id, code, "%s", text);
	else if (code != 0)
		log_warnx("handover: %s", text);
	if (done != NULL)
		done();
}

static uint64_t
hold_us(void)
{
	uint64_t us =
	    4 * (uint64_t)hagwd.conf->h.ha.advertise_us + HOLD_EXTRA_US;

	if (h.kind != RELEASE_SHUTDOWN)
		return us;
	if (peers_best() == NULL)
		return 0; /* nobody to wait for */
	return us < STOP_HOLD_US ? us : STOP_HOLD_US;
}

static void
release(void)
{
	struct imsg_vrrp_release msg = {
	    .kind = h.kind, .hold_us = (uint32_t)hold_us()};

	h.step = STEP_RELEASE;
	child_send(PROC_VRRP, IMSG_VRRP_RELEASE, 0, &msg, sizeof(msg));
	set_timer(msg.hold_us + HOLD_EXTRA_US);
}

static void
begin_barrier(void)
{
	struct imsg_ct_count count = {0};

	if (!child_running(PROC_SYNC)) { /* force, or a stop */
		release();
		return;
	}
	sysctl_ct_count(&count);
	h.flows = count.count;
	h.step = STEP_BARRIER;
	child_send(PROC_SYNC, IMSG_CT_BARRIER, 0, NULL, 0);
	set_timer(BARRIER_TIMEOUT_US);
}

static void
timed_out(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	switch (h.step) {
	case STEP_BARRIER:
		if (h.force || h.kind == RELEASE_SHUTDOWN)
			release();
		else
			finish(5,
			    "gave up waiting: syncd does not answer "
			    "(hactl show process)");
		break;
	case STEP_RELEASE:
		finish(5,
		    "gave up waiting: vrrpd does not answer "
		    "(hactl show process)");
		break;
	case STEP_AWAIT_MASTER:
		finish(5,
		    "gave up waiting: the master has not handed over "
		    "(hactl show summary on both)");
		break;
	case STEP_IDLE:
		break;
	}
}

static void
begin(enum vrrp_release kind, uint32_t ctl_id, bool force)
{
	if (h.timer == NULL &&
	    (h.timer = evtimer_new(hagwd.base, timed_out, NULL)) == NULL)
		fatalx("event loop: no memory");
	h.kind = kind;
	h.ctl_id = ctl_id;
	h.force = force;
	h.began_us = clock_us();
}

/* It says no more than that it is not: it may also be unfit, say. */
static void
unready_text(const struct peer *p, char *buf, size_t sz)
{
	char n[FMT_MAX];

	if (p->st.unconfirmed > 0)
		snprintf(buf, sz,
		    "refused: %s is not ready, it does not hold every flow "
		    "yet; %s records unconfirmed (hactl show sync).\n"
		    "\"hactl failover force\" does it anyway.",
		    peers_name(p), fmt_count(n, p->st.unconfirmed));
	else
		snprintf(buf, sz,
		    "refused: %s is not ready, it does not hold every flow "
		    "yet or is not fit to be MASTER (hactl show summary "
		    "there).\n"
		    "\"hactl failover force\" does it anyway.",
		    peers_name(p));
}

/* NULL: the peer can take over without losing a flow. */
static const char *
unready_reason(char *buf, size_t sz)
{
	const struct peer *p = peers_best();

	if (hagwd.conf->h.nnodes < 2)
		return "refused: this site has one node";
	if (p == NULL)
		return "refused: no peer answers on the sync link; what it "
		       "holds is not known (hactl show sync).\n"
		       "\"hactl failover force\" does it anyway.";
	if (p->st.role != ROLE_BACKUP) {
		snprintf(buf, sz,
		    "refused: %s is %s, not BACKUP (hactl show vrrp there).\n"
		    "\"hactl failover force\" does it anyway.",
		    peers_name(p), role_name((enum role)p->st.role));
		return buf;
	}
	if (memcmp(p->st.hash, hagwd.conf->h.hash, CONF_HASH_LEN) != 0) {
		snprintf(buf, sz,
		    "refused: %s runs another site file, its rules may not "
		    "fit the flows here; reload it there first.\n"
		    "\"hactl failover force\" does it anyway.",
		    peers_name(p));
		return buf;
	}
	if (!p->st.ready) {
		unready_text(p, buf, sz);
		return buf;
	}
	return NULL;
}

/* What is known of who takes over; with force it may be little. */
static void
say_peer(void)
{
	const struct peer *p = peers_best();
	char n[FMT_MAX], total[FMT_MAX], lag[FMT_MAX];

	if (p == NULL || h.ctl_id == 0)
		return;
	control_progress(h.ctl_id, "",
	    "%s is %s: %s config, lag %s, %s of "
	    "%s flows unconfirmed",
	    peers_name(p),
	    p->st.role != ROLE_BACKUP ? role_name((enum role)p->st.role)
		: p->st.ready         ? "ready"
				      : "NOT ready",
	    memcmp(p->st.hash, hagwd.conf->h.hash, CONF_HASH_LEN) == 0
		? "same"
		: "DIFFERENT",
	    fmt_span(lag, p->st.lag_us), fmt_count(n, p->st.unconfirmed),
	    fmt_count(total, h.flows));
}

void
handover_failover(uint32_t ctl_id, bool force)
{
	char buf[CTL_TEXT_MAX];
	const char *why;

	if (h.step != STEP_IDLE) {
		control_end(
		    ctl_id, 4, "%s", "refused: a handover is under way");
		return;
	}
	if (hagwd.role != ROLE_MASTER) {
		control_end(ctl_id, 4,
		    "refused: %s is %s; run it on the "
		    "MASTER, or \"hactl failback\" here",
		    self_name(), role_name(hagwd.role));
		return;
	}
	if (!force && (why = unready_reason(buf, sizeof(buf))) != NULL) {
		control_end(ctl_id, 4, "%s", why);
		return;
	}
	begin(RELEASE_FAILOVER, ctl_id, force);
	begin_barrier();
	say_peer();
}

static bool
is_best_node(void)
{
	const struct conf_head *c = &hagwd.conf->h;

	for (int i = 0; i < c->nnodes; i++)
		if (c->nodes[i].priority > c->nodes[c->self].priority)
			return false;
	return true;
}

static void
failback_as_backup(uint32_t ctl_id)
{
	const struct peer *p = peers_master();

	if (!is_best_node()) {
		control_end(ctl_id, 4,
		    "refused: %s has not the highest "
		    "priority; run it on the node that "
		    "has",
		    self_name());
		return;
	}
	if (p == NULL || !p->st.self_ready) {
		control_end(ctl_id, 4, "%s",
		    "refused: this node does not hold every flow yet "
		    "(hactl show sync); try again when it is ready");
		return;
	}
	begin(RELEASE_HANDOVER, ctl_id, false);
	h.step = STEP_AWAIT_MASTER;
	control_progress(
	    ctl_id, self_name(), "ready, asks %s to hand over", peers_name(p));
	child_send(PROC_VRRP, IMSG_VRRP_PREEMPT, 0, NULL, 0);
	/* and the successor's skew, an interval at the most */
	set_timer(FAILBACK_TIMEOUT_US + hagwd.conf->h.ha.advertise_us);
}

void
handover_failback(uint32_t ctl_id)
{
	char buf[CTL_TEXT_MAX];
	const char *why;

	if (h.step != STEP_IDLE) {
		control_end(
		    ctl_id, 4, "%s", "refused: a handover is under way");
	} else if (hagwd.role == ROLE_BACKUP) {
		failback_as_backup(ctl_id);
	} else if (hagwd.role != ROLE_MASTER) {
		control_end(ctl_id, 4, "refused: %s is %s", self_name(),
		    role_name(hagwd.role));
	} else if (is_best_node()) {
		control_progress(ctl_id, "",
		    "nothing to do: %s has the "
		    "highest priority and is MASTER",
		    self_name());
		control_end(ctl_id, 0, "%s", "");
	} else if ((why = unready_reason(buf, sizeof(buf))) != NULL) {
		control_end(ctl_id, 4, "%s", why);
	} else {
		begin(RELEASE_HANDOVER, ctl_id, false);
		begin_barrier();
		say_peer();
	}
}

/* A peer asks by the sync channel: preemption, or its operator. */
void
handover_asked(const struct imsg_ct_handover *msg)
{
	const struct conf_head *c = &hagwd.conf->h;
	const char *name = c->nodes[msg->node].name;

	if (h.step != STEP_IDLE || hagwd.role != ROLE_MASTER || hagwd.stopping)
		return;
	if (c->nodes[msg->node].priority <= c->nodes[c->self].priority) {
		log_warnx(
		    "handover: %s asks, but its priority is not higher", name);
		return;
	}
	if (!peers_ready(msg->node)) {
		log_info("handover: %s asks, but is not ready", name);
		return;
	}
	log_info("handover: %s asks and is ready%s", name,
	    msg->operator? " (hactl failback)" : "");
	begin(RELEASE_HANDOVER, 0, false);
	begin_barrier();
}

/* Nothing is asked of syncd when it is what is broken. */
void
handover_unfit(void)
{
	if (h.step != STEP_IDLE || hagwd.stopping)
		return;
	if (!peers_can_take_over()) {
		log_warnx("handover: no other node is ready: this one goes on");
		return;
	}
	log_info("handover: to a node that is fit");
	begin(RELEASE_HANDOVER, 0, true);
	begin_barrier();
}

void
handover_preempt(void)
{
	struct imsg_ct_handover msg = {.node = hagwd.conf->h.self,
	    .operator= h.step == STEP_AWAIT_MASTER };

	child_send(PROC_SYNC, IMSG_CT_HANDOVER, 0, &msg, sizeof(msg));
}

static void
barrier_refused(const struct imsg_ct_barrier *msg, const char *n)
{
	const struct conf_head *c = &hagwd.conf->h;
	char text[CTL_TEXT_MAX];
	bool by = (int)msg->node < c->nnodes && (int)msg->node != c->self;

	snprintf(text, sizeof(text),
	    "refused: %s records were not confirmed%s%s in time "
	    "(hactl show sync).\n"
	    "\"hactl failover force\" does it anyway.",
	    n, by ? " by " : "", by ? c->nodes[msg->node].name : "");
	finish(4, text);
}

static void
say_barrier(const struct imsg_ct_barrier *msg, const char *n)
{
	const struct peer *p = peers_best();
	char flows[FMT_MAX];

	control_progress(h.ctl_id, self_name(),
	    msg->ok ? "holding, sync drained (%s unconfirmed)"
		    : "sync NOT drained: %s unconfirmed; goes on "
		      "all the same (force)",
	    n);
	if (msg->ok && p != NULL)
		control_progress(h.ctl_id, peers_name(p),
		    "%s flows in its kernel", fmt_count(flows, p->st.flows));
}

void
handover_barrier_done(const struct imsg_ct_barrier *msg)
{
	char n[FMT_MAX];

	if (h.step != STEP_BARRIER)
		return; /* late: given up already */
	fmt_count(n, msg->unconfirmed);
	if (!msg->ok && !h.force && h.kind != RELEASE_SHUTDOWN) {
		barrier_refused(msg, n);
		return;
	}
	if (h.ctl_id != 0)
		say_barrier(msg, n);
	release();
}

void
handover_released(const struct imsg_vrrp_released *msg)
{
	char took[FMT_MAX], text[CTL_TEXT_MAX];

	if (h.step != STEP_RELEASE)
		return;
	if (!msg->ok) {
		snprintf(text, sizeof(text),
		    "nobody took over: %s %s (is the peer's "
		    "vrrpd running? hactl show summary there)",
		    hagwd.role == ROLE_MASTER ? "still" : "this node is",
		    role_name(hagwd.role));
		finish(1, text);
		return;
	}
	if (h.kind == RELEASE_FAILOVER)
		hagwd.released = true;
	if (h.ctl_id != 0) {
		control_progress(h.ctl_id, self_name(), "released");
		snprintf(text, sizeof(text), "took %s",
		    fmt_span(took, clock_us() - h.began_us));
		control_progress(h.ctl_id, "", "%s", text);
	}
	finish(0, "");
}

void
handover_role_changed(void)
{
	char took[FMT_MAX];

	if (h.step == STEP_AWAIT_MASTER && hagwd.role == ROLE_MASTER) {
		control_progress(h.ctl_id, self_name(), "MASTER, announced");
		control_progress(h.ctl_id, "", "took %s",
		    fmt_span(took, clock_us() - h.began_us));
		finish(0, "");
	} else if (h.step == STEP_RELEASE && h.kind == RELEASE_SHUTDOWN &&
	    hagwd.role != ROLE_MASTER) {
		finish(0, "");
	} else if (h.step == STEP_BARRIER && hagwd.role != ROLE_MASTER) {
		finish(1, "mastership was lost meanwhile");
	}
}

void
handover_child_died(enum proc_id id)
{
	if (id == PROC_SYNC && h.step == STEP_BARRIER) {
		if (h.force)
			release();
		else
			finish(1, "syncd died meanwhile; nothing was changed");
	} else if (id == PROC_VRRP && h.step != STEP_IDLE)
		finish(1, "vrrpd died meanwhile");
	if (id == PROC_SYNC)
		peers_reset();
}

void
handover_shutdown(void (*done)(void))
{
	const struct peer *p = peers_best();

	if (h.step != STEP_IDLE)
		finish(1, "hagwd is stopping");
	if (!child_running(PROC_VRRP) || hagwd.role != ROLE_MASTER) {
		done();
		return;
	}
	begin(RELEASE_SHUTDOWN, 0, true);
	h.done = done;
	if (p != NULL && p->st.ready)
		begin_barrier();
	else
		release();
}
