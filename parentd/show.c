/* Rows that the parent itself knows: the node, its peers, its processes. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "daemon.h"
#include "fmt.h"
#include "sandbox.h"

/* Two pings without an answer; after ten seconds it is hung (child.c). */
#define SILENT_US 4500000

static bool
silent(const struct child *c, char *buf, size_t sz)
{
	uint64_t us = clock_us() - c->pong_us;
	char span[FMT_MAX];

	if (c->state != CHILD_RUNNING || us < SILENT_US)
		return false;
	snprintf(buf, sz, "no answer for %s", fmt_span(span, us));
	return true;
}

static void __attribute__((format(printf, 4, 5)))
warning(uint32_t id, const char *object, const char *hint, const char *fmt, ...)
{
	struct ctl_warning w = {0};
	va_list ap;

	snprintf(w.object, sizeof(w.object), "%s", object);
	snprintf(w.hint, sizeof(w.hint), "%s", hint);
	va_start(ap, fmt);
	vsnprintf(w.text, sizeof(w.text), fmt, ap);
	va_end(ap);
	child_send(PROC_CTL, IMSG_CTL_WARNING, id, &w, sizeof(w));
}

static void
send_peer(uint32_t id, int i)
{
	const struct peer *p = &hagwd.peers[i];
	struct ctl_peer row = {.seen_us = CTL_NEVER};

	snprintf(row.node, sizeof(row.node), "%s", hagwd.conf->h.nodes[i].name);
	if (p->known) {
		row.up = p->st.up;
		row.role = p->st.role;
		row.ready = p->st.ready;
		row.seen_us = p->st.seen_us;
		if (row.seen_us != CTL_NEVER)
			row.seen_us += clock_us() - p->at_us;
		memcpy(row.hash, p->st.hash, sizeof(row.hash));
		row.same_config =
		    memcmp(p->st.hash, hagwd.conf->h.hash, CONF_HASH_LEN) == 0;
	}
	child_send(PROC_CTL, IMSG_CTL_PEER, id, &row, sizeof(row));
}

/* What syncd and vrrpd do not warn of themselves. */
static void
warn_peer(uint32_t id, int i)
{
	const struct peer *p = &hagwd.peers[i];

	if (p->known && p->st.up && p->st.role == ROLE_FAULT)
		warning(id, hagwd.conf->h.nodes[i].name,
		    "hactl show vrrp there",
		    "is FAULT, one of its networks is down: it cannot take "
		    "over");
}

static void
warn_node(uint32_t id, const struct ctl_node *node)
{
	char buf[CTL_TEXT_MAX / 2];
	const char *why;

	if (node->ct_max > 0 && node->ct_count > node->ct_max / 10 * 9)
		warning(id, "conntrack",
		    "sysctl net.netfilter.nf_conntrack_max",
		    "the table is over 90%% full: new flows will be dropped");
	for (int n = 0; n < hagwd.conf->h.nnets; n++)
		if (conf_in_group(hagwd.conf, n) && !hagwd.has_sockets[n])
			warning(id, hagwd.conf->h.nets[n].name,
			    "ip address show",
			    "no VRRP on %s: the interface or this node's "
			    "address on it is missing",
			    conf_ifname(hagwd.conf, n));
	for (int i = PROC_PARENT + 1; i < PROC_MAX; i++) {
		const struct child *c = &hagwd.children[i];

		if (c->state != CHILD_RUNNING)
			warning(id, proc_name(c->id), "hactl show process",
			    "not running (%s)",
			    c->note[0] != '\0' ? c->note : "starting");
		else if (silent(c, buf, sizeof(buf)))
			warning(id, proc_name(c->id), "hactl show process",
			    "%s", buf);
		else if (c->failures > 2)
			warning(id, proc_name(c->id), "hactl show process",
			    "died %u times in a row (%s)", c->failures,
			    c->note);
	}
	if ((why = health_warning(buf, sizeof(buf))) != NULL)
		warning(id, "health", "hactl show process",
		    "not fit to be MASTER: %s", why);
	for (int i = 0; i < hagwd.conf->h.nnodes; i++)
		if (i != hagwd.conf->h.self)
			warn_peer(id, i);
}

void
show_node(uint32_t id)
{
	const struct conf_head *h = &hagwd.conf->h;
	struct ctl_node row = {
	    .role = hagwd.role,
	    .uptime_us = clock_us() - hagwd.started_us,
	    .inject_ok = hagwd.injected,
	    .inject_failed = hagwd.inject_failed,
	    .inject_refused = hagwd.inject_refused,
	    .inject_full = hagwd.inject_full,
	    .ct_drop = sysctl_ct_drops(),
	};
	struct imsg_ct_count count = {0};

	sysctl_ct_count(&count);
	row.ct_count = count.count;
	row.ct_max = count.max;
	snprintf(row.site, sizeof(row.site), "%s", h->site);
	snprintf(row.node, sizeof(row.node), "%s", h->nodes[h->self].name);
	snprintf(row.version, sizeof(row.version), "%s", HAGW_VERSION);
	memcpy(row.hash, h->hash, sizeof(row.hash));
	child_send(PROC_CTL, IMSG_CTL_NODE, id, &row, sizeof(row));
	for (int i = 0; i < h->nnodes; i++)
		if (i != h->self)
			send_peer(id, i);
	warn_node(id, &row);
	control_end(id, 0, "%s", "");
}

static uint64_t
rss_kb(pid_t pid)
{
	char path[64];
	unsigned long size, resident;
	FILE *f;
	int n;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	if ((f = fopen(path, "re")) == NULL)
		return 0;
	n = fscanf(f, "%lu %lu", &size, &resident);
	fclose(f);
	return n == 2 ? resident * (uint64_t)sysconf(_SC_PAGESIZE) / 1024 : 0;
}

static void
lacks_note(char *buf, size_t sz, const struct child *c)
{
	char wait[40] = "";

	if (c->state == CHILD_WAITING)
		snprintf(wait, sizeof(wait), ", starts again after %u ms",
		    c->delay_ms);
	snprintf(buf, sz, "%s%s%s%s%s", c->note, wait,
	    c->lacks & SB_NO_LANDLOCK ? " no Landlock" : "",
	    c->lacks & SB_NO_REALTIME ? " no real-time" : "",
	    c->lacks & SB_NO_MLOCK ? " memory not locked" : "");
}

static void
send_child(uint32_t id, const struct child *c)
{
	static const char *const states[] = {
	    [CHILD_STOPPED] = "stopped",
	    [CHILD_STARTING] = "starting",
	    [CHILD_CONFIGURING] = "configuring",
	    [CHILD_RUNNING] = "running",
	    [CHILD_WAITING] = "waiting",
	};
	struct ctl_process row = {.pid = c->pid,
	    .restarts = c->restarts,
	    .queued = c->ibuf.queued,
	    .messages = c->messages};

	snprintf(row.name, sizeof(row.name), "%s", proc_name(c->id));
	snprintf(row.state, sizeof(row.state), "%s", states[c->state]);
	lacks_note(row.note, sizeof(row.note), c);
	if (silent(c, row.note, sizeof(row.note)))
		snprintf(row.state, sizeof(row.state), "silent");
	if (c->pid > 0) {
		row.uptime_us = clock_us() - c->started_us;
		row.rss_kb = rss_kb(c->pid);
	}
	child_send(PROC_CTL, IMSG_CTL_PROCESS, id, &row, sizeof(row));
}

void
show_process(uint32_t id)
{
	struct ctl_process self = {.pid = getpid(),
	    .uptime_us = clock_us() - hagwd.started_us,
	    .rss_kb = rss_kb(getpid())};

	snprintf(self.name, sizeof(self.name), "%s", proc_name(PROC_PARENT));
	snprintf(self.state, sizeof(self.state), "running");
	child_send(PROC_CTL, IMSG_CTL_PROCESS, id, &self, sizeof(self));
	for (int i = PROC_PARENT + 1; i < PROC_MAX; i++)
		send_child(id, &hagwd.children[i]);
	control_end(id, 0, "%s", "");
}
