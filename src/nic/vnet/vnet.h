/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio-net as a PCI card, 1af4:1041: the PCI transport of VIRTIO 1.2, 4.1,
 * whose section numbers are those cited, around the device in virtio/net.h.
 *
 * Tested with Linux 6.1's virtio_pci and virtio_net.
 *
 * Modelled: all structures of the transport and its window in config space;
 * negotiation; MSI-X with a vector for each queue and one for the
 * configuration, or shared, or INTx with the ISR status; reset of the device,
 * of one queue, of the function; doorbells that a client may connect to an
 * eventfd.
 *
 * Absent: the legacy interface, so it is no transitional device (4.1.2) and
 * drivers from before VIRTIO 1.0 do not find it; NOTIFICATION_DATA; shared
 * memory; the administration virtqueue.
 *
 * A driver that breaks the rules: a feature set that makes no sense is refused
 * (FEATURES_OK stays clear); a queue that cannot be served, or that contradicts
 * itself, sets DEVICE_NEEDS_RESET; other writes are counted, without effect.
 *
 * Reading order: vnet_regs.h, this file, vnet_reg.c, vnet_queue.c, vnet_pci.c.
 *
 * Threads: one home worker.  Register accesses come between batches.
 */
#ifndef VNET_H
#define VNET_H

#include "loop/worker.h"
#include "nic/model.h"
#include "nic/vnet/vnet_regs.h"
#include "pci/pci.h"
#include "virtio/net.h"

enum {
	VNET_QUEUE_SIZE_MAX = 256,	/* entries; what QEMU's has */
	VNET_VECTORS_MAX = VIRTIO_NET_VQS_MAX + 1,
};

/* One queue, as the driver has set it up.  Raw: checked when it is started. */
struct vnet_queue {
	uint64_t desc, driver, device;	/* guest addresses */
	uint16_t size;			/* entries */
	uint16_t vector;		/* checked; VIRTIO_NO_VECTOR: none */
	uint8_t enabled;		/* by the driver */
	uint8_t has_run;		/* `at` is valid */
	struct vring_state at;		/* where it stood when it stopped */
};

/* What the guest can see, flat and without pointers; lies in
 * pci_dev.state->model. */
struct vnet_state {
	uint32_t device_feature_select;
	uint32_t driver_feature_select;
	uint64_t driver_features;	/* as written */
	uint16_t config_vector;		/* checked */
	uint16_t queue_select;
	uint8_t status;			/* enum virtio_status */
	uint8_t generation;		/* of the device configuration */
	uint8_t isr;			/* enum virtio_isr */
	struct vnet_queue queue[VIRTIO_NET_VQS_MAX];
};

struct vnet {
	struct pci_dev pci;		/* the guest's side */
	struct virtio_net net;		/* the device, and the switch's side */
	struct vnet_state *state;	/* in pci.state */
	unsigned int n_queues;		/* the control queue included */
	unsigned int cfg_cap;		/* the window, in config space */
	struct watch doorbell;		/* an eventfd for all of the queues' */
	struct pci_doorbell doorbells[VIRTIO_NET_VQS_MAX];
	struct poller resume;		/* queues go on once the memory map is
					 * as it is to be */
};

static inline struct vnet *vnet_of_pci(struct pci_dev *pci)
{
	return container_of(pci, struct vnet, pci);
}

static inline struct vnet *vnet_of_net(struct virtio_net *net)
{
	return container_of(net, struct vnet, net);
}

/* vnet_reg.c */

/** vnet_read(), vnet_write() - bytes of VNET_BAR_REGS, within it */
uint64_t vnet_read(struct vnet *dev, uint64_t off, unsigned int len);
void vnet_write(struct vnet *dev, uint64_t off, unsigned int len,
		uint64_t val);

/** vnet_reset() - the one initialiser: nothing negotiated, no queue */
void vnet_reset(struct vnet *dev);

/** vnet_needs_reset() - the device has given up; the driver is told */
void vnet_needs_reset(struct vnet *dev);

/** vnet_interrupt() - the one way to an interrupt: @isr by @vector, or by the
 * INTx pin */
void vnet_interrupt(struct vnet *dev, enum virtio_isr isr, uint16_t vector);

/* vnet_queue.c */

/** vnet_queue_init() - as after a reset; it is not running */
void vnet_queue_init(struct vnet_queue *queue);

/** vnet_queues_update() - those that are to run do, the others do not: the
 * driver is ready, a queue is enabled, the function may master the bus */
void vnet_queues_update(struct vnet *dev);

/** vnet_queues_suspend() - all stop, to go on where they are, soon */
void vnet_queues_suspend(struct vnet *dev);

/** vnet_queue_reset() - one queue back to its state after a reset (2.6.1) */
void vnet_queue_reset(struct vnet *dev, unsigned int idx);

/** vnet_resume() - as poller: the memory map may have settled */
bool vnet_resume(struct poller *poller);

#endif
