/*
 * The message catalogue. Structs without pointers; children send ids and
 * choices, never names or addresses the configuration already has. Who may
 * send what, when, of what length and with which descriptor is a table:
 * imsg_rules.c.
 */
#ifndef IMSG_MSG_H
#define IMSG_MSG_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "ctl_msg.h"
#include "ctrec.h"
#include "imsg.h"
#include "log.h"

/* P parent, V vrrpd, S syncd, N natd, C ctld, U user (hactl), * any child */
enum imsg_type {
	IMSG_NONE,
	/* life */
	IMSG_PROC_HELLO, /* *->P imsg_hello: first */
	IMSG_PROC_READY, /* *->P imsg_ready: the sandbox is closed */
	IMSG_PROC_SHUTDOWN, /* P->* */
	IMSG_PROC_VERBOSE, /* P->* uint32_t */
	IMSG_PROC_PING, /* P->* */
	IMSG_PROC_PONG, /* *->P */
	IMSG_PROC_LOG, /* *->P imsg_log */
	IMSG_PROC_EVENT, /* *->P imsg_text: for show events */
	/* configuration, two-phase */
	IMSG_RECONF_BEGIN, /* P->* conf_head */
	IMSG_RECONF_SOURCE, /* P->N conf_source[] */
	IMSG_RECONF_FORWARD, /* P->N conf_forward[] */
	IMSG_RECONF_KEY, /* P->S imsg_key */
	IMSG_RECONF_DRAIN, /* P->*: all items sent; check them */
	IMSG_RECONF_DRAINED, /* *->P imsg_drained */
	IMSG_RECONF_DONE, /* P->*: switch */
	IMSG_RECONF_ABORT, /* P->*: forget */
	/* descriptors, ready to use; locked where a filter is on them */
	IMSG_FD_VRRP_RX, /* P->V imsg_net */
	IMSG_FD_VRRP_TX, /* P->V imsg_net; connected to 224.0.0.18 */
	IMSG_FD_SYNC, /* P->S imsg_sync_path; UDP, connected to peer */
	IMSG_FD_CT_EVENTS, /* P->S; groups joined, own events filtered */
	IMSG_FD_CT_DUMP, /* P->S id of the request */
	IMSG_FD_NFT_DUMP, /* P->N id of the request */
	IMSG_FD_CTL, /* P->C the listening socket */
	IMSG_FD_LEASE, /* P->V the lease page, lease.h; to be mapped */
	/* links */
	IMSG_LINK_STATE, /* P->V,S imsg_link */
	/* VRRP */
	IMSG_VRRP_STATE, /* V->P imsg_vrrp_state */
	IMSG_VRRP_ANNOUNCE, /* V->P: send GARPs again */
	IMSG_VRRP_HANDOVER, /* V->P: ask the master to hand over (preempt) */
	IMSG_VRRP_RESUME, /* P->V imsg_vrrp_resume, before RECONF_DONE */
	IMSG_VRRP_RELEASE, /* P->V imsg_vrrp_release */
	IMSG_VRRP_RELEASED, /* V->P imsg_vrrp_released */
	IMSG_VRRP_REVOKED, /* P->V: lease ran out, addresses are gone */
	IMSG_VRRP_READY, /* P->V imsg_vrrp_ready */
	IMSG_VRRP_PREEMPT, /* P->V: hactl failback: take over when possible */
	IMSG_VRRP_ROLE, /* P->S,N imsg_vrrp_role */
	/* conntrack */
	IMSG_CT_INJECT, /* S->P ct_rec[], id of the batch */
	IMSG_CT_APPLIED, /* P->S imsg_ct_applied + imsg_ct_fail[] */
	IMSG_CT_DUMP, /* S->P id of the request */
	IMSG_CT_STATUS, /* S->P imsg_ct_status, one peer */
	IMSG_CT_BARRIER, /* P->S: have all records confirmed */
	IMSG_CT_BARRIER_DONE, /* S->P imsg_ct_barrier */
	IMSG_CT_HANDOVER, /* P->S: ask the master for a handover */
	IMSG_CT_HANDOVER_ASKED, /* S->P imsg_ct_handover: a peer asks us */
	IMSG_CT_TIMEOUTS, /* P->S imsg_ct_timeouts, at start and reload */
	IMSG_CT_COUNT, /* P->S imsg_ct_count: each second, wants STATUS */
	IMSG_CT_UNFIT, /* P->S imsg_ct_unfit: for the heartbeats */
	/* NAT */
	IMSG_NAT_BATCH, /* N->P bytes of netlink messages; id of batch */
	IMSG_NAT_COMMIT, /* N->P imsg_nat_commit: all parts sent */
	IMSG_NAT_RESULT, /* P->N imsg_nat_result */
	IMSG_NAT_LOADED, /* N->P imsg_nat_loaded, when it changes */
	IMSG_NAT_DUMP, /* N->P imsg_nat_dump, id of the request */
	IMSG_NAT_CHANGED, /* P->N imsg_nat_changed: not by hagw */
	/* control */
	IMSG_CTL_HELLO, /* C->U ctl_hello */
	IMSG_CTL_REQUEST, /* U->C, C->P ctl_request, id */
	IMSG_CTL_SHOW, /* P->V,S,N ctl_request, id */
	IMSG_CTL_CANCEL, /* C->P id: the client went away */
	IMSG_CTL_END, /* V,S,N->P, P->C, C->U ctl_end, id */
	IMSG_CTL_TEXT, /* rows: the same way */
	IMSG_CTL_PROGRESS,
	IMSG_CTL_EVENT,
	IMSG_CTL_WARNING,
	IMSG_CTL_NODE,
	IMSG_CTL_PEER,
	IMSG_CTL_VRRP,
	IMSG_CTL_VRRP_NET,
	IMSG_CTL_SYNC,
	IMSG_CTL_SYNC_PEER,
	IMSG_CTL_NAT,
	IMSG_CTL_NAT_RULE,
	IMSG_CTL_PROCESS,
	IMSG_MAX
};

struct imsg_hello {
	uint32_t proc; /* enum proc_id */
	char build_id[32];
};

struct imsg_ready {
	uint32_t lacks; /* SB_NO_* */
};

struct imsg_log {
	int32_t pri;
	char text[LOG_LINE_MAX];
};

struct imsg_text {
	char text[CTL_TEXT_MAX];
};

struct imsg_key {
	uint8_t key[HAGW_SYNC_KEYLEN];
};

struct imsg_drained {
	int32_t ok;
	char why[CTL_TEXT_MAX]; /* when not ok */
};

/* Indices are of the conf that was last begun (or is running). */
struct imsg_net {
	uint32_t net;
};

struct imsg_sync_path {
	uint32_t node; /* the peer */
	uint32_t path; /* index into sync.paths */
};

struct imsg_link {
	uint32_t net;
	uint32_t up; /* exists, administratively up, carrier */
};

struct imsg_vrrp_state {
	uint32_t role; /* MASTER, BACKUP or FAULT */
	char reason[CTL_TEXT_MAX];
};

struct imsg_vrrp_resume {
	uint32_t role; /* MASTER or BACKUP */
	uint32_t released; /* hactl failover is in force: do not preempt */
	uint32_t transitions;
	uint32_t ready;
	uint64_t since_us; /* monotonic, when the role began */
	uint64_t since_real_ns;
};

enum vrrp_release {
	RELEASE_FAILOVER = 1, /* the operator: no preemption afterwards */
	RELEASE_HANDOVER, /* a better node asked for it */
	RELEASE_SHUTDOWN
};

struct imsg_vrrp_release {
	uint32_t kind;
	uint32_t hold_us; /* keep the addresses no longer than this */
};

struct imsg_vrrp_released {
	uint32_t ok; /* a successor was heard; else MASTER again */
	struct in_addr successor;
	uint64_t took_us;
};

struct imsg_vrrp_ready {
	uint32_t ready; /* this node holds every flow */
	uint32_t sync_up; /* at least one peer answers */
	uint32_t peer_master; /* a peer says it is MASTER, by sync */
	uint32_t peer_able; /* one says it is MASTER or BACKUP */
};

struct imsg_vrrp_role {
	uint32_t role;
	uint32_t age_ms; /* since when it has it */
};

struct imsg_ct_applied {
	uint32_t done;
	uint32_t nfail; /* that many imsg_ct_fail follow */
};

struct imsg_ct_fail {
	uint32_t index; /* of the record in the batch */
	int32_t error; /* errno; EPERM: refused by authz */
};

struct imsg_ct_status {
	uint32_t node; /* the peer */
	uint32_t up;
	uint32_t role; /* the peer's */
	uint32_t ready; /* the peer holds every flow of ours */
	uint32_t self_ready;
	uint32_t peer_released;
	uint8_t hash[CONF_HASH_LEN]; /* the peer's configuration */
	uint64_t unconfirmed;
	uint64_t lag_us;
	uint64_t flows; /* the peer's */
	uint64_t seen_us; /* ago */
};

struct imsg_ct_barrier {
	uint32_t node; /* that confirmed least; this one: no peer is up */
	uint32_t ok; /* all confirmed in time */
	uint64_t unconfirmed;
};

struct imsg_ct_handover {
	uint32_t node; /* who asks */
	uint32_t operator; /* hactl failback, not preemption */
};

/* Seconds, as the kernel's sysctls say now. */
struct imsg_ct_timeouts {
	uint32_t tcp[16]; /* by enum tcp_conntrack */
	uint32_t udp_unreplied;
	uint32_t udp_replied;
	uint32_t icmp;
	uint32_t icmpv6;
	uint32_t generic;
};

struct imsg_ct_count {
	uint64_t count;
	uint64_t max;
};

/* This node could not do a master's work, whatever flows it holds. */
struct imsg_ct_unfit {
	uint32_t unfit;
};

struct imsg_nat_commit {
	uint32_t parts;
	uint32_t bytes;
};

struct imsg_nat_result {
	int32_t error; /* errno; 0: the kernel took it whole */
	uint32_t seq; /* nlmsg_seq of the message it refused; 0: none */
};

/* Does the kernel hold the whole table as the configuration wants it? */
struct imsg_nat_loaded {
	uint32_t loaded;
};

enum nat_dump {
	NAT_DUMP_RULES = 1, /* of the table */
	NAT_DUMP_ELEMENTS, /* of one set */
	NAT_DUMP_CHAINS,
	NAT_DUMP_SETS,
	NAT_DUMP_TABLES
};

struct imsg_nat_dump {
	uint32_t what;
	char set[32]; /* NAT_DUMP_ELEMENTS: which */
};

enum nat_changed {
	NAT_CHANGED_PERHAPS, /* what the kernel told of it was lost */
	NAT_CHANGED_RULES,
	NAT_CHANGED_GONE
};

struct imsg_nat_changed {
	uint32_t what; /* enum nat_changed */
};

/* Directions, as bits of a rule. */
#define FROM_VRRP  (1u << PROC_VRRP)
#define FROM_SYNC  (1u << PROC_SYNC)
#define FROM_NAT   (1u << PROC_NAT)
#define FROM_CTL   (1u << PROC_CTL)
#define FROM_CHILD (FROM_VRRP | FROM_SYNC | FROM_NAT | FROM_CTL)

/* When a message is in order. */
enum imsg_phase {
	PHASE_START = 0x1, /* before READY */
	PHASE_IDLE = 0x2, /* sandboxed, no configuration yet */
	PHASE_RUN = 0x4 /* configured */
};
#define PHASE_ANY   0x7
#define PHASE_READY (PHASE_IDLE | PHASE_RUN)

struct imsg_rule {
	const char *name;
	unsigned int from; /* children that may send it to the parent */
	unsigned int to; /* children that the parent may send it to */
	unsigned int user; /* 1: hactl to ctld; 2: ctld to hactl */
	unsigned int phases; /* of the child */
	uint32_t len; /* exact, or the fixed part */
	uint32_t unit; /* size of the repeated part; 0: none */
	bool fd;
};

enum imsg_check {
	IMSG_FINE,
	IMSG_BAD_TYPE,
	IMSG_BAD_SENDER,
	IMSG_BAD_PHASE,
	IMSG_BAD_LENGTH,
	IMSG_BAD_FD
};

/* Never NULL for a type below IMSG_MAX other than IMSG_NONE. */
const struct imsg_rule *imsg_rule(uint32_t type);
const char *imsg_name(uint32_t type);
const char *imsg_check_str(enum imsg_check);

/* Sender, phase, exact length, descriptor: in that order. */
enum imsg_check imsg_check_from(
    const struct imsg *, enum proc_id from, enum imsg_phase);
enum imsg_check imsg_check_to(
    const struct imsg *, enum proc_id to, enum imsg_phase);
enum imsg_check imsg_check_user(const struct imsg *, int direction);

#endif
