/* From the site to the group: networks, priority, timers, names. */
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "fmt.h"
#include "vrrpd.h"

int
vrrp_conf_check(const struct conf *conf, char *why, size_t whysz)
{
	const struct conf_ha *ha = &conf->h.ha;
	const struct conf_net *net;
	unsigned int i;

	if (ha->nnets > 0 &&
	    (ha->advertise_us < CONF_ADVERTISE_MIN_US ||
		ha->advertise_us > CONF_ADVERTISE_MAX_US)) {
		snprintf(why, whysz, "advertise: %u us is out of range",
		    ha->advertise_us);
		return -1;
	}
	for (i = 0; i < ha->nnets; i++) {
		net = &conf->h.nets[ha->nets[i]];
		if (net->vrid == 0 || net->vip.s_addr == INADDR_ANY ||
		    conf_addr(conf, ha->nets[i]).s_addr == INADDR_ANY) {
			snprintf(why, whysz,
			    "network %s lacks a vrid, a vip or an address",
			    net->name);
			return -1;
		}
	}
	return 0;
}

void
vrrp_conf_fsm(const struct conf *conf, struct fsm_cfg *cfg)
{
	const struct conf_head *h = &conf->h;

	cfg->interval_us = h->ha.advertise_us;
	cfg->preempt_after_us = h->ha.preempt_after_us;
	cfg->priority = h->nodes[h->self].priority;
	cfg->preempt = h->ha.preempt != 0;
	cfg->nnets = h->ha.nnets;
	cfg->others = h->nnodes > 2;
}

static struct vrrp_net *
net_by_name(struct vrrp_net *nets, unsigned int n, const char *name)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (strcmp(nets[i].row.name, name) == 0)
			return &nets[i];
	return NULL;
}

/* Move one network over: its counters, and its sockets if still right. */
static void
net_take(struct vrrp_net *to, struct vrrp_net *from, const struct conf *now,
    const struct conf *next, int conf_net)
{
	if (!conf_net_same_vrrp(now, from->conf_net, next, conf_net)) {
		io_net_close(from);
		from->seen_us = 0;
		from->row.peer.s_addr = INADDR_ANY;
	}
	if (strcmp(from->row.ifname, conf_ifname(next, conf_net)) != 0)
		from->link = LINK_UNKNOWN;
	*to = *from;
	io_net_init(from);
}

static void
net_fill(struct vrrp_net *net, const struct conf *conf, uint8_t conf_net)
{
	const struct conf_net *c = &conf->h.nets[conf_net];

	net->conf_net = conf_net;
	net->own = conf_addr(conf, conf_net);
	net->row.vip = c->vip;
	net->row.vrid = c->vrid;
	fmt_copy(net->row.name, sizeof(net->row.name), c->name);
	fmt_copy(net->row.ifname, sizeof(net->row.ifname),
	    conf_ifname(conf, conf_net));
}

unsigned int
vrrp_conf_nets(const struct conf *now, const struct conf *next,
    struct vrrp_net *old, unsigned int nold, struct vrrp_net *nets,
    int8_t from[CONF_NETS_MAX])
{
	const struct conf_ha *ha = &next->h.ha;
	struct vrrp_net *was;
	unsigned int i;

	for (i = 0; i < ha->nnets; i++) {
		io_net_init(&nets[i]);
		from[i] = -1;
		was = net_by_name(old, nold, next->h.nets[ha->nets[i]].name);
		if (was != NULL) {
			from[i] = (int8_t)was->slot;
			net_take(&nets[i], was, now, next, ha->nets[i]);
			if (nets[i].link == LINK_UNKNOWN)
				from[i] = -1;
		}
		net_fill(&nets[i], next, ha->nets[i]);
		nets[i].slot = (uint8_t)i;
	}
	return ha->nnets;
}

const char *
vrrp_node(const struct conf *conf, struct in_addr addr)
{
	unsigned int net, node;

	for (net = 0; net < conf->h.nnets; net++)
		for (node = 0; node < conf->h.nnodes; node++)
			if (conf->h.nets[net].addr[node].s_addr == addr.s_addr)
				return conf->h.nodes[node].name;
	return NULL;
}

const char *
vrrp_who(const struct conf *conf, struct in_addr addr, char buf[VRRP_WHO_MAX])
{
	char text[ADDR_STRLEN];
	const char *node = vrrp_node(conf, addr);

	addr_str4(text, addr);
	if (node != NULL)
		snprintf(buf, VRRP_WHO_MAX, "%s (%s)", node, text);
	else
		fmt_copy(buf, VRRP_WHO_MAX, text);
	return buf;
}
