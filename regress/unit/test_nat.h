/* What the tests of natd and of the check of its batches share. */
#ifndef TEST_NAT_H
#define TEST_NAT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "natd/natd.h"

#define SITE_HEAD                                             \
	"site: test\n"                                        \
	"nodes:\n"                                            \
	"  a: { priority: 200 }\n"                            \
	"  b: { priority: 100 }\n"                            \
	"networks:\n"                                         \
	"  outside:\n"                                        \
	"    interface: { a: out0, b: out1 }\n"               \
	"    address: { a: 192.0.2.1/24, b: 192.0.2.2/24 }\n" \
	"    vip: 192.0.2.9\n"                                \
	"    vrid: 1\n"                                       \
	"  inside:\n"                                         \
	"    interface: in0\n"                                \
	"    address: { a: 10.0.0.1/24, b: 10.0.0.2/24 }\n"   \
	"    vip: 10.0.0.9\n"                                 \
	"    vrid: 2\n"                                       \
	"ha:\n"                                               \
	"  networks: [outside, inside]\n"                     \
	"sync:\n"                                             \
	"  over: [inside]\n"                                  \
	"nat:\n"                                              \
	"  source:\n"                                         \
	"    - { name: lan, from: inside, to: outside, address: vip }\n"

static struct conf *
site_of(const char *text)
{
	struct conf_report r;
	struct conf *c;

	conf_report_init(&r, "test");
	c = conf_load_buf(text, strlen(text), "test", "a", &r);
	if (c == NULL)
		conf_report_print(stderr, &r);
	assert_non_null(c);
	conf_report_free(&r);
	return c;
}

static struct nat_plan *
plan_of(const struct conf *c)
{
	char why[CTL_TEXT_MAX] = "";
	struct nat_plan *p = plan_build(c, why, sizeof(why));

	assert_string_equal(why, "");
	assert_non_null(p);
	return p;
}

static struct in_addr
ip(const char *s)
{
	struct in_addr a;

	assert_int_equal(inet_pton(AF_INET, s, &a), 1);
	return a;
}

#endif
