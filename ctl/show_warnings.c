/* What is wrong, and where to look: the last lines of a view. */
#include <string.h>

#include "hactl.h"

struct line {
	const char *object;
	const char *text;
	const char *hint;
	char buf[CTL_TEXT_MAX + 32];
};

static bool
unanswered(const struct query *q)
{
	return q->code != EX_DONE;
}

size_t
warnings_count(const struct answer *a)
{
	size_t i, n = a->rows[ROW_WARNING].n;

	for (i = 0; i < a->nqueries; i++)
		n += unanswered(&a->queries[i]);
	return n;
}

/* Line i: first those who are silent, then what the others say. */
static bool
warning_line(const struct answer *a, size_t i, struct line *l)
{
	const struct ctl_warning *w;
	const struct query *q;
	size_t k;

	for (k = 0; k < a->nqueries; k++) {
		q = &a->queries[k];
		if (!unanswered(q) || i-- > 0)
			continue;
		l->object = "process";
		snprintf(l->buf, sizeof(l->buf), "%s does not answer: %s",
		    answer_who(q->req.what),
		    q->text[0] != '\0' ? q->text : "no reason given");
		l->text = l->buf;
		l->hint = "hactl show process";
		return true;
	}
	if ((w = answer_row(a, ROW_WARNING, i)) == NULL)
		return false;
	l->object = w->object;
	l->text = w->text;
	l->hint = w->hint;
	return true;
}

void
warnings_text(FILE *fp, const struct answer *a)
{
	char buf[64], count[32];
	size_t i, n, width = 7;
	struct line l;

	if (warnings_count(a) == 0) {
		fprintf(fp, "warnings  %s\n",
		    out_tone(buf, sizeof(buf), TONE_GOOD, "none"));
		return;
	}
	snprintf(count, sizeof(count), "%zu", warnings_count(a));
	fprintf(
	    fp, "warnings  %s\n", out_tone(buf, sizeof(buf), TONE_WARN, count));
	for (i = 0; warning_line(a, i, &l); i++)
		if ((n = out_width(l.object)) > width)
			width = n;
	for (i = 0; warning_line(a, i, &l); i++) {
		fprintf(fp, "  %s%*s  %s", l.object,
		    (int)(width - out_width(l.object)), "", l.text);
		if (l.hint[0] != '\0')
			fprintf(fp, "   (%s)", l.hint);
		putc('\n', fp);
	}
}

void
warnings_if_any(FILE *fp, const struct answer *a)
{
	if (warnings_count(a) > 0)
		warnings_text(fp, a);
}
