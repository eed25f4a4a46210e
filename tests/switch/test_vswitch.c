/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets in, packets out: the switch between fake ports, on a fake clock.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/time.h"
#include "fake_port.h"
#include "switch/vswitch.h"

enum { N_PORTS = 4, AGEING_MS = 10000 };

struct lab {
	struct worker *worker;
	struct vswitch *sw;
	struct fake_port *p[N_PORTS];	/* whose addresses are 10, 11... */
	uint64_t now_ns;
};

static void advance(struct lab *lab, uint64_t ns)
{
	lab->now_ns += ns;
	worker_set_now(lab->worker, lab->now_ns);
}

static int setup(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));
	struct vswitch_config config = {
		.name = "net", .max_macs = 64, .ageing_ms = AGEING_MS
	};

	lab->worker = worker_create("test", 0);
	advance(lab, NS_PER_S);
	config.worker = lab->worker;
	lab->sw = vswitch_create(&config);
	for (unsigned int i = 0; i < N_PORTS; i++) {
		char name[8];

		snprintf(name, sizeof(name), "p%u", i);
		lab->p[i] = fake_port_new(name, lab->worker);
		if (vswitch_attach(lab->sw, &lab->p[i]->port))
			return -1;
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
	worker_destroy(lab->worker);
	free(lab);
	return 0;
}

static void run(struct lab *lab)
{
	for (unsigned int i = 0; i < 2000; i++)
		if (!worker_round(lab->worker))
			return;
}

static uint64_t verdicts_sum(const struct lab *lab)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < N_VERDICTS; i++)
		sum += vswitch_verdicts(lab->sw, i);
	return sum;
}

static uint64_t tx_sum(const struct lab *lab)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < N_PORTS; i++)
		sum += lab->p[i]->n_tx;
	return sum;
}

static const struct port_queue *queue(const struct fake_port *fake)
{
	return &fake->port.queues[0];
}

static void send_eth(struct lab *lab, unsigned int from, uint8_t dst,
		     uint8_t src, uint32_t seed)
{
	static struct packet packet;

	packet_eth(dst, src, 60, seed, &packet);
	fake_send(lab->p[from], &packet);
}

/* Each port's address becomes known. */
static void learn_all(struct lab *lab)
{
	for (unsigned int i = 0; i < N_PORTS; i++)
		send_eth(lab, i, 255, (uint8_t)(10 + i), 0);
	run(lab);
	for (unsigned int i = 0; i < N_PORTS; i++)
		fake_clear_rx(lab->p[i]);
}

static void assert_rx(const struct lab *lab, unsigned int a, unsigned int b,
		      unsigned int c, unsigned int d)
{
	assert_int_equal(lab->p[0]->n_rx, a);
	assert_int_equal(lab->p[1]->n_rx, b);
	assert_int_equal(lab->p[2]->n_rx, c);
	assert_int_equal(lab->p[3]->n_rx, d);
}

/* ---- forwarding ---- */

static void test_flood_then_unicast(void **state)
{
	struct lab *lab = *state;

	send_eth(lab, 0, 11, 10, 1);
	run(lab);
	assert_rx(lab, 0, 1, 1, 1);
	send_eth(lab, 1, 10, 11, 2);
	run(lab);
	assert_rx(lab, 1, 1, 1, 1);
	send_eth(lab, 0, 11, 10, 3);
	run(lab);
	assert_rx(lab, 1, 2, 1, 1);
	assert_int_equal(vswitch_verdicts(lab->sw, VERDICT_FLOOD), 1);
	assert_int_equal(vswitch_verdicts(lab->sw, VERDICT_UNICAST), 2);
	assert_memory_equal(lab->p[1]->rx[1].data, lab->p[0]->tx[1].data, 60);
}

static void test_broadcast(void **state)
{
	struct lab *lab = *state;

	learn_all(lab);
	send_eth(lab, 2, 255, 12, 1);
	run(lab);
	assert_rx(lab, 1, 1, 0, 1);
}

/* Frames of a batch go different ways, each receiver is flushed once, and the
 * order of those to one receiver is kept, broadcasts among them. */
static void test_mixed_batch(void **state)
{
	struct lab *lab = *state;
	static const uint8_t dsts[] = { 11, 11, 255, 12, 11, 13, 10, 255, 11 };
	unsigned int flushes;

	learn_all(lab);
	flushes = lab->p[1]->n_flushes;
	for (uint32_t i = 0; i < ARRAY_SIZE(dsts); i++)
		send_eth(lab, 0, dsts[i], 10, i);
	worker_round(lab->worker);
	assert_rx(lab, 0, 6, 3, 3);
	assert_int_equal(lab->p[1]->n_flushes, flushes + 1);
	assert_int_equal(lab->p[1]->n_unflushed, 0);
	for (unsigned int i = 0, k = 0; i < ARRAY_SIZE(dsts); i++)
		if (dsts[i] == 11 || dsts[i] == 255)
			assert_memory_equal(lab->p[1]->rx[k++].data,
					    lab->p[0]->tx[1 + i].data, 60);
	assert_int_equal(vswitch_verdicts(lab->sw, VERDICT_DROP_SAME_PORT), 1);
	assert_int_equal(verdicts_sum(lab), tx_sum(lab));
}

static void test_move(void **state)
{
	struct lab *lab = *state;

	learn_all(lab);
	send_eth(lab, 3, 10, 11, 1);	/* 11 is behind port 3 now */
	run(lab);
	send_eth(lab, 0, 11, 10, 2);
	run(lab);
	assert_rx(lab, 1, 0, 0, 1);
	assert_int_equal(counter_read(&vswitch_mac_stats(lab->sw)->moved), 1);
}

static void test_ageing(void **state)
{
	struct lab *lab = *state;
	struct vswitch_mac macs[8];

	learn_all(lab);
	advance(lab, (AGEING_MS - 1) * NS_PER_MS);
	send_eth(lab, 0, 11, 10, 1);
	run(lab);
	assert_rx(lab, 0, 1, 0, 0);
	assert_int_equal(vswitch_macs(lab->sw, macs, 8), 4);
	/* 10 has just been seen, the others not for as long as they live */
	advance(lab, NS_PER_MS);
	assert_int_equal(vswitch_macs(lab->sw, macs, 8), 1);
	assert_string_equal(macs[0].port, "p0");
	assert_int_equal(macs[0].age_ms, 1);
	send_eth(lab, 0, 11, 10, 2);
	run(lab);
	assert_rx(lab, 0, 2, 1, 1);
	assert_int_equal(counter_read(&vswitch_mac_stats(lab->sw)->aged), 3);
}

/* Aged entries are cleared away with no traffic at all. */
static void test_ageing_by_timer(void **state)
{
	struct lab *lab = *state;

	learn_all(lab);
	advance(lab, AGEING_MS * NS_PER_MS);
	run(lab);
	assert_int_equal(counter_read(&vswitch_mac_stats(lab->sw)->aged), 4);
}

static void test_tags_pass(void **state)
{
	struct lab *lab = *state;
	static struct packet packet;
	struct fake_frame *sent;

	learn_all(lab);
	lab->p[2]->port.caps.vlan = false;
	packet_eth(255, 10, 60, 1, &packet);
	sent = fake_send(lab->p[0], &packet);
	sent->flags = FRAME_VLAN;
	sent->vlan_tci = 0x6064;
	run(lab);
	assert_rx(lab, 0, 1, 1, 1);
	/* Beside the bytes for those who take it so, in them for the other;
	 * whose change the next receiver does not see. */
	assert_int_equal(lab->p[1]->rx[0].vlan_tci, 0x6064);
	assert_int_equal(lab->p[3]->rx[0].vlan_tci, 0x6064);
	assert_int_equal(lab->p[3]->rx[0].len, 60);
	assert_int_equal(lab->p[2]->rx[0].len, 64);
	assert_int_equal(lab->p[2]->rx[0].flags & FRAME_VLAN, 0);
	assert_memory_equal(lab->p[2]->rx[0].data + 12, "\x81\x00\x60\x64", 4);
	assert_memory_equal(lab->p[2]->rx[0].data + 16, packet.data + 12, 48);
}

/* ---- drops ---- */

static void test_bad_addresses(void **state)
{
	struct lab *lab = *state;
	static struct packet packet;

	packet_eth(11, 10, 60, 1, &packet);
	packet.data[6] = 0x01;
	fake_send(lab->p[0], &packet);
	memset(packet.data + 6, 0, 6);
	fake_send(lab->p[0], &packet);
	packet_eth(11, 10, 60, 1, &packet);
	memcpy(packet.data, "\x01\x80\xc2\x00\x00\x0e", 6);
	fake_send(lab->p[0], &packet);
	run(lab);
	assert_rx(lab, 0, 0, 0, 0);
	assert_int_equal(vswitch_verdicts(lab->sw, VERDICT_DROP_SRC), 2);
	assert_int_equal(vswitch_verdicts(lab->sw, VERDICT_DROP_RESERVED), 1);
}

/* A port whose batches are not made by batch_fill() may hand in a stub. */
static void test_short(void **state)
{
	struct lab *lab = *state;
	static struct frame_batch batch;
	struct frame *frame = batch_next(&batch);

	memset(frame->hdr, 0x22, FRAME_LEN_MIN);
	frame->len = frame->hdr_len = FRAME_LEN_MIN - 1;
	batch_commit(&batch, frame);
	assert_int_equal(lab->p[0]->port.input(&lab->p[0]->port.queues[0],
					       &batch), 1);
	assert_rx(lab, 0, 0, 0, 0);
	assert_int_equal(vswitch_verdicts(lab->sw, VERDICT_DROP_SHORT), 1);
}

static void test_link_down(void **state)
{
	struct lab *lab = *state;

	learn_all(lab);
	port_set_link(&lab->p[1]->port, false);
	send_eth(lab, 0, 11, 10, 1);
	send_eth(lab, 0, 255, 10, 2);
	send_eth(lab, 1, 10, 11, 3);
	run(lab);
	assert_rx(lab, 0, 0, 1, 1);
	assert_int_equal(counter_read(&queue(lab->p[1])->stats.rx_link_down),
			 1);
	assert_int_equal(vswitch_verdicts(lab->sw, VERDICT_DROP_LINK_DOWN), 1);
	port_set_link(&lab->p[1]->port, true);
	send_eth(lab, 0, 11, 10, 4);
	run(lab);
	assert_rx(lab, 0, 1, 1, 1);
}

static void test_alone(void **state)
{
	struct lab *lab = *state;

	for (unsigned int i = 1; i < N_PORTS; i++)
		vswitch_detach(&lab->p[i]->port);
	send_eth(lab, 0, 255, 10, 1);
	run(lab);
	assert_int_equal(vswitch_verdicts(lab->sw, VERDICT_DROP_NO_PORT), 1);
	assert_null(vswitch_port_at(lab->sw, 1));
}

static void test_detach_forgets(void **state)
{
	struct lab *lab = *state;

	learn_all(lab);
	vswitch_detach(&lab->p[1]->port);
	assert_ptr_equal(vswitch_port_at(lab->sw, 1), &lab->p[2]->port);
	send_eth(lab, 0, 11, 10, 1);
	run(lab);
	assert_rx(lab, 0, 0, 1, 1);
	/* Its number is free for another, which inherits nothing. */
	assert_int_equal(vswitch_attach(lab->sw, &lab->p[1]->port), 0);
	send_eth(lab, 0, 11, 10, 1);
	run(lab);
	assert_rx(lab, 0, 1, 2, 2);
}

static void test_names_are_unique(void **state)
{
	struct lab *lab = *state;
	struct fake_port *twin = fake_port_new("p1", lab->worker);

	assert_int_equal(vswitch_attach(lab->sw, &twin->port), -EEXIST);
	assert_null(twin->port.sw);
	fake_port_free(twin);
}

static void test_verdict_table(void **state)
{
	for (unsigned int i = 0; i < N_VERDICTS; i++) {
		assert_non_null(verdict_names[i]);
		assert_non_null(verdict_texts[i]);
	}
	assert_string_equal(verdict_names[VERDICT_DROP_RX_FULL],
			    "drop_rx_full");
}

/* ---- back-pressure ---- */

/* Held, drained, taken: nothing lost, nothing twice, in order. */
static void test_hold_and_drain(void **state)
{
	struct lab *lab = *state;
	struct fake_port *rx = lab->p[1];

	learn_all(lab);
	rx->rx_room = 5;
	for (uint32_t i = 0; i < 100; i++)
		send_eth(lab, 0, 11, 10, i);
	for (unsigned int i = 0; i < 40; i++) {
		advance(lab, PORT_HOLD_NS / 4);
		worker_round(lab->worker);
		rx->rx_room += 3;
	}
	assert_int_equal(rx->n_rx, 100);
	for (unsigned int i = 0; i < 100; i++)
		assert_memory_equal(rx->rx[i].data,
				    lab->p[0]->tx[1 + i].data, 60);
	assert_int_equal(counter_read(&queue(rx)->stats.rx_full), 0);
	assert_true(counter_read(&queue(lab->p[0])->stats.tx_held) > 0);
	assert_int_equal(verdicts_sum(lab), tx_sum(lab));
}

/* A held sender lets the worker sleep, but has it woken: nobody else would. */
static void test_held_is_asked_again(void **state)
{
	struct lab *lab = *state;

	learn_all(lab);
	lab->p[1]->rx_room = 0;
	send_eth(lab, 0, 11, 10, 1);
	for (unsigned int i = 0; i < 10; i++) {
		assert_false(worker_round(lab->worker));
		advance(lab, PORT_HOLD_RETRY_NS);
		assert_true(worker_round(lab->worker));
	}
	assert_int_equal(lab->p[0]->n_tx, 1);	/* that of learn_all() */
	advance(lab, PORT_HOLD_NS);
	run(lab);
	assert_int_equal(lab->p[0]->n_tx, 2);
	assert_false(worker_round(lab->worker));
}

/* The receiver stays full: the sender waits once, then loses frames at once,
 * also those for which it did not wait, and serves the others again. */
static void test_stuck_receiver(void **state)
{
	struct lab *lab = *state;
	struct fake_port *stuck = lab->p[1];

	learn_all(lab);
	stuck->rx_room = 0;
	for (uint32_t i = 0; i < 50; i++) {
		send_eth(lab, 0, 11, 10, i);
		send_eth(lab, 0, 12, 10, i);
	}
	run(lab);
	assert_int_equal(lab->p[2]->n_rx, 0);	/* behind what is held */
	advance(lab, PORT_HOLD_NS - 1);
	run(lab);
	assert_int_equal(lab->p[2]->n_rx, 0);
	advance(lab, 1);
	run(lab);
	assert_int_equal(lab->p[2]->n_rx, 50);
	assert_int_equal(counter_read(&queue(stuck)->stats.rx_full), 50);
	assert_int_equal(vswitch_verdicts(lab->sw, VERDICT_DROP_RX_FULL), 50);
	assert_int_equal(verdicts_sum(lab), tx_sum(lab));
	/* It takes one: from then on it may hold senders again. */
	stuck->rx_room = 1;
	send_eth(lab, 0, 11, 10, 100);
	send_eth(lab, 0, 11, 10, 101);
	run(lab);
	assert_int_equal(stuck->n_rx, 1);
	stuck->rx_room = 1;
	run(lab);
	assert_int_equal(stuck->n_rx, 2);
	assert_int_equal(vswitch_verdicts(lab->sw, VERDICT_DROP_RX_FULL), 50);
}

/* Two senders, one of them held: the other's traffic does not wait. */
static void test_slow_port_stalls_only_its_sender(void **state)
{
	struct lab *lab = *state;

	learn_all(lab);
	lab->p[1]->rx_room = 0;
	for (uint32_t i = 0; i < 64; i++) {
		send_eth(lab, 0, 11, 10, i);
		send_eth(lab, 2, 13, 12, i);
	}
	worker_round(lab->worker);
	worker_round(lab->worker);
	assert_int_equal(lab->p[3]->n_rx, 64);
	assert_int_equal(lab->p[1]->n_rx, 0);
	lab->p[1]->rx_room = FAKE_UNLIMITED;
	run(lab);
	assert_int_equal(lab->p[1]->n_rx, 64);
}

/* A sender waits no longer than a while for its frame, even if the receiver
 * takes others' in the meantime. */
static void test_hold_is_bounded_by_sender(void **state)
{
	struct lab *lab = *state;

	learn_all(lab);
	lab->p[1]->rx_room = 0;
	send_eth(lab, 2, 11, 12, 1);
	worker_round(lab->worker);
	for (unsigned int i = 0; i < 8; i++) {
		advance(lab, PORT_HOLD_NS / 4);
		/* Port 0 is polled first and takes the only room. */
		lab->p[1]->rx_room = 1;
		send_eth(lab, 0, 11, 10, i);
		worker_round(lab->worker);
	}
	assert_int_equal(lab->p[1]->n_rx, 8);
	assert_int_equal(vswitch_verdicts(lab->sw, VERDICT_DROP_RX_FULL), 1);
}

static void test_flood_never_waits(void **state)
{
	struct lab *lab = *state;

	learn_all(lab);
	lab->p[1]->rx_room = 2;
	for (uint32_t i = 0; i < 10; i++)
		send_eth(lab, 0, 255, 10, i);
	worker_round(lab->worker);
	assert_rx(lab, 0, 2, 10, 10);
	assert_int_equal(counter_read(&queue(lab->p[1])->stats.rx_full), 8);
	assert_int_equal(lab->p[0]->n_tx, 11);
	assert_int_equal(counter_read(&queue(lab->p[0])->stats.tx_held), 0);
}

/* ---- large frames ---- */

static void send_large(struct lab *lab, unsigned int from, uint8_t dst,
		       uint32_t payload_len, uint32_t seed)
{
	static struct packet packet;
	struct fake_frame *frame;

	packet_make(&(struct packet_spec) {
		.dst = dst, .src = (uint8_t)(10 + from), .seed = seed,
		.payload_len = payload_len }, &packet);
	frame = fake_send(lab->p[from], &packet);
	frame->flags = FRAME_CSUM_PARTIAL;
	frame->gso = FRAME_GSO_TCP4;
	frame->gso_size = 1000;
	frame->gso_hdr_len = packet.payload_off;
	frame->csum_start = packet.l4_off;
	frame->csum_offset = packet.csum_offset;
}

/* Whole to one that takes it whole, cut for the other, from one frame. */
static void test_large_flood(void **state)
{
	struct lab *lab = *state;

	lab->p[2]->port.caps.gso = 0;
	send_large(lab, 0, 255, 4500, 1);
	run(lab);
	assert_rx(lab, 0, 1, 5, 1);
	assert_int_equal(lab->p[1]->rx[0].len, 54 + 4500);
	assert_int_equal(lab->p[3]->rx[0].gso_size, 1000);
	assert_memory_equal(lab->p[3]->rx[0].data, lab->p[0]->tx[0].data,
			    54 + 4500);
	assert_int_equal(counter_read(&queue(lab->p[2])->stats.gso_cut), 1);
}

/* Room for a few segments at a time: the frame goes on where it was. */
static void test_large_resumes(void **state)
{
	struct lab *lab = *state;
	struct fake_port *rx = lab->p[1];
	unsigned int k = 0;

	learn_all(lab);
	rx->port.caps.gso = 0;
	rx->port.caps.csum = false;
	rx->rx_room = 0;
	send_large(lab, 0, 11, 50500, 1);
	send_large(lab, 0, 11, 2000, 2);
	for (unsigned int i = 0; i < 30; i++) {
		advance(lab, PORT_HOLD_NS / 2);
		worker_round(lab->worker);
		rx->rx_room += 7;
		rx->rx_room -= i % 3;
	}
	assert_int_equal(rx->n_rx, 51 + 2);
	for (unsigned int i = 0; i < 2; i++) {
		const struct fake_frame *large = &lab->p[0]->tx[1 + i];

		for (uint32_t off = 54; off < large->len; k++) {
			const struct fake_frame *seg = &rx->rx[k];

			assert_memory_equal(seg->data + 54, large->data + off,
					    seg->len - 54);
			assert_true(packet_csum_good(seg->data, seg->len, 14,
						     34));
			off += seg->len - 54;
		}
	}
	assert_int_equal(k, 53);
	assert_int_equal(counter_read(&queue(rx)->stats.gso_cut), 2);
	assert_int_equal(counter_read(&queue(rx)->stats.csum_filled), 53);
	assert_int_equal(counter_read(&queue(rx)->stats.rx_frames), 53 + 3);
}

/* The guest takes the held frame back and offers a small one instead. */
static void test_large_changed_while_held(void **state)
{
	struct lab *lab = *state;
	struct fake_port *rx = lab->p[1];
	static struct packet packet;

	learn_all(lab);
	rx->port.caps.gso = 0;
	rx->rx_room = 5;
	send_large(lab, 0, 11, 20000, 1);
	run(lab);
	assert_int_equal(rx->n_rx, 5);
	lab->p[0]->n_to_send--;
	free(lab->p[0]->tx[1].data);
	packet_eth(11, 10, 60, 9, &packet);
	fake_send(lab->p[0], &packet);
	/* The next large one, in the same batch, is delivered from its start.*/
	send_large(lab, 0, 11, 3000, 2);
	rx->rx_room = 100;
	run(lab);
	assert_int_equal(rx->n_rx, 5 + 1 + 3);
	assert_memory_equal(rx->rx[5].data, packet.data, 60);
	assert_memory_equal(rx->rx[6].data + 54, lab->p[0]->tx[2].data + 54,
			    1000);
	/* And a large one that has become shorter than what was delivered. */
	rx->rx_room = 5;
	send_large(lab, 0, 11, 20000, 1);
	run(lab);
	lab->p[0]->tx[3].len = 54 + 2000;
	rx->rx_room = 100;
	run(lab);
	assert_int_equal(rx->n_rx, 9 + 5);
	assert_int_equal(lab->p[0]->n_tx, 4);
}

/* What comes out of one port goes into the other, as in a bridge behind two;
 * as many frames as it has room for.  How many. */
static unsigned int through_cable(struct fake_port *from, struct fake_port *to)
{
	static struct packet packet;
	unsigned int n = from->n_rx;

	/* What was sent is out of the way. */
	while (to->n_tx) {
		free(to->tx[--to->n_tx].data);
		to->tx[to->n_tx] = to->tx[--to->n_to_send];
	}
	for (unsigned int i = 0; i < n && to->n_to_send < 1000; i++) {
		packet.len = from->rx[i].len;
		memcpy(packet.data, from->rx[i].data, packet.len);
		fake_send(to, &packet);
	}
	fake_clear_rx(from);
	return n;
}

/* T24: two ports in one other network: what is broadcast goes round for ever,
 * and is not limited.  A round is as short as ever, the ports beside it are
 * served, and lose nothing; when the loop is cut it is over. */
static void test_loop(void **state)
{
	struct lab *lab = *state;
	enum { N_STORM = 64, N_ROUNDS = 2000 };
	uint64_t n_cable = 0;

	learn_all(lab);
	for (unsigned int i = 0; i < N_STORM; i++)
		send_eth(lab, 2, 255, 12, i);
	for (unsigned int i = 0; i < N_ROUNDS; i++) {
		uint64_t before = verdicts_sum(lab);

		send_eth(lab, 0, 11, 10, i);
		fake_clear_rx(lab->p[0]);
		fake_clear_rx(lab->p[1]);
		assert_true(worker_round(lab->worker));
		/* A batch for each that sends. */
		assert_in_range(verdicts_sum(lab) - before, 1, 2 * BATCH_MAX +
				1);
		assert_int_equal(lab->p[0]->n_tx, 1 + i + 1);
		assert_in_range(lab->p[1]->n_rx, 1, 2 * BATCH_MAX + 1);
		n_cable += through_cable(lab->p[2], lab->p[3]);
		n_cable += through_cable(lab->p[3], lab->p[2]);
	}
	assert_true(n_cable > N_ROUNDS * N_STORM / 4);
	assert_int_equal(queue(lab->p[1])->stats.rx_full.v, 0);
	assert_int_equal(queue(lab->p[0])->stats.tx_held.v, 0);
	assert_int_equal(vswitch_macs(lab->sw, (struct vswitch_mac[8]){ 0 }, 8),
			 N_PORTS);
	port_set_link(&lab->p[3]->port, false);
	for (unsigned int i = 0; i < N_STORM; i++) {
		run(lab);
		n_cable = through_cable(lab->p[2], lab->p[3]) +
			through_cable(lab->p[3], lab->p[2]);
		fake_clear_rx(lab->p[0]);
		fake_clear_rx(lab->p[1]);
	}
	assert_int_equal(n_cable, 0);
	assert_false(worker_round(lab->worker));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_flood_then_unicast),
		TEST(test_broadcast),
		TEST(test_mixed_batch),
		TEST(test_move),
		TEST(test_ageing),
		TEST(test_ageing_by_timer),
		TEST(test_tags_pass),
		TEST(test_bad_addresses),
		TEST(test_short),
		TEST(test_link_down),
		TEST(test_alone),
		TEST(test_detach_forgets),
		TEST(test_names_are_unique),
		TEST(test_verdict_table),
		TEST(test_hold_and_drain),
		TEST(test_held_is_asked_again),
		TEST(test_stuck_receiver),
		TEST(test_slow_port_stalls_only_its_sender),
		TEST(test_hold_is_bounded_by_sender),
		TEST(test_flood_never_waits),
		TEST(test_large_flood),
		TEST(test_large_resumes),
		TEST(test_large_changed_while_held),
		TEST(test_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
