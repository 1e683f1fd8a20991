/* Numbers for people, and bounded strings. */
#ifndef FMT_H
#define FMT_H

#include <stddef.h>
#include <stdint.h>

#define FMT_MAX 48 /* enough for any of these, with the NUL */

/* All return buf, which must hold FMT_MAX bytes. */
char *fmt_count(char *buf, uint64_t n); /* 48,211 */
char *fmt_span(char *buf, uint64_t us); /* "12d 4h", "3m 12s", "0.4s" */
char *fmt_duration(char *buf, uint64_t us); /* as the site file: 200ms 3s 5d */
char *fmt_time(char *buf, uint64_t real_ns); /* local 2026-11-08 22:10:03 */
char *fmt_rfc3339(char *buf, uint64_t real_ns); /* UTC with milliseconds */
char *fmt_hash(char *buf, const uint8_t *hash); /* first six hex digits */

/*
 * Text from elsewhere, before it meets a log or a terminal: terminated within
 * sz, one line, printable ASCII; anything else becomes '?'. Returns s.
 */
char *fmt_clean(char *s, size_t sz);

/* strlcpy that says which object was too long: 0 fits, -1 cut. */
int fmt_copy(char *dst, size_t dstsz, const char *src);

#endif
