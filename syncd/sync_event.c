/*
 * ctnetlink: events and dumps into records. The messages are walked by hand,
 * without allocation; nothing outside the given length is looked at. An
 * UPDATE says only what changed, so absence means "as before". (The UPDATE
 * of a flow that becomes established and assured at once carries its protocol
 * state even when the ruleset masks all other events: the mask decides
 * whether an event is delivered, not what is in it.)
 */
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "syncd.h"

#define EVENT_BATCH 128 /* datagrams per system call */
/*
 * Bytes; the longest seen is below 400. An odd number of cache lines: at a
 * power of two all of a batch would share a few lines of the first cache.
 */
#define EVENT_SIZE  1088
#define DUMP_SIZE   8192 /* of a dump, at most; see dump_size() */

struct attrs {
	const uint8_t *p;
	const uint8_t *end;
};

struct attr {
	unsigned int type;
	const uint8_t *data;
	size_t len;
};

static bool
next_attr(struct attrs *as, struct attr *a)
{
	uint16_t len, type;
	size_t left = (size_t)(as->end - as->p);
	size_t step;

	if (left < 4)
		return false;
	memcpy(&len, as->p, 2);
	memcpy(&type, as->p + 2, 2);
	if (len < 4 || len > left)
		return false;
	a->type = type & NLA_TYPE_MASK;
	a->data = as->p + 4;
	a->len = len - 4u;
	step = NLA_ALIGN(len);
	as->p += step > left ? left : step;
	return true;
}

static uint32_t
attr_be32(const struct attr *a)
{
	uint32_t v = 0;

	if (a->len == sizeof(v))
		memcpy(&v, a->data, sizeof(v));
	return ntohl(v);
}

static uint16_t
attr_be16raw(const struct attr *a)
{
	uint16_t v = 0;

	if (a->len == sizeof(v))
		memcpy(&v, a->data, sizeof(v));
	return v;
}

static uint8_t
attr_u8(const struct attr *a)
{
	return a->len >= 1 ? a->data[0] : 0;
}

static void
copy_addr(union addr *dst, const struct attr *a, size_t want)
{
	if (a->len == want)
		memcpy(dst, a->data, want);
}

static void
parse_ip(const struct attr *nest, struct ct_tuple *t)
{
	struct attrs as = {nest->data, nest->data + nest->len};
	struct attr a;

	while (next_attr(&as, &a)) {
		switch (a.type) {
		case CTA_IP_V4_SRC:
			copy_addr(&t->src, &a, 4);
			break;
		case CTA_IP_V4_DST:
			copy_addr(&t->dst, &a, 4);
			break;
		case CTA_IP_V6_SRC:
			copy_addr(&t->src, &a, 16);
			break;
		case CTA_IP_V6_DST:
			copy_addr(&t->dst, &a, 16);
			break;
		}
	}
}

static void
parse_proto(const struct attr *nest, struct ct_tuple *t, uint8_t *proto)
{
	struct attrs as = {nest->data, nest->data + nest->len};
	struct attr a;
	uint16_t icmp = 0;
	bool is_icmp = false;

	while (next_attr(&as, &a)) {
		switch (a.type) {
		case CTA_PROTO_NUM:
			*proto = attr_u8(&a);
			break;
		case CTA_PROTO_SRC_PORT:
		case CTA_PROTO_ICMP_ID:
		case CTA_PROTO_ICMPV6_ID:
			t->sport = attr_be16raw(&a);
			break;
		case CTA_PROTO_DST_PORT:
			t->dport = attr_be16raw(&a);
			break;
		case CTA_PROTO_ICMP_TYPE:
		case CTA_PROTO_ICMPV6_TYPE:
			is_icmp = true;
			icmp |= (uint16_t)(attr_u8(&a) << 8);
			break;
		case CTA_PROTO_ICMP_CODE:
		case CTA_PROTO_ICMPV6_CODE:
			icmp |= attr_u8(&a);
			break;
		}
	}
	if (is_icmp)
		t->dport = htons(icmp);
}

/* A tuple as nearly all are: IPv4, with ports, in the kernel's order. */
struct tuple4 {
	struct nlattr to_src[2]; /* the headers up to there: CTA_TUPLE_IP */
	uint32_t src; /* be32, as dst */
	struct nlattr to_dst;
	uint32_t dst;
	struct nlattr to_num[2]; /* CTA_TUPLE_PROTO */
	uint8_t num[4]; /* the first; then padding, as below */
	struct nlattr to_sport;
	uint16_t sport[2]; /* be16, as dport */
	struct nlattr to_dport;
	uint16_t dport[2];
};

/* To walk the two of an event was half the time its parsing took. */
static bool
parse_tuple4(const struct attr *nest, struct ct_tuple *t, uint8_t *proto)
{
	static const struct tuple4 form = {
	    .to_src = {{20, NLA_F_NESTED | CTA_TUPLE_IP}, {8, CTA_IP_V4_SRC}},
	    .to_dst = {8, CTA_IP_V4_DST},
	    .to_num = {{28, NLA_F_NESTED | CTA_TUPLE_PROTO},
		{5, CTA_PROTO_NUM}},
	    .to_sport = {6, CTA_PROTO_SRC_PORT},
	    .to_dport = {6, CTA_PROTO_DST_PORT},
	};
	struct tuple4 got;

	if (nest->len != sizeof(got))
		return false;
	memcpy(&got, nest->data, sizeof(got));
	if (memcmp(got.to_src, form.to_src, sizeof(got.to_src)) != 0 ||
	    memcmp(&got.to_dst, &form.to_dst, sizeof(got.to_dst)) != 0 ||
	    memcmp(got.to_num, form.to_num, sizeof(got.to_num)) != 0 ||
	    memcmp(&got.to_sport, &form.to_sport, sizeof(got.to_sport)) != 0 ||
	    memcmp(&got.to_dport, &form.to_dport, sizeof(got.to_dport)) != 0)
		return false;
	t->src.v4.s_addr = got.src;
	t->dst.v4.s_addr = got.dst;
	t->sport = got.sport[0];
	t->dport = got.dport[0];
	*proto = got.num[0];
	return true;
}

static void
take_zone(const struct attr *a, struct ct_rec *rec)
{
	rec->zone = ntohs(attr_be16raw(a));
}

/* One with a zone of its direction is longer than tuple4. */
static void
parse_tuple(const struct attr *nest, struct ct_rec *rec, struct ct_tuple *t,
    uint8_t *proto)
{
	struct attrs as = {nest->data, nest->data + nest->len};
	struct attr a;

	if (parse_tuple4(nest, t, proto))
		return;
	while (next_attr(&as, &a)) {
		switch (a.type) {
		case CTA_TUPLE_IP:
			parse_ip(&a, t);
			break;
		case CTA_TUPLE_PROTO:
			parse_proto(&a, t, proto);
			break;
		case CTA_TUPLE_ZONE:
			take_zone(&a, rec);
			break;
		}
	}
}

/* Window scale and flags count only when all four are there. */
static void
parse_tcp(const struct attr *nest, struct ct_rec *rec)
{
	struct attrs as = {nest->data, nest->data + nest->len};
	struct attr a;
	unsigned int seen = 0;

	while (next_attr(&as, &a)) {
		switch (a.type) {
		case CTA_PROTOINFO_TCP_STATE:
			rec->tcp_state = attr_u8(&a);
			rec->fields |= CTF_TCP;
			break;
		case CTA_PROTOINFO_TCP_WSCALE_ORIGINAL:
			rec->wscale_orig = attr_u8(&a);
			seen |= 1;
			break;
		case CTA_PROTOINFO_TCP_WSCALE_REPLY:
			rec->wscale_reply = attr_u8(&a);
			seen |= 2;
			break;
		case CTA_PROTOINFO_TCP_FLAGS_ORIGINAL:
			rec->tcp_flags_orig = attr_u8(&a);
			seen |= 4;
			break;
		case CTA_PROTOINFO_TCP_FLAGS_REPLY:
			rec->tcp_flags_reply = attr_u8(&a);
			seen |= 8;
			break;
		}
	}
	if (seen == 15)
		rec->fields |= CTF_TCP_WIN;
}

static void
parse_protoinfo(const struct attr *nest, struct ct_rec *rec)
{
	struct attrs as = {nest->data, nest->data + nest->len};
	struct attr a;

	while (next_attr(&as, &a))
		if (a.type == CTA_PROTOINFO_TCP)
			parse_tcp(&a, rec);
}

static void
take_status(const struct attr *a, struct ct_rec *rec)
{
	rec->status = attr_be32(a);
	rec->fields |= CTF_STATUS;
}

static void
take_timeout(const struct attr *a, struct ct_rec *rec)
{
	rec->timeout_s = attr_be32(a);
	rec->fields |= CTF_TIMEOUT;
}

static void
take_mark(const struct attr *a, struct ct_rec *rec)
{
	rec->mark = attr_be32(a);
	rec->fields |= CTF_MARK;
}

static void
take_id(const struct attr *a, struct ct_rec *rec)
{
	rec->id = attr_be32(a);
	rec->fields |= CTF_ID;
}

static void
take_orig(const struct attr *a, struct ct_rec *rec)
{
	parse_tuple(a, rec, &rec->orig, &rec->proto);
}

static void
take_reply(const struct attr *a, struct ct_rec *rec)
{
	uint8_t proto;

	parse_tuple(a, rec, &rec->reply, &proto);
}

/* What the rules in natd's chain close_fwd have seen of it. */
static uint8_t
our_labels(const struct attr *a)
{
	return a->len == HAGW_CT_LABEL_LEN ? a->data[HAGW_CT_LABEL_AT] : 0;
}

static void (*const takers[])(const struct attr *, struct ct_rec *) = {
    [CTA_TUPLE_ORIG] = take_orig,
    [CTA_TUPLE_REPLY] = take_reply,
    [CTA_STATUS] = take_status,
    [CTA_PROTOINFO] = parse_protoinfo,
    [CTA_TIMEOUT] = take_timeout,
    [CTA_MARK] = take_mark,
    [CTA_ID] = take_id,
    [CTA_ZONE] = take_zone,
};

/*
 * The labels alone would not do: they stay when the kernel makes another flow
 * of the entry, and others may set them. An event has the state only when the
 * packet changed it, which a FIN after a repeated one does not.
 */
static bool
is_over(const struct ct_rec *rec, uint8_t labels)
{
	uint8_t both = HAGW_CT_FIN_ORIG | HAGW_CT_FIN_REPLY;

	if ((labels & both) != both)
		return false;
	return rec->fields & CTF_TCP ? ct_tcp_over(rec->tcp_state)
				     : !(labels & HAGW_CT_RST);
}

static enum event_res
parse_flow(const struct nlmsghdr *nlh, size_t len, struct ct_rec *rec)
{
	const uint8_t *base = (const uint8_t *)nlh;
	struct attrs as = {
	    base + NLMSG_HDRLEN + sizeof(struct nfgenmsg), base + len};
	struct attr a;
	uint8_t labels = 0;

	if (len < NLMSG_HDRLEN + sizeof(struct nfgenmsg))
		return EVENT_ERROR;
	memset(rec, 0, sizeof(*rec));
	rec->family = base[NLMSG_HDRLEN];
	if (rec->family != AF_INET && rec->family != AF_INET6)
		return EVENT_OTHER;
	while (next_attr(&as, &a)) {
		if (a.type < nitems(takers) && takers[a.type] != NULL)
			takers[a.type](&a, rec);
		else if (a.type == CTA_LABELS)
			labels = our_labels(&a);
	}
	if (rec->proto == IPPROTO_TCP && is_over(rec, labels))
		rec->fields |= CTF_OVER;
	/* the kernel leaves a mark of 0 out where it says everything */
	if (nlh->nlmsg_flags & (NLM_F_CREATE | NLM_F_MULTI))
		rec->fields |= CTF_MARK;
	return rec->proto == 0 ? EVENT_OTHER : EVENT_RECORD;
}

/*
 * That a connection is established a packet says once in its life, a process
 * (conntrack -U) whenever it changes one; the kernel names the process.
 */
static enum ct_op
op_of(const struct nlmsghdr *nlh, const struct ct_rec *rec)
{
	if (NFNL_MSG_TYPE(nlh->nlmsg_type) == IPCTNL_MSG_CT_DELETE)
		return CT_OP_DELETE;
	if (nlh->nlmsg_flags & (NLM_F_CREATE | NLM_F_MULTI))
		return CT_OP_NEW;
	if (rec->fields & CTF_TCP && nlh->nlmsg_pid == 0 &&
	    rec->tcp_state == TCP_CONNTRACK_ESTABLISHED)
		return CT_OP_NEW;
	return CT_OP_UPDATE;
}

enum event_res
event_parse(const struct nlmsghdr *nlh, size_t len, struct ct_rec *rec)
{
	enum event_res res;

	if (nlh->nlmsg_type == NLMSG_DONE)
		return EVENT_END;
	if (nlh->nlmsg_type == NLMSG_ERROR)
		return EVENT_ERROR;
	if (NFNL_SUBSYS_ID(nlh->nlmsg_type) != NFNL_SUBSYS_CTNETLINK ||
	    (NFNL_MSG_TYPE(nlh->nlmsg_type) != IPCTNL_MSG_CT_NEW &&
		NFNL_MSG_TYPE(nlh->nlmsg_type) != IPCTNL_MSG_CT_DELETE))
		return EVENT_OTHER;
	if ((res = parse_flow(nlh, len, rec)) == EVENT_RECORD)
		rec->op = (uint8_t)op_of(nlh, rec);
	return res;
}

/* Every message of one datagram; the first that is no record is returned. */
static enum event_res
each_message(const uint8_t *buf, size_t len,
    void (*cb)(void *, struct ct_rec *), void *arg)
{
	struct ct_rec rec;

	while (len >= NLMSG_HDRLEN) {
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)buf;
		size_t step = NLMSG_ALIGN(nlh->nlmsg_len);
		enum event_res res;

		if (nlh->nlmsg_len < NLMSG_HDRLEN || nlh->nlmsg_len > len)
			return EVENT_ERROR;
		res = event_parse(nlh, nlh->nlmsg_len, &rec);
		if (res == EVENT_RECORD)
			cb(arg, &rec);
		else if (res != EVENT_OTHER)
			return res;
		if (step >= len)
			break;
		buf += step;
		len -= step;
	}
	return EVENT_RECORD;
}

static struct mmsghdr event_msgs[EVENT_BATCH];
static struct iovec event_iov[EVENT_BATCH];
static uint8_t event_buf[EVENT_BATCH][EVENT_SIZE] __attribute__((aligned(64)));

static void
prepare_batch(void)
{
	if (event_iov[0].iov_base != NULL)
		return;
	for (size_t i = 0; i < EVENT_BATCH; i++) {
		event_iov[i].iov_base = event_buf[i];
		event_iov[i].iov_len = EVENT_SIZE;
		event_msgs[i].msg_hdr.msg_iov = &event_iov[i];
		event_msgs[i].msg_hdr.msg_iovlen = 1;
	}
}

/* Records of one read, handed on together. */
struct events {
	struct ct_rec recs[EVENT_BATCH];
	size_t n;
	void (*cb)(void *, struct ct_rec *, size_t);
	void *arg;
};

static void
hand_on(struct events *es)
{
	size_t n = es->n;

	es->n = 0;
	if (n > 0)
		es->cb(es->arg, es->recs, n);
}

static void
keep(void *arg, struct ct_rec *rec)
{
	struct events *es = arg;

	if (es->n == EVENT_BATCH)
		hand_on(es);
	es->recs[es->n++] = *rec;
}

static void
take_batch(int n, bool *overrun, struct events *es)
{
	for (int i = 0; i < n; i++) {
		/* one we could not hold is one we lost */
		if (event_msgs[i].msg_hdr.msg_flags & MSG_TRUNC ||
		    each_message(event_buf[i], event_msgs[i].msg_len, keep,
			es) != EVENT_RECORD)
			*overrun = true;
	}
	hand_on(es);
}

/*
 * After an overrun the kernel drops whatever else happens, and says nothing
 * more, until its queue is empty. A bulk that began before would miss that
 * as well, so it is told when the queue was read to its end.
 */
unsigned int
event_read(int fd, unsigned int limit, bool *overrun,
    void (*cb)(void *, struct ct_rec *, size_t), void *arg)
{
	static struct events es;
	static bool dropping;
	unsigned int total = 0;
	bool empty = false;

	prepare_batch();
	es.cb = cb;
	es.arg = arg;
	*overrun = false;
	while (!empty && total < limit) {
		int n =
		    recvmmsg(fd, event_msgs, EVENT_BATCH, MSG_DONTWAIT, NULL);

		if (n == -1 && errno == ENOBUFS) {
			dropping = true;
			continue;
		}
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno != EAGAIN)
			log_warn("conntrack events");
		empty = n < EVENT_BATCH;
		if (n <= 0)
			break;
		take_batch(n, overrun, &es);
		total += (unsigned int)n;
	}
	if (empty && dropping) {
		dropping = false;
		*overrun = true;
	}
	return total;
}

/*
 * A read has the kernel walk its table until it has filled another datagram
 * as long as the buffer, and nothing else happens here meanwhile. So the
 * buffer is as short as netlink allows (NLMSG_GOODSIZE): 0.05-0.15 ms for
 * each read, where 32 KB take 0.4-1.4, and a dump takes no longer.
 */
static size_t
dump_size(void)
{
	static size_t size;

	if (size == 0) {
		long page = sysconf(_SC_PAGESIZE);

		size = page > 0 && page < DUMP_SIZE ? (size_t)page : DUMP_SIZE;
	}
	return size;
}

enum event_res
event_read_dump(int fd, void (*cb)(void *, struct ct_rec *), void *arg)
{
	static uint8_t buf[DUMP_SIZE] __attribute__((aligned(8)));
	ssize_t n = recv(fd, buf, dump_size(), MSG_DONTWAIT | MSG_TRUNC);

	if (n == -1)
		return errno == EAGAIN || errno == EINTR ? EVENT_OTHER
							 : EVENT_ERROR;
	if (n == 0 || (size_t)n > dump_size())
		return EVENT_ERROR;
	return each_message(buf, (size_t)n, cb, arg);
}
