/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio on PCI: the structures of BAR_MODERN, the common configuration above
 * all, and negotiation; see virtio_pci.h.
 *
 * Reads are of an image of the structure, so of any size and alignment; writes
 * have to be of a whole field, or of half a 64 bit one (4.1.3.1).
 */
#include <string.h>

#include "virtio_pci/virtio_pci_internal.h"

/* ---- fields of the common configuration ---- */

static void write_device_select(struct virtio_pci *vp, uint32_t val)
{
	vp->state->device_feature_select = val;
}

static void write_driver_select(struct virtio_pci *vp, uint32_t val)
{
	vp->state->driver_feature_select = val;
}

static void set_half(uint64_t *whole, unsigned int half, uint32_t val)
{
	*whole &= ~((uint64_t)UINT32_MAX << (32 * half));
	*whole |= (uint64_t)val << (32 * half);
}

static void write_driver_feature(struct virtio_pci *vp, uint32_t val)
{
	struct virtio_pci_state *s = vp->state;

	if (vpci_settled(vp))
		vpci_refuse(vp);
	else if (s->driver_feature_select < 2)
		set_half(&s->driver_features, s->driver_feature_select, val);
	else if (val)
		vpci_refuse(vp);
}

static void write_config_vector(struct virtio_pci *vp, uint32_t val)
{
	vp->state->config_vector = vpci_vector_of(vp, val);
}

/* Bits are only ever added, but by a reset (2.1.1). */
static void write_status(struct virtio_pci *vp, uint32_t val)
{
	struct virtio_pci_state *s = vp->state;
	uint32_t set = val & ~(uint32_t)s->status &
		(VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER |
		 VIRTIO_S_FEATURES_OK | VIRTIO_S_DRIVER_OK | VIRTIO_S_FAILED);

	if (!val) {
		vpci_reset(vp);
		return;
	}
	/* Is that a set we can work with (2.2.2, 3.1.1)? */
	if ((set & VIRTIO_S_FEATURES_OK) &&
	    !vpci_accept(vp, s->driver_features, BIT64(VIRTIO_F_VERSION_1)))
		set &= ~(uint32_t)VIRTIO_S_FEATURES_OK;
	s->status |= (uint8_t)(set & ~(uint32_t)VIRTIO_S_DRIVER_OK);
	if (!(set & VIRTIO_S_DRIVER_OK))
		return;
	if (!(s->status & VIRTIO_S_FEATURES_OK)) {
		vpci_refuse(vp);
		return;
	}
	s->status |= VIRTIO_S_DRIVER_OK;
	virtio_pci_update(vp);
}

static void write_queue_select(struct virtio_pci *vp, uint32_t val)
{
	vp->state->queue_select = (uint16_t)val;
}

/* The queue selected, for what may be written as long as it is not enabled. */
static struct virtio_pci_queue *settable(struct virtio_pci *vp)
{
	struct virtio_pci_queue *queue = vpci_queue_selected(vp);

	if (queue && !queue->enabled)
		return queue;
	vpci_refuse(vp);
	return NULL;
}

static void write_queue_size(struct virtio_pci *vp, uint32_t val)
{
	struct virtio_pci_queue *queue = settable(vp);

	if (queue)
		queue->size = (uint16_t)val;
}

static void write_queue_vector(struct virtio_pci *vp, uint32_t val)
{
	struct virtio_pci_queue *queue = vpci_queue_selected(vp);

	if (queue)
		queue->vector = vpci_vector_of(vp, val);
}

/* Only a reset disables a queue (4.1.4.3.2). */
static void write_queue_enable(struct virtio_pci *vp, uint32_t val)
{
	struct virtio_pci_queue *queue = settable(vp);

	if (!queue)
		return;
	if (val != 1) {
		vpci_refuse(vp);
		return;
	}
	queue->enabled = true;
	virtio_pci_update(vp);
}

static void write_queue_reset(struct virtio_pci *vp, uint32_t val)
{
	if (val != 1 || !vpci_queue_selected(vp) ||
	    !(vp->state->features & BIT64(VIRTIO_F_RING_RESET)))
		vpci_refuse(vp);
	else
		vpci_queue_reset(vp, vp->state->queue_select);
}

#define ADDRESS(area, name, half)					\
static void write_##area##_##name(struct virtio_pci *vp, uint32_t val)	\
{									\
	struct virtio_pci_queue *queue = settable(vp);			\
									\
	if (queue)							\
		set_half(&queue->area, half, val);			\
}
ADDRESS(desc, lo, 0)
ADDRESS(desc, hi, 1)
ADDRESS(driver, lo, 0)
ADDRESS(driver, hi, 1)
ADDRESS(device, lo, 0)
ADDRESS(device, hi, 1)
#undef ADDRESS

/* What can be written. */
static const struct field {
	uint8_t off, len;	/* in the structure */
	void (*write)(struct virtio_pci *vp, uint32_t val);
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

static void common_write(struct virtio_pci *vp, uint32_t off, unsigned int len,
			 uint32_t val)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i].off == off && fields[i].len == len) {
			fields[i].write(vp, val);
			return;
		}
	}
	vpci_refuse(vp);
}

static uint32_t feature_word(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> (32 * select)) : 0;
}

/* A queue that there is not has size 0 (4.1.4.3). */
static void common_image(struct virtio_pci *vp, struct virtio_pci_common *c)
{
	const struct virtio_pci_state *s = vp->state;
	const struct virtio_pci_queue *q = vpci_queue_selected(vp);
	static const struct virtio_pci_queue none = { .vector = NO_VECTOR };

	if (!q)
		q = &none;
	*c = (struct virtio_pci_common) {
		.device_feature_select = le32_of(s->device_feature_select),
		.device_feature = le32_of(feature_word(vp->params.features,
					  s->device_feature_select)),
		.driver_feature_select = le32_of(s->driver_feature_select),
		.driver_feature = le32_of(feature_word(s->driver_features,
					  s->driver_feature_select)),
		.config_vector = le16_of(s->config_vector),
		.num_queues = le16_of((uint16_t)vp->params.n_queues),
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

uint8_t vpci_isr_take(struct virtio_pci *vp)
{
	uint8_t isr = vp->state->isr;

	vp->state->isr = 0;
	pci_set_intx(&vp->pci, false);
	return isr;
}

/* @len bytes at @off of a structure of @size; zeroes behind it. */
static uint64_t bytes_of(const void *image, size_t size, uint64_t off,
			 unsigned int len)
{
	uint8_t bytes[8] = { 0 };

	if (off < size)
		memcpy(bytes, (const uint8_t *)image + off,
		       min_of((size_t)len, (size_t)(size - off)));
	return le64_load(bytes);
}

uint64_t vpci_config_bytes(struct virtio_pci *vp, uint64_t off,
			   unsigned int len)
{
	_Alignas(uint64_t) uint8_t image[VIRTIO_PCI_CONFIG_MAX];

	vp->params.ops->config(vp, image);
	return bytes_of(image, vp->params.config_len, off, len);
}

/* ---- all of them ---- */

uint64_t vpci_modern_read(struct virtio_pci *vp, uint64_t off, unsigned int len)
{
	uint32_t at = off % PART_SIZE;
	struct virtio_pci_common common;

	switch (off - at) {
	case PART_COMMON:
		common_image(vp, &common);
		return bytes_of(&common, sizeof(common), at, len);
	case PART_ISR:
		return at ? 0 : vpci_isr_take(vp);
	case PART_DEVICE:
		return vpci_config_bytes(vp, at, len);
	default:
		return 0;	/* doorbells */
	}
}

void vpci_modern_write(struct virtio_pci *vp, uint64_t off, unsigned int len,
		       uint64_t val)
{
	uint32_t at = off % PART_SIZE;

	switch (off - at) {
	case PART_COMMON:
		/* On a bus of 32 bits these are two writes. */
		common_write(vp, at, min_of(len, 4u), (uint32_t)val);
		if (len == 8)
			common_write(vp, at + 4, 4, (uint32_t)(val >> 32));
		break;
	case PART_NOTIFY:
		/* Which queue, the address says; the value says the same
		 * (4.1.5.2). */
		vpci_queue_notify(vp, at / NOTIFY_MULTIPLIER);
		break;
	default:
		vpci_refuse(vp);	/* is for reading */
	}
}
