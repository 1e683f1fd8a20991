/*
 * VRRP from the wire. What decodes is within its limits, does not depend on
 * what lies behind it, and survives being encoded again.
 */
#include <netinet/ip.h>
#include <arpa/inet.h>
#include <string.h>

#include "common/cksum.h"
#include "fuzz.h"
#include "vrrpd/vrrpd.h"

#define M_CKSUM 0x1 /* put the right checksum in */
#define M_TTL   0x2
#define M_VRID  0x4

/* Past the checks that random bytes would hardly pass. */
static void
repair(uint8_t *buf, size_t len, uint8_t mode, uint8_t vrid)
{
	size_t hlen, mlen, total;
	uint8_t *msg;
	uint16_t sum;

	if (len < sizeof(struct ip))
		return;
	if (mode & M_TTL)
		buf[8] = VRRP_TTL;
	hlen = (buf[0] & 0xfU) * 4;
	total = (size_t)buf[2] << 8 | buf[3];
	if (total > len || hlen + 8 > total)
		return;
	msg = buf + hlen;
	if (mode & M_VRID)
		msg[1] = vrid;
	mlen = 8 + (size_t)msg[3] * 4;
	if ((mode & M_CKSUM) == 0 || hlen + mlen > total)
		return;
	memset(msg + 6, 0, 2);
	sum = cksum_fold(cksum_add(0, msg, mlen));
	memcpy(msg + 6, &sum, 2);
}

/* More behind it changes nothing, one byte less is too short. */
static void
check_length(const uint8_t *buf, uint8_t vrid, struct in_addr vip,
    const struct vrrp_advert *adv)
{
	size_t total = (size_t)buf[2] << 8 | buf[3];
	struct vrrp_advert again;
	uint8_t *p = malloc(total + 40);

	CHECK(p != NULL);
	memcpy(p, buf, total);
	memset(p + total, 0xa5, 40);
	CHECK(vrrp_decode(p, total + 40, vrid, vip, &again) == VRRP_OK);
	CHECK(memcmp(&again, adv, sizeof(again)) == 0);
	free(p);
	p = fenced(buf, total - 1);
	CHECK(vrrp_decode(p, total - 1, vrid, vip, &again) == VRRP_ERR_LENGTH);
	free(p);
}

static void
check_encode(const struct vrrp_advert *adv, struct in_addr vip)
{
	struct ip ip = {.ip_v = IPVERSION, .ip_hl = 5, .ip_ttl = VRRP_TTL};
	uint8_t buf[sizeof(ip) + VRRP_ADVERT_LEN];
	struct vrrp_advert again;

	ip.ip_len = htons(sizeof(buf));
	ip.ip_src = adv->src;
	ip.ip_dst.s_addr = htonl(VRRP_GROUP);
	memcpy(buf, &ip, sizeof(ip));
	vrrp_encode(buf + sizeof(ip), adv->src, adv->vrid, adv->priority,
	    adv->interval_us, vip);
	CHECK(vrrp_decode(buf, sizeof(buf), adv->vrid, vip, &again) == VRRP_OK);
	CHECK(again.pseudo && !again.addrs_differ && again.naddrs == 1);
	CHECK(again.priority == adv->priority &&
	    again.interval_us == adv->interval_us &&
	    again.src.s_addr == adv->src.s_addr);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct in in = {data, len};
	uint8_t mode = in_u8(&in), vrid = in_u8(&in);
	struct in_addr vip = {htonl(in_u32(&in))};
	struct vrrp_advert adv;
	enum vrrp_error error;
	uint8_t *buf = fenced(in.p, in.left);

	repair(buf, in.left, mode, vrid);
	error = vrrp_decode(buf, in.left, vrid, vip, &adv);
	CHECK(error < VRRP_ERR_MAX && vrrp_strerror(error) != NULL);
	if (in.left >= sizeof(struct ip))
		CHECK(memcmp(&adv.src, buf + 12, 4) == 0);
	if (error == VRRP_OK) {
		CHECK(adv.vrid == vrid && adv.naddrs > 0);
		CHECK(adv.interval_us >= VRRP_INTERVAL_UNIT_US &&
		    adv.interval_us <= 4095 * VRRP_INTERVAL_UNIT_US &&
		    adv.interval_us % VRRP_INTERVAL_UNIT_US == 0);
		check_length(buf, vrid, vip, &adv);
		check_encode(&adv, vip);
	}
	free(buf);
	return 0;
}
