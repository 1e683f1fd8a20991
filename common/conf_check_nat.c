/* Meaning: what nat rules say of each other and of the networks. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "conf_read.h"

/* A rule's name and place, to be sorted by name and then by place. */
struct named {
	const char *name;
	const char *what; /* nat.source or nat.forward */
	struct ynode *y;
};

/* A forward that listens, to be sorted by where. */
struct listener {
	const struct conf_forward *f;
	struct ynode *port;
};

static void
no_memory(struct conf_reader *r)
{
	report_add(r->report, CONF_ERROR, 0, 0, 0, "out of memory");
}

static int
named_cmp(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int d = strcmp(x->name, y->name);

	if (d != 0)
		return d;
	return conf_later(x->y, y->y) == x->y ? 1 : -1;
}

static void
name_again(
    struct conf_reader *r, const struct named *n, const struct named *first)
{
	if (strcmp(n->what, first->what) == 0)
		report_error(r->report, n->y,
		    "%s \"%s\" is here twice, first in line %d", n->what,
		    n->name, first->y->line);
	else
		report_error(r->report, n->y,
		    "%s \"%s\" has the name of the %s in line %d", n->what,
		    n->name, first->what, first->y->line);
}

static size_t
add_named(struct named *names, size_t n, const char *what, const char *name,
    const struct ynode *rule)
{
	names[n].name = name;
	names[n].what = what;
	names[n].y = conf_good(rule, "name");
	return n + (names[n].y != NULL);
}

/* Of all rules: hactl show nat knows them by nothing else. */
static void
check_names(struct conf_reader *r)
{
	const struct conf *c = r->conf;
	const struct named *first;
	struct named *names;
	size_t n = 0, i;

	names = calloc(c->h.nsources + c->h.nforwards + 1, sizeof(*names));
	if (names == NULL) {
		no_memory(r);
		return;
	}
	for (i = 0; i < c->h.nsources; i++)
		n = add_named(
		    names, n, "nat.source", c->sources[i].name, r->sources[i]);
	for (i = 0; i < c->h.nforwards; i++)
		n = add_named(names, n, "nat.forward", c->forwards[i].name,
		    r->forwards[i]);
	qsort(names, n, sizeof(*names), named_cmp);
	for (i = 0, first = names; i < n; i++) {
		if (strcmp(names[i].name, first->name) != 0)
			first = &names[i];
		else if (i > 0)
			name_again(r, &names[i], first);
	}
	free(names);
}

/* The network that a rule's key names must have a vip. */
static void
check_has_vip(struct conf_reader *r, struct ynode *y, uint8_t net)
{
	if (y != NULL && conf_absent("networks.*", r->nets[net], "vip"))
		report_error(r->report, y, "network \"%s\" has no vip",
		    r->conf->h.nets[net].name);
}

static void
check_source_pair(struct conf_reader *r, size_t a, size_t b)
{
	const struct conf_source *x = &r->conf->sources[a];
	const struct conf_source *y = &r->conf->sources[b];
	struct ynode *from = conf_good(r->sources[b], "from");

	if (x->from != y->from || x->to != y->to || from == NULL ||
	    conf_good(r->sources[b], "to") == NULL ||
	    conf_good(r->sources[a], "from") == NULL ||
	    conf_good(r->sources[a], "to") == NULL)
		return;
	report_error(r->report, from,
	    "nat.source \"%s\" repeats \"%s\": both are from %s to %s", y->name,
	    x->name, r->conf->h.nets[x->from].name,
	    r->conf->h.nets[x->to].name);
}

static void
check_source(struct conf_reader *r, size_t i)
{
	const struct conf_source *s = &r->conf->sources[i];
	struct ynode *from = conf_good(r->sources[i], "from");
	struct ynode *to = conf_good(r->sources[i], "to");
	size_t j;

	if (from != NULL && to != NULL && s->from == s->to)
		report_error(r->report, to,
		    "from and to are the same network \"%s\"",
		    r->conf->h.nets[s->to].name);
	else
		check_has_vip(r, to, s->to);
	for (j = 0; j < i; j++)
		check_source_pair(r, j, i);
}

/* Is this an address of the gateways themselves? */
static bool
check_own_address(struct conf_reader *r, struct ynode *y, struct in_addr to)
{
	const struct conf_head *h = &r->conf->h;
	const struct conf_net *net;
	int i;

	for (net = h->nets; net < h->nets + h->nnets; net++) {
		if (net->vip.s_addr == to.s_addr) {
			report_error(r->report, y,
			    "leads to the vip of %s, not to a host", net->name);
			return true;
		}
		for (i = 0; i < h->nnodes; i++) {
			if (net->addr[i].s_addr != to.s_addr)
				continue;
			report_error(r->report, y,
			    "leads to node %s itself, not to a host",
			    h->nodes[i].name);
			return true;
		}
	}
	return false;
}

/* The one of the networks that an address is in; NULL: none that is known. */
static const struct conf_net *
net_with(const struct conf_head *h, struct in_addr to)
{
	const struct conf_net *net;
	int i;

	for (net = h->nets; net < h->nets + h->nnets; net++) {
		for (i = 0; net->plen != 0 && i < h->nnodes; i++) {
			if (net->addr[i].s_addr != 0 &&
			    addr_in4(to, net->addr[i], net->plen))
				return net;
		}
	}
	return NULL;
}

/* A network may not be known for an error of its own. */
static bool
nets_known(const struct conf_head *h)
{
	int i;

	for (i = 0; i < h->nnets; i++) {
		if (h->nets[i].plen == 0)
			return false;
	}
	return h->nnets > 0;
}

/*
 * A host answers its own network past the gateway: a client there that asked
 * a vip knows nothing of that answer. hairpin: false says that this is known.
 */
static void
check_hairpin(struct conf_reader *r, size_t i, const struct conf_net *net)
{
	const struct conf_forward *f = &r->conf->forwards[i];
	struct ynode *rule = r->forwards[i];
	int n = (int)(net - r->conf->h.nets);
	char buf[ADDR_STRLEN];

	addr_str4(buf, f->to);
	if (f->hairpin && f->on != n &&
	    conf_absent("networks.*", r->nets[n], "vip"))
		report_warn(r->report, conf_good(rule, "hairpin"),
		    "hairpin has no effect: %s is in %s, which has no vip", buf,
		    net->name);
	else if (f->on == n && conf_good(rule, "on") != NULL &&
	    conf_absent("nat.forward[]", rule, "hairpin"))
		report_warn(r->report, conf_good(rule, "to"),
		    "hosts of %s cannot use this: %s answers them directly, "
		    "not from the vip; write hairpin: true, or false if they "
		    "need not",
		    net->name, buf);
}

/* Can a host have this address, and be reached there? */
static void
check_host(struct conf_reader *r, struct ynode *y, size_t i)
{
	const struct conf_forward *f = &r->conf->forwards[i];
	const struct conf_net *net = net_with(&r->conf->h, f->to);
	char buf[ADDR_STRLEN];
	const char *what;

	if (net == NULL) {
		if (nets_known(&r->conf->h))
			report_warn(r->report, y,
			    "%s is in none of the networks; the nodes need a "
			    "route to it%s",
			    addr_str4(buf, f->to),
			    f->hairpin ? ", and hairpin has no effect" : "");
	} else if ((what = conf_no_host(f->to, net->plen)) != NULL) {
		report_error(r->report, y,
		    "leads to the %s address of %s, not to a host", what,
		    net->name);
	} else {
		check_hairpin(r, i, net);
	}
}

static void
check_target(struct conf_reader *r, size_t i)
{
	const struct conf_forward *f = &r->conf->forwards[i];
	struct ynode *y = conf_good(r->forwards[i], "to");

	if (y == NULL)
		return;
	if (!check_own_address(r, y, f->to))
		check_host(r, y, i);
	if (conf_good(r->forwards[i], "port") != NULL &&
	    f->to_port + (f->hi - f->lo) > UINT16_MAX)
		report_error(r->report, y,
		    "%d ports from %d on would end at %d, beyond 65535",
		    f->hi - f->lo + 1, f->to_port,
		    f->to_port + (f->hi - f->lo));
}

/* The kernel's maps have no offset for ports: each is an element. */
static void
check_shifted(struct conf_reader *r)
{
	const struct conf *c = r->conf;
	uint32_t n = 0;
	size_t i;

	for (i = 0; i < c->h.nforwards; i++) {
		struct ynode *y = conf_good(r->forwards[i], "to");

		if (y == NULL || conf_good(r->forwards[i], "port") == NULL)
			continue;
		n += conf_shifted(&c->forwards[i]);
		if (n <= CONF_SHIFTED_MAX)
			continue;
		report_error(r->report, y,
		    "with this, ranges that lead to other port numbers have "
		    "more than %d ports; one that keeps them (no port here) "
		    "counts for nothing",
		    CONF_SHIFTED_MAX);
		return;
	}
}

static int
listener_cmp(const void *a, const void *b)
{
	const struct conf_forward *x = ((const struct listener *)a)->f;
	const struct conf_forward *y = ((const struct listener *)b)->f;

	if (x->on != y->on)
		return x->on - y->on;
	if (x->proto != y->proto)
		return x->proto - y->proto;
	if (x->lo != y->lo)
		return x->lo - y->lo;
	return x < y ? -1 : 1;
}

static void
overlap(
    struct conf_reader *r, const struct listener *a, const struct listener *b)
{
	const struct listener *late, *early;

	late = conf_later(a->port, b->port) == a->port ? a : b;
	early = late == a ? b : a;
	report_error(r->report, late->port,
	    "nat.forward \"%s\" overlaps \"%s\" in line %d: both listen on %s "
	    "%s/%d",
	    late->f->name, early->f->name, early->port->line,
	    r->conf->h.nets[a->f->on].name,
	    a->f->proto == IPPROTO_TCP ? "tcp" : "udp", b->f->lo);
}

/* In the order of their ports, one that reaches far meets all it covers. */
static void
check_listeners(struct conf_reader *r, struct listener *l, size_t n)
{
	const struct listener *far = NULL;
	size_t i;

	qsort(l, n, sizeof(*l), listener_cmp);
	for (i = 0; i < n; i++) {
		if (far != NULL &&
		    (far->f->on != l[i].f->on ||
			far->f->proto != l[i].f->proto))
			far = NULL;
		if (far != NULL && l[i].f->lo <= far->f->hi)
			overlap(r, far, &l[i]);
		if (far == NULL || l[i].f->hi > far->f->hi)
			far = &l[i];
	}
}

static void
check_shadows(struct conf_reader *r)
{
	const struct conf *c = r->conf;
	struct listener *l;
	size_t n = 0, i;

	if ((l = calloc(c->h.nforwards + 1, sizeof(*l))) == NULL) {
		no_memory(r);
		return;
	}
	for (i = 0; i < c->h.nforwards; i++) {
		l[n].f = &c->forwards[i];
		l[n].port = conf_good(r->forwards[i], "port");
		n += l[n].port != NULL &&
		    conf_good(r->forwards[i], "on") != NULL;
	}
	check_listeners(r, l, n);
	free(l);
}

void
conf_check_nat(struct conf_reader *r)
{
	const struct conf *c = r->conf;
	size_t i;

	check_names(r);
	for (i = 0; i < c->h.nsources; i++)
		check_source(r, i);
	for (i = 0; i < c->h.nforwards; i++) {
		check_has_vip(
		    r, conf_good(r->forwards[i], "on"), c->forwards[i].on);
		check_target(r, i);
	}
	check_shifted(r);
	check_shadows(r);
}
