/* SPDX-License-Identifier: Apache-2.0
 *
 * The boards a machine can be built on, and where they put things.
 */
#ifndef VMM_BOARD_H
#define VMM_BOARD_H

#include "vmm/memory.h"

/* X(NAME, "name", "chipset") */
#define VM_BOARDS(X)							\
	X(PC, "pc", "440FX, conventional PCI")				\
	X(PCIE, "pcie", "Q35, PCI Express with hot-plug")

enum vm_board {
#define X(name, text, chipset) VM_BOARD_##name,
	VM_BOARDS(X)
#undef X
	N_VM_BOARDS,
};

extern const char *const vm_board_names[N_VM_BOARDS];	/* "pc" */

/** vm_board_find() - by name; false: there is none such */
bool vm_board_find(const char *name, enum vm_board *board);

/* Slots of the root bus.  On the pc board NICs and disks have them to
 * themselves; on the pcie board NICs are in root ports. */
enum {
	VM_PC_SLOT_FIRST = 2,	/* those before are the chipset's */
	VM_PC_SLOT_NIC = 3,	/* where the search for a free one begins */
	VM_PC_SLOT_DISK = 5,	/* likewise, for a disk */
	VM_SLOT_LAST = 31,	/* also of a bridge's bus, whose first is 1 */
	VM_SLOT_BRIDGE = 30,	/* of bridge 1; the next ones are below it */
};

/* The pcie board's config space: all 256 buses, at the start of the PCI hole.
 * Windows for BARs below 4 GiB lie behind it, those above behind any RAM. */
#define VM_ECAM_BASE VM_PCI_HOLE_BASE
#define VM_ECAM_LEN (256ull << 20)
#define VM_PCI_HOLE_END 0xfec00000ull	/* the I/O APIC */
#define VM_PCI_HIGH_BASE (264ull << 30)
#define VM_PCI_HIGH_LEN (8ull << 30)

#endif
