/* SPDX-License-Identifier: Apache-2.0
 *
 * Firmware's part: after power-on it numbers the buses, gives every BAR an
 * address and every bridge windows of the size that takes, and switches
 * decoding on.  On the pc board the addresses come out as a PC BIOS would have
 * them.
 *
 * A slot without a card gets windows as well, so that one can be plugged in.
 * Of ports there are few: with many root ports the last do without, which
 * is said in a warning if they have a card that wants some.
 */
#ifndef VMM_PCI_SETUP_H
#define VMM_PCI_SETUP_H

#include "base/util.h"
#include "vmm/pci_host.h"

/**
 * pci_setup() - after pci_host_reset(), before a vCPU runs
 *
 * Return: 0; -ENOSPC: the addresses do not suffice (said in a message);
 * -ENOMEM.
 */
int must_check pci_setup(struct pci_host *host);

#endif
