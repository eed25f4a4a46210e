/* SPDX-License-Identifier: Apache-2.0
 *
 * Virtqueues, split and packed: chains of every form come through in order,
 * many times round; and whatever a hostile driver writes ends in a bad chain or
 * a broken ring (classes T1, T2, T9, T10, T12).
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>

#include "ring_rig.h"

/* Use and take back everything at hand, with lengths 100, 101... */
static void use_all(const uint16_t *ids)
{
	uint16_t id;
	uint32_t len;

	unsigned int n = vring_n_ahead(&ring);

	for (unsigned int i = 0; i < n; i++) {
		vring_use(&ring, 100 + i);
		assert_false(driver_used(&drv, &id, &len));
	}
	assert_int_equal(vring_n_ahead(&ring), 0);
	vring_publish(&ring);
	for (unsigned int i = 0; i < n; i++) {
		assert_true(driver_used(&drv, &id, &len));
		assert_int_equal(id, ids[i]);
		assert_int_equal(len, 100 + i);
	}
	assert_false(driver_used(&drv, &id, &len));
}

/* ---- what a good driver does ---- */

static void round_and_round(uint64_t features, bool indirect)
{
	unsigned int serial = 0;

	start(features);
	assert_int_equal(fetch(100), 0);
	for (unsigned int turn = 0; turn < 100; turn++) {
		uint16_t ids[8];
		unsigned int n = 1 + turn % 3, first = serial;

		for (unsigned int i = 0; i < n; i++, serial++) {
			struct buf bufs[] = {
				buf_at(2 * serial % 64, 10 + serial % 7),
				buf_at((2 * serial + 1) % 64, 20),
				buf_at(100, 30),
				buf_at(101, 0),	/* counts for nothing */
			};

			ids[i] = driver_add(&drv, bufs, 2, 2, indirect);
		}
		/* Fetched in pieces, forgotten, and fetched again. */
		assert_int_equal(fetch(1), 1);
		assert_int_equal(vring_chain(&ring, 0)->id, ids[0]);
		assert_int_equal(fetch(1), 1);
		assert_int_equal(fetch(100), n);
		assert_int_equal(vring_remap(&ring), 0);
		assert_int_equal(vring_n_ahead(&ring), 0);
		assert_int_equal(fetch(100), n);
		for (unsigned int i = 0; i < n; i++) {
			const struct vring_chain *c = vring_chain(&ring, i);
			unsigned int s = first + i;

			assert_false(c->bad);
			assert_int_equal(c->n_out, 2);
			assert_int_equal(c->n_in, 1);
			assert_int_equal(c->out_len, 30 + s % 7);
			assert_int_equal(c->in_len, 30);
			assert_ptr_equal(c->iov[0].iov_base,
				dma_at(guest.dma, BUFS + 2 * s % 64 * 4096, 1,
				       DMA_READ));
			assert_ptr_equal(c->iov[2].iov_base,
				dma_at(guest.dma, BUFS + 100 * 4096, 1,
				       DMA_READ));
		}
		use_all(ids);
	}
}

static void split_chains(void **state)
{
	round_and_round(0, false);
	round_and_round(INDIRECT, true);
	round_and_round(IN_ORDER, false);
}

static void packed_chains(void **state)
{
	round_and_round(PACKED, false);
	round_and_round(PACKED | INDIRECT, true);
	round_and_round(PACKED | INDIRECT | IN_ORDER, true);
}

static void a_packed_ring_of_any_size(void **state)
{
	struct buf buf = buf_at(0, 5);

	driver_init(&drv, &guest, 0, 7, PACKED);
	assert_int_equal(vring_start(&ring, "test", guest.dma, &drv.config,
				     NULL), 0);
	for (unsigned int i = 0; i < 100; i++) {
		uint16_t ids[7];

		for (unsigned int j = 0; j < 7; j++)
			ids[j] = driver_add(&drv, &buf, 1, 0, false);
		assert_int_equal(fetch(100), 7);
		use_all(ids);
	}
}

/* A buffer that lies across two mappings has two pieces, to the byte. */
static void a_buffer_in_two_ranges(void **state)
{
	for (int packed = 0; packed < 2; packed++) {
		struct buf buf = { GUEST_BASE + GUEST_SPLIT - 3, 10 };

		start(packed ? PACKED : 0);
		driver_add(&drv, &buf, 1, 0, false);
		assert_int_equal(fetch(1), 1);
		assert_int_equal(vring_chain(&ring, 0)->n_out, 2);
		assert_int_equal(vring_chain(&ring, 0)->iov[0].iov_len, 3);
		assert_int_equal(vring_chain(&ring, 0)->iov[1].iov_len, 7);
		assert_int_equal(vring_chain(&ring, 0)->out_len, 10);
	}
}

/* ---- telling each other ---- */

static void one_used(void)
{
	struct buf buf = buf_at(0, 5);
	uint16_t id;
	uint32_t len;

	driver_add(&drv, &buf, 1, 0, false);
	assert_int_equal(fetch(1), 1);
	vring_use(&ring, 0);
	vring_publish(&ring);
	assert_true(driver_used(&drv, &id, &len));
}

static void calls_by_flag(void **state)
{
	for (int packed = 0; packed < 2; packed++) {
		start(packed ? PACKED : 0);
		for (int i = 0; i < 40; i++) {
			driver_want_call(&drv, i % 3 ? CALL_ALWAYS :
					 CALL_NEVER);
			one_used();
			assert_int_equal(vring_wants_call(&ring), !!(i % 3));
		}
	}
}

/* Every gap between 0 and 9, at every place of the ring. */
static void calls_by_event(void **state)
{
	for (int packed = 0; packed < 2; packed++) {
		start(EVENT | (packed ? PACKED : 0));
		one_used();
		/* The first one, since nobody knows what came before. */
		assert_true(vring_wants_call(&ring));
		for (int i = 0; i < 160; i++) {
			int after = i % 10;

			driver_want_call(&drv, after);
			for (int j = 0; j < after; j++) {
				one_used();
				assert_false(vring_wants_call(&ring));
			}
			one_used();
			assert_true(vring_wants_call(&ring));
			one_used();
			assert_false(vring_wants_call(&ring));
		}
	}
}

/* A batch that passes the event calls once. */
static void calls_once_a_batch(void **state)
{
	for (int packed = 0; packed < 2; packed++) {
		struct buf buf = buf_at(0, 5);

		start(EVENT | (packed ? PACKED : 0));
		one_used();
		assert_true(vring_wants_call(&ring));
		for (int turn = 0; turn < 50; turn++) {
			uint16_t id;
			uint32_t len;

			driver_want_call(&drv, 2);
			for (int i = 0; i < 5; i++)
				driver_add(&drv, &buf, 1, 0, false);
			assert_int_equal(fetch(100), 5);
			for (int i = 0; i < 5; i++)
				vring_use(&ring, 0);
			vring_publish(&ring);
			assert_true(vring_wants_call(&ring));
			while (driver_used(&drv, &id, &len))
				;
		}
	}
}

static void kicks_only_when_armed(void **state)
{
	static const uint64_t features[] = { 0, EVENT, PACKED, PACKED | EVENT };

	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		struct buf buf = buf_at(0, 5);

		start(features[i]);
		for (int turn = 0; turn < 20; turn++) {
			driver_add(&drv, &buf, 1, 0, false);
			assert_false(driver_is_asked(&drv));
			assert_int_equal(fetch(1), 1);
			vring_use(&ring, 0);
			vring_publish(&ring);
			assert_true(driver_used(&drv, &(uint16_t){ 0 },
						&(uint32_t){ 0 }));
			vring_arm(&ring);
			driver_add(&drv, &buf, 1, 0, false);
			assert_true(driver_is_asked(&drv));
			vring_disarm(&ring);
			assert_int_equal(fetch(1), 1);
			vring_use(&ring, 0);
			vring_publish(&ring);
			assert_true(driver_used(&drv, &(uint16_t){ 0 },
						&(uint32_t){ 0 }));
		}
	}
}

/* ---- stopping and going on ---- */

static void goes_on_where_it_was(void **state)
{
	for (int packed = 0; packed < 2; packed++) {
		struct buf buf = buf_at(0, 5);

		start(packed ? PACKED : 0);
		for (int i = 0; i < 50; i++) {
			struct vring_state at;

			one_used();
			driver_add(&drv, &buf, 1, 0, false);
			at = vring_state(&ring);
			/* A split ring knows better than who tells. */
			if (!packed)
				at.avail = (uint16_t)(at.avail + 7 * i);
			vring_stop(&ring);
			assert_false(vring_ready(&ring));
			assert_int_equal(fetch(1), 0);
			assert_int_equal(vring_start(&ring, "test", guest.dma,
						     &drv.config, &at), 0);
			assert_int_equal(fetch(9), 1);
			vring_use(&ring, 0);
			vring_publish(&ring);
			assert_true(driver_used(&drv, &(uint16_t){ 0 },
						&(uint32_t){ 0 }));
		}
	}
}

static void follows_the_map(void **state)
{
	struct buf buf = buf_at(0, 5);

	start(0);
	driver_add(&drv, &buf, 1, 0, false);
	assert_int_equal(fetch(1), 1);
	assert_int_equal(dma_space_unmap(guest.dma, GUEST_BASE, GUEST_SPLIT),
			 GUEST_SPLIT);
	assert_int_equal(vring_remap(&ring), -EFAULT);
	assert_false(vring_ready(&ring));
	assert_int_equal(fetch(1), 0);
}

static void refuses_impossible_queues(void **state)
{
	static const struct {
		uint16_t size;
		uint64_t desc, driver, device, features;
		int err;
	} rows[] = {
		{ 0, 0, 16384, 20480, 0, -EINVAL },
		{ 0, 0, 16384, 20480, PACKED, -EINVAL },
		{ 7, 0, 16384, 20480, 0, -EINVAL },
		{ 32769, 0, 16384, 20480, PACKED, -EINVAL },
		{ 16, 8, 16384, 20480, 0, -EINVAL },
		{ 16, 0, 16385, 20480, 0, -EINVAL },
		{ 16, 0, 16384, 20482, 0, -EINVAL },
		{ 16, 0, 16386, 20480, PACKED, -EINVAL },
		{ 16, GUEST_SPLIT - 128, 16384, 20480, 0, -EFAULT },
		{ 16, GUEST_LEN, 16384, 20480, 0, -EFAULT },
		{ 16, 0, GUEST_LEN - 36, 20480, 0, -EFAULT },
		{ 16, 0, 16384, GUEST_LEN - 132, 0, -EFAULT },
		{ 16, 0, GUEST_LEN, 20480, PACKED, -EFAULT },
		{ 16, 0, 16384, -GUEST_BASE - 4, 0, -EFAULT },
		{ 32768, GUEST_LEN - 4096, 0, 0, 0, -EFAULT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vring_config config = {
			.size = rows[i].size,
			.desc = GUEST_BASE + rows[i].desc,
			.driver = GUEST_BASE + rows[i].driver,
			.device = GUEST_BASE + rows[i].device,
			.features = rows[i].features,
		};

		assert_int_equal(vring_start(&ring, "test", guest.dma, &config,
					     NULL), rows[i].err);
		assert_false(vring_ready(&ring));
	}
}

/* ---- what a hostile driver does ---- */

static void expect_bad(void)
{
	assert_int_equal(fetch(100), 1);
	assert_true(vring_chain(&ring, 0)->bad);
	assert_int_equal(vring_chain(&ring, 0)->n_out, 0);
	assert_int_equal(vring_chain(&ring, 0)->n_in, 0);
	vring_use(&ring, 0);
	vring_publish(&ring);
	assert_true(driver_used(&drv, &(uint16_t){ 0 }, &(uint32_t){ 0 }));
}

static void buffers_outside_of_memory(void **state)
{
	static const struct buf outside[] = {
		{ 0, 1 },
		{ GUEST_BASE - 1, 2 },
		{ GUEST_BASE + GUEST_LEN - 1, 2 },
		{ GUEST_BASE + GUEST_LEN, 1 },
		{ GUEST_BASE, GUEST_LEN + 1 },
		{ GUEST_BASE, UINT32_MAX },
		{ UINT64_MAX, 1 },
		{ UINT64_MAX - 1, 4 },
	};
	static const uint64_t features[] = {
		0, INDIRECT, PACKED, PACKED | INDIRECT,
	};

	for (size_t f = 0; f < ARRAY_SIZE(features); f++) {
		start(features[f]);
		for (size_t i = 0; i < ARRAY_SIZE(outside); i++) {
			struct buf good = buf_at(0, 5);
			struct buf bufs[] = { good, outside[i], good };

			driver_add(&drv, bufs, 1, 2, features[f] & INDIRECT);
			expect_bad();
			driver_add(&drv, bufs, 3, 0, features[f] & INDIRECT);
			expect_bad();
			/* The ring goes on. */
			driver_add(&drv, &good, 1, 0, false);
			assert_int_equal(fetch(100), 1);
			assert_false(vring_chain(&ring, 0)->bad);
			use_all(&vring_chain(&ring, 0)->id);
		}
	}
}

/* The sum of lengths is 32 bits wide (T9). */
static void lengths_that_overflow(void **state)
{
	struct buf bufs[9];

	for (unsigned int i = 0; i < ARRAY_SIZE(bufs); i++)
		bufs[i] = (struct buf){ GUEST_BASE, 0x20000000 };
	for (int packed = 0; packed < 2; packed++) {
		start(packed ? PACKED : 0);
		driver_add(&drv, bufs, 9, 0, false);
		expect_bad();
	}
}

/* Make the descriptor at slot 0 available, whatever it says. */
static void offer_slot(uint16_t flags, uint64_t gpa, uint32_t len,
		       uint16_t next)
{
	if (drv.packed) {
		driver_desc(&drv, drv.desc, gpa, len, flags | 0x80, 0);
		return;
	}
	driver_desc(&drv, drv.desc, gpa, len, flags, next);
	memset(drv.avail, 0, 6);
	drv.avail[2] = 1;
}

static void broken_rings(void **state)
{
	static const struct {
		uint64_t features;
		uint16_t flags;
		uint64_t gpa;
		uint32_t len;
		uint16_t next;
	} rows[] = {
		{ 0, DRV_NEXT, BUFS, 1, 0 },		/* to itself */
		{ 0, DRV_NEXT, BUFS, 0, 0 },		/* of nothing */
		{ 0, DRV_NEXT | DRV_WRITE, BUFS, 1, 0 },
		{ 0, DRV_NEXT, BUFS, 1, SIZE },
		{ 0, DRV_NEXT, BUFS, 1, 0xffff },
		{ 0, DRV_INDIRECT, BUFS, 16, 0 },	/* not negotiated */
		{ INDIRECT, DRV_INDIRECT | DRV_NEXT, BUFS, 16, 1 },
		{ INDIRECT, DRV_INDIRECT, BUFS, 0, 0 },
		{ INDIRECT, DRV_INDIRECT, BUFS, 15, 0 },
		{ INDIRECT, DRV_INDIRECT, BUFS, 17, 0 },
		{ INDIRECT, DRV_INDIRECT, BUFS, 16 * (SIZE + 1), 0 },
		{ INDIRECT, DRV_INDIRECT, BUFS, 0xfffffff0, 0 },
		{ PACKED, DRV_INDIRECT, BUFS, 16, 0 },
		{ PACKED | INDIRECT, DRV_INDIRECT | DRV_NEXT, BUFS, 16, 0 },
		{ PACKED | INDIRECT, DRV_INDIRECT, BUFS, 17, 0 },
		{ PACKED | INDIRECT, DRV_INDIRECT, BUFS, 16 * (SIZE + 1), 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		start(rows[i].features);
		offer_slot(rows[i].flags, rows[i].gpa, rows[i].len,
			   rows[i].next);
		expect_broken();
	}
}

/* A table in a table, a table that points beyond or at itself, a table that is
 * not there. */
static void bad_tables(void **state)
{
	start(INDIRECT);
	driver_desc(&drv, guest_at(&guest, BUFS), BUFS, 16, DRV_INDIRECT, 0);
	offer_slot(DRV_INDIRECT, BUFS, 16, 0);
	expect_broken();
	for (int packed = 0; packed < 2; packed++) {
		uint64_t features = INDIRECT | (packed ? PACKED : 0);

		start(features);
		offer_slot(DRV_INDIRECT, GUEST_BASE + GUEST_LEN, 16, 0);
		assert_int_equal(fetch(1), 1);
		assert_true(vring_chain(&ring, 0)->bad);

		/* Across two ranges there is no table. */
		start(features);
		offer_slot(DRV_INDIRECT, GUEST_BASE + GUEST_SPLIT - 16, 32, 0);
		assert_int_equal(fetch(1), 1);
		assert_true(vring_chain(&ring, 0)->bad);
	}
	start(INDIRECT);
	driver_desc(&drv, guest_at(&guest, BUFS), BUFS, 1, DRV_NEXT, 0);
	offer_slot(DRV_INDIRECT, BUFS, 32, 0);
	expect_broken();
	start(INDIRECT);
	driver_desc(&drv, guest_at(&guest, BUFS), BUFS, 1, DRV_NEXT, 2);
	offer_slot(DRV_INDIRECT, BUFS, 32, 0);
	expect_broken();
}

/* 2.8.8: in a packed ring's table every flag but WRITE is ignored. */
static void flags_in_a_packed_table(void **state)
{
	const struct vring_chain *chain;
	uint8_t *table;

	start(PACKED | INDIRECT);
	table = guest_at(&guest, BUFS);
	driver_desc(&drv, table, BUFS + 4096, 7,
		    DRV_INDIRECT | DRV_NEXT | 0x8080, 0);
	driver_desc(&drv, table + 16, BUFS + 8192, 9, 0xffff, 0);
	offer_slot(DRV_INDIRECT | DRV_WRITE, BUFS, 32, 0);
	assert_int_equal(fetch(1), 1);
	chain = vring_chain(&ring, 0);
	assert_false(chain->bad);
	assert_int_equal(chain->n_out, 1);
	assert_int_equal(chain->out_len, 7);
	assert_int_equal(chain->n_in, 1);
	assert_int_equal(chain->in_len, 9);
}

/* 2.7.5.3.2: descriptors of the ring, then one that refers to a table. */
static void a_table_at_the_end_of_a_chain(void **state)
{
	uint8_t *table = guest_at(&guest, BUFS);
	static const struct {
		uint64_t gpa;
		uint16_t flags;
		bool bad;
	} rows[] = {
		{ BUFS, DRV_INDIRECT, false },
		{ BUFS, DRV_INDIRECT | DRV_WRITE, false },
		{ GUEST_BASE + GUEST_LEN, DRV_INDIRECT, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct vring_chain *chain;

		start(INDIRECT);
		driver_desc(&drv, table, BUFS + 4096, 7, DRV_NEXT, 2);
		driver_desc(&drv, table + 32, BUFS + 8192, 9, DRV_WRITE, 0);
		driver_desc(&drv, drv.desc + 16 * 5, rows[i].gpa, 48,
			    rows[i].flags, 0);
		offer_slot(DRV_NEXT, BUFS + 12288, 5, 5);
		assert_int_equal(fetch(1), 1);
		chain = vring_chain(&ring, 0);
		assert_int_equal(chain->id, 0);
		assert_int_equal(chain->bad, rows[i].bad);
		assert_int_equal(chain->n_out, rows[i].bad ? 0 : 2);
		assert_int_equal(chain->n_in, !rows[i].bad);
		assert_int_equal(chain->out_len, rows[i].bad ? 0 : 12);
		assert_int_equal(chain->in_len, rows[i].bad ? 0 : 9);
	}
	/* Nothing comes after it. */
	start(INDIRECT);
	driver_desc(&drv, drv.desc + 16, BUFS, 48, DRV_INDIRECT | DRV_NEXT, 0);
	offer_slot(DRV_NEXT, BUFS + 12288, 5, 1);
	expect_broken();
	/* The ring's own table is another one, too, but no third. */
	start(INDIRECT);
	driver_desc(&drv, drv.desc + 16, drv.config.desc, 16 * SIZE,
		    DRV_INDIRECT, 0);
	offer_slot(DRV_NEXT, BUFS + 12288, 5, 1);
	expect_broken();
	/* To read, after one to write. */
	start(INDIRECT);
	driver_desc(&drv, drv.desc + 16, BUFS, 48, DRV_INDIRECT, 0);
	offer_slot(DRV_NEXT | DRV_WRITE, BUFS + 12288, 5, 1);
	expect_broken();
}

static void to_read_after_to_write(void **state)
{
	for (int packed = 0; packed < 2; packed++) {
		struct buf bufs[] = { buf_at(0, 5), buf_at(1, 5) };

		start(packed ? PACKED : 0);
		driver_add(&drv, bufs, 0, 2, false);
		/* The second one becomes one to read. */
		drv.desc[16 + (packed ? 14 : 12)] &= (uint8_t)~DRV_WRITE;
		expect_broken();
	}
}

static void only_to_read(void **state)
{
	for (int packed = 0; packed < 2; packed++) {
		struct buf bufs[] = { buf_at(0, 5), buf_at(1, 6) };

		start(packed ? PACKED : 0);
		vring_stop(&ring);
		drv.config.out_only = true;
		assert_int_equal(vring_start(&ring, "test", guest.dma,
					     &drv.config, NULL), 0);
		driver_add(&drv, bufs, 0, 2, false);
		drv.desc[16 + (packed ? 14 : 12)] &= (uint8_t)~DRV_WRITE;
		assert_int_equal(fetch(1), 1);
		assert_int_equal(vring_chain(&ring, 0)->n_out, 2);
		assert_int_equal(vring_chain(&ring, 0)->out_len, 11);
		assert_int_equal(vring_chain(&ring, 0)->n_in, 0);
	}
}

static void impossible_indexes(void **state)
{
	struct buf buf = buf_at(0, 5);

	/* More chains than the ring has. */
	start(0);
	drv.avail[2] = SIZE + 1;
	expect_broken();
	start(0);
	drv.avail[3] = 0x80;
	expect_broken();
	/* It goes back behind what has been used. */
	start(0);
	driver_add(&drv, &buf, 1, 0, false);
	fetch(1);
	vring_use(&ring, 0);
	vring_publish(&ring);
	drv.avail[2] = 0;
	expect_broken();
	/* A head beyond the table. */
	for (int i = 0; i < 2; i++) {
		start(0);
		drv.avail[2] = 1;
		drv.avail[4] = i ? 0xff : SIZE;
		drv.avail[5] = i ? 0xff : 0;
		expect_broken();
	}
}

/* A packed ring whose every descriptor says that there is one more. */
static void a_packed_chain_without_end(void **state)
{
	start(PACKED);
	for (unsigned int i = 0; i < SIZE; i++)
		driver_desc(&drv, drv.desc + 16 * i, BUFS, 1, DRV_NEXT | 0x80,
			    0);
	expect_broken();
	/* Nor do two chains share a place. */
	start(PACKED);
	driver_desc(&drv, drv.desc, BUFS, 1, 0x80, 0);
	for (unsigned int i = 1; i < SIZE; i++)
		driver_desc(&drv, drv.desc + 16 * i, BUFS, 1, DRV_NEXT | 0x80,
			    0);
	expect_broken();
}

/* Too many pieces make a bad chain, not a broken ring; as many as a chain may
 * have are fine. */
static void too_many_pieces(void **state)
{
	for (int packed = 0; packed < 2; packed++) {
		for (int more = 0; more < 2; more++) {
			struct buf bufs[VRING_CHAIN_IOV_MAX + 1];

			driver_init(&drv, &guest, 0, 256, packed ? PACKED : 0);
			vring_stop(&ring);
			assert_int_equal(vring_start(&ring, "test", guest.dma,
						     &drv.config, NULL), 0);
			for (unsigned int i = 0; i < ARRAY_SIZE(bufs); i++)
				bufs[i] = buf_at(2 * i, 1);
			driver_add(&drv, bufs, VRING_CHAIN_IOV_MAX +
				   (unsigned int)more, 0, false);
			assert_int_equal(fetch(100), 1);
			assert_int_equal(vring_chain(&ring, 0)->bad, more);
			assert_int_equal(vring_chain(&ring, 0)->out_len,
					 more ? 0 : VRING_CHAIN_IOV_MAX);
		}
	}
}

/* The pool of pieces ends a batch; what is left comes with the next one. */
static void a_batch_ends_with_its_pieces(void **state)
{
	for (int packed = 0; packed < 2; packed++) {
		struct buf bufs[60];
		unsigned int n = 0;

		driver_init(&drv, &guest, 0, 1024, packed ? PACKED : 0);
		vring_stop(&ring);
		assert_int_equal(vring_start(&ring, "test", guest.dma,
					     &drv.config, NULL), 0);
		for (unsigned int i = 0; i < ARRAY_SIZE(bufs); i++)
			bufs[i] = buf_at(2 * i, 1);
		/* Each begins with another one. */
		for (unsigned int i = 0; i < 17; i++) {
			struct buf turned[60];

			for (unsigned int j = 0; j < 60; j++)
				turned[j] = bufs[(i + j) % 60];
			driver_add(&drv, turned, 60, 0, false);
		}
		while (fetch(VRING_AHEAD_MAX)) {
			assert_true(ring.ahead->n_iov <= VRING_AHEAD_IOV);
			assert_int_equal(vring_chain(&ring, 0)->n_out, 60);
			assert_ptr_equal(vring_chain(&ring, 0)->iov->iov_base,
				dma_at(guest.dma, bufs[n % 60].gpa, 1,
				       DMA_READ));
			vring_use(&ring, 0);
			n++;
		}
		assert_int_equal(n, 17);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(split_chains),
		T(packed_chains),
		T(a_packed_ring_of_any_size),
		T(a_buffer_in_two_ranges),
		T(calls_by_flag),
		T(calls_by_event),
		T(calls_once_a_batch),
		T(kicks_only_when_armed),
		T(goes_on_where_it_was),
		T(follows_the_map),
		T(refuses_impossible_queues),
		T(buffers_outside_of_memory),
		T(lengths_that_overflow),
		T(broken_rings),
		T(bad_tables),
		T(flags_in_a_packed_table),
		T(a_table_at_the_end_of_a_chain),
		T(to_read_after_to_write),
		T(only_to_read),
		T(impossible_indexes),
		T(a_packed_chain_without_end),
		T(too_many_pieces),
		T(a_batch_ends_with_its_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
