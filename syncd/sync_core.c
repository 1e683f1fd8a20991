/*
 * One node: role, peers, what goes where. Pure but for the log: time, bytes,
 * events and answers in; calls of struct sync_ops out.
 */
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <string.h>

#include "syncd.h"

#define IDLE_US   1000000 /* without peers */
#define NEWS_PART 8 /* of the flows here: a change that peers hear at once */

void
sync_tell(struct sync *s)
{
	for (int i = 0; i < CONF_NODES_MAX; i++)
		if (s->peers[i] != NULL)
			s->peers[i]->hb_at = s->now;
	s->status_due = true;
}

bool
sync_sending(const struct sync *s)
{
	if (s->role != ROLE_MASTER)
		return false;
	for (int i = 0; i < CONF_NODES_MAX; i++)
		if (s->peers[i] != NULL && s->peers[i]->tx.active)
			return true;
	return false;
}

/* A node without peers has nothing to wait for. */
bool
sync_ready(const struct sync *s)
{
	bool alone = true;

	if (s->role == ROLE_MASTER)
		return true;
	for (int i = 0; i < CONF_NODES_MAX; i++) {
		const struct peer *p = s->peers[i];

		if (p == NULL)
			continue;
		alone = false;
		if (p->up && p->hb.role == ROLE_MASTER && s->brx[i].synced)
			return true;
	}
	return alone;
}

/* With a link down it can not take over, whatever it holds. */
bool
sync_peer_ready(const struct peer *p)
{
	return (p->hb.flags & HB_READY) != 0 &&
	    (p->hb.role == ROLE_BACKUP || p->hb.role == ROLE_MASTER);
}

bool
sync_same_config(const struct sync *s, const struct peer *p)
{
	return memcmp(p->hb.hash, s->conf->h.hash, sizeof(p->hb.hash)) == 0;
}

static bool
is_master(const struct peer *p)
{
	return p != NULL && p->up && p->hb.role == ROLE_MASTER;
}

/* Of two that say they are MASTER the one that began a bulk last. */
static bool
follows_another(const struct sync *s, int i)
{
	int o = s->owner;

	return o != -1 && o != i && is_master(s->peers[o]) &&
	    (s->brx[o].synced || s->brx[o].receiving);
}

static bool
wants_bulk(const struct sync *s, int i, uint64_t now)
{
	const struct bulk_rx *b = &s->brx[i];

	return s->role != ROLE_MASTER && s->peers[i]->hb.role == ROLE_MASTER &&
	    !b->synced && !b->receiving && s->steps_known &&
	    s->steps != STEPS_ALL && s->dump.kind == DUMP_NONE &&
	    now >= b->retry_at && !follows_another(s, i);
}

/* A MASTER is told whether this node holds what is its own. */
static bool
ready_for(const struct sync *s, const struct peer *p)
{
	if (s->role != ROLE_MASTER && p->hb.role == ROLE_MASTER)
		return s->brx[p->node].synced;
	return sync_ready(s);
}

/* peer_ops */

static void
op_send(struct peer *p, const uint8_t *dgram, size_t len)
{
	struct sync *s = p->arg;

	s->ops->send(s->arg, p->node, dgram, len);
}

static void
op_heartbeat(struct peer *p, struct wire_hb *hb)
{
	struct sync *s = p->arg;
	const struct conf_head *h = &s->conf->h;

	hb->role = (uint8_t)s->role;
	hb->priority = h->nodes[h->self].priority;
	hb->flows = s->count.count;
	hb->gen_done = s->gen_done;
	hb->gen_max = s->gen_max;
	hb->steps = s->steps;
	memcpy(hb->hash, h->hash, sizeof(hb->hash));
	if (ready_for(s, p) && !s->unfit)
		hb->flags |= HB_READY;
	if (wants_bulk(s, (int)p->node, s->now))
		hb->flags |= HB_WANT_BULK;
	if (s->steps_known && s->dump.kind != DUMP_RELEASE)
		hb->flags |= HB_STEPS_VALID;
}

static void
op_heard(struct peer *p, const struct wire_hb *hb)
{
	struct sync *s = p->arg;
	int i = (int)p->node;
	struct bulk_tx *b = &s->btx[i];

	/* of a stream that was given up, no beginning is on its way any more */
	if (hb->gen_max >= b->generation || !p->tx.active)
		b->steps = 0;
	if (s->role == ROLE_MASTER && (hb->flags & HB_WANT_BULK) &&
	    !(s->dump.kind == DUMP_BULK && s->dump.peer == i))
		b->needed = true;
	if (hb->role != ROLE_MASTER && s->role != ROLE_MASTER)
		bulk_forget(s, i);
	/* it has given up the stream we hold; an older word says nothing */
	if (hb->stream > p->rx.stream ||
	    (hb->stream == p->rx.stream && !(hb->flags & HB_ACTIVE)))
		bulk_forget(s, i);
	if (s->heard_role[i] != hb->role || s->heard_flags[i] != hb->flags)
		s->status_due = true;
	/* a new master waits for our word before its bulk */
	if (s->heard_role[i] != hb->role)
		p->hb_at = s->now;
	s->heard_role[i] = hb->role;
	s->heard_flags[i] = hb->flags;
}

static void
op_updown(struct peer *p)
{
	struct sync *s = p->arg;

	s->status_due = true;
	if (p->up)
		p->hb_at = s->now;
	else if (s->dump.kind == DUMP_BULK && s->dump.peer == (int)p->node) {
		s->btx[p->node].needed = true;
		dump_abort(s); /* others may be waiting for theirs */
	}
	/* the status makes an event of it, and a log line */
	log_debug("peer %s: %s", p->name, p->up ? "up" : "down");
}

static void
op_new_epoch(struct peer *p)
{
	struct sync *s = p->arg;
	int i = (int)p->node;

	s->btx[i] = (struct bulk_tx){.needed = true, .gap = true};
	if (s->dump.peer == i &&
	    (s->dump.kind == DUMP_BULK || s->dump.kind == DUMP_SWEEP))
		dump_abort(s);
	s->brx[i] = (struct bulk_rx){0};
	s->status_due = true;
}

static void
op_new_stream(struct peer *p)
{
	struct sync *s = p->arg;

	bulk_forget(s, (int)p->node);
	s->brx[p->node].generation = 0;
}

static void
op_asked(struct peer *p, bool by_operator)
{
	struct sync *s = p->arg;
	struct imsg_ct_handover msg = {p->node, by_operator};

	log_info("peer %s: asks to take over", p->name);
	s->ops->asked(s->arg, &msg);
}

static const struct peer_ops peer_ops = {
    .send = op_send,
    .heartbeat = op_heartbeat,
    .heard = op_heard,
    .updown = op_updown,
    .new_epoch = op_new_epoch,
    .new_stream = op_new_stream,
    .asked = op_asked,
};

/* configuration and role */

void
sync_init(struct sync *s, const struct sync_ops *ops, void *arg, uint64_t now)
{
	memset(s, 0, sizeof(*s));
	s->ops = ops;
	s->arg = arg;
	s->start_us = s->now = now;
	s->role = ROLE_INIT;
	s->owner = -1;
}

static uint64_t
ring_slots(unsigned int npeers)
{
	uint64_t n = TX_TOTAL;

	while (n > TX_MIN && n * npeers > TX_TOTAL)
		n /= 2;
	return n;
}

static struct peer *
take_peer(struct sync *s, struct peer *old[], const struct conf *c, int i)
{
	const char *name = c->h.nodes[i].name;
	struct peer *p;

	for (int k = 0; k < CONF_NODES_MAX; k++) {
		if (old[k] == NULL || strcmp(old[k]->name, name) != 0 || k != i)
			continue;
		p = old[k];
		old[k] = NULL;
		return p;
	}
	s->btx[i] = (struct bulk_tx){.needed = true, .gap = true};
	s->brx[i] = (struct bulk_rx){0};
	p = peer_new(&peer_ops, s, (uint32_t)i, name,
	    ring_slots(c->h.nnodes - 1u), s->now);
	if (p == NULL)
		fatal("peer %s", name);
	/* an epoch of its own: one peer made twice must not count twice */
	crypt_init(&p->c, s->key, c->h.site, c->h.nodes[c->h.self].name, name,
	    crypt_random());
	return p;
}

/* The same key, site and name keep their peers, and so do their flows. */
static bool
same_identity(const struct sync *s, const struct conf *c, const uint8_t *key)
{
	const struct conf_head *o;

	if (s->conf == NULL)
		return false;
	o = &s->conf->h;
	return (key == NULL || memcmp(key, s->key, sizeof(s->key)) == 0) &&
	    strcmp(o->site, c->h.site) == 0 && o->self == c->h.self &&
	    strcmp(o->nodes[o->self].name, c->h.nodes[c->h.self].name) == 0;
}

/*
 * A bulk that the switch cut off is begun again; and what another filter
 * lets through is not there yet.
 */
static void
bulks_after_switch(struct sync *s, const struct filter *before, int cut)
{
	bool other = memcmp(before, &s->filter, sizeof(*before)) != 0;

	for (int i = 0; i < CONF_NODES_MAX; i++)
		if (s->role == ROLE_MASTER && s->peers[i] != NULL)
			s->btx[i].needed |= other || i == cut;
}

void
sync_configure(
    struct sync *s, const struct conf *c, const uint8_t *key, uint64_t now)
{
	static struct filter before;
	struct peer *old[CONF_NODES_MAX];
	bool same = same_identity(s, c, key);
	int cut = s->dump.kind == DUMP_BULK ? s->dump.peer : -1;

	s->now = now;
	before = s->filter;
	memcpy(old, s->peers, sizeof(old));
	memset(s->peers, 0, sizeof(s->peers));
	dump_abort(s);
	if (key != NULL)
		memcpy(s->key, key, sizeof(s->key));
	if (!same) {
		for (int i = 0; i < CONF_NODES_MAX; i++) {
			peer_free(old[i]);
			old[i] = NULL;
		}
	}
	for (int i = 0; c->h.sync.npaths > 0 && i < c->h.nnodes; i++)
		if (i != c->h.self)
			s->peers[i] = take_peer(s, old, c, i);
	for (int i = 0; i < CONF_NODES_MAX; i++) {
		peer_free(old[i]);
		if (s->peers[i] == NULL)
			s->brx[i] = (struct bulk_rx){0}; /* no end will come */
	}
	s->conf = c;
	filter_build(&s->filter, c);
	bulks_after_switch(s, &before, cut);
	sync_tell(s);
}

static void
become_master(struct sync *s)
{
	for (int i = 0; i < CONF_NODES_MAX; i++) {
		s->brx[i].synced = s->brx[i].receiving = false;
		s->btx[i] = (struct bulk_tx){
		    .needed = true, .gap = true, .fresh = true};
		if (s->peers[i] != NULL)
			tx_stop(s->peers[i]);
	}
	announced_clear(&s->announced);
	s->settle_due = true;
	s->settle_at = s->now + SETTLE_AFTER_US;
}

void
sync_role(struct sync *s, enum role role, uint64_t now)
{
	s->now = now;
	if (role == s->role)
		return;
	if (s->role == ROLE_MASTER) {
		/* the last of what we owned still goes out */
		s->ops->drain(s->arg);
		sync_flush(s, now);
		s->settle_due = false;
	}
	if (role == ROLE_MASTER || s->role == ROLE_MASTER) {
		dump_abort(s);
		s->steps_known = false;
	}
	s->role = role;
	s->role_us = now;
	coalesce_clear(&s->pending);
	if (role == ROLE_MASTER)
		become_master(s);
	sync_tell(s);
}

void
sync_unfit(struct sync *s, bool unfit)
{
	if (s->unfit == unfit)
		return;
	s->unfit = unfit;
	sync_tell(s);
}

/* what happens here */

/*
 * Picked up in its middle by the kernel (at a takeover, say), a flow becomes
 * established without an event, and assured by a later packet, whose event
 * does not say the state: only that much time is left.
 */
static bool
picked_up(const struct sync *s, const struct ct_rec *r)
{
	const uint32_t *t = s->timeouts.tcp;
	uint32_t closing = 0;

	if (r->proto != IPPROTO_TCP || !(r->status & IPS_ASSURED) ||
	    !(r->fields & CTF_STATUS) || !(r->fields & CTF_TIMEOUT) ||
	    r->fields & (CTF_TCP | CTF_OVER))
		return false;
	for (int i = TCP_CONNTRACK_FIN_WAIT; i <= TCP_CONNTRACK_CLOSE; i++)
		if (t[i] > closing)
			closing = t[i];
	return r->timeout_s > closing && !announced_has(&s->announced, r->id);
}

/*
 * An update of an established flow that was not announced creates it, and
 * what is left of an earlier one with its tuple gives way. Asked of each
 * event, before what follows it is folded in: a flow may end in the same
 * flush.
 */
static void
choose_op(struct sync *s, struct ct_rec *rec)
{
	if ((rec->fields & CTF_ID) == 0)
		return;
	if (rec->op == CT_OP_UPDATE && picked_up(s, rec)) {
		rec->tcp_state = TCP_CONNTRACK_ESTABLISHED;
		rec->fields |= CTF_TCP;
	}
	if (rec->op == CT_OP_UPDATE && (rec->fields & CTF_TCP) &&
	    rec->tcp_state == TCP_CONNTRACK_ESTABLISHED &&
	    !announced_has(&s->announced, rec->id))
		rec->op = CT_OP_NEW;
	announced_set(&s->announced, rec->id,
	    rec->op != CT_OP_DELETE && !(rec->fields & CTF_OVER));
}

/* The kernel has made a new flow of an entry; what follows is no event. */
static bool
reopened(const struct ct_rec *r)
{
	return (r->fields & CTF_TCP) && (r->fields & CTF_STATUS) &&
	    (r->status & IPS_ASSURED) &&
	    r->tcp_state < TCP_CONNTRACK_ESTABLISHED;
}

/*
 * How long the peer is to keep it. From LAST_ACK the last packet leads to
 * TIME_WAIT without an event, and may be lost.
 */
static void
say_over(const struct sync *s, struct ct_rec *rec)
{
	const uint32_t *t = s->timeouts.tcp;
	uint32_t most = t[TCP_CONNTRACK_TIME_WAIT];

	if (most < t[TCP_CONNTRACK_LAST_ACK])
		most = t[TCP_CONNTRACK_LAST_ACK];
	if (rec->tcp_state != TCP_CONNTRACK_TIME_WAIT ||
	    !(rec->fields & CTF_TIMEOUT) || rec->timeout_s > most)
		rec->timeout_s = most;
	if (!ct_tcp_over(rec->tcp_state))
		rec->tcp_state = TCP_CONNTRACK_TIME_WAIT;
	rec->fields |= CTF_TIMEOUT | CTF_TCP;
}

void
record_for_peers(const struct sync *s, struct ct_rec *rec)
{
	if (rec->fields & CTF_OVER)
		say_over(s, rec);
	else
		rec->fields &= (uint16_t)~CTF_TIMEOUT;
	rec->fields &= (uint16_t) ~(CTF_ID | CTF_OVER);
	if (reopened(rec))
		rec->tcp_state = TCP_CONNTRACK_ESTABLISHED;
}

static void
to_peers(struct sync *s, struct ct_rec *rec)
{
	record_for_peers(s, rec);
	if (rec->op == CT_OP_DELETE) {
		rec->fields = 0;
		record_mirror(rec, &rec->reply);
	}
	for (int i = 0; i < CONF_NODES_MAX; i++) {
		struct peer *p = s->peers[i];

		if (p == NULL || !p->tx.active)
			continue;
		if (!tx_record(p, s->now, ITEM_LIVE, rec)) {
			log_warnx("peer %s: %s, behind by a whole ring",
			    p->name, p->up ? "too slow" : "silent");
			bulk_behind(s, i);
		}
		s->stats.records_out++;
	}
}

void
flush_pending(struct sync *s)
{
	for (uint32_t i = 0; i < s->pending.n; i++) {
		struct ct_rec *rec = &s->pending.recs[i];

		/* noted before it is made shorter for the wire */
		if (s->dump.kind == DUMP_BULK)
			overlay_note(&s->overlay, rec);
		to_peers(s, rec);
	}
	coalesce_clear(&s->pending);
	if (s->dump.kind == DUMP_BULK && s->overlay.overflow) {
		log_warnx("peer %s: too many changes during its bulk, which "
			  "begins anew",
		    s->peers[s->dump.peer]->name);
		bulk_behind(s, s->dump.peer);
	}
}

static void
event(struct sync *s, struct ct_rec *rec)
{
	if (!filter_pass(&s->filter, rec) || !filter_mature(rec)) {
		s->stats.filtered++;
		return;
	}
	choose_op(s, rec);
	if (coalesce_add(&s->pending, rec))
		return;
	flush_pending(s);
	coalesce_add(&s->pending, rec);
}

void
sync_events(struct sync *s, struct ct_rec *recs, size_t n, uint64_t now)
{
	s->stats.events += n;
	s->now = now;
	if (!s->sending)
		return;
	for (size_t i = 0; i < n; i++)
		announced_fetch(&s->announced, recs[i].id);
	for (size_t i = 0; i < n; i++)
		event(s, &recs[i]);
}

void
sync_overrun(struct sync *s)
{
	s->stats.overruns++;
	if (s->role != ROLE_MASTER)
		return;
	for (int i = 0; i < CONF_NODES_MAX; i++)
		bulk_behind(s, i);
}

void
sync_applied(struct sync *s, uint32_t id, const struct imsg_ct_fail *fails,
    uint32_t nfail, uint64_t now)
{
	s->now = now;
	apply_done(s, now, id, fails, nfail);
	sync_deliver(s, now);
}

/* orders from the parent */

void
sync_handover(struct sync *s, bool by_operator, uint64_t now)
{
	s->now = now;
	for (int i = 0; i < CONF_NODES_MAX; i++) {
		struct peer *p = s->peers[i];

		if (p != NULL && p->up && p->hb.role == ROLE_MASTER) {
			peer_ask_handover(p, now, by_operator);
			return;
		}
	}
	log_warnx("handover: no peer that is up says it is MASTER");
}

void
sync_count(struct sync *s, const struct imsg_ct_count *count)
{
	uint64_t was = s->count.count;
	uint64_t diff =
	    count->count > was ? count->count - was : was - count->count;

	s->count = *count;
	s->status_due = true;
	if (diff > was / NEWS_PART)
		sync_tell(s);
}

/* time */

static void
send_status(struct sync *s)
{
	for (int i = 0; i < CONF_NODES_MAX; i++) {
		const struct peer *p = s->peers[i];
		struct imsg_ct_status m = {.node = (uint32_t)i};

		if (p == NULL)
			continue;
		m.up = p->up;
		m.role = p->hb.role;
		m.ready = p->up && sync_peer_ready(p) &&
		    (s->role != ROLE_MASTER || bulk_whole(s, i));
		m.self_ready = sync_ready(s);
		memcpy(m.hash, p->hb.hash, sizeof(m.hash));
		m.unconfirmed = p->tx.unconfirmed;
		m.lag_us = tx_lag_us(&p->tx, s->now);
		m.flows = p->hb.flows;
		m.seen_us = p->seen_us == 0 ? CTL_NEVER : s->now - p->seen_us;
		s->ops->status(s->arg, &m);
	}
	s->status_due = false;
}

void
sync_flush(struct sync *s, uint64_t now)
{
	s->now = now;
	flush_pending(s);
	apply_flush(s);
	dump_turn(s);
	s->sending = sync_sending(s);
	for (int i = 0; i < CONF_NODES_MAX; i++)
		if (s->peers[i] != NULL)
			peer_flush(s->peers[i], now);
	barrier_turn(s);
	if (s->status_due)
		send_status(s);
}

/* The new owner has long told what there is to tell. */
static void
stop_telling(struct sync *s)
{
	if (s->role == ROLE_MASTER || s->now - s->role_us < GRACE_US)
		return;
	for (int i = 0; i < CONF_NODES_MAX; i++)
		if (s->peers[i] != NULL && s->peers[i]->tx.active)
			tx_stop(s->peers[i]);
}

void
sync_timer(struct sync *s, uint64_t now)
{
	s->now = now;
	stop_telling(s);
	for (int i = 0; i < CONF_NODES_MAX; i++)
		if (s->peers[i] != NULL)
			peer_timer(s->peers[i], now);
	sync_flush(s, now);
}

void
sync_late(struct sync *s, bool late)
{
	for (int i = 0; i < CONF_NODES_MAX; i++)
		if (s->peers[i] != NULL)
			s->peers[i]->late = late;
}

bool
sync_listens(const struct sync *s)
{
	if (s->barrier.on || s->dump.kind == DUMP_BULK)
		return true;
	for (int i = 0; i < CONF_NODES_MAX; i++)
		if (s->peers[i] != NULL && tx_held(&s->peers[i]->tx))
			return true;
	return false;
}

bool
sync_patient(const struct sync *s)
{
	if (s->barrier.on || s->dump.kind != DUMP_NONE ||
	    s->apply.n > APPLY_INFLIGHT / 2)
		return false;
	for (int i = 0; i < CONF_NODES_MAX; i++)
		if (s->brx[i].receiving && s->peers[i]->up)
			return false;
	return true;
}

uint64_t
sync_deadline(const struct sync *s, uint64_t now)
{
	uint64_t at = now + IDLE_US;

	for (int i = 0; i < CONF_NODES_MAX; i++) {
		uint64_t t;

		if (s->peers[i] == NULL)
			continue;
		if ((t = peer_deadline(s->peers[i])) < at)
			at = t;
	}
	if (s->barrier.on && s->barrier.until_us < at)
		at = s->barrier.until_us;
	/* once past it the dump's own descriptor calls, at a lower priority */
	if (s->dump.kind == DUMP_SETTLE && s->dump.open &&
	    s->dump.read_us + SETTLE_PACE_US > now &&
	    s->dump.read_us + SETTLE_PACE_US < at)
		at = s->dump.read_us + SETTLE_PACE_US;
	return at;
}
