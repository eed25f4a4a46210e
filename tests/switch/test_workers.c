/* SPDX-License-Identifier: Apache-2.0
 *
 * A switch on two workers that do not run: their rounds are taken one by one,
 * on a fake clock, so that what is under way between them can be looked at.
 *
 *   worker 0: ports 0, 2 (addresses 10, 12)    worker 1: ports 1, 3 (11, 13)
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/time.h"
#include "fake_port.h"
#include "port/inbox.h"
#include "switch/vswitch.h"

enum { N_WORKERS = 2, N_PORTS = 4 };

struct lab {
	struct worker *workers[N_WORKERS];
	struct vswitch *sw;
	struct fake_port *p[N_PORTS];
	uint64_t now_ns;
};

static void advance(struct lab *lab, uint64_t ns)
{
	lab->now_ns += ns;
	for (unsigned int i = 0; i < N_WORKERS; i++)
		worker_set_now(lab->workers[i], lab->now_ns);
}

/* One worker's rounds, until there is nothing to do or too many. */
static void run_one(struct lab *lab, unsigned int worker)
{
	for (unsigned int i = 0; i < 2000; i++)
		if (!worker_round(lab->workers[worker]))
			return;
}

static void run(struct lab *lab)
{
	for (unsigned int i = 0; i < 4; i++)
		run_one(lab, i % N_WORKERS);
}

static void send_eth(struct lab *lab, unsigned int from, uint8_t dst,
		     uint32_t len, uint32_t seed)
{
	static struct packet packet;

	packet_eth(dst, (uint8_t)(10 + from), len, seed, &packet);
	fake_send(lab->p[from], &packet);
}

static int setup(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	for (unsigned int i = 0; i < N_WORKERS; i++)
		lab->workers[i] = worker_create("test", 0);
	advance(lab, NS_PER_S);
	lab->sw = vswitch_create(&(struct vswitch_config) {
		.name = "net", .workers = lab->workers,
		.n_workers = N_WORKERS });
	for (unsigned int i = 0; i < N_PORTS; i++) {
		char name[8];

		snprintf(name, sizeof(name), "p%u", i);
		lab->p[i] = fake_port_new(name, lab->workers[i % N_WORKERS]);
		if (vswitch_attach(lab->sw, &lab->p[i]->port))
			return -1;
	}
	for (unsigned int i = 0; i < N_PORTS; i++)
		send_eth(lab, i, 255, 60, 0);
	run(lab);
	for (unsigned int i = 0; i < N_PORTS; i++) {
		assert_int_equal(lab->p[i]->n_rx, N_PORTS - 1);
		fake_clear_rx(lab->p[i]);
	}
	*state = lab;
	return 0;
}

static int teardown(void **state)
{
	struct lab *lab = *state;

	for (unsigned int i = 0; i < N_PORTS; i++) {
		if (lab->p[i]->port.sw)
			vswitch_detach(&lab->p[i]->port);
		fake_port_free(lab->p[i]);
	}
	vswitch_destroy(lab->sw);
	for (unsigned int i = 0; i < N_WORKERS; i++)
		worker_destroy(lab->workers[i]);
	free(lab);
	return 0;
}

static void assert_rx(const struct lab *lab, unsigned int a, unsigned int b,
		      unsigned int c, unsigned int d)
{
	assert_int_equal(lab->p[0]->n_rx, a);
	assert_int_equal(lab->p[1]->n_rx, b);
	assert_int_equal(lab->p[2]->n_rx, c);
	assert_int_equal(lab->p[3]->n_rx, d);
}

/* The last @n frames that @from has sent are what @to has got. */
static void assert_same(const struct fake_port *to,
			const struct fake_port *from, unsigned int n)
{
	const struct fake_frame *sent = &from->tx[from->n_to_send - n];

	assert_int_equal(to->n_rx, n);
	for (unsigned int i = 0; i < n; i++) {
		const struct fake_frame *got = &to->rx[i];

		assert_int_equal(got->len, sent[i].len);
		assert_memory_equal(got->data, sent[i].data, got->len);
		assert_int_equal(got->flags, sent[i].flags);
		assert_int_equal(got->gso, sent[i].gso);
		assert_int_equal(got->gso_size, sent[i].gso_size);
		assert_int_equal(got->gso_hdr_len, sent[i].gso_hdr_len);
		assert_int_equal(got->csum_start, sent[i].csum_start);
		assert_int_equal(got->csum_offset, sent[i].csum_offset);
		assert_int_equal(got->vlan_tci, sent[i].vlan_tci);
	}
}

static uint64_t rx_full(const struct fake_port *fake)
{
	struct port_stats stats;

	port_stats_sum(&fake->port, &stats);
	return counter_read(&stats.rx_full);
}

static uint64_t tx_held(const struct fake_port *fake)
{
	return counter_read(&fake->port.queues[0].stats.tx_held);
}

/* ---- the way ---- */

static void test_unicast_and_back(void **state)
{
	struct lab *lab = *state;

	send_eth(lab, 0, 11, 60, 1);
	run_one(lab, 0);
	assert_rx(lab, 0, 0, 0, 0);	/* on its way */
	assert_int_equal(lab->p[0]->n_tx, 2);
	run_one(lab, 1);
	assert_rx(lab, 0, 1, 0, 0);
	assert_int_equal(lab->p[1]->n_unflushed, 0);
	send_eth(lab, 1, 10, 60, 2);
	run_one(lab, 1);
	run_one(lab, 0);
	assert_rx(lab, 1, 1, 0, 0);
	assert_same(lab->p[0], lab->p[1], 1);
	assert_int_equal(vswitch_verdicts(lab->sw, VERDICT_UNICAST), 2);
}

static void test_flood(void **state)
{
	struct lab *lab = *state;

	send_eth(lab, 0, 255, 60, 1);
	send_eth(lab, 0, 99, 60, 2);
	run(lab);
	assert_rx(lab, 0, 2, 2, 2);
	assert_same(lab->p[3], lab->p[0], 2);
	assert_int_equal(vswitch_verdicts(lab->sw, VERDICT_FLOOD), 4 + 2);
}

/* Broadcasts among unicasts stay where they are. */
static void test_order_of_a_mixed_batch(void **state)
{
	static const uint8_t dsts[] = { 11, 255, 11, 11, 255, 11 };
	struct lab *lab = *state;

	for (uint32_t i = 0; i < ARRAY_SIZE(dsts); i++)
		send_eth(lab, 0, dsts[i], 60, i);
	run(lab);
	assert_same(lab->p[1], lab->p[0], ARRAY_SIZE(dsts));
	assert_rx(lab, 0, ARRAY_SIZE(dsts), 2, 2);
}

/* All that is said about a frame goes with it, whatever its length. */
static void test_lengths_and_offloads(void **state)
{
	static const uint32_t lens[] = {
		14, 60, 255, 256, 257, 1514, 9014, 65535, FRAME_LEN_MAX,
	};
	struct lab *lab = *state;
	static struct packet packet;
	struct fake_frame *large;

	lab->p[0]->piece_len = 1500;
	for (unsigned int i = 0; i < 40; i++) {
		send_eth(lab, 0, 11, lens[i % ARRAY_SIZE(lens)], i);
		/* Round the ring several times, one frame in it at most. */
		run(lab);
	}
	packet_make(&(struct packet_spec) {
		.dst = 11, .src = 10, .payload_len = 20000 }, &packet);
	large = fake_send(lab->p[0], &packet);
	large->flags = FRAME_CSUM_PARTIAL | FRAME_VLAN;
	large->vlan_tci = 0x6064;
	large->gso = FRAME_GSO_TCP4;
	large->gso_size = 1448;
	large->gso_hdr_len = packet.payload_off;
	large->csum_start = packet.l4_off;
	large->csum_offset = packet.csum_offset;
	run(lab);
	assert_same(lab->p[1], lab->p[0], 41);
}

/* A receiver that cannot take large frames has them cut on its own worker, and
 * takes up in the middle where it was full. */
static void test_cut_by_the_receiver(void **state)
{
	struct lab *lab = *state;
	struct fake_port *to = lab->p[1];
	static struct packet packet;
	struct fake_frame *large;
	uint32_t sum = 0;

	to->port.caps.gso = 0;
	to->port.caps.csum = false;
	to->port.caps.max_len = 1514;
	packet_make(&(struct packet_spec) {
		.dst = 11, .src = 10, .payload_len = 10000 }, &packet);
	large = fake_send(lab->p[0], &packet);
	large->flags = FRAME_CSUM_PARTIAL;
	large->gso = FRAME_GSO_TCP4;
	large->gso_size = 1000;
	large->gso_hdr_len = packet.payload_off;
	large->csum_start = packet.l4_off;
	large->csum_offset = packet.csum_offset;
	to->rx_room = 3;
	run_one(lab, 0);
	for (unsigned int i = 0; i < 10; i++) {
		worker_round(lab->workers[1]);
		to->rx_room = 2;
	}
	assert_int_equal(to->n_rx, 10);
	for (unsigned int i = 0; i < to->n_rx; i++) {
		assert_true(packet_csum_good(to->rx[i].data, to->rx[i].len,
					     packet.l3_off, packet.l4_off));
		sum += to->rx[i].len - packet.payload_off;
	}
	assert_int_equal(sum, 10000);
	assert_int_equal(rx_full(to), 0);
}

static void test_address_moves_between_workers(void **state)
{
	struct lab *lab = *state;
	static struct packet packet;

	send_eth(lab, 0, 11, 60, 1);
	run(lab);
	assert_rx(lab, 0, 1, 0, 0);
	/* 11 speaks from port 2 now, on the sender's own worker. */
	packet_eth(10, 11, 60, 2, &packet);
	fake_send(lab->p[2], &packet);
	run(lab);
	send_eth(lab, 0, 11, 60, 3);
	run(lab);
	assert_rx(lab, 1, 1, 1, 0);
}

/* ---- no room ---- */

/* A receiver that is slow holds what is in its inbox, then its sender, which
 * loses nothing; other ports of the same worker go on. */
static void test_slow_receiver(void **state)
{
	struct lab *lab = *state;
	struct fake_port *slow = lab->p[1];
	enum { N = 20, LEN = 60000 };

	slow->rx_room = 0;
	for (unsigned int i = 0; i < N; i++)
		send_eth(lab, 0, 11, LEN, i);
	for (unsigned int i = 0; i < 5; i++)
		send_eth(lab, 2, 13, 60, i);
	run_one(lab, 0);
	run_one(lab, 1);
	assert_rx(lab, 0, 0, 0, 5);
	/* The inbox is full, the rest is in the sender's ring. */
	assert_int_equal(lab->p[0]->n_tx - 1, INBOX_SIZE / LEN);
	assert_int_equal(tx_held(lab->p[0]), 1);
	for (unsigned int i = 0; i < 4 * N; i++) {
		slow->rx_room = 1;
		advance(lab, PORT_HOLD_NS / 4);
		worker_round(lab->workers[1]);
		worker_round(lab->workers[0]);
	}
	assert_same(slow, lab->p[0], N);
	assert_int_equal(rx_full(slow), 0);
}

/* One that takes nothing is waited for once, by those in its inbox and by the
 * sender; then all is lost and counted, the inbox's at its port. */
static void test_stuck_receiver(void **state)
{
	struct lab *lab = *state;
	struct fake_port *stuck = lab->p[1];
	enum { N = 20, LEN = 60000 };

	stuck->rx_room = 0;
	for (unsigned int i = 0; i < N; i++)
		send_eth(lab, 0, 11, LEN, i);
	send_eth(lab, 0, 12, 60, 1);
	run(lab);
	assert_int_equal(lab->p[0]->n_tx - 1, INBOX_SIZE / LEN);
	assert_rx(lab, 0, 0, 0, 0);
	/* Held frames are work for who holds them; the sender's worker may
	 * sleep, and is woken. */
	assert_false(worker_round(lab->workers[0]));
	assert_true(worker_round(lab->workers[1]));
	advance(lab, PORT_HOLD_RETRY_NS);
	assert_true(worker_round(lab->workers[0]));
	for (unsigned int i = 0; i < 8; i++) {
		advance(lab, PORT_HOLD_NS);
		run(lab);
	}
	assert_int_equal(rx_full(stuck), N);
	assert_rx(lab, 0, 0, 1, 0);
	assert_int_equal(vswitch_verdicts(lab->sw, VERDICT_UNICAST) +
			 vswitch_verdicts(lab->sw, VERDICT_DROP_RX_FULL),
			 N + 1);
	assert_false(worker_round(lab->workers[0]));
	assert_false(worker_round(lab->workers[1]));
	/* It takes frames again, and has them. */
	stuck->rx_room = FAKE_UNLIMITED;
	send_eth(lab, 0, 11, 60, 77);
	run(lab);
	assert_same(stuck, lab->p[0], 1);
}

/* Nobody waits for a broadcast. */
static void test_flood_to_a_full_inbox(void **state)
{
	struct lab *lab = *state;
	enum { N = 20, LEN = 60000 };

	for (unsigned int i = 0; i < N; i++)
		send_eth(lab, 0, 255, LEN, i);
	run_one(lab, 0);
	assert_int_equal(lab->p[0]->n_tx - 1, N);
	assert_rx(lab, 0, 0, N, 0);
	run_one(lab, 1);
	assert_rx(lab, 0, INBOX_SIZE / LEN, N, INBOX_SIZE / LEN);
	assert_int_equal(rx_full(lab->p[1]), N - INBOX_SIZE / LEN);
	assert_int_equal(rx_full(lab->p[3]), N - INBOX_SIZE / LEN);
	assert_int_equal(tx_held(lab->p[0]), 0);
	/* Nor when the inbox has been emptied into one without room. */
	lab->p[1]->rx_room = 0;
	send_eth(lab, 0, 255, 60, 1);
	run(lab);
	assert_int_equal(rx_full(lab->p[1]), N + 1 - INBOX_SIZE / LEN);
	assert_false(worker_round(lab->workers[1]));
}

/* ---- T13, T17 ---- */

/* A large frame from port 0 to port 1, which takes none: cut up over there. */
static struct fake_frame *send_large(struct lab *lab, struct packet *packet,
				     uint32_t payload_len)
{
	struct fake_frame *large;

	lab->p[1]->port.caps = (struct port_caps){ .max_len = 1514 };
	packet_make(&(struct packet_spec) {
		.dst = 11, .src = 10, .payload_len = payload_len,
		.seed = 5 }, packet);
	large = fake_send(lab->p[0], packet);
	large->flags = FRAME_CSUM_PARTIAL;
	large->gso = FRAME_GSO_TCP4;
	large->gso_size = 1000;
	large->gso_hdr_len = packet->payload_off;
	large->csum_start = packet->l4_off;
	large->csum_offset = packet->csum_offset;
	return large;
}

/* What has left into an inbox is not the sender's any more: it may write over
 * it, or take it away, before and while it is delivered. */
static void test_changed_under_way(void **state)
{
	struct lab *lab = *state;
	struct fake_port *to = lab->p[1];
	static struct packet packet;
	struct fake_frame *large = send_large(lab, &packet, 10000);
	uint32_t sum = 0;

	run_one(lab, 0);
	assert_rx(lab, 0, 0, 0, 0);
	memset(large->data, 0xee, large->len);
	to->rx_room = 4;
	run_one(lab, 1);
	assert_int_equal(to->n_rx, 4);
	free(large->data);
	large->data = NULL;
	to->rx_room = FAKE_UNLIMITED;
	run_one(lab, 1);
	assert_int_equal(to->n_rx, 10);
	for (unsigned int i = 0; i < 10; i++) {
		const uint8_t *got = to->rx[i].data;

		assert_true(packet_csum_good(got, to->rx[i].len, packet.l3_off,
					     packet.l4_off));
		assert_memory_equal(got + packet.payload_off, packet.data +
				    packet.payload_off + sum, 1000);
		sum += 1000;
	}
}

/* What the inbox had no room for is the sender's still: it is read again. */
static void test_changed_while_held(void **state)
{
	struct lab *lab = *state;
	enum { N = 6, LEN = 60000 };
	struct fake_port *from = lab->p[0];
	unsigned int left;

	for (unsigned int i = 0; i < N; i++)
		send_eth(lab, 0, 11, LEN, i);
	run_one(lab, 0);
	left = from->n_tx - 1;
	assert_in_range(left, 1, N - 1);
	/* Shorter, and somebody else's. */
	for (unsigned int i = left; i < N; i++) {
		from->tx[1 + i].len = 100;
		from->tx[1 + i].data[5] = 13;
	}
	run(lab);
	advance(lab, PORT_HOLD_RETRY_NS);
	run(lab);
	assert_rx(lab, 0, left, 0, N - left);
	for (unsigned int i = left; i < N; i++) {
		assert_int_equal(lab->p[3]->rx[i - left].len, 100);
		assert_memory_equal(lab->p[3]->rx[i - left].data,
				    from->tx[1 + i].data, 100);
	}
}

struct flipper {
	uint8_t *data;
	uint32_t len;
	bool stop;
};

static void *flip(void *arg)
{
	struct flipper *f = arg;

	for (uint32_t i = 1; !__atomic_load_n(&f->stop, __ATOMIC_RELAXED); i++)
		__atomic_store_n(&f->data[i * 2654435761u % f->len],
				 (uint8_t)i, __ATOMIC_RELAXED);
	return NULL;
}

/* It is read once: whatever the sender writes meanwhile, headers and payload,
 * sizes are those that were checked, and checksums are of what arrives. */
static void test_changed_while_copied(void **state)
{
	struct lab *lab = *state;
	struct fake_port *to = lab->p[1];
	static struct packet packet;
	unsigned int n_changed = 0;

	for (unsigned int n = 0; n < 300 || (!n_changed && n < 4000); n++) {
		struct fake_frame *large = send_large(lab, &packet, 30000);
		struct flipper f = { large->data + packet.payload_off, 30000,
				     false };
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, flip, &f), 0);
		run(lab);
		__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		assert_int_equal(to->n_rx, 30);
		for (unsigned int i = 0; i < 30; i++) {
			const struct fake_frame *got = &to->rx[i];

			assert_int_equal(got->len, packet.payload_off + 1000);
			assert_true(packet_csum_good(got->data, got->len,
						     packet.l3_off,
						     packet.l4_off));
			n_changed += !!memcmp(got->data + packet.payload_off,
					      packet.data + packet.payload_off
					      + 1000 * i, 1000);
		}
		fake_clear_rx(to);
		free(large->data);
		lab->p[0]->n_to_send = lab->p[0]->n_tx = 1;
	}
	assert_int_not_equal(n_changed, 0);
}

/* Nobody sees what another's frame has left behind in an inbox: not the next
 * sender's receiver, nor the next port of that number. */
static void test_nothing_stale(void **state)
{
	struct lab *lab = *state;
	struct fake_port *to = lab->p[1];
	enum { LEN = 60000, SECRET = 0x77 };

	for (uint32_t len = 14; len < 600; len++) {
		struct fake_frame *frame;

		if (len % 32 == 14) {
			/* Round the ring, somebody's secrets. */
			for (unsigned int i = 0; i < 6; i++) {
				send_eth(lab, 0, 11, LEN, i);
				frame = &lab->p[0]->tx[lab->p[0]->n_to_send -
						       1];
				memset(frame->data + 12, SECRET, LEN - 12);
				run(lab);
			}
			fake_clear_rx(to);
			/* One that is not delivered any more. */
			send_eth(lab, 0, 11, LEN, 1);
			run_one(lab, 0);
			vswitch_detach(&to->port);
			assert_int_equal(vswitch_attach(lab->sw, &to->port),
					 0);
			send_eth(lab, 1, 255, 60, 1);	/* who it is */
			run(lab);
		}
		send_eth(lab, 2, 11, len, len);
		frame = &lab->p[2]->tx[lab->p[2]->n_to_send - 1];
		memset(frame->data + 12, 0, len - 12);
		run(lab);
		assert_int_equal(to->n_rx, 1);
		assert_int_equal(to->rx[0].len, len);
		assert_memory_equal(to->rx[0].data, frame->data, len);
		fake_clear_rx(to);
	}
}

/* ---- ports come and go ---- */

static void test_link_down(void **state)
{
	struct lab *lab = *state;

	port_set_link(&lab->p[1]->port, false);
	send_eth(lab, 0, 11, 60, 1);
	send_eth(lab, 0, 255, 60, 2);
	run(lab);
	assert_rx(lab, 0, 0, 1, 1);
	assert_int_equal(counter_read(
		&lab->p[1]->port.queues[0].stats.rx_link_down), 1);
}

/* What is under way to a port is lost with it, and its number and address are
 * free for another one. */
static void test_detach_with_frames_under_way(void **state)
{
	struct lab *lab = *state;

	send_eth(lab, 0, 11, 60, 1);
	run_one(lab, 0);
	vswitch_detach(&lab->p[1]->port);
	run(lab);
	assert_rx(lab, 0, 0, 0, 0);
	assert_int_equal(vswitch_attach(lab->sw, &lab->p[1]->port), 0);
	run(lab);
	assert_rx(lab, 0, 0, 0, 0);
	send_eth(lab, 0, 11, 60, 2);	/* not known any more */
	run(lab);
	assert_rx(lab, 0, 1, 1, 1);
}

static void test_foreign_worker(void **state)
{
	struct lab *lab = *state;
	struct worker *other = worker_create("other", 0);
	struct fake_port *fake = fake_port_new("other", other);

	assert_int_equal(vswitch_attach(lab->sw, &fake->port), -EINVAL);
	fake_port_free(fake);
	worker_destroy(other);
}

/* Each worker's clock is its own; one that is behind sees no age. */
static void test_clocks_differ(void **state)
{
	struct lab *lab = *state;
	struct vswitch_mac macs[8];

	worker_set_now(lab->workers[1], lab->now_ns + 50 * NS_PER_MS);
	send_eth(lab, 1, 10, 60, 1);
	run_one(lab, 1);
	run_one(lab, 0);
	send_eth(lab, 0, 11, 60, 1);
	run_one(lab, 0);
	run_one(lab, 1);
	assert_rx(lab, 1, 1, 0, 0);
	assert_int_equal(vswitch_macs(lab->sw, macs, 8), N_PORTS);
	for (unsigned int i = 0; i < N_PORTS; i++)
		assert_int_equal(macs[i].age_ms, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_unicast_and_back),
		T(test_flood),
		T(test_order_of_a_mixed_batch),
		T(test_lengths_and_offloads),
		T(test_cut_by_the_receiver),
		T(test_address_moves_between_workers),
		T(test_slow_receiver),
		T(test_stuck_receiver),
		T(test_flood_to_a_full_inbox),
		T(test_changed_under_way),
		T(test_changed_while_held),
		T(test_changed_while_copied),
		T(test_nothing_stale),
		T(test_link_down),
		T(test_detach_with_frames_under_way),
		T(test_foreign_worker),
		T(test_clocks_differ),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
