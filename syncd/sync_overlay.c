/*
 * The window overlay. The kernel makes each part of a dump one read ahead,
 * so a record that is read now may be older than live records sent since
 * then. What those said is kept for two reads and put on top: a flow that
 * was deleted meanwhile must not come back as a ghost.
 */
#include <sodium.h>
#include <string.h>

#include "syncd.h"

#define PROBES   16
#define LIFETIME 2 /* reads */

/*
 * Who makes flows through the gateway chooses their tuples: a bulk that is
 * cut off when a few of them meet must not be theirs to cut off. The key is
 * another for each dump.
 */
static size_t
slot(const struct overlay *o, const struct ct_rec *r)
{
	struct {
		union addr src, dst;
		uint32_t proto;
		uint16_t sport, dport;
	} in = {
	    r->orig.src, r->orig.dst, r->proto, r->orig.sport, r->orig.dport};
	union {
		uint8_t bytes[crypto_shorthash_BYTES];
		uint64_t v;
	} out;

	crypto_shorthash(out.bytes, (const uint8_t *)&in, sizeof(in), o->key);
	return out.v % OVERLAY_MAX;
}

void
overlay_clear(struct overlay *o)
{
	uint64_t key[] = {crypt_random(), crypt_random()};

	memcpy(o->key, key, sizeof(o->key));
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
	size_t at = slot(o, live);
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
	size_t at = slot(o, rec);

	for (size_t k = 0; k < PROBES; k++) {
		size_t i = (at + k) % OVERLAY_MAX;

		if (alive(o, i) && tuple_same(&o->slots[i].rec, rec))
			return &o->slots[i].rec;
	}
	return NULL;
}
