/* SPDX-License-Identifier: Apache-2.0
 *
 * A switch on workers that run: ports on all of them send to each other as fast
 * as they can, while they are attached and detached, and while they sleep.
 * Every frame received is compared with what was sent, and each port's frames
 * have to come in the order in which they were sent.  Made for ThreadSanitizer,
 * and useful without.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/byteorder.h"
#include "base/time.h"
#include "proto/eth.h"
#include "switch/vswitch.h"

enum {
	N_WORKERS = 3,
	N_PORTS = 7,
	LEN_MIN = 60,
	LEN_MAX = 3000,
	N_FRAMES = 2000,	/* each port sends */
	N_COMINGS = 100,
	PATIENCE_S = 30,
};

/* At the beginning of every frame; what follows it goes by the payload. */
struct head {
	struct eth_hdr eth;
	be16 pad;
	uint32_t src;		/* number of the port */
	uint32_t seq;		/* of the frame, from 1 */
};

struct flow_port {
	struct port port;
	unsigned int idx;
	uint32_t n_to_send;	/* atomic: frames to be sent in all */
	uint32_t n_sent;	/* atomic: consumed */
	uint32_t n_received;	/* atomic */
	uint32_t n_wrong;	/* atomic: frames that differ, or overtake */
	uint32_t last[N_PORTS];	/* seq received last, by sender */
	bool echo;		/* send one for each one received */
	uint32_t random;	/* xorshift state */
	uint8_t bufs[BATCH_MAX][LEN_MAX];
};

static struct worker *workers[N_WORKERS];
static struct vswitch *sw;
static struct flow_port *ports[N_PORTS];

static uint32_t get(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

/* By the port's worker, or before it runs. */
static void add(uint32_t *p, uint32_t n)
{
	__atomic_store_n(p, *p + n, __ATOMIC_RELEASE);
}

static uint32_t next_random(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

static struct flow_port *flow_of(struct port *port)
{
	return container_of(port, struct flow_port, port);
}

/* What the frame is like follows from sender and number alone: it is offered
 * again if it was not taken. */
static uint32_t make_frame(uint32_t src, uint32_t seq, uint8_t *buf)
{
	uint32_t x = (src + 1) * 2654435761u ^ seq * 40503u;
	uint32_t dst = next_random(&x) % (N_PORTS + 1);
	uint32_t len = LEN_MIN + next_random(&x) % (LEN_MAX - LEN_MIN);
	struct head head = {
		.eth.src = { 2, 0, 0, 0, 0, (uint8_t)src },
		.eth.dst = { 2, 0, 0, 0, 0, (uint8_t)dst },
		.src = src,
		.seq = seq,
	};

	if (dst == N_PORTS || dst == src)
		memset(head.eth.dst, 0xff, sizeof(head.eth.dst));
	if (next_random(&x) % 4)
		len = LEN_MIN;
	for (uint32_t i = 0; i < len; i++)
		buf[i] = (uint8_t)(x + i);
	memcpy(buf, &head, sizeof(head));
	return len;
}

static void flow_tx_burst(struct port_queue *queue, struct frame_batch *batch,
			  bool *worked)
{
	struct flow_port *f = flow_of(queue->port);
	uint32_t end = get(&f->n_to_send);

	for (uint32_t seq = f->n_sent + 1; seq <= end; seq++) {
		struct frame *frame = batch_next(batch);
		struct iovec iov = { f->bufs[batch->n % BATCH_MAX], LEN_MAX };
		uint32_t len;

		if (!frame)
			return;
		len = make_frame(f->idx, seq, iov.iov_base);
		if (batch_fill(batch, frame, &iov, 1, len) < 0)
			abort();
		batch_commit(batch, frame);
	}
}

static void flow_tx_done(struct port_queue *queue,
			 const struct frame_batch *batch, unsigned int n)
{
	add(&flow_of(queue->port)->n_sent, n);
}

static bool frame_is_right(struct flow_port *f, const struct frame *frame)
{
	static _Thread_local uint8_t got[LEN_MAX], sent[LEN_MAX];
	uint32_t len = frame_copy(frame, got, sizeof(got));
	struct head head;
	bool right;

	memcpy(&head, got, sizeof(head));
	if (head.src >= N_PORTS || head.src == f->idx)
		return false;
	right = len == make_frame(head.src, head.seq, sent) &&
		!memcmp(got, sent, len) && head.seq > f->last[head.src];
	f->last[head.src] = head.seq;
	return right;
}

static void pause_for(uint32_t turns)
{
	for (volatile uint32_t i = 0; i < turns; i++)
		;
}

static unsigned int flow_rx_burst(struct port_queue *queue,
				  struct frame *const *frames, unsigned int n)
{
	struct flow_port *f = flow_of(queue->port);

	/* Short of room now and then. */
	if (!f->echo && next_random(&f->random) % 8 == 0)
		n = next_random(&f->random) % (n + 1);
	for (unsigned int i = 0; i < n; i++)
		if (!frame_is_right(f, frames[i]))
			add(&f->n_wrong, 1);
	add(&f->n_received, n);
	if (f->echo) {
		pause_for(next_random(&f->random) % 16 * 256);
		add(&f->n_to_send, n);
	}
	return n;
}

static const struct port_ops flow_ops = {
	.kind = "flow",
	.tx_burst = flow_tx_burst,
	.tx_done = flow_tx_done,
	.rx_burst = flow_rx_burst,
};

static void new_port(unsigned int i, unsigned int n_workers)
{
	char name[16];

	ports[i] = calloc(1, sizeof(*ports[i]));
	snprintf(name, sizeof(name), "p%u", i);
	port_init(&ports[i]->port, &flow_ops, name, workers[i % n_workers], 1);
	ports[i]->port.caps.max_len = FRAME_LEN_MAX;
	ports[i]->idx = i;
	ports[i]->random = i + 1;
}

static void start(unsigned int n_workers, unsigned int n_ports,
		  uint64_t poll_ns)
{
	for (unsigned int i = 0; i < n_workers; i++) {
		workers[i] = worker_create("test", poll_ns);
		assert_non_null(workers[i]);
	}
	sw = vswitch_create(&(struct vswitch_config) {
		.name = "net", .workers = workers, .n_workers = n_workers });
	assert_non_null(sw);
	for (unsigned int i = 0; i < n_workers; i++)
		assert_int_equal(worker_start(workers[i]), 0);
	for (unsigned int i = 0; i < n_ports; i++) {
		new_port(i, n_workers);
		assert_int_equal(vswitch_attach(sw, &ports[i]->port), 0);
	}
}

static void finish(unsigned int n_workers, unsigned int n_ports)
{
	for (unsigned int i = 0; i < n_ports; i++)
		vswitch_detach(&ports[i]->port);
	for (unsigned int i = 0; i < n_workers; i++)
		worker_stop(workers[i]);
	vswitch_destroy(sw);
	for (unsigned int i = 0; i < n_workers; i++)
		worker_destroy(workers[i]);
	for (unsigned int i = 0; i < n_ports; i++) {
		assert_int_equal(ports[i]->n_wrong, 0);
		free(ports[i]);
	}
}

struct send_call {
	struct flow_port *port;
	uint32_t n;
};

static void send_more(void *arg)
{
	const struct send_call *call = arg;

	add(&call->port->n_to_send, call->n);
}

/* A call wakes the worker as well. */
static void send_frames(unsigned int port, uint32_t n)
{
	worker_call(ports[port]->port.queues[0].worker, send_more,
		    &(struct send_call){ ports[port], n });
}

/* Has every frame arrived, at all whom it was for, or been counted? */
static bool all_accounted_for(void)
{
	uint64_t arrived = 0, due;
	struct port_stats stats;

	for (unsigned int i = 0; i < N_PORTS; i++) {
		if (get(&ports[i]->n_sent) != N_FRAMES)
			return false;
		port_stats_sum(&ports[i]->port, &stats);
		arrived += counter_read(&stats.rx_frames) +
			   counter_read(&stats.rx_full);
	}
	due = vswitch_verdicts(sw, VERDICT_UNICAST) +
	      vswitch_verdicts(sw, VERDICT_DROP_RX_FULL) +
	      vswitch_verdicts(sw, VERDICT_FLOOD) * (N_PORTS - 1);
	return arrived == due;
}

static void test_nothing_is_lost_uncounted(void **state)
{
	uint64_t end;

	start(N_WORKERS, N_PORTS, 20 * NS_PER_US);
	for (unsigned int i = 0; i < N_PORTS; i++)
		send_frames(i, N_FRAMES);
	end = time_now_ns() + PATIENCE_S * NS_PER_S;
	while (!all_accounted_for()) {
		assert_true(time_now_ns() < end);
		usleep(1000);
	}
	assert_true(vswitch_verdicts(sw, VERDICT_UNICAST) > 0);
	assert_int_equal(vswitch_verdicts(sw, VERDICT_DROP_SAME_PORT), 0);
	finish(N_WORKERS, N_PORTS);
}

static void list_macs(void *arg)
{
	static struct vswitch_mac macs[2 * N_PORTS];
	unsigned int *n = arg;

	*n = vswitch_macs(sw, macs, ARRAY_SIZE(macs));
}

static void pull_and_plug(void *arg)
{
	struct port *port = arg;

	vswitch_forget(port);
	port_set_link(port, false);
	port_set_link(port, true);
}

/* Ports go in mid-traffic, of every worker in turn: nothing reaches them any
 * more, and the others' frames stay whole and in order. */
static void test_ports_come_and_go(void **state)
{
	struct port_stats stats;
	unsigned int n_macs;

	start(N_WORKERS, N_PORTS, 20 * NS_PER_US);
	for (unsigned int i = 0; i < N_PORTS; i++)
		send_frames(i, UINT32_MAX / 2);
	for (unsigned int n = 0; n < N_COMINGS; n++) {
		struct flow_port *f = ports[n % N_PORTS];
		struct port *linked = &ports[(n + 1) % N_PORTS]->port;
		uint32_t sent, received;

		vswitch_detach(&f->port);
		sent = get(&f->n_sent);
		received = get(&f->n_received);
		worker_call(workers[0], list_macs, &n_macs);
		assert_true(n_macs <= N_PORTS - 1);
		usleep(200);
		assert_int_equal(get(&f->n_sent), sent);
		assert_int_equal(get(&f->n_received), received);
		assert_int_equal(vswitch_attach(sw, &f->port), 0);
		worker_call(linked->queues[0].worker, pull_and_plug, linked);
		port_stats_sum(linked, &stats);
		usleep(200);
	}
	finish(N_WORKERS, N_PORTS);
}

static void make_echo(void *arg)
{
	((struct flow_port *)arg)->echo = true;
}

/* Two workers that sleep whenever they can, and a frame that goes to and fro:
 * nothing but its nudges wakes them.  Random pauses shift one against the
 * other.  A lost wake-up stops it for good. */
static void test_no_nudge_is_lost(void **state)
{
	enum { N_TURNS = 60000, SECONDS = 3 };
	uint64_t stop = time_now_ns() + SECONDS * NS_PER_S;
	uint64_t checked = time_now_ns();
	uint32_t last = 0;

	start(2, 2, 0);
	worker_call(workers[0], make_echo, ports[0]);
	worker_call(workers[1], make_echo, ports[1]);
	send_frames(0, 1);
	while (get(&ports[0]->n_received) < N_TURNS && time_now_ns() < stop) {
		usleep(100);
		if (get(&ports[0]->n_received) != last) {
			last = get(&ports[0]->n_received);
			checked = time_now_ns();
		}
		assert_true(time_now_ns() - checked < 5 * NS_PER_S);
	}
	assert_true(last > 100);
	for (unsigned int i = 0; i < 2; i++)
		assert_true(counter_read(&worker_stats(workers[i])->sleeps) >
			    0);
	finish(2, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_lost_uncounted),
		cmocka_unit_test(test_ports_come_and_go),
		cmocka_unit_test(test_no_nudge_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
