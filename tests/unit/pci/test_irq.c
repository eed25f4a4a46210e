/* SPDX-License-Identifier: Apache-2.0
 *
 * MSI and MSI-X as a guest and a host see them: gates, masks, pending bits,
 * messages; how they and the INTx pin give way to each other.  PCI Local Bus
 * Specification 3.0, 6.8.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>
#include <linux/pci_regs.h>

#include "pci/pci.h"

enum {
	N_MSIX = 70, N_MSI = 4,
	TABLE = 0x1000, PBA = 0x1800, MSIX_BAR = 2,
	MSI_CAP = 0x50, MSIX_CAP = 0x70, PM_CAP = 0x80,
	BUS_ON = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
};

static struct {
	unsigned int n, vec;	/* messages; the last one's vector */
	bool deaf;		/* the host takes none */
	bool pin;
	uint64_t addr;		/* the last one's message */
	uint32_t data;
} seen;

static void intx(struct pci_dev *dev, bool level)
{
	seen.pin = level;
}

static bool msi(struct pci_dev *dev, unsigned int vec)
{
	if (seen.deaf)
		return false;
	seen.n++;
	seen.vec = vec;
	pci_msi_message(dev, vec, &seen.addr, &seen.data);
	return true;
}

static uint64_t model_read(struct pci_dev *dev, unsigned int bar, uint64_t off,
			   unsigned int len)
{
	return 0x5a;
}

static void model_write(struct pci_dev *dev, unsigned int bar, uint64_t off,
			unsigned int len, uint64_t val)
{
}

static const struct pci_irq_ops irq = { .intx = intx, .msi = msi };
static const struct pci_irq_ops vfio_irq = {
	.intx = intx, .msi = msi, .owns_masks = true,
};
static const struct pci_dev_ops ops = {
	.model = "toy", .state_size = 8,
	.bar_read = model_read, .bar_write = model_write,
};
static const struct pci_ident ident = {
	.vendor = 0x1234, .device = 0x5678, .intx_pin = 1, .n_msix = N_MSIX,
};
static const struct pci_bar bars[PCI_N_BARS + 1] = {
	[MSIX_BAR] = { PCI_BAR_MEM64, true, 0x2000 },
};
static const struct pci_msix_place place = {
	MSIX_BAR, MSIX_BAR, TABLE, PBA,
};

static struct pci_dev dev;

static int setup(void **state)
{
	memset(&seen, 0, sizeof(seen));
	if (pci_dev_init(&dev, &ops, "toy0", &ident, bars, PCI_CONFIG_SIZE))
		return -1;
	pci_add_msi(&dev, MSI_CAP, N_MSI, true);
	pci_add_msix(&dev, MSIX_CAP, &place);
	pci_add_pm(&dev, PM_CAP, 3, true);
	dev.irq = &irq;
	pci_dev_reset(&dev, PCI_RESET_POWER_ON);
	pci_config_write(&dev, PCI_COMMAND, 2, BUS_ON);
	return 0;
}

static int teardown(void **state)
{
	pci_dev_fini(&dev);
	return 0;
}

static void msix_control(uint16_t bits)
{
	pci_config_write(&dev, MSIX_CAP + PCI_MSIX_FLAGS, 2, bits);
}

static void msi_control(uint16_t bits)
{
	pci_config_write(&dev, MSI_CAP + PCI_MSI_FLAGS, 2, bits);
}

static void entry(unsigned int vec, uint64_t addr, uint32_t data, bool masked)
{
	uint64_t at = TABLE + 16 * vec;

	pci_bar_write(&dev, MSIX_BAR, at, 8, addr);
	pci_bar_write(&dev, MSIX_BAR, at + 8, 4, data);
	pci_bar_write(&dev, MSIX_BAR, at + 12, 4, masked);
}

static uint32_t bar32(uint64_t off)
{
	return (uint32_t)pci_bar_read(&dev, MSIX_BAR, off, 4);
}

static void msix_sends_what_the_table_says(void **state)
{
	pci_msi(&dev, 3);		/* not enabled */
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(seen.n, 0);
	entry(3, 0xfee01004, 0x4031, false);
	pci_msi(&dev, 3);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.vec, 3);
	assert_true(seen.addr == 0xfee01004);
	assert_int_equal(seen.data, 0x4031);
	entry(N_MSIX - 1, 0x1fee00000ull, 7, false);
	pci_msi(&dev, N_MSIX - 1);
	assert_int_equal(seen.vec, N_MSIX - 1);
	assert_true(seen.addr == 0x1fee00000ull);
}

/* T10: a vector is an index a model may have from its guest. */
static void t10_a_vector_that_is_not_there_is_dropped(void **state)
{
	static const unsigned int bad[] = { N_MSIX, N_MSIX + 1, 2048, 0xffff,
					    0x7fffffff, 0xffffffff };

	msix_control(PCI_MSIX_FLAGS_ENABLE);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		pci_msi(&dev, bad[i]);
	assert_int_equal(seen.n, 0);
	for (uint64_t off = 0; off < msix_pba_size(N_MSIX); off += 4)
		assert_int_equal(bar32(PBA + off), 0);
}

static void msix_remembers_what_is_masked(void **state)
{
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	entry(65, 0xfee00000, 1, true);
	pci_msi(&dev, 65);
	pci_msi(&dev, 65);
	assert_int_equal(seen.n, 0);
	assert_int_equal(bar32(PBA + 8), 1 << 1);
	assert_true(pci_bar_read(&dev, MSIX_BAR, PBA + 8, 8) == 1 << 1);
	entry(65, 0xfee00000, 1, false);
	assert_int_equal(seen.n, 1);		/* once, however often */
	assert_int_equal(bar32(PBA + 8), 0);
	pci_msi(&dev, 65);
	assert_int_equal(seen.n, 2);
}

static void msix_function_mask_holds_all(void **state)
{
	msix_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	entry(0, 0xfee00000, 1, false);
	entry(1, 0xfee00000, 2, false);
	pci_msi(&dev, 0);
	pci_msi(&dev, 1);
	pci_msi(&dev, 2);
	assert_int_equal(seen.n, 0);
	assert_int_equal(bar32(PBA), 7);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(seen.n, 2);
	assert_int_equal(bar32(PBA), 4);	/* its own mask */
	msix_control(0);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	entry(2, 0xfee00000, 3, false);
	assert_int_equal(seen.n, 2);		/* off means forgotten */
}

static void nothing_is_sent_without_bus_master_or_power(void **state)
{
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	entry(0, 0xfee00000, 1, false);
	pci_config_write(&dev, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	pci_msi(&dev, 0);
	assert_int_equal(seen.n, 0);
	pci_config_write(&dev, PCI_COMMAND, 2, BUS_ON);
	assert_int_equal(seen.n, 1);
	pci_config_write(&dev, PM_CAP + PCI_PM_CTRL, 2, 3);
	assert_false(pci_bus_master(&dev));
	pci_msi(&dev, 0);
	assert_int_equal(seen.n, 1);
	assert_int_equal(bar32(TABLE), 0xffffffff);
	pci_config_write(&dev, PM_CAP + PCI_PM_CTRL, 2, 0);
	assert_int_equal(seen.n, 2);
}

static void a_host_that_keeps_the_masks(void **state)
{
	dev.irq = &vfio_irq;
	msix_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	pci_msi(&dev, 5);
	assert_int_equal(seen.n, 1);
	seen.deaf = true;
	pci_msi(&dev, 5);
	pci_msi(&dev, 69);
	assert_int_equal(bar32(PBA), 1 << 5);
	assert_int_equal(bar32(PBA + 8), 1 << 5);
	seen.deaf = false;
	pci_msi_retry(&dev);
	assert_int_equal(seen.n, 3);
	assert_int_equal(bar32(PBA) | bar32(PBA + 8), 0);
}

static void the_table_takes_whole_dwords(void **state)
{
	assert_int_equal(bar32(TABLE + 12), 1);		/* masked */
	pci_bar_write(&dev, MSIX_BAR, TABLE, 8, ~0ull);
	pci_bar_write(&dev, MSIX_BAR, TABLE + 8, 8, ~0ull);
	assert_int_equal(bar32(TABLE), 0xfffffffc);
	assert_int_equal(bar32(TABLE + 4), 0xffffffff);
	assert_int_equal(bar32(TABLE + 8), 0xffffffff);
	assert_int_equal(bar32(TABLE + 12), 1);		/* rest: reserved */
	pci_bar_write(&dev, MSIX_BAR, TABLE, 1, 0);
	pci_bar_write(&dev, MSIX_BAR, TABLE, 2, 0);
	pci_bar_write(&dev, MSIX_BAR, TABLE + 2, 4, 0);
	pci_bar_write(&dev, MSIX_BAR, TABLE + 4, 8, 0);
	assert_int_equal(bar32(TABLE), 0xfffffffc);
	assert_int_equal(bar32(TABLE + 4), 0xffffffff);
	pci_bar_write(&dev, MSIX_BAR, PBA, 8, ~0ull);
	assert_int_equal(bar32(PBA), 0);
	/* What is in neither is the model's. */
	assert_int_equal(bar32(TABLE - 4), 0x5a);
	assert_int_equal(bar32(TABLE + 16 * N_MSIX), 0x5a);
	assert_int_equal(bar32(TABLE + 16 * N_MSIX - 2), 0x5a);
	pci_dev_reset(&dev, PCI_RESET_BUS);
	pci_config_write(&dev, PCI_COMMAND, 2, BUS_ON);
	assert_int_equal(bar32(TABLE), 0);
	assert_int_equal(bar32(TABLE + 12), 1);
}

static void msi_has_as_many_vectors_as_are_granted(void **state)
{
	pci_config_write(&dev, MSI_CAP + PCI_MSI_ADDRESS_LO, 4, 0xfee02003);
	pci_config_write(&dev, MSI_CAP + PCI_MSI_ADDRESS_HI, 4, 1);
	pci_config_write(&dev, MSI_CAP + PCI_MSI_DATA_64, 2, 0x40ff);
	msi_control(PCI_MSI_FLAGS_ENABLE);
	pci_msi(&dev, 3);
	assert_int_equal(seen.vec, 0);
	assert_true(seen.addr == 0x1fee02000ull);
	assert_int_equal(seen.data, 0x40ff);
	msi_control(PCI_MSI_FLAGS_ENABLE | 1 << 4);
	pci_msi(&dev, 3);
	assert_int_equal(seen.vec, 1);
	/* More than there are. */
	msi_control(PCI_MSI_FLAGS_ENABLE | 7 << 4);
	pci_msi(&dev, 0xffffffff);
	assert_int_equal(seen.vec, N_MSI - 1);
	assert_int_equal(seen.data, 0x40fc | (N_MSI - 1));
}

static void msi_masks_and_pending_bits(void **state)
{
	msi_control(PCI_MSI_FLAGS_ENABLE | 2 << 4);
	pci_config_write(&dev, MSI_CAP + PCI_MSI_MASK_64, 4, ~0u);
	assert_int_equal(pci_config_read(&dev, MSI_CAP + PCI_MSI_MASK_64, 4),
			 BIT(N_MSI) - 1);
	pci_msi(&dev, 2);
	assert_int_equal(seen.n, 0);
	assert_int_equal(pci_config_read(&dev, MSI_CAP + PCI_MSI_PENDING_64,
					 4), 1 << 2);
	pci_config_write(&dev, MSI_CAP + PCI_MSI_MASK_64, 4, 3);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.vec, 2);
	assert_int_equal(pci_config_read(&dev, MSI_CAP + PCI_MSI_PENDING_64,
					 4), 0);
}

static void a_level_goes_by_msi_once(void **state)
{
	pci_set_intx(&dev, true);
	assert_true(seen.pin);
	/* It is still high when MSI takes over. */
	msi_control(PCI_MSI_FLAGS_ENABLE);
	assert_false(seen.pin);
	assert_int_equal(seen.n, 1);
	assert_false(dev.config[PCI_STATUS] & PCI_STATUS_INTERRUPT);
	pci_set_intx(&dev, true);
	pci_config_write(&dev, PCI_COMMAND, 2, BUS_ON);
	assert_int_equal(seen.n, 1);
	pci_set_intx(&dev, false);
	pci_set_intx(&dev, true);
	assert_int_equal(seen.n, 2);
	/* And back. */
	msi_control(0);
	assert_true(seen.pin);
	assert_true(dev.config[PCI_STATUS] & PCI_STATUS_INTERRUPT);
	/* Nobody listens when MSI is enabled: sent when somebody does. */
	seen.deaf = true;
	msi_control(PCI_MSI_FLAGS_ENABLE);
	assert_int_equal(seen.n, 2);
	seen.deaf = false;
	pci_msi_retry(&dev);
	assert_int_equal(seen.n, 3);
	pci_msi_retry(&dev);
	assert_int_equal(seen.n, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(msix_sends_what_the_table_says),
		T(t10_a_vector_that_is_not_there_is_dropped),
		T(msix_remembers_what_is_masked),
		T(msix_function_mask_holds_all),
		T(nothing_is_sent_without_bus_master_or_power),
		T(a_host_that_keeps_the_masks),
		T(the_table_takes_whole_dwords),
		T(msi_has_as_many_vectors_as_are_granted),
		T(msi_masks_and_pending_bits),
		T(a_level_goes_by_msi_once),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
