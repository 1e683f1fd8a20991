/*
 * What a child gives up before its first input byte. The profile of each
 * program stands at the top of its main file; the order of the steps is in
 * sandbox.c and is the same for all.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hagw.h"

/* Argument checks beyond the call's number. */
enum sandbox_arg {
	SB_ANY,
	SB_ARG, /* argument `arg` must equal `value` */
	SB_ARG_MASKED /* argument `arg` & `mask` must equal `value` */
};

/* One allowed system call; a call may stand more than once. */
struct sandbox_call {
	const char *name; /* as libseccomp names it */
	enum sandbox_arg kind;
	unsigned int arg;
	uint64_t mask;
	uint64_t value;
};

struct sandbox_profile {
	enum proc_id id;
	const char *user; /* "_hagw_vrrp" */
	bool realtime; /* mlockall and SCHED_RR, where allowed */
	unsigned int maxfds; /* RLIMIT_NOFILE */
	const struct sandbox_call *calls; /* beyond the common ones */
	size_t ncalls;
};

/* What was not to be had, for READY. */
#define SB_NO_LANDLOCK 0x1
#define SB_NO_REALTIME 0x2
#define SB_NO_MLOCK    0x4

/*
 * Two halves, because an event loop's descriptors must be made between them:
 * after stray descriptors are closed, before system calls are limited.
 * Both end the process on failure; the second returns SB_NO_* bits.
 */
void sandbox_prepare(const struct sandbox_profile *, int keepfd);
unsigned int sandbox_enter(
    const struct sandbox_profile *, const char *emptydir);

/* The seccomp step alone (seccomp.c): what is not allowed kills. */
void seccomp_enter(const struct sandbox_profile *);

/*
 * The parent's own: what is neither common nor in the list fails with EPERM,
 * for the parent outlives what goes wrong. no_new_privs must be set.
 * Children inherit it, below their own.
 */
void seccomp_confine(const struct sandbox_call *, size_t n);

#endif
