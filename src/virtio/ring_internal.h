/* SPDX-License-Identifier: Apache-2.0
 *
 * What split and packed rings have in common; for virtio/ only.
 */
#ifndef VIRTIO_RING_INTERNAL_H
#define VIRTIO_RING_INTERNAL_H

#include <string.h>

#include "virtio/ring.h"
#include "virtio/virtio.h"

/* Descriptor flags; the first three are the same for both layouts. */
enum vring_desc_flags {
	DESC_NEXT = 1,		/* the chain goes on */
	DESC_WRITE = 2,		/* the device writes (else it reads) */
	DESC_INDIRECT = 4,	/* a table of descriptors lies there */
	DESC_AVAIL = 1 << 7,	/* packed: toggles each time round */
	DESC_USED = 1 << 15,	/* packed: likewise */
};

/* One descriptor, as it was at one moment.  Where the layouts differ in the
 * order of the last two fields, `next` is the other one. */
struct desc {
	uint64_t addr;		/* guest address */
	uint32_t len;		/* bytes */
	uint16_t flags;		/* enum vring_desc_flags */
	uint16_t next;		/* split: index of the next; packed: id */
};

enum { DESC_LEN = 16 };

/* Guest words: read and written once.  Those of 16 bits are aligned and whole;
 * those of descriptors may lie anywhere (tables have no alignment). */
static inline uint16_t word16(const uint8_t *p)
{
	return __atomic_load_n((const uint16_t *)p, __ATOMIC_RELAXED);
}

static inline uint16_t word16_acquire(const uint8_t *p)
{
	return __atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE);
}

static inline uint64_t word64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	/* From here on v is ours: the compiler cannot go and look again. */
	__asm__ volatile("" : "+r"(v));
	return v;
}

static inline void word16_set(uint8_t *p, uint16_t v)
{
	__atomic_store_n((uint16_t *)p, v, __ATOMIC_RELAXED);
}

static inline void word16_release(uint8_t *p, uint16_t v)
{
	__atomic_store_n((uint16_t *)p, v, __ATOMIC_RELEASE);
}

static inline void word64_set(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

/** vring_break() - the driver broke the rules: @why; always false */
bool vring_break(struct vring *ring, const char *why);

/** chain_room() - may one more be fetched, with all pieces it may have? */
static inline bool chain_room(const struct vring_ahead *ahead)
{
	return ahead->n < VRING_AHEAD_MAX &&
	       VRING_AHEAD_IOV - ahead->n_iov >= VRING_CHAIN_IOV_MAX;
}

/** chain_begin() - an empty chain behind those at hand */
struct vring_chain *chain_begin(struct vring_ahead *ahead);

/**
 * chain_one() - a chain of one buffer that lies where the last one did
 * @window: a copy of the ring's
 * @iov: for its piece
 *
 * What nearly all are, made in one go.  Return: false: it is not such a one;
 * chain_begin() and chain_add() are for all.
 */
static inline bool chain_one(const struct dma_window *window, bool out_only,
			     const struct desc *desc, uint16_t id,
			     struct vring_chain *chain, struct iovec *iov)
{
	unsigned int in = !!(desc->flags & DESC_WRITE) & !out_only;
	void *hva = dma_window_find(window, desc->addr, desc->len,
				    DMA_READ << in);

	_Static_assert(DMA_READ << 1 == DMA_WRITE, "in picks the one or other");
	if (unlikely(!hva || desc->flags & (DESC_NEXT | DESC_INDIRECT)))
		return false;
	*iov = (struct iovec){ hva, desc->len };
	*chain = (struct vring_chain) {
		.iov = iov,
		.n_out = (uint16_t)!in,
		.n_in = (uint16_t)in,
		.id = id,
		.n_slots = 1,
		.out_len = desc->len & (in - 1),
		.in_len = desc->len & -in,
	};
	return true;
}

/** chain_ones_max() - so many of them may be made, each after the other */
static inline unsigned int chain_ones_max(const struct vring_ahead *ahead)
{
	return min_of(VRING_AHEAD_MAX - ahead->n, VRING_AHEAD_IOV -
		      ahead->n_iov);
}

/** chain_add() - one more buffer; false: the ring is broken */
bool must_check chain_add(struct vring *ring, struct vring_chain *chain,
			  const struct desc *desc);

/**
 * chain_table() - where an indirect table lies
 * @n: out: descriptors in it
 *
 * Return: false: the ring is broken.  *@table is NULL if it is not in the
 * driver's memory: the chain is then bad.
 */
bool must_check chain_table(struct vring *ring, struct vring_chain *chain,
			    const struct desc *desc, uint8_t **table,
			    unsigned int *n);

/* Is the driver to be told, if it asked for @event and the used index went
 * from @old to @now?  (2.7.7.2) */
static inline bool event_passed(uint16_t event, uint16_t now, uint16_t old)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

/* The two layouts; as their namesakes in ring.h, but for fetch: at most @n
 * more.  log_event: arming or disarming has written; log_used: so has the
 * publication of n_unpublished entries. */
int split_map(struct vring *ring);
void split_begin(struct vring *ring, const struct vring_state *state);
void split_fetch(struct vring *ring, unsigned int n);
void split_use(struct vring *ring, const struct vring_chain *chains,
	       const uint32_t *lens, unsigned int n);
void split_prefetch_used(const struct vring *ring);
void split_publish(struct vring *ring);
bool split_wants_call(struct vring *ring, uint16_t old);
void split_arm(struct vring *ring, bool on);
void split_log_event(struct vring *ring);
void split_log_used(struct vring *ring);

int packed_map(struct vring *ring);
void packed_begin(struct vring *ring, const struct vring_state *state);
void packed_fetch(struct vring *ring, unsigned int n);
void packed_use(struct vring *ring, const struct vring_chain *chains,
		const uint32_t *lens, unsigned int n);
void packed_prefetch_used(const struct vring *ring);
void packed_publish(struct vring *ring);
bool packed_wants_call(struct vring *ring, uint16_t old);
void packed_arm(struct vring *ring, bool on);
void packed_log_event(struct vring *ring);
void packed_log_used(struct vring *ring);

#endif
