#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proc.h"

/* Messages per loop turn, so that other events get their share. */
#define PROC_READ_BATCH 32

static struct {
	const struct sandbox_profile *profile;
	const struct proc_ops *ops;
	struct event_base *base;
	struct event *rev;
	struct event *wev;
	struct imsgbuf ibuf;
	enum imsg_phase phase;
	bool orphan; /* goes on without its parent */
	struct conf *next; /* between BEGIN and DONE */
	bool drained; /* between DRAINED and DONE */
	uint32_t want_sources;
	uint32_t want_forwards;
} proc;

static void
proc_quit(void)
{
	if (proc.ops != NULL && proc.ops->shutdown != NULL)
		proc.ops->shutdown();
	exit(0);
}

/*
 * Killed, most likely: whoever is told to stop gets a message. What is sent
 * from here on goes nowhere; it must not lead here again.
 */
static void
parent_gone(void)
{
	proc.orphan = true;
	if (proc.phase != PHASE_RUN || proc.ops == NULL ||
	    proc.ops->orphaned == NULL)
		proc_quit();
	if (!proc.ops->orphaned())
		exit(0);
	event_del(proc.rev);
	event_del(proc.wev); /* the buffer stays: a handler may read it */
}

static void
proc_log_sink(int pri, const char *line)
{
	struct imsg_log msg = {.pri = pri};

	if (proc.orphan)
		return;
	snprintf(msg.text, sizeof(msg.text), "%s", line);
	/* a failure cannot be logged, and the next send notices it */
	(void)imsg_send(&proc.ibuf, IMSG_PROC_LOG, 0, -1, &msg, sizeof(msg));
}

static struct event_base *
make_base(void)
{
	struct event_config *cfg = event_config_new();
	struct event_base *base;

	if (cfg == NULL ||
	    event_config_set_flag(cfg,
		EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_NOLOCK) != 0 ||
	    (base = event_base_new_with_config(cfg)) == NULL ||
	    event_base_priority_init(base, PROC_NPRIO) != 0)
		fatalx("event loop: cannot be made");
	event_config_free(cfg);
	return base;
}

void
proc_init(const struct sandbox_profile *profile, int argc, char *argv[])
{
	struct imsg_hello hello = {.proc = profile->id};
	struct imsg_ready ready;

	if (argc != 2) {
		fprintf(
		    stderr, "%s is started by hagwd\n", proc_name(profile->id));
		exit(2);
	}
	proc.profile = profile;
	proc.phase = PHASE_START;
	if (imsgbuf_init(&proc.ibuf, PROC_FD) == -1)
		fatal("%s: no socketpair to hagwd", proc_name(profile->id));
	log_setsink(proc_log_sink);

	sandbox_prepare(profile, PROC_FD);
	proc.base = make_base();
	memcpy(hello.build_id, hagw_build_id, sizeof(hello.build_id));
	proc_send(IMSG_PROC_HELLO, 0, &hello, sizeof(hello));
	ready.lacks = sandbox_enter(profile, argv[1]);
	proc_send(IMSG_PROC_READY, 0, &ready, sizeof(ready));
	proc.phase = PHASE_IDLE;
}

void
proc_watch(struct event *ev, const struct timeval *tv)
{
	if (event_add(ev, tv) == -1)
		fatalx("event loop: no memory");
}

struct event_base *
proc_base(void)
{
	return proc.base;
}

bool
proc_drained(void)
{
	return proc.drained;
}

unsigned int
proc_backlog(void)
{
	return proc.ibuf.queued;
}

void
proc_sendv(enum imsg_type type, uint32_t id, const struct iovec *iov, int n)
{
	if (proc.orphan)
		return;
	if (imsg_sendv(&proc.ibuf, type, id, -1, iov, n) == -1) {
		parent_gone();
		return;
	}
	if (proc.ibuf.queued > 0 && proc.wev != NULL)
		proc_watch(proc.wev, NULL);
}

void
proc_send(enum imsg_type type, uint32_t id, const void *data, size_t len)
{
	struct iovec iov = {(void *)(uintptr_t)data, len};

	proc_sendv(type, id, &iov, len > 0 ? 1 : 0);
}

void
proc_event(const char *fmt, ...)
{
	struct imsg_text msg = {0};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg.text, sizeof(msg.text), fmt, ap);
	va_end(ap);
	if (proc.phase == PHASE_RUN)
		proc_send(IMSG_PROC_EVENT, 0, &msg, sizeof(msg));
}

void
proc_ctl_end(uint32_t id, int code, const char *fmt, ...)
{
	struct ctl_end msg = {.code = code};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg.text, sizeof(msg.text), fmt, ap);
	va_end(ap);
	proc_send(IMSG_CTL_END, id, &msg, sizeof(msg));
}

/* The parent is this child's root of trust: its mistakes are bugs. */
static void
conf_begin(const struct imsg *im)
{
	conf_free(proc.next);
	if ((proc.next = conf_new()) == NULL)
		fatal("configuration");
	memcpy(&proc.next->h, im->data, sizeof(proc.next->h));
	proc.want_sources = proc.next->h.nsources;
	proc.want_forwards = proc.next->h.nforwards;
	proc.next->h.nsources = 0;
	proc.next->h.nforwards = 0;
}

static void
conf_sources(const struct imsg *im)
{
	struct conf_source item;

	for (uint32_t off = 0; off < im->hdr.len; off += sizeof(item)) {
		memcpy(&item, (const char *)im->data + off, sizeof(item));
		if (proc.next == NULL ||
		    conf_add_source(proc.next, &item) == -1)
			fatal("configuration: nat.source");
	}
}

static void
conf_forwards(const struct imsg *im)
{
	struct conf_forward item;

	for (uint32_t off = 0; off < im->hdr.len; off += sizeof(item)) {
		memcpy(&item, (const char *)im->data + off, sizeof(item));
		if (proc.next == NULL ||
		    conf_add_forward(proc.next, &item) == -1)
			fatal("configuration: nat.forward");
	}
}

static void
conf_drain(const struct imsg *im)
{
	struct imsg_drained msg = {.ok = 0};

	if (proc.next == NULL || proc.next->h.nsources != proc.want_sources ||
	    proc.next->h.nforwards != proc.want_forwards)
		snprintf(msg.why, sizeof(msg.why), "incomplete configuration");
	else if (proc.ops->reconf_check == NULL ||
	    proc.ops->reconf_check(proc.next, msg.why, sizeof(msg.why)) == 0)
		msg.ok = 1;
	proc.drained = true;
	proc_send(IMSG_RECONF_DRAINED, im->hdr.id, &msg, sizeof(msg));
}

static void
conf_done(const struct imsg *im)
{
	struct conf *next = proc.next;

	(void)im;
	if (next == NULL)
		fatalx("configuration: done before begin");
	proc.next = NULL;
	proc.drained = false;
	proc.phase = PHASE_RUN;
	proc.ops->reconf_commit(next);
}

static void
conf_abort(const struct imsg *im)
{
	(void)im;
	conf_free(proc.next);
	proc.next = NULL;
	proc.drained = false;
}

static void
set_verbose(const struct imsg *im)
{
	uint32_t v;

	if (imsg_get(im, &v, sizeof(v)) == 0)
		log_setverbose((int)v);
}

static void
answer_ping(const struct imsg *im)
{
	proc_send(IMSG_PROC_PONG, im->hdr.id, NULL, 0);
}

static void
told_to_stop(const struct imsg *im)
{
	(void)im;
	proc_quit();
}

static const struct proc_handler own_handlers[] = {
    {IMSG_PROC_SHUTDOWN, told_to_stop},
    {IMSG_PROC_VERBOSE, set_verbose},
    {IMSG_PROC_PING, answer_ping},
    {IMSG_RECONF_BEGIN, conf_begin},
    {IMSG_RECONF_SOURCE, conf_sources},
    {IMSG_RECONF_FORWARD, conf_forwards},
    {IMSG_RECONF_DRAIN, conf_drain},
    {IMSG_RECONF_DONE, conf_done},
    {IMSG_RECONF_ABORT, conf_abort},
};

static bool
dispatch_in(const struct proc_handler *h, size_t n, const struct imsg *im)
{
	for (size_t i = 0; i < n; i++) {
		if (h[i].type == im->hdr.type) {
			h[i].fn(im);
			return true;
		}
	}
	return false;
}

static void
dispatch(const struct imsg *im)
{
	enum imsg_check c = imsg_check_to(im, proc.profile->id, proc.phase);

	if (c != IMSG_FINE)
		fatalx("%s from hagwd: %s", imsg_name(im->hdr.type),
		    imsg_check_str(c));
	if (dispatch_in(own_handlers, nitems(own_handlers), im) ||
	    dispatch_in(proc.ops->handlers, proc.ops->nhandlers, im))
		return;
	fatalx("%s from hagwd: no handler", imsg_name(im->hdr.type));
}

bool
proc_take(void)
{
	struct imsg im;

	if (proc.orphan)
		return false;
	switch (imsg_read(&proc.ibuf, &im)) {
	case IMSG_OK:
		dispatch(&im);
		return true;
	case IMSG_AGAIN:
		break;
	case IMSG_ERR:
		if (errno != ECONNRESET)
			log_warn("socketpair to hagwd");
		/* FALLTHROUGH */
	case IMSG_EOF:
		parent_gone();
		break;
	}
	return false;
}

static void
parent_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	for (int i = 0; i < PROC_READ_BATCH; i++)
		if (!proc_take())
			break;
}

void
proc_listen(bool on)
{
	if (proc.orphan || on == (event_pending(proc.rev, EV_READ, NULL) != 0))
		return;
	if (on)
		proc_watch(proc.rev, NULL);
	else
		event_del(proc.rev);
}

static void
parent_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	switch (imsg_flush(&proc.ibuf)) {
	case 0:
		break;
	case 1:
		proc_watch(proc.wev, NULL);
		break;
	default:
		parent_gone();
	}
}

void
proc_run(const struct proc_ops *ops)
{
	proc.ops = ops;
	proc.rev = event_new(
	    proc.base, PROC_FD, EV_READ | EV_PERSIST, parent_readable, NULL);
	proc.wev =
	    event_new(proc.base, PROC_FD, EV_WRITE, parent_writable, NULL);
	if (proc.rev == NULL || proc.wev == NULL)
		fatalx("event loop: no memory");
	event_priority_set(proc.rev, PROC_PRIO_HIGH);
	event_priority_set(proc.wev, PROC_PRIO_HIGH);
	proc_watch(proc.rev, NULL);
	if (proc.ibuf.queued > 0)
		proc_watch(proc.wev, NULL);
	event_base_dispatch(proc.base);
	fatalx("event loop: ended by itself");
}
