/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk of the machine: virtio-blk (VIRTIO 1.2, 5.2) on PCI, transitional, for
 * an image as block.h has them.
 *
 *	Theory of operation
 *
 * A thread a disk carries out the driver's requests, in batches: it fetches
 * them under the disk's lock, moves the bytes without it, and gives them back
 * under it.  The driver that resets the device waits until the batch is done.
 *
 * Threads: made and freed while no vCPU runs; the rest by its own lock.  Lock
 * order: PCI lock, buses' locks, this lock, the root's line lock.
 */
#ifndef VMM_DISK_H
#define VMM_DISK_H

#include "base/util.h"
#include "vmm/block.h"
#include "vmm/memory.h"
#include "vmm/pci_host.h"

struct disk;

/**
 * disk_create() - open the image, start the thread; on no bus yet
 * @where: for the statistics, and what the guest reads as its serial number
 *
 * Return: 0 or -errno, with a message.
 */
int must_check disk_create(struct pci_host *host,
			   const struct block_config *config,
			   const char *where, const struct vm_memory *mem,
			   struct disk **disk);

/** disk_destroy() - off its bus, if it is on one; flush, close; NULL is fine */
void disk_destroy(struct disk *disk);

/** disk_function() - for pci_bus_add() */
struct pci_function *disk_function(struct disk *disk);

#endif
