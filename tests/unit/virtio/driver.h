/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests: a guest's memory, and the driver's side of virtqueues in it, split
 * and packed, written from the specification (VIRTIO 1.2, 2.7 and 2.8) and
 * sharing nothing with what is tested.
 */
#ifndef TESTS_VIRTIO_DRIVER_H
#define TESTS_VIRTIO_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio/ring.h"

/* The guest's memory: two ranges that touch, then a hole. */
enum {
	GUEST_LEN = 4 << 20,
	GUEST_SPLIT = 2 << 20,	/* where the second range begins */
	GUEST_QUEUE_LEN = 64 << 10, /* for one queue's areas and tables */
	GUEST_BUFS = 1 << 20,	/* from here on: buffers */
};
#define GUEST_BASE 0x40000000ull

struct guest {
	int fd;			/* memfd */
	uint8_t *mem;		/* as the driver sees it */
	struct dma_space *dma;	/* as the device does */
};

/* One buffer. */
struct buf {
	uint64_t gpa;
	uint32_t len;
};

/* The driver's side of one queue. */
struct driver {
	struct guest *guest;
	struct vring_config config;
	bool packed;
	uint16_t size;
	uint8_t *desc, *avail, *used;	/* areas; packed: events */
	uint64_t tables;	/* indirect tables, one a chain */
	uint16_t avail_idx;	/* next to be made available */
	uint16_t used_idx;	/* next to be looked at */
	bool avail_wrap, used_wrap;
	uint16_t n_slots[1024];	/* packed: of each id */
	uint16_t next_desc;	/* split: to be used next */
	uint16_t next_id;	/* packed: likewise */
};

enum { DRV_NEXT = 1, DRV_WRITE = 2, DRV_INDIRECT = 4 };

void guest_init(struct guest *guest);
void guest_fini(struct guest *guest);

/** guest_at() - where a guest address lies, for the driver */
uint8_t *guest_at(struct guest *guest, uint64_t gpa);

/** driver_init() - the @n-th queue's areas, empty */
void driver_init(struct driver *drv, struct guest *guest, unsigned int n,
		 uint16_t size, uint64_t features);

/** driver_desc() - write one descriptor at @at, in the queue's layout */
void driver_desc(const struct driver *drv, uint8_t *at, uint64_t gpa,
		 uint32_t len, uint16_t flags, uint16_t next);

/** driver_add() - make a chain available: @n_out to read, then @n_in; its id */
uint16_t driver_add(struct driver *drv, const struct buf *bufs,
		    unsigned int n_out, unsigned int n_in, bool indirect);

/** driver_used() - take the next used chain; false: there is none */
bool driver_used(struct driver *drv, uint16_t *id, uint32_t *len);

/** driver_want_call() - when the device is to call: never, always, or (with
 * event indexes) when the chain after the next @after ones is used */
enum { CALL_NEVER = -1, CALL_ALWAYS = -2 };
void driver_want_call(struct driver *drv, int after);

/** driver_is_asked() - would the driver kick for what it has added last? */
bool driver_is_asked(const struct driver *drv);

#endif
