/* Addresses with a lifetime, and links, against ip(8). */
#include "test_kernel.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <net/if.h>

#include "clock.h"
#include "parentd/parentd.h"

static struct event_base *base;
static char link_last[IFNAMSIZ];
static int link_calls, addr_added, addr_deleted;

static void
on_link(const char *ifname)
{
	(void)snprintf(link_last, sizeof(link_last), "%s", ifname);
	link_calls++;
}

static void
on_addr(int ifindex, struct in_addr addr, bool deleted)
{
	if (ifindex == (int)if_nametoindex("va0") &&
	    addr.s_addr == inet_addr("10.9.0.1")) {
		addr_added += !deleted;
		addr_deleted += deleted;
	}
}

static struct kaddr
vip(const char *ifname, const char *addr)
{
	return (struct kaddr){.ifindex = (int)if_nametoindex(ifname),
	    .addr.s_addr = inet_addr(addr)};
}

static void
count(void *arg, const struct kaddr *a)
{
	size_t *n = arg;

	assert_true(a->left_s <= KADDR_LIFE_S);
	(*n)++;
}

static size_t
listed(void)
{
	size_t n = 0;

	assert_int_equal(kaddr_list(count, &n), 0);
	return n;
}

static int
setup(void **state)
{
	(void)tk_setup(state);
	if (tk_here) {
		tk_run("ip link add va0 type veth peer name va1");
		tk_run("ip link set va0 up; ip link set va1 up");
	}
	base = event_base_new();
	return 0;
}

static void
set_list_delete(void **state)
{
	struct kaddr a[3];
	const char *out;

	(void)state;
	TK_NEED();
	a[0] = vip("va0", "10.8.0.1");
	a[1] = vip("va0", "10.8.0.2");
	a[2] = vip("lo", "10.8.0.3");
	tk_run("ip addr add 10.8.0.4/32 dev va0"); /* not ours */
	assert_int_equal(kaddr_set(a, 3), 0);
	out = tk_out("ip -4 -d addr show dev va0");
	tk_has(out, "10.8.0.1/32");
	tk_has(out, "10.8.0.2/32");
	tk_has(out, "valid_lft 3sec");
	tk_has_not(tk_out("ip route"), "10.8.0");
	assert_int_equal(listed(), 3);
	assert_true(kaddr_present(a[0].ifindex, a[0].addr));
	assert_false(kaddr_present(a[2].ifindex, a[0].addr));
	assert_false(kaddr_present(a[0].ifindex, vip("va0", "10.8.0.4").addr));
	assert_int_equal(kaddr_del(a, 2), 0);
	assert_int_equal(kaddr_del(a, 3), 0); /* two are gone already */
	assert_int_equal(listed(), 0);
	tk_has(tk_out("ip addr show dev va0"), "10.8.0.4/32");
}

static void
gone_without_refresh(void **state)
{
	struct kaddr a[1];
	uint64_t start;
	int i;

	(void)state;
	TK_NEED();
	a[0] = vip("va0", "10.8.1.1");
	assert_int_equal(kaddr_set(a, 1), 0);
	for (i = 0; i < 5; i++) { /* 4.5 s: longer than its lifetime */
		tk_msleep(900);
		assert_true(kaddr_present(a[0].ifindex, a[0].addr));
		assert_int_equal(kaddr_set(a, 1), 0);
	}
	start = clock_us();
	while (strstr(tk_out("ip addr show dev va0"), "10.8.1.1") != NULL &&
	    clock_us() - start < 6000000)
		tk_msleep(20);
	print_message(
	    "gone after %.2f s\n", (double)(clock_us() - start) / 1e6);
	assert_in_range(clock_us() - start, 1900000, 4100000);
	assert_false(kaddr_present(a[0].ifindex, a[0].addr));
}

/* Nobody who watches must believe that the address went away. */
static void
refresh_does_not_flap(void **state)
{
	struct kaddr a[1];
	char name[] = "/tmp/hagw-monXXXXXX";
	const char *out;
	int fd, i;

	(void)state;
	TK_NEED();
	fd = mkstemp(name);
	assert_true(fd != -1);
	close(fd);
	a[0] = vip("va0", "10.8.2.1");
	assert_int_equal(kaddr_set(a, 1), 0);
	tk_run("timeout 2 ip monitor address route >%s 2>&1 & sleep 0.3", name);
	for (i = 0; i < 5; i++) {
		assert_int_equal(kaddr_set(a, 1), 0);
		tk_msleep(50);
	}
	tk_msleep(300);
	out = tk_out("cat %s; rm %s", name, name);
	tk_has(out, "10.8.2.1/32");
	tk_has_not(out, "Deleted");
	assert_int_equal(kaddr_del(a, 1), 0);
}

static void
adopts_an_untagged_one(void **state)
{
	struct kaddr a[1];

	(void)state;
	TK_NEED();
	a[0] = vip("va0", "10.8.3.1");
	tk_run("ip addr add 10.8.3.1/32 dev va0");
	assert_false(kaddr_present(a[0].ifindex, a[0].addr));
	assert_int_equal(kaddr_set(a, 1), 0);
	assert_true(kaddr_present(a[0].ifindex, a[0].addr));
	assert_int_equal(kaddr_del(a, 1), 0);
}

static void
many_in_one_batch(void **state)
{
	struct kaddr a[200];
	uint64_t start;
	int i;

	(void)state;
	TK_NEED();
	for (i = 0; i < 200; i++) {
		a[i] = vip("va0", "10.7.0.0");
		a[i].addr.s_addr |= htonl((uint32_t)i + 1);
	}
	start = clock_us();
	assert_int_equal(kaddr_set(a, 200), 0);
	print_message(
	    "200 addresses in %u us\n", (unsigned int)(clock_us() - start));
	assert_int_equal(listed(), 200);
	assert_int_equal(kaddr_del(a, 200), 0);
	assert_int_equal(listed(), 0);
}

static void
no_such_interface(void **state)
{
	struct kaddr a[1] = {{.ifindex = 99999}};

	(void)state;
	TK_NEED();
	a[0].addr.s_addr = inet_addr("10.8.4.1");
	assert_int_equal(kaddr_set(a, 1), ENODEV);
	assert_int_equal(kaddr_del(a, 1), 0);
}

/* Turn the loop until what is expected has come, for two seconds at most. */
#define LOOP_UNTIL(cond)                                               \
	do {                                                           \
		uint64_t loop_start = clock_us();                      \
		while (!(cond) && clock_us() - loop_start < 2000000) { \
			event_base_loop(base, EVLOOP_NONBLOCK);        \
			tk_msleep(1);                                  \
		}                                                      \
		assert_true(cond);                                     \
	} while (0)

static void
links_are_followed(void **state)
{
	uint64_t start;

	(void)state;
	TK_NEED();
	assert_int_equal(kif_init(base, on_link, on_addr), 0);
	assert_int_equal(link_calls, 0); /* the first dump is not news */
	assert_non_null(kif_find("va0"));
	assert_true(kif_find("va0")->up);
	assert_int_equal(kif_find("va0")->ifindex, if_nametoindex("va0"));
	assert_null(kif_find("va9"));
	tk_has(tk_out("cat /proc/self/net/dev"), "va0");

	tk_run("ip link set va1 down"); /* the peer's end: carrier is lost */
	start = clock_us();
	LOOP_UNTIL(!kif_find("va0")->up);
	print_message("carrier loss seen after %u us\n",
	    (unsigned int)(clock_us() - start));
	tk_run("ip link set va1 up");
	LOOP_UNTIL(kif_find("va0")->up);

	tk_run("ip link set va0 down");
	LOOP_UNTIL(!kif_find("va0")->up);
	tk_run("ip link set va0 name va9");
	LOOP_UNTIL(kif_find("va9") != NULL);
	assert_null(kif_find("va0"));
	tk_run("ip link set va9 name va0; ip link set va0 up");
	LOOP_UNTIL(kif_find("va0") != NULL && kif_find("va0")->up);
	tk_run("ip link set va0 address 02:00:00:00:00:07");
	LOOP_UNTIL(kif_find("va0")->mac[5] == 7);
}

static void
addresses_are_followed(void **state)
{
	(void)state;
	TK_NEED();
	tk_run("ip addr add 10.9.0.1/32 dev va0");
	LOOP_UNTIL(addr_added == 1);
	tk_run("ip addr del 10.9.0.1/32 dev va0");
	LOOP_UNTIL(addr_deleted == 1);
}

/* More events than the buffer holds: the table is right all the same. */
static void
overflow_reads_anew(void **state)
{
	(void)state;
	TK_NEED();
	tk_run("for i in $(seq 1 4000); do "
	       "echo link set va0 alias $i$i$i$i$i$i$i$i$i$i$i$i$i$i$i$i; "
	       "done >/tmp/hagw-kif.$$; "
	       "ip -batch /tmp/hagw-kif.$$; rm /tmp/hagw-kif.$$");
	tk_run("ip link add vb0 type veth peer name vb1");
	tk_run("ip link del va0");
	LOOP_UNTIL(kif_find("va0") == NULL && kif_find("va1") == NULL);
	LOOP_UNTIL(kif_find("vb0") != NULL);
	assert_false(kif_find("vb0")->up);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(set_list_delete),
	    cmocka_unit_test(gone_without_refresh),
	    cmocka_unit_test(refresh_does_not_flap),
	    cmocka_unit_test(adopts_an_untagged_one),
	    cmocka_unit_test(many_in_one_batch),
	    cmocka_unit_test(no_such_interface),
	    cmocka_unit_test(links_are_followed),
	    cmocka_unit_test(addresses_are_followed),
	    cmocka_unit_test(overflow_reads_anew),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
