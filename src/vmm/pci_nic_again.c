/* SPDX-License-Identifier: Apache-2.0
 *
 * A NIC whose server has gone and come back; see pci_nic.h.
 */
#include "vmm/pci_nic_internal.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <string.h>

#include "base/log.h"

bool pci_nic_is_lost(struct pci_nic *nic)
{
	if (vfu_client_connected(nic->client))
		return false;
	pci_nic_set_gone(nic);
	return true;
}

static bool same_name(const struct pci_nic *nic,
		      const struct vfu_session *session)
{
	return session->name[0] && !strcmp(nic->session.name, session->name);
}

bool pci_nic_resumes(const struct pci_nic *nic, const struct vfu_client *fresh,
		     const struct vfu_session *session)
{
	return same_name(nic, session) &&
		vfu_client_resumes(fresh, nic->client);
}

int pci_nic_check(const struct pci_nic *nic, struct vfu_client *fresh)
{
	static const uint8_t idents[] = {
		PCI_VENDOR_ID, PCI_CLASS_REVISION, PCI_SUBSYSTEM_VENDOR_ID,
	};
	uint8_t config[PCI_CONFIG_SIZE];
	int err = vfu_client_read(fresh, VFIO_PCI_CONFIG_REGION_INDEX, 0,
				  config, sizeof(config));
	bool same = !err && config[PCI_INTERRUPT_PIN] ==
		nic->config[PCI_INTERRUPT_PIN];

	for (unsigned int i = 0; i < ARRAY_SIZE(idents); i++)
		same = same && !memcmp(config + idents[i],
				       nic->config + idents[i], 4);
	for (unsigned int i = 0; i <= VFIO_PCI_CONFIG_REGION_INDEX; i++)
		same = same && vfu_client_region(fresh, i)->size ==
			vfu_client_region(nic->client, i)->size;
	for (unsigned int i = 0; i <= VFIO_PCI_MSIX_IRQ_INDEX; i++)
		same = same && vfu_client_irqs(fresh, i) ==
			vfu_client_irqs(nic->client, i);
	return err ? err : same ? 0 : -EPROTO;
}

/* As the guest has set it up; decoding last. */
static int restore_header(const struct pci_nic *nic, struct vfu_client *fresh)
{
	static const struct { uint8_t off, len; } parts[] = {
		{ PCI_CACHE_LINE_SIZE, 2 },
		{ PCI_BASE_ADDRESS_0, 4 * PCI_N_BARS },
		{ PCI_ROM_ADDRESS, 4 },
		{ PCI_INTERRUPT_LINE, 1 },
		{ PCI_COMMAND, 2 },
	};
	int err = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(parts) && !err; i++)
		for (unsigned int at = 0; at < parts[i].len && !err; at += 4)
			err = vfu_client_write(fresh,
				VFIO_PCI_CONFIG_REGION_INDEX,
				parts[i].off + at,
				nic->config + parts[i].off + at,
				min_of(parts[i].len - at, 4u), false);
	return err;
}

/* What can fail, before @fresh is made use of. */
static int set_up_again(struct pci_nic *nic, struct vfu_client *fresh,
			const struct vfu_session *session, bool resumes)
{
	int err = 0;

	/* The server knows the function's state still, but that is not what
	 * the guest has made of it. */
	if (!resumes && same_name(nic, session))
		err = vfu_client_reset(fresh);
	if (!err)
		err = pci_nic_give_intx(nic, fresh);
	if (!err && !resumes)
		err = restore_header(nic, fresh);
	return err ? err : nic_msi_restore(&nic->msi, fresh, nic->config,
					   resumes);
}

/* What the guest has written meanwhile comes before memory, which may not be
 * that of the card any more. */
static void go_on(struct pci_nic *nic, struct vfu_client *fresh, bool resumes)
{
	unsigned int n = vfu_client_take_over(fresh, nic->client, resumes);
	int err = nic->cut_off ? 0 : pci_nic_give_memory(nic, fresh);

	if (resumes)
		nic->n_late += n;
	else
		__atomic_fetch_add(&nic->n_lost, n, __ATOMIC_RELAXED);
	if (err && err != -ENOTCONN)
		log_err("NIC %s (%s): its memory cannot be given back: %s",
			nic->id, nic->path, strerror(-err));
}

int pci_nic_reconnect(struct pci_nic *nic, struct vfu_client *fresh,
		      const struct vfu_session *session,
		      struct vfu_client **old)
{
	bool resumes = pci_nic_resumes(nic, fresh, session);
	uint64_t doorbell_base = nic->doorbell.base;
	int err = set_up_again(nic, fresh, session, resumes);

	if (err)
		return err;
	go_on(nic, fresh, resumes);
	nic_doorbell_move(&nic->doorbell, 0);
	*old = nic->client;
	__atomic_store_n(&nic->client, fresh, __ATOMIC_RELEASE);
	nic_doorbell_init(&nic->doorbell, fresh, nic->irq);
	nic_doorbell_move(&nic->doorbell, doorbell_base);
	nic_doorbell_ring(&nic->doorbell);
	nic->session = *session;
	pci_nic_read_config(nic);
	return 0;
}

void pci_nic_reconnected(struct pci_nic *nic, struct vfu_client *old)
{
	vfu_client_close(old);
	nic->n_reconnects++;
	__atomic_store_n(&nic->gone, false, __ATOMIC_RELAXED);
}
