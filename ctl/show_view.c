/* A view: ask one or several processes, then print what they said. */
#include <stdlib.h>
#include <string.h>

#include "hactl.h"

static void
prepare(const struct args *args, const struct view *view, struct answer *a)
{
	struct ctl_request *req;
	size_t i;

	memset(a, 0, sizeof(*a));
	for (i = 0; i < HACTL_QUERIES_MAX && view->whats[i] != 0; i++) {
		req = &a->queries[i].req;
		req->what = view->whats[i];
		req->number = args->number;
		req->flags = args->flags;
		/* one part of several: a line, not ten thousand rules */
		if (view->partial && req->what == CTL_SHOW_NAT)
			req->flags |= CTL_F_BRIEF;
		if (args->name != NULL)
			snprintf(req->arg, sizeof(req->arg), "%s", args->name);
	}
	a->nqueries = i;
}

/* What broke off is an answer too, for those who have not answered. */
static void
mark_unended(struct answer *a, int code, const char *why)
{
	size_t i;

	for (i = 0; i < a->nqueries; i++) {
		if (a->queries[i].ended)
			continue;
		a->queries[i].code = code;
		snprintf(
		    a->queries[i].text, sizeof(a->queries[i].text), "%s", why);
	}
}

static bool
any_ended(const struct answer *a)
{
	size_t i;

	for (i = 0; i < a->nqueries; i++)
		if (a->queries[i].ended)
			return true;
	return false;
}

/* The first request that was refused decides the exit code. */
static int
first_refusal(const struct answer *a, char *why, size_t whysz)
{
	size_t i;

	for (i = 0; i < a->nqueries; i++)
		if (a->queries[i].code != EX_DONE) {
			snprintf(why, whysz, "%s",
			    a->queries[i].text[0] != '\0' ? a->queries[i].text
							  : "refused");
			return a->queries[i].code;
		}
	return EX_DONE;
}

int
view_ask(const struct args *args, const struct view *view, struct answer *a,
    char *why, size_t whysz)
{
	struct conn_sink sink = answer_sink(a);
	struct conn c;
	int code;

	prepare(args, view, a);
	if ((code = conn_open(&c, args->sock, HACTL_SHOW_US)) != EX_DONE) {
		snprintf(why, whysz, "%s", c.why);
		return code;
	}
	code = conn_ask(&c, a->queries, a->nqueries, HACTL_SHOW_US, &sink);
	conn_close(&c);
	if (code != EX_DONE) {
		snprintf(why, whysz, "%s",
		    c.why[0] != '\0' ? c.why : "an answer beyond all bounds");
		mark_unended(a, code, why);
		return view->partial && any_ended(a) ? EX_DONE : code;
	}
	return view->partial ? EX_DONE : first_refusal(a, why, whysz);
}

/* Nothing to show: said in the form that was asked for. */
static int
failed(
    const struct args *args, const struct view *view, int code, const char *why)
{
	json_t *o;

	if (!args->json) {
		fprintf(stderr, "hactl: %s\n", why);
		return code;
	}
	o = out_json_new(view->command);
	out_json_end(o, code, why);
	out_json_print(stdout, o, false);
	return code;
}

int
view_run(const struct args *args, const struct view *view)
{
	struct answer a;
	char why[512];
	int code;

	if ((code = view_ask(args, view, &a, why, sizeof(why))) != EX_DONE) {
		answer_free(&a);
		return failed(args, view, code, why);
	}
	if (a.text != NULL)
		out_clean_text(a.text, a.textlen);
	if (args->json)
		code = out_json_print(
		    stdout, answer_json(&a, view->command), false);
	else
		view->text(stdout, &a);
	answer_free(&a);
	return out_flush(code);
}
