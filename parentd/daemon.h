/*
 * What the parent's process side shares: the daemon's state, children,
 * reconfiguration, roles, planned handovers, control requests.
 */
#ifndef DAEMON_H
#define DAEMON_H

#include "parentd.h"

struct options {
	const char *conf_path;
	const char *node; /* NULL: by hostname */
	const char *rundir;
	bool foreground;
	bool check_only;
	bool verbose;
};

enum child_state {
	CHILD_STOPPED,
	CHILD_STARTING, /* executed, not READY */
	CHILD_CONFIGURING, /* READY, configuration sent */
	CHILD_RUNNING,
	CHILD_WAITING /* dead, restarted after a delay */
};

struct child {
	enum proc_id id;
	enum child_state state;
	pid_t pid;
	struct imsgbuf ibuf;
	struct event *rev;
	struct event *wev;
	struct event *restart;
	uint64_t started_us;
	uint64_t pong_us;
	uint64_t messages;
	unsigned int restarts;
	unsigned int failures; /* in a row, for the back-off */
	unsigned int lacks; /* SB_NO_* */
	bool drained; /* during a reload */
	bool killed; /* by us: it broke a rule or hung */
	unsigned int delay_ms; /* before the next start */
	char note[64];
	struct budget budget;
};

/* What syncd last said of another node. */
struct peer {
	bool known;
	struct imsg_ct_status st;
	uint64_t at_us;
};

struct daemon {
	struct options opt;
	struct event_base *base;
	struct conf *conf;
	uint8_t key[HAGW_SYNC_KEYLEN];
	struct child children[PROC_MAX];
	struct peer peers[CONF_NODES_MAX];
	struct authz_view view;
	enum role role;
	uint64_t started_us;
	uint64_t role_us; /* monotonic, since when */
	uint64_t role_real_ns;
	uint32_t transitions;
	bool released; /* by hactl failover: no preemption */
	bool stopping;
	uint64_t injected;
	uint64_t inject_failed;
	uint64_t inject_refused; /* of them by authz */
	uint64_t inject_full; /* of them: the table has no room */
	bool link_up[CONF_NETS_MAX];
	bool has_sockets[CONF_NETS_MAX];
};

extern struct daemon hagwd;

/* health.c: can this node do a master's work? */
bool health_fit(void);
void health_tick(void); /* each second, and when something changed */
void health_nat_loaded(bool);
bool health_holds_vrrpd(void); /* at a cold start */
void health_to_syncd(void);
const char *health_warning(char *buf, size_t sz); /* NULL: none */

/* child.c */
/*
 * So many deaths in a row are made good at once, for mastership must not
 * move for a kill; then the delay grows. A second of life makes up for one.
 */
#define CHILD_FREE_DEATHS 5
void child_check_programs(void); /* ends the start when one is missing */
void child_start_all(void);
void child_stop_all(void); /* tell, wait a moment, kill */
bool child_running(enum proc_id);
enum imsg_phase child_phase(const struct child *);
void child_reaped(pid_t, int status);
/* Broke a rule: log why, kill; it is restarted clean. */
void child_violation(struct child *, const char *why);
void child_tick(void);
/* Quietly dropped when the child is not there; fd is taken over. */
void child_send(enum proc_id id, enum imsg_type type, uint32_t msgid,
    const void *data, size_t len);
void child_send_fd(enum proc_id id, enum imsg_type type, uint32_t msgid, int fd,
    const void *data, size_t len);

/* aside.c: fn(fd) by a process of its own, for c. 0, or -1 with errno */
int aside_run(const struct child *c, int (*fn)(int fd), int fd);
void aside_reaped(pid_t, int status);

/* cpus.c: where the calling process may run, from now on, and how soon */
void cpus_init(void); /* once, at start: what hagwd was given */
void cpus_walk(void); /* where dump requests are made */
void cpus_prompt(void); /* anywhere but there */
void cpus_all(void);
void cpus_session(void); /* hagwd's, before others start */
void cpus_flows(void); /* syncd's */

/* confine.c: what the parent itself gives up, before the first child */
void confine(void);

/* dispatch.c */
void dispatch(struct child *, const struct imsg *);
void dispatch_nat_changed(enum nat_changed);

/* reconf.c */
/* Give a fresh child the running configuration. */
void reconf_child(struct child *);
void reconf_drained(
    struct child *, uint32_t number, const struct imsg_drained *);
/* Start a reload; ctl_id gets the report and the end, 0: nobody. */
void reconf_reload(uint32_t ctl_id);
void reconf_child_died(struct child *);
/* A report as hactl check prints it, to who asked; 0: into the log. */
void reconf_report(uint32_t ctl_id, const struct conf_report *);
/* Replace hagwd.conf and what is derived from it. */
void reconf_adopt_conf(struct conf *);

/* nets.c: the sockets and link states children are given */
void nets_init(void);
void nets_to_vrrpd(const struct conf *old); /* NULL: everything */
void nets_to_syncd(const struct conf *old);
void nets_to_ctld(void);
void nets_events(bool on); /* does the kernel report flows to syncd? */
void nets_retry(void); /* each second: what could not be opened */
void nets_timeouts_tick(void); /* each second: are they as syncd knows? */
void nets_link(const char *ifname);
void nets_links(void); /* tell vrrpd of all its links */
void nets_addr(int ifindex, struct in_addr, bool deleted);
int nets_ctl_listen(void); /* -1: said why */

/* takeover.c: role -> addresses, announcements, the other children */
void takeover_init(void);
void takeover_state(enum role, const char *reason);
void takeover_refresh(void); /* each second */
void takeover_reconf(const struct conf *old);
void takeover_address_lost(int ifindex, struct in_addr);
void takeover_send_role(enum proc_id);
void takeover_withdraw(void);
void takeover_again(void); /* announce once more */
void takeover_link(void); /* announce what is otherwise now */

/* adopt.c: what an earlier hagwd left in the kernel */
void adopt_init(const char *rundir);
void adopt(void);
void adopt_lease(uint64_t now_us); /* begun; 0: given back */
void adopt_refreshed(void); /* the addresses' lifetimes */
uint64_t adopt_refreshed_us(void); /* when */
uint64_t adopt_left_us(void); /* of the lease; 0: it ran out */
void adopt_to_vrrpd(void); /* the lease page */

/* handover.c: planned release, asked by hactl, a peer or a stop */
void handover_failover(uint32_t ctl_id, bool force);
void handover_failback(uint32_t ctl_id);
void handover_asked(const struct imsg_ct_handover *);
void handover_unfit(void); /* to a node that is, if there is one */
void handover_preempt(void); /* vrrpd wants the peer to hand over */
void handover_barrier_done(const struct imsg_ct_barrier *);
void handover_released(const struct imsg_vrrp_released *);
void handover_role_changed(void);
void handover_child_died(enum proc_id);
/* Release for good, then call done; at once when there is nothing to do. */
void handover_shutdown(void (*done)(void));

/* control.c: requests of hactl */
void control_request(const struct imsg *);
void control_cancel(uint32_t id);
void control_row(struct child *, const struct imsg *);
void control_child_died(enum proc_id);
void control_expire(void); /* each second */
void control_end(uint32_t id, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void control_progress(uint32_t id, const char *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void control_text(uint32_t id, const char *text, size_t len);
void control_monitors(const struct ctl_event *);

/* show.c: rows the parent itself knows */
void show_node(uint32_t id);
void show_process(uint32_t id);

/* history.c: the ring behind show events; each entry is logged too */
#define HISTORY_MAX CTL_EVENTS_MAX
void history_add(const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void history_show(uint32_t id, uint32_t number);

/* peers.c: readiness as syncd reports it */
void peers_update(const struct imsg_ct_status *);
void peers_ask(void); /* syncd, which is told how many flows are here */
/* The peer that could take over best; NULL: none is up. */
const struct peer *peers_best(void);
const struct peer *peers_master(void); /* that says it is; or NULL */
const char *peers_name(const struct peer *);
bool peers_ready(uint32_t node);
void peers_tell_vrrpd(void);
/* Could another node take over, as far as is known? */
bool peers_can_take_over(void);
void peers_reset(void);

/* notify.c: systemd's readiness and watchdog, and the waiting parent */
void notify_init(int ready_fd);
void notify_ready(void);
void notify_tick(void);
void notify_stopping(void);

/* parentd.c */
void parentd_all_running(void); /* first time: ready */
void parentd_stop(void);

#endif
