/*
 * What peers say: a datagram's way in, and each of its records' to where it
 * is applied.
 */
#include "syncd.h"

static bool
takes_records(const struct sync *s)
{
	return s->role != ROLE_MASTER || s->now - s->role_us < GRACE_US;
}

static void
in_record(struct sync *s, int peer, struct item *it)
{
	struct bulk_rx *b = &s->brx[peer];

	if (it->kind == ITEM_DUMP) {
		b->count++;
		b->heard_us = s->now;
	}
	s->peers[peer]->stats.records_in++;
	/* an end is told by its original tuple: its reply is not known here */
	if (it->rec.op != CT_OP_DELETE && !filter_pass(&s->filter, &it->rec)) {
		s->stats.refused++;
		return;
	}
	apply_sanitise(&it->rec, b->generation);
	if (s->dump.kind == DUMP_SWEEP)
		overlay_note(&s->overlay, &it->rec);
	apply_record(s, peer, &it->rec);
}

/*
 * Whose bulk begins owns the flows. What others still have to say is of
 * flows that they lost, or of a time before.
 */
static void
follow(struct sync *s, int owner)
{
	s->owner = owner;
	for (int i = 0; i < CONF_NODES_MAX; i++)
		if (i != owner)
			bulk_forget(s, i);
}

static void
in_item(struct sync *s, int peer, struct item *it)
{
	bool of_owner = peer == s->owner && s->brx[peer].generation != 0;

	if (!takes_records(s) || (!of_owner && it->kind != ITEM_BEGIN)) {
		s->stats.late++;
		return;
	}
	switch (it->kind) {
	case ITEM_LIVE:
	case ITEM_DUMP:
		in_record(s, peer, it);
		break;
	case ITEM_BEGIN:
		if (s->role == ROLE_MASTER)
			break;
		follow(s, peer);
		bulk_begin(s, peer, it, s->now);
		break;
	case ITEM_END:
		if (s->role != ROLE_MASTER)
			bulk_end(s, peer, it, s->now);
		break;
	}
}

static void
in_items(struct sync *s, int peer, struct rd *body)
{
	struct ct_rec before = {.op = 0};
	struct item it;

	for (;;) {
		switch (item_decode(body, &before, &it)) {
		case ITEM_DONE:
			return;
		case ITEM_GOOD:
			in_item(s, peer, &it);
			break;
		case ITEM_SKIP:
			break;
		case ITEM_BAD:
			/* genuine but impossible: only a bulk can tell */
			s->stats.bad[CRYPT_BAD_FORMAT]++;
			bulk_forget(s, peer);
			return;
		}
	}
}

void
sync_deliver(struct sync *s, uint64_t now)
{
	struct rd body;
	uint64_t seq;

	s->now = now;
	for (int i = 0; i < CONF_NODES_MAX; i++) {
		struct peer *p = s->peers[i];

		while (p != NULL && apply_room(s) &&
		    rx_next(&p->rx, &body, &seq)) {
			in_items(s, i, &body);
			apply_mark(s, i, p->rx.stream, seq + 1, now);
		}
	}
	apply_flush(s);
}

const char *
sync_refusal(enum crypt_res res)
{
	static const char *const texts[CRYPT_RES_MAX] = {
	    [CRYPT_BAD_FORMAT] = "truncated or not hagw's",
	    [CRYPT_BAD_VERSION] = "another protocol version: run the same "
				  "hagw there",
	    [CRYPT_BAD_SITE] = "another site or node: compare the site files",
	    [CRYPT_BAD_KEY] = "not authentic: compare the sync keys",
	    [CRYPT_REPLAY] = "a repeated datagram",
	};

	return texts[res];
}

static void
bad_datagram(struct sync *s, struct peer *p, enum crypt_res res)
{
	s->stats.bad[res]++;
	if (sync_refusal(res) == NULL)
		return;
	if (res != CRYPT_REPLAY) { /* a network may repeat one */
		p->refused = res;
		p->refused_us = s->now;
	}
	if (log_allowed(&s->bad_limit, s->now) > 0)
		log_warnx("peer %s (%s): datagram dropped: %s", p->name,
		    s->ops->where(s->arg, p->node), sync_refusal(res));
}

void
sync_input(struct sync *s, uint32_t node, const uint8_t *dgram, size_t len,
    uint64_t now)
{
	struct peer *p = node < CONF_NODES_MAX ? s->peers[node] : NULL;
	enum crypt_res res;

	s->now = now;
	if (p == NULL)
		return;
	res = peer_input(p, now, dgram, len);
	if (res != CRYPT_OK && res != CRYPT_UNPROVEN)
		bad_datagram(s, p, res);
}
