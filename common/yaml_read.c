/*
 * libyaml's events as a tree. Much of YAML is refused here: what remains is
 * maps, lists and scalars that mean the same to every reader.
 */
#include <sys/types.h>

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "conf_read.h"

struct source {
	yaml_parser_t parser;
	struct conf_report *report;
	size_t nnodes;
	int depth;
	bool stop; /* a complaint after which nothing can be read */
};

static struct ynode *read_node(struct source *, const yaml_event_t *);

struct ynode *
ynode_get(const struct ynode *y, const char *key)
{
	struct ynode *kid;

	if (y == NULL || y->type != Y_MAP)
		return NULL;
	STAILQ_FOREACH (kid, &y->kids, entry) {
		if (strcmp(kid->key->text, key) == 0)
			return kid;
	}
	return NULL;
}

void
ynode_free(struct ynode *y)
{
	struct ynode *kid;

	if (y == NULL)
		return;
	while ((kid = STAILQ_FIRST(&y->kids)) != NULL) {
		STAILQ_REMOVE_HEAD(&y->kids, entry);
		ynode_free(kid);
	}
	ynode_free(y->key);
	free(y->text);
	free(y);
}

static void
stop_at(struct source *s, const yaml_mark_t *mark, const char *why)
{
	s->stop = true;
	report_add(s->report, CONF_ERROR, (int)mark->line + 1,
	    (int)mark->column + 1, 1, "%s", why);
}

static void
stop_memory(struct source *s)
{
	s->stop = true;
	report_add(s->report, CONF_ERROR, 0, 0, 0, "out of memory");
}

/* The reader's errors have an offset in bytes, no mark. */
static void
reader_error(struct source *s, const char *buf, size_t len)
{
	size_t i, off = s->parser.problem_offset;
	int line = 1, col = 1;

	for (i = 0; i < off && i < len; i++) {
		col = buf[i] == '\n' ? 1 : col + 1;
		line += buf[i] == '\n';
	}
	report_add(
	    s->report, CONF_ERROR, line, col, 1, "%s", s->parser.problem);
}

/* Is there a tab with nothing before it on its line but blanks and "-"? */
static bool
tab_indents(const struct conf_report *r, const yaml_mark_t *m)
{
	const char *text;

	if (m->line >= r->nlines)
		return false;
	text = r->lines[m->line];
	return strspn(text, " \t-") > m->column && text[m->column] == '\t';
}

/* What is missing at the end is told where it began. */
static void
syntax_error(struct source *s)
{
	const yaml_parser_t *p = &s->parser;
	const yaml_mark_t *m = &p->problem_mark;

	if (tab_indents(s->report, m)) {
		stop_at(s, m, "a tab cannot indent: use spaces");
		return;
	}
	if (p->context == NULL) {
		report_add(s->report, CONF_ERROR, (int)m->line + 1,
		    (int)m->column + 1, 1, "not valid YAML: %s", p->problem);
		return;
	}
	if (m->line >= s->report->nlines)
		m = &p->context_mark;
	report_add(s->report, CONF_ERROR, (int)m->line + 1, (int)m->column + 1,
	    1, "not valid YAML: %s, %s that began in line %zu", p->problem,
	    p->context, p->context_mark.line + 1);
}

/* -1 when there is no event; the reason is then in the report. */
static int
next_event(struct source *s, yaml_event_t *ev)
{
	if (s->stop)
		return -1;
	if (yaml_parser_parse(&s->parser, ev))
		return 0;
	s->stop = true;
	switch (s->parser.error) {
	case YAML_READER_ERROR:
		break; /* yaml_read() knows the text */
	case YAML_SCANNER_ERROR:
	case YAML_PARSER_ERROR:
		syntax_error(s);
		break;
	default:
		stop_memory(s);
	}
	return -1;
}

static struct ynode *
node_new(struct source *s, const yaml_event_t *ev, enum ytype type)
{
	struct ynode *y;

	if (++s->nnodes > YAML_NODES_MAX) {
		stop_at(s, &ev->start_mark, "too many values in one file");
		return NULL;
	}
	if ((y = calloc(1, sizeof(*y))) == NULL) {
		stop_memory(s);
		return NULL;
	}
	STAILQ_INIT(&y->kids);
	y->type = type;
	y->line = (int)ev->start_mark.line + 1;
	y->col = (int)ev->start_mark.column + 1;
	y->width = 1;
	return y;
}

/* Underline up to the end mark, or the rest of the line. */
static void
set_width(struct ynode *y, const yaml_event_t *first, const yaml_event_t *last)
{
	if (first->start_mark.line == last->end_mark.line)
		y->width =
		    (int)(last->end_mark.column - first->start_mark.column);
	else
		y->width = 4096;
}

/* Anchors and tags: allowed nowhere. */
static void
refuse_props(struct source *s, struct ynode *y, const yaml_char_t *anchor,
    const yaml_char_t *tag)
{
	int width = report_word_width(s->report, y->line, y->col);

	if (anchor == NULL && tag == NULL)
		return;
	y->bad = true;
	report_add(s->report, CONF_ERROR, y->line, y->col, width,
	    "%s are not allowed: write the value itself",
	    anchor != NULL ? "anchors" : "tags");
}

static struct ynode *
read_scalar(struct source *s, const yaml_event_t *ev)
{
	const char *value = (const char *)ev->data.scalar.value;
	size_t len = ev->data.scalar.length;
	struct ynode *y;

	if ((y = node_new(s, ev, Y_SCALAR)) == NULL)
		return NULL;
	set_width(y, ev, ev);
	y->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if ((y->text = strndup(value, len)) == NULL) {
		stop_memory(s);
		return y;
	}
	if (strlen(y->text) != len)
		report_error(s->report, y, "a value cannot hold a NUL");
	refuse_props(s, y, ev->data.scalar.anchor, ev->data.scalar.tag);
	return y;
}

/*
 * The opening of a block collection has no width of its own: its first
 * word stands for it.
 */
static void
close_width(struct ynode *y, const yaml_event_t *first,
    const yaml_event_t *last, bool flow)
{
	const struct ynode *kid = STAILQ_FIRST(&y->kids);

	if (flow)
		set_width(y, first, last);
	else if (kid != NULL)
		y->width = kid->key != NULL ? kid->key->width : 1;
}

static struct ynode *
read_list(struct source *s, const yaml_event_t *first)
{
	bool flow =
	    first->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
	struct ynode *y, *kid;
	yaml_event_t ev;

	if ((y = node_new(s, first, Y_LIST)) == NULL)
		return NULL;
	refuse_props(s, y, first->data.sequence_start.anchor,
	    first->data.sequence_start.tag);
	while (next_event(s, &ev) == 0) {
		if (ev.type == YAML_SEQUENCE_END_EVENT) {
			close_width(y, first, &ev, flow);
			yaml_event_delete(&ev);
			break;
		}
		if ((kid = read_node(s, &ev)) != NULL)
			STAILQ_INSERT_TAIL(&y->kids, kid, entry);
		yaml_event_delete(&ev);
	}
	return y;
}

/* A key that cannot be used is read all the same, to find its value. */
static struct ynode *
read_key(struct source *s, const yaml_event_t *ev)
{
	struct ynode *key;

	if (ev->type == YAML_SCALAR_EVENT)
		return read_scalar(s, ev);
	if ((key = read_node(s, ev)) != NULL && !key->bad)
		report_error(s->report, key, "a key must be a word");
	ynode_free(key);
	return NULL;
}

static void
add_pair(
    struct source *s, struct ynode *map, struct ynode *key, struct ynode *value)
{
	struct ynode *old;

	if (key == NULL || key->text == NULL || value == NULL) {
		ynode_free(key);
		ynode_free(value);
		return;
	}
	if ((old = ynode_get(map, key->text)) != NULL) {
		report_error(s->report, key,
		    "key \"%s\" is here twice, first in line %d", key->text,
		    old->key->line);
		ynode_free(key);
		ynode_free(value);
		return;
	}
	value->key = key;
	STAILQ_INSERT_TAIL(&map->kids, value, entry);
}

static void
read_pair(struct source *s, struct ynode *map, const yaml_event_t *ev)
{
	struct ynode *key = read_key(s, ev), *value = NULL;
	yaml_event_t vev;

	if (next_event(s, &vev) == 0) {
		value = read_node(s, &vev);
		yaml_event_delete(&vev);
	}
	add_pair(s, map, key, value);
}

static struct ynode *
read_map(struct source *s, const yaml_event_t *first)
{
	bool flow = first->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
	struct ynode *y;
	yaml_event_t ev;
	int n = 0;

	if ((y = node_new(s, first, Y_MAP)) == NULL)
		return NULL;
	refuse_props(s, y, first->data.mapping_start.anchor,
	    first->data.mapping_start.tag);
	while (next_event(s, &ev) == 0) {
		if (ev.type == YAML_MAPPING_END_EVENT) {
			close_width(y, first, &ev, flow);
			yaml_event_delete(&ev);
			break;
		}
		if (++n > YAML_KEYS_MAX)
			stop_at(s, &ev.start_mark, "too many keys in one map");
		else
			read_pair(s, y, &ev);
		yaml_event_delete(&ev);
	}
	return y;
}

/* Kept as a bad value, so that nobody says that its key is missing. */
static struct ynode *
refuse_alias(struct source *s, const yaml_event_t *ev)
{
	struct ynode *y;

	if ((y = node_new(s, ev, Y_SCALAR)) == NULL)
		return NULL;
	set_width(y, ev, ev);
	report_error(
	    s->report, y, "aliases are not allowed: write the value itself");
	if ((y->text = strdup("")) == NULL)
		stop_memory(s);
	return y;
}

/* NULL only when reading stops. */
static struct ynode *
read_node(struct source *s, const yaml_event_t *ev)
{
	struct ynode *y = NULL;

	if (s->depth == YAML_DEPTH_MAX) {
		stop_at(s, &ev->start_mark, "nested too deeply");
		return NULL;
	}
	s->depth++;
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		y = read_scalar(s, ev);
		break;
	case YAML_SEQUENCE_START_EVENT:
		y = read_list(s, ev);
		break;
	case YAML_MAPPING_START_EVENT:
		y = read_map(s, ev);
		break;
	case YAML_ALIAS_EVENT:
		y = refuse_alias(s, ev);
		break;
	default:
		stop_at(s, &ev->start_mark, "not valid YAML");
	}
	s->depth--;
	return y;
}

/* Everything of the stream; only the first document gives a tree. */
static struct ynode *
read_stream(struct source *s)
{
	struct ynode *root = NULL;
	yaml_event_t ev;
	yaml_event_type_t type = YAML_NO_EVENT;

	while (type != YAML_STREAM_END_EVENT && next_event(s, &ev) == 0) {
		type = ev.type;
		if (type == YAML_DOCUMENT_START_EVENT && root != NULL)
			stop_at(s, &ev.start_mark,
			    "a second document begins here: one is allowed");
		else if (type != YAML_STREAM_START_EVENT &&
		    type != YAML_DOCUMENT_START_EVENT &&
		    type != YAML_DOCUMENT_END_EVENT &&
		    type != YAML_STREAM_END_EVENT)
			root = read_node(s, &ev);
		yaml_event_delete(&ev);
	}
	return root;
}

/* A byte order mark, of some editors: libyaml would count it as a column. */
static size_t
bom_len(const char *buf, size_t len)
{
	return len >= 3 && memcmp(buf, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

struct ynode *
yaml_read(const char *buf, size_t len, struct conf_report *report)
{
	struct source s = {.report = report};
	struct ynode *root;
	size_t bom = bom_len(buf, len);

	if (len > YAML_SIZE_MAX) {
		report_add(report, CONF_ERROR, 0, 0, 0, "larger than %d bytes",
		    YAML_SIZE_MAX);
		return NULL;
	}
	buf += bom;
	len -= bom;
	if (report_source(report, buf, len) == -1 ||
	    !yaml_parser_initialize(&s.parser)) {
		report_add(report, CONF_ERROR, 0, 0, 0, "out of memory");
		return NULL;
	}
	yaml_parser_set_encoding(&s.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(
	    &s.parser, (const unsigned char *)buf, len);
	root = read_stream(&s);
	if (s.parser.error == YAML_READER_ERROR)
		reader_error(&s, buf, len);
	yaml_parser_delete(&s.parser);
	if (root == NULL && report->errors == 0)
		report_add(report, CONF_ERROR, 0, 0, 0, "the file is empty");
	if (s.stop) {
		ynode_free(root);
		return NULL;
	}
	return root;
}
