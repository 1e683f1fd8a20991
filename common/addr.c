#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"

const char *
addr_str(char *buf, int family, const union addr *a)
{
	if (inet_ntop(family, a, buf, ADDR_STRLEN) == NULL)
		strcpy(buf, "?");
	return buf;
}

const char *
addr_str4(char *buf, struct in_addr a)
{
	union addr u = {.v4 = a};

	return addr_str(buf, AF_INET, &u);
}

int
addr_parse4(const char *s, struct in_addr *a, int *plen)
{
	char buf[INET_ADDRSTRLEN];
	const char *slash = strchr(s, '/');
	size_t len = slash != NULL ? (size_t)(slash - s) : strlen(s);
	char *end;
	long n;

	if ((slash != NULL) != (plen != NULL) || len >= sizeof(buf))
		return -1;
	memcpy(buf, s, len);
	buf[len] = '\0';
	if (inet_pton(AF_INET, buf, a) != 1)
		return -1;
	if (plen == NULL)
		return 0;
	if (slash[1] < '0' || slash[1] > '9')
		return -1;
	n = strtol(slash + 1, &end, 10);
	if (*end != '\0' || n > 32 || end - slash > 3)
		return -1;
	*plen = (int)n;
	return 0;
}

struct in_addr
addr_mask4(int plen)
{
	struct in_addr m = {0};

	if (plen > 0)
		m.s_addr = htonl(UINT32_MAX << (32 - plen));
	return m;
}

bool
addr_in4(struct in_addr a, struct in_addr net, int plen)
{
	uint32_t mask = addr_mask4(plen).s_addr;

	return (a.s_addr & mask) == (net.s_addr & mask);
}

static bool
addr_special4(uint32_t be)
{
	uint32_t a = ntohl(be);

	return a >> 24 == 0 || a >> 24 == 127 || a >> 28 == 0xe ||
	    a == UINT32_MAX;
}

bool
addr_special(int family, const union addr *a)
{
	if (family == AF_INET)
		return addr_special4(a->v4.s_addr);
	return IN6_IS_ADDR_UNSPECIFIED(&a->v6) ||
	    IN6_IS_ADDR_LOOPBACK(&a->v6) || IN6_IS_ADDR_MULTICAST(&a->v6) ||
	    IN6_IS_ADDR_LINKLOCAL(&a->v6);
}
