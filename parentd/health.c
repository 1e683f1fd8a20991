/*
 * Can this node do a master's work? A child that cannot be kept running, or
 * a ruleset the kernel did not take, makes it unfit: then it does not count
 * as ready, and as MASTER it hands over to a node that is. When there is
 * none it goes on: the kernel forwards without any of them.
 */
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "daemon.h"
#include "log.h"

/* A restart is no reason; nor is a takeover's worth of trouble. */
#define HEALTH_PATIENCE_US 3000000
/* A child that died in a loop and lives for so long has come through. */
#define HEALTH_SOUND_US    5000000
/* Between two attempts to give mastership up. */
#define HEALTH_RETRY_US    10000000

static uint64_t bad_since_us; /* 0: all is well */
static uint64_t next_try_us;
static bool unfit = true; /* until the first ruleset is in */
static bool told;
static bool nat_loaded;

void
health_nat_loaded(bool loaded)
{
	nat_loaded = loaded;
}

static bool
child_sound(const struct child *c)
{
	return c->state == CHILD_RUNNING &&
	    (c->failures <= CHILD_FREE_DEATHS ||
		clock_us() - c->started_us > HEALTH_SOUND_US);
}

/* NULL: nothing is wrong. ctld only talks. */
static const char *
trouble(char *buf, size_t sz)
{
	static const enum proc_id needed[] = {PROC_VRRP, PROC_SYNC, PROC_NAT};

	for (size_t i = 0; i < nitems(needed); i++) {
		const struct child *c = &hagwd.children[needed[i]];

		if (child_sound(c) ||
		    (c->id == PROC_SYNC && hagwd.conf->h.sync.npaths == 0))
			continue;
		snprintf(buf, sz, "%s cannot be kept running (%s)",
		    proc_name(c->id), c->note);
		return buf;
	}
	return nat_loaded ? NULL : "the ruleset is not loaded";
}

bool
health_fit(void)
{
	return !unfit;
}

void
health_to_syncd(void)
{
	struct imsg_ct_unfit msg = {.unfit = unfit};

	child_send(PROC_SYNC, IMSG_CT_UNFIT, 0, &msg, sizeof(msg));
}

static void
tell(bool now_unfit, const char *why)
{
	if (told && now_unfit == unfit)
		return;
	unfit = now_unfit;
	next_try_us = 0;
	if (unfit)
		history_add("proc", "not fit to be MASTER: %s", why);
	else if (told)
		history_add("proc", "fit to be MASTER again");
	told = true;
	health_to_syncd();
	peers_tell_vrrpd();
}

void
health_tick(void)
{
	uint64_t now = clock_us();
	char buf[CTL_TEXT_MAX];
	const char *why = trouble(buf, sizeof(buf));

	if (why == NULL) {
		bad_since_us = 0;
		tell(false, "");
		return;
	}
	if (bad_since_us == 0)
		bad_since_us = now;
	if (now - bad_since_us < HEALTH_PATIENCE_US)
		return;
	tell(true, why);
	if (hagwd.role == ROLE_MASTER && now >= next_try_us) {
		next_try_us = now + HEALTH_RETRY_US;
		handover_unfit();
	}
}

/* NULL, or why not, for show summary. */
const char *
health_warning(char *buf, size_t sz)
{
	return unfit ? trouble(buf, sz) : NULL;
}
