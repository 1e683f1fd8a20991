/*
 * The site file. What is accepted must print to a form that is accepted,
 * with the same hash; what is refused must say why.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
print_report(const struct conf_report *r)
{
	char *text = NULL;
	size_t len;
	FILE *fp;

	if ((fp = open_memstream(&text, &len)) == NULL)
		abort();
	conf_report_print(fp, r);
	fclose(fp);
	free(text);
}

static struct conf *
load(const char *buf, size_t len)
{
	struct conf_report r;
	struct conf *c;

	conf_report_init(&r, "fuzz");
	c = conf_load_buf(buf, len, "fuzz", NULL, &r);
	if ((c == NULL) != (r.errors > 0))
		abort();
	print_report(&r);
	conf_report_free(&r);
	return c;
}

static void
reload(const struct conf *c)
{
	struct conf *again;
	char *text = NULL;
	size_t len;
	FILE *fp;

	if ((fp = open_memstream(&text, &len)) == NULL)
		abort();
	conf_print(fp, c);
	fclose(fp);
	if ((again = load(text, len)) == NULL ||
	    memcmp(again->h.hash, c->h.hash, CONF_HASH_LEN) != 0)
		abort();
	conf_free(again);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct conf *c;

	if ((c = load((const char *)data, len)) != NULL)
		reload(c);
	conf_free(c);
	return 0;
}
