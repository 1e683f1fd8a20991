/*
 * Children: start, feed, reap, restart with a growing delay. A child's death
 * never ends the parent.
 */
#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "daemon.h"
#include "log.h"
#include "proc.h"

/* Messages per child and loop turn, and the time they may take: vrrpd waits. */
#define CHILD_READ_BATCH     32
#define CHILD_TURN_US        2000
#define CHILD_SNDBUF         (1 << 20)
/* So far behind it gets no descriptor: they would pile up with us. */
#define CHILD_FD_BEHIND      256
#define CHILD_FORGIVE_US     1000000
#define CHILD_BACKOFF_MIN_US 100000
#define CHILD_BACKOFF_MAX_US 10000000
/* Silent to pings for this long: hung. vrrpd has its lease besides. */
#define CHILD_HUNG_US        10000000
/* Asked at the tick after that: each answer wakes hagwd up. */
#define CHILD_PING_US        1500000
/* So late a tick: it was hagwd that stood still, not they. */
#define CHILD_TICK_LATE_US   2000000
#define CHILD_STOP_WAIT_MS   1000
#define CHILD_START_PRIO     5 /* hagwd's own */

static void child_start(struct child *);

enum imsg_phase
child_phase(const struct child *c)
{
	switch (c->state) {
	case CHILD_RUNNING:
		return PHASE_RUN;
	case CHILD_CONFIGURING:
		return PHASE_IDLE;
	default:
		return PHASE_START;
	}
}

bool
child_running(enum proc_id id)
{
	return hagwd.children[id].state == CHILD_RUNNING;
}

/* libexec stands beside the directory of hagwd: the tree can be moved. */
static void
child_path(char *path, size_t sz, enum proc_id id)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n == -1)
		fatal("/proc/self/exe");
	self[n] = '\0';
	snprintf(
	    path, sz, "%s/../libexec/hagw/%s", dirname(self), proc_name(id));
}

void
child_check_programs(void)
{
	char path[PATH_MAX];

	for (int id = PROC_PARENT + 1; id < PROC_MAX; id++) {
		child_path(path, sizeof(path), (enum proc_id)id);
		if (access(path, X_OK) == -1)
			fatal("%s (the installation is incomplete)", path);
	}
}

/*
 * vrrpd has a few milliseconds to come back in: it must not wait for the
 * processor while it is loaded. It says itself whether it has the class.
 */
static void
child_hurry(void)
{
	struct sched_param sp = {.sched_priority = CHILD_START_PRIO};

	(void)sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &sp);
	cpus_prompt();
}

/* Between fork and exec: only what is safe there. */
static void
child_exec(const char *path, enum proc_id id, int fd)
{
	const char *name = proc_name(id);
	char dir[PATH_MAX];
	char *argv[] = {(char *)(uintptr_t)name, dir, NULL};
	char *envp[] = {NULL};
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	snprintf(dir, sizeof(dir), "%s/empty", hagwd.opt.rundir);
	if (null == -1 || dup2(null, 0) == -1 || dup2(null, 1) == -1)
		_exit(126);
	if (!hagwd.opt.foreground && dup2(null, 2) == -1)
		_exit(126);
	if (fd == PROC_FD) {
		if (fcntl(fd, F_SETFD, 0) == -1)
			_exit(126);
	} else if (dup2(fd, PROC_FD) == -1) {
		_exit(126);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	cpus_all(); /* hagwd may have been confined for a walk */
	if (id == PROC_VRRP)
		child_hurry();
	if (id == PROC_SYNC)
		cpus_flows();
	execve(path, argv, envp);
	_exit(127);
}

static void
child_writable(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	(void)fd;
	(void)what;
	/* an error shows on the reading side too, and is handled there */
	if (imsg_flush(&c->ibuf) == 1)
		event_add(c->wev, NULL);
}

static void
child_close(struct child *c)
{
	if (c->rev != NULL)
		event_free(c->rev);
	if (c->wev != NULL)
		event_free(c->wev);
	c->rev = c->wev = NULL;
	imsgbuf_clear(&c->ibuf);
}

/* ctld as the others: a lower class would starve behind a flood. */
static const int child_prio[PROC_MAX] = {
    [PROC_VRRP] = PROC_PRIO_HIGH,
    [PROC_SYNC] = PROC_PRIO_NORMAL,
    [PROC_NAT] = PROC_PRIO_NORMAL,
    [PROC_CTL] = PROC_PRIO_NORMAL,
};

/* Read for one turn; true: the turn ended before its messages did. */
static bool
child_drain(struct child *c)
{
	uint64_t end = clock_us() + CHILD_TURN_US;
	struct imsg im;

	for (int i = 0; i < CHILD_READ_BATCH && c->rev != NULL && !c->killed;
	     i++) {
		if (i > 0 && clock_us() >= end)
			return true;
		switch (imsg_read(&c->ibuf, &im)) {
		case IMSG_OK:
			c->messages++;
			dispatch(c, &im);
			if (c->id == PROC_SYNC)
				return false; /* mostly the only one */
			break;
		case IMSG_AGAIN:
			return false;
		case IMSG_ERR:
			if (errno == EBADMSG) {
				child_violation(c, "malformed message");
				return false;
			}
			/* FALLTHROUGH */
		case IMSG_EOF:
			event_del(c->rev); /* the reaper does the rest */
			return false;
		}
	}
	return true;
}

/* vrrpd comes first, but not one turn after the other: others would starve. */
static void
child_readable(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;
	bool more = child_drain(c);

	(void)fd;
	(void)what;
	if (c->rev != NULL)
		event_priority_set(
		    c->rev, more ? PROC_PRIO_NORMAL : child_prio[c->id]);
}

static int
child_watch(struct child *c, int fd)
{
	int size = CHILD_SNDBUF;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	if (imsgbuf_init(&c->ibuf, fd) == -1)
		return -1;
	c->rev =
	    event_new(hagwd.base, fd, EV_READ | EV_PERSIST, child_readable, c);
	c->wev = event_new(hagwd.base, fd, EV_WRITE, child_writable, c);
	if (c->rev == NULL || c->wev == NULL)
		return -1;
	event_priority_set(c->rev, child_prio[c->id]);
	event_priority_set(c->wev, child_prio[c->id]);
	return event_add(c->rev, NULL);
}

static void
child_delay(struct child *c)
{
	uint64_t us = CHILD_BACKOFF_MIN_US;
	struct timeval tv;

	for (unsigned int i = CHILD_FREE_DEATHS + 1; i < c->failures; i++)
		if ((us *= 2) > CHILD_BACKOFF_MAX_US)
			us = CHILD_BACKOFF_MAX_US;
	c->state = CHILD_WAITING;
	c->delay_ms = (unsigned int)(us / 1000);
	tv = clock_tv(us);
	event_add(c->restart, &tv);
	log_info("%s: starts again in %u ms", proc_name(c->id), c->delay_ms);
}

static void
child_start(struct child *c)
{
	char path[PATH_MAX];
	int sv[2];
	int size = CHILD_SNDBUF;

	child_path(path, sizeof(path), c->id);
	c->killed = false;
	c->lacks = 0;
	c->budget = (struct budget){0};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == -1) {
		log_warn("%s: socketpair", proc_name(c->id));
		c->failures++;
		child_delay(c);
		return;
	}
	setsockopt(sv[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	c->pid = fork();
	if (c->pid == 0)
		child_exec(path, c->id, sv[1]);
	close(sv[1]);
	if (c->pid == -1 || child_watch(c, sv[0]) == -1) {
		log_warn("%s: cannot be started", proc_name(c->id));
		if (c->pid == -1) {
			close(sv[0]);
			c->failures++;
			child_delay(c);
		} else {
			kill(c->pid, SIGKILL);
		}
		return;
	}
	c->state = CHILD_STARTING;
	c->started_us = c->pong_us = clock_us();
}

static void
child_restart(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	child_start(arg);
}

void
child_start_all(void)
{
	for (int id = PROC_PARENT + 1; id < PROC_MAX; id++) {
		struct child *c = &hagwd.children[id];

		c->id = (enum proc_id)id;
		c->ibuf.fd = -1;
		c->restart = event_new(hagwd.base, -1, 0, child_restart, c);
		if (c->restart == NULL)
			fatalx("event loop: no memory");
		child_start(c);
	}
}

static void
child_note_death(struct child *c, int status)
{
	if (WIFSIGNALED(status))
		snprintf(c->note, sizeof(c->note),
		    "last ended by signal %d (%s)", WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == 127)
		snprintf(c->note, sizeof(c->note), "program not found");
	else
		snprintf(c->note, sizeof(c->note),
		    "last ended with exit code %d", WEXITSTATUS(status));
}

/* Its last words say why. What else it asked for is void. */
static void
child_last_words(struct child *c)
{
	struct imsg im;

	while (c->rev != NULL && imsg_read(&c->ibuf, &im) == IMSG_OK) {
		if (im.hdr.type == IMSG_PROC_LOG)
			dispatch(c, &im);
		else if (im.fd != -1)
			close(im.fd);
	}
}

static unsigned int
count_failure(struct child *c)
{
	uint64_t forgiven = (clock_us() - c->started_us) / CHILD_FORGIVE_US;

	c->failures -=
	    forgiven < c->failures ? (unsigned int)forgiven : c->failures;
	return ++c->failures;
}

static void
child_died(struct child *c, int status)
{
	if (!c->killed)
		child_last_words(c);
	child_close(c);
	c->pid = 0;
	child_note_death(c, status);
	if (hagwd.stopping) {
		c->state = CHILD_STOPPED;
		return;
	}
	history_add("proc", "%s died: %s", proc_name(c->id), c->note);
	c->state = CHILD_WAITING;
	control_child_died(c->id);
	reconf_child_died(c);
	handover_child_died(c->id);
	c->restarts++;
	if (count_failure(c) <= CHILD_FREE_DEATHS)
		child_start(c);
	else
		child_delay(c);
}

void
child_reaped(pid_t pid, int status)
{
	for (int id = PROC_PARENT + 1; id < PROC_MAX; id++) {
		if (hagwd.children[id].pid == pid) {
			child_died(&hagwd.children[id], status);
			return;
		}
	}
	aside_reaped(pid, status);
}

void
child_violation(struct child *c, const char *why)
{
	if (c->killed)
		return;
	c->killed = true;
	history_add(
	    "proc", "%s broke a rule and is killed: %s", proc_name(c->id), why);
	event_del(c->rev);
	kill(c->pid, SIGKILL);
}

void
child_tick(void)
{
	static uint64_t last_us; /* 0: this is the first one */
	uint64_t now = clock_us();
	uint64_t from = last_us != 0 ? last_us : hagwd.started_us;
	bool late = now - from > CHILD_TICK_LATE_US;

	last_us = now;
	for (int id = PROC_PARENT + 1; id < PROC_MAX; id++) {
		struct child *c = &hagwd.children[id];

		if (c->state != CHILD_STARTING &&
		    c->state != CHILD_CONFIGURING && c->state != CHILD_RUNNING)
			continue;
		if (late)
			c->pong_us = now;
		if (now - c->pong_us > CHILD_HUNG_US) {
			child_violation(c, "does not answer, hung");
			continue;
		}
		if (c->state == CHILD_RUNNING &&
		    now - c->pong_us > CHILD_PING_US)
			child_send(c->id, IMSG_PROC_PING, 0, NULL, 0);
	}
}

void
child_send_fd(enum proc_id id, enum imsg_type type, uint32_t msgid, int fd,
    const void *data, size_t len)
{
	struct child *c = &hagwd.children[id];

	/* what comes too early it gets again once it is configured */
	if (c->rev == NULL || c->killed ||
	    (imsg_rule(type)->phases & child_phase(c)) == 0) {
		if (fd != -1)
			close(fd);
		return;
	}
	if (fd != -1 && c->ibuf.queued > CHILD_FD_BEHIND) {
		close(fd);
		child_violation(c, "does not read its messages");
		return;
	}
	if (imsg_send(&c->ibuf, type, msgid, fd, data, len) == -1) {
		if (errno == ENOBUFS)
			child_violation(c, "does not read its messages");
		else if (errno != EPIPE && errno != ECONNRESET)
			log_warn(
			    "%s: sending %s", proc_name(id), imsg_name(type));
		return;
	}
	if (c->ibuf.queued > 0)
		event_add(c->wev, NULL);
}

void
child_send(enum proc_id id, enum imsg_type type, uint32_t msgid,
    const void *data, size_t len)
{
	child_send_fd(id, type, msgid, -1, data, len);
}

static bool
children_left(void)
{
	for (int id = PROC_PARENT + 1; id < PROC_MAX; id++)
		if (hagwd.children[id].pid > 0)
			return true;
	return false;
}

void
child_stop_all(void)
{
	int status;
	pid_t pid;

	for (int id = PROC_PARENT + 1; id < PROC_MAX; id++) {
		event_del(hagwd.children[id].restart);
		child_send((enum proc_id)id, IMSG_PROC_SHUTDOWN, 0, NULL, 0);
	}
	for (int ms = 0; children_left(); ms += 5) {
		if (ms == CHILD_STOP_WAIT_MS) {
			for (int id = PROC_PARENT + 1; id < PROC_MAX; id++)
				if (hagwd.children[id].pid > 0)
					kill(hagwd.children[id].pid, SIGKILL);
		}
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			child_reaped(pid, status);
		usleep(5000);
	}
}
