#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "schema.h"

#define HEAD(field)    offsetof(struct conf_head, field)
#define NODE(field)    offsetof(struct conf_node, field)
#define NET(field)     offsetof(struct conf_net, field)
#define SOURCE(field)  offsetof(struct conf_source, field)
#define FORWARD(field) offsetof(struct conf_forward, field)

#define WORD_MAX       64 /* longer words get no suggestion */

static const struct schema_key schema[] = {
    {"", "site", ST_NAME, true, HEAD(site), .max = CONF_SITE_MAX, .arg = "name",
	.help = "Name of the site. Nodes of another site are not heard."},

    {"", "nodes", ST_NODES, true, .max = CONF_NODES_MAX,
	.help = "The gateways, by name. A node finds itself here by its host "
		"name, by the name in\n.Pa /etc/hagw/node ,\nor by\n.Fl N\n"
		"of\n.Xr hagwd 8 ."},
    {"nodes.*", "priority", ST_NUMBER, true, NODE(priority), .min = 1,
	.max = 254, .arg = "number",
	.help = "The node with the highest priority is master when all are "
		"there. Every node has its own number."},

    {"", "networks", ST_NETWORKS, true, .max = CONF_NETS_MAX,
	.help = "The networks that the gateways are on, by name. Everything "
		"else in the file speaks of networks by these names."},
    {"networks.*", "interface", ST_IFNAME, true, .arg = "name",
	.help = "The interface on this network. A name, or a map of names by "
		"node where they differ."},
    {"networks.*", "address", ST_ADDRESS, true, .arg = "map",
	.help = "Each node's own IPv4 address and prefix length, by node. "
		"It is not set by hagw."},
    {"networks.*", "vip", ST_HOST, false, NET(vip), .arg = "address",
	.help = "The virtual address that the master holds."},
    {"networks.*", "vrid", ST_NUMBER, false, NET(vrid), .min = 1, .max = 255,
	.arg = "number",
	.help = "VRRP's number of the virtual router; no other on the same "
		"wire may use it. Goes with\n.Ic vip ."},

    {"", "ha", ST_MAP, true, .help = "What fails over, and how."},
    {"ha", "networks", ST_NETLIST, true, HEAD(ha.nnets), .max = CONF_NETS_MAX,
	.arg = "list",
	.help = "Networks whose virtual addresses move together: all of them, "
		"or none."},
    {"ha", "preempt", ST_PREEMPT, .off = HEAD(ha), .def = "never",
	.arg = "never | map",
	.help = "Whether a node with a higher priority takes over from a "
		"living master."},
    {"ha.preempt", "after", ST_DURATION, true, HEAD(ha.preempt_after_us),
	.max = 3600000000, .arg = "duration",
	.help = "Take over again when all flows are held, a master of lower "
		"priority is heard, and both have been so for this long."},
    {"ha", "advertise", ST_DURATION, false, HEAD(ha.advertise_us),
	.min = CONF_ADVERTISE_MIN_US, .max = CONF_ADVERTISE_MAX_US,
	.step = 10000, .def = "1s", .arg = "duration",
	.help = "Interval of the master's advertisements. A silent master is "
		"replaced after a little more than three of them."},

    {"", "sync", ST_MAP,
	.help = "How the nodes tell each other their flows. Required with two "
		"nodes or more."},
    {"sync", "over", ST_NETLIST, true, HEAD(sync.npaths), .max = 1,
	.arg = "list",
	.help = "The network that it goes over; a list of one network in this "
		"version. A link of its own is best."},
    {"sync", "key_file", ST_FILE, .off = HEAD(sync.key_file),
	.max = CONF_PATH_MAX, .def = HAGW_DEFAULT_KEY, .arg = "path",
	.help = "The shared key, see\n.Sx FILES ."},
    {"sync", "protocols", ST_PROTOCOLS, .off = HEAD(sync.protocols),
	.def = "[tcp, udp, icmp]", .arg = "list",
	.help = "Flows of which protocols are synchronised. Of flows that are "
		"older than a protocol's addition here, others may hear the "
		"end up to a day late."},
    {"sync", "port", ST_NUMBER, .off = HEAD(sync.port), .min = 1, .max = 65535,
	.def = "3780", .arg = "number",
	.help = "UDP port, the same on every node."},

    {"", "nat", ST_MAP, .help = "Address translation."},
    {"nat", "source", ST_SOURCES, .max = CONF_SOURCES_MAX,
	.help = "List of translations of what leaves."},
    {"nat.source[]", "name", ST_NAME, true, SOURCE(name), .max = CONF_NAME_MAX,
	.arg = "name",
	.help = "Name of the rule; no other one has it, source or forward."},
    {"nat.source[]", "from", ST_NETWORK, true, SOURCE(from), .arg = "network",
	.help = "What comes from an address in this network's prefix. Hosts "
		"behind a further router on it have others, and leave "
		"untranslated."},
    {"nat.source[]", "to", ST_NETWORK, true, SOURCE(to), .arg = "network",
	.help = "And leaves through this one."},
    {"nat.source[]", "address", ST_VIP, true, .arg = "vip",
	.help = "Leaves with this source address. Only\n.Cm vip ,\nthe "
		"virtual address of\n.Ic to ,\nsurvives a failover."},
    {"nat", "forward", ST_FORWARDS, .max = CONF_FORWARDS_MAX,
	.help = "List of ports of a virtual address that lead to a host "
		"inside."},
    {"nat.forward[]", "name", ST_NAME, true, FORWARD(name),
	.max = CONF_NAME_MAX, .arg = "name",
	.help = "Name of the rule; no other one has it, source or forward."},
    {"nat.forward[]", "on", ST_NETWORK, true, FORWARD(on), .arg = "network",
	.help = "The network whose virtual address listens."},
    {"nat.forward[]", "port", ST_PORT, true, .arg = "protocol/port",
	.help = "Such as\n.Ql tcp/443\nor\n.Ql udp/10000-20000 ."},
    {"nat.forward[]", "to", ST_TARGET, true, .arg = "host[:port]",
	.help = "Where it leads. Ports are kept without\n.Ar port ;\nfor a "
		"range,\n.Ar port\nis where the first one leads."},
    {"nat.forward[]", "hairpin", ST_BOOL, .off = FORWARD(hairpin),
	.def = "false", .arg = "true | false",
	.help = "Let hosts of its own network reach the host by the virtual "
		"address too; that network needs a\n.Ic vip ."},
};

const struct schema_key *
schema_next(const char *in, const struct schema_key *prev)
{
	const struct schema_key *k = prev == NULL ? schema : prev + 1;

	for (; k < schema + nitems(schema); k++) {
		if (strcmp(k->in, in) == 0)
			return k;
	}
	return NULL;
}

const struct schema_key *
schema_find(const char *in, const char *key)
{
	const struct schema_key *k = NULL;

	while ((k = schema_next(in, k)) != NULL) {
		if (strcmp(k->key, key) == 0)
			break;
	}
	return k;
}

static int
min3(int a, int b, int c)
{
	if (b < a)
		a = b;
	return c < a ? c : a;
}

/* Optimal string alignment, with the last three rows of its matrix. */
int
schema_distance(const char *a, const char *b)
{
	int rows[3][WORD_MAX + 1];
	int la = (int)strlen(a), lb = (int)strlen(b);
	int *pp = rows[0], *p = rows[1], *r = rows[2], *t;
	int i, j;

	if (la > WORD_MAX || lb > WORD_MAX)
		return WORD_MAX;
	for (j = 0; j <= lb; j++)
		p[j] = pp[j] = j;
	for (i = 1; i <= la; i++) {
		r[0] = i;
		for (j = 1; j <= lb; j++) {
			r[j] = min3(p[j] + 1, r[j - 1] + 1,
			    p[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && pp[j - 2] + 1 < r[j])
				r[j] = pp[j - 2] + 1;
		}
		t = pp;
		pp = p;
		p = r;
		r = t;
	}
	return p[lb];
}

int
schema_likeness(const char *a, const char *b)
{
	int d = schema_distance(a, b);
	int len = (int)strlen(a);

	/* two edits of a word of two letters would fit anything */
	return d <= (len + 1) / 3 && d < (int)strlen(b) && d <= 3 ? d : -1;
}

const char *
schema_suggest(const char *in, const char *word)
{
	const struct schema_key *k = NULL;
	const char *best = NULL;
	int d, least = WORD_MAX;

	while ((k = schema_next(in, k)) != NULL) {
		d = schema_likeness(word, k->key);
		if (d != -1 && d < least) {
			least = d;
			best = k->key;
		}
	}
	return best;
}
