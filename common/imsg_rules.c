/*
 * The one table of who may send what, when, how long, and with a descriptor
 * or without. Meaning is checked later, by authz in the parent and by the
 * handlers in the children.
 */
#include "imsg_msg.h"

#define V               FROM_VRRP
#define S               FROM_SYNC
#define N               FROM_NAT
#define C               FROM_CTL
#define ALL             FROM_CHILD

/* len of a struct; of a list, where one element at least must be there */
#define LEN(t)          .len = sizeof(struct t)
#define LIST(t)         .unit = sizeof(struct t)
#define RULE(type, ...) [IMSG_##type] = {.name = #type, __VA_ARGS__}

/* A row of an answer: from whoever knows, through ctld, to the user. */
#define ROW(type, t, who)                                     \
	RULE(type, .from = (who), .to = C, .user = 2, LEN(t), \
	    .phases = PHASE_RUN)

static const struct imsg_rule rules[IMSG_MAX] = {
    RULE(PROC_HELLO, .from = ALL, .phases = PHASE_START, LEN(imsg_hello)),
    RULE(PROC_READY, .from = ALL, .phases = PHASE_START, LEN(imsg_ready)),
    RULE(PROC_SHUTDOWN, .to = ALL, .phases = PHASE_ANY),
    RULE(PROC_VERBOSE, .to = ALL, .phases = PHASE_ANY, .len = sizeof(uint32_t)),
    RULE(PROC_PING, .to = ALL, .phases = PHASE_ANY),
    RULE(PROC_PONG, .from = ALL, .phases = PHASE_READY),
    RULE(PROC_LOG, .from = ALL, .phases = PHASE_ANY, LEN(imsg_log)),
    RULE(PROC_EVENT, .from = ALL, .phases = PHASE_RUN, LEN(imsg_text)),
    RULE(RECONF_BEGIN, .to = ALL, .phases = PHASE_READY, LEN(conf_head)),
    RULE(RECONF_SOURCE, .to = N, .phases = PHASE_READY, LIST(conf_source)),
    RULE(RECONF_FORWARD, .to = N, .phases = PHASE_READY, LIST(conf_forward)),
    RULE(RECONF_KEY, .to = S, .phases = PHASE_READY, LEN(imsg_key)),
    RULE(RECONF_DRAIN, .to = ALL, .phases = PHASE_READY),
    RULE(RECONF_DRAINED, .from = ALL, .phases = PHASE_READY, LEN(imsg_drained)),
    RULE(RECONF_DONE, .to = ALL, .phases = PHASE_READY),
    RULE(RECONF_ABORT, .to = ALL, .phases = PHASE_READY),
    RULE(FD_VRRP_RX, .to = V, .phases = PHASE_RUN, LEN(imsg_net), .fd = true),
    RULE(FD_VRRP_TX, .to = V, .phases = PHASE_RUN, LEN(imsg_net), .fd = true),
    RULE(
	FD_SYNC, .to = S, .phases = PHASE_RUN, LEN(imsg_sync_path), .fd = true),
    RULE(FD_CT_EVENTS, .to = S, .phases = PHASE_RUN, .fd = true),
    RULE(FD_CT_DUMP, .to = S, .phases = PHASE_RUN, .fd = true),
    RULE(FD_NFT_DUMP, .to = N, .phases = PHASE_RUN, .fd = true),
    RULE(FD_CTL, .to = C, .phases = PHASE_RUN, .fd = true),
    RULE(FD_LEASE, .to = V, .phases = PHASE_RUN, .fd = true),
    RULE(LINK_STATE, .to = V | S, .phases = PHASE_RUN, LEN(imsg_link)),
    RULE(VRRP_STATE, .from = V, .phases = PHASE_RUN, LEN(imsg_vrrp_state)),
    RULE(VRRP_ANNOUNCE, .from = V, .phases = PHASE_RUN),
    RULE(VRRP_HANDOVER, .from = V, .phases = PHASE_RUN),
    RULE(VRRP_RESUME, .to = V, .phases = PHASE_READY, LEN(imsg_vrrp_resume)),
    RULE(VRRP_RELEASE, .to = V, .phases = PHASE_RUN, LEN(imsg_vrrp_release)),
    RULE(
	VRRP_RELEASED, .from = V, .phases = PHASE_RUN, LEN(imsg_vrrp_released)),
    RULE(VRRP_REVOKED, .to = V, .phases = PHASE_RUN),
    RULE(VRRP_READY, .to = V, .phases = PHASE_RUN, LEN(imsg_vrrp_ready)),
    RULE(VRRP_PREEMPT, .to = V, .phases = PHASE_RUN),
    RULE(VRRP_ROLE, .to = S | N, .phases = PHASE_RUN, LEN(imsg_vrrp_role)),
    RULE(CT_INJECT, .from = S, .phases = PHASE_RUN, LIST(ct_rec)),
    RULE(CT_APPLIED, .to = S, .phases = PHASE_RUN, LEN(imsg_ct_applied),
	LIST(imsg_ct_fail)),
    RULE(CT_DUMP, .from = S, .phases = PHASE_RUN),
    RULE(CT_STATUS, .from = S, .phases = PHASE_RUN, LEN(imsg_ct_status)),
    RULE(CT_BARRIER, .to = S, .phases = PHASE_RUN),
    RULE(CT_BARRIER_DONE, .from = S, .phases = PHASE_RUN, LEN(imsg_ct_barrier)),
    RULE(CT_HANDOVER, .to = S, .phases = PHASE_RUN, LEN(imsg_ct_handover)),
    RULE(CT_HANDOVER_ASKED, .from = S, .phases = PHASE_RUN,
	LEN(imsg_ct_handover)),
    RULE(CT_TIMEOUTS, .to = S, .phases = PHASE_RUN, LEN(imsg_ct_timeouts)),
    RULE(CT_COUNT, .to = S, .phases = PHASE_RUN, LEN(imsg_ct_count)),
    RULE(CT_UNFIT, .to = S, .phases = PHASE_RUN, LEN(imsg_ct_unfit)),
    RULE(NAT_BATCH, .from = N, .phases = PHASE_RUN, .unit = 1),
    RULE(NAT_COMMIT, .from = N, .phases = PHASE_RUN, LEN(imsg_nat_commit)),
    RULE(NAT_RESULT, .to = N, .phases = PHASE_RUN, LEN(imsg_nat_result)),
    RULE(NAT_LOADED, .from = N, .phases = PHASE_RUN, LEN(imsg_nat_loaded)),
    RULE(NAT_DUMP, .from = N, .phases = PHASE_RUN, LEN(imsg_nat_dump)),
    RULE(NAT_CHANGED, .to = N, .phases = PHASE_RUN, LEN(imsg_nat_changed)),
    RULE(CTL_HELLO, .user = 2, .phases = PHASE_RUN, LEN(ctl_hello)),
    RULE(CTL_REQUEST, .from = C, .user = 1, .phases = PHASE_RUN,
	LEN(ctl_request)),
    RULE(CTL_SHOW, .to = V | S | N, .phases = PHASE_RUN, LEN(ctl_request)),
    RULE(CTL_CANCEL, .from = C, .phases = PHASE_RUN),
    ROW(CTL_END, ctl_end, V | S | N),
    ROW(CTL_TEXT, ctl_text, 0),
    ROW(CTL_PROGRESS, ctl_progress, 0),
    ROW(CTL_EVENT, ctl_event, 0),
    ROW(CTL_WARNING, ctl_warning, V | S | N),
    ROW(CTL_NODE, ctl_node, 0),
    ROW(CTL_PEER, ctl_peer, 0),
    ROW(CTL_VRRP, ctl_vrrp, V),
    ROW(CTL_VRRP_NET, ctl_vrrp_net, V),
    ROW(CTL_SYNC, ctl_sync, S),
    ROW(CTL_SYNC_PEER, ctl_sync_peer, S),
    ROW(CTL_NAT, ctl_nat, N),
    ROW(CTL_NAT_RULE, ctl_nat_rule, N),
    ROW(CTL_PROCESS, ctl_process, 0),
};

const struct imsg_rule *
imsg_rule(uint32_t type)
{
	if (type == IMSG_NONE || type >= IMSG_MAX)
		return NULL;
	return &rules[type];
}

const char *
imsg_name(uint32_t type)
{
	const struct imsg_rule *r = imsg_rule(type);

	return r != NULL ? r->name : "unknown type";
}

const char *
imsg_check_str(enum imsg_check c)
{
	static const char *const texts[] = {
	    [IMSG_FINE] = "fine",
	    [IMSG_BAD_TYPE] = "unknown type",
	    [IMSG_BAD_SENDER] = "not this sender's to send",
	    [IMSG_BAD_PHASE] = "out of phase",
	    [IMSG_BAD_LENGTH] = "wrong length",
	    [IMSG_BAD_FD] = "descriptor missing or not wanted",
	};

	return texts[c];
}

static bool
length_ok(const struct imsg_rule *r, uint32_t len)
{
	if (r->unit == 0)
		return len == r->len;
	if (len < r->len || (len - r->len) % r->unit != 0)
		return false;
	return r->len > 0 || len > 0;
}

static enum imsg_check
check(const struct imsg *im, const struct imsg_rule *r, bool sender_ok,
    unsigned int phase)
{
	if (!sender_ok)
		return IMSG_BAD_SENDER;
	if ((r->phases & phase) == 0)
		return IMSG_BAD_PHASE;
	if (!length_ok(r, im->hdr.len))
		return IMSG_BAD_LENGTH;
	if (r->fd != (im->fd != -1))
		return IMSG_BAD_FD;
	return IMSG_FINE;
}

enum imsg_check
imsg_check_from(const struct imsg *im, enum proc_id from, enum imsg_phase phase)
{
	const struct imsg_rule *r = imsg_rule(im->hdr.type);

	if (r == NULL)
		return IMSG_BAD_TYPE;
	return check(im, r, (r->from & 1u << from) != 0, phase);
}

enum imsg_check
imsg_check_to(const struct imsg *im, enum proc_id to, enum imsg_phase phase)
{
	const struct imsg_rule *r = imsg_rule(im->hdr.type);

	if (r == NULL)
		return IMSG_BAD_TYPE;
	return check(im, r, (r->to & 1u << to) != 0, phase);
}

enum imsg_check
imsg_check_user(const struct imsg *im, int direction)
{
	const struct imsg_rule *r = imsg_rule(im->hdr.type);

	if (r == NULL)
		return IMSG_BAD_TYPE;
	return check(im, r, r->user == (unsigned int)direction, PHASE_RUN);
}
