/* How long events gather; which flows a peer has heard of. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "syncd.h"

static uint64_t merged;

/*
 * Events each gap_us for a while, read as the pace says, one in `one_in` of
 * them merged; the last pause.
 */
static uint64_t
run_merging(struct pace *p, uint64_t *now, uint64_t gap_us, unsigned int count,
    unsigned int one_in)
{
	uint64_t pause = 0, next = *now;

	while (count > 0) {
		unsigned int n = 0;

		*now = pause > 0 ? *now + pause : next;
		for (; next <= *now && count > 0; count--, n++) {
			next += gap_us;
			merged += count % one_in == 0;
		}
		if (n > 0)
			pause = pace_pause(p, *now, n, merged);
		else
			pause = 0;
	}
	return pause;
}

static uint64_t
run(struct pace *p, uint64_t *now, uint64_t gap_us, unsigned int count)
{
	return run_merging(p, now, gap_us, count, UINT_MAX);
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
	assert_int_equal(pace_pause(&p, now + 300, 0, merged), 0);
	/* nor is what happened before a silence */
	assert_int_equal(pace_pause(&p, now + 2000000, 1, merged), 0);
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
	now += 300;
	assert_in_range(pace_gather(&p, now), 20, 200);
	assert_int_equal(pace_pause(&p, now, 20, merged), 0);
	/* a stream is no burst, and gathers longer */
	assert_in_range(pace_gather(&p, now), 20, 200);
	assert_in_range(pace_pause(&p, now, 3, merged), 500, 700);
	assert_in_range(pace_pause(&p, now, 20, merged), 500, 700);
	assert_int_equal(pace_gather(&p, now + 100000), 0);
}

/*
 * Bursts of count events, one each step_us, one burst each period_us; of the
 * last hundred: reads, and the longest from a burst's end to its last read.
 */
struct bursts {
	unsigned int reads;
	uint64_t late_us;
};

static struct bursts
run_bursts(struct pace *p, uint64_t *now, unsigned int count, uint64_t step_us,
    uint64_t period_us)
{
	struct bursts b = {0};
	uint64_t pause = 0;

	for (int i = 0; i < 300; i++, *now += 1) {
		uint64_t start = *now / period_us * period_us + period_us;
		uint64_t end = start + (count - 1) * step_us;
		unsigned int seen = 0;

		while (seen < count) {
			uint64_t next = start + seen * step_us;
			unsigned int n = 0;

			if (pause == 0) {
				*now = *now > next ? *now : next;
				*now += pace_gather(p, *now);
			} else {
				*now += pause;
			}
			for (; seen < count && next <= *now; next += step_us) {
				seen++;
				n++;
			}
			pause = pace_pause(p, *now, n, merged);
			b.reads += i >= 200 && n > 0;
		}
		if (i >= 200 && *now - end > b.late_us)
			b.late_us = *now - end;
	}
	return b;
}

static void
the_length_of_a_burst_is_learned(void **state)
{
	struct pace p = {0};
	struct bursts b;
	uint64_t now = 5000000;

	(void)state;
	b = run_bursts(&p, &now, 64, 7, 3200);
	assert_in_range(b.reads, 100, 120);
	assert_in_range(b.late_us, 0, 200);
	b = run_bursts(&p, &now, 20, 3, 1000);
	assert_in_range(b.reads, 100, 120);
	assert_in_range(b.late_us, 0, 60);
	/* never longer than the pauses of a stream */
	(void)run_bursts(&p, &now, 150, 20, 6000);
	assert_in_range(pace_gather(&p, now + 300), 700, 750);
	/* and forgotten */
	(void)run_bursts(&p, &now, 20, 1, 1000);
	assert_in_range(pace_gather(&p, now + 300), 25, 50);
}

/* Events that come by themselves: what comes in a pause is no burst's rest. */
static void
a_stream_teaches_nothing(void **state)
{
	struct pace p = {0};
	uint64_t now = 5000000, next = now, pause = 0;

	(void)state;
	for (unsigned int i = 0; i < 20000;) {
		unsigned int n = 0;

		if (pause > 0)
			now += pause;
		else
			now = (now > next ? now : next) +
			    pace_gather(&p, now > next ? now : next);
		/* 20 to 180 us apart in no order, and silence now and then */
		for (; next <= now; i++, n++)
			next += i % 50 == 0 ? 3000 : 20 + i * 2654435761U % 161;
		pause = pace_pause(&p, now, n, merged);
	}
	assert_in_range(p.burst_us, 25, 100);
}

static void
brief_flows_are_gathered_for_longer(void **state)
{
	struct pace p = {0};
	uint64_t now = 5000000;

	(void)state;
	assert_false(pace_dense(&p, now));
	assert_in_range(run_merging(&p, &now, 125, 5000, 4), 2700, 3000);
	assert_true(pace_dense(&p, now));
	assert_false(pace_dense(&p, now + 30000));
	/* however many came together */
	now += 300;
	assert_in_range(pace_gather(&p, now), 25, 750);
	assert_in_range(pace_pause(&p, now, 20, merged), 2700, 3000);
	assert_in_range(run_merging(&p, &now, 125, 5000, 20), 900, 1000);
	assert_in_range(run_merging(&p, &now, 50, 5000, 4), 1500, 2100);
	assert_int_equal(run_merging(&p, &now, 1000, 500, 4), 0);
	assert_false(pace_dense(&p, now));
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
	    cmocka_unit_test(the_length_of_a_burst_is_learned),
	    cmocka_unit_test(a_stream_teaches_nothing),
	    cmocka_unit_test(brief_flows_are_gathered_for_longer),
	    cmocka_unit_test(announced_are_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
