/* Why a role changed, as a sentence for people. */
#include <inttypes.h>
#include <stdio.h>

#include "vrrpd.h"

#define SPAN_MAX 32

/* Milliseconds matter here: "3.219s". */
static const char *
span(char buf[SPAN_MAX], uint64_t us)
{
	snprintf(buf, SPAN_MAX, "%" PRIu64 ".%03us", us / 1000000,
	    (unsigned int)(us % 1000000 / 1000));
	return buf;
}

static void
why_silence(const struct vrrp_group *g, const struct fsm_action *a, char *buf)
{
	char us[SPAN_MAX], who[VRRP_WHO_MAX];
	const char *node = vrrp_node(g->conf, a->src);

	if (a->src.s_addr == INADDR_ANY)
		snprintf(
		    buf, CTL_TEXT_MAX, "nothing heard for %s", span(us, a->us));
	else
		snprintf(buf, CTL_TEXT_MAX, "nothing heard from %s for %s",
		    node != NULL ? node : vrrp_who(g->conf, a->src, who),
		    span(us, a->us));
}

static void
why_zero(const struct vrrp_group *g, const struct fsm_action *a, char *buf)
{
	char who[VRRP_WHO_MAX];

	snprintf(
	    buf, CTL_TEXT_MAX, "%s released", vrrp_who(g->conf, a->src, who));
}

static void
why_preempted(const struct vrrp_group *g, const struct fsm_action *a, char *buf)
{
	char who[VRRP_WHO_MAX];

	snprintf(buf, CTL_TEXT_MAX, "preempted %s: priority %u over %u",
	    vrrp_who(g->conf, a->src, who), g->fsm.cfg.priority, a->priority);
}

static void
why_higher(const struct vrrp_group *g, const struct fsm_action *a, char *buf)
{
	char who[VRRP_WHO_MAX];

	snprintf(buf, CTL_TEXT_MAX, "%s is MASTER with priority %u, ours is %u",
	    vrrp_who(g->conf, a->src, who), a->priority, g->fsm.cfg.priority);
}

static void
why_successor(const struct vrrp_group *g, const struct fsm_action *a, char *buf)
{
	static const char *const kinds[] = {
	    [RELEASE_FAILOVER] = "released by hactl failover",
	    [RELEASE_HANDOVER] = "handed over",
	    [RELEASE_SHUTDOWN] = "shutting down",
	};
	char who[VRRP_WHO_MAX];

	snprintf(buf, CTL_TEXT_MAX, "%s: %s took over", kinds[a->release],
	    vrrp_who(g->conf, a->src, who));
}

static void
why_link_down(const struct vrrp_group *g, const struct fsm_action *a, char *buf)
{
	const struct ctl_vrrp_net *row = &g->nets[a->net].row;

	snprintf(
	    buf, CTL_TEXT_MAX, "%s has no link on %s", row->name, row->ifname);
}

static void
why_late(const struct vrrp_group *g, const struct fsm_action *a, char *buf)
{
	char us[SPAN_MAX];

	(void)g;
	snprintf(buf, CTL_TEXT_MAX,
	    "was stopped for %s, another node may have taken over",
	    span(us, a->us));
}

void
vrrp_reason(const struct vrrp_group *g, const struct fsm_action *a,
    char buf[CTL_TEXT_MAX])
{
	static const struct {
		void (*fn)(const struct vrrp_group *, const struct fsm_action *,
		    char *);
		const char *text; /* when there is nothing to add */
	} whys[WHY_MAX] = {
	    [WHY_STARTED] = {NULL, "started"},
	    [WHY_LINKS_UP] = {NULL, "every network has its link"},
	    [WHY_LINK_DOWN] = {why_link_down, NULL},
	    [WHY_SILENCE] = {why_silence, NULL},
	    [WHY_ZERO] = {why_zero, NULL},
	    [WHY_PREEMPTED] = {why_preempted, NULL},
	    [WHY_HIGHER] = {why_higher, NULL},
	    [WHY_SUCCESSOR] = {why_successor, NULL},
	    [WHY_NO_SUCCESSOR] = {NULL, "shutting down, nobody took over"},
	    [WHY_LATE] = {why_late, NULL},
	    [WHY_EXPIRED] = {NULL,
		"hagwd has not refreshed the addresses: they are gone"},
	    [WHY_REVOKED] = {NULL, "the lease on the addresses ran out"},
	};

	if (whys[a->why].fn != NULL)
		whys[a->why].fn(g, a, buf);
	else
		snprintf(buf, CTL_TEXT_MAX, "%s", whys[a->why].text);
}
