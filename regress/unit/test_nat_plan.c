/* natd/nat_plan.c: what a site becomes. */
#include "test_nat.h"

#define SITE                                                                \
	SITE_HEAD "  forward:\n"                                            \
		  "    - { name: web, on: outside, port: tcp/443, "         \
		  "to: 10.0.0.20, hairpin: true }\n"                        \
		  "    - { name: ssh, on: outside, port: tcp/2222, "        \
		  "to: 10.0.0.20:22 }\n"                                    \
		  "    - { name: rtp, on: outside, port: udp/10000-20000, " \
		  "to: 10.0.0.30, hairpin: true }\n"                        \
		  "    - { name: moved, on: outside, port: tcp/7000-7003, " \
		  "to: 10.0.0.40:8000 }\n"

static const struct nat_elem *
find(const struct nat_plan *p, uint8_t set, const char *addr, uint8_t proto,
    uint16_t lo, uint16_t hi)
{
	struct nat_elem key = {.set = set, .proto = proto, .lo = lo, .hi = hi};

	key.addr = ip(addr);
	return plan_find(p, &key);
}

static unsigned int
count(const struct nat_plan *p, uint8_t set)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < p->nelems; i++)
		n += p->elems[i].set == set;
	return n;
}

static void
test_elements(void **state)
{
	struct conf *c = site_of(SITE);
	struct nat_plan *p = plan_of(c);
	const struct nat_elem *e;
	int i;

	(void)state;
	assert_int_equal(count(p, NS_VIP4), 2);
	assert_non_null(find(p, NS_VIP4, "192.0.2.9", 0, 0, 0));
	assert_int_equal(count(p, NS_FWD4), 2 + 4);
	e = find(p, NS_FWD4, "192.0.2.9", IPPROTO_TCP, 443, 443);
	assert_non_null(e);
	assert_int_equal(e->to.s_addr, ip("10.0.0.20").s_addr);
	assert_int_equal(e->to_port, 443);
	e = find(p, NS_FWD4, "192.0.2.9", IPPROTO_TCP, 2222, 2222);
	assert_int_equal(e->to_port, 22);
	/* a range that shifts is expanded, one that does not is not */
	for (i = 0; i < 4; i++) {
		e = find(
		    p, NS_FWD4, "192.0.2.9", IPPROTO_TCP, 7000 + i, 7000 + i);
		assert_non_null(e);
		assert_int_equal(e->to_port, 8000 + i);
		assert_string_equal(c->forwards[e->obj].name, "moved");
	}
	assert_int_equal(count(p, NS_FWD4R), 1);
	assert_non_null(
	    find(p, NS_FWD4R, "192.0.2.9", IPPROTO_UDP, 10000, 20000));
	plan_free(p);
	conf_free(c);
}

static void
test_hairpin_and_source(void **state)
{
	struct conf *c = site_of(SITE);
	struct nat_plan *p = plan_of(c);
	const struct nat_elem *e;
	size_t i;

	(void)state;
	e = find(p, NS_HAIR4, "10.0.0.20", IPPROTO_TCP, 443, 443);
	assert_non_null(e);
	assert_int_equal(e->to.s_addr, ip("10.0.0.9").s_addr);
	assert_int_equal(count(p, NS_HAIR4), 1);
	assert_non_null(
	    find(p, NS_HAIR4R, "10.0.0.30", IPPROTO_UDP, 10000, 20000));
	for (i = 0; p->elems[i].set != NS_SRC4; i++)
		continue;
	e = &p->elems[i];
	assert_int_equal(e->addr.s_addr, ip("10.0.0.0").s_addr);
	assert_int_equal(e->addr_end.s_addr, ip("10.0.0.255").s_addr);
	assert_int_equal(e->to.s_addr, ip("192.0.2.9").s_addr);
	assert_string_equal(e->ifname, "out0"); /* of this node */
	plan_free(p);
	conf_free(c);
}

/* The order of a list in the file is not part of what the kernel gets. */
static void
test_order_does_not_matter(void **state)
{
	struct conf *c = site_of(SITE), *d = conf_copy(c);
	struct conf_forward f = d->forwards[0];
	struct nat_plan *p, *q;

	(void)state;
	d->forwards[0] = d->forwards[3];
	d->forwards[3] = f;
	p = plan_of(c);
	q = plan_of(d);
	assert_memory_equal(p->hash, q->hash, NAT_HASH_LEN);
	d->forwards[1].to_port++;
	plan_free(q);
	q = plan_of(d);
	assert_memory_not_equal(p->hash, q->hash, NAT_HASH_LEN);
	plan_free(p);
	plan_free(q);
	conf_free(c);
	conf_free(d);
}

/* A change that says nothing about NAT leaves the hash as it is. */
static void
test_hash_is_the_plans(void **state)
{
	struct conf *c = site_of(SITE);
	struct nat_plan *p = plan_of(c), *q;

	(void)state;
	c->h.ha.advertise_us *= 2;
	c->h.nodes[0].priority--;
	q = plan_of(c);
	assert_memory_equal(p->hash, q->hash, NAT_HASH_LEN);
	plan_free(q);
	c->h.sync.port++;
	q = plan_of(c);
	assert_memory_not_equal(p->hash, q->hash, NAT_HASH_LEN);
	plan_free(p);
	plan_free(q);
	conf_free(c);
}

static void
refused(const struct conf *c, const char *expect)
{
	char why[CTL_TEXT_MAX] = "";

	assert_null(plan_build(c, why, sizeof(why)));
	if (strstr(why, expect) == NULL)
		fail_msg("\"%s\" has no \"%s\"", why, expect);
}

/* The reader refuses these as well; a plan does not rely on that. */
static void
test_conflicts(void **state)
{
	struct conf *c = site_of(SITE);
	struct conf_source s = c->sources[0];
	struct conf_forward f = c->forwards[2];

	(void)state;
	snprintf(s.name, sizeof(s.name), "again");
	assert_int_equal(conf_add_source(c, &s), 0);
	refused(c, "\"again\"");
	c->h.nsources--;
	f.lo = f.to_port = 15000;
	f.hi = 30000;
	assert_int_equal(conf_add_forward(c, &f), 0);
	refused(c, "port 15000 is taken");
	c->forwards[4] = c->forwards[0];
	refused(c, "port 443 is taken");
	f.lo = 1;
	f.hi = 65535;
	f.to_port = 2;
	c->forwards[4] = f;
	for (int i = 0; i < 3; i++)
		assert_int_equal(conf_add_forward(c, &f), 0);
	refused(c, "map elements");
	conf_free(c);
}

/* Hairpins to one port by two forwards are one element. */
static void
test_hairpins_merge(void **state)
{
	struct conf *c = site_of(SITE);
	struct conf_forward f = c->forwards[2];
	struct nat_plan *p;

	(void)state;
	f.lo = 30000;
	f.hi = 35000;
	f.to_port = 18000; /* 18000-23000: half of it is there already */
	assert_int_equal(conf_add_forward(c, &f), 0);
	f = c->forwards[0];
	f.lo = f.hi = 4443;
	assert_int_equal(conf_add_forward(c, &f), 0);
	p = plan_of(c);
	assert_int_equal(count(p, NS_HAIR4), 1);
	assert_int_equal(count(p, NS_HAIR4R), 1);
	assert_non_null(
	    find(p, NS_HAIR4R, "10.0.0.30", IPPROTO_UDP, 10000, 23000));
	plan_free(p);
	conf_free(c);
}

static void
test_hairpin_to_nowhere_warns(void **state)
{
	struct conf *c = site_of(SITE);
	struct nat_plan *p;

	(void)state;
	c->forwards[0].to = ip("172.16.0.1");
	p = plan_of(c);
	assert_int_equal(p->nwarnings, 1);
	assert_string_equal(p->warnings[0].object, "web");
	assert_int_equal(count(p, NS_HAIR4), 0);
	plan_free(p);
	conf_free(c);
}

static unsigned int
rules_in(const struct nat_plan *p, uint8_t chain)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < p->nrules; i++)
		n += p->rules[i].chain == chain;
	return n;
}

static void
test_rules(void **state)
{
	struct conf *c = site_of(SITE);
	struct nat_plan *p = plan_of(c);
	size_t i;

	(void)state;
	assert_int_equal(rules_in(p, NC_RAW_PRE), 2);
	assert_int_equal(rules_in(p, NC_EVENT_FWD), 4);
	assert_int_equal(rules_in(p, NC_CLOSE_FWD), 9);
	assert_int_equal(rules_in(p, NC_EVENT_IN), 1);
	assert_int_equal(rules_in(p, NC_NAT_PRE), 2);
	assert_int_equal(rules_in(p, NC_NAT_POST), 2 + 2 * 2);
	plan_free(p);

	c->h.sync.protocols = CONF_PROTO_TCP;
	p = plan_of(c);
	for (i = 0; i < p->nrules; i++) {
		if (p->rules[i].kind == NR_EVENTS &&
		    p->rules[i].chain == NC_EVENT_FWD)
			assert_int_equal(p->rules[i].mask != 0,
			    p->rules[i].proto == IPPROTO_TCP);
	}
	assert_int_equal(rules_in(p, NC_CLOSE_FWD), 9);
	plan_free(p);

	c->h.sync.protocols = CONF_PROTO_UDP;
	p = plan_of(c);
	assert_int_equal(rules_in(p, NC_EVENT_FWD), 4);
	assert_int_equal(rules_in(p, NC_CLOSE_FWD), 0);
	plan_free(p);

	c->h.sync.npaths = 0; /* a lone node: nobody's events are masked */
	p = plan_of(c);
	assert_int_equal(rules_in(p, NC_EVENT_FWD), 0);
	assert_int_equal(rules_in(p, NC_CLOSE_FWD), 0);
	assert_int_equal(rules_in(p, NC_EVENT_IN), 0);
	assert_int_equal(rules_in(p, NC_RAW_PRE), 1);
	plan_free(p);
	conf_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_elements),
	    cmocka_unit_test(test_hairpin_and_source),
	    cmocka_unit_test(test_order_does_not_matter),
	    cmocka_unit_test(test_hash_is_the_plans),
	    cmocka_unit_test(test_conflicts),
	    cmocka_unit_test(test_hairpins_merge),
	    cmocka_unit_test(test_hairpin_to_nowhere_warns),
	    cmocka_unit_test(test_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
