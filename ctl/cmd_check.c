/* The site file, read and checked here: no daemon is needed. */
#include <net/if.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hactl.h"

static json_t *
json_messages(const struct conf_report *r)
{
	json_t *list = json_array(), *o;
	size_t i;

	for (i = 0; i < r->nmsgs; i++) {
		const struct conf_msg *m = &r->msgs[i];

		o = json_object();
		json_object_set_new(o, "level",
		    json_string(m->level == CONF_ERROR ? "error" : "warning"));
		json_object_set_new(o, "line", json_integer(m->line));
		json_object_set_new(o, "column", json_integer(m->col));
		json_object_set_new(o, "width", json_integer(m->width));
		out_clean(m->text, strlen(m->text) + 1);
		json_object_set_new(o, "text", json_string(m->text));
		json_array_append_new(list, o);
	}
	return list;
}

struct check {
	struct conf_report report;
	struct conf *conf;
	const char *node; /* it was checked for; NULL: the site as a whole */
	char key_why[256]; /* what is wrong with the key file */
};

/* hagwd knows links by their own name alone; the kernel finds others too. */
static bool
has_link(const char *ifname)
{
	unsigned int index = if_nametoindex(ifname);
	char name[IFNAMSIZ];

	if (index == 0)
		return errno != ENODEV;
	return if_indextoname(index, name) == NULL || strcmp(name, ifname) == 0;
}

/* A file is checked on one host for others: their links are not known. */
static bool
is_this_host(const struct args *args)
{
	bool sure;

	return args->node == NULL ||
	    strcmp(args->node, conf_node_name(NULL, &sure)) == 0;
}

/* Without a certain name the site counts as a whole when it has not this. */
static void
load(const struct args *args, struct check *c)
{
	struct conf *conf;
	bool sure;

	c->node = conf_node_name(args->node, &sure);
	conf_report_init(&c->report, args->conf);
	if (!sure) {
		conf = conf_load(args->conf, NULL, &c->report);
		if (conf == NULL || conf_node_find(conf, c->node) == -1) {
			c->conf = conf;
			c->node = NULL;
			return;
		}
		conf_free(conf);
		conf_report_free(&c->report);
		conf_report_init(&c->report, args->conf);
	}
	if (is_this_host(args))
		c->report.has_link = has_link;
	c->conf = conf_load(args->conf, c->node, &c->report);
}

/* Why the key is not read here; NULL: it is. */
static const char *
key_unread(const struct args *args, const struct check *c)
{
	if (c->node == NULL || !is_this_host(args))
		return "another host's";
	return geteuid() != 0 ? "not root" : NULL;
}

static void
check_key(const struct args *args, struct check *c)
{
	uint8_t key[HAGW_SYNC_KEYLEN];

	if (c->conf == NULL || c->conf->h.sync.npaths == 0 ||
	    key_unread(args, c) != NULL)
		return;
	conf_read_key(
	    c->conf->h.sync.key_file, key, c->key_why, sizeof(c->key_why));
	explicit_bzero(key, sizeof(key));
}

static void
print_json(const struct args *args, const struct check *c, int code)
{
	json_t *o = out_json_new("check");

	json_object_set_new(o, "file", json_string(args->conf));
	json_object_set_new(
	    o, "node", c->node != NULL ? json_string(c->node) : json_null());
	json_object_set_new(o, "ok", json_boolean(code == EX_DONE));
	json_object_set_new(
	    o, "errors", json_integer((json_int_t)c->report.errors));
	json_object_set_new(
	    o, "warnings", json_integer((json_int_t)c->report.warnings));
	json_object_set_new(o, "messages", json_messages(&c->report));
	json_object_set_new(o, "key_error",
	    c->key_why[0] != '\0' ? json_string(c->key_why) : json_null());
	out_json_print(stdout, o, false);
}

static void
print_text(const struct args *args, const struct check *c, int code)
{
	conf_report_print(stderr, &c->report);
	if (c->key_why[0] != '\0')
		fprintf(stderr, "hactl: check: %s\n", c->key_why);
	if (code != EX_DONE)
		return;
	printf("%s: ok, ", args->conf);
	if (c->node != NULL)
		printf("for node %s", c->node);
	else
		printf("for the site (this host is none of its nodes; -N "
		       "names one)");
	if (c->conf->h.sync.npaths > 0 && key_unread(args, c) != NULL)
		printf("; the key file was not read (%s)", key_unread(args, c));
	putchar('\n');
}

int
cmd_check(const struct args *args)
{
	struct check c = {.conf = NULL};
	int code;

	load(args, &c);
	check_key(args, &c);
	code = c.conf == NULL || c.key_why[0] != '\0' ? EX_WRONG : EX_DONE;
	if (args->json)
		print_json(args, &c, code);
	else
		print_text(args, &c, code);
	conf_free(c.conf);
	conf_report_free(&c.report);
	return out_flush(code);
}
