/* SPDX-License-Identifier: Apache-2.0
 *
 * e1000 against a hostile driver and hostile frames, the receive side; and
 * whether a driver that only does what interrupts tell it ever waits in vain.
 * T numbers as in test_e1000_hostile.c.
 */
#include "e1000_rig.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "mem/dma.h"

#define CMD (TXD_EOP | TXD_IFCS | TXD_RS)
#define COUNT(name) counter_read(&rig.dev->counters.name)

enum { GUARD = 0xee };

static uint8_t bytes[FRAME_LEN_MAX];

static void forget_sent(void)
{
	for (unsigned int i = 0; i < rig.n_sent; i++)
		free(rig.sent[i].bytes);
	rig.n_sent = 0;
}

/* The device still works: a frame comes in. */
static void still_alive(void)
{
	WR(CTRL, CTRL_RST);
	rig_rx_on(8, 0);
	rx_give(7, 2048);
	make_frame(bytes, 100, rig_mac);
	assert_true(rx_frame(bytes, 100, 0, 0));
	assert_int_equal(rx_desc(0).status & RXD_DD, RXD_DD);
	assert_memory_equal(guest(RX_BUF), bytes, 100);
}

/* What each of @n buffers, @step apart, holds is what its descriptor says, and
 * nothing behind it was touched.  Returns the bytes in all. */
static uint32_t check_guards(uint32_t n, uint32_t step, uint32_t size)
{
	uint32_t total = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t len = le16_get(rx_desc(i).len);
		const uint8_t *buf = guest(RX_BUF + i * step);

		assert_true(len <= size);
		for (uint32_t k = len; k < step; k++)
			assert_int_equal(buf[k], GUARD);
		total += len;
	}
	return total;
}

/* T5: tags taken out of the shortest, of the longest, and of two. */
static void t5_tag_removal(void **state)
{
	static const uint32_t lens[] = {
		14, 15, 17, 18, 19, 59, 60, 61, 255, 256, 257, 260, 1518, 16380
	};

	WR(VET, 0x88a8);	/* tags of this type lie in the bytes */
	for (unsigned int i = 0; i < ARRAY_SIZE(lens); i++) {
		uint32_t len = lens[i], want = len > 64 ? len - 4 : 60;

		WR(CTRL, CTRL_SLU | CTRL_VME);
		rig_rx_on(8, RCTL_LPE | RCTL_SECRC | RCTL_BSEX |
			  1 << RCTL_BSIZE_SHIFT);
		rx_give(7, 0x8000);
		memset(guest(RX_BUF), GUARD, 0x8000);
		make_frame(bytes, len, rig_mac);
		be16_store(bytes + 12, 0x88a8);
		if (len >= 18)
			be32_store(bytes + 14, 0x00078100);
		assert_true(rx_frame(bytes, len, 0, 0));
		assert_int_equal(le16_get(rx_desc(0).len), want);
		assert_int_equal(rx_desc(0).status & RXD_VP, RXD_VP);
		assert_int_equal(le16_get(rx_desc(0).special),
				 len >= 18 ? 7 : len > 14 ? bytes[14] << 8 |
				 (len > 15 ? bytes[15] : 0) : 0);
		assert_memory_equal(guest(RX_BUF), bytes, 12);
		if (len >= 18)
			assert_memory_equal(guest(RX_BUF + 12), bytes + 16,
					    len - 16);
		(void)check_guards(1, 0x8000, 0x4000);
	}
}

/* T6, CVE-2012-6075, CVE-2015-7512: every length at an edge, every buffer size,
 * long and bad packets allowed or not: in whole or not at all. */
static void t6_oversize(void **state)
{
	static const uint32_t lens[] = {
		1514, 1517, 1518, 1519, 1522, 2044, 2045, 9000, 16380, 16381,
		16384, 32768, 65535, 65536, 65550,
	};

	for (unsigned int l = 0; l < ARRAY_SIZE(lens); l++)
		for (uint32_t how = 0; how < 32; how++) {
			uint32_t bsize = how & 3, bsex = how >> 2 & 1;
			uint32_t rctl = bsize << RCTL_BSIZE_SHIFT |
				(bsex ? RCTL_BSEX : 0) |
				(how & 8 ? RCTL_LPE : 0) |
				(how & 16 ? RCTL_SBP : 0);
			uint32_t size = 2048 >> bsize << (bsex && bsize ? 4 :
							  0);
			uint32_t max = how & 24 ? 16384 : 1522;
			uint32_t step = size + 64, n = 17000 / size + 1;

			rig_rx_on(128, rctl);
			rx_give(n, step);
			memset(guest(RX_BUF), GUARD, n * step);
			make_frame(bytes, lens[l], rig_mac);
			assert_true(rx_frame(bytes, lens[l], 0, 0));
			assert_int_equal(check_guards(n, step, size),
					 lens[l] + 4 <= max ? lens[l] + 4 : 0);
		}
	still_alive();
}

/* T7: runts from the guest and to it. */
static void t7_short_frames(void **state)
{
	rig_tx_on(128);
	for (uint32_t len = 0; len < 64; len++) {
		forget_sent();
		make_frame(guest(TX_BUF), 64, rig_mac);
		tx_put(TX_BUF, len | CMD, 0);
		tx_go();
		assert_int_equal(rig.n_sent, len >= 14);
		if (len >= 14)
			assert_int_equal(rig.sent[0].len, len);
	}
	assert_int_equal(COUNT(tx_drop_size), 14);
	rig_rx_on(64, RCTL_UPE);
	rx_give(63, 128);
	for (uint32_t len = 14; len < 64; len++) {
		uint32_t i = len - 14, want = max_of(len, 60u) + 4;

		memset(guest(RX_BUF + 128 * i), GUARD, 128);
		make_frame(bytes, len, rig_mac);
		assert_true(rx_frame(bytes, len, 0, 0));
		assert_int_equal(le16_get(rx_desc(i).len), want);
		assert_int_equal(*(uint8_t *)guest(RX_BUF + 128 * i + want),
				 GUARD);
	}
}

/* T8: what is received lands on the rings, and on what is being sent. */
static void t8_buffers_on_rings(void **state)
{
	static const uint32_t addrs[] = {
		RX_RING, RX_RING + 8, RX_RING + 0x80, TX_RING, TX_BUF,
		TX_BUF + 7, TX_BUF - 300,
	};

	for (unsigned int loop = 0; loop < 2; loop++)
		for (unsigned int i = 0; i < ARRAY_SIZE(addrs); i++) {
			struct e1000_rxd desc = { .addr = le64_of(addrs[i]) };

			rig_rx_on(64, RCTL_UPE | (loop ? 1 << 6 : 0));
			for (unsigned int d = 0; d < 64; d++)
				memcpy(guest(RX_RING + 16 * d), &desc,
				       sizeof(desc));
			WR(RDT, 63);
			rig_tx_on(64);
			make_frame(guest(TX_BUF), 1500, rig_mac);
			for (unsigned int d = 0; d < 40; d++)
				tx_put(TX_BUF, 1500 | CMD, 0);
			tx_go();
			make_frame(bytes, 1500, rig_mac);
			(void)rx_frame(bytes, 1500, 0, 0);
			rig_run();
			forget_sent();
		}
	still_alive();
}

/* T10: every selector there is, from its first value to past its last. */
static void t10_selectors(void **state)
{
	uint8_t mcast[6] = { 0x01 };

	/* One bit of the table for each of 4096 hashes, and no other. */
	rig_rx_on(8, 3 << RCTL_MO_SHIFT);
	for (uint32_t bit = 0; bit < 4096; bit++) {
		uint32_t at = 0x5200 + bit / 32 * 4;

		mcast[4] = (uint8_t)bit;
		mcast[5] = (uint8_t)(bit >> 8);
		make_frame(bytes, 60, mcast);
		wr(at, ~BIT(bit % 32));
		rx_give(7, 2048);
		WR(RDH, 0);
		assert_true(rx_frame(bytes, 60, 0, 0));
		assert_int_equal(RD(RDH), 0);
		wr(at, BIT(bit % 32));
		assert_true(rx_frame(bytes, 60, 0, 0));
		assert_int_equal(RD(RDH), 1);
		wr(at, 0);
	}
	/* Address select: 0 and 1 mean something, 2 and 3 nothing. */
	for (uint32_t as = 0; as < 4; as++) {
		make_frame(bytes, 60, rig_mac);
		WR(RAH, RAH_AV | as << RAH_AS_SHIFT | 0x5634);
		rx_give(7, 2048);
		WR(RDH, 0);
		assert_true(rx_frame(bytes, 60, 0, 0));
		assert_int_equal(RD(RDH), as == 0);
	}
	/* PHY addresses and registers, EEPROM words, I/O addresses. */
	for (uint32_t i = 0; i < 1024; i++) {
		WR(MDIC, i << MDIC_REG_SHIFT | MDIC_OP_READ);
		assert_int_equal(!(RD(MDIC) & MDIC_ERROR), i >> 5 == 1);
	}
	for (uint32_t word = 0; word < 256; word++) {
		WR(EERD, word << EERD_ADDR_SHIFT | EERD_START);
		if (word >= EEPROM_N_WORDS)
			assert_int_equal(RD(EERD) >> 16, 0xffff);
	}
	for (unsigned int bit = 0; bit < 32; bit++) {
		struct pci_dev *pci = rig.nic.pci;

		pci->ops->bar_write(pci, 1, E1000_IOADDR, 4, BIT(bit) - 1);
		(void)pci->ops->bar_read(pci, 1, E1000_IODATA, 4);
		pci->ops->bar_write(pci, 1, E1000_IODATA, 4, 0);
	}
	still_alive();
}

static void *flip(void *arg)
{
	volatile bool *stop = arg;

	for (uint32_t i = 0; !*stop; i++) {
		struct e1000_rxd *desc = guest(RX_RING);
		uint64_t addr = i % 3 ? RX_BUF + (i * 64u & 0xfffff) :
			i % 2 ? 0 : NOWHERE;

		*(volatile uint64_t *)&desc[i % 64].addr = addr;
		*(volatile uint64_t *)&desc[i % 64].len = i;
		((volatile uint8_t *)guest(TX_BUF))[12 + i % 60] = (uint8_t)i;
	}
	return NULL;
}

/* T13: another vCPU changes receive descriptors, and the frame that comes back
 * to it, all the while. */
static void t13_double_fetch(void **state)
{
	volatile bool stop = false;
	pthread_t thread;

	make_frame(guest(TX_BUF), 1500, rig_mac);
	WR(RXCSUM, RXCSUM_IPOFL | RXCSUM_TUOFL | 14);
	rig_rx_on(64, RCTL_UPE | RCTL_LPE | 1 << 6 | 3 << RCTL_BSIZE_SHIFT);
	rig_tx_on(64);
	assert_int_equal(pthread_create(&thread, NULL, flip, (void *)&stop), 0);
	for (unsigned int i = 0; i < 3000; i++) {
		tx_put(TX_BUF, 1500 | CMD, 0);
		WR(RDT, (RD(RDH) + 63) % 64);
		tx_go();
	}
	stop = true;
	pthread_join(thread, NULL);
	assert_int_equal(COUNT(tx_looped), 3000);
	still_alive();
}

/* One step of a driver's life. */
static void step(unsigned int n)
{
	switch (n) {
	case 0:
		rig_rx_on(64, RCTL_UPE);
		break;
	case 1:
		rx_give(63, 2048);
		break;
	case 2:
		rig_tx_on(64);
		for (unsigned int i = 0; i < 40; i++)
			tx_put(TX_BUF, 1000 | (i % 4 == 3 ? CMD : 0), 0);
		break;
	case 3:
		WR(IMS, 0xffffffff);
		WR(RDTR, 100);
		WR(ITR, 500);
		break;
	case 4:
		WR(TDT, 33);	/* the last packet is not whole */
		rig.accept = 3;
		worker_round(rig.worker);
		break;
	case 5:
		(void)rx_frame(bytes, 1000, 0, 0);
		break;
	case 6:
		rig.accept = BATCH_MAX;
		rig_run();
		break;
	}
}

/* T15: each kind of reset, the cable and the memory pulled, after each step;
 * what is left of the steps then meets a card that knows nothing of it. */
static void t15_reset_at_every_step(void **state)
{
	struct pci_dev *pci = rig.nic.pci;

	make_frame(bytes, 1000, rig_mac);
	for (unsigned int what = 0; what < 6; what++)
		for (unsigned int at = 0; at < 7; at++) {
			unsigned int n = 0;

			make_frame(guest(TX_BUF), 4096, rig_mac);
			while (n <= at)
				step(n++);
			if (what < 2)
				WR(CTRL, what ? CTRL_RST :
				   CTRL_SLU | CTRL_PHY_RST);
			else if (what < 4)
				pci_dev_reset(pci, what == 2 ? PCI_RESET_BUS :
					      PCI_RESET_POWER_ON);
			else if (what == 4)
				port_set_link(rig.nic.port, false);
			else
				dma_space_clear(pci->dma);
			pci->ops->dma_changed(pci);
			while (n < 7)
				step(n++);
			rig_advance(1000000);
			if (what == 5)
				assert_int_equal(dma_space_map(pci->dma,
					MEM_BASE, MEM_SIZE, DMA_READ |
					DMA_WRITE, rig.memfd, 0), 0);
			pci->ops->dma_changed(pci);
			port_set_link(rig.nic.port, true);
			pci_config_write(pci, 4, 2, 7);
			WR(CTRL, CTRL_SLU);
			rig_advance(E1000_AUTONEG_NS);
			still_alive();
			forget_sent();
		}
}

/* T16: a driver that refills its ring only when an interrupt tells it to, with
 * every kind of moderation: no frame waits for ever. */
static void t16_receiver_never_stalls(void **state)
{
	static const struct { uint32_t itr, rdtr, radv; } how[] = {
		{ 0, 0, 0 }, { 488, 0, 0 }, { 0, 50, 0 }, { 0, 50, 60 },
		{ 200, 30, 100 }, { 0xffff, 0xffff, 0xffff },
	};

	make_frame(bytes, 60, rig_mac);
	for (unsigned int h = 0; h < ARRAY_SIZE(how); h++) {
		uint32_t next = 0, got = 0, offered = 0;

		WR(CTRL, CTRL_RST);
		WR(ITR, how[h].itr);
		WR(RDTR, how[h].rdtr);
		WR(RADV, how[h].radv);
		rig_rx_on(16, 0);
		rx_give(16, 2048);
		WR(RDT, 15);
		WR(IMS, ICR_RXT0 | ICR_RXDMT0 | ICR_RXO);
		for (unsigned int rounds = 0; got < 1000; rounds++) {
			assert_true(rounds < 5000);
			while (offered < 1000 && rx_frame(bytes, 60, 0, 0))
				offered++;
			if (!rig.irq_level) {
				rig_advance(1000000);
				continue;
			}
			(void)RD(ICR);
			while (rx_desc(next).status & RXD_DD) {
				((struct e1000_rxd *)guest(RX_RING))[next]
					.status = 0;
				WR(RDT, next);
				next = (next + 1) % 16;
				got++;
			}
		}
		assert_int_equal(got, offered);
	}
}

/* T16: the same for one that sends no more than its ring holds until it is told
 * that there is room. */
static void t16_sender_never_stalls(void **state)
{
	static const struct { uint32_t itr, tidv, tadv; } how[] = {
		{ 0, 0, 0 }, { 488, 0, 0 }, { 0, 64, 0 }, { 0, 64, 70 },
		{ 0xffff, 0xffff, 0xffff },
	};

	make_frame(guest(TX_BUF), 60, rig_mac);
	for (unsigned int h = 0; h < ARRAY_SIZE(how); h++) {
		uint32_t clean = 0, put = 0, done = 0;

		WR(CTRL, CTRL_RST);
		WR(ITR, how[h].itr);
		WR(TIDV, how[h].tidv);
		WR(TADV, how[h].tadv);
		WR(IMS, ICR_TXDW);
		rig_tx_on(16);
		for (unsigned int rounds = 0; done < 500; rounds++) {
			assert_true(rounds < 5000);
			for (; put < 500 && put - done < 15; put++)
				tx_put(TX_BUF, 60 | CMD | TXD_IDE, 0);
			rig.accept = 1 + rounds % 3;
			tx_go();
			forget_sent();
			if (!rig.irq_level) {
				rig_advance(1000000);
				continue;
			}
			(void)RD(ICR);
			while (done < put && tx_status(clean) & TXD_DD) {
				((struct e1000_txd *)guest(TX_RING))[clean]
					.upper = le32_of(0);
				clean = (clean + 1) % 16;
				done++;
			}
		}
	}
}

/* T17: a guest sees the bytes of frames to it and zeroes, never what another
 * frame left in the server's buffers; its descriptors have no stale field. */
static void t17_nothing_stale(void **state)
{
	struct e1000_rxd desc;

	rig_rx_on(64, RCTL_UPE);
	rx_give(63, 2048);
	for (uint32_t len = 14; len < 60; len++) {
		uint32_t i = 2 * (len - 14) % 60;

		memset(bytes, 0x77, 1514);	/* somebody's secret */
		memcpy(bytes, rig_mac, 6);
		assert_true(rx_frame(bytes, 1514, FRAME_VLAN, 0x777));
		memset(guest(RX_BUF + 2048 * (i + 1)), GUARD, 2048);
		memset(bytes, 0, len);
		memcpy(bytes, rig_mac, 6);
		assert_true(rx_frame(bytes, len, 0, 0));
		desc = rx_desc(i + 1);
		assert_int_equal(le16_get(desc.len), 64);
		assert_int_equal(desc.status, RXD_DD | RXD_EOP | RXD_IXSM);
		assert_int_equal(desc.errors, 0);
		assert_int_equal(le16_get(desc.special), 0);
		assert_int_equal(le16_get(desc.csum), 0);
		for (uint32_t k = 6; k < 2048; k++)
			assert_int_equal(((uint8_t *)guest(
				RX_BUF + 2048 * (i + 1)))[k],
				k < 64 ? 0 : GUARD);
		if (i == 58) {
			WR(RDH, 0);
			rx_give(63, 2048);
		}
	}
	/* A buffer that is not there: nothing but the error is said. */
	WR(RDH, 0);
	desc = (struct e1000_rxd){ .addr = le64_of(NOWHERE) };
	memset((uint8_t *)&desc + 8, 0x55, 8);
	memcpy(guest(RX_RING), &desc, sizeof(desc));
	assert_true(rx_frame(bytes, 100, FRAME_VLAN, 0x777));
	desc = rx_desc(0);
	assert_int_equal(desc.status, RXD_DD | RXD_EOP);
	assert_int_equal(desc.errors, RXD_ERR_RXE);
	assert_int_equal(le16_get(desc.len) | le16_get(desc.csum) |
			 le16_get(desc.special), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(t5_tag_removal),
		TEST(t6_oversize),
		TEST(t7_short_frames),
		TEST(t8_buffers_on_rings),
		TEST(t10_selectors),
		TEST(t13_double_fetch),
		TEST(t15_reset_at_every_step),
		TEST(t16_receiver_never_stalls),
		TEST(t16_sender_never_stalls),
		TEST(t17_nothing_stale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
