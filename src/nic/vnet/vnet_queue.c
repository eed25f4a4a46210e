/* SPDX-License-Identifier: Apache-2.0
 *
 * When queues run.
 *
 * A queue runs while the driver is ready (DRIVER_OK), has enabled it, and the
 * function may reach memory.  When one of these ends, and when the memory map
 * changes, it stops and its position is kept; it goes on from there, and the
 * driver gets an interrupt in case one was due.  A queue whose memory has been
 * taken away waits until it is back: a VMM may unmap and map again what has
 * not changed at all.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "nic/vnet/vnet.h"

void vnet_queue_init(struct vnet_queue *queue)
{
	*queue = (struct vnet_queue) {
		.size = VNET_QUEUE_SIZE_MAX,
		.vector = VIRTIO_NO_VECTOR,
	};
}

static void start(struct vnet *dev, unsigned int idx)
{
	struct vnet_queue *queue = &dev->state->queue[idx];
	struct vring_config config = {
		.size = queue->size,
		.features = dev->net.features,
		.desc = queue->desc,
		.driver = queue->driver,
		.device = queue->device,
	};
	int err = -EINVAL;

	if (queue->size <= VNET_QUEUE_SIZE_MAX)
		err = virtio_net_queue_start(&dev->net, idx, &config,
					     queue->has_run ? &queue->at :
					     NULL);
	if (!err && queue->has_run)
		vnet_interrupt(dev, VIRTIO_ISR_QUEUE, queue->vector);
	else if (err && !(err == -EFAULT && queue->has_run))
		goto refused;
	/* What the driver had put there before is served now. */
	if (!err)
		virtio_net_kick(&dev->net, idx);
	return;

refused:
	queue->enabled = false;
	counter_add(&dev->net.counters.refused, 1);
	log_limited(LOG_WARN, "%s: virtqueue %u cannot be served: %s",
		    dev->pci.name, idx,
		    err == -EFAULT ? "it is not in the guest's memory" :
		    err == -EINVAL ? "its size or alignment cannot be" :
		    strerror(-err));
	vnet_needs_reset(dev);
}

static void stop(struct vnet *dev, unsigned int idx)
{
	struct vnet_queue *queue = &dev->state->queue[idx];

	if (virtio_net_queue_stop(&dev->net, idx, &queue->at))
		queue->has_run = true;
}

void vnet_queues_update(struct vnet *dev)
{
	bool on = (dev->state->status & VIRTIO_S_DRIVER_OK) &&
		pci_bus_master(&dev->pci) && dev->pci.dma;

	dev->net.dma = dev->pci.dma;
	for (unsigned int i = 0; i < dev->n_queues; i++) {
		bool runs = virtio_net_queue_started(&dev->net, i);

		if (on && dev->state->queue[i].enabled && !runs)
			start(dev, i);
		else if (!on && runs)
			stop(dev, i);
	}
}

void vnet_queues_suspend(struct vnet *dev)
{
	for (unsigned int i = 0; i < dev->n_queues; i++)
		stop(dev, i);
	if (!dev->resume.active)
		worker_add_poller(dev->net.worker, &dev->resume);
}

bool vnet_resume(struct poller *poller)
{
	struct vnet *dev = container_of(poller, struct vnet, resume);

	worker_remove_poller(dev->net.worker, poller);
	vnet_queues_update(dev);
	return true;
}

void vnet_queue_reset(struct vnet *dev, unsigned int idx)
{
	virtio_net_queue_stop(&dev->net, idx, NULL);
	vnet_queue_init(&dev->state->queue[idx]);
}
