/*
 * A child's side of its socketpair, as an attacker in it would use it: any
 * bytes as a packet, any descriptors with it, in any phase. hagwd's own
 * reading, checks and handlers run; what they would do to the kernel and to
 * other children is checked here instead.
 */
#include <sys/socket.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "parentd/daemon.h"
#include "sites.h"

/* which messages have a handler is not for others to know */
#include "parentd/dispatch.c"

#define FDS_MAX 4

struct daemon hagwd;

static bool violated; /* in this step */
static unsigned int sent;
static int low_fd; /* the next free one while nothing leaks */

/* What the rest of hagwd does with it */

void
child_violation(struct child *c, const char *why)
{
	CHECK(why != NULL && why[0] != '\0');
	CHECK(memchr(why, '\0', CTL_TEXT_MAX) != NULL);
	c->killed = true;
	violated = true;
}

void
child_send(enum proc_id id, enum imsg_type type, uint32_t msgid,
    const void *data, size_t len)
{
	child_send_fd(id, type, msgid, -1, data, len);
}

/* What goes out obeys the same table. */
void
child_send_fd(enum proc_id id, enum imsg_type type, uint32_t msgid, int fd,
    const void *data, size_t len)
{
	struct imsg im = {
	    .hdr = {.type = type, .len = (uint32_t)len, .id = msgid},
	    .data = data,
	    .fd = fd};
	enum imsg_check check = imsg_check_to(&im, id, PHASE_RUN);

	if (id == PROC_CTL && check == IMSG_BAD_SENDER)
		check = imsg_check_user(&im, 2); /* a row, on to the user */
	CHECK(check == IMSG_FINE);
	if (len > 0)
		free(fenced(data, len));
	if (fd != -1)
		close(fd);
	sent++;
}

bool
child_running(enum proc_id id)
{
	return hagwd.children[id].state == CHILD_RUNNING;
}

enum imsg_phase
child_phase(const struct child *c)
{
	switch (c->state) {
	case CHILD_RUNNING:
		return PHASE_RUN;
	case CHILD_CONFIGURING:
		return PHASE_IDLE;
	default:
		return PHASE_START;
	}
}

void
reconf_child(struct child *c)
{
	CHECK(c->state == CHILD_STARTING);
	c->state = CHILD_CONFIGURING;
}

void
reconf_drained(struct child *c, uint32_t number, const struct imsg_drained *msg)
{
	(void)number;
	CHECK(memchr(msg->why, '\0', sizeof(msg->why)) != NULL);
	c->state = CHILD_RUNNING;
}

void
reconf_reload(uint32_t ctl_id)
{
	control_end(ctl_id, 0, "%s", "");
}

void
takeover_state(enum role role, const char *reason)
{
	CHECK(role == ROLE_MASTER || role == ROLE_BACKUP || role == ROLE_FAULT);
	for (; *reason != '\0'; reason++)
		CHECK(*reason >= ' ' && *reason <= '~');
	hagwd.role = hagwd.view.role = role;
	hagwd.view.inject = role != ROLE_MASTER;
	handover_role_changed();
}

void
takeover_again(void)
{
}

void
show_node(uint32_t id)
{
	control_end(id, 0, "%s", "");
}

void
show_process(uint32_t id)
{
	control_end(id, 0, "%s", "");
}

void
sysctl_ct_count(struct imsg_ct_count *c)
{
	c->count = 1000;
}

bool
health_fit(void)
{
	return true;
}

void
health_tick(void)
{
}

void
health_nat_loaded(bool loaded)
{
	(void)loaded;
}

/* The kernel: nothing gets here that the site does not allow. */

bool
kct_there(const struct ct_rec *r)
{
	return (r->orig.sport & 1) != 0;
}

size_t
kct_apply(const struct ct_rec *recs, size_t n, struct imsg_ct_fail *fails)
{
	CHECK(n <= KCT_BATCH_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct ct_rec *r = &recs[i];

		CHECK(r->timeout_s <= CT_HOLD_MAX_S && r->zone == 0);
		CHECK(r->op != CT_OP_NEW || hagwd.role != ROLE_MASTER);
		if (r->op != CT_OP_NEW || r->family != AF_INET ||
		    r->reply.dst.v4.s_addr == r->orig.src.v4.s_addr)
			continue;
		CHECK(r->reply.dst.v4.s_addr == inet_addr("192.0.2.9") ||
		    r->reply.dst.v4.s_addr == inet_addr("10.0.0.9"));
	}
	if (n == 0)
		return 0;
	fails[0] = (struct imsg_ct_fail){(uint32_t)n - 1, EEXIST};
	return 1;
}

static int
some_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	CHECK(fd != -1);
	return fd;
}

int
kct_dump_socket(void)
{
	return some_fd();
}

int
kct_dump_ask(int fd)
{
	return fd == -1 ? -1 : 0;
}

int
aside_run(const struct child *c, int (*fn)(int fd), int fd)
{
	CHECK(c->id != PROC_PARENT && fd != -1);
	return fn(fd);
}

int
knft_dump_socket(const struct imsg_nat_dump *d)
{
	CHECK(memchr(d->set, '\0', sizeof(d->set)) != NULL);
	return d->what <= NAT_DUMP_TABLES ? some_fd() : -1;
}

int
knft_batch(const void *msgs, size_t len, struct knft_result *res)
{
	CHECK(authz_nat(&hagwd.view, msgs, len) == NULL);
	res->error = EBUSY;
	res->seq = 1;
	return -1;
}

/* One packet of a child */

static void
reset(void)
{
	control_child_died(PROC_CTL);
	handover_child_died(PROC_VRRP);
	memset(hagwd.peers, 0, sizeof(hagwd.peers));
	memset(hagwd.children, 0, sizeof(hagwd.children));
	for (int id = PROC_PARENT + 1; id < PROC_MAX; id++) {
		hagwd.children[id].id = (enum proc_id)id;
		hagwd.children[id].state = CHILD_RUNNING;
	}
	hagwd.role = hagwd.view.role = ROLE_BACKUP;
	hagwd.view.inject = true;
	hagwd.released = false;
	nat_batch_reset();
	fuzz_now_us = 1000000;
}

static void
setup(void)
{
	if (hagwd.conf == NULL) {
		hagwd.base = event_base_new();
		hagwd.conf = site_load(SITE_FORWARDS);
		CHECK(hagwd.base != NULL &&
		    authz_prepare(&hagwd.view, hagwd.conf) == 0);
	}
	reset();
}

static void
send_packet(int sock, const void *p, size_t len, unsigned int nfds)
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)p, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	int fds[FDS_MAX];

	if (nfds > 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		control.hdr.cmsg_level = SOL_SOCKET;
		control.hdr.cmsg_type = SCM_RIGHTS;
		control.hdr.cmsg_len = CMSG_LEN(nfds * sizeof(int));
		for (unsigned int i = 0; i < nfds; i++)
			fds[i] = some_fd();
		memcpy(CMSG_DATA(&control.hdr), fds, nfds * sizeof(int));
	}
	CHECK(sendmsg(sock, &msg, 0) == (ssize_t)len);
	for (unsigned int i = 0; i < nfds; i++)
		close(fds[i]);
}

static void
receive(struct child *c, struct imsgbuf *ib)
{
	struct imsg im;
	enum imsg_res res = imsg_read(ib, &im);
	void *copy;

	if (res == IMSG_ERR) {
		CHECK(errno == EBADMSG && im.fd == -1);
		child_violation(c, "malformed message");
		return;
	}
	CHECK(res == IMSG_OK && im.hdr.len <= IMSG_DATA_MAX);
	copy = fenced(im.data, im.hdr.len);
	im.data = copy;
	dispatch(c, &im);
	free(copy);
}

/*
 * A step: the child, how many descriptors, how the header is made, then the
 * length of the payload and the payload.
 */
static void
step(struct in *in, int sv[2], struct imsgbuf *ib)
{
	uint8_t how = in_u8(in), kind = in_u8(in);
	struct child *c = &hagwd.children[1 + how % (PROC_MAX - 1)];
	unsigned int nfds = how >> 4 & 1 ? how >> 5 & 3 : 0;
	uint8_t *packet = calloc(1, IMSG_PACKET_MAX);
	struct imsg_hdr hdr = {.id = in_u16(in), .hasfd = nfds > 0};
	size_t got, want = in_u16(in);
	const uint8_t *p =
	    in_bytes(in, want < IMSG_DATA_MAX ? want : IMSG_DATA_MAX, &got);

	CHECK(packet != NULL);
	violated = false;
	if (how & 0x80) { /* the header too is the attacker's */
		if (got == 0)
			p = packet, got = 1;
		send_packet(sv[1], p, got, nfds);
	} else {
		const struct imsg_rule *r = imsg_rule(kind % IMSG_MAX);
		size_t len = got;

		hdr.type = kind % IMSG_MAX;
		if (r != NULL && r->unit == 0 && r->len > got)
			len = r->len; /* the rest are zeros */
		memcpy(packet + sizeof(hdr), p, got);
		hdr.len = (uint32_t)len;
		memcpy(packet, &hdr, sizeof(hdr));
		send_packet(sv[1], packet, sizeof(hdr) + len, nfds);
	}
	free(packet);
	receive(c, ib);
	if (violated) { /* it is killed, and a new one comes up */
		memset(c, 0, sizeof(*c));
		c->id = (enum proc_id)(1 + how % (PROC_MAX - 1));
		c->state = how & 0x40 ? CHILD_STARTING : CHILD_RUNNING;
		control_child_died(c->id);
		handover_child_died(c->id);
	}
	if (kind == 0xff)
		control_expire();
	fuzz_now_us += kind * 1000u;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct in in = {data, len};
	struct imsgbuf ib;
	int sv[2], fd;

	setup();
	CHECK((low_fd = some_fd()) != -1);
	close(low_fd);
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv) == 0);
	CHECK(imsgbuf_init(&ib, sv[0]) == 0);
	while (in.left > 4)
		step(&in, sv, &ib);
	imsgbuf_clear(&ib);
	close(sv[1]);
	/* every descriptor that came was closed */
	CHECK((fd = some_fd()) == low_fd);
	close(fd);
	return 0;
}
