/* SPDX-License-Identifier: Apache-2.0
 *
 * The machine's NICs and what they are plugged into:
 *
 *	pc	slots of the root bus
 *	pcie	root ports, one card each, numbered from 1
 *	both	slots of a conventional PCI bridge, for a NIC that asks for it
 *
 * and its disks, which are on the root bus.
 *
 * Cards in root ports can be plugged in and out while the guest runs.  One that
 * has gone from its bus may still be in the hands of a vCPU that has just found
 * it there, so it is freed in two steps: taken off by whoever has the PCI lock,
 * and freed by cards_reap(), once every vCPU has been out of its exit.
 *
 * Threads: one at a time, by the machine's power lock, which is taken before
 * the PCI lock; cards_released() under the latter alone.
 */
#ifndef VMM_CARDS_H
#define VMM_CARDS_H

#include "base/util.h"
#include "vmm/disk.h"
#include "vmm/pci_bridge.h"
#include "vmm/pci_nic.h"
#include "vmm/vm.h"

enum {
	CARDS_WHERE_MAX = 16,
};

struct card {
	struct pci_nic *nic;		/* NULL: no card */
	uint64_t serial;		/* no other ever had or has it */
	struct pci_bridge *port;	/* whose slot it is in; NULL: not one */
	char where[CARDS_WHERE_MAX];	/* "3", "port2", "bridge1.4" */
	uint64_t asked_ns;		/* when it was asked to go; 0: not */
	bool released;			/* it may go; atomic */
};

struct cards {
	int watch_fd;			/* epoll: reports an end of a
					 * connection, see reconnect.c; whose
					 * it is does not matter */
	uint64_t n_cards;		/* there have ever been */
	struct pci_host *host;
	struct irq *irq;
	const struct vm_memory *mem;
	unsigned int n_ports;
	struct pci_bridge *port[VM_PORTS_MAX];
	struct pci_bridge *bridge[VM_BRIDGES_MAX];	/* NULL: not there */
	struct card card[VM_NICS_MAX];
	struct disk *disk[VM_DISKS_MAX];	/* NULL: no disk */
};

/* One whose server has gone. */
struct cards_lost {
	unsigned int idx;		/* of the card */
	uint64_t serial;		/* it had then */
	char path[128];			/* where to look for the server */
	struct vfu_session session;	/* that the card was in */
};

/** cards_init() - no cards yet; @n_ports: root ports, 0 on the pc board;
 * @watch_fd outlives it */
int must_check cards_init(struct cards *cards, struct pci_host *host,
			  struct irq *irq, const struct vm_memory *mem,
			  unsigned int n_ports, int watch_fd);
void cards_fini(struct cards *cards);

/**
 * cards_add() - one more NIC, where @config says
 * @running: the guest runs: into a root port only, and it is told
 *
 * Return: 0 or -errno, with @error filled in.
 */
int must_check cards_add(struct cards *cards,
			 const struct vm_nic_config *config, bool running,
			 struct vm_error *error);

/** cards_add_disk() - before the guest runs; 0 or -errno, with @error filled
 * in */
int must_check cards_add_disk(struct cards *cards,
			      const struct vm_disk_config *config,
			      struct vm_error *error);

/**
 * cards_ask() - take a NIC out
 * @pull: at once; otherwise when the guest agrees
 *
 * Return: 0 or -errno, with @error filled in.
 */
int must_check cards_ask(struct cards *cards, const char *id, bool pull,
			 struct vm_error *error);

/** cards_released() - the guest has let go of the card that was in @port */
void cards_released(struct cards *cards, const struct pci_bridge *port);

/** cards_any_released() - is there something to reap?  Any thread. */
bool cards_any_released(const struct cards *cards);

/** cards_reap() - free what is released; @wait returns when no vCPU holds on to
 * what it found on a bus before */
void cards_reap(struct cards *cards, void (*wait)(void *arg), void *arg);

/** cards_find_lost() - the first that is, from the @idx-th on; false: none */
bool cards_find_lost(struct cards *cards, unsigned int idx,
		     struct cards_lost *lost);

/**
 * cards_reconnect() - its server is back
 * @fresh: the connection, taken over
 * @session: that it is in
 * @wait: as for cards_reap()
 *
 * A card in a root port whose server is a new one is pulled out and plugged in
 * again, as the guest sees it; others stay, and their driver has to notice.
 *
 * Return: 0, also if the card is not there any more; -errno: still lost.
 */
int must_check cards_reconnect(struct cards *cards,
			       const struct cards_lost *lost,
			       struct vfu_client *fresh,
			       const struct vfu_session *session,
			       void (*wait)(void *arg), void *arg);

/** cards_reset() - at a reset the cards that were asked to go are out */
void cards_reset(struct cards *cards);

/** cards_unroute() - the KVM machine is about to go */
void cards_unroute(struct cards *cards);

#endif
