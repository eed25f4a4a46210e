/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration mechanism #1, the chipset's functions, PIRQ routing, reset.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "vmm/irq.h"
#include "vmm/pci_host.h"

static struct pci_host host;
static unsigned int n_resets, n_pirq_changes;
static unsigned int last_off, last_len;

static void power_off(void *opaque)
{
}

static void reset(void *opaque)
{
	n_resets++;
}

static void pirq_changed(void *opaque)
{
	n_pirq_changes++;
}

static const struct power_ops power = { power_off, reset };

/* A card whose config bytes are their own offsets. */
static uint32_t card_read(void *opaque, unsigned int off, unsigned int len)
{
	last_off = off;
	last_len = len;
	return off | (off + 1) << 8 | (off + 2) << 16 | (off + 3) << 24;
}

static void card_write(void *opaque, unsigned int off, unsigned int len,
		       uint32_t val)
{
	last_off = off;
	last_len = len;
}

static int setup(void **state)
{
	n_resets = n_pirq_changes = last_off = last_len = 0;
	assert_int_equal(pci_host_init(&host, &power, pirq_changed, NULL), 0);
	host.slot[9] = (struct pci_slot){ card_read, card_write, NULL };
	pci_host_reset(&host);
	return 0;
}

static int teardown(void **state)
{
	pci_host_fini(&host);
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
}

static void test_nothing_there(void **state)
{
	assert_int_equal(config_read(2, 0), 0xffffffff);
	assert_int_equal(config_read(31, 0), 0xffffffff);
	out(0xcfc, 4, 0);
	/* Another function, another bus, not enabled. */
	out(0xcf8, 4, address(0, 0) | 1 << 8);
	assert_int_equal(in(0xcfc, 4), 0xffffffff);
	out(0xcf8, 4, address(0, 0) | 1 << 16);
	assert_int_equal(in(0xcfc, 4), 0xffffffff);
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
	host.slot[31] = host.slot[9];
	assert_int_equal(config_read(31, 0xfc) & 0xff, 0xfc);
	assert_int_equal(last_off, 0xfc);
}

static void test_pirq_routing(void **state)
{
	unsigned int before = n_pirq_changes;

	/* As firmware leaves it. */
	assert_int_equal(pci_host_pirq_gsi(&host, 0), 10);
	assert_int_equal(pci_host_pirq_gsi(&host, 3), 11);
	out(0xcf8, 4, address(1, 0x60));
	out(0xcfd, 1, 0x05);
	assert_int_equal(pci_host_pirq_gsi(&host, 1), 5);
	assert_int_equal(n_pirq_changes, before + 1);
	out(0xcfd, 1, 0x85);		/* bit 7: nowhere */
	assert_int_equal(pci_host_pirq_gsi(&host, 1), IRQ_NO_GSI);
	assert_int_equal(in(0xcfd, 1) & 0xff, 0x85);
	/* Reserved: the timer, the cascade, 8, 13. */
	for (unsigned int irq = 0; irq < 16; irq++) {
		bool reserved = irq < 3 || irq == 8 || irq == 13;

		out(0xcfc, 1, irq);
		assert_int_equal(pci_host_pirq_gsi(&host, 0),
				 reserved ? IRQ_NO_GSI : (int)irq);
	}
	/* Bits 6:4 are not there. */
	out(0xcfc, 1, 0x7a);
	assert_int_equal(in(0xcfc, 1) & 0xff, 0x0a);
	/* A write elsewhere is none of the routing's. */
	before = n_pirq_changes;
	out(0xcf8, 4, address(1, 0x04));
	out(0xcfc, 4, 7);
	assert_int_equal(n_pirq_changes, before);
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
	pci_host_reset(&host);
	assert_int_equal(in(0xcf8, 4), 0);
	assert_int_equal(pci_host_pirq_gsi(&host, 2), 11);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_chipset),
		T(test_nothing_there),
		T(test_address_register),
		T(test_widths),
		T(test_last_slot_and_offset),
		T(test_pirq_routing),
		T(test_pirq_wiring),
		T(test_reset_control),
		T(test_power_on_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
