/*
 * One peer: whose boot it is, is it up, heartbeats, sections to the right
 * half. Pure: time and bytes in, datagrams and calls of peer_ops out.
 */
#include <stdlib.h>
#include <string.h>

#include "syncd.h"

#define HELLO_US 10000 /* strangers are answered no faster */

struct peer *
peer_new(const struct peer_ops *ops, void *arg, uint32_t node, const char *name,
    uint64_t slots, uint64_t now)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->ops = ops;
	p->arg = arg;
	p->node = node;
	strncpy(p->name, name, sizeof(p->name) - 1);
	p->made_us = now;
	p->tx.size = slots;
	p->tx.ring = calloc(slots, sizeof(*p->tx.ring));
	p->rx.win = calloc(RX_WINDOW, sizeof(*p->rx.win));
	if (p->tx.ring == NULL || p->rx.win == NULL ||
	    !slots_init(&p->tx.slots, slots) ||
	    !slots_init(&p->rx.slots, RX_WINDOW)) {
		peer_free(p);
		return NULL;
	}
	return p;
}

void
peer_free(struct peer *p)
{
	if (p == NULL)
		return;
	slots_free(&p->tx.slots);
	slots_free(&p->rx.slots);
	free(p->tx.ring);
	free(p->rx.win);
	free(p);
}

static uint8_t plain_out[WIRE_PLAIN_MAX];

struct wr
peer_begin(struct peer *p, uint64_t now)
{
	struct wr w = {plain_out, plain_out + sizeof(plain_out), false};

	wr_u64(&w, p->c.now.epoch);
	wr_u32(&w, (uint32_t)now);
	return w;
}

void
peer_end(struct peer *p, const struct wr *w)
{
	uint8_t out[WIRE_DGRAM_MAX];
	size_t n =
	    crypt_seal(&p->c, plain_out, (size_t)(w->p - plain_out), out);

	p->stats.sent++;
	p->ops->send(p, out, n);
}

void
peer_heartbeat(struct peer *p, uint64_t now)
{
	struct wire_hb hb = {.challenge = p->c.challenge,
	    .echo = p->hello_echo != 0 ? p->hello_echo : p->echo};
	struct wr w;
	bool asking = p->ho_req != 0 && now < p->ho_until;

	p->hello_echo = 0;
	p->ops->heartbeat(p, &hb);
	hb.interval_ms = (uint16_t)(HB_US / 1000);
	hb.stream = p->tx.stream;
	hb.ho_ack = p->ho_seen;
	if (p->tx.active)
		hb.flags |= HB_ACTIVE;
	if (asking) {
		hb.ho_req = p->ho_req;
		if (p->ho_operator)
			hb.flags |= HB_OPERATOR;
	}
	w = peer_begin(p, now);
	wire_put_hb(&w, &hb);
	peer_end(p, &w);
	p->hb_at = now + (asking ? HB_ASK_US : HB_US);
}

void
peer_ask_handover(struct peer *p, uint64_t now, bool by_operator)
{
	p->ho_req = (uint32_t)(crypt_random() | 1);
	p->ho_operator = by_operator;
	p->ho_until = now + HANDOVER_US;
	peer_heartbeat(p, now);
}

static void
set_up(struct peer *p, bool up)
{
	if (p->up == up)
		return;
	p->up = up;
	p->ops->updown(p);
}

static void
handover_part(struct peer *p, uint64_t now, const struct wire_hb *hb)
{
	if (p->ho_req != 0 && hb->ho_ack == p->ho_req)
		p->ho_req = 0;
	if (hb->ho_req == 0 || hb->ho_req == p->ho_seen)
		return;
	p->ho_seen = hb->ho_req;
	p->hb_at = now;
	p->ops->asked(p, (hb->flags & HB_OPERATOR) != 0);
}

/* The peer's stream numbers start anew, and so do ours towards it. */
static void
new_epoch(struct peer *p, uint64_t now)
{
	crypt_accept(&p->c);
	tx_stop(p);
	p->tx.stream = 0;
	rx_reset(&p->rx, 0);
	p->ho_seen = 0;
	set_up(p, false);
	p->seen_us = now;
	p->hb_at = now;
	p->ops->new_epoch(p);
}

struct input {
	uint64_t now;
	bool ours; /* the sender knows which boot of ours it talks to */
};

static void
in_heartbeat(struct peer *p, const struct input *in, struct rd *body)
{
	struct wire_hb hb;

	if (!wire_get_hb(body, &hb))
		return;
	if (p->echo != hb.challenge) {
		p->echo = hb.challenge;
		p->hb_at = in->now;
	}
	p->hb = hb;
	if (!in->ours)
		return;
	set_up(p, true);
	handover_part(p, in->now, &hb);
	/* awake already: the next one would be due soon */
	if (p->hb_at < in->now + HB_US / 2)
		p->hb_at = in->now;
	p->ops->heard(p, &hb);
}

static void
in_ack(struct peer *p, const struct input *in, struct rd *body)
{
	struct wire_ack a;

	if (in->ours && wire_get_ack(body, &a))
		tx_ack(p, in->now, &a);
}

static void
in_data(struct peer *p, const struct input *in, struct rd *body)
{
	if (in->ours)
		rx_data(p, in->now, body);
}

static void
in_probe(struct peer *p, const struct input *in, struct rd *body)
{
	(void)body;
	if (in->ours)
		p->rx.ack_at = in->now;
}

static const struct {
	enum wire_section type;
	void (*fn)(struct peer *, const struct input *, struct rd *);
} sections[] = {
    {SEC_HEARTBEAT, in_heartbeat},
    {SEC_ACK, in_ack},
    {SEC_DATA, in_data},
    {SEC_PROBE, in_probe},
};

/* false when the sections do not add up; unknown ones are skipped. */
static bool
each_section(struct peer *p, const struct input *in, struct rd *r)
{
	while (r->p < r->end) {
		uint8_t type = rd_u8(r);
		struct rd body = rd_sub(r, rd_u16(r));

		if (r->bad)
			return false;
		for (size_t i = 0; i < nitems(sections); i++)
			if (sections[i].type == type)
				sections[i].fn(p, in, &body);
	}
	return true;
}

/*
 * An epoch not known yet: its heartbeat may carry our challenge back, and
 * then it is the peer's now. Otherwise it gets ours to send back.
 */
static enum crypt_res
in_unproven(struct peer *p, uint64_t now, struct rd r)
{
	struct wire_hb hb;
	struct rd body;

	rd_u64(&r);
	rd_u32(&r);
	if (rd_u8(&r) != SEC_HEARTBEAT)
		return CRYPT_UNPROVEN;
	body = rd_sub(&r, rd_u16(&r));
	if (!wire_get_hb(&body, &hb))
		return CRYPT_BAD_FORMAT;
	if (hb.echo == p->c.challenge) {
		new_epoch(p, now);
		return CRYPT_OK;
	}
	if (now >= p->hello_at) {
		p->hello_at = now + HELLO_US;
		/* it may be a recording: what it says is not kept */
		p->hello_echo = hb.challenge;
		p->hb_at = now;
	}
	return CRYPT_UNPROVEN;
}

enum crypt_res
peer_input(struct peer *p, uint64_t now, const uint8_t *dgram, size_t len)
{
	uint8_t plain[WIRE_PLAIN_MAX];
	struct input in = {now, false};
	size_t plen;
	enum crypt_res res = crypt_open(&p->c, dgram, len, plain, &plen);
	struct rd r;

	if (res != CRYPT_OK && res != CRYPT_UNPROVEN)
		return res;
	r = (struct rd){plain, plain + plen, false};
	if (res == CRYPT_UNPROVEN)
		res = in_unproven(p, now, r);
	if (res != CRYPT_OK)
		return res;
	in.ours = rd_u64(&r) == p->c.epoch;
	p->rx.ts_echo = rd_u32(&r);
	p->rx.ts_at = now;
	p->seen_us = now;
	p->stats.received++;
	return !r.bad && each_section(p, &in, &r) ? CRYPT_OK : CRYPT_BAD_FORMAT;
}

static uint64_t
down_at(const struct peer *p)
{
	uint64_t us =
	    (uint64_t)p->hb.interval_ms * 1000 * HB_MISSED + HB_MIN_US / 2;

	/* a dump of a large, sparse table holds syncd up for a while */
	return p->seen_us + (us > HB_DOWN_US ? us : HB_DOWN_US);
}

void
peer_flush(struct peer *p, uint64_t now)
{
	if (p->rx.ack_at != 0 && p->rx.ack_at <= now)
		rx_send_ack(p, now);
	if (p->hb_at <= now)
		peer_heartbeat(p, now);
	if (p->tx.active)
		tx_pump(p, now);
}

void
peer_timer(struct peer *p, uint64_t now)
{
	if (p->up && now >= down_at(p))
		set_up(p, false);
	tx_timer(p, now);
	peer_flush(p, now);
}

uint64_t
peer_deadline(const struct peer *p)
{
	uint64_t at = p->hb_at;

	if (p->up && down_at(p) < at)
		at = down_at(p);
	if (p->rx.ack_at != 0 && p->rx.ack_at < at)
		at = p->rx.ack_at;
	return tx_deadline(p) < at ? tx_deadline(p) : at;
}
