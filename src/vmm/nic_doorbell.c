/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/nic_doorbell.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/eventfd.h"
#include "base/log.h"
#include "vfio_user/client.h"
#include "vmm/irq.h"

void nic_doorbell_init(struct nic_doorbell *d, const struct vfu_client *client,
		       const struct irq *irq)
{
	unsigned int n;

	*d = (struct nic_doorbell){ .irq = irq };
	d->bells = vfu_client_doorbells(client, &n);
	if (!n)
		return;
	d->region = d->bells[0].index;
	while (d->n < n && d->bells[d->n].index == d->region)
		d->n++;
}

static int set(const struct nic_doorbell *d, unsigned int i, uint64_t base,
	       uint32_t flags)
{
	struct kvm_ioeventfd io = {
		.addr = base + d->bells[i].off,
		.len = d->bells[i].len,
		.fd = d->bells[i].fd,
		.flags = flags,
	};

	return ioctl(d->irq->vm_fd, KVM_IOEVENTFD, &io) < 0 ? -errno : 0;
}

static void disconnect(const struct nic_doorbell *d, unsigned int n,
		       uint64_t base)
{
	while (n--)
		(void)set(d, n, base, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

void nic_doorbell_ring(const struct nic_doorbell *d)
{
	for (unsigned int i = 0; i < d->n; i++)
		eventfd_notify(d->bells[i].fd);
}

void nic_doorbell_move(struct nic_doorbell *d, uint64_t base)
{
	unsigned int n = 0;
	int err = 0;

	if (!d->n || base == d->base)
		return;
	if (d->base)
		disconnect(d, d->n, d->base);
	d->base = 0;
	if (!base)
		return;
	while (n < d->n && !(err = set(d, n, base, 0)))
		n++;
	if (err) {
		log_debug("doorbells at %#llx: %s", (unsigned long long)base,
			  strerror(-err));
		disconnect(d, n, base);
	} else {
		d->base = base;
	}
}
