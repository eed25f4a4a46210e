/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration mechanism #1, ECAM, the chipsets' functions, routing, reset.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "vmm/irq.h"
#include "vmm/pci_host.h"

static struct pci_host host;
static struct bus pio, mmio;
static struct bus_dev pm;
static unsigned int n_resets, n_routed;
static unsigned int last_off, last_len;

static void reset(void *opaque)
{
	n_resets++;
}

static const struct pci_host_ops ops = { .reset = reset };

/* A card whose config bytes are their own offsets. */
static uint32_t card_read(struct pci_function *fn, unsigned int off,
			  unsigned int len)
{
	last_off = off;
	last_len = len;
	return (off & 0xff) | ((off + 1) & 0xff) << 8 |
	       ((off + 2) & 0xff) << 16 | ((off + 3) & 0xff) << 24;
}

static void card_write(struct pci_function *fn, unsigned int off,
		       unsigned int len, uint32_t val)
{
	last_off = off;
	last_len = len;
}

static void card_route(struct pci_function *fn)
{
	n_routed++;
}

static const struct pci_function_ops card_ops = {
	.config_read = card_read, .config_write = card_write,
	.route = card_route,
};

static struct pci_function card, last_card;

static void init(enum vm_board board)
{
	n_resets = n_routed = last_off = last_len = 0;
	bus_init(&pio, "ports");
	bus_init(&mmio, "memory");
	bus_dev_init(&pm, "pm", NULL, NULL, 4);
	assert_int_equal(pci_host_init(&host, board, &ops, NULL, &pio, &mmio,
				       &pm), 0);
	card = last_card = (struct pci_function){ .ops = &card_ops };
	pci_bus_add(&host.root, PCI_DEVFN(9, 0), &card);
	assert_int_equal(pci_host_reset(&host), 0);
	pci_host_map(&host);
}

static int setup(void **state)
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

static uint32_t in(unsigned int port, unsigned int len)
{
	return (uint32_t)host.dev.ops->read(&host, port - 0xcf8, len);
}

static void out(unsigned int port, unsigned int len, uint32_t val)
{
	host.dev.ops->write(&host, port - 0xcf8, len, val);
}

static uint32_t address(unsigned int slot, unsigned int off)
{
	return 0x80000000 | slot << 11 | off;
}

static uint32_t config_read(unsigned int slot, unsigned int off)
{
	out(0xcf8, 4, address(slot, off));
	return in(0xcfc, 4);
}

static void test_chipset(void **state)
{
	assert_int_equal(config_read(0, 0), 0x12378086);
	assert_int_equal(config_read(1, 0), 0x70008086);
	assert_int_equal(config_read(0, 8) >> 8, 0x060000);
	assert_int_equal(config_read(1, 8) >> 8, 0x060100);
	/* Function 3 of the multi-function slot 1. */
	assert_int_equal(config_read(1, 0x0c) >> 16 & 0xff, 0x80);
	assert_int_equal(config_read(1, 3 << 8), 0x71138086);
	assert_int_equal(config_read(1, 3 << 8 | 8), 0x06800003);
}

/* The power management ports are where PMBASE says, if PMREGMISC lets them. */
static void test_pm_ports_move(void **state)
{
	assert_int_equal(pio.n_ranges, 1);
	assert_int_equal(pio.range[0].base, PM_PORT);
	assert_int_equal(pio.range[0].len, 64);
	assert_int_equal(config_read(1, 3 << 8 | 0x40), PM_PORT | 1);
	out(0xcfc, 4, 0xb03f);
	assert_int_equal(pio.range[0].base, 0xb000);
	assert_int_equal(in(0xcfc, 4), 0xb001);
	config_read(1, 3 << 8 | 0x80);
	out(0xcfc, 1, 0);
	assert_int_equal(pio.n_ranges, 0);
}

static void test_nothing_there(void **state)
{
	assert_int_equal(config_read(2, 0), 0xffffffff);
	assert_int_equal(config_read(31, 0), 0xffffffff);
	out(0xcfc, 4, 0);
	/* Another function, other buses, not enabled. */
	out(0xcf8, 4, address(0, 0) | 1 << 8);
	assert_int_equal(in(0xcfc, 4), 0xffffffff);
	for (uint32_t bus = 1; bus < 256; bus++) {
		out(0xcf8, 4, address(0, 0) | bus << 16);
		assert_int_equal(in(0xcfc, 4), 0xffffffff);
	}
	out(0xcf8, 4, address(0, 0) & 0x7fffffff);
	assert_int_equal(in(0xcfc, 4), 0xffffffff);
}

static void test_address_register(void **state)
{
	out(0xcf8, 4, 0xffffffff);
	assert_int_equal(in(0xcf8, 4), 0x80fffffc);
	/* Narrow accesses do not reach it. */
	out(0xcf8, 2, 0);
	out(0xcfb, 1, 0);
	assert_int_equal(in(0xcf8, 4), 0x80fffffc);
	assert_int_equal(in(0xcf8, 2) & 0xffff, 0xffff);
}

static void test_widths(void **state)
{
	out(0xcf8, 4, address(9, 0x40));
	in(0xcfc, 4);
	assert_int_equal(last_off, 0x40);
	in(0xcfe, 2);
	assert_int_equal(last_off, 0x42);
	assert_int_equal(last_len, 2);
	out(0xcff, 1, 0);
	assert_int_equal(last_off, 0x43);
	assert_int_equal(last_len, 1);
	/* Across the dword: nothing happens. */
	last_off = 0;
	assert_int_equal(in(0xcfd, 4), 0xffffffff);
	out(0xcff, 2, 0);
	assert_int_equal(last_off, 0);
}

static void test_last_slot_and_offset(void **state)
{
	pci_bus_add(&host.root, PCI_DEVFN(31, 0), &last_card);
	assert_int_equal(config_read(31, 0xfc) & 0xff, 0xfc);
	assert_int_equal(last_off, 0xfc);
}

static void test_pirq_routing(void **state)
{
	unsigned int before = n_routed;

	/* As firmware leaves it. */
	assert_int_equal(pci_chips_pirq_gsi(&host, 0), 10);
	assert_int_equal(pci_chips_pirq_gsi(&host, 3), 11);
	out(0xcf8, 4, address(1, 0x60));
	out(0xcfd, 1, 0x05);
	assert_int_equal(pci_chips_pirq_gsi(&host, 1), 5);
	assert_int_equal(n_routed, before + 1);
	out(0xcfd, 1, 0x85);		/* bit 7: nowhere */
	assert_int_equal(pci_chips_pirq_gsi(&host, 1), IRQ_NO_GSI);
	assert_int_equal(in(0xcfd, 1) & 0xff, 0x85);
	/* Reserved: the timer, the cascade, 8, 13. */
	for (unsigned int irq = 0; irq < 16; irq++) {
		bool reserved = irq < 3 || irq == 8 || irq == 13;

		out(0xcfc, 1, irq);
		assert_int_equal(pci_chips_pirq_gsi(&host, 0),
				 reserved ? IRQ_NO_GSI : (int)irq);
	}
	/* Bits 6:4 are not there. */
	out(0xcfc, 1, 0x7a);
	assert_int_equal(in(0xcfc, 1) & 0xff, 0x0a);
	/* A write elsewhere is none of the routing's. */
	before = n_routed;
	out(0xcf8, 4, address(1, 0x04));
	out(0xcfc, 4, 7);
	assert_int_equal(n_routed, before);
}

/* As the _PRT in dsdt.asl: slot 1 INTA# is PIRQA, then round. */
static void test_pirq_wiring(void **state)
{
	assert_int_equal(pci_host_pirq(1, 1), 0);
	assert_int_equal(pci_host_pirq(1, 4), 3);
	assert_int_equal(pci_host_pirq(3, 1), 2);
	assert_int_equal(pci_host_pirq(4, 1), 3);
	assert_int_equal(pci_host_pirq(5, 1), 0);
	assert_int_equal(pci_host_pirq(31, 4), 1);
}

static void test_reset_control(void **state)
{
	out(0xcf9, 1, 0x02);
	assert_int_equal(n_resets, 0);
	assert_int_equal(in(0xcf9, 1) & 0xff, 0x02);
	out(0xcf9, 1, 0x06);
	assert_int_equal(n_resets, 1);
	/* A dword write of CONFIG_ADDRESS covers the port, but is not it. */
	out(0xcf8, 4, 0x80000600);
	assert_int_equal(n_resets, 1);
}

static void test_power_on_state(void **state)
{
	out(0xcf8, 4, address(1, 0x60));
	out(0xcfc, 4, 0x80808080);
	assert_int_equal(pci_host_reset(&host), 0);
	assert_int_equal(in(0xcf8, 4), 0);
	assert_int_equal(pci_chips_pirq_gsi(&host, 2), 11);
}

static uint64_t ecam(unsigned int bus, unsigned int devfn, unsigned int off)
{
	return (uint64_t)bus << 20 | devfn << 12 | off;
}

static uint32_t ecam_read(uint64_t off, unsigned int len)
{
	return (uint32_t)host.ecam.ops->read(&host, off, len);
}

static void test_pcie_chipset(void **state)
{
	assert_int_equal(ecam_read(ecam(0, 0, 0), 4), 0x29c08086);
	assert_int_equal(ecam_read(ecam(0, PCI_DEVFN(31, 0), 0), 4),
			 0x29188086);
	assert_int_equal(ecam_read(ecam(0, 0, 0x60), 4), VM_ECAM_BASE | 1);
	/* It stays where it is. */
	host.ecam.ops->write(&host, ecam(0, 0, 0x60), 4, 0);
	assert_int_equal(ecam_read(ecam(0, 0, 0x60), 4), VM_ECAM_BASE | 1);
	assert_int_equal(pio.range[0].base, PM_PORT);
	assert_int_equal(pio.range[0].len, 128);
}

/* The same function by both ways; the second has more of it. */
static void test_ecam_decode(void **state)
{
	unsigned int devfn = PCI_DEVFN(9, 0);

	assert_int_equal(ecam_read(ecam(0, devfn, 0x40), 4), 0x43424140);
	assert_int_equal(config_read(9, 0x40), 0x43424140);
	ecam_read(ecam(0, devfn, 0xffc), 4);
	assert_int_equal(last_off, 0xffc);
	assert_int_equal(last_len, 4);
	host.ecam.ops->write(&host, ecam(0, devfn, 0xfff), 1, 0);
	assert_int_equal(last_off, 0xfff);
	assert_int_equal(last_len, 1);
	/* Ours has 256 bytes; behind them are ones. */
	assert_int_equal(ecam_read(ecam(0, 0, 0x100), 4), 0xffffffff);
}

/* Nobody: other functions, slots, all buses; and no two dwords at once. */
static void test_ecam_nothing_there(void **state)
{
	unsigned int devfn = PCI_DEVFN(9, 0);

	for (unsigned int i = 0; i < PCI_N_DEVFNS; i++)
		if (!host.root.fn[i])
			assert_int_equal(ecam_read(ecam(0, i, 0), 4),
					 0xffffffff);
	for (unsigned int bus = 1; bus < 256; bus++)
		assert_int_equal(ecam_read(ecam(bus, devfn, 0), 4),
				 0xffffffff);
	last_off = 0;
	for (unsigned int len = 2; len <= 4; len += 2)
		for (unsigned int off = 5 - len; off < 4; off++) {
			assert_int_equal(ecam_read(ecam(0, devfn, 0x10 + off),
						   len), 0xffffffff);
			host.ecam.ops->write(&host,
					     ecam(0, devfn, 0x10 + off), len,
					     0);
		}
	assert_int_equal(last_off, 0);
}

/* As the _PRT in dsdt.asl. */
static void test_pcie_wiring(void **state)
{
	struct pci_function fn = { .bus = &host.root };

	for (fn.devfn = 0; fn.devfn < PCI_N_DEVFNS; fn.devfn++) {
		unsigned int slot = PCI_SLOT(fn.devfn);

		for (unsigned int pin = 1; pin <= 3; pin++)
			assert_int_equal(pci_host_gsi(&host, &fn, pin), 16 +
					 (slot + pin - 1) % 8);
		/* The pin of root ports, where there may be some. */
		assert_int_equal(pci_host_gsi(&host, &fn, 4), slot < 24 ?
				 10 + slot % 2 : 16 + (slot + 3) % 8);
	}
}

int main(void)
{
#define P(name) cmocka_unit_test_setup_teardown(name, setup_pcie, teardown)
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_chipset),
		T(test_pm_ports_move),
		T(test_nothing_there),
		T(test_address_register),
		T(test_widths),
		T(test_last_slot_and_offset),
		T(test_pirq_routing),
		T(test_pirq_wiring),
		T(test_reset_control),
		T(test_power_on_state),
		P(test_pcie_chipset),
		P(test_ecam_decode),
		P(test_ecam_nothing_there),
		P(test_pcie_wiring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
