/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio-net as a PCI card, 1af4:1041: the device of virtio/net.h on the
 * transport of virtio_pci/virtio_pci.h, an Express endpoint.
 *
 * Tested with Linux 6.1's virtio_pci and virtio_net.
 *
 * Absent: the legacy interface, so it is no transitional device (VIRTIO 1.2,
 * 4.1.2) and drivers from before VIRTIO 1.0 do not find it.
 *
 * A ring that contradicts itself sets DEVICE_NEEDS_RESET and stays silent; the
 * others go on until the driver resets the device.
 *
 * Threads: one home worker.  Register accesses come between batches.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/eventfd.h"
#include "loop/worker.h"
#include "nic/model.h"
#include "virtio/net.h"
#include "virtio_pci/virtio_pci.h"

enum {
	TYPE_NET = 1,			/* 5.1.1 */
	CLASS_ETHERNET = 0x020000,
	QUEUE_SIZE_MAX = 256,		/* entries; what QEMU's has */
};

struct vnet {
	struct virtio_pci vp;		/* the guest's side */
	struct virtio_net net;		/* the device, and the switch's side */
	struct watch doorbell;		/* an eventfd for all of the queues' */
	struct poller resume;		/* queues go on once the memory map is
					 * as it is to be */
};

static struct vnet *vnet_of_vp(struct virtio_pci *vp)
{
	return container_of(vp, struct vnet, vp);
}

static struct vnet *vnet_of_net(struct virtio_net *net)
{
	return container_of(net, struct vnet, net);
}

/* ---- doorbells ---- */

/* Whose it was does not matter: the worker is awake now and polls all queues,
 * but the control queue, which is looked at. */
static bool doorbell_ready(struct watch *watch, uint32_t events)
{
	struct vnet *dev = container_of(watch, struct vnet, doorbell);

	if (!eventfd_consume(watch->fd))
		return false;
	virtio_net_kick(&dev->net, virtio_net_ctrl_idx(&dev->net));
	return true;
}

static void drop_doorbell(struct vnet *dev)
{
	virtio_pci_set_doorbell(&dev->vp, -1);
	if (dev->doorbell.fd < 0)
		return;
	worker_remove_watch(dev->net.worker, &dev->doorbell);
	fd_close(&dev->doorbell.fd);
}

/* Each client has an eventfd of its own: one that has gone may have kept it,
 * and take the next one's doorbells away by reading it.  Without one, doorbells
 * come as messages. */
static void power_on(struct virtio_pci *vp)
{
	struct vnet *dev = vnet_of_vp(vp);

	drop_doorbell(dev);
	dev->doorbell.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (dev->doorbell.fd < 0)
		return;
	if (worker_add_watch(dev->net.worker, &dev->doorbell) < 0)
		fd_close(&dev->doorbell.fd);
	virtio_pci_set_doorbell(vp, dev->doorbell.fd);
}

/* ---- the transport's side ---- */

static bool accept(struct virtio_pci *vp, uint64_t features)
{
	return !virtio_net_set_features(&vnet_of_vp(vp)->net, features);
}

static void config(struct virtio_pci *vp, void *image)
{
	virtio_net_config(&vnet_of_vp(vp)->net, image);
}

static int queue_start(struct virtio_pci *vp, unsigned int queue,
		       const struct vring_config *ring,
		       const struct vring_state *state)
{
	struct vnet *dev = vnet_of_vp(vp);

	dev->net.dma = vp->pci.dma;
	return virtio_net_queue_start(&dev->net, queue, ring, state);
}

static bool queue_stop(struct virtio_pci *vp, unsigned int queue,
		       struct vring_state *state)
{
	return virtio_net_queue_stop(&vnet_of_vp(vp)->net, queue, state);
}

static void notify(struct virtio_pci *vp, unsigned int queue)
{
	virtio_net_kick(&vnet_of_vp(vp)->net, queue);
}

static void reset(struct virtio_pci *vp)
{
	virtio_net_reset(&vnet_of_vp(vp)->net);
}

static void dma_changed(struct virtio_pci *vp)
{
	struct vnet *dev = vnet_of_vp(vp);

	virtio_pci_suspend(vp);
	if (!dev->resume.active)
		worker_add_poller(dev->net.worker, &dev->resume);
}

static bool resume(struct poller *poller)
{
	struct vnet *dev = container_of(poller, struct vnet, resume);

	worker_remove_poller(dev->net.worker, poller);
	virtio_pci_update(&dev->vp);
	return true;
}

static void destroy(struct virtio_pci *vp)
{
	struct vnet *dev = vnet_of_vp(vp);

	worker_remove_poller(dev->net.worker, &dev->resume);
	drop_doorbell(dev);
	virtio_pci_fini(vp);
	virtio_net_reset(&dev->net);
	free(dev);
}

static const struct virtio_pci_ops vp_ops = {
	.accept = accept,
	.config = config,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.notify = notify,
	.reset = reset,
	.power_on = power_on,
	.dma_changed = dma_changed,
	.destroy = destroy,
};

/* ---- the device's side ---- */

static void call(struct virtio_net *net, unsigned int vq)
{
	virtio_pci_call(&vnet_of_net(net)->vp, vq);
}

static void config_changed(struct virtio_net *net)
{
	virtio_pci_config_changed(&vnet_of_net(net)->vp);
}

static void broken(struct virtio_net *net, unsigned int vq)
{
	virtio_pci_needs_reset(&vnet_of_net(net)->vp);
}

/* The PCI side owns the object and frees it. */
static void net_destroy(struct virtio_net *net)
{
}

static const struct virtio_net_ops net_ops = {
	.call = call,
	.config_changed = config_changed,
	.broken = broken,
	.destroy = net_destroy,
};

/* ---- creation ---- */

static int create(const struct nic_params *params, struct nic *nic)
{
	struct vnet *dev = aligned_alloc(_Alignof(struct vnet), sizeof(*dev));
	struct virtio_net_params net = {
		.name = params->name,
		.worker = params->worker,
		.mtu = params->mtu,
		.n_pairs = params->n_pairs ? params->n_pairs : 1,
		.features = ~0ull,
	};
	struct virtio_pci_params vp = {
		.ops = &vp_ops, .type = TYPE_NET, .express = true,
		.class_code = CLASS_ETHERNET,
		.n_queues = 2 * net.n_pairs + 1, .queue_size = QUEUE_SIZE_MAX,
		.config_len = sizeof(struct virtio_net_config_space),
	};
	int err;

	if (!dev)
		return -ENOMEM;
	memset(dev, 0, sizeof(*dev));
	memcpy(net.mac, params->mac, sizeof(net.mac));
	virtio_net_init(&dev->net, &net_ops, &net);
	dev->resume.poll = resume;
	dev->doorbell = (struct watch){ .ready = doorbell_ready, .fd = -1 };
	vp.name = dev->net.port.name;
	vp.features = dev->net.offered;
	vp.refused = &dev->net.counters.refused;
	err = virtio_pci_init(&dev->vp, &vp);
	if (err) {
		free(dev);
		return err;
	}
	nic->pci = &dev->vp.pci;
	nic->port = &dev->net.port;
	return 0;
}

const struct nic_model vnet_model = {
	.name = "virtio-net",
	.what = "virtio network card (PCI 1af4:1041, VIRTIO 1.2)",
	.options = NIC_OPT_QUEUES | NIC_OPT_MTU,
	.create = create,
};
