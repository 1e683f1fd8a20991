/*
 * Sockets and link states the children are given. A network's VRRP sockets
 * exist while its interface and this node's address on it do; what could
 * not be opened is tried again each second and when the kernel reports a
 * change.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "addr.h"
#include "clock.h"
#include "daemon.h"
#include "log.h"

#define CT_EVENT_RCVBUF (64 << 20) /* 250,000 events */
#define TIMEOUTS_TICKS  10 /* seconds between two looks at them */

static int net_ifindex[CONF_NETS_MAX]; /* when its sockets were made */
static int net_told[CONF_NETS_MAX]; /* errno that was logged; 0: works */
static int sync_told;
static bool sync_open[CONF_NODES_MAX];
static int sync_ifindex; /* when its sockets were made */
static int ctl_fd = -1;
static int events_fd = -1; /* syncd has it too */
static bool events_told; /* that there is none */

static bool
net_is_path(const struct conf *conf, int n)
{
	for (int i = 0; i < conf->h.sync.npaths; i++)
		if (conf->h.sync.paths[i] == n)
			return true;
	return false;
}

static void
net_send_link(int n)
{
	const struct kif *kif = kif_find(conf_ifname(hagwd.conf, n));
	struct imsg_link msg = {.net = (uint32_t)n};
	bool vrrp = conf_in_group(hagwd.conf, n);
	bool up = kif != NULL && kif->up;

	if (vrrp)
		up = up && hagwd.has_sockets[n];
	if (up != hagwd.link_up[n])
		history_add("link", "%s (%s) is %s", hagwd.conf->h.nets[n].name,
		    conf_ifname(hagwd.conf, n), up ? "up" : "down");
	hagwd.link_up[n] = up;
	msg.up = up;
	if (vrrp && !health_holds_vrrpd())
		child_send(PROC_VRRP, IMSG_LINK_STATE, 0, &msg, sizeof(msg));
	if (net_is_path(hagwd.conf, n))
		child_send(PROC_SYNC, IMSG_LINK_STATE, 0, &msg, sizeof(msg));
}

/* What keeps the sockets of network n from being: once, until it changes. */
static void
net_warn(int *told, int n, const char *what)
{
	const char *ifname = conf_ifname(hagwd.conf, n);
	const char *net = hagwd.conf->h.nets[n].name;
	char own[ADDR_STRLEN];

	if (*told == errno)
		return;
	*told = errno;
	addr_str4(own, conf_addr(hagwd.conf, n));
	if (errno == EADDRNOTAVAIL)
		log_warnx("%s: %s: this node's address %s is not on %s", net,
		    what, own, ifname);
	else
		log_warn("%s: %s: %s", net, what, ifname);
}

/* Open and pass both sockets of network n; false: not now. */
static bool
net_open(int n)
{
	struct imsg_net msg = {.net = (uint32_t)n};
	const char *ifname = conf_ifname(hagwd.conf, n);
	const struct kif *kif = kif_find(ifname);
	struct in_addr own = conf_addr(hagwd.conf, n);
	int rx, tx;

	hagwd.has_sockets[n] = false;
	if (kif == NULL || kif->ifindex == 0) {
		errno = ENODEV;
		net_warn(&net_told[n], n, "no such interface");
		return false;
	}
	rx = rawsock_vrrp_rx(ifname, own, hagwd.conf->h.nets[n].vrid);
	tx = rx == -1 ? -1 : rawsock_vrrp_tx(ifname, own);
	if (tx == -1) {
		net_warn(&net_told[n], n, "no VRRP sockets");
		if (rx != -1)
			close(rx);
		return false;
	}
	child_send_fd(PROC_VRRP, IMSG_FD_VRRP_RX, 0, rx, &msg, sizeof(msg));
	child_send_fd(PROC_VRRP, IMSG_FD_VRRP_TX, 0, tx, &msg, sizeof(msg));
	hagwd.has_sockets[n] = true;
	net_ifindex[n] = kif->ifindex;
	net_told[n] = 0;
	return true;
}

/* Indices belong to one configuration: carry state over by name. */
static void
nets_carry(const struct conf *old, bool same[CONF_NETS_MAX])
{
	bool up[CONF_NETS_MAX] = {false}, has[CONF_NETS_MAX] = {false};
	int index[CONF_NETS_MAX] = {0}, told[CONF_NETS_MAX] = {0};

	for (int n = 0; n < hagwd.conf->h.nnets; n++) {
		int o = conf_net_find(old, hagwd.conf->h.nets[n].name);

		same[n] = o != -1 && conf_net_same_vrrp(old, o, hagwd.conf, n);
		if (!same[n])
			continue;
		up[n] = hagwd.link_up[o];
		has[n] = hagwd.has_sockets[o];
		index[n] = net_ifindex[o];
		told[n] = net_told[o];
	}
	memcpy(hagwd.link_up, up, sizeof(up));
	memcpy(hagwd.has_sockets, has, sizeof(has));
	memcpy(net_ifindex, index, sizeof(index));
	memcpy(net_told, told, sizeof(told));
}

void
nets_to_vrrpd(const struct conf *old)
{
	bool same[CONF_NETS_MAX] = {false};

	if (old != NULL)
		nets_carry(old, same);
	for (int n = 0; n < hagwd.conf->h.nnets; n++) {
		if (!conf_in_group(hagwd.conf, n))
			continue;
		if (!same[n] || !hagwd.has_sockets[n])
			net_open(n);
		net_send_link(n);
	}
}

/* This version has one path: paths[0]. */
static bool
sync_open_peer(int node)
{
	struct imsg_sync_path msg = {.node = (uint32_t)node, .path = 0};
	int n = hagwd.conf->h.sync.paths[0];
	const struct conf_net *net = &hagwd.conf->h.nets[n];
	const struct kif *kif = kif_find(conf_ifname(hagwd.conf, n));
	int fd = rawsock_sync(conf_ifname(hagwd.conf, n),
	    conf_addr(hagwd.conf, n), net->addr[node], hagwd.conf->h.sync.port);

	if (fd == -1) {
		net_warn(&sync_told, n, "no sync socket");
		return false;
	}
	sync_told = 0;
	sync_ifindex = kif != NULL ? kif->ifindex : 0;
	child_send_fd(PROC_SYNC, IMSG_FD_SYNC, 0, fd, &msg, sizeof(msg));
	return true;
}

static void
sync_open_anew(void)
{
	memset(sync_open, 0, sizeof(sync_open));
	sync_told = 0;
}

static void
sync_open_missing(void)
{
	for (int node = 0; node < hagwd.conf->h.nnodes; node++)
		if (node != hagwd.conf->h.self && !sync_open[node])
			sync_open[node] = sync_open_peer(node);
}

static void
sync_send_timeouts(bool changed_only)
{
	struct imsg_ct_timeouts t = {0};

	sysctl_ct_timeouts(&t);
	if (changed_only && memcmp(&t, &hagwd.view.timeouts, sizeof(t)) == 0)
		return;
	hagwd.view.timeouts = t;
	child_send(PROC_SYNC, IMSG_CT_TIMEOUTS, 0, &t, sizeof(t));
}

/* The administrator's to change at any time, and nobody tells. */
void
nets_timeouts_tick(void)
{
	static unsigned int ticks;

	if (hagwd.conf->h.sync.npaths != 0 && ++ticks % TIMEOUTS_TICKS == 0)
		sync_send_timeouts(true);
}

/*
 * Only a master's events matter. While nobody listens the kernel does not
 * even build one for each flow that is injected: a quarter of what
 * injecting it costs.
 */
void
nets_events(bool on)
{
	if (events_fd != -1 && kct_event_listen(events_fd, on) == -1)
		log_warn("sync: conntrack events");
}

/* syncd may have it still: nothing more is to fill it. */
static void
close_events(void)
{
	if (events_fd == -1)
		return;
	nets_events(false);
	close(events_fd);
	events_fd = -1;
}

static void
sync_send_events(void)
{
	int fd = kct_event_socket(CT_EVENT_RCVBUF, kct_portid());

	close_events();
	events_fd = fd == -1 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd == -1 && !events_told)
		log_warn("sync: no socket for conntrack events");
	events_told = fd == -1;
	if (fd != -1)
		child_send_fd(PROC_SYNC, IMSG_FD_CT_EVENTS, 0, fd, NULL, 0);
	nets_events(hagwd.role == ROLE_MASTER);
}

void
nets_to_syncd(const struct conf *old)
{
	if (hagwd.conf->h.sync.npaths == 0) {
		close_events();
		return;
	}
	if (old == NULL || old->h.sync.npaths == 0)
		sync_send_events();
	if (old == NULL || !conf_net_same_sync(old, hagwd.conf))
		sync_open_anew();
	sync_open_missing();
	sync_send_timeouts(false);
	for (int i = 0; i < hagwd.conf->h.sync.npaths; i++)
		net_send_link(hagwd.conf->h.sync.paths[i]);
}

void
nets_retry(void)
{
	if (child_running(PROC_VRRP)) {
		for (int n = 0; n < hagwd.conf->h.nnets; n++)
			if (conf_in_group(hagwd.conf, n) &&
			    !hagwd.has_sockets[n] && net_open(n))
				net_send_link(n);
	}
	if (child_running(PROC_SYNC) && hagwd.conf->h.sync.npaths > 0) {
		sync_open_missing();
		if (events_fd == -1)
			sync_send_events();
		peers_ask();
	}
}

void
nets_links(void)
{
	if (!child_running(PROC_VRRP))
		return;
	for (int n = 0; n < hagwd.conf->h.nnets; n++)
		if (conf_in_group(hagwd.conf, n))
			net_send_link(n);
}

/* A socket stays bound to the interface that was, whatever has its name. */
static void
sync_reopen(void)
{
	sync_open_anew();
	sync_open_missing();
}

static void
net_changed(int n)
{
	const struct kif *kif = kif_find(conf_ifname(hagwd.conf, n));
	int ifindex = kif != NULL ? kif->ifindex : 0;

	if (net_is_path(hagwd.conf, n) && child_running(PROC_SYNC) &&
	    ifindex != 0 && ifindex != sync_ifindex)
		sync_reopen();
	if (conf_in_group(hagwd.conf, n) && child_running(PROC_VRRP) &&
	    (!hagwd.has_sockets[n] || ifindex != net_ifindex[n]))
		net_open(n);
	net_send_link(n);
	takeover_link();
}

void
nets_link(const char *ifname)
{
	for (int n = 0; n < hagwd.conf->h.nnets; n++)
		if (strcmp(conf_ifname(hagwd.conf, n), ifname) == 0)
			net_changed(n);
}

/* Without this node's own address there is nothing to send from. */
static void
own_address_lost(int ifindex, struct in_addr addr)
{
	char text[ADDR_STRLEN];

	for (int n = 0; n < hagwd.conf->h.nnets; n++) {
		if (conf_addr(hagwd.conf, n).s_addr != addr.s_addr ||
		    net_ifindex[n] != ifindex || !hagwd.has_sockets[n])
			continue;
		log_warnx("%s: this node's address %s was removed from %s",
		    hagwd.conf->h.nets[n].name, addr_str4(text, addr),
		    conf_ifname(hagwd.conf, n));
		hagwd.has_sockets[n] = false;
		net_send_link(n);
	}
}

/* This node's own address came back: sockets may be possible again. */
void
nets_addr(int ifindex, struct in_addr addr, bool deleted)
{
	if (deleted) {
		takeover_address_lost(ifindex, addr);
		own_address_lost(ifindex, addr);
		return;
	}
	for (int n = 0; n < hagwd.conf->h.nnets; n++)
		if (conf_addr(hagwd.conf, n).s_addr == addr.s_addr &&
		    conf_in_group(hagwd.conf, n) && !hagwd.has_sockets[n])
			net_changed(n);
}

void
nets_init(void)
{
	if (kif_init(hagwd.base, nets_link, nets_addr) == -1)
		fatal("link monitor");
}

/* Group hagw may connect; what it may ask is decided in ctld. */
static int
ctl_own(const char *path)
{
	struct group *gr = getgrnam(HAGW_GROUP);

	if (gr == NULL) {
		log_warnx("control socket: no group %s: only root may use "
			  "hactl (make users, or systemd-sysusers, creates it)",
		    HAGW_GROUP);
		return chmod(path, 0600);
	}
	if (chown(path, 0, gr->gr_gid) == -1)
		return -1;
	return chmod(path, 0660);
}

int
nets_ctl_listen(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/%s",
	    hagwd.opt.rundir, HAGW_SOCK_NAME);

	if (n < 0 || (size_t)n >= sizeof(sun.sun_path)) {
		log_warnx(
		    "control socket: %s: path too long", hagwd.opt.rundir);
		return -1;
	}
	if (unlink(sun.sun_path) == -1 && errno != ENOENT) {
		log_warn("control socket: %s", sun.sun_path);
		return -1;
	}
	ctl_fd =
	    socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ctl_fd == -1 ||
	    bind(ctl_fd, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    ctl_own(sun.sun_path) == -1 || listen(ctl_fd, 64) == -1) {
		log_warn("control socket: %s", sun.sun_path);
		return -1;
	}
	return 0;
}

void
nets_to_ctld(void)
{
	int fd = fcntl(ctl_fd, F_DUPFD_CLOEXEC, 0);

	if (fd == -1)
		log_warn("control socket");
	else
		child_send_fd(PROC_CTL, IMSG_FD_CTL, 0, fd, NULL, 0);
}
