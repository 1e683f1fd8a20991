/* Random numbers that are the same in each run of an input. */
#include <sodium.h>

#include "fuzz.h"

static uint64_t state;

static uint32_t
next_number(void)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(state >> 32);
}

static const char *
name(void)
{
	return "fixed";
}

static void
fill(void *const buf, const size_t len)
{
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)next_number();
}

static struct randombytes_implementation fixed = {
    .implementation_name = name,
    .random = next_number,
    .buf = fill,
};

void
fuzz_random_reset(void)
{
	static bool installed;

	state = 1;
	if (installed)
		return;
	installed = true;
	randombytes_set_implementation(&fixed);
	if (sodium_init() == -1)
		abort();
}
