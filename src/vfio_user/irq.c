/* SPDX-License-Identifier: Apache-2.0 */
#include "vfio_user/irq.h"

#include <errno.h>
#include <stdlib.h>
#include <linux/pci_regs.h>

#include "base/byteorder.h"
#include "base/eventfd.h"
#include "pci/pci.h"
#include "vfio_user/transport.h"

enum { INTX = VFIO_PCI_INTX_IRQ_INDEX, MSI = VFIO_PCI_MSI_IRQ_INDEX,
       MSIX = VFIO_PCI_MSIX_IRQ_INDEX };

/* How many vectors the device's config space says it has. */
static unsigned int count_vectors(const struct pci_dev *dev, unsigned int index)
{
	switch (index) {
	case INTX:
		return dev->config[PCI_INTERRUPT_PIN] ? 1 : 0;
	case MSI:
		return !dev->msi_cap ? 0 : 1u << ((le16_load(dev->config +
			dev->msi_cap + PCI_MSI_FLAGS) &
			PCI_MSI_FLAGS_QMASK) >> 1);
	case MSIX:
		return dev->msix.n;
	default:
		/* Errors and requests: taken, though there never is one. */
		return 1;
	}
}

static void signal_fd(struct vfu_irqs *irqs, int fd)
{
	if (fd < 0)
		return;
	eventfd_notify(fd);
	irqs->signalled(irqs);
}

/* The one place where INTx is signalled; see irq.h. */
static void intx_update(struct vfu_irqs *irqs)
{
	int fd = irqs->index[INTX].n ? irqs->index[INTX].fd[0] : -1;

	if (fd < 0 || irqs->intx_masked || !pci_intx_pin(irqs->dev))
		return;
	irqs->intx_masked = true;
	signal_fd(irqs, fd);
}

static bool unmask_ready(struct watch *watch, uint32_t events)
{
	struct vfu_irqs *irqs = container_of(watch, struct vfu_irqs, unmask);

	if (!eventfd_consume(watch->fd))
		return false;
	/* The causes may have been read where we do not see it. */
	if (irqs->dev->ops->shared_changed)
		irqs->dev->ops->shared_changed(irqs->dev);
	irqs->intx_masked = false;
	intx_update(irqs);
	return true;
}

static void drop_unmask(struct vfu_irqs *irqs)
{
	if (irqs->unmask.fd < 0)
		return;
	worker_remove_watch(irqs->worker, &irqs->unmask);
	fd_close(&irqs->unmask.fd);
}

static void disable(struct vfu_irqs *irqs, unsigned int index)
{
	struct vfu_irq_index *x = &irqs->index[index];

	for (unsigned int i = 0; i < x->n; i++)
		fd_close(&x->fd[i]);
	if (index == INTX) {
		drop_unmask(irqs);
		irqs->intx_masked = false;
	}
}

int vfu_irqs_init(struct vfu_irqs *irqs, struct pci_dev *dev,
		  struct worker *worker,
		  void (*signalled)(struct vfu_irqs *irqs))
{
	*irqs = (struct vfu_irqs){
		.dev = dev, .worker = worker, .signalled = signalled,
		.unmask = { .ready = unmask_ready, .fd = -1 },
	};
	for (unsigned int i = 0; i < VFIO_PCI_NUM_IRQS; i++) {
		struct vfu_irq_index *x = &irqs->index[i];
		unsigned int n = count_vectors(dev, i);

		x->fd = n ? malloc(n * sizeof(*x->fd)) : NULL;
		if (n && !x->fd) {
			vfu_irqs_fini(irqs);
			return -ENOMEM;
		}
		while (x->n < n)
			x->fd[x->n++] = -1;
	}
	return 0;
}

void vfu_irqs_fini(struct vfu_irqs *irqs)
{
	vfu_irqs_clear(irqs);
	for (unsigned int i = 0; i < VFIO_PCI_NUM_IRQS; i++) {
		free(irqs->index[i].fd);
		irqs->index[i] = (struct vfu_irq_index){ 0, NULL };
	}
}

void vfu_irqs_clear(struct vfu_irqs *irqs)
{
	for (unsigned int i = 0; i < VFIO_PCI_NUM_IRQS; i++)
		disable(irqs, i);
}

void vfu_irqs_reset(struct vfu_irqs *irqs)
{
	/* The unmask of an interrupt raised before may never come. */
	irqs->intx_masked = false;
}

unsigned int vfu_irqs_info(const struct vfu_irqs *irqs, unsigned int index,
			   uint32_t *flags)
{
	*flags = VFIO_IRQ_INFO_EVENTFD;
	if (index == INTX)
		*flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	return irqs->index[index].n;
}

/* ---- SET_IRQS ---- */

/* Is vector @i (from set->start) meant?  All are, unless there are booleans. */
static bool selected(const struct vfio_irq_set *set, unsigned int i)
{
	return !(set->flags & VFIO_IRQ_SET_DATA_BOOL) || set->data[i];
}

/* Give the vectors their eventfds; no descriptors: take them away. */
static void assign(struct vfu_irqs *irqs, const struct vfio_irq_set *set,
		   struct vfu_fds *fds)
{
	struct vfu_irq_index *x = &irqs->index[set->index];

	for (unsigned int i = 0; i < set->count; i++) {
		int *fd = &x->fd[set->start + i];

		fd_close(fd);
		if (i < fds->n) {
			*fd = fds->fd[i];
			fds->fd[i] = -1;
		}
	}
	if (set->index == INTX) {
		if (!fds->n)
			irqs->intx_masked = false;
		intx_update(irqs);
	} else if (fds->n) {
		/* What nobody listened to until now. */
		pci_msi_retry(irqs->dev);
	}
}

static int set_trigger(struct vfu_irqs *irqs, const struct vfio_irq_set *set,
		       struct vfu_fds *fds)
{
	const struct vfu_irq_index *x = &irqs->index[set->index];

	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		assign(irqs, set, fds);
		return 0;
	}
	if (!set->count) {
		disable(irqs, set->index);
		return 0;
	}
	/* The client's own test of its interrupts. */
	for (unsigned int i = 0; i < set->count; i++)
		if (selected(set, i))
			signal_fd(irqs, x->fd[set->start + i]);
	return 0;
}

static int set_unmask_fd(struct vfu_irqs *irqs, struct vfu_fds *fds)
{
	int err;

	drop_unmask(irqs);
	if (!fds->n)
		return 0;
	irqs->unmask.fd = fds->fd[0];
	err = worker_add_watch(irqs->worker, &irqs->unmask);
	if (err) {
		irqs->unmask.fd = -1;
		return err;
	}
	fds->fd[0] = -1;
	return 0;
}

/* MASK and UNMASK: INTx only. */
static int set_mask(struct vfu_irqs *irqs, const struct vfio_irq_set *set,
		    struct vfu_fds *fds)
{
	bool unmask = set->flags & VFIO_IRQ_SET_ACTION_UNMASK;

	if (set->index != INTX)
		return -EINVAL;
	if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return unmask ? set_unmask_fd(irqs, fds) : -EINVAL;
	if (selected(set, 0)) {
		irqs->intx_masked = !unmask;
		intx_update(irqs);
	}
	return 0;
}

/* Everything about the message that can be wrong, before any of it is used. */
static int check_set(const struct vfu_irqs *irqs,
		     const struct vfio_irq_set *set, size_t len,
		     const struct vfu_fds *fds)
{
	uint32_t data = set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
	uint32_t action = set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
	size_t data_len = len - sizeof(*set);

	if (set->argsz < sizeof(*set) || !is_power_of_two(data) ||
	    !is_power_of_two(action) || set->flags != (data | action) ||
	    set->index >= VFIO_PCI_NUM_IRQS ||
	    !range_within(set->start, set->count, irqs->index[set->index].n))
		return -EINVAL;
	/* None at all means one thing only: switch them off. */
	if (!set->count && (data != VFIO_IRQ_SET_DATA_NONE || set->start ||
			    action != VFIO_IRQ_SET_ACTION_TRIGGER))
		return -EINVAL;
	if (data != VFIO_IRQ_SET_DATA_EVENTFD)
		return fds->n || data_len != (data == VFIO_IRQ_SET_DATA_BOOL ?
					      set->count : 0) ? -EINVAL : 0;
	/* As an ioctl it has the numbers behind it; some clients send them. */
	if (data_len && data_len != set->count * sizeof(int32_t))
		return -EINVAL;
	if (fds->n && fds->n != set->count)
		return -EINVAL;
	for (unsigned int i = 0; i < fds->n; i++)
		if (!eventfd_is(fds->fd[i]))
			return -EINVAL;
	return 0;
}

int vfu_irqs_set(struct vfu_irqs *irqs, const struct vfio_irq_set *set,
		 size_t len, struct vfu_fds *fds)
{
	int err = check_set(irqs, set, len, fds);

	if (err)
		return err;
	if (set->flags & VFIO_IRQ_SET_ACTION_TRIGGER)
		return set_trigger(irqs, set, fds);
	return set_mask(irqs, set, fds);
}

/* ---- the device's side ---- */

void vfu_irqs_intx(struct vfu_irqs *irqs)
{
	intx_update(irqs);
}

bool vfu_irqs_msi(struct vfu_irqs *irqs, unsigned int vec)
{
	unsigned int index = pci_msix_enabled(irqs->dev) ? MSIX : MSI;
	int fd = irqs->index[index].fd[vec];

	if (fd < 0)
		return false;
	signal_fd(irqs, fd);
	return true;
}
