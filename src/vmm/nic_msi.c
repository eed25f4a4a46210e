/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/nic_msi.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/byteorder.h"
#include "base/log.h"
#include "vfio_user/client.h"
#include "vmm/irq.h"

/* ---- what the card has ---- */

/* The capability's offset, with @len bytes of it there; 0: none such. */
static unsigned int find_cap(const uint8_t *config, uint8_t id,
			     unsigned int len)
{
	/* More cannot be there: a list that goes round ends. */
	unsigned int left = PCI_CONFIG_SIZE / PCI_CAP_SIZEOF;
	unsigned int at = config[PCI_CAPABILITY_LIST] & ~3u;

	if (!(config[PCI_STATUS] & PCI_STATUS_CAP_LIST))
		return 0;
	while (at >= PCI_STD_HEADER_SIZEOF && left--) {
		if (config[at + PCI_CAP_LIST_ID] == id)
			return range_within(at, len, PCI_CONFIG_SIZE) ? at : 0;
		at = config[at + PCI_CAP_LIST_NEXT] & ~3u;
	}
	return 0;
}

/* Bytes of the MSI capability, by its flags (PCI 3.0, 6.8.1). */
static unsigned int msi_len(uint16_t flags)
{
	bool is64 = flags & PCI_MSI_FLAGS_64BIT;

	if (flags & PCI_MSI_FLAGS_MASKBIT)
		return (is64 ? PCI_MSI_PENDING_64 : PCI_MSI_PENDING_32) + 4;
	return (is64 ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32) + 2;
}

static int find_msi(struct nic_msi *msi, const uint8_t *config)
{
	unsigned int cap = find_cap(config, PCI_CAP_ID_MSI, msi_len(0));
	unsigned int log2;
	uint16_t flags;

	if (!cap)
		return 0;
	flags = le16_load(config + cap + PCI_MSI_FLAGS);
	if (!range_within(cap, msi_len(flags), PCI_CONFIG_SIZE))
		return -EPROTO;
	log2 = (flags & PCI_MSI_FLAGS_QMASK) >> 1;
	msi->msi_cap = cap;
	msi->msi_layout = flags & (PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT);
	msi->n_msi = min_of(1u << min_of(log2, 5u),
			    vfu_client_irqs(msi->client,
					    VFIO_PCI_MSI_IRQ_INDEX));
	return 0;
}

static int find_msix(struct nic_msi *msi, const uint8_t *config)
{
	unsigned int cap = find_cap(config, PCI_CAP_ID_MSIX,
				    PCI_CAP_MSIX_SIZEOF);
	struct pci_msix_place *place = &msi->place;
	uint32_t table, pba;
	unsigned int n;
	uint64_t size;

	if (!cap)
		return 0;
	n = (le16_load(config + cap + PCI_MSIX_FLAGS) &
	     PCI_MSIX_FLAGS_QSIZE) + 1u;
	table = le32_load(config + cap + PCI_MSIX_TABLE);
	pba = le32_load(config + cap + PCI_MSIX_PBA);
	place->bar = table & PCI_MSIX_TABLE_BIR;
	place->pba_bar = pba & PCI_MSIX_PBA_BIR;
	place->table_off = table & PCI_MSIX_TABLE_OFFSET;
	place->pba_off = pba & PCI_MSIX_PBA_OFFSET;
	size = vfu_client_region(msi->client, place->bar)->size;
	if (place->bar >= PCI_N_BARS ||
	    !range_within(place->table_off, msix_table_size(n), size) ||
	    n > vfu_client_irqs(msi->client, VFIO_PCI_MSIX_IRQ_INDEX))
		return -EPROTO;
	msi->msix_cap = cap;
	msi->table.n = n;
	msi->table.table = malloc(msix_table_size(n));
	msi->table.pba = malloc(msix_pba_size(n));
	if (!msi->table.table || !msi->table.pba)
		return -ENOMEM;
	msix_reset(&msi->table);
	return 0;
}

int nic_msi_init(struct nic_msi *msi, struct vfu_client *client,
		 struct irq *irq, const char *id, const uint8_t *config)
{
	int err;

	*msi = (struct nic_msi){ .client = client, .irq = irq, .id = id };
	pthread_mutex_init(&msi->lock, NULL);
	err = find_msi(msi, config);
	if (!err)
		err = find_msix(msi, config);
	if (err)
		return err;
	msi->n_vectors = max_of(msi->n_msi, msi->table.n);
	if (!msi->n_vectors)
		return 0;
	msi->vector = malloc(msi->n_vectors * sizeof(*msi->vector));
	if (!msi->vector)
		return -ENOMEM;
	for (unsigned int i = 0; i < msi->n_vectors; i++)
		msi->vector[i] = (struct nic_vector){ -1, IRQ_NO_GSI, 0, 0 };
	return 0;
}

void nic_msi_fini(struct nic_msi *msi)
{
	if (!msi->client)
		return;
	nic_msi_unroute(msi);
	pthread_mutex_destroy(&msi->lock);
	for (unsigned int i = 0; msi->vector && i < msi->n_vectors; i++)
		fd_close(&msi->vector[i].fd);
	free(msi->vector);
	free(msi->table.table);
	free(msi->table.pba);
	*msi = (struct nic_msi){ 0 };
}

/* ---- vectors; all with the lock held ---- */

static unsigned int irq_index(const struct nic_msi *msi)
{
	return msi->mode == NIC_MSI_MSIX ? VFIO_PCI_MSIX_IRQ_INDEX :
		VFIO_PCI_MSI_IRQ_INDEX;
}

/* Let the server have an eventfd for the vector. */
static int give(struct nic_msi *msi, unsigned int vec)
{
	struct nic_vector *v = &msi->vector[vec];
	int err;

	if (v->fd >= 0)
		return 0;
	v->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->fd < 0)
		return -errno;
	err = vfu_client_set_irqs(msi->client, irq_index(msi),
				  VFIO_IRQ_SET_DATA_EVENTFD |
				  VFIO_IRQ_SET_ACTION_TRIGGER, vec, 1, &v->fd);
	if (err)
		fd_close(&v->fd);
	return err;
}

static void disconnect(struct nic_msi *msi, struct nic_vector *v)
{
	if (v->gsi == IRQ_NO_GSI)
		return;
	irq_msi_disconnect(msi->irq, v->fd, v->gsi);
	v->gsi = IRQ_NO_GSI;
}

static void connect_vector(struct nic_msi *msi, unsigned int vec,
			   uint64_t addr, uint32_t data)
{
	struct nic_vector *v = &msi->vector[vec];
	int err = give(msi, vec);

	if (v->gsi != IRQ_NO_GSI && v->addr == addr && v->data == data)
		return;
	disconnect(msi, v);
	v->addr = addr;
	v->data = data;
	if (!err) {
		v->gsi = irq_msi_connect(msi->irq, v->fd, addr, data);
		err = min_of(v->gsi, 0);
	}
	if (!err)
		return;
	v->gsi = IRQ_NO_GSI;
	if (err != -ENOTCONN)
		log_limited(LOG_WARN, "NIC %s: MSI vector %u cannot be "
			    "connected: %s", msi->id, vec, err == -ENOSPC ?
			    "the machine has no more" : strerror(-err));
}

/* As the table has it. */
static void update_msix(struct nic_msi *msi, unsigned int vec)
{
	uint64_t addr;
	uint32_t data;

	if (msi->cut_off || msi->masked || msix_masked(&msi->table, vec)) {
		disconnect(msi, &msi->vector[vec]);
		return;
	}
	msix_message(&msi->table, vec, &addr, &data);
	connect_vector(msi, vec, addr, data);
}

/* As the capability has it: a message, and the vector in its low bits. */
static void update_msi(struct nic_msi *msi, const uint8_t *cap)
{
	uint16_t flags = le16_load(cap + PCI_MSI_FLAGS);
	bool is64 = msi->msi_layout & PCI_MSI_FLAGS_64BIT;
	uint64_t addr = le32_load(cap + PCI_MSI_ADDRESS_LO);
	uint32_t data = le16_load(cap + (is64 ? PCI_MSI_DATA_64 :
					 PCI_MSI_DATA_32));
	uint32_t mask = !(msi->msi_layout & PCI_MSI_FLAGS_MASKBIT) ? 0 :
		le32_load(cap + (is64 ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32));
	unsigned int granted = min_of(msi->n_msi, 1u <<
		((flags & PCI_MSI_FLAGS_QSIZE) >> 4));

	if (is64)
		addr |= (uint64_t)le32_load(cap + PCI_MSI_ADDRESS_HI) << 32;
	for (unsigned int i = 0; i < msi->n_msi; i++) {
		if (!msi->cut_off && i < granted && !(mask & BIT(i)))
			connect_vector(msi, i, addr,
				       (data & ~(granted - 1)) | i);
		else
			disconnect(msi, &msi->vector[i]);
	}
}

/* Nothing is enabled any more. */
static void switch_off(struct nic_msi *msi)
{
	int err;

	if (msi->mode == NIC_MSI_OFF)
		return;
	for (unsigned int i = 0; i < msi->n_vectors; i++)
		disconnect(msi, &msi->vector[i]);
	err = vfu_client_set_irqs(msi->client, irq_index(msi),
				  VFIO_IRQ_SET_DATA_NONE |
				  VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, NULL);
	if (err && err != -ENOTCONN)
		log_limited(LOG_WARN, "NIC %s: MSI not switched off: %s",
			    msi->id, strerror(-err));
	for (unsigned int i = 0; i < msi->n_vectors; i++)
		fd_close(&msi->vector[i].fd);
	msi->mode = NIC_MSI_OFF;
}

/* ---- the card's side ---- */

void nic_msi_config(struct nic_msi *msi, const uint8_t *config)
{
	uint16_t msix = !msi->msix_cap ? 0 :
		le16_load(config + msi->msix_cap + PCI_MSIX_FLAGS);
	uint16_t flags = !msi->msi_cap ? 0 :
		le16_load(config + msi->msi_cap + PCI_MSI_FLAGS);
	enum nic_msi_mode mode = msix & PCI_MSIX_FLAGS_ENABLE ? NIC_MSI_MSIX :
		flags & PCI_MSI_FLAGS_ENABLE ? NIC_MSI_MSI : NIC_MSI_OFF;

	pthread_mutex_lock(&msi->lock);
	if (mode != msi->mode)
		switch_off(msi);
	msi->mode = mode;
	msi->masked = msix & PCI_MSIX_FLAGS_MASKALL;
	for (unsigned int i = 0; mode == NIC_MSI_MSIX && i < msi->table.n; i++)
		update_msix(msi, i);
	if (mode == NIC_MSI_MSI)
		update_msi(msi, config + msi->msi_cap);
	pthread_mutex_unlock(&msi->lock);
}

void nic_msi_cut_off(struct nic_msi *msi, bool cut_off, const uint8_t *config)
{
	pthread_mutex_lock(&msi->lock);
	msi->cut_off = cut_off;
	pthread_mutex_unlock(&msi->lock);
	nic_msi_config(msi, config);
}

static int config_put(struct vfu_client *client, unsigned int off,
		      const uint8_t *config, uint32_t len)
{
	return vfu_client_write(client, VFIO_PCI_CONFIG_REGION_INDEX, off,
				config + off, len, false);
}

/* Messages before what enables them. */
static int restore_caps(const struct nic_msi *msi, struct vfu_client *client,
			const uint8_t *config)
{
	unsigned int cap = msi->msi_cap, len;
	int err = 0;

	if (cap) {
		len = msi_len(msi->msi_layout);
		err = config_put(client, cap + PCI_MSI_ADDRESS_LO, config,
				 len - PCI_MSI_ADDRESS_LO);
		if (!err)
			err = config_put(client, cap + PCI_MSI_FLAGS, config,
					 2);
	}
	if (!err && msi->msix_cap)
		err = config_put(client, msi->msix_cap + PCI_MSIX_FLAGS,
				 config, 2);
	return err;
}

int nic_msi_restore(struct nic_msi *msi, struct vfu_client *client,
		    const uint8_t *config, bool resumes)
{
	int err;

	pthread_mutex_lock(&msi->lock);
	err = resumes ? 0 : restore_caps(msi, client, config);
	for (unsigned int i = 0; i < msi->n_vectors && !err; i++)
		if (msi->vector[i].fd >= 0)
			err = vfu_client_set_irqs(client, irq_index(msi),
				VFIO_IRQ_SET_DATA_EVENTFD |
				VFIO_IRQ_SET_ACTION_TRIGGER, i, 1,
				&msi->vector[i].fd);
	if (!err)
		msi->client = client;
	pthread_mutex_unlock(&msi->lock);
	return err;
}

void nic_msi_unroute(struct nic_msi *msi)
{
	pthread_mutex_lock(&msi->lock);
	for (unsigned int i = 0; i < msi->n_vectors; i++)
		disconnect(msi, &msi->vector[i]);
	pthread_mutex_unlock(&msi->lock);
}

void nic_msi_reset(struct nic_msi *msi)
{
	pthread_mutex_lock(&msi->lock);
	switch_off(msi);
	if (msi->table.n)
		msix_reset(&msi->table);
	pthread_mutex_unlock(&msi->lock);
}

/* Does it count what the guest has not been sent yet? */
static bool is_pending(const struct nic_vector *v)
{
	struct pollfd p = { .fd = v->fd, .events = POLLIN };

	return v->fd >= 0 && v->gsi == IRQ_NO_GSI && poll(&p, 1, 0) == 1 &&
		(p.revents & POLLIN);
}

/* The server knows of those it has no eventfd for. */
static uint64_t read_pba(struct nic_msi *msi, uint64_t off, unsigned int len)
{
	uint64_t at = off - msi->place.pba_off, val = 0;
	struct vfu_client *client;

	pthread_mutex_lock(&msi->lock);
	client = msi->client;
	pthread_mutex_unlock(&msi->lock);
	if (vfu_client_read(client, msi->place.pba_bar, off, &val, len))
		val = 0;
	pthread_mutex_lock(&msi->lock);
	for (unsigned int i = 0; i < 8 * len; i++)
		if (8 * at + i < msi->table.n &&
		    is_pending(&msi->vector[8 * at + i]))
			val |= BIT64(i);
	pthread_mutex_unlock(&msi->lock);
	return val;
}

static bool in_table(const struct nic_msi *msi, unsigned int bar, uint64_t off,
		     unsigned int len)
{
	return msi->table.n && bar == msi->place.bar &&
		off >= msi->place.table_off &&
		range_within(off - msi->place.table_off, len,
			     msix_table_size(msi->table.n));
}

static bool in_pba(const struct nic_msi *msi, unsigned int bar, uint64_t off,
		   unsigned int len)
{
	return msi->table.n && bar == msi->place.pba_bar &&
		off >= msi->place.pba_off &&
		range_within(off - msi->place.pba_off, len,
			     msix_pba_size(msi->table.n));
}

bool nic_msi_bar_read(struct nic_msi *msi, unsigned int bar, uint64_t off,
		      unsigned int len, uint64_t *val)
{
	if (in_table(msi, bar, off, len)) {
		pthread_mutex_lock(&msi->lock);
		*val = msix_table_read(&msi->table, off - msi->place.table_off,
				       len);
		pthread_mutex_unlock(&msi->lock);
		return true;
	}
	if (!in_pba(msi, bar, off, len))
		return false;
	*val = read_pba(msi, off, len);
	return true;
}

bool nic_msi_bar_write(struct nic_msi *msi, unsigned int bar, uint64_t off,
		       unsigned int len, uint64_t val)
{
	int vec;

	if (!in_table(msi, bar, off, len))
		return in_pba(msi, bar, off, len);
	pthread_mutex_lock(&msi->lock);
	vec = msix_table_write(&msi->table, off - msi->place.table_off, len,
			       val);
	if (vec >= 0 && msi->mode == NIC_MSI_MSIX)
		update_msix(msi, (unsigned int)vec);
	pthread_mutex_unlock(&msi->lock);
	return true;
}
