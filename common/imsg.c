#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imsg.h"

struct imsg_out {
	TAILQ_ENTRY(imsg_out) entry;
	size_t len; /* header and payload */
	int fd;
	unsigned char packet[];
};

int
imsgbuf_init(struct imsgbuf *ib, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	memset(ib, 0, sizeof(*ib));
	ib->fd = fd;
	TAILQ_INIT(&ib->outq);
	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
		return -1;
	if ((ib->rbuf = malloc(IMSG_PACKET_MAX)) == NULL)
		return -1;
	return 0;
}

static void
imsg_out_free(struct imsgbuf *ib, struct imsg_out *o)
{
	TAILQ_REMOVE(&ib->outq, o, entry);
	ib->queued--;
	if (o->fd != -1)
		close(o->fd);
	free(o);
}

void
imsgbuf_clear(struct imsgbuf *ib)
{
	struct imsg_out *o;

	while ((o = TAILQ_FIRST(&ib->outq)) != NULL)
		imsg_out_free(ib, o);
	if (ib->fd != -1)
		close(ib->fd);
	ib->fd = -1;
	free(ib->rbuf);
	ib->rbuf = NULL;
}

/*
 * Descriptors beyond the one a message may carry are closed, never leaked:
 * a hostile sender could exhaust the table of the receiver.
 */
static int
imsg_take_fd(struct msghdr *msg, int *fd)
{
	struct cmsghdr *c;
	int bad = 0;

	*fd = -1;
	for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int got;

			memcpy(
			    &got, CMSG_DATA(c) + i * sizeof(int), sizeof(got));
			if (*fd == -1) {
				*fd = got;
			} else {
				close(got);
				bad = 1;
			}
		}
	}
	return bad ? -1 : 0;
}

enum imsg_res
imsg_read(struct imsgbuf *ib, struct imsg *im)
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {ib->rbuf, IMSG_PACKET_MAX};
	struct msghdr msg = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.buf,
	    .msg_controllen = sizeof(control.buf)};
	ssize_t n;
	int bad;

	do {
		n = recvmsg(ib->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (n == -1 && errno == EINTR);
	if (n == -1)
		return errno == EAGAIN ? IMSG_AGAIN : IMSG_ERR;
	/* an empty packet is no end when something came along with it */
	bad = imsg_take_fd(&msg, &im->fd);
	if (n == 0 && im->fd == -1)
		return IMSG_EOF;

	if (!bad && (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 &&
	    (size_t)n >= sizeof(im->hdr)) {
		memcpy(&im->hdr, ib->rbuf, sizeof(im->hdr));
		im->data = ib->rbuf + sizeof(im->hdr);
		if (im->hdr.len == (size_t)n - sizeof(im->hdr) &&
		    im->hdr.hasfd == (im->fd != -1))
			return IMSG_OK;
	}
	if (im->fd != -1)
		close(im->fd);
	im->fd = -1;
	errno = EBADMSG;
	return IMSG_ERR;
}

/* One packet with its descriptor: 0, or -1 with errno. */
static int
imsg_write(int sock, const struct iovec *iov, int iovcnt, int fd)
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov,
	    .msg_iovlen = (size_t)iovcnt,
	    .msg_control = control.buf,
	    .msg_controllen = sizeof(control.buf)};
	ssize_t n;

	memset(&control, 0, sizeof(control));
	control.hdr.cmsg_level = SOL_SOCKET;
	control.hdr.cmsg_type = SCM_RIGHTS;
	control.hdr.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.hdr), &fd, sizeof(fd));
	do {
		/*
		 * Children never send a descriptor: writev is all they need,
		 * and sendmsg, which takes an address, stays forbidden.
		 */
		if (fd == -1)
			n = writev(sock, iov, iovcnt);
		else
			n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n == -1 && errno == EINTR);
	return n == -1 ? -1 : 0;
}

static bool
imsg_full(int error)
{
	return error == EAGAIN || error == ENOBUFS || error == ENOMEM;
}

static int
imsg_enqueue(struct imsgbuf *ib, const struct iovec *iov, int iovcnt,
    size_t total, int fd)
{
	struct imsg_out *o;
	size_t off = 0;

	if (ib->queued >= IMSG_QUEUE_MAX) {
		errno = ENOBUFS;
		return -1;
	}
	if ((o = malloc(sizeof(*o) + total)) == NULL)
		return -1;
	for (int i = 0; i < iovcnt; i++) {
		if (iov[i].iov_len > 0)
			memcpy(
			    o->packet + off, iov[i].iov_base, iov[i].iov_len);
		off += iov[i].iov_len;
	}
	o->len = total;
	o->fd = fd;
	TAILQ_INSERT_TAIL(&ib->outq, o, entry);
	ib->queued++;
	return 0;
}

#define IMSG_IOV_MAX 8

int
imsg_sendv(struct imsgbuf *ib, uint32_t type, uint32_t id, int fd,
    const struct iovec *data, int datacnt)
{
	struct imsg_hdr hdr = {.type = type, .id = id, .hasfd = fd != -1};
	struct iovec iov[IMSG_IOV_MAX + 1];
	size_t len = 0;
	int ret, saved;

	if (datacnt > IMSG_IOV_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	iov[0] = (struct iovec){&hdr, sizeof(hdr)};
	for (int i = 0; i < datacnt; i++) {
		iov[i + 1] = data[i];
		len += data[i].iov_len;
	}
	if (len > IMSG_DATA_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	hdr.len = (uint32_t)len;

	if (TAILQ_EMPTY(&ib->outq)) {
		ret = imsg_write(ib->fd, iov, datacnt + 1, fd);
		if (ret == 0 || !imsg_full(errno))
			goto done;
	}
	ret = imsg_enqueue(ib, iov, datacnt + 1, sizeof(hdr) + len, fd);
	if (ret == 0)
		return 0; /* the queue has the descriptor */
done:
	saved = errno;
	if (fd != -1)
		close(fd);
	errno = saved;
	return ret;
}

int
imsg_send(struct imsgbuf *ib, uint32_t type, uint32_t id, int fd,
    const void *data, size_t len)
{
	struct iovec iov = {(void *)(uintptr_t)data, len};

	return imsg_sendv(ib, type, id, fd, &iov, len > 0 ? 1 : 0);
}

int
imsg_flush(struct imsgbuf *ib)
{
	struct imsg_out *o;

	while ((o = TAILQ_FIRST(&ib->outq)) != NULL) {
		struct iovec iov = {o->packet, o->len};

		if (imsg_write(ib->fd, &iov, 1, o->fd) == -1)
			return imsg_full(errno) ? 1 : -1;
		imsg_out_free(ib, o);
	}
	return 0;
}

int
imsg_get(const struct imsg *im, void *dst, size_t len)
{
	if (im->hdr.len != len) {
		memset(dst, 0, len);
		return -1;
	}
	memcpy(dst, im->data, len);
	return 0;
}
