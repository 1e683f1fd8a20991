/* Nodes in memory, their kernels and what lies between: see sim.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "sim.h"

static struct sim *current;

uint32_t
sim_random(struct sim *m, uint32_t below)
{
	m->rnd ^= m->rnd << 13;
	m->rnd ^= m->rnd >> 7;
	m->rnd ^= m->rnd << 17;
	return (uint32_t)(m->rnd >> 16) % below;
}

/* The tuple of slot i, and what NAT made of it. */
static void
flow_tuple(struct ct_rec *r, int i)
{
	memset(r, 0, sizeof(*r));
	r->family = AF_INET;
	r->proto = i % 3 == 0 ? IPPROTO_UDP : IPPROTO_TCP;
	r->orig.src.w[0] = htonl(0x0a000a00u + (uint32_t)i % 200);
	r->orig.dst.w[0] = htonl(0xcb007150u);
	r->orig.sport = htons((uint16_t)(1024 + i));
	r->orig.dport = htons(443);
}

static int
flow_slot(const struct ct_rec *r)
{
	return ntohs(r->orig.sport) - 1024;
}

static void
flow_make(struct sim *m, struct sim_host *h, int i)
{
	struct sim_flow *f = &h->flows[i];

	flow_tuple(&f->rec, i);
	record_mirror(&f->rec, &f->rec.reply);
	f->rec.reply.dst.w[0] = htonl(0xc00002fau);
	/* often the same port again, as the kernel prefers it */
	f->rec.reply.dport = sim_random(m, 2) == 0
	    ? f->rec.orig.sport
	    : htons((uint16_t)(2000 + sim_random(m, 60000)));
	f->rec.status = IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED |
	    IPS_SRC_NAT | IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE;
	f->rec.mark = sim_random(m, 3);
	f->rec.timeout_s = 300;
	f->rec.id = ++h->next_id;
	f->rec.fields = CTF_STATUS | CTF_TIMEOUT | CTF_MARK | CTF_ID;
	if (f->rec.proto == IPPROTO_TCP) {
		f->rec.tcp_state = TCP_CONNTRACK_ESTABLISHED;
		f->rec.fields |= CTF_TCP | CTF_TCP_WIN;
	}
	f->alive = true;
	f->ends_at = 0;
}

static bool
is_over(const struct sim_flow *f)
{
	return ct_tcp_over(f->rec.tcp_state);
}

/* As natd's rules have the kernel tell it: not its end. */
static void
flow_over(struct sim *m, struct sim_flow *f)
{
	f->rec.tcp_state = TCP_CONNTRACK_LAST_ACK;
	f->rec.fields |= CTF_OVER;
	f->rec.timeout_s = 30;
	f->ends_at = m->now + SIM_OVER_S * 1000000;
}

static void
event_put(struct sim_host *h, const struct ct_rec *r, enum ct_op op)
{
	assert_true(h->ev_tail - h->ev_head < SIM_EVENTS);
	h->events[h->ev_tail % SIM_EVENTS] = *r;
	h->events[h->ev_tail++ % SIM_EVENTS].op = (uint8_t)op;
}

/*
 * The owner's traffic: a flow begins, changes, is over (and its port is used
 * again before it is forgotten) or ends; half of it where one of the two
 * kernels is being read just now.
 */
void
sim_change(struct sim *m, struct sim_host *h)
{
	int at = m->h[sim_random(m, (uint32_t)m->nodes)].cursor -
	    (int)sim_random(m, 60);
	int i = at >= 0 && at < SIM_FLOWS && sim_random(m, 2) == 0
	    ? at
	    : (int)sim_random(m, SIM_FLOWS);
	struct sim_flow *f = &h->flows[i];
	struct ct_rec ev;

	if (!f->alive || is_over(f)) {
		flow_make(m, h, i);
		event_put(h, &f->rec, CT_OP_NEW);
	} else if (f->rec.proto == IPPROTO_TCP && sim_random(m, 5) == 0) {
		flow_over(m, f);
		ev = f->rec;
		/* a FIN repeated led to that state before */
		if (sim_random(m, 3) == 0)
			ev.fields &= (uint16_t) ~(CTF_TCP | CTF_TCP_WIN);
		event_put(h, &ev, CT_OP_UPDATE);
	} else if (sim_random(m, 3) == 0) {
		f->alive = false;
		event_put(h, &f->rec, CT_OP_DELETE);
	} else {
		f->rec.mark = 1 + sim_random(m, 1000);
		ev = f->rec;
		if (sim_random(m, 2) == 0)
			ev.fields &= (uint16_t) ~(CTF_TCP | CTF_TCP_WIN);
		event_put(h, &ev, CT_OP_UPDATE);
	}
}

void
sim_fill(struct sim *m, int host, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		flow_make(m, &m->h[host], (int)i);
}

/* What is over and is to be another flow gives way: see kct_exists. */
static bool
other_flow(const struct sim_flow *f, const struct ct_rec *r)
{
	return memcmp(&f->rec.reply, &r->reply, sizeof(r->reply)) != 0 ||
	    (r->op == CT_OP_NEW && is_over(f) &&
		r->tcp_state == TCP_CONNTRACK_ESTABLISHED);
}

static void
set_end(struct sim_flow *f)
{
	f->ends_at = f->rec.timeout_s > HELD_MIN_S
	    ? 0
	    : current->now + f->rec.timeout_s * 1000000ULL;
}

/* What hagwd does with one record. */
static int
kernel_apply(struct sim_host *h, const struct ct_rec *r)
{
	struct sim_flow *f = &h->flows[flow_slot(r)];
	uint32_t id = f->rec.id;

	switch ((enum ct_op)r->op) {
	case CT_OP_DELETE:
		if (f->alive && (!(r->fields & CTF_ID) || r->id == f->rec.id))
			f->alive = false;
		return 0;
	case CT_OP_TIMEOUT:
		if (!f->alive)
			return ENOENT;
		f->rec.timeout_s = r->timeout_s;
		set_end(f);
		return 0;
	case CT_OP_NEW:
	case CT_OP_UPDATE:
		break;
	}
	if (!f->alive || other_flow(f, r)) {
		f->rec = *r;
		f->rec.fields |= CTF_ID | CTF_MARK;
		f->rec.id = ++h->next_id;
		f->alive = true;
	} else {
		record_merge(&f->rec, r);
		f->rec.id = id;
	}
	set_end(f);
	return 0;
}

/* sync_ops */

static void
op_send(void *arg, uint32_t node, const uint8_t *dgram, size_t len)
{
	struct sim *m = current;
	unsigned int copies = 1 + (sim_random(m, 100) < m->repeat);
	int from = (int)((struct sim_host *)arg - m->h);

	for (unsigned int i = 0; i < copies; i++) {
		struct sim_packet *p;

		if (m->cut || m->lone == from || m->lone == (int)node ||
		    sim_random(m, 100) < m->loss || m->npackets == SIM_PACKETS)
			continue;
		p = &m->net[m->npackets++];
		p->at = m->now + 100 + sim_random(m, m->jitter_us + 1);
		p->from = from;
		p->to = (int)node;
		p->len = len;
		memcpy(p->buf, dgram, len);
	}
}

static void
op_inject(void *arg, uint32_t id, const struct ct_rec *recs, size_t n)
{
	struct sim_host *h = arg;
	struct sim_inject *in = &h->injects[h->in_tail++ % APPLY_BATCHES];

	assert_true(h->in_tail - h->in_head <= APPLY_BATCHES);
	assert_in_range(n, 1, APPLY_BATCH);
	in->at = current->now + 200 + sim_random(current, 800);
	in->id = id;
	in->n = n;
	memcpy(in->recs, recs, n * sizeof(*recs));
}

static void
dump_ahead(struct sim_host *h)
{
	h->nahead = 0;
	while (h->cursor < SIM_FLOWS && h->nahead < SIM_CHUNK) {
		const struct sim_flow *f = &h->flows[h->cursor++];
		struct ct_rec *r;

		if (!f->alive)
			continue;
		r = &h->ahead[h->nahead];
		*r = f->rec;
		if (is_over(f) && r->id % 2 == 0) /* since, without an event */
			r->tcp_state = TCP_CONNTRACK_TIME_WAIT;
		if (f->ends_at != 0)
			r->timeout_s =
			    (uint32_t)((f->ends_at - current->now) / 1000000);
		h->nahead++;
	}
}

static void
op_dump(void *arg, uint32_t id)
{
	struct sim_host *h = arg;

	h->dump_asked = true;
	h->dump_at = current->now + 300;
	h->dump_id = id;
	h->dumps++;
}

static void
op_dump_close(void *arg)
{
	struct sim_host *h = arg;

	h->dump_asked = false;
}

static void
op_status(void *arg, const struct imsg_ct_status *msg)
{
	struct sim_host *h = arg;

	h->status[msg->node] = *msg;
}

static void
op_barrier_done(void *arg, const struct imsg_ct_barrier *msg)
{
	struct sim_host *h = arg;

	h->barrier = *msg;
	h->barriers++;
}

static void
op_asked(void *arg, const struct imsg_ct_handover *msg)
{
	struct sim_host *h = arg;

	h->asked++;
	h->asked_operator = msg->operator!= 0;
}

static void
op_drain(void *arg)
{
	struct sim_host *h = arg;

	while (h->ev_head != h->ev_tail) {
		size_t at = h->ev_head % SIM_EVENTS;
		size_t n = h->ev_tail - h->ev_head;

		if (n > SIM_EVENTS - at)
			n = SIM_EVENTS - at;
		h->ev_head += n;
		sync_events(&h->s, &h->events[at], n, current->now);
	}
}

static const char *
op_where(void *arg, uint32_t node)
{
	(void)arg;
	(void)node;
	return "memory";
}

static const struct sync_ops ops = {
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

/* The clock */

static void
run_injects(struct sim *m, struct sim_host *h)
{
	while (h->in_head != h->in_tail && m->now >= h->stuck_until) {
		struct sim_inject *in = &h->injects[h->in_head % APPLY_BATCHES];
		struct imsg_ct_fail fails[APPLY_BATCH];
		uint32_t nfail = 0, id = in->id;

		if (in->at > m->now)
			return;
		for (size_t i = 0; i < in->n; i++) {
			int e = kernel_apply(h, &in->recs[i]);

			if (e != 0)
				fails[nfail++] =
				    (struct imsg_ct_fail){(uint32_t)i, e};
		}
		h->in_head++;
		if (h->running)
			sync_applied(&h->s, id, fails, nfail, m->now);
	}
}

static void
run_dump(struct sim *m, struct sim_host *h)
{
	if (!h->dump_asked || m->now < h->dump_at)
		return;
	/* the parent answers in order: what was injected before is in */
	if (!h->s.dump.open && h->s.dump.kind != DUMP_NONE) {
		if (h->in_head != h->in_tail)
			return;
		h->cursor = 0;
		h->ahead_end = false;
		dump_ahead(h);
		sync_dump_opened(&h->s);
	}
	for (int i = 0; i < 4 && sync_dump_wanted(&h->s, m->now); i++) {
		struct ct_rec recs[SIM_CHUNK];
		unsigned int n = h->nahead;

		sync_dump_read(&h->s, m->now);
		memcpy(recs, h->ahead, sizeof(recs));
		if (n == 0) {
			h->dump_asked = false;
			sync_dump_done(&h->s, true, m->now);
			return;
		}
		dump_ahead(h); /* the kernel is one read ahead */
		for (unsigned int k = 0; k < n; k++)
			sync_dump_record(&h->s, &recs[k], m->now);
		if (!h->dump_asked)
			return;
	}
}

static void
run_host(struct sim *m, struct sim_host *h)
{
	run_injects(m, h);
	if (!h->running)
		return;
	if (m->now % 1000000 < SIM_TICK_US)
		sync_count(&h->s, &(struct imsg_ct_count){0});
	if (m->now / 1000 % 2 == 0 || sim_random(m, 4) == 0)
		op_drain(h);
	if (sim_random(m, 2) == 0)
		sync_flush(&h->s, m->now);
	if (sim_random(m, 3) == 0)
		run_dump(m, h);
	sync_deliver(&h->s, m->now);
	if (sync_deadline(&h->s, m->now) <= m->now)
		sync_timer(&h->s, m->now);
	sync_flush(&h->s, m->now);
}

static void
run_net(struct sim *m)
{
	for (unsigned int i = 0; i < m->npackets;) {
		struct sim_packet p;

		if (m->net[i].at > m->now) {
			i++;
			continue;
		}
		p = m->net[i];
		m->net[i] = m->net[--m->npackets];
		m->carried++;
		if (m->h[p.to].running)
			sync_input(&m->h[p.to].s, (uint32_t)p.from, p.buf,
			    p.len, m->now);
	}
}

/*
 * The kernel forgets, and tells nobody; but the end of an entry that came in
 * by netlink it tells who listens.
 */
static void
run_ends(struct sim *m, struct sim_host *h)
{
	for (int i = 0; i < SIM_FLOWS; i++) {
		struct sim_flow *f = &h->flows[i];

		if (f->ends_at == 0 || f->ends_at > m->now)
			continue;
		f->alive = false;
		f->ends_at = 0;
		if (h->running && h->s.role == ROLE_MASTER &&
		    !(f->rec.fields & CTF_OVER))
			event_put(h, &f->rec, CT_OP_DELETE);
	}
}

void
sim_run(struct sim *m, uint64_t us, unsigned int churn)
{
	for (uint64_t end = m->now + us; m->now < end; m->now += SIM_TICK_US) {
		for (int i = 0; i < m->nodes; i++)
			for (unsigned int k = 0; k < churn; k++)
				if (m->h[i].s.role == ROLE_MASTER)
					sim_change(m, &m->h[i]);
		for (int i = 0; i < m->nodes; i++)
			if (m->now % 10000 < SIM_TICK_US)
				run_ends(m, &m->h[i]);
		run_net(m);
		for (int i = 0; i < m->nodes; i++)
			run_host(m, &m->h[i]);
	}
}

static bool
settled(const struct sim *m, int master, int i)
{
	const struct sync *a = &m->h[master].s;
	const struct sim_host *b = &m->h[i];

	return a->peers[i]->tx.unconfirmed == 0 && a->peers[i]->tx.active &&
	    !a->btx[i].needed && sync_ready(&b->s) &&
	    b->in_head == b->in_tail && b->s.dump.kind == DUMP_NONE;
}

bool
sim_settle(struct sim *m, int master, uint64_t limit_us)
{
	const struct sim_host *a = &m->h[master];

	for (uint64_t end = m->now + limit_us; m->now < end;) {
		bool all = true;

		sim_run(m, 50000, 0);
		for (int i = 0; i < m->nodes; i++)
			all &= i == master || settled(m, master, i);
		if (all && a->ev_head == a->ev_tail &&
		    a->s.dump.kind != DUMP_BULK)
			return true;
	}
	return false;
}

void
sim_start(struct sim *m, int host)
{
	struct sim_host *h = &m->h[host];
	enum role role = h->s.role;
	uint8_t key[HAGW_SYNC_KEYLEN];

	memset(key, 7, sizeof(key));
	sync_init(&h->s, &ops, h, m->now);
	sync_configure(&h->s, m->conf[host], key, m->now);
	h->s.timeouts.udp_replied = 120;
	h->s.timeouts.tcp[TCP_CONNTRACK_ESTABLISHED] = 432000;
	h->s.timeouts.tcp[TCP_CONNTRACK_TIME_WAIT] = SIM_OVER_S;
	h->running = true;
	h->dump_asked = false;
	h->in_head = h->in_tail;
	h->ev_head = h->ev_tail;
	if (role != ROLE_INIT)
		sync_role(&h->s, role, m->now);
}

void
sim_stop(struct sim *m, int host)
{
	struct sim_host *h = &m->h[host];

	for (int i = 0; i < CONF_NODES_MAX; i++) {
		peer_free(h->s.peers[i]);
		h->s.peers[i] = NULL;
	}
	h->running = false;
	h->ev_head = h->ev_tail;
}

void
sim_role(struct sim *m, int host, enum role role)
{
	sync_role(&m->h[host].s, role, m->now);
}

static void
quiet(int pri, const char *line)
{
	(void)pri;
	(void)line;
}

static struct conf *
make_conf(uint8_t self, int nodes)
{
	struct conf *c = conf_new();

	assert_non_null(c);
	strcpy(c->h.site, "test");
	for (int i = 0; i < nodes; i++) {
		c->h.nodes[i].name[0] = (char)('a' + i);
		c->h.nets[0].addr[i].s_addr = htonl(0xc0000201u + (uint32_t)i);
	}
	c->h.nnodes = (uint8_t)nodes;
	c->h.self = self;
	c->h.nnets = 1;
	c->h.nets[0].plen = 24;
	c->h.nets[0].vip.s_addr = htonl(0xc00002fau);
	c->h.sync.npaths = 1;
	c->h.sync.protocols = CONF_PROTO_ALL;
	c->h.ha.advertise_us = 200000;
	return c;
}

struct sim *
sim_new(uint64_t seed)
{
	return sim_new_of(seed, 2);
}

struct sim *
sim_new_of(uint64_t seed, int nodes)
{
	struct sim *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	log_setsink(quiet);
	current = m;
	m->now = 1000000;
	m->rnd = seed * 0x9e3779b97f4a7c15ULL + 1;
	m->lone = -1;
	m->nodes = nodes;
	for (int i = 0; i < nodes; i++) {
		m->conf[i] = make_conf((uint8_t)i, nodes);
		sim_start(m, i);
		sim_role(m, i, ROLE_BACKUP);
	}
	return m;
}

void
sim_free(struct sim *m)
{
	for (int i = 0; i < m->nodes; i++) {
		sim_stop(m, i);
		conf_free(m->conf[i]);
	}
	free(m);
}

static bool
ends_soon(const struct sim *m, const struct sim_flow *f)
{
	return !f->alive ||
	    (f->ends_at != 0 && f->ends_at <= m->now + SIM_OVER_S * 1000000);
}

/*
 * x is the owner's. An entry that it got as a standby is held there until it
 * settles, or has its end told.
 */
static bool
same_flow(
    const struct sim *m, const struct sim_flow *x, const struct sim_flow *y)
{
	if (x->alive && is_over(x))
		return ends_soon(m, y) || !(x->rec.fields & CTF_OVER);
	if (!x->alive || ends_soon(m, y))
		return !x->alive && ends_soon(m, y);
	return (memcmp(&x->rec.orig, &y->rec.orig, sizeof(x->rec.orig)) == 0 &&
	    memcmp(&x->rec.reply, &y->rec.reply, sizeof(x->rec.reply)) == 0 &&
	    x->rec.mark == y->rec.mark && x->rec.status == y->rec.status);
}

unsigned int
sim_differences(const struct sim *m)
{
	unsigned int n = 0;
	int owner = 0;

	while (owner < m->nodes - 1 && m->h[owner].s.role != ROLE_MASTER)
		owner++;
	if (m->h[owner].s.role != ROLE_MASTER)
		owner = 0;
	for (int k = 0; k < m->nodes; k++)
		for (int i = 0; i < SIM_FLOWS; i++)
			n += k != owner &&
			    !same_flow(
				m, &m->h[owner].flows[i], &m->h[k].flows[i]);
	return n;
}

unsigned int
sim_count(const struct sim *m, int host)
{
	unsigned int n = 0;

	for (int i = 0; i < SIM_FLOWS; i++)
		n += m->h[host].flows[i].alive;
	return n;
}
