/* SPDX-License-Identifier: Apache-2.0
 *
 * e1000 interrupts: ICR, ICS, IMS, IMC; the pin; ITR, RDTR, RADV, TIDV, TADV;
 * RXDMT0 and SRPD.
 */
#include "e1000_rig.h"

#include <linux/pci_regs.h>

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

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(cause_and_mask),
		TEST(reading_lowers_the_pin),
		TEST(intx_disable),
		TEST(reset_lowers_the_pin),
		TEST(throttling),
		TEST(receive_delay),
		TEST(few_descriptors_left),
		TEST(small_packet),
		TEST(transmit_delay),
		TEST(one_interrupt_a_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
