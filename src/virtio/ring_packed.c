/* SPDX-License-Identifier: Apache-2.0
 *
 * Packed virtqueues (VIRTIO 1.2, 2.8).
 *
 *   descriptor ring    16 bytes each: address, length, id, flags; used ones
 *                      are written over them
 *   driver, device     event suppression: off_wrap, flags; 2 bytes each
 *
 * A descriptor is available if its AVAIL flag is, and its USED flag is not, the
 * ring's wrap counter, which turns over each time round; it is used if both
 * are.
 */
#include "virtio/ring_internal.h"

#include <errno.h>

enum {
	DESC_WORD2 = 8,		/* length, id, flags */
	DESC_ID = 12,
	DESC_FLAGS = 14,

	EVENT_OFF_WRAP = 0,
	EVENT_FLAGS = 2,
	EVENT_LEN = 4,

	EVENT_ENABLE = 0,	/* always tell */
	EVENT_DISABLE = 1,	/* never */
	EVENT_DESC = 2,		/* when that descriptor is passed */

	POS_WRAP = 1 << 15,
};

static uint8_t *slot(const struct vring *r, uint16_t idx)
{
	return r->desc + idx * DESC_LEN;
}

int packed_map(struct vring *r)
{
	const struct vring_config *c = &r->config;

	if (c->desc % DESC_LEN || c->driver % 4 || c->device % 4)
		return -EINVAL;
	r->desc = dma_at(r->dma, c->desc, (uint64_t)r->size * DESC_LEN,
			 DMA_READ | DMA_WRITE);
	r->driver = dma_at(r->dma, c->driver, EVENT_LEN, DMA_READ);
	r->device = dma_at(r->dma, c->device, EVENT_LEN,
			   DMA_READ | DMA_WRITE);
	return r->desc && r->driver && r->device ? 0 : -EFAULT;
}

static struct vring_pos pos_of(const struct vring *r, uint16_t raw)
{
	return (struct vring_pos) {
		/* The transport's number: it may come from a hostile peer. */
		.idx = (uint16_t)((raw & ~POS_WRAP) % r->size),
		.wrap = raw & POS_WRAP,
	};
}

void packed_begin(struct vring *r, const struct vring_state *state)
{
	r->avail = pos_of(r, state ? state->avail : POS_WRAP);
	r->used = pos_of(r, state ? state->used : POS_WRAP);
}

static void step(const struct vring *r, struct vring_pos *pos, uint16_t n)
{
	uint32_t idx = (uint32_t)pos->idx + n;

	if (idx >= r->size) {
		idx -= r->size;
		pos->wrap = !pos->wrap;
	}
	pos->idx = (uint16_t)idx;
}

static bool is_avail(uint16_t flags, bool wrap)
{
	return !!(flags & DESC_AVAIL) == wrap && !!(flags & DESC_USED) != wrap;
}

/* From the two halves of a descriptor. */
static struct desc desc_of(uint64_t addr, uint64_t rest, uint16_t flags)
{
	return (struct desc) {
		.addr = addr,
		.len = (uint32_t)rest,
		.flags = flags,
		.next = (uint16_t)(rest >> 32),
	};
}

/* The flags are @flags, read before: they say that the rest is valid. */
static struct desc read_desc(const uint8_t *p, uint16_t flags)
{
	return desc_of(word64(p), word64(p + DESC_WORD2), flags);
}

/* Tables have no flags but WRITE, and no ids: all of their descriptors count,
 * whatever else there is in them (2.8.8). */
static bool fetch_table(struct vring *r, struct vring_chain *chain,
			const struct desc *head)
{
	uint8_t *table;
	unsigned int n;

	if (!chain_table(r, chain, head, &table, &n))
		return false;
	for (unsigned int i = 0; table && i < n; i++) {
		const uint8_t *p = table + i * DESC_LEN;
		uint64_t rest = word64(p + DESC_WORD2);
		struct desc desc = desc_of(word64(p), rest,
					   (uint16_t)(rest >> 48) &
					   DESC_WRITE);

		if (!chain_add(r, chain, &desc))
			return false;
	}
	return true;
}

/* The chain that begins with @flags at r->fetch; its id is the last one's. */
static bool fetch_chain(struct vring *r, uint16_t flags)
{
	struct vring_chain *chain = chain_begin(r->ahead);
	struct vring_pos pos = r->fetch;

	for (;;) {
		struct desc desc = read_desc(slot(r, pos.idx), flags);

		chain->n_slots++;
		chain->id = desc.next;
		step(r, &pos, 1);
		if (unlikely(flags & DESC_INDIRECT)) {
			/* Not as in a split ring: drivers must not (2.8.19). */
			if (chain->n_slots > 1 || flags & DESC_NEXT)
				return vring_break(r, "an indirect table in a chain");
			if (!fetch_table(r, chain, &desc))
				return false;
		} else if (!chain_add(r, chain, &desc)) {
			return false;
		}
		if (likely(!(flags & DESC_NEXT)))
			break;
		if (chain->n_slots == r->size)
			return vring_break(r, "a chain longer than the ring");
		flags = word16(slot(r, pos.idx) + DESC_FLAGS);
	}
	r->fetch = pos;
	return true;
}

/* Slots from the first one not used up to the next to be fetched. */
static unsigned int n_fetched(const struct vring *r)
{
	if (r->fetch.wrap == r->avail.wrap)
		return (unsigned int)(r->fetch.idx - r->avail.idx);
	return (unsigned int)(r->fetch.idx + r->size - r->avail.idx);
}

/* Chains of one buffer each, as many as come next, at most @n. */
static unsigned int fetch_ones(struct vring *r, unsigned int n)
{
	struct vring_ahead *ahead = r->ahead;
	struct vring_chain *chain = &ahead->chain[ahead->n];
	struct iovec *iov = &ahead->iov[ahead->n_iov];
	const struct dma_window window = r->window;
	const bool out_only = r->config.out_only;
	struct vring_pos pos = r->fetch;
	unsigned int i;

	n = min_of(min_of(n, chain_ones_max(ahead)), r->size - n_fetched(r));
	for (i = 0; i < n; i++) {
		const uint8_t *p = slot(r, pos.idx);
		/* Acquire: what the flags vouch for is read after them. */
		uint16_t flags = word16_acquire(p + DESC_FLAGS);
		struct desc desc;

		if (!is_avail(flags, pos.wrap))
			break;
		desc = read_desc(p, flags);
		if (!chain_one(&window, out_only, &desc, desc.next, &chain[i],
			       &iov[i]))
			break;
		step(r, &pos, 1);
	}
	ahead->n += i;
	ahead->n_iov += i;
	r->fetch = pos;
	return i;
}

/* The next chain, of whatever kind; false: there is none. */
static bool fetch_any(struct vring *r)
{
	unsigned int before = n_fetched(r);
	uint16_t flags;

	if (before >= r->size)
		return false;
	flags = word16_acquire(slot(r, r->fetch.idx) + DESC_FLAGS);
	if (!is_avail(flags, r->fetch.wrap) || !fetch_chain(r, flags))
		return false;
	if (before + r->ahead->chain[r->ahead->n].n_slots > r->size)
		return vring_break(r, "chains that overlap in the ring");
	r->ahead->n++;
	return true;
}

void packed_fetch(struct vring *r, unsigned int n)
{
	for (;;) {
		n -= fetch_ones(r, n);
		if (!n || !chain_room(r->ahead) || !fetch_any(r))
			return;
		n--;
	}
}

/* The first one's flags stay back until the batch is published. */
void packed_use(struct vring *r, const struct vring_chain *chains,
		const uint32_t *lens, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		uint8_t *p = slot(r, r->used.idx);
		uint16_t flags = r->used.wrap ? DESC_AVAIL | DESC_USED : 0;

		if (lens[i])
			flags |= DESC_WRITE;
		if (!r->n_unpublished && !i) {
			r->first = r->used;
			r->first_flags = flags;
			__atomic_store_n((uint32_t *)(p + DESC_WORD2), lens[i],
					 __ATOMIC_RELAXED);
			word16_set(p + DESC_ID, chains[i].id);
		} else {
			word64_set(p + DESC_WORD2,
				   lens[i] | (uint64_t)chains[i].id << 32 |
				   (uint64_t)flags << 48);
		}
		step(r, &r->used, chains[i].n_slots);
		step(r, &r->avail, chains[i].n_slots);
	}
}

void packed_prefetch_used(const struct vring *r)
{
	prefetch_to_write(slot(r, r->used.idx));
}

/* The driver goes by order: it sees none of them before the first. */
void packed_publish(struct vring *r)
{
	word16_release(slot(r, r->first.idx) + DESC_FLAGS, r->first_flags);
}

bool packed_wants_call(struct vring *r, uint16_t old)
{
	uint32_t both = __atomic_load_n((const uint32_t *)r->driver,
					__ATOMIC_RELAXED);
	uint16_t flags = (uint16_t)(both >> 16) & 3, event = (uint16_t)both;

	if (flags != EVENT_DESC || !r->event_idx)
		return flags != EVENT_DISABLE;
	/* As if positions counted freely: those of the last time round lie one
	 * size back. */
	if (!!(event & POS_WRAP) != r->used.wrap)
		event = (uint16_t)((event & ~POS_WRAP) - r->size);
	else
		event &= (uint16_t)~POS_WRAP;
	if (r->used.idx <= old)
		old = (uint16_t)(old - r->size);
	return event_passed(event, r->used.idx, old);
}

/* Kicks for every buffer while asleep: the first one wakes, and that ends it.
 * Asking for one descriptor would say the same at more cost. */
void packed_arm(struct vring *r, bool on)
{
	word16_set(r->device + EVENT_FLAGS, on ? EVENT_ENABLE : EVENT_DISABLE);
}

void packed_log_event(struct vring *r)
{
	dma_logged(r->dma, r->log.used_gpa + EVENT_FLAGS, sizeof(uint16_t));
}

static void log_slots(struct vring *r, uint16_t from, unsigned int n)
{
	dma_logged(r->dma, r->config.desc + from * DESC_LEN, n * DESC_LEN);
}

/* All slots that have been gone past, though only the first of each chain has
 * been written.  A driver that makes them available again before it is told may
 * have had more than once round used up: then there is no end to go by. */
void packed_log_used(struct vring *r)
{
	uint16_t from = r->first.idx, to = r->used.idx;

	if (!r->log.buffers)
		return;
	if (r->first.wrap == r->used.wrap && from <= to) {
		log_slots(r, from, (unsigned int)(to - from));
	} else {
		log_slots(r, from, (unsigned int)(r->size - from));
		log_slots(r, 0, to);
	}
}
