/*
 * A child that was taken over. Put in the place of each of hagwd's children,
 * it enters the sandbox as they do, gets its configuration, and then sends
 * the messages that stand in the next line of a file beside it. Without such
 * a line it is the real program.
 *
 *   attack.<child>:  label command [; command ...]
 *     msg TYPE ID HEX      one message
 *     raw HEX              one packet, header and all
 *     fill TYPE LEN BYTE   one message of one byte value
 *     fds N TYPE HEX       one message with N descriptors
 *     flood TYPE MS HEX    as fast as it goes, reading nothing
 *     mute MS              read nothing
 *     early                what follows is sent before the sandbox
 */
#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "proc.h"

#define LIFE_US    1000000 /* before it attacks: no crash loop */
#define LINGER_US  500000 /* for the parent to notice */
#define FDS_MAX    200
#define SCRIPT_MAX (4 << 20)

static const struct {
	const char *name;
	struct sandbox_profile profile;
} selves[] = {
    {"vrrpd", {.id = PROC_VRRP, .user = "_hagw_vrrp", .maxfds = 512}},
    {"syncd", {.id = PROC_SYNC, .user = "_hagw_sync", .maxfds = 512}},
    {"natd", {.id = PROC_NAT, .user = "_hagw_nat", .maxfds = 512}},
    {"ctld", {.id = PROC_CTL, .user = "_hagw_ctl", .maxfds = 512}},
};

/* To carry descriptors; an attacker in a real child has not even these. */
static const struct sandbox_call calls[] = {
    {"sendmsg", SB_ANY, 0, 0, 0},
    {"poll", SB_ANY, 0, 0, 0},
};

static char script[SCRIPT_MAX];
static const char *label;
static unsigned int answers, done, refused; /* of IMSG_CT_INJECT */
static unsigned char packet[IMSG_PACKET_MAX * 2];

/* Take the first line off the file; false: there is none. */
static bool
next_script(const char *dir, const char *name)
{
	char path[PATH_MAX], *rest;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/attack.%s", dir, name);
	if ((f = fopen(path, "r")) == NULL)
		return false;
	n = fread(script, 1, sizeof(script) - 1, f);
	fclose(f);
	script[n] = '\0';
	if ((rest = strchr(script, '\n')) == NULL)
		return false;
	*rest++ = '\0';
	if ((f = fopen(path, "w")) == NULL)
		return false;
	fputs(rest, f);
	fclose(f);
	return true;
}

static size_t
unhex(unsigned char *to, const char *hex)
{
	size_t n = 0;
	unsigned int byte;

	for (; hex != NULL && sscanf(hex, "%2x", &byte) == 1; hex += 2)
		to[n++] = (unsigned char)byte;
	return n;
}

/* Waits for room when the parent is behind; gives up when it is gone. */
static bool
put(const void *data, size_t len, int nfds)
{
	union {
		struct cmsghdr hdr;
		char buf[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)data, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct pollfd pfd = {.fd = PROC_FD, .events = POLLOUT};
	int fds[FDS_MAX];

	for (int i = 0; i < nfds; i++)
		fds[i] = 0;
	if (nfds > 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		control.hdr.cmsg_level = SOL_SOCKET;
		control.hdr.cmsg_type = SCM_RIGHTS;
		control.hdr.cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(&control.hdr), fds, nfds * sizeof(int));
	}
	while (sendmsg(PROC_FD, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == -1) {
		if (errno != EAGAIN && errno != ENOBUFS)
			return false;
		poll(&pfd, 1, 10);
	}
	return true;
}

static size_t
build(uint32_t type, uint32_t id, size_t len, bool hasfd)
{
	struct imsg_hdr hdr = {
	    .type = type, .id = id, .len = (uint32_t)len, .hasfd = hasfd};

	memcpy(packet, &hdr, sizeof(hdr));
	return sizeof(hdr) + len;
}

#define PAYLOAD (packet + sizeof(struct imsg_hdr))

static uint32_t
number(char **save)
{
	const char *word = strtok_r(NULL, " ", save);

	return word == NULL ? 0 : (uint32_t)strtoul(word, NULL, 0);
}

static void
do_msg(char **save)
{
	uint32_t type = number(save), id = number(save);

	put(packet,
	    build(type, id, unhex(PAYLOAD, strtok_r(NULL, " ", save)), false),
	    0);
}

static void
do_raw(char **save)
{
	put(packet, unhex(packet, strtok_r(NULL, " ", save)), 0);
}

static void
do_fill(char **save)
{
	uint32_t type = number(save), len = number(save);

	memset(PAYLOAD, (int)number(save), len);
	put(packet, build(type, 1, len, false), 0);
}

static void
do_fds(char **save)
{
	uint32_t n = number(save), type = number(save);

	put(packet,
	    build(type, 1, unhex(PAYLOAD, strtok_r(NULL, " ", save)), true),
	    (int)n);
}

static void
do_flood(char **save)
{
	uint32_t type = number(save), ms = number(save);
	size_t len = unhex(PAYLOAD, strtok_r(NULL, " ", save));
	uint64_t end = clock_us() + ms * 1000ULL, sent = 0;

	while (clock_us() < end && put(packet, build(type, 7, len, false), 0))
		sent++;
	log_info("hostile: sent %llu", (unsigned long long)sent);
}

static void
do_mute(char **save)
{
	poll(NULL, 0, (int)number(save));
}

static const struct {
	const char *word;
	void (*fn)(char **);
} commands[] = {
    {"msg", do_msg},
    {"raw", do_raw},
    {"fill", do_fill},
    {"fds", do_fds},
    {"flood", do_flood},
    {"mute", do_mute},
};

static void
perform(char *line)
{
	char *save = NULL, *inner;

	for (char *c = strtok_r(line, ";", &save); c != NULL;
	     c = strtok_r(NULL, ";", &save)) {
		const char *word = strtok_r(c, " ", &inner);

		for (size_t i = 0; word != NULL && i < nitems(commands); i++)
			if (strcmp(word, commands[i].word) == 0)
				commands[i].fn(&inner);
	}
}

static void
die(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	log_info("hostile: %u answers, %u flows taken, %u refused", answers,
	    done, refused);
	exit(0);
}

static void
attack(evutil_socket_t fd, short what, void *arg)
{
	struct timeval tv = clock_tv(LINGER_US);

	(void)fd;
	(void)what;
	log_info("hostile: begin %s", label);
	perform(arg);
	log_info("hostile: done %s", label);
	event_base_once(proc_base(), -1, EV_TIMEOUT, die, NULL, &tv);
}

static void
commit(struct conf *next)
{
	conf_free(next);
}

static void
ignore(const struct imsg *im)
{
	if (im->fd != -1)
		close(im->fd);
}

static void
on_applied(const struct imsg *im)
{
	struct imsg_ct_applied a;
	struct imsg_ct_fail fail = {0};

	memcpy(&a, im->data, sizeof(a));
	if (a.nfail > 0)
		memcpy(&fail, (const char *)im->data + sizeof(a), sizeof(fail));
	answers++;
	done += a.done;
	refused += a.nfail == 1 && fail.error == EPERM;
}

static void
on_result(const struct imsg *im)
{
	struct imsg_nat_result r;

	memcpy(&r, im->data, sizeof(r));
	log_info("hostile: result %u: errno %d", im->hdr.id, r.error);
}

/* Every message there is, for proc_run. */
static const struct proc_ops *
all_ops(void)
{
	static struct proc_handler handlers[IMSG_MAX];
	static struct proc_ops ops = {.handlers = handlers,
	    .nhandlers = IMSG_MAX,
	    .reconf_commit = commit};

	for (uint32_t t = 0; t < IMSG_MAX; t++)
		handlers[t] = (struct proc_handler){(enum imsg_type)t, ignore};
	handlers[IMSG_CT_APPLIED].fn = on_applied;
	handlers[IMSG_NAT_RESULT].fn = on_result;
	return &ops;
}

int
main(int argc, char *argv[])
{
	char exe[PATH_MAX], real[PATH_MAX + 16], *dir, *line;
	struct timeval tv = clock_tv(LIFE_US);
	struct sandbox_profile profile = {0};
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	bool early;

	if (n == -1 || argc != 2)
		return 2;
	exe[n] = '\0';
	dir = dirname(exe);
	if (!next_script(dir, argv[0])) {
		snprintf(real, sizeof(real), "%s/real/%s", dir, argv[0]);
		execv(real, argv);
		return 127;
	}
	for (size_t i = 0; i < nitems(selves); i++)
		if (strcmp(argv[0], selves[i].name) == 0)
			profile = selves[i].profile;
	profile.calls = calls;
	profile.ncalls = nitems(calls);
	label = script;
	line = strchr(script, ' ');
	if (line == NULL)
		return 2;
	*line++ = '\0';
	early = strncmp(line, "early ", 6) == 0;
	if (early)
		perform(line + 6);
	proc_init(&profile, argc, argv);
	if (!early)
		event_base_once(proc_base(), -1, EV_TIMEOUT, attack, line, &tv);
	proc_run(all_ops());
}
