/*
 * Write hagw-site.5: the template named on the command line, its line
 * @KEYS@ replaced by the keys of the schema.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"

int
main(int argc, char *argv[])
{
	char *line = NULL;
	size_t size = 0;
	bool found = false;
	FILE *fp;

	if (argc != 2)
		errx(1, "usage: mkman template");
	if ((fp = fopen(argv[1], "r")) == NULL)
		err(1, "%s", argv[1]);
	while (getline(&line, &size, fp) != -1) {
		if (strcmp(line, "@KEYS@\n") == 0) {
			conf_schema_mdoc(stdout);
			found = true;
		} else
			fputs(line, stdout);
	}
	if (ferror(fp))
		err(1, "%s", argv[1]);
	if (!found)
		errx(1, "%s: no line @KEYS@", argv[1]);
	free(line);
	fclose(fp);
	if (fflush(stdout) == EOF)
		err(1, "stdout");
	return 0;
}
