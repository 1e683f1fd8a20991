/*
 * CPU time that sets of processes use from here on; "report" on stdin:
 * microseconds of each set.
 *
 *	cputime name=pid[,pid]... ...
 */
#include <dirent.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

#define SETS_MAX  8
#define TASKS_MAX 64

static struct set {
	const char *name;
	size_t n;
	int fds[TASKS_MAX];
} sets[SETS_MAX];
static size_t nsets;

/* Each thread there is; those to come are counted with the one they are of. */
static void
add_process(struct set *s, const char *pid)
{
	char path[64];
	struct dirent *de;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	if ((dir = opendir(path)) == NULL)
		err(1, "process %s", pid);
	while ((de = readdir(dir)) != NULL) {
		if (de->d_name[0] == '.')
			continue;
		if (s->n == TASKS_MAX)
			errx(2, "%s: more than %d tasks", s->name, TASKS_MAX);
		s->fds[s->n] = tool_cpu_open((pid_t)atoi(de->d_name));
		if (s->fds[s->n++] == -1)
			err(1, "%s: CPU time of process %s (perf_event_open)",
			    s->name, pid);
	}
	closedir(dir);
}

static void
add_set(char *arg)
{
	struct set *s = &sets[nsets];
	char *pids = strchr(arg, '='), *pid;

	if (pids == NULL || nsets == SETS_MAX)
		errx(2, "usage: cputime name=pid[,pid]... ... (at most %d)",
		    SETS_MAX);
	*pids++ = '\0';
	s->name = arg;
	nsets++;
	for (pid = strtok(pids, ","); pid != NULL; pid = strtok(NULL, ","))
		add_process(s, pid);
}

static void
command(const char *line)
{
	if (strcmp(line, "report") != 0)
		errx(2, "unknown command \"%s\"", line);
	printf("{");
	for (size_t i = 0; i < nsets; i++) {
		long long us = 0;

		for (size_t k = 0; k < sets[i].n; k++)
			us += tool_cpu_us(sets[i].fds[k]);
		printf("%s\"%s\": %lld", i == 0 ? "" : ", ", sets[i].name, us);
	}
	printf("}\n");
	fflush(stdout);
}

int
main(int argc, char *argv[])
{
	struct tool_line tl = {0};

	for (int i = 1; i < argc; i++)
		add_set(argv[i]);
	command("report");
	while (tool_control(&tl, command) == 0)
		;
	return 0;
}
