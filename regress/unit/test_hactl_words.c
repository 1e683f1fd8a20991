/* Words of the command line: which are found, shortened, refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/hactl.h"

#define WORDS_MAX 6

/* Split a line and look its command up; what is complained about in err. */
static const struct word *
find(const char *line, struct args *args, char *err, size_t len)
{
	static char copy[256];
	char *argv[WORDS_MAX], *p = copy;
	const struct word *w;
	int argc = 0;
	FILE *fp;

	memset(args, 0, sizeof(*args));
	snprintf(copy, sizeof(copy), "%s", line);
	while (argc < WORDS_MAX && (argv[argc] = strsep(&p, " ")) != NULL)
		argc++;
	memset(err, 0, len);
	fp = fmemopen(err, len - 1, "w");
	assert_non_null(fp);
	w = words_find(hactl_words, argc, argv, args, fp);
	fclose(fp);
	return w;
}

static void
commands_are_found(void **state)
{
	static const struct {
		const char *line;
		int (*run)(const struct args *);
		uint32_t flags;
	} cases[] = {
	    {"show summary", view_summary, 0},
	    {"s s", view_summary, 0},
	    {"sh su", view_summary, 0},
	    {"s sy", view_sync, 0},
	    {"show vrrp", view_vrrp, 0},
	    {"s v", view_vrrp, 0},
	    {"s n", view_nat, 0},
	    {"s c", view_config, 0},
	    {"s e", view_events, 0},
	    {"s p", view_process, 0},
	    {"m", cmd_monitor, 0},
	    {"he", NULL, 0},
	    {"hea", cmd_health, 0},
	    {"v", cmd_version, 0},
	    {"c", cmd_check, 0},
	    {"failover", cmd_failover, 0},
	    {"failover force", cmd_failover, CTL_F_FORCE},
	    {"failback", cmd_failback, 0},
	    {"reload", cmd_reload, 0},
	    {"log brief", cmd_log, 0},
	    {"log verbose", cmd_log, CTL_F_VERBOSE},
	};
	const struct word *w;
	struct args args;
	char err[2048];

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		w = find(cases[i].line, &args, err, sizeof(err));
		assert_ptr_equal(w != NULL ? w->run : NULL, cases[i].run);
		assert_int_equal(args.flags, cases[i].flags);
		assert_int_equal(err[0] == '\0', w != NULL);
	}
}

/* A slip must not change anything. */
static void
changes_are_written_out(void **state)
{
	static const char *const lines[] = {"failov", "failb", "r", "reloa",
	    "failover f", "failover forc", "lo verbose", "log v", "log b"};
	struct args args;
	char err[2048];

	(void)state;
	for (size_t i = 0; i < nitems(lines); i++) {
		assert_null(find(lines[i], &args, err, sizeof(err)));
		assert_non_null(strstr(err, "written out in full\n"));
	}
}

static void
arguments(void **state)
{
	struct args args;
	char err[2048];

	(void)state;
	assert_non_null(find("show vrrp inside", &args, err, sizeof(err)));
	assert_string_equal(args.name, "inside");
	assert_non_null(find("s e 40", &args, err, sizeof(err)));
	assert_int_equal(args.number, 40);
	assert_null(find("show events 0", &args, err, sizeof(err)));
	assert_null(find("show events 1001", &args, err, sizeof(err)));
	assert_null(find("show events -1", &args, err, sizeof(err)));
	assert_null(find("show events 4x", &args, err, sizeof(err)));
	assert_string_equal(
	    err, "hactl: events: not a number from 1 to 512: \"4x\"\n");
	assert_null(find("show nat an-exceedingly-long-name-of-a-rule", &args,
	    err, sizeof(err)));
	assert_null(find("show vrrp ", &args, err, sizeof(err)));
}

static void
complaints(void **state)
{
	struct args args;
	char err[2048];

	(void)state;
	assert_null(find("show sumary", &args, err, sizeof(err)));
	assert_non_null(strstr(err,
	    "hactl: show: unknown word \"sumary\" (did you mean "
	    "\"summary\"?)\n"));
	assert_non_null(strstr(err, "possible here:\n  summary "));
	assert_null(find("fialover", &args, err, sizeof(err)));
	assert_non_null(strstr(err, "(did you mean \"failover\"?)"));
	assert_null(find("zebra", &args, err, sizeof(err)));
	assert_null(strstr(err, "did you mean"));
	assert_null(find("show", &args, err, sizeof(err)));
	assert_non_null(strstr(err, "hactl: show: a word is missing\n"));
	assert_null(find("fail", &args, err, sizeof(err)));
	assert_string_equal(
	    err, "hactl: \"fail\" is ambiguous: failover, failback\n");
	assert_null(find("reload now", &args, err, sizeof(err)));
	assert_string_equal(
	    err, "hactl: reload: nothing may follow, but \"now\" does\n");
}

static void
numbers_for_people(void **state)
{
	char buf[48];

	(void)state;
	assert_string_equal(out_ms(buf, 0), "0 ms");
	assert_string_equal(out_ms(buf, 42), "0.04 ms");
	assert_string_equal(out_ms(buf, 300), "0.3 ms");
	assert_string_equal(out_ms(buf, 12000), "12 ms");
	assert_string_equal(out_ms(buf, 1900000), "1.9 s");
	assert_string_equal(out_ms(buf, CTL_NEVER), "unknown");
	assert_string_equal(out_ago(buf, CTL_NEVER), "never");
	assert_string_equal(out_minute(buf, 0), "-");
	assert_int_equal(out_width("h\xc3\xa9"), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(commands_are_found),
	    cmocka_unit_test(changes_are_written_out),
	    cmocka_unit_test(arguments),
	    cmocka_unit_test(complaints),
	    cmocka_unit_test(numbers_for_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
