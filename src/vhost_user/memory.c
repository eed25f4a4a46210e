/* SPDX-License-Identifier: Apache-2.0
 *
 * The front-end's memory table.
 *
 * Descriptors of rings hold guest addresses; where the rings are, the front-end
 * says in addresses of its own.  Both are in each region.
 */
#include <errno.h>
#include <string.h>

#include "vhost_user/vhost_user_internal.h"

static int add(struct vhost_user *vu, const struct vu_region *region, int fd)
{
	int ret;

	if (vu->n_regions == VU_SLOTS_MAX)
		return -ENOSPC;
	/* Addresses of the front-end's are not mapped here, only added up. */
	if (!region->len || region->uva + (region->len - 1) < region->uva)
		return -EINVAL;
	ret = dma_space_map(vu->dma, region->gpa, region->len,
			    DMA_READ | DMA_WRITE, fd, region->offset);
	if (ret < 0)
		return ret;
	vu->regions[vu->n_regions++] = (struct vu_slot){ *region, 1 };
	return 0;
}

void vu_memory_clear(struct vhost_user *vu)
{
	dma_space_clear(vu->dma);
	vu->n_regions = 0;
}

int vu_memory_set(struct vhost_user *vu, const struct vu_mem_table *table)
{
	int ret = 0;

	if (table->n > VU_TABLE_REGIONS || table->n != vu->conn.n_fds)
		return -EINVAL;
	virtio_net_pause(&vu->net);
	vu_memory_clear(vu);
	for (uint32_t i = 0; i < table->n && !ret; i++)
		ret = add(vu, &table->region[i], vu->conn.fds[i]);
	virtio_net_resume(&vu->net);
	return ret;
}

/* The slot at the region's addresses, or NULL. */
static struct vu_slot *find(struct vhost_user *vu,
			    const struct vu_region *region)
{
	for (unsigned int i = 0; i < vu->n_regions; i++) {
		const struct vu_region *r = &vu->regions[i].region;

		if (r->gpa == region->gpa && r->len == region->len &&
		    r->uva == region->uva)
			return &vu->regions[i];
	}
	return NULL;
}

int vu_memory_add(struct vhost_user *vu, const struct vu_region *region)
{
	struct vu_slot *slot = find(vu, region);
	int ret;

	if (slot && slot->region.offset == region->offset &&
	    slot->n_added < vu->net.n_pairs) {
		slot->n_added++;
		return 0;
	}
	virtio_net_pause(&vu->net);
	ret = add(vu, region, vu->conn.fds[0]);
	virtio_net_resume(&vu->net);
	return ret;
}

int vu_memory_remove(struct vhost_user *vu, const struct vu_region *region)
{
	struct vu_slot *slot = find(vu, region);
	int64_t ret;

	if (!slot)
		return -ENOENT;
	if (slot->n_added > 1) {
		slot->n_added--;
		return 0;
	}
	virtio_net_pause(&vu->net);
	ret = dma_space_unmap(vu->dma, region->gpa, region->len);
	virtio_net_resume(&vu->net);
	if (ret < 0)
		return (int)ret;
	*slot = vu->regions[--vu->n_regions];
	return 0;
}

bool vu_memory_gpa(const struct vhost_user *vu, uint64_t uva, uint64_t *gpa)
{
	for (unsigned int i = 0; i < vu->n_regions; i++) {
		const struct vu_region *r = &vu->regions[i].region;
		uint64_t off = uva - r->uva;

		if (off < r->len) {
			*gpa = r->gpa + off;
			return true;
		}
	}
	return false;
}
