/* SPDX-License-Identifier: Apache-2.0
 *
 * vhost-user on the wire (QEMU, docs/interop/vhost-user.rst).  Integers are in
 * the byte order of the host, which both ends share.
 */
#ifndef VHOST_USER_PROTOCOL_H
#define VHOST_USER_PROTOCOL_H

#include <stdint.h>

enum {
	VU_HEADER_LEN = 12,
	VU_PAYLOAD_MAX = 4096,
	VU_FDS_MAX = 8,			/* SET_MEM_TABLE: one a region */
	VU_TABLE_REGIONS = 8,
	/* As many as QEMU has memory slots. */
	VU_SLOTS_MAX = 512,
};

enum vu_flags {
	VU_VERSION = 1,
	VU_VERSION_MASK = 3,
	VU_REPLY = 1 << 2,
	VU_NEED_REPLY = 1 << 3,
};

struct vu_header {
	uint32_t request;	/* enum vu_request */
	uint32_t flags;		/* enum vu_flags */
	uint32_t size;		/* of the payload */
};
_Static_assert(sizeof(struct vu_header) == VU_HEADER_LEN, "vu_header");

enum vu_request {
	VU_GET_FEATURES = 1,
	VU_SET_FEATURES = 2,
	VU_SET_OWNER = 3,
	VU_RESET_OWNER = 4,
	VU_SET_MEM_TABLE = 5,
	VU_SET_LOG_BASE = 6,
	VU_SET_LOG_FD = 7,
	VU_SET_VRING_NUM = 8,
	VU_SET_VRING_ADDR = 9,
	VU_SET_VRING_BASE = 10,
	VU_GET_VRING_BASE = 11,
	VU_SET_VRING_KICK = 12,
	VU_SET_VRING_CALL = 13,
	VU_SET_VRING_ERR = 14,
	VU_GET_PROTOCOL_FEATURES = 15,
	VU_SET_PROTOCOL_FEATURES = 16,
	VU_GET_QUEUE_NUM = 17,
	VU_SET_VRING_ENABLE = 18,
	VU_SEND_RARP = 19,
	VU_NET_SET_MTU = 20,
	VU_RESET_DEVICE = 34,
	VU_GET_MAX_MEM_SLOTS = 36,
	VU_ADD_MEM_REG = 37,
	VU_REM_MEM_REG = 38,
	VU_SET_STATUS = 39,
	VU_GET_STATUS = 40,
};

/* Feature bits beside virtio's own. */
enum vu_feature {
	VU_F_LOG_ALL = 26,		/* mark the pages that are written */
	VU_F_PROTOCOL_FEATURES = 30,	/* there are protocol features */
};

enum vu_protocol_feature {
	VU_PROTOCOL_F_MQ = 0,
	VU_PROTOCOL_F_LOG_SHMFD = 1,
	VU_PROTOCOL_F_RARP = 2,
	VU_PROTOCOL_F_REPLY_ACK = 3,
	VU_PROTOCOL_F_MTU = 4,
	VU_PROTOCOL_F_RESET_DEVICE = 13,
	VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
	VU_PROTOCOL_F_STATUS = 16,
};

/* One region of the guest's memory. */
struct vu_region {
	uint64_t gpa;		/* guest physical address */
	uint64_t len;		/* bytes */
	uint64_t uva;		/* where the front-end has it mapped */
	uint64_t offset;	/* in the file */
};

struct vu_mem_table {
	uint32_t n;
	uint32_t padding;
	struct vu_region region[VU_TABLE_REGIONS];
};

struct vu_mem_reg {
	uint64_t padding;
	struct vu_region region;
};

/* The bitmap of written pages. */
struct vu_log {
	uint64_t len;		/* bytes */
	uint64_t offset;	/* in the file */
};

struct vu_vring_state {
	uint32_t idx;		/* which ring */
	uint32_t num;		/* size, position, or on and off */
};

/* A position of a packed ring in vu_vring_state.num: two of 16 bits. */
enum { VU_BASE_USED_SHIFT = 16 };

struct vu_vring_addr {
	uint32_t idx;		/* which ring */
	uint32_t flags;		/* VU_VRING_LOG */
	uint64_t desc;		/* addresses of the front-end's own */
	uint64_t used;
	uint64_t avail;
	uint64_t log;		/* guest address of the used ring, for the log
				 */
};
_Static_assert(sizeof(struct vu_vring_addr) == 40, "vu_vring_addr");

enum { VU_VRING_LOG = 1 };	/* log writes to the used ring */

/* SET_VRING_KICK, CALL, ERR: a number of 64 bits. */
enum {
	VU_VRING_IDX_MASK = 0xff,
	VU_VRING_NOFD = 0x100,	/* there is no descriptor: poll */
};

union vu_payload {
	uint64_t u64;
	struct vu_mem_table table;
	struct vu_mem_reg reg;
	struct vu_log log;
	struct vu_vring_state state;
	struct vu_vring_addr addr;
	uint8_t bytes[VU_PAYLOAD_MAX];
};

#endif
