/*
 * State synchronisation: what the peers hold, what went over the wire, what
 * was wrong with it, and what a failover would lose now.
 */
#include <inttypes.h>

#include "addr.h"
#include "fmt.h"
#include "hactl.h"

static const struct view view = {
    .command = "show sync",
    .whats = {CTL_SHOW_SYNC},
    .text = sync_text,
};

int
view_sync(const struct args *args)
{
	return view_run(args, &view);
}

static void
peer_head(FILE *fp, const struct ctl_sync_peer *p)
{
	char addr[ADDR_STRLEN], rtt[FMT_MAX], ago[FMT_MAX], state[32];

	fprintf(fp, "peer %s   %s over %s (%s)   encrypted", p->node,
	    out_tone(state, sizeof(state), p->up ? TONE_GOOD : TONE_BAD,
		p->up ? "UP" : "DOWN"),
	    p->path, addr_str4(addr, p->addr));
	if (!p->up) {
		fprintf(fp, "   last seen %s\n", out_ago(ago, p->seen_us));
		return;
	}
	if (p->rtt_us != CTL_NEVER)
		fprintf(fp, "   rtt %s", out_ms(rtt, p->rtt_us));
	fprintf(fp, "   config %s   %s%s\n",
	    p->same_config ? "same" : "DIFFERS", role_name((enum role)p->role),
	    p->ready ? ", ready" : ", not ready");
}

static void
peer_flows(FILE *fp, const struct ctl_sync *s, const struct ctl_sync_peer *p)
{
	char here[FMT_MAX], there[FMT_MAX], left[FMT_MAX], lag[FMT_MAX];

	fprintf(fp, "%-12s%16s%18s%14s%10s\n", "", "HERE", "PEER HOLDS",
	    "UNCONFIRMED", "LAG");
	fprintf(fp, "%-12s%16s%18s%14s%10s\n", "flows",
	    s != NULL ? fmt_count(here, s->flows) : "-",
	    p->up ? fmt_count(there, p->flows) : "-",
	    fmt_count(left, p->unconfirmed), out_ms(lag, p->lag_us));
}

static void
peer_messages(FILE *fp, const struct ctl_sync_peer *p)
{
	char n[4][FMT_MAX], when[FMT_MAX], took[FMT_MAX];

	fprintf(fp, "messages  sent %s   received %s   resent %s   lost %s\n",
	    fmt_count(n[0], p->sent), fmt_count(n[1], p->received),
	    fmt_count(n[2], p->resent), fmt_count(n[3], p->lost));
	fprintf(fp, "resync    %s sent, %s received",
	    fmt_count(n[0], p->bulks_sent), fmt_count(n[1], p->bulks_received));
	if (p->bulk_real_ns != 0)
		fprintf(fp, "   last full one %s (%s records, %s)",
		    fmt_time(when, p->bulk_real_ns),
		    fmt_count(n[2], p->bulk_records), out_ms(took, p->bulk_us));
	if (p->bulk != 0)
		fprintf(fp, "   %s one now",
		    p->bulk == 1 ? "sending" : "receiving");
	putc('\n', fp);
}

/* Who would take over from whom, and what would be missing. */
static void
peer_takeover(FILE *fp, const struct ctl_sync *s, const struct ctl_sync_peer *p)
{
	char n[FMT_MAX], ago[FMT_MAX];

	fputs("takeover  ", fp);
	if (s != NULL && s->role != ROLE_MASTER) {
		fputs(s->ready ? "ready: this node holds every flow\n"
			       : "not ready: this node does not hold every "
				 "flow yet or is not fit to be MASTER (hactl "
				 "show summary)\n",
		    fp);
		return;
	}
	if (!p->up)
		fprintf(fp, "not ready: %s last seen %s\n", p->node,
		    out_ago(ago, p->seen_us));
	else if (p->role != ROLE_BACKUP && p->role != ROLE_MASTER)
		fprintf(fp, "not ready: %s is %s\n", p->node,
		    role_name((enum role)p->role));
	else if (!p->ready)
		fprintf(fp,
		    "not ready: %s does not hold every flow yet or is not "
		    "fit to be MASTER (hactl show summary there)\n",
		    p->node);
	else
		fprintf(fp, "ready: %s would miss %s record%s now\n", p->node,
		    fmt_count(n, p->unconfirmed),
		    p->unconfirmed == 1 ? "" : "s");
}

static void
records(FILE *fp, const struct answer *a, const struct ctl_sync *s)
{
	const struct ctl_sync_peer *p;
	char n[5][FMT_MAX];
	uint64_t in = 0;
	size_t i;

	for (i = 0; (p = answer_row(a, ROW_SYNC_PEER, i)) != NULL; i++)
		in += p->records_in;
	fprintf(fp,
	    "records   sent %s   received %s   coalesced %s   "
	    "not synchronised %s\n",
	    fmt_count(n[0], s->records_out), fmt_count(n[1], in),
	    fmt_count(n[2], s->coalesced), fmt_count(n[3], s->filtered));
	fprintf(fp,
	    "kernel    events %s   overruns %s   injected %s   "
	    "failed %s   conflicts %s\n",
	    fmt_count(n[0], s->events), fmt_count(n[1], s->overruns),
	    fmt_count(n[2], s->injected), fmt_count(n[3], s->inject_failed),
	    fmt_count(n[4], s->conflicts));
	fprintf(fp, "tidied    swept %s   settled %s%s\n",
	    fmt_count(n[0], s->swept), fmt_count(n[1], s->settled),
	    s->settling ? ", settling after a takeover now" : "");
	fprintf(fp,
	    "dropped   wrong key %s   replay %s   version %s   "
	    "malformed %s   other site %s\n",
	    fmt_count(n[0], s->bad_key), fmt_count(n[1], s->bad_replay),
	    fmt_count(n[2], s->bad_version), fmt_count(n[3], s->bad_format),
	    fmt_count(n[4], s->bad_site));
}

void
sync_text(FILE *fp, const struct answer *a)
{
	const struct ctl_sync *s = answer_row(a, ROW_SYNC, 0);
	const struct ctl_sync_peer *p;
	size_t i;

	for (i = 0; (p = answer_row(a, ROW_SYNC_PEER, i)) != NULL; i++) {
		peer_head(fp, p);
		peer_flows(fp, s, p);
		peer_messages(fp, p);
		peer_takeover(fp, s, p);
	}
	if (i == 0)
		fputs(
		    "no peer: the site has no sync section, or one node\n", fp);
	if (s != NULL)
		records(fp, a, s);
	warnings_if_any(fp, a);
}
