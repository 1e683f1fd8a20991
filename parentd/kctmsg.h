/*
 * A flow as ctnetlink's messages (linux/netfilter/nfnetlink_conntrack.h).
 * Each writes one to a buffer of at least KCT_MSG_MAX bytes, aligned for a
 * struct nlmsghdr, and returns its length, a multiple of four: messages may
 * follow each other. seq: 0 or the number an error is to carry.
 */
#ifndef KCTMSG_H
#define KCTMSG_H

#include "ctrec.h"
#include "hagw.h"

#define KCT_MSG_MAX 640 /* bytes; IPv6 TCP with NAT takes less than 400 */

size_t kctmsg_get(char *buf, const struct ct_rec *);
size_t kctmsg_get_reply(char *buf, const struct ct_rec *);
/* id: only the entry with it, 0: any; host order. */
size_t kctmsg_delete(
    char *buf, const struct ct_rec *, uint32_t seq, uint32_t id);
size_t kctmsg_create(char *buf, const struct ct_rec *, uint32_t seq);
/* status: it may be set. Without it only the rest. */
size_t kctmsg_update(
    char *buf, const struct ct_rec *, uint32_t seq, bool status);
size_t kctmsg_timeout(char *buf, const struct ct_rec *, uint32_t seq);

bool kct_icmp(const struct ct_rec *); /* of either family */
size_t kct_alen(const struct ct_rec *); /* bytes of an address */
/* Is that the record's reply tuple, as far as the kernel compares it? */
bool kct_reply_is(const struct ct_rec *, const struct ct_tuple *);

#endif
