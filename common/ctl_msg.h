/*
 * The rows a control request is answered with: filled by the process that
 * knows, passed on by the parent and ctld, printed by hactl as text or JSON.
 * Fixed size, no pointers, strings NUL-terminated (readers do not trust
 * that). Times: *_us are spans, *_real_ns are wall clock for people. A span
 * of UINT64_MAX means never.
 */
#ifndef CTL_MSG_H
#define CTL_MSG_H

#include <netinet/in.h>
#include <stdint.h>

#include "conf.h"
#include "hagw.h"

#define CTL_TEXT_MAX   256
#define CTL_NEVER      UINT64_MAX
#define CTL_EVENTS_MAX 512 /* show events N: hagwd keeps as many */

/* What a request asks for. The table in ctl/words.c names them. */
enum ctl_what {
	CTL_SHOW_NODE = 1, /* parent: struct ctl_node, ctl_peer, ctl_warning */
	CTL_SHOW_VRRP, /* vrrpd: ctl_vrrp, ctl_vrrp_net, ctl_warning */
	CTL_SHOW_SYNC, /* syncd: ctl_sync, ctl_sync_peer, ctl_warning */
	CTL_SHOW_NAT, /* natd: ctl_nat, ctl_nat_rule, ctl_warning */
	CTL_SHOW_CONFIG, /* parent: text */
	CTL_SHOW_EVENTS, /* parent: ctl_event, oldest first; arg: how many */
	CTL_SHOW_PROCESS, /* parent: ctl_process */
	CTL_MONITOR, /* parent: ctl_event as they come, no END */
	CTL_WHAT_CHANGE, /* those below change something: root only */
	CTL_FAILOVER, /* parent: ctl_progress; flag force */
	CTL_FAILBACK, /* the same */
	CTL_RELOAD, /* parent: text (report), END */
	CTL_LOG, /* flag verbose */
	CTL_WHAT_MAX
};

#define CTL_F_FORCE   0x1
#define CTL_F_VERBOSE 0x2
#define CTL_F_BRIEF   0x4 /* show nat: the totals, not the rules */

struct ctl_request {
	uint32_t what;
	uint32_t flags;
	uint32_t number; /* show events N; 0: the default */
	uint32_t reserved;
	char arg[CONF_NAME_MAX]; /* a network or rule name; empty: all */
};

/* Greets a client; another version is refused by hactl. */
struct ctl_hello {
	char version[16];
	char build_id[32];
};

struct ctl_end {
	int32_t code; /* hactl's exit code */
	char text[CTL_TEXT_MAX]; /* why, when not 0 */
};

struct ctl_text {
	uint32_t len;
	char text[4096]; /* not terminated */
};

struct ctl_progress {
	uint64_t real_ns;
	char node[CONF_NAME_MAX];
	char text[CTL_TEXT_MAX];
};

struct ctl_event {
	uint64_t real_ns;
	char node[CONF_NAME_MAX];
	char kind[12]; /* vrrp sync nat proc conf drift */
	char text[CTL_TEXT_MAX];
};

/* One line under "warnings": what is wrong, and where to look. */
struct ctl_warning {
	char object[CONF_NAME_MAX];
	char text[CTL_TEXT_MAX];
	char hint[64]; /* a command, such as "hactl show sync" */
};

struct ctl_node {
	char site[CONF_SITE_MAX];
	char node[CONF_NAME_MAX];
	char version[16];
	uint8_t hash[CONF_HASH_LEN];
	uint32_t role; /* enum role */
	uint32_t reserved;
	uint64_t uptime_us;
	uint64_t ct_count;
	uint64_t ct_max;
	uint64_t ct_drop; /* table full and early drops since boot */
	uint64_t inject_ok;
	uint64_t inject_failed;
	uint64_t inject_refused; /* of them: against the site file */
	uint64_t inject_full; /* of them: no room in the table */
};

/* Another node as its heartbeats describe it. */
struct ctl_peer {
	char node[CONF_NAME_MAX];
	uint8_t hash[CONF_HASH_LEN];
	uint32_t up;
	uint32_t role;
	uint32_t ready;
	uint32_t same_config;
	uint64_t seen_us; /* ago */
};

struct ctl_vrrp {
	uint32_t role;
	uint32_t priority; /* as advertised */
	uint32_t configured; /* as in the site file */
	uint32_t ready; /* holds every flow, and fit */
	uint32_t preempt;
	uint32_t released; /* by hactl failover: will not preempt */
	uint32_t split; /* two masters suspected */
	uint32_t transitions;
	uint64_t splits;
	uint64_t advertise_us; /* in use: adopted from the master */
	uint64_t down_us;
	uint64_t preempt_after_us;
	uint64_t since_real_ns;
	uint64_t since_us; /* ago */
	char last[CTL_TEXT_MAX]; /* BACKUP -> MASTER, "reason" */
};

struct ctl_vrrp_net {
	char name[CONF_NAME_MAX];
	char ifname[IFNAMSIZ];
	struct in_addr vip;
	struct in_addr peer; /* last advertisement's source; 0: none */
	uint32_t vrid;
	uint32_t link_up;
	uint32_t peer_priority;
	uint32_t reserved;
	uint64_t peer_seen_us; /* ago */
	uint64_t sent;
	uint64_t received;
	uint64_t sent_zero; /* priority 0 */
	uint64_t received_zero;
	uint64_t err_send;
	uint64_t err_ttl;
	uint64_t err_version;
	uint64_t err_type;
	uint64_t err_length;
	uint64_t err_checksum;
	uint64_t err_vrid;
	uint64_t err_interval;
	uint64_t err_count; /* no address at all */
	uint64_t err_addresses;
	uint64_t cksum_plain; /* without the pseudo-header (RFC 9568) */
	uint64_t cksum_pseudo; /* with it (RFC 5798) */
	uint64_t announces;
};

struct ctl_sync {
	uint32_t role;
	uint32_t ready; /* as in heartbeats: holds every flow, and fit */
	uint32_t npeers;
	uint32_t settling; /* the pass after takeover is under way */
	uint64_t flows; /* entries in this kernel */
	uint64_t events; /* read from the kernel */
	uint64_t records_out;
	uint64_t coalesced;
	uint64_t filtered; /* local, protocol, ... : not synchronised */
	uint64_t overruns; /* ENOBUFS from the kernel */
	uint64_t injected;
	uint64_t inject_failed;
	uint64_t conflicts; /* a flow clashed with another one here */
	uint64_t swept;
	uint64_t settled;
	uint64_t bad_key; /* datagrams dropped: authentication */
	uint64_t bad_replay;
	uint64_t bad_version;
	uint64_t bad_format; /* truncated, impossible */
	uint64_t bad_site;
};

struct ctl_sync_peer {
	char node[CONF_NAME_MAX];
	char path[CONF_NAME_MAX];
	struct in_addr addr;
	uint32_t up;
	uint32_t role;
	uint32_t ready;
	uint32_t same_config;
	uint32_t bulk; /* 0 none, 1 sending, 2 receiving */
	uint32_t reserved;
	uint64_t seen_us;
	uint64_t rtt_us; /* CTL_NEVER: not measured */
	uint64_t lag_us; /* age of the oldest unconfirmed record */
	uint64_t flows; /* entries in the peer's kernel, by heartbeat */
	uint64_t unconfirmed;
	uint64_t sent; /* datagrams */
	uint64_t received;
	uint64_t resent;
	uint64_t lost; /* never confirmed: repaired by a bulk */
	uint64_t records_in;
	uint64_t bulks_sent;
	uint64_t bulks_received;
	uint64_t bulk_real_ns; /* end of the last full one; 0: none */
	uint64_t bulk_us; /* and how long it took; CTL_NEVER: none */
	uint64_t bulk_records;
};

struct ctl_nat {
	uint32_t sources;
	uint32_t forwards;
	uint32_t loaded; /* the wanted state is in the kernel */
	uint32_t loading; /* an earlier one is, and nothing failed so far */
	uint32_t grace; /* takeover grace is open */
	uint32_t reserved;
	uint64_t applied_us; /* ago */
	uint64_t batches;
	uint64_t failures;
	char error[CTL_TEXT_MAX]; /* the last failure; empty: none */
};

struct ctl_nat_rule {
	char name[CONF_NAME_MAX];
	char kind[12]; /* source forward */
	char match[80];
	char becomes[80];
	uint32_t hairpin;
	uint32_t reserved;
	uint64_t hits; /* connections translated */
};

struct ctl_process {
	char name[12];
	char state[16]; /* running, silent, starting, waiting, stopped */
	char note[64]; /* what the sandbox lacks, the last exit */
	int32_t pid;
	uint32_t restarts;
	uint32_t queued; /* messages waiting for it */
	uint32_t reserved;
	uint64_t uptime_us;
	uint64_t rss_kb;
	uint64_t messages; /* received from it */
};

#endif
