/*
 * The child's side of the socketpair: start, sandbox, READY, dispatch,
 * two-phase configuration, log lines, shutdown. One per process.
 */
#ifndef PROC_H
#define PROC_H

#include <event2/event.h>

#include "conf.h"
#include "imsg.h"
#include "imsg_msg.h"
#include "sandbox.h"

#define PROC_FD 3 /* where hagwd puts the child's end */

/* Event loop priorities. */
enum { PROC_PRIO_HIGH, PROC_PRIO_NORMAL, PROC_PRIO_LOW, PROC_NPRIO };

struct proc_handler {
	enum imsg_type type;
	void (*fn)(const struct imsg *); /* owns imsg->fd */
};

struct proc_ops {
	const struct proc_handler *handlers;
	size_t nhandlers;
	/* May this conf run? 0, or -1 with the reason. NULL: always. */
	int (*reconf_check)(const struct conf *next, char *why, size_t whysz);
	/* Switch to it: next is the child's to keep and free. */
	void (*reconf_commit)(struct conf *next);
	/* Parent gone or told to stop; the process ends after it. */
	void (*shutdown)(void);
	/*
	 * The parent died: true to go on without it for a while, sending
	 * nothing to it; false to end at once, without shutdown. NULL:
	 * shutdown.
	 */
	bool (*orphaned)(void);
};

/*
 * Set up and enter the sandbox; HELLO and READY are sent. Argument: the empty
 * directory to chroot into. Ends the process on any failure.
 */
void proc_init(const struct sandbox_profile *, int argc, char *argv[]);

/* The loop, made with precise timers and PROC_NPRIO priorities. */
struct event_base *proc_base(void);

/*
 * event_add(3), which may need memory: a child that goes on without would
 * wait for ever, one that ends is started again.
 */
void proc_watch(struct event *, const struct timeval *);

/*
 * Run until told to stop. Ends the process. Messages are checked against
 * imsg_rules before a handler sees them.
 */
void proc_run(const struct proc_ops *) __attribute__((noreturn));

/* To the parent; a broken pipe ends the process. */
void proc_send(enum imsg_type, uint32_t id, const void *data, size_t len);
void proc_sendv(enum imsg_type, uint32_t id, const struct iovec *, int n);

/* false: what the parent says is left in the socket, until it is taken. */
void proc_listen(bool);
/* The next message to its handler; false: there is none. */
bool proc_take(void);

/*
 * A reload was checked here and has not begun: the parent may have the new
 * configuration already. What names objects of the old one is to wait, or it
 * would be taken for others, or for a breach.
 */
bool proc_drained(void);

/* Messages waiting because the parent is slow. */
unsigned int proc_backlog(void);

/* An entry for show events and monitor. */
void proc_event(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Answers to IMSG_CTL_SHOW: the last one. code as hactl's exit codes. */
void proc_ctl_end(uint32_t id, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
