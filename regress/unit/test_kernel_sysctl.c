/* Sysctls set, kept over a crash, put back; timeouts and counts. */
#include "test_kernel.h"

#include <sys/stat.h>

#include <linux/netfilter/nf_conntrack_tcp.h>

#include "parentd/parentd.h"

static char dir[] = "/tmp/hagw-sysctlXXXXXX";

static int
setup(void **state)
{
	(void)tk_setup(state);
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	return rmdir(dir);
}

static int
get(const char *name)
{
	return atoi(tk_out("cat /proc/sys/net/%s", name));
}

static void
set_and_restore(void **state)
{
	struct stat st;
	char path[128];

	(void)state;
	TK_NEED();
	tk_run("echo 0 >/proc/sys/net/ipv4/ip_forward");
	tk_run("echo 2 >/proc/sys/net/netfilter/nf_conntrack_events");
	assert_int_equal(sysctl_apply(dir), 0);
	assert_int_equal(get("ipv4/ip_forward"), 1);
	assert_int_equal(get("netfilter/nf_conntrack_events"), 1);
	(void)snprintf(path, sizeof(path), "%s/sysctl.saved", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	tk_has(tk_out("cat %s", path), "net/ipv4/ip_forward=0\n");
	/* started again after a crash: the file knows better */
	assert_int_equal(sysctl_apply(dir), 0);
	sysctl_restore(dir);
	assert_int_equal(get("ipv4/ip_forward"), 0);
	assert_int_equal(get("netfilter/nf_conntrack_events"), 2);
	assert_int_equal(stat(path, &st), -1);
	tk_run("echo 1 >/proc/sys/net/ipv4/ip_forward");
	sysctl_restore(dir); /* nothing kept: nothing done */
	assert_int_equal(get("ipv4/ip_forward"), 1);
}

static void
damaged_file(void **state)
{
	(void)state;
	TK_NEED();
	tk_run("echo 0 >/proc/sys/net/ipv4/ip_forward");
	tk_run("printf 'net/ipv4/ip_forward=1\\nkernel/panic=1\\nx\\n=\\n'"
	       " >%s/sysctl.saved",
	    dir);
	assert_int_equal(sysctl_apply(dir), 0);
	tk_has_not(tk_out("cat %s/sysctl.saved", dir), "panic");
	sysctl_restore(dir);
	assert_int_equal(get("ipv4/ip_forward"), 1);
}

static void
no_place_to_keep(void **state)
{
	(void)state;
	TK_NEED();
	tk_run("echo 0 >/proc/sys/net/ipv4/ip_forward");
	/* a full disk is no reason not to be a gateway; the log says so */
	assert_int_equal(sysctl_apply("/nonexistent"), 0);
	assert_int_equal(get("ipv4/ip_forward"), 1);
}

static void
timeouts_and_counts(void **state)
{
	struct imsg_ct_timeouts t;
	struct imsg_ct_count c;

	(void)state;
	TK_NEED();
	tk_run("cd /proc/sys/net/netfilter;"
	       "echo 77 >nf_conntrack_tcp_timeout_last_ack;"
	       "echo 78 >nf_conntrack_udp_timeout_stream;"
	       "echo 79 >nf_conntrack_icmpv6_timeout");
	sysctl_ct_timeouts(&t);
	assert_int_equal(t.tcp[TCP_CONNTRACK_LAST_ACK], 77);
	assert_int_equal(t.tcp[TCP_CONNTRACK_ESTABLISHED],
	    get("netfilter/nf_conntrack_tcp_timeout_established"));
	assert_int_equal(t.tcp[TCP_CONNTRACK_SYN_SENT2],
	    get("netfilter/nf_conntrack_tcp_timeout_syn_sent"));
	assert_int_equal(t.udp_replied, 78);
	assert_int_equal(
	    t.udp_unreplied, get("netfilter/nf_conntrack_udp_timeout"));
	assert_int_equal(t.icmpv6, 79);
	assert_int_equal(
	    t.generic, get("netfilter/nf_conntrack_generic_timeout"));
	tk_run("conntrack -I -s 10.1.0.9 -d 10.2.0.9 -p udp --sport 9 "
	       "--dport 9 -t 60 >/dev/null 2>&1");
	sysctl_ct_count(&c);
	assert_int_equal(c.count, 1);
	assert_int_equal(c.max, get("netfilter/nf_conntrack_max"));
	assert_int_equal(sysctl_ct_drops(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(set_and_restore),
	    cmocka_unit_test(damaged_file),
	    cmocka_unit_test(no_place_to_keep),
	    cmocka_unit_test(timeouts_and_counts),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
