/*
 * What a sandbox profile lets a process do, tried from inside: each attempt
 * is a process of its own that enters the sandbox and makes one call. The
 * including file defines PROFILE and own_calls, what that profile adds.
 */
#ifndef TEST_SANDBOX_H
#define TEST_SANDBOX_H

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "sandbox.h"

#define KEEP_FD     63 /* descriptors below are the test's */
#define LAST_CALL   600 /* beyond any there is */
#define X32         0x40000000
#define EXIT_DONE   10 /* the call was made, and worked */
#define EXIT_DENIED 11 /* the call was made, and failed */

/* Sockets made before: what a child holds. */
static int sock_udp, sock_unix, sock_raw, sock_netlink;
static pid_t bystander;
static char empty_dir[] = "/tmp/hagw-sandbox-XXXXXX";

/* What all profiles allow, whatever the arguments. */
static const char *const common_calls[] = {"read", "write", "writev", "close",
    "recvmsg", "epoll_wait", "epoll_pwait", "epoll_ctl", "timerfd_settime",
    "clock_gettime", "gettimeofday", "getpid", "gettid", "getrandom", "brk",
    "munmap", "mremap", "madvise", "futex", "rt_sigreturn", "rt_sigprocmask",
    "rt_sigaction", "sigaltstack", "restart_syscall", "exit", "exit_group"};

/* With some arguments: zeros are among them. */
static const char *const common_if_zero[] = {"mmap", "mprotect"};

static void
open_sockets(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
	    .sin_port = htons(9),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int sv[2];

	sock_udp = socket(AF_INET, SOCK_DGRAM, 0);
	connect(sock_udp, (struct sockaddr *)&sin, sizeof(sin));
	sock_raw = socket(AF_INET, SOCK_RAW, 112);
	sock_netlink = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv);
	sock_unix = sv[0];
}

static int
setup(void **state)
{
	(void)state;
	open_sockets();
	if (mkdtemp(empty_dir) == NULL || chmod(empty_dir, 0555) == -1)
		return -1;
	if ((bystander = fork()) == 0) {
		pause();
		_exit(0);
	}
	return bystander == -1 ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	kill(bystander, SIGKILL);
	waitpid(bystander, NULL, 0);
	return rmdir(empty_dir);
}

/* Make one call inside; the wait status. */
static int
inside(long (*fn)(long), long arg)
{
	pid_t pid = fork();
	int status;

	assert_true(pid != -1);
	if (pid == 0) {
		/* not cmocka's: it would go on with the next test */
		signal(SIGILL, SIG_DFL);
		signal(SIGSEGV, SIG_DFL);
		sandbox_prepare(&PROFILE, KEEP_FD);
		sandbox_enter(&PROFILE, empty_dir);
		_exit(fn(arg) == -1 ? EXIT_DENIED : EXIT_DONE);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static bool
died(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static long
call_zero(long nr)
{
	return syscall(nr, 0, 0, 0, 0, 0, 0);
}

static bool
listed(const char *const *list, size_t n, long nr)
{
	for (size_t i = 0; i < n; i++)
		if (seccomp_syscall_resolve_name(list[i]) == nr)
			return true;
	return false;
}

#define LISTED(list, nr) listed(list, sizeof(list) / sizeof(list[0]), nr)

/* uretprobe and uprobe: no filter is asked, and they are a trampoline's. */
static bool
passes_by(long nr)
{
#ifdef __x86_64__
	return nr == 335 || nr == 336;
#else
	return false;
#endif
}

/* Every call there is: those that no table here names end the process. */
static void
every_call(void **state)
{
	unsigned int allowed = 0;

	(void)state;
	for (long nr = 0; nr < LAST_CALL; nr++) {
		if (LISTED(common_calls, nr) || LISTED(common_if_zero, nr) ||
		    LISTED(own_calls, nr)) {
			allowed++;
			continue;
		}
		if (!passes_by(nr) && !died(inside(call_zero, nr))) {
			char *name = seccomp_syscall_resolve_num_arch(
			    SCMP_ARCH_NATIVE, (int)nr);

			fail_msg("call %ld (%s) is allowed", nr,
			    name != NULL ? name : "none");
		}
	}
	assert_in_range(allowed, 28, 40);
}

static long
call_x32(long nr)
{
	return syscall(nr | X32, 0, 0, 0, 0, 0, 0);
}

/* getpid, read, write: allowed by their number, not by that one. */
static void
x32_calls(void **state)
{
	static const long nrs[] = {SYS_getpid, SYS_read, SYS_write, 512, 520};

	(void)state;
	for (size_t i = 0; i < sizeof(nrs) / sizeof(nrs[0]); i++)
		assert_true(died(inside(call_x32, nrs[i])));
}

#ifdef __x86_64__
static long
call_int80(long nr)
{
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(nr) : "memory");
	return ret < 0 ? -1 : ret;
}

/* getpid of i386, which is another call here; without i386 a fault. */
static void
int80_calls(void **state)
{
	int status;

	(void)state;
	status = inside(call_int80, 20);
	assert_true(WIFSIGNALED(status));
	assert_true(WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV);
}
#endif

/* Forbidden things by what they are for, with arguments that would work. */

static const struct sockaddr_in elsewhere = {
    .sin_family = AF_INET, .sin_port = 0x0900, .sin_addr.s_addr = 0x0100007f};
static const struct sockaddr *const to = (const struct sockaddr *)&elsewhere;

static long
try_open(long arg)
{
	(void)arg;
	return open("/", O_RDONLY);
}

static long
try_openat(long fd)
{
	return openat((int)fd, ".", O_RDONLY);
}

static long
try_socket(long family)
{
	return socket((int)family, SOCK_DGRAM, 0);
}

static long
try_connect(long fd)
{
	return connect((int)fd, to, sizeof(elsewhere));
}

static long
try_bind(long fd)
{
	return bind((int)fd, to, sizeof(elsewhere));
}

/* IP_HDRINCL needs no privilege, once one has a raw socket. */
static long
try_hdrincl(long fd)
{
	int on = 1;

	return setsockopt((int)fd, IPPROTO_IP, IP_HDRINCL, &on, sizeof(on));
}

static long
try_getsockopt(long opt)
{
	int v;
	socklen_t len = sizeof(v);

	return getsockopt(sock_unix, SOL_SOCKET, (int)opt, &v, &len);
}

static long
try_sendto_address(long fd)
{
	return sendto((int)fd, "x", 1, 0, to, sizeof(elsewhere));
}

static long
try_sendmsg_address(long fd)
{
	char byte = 'x';
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_name = (void *)(uintptr_t)to,
	    .msg_namelen = sizeof(elsewhere),
	    .msg_iov = &iov,
	    .msg_iovlen = 1};

	return sendmsg((int)fd, &msg, 0);
}

static long
try_sendmmsg(long fd)
{
	struct mmsghdr m = {.msg_hdr.msg_name = (void *)(uintptr_t)to,
	    .msg_hdr.msg_namelen = sizeof(elsewhere)};

	return sendmmsg((int)fd, &m, 1, 0);
}

static long
try_accept(long flags)
{
	return accept4(sock_unix, NULL, NULL, (int)flags);
}

static long
try_ioctl(long request)
{
	char buf[256] = "lo";

	return ioctl(sock_udp, (unsigned long)request, buf);
}

static long
try_ptrace(long pid)
{
	return ptrace(PTRACE_ATTACH, (pid_t)pid, NULL, NULL);
}

static long
try_execve(long arg)
{
	char name[] = "sh", *argv[] = {name, NULL};

	(void)arg;
	return execve("/bin/sh", argv, NULL);
}

static long
try_kill(long pid)
{
	/* no signal: the filter does not ask which, and one let through hits */
	return kill((pid_t)pid, 0);
}

static long
try_tgkill(long pid)
{
	return syscall(SYS_tgkill, pid, pid, SIGKILL);
}

static long
try_mmap(long prot)
{
	return mmap(NULL, 4096, (int)prot, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0) == MAP_FAILED
	    ? -1
	    : 0;
}

static long
try_mprotect(long prot)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(p, 4096, (int)prot);
}

static long
try_clone(long flags)
{
	return syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
}

static long
try_prctl(long what)
{
	return prctl((int)what, 1, 0, 0, 0);
}

static long
try_chroot(long arg)
{
	(void)arg;
	return chroot("/");
}

static long
try_setuid(long uid)
{
	return setuid((uid_t)uid);
}

static long
try_fcntl(long cmd)
{
	return fcntl(sock_unix, (int)cmd, 0);
}

static long
try_rtnetlink(long fd)
{
	/* RTM_NEWLINK, nothing in it: without privilege even that is EPERM */
	struct nlmsghdr h = {.nlmsg_len = sizeof(h) + 16,
	    .nlmsg_type = 16,
	    .nlmsg_flags = NLM_F_REQUEST};
	char buf[sizeof(h) + 16] = {0};

	memcpy(buf, &h, sizeof(h));
	return write((int)fd, buf, sizeof(buf)) == -1 ? -1 : 0;
}

#define FD(name) 0, &name

static const struct forbidden {
	const char *what;
	long (*fn)(long);
	long arg;
	const int *fd; /* instead of arg */
} forbidden[] = {
    {"open", try_open, 0, NULL},
    {"openat", try_openat, AT_FDCWD, NULL},
    {"socket unix", try_socket, AF_UNIX, NULL},
    {"socket inet", try_socket, AF_INET, NULL},
    {"socket netlink", try_socket, AF_NETLINK, NULL},
    {"socket packet", try_socket, AF_PACKET, NULL},
    {"connect", try_connect, FD(sock_udp)},
    {"bind", try_bind, FD(sock_udp)},
    {"setsockopt IP_HDRINCL", try_hdrincl, FD(sock_raw)},
    {"getsockopt SO_TYPE", try_getsockopt, SO_TYPE, NULL},
    {"sendto an address", try_sendto_address, FD(sock_udp)},
    {"sendto an address, raw", try_sendto_address, FD(sock_raw)},
    {"sendmsg to an address", try_sendmsg_address, FD(sock_udp)},
    {"sendmmsg to an address", try_sendmmsg, FD(sock_udp)},
    {"accept4 without flags", try_accept, 0, NULL},
    {"ioctl SIOCSIFFLAGS", try_ioctl, 0x8914, NULL},
    {"ioctl SIOCGIFCONF", try_ioctl, 0x8912, NULL},
    {"ioctl TIOCSTI", try_ioctl, 0x5412, NULL},
    {"ptrace", try_ptrace, FD(bystander)},
    {"execve", try_execve, 0, NULL},
    {"kill another", try_kill, FD(bystander)},
    {"kill all", try_kill, -1, NULL},
    {"tgkill another", try_tgkill, FD(bystander)},
    {"mmap executable", try_mmap, PROT_READ | PROT_EXEC, NULL},
    {"mmap W and X", try_mmap, PROT_READ | PROT_WRITE | PROT_EXEC, NULL},
    {"mprotect executable", try_mprotect, PROT_READ | PROT_EXEC, NULL},
    {"fork", try_clone, 0, NULL},
    {"clone a thread", try_clone, CLONE_VM | CLONE_FILES, NULL},
    {"clone a user namespace", try_clone, CLONE_NEWUSER, NULL},
    {"prctl PR_SET_DUMPABLE", try_prctl, PR_SET_DUMPABLE, NULL},
    {"prctl PR_SET_NAME", try_prctl, PR_SET_NAME, NULL},
    {"chroot", try_chroot, 0, NULL},
    {"setuid", try_setuid, 0, NULL},
    {"fcntl F_DUPFD", try_fcntl, F_DUPFD, NULL},
    {"fcntl F_SETOWN", try_fcntl, F_SETOWN, NULL},
};

static void
forbidden_things(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		const struct forbidden *f = &forbidden[i];
		int status = inside(f->fn, f->fd != NULL ? *f->fd : f->arg);

		if (!died(status))
			fail_msg("%s: wait status 0x%x", f->what, status);
	}
	assert_int_equal(kill(bystander, 0), 0);
}

/* What the kernel refuses, not the filter. */
static void
netlink_is_of_no_use(void **state)
{
	struct nlmsgerr *e;
	char buf[4096];

	(void)state;
	assert_int_equal(
	    WEXITSTATUS(inside(try_rtnetlink, sock_netlink)), EXIT_DONE);
	assert_true(recv(sock_netlink, buf, sizeof(buf), MSG_DONTWAIT) > 0);
	e = (struct nlmsgerr *)(buf + NLMSG_HDRLEN);
	assert_int_equal(e->error, -EPERM);
}

static long
try_allowed(long arg)
{
	struct timespec ts;

	(void)arg;
	return clock_gettime(CLOCK_MONOTONIC, &ts) == -1 ||
		write(sock_unix, "x", 1) != 1 ||
		fcntl(sock_unix, F_GETFL) == -1 ||
		try_mmap(PROT_READ | PROT_WRITE) == -1
	    ? -1
	    : 0;
}

/* The counter-proof: inside, what a child lives by works. */
static void
daily_bread(void **state)
{
	(void)state;
	assert_int_equal(inside(try_allowed, 0), EXIT_DONE << 8);
}

#define COMMON_TESTS                                                       \
	cmocka_unit_test(daily_bread), cmocka_unit_test(forbidden_things), \
	    cmocka_unit_test(x32_calls),                                   \
	    INT80_TEST cmocka_unit_test(netlink_is_of_no_use),             \
	    cmocka_unit_test(every_call)
#ifdef __x86_64__
#define INT80_TEST cmocka_unit_test(int80_calls),
#else
#define INT80_TEST
#endif

#endif
