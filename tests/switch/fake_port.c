/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_port.h"

#include <stdlib.h>
#include <string.h>

static struct fake_port *fake_of(struct port *port)
{
	return container_of(port, struct fake_port, port);
}

static void keep(struct fake_frame *to, const struct frame *frame)
{
	size_t len = frame->hdr_len;

	/* No more and no less than it says. */
	for (unsigned int i = 0; i < frame->n_segs; i++)
		len += frame->segs[i].iov_len;
	if (len != frame->len)
		abort();
	to->len = frame->len;
	/* One byte more would be seen by AddressSanitizer. */
	to->data = malloc(frame->len);
	if (!to->data || frame_copy(frame, to->data, frame->len) != frame->len)
		abort();
	to->flags = frame->flags;
	to->gso = frame->gso;
	to->gso_size = frame->gso_size;
	to->gso_hdr_len = frame->gso_hdr_len;
	to->csum_start = frame->csum_start;
	to->csum_offset = frame->csum_offset;
	to->vlan_tci = frame->vlan_tci;
}

static int fill(struct fake_port *fake, struct frame_batch *batch,
		struct frame *frame, const struct fake_frame *from)
{
	struct iovec iov[FRAME_SEGS_MAX];
	unsigned int n = 0;

	for (uint32_t off = 0; off < from->len; n++) {
		uint32_t len = min_of(from->len - off, fake->piece_len);

		if (n == FRAME_SEGS_MAX)
			return -1;
		iov[n] = (struct iovec){ from->data + off, len };
		off += len;
	}
	return batch_fill(batch, frame, iov, n, from->len);
}

static void fake_tx_burst(struct port_queue *queue, struct frame_batch *batch,
			  bool *worked)
{
	struct fake_port *fake = fake_of(queue->port);
	unsigned int i = fake->n_tx;
	struct frame *frame;

	for (; i < fake->n_to_send && (frame = batch_next(batch)); i++) {
		const struct fake_frame *from = &fake->tx[i];

		if (fill(fake, batch, frame, from) < 0)
			abort();
		frame->flags = from->flags;
		frame->gso = from->gso;
		frame->gso_size = from->gso_size;
		frame->gso_hdr_len = from->gso_hdr_len;
		frame->csum_start = from->csum_start;
		frame->csum_offset = from->csum_offset;
		frame->vlan_tci = from->vlan_tci;
		batch_commit(batch, frame);
	}
}

static void fake_tx_done(struct port_queue *queue,
			 const struct frame_batch *batch, unsigned int n)
{
	fake_of(queue->port)->n_tx += n;
}

static unsigned int fake_rx_burst(struct port_queue *queue,
				  struct frame *const *frames, unsigned int n)
{
	struct fake_port *fake = fake_of(queue->port);
	unsigned int i;

	fake->n_bursts++;
	for (i = 0; i < n && fake->rx_room && fake->n_rx < FAKE_FRAMES_MAX;
	     i++) {
		keep(&fake->rx[fake->n_rx++], frames[i]);
		fake->n_unflushed++;
		if (fake->rx_room < FAKE_UNLIMITED)
			fake->rx_room--;
	}
	return i;
}

static void fake_rx_flush(struct port_queue *queue)
{
	struct fake_port *fake = fake_of(queue->port);

	fake->n_flushes++;
	fake->n_unflushed = 0;
}

static void fake_destroy(struct port *port)
{
	fake_port_free(fake_of(port));
}

static const struct port_ops fake_ops = {
	.kind = "fake",
	.tx_burst = fake_tx_burst,
	.tx_done = fake_tx_done,
	.rx_burst = fake_rx_burst,
	.rx_flush = fake_rx_flush,
	.destroy = fake_destroy,
};

struct fake_port *fake_port_new(const char *name, struct worker *worker)
{
	struct fake_port *fake = calloc(1, sizeof(*fake));

	if (!fake)
		abort();
	port_init(&fake->port, &fake_ops, name, worker, 1);
	fake->port.caps = (struct port_caps) {
		.max_len = FRAME_LEN_MAX,
		.gso = FRAME_GSO_TCP4 | FRAME_GSO_TCP6 | FRAME_GSO_UDP |
			FRAME_GSO_ECN,
		.csum = true,
		.vlan = true,
	};
	fake->rx_room = FAKE_UNLIMITED;
	fake->piece_len = 4096;
	return fake;
}

void fake_port_free(struct fake_port *fake)
{
	fake_clear_rx(fake);
	for (unsigned int i = 0; i < fake->n_to_send; i++)
		free(fake->tx[i].data);
	free(fake);
}

struct fake_frame *fake_send(struct fake_port *fake,
			     const struct packet *packet)
{
	struct fake_frame *frame;

	if (fake->n_to_send == FAKE_FRAMES_MAX)
		abort();
	frame = &fake->tx[fake->n_to_send++];
	memset(frame, 0, sizeof(*frame));
	frame->len = packet->len;
	frame->data = malloc(packet->len);
	if (!frame->data)
		abort();
	memcpy(frame->data, packet->data, packet->len);
	return frame;
}

void fake_clear_rx(struct fake_port *fake)
{
	for (unsigned int i = 0; i < fake->n_rx; i++)
		free(fake->rx[i].data);
	fake->n_rx = 0;
}
