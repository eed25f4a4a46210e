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

/* RFC 2131, 4.1; RFC 8415, 7.2. */
enum {
	UDP_PORT_DHCP_SERVER = 67,
	UDP_PORT_DHCP_CLIENT = 68,
	UDP_PORT_DHCPV6_CLIENT = 546,
	UDP_PORT_DHCPV6_SERVER = 547,
};

#endif
