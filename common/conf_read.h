/* What the files that read a site file share. */
#ifndef CONF_READ_H
#define CONF_READ_H

#include <stdbool.h>
#include <stddef.h>

#include "conf.h"
#include "yaml_read.h"

/* Messages kept of one file; more are only counted. */
#define REPORT_MSGS_MAX 1000

struct schema_key;

/* The conf being made, and where each of its objects stands in the file. */
struct conf_reader {
	struct conf *conf;
	struct conf_report *report;
	struct ynode *root;
	struct ynode *nodes[CONF_NODES_MAX];
	struct ynode *nets[CONF_NETS_MAX];
	struct ynode **sources; /* h.nsources */
	struct ynode **forwards; /* h.nforwards */
};

/* conf_report.c */
int report_source(struct conf_report *, const char *buf, size_t len);
void report_add(struct conf_report *, enum conf_level, int line, int col,
    int width, const char *, ...) __attribute__((format(printf, 6, 7)));
/* About a node: an error also marks it as bad. */
void report_error(struct conf_report *, struct ynode *, const char *, ...)
    __attribute__((format(printf, 3, 4)));
void report_warn(struct conf_report *, const struct ynode *, const char *, ...)
    __attribute__((format(printf, 3, 4)));
void report_sort(struct conf_report *);
/* Characters up to the next blank or bracket; at least 1. */
int report_word_width(const struct conf_report *, int line, int col);

/* conf_value.c: one value of the type that the key asks for, into base */
void conf_value_read(struct conf_reader *, const struct schema_key *,
    struct ynode *, void *base);
/* "10s" in microseconds; -1 when it is not one. */
int conf_duration_parse(const char *, uint64_t *us);
bool conf_name_ok(const char *);

/* conf_read.c: maps and lists, walked along the schema */
/* `in` is the schema's name of the map, `where` the one for people. */
void conf_map_read(struct conf_reader *, const char *in, const char *where,
    struct ynode *, void *base);
/* Is there neither this key nor one that must have meant it? */
bool conf_absent(const char *in, const struct ynode *map, const char *key);
void conf_section_read(struct conf_reader *, const struct schema_key *,
    struct ynode *, void *base);
void conf_nodes_read(struct conf_reader *, const struct schema_key *,
    struct ynode *, void *base);
void conf_networks_read(struct conf_reader *, const struct schema_key *,
    struct ynode *, void *base);
void conf_sources_read(struct conf_reader *, const struct schema_key *,
    struct ynode *, void *base);
void conf_forwards_read(struct conf_reader *, const struct schema_key *,
    struct ynode *, void *base);

/* conf_check.c, conf_check_nat.c: meaning */
void conf_check(struct conf_reader *, const char *node);
void conf_check_nat(struct conf_reader *);
/* Which of two places is further down in the file? */
struct ynode *conf_later(struct ynode *, struct ynode *);
/* "network", "broadcast", or NULL for an address that a host can have. */
const char *conf_no_host(struct in_addr, int plen);
/* A key's value when it and its map were understood, else NULL. */
struct ynode *conf_good(const struct ynode *map, const char *key);

#endif
