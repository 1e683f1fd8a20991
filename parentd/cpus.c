/*
 * Which processor may do what. A dump request walks the kernel's whole hash
 * table, and a kernel that does not preempt itself lets nobody else have
 * that processor before it is through: 25 ms for 600,000 empty buckets. A
 * vrrpd that is woken there comes late, and its lease may be 30 ms. So one
 * processor, the last, does the walks; vrrpd is never there, hagwd not while
 * one is under way. With one processor there is no choice.
 */
#include <sched.h>

#include "daemon.h"

static cpu_set_t all, walker, others;
static bool choice;

void
cpus_init(void)
{
	choice = false;
	/* more than fit into a set: as without a choice */
	if (sched_getaffinity(0, sizeof(all), &all) == -1 ||
	    CPU_COUNT(&all) < 2)
		return;
	others = all;
	for (int i = CPU_SETSIZE - 1;; i--)
		if (CPU_ISSET(i, &all)) {
			CPU_ZERO(&walker);
			CPU_SET(i, &walker);
			CPU_CLR(i, &others);
			break;
		}
	choice = true;
}

/* A failure costs punctuality, nothing else: a cpuset that changed since. */
static void
use(const cpu_set_t *set)
{
	if (choice)
		(void)sched_setaffinity(0, sizeof(*set), set);
}

void
cpus_walk(void)
{
	use(&walker);
}

void
cpus_prompt(void)
{
	use(&others);
}

void
cpus_all(void)
{
	use(&all);
}
