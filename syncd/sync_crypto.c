/*
 * Authenticated encryption of datagrams. Each direction between two nodes
 * has a key per boot of its sender, so a counter is nonce enough. A boot
 * (epoch) of the peer is believed only after it has sent back a challenge
 * that is changed with each epoch believed: a recording of an earlier boot
 * carries a stale one.
 */
#include <sodium.h>
#include <string.h>

#include "syncd.h"

static void
derive(const struct crypt *c, uint32_t from, uint32_t to, uint64_t epoch,
    uint8_t *key)
{
	uint8_t in[32];
	struct wr w = {in, in + sizeof(in), false};

	wr_bytes(&w, "hagw sync 1\0", 12);
	wr_u32(&w, c->site);
	wr_u32(&w, from);
	wr_u32(&w, to);
	wr_u64(&w, epoch);
	crypto_generichash(
	    key, HAGW_SYNC_KEYLEN, in, sizeof(in), c->key, sizeof(c->key));
}

uint64_t
crypt_random(void)
{
	uint64_t v;

	do
		randombytes_buf(&v, sizeof(v));
	while (v == 0);
	return v;
}

void
crypt_init(struct crypt *c, const uint8_t *key, const char *site,
    const char *self, const char *peer, uint64_t epoch)
{
	uint8_t id[crypto_generichash_BYTES];

	memset(c, 0, sizeof(*c));
	memcpy(c->key, key, sizeof(c->key));
	crypto_generichash(id, sizeof(id), (const uint8_t *)"hagw key id", 11,
	    key, HAGW_SYNC_KEYLEN);
	c->key_id = id[0];
	c->site = wire_id("site", site);
	c->self = wire_id("node", self);
	c->peer = wire_id("node", peer);
	c->epoch = epoch;
	c->challenge = crypt_random();
	derive(c, c->self, c->peer, epoch, c->tx_key);
}

static void
make_nonce(uint8_t *nonce, uint64_t number)
{
	struct wr w = {
	    nonce, nonce + crypto_aead_chacha20poly1305_IETF_NPUBBYTES, false};

	wr_u32(&w, 0);
	wr_u64(&w, number);
}

size_t
crypt_seal(struct crypt *c, const uint8_t *plain, size_t len, uint8_t *out)
{
	struct wire_hdr h = {WIRE_VERSION, c->key_id, c->site, c->self, c->peer,
	    c->epoch, ++c->number};
	uint8_t nonce[crypto_aead_chacha20poly1305_IETF_NPUBBYTES];

	wire_put_hdr(out, &h);
	make_nonce(nonce, h.number);
	crypto_aead_chacha20poly1305_ietf_encrypt(out + WIRE_HDR, NULL, plain,
	    len, out, WIRE_HDR, NULL, nonce, c->tx_key);
	return WIRE_HDR + len + WIRE_TAG;
}

static bool
window_has(const struct crypt *c, uint64_t n)
{
	if (n > c->max)
		return false;
	if (c->max - n >= CRYPT_WINDOW)
		return true;
	return (c->window[n / 64 % (CRYPT_WINDOW / 64)] >> n % 64 & 1) != 0;
}

static void
window_set(struct crypt *c, uint64_t n)
{
	if (n > c->max) {
		uint64_t from = c->max + 1;

		if (n - c->max >= CRYPT_WINDOW) {
			memset(c->window, 0, sizeof(c->window));
			from = n;
		}
		for (uint64_t i = from; i <= n; i++)
			c->window[i / 64 % (CRYPT_WINDOW / 64)] &=
			    ~(1ULL << i % 64);
		c->max = n;
	}
	c->window[n / 64 % (CRYPT_WINDOW / 64)] |= 1ULL << n % 64;
}

static enum crypt_res
check_header(
    const struct crypt *c, const uint8_t *dgram, size_t len, struct wire_hdr *h)
{
	if (!wire_get_hdr(dgram, len, h))
		return CRYPT_BAD_FORMAT;
	if (h->version != WIRE_VERSION)
		return CRYPT_BAD_VERSION;
	if (h->site != c->site || h->to != c->self || h->from != c->peer)
		return CRYPT_BAD_SITE;
	if (h->key_id != c->key_id)
		return CRYPT_BAD_KEY;
	if (h->epoch == 0 || h->number == 0)
		return CRYPT_BAD_FORMAT;
	return CRYPT_OK;
}

static bool
open_with(const uint8_t *key, const uint8_t *dgram, size_t len, uint64_t number,
    uint8_t *plain)
{
	uint8_t nonce[crypto_aead_chacha20poly1305_IETF_NPUBBYTES];

	make_nonce(nonce, number);
	return crypto_aead_chacha20poly1305_ietf_decrypt(plain, NULL, NULL,
		   dgram + WIRE_HDR, len - WIRE_HDR, dgram, WIRE_HDR, nonce,
		   key) == 0;
}

/* A stranger's key is kept only once a datagram of it was genuine. */
static enum crypt_res
open_unproven(struct crypt *c, const uint8_t *dgram, size_t len,
    const struct wire_hdr *h, uint8_t *plain)
{
	struct crypt_rx next = c->next;

	if (next.epoch != h->epoch) {
		next.epoch = h->epoch;
		derive(c, c->peer, c->self, h->epoch, next.key);
	}
	if (!open_with(next.key, dgram, len, h->number, plain))
		return CRYPT_BAD_KEY;
	c->next = next;
	c->next_number = h->number;
	return CRYPT_UNPROVEN;
}

enum crypt_res
crypt_open(struct crypt *c, const uint8_t *dgram, size_t len, uint8_t *plain,
    size_t *plen)
{
	struct wire_hdr h;
	enum crypt_res res = check_header(c, dgram, len, &h);

	if (res != CRYPT_OK)
		return res;
	*plen = len - WIRE_HDR - WIRE_TAG;
	if (h.epoch != c->now.epoch)
		return open_unproven(c, dgram, len, &h, plain);
	if (window_has(c, h.number))
		return CRYPT_REPLAY;
	if (!open_with(c->now.key, dgram, len, h.number, plain))
		return CRYPT_BAD_KEY;
	window_set(c, h.number);
	return CRYPT_OK;
}

void
crypt_accept(struct crypt *c)
{
	c->now = c->next;
	memset(&c->next, 0, sizeof(c->next));
	memset(c->window, 0, sizeof(c->window));
	c->max = 0;
	window_set(c, c->next_number);
	c->challenge = crypt_random();
}
