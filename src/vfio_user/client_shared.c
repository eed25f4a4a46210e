/* SPDX-License-Identifier: Apache-2.0
 *
 * The client's end of registers in shared memory; when an access may be had
 * there is said in pci/shared_regs.h.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/eventfd.h"
#include "vfio_user/client_internal.h"

/* The server must not be able to take it from under us. */
static struct pci_shared_page *map_page(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *page;

	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) ||
	    st.st_size < PCI_SHARED_PAGE)
		return NULL;
	page = mmap(NULL, PCI_SHARED_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		    fd, 0);
	return page == MAP_FAILED ? NULL : page;
}

/* One that a write does not wait for, as the server makes it. */
static bool can_call(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_NONBLOCK) && eventfd_is(fd);
}

void vfu_client_share(struct vfu_client *c, unsigned int index,
		      const struct vfu_io_fd *sub, int fd)
{
	struct pci_shared_reg reg = {
		.bar = index,
		.off = (uint32_t)sub->offset,
		.kind = sub->flags & VFU_SHARED_KIND,
		.word = sub->flags >> VFU_SHARED_WORD_SHIFT & VFU_SHARED_N,
		.due = sub->flags >> VFU_SHARED_DUE_SHIFT & VFU_SHARED_N,
		.mask = (uint32_t)sub->datamatch,
	};

	if (c->n_shared_regs == PCI_SHARED_REGS_MAX ||
	    reg.kind > PCI_SHARED_APART || reg.word >= PCI_SHARED_WORDS ||
	    reg.due >= PCI_SHARED_WORDS || sub->size != sizeof(uint32_t))
		return;
	if (reg.kind == PCI_SHARED_STORE_CALL) {
		if (!can_call(fd))
			return;
		c->shared_call = fd;
	} else if (!c->shared) {
		c->shared = map_page(fd);
	}
	if (c->shared)
		c->shared_regs[c->n_shared_regs++] = reg;
}

/* The row of an access; NULL: there is none. */
static const struct pci_shared_reg *row_of(const struct vfu_client *c,
					   unsigned int index, uint64_t off,
					   uint32_t len, bool write)
{
	if (len != sizeof(uint32_t))
		return NULL;
	for (unsigned int i = 0; i < c->n_shared_regs; i++) {
		const struct pci_shared_reg *reg = &c->shared_regs[i];

		if (reg->off == off && reg->bar == index &&
		    (reg->kind >= PCI_SHARED_SET) == write)
			return reg;
	}
	return NULL;
}

/* The row by which it can be had in the page; NULL: there is none, or it must
 * not be used now. */
static const struct pci_shared_reg *find(struct vfu_client *c,
					 unsigned int index, uint64_t off,
					 uint32_t len, bool write)
{
	const struct pci_shared_reg *reg = row_of(c, index, off, len, write);
	const struct pci_shared_page *page = c->shared;

	if (!reg || reg->kind == PCI_SHARED_APART ||
	    __atomic_load_n(&page->closed, __ATOMIC_SEQ_CST) ||
	    __atomic_load_n(&page->n_done, __ATOMIC_SEQ_CST) <
	    __atomic_load_n(&c->n_ahead, __ATOMIC_SEQ_CST) ||
	    __atomic_load_n(&c->dead, __ATOMIC_RELAXED))
		return NULL;
	return reg;
}

void vfu_client_shared_posted(struct vfu_client *c,
			      const struct vfu_region_access *a)
{
	const struct pci_shared_reg *reg = row_of(c, a->region, a->offset,
						  a->count, true);
	uint64_t ahead, n;

	if (reg && reg->kind == PCI_SHARED_APART)
		return;
	/* All that have been sent before it are among these. */
	n = __atomic_load_n(&c->n_posted, __ATOMIC_SEQ_CST);
	ahead = __atomic_load_n(&c->n_ahead, __ATOMIC_SEQ_CST);
	while (ahead < n &&
	       !__atomic_compare_exchange_n(&c->n_ahead, &ahead, n, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
}

static void count(struct vfu_client *c, const struct pci_shared_reg *reg)
{
	__atomic_fetch_add(&c->shared->n[reg - c->shared_regs], 1,
			   __ATOMIC_RELAXED);
}

bool vfu_client_shared_read(struct vfu_client *c, unsigned int index,
			    uint64_t off, void *buf, uint32_t len)
{
	const struct pci_shared_reg *reg = find(c, index, off, len, false);
	uint32_t *word, val;

	if (!reg)
		return false;
	word = &c->shared->word[reg->word];
	if (reg->kind == PCI_SHARED_READ_CLEAR)
		val = __atomic_exchange_n(word, 0, __ATOMIC_SEQ_CST);
	else
		val = pci_shared_load(word);
	memcpy(buf, &val, sizeof(val));
	count(c, reg);
	return true;
}

/* The server sleeps, maybe; of several that find it so one wakes it. */
static void call(struct vfu_client *c, const struct pci_shared_reg *reg)
{
	uint32_t *sleeps = &c->shared->word[reg->due];

	/* If it fails the counter is full, and the server has been called. */
	if (pci_shared_load(sleeps) &&
	    __atomic_exchange_n(sleeps, 0, __ATOMIC_SEQ_CST))
		(void)eventfd_write(c->shared_call, 1);
}

/* Change the word; false: something comes of it that needs a message. */
static bool change(struct vfu_client *c, const struct pci_shared_reg *reg,
		   uint32_t val)
{
	uint32_t *word = &c->shared->word[reg->word];

	switch (reg->kind) {
	case PCI_SHARED_CLEAR:
		__atomic_fetch_and(word, ~val, __ATOMIC_SEQ_CST);
		break;
	case PCI_SHARED_SET:
		__atomic_fetch_or(word, val & reg->mask, __ATOMIC_SEQ_CST);
		if (pci_shared_load(word) &
		    pci_shared_load(&c->shared->word[reg->due]))
			return false;
		break;
	case PCI_SHARED_STORE_CALL:
		__atomic_store_n(word, val & reg->mask, __ATOMIC_SEQ_CST);
		call(c, reg);
		break;
	default:
		__atomic_store_n(word, val & reg->mask, __ATOMIC_SEQ_CST);
	}
	/* The server may have let go of the page meanwhile, without a look at
	 * what was written; once more does no harm. */
	return !__atomic_load_n(&c->shared->closed, __ATOMIC_SEQ_CST);
}

bool vfu_client_shared_write(struct vfu_client *c, unsigned int index,
			     uint64_t off, const void *buf, uint32_t len)
{
	const struct pci_shared_reg *reg = find(c, index, off, len, true);
	uint32_t val;

	if (!reg)
		return false;
	memcpy(&val, buf, sizeof(val));
	if (!change(c, reg, val))
		return false;
	count(c, reg);
	return true;
}
