/*
 * The canonical form of a site: one way to write each value, nothing that
 * has its default. Both the hash that nodes compare and `show config` are
 * made of it.
 */
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "addr.h"
#include "conf.h"
#include "fmt.h"

/* Names are letters, digits and ._- but some words would be booleans. */
static const char *
name_quote(const char *name)
{
	static const char *const words[] = {"yes", "no", "on", "off"};
	size_t i;

	for (i = 0; i < nitems(words); i++) {
		if (strcasecmp(name, words[i]) == 0)
			return "\"";
	}
	return "";
}

static void
print_name(FILE *fp, const char *name)
{
	const char *q = name_quote(name);

	fprintf(fp, "%s%s%s", q, name, q);
}

static void
print_nets(FILE *fp, const struct conf *c, const uint8_t *nets, int n)
{
	int i;

	putc('[', fp);
	for (i = 0; i < n; i++) {
		fputs(i > 0 ? ", " : "", fp);
		print_name(fp, c->h.nets[nets[i]].name);
	}
	fputs("]\n", fp);
}

static void
print_nodes(FILE *fp, const struct conf *c)
{
	int i;

	fputs("\nnodes:\n", fp);
	for (i = 0; i < c->h.nnodes; i++)
		fprintf(fp, "  %s: { priority: %u }\n", c->h.nodes[i].name,
		    c->h.nodes[i].priority);
}

static bool
same_ifname(const struct conf *c, const struct conf_net *n)
{
	int i;

	for (i = 1; i < c->h.nnodes; i++) {
		if (strcmp(n->ifname[i], n->ifname[0]) != 0)
			return false;
	}
	return true;
}

static void
print_interface(FILE *fp, const struct conf *c, const struct conf_net *n)
{
	const char *sep = "";
	int i;

	fputs("    interface: ", fp);
	if (same_ifname(c, n)) {
		print_name(fp, n->ifname[0]);
		putc('\n', fp);
		return;
	}
	fputs("{ ", fp);
	for (i = 0; i < c->h.nnodes; i++) {
		if (n->ifname[i][0] == '\0')
			continue;
		fprintf(fp, "%s%s: ", sep, c->h.nodes[i].name);
		print_name(fp, n->ifname[i]);
		sep = ", ";
	}
	fputs(" }\n", fp);
}

static void
print_address(FILE *fp, const struct conf *c, const struct conf_net *n)
{
	char buf[ADDR_STRLEN];
	const char *sep = "";
	int i;

	fputs("    address: { ", fp);
	for (i = 0; i < c->h.nnodes; i++) {
		if (n->addr[i].s_addr == 0)
			continue;
		fprintf(fp, "%s%s: %s/%u", sep, c->h.nodes[i].name,
		    addr_str4(buf, n->addr[i]), n->plen);
		sep = ", ";
	}
	fputs(" }\n", fp);
}

static void
print_networks(FILE *fp, const struct conf *c)
{
	char buf[ADDR_STRLEN];
	const struct conf_net *n;
	int i;

	fputs("\nnetworks:\n", fp);
	for (i = 0; i < c->h.nnets; i++) {
		n = &c->h.nets[i];
		fprintf(fp, "  %s:\n", n->name);
		print_interface(fp, c, n);
		print_address(fp, c, n);
		if (n->vip.s_addr != 0)
			fprintf(fp, "    vip: %s\n    vrid: %u\n",
			    addr_str4(buf, n->vip), n->vrid);
	}
}

static void
print_ha(FILE *fp, const struct conf *c)
{
	const struct conf_ha *ha = &c->h.ha;
	char buf[FMT_MAX];

	fputs("\nha:\n  networks: ", fp);
	print_nets(fp, c, ha->nets, ha->nnets);
	if (ha->preempt)
		fprintf(fp, "  preempt: { after: %s }\n",
		    fmt_duration(buf, ha->preempt_after_us));
	if (ha->advertise_us != CONF_ADVERTISE_DEFAULT_US)
		fprintf(fp, "  advertise: %s\n",
		    fmt_duration(buf, ha->advertise_us));
}

static void
print_protocols(FILE *fp, uint8_t mask)
{
	const char *sep = "";
	size_t i;

	static const struct {
		uint8_t bit;
		const char *name;
	} protos[] = {
	    {CONF_PROTO_TCP, "tcp"},
	    {CONF_PROTO_UDP, "udp"},
	    {CONF_PROTO_ICMP, "icmp"},
	};

	fputs("  protocols: [", fp);
	for (i = 0; i < nitems(protos); i++) {
		if (!(mask & protos[i].bit))
			continue;
		fprintf(fp, "%s%s", sep, protos[i].name);
		sep = ", ";
	}
	fputs("]\n", fp);
}

/* A path may hold anything that is printable. */
static void
print_path(FILE *fp, const char *s)
{
	putc('"', fp);
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			putc('\\', fp);
		putc(*s, fp);
	}
	fputs("\"\n", fp);
}

static void
print_sync(FILE *fp, const struct conf *c)
{
	const struct conf_sync *s = &c->h.sync;

	if (s->npaths == 0)
		return;
	fputs("\nsync:\n  over: ", fp);
	print_nets(fp, c, s->paths, s->npaths);
	if (strcmp(s->key_file, HAGW_DEFAULT_KEY) != 0) {
		fputs("  key_file: ", fp);
		print_path(fp, s->key_file);
	}
	if (s->protocols != CONF_PROTO_ALL)
		print_protocols(fp, s->protocols);
	if (s->port != HAGW_SYNC_PORT)
		fprintf(fp, "  port: %u\n", s->port);
}

static void
print_sources(FILE *fp, const struct conf *c)
{
	const struct conf_source *s;
	uint32_t i;

	fputs("  source:\n", fp);
	for (i = 0; i < c->h.nsources; i++) {
		s = &c->sources[i];
		fputs("    - { name: ", fp);
		print_name(fp, s->name);
		fputs(", from: ", fp);
		print_name(fp, c->h.nets[s->from].name);
		fputs(", to: ", fp);
		print_name(fp, c->h.nets[s->to].name);
		fputs(", address: vip }\n", fp);
	}
}

static void
print_forward(FILE *fp, const struct conf *c, const struct conf_forward *f)
{
	char buf[ADDR_STRLEN];

	fputs("    - { name: ", fp);
	print_name(fp, f->name);
	fputs(", on: ", fp);
	print_name(fp, c->h.nets[f->on].name);
	fprintf(fp, ", port: %s/%u", f->proto == IPPROTO_TCP ? "tcp" : "udp",
	    f->lo);
	if (f->hi != f->lo)
		fprintf(fp, "-%u", f->hi);
	fprintf(fp, ", to: %s", addr_str4(buf, f->to));
	if (f->to_port != f->lo)
		fprintf(fp, ":%u", f->to_port);
	fputs(f->hairpin ? ", hairpin: true }\n" : " }\n", fp);
}

void
conf_print(FILE *fp, const struct conf *c)
{
	uint32_t i;

	fputs("site: ", fp);
	print_name(fp, c->h.site);
	putc('\n', fp);
	print_nodes(fp, c);
	print_networks(fp, c);
	print_ha(fp, c);
	print_sync(fp, c);
	if (c->h.nsources > 0 || c->h.nforwards > 0)
		fputs("\nnat:\n", fp);
	if (c->h.nsources > 0)
		print_sources(fp, c);
	if (c->h.nforwards > 0)
		fputs("  forward:\n", fp);
	for (i = 0; i < c->h.nforwards; i++)
		print_forward(fp, c, &c->forwards[i]);
}

int
conf_hash(struct conf *c)
{
	char *text = NULL;
	size_t len = 0;
	FILE *fp;

	if ((fp = open_memstream(&text, &len)) == NULL)
		return -1;
	conf_print(fp, c);
	if (fclose(fp) != 0) {
		free(text);
		return -1;
	}
	crypto_generichash(c->h.hash, sizeof(c->h.hash),
	    (const unsigned char *)text, len, NULL, 0);
	free(text);
	return 0;
}
