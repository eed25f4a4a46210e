/* SPDX-License-Identifier: Apache-2.0
 *
 * Bridges to another PCI bus (type 1 headers), of two kinds: a conventional
 * PCI-to-PCI bridge, and a PCI Express root port with a slot that cards can be
 * plugged into and pulled out of while the guest runs.
 *
 *	Theory of operation
 *
 * Hot-plug is the native one of PCI Express Base 3.0, 6.7, as a driver like
 * Linux's pciehp knows it.  A card that is plugged in shows as presence and
 * data link up; the guest scans the bus at once.  To have a card out in order,
 * the attention button is pressed: the guest lets five seconds pass in which a
 * second press takes it back, unbinds the driver, and switches the slot's
 * power indicator off, upon which the card goes.  Or the card is just pulled:
 * presence and link go down, and the driver finds ones in its registers.
 * There is no power controller: with one, an empty slot would be off, and a
 * card in it could not show itself by its link.
 *
 * Each event is told by the port's MSI, or by its INTx pin.
 *
 * Threads: as pci_bus.h.
 */
#ifndef VMM_PCI_BRIDGE_H
#define VMM_PCI_BRIDGE_H

#include <stdint.h>

#include "base/util.h"
#include "pci/pci.h"
#include "vmm/pci_bus.h"
#include "vmm/pci_wire.h"

struct pci_host;

enum {
	PCI_BRIDGE_IO_GRANULE = 4 << 10,	/* of windows, in bytes */
	PCI_BRIDGE_MEM_GRANULE = 1 << 20,
};

struct pci_bridge {
	struct pci_function fn;
	struct pci_host *host;		/* the machine's */
	struct pci_dev dev;		/* its config space */
	struct pci_bus secondary;	/* what is behind it */

	/* Root ports: */
	bool is_port;
	unsigned int number;		/* of its slot, for people; from 1 */
	bool present;			/* a card is plugged in */
	bool leaving;			/* and asked to go */
	bool has_io;			/* to have a window of ports:
					 * pci_setup()'s choice */
	struct pci_wire wire;		/* of its interrupts */
};

/** pci_bridge_init() - a conventional bridge, not on a bus yet */
int must_check pci_bridge_init(struct pci_bridge *bridge,
			       struct pci_host *host);

/** pci_port_init() - a root port whose slot is called @number */
int must_check pci_port_init(struct pci_bridge *port, struct pci_host *host,
			     unsigned int number);
void pci_bridge_fini(struct pci_bridge *bridge);

/** pci_bridge_number() - of the bus behind it, as the guest set it; 0: not */
unsigned int pci_bridge_number(const struct pci_bridge *bridge);

/** pci_bridge_claims() - is bus @number behind it? */
bool pci_bridge_claims(const struct pci_bridge *bridge, unsigned int number);

/** pci_bridge_forwards() - see pci_bus_reached() */
bool pci_bridge_forwards(const struct pci_bridge *bridge, bool is_io,
			 uint64_t addr, uint64_t size);

/** pci_bridge_up() - can what is behind it be reached at all? */
bool pci_bridge_up(const struct pci_bridge *bridge);

/** pci_port_plug() - a card is in the slot; the guest is told */
void pci_port_plug(struct pci_bridge *port);

/** pci_port_unplug() - the slot is empty; the guest is told */
void pci_port_unplug(struct pci_bridge *port);

/**
 * pci_port_ask() - have the card out in order
 *
 * Return: may it go at once, as nobody looks after the slot?  Otherwise the
 * host's card_released() will be called, if the guest agrees.
 */
bool must_check pci_port_ask(struct pci_bridge *port);

/** pci_port_config_written() - for pci_bridge.c: what a write to the registers
 * of the slot does */
void pci_port_config_written(struct pci_bridge *port, unsigned int off,
			     unsigned int len);

/** pci_port_reset() - for pci_bridge.c: registers follow the slot's state */
void pci_port_reset(struct pci_bridge *port);

/** pci_port_init_caps() - for pci_bridge.c: the capabilities of a port */
void pci_port_init_caps(struct pci_bridge *port);

/** pci_port_link() - the data link's state */
bool pci_port_link(const struct pci_bridge *port);

#endif
