/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio-net, to the guest, a whole batch at a time.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "net_rig.h"

enum { BURST = BATCH_MAX, ROOM = 2048 };

/* What a buffer of the burst's is like. */
enum kind {
	KIND_ONE,		/* one piece */
	KIND_TABLE,		/* one piece, in a table */
	KIND_PIECES,		/* two pieces, the first one too short */
	KIND_BEHIND,		/* to write, behind one to read */
	KIND_BAD,		/* not in memory */
	KIND_TO_READ,		/* nothing to write */
	N_KINDS,
};

static uint64_t burst_gpa(unsigned int i)
{
	return BUFS + i * (uint64_t)ROOM;
}

static void add_burst_buffer(unsigned int i, enum kind kind)
{
	struct driver *drv = &rig.drv[RX0];
	struct buf whole = { burst_gpa(i), ROOM };
	struct buf two[] = {
		{ burst_gpa(i), 20 }, { burst_gpa(i) + 20, ROOM - 20 },
	};
	struct buf bad = { GUEST_BASE + GUEST_LEN, ROOM };
	struct buf behind[] = { { burst_gpa(i), 5 }, whole };

	switch (kind) {
	case KIND_TABLE:
		driver_add(drv, &whole, 0, 1, true);
		break;
	case KIND_PIECES:
		driver_add(drv, two, 0, 2, false);
		break;
	case KIND_BEHIND:
		driver_add(drv, behind, 1, 1, false);
		break;
	case KIND_BAD:
		driver_add(drv, &bad, 0, 1, false);
		break;
	case KIND_TO_READ:
		driver_add(drv, &whole, 1, 0, false);
		break;
	default:
		driver_add(drv, &whole, 0, 1, false);
	}
}

/* Frames of one batch, numbered; those marked are for somebody else. */
static void make_burst(struct frame_batch *batch, struct frame **frames,
		       uint32_t others, uint32_t seed)
{
	static uint8_t all[BURST][1514];

	batch->n = batch->n_segs = 0;
	for (unsigned int i = 0; i < BURST; i++) {
		uint32_t len = seed % 3 ? 60 + (seed >> 8) % 1400 : 1514;
		struct iovec iov = { all[i], len };

		rig_fill(all[i], len, seed);
		memcpy(all[i], "\x52\x54\0\1\2\3", 6);
		all[i][5] = others & BIT(i) ? 9 : 3;
		all[i][12] = 0x88;
		all[i][14] = (uint8_t)i;
		frames[i] = batch_next(batch);
		assert_int_equal(batch_fill(batch, frames[i], &iov, 1, len),
				 0);
		batch_commit(batch, frames[i]);
		seed = seed * 1664525 + 1013904223;
	}
}

/* Whole bursts, into buffers of all kinds, with frames among them that the
 * guest does not want: each of the others is in one buffer, in order, and every
 * buffer comes back once. */
static void bursts_into_all_kinds_of_buffers(void **state)
{
	static const uint64_t features[] = {
		V1, V1 | PACKED, V1 | F(MRG_RXBUF), V1 | PACKED | F(MRG_RXBUF),
		V1 | IN_ORDER | EVENT, V1 | IN_ORDER | PACKED | EVENT,
	};
	struct port_queue *queue = &rig.net.port.queues[0];
	struct frame *frames[BURST];
	static struct frame_batch batch;
	uint32_t seed = 3;

	for (unsigned int turn = 0; turn < 600; turn++) {
		unsigned int n = 0, n_bufs = 0, next = 0, bad = 0, filtered;
		uint32_t others, len;
		uint64_t bad_before, filtered_before;
		enum kind kinds[2 * BURST];
		uint8_t bytes[1514];
		uint16_t id;

		seed = seed * 1664525 + 1013904223;
		others = turn % 3 ? seed & seed << 7 : 0;
		rig_start(features[turn % ARRAY_SIZE(features)] | INDIRECT |
			  F(CTRL_VQ) | F(CTRL_RX));
		rig.net.filter.promisc = false;
		bad_before = rig.net.counters.rx_bad_chain.v;
		filtered_before = rig.net.counters.rx_filtered.v;
		filtered = (unsigned int)__builtin_popcount(others);
		make_burst(&batch, frames, others, seed);
		/* As many good ones as are needed, or some too few. */
		for (unsigned int good = 0; good + turn % 5 <
		     BURST - filtered && n_bufs < 2 * BURST; n_bufs++) {
			seed = seed * 1664525 + 1013904223;
			kinds[n_bufs] = turn % 2 ? (seed >> 16) % N_KINDS :
				KIND_ONE;
			good += kinds[n_bufs] < KIND_BAD;
			add_burst_buffer(n_bufs, kinds[n_bufs]);
		}
		n = queue->port->ops->rx_burst(queue, frames, BURST);
		queue->port->ops->rx_flush(queue);
		for (unsigned int i = 0; i < n_bufs; i++) {
			if (!driver_used(&rig.drv[RX0], &id, &len))
				break;
			if (kinds[i] >= KIND_BAD) {
				assert_int_equal(len, 0);
				bad++;
				continue;
			}
			while (others & BIT(next))
				next++;
			assert_in_range(next, 0, n - 1);
			assert_int_equal(len, 12 + frames[next]->len);
			frame_copy(frames[next], bytes, sizeof(bytes));
			assert_memory_equal(guest_at(&rig.guest,
						     burst_gpa(i)) + 12,
					    bytes, len - 12);
			next++;
		}
		while (next < BURST && others & BIT(next))
			next++;
		assert_int_equal(next, n);
		assert_false(driver_used(&rig.drv[RX0], &id, &len));
		assert_int_equal(rig.net.counters.rx_bad_chain.v - bad_before,
				 bad);
		assert_int_equal(rig.net.counters.rx_filtered.v -
				 filtered_before, (unsigned int)
				 __builtin_popcount(n < BURST ? others &
						    (BIT(n) - 1) : others));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
		T(bursts_into_all_kinds_of_buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
