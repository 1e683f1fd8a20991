/*
 * Requests on their way: checked, numbered anew for the parent, and the rows
 * that come back handed to the one who asked. A number is a slot and a
 * generation, so that rows of a cancelled request find nobody.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "ctld.h"
#include "log.h"

#define SLOT_BITS 8
_Static_assert(RELAY_MAX <= 1 << SLOT_BITS, "a slot fits its bits");

struct relay {
	uint32_t id; /* the parent's; 0: free */
	uint32_t user_id;
	uint32_t what;
	uint64_t start_us;
	struct client *client;
};

/* What a request may carry; its words are for the refusal. */
struct relay_rule {
	const char *action;
	uint32_t flags;
	bool name;
	bool number;
};

static const struct relay_rule rules[CTL_WHAT_MAX] = {
    [CTL_SHOW_NODE] = {"look at the node", 0, false, false},
    [CTL_SHOW_VRRP] = {"look at vrrp", 0, true, false},
    [CTL_SHOW_SYNC] = {"look at sync", 0, false, false},
    [CTL_SHOW_NAT] = {"look at nat", CTL_F_BRIEF, true, false},
    [CTL_SHOW_CONFIG] = {"look at the configuration", 0, false, false},
    [CTL_SHOW_EVENTS] = {"look at events", 0, false, true},
    [CTL_SHOW_PROCESS] = {"look at processes", 0, false, false},
    [CTL_MONITOR] = {"monitor", 0, false, false},
    [CTL_FAILOVER] = {"fail over", CTL_F_FORCE, false, false},
    [CTL_FAILBACK] = {"fail back", 0, false, false},
    [CTL_RELOAD] = {"reload the configuration", 0, false, false},
    [CTL_LOG] = {"change the log level", CTL_F_VERBOSE, false, false},
};

static struct relay relays[RELAY_MAX];
static uint32_t generation;
static const struct relay_ops *ops;

void
relay_init(const struct relay_ops *o)
{
	ops = o;
	memset(relays, 0, sizeof(relays));
}

/* A name as the site file allows; longer or stranger ones match nothing. */
static bool
name_ok(const char name[CONF_NAME_MAX])
{
	size_t i, len = strnlen(name, CONF_NAME_MAX);

	for (i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) &&
		    strchr("-_.", name[i]) == NULL)
			return false;
	return len < CONF_NAME_MAX;
}

int
relay_check(const struct ctl_request *req, uid_t uid, char *why, size_t whysz)
{
	const struct relay_rule *rule;

	if (req->what >= CTL_WHAT_MAX || rules[req->what].action == NULL) {
		snprintf(why, whysz, "unknown request %u", req->what);
		return 2;
	}
	rule = &rules[req->what];
	if ((req->flags & ~rule->flags) != 0 || req->reserved != 0 ||
	    (req->number != 0 && !rule->number) ||
	    req->number > CTL_EVENTS_MAX) {
		snprintf(why, whysz, "to %s: flags or number out of range",
		    rule->action);
		return 2;
	}
	if (!name_ok(req->arg) || (req->arg[0] != '\0' && !rule->name)) {
		snprintf(why, whysz, "to %s: not a name", rule->action);
		return 2;
	}
	if (req->what > CTL_WHAT_CHANGE && uid != 0) {
		snprintf(why, whysz, "permission denied: only root may %s",
		    rule->action);
		return 1;
	}
	return 0;
}

static struct relay *
relay_by_user(const struct client *c, uint32_t user_id)
{
	size_t i;

	for (i = 0; i < RELAY_MAX; i++)
		if (relays[i].id != 0 && relays[i].client == c &&
		    relays[i].user_id == user_id)
			return &relays[i];
	return NULL;
}

static struct relay *
relay_by_id(uint32_t id)
{
	struct relay *r = &relays[id & ((1u << SLOT_BITS) - 1)];

	return id != 0 && r->id == id ? r : NULL;
}

/* Never NULL: there is a slot for each request of each client. */
static struct relay *
relay_take(void)
{
	size_t i;

	for (i = 0; i < RELAY_MAX; i++) {
		if (relays[i].id != 0)
			continue;
		if (++generation >= 1u << (32 - SLOT_BITS))
			generation = 1;
		relays[i].id = generation << SLOT_BITS | (uint32_t)i;
		return &relays[i];
	}
	fatalx("control: more requests than slots");
}

static void
relay_free(struct relay *r, uint64_t now_us)
{
	r->client->nrequests--;
	if (now_us != 0)
		r->client->active_us = now_us;
	memset(r, 0, sizeof(*r));
}

static void
refuse(struct client *c, uint32_t user_id, int code, const char *why)
{
	ctld_stats.denied++;
	client_log(c, why, ctld_stats.denied);
	client_end(c, user_id, code, "%s", why);
}

void
relay_request(struct client *c, uint32_t user_id, const struct ctl_request *req,
    uint64_t now_us)
{
	char why[CTL_TEXT_MAX];
	struct relay *r;
	int code;

	if ((code = relay_check(req, c->uid, why, sizeof(why))) != 0) {
		refuse(c, user_id, code, why);
		return;
	}
	if (c->nrequests >= CLIENT_REQUESTS_MAX) {
		refuse(c, user_id, 1, "too many requests at a time");
		return;
	}
	if (relay_by_user(c, user_id) != NULL) {
		refuse(c, user_id, 1, "a request of this number is under way");
		return;
	}
	r = relay_take();
	r->client = c;
	r->user_id = user_id;
	r->what = req->what;
	r->start_us = now_us;
	c->nrequests++;
	ops->request(r->id, req);
}

void
relay_row(const struct imsg *imsg)
{
	struct relay *r = relay_by_id(imsg->hdr.id);
	struct client *c;

	if (r == NULL) {
		ctld_stats.strays++;
		return;
	}
	c = r->client;
	client_send(c, imsg->hdr.type, r->user_id, imsg->data, imsg->hdr.len);
	if (imsg->hdr.type == IMSG_CTL_END)
		relay_free(r, clock_us());
	client_settle(c);
}

void
relay_drop(struct client *c)
{
	size_t i;

	for (i = 0; i < RELAY_MAX; i++) {
		if (relays[i].id == 0 || relays[i].client != c)
			continue;
		ops->cancel(relays[i].id);
		relay_free(&relays[i], 0);
	}
}

void
relay_expire(uint64_t now_us)
{
	struct relay *r;
	struct client *c;

	for (r = relays; r < relays + RELAY_MAX; r++) {
		if (r->id == 0 || r->what == CTL_MONITOR ||
		    now_us - r->start_us < RELAY_LATE_US)
			continue;
		ctld_stats.late++;
		c = r->client;
		ops->cancel(r->id);
		client_end(c, r->user_id, 5, "no answer within %us",
		    (unsigned int)(RELAY_LATE_US / 1000000));
		relay_free(r, now_us);
		client_settle(c);
	}
}
