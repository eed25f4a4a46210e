/* SPDX-License-Identifier: Apache-2.0
 *
 * A virtio device on PCI: identity, legacy and modern registers, interrupts
 * (VIRTIO 1.2, 4.1).  Transitional: a driver chooses by what it touches.
 *
 * What kind of device it is says struct virtio_pci_ops; who hosts it, like any
 * struct pci_dev, is not known here.
 *
 *	BAR 0	64 ports	legacy registers, device configuration
 *	BAR 1	memory		MSI-X table and pending bits
 *	BAR 4	memory, 64 bit	modern: common configuration, ISR, device
 *				configuration, notifications, a page each
 *
 * There is no VIRTIO_PCI_CAP_PCI_CFG: no way into the BARs through config space
 * for firmware that cannot reach them.
 *
 * Life of a driver's use: features and queues are set up, start() when it says
 * DRIVER_OK, notify(), and stop() when it resets the device or bus.
 *
 * Threads: one at a time, as for struct pci_dev.
 */
#ifndef VIRTIO_PCI_VIRTIO_PCI_H
#define VIRTIO_PCI_VIRTIO_PCI_H

#include <stdint.h>

#include "base/util.h"
#include "pci/pci.h"
#include "virtio/ring.h"

struct virtio_pci;

enum {
	VIRTIO_PCI_QUEUES_MAX = 64,
	VIRTIO_PCI_BAR_LEGACY = 0, VIRTIO_PCI_BAR_MSIX = 1,
	VIRTIO_PCI_BAR_MODERN = 4,
	VIRTIO_PCI_LEGACY_SIZE = 64,
	VIRTIO_PCI_NO_VECTOR = 0xffff,
};

struct virtio_pci_ops {
	/* Device configuration; within config_len.  write may be NULL. */
	void (*config_read)(struct virtio_pci *vp, unsigned int off,
			    uint8_t *buf, unsigned int len);
	void (*config_write)(struct virtio_pci *vp, unsigned int off,
			     const uint8_t *buf, unsigned int len);

	/** start - the driver is there, see virtio_pci_queue() */
	void (*start)(struct virtio_pci *vp);

	/** stop - it has gone; when this returns nothing touches its memory */
	void (*stop)(struct virtio_pci *vp);

	/** notify - there is something in @queue (checked) */
	void (*notify)(struct virtio_pci *vp, unsigned int queue);
};

struct virtio_pci_params {
	const char *name;		/* for messages; outlives the device */
	const struct virtio_pci_ops *ops;
	uint16_t type;			/* VIRTIO_ID_*, of the modern device */
	uint16_t legacy_device;		/* PCI device ID of the legacy one */
	uint32_t class_code;
	uint64_t features;		/* offered, the rings' included */
	uint64_t modern_features;	/* of them, not to a legacy driver */
	unsigned int n_queues;		/* up to VIRTIO_PCI_QUEUES_MAX */
	uint16_t queue_size;		/* a power of two */
	unsigned int config_len;	/* of the device configuration */
};

/* A queue as the driver has set it up. */
struct virtio_pci_queue {
	uint64_t desc, driver, device;	/* guest addresses */
	uint16_t size;
	uint16_t vector;		/* of MSI-X */
	bool enabled;
};

/* What a guest can see; in the state block. */
struct virtio_pci_state {
	uint64_t features;		/* that the driver takes */
	uint32_t offer_select, take_select;	/* feature words */
	uint16_t queue_select;
	uint16_t config_vector;
	uint8_t status;			/* VIRTIO_S_* */
	uint8_t isr;			/* bit 0: a queue; 1: configuration */
	struct virtio_pci_queue queue[VIRTIO_PCI_QUEUES_MAX];
};

struct virtio_pci {
	struct pci_dev pci;
	struct virtio_pci_params params;
	struct virtio_pci_state *state;
	bool started;			/* between start() and stop() */
};

/** virtio_pci_init() - then set pci.dma and pci.irq, and reset; 0 or -ENOMEM */
int must_check virtio_pci_init(struct virtio_pci *vp,
			       const struct virtio_pci_params *params);
void virtio_pci_fini(struct virtio_pci *vp);

/** virtio_pci_queue() - what vring_start() is to be told; false: the driver
 * does not use that queue */
bool virtio_pci_queue(const struct virtio_pci *vp, unsigned int queue,
		      struct vring_config *config);

/** virtio_pci_call() - interrupt the driver for @queue */
void virtio_pci_call(struct virtio_pci *vp, unsigned int queue);

/** virtio_pci_broken() - the device needs a reset; the driver is told */
void virtio_pci_broken(struct virtio_pci *vp);

#endif
