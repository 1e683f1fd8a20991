/* What happened lately, oldest first. */
#include "fmt.h"
#include "hactl.h"

static const struct view view = {
    .command = "show events",
    .whats = {CTL_SHOW_EVENTS},
    .text = events_text,
};

int
view_events(const struct args *args)
{
	return view_run(args, &view);
}

void
event_line(FILE *fp, const struct ctl_event *e)
{
	char time[FMT_MAX];

	fprintf(fp, "%s %s  %-6s %s\n", fmt_rfc3339(time, e->real_ns), e->node,
	    e->kind, e->text);
}

void
events_text(FILE *fp, const struct answer *a)
{
	const struct ctl_event *e;
	size_t i;

	for (i = 0; (e = answer_row(a, ROW_EVENT, i)) != NULL; i++)
		event_line(fp, e);
}
