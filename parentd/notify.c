/*
 * Telling whoever started us: systemd by its datagram protocol
 * (sd_notify(3)), a shell by the exit of the first process, which waits on
 * a pipe until all children run.
 */
#include <sys/socket.h>
#include <sys/un.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon.h"
#include "log.h"

static int notify_fd = -1;
static int ready_pipe = -1;
static bool watchdog;

static int
notify_socket(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	int fd;

	if (len == 0 || len >= sizeof(sun.sun_path))
		return -1;
	memcpy(sun.sun_path, path, len);
	if (path[0] == '@')
		sun.sun_path[0] = '\0'; /* abstract */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	if (connect(fd, (struct sockaddr *)&sun,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) ==
	    -1) {
		close(fd);
		return -1;
	}
	return fd;
}

static void
notify(const char *text)
{
	if (notify_fd != -1 &&
	    send(notify_fd, text, strlen(text), MSG_NOSIGNAL) == -1)
		log_debug("systemd: %s: %s", text, strerror(errno));
}

void
notify_init(int fd)
{
	const char *path = getenv("NOTIFY_SOCKET");

	ready_pipe = fd;
	watchdog = getenv("WATCHDOG_USEC") != NULL;
	if (path != NULL && (notify_fd = notify_socket(path)) == -1)
		log_warn("systemd: %s", path);
}

void
notify_ready(void)
{
	notify("READY=1");
	if (ready_pipe != -1) {
		if (write(ready_pipe, "", 1) == -1)
			log_debug("nobody waits for the start");
		close(ready_pipe);
		ready_pipe = -1;
	}
}

void
notify_tick(void)
{
	if (watchdog)
		notify("WATCHDOG=1");
}

void
notify_stopping(void)
{
	notify("STOPPING=1");
}
