/* SPDX-License-Identifier: Apache-2.0
 *
 * vfio-user on the wire, version 0.0: QEMU docs/interop/vfio-user.rst.
 *
 * Integers are in the host's byte order, as the protocol says.  What it shares
 * with VFIO (region and irq info, flags, indexes) is in <linux/vfio.h>.
 */
#ifndef VFIO_USER_PROTOCOL_H
#define VFIO_USER_PROTOCOL_H

#include <assert.h>
#include <stdint.h>
#include <linux/vfio.h>

enum vfu_command {
	VFU_VERSION = 1,
	VFU_DMA_MAP = 2,
	VFU_DMA_UNMAP = 3,
	VFU_GET_INFO = 4,
	VFU_GET_REGION_INFO = 5,
	VFU_GET_REGION_IO_FDS = 6,
	VFU_GET_IRQ_INFO = 7,
	VFU_SET_IRQS = 8,
	VFU_REGION_READ = 9,
	VFU_REGION_WRITE = 10,
	VFU_DMA_READ = 11,		/* server to client */
	VFU_DMA_WRITE = 12,		/* server to client */
	VFU_RESET = 13,
	VFU_DIRTY_PAGES = 14,		/* of earlier drafts */
	VFU_REGION_WRITE_MULTI = 15,
	VFU_FEATURE = 16,
	VFU_MIG_DATA_READ = 17,
	VFU_MIG_DATA_WRITE = 18,
	VFU_N_COMMANDS,
};

enum {
	VFU_TYPE_MASK = 0xf,		/* of header flags */
	VFU_TYPE_COMMAND = 0,
	VFU_TYPE_REPLY = 1,
	VFU_NO_REPLY = 0x10,		/* command: do not answer */
	VFU_ERROR = 0x20,		/* reply: failed, see error */
};

/* What we offer in the version message. */
enum {
	VFU_MAJOR = 0,
	VFU_MINOR = 0,
	VFU_MAX_FDS = 16,		/* with one message */
	VFU_MAX_DATA = 1 << 20,		/* `count` of a data transfer */
	VFU_PGSIZES = 4096,		/* of DMA maps */
	VFU_VERSION_JSON_MAX = 4096,	/* bytes of version data we read */
	VFU_SESSION_LEN = 32,		/* characters of a session's name */
};

/* In front of every message. */
struct vfu_header {
	uint16_t id;		/* chosen by the sender, echoed in the reply */
	uint16_t command;	/* enum vfu_command */
	uint32_t size;		/* of the message, this header included */
	uint32_t flags;		/* VFU_TYPE_*, VFU_NO_REPLY, VFU_ERROR */
	uint32_t error;		/* errno, in an error reply */
};
static_assert(sizeof(struct vfu_header) == 16, "wire format");

struct vfu_version {
	uint16_t major;		/* must be the same on both sides */
	uint16_t minor;		/* the lower one counts */
	/* JSON with a NUL at its end may follow */
};
static_assert(sizeof(struct vfu_version) == 4, "wire format");

struct vfu_dma_map {
	uint32_t argsz;		/* of this structure */
	uint32_t flags;		/* VFU_DMA_* */
	uint64_t offset;	/* in the file that comes along, if any */
	uint64_t addr;		/* I/O address */
	uint64_t size;		/* bytes */
};
static_assert(sizeof(struct vfu_dma_map) == 32, "wire format");

enum { VFU_DMA_READABLE = 1, VFU_DMA_WRITABLE = 2 };

struct vfu_dma_unmap {
	uint32_t argsz;		/* room for the reply */
	uint32_t flags;		/* 0 or VFIO_DMA_UNMAP_FLAG_ALL */
	uint64_t addr;		/* I/O address */
	uint64_t size;		/* bytes */
};
static_assert(sizeof(struct vfu_dma_unmap) == 24, "wire format");

struct vfu_device_info {
	uint32_t argsz;		/* room for, or size of, the reply */
	uint32_t flags;		/* VFIO_DEVICE_FLAGS_* */
	uint32_t n_regions;	/* VFIO_PCI_NUM_REGIONS */
	uint32_t n_irqs;	/* VFIO_PCI_NUM_IRQS */
};
static_assert(sizeof(struct vfu_device_info) == 16, "wire format");

static_assert(sizeof(struct vfio_region_info) == 32, "wire format");
static_assert(sizeof(struct vfio_irq_info) == 16, "wire format");
static_assert(sizeof(struct vfio_irq_set) == 20, "wire format");

struct vfu_region_io_fds {
	uint32_t argsz;		/* room for, or size of, the reply */
	uint32_t flags;		/* 0 */
	uint32_t index;		/* of the region */
	uint32_t count;		/* of sub-regions that follow in a reply */
};
static_assert(sizeof(struct vfu_region_io_fds) == 16, "wire format");

/* A sub-region whose writes can be an eventfd's. */
struct vfu_io_fd {
	uint64_t offset;	/* in the region */
	uint64_t size;		/* of a write; 0: any */
	uint32_t fd_index;	/* of the descriptors that come along */
	uint32_t type;		/* VFU_IO_FD_* */
	uint32_t flags;		/* KVM_IOEVENTFD_FLAG_*, VFU_SHARED_* */
	uint32_t padding;
	uint64_t datamatch;	/* with KVM_IOEVENTFD_FLAG_DATAMATCH; of a
				 * shared register, its mask */
};
static_assert(sizeof(struct vfu_io_fd) == 40, "wire format");

enum {
	VFU_IO_FD_EVENTFD = 0,
	/* Our own, for a client that has offered to use it: the descriptor is
	 * that of a struct pci_shared_page. */
	VFU_IO_FD_SHARED_REG = 0x4250,
};

/* Its flags: enum pci_shared_kind and two numbers of words. */
enum {
	VFU_SHARED_KIND = 0xff,
	VFU_SHARED_WORD_SHIFT = 8,
	VFU_SHARED_DUE_SHIFT = 16,
	VFU_SHARED_N = 0xff,		/* of each number */
};

/* REGION_READ and REGION_WRITE; data follows in a write and a read's reply. */
struct vfu_region_access {
	uint64_t offset;	/* in the region */
	uint32_t region;	/* VFIO_PCI_*_REGION_INDEX */
	uint32_t count;		/* bytes of data */
};
static_assert(sizeof(struct vfu_region_access) == 16, "wire format");

struct vfu_write_multi {
	uint64_t n_writes;	/* struct vfu_multi_write that follow */
};
static_assert(sizeof(struct vfu_write_multi) == 8, "wire format");

struct vfu_multi_write {
	uint64_t offset;	/* in the region */
	uint32_t region;	/* VFIO_PCI_*_REGION_INDEX */
	uint32_t count;		/* bytes of data that count */
	uint8_t data[8];
};
static_assert(sizeof(struct vfu_multi_write) == 24, "wire format");

enum {
	VFU_MULTI_WRITES_MAX = 512,
	VFU_VECTORS_MAX = 2048,		/* MSI-X: of one function */
	VFU_PAYLOAD_MAX = VFU_MAX_DATA + sizeof(struct vfu_region_access),
	VFU_MESSAGE_MAX = VFU_PAYLOAD_MAX + sizeof(struct vfu_header),
};

#endif
