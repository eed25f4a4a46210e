/* SPDX-License-Identifier: Apache-2.0
 *
 * The Internet checksum against RFC 1071's example, real headers and a slow
 * sum of two bytes at a time.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "proto/checksum.h"

/* By the definition: 16-bit big-endian words, a missing last byte is zero. */
static uint16_t slow_sum(const uint8_t *data, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++) {
		sum += i % 2 ? data[i] : (uint32_t)data[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

static uint16_t sum_of_pieces(const uint8_t *data, const size_t *lens,
			      unsigned int n)
{
	struct csum csum = CSUM_INIT;

	for (unsigned int i = 0; i < n; data += lens[i++])
		csum_add(&csum, data, lens[i]);
	return be16_get(csum_sum(&csum));
}

/* RFC 1071, section 3: 0001 f203 f4f5 f6f7 add up to ddf2. */
static void test_rfc1071_example(void **state)
{
	static const uint8_t data[] = {
		0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7
	};
	struct csum csum = CSUM_INIT;

	csum_add(&csum, data, sizeof(data));
	assert_int_equal(be16_get(csum_sum(&csum)), 0xddf2);
	assert_int_equal(be16_get(csum_finish(&csum)), 0x220d);
	assert_int_equal(be16_get(csum_of(data, sizeof(data))), 0x220d);
}

/* An IPv4 header from life: 192.168.0.1 to 192.168.0.199, checksum b861. */
static void test_ip4_header(void **state)
{
	uint8_t ip[] = {
		0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
		0x00, 0x00, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7
	};
	be16 csum = csum_of(ip, sizeof(ip));

	assert_int_equal(be16_get(csum), 0xb861);
	memcpy(ip + 10, &csum, sizeof(csum));
	assert_int_equal(be16_get(csum_of(ip, sizeof(ip))), 0);
}

static void test_all_lengths_and_alignments(void **state)
{
	uint8_t data[512];

	srand(1);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)rand();
	for (size_t off = 0; off < 9; off++)
		for (size_t len = 0; len <= 300; len++) {
			struct csum csum = CSUM_INIT;

			csum_add(&csum, data + off, len);
			assert_int_equal(be16_get(csum_sum(&csum)),
					 slow_sum(data + off, len));
		}
}

/* Carries of carries: nothing but ones, as long as a frame can be. */
static void test_all_ones(void **state)
{
	static uint8_t data[65550];

	memset(data, 0xff, sizeof(data));
	assert_int_equal(slow_sum(data, sizeof(data)), 0xffff);
	assert_int_equal(be16_get(csum_of(data, sizeof(data))), 0);
}

static void test_odd_pieces(void **state)
{
	static const size_t splits[][4] = {
		{ 1, 1, 1, 197 }, { 3, 64, 1, 132 }, { 65, 65, 65, 5 },
		{ 0, 199, 0, 1 }, { 7, 0, 129, 64 },
	};
	uint8_t data[200];

	srand(2);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)rand();
	for (size_t i = 0; i < ARRAY_SIZE(splits); i++)
		assert_int_equal(sum_of_pieces(data, splits[i], 4),
				 slow_sum(data, sizeof(data)));
}

static void test_iov(void **state)
{
	uint8_t data[100];
	struct iovec iov[] = {
		{ data, 33 }, { data + 33, 0 }, { data + 33, 67 }
	};
	struct csum csum = CSUM_INIT;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 37);
	csum_add_iov(&csum, iov, ARRAY_SIZE(iov));
	assert_int_equal(be16_get(csum_sum(&csum)),
			 slow_sum(data, sizeof(data)));
}

static void test_pseudo_headers(void **state)
{
	/* RFC 793, 3.1 and RFC 8200, 8.1, written out */
	static const uint8_t v4[] = {
		10, 0, 0, 1, 10, 0, 0, 2, 0, 6, 0x12, 0x34
	};
	uint8_t v6[40] = { 0xfe, 0x80 };
	struct csum csum = CSUM_INIT;

	csum_add_pseudo4(&csum, v4, 6, 0x1234);
	assert_int_equal(be16_get(csum_sum(&csum)), slow_sum(v4, sizeof(v4)));

	for (unsigned int i = 2; i < 32; i++)
		v6[i] = (uint8_t)(i * 11);
	memcpy(v6 + 32, (uint8_t[]){ 0, 1, 2, 3, 0, 0, 0, 17 }, 8);
	csum = CSUM_INIT;
	csum_add_pseudo6(&csum, v6, 17, 0x010203);
	assert_int_equal(be16_get(csum_sum(&csum)), slow_sum(v6, sizeof(v6)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc1071_example),
		cmocka_unit_test(test_ip4_header),
		cmocka_unit_test(test_all_lengths_and_alignments),
		cmocka_unit_test(test_all_ones),
		cmocka_unit_test(test_odd_pieces),
		cmocka_unit_test(test_iov),
		cmocka_unit_test(test_pseudo_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
