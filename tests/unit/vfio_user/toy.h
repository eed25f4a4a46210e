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
#include "pci/shared_regs.h"

enum {
	TOY_BAR_SIZE = 0x1000,
	TOY_INTX = 0x800,	/* write: level of INTx */
	TOY_MSI = 0x804,	/* write: signal this vector */
	TOY_DMA_TO = 0x808,	/* write, 8 bytes: put "toy!" at this address */
	TOY_DMA_OK = 0x810,	/* read: did that work? */
	TOY_HASH = 0x818,	/* write: a number more; read: the hash of all
				 * of them, in their order */
	TOY_REGS_END = 0x820,
	/* Registers that can be shared: */
	TOY_CAUSE = 0x820,	/* read: causes, which are cleared */
	TOY_MASK_SET = 0x824,	/* write: let these causes interrupt */
	TOY_MASK_CLEAR = 0x828,	/* write: no longer */
	TOY_INFO = 0x82c,	/* read: TOY_INFO_VALUE */
	TOY_RAISE = 0x830,	/* write: these causes; cannot be shared */
	TOY_STORE = 0x834,	/* read, write: plain */
	TOY_CALL = 0x838,	/* the same; its write calls who sleeps */
	TOY_SHARED_END = 0x83c,
	TOY_INFO_VALUE = 0x70791f0,
	TOY_MASKABLE = 0xff,	/* causes */
	TOY_STORED = 0xffff,	/* bits of TOY_STORE and TOY_CALL */
	TOY_MSI_CAP = 0x50,
	TOY_VECTORS = 4,	/* MSI */
	TOY_MSIX_CAP = 0x60,
	TOY_MSIX_VECTORS = 70,	/* more than one word of pending bits */
	TOY_MSIX_BAR = 2,	/* 64 bit, prefetchable; 3 is its upper half */
	TOY_TABLE = 0, TOY_PBA = 0x800,
};

struct toy {
	struct pci_dev pci;
	uint8_t mem[TOY_BAR_SIZE];	/* BAR 0 */
	unsigned int n_resets;		/* of any kind */
	unsigned int n_dma_changed;	/* calls */
	unsigned int widest;		/* access seen, bytes */
	bool busy;			/* quiesce has to wait */
	unsigned int n_quiesce, n_resume;	/* calls */
	struct pci_doorbell doorbells[3];
	/* Causes, mask, info, store, call, asleep; or in a page: */
	uint32_t own_words[6];
	uint32_t *words;
};

static struct toy *toy_of(struct pci_dev *dev)
{
	return container_of(dev, struct toy, pci);
}

static void toy_level(struct toy *toy)
{
	pci_set_intx(&toy->pci, pci_shared_load(&toy->words[0]) &
		     pci_shared_load(&toy->words[1]));
}

static uint32_t toy_shared_read(struct toy *toy, uint64_t off)
{
	uint32_t val = 0;

	if (off == TOY_CAUSE)
		val = __atomic_exchange_n(&toy->words[0], 0, __ATOMIC_SEQ_CST);
	else if (off == TOY_INFO)
		val = toy->words[2];
	else if (off == TOY_STORE || off == TOY_CALL)
		val = pci_shared_load(&toy->words[off == TOY_STORE ? 3 : 4]);
	toy_level(toy);
	return val;
}

static void toy_shared_write(struct toy *toy, uint64_t off, uint32_t val)
{
	uint32_t before;

	switch (off) {
	case TOY_MASK_SET:
		__atomic_fetch_or(&toy->words[1], val & TOY_MASKABLE,
				  __ATOMIC_SEQ_CST);
		break;
	case TOY_MASK_CLEAR:
		__atomic_fetch_and(&toy->words[1], ~val, __ATOMIC_SEQ_CST);
		break;
	case TOY_RAISE:
		before = __atomic_fetch_or(&toy->words[0], val,
					   __ATOMIC_SEQ_CST);
		if (!(before & toy->words[1]))
			pci_set_intx(&toy->pci, false);
		break;
	case TOY_STORE:
	case TOY_CALL:
		__atomic_store_n(&toy->words[off == TOY_STORE ? 3 : 4],
				 val & TOY_STORED, __ATOMIC_SEQ_CST);
		break;
	default:
		return;
	}
	toy_level(toy);
}

static void toy_share(struct pci_dev *dev, struct pci_shared_page *page)
{
	struct toy *toy = toy_of(dev);
	uint32_t *words = page ? page->word : toy->own_words;

	for (unsigned int i = 0; i < ARRAY_SIZE(toy->own_words); i++)
		words[i] = pci_shared_load(&toy->words[i]);
	toy->words = words;
}

static void toy_shared_changed(struct pci_dev *dev)
{
	/* Otherwise TOY_INTX may have set the level. */
	if (toy_of(dev)->words != toy_of(dev)->own_words)
		toy_level(toy_of(dev));
}

static uint64_t toy_read(struct pci_dev *dev, unsigned int bar, uint64_t off,
			 unsigned int len)
{
	uint64_t val = 0;

	if (!bar && off >= TOY_CAUSE && off < TOY_SHARED_END)
		return toy_shared_read(toy_of(dev), off);
	memcpy(&val, toy_of(dev)->mem + off, len);
	return val;
}

static uint32_t toy_hash(uint32_t hash, uint32_t val)
{
	return 31 * hash + val;
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
	else if (off == TOY_HASH)
		le32_store(toy->mem + off, toy_hash(le32_load(toy->mem + off),
						    (uint32_t)val));
	else if (off == TOY_DMA_TO)
		toy->mem[TOY_DMA_OK] = !dma_write(dev->dma, val, "toy!", 4);
	else if (!bar && off >= TOY_CAUSE && off < TOY_SHARED_END)
		toy_shared_write(toy, off, (uint32_t)val);
	else if (off < TOY_INTX || off >= TOY_REGS_END)
		memcpy(toy->mem + off, &val, len);
}

static void toy_reset(struct pci_dev *dev, enum pci_reset kind)
{
	struct toy *toy = toy_of(dev);

	memset(toy->mem, 0, sizeof(toy->mem));
	toy->words[0] = toy->words[1] = 0;
	toy->words[3] = toy->words[4] = 0;
	toy->words[2] = TOY_INFO_VALUE;
	toy->n_resets++;
}

static void toy_dma_changed(struct pci_dev *dev)
{
	toy_of(dev)->n_dma_changed++;
}

static bool toy_quiesce(struct pci_dev *dev)
{
	toy_of(dev)->n_quiesce++;
	return !toy_of(dev)->busy;
}

static void toy_resume(struct pci_dev *dev)
{
	toy_of(dev)->n_resume++;
}

static int toy_init(struct toy *toy)
{
	static const struct pci_dev_ops ops = {
		.model = "toy", .bar_read = toy_read, .bar_write = toy_write,
		.reset = toy_reset, .dma_changed = toy_dma_changed,
		.quiesce = toy_quiesce, .resume = toy_resume,
		.share = toy_share, .shared_changed = toy_shared_changed,
	};
	static const struct pci_shared_reg shared[] = {
		{ 0, TOY_CAUSE, PCI_SHARED_READ_CLEAR, 0, 0, 0 },
		{ 0, TOY_MASK_SET, PCI_SHARED_SET, 1, 0, TOY_MASKABLE },
		{ 0, TOY_MASK_CLEAR, PCI_SHARED_CLEAR, 1, 0, 0 },
		{ 0, TOY_INFO, PCI_SHARED_READ, 2, 0, 0 },
		{ 0, TOY_STORE, PCI_SHARED_STORE, 3, 0, TOY_STORED },
		{ 0, TOY_CALL, PCI_SHARED_STORE_CALL, 4, 5, TOY_STORED },
		{ 0, TOY_HASH, PCI_SHARED_APART, 0, 0, 0 },
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
	toy->words = toy->own_words;
	err = pci_dev_init(&toy->pci, &ops, "toy", &ident, bars,
			   PCI_CONFIG_SIZE);
	if (err)
		return err;
	toy->pci.shared_regs = shared;
	toy->pci.n_shared_regs = ARRAY_SIZE(shared);
	pci_add_msi(&toy->pci, TOY_MSI_CAP, TOY_VECTORS, false);
	pci_add_msix(&toy->pci, TOY_MSIX_CAP, &place);
	pci_dev_reset(&toy->pci, PCI_RESET_POWER_ON);
	return 0;
}

#endif
