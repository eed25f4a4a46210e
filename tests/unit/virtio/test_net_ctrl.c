/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio-net, what is negotiated and what the driver asks for: features, the
 * configuration space, every control command with good data, with bad data and
 * with data of every wrong length (classes T9, T10); filters, hashes, delayed
 * interrupts.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>

#include "net_rig.h"

#define CTRL_ALL (V1 | F(CTRL_VQ) | F(CTRL_RX) | F(CTRL_RX_EXTRA) |	\
	F(CTRL_VLAN) | F(CTRL_MAC_ADDR) | F(CTRL_GUEST_OFFLOADS) |	\
	F(MQ) | F(RSS) | F(HASH_REPORT) | F(NOTF_COAL) |		\
	F(GUEST_ANNOUNCE) | F(STATUS) | F(GUEST_CSUM) | F(GUEST_TSO4))

enum { NO_ANSWER = 77 };

/* Give a command; returns the answer. */
static uint8_t ctrl(uint8_t class, uint8_t cmd, const void *data, uint32_t len)
{
	struct driver *drv = &rig.drv[CTRL];
	uint8_t *hdr = guest_at(&rig.guest, BUFS);
	struct buf bufs[] = {
		{ BUFS, 2 }, { BUFS + 4096, len }, { BUFS + 65536, 1 },
	};
	uint8_t *answer = guest_at(&rig.guest, bufs[2].gpa);
	uint16_t id;
	uint32_t used;

	hdr[0] = class;
	hdr[1] = cmd;
	memcpy(guest_at(&rig.guest, bufs[1].gpa), data, len);
	*answer = NO_ANSWER;
	driver_add(drv, bufs, 2, 1, false);
	assert_true(driver_is_asked(drv));
	virtio_net_kick(&rig.net, virtio_net_ctrl_idx(&rig.net));
	assert_true(driver_used(drv, &id, &used));
	assert_int_equal(used, 1);
	return *answer;
}

static void taken(uint8_t class, uint8_t cmd, const void *data, uint32_t len)
{
	assert_int_equal(ctrl(class, cmd, data, len), CTRL_OK);
}

static void refused(uint8_t class, uint8_t cmd, const void *data, uint32_t len)
{
	assert_int_equal(ctrl(class, cmd, data, len), CTRL_ERR);
}

/* @good of @len bytes is taken, and nothing that is shorter or longer. */
static void only_of_length(uint8_t class, uint8_t cmd, const void *good,
			   uint32_t len)
{
	uint8_t data[300] = { 0 };

	memcpy(data, good, len);
	for (uint32_t n = 0; n <= len + 3; n++)
		assert_int_equal(ctrl(class, cmd, data, n),
				 n == len ? CTRL_OK : CTRL_ERR);
}

static void commands_have_their_length(void **state)
{
	static const uint8_t zeroes[16], pairs[2] = { 2 };

	rig_start(CTRL_ALL);
	for (uint8_t cmd = CTRL_RX_PROMISC; cmd <= CTRL_RX_NOBCAST; cmd++)
		only_of_length(CTRL_RX, cmd, zeroes, 1);
	only_of_length(CTRL_MAC, CTRL_MAC_TABLE_SET, zeroes, 8);
	only_of_length(CTRL_MAC, CTRL_MAC_ADDR_SET, zeroes, 6);
	only_of_length(CTRL_VLAN, CTRL_VLAN_ADD, zeroes, 2);
	only_of_length(CTRL_VLAN, CTRL_VLAN_DEL, zeroes, 2);
	only_of_length(CTRL_ANNOUNCE, CTRL_ANNOUNCE_ACK, zeroes, 0);
	only_of_length(CTRL_MQ, CTRL_MQ_PAIRS_SET, pairs, 2);
	only_of_length(CTRL_OFFLOADS, CTRL_OFFLOADS_SET, zeroes, 8);
	only_of_length(CTRL_COAL, CTRL_COAL_TX_SET, zeroes, 8);
	only_of_length(CTRL_COAL, CTRL_COAL_RX_SET, zeroes, 8);
}

/* None without its feature, none that there is not. */
static void commands_need_their_feature(void **state)
{
	static const uint8_t data[8] = { 1 };
	static const uint8_t lens[] = { 1, 6, 2, 0, 2, 8, 8 };

	rig_start(V1 | F(CTRL_VQ) | F(MQ));
	for (unsigned int class = 0; class < 256; class++)
		for (unsigned int cmd = 0; cmd < 8; cmd++)
			assert_int_equal(ctrl((uint8_t)class, (uint8_t)cmd,
					      data, class < sizeof(lens) ?
					      lens[class] : 4),
					 class == CTRL_MQ && !cmd ? CTRL_OK :
					 CTRL_ERR);
	/* Half a header, and nowhere to put the answer. */
	driver_add(&rig.drv[CTRL], &(struct buf){ BUFS, 1 }, 1, 0, false);
	virtio_net_kick(&rig.net, CTRL);
	assert_true(driver_used(&rig.drv[CTRL], &(uint16_t){ 0 },
				&(uint32_t){ 0 }));
	assert_int_equal(rig.n_broken, 0);
}

static void pairs_within_bounds(void **state)
{
	static const struct { uint16_t n; uint8_t answer; } rows[] = {
		{ 0, CTRL_ERR }, { 1, CTRL_OK }, { RIG_PAIRS, CTRL_OK },
		{ RIG_PAIRS + 1, CTRL_ERR }, { 0xffff, CTRL_ERR },
	};

	rig_start(CTRL_ALL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		le16 n = le16_of(rows[i].n);

		assert_int_equal(ctrl(CTRL_MQ, CTRL_MQ_PAIRS_SET, &n, 2),
				 rows[i].answer);
	}
	assert_int_equal(rig.net.port.n_rx, RIG_PAIRS);
}

/* ---- filters ---- */

static bool passes(const char *dst, int vid)
{
	uint8_t bytes[64] = { 0 };
	uint64_t before = rig.net.counters.rx_filtered.v;

	memcpy(bytes, dst, 6);
	if (vid >= 0) {
		bytes[12] = 0x81;
		bytes[14] = (uint8_t)(vid >> 8 | 0xe0);
		bytes[15] = (uint8_t)vid;
	}
	driver_add(&rig.drv[RX0], &(struct buf){ BUFS + 8192, 100 }, 0, 1,
		   false);
	assert_true(rig_deliver(rig_frame(bytes, sizeof(bytes)), 0));
	return rig.net.counters.rx_filtered.v == before;
}

static void mode(uint8_t cmd, uint8_t on)
{
	taken(CTRL_RX, cmd, &on, 1);
}

static void addresses_are_filtered(void **state)
{
	static const char own[] = "\x52\x54\0\1\2\3", other[] = "\x52\0\0\0\0\1",
		broadcast[] = "\xff\xff\xff\xff\xff\xff", multi[] = "\1\0\x5e\0\0\1";
	static const uint8_t table[] =
		"\1\0\0\0\x52\0\0\0\0\1\1\0\0\0\1\0\x5e\0\0\1";
	uint8_t many[4 + 65 * 6 + 4] = { 65 };

	rig_start(CTRL_ALL & ~F(CTRL_VLAN));
	assert_true(passes(other, -1));		/* until it says otherwise */
	mode(CTRL_RX_PROMISC, 0);
	assert_true(passes(own, -1));
	assert_true(passes(broadcast, -1));
	assert_false(passes(other, -1));
	assert_false(passes(multi, -1));
	mode(CTRL_RX_ALLMULTI, 1);
	assert_true(passes(multi, -1));
	mode(CTRL_RX_ALLMULTI, 0);
	mode(CTRL_RX_ALLUNI, 1);
	assert_true(passes(other, -1));
	mode(CTRL_RX_ALLUNI, 0);
	mode(CTRL_RX_NOBCAST, 1);
	assert_false(passes(broadcast, -1));
	mode(CTRL_RX_NOBCAST, 0);

	taken(CTRL_MAC, CTRL_MAC_TABLE_SET, table, 20);
	assert_true(passes(other, -1));
	assert_true(passes(multi, -1));
	mode(CTRL_RX_NOUNI, 1);
	assert_false(passes(own, -1));
	mode(CTRL_RX_NOUNI, 0);
	mode(CTRL_RX_NOMULTI, 1);
	assert_false(passes(multi, -1));
	mode(CTRL_RX_NOMULTI, 0);

	/* Counts that the data does not hold change nothing. */
	for (uint32_t n = 0; n < 20; n++)
		refused(CTRL_MAC, CTRL_MAC_TABLE_SET, table, n);
	refused(CTRL_MAC, CTRL_MAC_TABLE_SET, "\xff\xff\xff\xff\0\0\0\0", 8);
	refused(CTRL_MAC, CTRL_MAC_TABLE_SET, "\0\0\0\0\xab\xaa\xaa\x2a", 8);
	assert_true(passes(other, -1));
	/* More than fit: all of that kind. */
	taken(CTRL_MAC, CTRL_MAC_TABLE_SET, many, sizeof(many));
	assert_true(passes("\x52\0\0\0\0\x99", -1));
	assert_false(passes(multi, -1));

	taken(CTRL_MAC, CTRL_MAC_TABLE_SET, "\0\0\0\0\0\0\0\0", 8);
	taken(CTRL_MAC, CTRL_MAC_ADDR_SET, other, 6);
	assert_true(passes(other, -1));
	assert_false(passes(own, -1));
}

static void vlans_are_filtered(void **state)
{
	static const char dst[] = "\x52\x54\0\1\2\3";
	static const uint16_t vids[] = { 0, 1, 63, 64, 4095 };

	rig_start(CTRL_ALL);
	assert_true(passes(dst, 5));		/* promiscuous: all of them */
	mode(CTRL_RX_PROMISC, 0);
	assert_true(passes(dst, -1));
	for (size_t i = 0; i < ARRAY_SIZE(vids); i++) {
		le16 vid = le16_of(vids[i]);

		assert_false(passes(dst, vids[i]));
		taken(CTRL_VLAN, CTRL_VLAN_ADD, &vid, 2);
		assert_true(passes(dst, vids[i]));
		taken(CTRL_VLAN, CTRL_VLAN_DEL, &vid, 2);
		assert_false(passes(dst, vids[i]));
	}
	refused(CTRL_VLAN, CTRL_VLAN_ADD, "\0\x10", 2);
	refused(CTRL_VLAN, CTRL_VLAN_ADD, "\xff\xff", 2);
	/* Without receive modes, tags are all that is filtered. */
	rig_start(V1 | F(CTRL_VQ) | F(CTRL_VLAN));
	assert_true(passes("\x52\0\0\0\0\1", -1));
	assert_false(passes(dst, 5));
}

/* ---- hashes and steering ---- */

/* Addresses, ports and hashes of the verification suite that Microsoft's RSS
 * documentation gives for this key. */
static const uint8_t rss_key[40] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2,
	0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
	0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4,
	0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
	0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

static uint32_t rss_data(uint8_t *data, uint32_t types, uint16_t n_table,
			 uint16_t unclassified, uint16_t max_tx,
			 uint8_t key_len)
{
	le32_store(data, types);
	le16_store(data + 4, (uint16_t)(n_table - 1));
	le16_store(data + 6, unclassified);
	for (uint16_t i = 0; i < n_table; i++)
		le16_store(data + 8 + 2 * i, i % RIG_PAIRS);
	le16_store(data + 8 + 2 * n_table, max_tx);
	data[10 + 2 * n_table] = key_len;
	memcpy(data + 11 + 2 * n_table, rss_key, min_of(key_len, 40));
	return 11u + 2 * n_table + key_len;
}

static uint32_t make_ip4(uint8_t *bytes, uint8_t proto)
{
	/* 66.9.149.187:2794 to 161.142.100.80:1766 */
	static const uint8_t addrs[] = {
		66, 9, 149, 187, 161, 142, 100, 80,
		2794 >> 8, 2794 & 255, 1766 >> 8, 1766 & 255,
	};

	memset(bytes, 0, 60);
	bytes[0] = bytes[6] = 2;
	bytes[12] = 8;
	bytes[14] = 0x45;
	bytes[17] = 46;
	bytes[23] = proto;
	memcpy(bytes + 26, addrs, sizeof(addrs));
	return 60;
}

/* What the driver is told of a frame's flow; its queue follows from that. */
static uint32_t received_hash(const uint8_t *bytes, uint32_t len)
{
	struct frame *frame = rig_frame(bytes, len);
	struct virtio_net_hdr hdr;
	uint32_t hash;

	driver_add(&rig.drv[RX0], &(struct buf){ BUFS, 100 }, 0, 1, false);
	assert_true(rig_deliver(frame, 0));
	memcpy(&hdr, guest_at(&rig.guest, BUFS), sizeof(hdr));
	hash = le32_get(hdr.hash);
	assert_int_equal(rig.net.port.ops->rx_queue(&rig.net.port, frame, 0),
			 hash % RSS_TABLE_MAX % RIG_PAIRS);
	return hash;
}

static void hashes_as_published(void **state)
{
	static const struct {
		uint32_t types;
		uint8_t proto;
		uint32_t hash;
		uint16_t report;
	} rows[] = {
		{ HASH_TYPE_TCP4 | HASH_TYPE_IP4, 6, 0x51ccc178,
		  HASH_REPORT_TCP4 },
		{ HASH_TYPE_UDP4, 17, 0x51ccc178, HASH_REPORT_UDP4 },
		{ HASH_TYPE_IP4, 6, 0x323e8fc2, HASH_REPORT_IP4 },
		{ HASH_TYPE_TCP4, 17, 0, HASH_REPORT_NONE },
		{ HASH_TYPE_IP6, 6, 0, HASH_REPORT_NONE },
	};
	uint8_t data[400], bytes[60];

	rig_start(CTRL_ALL & ~F(CTRL_VLAN));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint32_t len = rss_data(data, rows[i].types, RSS_TABLE_MAX, 3,
					RIG_PAIRS, 40);
		struct virtio_net_hdr hdr;
		struct frame *frame;
		unsigned int queue;

		taken(CTRL_MQ, CTRL_MQ_RSS_CONFIG, data, len);
		frame = rig_frame(bytes, make_ip4(bytes, rows[i].proto));
		queue = rig.net.port.ops->rx_queue(&rig.net.port, frame, 0);
		assert_int_equal(queue, rows[i].report ?
				 rows[i].hash % RSS_TABLE_MAX % RIG_PAIRS : 3);
		driver_add(&rig.drv[RX0], &(struct buf){ BUFS, 100 }, 0, 1,
			   false);
		assert_true(rig_deliver(frame, 0));
		memcpy(&hdr, guest_at(&rig.guest, BUFS), sizeof(hdr));
		assert_int_equal(le32_get(hdr.hash), rows[i].hash);
		assert_int_equal(le16_get(hdr.hash_report), rows[i].report);
	}
}

static void rss_within_bounds(void **state)
{
	static const struct {
		uint32_t types;
		uint16_t n_table, unclassified, max_tx;
		uint8_t key_len;
		uint8_t answer;
	} rows[] = {
		{ HASH_TYPE_IP4, 1, 0, 1, 40, CTRL_OK },
		{ 0, 128, 3, 4, 0, CTRL_OK },
		{ HASH_TYPES_ALL + 1, 1, 0, 1, 40, CTRL_ERR },
		{ 0, 3, 0, 1, 40, CTRL_ERR },
		{ 0, 1, RIG_PAIRS, 1, 40, CTRL_ERR },
		{ 0, 1, 0, 0, 40, CTRL_ERR },
		{ 0, 1, 0, RIG_PAIRS + 1, 40, CTRL_ERR },
		{ 0, 1, 0, 1, 41, CTRL_ERR },
		{ 0, 1, 0, 1, 255, CTRL_ERR },
	};
	uint8_t data[700] = { 0 };
	uint32_t len;

	rig_start(CTRL_ALL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		len = rss_data(data, rows[i].types, rows[i].n_table,
			       rows[i].unclassified, rows[i].max_tx,
			       rows[i].key_len);
		assert_int_equal(ctrl(CTRL_MQ, CTRL_MQ_RSS_CONFIG, data, len),
				 rows[i].answer);
	}
	/* A table of 256, of 65536; an entry beyond the pairs; too short. */
	len = rss_data(data, 0, 256, 0, 1, 40);
	refused(CTRL_MQ, CTRL_MQ_RSS_CONFIG, data, len);
	le16_store(data + 4, 0xffff);
	refused(CTRL_MQ, CTRL_MQ_RSS_CONFIG, data, len);
	len = rss_data(data, 0, 4, 0, 1, 40);
	le16_store(data + 8, RIG_PAIRS);
	refused(CTRL_MQ, CTRL_MQ_RSS_CONFIG, data, len);
	len = rss_data(data, 0, 4, 0, 1, 40);
	for (uint32_t n = 0; n < len; n++)
		refused(CTRL_MQ, CTRL_MQ_RSS_CONFIG, data, n);
}

/* The same flow, from the other end. */
static void turn_round(uint8_t *bytes)
{
	static const unsigned int swap[][2] = {	/* where, how many bytes */
		{ 0, 6 }, { 26, 4 }, { 34, 2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(swap); i++) {
		uint8_t *a = bytes + swap[i][0], half[6];
		unsigned int n = swap[i][1];

		memcpy(half, a, n);
		memmove(a, a + n, n);
		memcpy(a + n, half, n);
	}
}

static void send_on(unsigned int pair, const uint8_t *bytes, uint32_t len)
{
	struct buf buf = { BUFS + 16384, 12 + len };
	uint8_t *at = guest_at(&rig.guest, buf.gpa);

	memset(at, 0, 12);
	memcpy(at + 12, bytes, len);
	driver_add(&rig.drv[2 * pair + 1], &buf, 1, 0, false);
	rig_round(1000);
}

static unsigned int queue_for(const uint8_t *bytes, uint32_t len,
			      unsigned int sender)
{
	return rig.net.port.ops->rx_queue(&rig.net.port, rig_frame(bytes, len),
					  sender);
}

/* 5.1.6.5.5: to the pair that the driver sent the flow on last. */
static void answers_come_where_was_sent(void **state)
{
	static const uint8_t protos[] = { 6, 17, 1 };
	le16 n = le16_of(2);
	uint8_t bytes[60], answer[60];

	rig_start(V1 | F(CTRL_VQ) | F(MQ));
	taken(CTRL_MQ, CTRL_MQ_PAIRS_SET, &n, 2);
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++) {
		for (uint8_t port = 0; port < 20; port++) {
			make_ip4(bytes, protos[i]);
			bytes[29] = (uint8_t)(i + 1);
			bytes[35] = protos[i] == 1 ? 0 : port;
			memcpy(answer, bytes, sizeof(bytes));
			turn_round(answer);
			if (protos[i] != 1) {
				/* Not sent yet: as the other end sends. */
				assert_int_equal(queue_for(answer, 60, 4), 0);
				assert_int_equal(queue_for(answer, 60, 5), 1);
			}
			send_on(1, bytes, 60);
			assert_int_equal(queue_for(answer, 60, 0), 1);
			send_on(0, bytes, 60);
			assert_int_equal(queue_for(answer, 60, 1), 0);
		}
	}
	/* Neither IP nor whole: by the sender, and nothing is read beyond. */
	for (uint32_t len = 14; len < 60; len++) {
		send_on(1, bytes, len);
		assert_in_range(queue_for(answer, len, 0), 0, 1);
	}
	send_on(1, answer, 60);
	n = le16_of(1);
	taken(CTRL_MQ, CTRL_MQ_PAIRS_SET, &n, 2);
	assert_int_equal(queue_for(bytes, 60, 1), 0);
}

/* Of a TCP packet of @len bytes behind its header, filled up with @fill. */
static uint32_t hash_of_ip6(uint8_t len, uint8_t fill)
{
	uint8_t bytes[70] = { 2 };

	bytes[12] = 0x86;
	bytes[13] = 0xdd;
	bytes[14] = 0x60;
	bytes[19] = len;
	bytes[20] = 6;
	memset(bytes + 54, fill, sizeof(bytes) - 54);
	return received_hash(bytes, sizeof(bytes));
}

/* T19: what lies beyond the packet's end, to fill up the frame, is not of the
 * packet: a flow has one hash and one queue, whatever is there. */
static void t19_padding_is_no_port(void **state)
{
	static const uint32_t ip_hash = 0x323e8fc2;
	static const struct {
		uint8_t len;		/* of the packet, by its header */
		bool ports;		/* are its ports within that? */
	} rows[] = {
		{ 0, false }, { 19, false }, { 20, false }, { 21, false },
		{ 23, false }, { 24, true }, { 40, true }, { 46, true },
		{ 255, true },
	};
	static const uint8_t protos[] = { 6, 17 };
	uint8_t data[400], bytes[60];
	le16 n = le16_of(2);
	struct frame *frame;
	uint32_t hash6;

	rig_start(CTRL_ALL & ~F(CTRL_VLAN));
	taken(CTRL_MQ, CTRL_MQ_RSS_CONFIG, data,
	      rss_data(data, HASH_TYPE_IP4 | HASH_TYPE_TCP4 | HASH_TYPE_UDP4 |
		       HASH_TYPE_IP6 | HASH_TYPE_TCP6,
		       RSS_TABLE_MAX, 3, RIG_PAIRS, 40));
	for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
		make_ip4(bytes, protos[i & 1]);
		bytes[17] = rows[i / 2].len;
		for (uint8_t fill = 0; fill < 4; fill++) {
			uint32_t hash = received_hash(bytes, sizeof(bytes));

			assert_int_equal(hash == ip_hash, !rows[i / 2].ports);
			/* In the place of the ports, and behind them. */
			memset(bytes + 14 + max_of(rows[i / 2].len, 20u), fill,
			       46 - min_of(max_of(rows[i / 2].len, 20u), 46u));
		}
	}
	/* Of one that will be cut up the length may be left open. */
	make_ip4(bytes, 6);
	bytes[17] = 0;
	frame = rig_frame(bytes, sizeof(bytes));
	frame->gso = FRAME_GSO_TCP4;
	assert_int_equal(rig.net.port.ops->rx_queue(&rig.net.port, frame, 0),
			 0x51ccc178 % RSS_TABLE_MAX % RIG_PAIRS);
	/* IPv6 is the same. */
	hash6 = hash_of_ip6(4, 0);
	assert_int_not_equal(hash_of_ip6(4, 1), hash6);
	hash6 = hash_of_ip6(3, 0);
	assert_int_equal(hash_of_ip6(3, 1), hash6);
	assert_int_equal(hash_of_ip6(0, 1), hash6);
	/* Likewise without a hash: to where the flow was sent from. */
	rig_start(V1 | F(CTRL_VQ) | F(MQ));
	taken(CTRL_MQ, CTRL_MQ_PAIRS_SET, &n, 2);
	make_ip4(bytes, 6);
	bytes[17] = 20;
	send_on(1, bytes, sizeof(bytes));
	turn_round(bytes);
	for (uint8_t fill = 0; fill < 20; fill++) {
		memset(bytes + 34, fill, sizeof(bytes) - 34);
		assert_int_equal(queue_for(bytes, sizeof(bytes), 0), 1);
	}
}

/* ---- offloads, features ---- */

static void offloads_switched_off_and_on(void **state)
{
	le64 bits = le64_of(0);

	rig_start(CTRL_ALL);
	assert_int_equal(rig.net.port.caps.gso, FRAME_GSO_TCP4);
	taken(CTRL_OFFLOADS, CTRL_OFFLOADS_SET, &bits, 8);
	assert_false(rig.net.port.caps.csum);
	assert_int_equal(rig.net.port.caps.gso, 0);
	/* Only what has been negotiated. */
	bits = le64_of(F(GUEST_CSUM) | F(GUEST_TSO6));
	refused(CTRL_OFFLOADS, CTRL_OFFLOADS_SET, &bits, 8);
	bits = le64_of(F(GUEST_CSUM) | F(GUEST_TSO4));
	taken(CTRL_OFFLOADS, CTRL_OFFLOADS_SET, &bits, 8);
	assert_true(rig.net.port.caps.csum);
	assert_int_equal(rig.net.port.caps.gso, FRAME_GSO_TCP4);
}

static void features_need_each_other(void **state)
{
	static const struct { uint64_t features; int ret; } rows[] = {
		{ 0, 0 },
		{ F(GUEST_TSO4), -EINVAL },
		{ F(GUEST_TSO4) | F(GUEST_CSUM), 0 },
		{ F(GUEST_ECN) | F(GUEST_CSUM), -EINVAL },
		{ F(GUEST_ECN) | F(GUEST_TSO6) | F(GUEST_CSUM), 0 },
		{ F(HOST_TSO6), -EINVAL },
		{ F(HOST_USO), -EINVAL },
		{ F(HOST_USO) | F(CSUM), 0 },
		{ F(CTRL_RX), -EINVAL },
		{ F(RSS), -EINVAL },
		{ F(MQ), -EINVAL },
		{ F(MQ) | F(CTRL_VQ), 0 },
		{ F(GUEST_ANNOUNCE), -EINVAL },
		{ F(GUEST_UFO), -EINVAL },	/* not offered */
		{ BIT64(VIRTIO_F_ACCESS_PLATFORM), -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		virtio_net_reset(&rig.net);
		assert_int_equal(virtio_net_set_features(&rig.net,
							 rows[i].features),
				 rows[i].ret);
		assert_int_equal(rig.net.features,
				 rows[i].ret ? 0 : rows[i].features);
	}
}

/* 5.1.4.1: no longer frame than the driver was told. */
static void frames_as_long_as_the_mtu(void **state)
{
	rig_start(V1 | F(MTU));
	assert_int_equal(rig.net.port.caps.max_len, 9000 + 14);
	rig_start(V1);
	assert_int_equal(rig.net.port.caps.max_len, FRAME_LEN_MAX);
	rig_start(V1 | F(MTU));
	virtio_net_reset(&rig.net);
	assert_int_equal(rig.net.port.caps.max_len, FRAME_LEN_MAX);
}

static void configuration_and_link(void **state)
{
	struct virtio_net_config_space config;

	rig_start(CTRL_ALL);
	virtio_net_config(&rig.net, &config);
	assert_memory_equal(config.mac, "\x52\x54\0\1\2\3", 6);
	assert_int_equal(le16_get(config.status), VIRTIO_NET_S_LINK_UP);
	assert_int_equal(le16_get(config.max_pairs), RIG_PAIRS);
	assert_int_equal(le16_get(config.mtu), 9000);
	assert_int_equal(le32_get(config.speed), 10000);
	assert_int_equal(config.duplex, 1);
	assert_int_equal(config.rss_max_key_len, RSS_KEY_MAX);
	assert_int_equal(le16_get(config.rss_max_table_len), RSS_TABLE_MAX);
	assert_int_equal(le32_get(config.hash_types), HASH_TYPES_ALL);
	port_set_link(&rig.net.port, false);
	assert_int_equal(rig.n_config_changed, 1);
	virtio_net_config(&rig.net, &config);
	assert_int_equal(le16_get(config.status), 0);
	port_set_link(&rig.net.port, true);
	assert_int_equal(rig.n_config_changed, 2);
	virtio_net_config(&rig.net, &config);
	assert_int_equal(le16_get(config.status), VIRTIO_NET_S_LINK_UP |
			 VIRTIO_NET_S_ANNOUNCE);
	taken(CTRL_ANNOUNCE, CTRL_ANNOUNCE_ACK, "", 0);
	virtio_net_config(&rig.net, &config);
	assert_int_equal(le16_get(config.status), VIRTIO_NET_S_LINK_UP);
}

/* ---- interrupts ---- */

static void receive_one(void)
{
	static const uint8_t bytes[60] = { 2 };

	driver_add(&rig.drv[RX0], &(struct buf){ BUFS, 100 }, 0, 1, false);
	assert_true(rig_deliver(rig_frame(bytes, sizeof(bytes)), 0));
}

static void calls_are_put_off(void **state)
{
	uint8_t coal[8] = { 0 };

	rig_start(CTRL_ALL & ~F(CTRL_VLAN));
	receive_one();
	assert_int_equal(rig.n_calls[RX0], 1);
	/* Three packets, or 50 us after the first. */
	coal[0] = 3;
	coal[4] = 50;
	taken(CTRL_COAL, CTRL_COAL_RX_SET, coal, 8);
	receive_one();
	receive_one();
	assert_int_equal(rig.n_calls[RX0], 1);
	receive_one();
	assert_int_equal(rig.n_calls[RX0], 2);
	receive_one();
	rig_round(49000);
	assert_int_equal(rig.n_calls[RX0], 2);
	rig_round(1000);
	assert_int_equal(rig.n_calls[RX0], 3);
	rig_round(100000);
	assert_int_equal(rig.n_calls[RX0], 3);
	/* By time alone, however many. */
	coal[0] = 0;
	taken(CTRL_COAL, CTRL_COAL_RX_SET, coal, 8);
	for (unsigned int i = 0; i < 100; i++)
		receive_one();
	assert_int_equal(rig.n_calls[RX0], 3);
	rig_round(50000);
	assert_int_equal(rig.n_calls[RX0], 4);
	/* One that waits dies with its queue. */
	receive_one();
	virtio_net_reset(&rig.net);
	rig_round(100000);
	assert_int_equal(rig.n_calls[RX0], 4);
}

static void no_calls_that_nobody_wants(void **state)
{
	rig_start(V1);
	driver_want_call(&rig.drv[RX0], CALL_NEVER);
	receive_one();
	assert_int_equal(rig.n_calls[RX0], 0);
	assert_int_equal(rig.net.counters.calls_held.v, 1);
	driver_want_call(&rig.drv[RX0], CALL_ALWAYS);
	receive_one();
	assert_int_equal(rig.n_calls[RX0], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
		T(commands_have_their_length),
		T(commands_need_their_feature),
		T(pairs_within_bounds),
		T(addresses_are_filtered),
		T(vlans_are_filtered),
		T(hashes_as_published),
		T(rss_within_bounds),
		T(answers_come_where_was_sent),
		T(t19_padding_is_no_port),
		T(offloads_switched_off_and_on),
		T(features_need_each_other),
		T(frames_as_long_as_the_mtu),
		T(configuration_and_link),
		T(calls_are_put_off),
		T(no_calls_that_nobody_wants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
