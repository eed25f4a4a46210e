/* SPDX-License-Identifier: Apache-2.0
 *
 * e1000 registers beyond their catalogue: what resets keep, bits that clear
 * themselves, access sizes, the I/O window, config space.
 */
#include "e1000_rig.h"

#include <linux/pci_regs.h>
#include <string.h>

/* Beyond what test_e1000_catalogue.c looks at: a new split of the packet
 * buffer waits for this reset (13.4.16). */
static void packet_buffer_split(void **state)
{
	WR(PBA, 0x28);
	assert_int_equal(RD(PBA), 0x00180028);
	WR(CTRL, CTRL_RST);
	assert_int_equal(RD(PBA), 0x00180028);
	WR(PBA, 0x41);				/* more than there is */
	assert_int_equal(RD(PBA), 0x00180028);
	pci_dev_reset(rig.nic.pci, PCI_RESET_BUS);
	assert_int_equal(RD(PBA), 0x00100030);
}

/* RST# also resets config space; the link comes back by itself. */
static void bus_reset(void **state)
{
	pci_dev_reset(rig.nic.pci, PCI_RESET_BUS);
	assert_int_equal(pci_config_read(rig.nic.pci, PCI_COMMAND, 2), 0);
	rig_advance(E1000_AUTONEG_NS);
	assert_int_equal(RD(STATUS) & STATUS_LU, STATUS_LU);
}

/* Bits that start something, and are then 0 again (13.4.1, 13.4.6). */
static void self_clearing_bits(void **state)
{
	WR(CTRL, CTRL_SLU | CTRL_RST);
	assert_int_equal(RD(CTRL) & CTRL_RST, 0);
	WR(CTRL_EXT, 0xffffffff);
	assert_int_equal(RD(CTRL_EXT), 0x10c0cfff);
	WR(RDTR, 0x80000005);
	assert_int_equal(RD(RDTR), 5);
	WR(TIDV, 0x80000005);
	assert_int_equal(RD(TIDV), 5);
	WR(EERD, EERD_START);
	assert_int_equal(RD(EERD) & EERD_START, 0);
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
		TEST(packet_buffer_split),
		TEST(bus_reset),
		TEST(self_clearing_bits),
		TEST(statistics_stop_at_the_end),
		TEST(access_sizes),
		TEST(io_window),
		TEST(option_rom_is_empty),
		TEST(config_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
