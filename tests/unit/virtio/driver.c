/* SPDX-License-Identifier: Apache-2.0
 *
 * The driver's side of virtqueues; see driver.h.
 */
#include "driver.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "virtio/virtio.h"

static void need(bool ok)
{
	if (!ok)
		abort();
}

void guest_init(struct guest *guest)
{
	guest->fd = memfd_create("guest", MFD_CLOEXEC);
	need(guest->fd >= 0 && !ftruncate(guest->fd, GUEST_LEN));
	guest->mem = mmap(NULL, GUEST_LEN, PROT_READ | PROT_WRITE, MAP_SHARED,
			  guest->fd, 0);
	need(guest->mem != MAP_FAILED);
	guest->dma = dma_space_create("guest", NULL);
	need(guest->dma);
	/* In the file the other way round, so that what touches in the guest
	 * does not touch here. */
	need(!dma_space_map(guest->dma, GUEST_BASE, GUEST_SPLIT,
			    DMA_READ | DMA_WRITE, guest->fd,
			    GUEST_LEN - GUEST_SPLIT));
	need(!dma_space_map(guest->dma, GUEST_BASE + GUEST_SPLIT,
			    GUEST_LEN - GUEST_SPLIT, DMA_READ | DMA_WRITE,
			    guest->fd, 0));
}

void guest_fini(struct guest *guest)
{
	dma_space_destroy(guest->dma);
	munmap(guest->mem, GUEST_LEN);
	close(guest->fd);
}

uint8_t *guest_at(struct guest *guest, uint64_t gpa)
{
	uint64_t off = gpa - GUEST_BASE;

	need(off < GUEST_LEN);
	return guest->mem + (off < GUEST_SPLIT ?
			     off + GUEST_LEN - GUEST_SPLIT :
			     off - GUEST_SPLIT);
}

static uint16_t get16(const uint8_t *p)
{
	return __atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE);
}

static void set16(uint8_t *p, uint16_t v)
{
	__atomic_store_n((uint16_t *)p, v, __ATOMIC_RELEASE);
}

void driver_init(struct driver *drv, struct guest *guest, unsigned int n,
		 uint16_t size, uint64_t features)
{
	uint64_t base = GUEST_BASE + n * (uint64_t)GUEST_QUEUE_LEN;

	memset(drv, 0, sizeof(*drv));
	drv->guest = guest;
	drv->size = size;
	drv->packed = features & BIT64(VIRTIO_F_RING_PACKED);
	drv->config = (struct vring_config) {
		.size = size,
		.features = features,
		.desc = base,
		.driver = base + 16384,
		.device = base + 20480,
	};
	need(size <= 1024);
	drv->tables = base + 32768;
	memset(guest_at(guest, base), 0, GUEST_QUEUE_LEN);
	drv->desc = guest_at(guest, drv->config.desc);
	drv->avail = guest_at(guest, drv->config.driver);
	drv->used = guest_at(guest, drv->config.device);
	drv->avail_wrap = drv->used_wrap = true;
}

void driver_desc(const struct driver *drv, uint8_t *at, uint64_t gpa,
		 uint32_t len, uint16_t flags, uint16_t next)
{
	memcpy(at, &gpa, 8);
	memcpy(at + 8, &len, 4);
	if (drv->packed) {
		memcpy(at + 12, &next, 2);
		set16(at + 14, flags);
	} else {
		memcpy(at + 12, &flags, 2);
		memcpy(at + 14, &next, 2);
	}
}

/* Write the buffers as descriptors of a table; returns its length. */
static uint32_t write_table(const struct driver *drv, uint64_t gpa,
			    const struct buf *bufs, unsigned int n_out,
			    unsigned int n_in)
{
	uint8_t *table = guest_at(drv->guest, gpa);
	unsigned int n = n_out + n_in;

	for (unsigned int i = 0; i < n; i++)
		driver_desc(drv, table + 16 * i, bufs[i].gpa, bufs[i].len,
			    (uint16_t)((i >= n_out ? DRV_WRITE : 0) |
				       (i + 1 < n && !drv->packed ? DRV_NEXT :
					0)),
			    (uint16_t)(i + 1));
	return 16 * n;
}

static uint16_t add_split(struct driver *drv, const struct buf *bufs,
			  unsigned int n_out, unsigned int n_in, uint16_t flags)
{
	unsigned int n = n_out + n_in;
	uint16_t head = drv->next_desc;

	for (unsigned int i = 0; i < n; i++) {
		uint16_t next = (uint16_t)((drv->next_desc + 1) % drv->size);

		driver_desc(drv, drv->desc + 16 * drv->next_desc, bufs[i].gpa,
			    bufs[i].len,
			    (uint16_t)(flags |
				       (i >= n_out ? DRV_WRITE : 0) |
				       (i + 1 < n ? DRV_NEXT : 0)), next);
		drv->next_desc = next;
	}
	set16(drv->avail + 4 + 2 * (drv->avail_idx % drv->size), head);
	set16(drv->avail + 2, ++drv->avail_idx);
	return head;
}

/* The first descriptor's flags are written last (2.8.13.1). */
static uint16_t add_packed(struct driver *drv, const struct buf *bufs,
			   unsigned int n_out, unsigned int n_in,
			   uint16_t flags)
{
	uint16_t id = drv->next_id++ % drv->size;
	unsigned int n = n_out + n_in;
	uint8_t *first = drv->desc + 16 * drv->avail_idx;
	uint16_t first_flags = 0;

	for (unsigned int i = 0; i < n; i++) {
		uint8_t *at = drv->desc + 16 * drv->avail_idx;
		uint16_t f = (uint16_t)(flags |
					(i >= n_out ? DRV_WRITE : 0) |
					(i + 1 < n ? DRV_NEXT : 0) |
					(drv->avail_wrap ? 0x80 : 0x8000));

		if (!i)
			first_flags = f;
		driver_desc(drv, at, bufs[i].gpa, bufs[i].len,
			    i ? f : get16(at + 14), id);
		if (++drv->avail_idx == drv->size) {
			drv->avail_idx = 0;
			drv->avail_wrap = !drv->avail_wrap;
		}
	}
	drv->n_slots[id] = (uint16_t)n;
	set16(first + 14, first_flags);
	return id;
}

uint16_t driver_add(struct driver *drv, const struct buf *bufs,
		    unsigned int n_out, unsigned int n_in, bool indirect)
{
	struct buf table;
	uint16_t slot = drv->packed ? drv->next_id % drv->size :
		drv->next_desc;

	if (!indirect)
		return drv->packed ? add_packed(drv, bufs, n_out, n_in, 0) :
			add_split(drv, bufs, n_out, n_in, 0);
	/* Not aligned: nothing says that it has to be. */
	table.gpa = drv->tables + slot % 64 * 16 * 16 + 4;
	need(n_out + n_in < 16);
	table.len = write_table(drv, table.gpa, bufs, n_out, n_in);
	return drv->packed ? add_packed(drv, &table, 1, 0, DRV_INDIRECT) :
		add_split(drv, &table, 1, 0, DRV_INDIRECT);
}

static bool used_packed(struct driver *drv, uint16_t *id, uint32_t *len)
{
	uint8_t *at = drv->desc + 16 * drv->used_idx;
	uint16_t flags = get16(at + 14);

	if (!!(flags & 0x80) != drv->used_wrap ||
	    !!(flags & 0x8000) != drv->used_wrap)
		return false;
	memcpy(len, at + 8, 4);
	memcpy(id, at + 12, 2);
	need(*id < drv->size);
	drv->used_idx += drv->n_slots[*id];
	if (drv->used_idx >= drv->size) {
		drv->used_idx -= drv->size;
		drv->used_wrap = !drv->used_wrap;
	}
	return true;
}

bool driver_used(struct driver *drv, uint16_t *id, uint32_t *len)
{
	uint8_t *at = drv->used + 4 + 8 * (drv->used_idx % drv->size);
	uint32_t id32;

	if (drv->packed)
		return used_packed(drv, id, len);
	if (get16(drv->used + 2) == drv->used_idx)
		return false;
	memcpy(&id32, at, 4);
	memcpy(len, at + 4, 4);
	*id = (uint16_t)id32;
	drv->used_idx++;
	return true;
}

void driver_want_call(struct driver *drv, int after)
{
	bool event_idx = drv->config.features & BIT64(VIRTIO_F_EVENT_IDX);
	uint32_t at = (uint32_t)(drv->used_idx + after);
	bool wrap = drv->used_wrap;

	if (!drv->packed) {
		set16(drv->avail, after == CALL_NEVER);
		if (event_idx)
			set16(drv->avail + 4 + 2 * drv->size,
			      after < 0 ? (uint16_t)(drv->used_idx - 1) :
			      (uint16_t)at);
		return;
	}
	if (after < 0 || !event_idx) {
		set16(drv->avail + 2, after == CALL_NEVER);
		return;
	}
	if (at >= drv->size) {
		at -= drv->size;
		wrap = !wrap;
	}
	set16(drv->avail, (uint16_t)(at | (wrap ? 0x8000 : 0)));
	set16(drv->avail + 2, 2);
}

bool driver_is_asked(const struct driver *drv)
{
	bool event_idx = drv->config.features & BIT64(VIRTIO_F_EVENT_IDX);

	if (drv->packed)
		return get16(drv->used + 2) != 1;
	if (!event_idx)
		return !(get16(drv->used) & 1);
	return get16(drv->used + 4 + 8 * drv->size) ==
	       (uint16_t)(drv->avail_idx - 1);
}
