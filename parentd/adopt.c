/*
 * At start: addresses tagged as hagw's that an earlier hagwd left. When all
 * of the group's are there, and the last advertisement is so young that no
 * peer can have taken over, this node is still MASTER and goes on. Else they
 * are removed: the addresses' own lifetime is longer than a peer waits.
 */
#include <sys/mman.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "daemon.h"
#include "log.h"

#define FOUND_MAX 256

/*
 * When the lease was last renewed, on the monotonic clock, in a shared file
 * mapping: it outlives this process, not the host, and costs a store.
 */
static uint64_t *lease_us;

static struct kaddr found[FOUND_MAX];
static size_t nfound;

void
adopt_init(const char *rundir)
{
	char path[CONF_PATH_MAX];
	void *map;
	int fd;

	snprintf(path, sizeof(path), "%s/lease", rundir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1 || ftruncate(fd, sizeof(*lease_us)) == -1)
		fatal("%s", path);
	map = mmap(
	    NULL, sizeof(*lease_us), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		fatal("%s", path);
	close(fd);
	lease_us = map;
}

void
adopt_lease(uint64_t now_us)
{
	*lease_us = now_us;
}

/* 0 is a lease given back; one from the future is of another boot. */
uint64_t
adopt_left_us(void)
{
	uint64_t now = clock_us();
	uint64_t term = 3 * (uint64_t)hagwd.conf->h.ha.advertise_us;

	if (*lease_us == 0 || *lease_us > now || now - *lease_us >= term)
		return 0;
	return term - (now - *lease_us);
}

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
	if (have == ha->nnets && (size_t)have == nfound &&
	    adopt_left_us() > 0) {
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
