/*
 * Stands in the place of one of hagwd's children and does what the file
 * beside it says, <its own path>.mode:
 *
 *	run		be the real program, ../real/<name>
 *	before		abort before a word
 *	after MS	be the real program, and be killed after so long
 *	preload SO KEY=VALUE
 *			be the real program with a library loaded before
 */
#include <err.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
real_path(const char *self, char *buf, size_t sz)
{
	char dir[PATH_MAX], base[PATH_MAX];

	(void)snprintf(dir, sizeof(dir), "%s", self);
	(void)snprintf(base, sizeof(base), "%s", self);
	if (snprintf(buf, sz, "%s/../real/%s", dirname(dir), basename(base)) >=
	    (int)sz)
		errx(1, "%s: path too long", self);
}

/* By another process: hagwd's filter of calls knows no alarm. */
static void
end_after(long ms)
{
	pid_t pid = getpid();

	switch (fork()) {
	case -1:
		err(1, "fork");
	case 0:
		closefrom(0);
		usleep((useconds_t)ms * 1000);
		kill(pid, SIGABRT);
		_exit(0);
	}
}

int
main(int argc, char *argv[])
{
	char self[PATH_MAX - 8], path[PATH_MAX], so[PATH_MAX], key[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	long ms;
	FILE *f;

	if (argc < 1 || n == -1)
		err(1, "/proc/self/exe");
	self[n] = '\0';
	(void)snprintf(path, sizeof(path), "%s.mode", self);
	if ((f = fopen(path, "re")) == NULL)
		err(1, "%s", path);
	if (fgets(path, sizeof(path), f) == NULL)
		errx(1, "%s.mode: empty", self);
	path[strcspn(path, "\n")] = '\0';
	if (strcmp(path, "before") == 0)
		abort();
	if (sscanf(path, "after %ld", &ms) == 1)
		end_after(ms);
	else if (sscanf(path, "preload %4000s %4000s", so, key) == 2) {
		setenv("LD_PRELOAD", so, 1);
		putenv(key);
	} else if (strcmp(path, "run") != 0)
		errx(1, "%s.mode: \"%s\"?", self, path);
	real_path(self, path, sizeof(path));
	execv(path, argv);
	err(1, "%s", path);
}
