/* Versions of hactl and of the daemon, and the list of commands. */
#include <string.h>

#include "hactl.h"

static int
print_json(const struct conn *c, bool answers)
{
	json_t *o = out_json_new("version");

	json_object_set_new(o, "hactl", json_string(HAGW_VERSION));
	json_object_set_new(o, "hactl_build", json_string(hagw_build_id));
	json_object_set_new(
	    o, "hagwd", answers ? json_string(c->hello.version) : json_null());
	json_object_set_new(o, "hagwd_build",
	    answers ? json_string(c->hello.build_id) : json_null());
	json_object_set_new(
	    o, "error", answers ? json_null() : json_string(c->why));
	return out_json_print(stdout, o, false);
}

int
cmd_version(const struct args *args)
{
	struct conn c;
	bool answers;

	if (conn_open(&c, args->sock, HACTL_SHOW_US) == EX_DONE)
		conn_close(&c);
	/* one of another version greets too */
	answers = c.hello.version[0] != '\0';
	if (args->json)
		return print_json(&c, answers);
	printf("hactl %s (build %s)\n", HAGW_VERSION, hagw_build_id);
	if (answers)
		printf(
		    "hagwd %s (build %s)\n", c.hello.version, c.hello.build_id);
	else
		printf("hagwd: %s\n", c.why);
	return out_flush(EX_DONE);
}

int
cmd_help(const struct args *args)
{
	(void)args;
	words_usage(stdout);
	return out_flush(EX_DONE);
}
