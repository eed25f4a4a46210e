/* SPDX-License-Identifier: Apache-2.0
 *
 * Registers in memory that a function's host shares with its client: those that
 * a driver accesses at every interrupt and for every packet.
 *
 * Theory of operation.  An access in the page has to be the same as one that is
 * carried out by bar_read() or bar_write():
 *
 *   - A read comes behind all writes before it, on PCI as here: the client
 *     counts the writes that it has posted, the page says how many of them are
 *     done, and unless the numbers agree the access goes the long way, behind
 *     them.  Writes that are APART do not matter: nobody could tell.
 *   - What an access does beside the register is the function's to find out, in
 *     ops->shared_changed(): the host calls it before whatever else it does for
 *     the client, and the function looks itself before it raises a cause.
 *   - A write that makes an interrupt due now goes the long way as well.  Both
 *     sides change their word first and look at the other's behind it, so that
 *     one of them sees both.
 *   - What is stored is looked at by the function when it needs it, and before
 *     whatever else the host does for the client.  Where it has to be looked at
 *     soon, the function says in a word that it sleeps, and the client, having
 *     stored first and looked second, calls it by an eventfd.
 *   - While the function does not decode the BAR, everything goes the long way.
 *
 * The page lasts as long as the connection.  What the client can write there it
 * could have written as registers, at any moment.
 *
 * Threads: each word may be changed by both sides at any time, so atomically,
 * in one order for all (seq_cst).
 */
#ifndef PCI_SHARED_REGS_H
#define PCI_SHARED_REGS_H

#include <assert.h>
#include <stdint.h>

enum {
	PCI_SHARED_WORDS = 8,		/* in a page */
	PCI_SHARED_REGS_MAX = 8,	/* rows */
	PCI_SHARED_PAGE = 4096,		/* bytes */
};

/* What an access does; the numbers are those on the wire. */
enum pci_shared_kind {
	PCI_SHARED_READ = 0,		/* read: the word */
	PCI_SHARED_READ_CLEAR = 1,	/* read: the word, which is 0 then */
	PCI_SHARED_SET = 2,		/* write: sets bits of the word */
	PCI_SHARED_CLEAR = 3,		/* write: clears bits of the word */
	PCI_SHARED_STORE = 4,		/* write: the word */
	PCI_SHARED_STORE_CALL = 5,	/* write: the word; then the function is
					 * called if it sleeps */
	PCI_SHARED_APART = 6,		/* write: goes the long way, and has
					 * nothing to do with any word */
};

/* A 32 bit access that can be had there. */
struct pci_shared_reg {
	unsigned int bar;
	uint32_t off;			/* in the BAR */
	enum pci_shared_kind kind;
	uint8_t word;			/* which one */
	uint8_t due;			/* SET: if the word has a bit in common
					 * with this one, then the write is to
					 * go the long way too; STORE_CALL: not
					 * 0 while the function sleeps */
	uint32_t mask;			/* SET, STORE: bits that there are */
};

struct pci_shared_page {
	/* Written by the host. */
	uint64_t n_done;		/* posted writes carried out */
	uint64_t closed;		/* not 0: everything the long way */

	/* Written by the client, for statistics. */
	uint64_t n[PCI_SHARED_REGS_MAX];	/* accesses had, by row */

	uint32_t word[PCI_SHARED_WORDS];
};
static_assert(sizeof(struct pci_shared_page) <= PCI_SHARED_PAGE, "a page");

static inline uint32_t pci_shared_load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

#endif
