/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests: a virtio-net device between a driver that the test plays and a
 * switch that keeps what it gets.
 */
#ifndef TESTS_VIRTIO_NET_RIG_H
#define TESTS_VIRTIO_NET_RIG_H

#include "driver.h"
#include "virtio/net.h"

#define F(name) BIT64(VIRTIO_NET_F_##name)
#define V1 BIT64(VIRTIO_F_VERSION_1)
#define PACKED BIT64(VIRTIO_F_RING_PACKED)
#define INDIRECT BIT64(VIRTIO_F_INDIRECT_DESC)
#define EVENT BIT64(VIRTIO_F_EVENT_IDX)
#define IN_ORDER BIT64(VIRTIO_F_IN_ORDER)
#define BUFS (GUEST_BASE + GUEST_BUFS)

enum {
	RIG_PAIRS = 4, RIG_QUEUE = 256, RIG_SENT_MAX = 64,
	RX0 = 0, TX0 = 1, RX1 = 2, CTRL = 2 * RIG_PAIRS,
};

/* A frame that came out of the device. */
struct rig_sent {
	struct frame frame;	/* its bytes are not valid any more */
	uint32_t len;
	uint8_t bytes[70000];
};

struct rig {
	struct worker *worker;
	uint64_t now;
	struct guest guest;
	struct virtio_net net;
	struct driver drv[VIRTIO_NET_VQS_MAX];
	unsigned int n_calls[VIRTIO_NET_VQS_MAX];
	unsigned int n_config_changed;
	unsigned int n_broken;
	unsigned int accept;	/* frames the switch takes of each batch */
	unsigned int n_sent;
	struct rig_sent sent[RIG_SENT_MAX];
};

extern struct rig rig;

int rig_setup(void **state);
int rig_teardown(void **state);

/** rig_setup_pairs() - a device of so many pairs; rig_setup(): RIG_PAIRS.  The
 * areas of queues from 16 on take the place of buffers: RIG_BUFS_MANY is behind
 * all of them */
int rig_setup_pairs(unsigned int n_pairs);
#define RIG_BUFS_MANY (GUEST_BASE + 3 * (GUEST_LEN / 4))

/** rig_start() - negotiate, and start rx and tx of pairs 0 and 1 and, if there
 * is one, the control queue; by number as negotiated */
void rig_start(uint64_t features);

/** rig_queue_start() - one more queue */
void rig_queue_start(unsigned int vq);

/** rig_round() - the worker goes round once, @ns later */
void rig_round(uint64_t ns);

/** rig_frame() - one as the switch would deliver it: @len bytes from @bytes; in
 * a batch that lasts until the next call */
struct frame *rig_frame(const uint8_t *bytes, uint32_t len);

/** rig_deliver() - give it to pair @pair and flush; was it taken? */
bool rig_deliver(struct frame *frame, unsigned int pair);

/** rig_fill() - bytes that differ from place to place, and by @seed */
void rig_fill(uint8_t *to, size_t len, uint32_t seed);

#endif
