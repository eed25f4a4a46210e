/* SPDX-License-Identifier: Apache-2.0
 *
 * What every virtio device has: feature bits and status bits (VIRTIO 1.2,
 * sections 2.1, 2.2 and 6).
 */
#ifndef VIRTIO_VIRTIO_H
#define VIRTIO_VIRTIO_H

#include "base/util.h"

/* Feature bits of the rings and the transport, by number. */
enum virtio_feature {
	VIRTIO_F_INDIRECT_DESC = 28,	/* tables of descriptors */
	VIRTIO_F_EVENT_IDX = 29,	/* notify me at this index */
	VIRTIO_F_VERSION_1 = 32,	/* not a legacy device */
	VIRTIO_F_ACCESS_PLATFORM = 33,	/* addresses pass an IOMMU */
	VIRTIO_F_RING_PACKED = 34,	/* packed rings instead of split ones */
	VIRTIO_F_IN_ORDER = 35,		/* buffers are used as they come */
	VIRTIO_F_RING_RESET = 40,	/* one queue can be reset alone */
};

/* The device status field. */
enum virtio_status {
	VIRTIO_S_ACKNOWLEDGE = 1,	/* the driver has seen the device */
	VIRTIO_S_DRIVER = 2,		/* and can drive it */
	VIRTIO_S_DRIVER_OK = 4,		/* it may be used */
	VIRTIO_S_FEATURES_OK = 8,	/* negotiation is over */
	VIRTIO_S_NEEDS_RESET = 64,	/* the device has given up */
	VIRTIO_S_FAILED = 128,		/* the driver has given up */
};

#endif
