/* A YAML file as a tree in which every node knows its place. */
#ifndef YAML_READ_H
#define YAML_READ_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>

#include "conf.h"

#define YAML_SIZE_MAX  (16 * 1024 * 1024) /* bytes of a file */
#define YAML_NODES_MAX (1024 * 1024)
#define YAML_KEYS_MAX  256 /* in one map */
#define YAML_DEPTH_MAX 12

enum ytype { Y_SCALAR, Y_LIST, Y_MAP };

struct ynode {
	STAILQ_ENTRY(ynode) entry;
	STAILQ_HEAD(ynodes, ynode) kids; /* of a list, or the values of a map */
	struct ynode *key; /* a scalar; only for the value in a map */
	char *text; /* of a scalar */
	enum ytype type;
	int line; /* from 1 */
	int col; /* from 1, in characters */
	int width;
	bool plain; /* of a scalar: not in quotes */
	bool bad; /* complained about already: not to be looked at */
};

/* NULL with errors in the report; an empty file is one of them. */
struct ynode *yaml_read(const char *buf, size_t len, struct conf_report *);
void ynode_free(struct ynode *); /* NULL allowed */

/* The value of a key, or NULL; a node that is no map has none. */
struct ynode *ynode_get(const struct ynode *, const char *key);

#endif
