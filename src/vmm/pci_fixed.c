/* SPDX-License-Identifier: Apache-2.0
 *
 * See pci_fixed.h.  Registers: PCI Local Bus 3.0, 6.2 and appendix H; PCI-PM
 * 1.2, 3.2; PCI Express Base 3.0, 7.8; VIRTIO 1.2, 4.1.4.
 */
#include "vmm/pci_fixed.h"

#include <linux/pci_regs.h>
#include <string.h>

#include "base/byteorder.h"

enum {
	VENDOR_VIRTIO = 0x1af4,
	VIRTIO_CAP_LEN = 2, VIRTIO_CAP_TYPE = 3,
	VIRTIO_CAP_PCI_CFG = 5,		/* a window: what is seen in it moves */
};

/* Parts of a capability, header apart. */
static const struct {
	uint8_t id, off, len;
} parts[] = {
	{ PCI_CAP_ID_PM, PCI_PM_PMC, 2 },
	{ PCI_CAP_ID_MSI, PCI_MSI_FLAGS, 2 },
	{ PCI_CAP_ID_MSIX, PCI_MSIX_FLAGS, PCI_CAP_MSIX_SIZEOF -
		PCI_MSIX_FLAGS },
	{ PCI_CAP_ID_EXP, PCI_EXP_FLAGS, PCI_EXP_DEVSTA - PCI_EXP_FLAGS },
	{ PCI_CAP_ID_EXP, PCI_EXP_LNKCAP, PCI_EXP_LNKSTA - PCI_EXP_LNKCAP },
};

static void add(struct pci_fixed *fixed, unsigned int off, unsigned int len)
{
	for (; len && off < PCI_CONFIG_SIZE; off++, len--)
		fixed->bits[off / 8] |= (uint8_t)(1u << off % 8);
}

static void add_cap(struct pci_fixed *fixed, const uint8_t *config,
		    unsigned int at)
{
	uint8_t id = config[at + PCI_CAP_LIST_ID];

	add(fixed, at, PCI_CAP_SIZEOF - 2);
	for (unsigned int i = 0; i < ARRAY_SIZE(parts); i++)
		if (parts[i].id == id)
			add(fixed, at + parts[i].off, parts[i].len);
	if (id == PCI_CAP_ID_VNDR &&
	    le16_load(config + PCI_VENDOR_ID) == VENDOR_VIRTIO &&
	    config[at + VIRTIO_CAP_TYPE] != VIRTIO_CAP_PCI_CFG)
		add(fixed, at, config[at + VIRTIO_CAP_LEN]);
}

void pci_fixed_find(struct pci_fixed *fixed, const uint8_t *config)
{
	/* More cannot be there: a list that goes round ends. */
	unsigned int left = PCI_CONFIG_SIZE / PCI_CAP_SIZEOF;
	unsigned int at = config[PCI_CAPABILITY_LIST] & ~3u;

	memset(fixed, 0, sizeof(*fixed));
	add(fixed, PCI_VENDOR_ID, PCI_STATUS - PCI_VENDOR_ID);
	add(fixed, PCI_CLASS_REVISION, PCI_BIST - PCI_CLASS_REVISION);
	add(fixed, PCI_BASE_ADDRESS_0, PCI_STD_HEADER_SIZEOF -
	    PCI_BASE_ADDRESS_0);
	if (!(config[PCI_STATUS] & PCI_STATUS_CAP_LIST))
		return;
	while (at >= PCI_STD_HEADER_SIZEOF && left--) {
		add_cap(fixed, config, at);
		at = config[at + PCI_CAP_LIST_NEXT] & ~3u;
	}
}

bool pci_fixed_all(const struct pci_fixed *fixed, unsigned int off,
		   unsigned int len)
{
	if (!range_within(off, len, PCI_CONFIG_SIZE))
		return false;
	for (unsigned int i = off; i < off + len; i++)
		if (!(fixed->bits[i / 8] & 1u << i % 8))
			return false;
	return true;
}
