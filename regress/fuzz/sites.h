/* Sites for the targets that need one. */
#ifndef FUZZ_SITES_H
#define FUZZ_SITES_H

#include <string.h>

#include "conf.h"
#include "fuzz.h"

#define SITE_PAIR                                             \
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

#define SITE_FORWARDS                                                       \
	SITE_PAIR "  forward:\n"                                            \
		  "    - { name: web, on: outside, port: tcp/443, "         \
		  "to: 10.0.0.20, hairpin: true }\n"                        \
		  "    - { name: rtp, on: outside, port: udp/10000-20000, " \
		  "to: 10.0.0.30, hairpin: true }\n"                        \
		  "    - { name: alt, on: outside, port: tcp/8000-8003, "   \
		  "to: \"10.0.0.40:9000\" }\n"

static inline struct conf *
site_load(const char *text)
{
	struct conf_report r;
	struct conf *c;

	conf_report_init(&r, "fuzz");
	c = conf_load_buf(text, strlen(text), "fuzz", "a", &r);
	if (c == NULL)
		conf_report_print(stderr, &r);
	CHECK(c != NULL);
	conf_report_free(&r);
	return c;
}

#endif
