/*
 * What syncd's files share. Everything but syncd.c, sync_io.c and the
 * reading half of sync_event.c is pure: time, bytes and records go in, calls
 * of struct sync_ops come out, so that a test can wire two nodes in memory.
 */
#ifndef SYNCD_H
#define SYNCD_H

#include <sys/types.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "ctrec.h"
#include "hagw.h"
#include "imsg_msg.h"
#include "log.h"

/* sync_wire.c: numbers, big endian, never beyond the end */
#define WIRE_VERSION   3
#define WIRE_HDR       36 /* bytes in the clear, authenticated */
#define WIRE_TAG       16 /* bytes after the ciphertext */
#define WIRE_DGRAM_MAX 1400 /* UDP payload: fits any path worth using */
#define WIRE_PLAIN_MAX (WIRE_DGRAM_MAX - WIRE_HDR - WIRE_TAG)
#define WIRE_HEAD      12 /* first bytes of the plaintext */
#define WIRE_SECTION   3 /* type and length of a section */
#define WIRE_DATA_HEAD 12 /* stream and sequence number */
#define WIRE_BODY_MAX \
	(WIRE_PLAIN_MAX - WIRE_HEAD - WIRE_SECTION - WIRE_DATA_HEAD)

struct rd {
	const uint8_t *p;
	const uint8_t *end;
	bool bad; /* something was missing; what was read is zero */
};

struct wr {
	uint8_t *p;
	uint8_t *end;
	bool full; /* something did not fit; nothing was written of it */
};

uint8_t rd_u8(struct rd *);
uint16_t rd_u16(struct rd *);
uint32_t rd_u32(struct rd *);
uint64_t rd_u64(struct rd *);
void rd_bytes(struct rd *, void *, size_t);
struct rd rd_sub(struct rd *, size_t); /* the next bytes as their own */
void wr_u8(struct wr *, uint8_t);
void wr_u16(struct wr *, uint16_t);
void wr_u32(struct wr *, uint32_t);
void wr_u64(struct wr *, uint64_t);
void wr_bytes(struct wr *, const void *, size_t);

struct wire_hdr {
	uint8_t version;
	uint8_t key_id;
	uint32_t site;
	uint32_t from;
	uint32_t to;
	uint64_t epoch;
	uint64_t number;
};

enum wire_section {
	SEC_HEARTBEAT = 1,
	SEC_ACK = 2,
	SEC_DATA = 3,
	SEC_PROBE = 4 /* asks for an ACK; no body */
};

/* Heartbeat flags. */
#define HB_READY       0x0001 /* holds every flow of the master */
#define HB_WANT_BULK   0x0002 /* a BACKUP that needs a bulk, and can take it */
#define HB_STEPS_VALID 0x0004 /* steps is known */
#define HB_OPERATOR    0x0008 /* the handover asked for is hactl's */
#define HB_ACTIVE      0x0010 /* sends its records to the receiver */

struct wire_hb {
	uint64_t challenge; /* the sender's */
	uint64_t echo; /* the receiver's, as last heard; 0: none */
	uint64_t flows; /* in the sender's kernel */
	uint32_t gen_done; /* last generation finished here */
	uint32_t gen_max; /* highest generation ever seen */
	uint32_t stream; /* of the sender's records; 0: never any */
	uint32_t ho_req; /* id of a handover asked for; 0: none */
	uint32_t ho_ack; /* last id heard from the receiver */
	uint16_t flags; /* HB_* */
	uint16_t interval_ms;
	uint8_t role;
	uint8_t priority;
	uint8_t steps; /* bit n: entries with hold step n may exist */
	uint8_t hash[CONF_HASH_LEN];
};

#define WIRE_SACK_MAX 64 /* bytes of bitmap: the whole window */

struct wire_ack {
	uint32_t stream;
	uint64_t cum; /* all before it were received */
	uint64_t applied; /* all before it are in the kernel */
	uint32_t ts_echo;
	uint32_t ts_hold_us;
	uint8_t nsack; /* bytes */
	uint8_t sack[WIRE_SACK_MAX]; /* bit n: cum + 1 + n was received */
};

void wire_put_hdr(uint8_t *, const struct wire_hdr *);
/* false: too short, not the magic, or reserved bits in use. */
bool wire_get_hdr(const uint8_t *, size_t, struct wire_hdr *);
void wire_put_hb(struct wr *, const struct wire_hb *);
bool wire_get_hb(struct rd *, struct wire_hb *);
void wire_put_ack(struct wr *, const struct wire_ack *);
bool wire_get_ack(struct rd *, struct wire_ack *);
/* First 32 bits of a hash of what and name: sites and nodes on the wire. */
uint32_t wire_id(const char *what, const char *name);

/* sync_record.c: items inside a DATA section */
#define ITEM_MAX 100 /* bytes, the longest record of any kind */

enum item_kind {
	ITEM_LIVE = 1, /* a record as it happens */
	ITEM_DUMP = 2, /* a record of a bulk */
	ITEM_BEGIN = 3,
	ITEM_END = 4
};

#define BEGIN_GAP 0x01 /* records before it were lost */

struct item {
	enum item_kind kind;
	struct ct_rec rec; /* LIVE, DUMP */
	uint32_t generation; /* BEGIN, END */
	uint32_t count; /* END: records of kind DUMP sent */
	uint8_t flags; /* BEGIN */
};

enum item_res { ITEM_DONE, ITEM_GOOD, ITEM_SKIP, ITEM_BAD };

/*
 * buf holds ITEM_MAX bytes; returns the bytes used. before: the record before
 * it in the datagram; NULL or of op 0: none.
 */
size_t record_encode(uint8_t *buf, enum item_kind, const struct ct_rec *,
    const struct ct_rec *before);
size_t begin_encode(uint8_t *buf, uint32_t generation, uint8_t flags);
size_t end_encode(uint8_t *buf, uint32_t generation, uint32_t count);
/*
 * SKIP: an item of a kind this version does not know. before: kept for the
 * next item; zeroes (op 0) before the first of a datagram.
 */
enum item_res item_decode(struct rd *, struct ct_rec *before, struct item *);
/* What the reply tuple is without translation. */
void record_mirror(const struct ct_rec *, struct ct_tuple *);

/* sync_crypto.c */
#define CRYPT_WINDOW 1024 /* datagrams that may arrive out of order */

enum crypt_res {
	CRYPT_OK,
	CRYPT_UNPROVEN, /* genuine, but maybe old: only a heartbeat counts */
	CRYPT_BAD_FORMAT,
	CRYPT_BAD_VERSION,
	CRYPT_BAD_SITE,
	CRYPT_BAD_KEY,
	CRYPT_REPLAY,
	CRYPT_RES_MAX
};

struct crypt_rx {
	uint64_t epoch; /* 0: none */
	uint8_t key[HAGW_SYNC_KEYLEN];
};

struct crypt {
	uint8_t key[HAGW_SYNC_KEYLEN]; /* the site's */
	uint8_t key_id;
	uint32_t site;
	uint32_t self;
	uint32_t peer;
	uint64_t epoch; /* ours */
	uint64_t number; /* of the last datagram sent */
	uint8_t tx_key[HAGW_SYNC_KEYLEN];
	struct crypt_rx now; /* the peer's proven epoch */
	struct crypt_rx next; /* one that has not proven itself yet */
	uint64_t next_number;
	uint64_t max; /* highest number of the proven epoch */
	uint64_t window[CRYPT_WINDOW / 64];
	uint64_t challenge; /* what a new epoch of the peer has to echo */
};

void crypt_init(struct crypt *, const uint8_t *key, const char *site,
    const char *self, const char *peer, uint64_t epoch);
/* out holds WIRE_DGRAM_MAX bytes; returns the length. */
size_t crypt_seal(struct crypt *, const uint8_t *plain, size_t, uint8_t *out);
/* plain holds WIRE_PLAIN_MAX bytes. */
enum crypt_res crypt_open(
    struct crypt *, const uint8_t *dgram, size_t, uint8_t *plain, size_t *plen);
/* The epoch of the last UNPROVEN datagram becomes the peer's. */
void crypt_accept(struct crypt *);
uint64_t crypt_random(void); /* never 0 */

/* sync_peer.c, sync_tx.c, sync_rx.c: one peer's protocol engine */
#define RX_WINDOW    512 /* datagrams received but not applied */
#define TX_TOTAL     4096 /* slots of all peers together */
#define TX_MIN       512 /* slots of one peer */
#define CWND_MIN     16 /* datagrams in flight */
#define CWND_FIRST   64
#define RTO_MIN_US   20000
#define RTO_MAX_US   500000
/*
 * Whatever the interval of VRRP, which is the fast one: what changes is told
 * at once, the rest only shows that there is a peer. That it is gone must be
 * known before vrrpd takes it for another MASTER (FSM_SPLIT_US).
 */
#define HB_US        500000
#define HB_MIN_US    100000 /* a peer's */
#define HB_MAX_US    1000000
#define HB_MISSED    3 /* then the peer is down */
#define HB_DOWN_US   1500000 /* but never sooner */
#define HB_ASK_US    50000 /* while something waits for an answer */
#define ACK_WAIT_US  11000 /* an ACK may wait that long for the kernel */
#define ACK_PAUSE_US 8000 /* between two of applied ones, if they are few */
#define ACK_EVERY    4 /* datagrams applied: then at once */
#define HANDOVER_US  1000000 /* how long a request is repeated */

/* sync_slots.c: numbers at a time in a ring: at most its size */
struct slots {
	uint64_t mask; /* size - 1 */
	uint16_t *at; /* by sequence number */
	uint16_t *spare; /* given back */
	uint32_t nspare;
	uint32_t touched; /* places taken since the last reset */
};

bool slots_init(struct slots *, uint64_t size); /* a power of two <= 65536 */
void slots_free(struct slots *);
void slots_reset(struct slots *); /* none is taken */
uint32_t slots_take(struct slots *, uint64_t seq); /* returns the place */
void slots_give(struct slots *, uint64_t seq);

static inline uint32_t
slots_at(const struct slots *s, uint64_t seq)
{
	return s->at[seq & s->mask];
}

struct tx_slot {
	uint64_t sent_us; /* last time; 0: never */
	uint64_t made_us; /* first record in it */
	uint16_t len;
	uint16_t nrec;
	bool acked;
	uint8_t body[WIRE_BODY_MAX];
};

/* base <= cum <= next <= head; slot head is open: still being filled. */
struct tx {
	struct tx_slot *ring;
	struct slots slots;
	uint64_t size; /* a power of two */
	uint64_t base; /* the oldest not applied */
	uint64_t cum; /* the oldest not received */
	uint64_t next; /* the first not sent */
	uint64_t head;
	uint32_t stream;
	bool active;
	uint32_t cwnd;
	uint32_t backoff;
	uint64_t srtt_us; /* 0: not measured */
	uint64_t rttvar_us;
	uint64_t news_us; /* last acknowledgement that moved something */
	uint64_t loss_us;
	uint64_t unconfirmed; /* records */
	struct ct_rec last; /* the last record in the open slot; op 0: none */
};

struct rx_slot {
	uint16_t len;
	uint8_t body[WIRE_BODY_MAX];
};

/* applied <= deliver <= cum */
struct rx {
	struct rx_slot *win; /* RX_WINDOW */
	struct slots slots;
	uint64_t present[RX_WINDOW / 64];
	uint64_t applied;
	uint64_t deliver;
	uint64_t cum;
	uint64_t top; /* one past the highest received */
	uint32_t stream;
	uint64_t ack_at; /* 0: none due */
	uint64_t acked_us; /* when the last ACK was sent */
	uint64_t acked; /* applied, as last told */
	uint32_t ts_echo;
	uint64_t ts_at;
};

struct peer_stats {
	uint64_t sent;
	uint64_t received;
	uint64_t resent;
	uint64_t lost; /* records never confirmed */
	uint64_t records_out;
	uint64_t records_in;
	uint64_t bulks_sent;
	uint64_t bulks_received;
	uint64_t bulk_real_ns;
	uint64_t bulk_us;
	uint64_t bulk_records;
	uint64_t behind; /* times the ring was full */
};

struct peer;

struct peer_ops {
	void (*send)(struct peer *, const uint8_t *dgram, size_t len);
	/* Fill in everything of a heartbeat but challenge and echo. */
	void (*heartbeat)(struct peer *, struct wire_hb *);
	void (*heard)(struct peer *, const struct wire_hb *);
	void (*updown)(struct peer *);
	void (*new_epoch)(struct peer *);
	void (*new_stream)(struct peer *); /* received records start anew */
	void (*asked)(struct peer *, bool by_operator);
};

struct peer {
	const struct peer_ops *ops;
	void *arg;
	uint32_t node; /* index in the conf */
	char name[CONF_NAME_MAX];
	struct crypt c;
	uint64_t echo; /* the peer's challenge, to be sent back */
	uint64_t hello_echo; /* a stranger's, once, instead; 0: none */
	uint64_t hb_at;
	uint64_t hello_at; /* an answer to strangers, not before */
	uint64_t seen_us;
	uint64_t made_us;
	uint64_t refused_us; /* its last refused datagram; 0: none */
	enum crypt_res refused; /* why */
	bool up;
	bool late; /* what is read now waited: see sync_late */
	struct wire_hb hb; /* the last one heard */
	uint32_t ho_req;
	bool ho_operator;
	uint64_t ho_until;
	uint32_t ho_seen;
	struct tx tx;
	struct rx rx;
	struct peer_stats stats;
};

/* NULL: no memory. slots: of the transmit ring, a power of two. */
struct peer *peer_new(const struct peer_ops *, void *arg, uint32_t node,
    const char *name, uint64_t slots, uint64_t now);
void peer_free(struct peer *);
enum crypt_res peer_input(struct peer *, uint64_t now, const uint8_t *, size_t);
/* Send what is due: acknowledgements, records, heartbeats, repeats. */
void peer_flush(struct peer *, uint64_t now);
void peer_timer(struct peer *, uint64_t now);
uint64_t peer_deadline(const struct peer *);
void peer_heartbeat(struct peer *, uint64_t now); /* at once */
void peer_ask_handover(struct peer *, uint64_t now, bool by_operator);
/* For tx and rx: a datagram under way, and the sealed one sent. */
struct wr peer_begin(struct peer *, uint64_t now);
void peer_end(struct peer *, const struct wr *);

/* What seq is kept in, base <= seq <= head, of a stream that began. */
struct tx_slot *tx_slot(const struct tx *, uint64_t seq);
void tx_start(struct peer *); /* a new, empty stream */
void tx_stop(struct peer *); /* what is unconfirmed is given up */
/* false: the ring is full, the stream was given up. nrec: records in it. */
bool tx_append(struct peer *, uint64_t now, const uint8_t *item, size_t,
    unsigned int nrec);
/* A record as an item of that kind, as short as the datagram allows. */
bool tx_record(
    struct peer *, uint64_t now, enum item_kind, const struct ct_rec *);
void tx_pump(struct peer *, uint64_t now);
void tx_ack(struct peer *, uint64_t now, const struct wire_ack *);
void tx_timer(struct peer *, uint64_t now);
uint64_t tx_deadline(const struct peer *);
/* After a pump: not all of it could be sent, the window is full. */
bool tx_held(const struct tx *);
uint64_t tx_lag_us(const struct tx *, uint64_t now);
/* All records appended so far are in datagrams before this number. */
uint64_t tx_mark(const struct tx *);

void rx_reset(struct rx *, uint32_t stream);
void rx_data(struct peer *, uint64_t now, struct rd *);
/* The next datagram's items in order; seq + 1 goes to rx_applied. */
bool rx_next(struct rx *, struct rd *, uint64_t *seq);
void rx_applied(struct peer *, uint64_t now, uint32_t stream, uint64_t upto);
void rx_send_ack(struct peer *, uint64_t now);

/* sync_filter.c */
#define FILTER_SLOTS 1024 /* two to the tenth; at most 544 are used */

enum filter_kind { FILTER_NONE, FILTER_OWN, FILTER_VIP, FILTER_BROADCAST };

struct filter {
	uint8_t protocols; /* CONF_PROTO_* */
	uint64_t taken[FILTER_SLOTS / 64]; /* a bit each: two cache lines */
	struct {
		uint32_t addr;
		uint8_t kind;
	} slots[FILTER_SLOTS];
};

void filter_build(struct filter *, const struct conf *);
/* May this flow be synchronised, whatever its state? */
bool filter_pass(const struct filter *, const struct ct_rec *);
/* Of those, is it certain that this site's rules made it? */
bool filter_ours(const struct filter *, const struct ct_rec *);
/* What is held here: may a peer have told it, by an earlier site file? */
bool filter_held(const struct filter *, const struct ct_rec *);
/* Is it worth a record yet: half-open TCP is not. */
bool filter_mature(const struct ct_rec *);

/* sync_coalesce.c */
#define COALESCE_MAX 1024 /* flows of one flush */

struct coalesce {
	uint32_t n;
	uint64_t merged;
	struct ct_rec recs[COALESCE_MAX];
	uint16_t index[COALESCE_MAX * 2]; /* slot + 1 */
	uint64_t hashes[COALESCE_MAX];
};

/* false: full, flush and try again. */
bool coalesce_add(struct coalesce *, const struct ct_rec *);
void coalesce_clear(struct coalesce *);
/* Put what newer says on top of rec. */
void record_merge(struct ct_rec *rec, const struct ct_rec *newer);
uint64_t tuple_hash(const struct ct_rec *);
bool tuple_same(const struct ct_rec *, const struct ct_rec *);

/* sync_pace.c */
#define ANNOUNCED_BITS (1u << 23) /* 1 MB */

struct pace {
	uint64_t since_us;
	uint64_t events; /* since then */
	uint64_t gap_ns; /* between two events, on average */
	uint64_t merged; /* pace_pause's, at since_us */
	bool brief; /* many flows end about as soon as they begin */
	bool gathered; /* the next read is that of a burst */
	bool mid_burst; /* the last one was, and a pause follows */
	uint64_t read_us; /* when events were last read */
	uint64_t burst_us; /* how long one takes, as learned */
};

struct announced {
	uint64_t bits[ANNOUNCED_BITS / 64];
};

/*
 * Both return microseconds to wait: pace_gather before what woke us is read,
 * pace_pause after a read of n events (0: watch). now: of that moment.
 * merged: events that were folded into an earlier one, ever.
 */
uint64_t pace_pause(
    struct pace *, uint64_t now, unsigned int n, uint64_t merged);
uint64_t pace_gather(struct pace *, uint64_t now);
/* Many events come: gathering them gains something. */
bool pace_dense(const struct pace *, uint64_t now);
/* Into a cache: it will be asked for. */
void announced_fetch(const struct announced *, uint32_t id);
bool announced_has(const struct announced *, uint32_t id);
void announced_set(struct announced *, uint32_t id, bool on);
void announced_clear(struct announced *);

/* sync_overlay.c: live records around the reads of a dump */
#define OVERLAY_MAX 32768 /* a sweep under churn, while hagwd is busy */

struct overlay {
	uint8_t key[16]; /* of the hash */
	uint32_t turn; /* dump reads so far */
	bool overflow;
	struct {
		struct ct_rec rec;
		uint32_t turn; /* 0: free */
	} slots[OVERLAY_MAX];
};

void overlay_clear(struct overlay *);
void overlay_turn(struct overlay *); /* a read of the dump comes */
void overlay_note(struct overlay *, const struct ct_rec *live);
/* What was said of this flow since two reads ago; NULL: nothing. */
const struct ct_rec *overlay_find(
    const struct overlay *, const struct ct_rec *);

/* sync_apply.c: records to the parent */
#define APPLY_BATCH    128 /* records */
#define APPLY_INFLIGHT 8 /* batches; then nothing more is taken */
#define APPLY_BATCHES  16 /* room for what is under way anyway */
#define APPLY_NOPEER   (-1)

struct apply_batch {
	uint32_t id;
	int peer; /* index, or APPLY_NOPEER */
	uint32_t stream;
	uint64_t upto; /* datagrams applied when this batch is */
	uint32_t n;
	struct ct_rec recs[APPLY_BATCH];
};

struct sync;
struct apply {
	uint32_t last_id;
	uint32_t first; /* oldest batch under way */
	uint32_t n; /* batches under way; the next one is open */
	struct apply_batch batches[APPLY_BATCHES];
	struct log_limit limit;
};

bool apply_room(const struct sync *);
void apply_record(struct sync *, int peer, const struct ct_rec *);
/* Everything up to here is in the batches added so far. */
void apply_mark(
    struct sync *, int peer, uint32_t stream, uint64_t upto, uint64_t now);
void apply_flush(struct sync *);
/* Did this batch and all before it come back? */
bool apply_passed(const struct sync *, uint32_t id);
void apply_done(struct sync *, uint64_t now, uint32_t id,
    const struct imsg_ct_fail *, uint32_t nfail);
/* Make a peer's record fit for this kernel. */
void apply_sanitise(struct ct_rec *, uint32_t generation);

/* sync_bulk.c, sync_settle.c: dumps of this node's kernel */
#define BULK_AHEAD      448 /* records not yet applied, live ones too */
#define BULK_PAUSE_US   1000000 /* between two bulks to the same peer */
#define BULK_AGAIN_US   86400000000ULL /* a refresh each day */
#define BULK_RETRIES    3 /* for conflicts with what is swept after */
#define SETTLE_AFTER_US 5000000
#define SETTLE_PACE_US  500 /* between two reads of the settling pass */
#define HELD_MIN_S      604800 /* longer than any protocol, shorter than hold */
#define STEPS_ALL       0x0f

enum dump_kind {
	DUMP_NONE,
	DUMP_BULK, /* master: everything to one peer */
	DUMP_SCAN, /* backup: which hold steps are in use? */
	DUMP_RELEASE, /* backup: all four are; make them none */
	DUMP_SWEEP, /* backup: delete what the bulk did not confirm */
	DUMP_SETTLE /* master: idle flows get their protocol's timeout */
};

struct dump {
	enum dump_kind kind;
	uint32_t id;
	int peer; /* BULK, SWEEP */
	uint32_t generation;
	uint32_t count; /* records sent, deleted, changed */
	uint32_t refused; /* of those changed, by hagwd */
	uint64_t started_us;
	uint64_t read_us;
	uint32_t turn_id; /* SWEEP: of the last batch before the turn */
	uint8_t steps; /* SCAN: seen so far */
	bool open; /* the descriptor is here */
	bool ended; /* read; done when batch last_id came back */
	uint32_t last_id;
};

/* What a master has to do for one peer. */
struct bulk_tx {
	bool needed;
	bool gap; /* the peer lost records: say so */
	bool fresh; /* a new stream is due */
	uint8_t steps; /* used since the peer's last heartbeat */
	uint32_t generation; /* of the last one sent */
	uint32_t mends; /* a gap, once the peer is done with it; 0: no gap */
	uint64_t not_before;
	uint64_t started_us;
	uint64_t refresh_us;
};

/* What this node holds of one peer. */
struct bulk_rx {
	bool synced; /* a bulk is whole and swept, nothing lost since */
	bool receiving; /* between BEGIN and END */
	uint32_t generation;
	uint32_t count;
	bool tainted; /* its step was in use before: no sweep by it */
	uint32_t conflicts; /* EEXIST, since BEGIN */
	uint32_t failed; /* not taken for another reason, since BEGIN */
	uint32_t retries;
	uint64_t heard_us; /* something of it */
	uint64_t retry_at;
	uint64_t started_us;
};

bool sync_peer_ready(const struct peer *);
/* Has the peer this very configuration, by its last heartbeat? */
bool sync_same_config(const struct sync *, const struct peer *);
void bulk_turn(struct sync *, uint64_t now); /* start what is due */
/* As a MASTER: no record is missing that the peer will not get in time. */
bool bulk_whole(const struct sync *, int peer);
void bulk_begin(struct sync *, int peer, const struct item *, uint64_t now);
void bulk_end(struct sync *, int peer, const struct item *, uint64_t now);
/* Records of this peer could not be taken. */
void bulk_incomplete(struct sync *, int peer, uint64_t now);
/* No peer to hold flows for any more: what came of its bulk counts no more. */
void bulk_forget(struct sync *, int peer);
/* Records to this peer were lost: a bulk has to repair it. */
void bulk_behind(struct sync *, int peer);
void bulk_dump_record(struct sync *, struct ct_rec *, uint64_t now);
void bulk_dump_done(struct sync *, uint64_t now);
void settle_turn(struct sync *, uint64_t now);
void settle_record(struct sync *, const struct ct_rec *);
void settle_done(struct sync *, uint64_t now);
uint32_t settle_timeout(const struct imsg_ct_timeouts *, const struct ct_rec *);

/* sync_dump.c: one at a time, read in turns */
void dump_start(struct sync *, enum dump_kind, int peer, uint64_t now);
void dump_abort(struct sync *);
/* Give up one that does not come; end one whose changes are made; start. */
void dump_turn(struct sync *);
bool sync_dump_wanted(const struct sync *, uint64_t now);
void sync_dump_opened(struct sync *);
void sync_dump_read(struct sync *, uint64_t now); /* before its records */
void sync_dump_record(struct sync *, struct ct_rec *, uint64_t now);
void sync_dump_done(struct sync *, bool whole, uint64_t now);

/* sync_core.c: one node */
struct sync_stats {
	uint64_t events;
	uint64_t records_out;
	uint64_t filtered;
	uint64_t overruns;
	uint64_t injected;
	uint64_t inject_failed;
	uint64_t conflicts;
	uint64_t swept;
	uint64_t settled;
	uint64_t late; /* records that came after the handover's grace */
	uint64_t refused; /* a peer's records that the filter does not pass */
	uint64_t bad[CRYPT_RES_MAX];
};

struct sync_ops {
	void (*send)(void *, uint32_t node, const uint8_t *, size_t);
	void (*inject)(void *, uint32_t id, const struct ct_rec *, size_t n);
	void (*dump)(void *, uint32_t id);
	void (*dump_close)(void *); /* no more of this one */
	void (*status)(void *, const struct imsg_ct_status *);
	void (*barrier_done)(void *, const struct imsg_ct_barrier *);
	void (*asked)(void *, const struct imsg_ct_handover *);
	void (*drain)(void *); /* read all events there are */
	const char *(*where)(void *, uint32_t node); /* for the log */
};

#define BARRIER_US    1000000
#define GRACE_US      5000000 /* a new master takes the old one's records */
#define DUMP_RETRY_US 1000000 /* after one that failed */

struct barrier {
	bool on;
	uint64_t until_us;
	uint64_t marks[CONF_NODES_MAX];
	uint32_t streams[CONF_NODES_MAX];
};

struct sync {
	const struct sync_ops *ops;
	void *arg;
	const struct conf *conf;
	uint8_t key[HAGW_SYNC_KEYLEN];
	uint64_t start_us;
	uint64_t now; /* of the call under way */
	enum role role;
	uint64_t role_us; /* since */
	bool unfit; /* by hagwd's account */
	bool sending; /* sync_sending(), kept for each event */
	uint8_t heard_role[CONF_NODES_MAX];
	uint16_t heard_flags[CONF_NODES_MAX];
	struct filter filter;
	struct peer *peers[CONF_NODES_MAX]; /* by node; NULL: none, self */
	struct bulk_tx btx[CONF_NODES_MAX];
	struct bulk_rx brx[CONF_NODES_MAX];
	int bulk_last; /* peer that was last sent one */
	int owner; /* peer whose bulk began here last; -1: none */
	struct barrier barrier;
	struct dump dump;
	struct apply apply;
	struct coalesce pending;
	struct announced announced;
	struct overlay overlay;
	uint64_t dump_at; /* none before */
	uint8_t steps; /* hold steps in use in this kernel */
	bool steps_known;
	uint32_t gen_max;
	uint32_t gen_done;
	bool settle_due;
	uint64_t settle_at;
	struct imsg_ct_timeouts timeouts;
	struct imsg_ct_count count;
	bool status_due;
	struct sync_stats stats;
	struct log_limit bad_limit;
};

/* key may stay NULL when it did not change. */
void sync_init(struct sync *, const struct sync_ops *, void *arg, uint64_t now);
void sync_configure(
    struct sync *, const struct conf *, const uint8_t *key, uint64_t now);
void sync_role(struct sync *, enum role, uint64_t now);
/* What one read brought, in its order; the records are changed. */
void sync_events(struct sync *, struct ct_rec *, size_t n, uint64_t now);
void sync_overrun(struct sync *);
/* By hagwd's account it may not be MASTER. */
void sync_unfit(struct sync *, bool);
/* What heartbeats say has changed: they leave with this turn. */
void sync_tell(struct sync *);
/* What happened here goes into the peers' datagrams, one record a flow. */
void flush_pending(struct sync *);
/*
 * Take out what is this node's alone: the id, and the timeout but of a flow
 * that is over, whose end will not be told; the peer's entry goes by itself.
 */
void record_for_peers(const struct sync *, struct ct_rec *);
/* End of a loop turn: everything that waits leaves. */
void sync_flush(struct sync *, uint64_t now);
/* Datagrams were left unread for a while: no round trip is measured. */
void sync_late(struct sync *, bool);
/* After a flush: something here waits for a peer's word. */
bool sync_listens(const struct sync *);
/* Nothing here waits for hagwd's word: it may wait some milliseconds. */
bool sync_patient(const struct sync *);
/*
 * Microseconds on the clock at which sync_timer wants to be called; what was
 * missed stays as it was until then, so that a timer need not be set anew.
 */
uint64_t sync_deadline(const struct sync *, uint64_t now);
void sync_timer(struct sync *, uint64_t now);
void sync_applied(struct sync *, uint32_t id, const struct imsg_ct_fail *,
    uint32_t nfail, uint64_t now);
void sync_handover(struct sync *, bool by_operator, uint64_t now);
/* hagwd's tick, and its count of flows: a status of each peer is due. */
void sync_count(struct sync *, const struct imsg_ct_count *);
bool sync_ready(const struct sync *);
/* Records go to at least one peer. */
bool sync_sending(const struct sync *);

/* sync_in.c: what peers say */
void sync_input(
    struct sync *, uint32_t node, const uint8_t *, size_t, uint64_t now);
/* What is wrong with such a datagram and what to do; NULL: nothing is. */
const char *sync_refusal(enum crypt_res);
/* What came in turn, as far as there is room to apply it. */
void sync_deliver(struct sync *, uint64_t now);

/* sync_barrier.c: answered when all that came before it is at the peers */
void sync_barrier(struct sync *, uint64_t now);
void barrier_turn(struct sync *);

/* sync_event.c: ctnetlink */
enum event_res { EVENT_RECORD, EVENT_END, EVENT_ERROR, EVENT_OTHER };

/* One message of len bytes (checked against nlmsg_len by the caller). */
enum event_res event_parse(
    const struct nlmsghdr *, size_t len, struct ct_rec *);

/*
 * Read what the event socket holds, at most limit datagrams and a batch: how
 * many there were; *overrun is set when the kernel had to drop some, and no
 * sooner than it takes new ones again. cb gets the records of each system
 * call, in order, in one call or more; they are its own until it returns.
 */
unsigned int event_read(int fd, unsigned int limit, bool *overrun,
    void (*cb)(void *, struct ct_rec *, size_t n), void *arg);
/* One datagram of a dump: EVENT_RECORD more to come, END, ERROR; OTHER: none
 * there now. */
enum event_res event_read_dump(
    int fd, void (*cb)(void *, struct ct_rec *), void *arg);

/* sync_io.c: the sockets to the peers */
void io_init(
    void (*input)(uint32_t node, const uint8_t *, size_t), void (*turn)(void));
void io_set(uint32_t node, int fd);
void io_close(uint32_t node);
void io_send(uint32_t node, const uint8_t *, size_t);
/* false: what comes is left in the sockets, until io_take reads it. */
void io_watch(bool);
void io_take(void);

/* sync_show.c */
void show_sync(const struct sync *, uint32_t id, bool path_up);

#endif
