/*
 * The window overlay. The kernel makes each part of a dump one read ahead,
 * so a record that is read now may be older than live records sent since
 * then. What those said is kept for two reads and put on top: a flow that
 * was deleted meanwhile must not come back as a ghost.
 */
#include <string.h>

#include "syncd.h"

#define PROBES   16
#define LIFETIME 2 /* reads */

void
overlay_clear(struct overlay *o)
{
	for (size_t i = 0; i < OVERLAY_MAX; i++)
		o->slots[i].turn = 0;
	o->turn = 1;
	o->overflow = false;
}

void
overlay_turn(struct overlay *o)
{
	o->turn++;
}

static bool
alive(const struct overlay *o, size_t i)
{
	return o->slots[i].turn != 0 && o->slots[i].turn + LIFETIME >= o->turn;
}

static void
put(struct overlay *o, size_t i, const struct ct_rec *live)
{
	struct ct_rec *have = &o->slots[i].rec;
	bool known = alive(o, i);

	o->slots[i].turn = o->turn;
	if (!known || live->op != CT_OP_UPDATE) {
		*have = *live;
		return;
	}
	/* an update after a delete is of another flow: all of it is new */
	if (have->op == CT_OP_DELETE) {
		*have = *live;
		have->op = CT_OP_NEW;
		return;
	}
	record_merge(have, live);
}

void
overlay_note(struct overlay *o, const struct ct_rec *live)
{
	size_t at = tuple_hash(live) % OVERLAY_MAX;
	size_t room = OVERLAY_MAX;

	for (size_t k = 0; k < PROBES; k++) {
		size_t i = (at + k) % OVERLAY_MAX;

		if (!alive(o, i)) {
			if (room == OVERLAY_MAX)
				room = i;
		} else if (tuple_same(&o->slots[i].rec, live)) {
			put(o, i, live);
			return;
		}
	}
	if (room == OVERLAY_MAX)
		o->overflow = true;
	else
		put(o, room, live);
}

const struct ct_rec *
overlay_find(const struct overlay *o, const struct ct_rec *rec)
{
	size_t at = tuple_hash(rec) % OVERLAY_MAX;

	for (size_t k = 0; k < PROBES; k++) {
		size_t i = (at + k) % OVERLAY_MAX;

		if (alive(o, i) && tuple_same(&o->slots[i].rec, rec))
			return &o->slots[i].rec;
	}
	return NULL;
}
