/* Have the site file read again: the report is the daemon's. */
#include <stdlib.h>
#include <string.h>

#include "hactl.h"

static int
print_json(struct answer *a, int code, const char *why)
{
	json_t *o = answer_json(a, "reload");

	out_json_end(o, code, why);
	out_json_print(stdout, o, false);
	return code;
}

static int
finish(const struct args *args, struct answer *a, int code, const char *why)
{
	if (a->text != NULL)
		out_clean_text(a->text, a->textlen);
	if (args->json)
		return print_json(a, code, why);
	if (a->text != NULL)
		fputs(a->text, code == EX_DONE ? stdout : stderr);
	if (code != EX_DONE)
		fprintf(stderr, "hactl: reload: %s\n", why);
	else if (why[0] != '\0')
		printf("%s\n", why);
	return out_flush(code);
}

int
cmd_reload(const struct args *args)
{
	struct answer a = {.nqueries = 1};
	struct conn_sink sink = answer_sink(&a);
	struct query *q = &a.queries[0];
	struct conn c;
	int code;

	q->req.what = CTL_RELOAD;
	if ((code = conn_open(&c, args->sock, HACTL_SHOW_US)) == EX_DONE) {
		code = conn_ask(&c, q, 1, HACTL_CHANGE_US, &sink);
		conn_close(&c);
	}
	if (code == EX_DONE)
		code = finish(args, &a, q->code, q->text);
	else
		code = finish(args, &a, code, c.why);
	answer_free(&a);
	return code;
}
