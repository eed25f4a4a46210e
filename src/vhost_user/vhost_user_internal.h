/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of a vhost-user back-end among themselves; for vhost_user/ only.
 */
#ifndef VHOST_USER_VHOST_USER_INTERNAL_H
#define VHOST_USER_VHOST_USER_INTERNAL_H

#include "loop/worker.h"
#include "vhost_user/transport.h"
#include "vhost_user/vhost_user.h"
#include "virtio/net.h"

enum { VU_QUEUES_MAX = 2 * VIRTIO_NET_PAIRS_MAX };

struct vhost_user;

/* What the front-end has said about a ring. */
struct vu_queue {
	struct vhost_user *vu;	/* whose */
	unsigned int idx;	/* as in messages */
	uint32_t size;		/* entries; 0: not told */
	uint32_t base;		/* where to begin, as in SET_VRING_BASE */
	bool has_addr;		/* addr is valid */
	struct vu_vring_addr addr; /* as given: the front-end's addresses */
	bool enabled;		/* by SET_VRING_ENABLE, or without it */
	bool was_enabled;	/* ever: else what is sent waits for that */
	struct watch kick;	/* fd -1: none */
	int call_fd;		/* -1: none */
	int err_fd;		/* -1: none */
};

struct vhost_user {
	struct virtio_net net;
	struct worker *worker;
	char *path;
	bool is_client;
	struct watch listener;	/* server: fd -1: none */
	struct timer retry;	/* client: when to connect again */
	unsigned int retry_ms;	/* client: how long to wait next time */
	bool said_waiting;	/* client: that nobody is there */

	/* The connection; all of it is gone when it is. */
	struct vu_conn conn;
	struct watch peer;	/* its socket; fd -1: none */
	struct poller memory_check; /* of the memory, and of the log */
	struct dma_space *dma;
	unsigned int n_regions;	/* of the guest's memory */
	struct vu_region regions[VU_SLOTS_MAX];
	uint64_t features;	/* as in SET_FEATURES */
	uint64_t protocol;	/* as in SET_PROTOCOL_FEATURES */
	uint8_t status;		/* as in SET_STATUS */
	int log_fd;		/* as in SET_LOG_FD; -1: none */
	struct vu_queue queues[VU_QUEUES_MAX];
};

/** vu_attach() - a front-end on a connected, non-blocking socket, which is
 * taken over, in any case; while there is none.  0 or -errno */
int must_check vu_attach(struct vhost_user *vu, int fd);

/** vu_message() - carry out the message at hand, and answer it; 0, or -errno:
 * the connection is to be closed */
int must_check vu_message(struct vhost_user *vu);

/** vu_reset() - as new, but for what belongs to the connection: the protocol
 * features and the memory */
void vu_reset(struct vhost_user *vu);

/** vu_offered() - feature bits for GET_FEATURES */
uint64_t vu_offered(const struct vhost_user *vu);

/* memory.c */

/** vu_memory_set() - replace all memory by @table; fds are those of the message
 */
int must_check vu_memory_set(struct vhost_user *vu,
			     const struct vu_mem_table *table);

/** vu_memory_add() - one more region, with the message's only descriptor */
int must_check vu_memory_add(struct vhost_user *vu,
			     const struct vu_region *region);

/** vu_memory_remove() - the region at these addresses goes */
int must_check vu_memory_remove(struct vhost_user *vu,
				const struct vu_region *region);

/** vu_memory_clear() - all of it goes; no queue is started */
void vu_memory_clear(struct vhost_user *vu);

/** vu_memory_gpa() - a front-end's address as a guest address; false: none */
bool must_check vu_memory_gpa(const struct vhost_user *vu, uint64_t uva,
			      uint64_t *gpa);

/* queue.c */

/** vu_queues_init() - no ring known */
void vu_queues_init(struct vhost_user *vu);

/** vu_queue_kick_fd() - what to wait for; @fd is taken over, -1: poll */
int must_check vu_queue_kick_fd(struct vu_queue *q, int fd);

/** vu_queue_start() - begin to serve a ring */
int must_check vu_queue_start(struct vu_queue *q);

/** vu_queue_stop() - end it, and forget its kick; base: where it stands */
void vu_queue_stop(struct vu_queue *q);

/** vu_queue_enable() - SET_VRING_ENABLE, or what holds without it */
void vu_queue_enable(struct vu_queue *q, bool on);

/** vu_queue_log() - whether the ring logs, as features and address say */
void vu_queue_log(struct vu_queue *q);

/** vu_queue_reset() - stop it, forget all that was said about it */
void vu_queue_reset(struct vu_queue *q);

#endif
