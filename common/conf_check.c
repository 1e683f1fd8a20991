/* Meaning: nodes, networks, ha and sync. See conf_check_nat.c for nat. */
#include <stdio.h>
#include <stdlib.h>
#include <bsd/string.h>
#include <string.h>

#include "addr.h"
#include "conf_read.h"

#define NODE_LIST_SIZE (CONF_NODES_MAX * (CONF_NAME_MAX + 2))

struct ynode *
conf_good(const struct ynode *map, const char *key)
{
	struct ynode *y = ynode_get(map, key);

	return y != NULL && !y->bad && !map->bad ? y : NULL;
}

struct ynode *
conf_later(struct ynode *a, struct ynode *b)
{
	if (a->line != b->line)
		return a->line > b->line ? a : b;
	return a->col > b->col ? a : b;
}

/* Node i's own value under a key that is a map by node. */
static struct ynode *
bynode_good(const struct conf_reader *r, int net, const char *key, int i)
{
	return conf_good(
	    conf_good(r->nets[net], key), r->conf->h.nodes[i].name);
}

/* The same, or the one value for all. */
static struct ynode *
interface_place(const struct conf_reader *r, int net, int i)
{
	struct ynode *y = conf_good(r->nets[net], "interface");

	return y != NULL && y->type == Y_MAP
	    ? bynode_good(r, net, "interface", i)
	    : y;
}

static const char *
net_str(char *buf, size_t size, struct in_addr a, int plen)
{
	char str[ADDR_STRLEN];

	a.s_addr &= addr_mask4(plen).s_addr;
	snprintf(buf, size, "%s/%d", addr_str4(str, a), plen);
	return buf;
}

const char *
conf_no_host(struct in_addr a, int plen)
{
	uint32_t mask = addr_mask4(plen).s_addr;

	if (plen >= 31)
		return NULL;
	if ((a.s_addr & ~mask) == 0)
		return "network";
	return (a.s_addr | mask) == UINT32_MAX ? "broadcast" : NULL;
}

/* An address on network n that stands for all of them; 0: none is known. */
static struct in_addr
net_base(const struct conf_net *n)
{
	struct in_addr none = {0};
	int i;

	for (i = 0; i < CONF_NODES_MAX; i++) {
		if (n->addr[i].s_addr != 0)
			return n->addr[i];
	}
	return none;
}

/* list has room for the names of all nodes. */
static void
add_name(char *list, const char *name)
{
	if (list[0] != '\0')
		strlcat(list, ", ", NODE_LIST_SIZE);
	strlcat(list, name, NODE_LIST_SIZE);
}

static void
check_self(struct conf_reader *r, const char *node)
{
	struct conf_head *h = &r->conf->h;
	struct ynode *nodes = ynode_get(r->root, "nodes");
	char list[NODE_LIST_SIZE] = "";
	int i;

	if (node == NULL || h->nnodes == 0)
		return;
	if ((i = conf_node_find(r->conf, node)) != -1) {
		h->self = (uint8_t)i;
		return;
	}
	for (i = 0; i < h->nnodes; i++)
		add_name(list, h->nodes[i].name);
	report_error(r->report, nodes->key,
	    "node \"%s\" is not in nodes: (%s); name it with -N or in %s", node,
	    list, HAGW_DEFAULT_NODE);
}

static void
check_priority(struct conf_reader *r, int a, int b)
{
	struct ynode *x = conf_good(r->nodes[a], "priority");
	struct ynode *y = conf_good(r->nodes[b], "priority");
	const struct conf_node *nodes = r->conf->h.nodes;

	if (x == NULL || y == NULL || nodes[a].priority != nodes[b].priority)
		return;
	report_error(r->report, conf_later(x, y),
	    "priority %d is that of node %s too", nodes[a].priority,
	    nodes[conf_later(x, y) == x ? b : a].name);
}

static void
check_nodes(struct conf_reader *r)
{
	const struct conf_head *h = &r->conf->h;
	struct ynode *nodes = conf_good(r->root, "nodes");
	int a, b;

	for (a = 0; a < h->nnodes; a++) {
		for (b = a + 1; b < h->nnodes; b++)
			check_priority(r, a, b);
	}
	if (nodes != NULL && h->nnodes > 1 && conf_absent("", r->root, "sync"))
		report_error(r->report, nodes->key,
		    "two nodes or more need a sync section");
}

static void
check_vip(struct conf_reader *r, int n)
{
	const struct conf_net *net = &r->conf->h.nets[n];
	struct ynode *y = conf_good(r->nets[n], "vip");
	struct in_addr base = net_base(net);
	char buf[ADDR_STRLEN], str[ADDR_STRLEN + 4];
	int i;

	if (y == NULL || base.s_addr == 0)
		return;
	addr_str4(buf, net->vip);
	net_str(str, sizeof(str), base, net->plen);
	if (!addr_in4(net->vip, base, net->plen))
		report_error(r->report, y, "vip %s is outside %s's %s", buf,
		    net->name, str);
	else if (conf_no_host(net->vip, net->plen) != NULL)
		report_error(r->report, y, "vip %s is the %s address of %s",
		    buf, conf_no_host(net->vip, net->plen), str);
	for (i = 0; i < r->conf->h.nnodes; i++) {
		if (net->addr[i].s_addr == net->vip.s_addr)
			report_error(r->report, y,
			    "vip %s is the address of node %s", buf,
			    r->conf->h.nodes[i].name);
	}
}

/* A vip has a vrid and is in the group, and the other way round. */
static void
check_vip_pair(struct conf_reader *r, int n)
{
	struct ynode *vip = ynode_get(r->nets[n], "vip");
	struct ynode *vrid = ynode_get(r->nets[n], "vrid");
	const char *name = r->conf->h.nets[n].name;
	struct ynode *list = conf_good(ynode_get(r->root, "ha"), "networks");

	if (vip != NULL && conf_absent("networks.*", r->nets[n], "vrid"))
		report_error(r->report, vip->key,
		    "networks.%s has a vip but no vrid", name);
	if (vrid != NULL && conf_absent("networks.*", r->nets[n], "vip"))
		report_error(r->report, vrid->key,
		    "networks.%s has a vrid but no vip", name);
	if (vip != NULL && list != NULL && !conf_in_group(r->conf, n))
		report_error(r->report, vip->key,
		    "networks.%s has a vip but is not in ha.networks", name);
}

static void
check_address(struct conf_reader *r, int n, int i)
{
	const struct conf_net *net = &r->conf->h.nets[n];
	struct ynode *y = bynode_good(r, n, "address", i);
	struct ynode *ifs = conf_good(r->nets[n], "interface");
	char buf[ADDR_STRLEN], str[ADDR_STRLEN + 4];
	const char *what;

	if (y == NULL)
		return;
	addr_str4(buf, net->addr[i]);
	net_str(str, sizeof(str), net_base(net), net->plen);
	if ((what = conf_no_host(net->addr[i], net->plen)) != NULL)
		report_error(r->report, y, "%s is the %s address, not a host's",
		    buf, what);
	else if (!addr_in4(net->addr[i], net_base(net), net->plen))
		report_error(r->report, y,
		    "%s is outside %s, where the other nodes are", buf, str);
	if (ifs != NULL && ynode_get(ifs, r->conf->h.nodes[i].name) == NULL &&
	    ifs->type == Y_MAP)
		report_error(r->report, ifs->key,
		    "node %s has an address on %s but no interface",
		    r->conf->h.nodes[i].name, net->name);
}

static void
check_address_pair(struct conf_reader *r, int n, int i, int j)
{
	const struct conf_net *net = &r->conf->h.nets[n];
	struct ynode *x = bynode_good(r, n, "address", i);
	struct ynode *y = bynode_good(r, n, "address", j);
	char buf[ADDR_STRLEN];

	if (x == NULL || y == NULL ||
	    net->addr[i].s_addr != net->addr[j].s_addr)
		return;
	report_error(r->report, conf_later(x, y),
	    "address %s is that of node %s too", addr_str4(buf, net->addr[i]),
	    r->conf->h.nodes[conf_later(x, y) == x ? j : i].name);
}

static void
check_net(struct conf_reader *r, int n)
{
	int i, j;

	check_vip(r, n);
	check_vip_pair(r, n);
	for (i = 0; i < r->conf->h.nnodes; i++) {
		check_address(r, n, i);
		for (j = i + 1; j < r->conf->h.nnodes; j++)
			check_address_pair(r, n, i, j);
	}
}

static void
check_overlap(struct conf_reader *r, int a, int b)
{
	const struct conf_net *x = &r->conf->h.nets[a];
	const struct conf_net *y = &r->conf->h.nets[b];
	struct ynode *p = conf_good(r->nets[a], "address"), *late;
	struct ynode *q = conf_good(r->nets[b], "address");
	int plen = x->plen < y->plen ? x->plen : y->plen;
	char str[2][ADDR_STRLEN + 4];

	if (p == NULL || q == NULL || net_base(x).s_addr == 0 ||
	    net_base(y).s_addr == 0 ||
	    !addr_in4(net_base(x), net_base(y), plen))
		return;
	late = conf_later(p, q);
	report_error(r->report, late->key, "%s's %s overlaps %s's %s",
	    late == p ? x->name : y->name,
	    net_str(str[0], sizeof(str[0]),
		late == p ? net_base(x) : net_base(y),
		late == p ? x->plen : y->plen),
	    late == p ? y->name : x->name,
	    net_str(str[1], sizeof(str[1]),
		late == p ? net_base(y) : net_base(x),
		late == p ? y->plen : x->plen));
}

static void
check_vrid_pair(struct conf_reader *r, int a, int b, const char *ifname)
{
	const struct conf_net *nets = r->conf->h.nets;
	struct ynode *x = conf_good(r->nets[a], "vrid");
	struct ynode *y = conf_good(r->nets[b], "vrid");

	if (x == NULL || y == NULL || nets[a].vrid != nets[b].vrid)
		return;
	report_error(r->report, conf_later(x, y),
	    "vrid %d is that of %s too, on the same interface %s", nets[a].vrid,
	    nets[conf_later(x, y) == x ? b : a].name, ifname);
}

/* Two networks on one interface: one complaint, whatever the nodes. */
static void
check_interfaces(struct conf_reader *r, int a, int b)
{
	const struct conf_head *h = &r->conf->h;
	const struct conf_net *nets = h->nets;
	struct ynode *x, *y;
	int i;

	for (i = 0; i < h->nnodes; i++) {
		x = interface_place(r, a, i);
		y = interface_place(r, b, i);
		if (x == NULL || y == NULL ||
		    strcmp(nets[a].ifname[i], nets[b].ifname[i]) != 0)
			continue;
		report_error(r->report, conf_later(x, y),
		    "interface %s of node %s is that of network %s too",
		    nets[a].ifname[i], h->nodes[i].name,
		    nets[conf_later(x, y) == x ? b : a].name);
		check_vrid_pair(r, a, b, nets[a].ifname[i]);
		return;
	}
}

static void
check_nets(struct conf_reader *r)
{
	int a, b;

	for (a = 0; a < r->conf->h.nnets; a++) {
		check_net(r, a);
		for (b = a + 1; b < r->conf->h.nnets; b++) {
			check_overlap(r, a, b);
			check_interfaces(r, a, b);
		}
	}
}

/* Every node needs an address on network n, because of what `who` says. */
static void
check_served(struct conf_reader *r, int n, const char *who)
{
	const struct conf_head *h = &r->conf->h;
	struct ynode *y = conf_good(r->nets[n], "address");
	char list[NODE_LIST_SIZE] = "";
	int i;

	for (i = 0; y != NULL && i < h->nnodes; i++) {
		if (ynode_get(y, h->nodes[i].name) == NULL)
			add_name(list, h->nodes[i].name);
	}
	if (list[0] != '\0')
		report_add(r->report, CONF_ERROR, y->key->line, y->key->col,
		    y->key->width,
		    "%s has no address for node %s, and is in %s",
		    h->nets[n].name, list, who);
}

static void
check_ha(struct conf_reader *r)
{
	const struct conf_head *h = &r->conf->h;
	struct ynode *ha = conf_good(r->root, "ha"), *y, *kid;
	int n;

	if ((y = ynode_get(ha, "networks")) != NULL && y->type == Y_LIST) {
		STAILQ_FOREACH (kid, &y->kids, entry) {
			if (kid->bad || kid->type != Y_SCALAR ||
			    (n = conf_net_find(r->conf, kid->text)) == -1)
				continue;
			if (conf_absent("networks.*", r->nets[n], "vip"))
				report_error(r->report, kid,
				    "network \"%s\" has no vip", kid->text);
		}
	}
	for (n = 0; n < h->ha.nnets; n++)
		check_served(r, h->ha.nets[n], "ha.networks");
	y = conf_good(ha, "preempt");
	if (y != NULL && h->ha.preempt && h->nnodes == 1)
		report_error(r->report, y->key,
		    "preempt needs a second node to take over from");
}

static void
check_sync(struct conf_reader *r)
{
	const struct conf_head *h = &r->conf->h;
	struct ynode *y = conf_good(r->root, "sync");
	int i;

	for (i = 0; i < h->sync.npaths; i++) {
		if (!conf_in_group(r->conf, h->sync.paths[i]))
			check_served(r, h->sync.paths[i], "sync.over");
	}
	if (y != NULL && h->nnodes == 1)
		report_warn(r->report, y->key,
		    "sync has nobody to talk to: there is one node");
}

static bool
is_path(const struct conf_head *h, int n)
{
	int i;

	for (i = 0; i < h->sync.npaths; i++) {
		if (h->sync.paths[i] == n)
			return true;
	}
	return false;
}

/* No error: an interface may come later, and the others may have theirs. */
static void
check_link(struct conf_reader *r, int n)
{
	const struct conf_head *h = &r->conf->h;
	const char *ifname = conf_ifname(r->conf, n);
	struct ynode *y = interface_place(r, n, h->self);

	if (y == NULL || conf_addr(r->conf, n).s_addr == 0 ||
	    r->report->has_link(ifname))
		return;
	if (conf_in_group(r->conf, n))
		report_warn(r->report, y,
		    "this host has no interface %s: until it has, %s is in "
		    "FAULT and takes no virtual address",
		    ifname, h->nodes[h->self].name);
	else if (is_path(h, n))
		report_warn(r->report, y,
		    "this host has no interface %s: until it has, %s neither "
		    "sends nor receives flows",
		    ifname, h->nodes[h->self].name);
	else
		report_warn(r->report, y,
		    "this host has no interface %s: until it has, %s has no "
		    "link to %s",
		    ifname, h->nodes[h->self].name, h->nets[n].name);
}

static void
check_links(struct conf_reader *r, const char *node)
{
	int n;

	if (r->report->has_link == NULL || node == NULL ||
	    conf_node_find(r->conf, node) == -1)
		return;
	for (n = 0; n < r->conf->h.nnets; n++)
		check_link(r, n);
}

void
conf_check(struct conf_reader *r, const char *node)
{
	check_self(r, node);
	check_links(r, node);
	check_nodes(r);
	check_nets(r);
	check_ha(r);
	check_sync(r);
	conf_check_nat(r);
}
