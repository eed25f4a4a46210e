/* SPDX-License-Identifier: Apache-2.0
 *
 * A NIC in a slot of the PCI bus: config space, BARs and interrupts all belong
 * to a vfio-user server; this is the wiring.
 *
 *	config write	forwarded; what it does to BARs and decoding is read
 *			back and put on the buses
 *	config read	forwarded, unless only a write could have changed it
 *	memory BAR	reads wait, writes are posted, as on PCI; doorbells
 *			are eventfds between KVM and server, if it has any
 *	I/O BAR		reads and writes wait
 *	DMA		the server has the guest's memory mapped, unless a
 *			bridge above is no bus master
 *	INTx		eventfds between server and KVM; see irq.h
 *
 * While the server is away, reads give ones, which is counted; the machine goes
 * on.  When it is back (see reconnect.c) it may still know the function's
 * state, by the session's name: then the writes that it has missed are made up
 * for, in their order, and then it is given memory.  Or it is a new one, and so
 * is the card.
 *
 * Threads: set-up before the vCPUs run; afterwards BAR accesses from any vCPU,
 * config accesses and pci_nic_reconnect() under the PCI lock, pci_nic_create()
 * and pci_nic_destroy() by any.
 */
#ifndef VMM_PCI_NIC_H
#define VMM_PCI_NIC_H

#include "base/util.h"
#include "pci/pci.h"
#include "vfio_user/client.h"
#include "vmm/bus.h"
#include "vmm/irq.h"
#include "vmm/memory.h"
#include "vmm/nic_doorbell.h"
#include "vmm/nic_msi.h"
#include "vmm/pci_fixed.h"
#include "vmm/pci_host.h"

enum { PCI_NIC_NAME_MAX = 64 };

/* One BAR, or the ROM. */
struct pci_nic_bar {
	struct bus_dev dev;		/* counts its accesses */
	struct pci_nic *nic;		/* whose */
	unsigned int idx;		/* PCI_ROM_BAR: the ROM */
	struct pci_bar what;		/* kind PCI_BAR_NONE: not there */
};

struct pci_nic {
	struct pci_function fn;
	struct pci_host *host;		/* the bus it is on */
	struct irq *irq;		/* what its pin is wired to */
	const struct vm_memory *mem;	/* the guest's, for its DMA */
	struct vfu_client *client;	/* atomic; changed by
					 * pci_nic_reconnect() */
	struct vfu_session session;	/* that it holds */
	char *path;			/* of the server's socket */
	char id[PCI_NIC_NAME_MAX];	/* what people call it */
	bool gone;			/* the server is away; atomic */
	uint64_t n_lost;		/* accesses meanwhile, without writes
					 * that were made up for; atomic */
	uint64_t n_late;		/* those; under the PCI lock */
	uint64_t n_reconnects;		/* times it came back */
	bool cut_off;			/* a bridge above hands on neither DMA
					 * nor messages */
	uint32_t config_size;		/* bytes of config space */
	uint8_t config[PCI_CONFIG_SIZE];	/* as last read */
	struct pci_fixed fixed;		/* bytes of it that are so still */
	unsigned int pin;		/* 1: INTA#; 0: it has none */
	struct irq_intx intx;
	struct nic_msi msi;
	struct nic_doorbell doorbell;
	struct pci_nic_bar bar[PCI_N_BARS + 1];
};

/**
 * pci_nic_create() - connect to the server at @path, give it guest memory
 * @id: for people
 * @where: for the statistics: "3", "port2"
 *
 * It is on no bus yet: that is pci_bus_add()'s, under the PCI lock.
 *
 * Return: 0 or -errno, with a message.
 */
int must_check pci_nic_create(struct pci_host *host, struct irq *irq,
			      const char *path, const char *id,
			      const char *where, const struct vm_memory *mem,
			      struct pci_nic **nic);

/** pci_nic_is_lost() - has its connection ended?  Says so, once. */
bool pci_nic_is_lost(struct pci_nic *nic);

/** pci_nic_resumes() - can the card go on by @fresh where it was?  That is: the
 * server knows the function's state, and no write is missing. */
bool pci_nic_resumes(const struct pci_nic *nic, const struct vfu_client *fresh,
		     const struct vfu_session *session);

/** pci_nic_check() - is what @fresh leads to the card that the guest knows?
 * 0; -EPROTO: it is another one; -errno */
int must_check pci_nic_check(const struct pci_nic *nic,
			     struct vfu_client *fresh);

/**
 * pci_nic_reconnect() - go on by another connection
 * @fresh: a new one, to the same socket, that pci_nic_check() has approved of;
 *	taken over
 * @session: what it holds; if pci_nic_resumes(), the function goes on where it
 *	was, otherwise it is as after power-on, and gets the guest's set-up of
 *	its header
 * @old: the one before, for pci_nic_reconnected()
 *
 * Return: 0 or -errno.
 */
int must_check pci_nic_reconnect(struct pci_nic *nic, struct vfu_client *fresh,
				 const struct vfu_session *session,
				 struct vfu_client **old);

/** pci_nic_reconnected() - no vCPU can be about to use @old any more */
void pci_nic_reconnected(struct pci_nic *nic, struct vfu_client *old);

/** pci_nic_destroy() - it is on no bus, no vCPU knows it; NULL is fine */
void pci_nic_destroy(struct pci_nic *nic);

/** pci_nic_unroute() - the KVM machine is about to go, or the card */
void pci_nic_unroute(struct pci_nic *nic);

#endif
