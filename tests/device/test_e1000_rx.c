/* SPDX-License-Identifier: Apache-2.0
 *
 * e1000 receive: buffers, several descriptors, lengths, CRC, filters, VLAN,
 * checksum status.
 */
#include "e1000_rig.h"

#include <stdlib.h>
#include <string.h>

#include "proto/checksum.h"
#include "proto/ip.h"

static uint8_t bytes[FRAME_LEN_MAX];
static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static void one_frame(void **state)
{
	struct e1000_rxd desc;

	rig_rx_on(8, 0);
	rx_give(7, 2048);
	memset(guest(RX_BUF), 0xee, 2048);
	make_frame(bytes, 200, rig_mac);
	assert_true(rx_frame(bytes, 200, 0, 0));
	desc = rx_desc(0);
	assert_int_equal(desc.status, RXD_DD | RXD_EOP | RXD_IXSM);
	assert_int_equal(desc.errors, 0);
	assert_int_equal(le16_get(desc.len), 204);
	assert_int_equal(le64_get(desc.addr), RX_BUF);
	assert_memory_equal(guest(RX_BUF), bytes, 200);
	/* T17: the CRC that the driver keeps is defined. */
	assert_memory_equal(guest(RX_BUF + 200), ((uint8_t[4]){ 0 }), 4);
	assert_int_equal(*(uint8_t *)guest(RX_BUF + 204), 0xee);
	assert_int_equal(RD(RDH), 1);
	assert_int_equal(RD(ICR), ICR_RXT0);
	assert_int_equal(RD(GPRC), 1);
	assert_int_equal(RD(GORCL), 204);
	(void)RD(GORCH);
	assert_int_equal(RD(PRC255), 1);
	assert_int_equal(rx_desc(1).status, 0);
}

/* The expected value is zlib's crc32() of these 60 bytes. */
static void exact_crc(void **state)
{
	rig_rx_on(8, 0);
	rx_give(7, 2048);
	memset(bytes, 0x5a, 60);
	memcpy(bytes, rig_mac, 6);
	assert_true(rx_frame(bytes, 60, 0, 0));
	assert_int_equal(le32_load(guest(RX_BUF + 60)), 0xa709aa27u);
}

static void crc_stripped(void **state)
{
	rig_rx_on(8, RCTL_SECRC);
	rx_give(7, 2048);
	make_frame(bytes, 200, rig_mac);
	assert_true(rx_frame(bytes, 200, 0, 0));
	assert_int_equal(le16_get(rx_desc(0).len), 200);
	assert_int_equal(RD(GORCL), 204);
}

/* T7, T17 */
static void short_frames_are_padded(void **state)
{
	rig_rx_on(64, RCTL_SECRC | RCTL_UPE);
	rx_give(63, 2048);
	for (uint32_t len = 14; len < 60; len++) {
		uint32_t i = len - 14;

		memset(guest(RX_BUF + 2048 * i), 0xee, 2048);
		make_frame(bytes, len, rig_mac);
		assert_true(rx_frame(bytes, len, 0, 0));
		assert_int_equal(le16_get(rx_desc(i).len), 60);
		assert_memory_equal(guest(RX_BUF + 2048 * i), bytes, len);
		for (uint32_t k = len; k < 60; k++)
			assert_int_equal(*(uint8_t *)guest(RX_BUF + 2048 * i +
							   k), 0);
	}
	assert_int_equal(RD(PRC64), 60 - 14);
}

static void check_spread(uint32_t len, uint32_t size, uint32_t first)
{
	uint32_t n = (len + 4 + size - 1) / size;
	uint8_t *got = guest(RX_BUF + first * size);

	for (uint32_t i = 0; i < n; i++) {
		struct e1000_rxd desc = rx_desc(first + i);
		bool last = i == n - 1;

		assert_int_equal(desc.status, RXD_DD |
				 (last ? RXD_EOP | RXD_IXSM : 0));
		assert_int_equal(le16_get(desc.len),
				 last ? len + 4 - i * size : size);
	}
	assert_memory_equal(got, bytes, len);
}

/* T6: every buffer size, over several descriptors where it takes more. */
static void buffer_sizes(void **state)
{
	static const struct { uint32_t rctl, size; } sizes[] = {
		{ 3 << RCTL_BSIZE_SHIFT, 256 },
		{ 2 << RCTL_BSIZE_SHIFT, 512 },
		{ 1 << RCTL_BSIZE_SHIFT, 1024 },
		{ 0, 2048 },
		{ RCTL_BSEX, 2048 },
		{ RCTL_BSEX | 3 << RCTL_BSIZE_SHIFT, 4096 },
		{ RCTL_BSEX | 2 << RCTL_BSIZE_SHIFT, 8192 },
		{ RCTL_BSEX | 1 << RCTL_BSIZE_SHIFT, 16384 },
	};

	for (unsigned int s = 0; s < ARRAY_SIZE(sizes); s++) {
		static const uint32_t lens[] = { 60, 252, 253, 1514, 2044, 2045,
			9000, 16380 };

		for (unsigned int l = 0; l < ARRAY_SIZE(lens); l++) {
			rig_rx_on(72, RCTL_LPE | sizes[s].rctl);
			rx_give(71, sizes[s].size);
			make_frame(bytes, lens[l], rig_mac);
			assert_true(rx_frame(bytes, lens[l], 0, 0));
			check_spread(lens[l], sizes[s].size, 0);
		}
	}
}

/* T6, CVE-2012-6075: with SBP and without LPE no buffer is written past. */
static void long_packets(void **state)
{
	rig_rx_on(64, 0);
	rx_give(63, 2048);
	make_frame(bytes, 1519, rig_mac);
	assert_true(rx_frame(bytes, 1519, 0, 0));
	assert_int_equal(RD(RDH), 0);
	assert_int_equal(RD(ROC), 1);
	assert_int_equal(RD(GPRC), 0);
	assert_true(rx_frame(bytes, 1518, 0, 0));
	assert_true(rx_frame(bytes, 1514, FRAME_VLAN, 1));
	assert_int_equal(RD(RDH), 2);
	assert_true(rx_frame(bytes, 1515, FRAME_VLAN, 1));
	assert_int_equal(RD(ROC), 1);
	assert_int_equal(RD(RLEC), 2);
	assert_int_equal(RD(GPRC), 2);

	/* Stored, but no good packet (13.7.26, 13.7.36). */
	rig_rx_on(64, RCTL_SBP);
	rx_give(63, 2048);
	make_frame(bytes, 9000, rig_mac);
	assert_true(rx_frame(bytes, 9000, 0, 0));
	check_spread(9000, 2048, 0);
	assert_int_equal(RD(ROC), 1);
	assert_int_equal(RD(RLEC), 1);
	assert_int_equal(RD(GPRC), 0);
	assert_int_equal(RD(PRC1522), 2);
	assert_int_equal(RD(TPR), 5);

	rig_rx_on(64, RCTL_LPE);
	rx_give(63, 2048);
	assert_true(rx_frame(bytes, 16380, FRAME_VLAN, 1));
	assert_int_equal(RD(ROC), 1);
	assert_int_equal(RD(RDH), 0);
}

static void no_room(void **state)
{
	rig_rx_on(8, 0);
	rx_give(7, 2048);
	WR(RDT, 2);
	make_frame(bytes, 100, rig_mac);
	assert_true(rx_frame(bytes, 100, 0, 0));
	assert_true(rx_frame(bytes, 100, 0, 0));
	(void)RD(ICR);
	assert_false(rx_frame(bytes, 100, 0, 0));
	assert_false(rx_frame(bytes, 100, 0, 0));	/* the same again */
	assert_int_equal(RD(RNBC), 1);
	assert_int_equal(RD(ICR), ICR_RXO);
	assert_int_equal(RD(MPC), 0);
	/* The port gives up: that is a missed packet. */
	counter_add(&rig.nic.port->queues[0].stats.rx_full, 3);
	assert_int_equal(RD(MPC), 3);
	assert_int_equal(RD(MPC), 0);
	WR(RDT, 4);
	assert_true(rx_frame(bytes, 100, 0, 0));
	assert_int_equal(RD(GPRC), 3);

	/* Room for half a frame is no room. */
	rig_rx_on(8, RCTL_LPE);
	rx_give(2, 2048);
	assert_false(rx_frame(bytes, 5000, 0, 0));
	assert_int_equal(rx_desc(0).status, 0);
	assert_int_equal(RD(RDH), 0);
}

static void descriptors_without_buffer(void **state)
{
	rig_rx_on(8, 0);
	rx_give(7, 2048);
	memset(guest(RX_RING), 0, 32);
	memset(guest(RX_RING + 8), 0x44, 8);
	make_frame(bytes, 100, rig_mac);
	assert_true(rx_frame(bytes, 100, 0, 0));
	/* 3.2.5: DD is set, the rest is left alone. */
	assert_int_equal(rx_desc(0).status, 0x44 | RXD_DD);
	assert_int_equal(le16_get(rx_desc(0).len), 0x4444);
	assert_int_equal(rx_desc(1).status, RXD_DD);
	assert_int_equal(le16_get(rx_desc(1).len), 0);
	assert_int_equal(rx_desc(2).status, RXD_DD | RXD_EOP | RXD_IXSM);
	assert_memory_equal(guest(RX_BUF + 4096), bytes, 100);
}

static bool passes(const uint8_t *dst, uint8_t *status)
{
	uint32_t before;

	rx_give(7, 2048);
	WR(RDH, 0);
	before = RD(RDH);
	make_frame(bytes, 100, dst);
	assert_true(rx_frame(bytes, 100, 0, 0));
	if (status)
		*status = rx_desc(0).status;
	return RD(RDH) != before;
}

static void address_filters(void **state)
{
	static const uint8_t other[6] = { 0x52, 0x54, 0, 1, 2, 3 };
	static const uint8_t mcast[6] = { 0x01, 0x00, 0x5e, 0x12, 0x34, 0x56 };
	uint8_t status;

	rig_rx_on(8, 0);
	assert_true(passes(rig_mac, &status));
	assert_int_equal(status & RXD_PIF, 0);
	assert_true(passes(broadcast, NULL));
	assert_false(passes(other, NULL));
	assert_false(passes(mcast, NULL));
	assert_int_equal(counter_read(&rig.dev->counters.rx_filtered), 2);

	WR(RCTL, RCTL_EN);
	assert_false(passes(broadcast, NULL));
	WR(RCTL, RCTL_EN | RCTL_UPE);
	assert_true(passes(other, &status));
	assert_int_equal(status & RXD_PIF, RXD_PIF);
	assert_false(passes(mcast, NULL));
	WR(RCTL, RCTL_EN | RCTL_MPE);
	assert_true(passes(mcast, NULL));
	assert_true(passes(broadcast, NULL));
	assert_false(passes(other, NULL));
	WR(RCTL, RCTL_EN);
	for (unsigned int i = 1; i < 16; i++) {
		wr(0x5400 + 8 * i, 0x01005452);
		wr(0x5404 + 8 * i, 0x0302);
		assert_false(passes(other, NULL));	/* not valid */
		wr(0x5404 + 8 * i, 0x0302 | RAH_AV);
		assert_true(passes(other, NULL));
		wr(0x5404 + 8 * i, 0);
	}
	WR(RAH, 0);
	assert_false(passes(rig_mac, NULL));
}

/* T10: the table's first and last bit. */
static void multicast_table(void **state)
{
	static const uint8_t mcast[6] = { 0x01, 0x00, 0x5e, 0x12, 0x34, 0x56 };
	static const uint8_t zeros[6] = { 0x01 };
	static const uint8_t ones[6] = { 0x01, 0, 0, 0, 0xff, 0xff };
	/* 0x5634 >> 4, 3, 2, 0, lowest 12 bits. */
	static const uint16_t bit[4] = { 0x563, 0xac6, 0x58d, 0x634 };
	uint8_t status;

	rig_rx_on(8, 0);
	for (unsigned int mo = 0; mo < 4; mo++) {
		WR(RCTL, RCTL_EN | mo << RCTL_MO_SHIFT);
		assert_false(passes(mcast, NULL));
		wr(0x5200 + bit[mo] / 32 * 4, BIT(bit[mo] % 32));
		assert_true(passes(mcast, &status));
		assert_int_equal(status & RXD_PIF, RXD_PIF);
		wr(0x5200 + bit[mo] / 32 * 4, 0);
	}
	wr(0x5200, 1);
	assert_true(passes(zeros, NULL));
	assert_false(passes(ones, NULL));
	wr(0x5200 + 4 * 127, BIT(31));
	assert_true(passes(ones, NULL));
}

static void vlan_strip(void **state)
{
	struct e1000_rxd desc;

	rig_rx_on(8, 0);
	rx_give(7, 2048);
	make_frame(bytes, 100, rig_mac);
	assert_true(rx_frame(bytes, 100, FRAME_VLAN, 0x6123));
	desc = rx_desc(0);
	assert_int_equal(desc.status & RXD_VP, 0);	/* VME is off */
	assert_int_equal(le16_get(desc.len), 108);
	assert_memory_equal(guest(RX_BUF), bytes, 12);
	assert_int_equal(be32_load(guest(RX_BUF + 12)), 0x81006123);
	assert_memory_equal(guest(RX_BUF + 16), bytes + 12, 88);

	WR(CTRL, RD(CTRL) | CTRL_VME);
	assert_true(rx_frame(bytes, 100, FRAME_VLAN, 0x6123));
	desc = rx_desc(1);
	assert_int_equal(desc.status & RXD_VP, RXD_VP);
	assert_int_equal(le16_get(desc.special), 0x6123);
	assert_int_equal(le16_get(desc.len), 104);
	assert_memory_equal(guest(RX_BUF + 2048), bytes, 100);
	assert_true(rx_frame(bytes, 100, 0, 0));
	assert_int_equal(rx_desc(2).status & RXD_VP, 0);

	/* A type of the driver's own is looked for in the bytes. */
	WR(VET, 0x88a8);
	be32_store(bytes + 12, 0x88a80007);
	assert_true(rx_frame(bytes, 100, 0, 0));
	desc = rx_desc(3);
	assert_int_equal(le16_get(desc.special), 7);
	assert_int_equal(le16_get(desc.len), 100);
	assert_memory_equal(guest(RX_BUF + 3 * 2048), bytes, 12);
	assert_memory_equal(guest(RX_BUF + 3 * 2048 + 12), bytes + 16, 84);
}

/* T5: tags at the edge of frames of 13 to 18 bytes, and one inside another. */
static void vlan_edges(void **state)
{
	WR(CTRL, RD(CTRL) | CTRL_VME);
	WR(VET, 0x88a8);
	rig_rx_on(16, RCTL_SECRC);
	rx_give(15, 2048);
	for (uint32_t len = 14; len <= 18; len++) {
		uint32_t i = len - 14;

		make_frame(bytes, len, rig_mac);
		be16_store(bytes + 12, 0x88a8);
		assert_true(rx_frame(bytes, len, 0, 0));
		assert_int_equal(le16_get(rx_desc(i).len), 60);
		/* The port has padded it, so there is a whole tag. */
		assert_int_equal(rx_desc(i).status & RXD_VP, RXD_VP);
	}
	make_frame(bytes, 100, rig_mac);
	be32_store(bytes + 12, 0x88a80007);
	be32_store(bytes + 16, 0x81000008);
	assert_true(rx_frame(bytes, 100, 0, 0));
	assert_int_equal(le16_get(rx_desc(5).special), 7);
	assert_int_equal(be32_load(guest(RX_BUF + 5 * 2048 + 12)), 0x81000008);
}

static bool vlan_passes(uint16_t tci, bool tagged)
{
	uint32_t before;

	WR(RDH, 0);
	rx_give(7, 2048);
	before = RD(RDH);
	make_frame(bytes, 100, rig_mac);
	assert_true(rx_frame(bytes, 100, tagged ? FRAME_VLAN : 0, tci));
	return RD(RDH) != before;
}

/* T10: VFTA's first and last bit. */
static void vlan_filter(void **state)
{
	rig_rx_on(8, RCTL_VFE);
	assert_true(vlan_passes(0, false));
	assert_false(vlan_passes(0, true));
	assert_false(vlan_passes(0xfff, true));
	wr(0x5600, 1);
	wr(0x5600 + 4 * 127, BIT(31));
	assert_true(vlan_passes(0xe000, true));
	assert_true(vlan_passes(0xfff, true));
	assert_false(vlan_passes(1, true));
	WR(RCTL, RCTL_EN | RCTL_VFE | RCTL_CFIEN);
	assert_true(vlan_passes(0xfff & ~0x1000, true));
	assert_false(vlan_passes(0x1fff, true));
	WR(RCTL, RCTL_EN | RCTL_VFE | RCTL_CFIEN | RCTL_CFI);
	assert_true(vlan_passes(0x1fff, true));
	assert_false(vlan_passes(0x0fff, true));
	WR(RCTL, RCTL_EN);
	assert_true(vlan_passes(1, true));
}

/* ---- checksum status ---- */

/* Complete the checksums that the driver of the sender left. */
static void complete_tcp(uint32_t l4, uint32_t len)
{
	be16 csum = csum_of(bytes + l4, len - l4);

	memcpy(bytes + l4 + 16, &csum, 2);
	if (l4 == 34) {
		csum = csum_of(bytes + 14, 20);
		memcpy(bytes + 24, &csum, 2);
	}
}

static struct e1000_rxd receive_one(uint32_t len, uint8_t flags)
{
	WR(RDH, 0);
	rx_give(7, 2048);
	assert_true(rx_frame(bytes, len, flags, 0));
	assert_int_equal(RD(RDH), 1);
	return rx_desc(0);
}

static void checksum_status(void **state)
{
	struct e1000_rxd desc;
	uint32_t len = make_tcp4(bytes, 1001, false);

	complete_tcp(34, len);
	rig_rx_on(8, 0);
	desc = receive_one(len, 0);
	assert_int_equal(desc.status, RXD_DD | RXD_EOP | RXD_IXSM);
	WR(RXCSUM, RXCSUM_IPOFL | RXCSUM_TUOFL);
	desc = receive_one(len, 0);
	assert_int_equal(desc.status, RXD_DD | RXD_EOP | RXD_IPCS | RXD_TCPCS);
	assert_int_equal(desc.errors, 0);
	bytes[len - 1] ^= 1;
	assert_int_equal(receive_one(len, 0).errors, RXD_ERR_TCPE);
	assert_int_equal(receive_one(len, FRAME_CSUM_VALID).errors, 0);
	bytes[22] ^= 1;				/* TTL */
	assert_int_equal(receive_one(len, FRAME_CSUM_VALID).errors,
			 RXD_ERR_IPE);
	WR(RXCSUM, RXCSUM_TUOFL);
	assert_int_equal(receive_one(len, 0).status,
			 RXD_DD | RXD_EOP | RXD_TCPCS);
	bytes[20] = 0x20;			/* a fragment */
	assert_int_equal(receive_one(len, 0).status,
			 RXD_DD | RXD_EOP | RXD_IXSM);

	len = make_tcp6(bytes, 600, false);
	complete_tcp(54, len);
	desc = receive_one(len, 0);
	assert_int_equal(desc.status, RXD_DD | RXD_EOP | RXD_TCPCS);
	assert_int_equal(desc.errors, 0);
	bytes[100] ^= 0x80;
	assert_int_equal(receive_one(len, 0).errors, RXD_ERR_TCPE);
}

/* UDP, with a checksum and without; headers that contradict themselves: nothing
 * is said about those. */
static void checksum_status_of_udp(void **state)
{
	const uint8_t unknown = RXD_DD | RXD_EOP | RXD_IXSM;
	uint32_t len = make_tcp4(bytes, 101, false);
	struct csum sum = CSUM_INIT;
	be16 csum;

	bytes[23] = IP_PROTO_UDP;
	be16_store(bytes + 38, (uint16_t)(len - 34));
	be16_store(bytes + 40, 0);
	csum_add_pseudo4(&sum, bytes + 26, IP_PROTO_UDP, (uint16_t)(len - 34));
	csum_add(&sum, bytes + 34, len - 34);
	csum = csum_finish(&sum);
	memcpy(bytes + 40, &csum, 2);
	rig_rx_on(8, 0);
	WR(RXCSUM, RXCSUM_TUOFL);
	assert_int_equal(receive_one(len, 0).status,
			 RXD_DD | RXD_EOP | RXD_TCPCS);
	assert_int_equal(receive_one(len, 0).errors, 0);
	bytes[len - 1] ^= 1;
	assert_int_equal(receive_one(len, 0).errors, RXD_ERR_TCPE);
	be16_store(bytes + 40, 0);		/* RFC 768: none */
	assert_int_equal(receive_one(len, 0).status, unknown);
	be16_store(bytes + 40, 1);
	be16_store(bytes + 16, 27);		/* no room for UDP */
	assert_int_equal(receive_one(len, 0).status, unknown);
	be16_store(bytes + 16, 2000);		/* more than there is */
	assert_int_equal(receive_one(len, 0).status, unknown);
	be16_store(bytes + 16, (uint16_t)(len - 14));
	bytes[23] = 132;			/* SCTP */
	assert_int_equal(receive_one(len, 0).status, unknown);
	WR(RXCSUM, RXCSUM_TUOFL | RXCSUM_IPOFL);
	bytes[14] = 0x44;			/* a header of 16 bytes */
	assert_int_equal(receive_one(len, 0).status, unknown);
}

/* T19: what fills up a frame beyond the packet's end is in no checksum but the
 * packet checksum, which is of all there is. */
static void t19_padding_is_not_summed(void **state)
{
	const uint8_t good = RXD_DD | RXD_EOP | RXD_IPCS | RXD_TCPCS;

	rig_rx_on(8, RCTL_LPE);
	for (uint32_t payload = 0; payload < 600; payload += 149)
	for (unsigned int ip6 = 0; ip6 < 2; ip6++)
	for (uint32_t pad = 0; pad < 1400; pad += 1 + pad * 3) {
		uint32_t len = ip6 ? make_tcp6(bytes, payload, false) :
			make_tcp4(bytes, payload, false);
		uint8_t want = ip6 ? good & ~RXD_IPCS : good;
		struct e1000_rxd desc;

		complete_tcp(ip6 ? 54 : 34, len);
		for (uint32_t i = 0; i < pad; i++)
			bytes[len + i] = (uint8_t)(i * 77 + 1);
		WR(RXCSUM, RXCSUM_IPOFL | RXCSUM_TUOFL | 14);
		desc = receive_one(len + pad, 0);
		assert_int_equal(desc.status, want);
		assert_int_equal(desc.errors, 0);
		if (len + pad >= 60)
			assert_int_equal(le16_get(desc.csum), be16_get(
				csum_of(bytes + 14, len + pad - 14)));
		/* Nor does it make a bad one good, or stand in for bytes that
		 * are not there. */
		bytes[len - 1] ^= 1;
		assert_int_equal(receive_one(len + pad, 0).errors,
				 RXD_ERR_TCPE);
		bytes[len - 1] ^= 1;
		be16_store(bytes + (ip6 ? 18 : 16), ip6 ? 19 : 39);
		assert_int_equal(receive_one(len + pad, 0).status & RXD_TCPCS,
				 0);
	}
}

/* What the switch left to the receiver arrives complete. */
static void partial_checksum_is_completed(void **state)
{
	struct frame_batch *batch = calloc(1, sizeof(*batch));
	uint32_t len = make_tcp4(bytes, 700, false), resume = 0;
	struct iovec iov = { bytes, len };
	struct frame *frame = batch_next(batch);
	be16 csum;

	csum = csum_of(bytes + 14, 20);
	memcpy(bytes + 24, &csum, 2);
	rig_rx_on(8, 0);
	WR(RXCSUM, RXCSUM_TUOFL | RXCSUM_IPOFL);
	rx_give(7, 2048);
	assert_int_equal(batch_fill(batch, frame, &iov, 1, len), 0);
	frame->flags = FRAME_CSUM_PARTIAL;
	frame->csum_start = 34;
	frame->csum_offset = 16;
	assert_int_equal(port_deliver(&rig.nic.port->queues[0], &frame, 1,
				      &resume), 1);
	assert_int_equal(rx_desc(0).status,
			 RXD_DD | RXD_EOP | RXD_TCPCS | RXD_IPCS);
	assert_int_equal(rx_desc(0).errors, 0);
	complete_tcp(34, len);
	assert_memory_equal(guest(RX_BUF + 34), bytes + 34, len - 34);
	free(batch);
}

/* The packet checksum: from PCSS to the end, without the CRC. */
static void packet_checksum(void **state)
{
	struct e1000_rxd desc;

	rig_rx_on(8, 0);
	make_frame(bytes, 501, rig_mac);
	assert_int_equal(le16_get(receive_one(501, 0).csum), 0);
	WR(RXCSUM, 14);
	desc = receive_one(501, 0);
	assert_int_equal(le16_get(desc.csum),
			 be16_get(csum_of(bytes + 14, 487)));
	WR(RXCSUM, 255);
	desc = receive_one(100, 0);
	assert_int_equal(le16_get(desc.csum), 0xffff);	/* of nothing */
}

/* In the first descriptor of several; with the CRC, where it is kept. */
static void packet_checksum_exact(void **state)
{
	rig_rx_on(8, RCTL_LPE);
	rx_give(7, 2048);
	WR(RXCSUM, 14);
	make_frame(bytes, 5001, rig_mac);
	assert_true(rx_frame(bytes, 5001, 0, 0));
	assert_int_equal(le16_get(rx_desc(0).csum),
			 be16_get(csum_of(guest(RX_BUF + 14), 5005 - 14)));
	assert_int_equal(le16_get(rx_desc(1).csum), 0);
	assert_int_equal(le16_get(rx_desc(2).csum), 0);
	assert_int_equal(rx_desc(2).status & RXD_EOP, RXD_EOP);
	/* PCSS 0: all of it. */
	WR(RXCSUM, 0);
	WR(RCTL, RCTL_EN | RCTL_SECRC);
	assert_int_equal(le16_get(receive_one(501, 0).csum),
			 be16_get(csum_of(bytes, 501)));
}

/* The descriptors of a burst are there as a whole when it ends, in order, past
 * the ring's end, however many there are. */
static void burst_is_written_back(void **state)
{
	static struct frame_batch batch;
	struct port_queue *queue = &rig.nic.port->queues[0];
	struct frame *frames[BATCH_MAX];
	struct iovec iov = { bytes, 2000 };
	uint32_t resume = 0;

	rig_rx_on(512, 3 << RCTL_BSIZE_SHIFT | RCTL_LPE);
	rx_give(511, 256);
	for (uint32_t i = 0; i < 512; i++)
		((struct e1000_rxd *)guest(RX_RING))[i].addr =
			le64_of(RX_BUF + 256 * i);
	WR(RDH, 300);
	WR(RDT, 299);
	make_frame(bytes, 2000, rig_mac);
	batch.n = batch.n_segs = 0;
	for (unsigned int i = 0; i < BATCH_MAX; i++) {
		frames[i] = batch_next(&batch);
		assert_int_equal(batch_fill(&batch, frames[i], &iov, 1, 2000),
				 0);
		batch_commit(&batch, frames[i]);
	}
	/* 8 descriptors each, 256 in all */
	assert_int_equal(port_deliver(queue, frames, BATCH_MAX, &resume),
			 BATCH_MAX);
	assert_int_equal(RD(RDH), (300 + 256) % 512);
	for (uint32_t i = 0; i < 256; i++) {
		struct e1000_rxd desc = rx_desc((300 + i) % 512);
		bool last = i % 8 == 7;

		assert_int_equal(desc.status, RXD_DD |
				 (last ? RXD_EOP | RXD_IXSM : 0));
		assert_int_equal(le16_get(desc.len), last ? 2004 % 256 : 256);
	}
	assert_int_equal(rx_desc(299).status, 0);
	assert_int_equal(rx_desc(44).status, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_frame),
		cmocka_unit_test_setup_teardown(exact_crc, rig_setup_exact_crc,
						rig_teardown),
		TEST(crc_stripped),
		TEST(short_frames_are_padded),
		TEST(buffer_sizes),
		TEST(long_packets),
		TEST(no_room),
		TEST(descriptors_without_buffer),
		TEST(address_filters),
		TEST(multicast_table),
		TEST(vlan_strip),
		TEST(vlan_edges),
		TEST(vlan_filter),
		TEST(checksum_status),
		TEST(checksum_status_of_udp),
		TEST(t19_padding_is_not_summed),
		TEST(partial_checksum_is_completed),
		TEST(packet_checksum),
		cmocka_unit_test_setup_teardown(packet_checksum_exact,
						rig_setup_exact_crc,
						rig_teardown),
		TEST(burst_is_written_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
