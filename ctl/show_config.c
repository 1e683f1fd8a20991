/* The configuration in use, as YAML that reads back the same. */
#include "hactl.h"

static const struct view view = {
    .command = "show config",
    .whats = {CTL_SHOW_CONFIG},
    .text = config_text,
};

int
view_config(const struct args *args)
{
	return view_run(args, &view);
}

void
config_text(FILE *fp, const struct answer *a)
{
	if (a->text != NULL)
		fputs(a->text, fp);
}
