/*
 * Virtual addresses: /32, tagged with HAGW_KERNEL_PROTO, with a lifetime
 * that the kernel enforces when nobody refreshes them any more.
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "parentd.h"

#define KADDR_RCVBUF  (1024 * 1024)
#define KADDR_MSG_MAX 128 /* bytes of one request */
#define KADDR_BATCH   64 /* requests in one system call */
#define KADDR_PLEN    32

static struct nlsock kaddr_nl = {.fd = -1};

/* What one kind of request may be answered without being a failure. */
struct kaddr_result {
	const int *fine;
	size_t nfine;
	int first; /* errno */
};

struct kaddr_search {
	int ifindex;
	struct in_addr addr;
	bool found;
};

struct kaddr_dump {
	void (*cb)(void *, const struct kaddr *);
	void *arg;
};

static int
kaddr_socket(void)
{
	if (kaddr_nl.fd != -1)
		return 0;
	return nl_open(&kaddr_nl, NETLINK_ROUTE, KADDR_RCVBUF);
}

static void
kaddr_answer(void *arg, uint32_t seq, int error)
{
	struct kaddr_result *r = arg;
	size_t i;

	(void)seq;
	if (error == 0 || r->first != 0)
		return;
	for (i = 0; i < r->nfine; i++)
		if (error == r->fine[i])
			return;
	r->first = error;
}

/*
 * NOPREFIXROUTE: a /32 needs no route of its own but the local one. The
 * address is its own peer, so the mask is of a host.
 */
static size_t
kaddr_encode(char *buf, int type, int flags, const struct kaddr *a)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifa_cacheinfo life = {
	    .ifa_valid = KADDR_LIFE_S, .ifa_prefered = KADDR_LIFE_S};
	struct ifaddrmsg *ifa;

	nlh->nlmsg_type = (uint16_t)type;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	nlh->nlmsg_seq = ++kaddr_nl.seq;
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = AF_INET;
	ifa->ifa_prefixlen = KADDR_PLEN;
	ifa->ifa_scope = RT_SCOPE_UNIVERSE;
	ifa->ifa_index = (uint32_t)a->ifindex;
	mnl_attr_put_u32(nlh, IFA_LOCAL, a->addr.s_addr);
	mnl_attr_put_u32(nlh, IFA_ADDRESS, a->addr.s_addr);
	if (type == RTM_NEWADDR) {
		mnl_attr_put_u32(nlh, IFA_FLAGS, IFA_F_NOPREFIXROUTE);
		mnl_attr_put_u8(nlh, IFA_PROTO, HAGW_KERNEL_PROTO);
		mnl_attr_put(nlh, IFA_CACHEINFO, sizeof(life), &life);
	}
	return NLMSG_ALIGN(nlh->nlmsg_len);
}

static int
kaddr_batch(int type, int flags, const struct kaddr *a, size_t n,
    struct kaddr_result *r)
{
	static union {
		struct nlmsghdr align;
		char buf[KADDR_BATCH * KADDR_MSG_MAX];
	} out;
	size_t i, len;

	if (kaddr_socket() == -1)
		return errno;
	while (n > 0) {
		len = 0;
		for (i = 0; i < n && i < KADDR_BATCH; i++)
			len += kaddr_encode(out.buf + len, type, flags, &a[i]);
		if (nl_batch(&kaddr_nl, out.buf, len, (unsigned int)i,
			kaddr_answer, r) == -1) {
			r->first = errno;
			nl_close(&kaddr_nl); /* whatever it still holds */
			return r->first;
		}
		a += i;
		n -= i;
	}
	return r->first;
}

int
kaddr_set(const struct kaddr *a, size_t n)
{
	struct kaddr_result r = {0};

	return kaddr_batch(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, a, n, &r);
}

int
kaddr_del(const struct kaddr *a, size_t n)
{
	static const int gone[] = {EADDRNOTAVAIL, ENODEV, ESRCH, ENXIO};
	struct kaddr_result r = {.fine = gone, .nfine = nitems(gone)};

	return kaddr_batch(RTM_DELADDR, 0, a, n, &r);
}

static int
kaddr_decode(void *arg, const struct nlmsghdr *nlh)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct kaddr_dump *d = arg;
	struct kaddr a = {0};
	struct ifa_cacheinfo life = {0};
	const struct nlattr *attr;
	uint8_t proto = 0;

	if (nlh->nlmsg_type != RTM_NEWADDR ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifa) ||
	    ifa->ifa_family != AF_INET || ifa->ifa_prefixlen != KADDR_PLEN)
		return 0;
	mnl_attr_for_each (attr, nlh, sizeof(*ifa)) {
		const void *data = mnl_attr_get_payload(attr);
		size_t len = mnl_attr_get_payload_len(attr);

		switch (mnl_attr_get_type(attr)) {
		case IFA_LOCAL:
			if (len == sizeof(a.addr))
				memcpy(&a.addr, data, len);
			break;
		case IFA_PROTO:
			if (len == sizeof(proto))
				memcpy(&proto, data, len);
			break;
		case IFA_CACHEINFO:
			if (len >= sizeof(life))
				memcpy(&life, data, sizeof(life));
			break;
		}
	}
	a.ifindex = (int)ifa->ifa_index;
	a.left_s = life.ifa_valid;
	if (proto == HAGW_KERNEL_PROTO)
		d->cb(d->arg, &a);
	return 0;
}

int
kaddr_list(void (*cb)(void *, const struct kaddr *), void *arg)
{
	struct {
		struct nlmsghdr nlh;
		struct ifaddrmsg ifa;
	} req = {
	    .nlh = {.nlmsg_len = sizeof(req),
		.nlmsg_type = RTM_GETADDR,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	    .ifa = {.ifa_family = AF_INET},
	};
	struct kaddr_dump d = {.cb = cb, .arg = arg};

	if (kaddr_socket() == -1)
		return -1;
	return nl_dump(&kaddr_nl, &req, sizeof(req), kaddr_decode, &d);
}

static void
kaddr_match(void *arg, const struct kaddr *a)
{
	struct kaddr_search *s = arg;

	if (a->ifindex == s->ifindex && a->addr.s_addr == s->addr.s_addr &&
	    a->left_s != 0 && a->left_s != UINT32_MAX) /* max: for ever */
		s->found = true;
}

bool
kaddr_present(int ifindex, struct in_addr addr)
{
	struct kaddr_search s = {.ifindex = ifindex, .addr = addr};

	return kaddr_list(kaddr_match, &s) == 0 && s.found;
}
