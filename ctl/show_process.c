/* The daemon's processes and how they fare. */
#include <inttypes.h>
#include <string.h>

#include "fmt.h"
#include "hactl.h"

static const struct view view = {
    .command = "show process",
    .whats = {CTL_SHOW_PROCESS},
    .text = process_text,
};

int
view_process(const struct args *args)
{
	return view_run(args, &view);
}

static char *
memory(char *buf, uint64_t kb)
{
	if (kb == 0)
		snprintf(buf, FMT_MAX, "-");
	else if (kb < 10240)
		snprintf(buf, FMT_MAX, "%" PRIu64 " kB", kb);
	else
		snprintf(buf, FMT_MAX, "%" PRIu64 " MB", kb / 1024);
	return buf;
}

static void
process_row(struct out_table *t, const struct ctl_process *p)
{
	char buf[FMT_MAX];

	out_cell(t, TONE_PLAIN, "%s", p->name);
	if (p->pid > 0)
		out_cell(t, TONE_PLAIN, "%" PRId32, p->pid);
	else
		out_cell(t, TONE_PLAIN, "-");
	out_cell(t, strcmp(p->state, "running") == 0 ? TONE_PLAIN : TONE_WARN,
	    "%s", p->state);
	out_cell(t, TONE_PLAIN, "%s",
	    p->pid > 0 ? fmt_span(buf, p->uptime_us) : "-");
	out_cell(t, TONE_PLAIN, "%s", fmt_count(buf, p->restarts));
	out_cell(t, TONE_PLAIN, "%s", fmt_count(buf, p->queued));
	out_cell(t, TONE_PLAIN, "%s", fmt_count(buf, p->messages));
	out_cell(t, TONE_PLAIN, "%s", memory(buf, p->rss_kb));
	out_cell(t, TONE_PLAIN, "%s", p->note);
}

void
process_text(FILE *fp, const struct answer *a)
{
	static const struct out_col cols[] = {{"PROCESS", OUT_LEFT},
	    {"PID", OUT_RIGHT}, {"STATE", OUT_LEFT}, {"UP", OUT_LEFT},
	    {"RESTARTS", OUT_RIGHT}, {"QUEUED", OUT_RIGHT},
	    {"MESSAGES", OUT_RIGHT}, {"MEMORY", OUT_RIGHT}, {"NOTE", OUT_LEFT}};
	const struct ctl_process *p;
	struct out_table t;
	size_t i;

	out_table_init(&t, cols, nitems(cols));
	for (i = 0; (p = answer_row(a, ROW_PROCESS, i)) != NULL; i++)
		process_row(&t, p);
	out_table_print(fp, &t);
}
