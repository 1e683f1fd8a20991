/*
 * Conntrack's netlink messages. They are written by hand: some twenty
 * attributes for each flow, several times the cost by a library's calls.
 *
 * An entry is created with its reply tuple untranslated and its translation
 * as CTA_NAT_SRC and CTA_NAT_DST, each one address and one port: the kernel
 * is left no choice, so a clash is an error and never another port. The
 * same is done for flows that are not translated, or the NAT chains would be
 * asked again for each of their packets.
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <linux/icmpv6.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/ip_icmp.h>
#include <stddef.h>
#include <string.h>

#include "kctmsg.h"

/* What may be told to the kernel; the rest it sets itself or refuses. */
#define KCT_STATUS (IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED)
#define KCT_TCP_FLAGS                                             \
	(IP_CT_TCP_FLAG_WINDOW_SCALE | IP_CT_TCP_FLAG_SACK_PERM | \
	    IP_CT_TCP_FLAG_CLOSE_INIT | IP_CT_TCP_FLAG_BE_LIBERAL)
#define KCT_WSCALE_MAX 14 /* RFC 7323 */

/* A message being written. */
struct out {
	char *start;
	char *p;
};

static inline void
put(struct out *o, uint16_t type, const void *data, size_t len)
{
	struct nlattr a = {(uint16_t)(sizeof(a) + len), type};

	memcpy(o->p, &a, sizeof(a));
	memcpy(o->p + sizeof(a), data, len);
	memset(o->p + sizeof(a) + len, 0, NLA_ALIGN(len) - len);
	o->p += sizeof(a) + NLA_ALIGN(len);
}

static inline void
put_u8(struct out *o, uint16_t type, uint8_t v)
{
	put(o, type, &v, sizeof(v));
}

static inline void
put_u16(struct out *o, uint16_t type, uint16_t v)
{
	put(o, type, &v, sizeof(v));
}

static inline void
put_be32(struct out *o, uint16_t type, uint32_t host)
{
	uint32_t v = htonl(host);

	put(o, type, &v, sizeof(v));
}

static inline char *
nest(struct out *o, uint16_t type)
{
	char *at = o->p;

	put(o, type | NLA_F_NESTED, "", 0);
	return at;
}

static inline void
nest_end(const struct out *o, char *at)
{
	uint16_t len = (uint16_t)(o->p - at);

	memcpy(at + offsetof(struct nlattr, nla_len), &len, sizeof(len));
}

bool
kct_icmp(const struct ct_rec *r)
{
	return r->proto == IPPROTO_ICMP || r->proto == IPPROTO_ICMPV6;
}

size_t
kct_alen(const struct ct_rec *r)
{
	return r->family == AF_INET6 ? sizeof(struct in6_addr)
				     : sizeof(struct in_addr);
}

static void
put_addr(struct out *o, const struct ct_rec *r, uint16_t v4, uint16_t v6,
    const union addr *addr)
{
	if (r->family == AF_INET6)
		put(o, v6, addr, sizeof(struct in6_addr));
	else
		put(o, v4, addr, sizeof(struct in_addr));
}

/* The type that answers an ICMP query, as the kernel pairs them. */
static uint8_t
icmp_answer(uint8_t proto, uint8_t type)
{
	static const uint8_t v4[][2] = {
	    {ICMP_ECHO, ICMP_ECHOREPLY},
	    {ICMP_TIMESTAMP, ICMP_TIMESTAMPREPLY},
	    {ICMP_INFO_REQUEST, ICMP_INFO_REPLY},
	    {ICMP_ADDRESS, ICMP_ADDRESSREPLY},
	};
	static const uint8_t v6[][2] = {
	    {ICMPV6_ECHO_REQUEST, ICMPV6_ECHO_REPLY},
	    {ICMPV6_NI_QUERY, ICMPV6_NI_REPLY},
	};
	const uint8_t(*t)[2] = proto == IPPROTO_ICMP ? v4 : v6;
	size_t i, n = proto == IPPROTO_ICMP ? nitems(v4) : nitems(v6);

	for (i = 0; i < n; i++) {
		if (t[i][0] == type)
			return t[i][1];
		if (t[i][1] == type)
			return t[i][0];
	}
	return type; /* no such query: the kernel will refuse it */
}

/* The reply an untranslated flow would have. */
static struct ct_tuple
mirror_of(const struct ct_rec *r)
{
	struct ct_tuple t = {
	    .src = r->orig.dst,
	    .dst = r->orig.src,
	    .sport = r->orig.dport,
	    .dport = r->orig.sport,
	};
	uint16_t typecode;

	if (kct_icmp(r)) {
		typecode = ntohs(r->orig.dport);
		t.sport = r->orig.sport; /* the id, in both directions */
		t.dport = htons(
		    (uint16_t)(icmp_answer(r->proto, (uint8_t)(typecode >> 8))
			    << 8 |
			(typecode & 0xff)));
	}
	return t;
}

static void
put_ports(struct out *o, const struct ct_rec *r, const struct ct_tuple *t)
{
	bool v6 = r->proto == IPPROTO_ICMPV6;
	uint16_t typecode = ntohs(t->dport);

	if (!kct_icmp(r)) {
		put_u16(o, CTA_PROTO_SRC_PORT, t->sport);
		put_u16(o, CTA_PROTO_DST_PORT, t->dport);
		return;
	}
	put_u16(o, v6 ? CTA_PROTO_ICMPV6_ID : CTA_PROTO_ICMP_ID, t->sport);
	put_u8(o, v6 ? CTA_PROTO_ICMPV6_TYPE : CTA_PROTO_ICMP_TYPE,
	    (uint8_t)(typecode >> 8));
	put_u8(o, v6 ? CTA_PROTO_ICMPV6_CODE : CTA_PROTO_ICMP_CODE,
	    (uint8_t)typecode);
}

static void
put_tuple(struct out *o, uint16_t type, const struct ct_rec *r,
    const struct ct_tuple *t)
{
	char *outer, *inner;

	outer = nest(o, type);
	inner = nest(o, CTA_TUPLE_IP);
	put_addr(o, r, CTA_IP_V4_SRC, CTA_IP_V6_SRC, &t->src);
	put_addr(o, r, CTA_IP_V4_DST, CTA_IP_V6_DST, &t->dst);
	nest_end(o, inner);
	inner = nest(o, CTA_TUPLE_PROTO);
	put_u8(o, CTA_PROTO_NUM, r->proto);
	put_ports(o, r, t);
	nest_end(o, inner);
	nest_end(o, outer);
}

/* One address, one port: a range without an end has one of each. */
static void
put_range(struct out *o, uint16_t type, const struct ct_rec *r,
    const union addr *addr, uint16_t port)
{
	char *outer, *inner;

	outer = nest(o, type);
	put_addr(o, r, CTA_NAT_V4_MINIP, CTA_NAT_V6_MINIP, addr);
	inner = nest(o, CTA_NAT_PROTO);
	put_u16(o, CTA_PROTONAT_PORT_MIN, port);
	nest_end(o, inner);
	nest_end(o, outer);
}

bool
kct_reply_is(const struct ct_rec *r, const struct ct_tuple *t)
{
	return memcmp(&r->reply.src, &t->src, kct_alen(r)) == 0 &&
	    memcmp(&r->reply.dst, &t->dst, kct_alen(r)) == 0 &&
	    r->reply.sport == t->sport &&
	    (kct_icmp(r) || r->reply.dport == t->dport);
}

/*
 * The kernel applies the destination first. It knows one ICMP id for both,
 * so the destination keeps the original's and the source sets the reply's.
 */
static void
put_nat(struct out *o, const struct ct_rec *r, const struct ct_tuple *mirror)
{
	bool icmp = kct_icmp(r);

	if (kct_reply_is(r, mirror) &&
	    (r->status & (IPS_NAT_MASK | IPS_NAT_DONE_MASK)) == 0)
		return; /* made while there was no NAT at its owner */
	put_range(o, CTA_NAT_DST, r, &r->reply.src,
	    icmp ? r->orig.sport : r->reply.sport);
	put_range(o, CTA_NAT_SRC, r, &r->reply.dst,
	    icmp ? r->reply.sport : r->reply.dport);
}

static void
put_flags(struct out *o, uint16_t type, uint8_t flags)
{
	/* mask = flags: an update sets bits and clears none */
	struct nf_ct_tcp_flags f = {.flags = flags, .mask = flags};

	put(o, type, &f, sizeof(f));
}

static uint8_t
wscale(uint8_t scale)
{
	return scale > KCT_WSCALE_MAX ? KCT_WSCALE_MAX : scale;
}

/*
 * The kernel's view of sequence numbers cannot be restored: without
 * BE_LIBERAL the first packets after a takeover could be out of its window.
 */
static void
put_tcp(struct out *o, const struct ct_rec *r, bool create)
{
	uint8_t orig = create ? IP_CT_TCP_FLAG_BE_LIBERAL : 0, reply = orig;
	char *outer, *inner;

	outer = nest(o, CTA_PROTOINFO);
	inner = nest(o, CTA_PROTOINFO_TCP);
	put_u8(o, CTA_PROTOINFO_TCP_STATE, r->tcp_state);
	if (r->fields & CTF_TCP_WIN) {
		orig |= r->tcp_flags_orig & KCT_TCP_FLAGS;
		reply |= r->tcp_flags_reply & KCT_TCP_FLAGS;
		put_u8(o, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL,
		    wscale(r->wscale_orig));
		put_u8(
		    o, CTA_PROTOINFO_TCP_WSCALE_REPLY, wscale(r->wscale_reply));
	}
	put_flags(o, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, orig);
	put_flags(o, CTA_PROTOINFO_TCP_FLAGS_REPLY, reply);
	nest_end(o, inner);
	nest_end(o, outer);
}

static void
put_fields(struct out *o, const struct ct_rec *r, bool status, bool create)
{
	if (r->fields & CTF_TIMEOUT)
		put_be32(o, CTA_TIMEOUT, r->timeout_s);
	if ((r->fields & CTF_STATUS) && status)
		put_be32(
		    o, CTA_STATUS, (r->status & KCT_STATUS) | IPS_CONFIRMED);
	if (r->fields & CTF_MARK)
		put_be32(o, CTA_MARK, r->mark);
	if ((r->fields & CTF_TCP) && r->proto == IPPROTO_TCP)
		put_tcp(o, r, create);
}

/* The headers are written last, by finish. */
static struct out
start_by(char *buf, const struct ct_rec *r, uint16_t type,
    const struct ct_tuple *tuple)
{
	struct out o = {
	    buf, buf + NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg))};

	put_tuple(&o, type, r, tuple);
	if (r->zone != 0)
		put_u16(&o, CTA_ZONE, htons(r->zone));
	return o;
}

static struct out
start(char *buf, const struct ct_rec *r)
{
	return start_by(buf, r, CTA_TUPLE_ORIG, &r->orig);
}

static size_t
finish(const struct out *o, const struct ct_rec *r, int type, int flags,
    uint32_t seq)
{
	struct {
		struct nlmsghdr nlh;
		struct nfgenmsg nfg;
	} h = {
	    .nlh = {.nlmsg_len = (uint32_t)(o->p - o->start),
		.nlmsg_type =
		    (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | (unsigned int)type),
		.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
		.nlmsg_seq = seq},
	    .nfg = {.nfgen_family = r->family, .version = NFNETLINK_V0},
	};

	memcpy(o->start, &h, sizeof(h));
	return h.nlh.nlmsg_len;
}

size_t
kctmsg_get(char *buf, const struct ct_rec *r)
{
	struct out o = start(buf, r);

	return finish(&o, r, IPCTNL_MSG_CT_GET, 0, 0);
}

size_t
kctmsg_get_reply(char *buf, const struct ct_rec *r)
{
	struct out o = start_by(buf, r, CTA_TUPLE_REPLY, &r->reply);

	return finish(&o, r, IPCTNL_MSG_CT_GET, 0, 0);
}

size_t
kctmsg_delete(char *buf, const struct ct_rec *r, uint32_t seq, uint32_t id)
{
	struct out o = start(buf, r);

	if (id != 0)
		put_be32(&o, CTA_ID, id);
	return finish(&o, r, IPCTNL_MSG_CT_DELETE, 0, seq);
}

size_t
kctmsg_create(char *buf, const struct ct_rec *r, uint32_t seq)
{
	struct ct_tuple mirror = mirror_of(r);
	struct out o = start(buf, r);

	put_tuple(&o, CTA_TUPLE_REPLY, r, &mirror);
	put_nat(&o, r, &mirror);
	put_fields(&o, r, true, true);
	return finish(&o, r, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, seq);
}

size_t
kctmsg_update(char *buf, const struct ct_rec *r, uint32_t seq, bool status)
{
	struct out o = start(buf, r);

	put_fields(&o, r, status, false);
	return finish(&o, r, IPCTNL_MSG_CT_NEW, 0, seq);
}

size_t
kctmsg_timeout(char *buf, const struct ct_rec *r, uint32_t seq)
{
	struct out o = start(buf, r);

	put_be32(&o, CTA_TIMEOUT, r->timeout_s);
	return finish(&o, r, IPCTNL_MSG_CT_NEW, 0, seq);
}
