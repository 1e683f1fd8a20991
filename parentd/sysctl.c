/*
 * Sysctls the gateway needs. What was there before is kept in a file, and
 * a file that a crash left behind is the truth: the values in the kernel
 * are then already ours.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "parentd.h"

#define SYSCTL_ROOT        "/proc/sys/"
#define SYSCTL_CT          "net/netfilter/nf_conntrack_"
#define SYSCTL_STAT        "/proc/net/stat/nf_conntrack"
#define SYSCTL_SAVED       "sysctl.saved"
#define SYSCTL_VALUE_MAX   64 /* with the NUL */
#define SYSCTL_LINE_MAX    512
#define SYSCTL_COLUMNS_MAX 32

struct sysctl_want {
	const char *name; /* below /proc/sys */
	const char *value;
	const char *hint; /* what to do when it is missing */
};

static const struct sysctl_want wants[] = {
    {"net/ipv4/ip_forward", "1", "the kernel lacks IPv4 (CONFIG_INET)"},
    /* 1, not 2: flows made while nobody listens must tell us later */
    {SYSCTL_CT "events", "1",
	"load the module nf_conntrack; the kernel needs "
	"CONFIG_NF_CONNTRACK_EVENTS"},
    /*
     * Packets of a flow pass the other gateway for a while, in a split or a
     * handover: windows this one did not see grow must not end the flow
     */
    {SYSCTL_CT "tcp_be_liberal", "1", "load the module nf_conntrack"},
};

/* The value of each in `wants` before we came; empty: unknown. */
struct sysctl_saved {
	char value[nitems(wants)][SYSCTL_VALUE_MAX];
};

struct sysctl_timeout {
	const char *name;
	size_t offset; /* in imsg_ct_timeouts */
	uint32_t def; /* the kernel's own, when there is no sysctl */
};

#define CT_TCP(state, name, def)                             \
	{                                                    \
		"tcp_timeout_" name,                         \
		    offsetof(struct imsg_ct_timeouts, tcp) + \
		    (state) * sizeof(uint32_t),              \
		    def                                      \
	}
#define CT_OTHER(field, name, def)                                  \
	{                                                           \
		name, offsetof(struct imsg_ct_timeouts, field), def \
	}

static const struct sysctl_timeout timeouts[] = {
    CT_TCP(TCP_CONNTRACK_SYN_SENT, "syn_sent", 120),
    CT_TCP(TCP_CONNTRACK_SYN_RECV, "syn_recv", 60),
    CT_TCP(TCP_CONNTRACK_ESTABLISHED, "established", 432000),
    CT_TCP(TCP_CONNTRACK_FIN_WAIT, "fin_wait", 120),
    CT_TCP(TCP_CONNTRACK_CLOSE_WAIT, "close_wait", 60),
    CT_TCP(TCP_CONNTRACK_LAST_ACK, "last_ack", 30),
    CT_TCP(TCP_CONNTRACK_TIME_WAIT, "time_wait", 120),
    CT_TCP(TCP_CONNTRACK_CLOSE, "close", 10),
    /* simultaneous open has no sysctl of its own */
    CT_TCP(TCP_CONNTRACK_SYN_SENT2, "syn_sent", 120),
    CT_TCP(TCP_CONNTRACK_RETRANS, "max_retrans", 300),
    CT_TCP(TCP_CONNTRACK_UNACK, "unacknowledged", 300),
    CT_OTHER(udp_unreplied, "udp_timeout", 30),
    CT_OTHER(udp_replied, "udp_timeout_stream", 120),
    CT_OTHER(icmp, "icmp_timeout", 30),
    CT_OTHER(icmpv6, "icmpv6_timeout", 30),
    CT_OTHER(generic, "generic_timeout", 600),
};

static int
sysctl_get(const char *name, char *buf, size_t size)
{
	char path[128];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), SYSCTL_ROOT "%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n == -1)
		return -1;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

static int
sysctl_put(const char *name, const char *value)
{
	char path[128];
	ssize_t n;
	int fd, saved;

	(void)snprintf(path, sizeof(path), SYSCTL_ROOT "%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	n = write(fd, value, strlen(value));
	saved = errno;
	close(fd);
	errno = saved;
	return n == -1 ? -1 : 0;
}

static int
sysctl_u64(const char *name, uint64_t *v)
{
	char buf[SYSCTL_VALUE_MAX], *end;

	if (sysctl_get(name, buf, sizeof(buf)) == -1)
		return -1;
	*v = strtoull(buf, &end, 10);
	return end == buf ? -1 : 0;
}

static void
sysctl_saved_path(
    char *buf, size_t size, const char *rundir, const char *suffix)
{
	(void)snprintf(buf, size, "%s/" SYSCTL_SAVED "%s", rundir, suffix);
}

/* Lines "name=value"; names that are not ours any more are passed over. */
static void
sysctl_load(const char *rundir, struct sysctl_saved *s)
{
	char path[CONF_PATH_MAX], line[SYSCTL_LINE_MAX], *value;
	size_t i;
	FILE *f;

	memset(s, 0, sizeof(*s));
	sysctl_saved_path(path, sizeof(path), rundir, "");
	f = fopen(path, "re");
	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		value = strchr(line, '=');
		if (value == NULL)
			continue;
		*value++ = '\0';
		for (i = 0; i < nitems(wants); i++)
			if (strcmp(line, wants[i].name) == 0)
				(void)snprintf(s->value[i], sizeof(s->value[i]),
				    "%s", value);
	}
	fclose(f);
}

static int
sysctl_write(int fd, const struct sysctl_saved *s)
{
	size_t i;

	for (i = 0; i < nitems(wants); i++)
		if (dprintf(fd, "%s=%s\n", wants[i].name, s->value[i]) < 0)
			return -1;
	return fsync(fd);
}

/* Whole or not at all: written aside, then renamed. */
static int
sysctl_save(const char *rundir, const struct sysctl_saved *s)
{
	char tmp[CONF_PATH_MAX], path[CONF_PATH_MAX];
	int fd, rc;

	sysctl_saved_path(tmp, sizeof(tmp), rundir, ".new");
	sysctl_saved_path(path, sizeof(path), rundir, "");
	(void)unlink(tmp);
	fd = open(
	    tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1) {
		log_warn("%s", tmp);
		return -1;
	}
	rc = sysctl_write(fd, s);
	if (close(fd) == -1 || rc == -1 || rename(tmp, path) == -1) {
		log_warn("%s", path);
		(void)unlink(tmp);
		return -1;
	}
	return 0;
}

static int
sysctl_fail(const struct sysctl_want *w, const char *what)
{
	if (errno == ENOENT)
		log_warnx("sysctl %s: there is none; %s", w->name, w->hint);
	else
		log_warn("sysctl %s: %s", w->name, what);
	return -1;
}

/* Those not in the file are of before us. How many, or -1. */
static int
sysctl_complete(struct sysctl_saved *s)
{
	size_t i;
	int n = 0;

	for (i = 0; i < nitems(wants); i++) {
		if (s->value[i][0] != '\0')
			continue;
		if (sysctl_get(
			wants[i].name, s->value[i], sizeof(s->value[i])) == -1)
			return sysctl_fail(&wants[i], "read");
		n++;
	}
	return n;
}

int
sysctl_apply(const char *rundir)
{
	struct sysctl_saved s;
	size_t i;
	int missing;

	sysctl_load(rundir, &s);
	if ((missing = sysctl_complete(&s)) == -1)
		return -1;
	/* a full disk is no reason not to be a gateway */
	if (missing > 0 && sysctl_save(rundir, &s) == -1)
		log_warnx("sysctls: what they were before is not kept, and a "
			  "stop will not put it back");
	for (i = 0; i < nitems(wants); i++)
		if (sysctl_put(wants[i].name, wants[i].value) == -1)
			return sysctl_fail(&wants[i], "write");
	return 0;
}

void
sysctl_restore(const char *rundir)
{
	char path[CONF_PATH_MAX];
	struct sysctl_saved s;
	size_t i;

	sysctl_load(rundir, &s);
	for (i = 0; i < nitems(wants); i++)
		if (s.value[i][0] != '\0' &&
		    sysctl_put(wants[i].name, s.value[i]) == -1)
			(void)sysctl_fail(&wants[i], "write");
	sysctl_saved_path(path, sizeof(path), rundir, "");
	if (unlink(path) == -1 && errno != ENOENT)
		log_warn("%s", path);
}

void
sysctl_ct_timeouts(struct imsg_ct_timeouts *t)
{
	char name[96];
	uint64_t v;
	uint32_t s;
	size_t i;

	memset(t, 0, sizeof(*t));
	for (i = 0; i < nitems(timeouts); i++) {
		(void)snprintf(
		    name, sizeof(name), SYSCTL_CT "%s", timeouts[i].name);
		s = timeouts[i].def;
		if (sysctl_u64(name, &v) == 0 && v <= UINT32_MAX)
			s = (uint32_t)v;
		memcpy((char *)t + timeouts[i].offset, &s, sizeof(s));
	}
}

void
sysctl_ct_count(struct imsg_ct_count *c)
{
	memset(c, 0, sizeof(*c));
	(void)sysctl_u64(SYSCTL_CT "count", &c->count);
	(void)sysctl_u64(SYSCTL_CT "max", &c->max);
}

/* Which columns of the statistics' heading count drops: a mask. */
static uint32_t
sysctl_columns(char *line)
{
	char *word, *save = NULL;
	uint32_t mask = 0;
	int i;

	word = strtok_r(line, " \n", &save);
	for (i = 0; word != NULL && i < SYSCTL_COLUMNS_MAX; i++) {
		if (strcmp(word, "drop") == 0 ||
		    strcmp(word, "early_drop") == 0)
			mask |= 1u << i;
		word = strtok_r(NULL, " \n", &save);
	}
	return mask;
}

static uint64_t
sysctl_row(char *line, uint32_t mask)
{
	char *word, *save = NULL;
	uint64_t sum = 0;
	int i;

	word = strtok_r(line, " \n", &save);
	for (i = 0; word != NULL && i < SYSCTL_COLUMNS_MAX; i++) {
		if (mask & 1u << i)
			sum += strtoull(word, NULL, 16);
		word = strtok_r(NULL, " \n", &save);
	}
	return sum;
}

uint64_t
sysctl_ct_drops(void)
{
	char line[SYSCTL_LINE_MAX];
	uint32_t mask = 0;
	uint64_t sum = 0;
	FILE *f;

	f = fopen(SYSCTL_STAT, "re");
	if (f == NULL)
		return 0;
	if (fgets(line, sizeof(line), f) != NULL)
		mask = sysctl_columns(line);
	while (fgets(line, sizeof(line), f) != NULL)
		sum += sysctl_row(line, mask); /* one line per CPU */
	fclose(f);
	return sum;
}
