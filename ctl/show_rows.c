/*
 * What each row is made of, as tables: from them come the cleaning of its
 * strings and its JSON, so that neither can forget a field.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "hactl.h"

enum field_kind {
	F_STR,
	F_U32,
	F_I32,
	F_U64,
	F_BOOL,
	F_ROLE,
	F_BULK,
	F_ADDR,
	F_HASH,
	F_SPAN, /* *_us: seconds, null when never */
	F_TIME /* *_real_ns: RFC 3339, null when not yet */
};

struct field {
	const char *name;
	enum field_kind kind;
	size_t off;
	size_t size;
};

#define F(s, f, k, n)                                                   \
	{                                                               \
		n, k, offsetof(struct s, f), sizeof(((struct s *)0)->f) \
	}

static const struct field node_fields[] = {
    F(ctl_node, site, F_STR, "site"),
    F(ctl_node, node, F_STR, "node"),
    F(ctl_node, version, F_STR, "version"),
    F(ctl_node, hash, F_HASH, "config"),
    F(ctl_node, role, F_ROLE, "role"),
    F(ctl_node, uptime_us, F_SPAN, "uptime_s"),
    F(ctl_node, ct_count, F_U64, "conntrack_count"),
    F(ctl_node, ct_max, F_U64, "conntrack_max"),
    F(ctl_node, ct_drop, F_U64, "conntrack_dropped"),
    F(ctl_node, inject_ok, F_U64, "injected"),
    F(ctl_node, inject_failed, F_U64, "inject_failed"),
    F(ctl_node, inject_refused, F_U64, "inject_refused"),
    F(ctl_node, inject_full, F_U64, "inject_full"),
};

static const struct field peer_fields[] = {
    F(ctl_peer, node, F_STR, "node"),
    F(ctl_peer, hash, F_HASH, "config"),
    F(ctl_peer, up, F_BOOL, "up"),
    F(ctl_peer, role, F_ROLE, "role"),
    F(ctl_peer, ready, F_BOOL, "ready"),
    F(ctl_peer, same_config, F_BOOL, "same_config"),
    F(ctl_peer, seen_us, F_SPAN, "seen_s"),
};

static const struct field warning_fields[] = {
    F(ctl_warning, object, F_STR, "object"),
    F(ctl_warning, text, F_STR, "text"),
    F(ctl_warning, hint, F_STR, "hint"),
};

static const struct field vrrp_fields[] = {
    F(ctl_vrrp, role, F_ROLE, "role"),
    F(ctl_vrrp, priority, F_U32, "priority"),
    F(ctl_vrrp, configured, F_U32, "priority_configured"),
    F(ctl_vrrp, ready, F_BOOL, "ready"),
    F(ctl_vrrp, preempt, F_BOOL, "preempt"),
    F(ctl_vrrp, preempt_after_us, F_SPAN, "preempt_after_s"),
    F(ctl_vrrp, released, F_BOOL, "released"),
    F(ctl_vrrp, split, F_BOOL, "split"),
    F(ctl_vrrp, splits, F_U64, "splits"),
    F(ctl_vrrp, transitions, F_U32, "transitions"),
    F(ctl_vrrp, advertise_us, F_SPAN, "advertise_s"),
    F(ctl_vrrp, down_us, F_SPAN, "master_down_s"),
    F(ctl_vrrp, since_real_ns, F_TIME, "since"),
    F(ctl_vrrp, since_us, F_SPAN, "since_s"),
    F(ctl_vrrp, last, F_STR, "last"),
};

static const struct field net_fields[] = {
    F(ctl_vrrp_net, name, F_STR, "network"),
    F(ctl_vrrp_net, ifname, F_STR, "interface"),
    F(ctl_vrrp_net, vip, F_ADDR, "vip"),
    F(ctl_vrrp_net, vrid, F_U32, "vrid"),
    F(ctl_vrrp_net, link_up, F_BOOL, "link_up"),
    F(ctl_vrrp_net, peer, F_ADDR, "peer"),
    F(ctl_vrrp_net, peer_priority, F_U32, "peer_priority"),
    F(ctl_vrrp_net, peer_seen_us, F_SPAN, "peer_seen_s"),
    F(ctl_vrrp_net, sent, F_U64, "sent"),
    F(ctl_vrrp_net, received, F_U64, "received"),
    F(ctl_vrrp_net, sent_zero, F_U64, "sent_priority_zero"),
    F(ctl_vrrp_net, received_zero, F_U64, "received_priority_zero"),
    F(ctl_vrrp_net, err_send, F_U64, "error_send"),
    F(ctl_vrrp_net, err_ttl, F_U64, "error_ttl"),
    F(ctl_vrrp_net, err_version, F_U64, "error_version"),
    F(ctl_vrrp_net, err_type, F_U64, "error_type"),
    F(ctl_vrrp_net, err_count, F_U64, "error_count"),
    F(ctl_vrrp_net, err_length, F_U64, "error_length"),
    F(ctl_vrrp_net, err_checksum, F_U64, "error_checksum"),
    F(ctl_vrrp_net, err_vrid, F_U64, "error_vrid"),
    F(ctl_vrrp_net, err_interval, F_U64, "error_interval"),
    F(ctl_vrrp_net, err_addresses, F_U64, "error_addresses"),
    F(ctl_vrrp_net, cksum_plain, F_U64, "checksum_rfc9568"),
    F(ctl_vrrp_net, cksum_pseudo, F_U64, "checksum_rfc5798"),
    F(ctl_vrrp_net, announces, F_U64, "announced"),
};

static const struct field sync_fields[] = {
    F(ctl_sync, role, F_ROLE, "role"),
    F(ctl_sync, ready, F_BOOL, "ready"),
    F(ctl_sync, npeers, F_U32, "peers"),
    F(ctl_sync, settling, F_BOOL, "settling"),
    F(ctl_sync, flows, F_U64, "flows"),
    F(ctl_sync, events, F_U64, "kernel_events"),
    F(ctl_sync, records_out, F_U64, "records_sent"),
    F(ctl_sync, coalesced, F_U64, "coalesced"),
    F(ctl_sync, filtered, F_U64, "filtered"),
    F(ctl_sync, overruns, F_U64, "kernel_overruns"),
    F(ctl_sync, injected, F_U64, "injected"),
    F(ctl_sync, inject_failed, F_U64, "inject_failed"),
    F(ctl_sync, conflicts, F_U64, "conflicts"),
    F(ctl_sync, swept, F_U64, "swept"),
    F(ctl_sync, settled, F_U64, "settled"),
    F(ctl_sync, bad_key, F_U64, "dropped_key"),
    F(ctl_sync, bad_replay, F_U64, "dropped_replay"),
    F(ctl_sync, bad_version, F_U64, "dropped_version"),
    F(ctl_sync, bad_format, F_U64, "dropped_malformed"),
    F(ctl_sync, bad_site, F_U64, "dropped_site"),
};

static const struct field sync_peer_fields[] = {
    F(ctl_sync_peer, node, F_STR, "node"),
    F(ctl_sync_peer, path, F_STR, "path"),
    F(ctl_sync_peer, addr, F_ADDR, "address"),
    F(ctl_sync_peer, up, F_BOOL, "up"),
    F(ctl_sync_peer, role, F_ROLE, "role"),
    F(ctl_sync_peer, ready, F_BOOL, "ready"),
    F(ctl_sync_peer, same_config, F_BOOL, "same_config"),
    F(ctl_sync_peer, bulk, F_BULK, "bulk"),
    F(ctl_sync_peer, seen_us, F_SPAN, "seen_s"),
    F(ctl_sync_peer, rtt_us, F_SPAN, "rtt_s"),
    F(ctl_sync_peer, lag_us, F_SPAN, "lag_s"),
    F(ctl_sync_peer, flows, F_U64, "flows"),
    F(ctl_sync_peer, unconfirmed, F_U64, "unconfirmed"),
    F(ctl_sync_peer, sent, F_U64, "messages_sent"),
    F(ctl_sync_peer, received, F_U64, "messages_received"),
    F(ctl_sync_peer, resent, F_U64, "messages_resent"),
    F(ctl_sync_peer, lost, F_U64, "messages_lost"),
    F(ctl_sync_peer, records_in, F_U64, "records_received"),
    F(ctl_sync_peer, bulks_sent, F_U64, "bulks_sent"),
    F(ctl_sync_peer, bulks_received, F_U64, "bulks_received"),
    F(ctl_sync_peer, bulk_real_ns, F_TIME, "bulk_time"),
    F(ctl_sync_peer, bulk_us, F_SPAN, "bulk_took_s"),
    F(ctl_sync_peer, bulk_records, F_U64, "bulk_records"),
};

static const struct field nat_fields[] = {
    F(ctl_nat, sources, F_U32, "sources"),
    F(ctl_nat, forwards, F_U32, "forwards"),
    F(ctl_nat, loaded, F_BOOL, "loaded"),
    F(ctl_nat, loading, F_BOOL, "loading"),
    F(ctl_nat, grace, F_BOOL, "takeover_grace"),
    F(ctl_nat, applied_us, F_SPAN, "applied_s"),
    F(ctl_nat, batches, F_U64, "batches"),
    F(ctl_nat, failures, F_U64, "failures"),
    F(ctl_nat, error, F_STR, "error"),
};

static const struct field nat_rule_fields[] = {
    F(ctl_nat_rule, name, F_STR, "name"),
    F(ctl_nat_rule, kind, F_STR, "kind"),
    F(ctl_nat_rule, match, F_STR, "match"),
    F(ctl_nat_rule, becomes, F_STR, "becomes"),
    F(ctl_nat_rule, hairpin, F_BOOL, "hairpin"),
    F(ctl_nat_rule, hits, F_U64, "hits"),
};

static const struct field event_fields[] = {
    F(ctl_event, real_ns, F_TIME, "time"),
    F(ctl_event, node, F_STR, "node"),
    F(ctl_event, kind, F_STR, "kind"),
    F(ctl_event, text, F_STR, "text"),
};

static const struct field process_fields[] = {
    F(ctl_process, name, F_STR, "name"),
    F(ctl_process, state, F_STR, "state"),
    F(ctl_process, note, F_STR, "note"),
    F(ctl_process, pid, F_I32, "pid"),
    F(ctl_process, restarts, F_U32, "restarts"),
    F(ctl_process, queued, F_U32, "queued"),
    F(ctl_process, uptime_us, F_SPAN, "uptime_s"),
    F(ctl_process, rss_kb, F_U64, "rss_kb"),
    F(ctl_process, messages, F_U64, "messages"),
};

static const struct field progress_fields[] = {
    F(ctl_progress, real_ns, F_TIME, "time"),
    F(ctl_progress, node, F_STR, "node"),
    F(ctl_progress, text, F_STR, "text"),
};

struct row_type {
	uint32_t type;
	size_t size;
	const char *key; /* in JSON */
	bool list; /* any number of them */
	const struct field *fields;
	size_t nfields;
};

#define R(t, s, k, l, f)                                \
	{                                               \
		t, sizeof(struct s), k, l, f, nitems(f) \
	}

static const struct row_type types[ROW_MAX] = {
    [ROW_NODE] = R(IMSG_CTL_NODE, ctl_node, "node", false, node_fields),
    [ROW_PEER] = R(IMSG_CTL_PEER, ctl_peer, "peers", true, peer_fields),
    [ROW_WARNING] =
	R(IMSG_CTL_WARNING, ctl_warning, "warnings", true, warning_fields),
    [ROW_VRRP] = R(IMSG_CTL_VRRP, ctl_vrrp, "vrrp", false, vrrp_fields),
    [ROW_VRRP_NET] =
	R(IMSG_CTL_VRRP_NET, ctl_vrrp_net, "networks", true, net_fields),
    [ROW_SYNC] = R(IMSG_CTL_SYNC, ctl_sync, "sync", false, sync_fields),
    [ROW_SYNC_PEER] = R(IMSG_CTL_SYNC_PEER, ctl_sync_peer, "sync_peers", true,
	sync_peer_fields),
    [ROW_NAT] = R(IMSG_CTL_NAT, ctl_nat, "nat", false, nat_fields),
    [ROW_NAT_RULE] =
	R(IMSG_CTL_NAT_RULE, ctl_nat_rule, "rules", true, nat_rule_fields),
    [ROW_EVENT] = R(IMSG_CTL_EVENT, ctl_event, "events", true, event_fields),
    [ROW_PROCESS] =
	R(IMSG_CTL_PROCESS, ctl_process, "processes", true, process_fields),
    [ROW_PROGRESS] =
	R(IMSG_CTL_PROGRESS, ctl_progress, "progress", true, progress_fields),
};

enum row
row_of_type(uint32_t imsg_type)
{
	enum row row;

	for (row = 0; row < ROW_MAX; row++)
		if (types[row].type == imsg_type)
			break;
	return row;
}

size_t
row_size(enum row row)
{
	return types[row].size;
}

void
row_clean(enum row row, void *data)
{
	const struct row_type *t = &types[row];
	size_t i;

	for (i = 0; i < t->nfields; i++)
		if (t->fields[i].kind == F_STR)
			out_clean(
			    (char *)data + t->fields[i].off, t->fields[i].size);
}

static json_t *
json_u64(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *
json_addr(const void *p)
{
	char buf[INET_ADDRSTRLEN];
	struct in_addr in;

	memcpy(&in, p, sizeof(in));
	if (in.s_addr == 0)
		return json_null();
	return json_string(inet_ntop(AF_INET, &in, buf, sizeof(buf)));
}

static json_t *
json_hash(const uint8_t *hash)
{
	char buf[2 * CONF_HASH_LEN + 1];
	size_t i;

	for (i = 0; i < CONF_HASH_LEN; i++)
		snprintf(buf + 2 * i, 3, "%02x", hash[i]);
	return json_string(buf);
}

static json_t *
json_number(enum field_kind kind, uint64_t n)
{
	static const char *const bulks[] = {"none", "sending", "receiving"};

	switch (kind) {
	case F_BOOL:
		return json_boolean(n != 0);
	case F_ROLE:
		return json_string(role_name((enum role)n));
	case F_BULK:
		return json_string(n < nitems(bulks) ? bulks[n] : "unknown");
	case F_I32:
		return json_integer((int32_t)n);
	case F_SPAN:
		return out_json_span(n);
	case F_TIME:
		return out_json_time(n);
	default:
		return json_u64(n);
	}
}

static json_t *
json_field(const struct field *f, const void *data)
{
	const unsigned char *p = (const unsigned char *)data + f->off;
	uint64_t n64;
	uint32_t n32;

	switch (f->kind) {
	case F_STR:
		return json_string((const char *)p);
	case F_ADDR:
		return json_addr(p);
	case F_HASH:
		return json_hash(p);
	default:
		break;
	}
	if (f->size == sizeof(n64)) {
		memcpy(&n64, p, sizeof(n64));
		return json_number(f->kind, n64);
	}
	memcpy(&n32, p, sizeof(n32));
	return json_number(f->kind, n32);
}

json_t *
row_json(enum row row, const void *data)
{
	const struct row_type *t = &types[row];
	json_t *o = json_object();
	size_t i;

	for (i = 0; i < t->nfields; i++)
		json_object_set_new(
		    o, t->fields[i].name, json_field(&t->fields[i], data));
	return o;
}

void
answer_free(struct answer *a)
{
	size_t i;

	for (i = 0; i < ROW_MAX; i++)
		free(a->rows[i].v);
	free(a->text);
	memset(a, 0, sizeof(*a));
}

int
answer_add(struct answer *a, enum row row, const void *data)
{
	struct rows *r = &a->rows[row];
	size_t max, size = types[row].size;
	unsigned char *v;

	if (r->n >= (types[row].list ? HACTL_ROWS_MAX : 1))
		return -1;
	if (r->n == r->max) {
		max = r->max == 0 ? 16 : r->max * 2;
		if ((v = reallocarray(r->v, max, size)) == NULL)
			return -1;
		r->v = v;
		r->max = max;
	}
	memcpy(r->v + r->n++ * size, data, size);
	return 0;
}

const void *
answer_row(const struct answer *a, enum row row, size_t i)
{
	const struct rows *r = &a->rows[row];

	return i < r->n ? r->v + i * types[row].size : NULL;
}

static int
sink_row(void *arg, enum row row, void *data)
{
	return answer_add(arg, row, data) == -1 ? EX_FAILED : EX_DONE;
}

static int
sink_text(void *arg, const char *text, size_t len)
{
	struct answer *a = arg;
	char *p;

	if (a->textlen + len > HACTL_TEXT_MAX ||
	    (p = realloc(a->text, a->textlen + len + 1)) == NULL)
		return EX_FAILED;
	memcpy(p + a->textlen, text, len);
	a->text = p;
	a->textlen += len;
	p[a->textlen] = '\0';
	return EX_DONE;
}

struct conn_sink
answer_sink(struct answer *a)
{
	return (struct conn_sink){
	    .row = sink_row,
	    .text = sink_text,
	    .arg = a,
	};
}

const char *
answer_who(uint32_t what)
{
	switch (what) {
	case CTL_SHOW_VRRP:
		return proc_name(PROC_VRRP);
	case CTL_SHOW_SYNC:
		return proc_name(PROC_SYNC);
	case CTL_SHOW_NAT:
		return proc_name(PROC_NAT);
	default:
		return proc_name(PROC_PARENT);
	}
}

char *
answer_why(const struct query *q, char *buf, size_t len)
{
	const char *who = answer_who(q->req.what);

	if (strncmp(q->text, who, strlen(who)) == 0)
		snprintf(buf, len, "%s", q->text);
	else
		snprintf(buf, len, "%s does not answer%s%s", who,
		    q->text[0] != '\0' ? ": " : "", q->text);
	return buf;
}

static json_t *
json_rows(const struct answer *a, enum row row)
{
	json_t *list;
	size_t i;

	if (!types[row].list)
		return a->rows[row].n == 0
		    ? json_null()
		    : row_json(row, answer_row(a, row, 0));
	list = json_array();
	for (i = 0; i < a->rows[row].n; i++)
		json_array_append_new(
		    list, row_json(row, answer_row(a, row, i)));
	return list;
}

/* The kinds of row a request is answered with. */
static unsigned int
rows_of(uint32_t what)
{
	static const unsigned int masks[CTL_WHAT_MAX] = {
	    [CTL_SHOW_NODE] =
		1u << ROW_NODE | 1u << ROW_PEER | 1u << ROW_WARNING,
	    [CTL_SHOW_VRRP] =
		1u << ROW_VRRP | 1u << ROW_VRRP_NET | 1u << ROW_WARNING,
	    [CTL_SHOW_SYNC] =
		1u << ROW_SYNC | 1u << ROW_SYNC_PEER | 1u << ROW_WARNING,
	    [CTL_SHOW_NAT] =
		1u << ROW_NAT | 1u << ROW_NAT_RULE | 1u << ROW_WARNING,
	    [CTL_SHOW_EVENTS] = 1u << ROW_EVENT,
	    [CTL_SHOW_PROCESS] = 1u << ROW_PROCESS,
	    [CTL_FAILOVER] = 1u << ROW_PROGRESS,
	    [CTL_FAILBACK] = 1u << ROW_PROGRESS,
	};

	return what < CTL_WHAT_MAX ? masks[what] : 0;
}

static json_t *
json_unanswered(const struct answer *a)
{
	json_t *list = json_array(), *o;
	size_t i;

	for (i = 0; i < a->nqueries; i++) {
		if (a->queries[i].code == EX_DONE)
			continue;
		o = json_object();
		json_object_set_new(o, "process",
		    json_string(answer_who(a->queries[i].req.what)));
		json_object_set_new(
		    o, "code", json_integer(a->queries[i].code));
		json_object_set_new(o, "text", json_string(a->queries[i].text));
		json_array_append_new(list, o);
	}
	return list;
}

json_t *
answer_json(const struct answer *a, const char *command)
{
	json_t *o = out_json_new(command);
	unsigned int mask = 0;
	enum row row;
	size_t i;

	for (i = 0; i < a->nqueries; i++)
		mask |= rows_of(a->queries[i].req.what);
	for (row = 0; row < ROW_MAX; row++)
		if (mask & 1u << row)
			json_object_set_new(
			    o, types[row].key, json_rows(a, row));
	if (a->text != NULL)
		json_object_set_new(o, "text", json_string(a->text));
	if (a->nqueries > 1)
		json_object_set_new(o, "unanswered", json_unanswered(a));
	return o;
}
