/*
 * What ctld's files share. ctld_client.c owns connections, ctld_relay.c the
 * requests on their way; neither knows the parent's socketpair, so that both
 * run in a test on socketpairs alone.
 */
#ifndef CTLD_H
#define CTLD_H

#include <sys/queue.h>
#include <sys/types.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "imsg.h"
#include "imsg_msg.h"

#define CLIENTS_MAX         64
#define CLIENTS_ROOT        8 /* of them only for root */
#define CLIENT_REQUESTS_MAX 4 /* under way at a time */
#define CLIENT_QUEUE_MAX    4096 /* messages a client has not read */
#define CLIENT_QUEUE_TOTAL  16384 /* of all clients together */
#define CLIENT_TURN_MAX     8 /* messages read in one turn of the loop */
#define CLIENT_ACCEPT_MAX   16 /* connections taken in one turn */
#define CLIENT_IDLE_US      10000000 /* without a request under way */
#define CLIENT_STALL_US     10000000 /* without reading what waits for it */
#define RELAY_MAX           (CLIENTS_MAX * CLIENT_REQUESTS_MAX)
#define RELAY_LATE_US       60000000 /* the parent answers before that */

struct client {
	TAILQ_ENTRY(client) entry; /* oldest first */
	struct imsgbuf ibuf;
	struct event ev_read;
	struct event ev_write;
	uid_t uid;
	pid_t pid;
	unsigned int nrequests;
	uint64_t active_us; /* last request or answer */
	uint64_t moved_us; /* the queue last got shorter, or was empty */
	bool broken; /* to be dropped when nobody uses it any more */
};

/* What limits were met, for the log. */
struct ctld_stats {
	uint64_t accepted;
	uint64_t busy;
	uint64_t idle;
	uint64_t violations;
	uint64_t stalled;
	uint64_t late;
	uint64_t denied;
	uint64_t strays; /* rows whose request was cancelled */
};
extern struct ctld_stats ctld_stats;

/* How requests leave: proc_send, or a test's list. */
struct relay_ops {
	void (*request)(uint32_t id, const struct ctl_request *);
	void (*cancel)(uint32_t id);
};

/* ctld_client.c */
void clients_init(struct event_base *, const struct relay_ops *);
void clients_listen(int fd); /* replaces the socket listened at before */
/* Greet a connected socket; NULL when there is no room: fd is closed. */
struct client *client_new(int fd, uid_t, pid_t);
/* Queue a message; sets broken when the client cannot take it. */
void client_send(
    struct client *, uint32_t type, uint32_t id, const void *data, size_t len);
void client_end(struct client *, uint32_t id, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void client_log(const struct client *, const char *what, uint64_t so_far);
void client_settle(struct client *); /* drop it when broken */
void clients_expire(uint64_t now_us);
void clients_close(void); /* all of them, and the listening socket */
unsigned int clients_count(void);

/* ctld_relay.c */
void relay_init(const struct relay_ops *);
/*
 * May this request be made? 0, or the exit code to refuse it with and the
 * reason.
 */
int relay_check(const struct ctl_request *, uid_t, char *why, size_t whysz);
void relay_request(struct client *, uint32_t user_id,
    const struct ctl_request *, uint64_t now_us);
void relay_row(const struct imsg *); /* from the parent */
void relay_drop(struct client *); /* cancel all that it asked */
void relay_expire(uint64_t now_us);

#endif
