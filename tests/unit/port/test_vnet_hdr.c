/* SPDX-License-Identifier: Apache-2.0
 *
 * struct virtio_net_hdr: what is good comes back as it went; contradictions
 * are refused.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>

#include "../../switch/packet.h"
#include "port/vnet_hdr.h"

static struct frame_batch batch;
static struct packet packet;

static struct frame *fill(const struct packet_spec *spec)
{
	struct frame *frame;
	struct iovec iov;

	batch.n = batch.n_segs = 0;
	frame = batch_next(&batch);
	packet_make(spec, &packet);
	iov = (struct iovec){ packet.data, packet.len };
	assert_int_equal(batch_fill(&batch, frame, &iov, 1, packet.len), 0);
	return frame;
}

static struct vnet_hdr header(uint8_t flags, uint8_t gso_type,
			      uint16_t gso_size)
{
	return (struct vnet_hdr) {
		.flags = flags,
		.gso_type = gso_type,
		.hdr_len = le16_of(0xdead),	/* a hint: not believed */
		.gso_size = le16_of(gso_size),
		.csum_start = le16_of(packet.l4_off),
		.csum_offset = le16_of(packet.csum_offset),
	};
}

static void test_plain(void **state)
{
	struct frame *frame = fill(&(struct packet_spec){ .payload_len = 9 });
	struct vnet_hdr hdr = header(0, 0, 0), back;

	assert_int_equal(vnet_hdr_get(&hdr, frame), 0);
	assert_int_equal(frame->flags, 0);
	vnet_hdr_put(frame, &back);
	assert_memory_equal(&back, &(struct vnet_hdr){ 0 }, sizeof(back));

	hdr.flags = VNET_HDR_DATA_VALID;
	assert_int_equal(vnet_hdr_get(&hdr, frame), 0);
	assert_int_equal(frame->flags, FRAME_CSUM_VALID);
	vnet_hdr_put(frame, &back);
	assert_int_equal(back.flags, VNET_HDR_DATA_VALID);
}

static void test_round_trip(void **state)
{
	static const struct {
		struct packet_spec spec;
		uint8_t type;
		uint8_t gso;
	} rows[] = {
		{ { .tcp_options = 12 }, 1, FRAME_GSO_TCP4 },
		{ { .tcp_flags = 0x80 }, 0x81, FRAME_GSO_TCP4 },
		{ { .ip6 = true, .ip_options = 8 }, 4, FRAME_GSO_TCP6 },
		{ { .ip6 = true, .tcp_flags = 0x80 }, 0x84, FRAME_GSO_TCP6 },
		{ { .udp = true }, 5, FRAME_GSO_UDP },
		{ { .udp = true, .ip6 = true }, 5, FRAME_GSO_UDP },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct packet_spec spec = rows[i].spec;
		struct vnet_hdr hdr, back;
		struct frame *frame;

		spec.payload_len = 5000;
		frame = fill(&spec);
		hdr = header(VNET_HDR_NEEDS_CSUM, rows[i].type, 1000);
		assert_int_equal(vnet_hdr_get(&hdr, frame), 0);
		assert_int_equal(frame->gso, rows[i].gso);
		assert_int_equal(frame->gso_size, 1000);
		assert_int_equal(frame->gso_hdr_len, packet.payload_off);
		assert_int_equal(frame->flags, FRAME_CSUM_PARTIAL);
		vnet_hdr_put(frame, &back);
		hdr.hdr_len = le16_of(packet.payload_off);
		assert_memory_equal(&back, &hdr, sizeof(hdr));
	}
}

static void test_contradictions(void **state)
{
	static const struct {
		uint8_t flags, type;
		uint16_t size, start, offset;
	} rows[] = {
		{ 0, 1, 1000, 34, 16 },		/* GSO, no checksum to fill */
		{ 1, 2, 1000, 34, 16 },		/* no such kind */
		{ 1, 3, 1000, 34, 16 },		/* UFO */
		{ 1, 0x80, 1000, 34, 16 },	/* ECN of nothing */
		{ 1, 4, 1000, 34, 16 },		/* the other IP */
		{ 1, 5, 1000, 34, 16 },		/* UDP */
		{ 1, 1, 0, 34, 16 },
		{ 1, 1, 1, 34, 16 },		/* 5000 segments */
		{ 1, 1, 1000, 34, 6 },
		{ 1, 1, 1000, 14, 16 },
		{ 1, 1, 1000, 35, 16 },
		{ 1, 1, 1000, 236, 16 },	/* no TCP header fits there */
		{ 1, 1, 1000, 237, 16 },
		{ 1, 5, 1000, 248, 6 },
		{ 1, 5, 1000, 249, 6 },
		{ 1, 1, 1000, 65535, 65535 },
		{ 1, 0, 0, 0, 16 },
		{ 1, 0, 0, 240, 15 },
		{ 1, 0, 0, 65535, 1 },
		{ 1, 0, 0, 32768, 32768 },
	};
	struct packet_spec spec = { .payload_len = 5000 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct frame *frame = fill(&spec);
		struct vnet_hdr hdr = header(rows[i].flags, rows[i].type,
					     rows[i].size);

		hdr.csum_start = le16_of(rows[i].start);
		hdr.csum_offset = le16_of(rows[i].offset);
		assert_int_equal(vnet_hdr_get(&hdr, frame), -EINVAL);
	}
}

/* Offsets count from the first byte; the tag goes, and they with it. */
static void test_before_the_tag_goes(void **state)
{
	struct packet_spec spec = { .payload_len = 5000 };
	struct frame *frame;
	struct vnet_hdr hdr;
	struct iovec iov;

	packet_make(&spec, &packet);
	memmove(packet.data + 16, packet.data + 12, packet.len - 12);
	memcpy(packet.data + 12, "\x81\x00\x00\x05", 4);
	packet.len += 4;
	packet.l4_off += 4;
	batch.n = batch.n_segs = 0;
	frame = batch_next(&batch);
	iov = (struct iovec){ packet.data, packet.len };
	assert_int_equal(batch_fill(&batch, frame, &iov, 1, packet.len), 0);
	hdr = header(VNET_HDR_NEEDS_CSUM, VNET_HDR_GSO_TCP4, 1000);
	assert_int_equal(vnet_hdr_get(&hdr, frame), 0);
	frame_pop_vlan(frame);
	assert_int_equal(frame->csum_start, 34);
	assert_int_equal(frame->gso_hdr_len, 54);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_before_the_tag_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
