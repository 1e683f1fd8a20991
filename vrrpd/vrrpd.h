/*
 * What vrrpd's files share. vrrp_fsm.c and vrrp_packet.c are pure: time and
 * bytes in, actions and structs out; sockets are vrrp_io.c's, timers and the
 * parent vrrp_group.c's.
 */
#ifndef VRRPD_H
#define VRRPD_H

#include <event2/event.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "hagw.h"
#include "imsg_msg.h"
#include "log.h"

/* vrrp_packet.c */
#define VRRP_GROUP            0xe0000012U /* 224.0.0.18, host order */
#define VRRP_IP_PROTO         112
#define VRRP_TTL              255
#define VRRP_INTERVAL_UNIT_US 10000U /* a centisecond */
#define VRRP_ADVERT_LEN       12 /* one IPv4 address */
#define VRRP_RECV_MAX         2048 /* bytes; longer than any valid one */

/* Why an advertisement was discarded, in the order of the checks. */
enum vrrp_error {
	VRRP_OK,
	VRRP_ERR_TTL,
	VRRP_ERR_VERSION,
	VRRP_ERR_TYPE,
	VRRP_ERR_LENGTH,
	VRRP_ERR_COUNT, /* no address at all */
	VRRP_ERR_CHECKSUM,
	VRRP_ERR_VRID,
	VRRP_ERR_INTERVAL,
	VRRP_ERR_MAX
};

struct vrrp_advert {
	struct in_addr src;
	uint32_t interval_us;
	uint8_t vrid;
	uint8_t priority;
	uint8_t naddrs;
	bool pseudo; /* the checksum covered the pseudo-header */
	bool addrs_differ; /* from the one virtual address expected */
};

/*
 * Decode len bytes that start with the IP header. out is filled only for
 * VRRP_OK, but src as soon as there is an IP header.
 */
enum vrrp_error vrrp_decode(const void *buf, size_t len, uint8_t vrid,
    struct in_addr vip, struct vrrp_advert *out);
/* The VRRP message alone, with RFC 5798's pseudo-header in the checksum. */
void vrrp_encode(uint8_t buf[VRRP_ADVERT_LEN], struct in_addr src, uint8_t vrid,
    uint8_t priority, uint32_t interval_us, struct in_addr vip);
const char *vrrp_strerror(enum vrrp_error);

/* vrrp_fsm.c: one machine for the group */
#define FSM_NEVER          UINT64_MAX
#define FSM_ACTIONS_MAX    16
#define FSM_LATE_INTERVALS 3 /* a master later than this steps down */
#define FSM_HANDOVER_US    2000000U /* between requests for a handover */
#define FSM_FORCED_US      15000000U /* a failback wants this long */
#define FSM_PRIO_COLD      1 /* of a master without flows */
#define FSM_PRIO_SERVED    2 /* and of one that made its own for this long */
#define FSM_SERVED_US      300000000U
#define FSM_ANNOUNCE_US    1100000U /* between announcements on contention */
/* One without the flows waits for one that has them and stood still. */
#define FSM_LACKS_US       1500000U
/* Not ready for this long while a master lives: its records are missing. */
#define FSM_STALE_US       2000000U
/* A switch may take this long to let through what it says is connected. */
#define FSM_UNHEARD_US     60000000U
/* Two MASTERs, of which none has died: that syncd notices sooner. */
#define FSM_SPLIT_US       2000000U

enum fsm_link { LINK_UNKNOWN, LINK_UP, LINK_DOWN };

/* What the site file says; networks are numbered 0 to nnets - 1. */
struct fsm_cfg {
	uint32_t interval_us;
	uint32_t preempt_after_us;
	uint8_t priority;
	uint8_t nnets;
	bool preempt;
	bool others; /* nodes besides this one and a master */
};

enum fsm_event_type {
	FSM_START, /* resume */
	FSM_TIMER, /* fsm_next() has come */
	FSM_ADVERT, /* net, src, own, priority, interval_us */
	FSM_LINK, /* net, up */
	FSM_RX, /* net: a new socket listens */
	FSM_TX, /* net: a new socket can send */
	FSM_READY, /* ready */
	FSM_RELEASE, /* release */
	FSM_REVOKED,
	FSM_EXPIRED, /* nobody refreshes the addresses */
	FSM_PREEMPT,
	FSM_RECONF, /* cfg, from */
	FSM_NEVENTS
};

struct fsm_event {
	enum fsm_event_type type;
	uint8_t net;
	bool up;
	uint8_t priority;
	uint32_t interval_us;
	struct in_addr src;
	struct in_addr own;
	struct imsg_vrrp_resume resume; /* role INIT: a fresh start */
	struct imsg_vrrp_ready ready;
	struct imsg_vrrp_release release;
	struct fsm_cfg cfg;
	int8_t from[CONF_NETS_MAX]; /* old number of each network; -1: new */
};

enum fsm_action_type {
	ACT_SEND, /* a round on every network: priority */
	ACT_SEND_NET, /* on one: net, priority */
	ACT_STATE, /* from, role, why and its facts */
	ACT_LEASE, /* renew, if the last sending reached a wire */
	ACT_ANNOUNCE,
	ACT_HANDOVER,
	ACT_RELEASED, /* ok, src, us */
	ACT_SPLIT, /* on: suspected, off: over */
	ACT_MAX
};

/* Why a role changed; vrrp_reason.c makes sentences of them. */
enum fsm_why {
	WHY_STARTED,
	WHY_LINKS_UP,
	WHY_LINK_DOWN, /* net */
	WHY_SILENCE, /* src (0: nobody was heard), us */
	WHY_ZERO, /* src */
	WHY_PREEMPTED, /* src, priority */
	WHY_HIGHER, /* src, priority */
	WHY_SUCCESSOR, /* src, release */
	WHY_NO_SUCCESSOR, /* release */
	WHY_LATE, /* us */
	WHY_REVOKED,
	WHY_EXPIRED,
	WHY_MAX
};

struct fsm_action {
	enum fsm_action_type type;
	enum role from;
	enum role role;
	enum fsm_why why;
	enum vrrp_release release;
	uint8_t net;
	uint8_t priority;
	bool ok;
	bool on;
	struct in_addr src;
	uint64_t us;
};

struct fsm_actions {
	struct fsm_action a[FSM_ACTIONS_MAX];
	unsigned int n;
	unsigned int dropped; /* did not fit: a bug */
};

struct fsm {
	struct fsm_cfg cfg;
	enum role role;
	enum fsm_link link[CONF_NETS_MAX];
	uint64_t since_us; /* of the role */
	uint64_t deadline_us; /* down timer, or the next round */
	uint64_t round_us; /* the last one, as MASTER */
	uint32_t transitions;

	/* the other side, as BACKUP */
	uint32_t master_interval_us; /* adopted */
	uint64_t heard_us;
	struct in_addr master; /* 0: nobody heard in this role */
	uint8_t master_priority;
	bool zero; /* it released: the timer runs on skew */
	bool preempting; /* its advertisements do not restart the timer */

	/* preemption */
	bool ready;
	uint64_t unready_us; /* since then, when it is not */
	bool sync_up;
	bool released; /* the operator's failover: do not preempt */
	bool mute; /* a rule of the host keeps it silent: do not preempt */
	uint64_t forced_end_us; /* the operator's failback: until then */
	uint64_t due_us; /* preempt.after is over */
	uint64_t ask_us; /* next request */
	uint64_t again_us; /* no request before */

	/* giving up, as MASTER */
	enum vrrp_release releasing; /* 0: not */
	bool leaving; /* for good: no timer brings it back */
	uint64_t release_us;
	uint64_t hold_end_us;

	uint64_t announce_us; /* not again before */
	bool warm; /* it held every flow since a master was last heard */
	bool cold; /* MASTER that never did: yields to any other */
	bool stale; /* BACKUP that held them before, by this master's word */
	bool announce_due; /* one was put off until then */

	/* two masters */
	bool peer_master;
	bool peer_able; /* one could be MASTER, by sync */
	bool lacks; /* a master's flows, since it was last heard by sync */
	bool split;
	uint64_t split_us; /* suspected from then */
	uint64_t splits;
};

/* Role INIT; nothing happens before FSM_START. */
void fsm_init(struct fsm *, const struct fsm_cfg *);
/* Actions are appended; the caller runs them in order. */
void fsm_step(struct fsm *, uint64_t now_us, const struct fsm_event *,
    struct fsm_actions *);
/* When FSM_TIMER is due; FSM_NEVER. */
uint64_t fsm_next(const struct fsm *);
/* As it is advertised now. */
uint8_t fsm_priority(const struct fsm *);
uint64_t fsm_skew_us(uint8_t priority, uint32_t interval_us);
uint64_t fsm_down_us(uint8_t priority, uint32_t interval_us);
/* The down interval in force. */
uint64_t fsm_down(const struct fsm *);
/* Its parts: MASTER and not about to release; one more action, all zero. */
bool fsm_active(const struct fsm *);
struct fsm_action *fsm_act(struct fsm_actions *, enum fsm_action_type);

/* vrrp_split.c: two masters */
void fsm_split_check(struct fsm *, uint64_t now, struct fsm_actions *);
void fsm_split_timer(struct fsm *, uint64_t now, struct fsm_actions *);
/* To the neighbours, at once or when it is allowed again. */
void fsm_announce(struct fsm *, uint64_t now, struct fsm_actions *);
void fsm_announce_timer(struct fsm *, uint64_t now, struct fsm_actions *);

/* vrrp_io.c: one per network of the group; row holds its counters */
struct vrrp_net {
	struct ctl_vrrp_net row;
	uint8_t conf_net; /* index in the running conf */
	uint8_t slot; /* number in the state machine */
	enum fsm_link link;
	struct in_addr own;
	int rx;
	int tx;
	struct event *ev;
	uint64_t since_us; /* member since */
	uint64_t seen_us; /* last valid advertisement; 0: never */
	uint64_t mute_us; /* last one that could not leave; 0: one left since */
	int mute_error;
	uint64_t differ_us; /* last one with other addresses; 0: never */
	struct in_addr differ_src;
	struct log_limit drop_limit;
	struct log_limit differ_limit;
	struct log_limit send_limit;
};

void io_init(void);
void io_net_init(struct vrrp_net *);
void io_net_close(struct vrrp_net *); /* both sockets */
/* The descriptor is taken over; one from before is closed. */
void io_set_rx(struct vrrp_net *, int fd);
void io_set_tx(struct vrrp_net *, int fd);
/* The struct is elsewhere in memory now. */
void io_moved(struct vrrp_net *);
/* Whether it left. */
bool io_send(struct vrrp_net *, uint8_t priority, uint32_t interval_us);
void io_drain(struct vrrp_net *);

/* vrrp_group.c */
struct vrrp_group {
	struct conf *conf; /* running; NULL before the first */
	struct fsm fsm;
	struct vrrp_net nets[CONF_NETS_MAX];
	unsigned int nnets;
	struct event *timer;
	uint64_t since_real_ns;
	struct imsg_vrrp_ready told; /* by the parent */
	unsigned int sent; /* networks the last sending reached */
	bool orphan; /* hagwd died; MASTER for the lease's last seconds */
	char last[CTL_TEXT_MAX];
};

void group_init(void);
const struct vrrp_group *group_get(void);
/* next becomes the group's. resume as FSM_START's. */
void group_commit(struct conf *next, const struct imsg_vrrp_resume *resume);
void group_event(const struct fsm_event *);
bool group_has_node(struct in_addr); /* one of the site's has it */
void group_advert(struct vrrp_net *, const struct vrrp_advert *);
void group_ready(const struct imsg_vrrp_ready *);
void group_shutdown(void);
bool group_orphaned(void);
struct vrrp_net *group_net(uint32_t conf_net); /* NULL: not a member */
void group_link(struct vrrp_net *, bool up);

/* vrrp_lease.c: the page that is shared with hagwd, lease.h */
void lease_take(int fd); /* from now on this vrrpd is the one */
/* Without hagwd: may this vrrpd still advertise? */
bool lease_lingers(uint64_t now_us, uint64_t interval_us);
void lease_beat(uint64_t now_us);
/* MASTER since then: have the addresses' lifetimes run out? */
bool lease_expired(uint64_t now_us, uint64_t since_us);

/* vrrp_conf.c */
int vrrp_conf_check(const struct conf *, char *why, size_t whysz);
void vrrp_conf_fsm(const struct conf *, struct fsm_cfg *);
/*
 * Make next[] (room for CONF_NETS_MAX) of the conf, taking over from old[]
 * what is the same; from[] as in FSM_RECONF. What is left in old[] with
 * sockets open is no longer wanted. Returns the number.
 */
unsigned int vrrp_conf_nets(const struct conf *now, const struct conf *next,
    struct vrrp_net *old, unsigned int nold, struct vrrp_net *nets,
    int8_t from[CONF_NETS_MAX]);
/* "nat1 (172.23.0.10)", or the address alone. */
#define VRRP_WHO_MAX (CONF_NAME_MAX + 24)
const char *vrrp_who(
    const struct conf *, struct in_addr, char buf[VRRP_WHO_MAX]);
/* "nat1", or NULL. */
const char *vrrp_node(const struct conf *, struct in_addr);

/* vrrp_reason.c */
void vrrp_reason(const struct vrrp_group *, const struct fsm_action *,
    char buf[CTL_TEXT_MAX]);

/* vrrp_show.c */
void show_vrrp(const struct vrrp_group *, uint32_t id,
    const struct ctl_request *, uint64_t now_us);

#endif
