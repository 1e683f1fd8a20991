/*
 * Preloaded into hagwd or one of its children: calls of the C library fail,
 * now and then, as a control file says that is mapped and may be changed at
 * any time. Only for tests; shim.py knows the layout too.
 *
 *	HAGW_SHIM=FILE LD_PRELOAD=shim.so hagwd ...
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum fault {
	F_SEND_ENOBUFS, /* any socket */
	F_SEND_EAGAIN, /* the socketpair is full */
	F_SEND_ENOMEM,
	F_EINTR, /* whatever may wait */
	F_RECV_EAGAIN, /* woken for nothing */
	F_RECV_ENOBUFS, /* netlink: the kernel had to drop something */
	F_RECV_SHORT, /* netlink and syncd: the last bytes are missing */
	F_READ_SHORT,
	F_NL_EBUSY, /* netlink: answers of success say failure */
	F_NL_EEXIST,
	F_MALLOC,
	F_FORK,
	F_SOCKET, /* and socketpair: EMFILE */
	F_OPEN, /* ENFILE */
	F_MAX
};

struct control {
	_Atomic uint32_t per_mille[F_MAX];
	_Atomic uint32_t hits[F_MAX];
	_Atomic uint32_t dice; /* state of the generator: the seed first */
	uint32_t reserved;
	_Atomic int64_t shift_s; /* of the wall clock */
};

static struct control off; /* without a control file: no faults */
static struct control *ctl = &off;
static bool child; /* started with an empty environment */

/* The real call behind each name. */
#define REAL(name)                     \
	static __typeof__(&name) real; \
	if (real == NULL)              \
	real = (__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name)

/* Where it was, for the log; then as without this. */
static void
crashed(int sig)
{
	void *frames[32];

	backtrace_symbols_fd(frames, backtrace(frames, 32), STDERR_FILENO);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void __attribute__((constructor)) start(void)
{
	const char *path = getenv("HAGW_SHIM");
	void *map, *frame;
	int fd;

	(void)backtrace(&frame, 1); /* loads what it needs */
	signal(SIGSEGV, crashed);
	child = getenv("PATH") == NULL;
	if (path == NULL || (fd = open(path, O_RDWR | O_CLOEXEC)) == -1)
		return;
	map =
	    mmap(NULL, sizeof(*ctl), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map != MAP_FAILED)
		ctl = map;
}

/* xorshift; two threads at once would only repeat a number. */
static bool
strikes(enum fault f)
{
	uint32_t rate = atomic_load(&ctl->per_mille[f]), x;

	if (rate == 0)
		return false;
	x = atomic_load(&ctl->dice);
	if (x == 0)
		x = 1;
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	atomic_store(&ctl->dice, x);
	if (x % 1000 >= rate)
		return false;
	atomic_fetch_add(&ctl->hits[f], 1);
	return true;
}

static int
fails(enum fault f, int error)
{
	if (!strikes(f))
		return 0;
	errno = error;
	return -1;
}

static int
family(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	/* its filter knows no such call; of its own it has the socketpair */
	if (child)
		return fd == 3 ? AF_UNIX : -1;
	if (getsockname(fd, (struct sockaddr *)&ss, &len) == -1)
		return -1;
	return ss.ss_family;
}

static int
send_fails(int fd)
{
	if (fails(F_EINTR, EINTR) || fails(F_SEND_ENOBUFS, ENOBUFS) ||
	    fails(F_SEND_ENOMEM, ENOMEM))
		return -1;
	if (atomic_load(&ctl->per_mille[F_SEND_EAGAIN]) != 0 &&
	    family(fd) == AF_UNIX && fails(F_SEND_EAGAIN, EAGAIN))
		return -1;
	return 0;
}

ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
	REAL(sendmsg);
	return send_fails(fd) ? -1 : real(fd, msg, flags);
}

ssize_t
sendto(int fd, const void *buf, size_t len, int flags,
    const struct sockaddr *to, socklen_t tolen)
{
	REAL(sendto);
	return send_fails(fd) ? -1 : real(fd, buf, len, flags, to, tolen);
}

ssize_t
send(int fd, const void *buf, size_t len, int flags)
{
	REAL(send);
	return send_fails(fd) ? -1 : real(fd, buf, len, flags);
}

/* What syncd sends its peers by; hagwd writes files with it. */
ssize_t
write(int fd, const void *buf, size_t len)
{
	REAL(write);
	return child && send_fails(fd) ? -1 : real(fd, buf, len);
}

ssize_t
writev(int fd, const struct iovec *iov, int n)
{
	REAL(writev);
	return send_fails(fd) ? -1 : real(fd, iov, n);
}

static int
recv_fails(void)
{
	return fails(F_EINTR, EINTR) || fails(F_RECV_EAGAIN, EAGAIN) ? -1 : 0;
}

/* An answer of the kernel is another one, or not whole. */
static ssize_t
spoil(void *buf, size_t size, ssize_t n)
{
	struct nlmsghdr *nlh = buf;
	struct nlmsgerr *e;
	int error = 0;

	if (n <= 0 || (size_t)n > size)
		return n;
	if ((size_t)n >= NLMSG_LENGTH(sizeof(*e)) &&
	    nlh->nlmsg_type == NLMSG_ERROR) {
		e = NLMSG_DATA(nlh);
		if (e->error == 0 && strikes(F_NL_EBUSY))
			error = EBUSY;
		else if (e->error == 0 && strikes(F_NL_EEXIST))
			error = EEXIST;
		if (error != 0)
			e->error = -error;
	}
	if (n > 4 && strikes(F_RECV_SHORT))
		n -= 3;
	return n;
}

static bool
netlink(int fd)
{
	return ctl != &off && family(fd) == AF_NETLINK;
}

ssize_t
recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *from,
    socklen_t *fromlen)
{
	REAL(recvfrom);
	ssize_t n;

	if (recv_fails())
		return -1;
	if (!netlink(fd))
		return real(fd, buf, len, flags, from, fromlen);
	if (fails(F_RECV_ENOBUFS, ENOBUFS))
		return -1;
	n = real(fd, buf, len, flags, from, fromlen);
	return spoil(buf, len, n);
}

/* In a child: syncd's dumps of the table. */
ssize_t
recv(int fd, void *buf, size_t len, int flags)
{
	REAL(recv);

	if (recv_fails())
		return -1;
	if (!child && !netlink(fd))
		return real(fd, buf, len, flags);
	if (fails(F_RECV_ENOBUFS, ENOBUFS))
		return -1;
	return spoil(buf, len, real(fd, buf, len, flags));
}

ssize_t
recvmsg(int fd, struct msghdr *msg, int flags)
{
	REAL(recvmsg);
	return recv_fails() ? -1 : real(fd, msg, flags);
}

/* syncd's alone: events of the kernel, and datagrams of its peers. */
int
recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
    struct timespec *timeout)
{
	REAL(recvmmsg);
	int got;

	if (recv_fails() || fails(F_RECV_ENOBUFS, ENOBUFS))
		return -1;
	got = real(fd, msgs, n, flags, timeout);
	for (int i = 0; i < got; i++)
		if (msgs[i].msg_len > 4 && strikes(F_RECV_SHORT))
			msgs[i].msg_len -= 3;
	return got;
}

ssize_t
read(int fd, void *buf, size_t len)
{
	REAL(read);
	if (fails(F_EINTR, EINTR))
		return -1;
	if (len > 1 && strikes(F_READ_SHORT))
		len /= 2;
	return real(fd, buf, len);
}

#ifndef SHIM_WITHOUT_MALLOC /* a sanitizer has an allocator of its own */
/* The allocator's own start must not look itself up. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

void *
malloc(size_t n)
{
	return fails(F_MALLOC, ENOMEM) ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	return fails(F_MALLOC, ENOMEM) ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	return fails(F_MALLOC, ENOMEM) ? NULL : __libc_realloc(p, n);
}

#endif

pid_t
fork(void)
{
	REAL(fork);
	return fails(F_FORK, EAGAIN) ? -1 : real();
}

int
socket(int domain, int type, int protocol)
{
	REAL(socket);
	return fails(F_SOCKET, EMFILE) ? -1 : real(domain, type, protocol);
}

int
socketpair(int domain, int type, int protocol, int sv[2])
{
	REAL(socketpair);
	return fails(F_SOCKET, EMFILE) ? -1 : real(domain, type, protocol, sv);
}

int
open(const char *path, int flags, ...)
{
	REAL(open);
	mode_t mode = 0;

	if ((flags & O_CREAT) != 0) {
		__builtin_va_list ap;

		__builtin_va_start(ap, flags);
		mode = __builtin_va_arg(ap, mode_t);
		__builtin_va_end(ap);
	}
	return fails(F_OPEN, ENFILE) ? -1 : real(path, flags, mode);
}

/* The wall clock alone: timers must not care. */

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	REAL(clock_gettime);
	int ret = real(id, ts);

	if (ret == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ts->tv_sec += atomic_load(&ctl->shift_s);
	return ret;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	REAL(gettimeofday);
	int ret = real(tv, tz);

	if (ret == 0)
		tv->tv_sec += atomic_load(&ctl->shift_s);
	return ret;
}

time_t
time(time_t *t)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (t != NULL)
		*t = ts.tv_sec;
	return ts.tv_sec;
}
