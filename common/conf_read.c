/* From a file to a conf: the tree is walked along the schema. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf_read.h"
#include "fmt.h"
#include "schema.h"

#define WHERE_MAX 128

/* "networks.inside", or "inside" at the top */
static void
where_add(char *buf, const char *where, const char *key)
{
	snprintf(buf, WHERE_MAX, "%s%s%.64s", where,
	    where[0] != '\0' ? "." : "", key);
}

static void
unknown_key(
    struct conf_reader *r, const char *in, const char *where, struct ynode *y)
{
	const char *near = schema_suggest(in, y->key->text);
	const char *word = where[0] != '\0' ? " in " : "";

	y->bad = true;
	if (near != NULL)
		report_error(r->report, y->key,
		    "unknown key \"%s\"%s%s (did you mean \"%s\"?)",
		    y->key->text, word, where, near);
	else
		report_error(r->report, y->key, "unknown key \"%s\"%s%s",
		    y->key->text, word, where);
}

/* A key that is there but misspelt has its own complaint. */
bool
conf_absent(const char *in, const struct ynode *map, const char *key)
{
	const struct ynode *y;
	const char *near;

	if (map == NULL || map->type != Y_MAP || ynode_get(map, key) != NULL)
		return false;
	STAILQ_FOREACH (y, &map->kids, entry) {
		if (schema_find(in, y->key->text) != NULL)
			continue;
		near = schema_suggest(in, y->key->text);
		if (near != NULL && strcmp(near, key) == 0)
			return false;
	}
	return true;
}

/* What stands for a map as a whole: its key, or its beginning. */
static struct ynode *
map_place(struct ynode *map)
{
	return map->key != NULL ? map->key : map;
}

static void
missing_key(struct conf_reader *r, const char *where,
    const struct schema_key *k, struct ynode *map)
{
	if (where[0] == '\0')
		report_error(r->report, NULL, "%s is missing", k->key);
	else
		report_add(r->report, CONF_ERROR, map_place(map)->line,
		    map_place(map)->col, map_place(map)->width, "%s has no %s",
		    where, k->key);
}

void
conf_map_read(struct conf_reader *r, const char *in, const char *where,
    struct ynode *map, void *base)
{
	const struct schema_key *k = NULL;
	struct ynode *y;

	if (map->bad)
		return;
	if (map->type != Y_MAP) {
		report_error(r->report, map, "%s must be a map of keys",
		    where[0] != '\0' ? where : "the file");
		return;
	}
	STAILQ_FOREACH (y, &map->kids, entry) {
		if (schema_find(in, y->key->text) == NULL)
			unknown_key(r, in, where, y);
	}
	while ((k = schema_next(in, k)) != NULL) {
		if ((y = ynode_get(map, k->key)) != NULL)
			conf_value_read(r, k, y, base);
		else if (k->required && conf_absent(in, map, k->key))
			missing_key(r, where, k, map);
	}
}

void
conf_section_read(struct conf_reader *r, const struct schema_key *k,
    struct ynode *y, void *base)
{
	conf_map_read(r, k->key, k->key, y, base);
}

static int
kid_cmp(const void *a, const void *b)
{
	const struct ynode *const *x = a, *const *y = b;

	return strcmp((*x)->key->text, (*y)->key->text);
}

static bool
object_name_ok(struct conf_reader *r, struct ynode *y)
{
	struct ynode *key = y->key;

	if (!conf_name_ok(key->text))
		report_error(r->report, key,
		    "a name may hold letters, digits and . _ - only, and not "
		    "begin with . or -");
	else if (strlen(key->text) >= CONF_NAME_MAX)
		report_error(r->report, key,
		    "name is longer than %d characters", CONF_NAME_MAX - 1);
	return !key->bad;
}

/*
 * The objects of a map by name, at most max of them. In the order of their
 * names: their indices must not depend on how the file is laid out.
 */
static int
take_objects(struct conf_reader *r, const struct schema_key *k,
    struct ynode *map, struct ynode **out)
{
	struct ynode *y;
	int n = 0;

	if (map->bad)
		return 0;
	if (map->type != Y_MAP) {
		report_error(
		    r->report, map, "%s must be a map of names", k->key);
		return 0;
	}
	STAILQ_FOREACH (y, &map->kids, entry) {
		if (!object_name_ok(r, y))
			continue;
		if (n == k->max) {
			report_error(
			    r->report, y->key, "more than %d %s", n, k->key);
			break;
		}
		out[n++] = y;
	}
	if (STAILQ_EMPTY(&map->kids))
		report_error(r->report, map, "%s is empty", k->key);
	qsort(out, (size_t)n, sizeof(*out), kid_cmp);
	return n;
}

void
conf_nodes_read(struct conf_reader *r, const struct schema_key *k,
    struct ynode *map, void *base)
{
	struct conf_head *h = base;
	char where[WHERE_MAX];
	int i, n;

	n = take_objects(r, k, map, r->nodes);
	h->nnodes = (uint8_t)n;
	for (i = 0; i < n; i++) {
		fmt_copy(
		    h->nodes[i].name, CONF_NAME_MAX, r->nodes[i]->key->text);
		where_add(where, k->key, h->nodes[i].name);
		conf_map_read(r, "nodes.*", where, r->nodes[i], &h->nodes[i]);
	}
}

void
conf_networks_read(struct conf_reader *r, const struct schema_key *k,
    struct ynode *map, void *base)
{
	struct conf_head *h = base;
	char where[WHERE_MAX];
	int i, n;

	n = take_objects(r, k, map, r->nets);
	h->nnets = (uint8_t)n;
	for (i = 0; i < n; i++) {
		fmt_copy(h->nets[i].name, CONF_NAME_MAX, r->nets[i]->key->text);
		where_add(where, k->key, h->nets[i].name);
		conf_map_read(r, "networks.*", where, r->nets[i], &h->nets[i]);
	}
}

/* A list of maps, of at most max; the number of them. */
static size_t
list_len(struct conf_reader *r, const struct schema_key *k, struct ynode *y)
{
	struct ynode *kid;
	size_t n = 0;

	if (y->bad)
		return 0;
	if (y->type != Y_LIST) {
		report_error(r->report, y, "%s.%s must be a list of rules",
		    k->in, k->key);
		return 0;
	}
	STAILQ_FOREACH (kid, &y->kids, entry) {
		if (n == (size_t)k->max) {
			report_error(r->report, kid, "more than %zu rules", n);
			break;
		}
		n++;
	}
	return n;
}

/* nat.forward "https", or nat.forward[3] as long as it has no name */
static void
where_rule(char *buf, const struct schema_key *k, struct ynode *y, size_t i)
{
	struct ynode *name = ynode_get(y, "name");

	if (name != NULL && name->type == Y_SCALAR)
		snprintf(buf, WHERE_MAX, "%s.%s \"%.64s\"", k->in, k->key,
		    name->text);
	else
		snprintf(buf, WHERE_MAX, "%s.%s[%zu]", k->in, k->key, i + 1);
}

static void
no_memory(struct conf_reader *r)
{
	report_add(r->report, CONF_ERROR, 0, 0, 0, "out of memory");
}

void
conf_sources_read(struct conf_reader *r, const struct schema_key *k,
    struct ynode *list, void *base)
{
	size_t i, n = list_len(r, k, list);
	struct ynode *y = STAILQ_FIRST(&list->kids);
	char where[WHERE_MAX];

	(void)base; /* grown by conf_add_source() */
	r->sources = calloc(n + 1, sizeof(*r->sources));
	for (i = 0; i < n && r->sources != NULL; i++) {
		struct conf_source s = {0};

		where_rule(where, k, y, i);
		conf_map_read(r, "nat.source[]", where, y, &s);
		if (conf_add_source(r->conf, &s) == -1)
			break;
		r->sources[i] = y;
		y = STAILQ_NEXT(y, entry);
	}
	if (i < n || r->sources == NULL)
		no_memory(r);
}

/* Ports are kept unless the target names one. */
static void
finish_target(struct conf_forward *f)
{
	if (f->to_port == 0)
		f->to_port = f->lo;
}

void
conf_forwards_read(struct conf_reader *r, const struct schema_key *k,
    struct ynode *list, void *base)
{
	size_t i, n = list_len(r, k, list);
	struct ynode *y = STAILQ_FIRST(&list->kids);
	char where[WHERE_MAX];

	(void)base; /* grown by conf_add_forward() */
	r->forwards = calloc(n + 1, sizeof(*r->forwards));
	for (i = 0; i < n && r->forwards != NULL; i++) {
		struct conf_forward f = {0};

		where_rule(where, k, y, i);
		conf_map_read(r, "nat.forward[]", where, y, &f);
		finish_target(&f);
		if (conf_add_forward(r->conf, &f) == -1)
			break;
		r->forwards[i] = y;
		y = STAILQ_NEXT(y, entry);
	}
	if (i < n || r->forwards == NULL)
		no_memory(r);
}

static void
read_all(struct conf_reader *r, const char *buf, size_t len, const char *node)
{
	if ((r->root = yaml_read(buf, len, r->report)) == NULL)
		return;
	conf_map_read(r, "", "", r->root, &r->conf->h);
	if (r->root->type == Y_MAP)
		conf_check(r, node);
}

struct conf *
conf_load_buf(const char *buf, size_t len, const char *path, const char *node,
    struct conf_report *report)
{
	struct conf_reader r = {.report = report};

	if (report->path == NULL)
		conf_report_init(report, path);
	if ((r.conf = conf_new()) == NULL) {
		no_memory(&r);
		return NULL;
	}
	read_all(&r, buf, len, node);
	report_sort(report);
	ynode_free(r.root);
	free(r.sources);
	free(r.forwards);
	if (report->errors == 0 && conf_hash(r.conf) == -1)
		no_memory(&r);
	if (report->errors > 0) {
		conf_free(r.conf);
		return NULL;
	}
	return r.conf;
}

/* The whole file, at most YAML_SIZE_MAX + 1 bytes; NULL and errno. */
static char *
slurp(int fd, size_t *len)
{
	char *buf = NULL, *p;
	size_t size = 0;
	ssize_t n = 1;

	*len = 0;
	while (n > 0 && *len <= YAML_SIZE_MAX) {
		if (*len == size) {
			size = size == 0 ? 65536 : size * 2;
			if ((p = realloc(buf, size)) == NULL)
				break;
			buf = p;
		}
		if ((n = read(fd, buf + *len, size - *len)) > 0)
			*len += (size_t)n;
	}
	if (*len > YAML_SIZE_MAX || n == 0)
		return buf;
	free(buf);
	return NULL;
}

struct conf *
conf_load(const char *path, const char *node, struct conf_report *report)
{
	struct conf *c = NULL;
	struct stat st;
	char *buf;
	size_t len;
	int fd;

	/* not to wait for the writer of a fifo */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1 || fstat(fd, &st) == -1) {
		report_add(report, CONF_ERROR, 0, 0, 0, "%s", strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		report_add(report, CONF_ERROR, 0, 0, 0, "not a regular file");
	} else if ((buf = slurp(fd, &len)) == NULL) {
		report_add(report, CONF_ERROR, 0, 0, 0, "%s", strerror(errno));
	} else {
		c = conf_load_buf(buf, len, path, node, report);
		free(buf);
	}
	if (fd != -1)
		close(fd);
	return c;
}
