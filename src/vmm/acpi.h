/* SPDX-License-Identifier: Apache-2.0
 *
 * The ACPI tables, at the top of the first megabyte where a BIOS would have
 * them (so that a kernel finds them without being told).
 */
#ifndef VMM_ACPI_H
#define VMM_ACPI_H

#include <stdint.h>

#include "base/util.h"
#include "vmm/board.h"

enum {
	ACPI_BASE = 0xe0000,		/* the RSDP is the first thing there */
	ACPI_LEN = 0x20000,
	ACPI_SCI_IRQ = 9,
};

/**
 * acpi_build() - write RSDP, XSDT, FADT, FACS, MADT, DSDT and, for the pcie
 * board, MCFG
 * @area: ACPI_LEN bytes of guest memory that the guest sees at ACPI_BASE
 * @n_cpus: at most VM_CPUS_MAX; local APIC ids are 0 .. n_cpus - 1
 */
void acpi_build(uint8_t *area, unsigned int n_cpus, enum vm_board board);

#endif
