/* vrrpd: the VRRP state machine of the group, without privileges. */
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "proc.h"
#include "vrrpd.h"

/* Two sockets for each network; sendto only on what is connected. */
static const struct sandbox_call vrrpd_calls[] = {
    {.name = "sendto", .kind = SB_ARG, .arg = 4, .value = 0},
};

static const struct sandbox_profile vrrpd_sandbox = {
    .id = PROC_VRRP,
    .user = "_hagw_vrrp",
    .realtime = true,
    .maxfds = 16 + 4 * CONF_NETS_MAX,
    .calls = vrrpd_calls,
    .ncalls = nitems(vrrpd_calls),
};

/* Kept from RESUME to the first commit; role INIT: a fresh start. */
static struct imsg_vrrp_resume resume;

/* The parent may have changed its mind since: then the descriptor closes. */
static struct vrrp_net *
fd_net(const struct imsg *imsg)
{
	const struct imsg_net *msg = imsg->data;
	struct vrrp_net *net = group_net(msg->net);

	if (net == NULL) {
		log_debug(
		    "network %u: not in the group, socket closed", msg->net);
		close(imsg->fd);
	}
	return net;
}

static void
on_fd_rx(const struct imsg *imsg)
{
	struct fsm_event ev = {.type = FSM_RX};
	struct vrrp_net *net = fd_net(imsg);

	if (net == NULL)
		return;
	io_set_rx(net, imsg->fd);
	ev.net = net->slot;
	group_event(&ev);
}

static void
on_fd_tx(const struct imsg *imsg)
{
	struct fsm_event ev = {.type = FSM_TX};
	struct vrrp_net *net = fd_net(imsg);

	if (net == NULL)
		return;
	io_set_tx(net, imsg->fd);
	ev.net = net->slot;
	group_event(&ev);
}

static void
on_lease(const struct imsg *imsg)
{
	lease_take(imsg->fd);
}

static void
on_link(const struct imsg *imsg)
{
	const struct imsg_link *msg = imsg->data;
	struct vrrp_net *net = group_net(msg->net);

	if (net != NULL)
		group_link(net, msg->up != 0);
}

static void
on_resume(const struct imsg *imsg)
{
	memcpy(&resume, imsg->data, sizeof(resume));
}

static void
on_release(const struct imsg *imsg)
{
	struct fsm_event ev = {.type = FSM_RELEASE};

	memcpy(&ev.release, imsg->data, sizeof(ev.release));
	if (ev.release.kind < RELEASE_FAILOVER ||
	    ev.release.kind > RELEASE_SHUTDOWN)
		fatalx("release of unknown kind %u", ev.release.kind);
	group_event(&ev);
}

static void
on_revoked(const struct imsg *imsg)
{
	struct fsm_event ev = {.type = FSM_REVOKED};

	(void)imsg;
	group_event(&ev);
}

static void
on_ready(const struct imsg *imsg)
{
	struct imsg_vrrp_ready msg;

	memcpy(&msg, imsg->data, sizeof(msg));
	group_ready(&msg);
}

static void
on_preempt(const struct imsg *imsg)
{
	struct fsm_event ev = {.type = FSM_PREEMPT};

	(void)imsg;
	group_event(&ev);
}

static void
on_show(const struct imsg *imsg)
{
	show_vrrp(group_get(), imsg->hdr.id, imsg->data, clock_us());
}

static const struct proc_handler handlers[] = {
    {IMSG_FD_VRRP_RX, on_fd_rx},
    {IMSG_FD_VRRP_TX, on_fd_tx},
    {IMSG_FD_LEASE, on_lease},
    {IMSG_LINK_STATE, on_link},
    {IMSG_VRRP_RESUME, on_resume},
    {IMSG_VRRP_RELEASE, on_release},
    {IMSG_VRRP_REVOKED, on_revoked},
    {IMSG_VRRP_READY, on_ready},
    {IMSG_VRRP_PREEMPT, on_preempt},
    {IMSG_CTL_SHOW, on_show},
};

static void
commit(struct conf *next)
{
	group_commit(next, &resume);
}

int
main(int argc, char *argv[])
{
	static const struct proc_ops ops = {
	    .handlers = handlers,
	    .nhandlers = nitems(handlers),
	    .reconf_check = vrrp_conf_check,
	    .reconf_commit = commit,
	    .shutdown = group_shutdown,
	    .orphaned = group_orphaned,
	};

	proc_init(&vrrpd_sandbox, argc, argv);
	io_init();
	group_init();
	proc_run(&ops);
}
