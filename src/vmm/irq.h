/* SPDX-License-Identifier: Apache-2.0
 *
 * Interrupts: the in-kernel PICs, I/O APIC and PIT, and who drives which of
 * their inputs (GSIs).
 *
 *	GSI 0-15	ISA interrupts, at the PICs and the I/O APIC alike; the
 *			PIT's IRQ 0 is the I/O APIC's input 2
 *	GSI 16-23	I/O APIC only; INTx pins of the pcie board
 *	GSI 24...	message signalled interrupts, one for each vector that
 *			its guest has unmasked
 *
 * INTx is level triggered.  A NIC's server raises it by one eventfd (a KVM
 * irqfd) and is asked by another (the resamplefd), once the guest has ended the
 * interrupt, whether its pin is still high; so NICs can share a line, as four
 * PIRQ inputs on three IRQs make them.
 *
 * Threads: set-up before the vCPUs run; irq_intx_route() by whoever holds the
 * PCI lock; irq_set() and those for messages by any.
 */
#ifndef VMM_IRQ_H
#define VMM_IRQ_H

#include <pthread.h>
#include <stdint.h>

#include "base/util.h"

#define LAPIC_GPA 0xfee00000u
#define IOAPIC_GPA 0xfec00000u

enum {
	IRQ_PIT_GSI = 2,
	IRQ_N_OVERRIDES = 5,	/* of ISA interrupts in the MADT */
	IRQ_N_ISA = 16,
	IRQ_N_IOAPIC = 24,
	IRQ_MSI_BASE = 24,	/* first GSI for MSI */
	IRQ_N_MSI = 2048,
	IRQ_NO_GSI = -1,

	/* The reset control register, PIIX3 CF9h. */
	PCI_RESET_PORT = 0xcf9,
	PCI_RESET_FULL = 0x06,
};

struct kvm_irq_routing;

struct irq_msi {
	uint64_t addr;		/* message address */
	uint32_t data;		/* message data */
	bool used;		/* an irqfd is connected to it */
	bool routed;		/* it is in KVM's routing table */
};

struct irq {
	int vm_fd;		/* KVM's; -1: none at the moment */
	pthread_mutex_t lock;	/* of msi, and of KVM's routing table */
	struct irq_msi *msi;	/* IRQ_N_MSI of them, from IRQ_MSI_BASE on */
	struct kvm_irq_routing *table;	/* to build KVM's in */
};

/* One INTx pin of a NIC. */
struct irq_intx {
	int trigger_fd;		/* the server's signal; KVM's irqfd */
	int resample_fd;	/* KVM's question; the server's unmask */
	int gsi;		/* where it goes; IRQ_NO_GSI: nowhere */
};

int must_check irq_init(struct irq *irq);
void irq_fini(struct irq *irq);

/** irq_create_chips() - PICs, I/O APIC, PIT and routing of a new KVM machine */
int must_check irq_create_chips(struct irq *irq, int vm_fd);

/** irq_remove_chips() - the KVM machine is about to go */
void irq_remove_chips(struct irq *irq);

/** irq_set() - drive an ISA interrupt */
void irq_set(struct irq *irq, unsigned int gsi, bool level);

int must_check irq_intx_init(struct irq_intx *intx);
void irq_intx_fini(struct irq_intx *intx);

/**
 * irq_intx_route() - connect the pin to @gsi, or IRQ_NO_GSI
 *
 * The device is then asked whether its pin is high, so that an interrupt under
 * way moves along.
 */
void irq_intx_route(struct irq *irq, struct irq_intx *intx, int gsi);

/** irq_msi_send() - carry out a message once, without a GSI */
void irq_msi_send(struct irq *irq, uint64_t addr, uint32_t data);

/**
 * irq_msi_connect() - from now on @fd, an eventfd, sends this message
 *
 * What is in its counter already is sent at once.
 *
 * Return: the GSI that was taken for it; -ENOSPC: there are no more;
 * -EINVAL: KVM knows no such message.
 */
int must_check irq_msi_connect(struct irq *irq, int fd, uint64_t addr,
			       uint32_t data);

/** irq_msi_disconnect() - @fd's counter counts up, and the GSI is free */
void irq_msi_disconnect(struct irq *irq, int fd, int gsi);

#endif
