/*
 * Log lines, lower case, object first, no full stop. The x forms do not add
 * errno's text. A child's lines travel to the parent, which alone writes.
 */
#ifndef LOG_H
#define LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

#define LOG_LINE_MAX 512 /* bytes with the NUL */

/*
 * log_init: dest is stderr when debug is set, else syslog. Where stderr is
 * systemd's journal, lines have their priority in front and no time. verbose
 * 0 hides debug lines. name is the program's, not copied.
 */
void log_init(const char *name, int debug, int verbose);
void log_setverbose(int);
int log_getverbose(void);
bool log_to_journal(void);

/* Where lines go instead (a child's socketpair); NULL puts it back. */
void log_setsink(void (*)(int pri, const char *line));

/* Write a finished line; pri as syslog(3). */
void log_line(int pri, const char *line);

void log_warn(const char *, ...) __attribute__((format(printf, 1, 2)));
void log_warnx(const char *, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *, ...) __attribute__((format(printf, 1, 2)));
void fatal(const char *, ...) __attribute__((format(printf, 1, 2), noreturn));
void fatalx(const char *, ...) __attribute__((format(printf, 1, 2), noreturn));

/*
 * A limit for lines that foreign bytes can cause: at most burst lines, then
 * one in every interval. log_allowed() returns 0 to keep quiet, else 1 plus
 * the number of lines suppressed since.
 */
struct log_limit {
	uint64_t next_us;
	unsigned int suppressed;
	unsigned int used;
};
unsigned int log_allowed(struct log_limit *, uint64_t now_us);

#endif
