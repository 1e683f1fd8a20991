/* Monotonic time; nothing in hagw acts on the wall clock. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>

uint64_t clock_us(void); /* CLOCK_MONOTONIC, microseconds */
uint64_t clock_real_ns(void); /* CLOCK_REALTIME, for people only */
struct timeval clock_tv(uint64_t us); /* a span, for evtimer_add */

#endif
