/* SPDX-License-Identifier: Apache-2.0
 *
 * TCP header (RFC 9293).
 */
#ifndef PROTO_TCP_H
#define PROTO_TCP_H

#include "base/byteorder.h"

struct tcp_hdr {
	be16 src;		/* ports */
	be16 dst;
	be32 seq;		/* of the first payload byte */
	be32 ack;
	uint8_t data_off;	/* header length in 32-bit words, upper half */
	uint8_t flags;		/* enum tcp_flags */
	be16 window;
	be16 csum;		/* with pseudo-header */
	be16 urgent;
};
_Static_assert(sizeof(struct tcp_hdr) == 20, "tcp_hdr");

enum tcp_flags {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
	TCP_URG = 0x20,
	TCP_ECE = 0x40,
	TCP_CWR = 0x80,
};

static inline unsigned int tcp_hdr_len(const struct tcp_hdr *tcp)
{
	return (tcp->data_off >> 4) * 4u;
}

#endif
