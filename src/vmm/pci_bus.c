/* SPDX-License-Identifier: Apache-2.0
 *
 * The tree of PCI buses; see pci_bus.h.
 */
#include "vmm/pci_bus.h"

#include <assert.h>

#include "vmm/pci_bridge.h"

void pci_bus_add(struct pci_bus *bus, unsigned int devfn,
		 struct pci_function *fn)
{
	assert(devfn < PCI_N_DEVFNS && !bus->fn[devfn]);
	bus->fn[devfn] = fn;
	bus->end = max_of(bus->end, devfn + 1);
	fn->bus = bus;
	fn->devfn = devfn;
}

void pci_bus_remove(struct pci_function *fn)
{
	if (fn->bus)
		fn->bus->fn[fn->devfn] = NULL;
	fn->bus = NULL;
}

/* The bridge on @bus that claims bus @number. */
static struct pci_bridge *claiming(const struct pci_bus *bus,
				   unsigned int number)
{
	for (unsigned int i = 0; i < bus->end; i++)
		if (bus->fn[i] && bus->fn[i]->bridge &&
		    pci_bridge_claims(bus->fn[i]->bridge, number))
			return bus->fn[i]->bridge;
	return NULL;
}

struct pci_bus *pci_bus_find(struct pci_bus *root, unsigned int number)
{
	struct pci_bus *bus = root;
	unsigned int here = 0;

	/* Ends, whatever a guest wrote: each step goes down the tree. */
	while (here != number) {
		struct pci_bridge *bridge = claiming(bus, number);

		if (!bridge)
			return NULL;
		here = pci_bridge_number(bridge);
		bus = &bridge->secondary;
	}
	return bus;
}

void pci_bus_walk(struct pci_bus *root,
		  void (*visit)(struct pci_function *fn, void *arg),
		  void *arg)
{
	for (unsigned int i = 0; i < root->end; i++) {
		struct pci_function *fn = root->fn[i];

		if (!fn)
			continue;
		visit(fn, arg);
		if (fn->bridge)
			pci_bus_walk(&fn->bridge->secondary, visit, arg);
	}
}

bool pci_bus_reached(const struct pci_bus *bus, bool is_io, uint64_t addr,
		     uint64_t size)
{
	for (; bus->above; bus = bus->above->fn.bus)
		if (!pci_bridge_forwards(bus->above, is_io, addr, size))
			return false;
	return true;
}

bool pci_bus_masters(const struct pci_bus *bus)
{
	for (; bus->above; bus = bus->above->fn.bus)
		if (!pci_bridge_up(bus->above) ||
		    !pci_bus_master(&bus->above->dev))
			return false;
	return true;
}

unsigned int pci_bus_root_pin(const struct pci_function *fn, unsigned int pin,
			      unsigned int *slot)
{
	for (; fn->bus->above; fn = &fn->bus->above->fn)
		pin = (pin - 1 + PCI_SLOT(fn->devfn)) % PCI_N_PINS + 1;
	*slot = PCI_SLOT(fn->devfn);
	return pin;
}
