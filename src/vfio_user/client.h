/* SPDX-License-Identifier: Apache-2.0
 *
 * vfio-user client: our VMM's one way to a NIC.
 *
 * One connection is one PCI function in another process.  All vCPUs share the
 * socket: requests are numbered, so several may be under way; a thread that
 * waits for its reply reads for all, and hands over what is not its own.  No
 * lock is held while waiting.
 *
 * If the server goes away, every call fails at once with -ENOTCONN (reads give
 * all ones to the guest, as a card pulled out).
 *
 * Threads: any, unless said otherwise.
 */
#ifndef VFIO_USER_CLIENT_H
#define VFIO_USER_CLIENT_H

#include <stdint.h>

#include "base/util.h"

struct vfu_client;

struct vfu_region {
	uint64_t size;		/* bytes; 0: not there */
	uint32_t flags;		/* VFIO_REGION_INFO_FLAG_* of <linux/vfio.h> */
};

enum { VFU_DOORBELLS_MAX = 64 };

/* A register to which writes can be made by an eventfd. */
struct vfu_doorbell {
	uint64_t off;		/* in the region */
	uint32_t len;		/* of the write; 0: any */
};

struct vfu_doorbells {
	unsigned int n;		/* in at[]; 0: there are none */
	uint32_t region;	/* where they all are */
	int fd;			/* eventfd to signal instead; -1: none */
	struct vfu_doorbell at[VFU_DOORBELLS_MAX];
};

/* vfio-user / VFIO PCI region and irq indexes (<linux/vfio.h>). */

/**
 * vfu_client_connect() - connect and negotiate the version
 * @path: the server's socket
 *
 * Return: 0 or -errno; -EPROTO: the other side does not speak vfio-user, or
 * no version that we do (said in a message).
 */
int must_check vfu_client_connect(const char *path, struct vfu_client **client);

void vfu_client_close(struct vfu_client *client);

bool vfu_client_connected(const struct vfu_client *client);

/** vfu_client_region() - size and flags of a region, known since connect */
const struct vfu_region *vfu_client_region(const struct vfu_client *client,
					   unsigned int index);

/** vfu_client_doorbells() - known since connect; the descriptor stays the
 * client's */
const struct vfu_doorbells *vfu_client_doorbells(const struct vfu_client *c);

/** vfu_client_irqs() - number of interrupts of an index, known since connect */
unsigned int vfu_client_irqs(const struct vfu_client *client,
			     unsigned int index);

/** vfu_client_read() - @len bytes at @off of region @index; waits */
int must_check vfu_client_read(struct vfu_client *client, unsigned int index,
			       uint64_t off, void *buf, uint32_t len);

/**
 * vfu_client_write() - write a region
 * @posted: ask for no reply (memory writes are posted on PCI, config and I/O
 *	writes are not)
 */
int must_check vfu_client_write(struct vfu_client *client, unsigned int index,
				uint64_t off, const void *buf, uint32_t len,
				bool posted);

/** vfu_client_map() - give the server guest memory; waits */
int must_check vfu_client_map(struct vfu_client *client, uint64_t iova,
			      uint64_t len, uint32_t prot, int fd,
			      uint64_t offset);
int must_check vfu_client_unmap(struct vfu_client *client, uint64_t iova,
				uint64_t len);

/**
 * vfu_client_set_irqs() - VFIO_USER_DEVICE_SET_IRQS
 * @flags: VFIO_IRQ_SET_DATA_* | VFIO_IRQ_SET_ACTION_*
 * @fds: @count eventfds with DATA_EVENTFD (sent one message each), else NULL;
 *	-1 takes one away
 */
int must_check vfu_client_set_irqs(struct vfu_client *client,
				   unsigned int index, uint32_t flags,
				   unsigned int start, unsigned int count,
				   const int *fds);

int must_check vfu_client_reset(struct vfu_client *client);

#endif
