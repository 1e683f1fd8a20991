/*
 * Records to the parent, in batches, in order, with a bound on what is under
 * way. A peer's datagrams are acknowledged as applied when the batch that
 * holds their last record came back.
 */
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "syncd.h"

#define WSCALE_MAX 14 /* RFC 7323 */

/* What may be told to another kernel. */
#define STATUS_KEPT                                                   \
	(IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED | IPS_SRC_NAT | \
	    IPS_DST_NAT | IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE)

static void
sanitise_tcp(struct ct_rec *r)
{
	/* simultaneous open, SYN_SENT2, is half-open too: not worth having */
	if (r->tcp_state > TCP_CONNTRACK_CLOSE) {
		r->fields &= (uint16_t)~CTF_TCP;
		r->tcp_state = TCP_CONNTRACK_NONE;
	}
	if (!(r->fields & CTF_TCP) && r->op == CT_OP_NEW &&
	    (r->status & IPS_ASSURED)) {
		r->tcp_state = TCP_CONNTRACK_ESTABLISHED;
		r->fields |= CTF_TCP;
	}
	if (r->wscale_orig > WSCALE_MAX)
		r->wscale_orig = WSCALE_MAX;
	if (r->wscale_reply > WSCALE_MAX)
		r->wscale_reply = WSCALE_MAX;
	if (!(r->fields & CTF_TCP_WIN))
		return;
	/* the kernel takes the scales only when both directions have it */
	if (r->wscale_orig != 0 || r->wscale_reply != 0) {
		r->tcp_flags_orig |= IP_CT_TCP_FLAG_WINDOW_SCALE;
		r->tcp_flags_reply |= IP_CT_TCP_FLAG_WINDOW_SCALE;
	}
	/* sequence numbers are not sent: the windows must not be judged */
	r->tcp_flags_orig |= IP_CT_TCP_FLAG_BE_LIBERAL;
	r->tcp_flags_reply |= IP_CT_TCP_FLAG_BE_LIBERAL;
}

static void
forget_tcp(struct ct_rec *r)
{
	r->fields &= (uint16_t) ~(CTF_TCP | CTF_TCP_WIN);
	r->tcp_state = TCP_CONNTRACK_NONE;
	r->wscale_orig = r->wscale_reply = 0;
	r->tcp_flags_orig = r->tcp_flags_reply = 0;
}

/* A flow that is over says how long its entry stays; above the base: step. */
static uint32_t
time_held(const struct ct_rec *r, uint32_t generation)
{
	if (!(r->fields & CTF_TIMEOUT) || r->proto != IPPROTO_TCP)
		return ct_hold_timeout(generation);
	if (r->timeout_s == 0)
		return 1; /* the kernel takes no less */
	return r->timeout_s > HELD_MIN_S ? HELD_MIN_S : r->timeout_s;
}

void
apply_sanitise(struct ct_rec *r, uint32_t generation)
{
	if (r->op == CT_OP_DELETE) {
		forget_tcp(r);
		r->fields = 0;
		r->status = r->timeout_s = 0;
		return;
	}
	r->fields &= (uint16_t)~CTF_ID;
	r->status = (r->status & STATUS_KEPT) | IPS_CONFIRMED;
	r->timeout_s = time_held(r, generation);
	r->fields |= CTF_TIMEOUT;
	if (r->proto == IPPROTO_TCP)
		sanitise_tcp(r);
	else
		forget_tcp(r);
}

static struct apply_batch *
batch(struct apply *a, uint32_t i)
{
	return &a->batches[(a->first + i) % APPLY_BATCHES];
}

static struct apply_batch *
open_batch(struct apply *a)
{
	if (a->n == APPLY_BATCHES)
		fatalx("apply: %u batches under way", a->n);
	return batch(a, a->n);
}

bool
apply_room(const struct sync *s)
{
	return s->apply.n < APPLY_INFLIGHT;
}

bool
apply_passed(const struct sync *s, uint32_t id)
{
	const struct apply *a = &s->apply;

	return a->n == 0 || (int32_t)(a->batches[a->first].id - id) > 0;
}

void
apply_flush(struct sync *s)
{
	struct apply *a = &s->apply;
	struct apply_batch *b;

	if (a->n == APPLY_BATCHES || (b = open_batch(a))->n == 0)
		return;
	b->id = ++a->last_id;
	s->ops->inject(s->arg, b->id, b->recs, b->n);
	a->n++;
	if (a->n < APPLY_BATCHES)
		open_batch(a)->n = 0;
}

void
apply_record(struct sync *s, int peer, const struct ct_rec *rec)
{
	struct apply_batch *b = open_batch(&s->apply);

	if (b->n > 0 && b->peer != peer) {
		apply_flush(s);
		b = open_batch(&s->apply);
	}
	if (b->n == 0) {
		b->peer = peer;
		b->stream = 0;
		b->upto = 0;
	}
	b->recs[b->n++] = *rec;
	if (b->n == APPLY_BATCH)
		apply_flush(s);
}

void
apply_mark(
    struct sync *s, int peer, uint32_t stream, uint64_t upto, uint64_t now)
{
	struct apply *a = &s->apply;
	uint32_t last = a->n < APPLY_BATCHES ? a->n + 1 : a->n;

	for (uint32_t i = last; i-- > 0;) {
		struct apply_batch *b = batch(a, i);

		if (b->n == 0 || b->peer != peer)
			continue;
		b->stream = stream;
		b->upto = upto;
		return;
	}
	rx_applied(s->peers[peer], now, stream, upto);
}

static const char *
cause(int error)
{
	switch (error) {
	case EEXIST:
		return "another flow here has its reply address and port";
	case EPERM:
		return "refused by hagwd";
	case ENOMEM:
		return "the table is full";
	default:
		return strerror(error);
	}
}

static void
log_failure(struct sync *s, uint64_t now, const struct ct_rec *r, int error)
{
	char src[ADDR_STRLEN], dst[ADDR_STRLEN], to[ADDR_STRLEN];
	unsigned int n = log_allowed(&s->apply.limit, now);

	if (n == 0)
		return;
	log_warnx("flow proto %u %s:%u -> %s:%u (reply to %s:%u): not taken "
		  "over: %s%s",
	    r->proto, addr_str(src, r->family, &r->orig.src),
	    ntohs(r->orig.sport), addr_str(dst, r->family, &r->orig.dst),
	    ntohs(r->orig.dport), addr_str(to, r->family, &r->reply.dst),
	    ntohs(r->reply.dport), cause(error),
	    n > 1 ? " (and others before it)" : "");
}

/* Another flow in its way, or no forward of a site file that both have. */
static bool
lasting(const struct sync *s, int peer, int error)
{
	return error == EEXIST ||
	    (error == EPERM && s->peers[peer] != NULL &&
		sync_same_config(s, s->peers[peer]));
}

static void
take_failures(struct sync *s, uint64_t now, const struct apply_batch *b,
    const struct imsg_ct_fail *fails, uint32_t nfail)
{
	for (uint32_t i = 0; i < nfail; i++) {
		if (fails[i].index >= b->n)
			continue;
		/* what a pass over our own kernel misses has just ended */
		if (b->peer == APPLY_NOPEER) {
			s->dump.refused += fails[i].error == EPERM;
			continue;
		}
		s->stats.inject_failed++;
		s->stats.conflicts += fails[i].error == EEXIST;
		if (lasting(s, b->peer, fails[i].error))
			s->brx[b->peer].conflicts++;
		else
			s->brx[b->peer].failed++;
		if (s->brx[b->peer].synced)
			bulk_incomplete(s, b->peer, now);
		log_failure(s, now, &b->recs[fails[i].index], fails[i].error);
	}
	if (b->peer != APPLY_NOPEER)
		s->stats.injected += b->n - (nfail > b->n ? b->n : nfail);
}

void
apply_done(struct sync *s, uint64_t now, uint32_t id,
    const struct imsg_ct_fail *fails, uint32_t nfail)
{
	struct apply *a = &s->apply;
	struct apply_batch *b = batch(a, 0);
	bool was_full = a->n == APPLY_BATCHES;

	if (a->n == 0 || b->id != id)
		fatalx("apply: batch %u answered out of order", id);
	take_failures(s, now, b, fails, nfail);
	if (b->peer != APPLY_NOPEER && s->peers[b->peer] != NULL &&
	    b->upto != 0)
		rx_applied(s->peers[b->peer], now, b->stream, b->upto);
	a->first = (a->first + 1) % APPLY_BATCHES;
	a->n--;
	b->n = 0;
	if (was_full)
		open_batch(a)->n = 0;
}
