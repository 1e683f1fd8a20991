/*
 * The rules: which expressions make each kind. What they mean to packets is
 * said here, how an expression is written in nat_expr.c.
 */
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>

#include "addr.h"
#include "natd.h"

/* The second and third 4-byte register, for a key's further fields. */
#define REG_2ND           NFT_REG32_01
#define REG_3RD           NFT_REG32_02

#define OFF_SADDR         12
#define OFF_DADDR         16
#define OFF_DPORT         2
#define OFF_TCPFLAGS      13
#define TCPF_FIN          0x01
#define TCPF_SYN          0x02
#define TCPF_RST          0x04
#define TCPF_ACK          0x10
#define ICMP_PORT_UNREACH "\x03\x03"
#define ST_INVALID        0x1
#define ST_NEW            0x8

static void
match_ipv4(struct nftnl_rule *r)
{
	expr_meta(r, NFT_META_NFPROTO, NFT_REG_1);
	expr_cmp8(r, NFT_CMP_EQ, NFPROTO_IPV4);
}

static void
match_proto(struct nftnl_rule *r, uint8_t proto)
{
	expr_meta(r, NFT_META_L4PROTO, NFT_REG_1);
	expr_cmp8(r, NFT_CMP_EQ, proto);
}

static void
match_addr(struct nftnl_rule *r, uint32_t off)
{
	expr_payload(r, NFT_PAYLOAD_NETWORK_HEADER, off, 4, NFT_REG_1);
}

/* Any of these bits of a ct key. */
static void
match_ct(struct nftnl_rule *r, uint32_t key, uint32_t bits)
{
	static const uint32_t zero = 0;

	expr_ct(r, key, NFT_REG_1);
	expr_mask(r, &bits, sizeof(bits));
	expr_cmp(r, NFT_CMP_NEQ, &zero, sizeof(zero));
}

/* Of what is known to be TCP. */
static void
load_flags(struct nftnl_rule *r, uint8_t mask)
{
	expr_payload(
	    r, NFT_PAYLOAD_TRANSPORT_HEADER, OFF_TCPFLAGS, 1, NFT_REG_1);
	expr_mask(r, &mask, sizeof(mask));
}

static void
match_flags(struct nftnl_rule *r, uint8_t mask, uint32_t op, uint8_t value)
{
	match_proto(r, IPPROTO_TCP);
	load_flags(r, mask);
	expr_cmp8(r, op, value);
}

static void
match_grace(struct nftnl_rule *r, bool open)
{
	expr_meta(r, NFT_META_NFPROTO, NFT_REG_1);
	expr_lookup(r, nft_set_name(NS_GRACE), 0, !open);
}

/* daddr . protocol . dport into the key of a map, and look it up. */
static void
map_portkey(struct nftnl_rule *r, uint8_t set)
{
	match_addr(r, OFF_DADDR);
	expr_meta(r, NFT_META_L4PROTO, REG_2ND);
	expr_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, OFF_DPORT, 2, REG_3RD);
	expr_lookup(r, nft_set_name(set), NFT_REG_1, false);
}

static void
rule_notrack_proto(struct nftnl_rule *r, const struct nat_rule *n)
{
	match_proto(r, n->proto);
	expr_notrack(r);
}

static void
rule_notrack_udp(struct nftnl_rule *r, const struct nat_rule *n)
{
	uint16_t port = htons(n->port);

	expr_meta(r,
	    n->kind == NR_NOTRACK_IN ? NFT_META_IIFNAME : NFT_META_OIFNAME,
	    NFT_REG_1);
	expr_cmp(r, NFT_CMP_EQ, n->ifname, sizeof(n->ifname));
	match_proto(r, IPPROTO_UDP);
	expr_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, OFF_DPORT, 2, NFT_REG_1);
	expr_cmp(r, NFT_CMP_EQ, &port, sizeof(port));
	if (n->kind == NR_NOTRACK_IN) {
		match_addr(r, OFF_DADDR);
		expr_cmp(r, NFT_CMP_EQ, &n->net, sizeof(n->net));
	}
	expr_notrack(r);
}

/* A RELATED packet is an error about another flow, whose mask is its own. */
static void
rule_events(struct nftnl_rule *r, const struct nat_rule *n)
{
	match_ct(r, NFT_CT_STATE, ST_NEW);
	if (n->proto != 0)
		match_proto(r, n->proto);
	expr_ct_events(r, n->mask);
}

/* Behind it in its chain all is TCP. */
static void
rule_not_tcp(struct nftnl_rule *r, const struct nat_rule *n)
{
	(void)n;
	expr_meta(r, NFT_META_L4PROTO, NFT_REG_1);
	expr_cmp8(r, NFT_CMP_NEQ, IPPROTO_TCP);
	expr_verdict(r, NF_ACCEPT);
}

static void
rule_open(struct nftnl_rule *r, const struct nat_rule *n)
{
	(void)n;
	load_flags(r, TCPF_FIN | TCPF_SYN | TCPF_RST);
	expr_cmp8(r, NFT_CMP_EQ, 0);
	expr_verdict(r, NF_ACCEPT);
}

/*
 * The kernel may think little of a RST and keep the flow: the event, which
 * the new label causes, tells the state that it has led to, and the flow's
 * end is told as well.
 */
static void
rule_rst(struct nftnl_rule *r, const struct nat_rule *n)
{
	load_flags(r, TCPF_RST);
	expr_cmp8(r, NFT_CMP_NEQ, 0);
	expr_ct_events(r, n->mask);
	expr_ct_label(r, HAGW_CT_RST);
}

/*
 * What a helper drops it drops after all rules, and the event of that packet
 * would not leave: such a flow has its end told.
 */
static void
rule_helped(struct nftnl_rule *r, const struct nat_rule *n)
{
	(void)n;
	match_ct(r, NFT_CT_STATUS, IPS_HELPER);
	expr_verdict(r, NF_ACCEPT);
}

/*
 * Where the last ACK was lost, and the ports are used again, the kernel takes
 * the answer to a SYN, which it has passed over, as the same entry's new
 * life: that is not over, whatever its labels say, and its end is told.
 */
static void
rule_again(struct nftnl_rule *r, const struct nat_rule *n)
{
	load_flags(r, TCPF_SYN | TCPF_ACK);
	expr_cmp8(r, NFT_CMP_EQ, TCPF_SYN | TCPF_ACK);
	expr_ct_labels(r, HAGW_CT_FIN_ORIG | HAGW_CT_FIN_REPLY, NFT_CMP_NEQ, 0);
	expr_ct_events(r, n->mask);
	expr_ct_label(r, HAGW_CT_RST);
}

static void
match_direction(struct nftnl_rule *r, uint8_t direction)
{
	expr_ct(r, NFT_CT_DIRECTION, NFT_REG_1);
	expr_cmp8(r, NFT_CMP_EQ, direction);
}

/*
 * Both sides have said all they had to say. That the flow is over is told by
 * the label that rule_fin sets, the only event that the mask leaves it: so
 * that label must not be there yet. The kernel's own state is no such sign: a
 * FIN repeated leads to LAST_ACK, too.
 */
static void
rule_fin_last(struct nftnl_rule *r, const struct nat_rule *n)
{
	uint8_t other = n->direction == IP_CT_DIR_ORIGINAL ? HAGW_CT_FIN_REPLY
							   : HAGW_CT_FIN_ORIG;

	load_flags(r, TCPF_FIN);
	expr_cmp8(r, NFT_CMP_NEQ, 0);
	match_direction(r, n->direction);
	expr_ct_labels(r, HAGW_CT_FIN_ORIG | HAGW_CT_FIN_REPLY | HAGW_CT_RST,
	    NFT_CMP_EQ, other);
	expr_ct_events(r, n->mask);
}

static void
rule_fin(struct nftnl_rule *r, const struct nat_rule *n)
{
	load_flags(r, TCPF_FIN);
	expr_cmp8(r, NFT_CMP_NEQ, 0);
	match_direction(r, n->direction);
	expr_ct_label(r,
	    n->direction == IP_CT_DIR_ORIGINAL ? HAGW_CT_FIN_ORIG
					       : HAGW_CT_FIN_REPLY);
}

/*
 * A packet in the middle of a connection that this host does not know: its
 * record may be under way, and a RST would end it. A SYN is answered as
 * always, so services on the vip (and closed ports) behave. What is told
 * without a look into a set comes first: every datagram of syncd's and every
 * advertisement passes here.
 */
static void
rule_guard_vip(struct nftnl_rule *r, const struct nat_rule *n)
{
	(void)n;
	match_ct(r, NFT_CT_STATE, ST_NEW | ST_INVALID);
	match_flags(r, TCPF_FIN | TCPF_SYN | TCPF_RST | TCPF_ACK, NFT_CMP_NEQ,
	    TCPF_SYN);
	match_ipv4(r);
	match_addr(r, OFF_DADDR);
	expr_lookup(r, nft_set_name(NS_VIP4), 0, false);
	expr_verdict(r, NF_DROP);
}

/* The same for UDP: there it is what the host sends that does the harm. */
static void
rule_guard_unreach(struct nftnl_rule *r, const struct nat_rule *n)
{
	(void)n;
	match_proto(r, IPPROTO_ICMP);
	expr_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, NFT_REG_1);
	expr_cmp(r, NFT_CMP_EQ, ICMP_PORT_UNREACH, 2);
	match_ipv4(r);
	match_addr(r, OFF_SADDR);
	expr_lookup(r, nft_set_name(NS_VIP4), 0, false);
	match_grace(r, true);
	expr_verdict(r, NF_DROP);
}

static void
rule_midstream(struct nftnl_rule *r, const struct nat_rule *n)
{
	(void)n;
	match_ct(r, NFT_CT_STATE, ST_NEW);
	match_flags(r, TCPF_FIN | TCPF_SYN | TCPF_RST | TCPF_ACK, NFT_CMP_NEQ,
	    TCPF_SYN);
	match_grace(r, false);
	expr_reset(r);
}

/*
 * conntrack takes up an ACK as a new flow, but calls a lone FIN invalid.
 * Other invalid packets are left alone: most of them are old segments of a
 * live flow, and a reset in answer to one could end it.
 */
static void
rule_midstream_fin(struct nftnl_rule *r, const struct nat_rule *n)
{
	(void)n;
	match_ct(r, NFT_CT_STATE, ST_INVALID);
	match_flags(r, TCPF_FIN | TCPF_SYN | TCPF_RST, NFT_CMP_EQ, TCPF_FIN);
	match_grace(r, false);
	expr_reset(r);
}

static void
rule_dnat(struct nftnl_rule *r, const struct nat_rule *n)
{
	match_ipv4(r);
	map_portkey(r, n->set);
	expr_nat(r, NFT_NAT_DNAT, n->set == NS_FWD4 ? REG_2ND : 0);
}

static void
rule_local_accept(struct nftnl_rule *r, const struct nat_rule *n)
{
	(void)n;
	expr_local_saddr(r);
	expr_verdict(r, NF_ACCEPT);
}

static void
match_net(struct nftnl_rule *r, uint32_t off, const struct nat_rule *n)
{
	struct in_addr mask = addr_mask4(n->plen);

	match_addr(r, off);
	expr_mask(r, &mask, sizeof(mask));
	expr_cmp(r, NFT_CMP_EQ, &n->net, sizeof(n->net));
}

static void
rule_hairpin(struct nftnl_rule *r, const struct nat_rule *n)
{
	match_ipv4(r);
	match_net(r, OFF_SADDR, n);
	match_net(r, OFF_DADDR, n);
	match_ct(r, NFT_CT_STATUS, IPS_DST_NAT);
	map_portkey(r, n->set);
	expr_nat(r, NFT_NAT_SNAT, 0);
}

static void
rule_snat(struct nftnl_rule *r, const struct nat_rule *n)
{
	match_ipv4(r);
	match_addr(r, OFF_SADDR);
	expr_meta(r, NFT_META_OIFNAME, REG_2ND);
	expr_lookup(r, nft_set_name(n->set), NFT_REG_1, false);
	expr_nat(r, NFT_NAT_SNAT, 0);
}

static void (*const rules[NR_MAX])(
    struct nftnl_rule *, const struct nat_rule *) = {
    [NR_NOTRACK_PROTO] = rule_notrack_proto,
    [NR_NOTRACK_IN] = rule_notrack_udp,
    [NR_NOTRACK_OUT] = rule_notrack_udp,
    [NR_EVENTS] = rule_events,
    [NR_NOT_TCP] = rule_not_tcp,
    [NR_OPEN] = rule_open,
    [NR_HELPED] = rule_helped,
    [NR_AGAIN] = rule_again,
    [NR_RST] = rule_rst,
    [NR_FIN_LAST] = rule_fin_last,
    [NR_FIN] = rule_fin,
    [NR_GUARD_VIP] = rule_guard_vip,
    [NR_GUARD_UNREACH] = rule_guard_unreach,
    [NR_MIDSTREAM] = rule_midstream,
    [NR_MIDSTREAM_FIN] = rule_midstream_fin,
    [NR_DNAT] = rule_dnat,
    [NR_LOCAL_ACCEPT] = rule_local_accept,
    [NR_HAIRPIN] = rule_hairpin,
    [NR_SNAT] = rule_snat,
};

void
rule_build(struct nftnl_rule *r, const struct nat_rule *n)
{
	rules[n->kind](r, n);
}
