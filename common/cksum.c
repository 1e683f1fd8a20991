#include <string.h>

#include "cksum.h"

uint32_t
cksum_add(uint32_t sum, const void *buf, size_t len)
{
	const uint8_t *p = buf;
	uint16_t word;

	for (; len >= 2; p += 2, len -= 2) {
		memcpy(&word, p, 2);
		sum += word;
	}
	if (len == 1) {
		word = 0;
		memcpy(&word, p, 1); /* the missing byte is zero */
		sum += word;
	}
	/* keep headroom: a datagram may add 32768 words */
	return (sum & 0xffff) + (sum >> 16);
}

uint16_t
cksum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}
