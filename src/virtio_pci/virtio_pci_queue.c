/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio on PCI: when queues run; see virtio_pci.h.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "mem/dma.h"
#include "virtio_pci/virtio_pci_internal.h"

struct virtio_pci_queue *vpci_queue_selected(struct virtio_pci *vp)
{
	unsigned int idx = vp->state->queue_select;

	return idx < vp->params.n_queues ? &vp->state->queue[idx] : NULL;
}

static int try_start(struct virtio_pci *vp, unsigned int idx)
{
	const struct virtio_pci_queue *queue = &vp->state->queue[idx];
	const struct vring_config config = {
		.size = queue->size,
		.features = vp->state->features,
		.desc = queue->desc,
		.driver = queue->driver,
		.device = queue->device,
	};

	if (queue->size > vp->params.queue_size)
		return -EINVAL;
	return vp->params.ops->queue_start(vp, idx, &config, queue->has_run ?
					   &queue->at : NULL);
}

static void start(struct virtio_pci *vp, unsigned int idx)
{
	struct virtio_pci_queue *queue = &vp->state->queue[idx];
	int err = try_start(vp, idx);

	if (!err) {
		vp->runs[idx] = true;
		if (queue->has_run)
			virtio_pci_call(vp, idx);
		/* What the driver had put there before is served now. */
		vp->params.ops->notify(vp, idx);
		return;
	}
	if (err == -EFAULT && queue->has_run)
		return;		/* its memory may come back */
	queue->enabled = false;
	vpci_refuse(vp);
	log_limited(LOG_WARN, "%s: virtqueue %u cannot be served: %s",
		    vp->pci.name, idx,
		    err == -EFAULT ? "it is not in the guest's memory" :
		    err == -EINVAL ? "its size or alignment cannot be" :
		    strerror(-err));
	virtio_pci_needs_reset(vp);
}

static void stop(struct virtio_pci *vp, unsigned int idx)
{
	struct virtio_pci_queue *queue = &vp->state->queue[idx];

	if (!vp->runs[idx])
		return;
	if (vp->params.ops->queue_stop(vp, idx, &queue->at))
		queue->has_run = true;
	vp->runs[idx] = false;
}

/* A client that comes back gives its memory last. */
static bool has_memory(const struct virtio_pci *vp)
{
	struct dma_usage usage = { .n_ranges = 0 };

	if (vp->pci.dma)
		dma_space_usage(vp->pci.dma, &usage);
	return usage.n_ranges;
}

void virtio_pci_update(struct virtio_pci *vp)
{
	bool on = (vp->state->status & VIRTIO_S_DRIVER_OK) &&
		pci_bus_master(&vp->pci) && has_memory(vp);

	for (unsigned int i = 0; i < vp->params.n_queues; i++) {
		if (!on)
			stop(vp, i);
		else if (vp->state->queue[i].enabled && !vp->runs[i])
			start(vp, i);
	}
}

void virtio_pci_suspend(struct virtio_pci *vp)
{
	for (unsigned int i = 0; i < vp->params.n_queues; i++)
		stop(vp, i);
}

void vpci_queue_reset(struct virtio_pci *vp, unsigned int idx)
{
	stop(vp, idx);
	vp->state->queue[idx] = (struct virtio_pci_queue) {
		.size = vp->params.queue_size,
		.vector = NO_VECTOR,
	};
}

void vpci_queue_notify(struct virtio_pci *vp, unsigned int idx)
{
	if (idx < vp->params.n_queues && vp->runs[idx])
		vp->params.ops->notify(vp, idx);
	else
		vpci_refuse(vp);
}
