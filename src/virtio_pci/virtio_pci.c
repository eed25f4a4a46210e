/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio on PCI; see virtio_pci.h.  References are to VIRTIO 1.2.
 */
#include "virtio_pci/virtio_pci.h"

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <string.h>

#include "base/byteorder.h"
#include "virtio/virtio.h"

enum {
	VENDOR = 0x1af4,
	PAGE = 0x1000,			/* of each modern structure */
	AT_COMMON = 0, AT_ISR = PAGE, AT_DEVICE = 2 * PAGE,
	AT_NOTIFY = 3 * PAGE,
	MODERN_SIZE = 4 * PAGE,
	MSIX_SIZE = PAGE, MSIX_PBA = PAGE / 2,
	NOTIFY_STEP = 4,		/* bytes from queue to queue */
	COMMON_LEN = sizeof(struct virtio_pci_common_cfg),
	N_FEATURE_BITS = 32,		/* of a feature word */
	ISR_QUEUE = 1, ISR_CONFIG = 2,
	LEGACY_PAGE_SHIFT = VIRTIO_PCI_QUEUE_ADDR_SHIFT,
};

static struct virtio_pci *vp_of(struct pci_dev *pci)
{
	return container_of(pci, struct virtio_pci, pci);
}

/* ---- interrupts ---- */

static void signal(struct virtio_pci *vp, uint16_t vector, uint8_t isr)
{
	if (pci_msix_enabled(&vp->pci)) {
		if (vector != VIRTIO_PCI_NO_VECTOR)
			pci_msi(&vp->pci, vector);
		return;
	}
	vp->state->isr |= isr;
	pci_set_intx(&vp->pci, true);
}

void virtio_pci_call(struct virtio_pci *vp, unsigned int queue)
{
	signal(vp, vp->state->queue[queue].vector, ISR_QUEUE);
}

void virtio_pci_broken(struct virtio_pci *vp)
{
	vp->state->status |= VIRTIO_S_NEEDS_RESET;
	if (vp->state->status & VIRTIO_S_DRIVER_OK)
		signal(vp, vp->state->config_vector, ISR_CONFIG);
}

/* 4.1.4.5: reading takes the bits and lowers the pin. */
static uint8_t take_isr(struct virtio_pci *vp)
{
	uint8_t isr = vp->state->isr;

	vp->state->isr = 0;
	pci_set_intx(&vp->pci, false);
	return isr;
}

/* 4.1.5.1.2: a vector that is not there reads back as none. */
static uint16_t vector_taken(const struct virtio_pci *vp, uint64_t val)
{
	return val < vp->pci.msix.n ? (uint16_t)val : VIRTIO_PCI_NO_VECTOR;
}

/* ---- life ---- */

static void reset_state(struct virtio_pci *vp)
{
	struct virtio_pci_state *s = vp->state;

	if (vp->started)
		vp->params.ops->stop(vp);
	vp->started = false;
	*s = (struct virtio_pci_state){
		.config_vector = VIRTIO_PCI_NO_VECTOR,
	};
	for (unsigned int i = 0; i < vp->params.n_queues; i++)
		s->queue[i] = (struct virtio_pci_queue){
			.size = vp->params.queue_size,
			.vector = VIRTIO_PCI_NO_VECTOR,
		};
	pci_set_intx(&vp->pci, false);
}

static uint64_t legacy_offer(const struct virtio_pci *vp)
{
	return vp->params.features & ~vp->params.modern_features & 0xffffffff;
}

static void set_status(struct virtio_pci *vp, uint8_t status)
{
	struct virtio_pci_state *s = vp->state;

	if (!status) {
		reset_state(vp);
		return;
	}
	/* 3.1.1: what was not offered, or is from before 1.0, is refused by
	 * the bit's not sticking. */
	if ((status & VIRTIO_S_FEATURES_OK) &&
	    ((s->features & ~vp->params.features) ||
	     !(s->features & BIT64(VIRTIO_F_VERSION_1))))
		status &= (uint8_t)~VIRTIO_S_FEATURES_OK;
	/* Only a reset clears a bit; ours the driver cannot set. */
	s->status |= status & (uint8_t)~VIRTIO_S_NEEDS_RESET;
	if ((s->status & VIRTIO_S_DRIVER_OK) && !vp->started) {
		vp->started = true;
		vp->params.ops->start(vp);
	}
}

static struct virtio_pci_queue *selected(struct virtio_pci *vp)
{
	uint16_t i = vp->state->queue_select;

	return i < vp->params.n_queues ? &vp->state->queue[i] : NULL;
}

static void notify(struct virtio_pci *vp, uint64_t queue)
{
	if (vp->started && queue < vp->params.n_queues)
		vp->params.ops->notify(vp, (unsigned int)queue);
}

bool virtio_pci_queue(const struct virtio_pci *vp, unsigned int queue,
		      struct vring_config *config)
{
	const struct virtio_pci_queue *q = &vp->state->queue[queue];

	*config = (struct vring_config){
		.size = q->size, .features = vp->state->features,
		.desc = q->desc, .driver = q->driver, .device = q->device,
	};
	return q->enabled;
}

/* ---- device configuration ---- */

static uint64_t device_read(struct virtio_pci *vp, uint64_t off,
			    unsigned int len)
{
	uint8_t buf[8] = { 0 };

	if (!range_within(off, len, vp->params.config_len))
		return 0;
	vp->params.ops->config_read(vp, (unsigned int)off, buf, len);
	return le64_load(buf);
}

static void device_write(struct virtio_pci *vp, uint64_t off, unsigned int len,
			 uint64_t val)
{
	uint8_t buf[8];

	le64_store(buf, val);
	if (vp->params.ops->config_write &&
	    range_within(off, len, vp->params.config_len))
		vp->params.ops->config_write(vp, (unsigned int)off, buf, len);
}

/* ---- modern ---- */

static uint32_t word(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> (N_FEATURE_BITS * select)) :
		0;
}

/* All of the structure, of which a read picks bytes. */
static uint64_t common_read(struct virtio_pci *vp, uint64_t off,
			    unsigned int len)
{
	const struct virtio_pci_state *s = vp->state;
	const struct virtio_pci_queue *q = selected(vp);
	uint8_t c[COMMON_LEN + 8] = { 0 };

	if (off >= COMMON_LEN)
		return 0;
	le32_store(c + VIRTIO_PCI_COMMON_DFSELECT, s->offer_select);
	le32_store(c + VIRTIO_PCI_COMMON_DF,
		   word(vp->params.features, s->offer_select));
	le32_store(c + VIRTIO_PCI_COMMON_GFSELECT, s->take_select);
	le32_store(c + VIRTIO_PCI_COMMON_GF, word(s->features,
						  s->take_select));
	le16_store(c + VIRTIO_PCI_COMMON_MSIX, s->config_vector);
	le16_store(c + VIRTIO_PCI_COMMON_NUMQ, (uint16_t)vp->params.n_queues);
	c[VIRTIO_PCI_COMMON_STATUS] = s->status;
	le16_store(c + VIRTIO_PCI_COMMON_Q_SELECT, s->queue_select);
	if (q) {
		le16_store(c + VIRTIO_PCI_COMMON_Q_SIZE, q->size);
		le16_store(c + VIRTIO_PCI_COMMON_Q_MSIX, q->vector);
		le16_store(c + VIRTIO_PCI_COMMON_Q_ENABLE, q->enabled);
		le16_store(c + VIRTIO_PCI_COMMON_Q_NOFF, s->queue_select);
		le64_store(c + VIRTIO_PCI_COMMON_Q_DESCLO, q->desc);
		le64_store(c + VIRTIO_PCI_COMMON_Q_AVAILLO, q->driver);
		le64_store(c + VIRTIO_PCI_COMMON_Q_USEDLO, q->device);
	} else {
		le16_store(c + VIRTIO_PCI_COMMON_Q_MSIX, VIRTIO_PCI_NO_VECTOR);
	}
	return le64_load(c + off) & (len == 8 ? ~0ull : BIT64(8 * len) - 1);
}

/* A queue's register; its addresses in halves, or whole. */
static void queue_write(struct virtio_pci *vp, struct virtio_pci_queue *q,
			unsigned int off, unsigned int len, uint64_t val)
{
	uint64_t *const addr[] = { &q->desc, &q->driver, &q->device };
	unsigned int i = (off - VIRTIO_PCI_COMMON_Q_DESCLO) / 8;

	if (off == VIRTIO_PCI_COMMON_Q_MSIX && len == 2) {
		q->vector = vector_taken(vp, val);
	} else if (q->enabled) {
		return;		/* 4.1.4.3.2: from now on it is as it is */
	} else if (off == VIRTIO_PCI_COMMON_Q_SIZE && len == 2) {
		if (val <= vp->params.queue_size)
			q->size = (uint16_t)val;
	} else if (off == VIRTIO_PCI_COMMON_Q_ENABLE && len == 2) {
		q->enabled = val == 1;
	} else if (off >= VIRTIO_PCI_COMMON_Q_DESCLO &&
		   i < ARRAY_SIZE(addr)) {
		if (len == 8 && !(off & 7))
			*addr[i] = val;
		else if (len == 4 && !(off & 7))
			*addr[i] = (*addr[i] & ~0xffffffffull) | val;
		else if (len == 4 && !(off & 3))
			*addr[i] = (uint32_t)*addr[i] | val << 32;
	}
}

static void common_write(struct virtio_pci *vp, uint64_t off, unsigned int len,
			 uint64_t val)
{
	struct virtio_pci_state *s = vp->state;
	struct virtio_pci_queue *q = selected(vp);
	unsigned int shift = N_FEATURE_BITS * s->take_select;

	if (off == VIRTIO_PCI_COMMON_DFSELECT && len == 4)
		s->offer_select = (uint32_t)val;
	else if (off == VIRTIO_PCI_COMMON_GFSELECT && len == 4)
		s->take_select = (uint32_t)val;
	else if (off == VIRTIO_PCI_COMMON_GF && len == 4) {
		if (s->take_select < 2 && !(s->status & VIRTIO_S_FEATURES_OK))
			s->features = (s->features & ~(0xffffffffull << shift))
				| val << shift;
	} else if (off == VIRTIO_PCI_COMMON_MSIX && len == 2)
		s->config_vector = vector_taken(vp, val);
	else if (off == VIRTIO_PCI_COMMON_STATUS && len == 1)
		set_status(vp, (uint8_t)val);
	else if (off == VIRTIO_PCI_COMMON_Q_SELECT && len == 2)
		s->queue_select = (uint16_t)val;
	else if (q && off < COMMON_LEN)
		queue_write(vp, q, (unsigned int)off, len, val);
}

static uint64_t modern_read(struct virtio_pci *vp, uint64_t off,
			    unsigned int len)
{
	switch (off & ~(uint64_t)(PAGE - 1)) {
	case AT_COMMON:
		return common_read(vp, off, len);
	case AT_ISR:
		return off == AT_ISR ? take_isr(vp) : 0;
	case AT_DEVICE:
		return device_read(vp, off - AT_DEVICE, len);
	default:
		return 0;
	}
}

static void modern_write(struct virtio_pci *vp, uint64_t off, unsigned int len,
			 uint64_t val)
{
	switch (off & ~(uint64_t)(PAGE - 1)) {
	case AT_COMMON:
		common_write(vp, off, len, val);
		break;
	case AT_DEVICE:
		device_write(vp, off - AT_DEVICE, len, val);
		break;
	case AT_NOTIFY:
		notify(vp, (off - AT_NOTIFY) / NOTIFY_STEP);
		break;
	}
}

/* ---- legacy: 4.1.4.10 ---- */

static unsigned int legacy_config(const struct virtio_pci *vp)
{
	return VIRTIO_PCI_CONFIG_OFF(pci_msix_enabled(&vp->pci));
}

static uint64_t legacy_read(struct virtio_pci *vp, uint64_t off,
			    unsigned int len)
{
	struct virtio_pci_state *s = vp->state;
	const struct virtio_pci_queue *q = selected(vp);

	if (off >= legacy_config(vp))
		return device_read(vp, off - legacy_config(vp), len);
	switch (off) {
	case VIRTIO_PCI_HOST_FEATURES:
		return legacy_offer(vp);
	case VIRTIO_PCI_GUEST_FEATURES:
		return s->features;
	case VIRTIO_PCI_QUEUE_PFN:
		return q ? q->desc >> LEGACY_PAGE_SHIFT : 0;
	case VIRTIO_PCI_QUEUE_NUM:
		return q ? vp->params.queue_size : 0;
	case VIRTIO_PCI_QUEUE_SEL:
		return s->queue_select;
	case VIRTIO_PCI_STATUS:
		return s->status;
	case VIRTIO_PCI_ISR:
		return take_isr(vp);
	case VIRTIO_MSI_CONFIG_VECTOR:
		return s->config_vector;
	case VIRTIO_MSI_QUEUE_VECTOR:
		return q ? q->vector : VIRTIO_PCI_NO_VECTOR;
	default:
		return 0;
	}
}

/* One page number for all three parts (2.7.2). */
static void set_pfn(struct virtio_pci *vp, struct virtio_pci_queue *q,
		    uint64_t pfn)
{
	uint64_t size = vp->params.queue_size;

	if (vp->started)
		return;
	q->size = vp->params.queue_size;
	q->desc = pfn << LEGACY_PAGE_SHIFT;
	q->driver = q->desc + 16 * size;
	q->device = align_up(q->driver + 2 * (3 + size),
			     VIRTIO_PCI_VRING_ALIGN);
	q->enabled = pfn;
}

static void legacy_write(struct virtio_pci *vp, uint64_t off, unsigned int len,
			 uint64_t val)
{
	struct virtio_pci_state *s = vp->state;
	struct virtio_pci_queue *q = selected(vp);

	if (off >= legacy_config(vp)) {
		device_write(vp, off - legacy_config(vp), len, val);
		return;
	}
	switch (off) {
	case VIRTIO_PCI_GUEST_FEATURES:
		if (!vp->started)
			s->features = val & legacy_offer(vp);
		break;
	case VIRTIO_PCI_QUEUE_PFN:
		if (q)
			set_pfn(vp, q, (uint32_t)val);
		break;
	case VIRTIO_PCI_QUEUE_SEL:
		s->queue_select = (uint16_t)val;
		break;
	case VIRTIO_PCI_QUEUE_NOTIFY:
		notify(vp, (uint16_t)val);
		break;
	case VIRTIO_PCI_STATUS:
		set_status(vp, (uint8_t)val);
		break;
	case VIRTIO_MSI_CONFIG_VECTOR:
		s->config_vector = vector_taken(vp, (uint16_t)val);
		break;
	case VIRTIO_MSI_QUEUE_VECTOR:
		if (q)
			q->vector = vector_taken(vp, (uint16_t)val);
		break;
	}
}

/* ---- as a PCI function ---- */

static uint64_t bar_read(struct pci_dev *pci, unsigned int bar, uint64_t off,
			 unsigned int len)
{
	if (bar == VIRTIO_PCI_BAR_LEGACY)
		return legacy_read(vp_of(pci), off, len);
	if (bar == VIRTIO_PCI_BAR_MODERN)
		return modern_read(vp_of(pci), off, len);
	return 0;
}

static void bar_write(struct pci_dev *pci, unsigned int bar, uint64_t off,
		      unsigned int len, uint64_t val)
{
	if (bar == VIRTIO_PCI_BAR_LEGACY)
		legacy_write(vp_of(pci), off, len, val);
	else if (bar == VIRTIO_PCI_BAR_MODERN)
		modern_write(vp_of(pci), off, len, val);
}

static void reset(struct pci_dev *pci, enum pci_reset kind)
{
	reset_state(vp_of(pci));
}

static const struct pci_dev_ops pci_ops = {
	.model = "virtio",
	.state_version = 1,
	.state_size = sizeof(struct virtio_pci_state),
	.bar_read = bar_read,
	.bar_write = bar_write,
	.reset = reset,
};

static void add_caps(struct pci_dev *pci)
{
	static const struct {
		uint8_t type;
		uint32_t at, len;
	} row[] = {
		{ VIRTIO_PCI_CAP_COMMON_CFG, AT_COMMON, PAGE },
		{ VIRTIO_PCI_CAP_ISR_CFG, AT_ISR, PAGE },
		{ VIRTIO_PCI_CAP_DEVICE_CFG, AT_DEVICE, PAGE },
		{ VIRTIO_PCI_CAP_NOTIFY_CFG, AT_NOTIFY, PAGE },
	};
	const struct pci_msix_place place = {
		.bar = VIRTIO_PCI_BAR_MSIX, .pba_bar = VIRTIO_PCI_BAR_MSIX,
		.table_off = 0, .pba_off = MSIX_PBA,
	};

	pci_add_msix(pci, 0, &place);
	for (unsigned int i = 0; i < ARRAY_SIZE(row); i++) {
		uint8_t cap[sizeof(struct virtio_pci_notify_cap)] = { 0 };
		bool notifies = row[i].type == VIRTIO_PCI_CAP_NOTIFY_CFG;

		cap[VIRTIO_PCI_CAP_CFG_TYPE] = row[i].type;
		cap[VIRTIO_PCI_CAP_BAR] = VIRTIO_PCI_BAR_MODERN;
		le32_store(cap + VIRTIO_PCI_CAP_OFFSET, row[i].at);
		le32_store(cap + VIRTIO_PCI_CAP_LENGTH, row[i].len);
		le32_store(cap + VIRTIO_PCI_NOTIFY_CAP_MULT, NOTIFY_STEP);
		pci_add_vendor_cap(pci, 0, cap, notifies ? sizeof(cap) :
				   sizeof(struct virtio_pci_cap));
	}
}

int virtio_pci_init(struct virtio_pci *vp,
		    const struct virtio_pci_params *params)
{
	const struct pci_ident ident = {
		.vendor = VENDOR, .device = params->legacy_device,
		.subsys_vendor = VENDOR, .subsys = params->type,
		.class_code = params->class_code, .intx_pin = 1,
		/* One a queue, and one for the configuration. */
		.n_msix = (uint16_t)(params->n_queues + 1),
	};
	static const struct pci_bar bars[PCI_N_BARS + 1] = {
		[VIRTIO_PCI_BAR_LEGACY] = { PCI_BAR_IO, false,
					    VIRTIO_PCI_LEGACY_SIZE },
		[VIRTIO_PCI_BAR_MSIX] = { PCI_BAR_MEM32, false, MSIX_SIZE },
		[VIRTIO_PCI_BAR_MODERN] = { PCI_BAR_MEM64, true, MODERN_SIZE },
	};
	int err;

	memset(vp, 0, sizeof(*vp));
	vp->params = *params;
	vp->params.features |= BIT64(VIRTIO_F_VERSION_1);
	err = pci_dev_init(&vp->pci, &pci_ops, params->name, &ident, bars,
			   PCI_CONFIG_SIZE);
	if (err)
		return err;
	vp->state = (struct virtio_pci_state *)vp->pci.state->model;
	add_caps(&vp->pci);
	return 0;
}

void virtio_pci_fini(struct virtio_pci *vp)
{
	if (vp->started)
		vp->params.ops->stop(vp);
	vp->started = false;
	pci_dev_fini(&vp->pci);
}
