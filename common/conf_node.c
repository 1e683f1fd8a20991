/* Which of the site's nodes this host is. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"

/* The first word of the file; false: there is none. */
static bool
from_file(char *name, size_t len)
{
	FILE *fp = fopen(HAGW_DEFAULT_NODE, "re");

	if (fp == NULL)
		return false;
	if (fgets(name, (int)len, fp) == NULL)
		name[0] = '\0';
	fclose(fp);
	name[strcspn(name, " \t\r\n")] = '\0';
	return name[0] != '\0';
}

const char *
conf_node_name(const char *told, bool *sure)
{
	static char name[CONF_NAME_MAX * 2];

	*sure = told != NULL || from_file(name, sizeof(name));
	if (told != NULL)
		return told;
	if (!*sure && gethostname(name, sizeof(name)) == -1)
		name[0] = '\0';
	name[sizeof(name) - 1] = '\0';
	if (!*sure)
		name[strcspn(name, ".")] = '\0';
	return name;
}
