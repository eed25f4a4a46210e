/* SPDX-License-Identifier: Apache-2.0
 *
 * A toy PCI function for the tests: a BAR of plain memory with a few registers
 * that make it do things.
 */
#ifndef TESTS_VFIO_USER_TOY_H
#define TESTS_VFIO_USER_TOY_H

#include <string.h>
#include <linux/pci_regs.h>

#include "base/byteorder.h"
#include "mem/dma.h"
#include "pci/pci.h"

enum {
	TOY_BAR_SIZE = 0x1000,
	TOY_INTX = 0x800,	/* write: level of INTx */
	TOY_MSI = 0x804,	/* write: signal this vector */
	TOY_DMA_TO = 0x808,	/* write, 8 bytes: put "toy!" at this address */
	TOY_DMA_OK = 0x810,	/* read: did that work? */
	TOY_REGS_END = 0x820,
	TOY_MSI_CAP = 0x50,
	TOY_VECTORS = 4,	/* MSI */
	TOY_MSIX_CAP = 0x60,
	TOY_MSIX_VECTORS = 70,	/* more than one word of pending bits */
	TOY_MSIX_BAR = 2,	/* 64 bit, prefetchable; 3 is its upper half */
	TOY_TABLE = 0, TOY_PBA = 0x800,
	TOY_BELLS = 0x900, TOY_BELL_STRIDE = 8, TOY_N_BELLS = 3,
};

struct toy {
	struct pci_dev pci;
	uint8_t mem[TOY_BAR_SIZE];	/* BAR 0 */
	unsigned int n_resets;		/* of any kind */
	unsigned int n_dma_changed;	/* calls */
	unsigned int widest;		/* access seen, bytes */
	unsigned int n_rung;		/* doorbells, by eventfd */
};

static struct toy *toy_of(struct pci_dev *dev)
{
	return container_of(dev, struct toy, pci);
}

static uint64_t toy_read(struct pci_dev *dev, unsigned int bar, uint64_t off,
			 unsigned int len)
{
	uint64_t val = 0;

	memcpy(&val, toy_of(dev)->mem + off, len);
	return val;
}

static void toy_write(struct pci_dev *dev, unsigned int bar, uint64_t off,
		      unsigned int len, uint64_t val)
{
	struct toy *toy = toy_of(dev);

	toy->widest = max_of(toy->widest, len);
	if (off == TOY_INTX)
		pci_set_intx(dev, val);
	else if (off == TOY_MSI)
		pci_msi(dev, (unsigned int)val);
	else if (off == TOY_DMA_TO)
		toy->mem[TOY_DMA_OK] = !dma_write(dev->dma, val, "toy!", 4);
	else if (off < TOY_INTX || off >= TOY_REGS_END)
		memcpy(toy->mem + off, &val, len);
}

static void toy_reset(struct pci_dev *dev, enum pci_reset kind)
{
	struct toy *toy = toy_of(dev);

	memset(toy->mem, 0, sizeof(toy->mem));
	toy->n_resets++;
}

static void toy_dma_changed(struct pci_dev *dev)
{
	toy_of(dev)->n_dma_changed++;
}

static void toy_doorbell(struct pci_dev *dev)
{
	__atomic_add_fetch(&toy_of(dev)->n_rung, 1, __ATOMIC_RELAXED);
}

static int toy_init(struct toy *toy)
{
	static const struct pci_dev_ops ops = {
		.model = "toy", .bar_read = toy_read, .bar_write = toy_write,
		.reset = toy_reset, .dma_changed = toy_dma_changed,
		.doorbell = toy_doorbell,
	};
	static const struct pci_ident ident = {
		.vendor = 0x1234, .device = 0x5678, .intx_pin = 1,
		.n_msix = TOY_MSIX_VECTORS,
	};
	static const struct pci_bar bars[PCI_N_BARS + 1] = {
		{ PCI_BAR_MEM32, false, TOY_BAR_SIZE },
		[TOY_MSIX_BAR] = { PCI_BAR_MEM64, true, TOY_BAR_SIZE },
	};
	static const struct pci_msix_place place = {
		TOY_MSIX_BAR, TOY_MSIX_BAR, TOY_TABLE, TOY_PBA,
	};
	int err;

	memset(toy, 0, sizeof(*toy));
	err = pci_dev_init(&toy->pci, &ops, "toy", &ident, bars,
			   PCI_CONFIG_SIZE);
	if (err)
		return err;
	toy->pci.doorbells = (struct pci_doorbells) {
		.bar = 0, .n = TOY_N_BELLS, .off = TOY_BELLS,
		.stride = TOY_BELL_STRIDE,
	};
	pci_add_msi(&toy->pci, TOY_MSI_CAP, TOY_VECTORS, false);
	pci_add_msix(&toy->pci, TOY_MSIX_CAP, &place);
	pci_dev_reset(&toy->pci, PCI_RESET_POWER_ON);
	return 0;
}

#endif
