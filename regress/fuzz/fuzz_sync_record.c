/*
 * Items of a sync datagram. What decodes is encoded again within its limit
 * and decodes to the same; what passes the filter and is made to fit is
 * never refused by hagwd for its state.
 */
#include <arpa/inet.h>
#include <string.h>

#include "fuzz.h"
#include "parentd/parentd.h"
#include "syncd/syncd.h"

static struct conf *conf;
static struct authz_view view;
static struct filter filter;

static void
setup(void)
{
	if (conf != NULL)
		return;
	conf = conf_new();
	CHECK(conf != NULL);
	conf->h.nnodes = 2;
	conf->h.nnets = 1;
	conf->h.nets[0].plen = 24;
	conf->h.nets[0].addr[0].s_addr = htonl(0xc0000201u);
	conf->h.nets[0].addr[1].s_addr = htonl(0xc0000202u);
	conf->h.nets[0].vip.s_addr = htonl(0xc00002fau);
	conf->h.sync.npaths = 1;
	conf->h.sync.protocols = CONF_PROTO_ALL;
	filter_build(&filter, conf);
	CHECK(authz_prepare(&view, conf) == 0);
	view.role = ROLE_BACKUP;
	view.inject = true;
}

static void
check_parent(const struct ct_rec *rec)
{
	struct ct_rec r = *rec;
	const char *why;

	if (!filter_pass(&filter, &r))
		return;
	apply_sanitise(&r, r.mark);
	why = authz_ct(&view, &r);
	CHECK(why == NULL ||
	    (strstr(why, "status bits") == NULL &&
		strstr(why, "timeout") == NULL &&
		strstr(why, "impossible") == NULL));
}

static size_t
encode(uint8_t *buf, const struct item *it, const struct ct_rec *before)
{
	switch (it->kind) {
	case ITEM_LIVE:
	case ITEM_DUMP:
		return record_encode(buf, it->kind, &it->rec, before);
	case ITEM_BEGIN:
		return begin_encode(buf, it->generation, it->flags);
	case ITEM_END:
		return end_encode(buf, it->generation, it->count);
	}
	abort();
}

static void
check_item(const struct item *it, const struct ct_rec *before)
{
	uint8_t buf[ITEM_MAX], second[ITEM_MAX];
	size_t n = encode(buf, it, before);
	struct rd r = {buf, buf + n, false};
	struct ct_rec last = *before;
	struct item again;

	CHECK(n <= ITEM_MAX && n == buf[0] + 1u);
	memset(&again, 0, sizeof(again));
	CHECK(item_decode(&r, &last, &again) == ITEM_GOOD);
	CHECK(again.kind == it->kind &&
	    memcmp(&again.rec, &it->rec, sizeof(again.rec)) == 0 &&
	    again.generation == it->generation && again.count == it->count &&
	    again.flags == it->flags);
	CHECK(item_decode(&r, &last, &again) == ITEM_DONE);
	CHECK(encode(second, it, before) == n && memcmp(buf, second, n) == 0);
	if (it->kind == ITEM_LIVE || it->kind == ITEM_DUMP)
		check_parent(&it->rec);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *buf = fenced(data, len);
	struct rd r = {buf, buf + len, false};
	struct ct_rec last = {.op = 0}, before;
	struct item it;

	setup();
	for (;;) {
		const uint8_t *from = r.p;
		enum item_res res;

		memset(&it, 0, sizeof(it));
		before = last;
		res = item_decode(&r, &last, &it);
		CHECK(r.p <= r.end);
		if (res == ITEM_DONE || res == ITEM_BAD)
			break;
		CHECK(r.p > from);
		if (res == ITEM_GOOD)
			check_item(&it, &before);
	}
	free(buf);
	return 0;
}
