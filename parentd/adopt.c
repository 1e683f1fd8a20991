/*
 * At start: addresses tagged as hagw's that an earlier hagwd left. When all
 * of the group's are there, and the last advertisement is so young that no
 * peer can have taken over, this node is still MASTER and goes on. Else they
 * are removed: the addresses' own lifetime is longer than a peer waits.
 */
#include <sys/mman.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "daemon.h"
#include "lease.h"
#include "log.h"

#define FOUND_MAX 256

/* A mapping of a file: it outlives this process, not the host. */
static struct lease *lease;
static int lease_fd = -1;

static struct kaddr found[FOUND_MAX];
static size_t nfound;

/*
 * All of its blocks must be there: a store into a page for which the disk
 * has no room would end this process. And none may wait for a disk, as one
 * into a page that is just being written out does: vrrpd stores there before
 * each peer's timer runs out.
 */
static int
lease_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct statfs fs;

	if (fd == -1 || fstatfs(fd, &fs) == -1 ||
	    (errno = posix_fallocate(fd, 0, sizeof(*lease))) != 0) {
		log_warn("%s: a restart will not keep mastership", path);
	} else if (fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC) {
		log_warnx("%s: not on a tmpfs: a restart will not keep "
			  "mastership",
		    path);
	} else {
		return fd;
	}
	if (fd != -1)
		close(fd);
	return -1;
}

void
adopt_init(const char *rundir)
{
	char path[CONF_PATH_MAX];
	void *map;

	snprintf(path, sizeof(path), "%s/lease", rundir);
	if ((lease_fd = lease_open(path)) == -1) {
		lease_fd = memfd_create("lease", MFD_CLOEXEC);
		if (lease_fd == -1 || ftruncate(lease_fd, sizeof(*lease)) == -1)
			fatal("lease page");
	}
	map = mmap(NULL, sizeof(*lease), PROT_READ | PROT_WRITE, MAP_SHARED,
	    lease_fd, 0);
	if (map == MAP_FAILED)
		fatal("%s", path);
	lease = map;
}

void
adopt_to_vrrpd(void)
{
	int fd = fcntl(lease_fd, F_DUPFD_CLOEXEC, 0);

	if (fd == -1)
		log_warn("lease page");
	else
		child_send_fd(PROC_VRRP, IMSG_FD_LEASE, 0, fd, NULL, 0);
}

void
adopt_lease(uint64_t now_us)
{
	lease->begun_us = now_us;
	if (now_us == 0)
		lease->beat_us = 0;
}

void
adopt_refreshed(void)
{
	lease->refreshed_us = clock_us();
}

uint64_t
adopt_refreshed_us(void)
{
	return lease->refreshed_us;
}

static uint64_t
left_of(uint64_t from_us, uint64_t now)
{
	uint64_t term =
	    LEASE_INTERVALS * (uint64_t)hagwd.conf->h.ha.advertise_us;

	/* 0 is a lease given back; one from the future is of another boot */
	if (from_us == 0 || from_us > now || now - from_us >= term)
		return 0;
	return term - (now - from_us);
}

uint64_t
adopt_left_us(void)
{
	uint64_t begun = lease->begun_us, beat = lease->beat_us;
	/* after them, or one written just now would be from the future */
	uint64_t now = clock_us();

	begun = left_of(begun, now);
	beat = left_of(beat, now);
	return begun > beat ? begun : beat;
}

/* Whoever speaks for this node is not to go on. */
static void
lease_forget(void)
{
	lease->begun_us = 0;
	lease->beat_us = 0;
	lease->owner = 0;
}

/* A dump that was interrupted begins anew, and names some again. */
static void
collect(void *arg, const struct kaddr *k)
{
	(void)arg;
	for (size_t i = 0; i < nfound; i++)
		if (found[i].ifindex == k->ifindex &&
		    found[i].addr.s_addr == k->addr.s_addr)
			return;
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
	if (nfound == 0) {
		lease_forget();
		return;
	}
	if (have == ha->nnets && (size_t)have == nfound &&
	    adopt_left_us() > 0) {
		hagwd.role = ROLE_MASTER;
		hagwd.role_us = clock_us();
		hagwd.role_real_ns = clock_real_ns();
		history_add("vrrp", "MASTER as before: %zu address%s adopted",
		    nfound, nfound == 1 ? "" : "es");
		return;
	}
	lease_forget();
	kaddr_del(found, nfound);
	history_add("vrrp", "%zu stale address%s removed", nfound,
	    nfound == 1 ? "" : "es");
}
