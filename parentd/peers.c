/* Readiness: what syncd last said of the other nodes. */
#include <string.h>

#include "clock.h"
#include "daemon.h"
#include "log.h"

/* syncd answers each tick; older than this it counts for nothing. */
#define PEER_STALE_US  3500000
/* One that was ready so lately holds all but the newest flows. */
#define PEER_MEMORY_US 30000000

static uint64_t ready_us; /* when any was, as syncd said; 0: never */
static struct imsg_vrrp_ready told; /* to vrrpd, last */

static bool
peer_fresh(const struct peer *p)
{
	return p->known && p->st.up && clock_us() - p->at_us < PEER_STALE_US;
}

const char *
peers_name(const struct peer *p)
{
	return hagwd.conf->h.nodes[p - hagwd.peers].name;
}

bool
peers_ready(uint32_t node)
{
	return peer_fresh(&hagwd.peers[node]) && hagwd.peers[node].st.ready;
}

/* As a successor. A spare with a cable pulled is none, whatever it holds. */
static int
fitness(const struct peer *p)
{
	return 2 * (p->st.role == ROLE_BACKUP) + (p->st.ready != 0);
}

const struct peer *
peers_best(void)
{
	const struct peer *best = NULL;

	for (int i = 0; i < hagwd.conf->h.nnodes; i++) {
		const struct peer *p = &hagwd.peers[i];

		if (i == hagwd.conf->h.self || !peer_fresh(p))
			continue;
		if (best == NULL || fitness(p) > fitness(best) ||
		    (fitness(p) == fitness(best) &&
			hagwd.conf->h.nodes[i].priority >
			    hagwd.conf->h.nodes[best - hagwd.peers].priority))
			best = p;
	}
	return best;
}

const struct peer *
peers_master(void)
{
	for (int i = 0; i < hagwd.conf->h.nnodes; i++) {
		const struct peer *p = &hagwd.peers[i];

		if (i != hagwd.conf->h.self && peer_fresh(p) &&
		    p->st.role == ROLE_MASTER)
			return p;
	}
	return NULL;
}

static void
peers_summary(struct imsg_vrrp_ready *r)
{
	*r = (struct imsg_vrrp_ready){0};
	/* without a sync section there is no flow to wait for */
	r->ready = hagwd.conf->h.sync.npaths == 0;
	for (int i = 0; i < hagwd.conf->h.nnodes; i++) {
		const struct peer *p = &hagwd.peers[i];

		if (!p->known || clock_us() - p->at_us >= PEER_STALE_US)
			continue;
		r->ready |= p->st.self_ready;
		if (peer_fresh(p)) {
			r->sync_up = 1;
			r->peer_master |= p->st.role == ROLE_MASTER;
			r->peer_able |= p->st.role == ROLE_MASTER ||
			    p->st.role == ROLE_BACKUP;
		}
	}
	r->ready = r->ready && health_fit();
}

void
peers_tell_vrrpd(void)
{
	peers_summary(&told);
	log_debug("sync: ready %u, peer up %u, peer master %u", told.ready,
	    told.sync_up, told.peer_master);
	child_send(PROC_VRRP, IMSG_VRRP_READY, 0, &told, sizeof(told));
}

/* A status comes each second; vrrpd is woken up by what is new to it. */
static void
tell_news(void)
{
	struct imsg_vrrp_ready now;

	peers_summary(&now);
	if (memcmp(&now, &told, sizeof(now)) != 0)
		peers_tell_vrrpd();
}

static const char *
readiness(const struct imsg_ct_status *st)
{
	if (st->ready)
		return "is ready: it holds every flow";
	if (st->role != ROLE_BACKUP)
		return "is not ready: it is not BACKUP";
	return "is not ready: it lacks flows or is not fit to be MASTER "
	       "(hactl show summary there)";
}

static void
peers_note(int node, const struct peer *old, const struct imsg_ct_status *st)
{
	const char *name = hagwd.conf->h.nodes[node].name;
	bool was_up = old->known && old->st.up;
	bool was_ready = was_up && old->st.ready;

	if (was_up != (st->up != 0))
		history_add("sync", "%s %s", name,
		    st->up ? "answers on the sync link"
			   : "is silent on the sync link");
	if (st->up && was_ready != (st->ready != 0) &&
	    hagwd.role == ROLE_MASTER)
		history_add("sync", "%s %s", name, readiness(st));
}

void
peers_ask(void)
{
	struct imsg_ct_count count = {0};

	sysctl_ct_count(&count);
	child_send(PROC_SYNC, IMSG_CT_COUNT, 0, &count, sizeof(count));
}

void
peers_update(const struct imsg_ct_status *st)
{
	struct peer *p = &hagwd.peers[st->node];
	bool filled = st->self_ready && !p->st.self_ready;

	peers_note((int)st->node, p, st);
	p->st = *st;
	p->known = true;
	p->at_us = clock_us();
	if (st->ready && st->role == ROLE_BACKUP)
		ready_us = p->at_us;
	if (filled)
		peers_ask(); /* a bulk ended: peers are to hear how many came */
	tell_news();
}

bool
peers_can_take_over(void)
{
	const struct peer *p = peers_best();

	if (p != NULL && p->st.ready && p->st.role == ROLE_BACKUP)
		return true;
	/* a syncd that keeps dying never gets to say so again */
	return hagwd.children[PROC_SYNC].failures > CHILD_FREE_DEATHS &&
	    ready_us != 0 && clock_us() - ready_us < PEER_MEMORY_US;
}

void
peers_reset(void)
{
	memset(hagwd.peers, 0, sizeof(hagwd.peers));
	peers_tell_vrrpd();
}
