/*
 * Can this node do a master's work? Until its first ruleset is in the kernel
 * vrrpd has to wait: as MASTER it would forward what nothing translates, and
 * such flows stay so for life. Later, a child that cannot be kept running, or
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
/* Without a ruleset for so long after the start: it takes part all the same. */
#define HEALTH_HOLD_US     10000000
/* Between two attempts to give mastership up. */
#define HEALTH_RETRY_US    10000000

static uint64_t bad_since_us; /* 0: all is well */
static uint64_t next_try_us;
static bool unfit = true; /* until the first ruleset is in */
static bool told;
static bool nat_loaded;
static bool let_go;

static void
release_vrrpd(void)
{
	if (let_go)
		return;
	let_go = true;
	nets_links();
}

void
health_nat_loaded(bool loaded)
{
	nat_loaded = loaded;
	if (loaded)
		release_vrrpd();
}

/* An adopted MASTER forwards already, by the table that it had. */
bool
health_holds_vrrpd(void)
{
	return !let_go && hagwd.role != ROLE_MASTER;
}

static void
hold_no_longer(uint64_t now)
{
	if (let_go || now - hagwd.started_us < HEALTH_HOLD_US)
		return;
	if (health_holds_vrrpd())
		log_warnx("the ruleset is not in the kernel after %d s: this "
			  "node may become MASTER without it",
		    HEALTH_HOLD_US / 1000000);
	release_vrrpd();
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

	hold_no_longer(now);
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
