/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio over PCI as the driver sees it: BARs, the capabilities that say where
 * in them things are, the common configuration, and the legacy interface's
 * registers (VIRTIO 1.2, 4.1).
 */
#ifndef VIRTIO_PCI_REGS_H
#define VIRTIO_PCI_REGS_H

#include <assert.h>
#include <stddef.h>

#include "base/byteorder.h"
#include "base/util.h"

enum virtio_pci_bar {
	BAR_LEGACY = 0,		/* ports; of a transitional device */
	BAR_MSIX = 1,
	BAR_MODERN = 4,		/* everything else */
};

/* BAR_MODERN: a page for each structure, so that a host can treat the doorbells
 * apart from the rest. */
enum {
	PART_COMMON = 0x0000,
	PART_ISR = 0x1000,
	PART_DEVICE = 0x2000,
	PART_NOTIFY = 0x3000,
	PART_SIZE = 0x1000,
	MODERN_SIZE = 0x4000,
};

/* BAR_MSIX. */
enum {
	MSIX_TABLE_OFF = 0x000,
	MSIX_PBA_OFF = 0x800,
	MSIX_SIZE = 0x1000,
};

/* A doorbell for each queue, one behind the other (4.1.4.4). */
enum { NOTIFY_MULTIPLIER = 4 };

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
	CAP_COMMON_CFG = 1,
	CAP_NOTIFY_CFG = 2,
	CAP_ISR_CFG = 3,
	CAP_DEVICE_CFG = 4,
	CAP_PCI_CFG = 5,
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
#define NO_VECTOR 0xffffu

/* Bits of the ISR status (4.1.4.5). */
enum virtio_pci_isr {
	ISR_QUEUE = 1,		/* buffers have been used */
	ISR_CONFIG = 2,		/* the configuration has changed */
};

/* The legacy interface (4.1.4.10): offsets in BAR_LEGACY. */
enum virtio_pci_legacy_reg {
	LEGACY_DEVICE_FEATURES = 0,	/* 4 bytes */
	LEGACY_DRIVER_FEATURES = 4,	/* 4 */
	LEGACY_QUEUE_ADDRESS = 8,	/* 4: in units of LEGACY_ALIGN */
	LEGACY_QUEUE_SIZE = 12,		/* 2, read only */
	LEGACY_QUEUE_SELECT = 14,	/* 2 */
	LEGACY_QUEUE_NOTIFY = 16,	/* 2 */
	LEGACY_DEVICE_STATUS = 18,	/* 1 */
	LEGACY_ISR_STATUS = 19,		/* 1, read only */
	/* With MSI-X enabled; else the device's configuration is here. */
	LEGACY_CONFIG_VECTOR = 20,	/* 2 */
	LEGACY_QUEUE_VECTOR = 22,	/* 2 */

	LEGACY_CONFIG = 20,		/* device configuration without MSI-X */
	LEGACY_CONFIG_MSIX = 24,	/* and with it */
	LEGACY_SIZE = 64,		/* of the BAR */
	LEGACY_ALIGN = 4096,		/* of a queue, and of its used ring
					 * (2.7.2) */
};

#endif
