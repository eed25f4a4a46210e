/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio-net at the edges of what there can be: lengths, offsets, tags and
 * numbers one below, at, and one above each limit, by the rows of flaws that
 * docs/threat-model.md has.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>

#include "net_rig.h"
#include "port/gso.h"
#include "proto/checksum.h"

enum {
	HDR = VIRTIO_NET_HDR_LEN,
	TX_AT = 0, RX_AT = 0x20000,	/* from BUFS on; room for the longest */
	RX_ROOM = 0x20000,
	GUARD = 0xa5,
};

static const uint64_t layouts[] = { V1, V1 | PACKED };

static uint8_t bytes[FRAME_LEN_MAX + 64];

static int setup(void **state)
{
	rig_fill(bytes, sizeof(bytes), 1);
	bytes[0] = bytes[6] = 2;
	bytes[12] = 0x88;
	bytes[13] = 0xb5;
	return rig_setup(state);
}

static uint8_t *at(uint64_t off)
{
	return guest_at(&rig.guest, BUFS + off);
}

static unsigned int take_back(unsigned int vq)
{
	unsigned int n = 0;
	uint32_t len;
	uint16_t id;

	while (driver_used(&rig.drv[vq], &id, &len))
		n++;
	return n;
}

/* Send @len of the bytes; was it passed on? */
static bool sent(const struct vnet_hdr *vnet, uint32_t len)
{
	struct buf buf = { BUFS + TX_AT, HDR + len };

	memset(at(TX_AT), 0, HDR);
	if (vnet)
		memcpy(at(TX_AT), vnet, sizeof(*vnet));
	memcpy(at(TX_AT + HDR), bytes, len);
	rig.n_sent = 0;
	driver_add(&rig.drv[TX0], &buf, 1, 0, false);
	rig_round(1000);
	assert_int_equal(take_back(TX0), 1);
	return rig.n_sent;
}

/* The frame that has just been passed on, once more, its checksum completed. */
static const struct frame *completed(uint32_t len)
{
	static struct frame_batch batch;
	const struct frame *from = &rig.sent[0].frame;
	struct iovec iov = { bytes, len };
	struct frame *frame;

	batch.n = batch.n_segs = 0;
	frame = batch_next(&batch);
	assert_int_equal(batch_fill(&batch, frame, &iov, 1, len), 0);
	frame->flags = from->flags;
	frame->csum_start = from->csum_start;
	frame->csum_offset = from->csum_offset;
	csum_fill(frame);
	return frame;
}

/* T4: where the sum begins and where it goes, round each end of the frame, and
 * of the part of it that is copied; of SCTP's, too, which is no such sum. */
static void t4_checksum_at_the_edge(void **state)
{
	static const uint32_t lens[] = {
		14, 15, 16, 17, 20, 34, 42, 60, 254, 255, 256, 257, 258, 1514,
	};
	static const int32_t edges[] = { -3, -2, -1, 0, 1, 2 };

	rig_start(V1 | F(CSUM));
	bytes[12] = 8;
	bytes[13] = 0;
	bytes[14] = 0x45;
	bytes[23] = 132;
	for (size_t l = 0; l < ARRAY_SIZE(lens); l++)
	for (size_t s = 0; s < 2 * ARRAY_SIZE(edges); s++)
	for (size_t o = 0; o < ARRAY_SIZE(edges); o++) {
		uint32_t copied = min_of(lens[l], 256u);
		int32_t start = (s % 2 ? 14 : (int32_t)copied) + edges[s / 2];
		int32_t offset = (int32_t)copied + edges[o] - start;
		struct vnet_hdr hdr = {
			.flags = VNET_HDR_NEEDS_CSUM,
			.csum_start = le16_of((uint16_t)start),
			.csum_offset = le16_of((uint16_t)offset),
		};
		bool good = start >= 14 && offset >= 0 && edges[o] <= -2;

		assert_int_equal(sent(&hdr, lens[l]), good);
		if (good)
			completed(lens[l]);
	}
}

/* T5: the longest frames there are with one tag and with two, and tags alone;
 * what has been taken out is put in again for who receives it. */
static void t5_tags_at_the_longest(void **state)
{
	static const uint32_t lens[] = {
		14, 15, 17, 18, 19, 22, 1514, 1518, FRAME_LEN_MAX - 1,
		FRAME_LEN_MAX,
	};

	rig_start(V1);
	for (unsigned int n_tags = 1; n_tags <= 3; n_tags++) {
		for (unsigned int i = 0; i < n_tags; i++)
			memcpy(bytes + 12 + 4 * i, "\x81\0\0\5", 4);
		for (size_t l = 0; l < ARRAY_SIZE(lens); l++) {
			const struct frame *frame = &rig.sent[0].frame;
			uint32_t gone = lens[l] >= 18 ? 4 : 0;

			assert_true(sent(NULL, lens[l]));
			assert_int_equal(rig.sent[0].len, lens[l] - gone);
			assert_int_equal(!!(frame->flags & FRAME_VLAN),
					 !!gone);
			assert_memory_equal(rig.sent[0].bytes, bytes, 12);
			assert_memory_equal(rig.sent[0].bytes + 12,
					    bytes + 12 + gone,
					    lens[l] - gone - 12);
		}
		assert_false(sent(NULL, FRAME_LEN_MAX + 1));
	}
}

/* Give the driver a buffer of @room bytes and then a frame of @len: what came,
 * 0 if nothing did; nothing has been written behind it. */
static uint32_t received(uint32_t room, uint32_t len)
{
	struct buf buf = { BUFS + RX_AT, room };
	uint32_t used = 0;
	uint16_t id;

	memset(at(RX_AT), GUARD, RX_ROOM);
	driver_add(&rig.drv[RX0], &buf, 0, 1, false);
	assert_true(rig_deliver(rig_frame(bytes, len), 0));
	if (driver_used(&rig.drv[RX0], &id, &used))
		assert_in_range(used, HDR + 14, room);
	for (uint32_t i = used; i < RX_ROOM; i++)
		if (*at(RX_AT + i) != GUARD)
			fail_msg("%u bytes in %u: written at %u", len, room,
				 i);
	return used;
}

/* T6: frames of every length round that of the buffer, and much longer ones. */
static void t6_longer_than_the_buffer(void **state)
{
	static const uint32_t rooms[] = {
		HDR + 14, 100, 1526, 1530, 2048, 4096, 9026, 16384,
		HDR + FRAME_LEN_MAX,
	};

	for (size_t l = 0; l < ARRAY_SIZE(layouts); l++)
	for (size_t r = 0; r < ARRAY_SIZE(rooms); r++) {
		uint32_t fits = rooms[r] - HDR;
		const uint32_t lens[] = {
			fits - 1, fits, fits + 1, fits + 2, fits + 4,
			2 * fits, 1519, 65536, FRAME_LEN_MAX,
		};

		rig_start(layouts[l]);
		for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
			uint32_t len = lens[i];

			if (len < 14 || len > FRAME_LEN_MAX)
				continue;
			assert_int_equal(received(rooms[r], len),
					 len <= fits ? HDR + len : 0);
			/* Those not used are not in the next one's way. */
			if (len > fits)
				rig_start(layouts[l]);
		}
	}
}

/* T7: from the guest none that is shorter than a header, to the guest none that
 * is padded with what was not sent. */
static void t7_short_frames(void **state)
{
	for (size_t l = 0; l < ARRAY_SIZE(layouts); l++) {
		rig_start(layouts[l]);
		for (uint32_t len = 0; len <= 64; len++) {
			assert_int_equal(sent(NULL, len), len >= 14);
			if (len < 14)
				continue;
			assert_int_equal(rig.sent[0].len, len);
			assert_int_equal(received(200, len), HDR + len);
		}
	}
}

/* T9: lengths that are more than 16 bits, alone and in sum. */
static void t9_lengths(void **state)
{
	static const uint32_t lens[] = {
		0xffff, 0x10000, 0x10001, 0x1000e, 0x1000f, 0x10010, 0x1ffff,
	};

	for (size_t l = 0; l < ARRAY_SIZE(layouts); l++) {
		rig_start(layouts[l]);
		for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
			struct buf bufs[] = {
				{ BUFS, HDR + 1 }, { BUFS, lens[i] / 2 },
				{ BUFS, lens[i] - 1 - lens[i] / 2 },
			};

			/* Not as one of 16 bits would say, e.g. 14. */
			memset(at(0), 0, HDR);
			rig.n_sent = 0;
			driver_add(&rig.drv[TX0], bufs, 3, 0, false);
			rig_round(1000);
			assert_int_equal(take_back(TX0), 1);
			assert_int_equal(rig.n_sent,
					 lens[i] <= FRAME_LEN_MAX);
			if (rig.n_sent)
				assert_int_equal(rig.sent[0].len, lens[i]);
		}
	}
}

/* T10: queues that there are not, by whoever's number. */
static void t10_queues_that_there_are_not(void **state)
{
	static const unsigned int numbers[] = {
		CTRL + 1, 2 * VIRTIO_NET_PAIRS_MAX, VIRTIO_NET_VQS_MAX,
		0xffff, 0x7fffffff, UINT32_MAX,
	};

	rig_start(V1 | F(CTRL_VQ) | F(MQ));
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		struct vring_config config = rig.drv[TX0].config;
		struct vring_state pos;

		assert_int_equal(virtio_net_queue_start(&rig.net, numbers[i],
							&config, NULL),
				 -EINVAL);
		virtio_net_kick(&rig.net, numbers[i]);
		virtio_net_queue_enable(&rig.net, numbers[i], true);
		virtio_net_queue_hold(&rig.net, numbers[i]);
		virtio_net_queue_poll(&rig.net, numbers[i], true);
		assert_false(virtio_net_queue_started(&rig.net, numbers[i]));
		assert_false(virtio_net_queue_stop(&rig.net, numbers[i],
						   &pos));
	}
	assert_true(sent(NULL, 60));
	/* Pairs in use whose queues have not been started. */
	virtio_net_set_pairs(&rig.net, RIG_PAIRS);
	assert_true(rig_deliver(rig_frame(bytes, 60), RIG_PAIRS - 1));
	assert_int_equal(rig.net.port.queues[RIG_PAIRS - 1]
			 .stats.rx_link_down.v, 1);
}

/* ---- T23 ---- */

/* A packet in a tunnel: Ethernet, IPv4, UDP, VXLAN, and these once more with
 * TCP; where the inner TCP header is. */
static uint32_t make_tunnel(void)
{
	static const uint8_t ip[20] = {
		0x45, 0, 1, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1,
		10, 0, 0, 2,
	};
	const uint32_t inner = 14 + 20 + 8 + 8;

	for (unsigned int i = 0; i < 2; i++) {
		bytes[12 + i * inner] = 8;
		bytes[13 + i * inner] = 0;
		memcpy(bytes + 14 + i * inner, ip, sizeof(ip));
	}
	bytes[inner + 23] = 6;
	bytes[36] = 4789 >> 8;
	bytes[37] = 4789 & 255;
	bytes[inner + 46] = 0x50;
	return inner + 34;
}

/* T23: what is in a tunnel has a checksum that can be completed, and no length
 * at which it could be cut. */
static void t23_tunnels(void **state)
{
	uint32_t tcp = make_tunnel(), len = 600;
	struct vnet_hdr hdr = {
		.flags = VNET_HDR_NEEDS_CSUM,
		.csum_start = le16_of((uint16_t)tcp),
		.csum_offset = le16_of(16),
		.gso_size = le16_of(100),
		.hdr_len = le16_of((uint16_t)(tcp + 20)),
	};
	static const uint8_t types[] = {
		VNET_HDR_GSO_TCP4, VNET_HDR_GSO_TCP6, VNET_HDR_GSO_UDP,
		VNET_HDR_GSO_TCP4 | VNET_HDR_GSO_ECN, 3,
	};
	uint8_t all[600];
	be16 csum;

	memset(bytes + tcp + 16, 0, 2);
	rig_start(V1 | F(CSUM) | F(HOST_TSO4) | F(HOST_USO));
	assert_true(sent(&hdr, len));
	frame_copy(completed(len), all, sizeof(all));
	csum = csum_of(all + tcp, len - tcp);
	assert_int_equal(csum.b[0] | csum.b[1], 0);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		hdr.gso_type = types[i];
		assert_false(sent(&hdr, len));
	}
	assert_int_equal(rig.net.counters.tx_bad_hdr.v, ARRAY_SIZE(types));
}

/* T23: large UDP packets (USO), whole to a receiver that takes them; no size of
 * segment is too small to end, none is zero. */
static void t23_large_udp(void **state)
{
	static const uint16_t sizes[] = { 0, 1, 8, 100, 1472, 0xffff };
	struct vnet_hdr hdr = {
		.flags = VNET_HDR_NEEDS_CSUM,
		.gso_type = VNET_HDR_GSO_UDP,
		.csum_start = le16_of(34),
		.csum_offset = le16_of(6),
	};

	rig_start(V1 | F(CSUM) | F(HOST_USO) | F(GUEST_CSUM) |
		  F(GUEST_USO4) | F(GUEST_USO6));
	assert_int_equal(rig.net.port.caps.gso, FRAME_GSO_UDP);
	make_tunnel();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		hdr.gso_size = le16_of(sizes[i]);
		assert_int_equal(sent(&hdr, 9000), sizes[i] >= 8);
		if (rig.n_sent) {
			assert_int_equal(rig.sent[0].frame.gso, FRAME_GSO_UDP);
			assert_int_equal(rig.sent[0].frame.gso_hdr_len, 42);
		}
	}
}

/* A large UDP packet, of IPv4 or IPv6, as a sender's driver leaves it: partial
 * checksum over the whole; where the payload begins. */
static uint32_t make_large_udp(bool ip6, uint32_t payload)
{
	uint32_t l4 = ip6 ? 54 : 34, l4_len = 8 + payload;
	struct csum csum = CSUM_INIT;
	be16 sum;

	memset(bytes + 12, 0, l4 + 8 - 12);
	rig_fill(bytes + l4 + 8, payload, 7);
	bytes[12] = ip6 ? 0x86 : 8;
	bytes[13] = ip6 ? 0xdd : 0;
	bytes[14] = ip6 ? 0x60 : 0x45;
	be16_store(bytes + (ip6 ? 18 : 16),
		   (uint16_t)(l4_len + (ip6 ? 0 : 20)));
	bytes[ip6 ? 20 : 23] = 17;
	bytes[ip6 ? 21 : 22] = 64;
	rig_fill(bytes + (ip6 ? 22 : 26), ip6 ? 32 : 8, 9);
	be16_store(bytes + l4 + 2, 4000);
	be16_store(bytes + l4 + 4, (uint16_t)l4_len);
	if (ip6)
		csum_add_pseudo6(&csum, bytes + 22, 17, (uint16_t)l4_len);
	else
		csum_add_pseudo4(&csum, bytes + 26, 17, (uint16_t)l4_len);
	sum = csum_sum(&csum);
	memcpy(bytes + l4 + 6, &sum, sizeof(sum));
	return l4 + 8;
}

/* Give it to pair 0 as the switch does, through the egress engine. */
static void deliver_large_udp(uint32_t hdr_len, uint32_t payload,
			      uint16_t gso_size)
{
	struct port_queue *queue = &rig.net.port.queues[0];
	struct frame *frame = rig_frame(bytes, hdr_len + payload);
	uint32_t resume_seg = 0;

	frame->flags = FRAME_CSUM_PARTIAL;
	frame->csum_start = (uint16_t)(hdr_len - 8);
	frame->csum_offset = 6;
	frame->gso = FRAME_GSO_UDP;
	frame->gso_size = gso_size;
	frame->gso_hdr_len = (uint16_t)hdr_len;
	assert_int_equal(port_deliver(queue, &frame, 1, &resume_seg), 1);
	queue->port->ops->rx_flush(queue);
}

/* The next buffer's bytes, in order; 0: there is none. */
static uint32_t take(unsigned int i, uint8_t *to)
{
	uint32_t len = 0;
	uint16_t id;

	if (driver_used(&rig.drv[RX0], &id, &len))
		memcpy(to, at(RX_AT + i * 2048), len);
	return len;
}

enum { USO_LEN = 9000, USO_SIZE = 1400 };

/* A receiver that takes such packets has them whole, in one buffer or spread
 * over many, to be cut up by whoever it gives them to. */
static void large_udp_whole(void **state)
{
	static const uint64_t kinds[] = {
		V1, V1 | PACKED, V1 | F(MRG_RXBUF), V1 | PACKED | F(MRG_RXBUF),
	};

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
	for (int ip6 = 0; ip6 < 2; ip6++) {
		static uint8_t got[HDR + USO_LEN + 2048];
		bool mergeable = kinds[k] & F(MRG_RXBUF);
		uint32_t hdr_len, len = 0, n = 0, piece;
		struct virtio_net_hdr hdr;

		rig_start(kinds[k] | F(GUEST_CSUM) | F(GUEST_USO4) |
			  F(GUEST_USO6));
		for (unsigned int i = 0; i < (mergeable ? 20 : 1); i++)
			driver_add(&rig.drv[RX0], &(struct buf){
				BUFS + RX_AT + i * 2048,
				mergeable ? 2048 : 16384 }, 0, 1, false);
		hdr_len = make_large_udp(ip6, USO_LEN - 100);
		deliver_large_udp(hdr_len, USO_LEN - 100, USO_SIZE);
		while ((piece = take(n, got + len)) > 0) {
			len += piece;
			n++;
		}
		assert_int_equal(len, HDR + hdr_len + USO_LEN - 100);
		assert_int_equal(n, mergeable ? 5 : 1);
		memcpy(&hdr, got, sizeof(hdr.vnet) + 2);
		assert_int_equal(hdr.vnet.flags, VNET_HDR_NEEDS_CSUM);
		assert_int_equal(hdr.vnet.gso_type, 5);	/* UDP_L4 */
		assert_int_equal(le16_get(hdr.vnet.gso_size), USO_SIZE);
		assert_int_equal(le16_get(hdr.vnet.hdr_len), hdr_len);
		assert_int_equal(le16_get(hdr.vnet.csum_start), hdr_len - 8);
		assert_int_equal(le16_get(hdr.vnet.csum_offset), 6);
		assert_int_equal(le16_get(hdr.n_buffers), n);
		assert_memory_equal(got + HDR, bytes, len - HDR);
		assert_int_equal(rig.net.port.queues[0].stats.gso_cut.v, 0);
	}
}

/* Is this segment @k: lengths, checksums, its part of the payload? */
static void expect_segment(const uint8_t *got, uint32_t len, bool ip6,
			   uint32_t k, uint32_t payload, bool partial)
{
	uint32_t l4 = ip6 ? 54 : 34, l4_len = 8 + payload;
	struct csum csum = CSUM_INIT;
	be16 sum;

	assert_int_equal(len, l4 + l4_len);
	assert_memory_equal(got + l4 + 8, bytes + l4 + 8 + k * USO_SIZE,
			    payload);
	assert_memory_equal(got + l4, bytes + l4, 4);
	assert_int_equal(be16_load(got + l4 + 4), l4_len);
	assert_int_equal(be16_load(got + (ip6 ? 18 : 16)),
			 l4_len + (ip6 ? 0 : 20));
	if (!ip6) {
		assert_int_equal(be16_load(got + 18), k);
		sum = csum_of(got + 14, 20);
		assert_int_equal(sum.b[0] | sum.b[1], 0);
	}
	if (ip6)
		csum_add_pseudo6(&csum, got + 22, 17, (uint16_t)l4_len);
	else
		csum_add_pseudo4(&csum, got + 26, 17, (uint16_t)l4_len);
	if (partial) {
		sum = csum_sum(&csum);
		assert_memory_equal(got + l4 + 6, &sum, sizeof(sum));
		return;
	}
	csum_add(&csum, got + l4, l4_len);
	sum = csum_finish(&csum);
	assert_int_equal(sum.b[0] | sum.b[1], 0);
}

/* One that takes none, or those of one IP version alone, has it cut: checksums
 * completed, or partial ones where it can. */
static void large_udp_cut(void **state)
{
	static const uint64_t kinds[] = {
		V1, V1 | PACKED, V1 | F(GUEST_CSUM),
		V1 | F(GUEST_CSUM) | F(GUEST_USO4),
		V1 | PACKED | F(GUEST_CSUM) | F(GUEST_USO6) | F(GUEST_TSO4),
	};

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
	for (int ip6 = 0; ip6 < 2; ip6++) {
		bool partial = kinds[k] & F(GUEST_CSUM);
		uint32_t left = USO_LEN - 100, n = 0, piece;
		uint64_t cut = rig.net.port.queues[0].stats.gso_cut.v;
		uint32_t hdr_len = make_large_udp(ip6, left);
		uint8_t got[2048];

		rig_start(kinds[k]);
		for (unsigned int i = 0; i < 20; i++)
			driver_add(&rig.drv[RX0], &(struct buf){
				BUFS + RX_AT + i * 2048, 2048 }, 0, 1, false);
		deliver_large_udp(hdr_len, left, USO_SIZE);
		while ((piece = take(n, got)) > 0) {
			uint32_t payload = min_of(left, (uint32_t)USO_SIZE);
			struct vnet_hdr hdr;

			memcpy(&hdr, got, sizeof(hdr));
			assert_int_equal(hdr.gso_type, VNET_HDR_GSO_NONE);
			assert_int_equal(hdr.flags, partial ?
					 VNET_HDR_NEEDS_CSUM : 0);
			expect_segment(got + HDR, piece - HDR, ip6, n++,
				       payload, partial);
			left -= payload;
		}
		assert_int_equal(left, 0);
		assert_int_equal(rig.net.port.queues[0].stats.gso_cut.v,
				 cut + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
		T(t4_checksum_at_the_edge),
		T(t5_tags_at_the_longest),
		T(t6_longer_than_the_buffer),
		T(t7_short_frames),
		T(t9_lengths),
		T(t10_queues_that_there_are_not),
		T(t23_tunnels),
		T(t23_large_udp),
		T(large_udp_whole),
		T(large_udp_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
