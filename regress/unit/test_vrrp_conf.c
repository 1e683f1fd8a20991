/* From conf to group: what a reload keeps, names, reasons. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vrrpd/vrrpd.h"

static struct conf *conf;
static struct vrrp_net old[CONF_NETS_MAX], nets[CONF_NETS_MAX];
static int8_t from[CONF_NETS_MAX];

static void
add_net(struct conf *c, const char *name, const char *ifname, int third)
{
	struct conf_net *net = &c->h.nets[c->h.nnets];
	char buf[32];
	int node;

	memset(net, 0, sizeof(*net));
	snprintf(net->name, sizeof(net->name), "%s", name);
	for (node = 0; node < 2; node++) {
		snprintf(net->ifname[node], IFNAMSIZ, "%s", ifname);
		snprintf(buf, sizeof(buf), "172.%d.0.%d", third, 10 + node);
		net->addr[node].s_addr = inet_addr(buf);
	}
	snprintf(buf, sizeof(buf), "172.%d.0.100", third);
	net->vip.s_addr = inet_addr(buf);
	net->plen = 16;
	net->vrid = (uint8_t)third;
	c->h.ha.nets[c->h.ha.nnets++] = c->h.nnets++;
}

static struct conf *
make(void)
{
	struct conf *c = conf_new();

	assert_non_null(c);
	c->h.nnodes = 2;
	snprintf(c->h.nodes[0].name, CONF_NAME_MAX, "nat1");
	snprintf(c->h.nodes[1].name, CONF_NAME_MAX, "nat2");
	c->h.nodes[0].priority = 200;
	c->h.nodes[1].priority = 100;
	c->h.ha.advertise_us = 1000000;
	return c;
}

/* Running: net1 and net2, with sockets and a history. */
static int
setup(void **state)
{
	unsigned int i, n;

	(void)state;
	conf = make();
	add_net(conf, "net1", "eth0", 23);
	add_net(conf, "net2", "eth1", 24);
	n = vrrp_conf_nets(NULL, conf, NULL, 0, old, from);
	assert_int_equal(n, 2);
	for (i = 0; i < n; i++) {
		assert_int_equal(from[i], -1);
		assert_int_equal(old[i].slot, i);
		assert_int_equal(old[i].rx, -1);
		old[i].rx = open("/dev/null", O_RDONLY);
		old[i].tx = open("/dev/null", O_WRONLY);
		old[i].link = LINK_UP;
		old[i].row.sent = 7 + i;
		old[i].seen_us = 99;
	}
	return 0;
}

static int
teardown(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++)
		io_net_close(&old[i]);
	for (i = 0; i < conf->h.ha.nnets; i++)
		io_net_close(&nets[i]);
	conf_free(conf);
	return 0;
}

static unsigned int
reload(struct conf *next)
{
	unsigned int n = vrrp_conf_nets(conf, next, old, 2, nets, from);

	conf_free(conf);
	conf = next;
	return n;
}

static void
kept_and_renumbered(void **state)
{
	struct conf *next = make();

	(void)state;
	add_net(next, "net0", "eth2", 22);
	add_net(next, "net2", "eth1", 24);
	add_net(next, "net1", "eth0", 23);
	assert_int_equal(reload(next), 3);
	assert_int_equal(from[0], -1);
	assert_int_equal(from[1], 1);
	assert_int_equal(from[2], 0);
	assert_int_equal(nets[0].rx, -1);
	assert_int_equal(nets[0].link, LINK_UNKNOWN);
	assert_int_not_equal(nets[1].rx, -1);
	assert_int_not_equal(nets[2].tx, -1);
	assert_int_equal(nets[2].row.sent, 7);
	assert_int_equal(nets[2].seen_us, 99);
	assert_int_equal(nets[2].slot, 2);
	assert_int_equal(nets[2].conf_net, 2);
	assert_int_equal(old[0].rx, -1);
	assert_int_equal(old[1].tx, -1);
}

static void
removed_is_left_behind(void **state)
{
	struct conf *next = make();

	(void)state;
	add_net(next, "net2", "eth1", 24);
	assert_int_equal(reload(next), 1);
	assert_int_equal(from[0], 1);
	assert_int_not_equal(old[0].rx, -1);
	assert_int_equal(old[1].rx, -1);
}

static void
other_vip_keeps_sockets(void **state)
{
	struct conf *next = make();

	(void)state;
	add_net(next, "net1", "eth0", 23);
	add_net(next, "net2", "eth1", 24);
	next->h.nets[0].vip.s_addr = inet_addr("172.23.0.101");
	reload(next);
	assert_int_not_equal(nets[0].rx, -1);
	assert_int_equal(nets[0].row.vip.s_addr, inet_addr("172.23.0.101"));
}

static void
other_vrid_or_interface(void **state)
{
	struct conf *next = make();
	int rx = old[0].rx;

	(void)state;
	add_net(next, "net1", "eth0", 23);
	add_net(next, "net2", "eth7", 24);
	next->h.nets[0].vrid = 99;
	reload(next);
	/* the link belongs to the interface, the counters to the name */
	assert_int_equal(nets[0].rx, -1);
	assert_int_equal(fcntl(rx, F_GETFD), -1);
	assert_int_equal(from[0], 0);
	assert_int_equal(nets[0].link, LINK_UP);
	assert_int_equal(nets[0].row.vrid, 99);
	assert_int_equal(nets[0].row.sent, 7);
	assert_int_equal(nets[0].seen_us, 0);
	assert_int_equal(nets[1].rx, -1);
	assert_int_equal(from[1], -1);
	assert_int_equal(nets[1].link, LINK_UNKNOWN);
}

static void
machine_settings(void **state)
{
	struct fsm_cfg cfg;

	(void)state;
	conf->h.self = 1;
	conf->h.ha.preempt = 1;
	conf->h.ha.preempt_after_us = 5;
	vrrp_conf_fsm(conf, &cfg);
	assert_int_equal(cfg.priority, 100);
	assert_int_equal(cfg.interval_us, 1000000);
	assert_int_equal(cfg.preempt_after_us, 5);
	assert_int_equal(cfg.nnets, 2);
	assert_true(cfg.preempt);
}

static void
refused(void **state)
{
	char why[CTL_TEXT_MAX];

	(void)state;
	assert_int_equal(vrrp_conf_check(conf, why, sizeof(why)), 0);
	conf->h.nets[1].vrid = 0;
	assert_int_equal(vrrp_conf_check(conf, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "net2"));
	conf->h.nets[1].vrid = 24;
	conf->h.ha.advertise_us = 9999;
	assert_int_equal(vrrp_conf_check(conf, why, sizeof(why)), -1);
	conf->h.ha.nnets = 0;
	assert_int_equal(vrrp_conf_check(conf, why, sizeof(why)), 0);
}

static void
says(struct fsm_action a, const char *want)
{
	static struct vrrp_group g;
	char buf[CTL_TEXT_MAX];

	g.conf = conf;
	g.fsm.cfg.priority = 200;
	memcpy(g.nets, old, sizeof(old));
	vrrp_reason(&g, &a, buf);
	assert_string_equal(buf, want);
}

static void
sentences(void **state)
{
	struct in_addr nat1 = {inet_addr("172.23.0.10")};
	struct in_addr alien = {inet_addr("172.23.0.77")};

	(void)state;
	says((struct fsm_action){.why = WHY_ZERO, .src = nat1},
	    "nat1 (172.23.0.10) released");
	says(
	    (struct fsm_action){.why = WHY_SILENCE, .src = nat1, .us = 3219999},
	    "nothing heard from nat1 for 3.219s");
	says((struct fsm_action){.why = WHY_SILENCE, .src = alien, .us = 38000},
	    "nothing heard from 172.23.0.77 for 0.038s");
	says((struct fsm_action){.why = WHY_SILENCE, .us = 3000000},
	    "nothing heard for 3.000s");
	says(
	    (struct fsm_action){
		.why = WHY_PREEMPTED, .src = alien, .priority = 100},
	    "preempted 172.23.0.77: priority 200 over 100");
	says(
	    (struct fsm_action){
		.why = WHY_SUCCESSOR, .src = nat1, .release = RELEASE_FAILOVER},
	    "released by hactl failover: nat1 (172.23.0.10) took over");
	says((struct fsm_action){.why = WHY_LINK_DOWN, .net = 1},
	    "net2 has no link on eth1");
}

static void
every_reason_has_words(void **state)
{
	struct fsm_action a = {.release = RELEASE_SHUTDOWN};
	static struct vrrp_group g;
	char buf[CTL_TEXT_MAX];
	int why;

	(void)state;
	g.conf = conf;
	for (why = 0; why < WHY_MAX; why++) {
		a.why = (enum fsm_why)why;
		buf[0] = '\0';
		vrrp_reason(&g, &a, buf);
		assert_true(strlen(buf) > 5);
	}
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(kept_and_renumbered),
	    TEST(removed_is_left_behind),
	    TEST(other_vip_keeps_sockets),
	    TEST(other_vrid_or_interface),
	    TEST(machine_settings),
	    TEST(refused),
	    TEST(sentences),
	    TEST(every_reason_has_words),
	};

	return cmocka_run_group_tests_name("vrrp_conf", tests, NULL, NULL);
}
