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
	vu->regions[vu->n_regions++] = *region;
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

/* Its number, or n_regions: there is none like it. */
static unsigned int find(const struct vhost_user *vu,
			 const struct vu_region *region)
{
	unsigned int i;

	for (i = 0; i < vu->n_regions; i++)
		if (vu->regions[i].gpa == region->gpa &&
		    vu->regions[i].len == region->len &&
		    vu->regions[i].uva == region->uva)
			break;
	return i;
}

/* QEMU before 8.0 adds and removes each region once for every queue pair. */
int vu_memory_add(struct vhost_user *vu, const struct vu_region *region)
{
	int ret;

	if (find(vu, region) < vu->n_regions)
		return 0;
	virtio_net_pause(&vu->net);
	ret = add(vu, region, vu->conn.fds[0]);
	virtio_net_resume(&vu->net);
	return ret;
}

int vu_memory_remove(struct vhost_user *vu, const struct vu_region *region)
{
	unsigned int i = find(vu, region);
	int64_t ret;

	if (i == vu->n_regions)
		return 0;
	virtio_net_pause(&vu->net);
	ret = dma_space_unmap(vu->dma, region->gpa, region->len);
	virtio_net_resume(&vu->net);
	if (ret < 0)
		return (int)ret;
	vu->regions[i] = vu->regions[--vu->n_regions];
	return 0;
}

bool vu_memory_gpa(const struct vhost_user *vu, uint64_t uva, uint64_t *gpa)
{
	for (unsigned int i = 0; i < vu->n_regions; i++) {
		uint64_t off = uva - vu->regions[i].uva;

		if (off < vu->regions[i].len) {
			*gpa = vu->regions[i].gpa + off;
			return true;
		}
	}
	return false;
}
