/*
 * Which flows are the site's and which a node's own. Pure: the configuration
 * and a record decide.
 */
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "syncd.h"

static uint32_t
slot_of(uint32_t addr)
{
	return addr * 0x9e3779b1u >> 22;
}

static bool
is_taken(const struct filter *f, uint32_t i)
{
	return (f->taken[i / 64] >> i % 64 & 1) != 0;
}

static void
filter_add(struct filter *f, uint32_t addr, enum filter_kind kind)
{
	uint32_t i = slot_of(addr);

	if (addr == 0)
		return;
	while (is_taken(f, i) && f->slots[i].addr != addr)
		i = (i + 1) % FILTER_SLOTS;
	f->slots[i].addr = addr;
	f->slots[i].kind = (uint8_t)kind;
	f->taken[i / 64] |= 1ULL << i % 64;
}

static enum filter_kind
filter_find(const struct filter *f, uint32_t addr)
{
	uint32_t i = slot_of(addr);

	while (is_taken(f, i)) {
		if (f->slots[i].addr == addr)
			return f->slots[i].kind;
		i = (i + 1) % FILTER_SLOTS;
	}
	return FILTER_NONE;
}

static void
add_net(struct filter *f, const struct conf_net *net, unsigned int nnodes)
{
	uint32_t mask = addr_mask4(net->plen).s_addr;

	for (unsigned int i = 0; i < nnodes; i++) {
		uint32_t a = net->addr[i].s_addr;

		if (a != 0 && net->plen < 31)
			filter_add(f, a | ~mask, FILTER_BROADCAST);
		filter_add(f, a, FILTER_OWN);
	}
	filter_add(f, net->vip.s_addr, FILTER_VIP);
}

void
filter_build(struct filter *f, const struct conf *conf)
{
	memset(f, 0, sizeof(*f));
	f->protocols = conf->h.sync.protocols;
	for (unsigned int i = 0; i < conf->h.nnets; i++)
		add_net(f, &conf->h.nets[i], conf->h.nnodes);
}

static bool
protocol_wanted(const struct filter *f, uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return (f->protocols & CONF_PROTO_TCP) != 0;
	case IPPROTO_UDP:
		return (f->protocols & CONF_PROTO_UDP) != 0;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return (f->protocols & CONF_PROTO_ICMP) != 0;
	default:
		return false;
	}
}

/*
 * A virtual address is fine where translation put it: as the destination of
 * the original direction when another one answers (DNAT), or of the reply
 * when another one asked (SNAT).
 */
static bool
local4(const struct filter *f, const struct ct_rec *r)
{
	const struct ct_tuple *t[] = {&r->orig, &r->reply};
	bool vip = false;

	for (size_t i = 0; i < nitems(t); i++) {
		enum filter_kind s = filter_find(f, t[i]->src.v4.s_addr);
		enum filter_kind d = filter_find(f, t[i]->dst.v4.s_addr);

		if (s == FILTER_OWN || d == FILTER_OWN ||
		    s == FILTER_BROADCAST || d == FILTER_BROADCAST)
			return true;
		vip = vip || s == FILTER_VIP || d == FILTER_VIP;
	}
	return vip && r->orig.src.v4.s_addr == r->reply.dst.v4.s_addr &&
	    r->orig.dst.v4.s_addr == r->reply.src.v4.s_addr;
}

/*
 * Translated by somebody else's rules, a container's for example: such a
 * flow is this host's alone. This version translates IPv4, to and from
 * virtual addresses.
 */
static bool
foreign(const struct filter *f, const struct ct_rec *r)
{
	bool snat = !addr_same(&r->reply.dst, &r->orig.src);
	bool dnat = !addr_same(&r->reply.src, &r->orig.dst);

	if (r->family != AF_INET)
		return snat || dnat;
	return (snat && filter_find(f, r->reply.dst.v4.s_addr) != FILTER_VIP) ||
	    (dnat && filter_find(f, r->orig.dst.v4.s_addr) != FILTER_VIP);
}

/* It carries a virtual address: no other flow of this host can. */
bool
filter_ours(const struct filter *f, const struct ct_rec *r)
{
	return r->family == AF_INET &&
	    (filter_find(f, r->reply.dst.v4.s_addr) == FILTER_VIP ||
		filter_find(f, r->orig.dst.v4.s_addr) == FILTER_VIP);
}

bool
filter_pass(const struct filter *f, const struct ct_rec *r)
{
	if (r->zone != 0 || !protocol_wanted(f, r->proto))
		return false;
	if (addr_special(r->family, &r->orig.src) ||
	    addr_special(r->family, &r->orig.dst) ||
	    addr_special(r->family, &r->reply.src) ||
	    addr_special(r->family, &r->reply.dst))
		return false;
	return (r->family != AF_INET || !local4(f, r)) && !foreign(f, r);
}

/*
 * Of what is held for a peer: may it be? By the filter of an earlier site
 * file perhaps, which knew other protocols and virtual addresses.
 */
bool
filter_held(const struct filter *f, const struct ct_rec *r)
{
	const union addr *all[] = {
	    &r->orig.src, &r->orig.dst, &r->reply.src, &r->reply.dst};

	for (size_t i = 0; i < nitems(all); i++)
		if (addr_special(r->family, all[i]) ||
		    (r->family == AF_INET &&
			filter_find(f, all[i]->v4.s_addr) == FILTER_OWN))
			return false;
	return r->zone == 0;
}

/*
 * Half-open TCP is not sent: its peers repeat the handshake. Assured is
 * never taken back, so a flow that was once sent also has its end sent.
 */
bool
filter_mature(const struct ct_rec *r)
{
	if (r->proto != IPPROTO_TCP || !(r->fields & CTF_STATUS) ||
	    (r->status & IPS_ASSURED) != 0 || !(r->fields & CTF_TCP))
		return true;
	return r->tcp_state != TCP_CONNTRACK_SYN_SENT &&
	    r->tcp_state != TCP_CONNTRACK_SYN_RECV &&
	    r->tcp_state != TCP_CONNTRACK_SYN_SENT2;
}
