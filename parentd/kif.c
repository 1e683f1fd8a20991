/* Links, followed by rtnetlink events; a full dump after an overflow. */
#include <sys/socket.h>

#include <errno.h>
#include <event2/event.h>
#include <libmnl/libmnl.h>
#include <net/if.h>
#include <linux/if.h> /* IFF_LOWER_UP; after net/if.h */
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "parentd.h"

#define KIF_RCVBUF   (1024 * 1024)
#define KIF_RECV_LEN (32 * 1024)
#define KIF_TURN_MAX 64 /* datagrams in one turn of the loop */

#define KIF_UP       (IFF_UP | IFF_RUNNING | IFF_LOWER_UP)

static struct {
	struct nlsock events; /* subscribed, non-blocking */
	struct nlsock request; /* for dumps */
	struct event *ev;
	struct kif *tab;
	bool *seen; /* in the dump that is running */
	size_t n;
	void (*link_cb)(const char *);
	void (*addr_cb)(int, struct in_addr, bool);
} kif = {.events = {.fd = -1}, .request = {.fd = -1}};

static struct kif *
kif_by_index(int ifindex)
{
	size_t i;

	for (i = 0; i < kif.n; i++)
		if (kif.tab[i].ifindex == ifindex)
			return &kif.tab[i];
	return NULL;
}

const char *
kif_name(int ifindex)
{
	for (size_t i = 0; i < kif.n; i++)
		if (kif.tab[i].ifindex == ifindex)
			return kif.tab[i].name;
	return "an interface that is gone";
}

const struct kif *
kif_find(const char *name)
{
	size_t i;

	for (i = 0; i < kif.n; i++)
		if (strcmp(kif.tab[i].name, name) == 0)
			return &kif.tab[i];
	return NULL;
}

static void
kif_tell(const char *name)
{
	if (kif.link_cb != NULL)
		kif.link_cb(name);
}

static struct kif *
kif_grow(void)
{
	struct kif *tab;
	bool *seen;

	tab = reallocarray(kif.tab, kif.n + 1, sizeof(*tab));
	if (tab == NULL)
		return NULL;
	kif.tab = tab;
	seen = reallocarray(kif.seen, kif.n + 1, sizeof(*seen));
	if (seen == NULL)
		return NULL;
	kif.seen = seen;
	memset(&tab[kif.n], 0, sizeof(*tab));
	return &tab[kif.n++];
}

/* The name is copied: the callback sees a table without the entry. */
static void
kif_remove(struct kif *k)
{
	char name[IFNAMSIZ];
	size_t i = (size_t)(k - kif.tab);

	memcpy(name, k->name, sizeof(name));
	kif.n--;
	memmove(&kif.tab[i], &kif.tab[i + 1], (kif.n - i) * sizeof(kif.tab[0]));
	memmove(
	    &kif.seen[i], &kif.seen[i + 1], (kif.n - i) * sizeof(kif.seen[0]));
	kif_tell(name);
}

static void
kif_rename(struct kif *k, const char *name)
{
	char old[IFNAMSIZ];

	memcpy(old, k->name, sizeof(old));
	memcpy(k->name, name, sizeof(k->name));
	if (old[0] != '\0')
		kif_tell(old);
}

static void
kif_change(const struct kif *new)
{
	struct kif *k = kif_by_index(new->ifindex);

	if (k == NULL) {
		k = kif_grow();
		if (k == NULL) {
			log_warn("interface %s", new->name);
			return;
		}
		k->ifindex = new->ifindex;
	}
	kif.seen[k - kif.tab] = true;
	if (memcmp(k, new, sizeof(*k)) == 0)
		return;
	if (strcmp(k->name, new->name) != 0)
		kif_rename(k, new->name);
	*k = *new;
	kif_tell(new->name);
}

static int
kif_attr(const struct nlattr *attr, void *arg)
{
	struct kif *k = arg;
	size_t len = mnl_attr_get_payload_len(attr);

	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		if (len > sizeof(k->name))
			return MNL_CB_ERROR;
		memcpy(k->name, mnl_attr_get_payload(attr), len);
		k->name[sizeof(k->name) - 1] = '\0';
		break;
	case IFLA_ADDRESS:
		if (len == sizeof(k->mac))
			memcpy(k->mac, mnl_attr_get_payload(attr), len);
		break;
	}
	return MNL_CB_OK;
}

static void
kif_link(const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct kif new, *k;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifi) ||
	    ifi->ifi_family != AF_UNSPEC)
		return; /* AF_BRIDGE: a port left its bridge, not the host */
	if (nlh->nlmsg_type == RTM_DELLINK) {
		k = kif_by_index(ifi->ifi_index);
		if (k != NULL)
			kif_remove(k);
		return;
	}
	memset(&new, 0, sizeof(new));
	new.ifindex = ifi->ifi_index;
	new.up = (ifi->ifi_flags & KIF_UP) == KIF_UP;
	if (mnl_attr_parse(nlh, sizeof(*ifi), kif_attr, &new) != MNL_CB_OK ||
	    new.name[0] == '\0')
		return;
	kif_change(&new);
}

static void
kif_addr(const struct nlmsghdr *nlh)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	struct in_addr addr;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*ifa) ||
	    ifa->ifa_family != AF_INET || kif.addr_cb == NULL)
		return;
	mnl_attr_for_each (attr, nlh, sizeof(*ifa)) {
		if (mnl_attr_get_type(attr) != IFA_LOCAL ||
		    mnl_attr_get_payload_len(attr) != sizeof(addr))
			continue;
		memcpy(&addr, mnl_attr_get_payload(attr), sizeof(addr));
		kif.addr_cb(
		    (int)ifa->ifa_index, addr, nlh->nlmsg_type == RTM_DELADDR);
	}
}

static int
kif_message(void *arg, const struct nlmsghdr *nlh)
{
	(void)arg;
	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		kif_link(nlh);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		kif_addr(nlh);
		break;
	}
	return 0;
}

/*
 * Learn all links anew and tell what changed. Addresses need no dump: those
 * that matter are refreshed each second and so come back by themselves.
 */
static int
kif_resync(void)
{
	struct {
		struct nlmsghdr nlh;
		struct ifinfomsg ifi;
	} req = {
	    .nlh = {.nlmsg_len = sizeof(req),
		.nlmsg_type = RTM_GETLINK,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	    .ifi = {.ifi_family = AF_UNSPEC},
	};
	size_t i;

	if (kif.n > 0)
		memset(kif.seen, 0, kif.n * sizeof(kif.seen[0]));
	if (nl_dump(&kif.request, &req, sizeof(req), kif_message, NULL) == -1)
		return -1;
	for (i = kif.n; i-- > 0;)
		if (!kif.seen[i])
			kif_remove(&kif.tab[i]);
	return 0;
}

static void
kif_walk(const struct nlmsghdr *nlh, int len)
{
	for (; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len))
		(void)kif_message(NULL, nlh);
}

/*
 * What is still queued is older than what was lost: applied after the dump
 * it would bring back what has gone since.
 */
static void
kif_overflow(int fd)
{
	char c;

	log_warnx("link events: buffer was full, reading all links again");
	while (recv(fd, &c, sizeof(c), MSG_DONTWAIT) != -1 || errno == ENOBUFS)
		;
	if (kif_resync() == -1)
		log_warn("link dump");
}

static void
kif_read(evutil_socket_t fd, short what, void *arg)
{
	static union {
		struct nlmsghdr nlh;
		char buf[KIF_RECV_LEN];
	} in;
	struct sockaddr_nl from;
	socklen_t fromlen;
	ssize_t n;
	int i;

	(void)what;
	(void)arg;
	for (i = 0; i < KIF_TURN_MAX; i++) {
		fromlen = sizeof(from);
		n = recvfrom(fd, &in, sizeof(in), MSG_DONTWAIT,
		    (struct sockaddr *)&from, &fromlen);
		if (n == -1 && errno == ENOBUFS) {
			kif_overflow(fd);
			continue;
		}
		if (n == -1) {
			if (errno != EAGAIN && errno != EINTR)
				log_warn("link events");
			return;
		}
		if (from.nl_pid == 0)
			kif_walk(&in.nlh, (int)n);
	}
}

int
kif_init(struct event_base *base, void (*link_cb)(const char *),
    void (*addr_cb)(int, struct in_addr, bool))
{
	static const int groups[] = {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR};
	size_t i;

	if (nl_open(&kif.events, NETLINK_ROUTE, KIF_RCVBUF) == -1 ||
	    nl_open(&kif.request, NETLINK_ROUTE, KIF_RCVBUF) == -1)
		return -1;
	for (i = 0; i < nitems(groups); i++)
		if (setsockopt(kif.events.fd, SOL_NETLINK,
			NETLINK_ADD_MEMBERSHIP, &groups[i],
			sizeof(groups[i])) == -1)
			return -1;
	kif.ev = event_new(
	    base, kif.events.fd, EV_READ | EV_PERSIST, kif_read, NULL);
	if (kif.ev == NULL || event_add(kif.ev, NULL) == -1)
		return -1;
	/* The callbacks come after: whoever starts looks up what is there. */
	if (kif_resync() == -1)
		return -1;
	kif.link_cb = link_cb;
	kif.addr_cb = addr_cb;
	return 0;
}
