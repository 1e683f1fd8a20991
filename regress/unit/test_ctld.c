/*
 * ctld's clients and requests on socketpairs, with a list where the parent
 * would be.
 */
#include <sys/socket.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "ctl/ctld.h"

#define SENT_MAX 300

static struct event_base *base;
static struct {
	uint32_t id;
	uint32_t what; /* 0: a cancel */
} sent[SENT_MAX];
static size_t nsent;

static void
on_request(uint32_t id, const struct ctl_request *req)
{
	assert_true(nsent < SENT_MAX);
	sent[nsent].id = id;
	sent[nsent++].what = req->what;
}

static void
on_cancel(uint32_t id)
{
	assert_true(nsent < SENT_MAX);
	sent[nsent].id = id;
	sent[nsent++].what = 0;
}

static const struct relay_ops ops = {on_request, on_cancel};

static int
setup(void **state)
{
	(void)state;
	nsent = 0;
	memset(&ctld_stats, 0, sizeof(ctld_stats));
	base = event_base_new();
	clients_init(base, &ops);
	return base == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	clients_close();
	event_base_free(base);
	return clients_count() != 0;
}

/* A user's end; ibuf reads and writes for it. */
static void
join(struct imsgbuf *user, uid_t uid)
{
	int fds[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(imsgbuf_init(user, fds[0]), 0);
	client_new(fds[1], uid, 1);
}

static void
turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static void
expect_hello(struct imsgbuf *user)
{
	struct imsg imsg;

	assert_int_equal(imsg_read(user, &imsg), IMSG_OK);
	assert_int_equal(imsg.hdr.type, IMSG_CTL_HELLO);
}

static void
expect_end(struct imsgbuf *user, uint32_t id, int code, const char *text)
{
	struct ctl_end end;
	struct imsg imsg;

	assert_int_equal(imsg_read(user, &imsg), IMSG_OK);
	assert_int_equal(imsg.hdr.type, IMSG_CTL_END);
	assert_int_equal(imsg.hdr.id, id);
	assert_int_equal(imsg_get(&imsg, &end, sizeof(end)), 0);
	assert_int_equal(end.code, code);
	assert_string_equal(end.text, text);
}

static void
expect_gone(struct imsgbuf *user)
{
	struct imsg imsg;
	enum imsg_res res;

	while ((res = imsg_read(user, &imsg)) == IMSG_OK)
		;
	if (res == IMSG_ERR) {
		assert_int_equal(errno, ECONNRESET);
		res = IMSG_EOF;
	}
	assert_int_equal(res, IMSG_EOF);
}

static void
ask(struct imsgbuf *user, uint32_t id, uint32_t what)
{
	struct ctl_request req = {.what = what};

	assert_int_equal(
	    imsg_send(user, IMSG_CTL_REQUEST, id, -1, &req, sizeof(req)), 0);
	turn();
}

/* The parent answers with a row, or ends a request. */
static void
answer(uint32_t id, uint32_t type, const void *data, size_t len)
{
	struct imsg imsg = {
	    .hdr = {.type = type, .id = id, .len = (uint32_t)len},
	    .data = data,
	    .fd = -1};

	relay_row(&imsg);
}

static void
request_and_rows(void **state)
{
	struct ctl_event event = {.text = "something"};
	struct ctl_end end = {.code = 4, .text = "not now"};
	struct imsgbuf a, b;
	struct imsg imsg;

	(void)state;
	join(&a, 1000);
	join(&b, 0);
	expect_hello(&a);
	expect_hello(&b);
	ask(&a, 7, CTL_SHOW_EVENTS);
	ask(&b, 7, CTL_FAILOVER);
	assert_int_equal(nsent, 2);
	assert_int_equal(sent[0].what, CTL_SHOW_EVENTS);
	assert_int_equal(sent[1].what, CTL_FAILOVER);
	assert_true(sent[0].id != sent[1].id);

	answer(sent[0].id, IMSG_CTL_EVENT, &event, sizeof(event));
	answer(sent[1].id, IMSG_CTL_END, &end, sizeof(end));
	assert_int_equal(imsg_read(&a, &imsg), IMSG_OK);
	assert_int_equal(imsg.hdr.type, IMSG_CTL_EVENT);
	assert_int_equal(imsg.hdr.id, 7);
	expect_end(&b, 7, 4, "not now");
	assert_int_equal(imsg_read(&a, &imsg), IMSG_AGAIN);
	assert_int_equal(imsg_read(&b, &imsg), IMSG_AGAIN);

	/* an id that has ended finds nobody, and may be used anew */
	answer(sent[1].id, IMSG_CTL_END, &end, sizeof(end));
	assert_int_equal(ctld_stats.strays, 1);
	ask(&b, 7, CTL_RELOAD);
	assert_int_equal(nsent, 3);
	assert_true(sent[2].id != sent[1].id);
	imsgbuf_clear(&a);
	imsgbuf_clear(&b);
}

static void
gone_means_cancel(void **state)
{
	struct ctl_event event = {.text = "late"};
	struct imsgbuf a;

	(void)state;
	join(&a, 1000);
	ask(&a, 1, CTL_MONITOR);
	ask(&a, 2, CTL_SHOW_SYNC);
	imsgbuf_clear(&a);
	turn();
	assert_int_equal(clients_count(), 0);
	assert_int_equal(nsent, 4);
	assert_int_equal(sent[2].what, 0);
	assert_int_equal(sent[2].id, sent[0].id);
	assert_int_equal(sent[3].id, sent[1].id);
	answer(sent[0].id, IMSG_CTL_EVENT, &event, sizeof(event));
	assert_int_equal(ctld_stats.strays, 1);
}

static void
only_root_changes(void **state)
{
	static const struct {
		uint32_t what;
		const char *text;
	} cases[] = {
	    {CTL_FAILOVER, "permission denied: only root may fail over"},
	    {CTL_FAILBACK, "permission denied: only root may fail back"},
	    {CTL_RELOAD,
		"permission denied: only root may reload the configuration"},
	    {CTL_LOG, "permission denied: only root may change the log level"},
	};
	struct imsgbuf a;

	(void)state;
	join(&a, 1000);
	expect_hello(&a);
	for (size_t i = 0; i < nitems(cases); i++) {
		ask(&a, (uint32_t)i + 1, cases[i].what);
		expect_end(&a, (uint32_t)i + 1, 1, cases[i].text);
	}
	assert_int_equal(nsent, 0);
	assert_int_equal(clients_count(), 1);
	imsgbuf_clear(&a);
}

static void
requests_are_checked(void **state)
{
	const struct ctl_request good = {.what = CTL_SHOW_VRRP, .arg = "net-1"};
	struct ctl_request r;
	char why[CTL_TEXT_MAX];

	(void)state;
	assert_int_equal(relay_check(&good, 1000, why, sizeof(why)), 0);
	r = good;
	r.what = 0;
	assert_int_equal(relay_check(&r, 0, why, sizeof(why)), 2);
	r.what = CTL_WHAT_CHANGE;
	assert_int_equal(relay_check(&r, 0, why, sizeof(why)), 2);
	r.what = CTL_WHAT_MAX;
	assert_int_equal(relay_check(&r, 0, why, sizeof(why)), 2);
	r.what = UINT32_MAX;
	assert_int_equal(relay_check(&r, 0, why, sizeof(why)), 2);
	r = good;
	r.flags = CTL_F_FORCE;
	assert_int_equal(relay_check(&r, 0, why, sizeof(why)), 2);
	r = good;
	r.reserved = 1;
	assert_int_equal(relay_check(&r, 0, why, sizeof(why)), 2);
	r = good;
	r.number = 1;
	assert_int_equal(relay_check(&r, 0, why, sizeof(why)), 2);
	r = good;
	strcpy(r.arg, "a;b");
	assert_int_equal(relay_check(&r, 0, why, sizeof(why)), 2);
	memset(r.arg, 'a', sizeof(r.arg));
	assert_int_equal(relay_check(&r, 0, why, sizeof(why)), 2);
	r = good;
	r.what = CTL_SHOW_SYNC;
	assert_int_equal(relay_check(&r, 0, why, sizeof(why)), 2);
	memset(&r, 0, sizeof(r));
	r.what = CTL_SHOW_EVENTS;
	r.number = CTL_EVENTS_MAX;
	assert_int_equal(relay_check(&r, 1000, why, sizeof(why)), 0);
	r.number++;
	assert_int_equal(relay_check(&r, 1000, why, sizeof(why)), 2);
}

/* What is not exactly a request costs the connection. */
static void
violations_disconnect(void **state)
{
	static const unsigned char big[IMSG_PACKET_MAX + 100];
	struct ctl_request req = {.what = CTL_SHOW_NODE};
	struct ctl_end end = {.code = 0};
	struct imsgbuf a;
	int fd;

	(void)state;
	join(&a, 0);
	imsg_send(&a, IMSG_CTL_REQUEST, 1, -1, &req, sizeof(req) - 1);
	turn();
	expect_gone(&a);
	imsgbuf_clear(&a);
	join(&a, 0);
	imsg_send(&a, IMSG_CTL_END, 1, -1, &end, sizeof(end));
	turn();
	expect_gone(&a);
	imsgbuf_clear(&a);
	join(&a, 0);
	imsg_send(&a, IMSG_MAX, 1, -1, NULL, 0);
	turn();
	expect_gone(&a);
	imsgbuf_clear(&a);
	join(&a, 0);
	assert_int_equal(write(a.fd, big, sizeof(big)), sizeof(big));
	turn();
	expect_gone(&a);
	imsgbuf_clear(&a);
	join(&a, 0);
	assert_int_equal(write(a.fd, big, 3), 3);
	turn();
	expect_gone(&a);
	imsgbuf_clear(&a);
	assert_int_equal(ctld_stats.violations, 5);

	/* a descriptor nobody asked for is closed, not kept */
	join(&a, 0);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_not_equal(fd, -1);
	assert_int_equal(
	    imsg_send(&a, IMSG_CTL_REQUEST, 1, fd, &req, sizeof(req)), 0);
	turn();
	expect_gone(&a);
	imsgbuf_clear(&a);
	assert_int_equal(ctld_stats.violations, 6);
	assert_int_equal(clients_count(), 0);
	assert_int_equal(nsent, 0);
}

static void
requests_are_bounded(void **state)
{
	struct imsgbuf a;

	(void)state;
	join(&a, 1000);
	expect_hello(&a);
	for (uint32_t i = 1; i <= CLIENT_REQUESTS_MAX; i++)
		ask(&a, i, CTL_SHOW_NAT);
	assert_int_equal(nsent, CLIENT_REQUESTS_MAX);
	ask(&a, 99, CTL_SHOW_NAT);
	expect_end(&a, 99, 1, "too many requests at a time");
	imsgbuf_clear(&a);

	join(&a, 1000);
	expect_hello(&a);
	ask(&a, 1, CTL_SHOW_NAT);
	ask(&a, 1, CTL_SHOW_NAT);
	expect_end(&a, 1, 1, "a request of this number is under way");
	imsgbuf_clear(&a);
}

static void
clients_are_bounded(void **state)
{
	struct imsgbuf users[CLIENTS_MAX], root, more;

	(void)state;
	for (size_t i = 0; i < CLIENTS_MAX - CLIENTS_ROOT; i++) {
		join(&users[i], 1000);
		ask(&users[i], 1, CTL_MONITOR);
	}
	/* all of them busy: no more of their kind, but root comes in */
	join(&more, 1000);
	expect_end(
	    &more, 0, 1, "too many control clients at a time (at most 64)");
	expect_gone(&more);
	imsgbuf_clear(&more);
	assert_int_equal(ctld_stats.busy, 1);
	join(&root, 0);
	expect_hello(&root);
	ask(&root, 1, CTL_FAILOVER);
	assert_int_equal(sent[nsent - 1].what, CTL_FAILOVER);
	imsgbuf_clear(&root);
	turn();
	for (size_t i = 0; i < CLIENTS_MAX - CLIENTS_ROOT; i++)
		imsgbuf_clear(&users[i]);
	turn();
	assert_int_equal(clients_count(), 0);
}

static void
oldest_idle_makes_room(void **state)
{
	struct imsgbuf users[CLIENTS_MAX], more;

	(void)state;
	for (size_t i = 0; i < CLIENTS_MAX - CLIENTS_ROOT; i++) {
		join(&users[i], 1000);
		expect_hello(&users[i]);
		if (i == 0)
			ask(&users[i], 1, CTL_MONITOR);
	}
	join(&more, 1000);
	expect_hello(&more);
	expect_gone(&users[1]);
	imsgbuf_clear(&more);
	for (size_t i = 0; i < CLIENTS_MAX - CLIENTS_ROOT; i++)
		imsgbuf_clear(&users[i]);
}

static void
idle_ones_are_dropped(void **state)
{
	struct imsgbuf idle, monitor, working;
	uint64_t now = clock_us();

	(void)state;
	join(&idle, 1000);
	join(&monitor, 1000);
	join(&working, 1000);
	ask(&monitor, 1, CTL_MONITOR);
	ask(&working, 5, CTL_SHOW_SYNC);
	clients_expire(now + CLIENT_IDLE_US - 1000000);
	assert_int_equal(clients_count(), 3);
	clients_expire(now + CLIENT_IDLE_US + 1000000);
	assert_int_equal(clients_count(), 2);
	expect_gone(&idle);

	/* a parent that never answers ends in an END, a monitor does not */
	expect_hello(&working);
	relay_expire(now + RELAY_LATE_US + 1000000);
	expect_end(&working, 5, 5, "no answer within 60s");
	assert_int_equal(nsent, 3);
	assert_int_equal(sent[2].what, 0);
	assert_int_equal(sent[2].id, sent[1].id);
	assert_int_equal(ctld_stats.late, 1);
	imsgbuf_clear(&idle);
	imsgbuf_clear(&monitor);
	imsgbuf_clear(&working);
}

/* Who does not read costs a bounded queue, and then the connection. */
static void
stalled_ones_are_dropped(void **state)
{
	struct ctl_event event = {.text = "x"};
	struct imsgbuf a, b;
	unsigned int n;

	(void)state;
	join(&a, 1000);
	ask(&a, 1, CTL_MONITOR);
	for (n = 0; clients_count() == 1 && n < 2 * CLIENT_QUEUE_MAX; n++)
		answer(sent[0].id, IMSG_CTL_EVENT, &event, sizeof(event));
	assert_int_equal(clients_count(), 0);
	assert_true(n > CLIENT_QUEUE_MAX);
	assert_int_equal(ctld_stats.stalled, 1);
	assert_int_equal(sent[nsent - 1].what, 0);
	imsgbuf_clear(&a);

	join(&b, 1000);
	ask(&b, 1, CTL_MONITOR);
	for (n = 0; n < 1000; n++)
		answer(
		    sent[nsent - 1].id, IMSG_CTL_EVENT, &event, sizeof(event));
	clients_expire(clock_us() + CLIENT_STALL_US - 1000000);
	assert_int_equal(clients_count(), 1);
	clients_expire(clock_us() + CLIENT_STALL_US + 1000000);
	assert_int_equal(clients_count(), 0);
	assert_int_equal(ctld_stats.stalled, 2);
	imsgbuf_clear(&b);
}

/* A slow reader gets every row, in order. */
static void
slow_reader_loses_nothing(void **state)
{
	struct ctl_event event;
	struct imsgbuf a;
	struct imsg imsg;
	uint64_t n, got = 0;

	(void)state;
	join(&a, 1000);
	expect_hello(&a);
	ask(&a, 1, CTL_MONITOR);
	memset(&event, 0, sizeof(event));
	for (n = 0; n < 3000; n++) {
		event.real_ns = n;
		answer(sent[0].id, IMSG_CTL_EVENT, &event, sizeof(event));
	}
	while (got < n) {
		turn();
		while (imsg_read(&a, &imsg) == IMSG_OK) {
			assert_int_equal(
			    imsg_get(&imsg, &event, sizeof(event)), 0);
			assert_int_equal(event.real_ns, got);
			got++;
		}
	}
	assert_int_equal(clients_count(), 1);
	imsgbuf_clear(&a);
}

static unsigned int
open_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

/* Ten thousand real connections, one after the other, leave no trace. */
static void
many_connections(void **state)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(sa_family_t);
	unsigned int fds;
	int lfd, fd;

	(void)state;
	lfd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
	/* a name of the kernel's choice, outside the file system */
	assert_int_equal(bind(lfd, (struct sockaddr *)&sun, len), 0);
	len = sizeof(sun);
	getsockname(lfd, (struct sockaddr *)&sun, &len);
	assert_int_equal(listen(lfd, 128), 0);
	clients_listen(lfd);
	fds = open_fds();
	for (int i = 0; i < 10000; i++) {
		fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&sun, len), 0);
		if (i % 3 == 0)
			turn();
		close(fd);
		if (i % 50 == 0)
			turn();
	}
	while (clients_count() > 0)
		turn();
	turn();
	turn();
	turn();
	assert_int_equal(ctld_stats.accepted + ctld_stats.busy, 10000);
	assert_int_equal(open_fds(), fds);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(request_and_rows),
	    T(gone_means_cancel),
	    T(only_root_changes),
	    T(requests_are_checked),
	    T(violations_disconnect),
	    T(requests_are_bounded),
	    T(clients_are_bounded),
	    T(oldest_idle_makes_room),
	    T(idle_ones_are_dropped),
	    T(stalled_ones_are_dropped),
	    T(slow_reader_loses_nothing),
	    T(many_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
