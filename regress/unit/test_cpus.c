/* Dump requests have a processor of their own, where there is another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sched.h>

#include "parentd/daemon.h"

static cpu_set_t given;

static cpu_set_t
now(void)
{
	cpu_set_t set;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	return set;
}

static int
last(const cpu_set_t *set)
{
	int i = CPU_SETSIZE - 1;

	while (!CPU_ISSET(i, set))
		i--;
	return i;
}

static int
setup(void **state)
{
	(void)state;
	given = now();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	return sched_setaffinity(0, sizeof(given), &given);
}

static void
test_walks_are_apart(void **state)
{
	cpu_set_t walk, prompt, set;

	(void)state;
	if (CPU_COUNT(&given) < 2)
		skip();
	cpus_init();
	cpus_walk();
	walk = now();
	assert_int_equal(CPU_COUNT(&walk), 1);
	assert_int_equal(last(&walk), last(&given));
	/* and back, from there */
	cpus_prompt();
	prompt = now();
	CPU_AND(&set, &walk, &prompt);
	assert_int_equal(CPU_COUNT(&set), 0);
	CPU_OR(&set, &walk, &prompt);
	assert_true(CPU_EQUAL(&set, &given));
	cpus_all();
	set = now();
	assert_true(CPU_EQUAL(&set, &given));
}

/* What an administrator kept from hagwd is not taken. */
static void
test_one_processor(void **state)
{
	cpu_set_t one, set;

	(void)state;
	CPU_ZERO(&one);
	CPU_SET(last(&given), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	cpus_init();
	cpus_prompt();
	set = now();
	assert_true(CPU_EQUAL(&set, &one));
	cpus_walk();
	cpus_all();
	set = now();
	assert_true(CPU_EQUAL(&set, &one));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		test_walks_are_apart, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_one_processor, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
