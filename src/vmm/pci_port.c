/* SPDX-License-Identifier: Apache-2.0
 *
 * The PCI Express side of a root port: its capabilities, its slot, and the
 * interrupts of that; see pci_bridge.h.  References are to the PCI Express Base
 * Specification 3.0.
 */
#include <linux/pci_regs.h>

#include "base/byteorder.h"
#include "vmm/irq.h"
#include "vmm/pci_bridge.h"
#include "vmm/pci_host.h"

enum {
	/* Where the capabilities are. */
	CAP_MSI = 0x50, CAP_EXP = 0x80,
	MSI_CONTROL = CAP_MSI + PCI_MSI_FLAGS,
	MSI_ADDRESS = CAP_MSI + PCI_MSI_ADDRESS_LO,
	MSI_DATA = CAP_MSI + PCI_MSI_DATA_32,
	LINK_CONTROL = CAP_EXP + PCI_EXP_LNKCTL,
	LINK_STATUS = CAP_EXP + PCI_EXP_LNKSTA,
	SLOT_CONTROL = CAP_EXP + PCI_EXP_SLTCTL,
	SLOT_STATUS = CAP_EXP + PCI_EXP_SLTSTA,

	CAP_VERSION = 2,
	/* One lane of 2.5 GT/s: what is behind it is no PCI Express. */
	LINK = PCI_EXP_LNKSTA_CLS_2_5GB | PCI_EXP_LNKSTA_NLW_X1,
	LINK_CONTROL_WRITABLE = PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_LD |
		PCI_EXP_LNKCTL_CCC | PCI_EXP_LNKCTL_ES,
	SLOT_CAPS = PCI_EXP_SLTCAP_ABP | PCI_EXP_SLTCAP_AIP |
		PCI_EXP_SLTCAP_PIP | PCI_EXP_SLTCAP_HPS | PCI_EXP_SLTCAP_HPC,
	SLOT_NUMBER_SHIFT = 19,		/* in the slot capabilities */
	INDICATORS_OFF = PCI_EXP_SLTCTL_ATTN_IND_OFF |
		PCI_EXP_SLTCTL_PWR_IND_OFF,
	SLOT_CONTROL_WRITABLE = PCI_EXP_SLTCTL_ABPE | PCI_EXP_SLTCTL_PDCE |
		PCI_EXP_SLTCTL_CCIE | PCI_EXP_SLTCTL_HPIE |
		PCI_EXP_SLTCTL_AIC | PCI_EXP_SLTCTL_PIC |
		PCI_EXP_SLTCTL_DLLSCE,
	SLOT_EVENTS = PCI_EXP_SLTSTA_ABP | PCI_EXP_SLTSTA_PDC |
		PCI_EXP_SLTSTA_CC | PCI_EXP_SLTSTA_DLLSC,
	/* Events whose enable bit in the control register is the same. */
	SLOT_EVENTS_SAME = PCI_EXP_SLTSTA_ABP | PCI_EXP_SLTSTA_PDC |
		PCI_EXP_SLTSTA_CC,
	DEVICE_CONTROL_WRITABLE = PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE |
		PCI_EXP_DEVCTL_FERE | PCI_EXP_DEVCTL_URRE |
		PCI_EXP_DEVCTL_PAYLOAD,
	DEVICE_ERRORS = PCI_EXP_DEVSTA_CED | PCI_EXP_DEVSTA_NFED |
		PCI_EXP_DEVSTA_FED | PCI_EXP_DEVSTA_URD,
	ROOT_CONTROL_WRITABLE = PCI_EXP_RTCTL_SECEE | PCI_EXP_RTCTL_SENFEE |
		PCI_EXP_RTCTL_SEFEE | PCI_EXP_RTCTL_PMEIE,
};

static uint16_t reg(const struct pci_bridge *port, unsigned int off)
{
	return le16_load(port->dev.config + off);
}

/* Set those bits of a status register that only the port itself sets. */
static void set_bits(struct pci_bridge *port, unsigned int off, uint16_t mask,
		     uint16_t bits)
{
	le16_store(port->dev.config + off,
		   (uint16_t)((reg(port, off) & ~mask) | bits));
}

/* The guest's word that nothing in the slot is in use. */
static bool indicator_off(const struct pci_bridge *port)
{
	return (reg(port, SLOT_CONTROL) & PCI_EXP_SLTCTL_PIC) ==
	       PCI_EXP_SLTCTL_PWR_IND_OFF;
}

/* Is there an event the guest wants to be told of? (6.7.3.4) */
static bool event_to_tell(const struct pci_bridge *port)
{
	uint16_t control = reg(port, SLOT_CONTROL);
	uint16_t status = reg(port, SLOT_STATUS);

	return (control & PCI_EXP_SLTCTL_HPIE) &&
	       ((control & status & SLOT_EVENTS_SAME) ||
		((control & PCI_EXP_SLTCTL_DLLSCE) &&
		 (status & PCI_EXP_SLTSTA_DLLSC)));
}

/* An MSI when the condition becomes true, or the pin high while it is. */
static void update_interrupt(struct pci_bridge *port)
{
	bool msi = reg(port, MSI_CONTROL) & PCI_MSI_FLAGS_ENABLE;
	bool event = event_to_tell(port);

	if (msi && event && !port->event && pci_bus_master(&port->dev))
		port->host->ops->send_msi(port->host->opaque,
			le32_load(port->dev.config + MSI_ADDRESS),
			reg(port, MSI_DATA));
	port->event = event;
	pci_set_intx(&port->dev, event && !msi);
}

/* The INTx pin of a port drives an interrupt line that others share. */
static void intx(struct pci_dev *dev, bool level)
{
	struct pci_bridge *port = container_of(dev, struct pci_bridge, dev);

	if (port->line_gsi != IRQ_NO_GSI)
		pci_host_drive(port->host, port->line_gsi, false);
	port->line_gsi = level ? pci_host_gsi(port->host, &port->fn, 1) :
				 IRQ_NO_GSI;
	if (port->line_gsi != IRQ_NO_GSI)
		pci_host_drive(port->host, port->line_gsi, true);
}

/* Its MSI is sent in update_interrupt(). */
static const struct pci_irq_ops irq_ops = {
	.intx = intx,
};

static void init_slot(struct pci_bridge *port)
{
	uint8_t *v = port->dev.reset_val, *w = port->dev.writable;

	le32_store(v + CAP_EXP + PCI_EXP_SLTCAP,
		   SLOT_CAPS | port->number << SLOT_NUMBER_SHIFT);
	le16_store(v + SLOT_CONTROL, INDICATORS_OFF);
	le16_store(w + SLOT_CONTROL, SLOT_CONTROL_WRITABLE);
	le16_store(port->dev.w1c + SLOT_STATUS, SLOT_EVENTS);
	w[CAP_EXP + PCI_EXP_RTCTL] = ROOT_CONTROL_WRITABLE;
}

void pci_port_init_caps(struct pci_bridge *port)
{
	uint8_t *v = port->dev.reset_val, *w = port->dev.writable;

	le16_store(v + PCI_STATUS, PCI_STATUS_CAP_LIST);
	v[PCI_CAPABILITY_LIST] = CAP_EXP;

	v[CAP_EXP] = PCI_CAP_ID_EXP;
	v[CAP_EXP + PCI_CAP_LIST_NEXT] = CAP_MSI;
	le16_store(v + CAP_EXP + PCI_EXP_FLAGS, CAP_VERSION |
		   PCI_EXP_TYPE_ROOT_PORT << 4 | PCI_EXP_FLAGS_SLOT);
	le32_store(v + CAP_EXP + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_RBER);
	le16_store(w + CAP_EXP + PCI_EXP_DEVCTL, DEVICE_CONTROL_WRITABLE);
	le16_store(port->dev.w1c + CAP_EXP + PCI_EXP_DEVSTA, DEVICE_ERRORS);
	le32_store(v + CAP_EXP + PCI_EXP_LNKCAP, LINK |
		   PCI_EXP_LNKCAP_DLLLARC | port->number << 24);
	le16_store(w + LINK_CONTROL, LINK_CONTROL_WRITABLE);
	le16_store(v + LINK_STATUS, LINK);
	init_slot(port);
	le32_store(v + CAP_EXP + PCI_EXP_LNKCAP2, PCI_EXP_LNKCAP2_SLS_2_5GB);
	le16_store(v + CAP_EXP + PCI_EXP_LNKCTL2, PCI_EXP_LNKCTL2_TLS_2_5GT);

	v[CAP_MSI] = PCI_CAP_ID_MSI;
	w[MSI_CONTROL] = PCI_MSI_FLAGS_ENABLE;
	le32_store(w + MSI_ADDRESS, ~3u);
	le16_store(w + MSI_DATA, 0xffff);

	port->dev.irq = &irq_ops;
}

bool pci_port_link(const struct pci_bridge *port)
{
	return port->present && !(reg(port, LINK_CONTROL) & PCI_EXP_LNKCTL_LD);
}

/* Presence and link as they now are; changes are events. */
static void update_slot(struct pci_bridge *port)
{
	uint16_t present = port->present ? PCI_EXP_SLTSTA_PDS : 0;
	uint16_t link = pci_port_link(port) ? PCI_EXP_LNKSTA_DLLLA : 0;

	if ((reg(port, SLOT_STATUS) & PCI_EXP_SLTSTA_PDS) != present)
		set_bits(port, SLOT_STATUS, PCI_EXP_SLTSTA_PDS,
			 present | PCI_EXP_SLTSTA_PDC);
	if ((reg(port, LINK_STATUS) & PCI_EXP_LNKSTA_DLLLA) != link) {
		set_bits(port, LINK_STATUS, PCI_EXP_LNKSTA_DLLLA, link);
		set_bits(port, SLOT_STATUS, 0, PCI_EXP_SLTSTA_DLLSC);
		pci_host_map(port->host);
	}
	update_interrupt(port);
}

void pci_port_config_written(struct pci_bridge *port, unsigned int off,
			     unsigned int len)
{
	if (ranges_overlap(off, len, SLOT_CONTROL, 2)) {
		/* Done as soon as written: commands take no time. */
		set_bits(port, SLOT_STATUS, 0, PCI_EXP_SLTSTA_CC);
		if (port->leaving && indicator_off(port)) {
			pci_port_unplug(port);
			port->host->ops->card_released(port->host->opaque,
						       port);
		}
	}
	update_slot(port);
}

void pci_port_reset(struct pci_bridge *port)
{
	port->event = false;
	/* A slot that firmware finds a card in is on, which is how a driver
	 * takes it over. */
	set_bits(port, SLOT_CONTROL, PCI_EXP_SLTCTL_PIC, port->present ?
		 PCI_EXP_SLTCTL_PWR_IND_ON : PCI_EXP_SLTCTL_PWR_IND_OFF);
	set_bits(port, SLOT_STATUS, PCI_EXP_SLTSTA_PDS,
		 port->present ? PCI_EXP_SLTSTA_PDS : 0);
	set_bits(port, LINK_STATUS, PCI_EXP_LNKSTA_DLLLA,
		 port->present ? PCI_EXP_LNKSTA_DLLLA : 0);
}

void pci_port_plug(struct pci_bridge *port)
{
	port->present = true;
	port->leaving = false;
	update_slot(port);
}

void pci_port_unplug(struct pci_bridge *port)
{
	port->present = false;
	port->leaving = false;
	update_slot(port);
}

bool pci_port_ask(struct pci_bridge *port)
{
	if (indicator_off(port))
		return true;
	port->leaving = true;
	set_bits(port, SLOT_STATUS, 0, PCI_EXP_SLTSTA_ABP);
	update_interrupt(port);
	return false;
}
