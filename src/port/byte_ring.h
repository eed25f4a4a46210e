/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes waiting to be sent: a ring that is written piece by piece and read as
 * at most two pieces.  One thread.
 */
#ifndef PORT_BYTE_RING_H
#define PORT_BYTE_RING_H

#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#include "base/util.h"

struct byte_ring {
	uint8_t *data;		/* size bytes */
	uint32_t size;		/* a power of two */
	uint32_t head;		/* bytes ever read; wraps */
	uint32_t tail;		/* bytes ever written; wraps */
};

static inline uint32_t byte_ring_used(const struct byte_ring *ring)
{
	return ring->tail - ring->head;
}

static inline uint32_t byte_ring_room(const struct byte_ring *ring)
{
	return ring->size - byte_ring_used(ring);
}

/** byte_ring_put() - append @len bytes, for which there is room */
static inline void byte_ring_put(struct byte_ring *ring, const void *data,
				 uint32_t len)
{
	uint32_t at = ring->tail & (ring->size - 1);
	uint32_t first = min_of(len, ring->size - at);

	memcpy(ring->data + at, data, first);
	memcpy(ring->data, (const uint8_t *)data + first, len - first);
	ring->tail += len;
}

/** byte_ring_pieces() - what is there to be read, as @iov; how many pieces */
static inline unsigned int byte_ring_pieces(const struct byte_ring *ring,
					    struct iovec iov[2])
{
	uint32_t at = ring->head & (ring->size - 1);
	uint32_t used = byte_ring_used(ring);
	uint32_t first = min_of(used, ring->size - at);

	iov[0] = (struct iovec){ ring->data + at, first };
	iov[1] = (struct iovec){ ring->data, used - first };
	return used > first ? 2 : 1;
}

#endif
