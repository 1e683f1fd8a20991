/*
 * What natd's files share. nat_plan.c and nat_diff.c are pure; nat_nft.c
 * and nat_expr.c turn plans into netlink messages in memory; nat_state.c
 * reads what the kernel holds, nat_dump.c what that means; nat_show.c answers
 * hactl.
 */
#ifndef NATD_H
#define NATD_H

#include <event2/event.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "ctl_msg.h"
#include "imsg_msg.h"

#define NAT_HASH_LEN      16
#define NAT_GRACE_MS      30000 /* after a takeover; the kernel closes it */
#define NAT_GRACE_OPEN    UINT64_MAX /* without an end: not MASTER */
/* a forward, its hairpin; shifted ranges count port by port; and the rest */
#define NAT_ELEMS_MAX     (2 * CONF_FORWARDS_MAX + CONF_SHIFTED_MAX + 1024)
#define NAT_ELEMS_PER_MSG 500 /* a nested attribute holds 64 KiB */
#define NAT_WARNINGS_MAX  64
#define NAT_STATE_CHAIN   "hagw_state"

/* Sets and maps of the table; also the order of elements in a plan. */
enum nat_set {
	NS_VIP4, /* virtual addresses */
	NS_FWD4, /* address . protocol . port : address . port */
	NS_FWD4R, /* the same by ranges that keep the port */
	NS_SRC4, /* source network . outgoing interface : vip */
	NS_HAIR4, /* forwarded-to address . protocol . port : inside vip */
	NS_HAIR4R, /* the same by ranges */
	NS_GRACE, /* families picked up mid-stream; not part of a plan */
	NS_MAX
};

enum nat_chain {
	NC_RAW_PRE,
	NC_RAW_OUT,
	NC_EVENT_FWD,
	NC_EVENT_IN,
	NC_EVENT_OUT,
	NC_CLOSE_FWD,
	NC_GUARD_IN,
	NC_GUARD_OUT,
	NC_GUARD_FWD,
	NC_NAT_PRE,
	NC_NAT_POST,
	NC_STATE, /* no hook: the plan's hash as a rule's comment */
	NC_MAX
};

/* What a rule does; nat_nft.c has the expressions of each. */
enum nat_rule_kind {
	NR_NOTRACK_PROTO, /* proto */
	NR_NOTRACK_IN, /* UDP to port of address net, arriving by ifname */
	NR_NOTRACK_OUT, /* UDP to port, leaving by ifname */
	NR_EVENTS, /* new flows of proto (0: any) get mask */
	NR_NOT_TCP, /* nothing more in this chain */
	NR_OPEN, /* neither FIN, SYN nor RST: the same */
	NR_HELPED, /* a flow with a helper: the same */
	NR_AGAIN, /* a SYN+ACK after a FIN: as after a RST */
	NR_RST, /* the flow gets that label, and the event mask */
	NR_FIN_LAST, /* in direction, after one in the other: mask */
	NR_FIN, /* in direction: the label of it */
	NR_GUARD_VIP, /* unknown TCP at a vip: dropped */
	NR_GUARD_UNREACH, /* in the grace: no port unreachable */
	NR_MIDSTREAM, /* TCP without a SYN: reset */
	NR_MIDSTREAM_FIN, /* a FIN of no flow: reset */
	NR_DNAT, /* by set */
	NR_LOCAL_ACCEPT, /* the gateway's own packets: as they are */
	NR_HAIRPIN, /* within net/plen, by set */
	NR_SNAT, /* by set */
	NR_MAX
};

/* Zeroed before it is filled: plans are hashed and compared as bytes. */
struct nat_elem {
	uint8_t set;
	uint8_t proto;
	uint16_t lo; /* host order, as all ports here */
	uint16_t hi;
	uint16_t to_port;
	struct in_addr addr;
	struct in_addr addr_end; /* NS_SRC4: last address of the network */
	struct in_addr to;
	char ifname[IFNAMSIZ]; /* NS_SRC4 */
	uint32_t obj; /* source or forward in the conf; not compared */
};

struct nat_rule {
	uint8_t chain;
	uint8_t kind;
	uint8_t set;
	uint8_t proto;
	uint8_t plen;
	uint8_t direction; /* IP_CT_DIR_* */
	uint16_t port;
	uint32_t mask;
	struct in_addr net;
	char ifname[IFNAMSIZ];
};

#define NAT_RULES_MAX (25 + CONF_PATHS_MAX * 2 + CONF_NETS_MAX * 2)

struct nat_warning {
	char object[CONF_NAME_MAX];
	char text[CTL_TEXT_MAX];
};

struct nat_plan {
	struct nat_elem *elems; /* sorted by nat_elem_cmp, keys unique */
	size_t nelems;
	size_t cap;
	struct nat_rule rules[NAT_RULES_MAX]; /* by chain, then in order */
	size_t nrules;
	struct nat_warning warnings[NAT_WARNINGS_MAX];
	size_t nwarnings;
	uint8_t hash[NAT_HASH_LEN]; /* of elements and rules */
};

/* nat_plan.c: NULL and why filled in when it cannot be loaded */
struct nat_plan *plan_build(const struct conf *, char *why, size_t whysz);
void plan_free(struct nat_plan *); /* NULL allowed */
int nat_elem_cmp(const struct nat_elem *, const struct nat_elem *); /* keys */
/* Where an element with this key is, or NULL. */
const struct nat_elem *plan_find(
    const struct nat_plan *, const struct nat_elem *key);

/* nat_diff.c: pointers are into the two plans */
struct nat_delta {
	const struct nat_elem **del;
	const struct nat_elem **add;
	size_t ndel;
	size_t nadd;
	bool chain[NC_MAX]; /* its rules differ */
};
/* -1 only for lack of memory. */
int diff_plans(
    struct nat_delta *, const struct nat_plan *from, const struct nat_plan *to);
void diff_free(struct nat_delta *);

#define NAT_NO_OBJ UINT32_MAX /* what is removed is in no conf any more */

/* What a message of a batch is about, by nlmsg_seq; for the log. */
struct nat_label {
	uint8_t set; /* NS_MAX: none */
	uint8_t chain; /* NC_MAX: none */
	uint32_t first; /* objects of its elements */
	uint32_t last;
};

struct nat_batch {
	uint8_t *data;
	size_t len;
	size_t cap;
	struct nat_label *labels; /* labels[seq - 1] */
	uint32_t nlabels;
	uint32_t lcap;
};

/* nat_nft.c: whole batches, BEGIN to END; -1 only for lack of memory */
int nft_full(struct nat_batch *, const struct nat_plan *);
int nft_delta(
    struct nat_batch *, const struct nat_delta *, const struct nat_plan *to);
int nft_grace(struct nat_batch *, uint64_t timeout_ms);
/* Rules of the table once that plan is loaded. */
size_t nft_nrules(const struct nat_plan *);
void nft_batch_free(struct nat_batch *);
/* "map fwd4 (nat.forward "https")": what the kernel refused. */
void nft_label_str(const struct nat_batch *, uint32_t seq, const struct conf *,
    char *buf, size_t bufsz);
const char *nft_set_name(enum nat_set);
/* Read the key of a dumped element; -1: not of this shape. */
int nft_key_read(struct nat_elem *, enum nat_set, const void *key, size_t len,
    const void *key_end, size_t end_len);

/* nat_rule.c: the expressions of a rule, appended */
struct nftnl_rule;
void rule_build(struct nftnl_rule *, const struct nat_rule *);

/* nat_expr.c: one nftables expression each, appended to the rule */
void expr_payload(struct nftnl_rule *, uint32_t base, uint32_t off,
    uint32_t len, uint32_t dreg);
void expr_meta(struct nftnl_rule *, uint32_t key, uint32_t dreg);
void expr_ct(struct nftnl_rule *, uint32_t key, uint32_t dreg);
void expr_ct_events(struct nftnl_rule *, uint32_t mask);
/* HAGW_CT_* bits: add these; compare those in mask with value (NFT_CMP_*). */
void expr_ct_label(struct nftnl_rule *, uint8_t bits);
void expr_ct_labels(
    struct nftnl_rule *, uint8_t mask, uint32_t op, uint8_t value);
void expr_cmp(struct nftnl_rule *, uint32_t op, const void *, uint32_t len);
void expr_cmp8(struct nftnl_rule *, uint32_t op, uint8_t);
void expr_mask(struct nftnl_rule *, const void *mask, uint32_t len);
/* dreg 0: a set, not a map. */
void expr_lookup(
    struct nftnl_rule *, const char *set, uint32_t dreg, bool invert);
void expr_verdict(struct nftnl_rule *, uint32_t verdict);
void expr_notrack(struct nftnl_rule *);
void expr_reset(struct nftnl_rule *);
void expr_local_saddr(struct nftnl_rule *);
/* portreg 0: keep the port. */
void expr_nat(struct nftnl_rule *, uint32_t type, uint32_t portreg);

/* nat_state.c: dumps by the parent's leave, one at a time */
enum state_result { STATE_OK, STATE_FAILED };

/* What there is of our table. */
struct nat_found {
	bool marker; /* false: not loaded by natd, or not there */
	uint8_t hash[NAT_HASH_LEN]; /* of the plan it names */
	size_t nrules; /* the marker counts */
};
typedef void state_rules_cb(enum state_result, const struct nat_found *);

/* Whose flows are picked up mid-stream, by the set in the kernel. */
enum nat_grace { GRACE_NONE, GRACE_ENDS, GRACE_OPEN };
typedef void state_grace_cb(enum state_result, enum nat_grace);
/* Read one set's counters; each gets the key read and its packets. */
typedef void state_elem_cb(void *, const struct nat_elem *, uint64_t hits);
typedef void state_done_cb(void *, enum state_result);

/* nat_dump.c: one message of a dump */
struct nlmsghdr;
void dump_rule(const struct nlmsghdr *, struct nat_found *);
void dump_grace(const struct nlmsghdr *, enum nat_grace *); /* the highest */
void dump_elems(
    const struct nlmsghdr *, enum nat_set, state_elem_cb *, void *arg);

int state_init(struct event_base *);
void state_read_rules(state_rules_cb *);
void state_read_grace(state_grace_cb *);
void state_read_hits(enum nat_set, state_elem_cb *, state_done_cb *, void *);
void state_fd(const struct imsg *); /* IMSG_FD_NFT_DUMP */

/* nat_show.c */
struct nat_view {
	const struct conf *conf;
	const struct nat_plan *plan;
	struct ctl_nat nat; /* sources and forwards are filled in here */
};
int show_init(struct event_base *, void (*view)(struct nat_view *));
void show_request(const struct imsg *); /* IMSG_CTL_SHOW */
void show_conf_changed(void);

#endif
