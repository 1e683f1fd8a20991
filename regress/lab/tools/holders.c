/*
 * Who holds the virtual addresses, looked up each millisecond in two network
 * namespaces.
 *
 *	holders NETNS NETNS VIP ...
 *
 * On stdin: "report", or "mark" (report, then start a new window). A change
 * is [us, vips the first holds, vips the second holds], on the monotonic
 * clock, each side a mask.
 */
#include <sys/epoll.h>

#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

#define VIPS_MAX    16
#define CHANGES_MAX 256
#define SAMPLE_US   1000

enum { COOKIE_STDIN, COOKIE_TIMER };

struct change {
	uint64_t us;
	unsigned int held[2];
};

static struct mnl_socket *nl[2];
static struct in_addr vips[VIPS_MAX];
static unsigned int nvips;
static struct change changes[CHANGES_MAX];
static unsigned int nchanges;

static struct {
	uint64_t samples;
	uint64_t late_us; /* the longest time between two samples */
	uint64_t both_us; /* the longest time in which both held one */
	uint64_t none_us; /* the longest time in which one was nowhere */
} st;

static uint64_t both_since, none_since, last_us;
static unsigned int held[2];

static struct mnl_socket *
open_in(const char *ns)
{
	struct mnl_socket *s;
	char path[256];
	int fd;

	if (snprintf(path, sizeof(path), "/run/netns/%s", ns) >=
	    (int)sizeof(path))
		errx(2, "%s: name too long", ns);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1 ||
	    setns(fd, CLONE_NEWNET) == -1)
		err(1, "%s", path);
	close(fd);
	if ((s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC)) == NULL ||
	    mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) == -1)
		err(1, "netlink");
	return s;
}

static int
address(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr;
	unsigned int *mask = arg, i;
	struct in_addr a;

	mnl_attr_for_each (attr, nlh, sizeof(struct ifaddrmsg)) {
		if (mnl_attr_get_type(attr) != IFA_LOCAL ||
		    mnl_attr_get_payload_len(attr) != sizeof(a))
			continue;
		memcpy(&a, mnl_attr_get_payload(attr), sizeof(a));
		for (i = 0; i < nvips; i++)
			if (vips[i].s_addr == a.s_addr)
				*mask |= 1u << i;
	}
	return MNL_CB_OK;
}

static unsigned int
holds(struct mnl_socket *s)
{
	static uint8_t buf[65536];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct ifaddrmsg *ifa;
	unsigned int mask = 0;
	int rc = MNL_CB_OK;
	ssize_t n;

	nlh->nlmsg_type = RTM_GETADDR;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = AF_INET;
	if (mnl_socket_sendto(s, nlh, nlh->nlmsg_len) == -1)
		err(1, "send");
	while (rc > MNL_CB_STOP) {
		if ((n = mnl_socket_recvfrom(s, buf, sizeof(buf))) == -1)
			err(1, "recv");
		rc = mnl_cb_run(buf, (size_t)n, 0, 0, address, &mask);
	}
	return mask;
}

/* How long a state that begins and ends has lasted at most. */
static void
lasted(uint64_t now, int is, uint64_t *since, uint64_t *longest)
{
	if (*since != 0 && now - *since > *longest)
		*longest = now - *since;
	if (!is)
		*since = 0;
	else if (*since == 0)
		*since = now;
}

static void
sample(void)
{
	unsigned int all = (1u << nvips) - 1, now_held[2];
	uint64_t now = tool_now_us();

	now_held[0] = holds(nl[0]);
	now_held[1] = holds(nl[1]);
	if (last_us != 0 && now - last_us > st.late_us)
		st.late_us = now - last_us;
	last_us = now;
	st.samples++;
	lasted(now, (now_held[0] & now_held[1]) != 0, &both_since, &st.both_us);
	lasted(
	    now, (now_held[0] | now_held[1]) != all, &none_since, &st.none_us);
	if (memcmp(held, now_held, sizeof(held)) != 0 && nchanges < CHANGES_MAX)
		changes[nchanges++] =
		    (struct change){now, {now_held[0], now_held[1]}};
	memcpy(held, now_held, sizeof(held));
}

static void
command(const char *line)
{
	unsigned int i;

	if (strcmp(line, "report") != 0 && strcmp(line, "mark") != 0)
		errx(2, "unknown command \"%s\"", line);
	printf("{\"now_us\": %llu, \"samples\": %llu, \"late_ms\": %.1f, "
	       "\"both_ms\": %.1f, \"none_ms\": %.1f, \"held\": [%u, %u], "
	       "\"changes\": [",
	    (unsigned long long)tool_now_us(), (unsigned long long)st.samples,
	    (double)st.late_us / 1000, (double)st.both_us / 1000,
	    (double)st.none_us / 1000, held[0], held[1]);
	for (i = 0; i < nchanges; i++)
		printf("%s[%llu, %u, %u]", i > 0 ? ", " : "",
		    (unsigned long long)changes[i].us, changes[i].held[0],
		    changes[i].held[1]);
	printf("]}\n");
	if (line[0] == 'm') {
		memset(&st, 0, sizeof(st));
		nchanges = 0;
	}
}

int
main(int argc, char **argv)
{
	struct sched_param sp = {.sched_priority = 1};
	static struct tool_line tl;
	struct epoll_event ev;
	uint64_t ticks;
	int epfd, tfd, i;

	if (argc < 4 || argc > 3 + VIPS_MAX)
		errx(2, "usage: holders NETNS NETNS VIP ...");
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 3; i < argc; i++)
		if (inet_pton(AF_INET, argv[i], &vips[nvips++]) != 1)
			errx(2, "%s: not an IPv4 address", argv[i]);
	for (i = 0; i < 2; i++)
		nl[i] = open_in(argv[i + 1]);
	/* a sample that waits for its turn misses what it is there for */
	if (sched_setscheduler(0, SCHED_RR, &sp) == -1)
		warn("no real-time class");
	if ((epfd = epoll_create1(EPOLL_CLOEXEC)) == -1)
		err(1, "epoll_create1");
	tfd = tool_timer(SAMPLE_US);
	tool_watch(epfd, STDIN_FILENO, COOKIE_STDIN, EPOLLIN);
	tool_watch(epfd, tfd, COOKIE_TIMER, EPOLLIN);
	sample();
	printf("{\"sampling\": true}\n");
	for (;;) {
		if (epoll_wait(epfd, &ev, 1, -1) != 1)
			continue;
		if (ev.data.u64 == COOKIE_TIMER) {
			if (read(tfd, &ticks, sizeof(ticks)) == sizeof(ticks))
				sample();
		} else if (tool_control(&tl, command) == -1)
			return 0;
	}
}
