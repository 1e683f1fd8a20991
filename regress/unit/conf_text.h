/* Texts in and out of the site file's reader, for its tests. */
#ifndef CONF_TEXT_H
#define CONF_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/conf.h"

/* A small file as a string; to be freed. */
static inline char *
slurp(const char *path)
{
	FILE *fp = fopen(path, "r");
	char *buf = calloc(1, 65536);

	if (fp == NULL || buf == NULL)
		fail_msg("%s cannot be read", path);
	fread(buf, 1, 65535, fp);
	fclose(fp);
	return buf;
}

/* Load text that must have no errors. */
static inline struct conf *
load_text(const char *text, const char *node)
{
	struct conf_report r;
	struct conf *c;

	conf_report_init(&r, "text");
	c = conf_load_buf(text, strlen(text), "text", node, &r);
	if (c == NULL)
		conf_report_print(stderr, &r);
	conf_report_free(&r);
	assert_non_null(c);
	return c;
}

static inline char *
print_text(const struct conf *c)
{
	char *text = NULL;
	size_t len;
	FILE *fp = open_memstream(&text, &len);

	assert_non_null(fp);
	conf_print(fp, c);
	fclose(fp);
	return text;
}

static inline char *
report_text(const struct conf_report *r)
{
	char *text = NULL;
	size_t len;
	FILE *fp = open_memstream(&text, &len);

	assert_non_null(fp);
	conf_report_print(fp, r);
	fclose(fp);
	return text;
}

#endif
