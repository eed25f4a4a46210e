/* SPDX-License-Identifier: Apache-2.0
 *
 * Interrupt routing through KVM; see irq.h.
 */
#include "vmm/irq.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"

int irq_init(struct irq *irq)
{
	*irq = (struct irq){ .vm_fd = -1 };
	pthread_mutex_init(&irq->lock, NULL);
	irq->msi = calloc(IRQ_N_MSI, sizeof(*irq->msi));
	irq->table = calloc(1, sizeof(*irq->table) +
			    (IRQ_N_ISA + IRQ_N_IOAPIC + IRQ_N_MSI) *
			    sizeof(irq->table->entries[0]));
	return irq->msi && irq->table ? 0 : -ENOMEM;
}

void irq_fini(struct irq *irq)
{
	free(irq->table);
	free(irq->msi);
	irq->table = NULL;
	irq->msi = NULL;
	pthread_mutex_destroy(&irq->lock);
}

static void add_msi(struct kvm_irq_routing *table, unsigned int gsi,
		    const struct irq_msi *msi)
{
	table->entries[table->nr++] = (struct kvm_irq_routing_entry){
		.gsi = gsi, .type = KVM_IRQ_ROUTING_MSI,
		.u.msi = {
			.address_lo = (uint32_t)msi->addr,
			.address_hi = (uint32_t)(msi->addr >> 32),
			.data = msi->data,
		},
	};
}

static void add_pin(struct kvm_irq_routing *table, unsigned int gsi,
		    unsigned int chip, unsigned int pin)
{
	table->entries[table->nr++] = (struct kvm_irq_routing_entry){
		.gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = chip, .pin = pin },
	};
}

/* Hand the routing table to KVM; with irq->lock held. */
static int commit(struct irq *irq)
{
	struct kvm_irq_routing *table = irq->table;

	table->nr = 0;
	for (unsigned int i = 0; i < IRQ_N_ISA; i++)
		if (i != 2)	/* the cascade */
			add_pin(table, i, i < 8 ? KVM_IRQCHIP_PIC_MASTER :
				KVM_IRQCHIP_PIC_SLAVE, i % 8);
	for (unsigned int i = 0; i < IRQ_N_IOAPIC; i++)
		if (i != IRQ_PIT_GSI)
			add_pin(table, i, KVM_IRQCHIP_IOAPIC,
				i == 0 ? IRQ_PIT_GSI : i);
	for (unsigned int i = 0; i < IRQ_N_MSI; i++)
		if (irq->msi[i].routed)
			add_msi(table, IRQ_MSI_BASE + i, &irq->msi[i]);
	return ioctl(irq->vm_fd, KVM_SET_GSI_ROUTING, table) < 0 ? -errno : 0;
}

int irq_create_chips(struct irq *irq, int vm_fd)
{
	/* The speaker's port 61h counts the PIT's channel 2: KVM's too. */
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	irq->vm_fd = vm_fd;
	if (ioctl(vm_fd, KVM_CREATE_IRQCHIP) < 0 ||
	    ioctl(vm_fd, KVM_CREATE_PIT2, &pit) < 0)
		return -errno;
	return commit(irq);
}

void irq_remove_chips(struct irq *irq)
{
	irq->vm_fd = -1;
	for (unsigned int i = 0; i < IRQ_N_MSI; i++)
		irq->msi[i].routed = false;
}

void irq_set(struct irq *irq, unsigned int gsi, bool level)
{
	struct kvm_irq_level line = { .irq = gsi, .level = level };

	if (irq->vm_fd >= 0)
		(void)ioctl(irq->vm_fd, KVM_IRQ_LINE, &line);
}

int irq_intx_init(struct irq_intx *intx)
{
	int err;

	intx->gsi = IRQ_NO_GSI;
	intx->trigger_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	intx->resample_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (intx->trigger_fd >= 0 && intx->resample_fd >= 0)
		return 0;
	err = -errno;
	irq_intx_fini(intx);
	return err;
}

void irq_intx_fini(struct irq_intx *intx)
{
	fd_close(&intx->trigger_fd);
	fd_close(&intx->resample_fd);
}

static int intx_irqfd(struct irq *irq, const struct irq_intx *intx, int gsi,
		      bool on)
{
	struct kvm_irqfd irqfd = {
		.fd = (uint32_t)intx->trigger_fd,
		.gsi = (uint32_t)gsi,
		.flags = on ? KVM_IRQFD_FLAG_RESAMPLE : KVM_IRQFD_FLAG_DEASSIGN,
		.resamplefd = (uint32_t)intx->resample_fd,
	};

	return ioctl(irq->vm_fd, KVM_IRQFD, &irqfd) < 0 ? -errno : 0;
}

void irq_intx_route(struct irq *irq, struct irq_intx *intx, int gsi)
{
	int err = 0;

	if (intx->gsi == gsi)
		return;
	if (intx->gsi != IRQ_NO_GSI)
		err = intx_irqfd(irq, intx, intx->gsi, false);
	intx->gsi = IRQ_NO_GSI;
	if (!err && gsi != IRQ_NO_GSI)
		err = intx_irqfd(irq, intx, gsi, true);
	if (err) {
		log_limited(LOG_ERR, "INTx cannot be routed to GSI %d: %s",
			    gsi, strerror(-err));
		return;
	}
	intx->gsi = gsi;
	/* The old input forgot the level: have the device say it again. */
	if (eventfd_write(intx->resample_fd, 1) < 0)
		log_limited(LOG_WARN, "INTx on GSI %d not resampled", gsi);
}

void irq_msi_send(struct irq *irq, uint64_t addr, uint32_t data)
{
	struct kvm_msi msi = {
		.address_lo = (uint32_t)addr,
		.address_hi = (uint32_t)(addr >> 32),
		.data = data,
	};

	if (irq->vm_fd >= 0)
		(void)ioctl(irq->vm_fd, KVM_SIGNAL_MSI, &msi);
}

static int msi_irqfd(struct irq *irq, int fd, unsigned int gsi, bool on)
{
	struct kvm_irqfd irqfd = {
		.fd = (uint32_t)fd, .gsi = gsi,
		.flags = on ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
	};

	return ioctl(irq->vm_fd, KVM_IRQFD, &irqfd) < 0 ? -errno : 0;
}

/* A GSI for a message, and its route in KVM: -ENOSPC, or KVM's -errno.  A new
 * table costs KVM much, so a route stays in there when nobody uses it, until
 * another takes its place: a vector that was masked for a while finds its own.
 * With the lock held. */
static int take_route(struct irq *irq, uint64_t addr, uint32_t data)
{
	unsigned int spare = IRQ_N_MSI;
	int err;

	for (unsigned int i = 0; i < IRQ_N_MSI; i++) {
		const struct irq_msi *msi = &irq->msi[i];

		if (msi->used)
			continue;
		if (msi->routed && msi->addr == addr && msi->data == data)
			return (int)i;
		spare = min_of(spare, i);
	}
	if (spare == IRQ_N_MSI)
		return -ENOSPC;
	irq->msi[spare] = (struct irq_msi){
		.addr = addr, .data = data, .routed = true,
	};
	err = commit(irq);
	if (!err)
		return (int)spare;
	/* One bad route would spoil the whole table. */
	irq->msi[spare].routed = false;
	return err;
}

int irq_msi_connect(struct irq *irq, int fd, uint64_t addr, uint32_t data)
{
	int i, err;

	pthread_mutex_lock(&irq->lock);
	i = take_route(irq, addr, data);
	err = min_of(i, 0);
	if (!err)
		err = msi_irqfd(irq, fd, (unsigned int)(IRQ_MSI_BASE + i),
				true);
	if (!err)
		irq->msi[i].used = true;
	pthread_mutex_unlock(&irq->lock);
	return err ? err : IRQ_MSI_BASE + i;
}

void irq_msi_disconnect(struct irq *irq, int fd, int gsi)
{
	unsigned int i = (unsigned int)gsi - IRQ_MSI_BASE;
	int err = msi_irqfd(irq, fd, (unsigned int)gsi, false);

	if (err)
		log_limited(LOG_ERR, "GSI %d keeps its eventfd: %s", gsi,
			    strerror(-err));
	pthread_mutex_lock(&irq->lock);
	irq->msi[i].used = false;
	pthread_mutex_unlock(&irq->lock);
}
