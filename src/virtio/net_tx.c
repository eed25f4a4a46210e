/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio-net, from the guest: chains become frames, and go back when the switch
 * has consumed them.
 *
 * A chain that is no frame (not in memory, header and frame contradict each
 * other, impossible length) is dropped, counted and given back, in its order:
 * at once if it comes before all frames of the burst, else with the next one.
 */
#include "virtio/net_internal.h"

#include <errno.h>
#include <string.h>

/* What has become of a chain. */
enum fate {
	FATE_FRAME,		/* of the batch */
	FATE_BAD_CHAIN,
	FATE_BAD_HDR,
	FATE_BAD_LEN,
	FATE_DISABLED,
};

/* The burst under way; tx_done() follows tx_burst() on the same thread. */
static _Thread_local struct {
	uint8_t fate[BATCH_MAX];	/* enum fate, of each chain */
	bool bad;			/* not all of them are frames */
	unsigned int n_used;		/* chains given back */
} burst;

/* Nothing is written into what is sent. */
static const uint32_t no_lens[BATCH_MAX];

static void count_bad(struct port_queue *queue,
		      struct virtio_net_counters *counters, enum fate fate)
{
	switch (fate) {
	case FATE_FRAME:
		break;
	case FATE_BAD_CHAIN:
		counter_add(&counters->tx_bad_chain, 1);
		break;
	case FATE_BAD_HDR:
		counter_add(&counters->tx_bad_hdr, 1);
		break;
	case FATE_BAD_LEN:
		counter_add(&queue->stats.tx_bad_len, 1);
		break;
	case FATE_DISABLED:
		counter_add(&counters->tx_disabled, 1);
		break;
	}
}

/* Chains up to @end go back. */
static void use_until(struct port_queue *queue, struct virtio_net_vq *vq,
		      unsigned int end)
{
	vring_use_run(&vq->ring, no_lens, end - burst.n_used);
	if (unlikely(burst.bad))
		for (unsigned int i = burst.n_used; i < end; i++)
			count_bad(queue, &vq->net->counters, burst.fate[i]);
	burst.n_used = end;
}

/* The header may share a buffer with the packet, or be spread over several. */
static enum fate make_frame(const struct virtio_net_vq *vq,
			    const struct vring_chain *chain,
			    struct frame_batch *batch, struct frame *frame)
{
	struct virtio_net *net = vq->net;
	struct vnet_hdr hdr;

	if (unlikely(chain->bad || chain->out_len < net->hdr_len))
		return FATE_BAD_CHAIN;
	if (likely(chain->iov->iov_len >= sizeof(hdr)))
		memcpy(&hdr, chain->iov->iov_base, sizeof(hdr));
	else
		vring_chain_read(chain, 0, &hdr, sizeof(hdr));
	switch (batch_fill_behind(batch, frame, chain->iov, chain->n_out,
				  net->hdr_len,
				  chain->out_len - net->hdr_len)) {
	case 0:
		break;
	case -EMSGSIZE:
		return FATE_BAD_LEN;
	default:
		return FATE_BAD_CHAIN;
	}
	/* What else there is in the flags a driver may not set, and we are to
	 * ignore (5.1.6.2): that its checksums are right is not its to say. */
	hdr.flags &= VNET_HDR_NEEDS_CSUM;
	if (hdr.flags | hdr.gso_type && vnet_hdr_get(&hdr, frame) < 0)
		return FATE_BAD_HDR;
	frame_pop_vlan(frame);
	if (unlikely(net->n_active > 1) && !net->rss.steer)
		net_flow_sent(net, frame, vq->idx / 2);
	return FATE_FRAME;
}

/* Ask for the headers of chains [from, end), as much as will be copied. */
static void prefetch_headers(const struct vring *ring, unsigned int from,
			     unsigned int end)
{
	for (unsigned int i = from; i < end; i++) {
		const struct vring_chain *chain = vring_chain(ring, i);
		const uint8_t *p;
		size_t len;

		if (!chain->n_out)
			continue;
		p = chain->iov->iov_base;
		len = min_of(chain->iov->iov_len, (size_t)FRAME_HDR_MAX);
		for (size_t off = 0; off < len; off += CACHE_LINE)
			prefetch_to_read(p + off);
		prefetch_to_read(p + len - 1);
	}
}

/* Nothing to send: a good moment to have buffers at hand for what is next to be
 * received, which then waits for fewer cache lines. */
static void fetch_to_receive(struct virtio_net_vq *tx)
{
	struct virtio_net_vq *rx = tx - 1;

	if (!vring_n_ahead(&rx->ring)) {
		vring_fetch(&rx->ring, BATCH_MAX);
		vq_check(rx);
	}
}

void net_tx_burst(struct port_queue *queue, struct frame_batch *batch,
		  bool *worked)
{
	struct virtio_net_vq *vq = tx_vq(queue);
	struct vring *ring = &vq->ring;
	unsigned int had = vring_n_ahead(ring), n, i;

	if (unlikely(vq->on_hold))
		return;
	n = vring_fetch(ring, BATCH_MAX);
	burst.n_used = 0;
	burst.bad = false;
	vq_check(vq);
	*worked |= vq->polled;
	if (!n) {
		fetch_to_receive(vq);
		return;
	}
	prefetch_headers(ring, had, n);
	n = min_of(n, (unsigned int)BATCH_MAX);
	for (i = 0; i < n; i++) {
		struct frame *frame = batch_next(batch);

		if (!frame)
			break;
		burst.fate[i] = !vq->enabled ? FATE_DISABLED :
			make_frame(vq, vring_chain(ring, i - burst.n_used),
				   batch, frame);
		if (likely(burst.fate[i] == FATE_FRAME)) {
			frame->cookie = i;
			batch_commit(batch, frame);
			continue;
		}
		burst.bad = true;
		if (!batch->n)
			use_until(queue, vq, i + 1);
	}
	if (burst.n_used) {
		*worked = true;
		vq_flush(vq);
	}
}

void net_tx_done(struct port_queue *queue, const struct frame_batch *batch,
		 unsigned int n)
{
	struct virtio_net_vq *vq = tx_vq(queue);

	if (!n)
		return;
	use_until(queue, vq, batch->frames[n - 1].cookie + 1);
	vq_flush(vq);
}

void net_tx_arm(struct port_queue *queue)
{
	vring_arm(&tx_vq(queue)->ring);
}

void net_tx_disarm(struct port_queue *queue)
{
	vring_disarm(&tx_vq(queue)->ring);
}
