/*
 * Configuration to the children. A fresh child gets the running one by
 * itself. A reload is two-phase: every child gets the items and checks
 * them (DRAINED) before any switches (DONE); one refusal, or one death
 * meanwhile, and nothing has changed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "daemon.h"
#include "fmt.h"
#include "log.h"

/* A child that does not answer a DRAIN within this time ends the reload. */
#define RELOAD_TIMEOUT_US 5000000
/* Changes that are told one by one; a queue is not for ten thousand. */
#define DIFF_LINES_MAX    1000

static struct {
	struct conf *next; /* NULL: no reload under way */
	uint8_t key[HAGW_SYNC_KEYLEN];
	uint32_t ctl_id;
	uint32_t number; /* children say which one they answer */
	struct event *timer;
} reload;

/* Arrays go in as many packets as they need. */
static void
send_items(enum proc_id id, enum imsg_type type, const void *items, size_t n,
    size_t size)
{
	size_t per = IMSG_DATA_MAX / size;

	for (size_t i = 0; i < n; i += per) {
		size_t k = n - i < per ? n - i : per;

		child_send(
		    id, type, 0, (const char *)items + i * size, k * size);
	}
}

static void
send_conf(enum proc_id id, const struct conf *conf, const uint8_t *key)
{
	struct conf_head head = conf->h;
	struct imsg_key k;

	/* only natd needs the rules, only syncd the key */
	if (id != PROC_NAT)
		head.nsources = head.nforwards = 0;
	child_send(id, IMSG_RECONF_BEGIN, 0, &head, sizeof(head));
	if (id == PROC_NAT) {
		send_items(id, IMSG_RECONF_SOURCE, conf->sources,
		    conf->h.nsources, sizeof(conf->sources[0]));
		send_items(id, IMSG_RECONF_FORWARD, conf->forwards,
		    conf->h.nforwards, sizeof(conf->forwards[0]));
	}
	if (id == PROC_SYNC && conf->h.sync.npaths > 0) {
		memcpy(k.key, key, sizeof(k.key));
		child_send(id, IMSG_RECONF_KEY, 0, &k, sizeof(k));
		explicit_bzero(&k, sizeof(k));
	}
	child_send(id, IMSG_RECONF_DRAIN, reload.number, NULL, 0);
}

void
reconf_child(struct child *c)
{
	uint32_t verbose = (uint32_t)log_getverbose();

	c->state = CHILD_CONFIGURING;
	if (verbose != 0)
		child_send(
		    c->id, IMSG_PROC_VERBOSE, 0, &verbose, sizeof(verbose));
	send_conf(c->id, hagwd.conf, hagwd.key);
}

static void
send_resume(void)
{
	struct imsg_vrrp_resume r = {
	    .role = hagwd.role,
	    .released = hagwd.released,
	    .transitions = hagwd.transitions,
	    .since_us = hagwd.role_us,
	    .since_real_ns = hagwd.role_real_ns,
	};

	if (hagwd.role == ROLE_MASTER || hagwd.role == ROLE_BACKUP)
		child_send(PROC_VRRP, IMSG_VRRP_RESUME, 0, &r, sizeof(r));
}

/* What a child needs beyond its configuration, once it runs. */
static void
child_configured(struct child *c)
{
	switch (c->id) {
	case PROC_VRRP:
		nets_to_vrrpd(NULL);
		adopt_to_vrrpd(); /* after it could advertise */
		peers_tell_vrrpd();
		break;
	case PROC_SYNC:
		nets_to_syncd(NULL);
		takeover_send_role(PROC_SYNC);
		health_to_syncd();
		break;
	case PROC_NAT:
		takeover_send_role(PROC_NAT);
		break;
	case PROC_CTL:
		nets_to_ctld();
		break;
	default:
		break;
	}
}

static bool
all_running(void)
{
	for (int id = PROC_PARENT + 1; id < PROC_MAX; id++)
		if (!child_running((enum proc_id)id))
			return false;
	return true;
}

static void
first_drained(struct child *c, const struct imsg_drained *msg)
{
	char why[CTL_TEXT_MAX + 32];

	if (!msg->ok) {
		snprintf(why, sizeof(why), "refuses the configuration: %.200s",
		    msg->why);
		child_violation(c, why);
		return;
	}
	if (c->id == PROC_VRRP)
		send_resume();
	child_send(c->id, IMSG_RECONF_DONE, 0, NULL, 0);
	c->state = CHILD_RUNNING;
	c->pong_us = clock_us();
	child_configured(c);
	health_tick();
	if (all_running())
		parentd_all_running();
}

void
reconf_adopt_conf(struct conf *next)
{
	if (authz_prepare(&hagwd.view, next) == -1)
		fatal("configuration");
	hagwd.conf = next;
}

static void
reload_end(int code, const char *text)
{
	event_del(reload.timer);
	reload.next = NULL;
	explicit_bzero(reload.key, sizeof(reload.key));
	if (reload.ctl_id != 0)
		control_end(reload.ctl_id, code, "%s", text);
	reload.ctl_id = 0;
}

static void
reload_abort(const char *why)
{
	for (int id = PROC_PARENT + 1; id < PROC_MAX; id++)
		if (child_running((enum proc_id)id))
			child_send(
			    (enum proc_id)id, IMSG_RECONF_ABORT, 0, NULL, 0);
	conf_free(reload.next);
	history_add("conf", "reload given up, nothing changed: %s", why);
	reload_end(1, why);
}

static void
tell_line(const char *line)
{
	log_info("conf: %s", line);
	if (reload.ctl_id != 0) {
		control_text(reload.ctl_id, line, strlen(line));
		control_text(reload.ctl_id, "\n", 1);
	}
}

static void
log_diff_line(void *arg, const char *line)
{
	unsigned int *n = arg;

	if ((*n)++ < DIFF_LINES_MAX)
		tell_line(line);
}

static void
tell_diff(const struct conf *old)
{
	unsigned int n = 0;
	char more[64];

	conf_diff(old, reload.next, log_diff_line, &n);
	if (n <= DIFF_LINES_MAX)
		return;
	snprintf(more, sizeof(more), "and %u more", n - DIFF_LINES_MAX);
	tell_line(more);
}

static void
reload_commit(void)
{
	struct conf *old = hagwd.conf;
	char from[FMT_MAX], to[FMT_MAX];

	tell_diff(old);
	reconf_adopt_conf(reload.next);
	memcpy(hagwd.key, reload.key, sizeof(hagwd.key));
	for (int id = PROC_PARENT + 1; id < PROC_MAX; id++)
		child_send((enum proc_id)id, IMSG_RECONF_DONE, 0, NULL, 0);
	/* what is known of the others stands by their number */
	if (memcmp(old->h.nodes, hagwd.conf->h.nodes, sizeof(old->h.nodes)) !=
	    0)
		peers_reset();
	nets_to_vrrpd(old);
	nets_to_syncd(old);
	takeover_reconf(old);
	history_add("conf", "reloaded: %s -> %s", fmt_hash(from, old->h.hash),
	    fmt_hash(to, hagwd.conf->h.hash));
	conf_free(old);
	reload_end(0, "");
}

void
reconf_drained(struct child *c, uint32_t number, const struct imsg_drained *msg)
{
	char why[CTL_TEXT_MAX];

	if (c->state == CHILD_CONFIGURING) {
		first_drained(c, msg);
		return;
	}
	if (reload.next == NULL || number != reload.number)
		return; /* answer to a reload that was given up */
	if (!msg->ok) {
		snprintf(
		    why, sizeof(why), "%s: %.200s", proc_name(c->id), msg->why);
		reload_abort(why);
		return;
	}
	c->drained = true;
	for (int id = PROC_PARENT + 1; id < PROC_MAX; id++)
		if (!hagwd.children[id].drained)
			return;
	reload_commit();
}

void
reconf_child_died(struct child *c)
{
	char why[CTL_TEXT_MAX];

	if (reload.next == NULL)
		return;
	snprintf(why, sizeof(why), "%s died meanwhile", proc_name(c->id));
	reload_abort(why);
}

static void
reload_timeout(evutil_socket_t fd, short what, void *arg)
{
	char why[CTL_TEXT_MAX];
	int id = PROC_PARENT + 1;

	(void)fd;
	(void)what;
	(void)arg;
	while (id < PROC_MAX - 1 && hagwd.children[id].drained)
		id++;
	snprintf(why, sizeof(why),
	    "%s did not answer in 5s (hactl show process)",
	    proc_name((enum proc_id)id));
	reload_abort(why);
}

void
reconf_report(uint32_t ctl_id, const struct conf_report *report)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return;
	conf_report_print(f, report);
	if (fclose(f) == EOF || text == NULL) {
		free(text); /* no memory */
		return;
	}
	if (ctl_id != 0)
		control_text(ctl_id, text, len);
	else
		for (char *line = strtok(text, "\n"); line != NULL;
		     line = strtok(NULL, "\n"))
			log_warnx("%s", line);
	free(text);
}

static bool
has_link(const char *ifname)
{
	const struct kif *kif = kif_find(ifname);

	return kif != NULL && kif->ifindex != 0;
}

static struct conf *
reload_read(uint32_t ctl_id)
{
	const struct conf_head *h = &hagwd.conf->h;
	struct conf_report report;
	struct conf *next;
	char why[CTL_TEXT_MAX];

	conf_report_init(&report, hagwd.opt.conf_path);
	report.has_link = has_link;
	next = conf_load(hagwd.opt.conf_path, h->nodes[h->self].name, &report);
	if (next == NULL || report.nmsgs > 0)
		reconf_report(ctl_id, &report);
	conf_report_free(&report);
	if (next != NULL && next->h.sync.npaths > 0 &&
	    conf_read_key(
		next->h.sync.key_file, reload.key, why, sizeof(why)) == -1) {
		if (ctl_id != 0) {
			control_text(ctl_id, why, strlen(why));
			control_text(ctl_id, "\n", 1);
		}
		log_warnx("%s", why);
		conf_free(next);
		return NULL;
	}
	return next;
}

void
reconf_reload(uint32_t ctl_id)
{
	struct timeval tv = clock_tv(RELOAD_TIMEOUT_US);
	const char *busy = NULL;
	struct conf *next;

	if (reload.timer == NULL &&
	    (reload.timer = evtimer_new(hagwd.base, reload_timeout, NULL)) ==
		NULL)
		fatalx("event loop: no memory");
	if (reload.next != NULL)
		busy = "another reload is under way";
	else if (!all_running())
		busy = "a child is not running; see hactl show process";
	if (busy != NULL) {
		history_add(
		    "conf", "reload refused, nothing changed: %s", busy);
		control_end(ctl_id, 1, "%s", busy);
		return;
	}
	if ((next = reload_read(ctl_id)) == NULL) {
		history_add("conf", "reload refused, nothing changed: %s",
		    hagwd.opt.conf_path);
		control_end(ctl_id, 2, "%s", "nothing was changed");
		return;
	}
	reload.next = next;
	reload.ctl_id = ctl_id;
	reload.number++;
	for (int id = PROC_PARENT + 1; id < PROC_MAX; id++) {
		hagwd.children[id].drained = false;
		send_conf((enum proc_id)id, next, reload.key);
	}
	event_add(reload.timer, &tv);
}
