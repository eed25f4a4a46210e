/* SPDX-License-Identifier: Apache-2.0
 *
 * Filling batches from pieces, tags at the edges, copying out.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "port/frame.h"

static struct frame_batch batch;
static uint8_t bytes[FRAME_LEN_MAX + 16];

static int setup(void **state)
{
	batch.n = batch.n_segs = 0;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	return 0;
}

/* The first @len of bytes[], in pieces of @piece_len. */
static int fill(struct frame *frame, uint32_t len, uint32_t piece_len)
{
	static struct iovec iov[FRAME_LEN_MAX + 16];
	unsigned int n = 0;

	for (uint32_t off = 0; off < len; off += piece_len)
		iov[n++] = (struct iovec){ bytes + off,
					   min_of(piece_len, len - off) };
	return batch_fill(&batch, frame, iov, n, len);
}

static void assert_holds(const struct frame *frame, const uint8_t *data,
			 uint32_t len)
{
	static uint8_t copy[FRAME_LEN_MAX + 16];

	assert_int_equal(frame->len, len);
	assert_int_equal(frame_copy(frame, copy, sizeof(copy)), len);
	assert_memory_equal(copy, data, len);
}

static void test_lengths(void **state)
{
	static const struct {
		uint32_t len;
		int ret;
	} rows[] = {
		{ 0, -EMSGSIZE }, { 1, -EMSGSIZE }, { 13, -EMSGSIZE },
		{ 14, 0 }, { 15, 0 }, { 17, 0 }, { 18, 0 }, { 255, 0 },
		{ 256, 0 }, { 257, 0 }, { 1514, 0 }, { FRAME_LEN_MAX, 0 },
		{ FRAME_LEN_MAX + 1, -EMSGSIZE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct frame *frame = batch_next(&batch);

		assert_int_equal(fill(frame, rows[i].len, UINT16_MAX),
				 rows[i].ret);
		if (rows[i].ret)
			continue;
		assert_holds(frame, bytes, rows[i].len);
		assert_int_equal(frame->hdr_len, min_of(rows[i].len, 256u));
		assert_int_equal(frame->n_segs == 0, rows[i].len <= 256);
	}
}

static void test_pieces(void **state)
{
	for (uint32_t piece = 1; piece < 320; piece++) {
		struct frame *frame = batch_next(&batch);
		/* 63 pieces of payload at least fit, whatever the split */
		uint32_t len = 256 + min_of(63 * piece, 4000u);

		assert_int_equal(fill(frame, len, piece), 0);
		assert_holds(frame, bytes, len);
	}
}

static void test_too_many_pieces(void **state)
{
	struct frame *frame = batch_next(&batch);

	assert_int_equal(fill(frame, 256 + FRAME_SEGS_MAX, 1), 0);
	assert_int_equal(fill(frame, 256 + FRAME_SEGS_MAX + 1, 1), -E2BIG);
}

/* The pieces are fewer bytes than announced, or more. */
static void test_length_and_pieces_disagree(void **state)
{
	struct iovec iov[] = { { bytes, 100 }, { bytes + 100, 0 },
			       { bytes + 100, 300 } };
	struct frame *frame = batch_next(&batch);

	assert_int_equal(batch_fill(&batch, frame, iov, 3, 401), -EMSGSIZE);
	assert_int_equal(batch_fill(&batch, frame, iov, 3, 399), 0);
	assert_holds(frame, bytes, 399);
	assert_int_equal(batch_fill(&batch, frame, NULL, 0, 60), -EMSGSIZE);
}

/* Later changes by the sender are not seen in the header. */
static void test_header_is_private(void **state)
{
	struct frame *frame = batch_next(&batch);
	uint8_t before[256];

	memcpy(before, bytes, sizeof(before));
	assert_int_equal(fill(frame, 1000, 1000), 0);
	memset(bytes, 0, 256);
	assert_memory_equal(frame->hdr, before, 256);
}

static void test_batch_ends(void **state)
{
	unsigned int n = 0;
	struct frame *frame;

	while ((frame = batch_next(&batch))) {
		assert_int_equal(fill(frame, 60, 60), 0);
		batch_commit(&batch, frame);
		n++;
	}
	assert_int_equal(n, BATCH_MAX);

	/* 16 bytes a piece: 256 in the header, 60 pieces of payload */
	setup(NULL);
	n = 0;
	while ((frame = batch_next(&batch))) {
		assert_int_equal(fill(frame, 256 + 960, 16), 0);
		batch_commit(&batch, frame);
		n++;
	}
	assert_int_equal(n, (BATCH_SEGS - FRAME_SEGS_MAX) / 60 + 1);
	for (unsigned int i = 0; i < n; i++)
		assert_holds(&batch.frames[i], bytes, 256 + 960);
}

/* Not committed, a frame is given out again, with nothing left in it. */
static void test_next_without_commit(void **state)
{
	struct frame *frame = batch_next(&batch);

	frame->flags = FRAME_VLAN;
	frame->gso = FRAME_GSO_UDP;
	assert_ptr_equal(batch_next(&batch), frame);
	assert_int_equal(frame->flags, 0);
	assert_int_equal(frame->gso, FRAME_GSO_NONE);
}

static void put_tag(uint8_t type_high, uint8_t type_low)
{
	memcpy(bytes + 12, (uint8_t[]){ type_high, type_low, 0x30, 0x21 }, 4);
}

static void test_pop(void **state)
{
	static const uint32_t lens[] = { 18, 19, 64, 255, 256, 257, 260, 261,
					 1518, FRAME_LEN_MAX };
	uint8_t want[FRAME_LEN_MAX];

	put_tag(0x81, 0x00);
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		struct frame *frame = batch_next(&batch);

		assert_int_equal(fill(frame, lens[i], 2000), 0);
		frame_pop_vlan(frame);
		memcpy(want, bytes, 12);
		memcpy(want + 12, bytes + 16, lens[i] - 16);
		assert_holds(frame, want, lens[i] - 4);
		assert_int_equal(frame->flags, FRAME_VLAN);
		assert_int_equal(frame->vlan_tci, 0x3021);
		/* And back. */
		frame_push_vlan(frame);
		assert_holds(frame, bytes, lens[i]);
		assert_int_equal(frame->flags, 0);
	}
}

/* Too short for a tag and a type, not a C-tag, or one is beside it already. */
static void test_pop_nothing(void **state)
{
	struct frame *frame = batch_next(&batch);

	put_tag(0x81, 0x00);
	for (uint32_t len = 14; len < 18; len++) {
		assert_int_equal(fill(frame, len, 2000), 0);
		frame_pop_vlan(frame);
		assert_holds(frame, bytes, len);
		assert_int_equal(frame->flags, 0);
	}
	put_tag(0x88, 0xa8);
	assert_int_equal(fill(frame, 60, 2000), 0);
	frame_pop_vlan(frame);
	assert_holds(frame, bytes, 60);
	put_tag(0x81, 0x00);
	assert_int_equal(fill(frame, 60, 2000), 0);
	frame->flags = FRAME_VLAN;
	frame->vlan_tci = 5;
	frame_pop_vlan(frame);
	assert_holds(frame, bytes, 60);
	assert_int_equal(frame->vlan_tci, 5);
}

static void test_push_at_the_edges(void **state)
{
	static const uint32_t lens[] = { 14, 15, 60, 255, 256, 257, 1514,
					 FRAME_LEN_MAX };
	uint8_t want[FRAME_LEN_MAX + 4];

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		struct frame *frame = batch_next(&batch);

		assert_int_equal(fill(frame, lens[i], 2000), 0);
		frame->flags = FRAME_VLAN;
		frame->vlan_tci = 0xe00a;
		frame_push_vlan(frame);
		memcpy(want, bytes, 12);
		memcpy(want + 12, "\x81\x00\xe0\x0a", 4);
		memcpy(want + 16, bytes + 12, lens[i] - 12);
		assert_holds(frame, want, lens[i] + 4);
	}
}

static void test_offsets_follow_the_tag(void **state)
{
	struct frame *frame = batch_next(&batch);

	put_tag(0x81, 0x00);
	assert_int_equal(fill(frame, 200, 2000), 0);
	frame->flags = FRAME_CSUM_PARTIAL;
	frame->gso = FRAME_GSO_TCP4;
	frame->csum_start = 38;
	frame->gso_hdr_len = 58;
	frame_pop_vlan(frame);
	assert_int_equal(frame->csum_start, 34);
	assert_int_equal(frame->gso_hdr_len, 54);
	frame_push_vlan(frame);
	assert_int_equal(frame->csum_start, 38);
	assert_int_equal(frame->gso_hdr_len, 58);
	/* Offsets that make no sense do not wrap. */
	frame->csum_start = 3;
	frame->gso_hdr_len = 0;
	frame_pop_vlan(frame);
	assert_int_equal(frame->csum_start, 3);
	assert_int_equal(frame->gso_hdr_len, 0);
}

static void test_copy_is_bounded(void **state)
{
	struct frame *frame = batch_next(&batch);

	assert_int_equal(fill(frame, 1000, 300), 0);
	for (uint32_t size = 0; size < 1010; size += 5) {
		uint8_t *dst = malloc(size ? size : 1);
		uint32_t n = min_of(size, 1000u);

		assert_int_equal(frame_copy(frame, dst, size), n);
		assert_memory_equal(dst, bytes, n);
		free(dst);
	}
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lengths),
		TEST(test_pieces),
		TEST(test_too_many_pieces),
		TEST(test_length_and_pieces_disagree),
		TEST(test_header_is_private),
		TEST(test_batch_ends),
		TEST(test_next_without_commit),
		TEST(test_pop),
		TEST(test_pop_nothing),
		TEST(test_push_at_the_edges),
		TEST(test_offsets_follow_the_tag),
		TEST(test_copy_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
