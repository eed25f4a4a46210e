/* SPDX-License-Identifier: Apache-2.0
 *
 * What pci_nic.c (the card) and pci_nic_again.c (its server comes back) share.
 */
#ifndef VMM_PCI_NIC_INTERNAL_H
#define VMM_PCI_NIC_INTERNAL_H

#include "vmm/pci_nic.h"

/** pci_nic_set_gone() - its server is away; says so, once */
void pci_nic_set_gone(struct pci_nic *nic);

/** pci_nic_check_gone() - count an access if @err says that the server is away,
 * and so it is lost */
void pci_nic_check_gone(struct pci_nic *nic, int err);

/** pci_nic_read_config() - config space may have changed: see what it is now,
 * and follow; under the PCI lock */
void pci_nic_read_config(struct pci_nic *nic);

/** pci_nic_give_memory() - let @client's server reach the guest's; 0 or
 * -errno */
int must_check pci_nic_give_memory(const struct pci_nic *nic,
				   struct vfu_client *client);

/** pci_nic_give_intx() - let it have the eventfds of the pin; 0 or -errno */
int must_check pci_nic_give_intx(const struct pci_nic *nic,
				 struct vfu_client *client);

#endif
