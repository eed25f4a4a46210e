/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio-net as a PCI card: identity, capabilities, creation; the tables by
 * which a host (struct pci_dev_ops) and the device (struct virtio_net_ops)
 * reach the rest.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/eventfd.h"
#include "nic/vnet/vnet.h"

/* 4.1.2.1: 0x1040 and the device's number; revision 1 and a subsystem from
 * 0x40 on keep legacy drivers away. */
static const struct pci_ident ident = {
	.vendor = 0x1af4, .device = 0x1041,
	.subsys_vendor = 0x1af4, .subsys = 0x1100,
	.class_code = 0x020000, .revision = 1, .intx_pin = 1,
};

enum { PM_VERSION = 3 };	/* of the power management capability */

/* Reading the ISR status has an effect: not prefetchable. */
static const struct pci_bar bars[PCI_N_BARS + 1] = {
	[VNET_BAR_REGS] = { PCI_BAR_MEM32, false, VNET_REGS_SIZE },
	[VNET_BAR_MSIX] = { PCI_BAR_MEM32, false, VNET_MSIX_SIZE },
};

static const struct pci_msix_place msix_place = {
	.bar = VNET_BAR_MSIX, .table_off = VNET_MSIX_TABLE,
	.pba_bar = VNET_BAR_MSIX, .pba_off = VNET_MSIX_PBA,
};

static const struct pci_express express = {
	.type = PCI_EXP_TYPE_ENDPOINT,
	.speed = PCI_EXP_LNKSTA_CLS_2_5GB, .width = 1,
	.flr = true,
};

/* ---- the host's side ---- */

static uint64_t bar_read(struct pci_dev *pci, unsigned int bar, uint64_t off,
			 unsigned int len)
{
	return bar == VNET_BAR_REGS ? vnet_read(vnet_of_pci(pci), off, len) :
		0;
}

static void bar_write(struct pci_dev *pci, unsigned int bar, uint64_t off,
		      unsigned int len, uint64_t val)
{
	if (bar == VNET_BAR_REGS)
		vnet_write(vnet_of_pci(pci), off, len, val);
}

/* The window in config space: what it is open on, checked (4.1.4.9.1). */
static bool window(const struct vnet *dev, uint32_t *off, uint32_t *len)
{
	struct virtio_pci_cap cap;

	memcpy(&cap, dev->pci.config + dev->cfg_cap, sizeof(cap));
	*off = le32_load(&cap.offset);
	*len = le32_load(&cap.length);
	return cap.bar == VNET_BAR_REGS &&
		(*len == 1 || *len == 2 || *len == 4) && !(*off % *len) &&
		range_within(*off, *len, VNET_REGS_SIZE);
}

static unsigned int window_data(const struct vnet *dev)
{
	return dev->cfg_cap + offsetof(struct virtio_pci_cfg_cap, data);
}

static void config_reading(struct pci_dev *pci, unsigned int off,
			   unsigned int len)
{
	struct vnet *dev = vnet_of_pci(pci);
	uint8_t *data = pci->config + window_data(dev);
	uint32_t at, n;

	if (ranges_overlap(off, len, window_data(dev), 4) &&
	    window(dev, &at, &n))
		le32_store(data, (uint32_t)vnet_read(dev, at, n));
}

static void config_written(struct pci_dev *pci, unsigned int off,
			   unsigned int len)
{
	struct vnet *dev = vnet_of_pci(pci);
	const uint8_t *data = pci->config + window_data(dev);
	uint32_t at, n;

	if (ranges_overlap(off, len, window_data(dev), 4) &&
	    window(dev, &at, &n))
		vnet_write(dev, at, n, le32_load(data) &
			   (uint32_t)(BIT64(8 * n) - 1));
	/* Bus mastering and the power state may have changed. */
	vnet_queues_update(dev);
}

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

static void drop_doorbells(struct vnet *dev)
{
	dev->pci.n_doorbells = 0;
	if (dev->doorbell.fd < 0)
		return;
	worker_remove_watch(dev->net.worker, &dev->doorbell);
	fd_close(&dev->doorbell.fd);
}

/* Each client has an eventfd of its own: one that has gone may have kept it,
 * and take the next one's doorbells away by reading it.  Without one, doorbells
 * come as messages. */
static void renew_doorbells(struct vnet *dev)
{
	drop_doorbells(dev);
	dev->doorbell.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (dev->doorbell.fd < 0)
		return;
	if (worker_add_watch(dev->net.worker, &dev->doorbell) < 0) {
		fd_close(&dev->doorbell.fd);
		return;
	}
	for (unsigned int i = 0; i < dev->n_queues; i++)
		dev->doorbells[i] = (struct pci_doorbell) {
			.bar = VNET_BAR_REGS, .fd = dev->doorbell.fd,
			.off = VNET_NOTIFY + i * VNET_NOTIFY_MULTIPLIER,
		};
	dev->pci.doorbells = dev->doorbells;
	dev->pci.n_doorbells = dev->n_queues;
}

static void reset(struct pci_dev *pci, enum pci_reset kind)
{
	struct vnet *dev = vnet_of_pci(pci);

	if (kind == PCI_RESET_POWER_ON)
		renew_doorbells(dev);
	vnet_reset(dev);
}

static void dma_changed(struct pci_dev *pci)
{
	vnet_queues_suspend(vnet_of_pci(pci));
}

static void destroy(struct pci_dev *pci)
{
	struct vnet *dev = vnet_of_pci(pci);

	worker_remove_poller(dev->net.worker, &dev->resume);
	drop_doorbells(dev);
	virtio_net_reset(&dev->net);
	pci_dev_fini(pci);
	free(dev);
}

static const struct pci_dev_ops vnet_pci_ops = {
	.model = "virtio-net",
	.state_version = 1,
	.state_size = sizeof(struct vnet_state),
	.bar_read = bar_read,
	.bar_write = bar_write,
	.config_reading = config_reading,
	.config_written = config_written,
	.reset = reset,
	.dma_changed = dma_changed,
	.destroy = destroy,
};

/* ---- the device's side ---- */

static void call(struct virtio_net *net, unsigned int vq)
{
	struct vnet *dev = vnet_of_net(net);

	vnet_interrupt(dev, VIRTIO_ISR_QUEUE, dev->state->queue[vq].vector);
}

static void config_changed(struct virtio_net *net)
{
	struct vnet *dev = vnet_of_net(net);

	dev->state->generation++;
	vnet_interrupt(dev, VIRTIO_ISR_CONFIG, dev->state->config_vector);
}

/* The queue stays silent; the others go on until the driver resets us. */
static void broken(struct virtio_net *net, unsigned int vq)
{
	vnet_needs_reset(vnet_of_net(net));
}

/* The PCI side owns the object and frees it. */
static void net_destroy(struct virtio_net *net)
{
}

static const struct virtio_net_ops vnet_net_ops = {
	.call = call,
	.config_changed = config_changed,
	.broken = broken,
	.destroy = net_destroy,
};

/* ---- creation ---- */

static void add_structure(struct pci_dev *pci, enum virtio_pci_cap_type type,
			  uint32_t off, uint32_t len)
{
	struct virtio_pci_notify_cap notify = {
		.cap = { .type = (uint8_t)type, .bar = VNET_BAR_REGS,
			 .offset = le32_of(off), .length = le32_of(len) },
		.multiplier = le32_of(VNET_NOTIFY_MULTIPLIER),
	};

	pci_add_vendor_cap(pci, 0, &notify, type == VIRTIO_PCI_CAP_NOTIFY ?
			   sizeof(notify) : sizeof(notify.cap));
}

static void add_window(struct vnet *dev)
{
	struct virtio_pci_cfg_cap cfg = {
		.cap = { .type = VIRTIO_PCI_CAP_PCI_CFG },
	};
	uint8_t *w;

	dev->cfg_cap = pci_add_vendor_cap(&dev->pci, 0, &cfg, sizeof(cfg));
	w = dev->pci.writable + dev->cfg_cap;
	w[offsetof(struct virtio_pci_cap, bar)] = 0xff;
	le32_store(w + offsetof(struct virtio_pci_cap, offset), ~0u);
	le32_store(w + offsetof(struct virtio_pci_cap, length), ~0u);
	le32_store(w + offsetof(struct virtio_pci_cfg_cap, data), ~0u);
}

static void add_caps(struct vnet *dev)
{
	struct pci_dev *pci = &dev->pci;

	pci_add_pm(pci, 0, PM_VERSION, true);
	pci_add_express(pci, 0, &express);
	pci_add_msix(pci, 0, &msix_place);
	add_structure(pci, VIRTIO_PCI_CAP_COMMON, VNET_COMMON,
		      sizeof(struct virtio_pci_common));
	add_structure(pci, VIRTIO_PCI_CAP_NOTIFY, VNET_NOTIFY,
		      dev->n_queues * VNET_NOTIFY_MULTIPLIER);
	add_structure(pci, VIRTIO_PCI_CAP_ISR, VNET_ISR, 1);
	add_structure(pci, VIRTIO_PCI_CAP_DEVICE, VNET_DEVICE,
		      sizeof(struct virtio_net_config_space));
	add_window(dev);
}

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
	struct pci_ident id = ident;
	int err;

	if (!dev)
		return -ENOMEM;
	memset(dev, 0, sizeof(*dev));
	memcpy(net.mac, params->mac, sizeof(net.mac));
	virtio_net_init(&dev->net, &vnet_net_ops, &net);
	dev->n_queues = 2 * net.n_pairs + 1;
	dev->resume.poll = vnet_resume;
	/* One for each queue, and one for the configuration. */
	id.n_msix = (uint16_t)(dev->n_queues + 1);
	err = pci_dev_init(&dev->pci, &vnet_pci_ops, dev->net.port.name, &id,
			   bars, PCI_CONFIG_EXT_SIZE);
	if (err) {
		free(dev);
		return err;
	}
	dev->doorbell = (struct watch){ .ready = doorbell_ready, .fd = -1 };
	dev->state = (struct vnet_state *)dev->pci.state->model;
	add_caps(dev);
	pci_dev_reset(&dev->pci, PCI_RESET_POWER_ON);
	nic->pci = &dev->pci;
	nic->port = &dev->net.port;
	return 0;
}

const struct nic_model vnet_model = {
	.name = "virtio-net",
	.what = "virtio network card (PCI 1af4:1041, VIRTIO 1.2)",
	.options = NIC_OPT_QUEUES | NIC_OPT_MTU,
	.create = create,
};
