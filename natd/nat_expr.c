/*
 * nftables expressions, one function each. Values are compared in register
 * 1, which is the one a rule's loads go to unless they build a map's key.
 * Lack of memory shows in the rule: it has fewer expressions than were
 * appended, so a NULL from libnftnl is fatal here.
 */
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <stdio.h>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <string.h>

#include "log.h"
#include "natd.h"

static struct nftnl_expr *
append(struct nftnl_rule *r, const char *name)
{
	struct nftnl_expr *e;

	if ((e = nftnl_expr_alloc(name)) == NULL)
		fatal("nftables expression %s", name);
	nftnl_rule_add_expr(r, e);
	return e;
}

void
expr_payload(struct nftnl_rule *r, uint32_t base, uint32_t off, uint32_t len,
    uint32_t dreg)
{
	struct nftnl_expr *e = append(r, "payload");

	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, off);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
	nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, dreg);
}

void
expr_meta(struct nftnl_rule *r, uint32_t key, uint32_t dreg)
{
	struct nftnl_expr *e = append(r, "meta");

	nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, dreg);
}

void
expr_ct(struct nftnl_rule *r, uint32_t key, uint32_t dreg)
{
	struct nftnl_expr *e = append(r, "ct");

	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, key);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, dreg);
}

void
expr_ct_events(struct nftnl_rule *r, uint32_t mask)
{
	struct nftnl_expr *e = append(r, "immediate");

	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DATA, mask);
	e = append(r, "ct");
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, NFT_CT_EVENTMASK);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_SREG, NFT_REG_1);
}

/* To those the flow has. */
void
expr_ct_label(struct nftnl_rule *r, uint8_t bits)
{
	uint8_t label[HAGW_CT_LABEL_LEN] = {[HAGW_CT_LABEL_AT] = bits};
	struct nftnl_expr *e = append(r, "immediate");

	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
	nftnl_expr_set(e, NFTNL_EXPR_IMM_DATA, label, sizeof(label));
	e = append(r, "ct");
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, NFT_CT_LABELS);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CT_SREG, NFT_REG_1);
}

void
expr_cmp(struct nftnl_rule *r, uint32_t op, const void *data, uint32_t len)
{
	struct nftnl_expr *e = append(r, "cmp");

	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, data, len);
}

void
expr_cmp8(struct nftnl_rule *r, uint32_t op, uint8_t value)
{
	expr_cmp(r, op, &value, sizeof(value));
}

void
expr_mask(struct nftnl_rule *r, const void *mask, uint32_t len)
{
	static const uint8_t zero[16];
	struct nftnl_expr *e = append(r, "bitwise");

	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, len);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, mask, len);
	nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, zero, len);
}

void
expr_ct_labels(struct nftnl_rule *r, uint8_t mask, uint32_t op, uint8_t value)
{
	uint8_t masks[HAGW_CT_LABEL_LEN] = {[HAGW_CT_LABEL_AT] = mask};
	uint8_t label[HAGW_CT_LABEL_LEN] = {[HAGW_CT_LABEL_AT] = value};

	expr_ct(r, NFT_CT_LABELS, NFT_REG_1);
	expr_mask(r, masks, sizeof(masks));
	expr_cmp(r, op, label, sizeof(label));
}

void
expr_lookup(struct nftnl_rule *r, const char *set, uint32_t dreg, bool invert)
{
	struct nftnl_expr *e = append(r, "lookup");

	nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set);
	nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	if (dreg != 0)
		nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, dreg);
	if (invert)
		nftnl_expr_set_u32(
		    e, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
}

void
expr_verdict(struct nftnl_rule *r, uint32_t verdict)
{
	struct nftnl_expr *e = append(r, "immediate");

	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, verdict);
}

void
expr_notrack(struct nftnl_rule *r)
{
	append(r, "notrack");
}

void
expr_reset(struct nftnl_rule *r)
{
	struct nftnl_expr *e = append(r, "reject");

	nftnl_expr_set_u32(e, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_TCP_RST);
	nftnl_expr_set_u8(e, NFTNL_EXPR_REJECT_CODE, 0);
}

void
expr_local_saddr(struct nftnl_rule *r)
{
	struct nftnl_expr *e = append(r, "fib");
	uint32_t local = 2; /* RTN_LOCAL */

	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_SADDR);
	nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
	expr_cmp(r, NFT_CMP_EQ, &local, sizeof(local));
}

void
expr_nat(struct nftnl_rule *r, uint32_t type, uint32_t portreg)
{
	struct nftnl_expr *e = append(r, "nat");

	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_TYPE, type);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_FAMILY, NFPROTO_IPV4);
	nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1);
	if (portreg != 0)
		nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_PROTO_MIN, portreg);
}
