/*
 * The site as structs. A conf is built by the YAML reader (parent, hactl
 * check) or item by item from the parent's RECONF messages (children), and
 * is not changed after that. Objects refer to each other by index into
 * their array; an index means nothing in another conf: across a reload
 * objects are matched by name.
 */
#ifndef CONF_H
#define CONF_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "hagw.h"

#define CONF_NAME_MAX             32 /* with the NUL */
#define CONF_SITE_MAX             64
#define CONF_PATH_MAX             256
#define CONF_NODES_MAX            8
#define CONF_NETS_MAX             32
#define CONF_PATHS_MAX            4 /* of sync.over; this version takes one */
#define CONF_SOURCES_MAX          256
#define CONF_FORWARDS_MAX         65536
#define CONF_SHIFTED_MAX          65536 /* ports of ranges that shift them */
#define CONF_HASH_LEN             32

#define CONF_ADVERTISE_MIN_US     10000 /* 10ms */
#define CONF_ADVERTISE_MAX_US     40000000 /* 40s */
#define CONF_ADVERTISE_DEFAULT_US 1000000 /* 1s */

/* sync.protocols, a mask */
#define CONF_PROTO_TCP            0x01
#define CONF_PROTO_UDP            0x02
#define CONF_PROTO_ICMP           0x04 /* ICMP and ICMPv6 */
#define CONF_PROTO_ALL            0x07

struct conf_node {
	char name[CONF_NAME_MAX];
	uint8_t priority; /* 1-254 */
};

struct conf_net {
	char name[CONF_NAME_MAX];
	char ifname[CONF_NODES_MAX][IFNAMSIZ]; /* by node */
	struct in_addr addr[CONF_NODES_MAX]; /* by node; 0: none there */
	struct in_addr vip; /* 0: none */
	uint8_t plen; /* the same on every node */
	uint8_t vrid; /* 0 without a vip */
};

struct conf_ha {
	uint32_t advertise_us;
	uint32_t preempt_after_us;
	uint8_t preempt; /* bool; false: never */
	uint8_t nnets;
	uint8_t nets[CONF_NETS_MAX];
};

struct conf_sync {
	char key_file[CONF_PATH_MAX];
	uint16_t port; /* UDP, host order */
	uint8_t protocols;
	uint8_t npaths; /* 0: no sync section, a lone node */
	uint8_t paths[CONF_PATHS_MAX]; /* networks */
};

/* nat.source: what comes from `from` leaves `to` with to's vip. */
struct conf_source {
	char name[CONF_NAME_MAX];
	uint8_t from;
	uint8_t to;
};

/* nat.forward: ports are host order, inclusive. */
struct conf_forward {
	char name[CONF_NAME_MAX];
	struct in_addr to;
	uint16_t lo;
	uint16_t hi;
	uint16_t to_port; /* first one; equals lo when ports are kept */
	uint8_t on; /* network whose vip it listens at */
	uint8_t proto; /* IPPROTO_TCP or IPPROTO_UDP */
	uint8_t hairpin; /* bool */
};

/* Ports it maps one by one: those of a range that leads to others; or 0. */
static inline uint32_t
conf_shifted(const struct conf_forward *f)
{
	return f->lo != f->hi && f->lo != f->to_port
	    ? (uint32_t)f->hi - f->lo + 1
	    : 0;
}

/* What fits one message: everything but the two arrays. */
struct conf_head {
	char site[CONF_SITE_MAX];
	uint8_t hash[CONF_HASH_LEN]; /* of the canonical print; all nodes */
	uint32_t nsources;
	uint32_t nforwards;
	uint8_t nnodes;
	uint8_t nnets;
	uint8_t self; /* index of this node; not part of the hash */
	struct conf_ha ha;
	struct conf_sync sync;
	struct conf_node nodes[CONF_NODES_MAX];
	struct conf_net nets[CONF_NETS_MAX];
};

struct conf {
	struct conf_head h;
	struct conf_source *sources; /* h.nsources */
	struct conf_forward *forwards; /* h.nforwards */
};

/* All return NULL or -1 only for lack of memory, unless said otherwise. */
struct conf *conf_new(void);
struct conf *conf_copy(const struct conf *);
void conf_free(struct conf *); /* NULL allowed */
int conf_add_source(struct conf *, const struct conf_source *);
int conf_add_forward(struct conf *, const struct conf_forward *);

/* Fill h.hash from the canonical print. */
int conf_hash(struct conf *);

/* The canonical YAML: reading it again gives the same conf. */
void conf_print(FILE *, const struct conf *);

/* Index by name, or -1. */
int conf_node_find(const struct conf *, const char *name);
int conf_net_find(const struct conf *, const char *name);
int conf_source_find(const struct conf *, const char *name);
int conf_forward_find(const struct conf *, const char *name);

/*
 * This node's name: told, or what its file says, or else the hostname up to
 * the first dot, which need not be in the site: then sure is false. Valid
 * until the next call.
 */
const char *conf_node_name(const char *told, bool *sure);

/* This node's interface and address on network n. */
const char *conf_ifname(const struct conf *, int n);
struct in_addr conf_addr(const struct conf *, int n);

/* Is network n a member of the ha group? */
bool conf_in_group(const struct conf *, int n);

/*
 * Does network a of conf x need other VRRP sockets than network b of y?
 * Same name, interface, own address and vrid mean no.
 */
bool conf_net_same_vrrp(
    const struct conf *x, int a, const struct conf *y, int b);
bool conf_net_same_sync(const struct conf *x, const struct conf *y);

/*
 * What a reload would change, for people: one call per line, such as
 * + nat.forward "smtp". Returns the number of lines.
 */
int conf_diff(const struct conf *from, const struct conf *to,
    void (*line)(void *, const char *), void *arg);

/*
 * Reading. Every complaint goes through one list, sorted by place, all of
 * them, not the first alone. line and col count from 1; 0 means the whole
 * file.
 */
enum conf_level { CONF_ERROR, CONF_WARNING };

struct conf_msg {
	enum conf_level level;
	int line;
	int col;
	int width; /* columns to underline */
	char *text; /* "unknown key ..." without place */
};

struct conf_report {
	char *path;
	char **lines; /* the file's text, for underlining */
	size_t nlines;
	struct conf_msg *msgs;
	size_t nmsgs;
	size_t errors;
	size_t warnings;
	/*
	 * Set after init by who reads the file on the very node it is read
	 * for: an interface this does not know is warned of. NULL: elsewhere.
	 */
	bool (*has_link)(const char *ifname);
};

void conf_report_init(struct conf_report *, const char *path);
void conf_report_free(struct conf_report *);

/*
 * As compilers do: file:line:column: error: text, the line, the underline;
 * then the closing count ("2 errors, 1 warning; nothing was changed").
 */
void conf_report_print(FILE *, const struct conf_report *);

/*
 * Read and check a site file. node is this node's name; NULL takes no
 * node (h.self is then 0 and only site-wide checks are made). Returns a
 * conf the caller frees, or NULL with errors in the report. Warnings do
 * not prevent a conf.
 */
struct conf *conf_load(
    const char *path, const char *node, struct conf_report *);

/* The same from memory; path is only for messages. */
struct conf *conf_load_buf(const char *buf, size_t len, const char *path,
    const char *node, struct conf_report *);

/*
 * The sync key: a file of mode 0600, root's, of exactly 32 bytes or of 64
 * hexadecimal digits and a newline. 0, or -1 with why filled in.
 */
int conf_read_key(
    const char *path, uint8_t key[HAGW_SYNC_KEYLEN], char *why, size_t whysz);

/* The man page's list of keys, in mdoc, from the schema table. */
void conf_schema_mdoc(FILE *);

#endif
