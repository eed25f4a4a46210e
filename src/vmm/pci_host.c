/* SPDX-License-Identifier: Apache-2.0
 *
 * The root of PCI and the ways to config space; see pci_host.h.  References:
 * PCI Local Bus Specification 3.0, 3.2.2.3 (mechanism #1); PCI Express Base
 * Specification 3.0, 7.2.2 (ECAM).
 */
#include "vmm/pci_host.h"

#include <string.h>

#include "vmm/pci_bridge.h"

enum {
	ADDRESS_ENABLE = (int)0x80000000,
	ADDRESS_WRITABLE = (int)0x80fffffc,

	RESET_CONTROL = PCI_RESET_PORT - PCI_CONFIG_PORT,
	RESET_RCPU = 0x04,		/* 0 to 1: reset */

	/* The pcie board wires pin p of slot s to (s + p) mod 8 of these, and
	 * the root ports' own pins to two others. */
	PCIE_GSI_BASE = 16, PCIE_N_GSIS = 8,
	PCIE_PORT_GSI_BASE = 10, PCIE_N_PORT_GSIS = 2,
};

/* The function at an address; NULL: nothing answers there. */
static struct pci_function *find(struct pci_host *host, unsigned int number,
				 unsigned int devfn)
{
	struct pci_bus *bus = pci_bus_find(&host->root, number);

	if (!bus || (bus->above && !pci_bridge_up(bus->above)))
		return NULL;
	return bus->fn[devfn];
}

/* Misaligned accesses across the dword never leave the chipset. */
static bool crosses_dword(uint64_t off, unsigned int len)
{
	return (off & 3) + len > 4;
}

static uint32_t config_read(struct pci_host *host, unsigned int number,
			    unsigned int devfn, unsigned int off,
			    unsigned int len)
{
	struct pci_function *fn;
	uint32_t val = ~0u;

	pthread_mutex_lock(&host->lock);
	fn = find(host, number, devfn);
	if (fn)
		val = fn->ops->config_read(fn, off, len);
	pthread_mutex_unlock(&host->lock);
	return val;
}

static void config_write(struct pci_host *host, unsigned int number,
			 unsigned int devfn, unsigned int off,
			 unsigned int len, uint32_t val)
{
	struct pci_function *fn;

	pthread_mutex_lock(&host->lock);
	fn = find(host, number, devfn);
	if (fn)
		fn->ops->config_write(fn, off, len, val);
	pthread_mutex_unlock(&host->lock);
}

static uint64_t data_read(struct pci_host *host, unsigned int off,
			  unsigned int len)
{
	uint32_t address = __atomic_load_n(&host->address, __ATOMIC_RELAXED);

	if (!(address & (uint32_t)ADDRESS_ENABLE))
		return ~0ull;
	return config_read(host, address >> 16 & 0xff, address >> 8 & 0xff,
			   (address & 0xfc) + off, len);
}

static void data_write(struct pci_host *host, unsigned int off,
		       unsigned int len, uint32_t val)
{
	uint32_t address = __atomic_load_n(&host->address, __ATOMIC_RELAXED);

	if (address & (uint32_t)ADDRESS_ENABLE)
		config_write(host, address >> 16 & 0xff, address >> 8 & 0xff,
			     (address & 0xfc) + off, len, val);
}

static uint64_t host_read(void *opaque, uint64_t off, unsigned int len)
{
	struct pci_host *host = opaque;

	if (crosses_dword(off, len))
		return ~0ull;
	if (off >= 4)
		return data_read(host, off & 3, len);
	if (off == 0 && len == 4)
		return __atomic_load_n(&host->address, __ATOMIC_RELAXED);
	if (off == RESET_CONTROL && len == 1)
		return __atomic_load_n(&host->reset_control, __ATOMIC_RELAXED);
	return ~0ull;		/* CONFIG_ADDRESS takes dwords only */
}

static void host_write(void *opaque, uint64_t off, unsigned int len,
		       uint64_t val)
{
	struct pci_host *host = opaque;

	if (crosses_dword(off, len))
		return;
	if (off >= 4)
		data_write(host, off & 3, len, (uint32_t)val);
	else if (off == 0 && len == 4)
		__atomic_store_n(&host->address,
				 (uint32_t)val & (uint32_t)ADDRESS_WRITABLE,
				 __ATOMIC_RELAXED);
	else if (off == RESET_CONTROL && len == 1) {
		__atomic_store_n(&host->reset_control,
				 (uint8_t)(val & ~(uint64_t)RESET_RCPU),
				 __ATOMIC_RELAXED);
		if (val & RESET_RCPU)
			host->ops->reset(host->opaque);
	}
}

static const struct bus_dev_ops host_ops = {
	.read = host_read,
	.write = host_write,
};

/* Bus, device and function, register: bits 27:20, 19:12, 11:0. */
static uint64_t ecam_read(void *opaque, uint64_t off, unsigned int len)
{
	if (crosses_dword(off, len))
		return ~0ull;
	return config_read(opaque, (unsigned int)(off >> 20) & 0xff,
			   (unsigned int)(off >> 12) & 0xff,
			   (unsigned int)off & (PCI_CONFIG_EXT_SIZE - 1), len);
}

static void ecam_write(void *opaque, uint64_t off, unsigned int len,
		       uint64_t val)
{
	if (!crosses_dword(off, len))
		config_write(opaque, (unsigned int)(off >> 20) & 0xff,
			     (unsigned int)(off >> 12) & 0xff,
			     (unsigned int)off & (PCI_CONFIG_EXT_SIZE - 1),
			     len, (uint32_t)val);
}

static const struct bus_dev_ops ecam_ops = {
	.read = ecam_read,
	.write = ecam_write,
};

int pci_host_init(struct pci_host *host, enum vm_board board,
		  const struct pci_host_ops *ops, void *opaque,
		  struct bus *pio, struct bus *mmio, struct bus_dev *pm)
{
	memset(host, 0, sizeof(*host));
	bus_dev_init(&host->dev, "pci-config", &host_ops, host, 4);
	bus_dev_init(&host->ecam, "pci-ecam", &ecam_ops, host, 4);
	pthread_mutex_init(&host->lock, NULL);
	pthread_mutex_init(&host->line_lock, NULL);
	host->board = board;
	host->ops = ops;
	host->opaque = opaque;
	host->pio = pio;
	host->mmio = mmio;
	host->pm = pm;
	return pci_chips_init(host);
}

void pci_host_fini(struct pci_host *host)
{
	pci_chips_fini(host);
	pthread_mutex_destroy(&host->line_lock);
	pthread_mutex_destroy(&host->lock);
}

static void reset_function(struct pci_function *fn, void *arg)
{
	int *err = arg;
	int this = fn->ops->reset ? fn->ops->reset(fn) : 0;

	if (!*err)
		*err = this;
}

int pci_host_reset(struct pci_host *host)
{
	int err = 0;

	pthread_mutex_lock(&host->lock);
	host->address = 0;
	host->reset_control = 0;
	host->quiet = true;
	pci_bus_walk(&host->root, reset_function, &err);
	pci_chips_setup(host);
	host->quiet = false;
	pthread_mutex_unlock(&host->lock);
	return err;
}

unsigned int pci_host_pirq(unsigned int slot, unsigned int pin)
{
	/* The wiring of dsdt.asl's _PRT; slot 0 has no pins. */
	return (slot + PCI_N_PIRQS - 1 + pin - 1) % PCI_N_PIRQS;
}

int pci_host_gsi(const struct pci_host *host, const struct pci_function *fn,
		 unsigned int pin)
{
	unsigned int slot;

	pin = pci_bus_root_pin(fn, pin, &slot);
	if (host->board == VM_BOARD_PC)
		return pci_chips_pirq_gsi(host, pci_host_pirq(slot, pin));
	/* No card may share the interrupt of a port: Linux's hot-plug driver
	 * takes a card out in its interrupt's thread, and the card's driver
	 * then waits for all threads of the card's own interrupt. */
	if (pin == PCI_PORT_PIN && slot < PCI_PORT_SLOTS)
		return PCIE_PORT_GSI_BASE + (int)(slot % PCIE_N_PORT_GSIS);
	return PCIE_GSI_BASE + (int)((slot + pin - 1) % PCIE_N_GSIS);
}

static void map_function(struct pci_function *fn, void *arg)
{
	if (fn->ops->map)
		fn->ops->map(fn);
}

/* All anew: what is in the way of what depends on all of them. */
void pci_host_map(struct pci_host *host)
{
	if (host->quiet)
		return;
	bus_lock(host->pio);
	bus_lock(host->mmio);
	bus_clear_movable(host->pio);
	bus_clear_movable(host->mmio);
	pci_chips_map(host);
	pci_bus_walk(&host->root, map_function, NULL);
	bus_unlock(host->mmio);
	bus_unlock(host->pio);
}

static void gate_function(struct pci_function *fn, void *arg)
{
	if (fn->ops->gate)
		fn->ops->gate(fn);
}

void pci_host_gate(struct pci_host *host)
{
	if (!host->quiet)
		pci_bus_walk(&host->root, gate_function, NULL);
}

static void route_function(struct pci_function *fn, void *arg)
{
	if (fn->ops->route)
		fn->ops->route(fn);
}

void pci_host_route(struct pci_host *host)
{
	if (!host->quiet)
		pci_bus_walk(&host->root, route_function, NULL);
}

void pci_host_drive(struct pci_host *host, int gsi, bool level)
{
	unsigned int *n = &host->n_driving[gsi];

	pthread_mutex_lock(&host->line_lock);
	if (level ? (*n)++ == 0 : --*n == 0)
		host->ops->set_line(host->opaque, (unsigned int)gsi, level);
	pthread_mutex_unlock(&host->line_lock);
}
