/* What the fuzz targets share. */
#include <sys/time.h>
#include <string.h>

#include "clock.h"
#include "fuzz.h"
#include "log.h"

uint64_t fuzz_now_us = 1000000;

static void
quiet(int pri, const char *line)
{
	(void)pri;
	(void)line;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_setsink(quiet);
	return 0;
}

const uint8_t *
in_bytes(struct in *in, size_t len, size_t *got)
{
	const uint8_t *p = in->p;

	*got = len < in->left ? len : in->left;
	in->p += *got;
	in->left -= *got;
	return p;
}

static uint32_t
in_number(struct in *in, size_t len)
{
	size_t got;
	const uint8_t *p = in_bytes(in, len, &got);
	uint32_t v = 0;

	for (size_t i = 0; i < got; i++)
		v = v << 8 | p[i];
	return v;
}

uint8_t
in_u8(struct in *in)
{
	return (uint8_t)in_number(in, 1);
}

uint16_t
in_u16(struct in *in)
{
	return (uint16_t)in_number(in, 2);
}

uint32_t
in_u32(struct in *in)
{
	return in_number(in, 4);
}

void *
fenced(const void *src, size_t len)
{
	void *p = malloc(len > 0 ? len : 1);

	if (p == NULL)
		abort();
	if (len > 0)
		memcpy(p, src, len);
	return p;
}

uint64_t
clock_us(void)
{
	return fuzz_now_us;
}

uint64_t
clock_real_ns(void)
{
	return fuzz_now_us * 1000;
}

struct timeval
clock_tv(uint64_t us)
{
	return (struct timeval){.tv_sec = (time_t)(us / 1000000),
	    .tv_usec = (suseconds_t)(us % 1000000)};
}
