/* Columns, colours, JSON values, and text made safe for a terminal. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "fmt.h"
#include "hactl.h"

static bool colour;

void
out_colour(bool on)
{
	colour = on;
}

static const char *
tone_start(enum out_tone tone)
{
	static const char *const codes[] = {
	    [TONE_PLAIN] = "",
	    [TONE_GOOD] = "\033[32m",
	    [TONE_WARN] = "\033[33m",
	    [TONE_BAD] = "\033[31m",
	};

	return colour ? codes[tone] : "";
}

static const char *
tone_end(enum out_tone tone)
{
	return colour && tone != TONE_PLAIN ? "\033[0m" : "";
}

char *
out_tone(char *buf, size_t len, enum out_tone tone, const char *text)
{
	snprintf(buf, len, "%s%s%s", tone_start(tone), text, tone_end(tone));
	return buf;
}

enum out_tone
out_role_tone(uint32_t role)
{
	switch (role) {
	case ROLE_MASTER:
		return TONE_GOOD;
	case ROLE_BACKUP:
		return TONE_PLAIN;
	case ROLE_FAULT:
		return TONE_BAD;
	default:
		return TONE_WARN;
	}
}

void
out_table_init(struct out_table *t, const struct out_col *cols, size_t n)
{
	memset(t, 0, sizeof(*t));
	t->cols = cols;
	t->ncols = n;
}

void
out_cell(struct out_table *t, enum out_tone tone, const char *fmt, ...)
{
	struct out_cell *cells;
	va_list ap;
	int n;

	if (t->ncells == t->max) {
		t->max = t->max == 0 ? 64 : t->max * 2;
		cells = reallocarray(t->cells, t->max, sizeof(*cells));
		if (cells == NULL)
			abort();
		t->cells = cells;
	}
	va_start(ap, fmt);
	n = vasprintf(&t->cells[t->ncells].text, fmt, ap);
	va_end(ap);
	if (n == -1)
		abort();
	t->cells[t->ncells++].tone = tone;
}

size_t
out_width(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void
print_cell(FILE *fp, const char *text, enum out_tone tone, enum out_align align,
    size_t width, bool last)
{
	size_t pad = width - out_width(text);

	if (align == OUT_RIGHT)
		fprintf(fp, "%*s", (int)pad, "");
	fprintf(fp, "%s%s%s", tone_start(tone), text, tone_end(tone));
	if (!last)
		fprintf(fp, "%*s", (int)(align == OUT_LEFT ? pad : 0) + 3, "");
}

static size_t
column_width(const struct out_table *t, size_t col)
{
	size_t i, n, width = out_width(t->cols[col].head);

	for (i = col; i < t->ncells; i += t->ncols)
		if ((n = out_width(t->cells[i].text)) > width)
			width = n;
	return width;
}

/* The last column with something in it, so that no line ends in blanks. */
static size_t
last_cell(const struct out_table *t, size_t row)
{
	size_t col = t->ncols - 1;

	while (col > 0 && t->cells[row + col].text[0] == '\0')
		col--;
	return col;
}

void
out_table_print(FILE *fp, struct out_table *t)
{
	size_t width[OUT_COLS_MAX], col, row, last = t->ncols - 1;

	for (col = 0; col < t->ncols; col++)
		width[col] = column_width(t, col);
	while (last > 0 && t->cols[last].head[0] == '\0')
		last--;
	for (col = 0; col <= last; col++)
		print_cell(fp, t->cols[col].head, TONE_PLAIN,
		    t->cols[col].align, width[col], col == last);
	putc('\n', fp);
	for (row = 0; row + t->ncols <= t->ncells; row += t->ncols) {
		last = last_cell(t, row);
		for (col = 0; col <= last; col++)
			print_cell(fp, t->cells[row + col].text,
			    t->cells[row + col].tone, t->cols[col].align,
			    width[col], col == last);
		putc('\n', fp);
	}
	for (row = 0; row < t->ncells; row++)
		free(t->cells[row].text);
	free(t->cells);
}

/* Bytes of the character at s, 0 when it is none. */
static size_t
utf8_char(const unsigned char *s, size_t left, uint32_t *cp)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t i, n;

	if (s[0] < 0x80) {
		*cp = s[0];
		return 1;
	}
	n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4 || n > left)
		return 0;
	*cp = s[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*cp = *cp << 6 | (s[i] & 0x3f);
	}
	if (*cp < least[n] || *cp > 0x10ffff ||
	    (*cp >= 0xd800 && *cp <= 0xdfff))
		return 0;
	return n;
}

/* C0, DEL, C1, line separators, and marks that reorder what follows. */
static bool
is_control(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) ||
	    (cp >= 0x200b && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
	    (cp >= 0x2066 && cp <= 0x2069) || cp == 0xfeff;
}

static void
clean(char *s, size_t len, const char *keep)
{
	size_t i, n;
	uint32_t cp;

	for (i = 0; i < len; i += n) {
		n = utf8_char((unsigned char *)s + i, len - i, &cp);
		if (n == 0) {
			s[i] = '?';
			n = 1;
		} else if (is_control(cp) &&
		    (cp == 0 || cp >= 0x80 || strchr(keep, (int)cp) == NULL)) {
			memset(s + i, '?', n);
		}
	}
}

void
out_clean(char *s, size_t size)
{
	s[size - 1] = '\0';
	clean(s, strlen(s), "");
}

void
out_clean_lines(char *s, size_t size)
{
	s[size - 1] = '\0';
	clean(s, strlen(s), "\n");
}

void
out_clean_text(char *s, size_t len)
{
	clean(s, len, "\n\t");
}

char *
out_ms(char *buf, uint64_t us)
{
	if (us == CTL_NEVER)
		snprintf(buf, FMT_MAX, "unknown");
	else if (us == 0)
		snprintf(buf, FMT_MAX, "0 ms");
	else if (us < 10000)
		snprintf(buf, FMT_MAX, "%.*f ms", us < 100 ? 2 : 1,
		    (double)us / 1e3);
	else if (us < 1000000)
		snprintf(buf, FMT_MAX, "%" PRIu64 " ms", us / 1000);
	else
		snprintf(buf, FMT_MAX, "%.1f s", (double)us / 1e6);
	return buf;
}

char *
out_ago(char *buf, uint64_t us)
{
	if (us == CTL_NEVER) {
		snprintf(buf, FMT_MAX, "never");
		return buf;
	}
	fmt_span(buf, us);
	strncat(buf, " ago", FMT_MAX - strlen(buf) - 1);
	return buf;
}

char *
out_minute(char *buf, uint64_t real_ns)
{
	char *seconds;

	if (real_ns == 0) {
		snprintf(buf, FMT_MAX, "-");
		return buf;
	}
	fmt_time(buf, real_ns);
	if ((seconds = strrchr(buf, ':')) != NULL)
		*seconds = '\0';
	return buf;
}

json_t *
out_json_span(uint64_t us)
{
	if (us == CTL_NEVER)
		return json_null();
	return json_real((double)us / 1e6);
}

json_t *
out_json_time(uint64_t real_ns)
{
	char buf[FMT_MAX];

	if (real_ns == 0)
		return json_null();
	return json_string(fmt_rfc3339(buf, real_ns));
}

json_t *
out_json_new(const char *command)
{
	json_t *o = json_object();

	json_object_set_new(o, "schema", json_integer(HACTL_JSON_SCHEMA));
	json_object_set_new(o, "command", json_string(command));
	return o;
}

void
out_json_end(json_t *o, int code, const char *text)
{
	json_object_set_new(o, "code", json_integer(code));
	json_object_set_new(
	    o, code == EX_DONE ? "result" : "error", json_string(text));
}

int
out_json_print(FILE *fp, json_t *o, bool line)
{
	size_t flags = JSON_REAL_PRECISION(15) | JSON_PRESERVE_ORDER;
	int bad =
	    json_dumpf(o, fp, flags | (line ? JSON_COMPACT : JSON_INDENT(2)));

	json_decref(o);
	putc('\n', fp);
	return bad != 0 || fflush(fp) == EOF ? EX_FAILED : EX_DONE;
}

int
out_flush(int code)
{
	if (fflush(stdout) == EOF || ferror(stdout))
		return code == EX_DONE ? EX_FAILED : code;
	return code;
}
