/* SPDX-License-Identifier: Apache-2.0
 *
 * Every row of the e1000's register catalogue: reset value, writable bits, side
 * effect of reads, reset kinds; aliases; access sizes; the I/O window; config
 * space.
 */
#include "e1000_rig.h"

#include <linux/pci_regs.h>
#include <string.h>

/* Rows whose value is more than what was stored; each has a test of its own. */
static bool has_own_test(unsigned int slot)
{
	static const uint16_t own[] = {
		E1000_CTRL, E1000_CTRL_EXT, E1000_EECD, E1000_EERD, E1000_MDIC,
		E1000_PBA, E1000_ICR, E1000_ICS, E1000_IMS, E1000_IMC,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(own); i++)
		if (own[i] == slot)
			return true;
	return false;
}

static bool is_statistic(const struct e1000_row *row)
{
	return row->offset >= 0x4000 && row->offset < 0x4100;
}

/* The value right after a reset, of what link and EEPROM do not decide. */
static void check_reset_values(uint32_t status_lu)
{
	for (unsigned int r = 0; r < e1000_n_rows; r++) {
		const struct e1000_row *row = &e1000_rows[r];

		for (unsigned int i = 0; i < row->n; i++) {
			uint32_t want = row->reset;
			uint32_t off = row->offset + i * row->stride;

			if (row->slot == E1000_RAL && i == 0)
				want = 0x12005452;
			if (row->slot == E1000_RAH && i == 0)
				want = RAH_AV | 0x5634;
			if (row->slot == E1000_STATUS)
				want |= status_lu;
			if (rd(off) != want)
				fail_msg("%s[%u]: %#x, expected %#x", row->name,
					 i, rd(off), want);
		}
	}
}

static void reset_values(void **state)
{
	pci_dev_reset(rig.nic.pci, PCI_RESET_POWER_ON);
	check_reset_values(0);
}

static void write_all(uint32_t val)
{
	for (unsigned int r = 0; r < e1000_n_rows; r++)
		for (unsigned int i = 0; i < e1000_rows[r].n; i++)
			if (!has_own_test(e1000_rows[r].slot))
				wr(e1000_rows[r].offset +
				   i * e1000_rows[r].stride, val);
}

/* Ethtool's patterns, over every register and not only those it knows. */
static void writable_bits(void **state)
{
	static const uint32_t pattern[] = {
		0x5a5a5a5a, 0xa5a5a5a5, 0, 0xffffffff
	};

	for (unsigned int p = 0; p < ARRAY_SIZE(pattern); p++) {
		write_all(pattern[p]);
		for (unsigned int r = 0; r < e1000_n_rows; r++) {
			const struct e1000_row *row = &e1000_rows[r];

			if (has_own_test(row->slot) || !row->writable)
				continue;
			for (unsigned int i = 0; i < row->n; i++) {
				uint32_t got = rd(row->offset +
						  i * row->stride);

				if (got != (pattern[p] & row->writable))
					fail_msg("%s[%u]: %#x after %#x",
						 row->name, i, got, pattern[p]);
			}
		}
	}
}

static void software_reset(void **state)
{
	write_all(0xa5a5a5a5);
	WR(PBA, 0x28);
	WR(CTRL, CTRL_RST);
	assert_int_equal(RD(PBA), 0x00180028);
	WR(PBA, 0x30);
	check_reset_values(STATUS_LU);	/* PHY and link go on */
}

static void bus_reset(void **state)
{
	write_all(0x5a5a5a5a);
	WR(PBA, 0x28);
	pci_dev_reset(rig.nic.pci, PCI_RESET_BUS);
	check_reset_values(0);
	assert_int_equal(pci_config_read(rig.nic.pci, PCI_COMMAND, 2), 0);
	rig_advance(E1000_AUTONEG_NS);
	assert_int_equal(RD(STATUS) & STATUS_LU, STATUS_LU);
}

static void statistics_clear_by_reading(void **state)
{
	uint32_t *reg = rig.dev->state->reg;

	for (unsigned int r = 0; r < e1000_n_rows; r++) {
		const struct e1000_row *row = &e1000_rows[r];

		if (!is_statistic(row))
			continue;
		reg[row->slot] = 0x12345678;
		assert_int_equal(rd(row->offset), 0x12345678);
		/* The lower half of a pair goes with the upper. */
		if (!row->read)
			(void)rd(row->offset + 4);
		assert_int_equal(rd(row->offset), 0);
	}
}

static void statistics_stop_at_the_end(void **state)
{
	e1000_stat_add(rig.dev, E1000_RNBC, 0xfffffff0);
	e1000_stat_add(rig.dev, E1000_RNBC, 0x20);
	assert_int_equal(RD(RNBC), 0xffffffff);
	e1000_stat_add64(rig.dev, E1000_GORCL, UINT64_MAX - 1);
	e1000_stat_add64(rig.dev, E1000_GORCL, 5);
	assert_int_equal(RD(GORCL), 0xffffffff);
	assert_int_equal(RD(GORCH), 0xffffffff);
}

static void aliases(void **state)
{
	static const struct { uint32_t offset; uint16_t slot; } alias[] = {
#define A(offset, name) { offset, E1000_##name },
		E1000_ALIASES(A)
#undef A
	};

	WR(CTRL, CTRL_SLU | CTRL_VME);
	WR(RDTR, 0x11);
	WR(TDBAL, 0x1230);
	WR(MTA, 0x55);
	for (unsigned int i = 0; i < ARRAY_SIZE(alias); i++)
		assert_int_equal(rd(alias[i].offset),
				 rd(offset_of(alias[i].slot)));
	wr(0x200 + 4 * 127, 0x77);
	assert_int_equal(rd(0x5200 + 4 * 127), 0x77);
}

static void no_register(void **state)
{
	wr(0x5b50, 0xffffffff);
	assert_int_equal(rd(0x5b50), 0);
	assert_int_equal(rd(0x1fffc), 0);
	assert_int_equal(counter_read(&rig.dev->counters.reg_unknown), 3);
}

static void access_sizes(void **state)
{
	struct pci_dev *pci = rig.nic.pci;
	uint32_t vet = offset_of(E1000_VET), fcal = offset_of(E1000_FCAL);

	WR(VET, 0x8100);
	pci->ops->bar_write(pci, 0, vet, 2, 0x1234);
	pci->ops->bar_write(pci, 0, vet + 2, 4, 0x1234);
	pci->ops->bar_write(pci, 0, vet, 1, 0x12);
	assert_int_equal(RD(VET), 0x8100);
	assert_int_equal(counter_read(&rig.dev->counters.reg_bad_size), 3);
	assert_int_equal(pci->ops->bar_read(pci, 0, vet + 1, 1), 0x81);
	assert_int_equal(pci->ops->bar_read(pci, 0, vet, 2), 0x8100);

	pci->ops->bar_write(pci, 0, fcal, 8, 0x0000222211111111);
	assert_int_equal(RD(FCAL), 0x11111111);
	assert_int_equal(RD(FCAH), 0x2222);
	assert_true(pci->ops->bar_read(pci, 0, fcal, 8) == 0x0000222211111111);
	assert_true(pci->ops->bar_read(pci, 0, fcal + 2, 4) == 0x22221111);
	assert_true(pci->ops->bar_read(pci, 0, fcal + 3, 8) >> 56 == 0);
	/* The last bytes of the BAR. */
	assert_int_equal(pci->ops->bar_read(pci, 0, E1000_REGS_SIZE - 8, 8), 0);
}

static void io_window(void **state)
{
	struct pci_dev *pci = rig.nic.pci;

	pci->ops->bar_write(pci, 1, E1000_IOADDR, 4, offset_of(E1000_FCT));
	assert_int_equal(pci->ops->bar_read(pci, 1, E1000_IOADDR, 4),
			 offset_of(E1000_FCT));
	pci->ops->bar_write(pci, 1, E1000_IODATA, 4, 0x8808);
	assert_int_equal(RD(FCT), 0x8808);
	assert_int_equal(pci->ops->bar_read(pci, 1, E1000_IODATA, 4), 0x8808);
	/* Linux resets the chip this way. */
	pci->ops->bar_write(pci, 1, E1000_IOADDR, 4, offset_of(E1000_CTRL));
	pci->ops->bar_write(pci, 1, E1000_IODATA, 4, CTRL_RST);
	assert_int_equal(RD(FCT), 0);
	/* T10: an IOADDR that is no register. */
	pci->ops->bar_write(pci, 1, E1000_IOADDR, 4, 0xfffffffc);
	pci->ops->bar_write(pci, 1, E1000_IODATA, 4, 1);
	assert_int_equal(pci->ops->bar_read(pci, 1, E1000_IODATA, 4), 0);
	assert_int_equal(pci->ops->bar_read(pci, 1, 60, 4), 0);
}

static void option_rom_is_empty(void **state)
{
	struct pci_dev *pci = rig.nic.pci;

	pci->ops->bar_write(pci, PCI_ROM_BAR, 0, 4, 0xaa55);
	assert_true(pci->ops->bar_read(pci, PCI_ROM_BAR, 0, 2) != 0xaa55);
}

/* As `lspci -x` shows it, before addresses are given (issue 4's listing). */
static void config_space(void **state)
{
	static const uint8_t want[64] = {
		0x86, 0x80, 0x0e, 0x10, 0, 0, 0, 0, 3, 0, 0, 2, 0, 0, 0, 0,
		[0x14] = 1, [0x2c] = 0xf4, 0x1a, 0x00, 0x11, [0x3d] = 1,
	};
	struct pci_dev *pci = rig.nic.pci;

	pci_dev_reset(pci, PCI_RESET_POWER_ON);
	assert_memory_equal(pci->config, want, sizeof(want));
	pci_config_write(pci, PCI_CACHE_LINE_SIZE, 2, 0xffff);
	assert_int_equal(pci_config_read(pci, PCI_CACHE_LINE_SIZE, 2), 0);
	pci_config_write(pci, PCI_BASE_ADDRESS_0, 4, 0xffffffff);
	pci_config_write(pci, PCI_BASE_ADDRESS_1, 4, 0xffffffff);
	pci_config_write(pci, PCI_ROM_ADDRESS, 4, 0xfffff800);
	assert_int_equal(pci_config_read(pci, PCI_BASE_ADDRESS_0, 4),
			 0xfffe0000);
	assert_int_equal(pci_config_read(pci, PCI_BASE_ADDRESS_1, 4),
			 0xffffffc1);
	assert_int_equal(pci_config_read(pci, PCI_ROM_ADDRESS, 4), 0xfffc0000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reset_values),
		TEST(writable_bits),
		TEST(software_reset),
		TEST(bus_reset),
		TEST(statistics_clear_by_reading),
		TEST(statistics_stop_at_the_end),
		TEST(aliases),
		TEST(no_register),
		TEST(access_sizes),
		TEST(io_window),
		TEST(option_rom_is_empty),
		TEST(config_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
