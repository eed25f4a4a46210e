/* SPDX-License-Identifier: Apache-2.0
 *
 * An address space that devices answer in: the machine has two, port I/O and
 * memory-mapped I/O.
 *
 * The table of ranges is sorted and never overlaps.  It is read by every vCPU
 * at every exit and written when a guest moves a BAR, so readers take no lock:
 * they look under a sequence count and look again if it moved.  A range that
 * has just gone may thus be served once more, as on a real bus; devices live as
 * long as the machine.
 *
 * Whatever a guest does here has an answer: bytes that nobody claims read as
 * ones and are counted; an access across ranges, or wider than a device takes,
 * is cut into what the device takes.
 *
 * Threads: bus_read() and bus_write() from any; the rest needs bus_lock().
 */
#ifndef VMM_BUS_H
#define VMM_BUS_H

#include <pthread.h>
#include <stdint.h>

#include "base/util.h"

enum { BUS_RANGES_MAX = 1024, BUS_NAME_MAX = 32 };

struct bus_dev_ops {
	/* @off: within the device; @len: 1, 2, 4 or 8, at most max_len.
	 * What is read above @len bytes is cut off.  Called by any vCPU,
	 * several at a time. */
	uint64_t (*read)(void *opaque, uint64_t off, unsigned int len);
	void (*write)(void *opaque, uint64_t off, unsigned int len,
		      uint64_t val);
};

/* What answers; the device embeds it. */
struct bus_dev {
	char name[BUS_NAME_MAX];		/* in the statistics */
	const struct bus_dev_ops *ops;
	void *opaque;				/* for ops */
	unsigned int max_len;			/* widest access: 1, 2, 4, 8 */
	uint64_t n_reads;			/* accesses, from any thread */
	uint64_t n_writes;
};

/* Where it answers. */
struct bus_range {
	uint64_t base;		/* first address */
	uint64_t len;		/* bytes, never 0 */
	struct bus_dev *dev;
	bool movable;		/* goes at bus_clear_movable(): a BAR */
};

struct bus {
	pthread_mutex_t lock;		/* of those who change the table */
	unsigned int seq;		/* odd while it is being changed */
	unsigned int n_ranges;
	struct bus_range range[BUS_RANGES_MAX];	/* by base */
	struct bus_dev unclaimed;	/* counts what nobody answered */
};

void bus_init(struct bus *bus, const char *unclaimed_name);
void bus_fini(struct bus *bus);

/** bus_dev_init() - @name is copied */
void bus_dev_init(struct bus_dev *dev, const char *name,
		  const struct bus_dev_ops *ops, void *opaque,
		  unsigned int max_len);

/** bus_lock(), bus_unlock() - around changes; readers wait meanwhile */
void bus_lock(struct bus *bus);
void bus_unlock(struct bus *bus);

/**
 * bus_add() - let @dev answer in [base, base + len)
 *
 * Return: 0; -EINVAL (empty or wraps); -EEXIST (overlaps a range); -ENOSPC.
 */
int must_check bus_add(struct bus *bus, uint64_t base, uint64_t len,
		       struct bus_dev *dev, bool movable);

/** bus_clear_movable() - take all BARs off the bus */
void bus_clear_movable(struct bus *bus);

/** bus_read(), bus_write() - a guest's access of 1 to 8 bytes */
uint64_t bus_read(struct bus *bus, uint64_t addr, unsigned int len);
void bus_write(struct bus *bus, uint64_t addr, unsigned int len, uint64_t val);

#endif
