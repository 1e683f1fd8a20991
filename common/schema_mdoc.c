/* The manual's list of keys, from the table that reads them. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "fmt.h"
#include "schema.h"

#define PATH_SIZE 64

/* What a container's own keys are called in the table; NULL: it has none. */
static const char *
child_suffix(enum schema_type type)
{
	switch (type) {
	case ST_MAP:
		return "";
	case ST_NODES:
	case ST_NETWORKS:
		return ".*";
	case ST_SOURCES:
	case ST_FORWARDS:
		return "[]";
	default:
		return NULL;
	}
}

/* A new sentence begins a new line in mdoc. */
static void
print_help(FILE *fp, const char *s)
{
	for (; *s != '\0'; s++) {
		if (s[0] == ' ' && isupper((unsigned char)s[1]) && s[-1] == '.')
			putc('\n', fp);
		else
			putc(*s, fp);
	}
	putc('\n', fp);
}

static void
print_range(FILE *fp, const struct schema_key *k)
{
	char min[FMT_MAX], max[FMT_MAX];

	if (k->type == ST_NUMBER)
		fprintf(fp, "From %d to %d.\n", (int)k->min, (int)k->max);
	if (k->type == ST_DURATION)
		fprintf(fp, "From %s to %s",
		    fmt_duration(min, (uint64_t)k->min),
		    fmt_duration(max, (uint64_t)k->max));
	if (k->type == ST_DURATION && k->step != 0)
		fprintf(fp, ", in steps of %s",
		    fmt_duration(min, (uint64_t)k->step));
	if (k->type == ST_DURATION)
		fputs(".\n", fp);
	if (k->type == ST_NAME)
		fprintf(fp, "At most %d characters.\n", (int)k->max - 1);
}

/* "never | map" with its alternatives marked up */
static void
print_arg(FILE *fp, const char *arg)
{
	fprintf(fp, " : Ar ");
	for (; *arg != '\0'; arg++) {
		if (strncmp(arg, " | ", 3) == 0) {
			fputs(" | Ar ", fp);
			arg += 2;
		} else
			putc(*arg, fp);
	}
}

static void
print_row(FILE *fp, const char *prefix, const struct schema_key *k)
{
	fprintf(fp, ".It Ic %s%s", prefix, k->key);
	print_arg(fp, k->arg);
	putc('\n', fp);
	print_help(fp, k->help);
	print_range(fp, k);
	if (k->required)
		fputs("Required.\n", fp);
	if (k->def != NULL)
		fprintf(fp, "The default is\n.Ql %s .\n", k->def);
}

static void
print_rows(FILE *fp, const char *in)
{
	const struct schema_key *k = NULL, *sub = NULL;

	fputs(".Bl -tag -width Ds\n", fp);
	while ((k = schema_next(in, k)) != NULL) {
		if (child_suffix(k->type) != NULL)
			continue;
		print_row(fp, "", k);
		if (k->type != ST_PREEMPT)
			continue;
		while ((sub = schema_next("ha.preempt", sub)) != NULL)
			print_row(fp, "preempt.", sub);
	}
	fputs(".El\n", fp);
}

static void
print_section(FILE *fp, const char *in, const struct schema_key *k)
{
	char path[PATH_SIZE], keys[PATH_SIZE];
	const struct schema_key *sub = NULL;
	bool values = false;

	snprintf(path, sizeof(path), "%s%s%.16s", in, in[0] != '\0' ? "." : "",
	    k->key);
	snprintf(keys, sizeof(keys), "%.48s%s", path, child_suffix(k->type));
	while ((sub = schema_next(keys, sub)) != NULL)
		values = values || child_suffix(sub->type) == NULL;
	fprintf(fp, ".Ss %s\n", path);
	print_help(fp, k->help);
	if (k->type != ST_MAP)
		fprintf(fp, "At most %d.\n", (int)k->max);
	if (k->required)
		fputs("Required.\n", fp);
	if (values)
		print_rows(fp, keys);
}

void
conf_schema_mdoc(FILE *fp)
{
	const struct schema_key *k = NULL, *sub;

	print_rows(fp, "");
	while ((k = schema_next("", k)) != NULL) {
		if (child_suffix(k->type) == NULL)
			continue;
		print_section(fp, "", k);
		sub = NULL;
		while ((sub = schema_next(k->key, sub)) != NULL) {
			if (child_suffix(sub->type) != NULL)
				print_section(fp, k->key, sub);
		}
	}
}
