/*
 * Users of the control socket: whole packets, half ones, too many, from root
 * and others, while the parent answers, is late or says nothing.
 */
#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

/* how much waits for readers is not for others to know */
#include "ctl/ctld_client.c"

#define USERS 4
#define ASKED 64 /* more than can be open at a time */

static struct event_base *loop;
static struct {
	struct imsgbuf ibuf;
	uid_t uid;
	bool there;
} users[USERS];
static struct {
	uint32_t id;
	bool open;
} asked[ASKED];
static unsigned int nasked;
static unsigned int nopen;

/* What the parent is asked is sane, and never the same number twice. */
static void
on_request(uint32_t id, const struct ctl_request *req)
{
	CHECK(id != 0);
	CHECK(req->what > 0 && req->what < CTL_WHAT_MAX &&
	    req->what != CTL_WHAT_CHANGE);
	CHECK(memchr(req->arg, '\0', sizeof(req->arg)) != NULL);
	CHECK(req->reserved == 0 && req->number <= CTL_EVENTS_MAX);
	for (unsigned int i = 0; i < ASKED; i++)
		CHECK(!asked[i].open || asked[i].id != id);
	CHECK(++nopen <= USERS * CLIENT_REQUESTS_MAX);
	/* one that is not answered stays where it is, however many follow */
	while (asked[nasked % ASKED].open)
		nasked++;
	asked[nasked % ASKED].id = id;
	asked[nasked++ % ASKED].open = true;
}

static void
closed(uint32_t id)
{
	for (unsigned int i = 0; i < ASKED; i++) {
		if (!asked[i].open || asked[i].id != id)
			continue;
		asked[i].open = false;
		nopen--;
		return;
	}
}

static void
on_cancel(uint32_t id)
{
	unsigned int before = nopen;

	closed(id);
	CHECK(nopen == before - 1);
}

static const struct relay_ops relays = {on_request, on_cancel};

static void
leave(unsigned int i)
{
	if (users[i].there)
		imsgbuf_clear(&users[i].ibuf);
	users[i].there = false;
}

static void
join(unsigned int i, uid_t uid)
{
	int sv[2];

	leave(i);
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv) == 0);
	CHECK(imsgbuf_init(&users[i].ibuf, sv[0]) == 0);
	users[i].uid = uid;
	users[i].there = client_new(sv[1], uid, 1) != NULL;
	if (!users[i].there)
		imsgbuf_clear(&users[i].ibuf);
}

/* Raw bytes, with a descriptor or without. */
static void
send_raw(int sock, const void *p, size_t len, bool with_fd)
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)p, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	int fd = -1;

	if (with_fd) {
		CHECK((fd = open("/dev/null", O_RDONLY)) != -1);
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		control.hdr.cmsg_level = SOL_SOCKET;
		control.hdr.cmsg_type = SCM_RIGHTS;
		control.hdr.cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(&control.hdr), &fd, sizeof(fd));
	}
	(void)!sendmsg(sock, &msg, MSG_NOSIGNAL);
	if (fd != -1)
		close(fd);
}

static void
user_request(struct in *in, unsigned int i, bool with_fd)
{
	struct {
		struct imsg_hdr hdr;
		struct ctl_request req;
	} m = {.hdr = {.type = IMSG_CTL_REQUEST,
		   .len = sizeof(m.req),
		   .hasfd = with_fd}};
	size_t got;
	const uint8_t *p;

	m.hdr.id = in_u8(in);
	m.req.what = in_u8(in);
	m.req.flags = in_u8(in);
	m.req.number = in_u16(in);
	p = in_bytes(in, in_u8(in), &got);
	memcpy(m.req.arg, p, got < sizeof(m.req.arg) ? got : sizeof(m.req.arg));
	send_raw(users[i].ibuf.fd, &m, sizeof(m), with_fd);
}

/* hagwd's answer to a request, open or long gone. */
static void
answer(struct in *in)
{
	static uint8_t row[sizeof(struct ctl_text)];
	uint32_t id = asked[in_u8(in) % ASKED].id;
	struct imsg im = {.hdr = {.id = id}, .data = row, .fd = -1};
	uint8_t type = in_u8(in), times = in_u8(in);
	const struct imsg_rule *r;

	im.hdr.type = IMSG_CTL_END + type % (IMSG_MAX - IMSG_CTL_END);
	r = imsg_rule(im.hdr.type);
	if (r == NULL)
		return;
	im.hdr.len = r->len < sizeof(row) ? r->len : sizeof(row);
	if (im.hdr.type == IMSG_CTL_END)
		closed(id);
	for (unsigned int i = 0; i <= times; i++)
		relay_row(&im);
}

static void
read_all(unsigned int i)
{
	struct imsg im;

	while (users[i].there && imsg_read(&users[i].ibuf, &im) == IMSG_OK) {
		/* nothing but greetings, rows and ends go to a user */
		CHECK(imsg_check_user(&im, 2) == IMSG_FINE);
	}
}

static void
step(struct in *in)
{
	uint8_t op = in_u8(in);
	unsigned int i = op >> 4 & 3;
	bool flag = op >> 6 & 1;
	size_t got;
	const uint8_t *p;

	switch (op & 7) {
	case 0:
		join(i, flag ? 1000 : 0);
		break;
	case 1:
		leave(i);
		break;
	case 2:
	case 3:
		if (users[i].there)
			user_request(in, i, flag && (op & 0x80));
		break;
	case 4:
		p = in_bytes(in, in_u16(in), &got);
		if (users[i].there && got > 0)
			send_raw(users[i].ibuf.fd, p, got, flag);
		break;
	case 5:
		answer(in);
		break;
	case 6:
		read_all(i);
		break;
	case 7:
		fuzz_now_us += in_u8(in) * 500000ULL;
		relay_expire(fuzz_now_us);
		clients_expire(fuzz_now_us);
		break;
	}
	if (op & 8)
		event_base_loop(loop, EVLOOP_NONBLOCK);
	CHECK(clients_count() <= CLIENTS_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct in in = {data, len};

	if (loop == NULL) {
		loop = event_base_new();
		CHECK(loop != NULL);
	}
	memset(asked, 0, sizeof(asked));
	nasked = nopen = 0;
	clients_init(loop, &relays);
	join(0, 0);
	while (in.left > 0)
		step(&in);
	clients_close();
	CHECK(clients_count() == 0 && nopen == 0 && nqueued == 0);
	for (unsigned int i = 0; i < USERS; i++)
		leave(i);
	return 0;
}
