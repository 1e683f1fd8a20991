#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "fmt.h"

char *
fmt_count(char *buf, uint64_t n)
{
	char digits[FMT_MAX];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
	char *p = buf;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*p++ = ',';
		*p++ = digits[i];
	}
	*p = '\0';
	return buf;
}

/* Two neighbouring units are enough for a person. */
char *
fmt_span(char *buf, uint64_t us)
{
	uint64_t s = us / 1000000;

	if (us < 1000)
		snprintf(buf, FMT_MAX, "%" PRIu64 "us", us);
	else if (us < 100000)
		snprintf(buf, FMT_MAX, "%.1fms", (double)us / 1e3);
	else if (s < 10)
		snprintf(buf, FMT_MAX, "%.1fs", (double)us / 1e6);
	else if (s < 60)
		snprintf(buf, FMT_MAX, "%" PRIu64 "s", s);
	else if (s < 3600)
		snprintf(
		    buf, FMT_MAX, "%" PRIu64 "m %" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, FMT_MAX, "%" PRIu64 "h %" PRIu64 "m", s / 3600,
		    s / 60 % 60);
	else
		snprintf(buf, FMT_MAX, "%" PRIu64 "d %" PRIu64 "h", s / 86400,
		    s / 3600 % 24);
	return buf;
}

char *
fmt_duration(char *buf, uint64_t us)
{
	static const struct {
		uint64_t us;
		const char *unit;
	} units[] = {
	    {86400000000, "d"},
	    {3600000000, "h"},
	    {60000000, "m"},
	    {1000000, "s"},
	    {1000, "ms"},
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (us >= units[i].us && us % units[i].us == 0) {
			snprintf(buf, FMT_MAX, "%" PRIu64 "%s",
			    us / units[i].us, units[i].unit);
			return buf;
		}
	}
	snprintf(buf, FMT_MAX, "%" PRIu64 "%s", us, us == 0 ? "s" : "us");
	return buf;
}

char *
fmt_time(char *buf, uint64_t real_ns)
{
	time_t t = (time_t)(real_ns / 1000000000);
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL ||
	    strftime(buf, FMT_MAX, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		strcpy(buf, "?");
	return buf;
}

char *
fmt_rfc3339(char *buf, uint64_t real_ns)
{
	time_t t = (time_t)(real_ns / 1000000000);
	struct tm tm;
	size_t n;

	if (gmtime_r(&t, &tm) == NULL ||
	    (n = strftime(buf, FMT_MAX, "%Y-%m-%dT%H:%M:%S", &tm)) == 0)
		strcpy(buf, "?");
	else
		snprintf(buf + n, FMT_MAX - n, ".%03uZ",
		    (unsigned int)(real_ns / 1000000 % 1000));
	return buf;
}

char *
fmt_hash(char *buf, const uint8_t *hash)
{
	snprintf(buf, FMT_MAX, "%02x%02x%02x", hash[0], hash[1], hash[2]);
	return buf;
}

char *
fmt_clean(char *s, size_t sz)
{
	s[sz - 1] = '\0';
	for (char *p = s; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return s;
}

int
fmt_copy(char *dst, size_t dstsz, const char *src)
{
	return (size_t)snprintf(dst, dstsz, "%s", src) < dstsz ? 0 : -1;
}
