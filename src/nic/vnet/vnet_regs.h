/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio over PCI as the driver sees it: BARs, the capabilities that say where
 * in them things are, and the common configuration (VIRTIO 1.2, 4.1).
 */
#ifndef VNET_REGS_H
#define VNET_REGS_H

#include <assert.h>
#include <stddef.h>

#include "base/byteorder.h"
#include "base/util.h"

enum vnet_bar {
	VNET_BAR_REGS = 0,	/* everything but MSI-X */
	VNET_BAR_MSIX = 1,
};

/* VNET_BAR_REGS: a page for each structure, so that a client can treat the
 * doorbells apart from the rest. */
enum {
	VNET_COMMON = 0x0000,
	VNET_ISR = 0x1000,
	VNET_DEVICE = 0x2000,
	VNET_NOTIFY = 0x3000,
	VNET_PART_SIZE = 0x1000,
	VNET_REGS_SIZE = 0x4000,
};

/* VNET_BAR_MSIX. */
enum {
	VNET_MSIX_TABLE = 0x000,
	VNET_MSIX_PBA = 0x800,
	VNET_MSIX_SIZE = 0x1000,
};

/* A doorbell for each queue, one behind the other (4.1.4.4). */
enum { VNET_NOTIFY_MULTIPLIER = 4 };

/* A vendor specific capability (4.1.4). */
struct virtio_pci_cap {
	uint8_t id, next, len;	/* as of any such capability */
	uint8_t type;		/* enum virtio_pci_cap_type */
	uint8_t bar;		/* which one */
	uint8_t instance;	/* of several of the same type */
	uint8_t padding[2];
	le32 offset;		/* in the BAR */
	le32 length;		/* bytes */
};
static_assert(sizeof(struct virtio_pci_cap) == 16, "virtio_pci_cap");

struct virtio_pci_notify_cap {
	struct virtio_pci_cap cap;
	le32 multiplier;	/* of queue_notify_off */
};
static_assert(sizeof(struct virtio_pci_notify_cap) == 20,
	      "virtio_pci_notify_cap");

/* A window to the BARs for those who cannot map them (4.1.4.9). */
struct virtio_pci_cfg_cap {
	struct virtio_pci_cap cap;	/* bar, offset, length: writable */
	uint8_t data[4];		/* what is there */
};
static_assert(sizeof(struct virtio_pci_cfg_cap) == 20, "virtio_pci_cfg_cap");

enum virtio_pci_cap_type {
	VIRTIO_PCI_CAP_COMMON = 1,
	VIRTIO_PCI_CAP_NOTIFY = 2,
	VIRTIO_PCI_CAP_ISR = 3,
	VIRTIO_PCI_CAP_DEVICE = 4,
	VIRTIO_PCI_CAP_PCI_CFG = 5,
};

/* The common configuration (4.1.4.3).  Fields from queue_size on are those of
 * the queue selected. */
struct virtio_pci_common {
	le32 device_feature_select;
	le32 device_feature;		/* read only */
	le32 driver_feature_select;
	le32 driver_feature;
	le16 config_vector;
	le16 num_queues;		/* read only */
	uint8_t device_status;
	uint8_t config_generation;	/* read only */

	le16 queue_select;
	le16 queue_size;
	le16 queue_vector;
	le16 queue_enable;
	le16 queue_notify_off;		/* read only */
	le32 queue_desc_lo, queue_desc_hi;
	le32 queue_driver_lo, queue_driver_hi;
	le32 queue_device_lo, queue_device_hi;
	le16 queue_notify_data;		/* read only */
	le16 queue_reset;
};
static_assert(sizeof(struct virtio_pci_common) == 60, "virtio_pci_common");

/* "No MSI-X vector", and the answer to one that there is not (4.1.5.1.2). */
#define VIRTIO_NO_VECTOR 0xffffu

/* Bits of the ISR status (4.1.4.5). */
enum virtio_isr {
	VIRTIO_ISR_QUEUE = 1,	/* buffers have been used */
	VIRTIO_ISR_CONFIG = 2,	/* the configuration has changed */
};

#endif
