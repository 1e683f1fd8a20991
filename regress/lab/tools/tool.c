#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include <err.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

#define FILES 65536

uint64_t
tool_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

int
tool_cpu_open(pid_t pid)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
	    .size = sizeof(attr),
	    .config = PERF_COUNT_SW_TASK_CLOCK,
	    .inherit = 1};
	long fd = syscall(
	    SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);

	return (int)fd;
}

long long
tool_cpu_us(int fd)
{
	uint64_t ns;

	if (fd == -1)
		return -1;
	if (read(fd, &ns, sizeof(ns)) != sizeof(ns))
		err(1, "task-clock");
	return (long long)(ns / 1000);
}

int
tool_timer(uint64_t interval_us)
{
	struct itimerspec its = {0};
	int fd;

	if ((fd = timerfd_create(
		 CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) == -1)
		err(1, "timerfd_create");
	its.it_interval.tv_sec = (time_t)(interval_us / 1000000);
	its.it_interval.tv_nsec = (long)(interval_us % 1000000) * 1000;
	its.it_value = its.it_interval;
	if (timerfd_settime(fd, 0, &its, NULL) == -1)
		err(1, "timerfd_settime");
	return fd;
}

void
tool_watch(int epfd, int fd, uint64_t cookie, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.u64 = cookie};

	if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev) == -1)
		err(1, "epoll_ctl");
}

void
tool_listen(int fd, void (*ready)(int fd), void (*command)(const char *line))
{
	struct tool_line tl = {.len = 0};
	struct epoll_event ev;
	int epfd = epoll_create1(EPOLL_CLOEXEC);

	if (epfd == -1)
		err(1, "epoll_create1");
	setvbuf(stdout, NULL, _IOLBF, 0);
	tool_watch(epfd, STDIN_FILENO, 0, EPOLLIN);
	tool_watch(epfd, fd, 1, EPOLLIN);
	printf("{\"listening\": true}\n");
	for (;;) {
		if (epoll_wait(epfd, &ev, 1, -1) != 1)
			continue;
		if (ev.data.u64 == 1)
			ready(fd);
		else if (tool_control(&tl, command) == -1)
			return;
	}
}

int
tool_control(struct tool_line *tl, void (*cb)(const char *line))
{
	char *nl;
	ssize_t n;
	size_t used;

	n = read(
	    STDIN_FILENO, tl->buf + tl->len, sizeof(tl->buf) - 1 - tl->len);
	if (n <= 0)
		return n == -1 && errno == EINTR ? 0 : -1;
	tl->len += (size_t)n;
	tl->buf[tl->len] = '\0';
	while ((nl = strchr(tl->buf, '\n')) != NULL) {
		*nl = '\0';
		cb(tl->buf);
		used = (size_t)(nl - tl->buf) + 1;
		tl->len -= used;
		memmove(tl->buf, nl + 1, tl->len + 1);
	}
	if (tl->len == sizeof(tl->buf) - 1)
		errx(2, "control line too long");
	return 0;
}

socklen_t
tool_addr(const char *host, const char *port, struct sockaddr_storage *ss)
{
	struct addrinfo hints = {
	    .ai_family = AF_UNSPEC,
	    .ai_socktype = SOCK_DGRAM,
	    .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
	};
	struct addrinfo *res;
	socklen_t len;
	int rc;

	if ((rc = getaddrinfo(host, port, &hints, &res)) != 0)
		errx(2, "%s port %s: %s", host, port, gai_strerror(rc));
	len = res->ai_addrlen;
	memcpy(ss, res->ai_addr, len);
	freeaddrinfo(res);
	return len;
}

uint64_t
tool_number(const char *what, const char *s, uint64_t lo, uint64_t hi)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno != 0 || *s == '-' || end == s || *end != '\0' || v < lo ||
	    v > hi)
		errx(2, "%s \"%s\": not a number from %llu to %llu", what, s,
		    (unsigned long long)lo, (unsigned long long)hi);
	return v;
}

void
tool_nofile(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		err(1, "getrlimit");
	rl.rlim_cur = rl.rlim_max;
	if (rl.rlim_max < FILES) {
		struct rlimit more = {FILES, FILES};

		/* root may, unless it is a container's */
		if (setrlimit(RLIMIT_NOFILE, &more) == 0)
			return;
	}
	if (setrlimit(RLIMIT_NOFILE, &rl) == -1)
		err(1, "setrlimit");
}

struct nlmsghdr *
tool_ct_header(void *buf, uint8_t type, uint8_t family, uint16_t flags)
{
	struct nlmsghdr *nlh = buf;
	struct nfgenmsg *nfg = NLMSG_DATA(nlh);

	memset(buf, 0, NLMSG_LENGTH(sizeof(*nfg)));
	nlh->nlmsg_len = NLMSG_LENGTH(sizeof(*nfg));
	nlh->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	return nlh;
}
