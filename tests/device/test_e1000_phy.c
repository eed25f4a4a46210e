/* SPDX-License-Identifier: Apache-2.0
 *
 * e1000: EEPROM by EERD and pin by pin, PHY by MDIC, link.
 */
#include "e1000_rig.h"

#include <string.h>

static uint16_t eerd(unsigned int word)
{
	WR(EERD, word << EERD_ADDR_SHIFT | EERD_START);
	assert_int_equal(RD(EERD) & EERD_DONE, EERD_DONE);
	return (uint16_t)(RD(EERD) >> EERD_DATA_SHIFT);
}

static void eeprom_by_eerd(void **state)
{
	uint16_t sum = 0;

	for (unsigned int i = 0; i < EEPROM_N_WORDS; i++)
		sum = (uint16_t)(sum + eerd(i));
	assert_int_equal(sum, EEPROM_SUM);
	assert_int_equal(eerd(0), 0x5452);
	assert_int_equal(eerd(2), 0x5634);
	assert_int_equal(eerd(EEPROM_DEVICE), 0x100e);
	assert_int_equal(eerd(64), 0xffff);	/* T10 */
	assert_int_equal(eerd(255), 0xffff);
}

/* ---- pin by pin, as a driver of the chip does it ---- */

static uint32_t pins;

static void set_pins(uint32_t set, uint32_t clear)
{
	pins = (pins | set) & ~clear;
	WR(EECD, pins);
}

static void shift_out(uint32_t val, unsigned int n)
{
	while (n--) {
		uint32_t di = val >> n & 1 ? EECD_DI : 0;

		set_pins(di, EECD_DI & ~di);
		set_pins(EECD_SK, 0);
		set_pins(0, EECD_SK);
	}
	set_pins(0, EECD_DI);
}

static uint16_t shift_in(void)
{
	uint16_t val = 0;

	for (unsigned int i = 0; i < 16; i++) {
		set_pins(EECD_SK, 0);
		val = (uint16_t)(val << 1 | !!(RD(EECD) & EECD_DO));
		set_pins(0, EECD_SK);
	}
	return val;
}

static void acquire(void)
{
	pins = 0;
	set_pins(EECD_REQ, 0);
	assert_int_equal(RD(EECD) & EECD_GNT, EECD_GNT);
	set_pins(EECD_CS, EECD_DI | EECD_SK);
}

/* Deselect and select again, with a clock in between. */
static void standby(void)
{
	set_pins(0, EECD_CS | EECD_SK);
	set_pins(EECD_SK, 0);
	set_pins(EECD_CS, 0);
	set_pins(0, EECD_SK);
}

static uint16_t microwire_read(unsigned int word)
{
	shift_out(4 | MICROWIRE_READ, 3);
	shift_out(word, 6);
	return shift_in();
}

static void microwire_write(unsigned int word, uint16_t val)
{
	shift_out(4 | MICROWIRE_WRITE, 3);
	shift_out(word, 6);
	shift_out(val, 16);
	standby();
	assert_int_equal(RD(EECD) & EECD_DO, EECD_DO);	/* ready */
}

static void eeprom_by_pins(void **state)
{
	acquire();
	for (unsigned int i = 0; i < EEPROM_N_WORDS; i++) {
		assert_int_equal(microwire_read(i), eerd(i));
		standby();
	}
	shift_out(0, 5);		/* no command before its start bit */
	/* Sequential: clocking on gives the next word. */
	assert_int_equal(microwire_read(0x3f), eerd(0x3f));
	assert_int_equal(shift_in(), eerd(0));
	set_pins(0, EECD_CS | EECD_REQ);
	assert_int_equal(RD(EECD) & EECD_GNT, 0);
}

static void eeprom_write(void **state)
{
	uint16_t old = eerd(5);

	acquire();
	microwire_write(5, 0x1234);
	assert_int_equal(eerd(5), old);		/* not enabled */
	shift_out(0x13, 5);			/* EWEN */
	shift_out(0, 4);
	standby();
	microwire_write(5, 0x1234);
	assert_int_equal(eerd(5), 0x1234);
	shift_out(4 | MICROWIRE_ERASE, 3);
	shift_out(6, 6);
	standby();
	assert_int_equal(eerd(6), 0xffff);
	shift_out(0x10, 5);			/* EWDS */
	shift_out(0, 4);
	standby();
	microwire_write(5, 0x4321);
	assert_int_equal(eerd(5), 0x1234);

	pci_dev_reset(rig.nic.pci, PCI_RESET_BUS);
	assert_int_equal(eerd(5), 0x1234);
	pci_dev_reset(rig.nic.pci, PCI_RESET_POWER_ON);
	assert_int_equal(eerd(5), old);
}

/* ---- PHY ---- */

static uint16_t phy_rd(unsigned int reg)
{
	WR(MDIC, reg << MDIC_REG_SHIFT | 1u << MDIC_PHY_SHIFT | MDIC_OP_READ);
	assert_int_equal(RD(MDIC) & (MDIC_READY | MDIC_ERROR), MDIC_READY);
	return (uint16_t)RD(MDIC);
}

static void phy_wr(unsigned int reg, uint16_t val)
{
	WR(MDIC, reg << MDIC_REG_SHIFT | 1u << MDIC_PHY_SHIFT | MDIC_OP_WRITE |
	   val);
}

static void phy_identity(void **state)
{
	assert_int_equal(phy_rd(PHY_ID1), 0x0141);
	assert_int_equal(phy_rd(PHY_ID2), 0x0c20);
	for (unsigned int addr = 0; addr < 32; addr++) {
		WR(MDIC, PHY_ID1 << MDIC_REG_SHIFT | addr << MDIC_PHY_SHIFT |
		   MDIC_OP_READ);
		assert_int_equal(!!(RD(MDIC) & MDIC_ERROR), addr != 1);
	}
}

/* Every register, from IEEE 802.3 clause 22 and the 88E1011's own: what it
 * holds without link and with, and what can be written (CTRL has tests of its
 * own).  Not taken from the model's table. */
static const struct { uint16_t no_link, link, writable; } phy[32] = {
	[0] = { 0x1140, 0x1140, 0 },
	[1] = { 0x7949, 0x796d, 0 },
	[2] = { 0x0141, 0x0141, 0 },
	[3] = { 0x0c20, 0x0c20, 0 },
	[4] = { 0x0de1, 0x0de1, 0xbfff },
	[5] = { 0x0000, 0x41e1, 0 },
	[6] = { 0x0004, 0x0005, 0 },
	[7] = { 0x2001, 0x2001, 0xbfff },
	[9] = { 0x0e00, 0x0e00, 0xff00 },
	[10] = { 0x0000, 0x3c00, 0 },
	[15] = { 0x3000, 0x3000, 0 },
	[16] = { 0x0360, 0x0360, 0xffff },
	[17] = { 0x0000, 0xac00, 0 },
	[18] = { 0x0000, 0x0000, 0xffff },
	[20] = { 0x0d60, 0x0d60, 0xffff },
	[24] = { 0x4100, 0x4100, 0xffff },
	[29] = { 0x0000, 0x0000, 0xffff },
	[30] = { 0x0000, 0x0000, 0xffff },
};

static void phy_registers(void **state)
{
	pci_dev_reset(rig.nic.pci, PCI_RESET_BUS);
	for (unsigned int i = 0; i < 32; i++)
		assert_int_equal(phy_rd(i), phy[i].no_link);
	rig_advance(E1000_AUTONEG_NS);
	(void)phy_rd(PHY_STATUS);	/* shows that there was no link once */
	for (unsigned int i = 0; i < 32; i++) {
		uint16_t keeps = phy[i].writable;

		assert_int_equal(phy_rd(i), phy[i].link);
		if (i == PHY_CTRL)
			continue;
		phy_wr(i, 0xffff);
		assert_int_equal(phy_rd(i), phy[i].link | keeps);
		phy_wr(i, 0);
		assert_int_equal(phy_rd(i), phy[i].link & ~keeps);
		phy_wr(i, 0xa5a5);
		assert_int_equal(phy_rd(i), (phy[i].link & ~keeps) |
				 (0xa5a5 & keeps));
	}
	/* The reset pin, held and let go: all as it was. */
	WR(CTRL, CTRL_SLU | CTRL_PHY_RST);
	WR(CTRL, CTRL_SLU);
	for (unsigned int i = 0; i < 32; i++)
		assert_int_equal(phy_rd(i), phy[i].no_link);
}

/* CTRL: modes stay, what starts something is 0 again, the rest is 0. */
static void phy_control(void **state)
{
	phy_wr(PHY_CTRL, 0xffff);
	assert_int_equal(phy_rd(PHY_CTRL), 0x7dc0);
	phy_wr(PHY_CTRL, 0);
	assert_int_equal(phy_rd(PHY_CTRL), 0);
}

static void mdic_interrupt(void **state)
{
	WR(IMS, ICR_MDAC);
	(void)phy_rd(PHY_ID1);
	assert_false(rig.irq_level);
	WR(MDIC, PHY_ID1 << MDIC_REG_SHIFT | 1u << MDIC_PHY_SHIFT |
	   MDIC_OP_READ | MDIC_INT_EN);
	assert_true(rig.irq_level);
	assert_int_equal(RD(ICR), ICR_MDAC);
}

static void autonegotiation(void **state)
{
	WR(IMS, ICR_LSC);
	phy_wr(PHY_CTRL, PHY_CTRL_AN_ENABLE | PHY_CTRL_AN_RESTART);
	assert_int_equal(RD(ICR), ICR_LSC);	/* down */
	assert_int_equal(RD(STATUS) & STATUS_LU, 0);
	assert_int_equal(phy_rd(PHY_STATUS) &
			 (PHY_STATUS_LINK | PHY_STATUS_AN_DONE), 0);
	assert_int_equal(phy_rd(PHY_CTRL) & PHY_CTRL_AN_RESTART, 0);
	rig_advance(E1000_AUTONEG_NS - 1);
	assert_int_equal(RD(STATUS) & STATUS_LU, 0);
	rig_advance(1);
	assert_true(rig.irq_level);
	assert_int_equal(RD(ICR), ICR_LSC);	/* up */
	assert_int_equal(RD(STATUS), STATUS_RESET | STATUS_LU);
	/* The loss shows once. */
	assert_int_equal(phy_rd(PHY_STATUS) & PHY_STATUS_LINK, 0);
	assert_int_equal(phy_rd(PHY_STATUS) & PHY_STATUS_LINK,
			 PHY_STATUS_LINK);
	assert_int_equal(phy_rd(PHY_STATUS) & PHY_STATUS_AN_DONE,
			 PHY_STATUS_AN_DONE);
	assert_int_equal(phy_rd(PHY_LP_ABILITY), PHY_LP_ALL);
	assert_int_equal(phy_rd(PHY_SPEC_STATUS), 0xac00);
}

static void forced_and_limited_modes(void **state)
{
	phy_wr(PHY_CTRL, PHY_CTRL_SPEED_LSB | PHY_CTRL_FD);
	rig_advance(E1000_AUTONEG_NS);
	assert_int_equal(RD(STATUS) & 0x3c3, STATUS_LU | STATUS_FD | 0x140);
	phy_wr(PHY_1000T_CTRL, 0);
	phy_wr(PHY_AUTONEG_ADV, 0x21);
	phy_wr(PHY_CTRL, PHY_CTRL_AN_ENABLE | PHY_CTRL_AN_RESTART);
	rig_advance(E1000_AUTONEG_NS);
	assert_int_equal(RD(STATUS) & 0x3c3, STATUS_LU);	/* 10, half */
	phy_wr(PHY_AUTONEG_ADV, 0x1e1);		/* up to 100, full */
	phy_wr(PHY_CTRL, PHY_CTRL_AN_ENABLE | PHY_CTRL_AN_RESTART);
	rig_advance(E1000_AUTONEG_NS);
	assert_int_equal(RD(STATUS) & 0x3c3, STATUS_LU | STATUS_FD | 0x140);
	assert_int_equal(phy_rd(PHY_SPEC_STATUS), 0x6c00);
	WR(CTRL, CTRL_SLU | CTRL_FRCSPD | CTRL_FRCDPX | CTRL_FD |
	   2 << CTRL_SPD_SHIFT);
	assert_int_equal(RD(STATUS) & 0xc3, STATUS_LU | STATUS_FD | 0x80);
	WR(CTRL, 0);				/* the MAC does not look */
	assert_int_equal(RD(STATUS) & STATUS_LU, 0);
}

static void cable(void **state)
{
	WR(IMS, ICR_LSC);
	port_set_link(rig.nic.port, false);
	assert_int_equal(RD(ICR), ICR_LSC);
	assert_int_equal(RD(STATUS) & STATUS_LU, 0);
	phy_wr(PHY_CTRL, PHY_CTRL_AN_ENABLE | PHY_CTRL_AN_RESTART);
	rig_advance(10 * E1000_AUTONEG_NS);
	assert_int_equal(RD(STATUS) & STATUS_LU, 0);
	port_set_link(rig.nic.port, true);
	rig_advance(E1000_AUTONEG_NS);
	assert_int_equal(RD(ICR), ICR_LSC);
	assert_int_equal(RD(STATUS) & STATUS_LU, STATUS_LU);
}

static void power_down_and_reset_pin(void **state)
{
	phy_wr(PHY_SPEC_CTRL, 0x1234);
	phy_wr(PHY_CTRL, PHY_CTRL_RESET | PHY_CTRL_AN_ENABLE);
	assert_int_equal(phy_rd(PHY_SPEC_CTRL), 0x1234);	/* kept */
	rig_advance(E1000_AUTONEG_NS);
	phy_wr(PHY_CTRL, PHY_CTRL_AN_ENABLE | PHY_CTRL_POWER_DOWN);
	rig_advance(E1000_AUTONEG_NS);
	assert_int_equal(RD(STATUS) & STATUS_LU, 0);
	phy_wr(PHY_CTRL, PHY_CTRL_AN_ENABLE);
	rig_advance(E1000_AUTONEG_NS);
	assert_int_equal(RD(STATUS) & STATUS_LU, STATUS_LU);
	WR(CTRL, CTRL_SLU | CTRL_PHY_RST);
	assert_int_equal(phy_rd(PHY_SPEC_CTRL), 0x0360);
	rig_advance(E1000_AUTONEG_NS);
	assert_int_equal(RD(STATUS) & STATUS_LU, 0);
	WR(CTRL, CTRL_SLU);
	rig_advance(E1000_AUTONEG_NS);
	assert_int_equal(RD(STATUS) & STATUS_LU, STATUS_LU);
}

static void eeprom_reload(void **state)
{
	WR(RAL, 0);
	WR(CTRL_EXT, CTRL_EXT_EE_RST);
	assert_int_equal(RD(RAL), 0x12005452);
	assert_int_equal(RD(CTRL_EXT) & CTRL_EXT_EE_RST, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(eeprom_by_eerd),
		TEST(eeprom_by_pins),
		TEST(eeprom_write),
		TEST(eeprom_reload),
		TEST(phy_identity),
		TEST(phy_registers),
		TEST(phy_control),
		TEST(mdic_interrupt),
		TEST(autonegotiation),
		TEST(forced_and_limited_modes),
		TEST(cable),
		TEST(power_down_and_reset_pin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
