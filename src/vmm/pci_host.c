/* SPDX-License-Identifier: Apache-2.0
 *
 * PCI host bridge; see pci_host.h.  References: PCI Local Bus Specification
 * 3.0, 3.2.2.3 (mechanism #1); Intel 82371SB PIIX3 data sheet (290550).
 */
#include "vmm/pci_host.h"

#include <string.h>

#include "vmm/irq.h"

enum {
	ADDRESS_ENABLE = (int)0x80000000,
	ADDRESS_WRITABLE = (int)0x80fffffc,

	/* PIIX3 function 0. */
	PIIX3_PIRQ = 0x60,		/* PIRQRC[A:D] */
	PIRQ_DISABLE = 0x80, PIRQ_IRQ = 0x0f,
	PIRQ_WRITABLE = 0x8f,

	RESET_CONTROL = PCI_RESET_PORT - PCI_CONFIG_PORT,
	RESET_RCPU = 0x04,		/* 0 to 1: reset */
};

/* IRQs a PIRQ can be routed to; others are reserved (2.2.5). */
static const uint16_t pirq_irqs = BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(7) |
	BIT(9) | BIT(10) | BIT(11) | BIT(12) | BIT(14) | BIT(15);

static void isa_config_written(struct pci_dev *dev, unsigned int off,
			       unsigned int len)
{
	struct pci_host *host = container_of(dev, struct pci_host, isa);

	if (ranges_overlap(off, len, PIIX3_PIRQ, PCI_N_PIRQS))
		host->pirq_changed(host->opaque);
}

/* Neither has BARs, nor anything of its own to reset. */
static const struct pci_dev_ops bridge_ops = {
	.model = "i440fx",
};

static const struct pci_dev_ops isa_ops = {
	.model = "piix3",
	.config_written = isa_config_written,
};

static const struct pci_ident bridge_ident = {
	.vendor = 0x8086, .device = 0x1237, .class_code = 0x060000,
	.revision = 0x02,
};

static const struct pci_ident isa_ident = {
	.vendor = 0x8086, .device = 0x7000, .class_code = 0x060100,
};

static uint32_t dev_config_read(void *opaque, unsigned int off,
				unsigned int len)
{
	return (uint32_t)pci_config_read(opaque, off, len);
}

static void dev_config_write(void *opaque, unsigned int off, unsigned int len,
			     uint32_t val)
{
	pci_config_write(opaque, off, len, val);
}

/* The slot that CONFIG_ADDRESS selects; NULL: nothing is there. */
static struct pci_slot *selected(struct pci_host *host, uint32_t address)
{
	unsigned int slot = address >> 11 & (PCI_N_SLOTS - 1);
	unsigned int bus = address >> 16 & 0xff;
	unsigned int function = address >> 8 & 7;

	if (!(address & (uint32_t)ADDRESS_ENABLE) || bus || function ||
	    !host->slot[slot].config_read)
		return NULL;
	return &host->slot[slot];
}

static uint64_t data_read(struct pci_host *host, unsigned int off,
			  unsigned int len)
{
	uint32_t address = __atomic_load_n(&host->address, __ATOMIC_RELAXED);
	struct pci_slot *slot = selected(host, address);
	uint32_t val = ~0u;

	if (!slot)
		return val;
	pthread_mutex_lock(&host->lock);
	val = slot->config_read(slot->opaque, (address & 0xfc) + off, len);
	pthread_mutex_unlock(&host->lock);
	return val;
}

static void data_write(struct pci_host *host, unsigned int off,
		       unsigned int len, uint32_t val)
{
	uint32_t address = __atomic_load_n(&host->address, __ATOMIC_RELAXED);
	struct pci_slot *slot = selected(host, address);

	if (!slot)
		return;
	pthread_mutex_lock(&host->lock);
	slot->config_write(slot->opaque, (address & 0xfc) + off, len, val);
	pthread_mutex_unlock(&host->lock);
}

/* Misaligned accesses across the dword never leave the chipset. */
static bool crosses_dword(uint64_t off, unsigned int len)
{
	return (off & 3) + len > 4;
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
			host->power->reset(host->opaque);
	}
}

static const struct bus_dev_ops host_ops = {
	.read = host_read,
	.write = host_write,
};

int pci_host_init(struct pci_host *host, const struct power_ops *power,
		  void (*pirq_changed)(void *opaque), void *opaque)
{
	int err;

	memset(host, 0, sizeof(*host));
	bus_dev_init(&host->dev, "pci-config", &host_ops, host, 4);
	pthread_mutex_init(&host->lock, NULL);
	host->power = power;
	host->pirq_changed = pirq_changed;
	host->opaque = opaque;
	err = pci_dev_init(&host->bridge, &bridge_ops, "host bridge",
			   &bridge_ident, NULL, PCI_CONFIG_SIZE);
	if (err)
		return err;
	err = pci_dev_init(&host->isa, &isa_ops, "ISA bridge", &isa_ident,
			   NULL, PCI_CONFIG_SIZE);
	if (err) {
		pci_dev_fini(&host->bridge);
		return err;
	}
	for (unsigned int i = 0; i < PCI_N_PIRQS; i++) {
		host->isa.reset_val[PIIX3_PIRQ + i] = PIRQ_DISABLE;
		host->isa.writable[PIIX3_PIRQ + i] = PIRQ_WRITABLE;
	}
	host->slot[PCI_SLOT_HOST] = (struct pci_slot){
		dev_config_read, dev_config_write, &host->bridge,
	};
	host->slot[PCI_SLOT_ISA] = (struct pci_slot){
		dev_config_read, dev_config_write, &host->isa,
	};
	return 0;
}

void pci_host_fini(struct pci_host *host)
{
	pci_dev_fini(&host->isa);
	pci_dev_fini(&host->bridge);
	pthread_mutex_destroy(&host->lock);
}

void pci_host_reset(struct pci_host *host)
{
	static const uint8_t route[PCI_N_PIRQS] = { 10, 10, 11, 11 };

	pthread_mutex_lock(&host->lock);
	host->address = 0;
	host->reset_control = 0;
	pci_dev_reset(&host->bridge, PCI_RESET_POWER_ON);
	pci_dev_reset(&host->isa, PCI_RESET_POWER_ON);
	for (unsigned int i = 0; i < PCI_N_PIRQS; i++)
		pci_config_write(&host->isa, PIIX3_PIRQ + i, 1, route[i]);
	pthread_mutex_unlock(&host->lock);
}

int pci_host_pirq_gsi(const struct pci_host *host, unsigned int pirq)
{
	uint8_t route = host->isa.config[PIIX3_PIRQ + pirq];

	if ((route & PIRQ_DISABLE) || !(pirq_irqs & BIT(route & PIRQ_IRQ)))
		return IRQ_NO_GSI;
	return route & PIRQ_IRQ;
}

unsigned int pci_host_pirq(unsigned int slot, unsigned int pin)
{
	/* The wiring of dsdt.asl's _PRT; slot 0 has no pins. */
	return (slot + PCI_N_PIRQS - 1 + pin - 1) % PCI_N_PIRQS;
}
