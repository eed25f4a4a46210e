/* SPDX-License-Identifier: Apache-2.0
 *
 * A virtio device on PCI: the transport of VIRTIO 1.2, 4.1, whose section
 * numbers are those cited, around a device of any type (struct
 * virtio_pci_ops).  Who hosts it is, as for any struct pci_dev, not known here.
 *
 *	BAR 0	64 ports	legacy registers and device configuration
 *				(transitional devices alone)
 *	BAR 1	memory		MSI-X table and pending bits
 *	BAR 4	memory		common configuration, ISR, device configuration,
 *				doorbells, a page each
 *
 * Modelled: all structures and the window to them in config space; negotiation;
 * MSI-X with a vector for each queue and one for the configuration, or shared,
 * or INTx with the ISR status; reset of the device, of one queue, of the
 * function; doorbells that a host may connect to an eventfd; of a transitional
 * device, the legacy interface: a driver chooses by what it touches.
 *
 * Absent: NOTIFICATION_DATA, shared memory, the administration virtqueue; a
 * device configuration that the driver may write.
 *
 * A driver that breaks the rules: a feature set that makes no sense is refused
 * (FEATURES_OK stays clear); a queue that cannot be served sets
 * DEVICE_NEEDS_RESET; other writes are counted, without effect.
 *
 *	When queues run
 *
 * A queue runs, from queue_start() to queue_stop(), while the driver is ready
 * (DRIVER_OK), has enabled it, and the function may reach memory.  When one of
 * these ends, and when the memory map changes, it stops and its position is
 * kept; it goes on from there, and the driver gets an interrupt in case one was
 * due.  A queue whose memory has been taken away waits until it is back: a VMM
 * may unmap and map again what has not changed at all.
 *
 * Reading order: virtio_pci_regs.h, this file, virtio_pci_modern.c,
 * virtio_pci_legacy.c, virtio_pci_queue.c, virtio_pci.c.
 *
 * Threads: one at a time, as for struct pci_dev.
 */
#ifndef VIRTIO_PCI_VIRTIO_PCI_H
#define VIRTIO_PCI_VIRTIO_PCI_H

#include <stdint.h>

#include "base/counter.h"
#include "base/util.h"
#include "pci/pci.h"
#include "virtio/ring.h"

struct virtio_pci;

enum {
	VIRTIO_PCI_QUEUES_MAX = 64,
	VIRTIO_PCI_CONFIG_MAX = 64,	/* bytes of device configuration */
};

/* What a device of some type does for the transport. */
struct virtio_pci_ops {
	/** accept - the driver has chosen @features of those offered
	 * Return: do they make sense together?  NULL: they always do. */
	bool (*accept)(struct virtio_pci *vp, uint64_t features);

	/** config - write the device configuration at this moment, config_len
	 * bytes, to @image */
	void (*config)(struct virtio_pci *vp, void *image);

	/**
	 * queue_start - serve @queue from now on
	 * @state: where it is to go on; NULL: it is fresh
	 *
	 * Return: 0 or -errno as vring_start() has them.
	 */
	int (*queue_start)(struct virtio_pci *vp, unsigned int queue,
			   const struct vring_config *config,
			   const struct vring_state *state);

	/**
	 * queue_stop - when this returns nothing touches the queue's memory
	 * @state: out: where it stands
	 *
	 * Return: was it still being served?
	 */
	bool (*queue_stop)(struct virtio_pci *vp, unsigned int queue,
			   struct vring_state *state);

	/** notify - there may be something in @queue, which is running */
	void (*notify)(struct virtio_pci *vp, unsigned int queue);

	/** reset - nothing is negotiated any more; queues have been stopped.
	 * NULL: nothing to do. */
	void (*reset)(struct virtio_pci *vp);

	/** power_on - a new client, see PCI_RESET_POWER_ON; comes before reset.
	 * NULL: nothing to do. */
	void (*power_on)(struct virtio_pci *vp);

	/** dma_changed, destroy - see struct pci_dev_ops; NULL likewise */
	void (*dma_changed)(struct virtio_pci *vp);
	void (*destroy)(struct virtio_pci *vp);
};

struct virtio_pci_params {
	const char *name;		/* for messages; outlives the device */
	const struct virtio_pci_ops *ops;
	uint16_t type;			/* device type (chapter 5) */
	uint16_t transitional;		/* PCI device ID as a transitional one,
					 * or 0: it has no legacy interface */
	bool express;			/* a PCI Express endpoint, with power
					 * management; else conventional */
	uint32_t class_code;		/* of PCI */
	uint64_t features;		/* offered, the rings' included */
	uint64_t modern_features;	/* of them, not to a legacy driver */
	unsigned int n_queues;		/* up to VIRTIO_PCI_QUEUES_MAX */
	uint16_t queue_size;		/* entries at most, a power of two */
	unsigned int config_len;	/* up to VIRTIO_PCI_CONFIG_MAX */
	counter *refused;		/* writes without effect; may be NULL */
};

/* A queue as the driver has set it up.  Raw: checked when it is started. */
struct virtio_pci_queue {
	uint64_t desc, driver, device;	/* guest addresses */
	uint16_t size;			/* entries */
	uint16_t vector;		/* checked; NO_VECTOR: none */
	uint8_t enabled;		/* by the driver */
	uint8_t has_run;		/* `at` is valid */
	struct vring_state at;		/* where it stood when it stopped */
};

/* What the guest can see, flat and without pointers; lies in
 * pci_dev.state->model. */
struct virtio_pci_state {
	uint32_t device_feature_select;
	uint32_t driver_feature_select;
	uint64_t driver_features;	/* as written */
	uint64_t features;		/* of those, what has been accepted */
	uint16_t config_vector;		/* checked */
	uint16_t queue_select;
	uint8_t status;			/* enum virtio_status */
	uint8_t generation;		/* of the device configuration */
	uint8_t isr;			/* enum virtio_pci_isr */
	struct virtio_pci_queue queue[VIRTIO_PCI_QUEUES_MAX];
};

struct virtio_pci {
	struct pci_dev pci;
	struct virtio_pci_params params;
	struct virtio_pci_state *state;	/* in pci.state */
	unsigned int window_cap;	/* the window, in config space */
	bool runs[VIRTIO_PCI_QUEUES_MAX]; /* between start and stop */
	struct pci_doorbell doorbells[VIRTIO_PCI_QUEUES_MAX];
};

/**
 * virtio_pci_init() - make the function, reset it (PCI_RESET_POWER_ON)
 *
 * The device is ready for its ops to be called.  Then set pci.irq and pci.dma.
 *
 * Return: 0 or -ENOMEM.
 */
int must_check virtio_pci_init(struct virtio_pci *vp,
			       const struct virtio_pci_params *params);

/** virtio_pci_fini() - queues stop, what init made is freed */
void virtio_pci_fini(struct virtio_pci *vp);

/** virtio_pci_call() - interrupt the driver: buffers of @queue are used */
void virtio_pci_call(struct virtio_pci *vp, unsigned int queue);

/** virtio_pci_config_changed() - interrupt it: the configuration differs */
void virtio_pci_config_changed(struct virtio_pci *vp);

/** virtio_pci_needs_reset() - the device has given up; the driver is told, once
 */
void virtio_pci_needs_reset(struct virtio_pci *vp);

/** virtio_pci_suspend() - all queues stop, until virtio_pci_update() */
void virtio_pci_suspend(struct virtio_pci *vp);

/** virtio_pci_update() - those queues that are to run do, the others do not */
void virtio_pci_update(struct virtio_pci *vp);

/** virtio_pci_set_doorbell() - a host may have @fd, an eventfd, signalled in
 * the place of any notification; -1: none */
void virtio_pci_set_doorbell(struct virtio_pci *vp, int fd);

#endif
