/*
 * Which processor may do what, and who goes first. A dump request walks the
 * kernel's whole hash table, and a kernel that does not preempt itself lets
 * nobody else have that processor before it is through: 25 ms for 600,000 empty
 * buckets. A vrrpd that is woken there comes late, and its lease may be 30 ms.
 * So one processor, the last, does the walks; vrrpd is never there, hagwd not
 * while one is under way. With one processor there is no choice.
 */
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "daemon.h"
#include "log.h"

#define FLOWS_NICE     (-10)
#define FLOWS_SLICE_NS 100000 /* the least a kernel takes */

/* sched_setattr(2); <linux/sched/types.h> and <sched.h> exclude each other */
struct flows_attr {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns;
	uint64_t deadline_ns;
	uint64_t period_ns;
};

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

/*
 * A kernel may share its processors among sessions first
 * (sched_autogroup_enabled): then a nice value counts only among hagw's own
 * processes, and the session needs one as well. In the foreground of a shell
 * the session is not ours.
 */
void
cpus_session(void)
{
	int fd;

	if (getsid(0) != getpid() ||
	    (fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC)) == -1)
		return;
	/* fails where there are no such groups, too */
	if (dprintf(fd, "%d", FLOWS_NICE) == -1)
		log_debug("hagwd: its session keeps the usual share of the "
			  "processors: %s",
		    strerror(errno));
	close(fd);
}

/*
 * Flows wait for syncd, so it is to run as soon as it wakes up. But it parses
 * a peer's bytes: no real-time class. The short slice lets it preempt others
 * (Linux 6.12; older kernels do without), and its naps are not stretched by
 * the usual 50 us. A failure costs punctuality.
 */
void
cpus_flows(void)
{
	struct flows_attr attr = {.size = sizeof(attr),
	    .policy = SCHED_OTHER,
	    .nice = FLOWS_NICE,
	    .runtime_ns = FLOWS_SLICE_NS};

	(void)syscall(SYS_sched_setattr, 0, &attr, 0);
	(void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
}
