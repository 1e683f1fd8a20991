/* A child that never stops talking does not keep hagwd from the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* what is tested is how its own static functions share the loop's turns */
#include "parentd/child.c"

struct daemon hagwd;

void
parentd_all_running(void)
{
}

/* hagwd's side of a running child; returns the child's end. */
static int
running(enum proc_id id)
{
	struct child *c = &hagwd.children[id];
	int sv[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv), 0);
	*c = (struct child){.id = id, .state = CHILD_RUNNING};
	assert_int_equal(child_watch(c, sv[0]), 0);
	return sv[1];
}

static void
pong(int fd)
{
	struct imsg_hdr h = {.type = IMSG_PROC_PONG};

	(void)send(fd, &h, sizeof(h), MSG_NOSIGNAL);
}

/* As much as hagwd takes out of it in so many turns. */
static void
flood(int fd, int turns)
{
	for (int i = 0; i < turns * CHILD_READ_BATCH; i++)
		pong(fd);
}

static void
done(enum proc_id id, int fd)
{
	child_close(&hagwd.children[id]);
	hagwd.children[id].messages = 0;
	close(fd);
}

/* Until so many were heard; pong_us is then when each one's last was. */
static void
hear(unsigned int n)
{
	unsigned int heard = 0;

	for (int turn = 0; turn < 300 && heard < n; turn++) {
		event_base_loop(hagwd.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		heard = 0;
		for (int id = 0; id < PROC_MAX; id++)
			heard += (unsigned int)hagwd.children[id].messages;
	}
	assert_int_equal(heard, n);
}

static void
heard_beside_a_flood_of(enum proc_id loud, enum proc_id quiet)
{
	int a = running(loud), b = running(quiet);

	flood(a, 4);
	pong(b);
	hear(4 * CHILD_READ_BATCH + 1);
	assert_true(
	    hagwd.children[quiet].pong_us < hagwd.children[loud].pong_us);
	done(loud, a);
	done(quiet, b);
}

static void
test_no_child_starves_another(void **state)
{
	(void)state;
	for (int loud = PROC_PARENT + 1; loud < PROC_MAX; loud++)
		for (int quiet = PROC_PARENT + 1; quiet < PROC_MAX; quiet++)
			if (loud != quiet)
				heard_beside_a_flood_of(
				    (enum proc_id)loud, (enum proc_id)quiet);
}

/* A batch of flows is enough for a turn, and a look for another is spared. */
static void
test_one_batch_at_a_time(void **state)
{
	int sync = running(PROC_SYNC);

	(void)state;
	flood(sync, 1);
	for (int turn = 1; turn <= 3; turn++) {
		event_base_loop(hagwd.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		assert_int_equal(hagwd.children[PROC_SYNC].messages, turn);
	}
	hear(CHILD_READ_BATCH);
	done(PROC_SYNC, sync);
}

static void
test_vrrpd_comes_first(void **state)
{
	int sync = running(PROC_SYNC), vrrp = running(PROC_VRRP);

	(void)state;
	flood(sync, 1);
	pong(vrrp);
	hear(CHILD_READ_BATCH + 1);
	assert_true(hagwd.children[PROC_VRRP].pong_us <=
	    hagwd.children[PROC_SYNC].pong_us);
	done(PROC_SYNC, sync);
	done(PROC_VRRP, vrrp);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_child_starves_another),
	    cmocka_unit_test(test_one_batch_at_a_time),
	    cmocka_unit_test(test_vrrpd_comes_first),
	};
	int failed;

	hagwd.base = event_base_new();
	event_base_priority_init(hagwd.base, PROC_NPRIO);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	event_base_free(hagwd.base);
	return failed;
}
