/* Answers to hactl show vrrp: the group, its networks, what is wrong. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "fmt.h"
#include "proc.h"
#include "vrrpd.h"

#define RECENT_US 60000000U /* a warning for this long */

static uint64_t
ago(uint64_t now, uint64_t then)
{
	return then == 0 || then > now ? CTL_NEVER : now - then;
}

static void __attribute__((format(printf, 4, 5)))
warning(uint32_t id, const char *object, const char *hint, const char *fmt, ...)
{
	struct ctl_warning w;
	va_list ap;

	memset(&w, 0, sizeof(w));
	fmt_copy(w.object, sizeof(w.object), object);
	fmt_copy(w.hint, sizeof(w.hint), hint);
	va_start(ap, fmt);
	vsnprintf(w.text, sizeof(w.text), fmt, ap);
	va_end(ap);
	proc_send(IMSG_CTL_WARNING, id, &w, sizeof(w));
}

static void
show_group(const struct vrrp_group *g, uint32_t id, uint64_t now)
{
	const struct fsm *f = &g->fsm;
	struct ctl_vrrp row = {.role = f->role,
	    .priority = fsm_priority(f),
	    .configured = f->cfg.priority,
	    .ready = f->ready,
	    .preempt = f->cfg.preempt,
	    .released = f->released,
	    .split = f->split,
	    .transitions = f->transitions,
	    .splits = f->splits,
	    .advertise_us = f->role == ROLE_MASTER ? f->cfg.interval_us
						   : f->master_interval_us,
	    .down_us = fsm_down(f),
	    .preempt_after_us = f->cfg.preempt_after_us,
	    .since_real_ns = g->since_real_ns,
	    .since_us = ago(now, f->since_us)};

	memcpy(row.last, g->last, sizeof(row.last));
	proc_send(IMSG_CTL_VRRP, id, &row, sizeof(row));
}

static void
show_net(const struct vrrp_net *net, uint32_t id, uint64_t now)
{
	struct ctl_vrrp_net row = net->row;

	row.peer_seen_us = ago(now, net->seen_us);
	proc_send(IMSG_CTL_VRRP_NET, id, &row, sizeof(row));
}

/* Silent for more than the down interval since it could be heard. */
static bool
silent(const struct vrrp_group *g, const struct vrrp_net *net, uint64_t now)
{
	uint64_t from = net->seen_us;

	if (from < g->fsm.since_us)
		from = g->fsm.since_us;
	if (from < net->since_us)
		from = net->since_us;
	return now - from > fsm_down(&g->fsm);
}

/* A standby hears its master on every network, or a path is broken. */
static void
warn_silent(const struct vrrp_group *g, const struct vrrp_net *net, uint32_t id,
    uint64_t now)
{
	char span[FMT_MAX], hint[CONF_NAME_MAX + 16];
	bool others = false;
	unsigned int i;

	if (g->fsm.role != ROLE_BACKUP || net->link != LINK_UP ||
	    !silent(g, net, now))
		return;
	for (i = 0; i < g->nnets; i++)
		others = others ||
		    (g->nets[i].seen_us != 0 && !silent(g, &g->nets[i], now));
	if (!others)
		return;
	snprintf(hint, sizeof(hint), "hactl show vrrp %s", net->row.name);
	if (net->seen_us == 0)
		warning(id, net->row.name, hint,
		    "no advertisement was heard "
		    "on %s, though other networks hear the master",
		    net->row.ifname);
	else
		warning(id, net->row.name, hint,
		    "no advertisement on %s for "
		    "%s, though other networks hear the master",
		    net->row.ifname, fmt_span(span, now - net->seen_us));
}

/* Nobody hears it, so another node serves, or none does. */
static void
warn_mute(const struct vrrp_group *g, const struct vrrp_net *net, uint32_t id,
    uint64_t now)
{
	const struct fsm *f = &g->fsm;

	if (net->mute_us == 0 || net->link == LINK_DOWN ||
	    (!f->mute && now - net->mute_us >= RECENT_US))
		return;
	if (net->mute_error == EPERM)
		warning(id, net->row.name, "nft list ruleset",
		    "advertisements cannot leave %s: a rule of this host "
		    "drops IP protocol 112 on output%s",
		    net->row.ifname,
		    f->mute && f->cfg.preempt && f->role == ROLE_BACKUP
			? "; no preemption before hactl failback"
			: "");
	else
		warning(id, net->row.name, "hactl show vrrp",
		    "advertisements cannot leave %s: %s", net->row.ifname,
		    strerror(net->mute_error));
}

static void
warn_net(const struct vrrp_group *g, const struct vrrp_net *net, uint32_t id,
    uint64_t now)
{
	char who[VRRP_WHO_MAX];

	if (net->link == LINK_DOWN)
		warning(id, net->row.name, "hactl show vrrp",
		    "%s has no link; this node serves no network meanwhile",
		    net->row.ifname);
	if (net->differ_us != 0 && now - net->differ_us < RECENT_US)
		warning(id, net->row.name, "hactl show config",
		    "%s advertises other addresses with vrid %u: %s",
		    vrrp_who(g->conf, net->differ_src, who), net->row.vrid,
		    group_has_node(net->differ_src)
			? "its site file differs"
			: "one of the two needs another vrid");
	warn_mute(g, net, id, now);
	warn_silent(g, net, id, now);
}

static void
warn_group(const struct vrrp_group *g, uint32_t id)
{
	if (g->fsm.split)
		warning(id, "vrrp", "hactl show sync",
		    "split suspected: a peer says by sync that it is MASTER "
		    "too, but its advertisements do not arrive");
	if (g->fsm.cold)
		warning(id, "vrrp", "hactl show sync",
		    "took over without any flow: yields to any other master "
		    "until a peer answers on the sync link");
}

void
show_vrrp(const struct vrrp_group *g, uint32_t id,
    const struct ctl_request *req, uint64_t now)
{
	unsigned int i, shown = 0;

	if (g->conf == NULL) {
		proc_ctl_end(id, 1, "vrrpd has no configuration yet");
		return;
	}
	show_group(g, id, now);
	for (i = 0; i < g->nnets; i++) {
		if (req->arg[0] != '\0' &&
		    strncmp(req->arg, g->nets[i].row.name, sizeof(req->arg)) !=
			0)
			continue;
		show_net(&g->nets[i], id, now);
		shown++;
	}
	warn_group(g, id);
	for (i = 0; i < g->nnets; i++)
		warn_net(g, &g->nets[i], id, now);
	if (req->arg[0] != '\0' && shown == 0)
		proc_ctl_end(id, 2, "no network \"%.*s\" in the ha group",
		    (int)sizeof(req->arg), req->arg);
	else
		proc_ctl_end(id, 0, "%s", "");
}
