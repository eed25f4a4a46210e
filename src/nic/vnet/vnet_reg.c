/* SPDX-License-Identifier: Apache-2.0
 *
 * Registers: the common configuration, ISR status, device configuration and
 * doorbells; negotiation.
 *
 * Reads are of an image of the structure, so of any size and alignment; writes
 * have to be of a whole field, or of half a 64 bit one (4.1.3.1).
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "nic/vnet/vnet.h"

/* ---- interrupts ---- */

void vnet_interrupt(struct vnet *dev, enum virtio_isr isr, uint16_t vector)
{
	if (pci_msix_enabled(&dev->pci)) {
		if (vector != VIRTIO_NO_VECTOR)
			pci_msi(&dev->pci, vector);
		return;
	}
	dev->state->isr |= (uint8_t)isr;
	pci_set_intx(&dev->pci, true);
}

void vnet_needs_reset(struct vnet *dev)
{
	if (dev->state->status & VIRTIO_S_NEEDS_RESET)
		return;
	dev->state->status |= VIRTIO_S_NEEDS_RESET;
	if (dev->state->status & VIRTIO_S_DRIVER_OK)
		vnet_interrupt(dev, VIRTIO_ISR_CONFIG,
			       dev->state->config_vector);
}

/* ---- reset and negotiation ---- */

void vnet_reset(struct vnet *dev)
{
	virtio_net_reset(&dev->net);
	memset(dev->state, 0, sizeof(*dev->state));
	dev->state->config_vector = VIRTIO_NO_VECTOR;
	for (unsigned int i = 0; i < dev->n_queues; i++)
		vnet_queue_init(&dev->state->queue[i]);
	pci_set_intx(&dev->pci, false);
}

/* A write that breaks the driver's rules has no effect. */
static void refuse(struct vnet *dev)
{
	counter_add(&dev->net.counters.refused, 1);
}

/* FEATURES_OK: is that a set we can work with (2.2.2, 3.1.1)? */
static bool features_ok(struct vnet *dev)
{
	uint64_t features = dev->state->driver_features;

	if ((features & BIT64(VIRTIO_F_VERSION_1)) &&
	    !virtio_net_set_features(&dev->net, features))
		return true;
	log_limited(LOG_WARN, "%s: the driver's features %#llx are refused, of %#llx offered",
		    dev->pci.name, (unsigned long long)features,
		    (unsigned long long)dev->net.offered);
	refuse(dev);
	return false;
}

/* Bits are only ever added, but by a reset (2.1.1). */
static void write_status(struct vnet *dev, uint32_t val)
{
	struct vnet_state *s = dev->state;
	uint32_t set = val & ~(uint32_t)s->status &
		(VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER |
		 VIRTIO_S_FEATURES_OK | VIRTIO_S_DRIVER_OK | VIRTIO_S_FAILED);

	if (!val) {
		vnet_reset(dev);
		return;
	}
	if ((set & VIRTIO_S_FEATURES_OK) && !features_ok(dev))
		set &= ~(uint32_t)VIRTIO_S_FEATURES_OK;
	s->status |= (uint8_t)(set & ~(uint32_t)VIRTIO_S_DRIVER_OK);
	if (!(set & VIRTIO_S_DRIVER_OK))
		return;
	if (!(s->status & VIRTIO_S_FEATURES_OK)) {
		refuse(dev);
		return;
	}
	s->status |= VIRTIO_S_DRIVER_OK;
	vnet_queues_update(dev);
}

/* ---- fields of the common configuration ---- */

static void write_device_select(struct vnet *dev, uint32_t val)
{
	dev->state->device_feature_select = val;
}

static void write_driver_select(struct vnet *dev, uint32_t val)
{
	dev->state->driver_feature_select = val;
}

static void write_driver_feature(struct vnet *dev, uint32_t val)
{
	struct vnet_state *s = dev->state;

	if (s->status & VIRTIO_S_FEATURES_OK) {
		refuse(dev);
	} else if (s->driver_feature_select < 2) {
		unsigned int shift = 32 * s->driver_feature_select;

		s->driver_features &= ~((uint64_t)UINT32_MAX << shift);
		s->driver_features |= (uint64_t)val << shift;
	} else if (val) {
		refuse(dev);
	}
}

/* A vector that there is not reads back as none. */
static uint16_t vector_of(const struct vnet *dev, uint32_t val)
{
	return val < dev->pci.msix.n ? (uint16_t)val : VIRTIO_NO_VECTOR;
}

static void write_config_vector(struct vnet *dev, uint32_t val)
{
	dev->state->config_vector = vector_of(dev, val);
}

static void write_queue_select(struct vnet *dev, uint32_t val)
{
	dev->state->queue_select = (uint16_t)val;
}

/* The queue selected, or NULL. */
static struct vnet_queue *selected(struct vnet *dev)
{
	unsigned int idx = dev->state->queue_select;

	return idx < dev->n_queues ? &dev->state->queue[idx] : NULL;
}

/* The same for what may be written as long as it is not enabled. */
static struct vnet_queue *settable(struct vnet *dev)
{
	struct vnet_queue *queue = selected(dev);

	if (queue && !queue->enabled)
		return queue;
	refuse(dev);
	return NULL;
}

static void write_queue_size(struct vnet *dev, uint32_t val)
{
	struct vnet_queue *queue = settable(dev);

	if (queue)
		queue->size = (uint16_t)val;
}

static void write_queue_vector(struct vnet *dev, uint32_t val)
{
	struct vnet_queue *queue = selected(dev);

	if (queue)
		queue->vector = vector_of(dev, val);
}

/* Only a reset disables a queue (4.1.4.3.2). */
static void write_queue_enable(struct vnet *dev, uint32_t val)
{
	struct vnet_queue *queue = settable(dev);

	if (!queue)
		return;
	if (val != 1) {
		refuse(dev);
		return;
	}
	queue->enabled = true;
	vnet_queues_update(dev);
}

static void write_queue_reset(struct vnet *dev, uint32_t val)
{
	if (val != 1 || !selected(dev) ||
	    !(dev->net.features & BIT64(VIRTIO_F_RING_RESET)))
		refuse(dev);
	else
		vnet_queue_reset(dev, dev->state->queue_select);
}

static void set_half(uint64_t *address, unsigned int shift, uint32_t val)
{
	*address = (*address & ~((uint64_t)UINT32_MAX << shift)) |
		(uint64_t)val << shift;
}

#define ADDRESS(area, half, shift)					\
static void write_##area##_##half(struct vnet *dev, uint32_t val)	\
{									\
	struct vnet_queue *queue = settable(dev);			\
									\
	if (queue)							\
		set_half(&queue->area, shift, val);			\
}
ADDRESS(desc, lo, 0)
ADDRESS(desc, hi, 32)
ADDRESS(driver, lo, 0)
ADDRESS(driver, hi, 32)
ADDRESS(device, lo, 0)
ADDRESS(device, hi, 32)
#undef ADDRESS

/* What can be written. */
static const struct field {
	uint8_t off, len;	/* in the structure */
	void (*write)(struct vnet *dev, uint32_t val);
} fields[] = {
#define FIELD(name, write)						\
	{ offsetof(struct virtio_pci_common, name),			\
	  sizeof(((struct virtio_pci_common *)0)->name), write }
	FIELD(device_feature_select, write_device_select),
	FIELD(driver_feature_select, write_driver_select),
	FIELD(driver_feature, write_driver_feature),
	FIELD(config_vector, write_config_vector),
	FIELD(device_status, write_status),
	FIELD(queue_select, write_queue_select),
	FIELD(queue_size, write_queue_size),
	FIELD(queue_vector, write_queue_vector),
	FIELD(queue_enable, write_queue_enable),
	FIELD(queue_desc_lo, write_desc_lo),
	FIELD(queue_desc_hi, write_desc_hi),
	FIELD(queue_driver_lo, write_driver_lo),
	FIELD(queue_driver_hi, write_driver_hi),
	FIELD(queue_device_lo, write_device_lo),
	FIELD(queue_device_hi, write_device_hi),
	FIELD(queue_reset, write_queue_reset),
#undef FIELD
};

static void common_write(struct vnet *dev, uint32_t off, unsigned int len,
			 uint32_t val)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i].off == off && fields[i].len == len) {
			fields[i].write(dev, val);
			return;
		}
	}
	refuse(dev);
}

static uint32_t feature_word(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> (32 * select)) : 0;
}

/* A queue that there is not has size 0 (4.1.4.3). */
static void common_image(struct vnet *dev, struct virtio_pci_common *c)
{
	const struct vnet_state *s = dev->state;
	const struct vnet_queue *q = selected(dev);
	static const struct vnet_queue none = { .vector = VIRTIO_NO_VECTOR };

	if (!q)
		q = &none;
	*c = (struct virtio_pci_common) {
		.device_feature_select = le32_of(s->device_feature_select),
		.device_feature = le32_of(feature_word(dev->net.offered,
					  s->device_feature_select)),
		.driver_feature_select = le32_of(s->driver_feature_select),
		.driver_feature = le32_of(feature_word(s->driver_features,
					  s->driver_feature_select)),
		.config_vector = le16_of(s->config_vector),
		.num_queues = le16_of((uint16_t)dev->n_queues),
		.device_status = s->status,
		.config_generation = s->generation,
		.queue_select = le16_of(s->queue_select),
		.queue_size = le16_of(q->size),
		.queue_vector = le16_of(q->vector),
		.queue_enable = le16_of(q->enabled),
		.queue_notify_off = le16_of(s->queue_select),
		.queue_desc_lo = le32_of((uint32_t)q->desc),
		.queue_desc_hi = le32_of((uint32_t)(q->desc >> 32)),
		.queue_driver_lo = le32_of((uint32_t)q->driver),
		.queue_driver_hi = le32_of((uint32_t)(q->driver >> 32)),
		.queue_device_lo = le32_of((uint32_t)q->device),
		.queue_device_hi = le32_of((uint32_t)(q->device >> 32)),
	};
}

/* ---- the other structures ---- */

static uint8_t isr_read(struct vnet *dev)
{
	uint8_t isr = dev->state->isr;

	dev->state->isr = 0;
	pci_set_intx(&dev->pci, false);
	return isr;
}

/* Which queue, the address says; the value says the same (4.1.5.2). */
static void notify_write(struct vnet *dev, uint32_t off)
{
	unsigned int idx = off / VNET_NOTIFY_MULTIPLIER;

	if (idx < dev->n_queues && virtio_net_queue_started(&dev->net, idx))
		virtio_net_kick(&dev->net, idx);
	else
		refuse(dev);
}

/* ---- all of them ---- */

/* @len bytes at @off of a structure of @size; zeroes behind it. */
static uint64_t bytes_of(const void *image, size_t size, uint32_t off,
			 unsigned int len)
{
	uint8_t bytes[8] = { 0 };

	if (off < size)
		memcpy(bytes, (const uint8_t *)image + off,
		       min_of((size_t)len, size - off));
	return le64_load(bytes);
}

uint64_t vnet_read(struct vnet *dev, uint64_t off, unsigned int len)
{
	uint32_t at = off % VNET_PART_SIZE;
	struct virtio_pci_common common;
	struct virtio_net_config_space config;

	switch (off - at) {
	case VNET_COMMON:
		common_image(dev, &common);
		return bytes_of(&common, sizeof(common), at, len);
	case VNET_ISR:
		return at ? 0 : isr_read(dev);
	case VNET_DEVICE:
		virtio_net_config(&dev->net, &config);
		return bytes_of(&config, sizeof(config), at, len);
	default:
		return 0;	/* doorbells */
	}
}

void vnet_write(struct vnet *dev, uint64_t off, unsigned int len,
		uint64_t val)
{
	uint32_t at = off % VNET_PART_SIZE;

	switch (off - at) {
	case VNET_COMMON:
		common_write(dev, at, len, (uint32_t)val);
		break;
	case VNET_NOTIFY:
		notify_write(dev, at);
		break;
	default:
		/* The device configuration of VIRTIO 1 is read only (5.1.4). */
		refuse(dev);
	}
}
