/* The parent's sockets for conntrack's events and dumps. */
#include "test_ct.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "syncd/syncd.h"

static int
messages(int fd, uint16_t *type)
{
	union {
		struct nlmsghdr nlh;
		char buf[65536];
	} in;
	const struct nlmsghdr *nlh;
	ssize_t n;
	int count = 0, len;

	tk_msleep(20);
	while ((n = recv(fd, &in, sizeof(in), 0)) > 0)
		for (nlh = &in.nlh, len = (int)n; mnl_nlmsg_ok(nlh, len);
		     nlh = mnl_nlmsg_next(nlh, &len)) {
			count += nlh->nlmsg_type != NLMSG_DONE;
			*type = nlh->nlmsg_type & 0xff;
		}
	assert_int_equal(errno, EAGAIN);
	return count;
}

static void
events_of_others_only(void **state)
{
	struct ct_rec r;
	uint16_t type;
	int fd, off = 0;

	(void)state;
	TK_NEED();
	fd = kct_event_socket(1 << 20, kct_portid());
	assert_true(fd != -1);
	r = flow(IPPROTO_UDP, "10.1.0.2", 4000, "192.0.2.9", 53);
	apply(&r, 0);
	r.timeout_s = 50;
	apply(&r, 0);
	r.op = CT_OP_DELETE;
	apply(&r, 0);
	assert_int_equal(messages(fd, &type), 0);
	tk_run("conntrack -I -s 10.1.0.9 -d 10.2.0.9 -p udp --sport 9 "
	       "--dport 9 -t 60 >/dev/null 2>&1");
	assert_int_equal(messages(fd, &type), 1);
	assert_int_equal(type, IPCTNL_MSG_CT_NEW);
	r = flow(IPPROTO_UDP, "10.1.0.9", 9, "10.2.0.9", 9);
	apply(&r, 0);
	assert_int_equal(messages(fd, &type), 0);
	tk_run("conntrack -D -p udp --sport 9 >/dev/null 2>&1");
	assert_int_equal(messages(fd, &type), 1);
	assert_int_equal(type, IPCTNL_MSG_CT_DELETE);
	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &off, sizeof(off)),
	    -1);
	assert_int_equal(errno, EPERM);
	close(fd);
}

static void
no_one_to_ignore(void **state)
{
	struct ct_rec r;
	uint16_t type;
	int fd;

	(void)state;
	TK_NEED(); /* the counter-proof of the filter above */
	fd = kct_event_socket(1 << 20, kct_portid() + 1);
	assert_true(fd != -1);
	r = flow(IPPROTO_UDP, "10.1.0.2", 4000, "192.0.2.9", 53);
	apply(&r, 0);
	assert_int_equal(messages(fd, &type), 1);
	close(fd);
}

static void
dump_of_both_families(void **state)
{
	struct ct_rec r[3];
	uint16_t type;
	int fd;

	(void)state;
	TK_NEED();
	r[0] = flow(IPPROTO_UDP, "10.1.0.2", 4000, "192.0.2.9", 53);
	r[1] = flow(IPPROTO_UDP, "10.1.0.2", 4001, "192.0.2.9", 53);
	r[2] = flow(IPPROTO_UDP, "2001:db8::1", 1, "2001:db8::2", 53);
	assert_int_equal(kct_apply(r, 3, fails), 0);
	fd = dump();
	assert_int_equal(messages(fd, &type), 3);
	assert_int_equal(type, NLMSG_DONE);
	close(fd);
}

/* By its event alone, it is not one that a packet has just established. */
static void
changed_by_a_process(void **state)
{
	static uint8_t buf[8192] __attribute__((aligned(8)));
	struct ct_rec r;
	ssize_t n;
	int fd;

	(void)state;
	TK_NEED();
	fd = kct_event_socket(1 << 20, kct_portid());
	assert_true(fd != -1);
	tk_run("conntrack -I -s 10.1.0.9 -d 10.2.0.9 -p tcp --sport 9 "
	       "--dport 9 -t 60 --state ESTABLISHED -u ASSURED "
	       ">/dev/null 2>&1");
	n = recv(fd, buf, sizeof(buf), 0);
	assert_int_equal(event_parse((void *)buf, (size_t)n, &r), EVENT_RECORD);
	assert_int_equal(r.op, CT_OP_NEW);
	tk_run("conntrack -U -s 10.1.0.9 -d 10.2.0.9 -p tcp --sport 9 "
	       "--dport 9 --mark 5 >/dev/null 2>&1");
	n = recv(fd, buf, sizeof(buf), 0);
	assert_int_equal(event_parse((void *)buf, (size_t)n, &r), EVENT_RECORD);
	assert_int_equal(r.op, CT_OP_UPDATE);
	assert_int_equal(r.tcp_state, TCP_CONNTRACK_ESTABLISHED);
	assert_int_equal(r.mark, 5);
	close(fd);
}

static unsigned int taken;

static void
take(void *arg, struct ct_rec *recs, size_t n)
{
	(void)arg;
	(void)recs;
	taken += (unsigned int)n;
}

/* New flows, an event each. */
static void
cause(uint16_t first, uint16_t n)
{
	struct ct_rec r;

	for (uint16_t i = 0; i < n; i++) {
		r = flow(IPPROTO_UDP, "10.1.0.2", (uint16_t)(first + i),
		    "192.0.2.9", 53);
		apply(&r, 0);
	}
}

/*
 * From an overrun until its queue is empty the kernel drops what else there
 * is, and says so no more: it is told when all that was lost is known.
 */
static void
overrun_is_told_at_its_end(void **state)
{
	bool overrun;
	int fd;

	(void)state;
	TK_NEED();
	fd = kct_event_socket(256 * 1024, kct_portid() + 1);
	assert_true(fd != -1);
	cause(1000, 2000);
	taken = 0;
	event_read(fd, 1, &overrun, take, NULL);
	assert_false(overrun);
	cause(4000, 10);
	event_read(fd, 10000, &overrun, take, NULL);
	assert_true(overrun);
	assert_in_range(taken, 200, 1900);
	taken = 0;
	cause(5000, 10);
	event_read(fd, 10000, &overrun, take, NULL);
	assert_false(overrun);
	assert_int_equal(taken, 10);
	close(fd);
}

static void
take_zone(void *arg, struct ct_rec *recs, size_t n)
{
	assert_int_equal(n, 1);
	*(uint16_t *)arg = recs[0].zone;
}

/* As `ct original zone set 5` makes them: syncd's filter is to know. */
static void
zone_of_a_direction(void **state)
{
	static const char *const options[] = {"--orig-zone", "--reply-zone"};
	bool overrun;
	uint16_t zone;
	int fd;

	(void)state;
	TK_NEED();
	fd = kct_event_socket(1 << 20, kct_portid());
	assert_true(fd != -1);
	for (size_t i = 0; i < nitems(options); i++) {
		tk_run("conntrack -I -s 10.1.0.9 -d 10.2.0.9 -p udp --sport 9 "
		       "--dport 9 -t 60 %s 5 >/dev/null 2>&1",
		    options[i]);
		zone = 0;
		event_read(fd, 1, &overrun, take_zone, &zone);
		assert_int_equal(zone, 5);
	}
	close(fd);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup(f, flush)
	const struct CMUnitTest tests[] = {
	    T(events_of_others_only),
	    T(no_one_to_ignore),
	    T(changed_by_a_process),
	    T(dump_of_both_families),
	    T(overrun_is_told_at_its_end),
	    T(zone_of_a_direction),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
