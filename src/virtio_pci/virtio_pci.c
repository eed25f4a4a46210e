/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio on PCI: interrupts, resets, and the function itself: identity,
 * capabilities, the window in config space; see virtio_pci.h.
 */
#include <assert.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "base/log.h"
#include "virtio_pci/virtio_pci_internal.h"

enum {
	VENDOR = 0x1af4,
	/* 4.1.2.1: 0x1040 and the device's number; revision 1 and a subsystem
	 * from 0x40 on keep legacy drivers away. */
	DEVICE_MODERN = 0x1040, REVISION_MODERN = 1, SUBSYS_MODERN = 0x1100,
	PM_VERSION = 3,		/* of the power management capability */
};

static struct virtio_pci *vp_of(struct pci_dev *pci)
{
	return container_of(pci, struct virtio_pci, pci);
}

/* ---- interrupts ---- */

void vpci_interrupt(struct virtio_pci *vp, enum virtio_pci_isr isr,
		    uint16_t vector)
{
	if (pci_msix_enabled(&vp->pci)) {
		if (vector != NO_VECTOR)
			pci_msi(&vp->pci, vector);
		return;
	}
	vp->state->isr |= (uint8_t)isr;
	pci_set_intx(&vp->pci, true);
}

uint16_t vpci_vector_of(const struct virtio_pci *vp, uint32_t val)
{
	return val < vp->pci.msix.n ? (uint16_t)val : NO_VECTOR;
}

void virtio_pci_call(struct virtio_pci *vp, unsigned int queue)
{
	vpci_interrupt(vp, ISR_QUEUE, vp->state->queue[queue].vector);
}

void virtio_pci_config_changed(struct virtio_pci *vp)
{
	vp->state->generation++;
	vpci_interrupt(vp, ISR_CONFIG, vp->state->config_vector);
}

void virtio_pci_needs_reset(struct virtio_pci *vp)
{
	if (vp->state->status & VIRTIO_S_NEEDS_RESET)
		return;
	vp->state->status |= VIRTIO_S_NEEDS_RESET;
	if (vp->state->status & VIRTIO_S_DRIVER_OK)
		vpci_interrupt(vp, ISR_CONFIG, vp->state->config_vector);
}

/* ---- what both interfaces do ---- */

void vpci_refuse(struct virtio_pci *vp)
{
	if (vp->params.refused)
		counter_add(vp->params.refused, 1);
}

bool vpci_accept(struct virtio_pci *vp, uint64_t features, uint64_t required)
{
	bool (*accept)(struct virtio_pci *vp, uint64_t features) =
		vp->params.ops->accept;

	if (!vpci_settled(vp) && !(features & ~vp->params.features) &&
	    !(required & ~features) && (!accept || accept(vp, features))) {
		vp->state->features = features;
		return true;
	}
	log_limited(LOG_WARN, "%s: the driver's features %#llx are refused, of %#llx offered",
		    vp->pci.name, (unsigned long long)features,
		    (unsigned long long)vp->params.features);
	vpci_refuse(vp);
	return false;
}

void vpci_reset(struct virtio_pci *vp)
{
	virtio_pci_suspend(vp);
	if (vp->params.ops->reset)
		vp->params.ops->reset(vp);
	*vp->state = (struct virtio_pci_state) {
		.config_vector = NO_VECTOR,
	};
	for (unsigned int i = 0; i < vp->params.n_queues; i++)
		vpci_queue_reset(vp, i);
	pci_set_intx(&vp->pci, false);
}

/* ---- the window in config space ---- */

/* What it is open on, checked (4.1.4.9.1). */
static bool window(const struct virtio_pci *vp, uint32_t *off, uint32_t *len)
{
	struct virtio_pci_cap cap;

	memcpy(&cap, vp->pci.config + vp->window_cap, sizeof(cap));
	*off = le32_load(&cap.offset);
	*len = le32_load(&cap.length);
	return cap.bar == BAR_MODERN &&
		(*len == 1 || *len == 2 || *len == 4) && !(*off % *len) &&
		range_within(*off, *len, MODERN_SIZE);
}

static unsigned int window_data(const struct virtio_pci *vp)
{
	return vp->window_cap + offsetof(struct virtio_pci_cfg_cap, data);
}

static void config_reading(struct pci_dev *pci, unsigned int off,
			   unsigned int len)
{
	struct virtio_pci *vp = vp_of(pci);
	uint32_t at, n;

	if (ranges_overlap(off, len, window_data(vp), 4) &&
	    window(vp, &at, &n))
		le32_store(pci->config + window_data(vp),
			   (uint32_t)vpci_modern_read(vp, at, n));
}

static void config_written(struct pci_dev *pci, unsigned int off,
			   unsigned int len)
{
	struct virtio_pci *vp = vp_of(pci);
	uint32_t at, n;

	if (ranges_overlap(off, len, window_data(vp), 4) &&
	    window(vp, &at, &n))
		vpci_modern_write(vp, at, n,
			     le32_load(pci->config + window_data(vp)) &
			     (BIT64(8 * n) - 1));
	/* Bus mastering and the power state may have changed. */
	virtio_pci_update(vp);
}

/* ---- as a PCI function ---- */

static uint64_t bar_read(struct pci_dev *pci, unsigned int bar, uint64_t off,
			 unsigned int len)
{
	switch (bar) {
	case BAR_LEGACY:
		return vpci_legacy_read(vp_of(pci), off, len);
	case BAR_MODERN:
		return vpci_modern_read(vp_of(pci), off, len);
	default:
		return 0;	/* beside the MSI-X table */
	}
}

static void bar_write(struct pci_dev *pci, unsigned int bar, uint64_t off,
		      unsigned int len, uint64_t val)
{
	switch (bar) {
	case BAR_LEGACY:
		vpci_legacy_write(vp_of(pci), off, len, val);
		break;
	case BAR_MODERN:
		vpci_modern_write(vp_of(pci), off, len, val);
		break;
	}
}

static void reset(struct pci_dev *pci, enum pci_reset kind)
{
	struct virtio_pci *vp = vp_of(pci);

	if (kind == PCI_RESET_POWER_ON && vp->params.ops->power_on)
		vp->params.ops->power_on(vp);
	vpci_reset(vp);
}

static void dma_changed(struct pci_dev *pci)
{
	struct virtio_pci *vp = vp_of(pci);

	if (vp->params.ops->dma_changed)
		vp->params.ops->dma_changed(vp);
}

static void destroy(struct pci_dev *pci)
{
	struct virtio_pci *vp = vp_of(pci);

	if (vp->params.ops->destroy)
		vp->params.ops->destroy(vp);
}

static const struct pci_dev_ops pci_ops = {
	.model = "virtio",
	.state_version = 1,
	.state_size = sizeof(struct virtio_pci_state),
	.bar_read = bar_read,
	.bar_write = bar_write,
	.config_reading = config_reading,
	.config_written = config_written,
	.reset = reset,
	.dma_changed = dma_changed,
	.destroy = destroy,
};

static void add_structure(struct pci_dev *pci, enum virtio_pci_cap_type type,
			  uint32_t off, uint32_t len)
{
	struct virtio_pci_notify_cap notify = {
		.cap = { .type = (uint8_t)type, .bar = BAR_MODERN,
			 .offset = le32_of(off), .length = le32_of(len) },
		.multiplier = le32_of(NOTIFY_MULTIPLIER),
	};

	pci_add_vendor_cap(pci, 0, &notify, type == CAP_NOTIFY_CFG ?
			   sizeof(notify) : sizeof(notify.cap));
}

static void add_window(struct virtio_pci *vp)
{
	struct virtio_pci_cfg_cap cfg = { .cap = { .type = CAP_PCI_CFG } };
	uint8_t *w;

	vp->window_cap = pci_add_vendor_cap(&vp->pci, 0, &cfg, sizeof(cfg));
	w = vp->pci.writable + vp->window_cap;
	w[offsetof(struct virtio_pci_cap, bar)] = 0xff;
	le32_store(w + offsetof(struct virtio_pci_cap, offset), ~0u);
	le32_store(w + offsetof(struct virtio_pci_cap, length), ~0u);
	le32_store(w + offsetof(struct virtio_pci_cfg_cap, data), ~0u);
}

static void add_caps(struct virtio_pci *vp)
{
	static const struct pci_msix_place msix_place = {
		.bar = BAR_MSIX, .table_off = MSIX_TABLE_OFF,
		.pba_bar = BAR_MSIX, .pba_off = MSIX_PBA_OFF,
	};
	static const struct pci_express express = {
		.type = PCI_EXP_TYPE_ENDPOINT,
		.speed = PCI_EXP_LNKSTA_CLS_2_5GB, .width = 1,
		.flr = true,
	};
	struct pci_dev *pci = &vp->pci;

	if (vp->params.express) {
		pci_add_pm(pci, 0, PM_VERSION, true);
		pci_add_express(pci, 0, &express);
	}
	pci_add_msix(pci, 0, &msix_place);
	add_structure(pci, CAP_COMMON_CFG, PART_COMMON,
		      sizeof(struct virtio_pci_common));
	add_structure(pci, CAP_NOTIFY_CFG, PART_NOTIFY,
		      vp->params.n_queues * NOTIFY_MULTIPLIER);
	add_structure(pci, CAP_ISR_CFG, PART_ISR, 1);
	add_structure(pci, CAP_DEVICE_CFG, PART_DEVICE, vp->params.config_len);
	add_window(vp);
}

static struct pci_ident ident_of(const struct virtio_pci_params *params)
{
	struct pci_ident ident = {
		.vendor = VENDOR, .subsys_vendor = VENDOR,
		.class_code = params->class_code, .intx_pin = 1,
		/* One for each queue, and one for the configuration. */
		.n_msix = (uint16_t)(params->n_queues + 1),
	};

	if (params->transitional) {
		ident.device = params->transitional;
		ident.subsys = params->type;
	} else {
		ident.device = DEVICE_MODERN + params->type;
		ident.revision = REVISION_MODERN;
		ident.subsys = SUBSYS_MODERN;
	}
	return ident;
}

int virtio_pci_init(struct virtio_pci *vp,
		    const struct virtio_pci_params *params)
{
	const struct pci_ident ident = ident_of(params);
	/* Reading the ISR status has an effect: not prefetchable. */
	struct pci_bar bars[PCI_N_BARS + 1] = {
		[BAR_MSIX] = { PCI_BAR_MEM32, false, MSIX_SIZE },
		[BAR_MODERN] = { PCI_BAR_MEM32, false, MODERN_SIZE },
	};
	int err;

	assert(params->n_queues <= VIRTIO_PCI_QUEUES_MAX &&
	       params->config_len <= VIRTIO_PCI_CONFIG_MAX);
	if (params->transitional)
		bars[BAR_LEGACY] = (struct pci_bar){ PCI_BAR_IO, false,
						     LEGACY_SIZE };
	memset(vp, 0, sizeof(*vp));
	vp->params = *params;
	vp->params.features |= BIT64(VIRTIO_F_VERSION_1);
	err = pci_dev_init(&vp->pci, &pci_ops, params->name, &ident, bars,
			   params->express ? PCI_CONFIG_EXT_SIZE :
			   PCI_CONFIG_SIZE);
	if (err)
		return err;
	vp->state = (struct virtio_pci_state *)vp->pci.state->model;
	add_caps(vp);
	pci_dev_reset(&vp->pci, PCI_RESET_POWER_ON);
	return 0;
}

void virtio_pci_fini(struct virtio_pci *vp)
{
	virtio_pci_suspend(vp);
	pci_dev_fini(&vp->pci);
}

void virtio_pci_set_doorbell(struct virtio_pci *vp, int fd)
{
	for (unsigned int i = 0; i < vp->params.n_queues; i++)
		vp->doorbells[i] = (struct pci_doorbell) {
			.bar = BAR_MODERN, .fd = fd,
			.off = PART_NOTIFY + i * NOTIFY_MULTIPLIER,
		};
	vp->pci.doorbells = vp->doorbells;
	vp->pci.n_doorbells = fd < 0 ? 0 : vp->params.n_queues;
}
