/* SPDX-License-Identifier: Apache-2.0
 *
 * What does a frame between two virtio-nets cost the switch's core, if the
 * machines' cores are not in the way?  Their rings and buffers lie here, and
 * the "drivers" do nothing but move the available index on.  Prints cycles of
 * the time stamp counter a frame; for instructions:
 *
 *   valgrind --tool=callgrind build/bench/bench_virtio 60 100000
 *
 * usage: bench_virtio [LEN [FRAMES]]		(60, 508 and 1514; 20000000)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/time.h"
#include "loop/worker.h"
#include "mem/dma.h"
#include "switch/vswitch.h"
#include "virtio/net.h"

enum {
	QUEUE = 256,
	BURST = 32,
	BUFFER_LEN = 2048,
	BASE = 0x100000,		/* guest address of all that follows */
	/* Of each queue: its three areas, and a buffer an entry. */
	DESC = 0, AVAIL = 0x2000, USED = 0x3000, BUFFERS = 0x4000,
	QUEUE_LEN = BUFFERS + QUEUE * BUFFER_LEN,
	MEMORY_LEN = 4 * QUEUE_LEN,
	HDR_LEN = 12,
};

/* One descriptor, as split rings have it (VIRTIO 1.2, 2.7.5). */
struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct machine {
	struct virtio_net net;
	uint16_t *avail_idx[2];		/* of its receive and transmit queue */
	uint16_t *used_idx[2];
};

static struct machine machines[2];
static uint8_t *memory;

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench_virtio: %s\n", what);
	exit(1);
}

static void nobody(struct virtio_net *net, unsigned int vq)
{
	(void)net, (void)vq;
}

static void gone(struct virtio_net *net)
{
	(void)net;
}

static const struct virtio_net_ops ops = { .call = nobody, .destroy = gone };

static void start_queue(struct machine *m, unsigned int vq, uint32_t frame_len)
{
	uint64_t at = (uint64_t)QUEUE_LEN *
		(2 * (unsigned int)(m - machines) + vq);
	uint8_t *queue = memory + at;
	struct desc *desc = (struct desc *)(queue + DESC);
	uint16_t *avail = (uint16_t *)(queue + AVAIL);
	struct vring_config config = {
		.size = QUEUE, .features = m->net.features,
		.desc = BASE + at + DESC, .driver = BASE + at + AVAIL,
		.device = BASE + at + USED,
	};

	for (uint16_t i = 0; i < QUEUE; i++) {
		desc[i] = (struct desc) {
			.addr = BASE + at + BUFFERS + BUFFER_LEN * i,
			.len = vq ? HDR_LEN + frame_len : BUFFER_LEN,
			.flags = vq ? 0 : 2,
		};
		avail[2 + i] = i;
	}
	avail[0] = 1;			/* no interrupts */
	m->avail_idx[vq] = &avail[1];
	m->used_idx[vq] = (uint16_t *)(queue + USED) + 1;
	check(!virtio_net_queue_start(&m->net, vq, &config, NULL),
	      "a queue does not start");
}

static void start_machine(struct machine *m, struct worker *worker,
			  struct dma_space *dma, struct vswitch *sw)
{
	bool first = m == machines;
	struct virtio_net_params params = {
		.name = first ? "a" : "b", .worker = worker, .n_pairs = 1,
		.features = UINT64_MAX,
	};

	virtio_net_init(&m->net, &ops, &params);
	m->net.dma = dma;
	check(!vswitch_attach(sw, &m->net.port), "a port is not attached");
	check(!virtio_net_set_features(&m->net, BIT64(VIRTIO_F_VERSION_1) |
				       BIT64(VIRTIO_NET_F_MRG_RXBUF)),
	      "features are not accepted");
}

/* Every buffer to send holds a frame from the one to the other. */
static void fill_frames(struct machine *m)
{
	unsigned int from = (unsigned int)(m - machines);

	for (unsigned int i = 0; i < QUEUE; i++) {
		uint8_t *frame = memory + (2 * from + 1) * (size_t)QUEUE_LEN +
			BUFFERS + BUFFER_LEN * i + HDR_LEN;
		uint8_t to[] = { 2, 0, 0, 0, 0, (uint8_t)!from,
				 2, 0, 0, 0, 0, (uint8_t)from, 0x88, 0xb5 };

		memcpy(frame, to, sizeof(to));
	}
}

/* The machine has a burst to send, and gets its buffers back. */
static void offer(struct machine *m, unsigned int n)
{
	*m->avail_idx[1] = (uint16_t)(*m->avail_idx[1] + n);
}

static void refill(struct machine *m)
{
	*m->avail_idx[0] = (uint16_t)(*m->used_idx[0] + QUEUE);
}

static void run(uint32_t len, uint64_t n_frames)
{
	struct worker *worker = worker_create("bench", 0);
	struct vswitch *sw = vswitch_create(&(struct vswitch_config) {
		.name = "bench", .worker = worker });
	struct dma_space *dma = dma_space_create("bench", NULL);
	int fd = memfd_create("bench", 0);
	struct machine *a = &machines[0], *b = &machines[1];
	uint64_t ticks, ns;

	check(worker && sw && dma && fd >= 0 && !ftruncate(fd, MEMORY_LEN) &&
	      !dma_space_map(dma, BASE, MEMORY_LEN, DMA_READ | DMA_WRITE, fd,
			     0), "cannot be set up");
	memory = mmap(NULL, MEMORY_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		      0);
	check(memory != MAP_FAILED, "no memory");
	for (struct machine *m = a; m <= b; m++) {
		start_machine(m, worker, dma, sw);
		start_queue(m, 0, len);
		start_queue(m, 1, len);
		fill_frames(m);
		refill(m);
	}
	offer(b, 1);			/* the switch learns where b is */
	worker_round(worker);
	ns = time_now_ns();
	ticks = __builtin_ia32_rdtsc();
	for (uint64_t i = 0; i < n_frames; i += BURST) {
		offer(a, BURST);
		worker_round(worker);
		refill(b);
	}
	ticks = __builtin_ia32_rdtsc() - ticks;
	ns = time_now_ns() - ns;
	check(counter_read(&a->net.port.queues[0].stats.tx_frames) >= n_frames,
	      "frames were left");
	printf("%4u B: %6.1f cycles a frame, %6.2f Mpps\n", len + 4,
	       (double)ticks / (double)n_frames,
	       (double)n_frames * 1e3 / (double)ns);
	for (struct machine *m = a; m <= b; m++) {
		virtio_net_reset(&m->net);
		vswitch_detach(&m->net.port);
	}
	vswitch_destroy(sw);
	dma_space_destroy(dma);
	worker_destroy(worker);
	munmap(memory, MEMORY_LEN);
	close(fd);
}

int main(int argc, char **argv)
{
	static const uint32_t lens[] = { 60, 508, 1514 };
	uint64_t n_frames = argc > 2 ? strtoull(argv[2], NULL, 0) : 20000000;

	check(!dma_init(), "dma_init() failed");
	if (argc > 1)
		run((uint32_t)strtoul(argv[1], NULL, 0), n_frames);
	for (unsigned int i = 0; argc < 2 && i < ARRAY_SIZE(lens); i++)
		run(lens[i], n_frames);
	return 0;
}
