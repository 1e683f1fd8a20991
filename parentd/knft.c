/*
 * nftables, table inet hagw only: batches sent whole, dumps requested for
 * somebody else to read, others' changes heard of, the table removed at the
 * very end.
 */
#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "parentd.h"

#define KNFT_RCVBUF       (1024 * 1024) /* an error for each bad message */
#define KNFT_DUMP_RCVBUF  (4 * 1024 * 1024)
#define KNFT_SNDBUF_MORE  4096 /* what the kernel keeps for itself */
#define KNFT_REQUEST_MAX  512

#define KNFT_TYPE(msg)    (NFNL_SUBSYS_NFTABLES << 8 | (msg))
/*
 * Somebody's 100,000 elements are not to keep the parent: what does not fit
 * is lost, and natd looks.
 */
#define KNFT_WATCH_RCVBUF (128 * 1024)
#define KNFT_EVENT_LEN    (64 * 1024)
#define KNFT_TURN_MAX     16 /* datagrams in one turn of the loop */

static struct {
	struct nlsock nl;
	struct event *ev;
	void (*cb)(enum nat_changed);
	bool lost; /* news did not fit */
} watch = {.nl = {.fd = -1}};

/* Of several errors the first one is the cause. */
static void
knft_answer(void *arg, uint32_t seq, int error)
{
	struct knft_result *res = arg;

	if (error == 0 || res->error != 0)
		return;
	res->error = error;
	res->seq = seq;
}

/*
 * Kept open: closing one waits until the kernel has freed what the last
 * batch removed, some milliseconds in which the parent would stand still.
 */
static struct nlsock knft_nl = {.fd = -1};

/* A batch is one datagram however long it is. */
static int
knft_room(size_t len)
{
	int sndbuf;

	if (len > (size_t)INT32_MAX / 2 - KNFT_SNDBUF_MORE) {
		errno = EMSGSIZE;
		return -1;
	}
	sndbuf = (int)len + KNFT_SNDBUF_MORE;
	return setsockopt(
	    knft_nl.fd, SOL_SOCKET, SO_SNDBUFFORCE, &sndbuf, sizeof(sndbuf));
}

/*
 * Of hagw's own changes nothing is to be told, and nothing made: 10,000
 * elements are as many messages. What happens just before or after one is
 * found by natd's look.
 */
static void
knft_listen(bool on)
{
	const int group = NFNLGRP_NFTABLES;
	int how = on ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP;

	if (watch.nl.fd != -1 &&
	    setsockopt(watch.nl.fd, SOL_NETLINK, how, &group, sizeof(group)) ==
		-1)
		log_warn("table " HAGW_NFT_TABLE ": its changes by others");
}

static int
knft_send(const void *msgs, size_t len, struct knft_result *res)
{
	memset(res, 0, sizeof(*res));
	if (knft_nl.fd == -1 &&
	    nl_open(&knft_nl, NETLINK_NETFILTER, KNFT_RCVBUF) == -1) {
		res->error = errno;
		return -1;
	}
	if (knft_room(len) == -1 ||
	    nl_batch(&knft_nl, msgs, len, 0, knft_answer, res) == -1) {
		/* the answers did not fit: it failed, more is not known */
		if (res->error == 0)
			res->error = errno;
		nl_close(&knft_nl); /* with what is left in it */
	}
	return res->error == 0 ? 0 : -1;
}

int
knft_batch(const void *msgs, size_t len, struct knft_result *res)
{
	int result;

	knft_listen(false);
	result = knft_send(msgs, len, res);
	knft_listen(true);
	return result;
}

/* The table's name is the first attribute of whatever is in a table. */
static bool
knft_ours(const struct nlmsghdr *nlh)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	if (nlh->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*g) ||
	    g->nfgen_family != NFPROTO_INET)
		return false;
	mnl_attr_for_each (attr, nlh, sizeof(*g))
		if (mnl_attr_get_type(attr) == NFTA_TABLE_NAME)
			return mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) !=
			    -1 &&
			    strcmp(mnl_attr_get_str(attr), HAGW_NFT_TABLE) == 0;
	return false;
}

/* The greater of that and what the messages say. */
static enum nat_changed
knft_event(enum nat_changed what, const struct nlmsghdr *nlh, int len)
{
	for (; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len)) {
		if (!knft_ours(nlh))
			continue;
		if (nlh->nlmsg_type == KNFT_TYPE(NFT_MSG_DELTABLE))
			what = NAT_CHANGED_GONE;
		else if (what < NAT_CHANGED_RULES)
			what = NAT_CHANGED_RULES;
	}
	return what;
}

/*
 * Told once a turn: a table that goes, goes with all that is in it. After a
 * loss the kernel drops on, without a word, until all is read.
 */
static void
knft_read(evutil_socket_t fd, short events, void *arg)
{
	static union {
		struct nlmsghdr nlh;
		char buf[KNFT_EVENT_LEN];
	} in;
	enum nat_changed what = NAT_CHANGED_PERHAPS;
	bool empty = false;
	ssize_t n;

	(void)events;
	(void)arg;
	for (int i = 0; i < KNFT_TURN_MAX && !empty; i++) {
		n = recv(fd, &in, sizeof(in), MSG_DONTWAIT);
		if (n > 0)
			what = knft_event(what, &in.nlh, (int)n);
		else if (n == -1 && errno == ENOBUFS)
			watch.lost = true;
		else
			empty = true;
	}
	if (what != NAT_CHANGED_PERHAPS || watch.lost)
		watch.cb(what);
	if (empty)
		watch.lost = false;
}

int
knft_watch(struct event_base *base, void (*cb)(enum nat_changed))
{
	watch.cb = cb;
	if (nl_open(&watch.nl, NETLINK_NETFILTER, KNFT_WATCH_RCVBUF) == -1)
		return -1;
	watch.ev =
	    event_new(base, watch.nl.fd, EV_READ | EV_PERSIST, knft_read, NULL);
	if (watch.ev == NULL || event_add(watch.ev, NULL) == -1)
		return -1;
	knft_listen(true);
	return 0;
}

static struct nlmsghdr *
knft_msg(void *buf, uint16_t type, uint16_t flags, uint8_t family,
    uint16_t res_id, uint32_t seq)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = seq;
	g = mnl_nlmsg_put_extra_header(nlh, sizeof(*g));
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
	g->res_id = htons(res_id);
	return nlh;
}

/* What each kind of dump asks for; table 0: the request takes none. */
static const struct knft_kind {
	uint16_t msg;
	uint16_t table; /* attribute that names the table */
	uint16_t set;
} knft_kinds[] = {
    [NAT_DUMP_RULES] = {NFT_MSG_GETRULE, NFTA_RULE_TABLE, 0},
    [NAT_DUMP_ELEMENTS] = {NFT_MSG_GETSETELEM, NFTA_SET_ELEM_LIST_TABLE,
	NFTA_SET_ELEM_LIST_SET},
    [NAT_DUMP_CHAINS] = {NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE, 0},
    [NAT_DUMP_SETS] = {NFT_MSG_GETSET, NFTA_SET_TABLE, 0},
    [NAT_DUMP_TABLES] = {NFT_MSG_GETTABLE, 0, 0},
};

static int
knft_request(const struct nlsock *nl, const struct imsg_nat_dump *d)
{
	union {
		struct nlmsghdr align;
		char bytes[KNFT_REQUEST_MAX];
	} buf;
	const struct knft_kind *k;
	struct nlmsghdr *nlh;

	if (d->what == 0 || d->what >= nitems(knft_kinds) ||
	    memchr(d->set, '\0', sizeof(d->set)) == NULL) {
		errno = EINVAL;
		return -1;
	}
	k = &knft_kinds[d->what];
	nlh = knft_msg(&buf, KNFT_TYPE(k->msg), NLM_F_DUMP, NFPROTO_INET, 0, 1);
	if (k->table != 0)
		mnl_attr_put_strz(nlh, k->table, HAGW_NFT_TABLE);
	if (k->set != 0)
		mnl_attr_put_strz(nlh, k->set, d->set);
	if (send(nl->fd, nlh, nlh->nlmsg_len, 0) == -1)
		return -1;
	return 0;
}

int
knft_dump_socket(const struct imsg_nat_dump *d)
{
	struct nlsock nl;
	int saved, flags;

	if (nl_open(&nl, NETLINK_NETFILTER, KNFT_DUMP_RCVBUF) == -1)
		return -1;
	flags = fcntl(nl.fd, F_GETFL);
	if (flags == -1 || knft_request(&nl, d) == -1 ||
	    fcntl(nl.fd, F_SETFL, flags | O_NONBLOCK) == -1) {
		saved = errno;
		nl_close(&nl);
		errno = saved;
		return -1;
	}
	return nl.fd;
}

int
knft_delete_table(void)
{
	union {
		struct nlmsghdr align;
		char bytes[KNFT_REQUEST_MAX];
	} buf;
	struct knft_result res;
	struct nlmsghdr *nlh;
	char *p = buf.bytes;

	nlh = knft_msg(
	    p, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, 1);
	p += nlh->nlmsg_len;
	nlh = knft_msg(p, KNFT_TYPE(NFT_MSG_DELTABLE), 0, NFPROTO_INET, 0, 2);
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, HAGW_NFT_TABLE);
	p += nlh->nlmsg_len;
	nlh = knft_msg(
	    p, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, 3);
	p += nlh->nlmsg_len;
	if (knft_batch(buf.bytes, (size_t)(p - buf.bytes), &res) == 0 ||
	    res.error == ENOENT)
		return 0;
	errno = res.error;
	return -1;
}
