/*
 * Role changes. By the time vrrpd says MASTER the flows are in the kernel
 * already, the ruleset is loaded, routes are in place: taking over is
 * adding addresses and telling the neighbours. The master lease: a vrrpd
 * that stops advertising loses the addresses before a peer takes them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "daemon.h"
#include "fmt.h"
#include "lease.h"
#include "log.h"
#include "proc.h"

/* Records still in flight when we took over are let in for this long. */
#define INJECT_GRACE_US 10000000
/*
 * An advertisement due at the very end of the lease may just come to it: 1 of
 * so many parts of an interval is waited for, no more than any peer's skew
 * (that of priority 254).
 */
#define LEASE_SLACK     128
/* An address somebody removes is put back this often per second. */
#define RESTORE_RATE    5

static struct event *lease_timer;
static struct event *inject_timer;

static size_t
vips_of(const struct conf *conf, struct kaddr *out)
{
	size_t n = 0;

	for (int i = 0; i < conf->h.ha.nnets; i++) {
		int net = conf->h.ha.nets[i];
		const struct kif *kif = kif_find(conf_ifname(conf, net));

		if (kif != NULL && kif->ifindex != 0)
			out[n++] = (struct kaddr){.ifindex = kif->ifindex,
			    .addr = conf->h.nets[net].vip};
	}
	return n;
}

static size_t
announcements(struct announce_addr *out)
{
	const struct conf *conf = hagwd.conf;
	size_t n = 0;

	for (int i = 0; i < conf->h.ha.nnets; i++) {
		int net = conf->h.ha.nets[i];
		const struct kif *kif = kif_find(conf_ifname(conf, net));

		if (kif == NULL || kif->ifindex == 0)
			continue;
		out[n].ifindex = kif->ifindex;
		out[n].addr = conf->h.nets[net].vip;
		memcpy(out[n].mac, kif->mac, sizeof(out[n].mac));
		n++;
	}
	return n;
}

static void
announce_vips(void)
{
	struct announce_addr out[CONF_NETS_MAX];

	announce_start(out, announcements(out));
}

/* An interface got another hardware address, or was made anew. */
void
takeover_link(void)
{
	struct announce_addr out[CONF_NETS_MAX];
	size_t n = announcements(out);

	if (hagwd.role == ROLE_MASTER && !hagwd.stopping &&
	    !announce_is(out, n))
		announce_start(out, n);
}

static void
set_vips(void)
{
	static struct log_limit limit;
	struct kaddr vips[CONF_NETS_MAX];
	size_t n = vips_of(hagwd.conf, vips);
	int error = kaddr_set(vips, n);

	if (error == 0) {
		adopt_refreshed();
	} else if (log_allowed(&limit, clock_us())) {
		errno = error;
		log_warn("virtual addresses: cannot be set");
	}
}

static void
remove_vips(void)
{
	struct kaddr vips[CONF_NETS_MAX];
	size_t n = vips_of(hagwd.conf, vips);
	int error = kaddr_del(vips, n);

	announce_stop();
	if (error != 0) {
		errno = error;
		log_warn("virtual addresses: cannot be removed; they expire "
			 "in %d s",
		    KADDR_LIFE_S);
	}
}

void
takeover_send_role(enum proc_id id)
{
	uint64_t age_ms = (clock_us() - hagwd.role_us) / 1000;
	struct imsg_vrrp_role msg = {.role = hagwd.role,
	    .age_ms = age_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)age_ms};

	child_send(id, IMSG_VRRP_ROLE, 0, &msg, sizeof(msg));
}

static const char *
group_name(char *buf, size_t sz)
{
	const struct conf_head *h = &hagwd.conf->h;
	size_t n = 0;

	buf[0] = '\0';
	for (int i = 0; i < h->ha.nnets && n < sz; i++)
		n += (size_t)snprintf(buf + n, sz - n, "%s%s",
		    i > 0 ? ", " : "", h->nets[h->ha.nets[i]].name);
	return buf;
}

static void
become(enum role role, const char *reason)
{
	struct timeval grace = clock_tv(INJECT_GRACE_US);
	char nets[CTL_TEXT_MAX / 2];

	hagwd.role = hagwd.view.role = role;
	hagwd.role_us = clock_us();
	hagwd.role_real_ns = clock_real_ns();
	hagwd.transitions++;
	if (role == ROLE_MASTER) {
		hagwd.released = false;
		event_add(inject_timer, &grace);
	} else {
		event_del(inject_timer);
		event_del(lease_timer);
		adopt_lease(0);
		hagwd.view.inject = true;
		nets_events(false);
	}
	/* natd before syncd: its grace matters at once */
	takeover_send_role(PROC_NAT);
	takeover_send_role(PROC_SYNC);
	history_add("vrrp", "%s %s: %.180s", role_name(role),
	    group_name(nets, sizeof(nets)), reason);
	handover_role_changed();
}

static void
lease_watch(void)
{
	struct timeval left = clock_tv(
	    adopt_left_us() + hagwd.conf->h.ha.advertise_us / LEASE_SLACK);

	event_add(lease_timer, &left);
}

void
takeover_state(enum role role, const char *reason)
{
	if (role == hagwd.role)
		return;
	if (role == ROLE_MASTER) {
		/* from the first packet on */
		nets_events(true);
		set_vips();
		announce_vips();
		adopt_lease(clock_us());
		lease_watch();
	} else if (hagwd.role == ROLE_MASTER) {
		remove_vips();
	}
	become(role, reason);
}

static void
revoke(const char *why)
{
	remove_vips();
	child_send(PROC_VRRP, IMSG_VRRP_REVOKED, 0, NULL, 0);
	become(ROLE_BACKUP, why);
}

/* The peer's down timer is 3 intervals and its skew: we are before it. */
static void
lease_ran_out(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (hagwd.role != ROLE_MASTER)
		return;
	if (adopt_left_us() > 0)
		lease_watch();
	else
		revoke("vrrpd has not advertised for 3 intervals: "
		       "addresses withdrawn");
}

static void
inject_closed(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	hagwd.view.inject = false;
}

void
takeover_init(void)
{
	lease_timer = evtimer_new(hagwd.base, lease_ran_out, NULL);
	inject_timer = evtimer_new(hagwd.base, inject_closed, NULL);
	if (lease_timer == NULL || inject_timer == NULL)
		fatalx("event loop: no memory");
	event_priority_set(lease_timer, PROC_PRIO_HIGH);
	hagwd.view.role = hagwd.role;
	hagwd.view.inject = hagwd.role != ROLE_MASTER;
	if (hagwd.role == ROLE_MASTER) { /* adopted */
		set_vips();
		announce_vips();
		lease_watch();
	}
}

/*
 * Late by a whole lifetime, hagwd itself was stopped, or the kernel takes
 * nothing from it: the addresses were gone, and another node has them.
 */
void
takeover_refresh(void)
{
	uint64_t now = clock_us(), from = adopt_refreshed_us();

	if (hagwd.role != ROLE_MASTER)
		return;
	if (from < hagwd.role_us)
		from = hagwd.role_us;
	if (now > from && now - from > LEASE_ADDRESS_US)
		revoke("the addresses could not be refreshed in time");
	else
		set_vips();
}

void
takeover_again(void)
{
	if (hagwd.role == ROLE_MASTER)
		announce_again();
}

void
takeover_withdraw(void)
{
	if (hagwd.role == ROLE_MASTER)
		remove_vips();
	adopt_lease(0);
	hagwd.role = hagwd.view.role = ROLE_BACKUP;
}

/* Only the difference is touched: what stays keeps its lifetime running. */
void
takeover_reconf(const struct conf *old)
{
	struct kaddr before[CONF_NETS_MAX], now[CONF_NETS_MAX];
	struct kaddr gone[CONF_NETS_MAX];
	size_t nb = vips_of(old, before);
	size_t nn = vips_of(hagwd.conf, now);
	size_t ngone = 0, nsame = 0;

	if (hagwd.role != ROLE_MASTER)
		return;
	/* the last advertisement may be older than the new term */
	if (old->h.ha.advertise_us != hagwd.conf->h.ha.advertise_us)
		adopt_lease(clock_us());
	lease_watch();
	for (size_t i = 0; i < nb; i++) {
		bool kept = false;

		for (size_t k = 0; k < nn; k++)
			kept |= before[i].ifindex == now[k].ifindex &&
			    before[i].addr.s_addr == now[k].addr.s_addr;
		if (!kept)
			gone[ngone++] = before[i];
		nsame += kept;
	}
	if (ngone > 0)
		kaddr_del(gone, ngone);
	if (nsame != nn)
		set_vips();
	if (ngone > 0 || nsame != nn)
		announce_vips();
}

void
takeover_address_lost(int ifindex, struct in_addr addr)
{
	static uint64_t second;
	static unsigned int restored;
	struct kaddr vips[CONF_NETS_MAX];
	size_t n = vips_of(hagwd.conf, vips);
	char text[INET_ADDRSTRLEN];

	if (hagwd.role != ROLE_MASTER || hagwd.stopping)
		return;
	for (size_t i = 0; i < n; i++) {
		if (vips[i].ifindex != ifindex ||
		    vips[i].addr.s_addr != addr.s_addr ||
		    kaddr_present(ifindex, addr))
			continue;
		if (second != clock_us() / 1000000) {
			second = clock_us() / 1000000;
			restored = 0;
		}
		if (restored++ >= RESTORE_RATE)
			return; /* the refresh of each second goes on trying */
		kaddr_set(&vips[i], 1);
		announce_again();
		history_add("drift",
		    "virtual address %s was removed by "
		    "somebody; put back",
		    inet_ntop(AF_INET, &addr, text, sizeof(text)));
	}
}
