/* SPDX-License-Identifier: Apache-2.0
 *
 * ARP for IPv4 over Ethernet (RFC 826), and RARP, which looks the same (903).
 */
#ifndef PROTO_ARP_H
#define PROTO_ARP_H

#include "proto/eth.h"

enum arp_op { ARP_REQUEST = 1, ARP_REPLY = 2, RARP_REQUEST = 3 };

enum { ARP_HW_ETHER = 1 };

struct arp_hdr {
	be16 hw_type;		/* 1: Ethernet */
	be16 proto_type;	/* ETH_TYPE_IP4 */
	uint8_t hw_len;		/* 6 */
	uint8_t proto_len;	/* 4 */
	be16 op;		/* enum arp_op */
	uint8_t sender_hw[ETH_ADDR_LEN];
	uint8_t sender_ip[4];
	uint8_t target_hw[ETH_ADDR_LEN]; /* zero in a request */
	uint8_t target_ip[4];
};
_Static_assert(sizeof(struct arp_hdr) == 28, "arp_hdr");

#endif
