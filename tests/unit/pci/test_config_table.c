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

#include <stdlib.h>
#include <string.h>

#include "loop/worker.h"
#include "nic/model.h"
#include "pci/pci.h"

/* What a register is; a byte that no row names reads 0 and is read-only. */
struct row {
	unsigned int off, len;	/* bytes; at most 8 */
	uint64_t reset;		/* value after reset */
	uint64_t rw;		/* bits that keep what is written */
	uint64_t w1c;		/* bits that a one clears */
};

static uint64_t seed;

static uint8_t any(void)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint8_t)(seed >> 40);
}

/* The table spread over bytes. */
struct bytes {
	uint8_t reset[PCI_CONFIG_EXT_SIZE];
	uint8_t rw[PCI_CONFIG_EXT_SIZE];
	uint8_t w1c[PCI_CONFIG_EXT_SIZE];
};

static void spread(struct bytes *b, const struct row *rows, size_t n)
{
	memset(b, 0, sizeof(*b));
	for (size_t i = 0; i < n; i++)
		for (unsigned int j = 0; j < rows[i].len; j++) {
			unsigned int at = rows[i].off + j;

			b->reset[at] = (uint8_t)(rows[i].reset >> 8 * j);
			b->rw[at] = (uint8_t)(rows[i].rw >> 8 * j);
			b->w1c[at] = (uint8_t)(rows[i].w1c >> 8 * j);
		}
}

static uint8_t byte_at(struct pci_dev *dev, unsigned int off)
{
	return (uint8_t)pci_config_read(dev, off, 1);
}

/* One byte: does it end as the table says, from @set in its W1C bits? */
static void check_write(struct pci_dev *dev, const struct bytes *b,
			unsigned int off, uint8_t set, uint8_t val)
{
	uint8_t before, want;

	dev->config[off] |= set & b->w1c[off];
	before = byte_at(dev, off);
	want = (uint8_t)((before & ~b->rw[off]) | (val & b->rw[off]));
	want &= (uint8_t)~(val & b->w1c[off]);
	pci_config_write(dev, off, 1, val);
	if (byte_at(dev, off) != want)
		fail_msg("%#x: %#x, %#x written: %#x, not %#x", off, before,
			 val, byte_at(dev, off), want);
}

static void check(struct pci_dev *dev, const struct row *rows, size_t n)
{
	struct bytes *b = malloc(sizeof(*b));

	spread(b, rows, n);
	for (unsigned int off = 0; off < dev->config_size; off++) {
		pci_dev_reset(dev, PCI_RESET_POWER_ON);
		if (byte_at(dev, off) != b->reset[off])
			fail_msg("%#x is %#x after reset, not %#x", off,
				 byte_at(dev, off), b->reset[off]);
		check_write(dev, b, off, 0xff, 0xff);
		check_write(dev, b, off, 0xff, 0x00);
		for (int i = 0; i < 16; i++)
			check_write(dev, b, off, any(), any());
		/* It did nothing to the others: but see the caller. */
		for (unsigned int i = 0; i < dev->config_size; i++)
			if (i != off && byte_at(dev, i) != b->reset[i])
				fail_msg("%#x changed by a write to %#x", i,
					 off);
	}
	/* Wider accesses are as good: all at once, eight bytes a time. */
	pci_dev_reset(dev, PCI_RESET_POWER_ON);
	for (unsigned int off = 0; off < dev->config_size; off += 8)
		pci_config_write(dev, off, 8, 0);
	for (unsigned int off = 0; off < dev->config_size; off++)
		assert_int_equal(byte_at(dev, off),
				 b->reset[off] & ~b->rw[off]);
	free(b);
}

#define CHECK(dev, rows) check(dev, rows, ARRAY_SIZE(rows))

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
	CHECK(dev, rows);
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
	CHECK(dev, rows);
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
	CHECK(&dev, rows);
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
	CHECK(&dev, rows);
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
	assert_int_equal(byte_at(&dev, 0x44), 0x08);
	pci_config_write(&dev, 0x44, 2, 3);
	assert_int_equal(byte_at(&dev, 0x44), 0x0b);
	assert_false(pci_bus_master(&dev));
	assert_false(pci_bar_addr(&dev, 3, &addr));
	assert_true(pci_bar_read(&dev, 3, 0x100, 4) == 0xffffffff);
	pci_config_write(&dev, 0x44, 2, 2);		/* nor a D2 */
	assert_int_equal(byte_at(&dev, 0x44), 0x0b);
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
		cmocka_unit_test(every_capability),
		cmocka_unit_test(a_bridge),
		cmocka_unit_test(power_states),
		cmocka_unit_test(d3_to_d0_resets_a_chip_without_no_soft_reset),
		cmocka_unit_test(function_level_reset),
		cmocka_unit_test(command_gates_each_space),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
