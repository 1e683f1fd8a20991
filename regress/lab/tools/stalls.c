/*
 * How long a processor did not get to a task that was more urgent than any
 * other: what the machine itself did to a measurement. One thread on each
 * processor sleeps a millisecond and looks how late it wakes.
 *
 *	stalls
 *
 * On stdin: "report", or "mark" (report, then start a new window).
 */
#include <err.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

#define SLEEP_US 1000
#define PRIORITY 80

static _Atomic uint64_t longest_us;

static void *
watch(void *arg)
{
	struct sched_param sp = {.sched_priority = PRIORITY};
	struct timespec ts = {.tv_nsec = SLEEP_US * 1000L};
	uint64_t begin, late;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)(uintptr_t)arg, &set);
	if (sched_setaffinity(0, sizeof(set), &set) == -1)
		err(1, "sched_setaffinity");
	if (sched_setscheduler(0, SCHED_RR, &sp) == -1)
		warn("no real-time class");
	for (;;) {
		begin = tool_now_us();
		nanosleep(&ts, NULL);
		late = tool_now_us() - begin - SLEEP_US;
		if (late > atomic_load(&longest_us))
			atomic_store(&longest_us, late);
	}
	return NULL;
}

static void
command(const char *line)
{
	if (strcmp(line, "report") != 0 && strcmp(line, "mark") != 0)
		errx(2, "unknown command \"%s\"", line);
	printf(
	    "{\"stall_ms\": %.1f}\n", (double)atomic_load(&longest_us) / 1000);
	if (line[0] == 'm')
		atomic_store(&longest_us, 0);
}

int
main(void)
{
	static struct tool_line tl;
	cpu_set_t mine;
	pthread_t t;
	int error;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (mlockall(MCL_CURRENT | MCL_FUTURE) == -1)
		warn("mlockall");
	if (sched_getaffinity(0, sizeof(mine), &mine) == -1)
		err(1, "sched_getaffinity");
	for (size_t i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &mine))
			continue;
		error = pthread_create(&t, NULL, watch, (void *)(uintptr_t)i);
		if (error != 0)
			errx(1, "thread: %s", strerror(error));
	}
	printf("{\"watching\": true}\n");
	while (tool_control(&tl, command) != -1)
		;
	return 0;
}
