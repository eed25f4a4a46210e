/* SPDX-License-Identifier: Apache-2.0
 *
 * e1000 against a hostile driver.  T numbers are the bug classes of NIC models,
 * each with the published flaws of its kind.  Under sanitizers these find what
 * goes out of bounds; rig_run() fails on what does not end.
 */
#include "e1000_rig.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem/dma.h"

#define CMD (TXD_EOP | TXD_IFCS | TXD_RS)
#define DATA (TXD_DEXT | TXD_TYPE_DATA)

static uint8_t bytes[FRAME_LEN_MAX];

static uint64_t count(counter *c)
{
	return counter_read(c);
}

#define COUNT(name) count(&rig.dev->counters.name)

/* The device still works: a frame goes out, a frame comes in. */
static void still_alive(void)
{
	unsigned int n;

	for (unsigned int i = 0; i < rig.n_sent; i++)
		free(rig.sent[i].bytes);
	rig.n_sent = 0;
	WR(CTRL, CTRL_RST);
	rig_run();
	n = rig.n_sent;
	rig_tx_on(8);
	make_frame(guest(TX_BUF), 100, rig_mac);
	tx_put(TX_BUF, 100 | CMD, 0);
	tx_go();
	assert_int_equal(rig.n_sent, n + 1);
	rig_rx_on(8, 0);
	rx_give(7, 2048);
	make_frame(bytes, 100, rig_mac);
	assert_true(rx_frame(bytes, 100, 0, 0));
	assert_int_equal(rx_desc(0).status & RXD_DD, RXD_DD);
}

/* T1, CVE-2016-1981, CVE-2021-20257: heads, tails and lengths as they should
 * not be, every combination, with descriptors that are harmless and not. */
static void t1_ring_walk(void **state)
{
	static const uint32_t lens[] = { 0, 8, 64, 128, 1024, 0xfff80 };
	static const uint32_t at[] = { 0, 1, 7, 8, 63, 64, 0x7fff, 0xffff };

	make_frame(bytes, 100, rig_mac);
	for (unsigned int l = 0; l < ARRAY_SIZE(lens); l++)
		for (unsigned int h = 0; h < ARRAY_SIZE(at); h++)
			for (unsigned int t = 0; t < ARRAY_SIZE(at); t++) {
				WR(TCTL, TCTL_EN);
				WR(TDBAL, TX_RING);
				WR(TDLEN, lens[l]);
				WR(TDH, at[h]);
				WR(TDT, at[t]);
				WR(RCTL, RCTL_EN | RCTL_BAM);
				WR(RDBAL, RX_RING);
				WR(RDLEN, lens[l]);
				WR(RDH, at[h]);
				WR(RDT, at[t]);
				rig_run();
				(void)rx_frame(bytes, 100, 0, 0);
			}
	assert_true(COUNT(tx_bad_ring) > 0);
	assert_true(COUNT(rx_bad_ring) > 0);
	still_alive();
}

/* T1: a ring that lies half outside memory, or wraps at 2^64. */
static void t1_ring_not_mapped(void **state)
{
	static const uint64_t bases[] = {
		NOWHERE, MEM_BASE + MEM_SIZE - 16, 0xfffffffffffffff0, 0,
	};

	make_frame(bytes, 100, rig_mac);
	for (unsigned int i = 0; i < ARRAY_SIZE(bases); i++) {
		rig_tx_on(8);
		rig_rx_on(8, 0);
		WR(TDBAL, (uint32_t)bases[i]);
		WR(TDBAH, (uint32_t)(bases[i] >> 32));
		WR(RDBAL, (uint32_t)bases[i]);
		WR(RDBAH, (uint32_t)(bases[i] >> 32));
		WR(TDT, 4);
		WR(RDT, 4);
		rig_run();
		assert_true(rx_frame(bytes, 100, 0, 0));
		assert_int_equal(COUNT(tx_bad_ring), i + 1);
		assert_int_equal(COUNT(rx_bad_ring), i + 1);
		assert_int_equal(RD(TDH) | RD(RDH), 0);
	}
	still_alive();
}

/* T2, CVE-2016-6834, CVE-2020-28916: descriptors that bring no progress. */
static void t2_no_progress(void **state)
{
	rig_tx_on(1024);
	memset(guest(TX_RING), 0, 1024 * 16);
	WR(TDT, 1023);				/* EOP is never set */
	rig_run();
	assert_int_equal(rig.n_sent, 0);
	assert_int_equal(COUNT(tx_drop_size), 1);	/* one endless packet */

	rig_tx_on(8);
	for (unsigned int i = 0; i < 5; i++)
		tx_put(0, CMD, 0);		/* packets of nothing */
	tx_go();
	assert_int_equal(RD(TDH), 5);
	assert_int_equal(tx_status(4), TXD_DD);

	/* A receive ring without a single buffer. */
	rig_rx_on(1024, 0);
	memset(guest(RX_RING), 0, 1024 * 16);
	WR(RDT, 1023);
	make_frame(bytes, 100, rig_mac);
	assert_true(rx_frame(bytes, 100, 0, 0));
	assert_int_equal(COUNT(rx_drop_size), 1);
	WR(RDT, 5);
	assert_false(rx_frame(bytes, 100, 0, 0));
	still_alive();
}

/* T2: nothing but contexts, all round. */
static void t2_contexts_alone(void **state)
{
	struct e1000_txctx ctx = { .lower = le32_of(TXD_DEXT | TXD_RS) };

	rig_tx_on(512);
	for (unsigned int i = 0; i < 511; i++)
		tx_put_ctx(&ctx);
	tx_go();
	assert_int_equal(RD(TDH), 511);
	assert_int_equal(tx_status(510), TXD_DD);
	still_alive();
}

/* T3, CVE-2015-6815, CVE-2019-5609, CVE-2018-6973: segmentation arithmetic. */
static void t3_tso(void **state)
{
	static const uint16_t mss[] = { 0, 1, 53, 54, 55, 1448, 65535 };
	static const uint8_t edge[] = { 0, 1, 13, 14, 33, 34, 53, 54, 55, 255 };
	static const uint32_t lens[] = { 0, 1, 14, 53, 54, 55, 300, 60000 };
	uint64_t frames = 0;

	(void)make_tcp4(guest(TX_BUF), 60000, true);
	rig_tx_on(64);
	for (unsigned int m = 0; m < ARRAY_SIZE(mss); m++)
		for (unsigned int h = 0; h < ARRAY_SIZE(edge); h++)
			for (unsigned int c = 0; c < ARRAY_SIZE(edge); c++)
				for (unsigned int l = 0; l < ARRAY_SIZE(lens);
				     l++) {
		struct e1000_txctx ctx = {
			.ipcss = c & 1 ? 14 : edge[c],
			.ipcso = edge[c], .ipcse = le16_of(edge[h]),
			.tucss = c & 2 ? 34 : edge[c], .tucso = 50,
			.hdr_len = edge[h], .mss = le16_of(mss[m]),
			.lower = le32_of(TXD_DEXT | TXD_TSE |
					 (c & 4 ? TXD_CTX_IP : 0) |
					 (h & 1 ? TXD_CTX_TCP : 0) |
					 ((lens[l] - edge[h]) &
					  TXD_DATA_LEN)),
		};

		tx_put_ctx(&ctx);
		tx_put(TX_BUF, lens[l] | DATA | TXD_TSE | CMD,
		       TXD_POPTS_TXSM | TXD_POPTS_IXSM);
		tx_go();
		frames++;
	}
	assert_int_equal(COUNT(tx_drop_tso) + COUNT(tx_drop_size) +
			 counter_read(&rig.nic.port->queues[0].stats.tx_frames),
			 frames);
	assert_true(COUNT(tx_drop_tso) > 0);
	still_alive();
}

/* T3: PAYLEN that is not what the descriptors hold. */
static void t3_paylen_lies(void **state)
{
	struct e1000_txctx ctx = {
		.ipcss = 14, .ipcso = 24, .ipcse = le16_of(33), .tucss = 34,
		.tucso = 50, .hdr_len = 54, .mss = le16_of(1000),
	};
	static const uint32_t paylen[] = { 0, 1, 4999, 5001, 0xfffff };

	(void)make_tcp4(guest(TX_BUF), 5000, true);
	rig_tx_on(64);
	for (unsigned int i = 0; i < ARRAY_SIZE(paylen); i++) {
		ctx.lower = le32_of(TXD_DEXT | TXD_TSE | TXD_CTX_IP |
				    TXD_CTX_TCP | paylen[i]);
		tx_put_ctx(&ctx);
		tx_put(TX_BUF, 5054 | DATA | TXD_TSE | CMD, TXD_POPTS_TXSM);
		tx_go();
		assert_int_equal(COUNT(tx_drop_tso), i + 1);
	}
	assert_int_equal(rig.n_sent, 0);
}

/* T4, CVE-2016-2857, CVE-2022-23087: checksum ranges and fields anywhere. */
static void t4_checksum_offsets(void **state)
{
	static const uint32_t lens[] = { 14, 15, 60, 255, 256, 257, 1514 };
	static const uint16_t ends[] = { 0, 1, 33, 254, 255, 256, 1513, 65535 };
	uint32_t n = 0;

	make_frame(guest(TX_BUF), 1514, rig_mac);
	rig_tx_on(64);
	for (unsigned int l = 0; l < ARRAY_SIZE(lens); l++)
		for (unsigned int e = 0; e < ARRAY_SIZE(ends); e++)
			for (unsigned int o = 0; o < 256; o += 15) {
				struct e1000_txctx ctx = {
					.tucss = (uint8_t)o,
					.tucso = (uint8_t)(255 - o),
					.tucse = le16_of(ends[e]),
					.ipcss = (uint8_t)(o / 2),
					.ipcso = (uint8_t)o,
					.ipcse = le16_of(ends[e]),
					.lower = le32_of(TXD_DEXT),
				};

				tx_put_ctx(&ctx);
				tx_put(TX_BUF, lens[l] | DATA | CMD,
				       TXD_POPTS_TXSM | TXD_POPTS_IXSM);
				tx_put(TX_BUF, lens[l] | CMD | TXD_IC |
				       (255 - o) << TXD_CSO_SHIFT,
				       o << TXD_CSS_SHIFT);
				tx_go();
				n += 2;
			}
	assert_int_equal(counter_read(&rig.nic.port->queues[0].stats.tx_frames),
			 n);
	assert_true(COUNT(tx_bad_csum) > 0);
	for (unsigned int i = 0; i < rig.n_sent; i++) {
		const struct frame *frame = &rig.sent[i].frame;

		if (frame->flags & FRAME_CSUM_PARTIAL)
			assert_true(frame->csum_start + frame->csum_offset + 2
				    <= frame->hdr_len);
	}
	still_alive();
}

/* T5: a tag into frames at the edge, one that has a tag already, one that is as
 * long as the header copy. */
static void t5_tag_insertion(void **state)
{
	static const uint32_t lens[] = {
		0, 1, 13, 14, 15, 17, 18, 255, 256, 257, 65550
	};

	make_frame(guest(TX_BUF), 65550, rig_mac);
	WR(CTRL, RD(CTRL) | CTRL_VME);
	for (unsigned int type = 0; type < 2; type++) {
		WR(VET, type ? 0x9100 : 0x8100);
		rig_tx_on(64);
		for (unsigned int i = 0; i < ARRAY_SIZE(lens); i++) {
			tx_put(TX_BUF, lens[i] | DATA | CMD | TXD_VLE, 0);
			be16_store(guest(TX_BUF + 12), i & 1 ? 0x8100 : 0x800);
		}
		tx_go();
	}
	assert_int_equal(COUNT(tx_drop_size), 6);	/* 0, 1 and 13 bytes */
	assert_int_equal(rig.n_sent, 2 * (ARRAY_SIZE(lens) - 3));
	still_alive();
}

/* T7, T9, CVE-2015-3209: too short, too long, and lengths that add up to more
 * than 16 or 32 bits. */
static void t9_lengths(void **state)
{
	rig_tx_on(256);
	make_frame(guest(TX_BUF), 65551, rig_mac);
	tx_put(TX_BUF, 65550 | DATA | CMD, 0);
	tx_put(TX_BUF, 65551 | DATA | CMD, 0);
	tx_put(TX_BUF, 0xfffff | DATA | CMD, 0);
	for (unsigned int i = 0; i < 200; i++)
		tx_put(TX_BUF, 0xfffff | DATA | (i == 199 ? CMD : 0), 0);
	tx_go();
	assert_int_equal(rig.n_sent, 1);
	assert_int_equal(COUNT(tx_drop_size), 3);
	assert_int_equal(RD(TDH), 203);
	for (unsigned int len = 0; len < 14; len++)
		tx_put(TX_BUF, len | CMD, 0);
	tx_go();
	assert_int_equal(rig.n_sent, 1);
	assert_int_equal(COUNT(tx_drop_size), 3 + 14);
	/* A CRC of its own, and nothing before it. */
	for (unsigned int len = 0; len < 18; len++)
		tx_put(TX_BUF, len | TXD_EOP, 0);
	tx_go();
	assert_int_equal(rig.n_sent, 1);
	still_alive();
}

/* T9: more pieces than a frame can have. */
static void t9_pieces(void **state)
{
	rig_tx_on(1024);
	make_frame(guest(TX_BUF), 1000, rig_mac);
	for (unsigned int i = 0; i < 250; i++)
		tx_put(TX_BUF + i * 5, 5 | (i == 249 ? CMD : 0), 0);
	for (unsigned int i = 0; i < 600; i++)
		tx_put(TX_BUF, 1 | (i == 599 ? CMD : 0), 0);
	tx_put(TX_BUF, 100 | CMD, 0);
	tx_go();
	assert_int_equal(rig.n_sent, 1);	/* the last one */
	assert_int_equal(rig.sent[0].len, 100);
	assert_int_equal(COUNT(tx_drop_size), 2);
	assert_int_equal(RD(TDH), 851);
}

/* T8, T12, CVE-2021-3748: data where there is no memory, such as the device's
 * own BAR, or at the end of all addresses. */
static void t8_data_not_mapped(void **state)
{
	static const uint64_t addr[] = {
		NOWHERE, 0xfebc0000, MEM_BASE + MEM_SIZE - 50,
		0xffffffffffffffc0, 0xfffffffffffffff0,
	};
	struct e1000_rxd desc;

	rig_tx_on(64);
	rig_rx_on(64, 0);
	make_frame(guest(TX_BUF), 100, rig_mac);
	make_frame(bytes, 100, rig_mac);
	for (unsigned int i = 0; i < ARRAY_SIZE(addr); i++) {
		tx_put(TX_BUF, 50, 0);
		tx_put(addr[i], 100 | CMD, 0);
		tx_go();
		assert_int_equal(COUNT(tx_drop_dma), i + 1);
		assert_int_equal(tx_status(2 * i + 1), TXD_DD);

		desc = (struct e1000_rxd){ .addr = le64_of(addr[i]) };
		memcpy(guest(RX_RING + 16 * i), &desc, sizeof(desc));
		WR(RDT, i + 1);
		assert_true(rx_frame(bytes, 100, 0, 0));
		desc = rx_desc(i);
		assert_int_equal(desc.status, RXD_DD | RXD_EOP);
		assert_int_equal(desc.errors, RXD_ERR_RXE);
		assert_int_equal(le16_get(desc.len), 0);	/* T17 */
	}
	assert_int_equal(rig.n_sent, 0);
	still_alive();
}

/* T8, CVE-2021-3416: loopback with rings that feed each other. */
static void t8_loopback_is_bounded(void **state)
{
	WR(RCTL, RCTL_EN | RCTL_UPE | RCTL_BAM | 1 << 6);
	/* One ring is both: what is received overwrites what is sent. */
	WR(RDBAL, TX_RING);
	WR(RDLEN, 64 * 16);
	WR(RDT, 63);
	rig_tx_on(64);
	for (unsigned int i = 0; i < 63; i++)
		tx_put(TX_RING + 64, 512 | CMD, 0);
	tx_go();
	assert_int_equal(rig.n_sent, 0);
	still_alive();
}

static void *flip(void *arg)
{
	volatile bool *stop = arg;

	for (uint32_t i = 0; !*stop; i++) {
		struct e1000_txd *desc = guest(TX_RING);

		desc[i % 8].lower = le32_of(i * 2654435761u);
		desc[i % 8].addr = le64_of(TX_BUF + (i & 0xfff));
		((uint8_t *)guest(TX_BUF))[i % 60] = (uint8_t)i;
	}
	return NULL;
}

/* T13: another vCPU changes descriptors and headers all the while. */
static void t13_double_fetch(void **state)
{
	volatile bool stop = false;
	pthread_t thread;

	make_frame(guest(TX_BUF), 4096, rig_mac);
	rig_tx_on(8);
	assert_int_equal(pthread_create(&thread, NULL, flip, (void *)&stop), 0);
	for (unsigned int i = 0; i < 3000; i++) {
		WR(TDT, (RD(TDH) + 7) % 8);
		rig_run();
	}
	stop = true;
	pthread_join(thread, NULL);
	still_alive();
}

/* T15: reset and unmapping while frames are held; stale pointers are gone. */
static void t15_reset_and_unmap(void **state)
{
	struct pci_dev *pci = rig.nic.pci;

	make_frame(guest(TX_BUF), 1000, rig_mac);
	make_frame(bytes, 100, rig_mac);
	for (unsigned int what = 0; what < 4; what++) {
		rig.accept = 1;
		rig_tx_on(64);
		rig_rx_on(64, 0);
		rx_give(63, 2048);
		for (unsigned int i = 0; i < 20; i++)
			tx_put(TX_BUF, 1000 | CMD, 0);
		WR(TDT, 20);
		worker_round(rig.worker);
		switch (what) {
		case 0:
			WR(CTRL, CTRL_RST);
			break;
		case 1:
			pci_dev_reset(pci, PCI_RESET_BUS);
			break;
		case 2:
			pci_dev_reset(pci, PCI_RESET_POWER_ON);
			break;
		case 3:
			pci->ops->dma_changed(pci);
			assert_true(dma_space_unmap(pci->dma, MEM_BASE,
						    MEM_SIZE) > 0);
			pci->ops->dma_changed(pci);
			break;
		}
		rig_run();
		(void)rx_frame(bytes, 100, 0, 0);
		pci_config_write(pci, 4, 2, 7);
		rig_advance(E1000_AUTONEG_NS);
	}
	assert_int_equal(dma_space_map(pci->dma, MEM_BASE, MEM_SIZE,
				       DMA_READ | DMA_WRITE, rig.memfd, 0), 0);
	pci->ops->dma_changed(pci);
	rig.accept = BATCH_MAX;
	still_alive();
}

/* The memory's file is cut off under the device: it stops, nothing else. */
static void t15_truncated_memory(void **state)
{
	/* Again: cmocka takes SIGBUS for itself around each test. */
	assert_int_equal(dma_init(), 0);
	rig_tx_on(8);
	make_frame(guest(TX_BUF), 1000, rig_mac);
	tx_put(TX_BUF, 1000 | CMD, 0);
	WR(TDT, 1);
	assert_int_equal(ftruncate(rig.memfd, 0), 0);
	rig_run();
	assert_true(dma_space_broken(rig.nic.pci->dma));
	make_frame(bytes, 100, rig_mac);
	assert_true(rx_frame(bytes, 100, 0, 0));
	assert_int_equal(COUNT(rx_off), 1);
}

/* T18: a saved state whose every word is wild. */
static void t18_wild_state(void **state)
{
	uint32_t seed = 1;
	uint32_t *word = (uint32_t *)rig.dev->state;

	make_frame(bytes, 100, rig_mac);
	for (unsigned int round = 0; round < 200; round++) {
		for (size_t i = 0; i < E1000_N_SLOTS; i++) {
			seed = seed * 1664525 + 1013904223;
			word[i] = seed >> (seed >> 28);
		}
		WR(TCTL, TCTL_EN);
		WR(RCTL, RD(RCTL) | RCTL_EN);
		rig_advance(1000);
		(void)rx_frame(bytes, 100, FRAME_VLAN, (uint16_t)seed);
	}
	still_alive();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(t1_ring_walk),
		TEST(t1_ring_not_mapped),
		TEST(t2_no_progress),
		TEST(t2_contexts_alone),
		TEST(t3_tso),
		TEST(t3_paylen_lies),
		TEST(t4_checksum_offsets),
		TEST(t5_tag_insertion),
		TEST(t8_data_not_mapped),
		TEST(t8_loopback_is_bounded),
		TEST(t9_lengths),
		TEST(t9_pieces),
		TEST(t13_double_fetch),
		TEST(t15_reset_and_unmap),
		TEST(t15_truncated_memory),
		TEST(t18_wild_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
