/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio-net: which frames the driver wants to receive (VIRTIO 1.2, 5.1.6.5.1
 * to 5.1.6.5.3).
 */
#include <string.h>

#include "proto/eth.h"
#include "virtio/net_internal.h"

static bool listed(const uint8_t (*addrs)[6], unsigned int n,
		   const uint8_t *addr)
{
	for (unsigned int i = 0; i < n; i++)
		if (!memcmp(addrs[i], addr, ETH_ADDR_LEN))
			return true;
	return false;
}

static bool wants_vlan(const struct virtio_net *net, const struct frame *frame)
{
	const struct virtio_net_filter *f = &net->filter;
	struct vlan_tag tag;
	uint16_t vid;

	if (!has_feature(net, VIRTIO_NET_F_CTRL_VLAN) ||
	    frame->hdr_len < ETH_HDR_LEN + ETH_TAG_LEN)
		return true;
	/* This port takes no tag beside the bytes. */
	memcpy(&tag, frame->hdr + 2 * ETH_ADDR_LEN, sizeof(tag));
	if (be16_get(tag.tpid) != ETH_TYPE_VLAN)
		return true;
	vid = be16_get(tag.tci) & VLAN_VID_MASK;
	return f->vlans[vid / 64] & BIT64(vid % 64);
}

static bool wants_address(const struct virtio_net *net, const uint8_t *dst)
{
	static const uint8_t broadcast[6] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff
	};
	const struct virtio_net_filter *f = &net->filter;

	if (!memcmp(dst, broadcast, sizeof(broadcast)))
		return !f->nobcast;
	if (eth_addr_is_multicast(dst)) {
		if (f->nomulti)
			return false;
		return f->allmulti || f->multi_overflow ||
		       listed(f->multi, f->n_multi, dst);
	}
	if (f->nouni)
		return false;
	return f->alluni || f->uni_overflow ||
	       !memcmp(dst, net->own_mac, sizeof(net->own_mac)) ||
	       listed(f->uni, f->n_uni, dst);
}

bool net_wants(const struct virtio_net *net, const struct frame *frame)
{
	/* A driver without CTRL_RX cannot leave that mode, which it has not
	 * asked for either: of its filters there is the VLANs'. */
	if (!has_feature(net, VIRTIO_NET_F_CTRL_RX))
		return wants_vlan(net, frame);
	/* All that comes, tagged or not: there may be a bridge behind it. */
	return net->filter.promisc ||
		(wants_vlan(net, frame) && wants_address(net, frame->hdr));
}
