/* SPDX-License-Identifier: Apache-2.0
 *
 * The PCI bus and its host bridge, as on a PC with the 440FX: configuration
 * mechanism #1 (ports CF8h and CFCh), the host bridge at 00:00.0 and the PIIX3
 * ISA bridge at 00:01.0 with the PIRQ routing registers.  NICs are functions
 * 0 of slots 2 to 31.
 *
 * Where nothing is, config reads give ones and writes go nowhere.
 *
 * Threads: config accesses come from any vCPU; one lock serialises them, held
 * while a NIC's server is asked.  Lock order: this, then bus locks.
 */
#ifndef VMM_PCI_HOST_H
#define VMM_PCI_HOST_H

#include <pthread.h>
#include <stdint.h>

#include "base/util.h"
#include "pci/pci.h"
#include "vmm/bus.h"
#include "vmm/legacy.h"

enum {
	PCI_N_SLOTS = 32,
	PCI_SLOT_HOST = 0, PCI_SLOT_ISA = 1, PCI_SLOT_NIC = 3,
	PCI_N_PIRQS = 4,
	PCI_CONFIG_PORT = 0xcf8, PCI_CONFIG_PORTS = 8,
};

/* What sits in a slot. */
struct pci_slot {
	/* @off and @len within the 256 bytes, not across a dword. */
	uint32_t (*config_read)(void *opaque, unsigned int off,
				unsigned int len);
	void (*config_write)(void *opaque, unsigned int off, unsigned int len,
			     uint32_t val);
	void *opaque;
};

struct pci_host {
	struct bus_dev dev;		/* ports CF8h-CFFh */
	pthread_mutex_t lock;
	uint32_t address;		/* CONFIG_ADDRESS; any thread, atomic */
	uint8_t reset_control;		/* CF9h, less the bit that resets */
	struct pci_slot slot[PCI_N_SLOTS];
	struct pci_dev bridge;		/* 00:00.0 */
	struct pci_dev isa;		/* 00:01.0 */
	const struct power_ops *power;
	void (*pirq_changed)(void *opaque);	/* routing was written; under
						 * the lock */
	void *opaque;			/* for power and pirq_changed */
};

int must_check pci_host_init(struct pci_host *host,
			     const struct power_ops *power,
			     void (*pirq_changed)(void *opaque), void *opaque);
void pci_host_fini(struct pci_host *host);

/** pci_host_reset() - chipset registers after power-on, then as firmware would
 * set them: PIRQs routed to IRQ 10 and 11 */
void pci_host_reset(struct pci_host *host);

/** pci_host_pirq_gsi() - where PIRQ @pirq goes; IRQ_NO_GSI: nowhere */
int pci_host_pirq_gsi(const struct pci_host *host, unsigned int pirq);

/** pci_host_pirq() - which PIRQ @pin (1: INTA#) of a slot is wired to */
unsigned int pci_host_pirq(unsigned int slot, unsigned int pin);

#endif
