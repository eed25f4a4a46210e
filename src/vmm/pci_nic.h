/* SPDX-License-Identifier: Apache-2.0
 *
 * A NIC in a slot of the PCI bus: config space, BARs and interrupts all belong
 * to a vfio-user server; this is the wiring.
 *
 *	config access	forwarded; what it does to BARs and decoding is read
 *			back and put on the buses
 *	memory BAR	reads wait, writes are posted, as on PCI
 *	I/O BAR		reads and writes wait
 *	INTx		eventfds between server and KVM; see irq.h
 *
 * The VMM also plays the firmware: it gives each BAR an address.
 *
 * A server that goes away is a card pulled out: reads give ones, the machine
 * goes on.
 *
 * Threads: set-up before the vCPUs run; afterwards BAR accesses from any vCPU,
 * the rest under the PCI lock.
 */
#ifndef VMM_PCI_NIC_H
#define VMM_PCI_NIC_H

#include "base/util.h"
#include "pci/pci.h"
#include "vmm/bus.h"
#include "vmm/irq.h"
#include "vmm/memory.h"
#include "vmm/pci_host.h"

struct vfu_client;

enum { PCI_NIC_HEADER_LEN = 0x40 };

/* One BAR, or the ROM. */
struct pci_nic_bar {
	struct bus_dev dev;		/* counts its accesses */
	struct pci_nic *nic;		/* whose */
	unsigned int idx;		/* PCI_ROM_BAR: the ROM */
	enum pci_bar_kind kind;		/* PCI_BAR_NONE: not there */
	uint64_t size;			/* bytes, a power of two */
};

struct pci_nic {
	struct pci_nics *nics;		/* the bus it is on */
	struct vfu_client *client;
	const char *path;		/* of the server's socket */
	unsigned int slot;
	bool gone;			/* the server's end has been told */
	bool has_intx;
	uint8_t header[PCI_NIC_HEADER_LEN];	/* of its config space, as last
						 * read */
	unsigned int pirq;		/* its pin's input at the PIIX3 */
	struct irq_intx intx;
	struct pci_nic_bar bar[PCI_N_BARS + 1];
};

/* All NICs of a machine, and what they are wired to. */
struct pci_nics {
	struct pci_host *host;
	struct bus *pio, *mmio;
	struct irq *irq;
	unsigned int n;
	struct pci_nic nic[PCI_N_SLOTS];
};

void pci_nics_init(struct pci_nics *nics, struct pci_host *host,
		   struct bus *pio, struct bus *mmio, struct irq *irq);
void pci_nics_fini(struct pci_nics *nics);

/**
 * pci_nics_add() - connect to the server at @path and give it guest memory
 * @slot: 2 to 31; 0: the next free one from 3 on
 *
 * Return: 0 or -errno, with a message.
 */
int must_check pci_nics_add(struct pci_nics *nics, const char *path,
			    unsigned int slot, const struct vm_memory *mem);

/**
 * pci_nics_reset() - reset all, assign addresses, interrupts as yet unrouted
 *
 * Return: 0 or -errno, with a message (the addresses do not suffice).
 */
int must_check pci_nics_reset(struct pci_nics *nics);

/** pci_nics_route() - connect INTx pins as the PIRQ registers now say */
void pci_nics_route(struct pci_nics *nics);

/** pci_nics_unroute() - the KVM machine is about to go */
void pci_nics_unroute(struct pci_nics *nics);

#endif
