/*
 * ctld: the control socket. It reads what users send, so it runs without
 * privileges: it checks who asks and for what, passes well-formed requests
 * to the parent, and the rows that come back to the one who asked.
 */
#include <sys/socket.h>
#include <stdlib.h>

#include "ctld.h"
#include "proc.h"

/* Beyond the common calls: connections, and who is at their other end. */
static const struct sandbox_call calls[] = {
    {"accept4", SB_ARG, 3, 0, SOCK_NONBLOCK | SOCK_CLOEXEC},
    {"getsockopt", SB_ARG, 2, 0, SO_PEERCRED},
};

static const struct sandbox_profile profile = {
    .id = PROC_CTL,
    .user = "_hagw_ctl",
    .maxfds = CLIENTS_MAX + CLIENT_ACCEPT_MAX + 16,
    .calls = calls,
    .ncalls = nitems(calls),
};

static void
to_parent_request(uint32_t id, const struct ctl_request *req)
{
	proc_send(IMSG_CTL_REQUEST, id, req, sizeof(*req));
}

static void
to_parent_cancel(uint32_t id)
{
	proc_send(IMSG_CTL_CANCEL, id, NULL, 0);
}

static const struct relay_ops relay_ops = {
    .request = to_parent_request,
    .cancel = to_parent_cancel,
};

static void
on_listen(const struct imsg *imsg)
{
	clients_listen(imsg->fd);
}

static void
on_commit(struct conf *next)
{
	/* nothing of the site concerns who may ask */
	conf_free(next);
}

static const struct proc_handler handlers[] = {
    {IMSG_FD_CTL, on_listen},
    {IMSG_CTL_END, relay_row},
    {IMSG_CTL_TEXT, relay_row},
    {IMSG_CTL_PROGRESS, relay_row},
    {IMSG_CTL_EVENT, relay_row},
    {IMSG_CTL_WARNING, relay_row},
    {IMSG_CTL_NODE, relay_row},
    {IMSG_CTL_PEER, relay_row},
    {IMSG_CTL_VRRP, relay_row},
    {IMSG_CTL_VRRP_NET, relay_row},
    {IMSG_CTL_SYNC, relay_row},
    {IMSG_CTL_SYNC_PEER, relay_row},
    {IMSG_CTL_NAT, relay_row},
    {IMSG_CTL_NAT_RULE, relay_row},
    {IMSG_CTL_PROCESS, relay_row},
};

static const struct proc_ops ops = {
    .handlers = handlers,
    .nhandlers = nitems(handlers),
    .reconf_commit = on_commit,
    .shutdown = clients_close,
};

int
main(int argc, char *argv[])
{
	proc_init(&profile, argc, argv);
	clients_init(proc_base(), &relay_ops);
	proc_run(&ops);
}
