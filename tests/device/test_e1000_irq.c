/* SPDX-License-Identifier: Apache-2.0
 *
 * e1000 interrupts: ICR, ICS, IMS, IMC; the pin; ITR, RDTR, RADV, TIDV, TADV;
 * RXDMT0 and SRPD; the registers shared in memory.
 */
#include "e1000_rig.h"

#include <linux/pci_regs.h>

#include "base/time.h"

static uint8_t bytes[2048];

static void cause_and_mask(void **state)
{
	WR(ICS, ICR_RXT0 | ICR_LSC);
	assert_false(rig.irq_level);		/* masked */
	assert_int_equal(RD(ICS), ICR_RXT0 | ICR_LSC);	/* does not clear */
	WR(IMS, ICR_LSC);
	assert_true(rig.irq_level);
	WR(IMS, ICR_TXDW);			/* sets, does not replace */
	assert_int_equal(RD(IMS), ICR_LSC | ICR_TXDW);
	WR(IMC, ICR_LSC);
	assert_false(rig.irq_level);
	assert_int_equal(RD(IMS), ICR_TXDW);
	assert_int_equal(RD(IMC), 0);		/* write-only */
	WR(IMS, ICR_RXT0);
	assert_true(rig.irq_level);
	WR(ICR, ICR_RXT0);			/* writing ones clears */
	assert_false(rig.irq_level);
	assert_int_equal(RD(ICR), ICR_LSC);
	assert_int_equal(RD(ICR), 0);		/* reading clears */
	assert_int_equal(rig.n_irqs, 2);
	assert_int_equal(counter_read(&rig.dev->counters.interrupts), 2);
}

static void reading_lowers_the_pin(void **state)
{
	WR(IMS, 0xffffffff);
	assert_int_equal(RD(IMS), ICR_CAUSES);
	/* As Linux' interrupt test does, reserved causes included. */
	for (unsigned int i = 0; i < 10; i++) {
		WR(ICS, BIT(i));
		assert_true(rig.irq_level);
		assert_int_equal(RD(ICR), BIT(i));
		assert_false(rig.irq_level);
	}
	assert_int_equal(rig.n_irqs, 10);
}

static void intx_disable(void **state)
{
	WR(IMS, ICR_LSC);
	pci_config_write(rig.nic.pci, PCI_COMMAND, 2,
			 PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	WR(ICS, ICR_LSC);
	assert_false(rig.irq_level);
	assert_int_equal(pci_config_read(rig.nic.pci, PCI_STATUS, 2) &
			 PCI_STATUS_INTERRUPT, PCI_STATUS_INTERRUPT);
	pci_config_write(rig.nic.pci, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_true(rig.irq_level);
}

static void reset_lowers_the_pin(void **state)
{
	WR(IMS, ICR_LSC);
	WR(ICS, ICR_LSC);
	assert_true(rig.irq_level);
	WR(CTRL, CTRL_RST);
	assert_false(rig.irq_level);
	assert_int_equal(RD(ICR) | RD(IMS), 0);
}

static void throttling(void **state)
{
	WR(ITR, 200);				/* 51.2 us */
	WR(IMS, ICR_RXT0);
	WR(ICS, ICR_RXT0);
	assert_int_equal(rig.n_irqs, 1);
	(void)RD(ICR);
	rig_advance(20000);
	WR(ICS, ICR_RXT0);
	assert_false(rig.irq_level);
	rig_advance(31199);
	assert_false(rig.irq_level);
	rig_advance(1);
	assert_true(rig.irq_level);
	assert_int_equal(rig.n_irqs, 2);
	(void)RD(ICR);
	/* Gone before its time came: no interrupt. */
	WR(ICS, ICR_RXT0);
	(void)RD(ICR);
	rig_advance(1000000);
	assert_int_equal(rig.n_irqs, 2);
	/* Throttling off: at once. */
	WR(ICS, ICR_RXT0);
	(void)RD(ICR);
	WR(ICS, ICR_RXT0);
	assert_int_equal(rig.n_irqs, 3);
	WR(ITR, 0);
	assert_int_equal(rig.n_irqs, 4);
	assert_int_equal(counter_read(&rig.dev->counters.irq_throttled), 3);
}

static void receive(void)
{
	make_frame(bytes, 100, rig_mac);
	assert_true(rx_frame(bytes, 100, 0, 0));
}

/* Drivers of QEMU's card have to choose one of the two, by DPDK's notes. */
static void link_and_receive_in_one_interrupt(void **state)
{
	rig_rx_on(8, RCTL_BAM);
	rx_give(7, 2048);
	WR(IMS, ICR_LSC | ICR_RXT0);
	receive();
	assert_int_equal(rig.n_irqs, 1);
	port_set_link(rig.nic.port, false);
	assert_int_equal(RD(ICR), ICR_LSC | ICR_RXT0);
	assert_false(rig.irq_level);
	assert_int_equal(RD(ICR), 0);
	port_set_link(rig.nic.port, true);
	rig_advance(10 * NS_PER_S);
	assert_int_equal(rig.n_irqs, 2);
	receive();
	assert_int_equal(RD(ICR), ICR_LSC | ICR_RXT0);
	receive();
	assert_int_equal(rig.n_irqs, 3);
	assert_int_equal(RD(ICR) & (ICR_LSC | ICR_RXT0), ICR_RXT0);
}

/* Reading ICR ends an interrupt, and the next one needs no more than that: with
 * QEMU's the driver has to mask at once, by DPDK's notes. */
static void interrupts_without_masking(void **state)
{
	rig_rx_on(8, RCTL_BAM);
	rx_give(7, 2048);
	WR(IMS, ICR_RXT0);
	for (unsigned int i = 1; i <= 7; i++) {
		receive();
		assert_true(rig.irq_level);
		assert_int_equal(rig.n_irqs, i);
		assert_int_equal(RD(ICR) & ICR_RXT0, ICR_RXT0);
		assert_false(rig.irq_level);
		assert_int_equal(RD(IMS), ICR_RXT0);
	}
}

static void receive_delay(void **state)
{
	rig_rx_on(256, 0);
	rx_give(255, 2048);
	WR(IMS, ICR_RXT0);
	WR(RDTR, 10);				/* 10.24 us since the last */
	WR(RADV, 30);				/* 30.72 us since the first */
	receive();
	rig_advance(10239);
	assert_int_equal(rig.n_irqs, 0);
	rig_advance(1);
	assert_int_equal(rig.n_irqs, 1);
	assert_int_equal(RD(ICR), ICR_RXT0);
	/* One packet every 8 us: the absolute timer ends it. */
	for (unsigned int i = 0; i < 3; i++) {
		receive();
		rig_advance(8000);
		assert_int_equal(rig.n_irqs, 1);
	}
	receive();
	rig_advance(6719);
	assert_int_equal(rig.n_irqs, 1);
	rig_advance(1);
	assert_int_equal(rig.n_irqs, 2);
	(void)RD(ICR);
	rig_advance(1000000);
	assert_int_equal(rig.n_irqs, 2);
	/* FPD: now. */
	receive();
	WR(RDTR, 10 | DELAY_FPD);
	assert_int_equal(rig.n_irqs, 3);
	assert_int_equal(RD(RDTR), 10);
	(void)RD(ICR);
	WR(RDTR, 10 | DELAY_FPD);		/* nothing to flush */
	assert_int_equal(RD(ICR), 0);
}

static void few_descriptors_left(void **state)
{
	rig_rx_on(16, 1 << RCTL_RDMTS_SHIFT);	/* a quarter */
	rx_give(8, 2048);
	for (unsigned int i = 0; i < 3; i++)
		receive();
	assert_int_equal(RD(ICR), ICR_RXT0);
	receive();				/* 4 left */
	assert_int_equal(RD(ICR), ICR_RXT0 | ICR_RXDMT0);
	receive();				/* once, not below */
	assert_int_equal(RD(ICR), ICR_RXT0);
}

static void small_packet(void **state)
{
	rig_rx_on(16, 0);
	rx_give(8, 2048);
	WR(RDTR, 100);
	WR(RSRPD, 103);
	receive();
	assert_int_equal(RD(ICR), 0);
	/* Does not wait, and nothing comes later (3.2.7.2). */
	WR(RSRPD, 104);
	receive();
	assert_int_equal(RD(ICR), ICR_SRPD | ICR_RXT0);
	rig_advance(1000000);
	assert_int_equal(RD(ICR), 0);
	/* The CRC counts only if it is kept. */
	WR(RCTL, RD(RCTL) | RCTL_SECRC);
	WR(RSRPD, 100);
	receive();
	assert_int_equal(RD(ICR), ICR_SRPD | ICR_RXT0);
}

static void send(uint32_t cmd)
{
	make_frame(guest(TX_BUF), 100, rig_mac);
	tx_put(TX_BUF, 100 | TXD_EOP | TXD_IFCS | cmd, 0);
	tx_go();
}

static void transmit_delay(void **state)
{
	rig_tx_on(64);
	WR(IMS, ICR_TXDW);
	send(0);				/* nobody asked */
	assert_int_equal(RD(ICR), ICR_TXQE | ICR_TXD_LOW);
	send(TXD_RS | TXD_IDE);			/* TIDV is 0: no delay */
	assert_int_equal(rig.n_irqs, 1);
	(void)RD(ICR);
	WR(TIDV, 10);
	WR(TADV, 15);
	send(TXD_RS | TXD_IDE);
	rig_advance(8000);
	send(TXD_RS | TXD_IDE);
	rig_advance(7359);
	assert_int_equal(rig.n_irqs, 1);
	rig_advance(1);
	assert_int_equal(rig.n_irqs, 2);
	(void)RD(ICR);
	send(TXD_RS | TXD_IDE);
	WR(TIDV, 10 | DELAY_FPD);
	assert_int_equal(rig.n_irqs, 3);
	(void)RD(ICR);
	send(TXD_RS);				/* without IDE: now */
	assert_int_equal(rig.n_irqs, 4);
	(void)RD(ICR);
	/* ... which makes up for the one that waits (13.4.44). */
	send(TXD_RS | TXD_IDE);
	send(TXD_RS);
	assert_int_equal(rig.n_irqs, 5);
	(void)RD(ICR);
	rig_advance(1000000);
	assert_int_equal(rig.n_irqs, 5);
}

/* Many frames, one doorbell: one interrupt a batch, not one a frame. */
static void one_interrupt_a_batch(void **state)
{
	rig_tx_on(64);
	WR(IMS, ICR_TXDW);
	make_frame(guest(TX_BUF), 100, rig_mac);
	for (unsigned int i = 0; i < BATCH_MAX; i++)
		tx_put(TX_BUF, 100 | TXD_EOP | TXD_IFCS | TXD_RS, 0);
	tx_go();
	assert_int_equal(rig.n_sent, BATCH_MAX);
	assert_int_equal(rig.n_irqs, 1);
}

/* ---- registers in shared memory, pci/shared_regs.h ---- */

static struct pci_shared_page page;

static void share(void)
{
	memset(&page, 0, sizeof(page));
	rig.dev->pci.ops->share(&rig.dev->pci, &page);
}

static void look(void)
{
	rig.dev->pci.ops->shared_changed(&rig.dev->pci);
}

static void shared_registers_are_the_same(void **state)
{
	uint32_t status = RD(STATUS);

	WR(IMS, ICR_LSC | ICR_RXT0);
	WR(ICS, ICR_TXDW);
	share();
	assert_int_equal(page.word[E1000_SHARED_ICR], ICR_TXDW);
	assert_int_equal(page.word[E1000_SHARED_IMS], ICR_LSC | ICR_RXT0);
	assert_int_equal(page.word[E1000_SHARED_STATUS], status);
	WR(IMC, ICR_LSC);
	WR(ICS, ICR_RXO);
	assert_int_equal(page.word[E1000_SHARED_ICR], ICR_TXDW | ICR_RXO);
	assert_int_equal(page.word[E1000_SHARED_IMS], ICR_RXT0);
	assert_int_equal(RD(IMS), ICR_RXT0);
	assert_int_equal(RD(ICS), ICR_TXDW | ICR_RXO);
	WR(ICR, ICR_TXDW);
	assert_int_equal(RD(ICR), ICR_RXO);
	assert_int_equal(page.word[E1000_SHARED_ICR], 0);
	/* What a client puts there that is no cause stays there. */
	page.word[E1000_SHARED_ICR] = page.word[E1000_SHARED_IMS] = ~ICR_CAUSES;
	look();
	assert_true(rig.irq_level);
	rig.dev->pci.ops->share(&rig.dev->pci, NULL);
	assert_false(rig.irq_level);
	assert_int_equal(RD(IMS) | RD(ICR), 0);
}

static void shared_status_and_resets(void **state)
{
	share();
	page.word[E1000_SHARED_ICR] = page.word[E1000_SHARED_IMS] = ICR_LSC;
	port_set_link(rig.nic.port, false);
	assert_int_equal(page.word[E1000_SHARED_STATUS], RD(STATUS));
	assert_int_equal(RD(STATUS) & STATUS_LU, 0);
	WR(CTRL, CTRL_RST);
	assert_int_equal(page.word[E1000_SHARED_ICR], 0);
	assert_int_equal(page.word[E1000_SHARED_IMS], 0);
	assert_int_equal(page.word[E1000_SHARED_STATUS], RD(STATUS));
	page.word[E1000_SHARED_IMS] = ICR_LSC;
	pci_dev_reset(&rig.dev->pci, PCI_RESET_BUS);
	assert_int_equal(page.word[E1000_SHARED_IMS], 0);
}

/* The client takes ICR and masks, without a word to the device. */
static void shared_causes_fall_and_rise(void **state)
{
	share();
	WR(IMS, ICR_RXT0);
	WR(ICS, ICR_RXT0);
	assert_int_equal(rig.n_irqs, 1);
	page.word[E1000_SHARED_ICR] = 0;
	look();
	assert_false(rig.irq_level);
	WR(ICS, ICR_RXT0);
	assert_int_equal(rig.n_irqs, 2);
	/* The device had no reason to look before the next cause. */
	page.word[E1000_SHARED_ICR] = 0;
	e1000_raise(rig.dev, ICR_RXT0);
	assert_int_equal(rig.n_irqs, 3);
	page.word[E1000_SHARED_IMS] = 0;
	look();
	assert_false(rig.irq_level);
	e1000_raise(rig.dev, ICR_RXT0);
	assert_int_equal(rig.n_irqs, 3);
	page.word[E1000_SHARED_IMS] = ICR_RXT0;
	look();
	assert_int_equal(rig.n_irqs, 4);
	/* Throttling holds for edges of either kind. */
	WR(ITR, 200);
	page.word[E1000_SHARED_ICR] = 0;
	e1000_raise(rig.dev, ICR_RXT0);
	assert_int_equal(rig.n_irqs, 4);
	rig_advance(51200);
	assert_int_equal(rig.n_irqs, 5);
}

static void shared_accesses_are_counted(void **state)
{
	struct e1000_counters *c = &rig.dev->counters;
	uint64_t reads = counter_read(&c->reg_reads);
	uint64_t writes = counter_read(&c->reg_writes);
	uint64_t icr_reads = counter_read(&c->icr_reads);

	share();
	page.n[E1000_SHARED_READ_ICR] = 3;
	page.n[E1000_SHARED_READ_STATUS] = 5;
	page.n[E1000_SHARED_WRITE_IMC] = 7;
	page.n[E1000_SHARED_WRITE_IMS] = 11;
	page.n[E1000_SHARED_WRITE_RDT] = 13;
	page.n[E1000_SHARED_WRITE_TDT] = 17;
	look();
	page.n[E1000_SHARED_READ_STATUS]++;
	rig.dev->pci.ops->share(&rig.dev->pci, NULL);
	assert_int_equal(counter_read(&c->icr_reads), icr_reads + 3);
	assert_int_equal(counter_read(&c->reg_reads), reads + 3 + 6);
	assert_int_equal(counter_read(&c->reg_writes), writes + 48);
	assert_int_equal(counter_read(&c->reg_shared), 57);
	assert_int_equal(counter_read(&c->rx_doorbells), 13);
	assert_int_equal(counter_read(&c->tx_doorbells), 17);
	look();		/* nothing to look at */
}

/* Its list says so: whatever becomes of what is written, no word changes. */
static void shared_words_do_not_depend_on_eecd(void **state)
{
	struct pci_shared_page before;

	share();
	WR(IMS, ICR_LSC | ICR_MDAC);
	before = page;
	for (uint32_t i = 0; i < 10000; i++) {
		uint32_t val = i * 0x9e3779b1u;

		/* Commands, bit by bit; now and then anything else. */
		if (i % 61 == 0)
			WR(EECD, val);
		val = EECD_REQ | EECD_CS | (val >> 30 & 1 ? EECD_DI : 0);
		WR(EECD, val);
		WR(EECD, val | EECD_SK);
		(void)RD(EECD);
	}
	look();
	assert_memory_equal(&page, &before, sizeof(page));
}

/* What is stored there is what the next burst works with. */
static void shared_tails(void **state)
{
	uint8_t frame[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2 };

	share();
	rig_tx_on(8);
	rig_rx_on(8, RCTL_BAM);
	assert_int_equal(page.word[E1000_SHARED_TDT], 0);
	memcpy(guest(TX_BUF), frame, sizeof(frame));
	tx_put(TX_BUF, TXD_EOP | TXD_IFCS | TXD_RS | sizeof(frame), 0);
	page.word[E1000_SHARED_TDT] = 1;
	rig_run();
	assert_int_equal(rig.n_sent, 1);
	assert_int_equal(tx_status(0), TXD_DD);
	assert_false(rx_frame(frame, sizeof(frame), 0, 0));
	rx_give(2, 2048);
	assert_int_equal(page.word[E1000_SHARED_RDT], 2);
	page.word[E1000_SHARED_RDT] = 1;
	assert_true(rx_frame(frame, sizeof(frame), 0, 0));
	assert_false(rx_frame(frame, sizeof(frame), 0, 0));
	page.word[E1000_SHARED_RDT] = 2;
	assert_true(rx_frame(frame, sizeof(frame), 0, 0));
	assert_false(rx_frame(frame, sizeof(frame), 0, 0));
	/* Read and written as a register it is the same. */
	assert_int_equal(RD(RDT), 2);
	WR(RDT, 3);
	assert_int_equal(page.word[E1000_SHARED_RDT], 3);
	assert_int_equal(page.word[E1000_SHARED_TDT], 1);
	rig.dev->pci.ops->share(&rig.dev->pci, NULL);
	assert_int_equal(RD(TDT), 1);
	assert_int_equal(RD(RDT), 3);
	share();
	assert_int_equal(page.word[E1000_SHARED_RDT], 3);
	WR(CTRL, CTRL_RST);
	assert_int_equal(page.word[E1000_SHARED_RDT], 0);
	assert_int_equal(page.word[E1000_SHARED_TDT], 0);
}

/* Outside the ring, and bits that no tail has: as by registers. */
static void shared_tails_make_no_sense(void **state)
{
	uint8_t frame[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2 };
	struct e1000_counters *c = &rig.dev->counters;

	share();
	rig_tx_on(8);
	rig_rx_on(8, RCTL_BAM);
	page.word[E1000_SHARED_TDT] = 8;
	rig_run();
	assert_int_equal(counter_read(&c->tx_bad_ring), 1);
	page.word[E1000_SHARED_RDT] = 9;
	assert_true(rx_frame(frame, sizeof(frame), 0, 0));
	assert_int_equal(counter_read(&c->rx_bad_ring), 1);
	page.word[E1000_SHARED_RDT] = 0xabcd0001;
	page.word[E1000_SHARED_TDT] = 0xabcd0000;
	look();
	assert_int_equal(RD(RDT), 1);
	assert_int_equal(RD(TDT), 0);
}

static void who_sleeps_says_so(void **state)
{
	struct port_queue *queue = &rig.nic.port->queues[0];

	queue->port->ops->tx_arm(queue);	/* no page, no matter */
	share();
	queue->port->ops->tx_arm(queue);
	assert_int_equal(page.word[E1000_SHARED_ASLEEP], 1);
	queue->port->ops->tx_disarm(queue);
	assert_int_equal(page.word[E1000_SHARED_ASLEEP], 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(cause_and_mask),
		TEST(reading_lowers_the_pin),
		TEST(intx_disable),
		TEST(reset_lowers_the_pin),
		TEST(throttling),
		TEST(link_and_receive_in_one_interrupt),
		TEST(interrupts_without_masking),
		TEST(receive_delay),
		TEST(few_descriptors_left),
		TEST(small_packet),
		TEST(transmit_delay),
		TEST(one_interrupt_a_batch),
		TEST(shared_registers_are_the_same),
		TEST(shared_status_and_resets),
		TEST(shared_causes_fall_and_rise),
		TEST(shared_accesses_are_counted),
		TEST(shared_words_do_not_depend_on_eecd),
		TEST(shared_tails),
		TEST(shared_tails_make_no_sense),
		TEST(who_sleeps_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
