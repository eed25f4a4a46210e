/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/nic_doorbell.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/log.h"
#include "vfio_user/client.h"
#include "vmm/irq.h"

static int set(const struct nic_doorbell *d, unsigned int i, uint64_t base,
	       uint32_t flags)
{
	struct kvm_ioeventfd io = {
		.addr = base + d->bells->at[i].off,
		.len = d->bells->at[i].len,
		.fd = d->bells->fd,
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

void nic_doorbell_move(struct nic_doorbell *d, uint64_t base)
{
	unsigned int n = 0;
	int err = 0;

	if (!d->bells || !d->bells->n || base == d->base)
		return;
	if (d->base)
		disconnect(d, d->bells->n, d->base);
	d->base = 0;
	if (!base)
		return;
	while (n < d->bells->n && !(err = set(d, n, base, 0)))
		n++;
	if (err) {
		log_debug("doorbells at %#llx: %s", (unsigned long long)base,
			  strerror(-err));
		disconnect(d, n, base);
	} else {
		d->base = base;
	}
}
