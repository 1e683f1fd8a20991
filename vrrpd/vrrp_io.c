/*
 * The sockets of the networks. They come opened, filtered and locked, and
 * no option of them can be changed here.
 */
#include <sys/socket.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "addr.h"
#include "clock.h"
#include "proc.h"
#include "vrrpd.h"

#define IO_DRAIN_MAX 64 /* packets per turn: others want to be heard too */
/* After such a turn: a vrrpd that never sleeps is ended as stuck. */
#define IO_PAUSE_US  1000

static struct event *pause_over;

static void
io_readable(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	io_drain(arg);
}

/* Adding an event that was not out changes nothing. */
static void
io_pause_over(int fd, short what, void *arg)
{
	struct vrrp_net *net;
	uint32_t i;

	(void)fd;
	(void)what;
	(void)arg;
	for (i = 0; i < CONF_NETS_MAX; i++)
		if ((net = group_net(i)) != NULL && net->ev != NULL)
			proc_watch(net->ev, NULL);
}

void
io_init(void)
{
	pause_over = evtimer_new(proc_base(), io_pause_over, NULL);
	if (pause_over == NULL ||
	    event_priority_set(pause_over, PROC_PRIO_HIGH) == -1)
		fatalx("cannot make the timer of the sockets");
}

void
io_net_init(struct vrrp_net *net)
{
	memset(net, 0, sizeof(*net));
	net->rx = net->tx = -1;
}

static void
io_close_rx(struct vrrp_net *net)
{
	if (net->ev != NULL)
		event_free(net->ev);
	if (net->rx != -1)
		close(net->rx);
	net->ev = NULL;
	net->rx = -1;
}

static void
io_close_tx(struct vrrp_net *net)
{
	if (net->tx != -1)
		close(net->tx);
	net->tx = -1;
}

void
io_net_close(struct vrrp_net *net)
{
	io_close_rx(net);
	io_close_tx(net);
}

static void
io_watch(struct vrrp_net *net)
{
	net->ev = event_new(
	    proc_base(), net->rx, EV_READ | EV_PERSIST, io_readable, net);
	if (net->ev == NULL ||
	    event_priority_set(net->ev, PROC_PRIO_HIGH) == -1 ||
	    event_add(net->ev, NULL) == -1)
		fatalx("%s: cannot watch the socket", net->row.name);
}

void
io_set_rx(struct vrrp_net *net, int fd)
{
	io_close_rx(net);
	net->rx = fd;
	io_watch(net);
}

void
io_moved(struct vrrp_net *net)
{
	if (net->ev == NULL)
		return;
	event_free(net->ev);
	io_watch(net);
}

void
io_set_tx(struct vrrp_net *net, int fd)
{
	io_close_tx(net);
	net->tx = fd;
}

static void
io_send_failed(struct vrrp_net *net)
{
	int error = errno;
	unsigned int lines;

	net->row.err_send++;
	net->mute_us = clock_us();
	net->mute_error = error;
	lines = log_allowed(&net->send_limit, net->mute_us);
	errno = error;
	if (lines > 0)
		log_warn("%s (vrid %u): cannot send an advertisement on %s",
		    net->row.name, net->row.vrid, net->row.ifname);
}

bool
io_send(struct vrrp_net *net, uint8_t priority, uint32_t interval_us)
{
	uint8_t buf[VRRP_ADVERT_LEN];

	if (net->tx == -1 || net->link == LINK_DOWN)
		return false;
	vrrp_encode(buf, net->own, (uint8_t)net->row.vrid, priority,
	    interval_us, net->row.vip);
	if (send(net->tx, buf, sizeof(buf), MSG_DONTWAIT) !=
	    (ssize_t)sizeof(buf)) {
		io_send_failed(net);
		return false;
	}
	net->row.sent++;
	net->mute_us = 0;
	if (priority == 0)
		net->row.sent_zero++;
	return true;
}

static void
io_count_error(struct ctl_vrrp_net *row, enum vrrp_error error)
{
	uint64_t *const counters[VRRP_ERR_MAX] = {
	    [VRRP_ERR_TTL] = &row->err_ttl,
	    [VRRP_ERR_VERSION] = &row->err_version,
	    [VRRP_ERR_TYPE] = &row->err_type,
	    [VRRP_ERR_LENGTH] = &row->err_length,
	    [VRRP_ERR_COUNT] = &row->err_count,
	    [VRRP_ERR_CHECKSUM] = &row->err_checksum,
	    [VRRP_ERR_VRID] = &row->err_vrid,
	    [VRRP_ERR_INTERVAL] = &row->err_interval,
	};

	(*counters[error])++;
}

static void
io_discard(
    struct vrrp_net *net, const struct vrrp_advert *ad, enum vrrp_error error)
{
	char addr[ADDR_STRLEN];
	unsigned int lines = log_allowed(&net->drop_limit, clock_us());

	io_count_error(&net->row, error);
	if (lines > 0)
		log_warnx("%s (vrid %u): advertisement from %s discarded: %s "
			  "(%u not logged)",
		    net->row.name, net->row.vrid, addr_str4(addr, ad->src),
		    vrrp_strerror(error), lines - 1);
}

static void
io_differs(struct vrrp_net *net, const struct vrrp_advert *ad)
{
	char addr[ADDR_STRLEN];
	unsigned int lines;

	net->row.err_addresses++;
	net->differ_src = ad->src;
	net->differ_us = clock_us();
	lines = log_allowed(&net->differ_limit, net->differ_us);
	if (lines > 0)
		log_warnx("%s: %s advertises vrid %u with other addresses than "
			  "this site's vip",
		    net->row.name, addr_str4(addr, ad->src), net->row.vrid);
}

/*
 * With other addresses one of our nodes has another site file for now, and
 * anybody else a group of his own that is not for us to follow.
 */
static void
io_accept(struct vrrp_net *net, const struct vrrp_advert *ad)
{
	if (ad->addrs_differ) {
		io_differs(net, ad);
		if (!group_has_node(ad->src))
			return;
	}
	net->row.received++;
	if (ad->priority == 0)
		net->row.received_zero++;
	if (ad->pseudo)
		net->row.cksum_pseudo++;
	else
		net->row.cksum_plain++;
	net->row.peer = ad->src;
	net->row.peer_priority = ad->priority;
	net->seen_us = clock_us();
	group_advert(net, ad);
}

static void
io_packet(struct vrrp_net *net, const void *buf, size_t len, bool truncated)
{
	struct vrrp_advert ad;
	enum vrrp_error error;

	error =
	    vrrp_decode(buf, len, (uint8_t)net->row.vrid, net->row.vip, &ad);
	/* Our own, come back by a bridge's loop or a mirror port. */
	if (ad.src.s_addr == net->own.s_addr)
		return;
	if (truncated && error == VRRP_OK)
		error = VRRP_ERR_LENGTH;
	if (error != VRRP_OK)
		io_discard(net, &ad, error);
	else
		io_accept(net, &ad);
}

/* Returns whether there may be more. */
static bool
io_receive(struct vrrp_net *net)
{
	uint8_t buf[VRRP_RECV_MAX];
	struct iovec iov = {.iov_base = buf, .iov_len = sizeof(buf)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	n = recvmsg(net->rx, &msg, MSG_DONTWAIT);
	if (n == -1) {
		/* ENETDOWN and the like: the link's state says it all. */
		if (errno != EAGAIN && errno != EINTR)
			log_debug(
			    "%s: receive: errno %d", net->row.name, errno);
		return false;
	}
	io_packet(net, buf, (size_t)n, (msg.msg_flags & MSG_TRUNC) != 0);
	return true;
}

/*
 * More than anybody needs to say: let this socket wait. One timer, begun anew
 * by each, so that there is a time when all of them wait.
 */
static void
io_pause(struct vrrp_net *net)
{
	struct timeval tv = clock_tv(IO_PAUSE_US);

	event_del(net->ev);
	proc_watch(pause_over, &tv);
}

void
io_drain(struct vrrp_net *net)
{
	unsigned int i;

	for (i = 0; i < IO_DRAIN_MAX && net->rx != -1; i++)
		if (!io_receive(net))
			return;
	if (net->ev != NULL)
		io_pause(net);
}
