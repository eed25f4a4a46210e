/* SPDX-License-Identifier: Apache-2.0
 *
 * The root of PCI: the two boards' host bridges, what else is soldered onto
 * them, and the ways to config space.
 *
 *	pc	a PC with the 440FX: configuration mechanism #1 (ports CF8h and
 *		CFCh), PIIX3 ISA bridge whose PIRQ registers route INTx pins to
 *		ISA interrupts, PIIX4 power management
 *	pcie	a PC with the Q35: mechanism #1 and ECAM, ICH9 LPC bridge with
 *		power management; INTx pins go to I/O APIC inputs 16 to 23,
 *		those of the root ports themselves to 10 and 11
 *
 * Where nothing is, config reads give ones and writes go nowhere.
 *
 * Threads: config accesses come from any vCPU; one lock serialises them, held
 * while a NIC's server is asked.  It guards the tree of buses as well.  Lock
 * order: this, then the machine's buses' locks, a disk's, the line lock.
 */
#ifndef VMM_PCI_HOST_H
#define VMM_PCI_HOST_H

#include <pthread.h>
#include <stdint.h>

#include "base/util.h"
#include "pci/pci.h"
#include "vmm/board.h"
#include "vmm/bus.h"
#include "vmm/irq.h"
#include "vmm/legacy.h"
#include "vmm/pci_bus.h"

enum {
	PCI_PORT_SLOTS = 24,	/* of the pcie board's, the first that may have
				 * root ports in them */
	PCI_PORT_PIN = 4,	/* that those use: INTD#, as cards use INTA# */
	PCI_N_PIRQS = 4,
	PCI_CONFIG_PORT = 0xcf8, PCI_CONFIG_PORTS = 8,
	PCI_N_CHIPS = 3,	/* of a board, at most */
};

/* What the root asks of the machine; under the PCI lock but for messages and
 * lines, which any thread may send and drive. */
struct pci_host_ops {
	void (*reset)(void *opaque);
	/* Drive an interrupt line; on behalf of ports. */
	void (*set_line)(void *opaque, unsigned int gsi, bool level);
	/* Carry out a message of a port. */
	void (*send_msi)(void *opaque, uint64_t addr, uint32_t data);
	/* The guest has let go of a card it was asked for; the slot is empty
	 * by now. */
	void (*card_released)(void *opaque, struct pci_bridge *port);
};

/* A function that is part of the board. */
struct pci_chip {
	struct pci_function fn;
	struct pci_dev dev;
	struct pci_host *host;
};

struct pci_host {
	enum vm_board board;
	const struct pci_host_ops *ops;
	void *opaque;			/* for ops */
	struct bus *pio, *mmio;		/* what BARs are put on */
	struct bus_dev *pm;		/* the power management ports */
	struct bus_dev dev;		/* ports CF8h-CFFh */
	struct bus_dev ecam;		/* the pcie board's config space */
	pthread_mutex_t lock;
	uint32_t address;		/* CONFIG_ADDRESS; any thread, atomic */
	uint8_t reset_control;		/* CF9h, less the bit that resets */
	struct pci_bus root;		/* bus 0 */
	struct pci_chip chip[PCI_N_CHIPS];
	unsigned int n_chips;
	bool quiet;			/* firmware is at work: no mapping */
	pthread_mutex_t line_lock;	/* of what follows; last of all */
	unsigned int n_driving[IRQ_N_IOAPIC];	/* functions of ours that hold
						 * the line of a GSI high */
};

/** pci_host_init() - @pio, @mmio, @pm outlive it; 0 or -errno */
int must_check pci_host_init(struct pci_host *host, enum vm_board board,
			     const struct pci_host_ops *ops, void *opaque,
			     struct bus *pio, struct bus *mmio,
			     struct bus_dev *pm);
void pci_host_fini(struct pci_host *host);

/** pci_host_reset() - as after power-on: chipset registers, then every function
 * on any bus; 0 or -errno of a function that could not be reset */
int must_check pci_host_reset(struct pci_host *host);

/** pci_host_gsi() - where @fn's @pin (1: INTA#) goes; IRQ_NO_GSI: nowhere */
int pci_host_gsi(const struct pci_host *host, const struct pci_function *fn,
		 unsigned int pin);

/** pci_host_map() - put all BARs where they now are; under the lock */
void pci_host_map(struct pci_host *host);

/** pci_host_gate() - let functions look whether they reach memory; likewise */
void pci_host_gate(struct pci_host *host);

/** pci_host_route() - let functions look where their pins go; likewise */
void pci_host_route(struct pci_host *host);

/** pci_host_drive() - one more or one less that holds @gsi's line high; any
 * thread */
void pci_host_drive(struct pci_host *host, int gsi, bool level);

/** pci_host_pirq() - which PIRQ @pin (1: INTA#) of a slot of the pc board's
 * root bus is wired to */
unsigned int pci_host_pirq(unsigned int slot, unsigned int pin);

/* For pci_chipset.c and pci_host.c: */

/** pci_chips_init() - put the board's chips onto the root bus; 0 or -errno */
int must_check pci_chips_init(struct pci_host *host);
void pci_chips_fini(struct pci_host *host);

/** pci_chips_setup() - firmware's part: PIRQs routed to IRQ 10 and 11, power
 * management ports on */
void pci_chips_setup(struct pci_host *host);

/** pci_chips_map() - put the power management ports where they now are */
void pci_chips_map(struct pci_host *host);

/** pci_chips_pirq_gsi() - where PIRQ @pirq of the pc board goes; IRQ_NO_GSI:
 * nowhere */
int pci_chips_pirq_gsi(const struct pci_host *host, unsigned int pirq);

#endif
