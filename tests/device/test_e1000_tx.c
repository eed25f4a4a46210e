/* SPDX-License-Identifier: Apache-2.0
 *
 * e1000 transmit: descriptors of all kinds to frames, offloads, write-back,
 * back-pressure, loopback, statistics.
 */
#include "e1000_rig.h"

#include <string.h>

#include "proto/checksum.h"
#include "proto/ip.h"

#define CMD (TXD_EOP | TXD_IFCS | TXD_RS)
#define DATA (TXD_DEXT | TXD_TYPE_DATA)

static const uint8_t peer[6] = { 0x52, 0x54, 0x00, 0xaa, 0xbb, 0xcc };

static void legacy(void **state)
{
	uint8_t *buf = guest(TX_BUF);

	rig_tx_on(8);
	make_frame(buf, 100, peer);
	tx_put(TX_BUF, 100 | CMD, 0);
	tx_go();
	assert_int_equal(rig.n_sent, 1);
	assert_int_equal(rig.sent[0].len, 100);
	assert_memory_equal(rig.sent[0].bytes, buf, 100);
	assert_int_equal(rig.sent[0].frame.flags, 0);
	assert_int_equal(tx_status(0) & TXD_DD, TXD_DD);
	assert_int_equal(RD(TDH), 1);
	assert_int_equal(RD(ICR), ICR_TXDW | ICR_TXQE | ICR_TXD_LOW);
	assert_int_equal(RD(GPTC), 1);
	assert_int_equal(RD(GOTCL), 104);
	assert_int_equal(RD(GOTCH), 0);
	assert_int_equal(RD(PTC127), 1);
}

static void nothing_while_off(void **state)
{
	rig_tx_on(8);
	WR(TCTL, 0);
	make_frame(guest(TX_BUF), 100, peer);
	tx_put(TX_BUF, 100 | CMD, 0);
	tx_go();
	assert_int_equal(rig.n_sent, 0);
	WR(TCTL, TCTL_EN);
	port_set_link(rig.nic.port, false);
	rig_run();
	assert_int_equal(rig.n_sent, 0);
	port_set_link(rig.nic.port, true);
	pci_config_write(rig.nic.pci, 4, 2, 3);		/* no bus master */
	rig_advance(E1000_AUTONEG_NS);
	assert_int_equal(rig.n_sent, 0);
	pci_config_write(rig.nic.pci, 4, 2, 7);
	rig_run();
	assert_int_equal(rig.n_sent, 1);
}

static void several_descriptors(void **state)
{
	uint8_t *buf = guest(TX_BUF);

	rig_tx_on(8);
	make_frame(buf, 1500, peer);
	tx_put(TX_BUF, 14, 0);
	tx_put(TX_BUF + 14, 0, 0);	/* nothing in it */
	tx_put(TX_BUF + 14, 1000, 0);
	tx_go();
	assert_int_equal(rig.n_sent, 0);	/* not all there */
	assert_int_equal(RD(TDH), 0);
	tx_put(TX_BUF + 1014, 486 | CMD, 0);
	tx_go();
	assert_int_equal(rig.n_sent, 1);
	assert_int_equal(rig.sent[0].len, 1500);
	assert_memory_equal(rig.sent[0].bytes, buf, 1500);
	assert_int_equal(tx_status(0), 0);	/* did not ask */
	assert_int_equal(tx_status(3), TXD_DD);
}

static void crc_by_driver(void **state)
{
	rig_tx_on(8);
	make_frame(guest(TX_BUF), 104, peer);
	tx_put(TX_BUF, 104 | TXD_EOP, 0);	/* no IFCS */
	tx_go();
	assert_int_equal(rig.sent[0].len, 100);
	assert_int_equal(RD(GOTCL), 104);
}

/* 3.3.3.1: a null address transfers nothing, and is reported all the same. */
static void null_address(void **state)
{
	rig_tx_on(8);
	make_frame(guest(TX_BUF), 100, peer);
	tx_put(TX_BUF, 60, 0);
	tx_put(0, 1000 | TXD_RS, 0);
	tx_put(TX_BUF + 60, 40 | CMD, 0);
	tx_go();
	assert_int_equal(rig.n_sent, 1);
	assert_int_equal(rig.sent[0].len, 100);
	assert_memory_equal(rig.sent[0].bytes, guest(TX_BUF), 100);
	assert_int_equal(tx_status(1), TXD_DD);
	assert_int_equal(tx_status(2), TXD_DD);
}

/* Short packets count as what is on the wire: padded with PSP, else as they
 * are, and then not among the good ones (13.4.33, 13.7.30). */
static void short_packets(void **state)
{
	rig_tx_on(8);
	make_frame(guest(TX_BUF), 42, peer);
	tx_put(TX_BUF, 42 | CMD, 0);
	tx_go();
	assert_int_equal(rig.sent[0].len, 42);
	assert_int_equal(RD(TOTL), 46);
	assert_int_equal(RD(GOTCL), 0);
	assert_int_equal(RD(GPTC), 0);
	assert_int_equal(RD(TPT), 1);
	(void)RD(TOTH);
	WR(TCTL, TCTL_EN | TCTL_PSP);
	tx_put(TX_BUF, 42 | CMD, 0);
	tx_go();
	assert_int_equal(RD(TOTL), 64);
	assert_int_equal(RD(GOTCL), 64);
	assert_int_equal(RD(GPTC), 1);
	assert_int_equal(RD(PTC64), 2);
}

static void ring_wraps(void **state)
{
	rig_tx_on(8);
	for (unsigned int i = 0; i < 50; i++) {
		make_frame(guest(TX_BUF), 60 + i, peer);
		tx_put(TX_BUF, (60 + i) | CMD, 0);
		tx_go();
		assert_int_equal(rig.n_sent, i + 1);
		assert_int_equal(rig.sent[i].len, 60 + i);
		assert_int_equal(RD(TDH), (i + 1) % 8);
	}
	assert_int_equal(RD(TPT), 50);
}

static void legacy_checksum(void **state)
{
	uint8_t *buf = guest(TX_BUF);
	uint32_t len = make_tcp4(buf, 500, false);

	rig_tx_on(8);
	tx_put(TX_BUF, len | CMD | TXD_IC | 50 << TXD_CSO_SHIFT,
	       34 << TXD_CSS_SHIFT);
	tx_go();
	assert_int_equal(rig.sent[0].frame.flags, FRAME_CSUM_PARTIAL);
	assert_int_equal(rig.sent[0].frame.csum_start, 34);
	assert_int_equal(rig.sent[0].frame.csum_offset, 16);
}

static void checksum_by_context(void **state)
{
	uint8_t *buf = guest(TX_BUF);
	uint32_t len = make_tcp4(buf, 500, false);
	struct e1000_txctx ctx = {
		.ipcss = 14, .ipcso = 24, .ipcse = le16_of(33),
		.tucss = 34, .tucso = 50,
		.lower = le32_of(TXD_DEXT | TXD_CTX_TCP | TXD_CTX_IP),
	};
	uint8_t *sent;

	rig_tx_on(8);
	tx_put_ctx(&ctx);
	tx_put(TX_BUF, 54 | DATA, TXD_POPTS_IXSM | TXD_POPTS_TXSM);
	tx_put(TX_BUF + 54, (len - 54) | DATA | CMD, 0);
	/* The context stays for the next packet. */
	tx_put(TX_BUF, len | DATA | CMD, TXD_POPTS_IXSM | TXD_POPTS_TXSM);
	tx_go();
	assert_int_equal(rig.n_sent, 2);
	for (unsigned int i = 0; i < 2; i++) {
		sent = rig.sent[i].bytes;
		assert_int_equal(rig.sent[i].frame.flags, FRAME_CSUM_PARTIAL);
		assert_int_equal(rig.sent[i].frame.csum_start, 34);
		assert_int_equal(be16_get(csum_of(sent + 14, 20)), 0);
		assert_memory_equal(sent + 34, buf + 34, len - 34);
	}
}

/* A range that ends before the packet does: done here and now. */
static void checksum_of_a_part(void **state)
{
	uint8_t *buf = guest(TX_BUF);
	struct e1000_txctx ctx = {
		.tucss = 34, .tucso = 50, .tucse = le16_of(53),
		.lower = le32_of(TXD_DEXT),
	};
	uint32_t len = make_tcp4(buf, 500, false);

	be16_store(buf + 50, 0);
	rig_tx_on(8);
	tx_put_ctx(&ctx);
	tx_put(TX_BUF, len | DATA | CMD, TXD_POPTS_TXSM);
	tx_go();
	assert_int_equal(rig.sent[0].frame.flags, 0);
	assert_int_equal(be16_get(csum_of(rig.sent[0].bytes + 34, 20)), 0);
}

/* ... also where it ends behind what the switch looks at. */
static void checksum_of_a_long_part(void **state)
{
	uint8_t *buf = guest(TX_BUF);
	struct e1000_txctx ctx = {
		.tucss = 34, .tucso = 50, .tucse = le16_of(700),
		.lower = le32_of(TXD_DEXT),
	};
	uint32_t len = make_tcp4(buf, 1000, false);

	be16_store(buf + 50, 0);
	rig_tx_on(8);
	tx_put_ctx(&ctx);
	for (uint32_t at = 0; at < len; at += 300)
		tx_put(TX_BUF + at, min_of(300u, len - at) | DATA |
		       (at + 300 >= len ? CMD : 0), TXD_POPTS_TXSM);
	tx_go();
	assert_int_equal(rig.sent[0].frame.flags, 0);
	assert_int_equal(be16_get(csum_of(rig.sent[0].bytes + 34, 667)), 0);
	assert_int_equal(counter_read(&rig.dev->counters.tx_bad_csum), 0);
}

static struct e1000_txctx tso_ctx(bool ip4, uint32_t payload, uint16_t mss)
{
	uint8_t l4 = ip4 ? 34 : 54;

	return (struct e1000_txctx){
		.ipcss = 14, .ipcso = 24,
		.ipcse = le16_of(ip4 ? 33 : 0),
		.tucss = l4, .tucso = (uint8_t)(l4 + 16),
		.lower = le32_of(payload | TXD_DEXT | TXD_TSE | TXD_CTX_TCP |
				 (ip4 ? TXD_CTX_IP : 0)),
		.hdr_len = (uint8_t)(l4 + 20), .mss = le16_of(mss),
	};
}

static void send_tso(bool ip4, uint32_t payload, uint16_t mss, uint32_t cmd,
		     uint32_t upper)
{
	struct e1000_txctx ctx = tso_ctx(ip4, payload, mss);
	uint32_t len = ip4 ? make_tcp4(guest(TX_BUF), payload, true) :
		make_tcp6(guest(TX_BUF), payload, true);
	uint32_t hdr_len = ctx.hdr_len;

	tx_put_ctx(&ctx);
	tx_put(TX_BUF, hdr_len | DATA | TXD_TSE | TXD_IFCS | cmd, upper |
	       TXD_POPTS_TXSM | (ip4 ? TXD_POPTS_IXSM : 0));
	tx_put(TX_BUF + hdr_len, (len - hdr_len) | DATA | TXD_TSE | CMD | cmd,
	       upper);
	tx_go();
}

/* The large packet's headers are right, as its length makes them. */
static void check_tso(const struct sent *sent, bool ip4, uint32_t payload)
{
	struct csum sum = CSUM_INIT;
	const uint8_t *ip = sent->bytes + 14;
	uint32_t l4 = ip4 ? 34 : 54;
	be16 field;

	assert_int_equal(sent->frame.csum_start, l4);
	assert_int_equal(sent->frame.csum_offset, 16);
	assert_int_equal(sent->frame.flags & FRAME_CSUM_PARTIAL,
			 FRAME_CSUM_PARTIAL);
	if (ip4) {
		assert_int_equal(be16_load(ip + 2), 40 + payload);
		assert_int_equal(be16_get(csum_of(ip, 20)), 0);
		csum_add_pseudo4(&sum, ip + 12, 6, (uint16_t)(20 + payload));
	} else {
		assert_int_equal(be16_load(ip + 4), 20 + payload);
		csum_add_pseudo6(&sum, ip + 8, 6, 20 + payload);
	}
	memcpy(&field, sent->bytes + l4 + 16, sizeof(field));
	assert_int_equal(be16_get(field), be16_get(csum_sum(&sum)));
}

static void tso4(void **state)
{
	rig_tx_on(8);
	send_tso(true, 50000, 1448, 0, 0);
	assert_int_equal(rig.n_sent, 1);
	assert_int_equal(rig.sent[0].len, 50054);
	assert_int_equal(rig.sent[0].frame.gso, FRAME_GSO_TCP4);
	assert_int_equal(rig.sent[0].frame.gso_size, 1448);
	assert_int_equal(rig.sent[0].frame.gso_hdr_len, 54);
	check_tso(&rig.sent[0], true, 50000);
	/* 34 segments of 1448 bytes, one of 768. */
	assert_int_equal(RD(GPTC), 35);
	assert_int_equal(RD(GOTCL), 50000 + 35 * (54 + 4));
	assert_int_equal(RD(TSCTC), 1);
	assert_int_equal(RD(PTC1522), 34);
	assert_int_equal(RD(PTC1023), 1);
	assert_int_equal(tx_status(2), TXD_DD);
}

static void tso6(void **state)
{
	rig_tx_on(8);
	send_tso(false, 30000, 1428, 0, 0);
	assert_int_equal(rig.sent[0].frame.gso, FRAME_GSO_TCP6);
	assert_int_equal(rig.sent[0].frame.gso_hdr_len, 74);
	check_tso(&rig.sent[0], false, 30000);
}

/* UDP over IPv4 and IPv6: lengths and checksums of the large datagram, one
 * header a segment (3.5.9). */
static void udp_segmentation(void **state)
{
	for (unsigned int ip6 = 0; ip6 < 2; ip6++) {
		uint8_t *buf = guest(TX_BUF), l4 = ip6 ? 54 : 34;
		uint32_t len = ip6 ? make_tcp6(buf, 3000, true) - 12 :
			make_tcp4(buf, 3000, true) - 12;
		struct e1000_txctx ctx = tso_ctx(!ip6, 3000, 1000);
		const uint8_t *sent;
		struct csum sum = CSUM_INIT;
		be16 pseudo;

		/* What a driver leaves: UDP's sum without a length. */
		buf[ip6 ? 20 : 23] = IP_PROTO_UDP;
		if (ip6)
			csum_add_pseudo6(&sum, buf + 22, IP_PROTO_UDP, 0);
		else
			csum_add_pseudo4(&sum, buf + 26, IP_PROTO_UDP, 0);
		pseudo = csum_sum(&sum);
		memcpy(buf + l4 + 6, &pseudo, 2);
		ctx.tucso = (uint8_t)(l4 + 6);
		ctx.hdr_len = (uint8_t)(l4 + 8);
		ctx.lower = le32_of(le32_get(ctx.lower) & ~TXD_CTX_TCP);
		rig_tx_on(8);
		tx_put_ctx(&ctx);
		tx_put(TX_BUF, len | DATA | TXD_TSE | CMD,
		       TXD_POPTS_TXSM | TXD_POPTS_IXSM);
		tx_go();
		assert_int_equal(rig.n_sent, ip6 + 1);
		assert_int_equal(rig.sent[ip6].frame.gso, FRAME_GSO_UDP);
		assert_int_equal(rig.sent[ip6].frame.gso_size, 1000);
		sent = rig.sent[ip6].bytes;
		assert_int_equal(be16_load(sent + l4 + 4), 3008);
		sum = CSUM_INIT;
		if (ip6)
			csum_add_pseudo6(&sum, sent + 22, IP_PROTO_UDP, 3008);
		else
			csum_add_pseudo4(&sum, sent + 26, IP_PROTO_UDP, 3008);
		pseudo = csum_sum(&sum);
		assert_memory_equal(sent + l4 + 6, &pseudo, 2);
	}
	assert_int_equal(RD(TSCTC), 2);
	assert_int_equal(RD(GPTC), 6);
}

/* Of a packet to be cut up, the first data descriptor says whether there is a
 * tag, and which (3.3.7.1); every segment gets a CRC. */
static void tso_fields_of_the_first(void **state)
{
	struct e1000_txctx ctx = tso_ctx(true, 5000, 1000);

	WR(CTRL, RD(CTRL) | CTRL_VME);
	(void)make_tcp4(guest(TX_BUF), 5000, true);
	rig_tx_on(8);
	tx_put_ctx(&ctx);
	tx_put(TX_BUF, 54 | DATA | TXD_TSE | TXD_VLE,
	       TXD_POPTS_TXSM | TXD_POPTS_IXSM | 5u << TXD_SPECIAL_SHIFT);
	tx_put(TX_BUF + 54, 5000 | DATA | TXD_TSE | TXD_EOP | TXD_RS, 0);
	tx_go();
	assert_int_equal(rig.n_sent, 1);
	assert_int_equal(rig.sent[0].len, 5054);
	assert_int_equal(rig.sent[0].frame.flags,
			 FRAME_VLAN | FRAME_CSUM_PARTIAL);
	assert_int_equal(rig.sent[0].frame.vlan_tci, 5);
}

/* The longest there is: IP's 64 KiB less one byte. */
static void tso_longest(void **state)
{
	rig_tx_on(8);
	send_tso(true, 65495, 1448, 0, 0);
	assert_int_equal(rig.n_sent, 1);
	check_tso(&rig.sent[0], true, 65495);
	send_tso(true, 65496, 1448, 0, 0);
	assert_int_equal(rig.n_sent, 1);
	assert_int_equal(counter_read(&rig.dev->counters.tx_drop_tso), 1);
	assert_int_equal(RD(TSCTC), 1);
	assert_int_equal(RD(TSCTFC), 1);
}

static void tso_of_one_segment(void **state)
{
	rig_tx_on(8);
	send_tso(true, 100, 1448, 0, 0);
	assert_int_equal(rig.sent[0].frame.gso, FRAME_GSO_NONE);
	check_tso(&rig.sent[0], true, 100);
}

static void vlan_insertion(void **state)
{
	rig_tx_on(16);
	make_frame(guest(TX_BUF), 100, peer);
	tx_put(TX_BUF, 100 | CMD | TXD_VLE, 0x6123u << TXD_SPECIAL_SHIFT);
	tx_go();
	assert_int_equal(rig.sent[0].frame.flags, 0);	/* VME is off */

	WR(CTRL, RD(CTRL) | CTRL_VME);
	tx_put(TX_BUF, 100 | CMD | TXD_VLE, 0x6123u << TXD_SPECIAL_SHIFT);
	tx_go();
	assert_int_equal(rig.sent[1].frame.flags, FRAME_VLAN);
	assert_int_equal(rig.sent[1].frame.vlan_tci, 0x6123);
	assert_int_equal(rig.sent[1].len, 100);

	send_tso(true, 5000, 1000, TXD_VLE, 7u << TXD_SPECIAL_SHIFT);
	assert_int_equal(rig.sent[2].frame.flags,
			 FRAME_VLAN | FRAME_CSUM_PARTIAL);
	assert_int_equal(rig.sent[2].frame.vlan_tci, 7);
	assert_int_equal(RD(GOTCL), 104 + 108 + 5000 + 5 * (54 + 4 + 4));

	WR(VET, 0x88a8);		/* a type of its own: in the bytes */
	tx_put(TX_BUF, 100 | CMD | TXD_VLE, 0x6123u << TXD_SPECIAL_SHIFT);
	tx_go();
	assert_int_equal(rig.sent[3].frame.flags, 0);
	assert_int_equal(rig.sent[3].len, 104);
	assert_int_equal(be32_get(*(be32 *)(rig.sent[3].bytes + 12)),
			 0x88a86123);
	assert_memory_equal(rig.sent[3].bytes, guest(TX_BUF), 12);
}

static void tag_in_the_bytes(void **state)
{
	uint8_t *buf = guest(TX_BUF);

	rig_tx_on(8);
	make_frame(buf, 104, peer);
	be32_store(buf + 12, 0x81000005);
	tx_put(TX_BUF, 104 | CMD, 0);
	tx_go();
	assert_int_equal(rig.sent[0].frame.flags, FRAME_VLAN);
	assert_int_equal(rig.sent[0].frame.vlan_tci, 5);
	assert_int_equal(rig.sent[0].len, 100);
	assert_int_equal(RD(GOTCL), 108);
}

/* What is not consumed is offered again, and nothing shows that it was. */
static void back_pressure(void **state)
{
	struct e1000_txctx ctx = {
		.tucss = 34, .tucso = 50, .lower = le32_of(TXD_DEXT),
	};
	uint32_t len = make_tcp4(guest(TX_BUF), 100, false);

	rig_tx_on(16);
	rig.accept = 0;
	tx_put_ctx(&ctx);
	tx_put(TX_BUF, len | DATA | CMD, TXD_POPTS_TXSM);
	ctx.tucss = 14;
	tx_put_ctx(&ctx);
	tx_put(TX_BUF, len | DATA | CMD, TXD_POPTS_TXSM);
	WR(TDT, 4);
	for (unsigned int i = 0; i < 5; i++)
		worker_round(rig.worker);
	assert_int_equal(RD(TDH), 0);
	assert_int_equal(tx_status(1), 0);
	assert_int_equal(RD(GPTC), 0);
	assert_int_equal(RD(ICR), 0);
	rig.accept = 1;
	worker_round(rig.worker);
	assert_int_equal(RD(TDH), 2);
	assert_int_equal(RD(GPTC), 1);
	rig_run();
	assert_int_equal(rig.n_sent, 2);
	assert_int_equal(rig.sent[0].frame.csum_start, 34);
	assert_int_equal(rig.sent[1].frame.csum_start, 14);
	assert_int_equal(RD(TDH), 4);
}

static void many_at_once(void **state)
{
	rig_tx_on(256);
	make_frame(guest(TX_BUF), 100, peer);
	for (unsigned int i = 0; i < 100; i++)
		tx_put(TX_BUF, 100 | CMD, 0);
	tx_go();
	assert_int_equal(rig.n_sent, 100);
	assert_int_equal(RD(TDH), 100);
	assert_int_equal(counter_read(&rig.dev->counters.tx_doorbells), 2);
}

static void tail_low(void **state)
{
	rig_tx_on(64);
	WR(TXDCTL, 2u << TXDCTL_LWTHRESH_SHIFT);
	make_frame(guest(TX_BUF), 100, peer);
	for (unsigned int i = 0; i < 40; i++)
		tx_put(TX_BUF, 100 | TXD_EOP | TXD_IFCS, 0);
	rig.accept = 23;
	WR(TDT, 40);
	worker_round(rig.worker);
	assert_int_equal(RD(ICR), 0);		/* 17 left */
	rig.accept = 1;
	worker_round(rig.worker);
	assert_int_equal(RD(ICR), ICR_TXD_LOW);	/* 16 left */
	worker_round(rig.worker);
	assert_int_equal(RD(ICR), 0);		/* said once */
	rig.accept = BATCH_MAX;
	rig_run();
	assert_int_equal(RD(ICR), ICR_TXQE);
}

/* As `ethtool -t` does: PHY loopback, 64 frames at a time, a receive ring that
 * is not filled up again. */
static void loopback_of_phy(void **state)
{
	WR(MDIC, 1u << MDIC_PHY_SHIFT | MDIC_OP_WRITE | 0x4140);
	assert_int_equal(RD(STATUS) & STATUS_LU, STATUS_LU);
	rig_rx_on(256, 0);
	rx_give(255, 2048);
	rig_tx_on(256);
	make_frame(guest(TX_BUF), 1024, (const uint8_t[6]){
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff });
	for (unsigned int round = 0; round < 10; round++) {
		for (unsigned int i = 0; i < 64; i++)
			tx_put(TX_BUF, 1024 | TXD_EOP | TXD_IFCS | TXD_RPS, 0);
		tx_go();
	}
	assert_int_equal(rig.n_sent, 0);
	assert_int_equal(RD(GPTC), 640);
	assert_int_equal(RD(GPRC), 255);
	assert_int_equal(RD(RDH), 255);
	assert_int_equal(rx_desc(0).status, RXD_DD | RXD_EOP | RXD_IXSM);
	assert_int_equal(le16_get(rx_desc(0).len), 1028);
	assert_memory_equal(guest(RX_BUF), guest(TX_BUF), 1024);
	/* The wire is not listened to. */
	assert_true(rx_frame(guest(TX_BUF), 100, 0, 0));
	assert_int_equal(counter_read(&rig.dev->counters.rx_off), 1);
}

static void loopback_cuts_up(void **state)
{
	rig_rx_on(64, 1 << 6 | RCTL_UPE);
	rx_give(63, 2048);
	rig_tx_on(8);
	send_tso(true, 5000, 1000, 0, 0);
	assert_int_equal(RD(GPRC), 5);
	assert_int_equal(le16_get(rx_desc(0).len), 1058);
	WR(RCTL, RCTL_EN | RCTL_UPE);
	send_tso(true, 5000, 1000, 0, 0);
	assert_int_equal(rig.n_sent, 1);
}

static void broadcast_and_multicast_counted(void **state)
{
	rig_tx_on(8);
	make_frame(guest(TX_BUF), 64, (const uint8_t[6]){
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff });
	make_frame(guest(TX_BUF + 64), 64, (const uint8_t[6]){
		0x01, 0, 0x5e, 0, 0, 1 });
	tx_put(TX_BUF, 64 | CMD, 0);
	tx_put(TX_BUF + 64, 64 | CMD, 0);
	tx_go();
	assert_int_equal(RD(BPTC), 1);
	assert_int_equal(RD(MPTC), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(legacy),
		TEST(nothing_while_off),
		TEST(several_descriptors),
		TEST(crc_by_driver),
		TEST(null_address),
		TEST(short_packets),
		TEST(ring_wraps),
		TEST(legacy_checksum),
		TEST(checksum_by_context),
		TEST(checksum_of_a_part),
		TEST(checksum_of_a_long_part),
		TEST(tso4),
		TEST(tso6),
		TEST(udp_segmentation),
		TEST(tso_fields_of_the_first),
		TEST(tso_longest),
		TEST(tso_of_one_segment),
		TEST(vlan_insertion),
		TEST(tag_in_the_bytes),
		TEST(back_pressure),
		TEST(many_at_once),
		TEST(tail_low),
		TEST(loopback_of_phy),
		TEST(loopback_cuts_up),
		TEST(broadcast_and_multicast_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
