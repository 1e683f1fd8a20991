/*
 * Bulks: everything this node owns, to one peer, without delaying what
 * happens meanwhile. Live records go out as they come; the overlay corrects
 * what the dump saw too early.
 */
#include "clock.h"
#include "proc.h"
#include "syncd.h"

#define BULK_STALL_US 3000000 /* confirmed nothing: others go first */

void
bulk_behind(struct sync *s, int peer)
{
	s->btx[peer].needed = true;
	s->btx[peer].gap = true;
	s->status_due = true;
	if (s->dump.kind == DUMP_BULK && s->dump.peer == peer)
		dump_abort(s);
}

bool
bulk_whole(const struct sync *s, int peer)
{
	const struct peer *p = s->peers[peer];
	const struct bulk_tx *b = &s->btx[peer];

	return p->tx.active && !b->gap && p->hb.gen_done >= b->mends;
}

/*
 * A settling pass begins anew when it is cut off: a peer that misses nothing
 * but asks again waits for its end.
 */
static bool
may_interrupt(const struct sync *s, int i)
{
	const struct bulk_tx *b = &s->btx[i];

	return s->dump.kind != DUMP_SETTLE || b->gap || b->fresh ||
	    !s->peers[i]->tx.active;
}

static bool
due(const struct sync *s, int i, uint64_t now)
{
	const struct peer *p = s->peers[i];
	const struct bulk_tx *b = &s->btx[i];

	if (p == NULL || !p->up || now < b->not_before ||
	    !(p->hb.flags & HB_STEPS_VALID) || p->hb.role == ROLE_MASTER ||
	    ((p->hb.steps | b->steps) & STEPS_ALL) == STEPS_ALL)
		return false;
	if ((p->tx.active && p->tx.unconfirmed > BULK_AHEAD) ||
	    !may_interrupt(s, i))
		return false;
	return b->needed || !p->tx.active || now >= b->refresh_us;
}

/* The next number whose hold step no entry over there can have. */
static uint32_t
next_generation(const struct sync *s, int i)
{
	const struct wire_hb *hb = &s->peers[i]->hb;
	uint32_t g = s->gen_max > hb->gen_max ? s->gen_max : hb->gen_max;
	uint8_t used = hb->steps | s->btx[i].steps;

	for (g++; used >> g % CT_HOLD_STEPS & 1; g++)
		;
	return g;
}

static void
begin(struct sync *s, int i, uint64_t now)
{
	struct peer *p = s->peers[i];
	struct bulk_tx *b = &s->btx[i];
	uint8_t buf[ITEM_MAX];
	size_t n;

	b->generation = s->gen_max = next_generation(s, i);
	b->steps |= (uint8_t)(1u << b->generation % CT_HOLD_STEPS);
	b->started_us = now;
	b->not_before = now + BULK_PAUSE_US;
	b->refresh_us = now + BULK_AGAIN_US;
	if (b->fresh || !p->tx.active)
		tx_start(p);
	b->fresh = false;
	b->needed = false;
	n = begin_encode(buf, b->generation, b->gap ? BEGIN_GAP : 0);
	if (b->gap)
		b->mends = b->generation;
	b->gap = false;
	s->bulk_last = i;
	if (!tx_append(p, now, buf, n, 0))
		return;
	log_debug("peer %s: bulk, generation %u", p->name, b->generation);
	dump_start(s, DUMP_BULK, i, now);
	s->dump.generation = b->generation;
}

/* Each has its turn, also beside one that needs a bulk again and again. */
static int
next_due(const struct sync *s, uint64_t now)
{
	for (int k = 1; k <= CONF_NODES_MAX; k++) {
		int i = (s->bulk_last + k) % CONF_NODES_MAX;

		if (due(s, i, now))
			return i;
	}
	return -1;
}

static bool
stalled(const struct dump *d, uint64_t now)
{
	uint64_t since = d->read_us != 0 ? d->read_us : d->started_us;

	return d->kind == DUMP_BULK && d->open && now - since > BULK_STALL_US;
}

void
bulk_turn(struct sync *s, uint64_t now)
{
	bool stuck = stalled(&s->dump, now);
	int i;

	if (s->role != ROLE_MASTER ||
	    (s->dump.kind != DUMP_NONE && s->dump.kind != DUMP_SETTLE &&
		!stuck))
		return;
	i = next_due(s, now);
	if (i == -1 && !(stuck && s->settle_due && now >= s->settle_at))
		return;
	if (stuck)
		s->btx[s->dump.peer].needed = true;
	dump_abort(s);
	if (i != -1)
		begin(s, i, now);
}

/* The dump record under what was said since; false: nothing to send. */
static bool
correct(struct sync *s, struct ct_rec *rec)
{
	const struct ct_rec *live = overlay_find(&s->overlay, rec);

	if (live == NULL)
		return true;
	if (live->op != CT_OP_UPDATE)
		return false;
	record_merge(rec, live);
	return true;
}

void
bulk_dump_record(struct sync *s, struct ct_rec *rec, uint64_t now)
{
	struct peer *p = s->peers[s->dump.peer];

	if (!filter_pass(&s->filter, rec) || !filter_mature(rec) ||
	    !correct(s, rec))
		return;
	rec->op = CT_OP_NEW;
	if (rec->fields & CTF_ID)
		announced_set(
		    &s->announced, rec->id, !(rec->fields & CTF_OVER));
	record_for_peers(s, rec);
	if (!tx_record(p, now, ITEM_DUMP, rec)) {
		bulk_behind(s, s->dump.peer);
		return;
	}
	s->dump.count++;
	s->stats.records_out++;
}

void
bulk_dump_done(struct sync *s, uint64_t now)
{
	struct peer *p = s->peers[s->dump.peer];
	struct bulk_tx *b = &s->btx[s->dump.peer];
	uint8_t buf[ITEM_MAX];
	size_t n = end_encode(buf, s->dump.generation, s->dump.count);

	s->dump.kind = DUMP_NONE;
	if (!tx_append(p, now, buf, n, 0)) {
		bulk_behind(s, s->dump.peer);
		return;
	}
	p->stats.bulks_sent++;
	p->stats.bulk_real_ns = clock_real_ns();
	p->stats.bulk_us = now - b->started_us;
	p->stats.bulk_records = s->dump.count;
	log_info("peer %s: bulk of %u flows sent, generation %u", p->name,
	    s->dump.count, s->dump.generation);
	proc_event("bulk to %s: %u flows in %u ms", p->name, s->dump.count,
	    (unsigned int)(p->stats.bulk_us / 1000));
}

void
bulk_begin(struct sync *s, int peer, const struct item *it, uint64_t now)
{
	struct bulk_rx *b = &s->brx[peer];
	uint8_t bit = (uint8_t)(1u << it->generation % CT_HOLD_STEPS);

	/* a pass by the old generation would take the new one's for ghosts */
	if (s->dump.kind != DUMP_SCAN)
		dump_abort(s);
	b->receiving = true;
	b->heard_us = now;
	b->generation = it->generation;
	b->count = 0;
	b->conflicts = b->failed = 0;
	b->started_us = now;
	b->tainted = !s->steps_known || (s->steps & bit) != 0;
	if (it->flags & BEGIN_GAP)
		b->synced = false;
	s->steps |= bit;
	if (it->generation > s->gen_max)
		s->gen_max = it->generation;
	sync_tell(s);
}

void
bulk_end(struct sync *s, int peer, const struct item *it, uint64_t now)
{
	struct bulk_rx *b = &s->brx[peer];

	b->receiving = false;
	if (it->generation != b->generation || it->count != b->count ||
	    b->tainted) {
		log_warnx("peer %s: bulk %u of %u flows is not whole (%u): "
			  "asking for another",
		    s->peers[peer]->name, it->generation, it->count, b->count);
		b->synced = false;
		sync_tell(s);
		return;
	}
	dump_abort(s);
	dump_start(s, DUMP_SWEEP, peer, now);
	s->dump.generation = b->generation;
}

/*
 * Flows of the master are missing here. What stood in the way may be gone
 * at the next try: swept, expired, or allowed by the next site file. A clash
 * that lasts costs its own flows and not the readiness for all others, and so
 * do flows of a forward that neither node's site file has any more; any other
 * cause does.
 */
void
bulk_incomplete(struct sync *s, int peer, uint64_t now)
{
	struct bulk_rx *b = &s->brx[peer];

	if (b->failed == 0 && b->retries >= BULK_RETRIES)
		return;
	b->retry_at = now + (BULK_PAUSE_US << b->retries);
	if (b->retries < BULK_RETRIES)
		b->retries++;
	b->synced = false;
	sync_tell(s);
}

/* It is no MASTER of ours any more: nothing will end what it began. */
void
bulk_forget(struct sync *s, int peer)
{
	struct bulk_rx *b = &s->brx[peer];

	if (!b->synced && !b->receiving)
		return;
	b->synced = b->receiving = false;
	if (s->dump.kind == DUMP_SWEEP && s->dump.peer == peer)
		dump_abort(s);
	sync_tell(s);
}
