/*
 * One line for a monitoring system, with its exit codes: 0 ok, 1 warning,
 * 2 critical, 3 unknown. What is gone for the users is critical; what would
 * hurt at the next failover is a warning.
 */
#include <inttypes.h>
#include <string.h>

#include "fmt.h"
#include "hactl.h"

enum { HEALTH_OK, HEALTH_WARNING, HEALTH_CRITICAL, HEALTH_UNKNOWN };

static const struct view view = {
    .command = "health",
    .whats = {CTL_SHOW_NODE, CTL_SHOW_VRRP, CTL_SHOW_SYNC, CTL_SHOW_NAT},
    .partial = true,
};

static const char *
level_name(int level)
{
	static const char *const names[] = {
	    "OK", "WARNING", "CRITICAL", "UNKNOWN"};

	return names[level];
}

/* What keeps packets from passing; NULL: nothing. */
static const char *
critical(const struct answer *a, char *buf, size_t len)
{
	const struct ctl_vrrp *v = answer_row(a, ROW_VRRP, 0);
	const struct ctl_nat *n = answer_row(a, ROW_NAT, 0);
	size_t i;

	for (i = 0; i < a->nqueries; i++)
		if (a->queries[i].code != EX_DONE)
			return answer_why(&a->queries[i], buf, len);
	if (v != NULL && v->split)
		return "two masters suspected";
	if (v != NULL && v->role != ROLE_MASTER && v->role != ROLE_BACKUP)
		return "this node can not be master";
	if (n != NULL && !n->loaded && !n->loading) {
		snprintf(buf, len, "NAT is not in the kernel%s%s",
		    n->error[0] != '\0' ? ": " : "", n->error);
		return buf;
	}
	return NULL;
}

static const char *
warning(const struct answer *a, char *buf, size_t len)
{
	const struct ctl_warning *w = answer_row(a, ROW_WARNING, 0);
	const struct ctl_nat *n = answer_row(a, ROW_NAT, 0);
	const struct ctl_peer *p;
	size_t i;

	if (n != NULL && n->loading)
		return "NAT is as before the last reload, being changed";
	for (i = 0; (p = answer_row(a, ROW_PEER, i)) != NULL; i++) {
		if (p->up && (p->role == ROLE_MASTER || p->ready) &&
		    p->same_config)
			continue;
		snprintf(buf, len, "%s %s", p->node,
		    !p->up                ? "does not answer"
			: !p->same_config ? "has another configuration"
					  : "is not ready");
		return buf;
	}
	if (w != NULL) {
		snprintf(buf, len, "%s: %s", w->object, w->text);
		return buf;
	}
	return NULL;
}

static void
state(const struct answer *a, char *buf, size_t len)
{
	const struct ctl_node *n = answer_row(a, ROW_NODE, 0);
	const struct ctl_peer *p;
	char flows[FMT_MAX];
	size_t i, used;

	buf[0] = '\0';
	if (n == NULL)
		return;
	snprintf(buf, len, "%s %s", n->node, role_name((enum role)n->role));
	for (i = 0; (p = answer_row(a, ROW_PEER, i)) != NULL; i++) {
		used = strlen(buf);
		snprintf(buf + used, len - used, ", %s %s%s", p->node,
		    p->up ? role_name((enum role)p->role) : "silent",
		    p->up && p->ready && p->role != ROLE_MASTER ? " and ready"
								: "");
	}
	used = strlen(buf);
	snprintf(buf + used, len - used, ", %s flows",
	    fmt_count(flows, n->ct_count));
}

/* Figures after the bar, for graphs. */
static void
figures(const struct answer *a, char *buf, size_t len)
{
	const struct ctl_node *n = answer_row(a, ROW_NODE, 0);
	const struct ctl_sync_peer *p;
	uint64_t unconfirmed = 0;
	size_t i;

	buf[0] = '\0';
	if (n == NULL)
		return;
	for (i = 0; (p = answer_row(a, ROW_SYNC_PEER, i)) != NULL; i++)
		unconfirmed += p->unconfirmed;
	snprintf(buf, len,
	    " | flows=%" PRIu64 ";;;0;%" PRIu64 " unconfirmed=%" PRIu64
	    " dropped=%" PRIu64 "c",
	    n->ct_count, n->ct_max, unconfirmed, n->ct_drop);
}

int
health_judge(const struct answer *a, char *line, size_t len)
{
	char buf[CTL_TEXT_MAX + 64], now[512], perf[160];
	const char *why;
	int level = HEALTH_CRITICAL;

	if ((why = critical(a, buf, sizeof(buf))) == NULL) {
		why = warning(a, buf, sizeof(buf));
		level = why != NULL ? HEALTH_WARNING : HEALTH_OK;
	}
	state(a, now, sizeof(now));
	figures(a, perf, sizeof(perf));
	/* the bar begins the figures: not in a text */
	snprintf(line, len, "%s%s%s", why != NULL ? why : "",
	    why != NULL && now[0] != '\0' ? "; " : "", now);
	for (char *p = line; (p = strchr(p, '|')) != NULL;)
		*p = '/';
	strncat(line, perf, len - strlen(line) - 1);
	return level;
}

static int
report(const struct args *args, int level, const char *line)
{
	json_t *o;

	if (args->json) {
		o = out_json_new("health");
		json_object_set_new(
		    o, "status", json_string(level_name(level)));
		json_object_set_new(o, "code", json_integer(level));
		json_object_set_new(o, "text", json_string(line));
		out_json_print(stdout, o, false);
	} else {
		printf("HAGW %s - %s\n", level_name(level), line);
	}
	return fflush(stdout) == EOF ? HEALTH_UNKNOWN : level;
}

int
cmd_health(const struct args *args)
{
	struct answer a;
	char line[1536];
	int code, level;

	code = view_ask(args, &view, &a, line, sizeof(line));
	if (code == EX_DONE)
		level = health_judge(&a, line, sizeof(line));
	else if (code == EX_NODAEMON || code == EX_LATE)
		level = HEALTH_CRITICAL;
	else
		level = HEALTH_UNKNOWN;
	answer_free(&a);
	return report(args, level, line);
}
