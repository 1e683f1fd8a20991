/*
 * Pure checks: may this request of a child be carried out, given the
 * configuration and the role? NULL, or the reason for the log.
 */
#include <linux/netfilter/nf_conntrack_common.h>
#include <stdlib.h>
#include <string.h>

#include "kctmsg.h"
#include "parentd.h"

/* What a record may say of a flow; the kernel decides all else itself. */
#define CT_STATUS_ALLOWED                                             \
	(IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED | IPS_SRC_NAT | \
	    IPS_DST_NAT | IPS_SEQ_ADJUST | IPS_SRC_NAT_DONE |         \
	    IPS_DST_NAT_DONE)
#define TCP_STATE_MAX 8 /* TCP_CONNTRACK_TIME_WAIT and CLOSE lie below */
#define WSCALE_MAX    14 /* RFC 7323, 2.3 */

static int
target_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(in_addr_t));
}

/* Where it listens: overlapping forwards make no valid configuration. */
static int
forward_cmp(const void *a, const void *b)
{
	const struct authz_forward *x = a, *y = b;

	if (x->vip != y->vip)
		return x->vip < y->vip ? -1 : 1;
	if (x->proto != y->proto)
		return x->proto - y->proto;
	return x->lo - y->lo;
}

static void
prepare_forwards(struct authz_forward *fwd, const struct conf *conf)
{
	for (size_t i = 0; i < conf->h.nforwards; i++) {
		const struct conf_forward *f = &conf->forwards[i];

		fwd[i] = (struct authz_forward){
		    .vip = conf->h.nets[f->on].vip.s_addr,
		    .to = f->to.s_addr,
		    .lo = f->lo,
		    .hi = f->hi,
		    .to_port = f->to_port,
		    .proto = f->proto,
		};
	}
	qsort(fwd, conf->h.nforwards, sizeof(*fwd), forward_cmp);
}

int
authz_prepare(struct authz_view *v, const struct conf *conf)
{
	size_t n = conf->h.nforwards;
	in_addr_t *t = calloc(n + 1, sizeof(*t) + sizeof(*v->forwards));

	if (t == NULL)
		return -1;
	for (size_t i = 0; i < n; i++)
		t[i] = conf->forwards[i].to.s_addr;
	qsort(t, n, sizeof(*t), target_cmp);
	free(v->targets);
	v->targets = t;
	v->ntargets = n;
	v->forwards = (struct authz_forward *)(t + n);
	v->nforwards = n;
	prepare_forwards(v->forwards, conf);
	v->conf = conf;
	return 0;
}

const char *
authz_vrrp_state(const struct authz_view *v, uint32_t role)
{
	if (role != ROLE_MASTER && role != ROLE_BACKUP && role != ROLE_FAULT)
		return "vrrp state: no such role";
	if (v->conf->h.ha.nnets == 0)
		return "vrrp state: this site has no ha group";
	return NULL;
}

static bool
is_vip(const struct conf *conf, in_addr_t a)
{
	for (int i = 0; i < conf->h.nnets; i++)
		if (a != 0 && conf->h.nets[i].vip.s_addr == a)
			return true;
	return false;
}

static bool
is_node_address(const struct conf *conf, in_addr_t a)
{
	for (int i = 0; i < conf->h.nnets; i++)
		for (int n = 0; n < conf->h.nnodes; n++)
			if (a != 0 && conf->h.nets[i].addr[n].s_addr == a)
				return true;
	return false;
}

/* The last one that begins there or before. */
static const struct authz_forward *
find_forward(
    const struct authz_view *v, in_addr_t vip, uint8_t proto, uint16_t port)
{
	const struct authz_forward key = {
	    .vip = vip, .proto = proto, .lo = port};
	size_t lo = 0, hi = v->nforwards, mid;
	const struct authz_forward *f;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (forward_cmp(&v->forwards[mid], &key) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0)
		return NULL;
	f = &v->forwards[lo - 1];
	return f->vip == vip && f->proto == proto && port <= f->hi ? f : NULL;
}

static bool
addr_equal(const union addr *a, const union addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static const char *
check_addresses(const struct authz_view *v, const struct ct_rec *r)
{
	const union addr *all[] = {
	    &r->orig.src, &r->orig.dst, &r->reply.src, &r->reply.dst};

	for (size_t i = 0; i < nitems(all); i++) {
		if (addr_special(r->family, all[i]))
			return "flow of a loopback or multicast address";
		if (r->family == AF_INET &&
		    is_node_address(v->conf, all[i]->v4.s_addr))
			return "flow of a gateway's own address";
	}
	return NULL;
}

/* To where it was sent, or from a virtual address to where that leads. */
static const char *
check_destination(const struct authz_view *v, const struct ct_rec *r)
{
	in_addr_t to = r->orig.dst.v4.s_addr;
	uint16_t port = ntohs(r->orig.dport);
	const struct authz_forward *f;

	if (addr_equal(&r->reply.src, &r->orig.dst))
		return kct_icmp(r) || r->reply.sport == r->orig.dport
		    ? NULL
		    : "flow to another port than it was sent to";
	if (r->family != AF_INET)
		return "flow translated in IPv6, which this site does not do";
	if (!is_vip(v->conf, to))
		return "flow forwarded from what is no virtual address";
	f = find_forward(v, to, r->proto, port);
	if (f == NULL || f->to != r->reply.src.v4.s_addr ||
	    ntohs(r->reply.sport) != f->to_port + (port - f->lo))
		return "flow forwarded to what no nat.forward names";
	return NULL;
}

/* The kernel chooses another port only among those of the same kind. */
static int
port_kind(uint16_t be)
{
	uint16_t port = ntohs(be);

	if (port < 512)
		return 0;
	return port < 1024 ? 1 : 2;
}

/*
 * From where it was sent, or from a virtual address and any port. An address
 * that is kept keeps its port too, but where another flow to the same place
 * has it already (one by way of a virtual address, and one straight there):
 * to that the kernel's NAT gives another, whatever the rules.
 */
static const char *
check_source(const struct authz_view *v, const struct ct_rec *r)
{
	if (addr_equal(&r->reply.dst, &r->orig.src)) {
		if (kct_icmp(r))
			return r->reply.sport == r->orig.sport
			    ? NULL
			    : "flow of another id, and the same addresses";
		return port_kind(r->reply.dport) == port_kind(r->orig.sport)
		    ? NULL
		    : "flow from another kind of port";
	}
	if (r->family != AF_INET)
		return "flow translated in IPv6, which this site does not do";
	return is_vip(v->conf, r->reply.dst.v4.s_addr)
	    ? NULL
	    : "flow translated to a source that is no virtual address";
}

/* What is translated must be translated to what this site translates to. */
static const char *
check_translation(const struct authz_view *v, const struct ct_rec *r)
{
	const char *why = check_source(v, r);

	return why != NULL ? why : check_destination(v, r);
}

/* What ends is judged by nothing that an earlier site file had otherwise. */
static bool
is_end(const struct ct_rec *r)
{
	return r->op == CT_OP_DELETE || r->op == CT_OP_TIMEOUT;
}

static const char *
check_protocol(const struct authz_view *v, const struct ct_rec *r)
{
	static const struct {
		int family;
		uint8_t proto;
		uint8_t bit;
	} known[] = {
	    {AF_UNSPEC, IPPROTO_TCP, CONF_PROTO_TCP},
	    {AF_UNSPEC, IPPROTO_UDP, CONF_PROTO_UDP},
	    {AF_INET, IPPROTO_ICMP, CONF_PROTO_ICMP},
	    {AF_INET6, IPPROTO_ICMPV6, CONF_PROTO_ICMP},
	};

	if (r->family != AF_INET && r->family != AF_INET6)
		return "flow of an unknown family";
	for (size_t i = 0; i < nitems(known); i++) {
		if (known[i].proto == r->proto &&
		    (known[i].family == AF_UNSPEC ||
			known[i].family == r->family))
			return is_end(r) ||
				(v->conf->h.sync.protocols & known[i].bit) != 0
			    ? NULL
			    : "flow of a protocol not in sync.protocols";
	}
	return "flow of an unknown protocol";
}

static const char *
check_state(const struct ct_rec *r)
{
	if ((r->status & ~(uint32_t)CT_STATUS_ALLOWED) != 0)
		return "flow with status bits that are the kernel's";
	if (r->timeout_s > CT_HOLD_MAX_S)
		return "flow with a timeout over the hold time";
	if (r->tcp_state > TCP_STATE_MAX)
		return "flow with an impossible tcp state";
	if (r->wscale_orig > WSCALE_MAX || r->wscale_reply > WSCALE_MAX)
		return "flow with an impossible window scale";
	if (r->zone != 0)
		return "flow of a zone this site does not have";
	return NULL;
}

/*
 * Is it one that a flow held by this node may have? Half-open ones are not
 * replicated: they count as established. Which of its own the flow is in is
 * the kernel's to know, and not told.
 */
static bool
timeout_of(const struct imsg_ct_timeouts *t, const struct ct_rec *r)
{
	uint32_t s = r->timeout_s;

	switch (r->proto) {
	case IPPROTO_TCP:
		for (int i = TCP_CONNTRACK_ESTABLISHED;
		     i <= TCP_CONNTRACK_CLOSE; i++)
			if (s == t->tcp[i])
				return true;
		return false;
	case IPPROTO_UDP:
		return s == t->udp_unreplied || s == t->udp_replied;
	case IPPROTO_ICMP:
		return s == t->icmp;
	case IPPROTO_ICMPV6:
		return s == t->icmpv6;
	}
	return false;
}

/*
 * A standby may hold its flows as long as it likes. The master's idle ones
 * get back what their protocol has, some time after a takeover, and no other
 * time: one of a second would be the end of a flow.
 */
static const char *
check_timeout(const struct authz_view *v, const struct ct_rec *r)
{
	if (r->timeout_s == 0)
		return "flow ended by its timeout";
	if (v->role != ROLE_MASTER)
		return NULL;
	if (!v->settle)
		return "timeout changed on a master of long standing";
	return timeout_of(&v->timeouts, r)
	    ? NULL
	    : "timeout that its protocol does not have on the master";
}

static const char *
check_flow(const struct authz_view *v, const struct ct_rec *r)
{
	const char *why;

	if (v->conf->h.sync.npaths == 0)
		return "this site has no sync section";
	if ((why = check_protocol(v, r)) == NULL &&
	    (why = check_addresses(v, r)) == NULL)
		why = check_state(r);
	return why;
}

bool
authz_ct_if_there(const struct authz_view *v, const struct ct_rec *r)
{
	return (r->op == CT_OP_NEW || r->op == CT_OP_UPDATE) && v->inject &&
	    check_flow(v, r) == NULL;
}

const char *
authz_ct(const struct authz_view *v, const struct ct_rec *r)
{
	const char *why = check_flow(v, r);

	if (why != NULL)
		return why;
	switch (r->op) {
	case CT_OP_NEW:
	case CT_OP_UPDATE:
		if (!v->inject)
			return "flow injected on the master";
		return check_translation(v, r);
	case CT_OP_DELETE:
		return v->inject ? NULL : "flow deleted on the master";
	case CT_OP_TIMEOUT:
		return check_timeout(v, r);
	default:
		return "unknown kind of record";
	}
}
