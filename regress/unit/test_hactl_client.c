/* hactl's side of the conversation, with a scripted ctld at the other end. */
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/hactl.h"

#define LIMIT_US 2000000
#define SHORT_US 100000

static char dir[] = "/tmp/hactl-test-XXXXXX";
static char path[sizeof(dir) + 8];
static pid_t server;

static void
say(int fd, uint32_t type, uint32_t id, const void *data, size_t len)
{
	struct imsg_hdr hdr = {.type = type, .len = (uint32_t)len, .id = id};
	struct iovec iov[] = {
	    {&hdr, sizeof(hdr)}, {(void *)(uintptr_t)data, len}};

	if (writev(fd, iov, 2) == -1)
		_exit(1);
}

static void
hello(int fd, const char *version)
{
	struct ctl_hello h = {.build_id = "test"};

	snprintf(h.version, sizeof(h.version), "%s", version);
	say(fd, IMSG_CTL_HELLO, 0, &h, sizeof(h));
}

static void
end(int fd, uint32_t id, int code, const char *text)
{
	struct ctl_end e = {.code = code};

	snprintf(e.text, sizeof(e.text), "%s", text);
	say(fd, IMSG_CTL_END, id, &e, sizeof(e));
}

/* One connection, played by a process of its own. */
static void
serve(void (*script)(int fd))
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int lfd;

	unlink(path);
	memcpy(sun.sun_path, path, sizeof(path));
	lfd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	assert_int_equal(bind(lfd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(lfd, 1), 0);
	server = fork();
	assert_int_not_equal(server, -1);
	if (server == 0) {
		int fd = accept(lfd, NULL, NULL);

		script(fd);
		close(fd);
		_exit(0);
	}
	close(lfd);
}

static void
served(void)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

/* Open and ask for the node: where did it end, and with which words? */
static int
converse(void (*script)(int), struct answer *a, char *why, size_t whysz)
{
	struct conn_sink sink = answer_sink(a);
	struct conn c;
	int code;

	memset(a, 0, sizeof(*a));
	a->nqueries = 1;
	a->queries[0].req.what = CTL_SHOW_NODE;
	serve(script);
	code = conn_open(&c, path, SHORT_US);
	if (code == EX_DONE) {
		code = conn_ask(&c, a->queries, 1, SHORT_US, &sink);
		conn_close(&c);
	}
	served();
	snprintf(why, whysz, "%s", c.why);
	return code;
}

static void
read_request(int fd)
{
	char buf[sizeof(struct imsg_hdr) + sizeof(struct ctl_request)];

	if (read(fd, buf, sizeof(buf)) != sizeof(buf))
		_exit(1);
}

static void
script_good(int fd)
{
	struct ctl_node node = {.site = "lab", .node = "fw-\0331"};
	struct ctl_text text = {.len = 3, .text = "a\nb"};

	hello(fd, HAGW_VERSION);
	read_request(fd);
	say(fd, IMSG_CTL_NODE, 1, &node, sizeof(node));
	say(fd, IMSG_CTL_TEXT, 1, &text, sizeof(text));
	say(fd, IMSG_CTL_TEXT, 1, &text, sizeof(text));
	end(fd, 1, 4, "not\033 now\nnor later");
}

static void
rows_arrive(void **state)
{
	const struct ctl_node *node;
	struct answer a;
	char why[512];

	(void)state;
	assert_int_equal(converse(script_good, &a, why, sizeof(why)), EX_DONE);
	assert_true(a.queries[0].ended);
	assert_int_equal(a.queries[0].code, 4);
	assert_string_equal(a.queries[0].text, "not? now\nnor later");
	node = answer_row(&a, ROW_NODE, 0);
	assert_non_null(node);
	assert_string_equal(node->node, "fw-?1");
	assert_string_equal(a.text, "a\nba\nb");
	answer_free(&a);
}

static void
script_other_version(int fd)
{
	hello(fd, "9.9.9\033");
	pause();
}

static void
script_busy(int fd)
{
	end(fd, 0, 1, "too many control clients at a time");
}

static void
script_silent(int fd)
{
	(void)fd;
	pause();
}

static void
script_greets_then_hangs(int fd)
{
	hello(fd, HAGW_VERSION);
	pause();
}

static void
script_greets_then_goes(int fd)
{
	hello(fd, HAGW_VERSION);
}

static void
script_short_row(int fd)
{
	struct ctl_node node = {.site = "lab"};

	hello(fd, HAGW_VERSION);
	read_request(fd);
	say(fd, IMSG_CTL_NODE, 1, &node, sizeof(node) - 8);
	pause();
}

static void
script_text_too_long(int fd)
{
	struct ctl_text text = {.len = UINT32_MAX};

	hello(fd, HAGW_VERSION);
	read_request(fd);
	say(fd, IMSG_CTL_TEXT, 1, &text, sizeof(text));
	pause();
}

static void
script_stranger(int fd)
{
	struct ctl_node node = {.site = "lab"};

	hello(fd, HAGW_VERSION);
	read_request(fd);
	say(fd, IMSG_CTL_NODE, 2, &node, sizeof(node));
	pause();
}

static void
script_wrong_type(int fd)
{
	hello(fd, HAGW_VERSION);
	read_request(fd);
	say(fd, IMSG_PROC_PING, 1, NULL, 0);
	pause();
}

static void
failures_are_named(void **state)
{
	static const struct {
		void (*script)(int);
		int code;
		const char *why; /* part of it */
	} cases[] = {
	    {script_other_version, EX_FAILED,
		"hagwd is version 9.9.9?, this hactl " HAGW_VERSION},
	    {script_busy, EX_FAILED, "too many control clients at a time"},
	    {script_silent, EX_LATE, "does not answer"},
	    {script_greets_then_hangs, EX_LATE, "has not answered within"},
	    {script_greets_then_goes, EX_NODAEMON, "ended the conversation"},
	    {script_short_row, EX_FAILED, "does not understand"},
	    {script_text_too_long, EX_FAILED, "does not understand"},
	    {script_stranger, EX_FAILED, "does not understand"},
	    {script_wrong_type, EX_FAILED, "does not understand"},
	};
	struct answer a;
	char why[512];

	(void)state;
	for (size_t i = 0; i < nitems(cases); i++) {
		assert_int_equal(
		    converse(cases[i].script, &a, why, sizeof(why)),
		    cases[i].code);
		if (strstr(why, cases[i].why) == NULL)
			fail_msg("case %zu: %s", i, why);
		answer_free(&a);
	}
}

static void
no_daemon(void **state)
{
	char longer[300], want[512];
	struct conn c;

	(void)state;
	unlink(path);
	assert_int_equal(conn_open(&c, path, LIMIT_US), EX_NODAEMON);
	snprintf(want, sizeof(want),
	    "no answer from hagwd (%s: No such file or directory); is it "
	    "running? Its log says why if it stopped",
	    path);
	assert_string_equal(c.why, want);
	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(conn_open(&c, longer, LIMIT_US), EX_NODAEMON);
	assert_non_null(strstr(c.why, "File name too long"));
}

static int
setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/sock", dir);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows_arrive),
	    cmocka_unit_test(failures_are_named),
	    cmocka_unit_test(no_daemon),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
