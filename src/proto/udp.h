/* SPDX-License-Identifier: Apache-2.0
 *
 * UDP header (RFC 768).
 */
#ifndef PROTO_UDP_H
#define PROTO_UDP_H

#include "base/byteorder.h"

struct udp_hdr {
	be16 src;	/* ports */
	be16 dst;
	be16 len;	/* header and payload */
	be16 csum;	/* with pseudo-header; 0: none (IPv4) */
};
_Static_assert(sizeof(struct udp_hdr) == 8, "udp_hdr");

#endif
