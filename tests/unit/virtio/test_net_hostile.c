/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio-net and a driver that means harm, by the rows of flaws that
 * docs/threat-model.md has; those that are not here it names elsewhere.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <pthread.h>
#include <string.h>
#include <cmocka.h>

#include "net_rig.h"
#include "port/gso.h"

enum {
	HDR = VIRTIO_NET_HDR_LEN,
	FRAME = 600,		/* bytes of those sent here */
	TX_AT = 0x10000, RX_AT = 0x20000,	/* from BUFS on */
	GUARD = 0xa5,
};

static const uint64_t layouts[] = { V1, V1 | PACKED };

static uint8_t *at(uint64_t off)
{
	return guest_at(&rig.guest, BUFS + off);
}

static void send_bytes(const struct vnet_hdr *hdr, const uint8_t *bytes,
		       uint32_t len)
{
	struct buf buf = { BUFS + TX_AT, HDR + len };

	memset(at(TX_AT), 0, HDR);
	if (hdr)
		memcpy(at(TX_AT), hdr, sizeof(*hdr));
	memcpy(at(TX_AT + HDR), bytes, len);
	driver_add(&rig.drv[TX0], &buf, 1, 0, false);
	rig_round(1000);
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

/* A frame goes out, and one comes in. */
static void still_alive(void)
{
	static const uint8_t bytes[60] = { 2 };

	rig.n_sent = 0;
	send_bytes(NULL, bytes, sizeof(bytes));
	assert_int_equal(rig.n_sent, 1);
	driver_add(&rig.drv[RX0], &(struct buf){ BUFS + RX_AT, 100 }, 0, 1,
		   false);
	assert_true(rig_deliver(rig_frame(bytes, sizeof(bytes)), 0));
	assert_int_not_equal(take_back(RX0), 0);
	take_back(TX0);
}

/* T2: chains of nothing, rings full of them, for ever. */
static void t2_no_progress(void **state)
{
	struct buf nothing[4] = {
		{ BUFS, 0 }, { BUFS, 0 }, { 0, 0 }, { ~0ull, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		rig_start(layouts[i]);
		for (unsigned int n = 0; n < RIG_QUEUE / 4; n++) {
			driver_add(&rig.drv[TX0], nothing, 4, 0, false);
			driver_add(&rig.drv[RX0], nothing, 0, 4, false);
		}
		for (unsigned int n = 0; n < RIG_QUEUE; n++)
			rig_round(1000);
		assert_int_equal(rig.n_sent, 0);
		assert_int_equal(take_back(TX0), RIG_QUEUE / 4);
		/* All of its buffers are given back before it is full. */
		assert_false(rig_deliver(rig_frame((uint8_t[60]){ 2 }, 60),
					 0));
		assert_int_equal(take_back(RX0), RIG_QUEUE / 4);
		still_alive();
	}
}

/* A TCP or UDP packet, of IPv4 or IPv6. */
static uint32_t make_packet(uint8_t *bytes, bool ip6, uint8_t proto)
{
	uint32_t l4 = ip6 ? 54 : 34;

	rig_fill(bytes, FRAME, 5);
	memset(bytes, 0, l4 + 20);
	bytes[0] = bytes[6] = 2;
	bytes[12] = ip6 ? 0x86 : 0x08;
	bytes[13] = ip6 ? 0xdd : 0;
	bytes[14] = ip6 ? 0x60 : 0x45;
	bytes[ip6 ? 18 : 16] = (FRAME - (ip6 ? 54 : 14)) >> 8;
	bytes[ip6 ? 19 : 17] = (uint8_t)(FRAME - (ip6 ? 54 : 14));
	bytes[ip6 ? 20 : 23] = proto;
	bytes[l4 + 12] = 0x50;		/* TCP: header of 20 bytes */
	return l4;
}

/* What is passed on can be carried out: cut up, checksums completed. */
static void check_sent(const uint8_t *bytes)
{
	static struct frame_batch batch;
	static struct gso_scratch scratch;
	struct iovec iov = { (void *)bytes, FRAME };
	const struct frame *sent = &rig.sent[0].frame;
	struct frame *frame;
	uint32_t n;

	batch.n = batch.n_segs = 0;
	frame = batch_next(&batch);
	assert_int_equal(batch_fill(&batch, frame, &iov, 1, FRAME), 0);
	frame->flags = sent->flags;
	frame->csum_start = sent->csum_start;
	frame->csum_offset = sent->csum_offset;
	frame->gso = sent->gso;
	frame->gso_size = sent->gso_size;
	frame->gso_hdr_len = sent->gso_hdr_len;
	if (!frame->gso) {
		assert_true(csum_check(frame));
		csum_fill(frame);
		return;
	}
	assert_true(gso_check(frame));
	n = gso_n_segs(frame);
	assert_in_range(n, 1, FRAME);
	for (uint32_t i = 0; i < n; i += BATCH_MAX)
		gso_cut(frame, i, min_of(n - i, (uint32_t)BATCH_MAX),
			&scratch);
}

/* T3, T4, T23: every kind of offload, with sizes and places at every edge. */
static void t23_header_sweep(void **state)
{
	static const uint16_t values[] = {
		0, 1, 2, 7, 8, 13, 14, 33, 34, 35, 53, 54, 74, 248, 254, 255,
		256, FRAME - 2, FRAME - 1, FRAME, FRAME + 1, 0x7fff, 0xffff,
	};
	static const uint8_t types[] = { 0, 1, 3, 4, 5, 0x81, 0x84, 0xff };
	static uint8_t bytes[FRAME];
	uint64_t n = 0, good = 0;

	rig_start(V1);
	for (unsigned int packet = 0; packet < 4; packet++) {
		make_packet(bytes, packet & 1, packet & 2 ? 17 : 6);
		for (size_t t = 0; t < ARRAY_SIZE(types); t++)
		for (size_t size = 0; size < ARRAY_SIZE(values); size++)
		for (size_t from = 0; from < ARRAY_SIZE(values); from++)
		for (size_t to = 0; to < ARRAY_SIZE(values); to += 4) {
			struct vnet_hdr hdr = {
				.flags = VNET_HDR_NEEDS_CSUM,
				.gso_type = types[t],
				.gso_size = le16_of(values[size]),
				.hdr_len = le16_of(values[to]),
				.csum_start = le16_of(values[from]),
				.csum_offset = le16_of(values[to]),
			};

			rig.n_sent = 0;
			send_bytes(&hdr, bytes, FRAME);
			assert_int_equal(take_back(TX0), 1);
			n++;
			good += rig.n_sent;
			if (rig.n_sent)
				check_sent(bytes);
		}
	}
	/* Each is passed on or counted; both have been seen. */
	assert_int_equal(rig.net.counters.tx_bad_hdr.v, n - good);
	assert_in_range(good, 1, n - 1);
	still_alive();
}

/* T5, T7: tags at the edge of the shortest frames. */
static void t5_tags_at_the_edge(void **state)
{
	uint8_t bytes[64] = { 2 };

	bytes[12] = bytes[16] = 0x81;
	rig_start(V1);
	for (uint32_t len = 0; len <= sizeof(bytes); len++) {
		rig.n_sent = 0;
		send_bytes(NULL, bytes, len);
		assert_int_equal(take_back(TX0), 1);
		assert_int_equal(rig.n_sent, len >= 14);
		/* Its tag is beside the bytes, or still in them. */
		if (rig.n_sent)
			assert_int_equal(rig.sent[0].len,
					 rig.sent[0].frame.flags & FRAME_VLAN ?
					 len - 4 : len);
	}
	still_alive();
}

/* ---- T13 ---- */

/* What the other vCPU does to queue TX0 and to what it sends. */
static void *flip(void *arg)
{
	bool *stop = arg;
	uint8_t *desc = rig.drv[TX0].desc;

	for (uint32_t i = 1; !__atomic_load_n(stop, __ATOMIC_RELAXED); i++) {
		uint32_t r = i * 2654435761u;
		uint8_t *d = desc + 16 * (i % RIG_QUEUE);

		/* The address's low half, then length, flags or header. */
		__atomic_store_n((uint32_t *)d, (uint32_t)(BUFS + TX_AT) +
				 (r >> 28), __ATOMIC_RELAXED);
		__atomic_store_n((uint32_t *)(d + 8), r >> (r & 31),
				 __ATOMIC_RELAXED);
		__atomic_store_n(at(TX_AT + r % 64), (uint8_t)(r >> 24),
				 __ATOMIC_RELAXED);
	}
	return NULL;
}

/* What has been refused so far, each time by what another had written. */
static uint64_t n_refused(void)
{
	return rig.net.counters.tx_bad_hdr.v + rig.net.counters.tx_bad_chain.v;
}

/* Send once while flip() runs; frames that went out. */
static unsigned int send_flipped(const uint8_t *bytes)
{
	const struct vnet_hdr hdr = {
		.flags = VNET_HDR_NEEDS_CSUM,
		.gso_type = VNET_HDR_GSO_TCP4,
		.gso_size = le16_of(100),
		.csum_start = le16_of(34),
		.csum_offset = le16_of(16),
	};

	rig.n_sent = 0;
	send_bytes(&hdr, bytes, FRAME);
	for (unsigned int n = 0; n < rig.n_sent; n++)
		assert_in_range(rig.sent[n].len, 10, FRAME_LEN_MAX);
	take_back(TX0);
	return rig.n_sent;
}

/* T13: whatever it reads it reads once: no frame is longer than there can be,
 * nothing but it goes out, and the ring is used up or given up.  It goes on
 * until the other one has been in between: on a busy host that may take it a
 * while. */
static void t13_double_fetch(void **state)
{
	enum { N_EACH = 30000 };
	static uint8_t bytes[FRAME];
	pthread_t thread;
	bool stop;

	for (size_t l = 0; l < ARRAY_SIZE(layouts); l++) {
		unsigned int n_sent = 0, n_resets = 0;
		uint64_t before = n_refused();

		make_packet(bytes, false, 6);
		rig_start(layouts[l]);
		stop = false;
		assert_int_equal(pthread_create(&thread, NULL, flip, &stop),
				 0);
		for (unsigned int i = 0; i < N_EACH || !n_sent ||
		     n_refused() + n_resets == before; i++) {
			n_sent += send_flipped(bytes);
			if (!vring_ready(&rig.net.vq[TX0].ring)) {
				rig_start(layouts[l]);
				n_resets++;
			}
		}
		__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		rig_start(layouts[l]);
		still_alive();
	}
}

/* What the other vCPU does to queue RX0, and to the command at BUFS. */
static void *flip_rx(void *arg)
{
	bool *stop = arg;
	/* The driver may be started anew meanwhile. */
	uint8_t *desc = rig.drv[RX0].desc;
	bool packed = rig.drv[RX0].packed;

	for (uint32_t i = 1; !__atomic_load_n(stop, __ATOMIC_RELAXED); i++) {
		uint32_t r = i * 2654435761u;
		uint8_t *d = desc + 16 * (i % RIG_QUEUE);

		__atomic_store_n((uint32_t *)d, (uint32_t)(BUFS + RX_AT) +
				 (r >> 28), __ATOMIC_RELAXED);
		__atomic_store_n((uint32_t *)(d + 8), r >> (r & 31),
				 __ATOMIC_RELAXED);
		/* A packed ring's flags say whose it is, too. */
		if (!packed)
			__atomic_store_n((uint16_t *)(d + 12), r >> 13 &
					 (DRV_WRITE | DRV_NEXT),
					 __ATOMIC_RELAXED);
		/* Of the table of addresses: how many there are. */
		__atomic_store_n(at(2 + r % 4), (uint8_t)(r >> 24),
				 __ATOMIC_RELAXED);
	}
	return NULL;
}

/* A frame for the driver, and a command of it: a table of eight addresses and
 * one of none. */
static void receive_and_command(const uint8_t *bytes)
{
	const struct buf bufs[] = { { BUFS, 2 + 4 + 6 * 8 + 4 },
				    { BUFS + 128, 1 } };
	unsigned int ctrl = virtio_net_ctrl_idx(&rig.net);

	driver_add(&rig.drv[RX0], &(struct buf){ BUFS + RX_AT, 700 }, 0, 1,
		   false);
	rig_deliver(rig_frame(bytes, FRAME), 0);
	take_back(RX0);
	memset(at(0), 0, bufs[0].len);
	*at(0) = CTRL_MAC;
	*at(2) = 8;
	driver_add(&rig.drv[ctrl], bufs, 1, 1, false);
	virtio_net_kick(&rig.net, ctrl);
	assert_int_equal(take_back(ctrl), 1);
}

/* T13, the other way: buffers and commands. */
static void t13_buffers_and_commands(void **state)
{
	enum { N_EACH = 5000 };
	static uint8_t bytes[FRAME] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	const struct virtio_net_counters *c = &rig.net.counters;
	pthread_t thread;
	bool stop;

	for (size_t l = 0; l < ARRAY_SIZE(layouts); l++) {
		uint64_t features = layouts[l] | F(CTRL_VQ) | F(CTRL_RX);
		uint64_t no_fit = c->rx_no_fit.v, refused = c->ctrl_refused.v;
		uint64_t n_ctrl = c->ctrl.v, calls;

		rig_start(features);
		calls = c->calls.v;
		stop = false;
		assert_int_equal(pthread_create(&thread, NULL, flip_rx, &stop),
				 0);
		for (unsigned int i = 0; i < N_EACH || c->calls.v == calls ||
		     c->rx_no_fit.v == no_fit || c->ctrl_refused.v == refused;
		     i++) {
			receive_and_command(bytes);
			if (!vring_ready(&rig.net.vq[RX0].ring))
				rig_start(features);
			assert_in_range(rig.net.filter.n_uni +
					rig.net.filter.n_multi, 0,
					2 * MAC_FILTER_MAX);
		}
		__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		assert_int_not_equal(c->ctrl.v - n_ctrl,
				     c->ctrl_refused.v - refused);
		rig_start(layouts[l]);
		still_alive();
	}
}

/* ---- T8 ---- */

/* 600 bytes that are a frame, and where they land on a ring, descriptors: of
 * chains without end, of tables in tables, of what is not there, and of what
 * is.  @drv: that ring's. */
static void make_descs(const struct driver *drv, uint8_t *bytes, uint32_t seed)
{
	const uint64_t gpas[] = {
		BUFS, drv->config.desc, drv->config.device, ~0ull, 0,
		GUEST_BASE + GUEST_LEN - 1, drv->tables, drv->config.driver,
	};

	rig_fill(bytes, FRAME, seed);
	for (uint32_t off = seed % 3 * 4; off + 16 <= FRAME; off += 16) {
		uint32_t r = (seed + off) * 2654435761u;
		uint16_t flags = r >> 8 & (DRV_NEXT | DRV_WRITE |
					   (seed & 8 ? DRV_INDIRECT : 0));

		if (drv->packed)
			flags |= r & 1 << 20 ? 0x80 : 0x8000;
		driver_desc(drv, bytes + off, gpas[r >> 29],
			    r & 1 << 21 ? 64 : r >> (r & 31), flags,
			    (uint16_t)(r & 1 << 22 ? off / 16 : r >> 12));
	}
	bytes[0] = bytes[6] = 2;
}

/* Frames come and go, whatever has become of the rings.  A round is short, and
 * what it sends are frames; nothing is sent for ever. */
static void live_on_rings(const struct driver *drv, uint32_t seed)
{
	static uint8_t bytes[FRAME];

	for (uint32_t i = 0; i < 12; i++) {
		make_descs(drv, bytes, seed + i);
		rig_deliver(rig_frame(bytes, FRAME), 0);
		virtio_net_kick(&rig.net, TX0);
		rig.n_sent = 0;
		rig_round(1000);
		assert_in_range(rig.n_sent, 0, BATCH_MAX);
		for (unsigned int n = 0; n < rig.n_sent; n++)
			assert_in_range(rig.sent[n].len, 10, FRAME_LEN_MAX);
	}
	for (unsigned int i = 0; i < 2 * RIG_QUEUE; i++)
		rig_round(1000);
	rig.n_sent = 0;
	for (unsigned int i = 0; i < 4; i++)
		rig_round(1000);
	assert_int_equal(rig.n_sent, 0);
}

static const uint64_t t8_features[] = {
	V1, V1 | PACKED, V1 | INDIRECT | F(MRG_RXBUF),
	V1 | INDIRECT | PACKED | F(MRG_RXBUF), V1 | EVENT | IN_ORDER,
};

/* Buffers to receive into, and to send from, on the areas of the queues. */
static void t8_buffers_on_rings(void **state)
{
	static const int offs[] = { -12, -8, 0, 4, 8, 16 * 20 - 12 };

	for (size_t f = 0; f < ARRAY_SIZE(t8_features); f++)
	for (unsigned int on = 0; on < 8; on++)
	for (size_t o = 0; o < ARRAY_SIZE(offs); o++) {
		const struct driver *drv = &rig.drv[on & 4 ? TX0 : RX0];
		bool indirect = t8_features[f] & INDIRECT && o & 1;
		struct buf buf = { 0, 700 };

		rig_start(t8_features[f]);
		buf.gpa = (uint64_t[]){
			drv->config.desc, drv->config.driver,
			drv->config.device, drv->tables }[on & 3] +
			(uint64_t)offs[o];
		if (buf.gpa < GUEST_BASE)
			buf.gpa = GUEST_BASE;
		for (unsigned int i = 0; i < 64; i++) {
			driver_add(&rig.drv[RX0], &buf, 0, 1, indirect);
			driver_add(&rig.drv[TX0], &buf, 1, 0, indirect);
		}
		live_on_rings(drv, (uint32_t)(8 * o + on));
	}
	rig_start(V1);
	still_alive();
}

/* The descriptor added last refers to a table instead. */
static void make_table(struct driver *drv, unsigned int slot)
{
	drv->desc[16 * slot + (drv->packed ? 14 : 12)] |= DRV_INDIRECT;
}

/* Tables on the areas of their queue: the device writes into them what it has
 * used.  On its own descriptor one is a table in a table: there it ends, but
 * for a packed ring, in whose tables that flag says nothing (2.8.8). */
static void t8_tables_on_rings(void **state)
{
	for (size_t l = 0; l < ARRAY_SIZE(layouts); l++)
	for (unsigned int vq = RX0; vq <= TX0; vq++)
	for (unsigned int on = 0; on < 24; on++) {
		struct driver *drv = &rig.drv[vq];
		struct buf table = { 0, 16 * (1 + on % 8) };
		unsigned int n_broken = rig.n_broken;

		rig_start(layouts[l] | INDIRECT);
		table.gpa = (uint64_t[]){
			drv->config.desc, drv->config.driver,
			drv->config.device }[on / 8] +
			(on & 1 ? 16 * 40 + 4u : 0);
		for (unsigned int i = 0; i < 64; i++) {
			driver_add(drv, &table, vq == TX0, vq == RX0, false);
			make_table(drv, i);
		}
		live_on_rings(drv, on);
		if (on < 8 && !(on & 1) && !(layouts[l] & PACKED))
			assert_int_equal(rig.n_broken, n_broken + 1);
	}
	rig_start(V1);
	still_alive();
}

/* Areas of a queue on each other: what is used makes more available. */
static void t8_rings_on_rings(void **state)
{
	static const int offs[] = { -8, -4, 0, 4, 8, 16, 64, 512 };

	for (size_t l = 0; l < ARRAY_SIZE(layouts); l++)
	for (unsigned int on = 0; on < 3; on++)
	for (size_t o = 0; o < ARRAY_SIZE(offs); o++) {
		struct driver *drv = &rig.drv[TX0];
		struct buf buf = { BUFS + TX_AT, HDR + 60 };
		struct vring_config config;

		rig_start(layouts[l]);
		virtio_net_queue_stop(&rig.net, TX0, NULL);
		config = drv->config;
		*(on == 1 ? &config.driver : &config.device) =
			(on ? config.desc : config.driver) + 1024 +
			(uint64_t)offs[o];
		if (!on)
			config.driver += 1024;
		assert_int_equal(virtio_net_queue_start(&rig.net, TX0, &config,
							NULL), 0);
		drv->avail = guest_at(&rig.guest, config.driver);
		for (unsigned int i = 0; i < 100; i++)
			driver_add(drv, &buf, 1, 0, false);
		for (unsigned int i = 0; i < 1000; i++) {
			rig.n_sent = 0;
			rig_round(1000);
			assert_in_range(rig.n_sent, 0, BATCH_MAX);
		}
	}
	rig_start(V1);
	still_alive();
}

/* T15: reset while frames are held, buffers at hand, a call is due. */
static void t15_reset_at_every_step(void **state)
{
	static uint8_t bytes[FRAME] = { 2 };

	for (unsigned int step = 0; step < 40; step++) {
		struct buf tx = { BUFS + TX_AT, HDR + FRAME };

		rig_start(layouts[step % 2]);
		rig.accept = step % 5;
		for (unsigned int i = 0; i < 20; i++) {
			driver_add(&rig.drv[TX0], &tx, 1, 0, false);
			driver_add(&rig.drv[RX0],
				   &(struct buf){ BUFS + RX_AT, 100 }, 0, 1,
				   false);
		}
		for (unsigned int i = 0; i < step / 5; i++) {
			rig_round(1000);
			rig_deliver(rig_frame(bytes, 60), 0);
		}
		virtio_net_reset(&rig.net);
		take_back(TX0);
		take_back(RX0);
		memset(at(TX_AT), GUARD, FRAME);
		memset(at(RX_AT), GUARD, 100);
		rig.n_sent = 0;
		rig_round(100000);
		rig_deliver(rig_frame(bytes, 60), 0);
		assert_int_equal(rig.n_sent, 0);
		assert_int_equal(take_back(TX0) + take_back(RX0), 0);
		for (unsigned int i = 0; i < 100; i++)
			assert_int_equal(*at(RX_AT + i), GUARD);
	}
	rig.accept = BATCH_MAX;
	rig_start(V1);
	still_alive();
}

/* T16: without room it waits, and goes on when there is some. */
static void t16_receiver_without_room(void **state)
{
	static const uint8_t bytes[60] = { 2 };

	for (size_t l = 0; l < ARRAY_SIZE(layouts); l++) {
		rig_start(layouts[l]);
		for (unsigned int i = 0; i < 1000; i++) {
			assert_false(rig_deliver(rig_frame(bytes, 60), 0));
			/* It has asked to be told. */
			driver_add(&rig.drv[RX0],
				   &(struct buf){ BUFS + RX_AT, 100 }, 0, 1,
				   false);
			assert_true(rig_deliver(rig_frame(bytes, 60), 0));
			assert_int_equal(take_back(RX0), 1);
		}
	}
}

/* T16: commands without end keep nobody from the rest: a queue's worth a kick.
 * The chain is its own successor in the ring of those available. */
static void t16_commands_without_end(void **state)
{
	struct buf bufs[] = { { BUFS, 3 }, { BUFS + 64, 1 } };
	unsigned int ctrl;

	rig_start(V1 | F(CTRL_VQ) | F(CTRL_RX));
	ctrl = virtio_net_ctrl_idx(&rig.net);
	memcpy(at(0), "\0\0\1", 3);	/* promiscuous mode: on */
	driver_add(&rig.drv[ctrl], bufs, 1, 1, false);
	/* As many as an index can run ahead. */
	le16_store(rig.drv[ctrl].avail + 2, RIG_QUEUE);
	virtio_net_kick(&rig.net, ctrl);
	assert_int_equal(rig.net.counters.ctrl.v, RIG_QUEUE);
	/* Further than that it cannot be. */
	le16_store(rig.drv[ctrl].avail + 2, 2 * RIG_QUEUE + 1);
	virtio_net_kick(&rig.net, ctrl);
	assert_int_equal(rig.net.counters.ctrl.v, RIG_QUEUE);
	assert_int_equal(rig.n_broken, 1);
	still_alive();
}

/* T17: each byte that the guest sees has been written for it. */
static void t17_nothing_stale(void **state)
{
	static const uint8_t bytes[60] = { 2 };
	struct virtio_net_hdr hdr;

	rig_start(V1 | F(HASH_REPORT) | F(CTRL_VQ));
	memset(at(RX_AT), GUARD, 200);
	driver_add(&rig.drv[RX0], &(struct buf){ BUFS + RX_AT, 200 }, 0, 1,
		   false);
	assert_true(rig_deliver(rig_frame(bytes, 60), 0));
	memcpy(&hdr, at(RX_AT), sizeof(hdr));
	assert_int_equal(hdr.vnet.flags | hdr.vnet.gso_type, 0);
	assert_int_equal(le16_get(hdr.vnet.hdr_len) |
			 le16_get(hdr.vnet.gso_size) |
			 le16_get(hdr.vnet.csum_start) |
			 le16_get(hdr.vnet.csum_offset), 0);
	assert_int_equal(le16_get(hdr.n_buffers), 1);
	assert_int_equal(le32_get(hdr.hash) | le16_get(hdr.hash_report) |
			 le16_get(hdr.padding), 0);
	for (unsigned int i = sizeof(hdr) + 60; i < 200; i++)
		assert_int_equal(*at(RX_AT + i), GUARD);
	/* What is given back unused is not touched at all. */
	memset(at(RX_AT), GUARD, 200);
	driver_add(&rig.drv[RX0], &(struct buf){ BUFS + RX_AT, 79 }, 0, 1,
		   false);
	assert_true(rig_deliver(rig_frame(bytes, 60), 0));
	for (unsigned int i = 0; i < 200; i++)
		assert_int_equal(*at(RX_AT + i), GUARD);
}

/* T18: a queue that is to go on from anywhere. */
static void t18_any_position(void **state)
{
	for (uint32_t i = 0; i < 4000; i++) {
		uint32_t r = i * 2654435761u;
		struct vring_state from = {
			.avail = (uint16_t)(r >> 16), .used = (uint16_t)r,
		};
		struct driver *drv = &rig.drv[TX0];

		rig_start(layouts[i % 2]);
		rig_fill(drv->desc, 16 * RIG_QUEUE, r);
		virtio_net_queue_stop(&rig.net, TX0, NULL);
		/* Refused, or served as far as it makes sense. */
		if (virtio_net_queue_start(&rig.net, TX0, &drv->config, &from))
			continue;
		rig_round(1000);
	}
	rig_start(V1);
	still_alive();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
		T(t2_no_progress),
		T(t23_header_sweep),
		T(t5_tags_at_the_edge),
		T(t13_double_fetch),
		T(t13_buffers_and_commands),
		T(t8_buffers_on_rings),
		T(t8_tables_on_rings),
		T(t8_rings_on_rings),
		T(t15_reset_at_every_step),
		T(t16_receiver_without_room),
		T(t16_commands_without_end),
		T(t17_nothing_stale),
		T(t18_any_position),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
