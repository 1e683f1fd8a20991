/* What a child tells hagwd, where there is none. */
#include "proc.h"

void
proc_event(const char *fmt, ...)
{
	(void)fmt;
}
