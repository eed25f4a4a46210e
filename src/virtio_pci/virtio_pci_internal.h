/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of virtio on PCI among themselves; for virtio_pci/ only.
 */
#ifndef VIRTIO_PCI_INTERNAL_H
#define VIRTIO_PCI_INTERNAL_H

#include "virtio/virtio.h"
#include "virtio_pci/virtio_pci.h"
#include "virtio_pci/virtio_pci_regs.h"

/* virtio_pci_modern.c */

/** vpci_modern_read(), ..._write() - bytes of BAR_MODERN, within it */
uint64_t vpci_modern_read(struct virtio_pci *vp, uint64_t off,
			  unsigned int len);
void vpci_modern_write(struct virtio_pci *vp, uint64_t off, unsigned int len,
		       uint64_t val);

/** vpci_config_bytes() - @len bytes at @off of the device configuration;
 * zeroes behind it */
uint64_t vpci_config_bytes(struct virtio_pci *vp, uint64_t off,
			   unsigned int len);

/** vpci_isr_take() - the ISR status, which reading clears; the pin is lowered
 * (4.1.4.5) */
uint8_t vpci_isr_take(struct virtio_pci *vp);

/* virtio_pci_legacy.c */

/** vpci_legacy_read(), ..._write() - bytes of BAR_LEGACY, within it */
uint64_t vpci_legacy_read(struct virtio_pci *vp, uint64_t off,
			  unsigned int len);
void vpci_legacy_write(struct virtio_pci *vp, uint64_t off, unsigned int len,
		       uint64_t val);

/* virtio_pci_queue.c */

/** vpci_queue_selected() - the one that the registers are those of, or NULL */
struct virtio_pci_queue *vpci_queue_selected(struct virtio_pci *vp);

/** vpci_queue_reset() - one queue back to its state after a reset (2.6.1) */
void vpci_queue_reset(struct virtio_pci *vp, unsigned int idx);

/** vpci_queue_notify() - the driver says that there is something in it */
void vpci_queue_notify(struct virtio_pci *vp, unsigned int idx);

/* virtio_pci.c */

/** vpci_reset() - the one initialiser: nothing negotiated, no queue */
void vpci_reset(struct virtio_pci *vp);

/** vpci_interrupt() - the one way to one: @isr by @vector, or by INTx */
void vpci_interrupt(struct virtio_pci *vp, enum virtio_pci_isr isr,
		    uint16_t vector);

/** vpci_vector_of() - what the driver has written for a vector; one that there
 * is not reads back as none */
uint16_t vpci_vector_of(const struct virtio_pci *vp, uint32_t val);

/** vpci_accept() - the driver wants @features, of which @required have to be
 * there; are they taken? */
bool vpci_accept(struct virtio_pci *vp, uint64_t features, uint64_t required);

/** vpci_settled() - a driver of either interface has ended negotiation */
static inline bool vpci_settled(const struct virtio_pci *vp)
{
	return vp->state->status & (VIRTIO_S_FEATURES_OK | VIRTIO_S_DRIVER_OK);
}

/** vpci_refuse() - a write that breaks the driver's rules has no effect */
void vpci_refuse(struct virtio_pci *vp);

#endif
