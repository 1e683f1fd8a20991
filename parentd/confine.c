/*
 * What the parent gives up once everything is open: capabilities it has no
 * use for, new privileges by exec, and the system calls that neither it nor
 * a starting child makes. Children are executed later, after a death too,
 * and inherit all of it: what sandbox.c does must stay possible, and each
 * child's own filter then allows a part of this one.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <unistd.h>

#include "daemon.h"
#include "log.h"
#include "sandbox.h"

/* The reasons are the table of SECURITY.md too. */
static const unsigned int caps[] = {
    CAP_NET_ADMIN, /* addresses, nftables, conntrack, sysctls of net */
    CAP_NET_RAW, /* VRRP sockets, gratuitous ARP */
    CAP_KILL, /* children are of other users */
    CAP_DAC_READ_SEARCH, /* reload: a site file only its owner may read */
    CAP_SETUID, /* children: to their users */
    CAP_SETGID,
    CAP_SETPCAP, /* children: empty the bounding set, lock securebits */
    CAP_SYS_CHROOT, /* children: the empty root */
    CAP_SYS_NICE, /* vrrpd: real-time class */
    CAP_IPC_LOCK, /* vrrpd: memory locked */
    CAP_SYS_RESOURCE, /* vrrpd: limit of locked memory */
};

#define NEW_NAMESPACES                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | \
	    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
#define WX (PROT_WRITE | PROT_EXEC)

#define CALL(name)                     \
	{                              \
#name, SB_ANY, 0, 0, 0 \
	}
#define CALL_ARG(name, n, v)           \
	{                              \
#name, SB_ARG, n, 0, v \
	}

/* Beyond the common calls. A call that cannot be told apart is for all. */
static const struct sandbox_call parent_calls[] = {
    /* kernel objects, sockets for the children, syslog, systemd */
    CALL_ARG(socket, 0, AF_NETLINK),
    CALL_ARG(socket, 0, AF_INET),
    CALL_ARG(socket, 0, AF_PACKET),
    CALL_ARG(socket, 0, AF_UNIX),
    CALL_ARG(socketpair, 0, AF_UNIX),
    CALL(bind),
    CALL(connect),
    CALL(getsockname),
    CALL(getsockopt),
    CALL(setsockopt),
    CALL(sendto),
    CALL(sendmsg),
    CALL(recvfrom),
    CALL(poll),
    CALL(ppoll),
    CALL_ARG(ioctl, 1, SIOCGIFINDEX),
    CALL_ARG(ioctl, 1, TCGETS), /* stdio */
    CALL(dup2),
    CALL(dup3),
    CALL(fcntl),
    /* files: the site file, its key, /proc/sys/net, what is in the rundir */
    CALL(open),
    CALL(openat),
    CALL(access),
    CALL(faccessat),
    CALL(faccessat2),
    CALL(stat),
    CALL(lstat),
    CALL(fstat),
    CALL(newfstatat),
    CALL(statx),
    CALL(readlink),
    CALL(readlinkat),
    CALL(lseek),
    CALL(pread64),
    CALL(unlink),
    CALL(unlinkat),
    CALL(getcwd),
    /* children: life and death */
    {"clone", SB_ARG_MASKED, 0, NEW_NAMESPACES, 0},
    CALL(execve),
    CALL(wait4),
    CALL(clock_nanosleep),
    CALL(kill),
    CALL(tgkill),
    CALL(getppid),
    CALL(sysinfo),
    CALL(uname),
    CALL(getuid),
    CALL(geteuid),
    CALL(getgid),
    CALL(getegid),
    /* children: the dynamic linker, libevent, the user database */
    {"mmap", SB_ARG_MASKED, 2, WX, PROT_EXEC},
    CALL(arch_prctl),
    CALL(set_tid_address),
    CALL(set_robust_list),
    CALL(rseq),
    CALL(epoll_create1),
    CALL(eventfd2),
    CALL(pipe2),
    CALL(timerfd_create),
    CALL(getdents64),
    /* children: sandbox.c */
    CALL(close_range),
    CALL(prlimit64),
    CALL(getrlimit),
    CALL(setrlimit),
    CALL(mlockall),
    CALL(sched_setscheduler),
    CALL_ARG(sched_setaffinity, 0, 0), /* itself: cpus.c */
    CALL_ARG(sched_setattr, 0, 0),
    CALL(chroot),
    CALL(chdir),
    CALL_ARG(prctl, 0, PR_CAPBSET_DROP),
    CALL_ARG(prctl, 0, PR_SET_SECUREBITS),
    CALL_ARG(prctl, 0, PR_SET_DUMPABLE),
    CALL_ARG(prctl, 0, PR_SET_TIMERSLACK),
    CALL_ARG(prctl, 0, PR_SET_NO_NEW_PRIVS),
    CALL_ARG(prctl, 0, PR_SET_SECCOMP),
    CALL_ARG(prctl, 0, PR_SET_PDEATHSIG), /* aside.c */
    CALL(seccomp),
    CALL(setgroups),
    CALL(setresgid),
    CALL(setresuid),
    CALL(setuid),
    CALL(setgid),
    CALL(landlock_create_ruleset),
    CALL(landlock_restrict_self),
    /* children: their work, as their profiles have it */
    CALL(accept4),
    CALL(recvmmsg),
};

static bool
wanted(unsigned int cap)
{
	for (size_t i = 0; i < nitems(caps); i++)
		if (caps[i] == cap)
			return true;
	return false;
}

static void
drop_bounds(void)
{
	for (unsigned int cap = 0; cap <= CAP_LAST_CAP; cap++) {
		/* EINVAL: a kernel older than the header */
		if (!wanted(cap) &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1 &&
		    errno != EINVAL)
			fatal("confinement: dropping capability %u", cap);
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == -1)
		fatal("confinement: ambient capabilities");
}

/* Of those it was started with: a service manager may have kept some back. */
static void
drop_caps(void)
{
	struct __user_cap_header_struct head = {
	    .version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &head, data) == -1)
		fatal("confinement: reading capabilities");
	for (unsigned int cap = 0; cap <= CAP_LAST_CAP; cap++) {
		uint32_t bit = CAP_TO_MASK(cap);

		if (!wanted(cap))
			data[CAP_TO_INDEX(cap)].permitted &= ~bit;
	}
	for (size_t i = 0; i < nitems(data); i++) {
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &head, data) == -1)
		fatal("confinement: dropping capabilities");
}

void
confine(void)
{
	drop_bounds();
	drop_caps();
	/* an exec gives nothing beyond this; children set it anyway */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		fatal("confinement: no_new_privs");
	seccomp_confine(parent_calls, nitems(parent_calls));
}
