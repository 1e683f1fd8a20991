/* Answers to hactl show sync: rows, and what an operator should know. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fmt.h"
#include "proc.h"
#include "syncd.h"

#define LAG_WARN_US     3000000 /* nothing confirmed for so long */
#define REFUSED_WARN_US 60000000 /* a refused datagram is told for so long */

static void __attribute__((format(printf, 3, 4)))
warn_row(uint32_t id, const char *object, const char *fmt, ...)
{
	struct ctl_warning w = {0};
	va_list ap;

	snprintf(w.object, sizeof(w.object), "%s", object);
	snprintf(w.hint, sizeof(w.hint), "hactl show sync");
	va_start(ap, fmt);
	vsnprintf(w.text, sizeof(w.text), fmt, ap);
	va_end(ap);
	proc_send(IMSG_CTL_WARNING, id, &w, sizeof(w));
}

static uint32_t
count_peers(const struct sync *s)
{
	uint32_t n = 0;

	for (int i = 0; i < CONF_NODES_MAX; i++)
		n += s->peers[i] != NULL;
	return n;
}

static void
show_totals(const struct sync *s, uint32_t id)
{
	const struct sync_stats *st = &s->stats;
	struct ctl_sync row = {
	    .role = s->role,
	    .ready = sync_ready(s) && !s->unfit,
	    .npeers = count_peers(s),
	    .settling = s->settle_due,
	    .flows = s->count.count,
	    .events = st->events,
	    .records_out = st->records_out,
	    .coalesced = s->pending.merged,
	    .filtered = st->filtered,
	    .overruns = st->overruns,
	    .injected = st->injected,
	    .inject_failed = st->inject_failed,
	    .conflicts = st->conflicts,
	    .swept = st->swept,
	    .settled = st->settled,
	    .bad_key = st->bad[CRYPT_BAD_KEY],
	    .bad_replay = st->bad[CRYPT_REPLAY],
	    .bad_version = st->bad[CRYPT_BAD_VERSION],
	    .bad_format = st->bad[CRYPT_BAD_FORMAT],
	    .bad_site = st->bad[CRYPT_BAD_SITE],
	};

	proc_send(IMSG_CTL_SYNC, id, &row, sizeof(row));
}

static uint32_t
bulk_state(const struct sync *s, int i)
{
	if (s->dump.kind == DUMP_BULK && s->dump.peer == i)
		return 1;
	return (s->brx[i].receiving && s->peers[i]->up) ||
		(s->dump.kind == DUMP_SWEEP && s->dump.peer == i)
	    ? 2
	    : 0;
}

static void
peer_figures(
    const struct sync *s, const struct peer *p, struct ctl_sync_peer *row)
{
	const struct peer_stats *st = &p->stats;

	row->seen_us = p->seen_us == 0 ? CTL_NEVER : s->now - p->seen_us;
	row->rtt_us = p->tx.srtt_us == 0 ? CTL_NEVER : p->tx.srtt_us;
	row->lag_us = tx_lag_us(&p->tx, s->now);
	row->flows = p->hb.flows;
	row->unconfirmed = p->tx.unconfirmed;
	row->sent = st->sent;
	row->received = st->received;
	row->resent = st->resent;
	row->lost = st->lost;
	row->records_in = st->records_in;
	row->bulks_sent = st->bulks_sent;
	row->bulks_received = st->bulks_received;
	row->bulk_real_ns = st->bulk_real_ns;
	row->bulk_us = st->bulk_real_ns == 0 ? CTL_NEVER : st->bulk_us;
	row->bulk_records = st->bulk_records;
}

static void
show_peer(const struct sync *s, int i, uint32_t id)
{
	const struct conf_head *h = &s->conf->h;
	const struct conf_net *net = &h->nets[h->sync.paths[0]];
	const struct peer *p = s->peers[i];
	struct ctl_sync_peer row = {
	    .addr = net->addr[i],
	    .up = p->up,
	    .role = p->hb.role,
	    .ready = sync_peer_ready(p),
	    .same_config = sync_same_config(s, p),
	    .bulk = bulk_state(s, i),
	};

	snprintf(row.node, sizeof(row.node), "%s", p->name);
	snprintf(row.path, sizeof(row.path), "%s", net->name);
	peer_figures(s, p, &row);
	proc_send(IMSG_CTL_SYNC_PEER, id, &row, sizeof(row));
}

static void
warn_silent(const struct sync *s, const struct peer *p, uint32_t id)
{
	char ago[FMT_MAX];

	if (p->seen_us == 0)
		warn_row(id, "sync", "%s was not heard since syncd's start",
		    p->name);
	else
		warn_row(id, "sync", "%s is silent for %s", p->name,
		    fmt_span(ago, s->now - p->seen_us));
}

static void
warn_lag(const struct sync *s, const struct peer *p, uint32_t id)
{
	char span[FMT_MAX], n[FMT_MAX];
	uint64_t lag = tx_lag_us(&p->tx, s->now);

	if (lag >= LAG_WARN_US)
		warn_row(id, "sync",
		    "%s has confirmed nothing for %s: a failover now would "
		    "lose %s flows",
		    p->name, fmt_span(span, lag),
		    fmt_count(n, p->tx.unconfirmed));
}

static void
warn_refused(const struct sync *s, const struct peer *p, uint32_t id)
{
	uint64_t us = s->now - p->refused_us;
	char ago[FMT_MAX];

	if (p->refused_us != 0 && us < REFUSED_WARN_US)
		warn_row(id, "sync", "a datagram of %s was refused %s ago: %s",
		    p->name, fmt_span(ago, us), sync_refusal(p->refused));
}

static void
warn_peer(const struct sync *s, int i, uint32_t id)
{
	const struct peer *p = s->peers[i];

	warn_refused(s, p, id);
	if (!p->up) {
		warn_silent(s, p, id);
		if (s->role == ROLE_MASTER)
			warn_lag(s, p, id);
		return;
	}
	if (!sync_same_config(s, p))
		warn_row(id, "sync",
		    "%s runs another configuration: reload both from one file",
		    p->name);
	if (s->role != ROLE_MASTER)
		return;
	/* a second master is vrrpd's to warn of */
	if (p->hb.role != ROLE_MASTER && !(p->hb.flags & HB_READY))
		warn_row(id, "sync",
		    "%s is not ready: it does not hold every flow yet or is "
		    "not fit to be MASTER (hactl show summary there)",
		    p->name);
	warn_lag(s, p, id);
}

static void
warn_all(const struct sync *s, uint32_t id, bool path_up)
{
	/* a site of one node: no other one is to have its flows */
	if (s->conf->h.sync.npaths == 0)
		return;
	if (!path_up)
		warn_row(id, "sync", "network %s has no link",
		    s->conf->h.nets[s->conf->h.sync.paths[0]].name);
	if (s->role != ROLE_MASTER && !sync_ready(s))
		warn_row(id, "sync",
		    "this node is not ready: it does not hold every flow");
}

void
show_sync(const struct sync *s, uint32_t id, bool path_up)
{
	show_totals(s, id);
	for (int i = 0; i < CONF_NODES_MAX; i++)
		if (s->peers[i] != NULL)
			show_peer(s, i, id);
	warn_all(s, id, path_up);
	for (int i = 0; i < CONF_NODES_MAX; i++)
		if (s->peers[i] != NULL)
			warn_peer(s, i, id);
	proc_ctl_end(id, 0, "%s", "");
}
