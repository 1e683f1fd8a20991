/* What authz_nat.c and its two tables of objects share. */
#ifndef AUTHZ_NAT_H
#define AUTHZ_NAT_H

#include "parentd.h"

#define WALK_WHY_MAX    192
#define WALK_FIELDS_MAX 3
#define WALK_ARGS_MAX   16 /* highest attribute id of an expression */

struct walk;

struct attr {
	uint16_t type;
	uint16_t flags; /* NLA_F_* */
	const uint8_t *data;
	size_t len;
};

enum attr_kind { K_U8, K_U32, K_U64, K_STR, K_BIN, K_NEST };
enum attr_count { ONCE, REQUIRED, REPEATED };

struct attr_rule {
	uint16_t type;
	uint8_t kind;
	uint8_t count;
	uint16_t max; /* bytes of a string or of binary data */
	const char *name;
	int (*fn)(struct walk *, const struct attr *); /* may be NULL */
};

struct attr_list {
	const char *name;
	const struct attr_rule *rules; /* at most 32 */
	size_t n;
	bool array; /* each is like the first rule, whatever its number */
};
#define LIST(name, rules)                         \
	{                                         \
		name, rules, nitems(rules), false \
	}

struct walk_bytes {
	const uint8_t *p; /* NULL: not there */
	size_t len;
};

struct nset_rule;
struct expr_rule;
struct chain_rule;

/*
 * What is known of the first register, by the expression before: where a rule
 * may do more for what it has matched, this has to be true of that. Whatever
 * comes in between could have written over it.
 */
enum holds {
	HOLDS_ANYTHING,
	HOLDS_NFPROTO,
	HOLDS_L4PROTO,
	HOLDS_STATE, /* of the flow */
	HOLDS_UNKNOWN, /* of it the bits NEW, INVALID */
	HOLDS_SADDR, /* of IPv4 */
	HOLDS_DADDR,
	HOLDS_ICMP, /* type and code, if it is ICMP */
	HOLDS_EVENTMASK,
	HOLDS_LABEL,
	HOLDS_MAPPED /* the addresses that walk.mapped has given */
};

/* What all packets are that come to the rule's next expression. */
#define SEEN_IPV4    0x01
#define SEEN_TCP     0x02
#define SEEN_ICMP    0x04
#define SEEN_UNREACH 0x08 /* type and code: port unreachable */
#define SEEN_UNKNOWN 0x10 /* of no flow, or the first of one */
#define SEEN_FROMVIP 0x20
#define SEEN_TOVIP   0x40

/* One message's walk: what was met so far. */
struct walk {
	const struct authz_view *view;
	unsigned int msg; /* counted from 1 */
	const char *what; /* "new rule" */
	bool deleting;
	const struct chain_rule *chain;
	struct {
		bool there;
		const char *type;
		uint32_t num;
		int32_t prio;
	} hook;
	const struct nset_rule *set;
	struct {
		uint32_t flags, keytype, keylen, datatype, datalen;
		uint8_t fields[WALK_FIELDS_MAX];
		uint8_t nfields;
		bool counter;
	} def;
	bool elems;
	struct walk_bytes key, key_end, data; /* of an element */
	uint64_t timeout_ms; /* of an element; 0: none */
	const struct expr_rule *expr;
	uint32_t arg[WALK_ARGS_MAX]; /* of an expression, by attribute */
	uint32_t args; /* bits of those met */
	struct walk_bytes value;
	struct walk_bytes mask; /* of a bitwise */
	bool verdict;
	uint32_t code;
	const struct nset_rule *looked_up;
	const struct nset_rule *mapped; /* HOLDS_MAPPED */
	enum holds held; /* before this expression */
	enum holds holds; /* after it */
	unsigned int seen; /* SEEN_* */
	char why[WALK_WHY_MAX];
};

/* -1 always */
int walk_refuse(struct walk *, const char *, ...)
    __attribute__((format(printf, 2, 3)));
int walk_attrs(
    struct walk *, const uint8_t *, size_t, const struct attr_list *);
uint32_t attr_u32(const struct attr *);
/* What a rule of this chain has to have seen; 0: it never may. */
unsigned int chain_drops(const struct chain_rule *);
unsigned int chain_resets(const struct chain_rule *);

/* authz_nset.c: sets, maps and their elements */
enum nset_use { NSET_MATCH, NSET_DNAT, NSET_DNAT_PORT, NSET_SNAT };

const struct nset_rule *nset_find(const char *name);
enum nset_use nset_use(const struct nset_rule *);
int nset_name(struct walk *, const struct attr *);
int nset_flags(struct walk *, const struct attr *);
int nset_keytype(struct walk *, const struct attr *);
int nset_keylen(struct walk *, const struct attr *);
int nset_datatype(struct walk *, const struct attr *);
int nset_datalen(struct walk *, const struct attr *);
int nset_desc(struct walk *, const struct attr *);
int nset_expr(struct walk *, const struct attr *);
int nset_done(struct walk *);
int nset_elems(struct walk *, const struct attr *);
int nset_elems_done(struct walk *);

/* authz_nexpr.c: the expressions of a rule */
int walk_exprs(struct walk *, const uint8_t *, size_t);
int walk_counter(struct walk *, const uint8_t *, size_t);

#endif
