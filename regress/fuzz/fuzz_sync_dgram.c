/*
 * Datagrams of a peer, as received: bytes from the wire, which must never
 * be taken for genuine, and plaintexts sealed with the right key, which
 * reach the parser behind the encryption.
 */
#include <string.h>

#include "fuzz.h"
#include "syncd/syncd.h"

enum mode {
	M_RAW, /* as from the wire */
	M_SEALED, /* a plaintext of the peer */
	M_SECTIONS, /* the same behind the right first bytes */
	M_FLIPPED, /* sealed, then one bit changed */
	M_AGAIN, /* the last sealed one once more */
	M_HELLO, /* a heartbeat that proves its boot */
	M_BOOT, /* the peer starts anew */
	M_TIME,
	M_MODES
};

static const uint8_t key[HAGW_SYNC_KEYLEN] = {7, 7, 7};
static struct peer *peer;
static struct crypt sender;
static uint64_t now;
static struct {
	uint8_t buf[WIRE_DGRAM_MAX];
	size_t len;
	bool taken; /* once; the next time it is a repeat */
} last;

static void
op_send(struct peer *p, const uint8_t *dgram, size_t len)
{
	struct wire_hdr h;

	(void)p;
	CHECK(len <= WIRE_DGRAM_MAX && wire_get_hdr(dgram, len, &h));
}

static void
op_heartbeat(struct peer *p, struct wire_hb *hb)
{
	(void)p;
	hb->role = ROLE_BACKUP;
}

static void
op_heard(struct peer *p, const struct wire_hb *hb)
{
	(void)p;
	CHECK(hb->role < ROLE_MAX && hb->challenge != 0);
}

static void
op_none(struct peer *p)
{
	(void)p;
}

static void
op_asked(struct peer *p, bool by_operator)
{
	(void)p;
	(void)by_operator;
}

static const struct peer_ops ops = {
    op_send, op_heartbeat, op_heard, op_none, op_none, op_none, op_asked};

static void
boot(uint64_t epoch)
{
	crypt_init(&sender, key, "test", "b", "a", epoch);
}

/* The rings are kept: making them anew takes longer than all the rest. */
static void
setup(void)
{
	struct tx tx;
	struct rx rx;

	fuzz_random_reset();
	now = 1000000;
	if (peer == NULL)
		peer = peer_new(&ops, NULL, 1, "b", TX_MIN, now);
	CHECK(peer != NULL);
	tx = peer->tx;
	rx = peer->rx;
	memset(peer, 0, sizeof(*peer));
	peer->ops = &ops;
	peer->node = 1;
	peer->made_us = now;
	peer->tx.size = TX_MIN;
	peer->tx.ring = tx.ring;
	peer->tx.slots = tx.slots;
	slots_reset(&peer->tx.slots);
	peer->rx.win = rx.win;
	peer->rx.slots = rx.slots;
	slots_reset(&peer->rx.slots);
	crypt_init(&peer->c, key, "test", "a", "b", 1);
	boot(2);
	last.len = 0;
}

static void
invariants(void)
{
	const struct rx *r = &peer->rx;
	const struct tx *t = &peer->tx;

	CHECK(r->applied <= r->deliver && r->deliver <= r->cum &&
	    r->cum <= r->top && r->top <= r->applied + RX_WINDOW);
	CHECK(t->base <= t->cum && t->cum <= t->next && t->next <= t->head &&
	    t->head - t->base < t->size);
	CHECK(!peer->up || peer->c.now.epoch != 0);
}

/* What is read of a section is the same when written and read again. */
static void
check_section(uint8_t type, struct rd body)
{
	uint8_t buf[WIRE_PLAIN_MAX];
	struct wr w = {buf, buf + sizeof(buf), false};
	struct wire_hb hb = {0}, hb2 = {0};
	struct wire_ack a = {0}, a2 = {0};
	struct rd r;

	if (type == SEC_HEARTBEAT && wire_get_hb(&body, &hb))
		wire_put_hb(&w, &hb);
	else if (type == SEC_ACK && wire_get_ack(&body, &a))
		wire_put_ack(&w, &a);
	else
		return;
	r = (struct rd){buf, w.p, false};
	CHECK(!w.full && rd_u8(&r) == type);
	CHECK(rd_u16(&r) == r.end - r.p);
	if (type == SEC_HEARTBEAT)
		CHECK(wire_get_hb(&r, &hb2) &&
		    memcmp(&hb, &hb2, sizeof(hb)) == 0);
	else
		CHECK(wire_get_ack(&r, &a2) && memcmp(&a, &a2, sizeof(a)) == 0);
	CHECK(r.p == r.end);
}

static void
check_sections(const uint8_t *plain, size_t len)
{
	struct rd r = {plain, plain + len, false};

	rd_u64(&r);
	rd_u32(&r);
	while (!r.bad && r.p < r.end) {
		uint8_t type = rd_u8(&r);
		struct rd body = rd_sub(&r, rd_u16(&r));

		if (!r.bad)
			check_section(type, body);
	}
}

static enum crypt_res
input(const uint8_t *dgram, size_t len)
{
	uint8_t *copy = fenced(dgram, len);
	enum crypt_res res = peer_input(peer, now, copy, len);

	free(copy);
	return res;
}

static void
in_sealed(const uint8_t *plain, size_t len)
{
	bool proven = peer->c.now.epoch == sender.epoch;
	uint8_t *copy;
	enum crypt_res res;

	if (len > WIRE_PLAIN_MAX)
		len = WIRE_PLAIN_MAX;
	copy = fenced(plain, len);
	last.len = crypt_seal(&sender, copy, len, last.buf);
	check_sections(copy, len);
	free(copy);
	res = input(last.buf, last.len);
	CHECK(res == CRYPT_OK || res == CRYPT_BAD_FORMAT ||
	    (res == CRYPT_UNPROVEN && !proven));
	last.taken = proven;
}

static void
in_sections(const uint8_t *body, size_t len)
{
	uint8_t plain[WIRE_PLAIN_MAX];
	struct wr w = {plain, plain + sizeof(plain), false};

	wr_u64(&w, peer->c.epoch);
	wr_u32(&w, (uint32_t)now);
	if (len > (size_t)(w.end - w.p))
		len = (size_t)(w.end - w.p);
	wr_bytes(&w, body, len);
	in_sealed(plain, (size_t)(w.p - plain));
}

static void
in_flipped(const uint8_t *plain, size_t len)
{
	uint8_t dgram[WIRE_DGRAM_MAX];
	size_t n, bit;

	if (len < 2 || len - 2 > WIRE_PLAIN_MAX)
		return;
	bit = (size_t)plain[0] << 8 | plain[1];
	n = crypt_seal(&sender, plain + 2, len - 2, dgram);
	dgram[bit / 8 % n] ^= (uint8_t)(1u << bit % 8);
	CHECK(input(dgram, n) > CRYPT_UNPROVEN);
}

static void
in_again(void)
{
	enum crypt_res res;

	if (last.len == 0)
		return;
	res = input(last.buf, last.len);
	if (last.taken && sender.epoch == peer->c.now.epoch)
		CHECK(res == CRYPT_REPLAY);
}

static void
in_hello(void)
{
	struct wire_hb hb = {.challenge = 5,
	    .echo = peer->c.challenge,
	    .interval_ms = 1000,
	    .role = ROLE_MASTER};
	uint8_t buf[256];
	struct wr w = {buf, buf + sizeof(buf), false};

	wire_put_hb(&w, &hb);
	in_sections(buf, (size_t)(w.p - buf));
	CHECK(peer->c.now.epoch == sender.epoch && peer->up);
}

static void
step(struct in *in)
{
	uint8_t mode = in_u8(in) % M_MODES;
	size_t len = in_u16(in), got;
	const uint8_t *p = in_bytes(in, len, &got);

	switch ((enum mode)mode) {
	case M_RAW:
		CHECK(input(p, got) > CRYPT_UNPROVEN);
		break;
	case M_SEALED:
		in_sealed(p, got);
		break;
	case M_SECTIONS:
		in_sections(p, got);
		break;
	case M_FLIPPED:
		in_flipped(p, got);
		break;
	case M_AGAIN:
		in_again();
		break;
	case M_HELLO:
		in_hello();
		break;
	case M_BOOT:
		boot(sender.epoch + 1);
		last.len = 0;
		break;
	case M_TIME:
		now += len * 100;
		peer_timer(peer, now);
		/* all that was due is done */
		CHECK(peer_deadline(peer) > now);
		break;
	case M_MODES:
		break;
	}
	invariants();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct in in = {data, len};

	setup();
	while (in.left > 0)
		step(&in);
	return 0;
}
