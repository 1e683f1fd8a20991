/* What hagwd says of other nodes, from what syncd tells it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon.h"

struct daemon hagwd;

static char last[CTL_TEXT_MAX]; /* event */

void
history_add(const char *kind, const char *fmt, ...)
{
	va_list ap;

	assert_string_equal(kind, "sync");
	va_start(ap, fmt);
	vsnprintf(last, sizeof(last), fmt, ap);
	va_end(ap);
}

void
child_send(enum proc_id id, enum imsg_type type, uint32_t msgid,
    const void *data, size_t len)
{
	(void)id;
	(void)type;
	(void)msgid;
	(void)data;
	(void)len;
}

bool
health_fit(void)
{
	return true;
}

void
sysctl_ct_count(struct imsg_ct_count *count)
{
	(void)count;
}

/* A status as syncd sends it each second; the event it makes. */
static const char *
status(enum role role, bool ready)
{
	struct imsg_ct_status st = {
	    .node = 1, .up = 1, .role = role, .ready = ready};

	last[0] = '\0';
	peers_update(&st);
	return last;
}

/* Heartbeats do not say why: no cause may be named that need not be it. */
static void
why_not_ready(void **state)
{
	static struct conf conf = {.h.nnodes = 2};

	(void)state;
	strcpy(conf.h.nodes[1].name, "fw-2");
	hagwd.conf = &conf;
	hagwd.role = ROLE_MASTER;
	assert_string_equal(
	    status(ROLE_BACKUP, true), "fw-2 is ready: it holds every flow");
	assert_string_equal(status(ROLE_BACKUP, true), "");
	assert_string_equal(status(ROLE_BACKUP, false),
	    "fw-2 is not ready: it lacks flows or is not fit to be MASTER "
	    "(hactl show summary there)");
	status(ROLE_BACKUP, true);
	assert_string_equal(
	    status(ROLE_FAULT, false), "fw-2 is not ready: it is not BACKUP");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(why_not_ready),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
