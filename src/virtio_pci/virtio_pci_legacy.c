/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio on PCI: the legacy interface of a transitional device (4.1.4.10); see
 * virtio_pci.h.
 */
#include "virtio_pci/virtio_pci_internal.h"

/* The legacy interface has neither FEATURES_OK nor the features from bit 32 on
 * (2.2.3, 3.1.2). */
static uint32_t offered(const struct virtio_pci *vp)
{
	return (uint32_t)(vp->params.features & ~vp->params.modern_features);
}

static unsigned int config_at(const struct virtio_pci *vp)
{
	return pci_msix_enabled(&vp->pci) ? LEGACY_CONFIG_MSIX : LEGACY_CONFIG;
}

uint64_t vpci_legacy_read(struct virtio_pci *vp, uint64_t off, unsigned int len)
{
	const struct virtio_pci_state *s = vp->state;
	const struct virtio_pci_queue *q = vpci_queue_selected(vp);

	if (off >= config_at(vp))
		return vpci_config_bytes(vp, off - config_at(vp), len);
	switch (off) {
	case LEGACY_DEVICE_FEATURES:
		return offered(vp);
	case LEGACY_DRIVER_FEATURES:
		return (uint32_t)s->driver_features;
	case LEGACY_QUEUE_ADDRESS:
		return q ? (uint32_t)(q->desc / LEGACY_ALIGN) : 0;
	case LEGACY_QUEUE_SIZE:
		return q ? vp->params.queue_size : 0;
	case LEGACY_QUEUE_SELECT:
		return s->queue_select;
	case LEGACY_DEVICE_STATUS:
		return s->status;
	case LEGACY_ISR_STATUS:
		return vpci_isr_take(vp);
	case LEGACY_CONFIG_VECTOR:
		return s->config_vector;
	case LEGACY_QUEUE_VECTOR:
		return q ? q->vector : NO_VECTOR;
	default:
		return 0;
	}
}

/* One page number for all three parts (2.7.2); zero gives the queue up. */
static void write_queue_address(struct virtio_pci *vp, uint32_t page)
{
	struct virtio_pci_queue *q = vpci_queue_selected(vp);
	uint64_t size = vp->params.queue_size;

	if (q && !page) {
		vpci_queue_reset(vp, vp->state->queue_select);
		return;
	}
	if (!q || q->enabled) {
		vpci_refuse(vp);
		return;
	}
	q->size = vp->params.queue_size;
	q->desc = (uint64_t)page * LEGACY_ALIGN;
	q->driver = q->desc + 16 * size;
	q->device = align_up(q->driver + 2 * (3 + size), LEGACY_ALIGN);
	q->enabled = true;
	virtio_pci_update(vp);
}

static void write_status(struct virtio_pci *vp, uint8_t val)
{
	struct virtio_pci_state *s = vp->state;

	if (!val) {
		vpci_reset(vp);
		return;
	}
	/* What a driver has begun by the modern registers it has to end by
	 * them. */
	if (s->status & VIRTIO_S_FEATURES_OK) {
		vpci_refuse(vp);
		return;
	}
	if ((val & ~s->status & VIRTIO_S_DRIVER_OK) &&
	    !vpci_accept(vp, s->driver_features & offered(vp), 0))
		val &= (uint8_t)~VIRTIO_S_DRIVER_OK;
	s->status |= val & (VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER |
			    VIRTIO_S_DRIVER_OK | VIRTIO_S_FAILED);
	virtio_pci_update(vp);
}

static void write_queue_vector(struct virtio_pci *vp, uint16_t vector)
{
	struct virtio_pci_queue *q = vpci_queue_selected(vp);

	if (q)
		q->vector = vpci_vector_of(vp, vector);
}

void vpci_legacy_write(struct virtio_pci *vp, uint64_t off, unsigned int len,
		       uint64_t val)
{
	struct virtio_pci_state *s = vp->state;

	/* The device configuration is for reading. */
	if (off >= config_at(vp)) {
		vpci_refuse(vp);
		return;
	}
	switch (off) {
	case LEGACY_DRIVER_FEATURES:
		if (vpci_settled(vp))
			vpci_refuse(vp);
		else
			s->driver_features = (uint32_t)val;
		break;
	case LEGACY_QUEUE_ADDRESS:
		write_queue_address(vp, (uint32_t)val);
		break;
	case LEGACY_QUEUE_SELECT:
		s->queue_select = (uint16_t)val;
		break;
	case LEGACY_QUEUE_NOTIFY:
		vpci_queue_notify(vp, (uint16_t)val);
		break;
	case LEGACY_DEVICE_STATUS:
		write_status(vp, (uint8_t)val);
		break;
	case LEGACY_CONFIG_VECTOR:
		s->config_vector = vpci_vector_of(vp, (uint16_t)val);
		break;
	case LEGACY_QUEUE_VECTOR:
		write_queue_vector(vp, (uint16_t)val);
		break;
	default:
		vpci_refuse(vp);
	}
}
