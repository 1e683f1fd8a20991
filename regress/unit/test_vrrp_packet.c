/* The VRRPv3 codec: golden packets, every discard, damage of all kinds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <string.h>

#include "cksum.h"
#include "vrrpd/vrrpd.h"

#define IPHDR 20
#define PKT   (IPHDR + VRRP_ADVERT_LEN)

/* Captured from keepalived 2.2.7: vrid 51, priority 100, 0.2s. */
static const uint8_t keepalived[PKT] = {0x45, 0xc0, 0x00, 0x20, 0x00, 0x01,
    0x00, 0x00, 0xff, 0x70, 0xd0, 0x90, 0x0a, 0x09, 0x00, 0x01, 0xe0, 0x00,
    0x00, 0x12, 0x31, 0x33, 0x64, 0x01, 0x00, 0x14, 0x75, 0xb1, 0x0a, 0x09,
    0x00, 0x64};

#define VRID 51
static struct in_addr src, vip;

static int
setup(void **state)
{
	(void)state;
	src.s_addr = inet_addr("10.9.0.1");
	vip.s_addr = inet_addr("10.9.0.100");
	return 0;
}

/* The message's checksum again, with the pseudo-header or without. */
static void
resum(uint8_t *pkt, size_t len, int pseudo)
{
	uint8_t p[12] = {0};
	uint32_t sum = 0;
	uint16_t ck;

	memcpy(p, pkt + 12, 8);
	p[9] = 112;
	p[11] = (uint8_t)len;
	if (pseudo)
		sum = cksum_add(0, p, sizeof(p));
	pkt[IPHDR + 6] = pkt[IPHDR + 7] = 0;
	ck = cksum_fold(cksum_add(sum, pkt + IPHDR, len));
	memcpy(pkt + IPHDR + 6, &ck, 2);
}

static enum vrrp_error
decode(const uint8_t *pkt, size_t len, struct vrrp_advert *ad)
{
	return vrrp_decode(pkt, len, VRID, vip, ad);
}

/* One byte changed, the checksum right again. */
static enum vrrp_error
changed(size_t off, uint8_t value)
{
	struct vrrp_advert ad;
	uint8_t pkt[PKT];

	memcpy(pkt, keepalived, PKT);
	pkt[off] = value;
	resum(pkt, VRRP_ADVERT_LEN, 1);
	return decode(pkt, PKT, &ad);
}

static void
golden_in(void **state)
{
	struct vrrp_advert ad;

	(void)state;
	assert_int_equal(decode(keepalived, PKT, &ad), VRRP_OK);
	assert_int_equal(ad.src.s_addr, src.s_addr);
	assert_int_equal(ad.vrid, VRID);
	assert_int_equal(ad.priority, 100);
	assert_int_equal(ad.interval_us, 200000);
	assert_int_equal(ad.naddrs, 1);
	assert_true(ad.pseudo);
	assert_false(ad.addrs_differ);
}

static void
golden_out(void **state)
{
	/* computed apart: 172.23.0.10, vrid 10, priority 200, 40s */
	static const uint8_t want[VRRP_ADVERT_LEN] = {0x31, 0x0a, 0xc8, 0x01,
	    0x0f, 0xa0, 0xbe, 0x27, 0xac, 0x17, 0x00, 0x64};
	struct in_addr from = {inet_addr("172.23.0.10")};
	struct in_addr to = {inet_addr("172.23.0.100")};
	uint8_t buf[VRRP_ADVERT_LEN];

	(void)state;
	vrrp_encode(buf, src, VRID, 100, 200000, vip);
	assert_memory_equal(buf, keepalived + IPHDR, sizeof(buf));
	vrrp_encode(buf, from, 10, 200, 40000000, to);
	assert_memory_equal(buf, want, sizeof(buf));
}

static void
interval_rounded_up(void **state)
{
	uint8_t buf[VRRP_ADVERT_LEN];

	(void)state;
	vrrp_encode(buf, src, VRID, 100, 10000, vip);
	assert_int_equal(buf[4] << 8 | buf[5], 1);
	vrrp_encode(buf, src, VRID, 100, 10001, vip);
	assert_int_equal(buf[4] << 8 | buf[5], 2);
}

static void
without_pseudo_header(void **state)
{
	struct vrrp_advert ad;
	uint8_t pkt[PKT];

	(void)state;
	memcpy(pkt, keepalived, PKT);
	resum(pkt, VRRP_ADVERT_LEN, 0);
	assert_memory_not_equal(pkt, keepalived, PKT);
	assert_int_equal(decode(pkt, PKT, &ad), VRRP_OK);
	assert_false(ad.pseudo);
}

static void
discards(void **state)
{
	(void)state;
	assert_int_equal(changed(8, 254), VRRP_ERR_TTL);
	assert_int_equal(changed(8, 1), VRRP_ERR_TTL);
	assert_int_equal(changed(IPHDR, 0x21), VRRP_ERR_VERSION);
	assert_int_equal(changed(IPHDR, 0x41), VRRP_ERR_VERSION);
	assert_int_equal(changed(IPHDR, 0x32), VRRP_ERR_TYPE);
	assert_int_equal(changed(IPHDR, 0x30), VRRP_ERR_TYPE);
	assert_int_equal(changed(IPHDR + 1, 52), VRRP_ERR_VRID);
	assert_int_equal(changed(IPHDR + 3, 2), VRRP_ERR_LENGTH);
	assert_int_equal(changed(IPHDR + 3, 255), VRRP_ERR_LENGTH);
	assert_int_equal(changed(IPHDR + 3, 0), VRRP_ERR_COUNT);
	assert_int_equal(changed(IPHDR + 5, 0), VRRP_ERR_INTERVAL);
	/* reserved bits are ignored, and do not make an interval */
	assert_int_equal(changed(IPHDR + 4, 0xf0), VRRP_OK);
	assert_int_equal(changed(0, 0x65), VRRP_ERR_LENGTH);
	assert_int_equal(changed(0, 0x44), VRRP_ERR_LENGTH);
	assert_int_equal(changed(0, 0x4f), VRRP_ERR_LENGTH);
	assert_int_equal(changed(3, 19), VRRP_ERR_LENGTH);
	assert_int_equal(changed(3, 33), VRRP_ERR_LENGTH);
}

static void
reserved_bits_not_interval(void **state)
{
	struct vrrp_advert ad;
	uint8_t pkt[PKT];

	(void)state;
	memcpy(pkt, keepalived, PKT);
	pkt[IPHDR + 4] = 0xff;
	pkt[IPHDR + 5] = 0xff;
	resum(pkt, VRRP_ADVERT_LEN, 1);
	assert_int_equal(decode(pkt, PKT, &ad), VRRP_OK);
	assert_int_equal(ad.interval_us, 40950000);
	pkt[IPHDR + 4] = 0xf0;
	pkt[IPHDR + 5] = 0;
	resum(pkt, VRRP_ADVERT_LEN, 1);
	assert_int_equal(decode(pkt, PKT, &ad), VRRP_ERR_INTERVAL);
}

static void
other_addresses(void **state)
{
	struct vrrp_advert ad;
	uint8_t pkt[PKT + 4];

	(void)state;
	memcpy(pkt, keepalived, PKT);
	pkt[IPHDR + 11] = 0x65;
	resum(pkt, VRRP_ADVERT_LEN, 1);
	assert_int_equal(decode(pkt, PKT, &ad), VRRP_OK);
	assert_true(ad.addrs_differ);

	memcpy(pkt, keepalived, PKT);
	memcpy(pkt + PKT, &src, 4);
	pkt[3] += 4;
	pkt[IPHDR + 3] = 2;
	resum(pkt, VRRP_ADVERT_LEN + 4, 1);
	assert_int_equal(decode(pkt, PKT + 4, &ad), VRRP_OK);
	assert_int_equal(ad.naddrs, 2);
	assert_true(ad.addrs_differ);
}

/* To 60 bytes of Ethernet, and bytes after the message within IP. */
static void
padding(void **state)
{
	struct vrrp_advert ad;
	uint8_t pkt[PKT + 14] = {0};

	(void)state;
	memcpy(pkt, keepalived, PKT);
	memset(pkt + PKT, 0xa5, 14);
	assert_int_equal(decode(pkt, sizeof(pkt), &ad), VRRP_OK);
	pkt[3] = sizeof(pkt);
	assert_int_equal(decode(pkt, sizeof(pkt), &ad), VRRP_OK);
	assert_int_equal(ad.priority, 100);
}

static void
ip_options(void **state)
{
	struct vrrp_advert ad;
	uint8_t pkt[PKT + 4] = {0};

	(void)state;
	memcpy(pkt, keepalived, IPHDR);
	memcpy(pkt + IPHDR + 4, keepalived + IPHDR, VRRP_ADVERT_LEN);
	pkt[0] = 0x46;
	pkt[3] = sizeof(pkt);
	pkt[IPHDR] = 0x94; /* router alert */
	pkt[IPHDR + 1] = 4;
	assert_int_equal(decode(pkt, sizeof(pkt), &ad), VRRP_OK);
	assert_int_equal(ad.priority, 100);
}

/* In memory of exactly that size, so that a sanitizer sees a byte more. */
static void
truncation(void **state)
{
	struct vrrp_advert ad;
	uint8_t *pkt;
	size_t len;

	(void)state;
	for (len = 0; len < PKT; len++) {
		pkt = test_malloc(len + 1);
		memcpy(pkt + 1, keepalived, len);
		assert_int_equal(decode(pkt + 1, len, &ad), VRRP_ERR_LENGTH);
		if (len >= IPHDR) {
			pkt[1 + 3] = (uint8_t)len;
			assert_int_equal(
			    decode(pkt + 1, len, &ad), VRRP_ERR_LENGTH);
		}
		test_free(pkt);
	}
}

/* Each bit of what the checksum covers: the message and both addresses. */
static void
bit_flips(void **state)
{
	struct vrrp_advert ad;
	uint8_t pkt[PKT];
	size_t bit;

	(void)state;
	for (bit = 12 * 8; bit < PKT * 8; bit++) {
		memcpy(pkt, keepalived, PKT);
		pkt[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(decode(pkt, PKT, &ad), VRRP_OK);
	}
}

/* Nothing random is taken, nor read out of bounds. */
static void
noise(void **state)
{
	struct vrrp_advert ad;
	uint32_t seed = 1;
	uint8_t *pkt;
	size_t i, len, round;

	(void)state;
	for (round = 0; round < 20000; round++) {
		len = round % 64 + 1;
		pkt = test_malloc(len);
		for (i = 0; i < len; i++) {
			seed = seed * 1664525 + 1013904223;
			pkt[i] = (uint8_t)(seed >> 24);
		}
		if (len > 8) {
			pkt[0] = 0x45;
			pkt[8] = 255;
		}
		assert_int_not_equal(decode(pkt, len, &ad), VRRP_OK);
		test_free(pkt);
	}
}

static void
every_error_has_words(void **state)
{
	int e;

	(void)state;
	for (e = VRRP_OK; e < VRRP_ERR_MAX; e++)
		assert_non_null(vrrp_strerror((enum vrrp_error)e));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(golden_in),
	    cmocka_unit_test(golden_out),
	    cmocka_unit_test(interval_rounded_up),
	    cmocka_unit_test(without_pseudo_header),
	    cmocka_unit_test(discards),
	    cmocka_unit_test(reserved_bits_not_interval),
	    cmocka_unit_test(other_addresses),
	    cmocka_unit_test(padding),
	    cmocka_unit_test(ip_options),
	    cmocka_unit_test(truncation),
	    cmocka_unit_test(bit_flips),
	    cmocka_unit_test(noise),
	    cmocka_unit_test(every_error_has_words),
	};

	return cmocka_run_group_tests_name("vrrp_packet", tests, setup, NULL);
}
