/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio-net over a guest memory that holds anything, while a second thread
 * changes it.  Two devices on one switch share the memory: what the first one
 * sends, large frames and partial checksums included, the second one receives,
 * cut up and completed if its features ask for it.
 *
 * The input: two bytes choose the features of each device, one the queues'
 * size, one what the second thread does; the rest is the memory's beginning,
 * which is where the rings are.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "switch/vswitch.h"
#include "virtio/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BASE 0x1000ull
#define F(name) BIT64(VIRTIO_NET_F_##name)

enum {
	MEMORY = 64 * 4096,
	AREA = 512,		/* of each of a queue's three areas */
	ROUNDS = 12,
	PAIRS = 2,
	VQS = 2 * PAIRS + 1,
};

/* Chosen by a byte's bits. */
static const uint64_t features[] = {
	BIT64(VIRTIO_F_RING_PACKED) | BIT64(VIRTIO_F_VERSION_1),
	BIT64(VIRTIO_F_INDIRECT_DESC), BIT64(VIRTIO_F_EVENT_IDX),
	F(MRG_RXBUF), F(GUEST_CSUM), F(GUEST_CSUM) | F(GUEST_TSO4) |
	F(GUEST_TSO6) | F(GUEST_USO4) | F(GUEST_USO6),
	F(HASH_REPORT) | F(RSS) | F(MQ) | F(CTRL_VQ) | F(CTRL_VLAN),
	F(CTRL_VQ) | F(CTRL_RX) | F(CTRL_MAC_ADDR) | F(NOTF_COAL) |
	F(CTRL_GUEST_OFFLOADS) | F(CTRL_RX_EXTRA),
};

static struct {
	struct worker *worker;
	struct vswitch *sw;
	struct virtio_net net[2];
	uint8_t *memory;
	uint64_t now;
	pthread_t scribbler;
	bool stop;		/* atomic */
	uint8_t scribble;	/* 0: nothing */
} f;

static void ignore(struct virtio_net *net, unsigned int vq)
{
}

static void ignore_config(struct virtio_net *net)
{
}

static void nothing_to_free(struct virtio_net *net)
{
}

static const struct virtio_net_ops ops = {
	.call = ignore,
	.config_changed = ignore_config,
	.broken = ignore,
	.destroy = nothing_to_free,
};

static void set_up(void)
{
	struct virtio_net_params params = {
		.mac = { 2 }, .mtu = 1500, .n_pairs = PAIRS,
		.features = UINT64_MAX,
	};
	struct vswitch_config config = { .name = "fuzz" };
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	log_level = LOG_ERR;
	f.worker = worker_create("fuzz", 0);
	config.worker = params.worker = f.worker;
	f.sw = vswitch_create(&config);
	if (fd < 0 || ftruncate(fd, MEMORY) || dma_init() || !f.sw)
		abort();
	f.memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			0);
	for (int i = 0; i < 2; i++) {
		params.name = i ? "b" : "a";
		virtio_net_init(&f.net[i], &ops, &params);
		f.net[i].dma = dma_space_create(params.name, NULL);
		/* Two ranges, the other way round. */
		if (dma_space_map(f.net[i].dma, BASE, MEMORY / 2,
				  DMA_READ | DMA_WRITE, fd, MEMORY / 2) ||
		    dma_space_map(f.net[i].dma, BASE + MEMORY / 2, MEMORY / 2,
				  DMA_READ | DMA_WRITE, fd, 0) ||
		    vswitch_attach(f.sw, &f.net[i].port))
			abort();
	}
}

static void *scribble(void *arg)
{
	uint32_t at = f.scribble;

	while (!__atomic_load_n(&f.stop, __ATOMIC_RELAXED)) {
		at = at * 1664525 + 1013904223;
		__atomic_fetch_xor(&f.memory[MEMORY / 2 + (at >> 8) % 8192],
				   (uint8_t)at, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void start(int i, uint8_t choice, uint16_t queue_size)
{
	struct virtio_net *net = &f.net[i];
	uint64_t accepted = 0;

	for (size_t b = 0; b < ARRAY_SIZE(features); b++)
		if (choice & BIT(b))
			accepted |= features[b];
	virtio_net_reset(net);
	if (virtio_net_set_features(net, accepted))
		return;
	for (unsigned int vq = 0; vq < VQS; vq++) {
		uint64_t at = BASE + (uint64_t)(i * VQS + vq) * 3 * AREA;
		struct vring_config config = {
			.size = queue_size, .features = accepted,
			.desc = at, .driver = at + AREA,
			.device = at + 2 * AREA,
		};

		/* A size it does not take, a queue there is not: no matter. */
		if (virtio_net_queue_start(net, vq, &config, NULL))
			continue;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!f.sw)
		set_up();
	if (size < 4)
		return 0;
	memset(f.memory, 0, MEMORY);
	/* The first range is the file's second half. */
	memcpy(f.memory + MEMORY / 2, data + 4,
	       min_of(size - 4, (size_t)MEMORY / 2));
	for (int i = 0; i < 2; i++)
		start(i, data[i], data[2] & 0x80 ? data[2] & 31 :
		      (uint16_t)BIT(data[2] & 7));
	f.scribble = data[3];
	f.stop = false;
	if (f.scribble && pthread_create(&f.scribbler, NULL, scribble, NULL))
		abort();
	for (int i = 0; i < ROUNDS; i++) {
		worker_set_now(f.worker, f.now += 300000);
		worker_round(f.worker);
		for (int n = 0; n < 2; n++)
			virtio_net_kick(&f.net[n],
					virtio_net_ctrl_idx(&f.net[n]));
	}
	if (f.scribble) {
		__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
		pthread_join(f.scribbler, NULL);
	}
	for (int i = 0; i < 2; i++)
		virtio_net_reset(&f.net[i]);
	return 0;
}
