/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's end of registers in shared memory (pci/shared_regs.h): a page
 * for each connection that wants one.  For vfio_user/ only.
 */
#ifndef VFIO_USER_SHARED_H
#define VFIO_USER_SHARED_H

#include <stdint.h>

#include "loop/worker.h"

struct pci_dev;
struct pci_shared_page;
struct pci_shared_reg;

struct vfu_shared {
	struct pci_dev *dev;		/* whose registers */
	int fd;				/* of the page, sealed; -1: none */
	struct pci_shared_page *page;	/* NULL: none */
	uint64_t n_done;		/* posted writes carried out since */
	struct worker *worker;		/* the function's */
	struct watch call;		/* eventfd by which the client wakes it;
					 * fd -1: none */
};

/** vfu_shared_init() - there is no page yet */
void vfu_shared_init(struct vfu_shared *shared, struct pci_dev *dev,
		     struct worker *worker);

/** vfu_shared_open() - have a page, in use by the function; 0 or -errno */
int must_check vfu_shared_open(struct vfu_shared *shared);

/** vfu_shared_fd() - what goes to the client with a register of the list: the
 * page, or the eventfd if it is one after whose writes it calls */
int vfu_shared_fd(const struct vfu_shared *shared,
		  const struct pci_shared_reg *reg);

/** vfu_shared_close() - the function's registers are its own again */
void vfu_shared_close(struct vfu_shared *shared);

/** vfu_shared_look() - a message has come: the function has a look first */
void vfu_shared_look(struct vfu_shared *shared);

/** vfu_shared_answer() - it has been carried out and is about to be answered,
 * or is not, being @posted: say so, and whether the function still decodes */
void vfu_shared_answer(struct vfu_shared *shared, bool posted);

#endif
