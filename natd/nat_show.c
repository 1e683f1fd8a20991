/*
 * Rows for "hactl show nat". Hits are counters in the kernel's elements:
 * they are dumped first, then every request that waits is answered. Rows go
 * out no faster than the parent takes them.
 */
#include <sys/queue.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "clock.h"
#include "log.h"
#include "natd.h"
#include "proc.h"

#define SHOW_WAITING_MAX 16
#define SHOW_BACKLOG     256 /* messages ahead of the parent */
#define SHOW_PAUSE_US    2000 /* until it has taken some */

struct request {
	TAILQ_ENTRY(request) entry;
	uint32_t id;
	char name[CONF_NAME_MAX]; /* of one rule; empty: all */
	bool begun;
	uint32_t next; /* row: sources, then forwards, then warnings */
	unsigned int rows;
};

static struct {
	struct event *timer;
	void (*view)(struct nat_view *);
	TAILQ_HEAD(, request) requests;
	unsigned int nrequests;
	bool collecting;
	bool stale; /* the conf changed while collecting */
	size_t next_set;
	uint64_t *hits; /* sources, then forwards */
	uint32_t nhits;
} show;

static const enum nat_set counted[] = {NS_SRC4, NS_FWD4, NS_FWD4R};

static void collect(void);

static void
pause_us(uint64_t us)
{
	struct timeval tv = clock_tv(us);

	proc_watch(show.timer, &tv);
}

static void
end_request(struct request *r, int code, const char *why)
{
	proc_ctl_end(r->id, code, "%s", why);
	TAILQ_REMOVE(&show.requests, r, entry);
	show.nrequests--;
	free(r);
}

static void
ports(char *buf, size_t sz, uint16_t lo, uint16_t hi)
{
	if (lo == hi)
		snprintf(buf, sz, "%u", lo);
	else
		snprintf(buf, sz, "%u-%u", lo, hi);
}

static void
row_source(struct ctl_nat_rule *row, const struct conf *c, uint32_t i)
{
	const struct conf_source *s = &c->sources[i];
	char a[ADDR_STRLEN];

	snprintf(row->name, sizeof(row->name), "%s", s->name);
	snprintf(row->kind, sizeof(row->kind), "source");
	snprintf(row->match, sizeof(row->match), "%s -> %s",
	    c->h.nets[s->from].name, c->h.nets[s->to].name);
	snprintf(row->becomes, sizeof(row->becomes), "%s",
	    addr_str4(a, c->h.nets[s->to].vip));
}

static void
row_forward(struct ctl_nat_rule *row, const struct conf *c, uint32_t i)
{
	const struct conf_forward *f = &c->forwards[i];
	char a[ADDR_STRLEN], p[16];

	snprintf(row->name, sizeof(row->name), "%s", f->name);
	snprintf(row->kind, sizeof(row->kind), "forward");
	ports(p, sizeof(p), f->lo, f->hi);
	snprintf(row->match, sizeof(row->match), "%s %s/%s",
	    c->h.nets[f->on].name, f->proto == IPPROTO_TCP ? "tcp" : "udp", p);
	addr_str4(a, f->to);
	ports(p, sizeof(p), f->to_port, f->to_port + (f->hi - f->lo));
	if (f->lo != f->hi && f->to_port == f->lo)
		snprintf(row->becomes, sizeof(row->becomes), "%s", a);
	else
		snprintf(row->becomes, sizeof(row->becomes), "%s:%s", a, p);
	row->hairpin = f->hairpin;
}

static void
send_rule(struct request *r, const struct conf *c, uint32_t i)
{
	struct ctl_nat_rule row;

	memset(&row, 0, sizeof(row));
	if (i < c->h.nsources)
		row_source(&row, c, i);
	else
		row_forward(&row, c, i - c->h.nsources);
	if (r->name[0] != '\0' && strcmp(r->name, row.name) != 0)
		return;
	if (i < show.nhits)
		row.hits = show.hits[i];
	r->rows++;
	proc_send(IMSG_CTL_NAT_RULE, r->id, &row, sizeof(row));
}

static void
send_warning(struct request *r, const char *object, const char *text)
{
	struct ctl_warning w;

	memset(&w, 0, sizeof(w));
	snprintf(w.object, sizeof(w.object), "%s", object);
	snprintf(w.text, sizeof(w.text), "%s", text);
	snprintf(w.hint, sizeof(w.hint), "hactl show nat");
	proc_send(IMSG_CTL_WARNING, r->id, &w, sizeof(w));
}

static void
send_head(struct request *r, const struct nat_view *v)
{
	struct ctl_nat nat = v->nat;
	char text[CTL_TEXT_MAX];

	if (v->conf != NULL) {
		nat.sources = v->conf->h.nsources;
		nat.forwards = v->conf->h.nforwards;
	}
	proc_send(IMSG_CTL_NAT, r->id, &nat, sizeof(nat));
	if (nat.loaded)
		return;
	snprintf(text, sizeof(text), "the kernel does not have the rules%s%.*s",
	    nat.error[0] != '\0' ? ": " : " yet", CTL_TEXT_MAX - 48, nat.error);
	send_warning(r, "nat", text);
}

static void
send_tail(struct request *r, const struct nat_view *v)
{
	size_t i;

	for (i = 0; v->plan != NULL && i < v->plan->nwarnings; i++)
		send_warning(
		    r, v->plan->warnings[i].object, v->plan->warnings[i].text);
	if (r->name[0] != '\0' && r->rows == 0)
		end_request(r, 2, "no nat rule has this name");
	else
		end_request(r, 0, "");
}

/* Some rows of one request. */
static void
answer(struct request *r)
{
	struct nat_view v;
	uint32_t n;

	memset(&v, 0, sizeof(v));
	show.view(&v);
	if (!r->begun) {
		r->begun = true;
		send_head(r, &v);
	}
	n = v.conf == NULL ? 0 : v.conf->h.nsources + v.conf->h.nforwards;
	while (r->next < n && proc_backlog() < SHOW_BACKLOG)
		send_rule(r, v.conf, r->next++);
	if (r->next >= n)
		send_tail(r, &v);
}

static void
work(int fd, short what, void *arg)
{
	struct request *r;

	(void)fd;
	(void)what;
	(void)arg;
	while ((r = TAILQ_FIRST(&show.requests)) != NULL &&
	    proc_backlog() < SHOW_BACKLOG)
		answer(r);
	if (r != NULL)
		pause_us(SHOW_PAUSE_US);
}

static void
count_hit(void *arg, const struct nat_elem *key, uint64_t packets)
{
	const struct nat_elem *e;
	struct nat_view v;
	uint32_t i;

	(void)arg;
	if (show.stale || packets == 0)
		return;
	memset(&v, 0, sizeof(v));
	show.view(&v);
	if (v.plan == NULL || (e = plan_find(v.plan, key)) == NULL)
		return;
	i = e->obj + (e->set == NS_SRC4 ? 0 : v.conf->h.nsources);
	if (i < show.nhits)
		show.hits[i] += packets;
}

/* A dump that failed leaves its counts at 0; the rest is still true. */
static void
collected(void *arg, enum state_result res)
{
	(void)arg;
	(void)res;
	if (show.stale) {
		show.collecting = false;
		collect();
		return;
	}
	if (++show.next_set < nitems(counted)) {
		state_read_hits(
		    counted[show.next_set], count_hit, collected, NULL);
		return;
	}
	show.collecting = false;
	work(-1, 0, NULL);
}

static void
collect(void)
{
	struct nat_view v;

	if (show.collecting)
		return;
	memset(&v, 0, sizeof(v));
	show.view(&v);
	free(show.hits);
	show.hits = NULL;
	show.nhits = 0;
	show.stale = false;
	if (v.conf == NULL || !v.nat.loaded) {
		work(-1, 0, NULL);
		return;
	}
	show.nhits = v.conf->h.nsources + v.conf->h.nforwards;
	show.hits = calloc(show.nhits + 1, sizeof(*show.hits));
	if (show.hits == NULL)
		fatal("nat: counters");
	show.collecting = true;
	show.next_set = 0;
	state_read_hits(counted[0], count_hit, collected, NULL);
}

void
show_request(const struct imsg *m)
{
	struct ctl_request req;
	struct request *r;

	if (imsg_get(m, &req, sizeof(req)) == -1)
		return;
	if (req.what != CTL_SHOW_NAT) {
		proc_ctl_end(m->hdr.id, 1, "natd does not know this");
		return;
	}
	if (show.nrequests == SHOW_WAITING_MAX ||
	    (r = calloc(1, sizeof(*r))) == NULL) {
		proc_ctl_end(m->hdr.id, 1, "natd has %d requests to answer",
		    SHOW_WAITING_MAX);
		return;
	}
	r->id = m->hdr.id;
	snprintf(r->name, sizeof(r->name), "%.*s", (int)sizeof(req.arg) - 1,
	    req.arg);
	TAILQ_INSERT_TAIL(&show.requests, r, entry);
	show.nrequests++;
	if (req.flags & CTL_F_BRIEF) {
		r->next = UINT32_MAX; /* past the last rule: no counts needed */
		if (!show.collecting)
			work(-1, 0, NULL);
		return;
	}
	/* while rows of another request go out, its counts are fresh enough */
	if (show.nrequests == 1)
		collect();
}

/* Rows already out are of the old conf: who asked has to ask again. */
void
show_conf_changed(void)
{
	struct request *r, *next;

	show.stale = true;
	for (r = TAILQ_FIRST(&show.requests); r != NULL; r = next) {
		next = TAILQ_NEXT(r, entry);
		if (r->begun)
			end_request(r, 1, "the configuration just changed");
	}
	if (!TAILQ_EMPTY(&show.requests) && !show.collecting)
		collect();
}

int
show_init(struct event_base *base, void (*view)(struct nat_view *))
{
	TAILQ_INIT(&show.requests);
	show.view = view;
	if ((show.timer = evtimer_new(base, work, NULL)) == NULL)
		return -1;
	return 0;
}
