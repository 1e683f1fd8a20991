/* Datagrams that are not what they seem, and boots that come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "syncd/syncd.h"

static const uint8_t key[HAGW_SYNC_KEYLEN] = {1, 2, 3};
static const uint8_t other_key[HAGW_SYNC_KEYLEN] = {9};

static struct crypt a, b;
static uint8_t dgram[WIRE_DGRAM_MAX], plain[WIRE_PLAIN_MAX];
static size_t plen;

/* Two nodes that believe each other. */
static int
setup(void **state)
{
	size_t n;

	(void)state;
	crypt_init(&a, key, "site", "a", "b", crypt_random());
	crypt_init(&b, key, "site", "b", "a", crypt_random());
	n = crypt_seal(&a, (const uint8_t *)"hello", 5, dgram);
	assert_int_equal(
	    crypt_open(&b, dgram, n, plain, &plen), CRYPT_UNPROVEN);
	crypt_accept(&b);
	return 0;
}

static enum crypt_res
open_b(const uint8_t *buf, size_t n)
{
	return crypt_open(&b, buf, n, plain, &plen);
}

static void
test_good(void **state)
{
	size_t n = crypt_seal(&a, (const uint8_t *)"hello", 5, dgram);

	(void)state;
	assert_int_equal(n, WIRE_HDR + 5 + WIRE_TAG);
	assert_int_equal(open_b(dgram, n), CRYPT_OK);
	assert_int_equal(plen, 5);
	assert_memory_equal(plain, "hello", 5);
	assert_int_equal(open_b(dgram, n), CRYPT_REPLAY);
}

/* Every bit of every byte matters. */
static void
test_tamper(void **state)
{
	size_t n = crypt_seal(&a, (const uint8_t *)"hello", 5, dgram);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		for (int bit = 0; bit < 8; bit++) {
			enum crypt_res res;

			dgram[i] ^= (uint8_t)(1 << bit);
			res = open_b(dgram, n);
			assert_true(res != CRYPT_OK && res != CRYPT_UNPROVEN);
			dgram[i] ^= (uint8_t)(1 << bit);
		}
	}
	assert_int_equal(open_b(dgram, n), CRYPT_OK);
}

static void
test_truncated(void **state)
{
	size_t n = crypt_seal(&a, (const uint8_t *)"hello", 5, dgram);

	(void)state;
	for (size_t cut = 0; cut < n; cut++) {
		uint8_t *part = malloc(cut + 1);

		assert_non_null(part);
		memcpy(part, dgram, cut);
		assert_int_equal(open_b(part, cut),
		    cut < WIRE_HDR + WIRE_TAG ? CRYPT_BAD_FORMAT
					      : CRYPT_BAD_KEY);
		free(part);
	}
	memset(dgram + n, 0, sizeof(dgram) - n);
	assert_int_equal(open_b(dgram, n + 1), CRYPT_BAD_KEY);
}

static enum crypt_res
from(const uint8_t *k, const char *site, const char *self, const char *peer)
{
	struct crypt x;
	size_t n;

	crypt_init(&x, k, site, self, peer, crypt_random());
	n = crypt_seal(&x, (const uint8_t *)"hello", 5, dgram);
	return open_b(dgram, n);
}

static void
test_strangers(void **state)
{
	size_t n;

	(void)state;
	assert_int_equal(from(key, "site", "a", "b"), CRYPT_UNPROVEN);
	assert_int_equal(from(other_key, "site", "a", "b"), CRYPT_BAD_KEY);
	assert_int_equal(from(key, "elsewhere", "a", "b"), CRYPT_BAD_SITE);
	assert_int_equal(from(key, "site", "c", "b"), CRYPT_BAD_SITE);
	assert_int_equal(from(key, "site", "a", "c"), CRYPT_BAD_SITE);
	/* our own words thrown back at us */
	assert_int_equal(from(key, "site", "b", "a"), CRYPT_BAD_SITE);
	n = crypt_seal(&a, (const uint8_t *)"hello", 5, dgram);
	dgram[4] = WIRE_VERSION + 1;
	assert_int_equal(open_b(dgram, n), CRYPT_BAD_VERSION);
	/* a version that uses what is reserved today is still a version */
	dgram[7] = 1;
	assert_int_equal(open_b(dgram, n), CRYPT_BAD_VERSION);
	/* the key id alone does not make the key */
	n = crypt_seal(&a, (const uint8_t *)"hello", 5, dgram);
	b.key[0] ^= 1;
	b.now.key[0] ^= 1;
	assert_int_equal(open_b(dgram, n), CRYPT_BAD_KEY);
}

#define MANY 1500

/* In any order, each once; too old ones never. */
static void
test_window(void **state)
{
	static uint8_t all[MANY][WIRE_HDR + 5 + WIRE_TAG];

	(void)state;
	for (int i = 0; i < MANY; i++)
		crypt_seal(&a, (const uint8_t *)"hello", 5, all[i]);
	for (int i = 0; i < 1000; i += 2)
		assert_int_equal(open_b(all[i], sizeof(all[i])), CRYPT_OK);
	for (int i = 999; i > 0; i -= 2)
		assert_int_equal(open_b(all[i], sizeof(all[i])), CRYPT_OK);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(open_b(all[i], sizeof(all[i])), CRYPT_REPLAY);
	assert_int_equal(open_b(all[MANY - 1], sizeof(all[0])), CRYPT_OK);
	assert_int_equal(open_b(all[MANY - CRYPT_WINDOW], sizeof(all[0])),
	    MANY - CRYPT_WINDOW < 1000 ? CRYPT_REPLAY : CRYPT_OK);
	assert_int_equal(open_b(all[1000], sizeof(all[0])), CRYPT_OK);
	assert_int_equal(open_b(all[1000], sizeof(all[0])), CRYPT_REPLAY);
	for (int i = 1001; i < MANY - 1; i++)
		assert_int_equal(open_b(all[i], sizeof(all[i])), CRYPT_OK);
}

static void
test_too_old(void **state)
{
	uint8_t old[WIRE_DGRAM_MAX];
	size_t n = crypt_seal(&a, (const uint8_t *)"hello", 5, old);

	(void)state;
	a.number += CRYPT_WINDOW;
	crypt_seal(&a, (const uint8_t *)"hello", 5, dgram);
	assert_int_equal(open_b(dgram, n), CRYPT_OK);
	assert_int_equal(open_b(old, n), CRYPT_REPLAY);
}

/* What was sealed before a restart is only another unproven boot after. */
static void
test_epochs(void **state)
{
	uint8_t recorded[WIRE_DGRAM_MAX];
	uint64_t challenge = b.challenge;
	struct crypt a2;
	size_t n = crypt_seal(&a, (const uint8_t *)"hello", 5, recorded);

	(void)state;
	crypt_init(&a2, key, "site", "a", "b", crypt_random());
	crypt_seal(&a2, (const uint8_t *)"hello", 5, dgram);
	assert_int_equal(open_b(dgram, n), CRYPT_UNPROVEN);
	/* as long as it is not accepted, the old one goes on */
	crypt_accept(&b);
	assert_true(b.challenge != challenge);
	assert_int_equal(open_b(dgram, n), CRYPT_REPLAY);
	assert_int_equal(open_b(recorded, n), CRYPT_UNPROVEN);
	crypt_seal(&a2, (const uint8_t *)"hello", 5, dgram);
	assert_int_equal(open_b(dgram, n), CRYPT_OK);
}

/* The engine's part of it: two peers over a wire that somebody records. */

static uint8_t wire[64][WIRE_DGRAM_MAX];
static size_t wire_len[64];
static unsigned int nwire, nepochs;

static void
op_send(struct peer *p, const uint8_t *buf, size_t len)
{
	(void)p;
	assert_true(nwire < nitems(wire));
	memcpy(wire[nwire], buf, len);
	wire_len[nwire++] = len;
}

static void
op_heartbeat(struct peer *p, struct wire_hb *hb)
{
	(void)p;
	hb->role = ROLE_BACKUP;
}

static void
op_heard(struct peer *p, const struct wire_hb *hb)
{
	(void)p;
	(void)hb;
}

static void
op_quiet(struct peer *p)
{
	(void)p;
}

static void
op_epoch(struct peer *p)
{
	(void)p;
	nepochs++;
}

static void
op_asked(struct peer *p, bool by_operator)
{
	(void)p;
	(void)by_operator;
}

static const struct peer_ops ops = {
    op_send, op_heartbeat, op_heard, op_quiet, op_epoch, op_quiet, op_asked};

static struct peer *
new_peer(const char *self, const char *peer)
{
	struct peer *p = peer_new(&ops, NULL, 0, peer, TX_MIN, 1000);

	assert_non_null(p);
	crypt_init(&p->c, key, "site", self, peer, crypt_random());
	return p;
}

/* Let x and y talk until nothing is said; the last datagram of x stays. */
static size_t
talk(struct peer *x, struct peer *y, uint64_t *now, uint8_t *kept)
{
	size_t len = 0;

	for (int i = 0; i < 8; i++) {
		struct peer *from_p = i % 2 == 0 ? x : y;
		struct peer *to = i % 2 == 0 ? y : x;

		*now += HB_MAX_US;
		nwire = 0;
		peer_flush(from_p, *now);
		for (unsigned int k = 0; k < nwire; k++) {
			if (from_p == x) {
				memcpy(kept, wire[k], wire_len[k]);
				len = wire_len[k];
			}
			peer_input(to, *now, wire[k], wire_len[k]);
		}
	}
	return len;
}

static void
test_recorded_boot(void **state)
{
	uint8_t old[WIRE_DGRAM_MAX], newer[WIRE_DGRAM_MAX];
	struct peer *x = new_peer("a", "b"), *y = new_peer("b", "a");
	uint64_t now = 1000000, echo;
	size_t len;

	(void)state;
	nepochs = 0;
	len = talk(x, y, &now, old);
	assert_true(x->up && y->up);
	assert_int_equal(nepochs, 2);
	assert_int_equal(peer_input(y, now, old, len), CRYPT_REPLAY);

	/* a's syncd starts again */
	peer_free(x);
	x = new_peer("a", "b");
	talk(x, y, &now, newer);
	assert_true(x->up && y->up);
	assert_int_equal(nepochs, 4);

	/* its former life, recorded, does not displace it */
	echo = y->echo;
	assert_int_equal(peer_input(y, now, old, len), CRYPT_UNPROVEN);
	assert_int_equal(nepochs, 4);
	assert_int_equal(y->echo, echo); /* nor what it needs of the new one */
	talk(x, y, &now, newer);
	assert_true(y->up);
	assert_int_equal(y->c.now.epoch, x->c.epoch);
	assert_int_equal(nepochs, 4);
	peer_free(x);
	peer_free(y);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_good, setup),
	    cmocka_unit_test_setup(test_tamper, setup),
	    cmocka_unit_test_setup(test_truncated, setup),
	    cmocka_unit_test_setup(test_strangers, setup),
	    cmocka_unit_test_setup(test_window, setup),
	    cmocka_unit_test_setup(test_too_old, setup),
	    cmocka_unit_test_setup(test_epochs, setup),
	    cmocka_unit_test(test_recorded_boot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
