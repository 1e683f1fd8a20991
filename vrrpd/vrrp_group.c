/*
 * The group: feeds the state machine, runs its actions, keeps its one timer
 * and moves it from one configuration to the next.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "proc.h"
#include "vrrpd.h"

#define MASTER_LATE_US 2000 /* no peer takes over so soon */

static struct vrrp_group group;

const struct vrrp_group *
group_get(void)
{
	return &group;
}

struct vrrp_net *
group_net(uint32_t conf_net)
{
	unsigned int i;

	for (i = 0; i < group.nnets; i++)
		if (group.nets[i].conf_net == conf_net)
			return &group.nets[i];
	return NULL;
}

/* By a rule, which stays: as master it would be silent again. */
static bool
barred(void)
{
	unsigned int i;

	for (i = 0; i < group.nnets; i++)
		if (group.nets[i].mute_us != 0 &&
		    group.nets[i].mute_error == EPERM)
			return true;
	return false;
}

static void
run_send(const struct fsm_action *a)
{
	unsigned int i;

	group.sent = 0;
	for (i = 0; i < group.nnets; i++)
		group.sent += io_send(
		    &group.nets[i], a->priority, group.fsm.cfg.interval_us);
	group.fsm.mute = group.sent == 0 && barred();
}

static void
run_send_net(const struct fsm_action *a)
{
	group.sent = a->net < group.nnets &&
	    io_send(
		&group.nets[a->net], a->priority, group.fsm.cfg.interval_us);
}

static void
count_announce(void)
{
	unsigned int i;

	for (i = 0; i < group.nnets; i++)
		group.nets[i].row.announces++;
}

static void
run_state(const struct fsm_action *a)
{
	struct imsg_vrrp_state msg = {.role = a->role};

	if (group.orphan)
		exit(0); /* nobody is left who could act on a role */
	vrrp_reason(&group, a, msg.reason);
	/* What does not fit is cut: a reason is for reading. */
	if (snprintf(group.last, sizeof(group.last), "%s -> %s, \"%s\"",
		role_name(a->from), role_name(a->role), msg.reason) < 0)
		group.last[0] = '\0';
	group.since_real_ns = clock_real_ns();
	if (a->role == ROLE_MASTER)
		count_announce();
	proc_send(IMSG_VRRP_STATE, 0, &msg, sizeof(msg));
}

/* A lease is for a master the others can hear. */
static void
run_lease(const struct fsm_action *a)
{
	(void)a;
	if (group.sent > 0)
		lease_beat(clock_us());
}

static void
run_announce(const struct fsm_action *a)
{
	(void)a;
	count_announce();
	proc_send(IMSG_VRRP_ANNOUNCE, 0, NULL, 0);
}

static void
run_handover(const struct fsm_action *a)
{
	(void)a;
	proc_send(IMSG_VRRP_HANDOVER, 0, NULL, 0);
}

static void
run_released(const struct fsm_action *a)
{
	struct imsg_vrrp_released msg = {
	    .ok = a->ok, .successor = a->src, .took_us = a->us};

	proc_send(IMSG_VRRP_RELEASED, 0, &msg, sizeof(msg));
}

static void
run_split(const struct fsm_action *a)
{
	if (!a->on) {
		log_info("split is over");
		proc_event("split is over: one MASTER again");
		return;
	}
	log_warnx("split suspected: a peer is MASTER too, says the sync "
		  "channel");
	proc_event("split suspected: a peer says by sync that it is MASTER "
		   "too");
}

static void
run_actions(const struct fsm_actions *acts)
{
	static void (*const run[ACT_MAX])(const struct fsm_action *) = {
	    [ACT_SEND] = run_send,
	    [ACT_SEND_NET] = run_send_net,
	    [ACT_STATE] = run_state,
	    [ACT_LEASE] = run_lease,
	    [ACT_ANNOUNCE] = run_announce,
	    [ACT_HANDOVER] = run_handover,
	    [ACT_RELEASED] = run_released,
	    [ACT_SPLIT] = run_split,
	};
	unsigned int i;

	for (i = 0; i < acts->n; i++)
		run[acts->a[i].type](&acts->a[i]);
}

static void
timer_arm(uint64_t now)
{
	uint64_t next = fsm_next(&group.fsm);
	struct timeval tv;

	if (next == FSM_NEVER) {
		evtimer_del(group.timer);
		return;
	}
	tv = clock_tv(next > now ? next - now : 0);
	if (evtimer_add(group.timer, &tv) == -1)
		fatalx("cannot set the timer");
}

void
group_event(const struct fsm_event *ev)
{
	struct fsm_actions acts = {.n = 0};
	uint64_t now = clock_us();

	fsm_step(&group.fsm, now, ev, &acts);
	run_actions(&acts);
	timer_arm(now);
}

bool
group_has_node(struct in_addr addr)
{
	return vrrp_node(group.conf, addr) != NULL;
}

void
group_advert(struct vrrp_net *net, const struct vrrp_advert *ad)
{
	struct fsm_event ev = {.type = FSM_ADVERT,
	    .net = net->slot,
	    .priority = ad->priority,
	    .interval_us = ad->interval_us,
	    .src = ad->src,
	    .own = net->own};

	group_event(&ev);
}

void
group_link(struct vrrp_net *net, bool up)
{
	struct fsm_event ev = {.type = FSM_LINK, .net = net->slot, .up = up};

	net->link = up ? LINK_UP : LINK_DOWN;
	net->row.link_up = up;
	group_event(&ev);
}

/*
 * A late timer must not speak before what waits in the sockets is read: an
 * advertisement there may have restarted it. A master's is mostly on time.
 */
static void
timer_drain(uint64_t now)
{
	if (group.fsm.role == ROLE_MASTER &&
	    now < fsm_next(&group.fsm) + MASTER_LATE_US)
		return;
	for (unsigned int i = 0; i < group.nnets; i++)
		io_drain(&group.nets[i]);
}

static void
timer_fired(int fd, short what, void *arg)
{
	struct fsm_event ev = {.type = FSM_TIMER};
	uint64_t now = clock_us();

	(void)fd;
	(void)what;
	(void)arg;
	if (group.orphan && !lease_lingers(now, group.fsm.cfg.interval_us))
		exit(0);
	if (group.fsm.role == ROLE_MASTER &&
	    lease_expired(now, group.fsm.since_us))
		ev.type = FSM_EXPIRED;
	timer_drain(now);
	group_event(&ev);
}

void
group_init(void)
{
	group.timer = evtimer_new(proc_base(), timer_fired, NULL);
	if (group.timer == NULL ||
	    event_priority_set(group.timer, PROC_PRIO_HIGH) == -1)
		fatalx("cannot make the timer");
}

/* Sockets hold pointers to their network: move those, close the others. */
static void
nets_move(const struct conf *next, int8_t from[CONF_NETS_MAX])
{
	static struct vrrp_net nets[CONF_NETS_MAX];
	unsigned int i, n;

	n = vrrp_conf_nets(
	    group.conf, next, group.nets, group.nnets, nets, from);
	for (i = 0; i < group.nnets; i++)
		io_net_close(&group.nets[i]);
	memcpy(group.nets, nets, n * sizeof(nets[0]));
	group.nnets = n;
	for (i = 0; i < n; i++) {
		if (group.nets[i].since_us == 0)
			group.nets[i].since_us = clock_us();
		io_moved(&group.nets[i]);
	}
}

static void
commit_first(const struct fsm_cfg *cfg, const struct imsg_vrrp_resume *resume)
{
	struct fsm_event ev = {.type = FSM_START, .resume = *resume};

	group.since_real_ns = clock_real_ns();
	if (resume->role != ROLE_INIT) {
		group.since_real_ns = resume->since_real_ns;
		snprintf(group.last, sizeof(group.last),
		    "%s, kept over a restart of vrrpd",
		    role_name((enum role)resume->role));
	}
	group.told.ready = resume->ready;
	fsm_init(&group.fsm, cfg);
	group_event(&ev);
}

void
group_ready(const struct imsg_vrrp_ready *msg)
{
	struct fsm_event ev = {.type = FSM_READY, .ready = *msg};

	group.told = *msg;
	group_event(&ev);
}

void
group_commit(struct conf *next, const struct imsg_vrrp_resume *resume)
{
	struct fsm_event ev = {.type = FSM_RECONF};
	struct conf *old = group.conf;

	nets_move(next, ev.from);
	group.conf = next;
	vrrp_conf_fsm(next, &ev.cfg);
	if (old == NULL)
		commit_first(&ev.cfg, resume);
	else
		group_event(&ev);
	group_ready(&group.told);
	conf_free(old);
}

/*
 * hagwd died without a word. The kernel keeps the addresses for a moment and
 * forwards; init may bring hagwd back meanwhile, and then nothing has
 * happened. So a MASTER goes on advertising, but no longer than that, and
 * never says that it goes: a peer must not take over before the addresses
 * are gone here.
 */
bool
group_orphaned(void)
{
	group.orphan = group.conf != NULL && group.fsm.role == ROLE_MASTER &&
	    group.fsm.releasing == 0 &&
	    lease_lingers(clock_us(), group.fsm.cfg.interval_us);
	return group.orphan;
}

/* Nobody keeps the addresses now; let the other one know. */
void
group_shutdown(void)
{
	struct fsm_action a = {.type = ACT_SEND, .priority = 0};

	if (group.conf != NULL && group.fsm.role == ROLE_MASTER)
		run_send(&a);
}
