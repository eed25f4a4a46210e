/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast is the switch by itself?  Synthetic ports on one worker: a sender
 * whose frames lie in memory, receivers that copy what they get, as a guest's
 * ring would take it.  Prints frames/s and payload bit/s of one core.
 *
 * usage: bench_switch [SECONDS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "loop/worker.h"
#include "port/port.h"
#include "proto/eth.h"
#include "proto/ip.h"
#include "proto/tcp.h"
#include "switch/vswitch.h"

enum { N_RECEIVERS = 4, HDR_LEN = 54 };

/* Sends the same frame for ever, to each receiver in turn. */
struct sender {
	struct port port;
	uint8_t frames[N_RECEIVERS][FRAME_LEN_MAX];
	uint32_t len;		/* of a frame */
	uint16_t gso_size;	/* 0: small frames */
	unsigned int run;	/* frames in a row to one receiver */
	unsigned int next;	/* frames sent */
	bool on;		/* sends at all */
};

/* Copies frames into a ring of buffers. */
struct receiver {
	struct port port;
	uint8_t *ring;		/* RING_LEN bytes */
	uint32_t at;
};

enum { RING_LEN = 1 << 20 };

/* One line of the result. */
struct scenario {
	const char *what;
	uint32_t len;
	uint16_t gso_size;
	unsigned int run;
	bool gso;		/* receivers take large frames */
	bool csum;		/* and partial checksums */
	bool flood;
};

static const struct scenario scenarios[] = {
	{ .what = "64 B, one receiver", .len = 60, .run = 1u << 20 },
	{ .what = "64 B, a receiver a frame", .len = 60, .run = 1 },
	{ .what = "64 B, to all four", .len = 60, .run = 32, .flood = true },
	{ .what = "1518 B, one receiver", .len = 1514, .run = 1u << 20 },
	{ .what = "64 KiB, whole", .len = 65226, .gso_size = 1448, .run = 32,
	  .gso = true, .csum = true },
	{ .what = "64 KiB, cut up", .len = 65226, .gso_size = 1448, .run = 32,
	  .csum = true },
	{ .what = "64 KiB, cut up, checksums", .len = 65226, .gso_size = 1448,
	  .run = 32 },
};

static void sender_tx_burst(struct port_queue *queue,
			    struct frame_batch *batch, bool *worked)
{
	struct sender *s = container_of(queue->port, struct sender, port);
	unsigned int i = s->next;
	struct frame *frame;

	while (s->on && (frame = batch_next(batch))) {
		struct iovec iov = {
			s->frames[i++ / s->run % N_RECEIVERS], s->len
		};

		if (batch_fill(batch, frame, &iov, 1, s->len) < 0)
			abort();
		if (s->gso_size) {
			frame->flags = FRAME_CSUM_PARTIAL;
			frame->gso = FRAME_GSO_TCP4;
			frame->gso_size = s->gso_size;
			frame->gso_hdr_len = HDR_LEN;
			frame->csum_start = 34;
			frame->csum_offset = offsetof(struct tcp_hdr, csum);
		}
		batch_commit(batch, frame);
	}
}

static void sender_tx_done(struct port_queue *queue,
			   const struct frame_batch *batch, unsigned int n)
{
	container_of(queue->port, struct sender, port)->next += n;
}

static unsigned int sender_rx_burst(struct port_queue *queue,
				    struct frame *const *frames,
				    unsigned int n)
{
	return n;
}

static const struct port_ops sender_ops = {
	.kind = "bench",
	.tx_burst = sender_tx_burst,
	.tx_done = sender_tx_done,
	.rx_burst = sender_rx_burst,
};

static void receiver_tx_burst(struct port_queue *queue,
			      struct frame_batch *batch, bool *worked)
{
}

static unsigned int receiver_rx_burst(struct port_queue *queue,
				      struct frame *const *frames,
				      unsigned int n)
{
	struct receiver *r = container_of(queue->port, struct receiver, port);

	for (unsigned int i = 0; i < n; i++) {
		if (RING_LEN - r->at < frames[i]->len)
			r->at = 0;
		r->at += frame_copy(frames[i], r->ring + r->at,
				    frames[i]->len);
	}
	return n;
}

static const struct port_ops receiver_ops = {
	.kind = "bench",
	.tx_burst = receiver_tx_burst,
	.rx_burst = receiver_rx_burst,
};

/* A TCP packet as far as anything here looks. */
static void make_frame(uint8_t *data, uint32_t len, unsigned int dst)
{
	static const uint8_t prefix[ETH_ADDR_LEN] = { 0x52, 0x54 };
	struct eth_hdr *eth = (struct eth_hdr *)data;
	struct ip4_hdr *ip = (struct ip4_hdr *)(eth + 1);
	struct tcp_hdr *tcp = (struct tcp_hdr *)(ip + 1);

	for (uint32_t i = 0; i < len; i++)
		data[i] = (uint8_t)i;
	memset(data, 0, HDR_LEN);
	memcpy(eth->dst, prefix, ETH_ADDR_LEN);
	memcpy(eth->src, prefix, ETH_ADDR_LEN);
	eth->dst[5] = (uint8_t)(1 + dst);
	eth->src[5] = 0xff;
	eth->type = be16_of(ETH_TYPE_IP4);
	ip->ver_ihl = 0x45;
	ip->proto = IP_PROTO_TCP;
	tcp->data_off = 5 << 4;
}

/* Let the switch learn a receiver's address. */
static void announce(struct receiver *r, unsigned int i)
{
	static struct frame_batch batch;
	uint8_t data[60];
	struct iovec iov = { data, sizeof(data) };
	struct frame *frame;

	make_frame(data, sizeof(data), 0);
	data[11] = (uint8_t)(1 + i);
	batch.n = batch.n_segs = 0;
	frame = batch_next(&batch);
	if (batch_fill(&batch, frame, &iov, 1, sizeof(data)) < 0)
		abort();
	batch_commit(&batch, frame);
	r->port.input(&r->port.queues[0], &batch);
}

static void run(const struct scenario *scenario, struct worker *worker,
		struct sender *s, struct receiver *receivers, double seconds)
{
	uint64_t start, ns, rx = 0, was = 0;
	struct port_stats stats;

	s->len = scenario->len;
	s->gso_size = scenario->gso_size;
	s->run = scenario->run;
	for (unsigned int i = 0; i < N_RECEIVERS; i++) {
		struct port_caps *caps = &receivers[i].port.caps;

		make_frame(s->frames[i], s->len, i);
		if (scenario->flood)
			memset(s->frames[i], 0xff, ETH_ADDR_LEN);
		caps->max_len = s->gso_size ? 1514 : FRAME_LEN_MAX;
		caps->gso = scenario->gso ? FRAME_GSO_TCP4 : 0;
		caps->csum = scenario->csum;
		port_stats_sum(&receivers[i].port, &stats);
		was += counter_read(&stats.rx_frames);
	}
	s->next = 0;
	s->on = true;
	start = time_now_ns();
	while ((ns = time_now_ns() - start) < seconds * (double)NS_PER_S)
		for (unsigned int i = 0; i < 64; i++)
			worker_round(worker);
	s->on = false;
	for (unsigned int i = 0; i < N_RECEIVERS; i++) {
		port_stats_sum(&receivers[i].port, &stats);
		rx += counter_read(&stats.rx_frames);
	}
	printf("%-28s %8.3f Mframe/s in %8.3f out %9.2f Gbit/s\n",
	       scenario->what, s->next * 1e3 / (double)ns,
	       (double)(rx - was) * 1e3 / (double)ns,
	       (double)s->next * s->len * 8 / (double)ns);
}

int main(int argc, char **argv)
{
	static struct receiver receivers[N_RECEIVERS];
	static struct sender sender;
	double seconds = argc > 1 ? atof(argv[1]) : 1;
	struct worker *worker = worker_create("bench", 0);
	struct vswitch *sw = vswitch_create(&(struct vswitch_config) {
		.name = "bench", .worker = worker });

	port_init(&sender.port, &sender_ops, "sender", worker, 1);
	sender.port.caps.max_len = FRAME_LEN_MAX;
	if (!sw || vswitch_attach(sw, &sender.port))
		return 1;
	for (unsigned int i = 0; i < N_RECEIVERS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "receiver%u", i);
		port_init(&receivers[i].port, &receiver_ops, name, worker, 1);
		receivers[i].ring = malloc(RING_LEN);
		if (!receivers[i].ring ||
		    vswitch_attach(sw, &receivers[i].port))
			return 1;
		announce(&receivers[i], i);
	}
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++)
		run(&scenarios[i], worker, &sender, receivers, seconds);
	return 0;
}
