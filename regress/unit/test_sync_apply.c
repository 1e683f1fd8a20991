/* What is made of a peer's record before it is injected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>

#include "syncd/syncd.h"

static struct ct_rec
flow(uint8_t proto, uint8_t op)
{
	return (struct ct_rec){
	    .op = op,
	    .family = AF_INET,
	    .proto = proto,
	    .fields = CTF_STATUS | CTF_TCP | CTF_TCP_WIN,
	    .tcp_state = TCP_CONNTRACK_ESTABLISHED,
	    .wscale_orig = 15,
	    .wscale_reply = 15,
	    .tcp_flags_orig = 0xff,
	    .tcp_flags_reply = 0xff,
	};
}

/* Facts of TCP about another protocol would be refused by hagwd. */
static void
test_no_tcp_in_others(void **state)
{
	static const uint8_t ops[] = {
	    CT_OP_NEW, CT_OP_UPDATE, CT_OP_DELETE, CT_OP_TIMEOUT};

	(void)state;
	for (size_t i = 0; i < nitems(ops); i++) {
		struct ct_rec r = flow(IPPROTO_UDP, ops[i]);

		r.tcp_state = 0x41;
		apply_sanitise(&r, 1);
		assert_int_equal(r.fields & (CTF_TCP | CTF_TCP_WIN), 0);
		assert_int_equal(r.tcp_state, TCP_CONNTRACK_NONE);
		assert_int_equal(r.wscale_orig | r.wscale_reply, 0);
		assert_int_equal(r.tcp_flags_orig | r.tcp_flags_reply, 0);
	}
}

static void
test_tcp_state(void **state)
{
	(void)state;
	for (unsigned int s = 0; s < 256; s++) {
		struct ct_rec r = flow(IPPROTO_TCP, CT_OP_UPDATE);

		r.tcp_state = (uint8_t)s;
		apply_sanitise(&r, 1);
		assert_in_range(r.tcp_state, 0, TCP_CONNTRACK_CLOSE);
		assert_int_equal(
		    (r.fields & CTF_TCP) != 0, s <= TCP_CONNTRACK_CLOSE);
		assert_in_range(r.wscale_orig, 0, 14);
		assert_in_range(r.wscale_reply, 0, 14);
	}
}

/* One that is over goes by itself; a time as held would tell a step. */
static void
test_timeout(void **state)
{
	static const uint32_t given[] = {0, 1, 120, HELD_MIN_S, CT_HOLD_MAX_S};
	static const uint32_t want[] = {1, 1, 120, HELD_MIN_S, HELD_MIN_S};

	(void)state;
	for (size_t i = 0; i < nitems(given); i++) {
		struct ct_rec r = flow(IPPROTO_TCP, CT_OP_NEW);

		r.fields |= CTF_TIMEOUT;
		r.timeout_s = given[i];
		apply_sanitise(&r, 1);
		assert_int_equal(r.timeout_s, want[i]);
		assert_int_equal(ct_hold_step(r.timeout_s), -1);
		r = flow(IPPROTO_TCP, CT_OP_NEW);
		r.timeout_s = given[i];
		apply_sanitise(&r, 1);
		assert_int_equal(r.timeout_s, ct_hold_timeout(1));
		r = flow(IPPROTO_UDP, CT_OP_NEW);
		r.fields |= CTF_TIMEOUT;
		r.timeout_s = given[i];
		apply_sanitise(&r, 1);
		assert_int_equal(r.timeout_s, ct_hold_timeout(1));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_tcp_in_others),
	    cmocka_unit_test(test_tcp_state),
	    cmocka_unit_test(test_timeout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
