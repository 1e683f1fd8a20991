#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "sandbox.h"

/* vrrpd spinning for this long is broken: end it, the parent restarts it */
#define RTTIME_MAX_US 500000
#define REALTIME_PRIO 10
#define MEMLOCK_MAX   (64 << 20)

static uid_t sb_uid;
static gid_t sb_gid;
static unsigned int sb_lacks;

static void
set_rlimit(int what, rlim_t value, const char *name)
{
	struct rlimit rl = {value, value};

	if (setrlimit(what, &rl) == -1)
		fatal("sandbox: setrlimit %s", name);
}

/*
 * Once root is gone, later mappings count against the limit, and where it
 * may not be raised (a container) they would fail: lock what is there now.
 */
static int
mlock_flags(void)
{
	struct rlimit rl = {MEMLOCK_MAX, MEMLOCK_MAX};

	if (setrlimit(RLIMIT_MEMLOCK, &rl) == -1)
		return MCL_CURRENT;
	return MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
}

static void
enter_realtime(void)
{
	struct sched_param sp = {.sched_priority = REALTIME_PRIO};

	if (mlockall(mlock_flags()) == -1)
		sb_lacks |= SB_NO_MLOCK;
	if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &sp) == -1)
		sb_lacks |= SB_NO_REALTIME;
	else
		set_rlimit(RLIMIT_RTTIME, RTTIME_MAX_US, "RTTIME");
}

static void
ignore_signals(void)
{
	static const int sigs[] = {SIGPIPE, SIGHUP, SIGINT, SIGUSR1, SIGUSR2};

	/* a terminal's ^C is the parent's to handle */
	for (size_t i = 0; i < nitems(sigs); i++)
		signal(sigs[i], SIG_IGN);
}

void
sandbox_prepare(const struct sandbox_profile *p, int keepfd)
{
	struct passwd *pw;

	if (close_range((unsigned int)keepfd + 1, ~0U, 0) == -1)
		fatal("sandbox: close_range");
	ignore_signals();
	errno = 0;
	if ((pw = getpwnam(p->user)) == NULL)
		fatalx("sandbox: no user %s (make users, or systemd-sysusers, "
		       "creates it)",
		    p->user);
	sb_uid = pw->pw_uid;
	sb_gid = pw->pw_gid;
	if (sb_uid == 0 || sb_gid == 0)
		fatalx("sandbox: user %s must not be root", p->user);
	if (p->realtime)
		enter_realtime();
}

static void
enter_chroot(const char *dir)
{
	struct stat st;

	if (stat(dir, &st) == -1)
		fatal("sandbox: %s", dir);
	if (!S_ISDIR(st.st_mode) || st.st_uid != 0 || (st.st_mode & 022) != 0)
		fatalx(
		    "sandbox: %s must be a directory only root can write", dir);
	if (chroot(dir) == -1 || chdir("/") == -1)
		fatal("sandbox: chroot %s", dir);
}

static void
drop_capability_bounds(void)
{
	for (unsigned long cap = 0; cap <= CAP_LAST_CAP; cap++) {
		/* EINVAL: a kernel older than the header */
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1 &&
		    errno != EINVAL)
			fatal("sandbox: dropping capability %lu", cap);
	}
	if (prctl(PR_SET_SECUREBITS,
		SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
		    SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
		    SECBIT_NO_CAP_AMBIENT_RAISE |
		    SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
		0, 0, 0) == -1)
		fatal("sandbox: locking securebits");
}

static void
drop_ids(void)
{
	if (setgroups(0, NULL) == -1 ||
	    setresgid(sb_gid, sb_gid, sb_gid) == -1 ||
	    setresuid(sb_uid, sb_uid, sb_uid) == -1)
		fatal("sandbox: changing to uid %u", sb_uid);
	if (setuid(0) != -1 || seteuid(0) != -1 || setgid(0) != -1)
		fatalx("sandbox: root could be regained");
	if (getuid() != sb_uid || geteuid() != sb_uid || getgid() != sb_gid)
		fatalx("sandbox: still another user");
}

static void
drop_limits(const struct sandbox_profile *p)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		fatal("sandbox: PR_SET_DUMPABLE");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		fatal("sandbox: no_new_privs");
	set_rlimit(RLIMIT_CORE, 0, "CORE");
	set_rlimit(RLIMIT_NPROC, 0, "NPROC");
	set_rlimit(RLIMIT_FSIZE, 0, "FSIZE");
	set_rlimit(RLIMIT_NOFILE, p->maxfds, "NOFILE");
}

/* Every kind of access the header knows is handled, and none is granted. */
static int
enter_landlock(void)
{
	struct landlock_ruleset_attr attr = {
	    .handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE |
		LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |
		LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR |
		LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
		LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
		LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
		LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM};
	int fd, ret;

	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (fd == -1)
		return -1;
	ret = (int)syscall(SYS_landlock_restrict_self, fd, 0);
	close(fd);
	return ret;
}

unsigned int
sandbox_enter(const struct sandbox_profile *p, const char *emptydir)
{
	enter_chroot(emptydir);
	drop_capability_bounds();
	drop_ids();
	drop_limits(p);
	if (enter_landlock() == -1)
		sb_lacks |= SB_NO_LANDLOCK;
	seccomp_enter(p);
	return sb_lacks;
}
