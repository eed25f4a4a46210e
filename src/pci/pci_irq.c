/* SPDX-License-Identifier: Apache-2.0
 *
 * Interrupts: the INTx pin, MSI and MSI-X.  PCI Local Bus Specification 3.0,
 * 6.2.2-6.2.4 and 6.8.
 */
#include <string.h>
#include <linux/pci_regs.h>

#include "base/byteorder.h"
#include "pci/pci_internal.h"

/* Maskable MSI with 64 bit addresses: where mask and pending bits are. */
enum { MSI_MASK = PCI_MSI_MASK_64, MSI_PENDING = PCI_MSI_PENDING_64 };

static uint16_t config16(const struct pci_dev *dev, unsigned int off)
{
	return le16_load(dev->config + off);
}

bool pci_msi_enabled(const struct pci_dev *dev)
{
	return dev->msi_cap && (config16(dev, dev->msi_cap + PCI_MSI_FLAGS) &
				PCI_MSI_FLAGS_ENABLE);
}

bool pci_msix_enabled(const struct pci_dev *dev)
{
	return dev->msix_cap && (config16(dev, dev->msix_cap +
					  PCI_MSIX_FLAGS) &
				 PCI_MSIX_FLAGS_ENABLE);
}

/* May any message leave the function now? */
static bool may_send(const struct pci_dev *dev)
{
	return dev->irq && pci_bus_master(dev);
}

/* ---- MSI-X ---- */

static bool msix_send(struct pci_dev *dev, unsigned int vec)
{
	if (!may_send(dev))
		return false;
	if (!dev->irq->owns_masks &&
	    (msix_masked(&dev->msix, vec) ||
	     (config16(dev, dev->msix_cap + PCI_MSIX_FLAGS) &
	      PCI_MSIX_FLAGS_MASKALL)))
		return false;
	return dev->irq->msi(dev, vec);
}

static void msix_retry(struct pci_dev *dev)
{
	if (!may_send(dev))
		return;
	for (unsigned int i = 0; i < msix_pba_size(dev->msix.n); i++)
		for (uint8_t bits = dev->msix.pba[i]; bits;
		     bits &= (uint8_t)(bits - 1)) {
			unsigned int vec = 8 * i +
				(unsigned int)__builtin_ctz(bits);

			if (msix_send(dev, vec))
				msix_set_pending(&dev->msix, vec, false);
		}
}

/* ---- MSI ---- */

/* How many vectors the guest grants; never more than there are. */
static unsigned int msi_granted(const struct pci_dev *dev)
{
	uint16_t flags = config16(dev, dev->msi_cap + PCI_MSI_FLAGS);
	unsigned int has = (flags & PCI_MSI_FLAGS_QMASK) >> 1;
	unsigned int granted = (flags & PCI_MSI_FLAGS_QSIZE) >> 4;

	return 1u << min_of(has, granted);
}

static bool msi_maskable(const struct pci_dev *dev)
{
	return config16(dev, dev->msi_cap + PCI_MSI_FLAGS) &
		PCI_MSI_FLAGS_MASKBIT;
}

static void msi_set_pending(struct pci_dev *dev, unsigned int vec,
			    bool pending)
{
	uint8_t *p = dev->config + dev->msi_cap + MSI_PENDING;
	uint32_t bits = le32_load(p);

	if (msi_maskable(dev))
		le32_store(p, pending ? bits | BIT(vec) : bits & ~BIT(vec));
}

static bool msi_send(struct pci_dev *dev, unsigned int vec)
{
	if (!may_send(dev))
		return false;
	if (!dev->irq->owns_masks && msi_maskable(dev) &&
	    (le32_load(dev->config + dev->msi_cap + MSI_MASK) & BIT(vec)))
		return false;
	return dev->irq->msi(dev, vec);
}

static void msi_retry(struct pci_dev *dev)
{
	uint32_t pending = msi_maskable(dev) ?
		le32_load(dev->config + dev->msi_cap + MSI_PENDING) : 0;

	for (; pending; pending &= pending - 1) {
		unsigned int vec = (unsigned int)__builtin_ctz(pending);

		if (msi_send(dev, vec))
			msi_set_pending(dev, vec, false);
	}
	if (dev->intx_level && !dev->level_sent)
		dev->level_sent = msi_send(dev, 0);
}

/* ---- for the function and its host ---- */

void pci_msi(struct pci_dev *dev, unsigned int vec)
{
	if (pci_msix_enabled(dev)) {
		if (vec < dev->msix.n && !msix_send(dev, vec))
			msix_set_pending(&dev->msix, vec, true);
	} else if (pci_msi_enabled(dev)) {
		vec &= msi_granted(dev) - 1;
		if (!msi_send(dev, vec))
			msi_set_pending(dev, vec, true);
	}
}

void pci_msi_message(const struct pci_dev *dev, unsigned int vec,
		     uint64_t *addr, uint32_t *data)
{
	const uint8_t *cap = dev->config + dev->msi_cap;

	if (pci_msix_enabled(dev)) {
		msix_message(&dev->msix, vec, addr, data);
		return;
	}
	*addr = (uint64_t)le32_load(cap + PCI_MSI_ADDRESS_HI) << 32 |
		le32_load(cap + PCI_MSI_ADDRESS_LO);
	/* The vector takes the place of the data's low bits (6.8.1.3). */
	*data = (le16_load(cap + PCI_MSI_DATA_64) & ~(msi_granted(dev) - 1)) |
		vec;
}

void pci_msi_retry(struct pci_dev *dev)
{
	if (pci_msix_enabled(dev))
		msix_retry(dev);
	else if (pci_msi_enabled(dev))
		msi_retry(dev);
}

bool pci_intx_pin(const struct pci_dev *dev)
{
	return dev->intx_level && pci_powered(dev) &&
		!(config16(dev, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE) &&
		!pci_msi_enabled(dev) && !pci_msix_enabled(dev);
}

void pci_irq_forget(struct pci_dev *dev)
{
	if (dev->msix.n && !pci_msix_enabled(dev))
		memset(dev->msix.pba, 0, msix_pba_size(dev->msix.n));
	if (dev->msi_cap && msi_maskable(dev) && !pci_msi_enabled(dev))
		le32_store(dev->config + dev->msi_cap + MSI_PENDING, 0);
}

void pci_irq_update(struct pci_dev *dev, bool pin_before)
{
	bool messages = pci_msi_enabled(dev) || pci_msix_enabled(dev);
	bool pin = pci_intx_pin(dev);

	/* The cause shows whether or not the pin may (6.2.3). */
	if (dev->intx_level && !messages)
		dev->config[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
	else
		dev->config[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT;
	if (!dev->intx_level || !messages)
		dev->level_sent = false;
	if (pin != pin_before && dev->irq)
		dev->irq->intx(dev, pin);
	if (messages)
		pci_msi_retry(dev);
}

void pci_set_intx(struct pci_dev *dev, bool level)
{
	bool pin = pci_intx_pin(dev);

	dev->intx_level = level;
	pci_irq_update(dev, pin);
}
