/*
 * Sockets that children get ready to use. A drop-all filter is on from the
 * start, so that nothing from before the socket was narrowed is queued.
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <string.h>
#include <unistd.h>

#include "parentd.h"

#define RAW_RCVBUF    (256 * 1024)
#define SYNC_BUF      (8 * 1024 * 1024)
#define VRRP_PROTO    112
#define VRRP_GROUP    0xe0000012 /* 224.0.0.18 */
#define VRRP_TTL      255
#define VRRP_OFF_VRID 1 /* in the VRRP header */
#define RAW_TOS       0xc0 /* internetwork control */
#define RAW_PRIORITY  6 /* TC_PRIO_INTERACTIVE */

struct raw_opt {
	int level;
	int name;
	int value;
};

static int
raw_opts(int fd, const struct raw_opt *o, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (setsockopt(fd, o[i].level, o[i].name, &o[i].value,
			sizeof(o[i].value)) == -1)
			return -1;
	return 0;
}

static int
raw_filter(int fd, const struct sock_filter *code, size_t n)
{
	const struct sock_fprog prog = {
	    .len = (unsigned short)n, .filter = (struct sock_filter *)code};

	return setsockopt(
	    fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

static int
raw_filter_none(int fd)
{
	static const struct sock_filter code[] = {
	    BPF_STMT(BPF_RET | BPF_K, 0),
	};

	return raw_filter(fd, code, nitems(code));
}

/* From the IP header on; too short a packet fails the load: dropped. */
static int
raw_filter_vrrp(int fd, uint8_t vrid)
{
	const struct sock_filter code[] = {
	    BPF_STMT(
		BPF_LD | BPF_B | BPF_ABS, offsetof(struct iphdr, protocol)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, VRRP_PROTO, 0, 4),
	    BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
	    BPF_STMT(BPF_LD | BPF_B | BPF_IND, VRRP_OFF_VRID),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, vrid, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	};

	return raw_filter(fd, code, nitems(code));
}

static int
raw_lock(int fd)
{
	const struct raw_opt o = {SOL_SOCKET, SO_LOCK_FILTER, 1};

	return raw_opts(fd, &o, 1);
}

/* What came in before the first filter was on. */
static void
raw_drain(int fd)
{
	char c;

	while (recv(fd, &c, sizeof(c), MSG_DONTWAIT) != -1)
		;
}

static int
raw_fail(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
	return -1;
}

/* Non-blocking, bound to the interface, deaf. */
static int
raw_open(int type, int proto, const char *ifname)
{
	int fd;

	fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, proto);
	if (fd == -1)
		return -1;
	if (raw_filter_none(fd) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifname,
		(socklen_t)strnlen(ifname, IFNAMSIZ)) == -1)
		return raw_fail(fd);
	raw_drain(fd);
	return fd;
}

int
rawsock_vrrp_rx(const char *ifname, struct in_addr own, uint8_t vrid)
{
	static const struct raw_opt opts[] = {
	    {SOL_SOCKET, SO_RCVBUFFORCE, RAW_RCVBUF},
	    {IPPROTO_IP, IP_MULTICAST_ALL, 0},
	};
	struct ip_mreqn mreq = {
	    .imr_multiaddr.s_addr = htonl(VRRP_GROUP),
	    .imr_address = own,
	    .imr_ifindex = (int)if_nametoindex(ifname),
	};
	int fd;

	fd = raw_open(SOCK_RAW, VRRP_PROTO, ifname);
	if (fd == -1)
		return -1;
	if (raw_opts(fd, opts, nitems(opts)) == -1 ||
	    setsockopt(
		fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mreq, sizeof(mreq)) == -1 ||
	    raw_filter_vrrp(fd, vrid) == -1 || raw_lock(fd) == -1)
		return raw_fail(fd);
	return fd;
}

int
rawsock_vrrp_tx(const char *ifname, struct in_addr own)
{
	static const struct raw_opt opts[] = {
	    {IPPROTO_IP, IP_TTL, VRRP_TTL},
	    {IPPROTO_IP, IP_MULTICAST_TTL, VRRP_TTL},
	    {IPPROTO_IP, IP_MULTICAST_LOOP, 0},
	    {IPPROTO_IP, IP_TOS, RAW_TOS},
	    {SOL_SOCKET, SO_PRIORITY, RAW_PRIORITY},
	};
	struct sockaddr_in src = {.sin_family = AF_INET, .sin_addr = own};
	struct sockaddr_in dst = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(VRRP_GROUP)};
	struct ip_mreqn mif = {
	    .imr_address = own,
	    .imr_ifindex = (int)if_nametoindex(ifname),
	};
	int fd;

	fd = raw_open(SOCK_RAW, VRRP_PROTO, ifname);
	if (fd == -1)
		return -1;
	if (raw_opts(fd, opts, nitems(opts)) == -1 ||
	    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &mif, sizeof(mif)) ==
		-1 ||
	    bind(fd, (struct sockaddr *)&src, sizeof(src)) == -1 ||
	    connect(fd, (struct sockaddr *)&dst, sizeof(dst)) == -1 ||
	    raw_lock(fd) == -1)
		return raw_fail(fd);
	return fd;
}

/*
 * Several peers share own:port; the kernel prefers the connected socket.
 * No path MTU discovery: a lost ICMP must not stop the flows' records.
 */
int
rawsock_sync(
    const char *ifname, struct in_addr own, struct in_addr peer, uint16_t port)
{
	static const struct raw_opt opts[] = {
	    {SOL_SOCKET, SO_REUSEADDR, 1},
	    {SOL_SOCKET, SO_RCVBUFFORCE, SYNC_BUF},
	    {SOL_SOCKET, SO_SNDBUFFORCE, SYNC_BUF},
	    {SOL_SOCKET, SO_PRIORITY, RAW_PRIORITY},
	    {IPPROTO_IP, IP_TOS, RAW_TOS},
	    {IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT},
	};
	static const struct raw_opt hear = {SOL_SOCKET, SO_DETACH_FILTER, 0};
	struct sockaddr_in src = {
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = own};
	struct sockaddr_in dst = {
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = peer};
	int fd;

	fd = raw_open(SOCK_DGRAM, IPPROTO_UDP, ifname);
	if (fd == -1)
		return -1;
	if (raw_opts(fd, opts, nitems(opts)) == -1 ||
	    bind(fd, (struct sockaddr *)&src, sizeof(src)) == -1 ||
	    connect(fd, (struct sockaddr *)&dst, sizeof(dst)) == -1 ||
	    raw_opts(fd, &hear, 1) == -1 || raw_lock(fd) == -1)
		return raw_fail(fd);
	return fd;
}
