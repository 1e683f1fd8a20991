/*
 * A node's whole replication: datagrams of two peers that know the key but
 * not what is sensible, roles, time, the kernel's events and dumps, hagwd's
 * answers, in any order. The windows stay windows, what is injected is what
 * hagwd takes, and the clock always has a next time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <string.h>

#include "fuzz.h"
#include "parentd/parentd.h"
#include "syncd/syncd.h"

#define NODES  3
#define QUEUED (APPLY_BATCHES + 1)

static const uint8_t key[HAGW_SYNC_KEYLEN] = {1, 2, 3};
static const char *const names[NODES] = {"a", "b", "c"};

static struct sync node;
static struct conf *conf;
static struct authz_view view;
static struct crypt senders[NODES];
static uint64_t now;
static bool dump_asked;
static struct ct_rec last; /* made, maybe in another datagram */
static struct {
	uint32_t id;
	uint32_t n;
} injected[QUEUED];
static unsigned int in_head, in_tail;

/* sync_ops */

static void
op_send(void *arg, uint32_t to, const uint8_t *dgram, size_t len)
{
	uint8_t plain[WIRE_PLAIN_MAX];
	size_t plen;
	enum crypt_res res;

	(void)arg;
	CHECK(to > 0 && to < NODES && len <= WIRE_DGRAM_MAX);
	/* the peer can read it, and every datagram has a number of its own */
	res = crypt_open(&senders[to], dgram, len, plain, &plen);
	CHECK(res == CRYPT_OK || res == CRYPT_UNPROVEN);
	if (res == CRYPT_UNPROVEN)
		crypt_accept(&senders[to]);
}

static void
op_inject(void *arg, uint32_t id, const struct ct_rec *recs, size_t n)
{
	(void)arg;
	CHECK(n > 0 && n <= APPLY_BATCH);
	CHECK(in_tail - in_head < QUEUED);
	for (size_t i = 0; i < n; i++) {
		const char *why = authz_ct(&view, &recs[i]);

		CHECK(why == NULL ||
		    (strstr(why, "status bits") == NULL &&
			strstr(why, "timeout") == NULL &&
			strstr(why, "impossible") == NULL &&
			strstr(why, "own address") == NULL));
	}
	injected[in_tail % QUEUED].id = id;
	injected[in_tail++ % QUEUED].n = (uint32_t)n;
}

static void
op_dump(void *arg, uint32_t id)
{
	(void)arg;
	CHECK(id == node.dump.id);
	dump_asked = true;
}

static void
op_dump_close(void *arg)
{
	(void)arg;
	dump_asked = false;
}

static void
op_status(void *arg, const struct imsg_ct_status *msg)
{
	(void)arg;
	CHECK(msg->node > 0 && msg->node < NODES && msg->role < ROLE_MAX);
	CHECK(msg->up <= 1 && msg->ready <= 1 && msg->self_ready <= 1);
}

static void
op_barrier_done(void *arg, const struct imsg_ct_barrier *msg)
{
	(void)arg;
	CHECK(msg->node < NODES && (msg->ok == 0 || msg->unconfirmed == 0));
}

static void
op_asked(void *arg, const struct imsg_ct_handover *msg)
{
	(void)arg;
	CHECK(msg->node > 0 && msg->node < NODES);
}

static void
op_drain(void *arg)
{
	(void)arg;
}

static const char *
op_where(void *arg, uint32_t peer)
{
	(void)arg;
	return names[peer];
}

static const struct sync_ops ops = {
    .send = op_send,
    .inject = op_inject,
    .dump = op_dump,
    .dump_close = op_dump_close,
    .status = op_status,
    .barrier_done = op_barrier_done,
    .asked = op_asked,
    .drain = op_drain,
    .where = op_where,
};

/* The node and its peers */

static void
make_conf(void)
{
	if (conf != NULL)
		return;
	conf = conf_new();
	CHECK(conf != NULL);
	strcpy(conf->h.site, "test");
	conf->h.nnodes = NODES;
	for (int i = 0; i < NODES; i++) {
		strcpy(conf->h.nodes[i].name, names[i]);
		conf->h.nets[0].addr[i].s_addr =
		    htonl(0xc0000201u + (uint32_t)i);
	}
	conf->h.nnets = 1;
	conf->h.nets[0].plen = 24;
	conf->h.nets[0].vip.s_addr = htonl(0xc00002fau);
	conf->h.sync.npaths = 1;
	conf->h.sync.protocols = CONF_PROTO_ALL;
	conf->h.ha.advertise_us = 200000;
	CHECK(authz_prepare(&view, conf) == 0);
	view.inject = true;
}

static void
boot(int i, uint64_t epoch)
{
	crypt_init(&senders[i], key, "test", names[i], "a", epoch);
}

/*
 * As it is at the start. The peers' rings stay from input to input: making
 * them anew takes longer than all the rest.
 */
static struct {
	struct sync node;
	struct peer peers[NODES];
} fresh;

static void
make_fresh(void)
{
	fuzz_random_reset();
	make_conf();
	sync_init(&node, &ops, NULL, now);
	sync_configure(&node, conf, key, now);
	node.timeouts.udp_replied = 120;
	sync_role(&node, ROLE_BACKUP, now);
	fresh.node = node;
	for (int i = 1; i < NODES; i++)
		fresh.peers[i] = *node.peers[i];
}

static void
setup(void)
{
	now = 1000000;
	if (conf == NULL)
		make_fresh();
	fuzz_random_reset();
	in_head = in_tail = 0;
	dump_asked = false;
	last.op = 0;
	node = fresh.node;
	for (int i = 1; i < NODES; i++) {
		*node.peers[i] = fresh.peers[i];
		slots_reset(&node.peers[i]->tx.slots);
		slots_take(&node.peers[i]->tx.slots, 0);
		tx_slot(&node.peers[i]->tx, 0)->acked = false;
		boot(i, 100u * (unsigned int)i);
	}
}

/* Taken and not given back. */
static uint64_t
held(const struct slots *s)
{
	return s->touched - s->nspare;
}

static void
check_peer(const struct peer *p)
{
	const struct rx *r = &p->rx;
	const struct tx *t = &p->tx;
	uint64_t present = 0;

	for (size_t i = 0; i < nitems(r->present); i++)
		present += (uint64_t)__builtin_popcountll(r->present[i]);
	CHECK(held(&r->slots) == present);
	CHECK(!t->active || held(&t->slots) == t->head - t->base + 1);

	CHECK(r->applied <= r->deliver && r->deliver <= r->cum &&
	    r->cum <= r->top && r->top <= r->applied + RX_WINDOW);
	CHECK(t->base <= t->cum && t->cum <= t->next && t->next <= t->head &&
	    t->head - t->base < t->size);
	CHECK(!t->active || (t->cwnd >= CWND_MIN && t->cwnd <= RX_WINDOW));
	/* what was not sent cannot have been received */
	for (uint64_t n = t->next; n <= t->head; n++)
		CHECK(!tx_slot(t, n)->acked);
}

static void
invariants(void)
{
	const struct apply *a = &node.apply;

	for (int i = 1; i < NODES; i++)
		check_peer(node.peers[i]);
	CHECK(a->n <= APPLY_BATCHES && a->n == in_tail - in_head);
	CHECK(node.dump.kind == DUMP_NONE || !node.dump.open || dump_asked);
	CHECK(node.pending.n <= COALESCE_MAX);
	for (int i = 1; i < NODES; i++)
		CHECK(!node.brx[i].synced || node.role != ROLE_MASTER);
}

/* Datagrams */

static struct wr
begin(uint8_t *buf, int i)
{
	struct wr w = {buf, buf + WIRE_PLAIN_MAX, false};

	wr_u64(&w, node.peers[i]->c.epoch);
	wr_u32(&w, (uint32_t)now);
	return w;
}

static void
deliver(int i, const struct wr *w, const uint8_t *plain)
{
	uint8_t dgram[WIRE_DGRAM_MAX];
	size_t n =
	    crypt_seal(&senders[i], plain, (size_t)(w->p - plain), dgram);

	sync_input(&node, (uint32_t)i, dgram, n, now);
}

static void
in_heartbeat(struct in *in, int i)
{
	uint8_t plain[WIRE_PLAIN_MAX], bits = in_u8(in);
	struct wr w = begin(plain, i);
	struct wire_hb hb = {
	    .challenge = 1 + in_u8(in),
	    .echo = node.peers[i]->c.challenge,
	    .interval_ms = 100,
	    .role = bits % ROLE_MAX,
	    .steps = bits >> 4,
	    .flags = in_u8(in),
	    .stream = in_u8(in),
	    .gen_done = in_u8(in),
	    .gen_max = in_u8(in),
	    .ho_req = in_u8(in),
	};

	if (hb.gen_max == 0xff)
		hb.gen_max = UINT32_MAX;
	wire_put_hb(&w, &hb);
	deliver(i, &w, plain);
}

/* Items as the input has them, or one made of it. */
static void
put_items(struct in *in, struct wr *w, uint8_t how)
{
	uint8_t buf[ITEM_MAX];
	struct ct_rec r = {.family = AF_INET, .proto = IPPROTO_UDP};
	size_t n;
	const uint8_t *p;

	switch (how & 3) {
	case 0:
		n = begin_encode(buf, in_u8(in), how >> 2 & 1);
		break;
	case 1:
		n = end_encode(buf, in_u8(in), in_u8(in));
		break;
	case 2:
		r.op = 1 + (how >> 2 & 3);
		r.orig.src.w[0] = htonl(0x0a000a00u + in_u8(in));
		r.orig.dst.w[0] = htonl(0xcb007150u);
		r.orig.sport = in_u16(in);
		r.fields = in_u16(in) & 0x1f;
		r.tcp_state = in_u8(in);
		record_mirror(&r, &r.reply);
		n = record_encode(buf, how & 0x10 ? ITEM_DUMP : ITEM_LIVE, &r,
		    how & 0x20 ? &last : NULL);
		last = r;
		break;
	default:
		p = in_bytes(in, in_u8(in), &n);
		wr_bytes(w, p, n);
		return;
	}
	wr_bytes(w, buf, n);
}

static void
in_data(struct in *in, int i)
{
	uint8_t plain[WIRE_PLAIN_MAX], body[WIRE_BODY_MAX];
	struct wr w = begin(plain, i), b = {body, body + sizeof(body), false};
	const struct rx *r = &node.peers[i]->rx;
	uint8_t more = in_u8(in), stream = in_u8(in);
	int8_t ahead = (int8_t)in_u8(in);

	for (unsigned int k = 0; k <= more % 4; k++)
		put_items(in, &b, in_u8(in));
	wr_u8(&w, SEC_DATA);
	wr_u16(&w, (uint16_t)(WIRE_DATA_HEAD + (b.p - body)));
	wr_u32(&w, stream == 0 ? r->stream : stream);
	wr_u64(&w, r->cum + (uint64_t)(int64_t)ahead);
	wr_bytes(&w, body, (size_t)(b.p - body));
	deliver(i, &w, plain);
}

static void
in_ack(struct in *in, int i)
{
	uint8_t plain[WIRE_PLAIN_MAX];
	struct wr w = begin(plain, i);
	const struct tx *t = &node.peers[i]->tx;
	struct wire_ack a = {.stream = t->stream};
	int8_t cum = (int8_t)in_u8(in), applied = (int8_t)in_u8(in);
	size_t got;
	const uint8_t *p;

	a.cum = t->next + (uint64_t)(int64_t)cum;
	a.applied = t->base + (uint64_t)(int64_t)applied;
	a.ts_echo = (uint32_t)now - in_u16(in);
	a.ts_hold_us = in_u8(in);
	p = in_bytes(in, in_u8(in) % (WIRE_SACK_MAX + 1), &got);
	memcpy(a.sack, p, got);
	a.nsack = (uint8_t)got;
	wire_put_ack(&w, &a);
	deliver(i, &w, plain);
}

static void
in_raw(struct in *in, int i)
{
	uint8_t plain[WIRE_PLAIN_MAX];
	struct wr w = begin(plain, i);
	size_t got;
	const uint8_t *p = in_bytes(in, in_u16(in), &got);

	if (got > 1000)
		got = 1000;
	if (got > 0)
		wr_bytes(&w, p, got);
	deliver(i, &w, plain);
}

/* By what step() reads; the other numbers are no datagrams. */
static void (*const datagrams[])(struct in *, int) = {
    [2] = in_heartbeat,
    [3] = in_data,
    [4] = in_data,
    [5] = in_ack,
    [6] = in_raw,
};

/* The kernel and hagwd */

static struct ct_rec
some_flow(struct in *in)
{
	struct ct_rec r = {.family = AF_INET};
	uint8_t bits = in_u8(in);

	r.op = 1 + bits % 3;
	r.proto = bits & 0x10 ? IPPROTO_TCP : IPPROTO_UDP;
	r.orig.src.w[0] = htonl(0x0a000a00u + in_u8(in));
	r.orig.dst.w[0] = htonl(0xcb007150u);
	r.orig.sport = in_u16(in);
	r.orig.dport = htons(443);
	record_mirror(&r, &r.reply);
	if (bits & 0x20)
		r.reply.dst.w[0] = htonl(0xc00002fau);
	r.status = IPS_CONFIRMED | (bits & 0x40 ? IPS_ASSURED : 0);
	r.timeout_s = in_u32(in);
	r.tcp_state = in_u8(in) % TCP_CONNTRACK_MAX;
	r.fields = CTF_STATUS | CTF_TIMEOUT | CTF_ID;
	if (r.proto == IPPROTO_TCP)
		r.fields |= CTF_TCP;
	return r;
}

static void
events(struct in *in)
{
	struct ct_rec r = some_flow(in);
	unsigned int n = in_u16(in) % 2048;

	for (unsigned int i = 0; i <= n; i++) {
		struct ct_rec copy = r;

		copy.orig.dst.w[0] = htonl(0xcb007150u + i);
		copy.reply.src = copy.orig.dst;
		sync_events(&node, &copy, 1, now);
	}
}

static void
dump(struct in *in)
{
	uint8_t n = in_u8(in);

	if (!dump_asked)
		return;
	if (!node.dump.open) {
		sync_dump_opened(&node);
		return;
	}
	if (!sync_dump_wanted(&node, now))
		return;
	sync_dump_read(&node, now);
	for (unsigned int i = 0; i < n % 16u && dump_asked; i++) {
		struct ct_rec r = some_flow(in);

		sync_dump_record(&node, &r, now);
	}
	if (n < 0xc0 || !dump_asked)
		return;
	dump_asked = false;
	sync_dump_done(&node, n < 0xf0, now);
}

static void
applied(struct in *in)
{
	struct imsg_ct_fail fails[4];
	uint32_t nfail = in_u8(in) % 4;
	unsigned int at = in_head % QUEUED;

	if (in_head == in_tail)
		return;
	if (nfail > injected[at].n)
		nfail = injected[at].n;
	for (uint32_t i = 0; i < nfail; i++)
		fails[i] = (struct imsg_ct_fail){i, EEXIST};
	in_head++;
	sync_applied(&node, injected[at].id, fails, nfail, now);
}

static void
reconfigure(void)
{
	struct conf *c = conf_copy(conf);

	CHECK(c != NULL);
	sync_configure(&node, c, NULL, now);
	sync_configure(&node, conf, key, now);
	conf_free(c);
}

static void
step(struct in *in)
{
	uint8_t op = in_u8(in);
	int i = 1 + (op >> 4 & 1);

	switch (op & 15) {
	case 0:
		sync_role(&node, (enum role)(1 + in_u8(in) % 3), now);
		break;
	case 1:
		now += in_u16(in) * 100ULL;
		sync_timer(&node, now);
		/* all that was due is done */
		CHECK(sync_deadline(&node, now) > now);
		break;
	case 7:
		boot(i, senders[i].epoch + 1);
		break;
	case 8:
		events(in);
		break;
	case 9:
		dump(in);
		break;
	case 10:
		applied(in);
		break;
	case 11:
		sync_barrier(&node, now);
		break;
	case 12:
		sync_handover(&node, op >> 5 & 1, now);
		break;
	case 13:
		sync_deliver(&node, now);
		break;
	case 14:
		if (op & 0x20)
			sync_overrun(&node);
		if (op & 0x40)
			reconfigure();
		if (op & 0x80)
			sync_count(&node, &(struct imsg_ct_count){now % 7, 9});
		break;
	case 15:
		sync_flush(&node, now);
		break;
	default:
		datagrams[op & 15](in, i);
	}
	invariants();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct in in = {data, len};

	setup();
	while (in.left > 0)
		step(&in);
	return 0;
}
