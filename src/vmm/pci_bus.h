/* SPDX-License-Identifier: Apache-2.0
 *
 * The tree of PCI buses: functions on a bus, bridges to the next.  Bus numbers
 * are what the guest wrote to the bridges; so are the windows through which a
 * bridge hands on addresses.  PCI-to-PCI Bridge Architecture 1.2.
 *
 * Threads: changed and looked at under the PCI lock (pci_host.h).
 */
#ifndef VMM_PCI_BUS_H
#define VMM_PCI_BUS_H

#include <linux/pci.h>		/* PCI_DEVFN() and its parts */
#include <stdint.h>

#include "base/util.h"
#include "pci/pci.h"

struct pci_bridge;
struct pci_bus;
struct pci_function;

enum {
	PCI_N_SLOTS = 32,		/* on a bus */
	PCI_N_DEVFNS = 256,		/* slots times functions */
	PCI_N_PINS = 4,			/* INTA# to INTD# */
};

/* What sits at an address of a bus: a chip of ours, a bridge, a NIC. */
struct pci_function_ops {
	/* @off and @len within PCI_CONFIG_EXT_SIZE, not across a dword. */
	uint32_t (*config_read)(struct pci_function *fn, unsigned int off,
				unsigned int len);
	void (*config_write)(struct pci_function *fn, unsigned int off,
			     unsigned int len, uint32_t val);

	/** bar - what its @idx-th BAR decodes (PCI_ROM_BAR: the ROM); NULL:
	 * it has no BARs */
	const struct pci_bar *(*bar)(struct pci_function *fn,
				     unsigned int idx);

	/** map - put what it now decodes on the machine's buses; NULL: it
	 * decodes nothing there */
	void (*map)(struct pci_function *fn);

	/** route - where its INTx pin goes may have changed; NULL: it has no
	 * pin */
	void (*route)(struct pci_function *fn);

	/** gate - whether its requests get through to memory may have
	 * changed, see pci_bus_masters(); NULL: it makes none, or is on the
	 * root bus */
	void (*gate)(struct pci_function *fn);

	/** reset - RST# on its bus; 0 or -errno */
	int (*reset)(struct pci_function *fn);
};

struct pci_function {
	const struct pci_function_ops *ops;
	struct pci_bus *bus;		/* where it is; NULL: nowhere */
	unsigned int devfn;		/* PCI_DEVFN(slot, function) there */
	struct pci_bridge *bridge;	/* if it is one; else NULL */
};

struct pci_bus {
	struct pci_bridge *above;	/* NULL: the root bus */
	struct pci_function *fn[PCI_N_DEVFNS];	/* NULL: nothing there */
	unsigned int end;		/* from here on nothing ever was: most
					 * buses have but one function */
};

/** pci_bus_add() - @devfn is free */
void pci_bus_add(struct pci_bus *bus, unsigned int devfn,
		 struct pci_function *fn);

/** pci_bus_remove() - harmless if it is nowhere */
void pci_bus_remove(struct pci_function *fn);

/** pci_bus_find() - the bus that answers to @number; NULL: none does */
struct pci_bus *pci_bus_find(struct pci_bus *root, unsigned int number);

/** pci_bus_walk() - call @visit for every function, bridges before what is
 * behind them; those that a powered-off slot hides as well */
void pci_bus_walk(struct pci_bus *root,
		  void (*visit)(struct pci_function *fn, void *arg),
		  void *arg);

/**
 * pci_bus_reached() - do all bridges above @bus hand on these addresses?
 * @is_io: ports, not memory
 * @size: at least 1; @addr + @size does not wrap
 */
bool pci_bus_reached(const struct pci_bus *bus, bool is_io, uint64_t addr,
		     uint64_t size);

/** pci_bus_masters() - do all bridges above @bus hand on to memory what is
 * behind them, DMA and messages alike (3.2.4.3: Bus Master)? */
bool pci_bus_masters(const struct pci_bus *bus);

/**
 * pci_bus_root_pin() - which pin of which slot of the root bus @fn's @pin
 * (1: INTA#) is wired to (9.1)
 */
unsigned int pci_bus_root_pin(const struct pci_function *fn, unsigned int pin,
			      unsigned int *slot);

#endif
