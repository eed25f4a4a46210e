/* SPDX-License-Identifier: Apache-2.0
 *
 * Config space of a type 0 function, by its catalogue of reset value, writable
 * bits and write-1-to-clear bits; the INTx pin.  PCI Local Bus Specification
 * 3.0, chapter 6.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/pci_regs.h>

#include "base/byteorder.h"
#include "pci/pci.h"

enum {
	COMMAND_WRITABLE = PCI_COMMAND_IO | PCI_COMMAND_MEMORY |
		PCI_COMMAND_MASTER | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
		PCI_COMMAND_INTX_DISABLE,
	STATUS_W1C = PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT |
		PCI_STATUS_REC_TARGET_ABORT | PCI_STATUS_REC_MASTER_ABORT |
		PCI_STATUS_SIG_SYSTEM_ERROR | PCI_STATUS_DETECTED_PARITY,
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

static void init_header(struct pci_dev *dev, const struct pci_ident *ident)
{
	uint8_t *v = dev->reset_val;

	le16_store(v + PCI_VENDOR_ID, ident->vendor);
	le16_store(v + PCI_DEVICE_ID, ident->device);
	le32_store(v + PCI_CLASS_REVISION,
		   ident->class_code << 8 | ident->revision);
	v[PCI_HEADER_TYPE] = ident->header_type;
	le16_store(v + PCI_SUBSYSTEM_VENDOR_ID, ident->subsys_vendor);
	le16_store(v + PCI_SUBSYSTEM_ID, ident->subsys);
	v[PCI_INTERRUPT_PIN] = ident->intx_pin;

	le16_store(dev->writable + PCI_COMMAND, COMMAND_WRITABLE);
	dev->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	dev->writable[PCI_LATENCY_TIMER] = 0xff;
	dev->writable[PCI_INTERRUPT_LINE] = 0xff;
	le16_store(dev->w1c + PCI_STATUS, STATUS_W1C);
}

int pci_dev_init(struct pci_dev *dev, const struct pci_dev_ops *ops,
		 const char *name, const struct pci_ident *ident,
		 const struct pci_bar *bars, unsigned int config_size)
{
	size_t size = align_up(sizeof(struct pci_state) + ops->state_size,
			       _Alignof(struct pci_state));

	assert(config_size == PCI_CONFIG_SIZE ||
	       config_size == PCI_CONFIG_EXT_SIZE);
	memset(dev, 0, sizeof(*dev));
	dev->state = aligned_alloc(_Alignof(struct pci_state), size);
	if (!dev->state)
		return -ENOMEM;
	memset(dev->state, 0, size);
	dev->state->magic = PCI_STATE_MAGIC;
	dev->state->version = ops->state_version;
	dev->state->size = (uint32_t)size;
	dev->state->config_size = config_size;
	dev->config = dev->state->config;
	dev->config_size = config_size;
	dev->ops = ops;
	dev->name = name;
	init_header(dev, ident);
	for (unsigned int i = 0; bars && i <= PCI_ROM_BAR; i++)
		dev->bar[i] = bars[i];
	for (unsigned int i = 0; i <= PCI_ROM_BAR; i++)
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

/* Tell the host if the pin is no longer at @before. */
static void pin_changed(struct pci_dev *dev, bool before)
{
	bool now = pci_intx_pin(dev);

	if (now != before && dev->irq)
		dev->irq->intx(dev, now);
}

void pci_dev_reset(struct pci_dev *dev, enum pci_reset kind)
{
	bool pin = pci_intx_pin(dev);

	memcpy(dev->config, dev->reset_val, dev->config_size);
	dev->intx_level = false;
	pin_changed(dev, pin);
	if (dev->ops->reset)
		dev->ops->reset(dev, kind);
}

uint64_t pci_config_read(struct pci_dev *dev, unsigned int off,
			 unsigned int len)
{
	uint64_t val = ~0ull;

	if (len > sizeof(val))
		return val;
	if (range_within(off, len, dev->config_size))
		memcpy(&val, dev->config + off, len);
	return len == sizeof(val) ? val : val & (BIT64(8 * len) - 1);
}

void pci_config_write(struct pci_dev *dev, unsigned int off, unsigned int len,
		      uint64_t val)
{
	bool pin = pci_intx_pin(dev);

	if (len > sizeof(val) || !range_within(off, len, dev->config_size))
		return;
	for (unsigned int i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)(val >> (8 * i));
		uint8_t writable = dev->writable[off + i];
		uint8_t *p = &dev->config[off + i];

		*p = (uint8_t)((*p & ~writable) | (byte & writable));
		*p &= (uint8_t)~(byte & dev->w1c[off + i]);
	}
	pin_changed(dev, pin);
	if (dev->ops->config_written)
		dev->ops->config_written(dev, off, len);
}

unsigned int pci_find_cap(const struct pci_dev *dev, uint8_t id)
{
	/* There is no room for more of them: a list that goes round ends. */
	unsigned int left = PCI_CONFIG_SIZE / PCI_CAP_SIZEOF;
	unsigned int at = dev->config[PCI_CAPABILITY_LIST] & ~3u;

	if (!(le16_load(dev->config + PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return 0;
	while (at >= PCI_STD_HEADER_SIZEOF && left--) {
		if (dev->config[at + PCI_CAP_LIST_ID] == id)
			return at;
		at = dev->config[at + PCI_CAP_LIST_NEXT] & ~3u;
	}
	return 0;
}

void pci_set_intx(struct pci_dev *dev, bool level)
{
	bool pin = pci_intx_pin(dev);

	dev->intx_level = level;
	if (level)
		dev->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
	else
		dev->config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT;
	pin_changed(dev, pin);
}

bool pci_intx_pin(const struct pci_dev *dev)
{
	return dev->intx_level && !(command(dev) & PCI_COMMAND_INTX_DISABLE);
}

void pci_msi(struct pci_dev *dev, unsigned int vec)
{
	if (dev->irq && pci_bus_master(dev))
		dev->irq->msi(dev, vec);
}

bool pci_bus_master(const struct pci_dev *dev)
{
	return command(dev) & PCI_COMMAND_MASTER;
}
