/*
 * natd: keeps table inet hagw as the site file wants it. It plans and
 * encodes; the parent checks each batch and sends it. Nothing in the kernel
 * depends on this process being alive.
 */
#include <sys/uio.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "natd.h"
#include "proc.h"

#define BATCH_PART     (60 * 1024) /* bytes of a batch in one message */
#define RETRY_FIRST_US 100000
#define RETRY_MAX_US   30000000
/* The kernel can take long over a batch, and a takeover has other work. */
#define GRACE_LATER_US 1000000
/*
 * Between two looks whether somebody else changed the table. The kernel tells
 * of it, but not of what happens right beside a batch of hagw's own.
 */
#define LOOK_AGAIN_US  60000000
#define LOOK_AFTER_US  1000000
/* Who changes it all the time shall not keep hagwd busy. */
#define MEND_PAUSE_US  1000000

/* qsort asks how much memory there is before it takes some. */
static const struct sandbox_call natd_calls[] = {
    {.name = "sysinfo", .kind = SB_ANY},
};

static const struct sandbox_profile natd_sandbox = {
    .id = PROC_NAT,
    .user = "_hagw_nat",
    .maxfds = 24,
    .calls = natd_calls,
    .ncalls = nitems(natd_calls),
};

enum busy {
	BUSY_NOT,
	BUSY_READING, /* rules, or the grace */
	BUSY_LOADING, /* a batch that makes the kernel hold `inflight` */
	BUSY_GRACE /* a batch that sets the grace */
};

static struct {
	struct conf *conf;
	/*
	 * Three plans that may be one: what the conf says, what the kernel is
	 * known to hold (NULL: not known), what it is being told.
	 */
	struct nat_plan *wanted;
	struct nat_plan *kernel;
	struct nat_plan *inflight;
	/* made by the last check, for the commit that may follow */
	const struct conf *checked;
	struct nat_plan *checked_plan;
	enum busy busy;
	bool rebuild; /* the rules were read: they are not as they should be */
	bool look; /* are they still? */
	bool spoiled; /* they are not: somebody changed the table */
	uint64_t mended_us; /* 0: never */
	struct nat_batch batch; /* under way; for what it says of errors */
	uint32_t batch_id;
	bool role_known;
	uint32_t role;
	bool grace_read; /* of an adopted table */
	bool grace_due; /* the kernel's is not known to be right */
	bool grace_open; /* the kernel's is, without an end */
	uint64_t grace_sent_ms;
	uint64_t grace_until_us; /* as MASTER */
	struct event *grace_later;
	uint64_t sent_us;
	uint64_t applied_us; /* 0: never */
	uint64_t batches;
	uint64_t failures;
	uint64_t retry_us;
	char error[CTL_TEXT_MAX];
	struct event *retry;
	struct event *look_again;
} nat;

static void step(void);

static void
drop_plan(struct nat_plan *p)
{
	if (p != nat.wanted && p != nat.kernel && p != nat.inflight)
		plan_free(p);
}

static void
set_plan(struct nat_plan **where, struct nat_plan *p)
{
	struct nat_plan *old = *where;

	*where = p;
	drop_plan(old);
}

/* The batch goes in parts; the parent takes none of it before COMMIT. */
static void
send_batch(enum busy busy)
{
	struct imsg_nat_commit commit = {0, 0};
	size_t off, n;

	nat.batch_id++;
	nat.busy = busy;
	nat.sent_us = clock_us();
	for (off = 0; off < nat.batch.len; off += n) {
		n = nat.batch.len - off;
		if (n > BATCH_PART)
			n = BATCH_PART;
		proc_send(
		    IMSG_NAT_BATCH, nat.batch_id, nat.batch.data + off, n);
		commit.parts++;
	}
	commit.bytes = nat.batch.len;
	proc_send(IMSG_NAT_COMMIT, nat.batch_id, &commit, sizeof(commit));
}

static void
tell_loaded(bool loaded)
{
	struct imsg_nat_loaded msg = {.loaded = loaded};

	proc_send(IMSG_NAT_LOADED, 0, &msg, sizeof(msg));
}

static void
applied(struct nat_plan *p)
{
	set_plan(&nat.kernel, p);
	nat.rebuild = false;
	nat.retry_us = 0;
	nat.applied_us = clock_us();
	nat.error[0] = '\0';
	tell_loaded(true);
}

/* Forget what the kernel holds, wait, and read it again. */
static void
failed(const char *what)
{
	struct timeval tv;

	nat.failures++;
	snprintf(nat.error, sizeof(nat.error), "%s", what);
	set_plan(&nat.kernel, NULL);
	nat.rebuild = false;
	nat.retry_us = nat.retry_us == 0 ? RETRY_FIRST_US : nat.retry_us * 2;
	if (nat.retry_us > RETRY_MAX_US)
		nat.retry_us = RETRY_MAX_US;
	log_warnx("%s; again in %llu ms", what,
	    (unsigned long long)nat.retry_us / 1000);
	proc_event("%s", what);
	tell_loaded(false);
	tv = clock_tv(nat.retry_us);
	proc_watch(nat.retry, &tv);
}

static void
retry(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	step();
}

/* Its set is in no plan; what is right depends on the role alone. */
static bool
grace_wrong(void)
{
	return (nat.role == ROLE_MASTER) == nat.grace_open;
}

static void
have_grace(enum state_result res, enum nat_grace grace)
{
	nat.busy = BUSY_NOT;
	nat.grace_read = res == STATE_OK;
	nat.grace_open = grace == GRACE_OPEN;
	nat.grace_due = !nat.grace_read || grace_wrong();
	step();
}

static bool
is_loaded(const struct nat_found *f, const struct nat_plan *p)
{
	if (!f->marker || memcmp(f->hash, p->hash, NAT_HASH_LEN) != 0)
		return false;
	if (f->nrules == nft_nrules(p))
		return true;
	proc_event("table " HAGW_NFT_TABLE ": %zu rules where %zu belong: "
		   "somebody changed it, loading it anew",
	    f->nrules, nft_nrules(p));
	return false;
}

/* Is it the table of an earlier natd? */
static void
have_rules(enum state_result res, const struct nat_found *f)
{
	nat.busy = BUSY_NOT;
	if (res != STATE_OK) {
		failed("table " HAGW_NFT_TABLE ": cannot be read");
		return;
	}
	if (!is_loaded(f, nat.wanted)) {
		nat.rebuild = true;
		step();
		return;
	}
	applied(nat.wanted);
	log_info("table %s: adopted as it is, %zu elements", HAGW_NFT_TABLE,
	    nat.wanted->nelems);
	nat.busy = BUSY_READING;
	state_read_grace(have_grace);
}

/* Is it still what was loaded? One that cannot be read now is left alone. */
static void
have_look(enum state_result res, const struct nat_found *f)
{
	nat.busy = BUSY_NOT;
	if (res == STATE_OK && !is_loaded(f, nat.kernel)) {
		if (!f->marker)
			proc_event("table " HAGW_NFT_TABLE ": somebody "
				   "removed it, loading it anew");
		set_plan(&nat.kernel, NULL);
		nat.rebuild = true;
	}
	step();
}

static void
look_in(uint64_t us)
{
	struct timeval tv = clock_tv(us);

	proc_watch(nat.look_again, &tv);
}

static void
look_again(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	nat.look = nat.kernel != NULL;
	look_in(LOOK_AGAIN_US);
	step();
}

static void
on_changed(const struct imsg *m)
{
	struct imsg_nat_changed msg;

	if (imsg_get(m, &msg, sizeof(msg)) == -1)
		return;
	if (msg.what == NAT_CHANGED_PERHAPS) {
		nat.look = nat.kernel != NULL;
	} else {
		nat.spoiled = true;
		proc_event("table " HAGW_NFT_TABLE ": somebody %s it, loading "
			   "it anew",
		    msg.what == NAT_CHANGED_GONE ? "removed" : "changed");
	}
	step();
}

/* What the kernel holds is not known any more. False: later. */
static bool
mend(void)
{
	uint64_t now = clock_us();
	struct timeval tv = clock_tv(MEND_PAUSE_US);

	if (nat.mended_us != 0 && now - nat.mended_us < MEND_PAUSE_US) {
		proc_watch(nat.retry, &tv);
		return false;
	}
	nat.mended_us = now;
	nat.spoiled = false;
	set_plan(&nat.kernel, NULL);
	nat.rebuild = true;
	return true;
}

/* What is loaded is checked by the configuration hagwd has. */
static bool
load_waits(void)
{
	struct timeval tv = clock_tv(RETRY_FIRST_US);

	if (!proc_drained())
		return false;
	proc_watch(nat.retry, &tv);
	return true;
}

static void
load_full(void)
{
	if (load_waits())
		return;
	nft_batch_free(&nat.batch);
	if (nft_full(&nat.batch, nat.wanted) == -1)
		fatal("table %s", HAGW_NFT_TABLE);
	set_plan(&nat.inflight, nat.wanted);
	/* the grace is a set of the table that goes */
	nat.grace_open = false;
	nat.grace_due = true;
	log_info("table %s: loading %zu elements", HAGW_NFT_TABLE,
	    nat.wanted->nelems);
	send_batch(BUSY_LOADING);
}

static void
load_changes(void)
{
	struct nat_delta d;

	if (load_waits())
		return;
	if (diff_plans(&d, nat.kernel, nat.wanted) == -1)
		fatal("table %s", HAGW_NFT_TABLE);
	nft_batch_free(&nat.batch);
	nft_delta(&nat.batch, &d, nat.wanted);
	set_plan(&nat.inflight, nat.wanted);
	log_info("table %s: %zu elements out, %zu in", HAGW_NFT_TABLE, d.ndel,
	    d.nadd);
	diff_free(&d);
	send_batch(BUSY_LOADING);
}

static uint64_t
grace_ms(void)
{
	uint64_t now = clock_us();

	if (nat.role != ROLE_MASTER)
		return NAT_GRACE_OPEN;
	return now < nat.grace_until_us ? (nat.grace_until_us - now) / 1000 : 0;
}

static void
send_grace(void)
{
	nat.grace_due = false;
	nat.grace_sent_ms = grace_ms();
	nft_batch_free(&nat.batch);
	nft_grace(&nat.batch, nat.grace_sent_ms);
	send_batch(BUSY_GRACE);
}

/* The next thing to do, one at a time. */
static void
step(void)
{
	if (nat.busy != BUSY_NOT || nat.wanted == NULL ||
	    evtimer_pending(nat.retry, NULL) || (nat.spoiled && !mend()))
		return;
	if (nat.kernel == NULL && !nat.rebuild) {
		nat.busy = BUSY_READING;
		state_read_rules(have_rules);
	} else if (nat.kernel == NULL) {
		load_full();
	} else if (nat.look) {
		nat.look = false;
		nat.busy = BUSY_READING;
		state_read_rules(have_look);
	} else if (memcmp(nat.kernel->hash, nat.wanted->hash, NAT_HASH_LEN) !=
	    0) {
		load_changes();
	} else {
		/* the same, though its objects may have other indices */
		set_plan(&nat.kernel, nat.wanted);
		if (nat.grace_due && nat.role_known)
			send_grace();
	}
}

/* map fwd4 ("https"): refused: File exists */
static void
describe_failure(const struct imsg_nat_result *res, char *buf, size_t bufsz)
{
	char object[128];

	nft_label_str(&nat.batch, res->seq, nat.conf, object, sizeof(object));
	snprintf(buf, bufsz, "%s: refused: %s", object, strerror(res->error));
}

static void
on_result(const struct imsg *m)
{
	struct imsg_nat_result res;
	enum busy was = nat.busy;
	char why[CTL_TEXT_MAX];

	if (imsg_get(m, &res, sizeof(res)) == -1 || m->hdr.id != nat.batch_id ||
	    was < BUSY_LOADING)
		return;
	nat.busy = BUSY_NOT;
	nat.batches++;
	if (res.error != 0) {
		describe_failure(&res, why, sizeof(why));
		set_plan(&nat.inflight, NULL);
		if (was == BUSY_GRACE)
			nat.grace_due = true;
		failed(why);
	} else if (was == BUSY_LOADING) {
		applied(nat.inflight);
		set_plan(&nat.inflight, NULL);
		log_info("table %s: loaded in %llu us", HAGW_NFT_TABLE,
		    (unsigned long long)(nat.applied_us - nat.sent_us));
	} else {
		nat.grace_open = nat.grace_sent_ms == NAT_GRACE_OPEN;
	}
	nft_batch_free(&nat.batch);
	look_in(LOOK_AFTER_US);
	step();
}

static void
grace_later(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	nat.grace_due = true;
	step();
}

/*
 * On a new master, flows that the other one had and did not pass on in time
 * may be picked up for a while. For it to be open from the first packet on
 * it is open before, as long as nothing is forwarded here: what is left to
 * do as MASTER is to give it an end, and that can wait.
 */
static void
on_role(const struct imsg *m)
{
	bool first = !nat.role_known;
	struct imsg_vrrp_role role;
	bool was_master = nat.role == ROLE_MASTER;
	struct timeval tv = clock_tv(GRACE_LATER_US);

	if (imsg_get(m, &role, sizeof(role)) == -1)
		return;
	nat.role_known = true;
	nat.role = role.role;
	if (!first && was_master == (role.role == ROLE_MASTER))
		return;
	evtimer_del(nat.grace_later);
	if (role.role == ROLE_MASTER)
		nat.grace_until_us = clock_us() +
		    (role.age_ms < NAT_GRACE_MS ? NAT_GRACE_MS - role.age_ms
						: 0) *
			1000ull;
	if (role.role == ROLE_MASTER && nat.grace_open) {
		proc_watch(nat.grace_later, &tv);
		return;
	}
	nat.grace_due = !(first && nat.grace_read) || grace_wrong();
	step();
}

static int
check(const struct conf *next, char *why, size_t whysz)
{
	plan_free(nat.checked_plan);
	nat.checked = next;
	nat.checked_plan = plan_build(next, why, whysz);
	return nat.checked_plan == NULL ? -1 : 0;
}

static void
commit(struct conf *next)
{
	char why[CTL_TEXT_MAX];

	if (nat.checked != next || nat.checked_plan == NULL) {
		if (check(next, why, sizeof(why)) == -1)
			fatalx("%s", why);
	}
	conf_free(nat.conf);
	nat.conf = next;
	set_plan(&nat.wanted, nat.checked_plan);
	nat.checked_plan = NULL;
	nat.checked = NULL;
	show_conf_changed();
	nat.look = nat.kernel != NULL;
	/* what was refused may be mended, what waited need not any more */
	nat.retry_us = 0;
	evtimer_del(nat.retry);
	step();
}

static void
view(struct nat_view *v)
{
	uint64_t now = clock_us();

	v->conf = nat.conf;
	v->plan = nat.wanted;
	v->nat.loaded = nat.kernel != NULL && nat.kernel == nat.wanted;
	v->nat.loading = nat.kernel != NULL && nat.kernel != nat.wanted &&
	    nat.error[0] == '\0';
	v->nat.grace = nat.role_known && nat.role == ROLE_MASTER &&
	    now < nat.grace_until_us;
	v->nat.applied_us =
	    nat.applied_us == 0 ? CTL_NEVER : now - nat.applied_us;
	v->nat.batches = nat.batches;
	v->nat.failures = nat.failures;
	snprintf(v->nat.error, sizeof(v->nat.error), "%s", nat.error);
}

static const struct proc_handler handlers[] = {
    {IMSG_NAT_RESULT, on_result},
    {IMSG_NAT_CHANGED, on_changed},
    {IMSG_FD_NFT_DUMP, state_fd},
    {IMSG_VRRP_ROLE, on_role},
    {IMSG_CTL_SHOW, show_request},
};

static const struct proc_ops ops = {
    .handlers = handlers,
    .nhandlers = nitems(handlers),
    .reconf_check = check,
    .reconf_commit = commit,
};

int
main(int argc, char *argv[])
{
	proc_init(&natd_sandbox, argc, argv);
	/* another number than a predecessor's, whose parts may lie about */
	nat.batch_id = (uint32_t)clock_us();
	nat.retry = evtimer_new(proc_base(), retry, NULL);
	nat.grace_later = evtimer_new(proc_base(), grace_later, NULL);
	nat.look_again = evtimer_new(proc_base(), look_again, NULL);
	if (nat.retry == NULL || nat.grace_later == NULL ||
	    nat.look_again == NULL || state_init(proc_base()) == -1 ||
	    show_init(proc_base(), view) == -1)
		fatalx("no timer");
	look_again(-1, 0, NULL);
	proc_run(&ops);
}
