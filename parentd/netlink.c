/* Blocking requests on netlink sockets: one batch or one dump at a time. */
#include <sys/socket.h>
#include <sys/time.h>

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "parentd.h"

#define NL_SNDBUF      (4 * 1024 * 1024) /* the longest batch */
#define NL_RECV_LEN    (32 * 1024) /* what the kernel fills per dump turn */
#define NL_REQUEST_MAX 512 /* bytes of a dump request */
#define NL_DUMP_TRIES  4 /* when it changes underneath us */
#define NL_ANSWER_S    5 /* the kernel answers at once or never */

struct nl_answers {
	unsigned int left; /* acknowledgements to wait for */
	void (*cb)(void *, uint32_t, int);
	void *arg;
};

struct nl_dumping {
	uint32_t seq;
	bool single; /* one object was asked for, not a dump */
	bool done;
	bool interrupted;
	int (*cb)(void *, const struct nlmsghdr *);
	void *arg;
};

static union {
	struct nlmsghdr align;
	char buf[NL_RECV_LEN];
} nl_in;

/* Options that not every kernel knows or that only save work. */
static void
nl_options(int fd, int rcvbuf)
{
	struct timeval tv = {.tv_sec = NL_ANSWER_S};
	int on = 1, sndbuf = NL_SNDBUF;

	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	(void)setsockopt(
	    fd, SOL_SOCKET, SO_SNDBUFFORCE, &sndbuf, sizeof(sndbuf));
	if (rcvbuf > 0)
		(void)setsockopt(
		    fd, SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf, sizeof(rcvbuf));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
}

int
nl_open(struct nlsock *nl, int bus, int rcvbuf)
{
	struct sockaddr_nl sa = {.nl_family = AF_NETLINK};
	socklen_t len = sizeof(sa);
	int fd, saved;

	nl->fd = -1;
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, bus);
	if (fd == -1)
		return -1;
	nl_options(fd, rcvbuf);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	nl->fd = fd;
	nl->portid = sa.nl_pid;
	nl->seq = 0;
	return 0;
}

void
nl_close(struct nlsock *nl)
{
	if (nl->fd != -1)
		close(nl->fd);
	nl->fd = -1;
}

static int
nl_send(const struct nlsock *nl, const void *msgs, size_t len)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t n;

	do {
		n = sendto(nl->fd, msgs, len, 0, (struct sockaddr *)&kernel,
		    sizeof(kernel));
	} while (n == -1 && errno == EINTR);
	if (n == -1)
		return -1;
	if ((size_t)n != len) {
		errno = EMSGSIZE;
		return -1;
	}
	return 0;
}

/* The next datagram from the kernel itself; others are not listened to. */
static ssize_t
nl_recv(const struct nlsock *nl, int flags)
{
	struct sockaddr_nl from;
	socklen_t fromlen;
	ssize_t n;

	for (;;) {
		fromlen = sizeof(from);
		n = recvfrom(nl->fd, nl_in.buf, sizeof(nl_in.buf),
		    flags | MSG_TRUNC, (struct sockaddr *)&from, &fromlen);
		if (n == -1 && errno == EINTR)
			continue;
		if (n != -1 && from.nl_pid != 0)
			continue;
		if (n > (ssize_t)sizeof(nl_in.buf)) {
			errno = EMSGSIZE;
			return -1;
		}
		return n;
	}
}

static int
nl_error(const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(e->error) || e->error > 0 ||
	    e->error < -4095)
		return EBADMSG;
	return -e->error;
}

static void
nl_take_answers(struct nl_answers *a, int len)
{
	const struct nlmsghdr *nlh = &nl_in.align;

	for (; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len)) {
		if (nlh->nlmsg_type != NLMSG_ERROR)
			continue;
		if (a->left > 0)
			a->left--;
		a->cb(a->arg, nlh->nlmsg_seq, nl_error(nlh));
	}
}

int
nl_batch(struct nlsock *nl, const void *msgs, size_t len, unsigned int nacks,
    void (*cb)(void *, uint32_t, int), void *arg)
{
	struct nl_answers a = {.left = nacks, .cb = cb, .arg = arg};
	ssize_t n;

	if (nl_send(nl, msgs, len) == -1)
		return -1;
	/*
	 * All answers are queued by now. Reading on until the queue is empty
	 * also takes the errors of messages that asked for no ACK, which
	 * otherwise would be counted for one that did.
	 */
	for (;;) {
		n = nl_recv(nl, a.left > 0 ? 0 : MSG_DONTWAIT);
		if (n == -1 && a.left == 0 && errno == EAGAIN)
			return 0;
		if (n == -1)
			return -1;
		nl_take_answers(&a, (int)n);
	}
}

/* 0, or -1 and errno when the kernel or the callback ended it. */
static int
nl_dump_one(struct nl_dumping *d, const struct nlmsghdr *nlh)
{
	int error;

	if (nlh->nlmsg_seq != d->seq)
		return 0; /* left over from an earlier request */
	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		d->interrupted = true;
	switch (nlh->nlmsg_type) {
	case NLMSG_ERROR:
	case NLMSG_DONE: /* carries an error too */
		d->done = true;
		error = nl_error(nlh);
		if (error != 0) {
			errno = error;
			return -1;
		}
		return 0;
	case NLMSG_NOOP:
		return 0;
	}
	if (d->single)
		d->done = true; /* conntrack sets NLM_F_MULTI even so */
	return d->cb(d->arg, nlh);
}

static int
nl_dump_read(struct nlsock *nl, struct nl_dumping *d)
{
	const struct nlmsghdr *nlh;
	ssize_t n;
	int len;

	while (!d->done) {
		n = nl_recv(nl, 0);
		if (n == -1)
			return -1;
		nlh = &nl_in.align;
		for (len = (int)n; mnl_nlmsg_ok(nlh, len) && !d->done;
		     nlh = mnl_nlmsg_next(nlh, &len)) {
			if (nl_dump_one(d, nlh) == -1)
				return -1;
		}
	}
	return 0;
}

int
nl_dump(struct nlsock *nl, const void *msg, size_t len,
    int (*cb)(void *, const struct nlmsghdr *), void *arg)
{
	union {
		struct nlmsghdr nlh;
		char buf[NL_REQUEST_MAX];
	} req;
	struct nl_dumping d;
	bool single;
	int tries;

	if (len > sizeof(req)) {
		errno = EMSGSIZE;
		return -1;
	}
	memcpy(&req, msg, len);
	single = (req.nlh.nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP;
	for (tries = 0; tries < NL_DUMP_TRIES; tries++) {
		req.nlh.nlmsg_seq = ++nl->seq;
		d = (struct nl_dumping){
		    .seq = nl->seq, .single = single, .cb = cb, .arg = arg};
		if (nl_send(nl, &req, len) == -1)
			return -1;
		if (nl_dump_read(nl, &d) == -1)
			return -1;
		if (!d.interrupted)
			return 0;
	}
	errno = EAGAIN;
	return -1;
}
