/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers of good frames are found; of cut, nested and contradictory ones no
 * more is reported than is there.  Each frame lies at the very end of its own
 * allocation, so that AddressSanitizer sees a byte read too far.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/eth.h"
#include "proto/ip.h"
#include "proto/parse.h"

/* A frame being put together. */
struct bytes {
	uint8_t b[512];
	size_t n;
};

static void put(struct bytes *f, const void *data, size_t n)
{
	memcpy(f->b + f->n, data, n);
	f->n += n;
}

static void put_zeroes(struct bytes *f, size_t n)
{
	memset(f->b + f->n, 0, n);
	f->n += n;
}

static void put16(struct bytes *f, uint16_t v)
{
	be16 word = be16_of(v);

	put(f, &word, sizeof(word));
}

static void put_eth(struct bytes *f, uint16_t type)
{
	put_zeroes(f, 12);
	put16(f, type);
}

static void put_ip4(struct bytes *f, unsigned int words, uint16_t frag,
		    uint8_t proto)
{
	struct ip4_hdr ip = {
		.ver_ihl = (uint8_t)(4 << 4 | words),
		.frag = be16_of(frag),
		.proto = proto,
	};

	put(f, &ip, sizeof(ip));
	if (words > 5)
		put_zeroes(f, (words - 5) * 4);
}

static void put_ip6(struct bytes *f, uint8_t next)
{
	struct ip6_hdr ip = {
		.ver_class_flow = be32_of(6u << 28),
		.next_hdr = next,
	};

	put(f, &ip, sizeof(ip));
}

/* An extension header of 8 * (@len + 1) bytes. */
static void put_ext(struct bytes *f, uint8_t next, uint8_t len)
{
	put(f, (uint8_t[]){ next, len }, 2);
	put_zeroes(f, 8u * (len + 1u) - 2);
}

static struct parsed parse_first(const struct bytes *f, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct parsed parsed;

	assert_non_null(copy);
	memcpy(copy, f->b, len);
	parse_headers(copy, len, &parsed);
	free(copy);
	return parsed;
}

static struct parsed parse(const struct bytes *f)
{
	return parse_first(f, f->n);
}

static void test_tcp4(void **state)
{
	struct bytes f = { .n = 0 };
	struct parsed p;

	put_eth(&f, ETH_TYPE_IP4);
	put_ip4(&f, 5, IP4_FRAG_DF, IP_PROTO_TCP);
	put_zeroes(&f, 20);
	p = parse(&f);
	assert_int_equal(p.eth_type, ETH_TYPE_IP4);
	assert_int_equal(p.ip_version, 4);
	assert_int_equal(p.l3_off, 14);
	assert_int_equal(p.l4_off, 34);
	assert_int_equal(p.ip_proto, IP_PROTO_TCP);
	assert_false(p.fragment);
	assert_int_equal(p.n_tags, 0);
}

static void test_tags_and_options(void **state)
{
	struct bytes f = { .n = 0 };
	struct parsed p;

	put_eth(&f, ETH_TYPE_QINQ);
	put16(&f, 100);
	put16(&f, ETH_TYPE_VLAN);
	put16(&f, 200);
	put16(&f, ETH_TYPE_IP4);
	put_ip4(&f, 15, 0, IP_PROTO_UDP);
	put_zeroes(&f, 8);
	p = parse(&f);
	assert_int_equal(p.n_tags, 2);
	assert_int_equal(p.l3_off, 22);
	assert_int_equal(p.l4_off, 82);
	assert_int_equal(p.ip_proto, IP_PROTO_UDP);
}

static void test_too_many_tags(void **state)
{
	struct bytes f = { .n = 0 };
	struct parsed p;

	put_eth(&f, ETH_TYPE_VLAN);
	for (unsigned int i = 0; i < 60; i++) {
		put16(&f, (uint16_t)i);
		put16(&f, ETH_TYPE_VLAN);
	}
	p = parse(&f);
	assert_int_equal(p.n_tags, PARSE_TAGS_MAX);
	assert_int_equal(p.eth_type, 0);
	assert_int_equal(p.l3_off, 0);
}

static void test_length_is_no_type(void **state)
{
	struct bytes f = { .n = 0 };
	struct parsed p;

	put_eth(&f, ETH_TYPE_MIN - 1);
	put_zeroes(&f, 100);
	p = parse(&f);
	assert_int_equal(p.eth_type, 0);
	assert_int_equal(p.l3_off, 0);
}

static void test_ip6_extensions(void **state)
{
	struct bytes f = { .n = 0 };
	struct parsed p;

	put_eth(&f, ETH_TYPE_IP6);
	put_ip6(&f, IP_PROTO_HOP_OPTS);
	put_ext(&f, IP_PROTO_ROUTING, 0);
	put_ext(&f, IP_PROTO_DST_OPTS, 2);
	put_ext(&f, IP_PROTO_AUTH, 1);
	/* AUTH counts in words: (4 + 2) * 4 = 24 bytes */
	put(&f, (uint8_t[]){ IP_PROTO_TCP, 4 }, 2);
	put_zeroes(&f, 22);
	put_zeroes(&f, 20);
	p = parse(&f);
	assert_int_equal(p.ip_version, 6);
	assert_int_equal(p.l4_off, 14 + 40 + 8 + 24 + 16 + 24);
	assert_int_equal(p.ip_proto, IP_PROTO_TCP);
}

static void test_too_many_extensions(void **state)
{
	struct bytes f = { .n = 0 };
	struct parsed p;

	put_eth(&f, ETH_TYPE_IP6);
	put_ip6(&f, IP_PROTO_DST_OPTS);
	for (unsigned int i = 0; i < PARSE_EXTS_MAX; i++)
		put_ext(&f, IP_PROTO_DST_OPTS, 0);
	put_ext(&f, IP_PROTO_TCP, 0);
	put_zeroes(&f, 20);
	p = parse(&f);
	assert_int_equal(p.ip_version, 6);
	assert_int_equal(p.l4_off, 0);
}

static void test_ip4_fragments(void **state)
{
	static const struct {
		uint16_t frag;
		bool fragment;
		bool l4_known;
	} rows[] = {
		{ 0, false, true },
		{ IP4_FRAG_DF, false, true },
		{ IP4_FRAG_MF, true, true },	/* the first one */
		{ IP4_FRAG_MF | 1, true, false },
		{ 1, true, false },
		{ IP4_FRAG_OFFSET, true, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct bytes f = { .n = 0 };
		struct parsed p;

		put_eth(&f, ETH_TYPE_IP4);
		put_ip4(&f, 5, rows[i].frag, IP_PROTO_UDP);
		put_zeroes(&f, 8);
		p = parse(&f);
		assert_int_equal(p.fragment, rows[i].fragment);
		assert_int_equal(p.l4_off, rows[i].l4_known ? 34 : 0);
	}
}

static void test_ip6_fragments(void **state)
{
	static const uint16_t offset_flags[] = { 0, 1, 8, 0xfff8 };

	for (size_t i = 0; i < ARRAY_SIZE(offset_flags); i++) {
		struct bytes f = { .n = 0 };
		struct parsed p;

		put_eth(&f, ETH_TYPE_IP6);
		put_ip6(&f, IP_PROTO_FRAGMENT);
		put(&f, (uint8_t[]){ IP_PROTO_UDP, 255 }, 2);
		put16(&f, offset_flags[i]);
		put_zeroes(&f, 4 + 8);
		p = parse(&f);
		assert_int_equal(p.fragment, offset_flags[i] != 0);
		assert_int_equal(p.l4_off, offset_flags[i] < 8 ? 62 : 0);
	}
}

static void test_bad_ip_headers(void **state)
{
	/* version and length: no version 4, less than 5 words, past the end */
	static const uint8_t ver_ihl[] = { 0x00, 0x55, 0x65, 0x40, 0x44, 0x4f };

	for (size_t i = 0; i < ARRAY_SIZE(ver_ihl); i++) {
		struct bytes f = { .n = 0 };

		put_eth(&f, ETH_TYPE_IP4);
		put_ip4(&f, 5, 0, IP_PROTO_TCP);
		put_zeroes(&f, 8);
		f.b[14] = ver_ihl[i];
		assert_int_equal(parse(&f).l4_off, 0);
	}
}

/* Every frame above, cut at every length: what is found is within. */
static void test_cut_anywhere(void **state)
{
	struct bytes f4 = { .n = 0 }, f6 = { .n = 0 };

	put_eth(&f4, ETH_TYPE_VLAN);
	put16(&f4, 1);
	put16(&f4, ETH_TYPE_IP4);
	put_ip4(&f4, 7, 0, IP_PROTO_TCP);
	put_zeroes(&f4, 20);
	put_eth(&f6, ETH_TYPE_IP6);
	put_ip6(&f6, IP_PROTO_HOP_OPTS);
	put_ext(&f6, IP_PROTO_AUTH, 1);
	put_ext(&f6, IP_PROTO_FRAGMENT, 0);
	put(&f6, (uint8_t[]){ IP_PROTO_UDP, 0, 0, 1, 0, 0, 0, 0 }, 8);
	put_zeroes(&f6, 8);
	for (size_t len = 0; len <= f4.n; len++) {
		struct parsed p = parse_first(&f4, len);

		assert_true(p.l3_off <= len);
		assert_int_equal(p.l4_off, len > 46 ? 46 : 0);
	}
	for (size_t len = 0; len <= f6.n; len++) {
		struct parsed p = parse_first(&f6, len);

		assert_true(p.l3_off <= len);
		assert_true(!p.l4_off || p.l4_off < len);
	}
}

/* Random bytes behind the types that lead deepest. */
static void test_random(void **state)
{
	srand(4);
	for (unsigned int round = 0; round < 20000; round++) {
		struct bytes f = { .n = 0 };
		struct parsed p;

		put_eth(&f, round % 2 ? ETH_TYPE_IP6 : ETH_TYPE_VLAN);
		for (f.n = 14; f.n < 160; f.n++)
			f.b[f.n] = (uint8_t)(rand() % 64);
		f.b[14] = round % 2 ? 0x60 : 0x45;
		p = parse_first(&f, 14 + (size_t)rand() % 147);
		assert_true(p.n_tags <= PARSE_TAGS_MAX);
		assert_true(!p.l4_off || p.l4_off > p.l3_off);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp4),
		cmocka_unit_test(test_tags_and_options),
		cmocka_unit_test(test_too_many_tags),
		cmocka_unit_test(test_length_is_no_type),
		cmocka_unit_test(test_ip6_extensions),
		cmocka_unit_test(test_too_many_extensions),
		cmocka_unit_test(test_ip4_fragments),
		cmocka_unit_test(test_ip6_fragments),
		cmocka_unit_test(test_bad_ip_headers),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
