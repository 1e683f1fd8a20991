/* One block for each network: its roles, timers and counters. */
#include <inttypes.h>

#include "addr.h"
#include "fmt.h"
#include "hactl.h"

static const struct view view = {
    .command = "show vrrp",
    .whats = {CTL_SHOW_VRRP},
    .text = vrrp_text,
};

int
view_vrrp(const struct args *args)
{
	return view_run(args, &view);
}

/* A timer that is no round number: to the last digit that matters. */
static char *
timer(char *buf, uint64_t us)
{
	if (us >= 1000000)
		snprintf(buf, FMT_MAX, "%.3fs", (double)us / 1e6);
	else
		snprintf(buf, FMT_MAX, "%.3fms", (double)us / 1e3);
	return buf;
}

static void
block_head(FILE *fp, const struct ctl_vrrp *v, const struct ctl_vrrp_net *n)
{
	char since[FMT_MAX], span[FMT_MAX], role[32], vip[ADDR_STRLEN];

	fprintf(fp, "%s  vrid %" PRIu32 "  VRRPv3  multicast  %s", n->name,
	    n->vrid,
	    out_tone(role, sizeof(role), out_role_tone(v->role),
		role_name((enum role)v->role)));
	if (v->since_real_ns != 0)
		fprintf(fp, " since %s (%s)", fmt_time(since, v->since_real_ns),
		    fmt_span(span, v->since_us));
	fprintf(fp, "\n  interface     %s, %s   vip %s\n", n->ifname,
	    n->link_up ? "link up" : "no link", addr_str4(vip, n->vip));
}

static void
block_timers(FILE *fp, const struct ctl_vrrp *v)
{
	char adv[FMT_MAX], down[FMT_MAX], after[FMT_MAX];

	fprintf(fp, "  priority      %" PRIu32 " (configured %" PRIu32 ")%s\n",
	    v->priority, v->configured,
	    v->ready || v->role == ROLE_MASTER
		? ""
		: "   not ready: does not hold every flow yet or is not "
		  "fit to be MASTER (hactl show summary)");
	fprintf(fp, "  advertise     %s    master-down %s    preempt ",
	    fmt_duration(adv, v->advertise_us), timer(down, v->down_us));
	if (v->preempt)
		fprintf(
		    fp, "after %s\n", fmt_duration(after, v->preempt_after_us));
	else
		fputs("never\n", fp);
}

static void
block_peer(FILE *fp, const struct ctl_vrrp_net *n)
{
	char sent[FMT_MAX], got[FMT_MAX], addr[ADDR_STRLEN], ago[FMT_MAX];

	fprintf(fp,
	    "  sent          %s (%" PRIu64 " of priority 0)   received %s "
	    "(%" PRIu64 " of priority 0)\n",
	    fmt_count(sent, n->sent), n->sent_zero, fmt_count(got, n->received),
	    n->received_zero);
	if (n->peer.s_addr == 0 || n->peer_seen_us == CTL_NEVER) {
		fputs("  last heard    nobody\n", fp);
		return;
	}
	fprintf(fp, "  last heard    %s: priority %" PRIu32 ", %s\n",
	    addr_str4(addr, n->peer), n->peer_priority,
	    out_ago(ago, n->peer_seen_us));
}

static void
block_errors(FILE *fp, const struct ctl_vrrp_net *n)
{
	const struct {
		const char *name;
		uint64_t count;
	} errors[] = {
	    {"send", n->err_send},
	    {"ttl", n->err_ttl},
	    {"version", n->err_version},
	    {"type", n->err_type},
	    {"count", n->err_count},
	    {"length", n->err_length},
	    {"checksum", n->err_checksum},
	    {"vrid", n->err_vrid},
	    {"interval", n->err_interval},
	    {"addresses", n->err_addresses},
	};
	char buf[FMT_MAX];
	size_t i;
	bool any = false;

	fputs("  errors        ", fp);
	for (i = 0; i < nitems(errors); i++) {
		if (errors[i].count == 0)
			continue;
		fprintf(fp, "%s%s %s", any ? "   " : "", errors[i].name,
		    fmt_count(buf, errors[i].count));
		any = true;
	}
	fputs(any ? "\n" : "none\n", fp);
}

static void
block(FILE *fp, const struct ctl_vrrp *v, const struct ctl_vrrp_net *n)
{
	char buf[FMT_MAX], vip[ADDR_STRLEN];

	block_head(fp, v, n);
	block_timers(fp, v);
	block_peer(fp, n);
	fprintf(fp, "  transitions   %" PRIu32 "%s%s\n", v->transitions,
	    v->last[0] != '\0' ? "    last: " : "", v->last);
	if (n->announces == 0)
		fputs("  announced     never\n", fp);
	else
		fprintf(fp, "  announced     %s by gratuitous ARP, %s time%s\n",
		    addr_str4(vip, n->vip), fmt_count(buf, n->announces),
		    n->announces == 1 ? "" : "s");
	block_errors(fp, n);
	if (n->cksum_plain > 0 && n->cksum_pseudo > 0)
		fprintf(fp,
		    "  checksums     %" PRIu64 " as RFC 9568, %" PRIu64
		    " as RFC 5798: peers differ\n",
		    n->cksum_plain, n->cksum_pseudo);
	if (v->released)
		fputs("  released      by hactl failover: does not preempt "
		      "until hactl failback\n",
		    fp);
	if (v->split || v->splits > 0)
		fprintf(fp, "  two masters   %s, seen %" PRIu64 " times\n",
		    v->split ? "suspected now" : "not now", v->splits);
}

void
vrrp_text(FILE *fp, const struct answer *a)
{
	const struct ctl_vrrp *v = answer_row(a, ROW_VRRP, 0);
	const struct ctl_vrrp_net *n;
	size_t i;

	for (i = 0; (n = answer_row(a, ROW_VRRP_NET, i)) != NULL; i++) {
		if (i > 0)
			putc('\n', fp);
		if (v != NULL)
			block(fp, v, n);
	}
	if (i == 0)
		fputs("no network has a virtual address\n", fp);
	warnings_if_any(fp, a);
}
