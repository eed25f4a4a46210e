/* SPDX-License-Identifier: Apache-2.0
 *
 * MSI and MSI-X of a vfio-user NIC.  The server has an eventfd for each vector
 * that was ever in use; what becomes of it is decided here: the MSI-X table and
 * the masks are the VMM's.
 *
 * An unmasked vector's eventfd is a KVM irqfd, so that an interrupt needs
 * nobody in user space.  A masked one's is not: what the server signals stays
 * in its counter, which is the pending bit, and which KVM looks at when it is
 * made an irqfd again.
 *
 * Threads: any; a lock of its own.
 */
#ifndef VMM_NIC_MSI_H
#define VMM_NIC_MSI_H

#include <pthread.h>

#include "pci/pci.h"

struct irq;
struct vfu_client;

/* One vector, of MSI or MSI-X: one of the two is enabled at a time. */
struct nic_vector {
	int fd;			/* the server's signal; -1: none given yet */
	int gsi;		/* whose irqfd it is; IRQ_NO_GSI: nobody's */
	uint64_t addr;		/* message that the GSI sends */
	uint32_t data;
};

enum nic_msi_mode { NIC_MSI_OFF, NIC_MSI_MSI, NIC_MSI_MSIX };

struct nic_msi {
	pthread_mutex_t lock;		/* of all that follows */
	struct vfu_client *client;
	struct irq *irq;
	const char *id;			/* of the NIC, for messages */
	unsigned int msi_cap, msix_cap;	/* in config space; 0: has none */
	unsigned int n_msi;		/* MSI vectors */
	uint16_t msi_layout;		/* flags that say where its fields are;
					 * those in config space may change */
	struct msix table;		/* as the guest wrote it; no pba[] */
	struct pci_msix_place place;	/* of it */
	enum nic_msi_mode mode;		/* what the guest has enabled */
	bool masked;			/* MSI-X function mask */
	bool cut_off;			/* no message gets through; see
					 * nic_msi_cut_off() */
	unsigned int n_vectors;		/* the larger of both */
	struct nic_vector *vector;	/* n_vectors of them */
};

/**
 * nic_msi_init() - what @config, PCI_CONFIG_SIZE bytes, says the card has
 *
 * Return: 0, -ENOMEM, or -EPROTO: the capabilities contradict themselves.
 */
int must_check nic_msi_init(struct nic_msi *msi, struct vfu_client *client,
			    struct irq *irq, const char *id,
			    const uint8_t *config);

/** nic_msi_fini() - after init, even one that failed; or if it is zero */
void nic_msi_fini(struct nic_msi *msi);

/** nic_msi_config() - config space has been written, and is now @config */
void nic_msi_config(struct nic_msi *msi, const uint8_t *config);

/** nic_msi_cut_off() - a bridge above hands on no messages from now on, or
 * does again: until then they are pending, as if all were masked.  @config as
 * above */
void nic_msi_cut_off(struct nic_msi *msi, bool cut_off, const uint8_t *config);

/**
 * nic_msi_restore() - go on by another connection, whose server has no eventfds
 * @resumes: it knows what the guest has enabled; otherwise that is enabled, by
 *	@config
 *
 * Return: 0; -errno: nothing has changed here.
 */
int must_check nic_msi_restore(struct nic_msi *msi, struct vfu_client *client,
			       const uint8_t *config, bool resumes);

/** nic_msi_unroute() - KVM's part ends: its machine goes, or the card */
void nic_msi_unroute(struct nic_msi *msi);

/** nic_msi_reset() - the card has been reset */
void nic_msi_reset(struct nic_msi *msi);

/** nic_msi_bar_read(), nic_msi_bar_write() - true: it was the table's or the
 * pending bits', and has been dealt with */
bool nic_msi_bar_read(struct nic_msi *msi, unsigned int bar, uint64_t off,
		      unsigned int len, uint64_t *val);
bool nic_msi_bar_write(struct nic_msi *msi, unsigned int bar, uint64_t off,
		       unsigned int len, uint64_t val);

#endif
