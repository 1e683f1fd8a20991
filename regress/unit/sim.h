/*
 * Nodes wired in memory: each has a model kernel with conntrack entries,
 * events and dumps made one read ahead, a parent that takes time, and a
 * network between them that loses, repeats and reorders. One clock, seeded.
 */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "syncd/syncd.h"

#define SIM_NODES   3
#define SIM_FLOWS   3000 /* possible tuples */
#define SIM_TICK_US 250
#define SIM_EVENTS  65536
#define SIM_PACKETS 8192
#define SIM_CHUNK   40 /* entries in one read of a dump */
#define SIM_OVER_S  2 /* what is over is forgotten after this */

struct sim_flow {
	bool alive;
	uint64_t ends_at; /* of itself, when it is over; 0: it is not */
	struct ct_rec rec; /* reply, status, mark, tcp_state, timeout_s, id */
};

struct sim_inject {
	uint64_t at;
	uint32_t id;
	size_t n;
	struct ct_rec recs[APPLY_BATCH];
};

struct sim_host {
	struct sync s;
	bool running;
	struct sim_flow flows[SIM_FLOWS];
	uint32_t next_id;
	struct ct_rec events[SIM_EVENTS];
	unsigned int ev_head, ev_tail;
	struct sim_inject injects[APPLY_BATCHES];
	unsigned int in_head, in_tail;
	bool dump_asked;
	uint64_t dump_at;
	uint32_t dump_id;
	int cursor; /* next slot; SIM_FLOWS: end */
	struct ct_rec ahead[SIM_CHUNK];
	unsigned int nahead;
	bool ahead_end;
	unsigned int dumps;
	struct imsg_ct_status status[SIM_NODES]; /* of the others */
	struct imsg_ct_barrier barrier;
	unsigned int barriers;
	unsigned int asked;
	bool asked_operator;
	uint64_t stuck_until; /* the parent takes nothing */
};

struct sim_packet {
	uint64_t at;
	int from, to;
	size_t len;
	uint8_t buf[WIRE_DGRAM_MAX];
};

struct sim {
	uint64_t now;
	uint64_t rnd;
	unsigned int loss; /* percent */
	unsigned int repeat; /* percent */
	unsigned int jitter_us;
	bool cut;
	int lone; /* nothing goes to or from this one; -1: none */
	int nodes;
	struct conf *conf[SIM_NODES];
	struct sim_host h[SIM_NODES];
	struct sim_packet net[SIM_PACKETS];
	unsigned int npackets;
	uint64_t carried;
};

struct sim *sim_new(uint64_t seed); /* two nodes */
struct sim *sim_new_of(uint64_t seed, int nodes);
void sim_free(struct sim *);
void sim_start(struct sim *, int host); /* syncd (re)starts */
void sim_stop(struct sim *, int host);
void sim_role(struct sim *, int host, enum role);
void sim_run(struct sim *, uint64_t us, unsigned int churn); /* changes/tick */
/* Until all standbys are ready and nothing is under way; false: never. */
bool sim_settle(struct sim *, int master, uint64_t limit_us);
void sim_fill(struct sim *, int host, unsigned int n);
/* One flow there begins, ends or is updated, with its event. */
void sim_change(struct sim *, struct sim_host *);
/* Tuples in which kernels differ from the owner's, and will after SIM_OVER_S.
 */
unsigned int sim_differences(const struct sim *);
unsigned int sim_count(const struct sim *, int host);
uint32_t sim_random(struct sim *, uint32_t below);

#endif
