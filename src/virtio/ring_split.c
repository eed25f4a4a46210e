/* SPDX-License-Identifier: Apache-2.0
 *
 * Split virtqueues (VIRTIO 1.2, 2.7).
 *
 *   descriptor table   16 bytes each: address, length, flags, next
 *   available ring     flags, idx, ring[size], used_event    (driver writes)
 *   used ring          flags, idx, ring[size] of {id, len}, avail_event
 *
 * Both indexes count freely; ring[] is indexed by their low bits.
 */
#include "virtio/ring_internal.h"

#include <errno.h>

enum {
	AVAIL_FLAGS = 0,
	AVAIL_IDX = 2,
	AVAIL_RING = 4,
	USED_FLAGS = 0,
	USED_IDX = 2,
	USED_RING = 4,
	USED_ELEM_LEN = 8,

	AVAIL_NO_INTERRUPT = 1,
	USED_NO_NOTIFY = 1,
};

static uint8_t *used_event(const struct vring *r)
{
	return r->driver + AVAIL_RING + r->size * sizeof(uint16_t);
}

static uint8_t *avail_event(const struct vring *r)
{
	return r->device + USED_RING + r->size * USED_ELEM_LEN;
}

/* Alignment and sizes are those of 2.7; the events are there even if they have
 * not been negotiated (2.7.6, 2.7.8). */
int split_map(struct vring *r)
{
	const struct vring_config *c = &r->config;
	uint64_t size = r->size;

	if (c->desc % DESC_LEN || c->driver % 2 || c->device % 4)
		return -EINVAL;
	r->desc = dma_at(r->dma, c->desc, size * DESC_LEN, DMA_READ);
	r->driver = dma_at(r->dma, c->driver, AVAIL_RING + 2 * size + 2,
			   DMA_READ);
	r->device = dma_at(r->dma, c->device,
			   USED_RING + USED_ELEM_LEN * size + 2,
			   DMA_READ | DMA_WRITE);
	return r->desc && r->driver && r->device ? 0 : -EFAULT;
}

/* How far the used ring has got is written in it; and as buffers are used in
 * order, so far the available ring has been taken.  A state that says otherwise
 * comes from a device that did not end in good order, or from a driver that
 * guesses: what was not used is taken again, none of it is left behind. */
void split_begin(struct vring *r, const struct vring_state *state)
{
	if (!state)
		return;
	r->used.idx = word16(r->device + USED_IDX);
	r->avail.idx = r->seen = r->used.idx;
}

static struct desc read_desc(const uint8_t *table, unsigned int i)
{
	const uint8_t *p = table + i * DESC_LEN;
	uint64_t addr = word64(p), rest = word64(p + 8);

	return (struct desc) {
		.addr = addr,
		.len = (uint32_t)rest,
		.flags = (uint16_t)(rest >> 32),
		.next = (uint16_t)(rest >> 48),
	};
}

/* Any chain: descriptors of the ring's own table, the last of which may refer
 * to another one, where it goes on (2.7.5.3.2). */
static bool fetch_any(struct vring *r, uint16_t head)
{
	struct vring_chain *chain = chain_begin(r->ahead);
	struct desc desc = read_desc(r->desc, head);
	uint8_t *table = r->desc;
	bool in_another = false;
	unsigned int n = r->size, left = n;

	chain->id = head;
	chain->n_slots = 1;
	for (;; left--) {
		if (!left)
			return vring_break(r, "a chain longer than its table");
		if (desc.flags & DESC_INDIRECT) {
			if (in_another || desc.flags & DESC_NEXT)
				return vring_break(r, "a table that is not the end of a chain");
			if (!chain_table(r, chain, &desc, &table, &n))
				return false;
			if (!table)
				return true;
			in_another = true;
			left = n + 1;
			desc = read_desc(table, 0);
			continue;
		}
		if (!chain_add(r, chain, &desc))
			return false;
		if (!(desc.flags & DESC_NEXT))
			return true;
		if (desc.next >= n)
			return vring_break(r, "a descriptor beyond the table");
		desc = read_desc(table, desc.next);
	}
}

/* As many chains of one buffer each as begin with the next @n @heads. */
static unsigned int fetch_ones(struct vring *r, const uint16_t *heads,
			       unsigned int n)
{
	struct vring_ahead *ahead = r->ahead;
	struct vring_chain *chain = &ahead->chain[ahead->n];
	struct iovec *iov = &ahead->iov[ahead->n_iov];
	const struct dma_window window = r->window;
	const bool out_only = r->config.out_only;
	const uint8_t *table = r->desc;
	unsigned int i;

	n = min_of(n, chain_ones_max(ahead));
	for (i = 0; i < n; i++) {
		struct desc desc = read_desc(table, heads[i]);

		if (!chain_one(&window, out_only, &desc, heads[i], &chain[i],
			       &iov[i]))
			break;
	}
	ahead->n += i;
	ahead->n_iov += i;
	r->fetch.idx += (uint16_t)i;
	return i;
}

/* The driver's next @n heads; false: the ring is broken. */
static bool read_heads(struct vring *r, uint16_t *heads, unsigned int n)
{
	const uint8_t *ring = r->driver + AVAIL_RING, *table = r->desc;
	unsigned int mask = r->size - 1u, at = r->fetch.idx;
	uint16_t beyond = 0;

	for (unsigned int i = 0; i < n; i++) {
		heads[i] = word16(ring + 2 * ((at + i) & mask));
		beyond |= heads[i] > mask;
		prefetch_to_read(table + heads[i] * DESC_LEN);
	}
	return likely(!beyond) ||
	       vring_break(r, "a chain that begins beyond the table");
}

void split_fetch(struct vring *r, unsigned int max)
{
	uint16_t heads[VRING_AHEAD_MAX];
	unsigned int n = (uint16_t)(r->seen - r->fetch.idx), i = 0;

	/* The index's cache line is the driver's: look only if need be. */
	if (n < max) {
		r->seen = word16_acquire(r->driver + AVAIL_IDX);
		n = (uint16_t)(r->seen - r->fetch.idx);
		if (unlikely((uint16_t)(r->seen - r->avail.idx) > r->size)) {
			vring_break(r, "more available than the ring has");
			return;
		}
	}
	n = min_of(n, max);
	if (!read_heads(r, heads, n))
		return;
	for (;;) {
		i += fetch_ones(r, &heads[i], n - i);
		if (likely(i == n) || !chain_room(r->ahead) ||
		    !fetch_any(r, heads[i]))
			break;
		r->ahead->n++;
		r->fetch.idx++;
		i++;
	}
}

void split_use(struct vring *r, const struct vring_chain *chains,
	       const uint32_t *lens, unsigned int n)
{
	uint8_t *ring = r->device + USED_RING;
	unsigned int mask = r->size - 1u, at = r->used.idx;

	for (unsigned int i = 0; i < n; i++)
		word64_set(ring + USED_ELEM_LEN * ((at + i) & mask),
			   chains[i].id | (uint64_t)lens[i] << 32);
	r->used.idx += (uint16_t)n;
	r->avail.idx += (uint16_t)n;
}

void split_prefetch_used(const struct vring *r)
{
	unsigned int at = r->used.idx & (r->size - 1u);

	prefetch_to_write(r->device + USED_IDX);
	prefetch_to_write(r->device + USED_RING + USED_ELEM_LEN * at);
}

/* Elements first, then the index (2.7.8.2): the driver reads it before them. */
void split_publish(struct vring *r)
{
	word16_release(r->device + USED_IDX, r->used.idx);
}

bool split_wants_call(struct vring *r, uint16_t old)
{
	if (r->event_idx)
		return event_passed(word16(used_event(r)), r->used.idx, old);
	return !(word16(r->driver + AVAIL_FLAGS) & AVAIL_NO_INTERRUPT);
}

/* With event indexes the flag means nothing (2.7.10): not asking is to leave an
 * index behind that is not passed before the counter has gone round. */
void split_arm(struct vring *r, bool on)
{
	if (r->event_idx)
		word16_set(avail_event(r), on ? r->avail.idx :
			   (uint16_t)(r->avail.idx - 1));
	else
		word16_set(r->device + USED_FLAGS, on ? 0 : USED_NO_NOTIFY);
}

static void log_used_at(struct vring *r, unsigned int off, unsigned int len)
{
	dma_logged(r->dma, r->log.used_gpa + off, len);
}

void split_log_event(struct vring *r)
{
	log_used_at(r, r->event_idx ? (unsigned int)(avail_event(r) -
						     r->device) : USED_FLAGS,
		    sizeof(uint16_t));
}

void split_log_used(struct vring *r)
{
	unsigned int n = r->n_unpublished;
	unsigned int at = (uint16_t)(r->used.idx - n) & (r->size - 1u);
	unsigned int n_here = min_of(n, r->size - at);

	if (!r->log.used)
		return;
	log_used_at(r, USED_RING + USED_ELEM_LEN * at, USED_ELEM_LEN * n_here);
	log_used_at(r, USED_RING, USED_ELEM_LEN * (n - n_here));
	log_used_at(r, USED_IDX, sizeof(uint16_t));
}
