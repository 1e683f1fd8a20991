#include "hagw.h"

/* The compiler's clock and the version: the same in one build's objects. */
const char hagw_build_id[32] = HAGW_VERSION " " HAGW_BUILD;

const char *
proc_name(enum proc_id id)
{
	static const char *const names[PROC_MAX] = {
	    [PROC_PARENT] = "hagwd",
	    [PROC_VRRP] = "vrrpd",
	    [PROC_SYNC] = "syncd",
	    [PROC_NAT] = "natd",
	    [PROC_CTL] = "ctld",
	};

	return (unsigned int)id < PROC_MAX ? names[id] : "unknown";
}

const char *
role_name(enum role role)
{
	static const char *const names[ROLE_MAX] = {
	    [ROLE_INIT] = "INIT",
	    [ROLE_BACKUP] = "BACKUP",
	    [ROLE_MASTER] = "MASTER",
	    [ROLE_FAULT] = "FAULT",
	};

	return (unsigned int)role < ROLE_MAX ? names[role] : "unknown";
}
