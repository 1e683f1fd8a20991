/* The site as structs: life, look-ups and comparison. */
#include <stdlib.h>
#include <string.h>

#include "conf.h"

struct conf *
conf_new(void)
{
	struct conf *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	c->h.ha.advertise_us = CONF_ADVERTISE_DEFAULT_US;
	c->h.sync.port = HAGW_SYNC_PORT;
	c->h.sync.protocols = CONF_PROTO_ALL;
	strcpy(c->h.sync.key_file, HAGW_DEFAULT_KEY);
	return c;
}

void
conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	free(c->sources);
	free(c->forwards);
	free(c);
}

/* A copy of n > 0 objects; NULL for lack of memory. */
static void *
array_copy(const void *src, size_t n, size_t size)
{
	void *dst;

	if ((dst = reallocarray(NULL, n, size)) != NULL)
		memcpy(dst, src, n * size);
	return dst;
}

struct conf *
conf_copy(const struct conf *c)
{
	struct conf *n;

	if ((n = calloc(1, sizeof(*n))) == NULL)
		return NULL;
	n->h = c->h;
	if (c->h.nsources > 0)
		n->sources =
		    array_copy(c->sources, c->h.nsources, sizeof(*c->sources));
	if (c->h.nforwards > 0)
		n->forwards = array_copy(
		    c->forwards, c->h.nforwards, sizeof(*c->forwards));
	if ((c->h.nsources > 0 && n->sources == NULL) ||
	    (c->h.nforwards > 0 && n->forwards == NULL)) {
		conf_free(n);
		return NULL;
	}
	return n;
}

/* Room for one more; grows at powers of two, so capacity needs no field. */
static void *
array_grow(void *array, uint32_t n, size_t size)
{
	if ((n & (n - 1)) != 0)
		return array;
	return reallocarray(array, n == 0 ? 1 : (size_t)n * 2, size);
}

int
conf_add_source(struct conf *c, const struct conf_source *s)
{
	struct conf_source *p;

	p = array_grow(c->sources, c->h.nsources, sizeof(*p));
	if (p == NULL)
		return -1;
	c->sources = p;
	p[c->h.nsources++] = *s;
	return 0;
}

int
conf_add_forward(struct conf *c, const struct conf_forward *f)
{
	struct conf_forward *p;

	p = array_grow(c->forwards, c->h.nforwards, sizeof(*p));
	if (p == NULL)
		return -1;
	c->forwards = p;
	p[c->h.nforwards++] = *f;
	return 0;
}

int
conf_node_find(const struct conf *c, const char *name)
{
	int i;

	for (i = 0; i < c->h.nnodes; i++) {
		if (strcmp(c->h.nodes[i].name, name) == 0)
			return i;
	}
	return -1;
}

int
conf_net_find(const struct conf *c, const char *name)
{
	int i;

	for (i = 0; i < c->h.nnets; i++) {
		if (strcmp(c->h.nets[i].name, name) == 0)
			return i;
	}
	return -1;
}

int
conf_source_find(const struct conf *c, const char *name)
{
	uint32_t i;

	for (i = 0; i < c->h.nsources; i++) {
		if (strcmp(c->sources[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}

int
conf_forward_find(const struct conf *c, const char *name)
{
	uint32_t i;

	for (i = 0; i < c->h.nforwards; i++) {
		if (strcmp(c->forwards[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}

const char *
conf_ifname(const struct conf *c, int n)
{
	return c->h.nets[n].ifname[c->h.self];
}

struct in_addr
conf_addr(const struct conf *c, int n)
{
	return c->h.nets[n].addr[c->h.self];
}

bool
conf_in_group(const struct conf *c, int n)
{
	int i;

	for (i = 0; i < c->h.ha.nnets; i++) {
		if (c->h.ha.nets[i] == n)
			return true;
	}
	return false;
}

/* Same name, and the same place of this node on it. */
static bool
net_same_here(const struct conf *x, int a, const struct conf *y, int b)
{
	return strcmp(x->h.nets[a].name, y->h.nets[b].name) == 0 &&
	    strcmp(conf_ifname(x, a), conf_ifname(y, b)) == 0 &&
	    conf_addr(x, a).s_addr == conf_addr(y, b).s_addr;
}

bool
conf_net_same_vrrp(const struct conf *x, int a, const struct conf *y, int b)
{
	return net_same_here(x, a, y, b) &&
	    x->h.nets[a].vrid == y->h.nets[b].vrid;
}

/* The nodes, in their order, and their addresses on one network. */
static bool
peers_same(const struct conf *x, int a, const struct conf *y, int b)
{
	int i;

	if (x->h.nnodes != y->h.nnodes || x->h.self != y->h.self)
		return false;
	for (i = 0; i < x->h.nnodes; i++) {
		if (strcmp(x->h.nodes[i].name, y->h.nodes[i].name) != 0 ||
		    x->h.nets[a].addr[i].s_addr != y->h.nets[b].addr[i].s_addr)
			return false;
	}
	return true;
}

bool
conf_net_same_sync(const struct conf *x, const struct conf *y)
{
	const struct conf_sync *s = &x->h.sync, *t = &y->h.sync;
	int i;

	if (s->port != t->port || s->npaths != t->npaths)
		return false;
	for (i = 0; i < s->npaths; i++) {
		if (!net_same_here(x, s->paths[i], y, t->paths[i]) ||
		    !peers_same(x, s->paths[i], y, t->paths[i]))
			return false;
	}
	return true;
}
