/* SPDX-License-Identifier: Apache-2.0
 *
 * A ring between driver.h's driver and the device under test, for test_ring*.c:
 * one at a time, set up anew for each test.
 */
#ifndef TESTS_RING_RIG_H
#define TESTS_RING_RIG_H

#include "driver.h"
#include "virtio/virtio.h"

#define INDIRECT BIT64(VIRTIO_F_INDIRECT_DESC)
#define EVENT BIT64(VIRTIO_F_EVENT_IDX)
#define PACKED BIT64(VIRTIO_F_RING_PACKED)
#define IN_ORDER BIT64(VIRTIO_F_IN_ORDER)
#define BUFS (GUEST_BASE + GUEST_BUFS)

enum { SIZE = 16 };

static struct guest guest;
static struct driver drv;
static struct vring ring;

static inline int setup(void **state)
{
	static bool once;

	if (!once && dma_init())
		return -1;
	once = true;
	guest_init(&guest);
	return 0;
}

static inline int teardown(void **state)
{
	vring_stop(&ring);
	guest_fini(&guest);
	return 0;
}

static inline void start(uint64_t features)
{
	vring_stop(&ring);
	driver_init(&drv, &guest, 0, SIZE, features);
	assert_int_equal(vring_start(&ring, "test", guest.dma, &drv.config,
				     NULL), 0);
}

static inline struct buf buf_at(unsigned int i, uint32_t len)
{
	return (struct buf){ BUFS + i * 4096, len };
}

static inline unsigned int fetch(unsigned int max)
{
	return vring_fetch(&ring, max);
}

static inline void expect_broken(void)
{
	fetch(100);
	assert_non_null(ring.broken);
	assert_false(vring_ready(&ring));
	/* For good: nothing comes, nobody is called, nothing is written. */
	assert_int_equal(fetch(100), 0);
	assert_false(vring_wants_call(&ring));
}

#endif
