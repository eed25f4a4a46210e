/* SPDX-License-Identifier: Apache-2.0
 *
 * How a function in this process interrupts the machine: its INTA# pin drives a
 * line of the board, its messages are carried out as they come.
 *
 * Threads: by the lock of the function that it belongs to.
 */
#ifndef VMM_PCI_WIRE_H
#define VMM_PCI_WIRE_H

#include "pci/pci.h"
#include "vmm/pci_bus.h"
#include "vmm/pci_host.h"

struct pci_wire {
	struct pci_host *host;
	const struct pci_function *fn;	/* where it is on the buses */
	int gsi;			/* driven high; IRQ_NO_GSI: none */
};

/** pci_wire_connect() - @wire carries @dev's interrupts from now on: sets its
 * irq and host */
void pci_wire_connect(struct pci_wire *wire, struct pci_host *host,
		      const struct pci_function *fn, struct pci_dev *dev);

/** pci_wire_route() - where the pin goes may have changed */
void pci_wire_route(struct pci_dev *dev);

#endif
