/* Internet checksum (RFC 1071). */
#ifndef CKSUM_H
#define CKSUM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Add len bytes to a running sum; start with 0. cksum_fold gives the value
 * to store in the packet as it is (network order in memory).
 */
uint32_t cksum_add(uint32_t sum, const void *buf, size_t len);
uint16_t cksum_fold(uint32_t sum);

#endif
