/* How often a child may ask: bursts pass, floods do not, silence pays back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "parentd/parentd.h"

#define SECOND 1000000ULL

static unsigned int
passed(struct budget *b, uint32_t type, unsigned int n, uint64_t now)
{
	unsigned int ok = 0;

	while (n-- > 0)
		ok += budget_take(b, type, now);
	return ok;
}

static void
test_flood(void **state)
{
	struct budget b = {0};

	(void)state;
	assert_int_equal(passed(&b, IMSG_VRRP_STATE, 1000, SECOND), 101);
	assert_int_equal(passed(&b, IMSG_VRRP_STATE, 1000, 2 * SECOND), 20);
	/* another type has its own */
	assert_int_equal(passed(&b, IMSG_CT_DUMP, 1, 2 * SECOND), 1);
	assert_int_equal(passed(&b, IMSG_VRRP_STATE, 1000, 60 * SECOND), 101);
}

static void
test_what_is_not_in_the_table(void **state)
{
	struct budget b = {0};

	(void)state;
	assert_int_equal(passed(&b, IMSG_CT_INJECT, 100000, 0), 100000);
	assert_int_equal(passed(&b, IMSG_MAX, 10, 0), 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_flood),
	    cmocka_unit_test(test_what_is_not_in_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
