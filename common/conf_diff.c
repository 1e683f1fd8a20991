/*
 * What a reload would change, for people. Each object of both confs is
 * written as one name and a few values; what differs becomes a line.
 */
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "conf.h"
#include "fmt.h"

#define DIFF_TEXT 256
#define DIFF_LIST 2048
#define DIFF_LINE (2 * DIFF_LIST + DIFF_TEXT)

struct diff {
	void (*line)(void *, const char *);
	void *arg;
	int n;
};

static void emit(struct diff *, const char *, ...)
    __attribute__((format(printf, 2, 3)));

static void
emit(struct diff *d, const char *fmt, ...)
{
	char buf[DIFF_LINE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	d->line(d->arg, buf);
	d->n++;
}

static void
changed(struct diff *d, const char *path, const char *key, const char *old,
    const char *new)
{
	if (strcmp(old, new) != 0)
		emit(d, "~ %s%s  %s -> %s", path, key, old, new);
}

static void
changed_number(struct diff *d, const char *path, const char *key,
    unsigned int old, unsigned int new)
{
	if (old != new)
		emit(d, "~ %s%s  %u -> %u", path, key, old, new);
}

static const char *
addr_or_none(char *buf, struct in_addr a)
{
	return a.s_addr == 0 ? "none" : addr_str4(buf, a);
}

static void
changed_addr(struct diff *d, const char *path, const char *key,
    struct in_addr old, struct in_addr new)
{
	char a[ADDR_STRLEN], b[ADDR_STRLEN];

	changed(d, path, key, addr_or_none(a, old), addr_or_none(b, new));
}

/* nodes */
static void
diff_nodes(struct diff *d, const struct conf *from, const struct conf *to)
{
	const struct conf_node *n;
	char path[DIFF_TEXT];
	int i, j;

	for (i = 0; i < from->h.nnodes; i++) {
		n = &from->h.nodes[i];
		if (conf_node_find(to, n->name) == -1)
			emit(
			    d, "- nodes.%s  priority %u", n->name, n->priority);
	}
	for (i = 0; i < to->h.nnodes; i++) {
		n = &to->h.nodes[i];
		snprintf(path, sizeof(path), "nodes.%s.", n->name);
		if ((j = conf_node_find(from, n->name)) == -1)
			emit(
			    d, "+ nodes.%s  priority %u", n->name, n->priority);
		else
			changed_number(d, path, "priority",
			    from->h.nodes[j].priority, n->priority);
	}
}

/* networks */
static void
node_address(char *buf, const struct conf *c, int net, const char *node)
{
	const struct conf_net *n = &c->h.nets[net];
	int i = conf_node_find(c, node);
	char str[ADDR_STRLEN];

	if (i == -1 || n->addr[i].s_addr == 0)
		snprintf(buf, DIFF_TEXT, "none");
	else
		snprintf(buf, DIFF_TEXT, "%s/%u", addr_str4(str, n->addr[i]),
		    n->plen);
}

static const char *
node_ifname(const struct conf *c, int net, const char *node)
{
	int i = conf_node_find(c, node);

	if (i == -1 || c->h.nets[net].ifname[i][0] == '\0')
		return "none";
	return c->h.nets[net].ifname[i];
}

/* One of the two may not know the node: it has none there. */
static void
diff_net_node(struct diff *d, const char *path, const char *node,
    const struct conf *from, int a, const struct conf *to, int b)
{
	char key[DIFF_TEXT], old[DIFF_TEXT], new[DIFF_TEXT];

	snprintf(key, sizeof(key), "interface.%s", node);
	changed(
	    d, path, key, node_ifname(from, a, node), node_ifname(to, b, node));
	node_address(old, from, a, node);
	node_address(new, to, b, node);
	snprintf(key, sizeof(key), "address.%s", node);
	changed(d, path, key, old, new);
}

static void
diff_net(struct diff *d, const struct conf *from, int a, const struct conf *to,
    int b)
{
	const struct conf_net *x = &from->h.nets[a], *y = &to->h.nets[b];
	char path[DIFF_TEXT];
	int i;

	snprintf(path, sizeof(path), "networks.%s.", y->name);
	for (i = 0; i < from->h.nnodes; i++) {
		if (conf_node_find(to, from->h.nodes[i].name) == -1)
			diff_net_node(
			    d, path, from->h.nodes[i].name, from, a, to, b);
	}
	for (i = 0; i < to->h.nnodes; i++)
		diff_net_node(d, path, to->h.nodes[i].name, from, a, to, b);
	changed_addr(d, path, "vip", x->vip, y->vip);
	if (x->vrid != 0 && y->vrid != 0)
		changed_number(d, path, "vrid", x->vrid, y->vrid);
}

/* In one line: where it is, and its vip. */
static void
emit_net(struct diff *d, char sign, const struct conf *c, int n)
{
	const struct conf_net *net = &c->h.nets[n];
	char where[DIFF_LIST] = "", buf[ADDR_STRLEN];
	size_t len = 0;
	int i;

	for (i = 0; i < c->h.nnodes; i++) {
		if (net->addr[i].s_addr == 0)
			continue;
		len += (size_t)snprintf(where + len, sizeof(where) - len,
		    "  %s %s %s/%u", c->h.nodes[i].name, net->ifname[i],
		    addr_str4(buf, net->addr[i]), net->plen);
	}
	if (net->vip.s_addr != 0)
		snprintf(where + len, sizeof(where) - len, "  vip %s vrid %u",
		    addr_str4(buf, net->vip), net->vrid);
	emit(d, "%c networks.%s%s", sign, net->name, where);
}

static void
diff_nets(struct diff *d, const struct conf *from, const struct conf *to)
{
	int i, j;

	for (i = 0; i < from->h.nnets; i++) {
		if (conf_net_find(to, from->h.nets[i].name) == -1)
			emit_net(d, '-', from, i);
	}
	for (i = 0; i < to->h.nnets; i++) {
		if ((j = conf_net_find(from, to->h.nets[i].name)) == -1)
			emit_net(d, '+', to, i);
		else
			diff_net(d, from, j, to, i);
	}
}

/* ha and sync */
static const char *
net_list(char *buf, const struct conf *c, const uint8_t *nets, int n)
{
	size_t len = 0;
	int i;

	if (n == 0)
		return "none";
	for (i = 0; i < n; i++)
		len += (size_t)snprintf(buf + len, DIFF_LIST - len, "%s%s",
		    i == 0 ? "[" : ", ", c->h.nets[nets[i]].name);
	snprintf(buf + len, DIFF_LIST - len, "]");
	return buf;
}

static const char *
preempt_str(char *buf, const struct conf_ha *ha)
{
	char dur[FMT_MAX];

	if (!ha->preempt)
		return "never";
	snprintf(buf, DIFF_TEXT, "after %s",
	    fmt_duration(dur, ha->preempt_after_us));
	return buf;
}

static void
diff_ha(struct diff *d, const struct conf *from, const struct conf *to)
{
	const struct conf_ha *x = &from->h.ha, *y = &to->h.ha;
	char lold[DIFF_LIST], lnew[DIFF_LIST];
	char old[DIFF_TEXT], new[DIFF_TEXT];

	changed(d, "ha.", "networks", net_list(lold, from, x->nets, x->nnets),
	    net_list(lnew, to, y->nets, y->nnets));
	changed(d, "ha.", "preempt", preempt_str(old, x), preempt_str(new, y));
	changed(d, "ha.", "advertise", fmt_duration(old, x->advertise_us),
	    fmt_duration(new, y->advertise_us));
}

static const char *
protocols_str(uint8_t mask)
{
	static const char *const names[CONF_PROTO_ALL + 1] = {
	    "none",
	    "[tcp]",
	    "[udp]",
	    "[tcp, udp]",
	    "[icmp]",
	    "[tcp, icmp]",
	    "[udp, icmp]",
	    "[tcp, udp, icmp]",
	};

	return names[mask & CONF_PROTO_ALL];
}

static void
diff_sync(struct diff *d, const struct conf *from, const struct conf *to)
{
	const struct conf_sync *x = &from->h.sync, *y = &to->h.sync;
	char lold[DIFF_LIST], lnew[DIFF_LIST];

	changed(d, "sync.", "over", net_list(lold, from, x->paths, x->npaths),
	    net_list(lnew, to, y->paths, y->npaths));
	changed(d, "sync.", "key_file", x->key_file, y->key_file);
	changed(d, "sync.", "protocols", protocols_str(x->protocols),
	    protocols_str(y->protocols));
	changed_number(d, "sync.", "port", x->port, y->port);
}

/* nat */
static void
emit_source(struct diff *d, char sign, const struct conf *c,
    const struct conf_source *s)
{
	emit(d, "%c nat.source \"%s\"  %s -> %s", sign, s->name,
	    c->h.nets[s->from].name, c->h.nets[s->to].name);
}

static void
diff_source(struct diff *d, const struct conf *from,
    const struct conf_source *x, const struct conf *to,
    const struct conf_source *y)
{
	char path[DIFF_TEXT];

	snprintf(path, sizeof(path), "nat.source \"%s\" ", y->name);
	changed(d, path, "from", from->h.nets[x->from].name,
	    to->h.nets[y->from].name);
	changed(
	    d, path, "to", from->h.nets[x->to].name, to->h.nets[y->to].name);
}

static const char *
ports_str(char *buf, const struct conf_forward *f)
{
	size_t len;

	len = (size_t)snprintf(buf, DIFF_TEXT, "%s/%u",
	    f->proto == IPPROTO_TCP ? "tcp" : "udp", f->lo);
	if (f->hi != f->lo)
		snprintf(buf + len, DIFF_TEXT - len, "-%u", f->hi);
	return buf;
}

static const char *
target_str(char *buf, const struct conf_forward *f)
{
	char addr[ADDR_STRLEN];
	size_t len;

	len = (size_t)snprintf(buf, DIFF_TEXT, "%s", addr_str4(addr, f->to));
	if (f->to_port != f->lo)
		snprintf(buf + len, DIFF_TEXT - len, ":%u", f->to_port);
	return buf;
}

static void
emit_forward(struct diff *d, char sign, const struct conf *c,
    const struct conf_forward *f)
{
	char ports[DIFF_TEXT], to[DIFF_TEXT];

	emit(d, "%c nat.forward \"%s\"  %s %s -> %s%s", sign, f->name,
	    c->h.nets[f->on].name, ports_str(ports, f), target_str(to, f),
	    f->hairpin ? "  hairpin" : "");
}

static void
diff_forward(struct diff *d, const struct conf *from,
    const struct conf_forward *x, const struct conf *to,
    const struct conf_forward *y)
{
	char path[DIFF_TEXT], old[DIFF_TEXT], new[DIFF_TEXT];

	snprintf(path, sizeof(path), "nat.forward \"%s\" ", y->name);
	changed(
	    d, path, "on", from->h.nets[x->on].name, to->h.nets[y->on].name);
	changed(d, path, "port", ports_str(old, x), ports_str(new, y));
	changed(d, path, "to", target_str(old, x), target_str(new, y));
	changed(d, path, "hairpin", x->hairpin ? "true" : "false",
	    y->hairpin ? "true" : "false");
}

static void
diff_sources(struct diff *d, const struct conf *from, const struct conf *to)
{
	const struct conf_source *s;
	int i, j, last = -1;
	bool moved = false;

	for (i = 0; i < (int)from->h.nsources; i++) {
		if (conf_source_find(to, from->sources[i].name) == -1)
			emit_source(d, '-', from, &from->sources[i]);
	}
	for (i = 0; i < (int)to->h.nsources; i++) {
		s = &to->sources[i];
		if ((j = conf_source_find(from, s->name)) == -1) {
			emit_source(d, '+', to, s);
			continue;
		}
		diff_source(d, from, &from->sources[j], to, s);
		moved = moved || j < last;
		last = j;
	}
	if (moved)
		emit(d, "~ nat.source  order of the rules");
}

static int
forward_cmp(const void *a, const void *b)
{
	const struct conf_forward *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* Forwards may be very many: by name, sorted. NULL for lack of memory. */
static const struct conf_forward **
forward_index(const struct conf *c)
{
	const struct conf_forward **v;
	uint32_t i;

	if ((v = calloc(c->h.nforwards + 1, sizeof(*v))) == NULL)
		return NULL;
	for (i = 0; i < c->h.nforwards; i++)
		v[i] = &c->forwards[i];
	qsort(v, c->h.nforwards, sizeof(*v), forward_cmp);
	return v;
}

static const struct conf_forward *
forward_lookup(const struct conf_forward **index, const struct conf *c,
    const struct conf_forward *f)
{
	const struct conf_forward **p;

	p = bsearch(&f, index, c->h.nforwards, sizeof(*index), forward_cmp);
	return p != NULL ? *p : NULL;
}

static void
diff_forwards(struct diff *d, const struct conf *from,
    const struct conf_forward **fromix, const struct conf *to,
    const struct conf_forward **toix)
{
	const struct conf_forward *f, *old, *last = NULL;
	bool moved = false;
	uint32_t i;

	for (i = 0; i < from->h.nforwards; i++) {
		f = &from->forwards[i];
		if (forward_lookup(toix, to, f) == NULL)
			emit_forward(d, '-', from, f);
	}
	for (i = 0; i < to->h.nforwards; i++) {
		f = &to->forwards[i];
		if ((old = forward_lookup(fromix, from, f)) == NULL) {
			emit_forward(d, '+', to, f);
			continue;
		}
		diff_forward(d, from, old, to, f);
		moved = moved || (last != NULL && old < last);
		last = old;
	}
	if (moved)
		emit(d, "~ nat.forward  order of the rules");
}

int
conf_diff(const struct conf *from, const struct conf *to,
    void (*line)(void *, const char *), void *arg)
{
	const struct conf_forward **fromix, **toix;
	struct diff d = {.line = line, .arg = arg};

	changed(&d, "", "site", from->h.site, to->h.site);
	diff_nodes(&d, from, to);
	diff_nets(&d, from, to);
	diff_ha(&d, from, to);
	diff_sync(&d, from, to);
	diff_sources(&d, from, to);
	fromix = forward_index(from);
	toix = forward_index(to);
	if (fromix != NULL && toix != NULL)
		diff_forwards(&d, from, fromix, to, toix);
	free(fromix);
	free(toix);
	return fromix != NULL && toix != NULL ? d.n : -1;
}
