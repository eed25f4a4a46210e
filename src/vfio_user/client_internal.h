/* SPDX-License-Identifier: Apache-2.0
 *
 * What client.c (messages), client_lookup.c (what the device has),
 * client_write.c and client_shared.c share.
 */
#ifndef VFIO_USER_CLIENT_INTERNAL_H
#define VFIO_USER_CLIENT_INTERNAL_H

#include <pthread.h>

#include "base/list.h"
#include "pci/shared_regs.h"
#include "vfio_user/client.h"
#include "vfio_user/journal.h"

enum { VFU_CLIENT_FDS_MAX = VFU_MAX_FDS * VFIO_PCI_NUM_REGIONS };

struct vfu_client {
	int fd;				/* connected socket */
	struct vfu_region regions[VFIO_PCI_NUM_REGIONS];
	unsigned int irqs[VFIO_PCI_NUM_IRQS];	/* vectors of each index */
	struct vfu_doorbell *doorbells;	/* n_doorbells of them */
	unsigned int n_doorbells;	/* of all regions */
	int fds[VFU_CLIENT_FDS_MAX];	/* of doorbells, n_fds of them */
	unsigned int n_fds;		/* each once */
	uint64_t max_data;		/* bytes of one access */
	struct pci_shared_page *shared;	/* registers; NULL: none */
	struct pci_shared_reg shared_regs[PCI_SHARED_REGS_MAX];
	unsigned int n_shared_regs;	/* of them */
	int shared_call;		/* eventfd that wakes the server, one of
					 * fds; -1: none */
	uint64_t n_posted;		/* writes begun to be posted; atomic */
	uint64_t n_ahead;		/* so many of them are to be done before
					 * an access in the page; atomic */

	pthread_mutex_t send_lock;	/* one message at a time, and: */
	struct vfu_journal journal;	/* of a session; else none is kept */
	struct vfu_client *next;	/* has taken over; NULL: none has.
					 * Atomic */

	pthread_mutex_t lock;		/* all up to rx */
	struct list pending;		/* struct pending */
	uint16_t last_id;		/* of a message */
	bool has_reader;		/* somebody receives */
	bool dead;			/* the connection is over */

	struct {			/* the reader's */
		uint8_t *buf;		/* VFU_MESSAGE_MAX bytes */
		size_t len;		/* bytes in it */
		bool want_fds;		/* a reply may have descriptors: only
					 * while one request is under way */
		int fds[VFU_MAX_FDS];	/* that came */
		unsigned int n_fds;	/* of them */
		unsigned int n_asleep;	/* replies to be waited for asleep
					 * before one is looked for again */
		unsigned int n_late;	/* what that was set to last */
	} rx;
	bool alone;			/* there is but one processor */
};

/* A write that is to be kept until it is known to be carried out. */
struct vfu_kept {
	struct vfu_write write;
	uint64_t nr;		/* in the journal; 0: not there */
};

/* A message: what to send and what comes back. */
struct vfu_request {
	uint16_t command;
	const void *body;	/* fixed part of the payload */
	size_t body_len;	/* its bytes */
	const void *data;	/* what follows it, or NULL */
	size_t data_len;	/* its bytes */
	int fd;			/* sent along; -1: none */
	struct vfu_kept *kept;	/* the write that it is; NULL: none */
	void *reply;		/* payload of the reply */
	size_t reply_min;	/* bytes it must have */
	size_t reply_max;	/* bytes there is room for */
};

/**
 * vfu_client_call() - send a request and wait for its reply
 * @len: bytes of its payload, at least r->reply_min; NULL: of no interest
 *
 * Return: 0, the server's error, -ENOTCONN or -EPROTO.
 */
int must_check vfu_client_call(struct vfu_client *c,
			       const struct vfu_request *r, size_t *len);

/** vfu_client_send() - send a request, without waiting; 0 or -ENOTCONN */
int must_check vfu_client_send(struct vfu_client *c,
			       const struct vfu_request *r, uint16_t id,
			       uint32_t flags);

/** vfu_client_keep() - put a write into the journal, with send_lock held, just
 * before it is sent; false: another connection has taken over */
bool must_check vfu_client_keep(struct vfu_client *c, struct vfu_kept *kept);

/** vfu_client_cut() - the connection is over */
void vfu_client_cut(struct vfu_client *c);

/** vfu_client_drop_fds() - close what came with replies and was not taken */
void vfu_client_drop_fds(struct vfu_client *c);

/**
 * vfu_client_share() - use a shared register, the next of the server's list
 * @fd: of the page; mapped the first time
 *
 * What makes no sense is not used.
 */
void vfu_client_share(struct vfu_client *c, unsigned int index,
		      const struct vfu_io_fd *sub, int fd);

/** vfu_client_shared_read(), vfu_client_shared_write() - by shared memory;
 * false: it has to be a message */
bool must_check vfu_client_shared_read(struct vfu_client *c,
				       unsigned int index, uint64_t off,
				       void *buf, uint32_t len);
bool must_check vfu_client_shared_write(struct vfu_client *c,
					unsigned int index, uint64_t off,
					const void *buf, uint32_t len);

/** vfu_client_shared_posted() - a write has been posted: what is done in the
 * page from now on comes behind it, unless the server says that it is apart */
void vfu_client_shared_posted(struct vfu_client *c,
			      const struct vfu_region_access *a);

/** vfu_client_look_up() - regions, their doorbells, interrupts */
int must_check vfu_client_look_up(struct vfu_client *c);

#endif
