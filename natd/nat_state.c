/*
 * What the kernel holds. The parent sends a dump request on a fresh socket
 * and passes that on; one dump at a time, the others wait in a queue.
 */
#include <sys/queue.h>

#include <linux/netfilter/nf_tables.h>

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>
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
	state_marker_cb *marker;
	state_elem_cb *elem;
	state_done_cb *done;
	void *arg;
	bool found;
	uint8_t hash[NAT_HASH_LEN];
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
	if (j->marker != NULL)
		j->marker(res, j->found, j->hash);
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
	evtimer_add(st.timer, &tv);
	proc_send(IMSG_NAT_DUMP, st.id, &j->request, sizeof(j->request));
}

static bool
parse_hex(uint8_t *out, const char *s)
{
	static const char digits[] = "0123456789abcdef";
	const char *d;
	int i;

	memset(out, 0, NAT_HASH_LEN);
	for (i = 0; i < 2 * NAT_HASH_LEN; i++) {
		if (s[i] == '\0' || (d = strchr(digits, s[i])) == NULL)
			return false;
		out[i / 2] = out[i / 2] << 4 | (d - digits);
	}
	return s[i] == '\0';
}

static int
comment_cb(const struct nftnl_udata *u, void *arg)
{
	struct job *j = arg;
	const char *s = nftnl_udata_get(u);
	size_t len = nftnl_udata_len(u);

	if (nftnl_udata_type(u) == NFTNL_UDATA_RULE_COMMENT && len > 5 &&
	    s[len - 1] == '\0' && strncmp(s, "plan=", 5) == 0)
		j->found = parse_hex(j->hash, s + 5);
	return 0;
}

static void
take_rule(struct job *j, const struct nlmsghdr *nlh)
{
	struct nftnl_rule *r;
	const char *table, *chain;
	const void *u;
	uint32_t len;

	if ((r = nftnl_rule_alloc()) == NULL)
		fatal("nftables rule");
	if (nftnl_rule_nlmsg_parse(nlh, r) == 0) {
		table = nftnl_rule_get_str(r, NFTNL_RULE_TABLE);
		chain = nftnl_rule_get_str(r, NFTNL_RULE_CHAIN);
		u = nftnl_rule_get_data(r, NFTNL_RULE_USERDATA, &len);
		if (table != NULL && chain != NULL && u != NULL &&
		    strcmp(table, HAGW_NFT_TABLE) == 0 &&
		    strcmp(chain, NAT_STATE_CHAIN) == 0)
			nftnl_udata_parse(u, len, comment_cb, j);
	}
	nftnl_rule_free(r);
}

static int
counter_cb(struct nftnl_expr *e, void *arg)
{
	const char *name = nftnl_expr_get_str(e, NFTNL_EXPR_NAME);
	uint64_t *packets = arg;

	if (name != NULL && strcmp(name, "counter") == 0)
		*packets = nftnl_expr_get_u64(e, NFTNL_EXPR_CTR_PACKETS);
	return 0;
}

static int
elem_cb(struct nftnl_set_elem *se, void *arg)
{
	struct job *j = arg;
	struct nat_elem e;
	const void *key, *end = NULL;
	uint32_t len = 0, end_len = 0;
	uint64_t packets = 0;

	key = nftnl_set_elem_get(se, NFTNL_SET_ELEM_KEY, &len);
	if (nftnl_set_elem_is_set(se, NFTNL_SET_ELEM_KEY_END))
		end = nftnl_set_elem_get(se, NFTNL_SET_ELEM_KEY_END, &end_len);
	nftnl_set_elem_expr_foreach(se, counter_cb, &packets);
	if (key != NULL &&
	    nft_key_read(&e, j->set, key, len, end, end_len) == 0)
		j->elem(j->arg, &e, packets);
	return 0;
}

static void
take_elems(struct job *j, const struct nlmsghdr *nlh)
{
	struct nftnl_set *s;

	if ((s = nftnl_set_alloc()) == NULL)
		fatal("nftables set");
	if (nftnl_set_elems_nlmsg_parse(nlh, s) == 0)
		nftnl_set_elem_foreach(s, elem_cb, j);
	nftnl_set_free(s);
}

/* The errno an answer ends with; -1: more to come. */
static int
take_message(struct job *j, const struct nlmsghdr *nlh)
{
	const int32_t *code = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR) {
		if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*code))
			return EBADMSG;
		return -*code;
	}
	/* Somebody changed the table: the dump may have lost its place. */
	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		return EAGAIN;
	if (j->marker != NULL)
		take_rule(j, nlh);
	else
		take_elems(j, nlh);
	return -1;
}

/* One datagram a turn, so that other events are not kept waiting. */
static void
readable(int fd, short what, void *arg)
{
	struct job *j = TAILQ_FIRST(&st.jobs);
	const struct nlmsghdr *nlh = &in.align;
	ssize_t n;
	int len, error = -1;

	(void)what;
	(void)arg;
	n = read(fd, in.bytes, sizeof(in.bytes));
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		finish(STATE_FAILED);
		return;
	}
	for (len = n; error == -1 && mnl_nlmsg_ok(nlh, len);
	     nlh = mnl_nlmsg_next(nlh, &len))
		error = take_message(j, nlh);
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
state_read_marker(state_marker_cb *cb)
{
	struct job j = {.marker = cb, .request.what = NAT_DUMP_RULES};

	enqueue(&j);
}

void
state_read_hits(
    enum nat_set set, state_elem_cb *elem, state_done_cb *done, void *arg)
{
	struct job j = {.set = set, .elem = elem, .done = done, .arg = arg};

	j.request.what = NAT_DUMP_ELEMENTS;
	strncpy(j.request.set, nft_set_name(set), sizeof(j.request.set) - 1);
	enqueue(&j);
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
