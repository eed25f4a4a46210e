/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio-net (VIRTIO 1.2, 5.1): the device behind any transport.
 *
 * It is a port of the switch on one side and a set of virtqueues on the other:
 * 2i receives for queue pair i, 2i + 1 transmits; then the control queue (see
 * virtio_net_ctrl_idx()).  A transport (virtio-pci, vhost-user) embeds a struct
 * virtio_net and brings
 *
 *   - the features it can carry, and those the driver has accepted;
 *   - the driver's memory (a struct dma_space) and the addresses of queues;
 *   - kicks from the driver, if polling is not enough, and the means of calling
 *     the driver (struct virtio_net_ops).
 *
 * Life: virtio_net_init(); the port is attached to a switch; then any number of
 * times: virtio_net_set_features(), virtio_net_queue_start() for each queue the
 * driver has set up, ..., virtio_net_reset().
 *
 * Before the memory map changes the transport stops the queues, or brackets the
 * change with virtio_net_pause() and virtio_net_resume().
 *
 * Threads: all calls from the worker that serves the port.
 */
#ifndef VIRTIO_NET_H
#define VIRTIO_NET_H

#include "base/counter.h"
#include "port/port.h"
#include "virtio/net_wire.h"
#include "virtio/ring.h"
#include "virtio/virtio.h"

enum {
	VIRTIO_NET_PAIRS_MAX = PORT_QUEUES_MAX,
	VIRTIO_NET_VQS_MAX = 2 * VIRTIO_NET_PAIRS_MAX + 1,
	NET_FLOWS_LOG2 = 10,	/* flows that are told apart */
};

struct virtio_net;

/* What the transport does for the device. */
struct virtio_net_ops {
	/** call - tell the driver that virtqueue @vq has used buffers */
	void (*call)(struct virtio_net *net, unsigned int vq);
	/** config_changed - and that the configuration has changed; NULL: the
	 * transport has no way to */
	void (*config_changed)(struct virtio_net *net);
	/** broken - virtqueue @vq is given up until the next reset; NULL */
	void (*broken)(struct virtio_net *net, unsigned int vq);
	/** connected - is the driver's side there?  NULL: the host knows */
	bool (*connected)(const struct virtio_net *net);
	/** destroy - the port is gone; free what embeds @net */
	void (*destroy)(struct virtio_net *net);
};

struct virtio_net_params {
	const char *name;	/* of device and port; copied */
	struct worker *worker;	/* serves it */
	uint8_t mac[6];		/* factory address; zero: nobody knows */
	uint16_t mtu;		/* to be told to the driver; 0: none */
	unsigned int n_pairs;	/* queue pairs, 1 to VIRTIO_NET_PAIRS_MAX */
	uint64_t features;	/* that the transport can carry */
};

/*
 * What happened to chains and frames, beyond the port's own counters.
 * C(name, what)
 */
#define VIRTIO_NET_COUNTERS(C)						\
	C(tx_bad_chain, "TX dropped: not in memory, or too many pieces")	\
	C(tx_bad_hdr, "TX dropped: the header contradicts the frame")	\
	C(tx_disabled, "TX discarded from a disabled queue")		\
	C(rx_bad_chain, "RX buffers given back unused")			\
	C(rx_no_fit, "RX dropped: longer than the driver's buffers")	\
	C(rx_filtered, "RX dropped by the guest's own filters")		\
	C(rings_broken, "rings given up")				\
	C(calls, "notifications sent")					\
	C(calls_held, "notifications the driver did not want")		\
	C(kicks, "notifications from the driver")			\
	C(ctrl, "control commands")					\
	C(ctrl_refused, "control commands answered with an error")	\
	C(refused, "register writes that break the rules, without effect")

struct virtio_net_counters {
#define C(name, what) counter name;
	VIRTIO_NET_COUNTERS(C)
#undef C
};

/* Interrupts put off (NOTF_COAL), for one direction. */
struct virtio_net_coal {
	uint32_t max_packets;	/* so many before a call; 0: any number */
	uint32_t max_usecs;	/* or so long after the first; 0: at once */
};

/* One virtqueue for packets. */
struct virtio_net_vq {
	struct virtio_net *net;	/* whose */
	unsigned int idx;	/* as virtio numbers them */
	struct vring ring;
	bool enabled;		/* else: nothing received, sent is discarded */
	bool on_hold;		/* what is sent stays there until it is enabled
				 */
	bool polled;		/* nobody kicks: the worker must not sleep */
	bool said_broken;	/* ops->broken has been called */
	uint32_t n_held;	/* packets since the last call, held back */
	struct timer coal;	/* then it is due */
};

/* What the driver wants to receive (CTRL_RX, CTRL_MAC, CTRL_VLAN). */
struct virtio_net_filter {
	bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
	bool uni_overflow;	/* more addresses than fit: take them all */
	bool multi_overflow;
	unsigned int n_uni, n_multi;
	uint8_t uni[MAC_FILTER_MAX][6];
	uint8_t multi[MAC_FILTER_MAX][6];
	uint64_t vlans[4096 / 64];	/* bit set: VID wanted */
};

/* Spreading over receive queues, and what to report (RSS, HASH_REPORT). */
struct virtio_net_rss {
	bool steer;		/* by the table; else automatic */
	uint32_t types;		/* enum virtio_net_hash_type; 0: no hash */
	uint16_t unclassified;	/* queue pair for what has no hash */
	uint16_t table_mask;	/* entries less one */
	uint16_t table[RSS_TABLE_MAX]; /* queue pairs, all checked */
	uint8_t key[RSS_KEY_MAX];
};

struct virtio_net {
	struct port port;
	const struct virtio_net_ops *ops;
	struct worker *worker;
	struct dma_space *dma;	/* set by the transport before any queue */
	uint8_t mac[6];		/* factory address */
	uint16_t mtu;		/* 0: not told */
	unsigned int n_pairs;	/* that there are */
	uint64_t offered;	/* features */

	/* Negotiated; by virtio_net_set_features(). */
	uint64_t features;
	uint32_t hdr_len;	/* of the header before each packet */
	bool mergeable;		/* MRG_RXBUF */
	bool filters;		/* CTRL_RX or CTRL_VLAN: the filter counts */

	/* The driver's wishes. */
	uint8_t own_mac[6];	/* in use: CTRL_MAC_ADDR may have changed it */
	bool announce;		/* it is to announce itself */
	unsigned int n_active;	/* queue pairs in use */
	struct virtio_net_filter filter;
	struct virtio_net_rss rss;
	uint8_t flows[1 << NET_FLOWS_LOG2]; /* automatic steering: by a flow's
				 * hash, 1 + the pair that sent it last; 0:
				 * none.  Atomic. */
	struct virtio_net_coal coal_rx, coal_tx;

	struct virtio_net_vq vq[2 * VIRTIO_NET_PAIRS_MAX];
	struct virtio_net_vq ctrl;
	struct virtio_net_counters counters;
};

/** virtio_net_init() - a device without a driver; the port can be attached */
void virtio_net_init(struct virtio_net *net, const struct virtio_net_ops *ops,
		     const struct virtio_net_params *params);

/** virtio_net_reset() - all queues stop, nothing is negotiated any more */
void virtio_net_reset(struct virtio_net *net);

/**
 * virtio_net_set_features() - what the driver has accepted
 *
 * While no queue is started.
 *
 * Return: 0, or -EINVAL: some were not offered, or need others that are missing
 * (5.1.3.1); nothing changes.
 */
int must_check virtio_net_set_features(struct virtio_net *net,
				       uint64_t features);

/** virtio_net_config() - the configuration space at this moment */
void virtio_net_config(const struct virtio_net *net,
		       struct virtio_net_config_space *config);

/** virtio_net_ctrl_idx() - the number of the control queue, as negotiated:
 * after all pairs with MQ or RSS, else after the first one (5.1.2) */
unsigned int virtio_net_ctrl_idx(const struct virtio_net *net);

/**
 * virtio_net_queue_start() - serve virtqueue @vq
 * @config: as vring_start(), with the features set before
 * @state: where to go on; NULL: from the beginning
 *
 * Starts enabled.
 *
 * Return: 0, -EINVAL (no such queue, bad size or alignment), -EBUSY (it is
 * started), -EFAULT (not in the driver's memory).
 */
int must_check virtio_net_queue_start(struct virtio_net *net, unsigned int vq,
				      const struct vring_config *config,
				      const struct vring_state *state);

/**
 * virtio_net_queue_stop() - nothing of it is in use any more; idempotent
 * @state: out: where it stands, all published; may be NULL
 *
 * Return: was it started?
 */
bool virtio_net_queue_stop(struct virtio_net *net, unsigned int vq,
			   struct vring_state *state);

/** virtio_net_queue_enable() - a started queue that is not enabled receives
 * nothing, and what it sends is discarded */
void virtio_net_queue_enable(struct virtio_net *net, unsigned int vq, bool on);

/** virtio_net_queue_hold() - a queue just started that is not enabled yet: what
 * was sent before waits, and is sent then */
void virtio_net_queue_hold(struct virtio_net *net, unsigned int vq);

/** virtio_net_queue_log() - see vring_set_log(); of a started queue */
void virtio_net_queue_log(struct virtio_net *net, unsigned int vq,
			  const struct vring_log *log);

/** virtio_net_queue_poll() - a started queue for whose kicks there is no
 * descriptor keeps the worker from sleeping */
void virtio_net_queue_poll(struct virtio_net *net, unsigned int vq, bool on);

/** virtio_net_set_pairs() - the first @n pairs are in use, 1 to n_pairs; for
 * transports whose driver does not say so by the control queue */
void virtio_net_set_pairs(struct virtio_net *net, unsigned int n);

/** virtio_net_queue_started() - is it? */
bool virtio_net_queue_started(const struct virtio_net *net, unsigned int vq);

/** virtio_net_pause() - no pointer into the driver's memory is kept or used
 * until virtio_net_resume(), which finds the queues again (one that it does not
 * find is stopped, and reported as broken) */
void virtio_net_pause(struct virtio_net *net);
void virtio_net_resume(struct virtio_net *net);

/** virtio_net_kick() - the driver has kicked @vq: a control command, maybe;
 * packet queues are polled by the worker, which is awake now */
void virtio_net_kick(struct virtio_net *net, unsigned int vq);

#endif
