/*
 * One conntrack table as sorted text, a line per flow, to be compared with
 * that of another gateway: tuples, reply tuples, status, translation, mark,
 * and with -s the state and window scales of TCP. Flows that begin or end at
 *one of the given addresses (the gateway's own), multicast and loopback are
 *left out.
 *
 *	ctdump [-s] [-x addr] ...
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

#define EXCLUDE_MAX 64

struct line {
	char text[320];
};

static struct line *lines;
static size_t nlines, room;
static char exclude[EXCLUDE_MAX][INET6_ADDRSTRLEN];
static size_t nexclude;
static bool with_state;

/* Attributes of one direction. */
static const struct dir {
	int l3, l4, v4src, v4dst, v6src, v6dst, psrc, pdst;
} orig = {ATTR_ORIG_L3PROTO, ATTR_ORIG_L4PROTO, ATTR_ORIG_IPV4_SRC,
    ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_SRC, ATTR_ORIG_IPV6_DST,
    ATTR_ORIG_PORT_SRC, ATTR_ORIG_PORT_DST},
  repl = {ATTR_REPL_L3PROTO, ATTR_REPL_L4PROTO, ATTR_REPL_IPV4_SRC,
      ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_SRC, ATTR_REPL_IPV6_DST,
      ATTR_REPL_PORT_SRC, ATTR_REPL_PORT_DST};

static void
addr_text(const struct nf_conntrack *ct, int v4, int v6, char *buf)
{
	uint32_t v;

	if (nfct_get_attr_u8(ct, ATTR_ORIG_L3PROTO) == AF_INET) {
		v = nfct_get_attr_u32(ct, v4);
		inet_ntop(AF_INET, &v, buf, INET6_ADDRSTRLEN);
	} else
		inet_ntop(
		    AF_INET6, nfct_get_attr(ct, v6), buf, INET6_ADDRSTRLEN);
}

static bool
left_out(const char *addr)
{
	size_t i;

	for (i = 0; i < nexclude; i++)
		if (strcmp(exclude[i], addr) == 0)
			return true;
	return strncmp(addr, "127.", 4) == 0 || strcmp(addr, "::1") == 0 ||
	    strcmp(addr, "255.255.255.255") == 0 ||
	    strncmp(addr, "ff", 2) == 0 ||
	    (strchr(addr, ':') == NULL && atoi(addr) >= 224);
}

/* "src>dst:ports"; ICMP has type, code and id, of the original side only. */
static void
dir_text(
    const struct nf_conntrack *ct, const struct dir *d, char *buf, size_t size)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	addr_text(ct, d->v4src, d->v6src, src);
	addr_text(ct, d->v4dst, d->v6dst, dst);
	if (nfct_attr_is_set(ct, d->psrc) > 0)
		snprintf(buf, size, "%s:%u>%s:%u", src,
		    ntohs(nfct_get_attr_u16(ct, d->psrc)), dst,
		    ntohs(nfct_get_attr_u16(ct, d->pdst)));
	else
		snprintf(buf, size, "%s>%s", src, dst);
}

/* SRC_NAT and DST_NAT as words; the rest of the status as bits. */
static void
flow_line(const struct nf_conntrack *ct, char *buf, size_t size)
{
	char o[128], r[128], icmp[48] = "", state[48] = "";
	uint32_t status = nfct_get_attr_u32(ct, ATTR_STATUS);

	dir_text(ct, &orig, o, sizeof(o));
	dir_text(ct, &repl, r, sizeof(r));
	if (nfct_attr_is_set(ct, ATTR_ICMP_ID) > 0)
		snprintf(icmp, sizeof(icmp), " icmp=%u/%u id=%u",
		    nfct_get_attr_u8(ct, ATTR_ICMP_TYPE),
		    nfct_get_attr_u8(ct, ATTR_ICMP_CODE),
		    ntohs(nfct_get_attr_u16(ct, ATTR_ICMP_ID)));
	if (with_state && nfct_attr_is_set(ct, ATTR_TCP_STATE) > 0)
		snprintf(state, sizeof(state), " tcp=%u wscale=%u/%u",
		    nfct_get_attr_u8(ct, ATTR_TCP_STATE),
		    nfct_get_attr_u8(ct, ATTR_TCP_WSCALE_ORIG),
		    nfct_get_attr_u8(ct, ATTR_TCP_WSCALE_REPL));
	snprintf(buf, size, "%u %s %s%s nat=%s%s status=0x%x mark=0x%x%s",
	    nfct_get_attr_u8(ct, ATTR_ORIG_L4PROTO), o, r, icmp,
	    (status & IPS_SRC_NAT) != 0 ? "s" : "",
	    (status & IPS_DST_NAT) != 0 ? "d" : "", status,
	    nfct_get_attr_u32(ct, ATTR_MARK), state);
}

static int
flow(const struct nlmsghdr *nlh, void *arg)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
	struct nf_conntrack *ct;

	(void)arg;
	if ((ct = nfct_new()) == NULL)
		err(1, "nfct_new");
	if (nfct_nlmsg_parse(nlh, ct) == -1)
		err(1, "nfct_nlmsg_parse");
	addr_text(ct, orig.v4src, orig.v6src, src);
	addr_text(ct, repl.v4src, repl.v6src, dst);
	if (!left_out(src) && !left_out(dst)) {
		if (nlines == room) {
			room = room == 0 ? 1024 : room * 2;
			lines = reallocarray(lines, room, sizeof(*lines));
			if (lines == NULL)
				err(1, "reallocarray");
		}
		flow_line(ct, lines[nlines].text, sizeof(lines[0].text));
		nlines++;
	}
	nfct_destroy(ct);
	return MNL_CB_OK;
}

static void
dump(struct mnl_socket *nl)
{
	static uint8_t buf[65536];
	struct nlmsghdr *nlh;
	ssize_t n;
	int rc = MNL_CB_OK;

	nlh = tool_ct_header(buf, IPCTNL_MSG_CT_GET, AF_UNSPEC, NLM_F_DUMP);
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) == -1)
		err(1, "send");
	while (rc > MNL_CB_STOP) {
		if ((n = mnl_socket_recvfrom(nl, buf, sizeof(buf))) == -1)
			err(1, "recv");
		if ((rc = mnl_cb_run(buf, (size_t)n, 0,
			 mnl_socket_get_portid(nl), flow, NULL)) == -1)
			err(1, "dump");
	}
}

static int
line_cmp(const void *a, const void *b)
{
	return strcmp(
	    ((const struct line *)a)->text, ((const struct line *)b)->text);
}

int
main(int argc, char **argv)
{
	struct mnl_socket *nl;
	size_t i;
	int c;

	while ((c = getopt(argc, argv, "sx:")) != -1) {
		if (c == 's')
			with_state = true;
		else if (c != 'x')
			errx(2, "usage: ctdump [-s] [-x addr] ...");
		else if (nexclude == EXCLUDE_MAX ||
		    strlen(optarg) >= sizeof(exclude[0]))
			errx(2, "-x %s: too long or too many", optarg);
		else
			strcpy(exclude[nexclude++], optarg);
	}
	if ((nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC)) == NULL ||
	    mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == -1)
		err(1, "netlink");
	dump(nl);
	mnl_socket_close(nl);
	qsort(lines, nlines, sizeof(*lines), line_cmp);
	/* A dump may show an entry twice (hash resize); once is enough. */
	for (i = 0; i < nlines; i++)
		if (i == 0 || strcmp(lines[i].text, lines[i - 1].text) != 0)
			puts(lines[i].text);
	return 0;
}
