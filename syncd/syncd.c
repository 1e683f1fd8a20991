/*
 * syncd: flows from the kernel of the node that forwards them into those of
 * its peers. This file is the edge: messages of hagwd, the kernel's sockets,
 * timers. The rest is pure.
 */
#include <event2/event.h>
#include <sodium.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "proc.h"
#include "syncd.h"

#define EVENT_TURN  4096 /* events per loop turn */
#define EVENT_DRAIN 1000000 /* events before a barrier, at most */
#define DEAF_US     8000 /* until peers are heard again, at most */
#define QUIET_US    5000 /* until hagwd is */
#define DUMP_TURN   16 /* reads of a dump per loop turn, 1-2 ms in all */

static const struct sandbox_call syncd_calls[] = {
    {"recvmmsg", SB_ANY, 0, 0, 0},
    {"recvfrom", SB_ARG, 4, 0, 0},
    {"clock_nanosleep", SB_ARG, 0, 0, CLOCK_MONOTONIC},
};

static const struct sandbox_profile syncd_sandbox = {
    .id = PROC_SYNC,
    .user = "_hagw_sync",
    .realtime = false,
    .maxfds = 32, /* loop, socketpair, peers, events, a dump */
    .calls = syncd_calls,
    .ncalls = nitems(syncd_calls),
};

static struct sync node;
static struct conf *conf;
static bool have_key; /* one runs */
static bool next_key_set; /* one came for the next configuration */
static uint8_t next_key[HAGW_SYNC_KEYLEN];
static bool path_down;

static struct event *timer;
static uint64_t timer_at; /* when it calls; 0: it does not */
static int events_fd = -1;
static struct event *events_ev;
static struct event *events_pause;
static uint64_t drained_us;
static struct pace pace;
static uint64_t deaf_until; /* no peer is listened to; 0: all are */
static uint64_t quiet_until; /* hagwd is not listened to; 0: it is */
static uint64_t heard_us; /* when records came last */
static int dump_fd = -1;
static struct event *dump_ev;
static bool dump_waits; /* dump_ev is added */

static void turn(void);

/* What the pure part asks for */

static void
op_send(void *arg, uint32_t peer, const uint8_t *dgram, size_t len)
{
	(void)arg;
	io_send(peer, dgram, len);
}

static void
op_inject(void *arg, uint32_t id, const struct ct_rec *recs, size_t n)
{
	(void)arg;
	proc_send(IMSG_CT_INJECT, id, recs, n * sizeof(*recs));
}

static void
op_dump(void *arg, uint32_t id)
{
	(void)arg;
	proc_send(IMSG_CT_DUMP, id, NULL, 0);
}

static void
op_dump_close(void *arg)
{
	(void)arg;
	if (dump_fd == -1)
		return;
	event_free(dump_ev);
	dump_ev = NULL;
	dump_waits = false;
	close(dump_fd);
	dump_fd = -1;
}

static void
op_status(void *arg, const struct imsg_ct_status *msg)
{
	(void)arg;
	if (proc_drained())
		return; /* by another number at hagwd's next tick */
	proc_send(IMSG_CT_STATUS, 0, msg, sizeof(*msg));
}

static void
op_barrier_done(void *arg, const struct imsg_ct_barrier *msg)
{
	(void)arg;
	proc_send(IMSG_CT_BARRIER_DONE, 0, msg, sizeof(*msg));
}

static void
op_asked(void *arg, const struct imsg_ct_handover *msg)
{
	(void)arg;
	if (proc_drained())
		return; /* who asked asks again */
	proc_send(IMSG_CT_HANDOVER_ASKED, 0, msg, sizeof(*msg));
}

static const char *
op_where(void *arg, uint32_t peer)
{
	static char buf[ADDR_STRLEN];

	(void)arg;
	return addr_str4(buf, conf->h.nets[conf->h.sync.paths[0]].addr[peer]);
}

static void
take_events(void *arg, struct ct_rec *recs, size_t n)
{
	(void)arg;
	sync_events(&node, recs, n, drained_us);
}

static unsigned int
drain_events(unsigned int limit)
{
	unsigned int n;
	bool overrun;

	if (events_fd == -1)
		return 0;
	drained_us = clock_us();
	n = event_read(events_fd, limit, &overrun, take_events, NULL);
	if (overrun) {
		log_warnx("conntrack events: the kernel had to drop some%s",
		    node.role == ROLE_MASTER ? ": a bulk follows" : "");
		sync_overrun(&node);
	}
	return n;
}

static void
op_drain(void *arg)
{
	(void)arg;
	drain_events(EVENT_DRAIN);
}

static const struct sync_ops node_ops = {
    .send = op_send,
    .inject = op_inject,
    .dump = op_dump,
    .dump_close = op_dump_close,
    .status = op_status,
    .barrier_done = op_barrier_done,
    .asked = op_asked,
    .drain = op_drain,
    .where = op_where,
};

/* Kernel sockets */

/*
 * A wake-up for each event would cost more than the event: while there are
 * many, the socket is looked at once in a pause; only when they are few, or
 * none was there, does the loop watch it again.
 */
static void
look_later(uint64_t us)
{
	struct timeval tv = clock_tv(us);

	event_del(events_ev);
	proc_watch(events_pause, &tv);
}

/*
 * A timer of the loop's and the socket out of its set and back would cost as
 * much as some events do. Nothing here is in such a hurry that it could not
 * wait for the rest of a burst, but a dump is longer for each.
 */
static void
nap(uint64_t us)
{
	struct timespec ts = {.tv_nsec = (long)us * 1000};

	if (us > 0)
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

/* What the loop does not call for while nobody listens. */
static void
take_datagrams(void)
{
	if (deaf_until == 0 || conf == NULL)
		return;
	sync_late(&node, true);
	io_take();
	sync_late(&node, false);
	sync_deliver(&node, clock_us());
}

static void
take_answers(void)
{
	while (quiet_until != 0 && proc_take())
		;
}

/*
 * An ACK would wake us up for itself, and a look for it at each turn costs
 * as much as an event or two: while many events come, what a peer says waits
 * for the first of their turns after half of DEAF_US, which is what it waits
 * at most, if nothing here waits for it.
 */
static void
listen_later(uint64_t now)
{
	if (deaf_until > now + DEAF_US / 2)
		return;
	take_datagrams();
	deaf_until = pace_dense(&pace, now) ? now + DEAF_US : 0;
}

static void
on_events(evutil_socket_t fd, short what, void *arg)
{
	uint64_t pause;
	unsigned int n;

	(void)fd;
	(void)arg;
	if (what & EV_READ && dump_fd == -1)
		nap(pace_gather(&pace, clock_us()));
	n = drain_events(EVENT_TURN);
	listen_later(drained_us);
	turn();
	pause = pace_pause(&pace, clock_us(), n, node.pending.merged);
	if (pause > 0)
		look_later(pause);
	else if ((what & EV_READ) == 0)
		proc_watch(events_ev, NULL);
}

static void
take_dump_record(void *arg, struct ct_rec *rec)
{
	sync_dump_record(&node, rec, *(const uint64_t *)arg);
}

/* false: no more for now. */
static bool
read_dump(uint64_t now)
{
	enum event_res res;

	sync_dump_read(&node, now);
	res = event_read_dump(dump_fd, take_dump_record, &now);
	if (dump_fd == -1)
		return false;
	switch (res) {
	case EVENT_RECORD:
		return true;
	case EVENT_OTHER:
		return false;
	case EVENT_END:
	case EVENT_ERROR:
		break;
	}
	op_dump_close(NULL);
	sync_dump_done(&node, res == EVENT_END, now);
	return false;
}

static void
on_dump(evutil_socket_t fd, short what, void *arg)
{
	uint64_t now = clock_us();

	(void)fd;
	(void)what;
	(void)arg;
	for (int i = 0; i < DUMP_TURN; i++)
		if (!sync_dump_wanted(&node, now) || !read_dump(now))
			break;
	turn();
}

static void
pace_dump(uint64_t now)
{
	bool want = dump_fd != -1 && sync_dump_wanted(&node, now);

	if (dump_fd == -1 || want == dump_waits)
		return;
	dump_waits = want;
	if (want)
		proc_watch(dump_ev, NULL);
	else
		event_del(dump_ev);
}

/*
 * One that is set anew is not called in this turn, even where it is due: a
 * flood of datagrams could put it off for ever.
 */
static void
set_timer(uint64_t at, uint64_t now)
{
	struct timeval tv = clock_tv(at > now ? at - now : 0);

	if (at == timer_at)
		return;
	timer_at = at;
	proc_watch(timer, &tv);
}

/* The end of everything that may have caused something. */
static void
turn(void)
{
	uint64_t now = clock_us(), at;

	if (conf == NULL)
		return;
	sync_flush(&node, now);
	pace_dump(now);
	if (sync_listens(&node) || now >= deaf_until)
		deaf_until = 0;
	if (!sync_patient(&node) || now >= quiet_until)
		quiet_until = 0;
	io_watch(deaf_until == 0);
	proc_listen(quiet_until == 0);
	at = sync_deadline(&node, now);
	if (deaf_until != 0 && deaf_until < at)
		at = deaf_until;
	if (quiet_until != 0 && quiet_until < at)
		at = quiet_until;
	set_timer(at, now);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	timer_at = 0;
	take_datagrams();
	if (conf != NULL)
		sync_timer(&node, clock_us());
	turn();
}

static void
on_datagram(uint32_t peer, const uint8_t *dgram, size_t len)
{
	sync_input(&node, peer, dgram, len, clock_us());
}

/*
 * That the kernel has what came would wake us up for itself: while datagrams
 * with records follow each other, what hagwd says waits for the turn that the
 * next of them causes, QUIET_US at most.
 */
static void
on_datagrams(void)
{
	uint64_t now = clock_us();
	uint32_t last = node.apply.last_id;

	if (conf != NULL)
		sync_deliver(&node, now);
	take_answers();
	if (node.apply.last_id != last) {
		quiet_until = now - heard_us < QUIET_US ? now + QUIET_US : 0;
		heard_us = now;
	}
	turn();
}

static struct event *
new_event(int fd, short what, event_callback_fn fn, int prio)
{
	struct event *ev = event_new(proc_base(), fd, what, fn, NULL);

	if (ev == NULL || event_priority_set(ev, prio) == -1)
		fatalx("event loop: no memory");
	return ev;
}

/* Messages of hagwd */

static void
on_key(const struct imsg *im)
{
	struct imsg_key msg;

	if (imsg_get(im, &msg, sizeof(msg)) == -1)
		return;
	memcpy(next_key, msg.key, sizeof(next_key));
	next_key_set = true;
	sodium_memzero(&msg, sizeof(msg));
}

static void
on_fd_sync(const struct imsg *im)
{
	struct imsg_sync_path msg;

	if (imsg_get(im, &msg, sizeof(msg)) == -1 ||
	    msg.node >= CONF_NODES_MAX) {
		close(im->fd);
		return;
	}
	io_set(msg.node, im->fd);
	turn();
}

static void
on_fd_events(const struct imsg *im)
{
	bool again = events_fd != -1;

	if (again) {
		event_free(events_ev);
		close(events_fd);
	}
	/* between two sockets, or before the first, events were lost */
	if (again || node.role == ROLE_MASTER)
		sync_overrun(&node);
	event_del(events_pause);
	events_fd = im->fd;
	events_ev = new_event(
	    events_fd, EV_READ | EV_PERSIST, on_events, PROC_PRIO_NORMAL);
	proc_watch(events_ev, NULL);
}

static void
on_fd_dump(const struct imsg *im)
{
	if (im->hdr.id != node.dump.id || node.dump.kind == DUMP_NONE ||
	    dump_fd != -1) {
		close(im->fd);
		return;
	}
	dump_fd = im->fd;
	dump_ev =
	    new_event(dump_fd, EV_READ | EV_PERSIST, on_dump, PROC_PRIO_LOW);
	sync_dump_opened(&node);
	turn();
}

static void
on_link(const struct imsg *im)
{
	struct imsg_link msg;

	if (imsg_get(im, &msg, sizeof(msg)) == -1 || conf == NULL ||
	    conf->h.sync.npaths == 0 || msg.net != conf->h.sync.paths[0])
		return;
	path_down = msg.up == 0;
}

static void
on_role(const struct imsg *im)
{
	struct imsg_vrrp_role msg;

	if (imsg_get(im, &msg, sizeof(msg)) == -1 || msg.role >= ROLE_MAX)
		return;
	sync_role(&node, (enum role)msg.role, clock_us());
	turn();
}

static void
on_applied(const struct imsg *im)
{
	static struct imsg_ct_fail fails[APPLY_BATCH];
	struct imsg_ct_applied msg;
	size_t n = (im->hdr.len - sizeof(msg)) / sizeof(fails[0]);

	memcpy(&msg, im->data, sizeof(msg));
	if (n > APPLY_BATCH || n != msg.nfail)
		fatalx("hagwd: impossible count of failures");
	memcpy(fails, (const uint8_t *)im->data + sizeof(msg),
	    n * sizeof(fails[0]));
	sync_applied(&node, im->hdr.id, fails, msg.nfail, clock_us());
	turn();
}

static void
on_barrier(const struct imsg *im)
{
	(void)im;
	sync_barrier(&node, clock_us());
	turn();
}

static void
on_handover(const struct imsg *im)
{
	struct imsg_ct_handover msg;

	if (imsg_get(im, &msg, sizeof(msg)) == -1)
		return;
	sync_handover(&node, msg.operator!= 0, clock_us());
	turn();
}

static void
on_timeouts(const struct imsg *im)
{
	(void)imsg_get(im, &node.timeouts, sizeof(node.timeouts));
}

static void
on_unfit(const struct imsg *im)
{
	struct imsg_ct_unfit msg;

	if (imsg_get(im, &msg, sizeof(msg)) == 0)
		sync_unfit(&node, msg.unfit != 0);
}

static void
on_count(const struct imsg *im)
{
	struct imsg_ct_count msg;

	if (imsg_get(im, &msg, sizeof(msg)) == -1)
		return;
	sync_count(&node, &msg);
	turn();
}

static void
on_show(const struct imsg *im)
{
	struct ctl_request req;

	if (imsg_get(im, &req, sizeof(req)) == -1)
		return;
	if (req.what != CTL_SHOW_SYNC) {
		proc_ctl_end(im->hdr.id, 2, "syncd does not know that");
		return;
	}
	take_datagrams();
	turn(); /* the figures are of now */
	show_sync(&node, im->hdr.id, !path_down);
}

static const struct proc_handler handlers[] = {
    {IMSG_RECONF_KEY, on_key},
    {IMSG_FD_SYNC, on_fd_sync},
    {IMSG_FD_CT_EVENTS, on_fd_events},
    {IMSG_FD_CT_DUMP, on_fd_dump},
    {IMSG_LINK_STATE, on_link},
    {IMSG_VRRP_ROLE, on_role},
    {IMSG_CT_APPLIED, on_applied},
    {IMSG_CT_BARRIER, on_barrier},
    {IMSG_CT_HANDOVER, on_handover},
    {IMSG_CT_TIMEOUTS, on_timeouts},
    {IMSG_CT_COUNT, on_count},
    {IMSG_CT_UNFIT, on_unfit},
    {IMSG_CTL_SHOW, on_show},
};

/* Configuration */

static int
check(const struct conf *next, char *why, size_t whysz)
{
	if (next->h.sync.npaths > 0 && !have_key && !next_key_set) {
		snprintf(why, whysz, "sync: no key came");
		return -1;
	}
	return 0;
}

/* A socket belongs to the node it was opened for. */
static void
close_strangers(const struct conf *next)
{
	for (uint32_t i = 0; conf != NULL && i < CONF_NODES_MAX; i++)
		if (next->h.sync.npaths == 0 || i >= next->h.nnodes ||
		    strcmp(conf->h.nodes[i].name, next->h.nodes[i].name) != 0)
			io_close(i);
}

static void
commit(struct conf *next)
{
	struct conf *old = conf;

	close_strangers(next);
	sync_configure(&node, next, next_key_set ? next_key : NULL, clock_us());
	have_key = have_key || next_key_set;
	next_key_set = false;
	sodium_memzero(next_key, sizeof(next_key));
	conf = next;
	conf_free(old);
	turn();
}

static void
leave(void)
{
	if (conf == NULL)
		return;
	drain_events(EVENT_DRAIN);
	sync_flush(&node, clock_us());
	sodium_memzero(node.key, sizeof(node.key));
}

static const struct proc_ops ops = {
    .handlers = handlers,
    .nhandlers = nitems(handlers),
    .reconf_check = check,
    .reconf_commit = commit,
    .shutdown = leave,
};

int
main(int argc, char *argv[])
{
	if (sodium_init() == -1)
		fatalx("libsodium cannot be used");
	proc_init(&syncd_sandbox, argc, argv);
	sync_init(&node, &node_ops, NULL, clock_us());
	io_init(on_datagram, on_datagrams);
	timer = new_event(-1, 0, on_timer, PROC_PRIO_NORMAL);
	events_pause = new_event(-1, 0, on_events, PROC_PRIO_NORMAL);
	proc_run(&ops);
}
