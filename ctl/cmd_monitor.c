/* Events as they happen, one line (or one JSON object) each. */
#include "hactl.h"

static int
on_row(void *arg, enum row row, void *data)
{
	const struct args *args = arg;
	json_t *o;

	if (row != ROW_EVENT)
		return EX_DONE;
	if (!args->json) {
		event_line(stdout, data);
		return out_flush(EX_DONE);
	}
	o = out_json_new("monitor");
	json_object_update_new(o, row_json(row, data));
	return out_json_print(stdout, o, true);
}

static int
on_text(void *arg, const char *text, size_t len)
{
	(void)arg;
	(void)text;
	(void)len;
	return EX_DONE;
}

/* A line of its own, as each event has one: readers take no other. */
static void
failed(const struct args *args, int code, const char *why)
{
	json_t *o;

	if (args->json) {
		o = out_json_new("monitor");
		out_json_end(o, code, why);
		out_json_print(stdout, o, true);
	} else if (why[0] != '\0') {
		fprintf(stderr, "hactl: monitor: %s\n", why);
	}
}

int
cmd_monitor(const struct args *args)
{
	struct args copy = *args;
	struct conn_sink sink = {.row = on_row, .text = on_text, .arg = &copy};
	struct query q = {.req = {.what = CTL_MONITOR}};
	struct conn c;
	int code;

	if ((code = conn_open(&c, args->sock, HACTL_SHOW_US)) == EX_DONE) {
		code = conn_ask(&c, &q, 1, CTL_NEVER, &sink);
		conn_close(&c);
	}
	if (code == EX_DONE) {
		code = q.code;
		snprintf(c.why, sizeof(c.why), "%s", q.text);
	}
	if (code != EX_DONE)
		failed(args, code, c.why);
	return code;
}
