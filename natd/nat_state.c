/*
 * What the kernel holds. The parent sends a dump request on a fresh socket
 * and passes that on; one dump at a time, the others wait in a queue.
 */
#include <sys/queue.h>

#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "natd.h"
#include "proc.h"

#define STATE_READ_LEN 65536 /* the kernel fills 32 KiB at most */
#define STATE_WAIT_US  5000000 /* then the dump is given up */
#define STATE_JOBS_MAX 64

struct job {
	TAILQ_ENTRY(job) entry;
	struct imsg_nat_dump request;
	enum nat_set set;
	/* one of them, by what is asked for */
	state_rules_cb *rules;
	state_grace_cb *grace;
	state_done_cb *done;
	state_elem_cb *elem;
	void *arg;
	struct nat_found found;
	enum nat_grace open;
};

static struct {
	struct event_base *base;
	TAILQ_HEAD(, job) jobs; /* the first one is under way */
	unsigned int njobs;
	uint32_t id; /* of its request */
	bool asked;
	int fd;
	struct event *ev;
	struct event *timer;
} st = {.fd = -1};

static union {
	struct nlmsghdr align;
	char bytes[STATE_READ_LEN];
} in;

static void start_next(void);

/* End the job under way; its callback may queue others. */
static void
finish(enum state_result res)
{
	struct job *j = TAILQ_FIRST(&st.jobs);

	if (st.ev != NULL)
		event_free(st.ev);
	st.ev = NULL;
	if (st.fd != -1)
		close(st.fd);
	st.fd = -1;
	evtimer_del(st.timer);
	TAILQ_REMOVE(&st.jobs, j, entry);
	st.njobs--;
	st.asked = false;
	if (j->rules != NULL)
		j->rules(res, &j->found);
	else if (j->grace != NULL)
		j->grace(res, j->open);
	else
		j->done(j->arg, res);
	free(j);
	start_next();
}

static void
timed_out(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	log_warnx("table %s: no dump within %d s", HAGW_NFT_TABLE,
	    STATE_WAIT_US / 1000000);
	finish(STATE_FAILED);
}

static void
start_next(void)
{
	struct timeval tv = clock_tv(STATE_WAIT_US);
	struct job *j = TAILQ_FIRST(&st.jobs);

	if (j == NULL || st.asked)
		return;
	st.asked = true;
	st.id++;
	proc_watch(st.timer, &tv);
	proc_send(IMSG_NAT_DUMP, st.id, &j->request, sizeof(j->request));
}

#define ERRNO_MAX 4095 /* of the kernel, as a negative number */

static int
errno_of(const struct nlmsghdr *nlh)
{
	const int32_t *code = mnl_nlmsg_get_payload(nlh);

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*code) || *code > 0 ||
	    *code < -ERRNO_MAX)
		return EBADMSG;
	return -*code;
}

/* The errno an answer ends with; -1: more to come. */
static int
take_message(struct job *j, const struct nlmsghdr *nlh)
{
	if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR)
		return errno_of(nlh);
	/* Somebody changed the table: the dump may have lost its place. */
	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		return EAGAIN;
	if (j->rules != NULL)
		dump_rule(nlh, &j->found);
	else if (j->grace != NULL)
		dump_grace(nlh, &j->open);
	else
		dump_elems(nlh, j->set, j->elem, j->arg);
	return -1;
}

/* Every message of a datagram, until one ends the answer. */
static int
take_datagram(struct job *j, size_t len)
{
	const struct nlmsghdr *nlh = &in.align;
	size_t step;
	int error = -1;

	while (error == -1 && len >= sizeof(*nlh)) {
		if (nlh->nlmsg_len < sizeof(*nlh) || nlh->nlmsg_len > len)
			return EBADMSG;
		error = take_message(j, nlh);
		step = NLMSG_ALIGN(nlh->nlmsg_len);
		len -= step < len ? step : len;
		nlh = (const struct nlmsghdr *)((const char *)nlh + step);
	}
	return error;
}

/* One datagram a turn, so that other events are not kept waiting. */
static void
readable(int fd, short what, void *arg)
{
	struct job *j = TAILQ_FIRST(&st.jobs);
	ssize_t n;
	int error;

	(void)what;
	(void)arg;
	n = read(fd, in.bytes, sizeof(in.bytes));
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		finish(STATE_FAILED);
		return;
	}
	error = take_datagram(j, (size_t)n);
	if (error != -1)
		finish(error == 0 ? STATE_OK : STATE_FAILED);
}

void
state_fd(const struct imsg *m)
{
	if (m->fd == -1)
		return;
	if (!st.asked || m->hdr.id != st.id || st.fd != -1) {
		close(m->fd); /* of a dump that was given up */
		return;
	}
	st.fd = m->fd;
	st.ev = event_new(st.base, st.fd, EV_READ | EV_PERSIST, readable, NULL);
	if (st.ev == NULL || event_add(st.ev, NULL) == -1)
		fatalx("no event for a dump");
}

static void
enqueue(const struct job *wanted)
{
	struct job *j;

	if (st.njobs == STATE_JOBS_MAX || (j = malloc(sizeof(*j))) == NULL)
		fatalx("table %s: too many dumps asked for", HAGW_NFT_TABLE);
	*j = *wanted;
	TAILQ_INSERT_TAIL(&st.jobs, j, entry);
	st.njobs++;
	start_next();
}

void
state_read_rules(state_rules_cb *cb)
{
	struct job j = {.rules = cb, .request.what = NAT_DUMP_RULES};

	enqueue(&j);
}

static void
enqueue_set(struct job *j, enum nat_set set)
{
	const char *name = nft_set_name(set);

	j->set = set;
	j->request.what = NAT_DUMP_ELEMENTS;
	strncpy(j->request.set, name, sizeof(j->request.set) - 1);
	enqueue(j);
}

void
state_read_grace(state_grace_cb *cb)
{
	struct job j = {.grace = cb};

	enqueue_set(&j, NS_GRACE);
}

void
state_read_hits(
    enum nat_set set, state_elem_cb *elem, state_done_cb *done, void *arg)
{
	struct job j = {.elem = elem, .done = done, .arg = arg};

	enqueue_set(&j, set);
}

int
state_init(struct event_base *base)
{
	TAILQ_INIT(&st.jobs);
	st.base = base;
	if ((st.timer = evtimer_new(base, timed_out, NULL)) == NULL)
		return -1;
	return 0;
}
