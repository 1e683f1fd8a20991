/* Planned change of roles: each step is shown as it happens. */
#include <string.h>
#include <time.h>

#include "fmt.h"
#include "hactl.h"

struct act {
	const struct args *args;
	const char *command;
	struct answer answer;
};

/* hh:mm:ss.mmm: the date does not matter while one looks on. */
static void
print_step(const struct ctl_progress *p)
{
	char buf[FMT_MAX];
	const char *clock = fmt_time(buf, p->real_ns);

	if (p->node[0] == '\0') {
		/* about the whole, not one node's step */
		printf("%s\n", p->text);
		fflush(stdout);
		return;
	}
	if ((clock = strrchr(clock, ' ')) == NULL)
		clock = buf;
	else
		clock++;
	printf("%s.%03u  %s  %s\n", clock,
	    (unsigned int)(p->real_ns / 1000000 % 1000), p->node, p->text);
	fflush(stdout);
}

static int
on_row(void *arg, enum row row, void *data)
{
	struct act *act = arg;

	if (row != ROW_PROGRESS)
		return EX_DONE;
	if (!act->args->json)
		print_step(data);
	return answer_add(&act->answer, row, data) == -1 ? EX_FAILED : EX_DONE;
}

static int
on_text(void *arg, const char *text, size_t len)
{
	(void)arg;
	(void)text;
	(void)len;
	return EX_DONE;
}

static void
print_json(struct act *act, int code, const char *why)
{
	json_t *o = answer_json(&act->answer, act->command);

	out_json_end(o, code, why);
	out_json_print(stdout, o, false);
}

/* Say how it ended; the exit code is the daemon's. */
static int
finish(struct act *act, int code, const char *why)
{
	if (act->args->json)
		print_json(act, code, why);
	else if (code == EX_UNSAFE)
		fprintf(stderr, "%s\n", why);
	else if (code != EX_DONE)
		fprintf(stderr, "hactl: %s: %s\n", act->command, why);
	else if (why[0] != '\0')
		printf("%s\n", why);
	answer_free(&act->answer);
	return out_flush(code);
}

static int
act_run(const struct args *args, uint32_t what, const char *command)
{
	struct act act = {.args = args, .command = command};
	struct query *q = &act.answer.queries[0];
	struct conn_sink sink = {.row = on_row, .text = on_text, .arg = &act};
	struct conn c;
	int code;

	act.answer.nqueries = 1;
	q->req.what = what;
	q->req.flags = args->flags;
	if ((code = conn_open(&c, args->sock, HACTL_SHOW_US)) != EX_DONE)
		return finish(&act, code, c.why);
	code = conn_ask(&c, q, 1, HACTL_CHANGE_US, &sink);
	conn_close(&c);
	if (code != EX_DONE)
		return finish(&act, code, c.why);
	return finish(&act, q->code, q->text);
}

int
cmd_failover(const struct args *args)
{
	return act_run(args, CTL_FAILOVER, "failover");
}

int
cmd_failback(const struct args *args)
{
	return act_run(args, CTL_FAILBACK, "failback");
}
