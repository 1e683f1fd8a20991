/* The sync key: what is in the file, and whose it is. */
#include <sys/stat.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/conf.h"

static char key_dir[] = "/tmp/hagw-key-XXXXXX";
static char key_path[64];

static int
key_setup(void **state)
{
	(void)state;
	if (mkdtemp(key_dir) == NULL)
		return -1;
	snprintf(key_path, sizeof(key_path), "%s/sync.key", key_dir);
	return 0;
}

static int
key_teardown(void **state)
{
	(void)state;
	unlink(key_path);
	return rmdir(key_dir);
}

static void
write_key(const void *data, size_t len, mode_t mode)
{
	int fd;

	unlink(key_path);
	fd = open(key_path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd != -1);
	assert_int_equal(write(fd, data, len), len);
	assert_return_code(fchmod(fd, mode), 0);
	close(fd);
}

/* The same key in both forms. */
static const char raw_key[] = "0AbCdEfGhIjKlMnOpQrStUvWxYz+-*/1";
static const char hex_key[] = "304162436445664768496a4b6c4d6e4F"
			      "705172537455765778597a2b2d2a2f31\n";

static void
expect_key(const char *why_part)
{
	uint8_t key[HAGW_SYNC_KEYLEN];
	char why[512] = "";
	int error = conf_read_key(key_path, key, why, sizeof(why));

	if (why_part == NULL) {
		assert_string_equal(why, "");
		assert_int_equal(error, 0);
		assert_memory_equal(key, raw_key, sizeof(key));
		return;
	}
	assert_int_equal(error, -1);
	assert_memory_equal(why, key_path, strlen(key_path));
	if (strstr(why, why_part) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, why_part);
}

static void
test_key_content(void **state)
{
	char hex[sizeof(hex_key)];

	(void)state;
	memcpy(hex, hex_key, sizeof(hex));
	write_key(raw_key, 32, 0600);
	expect_key(NULL);
	write_key(raw_key, 32, 0400);
	expect_key(NULL);
	write_key(hex, 65, 0600);
	expect_key(NULL);
	write_key(hex, 64, 0600);
	expect_key(NULL);
	write_key(raw_key, 31, 0600);
	expect_key("must hold 32 bytes, or 64 hexadecimal digits");
	write_key("", 0, 0600);
	expect_key("must hold 32 bytes");
	write_key(hex, 33, 0600);
	expect_key("must hold 32 bytes");
	write_key(hex_key, 66, 0600);
	expect_key("must hold 32 bytes");
	hex[64] = 'a';
	write_key(hex, 65, 0600);
	expect_key("must hold 32 bytes");
	hex[10] = 'g';
	write_key(hex, 64, 0600);
	expect_key("not hexadecimal");
}

static void
test_key_file(void **state)
{
	static const mode_t modes[] = {0644, 0640, 0660, 0604, 0700, 04600};
	char want[64];
	size_t i;

	(void)state;
	for (i = 0; i < nitems(modes); i++) {
		write_key(raw_key, 32, modes[i]);
		snprintf(want, sizeof(want), "mode %04o, must be 0600: chmod",
		    modes[i]);
		expect_key(want);
	}
	write_key(raw_key, 32, 0600);
	assert_return_code(chown(key_path, 65534, 0), 0);
	expect_key("owned by uid 65534, must be root's: chown root");
	unlink(key_path);
	expect_key("make one, and copy it to every node: (umask 077; head");
	assert_return_code(symlink("/etc/passwd", key_path), 0);
	expect_key("symbolic link");
	unlink(key_path);
	assert_return_code(mkfifo(key_path, 0600), 0);
	expect_key("not a regular file");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_key_content),
	    cmocka_unit_test(test_key_file),
	};

	return cmocka_run_group_tests(tests, key_setup, key_teardown);
}
