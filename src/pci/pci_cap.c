/* SPDX-License-Identifier: Apache-2.0
 *
 * Capabilities of a function: their place in the lists, and their part of the
 * catalogue.  PCI Local Bus Specification 3.0, 6.7 and 6.8; PCI Bus Power
 * Management Interface Specification 1.2, 3.2; PCI Express Base Specification
 * 3.0, 7.8 and 7.9.
 */
#include <assert.h>
#include <string.h>
#include <linux/pci_regs.h>

#include "base/byteorder.h"
#include "pci/pci_internal.h"

enum {
	MSI_LEN_64 = 0x0e,		/* with 64 bit addresses */
	MSI_LEN_MASKABLE = 0x18,	/* and with masks */
	MSIX_LEN = PCI_CAP_MSIX_SIZEOF,
	EXPRESS_LEN = 0x3c,		/* version 2, all registers */
	EXPRESS_VERSION = 2,
	EXT_CAP_HEADER = 4,
	EXT_CAP_NEXT_SHIFT = 20,
	EXT_CAP_VERSION_SHIFT = 16,

	/* What a guest may set in Device Control, beside the reset. */
	DEVCTL_WRITABLE = PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE |
		PCI_EXP_DEVCTL_FERE | PCI_EXP_DEVCTL_URRE |
		PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN |
		PCI_EXP_DEVCTL_READRQ,
	DEVCTL_RESET = PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN |
		PCI_EXP_DEVCTL_READRQ_512B,
	DEVSTA_W1C = PCI_EXP_DEVSTA_CED | PCI_EXP_DEVSTA_NFED |
		PCI_EXP_DEVSTA_FED | PCI_EXP_DEVSTA_URD,
	LNKCTL_WRITABLE = PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_RCB |
		PCI_EXP_LNKCTL_CCC | PCI_EXP_LNKCTL_ES,
	LNKCTL2_WRITABLE = PCI_EXP_LNKCTL2_TLS,
	SLTCTL_WRITABLE = PCI_EXP_SLTCTL_ABPE | PCI_EXP_SLTCTL_PFDE |
		PCI_EXP_SLTCTL_MRLSCE | PCI_EXP_SLTCTL_PDCE |
		PCI_EXP_SLTCTL_CCIE | PCI_EXP_SLTCTL_HPIE |
		PCI_EXP_SLTCTL_AIC | PCI_EXP_SLTCTL_PIC |
		PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_DLLSCE,
	SLTSTA_W1C = PCI_EXP_SLTSTA_ABP | PCI_EXP_SLTSTA_PFD |
		PCI_EXP_SLTSTA_MRLSC | PCI_EXP_SLTSTA_PDC |
		PCI_EXP_SLTSTA_CC | PCI_EXP_SLTSTA_DLLSC,
	RTCTL_WRITABLE = PCI_EXP_RTCTL_SECEE | PCI_EXP_RTCTL_SENFEE |
		PCI_EXP_RTCTL_SEFEE | PCI_EXP_RTCTL_PMEIE,
};

unsigned int pci_add_cap(struct pci_dev *dev, uint8_t id, unsigned int off,
			 unsigned int len)
{
	uint8_t *v = dev->reset_val;

	if (!off)
		off = dev->free_cap;
	assert(off >= PCI_STD_HEADER_SIZEOF && !(off & 3) &&
	       len >= PCI_CAP_SIZEOF - 2 &&
	       range_within(off, len, PCI_CONFIG_SIZE));
	v[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	v[dev->last_cap ? dev->last_cap + PCI_CAP_LIST_NEXT :
	  PCI_CAPABILITY_LIST] = (uint8_t)off;
	v[off + PCI_CAP_LIST_ID] = id;
	dev->last_cap = (uint16_t)off;
	dev->free_cap = (uint16_t)max_of((uint64_t)dev->free_cap,
					 align_up(off + len, 4));
	return off;
}

unsigned int pci_add_ext_cap(struct pci_dev *dev, uint16_t id,
			     unsigned int version, unsigned int off,
			     unsigned int len)
{
	uint8_t *v = dev->reset_val;

	if (!off)
		off = dev->free_ext_cap;
	/* The first has to be at the list's fixed beginning. */
	assert((dev->last_ext_cap ? off > PCI_CONFIG_SIZE :
		off == PCI_CONFIG_SIZE) && !(off & 3) &&
	       len >= EXT_CAP_HEADER &&
	       range_within(off, len, dev->config_size));
	if (dev->last_ext_cap)
		le32_store(v + dev->last_ext_cap,
			   le32_load(v + dev->last_ext_cap) |
			   off << EXT_CAP_NEXT_SHIFT);
	le32_store(v + off, id | version << EXT_CAP_VERSION_SHIFT);
	dev->last_ext_cap = (uint16_t)off;
	dev->free_ext_cap = (uint16_t)max_of((uint64_t)dev->free_ext_cap,
					     align_up(off + len, 4));
	return off;
}

unsigned int pci_add_vendor_cap(struct pci_dev *dev, unsigned int off,
				const void *data, uint8_t len)
{
	const unsigned int header = PCI_CAP_FLAGS + 1;

	off = pci_add_cap(dev, PCI_CAP_ID_VNDR, off, len);
	dev->reset_val[off + PCI_CAP_FLAGS] = len;
	memcpy(dev->reset_val + off + header, (const uint8_t *)data + header,
	       len - header);
	return off;
}

unsigned int pci_add_pm(struct pci_dev *dev, unsigned int off, uint16_t pmc,
			bool no_soft_reset)
{
	uint16_t writable = PCI_PM_CTRL_STATE_MASK;

	off = pci_add_cap(dev, PCI_CAP_ID_PM, off, PCI_PM_SIZEOF);
	dev->pm_cap = (uint16_t)off;
	le16_store(dev->reset_val + off + PCI_PM_PMC, pmc);
	if (pmc & PCI_PM_CAP_PME_MASK) {
		writable |= PCI_PM_CTRL_PME_ENABLE;
		le16_store(dev->w1c + off + PCI_PM_CTRL,
			   PCI_PM_CTRL_PME_STATUS);
	}
	le16_store(dev->reset_val + off + PCI_PM_CTRL,
		   no_soft_reset ? PCI_PM_CTRL_NO_SOFT_RESET : 0);
	le16_store(dev->writable + off + PCI_PM_CTRL, writable);
	return off;
}

unsigned int pci_add_msi(struct pci_dev *dev, unsigned int off, unsigned int n,
			 bool maskable)
{
	uint16_t flags = PCI_MSI_FLAGS_64BIT;

	assert(is_power_of_two(n) && n <= 32);
	off = pci_add_cap(dev, PCI_CAP_ID_MSI, off,
			  maskable ? MSI_LEN_MASKABLE : MSI_LEN_64);
	dev->msi_cap = (uint16_t)off;
	flags |= (uint16_t)(__builtin_ctz(n) << 1);
	if (maskable) {
		flags |= PCI_MSI_FLAGS_MASKBIT;
		le32_store(dev->writable + off + PCI_MSI_MASK_64,
			   (uint32_t)(BIT64(n) - 1));
	}
	le16_store(dev->reset_val + off + PCI_MSI_FLAGS, flags);
	le16_store(dev->writable + off + PCI_MSI_FLAGS,
		   PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	le32_store(dev->writable + off + PCI_MSI_ADDRESS_LO, ~3u);
	le32_store(dev->writable + off + PCI_MSI_ADDRESS_HI, ~0u);
	le16_store(dev->writable + off + PCI_MSI_DATA_64, 0xffff);
	return off;
}

unsigned int pci_add_msix(struct pci_dev *dev, unsigned int off,
			  const struct pci_msix_place *place)
{
	const struct pci_bar *bar = &dev->bar[place->bar];
	const struct pci_bar *pba_bar = &dev->bar[place->pba_bar];
	unsigned int n = dev->state->n_msix;
	uint8_t *block = (uint8_t *)dev->state + dev->state->msix_off;

	assert(n && max_of(place->bar, place->pba_bar) < PCI_N_BARS);
	assert(bar->kind == PCI_BAR_MEM32 || bar->kind == PCI_BAR_MEM64);
	assert(pba_bar->kind == PCI_BAR_MEM32 ||
	       pba_bar->kind == PCI_BAR_MEM64);
	assert(!((place->table_off | place->pba_off) & 7) &&
	       range_within(place->table_off, msix_table_size(n), bar->size) &&
	       range_within(place->pba_off, msix_pba_size(n), pba_bar->size));
	assert(bar != pba_bar ||
	       !ranges_overlap(place->table_off, msix_table_size(n),
			       place->pba_off, msix_pba_size(n)));
	off = pci_add_cap(dev, PCI_CAP_ID_MSIX, off, MSIX_LEN);
	dev->msix_cap = (uint16_t)off;
	dev->msix_place = *place;
	dev->msix = (struct msix){ n, block, block + msix_table_size(n) };
	le16_store(dev->reset_val + off + PCI_MSIX_FLAGS, (uint16_t)(n - 1));
	le32_store(dev->reset_val + off + PCI_MSIX_TABLE,
		   place->table_off | place->bar);
	le32_store(dev->reset_val + off + PCI_MSIX_PBA,
		   place->pba_off | place->pba_bar);
	le16_store(dev->writable + off + PCI_MSIX_FLAGS,
		   PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	msix_reset(&dev->msix);
	return off;
}

static bool has_link(const struct pci_express *express)
{
	return express->type != PCI_EXP_TYPE_RC_END &&
		express->type != PCI_EXP_TYPE_RC_EC;
}

static void add_link(struct pci_dev *dev, unsigned int off,
		     const struct pci_express *express)
{
	uint8_t *v = dev->reset_val + off, *w = dev->writable + off;
	uint32_t width = (uint32_t)express->width << PCI_EXP_LNKSTA_NLW_SHIFT;

	le32_store(v + PCI_EXP_LNKCAP, express->speed | width |
		   (uint32_t)express->port << 24);
	le16_store(v + PCI_EXP_LNKSTA, (uint16_t)(express->speed | width));
	le16_store(w + PCI_EXP_LNKCTL, LNKCTL_WRITABLE);
	/* All speeds up to its own, from bit 1 on. */
	le32_store(v + PCI_EXP_LNKCAP2, (BIT(express->speed) - 1) << 1);
	le16_store(v + PCI_EXP_LNKCTL2, express->speed);
	le16_store(w + PCI_EXP_LNKCTL2, LNKCTL2_WRITABLE);
}

unsigned int pci_add_express(struct pci_dev *dev, unsigned int off,
			     const struct pci_express *express)
{
	uint8_t *v, *w, *w1c;
	uint16_t flags = (uint16_t)(EXPRESS_VERSION | express->type << 4);

	off = pci_add_cap(dev, PCI_CAP_ID_EXP, off, EXPRESS_LEN);
	dev->express_cap = (uint16_t)off;
	v = dev->reset_val + off;
	w = dev->writable + off;
	w1c = dev->w1c + off;
	if (express->slot)
		flags |= PCI_EXP_FLAGS_SLOT;
	le16_store(v + PCI_EXP_FLAGS, flags);
	le32_store(v + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_RBER |
		   (express->flr ? PCI_EXP_DEVCAP_FLR : 0));
	le16_store(v + PCI_EXP_DEVCTL, DEVCTL_RESET);
	le16_store(w + PCI_EXP_DEVCTL, DEVCTL_WRITABLE);
	le16_store(w1c + PCI_EXP_DEVSTA, DEVSTA_W1C);
	if (has_link(express))
		add_link(dev, off, express);
	if (express->slot) {
		le16_store(w + PCI_EXP_SLTCTL, SLTCTL_WRITABLE);
		le16_store(w1c + PCI_EXP_SLTSTA, SLTSTA_W1C);
	}
	if (express->type == PCI_EXP_TYPE_ROOT_PORT) {
		le16_store(w + PCI_EXP_RTCTL, RTCTL_WRITABLE);
		le32_store(w1c + PCI_EXP_RTSTA, PCI_EXP_RTSTA_PME);
	}
	return off;
}
