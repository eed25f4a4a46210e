/* SPDX-License-Identifier: Apache-2.0
 *
 * Dispatch of port and memory-mapped accesses; see bus.h.
 */
#include "vmm/bus.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void bus_dev_init(struct bus_dev *dev, const char *name,
		  const struct bus_dev_ops *ops, void *opaque,
		  unsigned int max_len)
{
	*dev = (struct bus_dev){
		.ops = ops, .opaque = opaque, .max_len = max_len,
	};
	snprintf(dev->name, sizeof(dev->name), "%s", name);
}

void bus_init(struct bus *bus, const char *unclaimed_name)
{
	memset(bus, 0, sizeof(*bus));
	pthread_mutex_init(&bus->lock, NULL);
	bus_dev_init(&bus->unclaimed, unclaimed_name, NULL, NULL, 8);
}

void bus_fini(struct bus *bus)
{
	pthread_mutex_destroy(&bus->lock);
}

void bus_lock(struct bus *bus)
{
	pthread_mutex_lock(&bus->lock);
	__atomic_store_n(&bus->seq, bus->seq + 1, __ATOMIC_RELAXED);
	/* Nobody may see a changed table under the old count. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void bus_unlock(struct bus *bus)
{
	__atomic_store_n(&bus->seq, bus->seq + 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&bus->lock);
}

static void range_store(struct bus_range *to, const struct bus_range *from)
{
	__atomic_store_n(&to->base, from->base, __ATOMIC_RELAXED);
	__atomic_store_n(&to->len, from->len, __ATOMIC_RELAXED);
	__atomic_store_n(&to->dev, from->dev, __ATOMIC_RELAXED);
	to->movable = from->movable;
}

int bus_add(struct bus *bus, uint64_t base, uint64_t len, struct bus_dev *dev,
	    bool movable)
{
	struct bus_range new = { base, len, dev, movable };
	unsigned int at = bus->n_ranges;

	if (!len || base + (len - 1) < base)
		return -EINVAL;
	if (bus->n_ranges == BUS_RANGES_MAX)
		return -ENOSPC;
	/* From the end: BARs are mostly added in ascending order. */
	while (at > 0 && bus->range[at - 1].base >= base)
		at--;
	for (unsigned int i = at ? at - 1 : 0; i <= at; i++)
		if (i < bus->n_ranges &&
		    ranges_overlap(base, len, bus->range[i].base,
				   bus->range[i].len))
			return -EEXIST;
	for (unsigned int i = bus->n_ranges; i > at; i--)
		range_store(&bus->range[i], &bus->range[i - 1]);
	range_store(&bus->range[at], &new);
	__atomic_store_n(&bus->n_ranges, bus->n_ranges + 1, __ATOMIC_RELAXED);
	return 0;
}

void bus_clear_movable(struct bus *bus)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < bus->n_ranges; i++)
		if (!bus->range[i].movable)
			range_store(&bus->range[n++], &bus->range[i]);
	__atomic_store_n(&bus->n_ranges, n, __ATOMIC_RELAXED);
}

/* The first range that ends behind @addr: it holds @addr or comes next. */
static bool find_once(const struct bus *bus, uint64_t addr,
		      struct bus_range *found)
{
	unsigned int lo = 0;
	unsigned int hi = __atomic_load_n(&bus->n_ranges, __ATOMIC_RELAXED);
	unsigned int n = hi;

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;
		const struct bus_range *r = &bus->range[mid];
		uint64_t base = __atomic_load_n(&r->base, __ATOMIC_RELAXED);
		uint64_t len = __atomic_load_n(&r->len, __ATOMIC_RELAXED);

		if (addr >= base && addr - base >= len)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == n)
		return false;
	found->base = __atomic_load_n(&bus->range[lo].base, __ATOMIC_RELAXED);
	found->len = __atomic_load_n(&bus->range[lo].len, __ATOMIC_RELAXED);
	found->dev = __atomic_load_n(&bus->range[lo].dev, __ATOMIC_RELAXED);
	return true;
}

static bool find(const struct bus *bus, uint64_t addr, struct bus_range *found)
{
	unsigned int seq;
	bool ok;

	do {
		while ((seq = __atomic_load_n(&bus->seq, __ATOMIC_ACQUIRE)) & 1)
			__builtin_ia32_pause();
		ok = find_once(bus, addr, found);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (__atomic_load_n(&bus->seq, __ATOMIC_RELAXED) != seq);
	return ok;
}

/* Who gets the first bytes of an access, and how many of them. */
struct piece {
	struct bus_dev *dev;	/* &bus->unclaimed: nobody */
	uint64_t off;		/* within the device */
	unsigned int len;	/* 1, 2, 4, 8 */
};

static struct piece first_piece(struct bus *bus, uint64_t addr,
				unsigned int len)
{
	struct piece p = { &bus->unclaimed, 0, len };
	struct bus_range r;
	uint64_t room;

	if (!find(bus, addr, &r))
		return p;
	if (addr < r.base) {
		p.len = (unsigned int)min_of((uint64_t)len, r.base - addr);
		return p;
	}
	p.dev = r.dev;
	p.off = addr - r.base;
	room = r.len - p.off;
	for (p.len = r.dev->max_len; p.len > len || p.len > room; )
		p.len /= 2;
	return p;
}

uint64_t bus_read(struct bus *bus, uint64_t addr, unsigned int len)
{
	uint64_t val = 0;

	for (unsigned int done = 0; done < len; ) {
		struct piece p = first_piece(bus, addr + done, len - done);
		uint64_t mask = p.len == 8 ? ~0ull : BIT64(8 * p.len) - 1;
		uint64_t part = ~0ull;

		__atomic_fetch_add(&p.dev->n_reads, 1, __ATOMIC_RELAXED);
		if (p.dev->ops)
			part = p.dev->ops->read(p.dev->opaque, p.off, p.len);
		val |= (part & mask) << (8 * done);
		done += p.len;
	}
	return val;
}

void bus_write(struct bus *bus, uint64_t addr, unsigned int len, uint64_t val)
{
	for (unsigned int done = 0; done < len; ) {
		struct piece p = first_piece(bus, addr + done, len - done);
		uint64_t mask = p.len == 8 ? ~0ull : BIT64(8 * p.len) - 1;

		__atomic_fetch_add(&p.dev->n_writes, 1, __ATOMIC_RELAXED);
		if (p.dev->ops)
			p.dev->ops->write(p.dev->opaque, p.off, p.len,
					  (val >> (8 * done)) & mask);
		done += p.len;
	}
}
