/* SPDX-License-Identifier: Apache-2.0
 *
 * The network device as the driver sees it: feature bits, configuration space,
 * packet header, control commands (VIRTIO 1.2, 5.1).
 */
#ifndef VIRTIO_NET_WIRE_H
#define VIRTIO_NET_WIRE_H

#include "base/byteorder.h"
#include "base/util.h"
#include "port/vnet_hdr.h"

/* Feature bits, by number (5.1.3).  GUEST_: what the driver takes; HOST_: what
 * it may send. */
enum virtio_net_feature {
	VIRTIO_NET_F_CSUM = 0,		/* may send partial checksums */
	VIRTIO_NET_F_GUEST_CSUM = 1,	/* takes partial checksums */
	VIRTIO_NET_F_CTRL_GUEST_OFFLOADS = 2,
	VIRTIO_NET_F_MTU = 3,
	VIRTIO_NET_F_MAC = 5,
	VIRTIO_NET_F_GUEST_TSO4 = 7,
	VIRTIO_NET_F_GUEST_TSO6 = 8,
	VIRTIO_NET_F_GUEST_ECN = 9,
	VIRTIO_NET_F_GUEST_UFO = 10,
	VIRTIO_NET_F_HOST_TSO4 = 11,
	VIRTIO_NET_F_HOST_TSO6 = 12,
	VIRTIO_NET_F_HOST_ECN = 13,
	VIRTIO_NET_F_HOST_UFO = 14,
	VIRTIO_NET_F_MRG_RXBUF = 15,	/* a packet may fill several buffers */
	VIRTIO_NET_F_STATUS = 16,
	VIRTIO_NET_F_CTRL_VQ = 17,
	VIRTIO_NET_F_CTRL_RX = 18,
	VIRTIO_NET_F_CTRL_VLAN = 19,
	VIRTIO_NET_F_CTRL_RX_EXTRA = 20,
	VIRTIO_NET_F_GUEST_ANNOUNCE = 21,
	VIRTIO_NET_F_MQ = 22,
	VIRTIO_NET_F_CTRL_MAC_ADDR = 23,
	VIRTIO_NET_F_NOTF_COAL = 53,
	VIRTIO_NET_F_GUEST_USO4 = 54,
	VIRTIO_NET_F_GUEST_USO6 = 55,
	VIRTIO_NET_F_HOST_USO = 56,
	VIRTIO_NET_F_HASH_REPORT = 57,
	VIRTIO_NET_F_RSS = 60,
	VIRTIO_NET_F_SPEED_DUPLEX = 63,
};

/* Configuration space (5.1.4). */
struct virtio_net_config_space {
	uint8_t mac[6];
	le16 status;			/* enum virtio_net_status */
	le16 max_pairs;			/* of receive and transmit queues */
	le16 mtu;
	le32 speed;			/* Mbit/s */
	uint8_t duplex;			/* 1: full */
	uint8_t rss_max_key_len;
	le16 rss_max_table_len;
	le32 hash_types;		/* enum virtio_net_hash_type */
};
_Static_assert(sizeof(struct virtio_net_config_space) == 24, "net config");

enum virtio_net_status {
	VIRTIO_NET_S_LINK_UP = 1,
	VIRTIO_NET_S_ANNOUNCE = 2,	/* the driver is to announce itself */
};

/* Before each packet (5.1.6): vnet_hdr, then, as negotiated, what follows. */
struct virtio_net_hdr {
	struct vnet_hdr vnet;
	le16 n_buffers;		/* VERSION_1 or MRG_RXBUF */
	le32 hash;		/* HASH_REPORT */
	le16 hash_report;	/* enum virtio_net_hash_report */
	le16 padding;
};
enum {
	VIRTIO_NET_HDR_LEGACY = 10,	/* neither VERSION_1 nor MRG_RXBUF */
	VIRTIO_NET_HDR_LEN = 12,
	VIRTIO_NET_HDR_HASH_LEN = 20,
};
_Static_assert(sizeof(struct virtio_net_hdr) == VIRTIO_NET_HDR_HASH_LEN,
	       "virtio_net_hdr");

/* What a hash may be made of (5.1.6.4.3), and what it was made of (...4.4). */
enum virtio_net_hash_type {
	HASH_TYPE_IP4 = 1 << 0,
	HASH_TYPE_TCP4 = 1 << 1,
	HASH_TYPE_UDP4 = 1 << 2,
	HASH_TYPE_IP6 = 1 << 3,
	HASH_TYPE_TCP6 = 1 << 4,
	HASH_TYPE_UDP6 = 1 << 5,
	/* The variants with IPv6 extension headers' addresses are not made. */
	HASH_TYPES_ALL = (1 << 6) - 1,
};

enum virtio_net_hash_report {
	HASH_REPORT_NONE = 0,
	HASH_REPORT_IP4 = 1,
	HASH_REPORT_TCP4 = 2,
	HASH_REPORT_UDP4 = 3,
	HASH_REPORT_IP6 = 4,
	HASH_REPORT_TCP6 = 5,
	HASH_REPORT_UDP6 = 6,
};

/* Control queue (5.1.6.5): class and command, data; the answer is one byte. */
struct virtio_net_ctrl_hdr {
	uint8_t class;
	uint8_t cmd;
};

enum { CTRL_OK = 0, CTRL_ERR = 1 };

enum virtio_net_ctrl_class {
	CTRL_RX = 0,
	CTRL_MAC = 1,
	CTRL_VLAN = 2,
	CTRL_ANNOUNCE = 3,
	CTRL_MQ = 4,
	CTRL_OFFLOADS = 5,
	CTRL_COAL = 6,
};

enum virtio_net_ctrl_cmd {
	CTRL_RX_PROMISC = 0,
	CTRL_RX_ALLMULTI = 1,
	CTRL_RX_ALLUNI = 2,
	CTRL_RX_NOMULTI = 3,
	CTRL_RX_NOUNI = 4,
	CTRL_RX_NOBCAST = 5,

	CTRL_MAC_TABLE_SET = 0,
	CTRL_MAC_ADDR_SET = 1,

	CTRL_VLAN_ADD = 0,
	CTRL_VLAN_DEL = 1,

	CTRL_ANNOUNCE_ACK = 0,

	CTRL_MQ_PAIRS_SET = 0,
	CTRL_MQ_RSS_CONFIG = 1,
	CTRL_MQ_HASH_CONFIG = 2,

	CTRL_OFFLOADS_SET = 0,

	CTRL_COAL_TX_SET = 0,
	CTRL_COAL_RX_SET = 1,
};

enum {
	RSS_KEY_MAX = 40,		/* bytes */
	RSS_TABLE_MAX = 128,		/* entries */
	MAC_FILTER_MAX = 64,		/* addresses, unicast and multicast */
};

#endif
