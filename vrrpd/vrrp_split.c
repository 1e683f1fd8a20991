/*
 * Two masters: suspected when sync tells of another one for long, and made up
 * for when one of them has yielded. Pure, as the machine they belong to.
 */
#include "vrrpd.h"

/* The peer says so by sync for longer than a change takes. */
void
fsm_split_check(struct fsm *f, uint64_t now, struct fsm_actions *out)
{
	uint64_t after = 2 * (uint64_t)f->cfg.interval_us;

	if (fsm_active(f) && f->peer_master) {
		if (f->split_us == FSM_NEVER)
			f->split_us =
			    now + (after > FSM_SPLIT_US ? after : FSM_SPLIT_US);
		return;
	}
	f->split_us = FSM_NEVER;
	if (!f->split)
		return;
	f->split = false;
	fsm_act(out, ACT_SPLIT)->on = false;
	/* Caches may hold the loser's address: it yielded unheard. */
	if (fsm_active(f))
		fsm_act(out, ACT_ANNOUNCE);
}

void
fsm_split_timer(struct fsm *f, uint64_t now, struct fsm_actions *out)
{
	if (f->split || now < f->split_us)
		return;
	f->split = true;
	f->splits++;
	fsm_act(out, ACT_SPLIT)->on = true;
}

/*
 * After a contention the neighbours may believe either: tell them. What the
 * limit forbids now is made up for, or they would send to the loser.
 */
void
fsm_announce(struct fsm *f, uint64_t now, struct fsm_actions *out)
{
	f->announce_due = now < f->announce_us;
	if (f->announce_due)
		return;
	f->announce_us = now + FSM_ANNOUNCE_US;
	fsm_act(out, ACT_ANNOUNCE);
}

void
fsm_announce_timer(struct fsm *f, uint64_t now, struct fsm_actions *out)
{
	if (f->announce_due && now >= f->announce_us)
		fsm_announce(f, now, out);
}
