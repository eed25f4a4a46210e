/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio-net with as many queue pairs as there can be, all of them in use:
 * frames through each ring, spread by the driver's table or by what it sends.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "net_rig.h"

enum {
	PAIRS = VIRTIO_NET_PAIRS_MAX,
	HDR = VIRTIO_NET_HDR_LEN,
	LEN = 60,		/* of frames */
	TX_GAP = 256, RX_GAP = 128, RX_EACH = 32,
	N_FLOWS = 256,
};

static const uint64_t layouts[] = { V1, V1 | PACKED };

static int setup(void **state)
{
	return rig_setup_pairs(PAIRS);
}

static uint64_t tx_gpa(unsigned int pair)
{
	return RIG_BUFS_MANY + pair * TX_GAP;
}

static uint64_t rx_gpa(unsigned int pair, unsigned int i)
{
	return RIG_BUFS_MANY + 65536 + (pair * RX_EACH + i) * RX_GAP;
}

/* All rings, with buffers in those that receive. */
static void start_all(uint64_t features)
{
	rig_start(features);
	for (unsigned int vq = 4; vq < 2 * PAIRS; vq++)
		rig_queue_start(vq);
	for (unsigned int pair = 0; pair < PAIRS; pair++)
		for (unsigned int i = 0; i < RX_EACH; i++)
			driver_add(&rig.drv[2 * pair],
				   &(struct buf){ rx_gpa(pair, i), RX_GAP },
				   0, 1, false);
	for (unsigned int vq = 0; vq < VIRTIO_NET_VQS_MAX; vq++)
		assert_true(virtio_net_queue_started(&rig.net, vq));
}

static void command(uint8_t class, uint8_t cmd, const void *data,
		    uint32_t len)
{
	uint64_t at = RIG_BUFS_MANY + 512 * 1024;
	struct buf bufs[] = { { at, 2 }, { at + 64, len }, { at + 4096, 1 } };
	unsigned int ctrl = virtio_net_ctrl_idx(&rig.net);
	uint8_t *hdr = guest_at(&rig.guest, at);

	assert_int_equal(ctrl, 2 * PAIRS);
	hdr[0] = class;
	hdr[1] = cmd;
	memcpy(guest_at(&rig.guest, at + 64), data, len);
	driver_add(&rig.drv[ctrl], bufs, 2, 1, false);
	virtio_net_kick(&rig.net, ctrl);
	assert_true(driver_used(&rig.drv[ctrl], &(uint16_t){ 0 },
				&(uint32_t){ 0 }));
	assert_int_equal(*guest_at(&rig.guest, at + 4096), CTRL_OK);
}

static void use_pairs(uint16_t n)
{
	le16 data = le16_of(n);

	command(CTRL_MQ, CTRL_MQ_PAIRS_SET, &data, sizeof(data));
}

/* A UDP packet of flow @flow, from one end or the other. */
static void make_udp(uint8_t *bytes, unsigned int flow, bool back)
{
	const uint8_t ends[2][2] = { { 1, (uint8_t)flow }, { 2, 53 } };

	memset(bytes, 0, LEN);
	bytes[0] = bytes[6] = 2;
	bytes[12] = 8;
	bytes[14] = 0x45;
	bytes[17] = LEN - 14;
	bytes[23] = 17;
	bytes[26] = bytes[30] = 10;
	bytes[29] = ends[back][0];
	bytes[33] = ends[!back][0];
	bytes[35] = ends[back][1];
	bytes[37] = ends[!back][1];
	bytes[LEN - 1] = (uint8_t)flow;
}

static void send_on(unsigned int pair, const uint8_t *bytes)
{
	uint8_t *at = guest_at(&rig.guest, tx_gpa(pair));

	memset(at, 0, HDR);
	memcpy(at + HDR, bytes, LEN);
	driver_add(&rig.drv[2 * pair + 1],
		   &(struct buf){ tx_gpa(pair), HDR + LEN }, 1, 0, false);
}

static unsigned int queue_for(const uint8_t *bytes, unsigned int sender)
{
	return rig.net.port.ops->rx_queue(&rig.net.port,
					  rig_frame(bytes, LEN), sender);
}

/* Deliver to the pair that is to have it, whose @n-th frame it is: it comes
 * there, and nowhere else. */
static void arrives_at(unsigned int pair, unsigned int n, const uint8_t *bytes)
{
	uint32_t len;
	uint16_t id;

	assert_true(rig_deliver(rig_frame(bytes, LEN), pair));
	for (unsigned int i = 0; i < PAIRS; i++)
		assert_int_equal(driver_used(&rig.drv[2 * i], &id, &len),
				 i == pair);
	assert_memory_equal(guest_at(&rig.guest, rx_gpa(pair, n)) + HDR, bytes,
			    LEN);
}

/* One round of the worker takes what there is in every ring. */
static void all_pairs_send(void **state)
{
	for (size_t l = 0; l < ARRAY_SIZE(layouts); l++) {
		uint8_t bytes[LEN];

		start_all(layouts[l] | F(CTRL_VQ) | F(MQ));
		use_pairs(PAIRS);
		for (unsigned int i = 0; i < PAIRS; i++) {
			make_udp(bytes, i, false);
			send_on(i, bytes);
		}
		memset(rig.n_calls, 0, sizeof(rig.n_calls));
		rig_round(1000);
		assert_int_equal(rig.n_sent, PAIRS);
		for (unsigned int i = 0; i < PAIRS; i++) {
			unsigned int vq = 2 * i + 1;

			make_udp(bytes, i, false);
			assert_memory_equal(rig.sent[i].bytes, bytes, LEN);
			assert_true(driver_used(&rig.drv[vq],
						&(uint16_t){ 0 },
						&(uint32_t){ 0 }));
			assert_int_equal(rig.n_calls[vq], 1);
			assert_int_equal(rig.net.port.queues[i]
					 .stats.tx_frames.v, l + 1);
		}
	}
}

/* By the driver's table: the last pair gets as much as any. */
static void spread_by_the_table(void **state)
{
	enum { N_TABLE = RSS_TABLE_MAX, KEY = RSS_KEY_MAX };

	for (size_t l = 0; l < ARRAY_SIZE(layouts); l++) {
		uint8_t data[11 + 2 * N_TABLE + KEY], bytes[LEN];
		unsigned int n[PAIRS] = { 0 };

		start_all(layouts[l] | F(CTRL_VQ) | F(MQ) | F(RSS));
		le32_store(data, HASH_TYPE_UDP4);
		le16_store(data + 4, N_TABLE - 1);
		le16_store(data + 6, PAIRS - 1);
		for (unsigned int i = 0; i < N_TABLE; i++)
			le16_store(data + 8 + 2 * i, i % PAIRS);
		le16_store(data + 8 + 2 * N_TABLE, PAIRS);
		data[10 + 2 * N_TABLE] = KEY;
		rig_fill(data + 11 + 2 * N_TABLE, KEY, 5);
		command(CTRL_MQ, CTRL_MQ_RSS_CONFIG, data, sizeof(data));
		for (unsigned int flow = 0; flow < N_FLOWS; flow++) {
			unsigned int pair;

			make_udp(bytes, flow, true);
			pair = queue_for(bytes, flow % PAIRS);
			assert_in_range(pair, 0, PAIRS - 1);
			/* Whoever sends it. */
			assert_int_equal(queue_for(bytes, 3), pair);
			if (n[pair] < RX_EACH)
				arrives_at(pair, n[pair]++, bytes);
		}
		for (unsigned int i = 0; i < PAIRS; i++)
			assert_in_range(n[i], N_FLOWS / PAIRS / 4, RX_EACH);
		/* What has no hash. */
		bytes[12] = 0x88;
		assert_int_equal(queue_for(bytes, 0), PAIRS - 1);
	}
}

/* Without a table: where the driver has sent the flow; of what it has not sent,
 * by the sender's pair; never to one that is not in use. */
static void spread_by_what_is_sent(void **state)
{
	static const uint16_t fewer[] = { PAIRS - 1, 7, 2, 1 };

	for (size_t l = 0; l < ARRAY_SIZE(layouts); l++) {
		uint8_t bytes[LEN];

		start_all(layouts[l] | F(CTRL_VQ) | F(MQ));
		use_pairs(PAIRS);
		for (unsigned int i = 0; i < PAIRS; i++) {
			make_udp(bytes, i, true);
			assert_int_equal(queue_for(bytes, i), i);
			assert_int_equal(queue_for(bytes, i + PAIRS), i);
		}
		for (unsigned int i = 0; i < PAIRS; i++) {
			unsigned int pair = PAIRS - 1 - i;

			make_udp(bytes, i, false);
			send_on(pair, bytes);
			rig_round(1000);
			make_udp(bytes, i, true);
			assert_int_equal(queue_for(bytes, i), pair);
			arrives_at(pair, 0, bytes);
		}
		for (size_t f = 0; f < ARRAY_SIZE(fewer); f++) {
			use_pairs(fewer[f]);
			for (unsigned int i = 0; i < PAIRS; i++) {
				make_udp(bytes, i, true);
				assert_in_range(queue_for(bytes, i), 0,
						fewer[f] - 1);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
		T(all_pairs_send),
		T(spread_by_the_table),
		T(spread_by_what_is_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
