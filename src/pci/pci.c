/* SPDX-License-Identifier: Apache-2.0
 *
 * Config space of a function or a bridge, by its catalogue of reset value,
 * writable bits and write-1-to-clear bits; BARs; what capabilities do when they
 * are written.  PCI Local Bus Specification 3.0, chapter 6; PCI-to-PCI Bridge
 * Architecture Specification 1.2, chapter 3.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/pci_regs.h>

#include "base/byteorder.h"
#include "pci/pci_internal.h"

enum {
	COMMAND_WRITABLE = PCI_COMMAND_IO | PCI_COMMAND_MEMORY |
		PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
		PCI_COMMAND_INTX_DISABLE,
	STATUS_W1C = PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT |
		PCI_STATUS_REC_TARGET_ABORT | PCI_STATUS_REC_MASTER_ABORT |
		PCI_STATUS_SIG_SYSTEM_ERROR | PCI_STATUS_DETECTED_PARITY,
	BRIDGE_CONTROL_WRITABLE = PCI_BRIDGE_CTL_PARITY |
		PCI_BRIDGE_CTL_SERR | PCI_BRIDGE_CTL_ISA | PCI_BRIDGE_CTL_VGA |
		PCI_BRIDGE_CTL_MASTER_ABORT | PCI_BRIDGE_CTL_BUS_RESET,
	HEADER_TYPE_MASK = 0x7f,	/* of PCI_HEADER_TYPE */
	BRIDGE_N_BARS = 2,
};

/* Smallest decoders there are: the bits below are flags (6.2.5.1, 6.2.5.2). */
enum { BAR_MIN_IO = 4, BAR_MIN_MEM = 16, BAR_MIN_ROM = 2048 };

static uint16_t command(const struct pci_dev *dev)
{
	return le16_load(dev->config + PCI_COMMAND);
}

/* The register of a BAR: flags after reset; the address bits writable, which
 * is what a guest finds the size by. */
static void init_bar(struct pci_dev *dev, unsigned int i)
{
	const struct pci_bar *bar = &dev->bar[i];
	bool is_rom = i == PCI_ROM_BAR;
	unsigned int reg = is_rom ? PCI_ROM_ADDRESS :
		PCI_BASE_ADDRESS_0 + 4 * i;
	uint64_t address = ~(bar->size - 1);
	uint32_t flags = 0;

	if (bar->kind == PCI_BAR_NONE)
		return;
	assert(is_power_of_two(bar->size));
	assert(bar->size >= (is_rom ? BAR_MIN_ROM :
			     bar->kind == PCI_BAR_IO ? BAR_MIN_IO :
			     BAR_MIN_MEM));
	if (is_rom)
		address |= PCI_ROM_ADDRESS_ENABLE;
	else if (bar->kind == PCI_BAR_IO)
		flags = PCI_BASE_ADDRESS_SPACE_IO;
	else if (bar->prefetchable)
		flags = PCI_BASE_ADDRESS_MEM_PREFETCH;
	if (bar->kind == PCI_BAR_MEM64) {
		assert(i + 1 < PCI_N_BARS &&
		       dev->bar[i + 1].kind == PCI_BAR_NONE);
		flags |= PCI_BASE_ADDRESS_MEM_TYPE_64;
		le32_store(dev->writable + reg + 4, (uint32_t)(address >> 32));
	}
	le32_store(dev->reset_val + reg, flags);
	le32_store(dev->writable + reg, (uint32_t)address);
}

/* Bus numbers and windows; what a window does is its owner's business. */
static void init_bridge(struct pci_dev *dev)
{
	uint8_t *w = dev->writable;

	w[PCI_PRIMARY_BUS] = w[PCI_SECONDARY_BUS] = 0xff;
	w[PCI_SUBORDINATE_BUS] = 0xff;
	w[PCI_IO_BASE] = w[PCI_IO_LIMIT] = (uint8_t)PCI_IO_RANGE_MASK;
	le16_store(dev->w1c + PCI_SEC_STATUS, STATUS_W1C);
	le16_store(w + PCI_MEMORY_BASE, (uint16_t)PCI_MEMORY_RANGE_MASK);
	le16_store(w + PCI_MEMORY_LIMIT, (uint16_t)PCI_MEMORY_RANGE_MASK);
	le16_store(w + PCI_PREF_MEMORY_BASE, (uint16_t)PCI_PREF_RANGE_MASK);
	le16_store(w + PCI_PREF_MEMORY_LIMIT, (uint16_t)PCI_PREF_RANGE_MASK);
	dev->reset_val[PCI_PREF_MEMORY_BASE] = PCI_PREF_RANGE_TYPE_64;
	dev->reset_val[PCI_PREF_MEMORY_LIMIT] = PCI_PREF_RANGE_TYPE_64;
	le32_store(w + PCI_PREF_BASE_UPPER32, ~0u);
	le32_store(w + PCI_PREF_LIMIT_UPPER32, ~0u);
	le16_store(w + PCI_BRIDGE_CONTROL, BRIDGE_CONTROL_WRITABLE);
}

static void init_header(struct pci_dev *dev, const struct pci_ident *ident)
{
	uint8_t *v = dev->reset_val;

	le16_store(v + PCI_VENDOR_ID, ident->vendor);
	le16_store(v + PCI_DEVICE_ID, ident->device);
	le32_store(v + PCI_CLASS_REVISION,
		   ident->class_code << 8 | ident->revision);
	v[PCI_HEADER_TYPE] = ident->header_type;
	v[PCI_INTERRUPT_PIN] = ident->intx_pin;
	if ((ident->header_type & HEADER_TYPE_MASK) == PCI_HEADER_TYPE_NORMAL) {
		le16_store(v + PCI_SUBSYSTEM_VENDOR_ID, ident->subsys_vendor);
		le16_store(v + PCI_SUBSYSTEM_ID, ident->subsys);
	} else {
		init_bridge(dev);
	}

	le16_store(dev->writable + PCI_COMMAND, COMMAND_WRITABLE);
	dev->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	dev->writable[PCI_LATENCY_TIMER] = 0xff;
	dev->writable[PCI_INTERRUPT_LINE] = 0xff;
	le16_store(dev->w1c + PCI_STATUS, STATUS_W1C);
}

/* The state block: head, the model's part, MSI-X table, pending bits. */
static int init_state(struct pci_dev *dev, unsigned int n_msix)
{
	size_t align = _Alignof(struct pci_state);
	size_t msix_off = align_up(sizeof(struct pci_state) +
				   dev->ops->state_size, align);
	size_t size = align_up(msix_off + msix_table_size(n_msix) +
			       msix_pba_size(n_msix), align);

	dev->state = aligned_alloc(align, size);
	if (!dev->state)
		return -ENOMEM;
	memset(dev->state, 0, size);
	dev->state->magic = PCI_STATE_MAGIC;
	dev->state->version = dev->ops->state_version;
	dev->state->size = (uint32_t)size;
	dev->state->config_size = dev->config_size;
	dev->state->msix_off = (uint32_t)msix_off;
	dev->state->n_msix = n_msix;
	dev->config = dev->state->config;
	return 0;
}

int pci_dev_init(struct pci_dev *dev, const struct pci_dev_ops *ops,
		 const char *name, const struct pci_ident *ident,
		 const struct pci_bar *bars, unsigned int config_size)
{
	unsigned int n_bars = (ident->header_type & HEADER_TYPE_MASK) ==
		PCI_HEADER_TYPE_NORMAL ? PCI_ROM_BAR + 1 : BRIDGE_N_BARS;
	int err;

	assert(config_size == PCI_CONFIG_SIZE ||
	       config_size == PCI_CONFIG_EXT_SIZE);
	assert(ident->n_msix <= MSIX_VECTORS_MAX);
	memset(dev, 0, sizeof(*dev));
	dev->config_size = config_size;
	dev->ops = ops;
	dev->name = name;
	err = init_state(dev, ident->n_msix);
	if (err)
		return err;
	dev->free_cap = PCI_STD_HEADER_SIZEOF;
	dev->free_ext_cap = PCI_CONFIG_SIZE;
	init_header(dev, ident);
	for (unsigned int i = 0; bars && i < n_bars; i++)
		dev->bar[i] = bars[i];
	for (unsigned int i = 0; i < n_bars; i++)
		init_bar(dev, i);
	memcpy(dev->config, dev->reset_val, config_size);
	return 0;
}

void pci_dev_fini(struct pci_dev *dev)
{
	free(dev->state);
	dev->state = NULL;
	dev->config = NULL;
}

/* ---- what a guest does ---- */

void pci_dev_reset(struct pci_dev *dev, enum pci_reset kind)
{
	bool pin = pci_intx_pin(dev);

	memcpy(dev->config, dev->reset_val, dev->config_size);
	if (dev->msix.n)
		msix_reset(&dev->msix);
	dev->intx_level = false;
	dev->level_sent = false;
	pci_irq_update(dev, pin);
	if (dev->ops->reset)
		dev->ops->reset(dev, kind);
}

/* @val's low @len bytes, @len <= 8. */
static uint64_t low_bytes(uint64_t val, unsigned int len)
{
	return len == sizeof(val) ? val : val & (BIT64(8 * len) - 1);
}

uint64_t pci_config_read(struct pci_dev *dev, unsigned int off,
			 unsigned int len)
{
	uint64_t val = ~0ull;

	if (len > sizeof(val))
		return val;
	if (range_within(off, len, dev->config_size)) {
		if (dev->ops->config_reading)
			dev->ops->config_reading(dev, off, len);
		memcpy(&val, dev->config + off, len);
	}
	return low_bytes(val, len);
}

static unsigned int power_state(const struct pci_dev *dev)
{
	return dev->pm_cap ? dev->config[dev->pm_cap + PCI_PM_CTRL] &
		PCI_PM_CTRL_STATE_MASK : 0;
}

bool pci_powered(const struct pci_dev *dev)
{
	return !power_state(dev);
}

/* The power state has been written; true: the function has been reset. */
static bool power_written(struct pci_dev *dev, unsigned int before)
{
	unsigned int now = power_state(dev);
	uint8_t *ctrl = dev->config + dev->pm_cap + PCI_PM_CTRL;

	/* A state that is not there is not entered (PCI-PM 1.2, 3.2.4). */
	if (now != 0 && now != 3)
		*ctrl = (uint8_t)((*ctrl & ~PCI_PM_CTRL_STATE_MASK) | before);
	if (before != 3 || now != 0 || (*ctrl & PCI_PM_CTRL_NO_SOFT_RESET))
		return false;
	pci_dev_reset(dev, PCI_RESET_D3);
	return true;
}

/* Does the write have a one at bit @bit of byte @reg? */
static bool writes_one(unsigned int off, unsigned int len, uint64_t val,
		       unsigned int reg, unsigned int bit)
{
	return reg >= off && reg - off < len &&
		(val >> (8 * (reg - off)) >> bit & 1);
}

static bool asks_for_flr(const struct pci_dev *dev, unsigned int off,
			 unsigned int len, uint64_t val)
{
	unsigned int cap = dev->express_cap;

	return cap && (le32_load(dev->reset_val + cap + PCI_EXP_DEVCAP) &
		       PCI_EXP_DEVCAP_FLR) &&
		writes_one(off, len, val, cap + PCI_EXP_DEVCTL + 1, 7);
}

static void write_masked(struct pci_dev *dev, unsigned int off,
			 unsigned int len, uint64_t val)
{
	for (unsigned int i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)(val >> (8 * i));
		uint8_t writable = dev->writable[off + i];
		uint8_t *p = &dev->config[off + i];

		*p = (uint8_t)((*p & ~writable) | (byte & writable));
		*p &= (uint8_t)~(byte & dev->w1c[off + i]);
	}
}

void pci_config_write(struct pci_dev *dev, unsigned int off, unsigned int len,
		      uint64_t val)
{
	bool pin = pci_intx_pin(dev);
	unsigned int power = power_state(dev);

	if (len > sizeof(val) || !range_within(off, len, dev->config_size))
		return;
	if (asks_for_flr(dev, off, len, val)) {
		pci_dev_reset(dev, PCI_RESET_FLR);
		return;
	}
	write_masked(dev, off, len, val);
	if (power_state(dev) != power && power_written(dev, power))
		return;
	pci_irq_forget(dev);
	pci_irq_update(dev, pin);
	if (dev->ops->config_written)
		dev->ops->config_written(dev, off, len);
}

/* ---- BARs ---- */

static bool decodes(const struct pci_dev *dev, unsigned int bar)
{
	if (bar == PCI_ROM_BAR)
		return true;
	return pci_powered(dev) &&
		(command(dev) & (dev->bar[bar].kind == PCI_BAR_IO ?
				 PCI_COMMAND_IO : PCI_COMMAND_MEMORY));
}

/* Where @off lies in the MSI-X table or the pending bits. */
enum msix_part { MSIX_NEITHER, MSIX_TABLE, MSIX_PBA };

static enum msix_part msix_part(const struct pci_dev *dev, unsigned int bar,
				uint64_t off, unsigned int len)
{
	const struct pci_msix_place *place = &dev->msix_place;
	uint32_t table = msix_table_size(dev->msix.n);
	uint32_t pba = msix_pba_size(dev->msix.n);

	if (!dev->msix.n)
		return MSIX_NEITHER;
	if (bar == place->bar && off >= place->table_off &&
	    range_within(off - place->table_off, len, table))
		return MSIX_TABLE;
	if (bar == place->pba_bar && off >= place->pba_off &&
	    range_within(off - place->pba_off, len, pba))
		return MSIX_PBA;
	return MSIX_NEITHER;
}

uint64_t pci_bar_read(struct pci_dev *dev, unsigned int bar, uint64_t off,
		      unsigned int len)
{
	if (unlikely(!decodes(dev, bar)))
		return low_bytes(~0ull, len);
	switch (msix_part(dev, bar, off, len)) {
	case MSIX_TABLE:
		return msix_table_read(&dev->msix,
				       off - dev->msix_place.table_off, len);
	case MSIX_PBA:
		return msix_pba_read(&dev->msix,
				     off - dev->msix_place.pba_off, len);
	default:
		return dev->ops->bar_read(dev, bar, off, len);
	}
}

void pci_bar_write(struct pci_dev *dev, unsigned int bar, uint64_t off,
		   unsigned int len, uint64_t val)
{
	if (unlikely(!decodes(dev, bar)))
		return;
	switch (msix_part(dev, bar, off, len)) {
	case MSIX_TABLE:
		if (msix_table_write(&dev->msix,
				     off - dev->msix_place.table_off, len,
				     val) >= 0)
			pci_msi_retry(dev);
		break;
	case MSIX_PBA:
		break;		/* is for reading */
	default:
		dev->ops->bar_write(dev, bar, off, len, val);
	}
}

bool pci_bar_addr(const struct pci_dev *dev, unsigned int bar, uint64_t *addr)
{
	const struct pci_bar *b = &dev->bar[bar];
	const uint8_t *reg = dev->config + (bar == PCI_ROM_BAR ?
		PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * bar);

	if (b->kind == PCI_BAR_NONE || !decodes(dev, bar))
		return false;
	*addr = le32_load(reg) & ~(b->size - 1);
	if (b->kind == PCI_BAR_MEM64)
		*addr = (*addr & UINT32_MAX) |
			((uint64_t)le32_load(reg + 4) << 32 & ~(b->size - 1));
	if (bar != PCI_ROM_BAR)
		return true;
	return pci_powered(dev) && (command(dev) & PCI_COMMAND_MEMORY) &&
		(le32_load(reg) & PCI_ROM_ADDRESS_ENABLE);
}

void pci_quiesced(struct pci_dev *dev)
{
	if (dev->quiesced)
		dev->quiesced(dev);
}

bool pci_bus_master(const struct pci_dev *dev)
{
	return (command(dev) & PCI_COMMAND_MASTER) && pci_powered(dev);
}
