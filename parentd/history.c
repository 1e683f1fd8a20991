/* The ring behind "show events"; each entry is a log line too. */
#include <stdarg.h>
#include <stdio.h>

#include "clock.h"
#include "daemon.h"
#include "log.h"

#define HISTORY_DEFAULT 20

static struct ctl_event ring[HISTORY_MAX];
static uint64_t count;

void
history_add(const char *kind, const char *fmt, ...)
{
	struct ctl_event *e = &ring[count++ % HISTORY_MAX];
	va_list ap;

	*e = (struct ctl_event){.real_ns = clock_real_ns()};
	snprintf(e->kind, sizeof(e->kind), "%s", kind);
	if (hagwd.conf != NULL)
		snprintf(e->node, sizeof(e->node), "%s",
		    hagwd.conf->h.nodes[hagwd.conf->h.self].name);
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	log_info("%s: %s", e->kind, e->text);
	control_monitors(e);
}

void
history_show(uint32_t id, uint32_t number)
{
	uint64_t have = count < HISTORY_MAX ? count : HISTORY_MAX;
	uint64_t want = number == 0 ? HISTORY_DEFAULT : number;

	if (want > have)
		want = have;
	for (uint64_t i = count - want; i < count; i++)
		child_send(PROC_CTL, IMSG_CTL_EVENT, id, &ring[i % HISTORY_MAX],
		    sizeof(ring[0]));
	control_end(id, 0, "%s", "");
}
