/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests: packets put together, and taken apart by code that shares nothing
 * with what is tested.
 */
#ifndef TESTS_PACKET_H
#define TESTS_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

enum { PACKET_MAX = 70000 };

/* What a packet is to be. */
struct packet_spec {
	uint8_t dst, src;	/* last bytes of 52:54:00:00:00:xx; dst 255:
				 * broadcast */
	bool ip6;		/* else IPv4 */
	bool udp;		/* else TCP */
	bool qinq;		/* two tags in the bytes: 0x88a8, 0x8100 */
	unsigned int ip_options; /* bytes of IPv4 options or IPv6 extensions;
				  * multiple of 4, or of 8 */
	unsigned int tcp_options; /* bytes, multiple of 4 */
	uint8_t tcp_flags;
	uint32_t payload_len;
	uint32_t seed;		/* of the payload's bytes */
};

struct packet {
	uint8_t data[PACKET_MAX];
	uint32_t len;		/* bytes in all */
	uint16_t l3_off;
	uint16_t l4_off;
	uint16_t payload_off;
	uint16_t csum_offset;	/* of the checksum in the L4 header */
};

/* id, sequence number and window of every packet made */
enum { PACKET_IP_ID = 0xfffe, PACKET_WINDOW = 0x1234 };
#define PACKET_SEQ 0xfffffc00u

/** packet_make() - with correct lengths and IPv4 header checksum; the L4
 * checksum holds the pseudo-header's sum (FRAME_CSUM_PARTIAL) */
void packet_make(const struct packet_spec *spec, struct packet *packet);

/** packet_csum_good() - is the L4 checksum (and IPv4's) of a whole packet with
 * headers at these offsets right?  Goes by the packet's own length fields. */
bool packet_csum_good(const uint8_t *data, uint32_t len, uint16_t l3_off,
		      uint16_t l4_off);

/** packet_eth() - a bare Ethernet frame of @len bytes, as in packet_spec */
void packet_eth(uint8_t dst, uint8_t src, uint32_t len, uint32_t seed,
		struct packet *packet);

#endif
