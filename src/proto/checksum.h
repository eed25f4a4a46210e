/* SPDX-License-Identifier: Apache-2.0
 *
 * The Internet checksum (RFC 1071): a one's complement sum of 16-bit words.
 *
 * A struct csum adds up pieces as if they lay one behind the other, also where
 * a piece has an odd number of bytes.  Nothing here looks at what they mean.
 */
#ifndef PROTO_CHECKSUM_H
#define PROTO_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/byteorder.h"

struct csum {
	uint64_t sum;	/* of words as they lie in memory, not folded */
	bool odd;	/* an odd number of bytes has been added */
};

#define CSUM_INIT ((struct csum){ 0 })

/** csum_add() - the next @len bytes */
void csum_add(struct csum *csum, const void *data, size_t len);

/** csum_add_iov() - the next pieces */
void csum_add_iov(struct csum *csum, const struct iovec *iov,
		  unsigned int n_iov);

/**
 * csum_add_pseudo4(), csum_add_pseudo6() - the pseudo-header of TCP and UDP
 * @addrs: source and destination as they lie in the IP header
 * @len: of the L4 header and payload
 *
 * Where a sum has an even number of bytes so far.
 */
void csum_add_pseudo4(struct csum *csum, const uint8_t addrs[8], uint8_t proto,
		      uint16_t len);
void csum_add_pseudo6(struct csum *csum, const uint8_t addrs[32], uint8_t proto,
		      uint32_t len);

/** csum_sum() - the sum itself, folded; what FRAME_CSUM_PARTIAL begins with */
be16 csum_sum(const struct csum *csum);

/** csum_finish() - the sum inverted: the checksum field's value */
be16 csum_finish(const struct csum *csum);

/** csum_of() - checksum of one buffer; 0 for one that holds a good checksum */
be16 csum_of(const void *data, size_t len);

/** csum_avoid_zero() - 0 as its equal 0xffff: in UDP 0 means "no checksum" */
static inline be16 csum_avoid_zero(be16 csum)
{
	return csum.b[0] | csum.b[1] ? csum : (be16){ { 0xff, 0xff } };
}

#endif
