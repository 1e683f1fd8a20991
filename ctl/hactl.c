/* hactl: ask hagwd, or tell it. */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hactl.h"

/* Colour is for a person at a terminal who did not ask to do without. */
static bool
colour_wanted(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL &&
	    term != NULL && strcmp(term, "dumb") != 0;
}

static bool
option(int ch, struct args *args)
{
	switch (ch) {
	case 'j':
		args->json = true;
		return true;
	case 's':
		args->sock = optarg;
		return true;
	case 'f':
		args->conf = optarg;
		return true;
	case 'N':
		args->node = optarg;
		return true;
	default:
		break;
	}
	if (isdigit((unsigned char)optopt))
		fprintf(stderr, "hactl: not a number from 1 to %d: \"-%c\"\n",
		    CTL_EVENTS_MAX, optopt);
	else
		fprintf(stderr,
		    "hactl: option -%c is not known, or lacks its "
		    "value (hactl alone lists them)\n",
		    optopt);
	return false;
}

int
main(int argc, char *argv[])
{
	struct args args = {
	    .sock = HAGW_DEFAULT_RUNDIR "/" HAGW_SOCK_NAME,
	    .conf = HAGW_DEFAULT_CONF,
	};
	const struct word *w;
	int ch;

	/* a daemon that goes away, or a pager: noticed where it is written */
	signal(SIGPIPE, SIG_IGN);
	opterr = 0;
	while ((ch = getopt(argc, argv, "jf:N:s:")) != -1)
		if (!option(ch, &args))
			return EX_WRONG;
	if (optind == argc) {
		words_usage(stderr);
		return EX_WRONG;
	}
	out_colour(!args.json && colour_wanted());
	w = words_find(
	    hactl_words, argc - optind, argv + optind, &args, stderr);
	return w == NULL ? EX_WRONG : w->run(&args);
}
