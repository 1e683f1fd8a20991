/*
 * Fill a conntrack table with N distinct flows as a NAT gateway holds them:
 * established TCP and replied UDP, source-translated, in batches, at a rate.
 * Flow i is the same on every run, so a later run can update or delete what
 * an earlier one created.
 *
 *	ctload [-6] [-n count] [-f first] [-r per second] [-b batch]
 *	    [-o create|update|delete] [-s source net] [-d destination net]
 *	    [-t translated address] [-m mark] [-T timeout] [-u udp percent]
 *	    [-l file] [-2]
 *
 * With -2 it is two programs, as where only a privileged one may change the
 * kernel: one wakes up for each batch and tells the other in a message as
 * long as one of so many flows, who writes them, and answers.
 *
 * With -l the times (CLOCK_MONOTONIC, microseconds, 64 bits each) at which
 * the flows were handed to the kernel go to a file.
 *
 * A net is its first address; hosts are counted up from there. It ends early
 * when the guard address (-g) is not on this host any more.
 */

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/wait.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

#define PORT_FIRST 10000
#define PORTS      50000
#define BATCH_MAX  256
#define MSG_MAX    1024
#define RECORD     100 /* bytes told of a flow, as many as struct ct_rec has */
#define TCP_FLAGS  (IP_CT_TCP_FLAG_WINDOW_SCALE | IP_CT_TCP_FLAG_SACK_PERM)

enum op { OP_CREATE, OP_UPDATE, OP_DELETE };

static struct {
	int family;
	enum op op;
	uint64_t count, first, rate, batch, udp;
	uint32_t mark, timeout;
	struct in6_addr src, dst, snat; /* IPv4: the first four bytes */
	struct in_addr guard; /* 0: none */
	const char *times; /* NULL: not wanted */
	bool two;
} opt = {
    .family = AF_INET,
    .count = 1000,
    .batch = 64,
    .udp = 25,
    .timeout = 86400,
};

static uint64_t failed;
static int first_error;
static uint64_t *times;

/* The n-th address counted up from base. */
static struct in6_addr
host(const struct in6_addr *base, uint64_t n)
{
	struct in6_addr a = *base;
	size_t off = opt.family == AF_INET ? 0 : 12;
	uint32_t v;

	memcpy(&v, a.s6_addr + off, sizeof(v));
	v = htonl(ntohl(v) + (uint32_t)n);
	memcpy(a.s6_addr + off, &v, sizeof(v));
	return a;
}

static void
set_addr(struct nf_conntrack *ct, int v4, int v6, const struct in6_addr *a)
{
	uint32_t v;

	if (opt.family == AF_INET6) {
		nfct_set_attr(ct, v6, a);
		return;
	}
	memcpy(&v, a->s6_addr, sizeof(v));
	nfct_set_attr_u32(ct, v4, v);
}

static void
set_tcp(struct nf_conntrack *ct)
{
	nfct_set_attr_u8(ct, ATTR_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
	nfct_set_attr_u8(ct, ATTR_TCP_FLAGS_ORIG, TCP_FLAGS);
	nfct_set_attr_u8(ct, ATTR_TCP_MASK_ORIG, TCP_FLAGS);
	nfct_set_attr_u8(ct, ATTR_TCP_FLAGS_REPL, TCP_FLAGS);
	nfct_set_attr_u8(ct, ATTR_TCP_MASK_REPL, TCP_FLAGS);
	nfct_set_attr_u8(ct, ATTR_TCP_WSCALE_ORIG, 7);
	nfct_set_attr_u8(ct, ATTR_TCP_WSCALE_REPL, 7);
}

/*
 * (destination, port) differs for every i of one protocol, so the translated
 * tuples are distinct too.
 */
static void
flow_tuple(struct nf_conntrack *ct, uint64_t i, bool udp)
{
	struct in6_addr src = host(&opt.src, i % 4001);
	struct in6_addr dst = host(&opt.dst, i / PORTS);
	uint16_t sport = htons((uint16_t)(PORT_FIRST + i % PORTS));
	uint16_t dport = htons(udp ? 53 : 443);

	nfct_set_attr_u8(ct, ATTR_L3PROTO, (uint8_t)opt.family);
	nfct_set_attr_u8(ct, ATTR_L4PROTO, udp ? IPPROTO_UDP : IPPROTO_TCP);
	set_addr(ct, ATTR_IPV4_SRC, ATTR_IPV6_SRC, &src);
	set_addr(ct, ATTR_IPV4_DST, ATTR_IPV6_DST, &dst);
	nfct_set_attr_u16(ct, ATTR_PORT_SRC, sport);
	nfct_set_attr_u16(ct, ATTR_PORT_DST, dport);
	if (opt.op != OP_CREATE)
		return;
	nfct_setobjopt(ct, NFCT_SOPT_SETUP_REPLY);
	if (!IN6_IS_ADDR_UNSPECIFIED(&opt.snat)) {
		set_addr(ct, ATTR_SNAT_IPV4, ATTR_SNAT_IPV6, &opt.snat);
		nfct_set_attr_u16(ct, ATTR_SNAT_PORT, sport);
	}
}

static size_t
flow_message(uint8_t *buf, uint64_t i)
{
	bool udp = i * 2654435761U % 100 < opt.udp;
	struct nf_conntrack *ct;
	struct nlmsghdr *nlh;

	if ((ct = nfct_new()) == NULL)
		err(1, "nfct_new");
	flow_tuple(ct, i, udp);
	if (opt.op != OP_DELETE) {
		nfct_set_attr_u32(ct, ATTR_TIMEOUT, opt.timeout);
		nfct_set_attr_u32(ct, ATTR_MARK, opt.mark);
		nfct_set_attr_u32(ct, ATTR_STATUS,
		    IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED);
		if (!udp)
			set_tcp(ct);
	}
	nlh = tool_ct_header(buf,
	    opt.op == OP_DELETE ? IPCTNL_MSG_CT_DELETE : IPCTNL_MSG_CT_NEW,
	    (uint8_t)opt.family,
	    opt.op == OP_CREATE ? NLM_F_CREATE | NLM_F_EXCL : 0);
	if (nfct_nlmsg_build(nlh, ct) == -1)
		err(1, "nfct_nlmsg_build");
	nfct_destroy(ct);
	return nlh->nlmsg_len;
}

/* Only failures answer; those of a batch are there when send returns. */
static void
read_failures(int fd)
{
	uint8_t buf[32768];
	struct nlmsghdr *nlh;
	struct nlmsgerr *e;
	ssize_t n;
	int len;

	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		len = (int)n;
		for (nlh = (struct nlmsghdr *)buf; mnl_nlmsg_ok(nlh, len);
		     nlh = mnl_nlmsg_next(nlh, &len)) {
			if (nlh->nlmsg_type != NLMSG_ERROR)
				continue;
			e = mnl_nlmsg_get_payload(nlh);
			failed++;
			if (first_error == 0)
				first_error = -e->error;
		}
	}
	if (n == -1 && errno != EAGAIN)
		err(1, "recv");
}

static void
pace(uint64_t start, uint64_t done)
{
	uint64_t due, now;

	if (opt.rate == 0)
		return;
	due = start + done * 1000000 / opt.rate;
	if ((now = tool_now_us()) < due)
		usleep((useconds_t)(due - now));
}

/* The other program, to whom `start` is time 0. */
static void
tell(int fd, uint64_t start)
{
	static uint8_t msg[BATCH_MAX * RECORD], answer[RECORD];

	for (uint64_t i = 0, n; i < opt.count; i += n) {
		n = opt.count - i < opt.batch ? opt.count - i : opt.batch;
		if (send(fd, msg, n * RECORD, 0) == -1)
			err(1, "send");
		pace(start, i + n);
		while (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0)
			;
	}
	/* whoever goes with answers unread resets what was sent as well */
	while (recv(fd, answer, sizeof(answer), 0) > 0)
		;
}

static int
start_teller(uint64_t start)
{
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == -1)
		err(1, "socketpair");
	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0) {
		close(fds[0]);
		tell(fds[1], start);
		_exit(0);
	}
	close(fds[1]);
	return fds[0];
}

/* How many flows the next batch is to have. */
static uint64_t
told(int fd)
{
	static uint8_t msg[BATCH_MAX * RECORD];
	ssize_t n = recv(fd, msg, sizeof(msg), 0);

	if (n <= 0)
		errx(1, "the other program has ended");
	return (uint64_t)n / RECORD;
}

static void
answer(int fd)
{
	static const uint8_t msg[16];

	if (send(fd, msg, sizeof(msg), MSG_NOSIGNAL) == -1 && errno != EPIPE)
		err(1, "send");
}

/* Only an address of this host can be bound to. */
static bool
guarded(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = opt.guard};
	int fd, rc;

	if (opt.guard.s_addr == INADDR_ANY)
		return true;
	if ((fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) == -1)
		err(1, "socket");
	rc = bind(fd, (struct sockaddr *)&sin, sizeof(sin));
	close(fd);
	return rc == 0;
}

static void
load(struct mnl_socket *nl)
{
	static uint8_t buf[BATCH_MAX * MSG_MAX];
	uint64_t i = 0, start = tool_now_us(), us;
	int cpu = tool_cpu_open(0), fd = opt.two ? start_teller(start) : -1;
	size_t len, n, want = opt.batch;

	while (i < opt.count && guarded()) {
		if (fd != -1)
			want = told(fd);
		for (len = 0, n = 0; n < want && i < opt.count; n++)
			len += flow_message(buf + len, opt.first + i++);
		if (times != NULL)
			times[i - n] = tool_now_us();
		for (size_t k = 1; times != NULL && k < n; k++)
			times[i - n + k] = times[i - n];
		if (mnl_socket_sendto(nl, buf, len) == -1)
			err(1, "send");
		read_failures(mnl_socket_get_fd(nl));
		if (fd != -1)
			answer(fd);
		else
			pace(start, i);
	}
	if (fd != -1) {
		close(fd); /* where the guard has ended it, the other waits */
		(void)wait(NULL);
	}
	us = tool_now_us() - start;
	printf("{\"done\": %llu, \"failed\": %llu, \"error\": \"%s\", "
	       "\"seconds\": %.3f, \"per_second\": %.0f, "
	       "\"cpu_us\": %lld}\n",
	    (unsigned long long)(i - failed), (unsigned long long)failed,
	    first_error == 0 ? "" : strerror(first_error), (double)us / 1000000,
	    (double)i * 1000000 / (double)(us + 1), tool_cpu_us(cpu));
}

static void
save_times(void)
{
	FILE *f = fopen(opt.times, "w");

	if (f == NULL ||
	    fwrite(times, sizeof(*times), opt.count, f) != opt.count ||
	    fclose(f) == EOF)
		err(1, "%s", opt.times);
}

static void
parse_addr(const char *s, struct in6_addr *a)
{
	if (inet_pton(opt.family, s, a) != 1)
		errx(2, "%s: not an %s address", s,
		    opt.family == AF_INET ? "IPv4" : "IPv6");
}

static enum op
parse_op(const char *s)
{
	if (strcmp(s, "create") == 0)
		return OP_CREATE;
	if (strcmp(s, "update") == 0)
		return OP_UPDATE;
	if (strcmp(s, "delete") == 0)
		return OP_DELETE;
	errx(2, "unknown word \"%s\"", s);
}

static void
usage(void)
{
	errx(2, "usage: ctload -s net -d net [-t addr] [-n count] ...");
}

/* The family is known when all options are. */
static void
addresses(const char *src, const char *dst, const char *snat)
{
	if (src == NULL || dst == NULL)
		usage();
	parse_addr(src, &opt.src);
	parse_addr(dst, &opt.dst);
	if (snat != NULL)
		parse_addr(snat, &opt.snat);
}

static void
options(int argc, char **argv)
{
	const char *src = NULL, *dst = NULL, *snat = NULL;
	int c;

	while ((c = getopt(argc, argv, "26n:f:r:b:o:s:d:t:m:T:u:l:g:")) != -1)
		switch (c) {
		case '2':
			opt.two = true;
			break;
		case '6':
			opt.family = AF_INET6;
			break;
		case 'n':
			opt.count = tool_number("-n", optarg, 0, 10000000);
			break;
		case 'f':
			opt.first = tool_number("-f", optarg, 0, 10000000);
			break;
		case 'r':
			opt.rate = tool_number("-r", optarg, 0, 10000000);
			break;
		case 'b':
			opt.batch = tool_number("-b", optarg, 1, BATCH_MAX);
			break;
		case 'o':
			opt.op = parse_op(optarg);
			break;
		case 's':
			src = optarg;
			break;
		case 'd':
			dst = optarg;
			break;
		case 't':
			snat = optarg;
			break;
		case 'm':
			opt.mark =
			    (uint32_t)tool_number("-m", optarg, 0, UINT32_MAX);
			break;
		case 'T':
			opt.timeout =
			    (uint32_t)tool_number("-T", optarg, 1, 10000000);
			break;
		case 'g':
			if (inet_pton(AF_INET, optarg, &opt.guard) != 1)
				errx(2, "%s: not an IPv4 address", optarg);
			break;
		case 'u':
			opt.udp = tool_number("-u", optarg, 0, 100);
			break;
		case 'l':
			opt.times = optarg;
			break;
		default:
			exit(2);
		}
	if (optind != argc)
		usage();
	addresses(src, dst, snat);
}

int
main(int argc, char **argv)
{
	struct mnl_socket *nl;
	int size = 8 << 20;

	options(argc, argv);
	if ((nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC)) == NULL)
		err(1, "mnl_socket_open");
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == -1)
		err(1, "mnl_socket_bind");
	if (setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_SNDBUFFORCE, &size,
		sizeof(size)) == -1 ||
	    setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUFFORCE, &size,
		sizeof(size)) == -1)
		err(1, "setsockopt");
	if (opt.times != NULL &&
	    (times = calloc(opt.count + 1, sizeof(*times))) == NULL)
		err(1, "calloc");
	load(nl);
	if (opt.times != NULL)
		save_times();
	mnl_socket_close(nl);
	return failed == 0 ? 0 : 1;
}
