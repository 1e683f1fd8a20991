/*
 * Which place in memory holds which sequence number of a ring. The one given
 * back last is taken first: it is in the cache still, and a ring of which
 * little is under way touches little memory.
 */
#include <stdlib.h>

#include "syncd.h"

bool
slots_init(struct slots *s, uint64_t size)
{
	s->mask = size - 1;
	s->at = calloc(size, sizeof(*s->at));
	s->spare = calloc(size, sizeof(*s->spare));
	return s->at != NULL && s->spare != NULL;
}

void
slots_free(struct slots *s)
{
	free(s->at);
	free(s->spare);
}

void
slots_reset(struct slots *s)
{
	s->nspare = s->touched = 0;
}

uint32_t
slots_take(struct slots *s, uint64_t seq)
{
	uint16_t place;

	if (s->nspare > 0)
		place = s->spare[--s->nspare];
	else if (s->touched <= s->mask)
		place = (uint16_t)s->touched++;
	else
		fatalx("sync: more datagrams than a ring has places");
	s->at[seq & s->mask] = place;
	return place;
}

void
slots_give(struct slots *s, uint64_t seq)
{
	s->spare[s->nspare++] = s->at[seq & s->mask];
}
