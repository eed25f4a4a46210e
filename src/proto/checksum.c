/* SPDX-License-Identifier: Apache-2.0
 *
 * The Internet checksum.
 *
 * The sum is taken over words as the CPU loads them: by RFC 1071, 2 (B) the
 * result then only has to be stored the same way.  Many words are added at
 * once in wide lanes; carries collect in the lanes' upper halves.
 */
#include "proto/checksum.h"

/* Two 64-bit lanes, each of which adds up 32-bit words. */
typedef uint64_t lanes __attribute__((vector_size(16)));

enum { BLOCK_LEN = 64 };

static inline lanes load_lanes(const uint8_t *data)
{
	lanes v;

	memcpy(&v, data, sizeof(v));
	return v;
}

/* Sum of @n_blocks blocks; the lanes overflow only after 2^32 of them. */
static uint64_t sum_blocks(const uint8_t *data, size_t n_blocks)
{
	const lanes low = { UINT32_MAX, UINT32_MAX };
	lanes even = { 0 }, odd = { 0 };

	for (; n_blocks; n_blocks--, data += BLOCK_LEN) {
		lanes a = load_lanes(data), b = load_lanes(data + 16);
		lanes c = load_lanes(data + 32), d = load_lanes(data + 48);

		even += (a & low) + (b & low) + (c & low) + (d & low);
		odd += (a >> 32) + (b >> 32) + (c >> 32) + (d >> 32);
	}
	even += odd;
	/* Folded once, so that sums of pieces cannot overflow either. */
	return (even[0] & UINT32_MAX) + (even[0] >> 32) +
	       (even[1] & UINT32_MAX) + (even[1] >> 32);
}

static uint64_t sum_bytes(const uint8_t *data, size_t len)
{
	uint64_t sum = sum_blocks(data, len / BLOCK_LEN);

	data += len - len % BLOCK_LEN;
	len %= BLOCK_LEN;
	for (; len >= 4; len -= 4, data += 4)
		sum += le32_load(data);
	if (len >= 2) {
		sum += le16_load(data);
		data += 2;
	}
	if (len & 1)
		sum += data[0];
	return sum;
}

static uint16_t fold(uint64_t sum)
{
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	return (uint16_t)sum;
}

/* Words as loaded, so a plain copy puts them back in the wire's order. */
static be16 word(uint16_t loaded)
{
	be16 v;

	memcpy(v.b, &loaded, sizeof(loaded));
	return v;
}

void csum_add(struct csum *csum, const void *data, size_t len)
{
	uint64_t sum = sum_bytes(data, len);

	/* Words of this piece straddle those of the whole (RFC 1071, 2 (B)). */
	if (csum->odd)
		sum = __builtin_bswap16(fold(sum));
	csum->sum += sum;
	csum->odd ^= len & 1;
}

void csum_add_iov(struct csum *csum, const struct iovec *iov,
		  unsigned int n_iov)
{
	for (unsigned int i = 0; i < n_iov; i++)
		csum_add(csum, iov[i].iov_base, iov[i].iov_len);
}

void csum_add_pseudo4(struct csum *csum, const uint8_t addrs[8], uint8_t proto,
		      uint16_t len)
{
	struct {
		uint8_t zero;
		uint8_t proto;
		be16 len;
	} rest = { 0, proto, be16_of(len) };

	csum_add(csum, addrs, 8);
	csum_add(csum, &rest, sizeof(rest));
}

void csum_add_pseudo6(struct csum *csum, const uint8_t addrs[32], uint8_t proto,
		      uint32_t len)
{
	struct {
		be32 len;
		uint8_t zero[3];
		uint8_t proto;
	} rest = { be32_of(len), { 0 }, proto };

	csum_add(csum, addrs, 32);
	csum_add(csum, &rest, sizeof(rest));
}

be16 csum_sum(const struct csum *csum)
{
	return word(fold(csum->sum));
}

be16 csum_finish(const struct csum *csum)
{
	return word((uint16_t)~fold(csum->sum));
}

be16 csum_of(const void *data, size_t len)
{
	struct csum csum = CSUM_INIT;

	csum_add(&csum, data, len);
	return csum_finish(&csum);
}
