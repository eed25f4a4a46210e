/* SPDX-License-Identifier: Apache-2.0
 *
 * A virtqueue as the device sees it: split or packed (VIRTIO 1.2, 2.7 and
 * 2.8), with indirect tables, event indexes and any layout of buffers.
 *
 * Theory of operation.  The driver makes chains of buffers available; the
 * device fetches some of them (reads their descriptors, once, into a private
 * copy), works on the bytes, and uses them up, always in the order in which
 * they came (so VIRTIO_F_IN_ORDER costs nothing):
 *
 *   vring_fetch()     have so many chains at hand, if there are
 *   vring_chain()     each of them
 *   vring_use_run()   the oldest are done, so many of them
 *   vring_publish()   once a batch: the driver may see them
 *   vring_wants_call()  is the driver to be interrupted?
 *
 * Chains that were fetched and not used stay at hand for the next time.
 *
 * While the device polls, vring_disarm() asks the driver not to kick.  Before
 * it sleeps: vring_arm(), then look once more.
 *
 * The driver is hostile.  A chain whose buffers are not in its memory, or that
 * has too many pieces, is `bad`: it is to be given back unused.  A ring that
 * contradicts itself is broken: nothing more comes out of it until it is
 * started again; `broken` says why.  Each call's work is bounded by the queue's
 * size for each chain.
 *
 * The transport brings addresses and positions and may change the memory map
 * only between calls; after that it calls vring_remap(), which forgets what has
 * been fetched.
 *
 * Threads: one worker at a time.
 */
#ifndef VIRTIO_RING_H
#define VIRTIO_RING_H

#include <stdint.h>
#include <sys/uio.h>

#include "mem/dma.h"

enum {
	VRING_SIZE_MAX = 32768,		/* 2.7: split; 2.8.10.1: packed */
	/* Pieces of one chain at most: a 64 KiB frame's, and its header. */
	VRING_CHAIN_IOV_MAX = 72,
	/* Chains at hand at most. */
	VRING_AHEAD_MAX = 128,
	/* Pieces for all of them; fewer are fetched where they run out. */
	VRING_AHEAD_IOV = 1024,
};

/* What the driver has said about a queue. */
struct vring_config {
	uint16_t size;		/* entries */
	uint64_t features;	/* negotiated; BIT64(VIRTIO_F_...) */
	uint64_t desc;		/* guest addresses: descriptor table or ring */
	uint64_t driver;	/* available ring or driver event suppression */
	uint64_t device;	/* used ring or device event suppression */
	bool out_only;		/* the device only reads, whatever a descriptor
				 * says: DPDK's packed driver leaves WRITE in
				 * its indirect tables (22.11) */
};

/* Where a queue stands, to stop it and to go on later. */
struct vring_state {
	uint16_t avail;		/* next to be taken; packed: wrap in bit 15 */
	uint16_t used;		/* next to be written; likewise */
};

/* Which of the device's writes go into the log of dma_space_set_log(). */
struct vring_log {
	bool buffers;		/* to buffers, and to packed rings' slots */
	bool used;		/* to the used ring, or event suppression */
	uint64_t used_gpa;	/* which the log knows by this address */
};

/* Buffers that the driver has made available together. */
struct vring_chain {
	struct iovec *iov;	/* n_out readable pieces, then n_in others */
	uint16_t n_out;		/* pieces the device reads */
	uint16_t n_in;		/* pieces the device writes */
	uint16_t id;		/* what the driver knows it by */
	uint16_t n_slots;	/* places it takes in the ring */
	uint32_t out_len;	/* bytes to read */
	uint32_t in_len;	/* bytes there is room for */
	bool bad;		/* to be given back; no pieces */
};

/* Chains at hand, oldest first; private copies of their descriptors. */
struct vring_ahead {
	unsigned int first;		/* the oldest not used */
	unsigned int n;			/* end of those fetched */
	unsigned int n_iov;		/* of iov[] in use */
	struct vring_chain chain[VRING_AHEAD_MAX];
	struct iovec iov[VRING_AHEAD_IOV];
};

/* A position in a packed ring; in a split ring `idx` counts freely. */
struct vring_pos {
	uint16_t idx;		/* slot */
	bool wrap;		/* the ring's wrap counter there */
};

struct vring {
	/* Set at the start. */
	struct dma_space *dma;	/* the driver's memory; NULL: not started */
	const char *name;	/* for messages */
	struct vring_config config; /* as the driver gave it */
	bool packed;		/* from the features, as the next two */
	bool event_idx;		/* VIRTIO_F_EVENT_IDX */
	bool indirect;		/* VIRTIO_F_INDIRECT_DESC */
	uint16_t size;		/* config.size, checked */
	uint8_t *desc;		/* the three areas; NULL: not mapped */
	uint8_t *driver;
	uint8_t *device;
	struct dma_window window; /* where the last buffer lay */
	struct vring_ahead *ahead; /* what has been fetched; owned */
	struct vring_log log;	/* all false: nothing is logged */

	/* Positions. */
	struct vring_pos fetch;	/* next chain to be fetched */
	struct vring_pos avail;	/* first chain not used up */
	struct vring_pos used;	/* where the next used one is reported */
	uint16_t seen;		/* split: available index read last */
	uint16_t n_unpublished;	/* used since the last vring_publish() */
	struct vring_pos first;	/* packed: the first of those */
	uint16_t first_flags;	/* packed: its flags, still to be written */
	uint16_t signalled;	/* used.idx when the driver was last asked
				 * whether it wants a call */
	bool signalled_valid;	/* has it been, since the start? */
	const char *broken;	/* why the ring has been given up; or NULL */
};

/**
 * vring_start() - begin to serve a queue
 * @name: for messages; outlives the ring
 * @state: NULL: a fresh queue
 *
 * Return: 0; -EINVAL (size or alignment no driver may ask for), -EFAULT (the
 * areas are not in the driver's memory), -ENOMEM; the ring is then not started.
 */
int must_check vring_start(struct vring *ring, const char *name,
			   struct dma_space *dma,
			   const struct vring_config *config,
			   const struct vring_state *state);

/** vring_stop() - forget it; idempotent */
void vring_stop(struct vring *ring);

/** vring_state() - where it stands; of a started ring, all published */
struct vring_state vring_state(const struct vring *ring);

/** vring_remap() - the memory map has changed: 0, or -EFAULT: stopped */
int must_check vring_remap(struct vring *ring);

/** vring_set_log() - from now on, what is written is logged so; of a started
 * ring, all published */
void vring_set_log(struct vring *ring, const struct vring_log *log);

/** vring_ready() - is it started and not broken? */
static inline bool vring_ready(const struct vring *ring)
{
	return ring->dma && !ring->broken;
}

/** vring_n_ahead() - how many chains are at hand */
static inline unsigned int vring_n_ahead(const struct vring *ring)
{
	return ring->dma ? ring->ahead->n - ring->ahead->first : 0;
}

/** vring_chain() - the @i-th of those at hand, below vring_n_ahead() */
static inline const struct vring_chain *vring_chain(const struct vring *ring,
						    unsigned int i)
{
	return &ring->ahead->chain[ring->ahead->first + i];
}

/**
 * vring_fetch() - have @want chains at hand, if the driver has so many
 * @want: up to VRING_AHEAD_MAX
 *
 * Return: how many are; there may be more than @want.
 */
unsigned int vring_fetch(struct vring *ring, unsigned int want);

/**
 * vring_use_run() - the @n oldest chains at hand go back to the driver
 * @lens: bytes that have been written into each
 */
void vring_use_run(struct vring *ring, const uint32_t *lens, unsigned int n);

/** vring_use() - the same for one */
static inline void vring_use(struct vring *ring, uint32_t len)
{
	vring_use_run(ring, &len, 1);
}

/** vring_prefetch_used() - chains are about to be used: ask for the lines that
 * will be written, which the driver looks at */
void vring_prefetch_used(const struct vring *ring);

/** vring_publish() - what was used becomes visible, all at once */
void vring_publish(struct vring *ring);

/** vring_wants_call() - after publishing: does the driver want to be told? */
bool must_check vring_wants_call(struct vring *ring);

/** vring_arm(), vring_disarm() - ask for kicks, ask for none; after arming,
 * look once more before sleeping */
void vring_arm(struct vring *ring);
void vring_disarm(struct vring *ring);

/** vring_chain_read() - copy bytes [off, off + len) of what @chain has to be
 * read; there are as many */
void vring_chain_read(const struct vring_chain *chain, uint32_t off, void *dst,
		      uint32_t len);

#endif
