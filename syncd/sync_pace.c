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
#define PAUSE_MIN 500 /* microseconds, as all below */
#define PAUSE_MAX 1000
#define BURST_MIN 25 /* in which most of what comes at once has come */
#define BURST_MAX 750 /* no longer than a stream's pause */
#define BURST_GAP 100 /* from a read to an event of another burst */

#define BRIEF     8 /* one event in so many is merged with another */

static uint64_t
clamp(uint64_t us, uint64_t least, uint64_t most)
{
	if (us < least)
		return least;
	return us > most ? most : us;
}

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

static void
burst_was_cut(struct pace *p)
{
	p->burst_us =
	    clamp(p->burst_us + p->burst_us / 4, BURST_MIN, BURST_MAX);
}

/* What came in a pause, if twice as dense as events are on average. */
static bool
is_rest(const struct pace *p, uint64_t now, unsigned int n)
{
	return p->mid_burst && n * p->gap_ns >= 2000 * (now - p->read_us);
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
	bool burst = p->gathered;
	uint64_t us;

	if (n > 0 && is_rest(p, now, n))
		burst_was_cut(p);
	p->gathered = p->mid_burst = false;
	if (n > 0)
		p->read_us = now;
	p->events += n;
	if (now - p->since_us >= WINDOW_US)
		new_window(p, now, merged);
	if (p->gap_ns >= RARE_NS || n == 0 ||
	    (burst && n >= GATHER && p->gap_ns >= CROWD_NS && !p->brief))
		return 0;
	us = p->gap_ns < CROWD_NS ? PAUSE_MAX : p->gap_ns * GATHER / 1000;
	us = clamp(us, PAUSE_MIN, PAUSE_MAX);
	p->mid_burst = burst;
	return p->brief ? 3 * us : us;
}

bool
pace_dense(const struct pace *p, uint64_t now)
{
	return p->gap_ns < RARE_NS && now - p->since_us <= 2 * WINDOW_US;
}

/*
 * The first event after a silence, while there are many: the others that
 * come with it would each be read alone, or wait for a whole pause. How long
 * a burst takes is learned: one that went on after it was read was cut, and
 * what is left of it is short.
 */
uint64_t
pace_gather(struct pace *p, uint64_t now)
{
	if (!pace_dense(p, now))
		return 0;
	p->gathered = true;
	if (now - p->read_us >= BURST_GAP) {
		p->burst_us = clamp(p->burst_us - (p->burst_us + 31) / 32,
		    BURST_MIN, BURST_MAX);
		return p->burst_us;
	}
	burst_was_cut(p);
	return clamp(p->burst_us / 4, BURST_MIN, BURST_MAX);
}

/*
 * Conntrack ids are random: their low bits are hash enough. Two flows may
 * share a bit, so nothing may rest on it that is not right by other means.
 */
static uint64_t *
word(struct announced *a, uint32_t id)
{
	return &a->bits[id % ANNOUNCED_BITS / 64];
}

void
announced_fetch(const struct announced *a, uint32_t id)
{
	__builtin_prefetch(&a->bits[id % ANNOUNCED_BITS / 64], 1);
}

bool
announced_has(const struct announced *a, uint32_t id)
{
	return (a->bits[id % ANNOUNCED_BITS / 64] >> id % 64 & 1) != 0;
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
