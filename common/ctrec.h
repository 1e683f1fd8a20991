/*
 * A conntrack flow as a fixed-size record: what syncd makes of kernel events
 * and dumps, what it asks the parent to inject, and what both wire codecs
 * carry. It is independent of any wire format.
 */
#ifndef CTREC_H
#define CTREC_H

#include <linux/netfilter/nf_conntrack_tcp.h>
#include <stdbool.h>
#include <stdint.h>

#include "addr.h"

/* What to do with it. */
enum ct_op {
	CT_OP_NEW = 1, /* probably unknown at the peer: create, else update */
	CT_OP_UPDATE, /* probably known: update, else create */
	CT_OP_DELETE,
	CT_OP_TIMEOUT /* only the timeout of an existing entry */
};

/* Which of the optional fields are set (ct_rec.fields). */
#define CTF_STATUS  0x0001
#define CTF_TIMEOUT 0x0002
#define CTF_MARK    0x0004
#define CTF_TCP     0x0008 /* tcp_state */
#define CTF_TCP_WIN 0x0010 /* wscale_*, tcp_flags_* */
#define CTF_ID      0x0020 /* id: delete only the entry with this id */
#define CTF_OVER    0x0040 /* a FIN came from both sides: it ends by itself */

/*
 * Addresses and ports in network order. ICMP: the id stands in sport, type
 * and code in the high and low byte of dport (host order type << 8 | code,
 * stored with htons), of the original direction.
 */
struct ct_tuple {
	union addr src;
	union addr dst;
	uint16_t sport; /* be16 */
	uint16_t dport; /* be16 */
};

struct ct_rec {
	struct ct_tuple orig;
	struct ct_tuple reply; /* after translation, as the kernel has it */
	uint32_t status; /* IPS_* bits */
	uint32_t timeout_s;
	uint32_t mark;
	uint32_t id; /* CTA_ID, host order, of the kernel that has the entry */
	uint16_t fields; /* CTF_* */
	uint16_t zone; /* 0: the default zone, the only one so far */
	uint8_t op; /* enum ct_op */
	uint8_t family; /* AF_INET or AF_INET6 */
	uint8_t proto; /* IPPROTO_* */
	uint8_t tcp_state; /* enum tcp_conntrack */
	uint8_t wscale_orig;
	uint8_t wscale_reply;
	uint8_t tcp_flags_orig; /* IP_CT_TCP_FLAG_* */
	uint8_t tcp_flags_reply;
};

/* A state in which nothing new is said: FINs from both sides, or a RST. */
static inline bool
ct_tcp_over(uint8_t tcp_state)
{
	return tcp_state == TCP_CONNTRACK_LAST_ACK ||
	    tcp_state == TCP_CONNTRACK_TIME_WAIT ||
	    tcp_state == TCP_CONNTRACK_CLOSE;
}

/*
 * Hold time: a flow injected on a standby sees no traffic, so its timer must
 * outlast the owner's. The time is the base plus one of four steps chosen
 * by the bulk's generation: what is left of it tells in a dump both that
 * the entry is held for a peer and by which generation it was last
 * confirmed. Above any protocol's timeout (5 days), below the kernel's
 * ceiling (INT_MAX jiffies, 24.8 days at 1000 Hz). A full bulk each day
 * keeps the remainder inside its step.
 */
#define CT_HOLD_BASE_S 864000 /* 10 days */
#define CT_HOLD_STEP_S 259200 /* 3 days */
#define CT_HOLD_STEPS  4
#define CT_HOLD_MAX_S  (CT_HOLD_BASE_S + CT_HOLD_STEPS * CT_HOLD_STEP_S)

/* The timeout to inject with in this generation. */
static inline uint32_t
ct_hold_timeout(uint32_t generation)
{
	return CT_HOLD_BASE_S +
	    (generation % CT_HOLD_STEPS + 1) * CT_HOLD_STEP_S;
}

/* The step (0..3) an entry with this remaining time belongs to; -1: none. */
static inline int
ct_hold_step(uint32_t left_s)
{
	if (left_s <= CT_HOLD_BASE_S)
		return -1;
	return (int)((left_s - CT_HOLD_BASE_S - 1) / CT_HOLD_STEP_S);
}

#endif
