/* Complaints about a file, in the way of compilers. */
#include <sys/types.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_read.h"

void
conf_report_init(struct conf_report *r, const char *path)
{
	memset(r, 0, sizeof(*r));
	if (path != NULL)
		r->path = strdup(path);
}

void
conf_report_free(struct conf_report *r)
{
	size_t i;

	for (i = 0; i < r->nmsgs; i++)
		free(r->msgs[i].text);
	for (i = 0; i < r->nlines; i++)
		free(r->lines[i]);
	free(r->msgs);
	free(r->lines);
	free(r->path);
	memset(r, 0, sizeof(*r));
}

/* Keep the file's lines. -1 for lack of memory. */
int
report_source(struct conf_report *r, const char *buf, size_t len)
{
	size_t n = 1, i, end;

	for (i = 0; i < len; i++)
		n += buf[i] == '\n';
	if ((r->lines = calloc(n, sizeof(*r->lines))) == NULL)
		return -1;
	for (i = 0; i < len; i = end + 1) {
		for (end = i; end < len && buf[end] != '\n'; end++)
			;
		r->lines[r->nlines] = strndup(buf + i, end - i);
		if (r->lines[r->nlines] == NULL)
			return -1;
		r->nlines++;
	}
	return 0;
}

/* Foreign text must not reach the terminal as control characters. */
static void
defuse(char *s)
{
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
	}
}

static void
add_text(struct conf_report *r, const struct conf_msg *msg)
{
	struct conf_msg *m;

	if (msg->level == CONF_ERROR)
		r->errors++;
	else
		r->warnings++;
	m = NULL;
	if (msg->text != NULL && r->nmsgs < REPORT_MSGS_MAX)
		m = reallocarray(r->msgs, r->nmsgs + 1, sizeof(*m));
	if (m == NULL) {
		free(msg->text);
		return;
	}
	defuse(msg->text);
	r->msgs = m;
	r->msgs[r->nmsgs++] = *msg;
}

void
report_add(struct conf_report *r, enum conf_level level, int line, int col,
    int width, const char *fmt, ...)
{
	struct conf_msg m = {.level = level, .line = line, .col = col};
	va_list ap;

	m.width = width > 0 ? width : 1;
	va_start(ap, fmt);
	if (vasprintf(&m.text, fmt, ap) == -1)
		m.text = NULL;
	va_end(ap);
	add_text(r, &m);
}

static void
add_node(struct conf_report *r, enum conf_level level, const struct ynode *y,
    const char *fmt, va_list ap)
{
	struct conf_msg m = {.level = level};

	if (y != NULL) {
		m.line = y->line;
		m.col = y->col;
		m.width = y->width > 0 ? y->width : 1;
	}
	if (vasprintf(&m.text, fmt, ap) == -1)
		m.text = NULL;
	add_text(r, &m);
}

void
report_error(struct conf_report *r, struct ynode *y, const char *fmt, ...)
{
	va_list ap;

	if (y != NULL)
		y->bad = true;
	va_start(ap, fmt);
	add_node(r, CONF_ERROR, y, fmt, ap);
	va_end(ap);
}

void
report_warn(struct conf_report *r, const struct ynode *y, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_node(r, CONF_WARNING, y, fmt, ap);
	va_end(ap);
}

static int
msg_cmp(const void *a, const void *b)
{
	const struct conf_msg *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->col != y->col)
		return x->col < y->col ? -1 : 1;
	return strcmp(x->text, y->text);
}

void
report_sort(struct conf_report *r)
{
	if (r->nmsgs > 1)
		qsort(r->msgs, r->nmsgs, sizeof(*r->msgs), msg_cmp);
}

/* The continuation bytes of UTF-8 take no column. */
static bool
starts_char(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

static const char *
line_text(const struct conf_report *r, int line)
{
	if (line < 1 || (size_t)line > r->nlines)
		return NULL;
	return r->lines[line - 1];
}

/* Where column col (from 1) begins; the end when the line is shorter. */
static const char *
at_col(const char *s, int col)
{
	for (; *s != '\0'; s++) {
		if (starts_char(*s) && --col <= 0)
			break;
	}
	return s;
}

int
report_word_width(const struct conf_report *r, int line, int col)
{
	const char *s = line_text(r, line);
	int width = 0;

	if (s == NULL)
		return 1;
	for (s = at_col(s, col); *s != '\0' && strchr(" \t\r,[]{}", *s) == NULL;
	     s++)
		width += starts_char(*s);
	return width > 0 ? width : 1;
}

static void
print_source(FILE *fp, const char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text >= ' ' && *text != 0x7f)
			putc(*text, fp);
		else if (*text == '\t')
			putc('\t', fp);
		else if (*text != '\r')
			putc('?', fp);
	}
	putc('\n', fp);
}

/* Blanks up to the column, tabs as in the line above, then the carets. */
static void
print_underline(FILE *fp, const char *text, int col, int width)
{
	const char *end = at_col(text, col);

	fputs("      | ", fp);
	for (; text < end; text++) {
		if (starts_char(*text))
			putc(*text == '\t' ? '\t' : ' ', fp);
	}
	do {
		putc('^', fp);
		if (*end != '\0')
			end = at_col(end + 1, 1);
	} while (--width > 0 && *end != '\0' && *end != '\r');
	putc('\n', fp);
}

static void
print_msg(FILE *fp, const struct conf_report *r, const struct conf_msg *m)
{
	const char *text = line_text(r, m->line);
	const char *level = m->level == CONF_ERROR ? "error" : "warning";
	const char *path = r->path != NULL ? r->path : "?";

	if (m->line == 0) {
		fprintf(fp, "%s: %s: %s\n", path, level, m->text);
		return;
	}
	fprintf(
	    fp, "%s:%d:%d: %s: %s\n", path, m->line, m->col, level, m->text);
	if (text == NULL)
		return;
	fprintf(fp, "%5d | ", m->line);
	print_source(fp, text);
	print_underline(fp, text, m->col, m->width);
}

static void
print_count(FILE *fp, size_t n, const char *what)
{
	fprintf(fp, "%zu %s%s", n, what, n == 1 ? "" : "s");
}

void
conf_report_print(FILE *fp, const struct conf_report *r)
{
	size_t i, hidden = r->errors + r->warnings - r->nmsgs;

	for (i = 0; i < r->nmsgs; i++)
		print_msg(fp, r, &r->msgs[i]);
	if (r->errors > 0)
		print_count(fp, r->errors, "error");
	if (r->errors > 0 && r->warnings > 0)
		fputs(", ", fp);
	if (r->warnings > 0)
		print_count(fp, r->warnings, "warning");
	if (hidden > 0)
		fprintf(fp, " (%zu not shown)", hidden);
	if (r->errors > 0)
		fputs("; nothing was changed", fp);
	if (r->errors > 0 || r->warnings > 0)
		putc('\n', fp);
}
