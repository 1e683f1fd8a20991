/* The one table of keys: what may stand in a site file, and where it goes. */
#ifndef SCHEMA_H
#define SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum schema_type {
	ST_MAP, /* keys of the table, same base */
	ST_NODES, /* name: map */
	ST_NETWORKS, /* name: map */
	ST_SOURCES, /* list of maps */
	ST_FORWARDS, /* list of maps */
	ST_NAME, /* char[max] */
	ST_NUMBER, /* uint8_t or uint16_t, by range */
	ST_DURATION, /* uint32_t, microseconds */
	ST_PREEMPT, /* struct conf_ha: never or a map */
	ST_PROTOCOLS, /* uint8_t, CONF_PROTO_* */
	ST_FILE, /* char[max] */
	ST_IFNAME, /* struct conf_net: name, or by node */
	ST_ADDRESS, /* struct conf_net: by node */
	ST_HOST, /* struct in_addr */
	ST_NETWORK, /* uint8_t, index */
	ST_NETLIST, /* uint8_t count, then that many indices */
	ST_VIP, /* the word vip */
	ST_PORT, /* struct conf_forward: proto, lo, hi */
	ST_TARGET, /* struct conf_forward: to, to_port */
	ST_BOOL, /* uint8_t */
	ST_MAX
};

struct schema_key {
	const char *in; /* the map's path, "" at the top, "networks.*" */
	const char *key;
	enum schema_type type;
	bool required;
	size_t off; /* of the target in what the map fills */
	int64_t min; /* durations in microseconds */
	int64_t max; /* of names and files: size with the NUL; of lists:
		      * entries */
	int64_t step; /* of durations */
	const char *def; /* default, for people */
	const char *arg; /* what the value is, for the manual */
	const char *help; /* mdoc text */
};

/* The table's rows of one map in their order; NULL after the last. */
const struct schema_key *schema_next(
    const char *in, const struct schema_key *prev);
const struct schema_key *schema_find(const char *in, const char *key);

/* Edits (insert, delete, change, swap neighbours) that turn a into b. */
int schema_distance(const char *a, const char *b);

/* Is b close enough to a for "did you mean"? Lower is closer; -1: no. */
int schema_likeness(const char *a, const char *b);

/* The likeliest key of a map for a misspelt one, or NULL. */
const char *schema_suggest(const char *in, const char *word);

#endif
