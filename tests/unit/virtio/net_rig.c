/* SPDX-License-Identifier: Apache-2.0
 *
 * See net_rig.h.
 */
#include "net_rig.h"

#include <stdlib.h>
#include <string.h>

struct rig rig;

static void call(struct virtio_net *net, unsigned int vq)
{
	rig.n_calls[vq]++;
}

static void config_changed(struct virtio_net *net)
{
	rig.n_config_changed++;
}

static void broken(struct virtio_net *net, unsigned int vq)
{
	rig.n_broken++;
}

static void destroy(struct virtio_net *net)
{
}

static const struct virtio_net_ops ops = {
	.call = call,
	.config_changed = config_changed,
	.broken = broken,
	.destroy = destroy,
};

static unsigned int input(struct port_queue *queue, struct frame_batch *batch)
{
	unsigned int n = min_of(batch->n, rig.accept);

	for (unsigned int i = 0; i < n && rig.n_sent < RIG_SENT_MAX; i++) {
		struct rig_sent *sent = &rig.sent[rig.n_sent++];

		sent->frame = batch->frames[i];
		sent->len = frame_copy(&batch->frames[i], sent->bytes,
				       sizeof(sent->bytes));
	}
	return n;
}

int rig_setup_pairs(unsigned int n_pairs)
{
	static bool once;
	struct virtio_net_params params = {
		.name = "vnet", .mac = { 0x52, 0x54, 0, 1, 2, 3 },
		.mtu = 9000, .n_pairs = n_pairs, .features = UINT64_MAX,
	};

	if (!once && dma_init())
		return -1;
	once = true;
	memset(&rig, 0, sizeof(rig));
	rig.accept = BATCH_MAX;
	rig.now = 1000000000;
	rig.worker = worker_create("rig", 0);
	worker_set_now(rig.worker, rig.now);
	params.worker = rig.worker;
	guest_init(&rig.guest);
	virtio_net_init(&rig.net, &ops, &params);
	rig.net.dma = rig.guest.dma;
	/* As if attached. */
	rig.net.port.input = input;
	rig.net.port.sw = &rig;
	return 0;
}

int rig_setup(void **state)
{
	return rig_setup_pairs(RIG_PAIRS);
}

int rig_teardown(void **state)
{
	rig.net.port.ops->destroy(&rig.net.port);
	guest_fini(&rig.guest);
	worker_destroy(rig.worker);
	return 0;
}

static void need(bool ok)
{
	if (!ok)
		abort();
}

void rig_queue_start(unsigned int vq)
{
	driver_init(&rig.drv[vq], &rig.guest, vq, RIG_QUEUE,
		    rig.net.features);
	need(!virtio_net_queue_start(&rig.net, vq, &rig.drv[vq].config, NULL));
}

void rig_start(uint64_t features)
{
	virtio_net_reset(&rig.net);
	rig.n_sent = 0;
	need(!virtio_net_set_features(&rig.net, features));
	for (unsigned int vq = 0; vq < 4; vq++)
		if (vq < 2 || features & (F(MQ) | F(RSS)))
			rig_queue_start(vq);
	if (features & F(CTRL_VQ))
		rig_queue_start(virtio_net_ctrl_idx(&rig.net));
}

void rig_round(uint64_t ns)
{
	rig.now += ns;
	worker_set_now(rig.worker, rig.now);
	worker_round(rig.worker);
}

struct frame *rig_frame(const uint8_t *bytes, uint32_t len)
{
	static struct frame_batch batch;
	struct iovec iov = { (void *)bytes, len };
	struct frame *frame;

	batch.n = batch.n_segs = 0;
	frame = batch_next(&batch);
	need(!batch_fill(&batch, frame, &iov, 1, len));
	return frame;
}

bool rig_deliver(struct frame *frame, unsigned int pair)
{
	struct port_queue *queue = &rig.net.port.queues[pair];
	unsigned int n = rig.net.port.ops->rx_burst(queue, &frame, 1);

	rig.net.port.ops->rx_flush(queue);
	return n;
}

void rig_fill(uint8_t *to, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525 + 1013904223;
		to[i] = (uint8_t)(seed >> 24);
	}
}
