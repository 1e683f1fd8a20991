/* Where log lines go, and in which form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "log.h"

static char said[2 * LOG_LINE_MAX];

/* What speak() writes to standard error, a pipe whose inode is off by off. */
static const char *
hear(void (*speak)(void), bool journal, uint64_t off)
{
	int fds[2], saved = dup(STDERR_FILENO);
	struct stat st;
	char name[64];
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fstat(fds[1], &st), 0);
	snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)(st.st_ino + off));
	if (journal)
		setenv("JOURNAL_STREAM", name, 1);
	else
		unsetenv("JOURNAL_STREAM");
	dup2(fds[1], STDERR_FILENO);
	log_init("test", 1, 1);
	speak();
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[1]);
	n = read(fds[0], said, sizeof(said) - 1);
	close(fds[0]);
	assert_true(n > 0);
	said[n] = '\0';
	return said;
}

static void
speak_all(void)
{
	log_line(LOG_DAEMON | LOG_CRIT, "finished");
	log_warnx("a %s", "warning");
	log_info("to know");
	log_debug("to follow");
}

static void
to_the_journal(void **state)
{
	(void)state;
	assert_string_equal(hear(speak_all, true, 0),
	    "<2>finished\n<4>a warning\n<6>to know\n<7>to follow\n");
	assert_true(log_to_journal());
}

static void
speak_once(void)
{
	log_warnx("a warning");
}

/* Standard error may lead elsewhere than the service manager had it. */
static void
to_anything_else(void **state)
{
	int h, m, s, ms, len;

	(void)state;
	for (int journal = 0; journal < 2; journal++) {
		hear(speak_once, journal, 1);
		assert_false(log_to_journal());
		len = 0;
		assert_int_equal(
		    sscanf(said, "%2d:%2d:%2d.%3d %n", &h, &m, &s, &ms, &len),
		    4);
		assert_string_equal(said + len, "a warning\n");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(to_the_journal),
	    cmocka_unit_test(to_anything_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
