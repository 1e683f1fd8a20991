/* What is wrong, and where to look: the last lines of a view. */
#include <string.h>

#include "hactl.h"

struct line {
	const char *object;
	const char *text;
	const char *hint;
	char buf[CTL_TEXT_MAX + 32];
};

/*
 * Silent, and nobody has said more about it: the parent's own line about a
 * process that is down tells why.
 */
static bool
unanswered(const struct answer *a, size_t i)
{
	const struct query *q = &a->queries[i];
	const struct ctl_warning *w;
	size_t k;

	if (q->code == EX_DONE)
		return false;
	for (k = 0; (w = answer_row(a, ROW_WARNING, k)) != NULL; k++)
		if (strcmp(w->object, answer_who(q->req.what)) == 0)
			return false;
	return true;
}

size_t
warnings_count(const struct answer *a)
{
	size_t i, n = a->rows[ROW_WARNING].n;

	for (i = 0; i < a->nqueries; i++)
		n += unanswered(a, i);
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
		if (!unanswered(a, k) || i-- > 0)
			continue;
		q = &a->queries[k];
		l->object = answer_who(q->req.what);
		answer_why(q, l->buf, sizeof(l->buf));
		l->text = l->buf + strlen(l->object) + 1;
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
		if (l.hint[0] != '\0' && strstr(l.text, l.hint) == NULL)
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
