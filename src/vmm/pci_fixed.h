/* SPDX-License-Identifier: Apache-2.0
 *
 * Which bytes of a function's config space change by writes alone, so that
 * whoever has seen them after the last write knows them: the header but for its
 * status, and what capabilities say of the device.  A guest that looks for
 * capabilities reads hundreds of these, over and over again.
 */
#ifndef VMM_PCI_FIXED_H
#define VMM_PCI_FIXED_H

#include "pci/pci.h"

struct pci_fixed {
	uint8_t bits[PCI_CONFIG_SIZE / 8];	/* of each byte */
};

/** pci_fixed_find() - by config space itself, PCI_CONFIG_SIZE bytes from
 * anybody */
void pci_fixed_find(struct pci_fixed *fixed, const uint8_t *config);

/** pci_fixed_all() - are all bytes of [off, off + len)?  None is beyond
 * PCI_CONFIG_SIZE. */
bool pci_fixed_all(const struct pci_fixed *fixed, unsigned int off,
		   unsigned int len);

#endif
