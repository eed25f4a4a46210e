/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio-net, to the guest: the one copy, from where the sender's payload lies
 * into the receiver's buffers.
 *
 * Buffers are taken in order.  A frame goes into one chain or, with MRG_RXBUF,
 * into as many as it needs; if there are not enough, none is used.
 */
#include "virtio/net_internal.h"

#include <string.h>

enum {
	/* How far ahead of the copy buffers and payload are asked for: so many
	 * bytes, in so many frames. */
	PREFETCH_AHEAD_LEN = 3072,
	PREFETCH_AHEAD_MIN = 2,
	PREFETCH_AHEAD_MAX = 8,
	/* And how much of a frame: longer ones the hardware sees coming. */
	PREFETCH_LEN = 1536,
};

/* A place in the buffers of a frame. */
struct sink {
	const struct vring_chain *chain;
	unsigned int i_iov;	/* piece of it */
	size_t off;		/* in that piece */
};

static void sink_put(struct sink *sink, const void *src, size_t len)
{
	const uint8_t *from = src;

	while (len) {
		const struct vring_chain *chain = sink->chain;
		const struct iovec *iov;
		size_t n;

		if (sink->i_iov == (unsigned int)chain->n_out + chain->n_in) {
			sink->chain++;
			sink->i_iov = sink->chain->n_out;
			sink->off = 0;
			continue;
		}
		iov = &chain->iov[sink->i_iov];
		n = min_of(len, iov->iov_len - sink->off);
		memmove((uint8_t *)iov->iov_base + sink->off, from, n);
		from += n;
		len -= n;
		sink->off += n;
		if (sink->off == iov->iov_len) {
			sink->i_iov++;
			sink->off = 0;
		}
	}
}

enum gather {
	GATHER_OK,		/* the chains hold the frame */
	GATHER_BAD,		/* the last one is bad */
	GATHER_NONE,		/* not enough buffers yet */
	GATHER_NO_FIT,		/* the frame is too long for what there is */
};

/* How many of the chains at hand a frame of @len bytes takes. */
static enum gather gather(const struct virtio_net_vq *vq, uint32_t len,
			  unsigned int *n_chains)
{
	unsigned int n = vring_n_ahead(&vq->ring);
	uint64_t room = 0;

	for (*n_chains = 0; *n_chains < n;) {
		const struct vring_chain *chain = vring_chain(&vq->ring,
							      (*n_chains)++);

		if (unlikely(chain->bad || !chain->in_len))
			return GATHER_BAD;
		room += chain->in_len;
		if (likely(room >= len))
			return GATHER_OK;
		if (!vq->net->mergeable)
			return GATHER_NO_FIT;
	}
	return n == VRING_AHEAD_MAX ? GATHER_NO_FIT : GATHER_NONE;
}

/* The same, fetching more if what is at hand is too little; chains that are bad
 * are given back on the way. */
static enum gather gather_frame(struct virtio_net_vq *vq, uint32_t len,
				unsigned int *n_chains)
{
	for (;;) {
		enum gather ret = gather(vq, len, n_chains);
		unsigned int had = vring_n_ahead(&vq->ring);

		if (ret == GATHER_BAD) {
			while ((*n_chains)--)
				vring_use(&vq->ring, 0);
			counter_add(&vq->net->counters.rx_bad_chain, 1);
		} else if (likely(ret != GATHER_NONE) ||
			   vring_fetch(&vq->ring, VRING_AHEAD_MAX) <= had) {
			return ret;
		}
	}
}

static void make_header(const struct virtio_net *net,
			const struct frame *frame, unsigned int n_buffers,
			struct virtio_net_hdr *hdr)
{
	enum virtio_net_hash_report report;

	vnet_hdr_put(frame, &hdr->vnet);
	/* Without GUEST_CSUM nothing is said of checksums (5.1.6.4.1). */
	if (unlikely(!net->port.caps.csum))
		hdr->vnet.flags = 0;
	hdr->n_buffers = le16_of((uint16_t)n_buffers);
	if (likely(net->hdr_len < VIRTIO_NET_HDR_HASH_LEN))
		return;
	hdr->hash = le32_of(net_hash(net, frame, &report));
	hdr->hash_report = le16_of((uint16_t)report);
	hdr->padding = le16_of(0);
}

/* Into one buffer, at @to, where there is room.  A guest may send from where
 * another of its NICs receives: memmove. */
static void copy_whole(const struct virtio_net *net, const struct frame *frame,
		       uint8_t *to)
{
	struct virtio_net_hdr hdr;

	make_header(net, frame, 1, &hdr);
	/* The usual length is known to the compiler. */
	if (likely(net->hdr_len == VIRTIO_NET_HDR_LEN))
		memcpy(to, &hdr, VIRTIO_NET_HDR_LEN);
	else
		memcpy(to, &hdr, net->hdr_len);
	to += net->hdr_len;
	memcpy(to, frame->hdr, frame->hdr_len);
	to += frame->hdr_len;
	for (unsigned int i = 0; i < frame->n_segs; i++) {
		memmove(to, frame->segs[i].iov_base, frame->segs[i].iov_len);
		to += frame->segs[i].iov_len;
	}
}

/* Into the chains gathered, piece by piece; there is room. */
static void copy_spread(const struct virtio_net *net,
			const struct frame *frame,
			const struct vring_chain *chain, unsigned int n_chains)
{
	struct sink sink = { chain, chain->n_out, 0 };
	struct virtio_net_hdr hdr;

	make_header(net, frame, n_chains, &hdr);
	sink_put(&sink, &hdr, net->hdr_len);
	sink_put(&sink, frame->hdr, frame->hdr_len);
	for (unsigned int i = 0; i < frame->n_segs; i++)
		sink_put(&sink, frame->segs[i].iov_base,
			 frame->segs[i].iov_len);
}

/* Does the driver let it pass? */
static bool wanted(struct virtio_net *net, const struct frame *frame)
{
	if (likely(!net->filters || net_wants(net, frame)))
		return true;
	counter_add(&net->counters.rx_filtered, 1);
	return false;
}

/* A frame into as many chains as it needs; false: no room. */
static bool receive_spread(struct virtio_net_vq *vq, const struct frame *frame)
{
	struct virtio_net *net = vq->net;
	uint32_t left = net->hdr_len + frame->len;
	unsigned int n_chains;

	switch (gather_frame(vq, left, &n_chains)) {
	case GATHER_OK:
		break;
	case GATHER_NO_FIT:
		counter_add(&net->counters.rx_no_fit, 1);
		return true;
	default:
		return false;
	}
	copy_spread(net, frame, vring_chain(&vq->ring, 0), n_chains);
	while (n_chains--) {
		uint32_t n = min_of(left, vring_chain(&vq->ring, 0)->in_len);

		vring_use(&vq->ring, n);
		left -= n;
	}
	return true;
}

static void prefetch_lines(const uint8_t *p, size_t len)
{
	for (size_t off = 0; off < len; off += CACHE_LINE)
		prefetch_to_read(p + off);
}

static void prefetch_lines_to_write(const uint8_t *p, size_t len)
{
	for (size_t off = 0; off < len; off += CACHE_LINE)
		prefetch_to_write(p + off);
}

/* Ask for the payload of a frame, and for the buffer where it will likely
 * go. */
static void prefetch(const struct virtio_net *net, const struct frame *frame,
		     const struct vring_chain *chain)
{
	const struct iovec *to = &chain->iov[chain->n_out];
	uint32_t len = min_of(frame->len + net->hdr_len,
			      (uint32_t)PREFETCH_LEN);

	if (chain->n_in)
		prefetch_lines_to_write(to->iov_base,
					min_of(to->iov_len, (size_t)len));
	if (frame->n_segs)
		prefetch_lines(frame->segs[0].iov_base,
			       min_of(frame->segs[0].iov_len, (size_t)len));
}

/* How many frames of @len bytes to be ahead of the copy.  The frames of a burst
 * are mostly alike. */
static unsigned int prefetch_distance(uint32_t len)
{
	unsigned int n = PREFETCH_AHEAD_LEN / max_of(len, 1u);

	return max_of(min_of(n, (unsigned int)PREFETCH_AHEAD_MAX),
		      (unsigned int)PREFETCH_AHEAD_MIN);
}

/* Frames into the next buffers, each into one, as most go: as many as fit so,
 * and are wanted. */
static unsigned int receive_whole(struct virtio_net_vq *vq,
				  struct frame *const *frames, unsigned int n)
{
	const struct vring_chain *chains = vring_chain(&vq->ring, 0);
	struct virtio_net *net = vq->net;
	unsigned int ahead = prefetch_distance(frames[0]->len), i;
	uint32_t lens[BATCH_MAX];

	n = min_of(n, vring_n_ahead(&vq->ring));
	for (i = 0; i < min_of(n, ahead); i++)
		prefetch(net, frames[i], &chains[i]);
	for (i = 0; i < n; i++) {
		const struct iovec *iov = &chains[i].iov[chains[i].n_out];

		if (likely(i + ahead < n))
			prefetch(net, frames[i + ahead], &chains[i + ahead]);
		lens[i] = net->hdr_len + frames[i]->len;
		if (unlikely(!chains[i].n_in || iov->iov_len < lens[i] ||
			     (net->filters && !net_wants(net, frames[i]))))
			break;
		copy_whole(net, frames[i], iov->iov_base);
	}
	vring_use_run(&vq->ring, lens, i);
	return i;
}

unsigned int net_rx_burst(struct port_queue *queue,
			  struct frame *const *frames, unsigned int n)
{
	struct virtio_net_vq *vq = rx_vq(queue);
	unsigned int i = 0;

	if (!vring_ready(&vq->ring) || !vq->enabled) {
		counter_add(&queue->stats.rx_link_down, n);
		return n;
	}
	vring_fetch(&vq->ring, n);
	vring_prefetch_used(&vq->ring);
	while (i < n) {
		i += receive_whole(vq, &frames[i], n - i);
		if (likely(i == n) || (wanted(vq->net, frames[i]) &&
				       !receive_spread(vq, frames[i])))
			break;
		i++;
	}
	vq_check(vq);
	return i;
}

void net_rx_flush(struct port_queue *queue)
{
	vq_flush(rx_vq(queue));
}
