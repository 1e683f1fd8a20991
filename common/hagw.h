/* hagw: process ids, versions and the constants every program shares. */
#ifndef HAGW_H
#define HAGW_H

#include <stdbool.h>
#include <stdint.h>

#define HAGW_VERSION        "0.1.0"

/*
 * Tag of everything hagw puts into the kernel: IFA_PROTO of addresses,
 * rtm_protocol of routes. Free in rtnetlink.h and iproute2's rt_protos.
 */
#define HAGW_KERNEL_PROTO   104

#define HAGW_DEFAULT_CONF   "/etc/hagw/site.yaml"
#define HAGW_DEFAULT_NODE   "/etc/hagw/node"
#define HAGW_DEFAULT_KEY    "/etc/hagw/sync.key"
#define HAGW_DEFAULT_RUNDIR "/run/hagw"
#define HAGW_SOCK_NAME      "hagw.sock"
#define HAGW_GROUP          "hagw" /* may look, not change */
#define HAGW_NFT_TABLE      "hagw" /* family inet; the only table touched */
/*
 * Of a flow's 128 label bits (16 bytes) bits 124 to 126, in the last byte, are
 * hagw's: a FIN was seen from the original side, from the other, a RST (or a
 * new life after a FIN). Bit 127 meant something else in protocol 2.
 */
#define HAGW_CT_LABEL_LEN   16
#define HAGW_CT_LABEL_AT    15
#define HAGW_CT_FIN_ORIG    0x40
#define HAGW_CT_FIN_REPLY   0x20
#define HAGW_CT_RST         0x10

#define HAGW_SYNC_PORT      3780 /* UDP */
#define HAGW_SYNC_KEYLEN    32 /* bytes, AEAD key */

/* One id per privilege, used as index of tables. */
enum proc_id {
	PROC_PARENT,
	PROC_VRRP,
	PROC_SYNC,
	PROC_NAT,
	PROC_CTL,
	PROC_MAX
};

/* RFC 9568's Initialize, Backup and Active; FAULT: a network is down. */
enum role { ROLE_INIT, ROLE_BACKUP, ROLE_MASTER, ROLE_FAULT, ROLE_MAX };

/* Names as operators know them: "vrrpd", "MASTER". Never NULL. */
const char *proc_name(enum proc_id);
const char *role_name(enum role);

/* Identifies the build: parent and children must come from the same one. */
extern const char hagw_build_id[32];

#ifndef nitems
#define nitems(a) (sizeof(a) / sizeof((a)[0]))
#endif

#endif
