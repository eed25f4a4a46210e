/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pci_wire.h"

/* As struct pci_irq_ops: the level of the pin. */
static void intx(struct pci_dev *dev, bool level)
{
	struct pci_wire *wire = dev->host;

	if (wire->gsi != IRQ_NO_GSI)
		pci_host_drive(wire->host, wire->gsi, false);
	wire->gsi = level ? pci_host_gsi(wire->host, wire->fn,
					 dev->config[PCI_INTERRUPT_PIN]) :
			    IRQ_NO_GSI;
	if (wire->gsi != IRQ_NO_GSI)
		pci_host_drive(wire->host, wire->gsi, true);
}

static bool msi(struct pci_dev *dev, unsigned int vec)
{
	struct pci_wire *wire = dev->host;
	uint64_t addr;
	uint32_t data;

	pci_msi_message(dev, vec, &addr, &data);
	wire->host->ops->send_msi(wire->host->opaque, addr, data);
	return true;
}

static const struct pci_irq_ops irq_ops = {
	.intx = intx,
	.msi = msi,
};

void pci_wire_connect(struct pci_wire *wire, struct pci_host *host,
		      const struct pci_function *fn, struct pci_dev *dev)
{
	*wire = (struct pci_wire){ host, fn, IRQ_NO_GSI };
	dev->host = wire;
	dev->irq = &irq_ops;
}

void pci_wire_route(struct pci_dev *dev)
{
	/* A pin that is high drives another line now. */
	if (pci_intx_pin(dev))
		intx(dev, true);
}
