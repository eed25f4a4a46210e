/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of pci/ share.
 */
#ifndef PCI_PCI_INTERNAL_H
#define PCI_PCI_INTERNAL_H

#include "pci/pci.h"

/** pci_powered() - in D0: it decodes, masters and interrupts */
bool pci_powered(const struct pci_dev *dev);

/** pci_irq_update() - whatever decides about interrupts may have changed: tell
 * the host if the pin is no longer at @pin_before, send what may be sent */
void pci_irq_update(struct pci_dev *dev, bool pin_before);

/** pci_irq_forget() - a kind of message that is not enabled has nothing
 * pending */
void pci_irq_forget(struct pci_dev *dev);

#endif
