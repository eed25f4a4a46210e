/* SPDX-License-Identifier: Apache-2.0
 *
 * Virtqueues: what is the same for split and packed ones; see ring.h.
 */
#include "virtio/ring_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"

bool vring_break(struct vring *ring, const char *why)
{
	log_limited(LOG_WARN, "%s: the driver broke its ring: %s", ring->name,
		    why);
	ring->broken = why;
	/* Nor does what has come before. */
	ring->ahead->n = ring->ahead->first;
	return false;
}

/* ---- chains ---- */

struct vring_chain *chain_begin(struct vring_ahead *ahead)
{
	struct vring_chain *chain = &ahead->chain[ahead->n];

	*chain = (struct vring_chain){ .iov = &ahead->iov[ahead->n_iov] };
	return chain;
}

/* Nothing of a bad chain is looked at any more, but its end has to be found. */
static void chain_spoil(struct vring_ahead *ahead, struct vring_chain *chain)
{
	ahead->n_iov = (unsigned int)(chain->iov - ahead->iov);
	chain->bad = true;
	chain->n_out = chain->n_in = 0;
	chain->out_len = chain->in_len = 0;
}

/* A buffer that lies in more than one range; how many pieces, or -errno. */
static int add_pieces(struct vring *ring, struct vring_chain *chain,
		      const struct desc *desc, uint32_t prot)
{
	unsigned int n = chain->n_out + chain->n_in;

	return dma_iov(ring->dma, desc->addr, desc->len, prot, chain->iov + n,
		       VRING_CHAIN_IOV_MAX - n);
}

bool chain_add(struct vring *ring, struct vring_chain *chain,
	       const struct desc *desc)
{
	bool in = desc->flags & DESC_WRITE && !ring->config.out_only;
	uint32_t prot = in ? DMA_WRITE : DMA_READ;
	uint32_t *total = in ? &chain->in_len : &chain->out_len;
	unsigned int at = chain->n_out + chain->n_in;
	void *hva;
	int n = 1;

	if (unlikely(!in && chain->in_len))
		return vring_break(ring, "a buffer to read follows one to write");
	if (unlikely(chain->bad || !desc->len))
		return true;
	if (unlikely(desc->len > UINT32_MAX - *total)) {
		chain_spoil(ring->ahead, chain);
		return true;
	}
	hva = dma_window_at(ring->dma, &ring->window, desc->addr, desc->len,
			    prot);
	if (likely(hva && at < VRING_CHAIN_IOV_MAX)) {
		chain->iov[at] = (struct iovec){ hva, desc->len };
	} else {
		n = add_pieces(ring, chain, desc, prot);
		if (n < 0) {
			chain_spoil(ring->ahead, chain);
			return true;
		}
	}
	if (in)
		chain->n_in += (uint16_t)n;
	else
		chain->n_out += (uint16_t)n;
	ring->ahead->n_iov += (unsigned int)n;
	*total += desc->len;
	return true;
}

bool chain_table(struct vring *ring, struct vring_chain *chain,
		 const struct desc *desc, uint8_t **table, unsigned int *n)
{
	if (!ring->indirect)
		return vring_break(ring, "an indirect table, not negotiated");
	if (!desc->len || desc->len % DESC_LEN ||
	    desc->len / DESC_LEN > ring->size)
		return vring_break(ring, "an indirect table of impossible size");
	*n = desc->len / DESC_LEN;
	*table = dma_window_at(ring->dma, &ring->window, desc->addr, desc->len,
			       DMA_READ);
	/* Unlike a buffer, a table has to lie in one range. */
	if (!*table)
		chain_spoil(ring->ahead, chain);
	return true;
}

/* ---- life ---- */

static int map(struct vring *ring)
{
	ring->window.len = 0;
	ring->ahead->first = ring->ahead->n = ring->ahead->n_iov = 0;
	ring->fetch = ring->avail;
	return ring->packed ? packed_map(ring) : split_map(ring);
}

int vring_start(struct vring *ring, const char *name, struct dma_space *dma,
		const struct vring_config *config,
		const struct vring_state *state)
{
	uint64_t features = config->features;
	int ret;

	memset(ring, 0, sizeof(*ring));
	ring->name = name;
	ring->config = *config;
	ring->packed = features & BIT64(VIRTIO_F_RING_PACKED);
	ring->event_idx = features & BIT64(VIRTIO_F_EVENT_IDX);
	ring->indirect = features & BIT64(VIRTIO_F_INDIRECT_DESC);
	ring->size = config->size;
	if (!ring->size || ring->size > VRING_SIZE_MAX ||
	    (!ring->packed && !is_power_of_two(ring->size)))
		return -EINVAL;
	ring->ahead = malloc(sizeof(*ring->ahead));
	if (!ring->ahead)
		return -ENOMEM;
	ring->dma = dma;
	ret = map(ring);
	if (ret < 0) {
		vring_stop(ring);
		return ret;
	}
	if (ring->packed)
		packed_begin(ring, state);
	else
		split_begin(ring, state);
	ring->fetch = ring->avail;
	vring_disarm(ring);
	return 0;
}

void vring_stop(struct vring *ring)
{
	free(ring->ahead);
	memset(ring, 0, sizeof(*ring));
}

struct vring_state vring_state(const struct vring *ring)
{
	return (struct vring_state) {
		.avail = (uint16_t)(ring->avail.idx | ring->avail.wrap << 15),
		.used = (uint16_t)(ring->used.idx | ring->used.wrap << 15),
	};
}

int vring_remap(struct vring *ring)
{
	int ret;

	if (!ring->dma)
		return 0;
	ret = map(ring);
	if (ret < 0)
		vring_stop(ring);
	return ret;
}

/* ---- the log ---- */

static void log_published(struct vring *ring)
{
	if (ring->packed)
		packed_log_used(ring);
	else
		split_log_used(ring);
}

static void log_event(struct vring *ring)
{
	if (ring->packed)
		packed_log_event(ring);
	else
		split_log_event(ring);
}

/* The first @len bytes that may be written of @chain have been. */
static void log_chain(struct vring *ring, const struct vring_chain *chain,
		      uint32_t len)
{
	const struct iovec *iov = &chain->iov[chain->n_out];

	for (; len; iov++) {
		size_t n = min_of((size_t)len, iov->iov_len);

		dma_logged_at(ring->dma, iov->iov_base, n);
		len -= (uint32_t)n;
	}
}

void vring_set_log(struct vring *ring, const struct vring_log *log)
{
	ring->log = *log;
	/* vring_start() has written it. */
	if (log->used)
		log_event(ring);
}

/* ---- use ---- */

/* What is at hand moves to the front. */
static void make_room(struct vring_ahead *ahead)
{
	unsigned int n = ahead->n - ahead->first;
	size_t shift;

	if (!ahead->first)
		return;
	shift = n ? (size_t)(ahead->chain[ahead->first].iov - ahead->iov) :
		ahead->n_iov;
	memmove(ahead->chain, &ahead->chain[ahead->first],
		n * sizeof(ahead->chain[0]));
	memmove(ahead->iov, ahead->iov + shift,
		(ahead->n_iov - shift) * sizeof(ahead->iov[0]));
	for (unsigned int i = 0; i < n; i++)
		ahead->chain[i].iov -= shift;
	ahead->first = 0;
	ahead->n = n;
	ahead->n_iov -= (unsigned int)shift;
}

unsigned int vring_fetch(struct vring *ring, unsigned int want)
{
	unsigned int n = vring_n_ahead(ring);

	if (unlikely(!vring_ready(ring)))
		return 0;
	if (n >= want)
		return n;
	make_room(ring->ahead);
	if (ring->packed)
		packed_fetch(ring, want - n);
	else
		split_fetch(ring, want - n);
	return ring->broken ? 0 : ring->ahead->n;
}

void vring_use_run(struct vring *ring, const uint32_t *lens, unsigned int n)
{
	const struct vring_chain *chains =
		&ring->ahead->chain[ring->ahead->first];

	if (unlikely(ring->log.buffers))
		for (unsigned int i = 0; i < n; i++)
			log_chain(ring, &chains[i], lens[i]);
	if (ring->packed)
		packed_use(ring, chains, lens, n);
	else
		split_use(ring, chains, lens, n);
	ring->ahead->first += n;
	ring->n_unpublished += (uint16_t)n;
}

void vring_prefetch_used(const struct vring *ring)
{
	if (ring->packed)
		packed_prefetch_used(ring);
	else
		split_prefetch_used(ring);
}

void vring_publish(struct vring *ring)
{
	if (!ring->n_unpublished)
		return;
	if (ring->packed)
		packed_publish(ring);
	else
		split_publish(ring);
	if (unlikely(ring->log.buffers | ring->log.used))
		log_published(ring);
	ring->n_unpublished = 0;
}

bool vring_wants_call(struct vring *ring)
{
	uint16_t old = ring->signalled;
	bool first = !ring->signalled_valid;

	if (!vring_ready(ring))
		return false;
	/* The driver writes what it wants, then looks for used buffers; we have
	 * published them and look at what it wants.  One of us must see the
	 * other's write. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	ring->signalled = ring->used.idx;
	ring->signalled_valid = true;
	if (first && ring->event_idx)
		return true;
	return ring->packed ? packed_wants_call(ring, old) :
		split_wants_call(ring, old);
}

void vring_arm(struct vring *ring)
{
	if (!vring_ready(ring))
		return;
	if (ring->packed)
		packed_arm(ring, true);
	else
		split_arm(ring, true);
	if (unlikely(ring->log.used))
		log_event(ring);
	/* Before the look for more that has to follow. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void vring_disarm(struct vring *ring)
{
	if (!vring_ready(ring))
		return;
	if (ring->packed)
		packed_arm(ring, false);
	else
		split_arm(ring, false);
	if (unlikely(ring->log.used))
		log_event(ring);
}

void vring_chain_read(const struct vring_chain *chain, uint32_t off, void *dst,
		      uint32_t len)
{
	const struct iovec *iov = chain->iov;
	uint8_t *to = dst;

	for (; len; iov++) {
		size_t skip = min_of((size_t)off, iov->iov_len);
		size_t n = min_of((size_t)len, iov->iov_len - skip);

		memcpy(to, (uint8_t *)iov->iov_base + skip, n);
		to += n;
		len -= (uint32_t)n;
		off -= (uint32_t)skip;
	}
}
