/*
 * The lease page: a shared mapping of the run directory's file "lease". It
 * outlives hagwd, so that the next one knows whether this node still is the
 * master, and it is all that a vrrpd whose hagwd died has left to go by. It
 * is right also when one of the two was stopped for a while: a message would
 * wait in a queue behind the timer that it is to renew.
 * Times are of the monotonic clock. vrrpd may write all of it: it can say
 * nothing there that it could not say by messages.
 */
#ifndef LEASE_H
#define LEASE_H

#include <stdatomic.h>
#include <stdint.h>

#define LEASE_INTERVALS  3 /* advertisements missed until it runs out */
/* Lifetime of the addresses in the kernel; refreshed each second. */
#define LEASE_ADDRESS_US 3000000
/* The kernel removes them up to this much later. */
#define LEASE_EXPIRY_US  150000

struct lease {
	/* hagwd: this node became MASTER; 0: given back */
	_Atomic uint64_t begun_us;
	/* hagwd: the addresses' lifetime last began anew */
	_Atomic uint64_t refreshed_us;
	/* the vrrpd whose advertisements count; another one is silent */
	_Atomic uint64_t owner;
	/* vrrpd: its last advertisement that others could hear */
	_Atomic uint64_t beat_us;
};

#endif
