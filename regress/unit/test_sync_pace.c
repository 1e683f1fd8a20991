/* How long events gather; which flows a peer has heard of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "syncd.h"

/* Events each gap_us for a while, read as the pace says; the last pause. */
static uint64_t
run(struct pace *p, uint64_t *now, uint64_t gap_us, unsigned int count)
{
	uint64_t pause = 0, next = *now;

	while (count > 0) {
		unsigned int n = 0;

		*now = pause > 0 ? *now + pause : next;
		for (; next <= *now && count > 0; count--, n++)
			next += gap_us;
		if (n > 0)
			pause = pace_pause(p, *now, n);
		else
			pause = 0;
	}
	return pause;
}

static void
pauses_follow_the_rate(void **state)
{
	struct pace p = {0};
	uint64_t now = 5000000;

	(void)state;
	assert_int_equal(run(&p, &now, 1000, 500), 0);
	assert_in_range(run(&p, &now, 125, 5000), 900, 1000);
	assert_in_range(run(&p, &now, 50, 5000), 500, 700);
	assert_int_equal(run(&p, &now, 10, 50000), 1000);
	assert_int_equal(run(&p, &now, 1000, 500), 0);
}

static void
nothing_read_is_no_reason_to_wait(void **state)
{
	struct pace p = {0};
	uint64_t now = 5000000;

	(void)state;
	assert_in_range(run(&p, &now, 50, 5000), 500, 700);
	assert_int_equal(pace_pause(&p, now + 300, 0), 0);
	/* nor is what happened before a silence */
	assert_int_equal(pace_pause(&p, now + 2000000, 1), 0);
}

static void
a_burst_is_waited_for(void **state)
{
	struct pace p = {0};
	uint64_t now = 5000000;

	(void)state;
	assert_int_equal(run(&p, &now, 1000, 500), 0);
	assert_int_equal(pace_gather(&p, now), 0);
	assert_in_range(run(&p, &now, 50, 5000), 500, 700);
	/* all of it was there: the next is watched for */
	assert_in_range(pace_gather(&p, now), 20, 200);
	assert_int_equal(pace_pause(&p, now, 20), 0);
	/* a stream is no burst, and gathers longer */
	assert_in_range(pace_gather(&p, now), 20, 200);
	assert_in_range(pace_pause(&p, now, 3), 500, 700);
	assert_in_range(pace_pause(&p, now, 20), 500, 700);
	assert_int_equal(pace_gather(&p, now + 100000), 0);
}

static void
announced_are_remembered(void **state)
{
	static struct announced a;

	(void)state;
	announced_clear(&a);
	for (uint32_t i = 0; i < 100000; i += 3)
		announced_set(&a, i * 2654435761U, true);
	for (uint32_t i = 0; i < 100000; i += 3)
		assert_true(announced_has(&a, i * 2654435761U));
	announced_set(&a, 0, false);
	assert_false(announced_has(&a, 0));
	announced_clear(&a);
	assert_false(announced_has(&a, 3 * 2654435761U));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pauses_follow_the_rate),
	    cmocka_unit_test(nothing_read_is_no_reason_to_wait),
	    cmocka_unit_test(a_burst_is_waited_for),
	    cmocka_unit_test(announced_are_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
