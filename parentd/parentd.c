/*
 * hagwd: the privileged parent. Reads its configuration, owns the kernel's
 * state, starts and supervises the children that parse everything else.
 */
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "daemon.h"
#include "log.h"
#include "proc.h"

#define TICK_US       1000000
#define TIMERS_MAX    16 /* hagwd has ten, one for each child among them */
#define REALTIME_PRIO 5 /* below vrrpd's */
#define START_WAIT_MS 30000 /* of whoever starts it */
/* Trying again does not help: hagw.service does not. */
#define EXIT_REFUSED  2

struct daemon hagwd = {
    .opt = {.conf_path = HAGW_DEFAULT_CONF, .rundir = HAGW_DEFAULT_RUNDIR},
};

static struct event *tick_event;
static int pid_fd = -1;
static bool announced_ready;

static void
usage(void)
{
	fprintf(stderr,
	    "usage: hagwd [-dnvV] [-f file] [-N node] [-r directory]\n"
	    "  -d            stay in the foreground, log to standard error\n"
	    "  -f file       site file (" HAGW_DEFAULT_CONF ")\n"
	    "  -n            check what a start would, and exit\n"
	    "  -N node       this node's name (else " HAGW_DEFAULT_NODE
	    ", else the hostname)\n"
	    "  -r directory  run directory (" HAGW_DEFAULT_RUNDIR ")\n"
	    "  -v            log more\n"
	    "  -V            print the version\n");
	exit(EXIT_REFUSED);
}

static void
parse_options(int argc, char *argv[])
{
	int ch;

	while ((ch = getopt(argc, argv, "df:nN:r:vV")) != -1) {
		switch (ch) {
		case 'd':
			hagwd.opt.foreground = true;
			break;
		case 'f':
			hagwd.opt.conf_path = optarg;
			break;
		case 'n':
			hagwd.opt.check_only = true;
			break;
		case 'N':
			hagwd.opt.node = optarg;
			break;
		case 'r':
			hagwd.opt.rundir = optarg;
			break;
		case 'v':
			hagwd.opt.verbose = true;
			break;
		case 'V':
			printf("hagw %s\n", HAGW_VERSION);
			exit(0);
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
}

static struct conf *
load_conf(const char *node)
{
	struct conf_report report;
	struct conf *conf;

	conf_report_init(&report, hagwd.opt.conf_path);
	conf = conf_load(hagwd.opt.conf_path, node, &report);
	if (report.nmsgs > 0 && log_to_journal())
		reconf_report(0, &report);
	else if (report.nmsgs > 0)
		conf_report_print(stderr, &report);
	conf_report_free(&report);
	return conf;
}

static void
check_users(void)
{
	static const char *const users[] = {
	    "_hagw_vrrp", "_hagw_sync", "_hagw_nat", "_hagw_ctl"};

	for (size_t i = 0; i < nitems(users); i++)
		if (getpwnam(users[i]) == NULL)
			fatalx("user %s is missing: \"systemd-sysusers\", or "
			       "\"make users\" in the source tree, creates it",
			    users[i]);
}

static void
make_directory(const char *path, mode_t mode)
{
	struct stat st;

	if (mkdir(path, mode) == -1 && errno != EEXIST)
		fatal("%s", path);
	if (lstat(path, &st) == -1)
		fatal("%s", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != 0 || (st.st_mode & 022) != 0)
		fatalx(
		    "%s: must be a directory that only root can write", path);
}

/* The lock is the file's, not its existence: nothing to clean by hand. */
static void
take_rundir(void)
{
	char path[CONF_PATH_MAX];

	make_directory(hagwd.opt.rundir, 0755);
	snprintf(path, sizeof(path), "%s/empty", hagwd.opt.rundir);
	make_directory(path, 0555);
	snprintf(path, sizeof(path), "%s/hagwd.pid", hagwd.opt.rundir);
	pid_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (pid_fd == -1)
		fatal("%s", path);
	if (flock(pid_fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno == EWOULDBLOCK)
			fatalx("another hagwd runs on %s (its pid is in %s)",
			    hagwd.opt.rundir, path);
		fatal("%s", path);
	}
}

static void
write_pid(void)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", getpid());

	if (ftruncate(pid_fd, 0) == -1 ||
	    pwrite(pid_fd, text, (size_t)n, 0) != n)
		log_warn("%s/hagwd.pid", hagwd.opt.rundir);
}

/*
 * Into the background. The first process waits until all children run and
 * passes failure on, so that an init script's "start" tells the truth.
 */
static void
daemonize(void)
{
	struct pollfd pfd = {.events = POLLIN};
	int pipefd[2], null;
	char ok;
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC) == -1 || (pid = fork()) == -1)
		fatal("background");
	if (pid > 0) {
		close(pipefd[1]);
		pfd.fd = pipefd[0];
		if (poll(&pfd, 1, START_WAIT_MS) == 0) {
			fprintf(stderr,
			    "hagwd: not all of its processes are ready yet; "
			    "it goes on trying, and the system log says why\n");
			_exit(1);
		}
		if (read(pipefd[0], &ok, 1) == 1)
			_exit(0);
		fprintf(stderr,
		    "hagwd: did not start; the system log says "
		    "why\n");
		_exit(1);
	}
	close(pipefd[0]);
	if (setsid() == -1 || chdir("/") == -1 ||
	    (null = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1)
		fatal("background");
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	close(null);
	notify_init(pipefd[1]);
}

static void
enter_realtime(void)
{
	struct sched_param sp = {.sched_priority = REALTIME_PRIO};

	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == -1)
		log_warn("hagwd: memory not locked");
	if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &sp) == -1)
		log_warn("hagwd: no real-time class");
}

static void
on_sigchld(evutil_socket_t sig, short what, void *arg)
{
	int status;
	pid_t pid;

	(void)sig;
	(void)what;
	(void)arg;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		child_reaped(pid, status);
}

static void
stopped(void)
{
	event_base_loopbreak(hagwd.base);
}

void
parentd_stop(void)
{
	if (hagwd.stopping)
		return;
	history_add("proc", "stopping");
	notify_stopping();
	hagwd.stopping = true;
	handover_shutdown(stopped);
}

static void
on_sigterm(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)arg;
	parentd_stop();
}

static void
on_sighup(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)arg;
	reconf_reload(0);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	takeover_refresh();
	health_tick();
	nets_retry();
	nets_timeouts_tick();
	control_expire();
	child_tick();
	notify_tick();
}

static void
watch_signal(int sig, event_callback_fn fn)
{
	struct event *ev = evsignal_new(hagwd.base, sig, fn, NULL);

	if (ev == NULL || event_add(ev, NULL) == -1)
		fatalx("event loop: no memory");
}

/*
 * event_add(3) of a timer needs memory where more are pending than ever
 * before. Have that many pending now: a lease whose end nobody watches
 * would be one that does not end.
 */
static void
reserve_timers(void)
{
	struct event *ev[TIMERS_MAX];
	struct timeval tv = clock_tv(TICK_US);

	for (int i = 0; i < TIMERS_MAX; i++) {
		ev[i] = evtimer_new(hagwd.base, on_tick, NULL);
		if (ev[i] == NULL || evtimer_add(ev[i], &tv) == -1)
			fatalx("event loop: no memory");
	}
	for (int i = 0; i < TIMERS_MAX; i++)
		event_free(ev[i]);
}

static void
make_loop(void)
{
	struct event_config *cfg = event_config_new();
	struct timeval tv = clock_tv(TICK_US);

	if (cfg == NULL ||
	    event_config_set_flag(cfg,
		EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_NOLOCK) != 0 ||
	    (hagwd.base = event_base_new_with_config(cfg)) == NULL ||
	    event_base_priority_init(hagwd.base, PROC_NPRIO) != 0)
		fatalx("event loop: cannot be made");
	event_config_free(cfg);
	reserve_timers();
	signal(SIGPIPE, SIG_IGN);
	watch_signal(SIGCHLD, on_sigchld);
	watch_signal(SIGTERM, on_sigterm);
	watch_signal(SIGINT, on_sigterm);
	watch_signal(SIGHUP, on_sighup);
	tick_event = event_new(hagwd.base, -1, EV_PERSIST, on_tick, NULL);
	if (tick_event == NULL || event_add(tick_event, &tv) == -1)
		fatalx("event loop: no memory");
	event_priority_set(tick_event, PROC_PRIO_HIGH);
}

void
parentd_all_running(void)
{
	if (announced_ready)
		return;
	announced_ready = true;
	history_add("proc", "hagwd %s runs on %s, all children ready",
	    HAGW_VERSION, hagwd.conf->h.nodes[hagwd.conf->h.self].name);
	notify_ready();
}

/*
 * The background has another working directory. Links stay as they are: a
 * reload is to follow them anew.
 */
static const char *
absolute(const char *path)
{
	char *cwd, *full;

	if (path[0] == '/')
		return path;
	if ((cwd = getcwd(NULL, 0)) == NULL ||
	    asprintf(&full, "%s/%s", cwd, path) == -1)
		fatal("%s", path);
	free(cwd);
	return full; /* for the life of the process */
}

/* root's alone: of others only -n comes here, and does without. */
static void
check_key(const struct conf *conf)
{
	char why[CTL_TEXT_MAX];

	if (conf->h.sync.npaths == 0 || geteuid() != 0)
		return;
	if (conf_read_key(conf->h.sync.key_file, hagwd.key, why, sizeof(why)) ==
	    -1) {
		log_line(LOG_CRIT, why);
		exit(EXIT_REFUSED);
	}
}

/* What must be right before anything in the kernel is touched. */
static struct conf *
check_start(void)
{
	bool sure;
	struct conf *conf = load_conf(conf_node_name(hagwd.opt.node, &sure));

	if (conf == NULL)
		exit(EXIT_REFUSED);
	check_users();
	child_check_programs();
	check_key(conf);
	return conf;
}

static int
check_only(void)
{
	struct conf *conf = check_start();

	printf("%s: configuration ok%s\n", hagwd.opt.conf_path,
	    conf->h.sync.npaths > 0 && geteuid() != 0
		? "; the key file was not read (not root)"
		: "");
	conf_free(conf);
	return 0;
}

static void
prepare(void)
{
	if (geteuid() != 0)
		fatalx("hagwd must be started as root (it drops what it can)");
	reconf_adopt_conf(check_start());
	take_rundir();
	hagwd.opt.conf_path = absolute(hagwd.opt.conf_path);
	hagwd.opt.rundir = absolute(hagwd.opt.rundir);
}

static void
open_kernel(void)
{
	if (kct_init() == -1)
		fatal("conntrack: netlink is not available (is "
		      "nf_conntrack_netlink loaded?)");
	if (knft_watch(hagwd.base, dispatch_nat_changed) == -1)
		fatal("nftables: netlink is not available");
	if (announce_init(hagwd.base) == -1)
		fatal("announcements");
	if (sysctl_apply(hagwd.opt.rundir) == -1)
		exit(1);
	nets_init();
	adopt_init(hagwd.opt.rundir);
	adopt();
	takeover_init();
	if (nets_ctl_listen() == -1)
		exit(1);
}

static void
clean_up(void)
{
	char path[CONF_PATH_MAX];

	takeover_withdraw();
	child_stop_all();
	if (knft_delete_table() == -1)
		log_warn("nftables: table inet %s cannot be removed",
		    HAGW_NFT_TABLE);
	sysctl_restore(hagwd.opt.rundir);
	snprintf(path, sizeof(path), "%s/%s", hagwd.opt.rundir, HAGW_SOCK_NAME);
	unlink(path);
	snprintf(path, sizeof(path), "%s/hagwd.pid", hagwd.opt.rundir);
	unlink(path);
	log_info("hagwd: stopped");
}

int
main(int argc, char *argv[])
{
	parse_options(argc, argv);
	log_init("hagwd", 1, hagwd.opt.verbose);
	if (hagwd.opt.check_only)
		return check_only();
	umask(022); /* group hagw is to reach the socket */
	prepare();
	if (hagwd.opt.foreground) {
		notify_init(-1);
	} else {
		daemonize();
		log_init("hagwd", 0, hagwd.opt.verbose);
	}
	write_pid();
	hagwd.started_us = clock_us();
	make_loop();
	open_kernel();
	cpus_init();
	cpus_session();
	enter_realtime();
	confine();
	child_start_all();
	event_base_dispatch(hagwd.base);
	clean_up();
	return 0;
}
