/* SPDX-License-Identifier: Apache-2.0
 *
 * Every byte of the config space of every function that the VMM itself has, by
 * tables written from the specifications: PCI Local Bus 3.0, PCI-to-PCI Bridge
 * 1.2, PCI Express Base 3.0, VIRTIO 1.2, and the data sheets of the 82441FX,
 * 82371SB, 82371AB, Q35 and ICH9.  What cards have is in
 * ../pci/test_config_table.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "../pci/config_table.h"
#include "vmm/disk.h"
#include "vmm/pci_bridge.h"
#include "vmm/pci_host.h"

/* What all of them have in common. */
#define COMMAND { 0x04, 2, 0, 0x0547, 0 }
#define STATUS(reset) { 0x06, 2, reset, 0, 0xf900 }
#define CACHE_LINE_AND_LATENCY { 0x0c, 2, 0, 0xffff, 0 }
#define INTERRUPT_LINE { 0x3c, 1, 0, 0xff, 0 }

static struct pci_host host;
static struct bus pio, mmio;
static struct bus_dev pm;

static void set_line(void *opaque, unsigned int gsi, bool level)
{
}

static void send_msi(void *opaque, uint64_t addr, uint32_t data)
{
}

static void card_released(void *opaque, struct pci_bridge *port)
{
}

static const struct pci_host_ops ops = {
	.set_line = set_line, .send_msi = send_msi,
	.card_released = card_released,
};

static void init(enum vm_board board)
{
	bus_init(&pio, "ports");
	bus_init(&mmio, "memory");
	bus_dev_init(&pm, "pm", NULL, NULL, 4);
	assert_int_equal(pci_host_init(&host, board, &ops, NULL, &pio, &mmio,
				       &pm), 0);
}

static int setup_pc(void **state)
{
	init(VM_BOARD_PC);
	return 0;
}

static int setup_pcie(void **state)
{
	init(VM_BOARD_PCIE);
	return 0;
}

static int teardown(void **state)
{
	pci_host_fini(&host);
	bus_fini(&mmio);
	bus_fini(&pio);
	return 0;
}

static uint32_t fn_read(void *it, unsigned int off, unsigned int len)
{
	struct pci_function *fn = it;

	return fn->ops->config_read(fn, off, len);
}

static void fn_write(void *it, unsigned int off, unsigned int len, uint32_t val)
{
	struct pci_function *fn = it;

	fn->ops->config_write(fn, off, len, val);
}

static void fn_reset(void *it)
{
	struct pci_function *fn = it;

	assert_int_equal(fn->ops->reset(fn), 0);
}

static struct subject subject_of(struct pci_function *fn, uint8_t *config)
{
	return (struct subject){
		.it = fn, .read = fn_read, .write = fn_write, .reset = fn_reset,
		.size = PCI_CONFIG_SIZE, .config = config,
	};
}

/* The board's @i-th function, which is at @devfn of the root bus. */
static struct subject chip(unsigned int i, unsigned int devfn)
{
	struct pci_function *fn = host.root.fn[devfn];

	assert_ptr_equal(fn, &host.chip[i].fn);
	return subject_of(fn, host.chip[i].dev.config);
}

static void the_440fx(void **state)
{
	static const struct row rows[] = {
		{ 0x00, 4, 0x12378086, 0, 0 },
		COMMAND, STATUS(0),
		{ 0x08, 4, 0x06000002, 0, 0 },
		CACHE_LINE_AND_LATENCY, INTERRUPT_LINE,
	};
	struct subject s = chip(0, PCI_DEVFN(0, 0));

	CHECK(&s, rows);
}

static void the_piix3(void **state)
{
	static const struct row rows[] = {
		{ 0x00, 4, 0x70008086, 0, 0 },
		COMMAND, STATUS(0),
		{ 0x08, 4, 0x06010000, 0, 0 },
		CACHE_LINE_AND_LATENCY, INTERRUPT_LINE,
		{ 0x0e, 1, 0x80, 0, 0 },
		{ 0x60, 4, 0x80808080, 0x8f8f8f8f, 0 },	/* PIRQRC */
	};
	struct subject s = chip(1, PCI_DEVFN(1, 0));

	CHECK(&s, rows);
}

static void the_piix4_power_management(void **state)
{
	static const struct row rows[] = {
		{ 0x00, 4, 0x71138086, 0, 0 },
		COMMAND, STATUS(0),
		{ 0x08, 4, 0x06800003, 0, 0 },
		CACHE_LINE_AND_LATENCY, INTERRUPT_LINE,
		{ 0x3d, 1, 1, 0, 0 },
		{ 0x40, 4, 1, 0xffc0, 0 },		/* PMBA */
		{ 0x80, 1, 0, 1, 0 },			/* PMREGMISC */
	};
	struct subject s = chip(2, PCI_DEVFN(1, 3));

	CHECK(&s, rows);
}

static void the_q35(void **state)
{
	static const struct row rows[] = {
		{ 0x00, 4, 0x29c08086, 0, 0 },
		COMMAND, STATUS(0),
		{ 0x08, 4, 0x06000000, 0, 0 },
		CACHE_LINE_AND_LATENCY, INTERRUPT_LINE,
		{ 0x60, 4, VM_ECAM_BASE | 1, 0, 0 },	/* PCIEXBAR */
	};
	struct subject s = chip(0, PCI_DEVFN(0, 0));

	CHECK(&s, rows);
}

static void the_ich9(void **state)
{
	static const struct row rows[] = {
		{ 0x00, 4, 0x29188086, 0, 0 },
		COMMAND, STATUS(0),
		{ 0x08, 4, 0x06010002, 0, 0 },
		CACHE_LINE_AND_LATENCY, INTERRUPT_LINE,
		{ 0x40, 4, 1, 0xff80, 0 },		/* PMBASE */
		{ 0x44, 1, 0, 0x87, 0 },		/* ACPI_CNTL */
	};
	struct subject s = chip(1, PCI_DEVFN(31, 0));

	CHECK(&s, rows);
}

/* Number 5's, without a card. */
static void a_root_port(void **state)
{
	static const struct row rows[] = {
		{ 0x00, 4, 0x000c1b36, 0, 0 },
		COMMAND, STATUS(0x10), INTERRUPT_LINE,
		{ 0x08, 4, 0x06040000, 0, 0 },
		{ 0x0c, 1, 0, 0xff, 0 },		/* no latency timer */
		{ 0x0e, 1, 0x81, 0, 0 },
		{ 0x18, 3, 0, 0xffffff, 0 },		/* bus numbers */
		{ 0x1c, 2, 0x00f0, 0xf0f0, 0 },		/* I/O window */
		{ 0x1e, 2, 0, 0, 0xf900 },		/* secondary status */
		{ 0x20, 4, 0x0000fff0, 0xfff0fff0, 0 },	/* memory window */
		{ 0x24, 4, 0x0001fff1, 0xfff0fff0, 0 },	/* prefetchable */
		{ 0x28, 8, 0, UINT64_MAX, 0 },
		{ 0x34, 1, 0x80, 0, 0 },
		{ 0x3d, 1, 4, 0, 0 },			/* INTD# */
		{ 0x3e, 2, 0, 0x43, 0 },		/* bridge control */
		{ 0x50, 4, 0x00800005, 0x00710000, 0 },	/* MSI */
		{ 0x54, 4, 0, 0xfffffffc, 0 },
		{ 0x58, 4, 0, 0xffffffff, 0 },
		{ 0x5c, 2, 0, 0xffff, 0 },
		{ 0x80, 4, 0x01425010, 0, 0 },		/* Express */
		{ 0x84, 4, 0x00008000, 0, 0 },
		{ 0x88, 2, 0x2810, 0x781f, 0 },
		{ 0x8a, 2, 0, 0, 0x0f },
		{ 0x8c, 4, 0x05100011, 0, 0 },		/* link */
		{ 0x90, 2, 0, 0x00db, 0 },
		{ 0x92, 2, 0x0011, 0, 0 },
		{ 0x94, 4, 5 << 19 | 0x79, 0, 0 },	/* slot */
		{ 0x98, 2, 0x03c0, 0x13f9, 0 },
		{ 0x9a, 2, 0, 0, 0x011f },
		{ 0x9c, 2, 0, 0x0f, 0 },		/* root */
		{ 0xa0, 4, 0, 0, 0x10000 },
		{ 0xac, 4, 2, 0, 0 },
		{ 0xb0, 2, 1, 0x0f, 0 },
	};
	static struct pci_bridge port;
	struct subject s;

	assert_int_equal(pci_port_init(&port, &host, 5), 0);
	pci_bus_add(&host.root, PCI_DEVFN(5, 0), &port.fn);
	s = subject_of(&port.fn, port.dev.config);
	s.size = PCI_CONFIG_EXT_SIZE;
	s.own_off = 0x9a;
	s.own_bits = 0x10;		/* command completed */
	CHECK(&s, rows);
	pci_bus_remove(&port.fn);
	pci_bridge_fini(&port);
}

static void a_pci_bridge(void **state)
{
	static const struct row rows[] = {
		{ 0x00, 4, 0x00011b36, 0, 0 },
		COMMAND, STATUS(0), INTERRUPT_LINE,
		{ 0x08, 4, 0x06040000, 0, 0 },
		CACHE_LINE_AND_LATENCY,
		{ 0x0e, 1, 0x01, 0, 0 },
		{ 0x18, 4, 0, 0xffffffff, 0 },		/* and its latency */
		{ 0x1c, 2, 0x00f0, 0xf0f0, 0 },
		{ 0x1e, 2, 0, 0, 0xf900 },
		{ 0x20, 4, 0x0000fff0, 0xfff0fff0, 0 },
		{ 0x24, 4, 0x0001fff1, 0xfff0fff0, 0 },
		{ 0x28, 8, 0, UINT64_MAX, 0 },
		{ 0x3e, 2, 0, 0x43, 0 },
	};
	static struct pci_bridge bridge;
	struct subject s;

	assert_int_equal(pci_bridge_init(&bridge, &host), 0);
	pci_bus_add(&host.root, PCI_DEVFN(30, 0), &bridge.fn);
	s = subject_of(&bridge.fn, bridge.dev.config);
	CHECK(&s, rows);
	pci_bus_remove(&bridge.fn);
	pci_bridge_fini(&bridge);
}

/* Transitional: its first BAR is the legacy interface's ports. */
static void a_disk(void **state)
{
	static const struct row rows[] = {
		{ 0x00, 4, 0x10011af4, 0, 0 },
		COMMAND, STATUS(0x10), INTERRUPT_LINE,
		{ 0x08, 4, 0x01000000, 0, 0 },
		CACHE_LINE_AND_LATENCY,
		{ 0x10, 4, 1, 0xffffffc0, 0 },
		{ 0x14, 4, 0, 0xfffff000, 0 },
		{ 0x20, 4, 0, 0xffffc000, 0 },
		{ 0x2c, 4, 0x00021af4, 0, 0 },
		{ 0x34, 1, 0x40, 0, 0 },
		{ 0x3d, 1, 1, 0, 0 },
		{ 0x40, 4, 0x00014c11, 0xc0000000, 0 },	/* MSI-X */
		{ 0x44, 4, 0x001, 0, 0 },
		{ 0x48, 4, 0x801, 0, 0 },
		{ 0x4c, 5, 0x0401105c09, 0, 0 },	/* common */
		{ 0x58, 4, 0x3c, 0, 0 },
		{ 0x5c, 5, 0x0402147009, 0, 0 },	/* doorbell */
		{ 0x64, 8, 0x400003000, 0, 0 },
		{ 0x6c, 4, 4, 0, 0 },
		{ 0x70, 5, 0x0403108009, 0, 0 },	/* ISR */
		{ 0x78, 8, 0x100001000, 0, 0 },
		{ 0x80, 5, 0x0404109009, 0, 0 },	/* device's own */
		{ 0x88, 8, 0x3c00002000, 0, 0 },
		{ 0x90, 4, 0x05140009, 0, 0 },		/* window: closed */
		{ 0x94, 1, 0, 0xff, 0 },
		{ 0x98, 8, 0, UINT64_MAX, 0 },
		{ 0xa0, 4, 0, 0xffffffff, 0 },
	};
	char path[] = "/tmp/test-table-XXXXXX";
	struct block_config image = { .path = path, .format = "raw" };
	struct vm_memory mem;
	struct disk *disk;
	struct subject s;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	assert_int_equal(vm_memory_init(&mem, VM_MEMORY_MIN), 0);
	assert_int_equal(disk_create(&host, &image, "5", &mem, &disk), 0);
	pci_bus_add(&host.root, PCI_DEVFN(5, 0), disk_function(disk));
	s = subject_of(disk_function(disk), NULL);
	CHECK(&s, rows);
	pci_bus_remove(disk_function(disk));
	disk_destroy(disk);
	vm_memory_fini(&mem);
	unlink(path);
}

int main(void)
{
#define T(name, board)							\
	cmocka_unit_test_setup_teardown(name, setup_##board, teardown)
	const struct CMUnitTest tests[] = {
		T(the_440fx, pc),
		T(the_piix3, pc),
		T(the_piix4_power_management, pc),
		T(the_q35, pcie),
		T(the_ich9, pcie),
		T(a_root_port, pcie),
		T(a_pci_bridge, pcie),
		T(a_disk, pc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
