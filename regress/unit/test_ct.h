/* For tests of flows in a kernel: records, and a table that begins empty. */
#ifndef TEST_CT_H
#define TEST_CT_H

#include "test_kernel.h"

#include <sys/socket.h>

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>

#include "parentd/parentd.h"

#define NAT_DONE (IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE)
#define SEEN     (IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED)

static struct imsg_ct_fail fails[KCT_BATCH_MAX];

static inline void
put(union addr *a, int family, const char *s)
{
	memset(a, 0, sizeof(*a));
	assert_int_equal(inet_pton(family, s, a), 1);
}

/* A flow without NAT: the reply mirrors it. */
static inline struct ct_rec
flow(uint8_t proto, const char *src, uint16_t sport, const char *dst,
    uint16_t dport)
{
	struct ct_rec r = {
	    .op = CT_OP_NEW,
	    .proto = proto,
	    .family = strchr(src, ':') != NULL ? AF_INET6 : AF_INET,
	    .status = SEEN | NAT_DONE,
	    .timeout_s = 1000,
	    .fields = CTF_STATUS | CTF_TIMEOUT,
	};

	put(&r.orig.src, r.family, src);
	put(&r.orig.dst, r.family, dst);
	r.orig.sport = htons(sport);
	r.orig.dport = htons(dport);
	r.reply.src = r.orig.dst;
	r.reply.dst = r.orig.src;
	r.reply.sport = r.orig.dport;
	r.reply.dport = r.orig.sport;
	if (proto == IPPROTO_TCP) {
		r.fields |= CTF_TCP | CTF_TCP_WIN;
		r.tcp_state = TCP_CONNTRACK_ESTABLISHED;
		r.tcp_flags_orig = r.tcp_flags_reply =
		    IP_CT_TCP_FLAG_WINDOW_SCALE | IP_CT_TCP_FLAG_SACK_PERM;
		r.wscale_orig = r.wscale_reply = 7;
	}
	return r;
}

static inline void
snat(struct ct_rec *r, const char *to, uint16_t port)
{
	put(&r->reply.dst, r->family, to);
	if (r->proto == IPPROTO_ICMP || r->proto == IPPROTO_ICMPV6)
		r->reply.sport = htons(port);
	else
		r->reply.dport = htons(port);
	r->status |= IPS_SRC_NAT;
}

static inline void
dnat(struct ct_rec *r, const char *to, uint16_t port)
{
	put(&r->reply.src, r->family, to);
	r->reply.sport = htons(port);
	r->status |= IPS_DST_NAT;
}

static inline void
apply(struct ct_rec *r, int error)
{
	size_t n = kct_apply(r, 1, fails);

	assert_int_equal(n, error != 0);
	if (n != 0)
		assert_int_equal(fails[0].error, error);
}

static inline int
flows(const char *options)
{
	return atoi(tk_out("conntrack -L %s 2>/dev/null | wc -l", options));
}

static inline int
dump(void)
{
	int fd = kct_dump_socket();

	assert_true(fd != -1);
	assert_int_equal(kct_dump_ask(fd), 0);
	return fd;
}

static inline int
setup(void **state)
{
	(void)tk_setup(state);
	if (tk_here && kct_init() == -1)
		return -1;
	return 0;
}

static inline int
flush(void **state)
{
	(void)state;
	if (tk_here) {
		tk_run("conntrack -F >/dev/null 2>&1");
		tk_run("conntrack -F -f ipv6 >/dev/null 2>&1");
	}
	return 0;
}

#endif
