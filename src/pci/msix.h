/* SPDX-License-Identifier: Apache-2.0
 *
 * An MSI-X table and its pending bits, as memory that a guest reads and writes
 * (PCI Local Bus Specification 3.0, 6.8.2).  Whoever holds the table uses it:
 * a function of ours (pci.h), or a VMM on behalf of a function elsewhere.
 */
#ifndef PCI_MSIX_H
#define PCI_MSIX_H

#include <stdint.h>

#include "base/util.h"

enum {
	MSIX_VECTORS_MAX = 2048,	/* of one function */
	MSIX_ENTRY_SIZE = 16,		/* bytes in the table */
};

struct msix {
	unsigned int n;		/* vectors; 0: there is no table */
	uint8_t *table;		/* n * MSIX_ENTRY_SIZE bytes */
	uint8_t *pba;		/* msix_pba_size(n) bytes */
};

/** msix_table_size(), msix_pba_size() - bytes that @n vectors take */
static inline uint32_t msix_table_size(unsigned int n)
{
	return n * MSIX_ENTRY_SIZE;
}

static inline uint32_t msix_pba_size(unsigned int n)
{
	return (uint32_t)align_up(n, 64) / 8;
}

/** msix_reset() - all vectors masked, without message, not pending */
void msix_reset(struct msix *msix);

/** msix_table_read(), msix_pba_read() - @len <= 8 bytes, checked to be there */
uint64_t msix_table_read(const struct msix *msix, uint64_t off,
			 unsigned int len);
uint64_t msix_pba_read(const struct msix *msix, uint64_t off,
		       unsigned int len);

/**
 * msix_table_write() - a guest's write of aligned 4 or 8 bytes; others have no
 * effect (6.8.2)
 *
 * Return: the vector whose entry it is, or -1.
 */
int msix_table_write(struct msix *msix, uint64_t off, unsigned int len,
		     uint64_t val);

/** msix_masked() - by its entry; @vec < n, as in all below */
bool msix_masked(const struct msix *msix, unsigned int vec);

/** msix_message() - what to write where to signal the vector */
void msix_message(const struct msix *msix, unsigned int vec, uint64_t *addr,
		  uint32_t *data);

void msix_set_pending(struct msix *msix, unsigned int vec, bool pending);

#endif
