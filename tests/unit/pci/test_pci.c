/* SPDX-License-Identifier: Apache-2.0
 *
 * Config space as a guest sees it: identity, BAR sizing, writable and
 * write-1-to-clear bits, the INTx pin.  PCI Local Bus Specification 3.0.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>
#include <linux/pci_regs.h>

#include "pci/pci.h"

static struct {
	unsigned int intx_calls, msi_calls, resets, writes;
	bool intx;
	unsigned int vec, off, len;
} seen;

static void intx(struct pci_dev *dev, bool level)
{
	seen.intx_calls++;
	seen.intx = level;
}

static bool msi(struct pci_dev *dev, unsigned int vec)
{
	seen.msi_calls++;
	seen.vec = vec;
	return true;
}

static void reset(struct pci_dev *dev, enum pci_reset kind)
{
	seen.resets++;
}

static void config_written(struct pci_dev *dev, unsigned int off,
			   unsigned int len)
{
	seen.writes++;
	seen.off = off;
	seen.len = len;
}

static const struct pci_irq_ops irq = { .intx = intx, .msi = msi };
static const struct pci_dev_ops ops = {
	.model = "toy", .state_size = 8, .reset = reset,
	.config_written = config_written,
};
static const struct pci_ident ident = {
	.vendor = 0x8086, .device = 0x100e, .subsys_vendor = 0x1af4,
	.subsys = 0x1100, .class_code = 0x020000, .revision = 3, .intx_pin = 1,
};
static const struct pci_bar bars[PCI_N_BARS + 1] = {
	[0] = { PCI_BAR_MEM32, false, 0x20000 },
	[1] = { PCI_BAR_IO, false, 64 },
	[2] = { PCI_BAR_MEM64, true, 1ull << 33 },
	[4] = { PCI_BAR_MEM64, false, 0x4000 },
	[PCI_ROM_BAR] = { PCI_BAR_MEM32, false, 0x10000 },
};

static struct pci_dev dev;

static int setup(void **state)
{
	memset(&seen, 0, sizeof(seen));
	if (pci_dev_init(&dev, &ops, "toy0", &ident, bars, PCI_CONFIG_SIZE))
		return -1;
	dev.irq = &irq;
	return 0;
}

static int teardown(void **state)
{
	pci_dev_fini(&dev);
	return 0;
}

static uint32_t rd32(unsigned int off)
{
	return (uint32_t)pci_config_read(&dev, off, 4);
}

static void wr32(unsigned int off, uint32_t v)
{
	pci_config_write(&dev, off, 4, v);
}

static void shows_its_identity(void **state)
{
	assert_int_equal(rd32(PCI_VENDOR_ID), 0x100e8086);
	assert_int_equal(rd32(PCI_CLASS_REVISION), 0x02000003);
	assert_int_equal(rd32(PCI_SUBSYSTEM_VENDOR_ID), 0x11001af4);
	assert_int_equal(pci_config_read(&dev, PCI_INTERRUPT_PIN, 1), 1);
	wr32(PCI_VENDOR_ID, 0xffffffff);
	wr32(PCI_CLASS_REVISION, 0xffffffff);
	assert_int_equal(rd32(PCI_VENDOR_ID), 0x100e8086);
	assert_int_equal(rd32(PCI_CLASS_REVISION), 0x02000003);
}

static void tells_the_size_of_bars(void **state)
{
	static const struct { unsigned int reg; uint32_t sized; } want[] = {
		{ PCI_BASE_ADDRESS_0, 0xfffe0000 },
		{ PCI_BASE_ADDRESS_1, 0xffffffc1 },
		{ PCI_BASE_ADDRESS_2, 0x0000000c },	/* 8 GiB, prefetch. */
		{ PCI_BASE_ADDRESS_3, 0xfffffffe },
		{ PCI_BASE_ADDRESS_4, 0xffffc004 },
		{ PCI_BASE_ADDRESS_5, 0xffffffff },
		{ PCI_ROM_ADDRESS, 0xffff0001 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		wr32(want[i].reg, 0xffffffff);
		assert_int_equal(rd32(want[i].reg), want[i].sized);
		wr32(want[i].reg, 0);
		assert_int_equal(rd32(want[i].reg),
				 want[i].sized & (want[i].reg ==
				 PCI_ROM_ADDRESS ? 0 : 0xf) &
				 (want[i].reg == PCI_BASE_ADDRESS_3 ||
				  want[i].reg == PCI_BASE_ADDRESS_5 ? 0 : ~0u));
	}
	/* A byte at a time is as good. */
	pci_config_write(&dev, PCI_BASE_ADDRESS_0 + 3, 1, 0xfe);
	assert_int_equal(rd32(PCI_BASE_ADDRESS_0), 0xfe000000);
}

static void writes_through_masks(void **state)
{
	wr32(PCI_COMMAND, 0xffffffff);
	assert_int_equal(rd32(PCI_COMMAND), 0x00000547);
	dev.config[PCI_STATUS + 1] = 0xf9;
	pci_config_write(&dev, PCI_STATUS, 2, 0x8000);
	assert_int_equal(rd32(PCI_COMMAND) >> 16, 0x7900);
	assert_int_equal(seen.writes, 2);
	assert_int_equal(seen.off, PCI_STATUS);
	assert_int_equal(seen.len, 2);
	pci_dev_reset(&dev, PCI_RESET_FLR);
	assert_int_equal(rd32(PCI_COMMAND), 0);
	assert_int_equal(seen.resets, 1);
}

static void stays_within_config_space(void **state)
{
	assert_int_equal(pci_config_read(&dev, 254, 4), 0xffffffff);
	assert_int_equal(pci_config_read(&dev, 256, 1), 0xff);
	assert_int_equal(pci_config_read(&dev, 0xfffffffc, 8), UINT64_MAX);
	assert_int_equal(pci_config_read(&dev, 248, 8), 0);
	pci_config_write(&dev, 254, 4, 0);
	pci_config_write(&dev, 0xffffffff, 1, 0);
	pci_config_write(&dev, 0, 9, 0);
	assert_int_equal(seen.writes, 0);
}

static void drives_the_intx_pin(void **state)
{
	pci_set_intx(&dev, true);
	pci_set_intx(&dev, true);
	assert_int_equal(seen.intx_calls, 1);
	assert_true(seen.intx);
	assert_true(dev.config[PCI_STATUS] & PCI_STATUS_INTERRUPT);

	/* Disabled: the pin falls, the cause stays visible (6.2.2, 6.2.3). */
	wr32(PCI_COMMAND, PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(seen.intx_calls, 2);
	assert_false(seen.intx);
	assert_true(dev.config[PCI_STATUS] & PCI_STATUS_INTERRUPT);
	wr32(PCI_COMMAND, 0);
	assert_int_equal(seen.intx_calls, 3);
	assert_true(seen.intx);

	pci_dev_reset(&dev, PCI_RESET_BUS);
	assert_int_equal(seen.intx_calls, 4);
	assert_false(seen.intx);
	assert_false(dev.config[PCI_STATUS] & PCI_STATUS_INTERRUPT);
	pci_set_intx(&dev, false);
	assert_int_equal(seen.intx_calls, 4);
}

static void signals_msi_as_bus_master_only(void **state)
{
	unsigned int cap = pci_add_msi(&dev, 0, 4, false);

	pci_dev_reset(&dev, PCI_RESET_POWER_ON);
	pci_config_write(&dev, cap + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE |
			 PCI_MSI_FLAGS_QSIZE);
	pci_msi(&dev, 3);
	assert_int_equal(seen.msi_calls, 0);
	wr32(PCI_COMMAND, PCI_COMMAND_MASTER);
	assert_true(pci_bus_master(&dev));
	pci_msi(&dev, 3);
	assert_int_equal(seen.msi_calls, 1);
	assert_int_equal(seen.vec, 3);
	dev.irq = NULL;
	pci_msi(&dev, 3);
	pci_set_intx(&dev, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(shows_its_identity),
		T(tells_the_size_of_bars),
		T(writes_through_masks),
		T(stays_within_config_space),
		T(drives_the_intx_pin),
		T(signals_msi_as_bus_master_only),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
