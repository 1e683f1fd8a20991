/*
 * A child's reading of what comes down its socketpair. hagwd is trusted,
 * but a child must not be led astray by bytes out of order: it either takes
 * a message that its table allows, or it ends.
 */
#include <sys/socket.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "log.h"

static _Noreturn void ends(void);

/* ending is not the end of the fuzzing */
#define exit(code)  ends()
#define fatal(...)  ends()
#define fatalx(...) ends()
#include "common/proc.c"
#undef exit
#undef fatal
#undef fatalx

#define FDS_MAX 3

static jmp_buf ended;
static enum imsg_phase phase_before;
static struct conf *running;
static int sv[2];

static void
ends(void)
{
	longjmp(ended, 1);
}

void
sandbox_prepare(const struct sandbox_profile *p, int keep)
{
	(void)p;
	(void)keep;
}

unsigned int
sandbox_enter(const struct sandbox_profile *p, const char *dir)
{
	(void)p;
	(void)dir;
	return 0;
}

/* Whatever gets to a handler is as the table says. */
static void
take(const struct imsg *im)
{
	const struct imsg_rule *r = imsg_rule(im->hdr.type);

	CHECK(r != NULL && (r->to & 1u << proc.profile->id) != 0);
	CHECK((r->phases & phase_before) != 0);
	CHECK(r->fd == (im->fd != -1));
	CHECK(r->unit != 0 || im->hdr.len == r->len);
	free(fenced(im->data, im->hdr.len));
	if (im->fd != -1)
		close(im->fd);
	if (im->hdr.type == IMSG_CTL_SHOW)
		proc_ctl_end(im->hdr.id, 0, "%s", "");
	proc_event("%s", "something");
}

static int
check(const struct conf *c, char *why, size_t whysz)
{
	CHECK(c->h.nsources == 0 || c->sources != NULL);
	CHECK(c->h.nforwards == 0 || c->forwards != NULL);
	if (c->h.nforwards % 7 != 6)
		return 0;
	snprintf(why, whysz, "seven is too many");
	return -1;
}

static void
commit(struct conf *c)
{
	conf_free(running);
	running = c;
	for (uint32_t i = 0; i < c->h.nsources; i++)
		free(fenced(&c->sources[i], sizeof(c->sources[i])));
	for (uint32_t i = 0; i < c->h.nforwards; i++)
		free(fenced(&c->forwards[i], sizeof(c->forwards[i])));
}

static struct proc_handler handlers[IMSG_MAX];
static const struct proc_ops ops = {
    .handlers = handlers,
    .nhandlers = nitems(handlers),
    .reconf_check = check,
    .reconf_commit = commit,
};

static void
setup(uint8_t first)
{
	static struct sandbox_profile profile;

	for (uint32_t i = 0; i < IMSG_MAX; i++)
		handlers[i] = (struct proc_handler){(enum imsg_type)i, take};
	conf_free(proc.next);
	conf_free(running);
	running = NULL;
	memset(&proc, 0, sizeof(proc));
	profile.id = (enum proc_id)(1 + first % (PROC_MAX - 1));
	proc.profile = &profile;
	proc.ops = &ops;
	proc.phase = first & 0x80 ? PHASE_RUN : PHASE_IDLE;
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv) == 0);
	CHECK(imsgbuf_init(&proc.ibuf, sv[0]) == 0);
}

static void
send_packet(const void *p, size_t len, unsigned int nfds)
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)p, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	int fds[FDS_MAX];

	for (unsigned int i = 0; i < nfds; i++)
		CHECK((fds[i] = open("/dev/null", O_RDONLY)) != -1);
	if (nfds > 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		control.hdr.cmsg_level = SOL_SOCKET;
		control.hdr.cmsg_type = SCM_RIGHTS;
		control.hdr.cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(&control.hdr), fds, nfds * sizeof(int));
	}
	CHECK(sendmsg(sv[1], &msg, 0) == (ssize_t)len);
	for (unsigned int i = 0; i < nfds; i++)
		close(fds[i]);
}

/* What the child says meanwhile is its to say. */
static void
drain(void)
{
	static unsigned char buf[IMSG_PACKET_MAX];
	struct imsg im = {.fd = -1};
	ssize_t n;

	while ((n = recv(sv[1], buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		CHECK((size_t)n >= sizeof(im.hdr));
		memcpy(&im.hdr, buf, sizeof(im.hdr));
		CHECK(im.hdr.len == (size_t)n - sizeof(im.hdr));
		CHECK(imsg_check_from(&im, proc.profile->id, PHASE_RUN) ==
		    IMSG_FINE);
	}
}

/* How, type, length and payload; or all of it the sender's choice. */
static void
step(struct in *in)
{
	static uint8_t packet[IMSG_PACKET_MAX];
	uint8_t how = in_u8(in), type = in_u8(in);
	unsigned int nfds = how & 3;
	struct imsg_hdr hdr = {.type = type % IMSG_MAX, .hasfd = nfds > 0};
	const struct imsg_rule *r = imsg_rule(hdr.type);
	size_t got, len = in_u16(in);
	const uint8_t *p =
	    in_bytes(in, len < IMSG_DATA_MAX ? len : IMSG_DATA_MAX, &got);

	len = got;
	memset(packet, 0, sizeof(hdr) + sizeof(struct conf_head));
	if (r != NULL && r->unit == 0 && r->len > len && (how & 4))
		len = r->len; /* the rest are zeros */
	hdr.id = type;
	hdr.len = (uint32_t)len;
	if (how & 8) {
		memcpy(packet, p, got);
		send_packet(packet, got > 0 ? got : 1, nfds);
	} else {
		memcpy(packet, &hdr, sizeof(hdr));
		memcpy(packet + sizeof(hdr), p, got);
		send_packet(packet, sizeof(hdr) + len, nfds);
	}
	phase_before = proc.phase;
	parent_readable(proc.ibuf.fd, EV_READ, NULL);
	drain();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct in in = {data, len};
	int low = open("/dev/null", O_RDONLY);

	CHECK(low != -1);
	close(low);
	setup(in_u8(&in));
	if (setjmp(ended) == 0) {
		while (in.left > 3)
			step(&in);
		imsgbuf_clear(&proc.ibuf);
		close(sv[1]);
		CHECK((sv[0] = open("/dev/null", O_RDONLY)) == low);
		close(sv[0]);
	} else {
		/* a process that ends closes all */
		imsgbuf_clear(&proc.ibuf);
		for (int fd = low; fd < low + 8; fd++)
			close(fd);
	}
	return 0;
}
