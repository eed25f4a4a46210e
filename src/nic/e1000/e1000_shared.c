/* SPDX-License-Identifier: Apache-2.0
 *
 * 82540EM registers in memory shared with the client (pci/shared_regs.h): those
 * that Linux's driver accesses at each interrupt.  It reads ICR, masks by IMC,
 * reads STATUS to have that done, and in the end writes IMS, and reads STATUS
 * again.
 */
#include "nic/e1000/e1000.h"

const struct pci_shared_reg e1000_shared_regs[E1000_N_SHARED] = {
#define AT(name) .bar = E1000_BAR_REGS, .off = E1000_AT_##name
	[E1000_SHARED_READ_ICR] = { AT(ICR),
		.kind = PCI_SHARED_READ_CLEAR, .word = E1000_SHARED_ICR },
	[E1000_SHARED_WRITE_IMS] = { AT(IMS),
		.kind = PCI_SHARED_SET, .word = E1000_SHARED_IMS,
		.due = E1000_SHARED_ICR, .mask = ICR_CAUSES },
	[E1000_SHARED_WRITE_IMC] = { AT(IMC),
		.kind = PCI_SHARED_CLEAR, .word = E1000_SHARED_IMS },
	[E1000_SHARED_READ_STATUS] = { AT(STATUS),
		.kind = PCI_SHARED_READ, .word = E1000_SHARED_STATUS },
#undef AT
};
static_assert((int)E1000_N_SHARED <= PCI_SHARED_REGS_MAX, "rows of a page");

void e1000_shared_status(struct e1000 *dev)
{
	if (dev->shared.page)
		__atomic_store_n(&dev->shared.page->word[E1000_SHARED_STATUS],
				 dev->state->reg[E1000_STATUS],
				 __ATOMIC_SEQ_CST);
}

void e1000_share(struct pci_dev *pci, struct pci_shared_page *page)
{
	struct e1000 *dev = e1000_of_pci(pci);
	uint32_t *reg = dev->state->reg;
	uint32_t *icr = page ? &page->word[E1000_SHARED_ICR] : &reg[E1000_ICR];
	uint32_t *ims = page ? &page->word[E1000_SHARED_IMS] : &reg[E1000_IMS];

	if (dev->shared.page)
		e1000_shared_changed(pci);
	if (dev->icr) {
		*icr = pci_shared_load(dev->icr) & ICR_CAUSES;
		*ims = pci_shared_load(dev->ims) & ICR_CAUSES;
	}
	dev->icr = icr;
	dev->ims = ims;
	dev->shared = (struct e1000_shared){ .page = page };
	e1000_shared_status(dev);
	/* What a client has put there that is no cause is gone. */
	e1000_irq_update(dev);
}

/* How often row @i has been used since the last look. */
static uint64_t count(struct e1000 *dev, enum e1000_shared_row i)
{
	struct e1000_shared *shared = &dev->shared;
	uint64_t n = __atomic_load_n(&shared->page->n[i], __ATOMIC_RELAXED);
	uint64_t more = n - shared->n[i];

	shared->n[i] = n;
	return more;
}

void e1000_shared_changed(struct pci_dev *pci)
{
	struct e1000 *dev = e1000_of_pci(pci);
	struct e1000_counters *c = &dev->counters;
	uint64_t icr_reads, reads, writes;

	if (!dev->shared.page)
		return;
	icr_reads = count(dev, E1000_SHARED_READ_ICR);
	reads = icr_reads + count(dev, E1000_SHARED_READ_STATUS);
	writes = count(dev, E1000_SHARED_WRITE_IMS) +
		count(dev, E1000_SHARED_WRITE_IMC);
	counter_add(&c->icr_reads, icr_reads);
	counter_add(&c->reg_reads, reads);
	counter_add(&c->reg_writes, writes);
	counter_add(&c->reg_shared, reads + writes);
	e1000_irq_update(dev);
}
