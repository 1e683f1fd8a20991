/* VRRPv3 over IPv4 on the wire: RFC 9568, sections 5 and 7.1. */
#include <netinet/ip.h>
#include <arpa/inet.h>
#include <string.h>

#include "cksum.h"
#include "vrrpd.h"

#define VRRP_VERSION     3
#define VRRP_TYPE_ADVERT 1
#define VRRP_HDR_LEN     8

/* Offsets in the message. */
enum {
	OFF_VERSION_TYPE,
	OFF_VRID,
	OFF_PRIORITY,
	OFF_COUNT,
	OFF_INTERVAL,
	OFF_CKSUM = 6,
	OFF_ADDRS = VRRP_HDR_LEN
};

/* RFC 5798 as it was read: {src, dst, 0, protocol, length}. */
static uint32_t
pseudo_sum(struct in_addr src, struct in_addr dst, size_t len)
{
	uint8_t p[12] = {0};

	memcpy(p, &src, 4);
	memcpy(p + 4, &dst, 4);
	p[9] = VRRP_IP_PROTO;
	p[10] = (uint8_t)(len >> 8);
	p[11] = (uint8_t)len;
	return cksum_add(0, p, sizeof(p));
}

/* Over a message with its checksum in place the right sum folds to 0. */
static bool
cksum_ok(const uint8_t *msg, size_t len, struct in_addr src, struct in_addr dst,
    bool *pseudo)
{
	*pseudo =
	    cksum_fold(cksum_add(pseudo_sum(src, dst, len), msg, len)) == 0;
	return *pseudo || cksum_fold(cksum_add(0, msg, len)) == 0;
}

/* What follows total length is Ethernet padding and not looked at. */
static enum vrrp_error
ip_check(
    const uint8_t *buf, size_t len, struct ip *ip, size_t *hlen, size_t *mlen)
{
	size_t total;

	if (len < sizeof(*ip))
		return VRRP_ERR_LENGTH;
	memcpy(ip, buf, sizeof(*ip));
	*hlen = (size_t)ip->ip_hl * 4;
	total = ntohs(ip->ip_len);
	if (ip->ip_v != IPVERSION || *hlen < sizeof(*ip) || total > len ||
	    total < *hlen)
		return VRRP_ERR_LENGTH;
	*mlen = total - *hlen;
	return ip->ip_ttl == VRRP_TTL ? VRRP_OK : VRRP_ERR_TTL;
}

/* The fixed fields; then *len is cut to the addresses announced. */
static enum vrrp_error
msg_check(const uint8_t *msg, size_t *len)
{
	size_t want;

	if (*len < VRRP_HDR_LEN)
		return VRRP_ERR_LENGTH;
	if (msg[OFF_VERSION_TYPE] >> 4 != VRRP_VERSION)
		return VRRP_ERR_VERSION;
	if ((msg[OFF_VERSION_TYPE] & 0xf) != VRRP_TYPE_ADVERT)
		return VRRP_ERR_TYPE;
	want = VRRP_HDR_LEN + (size_t)msg[OFF_COUNT] * 4;
	if (*len < want)
		return VRRP_ERR_LENGTH;
	*len = want;
	return msg[OFF_COUNT] == 0 ? VRRP_ERR_COUNT : VRRP_OK;
}

enum vrrp_error
vrrp_decode(const void *buf, size_t len, uint8_t vrid, struct in_addr vip,
    struct vrrp_advert *out)
{
	const uint8_t *msg;
	enum vrrp_error error;
	struct ip ip;
	size_t hlen, mlen;
	unsigned int cs;

	memset(out, 0, sizeof(*out));
	error = ip_check(buf, len, &ip, &hlen, &mlen);
	if (len >= sizeof(ip))
		out->src = ip.ip_src;
	if (error != VRRP_OK)
		return error;
	msg = (const uint8_t *)buf + hlen;
	if ((error = msg_check(msg, &mlen)) != VRRP_OK)
		return error;
	if (!cksum_ok(msg, mlen, ip.ip_src, ip.ip_dst, &out->pseudo))
		return VRRP_ERR_CHECKSUM;
	if (msg[OFF_VRID] != vrid)
		return VRRP_ERR_VRID;
	cs = (msg[OFF_INTERVAL] & 0x0fU) << 8 | msg[OFF_INTERVAL + 1];
	if (cs == 0)
		return VRRP_ERR_INTERVAL;
	out->vrid = vrid;
	out->priority = msg[OFF_PRIORITY];
	out->interval_us = cs * VRRP_INTERVAL_UNIT_US;
	out->naddrs = msg[OFF_COUNT];
	out->addrs_differ =
	    out->naddrs != 1 || memcmp(msg + OFF_ADDRS, &vip, 4) != 0;
	return VRRP_OK;
}

void
vrrp_encode(uint8_t buf[VRRP_ADVERT_LEN], struct in_addr src, uint8_t vrid,
    uint8_t priority, uint32_t interval_us, struct in_addr vip)
{
	struct in_addr dst = {htonl(VRRP_GROUP)};
	uint32_t cs;
	uint16_t sum;

	/* Rounded up: a backup may wait longer, never shorter. */
	cs = (interval_us + VRRP_INTERVAL_UNIT_US - 1) / VRRP_INTERVAL_UNIT_US;
	buf[OFF_VERSION_TYPE] = VRRP_VERSION << 4 | VRRP_TYPE_ADVERT;
	buf[OFF_VRID] = vrid;
	buf[OFF_PRIORITY] = priority;
	buf[OFF_COUNT] = 1;
	buf[OFF_INTERVAL] = (uint8_t)(cs >> 8 & 0x0f);
	buf[OFF_INTERVAL + 1] = (uint8_t)cs;
	memset(buf + OFF_CKSUM, 0, 2);
	memcpy(buf + OFF_ADDRS, &vip, 4);
	sum = cksum_fold(cksum_add(
	    pseudo_sum(src, dst, VRRP_ADVERT_LEN), buf, VRRP_ADVERT_LEN));
	memcpy(buf + OFF_CKSUM, &sum, 2);
}

const char *
vrrp_strerror(enum vrrp_error error)
{
	static const char *const text[VRRP_ERR_MAX] = {
	    [VRRP_OK] = "valid",
	    [VRRP_ERR_TTL] = "TTL is not 255",
	    [VRRP_ERR_VERSION] = "not VRRP version 3",
	    [VRRP_ERR_TYPE] = "not an advertisement",
	    [VRRP_ERR_LENGTH] = "wrong length",
	    [VRRP_ERR_COUNT] = "no address",
	    [VRRP_ERR_CHECKSUM] = "bad checksum",
	    [VRRP_ERR_VRID] = "other vrid",
	    [VRRP_ERR_INTERVAL] = "interval 0",
	};

	return error < VRRP_ERR_MAX ? text[error] : "unknown error";
}
