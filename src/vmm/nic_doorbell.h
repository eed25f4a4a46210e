/* SPDX-License-Identifier: Apache-2.0
 *
 * Doorbells of a vfio-user NIC as KVM ioeventfds: the guest's write signals the
 * server's eventfd within the kernel, and needs nobody in user space.  Where
 * that cannot be, the write goes as a message, as any other.
 *
 * Threads: as BARs are mapped, under the PCI lock; or while no vCPU runs.
 */
#ifndef VMM_NIC_DOORBELL_H
#define VMM_NIC_DOORBELL_H

#include <stdint.h>

struct irq;
struct vfu_client;
struct vfu_doorbell;

struct nic_doorbell {
	const struct vfu_doorbell *bells;	/* what the server has */
	unsigned int n;				/* of them */
	unsigned int region;			/* where they all are */
	const struct irq *irq;			/* whose KVM machine it is */
	uint64_t base;		/* where their BAR is connected; 0: not */
};

/** nic_doorbell_init() - what @client has been told of; those of the first
 * region that has any */
void nic_doorbell_init(struct nic_doorbell *doorbell,
		       const struct vfu_client *client, const struct irq *irq);

/** nic_doorbell_ring() - each of them, once: for those that were rung where
 * nobody heard it; after eventfd_init() */
void nic_doorbell_ring(const struct nic_doorbell *doorbell);

/** nic_doorbell_move() - the BAR is at @base now; 0: nowhere */
void nic_doorbell_move(struct nic_doorbell *doorbell, uint64_t base);

#endif
