/*
 * Conntrack: records in, kernel entries out. Many messages per system call,
 * without ACKs: the kernel answers only what failed.
 */
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>
#include <unistd.h>

#include "kctmsg.h"
#include "parentd.h"

#define KCT_RCVBUF      (1024 * 1024)
#define KCT_DUMP_RCVBUF (4 * 1024 * 1024)
#define KCT_PASSES      6 /* the longest chain of second tries, see kct_next */

enum kct_verb {
	KCT_DONE,
	KCT_CREATE,
	KCT_UPDATE,
	KCT_UPDATE_QUIET, /* without status: the entry has more bits set */
	KCT_REPLACE, /* delete by the id found, then create */
	KCT_DELETE,
	KCT_DELETE_ID, /* the entry that was found */
	KCT_LOOK, /* which entry it is, in the next pass deleted */
	KCT_TIMEOUT
};

struct kct_try {
	uint8_t verb; /* enum kct_verb */
	int error;
	uint32_t id; /* KCT_REPLACE, KCT_DELETE_ID: of the entry found */
};

/* One pass over a batch: sequence numbers to records. */
struct kct_pass {
	struct kct_try *tries;
	size_t n;
	bool ends; /* every record is the end of a flow */
	uint32_t seq0; /* of record 0 */
	bool redo[KCT_BATCH_MAX];
};

struct kct_found {
	const struct ct_rec *rec;
	struct ct_tuple orig;
	bool there;
	bool same;
	uint8_t tcp_state; /* enum tcp_conntrack */
	uint32_t id;
};

union kct_msg {
	struct nlmsghdr align;
	char buf[KCT_MSG_MAX];
};

static struct nlsock kct_nl = {.fd = -1};
/*
 * A flow was refused because another one holds its tuple. From then on a
 * flow that is to be deleted may be one that never came to be here.
 */
static bool kct_clashed;

static union {
	struct nlmsghdr align;
	char buf[2 * KCT_BATCH_MAX * KCT_MSG_MAX];
} kct_out;

static int
kct_any(void *arg, const struct nlmsghdr *nlh)
{
	(void)arg;
	(void)nlh;
	return 0;
}

/*
 * A socket alone loads no module. The first message does: ctnetlink, and
 * conntrack with it, whose settings the parent reads next.
 */
int
kct_init(void)
{
	struct {
		struct nlmsghdr nlh;
		struct nfgenmsg nfg;
	} count = {
	    .nlh = {.nlmsg_len = sizeof(count),
		.nlmsg_type =
		    NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS,
		.nlmsg_flags = NLM_F_REQUEST},
	};

	if (nl_open(&kct_nl, NETLINK_NETFILTER, KCT_RCVBUF) == -1)
		return -1;
	return nl_dump(&kct_nl, &count, sizeof(count), kct_any, NULL);
}

uint32_t
kct_portid(void)
{
	return kct_nl.portid;
}

static size_t
kct_encode(
    char *buf, const struct ct_rec *r, const struct kct_try *t, uint32_t seq)
{
	size_t len;

	switch ((enum kct_verb)t->verb) {
	case KCT_CREATE:
		return kctmsg_create(buf, r, seq);
	case KCT_REPLACE:
		/* gone already is as good: sequence number 0 is not ours */
		len = kctmsg_delete(buf, r, 0, t->id);
		return len + kctmsg_create(buf + len, r, seq);
	case KCT_DELETE:
		return kctmsg_delete(
		    buf, r, seq, r->fields & CTF_ID ? r->id : 0);
	case KCT_DELETE_ID:
		return kctmsg_delete(buf, r, seq, t->id);
	case KCT_UPDATE:
	case KCT_UPDATE_QUIET:
		return kctmsg_update(buf, r, seq, t->verb == KCT_UPDATE);
	case KCT_TIMEOUT:
		return kctmsg_timeout(buf, r, seq);
	case KCT_LOOK:
	case KCT_DONE:
		break;
	}
	return 0;
}

static void
kct_answer(void *arg, uint32_t seq, int error)
{
	struct kct_pass *p = arg;
	uint32_t i = seq - p->seq0;

	if (seq != 0 && i < p->n)
		p->tries[i].error = error;
}

static int
kct_send(const struct ct_rec *recs, struct kct_pass *p)
{
	size_t i, len = 0;

	if (kct_nl.seq > UINT32_MAX - KCT_BATCH_MAX)
		kct_nl.seq = 0;
	p->seq0 = kct_nl.seq + 1;
	kct_nl.seq += (uint32_t)p->n;
	for (i = 0; i < p->n; i++) {
		/* a LOOK is not sent: it is for the next pass to begin with */
		p->tries[i].error = p->tries[i].verb == KCT_LOOK ? EAGAIN : 0;
		len += kct_encode(kct_out.buf + len, &recs[i], &p->tries[i],
		    p->seq0 + (uint32_t)i);
	}
	if (len == 0)
		return 0;
	return nl_batch(&kct_nl, kct_out.buf, len, 0, kct_answer, p);
}

static int
kct_found_ports(const struct nlattr *attr, void *arg)
{
	struct ct_tuple *t = arg;

	if (mnl_attr_get_payload_len(attr) < sizeof(uint16_t))
		return MNL_CB_OK;
	switch (mnl_attr_get_type(attr)) {
	case CTA_PROTO_SRC_PORT:
	case CTA_PROTO_ICMP_ID:
	case CTA_PROTO_ICMPV6_ID:
		t->sport = mnl_attr_get_u16(attr);
		break;
	case CTA_PROTO_DST_PORT:
		t->dport = mnl_attr_get_u16(attr);
		break;
	}
	return MNL_CB_OK;
}

static int
kct_found_ip(const struct nlattr *attr, void *arg)
{
	struct ct_tuple *t = arg;
	size_t len = mnl_attr_get_payload_len(attr);

	if (len > sizeof(union addr))
		return MNL_CB_OK;
	switch (mnl_attr_get_type(attr)) {
	case CTA_IP_V4_SRC:
	case CTA_IP_V6_SRC:
		memcpy(&t->src, mnl_attr_get_payload(attr), len);
		break;
	case CTA_IP_V4_DST:
	case CTA_IP_V6_DST:
		memcpy(&t->dst, mnl_attr_get_payload(attr), len);
		break;
	}
	return MNL_CB_OK;
}

static int
kct_found_tuple(const struct nlattr *attr, void *arg)
{
	switch (mnl_attr_get_type(attr)) {
	case CTA_TUPLE_IP:
		return mnl_attr_parse_nested(attr, kct_found_ip, arg);
	case CTA_TUPLE_PROTO:
		return mnl_attr_parse_nested(attr, kct_found_ports, arg);
	}
	return MNL_CB_OK;
}

/* CTA_PROTOINFO, and the nest of TCP in it. */
static int
kct_found_state(const struct nlattr *attr, void *arg)
{
	uint8_t *state = arg;

	if (mnl_attr_get_type(attr) != CTA_PROTOINFO_TCP)
		return MNL_CB_OK;
	mnl_attr_for_each_nested (attr, attr)
		if (mnl_attr_get_type(attr) == CTA_PROTOINFO_TCP_STATE &&
		    mnl_attr_get_payload_len(attr) == sizeof(*state))
			*state = mnl_attr_get_u8(attr);
	return MNL_CB_OK;
}

static int
kct_found(void *arg, const struct nlmsghdr *nlh)
{
	struct kct_found *f = arg;
	const struct ct_rec *r = f->rec;
	struct ct_tuple reply = {0};
	const struct nlattr *attr;

	mnl_attr_for_each (attr, nlh, sizeof(struct nfgenmsg)) {
		switch (mnl_attr_get_type(attr)) {
		case CTA_TUPLE_ORIG:
			(void)mnl_attr_parse_nested(
			    attr, kct_found_tuple, &f->orig);
			break;
		case CTA_TUPLE_REPLY:
			(void)mnl_attr_parse_nested(
			    attr, kct_found_tuple, &reply);
			break;
		case CTA_PROTOINFO:
			(void)mnl_attr_parse_nested(
			    attr, kct_found_state, &f->tcp_state);
			break;
		case CTA_ID:
			f->id = ntohl(mnl_attr_get_u32(attr));
			break;
		}
	}
	/* An entry can also be found by its reply tuple: that is another. */
	f->there = memcmp(&f->orig.src, &r->orig.src, kct_alen(r)) == 0 &&
	    memcmp(&f->orig.dst, &r->orig.dst, kct_alen(r)) == 0 &&
	    f->orig.sport == r->orig.sport &&
	    (kct_icmp(r) || f->orig.dport == r->orig.dport);
	f->same = kct_reply_is(r, &reply);
	return 0;
}

static void
kct_ignore(void *arg, uint32_t seq, int error)
{
	(void)arg;
	(void)seq;
	(void)error;
}

/* Is there an entry with this original tuple? */
static bool
kct_look(const struct ct_rec *r, struct kct_found *f)
{
	union kct_msg req;
	size_t len = kctmsg_get(req.buf, r);

	*f = (struct kct_found){.rec = r};
	return nl_dump(&kct_nl, req.buf, len, kct_found, f) != -1 && f->there;
}

bool
kct_there(const struct ct_rec *r)
{
	struct kct_found f;

	return kct_look(r, &f) && f.same;
}

/*
 * Another flow has the reply tuple that this one needs. Its owner has used
 * its port again, so one that is over gives way. One whose time has come is
 * still in the table, where creating trips over it, and collected by the
 * look itself.
 */
static bool
kct_make_way(const struct ct_rec *r)
{
	struct kct_found f = {.rec = r};
	struct ct_rec other = *r;
	union kct_msg req;

	if (r->proto != IPPROTO_TCP)
		return false;
	if (nl_dump(&kct_nl, req.buf, kctmsg_get_reply(req.buf, r), kct_found,
		&f) == -1)
		return errno == ENOENT;
	if (!ct_tcp_over(f.tcp_state))
		return false;
	other.orig = f.orig;
	return nl_batch(&kct_nl, req.buf,
		   kctmsg_delete(req.buf, &other, 0, f.id), 0, kct_ignore,
		   NULL) != -1;
}

/*
 * The entry exists, but is it this flow? With the same translation it is
 * updated. With another, or when it is over and this flow is not, it is what
 * is left of an earlier one and gives way.
 * None by this original tuple: another flow holds the reply tuple, a clash.
 */
static enum kct_verb
kct_exists(const struct ct_rec *r, struct kct_try *t)
{
	struct kct_found f;

	if (!kct_look(r, &f))
		return kct_make_way(r) ? KCT_CREATE : KCT_DONE;
	t->id = f.id;
	if (!f.same || (ct_tcp_over(f.tcp_state) && !ct_tcp_over(r->tcp_state)))
		return KCT_REPLACE;
	return KCT_UPDATE;
}

/*
 * The kernel finds an entry by either of its tuples, so that deleting a flow
 * that is not there could delete another, whose reply looks like it.
 */
static enum kct_verb
kct_look_first(const struct ct_rec *r, struct kct_try *t)
{
	struct kct_found f;

	t->error = 0;
	if (!kct_look(r, &f))
		return KCT_DONE;
	t->id = f.id;
	return KCT_DELETE_ID;
}

/* What to try after this failure; KCT_DONE: nothing, t->error stays. */
static enum kct_verb
kct_next(const struct ct_rec *r, struct kct_try *t)
{
	switch (t->verb) {
	case KCT_CREATE:
	case KCT_REPLACE:
		return t->error == EEXIST ? kct_exists(r, t) : KCT_DONE;
	case KCT_UPDATE:
		if (t->error == EBUSY)
			return KCT_UPDATE_QUIET;
		return t->error == ENOENT ? KCT_CREATE : KCT_DONE;
	case KCT_UPDATE_QUIET:
		return t->error == ENOENT ? KCT_CREATE : KCT_DONE;
	case KCT_LOOK:
		return kct_look_first(r, t);
	case KCT_DELETE:
	case KCT_DELETE_ID:
		if (t->error == ENOENT)
			t->error = 0;
		break;
	}
	return KCT_DONE;
}

static bool
kct_same_flow(const struct ct_rec *a, const struct ct_rec *b)
{
	return a->family == b->family && a->proto == b->proto &&
	    a->zone == b->zone &&
	    memcmp(&a->orig, &b->orig, sizeof(a->orig)) == 0;
}

/* A flow that came in this very batch may not have come to be. */
static enum kct_verb
kct_first_delete(const struct ct_rec *recs, const struct kct_pass *p, size_t i)
{
	size_t j;

	if (recs[i].fields & CTF_ID)
		return KCT_DELETE;
	if (kct_clashed)
		return KCT_LOOK;
	for (j = 0; !p->ends && j < i; j++)
		if (recs[j].op != CT_OP_DELETE &&
		    kct_same_flow(&recs[j], &recs[i]))
			return KCT_LOOK;
	return KCT_DELETE;
}

static enum kct_verb
kct_first(const struct ct_rec *recs, const struct kct_pass *p, size_t i)
{
	switch (recs[i].op) {
	case CT_OP_NEW:
		return KCT_CREATE;
	case CT_OP_UPDATE:
		return KCT_UPDATE;
	case CT_OP_DELETE:
		return kct_first_delete(recs, p, i);
	case CT_OP_TIMEOUT:
		return KCT_TIMEOUT;
	}
	return KCT_DONE; /* no such operation: authz has refused it */
}

/*
 * Choose second tries; returns how many there are. Records of the same flow
 * that come after a failed one are done again, so that their order holds; and
 * so is one that trips over another flow, while what comes before it may yet
 * end that flow.
 */
static size_t
kct_again(const struct ct_rec *recs, struct kct_pass *p)
{
	struct kct_try *t;
	size_t i, j, left = 0;

	for (i = 0; i < p->n; i++) {
		t = &p->tries[i];
		if (t->verb == KCT_DONE)
			continue;
		t->verb =
		    (uint8_t)(t->error == 0 ? KCT_DONE : kct_next(&recs[i], t));
		if (t->verb == KCT_DONE && t->error == EEXIST && left > 0)
			t->verb = KCT_CREATE;
		if (t->verb == KCT_DONE)
			continue;
		left++;
		for (j = i + 1; j < p->n; j++)
			if (kct_same_flow(&recs[i], &recs[j]))
				p->redo[j] = true;
	}
	for (i = 0; i < p->n; i++) {
		if (p->redo[i] && p->tries[i].verb == KCT_DONE) {
			p->tries[i].verb = (uint8_t)kct_first(recs, p, i);
			left++;
		}
		p->redo[i] = false;
	}
	return left;
}

/* Nothing is known of the records still under way. */
static void
kct_lost(struct kct_pass *p, int error)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (p->tries[i].verb != KCT_DONE)
			p->tries[i].error = error;
}

size_t
kct_apply(const struct ct_rec *recs, size_t n, struct imsg_ct_fail *fails)
{
	static struct kct_try tries[KCT_BATCH_MAX];
	struct kct_pass p = {.tries = tries, .n = n};
	size_t i, nfail = 0;
	int pass;

	if (n > KCT_BATCH_MAX)
		p.n = n = KCT_BATCH_MAX;
	p.ends = true;
	for (i = 0; i < n; i++)
		p.ends = p.ends && recs[i].op == CT_OP_DELETE;
	for (i = 0; i < n; i++)
		tries[i] =
		    (struct kct_try){.verb = (uint8_t)kct_first(recs, &p, i)};
	for (pass = 0; pass < KCT_PASSES; pass++) {
		if (kct_send(recs, &p) == -1) {
			kct_lost(&p, errno);
			break;
		}
		if (kct_again(recs, &p) == 0)
			break;
	}
	for (i = 0; i < n; i++) {
		if (tries[i].error == 0)
			continue;
		kct_clashed = kct_clashed || tries[i].error == EEXIST;
		fails[nfail].index = (uint32_t)i;
		fails[nfail++].error = tries[i].error;
	}
	return nfail;
}

/* Hand the descriptor over; only the parent's own are kept. */
static int
kct_release(struct nlsock *nl)
{
	if (fcntl(nl->fd, F_SETFL, O_NONBLOCK) == -1) {
		nl_close(nl);
		return -1;
	}
	return nl->fd;
}

static int
kct_close(struct nlsock *nl)
{
	int saved = errno;

	nl_close(nl);
	errno = saved;
	return -1;
}

int
kct_dump_socket(void)
{
	struct nlsock nl;

	if (nl_open(&nl, NETLINK_NETFILTER, KCT_DUMP_RCVBUF) == -1)
		return -1;
	return kct_release(&nl);
}

int
kct_dump_ask(int fd)
{
	struct {
		struct nlmsghdr nlh;
		struct nfgenmsg nfg;
	} req = {
	    .nlh = {.nlmsg_len = sizeof(req),
		.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		.nlmsg_seq = 1},
	    .nfg = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0},
	};

	return send(fd, &req, sizeof(req), 0) == -1 ? -1 : 0;
}

/*
 * What BPF loads it takes for network order, while netlink headers are in
 * the host's: constants are turned round instead.
 */
static int
kct_filter(int fd, uint32_t ignore_portid)
{
	const struct sock_filter code[] = {
	    BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(ignore_portid), 3, 0),
	    BPF_STMT(BPF_LD | BPF_H | BPF_ABS,
		offsetof(struct nlmsghdr, nlmsg_type)),
	    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, htons(0xff00)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
		htons(NFNL_SUBSYS_CTNETLINK << 8), 1, 0),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	    BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	const struct sock_fprog prog = {
	    .len = nitems(code), .filter = (struct sock_filter *)code};
	int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) ==
	    -1)
		return -1;
	return setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on));
}

int
kct_event_listen(int fd, bool on)
{
	static const int groups[] = {NFNLGRP_CONNTRACK_NEW,
	    NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_DESTROY};
	int how = on ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP;

	for (size_t i = 0; i < nitems(groups); i++)
		if (setsockopt(fd, SOL_NETLINK, how, &groups[i],
			sizeof(groups[i])) == -1)
			return -1;
	return 0;
}

int
kct_event_socket(int rcvbuf, uint32_t ignore_portid)
{
	struct nlsock nl;

	if (nl_open(&nl, NETLINK_NETFILTER, rcvbuf) == -1)
		return -1;
	/* The filter first: nothing unwanted is ever queued. */
	if (kct_filter(nl.fd, ignore_portid) == -1 ||
	    kct_event_listen(nl.fd, true) == -1)
		return kct_close(&nl);
	return kct_release(&nl);
}
