/*
 * What would hold the parent up: done by a process of its own that ends
 * with it. A dump request returns after the kernel has walked its whole hash
 * table, tens of milliseconds where it is large, and vrrpd's lease may be 30.
 */
#include <sys/prctl.h>
#include <sys/wait.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "daemon.h"
#include "log.h"

#define ASIDE_MAX 8 /* at a time */

static struct aside {
	pid_t pid; /* 0: free */
	pid_t asked_by; /* the child that waits for it */
	enum proc_id id;
} asides[ASIDE_MAX];

/* The last one gone: hagwd may run anywhere again. */
static void
asides_over(void)
{
	for (size_t i = 0; i < ASIDE_MAX; i++)
		if (asides[i].pid > 0)
			return;
	cpus_all();
}

int
aside_run(const struct child *c, int (*fn)(int), int fd)
{
	struct aside *a = asides;

	while (a < asides + ASIDE_MAX && a->pid != 0)
		a++;
	if (a == asides + ASIDE_MAX) {
		errno = EBUSY;
		return -1;
	}
	cpus_prompt();
	if ((a->pid = fork()) == 0) {
		cpus_walk();
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		_exit(fn(fd) == -1);
	}
	if (a->pid == -1) {
		a->pid = 0;
		asides_over();
		return -1;
	}
	a->asked_by = c->pid;
	a->id = c->id;
	return 0;
}

void
aside_reaped(pid_t pid, int status)
{
	for (size_t i = 0; i < ASIDE_MAX; i++) {
		struct aside *a = &asides[i];
		struct child *c = &hagwd.children[a->id];

		if (a->pid != pid)
			continue;
		a->pid = 0;
		asides_over();
		/* without an answer it would wait for ever */
		if (status != 0 && c->pid == a->asked_by)
			child_violation(c, "its dump request failed");
	}
}
