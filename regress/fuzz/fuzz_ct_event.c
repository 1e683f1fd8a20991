/*
 * Conntrack events and dumps as the kernel sends them. What becomes a record
 * is one that the wire can carry: encoded and decoded it is the same flow.
 */
#include <sys/socket.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <string.h>

#include "fuzz.h"

/* the reader of a whole datagram is not for others to call */
#include "syncd/sync_event.c"

static bool
tuples_same(const struct ct_rec *x, const struct ct_rec *y)
{
	size_t n = x->family == AF_INET6 ? 16 : 4;

	return memcmp(&x->orig.src, &y->orig.src, n) == 0 &&
	    memcmp(&x->orig.dst, &y->orig.dst, n) == 0 &&
	    memcmp(&x->reply.src, &y->reply.src, n) == 0 &&
	    memcmp(&x->reply.dst, &y->reply.dst, n) == 0 &&
	    x->orig.sport == y->orig.sport && x->orig.dport == y->orig.dport &&
	    x->reply.sport == y->reply.sport &&
	    x->reply.dport == y->reply.dport;
}

static void
check_wire(const struct ct_rec *rec)
{
	uint8_t buf[ITEM_MAX];
	size_t n = record_encode(buf, ITEM_LIVE, rec, NULL);
	struct rd r = {buf, buf + n, false};
	struct ct_rec before = {.op = 0};
	struct item it;

	CHECK(n <= ITEM_MAX);
	CHECK(item_decode(&r, &before, &it) == ITEM_GOOD && r.p == r.end);
	CHECK(it.rec.op == rec->op && it.rec.family == rec->family &&
	    it.rec.proto == rec->proto && it.rec.zone == rec->zone);
	CHECK(tuples_same(&it.rec, rec));
	CHECK(it.rec.fields == (rec->fields & ~CTF_ID));
	if (rec->fields & CTF_MARK)
		CHECK(it.rec.mark == rec->mark);
	if (rec->fields & CTF_STATUS)
		CHECK(it.rec.status == (rec->status & 0xffff));
	if (rec->fields & CTF_TIMEOUT)
		CHECK(it.rec.timeout_s == rec->timeout_s);
	if (rec->fields & CTF_TCP)
		CHECK(it.rec.tcp_state == rec->tcp_state);
}

static void
take(void *arg, struct ct_rec *rec)
{
	unsigned int *n = arg;

	(*n)++;
	CHECK(rec->family == AF_INET || rec->family == AF_INET6);
	CHECK(rec->proto != 0);
	CHECK(rec->op == CT_OP_NEW || rec->op == CT_OP_UPDATE ||
	    rec->op == CT_OP_DELETE);
	CHECK((rec->fields & CTF_STATUS) || rec->status == 0);
	CHECK((rec->fields & CTF_TIMEOUT) || rec->timeout_s == 0);
	CHECK((rec->fields & CTF_TCP) || rec->tcp_state == 0);
	check_wire(rec);
}

size_t
LLVMFuzzerCustomMutator(
    uint8_t *data, size_t len, size_t max, unsigned int seed)
{
	return nl_mutate(data, len, max, seed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *buf = fenced(data, len);
	unsigned int n = 0;

	each_message(buf, len, take, &n);
	CHECK(n <= len / (NLMSG_HDRLEN + sizeof(struct nfgenmsg)));
	free(buf);
	return 0;
}
