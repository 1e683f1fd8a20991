/*
 * Netlink messages changed in ways that keep them netlink messages: lengths
 * of what grows or shrinks, and of all that holds it, are put right. Random
 * bytes alone hardly get past the first length.
 */
#include <linux/netlink.h>
#include <string.h>

#include "fuzz.h"

#define NODES_MAX 512
#define DEPTH_MAX 8
#define HEADER    20 /* of a message: netlink's and netfilter's */

/* A message (depth 0) or an attribute in it. */
struct node {
	size_t at;
	size_t len; /* as its header says, not aligned */
	int parent;
	unsigned int depth;
};

static struct node nodes[NODES_MAX];
static int nnodes;
static uint32_t rnd;

static uint32_t
random_below(uint32_t n)
{
	rnd = rnd * 1664525 + 1013904223;
	return n == 0 ? 0 : (uint32_t)(((uint64_t)rnd * n) >> 32);
}

static int
node_add(size_t at, size_t len, int parent, unsigned int depth)
{
	if (nnodes == NODES_MAX)
		return -1;
	nodes[nnodes] = (struct node){at, len, parent, depth};
	return nnodes++;
}

static void
find_attrs(
    const uint8_t *buf, size_t at, size_t end, int parent, unsigned int depth)
{
	struct nlattr a;
	int n;

	for (; at + sizeof(a) <= end; at += NLA_ALIGN(a.nla_len)) {
		memcpy(&a, buf + at, sizeof(a));
		if (a.nla_len < sizeof(a) || a.nla_len > end - at)
			return;
		if ((n = node_add(at, a.nla_len, parent, depth)) == -1)
			return;
		if ((a.nla_type & NLA_F_NESTED) && depth < DEPTH_MAX)
			find_attrs(
			    buf, at + sizeof(a), at + a.nla_len, n, depth + 1);
	}
}

static void
find_nodes(const uint8_t *buf, size_t len)
{
	struct nlmsghdr h;
	size_t at = 0;
	int n;

	nnodes = 0;
	for (; at + HEADER <= len; at += NLMSG_ALIGN(h.nlmsg_len)) {
		memcpy(&h, buf + at, sizeof(h));
		if (h.nlmsg_len < HEADER || h.nlmsg_len > len - at)
			return;
		if ((n = node_add(at, h.nlmsg_len, -1, 0)) == -1)
			return;
		find_attrs(buf, at + HEADER, at + h.nlmsg_len, n, 1);
	}
}

static void
set_length(uint8_t *buf, const struct node *n, size_t len)
{
	uint32_t msg = (uint32_t)len;
	uint16_t attr = (uint16_t)len;

	if (n->depth == 0)
		memcpy(buf + n->at, &msg, sizeof(msg));
	else
		memcpy(buf + n->at, &attr, sizeof(attr));
}

/* Make room for, or take away, bytes at `at`, which lies in node n. */
static size_t
resize(uint8_t *buf, size_t len, size_t max, int n, size_t at, size_t old,
    size_t new)
{
	if (at + old > len || len - old + new > max)
		return 0;
	memmove(buf + at + new, buf + at + old, len - at - old);
	if (new > old)
		memset(buf + at + old, 0, new - old);
	for (; n != -1; n = nodes[n].parent)
		set_length(buf, &nodes[n], nodes[n].len + new - old);
	return len - old + new;
}

static size_t
repeat(uint8_t *buf, size_t len, size_t max, int from, int before)
{
	size_t size = NLA_ALIGN(nodes[from].len), at = nodes[before].at, n;
	uint8_t *copy;

	if (nodes[from].at + size > len)
		return 0;
	copy = fenced(buf + nodes[from].at, size);
	n = resize(buf, len, max, nodes[before].parent, at, 0, size);
	if (n != 0)
		memcpy(buf + at, copy, size);
	free(copy);
	return n;
}

static size_t
change_payload(uint8_t *buf, size_t len, size_t max, int i)
{
	const struct node *n = &nodes[i];
	size_t head = n->depth == 0 ? HEADER : sizeof(struct nlattr);
	size_t old = n->len - head, room = NLA_ALIGN(old), new;
	uint8_t payload[256];

	if (old > sizeof(payload) || n->at + head + room > len)
		return 0;
	memcpy(payload, buf + n->at + head, old);
	new = LLVMFuzzerMutate(payload, old,
	    random_below(3) == 0 ? sizeof(payload) : (old > 0 ? old : 4));
	len = resize(
	    buf, len, max, n->parent, n->at + head, room, NLA_ALIGN(new));
	if (len == 0)
		return 0;
	set_length(buf, n, head + new);
	memcpy(buf + n->at + head, payload, new);
	memset(buf + n->at + head + new, 0, NLA_ALIGN(new) - new);
	return len;
}

size_t
nl_mutate(uint8_t *buf, size_t len, size_t max, unsigned int seed)
{
	size_t new = 0, at;
	int i, k;

	rnd = seed;
	find_nodes(buf, len);
	if (nnodes == 0 || random_below(10) == 0)
		return LLVMFuzzerMutate(buf, len, max);
	i = (int)random_below((uint32_t)nnodes);
	k = (int)random_below((uint32_t)nnodes);
	at = nodes[i].at;
	switch (random_below(6)) {
	case 0: /* gone */
		new = resize(buf, len, max, nodes[i].parent, at,
		    NLA_ALIGN(nodes[i].len), 0);
		break;
	case 1: /* another one, or itself again, before it */
		if ((nodes[i].depth == 0) == (nodes[k].depth == 0))
			new = repeat(buf, len, max, k, i);
		break;
	case 2: /* another type */
		k = nodes[i].depth == 0 ? 4 : 2;
		buf[at + (size_t)k] ^= (uint8_t)(1u << random_below(6));
		new = len;
		break;
	case 3: /* its header */
		LLVMFuzzerMutate(buf + at, nodes[i].depth == 0 ? HEADER : 4,
		    nodes[i].depth == 0 ? HEADER : 4);
		new = len;
		break;
	default:
		new = change_payload(buf, len, max, i);
		break;
	}
	return new != 0 ? new : LLVMFuzzerMutate(buf, len, max);
}
