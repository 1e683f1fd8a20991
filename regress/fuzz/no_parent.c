/* What a child tells hagwd, where there is none. */
#include <event2/event.h>
#include <stdlib.h>

#include "proc.h"

void
proc_event(const char *fmt, ...)
{
	(void)fmt;
}

void
proc_watch(struct event *ev, const struct timeval *tv)
{
	if (event_add(ev, tv) == -1)
		abort();
}
