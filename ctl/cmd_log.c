/* How much hagwd and its processes log. */
#include "hactl.h"

static void
log_text(FILE *fp, const struct answer *a)
{
	fprintf(fp, "log lines are now %s\n",
	    a->queries[0].req.flags & CTL_F_VERBOSE ? "verbose" : "brief");
}

int
cmd_log(const struct args *args)
{
	static const struct view view = {
	    .command = "log",
	    .whats = {CTL_LOG},
	    .text = log_text,
	};

	return view_run(args, &view);
}
