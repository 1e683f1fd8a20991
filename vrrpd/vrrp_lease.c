/*
 * vrrpd's side of the lease page. While hagwd lives, it is the proof that
 * the addresses in the kernel are refreshed; when hagwd died, it says for
 * how long this vrrpd may speak for them, and whether another one does.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "lease.h"
#include "vrrpd.h"

static struct lease *page; /* NULL: none was passed */
static uint64_t self; /* names this process in the page */

void
lease_take(int fd)
{
	void *map = mmap(
	    NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		fatal("lease page");
	close(fd);
	page = map;
	self = clock_us();
	page->owner = self;
}

/* Advertise until a peer's timer runs out when the addresses are gone. */
static uint64_t
ends_us(uint64_t interval_us)
{
	return page->refreshed_us + LEASE_ADDRESS_US + LEASE_EXPIRY_US -
	    LEASE_INTERVALS * interval_us;
}

bool
lease_lingers(uint64_t now, uint64_t interval_us)
{
	uint64_t term = LEASE_INTERVALS * interval_us;

	if (page == NULL || page->owner != self || page->refreshed_us > now ||
	    term > LEASE_ADDRESS_US)
		return false;
	return now < ends_us(interval_us);
}

void
lease_beat(uint64_t now)
{
	if (page != NULL)
		page->beat_us = now;
}

bool
lease_expired(uint64_t now, uint64_t since_us)
{
	uint64_t from;

	if (page == NULL)
		return false;
	from = page->refreshed_us;
	if (from < since_us)
		from = since_us;
	return now > from && now - from > LEASE_ADDRESS_US;
}
