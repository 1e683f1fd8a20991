/*
 * Datagrams as bytes: the header in the clear and the sections of the
 * plaintext. PROTOCOL.md has the layout.
 */
#include <sodium.h>
#include <string.h>

#include "syncd.h"

static const uint8_t magic[4] = {'h', 'a', 'g', 'w'};

static const uint8_t *
take(struct rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || (size_t)(r->end - r->p) < n) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	return p;
}

static uint64_t
take_be(struct rd *r, size_t n)
{
	const uint8_t *p = take(r, n);
	uint64_t v = 0;

	for (size_t i = 0; p != NULL && i < n; i++)
		v = v << 8 | p[i];
	return v;
}

uint8_t
rd_u8(struct rd *r)
{
	return (uint8_t)take_be(r, 1);
}

uint16_t
rd_u16(struct rd *r)
{
	return (uint16_t)take_be(r, 2);
}

uint32_t
rd_u32(struct rd *r)
{
	return (uint32_t)take_be(r, 4);
}

uint64_t
rd_u64(struct rd *r)
{
	return take_be(r, 8);
}

void
rd_bytes(struct rd *r, void *dst, size_t n)
{
	const uint8_t *p = take(r, n);

	if (p != NULL)
		memcpy(dst, p, n);
	else
		memset(dst, 0, n);
}

struct rd
rd_sub(struct rd *r, size_t n)
{
	const uint8_t *p = take(r, n);
	struct rd sub = {p, p == NULL ? NULL : p + n, p == NULL};

	return sub;
}

void
wr_bytes(struct wr *w, const void *src, size_t n)
{
	if (w->full || (size_t)(w->end - w->p) < n) {
		w->full = true;
		return;
	}
	memcpy(w->p, src, n);
	w->p += n;
}

static void
put_be(struct wr *w, uint64_t v, size_t n)
{
	uint8_t b[8];

	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
	wr_bytes(w, b, n);
}

void
wr_u8(struct wr *w, uint8_t v)
{
	put_be(w, v, 1);
}

void
wr_u16(struct wr *w, uint16_t v)
{
	put_be(w, v, 2);
}

void
wr_u32(struct wr *w, uint32_t v)
{
	put_be(w, v, 4);
}

void
wr_u64(struct wr *w, uint64_t v)
{
	put_be(w, v, 8);
}

void
wire_put_hdr(uint8_t *buf, const struct wire_hdr *h)
{
	struct wr w = {buf, buf + WIRE_HDR, false};

	wr_bytes(&w, magic, sizeof(magic));
	wr_u8(&w, h->version);
	wr_u8(&w, h->key_id);
	wr_u16(&w, 0);
	wr_u32(&w, h->site);
	wr_u32(&w, h->from);
	wr_u32(&w, h->to);
	wr_u64(&w, h->epoch);
	wr_u64(&w, h->number);
}

bool
wire_get_hdr(const uint8_t *buf, size_t len, struct wire_hdr *h)
{
	struct rd r = {buf, buf + len, false};
	uint8_t m[sizeof(magic)];
	uint16_t reserved;

	rd_bytes(&r, m, sizeof(m));
	h->version = rd_u8(&r);
	h->key_id = rd_u8(&r);
	reserved = rd_u16(&r);
	h->site = rd_u32(&r);
	h->from = rd_u32(&r);
	h->to = rd_u32(&r);
	h->epoch = rd_u64(&r);
	h->number = rd_u64(&r);
	return !r.bad && memcmp(m, magic, sizeof(m)) == 0 &&
	    (h->version != WIRE_VERSION || reserved == 0) &&
	    len >= WIRE_HDR + WIRE_TAG && len <= WIRE_DGRAM_MAX;
}

static uint8_t *
section_begin(struct wr *w, enum wire_section type)
{
	uint8_t *at = w->p;

	wr_u8(w, (uint8_t)type);
	wr_u16(w, 0);
	return at;
}

static void
section_end(const struct wr *w, uint8_t *at)
{
	size_t len = (size_t)(w->p - at) - WIRE_SECTION;

	if (w->full)
		return;
	at[1] = (uint8_t)(len >> 8);
	at[2] = (uint8_t)len;
}

void
wire_put_hb(struct wr *w, const struct wire_hb *h)
{
	uint8_t *at = section_begin(w, SEC_HEARTBEAT);

	wr_u64(w, h->challenge);
	wr_u64(w, h->echo);
	wr_u8(w, h->role);
	wr_u8(w, h->priority);
	wr_u16(w, h->flags);
	wr_u16(w, h->interval_ms);
	wr_u8(w, h->steps);
	wr_u64(w, h->flows);
	wr_u32(w, h->gen_done);
	wr_u32(w, h->gen_max);
	wr_u32(w, h->stream);
	wr_u32(w, h->ho_req);
	wr_u32(w, h->ho_ack);
	wr_bytes(w, h->hash, sizeof(h->hash));
	section_end(w, at);
}

/* What a later version may add at the end is not looked at. */
bool
wire_get_hb(struct rd *r, struct wire_hb *h)
{
	h->challenge = rd_u64(r);
	h->echo = rd_u64(r);
	h->role = rd_u8(r);
	h->priority = rd_u8(r);
	h->flags = rd_u16(r);
	h->interval_ms = rd_u16(r);
	h->steps = rd_u8(r);
	h->flows = rd_u64(r);
	h->gen_done = rd_u32(r);
	h->gen_max = rd_u32(r);
	h->stream = rd_u32(r);
	h->ho_req = rd_u32(r);
	h->ho_ack = rd_u32(r);
	rd_bytes(r, h->hash, sizeof(h->hash));
	return !r->bad && h->role < ROLE_MAX && h->challenge != 0 &&
	    h->interval_ms >= HB_MIN_US / 1000 &&
	    h->interval_ms <= HB_MAX_US / 1000;
}

void
wire_put_ack(struct wr *w, const struct wire_ack *a)
{
	uint8_t *at = section_begin(w, SEC_ACK);

	wr_u32(w, a->stream);
	wr_u64(w, a->cum);
	wr_u64(w, a->applied);
	wr_u32(w, a->ts_echo);
	wr_u32(w, a->ts_hold_us);
	wr_u8(w, a->nsack);
	wr_bytes(w, a->sack, a->nsack);
	section_end(w, at);
}

bool
wire_get_ack(struct rd *r, struct wire_ack *a)
{
	a->stream = rd_u32(r);
	a->cum = rd_u64(r);
	a->applied = rd_u64(r);
	a->ts_echo = rd_u32(r);
	a->ts_hold_us = rd_u32(r);
	a->nsack = rd_u8(r);
	if (r->bad || a->nsack > WIRE_SACK_MAX)
		return false;
	rd_bytes(r, a->sack, a->nsack);
	return !r->bad && a->applied <= a->cum;
}

uint32_t
wire_id(const char *what, const char *name)
{
	crypto_generichash_state st;
	uint8_t h[crypto_generichash_BYTES];
	struct rd r = {h, h + sizeof(h), false};

	crypto_generichash_init(&st, NULL, 0, sizeof(h));
	crypto_generichash_update(&st, (const uint8_t *)what, strlen(what));
	crypto_generichash_update(&st, (const uint8_t *)":", 1);
	crypto_generichash_update(&st, (const uint8_t *)name, strlen(name));
	crypto_generichash_final(&st, h, sizeof(h));
	return rd_u32(&r);
}
