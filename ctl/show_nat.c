/* NAT rules as the kernel has them, and how often each was taken. */
#include <inttypes.h>

#include "fmt.h"
#include "hactl.h"

static const struct view view = {
    .command = "show nat",
    .whats = {CTL_SHOW_NAT},
    .text = nat_text,
};

int
view_nat(const struct args *args)
{
	return view_run(args, &view);
}

static void
rules(FILE *fp, const struct answer *a)
{
	static const struct out_col cols[] = {{"NAME", OUT_LEFT},
	    {"KIND", OUT_LEFT}, {"MATCH", OUT_LEFT}, {"BECOMES", OUT_LEFT},
	    {"HITS", OUT_RIGHT}, {"", OUT_LEFT}};
	const struct ctl_nat_rule *r;
	struct out_table t;
	char buf[FMT_MAX];
	size_t i;

	out_table_init(&t, cols, nitems(cols));
	for (i = 0; (r = answer_row(a, ROW_NAT_RULE, i)) != NULL; i++) {
		out_cell(&t, TONE_PLAIN, "%s", r->name);
		out_cell(&t, TONE_PLAIN, "%s", r->kind);
		out_cell(&t, TONE_PLAIN, "%s", r->match);
		out_cell(&t, TONE_PLAIN, "%s", r->becomes);
		out_cell(&t, TONE_PLAIN, "%s", fmt_count(buf, r->hits));
		out_cell(&t, TONE_PLAIN, "%s", r->hairpin ? "hairpin" : "");
	}
	out_table_print(fp, &t);
}

void
nat_text(FILE *fp, const struct answer *a)
{
	const struct ctl_nat *n = answer_row(a, ROW_NAT, 0);
	char ago[FMT_MAX], batches[FMT_MAX], failures[FMT_MAX];

	if (a->rows[ROW_NAT_RULE].n > 0)
		rules(fp, a);
	else
		fputs("no rules\n", fp);
	if (n != NULL) {
		fprintf(fp,
		    "kernel    %s (applied %s)   batches %s   "
		    "failures %s%s\n",
		    n->loaded ? "as configured" : "NOT as configured",
		    out_ago(ago, n->applied_us), fmt_count(batches, n->batches),
		    fmt_count(failures, n->failures),
		    n->grace ? "   takeover grace open" : "");
		if (n->error[0] != '\0')
			fprintf(fp, "error     %s\n", n->error);
	}
	warnings_if_any(fp, a);
}
