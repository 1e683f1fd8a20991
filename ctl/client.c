/* The conversation with ctld: connect, greeting, requests, rows, end. */
#include <sys/socket.h>
#include <sys/un.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "hactl.h"

static int
connect_failed(struct conn *c, const char *path)
{
	int error = errno;

	if (error == EACCES || error == EPERM) {
		snprintf(c->why, sizeof(c->why),
		    "no permission to ask hagwd (%s): be root, or a member "
		    "of group %s to look",
		    path, HAGW_GROUP);
		return EX_FAILED;
	}
	if (error == EAGAIN) {
		snprintf(c->why, sizeof(c->why),
		    "hagwd (%s) takes no connection: ctld hangs or is "
		    "overrun",
		    path);
		return EX_LATE;
	}
	snprintf(c->why, sizeof(c->why),
	    "no answer from hagwd (%s: %s); is it running? Its log says why "
	    "if it stopped",
	    path, strerror(error));
	return EX_NODAEMON;
}

static int
connect_to(struct conn *c, const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct timeval tv = clock_tv(HACTL_SHOW_US);
	int fd, code;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return connect_failed(c, path);
	}
	memcpy(sun.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	/* the time connect() waits when ctld accepts nobody */
	if (fd != -1)
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	if (fd == -1 ||
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		code = connect_failed(c, path);
		if (fd != -1)
			close(fd);
		return code;
	}
	if (imsgbuf_init(&c->ibuf, fd) == -1) {
		connect_failed(c, path);
		close(fd);
		return EX_FAILED;
	}
	return EX_DONE;
}

/* Wait for one message until a time: EX_DONE, EX_LATE or EX_NODAEMON. */
static int
next_message(struct conn *c, struct imsg *imsg, uint64_t until_us)
{
	struct pollfd pfd = {.fd = c->ibuf.fd, .events = POLLIN};
	bool reset = false;
	uint64_t now;

	for (;;) {
		switch (imsg_read(&c->ibuf, imsg)) {
		case IMSG_OK:
			return EX_DONE;
		case IMSG_AGAIN:
			break;
		case IMSG_ERR:
			/* what ctld said before it hung up is still there */
			if (errno == ECONNRESET && !reset) {
				reset = true;
				continue;
			}
			/* FALLTHROUGH */
		case IMSG_EOF:
			snprintf(c->why, sizeof(c->why),
			    "hagwd ended the conversation; is it stopping?");
			return EX_NODAEMON;
		}
		if ((now = clock_us()) >= until_us)
			return EX_LATE;
		poll(&pfd, 1,
		    until_us == CTL_NEVER ? -1
					  : (int)((until_us - now) / 1000 + 1));
	}
}

/* A message ctld should not send: other versions do. */
static int
not_understood(struct conn *c, const struct imsg *imsg)
{
	if (imsg->fd != -1)
		close(imsg->fd);
	snprintf(c->why, sizeof(c->why),
	    "hagwd sent what this hactl does not understand (type %u, %u "
	    "bytes): are both of version %s?",
	    imsg->hdr.type, imsg->hdr.len, HAGW_VERSION);
	return EX_FAILED;
}

/* An END that belongs to no request ends the conversation. */
static int
refused(struct conn *c, const struct imsg *imsg)
{
	struct ctl_end end;

	if (imsg_get(imsg, &end, sizeof(end)) == -1)
		return not_understood(c, imsg);
	out_clean_lines(end.text, sizeof(end.text));
	snprintf(c->why, sizeof(c->why), "%s", end.text);
	return EX_FAILED;
}

static int
greet(struct conn *c, uint64_t limit_us)
{
	struct imsg imsg;
	int code;

	code = next_message(c, &imsg, clock_us() + limit_us);
	if (code == EX_LATE)
		snprintf(c->why, sizeof(c->why),
		    "hagwd accepts connections but does not answer "
		    "(hactl show process, when it does again)");
	if (code != EX_DONE)
		return code;
	if (imsg.hdr.type == IMSG_CTL_END)
		return refused(c, &imsg);
	if (imsg.hdr.type != IMSG_CTL_HELLO ||
	    imsg_get(&imsg, &c->hello, sizeof(c->hello)) == -1)
		return not_understood(c, &imsg);
	out_clean(c->hello.version, sizeof(c->hello.version));
	out_clean(c->hello.build_id, sizeof(c->hello.build_id));
	if (strcmp(c->hello.version, HAGW_VERSION) == 0)
		return EX_DONE;
	snprintf(c->why, sizeof(c->why),
	    "hagwd is version %s, this hactl %s: restart hagwd, or use the "
	    "hactl it came with",
	    c->hello.version, HAGW_VERSION);
	return EX_FAILED;
}

int
conn_open(struct conn *c, const char *path, uint64_t limit_us)
{
	int code;

	memset(c, 0, sizeof(*c));
	if ((code = connect_to(c, path)) != EX_DONE)
		return code;
	if ((code = greet(c, limit_us)) != EX_DONE)
		conn_close(c);
	return code;
}

void
conn_close(struct conn *c)
{
	imsgbuf_clear(&c->ibuf);
}

static int
take_end(struct conn *c, const struct imsg *imsg, struct query *q)
{
	struct ctl_end end;

	if (imsg_get(imsg, &end, sizeof(end)) == -1)
		return not_understood(c, imsg);
	out_clean_lines(end.text, sizeof(end.text));
	q->ended = true;
	q->code = end.code;
	memcpy(q->text, end.text, sizeof(q->text));
	return EX_DONE;
}

static int
take_text(struct conn *c, const struct imsg *imsg, const struct conn_sink *sink)
{
	struct ctl_text text;

	if (imsg_get(imsg, &text, sizeof(text)) == -1 ||
	    text.len > sizeof(text.text))
		return not_understood(c, imsg);
	return sink->text(sink->arg, text.text, text.len);
}

static int
take_row(struct conn *c, struct imsg *imsg, const struct conn_sink *sink)
{
	union {
		struct ctl_vrrp_net align;
		unsigned char bytes[1024];
	} copy;
	enum row row = row_of_type(imsg->hdr.type);

	if (row == ROW_MAX || row_size(row) > sizeof(copy) ||
	    imsg_get(imsg, &copy, row_size(row)) == -1)
		return not_understood(c, imsg);
	row_clean(row, &copy);
	return sink->row(sink->arg, row, &copy);
}

static int
take(struct conn *c, struct imsg *imsg, struct query *q, size_t n,
    const struct conn_sink *sink)
{
	if (imsg_check_user(imsg, 2) != IMSG_FINE)
		return not_understood(c, imsg);
	if (imsg->hdr.id == 0 && imsg->hdr.type == IMSG_CTL_END)
		return refused(c, imsg);
	if (imsg->hdr.id == 0 || imsg->hdr.id > n)
		return not_understood(c, imsg);
	q += imsg->hdr.id - 1;
	if (imsg->hdr.type == IMSG_CTL_END)
		return take_end(c, imsg, q);
	if (imsg->hdr.type == IMSG_CTL_TEXT)
		return take_text(c, imsg, sink);
	return take_row(c, imsg, sink);
}

static bool
all_ended(const struct query *q, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!q[i].ended)
			return false;
	return true;
}

int
conn_ask(struct conn *c, struct query *q, size_t n, uint64_t limit_us,
    const struct conn_sink *sink)
{
	uint64_t until =
	    limit_us == CTL_NEVER ? CTL_NEVER : clock_us() + limit_us;
	struct imsg imsg;
	size_t i;
	int code;

	/* a refusal may be waiting: what a failed write means is read below */
	for (i = 0; i < n; i++)
		imsg_send(&c->ibuf, IMSG_CTL_REQUEST, (uint32_t)i + 1, -1,
		    &q[i].req, sizeof(q[i].req));
	while (!all_ended(q, n)) {
		code = next_message(c, &imsg, until);
		if (code == EX_LATE)
			snprintf(c->why, sizeof(c->why),
			    "gave up waiting: hagwd has not answered within "
			    "%us",
			    (unsigned int)(limit_us / 1000000));
		if (code != EX_DONE)
			return code;
		if ((code = take(c, &imsg, q, n, sink)) != EX_DONE)
			return code;
	}
	return EX_DONE;
}
