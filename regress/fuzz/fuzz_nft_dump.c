/*
 * The kernel's table as natd reads it: rules for the marker, elements for
 * their counters. First byte: what is asked for; then one datagram.
 */
#include <sys/socket.h>
#include <sanitizer/asan_interface.h>

#include "fuzz.h"

/* its buffer is fenced off here behind what was read */
#include "natd/nat_state.c"

static struct {
	uint32_t id; /* of the request */
	unsigned int done;
	enum nat_set set;
} seen;

void
proc_send(enum imsg_type type, uint32_t id, const void *data, size_t len)
{
	const struct imsg_nat_dump *d = data;

	CHECK(type == IMSG_NAT_DUMP && len == sizeof(*d));
	CHECK(d->what == NAT_DUMP_RULES || d->what == NAT_DUMP_ELEMENTS);
	seen.id = id;
}

static void
on_rules(enum state_result res, const struct nat_found *found)
{
	(void)res;
	CHECK(!found->marker || found->nrules > 0);
	seen.done++;
}

static void
on_grace(enum state_result res, enum nat_grace grace)
{
	(void)res;
	CHECK(grace <= GRACE_OPEN);
	seen.done++;
}

static void
on_elem(void *arg, const struct nat_elem *e, uint64_t hits)
{
	(void)arg;
	(void)hits;
	CHECK(e->set == seen.set);
	CHECK(e->to.s_addr == 0 && e->to_port == 0);
}

static void
on_done(void *arg, enum state_result res)
{
	(void)arg;
	(void)res;
	seen.done++;
}

static void
ask(uint8_t what)
{
	seen.done = 0;
	seen.set = what % NS_MAX;
	if (what >= 0x80)
		state_read_rules(on_rules);
	else if (seen.set == NS_GRACE)
		state_read_grace(on_grace);
	else
		state_read_hits(seen.set, on_elem, on_done, NULL);
}

static void
answer(struct event_base *base, const uint8_t *data, size_t len)
{
	struct imsg im = {.hdr.id = seen.id};
	int sv[2];

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv) == 0);
	im.fd = sv[0];
	state_fd(&im);
	if (len > 0)
		CHECK(write(sv[1], data, len) == (ssize_t)len);
	ASAN_POISON_MEMORY_REGION(in.bytes + len, sizeof(in) - len);
	event_base_loop(base, EVLOOP_NONBLOCK);
	close(sv[1]); /* the end, when it was not said */
	event_base_loop(base, EVLOOP_NONBLOCK);
	ASAN_UNPOISON_MEMORY_REGION(in.bytes, sizeof(in));
	CHECK(seen.done > 0);
	CHECK(seen.done == 1);
	CHECK(st.fd == -1);
	CHECK(st.njobs == 0);
}

size_t
LLVMFuzzerCustomMutator(
    uint8_t *data, size_t len, size_t max, unsigned int seed)
{
	if (len < 2 || seed % 16 == 0)
		return LLVMFuzzerMutate(data, len, max);
	return 1 + nl_mutate(data + 1, len - 1, max - 1, seed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct event_base *base;

	if (base == NULL) {
		base = event_base_new();
		CHECK(base != NULL && state_init(base) == 0);
	}
	if (len == 0 || len > sizeof(in))
		return 0;
	ask(data[0]);
	answer(base, data + 1, len - 1);
	return 0;
}
