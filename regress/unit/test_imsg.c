/* Framing, descriptors, the queue, and the table of rules. */
#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "imsg.h"
#include "imsg_msg.h"

struct pair {
	struct imsgbuf a;
	struct imsgbuf b;
};

static void
pair_open(struct pair *p)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	assert_int_equal(imsgbuf_init(&p->a, sv[0]), 0);
	assert_int_equal(imsgbuf_init(&p->b, sv[1]), 0);
}

static void
pair_close(struct pair *p)
{
	imsgbuf_clear(&p->a);
	imsgbuf_clear(&p->b);
}

static int
open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static void
test_round_trip(void **state)
{
	uint8_t three[3] = {1, 2, 3};
	uint32_t v = 0x12345678, got;
	struct pair p;
	struct imsg im;

	(void)state;
	pair_open(&p);
	assert_int_equal(imsg_read(&p.b, &im), IMSG_AGAIN);
	assert_int_equal(imsg_send(&p.a, 7, 42, -1, &v, sizeof(v)), 0);
	assert_int_equal(imsg_send(&p.a, 8, 43, -1, NULL, 0), 0);
	assert_int_equal(imsg_read(&p.b, &im), IMSG_OK);
	assert_int_equal(im.hdr.type, 7);
	assert_int_equal(im.hdr.id, 42);
	assert_int_equal(im.fd, -1);
	assert_int_equal(imsg_get(&im, &got, sizeof(got)), 0);
	assert_int_equal(got, v);
	assert_int_equal(imsg_get(&im, three, sizeof(three)), -1);
	assert_memory_equal(three, "\0\0\0", sizeof(three));
	assert_int_equal(imsg_read(&p.b, &im), IMSG_OK);
	assert_int_equal(im.hdr.len, 0);
	imsgbuf_clear(&p.a);
	assert_int_equal(imsg_read(&p.b, &im), IMSG_EOF);
	imsgbuf_clear(&p.b);
}

static void
test_descriptor(void **state)
{
	struct pair p;
	struct imsg im;
	int pipefd[2], before;

	(void)state;
	pair_open(&p);
	before = open_fds();
	assert_int_equal(pipe(pipefd), 0);
	assert_int_equal(imsg_send(&p.a, 1, 0, pipefd[0], NULL, 0), 0);
	assert_int_equal(imsg_read(&p.b, &im), IMSG_OK);
	assert_true(im.fd >= 0);
	assert_int_equal(fcntl(im.fd, F_GETFD), FD_CLOEXEC);
	close(im.fd);
	close(pipefd[1]);
	assert_int_equal(open_fds(), before); /* the sender's copy went too */
	pair_close(&p);
}

/* A hostile packet: two descriptors, or one not announced: none leaks. */
static void
send_raw(int sock, const struct imsg_hdr *h, size_t len, int nfds)
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(4 * sizeof(int))];
	} control = {0};
	int fds[4] = {0, 0, 0, 0};
	unsigned char buf[256] = {0};
	struct iovec iov = {buf, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	memcpy(buf, h, sizeof(*h));
	if (nfds > 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE((size_t)nfds * sizeof(int));
		control.hdr.cmsg_level = SOL_SOCKET;
		control.hdr.cmsg_type = SCM_RIGHTS;
		control.hdr.cmsg_len = CMSG_LEN((size_t)nfds * sizeof(int));
		memcpy(
		    CMSG_DATA(&control.hdr), fds, (size_t)nfds * sizeof(int));
	}
	assert_int_equal(sendmsg(sock, &msg, 0), (ssize_t)len);
}

static void
test_hostile_packets(void **state)
{
	static const struct {
		uint32_t len;
		uint32_t hasfd;
		size_t packet;
		int nfds;
	} bad[] = {
	    {0, 0, 0, 1}, /* nothing but a descriptor */
	    {0, 0, 0, 2}, /* or two */
	    {0, 0, 8, 0}, /* shorter than a header */
	    {5, 0, 16, 0}, /* says more than there is */
	    {0, 0, 20, 0}, /* has more than it says */
	    {0, 1, 16, 0}, /* descriptor announced, none there */
	    {0, 0, 16, 1}, /* descriptor not announced */
	    {0, 1, 16, 2}, /* two */
	    {0, 1, 16, 4}, /* more than the buffer has room for */
	};
	struct pair p;
	struct imsg im;
	int before;

	(void)state;
	pair_open(&p);
	before = open_fds();
	for (size_t i = 0; i < nitems(bad); i++) {
		struct imsg_hdr h = {
		    .type = 1, .len = bad[i].len, .hasfd = bad[i].hasfd};

		send_raw(p.a.fd, &h, bad[i].packet, bad[i].nfds);
		assert_int_equal(imsg_read(&p.b, &im), IMSG_ERR);
		assert_int_equal(errno, EBADMSG);
		assert_int_equal(open_fds(), before);
	}
	pair_close(&p);
}

static void
test_queue(void **state)
{
	static char big[32768];
	struct pair p;
	struct imsg im;
	uint32_t sent = 0, got = 0;

	(void)state;
	pair_open(&p);
	while (p.a.queued < 10)
		assert_int_equal(
		    imsg_send(&p.a, 1, sent++, -1, big, sizeof(big)), 0);
	while (got < sent) {
		if (imsg_read(&p.b, &im) == IMSG_AGAIN) {
			assert_true(imsg_flush(&p.a) >= 0);
			continue;
		}
		assert_int_equal(im.hdr.id, got++); /* in order */
	}
	assert_int_equal(p.a.queued, 0);
	assert_int_equal(imsg_send(&p.a, 1, 0, -1, big, IMSG_PACKET_MAX), -1);
	assert_int_equal(errno, EMSGSIZE);
	pair_close(&p);
}

static void
test_queue_is_bounded(void **state)
{
	static char big[32768];
	struct pair p;
	int ret = 0;

	(void)state;
	pair_open(&p);
	for (int i = 0; i < IMSG_QUEUE_MAX + 100 && ret == 0; i++)
		ret = imsg_send(&p.a, 1, 0, -1, big, i < 50 ? sizeof(big) : 1);
	assert_int_equal(ret, -1);
	assert_int_equal(errno, ENOBUFS);
	pair_close(&p);
}

static void
test_every_type_has_a_rule(void **state)
{
	(void)state;
	assert_null(imsg_rule(IMSG_NONE));
	assert_null(imsg_rule(IMSG_MAX));
	for (uint32_t t = IMSG_NONE + 1; t < IMSG_MAX; t++) {
		const struct imsg_rule *r = imsg_rule(t);

		assert_non_null(r->name);
		assert_true(r->from != 0 || r->to != 0 || r->user != 0);
		assert_true(r->phases != 0);
		assert_true(r->len + r->unit <= IMSG_DATA_MAX);
		/* no child hands the parent a descriptor */
		assert_false(r->fd && r->from != 0);
	}
}

static void
test_rules(void **state)
{
	static const struct {
		uint32_t type;
		uint32_t len;
		int fd;
		enum proc_id from;
		enum imsg_phase phase;
		enum imsg_check want;
	} cases[] = {
	    {IMSG_VRRP_STATE, sizeof(struct imsg_vrrp_state), -1, PROC_VRRP,
		PHASE_RUN, IMSG_FINE},
	    {IMSG_VRRP_STATE, sizeof(struct imsg_vrrp_state), -1, PROC_SYNC,
		PHASE_RUN, IMSG_BAD_SENDER},
	    {IMSG_VRRP_STATE, sizeof(struct imsg_vrrp_state), -1, PROC_VRRP,
		PHASE_START, IMSG_BAD_PHASE},
	    {IMSG_VRRP_STATE, sizeof(struct imsg_vrrp_state) - 1, -1, PROC_VRRP,
		PHASE_RUN, IMSG_BAD_LENGTH},
	    {IMSG_VRRP_STATE, sizeof(struct imsg_vrrp_state), 5, PROC_VRRP,
		PHASE_RUN, IMSG_BAD_FD},
	    {IMSG_CT_INJECT, 2 * sizeof(struct ct_rec), -1, PROC_SYNC,
		PHASE_RUN, IMSG_FINE},
	    {IMSG_CT_INJECT, 0, -1, PROC_SYNC, PHASE_RUN, IMSG_BAD_LENGTH},
	    {IMSG_CT_INJECT, sizeof(struct ct_rec) + 1, -1, PROC_SYNC,
		PHASE_RUN, IMSG_BAD_LENGTH},
	    {IMSG_CT_INJECT, sizeof(struct ct_rec), -1, PROC_NAT, PHASE_RUN,
		IMSG_BAD_SENDER},
	    {IMSG_RECONF_DONE, 0, -1, PROC_VRRP, PHASE_RUN, IMSG_BAD_SENDER},
	    {IMSG_FD_CTL, 0, -1, PROC_CTL, PHASE_RUN, IMSG_BAD_SENDER},
	    {IMSG_CTL_NODE, sizeof(struct ctl_node), -1, PROC_CTL, PHASE_RUN,
		IMSG_BAD_SENDER},
	    {IMSG_NONE, 0, -1, PROC_CTL, PHASE_RUN, IMSG_BAD_TYPE},
	    {IMSG_MAX, 0, -1, PROC_CTL, PHASE_RUN, IMSG_BAD_TYPE},
	    {UINT32_MAX, 0, -1, PROC_CTL, PHASE_RUN, IMSG_BAD_TYPE},
	};

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		struct imsg im = {
		    .hdr = {.type = cases[i].type, .len = cases[i].len},
		    .fd = cases[i].fd};

		assert_int_equal(
		    imsg_check_from(&im, cases[i].from, cases[i].phase),
		    cases[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_descriptor),
	    cmocka_unit_test(test_hostile_packets),
	    cmocka_unit_test(test_queue),
	    cmocka_unit_test(test_queue_is_bounded),
	    cmocka_unit_test(test_every_type_has_a_rule),
	    cmocka_unit_test(test_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
