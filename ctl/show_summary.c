/*
 * The pair at a glance. It is what people type at the worst moment, so it
 * shows what there is, and names who did not answer.
 */
#include <inttypes.h>
#include <string.h>

#include "addr.h"
#include "fmt.h"
#include "hactl.h"

static const struct view view = {
    .command = "show summary",
    .whats = {CTL_SHOW_NODE, CTL_SHOW_VRRP, CTL_SHOW_SYNC, CTL_SHOW_NAT},
    .partial = true,
    .text = summary_text,
};

int
view_summary(const struct args *args)
{
	return view_run(args, &view);
}

static void
head_peer(FILE *fp, const struct ctl_peer *p)
{
	char buf[FMT_MAX], role[32];

	if (!p->up) {
		fprintf(fp, "   %s %s", p->node,
		    out_tone(role, sizeof(role), TONE_WARN, "silent"));
		if (p->seen_us != CTL_NEVER)
			fprintf(fp, " (seen %s)", out_ago(buf, p->seen_us));
		return;
	}
	fprintf(fp, "   %s %s", p->node,
	    out_tone(role, sizeof(role), out_role_tone(p->role),
		role_name((enum role)p->role)));
	if (p->role == ROLE_BACKUP)
		fprintf(fp, ", %s", p->ready ? "ready" : "not ready");
}

/* "same on both", or whose differs. */
static void
head_config(FILE *fp, const struct answer *a, const struct ctl_node *n)
{
	const struct ctl_peer *p;
	char buf[FMT_MAX];
	size_t i, same = 0, known = 0;

	fprintf(fp, "   config %s", fmt_hash(buf, n->hash));
	for (i = 0; (p = answer_row(a, ROW_PEER, i)) != NULL; i++) {
		if (!p->up)
			continue;
		known++;
		if (p->same_config)
			same++;
		else
			fprintf(
			    fp, ", %s has %s", p->node, fmt_hash(buf, p->hash));
	}
	if (known > 0 && same == known && known == a->rows[ROW_PEER].n) {
		if (known == 1)
			fprintf(fp, ", same on both");
		else
			fprintf(fp, ", same on all %zu", known + 1);
	}
}

static void
head(FILE *fp, const struct answer *a)
{
	const struct ctl_node *n = answer_row(a, ROW_NODE, 0);
	const struct ctl_sync *s = answer_row(a, ROW_SYNC, 0);
	const struct ctl_peer *p;
	char buf[FMT_MAX], role[32];
	size_t i;

	if (n == NULL)
		return;
	fprintf(fp, "%s   %s %s", n->site, n->node,
	    out_tone(role, sizeof(role), out_role_tone(n->role),
		role_name((enum role)n->role)));
	if (n->role == ROLE_BACKUP && s != NULL && s->npeers > 0)
		fprintf(fp, ", %s", s->ready ? "ready" : "not ready");
	for (i = 0; (p = answer_row(a, ROW_PEER, i)) != NULL; i++)
		head_peer(fp, p);
	fprintf(
	    fp, "   hagw %s   up %s", n->version, fmt_span(buf, n->uptime_us));
	head_config(fp, a, n);
	fputs("\n\n", fp);
}

/* Do all others say that they are not master? */
static bool
others_rest(const struct answer *a)
{
	const struct ctl_peer *p;
	size_t i;

	for (i = 0; (p = answer_row(a, ROW_PEER, i)) != NULL; i++)
		if (!p->up || p->role == ROLE_MASTER)
			return false;
	return i > 0;
}

static void
net_peer(struct out_table *t, const struct answer *a, const struct ctl_vrrp *v,
    const struct ctl_vrrp_net *n)
{
	char addr[ADDR_STRLEN], buf[FMT_MAX];
	bool quiet = v != NULL && n->peer_seen_us > v->down_us;

	if (n->peer.s_addr == 0 || n->peer_seen_us == CTL_NEVER ||
	    (quiet && v->role == ROLE_MASTER && others_rest(a))) {
		/* only masters speak: silence is what a master should hear */
		out_cell(t, TONE_PLAIN, "-");
		out_cell(t, TONE_PLAIN, "%s",
		    v != NULL && v->role == ROLE_MASTER
			? "no other master heard"
			: "not heard yet");
		return;
	}
	out_cell(t, TONE_PLAIN, "%s", addr_str4(addr, n->peer));
	if (quiet)
		out_cell(t, TONE_PLAIN, "quiet for %s",
		    fmt_span(buf, n->peer_seen_us));
	else
		out_cell(
		    t, TONE_PLAIN, "seen %s", out_ago(buf, n->peer_seen_us));
}

static void
networks(FILE *fp, const struct answer *a)
{
	static const struct out_col cols[] = {{"NETWORK", OUT_LEFT},
	    {"INTERFACE", OUT_LEFT}, {"VIP", OUT_LEFT}, {"STATE", OUT_LEFT},
	    {"SINCE", OUT_LEFT}, {"PEER", OUT_LEFT}, {"", OUT_LEFT}};
	const struct ctl_vrrp *v = answer_row(a, ROW_VRRP, 0);
	const struct ctl_vrrp_net *n;
	struct out_table t;
	char addr[ADDR_STRLEN], buf[FMT_MAX];
	uint32_t role = v != NULL ? v->role : ROLE_INIT;
	size_t i;

	if (a->rows[ROW_VRRP_NET].n == 0)
		return;
	out_table_init(&t, cols, nitems(cols));
	for (i = 0; (n = answer_row(a, ROW_VRRP_NET, i)) != NULL; i++) {
		out_cell(&t, TONE_PLAIN, "%s", n->name);
		out_cell(&t, TONE_PLAIN, "%s", n->ifname);
		out_cell(&t, TONE_PLAIN, "%s", addr_str4(addr, n->vip));
		out_cell(&t, n->link_up ? out_role_tone(role) : TONE_BAD,
		    "%s%s", role_name((enum role)role),
		    n->link_up ? "" : ", no link");
		out_cell(&t, TONE_PLAIN, "%s",
		    out_minute(buf, v != NULL ? v->since_real_ns : 0));
		net_peer(&t, a, v, n);
	}
	out_table_print(fp, &t);
	putc('\n', fp);
}

static void
sync_peer_line(FILE *fp, const struct ctl_sync_peer *p)
{
	char flows[FMT_MAX], left[FMT_MAX], buf[FMT_MAX];

	if (!p->up) {
		fprintf(fp, "%s does not answer", p->node);
		if (p->seen_us != CTL_NEVER)
			fprintf(fp, " (seen %s)", out_ago(buf, p->seen_us));
		return;
	}
	fprintf(fp, "%s at %s, %s unconfirmed (lag %s)   path %s",
	    fmt_count(flows, p->flows), p->node,
	    fmt_count(left, p->unconfirmed), out_ms(buf, p->lag_us), p->path);
	if (p->bulk != 0)
		fprintf(fp, "   full copy under way");
}

static void
sync_line(FILE *fp, const struct answer *a)
{
	const struct ctl_sync *s = answer_row(a, ROW_SYNC, 0);
	const struct ctl_sync_peer *p;
	char flows[FMT_MAX];
	size_t i;

	if (s == NULL)
		return;
	fprintf(fp, "sync      %s flows here, ", fmt_count(flows, s->flows));
	for (i = 0; (p = answer_row(a, ROW_SYNC_PEER, i)) != NULL; i++) {
		if (i > 0)
			fprintf(fp, "\n          ");
		sync_peer_line(fp, p);
	}
	fputs(i == 0 ? "no peer to keep them\n" : "\n", fp);
}

static void
nat_line(FILE *fp, const struct answer *a)
{
	const struct ctl_nat *n = answer_row(a, ROW_NAT, 0);
	char buf[FMT_MAX];

	if (n == NULL)
		return;
	fprintf(fp, "nat       %" PRIu32 " source%s, %" PRIu32 " forward%s    ",
	    n->sources, n->sources == 1 ? "" : "s", n->forwards,
	    n->forwards == 1 ? "" : "s");
	if (n->loaded)
		fprintf(fp, "kernel as configured (applied %s)",
		    out_ago(buf, n->applied_us));
	else if (n->loading)
		fputs("as before the last reload, being changed", fp);
	else
		fprintf(fp, "not in the kernel%s%s",
		    n->error[0] != '\0' ? ": " : "", n->error);
	fprintf(fp, "%s\n", n->grace ? "   takeover grace open" : "");
}

static void
conntrack_line(FILE *fp, const struct answer *a)
{
	const struct ctl_node *n = answer_row(a, ROW_NODE, 0);
	char count[FMT_MAX], max[FMT_MAX], drop[FMT_MAX];

	if (n == NULL)
		return;
	fprintf(fp, "conntrack %s of %s (%" PRIu64 "%%)   %s dropped\n",
	    fmt_count(count, n->ct_count), fmt_count(max, n->ct_max),
	    n->ct_max > 0 ? n->ct_count * 100 / n->ct_max : 0,
	    fmt_count(drop, n->ct_drop));
}

void
summary_text(FILE *fp, const struct answer *a)
{
	head(fp, a);
	networks(fp, a);
	sync_line(fp, a);
	nat_line(fp, a);
	conntrack_line(fp, a);
	warnings_text(fp, a);
}
