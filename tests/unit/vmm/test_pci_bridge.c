/* SPDX-License-Identifier: Apache-2.0
 *
 * Bridges and root ports on the pcie board: bus numbers and windows as a guest
 * sets them (sensibly or not), INTx wiring, slots with their events, and the
 * addresses firmware gives.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "base/byteorder.h"
#include "vmm/pci_bridge.h"
#include "vmm/pci_host.h"
#include "vmm/pci_setup.h"

enum {
	N_PORTS = 20, N_CARDS = 20,
	/* Of a root port, found by its capability list; see test_caps. */
	EXP = 0x80, MSI = 0x50,
	SLTCTL = EXP + PCI_EXP_SLTCTL, SLTSTA = EXP + PCI_EXP_SLTSTA,
	EVENTS_ON = PCI_EXP_SLTCTL_ABPE | PCI_EXP_SLTCTL_CCIE |
		PCI_EXP_SLTCTL_HPIE | PCI_EXP_SLTCTL_DLLSCE,
	INDICATORS_ON = PCI_EXP_SLTCTL_PWR_IND_ON |
		PCI_EXP_SLTCTL_ATTN_IND_OFF,
};

/* A card: a type 0 function with the BARs of an 82540EM. */
struct card {
	struct pci_function fn;
	struct pci_dev dev;
	struct bus_dev regs, io;
	unsigned int n_resets;
	bool cut_off;			/* by a bridge, as last looked */
};

static struct pci_host host;
static struct bus pio, mmio;
static struct bus_dev pm;
static struct pci_bridge bridge, port[N_PORTS];
static struct card card[N_CARDS];
static unsigned int n_msi, n_released;
static uint64_t msi_addr;
static uint32_t msi_data;
static unsigned int lines;		/* bit per GSI */
static const struct pci_bridge *released;

static void set_line(void *opaque, unsigned int gsi, bool level)
{
	lines = level ? lines | BIT(gsi) : lines & ~BIT(gsi);
}

static void send_msi(void *opaque, uint64_t addr, uint32_t data)
{
	n_msi++;
	msi_addr = addr;
	msi_data = data;
}

static void card_released(void *opaque, struct pci_bridge *p)
{
	n_released++;
	released = p;
}

static const struct pci_host_ops ops = {
	.set_line = set_line, .send_msi = send_msi,
	.card_released = card_released,
};

static const struct pci_dev_ops card_dev_ops = { .model = "card" };

static struct card *card_of(struct pci_function *fn)
{
	return container_of(fn, struct card, fn);
}

static uint32_t card_read(struct pci_function *fn, unsigned int off,
			  unsigned int len)
{
	return (uint32_t)pci_config_read(&card_of(fn)->dev, off, len);
}

static void card_write(struct pci_function *fn, unsigned int off,
		       unsigned int len, uint32_t val)
{
	pci_config_write(&card_of(fn)->dev, off, len, val);
}

static const struct pci_bar *card_bar(struct pci_function *fn,
				      unsigned int idx)
{
	return &card_of(fn)->dev.bar[idx];
}

static void card_map(struct pci_function *fn)
{
	struct card *c = card_of(fn);
	uint64_t mem = le32_load(c->dev.config + PCI_BASE_ADDRESS_0);
	uint64_t io = le32_load(c->dev.config + PCI_BASE_ADDRESS_1) & ~3u;

	if (pci_bus_reached(fn->bus, false, mem, c->dev.bar[0].size))
		assert_int_equal(bus_add(&mmio, mem, c->dev.bar[0].size,
					 &c->regs, true), 0);
	if (pci_bus_reached(fn->bus, true, io, c->dev.bar[1].size))
		assert_int_equal(bus_add(&pio, io, c->dev.bar[1].size, &c->io,
					 true), 0);
}

static int card_reset(struct pci_function *fn)
{
	card_of(fn)->n_resets++;
	return 0;
}

static void card_gate(struct pci_function *fn)
{
	card_of(fn)->cut_off = !pci_bus_masters(fn->bus);
}

static const struct pci_function_ops card_ops = {
	.config_read = card_read, .config_write = card_write,
	.bar = card_bar, .map = card_map, .gate = card_gate,
	.reset = card_reset,
};

static const struct pci_bar card_bars[PCI_N_BARS + 1] = {
	[0] = { PCI_BAR_MEM32, false, 128 << 10 },
	[1] = { PCI_BAR_IO, false, 64 },
	[2] = { PCI_BAR_MEM64, true, 16 << 10 },
	[PCI_ROM_BAR] = { PCI_BAR_MEM32, false, 256 << 10 },
};

static void plug(struct pci_bus *bus, unsigned int devfn, struct card *c)
{
	static const struct pci_ident ident = {
		.vendor = 0x8086, .device = 0x100e, .class_code = 0x020000,
		.intx_pin = 1,
	};

	memset(c, 0, sizeof(*c));
	c->fn.ops = &card_ops;
	bus_dev_init(&c->regs, "regs", NULL, NULL, 4);
	bus_dev_init(&c->io, "io", NULL, NULL, 4);
	assert_int_equal(pci_dev_init(&c->dev, &card_dev_ops, "card", &ident,
				      card_bars, PCI_CONFIG_SIZE), 0);
	pci_bus_add(bus, devfn, &c->fn);
	if (bus->above && bus->above->is_port)
		pci_port_plug(bus->above);
}

static int setup(void **state)
{
	n_msi = n_released = lines = 0;
	bus_init(&pio, "ports");
	bus_init(&mmio, "memory");
	bus_dev_init(&pm, "pm", NULL, NULL, 4);
	assert_int_equal(pci_host_init(&host, VM_BOARD_PCIE, &ops, NULL, &pio,
				       &mmio, &pm), 0);
	for (unsigned int i = 0; i < N_PORTS; i++) {
		assert_int_equal(pci_port_init(&port[i], &host, i + 1), 0);
		pci_bus_add(&host.root, PCI_DEVFN(1 + i / 8, i % 8),
			    &port[i].fn);
	}
	assert_int_equal(pci_bridge_init(&bridge, &host), 0);
	pci_bus_add(&host.root, PCI_DEVFN(30, 0), &bridge.fn);
	assert_int_equal(pci_host_reset(&host), 0);
	return 0;
}

static int teardown(void **state)
{
	for (unsigned int i = 0; i < N_CARDS; i++) {
		pci_dev_fini(&card[i].dev);
		memset(&card[i], 0, sizeof(card[i]));
	}
	for (unsigned int i = 0; i < N_PORTS; i++)
		pci_bridge_fini(&port[i]);
	pci_bridge_fini(&bridge);
	pci_host_fini(&host);
	bus_fini(&mmio);
	bus_fini(&pio);
	return 0;
}

static uint32_t in(unsigned int bus, unsigned int devfn, unsigned int off,
		   unsigned int len)
{
	uint64_t val = host.ecam.ops->read(&host, (uint64_t)bus << 20 |
					   devfn << 12 | off, len);

	return (uint32_t)(val & (BIT64(8 * len) - 1));
}

static void out(unsigned int bus, unsigned int devfn, unsigned int off,
		unsigned int len, uint32_t val)
{
	host.ecam.ops->write(&host, (uint64_t)bus << 20 | devfn << 12 | off,
			     len, val);
}

static const unsigned int PORT0 = PCI_DEVFN(1, 0), BRIDGE = PCI_DEVFN(30, 0);

/* The capability list leads to what the tests believe is there, and ends. */
static void test_caps(void **state)
{
	unsigned int off = in(0, PORT0, PCI_CAPABILITY_LIST, 1), n = 0;

	assert_true(in(0, PORT0, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	while (off) {
		unsigned int id = in(0, PORT0, off, 1);

		assert_true(++n <= 2);
		if (id == PCI_CAP_ID_EXP)
			assert_int_equal(off, EXP);
		else
			assert_int_equal(id, PCI_CAP_ID_MSI);
		off = in(0, PORT0, off + 1, 1);
	}
	assert_int_equal(n, 2);
	/* Root port with a slot, which is called 1 (function 1's: 2). */
	assert_int_equal(in(0, PORT0, EXP + 2, 2) & 0x1f0, 0x140);
	assert_int_equal(in(0, PORT0, EXP + PCI_EXP_SLTCAP, 4) >> 19, 1);
	assert_int_equal(in(0, PORT0 + 1, EXP + PCI_EXP_SLTCAP, 4) >> 19, 2);
	/* A conventional bridge has no capabilities. */
	assert_false(in(0, BRIDGE, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	assert_int_equal(in(0, BRIDGE, PCI_HEADER_TYPE, 1), 1);
}

static void test_bus_numbers(void **state)
{
	plug(&bridge.secondary, PCI_DEVFN(5, 0), &card[0]);
	/* Not numbered: nowhere to be found. */
	for (unsigned int bus = 1; bus < 256; bus++)
		assert_int_equal(in(bus, PCI_DEVFN(5, 0), 0, 4), 0xffffffff);
	out(0, BRIDGE, PCI_SECONDARY_BUS, 1, 77);
	out(0, BRIDGE, PCI_SUBORDINATE_BUS, 1, 80);
	assert_int_equal(in(77, PCI_DEVFN(5, 0), 0, 4), 0x100e8086);
	/* Claimed, but nothing is there. */
	assert_int_equal(in(78, PCI_DEVFN(5, 0), 0, 4), 0xffffffff);
	/* Backwards. */
	out(0, BRIDGE, PCI_SUBORDINATE_BUS, 1, 76);
	assert_int_equal(in(77, PCI_DEVFN(5, 0), 0, 4), 0xffffffff);
	/* All bridges claim all: the first takes it, and it ends. */
	for (unsigned int i = 0; i < PCI_N_DEVFNS; i++) {
		out(0, i, PCI_SECONDARY_BUS, 1, 1);
		out(0, i, PCI_SUBORDINATE_BUS, 1, 255);
	}
	for (unsigned int bus = 1; bus < 256; bus++)
		assert_int_equal(in(bus, PCI_DEVFN(5, 0), 0, 4), 0xffffffff);
}

static void test_firmware(void **state)
{
	plug(&port[0].secondary, 0, &card[0]);
	plug(&port[3].secondary, 0, &card[1]);
	for (unsigned int i = 2; i < N_CARDS; i++)
		plug(&bridge.secondary, PCI_DEVFN(i, 0), &card[i]);
	assert_int_equal(pci_setup(&host), 0);
	for (unsigned int i = 0; i < N_CARDS; i++) {
		const uint8_t *c = card[i].dev.config;
		uint32_t mem = le32_load(c + PCI_BASE_ADDRESS_0);
		uint32_t io = le32_load(c + PCI_BASE_ADDRESS_1);
		uint64_t pref = le64_load(c + PCI_BASE_ADDRESS_2) & ~15ull;

		assert_true(mem >= 0xf0000000 && mem < 0xfec00000);
		assert_true(io > 0x1000 && io < 0x10000);
		assert_true(pref >= VM_PCI_HIGH_BASE);
		assert_int_equal(le16_load(c + PCI_COMMAND), 0x103);
		assert_int_equal(c[PCI_INTERRUPT_LINE], pci_host_gsi(&host,
			&card[i].fn, 1));
		/* Reached, by its own address alone. */
		bus_read(&mmio, mem, 4);
		bus_read(&pio, io & ~3u, 4);
		assert_int_equal(card[i].regs.n_reads, 1);
		assert_int_equal(card[i].io.n_reads, 1);
		assert_true(pci_bus_reached(card[i].fn.bus, false, pref,
					    16 << 10));
	}
	/* Ports: 16 windows from 1000h, less the bridge's and the two cards',
	 * for the first of the empty slots. */
	for (unsigned int i = 0; i < N_PORTS; i++) {
		const uint8_t *c = port[i].dev.config;

		assert_int_equal(c[PCI_IO_BASE] <= c[PCI_IO_LIMIT], i < 14);
		assert_true(le16_load(c + PCI_MEMORY_BASE) <=
			    le16_load(c + PCI_MEMORY_LIMIT));
		assert_int_equal(c[PCI_SECONDARY_BUS], i + 1);
		assert_int_equal(c[PCI_SUBORDINATE_BUS], i + 1);
	}
}

/* More cards in root ports than there are windows of ports: the last go without
 * ports, not without memory. */
static void test_firmware_runs_out(void **state)
{
	for (unsigned int i = 0; i < 17; i++)
		plug(&port[i].secondary, 0, &card[i]);
	assert_int_equal(pci_setup(&host), 0);
	for (unsigned int i = 0; i < 17; i++) {
		const uint8_t *c = card[i].dev.config;
		uint32_t io = le32_load(c + PCI_BASE_ADDRESS_1);

		assert_int_equal(io > 1, i < 15);
		assert_true(le32_load(c + PCI_BASE_ADDRESS_0) >= 0xf0000000);
		assert_int_equal(port[i].dev.config[PCI_IO_BASE] <=
				 port[i].dev.config[PCI_IO_LIMIT], i < 15);
	}
	assert_int_equal(pio.n_ranges, 15 + 1);	/* and the PM ports */
	assert_int_equal(mmio.n_ranges, 17);
}

static void test_windows(void **state)
{
	plug(&bridge.secondary, PCI_DEVFN(5, 0), &card[0]);
	assert_int_equal(pci_setup(&host), 0);
	assert_int_equal(mmio.n_ranges, 1);
	assert_int_equal(pio.n_ranges, 2);	/* and the PM ports */
	/* Closed: base above limit. */
	out(0, BRIDGE, PCI_MEMORY_LIMIT, 2, 0);
	assert_int_equal(mmio.n_ranges, 0);
	/* The prefetchable window will do as well. */
	out(0, BRIDGE, PCI_PREF_MEMORY_BASE, 2, 0xf000);
	out(0, BRIDGE, PCI_PREF_BASE_UPPER32, 4, 0);
	out(0, BRIDGE, PCI_PREF_MEMORY_LIMIT, 2, 0xfff0);
	out(0, BRIDGE, PCI_PREF_LIMIT_UPPER32, 4, 0);
	assert_int_equal(mmio.n_ranges, 1);
	/* Wide open to the end of all addresses. */
	out(0, BRIDGE, PCI_PREF_LIMIT_UPPER32, 4, 0xffffffff);
	assert_int_equal(mmio.n_ranges, 1);
	/* Each kind has its enable bit. */
	out(0, BRIDGE, PCI_COMMAND, 2, PCI_COMMAND_IO);
	assert_int_equal(mmio.n_ranges, 0);
	assert_int_equal(pio.n_ranges, 2);
	out(0, BRIDGE, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(mmio.n_ranges, 1);
	assert_int_equal(pio.n_ranges, 1);
}

/* Pins turn by one with each slot (Bridge Architecture 9.1). */
static void test_swizzle(void **state)
{
	unsigned int slot;

	plug(&bridge.secondary, PCI_DEVFN(5, 0), &card[0]);
	assert_int_equal(pci_bus_root_pin(&card[0].fn, 1, &slot), 2);
	assert_int_equal(slot, 30);
	assert_int_equal(pci_bus_root_pin(&card[0].fn, 4, &slot), 1);
	assert_int_equal(pci_bus_root_pin(&bridge.fn, 3, &slot), 3);
}

static void test_secondary_bus_reset(void **state)
{
	plug(&bridge.secondary, PCI_DEVFN(5, 0), &card[0]);
	out(0, BRIDGE, PCI_BRIDGE_CONTROL, 2, PCI_BRIDGE_CTL_BUS_RESET);
	assert_int_equal(card[0].n_resets, 1);
	out(0, BRIDGE, PCI_BRIDGE_CONTROL, 2, 0);
	assert_int_equal(card[0].n_resets, 1);
}

/* Port 0 with its slot's events on, by MSI. */
static void listen(void)
{
	assert_int_equal(pci_setup(&host), 0);
	out(0, PORT0, MSI + PCI_MSI_ADDRESS_LO, 4, 0xfee01004);
	out(0, PORT0, MSI + PCI_MSI_DATA_64, 2, 0x4031);
	out(0, PORT0, MSI + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE);
	out(0, PORT0, SLTCTL, 2, EVENTS_ON | INDICATORS_ON);
	out(0, PORT0, SLTSTA, 2, 0xffff);
	n_msi = 0;
}

static void test_plug(void **state)
{
	listen();
	assert_int_equal(in(0, PORT0, SLTSTA, 2) & PCI_EXP_SLTSTA_PDS, 0);
	plug(&port[0].secondary, 0, &card[0]);
	assert_int_equal(n_msi, 1);
	assert_int_equal(msi_addr, 0xfee01004);
	assert_int_equal(msi_data, 0x4031);
	assert_int_equal(in(0, PORT0, SLTSTA, 2), PCI_EXP_SLTSTA_PDS |
			 PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC);
	assert_true(in(0, PORT0, EXP + PCI_EXP_LNKSTA, 2) &
		    PCI_EXP_LNKSTA_DLLLA);
	assert_int_equal(in(1, 0, 0, 4), 0x100e8086);
	/* Events go by writing ones; the state stays. */
	out(0, PORT0, SLTSTA, 2, 0xffff);
	assert_int_equal(in(0, PORT0, SLTSTA, 2), PCI_EXP_SLTSTA_PDS);
	assert_int_equal(n_msi, 1);
}

static void test_unplug_in_order(void **state)
{
	plug(&port[0].secondary, 0, &card[0]);
	listen();
	assert_false(pci_port_ask(&port[0]));
	assert_int_equal(n_msi, 1);
	assert_true(in(0, PORT0, SLTSTA, 2) & PCI_EXP_SLTSTA_ABP);
	out(0, PORT0, SLTSTA, 2, PCI_EXP_SLTSTA_ABP);
	/* The guest lets it blink, then is done with it. */
	out(0, PORT0, SLTCTL, 2, EVENTS_ON | PCI_EXP_SLTCTL_PWR_IND_BLINK);
	assert_int_equal(n_released, 0);
	assert_int_equal(in(1, 0, 0, 4), 0x100e8086);
	out(0, PORT0, SLTCTL, 2, EVENTS_ON | PCI_EXP_SLTCTL_PWR_IND_OFF);
	assert_int_equal(n_released, 1);
	assert_ptr_equal(released, &port[0]);
	assert_int_equal(in(1, 0, 0, 4), 0xffffffff);
	assert_int_equal(in(0, PORT0, SLTSTA, 2) & PCI_EXP_SLTSTA_PDS, 0);
	/* Once. */
	out(0, PORT0, SLTCTL, 2, EVENTS_ON | PCI_EXP_SLTCTL_PWR_IND_OFF);
	assert_int_equal(n_released, 1);
}

/* A guest that switches the indicator off unasked keeps its card; and where it
 * is off, nobody needs asking. */
static void test_unasked(void **state)
{
	plug(&port[0].secondary, 0, &card[0]);
	listen();
	out(0, PORT0, SLTCTL, 2, EVENTS_ON | PCI_EXP_SLTCTL_PWR_IND_OFF);
	assert_int_equal(n_released, 0);
	assert_int_equal(in(1, 0, 0, 4), 0x100e8086);
	assert_true(pci_port_ask(&port[0]));
}

static void test_pull(void **state)
{
	plug(&port[0].secondary, 0, &card[0]);
	listen();
	assert_int_equal(mmio.n_ranges, 1);
	pci_port_unplug(&port[0]);
	assert_int_equal(n_msi, 1);
	assert_int_equal(in(1, 0, 0, 4), 0xffffffff);
	assert_int_equal(mmio.n_ranges, 0);
	assert_int_equal(in(0, PORT0, SLTSTA, 2), PCI_EXP_SLTSTA_PDC |
			 PCI_EXP_SLTSTA_DLLSC);
}

/* Without MSI the pin: a level, on a line that ports share. */
static void test_intx(void **state)
{
	uint32_t pin = in(0, PORT0, PCI_INTERRUPT_PIN, 1);
	unsigned int gsi = (unsigned int)pci_host_gsi(&host, &port[0].fn, pin);

	/* No card's: who takes one out does so in an interrupt's thread. */
	for (unsigned int i = 1; i < pin; i++)
		assert_int_not_equal(pci_host_gsi(&host, &port[0].fn, i), gsi);
	assert_int_equal(pci_setup(&host), 0);
	/* Functions 0 and 1 of slot 1 have the same pin. */
	for (unsigned int i = 0; i < 2; i++) {
		out(0, PORT0 + i, SLTCTL, 2, EVENTS_ON | INDICATORS_ON);
		out(0, PORT0 + i, SLTSTA, 2, 0xffff);
	}
	assert_int_equal(lines, 0);
	plug(&port[0].secondary, 0, &card[0]);
	plug(&port[1].secondary, 0, &card[1]);
	assert_int_equal(lines, BIT(gsi));
	out(0, PORT0, SLTSTA, 2, 0xffff);
	assert_int_equal(lines, BIT(gsi));
	out(0, PORT0 + 1, PCI_COMMAND, 2, 7 | PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(lines, 0);
	out(0, PORT0 + 1, PCI_COMMAND, 2, 7);
	assert_int_equal(lines, BIT(gsi));
	assert_int_equal(pci_host_reset(&host), 0);
	assert_int_equal(lines, 0);
	assert_int_equal(n_msi, 0);
}

static void test_no_msi_without_bus_master(void **state)
{
	listen();
	out(0, PORT0, PCI_COMMAND, 2, 3);
	plug(&port[0].secondary, 0, &card[0]);
	assert_int_equal(n_msi, 0);
}

/* DMA and messages of a card go through its bridge, or do not. */
static void test_bus_master_of_a_bridge(void **state)
{
	plug(&port[0].secondary, 0, &card[0]);
	plug(&bridge.secondary, PCI_DEVFN(1, 0), &card[1]);
	assert_true(card[0].cut_off);	/* firmware has not run yet */
	assert_int_equal(pci_setup(&host), 0);
	assert_false(card[0].cut_off || card[1].cut_off);
	out(0, PORT0, PCI_COMMAND, 2, 3);
	assert_true(card[0].cut_off && !card[1].cut_off);
	out(0, BRIDGE, PCI_COMMAND, 1, 2);
	assert_true(card[0].cut_off && card[1].cut_off);
	out(0, PORT0, PCI_COMMAND, 2, 7);
	out(0, BRIDGE, PCI_COMMAND, 1, 4);
	assert_false(card[0].cut_off || card[1].cut_off);
	/* No link, no request. */
	out(0, PORT0, EXP + PCI_EXP_LNKCTL, 2, PCI_EXP_LNKCTL_LD);
	assert_true(card[0].cut_off);
	out(0, PORT0, EXP + PCI_EXP_LNKCTL, 2, 0);
	assert_false(card[0].cut_off);
	pci_port_unplug(&port[0]);
	assert_true(card[0].cut_off);
	pci_bus_remove(&card[0].fn);
}

/* Anything may be written anywhere. */
static void test_hostile_writes(void **state)
{
	unsigned int seed = 1;

	plug(&port[0].secondary, 0, &card[0]);
	plug(&bridge.secondary, PCI_DEVFN(1, 0), &card[1]);
	assert_int_equal(pci_setup(&host), 0);
	for (unsigned int i = 0; i < 200000; i++) {
		unsigned int bus = (unsigned int)rand_r(&seed) % 4;
		unsigned int devfn = (unsigned int)rand_r(&seed) % 256;
		unsigned int off = (unsigned int)rand_r(&seed) % 256;
		unsigned int len = BIT((unsigned int)rand_r(&seed) % 3);

		out(bus, devfn, off, len, (uint32_t)rand_r(&seed) * 2 + 1);
		in(bus, devfn, off, len);
	}
	assert_int_equal(pci_host_reset(&host), 0);
	assert_int_equal(pci_setup(&host), 0);
	assert_int_equal(in(0, PORT0, 0, 4), 0x000c1b36);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_caps),
		T(test_bus_numbers),
		T(test_firmware),
		T(test_firmware_runs_out),
		T(test_windows),
		T(test_swizzle),
		T(test_secondary_bus_reset),
		T(test_plug),
		T(test_unplug_in_order),
		T(test_unasked),
		T(test_pull),
		T(test_intx),
		T(test_no_msi_without_bus_master),
		T(test_bus_master_of_a_bridge),
		T(test_hostile_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
