/*
 * Passes over this node's own kernel: which hold steps are in use (scan),
 * make them none (release), delete what a bulk did not confirm (sweep), and
 * after a takeover give flows that stay idle their protocol's timeout back
 * (settle). Each reads a dump at the pace its answers allow.
 */
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>
#include <string.h>

#include "clock.h"
#include "proc.h"
#include "syncd.h"

/* nf_conntrack_tcp_timeout_max_retrans and _unacknowledged */
#define TCP_RETRANS_S  300
/* Between two records of a bulk, at the most. */
#define BULK_SILENT_US 3000000

uint32_t
settle_timeout(const struct imsg_ct_timeouts *t, const struct ct_rec *r)
{
	switch (r->proto) {
	case IPPROTO_TCP:
		if ((r->fields & CTF_TCP) && r->tcp_state < nitems(t->tcp) &&
		    t->tcp[r->tcp_state] != 0)
			return t->tcp[r->tcp_state];
		return t->tcp[TCP_CONNTRACK_ESTABLISHED];
	case IPPROTO_UDP:
		return r->status & IPS_ASSURED ? t->udp_replied
					       : t->udp_unreplied;
	case IPPROTO_ICMP:
		return t->icmp;
	case IPPROTO_ICMPV6:
		return t->icmpv6;
	default:
		return t->generic;
	}
}

/* Which entry is meant, and nothing else that hagwd would have to judge. */
static struct ct_rec
entry_of(const struct ct_rec *r, enum ct_op op)
{
	return (struct ct_rec){
	    .orig = r->orig,
	    .reply = r->reply,
	    .id = r->id,
	    .fields = r->fields & CTF_ID,
	    .op = (uint8_t)op,
	    .family = r->family,
	    .proto = r->proto,
	};
}

static void
set_timeout(struct sync *s, const struct ct_rec *r, uint32_t timeout_s)
{
	struct ct_rec rec = entry_of(r, CT_OP_TIMEOUT);

	rec.timeout_s = timeout_s;
	rec.fields |= CTF_TIMEOUT;
	apply_record(s, APPLY_NOPEER, &rec);
}

static void
scan_record(struct sync *s, const struct ct_rec *r)
{
	int step = ct_hold_step(r->timeout_s);

	if (step >= 0 && step < CT_HOLD_STEPS)
		s->dump.steps |= (uint8_t)(1u << step);
}

static void
release_record(struct sync *s, const struct ct_rec *r)
{
	if (ct_hold_step(r->timeout_s) < 0)
		return;
	set_timeout(s, r, CT_HOLD_BASE_S);
	s->dump.count++;
}

static bool
near(uint32_t left_s, uint32_t full_s, uint64_t ago_s)
{
	return left_s <= full_s && left_s + ago_s >= full_s;
}

/*
 * A packet took the hold time away since the bulk began: a neighbour still
 * sends here, or did for a moment. The flow lives, and was confirmed.
 */
static bool
spoke_since(const struct sync *s, const struct ct_rec *r, uint64_t begin_us)
{
	/* rounded up, as what is left is rounded down */
	uint64_t ago_s = (s->now - begin_us + 999999) / 1000000;

	return near(r->timeout_s, settle_timeout(&s->timeouts, r), ago_s) ||
	    (r->proto == IPPROTO_TCP &&
		near(r->timeout_s, TCP_RETRANS_S, ago_s));
}

/* With the end told beforehand: it goes by itself, confirmed or not. */
static bool
over(const struct ct_rec *r)
{
	return r->proto == IPPROTO_TCP && (r->fields & CTF_TCP) &&
	    ct_tcp_over(r->tcp_state) && r->timeout_s <= HELD_MIN_S;
}

/*
 * Only what was injected, which its hold time tells, or what this node made
 * itself while it was master, which a virtual address tells, is removed.
 */
static void
sweep_record(struct sync *s, const struct ct_rec *r)
{
	uint32_t hold_s = ct_hold_timeout(s->dump.generation);
	int step = ct_hold_step(r->timeout_s);
	struct ct_rec rec;

	if (step == (int)(s->dump.generation % CT_HOLD_STEPS) ||
	    (r->timeout_s <= HELD_MIN_S && !filter_ours(&s->filter, r)) ||
	    over(r) || overlay_find(&s->overlay, r) != NULL ||
	    s->overlay.overflow)
		return;
	if (spoke_since(s, r, s->brx[s->dump.peer].started_us)) {
		set_timeout(s, r, hold_s);
		return;
	}
	rec = entry_of(r, CT_OP_DELETE);
	s->stats.swept++;
	s->dump.count++;
	apply_record(s, APPLY_NOPEER, &rec);
}

static void
settle_one(struct sync *s, const struct ct_rec *r)
{
	uint32_t t = settle_timeout(&s->timeouts, r);

	if (r->timeout_s <= HELD_MIN_S || t == 0)
		return;
	s->stats.settled++;
	s->dump.count++;
	set_timeout(s, r, t);
}

static void (*const record_fns[])(struct sync *, const struct ct_rec *) = {
    [DUMP_SCAN] = scan_record,
    [DUMP_RELEASE] = release_record,
    [DUMP_SWEEP] = sweep_record,
    [DUMP_SETTLE] = settle_one,
};

/* What is held is also what an earlier site file's filter let through. */
void
settle_record(struct sync *s, const struct ct_rec *r)
{
	if (filter_pass(&s->filter, r) ||
	    (r->timeout_s > HELD_MIN_S && filter_held(&s->filter, r)))
		record_fns[s->dump.kind](s, r);
}

static void
swept(struct sync *s, uint64_t now)
{
	struct bulk_rx *b = &s->brx[s->dump.peer];
	struct peer *p = s->peers[s->dump.peer];

	s->steps = (uint8_t)(1u << b->generation % CT_HOLD_STEPS);
	s->steps_known = true;
	s->gen_done = b->generation;
	p->stats.bulks_received++;
	p->stats.bulk_real_ns = clock_real_ns();
	p->stats.bulk_us = now - b->started_us;
	p->stats.bulk_records = b->count;
	s->status_due = true;
	p->hb_at = now;
	b->synced = true;
	if (b->conflicts + b->failed > 0 || s->overlay.overflow)
		bulk_incomplete(s, s->dump.peer, now);
	else
		b->retries = 0;
	if (!b->synced)
		return;
	log_info("peer %s: holds its %u flows (generation %u), %u others "
		 "removed",
	    p->name, b->count, b->generation, s->dump.count);
	proc_event("bulk from %s: %u flows in %u ms, %u swept", p->name,
	    b->count, (unsigned int)(p->stats.bulk_us / 1000), s->dump.count);
}

/* What comes live is held by the generation of the last bulk. */
static uint8_t
live_steps(const struct sync *s)
{
	uint8_t steps = 0;

	for (int i = 0; i < CONF_NODES_MAX; i++)
		if (s->brx[i].synced)
			steps |= (uint8_t)(1u
			    << s->brx[i].generation % CT_HOLD_STEPS);
	return steps;
}

static void
settled(struct sync *s)
{
	s->settle_due = false;
	s->stats.settled -= s->dump.refused;
	log_info("%u idle flows have their timeouts back",
	    s->dump.count - s->dump.refused);
	if (s->dump.refused > 0)
		log_warnx("%u idle flows keep the long timeout of a standby's: "
			  "the pass came too late after the takeover",
		    s->dump.refused);
}

void
settle_done(struct sync *s, uint64_t now)
{
	switch (s->dump.kind) {
	case DUMP_SCAN:
		s->steps = s->dump.steps;
		s->steps_known = true;
		break;
	case DUMP_RELEASE:
		s->steps = live_steps(s);
		log_info("%u held flows wait for a new bulk", s->dump.count);
		break;
	case DUMP_SWEEP:
		swept(s, now);
		break;
	case DUMP_SETTLE:
		settled(s);
		break;
	case DUMP_NONE:
	case DUMP_BULK:
		break;
	}
	s->dump.kind = DUMP_NONE;
	for (int i = 0; i < CONF_NODES_MAX; i++)
		if (s->peers[i] != NULL)
			s->peers[i]->hb_at = now;
}

/*
 * A bulk whose sender broke it off has no end, and cannot be followed by
 * another while its step is in use: one that is silent is given up.
 */
static void
give_up_silent(struct sync *s, uint64_t now)
{
	for (int i = 0; i < CONF_NODES_MAX; i++) {
		struct bulk_rx *b = &s->brx[i];

		if (!b->receiving || now - b->heard_us < BULK_SILENT_US)
			continue;
		b->receiving = false;
		b->tainted = true; /* should its end come after all */
	}
}

static bool
receiving(const struct sync *s)
{
	for (int i = 0; i < CONF_NODES_MAX; i++)
		if (s->brx[i].receiving)
			return true;
	return false;
}

void
settle_turn(struct sync *s, uint64_t now)
{
	if (s->dump.kind != DUMP_NONE)
		return;
	if (s->role == ROLE_MASTER) {
		if (s->settle_due && now >= s->settle_at)
			dump_start(s, DUMP_SETTLE, APPLY_NOPEER, now);
		return;
	}
	if (!s->steps_known) {
		dump_start(s, DUMP_SCAN, APPLY_NOPEER, now);
		return;
	}
	if (s->steps != STEPS_ALL)
		return;
	give_up_silent(s, now);
	if (!receiving(s))
		dump_start(s, DUMP_RELEASE, APPLY_NOPEER, now);
}
