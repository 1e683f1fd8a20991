/*
 * How often a child may ask for what costs the parent or the network
 * something. Far above what it ever needs: who is over it is not itself any
 * more. What is not in the table is bounded by the time a child gets in one
 * turn of the loop (child.c). Pure.
 */
#include "parentd.h"

/* All are of one child only, so that the state is kept by the row. */
static const struct budget_rule {
	enum imsg_type type;
	uint32_t per_second;
	uint32_t burst;
} rules[] = {
    {IMSG_RECONF_DRAINED, 20, 100},
    {IMSG_VRRP_STATE, 20, 100},
    {IMSG_VRRP_ANNOUNCE, 20, 100},
    {IMSG_VRRP_HANDOVER, 20, 100},
    {IMSG_VRRP_RELEASED, 20, 100},
    {IMSG_CT_DUMP, 10, 30},
    {IMSG_CT_STATUS, 500, 2000},
    {IMSG_CT_BARRIER_DONE, 20, 100},
    {IMSG_CT_HANDOVER_ASKED, 100, 500},
    {IMSG_NAT_COMMIT, 20, 100},
};

_Static_assert(nitems(rules) <= BUDGET_MAX, "a place for each rule");

/* When the last one paid for would be due at the allowed rate (GCRA). */
bool
budget_take(struct budget *b, uint32_t type, uint64_t now_us)
{
	for (size_t i = 0; i < nitems(rules); i++) {
		uint64_t every_us = 1000000 / rules[i].per_second;

		if (rules[i].type != type)
			continue;
		if (b->due_us[i] < now_us)
			b->due_us[i] = now_us;
		if (b->due_us[i] - now_us > every_us * rules[i].burst)
			return false;
		b->due_us[i] += every_us;
		return true;
	}
	return true;
}
