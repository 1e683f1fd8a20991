/*
 * The receiving half of a peer: datagrams are put in order inside a fixed
 * window, handed out as the kernel takes them, and acknowledged twice: as
 * received, and as applied.
 */
#include <string.h>

#include "syncd.h"

static bool
present(const struct rx *r, uint64_t seq)
{
	return (r->present[seq / 64 % (RX_WINDOW / 64)] >> seq % 64 & 1) != 0;
}

static void
set_present(struct rx *r, uint64_t seq, bool on)
{
	uint64_t *w = &r->present[seq / 64 % (RX_WINDOW / 64)];

	if (on)
		*w |= 1ULL << seq % 64;
	else
		*w &= ~(1ULL << seq % 64);
}

void
rx_reset(struct rx *r, uint32_t stream)
{
	r->stream = stream;
	r->applied = r->deliver = r->cum = r->top = r->acked = 0;
	r->ack_at = 0;
	memset(r->present, 0, sizeof(r->present));
	slots_reset(&r->slots);
}

static void
ack_by(struct rx *r, uint64_t at)
{
	if (r->ack_at == 0 || at < r->ack_at)
		r->ack_at = at;
}

static void
store(struct rx *r, uint64_t seq, const struct rd *body)
{
	struct rx_slot *s = &r->win[slots_take(&r->slots, seq)];

	s->len = (uint16_t)(body->end - body->p);
	memcpy(s->body, body->p, s->len);
	set_present(r, seq, true);
	if (seq >= r->top)
		r->top = seq + 1;
	while (r->cum < r->top && present(r, r->cum))
		r->cum++;
}

void
rx_data(struct peer *p, uint64_t now, struct rd *body)
{
	struct rx *r = &p->rx;
	uint32_t stream = rd_u32(body);
	uint64_t seq = rd_u64(body);
	bool in_order;

	if (body->bad || stream < r->stream || stream == 0 ||
	    (size_t)(body->end - body->p) > WIRE_BODY_MAX)
		return;
	if (stream > r->stream) {
		rx_reset(r, stream);
		p->ops->new_stream(p);
	}
	in_order = seq == r->cum;
	if (seq < r->cum || seq >= r->applied + RX_WINDOW || present(r, seq)) {
		ack_by(r, now);
		return;
	}
	store(r, seq, body);
	/* the sender can repeat a lost one only when it knows at once */
	ack_by(r, in_order && r->top == r->cum ? now + ACK_WAIT_US : now);
}

bool
rx_next(struct rx *r, struct rd *body, uint64_t *seq)
{
	const struct rx_slot *s;

	if (r->deliver >= r->cum)
		return false;
	s = &r->win[slots_at(&r->slots, r->deliver)];
	body->p = s->body;
	body->end = s->body + s->len;
	body->bad = false;
	*seq = r->deliver++;
	return true;
}

void
rx_applied(struct peer *p, uint64_t now, uint32_t stream, uint64_t upto)
{
	struct rx *r = &p->rx;

	if (stream != r->stream || upto <= r->applied || upto > r->deliver)
		return;
	for (; r->applied < upto; r->applied++) {
		set_present(r, r->applied, false);
		slots_give(&r->slots, r->applied);
	}
	if (r->applied - r->acked >= ACK_EVERY ||
	    now - r->acked_us >= ACK_PAUSE_US)
		ack_by(r, now);
	else /* or in a turn before, which is then no turn of its own */
		ack_by(r, r->acked_us + ACK_WAIT_US);
}

static void
fill_sack(const struct rx *r, struct wire_ack *a)
{
	memset(a->sack, 0, sizeof(a->sack));
	a->nsack = 0;
	for (uint64_t seq = r->cum + 1; seq < r->top; seq++) {
		uint64_t i = seq - r->cum - 1;

		if (i >= WIRE_SACK_MAX * 8)
			break;
		if (!present(r, seq))
			continue;
		a->sack[i / 8] |= (uint8_t)(1u << i % 8);
		a->nsack = (uint8_t)(i / 8 + 1);
	}
}

void
rx_send_ack(struct peer *p, uint64_t now)
{
	struct rx *r = &p->rx;
	struct wire_ack a = {
	    .stream = r->stream,
	    .cum = r->cum,
	    .applied = r->applied,
	    .ts_echo = r->ts_echo,
	    .ts_hold_us = (uint32_t)(now - r->ts_at),
	};
	struct wr w = peer_begin(p, now);

	fill_sack(r, &a);
	wire_put_ack(&w, &a);
	peer_end(p, &w);
	r->ack_at = 0;
	r->acked = r->applied;
	r->acked_us = now;
}
