/*
 * Several events of one flow in one flush leave as one record. A fixed table
 * that is emptied at each flush; order between records of a flow is kept.
 */
#include <string.h>

#include "syncd.h"

#define INDEX_SIZE (COALESCE_MAX * 2)

static uint64_t
mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 29;
}

static uint64_t
mix_addr(uint64_t h, const union addr *a)
{
	h = mix(h, (uint64_t)a->w[0] << 32 | a->w[1]);
	return (a->w[2] | a->w[3]) == 0
	    ? h
	    : mix(h, (uint64_t)a->w[2] << 32 | a->w[3]);
}

uint64_t
tuple_hash(const struct ct_rec *r)
{
	uint64_t h = (uint64_t)r->proto << 32 | (uint64_t)r->orig.sport << 16 |
	    r->orig.dport;

	h = mix_addr(h, &r->orig.src);
	h = mix_addr(h, &r->orig.dst);
	return mix(h, h >> 32);
}

bool
tuple_same(const struct ct_rec *a, const struct ct_rec *b)
{
	return a->proto == b->proto && a->family == b->family &&
	    a->zone == b->zone && a->orig.sport == b->orig.sport &&
	    a->orig.dport == b->orig.dport &&
	    addr_same(&a->orig.src, &b->orig.src) &&
	    addr_same(&a->orig.dst, &b->orig.dst);
}

void
record_merge(struct ct_rec *rec, const struct ct_rec *newer)
{
	rec->reply = newer->reply;
	if (newer->fields & CTF_STATUS)
		rec->status = newer->status;
	if (newer->fields & CTF_TIMEOUT)
		rec->timeout_s = newer->timeout_s;
	if (newer->fields & CTF_MARK)
		rec->mark = newer->mark;
	if (newer->fields & CTF_ID)
		rec->id = newer->id;
	if (newer->fields & CTF_TCP)
		rec->tcp_state = newer->tcp_state;
	if (newer->fields & CTF_TCP_WIN) {
		rec->wscale_orig = newer->wscale_orig;
		rec->wscale_reply = newer->wscale_reply;
		rec->tcp_flags_orig = newer->tcp_flags_orig;
		rec->tcp_flags_reply = newer->tcp_flags_reply;
	}
	rec->fields |= newer->fields;
}

/* The index cell of this flow: its newest record, or where it may go. */
static uint16_t *
find(struct coalesce *c, const struct ct_rec *rec, uint64_t h)
{
	size_t i = h % INDEX_SIZE;

	for (;; i = (i + 1) % INDEX_SIZE) {
		uint16_t cell = c->index[i];

		if (cell == 0 ||
		    (c->hashes[cell - 1] == h &&
			tuple_same(&c->recs[cell - 1], rec)))
			return &c->index[i];
	}
}

/*
 * A flow that came and went is still deleted: a bulk may have carried it
 * before its events were read.
 */
static void
fold(struct coalesce *c, struct ct_rec *have, const struct ct_rec *rec)
{
	c->merged++;
	if (rec->op == CT_OP_DELETE)
		*have = *rec;
	else
		record_merge(have, rec);
	/* its entry became another flow's */
	if (rec->fields & CTF_TCP && !(rec->fields & CTF_OVER))
		have->fields &= (uint16_t)~CTF_OVER;
}

/* May rec be put into have, or must both be said one after the other? */
static bool
foldable(const struct ct_rec *have, const struct ct_rec *rec)
{
	if (have->op == CT_OP_DELETE)
		return rec->op == CT_OP_DELETE;
	return rec->op != CT_OP_NEW;
}

bool
coalesce_add(struct coalesce *c, const struct ct_rec *rec)
{
	uint64_t h = tuple_hash(rec);
	uint16_t *cell = find(c, rec, h);

	if (*cell != 0 && foldable(&c->recs[*cell - 1], rec)) {
		fold(c, &c->recs[*cell - 1], rec);
		return true;
	}
	if (c->n == COALESCE_MAX)
		return false;
	c->recs[c->n] = *rec;
	c->hashes[c->n] = h;
	*cell = (uint16_t)++c->n;
	return true;
}

void
coalesce_clear(struct coalesce *c)
{
	if (c->n == 0)
		return;
	c->n = 0;
	memset(c->index, 0, sizeof(c->index));
}
