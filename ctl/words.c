/* The words of a command line: what there is, and what may be shortened. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "hactl.h"

static const struct word show_words[] = {
    {"summary", .how = WORD_FIRST, .run = view_summary,
	.help = "the pair at a glance"},
    {"vrrp", ARG_NAME, .run = view_vrrp,
	.help = "[network]: roles, timers, counters"},
    {"sync", .run = view_sync, .help = "peers, records, what would be lost"},
    {"nat", ARG_NAME, .run = view_nat, .help = "[name]: rules and their hits"},
    {"config", .run = view_config, .help = "the site file in use"},
    {"process", .run = view_process, .help = "the daemon's processes"},
    {"events", ARG_NUMBER, .run = view_events, .help = "[N]: the latest"},
    {.word = NULL},
};

static const struct word failover_words[] = {
    {"force", .how = WORD_FULL, .flags = CTL_F_FORCE, .run = cmd_failover,
	.help = "even when flows would be lost"},
    {.word = NULL},
};

static const struct word log_words[] = {
    {"brief", .how = WORD_FULL, .run = cmd_log, .help = "the usual lines"},
    {"verbose", .how = WORD_FULL, .flags = CTL_F_VERBOSE, .run = cmd_log,
	.help = "and those for debugging"},
    {.word = NULL},
};

const struct word hactl_words[] = {
    {"show", .next = show_words, .help = "look"},
    {"monitor", .run = cmd_monitor, .help = "events as they happen"},
    {"failover", .how = WORD_FULL, .next = failover_words, .run = cmd_failover,
	.help = "let the other node take over"},
    {"failback", .how = WORD_FULL, .run = cmd_failback,
	.help = "take over here again"},
    {"check", .run = cmd_check, .help = "the site file, without a daemon"},
    {"reload", .how = WORD_FULL, .run = cmd_reload,
	.help = "read the site file again"},
    {"log", .how = WORD_FULL, .next = log_words, .help = "how much is logged"},
    {"health", .run = cmd_health, .help = "one line for a monitoring system"},
    {"version", .run = cmd_version, .help = "of hactl and hagwd"},
    {"help", .run = cmd_help, .help = "this list"},
    {.word = NULL},
};

/* Steps from one word to another: insert, delete, replace, swap. */
static size_t
distance(const char *a, const char *b)
{
	size_t d[16][16], la = strlen(a), lb = strlen(b), i, j, n;

	if (la >= nitems(d) || lb >= nitems(d))
		return nitems(d);
	for (i = 0; i <= la; i++)
		for (j = 0; j <= lb; j++) {
			if (i == 0 || j == 0) {
				d[i][j] = i + j;
				continue;
			}
			n = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			if (d[i - 1][j] + 1 < n)
				n = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < n)
				n = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < n)
				n = d[i - 2][j - 2] + 1;
			d[i][j] = n;
		}
	return d[la][lb];
}

static const char *
suggest(const struct word *table, const char *s)
{
	const struct word *w;
	const char *best = NULL;
	size_t n, least = 3;

	for (w = table; w->word != NULL; w++) {
		n = distance(s, w->word);
		if (n < least && n < strlen(w->word) - 1) {
			least = n;
			best = w->word;
		}
	}
	return best;
}

static void
list(FILE *fp, const struct word *table, const char *indent)
{
	const struct word *w;

	for (w = table; w->word != NULL; w++)
		fprintf(fp, "%s%-10s%s\n", indent, w->word, w->help);
}

static void
complain(FILE *err, const struct word *table, const char *before, const char *s)
{
	const char *best;

	if (s == NULL) {
		fprintf(err, "hactl: %s: a word is missing\n", before);
	} else {
		fprintf(err, "hactl: %s%sunknown word \"%s\"", before,
		    before[0] == '\0' ? "" : ": ", s);
		if ((best = suggest(table, s)) != NULL)
			fprintf(err, " (did you mean \"%s\"?)", best);
		putc('\n', err);
	}
	fprintf(err, "possible here:\n");
	list(err, table, "  ");
}

static void
ambiguous(FILE *err, const struct word *table, const char *s)
{
	const struct word *w;
	const char *sep = "";

	fprintf(err, "hactl: \"%s\" is ambiguous: ", s);
	for (w = table; w->word != NULL; w++)
		if (strncmp(w->word, s, strlen(s)) == 0) {
			fprintf(err, "%s%s", sep, w->word);
			sep = ", ";
		}
	putc('\n', err);
}

/*
 * A whole word always counts; the beginning of one when no other begins so
 * (or this one was said to win), and when it changes nothing.
 */
static const struct word *
match(const struct word *table, const char *before, const char *s, FILE *err)
{
	const struct word *w, *found = NULL;
	size_t n = 0;

	for (w = table; w->word != NULL; w++) {
		if (strcmp(w->word, s) == 0)
			return w;
		if (s[0] == '\0' || strncmp(w->word, s, strlen(s)) != 0)
			continue;
		n++;
		if (found == NULL || (found->how & WORD_FIRST) == 0)
			found = w;
	}
	if (found == NULL) {
		complain(err, table, before, s);
		return NULL;
	}
	if (n > 1 && (found->how & WORD_FIRST) == 0) {
		ambiguous(err, table, s);
		return NULL;
	}
	if (found->how & WORD_FULL) {
		fprintf(err,
		    "hactl: \"%s\": \"%s\" changes something and is "
		    "written out in full\n",
		    s, found->word);
		return NULL;
	}
	return found;
}

/* The word after a command that takes a name or a number. */
static int
take_arg(const struct word *w, const char *s, struct args *args, FILE *err)
{
	unsigned long n;
	char *end;

	if (w->arg == ARG_NAME) {
		if (s[0] == '\0' || strlen(s) >= CONF_NAME_MAX) {
			fprintf(
			    err, "hactl: %s: not a name: \"%s\"\n", w->word, s);
			return -1;
		}
		args->name = s;
		return 0;
	}
	n = strtoul(s, &end, 10);
	if (!isdigit((unsigned char)s[0]) || *end != '\0' || n == 0 ||
	    n > CTL_EVENTS_MAX) {
		fprintf(err, "hactl: %s: not a number from 1 to %d: \"%s\"\n",
		    w->word, CTL_EVENTS_MAX, s);
		return -1;
	}
	args->number = (uint32_t)n;
	return 0;
}

const struct word *
words_find(const struct word *table, int argc, char *const argv[],
    struct args *args, FILE *err)
{
	const struct word *w = NULL;
	char before[64] = "";
	int i;

	for (i = 0; i < argc && table != NULL; i++) {
		if ((w = match(table, before, argv[i], err)) == NULL)
			return NULL;
		snprintf(before + strlen(before),
		    sizeof(before) - strlen(before), "%s%s",
		    before[0] == '\0' ? "" : " ", w->word);
		args->flags |= w->flags;
		table = w->next;
	}
	if (w == NULL || w->run == NULL) {
		complain(err, w == NULL ? hactl_words : table, before, NULL);
		return NULL;
	}
	if (i < argc && w->arg != ARG_NONE &&
	    take_arg(w, argv[i++], args, err) == -1)
		return NULL;
	if (i < argc) {
		fprintf(err, "hactl: %s: nothing may follow, but \"%s\" does\n",
		    before, argv[i]);
		return NULL;
	}
	return w;
}

void
words_usage(FILE *fp)
{
	const struct word *w;

	fprintf(fp,
	    "usage: hactl [-j] [-s socket] [-f file] [-N node] "
	    "command ...\n");
	for (w = hactl_words; w->word != NULL; w++) {
		fprintf(fp, "  %-10s%s\n", w->word, w->help);
		if (w->next != NULL)
			list(fp, w->next, "      ");
	}
}
