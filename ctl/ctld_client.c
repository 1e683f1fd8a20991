/* Connections of the control socket, each with limits that are its own. */
#include <sys/socket.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "ctld.h"
#include "log.h"
#include "proc.h"

#define TICK_US 1000000
#define STALLED "does not read its answers"

TAILQ_HEAD(client_list, client);

struct ctld_stats ctld_stats;

static struct event_base *base;
static struct event tick;
static struct event listener;
static int listen_fd = -1;
static struct client_list clients = TAILQ_HEAD_INITIALIZER(clients);
static unsigned int nclients;
static unsigned int nqueued; /* messages of all clients */
static struct log_limit limit;

static void on_readable(int, short, void *);
static void on_writable(int, short, void *);

unsigned int
clients_count(void)
{
	return nclients;
}

/* The clock runs only while there is something to time out. */
static void
tick_start(void)
{
	struct timeval tv = clock_tv(TICK_US);

	if (!evtimer_pending(&tick, NULL))
		proc_watch(&tick, &tv);
}

static void
on_tick(int fd, short what, void *arg)
{
	uint64_t now = clock_us();

	(void)fd;
	(void)what;
	(void)arg;
	relay_expire(now);
	clients_expire(now);
	if (listen_fd != -1)
		proc_watch(&listener, NULL);
	if (nclients > 0)
		tick_start();
}

void
clients_init(struct event_base *b, const struct relay_ops *ops)
{
	base = b;
	evtimer_assign(&tick, base, on_tick, NULL);
	relay_init(ops);
}

static void
client_drop(struct client *c)
{
	relay_drop(c);
	TAILQ_REMOVE(&clients, c, entry);
	nclients--;
	nqueued -= c->ibuf.queued;
	event_del(&c->ev_read);
	event_del(&c->ev_write);
	imsgbuf_clear(&c->ibuf);
	free(c);
}

/* What a client did wrong, at a limited rate; so_far counts all of them. */
void
client_log(const struct client *c, const char *what, uint64_t so_far)
{
	unsigned int n = log_allowed(&limit, clock_us());

	if (n == 0)
		return;
	log_info("control client uid %u pid %d: %s (%" PRIu64
		 " so far, %u lines not shown)",
	    (unsigned int)c->uid, (int)c->pid, what, so_far, n - 1);
}

/* Give up on a client for what it did; the caller settles it. */
static void
client_break(struct client *c, const char *why, uint64_t *counter)
{
	c->broken = true;
	(*counter)++;
	client_log(c, why, *counter);
}

void
client_settle(struct client *c)
{
	if (c->broken)
		client_drop(c);
}

void
clients_expire(uint64_t now_us)
{
	struct client *c, *next;

	for (c = TAILQ_FIRST(&clients); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->ibuf.queued > 0) {
			if (now_us - c->moved_us >= CLIENT_STALL_US) {
				client_break(c, STALLED, &ctld_stats.stalled);
			}
		} else if (c->nrequests == 0 &&
		    now_us - c->active_us >= CLIENT_IDLE_US) {
			ctld_stats.idle++;
			c->broken = true;
		}
		client_settle(c);
	}
}

/* Somebody waits without asking: the longest such gives up its place. */
static bool
make_room(void)
{
	struct client *c;

	TAILQ_FOREACH (c, &clients, entry) {
		if (c->nrequests > 0 || c->uid == 0)
			continue;
		ctld_stats.idle++;
		client_drop(c);
		return true;
	}
	return false;
}

static bool
have_room(uid_t uid)
{
	unsigned int max;

	/* a crowd of onlookers does not keep root from acting */
	max = uid == 0 ? CLIENTS_MAX : CLIENTS_MAX - CLIENTS_ROOT;
	return nclients < max || make_room();
}

static void
refuse_busy(int fd)
{
	struct ctl_end end = {.code = 1};
	struct imsgbuf ibuf;

	ctld_stats.busy++;
	if (log_allowed(&limit, clock_us()) > 0)
		log_info(
		    "control socket: %u clients, more are refused (%" PRIu64
		    " so far)",
		    nclients, ctld_stats.busy);
	if (imsgbuf_init(&ibuf, fd) == -1) {
		close(fd);
		return;
	}
	snprintf(end.text, sizeof(end.text),
	    "too many control clients at a time (at most %d)", CLIENTS_MAX);
	imsg_send(&ibuf, IMSG_CTL_END, 0, -1, &end, sizeof(end));
	imsgbuf_clear(&ibuf);
}

static struct client *
client_add(int fd, uid_t uid, pid_t pid)
{
	struct client *c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		return NULL;
	if (imsgbuf_init(&c->ibuf, fd) == -1) {
		free(c);
		return NULL;
	}
	c->uid = uid;
	c->pid = pid;
	c->active_us = c->moved_us = clock_us();
	event_assign(
	    &c->ev_read, base, fd, EV_READ | EV_PERSIST, on_readable, c);
	event_assign(&c->ev_write, base, fd, EV_WRITE, on_writable, c);
	if (event_add(&c->ev_read, NULL) == -1) {
		free(c->ibuf.rbuf);
		free(c);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&clients, c, entry);
	nclients++;
	return c;
}

struct client *
client_new(int fd, uid_t uid, pid_t pid)
{
	struct ctl_hello hello = {.version = HAGW_VERSION};
	struct client *c;

	if (!have_room(uid)) {
		refuse_busy(fd);
		return NULL;
	}
	if ((c = client_add(fd, uid, pid)) == NULL) {
		log_warn("control client uid %u pid %d", (unsigned int)uid,
		    (int)pid);
		close(fd);
		return NULL;
	}
	ctld_stats.accepted++;
	tick_start();
	memcpy(hello.build_id, hagw_build_id, sizeof(hello.build_id));
	client_send(c, IMSG_CTL_HELLO, 0, &hello, sizeof(hello));
	return c;
}

void
client_send(
    struct client *c, uint32_t type, uint32_t id, const void *data, size_t len)
{
	unsigned int before = c->ibuf.queued;

	if (c->broken)
		return;
	if (before >= CLIENT_QUEUE_MAX || nqueued >= CLIENT_QUEUE_TOTAL) {
		client_break(c, STALLED, &ctld_stats.stalled);
		return;
	}
	if (imsg_send(&c->ibuf, type, id, -1, data, len) == -1) {
		c->broken = true;
		return;
	}
	nqueued += c->ibuf.queued - before;
	if (c->ibuf.queued > 0) {
		if (before == 0)
			c->moved_us = clock_us();
		proc_watch(&c->ev_write, NULL);
	}
}

void
client_end(struct client *c, uint32_t id, int code, const char *fmt, ...)
{
	struct ctl_end end = {.code = code};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(end.text, sizeof(end.text), fmt, ap);
	va_end(ap);
	client_send(c, IMSG_CTL_END, id, &end, sizeof(end));
}

static void
on_writable(int fd, short what, void *arg)
{
	struct client *c = arg;
	unsigned int before = c->ibuf.queued;

	(void)fd;
	(void)what;
	if (imsg_flush(&c->ibuf) == -1) {
		c->broken = true;
		nqueued -= before - c->ibuf.queued;
		client_settle(c);
		return;
	}
	if (c->ibuf.queued < before)
		c->moved_us = clock_us();
	nqueued -= before - c->ibuf.queued;
	if (c->ibuf.queued > 0)
		proc_watch(&c->ev_write, NULL);
}

/* One message: what is not exactly a request ends the connection. */
static void
client_message(struct client *c, const struct imsg *imsg)
{
	struct ctl_request req;
	enum imsg_check check;

	if ((check = imsg_check_user(imsg, 1)) != IMSG_FINE ||
	    imsg_get(imsg, &req, sizeof(req)) == -1) {
		client_break(c, imsg_check_str(check), &ctld_stats.violations);
		if (imsg->fd != -1)
			close(imsg->fd);
		return;
	}
	c->active_us = clock_us();
	relay_request(c, imsg->hdr.id, &req, c->active_us);
}

static void
on_readable(int fd, short what, void *arg)
{
	struct client *c = arg;
	struct imsg imsg;
	unsigned int n;

	(void)fd;
	(void)what;
	for (n = 0; n < CLIENT_TURN_MAX && !c->broken; n++) {
		switch (imsg_read(&c->ibuf, &imsg)) {
		case IMSG_OK:
			client_message(c, &imsg);
			continue;
		case IMSG_AGAIN:
			break;
		case IMSG_ERR:
			if (errno == EBADMSG) {
				client_break(c, "malformed message",
				    &ctld_stats.violations);
				break;
			}
			/* FALLTHROUGH */
		case IMSG_EOF:
			c->broken = true;
			break;
		}
		break;
	}
	client_settle(c);
}

static void
accept_one(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct client *c;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1 ||
	    len != sizeof(cred)) {
		log_warn("control client: SO_PEERCRED");
		close(fd);
		return;
	}
	if ((c = client_new(fd, cred.uid, cred.pid)) != NULL)
		client_settle(c);
}

static void
on_accept(int lfd, short what, void *arg)
{
	unsigned int n;
	int fd;

	(void)what;
	(void)arg;
	for (n = 0; n < CLIENT_ACCEPT_MAX; n++) {
		fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd != -1) {
			accept_one(fd);
			continue;
		}
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		/* out of descriptors or memory: try again at the next tick */
		if (log_allowed(&limit, clock_us()) > 0)
			log_warn("control socket: accept");
		event_del(&listener);
		tick_start();
		return;
	}
}

void
clients_listen(int fd)
{
	if (listen_fd != -1) {
		event_del(&listener);
		close(listen_fd);
	}
	listen_fd = fd;
	event_assign(
	    &listener, base, fd, EV_READ | EV_PERSIST, on_accept, NULL);
	proc_watch(&listener, NULL);
}

void
clients_close(void)
{
	struct client *c;

	while ((c = TAILQ_FIRST(&clients)) != NULL)
		client_drop(c);
	evtimer_del(&tick);
	log_debug("control socket: %" PRIu64 " clients, %" PRIu64
		  " refused as too many, %" PRIu64 " idle, %" PRIu64
		  " requests too late, %" PRIu64 " rows for nobody",
	    ctld_stats.accepted, ctld_stats.busy, ctld_stats.idle,
	    ctld_stats.late, ctld_stats.strays);
	if (listen_fd == -1)
		return;
	event_del(&listener);
	close(listen_fd);
	listen_fd = -1;
}
