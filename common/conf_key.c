/* The sync key is a file of its own: secrets are never in the site file. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"

#define KEY_HEX (HAGW_SYNC_KEYLEN * 2)

struct complaint {
	const char *path;
	char *why;
	size_t size;
};

static int complain(const struct complaint *, const char *, ...)
    __attribute__((format(printf, 2, 3)));

static int
complain(const struct complaint *c, const char *fmt, ...)
{
	char text[CONF_PATH_MAX * 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(c->why, c->size, "%s: %s", c->path, text);
	return -1;
}

static int
open_key(const struct complaint *c)
{
	int fd;

	/* no link to follow, no fifo to wait for */
	fd = open(c->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd != -1)
		return fd;
	if (errno == ENOENT)
		return complain(c,
		    "no such key; make one, and copy it to every node: "
		    "(umask 077; head -c 32 /dev/urandom > %s)",
		    c->path);
	if (errno == ELOOP)
		return complain(c, "is a symbolic link; name the file itself");
	return complain(c, "%s", strerror(errno));
}

/* On the opened file: what is checked is what is read. */
static int
check_owner(const struct complaint *c, int fd)
{
	struct stat st;
	unsigned int mode;

	if (fstat(fd, &st) == -1)
		return complain(c, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return complain(c, "not a regular file");
	if (st.st_uid != 0)
		return complain(c,
		    "owned by uid %u, must be root's: chown root %s",
		    (unsigned int)st.st_uid, c->path);
	mode = st.st_mode & 07777;
	if (mode != 0600 && mode != 0400)
		return complain(
		    c, "mode %04o, must be 0600: chmod 0600 %s", mode, c->path);
	return 0;
}

static int
decode(const struct complaint *c, const char *buf, size_t len, uint8_t *key)
{
	size_t n;

	if (len == HAGW_SYNC_KEYLEN) {
		memcpy(key, buf, len);
		return 0;
	}
	if (len == KEY_HEX || (len == KEY_HEX + 1 && buf[KEY_HEX] == '\n')) {
		if (sodium_hex2bin(key, HAGW_SYNC_KEYLEN, buf, KEY_HEX, NULL,
			&n, NULL) == 0 &&
		    n == HAGW_SYNC_KEYLEN)
			return 0;
		return complain(
		    c, "%d characters that are not hexadecimal", KEY_HEX);
	}
	return complain(
	    c, "must hold 32 bytes, or 64 hexadecimal digits and a newline");
}

static ssize_t
read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n = 1;

	while (len < size && n > 0) {
		if ((n = read(fd, buf + len, size - len)) == -1)
			return -1;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

int
conf_read_key(
    const char *path, uint8_t key[HAGW_SYNC_KEYLEN], char *why, size_t whysz)
{
	struct complaint c = {.path = path, .why = why, .size = whysz};
	char buf[KEY_HEX + 2]; /* one more than fits: too long is seen */
	int fd, error = -1;
	ssize_t len;

	if ((fd = open_key(&c)) == -1)
		return -1;
	if (check_owner(&c, fd) == 0) {
		if ((len = read_all(fd, buf, sizeof(buf))) == -1)
			complain(&c, "%s", strerror(errno));
		else
			error = decode(&c, buf, (size_t)len, key);
		sodium_memzero(buf, sizeof(buf));
	}
	close(fd);
	return error;
}
