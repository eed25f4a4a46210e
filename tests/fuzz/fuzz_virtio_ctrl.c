/* SPDX-License-Identifier: Apache-2.0
 *
 * The control queue of virtio-net: commands of any class, with any data, whose
 * answer has to come; after each the device has to be one that can receive.
 *
 * The input: a byte whose bits choose features, then commands:
 *
 *	class, command, length of the data (2 bytes), data
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "virtio/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define F(name) BIT64(VIRTIO_NET_F_##name)

enum {
	PAIRS = 4, CTRL = 2 * PAIRS,
	MEMORY = 16 * 4096,
	/* Where the driver has its things: two queues, a command, a buffer. */
	CTRL_RING = 0, RX_RING = 0x1000, AVAIL = 0x400, USED = 0x800,
	COMMAND = 0x2000, ANSWER = 0x7000, BUFFER = 0x8000, BUFFER_LEN = 0x1000,
	N = 8,			/* entries of the queues */
	DATA_MAX = ANSWER - COMMAND - 2, NO_ANSWER = 77,
	DESC_NEXT = 1, DESC_WRITE = 2,
};

/* Chosen by a byte's bits; VERSION_1 and CTRL_VQ are always there. */
static const uint64_t features[8] = {
	F(CTRL_RX), F(CTRL_RX_EXTRA) | F(CTRL_MAC_ADDR), F(CTRL_VLAN), F(MQ),
	F(RSS), F(HASH_REPORT), F(GUEST_ANNOUNCE) | F(STATUS) | F(NOTF_COAL),
	F(CTRL_GUEST_OFFLOADS) | F(GUEST_CSUM) | F(GUEST_TSO4) | F(GUEST_TSO6),
};

static struct {
	struct worker *worker;
	struct virtio_net net;
	uint8_t *memory;
	uint64_t now;
	uint16_t n_commands, n_buffers;	/* made available */
} f;

static void need(bool ok)
{
	if (!ok)
		abort();
}

static void ignore(struct virtio_net *net, unsigned int vq)
{
}

static void ignore_config(struct virtio_net *net)
{
}

static const struct virtio_net_ops ops = {
	.call = ignore,
	.config_changed = ignore_config,
	.broken = ignore,
	.destroy = ignore_config,
};

static void set_up(void)
{
	struct virtio_net_params params = {
		.name = "ctrl", .mac = { 2 }, .mtu = 1500, .n_pairs = PAIRS,
		.features = UINT64_MAX,
	};
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	log_level = LOG_ERR;
	f.worker = params.worker = worker_create("fuzz", 0);
	need(fd >= 0 && !ftruncate(fd, MEMORY) && !dma_init());
	f.memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			0);
	virtio_net_init(&f.net, &ops, &params);
	f.net.dma = dma_space_create("fuzz", NULL);
	need(!dma_space_map(f.net.dma, 0, MEMORY, DMA_READ | DMA_WRITE, fd,
			    0));
}

static void descriptor(unsigned int ring, unsigned int slot, uint64_t gpa,
		       size_t len, uint16_t flags)
{
	uint8_t *d = f.memory + ring + 16 * slot;

	le64_store(d, gpa);
	le32_store(d + 8, (uint32_t)len);
	le16_store(d + 12, flags);
	le16_store(d + 14, (uint16_t)(slot + 1));
}

/* The chain that begins at slot 0. */
static void make_available(unsigned int ring, uint16_t *n)
{
	le16_store(f.memory + ring + AVAIL + 4 + 2 * (*n % N), 0);
	le16_store(f.memory + ring + AVAIL + 2, ++*n);
}

static void command(const uint8_t *header, const uint8_t *data, size_t len)
{
	memcpy(f.memory + COMMAND, header, 2);
	memcpy(f.memory + COMMAND + 2, data, len);
	f.memory[ANSWER] = NO_ANSWER;
	descriptor(CTRL_RING, 0, COMMAND, 2 + len, DESC_NEXT);
	descriptor(CTRL_RING, 1, ANSWER, 1, DESC_WRITE);
	make_available(CTRL_RING, &f.n_commands);
	virtio_net_kick(&f.net, virtio_net_ctrl_idx(&f.net));
	need(f.memory[ANSWER] == CTRL_OK || f.memory[ANSWER] == CTRL_ERR);
	need(le16_load(f.memory + CTRL_RING + USED + 2) == f.n_commands);
}

/* The beginning of the command's data, as a frame. */
static void receive(const uint8_t *data, size_t len)
{
	static struct frame_batch batch;
	static uint8_t bytes[128];
	struct iovec iov = { bytes, sizeof(bytes) };
	struct port *port = &f.net.port;
	struct frame *frame;
	unsigned int queue;

	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, data, min_of(len, sizeof(bytes)));
	batch.n = batch.n_segs = 0;
	frame = batch_next(&batch);
	need(!batch_fill(&batch, frame, &iov, 1, sizeof(bytes)));
	for (unsigned int sender = 0; sender < 2 * PAIRS; sender++) {
		queue = port->ops->rx_queue(port, frame, sender);
		need(queue < PAIRS && queue < port->n_rx);
	}
	/* The last one is still there if its frame was filtered. */
	if (le16_load(f.memory + RX_RING + USED + 2) == f.n_buffers) {
		descriptor(RX_RING, 0, BUFFER, BUFFER_LEN, DESC_WRITE);
		make_available(RX_RING, &f.n_buffers);
	}
	need(port->ops->rx_burst(&port->queues[0], &frame, 1) == 1);
	port->ops->rx_flush(&port->queues[0]);
}

static bool start(unsigned int vq, uint64_t ring)
{
	const struct vring_config config = {
		.size = N, .features = f.net.features, .desc = ring,
		.driver = ring + AVAIL, .device = ring + USED,
	};

	return !virtio_net_queue_start(&f.net, vq, &config, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t accepted = BIT64(VIRTIO_F_VERSION_1) | F(CTRL_VQ);

	if (!f.worker)
		set_up();
	if (!size)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (*data & BIT(i))
			accepted |= features[i];
	data++;
	size--;
	memset(f.memory, 0, MEMORY);
	f.n_commands = f.n_buffers = 0;
	virtio_net_reset(&f.net);
	need(!virtio_net_set_features(&f.net, accepted));
	need(start(0, RX_RING) && start(virtio_net_ctrl_idx(&f.net),
					CTRL_RING));
	while (size >= 4) {
		size_t len = le16_load(data + 2);

		len = min_of(min_of(len, size - 4), (size_t)DATA_MAX);
		command(data, data + 4, len);
		receive(data + 4, len);
		worker_set_now(f.worker, f.now += 300000);
		worker_round(f.worker);
		data += 4 + len;
		size -= 4 + len;
	}
	virtio_net_reset(&f.net);
	return 0;
}
