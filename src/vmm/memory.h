/* SPDX-License-Identifier: Apache-2.0
 *
 * Guest RAM: one memfd, seen by the guest as [0, low) and, what does not fit
 * below the PCI hole, from 4 GiB on.  The same file goes to the NIC servers.
 *
 *	0          low <= 0xe0000000          4 GiB        4 GiB + high
 *	|   RAM    |       PCI hole, APICs      |     RAM     |
 *
 * Threads: set up before the vCPUs run; vm_memory_at() from any.
 */
#ifndef VMM_MEMORY_H
#define VMM_MEMORY_H

#include <stdint.h>

#include "base/util.h"

#define VM_PCI_HOLE_BASE 0xe0000000ull
#define VM_HIGH_RAM_BASE (4ull << 30)
#define VM_MEMORY_MIN (32ull << 20)
#define VM_MEMORY_MAX (256ull << 30)
#define VM_MEMORY_ALIGN (2ull << 20)	/* whole huge pages */

struct vm_memory {
	int fd;			/* the memfd; sealed against resizing */
	uint8_t *hva;		/* all of it, mapped shared */
	uint64_t size;		/* low + high */
	uint64_t low;		/* bytes from guest address 0 */
	uint64_t high;		/* bytes from VM_HIGH_RAM_BASE; 0: none */
};

/* One stretch of guest addresses with RAM behind it. */
struct vm_memory_part {
	uint64_t gpa;		/* guest address */
	uint64_t len;		/* bytes */
	uint64_t offset;	/* in the memfd */
};

/** vm_memory_init() - @size: checked by vm_memory_size_ok(); 0 or -errno */
int must_check vm_memory_init(struct vm_memory *mem, uint64_t size);
void vm_memory_fini(struct vm_memory *mem);

bool vm_memory_size_ok(uint64_t size);

/** vm_memory_parts() - fill @part; how many (1 or 2) */
unsigned int vm_memory_parts(const struct vm_memory *mem,
			     struct vm_memory_part part[2]);

/** vm_memory_at() - where [gpa, gpa + len) lies; NULL: not RAM throughout */
void *vm_memory_at(const struct vm_memory *mem, uint64_t gpa, uint64_t len);

/** vm_memory_clear() - all zeroes, as after power-on */
void vm_memory_clear(struct vm_memory *mem);

#endif
