/*
 * Messages of children: sender, phase, exact length (imsg_rules), then
 * meaning (authz), then the action.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "daemon.h"
#include "fmt.h"
#include "log.h"
#include "sandbox.h"

/*
 * A batch of natd: parts are gathered here until COMMIT. It may be as long as
 * the largest configuration so far makes it: the parent stands still while
 * the kernel takes it.
 */
#define NAT_BATCH_MIN  (1 << 20)
#define NAT_BATCH_RULE 4096 /* for each rule of the site */
#define NAT_BATCH_PORT 64 /* for each shifted port: taken away, and added */

static struct {
	unsigned char *buf;
	size_t len;
	size_t cap;
	uint32_t parts;
	uint32_t id;
} nat_batch;

typedef void handler_fn(struct child *, const struct imsg *);

static void
on_hello(struct child *c, const struct imsg *im)
{
	struct imsg_hello h;

	imsg_get(im, &h, sizeof(h));
	if (h.proc != c->id ||
	    memcmp(h.build_id, hagw_build_id, sizeof(h.build_id)) != 0)
		child_violation(c, "is of another build than hagwd");
}

static void
on_ready(struct child *c, const struct imsg *im)
{
	static const struct {
		unsigned int bit;
		const char *text;
	} lacks[] = {
	    {SB_NO_LANDLOCK, "no Landlock in this kernel"},
	    {SB_NO_REALTIME, "no real-time class"},
	    {SB_NO_MLOCK, "memory not locked"},
	};
	struct imsg_ready r;

	if (c->state != CHILD_STARTING) {
		child_violation(c, "READY twice");
		return;
	}
	imsg_get(im, &r, sizeof(r));
	c->lacks = r.lacks;
	for (size_t i = 0; i < nitems(lacks); i++)
		if (r.lacks & lacks[i].bit)
			log_warnx("%s: %s", proc_name(c->id), lacks[i].text);
	reconf_child(c);
}

static void
on_pong(struct child *c, const struct imsg *im)
{
	(void)im;
	c->pong_us = clock_us();
}

/* Lines a child may cause per second, before they are only counted. */
#define LOG_RATE 50

static bool
line_allowed(const struct child *c)
{
	static uint64_t second[PROC_MAX];
	static unsigned int lines[PROC_MAX];
	uint64_t now = clock_us() / 1000000;

	if (second[c->id] != now) {
		if (lines[c->id] > LOG_RATE)
			log_warnx("%s: %u more lines", proc_name(c->id),
			    lines[c->id] - LOG_RATE);
		second[c->id] = now;
		lines[c->id] = 0;
	}
	return ++lines[c->id] <= LOG_RATE;
}

static void
on_log(struct child *c, const struct imsg *im)
{
	char line[LOG_LINE_MAX + 16];
	struct imsg_log msg;

	if (!line_allowed(c))
		return;
	imsg_get(im, &msg, sizeof(msg));
	fmt_clean(msg.text, sizeof(msg.text));
	snprintf(line, sizeof(line), "%s: %s", proc_name(c->id), msg.text);
	log_line(msg.pri & LOG_PRIMASK, line);
}

static void
on_event(struct child *c, const struct imsg *im)
{
	static const char *const kinds[PROC_MAX] = {
	    [PROC_VRRP] = "vrrp",
	    [PROC_SYNC] = "sync",
	    [PROC_NAT] = "nat",
	    [PROC_CTL] = "ctl",
	};
	struct imsg_text msg;

	if (!line_allowed(c))
		return;
	imsg_get(im, &msg, sizeof(msg));
	fmt_clean(msg.text, sizeof(msg.text));
	history_add(kinds[c->id], "%s", msg.text);
}

static void
on_drained(struct child *c, const struct imsg *im)
{
	struct imsg_drained msg;

	imsg_get(im, &msg, sizeof(msg));
	msg.why[sizeof(msg.why) - 1] = '\0';
	reconf_drained(c, im->hdr.id, &msg);
}

static void
on_vrrp_state(struct child *c, const struct imsg *im)
{
	struct imsg_vrrp_state msg;
	const char *why;

	imsg_get(im, &msg, sizeof(msg));
	if ((why = authz_vrrp_state(&hagwd.view, msg.role)) != NULL) {
		child_violation(c, why);
		return;
	}
	fmt_clean(msg.reason, sizeof(msg.reason));
	takeover_state((enum role)msg.role, msg.reason);
}

static void
on_vrrp_announce(struct child *c, const struct imsg *im)
{
	(void)c;
	(void)im;
	takeover_again();
}

static void
on_vrrp_handover(struct child *c, const struct imsg *im)
{
	(void)c;
	(void)im;
	handover_preempt();
}

static void
on_vrrp_released(struct child *c, const struct imsg *im)
{
	struct imsg_vrrp_released msg;

	(void)c;
	imsg_get(im, &msg, sizeof(msg));
	handover_released(&msg);
}

/* After a takeover, idle flows get their timeouts back within this time. */
#define SETTLE_US    600000000
/* Of the table that stays for this node's own flows: 1 in so many. */
#define ROOM_RESERVE 64
#define ROOM_AGE_US  1000000

/*
 * May n more entries be made? The count is the kernel's, read again when
 * what was left at the last look is used up, or a second old: traffic makes
 * entries, too.
 */
static bool
table_has_room(size_t n)
{
	static uint64_t room, read_us;
	struct imsg_ct_count c;
	uint64_t limit;

	if (room < n || clock_us() - read_us > ROOM_AGE_US) {
		read_us = clock_us();
		sysctl_ct_count(&c);
		if (c.max == 0)
			return true; /* no limit, or not to be read */
		limit = c.max - c.max / ROOM_RESERVE;
		room = c.count < limit ? limit - c.count : 0;
	}
	if (room < n)
		return false;
	room -= n;
	return true;
}

/*
 * What nobody may make any more may still live at the master, from before a
 * reload. Its entry here is held on, and nothing else of it is touched.
 */
static bool
held_on(struct ct_rec *r)
{
	if (!authz_ct_if_there(&hagwd.view, r) || !kct_there(r))
		return false;
	r->op = CT_OP_TIMEOUT;
	return true;
}

/*
 * A table without room still has what it has: were that not confirmed, the
 * sweep after a bulk would take it for ghosts.
 */
static bool
needs_no_room(struct ct_rec *r)
{
	if (r->op != CT_OP_NEW && r->op != CT_OP_UPDATE)
		return true;
	if (!kct_there(r))
		return false;
	r->op = CT_OP_UPDATE;
	return true;
}

static const char *
may_inject(struct ct_rec *r, bool room, struct imsg_ct_fail *fail)
{
	const char *why = authz_ct(&hagwd.view, r);

	if (why != NULL && held_on(r))
		return NULL;
	if (why != NULL) {
		fail->error = EPERM;
		hagwd.inject_refused++;
		return why;
	}
	if (!room && !needs_no_room(r)) {
		fail->error = ENOMEM; /* as the kernel would say it */
		hagwd.inject_full++;
		return "the conntrack table is nearly full";
	}
	return NULL;
}

/*
 * Failures are answered by index; refused ones as EPERM, logged. What is left
 * of recs are those that were allowed.
 */
static size_t
inject(struct ct_rec *recs, size_t n, struct imsg_ct_fail *fails)
{
	static struct log_limit limit;
	static uint32_t index[KCT_BATCH_MAX];
	static struct imsg_ct_fail kfails[KCT_BATCH_MAX];
	size_t nok = 0, nfails = 0, nk;
	bool room = table_has_room(n);

	hagwd.view.settle =
	    hagwd.role == ROLE_MASTER && clock_us() - hagwd.role_us < SETTLE_US;
	for (size_t i = 0; i < n; i++) {
		struct imsg_ct_fail *fail = &fails[nfails];
		const char *why = may_inject(&recs[i], room, fail);

		if (why == NULL) {
			if (nok != i)
				recs[nok] = recs[i];
			index[nok++] = (uint32_t)i;
			continue;
		}
		fail->index = (uint32_t)i;
		nfails++;
		if (log_allowed(&limit, clock_us()))
			log_warnx("syncd: flow refused: %s", why);
	}
	nk = kct_apply(recs, nok, kfails);
	for (size_t i = 0; i < nk; i++)
		fails[nfails++] = (struct imsg_ct_fail){
		    index[kfails[i].index], kfails[i].error};
	return nfails;
}

static void
on_ct_inject(struct child *c, const struct imsg *im)
{
	static struct ct_rec recs[KCT_BATCH_MAX];
	static struct {
		struct imsg_ct_applied head;
		struct imsg_ct_fail fails[KCT_BATCH_MAX];
	} answer;
	size_t n = im->hdr.len / sizeof(recs[0]);
	size_t nfail;

	if (n > KCT_BATCH_MAX) {
		child_violation(c, "more records than a batch may have");
		return;
	}
	memcpy(recs, im->data, im->hdr.len);
	nfail = inject(recs, n, answer.fails);
	answer.head.done = (uint32_t)(n - nfail);
	answer.head.nfail = (uint32_t)nfail;
	hagwd.injected += n - nfail;
	hagwd.inject_failed += nfail;
	child_send(PROC_SYNC, IMSG_CT_APPLIED, im->hdr.id, &answer,
	    sizeof(answer.head) + nfail * sizeof(answer.fails[0]));
}

static void
on_ct_dump(struct child *c, const struct imsg *im)
{
	int fd = kct_dump_socket();

	if (fd == -1 || aside_run(c, kct_dump_ask, fd) == -1) {
		/* without an answer syncd would wait for ever */
		child_violation(c,
		    errno == EBUSY ? "more dumps at a time than it needs"
				   : "its dump request failed");
		if (fd != -1)
			close(fd);
		return;
	}
	child_send_fd(PROC_SYNC, IMSG_FD_CT_DUMP, im->hdr.id, fd, NULL, 0);
}

static void
on_ct_status(struct child *c, const struct imsg *im)
{
	struct imsg_ct_status msg;

	imsg_get(im, &msg, sizeof(msg));
	if (msg.node >= hagwd.conf->h.nnodes ||
	    msg.node == hagwd.conf->h.self || msg.role >= ROLE_MAX) {
		child_violation(c, "status of a node that is not a peer");
		return;
	}
	c->pong_us = clock_us(); /* an answer, too: to CT_COUNT */
	peers_update(&msg);
}

static void
on_ct_barrier_done(struct child *c, const struct imsg *im)
{
	struct imsg_ct_barrier msg;

	(void)c;
	imsg_get(im, &msg, sizeof(msg));
	handover_barrier_done(&msg);
}

static void
on_ct_handover_asked(struct child *c, const struct imsg *im)
{
	struct imsg_ct_handover msg;

	imsg_get(im, &msg, sizeof(msg));
	if (msg.node >= hagwd.conf->h.nnodes ||
	    msg.node == hagwd.conf->h.self) {
		child_violation(c, "handover to a node that is not a peer");
		return;
	}
	handover_asked(&msg);
}

static void
nat_batch_reset(void)
{
	nat_batch.len = 0;
	nat_batch.parts = 0;
}

static size_t
nat_batch_limit(void)
{
	static size_t limit = NAT_BATCH_MIN;
	const struct conf *conf = hagwd.conf;
	size_t now = NAT_BATCH_MIN +
	    ((size_t)conf->h.nsources + conf->h.nforwards) * NAT_BATCH_RULE;

	for (uint32_t i = 0; i < conf->h.nforwards; i++)
		now +=
		    (size_t)conf_shifted(&conf->forwards[i]) * NAT_BATCH_PORT;

	/* after a reload what the old one had is taken away */
	if (now > limit)
		limit = now;
	return limit;
}

static void
on_nat_batch(struct child *c, const struct imsg *im)
{
	size_t want;

	if (im->hdr.id != nat_batch.id) {
		nat_batch_reset(); /* natd gave up an earlier one, or died */
		nat_batch.id = im->hdr.id;
	}
	want = nat_batch.len + im->hdr.len;
	if (want > nat_batch_limit()) {
		child_violation(c, "batch over its limit");
		return;
	}
	if (want > nat_batch.cap) {
		size_t cap = want * 2;
		unsigned char *p = realloc(nat_batch.buf, cap);

		if (p == NULL) {
			child_violation(c, "no memory for its batch");
			return;
		}
		nat_batch.buf = p;
		nat_batch.cap = cap;
	}
	memcpy(nat_batch.buf + nat_batch.len, im->data, im->hdr.len);
	nat_batch.len = want;
	nat_batch.parts++;
}

static void
on_nat_commit(struct child *c, const struct imsg *im)
{
	struct imsg_nat_commit msg;
	struct imsg_nat_result res = {0};
	struct knft_result kr = {0};
	const char *why;

	imsg_get(im, &msg, sizeof(msg));
	if (im->hdr.id != nat_batch.id || msg.parts != nat_batch.parts ||
	    msg.bytes != nat_batch.len) {
		child_violation(c, "batch incomplete");
		return;
	}
	why = authz_nat(&hagwd.view, nat_batch.buf, nat_batch.len);
	if (why != NULL) {
		child_violation(c, why);
		nat_batch_reset();
		return;
	}
	if (knft_batch(nat_batch.buf, nat_batch.len, &kr) == -1) {
		res.error = kr.error;
		res.seq = kr.seq;
	}
	nat_batch_reset();
	child_send(PROC_NAT, IMSG_NAT_RESULT, im->hdr.id, &res, sizeof(res));
}

void
dispatch_nat_changed(enum nat_changed what)
{
	struct imsg_nat_changed msg = {what};

	child_send(PROC_NAT, IMSG_NAT_CHANGED, 0, &msg, sizeof(msg));
}

static void
on_nat_loaded(struct child *c, const struct imsg *im)
{
	struct imsg_nat_loaded msg;

	(void)c;
	imsg_get(im, &msg, sizeof(msg));
	health_nat_loaded(msg.loaded != 0);
	health_tick();
}

static void
on_nat_dump(struct child *c, const struct imsg *im)
{
	struct imsg_nat_dump msg;
	int fd;

	imsg_get(im, &msg, sizeof(msg));
	msg.set[sizeof(msg.set) - 1] = '\0';
	if ((fd = knft_dump_socket(&msg)) == -1) {
		child_violation(c, "its nftables dump request failed");
		return;
	}
	child_send_fd(PROC_NAT, IMSG_FD_NFT_DUMP, im->hdr.id, fd, NULL, 0);
}

static void
on_ctl_request(struct child *c, const struct imsg *im)
{
	(void)c;
	control_request(im);
}

static void
on_ctl_cancel(struct child *c, const struct imsg *im)
{
	(void)c;
	control_cancel(im->hdr.id);
}

static handler_fn *const handlers[IMSG_MAX] = {
    [IMSG_PROC_HELLO] = on_hello,
    [IMSG_PROC_READY] = on_ready,
    [IMSG_PROC_PONG] = on_pong,
    [IMSG_PROC_LOG] = on_log,
    [IMSG_PROC_EVENT] = on_event,
    [IMSG_RECONF_DRAINED] = on_drained,
    [IMSG_VRRP_STATE] = on_vrrp_state,
    [IMSG_VRRP_ANNOUNCE] = on_vrrp_announce,
    [IMSG_VRRP_HANDOVER] = on_vrrp_handover,
    [IMSG_VRRP_RELEASED] = on_vrrp_released,
    [IMSG_CT_INJECT] = on_ct_inject,
    [IMSG_CT_DUMP] = on_ct_dump,
    [IMSG_CT_STATUS] = on_ct_status,
    [IMSG_CT_BARRIER_DONE] = on_ct_barrier_done,
    [IMSG_CT_HANDOVER_ASKED] = on_ct_handover_asked,
    [IMSG_NAT_BATCH] = on_nat_batch,
    [IMSG_NAT_COMMIT] = on_nat_commit,
    [IMSG_NAT_LOADED] = on_nat_loaded,
    [IMSG_NAT_DUMP] = on_nat_dump,
    [IMSG_CTL_REQUEST] = on_ctl_request,
    [IMSG_CTL_CANCEL] = on_ctl_cancel,
    [IMSG_CTL_END] = control_row,
    [IMSG_CTL_WARNING] = control_row,
    [IMSG_CTL_VRRP] = control_row,
    [IMSG_CTL_VRRP_NET] = control_row,
    [IMSG_CTL_SYNC] = control_row,
    [IMSG_CTL_SYNC_PEER] = control_row,
    [IMSG_CTL_NAT] = control_row,
    [IMSG_CTL_NAT_RULE] = control_row,
};

void
dispatch(struct child *c, const struct imsg *im)
{
	enum imsg_check check = imsg_check_from(im, c->id, child_phase(c));
	char why[CTL_TEXT_MAX];

	if (check == IMSG_FINE &&
	    budget_take(&c->budget, im->hdr.type, clock_us())) {
		handlers[im->hdr.type](c, im);
		return;
	}
	snprintf(why, sizeof(why), "%s (%u bytes): %s", imsg_name(im->hdr.type),
	    im->hdr.len,
	    check == IMSG_FINE ? "far more often than it needs"
			       : imsg_check_str(check));
	if (im->fd != -1)
		close(im->fd);
	child_violation(c, why);
}
