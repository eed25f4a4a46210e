/* SPDX-License-Identifier: Apache-2.0
 *
 * The PCI Express side of a root port: its capabilities, its slot, and the
 * interrupts of that; see pci_bridge.h.  References are to the PCI Express Base
 * Specification 3.0.
 */
#include <linux/pci_regs.h>

#include "base/byteorder.h"
#include "vmm/pci_bridge.h"
#include "vmm/pci_host.h"
#include "vmm/pci_wire.h"

enum {
	CAP_MSI = 0x50, CAP_EXP = 0x80,		/* where they are */
	LINK_CONTROL = CAP_EXP + PCI_EXP_LNKCTL,
	LINK_STATUS = CAP_EXP + PCI_EXP_LNKSTA,
	SLOT_CONTROL = CAP_EXP + PCI_EXP_SLTCTL,
	SLOT_STATUS = CAP_EXP + PCI_EXP_SLTSTA,

	SLOT_CAPS = PCI_EXP_SLTCAP_ABP | PCI_EXP_SLTCAP_AIP |
		PCI_EXP_SLTCAP_PIP | PCI_EXP_SLTCAP_HPS | PCI_EXP_SLTCAP_HPC,
	SLOT_NUMBER_SHIFT = 19,		/* in the slot capabilities */
	INDICATORS_OFF = PCI_EXP_SLTCTL_ATTN_IND_OFF |
		PCI_EXP_SLTCTL_PWR_IND_OFF,
	/* What there is neither power controller nor latch for stays 0. */
	SLOT_CONTROL_WRITABLE = PCI_EXP_SLTCTL_ABPE | PCI_EXP_SLTCTL_PDCE |
		PCI_EXP_SLTCTL_CCIE | PCI_EXP_SLTCTL_HPIE |
		PCI_EXP_SLTCTL_AIC | PCI_EXP_SLTCTL_PIC |
		PCI_EXP_SLTCTL_DLLSCE,
	/* Events whose enable bit in the control register is the same. */
	SLOT_EVENTS_SAME = PCI_EXP_SLTSTA_ABP | PCI_EXP_SLTSTA_PDC |
		PCI_EXP_SLTSTA_CC,
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

/* By MSI when the condition becomes true, or by the pin while it is. */
static void update_interrupt(struct pci_bridge *port)
{
	pci_set_intx(&port->dev, event_to_tell(port));
}

void pci_port_init_caps(struct pci_bridge *port)
{
	const struct pci_express express = {
		.type = PCI_EXP_TYPE_ROOT_PORT, .slot = true,
		.port = (uint8_t)port->number,
		/* What is behind it is no PCI Express. */
		.speed = PCI_EXP_LNKSTA_CLS_2_5GB, .width = 1,
	};
	uint8_t *v = port->dev.reset_val, *w = port->dev.writable;

	pci_add_express(&port->dev, CAP_EXP, &express);
	pci_add_msi(&port->dev, CAP_MSI, 1, false);
	le32_store(v + CAP_EXP + PCI_EXP_LNKCAP, PCI_EXP_LNKCAP_DLLLARC |
		   le32_load(v + CAP_EXP + PCI_EXP_LNKCAP));
	w[LINK_CONTROL] |= PCI_EXP_LNKCTL_LD;
	le32_store(v + CAP_EXP + PCI_EXP_SLTCAP,
		   SLOT_CAPS | port->number << SLOT_NUMBER_SHIFT);
	le16_store(v + SLOT_CONTROL, INDICATORS_OFF);
	le16_store(w + SLOT_CONTROL, SLOT_CONTROL_WRITABLE);
	pci_wire_connect(&port->wire, port->host, &port->fn, &port->dev);
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
		pci_host_gate(port->host);
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
