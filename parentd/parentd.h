/*
 * What the parent's files share. The kernel edges (k*.c, rawsock.c,
 * announce.c, sysctl.c, netlink.c) know nothing of children or messages;
 * dispatch.c and reconf.c know nothing of netlink.
 */
#ifndef PARENTD_H
#define PARENTD_H

#include <event2/event.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "ctrec.h"
#include "hagw.h"
#include "imsg_msg.h"
#include "lease.h"

struct nlmsghdr;

/* netlink.c: blocking requests on sockets of the parent's own */
struct nlsock {
	int fd;
	uint32_t portid;
	uint32_t seq; /* last one used */
};

/*
 * bus as NETLINK_ROUTE; rcvbuf in bytes, forced, 0 leaves the default.
 * Error replies carry only the header (NETLINK_CAP_ACK).
 */
int nl_open(struct nlsock *, int bus, int rcvbuf);
void nl_close(struct nlsock *);

/*
 * Send len bytes of complete messages in one system call, then read the
 * answers until every message that asked for an ACK has one (or, when none
 * asked, until the socket is empty: the kernel answers within the send).
 * cb gets each answer's sequence number and errno (0: done). -1 and errno
 * when sending or receiving itself failed.
 */
int nl_batch(struct nlsock *, const void *msgs, size_t len, unsigned int nacks,
    void (*cb)(void *, uint32_t seq, int error), void *arg);

/* Run one dump request and hand each message to cb until DONE. */
int nl_dump(struct nlsock *, const void *msg, size_t len,
    int (*cb)(void *, const struct nlmsghdr *), void *arg);

/* kif.c: links, followed by events */
struct kif {
	int ifindex; /* 0: there is no such interface */
	bool up; /* IFF_UP and IFF_RUNNING: carrier */
	uint8_t mac[ETHER_ADDR_LEN];
	char name[IFNAMSIZ];
};

/*
 * Subscribe to links and IPv4 addresses. link_cb: an interface came, went
 * or changed (look it up). addr_cb: an address was removed (deleted) or
 * added by anybody.
 */
int kif_init(struct event_base *, void (*link_cb)(const char *ifname),
    void (*addr_cb)(int ifindex, struct in_addr, bool deleted));
const struct kif *kif_find(const char *name); /* NULL: none */
const char *kif_name(int ifindex); /* for the log */

/* kaddr.c: virtual addresses; /32, tagged, with a lifetime */
#define KADDR_LIFE_S (LEASE_ADDRESS_US / 1000000) /* refreshed each second */

struct kaddr {
	int ifindex;
	struct in_addr addr;
	uint32_t left_s; /* kaddr_list only */
};

/* Add or refresh all in one batch: 0, or the errno of the first failure. */
int kaddr_set(const struct kaddr *, size_t n);
/* Remove all in one batch; those already gone are fine. */
int kaddr_del(const struct kaddr *, size_t n);
/* Every address tagged as hagw's, on any interface. -1 errno. */
int kaddr_list(void (*cb)(void *, const struct kaddr *), void *arg);
/* Is this address present, tagged and with a lifetime? */
bool kaddr_present(int ifindex, struct in_addr);

/* kct.c: conntrack */
#define KCT_BATCH_MAX 128 /* records per call, bounds the loop's delay */

int kct_init(void);
uint32_t kct_portid(void); /* of the injecting socket */

/*
 * Apply n records: create with NAT, update, delete, set the timeout, as
 * ct_rec.op and facts of ctnetlink ask. fails needs room for n; returns how
 * many were filled. A delete of what is not there is no failure.
 */
size_t kct_apply(const struct ct_rec *, size_t n, struct imsg_ct_fail *fails);
/* Is this very flow in the table, translated as it says? One request. */
bool kct_there(const struct ct_rec *);

/*
 * A socket for one dump, to be read by someone without privileges, before or
 * after the request (both families) is sent: that takes until the kernel has
 * filled the first answer or walked its whole hash table. -1 errno.
 */
int kct_dump_socket(void);
int kct_dump_ask(int fd);

/*
 * Subscribed to new, update and destroy; buffer forced to rcvbuf bytes; a
 * filter drops what ignore_portid caused (our own injections); locked.
 */
int kct_event_socket(int rcvbuf, uint32_t ignore_portid);
/* Leave or join the groups; what is queued stays. -1 errno */
int kct_event_listen(int fd, bool on);

/* knft.c: nftables */
struct knft_result {
	int error;
	uint32_t seq; /* of the refused message; 0: unknown */
};

/* cb hears when somebody else changed table inet hagw. -1 errno */
int knft_watch(struct event_base *, void (*cb)(enum nat_changed));
/* Send one batch (BEGIN ... END, already checked). 0 or -1, as in result. */
int knft_batch(const void *msgs, size_t len, struct knft_result *);
/* A socket with the dump of one kind of object of table inet hagw sent. */
int knft_dump_socket(const struct imsg_nat_dump *);
/* Remove table inet hagw; fine when there is none. */
int knft_delete_table(void);

/* rawsock.c: sockets opened, filtered, locked, to be passed to children */
/*
 * VRRP (RFC 9568): raw, protocol 112, bound to the interface, non-blocking.
 * rx: joined 224.0.0.18, receives the IP header, IP_PKTINFO not needed; a
 * filter lets only protocol 112 with this vrid through (length and TTL are
 * vrrpd's to count). tx: source address bound, connected to 224.0.0.18,
 * TTL 255, TOS 0xc0, no loop, a filter that receives nothing.
 */
int rawsock_vrrp_rx(const char *ifname, struct in_addr own, uint8_t vrid);
int rawsock_vrrp_tx(const char *ifname, struct in_addr own);
/* UDP, bound to own:port on the interface, connected to peer:port. */
int rawsock_sync(
    const char *ifname, struct in_addr own, struct in_addr peer, uint16_t port);

/* announce.c: gratuitous ARP, paced */
#define ANNOUNCE_COUNT 5

struct announce_addr {
	int ifindex;
	struct in_addr addr;
	uint8_t mac[ETHER_ADDR_LEN];
};

int announce_init(struct event_base *);
/*
 * Replace what is being announced: all addresses at once now, the rest of
 * ANNOUNCE_COUNT rounds paced, again ANNOUNCE_COUNT after 5 s, then one a
 * minute until stopped. Never blocks; a full queue is retried.
 */
void announce_start(const struct announce_addr *, size_t n);
/* Is it this that is being announced? */
bool announce_is(const struct announce_addr *, size_t n);
void announce_again(void); /* the first rounds once more, rate-limited */
void announce_stop(void);
uint64_t announce_sent(void); /* frames since start */
uint64_t announce_last_real_ns(void);

/* sysctl.c: what the gateway needs, set and put back */
/*
 * Set; the values found first are kept in rundir/sysctl.saved so that they
 * survive a crash. 0, or -1 after a log line naming the sysctl.
 */
int sysctl_apply(const char *rundir);
void sysctl_restore(const char *rundir);
void sysctl_ct_timeouts(struct imsg_ct_timeouts *);
void sysctl_ct_count(struct imsg_ct_count *);
uint64_t sysctl_ct_drops(void); /* /proc/net/stat: drop + early_drop */

/* budget.c: how often a child may ask */
#define BUDGET_MAX 16

struct budget {
	uint64_t due_us[BUDGET_MAX]; /* monotonic, by rule */
};

/* Pay for one message; false: the child is over what it may. */
bool budget_take(struct budget *, uint32_t type, uint64_t now_us);

/* authz.c: pure checks, request against configuration and state */
struct authz_forward {
	in_addr_t vip;
	in_addr_t to;
	uint16_t lo; /* ports in host order, inclusive */
	uint16_t hi;
	uint16_t to_port; /* of lo; the others follow */
	uint8_t proto;
};

struct authz_view {
	const struct conf *conf;
	enum role role;
	bool inject; /* BACKUP, or MASTER since a moment: records in flight */
	bool settle; /* MASTER since minutes: idle flows get timeouts back */
	struct imsg_ct_timeouts timeouts; /* the kernel's, as syncd was told */
	in_addr_t *targets; /* of all forwards, sorted as memcmp does */
	size_t ntargets;
	struct authz_forward *forwards; /* by vip, protocol, port; no overlap */
	size_t nforwards; /* in the memory of targets, which is to be freed */
};

/* Derive what the checks look up; conf is borrowed. 0, or -1: no memory. */
int authz_prepare(struct authz_view *, const struct conf *);

/* NULL when allowed, else the reason, for the log. */
const char *authz_vrrp_state(const struct authz_view *, uint32_t role);
const char *authz_ct(const struct authz_view *, const struct ct_rec *);
/*
 * A flow that authz_ct refused: is nothing in the way but its translation?
 * Then an entry that is here already, so translated, may be held on. It is
 * from before a reload that took its forward away.
 */
bool authz_ct_if_there(const struct authz_view *, const struct ct_rec *);
/* authz_nat.c: a whole batch, every message and attribute of it */
const char *authz_nat(const struct authz_view *, const void *msgs, size_t len);

#endif
