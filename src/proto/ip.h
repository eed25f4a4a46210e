/* SPDX-License-Identifier: Apache-2.0
 *
 * IPv4 (RFC 791) and IPv6 (RFC 8200) headers.
 */
#ifndef PROTO_IP_H
#define PROTO_IP_H

#include "base/byteorder.h"
#include "base/util.h"

/* Protocol and next-header numbers (IANA). */
enum ip_proto {
	IP_PROTO_HOP_OPTS = 0,	/* IPv6 hop-by-hop options */
	IP_PROTO_ICMP = 1,
	IP_PROTO_TCP = 6,
	IP_PROTO_UDP = 17,
	IP_PROTO_ROUTING = 43,
	IP_PROTO_FRAGMENT = 44,
	IP_PROTO_AUTH = 51,
	IP_PROTO_ICMP6 = 58,
	IP_PROTO_NONE = 59,	/* nothing follows */
	IP_PROTO_DST_OPTS = 60,
};

struct ip4_hdr {
	uint8_t ver_ihl;	/* 4, and the header's length in 32-bit words */
	uint8_t tos;		/* DSCP and ECN */
	be16 total_len;		/* header and payload */
	be16 id;		/* of the datagram, for its fragments */
	be16 frag;		/* flags (3 bits), offset in 8 bytes */
	uint8_t ttl;
	uint8_t proto;		/* enum ip_proto */
	be16 csum;		/* of this header */
	uint8_t src[4];
	uint8_t dst[4];
};
_Static_assert(sizeof(struct ip4_hdr) == 20, "ip4_hdr");

enum {
	IP4_FRAG_DF = 0x4000,		/* do not fragment */
	IP4_FRAG_MF = 0x2000,		/* more fragments follow */
	IP4_FRAG_OFFSET = 0x1fff,
};

struct ip6_hdr {
	be32 ver_class_flow;	/* 6, traffic class, flow label */
	be16 payload_len;	/* what follows this header */
	uint8_t next_hdr;	/* enum ip_proto */
	uint8_t hop_limit;
	uint8_t src[16];
	uint8_t dst[16];
};
_Static_assert(sizeof(struct ip6_hdr) == 40, "ip6_hdr");

/* What extension headers begin with; their lengths differ in unit. */
struct ip6_ext {
	uint8_t next_hdr;	/* enum ip_proto */
	uint8_t len;		/* beyond the first 8 bytes, in 8 bytes (AUTH:
				 * in 4 bytes, less 2) */
};
_Static_assert(sizeof(struct ip6_ext) == 2, "ip6_ext");

struct ip6_frag {
	uint8_t next_hdr;	/* enum ip_proto */
	uint8_t reserved;
	be16 offset_flags;	/* offset in 8 bytes (13 bits), MF in bit 0 */
	be32 id;
};
_Static_assert(sizeof(struct ip6_frag) == 8, "ip6_frag");

/* Offset and MF: both zero in a whole packet. */
enum { IP6_FRAG_PART = 0xfff9, IP6_FRAG_OFFSET = 0xfff8 };

static inline unsigned int ip4_hdr_len(const struct ip4_hdr *ip)
{
	return (ip->ver_ihl & 15u) * 4;
}

#endif
