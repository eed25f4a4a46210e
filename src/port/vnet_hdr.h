/* SPDX-License-Identifier: Apache-2.0
 *
 * struct virtio_net_hdr, the offloads of a frame as virtio and Linux's tap
 * write them before it, to and from struct frame.
 *
 * Only the ten bytes that all variants begin with; little-endian, as virtio 1
 * has it and as a tap has on the hosts we run on.
 */
#ifndef PORT_VNET_HDR_H
#define PORT_VNET_HDR_H

#include "base/byteorder.h"
#include "base/util.h"
#include "port/frame.h"

enum { VNET_HDR_LEN = 10 };

struct vnet_hdr {
	uint8_t flags;		/* enum vnet_hdr_flags */
	uint8_t gso_type;	/* enum vnet_hdr_gso */
	le16 hdr_len;		/* a hint, never trusted */
	le16 gso_size;
	le16 csum_start;
	le16 csum_offset;
};
_Static_assert(sizeof(struct vnet_hdr) == VNET_HDR_LEN, "vnet_hdr");

/* virtio 1.2, 5.1.6 */
enum vnet_hdr_flags {
	VNET_HDR_NEEDS_CSUM = 1,
	VNET_HDR_DATA_VALID = 2,
};

enum vnet_hdr_gso {
	VNET_HDR_GSO_NONE = 0,
	VNET_HDR_GSO_TCP4 = 1,
	VNET_HDR_GSO_UFO = 3,		/* IP fragments of UDP: not taken */
	VNET_HDR_GSO_TCP6 = 4,
	VNET_HDR_GSO_UDP = 5,		/* USO */
	VNET_HDR_GSO_ECN = 0x80,	/* or'ed: CWR on the first only */
};

/**
 * vnet_hdr_get() - take @hdr over into a filled frame
 *
 * To be called before frame_pop_vlan(): offsets count from the first byte.
 *
 * Return: 0, or -EINVAL: @hdr contradicts itself or the frame.
 */
int must_check vnet_hdr_get(const struct vnet_hdr *hdr, struct frame *frame);

/** vnet_hdr_put() - describe @frame, whose tag is in the bytes if anywhere */
void vnet_hdr_put(const struct frame *frame, struct vnet_hdr *hdr);

#endif
