/* One value of the file, of the type that its key asks for. */
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "addr.h"
#include "conf_read.h"
#include "fmt.h"
#include "schema.h"

static void *
target(const struct schema_key *k, void *base)
{
	return (char *)base + k->off;
}

/* The text of a single value, or NULL after a complaint. */
static const char *
scalar(struct conf_reader *r, const char *what, struct ynode *y)
{
	if (y->bad)
		return NULL;
	if (y->type != Y_SCALAR)
		report_error(r->report, y, "%s must be a single value", what);
	else if (y->text[0] == '\0')
		report_error(r->report, y, "%s needs a value", what);
	return y->bad ? NULL : y->text;
}

static const struct {
	const char *word;
	const char *instead;
} bool_words[] = {
    {"yes", "true"},
    {"on", "true"},
    {"no", "false"},
    {"off", "false"},
};

/* What other YAML readers take this for; NULL: for the word that it is. */
static const char *
other_bool(const struct ynode *y)
{
	size_t i;

	for (i = 0; y->plain && i < nitems(bool_words); i++) {
		if (strcasecmp(y->text, bool_words[i].word) == 0)
			return bool_words[i].instead;
	}
	return NULL;
}

/* A scalar that names something, or NULL after a complaint. */
static const char *
name_scalar(struct conf_reader *r, const char *what, struct ynode *y)
{
	const char *s = scalar(r, what, y), *other;

	if (s == NULL || (other = other_bool(y)) == NULL)
		return s;
	report_error(r->report, y,
	    "write \"%s\" in quotes: without them it is %s to other readers "
	    "of YAML",
	    s, other);
	return NULL;
}

/* Such as 010, which is 8 to other readers of YAML. */
static bool
leading_zero(const char *s)
{
	const char *p;

	if (strchr(s, ':') != strrchr(s, ':'))
		return false; /* IPv6: no address for any key */
	for (p = s; *p != '\0'; p++) {
		if (*p == '0' && isdigit((unsigned char)p[1]) &&
		    (p == s || !isalnum((unsigned char)p[-1])))
			return true;
	}
	return false;
}

/* A scalar that is or has a number, or NULL after a complaint. */
static const char *
number_scalar(struct conf_reader *r, const char *what, struct ynode *y)
{
	const char *s = scalar(r, what, y);

	if (s == NULL || !leading_zero(s))
		return s;
	report_error(r->report, y,
	    "write numbers without a leading 0, which many take for octal");
	return NULL;
}

/* Only digits, at most nine of them, no sign: -1 when not. */
static int64_t
digits(const char *s, size_t len)
{
	int64_t n = 0;
	size_t i;

	if (len < 1 || len > 9)
		return -1;
	for (i = 0; i < len; i++) {
		if (!isdigit((unsigned char)s[i]))
			return -1;
		n = n * 10 + (s[i] - '0');
	}
	return n;
}

static int64_t
number(const char *s)
{
	return digits(s, strlen(s));
}

static int64_t
port_number(const char *s, size_t len)
{
	int64_t n = digits(s, len);

	return n >= 1 && n <= 65535 ? n : -1;
}

/* Safe in file names, in nft, on a terminal, and plain in YAML. */
bool
conf_name_ok(const char *s)
{
	if (!isalnum((unsigned char)*s) && *s != '_')
		return false;
	for (; *s != '\0'; s++) {
		if (!isalnum((unsigned char)*s) && strchr("._-", *s) == NULL)
			return false;
	}
	return true;
}

static void
read_name(struct conf_reader *r, const struct schema_key *k, struct ynode *y,
    void *base)
{
	const char *s = name_scalar(r, k->key, y);

	if (s == NULL)
		return;
	if (!conf_name_ok(s))
		report_error(r->report, y,
		    "%s may hold letters, digits and . _ - only, and not begin "
		    "with . or -",
		    k->key);
	else if (fmt_copy(target(k, base), (size_t)k->max, s) == -1)
		report_error(r->report, y, "%s is longer than %d characters",
		    k->key, (int)k->max - 1);
}

static void
read_file(struct conf_reader *r, const struct schema_key *k, struct ynode *y,
    void *base)
{
	const char *s = scalar(r, k->key, y), *p;

	if (s == NULL)
		return;
	for (p = s; *p >= ' ' && *p <= '~'; p++)
		;
	if (*s != '/')
		report_error(r->report, y, "%s must be a path from /", k->key);
	else if (*p != '\0')
		report_error(r->report, y,
		    "%s may hold printable ASCII characters only", k->key);
	else if (fmt_copy(target(k, base), (size_t)k->max, s) == -1)
		report_error(r->report, y, "%s is longer than %d characters",
		    k->key, (int)k->max - 1);
}

static void
read_number(struct conf_reader *r, const struct schema_key *k, struct ynode *y,
    void *base)
{
	const char *s = number_scalar(r, k->key, y);
	int64_t n;

	if (s == NULL)
		return;
	n = number(s);
	if (n < k->min || n > k->max) {
		report_error(r->report, y, "%s must be a number from %d to %d",
		    k->key, (int)k->min, (int)k->max);
		return;
	}
	if (k->max <= UINT8_MAX)
		*(uint8_t *)target(k, base) = (uint8_t)n;
	else
		*(uint16_t *)target(k, base) = (uint16_t)n;
}

int
conf_duration_parse(const char *s, uint64_t *us)
{
	static const struct {
		const char *unit;
		uint64_t us;
	} units[] = {
	    {"ms", 1000},
	    {"s", 1000000},
	    {"m", 60000000},
	    {"h", 3600000000},
	    {"d", 86400000000},
	};
	size_t len = strspn(s, "0123456789"), i;
	int64_t n = digits(s, len);

	for (i = 0; n != -1 && i < nitems(units); i++) {
		if (strcmp(s + len, units[i].unit) == 0) {
			*us = (uint64_t)n * units[i].us;
			return 0;
		}
	}
	return -1;
}

static void
read_duration(struct conf_reader *r, const struct schema_key *k,
    struct ynode *y, void *base)
{
	const char *s = number_scalar(r, k->key, y);
	char min[FMT_MAX], max[FMT_MAX];
	uint64_t us;

	if (s == NULL)
		return;
	if (conf_duration_parse(s, &us) == -1)
		report_error(r->report, y,
		    "%s must be a duration such as 200ms, 3s or 5m", k->key);
	else if (us < (uint64_t)k->min || us > (uint64_t)k->max)
		report_error(r->report, y, "%s must be from %s to %s", k->key,
		    fmt_duration(min, (uint64_t)k->min),
		    fmt_duration(max, (uint64_t)k->max));
	else if (k->step != 0 && us % (uint64_t)k->step != 0)
		report_error(r->report, y, "%s must be a multiple of %s",
		    k->key, fmt_duration(min, (uint64_t)k->step));
	else
		*(uint32_t *)target(k, base) = (uint32_t)us;
}

/* With a map, its own key `after` is read like any other. */
static void
read_preempt(struct conf_reader *r, const struct schema_key *k, struct ynode *y,
    void *base)
{
	struct conf_head *h = base;

	if (y->type == Y_MAP) {
		h->ha.preempt = 1;
		conf_map_read(r, "ha.preempt", "ha.preempt", y, base);
		return;
	}
	if (y->bad || (y->type == Y_SCALAR && strcmp(y->text, "never") == 0))
		return;
	report_error(
	    r->report, y, "%s must be never or { after: DURATION }", k->key);
}

static uint8_t
protocol_bit(const char *s)
{
	static const struct {
		const char *name;
		uint8_t bit;
	} protos[] = {
	    {"tcp", CONF_PROTO_TCP},
	    {"udp", CONF_PROTO_UDP},
	    {"icmp", CONF_PROTO_ICMP},
	};
	size_t i;

	for (i = 0; i < nitems(protos); i++) {
		if (strcmp(s, protos[i].name) == 0)
			return protos[i].bit;
	}
	return 0;
}

/* A list with something in it, or false after a complaint. */
static bool
is_list(struct conf_reader *r, const char *what, struct ynode *y)
{
	if (y->bad)
		return false;
	if (y->type != Y_LIST)
		report_error(
		    r->report, y, "%s must be a list, such as [a, b]", what);
	else if (STAILQ_EMPTY(&y->kids))
		report_error(r->report, y, "%s is an empty list", what);
	return !y->bad;
}

static void
read_protocols(struct conf_reader *r, const struct schema_key *k,
    struct ynode *y, void *base)
{
	uint8_t bit, mask = 0;
	struct ynode *kid;
	const char *s;

	if (!is_list(r, k->key, y))
		return;
	STAILQ_FOREACH (kid, &y->kids, entry) {
		if ((s = scalar(r, "a protocol", kid)) == NULL)
			continue;
		if ((bit = protocol_bit(s)) == 0)
			report_error(r->report, kid,
			    "protocol \"%s\" is none of tcp, udp, icmp", s);
		else if (mask & bit)
			report_error(
			    r->report, kid, "protocol \"%s\" is here twice", s);
		mask |= bit;
	}
	*(uint8_t *)target(k, base) = mask;
}

static void
read_host(struct conf_reader *r, const struct schema_key *k, struct ynode *y,
    void *base)
{
	const char *s = number_scalar(r, k->key, y);
	union addr a = {0};

	if (s == NULL)
		return;
	if (addr_parse4(s, &a.v4, NULL) == -1)
		report_error(r->report, y,
		    "%s must be an IPv4 address without a prefix", k->key);
	else if (addr_special(AF_INET, &a))
		report_error(
		    r->report, y, "%s cannot be the address of a host", s);
	else
		*(struct in_addr *)target(k, base) = a.v4;
}

static bool
ifname_ok(struct conf_reader *r, struct ynode *y)
{
	const char *s = name_scalar(r, "interface", y);

	if (s == NULL)
		return false;
	if (strlen(s) >= IFNAMSIZ)
		report_error(r->report, y,
		    "interface name is longer than %d characters",
		    IFNAMSIZ - 1);
	else if (!conf_name_ok(s))
		report_error(r->report, y, "\"%s\" is no interface name", s);
	return !y->bad;
}

/* A map by node, or false after a complaint. */
static bool
is_bynode(struct conf_reader *r, const struct schema_key *k, struct ynode *y,
    const char *value)
{
	if (y->bad)
		return false;
	if (y->type != Y_MAP)
		report_error(r->report, y,
		    "%s must be a map by node, such as { %s: %s }", k->key,
		    r->conf->h.nnodes > 0 ? r->conf->h.nodes[0].name : "gw-1",
		    value);
	else if (STAILQ_EMPTY(&y->kids))
		report_error(r->report, y, "%s is an empty map", k->key);
	return !y->bad;
}

/* The node that a key of a map by node means; -1 after a complaint. */
static int
bynode_index(struct conf_reader *r, struct ynode *y)
{
	const char *name = y->key->text;
	const struct conf_head *h = &r->conf->h;
	const char *close = NULL;
	int i;

	if ((i = conf_node_find(r->conf, name)) != -1)
		return i;
	if (h->nnodes == 0) {
		y->bad = true;
		return -1;
	}
	for (i = 0; i < h->nnodes && close == NULL; i++) {
		if (schema_likeness(name, h->nodes[i].name) != -1)
			close = h->nodes[i].name;
	}
	y->bad = true;
	if (close != NULL)
		report_error(r->report, y->key,
		    "node \"%s\" is not in nodes (did you mean \"%s\"?)", name,
		    close);
	else
		report_error(
		    r->report, y->key, "node \"%s\" is not in nodes", name);
	return -1;
}

static void
read_ifname(struct conf_reader *r, const struct schema_key *k, struct ynode *y,
    void *base)
{
	struct conf_net *net = base;
	struct ynode *kid;
	int i;

	if (y->type == Y_SCALAR) {
		if (!ifname_ok(r, y))
			return;
		for (i = 0; i < r->conf->h.nnodes; i++)
			fmt_copy(net->ifname[i], IFNAMSIZ, y->text);
		return;
	}
	if (!is_bynode(r, k, y, "eth0"))
		return;
	STAILQ_FOREACH (kid, &y->kids, entry) {
		i = bynode_index(r, kid);
		if (ifname_ok(r, kid) && i != -1)
			fmt_copy(net->ifname[i], IFNAMSIZ, kid->text);
	}
}

static void
read_one_address(
    struct conf_reader *r, struct conf_net *net, int node, struct ynode *y)
{
	const char *s = number_scalar(r, "address", y);
	char buf[ADDR_STRLEN];
	union addr a = {0};
	int plen;

	if (s == NULL)
		return;
	if (addr_parse4(s, &a.v4, &plen) == -1)
		report_error(r->report, y,
		    "address must be IPv4 with a prefix length, such as "
		    "10.0.0.1/24");
	else if (plen < 1 || plen > 31)
		report_error(
		    r->report, y, "prefix length must be from 1 to 31");
	else if (addr_special(AF_INET, &a))
		report_error(r->report, y, "%s cannot be the address of a host",
		    addr_str4(buf, a.v4));
	else if (net->plen != 0 && net->plen != plen)
		report_error(r->report, y,
		    "prefix length /%d, but another node has /%d on this "
		    "network",
		    plen, net->plen);
	else {
		net->plen = (uint8_t)plen;
		net->addr[node] = a.v4;
	}
}

static void
read_address(struct conf_reader *r, const struct schema_key *k, struct ynode *y,
    void *base)
{
	struct ynode *kid;
	int i;

	if (!is_bynode(r, k, y, "10.0.0.1/24"))
		return;
	STAILQ_FOREACH (kid, &y->kids, entry) {
		if ((i = bynode_index(r, kid)) != -1)
			read_one_address(r, base, i, kid);
	}
}

/* Index of the network of this name; -1 after a complaint. */
static int
network_index(struct conf_reader *r, struct ynode *y)
{
	const struct conf_head *h = &r->conf->h;
	const char *s = name_scalar(r, "a network", y), *close = NULL;
	int i;

	if (s == NULL)
		return -1;
	if ((i = conf_net_find(r->conf, s)) != -1)
		return i;
	if (h->nnets == 0) { /* complained about where they should be */
		y->bad = true;
		return -1;
	}
	for (i = 0; i < h->nnets && close == NULL; i++) {
		if (schema_likeness(s, h->nets[i].name) != -1)
			close = h->nets[i].name;
	}
	if (close != NULL)
		report_error(r->report, y,
		    "network \"%s\" is not in networks (did you mean \"%s\"?)",
		    s, close);
	else
		report_error(
		    r->report, y, "network \"%s\" is not in networks", s);
	return -1;
}

static void
read_network(struct conf_reader *r, const struct schema_key *k, struct ynode *y,
    void *base)
{
	int i = network_index(r, y);

	if (i != -1)
		*(uint8_t *)target(k, base) = (uint8_t)i;
}

static void
read_netlist(struct conf_reader *r, const struct schema_key *k, struct ynode *y,
    void *base)
{
	uint8_t *count = target(k, base), *nets = count + 1;
	struct ynode *kid;
	int i;

	if (!is_list(r, k->key, y))
		return;
	STAILQ_FOREACH (kid, &y->kids, entry) {
		if ((i = network_index(r, kid)) == -1) {
			y->bad = true;
			continue;
		}
		if (memchr(nets, i, *count) != NULL)
			report_error(r->report, kid,
			    "network \"%s\" is here twice", kid->text);
		else if (*count == k->max)
			report_error(r->report, kid,
			    k->max == 1 ? "%s takes one network in this version"
					: "%s takes no more networks",
			    k->key);
		else
			nets[(*count)++] = (uint8_t)i;
	}
}

static void
read_vip_word(struct conf_reader *r, const struct schema_key *k,
    struct ynode *y, void *base)
{
	const char *s = scalar(r, k->key, y);

	(void)base; /* the only choice: nothing to keep */
	if (s != NULL && strcmp(s, "vip") != 0)
		report_error(r->report, y,
		    "%s must be vip: no other address survives a failover",
		    k->key);
}

static bool
parse_ports(const char *s, struct conf_forward *f)
{
	size_t len = strcspn(s, "-");
	int64_t lo, hi;

	lo = hi = port_number(s, len);
	if (s[len] == '-')
		hi = port_number(s + len + 1, strlen(s + len + 1));
	if (lo == -1 || hi == -1)
		return false;
	f->lo = (uint16_t)lo;
	f->hi = (uint16_t)hi;
	return true;
}

static void
read_port(struct conf_reader *r, const struct schema_key *k, struct ynode *y,
    void *base)
{
	const char *s = number_scalar(r, k->key, y);
	struct conf_forward *f = base;

	if (s == NULL)
		return;
	if (strncmp(s, "tcp/", 4) == 0)
		f->proto = IPPROTO_TCP;
	else if (strncmp(s, "udp/", 4) == 0)
		f->proto = IPPROTO_UDP;
	if (f->proto == 0 || !parse_ports(s + 4, f))
		report_error(r->report, y,
		    "%s must be such as tcp/443 or udp/10000-20000, with ports "
		    "from 1 to 65535",
		    k->key);
	else if (f->lo > f->hi)
		report_error(r->report, y,
		    "port range is backwards: write %d-%d", f->hi, f->lo);
}

/* The port is left 0 when it is not named. */
static bool
parse_target(const char *s, struct conf_forward *f)
{
	char host[INET_ADDRSTRLEN];
	size_t len = strcspn(s, ":");
	int64_t port = 0;

	if (len >= sizeof(host))
		return false;
	memcpy(host, s, len);
	host[len] = '\0';
	if (s[len] == ':')
		port = port_number(s + len + 1, strlen(s + len + 1));
	if (port == -1 || addr_parse4(host, &f->to, NULL) == -1)
		return false;
	f->to_port = (uint16_t)port;
	return true;
}

static void
read_target(struct conf_reader *r, const struct schema_key *k, struct ynode *y,
    void *base)
{
	const char *s = number_scalar(r, k->key, y);
	struct conf_forward *f = base;
	union addr a = {0};

	if (s == NULL)
		return;
	if (!parse_target(s, f)) {
		report_error(r->report, y,
		    "%s must be an IPv4 address, or address:port with a port "
		    "from 1 to 65535",
		    k->key);
		return;
	}
	a.v4 = f->to;
	if (addr_special(AF_INET, &a))
		report_error(
		    r->report, y, "%s cannot be the address of a host", s);
}

static void
read_bool(struct conf_reader *r, const struct schema_key *k, struct ynode *y,
    void *base)
{
	const char *s = scalar(r, k->key, y), *other;

	if (s == NULL)
		return;
	if (strcmp(s, "true") == 0)
		*(uint8_t *)target(k, base) = 1;
	else if (strcmp(s, "false") == 0)
		*(uint8_t *)target(k, base) = 0;
	else if ((other = other_bool(y)) != NULL)
		report_error(r->report, y, "write %s instead of %s", other, s);
	else
		report_error(r->report, y, "%s must be true or false", k->key);
}

static void (*const readers[ST_MAX])(
    struct conf_reader *, const struct schema_key *, struct ynode *, void *) = {
    [ST_MAP] = conf_section_read,
    [ST_NODES] = conf_nodes_read,
    [ST_NETWORKS] = conf_networks_read,
    [ST_SOURCES] = conf_sources_read,
    [ST_FORWARDS] = conf_forwards_read,
    [ST_NAME] = read_name,
    [ST_NUMBER] = read_number,
    [ST_DURATION] = read_duration,
    [ST_PREEMPT] = read_preempt,
    [ST_PROTOCOLS] = read_protocols,
    [ST_FILE] = read_file,
    [ST_IFNAME] = read_ifname,
    [ST_ADDRESS] = read_address,
    [ST_HOST] = read_host,
    [ST_NETWORK] = read_network,
    [ST_NETLIST] = read_netlist,
    [ST_VIP] = read_vip_word,
    [ST_PORT] = read_port,
    [ST_TARGET] = read_target,
    [ST_BOOL] = read_bool,
};

void
conf_value_read(struct conf_reader *r, const struct schema_key *k,
    struct ynode *y, void *base)
{
	readers[k->type](r, k, y, base);
}
