/* SPDX-License-Identifier: Apache-2.0
 *
 * struct virtio_net_hdr to and from struct frame.
 */
#include "port/vnet_hdr.h"

#include <errno.h>
#include <string.h>

#include "port/gso.h"
#include "proto/tcp.h"
#include "proto/udp.h"

static enum frame_gso gso_of(uint8_t gso_type)
{
	switch (gso_type & ~VNET_HDR_GSO_ECN) {
	case VNET_HDR_GSO_TCP4:
		return FRAME_GSO_TCP4;
	case VNET_HDR_GSO_TCP6:
		return FRAME_GSO_TCP6;
	case VNET_HDR_GSO_UDP:
		return FRAME_GSO_UDP;
	}
	return FRAME_GSO_NONE;
}

/* Headers end where the L4 header does, which begins at csum_start. */
static int get_gso_hdr_len(struct frame *frame)
{
	uint32_t l4_off = frame->csum_start;
	struct tcp_hdr tcp;

	if (frame->gso == FRAME_GSO_UDP) {
		frame->gso_hdr_len = (uint16_t)(l4_off +
						sizeof(struct udp_hdr));
		return frame->gso_hdr_len <= frame->hdr_len ? 0 : -EINVAL;
	}
	if (!range_within(l4_off, sizeof(tcp), frame->hdr_len))
		return -EINVAL;
	memcpy(&tcp, frame->hdr + l4_off, sizeof(tcp));
	frame->gso_hdr_len = (uint16_t)(l4_off + tcp_hdr_len(&tcp));
	return 0;
}

int vnet_hdr_get(const struct vnet_hdr *hdr, struct frame *frame)
{
	if (hdr->flags & VNET_HDR_NEEDS_CSUM) {
		frame->flags |= FRAME_CSUM_PARTIAL;
		frame->csum_start = le16_get(hdr->csum_start);
		frame->csum_offset = le16_get(hdr->csum_offset);
		if (!csum_check(frame))
			return -EINVAL;
	} else if (hdr->flags & VNET_HDR_DATA_VALID) {
		frame->flags |= FRAME_CSUM_VALID;
	}
	if (hdr->gso_type == VNET_HDR_GSO_NONE)
		return 0;

	frame->gso = (uint8_t)gso_of(hdr->gso_type);
	frame->gso_size = le16_get(hdr->gso_size);
	if (!frame->gso || !(frame->flags & FRAME_CSUM_PARTIAL) ||
	    get_gso_hdr_len(frame) < 0)
		return -EINVAL;
	return gso_check(frame) ? 0 : -EINVAL;
}

static uint8_t gso_type_of(const struct frame *frame)
{
	static const uint8_t types[] = {
		[FRAME_GSO_TCP4] = VNET_HDR_GSO_TCP4,
		[FRAME_GSO_TCP6] = VNET_HDR_GSO_TCP6,
		[FRAME_GSO_UDP] = VNET_HDR_GSO_UDP,
	};
	uint8_t type = types[frame->gso];

	if (gso_is_ecn(frame))
		type |= VNET_HDR_GSO_ECN;
	return type;
}

void vnet_hdr_put(const struct frame *frame, struct vnet_hdr *hdr)
{
	memset(hdr, 0, sizeof(*hdr));
	if (frame->flags & FRAME_CSUM_PARTIAL) {
		hdr->flags = VNET_HDR_NEEDS_CSUM;
		hdr->csum_start = le16_of(frame->csum_start);
		hdr->csum_offset = le16_of(frame->csum_offset);
	} else if (frame->flags & FRAME_CSUM_VALID) {
		hdr->flags = VNET_HDR_DATA_VALID;
	}
	if (frame->gso) {
		hdr->gso_type = gso_type_of(frame);
		hdr->gso_size = le16_of(frame->gso_size);
		hdr->hdr_len = le16_of(frame->gso_hdr_len);
	}
}
