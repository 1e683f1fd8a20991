/*
 * Dumps of this node's kernel: one at a time, read in turns, each for a
 * bulk, a sweep or a settling pass. What its records mean is theirs.
 */
#include <linux/netfilter/nf_conntrack_common.h>

#include "syncd.h"

#define DUMP_WAIT_US 5000000 /* for the parent to open one */

void
dump_start(struct sync *s, enum dump_kind kind, int peer, uint64_t now)
{
	uint32_t id = s->dump.id + 1;

	s->dump = (struct dump){
	    .kind = kind, .id = id, .peer = peer, .started_us = now};
	overlay_clear(&s->overlay);
	/* what is on its way to the kernel is in before the dump begins */
	apply_flush(s);
	s->ops->dump(s->arg, id);
}

void
dump_abort(struct sync *s)
{
	if (s->dump.kind == DUMP_NONE)
		return;
	s->dump.kind = DUMP_NONE;
	s->dump.open = false;
	s->ops->dump_close(s->arg);
}

bool
sync_dump_wanted(const struct sync *s, uint64_t now)
{
	const struct dump *d = &s->dump;

	if (!d->open || d->ended)
		return false;
	switch (d->kind) {
	case DUMP_BULK:
		return s->peers[d->peer]->tx.unconfirmed < BULK_AHEAD;
	case DUMP_SETTLE:
		return s->apply.n == 0 && now >= d->read_us + SETTLE_PACE_US;
	case DUMP_SCAN:
		return true;
	case DUMP_RELEASE:
	case DUMP_SWEEP:
		return s->apply.n < APPLY_INFLIGHT / 2;
	case DUMP_NONE:
		break;
	}
	return false;
}

void
sync_dump_opened(struct sync *s)
{
	s->dump.open = true;
}

/*
 * A sweep's notes are of records that hagwd may not have applied yet: until
 * it has, a dump cannot show them, however often it is read.
 */
void
sync_dump_read(struct sync *s, uint64_t now)
{
	struct dump *d = &s->dump;

	d->read_us = now;
	if (d->kind == DUMP_SWEEP) {
		if (!apply_passed(s, d->turn_id))
			return;
		apply_flush(s);
		d->turn_id = s->apply.last_id;
	}
	overlay_turn(&s->overlay);
}

/* Entries on their way in or out are told by their events. */
void
sync_dump_record(struct sync *s, struct ct_rec *rec, uint64_t now)
{
	if ((rec->status & IPS_CONFIRMED) == 0 ||
	    (rec->status & IPS_DYING) != 0)
		return;
	if (s->dump.kind == DUMP_BULK)
		bulk_dump_record(s, rec, now);
	else if (s->dump.kind != DUMP_NONE)
		settle_record(s, rec);
}

static void
dump_failed(struct sync *s)
{
	enum dump_kind kind = s->dump.kind;
	int peer = s->dump.peer;

	log_warnx("conntrack dump: cut short, to be repeated");
	if (kind == DUMP_BULK)
		bulk_behind(s, peer);
	if (kind == DUMP_SWEEP) {
		s->brx[peer].synced = false;
		sync_tell(s);
	}
	dump_abort(s);
	s->dump_at = s->now + DUMP_RETRY_US;
}

void
sync_dump_done(struct sync *s, bool whole, uint64_t now)
{
	s->now = now;
	s->dump.open = false;
	if (!whole) {
		dump_failed(s);
		return;
	}
	if (s->dump.kind == DUMP_BULK) {
		flush_pending(s);
		if (s->dump.kind == DUMP_BULK)
			bulk_dump_done(s, now);
		return;
	}
	apply_flush(s);
	s->dump.ended = true;
	s->dump.last_id = s->apply.last_id;
}

void
dump_turn(struct sync *s)
{
	struct dump *d = &s->dump;

	if (d->kind != DUMP_NONE && !d->open && !d->ended &&
	    s->now - d->started_us > DUMP_WAIT_US)
		dump_failed(s);
	if (d->ended && apply_passed(s, d->last_id)) {
		d->ended = false;
		settle_done(s, s->now);
	}
	if (s->now >= s->dump_at) {
		bulk_turn(s, s->now);
		settle_turn(s, s->now);
	}
}
