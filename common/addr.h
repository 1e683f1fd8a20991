/* Addresses of both families in one struct; all in network byte order. */
#ifndef ADDR_H
#define ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ADDR_STRLEN INET6_ADDRSTRLEN

/* 4 bytes used for AF_INET (the rest zero), 16 for AF_INET6. */
union addr {
	struct in_addr v4;
	struct in6_addr v6;
	uint32_t w[4];
	uint8_t b[16];
};

/* Both of one family: the unused bytes are zero, so all are compared. */
static inline bool
addr_same(const union addr *a, const union addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Returns buf (ADDR_STRLEN bytes). */
const char *addr_str(char *buf, int family, const union addr *);
const char *addr_str4(char *buf, struct in_addr);

/* "10.0.0.1/24": 0, or -1 when it is not one; plen -1 refuses a prefix. */
int addr_parse4(const char *, struct in_addr *, int *plen);

struct in_addr addr_mask4(int plen); /* network order */
bool addr_in4(struct in_addr, struct in_addr net, int plen);

/* Multicast, loopback, unspecified, limited broadcast, link-local v6. */
bool addr_special(int family, const union addr *);

#endif
