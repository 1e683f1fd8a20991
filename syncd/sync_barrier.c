/*
 * The barrier of a handover: everything that happened before it is in a
 * peer's kernel, or which peer's it is not in.
 */
#include "syncd.h"

/* One that may not take over keeps nobody waiting, unless all are such. */
static int
mark(struct sync *s, bool only_ready)
{
	struct barrier *b = &s->barrier;
	int n = 0;

	for (int i = 0; i < CONF_NODES_MAX; i++) {
		const struct peer *p = s->peers[i];

		b->streams[i] = 0;
		if (p == NULL || !p->up || !p->tx.active ||
		    (only_ready && !(sync_peer_ready(p) && bulk_whole(s, i))))
			continue;
		b->streams[i] = p->tx.stream;
		b->marks[i] = tx_mark(&p->tx);
		n++;
	}
	return n;
}

void
sync_barrier(struct sync *s, uint64_t now)
{
	struct barrier *b = &s->barrier;

	s->ops->drain(s->arg);
	s->now = now;
	flush_pending(s);
	b->on = true;
	b->until_us = now + BARRIER_US;
	if (mark(s, true) == 0)
		mark(s, false);
}

/* 1: confirmed, 0: not yet, -1: never. */
static int
barrier_peer(const struct sync *s, int i)
{
	const struct peer *p = s->peers[i];

	if (p == NULL || !bulk_whole(s, i) ||
	    p->tx.stream != s->barrier.streams[i])
		return -1;
	return p->tx.base >= s->barrier.marks[i];
}

static void
barrier_answer(struct sync *s, int node, bool ok, uint64_t unconfirmed)
{
	struct imsg_ct_barrier msg = {
	    .ok = ok, .unconfirmed = unconfirmed, .node = (uint32_t)node};

	s->barrier.on = false;
	s->ops->barrier_done(s->arg, &msg);
}

void
barrier_turn(struct sync *s)
{
	uint64_t unconfirmed = 0;
	int node = -1, worst = 1;

	if (!s->barrier.on)
		return;
	for (int i = 0; i < CONF_NODES_MAX; i++) {
		int r;

		if (s->barrier.streams[i] == 0)
			continue;
		r = barrier_peer(s, i);
		if (node == -1 || r < worst)
			node = i;
		if (r < worst)
			worst = r;
		if (s->peers[i] != NULL)
			unconfirmed += s->peers[i]->tx.unconfirmed;
	}
	if (node == -1)
		barrier_answer(s, s->conf->h.self, false, s->count.count);
	else if (worst == 1)
		barrier_answer(s, node, true, 0);
	else if (worst == -1 || s->now >= s->barrier.until_us)
		barrier_answer(s, node, false, unconfirmed);
}
