/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the headers of a frame lie.
 *
 * parse_headers() reads a private copy of a frame's first bytes and reports as
 * much as it is sure of; what does not fit or makes no sense is unknown, never
 * an error.  It never reads beyond the bytes it is given, and walks at most
 * PARSE_TAGS_MAX tags and PARSE_EXTS_MAX IPv6 extension headers.
 */
#ifndef PROTO_PARSE_H
#define PROTO_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PARSE_TAGS_MAX = 2, PARSE_EXTS_MAX = 8 };

struct parsed {
	uint16_t eth_type;	/* behind all tags; 0: none (a length) */
	uint8_t n_tags;		/* 802.1Q and 802.1ad, in the bytes */
	uint8_t ip_version;	/* 4, 6; 0: no or no whole IP header */
	uint8_t ip_proto;	/* of L4; valid if l4_off is not 0 */
	bool fragment;		/* of a packet: not the whole one */
	uint16_t l3_off;	/* behind the type; 0: unknown */
	uint16_t l4_off;	/* behind IP and extension headers, < @len; 0:
				 * unknown, or a fragment but the first */
};

/** parse_headers() - look at the first @len bytes of a frame */
void parse_headers(const uint8_t *hdr, size_t len, struct parsed *parsed);

#endif
