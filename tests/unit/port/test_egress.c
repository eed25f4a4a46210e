/* SPDX-License-Identifier: Apache-2.0
 *
 * The egress engine: large frames cut up, checksums completed, tags put in,
 * short frames padded, contradictions refused.  Every segment is checked byte
 * by byte against what the wire should see.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../switch/fake_port.h"
#include "base/byteorder.h"
#include "port/gso.h"

static struct frame_batch batch;
static struct packet packet;
static struct worker *worker;
static struct fake_port *fake;

static int setup(void **state)
{
	worker = worker_create("test", 0);
	fake = fake_port_new("rx", worker);
	/* A plain NIC; each test adds what it is about. */
	fake->port.caps = (struct port_caps){ .max_len = FRAME_LEN_MAX };
	port_queue_start(&fake->port.queues[0]);
	batch.n = batch.n_segs = 0;
	return 0;
}

static int teardown(void **state)
{
	port_queue_stop(&fake->port.queues[0]);
	fake_port_free(fake);
	worker_destroy(worker);
	return 0;
}

static const struct port_stats *stats(void)
{
	return &fake->port.queues[0].stats;
}

/* packet as a frame of the batch, in pieces of @piece_len, no offloads. */
static struct frame *add_frame(uint32_t piece_len)
{
	static struct iovec iov[FRAME_SEGS_MAX];
	struct frame *frame = batch_next(&batch);
	unsigned int n = 0;

	for (uint32_t off = 0; off < packet.len; off += piece_len) {
		assert_true(n < FRAME_SEGS_MAX);
		iov[n++] = (struct iovec){ packet.data + off,
				min_of(piece_len, packet.len - off) };
	}
	assert_int_equal(batch_fill(&batch, frame, iov, n, packet.len), 0);
	batch_commit(&batch, frame);
	return frame;
}

static struct frame *add_partial(uint32_t piece_len)
{
	struct frame *frame = add_frame(piece_len);

	frame->flags = FRAME_CSUM_PARTIAL;
	frame->csum_start = packet.l4_off;
	frame->csum_offset = packet.csum_offset;
	return frame;
}

static struct frame *add_large(const struct packet_spec *spec,
			       uint16_t gso_size, uint32_t piece_len)
{
	struct frame *frame;

	packet_make(spec, &packet);
	frame = add_partial(piece_len);
	frame->gso = spec->udp ? FRAME_GSO_UDP :
		     spec->ip6 ? FRAME_GSO_TCP6 : FRAME_GSO_TCP4;
	frame->gso_size = gso_size;
	frame->gso_hdr_len = packet.payload_off;
	return frame;
}

static unsigned int deliver(struct frame *frame)
{
	uint32_t resume_seg = 0;

	return port_deliver(&fake->port.queues[0], &frame, 1, &resume_seg);
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

/* ---- segmentation ---- */

static void check_ip(const struct packet_spec *spec, const uint8_t *seg,
		     uint32_t len, unsigned int k)
{
	const uint8_t *ip = seg + packet.l3_off;
	const uint8_t *was = packet.data + packet.l3_off;

	if (spec->ip6) {
		assert_int_equal(get16(ip + 4), len - packet.l3_off - 40);
		assert_memory_equal(ip, was, 4);
		assert_memory_equal(ip + 6, was + 6,
				    34 + spec->ip_options);
		return;
	}
	assert_int_equal(get16(ip + 2), len - packet.l3_off);
	assert_int_equal(get16(ip + 4), (PACKET_IP_ID + k) & 0xffff);
	assert_memory_equal(ip, was, 2);
	assert_memory_equal(ip + 6, was + 6, 4);
	assert_memory_equal(ip + 12, was + 12, 8 + spec->ip_options);
}

static void check_l4(const struct packet_spec *spec, const uint8_t *seg,
		     uint32_t len, uint32_t seq, bool first, bool last)
{
	const uint8_t *l4 = seg + packet.l4_off;
	const uint8_t *was = packet.data + packet.l4_off;
	uint8_t flags = spec->tcp_flags;

	assert_memory_equal(l4, was, 4);
	if (spec->udp) {
		assert_int_equal(get16(l4 + 4), len - packet.l4_off);
		return;
	}
	assert_int_equal(get32(l4 + 4), (uint32_t)(PACKET_SEQ + seq));
	assert_memory_equal(l4 + 8, was + 8, 5);
	if (!first)
		flags &= 0x7f;		/* CWR */
	if (!last)
		flags &= 0xf6;		/* PSH and FIN */
	assert_int_equal(l4[13], flags);
	assert_memory_equal(l4 + 14, was + 14, 2);
	assert_memory_equal(l4 + 18, was + 18, 2 + spec->tcp_options);
}

static void check_segments(const struct packet_spec *spec, uint16_t gso_size)
{
	uint32_t hdr_len = packet.payload_off, seq = 0;
	unsigned int n = (spec->payload_len + gso_size - 1) / gso_size;

	assert_int_equal(fake->n_rx, n);
	for (unsigned int k = 0; k < n; k++) {
		const struct fake_frame *seg = &fake->rx[k];
		uint32_t len = seg->len - hdr_len;

		assert_int_equal(len, min_of((uint32_t)gso_size,
					     spec->payload_len - seq));
		assert_memory_equal(seg->data, packet.data, packet.l3_off);
		check_ip(spec, seg->data, seg->len, k);
		check_l4(spec, seg->data, seg->len, seq, k == 0, k == n - 1);
		assert_memory_equal(seg->data + hdr_len,
				    packet.data + hdr_len + seq, len);
		assert_true(packet_csum_good(seg->data, seg->len,
					     packet.l3_off, packet.l4_off));
		assert_int_equal(seg->gso, FRAME_GSO_NONE);
		assert_int_equal(seg->flags, FRAME_CSUM_VALID);
		seq += len;
	}
	assert_int_equal(seq, spec->payload_len);
	assert_int_equal(counter_read(&stats()->gso_cut), 1);
	assert_int_equal(counter_read(&stats()->csum_filled), n);
	assert_int_equal(counter_read(&stats()->rx_frames), n);
}

static void test_cut(void **state)
{
	static const struct packet_spec specs[] = {
		{ .tcp_flags = 0x99 },		/* CWR ACK PSH FIN */
		{ .tcp_flags = 0x10, .tcp_options = 12 },
		{ .tcp_flags = 0x19, .tcp_options = 40, .ip_options = 40 },
		{ .ip6 = true, .tcp_flags = 0x99, .tcp_options = 12 },
		{ .ip6 = true, .tcp_flags = 0x18, .ip_options = 16 },
		{ .udp = true },
		{ .udp = true, .ip6 = true },
		{ .qinq = true, .tcp_flags = 0x18, .tcp_options = 12 },
		{ .qinq = true, .ip6 = true, .udp = true },
	};
	static const struct {
		uint32_t payload_len;
		uint16_t gso_size;
		uint32_t piece_len;
	} sizes[] = {
		{ 3000, 1448, 65536 },	/* a short last one */
		{ 2896, 1448, 1000 },	/* no short last one */
		{ 1449, 1448, 700 },	/* a last one of one byte */
		{ 1448, 1448, 100 },	/* one alone */
		{ 1, 1448, 65536 },	/* less than one, in the header */
		{ 60000, 1448, 4096 },	/* more than a batch */
		{ 65000, 33, 2000 },	/* very many, odd */
		{ 600, 7, 37 },		/* pieces and segments at odds */
		{ 150, 1, 65536 },	/* a byte each, in header and payload*/
	};

	for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
		for (size_t j = 0; j < ARRAY_SIZE(sizes); j++) {
			struct packet_spec spec = specs[i];

			spec.dst = 2;
			spec.src = 1;
			spec.seed = (uint32_t)(i * 100 + j);
			spec.payload_len = sizes[j].payload_len;
			setup(NULL);
			assert_int_equal(deliver(add_large(&spec,
					sizes[j].gso_size,
					sizes[j].piece_len)), 1);
			check_segments(&spec, sizes[j].gso_size);
			teardown(NULL);
		}
}

/* A receiver that completes checksums itself gets them partial, each with the
 * pseudo-header of its own length. */
static void test_cut_leaves_checksums(void **state)
{
	struct packet_spec spec = { .dst = 2, .src = 1, .payload_len = 5000 };
	struct packet_spec part = spec;
	static struct packet want;

	fake->port.caps.csum = true;
	assert_int_equal(deliver(add_large(&spec, 2000, 65536)), 1);
	assert_int_equal(fake->n_rx, 3);
	for (unsigned int k = 0; k < 3; k++) {
		part.payload_len = k < 2 ? 2000 : 1000;
		packet_make(&part, &want);
		assert_int_equal(fake->rx[k].flags, FRAME_CSUM_PARTIAL);
		assert_memory_equal(fake->rx[k].data + 34 + 16,
				    want.data + 34 + 16, 2);
	}
	assert_int_equal(counter_read(&stats()->csum_filled), 0);
}

static void test_cut_pads_and_tags(void **state)
{
	struct packet_spec spec = { .dst = 2, .src = 1, .payload_len = 101 };
	struct frame *frame = add_large(&spec, 100, 65536);
	const struct fake_frame *last = &fake->rx[1];
	uint8_t plain[128];

	fake->port.caps.min_len = 60;
	frame->flags |= FRAME_VLAN;
	frame->vlan_tci = 7;
	assert_int_equal(deliver(frame), 1);
	assert_int_equal(fake->n_rx, 2);
	assert_int_equal(fake->rx[0].len, 4 + 54 + 100);
	assert_int_equal(last->len, 60);
	assert_memory_equal(last->data + 12, "\x81\x00\x00\x07\x08\x00", 6);
	assert_int_equal(last->data[58], packet.data[54 + 100]);
	assert_int_equal(last->data[59], 0);
	memcpy(plain, last->data, 12);
	memcpy(plain + 12, last->data + 16, 44);
	assert_true(packet_csum_good(plain, 56, 14, 34));
	/* Beside the bytes, where it was, for the next receiver. */
	assert_int_equal(frame->flags, FRAME_VLAN | FRAME_CSUM_PARTIAL);
	assert_int_equal(frame->len, packet.len);
}

static void test_whole(void **state)
{
	struct packet_spec spec = { .dst = 2, .src = 1, .payload_len = 60000 };

	fake->port.caps.csum = true;
	fake->port.caps.gso = FRAME_GSO_TCP4;
	fake->port.caps.max_len = 1514;
	assert_int_equal(deliver(add_large(&spec, 1460, 65536)), 1);
	assert_int_equal(fake->n_rx, 1);
	assert_int_equal(fake->rx[0].gso, FRAME_GSO_TCP4);
	assert_memory_equal(fake->rx[0].data, packet.data, packet.len);
	/* Another kind it does not take. */
	spec.ip6 = true;
	assert_int_equal(deliver(add_large(&spec, 1000, 65536)), 1);
	assert_int_equal(fake->n_rx, 61);
}

/* The largest frame bounds the segments, not the large frame. */
static void test_segments_too_long(void **state)
{
	struct packet_spec spec = { .dst = 2, .src = 1, .payload_len = 3000 };

	fake->port.caps.max_len = 54 + 1000;
	assert_int_equal(deliver(add_large(&spec, 1001, 65536)), 1);
	assert_int_equal(fake->n_rx, 0);
	assert_int_equal(counter_read(&stats()->rx_too_long), 1);
	assert_int_equal(deliver(add_large(&spec, 1000, 65536)), 1);
	assert_int_equal(fake->n_rx, 3);
}

static void test_resume(void **state)
{
	struct packet_spec spec = { .dst = 2, .src = 1, .payload_len = 50000,
				    .tcp_flags = 0x99 };
	struct frame *frame = add_large(&spec, 1000, 1999);
	uint32_t resume_seg = 0;

	fake->rx_room = 1;
	while (!port_deliver(&fake->port.queues[0], &frame, 1, &resume_seg)) {
		assert_int_equal(resume_seg, fake->n_rx);
		fake->rx_room = 1 + fake->n_rx % 40;
	}
	assert_int_equal(resume_seg, 0);
	check_segments(&spec, 1000);
}

/* ---- contradictions ---- */

static void spoil(struct frame *frame, unsigned int how)
{
	uint8_t *hdr = frame->hdr;

	switch (how) {
	case 0: frame->gso_size = 0; break;
	case 1: frame->gso_size = 31; break;		/* too many */
	case 2: frame->gso = FRAME_GSO_TCP6; break;
	case 3: frame->gso = FRAME_GSO_UDP; break;
	case 4: frame->gso = FRAME_GSO_TCP4 | FRAME_GSO_TCP6; break;
	case 5: frame->gso = 0x80; break;
	case 6: frame->flags = 0; break;
	case 7: frame->gso_hdr_len = 0; break;
	case 8: frame->gso_hdr_len = 34; break;
	case 9: frame->gso_hdr_len--; break;
	case 10: frame->gso_hdr_len++; break;
	case 11: frame->gso_hdr_len = FRAME_HDR_MAX; break;
	case 12: frame->gso_hdr_len = FRAME_HDR_MAX + 1; break;
	case 13: frame->gso_hdr_len = UINT16_MAX; break;
	case 14: frame->csum_start = 14; break;
	case 15: frame->csum_start++; break;
	case 16: frame->csum_offset = 6; break;
	case 17: frame->csum_offset = UINT16_MAX; break;
	case 18: hdr[14] = 0x46; break;			/* IHL */
	case 19: hdr[14] = 0x65; break;			/* version */
	case 20: hdr[12] = 0x86; hdr[13] = 0xdd; break;	/* type */
	case 21: hdr[20] = 0x20; break;			/* MF */
	case 22: hdr[21] = 1; break;			/* offset */
	case 23: hdr[23] = 17; break;			/* protocol */
	case 24: hdr[46] = 0x40; break;			/* data offset 4 */
	case 25: hdr[46] = 0xf0; break;
	default: abort();
	}
}

enum { N_SPOILS = 26 };

static void test_bad_large(void **state)
{
	struct packet_spec spec = { .dst = 2, .src = 1,
				    .payload_len = 65000 };

	for (unsigned int how = 0; how < N_SPOILS; how++) {
		struct frame *frame = add_large(&spec, 1448, 65536);

		assert_true(gso_check(frame));
		spoil(frame, how);
		assert_int_equal(deliver(frame), 1);
		assert_int_equal(counter_read(&stats()->bad_offload),
				 2 * how + 1);
		/* Also where it would pass whole. */
		fake->port.caps.csum = true;
		fake->port.caps.gso = 0xff;
		assert_int_equal(deliver(frame), 1);
		assert_int_equal(counter_read(&stats()->bad_offload),
				 2 * how + 2);
		fake->port.caps.csum = false;
		fake->port.caps.gso = 0;
		batch.n = batch.n_segs = 0;
	}
	assert_int_equal(fake->n_rx, 0);
}

/* One IP packet of 64 KiB and more in a single segment. */
static void test_segment_beyond_ip(void **state)
{
	struct packet_spec spec = { .dst = 2, .src = 1, .tcp_options = 0,
				    .payload_len = 65535 - 40 };
	struct frame *frame = add_large(&spec, 65535, 65536);

	assert_int_equal(deliver(frame), 1);
	assert_int_equal(fake->n_rx, 1);
	packet.data[packet.len++] = 0;
	frame = add_partial(65536);
	frame->gso = FRAME_GSO_TCP4;
	frame->gso_size = 65535;
	frame->gso_hdr_len = 54;
	assert_int_equal(deliver(frame), 1);
	assert_int_equal(fake->n_rx, 1);
	assert_int_equal(counter_read(&stats()->bad_offload), 1);
}

/* Any offload fields at all: nothing but a count or good segments. */
static void test_random_offloads(void **state)
{
	struct packet_spec spec = { .dst = 2, .src = 1, .payload_len = 2000,
				    .tcp_options = 12 };
	uint64_t bad;

	srand(5);
	for (unsigned int round = 0; round < 20000; round++) {
		struct frame *frame = add_large(&spec, 500, 300);

		frame->gso = (uint8_t)(rand() % 9);
		frame->gso_size = (uint16_t)(rand() % 3000);
		frame->flags = (uint8_t)(rand() % 8);
		if (rand() % 2)
			frame->gso_hdr_len = (uint16_t)(rand() % 300);
		if (rand() % 2)
			frame->csum_start = (uint16_t)(rand() % 300);
		if (rand() % 2)
			frame->csum_offset = (uint16_t)(rand() % 300);
		frame->hdr[12 + rand() % 54] ^= (uint8_t)(1u << rand() % 8);
		assert_int_equal(deliver(frame), 1);
		fake_clear_rx(fake);
		batch.n = batch.n_segs = 0;
	}
	bad = counter_read(&stats()->bad_offload);
	assert_true(bad > 0 && bad < 20000);
}

/* ---- checksums alone ---- */

static void test_fill(void **state)
{
	static const uint32_t piece_lens[] = { 1, 3, 64, 255, 65536 };

	for (unsigned int v = 0; v < 4; v++)
		for (size_t p = 0; p < ARRAY_SIZE(piece_lens); p++) {
			struct packet_spec spec = {
				.dst = 2, .src = 1, .ip6 = v & 1,
				.udp = v & 2, .seed = v,
				/* As many bytes as pieces allow. */
				.payload_len = p ? 301 : 100,
			};

			packet_make(&spec, &packet);
			if (packet.len / piece_lens[p] >= FRAME_SEGS_MAX)
				spec.payload_len = 10;
			packet_make(&spec, &packet);
			if (packet.len / piece_lens[p] >= FRAME_SEGS_MAX)
				continue;
			fake_clear_rx(fake);
			assert_int_equal(deliver(add_partial(piece_lens[p])),
					 1);
			assert_int_equal(fake->rx[0].flags, FRAME_CSUM_VALID);
			assert_true(packet_csum_good(fake->rx[0].data,
						     fake->rx[0].len,
						     packet.l3_off,
						     packet.l4_off));
		}
}

/* UDP whose sum is 0 must not say "no checksum". */
static void test_fill_avoids_zero(void **state)
{
	struct packet_spec spec = { .dst = 2, .src = 1, .udp = true,
				    .payload_len = 2 };
	uint32_t sum;

	packet_make(&spec, &packet);
	/* The payload that makes the sum 0xffff is the checksum without it. */
	packet.data[packet.payload_off] = 0;
	packet.data[packet.payload_off + 1] = 0;
	assert_int_equal(deliver(add_partial(65536)), 1);
	sum = get16(fake->rx[0].data + packet.l4_off + 6);
	assert_int_not_equal(sum, 0);
	packet.data[packet.payload_off] = (uint8_t)(sum >> 8);
	packet.data[packet.payload_off + 1] = (uint8_t)sum;
	assert_int_equal(deliver(add_partial(65536)), 1);
	assert_memory_equal(fake->rx[1].data + packet.l4_off + 6, "\xff\xff",
			    2);
}

/* DHCP is complete even for receivers that take partial checksums; what only
 * looks a little like it stays as it is. */
static void test_fill_dhcp(void **state)
{
	static const struct {
		uint16_t port;
		bool ip6, udp, filled;
	} cases[] = {
		{ 67, false, true, true }, { 68, false, true, true },
		{ 546, true, true, true }, { 547, true, true, true },
		{ 66, false, true, false }, { 69, false, true, false },
		{ 545, true, true, false }, { 548, true, true, false },
		{ 68, false, false, false }, { 546, true, false, false },
	};

	fake->port.caps.csum = true;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct packet_spec spec = { .dst = 2, .src = 1,
				.ip6 = cases[i].ip6, .udp = cases[i].udp,
				.payload_len = 301 };

		packet_make(&spec, &packet);
		be16_store(packet.data + packet.l4_off + 2, cases[i].port);
		fake_clear_rx(fake);
		assert_int_equal(deliver(add_partial(65536)), 1);
		assert_int_equal(fake->rx[0].flags, cases[i].filled ?
				 FRAME_CSUM_VALID : FRAME_CSUM_PARTIAL);
		assert_int_equal(packet_csum_good(fake->rx[0].data,
						  fake->rx[0].len,
						  packet.l3_off, packet.l4_off),
				 cases[i].filled);
	}
}

/* start + offset at the very end of the header copy, and around it */
static void test_fill_bounds(void **state)
{
	static const struct {
		uint16_t start, offset;
		bool good;
	} rows[] = {
		{ 14, 0, true }, { 13, 1, false }, { 0, 50, false },
		{ 254, 0, true }, { 255, 0, false }, { 256, 0, false },
		{ 14, 240, true }, { 14, 241, false }, { 300, 0, false },
		{ 65535, 65535, false }, { 65535, 1, false },
		{ 32768, 32768, false }, { 14, 65535, false },
	};
	unsigned int bad = 0;

	packet_make(&(struct packet_spec){ .payload_len = 1000 }, &packet);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct frame *frame = add_frame(65536);

		frame->flags = FRAME_CSUM_PARTIAL;
		frame->csum_start = rows[i].start;
		frame->csum_offset = rows[i].offset;
		bad += !rows[i].good;
		assert_int_equal(deliver(frame), 1);
		assert_int_equal(counter_read(&stats()->bad_offload), bad);
	}
	/* A short frame's own end counts, not that of the copy. */
	packet_eth(1, 2, 60, 1, &packet);
	for (uint16_t start = 56; start < 64; start++) {
		struct frame *frame = add_frame(65536);

		frame->flags = FRAME_CSUM_PARTIAL;
		frame->csum_start = start;
		bad += start > 58;
		assert_int_equal(deliver(frame), 1);
		assert_int_equal(counter_read(&stats()->bad_offload), bad);
	}
}

/* ---- lengths and runs ---- */

static void test_pad(void **state)
{
	fake->port.caps.min_len = 60;
	for (uint32_t len = 14; len < 64; len++) {
		packet_eth(1, 2, len, len, &packet);
		fake_clear_rx(fake);
		assert_int_equal(deliver(add_frame(65536)), 1);
		assert_int_equal(fake->rx[0].len, max_of(len, 60u));
		assert_memory_equal(fake->rx[0].data, packet.data, len);
		for (uint32_t i = len; i < 60; i++)
			assert_int_equal(fake->rx[0].data[i], 0);
		batch.n = batch.n_segs = 0;
	}
}

static void test_too_long(void **state)
{
	fake->port.caps.max_len = 1514;
	packet_eth(1, 2, 1515, 1, &packet);
	assert_int_equal(deliver(add_frame(65536)), 1);
	assert_int_equal(fake->n_rx, 0);
	assert_int_equal(counter_read(&stats()->rx_too_long), 1);
	/* The tag does not count. */
	packet_eth(1, 2, 1514, 1, &packet);
	add_frame(65536)->flags = FRAME_VLAN;
	assert_int_equal(deliver(&batch.frames[1]), 1);
	assert_int_equal(fake->rx[0].len, 1518);
}

/* Frames that need nothing go down in one call, as they are. */
static void test_runs(void **state)
{
	struct frame *frames[12];
	uint32_t resume_seg = 0;

	fake->port.caps.max_len = 1514;
	for (unsigned int i = 0; i < 12; i++) {
		/* 0-4 plain, 5 too long, 6-8 partial, 9-11 plain */
		packet_make(&(struct packet_spec) { .src = (uint8_t)i,
			.payload_len = i == 5 ? 1461 : 10 }, &packet);
		frames[i] = i >= 6 && i <= 8 ? add_partial(65536) :
					       add_frame(65536);
		/* The batch refers to the packet; here all lies in headers */
		assert_true(i == 5 || !frames[i]->n_segs);
	}
	assert_int_equal(port_deliver(&fake->port.queues[0], frames, 12,
				      &resume_seg), 12);
	assert_int_equal(fake->n_bursts, 3);
	assert_int_equal(fake->n_rx, 11);
	for (unsigned int i = 0, k = 0; i < 12; i++)
		if (i != 5)
			assert_int_equal(fake->rx[k++].data[11], i);
	assert_int_equal(counter_read(&stats()->csum_filled), 3);
}

/* Room ends in each kind of run: what is left is left. */
static void test_room_ends_anywhere(void **state)
{
	struct frame *frames[12];

	for (unsigned int i = 0; i < 12; i++) {
		packet_make(&(struct packet_spec) { .src = (uint8_t)i,
			.payload_len = 10 }, &packet);
		frames[i] = i / 3 % 2 ? add_partial(65536) : add_frame(65536);
	}
	for (unsigned int room = 0; room <= 12; room++) {
		uint32_t resume_seg = 0;

		fake_clear_rx(fake);
		fake->rx_room = room;
		assert_int_equal(port_deliver(&fake->port.queues[0], frames,
					      12, &resume_seg), room);
		assert_int_equal(fake->n_rx, room);
		assert_int_equal(resume_seg, 0);
	}
}

static void test_stopped_queue(void **state)
{
	packet_eth(1, 2, 60, 1, &packet);
	port_queue_stop(&fake->port.queues[0]);
	assert_int_equal(deliver(add_frame(65536)), 1);
	assert_int_equal(fake->n_rx, 0);
	assert_int_equal(counter_read(&stats()->rx_link_down), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut),
		TEST(test_cut_leaves_checksums),
		TEST(test_cut_pads_and_tags),
		TEST(test_whole),
		TEST(test_segments_too_long),
		TEST(test_resume),
		TEST(test_bad_large),
		TEST(test_segment_beyond_ip),
		TEST(test_random_offloads),
		TEST(test_fill),
		TEST(test_fill_avoids_zero),
		TEST(test_fill_dhcp),
		TEST(test_fill_bounds),
		TEST(test_pad),
		TEST(test_too_long),
		TEST(test_runs),
		TEST(test_room_ends_anywhere),
		TEST(test_stopped_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
