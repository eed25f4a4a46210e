/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio-net, its packets: what a guest sends comes out byte for byte however
 * it is laid out, what it is given arrives byte for byte in the buffers it has
 * made, and nothing is written beside them (classes T4, T6, T7, T12, T17, T23).
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net_rig.h"
#include "proto/tcp.h"

/* The layouts of rings, and of the header: 10, 12 or 20 bytes. */
static const uint64_t layouts[] = {
	0, V1, V1 | PACKED, V1 | INDIRECT, V1 | PACKED | INDIRECT | EVENT,
	F(MRG_RXBUF), V1 | F(MRG_RXBUF) | EVENT,
	V1 | F(HASH_REPORT) | F(CTRL_VQ), V1 | F(HASH_REPORT) | PACKED,
	V1 | IN_ORDER, V1 | IN_ORDER | PACKED | INDIRECT,
};

static uint8_t frame_bytes[70000];

static void used_up(unsigned int vq, unsigned int n)
{
	uint16_t id;
	uint32_t len;

	for (unsigned int i = 0; i < n; i++) {
		assert_true(driver_used(&rig.drv[vq], &id, &len));
		assert_int_equal(len, 0);
	}
	assert_false(driver_used(&rig.drv[vq], &id, &len));
}

/* ---- from the guest ---- */

/* Send header and frame in pieces that end at these offsets; @n_in of them are
 * said to be for the device to write. */
static void send_as(const void *hdr, uint32_t hdr_len, uint32_t len,
		    const uint32_t *cuts, unsigned int n_cuts,
		    unsigned int n_in)
{
	bool indirect = rig.net.features & INDIRECT;
	static uint8_t all[70020];
	struct buf bufs[16];
	uint32_t at = 0, end = hdr_len + len;
	unsigned int n = 0;

	memcpy(all, hdr, hdr_len);
	memcpy(all + hdr_len, frame_bytes, len);
	for (unsigned int i = 0; i <= n_cuts && at < end; i++) {
		uint32_t to = i < n_cuts ? min_of(cuts[i], end) : end;

		if (to <= at)
			continue;
		/* Each piece apart from the others. */
		bufs[n] = (struct buf){ BUFS + at + n * 8192, to - at };
		for (uint32_t b = 0; b < to - at; b++)
			*guest_at(&rig.guest, bufs[n].gpa + b) = all[at + b];
		n++;
		at = to;
	}
	driver_add(&rig.drv[TX0], bufs, n - n_in, n_in, indirect);
}

static void send_cut(const void *hdr, uint32_t hdr_len, uint32_t len,
		     const uint32_t *cuts, unsigned int n_cuts)
{
	send_as(hdr, hdr_len, len, cuts, n_cuts, 0);
}

static void expect_sent(uint32_t len)
{
	const struct rig_sent *sent = &rig.sent[rig.n_sent - 1];

	assert_int_equal(rig.n_sent, 1);
	assert_int_equal(sent->len, len);
	assert_memory_equal(sent->bytes, frame_bytes, len);
	rig.n_sent = 0;
}

static void sent_however_laid_out(void **state)
{
	static const uint32_t cuts[][4] = {
		{ 0 }, { 10 }, { 12 }, { 20 }, { 1, 2, 3, 11 },
		{ 9, 13, 21, 35 },
		{ 12, 26, 40, 41 }, { 30 }, { 4, 300, 301, 2000 },
	};
	static const uint32_t lens[] = {
		14, 60, 255, 256, 257, 1514, 9014, 65550,
	};
	static const uint8_t hdr[20];

	rig_fill(frame_bytes, sizeof(frame_bytes), 1);
	for (size_t f = 0; f < ARRAY_SIZE(layouts); f++) {
		rig_start(layouts[f]);
		for (size_t c = 0; c < ARRAY_SIZE(cuts); c++) {
			for (size_t l = 0; l < ARRAY_SIZE(lens); l++) {
				send_cut(hdr, rig.net.hdr_len, lens[l],
					 cuts[c], 4);
				rig_round(1000);
				expect_sent(lens[l]);
				used_up(TX0, 1);
			}
		}
	}
}

/* As DPDK's driver does it in packed rings; there is nothing to be written. */
static void sent_in_buffers_to_be_written(void **state)
{
	static const uint32_t cuts[] = { 12, 100 };
	static const uint8_t hdr[20];

	rig_fill(frame_bytes, sizeof(frame_bytes), 1);
	for (size_t f = 0; f < ARRAY_SIZE(layouts); f++) {
		rig_start(layouts[f]);
		for (unsigned int n_in = 1; n_in <= 3; n_in++) {
			send_as(hdr, rig.net.hdr_len, 1514, cuts, 2, n_in);
			rig_round(1000);
			expect_sent(1514);
			used_up(TX0, 1);
		}
	}
}

static void too_short_or_too_long_to_be_a_frame(void **state)
{
	static const uint8_t hdr[20];
	uint32_t cut = 0;

	for (size_t f = 0; f < ARRAY_SIZE(layouts); f++) {
		uint64_t before, chains;

		rig_start(layouts[f]);
		before = rig.net.port.queues[0].stats.tx_bad_len.v;
		chains = rig.net.counters.tx_bad_chain.v;
		for (uint32_t len = 0; len < 14; len++) {
			send_cut(hdr, rig.net.hdr_len, len, &cut, 1);
			rig_round(1000);
			used_up(TX0, 1);
		}
		send_cut(hdr, rig.net.hdr_len, FRAME_LEN_MAX + 1, &cut, 1);
		rig_round(1000);
		used_up(TX0, 1);
		assert_int_equal(rig.n_sent, 0);
		assert_int_equal(rig.net.port.queues[0].stats.tx_bad_len.v -
				 before, 15);
		/* Not even a header. */
		for (uint32_t len = 1; len < rig.net.hdr_len; len++) {
			send_cut(hdr, len, 0, &cut, 1);
			rig_round(1000);
			used_up(TX0, 1);
		}
		assert_int_equal(rig.net.counters.tx_bad_chain.v - chains,
				 rig.net.hdr_len - 1);
		assert_int_equal(rig.n_sent, 0);
	}
}

/* A TCP packet over IPv4 with @payload bytes. */
static uint32_t make_tcp(uint32_t payload)
{
	memset(frame_bytes, 0, 54);
	frame_bytes[0] = frame_bytes[6] = 2;
	frame_bytes[12] = 8;
	frame_bytes[14] = 0x45;
	frame_bytes[16] = (uint8_t)((payload + 40) >> 8);
	frame_bytes[17] = (uint8_t)(payload + 40);
	frame_bytes[22] = 64;
	frame_bytes[23] = 6;
	frame_bytes[46] = 0x50;
	rig_fill(frame_bytes + 54, payload, 7);
	return 54 + payload;
}

static struct virtio_net_hdr tso_header(void)
{
	return (struct virtio_net_hdr) { .vnet = {
		.flags = VNET_HDR_NEEDS_CSUM,
		.gso_type = VNET_HDR_GSO_TCP4,
		.gso_size = le16_of(1448),
		.csum_start = le16_of(34),
		.csum_offset = le16_of(16),
	} };
}

static void large_frames_come_whole(void **state)
{
	struct virtio_net_hdr hdr = tso_header();
	uint32_t len = make_tcp(60000), cut = 0;

	rig_start(V1 | F(CSUM) | F(HOST_TSO4));
	send_cut(&hdr, 12, len, &cut, 1);
	rig_round(1000);
	assert_int_equal(rig.n_sent, 1);
	assert_int_equal(rig.sent[0].frame.gso, FRAME_GSO_TCP4);
	assert_int_equal(rig.sent[0].frame.gso_size, 1448);
	assert_int_equal(rig.sent[0].frame.gso_hdr_len, 54);
	expect_sent(len);
}

static void headers_that_contradict_the_frame(void **state)
{
	uint32_t len = make_tcp(5000), cut = 0;
	uint64_t n = 0;

	rig_start(V1);
	/* T4: the checksum at the edge of the header copied, and beyond. */
	for (uint32_t start = 0; start <= 0xffff; start += start < 300 ? 1 :
	     4999) {
		struct virtio_net_hdr hdr = {
			.vnet.flags = VNET_HDR_NEEDS_CSUM,
			.vnet.csum_start = le16_of((uint16_t)start),
			.vnet.csum_offset = le16_of(6),
		};
		bool good = start >= 14 && start + 8 <= 256;

		rig.n_sent = 0;
		send_cut(&hdr, 12, len, &cut, 1);
		rig_round(1000);
		used_up(TX0, 1);
		assert_int_equal(rig.n_sent, good);
		n += !good;
		assert_int_equal(rig.net.counters.tx_bad_hdr.v, n);
	}
	/* T23: kinds, sizes. */
	for (unsigned int type = 0; type < 256; type++) {
		struct virtio_net_hdr hdr = tso_header();

		hdr.vnet.gso_type = (uint8_t)type;
		rig.n_sent = 0;
		send_cut(&hdr, 12, len, &cut, 1);
		rig_round(1000);
		used_up(TX0, 1);
		assert_int_equal(rig.n_sent, type == 0 || type == 1 ||
				 type == 0x81);
	}
}

/* Good and bad ones mixed go back in order, each counted once, also if the
 * switch holds the sender in between. */
static void order_is_kept(void **state)
{
	static const uint8_t hdr[12];
	uint32_t cut = 0;

	rig_fill(frame_bytes, 2000, 3);
	for (unsigned int accept = 0; accept < 4; accept++) {
		uint64_t bad;

		rig_start(accept & 1 ? V1 | PACKED : V1);
		bad = rig.net.port.queues[0].stats.tx_bad_len.v;
		for (unsigned int i = 0; i < 20; i++)
			send_cut(hdr, 12, i % 3 ? 100 + i : 5, &cut, 1);
		rig.accept = accept;
		for (unsigned int i = 0; i < 20; i++)
			rig_round(1000);
		rig.accept = BATCH_MAX;
		for (unsigned int i = 0; i < 3; i++)
			rig_round(1000);
		used_up(TX0, 20);
		assert_int_equal(rig.n_sent, 13);
		for (unsigned int i = 0, s = 0; i < 20; i++)
			if (i % 3)
				assert_int_equal(rig.sent[s++].len, 100 + i);
		assert_int_equal(rig.net.port.queues[0].stats.tx_bad_len.v -
				 bad, 7);
	}
}

static void disabled_queues_discard(void **state)
{
	static const uint8_t hdr[12];
	uint32_t cut = 0;

	rig_fill(frame_bytes, 100, 3);
	rig_start(V1);
	virtio_net_queue_enable(&rig.net, TX0, false);
	virtio_net_queue_enable(&rig.net, RX0, false);
	send_cut(hdr, 12, 100, &cut, 1);
	rig_round(1000);
	used_up(TX0, 1);
	assert_int_equal(rig.n_sent, 0);
	assert_int_equal(rig.net.counters.tx_disabled.v, 1);
	assert_true(rig_deliver(rig_frame(frame_bytes, 100), 0));
	assert_int_equal(rig.net.port.queues[0].stats.rx_link_down.v, 1);
}

/* ---- to the guest ---- */

/* What lies around buffers, so that a byte too many is seen. */
enum { GUARD = 0xa5 };

static void paint(void)
{
	memset(guest_at(&rig.guest, BUFS), GUARD, GUEST_SPLIT - GUEST_BUFS);
	memset(guest_at(&rig.guest, GUEST_BASE + GUEST_SPLIT), GUARD,
	       GUEST_LEN - GUEST_SPLIT);
}

static void expect_untouched(uint64_t gpa, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(*guest_at(&rig.guest, gpa + i), GUARD);
}

/* Take back the frame that @frame_bytes is; buffers are @buf_len long, @gap
 * apart, in order. */
static void expect_received(unsigned int vq, uint32_t len, uint32_t buf_len,
			    uint32_t gap)
{
	uint32_t hdr_len = rig.net.hdr_len, left = hdr_len + len, used;
	struct virtio_net_hdr hdr = { 0 };
	static uint8_t got[70020];
	uint32_t at = 0;
	unsigned int n = 0;
	uint16_t id;

	while (left) {
		uint32_t want = min_of(left, buf_len);
		uint64_t gpa = BUFS + n * (uint64_t)gap;

		assert_true(driver_used(&rig.drv[vq], &id, &used));
		assert_int_equal(used, want);
		for (uint32_t i = 0; i < used; i++)
			got[at + i] = *guest_at(&rig.guest, gpa + i);
		expect_untouched(gpa + used, gap - used);
		at += used;
		left -= used;
		n++;
	}
	assert_false(driver_used(&rig.drv[vq], &id, &used));
	memcpy(&hdr, got, hdr_len);
	if (hdr_len >= VIRTIO_NET_HDR_LEN)
		assert_int_equal(le16_get(hdr.n_buffers), n);
	assert_memory_equal(got + hdr_len, frame_bytes, len);
}

static void received_to_the_byte(void **state)
{
	static const uint32_t lens[] = { 14, 60, 256, 257, 1514, 9014 };

	rig_fill(frame_bytes, sizeof(frame_bytes), 9);
	for (size_t f = 0; f < ARRAY_SIZE(layouts); f++) {
		for (size_t l = 0; l < ARRAY_SIZE(lens); l++) {
			struct buf buf = { BUFS, 0 };

			rig_start(layouts[f]);
			/* Exactly as long as need be. */
			buf.len = rig.net.hdr_len + lens[l];
			paint();
			driver_add(&rig.drv[RX0], &buf, 0, 1,
				   layouts[f] & INDIRECT);
			assert_true(rig_deliver(rig_frame(frame_bytes,
							  lens[l]), 0));
			expect_received(RX0, lens[l], buf.len, 16384);
		}
	}
}

static void spread_over_buffers(void **state)
{
	static const uint32_t buf_lens[] = { 64, 100, 1526, 4096 };
	static const uint64_t features[] = {
		F(MRG_RXBUF), V1 | F(MRG_RXBUF), V1 | F(MRG_RXBUF) | PACKED,
		V1 | F(MRG_RXBUF) | EVENT,
	};

	rig_fill(frame_bytes, sizeof(frame_bytes), 11);
	for (size_t f = 0; f < ARRAY_SIZE(features); f++) {
		for (size_t b = 0; b < ARRAY_SIZE(buf_lens); b++) {
			uint32_t len = min_of(65550u, buf_lens[b] * 128 - 12);

			rig_start(features[f]);
			paint();
			for (unsigned int i = 0; i < 200; i++) {
				struct buf buf = { BUFS + i * 8192,
						   buf_lens[b] };

				driver_add(&rig.drv[RX0], &buf, 0, 1, false);
			}
			assert_true(rig_deliver(rig_frame(frame_bytes, len),
						0));
			expect_received(RX0, len, buf_lens[b], 8192);
		}
	}
}

/* Header and frame cut up in pieces of one chain, down to single bytes. */
static void a_chain_of_small_pieces(void **state)
{
	rig_fill(frame_bytes, 100, 5);
	for (int packed = 0; packed < 2; packed++) {
		struct buf bufs[12];
		uint8_t got[72];
		uint32_t at = 0, used;
		uint16_t id;

		rig_start(V1 | (packed ? PACKED : 0));
		for (unsigned int i = 0; i < ARRAY_SIZE(bufs); i++)
			bufs[i] = (struct buf){ BUFS + i * 64, i < 6 ? 1 : 11 };
		driver_add(&rig.drv[RX0], bufs, 0, 12, false);
		assert_true(rig_deliver(rig_frame(frame_bytes, 60), 0));
		assert_true(driver_used(&rig.drv[RX0], &id, &used));
		assert_int_equal(used, 72);
		for (unsigned int i = 0; i < ARRAY_SIZE(bufs); i++)
			for (uint32_t b = 0; b < bufs[i].len; b++)
				got[at++] = *guest_at(&rig.guest,
						      bufs[i].gpa + b);
		assert_memory_equal(got + 12, frame_bytes, 60);
	}
}

static void no_room_takes_nothing(void **state)
{
	struct buf buf = { BUFS, 1000 };
	uint16_t id;
	uint32_t len;

	rig_fill(frame_bytes, 3000, 5);
	rig_start(V1 | F(MRG_RXBUF));
	assert_false(rig_deliver(rig_frame(frame_bytes, 60), 0));
	driver_add(&rig.drv[RX0], &buf, 0, 1, false);
	driver_add(&rig.drv[RX0], &buf, 0, 1, false);
	assert_false(rig_deliver(rig_frame(frame_bytes, 2000), 0));
	assert_false(driver_used(&rig.drv[RX0], &id, &len));
	/* One more byte of room is enough. */
	buf.len = 12;
	driver_add(&rig.drv[RX0], &buf, 0, 1, false);
	assert_true(rig_deliver(rig_frame(frame_bytes, 2000), 0));
}

static void too_long_for_the_buffers(void **state)
{
	struct buf buf = { BUFS, 1526 };
	uint16_t id;
	uint32_t len;

	rig_fill(frame_bytes, 3000, 5);
	rig_start(V1);
	paint();
	driver_add(&rig.drv[RX0], &buf, 0, 1, false);
	assert_true(rig_deliver(rig_frame(frame_bytes, 1515), 0));
	assert_int_equal(rig.net.counters.rx_no_fit.v, 1);
	assert_false(driver_used(&rig.drv[RX0], &id, &len));
	expect_untouched(BUFS, 4096);
	/* The buffer is still there. */
	assert_true(rig_deliver(rig_frame(frame_bytes, 1514), 0));
	expect_received(RX0, 1514, 1526, 4096);
}

/* Buffers that are not in memory, or that cannot be written, are given back as
 * empty; the frame goes into the next ones. */
static void bad_buffers_are_skipped(void **state)
{
	static const uint64_t features[] = { V1, V1 | F(MRG_RXBUF) | PACKED };

	rig_fill(frame_bytes, 100, 5);
	for (size_t f = 0; f < ARRAY_SIZE(features); f++) {
		struct buf good = { BUFS, 200 };
		struct buf bad = { GUEST_BASE + GUEST_LEN, 200 };
		struct driver *drv = &rig.drv[RX0];
		uint64_t before = rig.net.counters.rx_bad_chain.v;
		uint16_t ids[3], id;
		uint32_t len;

		rig_start(features[f]);
		ids[0] = driver_add(drv, &bad, 0, 1, false);
		ids[1] = driver_add(drv, &good, 1, 0, false);
		ids[2] = driver_add(drv, &good, 0, 1, false);
		assert_true(rig_deliver(rig_frame(frame_bytes, 100), 0));
		for (unsigned int i = 0; i < 3; i++) {
			assert_true(driver_used(drv, &id, &len));
			assert_int_equal(id, ids[i]);
			assert_int_equal(len, i < 2 ? 0 : 112);
		}
		assert_int_equal(rig.net.counters.rx_bad_chain.v - before, 2);
	}
}

static void partial_checksums_pass(void **state)
{
	struct buf buf = { BUFS, 2000 };
	struct virtio_net_hdr hdr;
	struct frame *frame;

	make_tcp(500);
	rig_start(V1 | F(GUEST_CSUM) | F(GUEST_TSO4));
	assert_true(rig.net.port.caps.csum);
	assert_int_equal(rig.net.port.caps.gso, FRAME_GSO_TCP4);
	driver_add(&rig.drv[RX0], &buf, 0, 1, false);
	frame = rig_frame(frame_bytes, 554);
	frame->flags = FRAME_CSUM_PARTIAL;
	frame->csum_start = 34;
	frame->csum_offset = 16;
	frame->gso = FRAME_GSO_TCP4;
	frame->gso_size = 100;
	frame->gso_hdr_len = 54;
	frame->hdr[47] = TCP_CWR;
	assert_true(rig_deliver(frame, 0));
	memcpy(&hdr, guest_at(&rig.guest, BUFS), 12);
	assert_int_equal(hdr.vnet.flags, VNET_HDR_NEEDS_CSUM);
	assert_int_equal(hdr.vnet.gso_type, VNET_HDR_GSO_TCP4 |
			 VNET_HDR_GSO_ECN);
	assert_int_equal(le16_get(hdr.vnet.gso_size), 100);
	assert_int_equal(le16_get(hdr.vnet.hdr_len), 54);
	assert_int_equal(le16_get(hdr.vnet.csum_start), 34);
}

/* 5.1.6.4.1: what is known of checksums is said to those who asked for it. */
static void checksums_are_vouched_for(void **state)
{
	static const struct { uint64_t features; uint8_t flags; } rows[] = {
		{ V1, 0 }, { V1 | F(GUEST_CSUM), VNET_HDR_DATA_VALID },
	};
	struct virtio_net_hdr hdr;
	struct frame *frame;

	make_tcp(500);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		rig_start(rows[i].features);
		driver_add(&rig.drv[RX0], &(struct buf){ BUFS, 2000 }, 0, 1,
			   false);
		frame = rig_frame(frame_bytes, 554);
		frame->flags = FRAME_CSUM_VALID;
		assert_true(rig_deliver(frame, 0));
		memcpy(&hdr, guest_at(&rig.guest, BUFS), 12);
		assert_int_equal(hdr.vnet.flags, rows[i].flags);
	}
}

/* 5.1.6.2: a guest cannot vouch for its own; bits unknown are ignored. */
static void flags_of_the_guest(void **state)
{
	uint32_t len = make_tcp(500), cut = 0;

	rig_start(V1);
	for (unsigned int flags = 0; flags < 256; flags += 2) {
		struct virtio_net_hdr hdr = { .vnet.flags = (uint8_t)flags };

		send_cut(&hdr, 12, len, &cut, 1);
		rig_round(1000);
		used_up(TX0, 1);
		assert_int_equal(rig.sent[0].frame.flags, 0);
		expect_sent(len);
	}
}

/* ---- broken rings, reset ---- */

static void a_broken_ring_is_reported_once(void **state)
{
	struct driver *drv = &rig.drv[TX0];

	rig_start(V1);
	drv->avail[2] = 0xff;
	drv->avail[3] = 0xff;
	for (int i = 0; i < 5; i++)
		rig_round(1000);
	assert_int_equal(rig.n_broken, 1);
	assert_int_equal(rig.net.counters.rings_broken.v, 1);
	/* The other direction goes on, and after a reset so does this one. */
	rig_fill(frame_bytes, 100, 5);
	driver_add(&rig.drv[RX0], &(struct buf){ BUFS, 200 }, 0, 1, false);
	assert_true(rig_deliver(rig_frame(frame_bytes, 100), 0));
	rig_start(V1);
	send_cut((uint8_t[12]){ 0 }, 12, 100, &(uint32_t){ 0 }, 1);
	rig_round(1000);
	expect_sent(100);
}

static void memory_that_goes_away(void **state)
{
	rig_start(V1);
	virtio_net_pause(&rig.net);
	dma_space_clear(rig.guest.dma);
	virtio_net_resume(&rig.net);
	assert_int_equal(rig.n_broken, 2);
	assert_false(virtio_net_queue_started(&rig.net, RX0));
	rig_round(1000);
	assert_false(rig.net.port.queues[0].running);
}

static void stopped_queues_touch_nothing(void **state)
{
	struct vring_state at;

	rig_start(V1);
	driver_add(&rig.drv[RX0], &(struct buf){ BUFS, 200 }, 0, 1, false);
	assert_true(virtio_net_queue_stop(&rig.net, RX0, &at));
	assert_false(virtio_net_queue_stop(&rig.net, RX0, &at));
	assert_int_equal(at.avail, 0);
	paint();
	rig_fill(frame_bytes, 100, 5);
	assert_true(rig_deliver(rig_frame(frame_bytes, 100), 0));
	expect_untouched(BUFS, 200);
	assert_int_equal(virtio_net_queue_start(&rig.net, RX0,
						&rig.drv[RX0].config, &at), 0);
	assert_int_equal(virtio_net_queue_start(&rig.net, RX0,
						&rig.drv[RX0].config, &at),
			 -EBUSY);
	assert_true(rig_deliver(rig_frame(frame_bytes, 100), 0));
	expect_received(RX0, 100, 200, 200);
}

/* Buffers that were taken before they were needed are forgotten when their
 * memory goes, or the queue stops: nothing is written there, and the driver
 * still has them back once. */
static void buffers_at_hand(void **state)
{
	static const uint64_t kinds[] = { V1, V1 | PACKED };

	rig_fill(frame_bytes, 100, 5);
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		uint64_t gone = GUEST_BASE + GUEST_SPLIT + 4096;
		struct driver *drv = &rig.drv[RX0];
		struct vring_state at;
		uint32_t len;
		uint16_t id;

		rig_start(kinds[k]);
		paint();
		driver_add(drv, &(struct buf){ gone, 200 }, 0, 1, false);
		driver_add(drv, &(struct buf){ BUFS, 200 }, 0, 1, false);
		rig_round(1000);
		assert_int_equal(vring_n_ahead(&rig.net.vq[RX0].ring), 2);
		assert_true(virtio_net_queue_stop(&rig.net, RX0, &at));
		assert_int_equal(virtio_net_queue_start(&rig.net, RX0,
							&drv->config, &at), 0);
		rig_round(1000);
		assert_int_equal(vring_n_ahead(&rig.net.vq[RX0].ring), 2);
		virtio_net_pause(&rig.net);
		assert_int_equal(dma_space_unmap(rig.guest.dma, GUEST_BASE +
						 GUEST_SPLIT,
						 GUEST_LEN - GUEST_SPLIT),
				 GUEST_LEN - GUEST_SPLIT);
		virtio_net_resume(&rig.net);
		assert_true(rig_deliver(rig_frame(frame_bytes, 100), 0));
		assert_true(driver_used(drv, &id, &len));
		assert_int_equal(len, 0);
		expect_received(RX0, 100, 200, 200);
		expect_untouched(gone, 200);
		assert_int_equal(dma_space_map(rig.guest.dma, GUEST_BASE +
					       GUEST_SPLIT,
					       GUEST_LEN - GUEST_SPLIT,
					       DMA_READ | DMA_WRITE,
					       rig.guest.fd, 0), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
		T(sent_however_laid_out),
		T(sent_in_buffers_to_be_written),
		T(too_short_or_too_long_to_be_a_frame),
		T(large_frames_come_whole),
		T(headers_that_contradict_the_frame),
		T(order_is_kept),
		T(disabled_queues_discard),
		T(received_to_the_byte),
		T(spread_over_buffers),
		T(a_chain_of_small_pieces),
		T(no_room_takes_nothing),
		T(too_long_for_the_buffers),
		T(bad_buffers_are_skipped),
		T(partial_checksums_pass),
		T(checksums_are_vouched_for),
		T(flags_of_the_guest),
		T(a_broken_ring_is_reported_once),
		T(memory_that_goes_away),
		T(stopped_queues_touch_nothing),
		T(buffers_at_hand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
