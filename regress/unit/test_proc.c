/* When a child listens to hagwd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* what is tested is when its own static functions read the socketpair */
#include "common/proc.c"

#include <sys/socket.h>
#include <fcntl.h>

static const struct sandbox_profile profile = {.id = PROC_SYNC};
static int hagwd; /* its end */

static int
setup(void **state)
{
	int sv[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv) == -1 ||
	    (hagwd = fcntl(sv[0], F_DUPFD, PROC_FD + 1)) == -1 ||
	    (sv[1] = fcntl(sv[1], F_DUPFD, PROC_FD + 1)) == -1 ||
	    dup2(sv[1], PROC_FD) == -1 ||
	    imsgbuf_init(&proc.ibuf, PROC_FD) == -1)
		return -1;
	close(sv[1]);
	if (sv[0] != PROC_FD)
		close(sv[0]);
	proc.profile = &profile;
	proc.phase = PHASE_RUN;
	proc.base = make_base();
	watch_parent();
	return 0;
}

static void
ping(void)
{
	struct imsg_hdr h = {.type = IMSG_PROC_PING};

	assert_int_equal(send(hagwd, &h, sizeof(h), 0), sizeof(h));
}

static unsigned int
pongs(void)
{
	struct imsg_hdr h;
	unsigned int n = 0;

	while (recv(hagwd, &h, sizeof(h), MSG_DONTWAIT) > 0)
		n += h.type == IMSG_PROC_PONG;
	return n;
}

static void
turn(void)
{
	event_base_loop(proc.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static void
a_message_may_wait(void **state)
{
	uint64_t start = clock_us();

	(void)state;
	ping();
	turn();
	assert_int_equal(pongs(), 1);

	proc_wait(100000);
	proc_wait(50000000); /* counted from the first */
	ping();
	turn();
	assert_int_equal(pongs(), 0);
	event_base_loop(proc.base, EVLOOP_ONCE);
	assert_int_equal(pongs(), 1);
	assert_true(clock_us() - start >= 100000);
	assert_true(clock_us() - start < 50000000);

	/* and is watched for again */
	ping();
	turn();
	assert_int_equal(pongs(), 1);
}

static void
a_look_ends_the_wait(void **state)
{
	(void)state;
	proc_look(); /* nothing waits: hagwd is watched */
	proc_wait(50000000);
	ping();
	ping();
	turn();
	assert_int_equal(pongs(), 0);
	proc_look();
	assert_int_equal(pongs(), 2);
	ping();
	turn();
	assert_int_equal(pongs(), 1);
}

static bool
stay(void)
{
	return true;
}

static void
an_orphan_waits_for_nobody(void **state)
{
	static const struct proc_ops ops = {.orphaned = stay};

	(void)state;
	proc.ops = &ops;
	proc_wait(1000);
	close(hagwd);
	event_base_loop(proc.base, EVLOOP_ONCE);
	assert_true(proc.orphan);
	proc_wait(1000);
	assert_false(event_pending(proc.later, EV_TIMEOUT, NULL));
	proc_look();
	assert_false(event_pending(proc.rev, EV_READ, NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_message_may_wait),
	    cmocka_unit_test(a_look_ends_the_wait),
	    cmocka_unit_test(an_orphan_waits_for_nobody),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
