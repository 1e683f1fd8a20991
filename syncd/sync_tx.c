/*
 * The sending half of a peer: records fill a ring of datagrams, which are
 * sent as the windows allow, repeated until received, and kept until the
 * peer's kernel has them. When the ring is full the peer is behind: the
 * stream is given up and a bulk will start another.
 */
#include <string.h>

#include "syncd.h"

#define RESEND_MAX   32 /* datagrams repeated at once */
#define BACKOFF_MAX  5
#define RTT_FIRST_US 50000

struct tx_slot *
tx_slot(const struct tx *t, uint64_t seq)
{
	return &t->ring[slots_at(&t->slots, seq)];
}

static void
slot_open(struct tx *t, uint64_t seq)
{
	struct tx_slot *s = &t->ring[slots_take(&t->slots, seq)];

	s->len = 0;
	s->nrec = 0;
	s->acked = false;
	s->sent_us = 0;
}

static void
tx_empty(struct tx *t)
{
	t->base = t->cum = t->next = t->head = 0;
	t->unconfirmed = 0;
	t->backoff = 0;
	t->news_us = 0;
	t->last.op = 0;
	slots_reset(&t->slots);
	slot_open(t, 0);
}

void
tx_start(struct peer *p)
{
	p->stats.lost += p->tx.unconfirmed;
	tx_empty(&p->tx);
	p->tx.stream++;
	p->tx.active = true;
	p->tx.cwnd = CWND_FIRST;
}

void
tx_stop(struct peer *p)
{
	p->stats.lost += p->tx.unconfirmed;
	tx_empty(&p->tx);
	p->tx.active = false;
}

static bool
tx_full(const struct tx *t)
{
	return t->head - t->base >= t->size - 1;
}

static bool
tx_close(struct tx *t)
{
	if (tx_full(t))
		return false;
	t->head++;
	t->last.op = 0;
	slot_open(t, t->head);
	return true;
}

bool
tx_append(struct peer *p, uint64_t now, const uint8_t *item, size_t len,
    unsigned int nrec)
{
	struct tx *t = &p->tx;
	struct tx_slot *s = tx_slot(t, t->head);

	if (s->len + len > WIRE_BODY_MAX) {
		if (!tx_close(t)) {
			p->stats.behind++;
			tx_stop(p);
			return false;
		}
		s = tx_slot(t, t->head);
	}
	if (s->len == 0)
		s->made_us = now;
	memcpy(s->body + s->len, item, len);
	s->len += (uint16_t)len;
	s->nrec += (uint16_t)nrec;
	t->unconfirmed += nrec;
	p->stats.records_out += nrec;
	return true;
}

/* Where it does not fit, the next datagram begins with it: in full. */
bool
tx_record(
    struct peer *p, uint64_t now, enum item_kind kind, const struct ct_rec *rec)
{
	struct tx *t = &p->tx;
	uint8_t buf[ITEM_MAX];
	size_t n = record_encode(buf, kind, rec, &t->last);

	if (tx_slot(t, t->head)->len + n > WIRE_BODY_MAX)
		n = record_encode(buf, kind, rec, NULL);
	if (!tx_append(p, now, buf, n, 1))
		return false;
	t->last = *rec;
	return true;
}

static void
send_slot(struct peer *p, uint64_t now, uint64_t seq)
{
	struct tx_slot *s = tx_slot(&p->tx, seq);
	struct wr w = peer_begin(p, now);

	wr_u8(&w, SEC_DATA);
	wr_u16(&w, (uint16_t)(WIRE_DATA_HEAD + s->len));
	wr_u32(&w, p->tx.stream);
	wr_u64(&w, seq);
	wr_bytes(&w, s->body, s->len);
	s->sent_us = now;
	peer_end(p, &w);
}

void
tx_pump(struct peer *p, uint64_t now)
{
	struct tx *t = &p->tx;

	for (;;) {
		if (t->next - t->cum >= t->cwnd ||
		    t->next - t->base >= RX_WINDOW)
			return;
		/* the open one leaves only when nothing waits before it */
		if (t->next == t->head &&
		    (tx_slot(t, t->head)->len == 0 || !tx_close(t)))
			return;
		if (t->next == t->base)
			t->news_us = now;
		send_slot(p, now, t->next++);
	}
}

static uint64_t
rtt_of(const struct tx *t)
{
	return t->srtt_us == 0 ? RTT_FIRST_US
			       : t->srtt_us + 4 * t->rttvar_us + 1000;
}

static uint64_t
rto(const struct tx *t)
{
	uint64_t v = rtt_of(t);

	if (v < RTO_MIN_US)
		v = RTO_MIN_US;
	v <<= t->backoff;
	return v > RTO_MAX_US ? RTO_MAX_US : v;
}

static void
measure(struct tx *t, uint64_t now, const struct wire_ack *a)
{
	uint32_t rtt = (uint32_t)now - a->ts_echo - a->ts_hold_us;
	uint64_t diff;

	if (a->ts_echo == 0 || rtt > 10 * RTO_MAX_US)
		return;
	if (t->srtt_us == 0) {
		t->srtt_us = rtt + 1;
		t->rttvar_us = rtt / 2;
		return;
	}
	diff = t->srtt_us > rtt ? t->srtt_us - rtt : rtt - t->srtt_us;
	t->rttvar_us = (3 * t->rttvar_us + diff) / 4;
	t->srtt_us = (7 * t->srtt_us + rtt) / 8 + 1;
}

static void
loss(struct tx *t, uint64_t now)
{
	if (now - t->loss_us < rtt_of(t))
		return;
	t->loss_us = now;
	t->cwnd = t->cwnd / 2 < CWND_MIN ? CWND_MIN : t->cwnd / 2;
}

/* Repeat what is missing among those before `to` and older than age. */
static void
resend(struct peer *p, uint64_t now, uint64_t to, uint64_t age)
{
	struct tx *t = &p->tx;
	unsigned int n = 0;

	for (uint64_t seq = t->cum; seq < to && n < RESEND_MAX; seq++) {
		struct tx_slot *s = tx_slot(t, seq);

		if (s->acked || now - s->sent_us < age)
			continue;
		send_slot(p, now, seq);
		p->stats.resent++;
		n++;
	}
	if (n > 0)
		loss(t, now);
}

static void
free_applied(struct tx *t, uint64_t applied)
{
	for (; t->base < applied; t->base++) {
		t->unconfirmed -= tx_slot(t, t->base)->nrec;
		slots_give(&t->slots, t->base);
	}
}

/* Returns one past the highest datagram received. */
static uint64_t
take_sack(struct tx *t, const struct wire_ack *a)
{
	uint64_t top = a->cum;

	for (uint64_t i = 0; i < a->nsack * 8u; i++) {
		uint64_t seq = a->cum + 1 + i;

		/*
		 * One that was overtaken by a later acknowledgement speaks of
		 * slots that hold other datagrams by now.
		 */
		if ((a->sack[i / 8] >> i % 8 & 1) == 0 || seq < t->cum ||
		    seq >= t->next)
			continue;
		tx_slot(t, seq)->acked = true;
		top = seq + 1;
	}
	return top;
}

void
tx_ack(struct peer *p, uint64_t now, const struct wire_ack *a)
{
	struct tx *t = &p->tx;
	uint64_t top;

	if (!t->active || a->stream != t->stream || a->cum > t->next ||
	    a->applied > a->cum)
		return;
	if (!p->late)
		measure(t, now, a);
	if (a->cum > t->cum || a->applied > t->base) {
		t->news_us = now;
		t->backoff = 0;
	}
	if (a->cum > t->cum) {
		t->cwnd += (uint32_t)(a->cum - t->cum);
		if (t->cwnd > RX_WINDOW)
			t->cwnd = RX_WINDOW;
		t->cum = a->cum;
	}
	top = take_sack(t, a);
	if (a->applied > t->base)
		free_applied(t, a->applied);
	if (top > t->cum)
		resend(p, now, top, rtt_of(t));
}

/* What was sent last and not answered; 0: nothing is under way. */
static uint64_t
waiting_since(const struct tx *t)
{
	if (t->cum < t->next) {
		uint64_t sent = tx_slot(t, t->cum)->sent_us;

		return sent > t->news_us ? sent : t->news_us;
	}
	return t->base < t->next ? t->news_us : 0;
}

uint64_t
tx_deadline(const struct peer *p)
{
	uint64_t since = waiting_since(&p->tx);

	if (!p->tx.active || since == 0)
		return UINT64_MAX;
	return since + rto(&p->tx);
}

void
tx_timer(struct peer *p, uint64_t now)
{
	struct tx *t = &p->tx;
	struct wr w;

	if (tx_deadline(p) > now)
		return;
	if (t->cum < t->next) {
		/* a peer that is down is only knocked at */
		resend(p, now, p->up ? t->next : t->cum + 1, rto(t) / 2);
	} else {
		/* all received, not all applied: an answer may be lost */
		w = peer_begin(p, now);
		wr_u8(&w, SEC_PROBE);
		wr_u16(&w, 0);
		peer_end(p, &w);
	}
	t->news_us = now;
	if (t->backoff < BACKOFF_MAX)
		t->backoff++;
}

bool
tx_held(const struct tx *t)
{
	return t->active && (t->next < t->head || tx_slot(t, t->head)->len > 0);
}

uint64_t
tx_lag_us(const struct tx *t, uint64_t now)
{
	if (!t->active || t->unconfirmed == 0)
		return 0;
	return now - tx_slot(t, t->base)->made_us;
}

uint64_t
tx_mark(const struct tx *t)
{
	return t->head + (tx_slot(t, t->head)->len > 0);
}
