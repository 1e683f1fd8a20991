/*
 * Records as items of a DATA section: a length, what it is, a bitmap of what
 * follows. The reply tuple is written as its difference from the mirrored
 * original, so that NAT costs only what it changed; what is as in the record
 * before, of the same datagram, is only said to be so. Fields that a later
 * version adds stand behind those known here and are skipped.
 */
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/socket.h>

#include "syncd.h"

/* The bitmap; fields follow in this order. */
#define F_REPLY_SRC   0x0001
#define F_REPLY_DST   0x0002
#define F_REPLY_SPORT 0x0004
#define F_REPLY_DPORT 0x0008
#define F_STATUS      0x0010 /* 16 bits: IPS_* below IPS_OFFLOAD's end */
#define F_TIMEOUT     0x0020
#define F_MARK        0x0040
#define F_MARK_ZERO   0x0080 /* no bytes */
#define F_TCP         0x0100
#define F_TCP_WIN     0x0200
#define F_ZONE        0x0400
#define F_SAME_SRC    0x0800 /* as in the record before; no bytes */
#define F_SAME_DST    0x1000 /* with its port */
#define F_SAME_REPLY  0x2000 /* the reply's destination */
#define F_SAME_FACTS  0x4000 /* F_FACTS */
#define F_KNOWN       0x7fff
#define F_SAME        (F_SAME_SRC | F_SAME_DST | F_SAME_REPLY | F_SAME_FACTS)
#define F_FACTS \
	(F_STATUS | F_TIMEOUT | F_MARK | F_MARK_ZERO | F_TCP | F_TCP_WIN)
#define CTF_FACTS  (CTF_STATUS | CTF_TIMEOUT | CTF_MARK | CTF_TCP | CTF_TCP_WIN)

#define OP_MASK    0x07
#define OP_V6      0x08
#define KIND_SHIFT 4

/* Requests and their answers; everything else mirrors to itself. */
static const uint8_t icmp_pairs[][2] = {
    {ICMP_ECHO, ICMP_ECHOREPLY},
    {ICMP_TIMESTAMP, ICMP_TIMESTAMPREPLY},
    {ICMP_INFO_REQUEST, ICMP_INFO_REPLY},
    {ICMP_ADDRESS, ICMP_ADDRESSREPLY},
};
static const uint8_t icmp6_pairs[][2] = {
    {ICMP6_ECHO_REQUEST, ICMP6_ECHO_REPLY},
    {139, 140}, /* node information, RFC 4620 */
};

static uint8_t
other_type(const uint8_t pairs[][2], size_t n, uint8_t type)
{
	for (size_t i = 0; i < n; i++) {
		if (pairs[i][0] == type)
			return pairs[i][1];
		if (pairs[i][1] == type)
			return pairs[i][0];
	}
	return type;
}

static uint16_t
mirror_icmp(uint8_t proto, uint16_t be)
{
	uint16_t v = ntohs(be);
	uint8_t type = (uint8_t)(v >> 8);

	type = proto == IPPROTO_ICMP
	    ? other_type(icmp_pairs, nitems(icmp_pairs), type)
	    : other_type(icmp6_pairs, nitems(icmp6_pairs), type);
	return htons((uint16_t)(type << 8 | (v & 0xff)));
}

void
record_mirror(const struct ct_rec *rec, struct ct_tuple *t)
{
	t->src = rec->orig.dst;
	t->dst = rec->orig.src;
	if (rec->proto == IPPROTO_ICMP || rec->proto == IPPROTO_ICMPV6) {
		t->sport = rec->orig.sport;
		t->dport = mirror_icmp(rec->proto, rec->orig.dport);
	} else {
		t->sport = rec->orig.dport;
		t->dport = rec->orig.sport;
	}
}

static size_t
addr_len(uint8_t family)
{
	return family == AF_INET6 ? 16 : 4;
}

static uint16_t
bitmap_of(const struct ct_rec *r, const struct ct_tuple *m)
{
	uint16_t bits = 0;

	if (!addr_same(&r->reply.src, &m->src))
		bits |= F_REPLY_SRC;
	if (!addr_same(&r->reply.dst, &m->dst))
		bits |= F_REPLY_DST;
	if (r->reply.sport != m->sport)
		bits |= F_REPLY_SPORT;
	if (r->reply.dport != m->dport)
		bits |= F_REPLY_DPORT;
	if (r->fields & CTF_STATUS)
		bits |= F_STATUS;
	if (r->fields & CTF_TIMEOUT)
		bits |= F_TIMEOUT;
	if (r->fields & CTF_MARK)
		bits |= r->mark == 0 ? F_MARK_ZERO : F_MARK;
	if (r->fields & CTF_TCP)
		bits |= F_TCP;
	if (r->fields & CTF_TCP_WIN)
		bits |= F_TCP_WIN;
	if (r->zone != 0)
		bits |= F_ZONE;
	return bits;
}

static bool
same_facts(const struct ct_rec *a, const struct ct_rec *b)
{
	unsigned int f = a->fields & CTF_FACTS;

	return f != 0 && f == (b->fields & CTF_FACTS) &&
	    (!(f & CTF_STATUS) || (uint16_t)a->status == (uint16_t)b->status) &&
	    (!(f & CTF_TIMEOUT) || a->timeout_s == b->timeout_s) &&
	    (!(f & CTF_MARK) || a->mark == b->mark) &&
	    (!(f & CTF_TCP) || a->tcp_state == b->tcp_state) &&
	    (!(f & CTF_TCP_WIN) ||
		(a->wscale_orig == b->wscale_orig &&
		    a->wscale_reply == b->wscale_reply &&
		    a->tcp_flags_orig == b->tcp_flags_orig &&
		    a->tcp_flags_reply == b->tcp_flags_reply));
}

/* The bitmap again, with what need not be written after b. */
static uint16_t
shorten(uint16_t bits, const struct ct_rec *r, const struct ct_rec *b)
{
	unsigned int v = bits;

	if (b == NULL || b->op == 0 || b->family != r->family)
		return bits;
	if (addr_same(&r->orig.src, &b->orig.src))
		v |= F_SAME_SRC;
	if (r->orig.dport == b->orig.dport &&
	    addr_same(&r->orig.dst, &b->orig.dst))
		v |= F_SAME_DST;
	if ((v & F_REPLY_DST) && addr_same(&r->reply.dst, &b->reply.dst))
		v = (v & ~(unsigned int)F_REPLY_DST) | F_SAME_REPLY;
	if (same_facts(r, b))
		v = (v & ~(unsigned int)F_FACTS) | F_SAME_FACTS;
	return (uint16_t)v;
}

static void
put_tuples(struct wr *w, const struct ct_rec *r, uint16_t bits)
{
	size_t alen = addr_len(r->family);

	if (!(bits & F_SAME_SRC))
		wr_bytes(w, &r->orig.src, alen);
	if (!(bits & F_SAME_DST))
		wr_bytes(w, &r->orig.dst, alen);
	wr_bytes(w, &r->orig.sport, 2);
	if (!(bits & F_SAME_DST))
		wr_bytes(w, &r->orig.dport, 2);
	if (bits & F_REPLY_SRC)
		wr_bytes(w, &r->reply.src, alen);
	if (bits & F_REPLY_DST)
		wr_bytes(w, &r->reply.dst, alen);
	if (bits & F_REPLY_SPORT)
		wr_bytes(w, &r->reply.sport, 2);
	if (bits & F_REPLY_DPORT)
		wr_bytes(w, &r->reply.dport, 2);
}

static void
put_facts(struct wr *w, const struct ct_rec *r, uint16_t bits)
{
	if (bits & F_STATUS)
		wr_u16(w, (uint16_t)r->status);
	if (bits & F_TIMEOUT)
		wr_u32(w, r->timeout_s);
	if (bits & F_MARK)
		wr_u32(w, r->mark);
	if (bits & F_TCP)
		wr_u8(w, r->tcp_state);
	if (bits & F_TCP_WIN) {
		wr_u8(w,
		    (uint8_t)((r->wscale_orig & 0xf) << 4 |
			(r->wscale_reply & 0xf)));
		wr_u8(w, r->tcp_flags_orig);
		wr_u8(w, r->tcp_flags_reply);
	}
	if (bits & F_ZONE)
		wr_u16(w, r->zone);
}

size_t
record_encode(uint8_t *buf, enum item_kind kind, const struct ct_rec *r,
    const struct ct_rec *before)
{
	struct wr w = {buf + 1, buf + ITEM_MAX, false};
	struct ct_tuple mirror;
	uint16_t bits;

	record_mirror(r, &mirror);
	bits = shorten(bitmap_of(r, &mirror), r, before);
	wr_u8(&w,
	    (uint8_t)(kind << KIND_SHIFT | r->op |
		(r->family == AF_INET6 ? OP_V6 : 0)));
	wr_u16(&w, bits);
	wr_u8(&w, r->proto);
	put_tuples(&w, r, bits);
	put_facts(&w, r, bits);
	buf[0] = (uint8_t)(w.p - buf - 1);
	return (size_t)(w.p - buf);
}

size_t
begin_encode(uint8_t *buf, uint32_t generation, uint8_t flags)
{
	struct wr w = {buf + 1, buf + ITEM_MAX, false};

	wr_u8(&w, ITEM_BEGIN << KIND_SHIFT);
	wr_u32(&w, generation);
	wr_u8(&w, flags);
	buf[0] = (uint8_t)(w.p - buf - 1);
	return (size_t)(w.p - buf);
}

size_t
end_encode(uint8_t *buf, uint32_t generation, uint32_t count)
{
	struct wr w = {buf + 1, buf + ITEM_MAX, false};

	wr_u8(&w, ITEM_END << KIND_SHIFT);
	wr_u32(&w, generation);
	wr_u32(&w, count);
	buf[0] = (uint8_t)(w.p - buf - 1);
	return (size_t)(w.p - buf);
}

static void
get_orig(
    struct rd *b, struct ct_rec *r, uint16_t bits, const struct ct_rec *before)
{
	size_t alen = addr_len(r->family);

	if (bits & F_SAME_SRC)
		r->orig.src = before->orig.src;
	else
		rd_bytes(b, &r->orig.src, alen);
	if (bits & F_SAME_DST)
		r->orig.dst = before->orig.dst;
	else
		rd_bytes(b, &r->orig.dst, alen);
	rd_bytes(b, &r->orig.sport, 2);
	if (bits & F_SAME_DST)
		r->orig.dport = before->orig.dport;
	else
		rd_bytes(b, &r->orig.dport, 2);
}

static void
get_reply(
    struct rd *b, struct ct_rec *r, uint16_t bits, const struct ct_rec *before)
{
	size_t alen = addr_len(r->family);

	record_mirror(r, &r->reply);
	if (bits & F_REPLY_SRC)
		rd_bytes(b, &r->reply.src, alen);
	if (bits & F_SAME_REPLY)
		r->reply.dst = before->reply.dst;
	if (bits & F_REPLY_DST)
		rd_bytes(b, &r->reply.dst, alen);
	if (bits & F_REPLY_SPORT)
		rd_bytes(b, &r->reply.sport, 2);
	if (bits & F_REPLY_DPORT)
		rd_bytes(b, &r->reply.dport, 2);
}

static void
get_tcp_win(struct rd *b, struct ct_rec *r)
{
	uint8_t scales = rd_u8(b);

	r->fields |= CTF_TCP_WIN;
	r->wscale_orig = scales >> 4;
	r->wscale_reply = scales & 0xf;
	r->tcp_flags_orig = rd_u8(b);
	r->tcp_flags_reply = rd_u8(b);
}

static void
get_facts(struct rd *b, struct ct_rec *r, uint16_t bits)
{
	if (bits & F_STATUS) {
		r->fields |= CTF_STATUS;
		r->status = rd_u16(b);
	}
	if (bits & F_TIMEOUT) {
		r->fields |= CTF_TIMEOUT;
		r->timeout_s = rd_u32(b);
	}
	if (bits & (F_MARK | F_MARK_ZERO))
		r->fields |= CTF_MARK;
	if (bits & F_MARK)
		r->mark = rd_u32(b);
	if (bits & F_TCP) {
		r->fields |= CTF_TCP;
		r->tcp_state = rd_u8(b);
	}
	if (bits & F_TCP_WIN)
		get_tcp_win(b, r);
	if (bits & F_ZONE)
		r->zone = rd_u16(b);
}

static void
copy_facts(struct ct_rec *r, const struct ct_rec *before)
{
	r->fields |= before->fields & CTF_FACTS;
	r->status = before->status;
	r->timeout_s = before->timeout_s;
	r->mark = before->mark;
	r->tcp_state = before->tcp_state;
	r->wscale_orig = before->wscale_orig;
	r->wscale_reply = before->wscale_reply;
	r->tcp_flags_orig = before->tcp_flags_orig;
	r->tcp_flags_reply = before->tcp_flags_reply;
}

/* As in a record that is not there, or both as in it and written. */
static bool
impossible(uint16_t bits, const struct ct_rec *r, const struct ct_rec *before)
{
	return ((bits & F_SAME) &&
		   (before->op == 0 || before->family != r->family)) ||
	    ((bits & F_SAME_REPLY) && (bits & F_REPLY_DST)) ||
	    ((bits & F_SAME_FACTS) && (bits & F_FACTS));
}

static enum item_res
decode_record(
    struct rd *b, struct ct_rec *before, struct item *it, uint8_t head)
{
	struct ct_rec *r = &it->rec;
	uint16_t bits;

	memset(r, 0, sizeof(*r));
	r->op = head & OP_MASK;
	r->family = head & OP_V6 ? AF_INET6 : AF_INET;
	bits = rd_u16(b);
	r->proto = rd_u8(b);
	if (impossible(bits, r, before))
		return ITEM_BAD;
	get_orig(b, r, bits, before);
	get_reply(b, r, bits, before);
	if (bits & F_SAME_FACTS)
		copy_facts(r, before);
	get_facts(b, r, bits);
	if (b->bad || r->op < CT_OP_NEW || r->op > CT_OP_DELETE)
		return ITEM_BAD;
	/* bytes left over must be announced by a bit unknown here */
	if (b->p != b->end && (bits & ~F_KNOWN) == 0)
		return ITEM_BAD;
	*before = *r;
	return ITEM_GOOD;
}

enum item_res
item_decode(struct rd *r, struct ct_rec *before, struct item *it)
{
	struct rd b;
	uint8_t head;

	if (r->p == r->end)
		return ITEM_DONE;
	b = rd_sub(r, rd_u8(r));
	head = rd_u8(&b);
	it->kind = head >> KIND_SHIFT;
	switch (it->kind) {
	case ITEM_LIVE:
	case ITEM_DUMP:
		return decode_record(&b, before, it, head);
	case ITEM_BEGIN:
		it->generation = rd_u32(&b);
		it->flags = rd_u8(&b);
		break;
	case ITEM_END:
		it->generation = rd_u32(&b);
		it->count = rd_u32(&b);
		break;
	default:
		return b.bad ? ITEM_BAD : ITEM_SKIP;
	}
	return b.bad ? ITEM_BAD : ITEM_GOOD;
}
