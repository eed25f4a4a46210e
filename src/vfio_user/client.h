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
 * all ones to the guest, as a card pulled out).  Writes do not, in a session:
 * those that the server has not carried out are kept (journal.h), and made by
 * the connection that takes over.
 *
 * A region may have windows, to be mapped into the guest, and doorbells, whose
 * writes may be made an eventfd's; both are looked up when the connection is
 * made.  Registers that the server shares in memory (pci/shared_regs.h) are
 * accessed there as long as that comes to the same; it costs no message.
 *
 * Threads: any, unless said otherwise.
 */
#ifndef VFIO_USER_CLIENT_H
#define VFIO_USER_CLIENT_H

#include <stdint.h>

#include "base/util.h"
#include "vfio_user/protocol.h"

struct vfu_client;

enum { VFU_CLIENT_DOORBELLS_MAX = 256 };

struct vfu_region {
	uint64_t size;		/* bytes; 0: not there */
	uint32_t flags;		/* VFIO_REGION_INFO_FLAG_* of <linux/vfio.h> */
};

/* A write there may be an eventfd's. */
struct vfu_doorbell {
	unsigned int index;	/* of the region */
	int fd;			/* shared by several, maybe; the client's */
	uint64_t off;		/* in the region, which it is within */
	uint32_t len;		/* of the write: 1, 2, 4, 8; 0: any */
};

/* A session's name, see server.h; empty: none. */
struct vfu_session {
	char name[VFU_SESSION_LEN + 1];
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

/**
 * vfu_client_connect_session() - the same, and be able to come back
 * @session: the one to come back to, or empty; then the one that holds
 *
 * Return: 0 or -errno; if @session is the same as before, the function is as it
 * was left, but for memory and interrupts, which have to be given again.
 */
int must_check vfu_client_connect_session(const char *path,
					  struct vfu_session *session,
					  struct vfu_client **client);

/** vfu_client_close() - also one that another has taken over; NULL is fine */
void vfu_client_close(struct vfu_client *client);

/**
 * vfu_client_resumes() - can @fresh go on where @old was cut off?
 *
 * Asked if both are in the same session.  No: writes have been lost, or what
 * the server says it has carried out cannot be.
 */
bool vfu_client_resumes(const struct vfu_client *fresh,
			struct vfu_client *old);

/**
 * vfu_client_take_over() - @fresh follows @old, which is over
 * @resume: carry out by it what was kept in @old: a reset, and writes; false:
 *	forget that
 *
 * Writes by @old go to @fresh from now on, so it has to last longer.
 *
 * Return: how many writes it was.
 */
unsigned int vfu_client_take_over(struct vfu_client *fresh,
				  struct vfu_client *old, bool resume);

bool vfu_client_connected(const struct vfu_client *client);

/** vfu_client_watch() - have @epoll_fd report, once, the end of the connection;
 * 0 or -errno */
int must_check vfu_client_watch(const struct vfu_client *client, int epoll_fd);

/** vfu_client_region() - size and flags of a region, known since connect */
const struct vfu_region *vfu_client_region(const struct vfu_client *client,
					   unsigned int index);

/** vfu_client_doorbells() - *@n of them, known since connect */
const struct vfu_doorbell *
vfu_client_doorbells(const struct vfu_client *client, unsigned int *n);

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
 *
 * Return: 0, also if the server is away and the write is kept, for it to be
 * carried out in its turn; the server's error; -ENOTCONN: it is lost.
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

/** vfu_client_reset() - VFIO_USER_DEVICE_RESET; waits.  -ENOTCONN: it will be
 * done when the session goes on, if it does */
int must_check vfu_client_reset(struct vfu_client *client);

#endif
