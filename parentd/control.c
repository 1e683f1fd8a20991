/*
 * Requests of hactl, by way of ctld. What the parent knows it answers
 * itself; the rest is passed to the child that knows, and its rows back.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "daemon.h"
#include "log.h"

#define PENDING_MAX        256
#define PENDING_TIMEOUT_US 2000000

struct pending {
	uint32_t id; /* 0: free */
	enum proc_id target;
	bool monitor;
	uint64_t deadline_us; /* 0: none, it ends by itself */
};

static struct pending pendings[PENDING_MAX];

static struct pending *
pending_find(uint32_t id)
{
	for (size_t i = 0; i < PENDING_MAX; i++)
		if (id != 0 && pendings[i].id == id)
			return &pendings[i];
	return NULL;
}

static struct pending *
pending_new(uint32_t id, enum proc_id target)
{
	for (size_t i = 0; i < PENDING_MAX; i++) {
		if (pendings[i].id == 0) {
			pendings[i] =
			    (struct pending){.id = id, .target = target};
			return &pendings[i];
		}
	}
	return NULL;
}

static void
send_end(uint32_t id, int code, const char *text)
{
	struct ctl_end end = {.code = code};

	snprintf(end.text, sizeof(end.text), "%s", text);
	child_send(PROC_CTL, IMSG_CTL_END, id, &end, sizeof(end));
}

void
control_end(uint32_t id, int code, const char *fmt, ...)
{
	struct pending *p = pending_find(id);
	char text[CTL_TEXT_MAX];
	va_list ap;

	if (p == NULL)
		return; /* the client went away, or there is none */
	p->id = 0;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	send_end(id, code, text);
}

void
control_progress(uint32_t id, const char *node, const char *fmt, ...)
{
	struct ctl_progress msg = {.real_ns = clock_real_ns()};
	va_list ap;

	if (pending_find(id) == NULL)
		return;
	snprintf(msg.node, sizeof(msg.node), "%s", node);
	va_start(ap, fmt);
	vsnprintf(msg.text, sizeof(msg.text), fmt, ap);
	va_end(ap);
	child_send(PROC_CTL, IMSG_CTL_PROGRESS, id, &msg, sizeof(msg));
}

void
control_text(uint32_t id, const char *text, size_t len)
{
	struct ctl_text msg;

	while (len > 0 && pending_find(id) != NULL) {
		msg = (struct ctl_text){0};
		msg.len =
		    (uint32_t)(len < sizeof(msg.text) ? len : sizeof(msg.text));
		memcpy(msg.text, text, msg.len);
		child_send(PROC_CTL, IMSG_CTL_TEXT, id, &msg, sizeof(msg));
		text += msg.len;
		len -= msg.len;
	}
}

void
control_monitors(const struct ctl_event *e)
{
	for (size_t i = 0; i < PENDING_MAX; i++)
		if (pendings[i].id != 0 && pendings[i].monitor)
			child_send(PROC_CTL, IMSG_CTL_EVENT, pendings[i].id, e,
			    sizeof(*e));
}

static void
ask_child(struct pending *p, const struct ctl_request *req)
{
	if (!child_running(p->target)) {
		control_end(p->id, 1,
		    "%s is not running; hactl show process says why",
		    proc_name(p->target));
		return;
	}
	p->deadline_us = clock_us() + PENDING_TIMEOUT_US;
	child_send(p->target, IMSG_CTL_SHOW, p->id, req, sizeof(*req));
}

static void
do_node(struct pending *p, const struct ctl_request *req)
{
	(void)req;
	show_node(p->id);
}

static void
do_process(struct pending *p, const struct ctl_request *req)
{
	(void)req;
	show_process(p->id);
}

static void
do_events(struct pending *p, const struct ctl_request *req)
{
	history_show(p->id, req->number);
}

static void
do_monitor(struct pending *p, const struct ctl_request *req)
{
	(void)req;
	p->monitor = true;
}

static void
do_config(struct pending *p, const struct ctl_request *req)
{
	uint32_t id = p->id;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	(void)req;
	if (f == NULL) {
		control_end(id, 1, "%s", "no memory");
		return;
	}
	conf_print(f, hagwd.conf);
	if (fclose(f) == EOF || text == NULL) {
		free(text);
		control_end(id, 1, "%s", "no memory");
		return;
	}
	control_text(id, text, len);
	free(text);
	control_end(id, 0, "%s", "");
}

static void
do_failover(struct pending *p, const struct ctl_request *req)
{
	handover_failover(p->id, (req->flags & CTL_F_FORCE) != 0);
}

static void
do_failback(struct pending *p, const struct ctl_request *req)
{
	(void)req;
	handover_failback(p->id);
}

static void
do_reload(struct pending *p, const struct ctl_request *req)
{
	(void)req;
	reconf_reload(p->id);
}

static void
do_log(struct pending *p, const struct ctl_request *req)
{
	uint32_t verbose = (req->flags & CTL_F_VERBOSE) != 0;

	log_setverbose((int)verbose);
	for (int id = PROC_PARENT + 1; id < PROC_MAX; id++)
		child_send((enum proc_id)id, IMSG_PROC_VERBOSE, 0, &verbose,
		    sizeof(verbose));
	control_end(p->id, 0, "%s", "");
}

static const struct {
	enum proc_id target;
	void (*fn)(struct pending *, const struct ctl_request *);
} requests[CTL_WHAT_MAX] = {
    [CTL_SHOW_NODE] = {PROC_PARENT, do_node},
    [CTL_SHOW_VRRP] = {PROC_VRRP, ask_child},
    [CTL_SHOW_SYNC] = {PROC_SYNC, ask_child},
    [CTL_SHOW_NAT] = {PROC_NAT, ask_child},
    [CTL_SHOW_CONFIG] = {PROC_PARENT, do_config},
    [CTL_SHOW_EVENTS] = {PROC_PARENT, do_events},
    [CTL_SHOW_PROCESS] = {PROC_PARENT, do_process},
    [CTL_MONITOR] = {PROC_PARENT, do_monitor},
    [CTL_FAILOVER] = {PROC_PARENT, do_failover},
    [CTL_FAILBACK] = {PROC_PARENT, do_failback},
    [CTL_RELOAD] = {PROC_PARENT, do_reload},
    [CTL_LOG] = {PROC_PARENT, do_log},
};

/* ctld has checked who asks; what and the id are checked again here. */
void
control_request(const struct imsg *im)
{
	struct child *ctld = &hagwd.children[PROC_CTL];
	struct ctl_request req;
	struct pending *p;

	imsg_get(im, &req, sizeof(req));
	req.arg[sizeof(req.arg) - 1] = '\0';
	if (req.what >= CTL_WHAT_MAX || requests[req.what].fn == NULL ||
	    im->hdr.id == 0 || pending_find(im->hdr.id) != NULL) {
		child_violation(ctld, "impossible request");
		return;
	}
	p = pending_new(im->hdr.id, requests[req.what].target);
	if (p == NULL) {
		send_end(im->hdr.id, 1, "too many requests at once");
		return;
	}
	requests[req.what].fn(p, &req);
}

void
control_cancel(uint32_t id)
{
	struct pending *p = pending_find(id);

	if (p != NULL)
		p->id = 0;
}

/* A row of a child: only for a request that it was asked. */
void
control_row(struct child *c, const struct imsg *im)
{
	struct pending *p = pending_find(im->hdr.id);

	if (p == NULL)
		return; /* cancelled or expired meanwhile */
	if (p->target != c->id) {
		child_violation(c, "answers a request it was not asked");
		return;
	}
	child_send(PROC_CTL, (enum imsg_type)im->hdr.type, im->hdr.id, im->data,
	    im->hdr.len);
	if (im->hdr.type == IMSG_CTL_END)
		p->id = 0;
}

void
control_child_died(enum proc_id id)
{
	if (id == PROC_CTL) {
		memset(pendings, 0, sizeof(pendings));
		return;
	}
	for (size_t i = 0; i < PENDING_MAX; i++)
		if (pendings[i].id != 0 && pendings[i].target == id)
			control_end(pendings[i].id, 1, "%s died while asked",
			    proc_name(id));
}

void
control_expire(void)
{
	uint64_t now = clock_us();

	for (size_t i = 0; i < PENDING_MAX; i++)
		if (pendings[i].id != 0 && pendings[i].deadline_us != 0 &&
		    now > pendings[i].deadline_us)
			control_end(pendings[i].id, 5, "%s does not answer",
			    proc_name(pendings[i].target));
}
