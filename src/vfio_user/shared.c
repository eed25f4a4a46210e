/* SPDX-License-Identifier: Apache-2.0 */
#include "vfio_user/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/eventfd.h"
#include "pci/pci.h"
#include "pci/shared_regs.h"

/* A page that nobody can take from under us; it begins as zeroes. */
static int make_page(int *out)
{
	int fd = memfd_create("registers", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int err;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, PCI_SHARED_PAGE) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
		  F_SEAL_SEAL)) {
		err = -errno;
		fd_close(&fd);
		return err;
	}
	*out = fd;
	return 0;
}

/* The pollers have their turn whatever has woken the worker. */
static bool called(struct watch *watch, uint32_t events)
{
	return eventfd_consume(watch->fd);
}

void vfu_shared_init(struct vfu_shared *shared, struct pci_dev *dev,
		     struct worker *worker)
{
	*shared = (struct vfu_shared){
		.dev = dev, .worker = worker, .fd = -1,
		.call = { .ready = called, .fd = -1 },
	};
}

/* Each client has its own: one that has gone may read it for ever.  Without
 * one, what would need it comes as messages. */
static void make_call(struct vfu_shared *shared)
{
	bool wanted = false;

	for (unsigned int i = 0; i < shared->dev->n_shared_regs; i++)
		wanted |= shared->dev->shared_regs[i].kind ==
			PCI_SHARED_STORE_CALL;
	if (!wanted)
		return;
	shared->call.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (shared->call.fd >= 0 &&
	    worker_add_watch(shared->worker, &shared->call) < 0)
		fd_close(&shared->call.fd);
}

int vfu_shared_fd(const struct vfu_shared *shared,
		  const struct pci_shared_reg *reg)
{
	return reg->kind == PCI_SHARED_STORE_CALL ? shared->call.fd :
		shared->fd;
}

int vfu_shared_open(struct vfu_shared *shared)
{
	void *page;
	int err;

	if (shared->page)
		return 0;
	err = make_page(&shared->fd);
	if (err)
		return err;
	page = mmap(NULL, PCI_SHARED_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		    shared->fd, 0);
	if (page == MAP_FAILED) {
		err = -errno;
		fd_close(&shared->fd);
		return err;
	}
	shared->page = page;
	shared->n_done = 0;
	make_call(shared);
	shared->dev->ops->share(shared->dev, page);
	return 0;
}

void vfu_shared_close(struct vfu_shared *shared)
{
	if (!shared->page)
		return;
	/* In this order: a write that was in time is taken along, and who comes
	 * later finds out. */
	__atomic_store_n(&shared->page->closed, true, __ATOMIC_SEQ_CST);
	shared->dev->ops->share(shared->dev, NULL);
	if (shared->call.fd >= 0)
		worker_remove_watch(shared->worker, &shared->call);
	fd_close(&shared->call.fd);
	munmap(shared->page, PCI_SHARED_PAGE);
	shared->page = NULL;
	fd_close(&shared->fd);
}

void vfu_shared_look(struct vfu_shared *shared)
{
	if (shared->page)
		shared->dev->ops->shared_changed(shared->dev);
}

void vfu_shared_answer(struct vfu_shared *shared, bool posted)
{
	const struct pci_dev *dev = shared->dev;
	bool closed = false;
	uint64_t addr;

	if (!shared->page)
		return;
	for (unsigned int i = 0; i < dev->n_shared_regs; i++)
		closed |= !pci_bar_addr(dev, dev->shared_regs[i].bar, &addr);
	__atomic_store_n(&shared->page->closed, closed, __ATOMIC_SEQ_CST);
	/* Behind all that the write has changed. */
	if (posted)
		__atomic_store_n(&shared->page->n_done, ++shared->n_done,
				 __ATOMIC_SEQ_CST);
}
