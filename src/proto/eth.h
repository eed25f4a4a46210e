/* SPDX-License-Identifier: Apache-2.0
 *
 * Ethernet: header, addresses, types; 802.1Q tags.
 */
#ifndef PROTO_ETH_H
#define PROTO_ETH_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/util.h"

enum {
	ETH_ADDR_LEN = 6,
	ETH_HDR_LEN = 14,
	ETH_TAG_LEN = 4,	/* 802.1Q: type and control information */
	/* A type field below this is a length (IEEE 802.3, 3.2.6). */
	ETH_TYPE_MIN = 0x0600,
};

enum eth_type {
	ETH_TYPE_IP4 = 0x0800,
	ETH_TYPE_ARP = 0x0806,
	ETH_TYPE_RARP = 0x8035,
	ETH_TYPE_VLAN = 0x8100,	/* 802.1Q customer tag */
	ETH_TYPE_IP6 = 0x86dd,
	ETH_TYPE_QINQ = 0x88a8,	/* 802.1ad service tag */
};

struct eth_hdr {
	uint8_t dst[ETH_ADDR_LEN];	/* to whom */
	uint8_t src[ETH_ADDR_LEN];	/* from whom */
	be16 type;			/* enum eth_type, or a length */
};
_Static_assert(sizeof(struct eth_hdr) == ETH_HDR_LEN, "eth_hdr");

/* Follows the addresses, in front of the type. */
struct vlan_tag {
	be16 tpid;	/* ETH_TYPE_VLAN or ETH_TYPE_QINQ */
	be16 tci;	/* PCP (3 bits), DEI (1), VID (12) */
};
_Static_assert(sizeof(struct vlan_tag) == ETH_TAG_LEN, "vlan_tag");

enum { VLAN_VID_MASK = 0x0fff, VLAN_DEI = 0x1000, VLAN_PCP_SHIFT = 13 };

/* The I/G bit: multicast, broadcast included. */
static inline bool eth_addr_is_multicast(const uint8_t *addr)
{
	return addr[0] & 1;
}

/* An address as the low 48 bits of a number; to compare and to hash. */
static inline uint64_t eth_addr_key(const uint8_t *addr)
{
	uint32_t head;
	uint16_t tail;

	memcpy(&head, addr, sizeof(head));
	memcpy(&tail, addr + sizeof(head), sizeof(tail));
	return head | (uint64_t)tail << 32;
}

static inline bool eth_addr_is_zero(const uint8_t *addr)
{
	return !eth_addr_key(addr);
}

/* 01-80-C2-00-00-00 to -0F: not forwarded by bridges (802.1D, 7.12.6). */
static inline bool eth_addr_is_reserved(const uint8_t *addr)
{
	static const uint8_t prefix[5] = { 0x01, 0x80, 0xc2, 0x00, 0x00 };

	return !memcmp(addr, prefix, sizeof(prefix)) && addr[5] < 0x10;
}

/**
 * eth_addr_parse() - "52:54:00:12:34:56", in either case, nothing after it
 *
 * Return: 0, or -EINVAL with @addr as it was.
 */
int must_check eth_addr_parse(const char *text, uint8_t *addr);

#endif
