/* SPDX-License-Identifier: Apache-2.0 */
#include "pci/msix.h"

#include <string.h>
#include <linux/pci_regs.h>

#include "base/byteorder.h"

static uint8_t *entry(const struct msix *msix, unsigned int vec)
{
	return msix->table + vec * MSIX_ENTRY_SIZE;
}

void msix_reset(struct msix *msix)
{
	memset(msix->table, 0, msix_table_size(msix->n));
	memset(msix->pba, 0, msix_pba_size(msix->n));
	for (unsigned int i = 0; i < msix->n; i++)
		le32_store(entry(msix, i) + PCI_MSIX_ENTRY_VECTOR_CTRL,
			   PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

uint64_t msix_table_read(const struct msix *msix, uint64_t off,
			 unsigned int len)
{
	uint64_t val = 0;

	memcpy(&val, msix->table + off, len);
	return val;
}

uint64_t msix_pba_read(const struct msix *msix, uint64_t off,
		       unsigned int len)
{
	uint64_t val = 0;

	memcpy(&val, msix->pba + off, len);
	return val;
}

int msix_table_write(struct msix *msix, uint64_t off, unsigned int len,
		     uint64_t val)
{
	unsigned int vec = (unsigned int)(off / MSIX_ENTRY_SIZE);
	uint8_t *e = entry(msix, vec);

	if ((len != 4 && len != 8) || off % len)
		return -1;
	memcpy(msix->table + off, &val, len);
	/* A message goes to a dword; the rest of the control is reserved. */
	e[PCI_MSIX_ENTRY_LOWER_ADDR] &= (uint8_t)~3u;
	le32_store(e + PCI_MSIX_ENTRY_VECTOR_CTRL,
		   le32_load(e + PCI_MSIX_ENTRY_VECTOR_CTRL) &
		   PCI_MSIX_ENTRY_CTRL_MASKBIT);
	return (int)vec;
}

bool msix_masked(const struct msix *msix, unsigned int vec)
{
	return entry(msix, vec)[PCI_MSIX_ENTRY_VECTOR_CTRL] &
		PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

void msix_message(const struct msix *msix, unsigned int vec, uint64_t *addr,
		  uint32_t *data)
{
	const uint8_t *e = entry(msix, vec);

	*addr = le64_load(e + PCI_MSIX_ENTRY_LOWER_ADDR);
	*data = le32_load(e + PCI_MSIX_ENTRY_DATA);
}

void msix_set_pending(struct msix *msix, unsigned int vec, bool pending)
{
	uint8_t bit = (uint8_t)BIT(vec % 8);

	if (pending)
		msix->pba[vec / 8] |= bit;
	else
		msix->pba[vec / 8] &= (uint8_t)~bit;
}
