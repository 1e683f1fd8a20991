/*
 * At start: addresses tagged as hagw's that an earlier hagwd left. When all
 * of the group's are there and alive, this node was MASTER a moment ago and
 * goes on; a part of them, or others, are removed.
 */
#include <string.h>

#include "clock.h"
#include "daemon.h"
#include "log.h"

#define FOUND_MAX 256

static struct kaddr found[FOUND_MAX];
static size_t nfound;

static void
collect(void *arg, const struct kaddr *k)
{
	(void)arg;
	if (nfound < FOUND_MAX)
		found[nfound++] = *k;
}

/* Take what belongs to network n out of the list. */
static bool
claim(int n)
{
	const struct kif *kif = kif_find(conf_ifname(hagwd.conf, n));

	for (size_t i = 0; kif != NULL && i < nfound; i++) {
		if (found[i].ifindex == kif->ifindex &&
		    found[i].addr.s_addr == hagwd.conf->h.nets[n].vip.s_addr)
			return true;
	}
	return false;
}

void
adopt(void)
{
	const struct conf_ha *ha = &hagwd.conf->h.ha;
	int have = 0;

	nfound = 0;
	if (kaddr_list(collect, NULL) == -1) {
		log_warn("addresses left by an earlier hagwd");
		return;
	}
	for (int i = 0; i < ha->nnets; i++)
		have += claim(ha->nets[i]);
	if (nfound == 0)
		return;
	if (have == ha->nnets && (size_t)have == nfound) {
		hagwd.role = ROLE_MASTER;
		hagwd.role_us = clock_us();
		hagwd.role_real_ns = clock_real_ns();
		history_add("vrrp", "MASTER as before: %zu address%s adopted",
		    nfound, nfound == 1 ? "" : "es");
		return;
	}
	kaddr_del(found, nfound);
	history_add("vrrp", "%zu stale address%s removed", nfound,
	    nfound == 1 ? "" : "es");
}
