/*
 * The sockets to the peers: connected, one each, read in batches with fixed
 * buffers. What cannot be sent now is lost here and repeated by
 * the protocol.
 */
#include <sys/socket.h>
#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <unistd.h>

#include "proc.h"
#include "syncd.h"

#define IN_BATCH  32
#define IN_ROUNDS 8
#define IN_SIZE   2048 /* longer ones are truncated, and refused as such */

static struct {
	int fd; /* -1: none */
	struct event *ev;
} socks[CONF_NODES_MAX];
static bool watched = true; /* by the loop */

static void (*input_cb)(uint32_t, const uint8_t *, size_t);
static void (*turn_cb)(void);

static uint8_t in_buf[IN_BATCH][IN_SIZE];
static struct iovec in_iov[IN_BATCH];
static struct mmsghdr in_msgs[IN_BATCH];

void
io_init(void (*input)(uint32_t, const uint8_t *, size_t), void (*turn)(void))
{
	input_cb = input;
	turn_cb = turn;
	for (size_t i = 0; i < CONF_NODES_MAX; i++)
		socks[i].fd = -1;
	for (size_t i = 0; i < IN_BATCH; i++) {
		in_iov[i] = (struct iovec){in_buf[i], IN_SIZE};
		in_msgs[i].msg_hdr.msg_iov = &in_iov[i];
		in_msgs[i].msg_hdr.msg_iovlen = 1;
	}
}

/* A dead peer's host or a pulled cable: the protocol notices by itself. */
static bool
ordinary(int error)
{
	return error == EAGAIN || error == EINTR || error == ECONNREFUSED ||
	    error == ENETUNREACH || error == EHOSTUNREACH ||
	    error == ENETDOWN || error == ENOBUFS || error == EPERM ||
	    error == EHOSTDOWN || error == ENODEV;
}

static int
read_batch(uint32_t node)
{
	int n = recvmmsg(socks[node].fd, in_msgs, IN_BATCH, MSG_DONTWAIT, NULL);

	if (n == -1 && !ordinary(errno))
		log_warn("sync socket");
	for (int i = 0; i < n; i++)
		input_cb(node, in_buf[i], in_msgs[i].msg_len);
	return n;
}

static void
read_all(uint32_t node)
{
	for (int i = 0; i < IN_ROUNDS && socks[node].fd != -1; i++)
		if (read_batch(node) < IN_BATCH)
			break;
}

static void
readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	read_all((uint32_t)(uintptr_t)arg);
	turn_cb();
}

void
io_watch(bool on)
{
	if (watched == on)
		return;
	watched = on;
	for (size_t i = 0; i < CONF_NODES_MAX; i++) {
		if (socks[i].fd == -1)
			continue;
		if (on)
			proc_watch(socks[i].ev, NULL);
		else
			event_del(socks[i].ev);
	}
}

void
io_take(void)
{
	for (uint32_t i = 0; i < CONF_NODES_MAX; i++)
		read_all(i);
}

void
io_close(uint32_t node)
{
	if (socks[node].fd == -1)
		return;
	event_free(socks[node].ev);
	close(socks[node].fd);
	socks[node].fd = -1;
}

void
io_set(uint32_t node, int fd)
{
	io_close(node);
	socks[node].fd = fd;
	socks[node].ev = event_new(proc_base(), fd, EV_READ | EV_PERSIST,
	    readable, (void *)(uintptr_t)node);
	if (socks[node].ev == NULL)
		fatalx("event loop: no memory");
	event_priority_set(socks[node].ev, PROC_PRIO_NORMAL);
	if (watched)
		proc_watch(socks[node].ev, NULL);
}

/* By write: in no other way can a filter tell that no address is named. */
void
io_send(uint32_t node, const uint8_t *dgram, size_t len)
{
	/* an error of an earlier datagram is told once */
	for (int tries = 0; tries < 2 && socks[node].fd != -1; tries++) {
		if (write(socks[node].fd, dgram, len) != -1)
			return;
		if (!ordinary(errno))
			log_warn("sync socket");
		if (errno == EAGAIN)
			return;
	}
}
