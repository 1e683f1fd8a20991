/* What the fuzz targets share: input taken in pieces, checks, a clock. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *, char ***);
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);
size_t LLVMFuzzerCustomMutator(uint8_t *, size_t, size_t, unsigned int);
size_t LLVMFuzzerMutate(uint8_t *, size_t, size_t);

/* An invariant that does not hold is a finding as a crash is. */
#define CHECK(cond)                                                      \
	do {                                                             \
		if (!(cond)) {                                           \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, \
			    __LINE__, #cond);                            \
			abort();                                         \
		}                                                        \
	} while (0)

/* The rest of an input; numbers are 0 once it is used up. */
struct in {
	const uint8_t *p;
	size_t left;
};

uint8_t in_u8(struct in *);
uint16_t in_u16(struct in *);
uint32_t in_u32(struct in *);
/* The next bytes, at most len of them; *got says how many. */
const uint8_t *in_bytes(struct in *, size_t len, size_t *got);

/* A copy whose ends the sanitizer watches; to be freed. Never NULL. */
void *fenced(const void *, size_t len);

/* Stands in for common/clock.c: moved by the target alone. */
extern uint64_t fuzz_now_us;

/* Random numbers of libsodium, the same in each run. */
void fuzz_random_reset(void);

/* nlmutate.c: change netlink messages and keep their lengths right. */
size_t nl_mutate(uint8_t *, size_t len, size_t max, unsigned int seed);

#endif
