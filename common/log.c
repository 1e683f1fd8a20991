#include <sys/stat.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

static const char *log_name = "hagw";
static int log_stderr = 1;
static int log_verbose;
static bool log_journal;
static void (*log_sink)(int, const char *);

/* Whether systemd's journal reads standard error, as systemd.exec(5) has it. */
static bool
journal_reads_stderr(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	char own[48];

	if (stream == NULL || fstat(STDERR_FILENO, &st) == -1)
		return false;
	snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	return strcmp(stream, own) == 0;
}

void
log_init(const char *name, int debug, int verbose)
{
	log_name = name;
	log_stderr = debug;
	log_verbose = verbose;
	log_journal = debug && journal_reads_stderr();
	if (!debug)
		openlog(name, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void
log_setverbose(int verbose)
{
	log_verbose = verbose;
}

int
log_getverbose(void)
{
	return log_verbose;
}

bool
log_to_journal(void)
{
	return log_journal;
}

void
log_setsink(void (*sink)(int, const char *))
{
	log_sink = sink;
}

static void
log_to_stderr(const char *line)
{
	struct timespec ts;
	struct tm tm;
	char when[16] = "";

	clock_gettime(CLOCK_REALTIME, &ts);
	if (localtime_r(&ts.tv_sec, &tm) != NULL)
		strftime(when, sizeof(when), "%H:%M:%S", &tm);
	fprintf(stderr, "%s.%03ld %s\n", when, ts.tv_nsec / 1000000, line);
}

void
log_line(int pri, const char *line)
{
	if (log_sink != NULL)
		log_sink(pri, line);
	else if (log_journal) /* it has a clock: sd-daemon(3) */
		fprintf(stderr, "<%d>%s\n", LOG_PRI(pri), line);
	else if (log_stderr)
		log_to_stderr(line);
	else
		syslog(pri, "%s", line);
}

static void
log_vemit(int pri, int error, const char *fmt, va_list ap)
{
	char line[LOG_LINE_MAX];
	size_t n;
	int saved = errno;
	int len = vsnprintf(line, sizeof(line), fmt, ap);

	if (len < 0)
		return;
	n = (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1;
	if (error != 0)
		snprintf(line + n, sizeof(line) - n, ": %s", strerror(error));
	log_line(pri, line);
	errno = saved;
}

#define LOG_EMIT(pri, error)                        \
	do {                                        \
		va_list ap;                         \
		va_start(ap, fmt);                  \
		log_vemit((pri), (error), fmt, ap); \
		va_end(ap);                         \
	} while (0)

void
log_warn(const char *fmt, ...)
{
	LOG_EMIT(LOG_WARNING, errno);
}

void
log_warnx(const char *fmt, ...)
{
	LOG_EMIT(LOG_WARNING, 0);
}

void
log_info(const char *fmt, ...)
{
	LOG_EMIT(LOG_INFO, 0);
}

void
log_debug(const char *fmt, ...)
{
	if (log_verbose)
		LOG_EMIT(LOG_DEBUG, 0);
}

void
fatal(const char *fmt, ...)
{
	LOG_EMIT(LOG_CRIT, errno);
	exit(1);
}

void
fatalx(const char *fmt, ...)
{
	LOG_EMIT(LOG_CRIT, 0);
	exit(1);
}

#define LOG_BURST       5
#define LOG_INTERVAL_US 5000000

unsigned int
log_allowed(struct log_limit *l, uint64_t now_us)
{
	unsigned int n;

	if (now_us >= l->next_us) {
		l->next_us = now_us + LOG_INTERVAL_US;
		l->used = 0;
	}
	if (l->used >= LOG_BURST) {
		l->suppressed++;
		return 0;
	}
	l->used++;
	n = l->suppressed + 1;
	l->suppressed = 0;
	return n;
}
