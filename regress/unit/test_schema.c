/* The table of keys: suggestions, durations, the manual. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/conf_read.h"
#include "common/schema.h"

static void
test_distance(void **state)
{
	char longer[100];

	(void)state;
	assert_int_equal(schema_distance("", ""), 0);
	assert_int_equal(schema_distance("vip", "vip"), 0);
	assert_int_equal(schema_distance("", "abc"), 3);
	assert_int_equal(schema_distance("vip", "vipp"), 1);
	assert_int_equal(schema_distance("vip", "vp"), 1);
	assert_int_equal(schema_distance("vip", "vap"), 1);
	assert_int_equal(schema_distance("vip", "ivp"), 1);
	assert_int_equal(schema_distance("kitten", "sitting"), 3);
	memset(longer, 'a', sizeof(longer));
	longer[99] = '\0';
	assert_int_equal(schema_distance(longer, "a"), 64);
	assert_int_equal(schema_distance("a", longer), 64);
}

static void
test_suggest(void **state)
{
	(void)state;
	assert_string_equal(schema_suggest("ha", "preemt"), "preempt");
	assert_string_equal(schema_suggest("ha", "advertize"), "advertise");
	assert_string_equal(schema_suggest("", "network"), "networks");
	assert_string_equal(schema_suggest("networks.*", "vird"), "vrid");
	assert_string_equal(schema_suggest("nat.forward[]", "prot"), "port");
	assert_null(schema_suggest("ha", "weight"));
	assert_null(schema_suggest("networks.*", "x"));
	assert_null(schema_suggest("ha", ""));
}

static void
test_duration(void **state)
{
	static const char *const bad[] = {"", "10", "s", "-1s", "+1s", " 1s",
	    "1 s", "1s ", "1.5s", "1S", "1min", "1us", "1234567890s", "0x1s"};
	uint64_t us;
	size_t i;

	(void)state;
	assert_int_equal(conf_duration_parse("10ms", &us), 0);
	assert_int_equal(us, 10000);
	assert_int_equal(conf_duration_parse("3s", &us), 0);
	assert_int_equal(us, 3000000);
	assert_int_equal(conf_duration_parse("2m", &us), 0);
	assert_int_equal(us, 120000000);
	assert_int_equal(conf_duration_parse("1h", &us), 0);
	assert_int_equal(us, 3600000000);
	assert_int_equal(conf_duration_parse("999999999d", &us), 0);
	assert_true(us == 999999999ULL * 86400000000ULL);
	for (i = 0; i < nitems(bad); i++)
		assert_int_equal(conf_duration_parse(bad[i], &us), -1);
}

/* Each key of the table is in the manual, with its default. */
static void
test_mdoc(void **state)
{
	char *text = NULL, *s;
	size_t len;
	FILE *fp = open_memstream(&text, &len);

	(void)state;
	assert_non_null(fp);
	conf_schema_mdoc(fp);
	fclose(fp);
	assert_non_null(strstr(text, ".It Ic site : Ar name\n"));
	assert_non_null(strstr(text, ".Ss nat.forward\n"));
	assert_non_null(strstr(text, ".It Ic preempt : Ar never | Ar map\n"));
	s = strstr(text, ".It Ic advertise : Ar duration\n");
	assert_non_null(s);
	assert_non_null(strstr(s,
	    "From 10ms to 40s, in steps of 10ms.\n"
	    "The default is\n.Ql 1s .\n"));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_distance),
	    cmocka_unit_test(test_suggest),
	    cmocka_unit_test(test_duration),
	    cmocka_unit_test(test_mdoc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
