/* SPDX-License-Identifier: Apache-2.0
 *
 * Interrupts of a served function: eventfds the client gave, one per vector,
 * and the level of INTx.  For vfio_user/ only.
 *
 * Theory of operation.  INTx is a level, kept in the device (pci_intx_pin()).
 * What the client gets is an edge per assertion: the eventfd is written once,
 * and INTx is then masked until the client unmasks it, by message or through
 * its unmask eventfd (KVM's resamplefd).  Then the level is looked at again,
 * and if it is still, or again, high, the eventfd is written again.  All of
 * that is intx_update().
 */
#ifndef VFIO_USER_IRQ_H
#define VFIO_USER_IRQ_H

#include <linux/vfio.h>

#include "loop/worker.h"

struct pci_dev;
struct vfu_fds;

/* One interrupt index (VFIO_PCI_*_IRQ_INDEX). */
struct vfu_irq_index {
	unsigned int n;		/* vectors it has */
	int *fd;		/* n eventfds to write to; -1: none */
};

struct vfu_irqs {
	struct pci_dev *dev;	/* whose interrupts they are */
	struct worker *worker;	/* its home worker */
	void (*signalled)(struct vfu_irqs *irqs);	/* called after each */
	struct vfu_irq_index index[VFIO_PCI_NUM_IRQS];
	bool intx_masked;	/* by the client, or since the last signal */
	struct watch unmask;	/* eventfd that unmasks INTx; fd -1: none */
};

/**
 * vfu_irqs_init() - as many vectors as the device has; 0 or -ENOMEM
 */
int must_check vfu_irqs_init(struct vfu_irqs *irqs, struct pci_dev *dev,
			     struct worker *worker,
			     void (*signalled)(struct vfu_irqs *irqs));

/** vfu_irqs_fini() - release everything */
void vfu_irqs_fini(struct vfu_irqs *irqs);

/** vfu_irqs_clear() - close all eventfds: nobody listens */
void vfu_irqs_clear(struct vfu_irqs *irqs);

/** vfu_irqs_reset() - the function has been reset: nothing is under way */
void vfu_irqs_reset(struct vfu_irqs *irqs);

/**
 * vfu_irqs_set() - carry out a SET_IRQS message
 * @set: of @len bytes, its data behind it
 * @fds: those taken over are set to -1
 *
 * Return: 0 or -EINVAL.
 */
int must_check vfu_irqs_set(struct vfu_irqs *irqs,
			    const struct vfio_irq_set *set, size_t len,
			    struct vfu_fds *fds);

/** vfu_irqs_info() - number and VFIO_IRQ_INFO_* flags of an index in range */
unsigned int vfu_irqs_info(const struct vfu_irqs *irqs, unsigned int index,
			   uint32_t *flags);

/** vfu_irqs_intx() - the device's INTx pin has changed */
void vfu_irqs_intx(struct vfu_irqs *irqs);

/** vfu_irqs_msi() - the device signals vector @vec of MSI-X or MSI, whichever
 * is enabled; false: the client has given no eventfd for it */
bool must_check vfu_irqs_msi(struct vfu_irqs *irqs, unsigned int vec);

#endif
