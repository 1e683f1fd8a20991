/*
 * imsg-style messages over SOCK_SEQPACKET: one message per packet, a fixed
 * header, a payload of at most 64 KiB less the header, at most one
 * descriptor. Host byte order: both ends are the same build on one host.
 */
#ifndef IMSG_H
#define IMSG_H

#include <sys/queue.h>
#include <sys/uio.h>
#include <stddef.h>
#include <stdint.h>

#define IMSG_PACKET_MAX 65536
#define IMSG_DATA_MAX   (IMSG_PACKET_MAX - sizeof(struct imsg_hdr))
#define IMSG_QUEUE_MAX  8192 /* messages waiting to be written */

struct imsg_hdr {
	uint32_t type; /* enum imsg_type */
	uint32_t len; /* bytes of payload */
	uint32_t id; /* request or item; 0 when unused */
	uint32_t hasfd;
};

/* A received message; data is valid until the next imsg_read. */
struct imsg {
	struct imsg_hdr hdr;
	const void *data;
	int fd; /* -1: none; the receiver's to close */
};

struct imsg_out;
TAILQ_HEAD(imsg_outq, imsg_out);

struct imsgbuf {
	int fd;
	unsigned int queued;
	struct imsg_outq outq;
	unsigned char *rbuf; /* IMSG_PACKET_MAX */
};

int imsgbuf_init(struct imsgbuf *, int fd); /* fd becomes non-blocking */
void imsgbuf_clear(struct imsgbuf *); /* closes fd, frees the queue */

enum imsg_res {
	IMSG_ERR = -1, /* errno; a malformed packet is EBADMSG */
	IMSG_EOF = 0,
	IMSG_OK = 1,
	IMSG_AGAIN = 2
};
enum imsg_res imsg_read(struct imsgbuf *, struct imsg *);

/*
 * Send now, or queue when the socket is full; the queue keeps the order.
 * fd is taken over (closed after sending) unless -1. 0, or -1 with errno:
 * EMSGSIZE, ENOBUFS (queue full), or what sendmsg said.
 */
int imsg_send(struct imsgbuf *, uint32_t type, uint32_t id, int fd,
    const void *data, size_t len);
int imsg_sendv(struct imsgbuf *, uint32_t type, uint32_t id, int fd,
    const struct iovec *, int iovcnt);

/* Write what is queued: 0 all gone, 1 some left, -1 error. */
int imsg_flush(struct imsgbuf *);

/* Copy a payload of exactly len bytes: 0, or -1 and dst is zeroed. */
int imsg_get(const struct imsg *, void *dst, size_t len);

#endif
