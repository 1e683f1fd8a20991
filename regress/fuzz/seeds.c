/*
 * First inputs for the fuzz targets, into DIR/<target>/: natd's own batches,
 * what a real kernel answers to them (in a network namespace of its own, so
 * as root), and messages as the daemons write them.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <netinet/ip.h>
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "natd/natd.h"
#include "parentd/parentd.h"
#include "sites.h"
#include "syncd/syncd.h"

/* vrrpd.h and syncd.h each have an io_send of their own */
void vrrp_encode(uint8_t *, struct in_addr src, uint8_t vrid, uint8_t priority,
    uint32_t interval_us, struct in_addr vip);

static const char *top;

static void
put(const char *target, const char *name, const void *head, size_t headlen,
    const void *data, size_t len)
{
	char path[512];
	FILE *fp;

	snprintf(path, sizeof(path), "%s/%s", top, target);
	CHECK(mkdir(path, 0755) == 0 || errno == EEXIST);
	snprintf(path, sizeof(path), "%s/%s/%s", top, target, name);
	fp = fopen(path, "w");
	CHECK(fp != NULL);
	CHECK(fwrite(head, 1, headlen, fp) == headlen);
	CHECK(fwrite(data, 1, len, fp) == len);
	CHECK(fclose(fp) == 0);
}

static struct nat_plan *
plan_of(const struct conf *c)
{
	char why[CTL_TEXT_MAX];
	struct nat_plan *p = plan_build(c, why, sizeof(why));

	CHECK(p != NULL);
	return p;
}

/* What is in the table, as natd is given it. */
static void
put_dump(uint32_t what, const char *set, uint8_t ask, const char *name)
{
	static uint8_t buf[65536];
	struct imsg_nat_dump d = {.what = what};
	char numbered[64];
	int fd, i = 0;
	ssize_t n;

	if (set != NULL)
		snprintf(d.set, sizeof(d.set), "%s", set);
	CHECK((fd = knft_dump_socket(&d)) != -1);
	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0) {
		snprintf(numbered, sizeof(numbered), "%s-%d", name, i++);
		put("nft_dump", numbered, &ask, 1, buf, (size_t)n);
	}
	close(fd);
}

/* Steps of fuzz_imsg_parent: who and how, type, id, length, payload. */
static void
imsg_add(struct wr *w, enum proc_id from, enum imsg_type type, const void *data,
    size_t len)
{
	wr_u8(w, (uint8_t)(from - 1));
	wr_u8(w, (uint8_t)type);
	wr_u16(w, 7);
	wr_u16(w, (uint16_t)len);
	if (len > 0)
		wr_bytes(w, data, len);
}

static void
imsg_batch_seed(const struct nat_batch *b, const char *name)
{
	struct imsg_nat_commit commit = {.parts = 1, .bytes = (uint32_t)b->len};
	static uint8_t out[65536];
	struct wr w = {out, out + sizeof(out), false};

	imsg_add(&w, PROC_NAT, IMSG_NAT_BATCH, b->data, b->len);
	imsg_add(&w, PROC_NAT, IMSG_NAT_COMMIT, &commit, sizeof(commit));
	put("imsg_parent", name, NULL, 0, out, (size_t)(w.p - out));
}

/* Each message of a batch as one of its own: small, and as telling. */
static void
put_ones(const struct nat_batch *b, const char *name)
{
	static uint8_t out[65536];
	char numbered[64];
	uint32_t first, len;
	const uint8_t *end;
	size_t at;

	memcpy(&first, b->data, sizeof(first));
	end = b->data + b->len - first; /* as long as the begin */
	for (at = first; b->data + at < end; at += NLMSG_ALIGN(len)) {
		memcpy(&len, b->data + at, sizeof(len));
		memcpy(out, b->data, first);
		memcpy(out + first, b->data + at, len);
		memcpy(out + first + NLMSG_ALIGN(len), end, first);
		snprintf(numbered, sizeof(numbered), "%s-%zu", name, at);
		put("nat_batch", numbered, NULL, 0, out,
		    first + NLMSG_ALIGN(len) + first);
	}
}

static void
nat_seeds(void)
{
	struct conf *pair = site_load(SITE_PAIR);
	struct conf *conf = site_load(SITE_FORWARDS);
	struct nat_plan *p = plan_of(pair), *q = plan_of(conf);
	struct nat_batch b = {0};
	struct knft_result res;
	struct nat_delta d;

	CHECK(nft_full(&b, p) == 0);
	put_ones(&b, "pair");
	nft_batch_free(&b);
	CHECK(nft_full(&b, q) == 0);
	put_ones(&b, "forwards");
	CHECK(knft_batch(b.data, b.len, &res) == 0);
	nft_batch_free(&b);
	CHECK(nft_grace(&b, NAT_GRACE_MS) == 0);
	put("nat_batch", "grace", NULL, 0, b.data, b.len);
	CHECK(knft_batch(b.data, b.len, &res) == 0);
	nft_batch_free(&b);
	CHECK(diff_plans(&d, p, q) == 0 && nft_delta(&b, &d, q) == 0);
	put("nat_batch", "more", NULL, 0, b.data, b.len);
	imsg_batch_seed(&b, "batch-more");
	nft_batch_free(&b);
	diff_free(&d);
	CHECK(diff_plans(&d, q, p) == 0 && nft_delta(&b, &d, p) == 0);
	put("nat_batch", "less", NULL, 0, b.data, b.len);
	nft_batch_free(&b);
	put_dump(NAT_DUMP_RULES, NULL, 0x80, "rules");
	for (int i = 0; i < NS_MAX; i++)
		put_dump(NAT_DUMP_ELEMENTS, nft_set_name(i), (uint8_t)i,
		    nft_set_name(i));
}

static struct ct_rec
flow(uint8_t proto, uint16_t sport, bool translated)
{
	struct ct_rec r = {.op = CT_OP_NEW, .family = AF_INET, .proto = proto};

	r.orig.src.w[0] = htonl(0x0a000a05u);
	r.orig.dst.w[0] = htonl(0xcb007150u);
	r.orig.sport = htons(sport);
	r.orig.dport = htons(proto == IPPROTO_ICMP ? 8 << 8 : 443);
	record_mirror(&r, &r.reply);
	r.status = IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED;
	if (translated) {
		r.reply.dst.w[0] = htonl(0xc0000209u);
		r.reply.dport = htons(40000);
		r.status |= IPS_SRC_NAT | IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE;
	}
	r.timeout_s = ct_hold_timeout(1);
	r.fields = CTF_STATUS | CTF_TIMEOUT | CTF_MARK;
	if (proto == IPPROTO_TCP) {
		r.tcp_state = TCP_CONNTRACK_ESTABLISHED;
		r.wscale_orig = r.wscale_reply = 7;
		r.tcp_flags_orig = r.tcp_flags_reply = 0x0b;
		r.fields |= CTF_TCP | CTF_TCP_WIN;
	}
	return r;
}

static struct ct_rec
flow6(void)
{
	struct ct_rec r = {.op = CT_OP_NEW,
	    .family = AF_INET6,
	    .proto = IPPROTO_UDP,
	    .status = IPS_CONFIRMED,
	    .mark = 5,
	    .timeout_s = 60,
	    .fields = CTF_STATUS | CTF_TIMEOUT | CTF_MARK};

	r.orig.src.w[0] = r.orig.dst.w[0] = htonl(0x20010db8u);
	r.orig.src.w[3] = htonl(1);
	r.orig.dst.w[3] = htonl(2);
	r.orig.sport = htons(1000);
	r.orig.dport = htons(53);
	record_mirror(&r, &r.reply);
	return r;
}

static unsigned int nevents;

static void
put_datagrams(int fd, const char *name)
{
	static uint8_t buf[65536];
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	char numbered[64];
	ssize_t n;

	while (poll(&pfd, 1, 100) == 1 &&
	    (n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		snprintf(numbered, sizeof(numbered), "%s-%u", name, nevents++);
		put("ct_event", numbered, NULL, 0, buf, (size_t)n);
	}
}

/* Events of what is injected, and the dump of it. */
static void
ct_seeds(void)
{
	struct ct_rec recs[] = {flow(IPPROTO_TCP, 1024, true),
	    flow(IPPROTO_UDP, 1025, true), flow(IPPROTO_TCP, 1026, false),
	    flow(IPPROTO_ICMP, 77, false), flow6()};
	struct imsg_ct_fail fails[nitems(recs)];
	int events, dump;

	CHECK(kct_init() == 0);
	CHECK((events = kct_event_socket(1 << 20, 0)) != -1);
	CHECK(kct_apply(recs, nitems(recs), fails) == 0);
	recs[0].op = CT_OP_UPDATE;
	recs[0].mark = 3;
	recs[0].tcp_state = TCP_CONNTRACK_FIN_WAIT;
	recs[1].op = CT_OP_DELETE;
	kct_apply(recs, 2, fails);
	put_datagrams(events, "event");
	CHECK((dump = kct_dump_socket()) != -1);
	put_datagrams(dump, "dump");
	close(events);
	close(dump);
}

static void
record_seeds(void)
{
	struct ct_rec recs[] = {flow(IPPROTO_TCP, 1024, true),
	    flow(IPPROTO_UDP, 1025, false), flow(IPPROTO_ICMP, 77, true),
	    flow6()};
	uint8_t buf[1024];
	char name[32];
	size_t n, all = 0;

	for (size_t i = 0; i < nitems(recs); i++) {
		n = record_encode(buf + all, ITEM_LIVE, &recs[i], NULL);
		snprintf(name, sizeof(name), "record-%zu", i);
		put("sync_record", name, NULL, 0, buf + all, n);
		all += record_encode(buf + all, ITEM_LIVE, &recs[i],
		    i > 0 ? &recs[i - 1] : NULL);
	}
	put("sync_record", "records", NULL, 0, buf, all);
	n = begin_encode(buf, 7, BEGIN_GAP);
	n += record_encode(buf + n, ITEM_DUMP, &recs[0], NULL);
	n += end_encode(buf + n, 7, 1);
	put("sync_record", "bulk", NULL, 0, buf, n);
}

/* Steps of fuzz_sync_dgram: mode, length, bytes. */
static void
step_add(struct wr *w, uint8_t mode, const void *data, size_t len)
{
	wr_u8(w, mode);
	wr_u16(w, (uint16_t)len);
	if (len > 0)
		wr_bytes(w, data, len);
}

static void
dgram_seeds(void)
{
	enum { RAW, SEALED, SECTIONS, FLIPPED, AGAIN, HELLO, BOOT, TIME };
	struct wire_hb hb = {.challenge = 9, .interval_ms = 100, .stream = 1};
	struct wire_ack ack = {.stream = 1, .cum = 1, .nsack = 2};
	struct ct_rec rec = flow(IPPROTO_TCP, 1024, true);
	uint8_t out[2048], body[512], item[ITEM_MAX];
	struct wr w = {out, out + sizeof(out), false};
	struct wr b = {body, body + sizeof(body), false};
	size_t n = record_encode(item, ITEM_LIVE, &rec, NULL);

	wire_put_hb(&b, &hb);
	wire_put_ack(&b, &ack);
	wr_u8(&b, SEC_DATA);
	wr_u16(&b, (uint16_t)(WIRE_DATA_HEAD + n));
	wr_u32(&b, 1);
	wr_u64(&b, 0);
	wr_bytes(&b, item, n);
	wr_u8(&b, SEC_PROBE);
	wr_u16(&b, 0);
	step_add(&w, HELLO, NULL, 0);
	step_add(&w, SECTIONS, body, (size_t)(b.p - body));
	step_add(&w, AGAIN, NULL, 0);
	step_add(&w, TIME, NULL, 0);
	step_add(&w, FLIPPED, body, 60);
	step_add(&w, BOOT, NULL, 0);
	step_add(&w, SECTIONS, body, (size_t)(b.p - body));
	step_add(&w, SEALED, body, 40);
	step_add(&w, HELLO, NULL, 0);
	step_add(&w, RAW, "hagw\001", 5);
	put("sync_dgram", "conversation", NULL, 0, out, (size_t)(w.p - out));
}

static void
imsg_seeds(void)
{
	struct ct_rec recs[] = {
	    flow(IPPROTO_TCP, 1024, true), flow(IPPROTO_UDP, 1025, false)};
	struct imsg_vrrp_state role = {.role = ROLE_MASTER};
	struct imsg_ct_status st = {
	    .node = 1, .up = 1, .role = ROLE_BACKUP, .ready = 1};
	struct imsg_ct_barrier done = {.node = 1, .ok = 1};
	struct imsg_vrrp_released released = {.ok = 1};
	static uint8_t out[16384];
	struct wr w = {out, out + sizeof(out), false};

	imsg_add(&w, PROC_SYNC, IMSG_CT_INJECT, recs, sizeof(recs));
	imsg_add(&w, PROC_VRRP, IMSG_VRRP_STATE, &role, sizeof(role));
	imsg_add(&w, PROC_SYNC, IMSG_CT_STATUS, &st, sizeof(st));
	imsg_add(&w, PROC_SYNC, IMSG_CT_INJECT, recs, sizeof(recs));
	for (uint32_t what = 1; what < CTL_WHAT_MAX; what++) {
		struct ctl_request req = {.what = what};

		imsg_add(&w, PROC_CTL, IMSG_CTL_REQUEST, &req, sizeof(req));
		imsg_add(&w, PROC_CTL, IMSG_CTL_CANCEL, NULL, 0);
	}
	imsg_add(&w, PROC_SYNC, IMSG_CT_BARRIER_DONE, &done, sizeof(done));
	imsg_add(
	    &w, PROC_VRRP, IMSG_VRRP_RELEASED, &released, sizeof(released));
	put("imsg_parent", "a-failover", NULL, 0, out, (size_t)(w.p - out));
}

/* Steps of fuzz_sync_engine: a bulk taken, then one given. */
static void
engine_seeds(void)
{
	static const uint8_t standby[] = {0x01, 0xff, 0xff, /* time */
	    0x09, 0x00, 0x09, 0xc0, 0x0f, /* the scan: nothing held */
	    0x02, 0x02, 5, 0x10, 1, 1, 5, 0, /* b is MASTER */
	    0x03, 0x03, 1, 0, /* a datagram of it */
	    0x00, 5, /* BEGIN */
	    0x12, 1, 0x10, 0x00, 0x00, 0x05, 3, /* two records */
	    0x12, 2, 0x10, 0x00, 0x00, 0x05, 3, /* */
	    0x01, 5, 2, /* END */
	    0x0d, 0x0f, 0x0a, 0x00, /* applied */
	    0x09, 0x00, 0x09, 0xc1, /* the sweep */
	    0x40, 7, 0x10, 0x00, 0x00, 0x10, 0x00, 0x00, 0, /* a ghost */
	    0x0f, 0x0a, 0x00, 0x0f, /* */
	    0x0c, 0x02, 0x02, 5, 0x10, 1, 1, 5, 9, /* handover */
	    0x00, 0x01, 0x01, 0xff, 0xff};
	static const uint8_t master[] = {0x00, 0x01, /* MASTER */
	    0x02, 0x01, 5, 0x07, 0, 0, 0, 0, /* b wants a bulk */
	    0x12, 0x01, 5, 0x07, 0, 0, 0, 0, /* and c */
	    0x0f, 0x09, 0x00, 0x09, 0xc2, /* the dump, two flows */
	    0x50, 7, 0x10, 0x00, 0x00, 0x00, 0x01, 0x00, 3, /* */
	    0x40, 8, 0x10, 0x00, 0x00, 0x00, 0x01, 0x00, 0, /* */
	    0x08, 0x50, 9, 0x20, 0x00, 0, 0, 0, 9, 3, 0x00, 0x40, /* events */
	    0x0f, 0x05, 0, 1, 0, 9, 1, 1, 3, /* acknowledged */
	    0x0b, 0x05, 0, 3, 0, 9, 1, 0, 0x0f, 0x01, 0x40, 0x00};

	put("sync_engine", "standby", NULL, 0, standby, sizeof(standby));
	put("sync_engine", "master", NULL, 0, master, sizeof(master));
}

/* Steps of fuzz_ctl_request: each request, answered. */
static void
ctl_seeds(void)
{
	uint8_t out[1024];
	struct wr w = {out, out + sizeof(out), false};

	for (uint8_t what = 0; what <= CTL_WHAT_MAX; what++) {
		const uint8_t steps[] = {0x0a, what, what, 0, 0, 0, 0, /* */
		    0x0d, what, 0, 0, 0x0e};

		wr_bytes(&w, steps, sizeof(steps));
	}
	put("ctl_request", "each", NULL, 0, out, (size_t)(w.p - out));
}

/* Steps of fuzz_imsg_child: each message there is, for each child. */
static void
child_seeds(void)
{
	static const uint8_t conf[] = {IMSG_RECONF_BEGIN, IMSG_RECONF_DRAIN,
	    IMSG_RECONF_DONE, IMSG_RECONF_BEGIN, IMSG_RECONF_ABORT};
	uint8_t out[4096];
	char name[32];

	for (uint8_t child = 0; child < PROC_MAX - 1; child++) {
		struct wr w = {out, out + sizeof(out), false};

		wr_u8(&w, child);
		for (size_t i = 0; i < nitems(conf); i++)
			wr_u32(&w, 0x04000000u | (uint32_t)conf[i] << 16);
		for (uint32_t type = 1; type < IMSG_MAX; type++) {
			const struct imsg_rule *r = imsg_rule(type);

			if ((r->to & 2u << child) == 0 || r->unit != 0 ||
			    !(r->phases & PHASE_RUN) ||
			    type == IMSG_PROC_SHUTDOWN ||
			    (type >= IMSG_RECONF_BEGIN &&
				type <= IMSG_RECONF_ABORT))
				continue;
			wr_u32(&w,
			    (r->fd ? 0x05000000u : 0x04000000u) | type << 16);
		}
		snprintf(name, sizeof(name), "child-%u", child);
		put("imsg_child", name, NULL, 0, out, (size_t)(w.p - out));
	}
}

static void
vrrp_seeds(void)
{
	struct ip ip = {.ip_v = 4, .ip_hl = 5, .ip_ttl = 255, .ip_p = 112};
	uint8_t head[6] = {0, 10, 192, 0, 2, 9}, buf[sizeof(ip) + 12];
	struct in_addr vip = {htonl(0xc0000209u)};

	ip.ip_len = htons(sizeof(buf));
	ip.ip_src.s_addr = htonl(0xc0000201u);
	ip.ip_dst.s_addr = htonl(0xe0000012u);
	memcpy(buf, &ip, sizeof(ip));
	vrrp_encode(buf + sizeof(ip), ip.ip_src, 10, 200, 1000000, vip);
	put("vrrp", "advert", head, sizeof(head), buf, sizeof(buf));
	buf[8] = 1;
	buf[30] = 0;
	head[0] = 7;
	put("vrrp", "repaired", head, sizeof(head), buf, sizeof(buf));
}

int
main(int argc, char *argv[])
{
	CHECK(argc == 2);
	top = argv[1];
	CHECK(mkdir(top, 0755) == 0 || errno == EEXIST);
	vrrp_seeds();
	record_seeds();
	dgram_seeds();
	imsg_seeds();
	engine_seeds();
	ctl_seeds();
	child_seeds();
	if (unshare(CLONE_NEWNET) == -1) {
		fprintf(stderr, "seeds: nothing of the kernel: needs root\n");
		return 1;
	}
	nat_seeds();
	ct_seeds();
	return 0;
}
