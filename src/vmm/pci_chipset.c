/* SPDX-License-Identifier: Apache-2.0
 *
 * The functions that are part of a board, by a table each; see pci_host.h.
 * References: Intel 82371SB PIIX3 (290550), 82371AB PIIX4 (290562) and I/O
 * Controller Hub 9 (316972) data sheets.
 */
#include <linux/pci_regs.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/log.h"
#include "vmm/acpi.h"
#include "vmm/pci_host.h"

enum {
	CHIP_REGS_MAX = 4,

	/* PIIX3 function 0 (PIIX3 2.2.5). */
	PIIX3_PIRQ = 0x60,		/* PIRQRC[A:D] */
	PIRQ_DISABLE = 0x80, PIRQ_IRQ = 0x0f,

	/* Power management: where its ports are, and whether they are on.
	 * PIIX4 7.2.1, 7.2.10; ICH9 13.1.13, 13.1.14. */
	PMBASE = 0x40, PMBASE_IO = 1,
	PIIX4_PMREGMISC = 0x80, PIIX4_PMIOSE = BIT(0),
	ICH9_ACPI_CNTL = 0x44, ICH9_ACPI_EN = BIT(7),

	/* Q35 MCH: where the config space is; here it cannot be moved. */
	MCH_PCIEXBAR = 0x60, PCIEXBAR_ENABLE = 1,
};

/* IRQs a PIRQ can be routed to; others are reserved (PIIX3 2.2.5). */
static const uint16_t pirq_irqs = BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(7) |
	BIT(9) | BIT(10) | BIT(11) | BIT(12) | BIT(14) | BIT(15);

/* A register beside the standard header; none at offset 0. */
struct chip_reg {
	uint8_t off;
	uint32_t reset_val;
	uint32_t writable;
};

struct chip_row {
	unsigned int devfn;
	struct pci_ident ident;
	struct chip_reg reg[CHIP_REGS_MAX];
};

/* Which chip has the power management ports, and what switches them on. */
struct board_chips {
	unsigned int n_chips;
	struct chip_row chip[PCI_N_CHIPS];
	unsigned int pm_chip;		/* index */
	unsigned int pm_len;		/* bytes of ports */
	unsigned int pm_enable_reg;	/* byte ... */
	uint8_t pm_enable_bit;		/* ... and bit */
};

static const struct board_chips boards[N_VM_BOARDS] = {
	[VM_BOARD_PC] = {
		.n_chips = 3,
		.chip = {
			{ .devfn = PCI_DEVFN(0, 0), .ident = {
				.vendor = 0x8086, .device = 0x1237,
				.class_code = 0x060000, .revision = 0x02 } },
			{ .devfn = PCI_DEVFN(1, 0), .ident = {
				.vendor = 0x8086, .device = 0x7000,
				.class_code = 0x060100, .header_type = 0x80 },
			  .reg = { { PIIX3_PIRQ, 0x80808080, 0x8f8f8f8f } } },
			{ .devfn = PCI_DEVFN(1, 3), .ident = {
				.vendor = 0x8086, .device = 0x7113,
				.class_code = 0x068000, .revision = 0x03,
				.intx_pin = 1 },
			  .reg = { { PMBASE, PMBASE_IO, 0xffc0 },
			    { PIIX4_PMREGMISC, 0, PIIX4_PMIOSE } } },
		},
		.pm_chip = 2, .pm_len = 64,
		.pm_enable_reg = PIIX4_PMREGMISC, .pm_enable_bit = PIIX4_PMIOSE,
	},
	[VM_BOARD_PCIE] = {
		.n_chips = 2,
		.chip = {
			{ .devfn = PCI_DEVFN(0, 0), .ident = {
				.vendor = 0x8086, .device = 0x29c0,
				.class_code = 0x060000 },
			  .reg = { { MCH_PCIEXBAR,
				     VM_ECAM_BASE | PCIEXBAR_ENABLE, 0 } } },
			{ .devfn = PCI_DEVFN(31, 0), .ident = {
				.vendor = 0x8086, .device = 0x2918,
				.class_code = 0x060100, .revision = 0x02 },
			  .reg = { { PMBASE, PMBASE_IO, 0xff80 },
			    { ICH9_ACPI_CNTL, 0, ICH9_ACPI_EN | 7 } } },
		},
		.pm_chip = 1, .pm_len = 128,
		.pm_enable_reg = ICH9_ACPI_CNTL, .pm_enable_bit = ICH9_ACPI_EN,
	},
};

static const struct board_chips *chips_of(const struct pci_host *host)
{
	return &boards[host->board];
}

static void config_written(struct pci_dev *dev, unsigned int off,
			   unsigned int len)
{
	struct pci_chip *chip = container_of(dev, struct pci_chip, dev);
	struct pci_host *host = chip->host;
	const struct board_chips *board = chips_of(host);

	if (host->board == VM_BOARD_PC && chip == &host->chip[1] &&
	    ranges_overlap(off, len, PIIX3_PIRQ, PCI_N_PIRQS))
		pci_host_route(host);
	if (chip == &host->chip[board->pm_chip] &&
	    (ranges_overlap(off, len, PMBASE, 4) ||
	     ranges_overlap(off, len, board->pm_enable_reg, 1)))
		pci_host_map(host);
}

/* None has BARs, nor anything of its own to reset. */
static const struct pci_dev_ops chip_dev_ops = {
	.model = "chipset",
	.config_written = config_written,
};

static struct pci_chip *chip_of(struct pci_function *fn)
{
	return container_of(fn, struct pci_chip, fn);
}

static uint32_t chip_config_read(struct pci_function *fn, unsigned int off,
				 unsigned int len)
{
	return (uint32_t)pci_config_read(&chip_of(fn)->dev, off, len);
}

static void chip_config_write(struct pci_function *fn, unsigned int off,
			      unsigned int len, uint32_t val)
{
	pci_config_write(&chip_of(fn)->dev, off, len, val);
}

static int chip_reset(struct pci_function *fn)
{
	pci_dev_reset(&chip_of(fn)->dev, PCI_RESET_POWER_ON);
	return 0;
}

static const struct pci_function_ops chip_ops = {
	.config_read = chip_config_read,
	.config_write = chip_config_write,
	.reset = chip_reset,
};

static int init_chip(struct pci_host *host, struct pci_chip *chip,
		     const struct chip_row *row)
{
	int err = pci_dev_init(&chip->dev, &chip_dev_ops, "chipset",
			       &row->ident, NULL, PCI_CONFIG_SIZE);

	if (err)
		return err;
	for (unsigned int i = 0; i < CHIP_REGS_MAX && row->reg[i].off; i++) {
		const struct chip_reg *reg = &row->reg[i];

		le32_store(chip->dev.reset_val + reg->off, reg->reset_val);
		le32_store(chip->dev.writable + reg->off, reg->writable);
	}
	chip->host = host;
	chip->fn.ops = &chip_ops;
	pci_bus_add(&host->root, row->devfn, &chip->fn);
	return 0;
}

int pci_chips_init(struct pci_host *host)
{
	const struct board_chips *board = chips_of(host);
	int err = 0;

	while (!err && host->n_chips < board->n_chips) {
		err = init_chip(host, &host->chip[host->n_chips],
				&board->chip[host->n_chips]);
		if (!err)
			host->n_chips++;
	}
	return err;
}

void pci_chips_fini(struct pci_host *host)
{
	while (host->n_chips)
		pci_dev_fini(&host->chip[--host->n_chips].dev);
}

void pci_chips_setup(struct pci_host *host)
{
	static const uint8_t route[PCI_N_PIRQS] = { 10, 10, 11, 11 };
	const struct board_chips *board = chips_of(host);
	struct pci_dev *pm = &host->chip[board->pm_chip].dev;

	if (host->board == VM_BOARD_PC)
		for (unsigned int i = 0; i < PCI_N_PIRQS; i++)
			pci_config_write(&host->chip[1].dev, PIIX3_PIRQ + i,
					 1, route[i]);
	pci_config_write(pm, PMBASE, 4, PM_PORT);
	if (pm->config[PCI_INTERRUPT_PIN])
		pci_config_write(pm, PCI_INTERRUPT_LINE, 1, ACPI_SCI_IRQ);
	pci_config_write(pm, board->pm_enable_reg, 1, board->pm_enable_bit);
}

void pci_chips_map(struct pci_host *host)
{
	const struct board_chips *board = chips_of(host);
	const uint8_t *c = host->chip[board->pm_chip].dev.config;
	uint16_t base = le16_load(c + PMBASE) & (uint16_t)~PMBASE_IO;

	if (base && (c[board->pm_enable_reg] & board->pm_enable_bit) &&
	    bus_add(host->pio, base, board->pm_len, host->pm, true))
		log_limited(LOG_DEBUG, "power management ports at %#x: taken",
			    base);
}

int pci_chips_pirq_gsi(const struct pci_host *host, unsigned int pirq)
{
	uint8_t route = host->chip[1].dev.config[PIIX3_PIRQ + pirq];

	if ((route & PIRQ_DISABLE) || !(pirq_irqs & BIT(route & PIRQ_IRQ)))
		return IRQ_NO_GSI;
	return route & PIRQ_IRQ;
}
