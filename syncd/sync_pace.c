/*
 * Two things a sender knows to spend less: how long events may gather before
 * they are read, and which flows a peer has probably heard of.
 */
#include <string.h>

#include "syncd.h"

#define WINDOW_US 10000 /* over which the rate is taken */
#define RARE_NS   300000 /* between events: gathering them gains nothing */
#define GATHER    12 /* events worth a wake-up, here and at the peer */
#define CROWD_NS  20000 /* between events: processor time is what is short */
#define PAUSE_MIN 500
#define PAUSE_MAX 1000
#define BURST_US  25 /* in which most of what comes together has come */
#define BRIEF     8 /* one event in so many is merged with another */

static void
new_window(struct pace *p, uint64_t now, uint64_t merged)
{
	p->gap_ns = p->events == 0 ? UINT64_MAX
				   : (now - p->since_us) * 1000 / p->events;
	p->brief = (merged - p->merged) * BRIEF >= p->events;
	p->since_us = now;
	p->events = 0;
	p->merged = merged;
}

/*
 * A wake-up costs more than an event, but a pause delays it. Where flows end
 * about as soon as they begin, a longer one tells many as one record, and
 * what it risks at a crash is as short. Pure: n events were read now; returns
 * the microseconds until the next look, 0: watch.
 */
uint64_t
pace_pause(struct pace *p, uint64_t now, unsigned int n, uint64_t merged)
{
	bool burst = p->gathered && n >= GATHER;
	uint64_t us;

	p->gathered = false;
	p->events += n;
	if (now - p->since_us >= WINDOW_US)
		new_window(p, now, merged);
	if (p->gap_ns >= RARE_NS || n == 0 || (burst && p->gap_ns >= CROWD_NS))
		return 0;
	us = p->gap_ns < CROWD_NS ? PAUSE_MAX : p->gap_ns * GATHER / 1000;
	if (us < PAUSE_MIN)
		us = PAUSE_MIN;
	if (us > PAUSE_MAX)
		us = PAUSE_MAX;
	return p->brief ? 3 * us : us;
}

/*
 * The first event after a silence, while there are many: the others that
 * came with it would wait for a whole pause if it were read alone.
 */
uint64_t
pace_gather(struct pace *p, uint64_t now)
{
	if (p->gap_ns >= RARE_NS || now - p->since_us > 2 * WINDOW_US)
		return 0;
	p->gathered = true;
	return BURST_US;
}

/*
 * Conntrack ids are random: their low bits are hash enough. Two flows may
 * share a bit, so it decides only what is tried first at the peer.
 */
static uint64_t *
word(struct announced *a, uint32_t id)
{
	return &a->bits[id % ANNOUNCED_BITS / 64];
}

bool
announced_has(struct announced *a, uint32_t id)
{
	return (*word(a, id) >> id % 64 & 1) != 0;
}

void
announced_set(struct announced *a, uint32_t id, bool on)
{
	uint64_t bit = 1ULL << id % 64;

	if (on)
		*word(a, id) |= bit;
	else
		*word(a, id) &= ~bit;
}

void
announced_clear(struct announced *a)
{
	memset(a->bits, 0, sizeof(a->bits));
}
