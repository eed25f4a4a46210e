/* SPDX-License-Identifier: Apache-2.0
 *
 * Virtqueues whose chains are fetched and used in runs: all kinds of them
 * mixed, stopped and broken in between, and as many as there may be at hand.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "driver.h"
#include "virtio/virtio.h"

#define INDIRECT BIT64(VIRTIO_F_INDIRECT_DESC)
#define PACKED BIT64(VIRTIO_F_RING_PACKED)
#define BUFS (GUEST_BASE + GUEST_BUFS)

enum { SIZE = 16 };

static struct guest guest;
static struct driver drv;
static struct vring ring;

static int setup(void **state)
{
	static bool once;

	if (!once && dma_init())
		return -1;
	once = true;
	guest_init(&guest);
	return 0;
}

static int teardown(void **state)
{
	vring_stop(&ring);
	guest_fini(&guest);
	return 0;
}

static void start(uint64_t features)
{
	vring_stop(&ring);
	driver_init(&drv, &guest, 0, SIZE, features);
	assert_int_equal(vring_start(&ring, "test", guest.dma, &drv.config,
				     NULL), 0);
}

static struct buf buf_at(unsigned int i, uint32_t len)
{
	return (struct buf){ BUFS + i * 4096, len };
}

static unsigned int fetch(unsigned int max)
{
	return vring_fetch(&ring, max);
}

static void expect_broken(void)
{
	fetch(100);
	assert_non_null(ring.broken);
	assert_false(vring_ready(&ring));
	/* For good: nothing comes, nobody is called, nothing is written. */
	assert_int_equal(fetch(100), 0);
	assert_false(vring_wants_call(&ring));
}

static const uint64_t kinds[] = { INDIRECT, PACKED | INDIRECT };

/* Make a chain available: of one buffer, of several, in a table, or bad. */
static uint16_t add_kind(unsigned int kind)
{
	struct buf bufs[] = { buf_at(0, 5), buf_at(1, 6), buf_at(2, 7) };

	if (kind == 3)
		bufs[1].gpa = GUEST_BASE + GUEST_LEN;
	return driver_add(&drv, bufs, kind ? 2 : 1, kind > 1, kind == 2);
}

static void expect_kind(const struct vring_chain *chain, uint16_t id,
			unsigned int kind)
{
	static const unsigned int n_out[] = { 1, 2, 2, 0 };
	static const unsigned int n_in[] = { 0, 0, 1, 0 };

	assert_int_equal(chain->id, id);
	assert_int_equal(chain->bad, kind == 3);
	assert_int_equal(chain->n_out, n_out[kind]);
	assert_int_equal(chain->n_in, n_in[kind]);
	if (kind == 3)
		return;
	assert_ptr_equal(chain->iov->iov_base,
			 dma_at(guest.dma, BUFS, 1, DMA_READ));
	assert_int_equal(chain->out_len, kind ? 11 : 5);
	assert_int_equal(chain->in_len, kind > 1 ? 7 : 0);
}

/* Chains of all kinds in any order, fetched and used in runs of any length,
 * none at all too; in between the map changes, or the ring is stopped and goes
 * on where it was: each comes back once, in order, with its length. */
static void runs_of_all_kinds(void **state)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		uint16_t ids[1024], id;
		uint8_t types[1024];
		unsigned int n_added = 0, n_used = 0, turn = 0;
		uint32_t lens[VRING_AHEAD_MAX], len, seed = 1;

		start(kinds[k]);
		while (n_used < ARRAY_SIZE(ids)) {
			unsigned int n, first = n_used;

			seed = seed * 1664525 + 1013904223;
			/* At most three places each. */
			while (n_added < ARRAY_SIZE(ids) &&
			       n_added - n_used < SIZE / 3) {
				types[n_added] = (uint8_t)(n_added * 7 / 3 % 4);
				ids[n_added] = add_kind(types[n_added]);
				n_added++;
			}
			n = fetch(1 + (seed >> 20) % (SIZE / 3));
			assert_in_range(n, 1, SIZE / 3);
			for (unsigned int i = 0; i < n; i++)
				expect_kind(vring_chain(&ring, i),
					    ids[n_used + i],
					    types[n_used + i]);
			vring_use_run(&ring, lens, 0);
			n = (seed >> 24) % (n + 1);
			for (unsigned int i = 0; i < n; i++)
				lens[i] = n_used + i;
			vring_use_run(&ring, lens, n);
			n_used += n;
			vring_publish(&ring);
			for (unsigned int i = first; i < n_used; i++) {
				assert_true(driver_used(&drv, &id, &len));
				assert_int_equal(id, ids[i]);
				assert_int_equal(len, i);
			}
			assert_false(driver_used(&drv, &id, &len));
			if (turn++ % 3 == 1) {
				assert_int_equal(vring_remap(&ring), 0);
				assert_int_equal(vring_n_ahead(&ring), 0);
			} else if (turn % 3 == 0) {
				struct vring_state at = vring_state(&ring);

				vring_stop(&ring);
				assert_int_equal(vring_start(&ring, "test",
						guest.dma, &drv.config, &at),
						0);
			}
		}
	}
}

/* A ring that breaks while chains of it are at hand, or in the middle of those
 * being fetched, gives none of them any more. */
static void broken_behind_good_ones(void **state)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		for (unsigned int held = 0; held < 6; held++) {
			struct buf bufs[] = { buf_at(0, 5), buf_at(1, 6) };
			unsigned int at;

			start(kinds[k]);
			for (unsigned int i = 0; i < 5; i++)
				driver_add(&drv, bufs, 1, 0, false);
			assert_int_equal(fetch(held), held);
			at = 16 * (drv.packed ? drv.avail_idx :
				   drv.next_desc);
			driver_add(&drv, bufs, 0, 2, false);
			/* To read, after one to write. */
			drv.desc[at + 16 + (drv.packed ? 14 : 12)] &=
				(uint8_t)~DRV_WRITE;
			driver_add(&drv, bufs, 1, 0, false);
			expect_broken();
			assert_int_equal(vring_n_ahead(&ring), 0);
			vring_use_run(&ring, NULL, 0);
			vring_publish(&ring);
			assert_false(driver_used(&drv, &(uint16_t){ 0 },
						 &(uint32_t){ 0 }));
		}
	}
	/* A head beyond the table. */
	start(0);
	for (unsigned int i = 0; i < 5; i++)
		driver_add(&drv, &(struct buf){ BUFS, 5 }, 1, 0, false);
	drv.avail[4 + 2 * 3] = SIZE;
	assert_int_equal(fetch(3), 3);
	expect_broken();
	assert_int_equal(vring_n_ahead(&ring), 0);
}

/* As many as there may be at hand: in number, and in pieces. */
static void as_many_as_there_may_be(void **state)
{
	for (int packed = 0; packed < 2; packed++) {
		for (unsigned int n_bufs = 1; n_bufs <= 20; n_bufs++) {
			unsigned int n = min_of(1024 / n_bufs, 200u);
			unsigned int max = min_of(n, (unsigned int)
						  VRING_AHEAD_MAX);
			uint32_t lens[VRING_AHEAD_MAX] = { 0 };
			struct buf bufs[20];

			vring_stop(&ring);
			driver_init(&drv, &guest, 0, 1024,
				    packed ? PACKED : 0);
			assert_int_equal(vring_start(&ring, "test", guest.dma,
						     &drv.config, NULL), 0);
			for (unsigned int i = 0; i < n_bufs; i++)
				bufs[i] = buf_at(i, 1 + i);
			for (unsigned int i = 0; i < n; i++)
				driver_add(&drv, bufs, n_bufs, 0, false);
			for (unsigned int left = n, got; left; left -= got) {
				got = fetch(VRING_AHEAD_MAX);
				assert_in_range(got, 1, VRING_AHEAD_MAX);
				if (got < max && got < left)
					assert_true((got + 1) * n_bufs >
						    VRING_AHEAD_IOV -
						    VRING_CHAIN_IOV_MAX);
				assert_in_range(ring.ahead->n_iov, got,
						VRING_AHEAD_IOV);
				for (unsigned int i = 0; i < got; i++)
					assert_int_equal(vring_chain(&ring, i)
							 ->n_out, n_bufs);
				vring_use_run(&ring, lens, got);
			}
			assert_int_equal(fetch(VRING_AHEAD_MAX), 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(runs_of_all_kinds),
		T(broken_behind_good_ones),
		T(as_many_as_there_may_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
