/* SPDX-License-Identifier: Apache-2.0
 *
 * Every byte of the config space of every kind of function, written with ones,
 * zeros and anything, compared with tables written from the specifications and
 * not from the code: PCI Local Bus 3.0, PCI-PM 1.2, PCI Express Base 3.0,
 * PCI-to-PCI Bridge 1.2, Intel 8254x manual 4.1.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "config_table.h"
#include "loop/worker.h"
#include "nic/model.h"

/* ---- functions of the NIC server ---- */

static uint32_t dev_read(void *it, unsigned int off, unsigned int len)
{
	return (uint32_t)pci_config_read(it, off, len);
}

static void dev_write(void *it, unsigned int off, unsigned int len,
		      uint32_t val)
{
	pci_config_write(it, off, len, val);
}

static void dev_reset(void *it)
{
	pci_dev_reset(it, PCI_RESET_POWER_ON);
}

static struct subject subject_of(struct pci_dev *dev)
{
	return (struct subject){
		.it = dev, .read = dev_read, .write = dev_write,
		.reset = dev_reset, .size = dev->config_size,
		.config = dev->config,
	};
}

#define CHECK_DEV(dev, rows) do {					\
	struct subject subject_ = subject_of(dev);			\
									\
	CHECK(&subject_, rows);						\
} while (0)

static struct worker *worker;

static int setup(void **state)
{
	worker = worker_create("test", 0);
	if (!worker)
		return -1;
	worker_set_now(worker, 1);
	return 0;
}

static int teardown(void **state)
{
	worker_destroy(worker);
	return 0;
}

static struct pci_dev *virtio_net(void)
{
	struct nic_params params = {
		.name = "virtio-net", .mac = { 0x52, 0x54, 0, 0, 0, 1 },
		.worker = worker, .n_pairs = 4,
	};
	struct nic nic;

	assert_int_equal(vnet_model.create(&params, &nic), 0);
	return nic.pci;
}

static struct pci_dev *e1000(bool full_caps)
{
	struct nic_params params = {
		.name = "e1000", .mac = { 0x52, 0x54, 0, 0, 0, 1 },
		.worker = worker, .full_caps = full_caps,
	};
	struct nic nic;

	assert_int_equal(e1000_model.create(&params, &nic), 0);
	return nic.pci;
}

/* As QEMU 7.2 shows this chip: lecture, the `lspci -xxx` of slot 3. */
static void the_82540em_of_the_lecture(void **state)
{
	static const struct row rows[] = {
		{ 0x00, 4, 0x100e8086, 0, 0 },		/* identity */
		{ 0x04, 2, 0, 0x0547, 0 },		/* command */
		{ 0x06, 2, 0, 0, 0xf900 },		/* status */
		{ 0x08, 4, 0x02000003, 0, 0 },		/* class, revision */
		{ 0x10, 4, 0, 0xfffe0000, 0 },		/* 128 KiB memory */
		{ 0x14, 4, 1, 0xffffffc0, 0 },		/* 64 ports */
		{ 0x2c, 4, 0x11001af4, 0, 0 },		/* subsystem */
		{ 0x30, 4, 0, 0xfffc0001, 0 },		/* 256 KiB ROM */
		{ 0x3c, 1, 0, 0xff, 0 },		/* line */
		{ 0x3d, 1, 1, 0, 0 },			/* pin */
	};
	struct pci_dev *dev = e1000(false);

	assert_int_equal(dev->config_size, 256);
	CHECK_DEV(dev, rows);
	dev->ops->destroy(dev);
}

static void the_82540em_with_its_capabilities(void **state)
{
	static const struct row rows[] = {
		{ 0x00, 4, 0x100e8086, 0, 0 },
		{ 0x04, 2, 0, 0x0547, 0 },
		{ 0x06, 2, 0x0230, 0, 0xf900 },
		{ 0x08, 4, 0x02000003, 0, 0 },
		{ 0x0c, 2, 0, 0xffff, 0 },		/* line, latency */
		{ 0x10, 4, 0, 0xfffe0000, 0 },
		{ 0x14, 4, 1, 0xffffffc0, 0 },
		{ 0x2c, 4, 0x11001af4, 0, 0 },
		{ 0x30, 4, 0, 0xfffc0001, 0 },
		{ 0x34, 1, 0xdc, 0, 0 },
		{ 0x3c, 1, 0, 0xff, 0 },
		{ 0x3d, 2, 0xff01, 0, 0 },		/* pin, MIN_GNT */
		{ 0xdc, 4, 0xc822f001, 0, 0 },		/* PM */
		/* Power state: the next test's. */
		{ 0xe1, 1, 0x20, 0x1f, 0x80 },
		{ 0xf0, 4, 0x00800005, 0x00710000, 0 },	/* MSI */
		{ 0xf4, 4, 0, 0xfffffffc, 0 },
		{ 0xf8, 4, 0, 0xffffffff, 0 },
		{ 0xfc, 2, 0, 0xffff, 0 },
	};
	struct pci_dev *dev = e1000(true);

	/* Left out of the table, as its bits depend on each other. */
	dev->writable[0xe0] = 0;
	CHECK_DEV(dev, rows);
	dev->ops->destroy(dev);
}

/* VIRTIO 1.2, 4.1.2 and 4.1.4: a modern device, which any slot may take. */
static void a_virtio_net(void **state)
{
	static const struct row rows[] = {
		{ 0x00, 4, 0x10411af4, 0, 0 },
		{ 0x04, 2, 0, 0x0547, 0 },
		{ 0x06, 2, 0x0010, 0, 0xf900 },
		{ 0x08, 4, 0x02000001, 0, 0 },
		{ 0x0c, 2, 0, 0xffff, 0 },
		{ 0x14, 4, 0, 0xfffff000, 0 },	/* MSI-X */
		{ 0x20, 4, 0, 0xffffc000, 0 },	/* the rest */
		{ 0x2c, 4, 0x11001af4, 0, 0 },
		{ 0x34, 1, 0x40, 0, 0 },
		{ 0x3c, 1, 0, 0xff, 0 },
		{ 0x3d, 1, 1, 0, 0 },
		{ 0x40, 4, 0x00034801, 0, 0 },	/* PM */
		{ 0x44, 2, 0x0008, 0, 0 },		/* see above */
		{ 0x48, 4, 0x00028410, 0, 0 },	/* Express */
		{ 0x4c, 4, 0x10008000, 0, 0 },
		{ 0x50, 2, 0x2810, 0x781f, 0 },
		{ 0x52, 2, 0, 0, 0x0f },
		{ 0x54, 4, 0x00000011, 0, 0 },
		{ 0x58, 2, 0, 0x00cb, 0 },
		{ 0x5a, 2, 0x0011, 0, 0 },
		{ 0x74, 4, 2, 0, 0 },
		{ 0x78, 2, 1, 0x0f, 0 },
		{ 0x84, 4, 0x00099011, 0xc0000000, 0 }, /* MSI-X, 10 */
		{ 0x88, 4, 0x001, 0, 0 },
		{ 0x8c, 4, 0x801, 0, 0 },
		{ 0x90, 5, 0x040110a009, 0, 0 },	/* common */
		{ 0x9c, 4, 0x3c, 0, 0 },
		{ 0xa0, 5, 0x040214b409, 0, 0 },	/* doorbells */
		{ 0xa8, 8, 0x2400003000, 0, 0 },
		{ 0xb0, 4, 4, 0, 0 },
		{ 0xb4, 5, 0x040310c409, 0, 0 },	/* ISR */
		{ 0xbc, 8, 0x100001000, 0, 0 },
		{ 0xc4, 5, 0x040410d409, 0, 0 },	/* device's own */
		{ 0xcc, 8, 0x1800002000, 0, 0 },
		{ 0xd4, 4, 0x05140009, 0, 0 },	/* window: closed */
		{ 0xd8, 1, 0, 0xff, 0 },
		{ 0xdc, 8, 0, UINT64_MAX, 0 },
		{ 0xe4, 4, 0, 0xffffffff, 0 },
	};
	struct pci_dev *dev = virtio_net();

	assert_int_equal(dev->config_size, 4096);
	dev->writable[0x44] = 0;
	dev->express_cap = 0;
	CHECK_DEV(dev, rows);
	dev->ops->destroy(dev);
}

/* ---- all that the bus knows ---- */

static struct {
	unsigned int n_resets;
	enum pci_reset kind;
} seen;

static void reset(struct pci_dev *dev, enum pci_reset kind)
{
	seen.n_resets++;
	seen.kind = kind;
}

static uint64_t bar_read(struct pci_dev *dev, unsigned int bar, uint64_t off,
			 unsigned int len)
{
	return 0x5a;
}

static void bar_write(struct pci_dev *dev, unsigned int bar, uint64_t off,
		      unsigned int len, uint64_t val)
{
}

static const struct pci_dev_ops ops = {
	.model = "all", .bar_read = bar_read, .bar_write = bar_write,
	.reset = reset,
};

static void an_express_function(struct pci_dev *dev)
{
	static const struct pci_ident ident = {
		.vendor = 0x1234, .device = 0x5678, .subsys_vendor = 0x9abc,
		.subsys = 0xdef0, .class_code = 0x020000, .revision = 7,
		.intx_pin = 2, .header_type = 0x80, .n_msix = 9,
	};
	static const struct pci_bar bars[PCI_N_BARS + 1] = {
		[0] = { PCI_BAR_MEM64, true, 1ull << 34 },
		[2] = { PCI_BAR_IO, false, 4 },
		[3] = { PCI_BAR_MEM32, true, 0x4000 },
		[4] = { PCI_BAR_MEM64, false, 0x1000 },
		[PCI_ROM_BAR] = { PCI_BAR_MEM32, false, 2048 },
	};
	static const uint8_t vendor[] = { 0, 0, 0, 0xaa, 0xbb, 0xcc };
	unsigned int ext;

	assert_int_equal(pci_dev_init(dev, &ops, "all", &ident, bars,
				      PCI_CONFIG_EXT_SIZE), 0);
	pci_add_pm(dev, 0x40, 3, true);
	pci_add_msi(dev, 0, 8, true);			/* 48 */
	pci_add_msix(dev, 0, &(struct pci_msix_place){	/* 60 */
		4, 3, 0x800, 0x10 });
	pci_add_express(dev, 0, &(struct pci_express){	/* 6c */
		.type = 0, .port = 5, .speed = 2, .width = 4, .flr = true });
	pci_add_vendor_cap(dev, 0, vendor, sizeof(vendor)); /* a8 */
	ext = pci_add_ext_cap(dev, 3, 1, 0, 12);	/* serial number */
	dev->reset_val[ext + 4] = 0x11;
	pci_add_ext_cap(dev, 0xb, 1, 0x200, 8);
	pci_dev_reset(dev, PCI_RESET_POWER_ON);
}

static void every_capability(void **state)
{
	static const struct row rows[] = {
		{ 0x00, 4, 0x56781234, 0, 0 },
		{ 0x04, 2, 0, 0x0547, 0 },
		{ 0x06, 2, 0x0010, 0, 0xf900 },
		{ 0x08, 4, 0x02000007, 0, 0 },
		{ 0x0c, 2, 0, 0xffff, 0 },
		{ 0x0e, 1, 0x80, 0, 0 },
		{ 0x10, 8, 0x0c, 0xfffffffc00000000, 0 },
		{ 0x18, 4, 1, 0xfffffffc, 0 },
		{ 0x1c, 4, 8, 0xffffc000, 0 },
		{ 0x20, 8, 4, 0xfffffffffffff000, 0 },
		{ 0x2c, 4, 0xdef09abc, 0, 0 },
		{ 0x30, 4, 0, 0xfffff801, 0 },
		{ 0x34, 1, 0x40, 0, 0 },
		{ 0x3c, 1, 0, 0xff, 0 },
		{ 0x3d, 1, 2, 0, 0 },
		{ 0x40, 4, 0x00034801, 0, 0 },		/* PM, D0 and D3 */
		{ 0x44, 2, 0x0008, 0, 0 },		/* see above */
		{ 0x48, 4, 0x01866005, 0x00710000, 0 },	/* MSI */
		{ 0x4c, 4, 0, 0xfffffffc, 0 },
		{ 0x50, 4, 0, 0xffffffff, 0 },
		{ 0x54, 2, 0, 0xffff, 0 },
		{ 0x58, 4, 0, 0xff, 0 },		/* masks */
		{ 0x60, 4, 0x00086c11, 0xc0000000, 0 },	/* MSI-X */
		{ 0x64, 4, 0x804, 0, 0 },
		{ 0x68, 4, 0x13, 0, 0 },
		{ 0x6c, 4, 0x0002a810, 0, 0 },		/* Express */
		{ 0x70, 4, 0x10008000, 0, 0 },
		{ 0x74, 2, 0x2810, 0x781f, 0 },
		{ 0x76, 2, 0, 0, 0x0f },
		{ 0x78, 4, 0x05000042, 0, 0 },
		{ 0x7c, 2, 0, 0x00cb, 0 },
		{ 0x7e, 2, 0x0042, 0, 0 },
		{ 0x98, 4, 6, 0, 0 },			/* 2.5 and 5 GT/s */
		{ 0x9c, 2, 2, 0x0f, 0 },
		{ 0xa8, 6, 0xccbbaa060009, 0, 0 },	/* vendor's */
		{ 0x100, 8, 0x1120010003, 0, 0 },
		{ 0x200, 4, 0x0001000b, 0, 0 },
	};
	static struct pci_dev dev;

	an_express_function(&dev);
	dev.writable[0x44] = 0;
	/* The bit that resets has a test of its own. */
	dev.express_cap = 0;
	CHECK_DEV(&dev, rows);
	pci_dev_fini(&dev);
}

static void a_bridge(void **state)
{
	static const struct pci_ident ident = {
		.vendor = 0x8086, .device = 0x3420, .class_code = 0x060400,
		.intx_pin = 1, .header_type = 1,
	};
	static const struct row rows[] = {
		{ 0x00, 4, 0x34208086, 0, 0 },
		{ 0x04, 2, 0, 0x0547, 0 },
		{ 0x06, 2, 0x10, 0, 0xf900 },
		{ 0x08, 4, 0x06040000, 0, 0 },
		{ 0x0c, 2, 0, 0xffff, 0 },
		{ 0x0e, 1, 1, 0, 0 },
		{ 0x18, 3, 0, 0xffffff, 0 },		/* bus numbers */
		{ 0x1c, 2, 0, 0xf0f0, 0 },		/* I/O window */
		{ 0x1e, 2, 0, 0, 0xf900 },		/* secondary status */
		{ 0x20, 4, 0, 0xfff0fff0, 0 },		/* memory window */
		{ 0x24, 4, 0x00010001, 0xfff0fff0, 0 },	/* prefetchable */
		{ 0x28, 8, 0, UINT64_MAX, 0 },		/* its upper halves */
		{ 0x34, 1, 0x40, 0, 0 },
		{ 0x3c, 1, 0, 0xff, 0 },
		{ 0x3d, 1, 1, 0, 0 },
		{ 0x3e, 2, 0, 0x6f, 0 },		/* bridge control */
		{ 0x40, 4, 0x01420010, 0, 0 },
		{ 0x44, 4, 0x00008000, 0, 0 },
		{ 0x48, 2, 0x2810, 0x781f, 0 },
		{ 0x4a, 2, 0, 0, 0x0f },
		{ 0x4c, 4, 0x00000011, 0, 0 },
		{ 0x50, 2, 0, 0x00cb, 0 },
		{ 0x52, 2, 0x0011, 0, 0 },
		{ 0x58, 2, 0, 0x17ff, 0 },		/* slot control */
		{ 0x5a, 2, 0, 0, 0x011f },		/* slot status */
		{ 0x5c, 2, 0, 0x0f, 0 },		/* root control */
		{ 0x60, 4, 0, 0, 0x10000 },		/* root status */
		{ 0x6c, 4, 2, 0, 0 },
		{ 0x70, 2, 1, 0x0f, 0 },
	};
	static struct pci_dev dev;

	assert_int_equal(pci_dev_init(&dev, &ops, "port", &ident, NULL,
				      PCI_CONFIG_SIZE), 0);
	pci_add_express(&dev, 0, &(struct pci_express){
		.type = 4, .speed = 1, .width = 1, .slot = true });
	CHECK_DEV(&dev, rows);
	pci_dev_fini(&dev);
}

/* ---- what a register does ---- */

static void power_states(void **state)
{
	static struct pci_dev dev;
	uint64_t addr;

	an_express_function(&dev);
	pci_config_write(&dev, 0x04, 2, 7);
	pci_config_write(&dev, 0x1c, 4, 0xfe000000);
	assert_true(pci_bar_addr(&dev, 3, &addr));
	assert_true(addr == 0xfe000000);
	pci_config_write(&dev, 0x44, 2, 1);		/* there is no D1 */
	assert_int_equal(dev_read(&dev, 0x44, 1), 0x08);
	pci_config_write(&dev, 0x44, 2, 3);
	assert_int_equal(dev_read(&dev, 0x44, 1), 0x0b);
	assert_false(pci_bus_master(&dev));
	assert_false(pci_bar_addr(&dev, 3, &addr));
	assert_true(pci_bar_read(&dev, 3, 0x100, 4) == 0xffffffff);
	pci_config_write(&dev, 0x44, 2, 2);		/* nor a D2 */
	assert_int_equal(dev_read(&dev, 0x44, 1), 0x0b);
	seen.n_resets = 0;
	pci_config_write(&dev, 0x44, 2, 0);
	assert_int_equal(seen.n_resets, 0);		/* No_Soft_Reset */
	assert_true(pci_bus_master(&dev));
	assert_true(pci_bar_read(&dev, 3, 0x100, 4) == 0x5a);
	pci_dev_fini(&dev);
}

static void d3_to_d0_resets_a_chip_without_no_soft_reset(void **state)
{
	struct pci_dev *dev = e1000(true);

	pci_config_write(dev, 0x04, 2, 7);
	pci_config_write(dev, 0x10, 4, 0xfe000000);
	pci_config_write(dev, 0xe0, 2, 3);
	assert_true(pci_config_read(dev, 0x10, 4) == 0xfe000000);
	pci_config_write(dev, 0xe0, 1, 0);
	assert_int_equal(pci_config_read(dev, 0x10, 4), 0);
	assert_int_equal(pci_config_read(dev, 0x04, 2), 0);
	dev->ops->destroy(dev);
}

static void function_level_reset(void **state)
{
	static struct pci_dev dev;

	an_express_function(&dev);
	pci_config_write(&dev, 0x04, 2, 7);
	seen.n_resets = 0;
	pci_config_write(&dev, 0x74, 2, 0x2810);
	assert_int_equal(seen.n_resets, 0);
	pci_config_write(&dev, 0x74, 2, 0xa810);
	assert_int_equal(seen.n_resets, 1);
	assert_int_equal(seen.kind, PCI_RESET_FLR);
	assert_int_equal(pci_config_read(&dev, 0x04, 2), 0);
	assert_int_equal(pci_config_read(&dev, 0x74, 2), 0x2810);
	pci_config_write(&dev, 0x75, 1, 0x80);
	pci_config_write(&dev, 0x70, 8, 0x8000ull << 32);
	assert_int_equal(seen.n_resets, 3);
	pci_dev_fini(&dev);
}

static void command_gates_each_space(void **state)
{
	static struct pci_dev dev;
	uint64_t addr;

	an_express_function(&dev);
	pci_config_write(&dev, 0x10, 8, 0x1400000000);
	pci_config_write(&dev, 0x18, 4, 0xc004);
	pci_config_write(&dev, 0x30, 4, 0xfeb00001);
	assert_false(pci_bar_addr(&dev, 0, &addr));
	assert_false(pci_bar_addr(&dev, PCI_ROM_BAR, &addr));
	pci_config_write(&dev, 0x04, 2, 1);
	assert_true(pci_bar_addr(&dev, 2, &addr) && addr == 0xc004);
	assert_int_equal(pci_bar_read(&dev, 2, 0, 1), 0x5a);
	assert_int_equal(pci_bar_read(&dev, 0, 0, 1), 0xff);
	pci_config_write(&dev, 0x04, 2, 2);
	assert_false(pci_bar_addr(&dev, 2, &addr));
	assert_int_equal(pci_bar_read(&dev, 2, 0, 2), 0xffff);
	assert_true(pci_bar_addr(&dev, 0, &addr) && addr == 0x1400000000);
	assert_true(pci_bar_addr(&dev, PCI_ROM_BAR, &addr) &&
		    addr == 0xfeb00000);
	pci_config_write(&dev, 0x30, 4, 0xfeb00000);
	assert_false(pci_bar_addr(&dev, PCI_ROM_BAR, &addr));
	assert_false(pci_bar_addr(&dev, 5, &addr));
	pci_dev_fini(&dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_82540em_of_the_lecture),
		cmocka_unit_test(the_82540em_with_its_capabilities),
		cmocka_unit_test(a_virtio_net),
		cmocka_unit_test(every_capability),
		cmocka_unit_test(a_bridge),
		cmocka_unit_test(power_states),
		cmocka_unit_test(d3_to_d0_resets_a_chip_without_no_soft_reset),
		cmocka_unit_test(function_level_reset),
		cmocka_unit_test(command_gates_each_space),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
