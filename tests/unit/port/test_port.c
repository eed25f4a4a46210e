/* SPDX-License-Identifier: Apache-2.0
 *
 * A port's queue on its worker: what counts as work.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "port/port.h"

static struct {
	struct worker *worker;
	struct port port;
	uint64_t now;
	unsigned int n_bursts;		/* asked for frames */
	unsigned int n_frames;		/* to be sent */
	unsigned int accept;		/* taken of each batch */
	unsigned int n_taken;		/* in all */
} t;

static void tx_burst(struct port_queue *queue, struct frame_batch *batch,
		     bool *worked)
{
	t.n_bursts++;
	while (batch->n < t.n_frames)
		batch->frames[batch->n++] = (struct frame){ .len = 60 };
}

static void tx_done(struct port_queue *queue, const struct frame_batch *batch,
		    unsigned int n)
{
	t.n_frames -= n;
	t.n_taken += n;
}

static unsigned int input(struct port_queue *queue, struct frame_batch *batch)
{
	return batch->n < t.accept ? batch->n : t.accept;
}

static int setup(void **state)
{
	static const struct port_ops ops = {
		.kind = "test", .tx_burst = tx_burst, .tx_done = tx_done,
	};

	memset(&t, 0, sizeof(t));
	t.worker = worker_create("test", 20000);
	if (!t.worker)
		return -1;
	worker_set_now(t.worker, t.now = 1000);
	port_init(&t.port, &ops, "test", t.worker, 1);
	t.port.input = input;
	port_queue_start(&t.port.queues[0]);
	return 0;
}

static int teardown(void **state)
{
	port_queue_stop(&t.port.queues[0]);
	worker_destroy(t.worker);
	return 0;
}

static bool round_after(uint64_t ns)
{
	worker_set_now(t.worker, t.now += ns);
	return worker_round(t.worker);
}

static void what_is_taken_is_work(void **state)
{
	t.n_frames = 3;
	t.accept = 2;
	assert_true(round_after(1));
	assert_int_equal(t.n_taken, 2);
	assert_true(round_after(1));
	assert_int_equal(t.n_taken, 3);
	assert_false(round_after(1));
}

/* The worker may sleep, and is woken to ask again. */
static void waiting_for_room_is_none(void **state)
{
	t.n_frames = 3;
	assert_false(round_after(1));
	assert_false(round_after(1));
	for (int i = 0; i < 3; i++) {
		assert_true(round_after(PORT_HOLD_RETRY_NS));
		assert_false(round_after(1));
	}
	t.accept = 3;
	assert_true(round_after(1));
	assert_int_equal(t.n_taken, 3);
}

static void a_stopped_queue_is_not_asked_again(void **state)
{
	t.n_frames = 1;
	assert_false(round_after(1));
	port_queue_stop(&t.port.queues[0]);
	t.n_bursts = 0;
	assert_false(round_after(PORT_HOLD_RETRY_NS));
	assert_int_equal(t.n_bursts, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(what_is_taken_is_work),
		T(waiting_for_room_is_none),
		T(a_stopped_queue_is_not_asked_again),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
