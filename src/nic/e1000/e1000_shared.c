/* SPDX-License-Identifier: Apache-2.0
 *
 * 82540EM registers in memory shared with the client (pci/shared_regs.h): those
 * that Linux's driver accesses at each interrupt.  It reads ICR, masks by IMC,
 * reads STATUS to have that done, and in the end writes IMS, and reads STATUS
 * again.  And the rings' tails: the driver moves RDT when it has received, TDT
 * to send.
 *
 * When it takes the card it reads the EEPROM by its pins, through EECD: seven
 * accesses a bit, of which three are reads of STATUS to have a write of EECD
 * done.  No word here depends on EECD, so these reads need not wait for it.
 *
 * The tails are taken over from the page at the beginning of each burst, and
 * before a message is looked at; what is worked with is our own copy.  Nobody
 * waits for RDT: a frame that finds no room is offered again soon.
 */
#include "nic/e1000/e1000.h"

enum { TAIL = 0xffff };		/* the bits that RDT and TDT have */

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
	[E1000_SHARED_WRITE_RDT] = { AT(RDT),
		.kind = PCI_SHARED_STORE, .word = E1000_SHARED_RDT,
		.mask = TAIL },
	[E1000_SHARED_WRITE_TDT] = { AT(TDT),
		.kind = PCI_SHARED_STORE_CALL, .word = E1000_SHARED_TDT,
		.due = E1000_SHARED_ASLEEP, .mask = TAIL },
	[E1000_SHARED_WRITE_EECD] = { AT(EECD), .kind = PCI_SHARED_APART },
#undef AT
};
static_assert((int)E1000_N_SHARED <= PCI_SHARED_REGS_MAX, "rows of a page");

static void put(struct e1000 *dev, enum e1000_shared_word word,
		enum e1000_slot slot)
{
	if (dev->shared.page)
		__atomic_store_n(&dev->shared.page->word[word],
				 dev->state->reg[slot], __ATOMIC_SEQ_CST);
}

void e1000_shared_status(struct e1000 *dev)
{
	put(dev, E1000_SHARED_STATUS, E1000_STATUS);
}

void e1000_shared_rdt(struct e1000 *dev)
{
	if (dev->shared.page)
		dev->state->reg[E1000_RDT] = TAIL & pci_shared_load(
			&dev->shared.page->word[E1000_SHARED_RDT]);
}

void e1000_shared_tdt(struct e1000 *dev)
{
	uint32_t *reg = &dev->state->reg[E1000_TDT], tail;

	if (!dev->shared.page)
		return;
	tail = TAIL & pci_shared_load(
			&dev->shared.page->word[E1000_SHARED_TDT]);
	if (tail != *reg)
		dev->tx.wait = false;
	*reg = tail;
}

void e1000_shared_rdt_set(struct e1000 *dev)
{
	put(dev, E1000_SHARED_RDT, E1000_RDT);
}

void e1000_shared_tdt_set(struct e1000 *dev)
{
	put(dev, E1000_SHARED_TDT, E1000_TDT);
}

/* The queue is looked at once more after this; see loop/worker.h. */
void e1000_tx_arm(struct port_queue *queue)
{
	struct pci_shared_page *page = e1000_of_port(queue->port)->shared.page;

	if (page)
		__atomic_store_n(&page->word[E1000_SHARED_ASLEEP], 1,
				 __ATOMIC_SEQ_CST);
}

void e1000_tx_disarm(struct port_queue *queue)
{
	struct pci_shared_page *page = e1000_of_port(queue->port)->shared.page;

	if (page)
		__atomic_store_n(&page->word[E1000_SHARED_ASLEEP], 0,
				 __ATOMIC_RELAXED);
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
	e1000_shared_rdt_set(dev);
	e1000_shared_tdt_set(dev);
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
	uint64_t icr_reads, reads, writes, tdt, rdt;

	if (!dev->shared.page)
		return;
	e1000_shared_rdt(dev);
	e1000_shared_tdt(dev);
	tdt = count(dev, E1000_SHARED_WRITE_TDT);
	rdt = count(dev, E1000_SHARED_WRITE_RDT);
	icr_reads = count(dev, E1000_SHARED_READ_ICR);
	reads = icr_reads + count(dev, E1000_SHARED_READ_STATUS);
	writes = count(dev, E1000_SHARED_WRITE_IMS) +
		count(dev, E1000_SHARED_WRITE_IMC) + tdt + rdt;
	counter_add(&c->tx_doorbells, tdt);
	counter_add(&c->rx_doorbells, rdt);
	counter_add(&c->icr_reads, icr_reads);
	counter_add(&c->reg_reads, reads);
	counter_add(&c->reg_writes, writes);
	counter_add(&c->reg_shared, reads + writes);
	e1000_irq_update(dev);
}
