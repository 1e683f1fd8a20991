/*
 * natd's reading of what the kernel holds: answers as the kernel gives them,
 * and some that it never should, which must end the dump and not natd.
 */
#include <sys/socket.h>

#include <netinet/in.h>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* the request goes to this test instead of hagwd */
#include "natd/nat_state.c"

#define PLAN "plan=00112233445566778899aabbccddeeff"

static struct event_base *base;
static uint32_t request_id;
static struct {
	unsigned int done;
	enum state_result res;
	struct nat_found found;
	enum nat_grace grace;
	unsigned int elems;
	struct nat_elem elem;
	uint64_t hits;
} got;

void
proc_send(enum imsg_type type, uint32_t id, const void *data, size_t len)
{
	(void)data;
	assert_int_equal(type, IMSG_NAT_DUMP);
	assert_int_equal(len, sizeof(struct imsg_nat_dump));
	request_id = id;
}

void
proc_watch(struct event *ev, const struct timeval *tv)
{
	assert_int_equal(event_add(ev, tv), 0);
}

static void
on_rules(enum state_result res, const struct nat_found *found)
{
	got.done++;
	got.res = res;
	got.found = *found;
}

static void
on_grace(enum state_result res, enum nat_grace grace)
{
	got.done++;
	got.res = res;
	got.grace = grace;
}

static void
on_elem(void *arg, const struct nat_elem *e, uint64_t hits)
{
	(void)arg;
	got.elems++;
	got.elem = *e;
	got.hits = hits;
}

static void
on_done(void *arg, enum state_result res)
{
	(void)arg;
	got.done++;
	got.res = res;
}

static struct {
	_Alignas(8) uint8_t buf[8192];
	size_t len;
	struct nlmsghdr *nlh;
} out;

static void
message(uint16_t type)
{
	struct nfgenmsg *g;

	out.nlh = mnl_nlmsg_put_header(out.buf + out.len);
	out.nlh->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	g = mnl_nlmsg_put_extra_header(out.nlh, sizeof(*g));
	g->nfgen_family = 1;
}

static void
message_end(void)
{
	out.len += out.nlh->nlmsg_len;
}

static void
put_end(int32_t code)
{

	out.nlh = mnl_nlmsg_put_header(out.buf + out.len);
	out.nlh->nlmsg_type = NLMSG_DONE;
	memcpy(mnl_nlmsg_put_extra_header(out.nlh, sizeof(code)), &code,
	    sizeof(code));
	message_end();
}

static void
put_done(void)
{
	put_end(0);
}

/* A rule with user data of this length field, and this text in it. */
static void
put_rule(const char *table, const char *chain, uint8_t len, const char *text)
{
	uint8_t u[256] = {0, len};

	message(NFT_MSG_NEWRULE);
	mnl_attr_put_strz(out.nlh, NFTA_RULE_TABLE, table);
	mnl_attr_put_strz(out.nlh, NFTA_RULE_CHAIN, chain);
	memcpy(u + 2, text, strlen(text) + 1);
	mnl_attr_put(out.nlh, NFTA_RULE_USERDATA, 2 + strlen(text) + 1, u);
	message_end();
}

/* An element of fwd4 with its counter, and one attribute that is new. */
static void
put_elem(size_t keylen)
{
	uint8_t key[12] = {192, 0, 2, 9, IPPROTO_TCP, 0, 0, 0, 1, 0xbb};
	struct nlattr *list, *elem, *nest, *data;

	message(NFT_MSG_NEWSETELEM);
	mnl_attr_put_strz(out.nlh, NFTA_SET_ELEM_LIST_TABLE, HAGW_NFT_TABLE);
	mnl_attr_put_strz(out.nlh, NFTA_SET_ELEM_LIST_SET, "fwd4");
	list = mnl_attr_nest_start(out.nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	elem = mnl_attr_nest_start(out.nlh, NFTA_LIST_ELEM);
	nest = mnl_attr_nest_start(out.nlh, NFTA_SET_ELEM_KEY);
	mnl_attr_put(out.nlh, NFTA_DATA_VALUE, keylen, key);
	mnl_attr_nest_end(out.nlh, nest);
	mnl_attr_put_u8(out.nlh, 99, 1);
	mnl_attr_put_u8(out.nlh, NFTA_SET_ELEM_FLAGS, 1); /* a byte only */
	nest = mnl_attr_nest_start(out.nlh, NFTA_SET_ELEM_EXPR);
	mnl_attr_put_strz(out.nlh, NFTA_EXPR_NAME, "counter");
	data = mnl_attr_nest_start(out.nlh, NFTA_EXPR_DATA);
	mnl_attr_put_u64(out.nlh, NFTA_COUNTER_PACKETS, htobe64(77));
	mnl_attr_nest_end(out.nlh, data);
	mnl_attr_nest_end(out.nlh, nest);
	mnl_attr_nest_end(out.nlh, elem);
	mnl_attr_nest_end(out.nlh, list);
	message_end();
}

/* The kernel's answer, then the end of the socket. */
static void
answer(void)
{
	struct imsg im = {.hdr.id = request_id};
	int sv[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv), 0);
	im.fd = sv[0];
	state_fd(&im);
	assert_int_equal(write(sv[1], out.buf, out.len), out.len);
	close(sv[1]);
	for (int i = 0; i < 3; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(got.done, 1);
}

static int
setup(void **state)
{
	(void)state;
	memset(&got, 0, sizeof(got));
	memset(&out, 0, sizeof(out));
	if (base != NULL)
		return 0;
	base = event_base_new();
	return base == NULL || state_init(base) == -1;
}

static int
end(void **state)
{
	(void)state;
	event_free(st.timer);
	event_base_free(base);
	return 0;
}

static void
test_marker(void **state)
{
	(void)state;
	state_read_rules(on_rules);
	put_rule(HAGW_NFT_TABLE, "nat_pre", sizeof(PLAN), PLAN);
	put_rule(HAGW_NFT_TABLE, NAT_STATE_CHAIN, sizeof(PLAN), PLAN);
	put_done();
	answer();
	assert_int_equal(got.res, STATE_OK);
	assert_true(got.found.marker);
	assert_int_equal(got.found.nrules, 2);
	assert_int_equal(got.found.hash[1], 0x11);
	assert_int_equal(got.found.hash[15], 0xff);
}

/* Another's comment, one cut short, one longer than what holds it. */
static void
test_no_marker(void **state)
{
	(void)state;
	state_read_rules(on_rules);
	put_rule("other", NAT_STATE_CHAIN, sizeof(PLAN), PLAN);
	put_rule(HAGW_NFT_TABLE, "nat_pre", sizeof(PLAN), PLAN);
	put_rule(HAGW_NFT_TABLE, NAT_STATE_CHAIN, 9, "plan=001");
	put_rule(HAGW_NFT_TABLE, NAT_STATE_CHAIN, 0xff, PLAN);
	put_rule(HAGW_NFT_TABLE, NAT_STATE_CHAIN, sizeof(PLAN) + 1, PLAN);
	put_rule(HAGW_NFT_TABLE, NAT_STATE_CHAIN, sizeof(PLAN),
	    "plan=00112233445566778899aabbccddeefg");
	put_done();
	answer();
	assert_int_equal(got.res, STATE_OK);
	assert_false(got.found.marker);
}

static void
test_element(void **state)
{
	(void)state;
	state_read_hits(NS_FWD4, on_elem, on_done, NULL);
	put_elem(12);
	put_done();
	answer();
	assert_int_equal(got.res, STATE_OK);
	assert_int_equal(got.elems, 1);
	assert_int_equal(got.hits, 77);
	assert_int_equal(got.elem.addr.s_addr, inet_addr("192.0.2.9"));
	assert_int_equal(got.elem.proto, IPPROTO_TCP);
	assert_int_equal(got.elem.lo, 443);
	assert_int_equal(got.elem.hi, 443);
}

static void
test_short_key(void **state)
{
	(void)state;
	state_read_hits(NS_FWD4, on_elem, on_done, NULL);
	put_elem(7);
	put_done();
	answer();
	assert_int_equal(got.res, STATE_OK);
	assert_int_equal(got.elems, 0);
}

/* An element of the grace, with an end or without. */
static void
put_grace(bool ends)
{
	uint8_t family = AF_INET;
	struct nlattr *list, *elem, *nest;

	message(NFT_MSG_NEWSETELEM);
	list = mnl_attr_nest_start(out.nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	elem = mnl_attr_nest_start(out.nlh, NFTA_LIST_ELEM);
	nest = mnl_attr_nest_start(out.nlh, NFTA_SET_ELEM_KEY);
	mnl_attr_put(out.nlh, NFTA_DATA_VALUE, sizeof(family), &family);
	mnl_attr_nest_end(out.nlh, nest);
	if (ends)
		mnl_attr_put_u64(
		    out.nlh, NFTA_SET_ELEM_TIMEOUT, htobe64(30000));
	mnl_attr_nest_end(out.nlh, elem);
	mnl_attr_nest_end(out.nlh, list);
	message_end();
}

static void
test_grace(void **state)
{
	static const struct {
		int nends, nopen;
		enum nat_grace grace;
	} cases[] = {
	    {0, 0, GRACE_NONE},
	    {2, 0, GRACE_ENDS},
	    {0, 2, GRACE_OPEN},
	    {1, 1, GRACE_OPEN},
	};

	for (size_t i = 0; i < nitems(cases); i++) {
		setup(state);
		state_read_grace(on_grace);
		for (int k = 0; k < cases[i].nopen; k++)
			put_grace(false);
		for (int k = 0; k < cases[i].nends; k++)
			put_grace(true);
		put_done();
		answer();
		assert_int_equal(got.res, STATE_OK);
		assert_int_equal(got.grace, cases[i].grace);
	}
}

/* A length that is negative to who takes it for a signed number. */
static void
test_length(void **state)
{
	static const uint32_t lengths[] = {
	    0, 15, 0x80000010u, 0xfffffff0u, 0xffffffffu, 200};

	for (size_t i = 0; i < nitems(lengths); i++) {
		setup(state);
		state_read_rules(on_rules);
		put_rule(HAGW_NFT_TABLE, NAT_STATE_CHAIN, sizeof(PLAN), PLAN);
		memcpy(out.buf, &lengths[i], sizeof(lengths[i]));
		answer();
		assert_int_equal(got.res, STATE_FAILED);
		assert_false(got.found.marker);
	}
}

/* No errno: nothing that could be taken for one, or for "more to come". */
static void
test_code(void **state)
{
	static const int32_t codes[] = {-1, 1, -4096, INT32_MAX, INT32_MIN};

	for (size_t i = 0; i < nitems(codes); i++) {
		setup(state);
		state_read_rules(on_rules);
		put_end(codes[i]);
		put_rule(HAGW_NFT_TABLE, NAT_STATE_CHAIN, sizeof(PLAN), PLAN);
		put_done();
		answer();
		assert_int_equal(got.res, STATE_FAILED);
		assert_false(got.found.marker);
	}
}

/* Attributes longer than their message, and messages without any. */
static void
test_cut(void **state)
{
	for (uint32_t len = 16; len < 60; len++) {
		setup(state);
		state_read_hits(NS_FWD4, on_elem, on_done, NULL);
		put_elem(12);
		out.nlh->nlmsg_len = len;
		out.len = len;
		answer();
		assert_int_equal(got.res, STATE_FAILED); /* no end was said */
		assert_int_equal(got.elems, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_marker, setup),
	    cmocka_unit_test_setup(test_no_marker, setup),
	    cmocka_unit_test_setup(test_element, setup),
	    cmocka_unit_test_setup(test_short_key, setup),
	    cmocka_unit_test_setup(test_grace, setup),
	    cmocka_unit_test_setup(test_length, setup),
	    cmocka_unit_test_setup(test_code, setup),
	    cmocka_unit_test_setup(test_cut, setup),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
