/* SPDX-License-Identifier: Apache-2.0
 *
 * virtio-net: features, configuration, the life of queues; see net.h.
 */
#include "virtio/net_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "proto/eth.h"

#define F(name) BIT64(VIRTIO_NET_F_##name)

/* All that this device can do; transports offer what they can carry of it. */
#define NET_FEATURES (							\
	BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_F_RING_PACKED) |	\
	BIT64(VIRTIO_F_INDIRECT_DESC) | BIT64(VIRTIO_F_EVENT_IDX) |	\
	BIT64(VIRTIO_F_IN_ORDER) | BIT64(VIRTIO_F_RING_RESET) |		\
	F(CSUM) | F(GUEST_CSUM) | F(CTRL_GUEST_OFFLOADS) | F(MTU) |	\
	F(MAC) | F(GUEST_TSO4) | F(GUEST_TSO6) | F(GUEST_ECN) |		\
	F(HOST_TSO4) | F(HOST_TSO6) | F(HOST_ECN) | F(MRG_RXBUF) |	\
	F(STATUS) | F(CTRL_VQ) | F(CTRL_RX) | F(CTRL_VLAN) |		\
	F(CTRL_RX_EXTRA) | F(GUEST_ANNOUNCE) | F(MQ) |			\
	F(CTRL_MAC_ADDR) | F(NOTF_COAL) | F(GUEST_USO4) |		\
	F(GUEST_USO6) | F(HOST_USO) | F(HASH_REPORT) | F(RSS) |		\
	F(SPEED_DUPLEX))

/* Speed told to the driver: what a figure of 32 bits is for nobody knows, and
 * bonding and others only compare it. */
enum { SPEED_MBPS = 10000, DUPLEX_FULL = 1, MTU_MIN = 68 };

static unsigned int n_vqs_packets(const struct virtio_net *net)
{
	return 2 * net->n_pairs;
}

unsigned int virtio_net_ctrl_idx(const struct virtio_net *net)
{
	return net->features & (F(MQ) | F(RSS)) ? n_vqs_packets(net) : 2;
}

/* The queue that the driver knows by @idx, or NULL. */
static struct virtio_net_vq *vq_at(struct virtio_net *net, unsigned int idx)
{
	if (has_feature(net, VIRTIO_NET_F_CTRL_VQ) &&
	    idx == virtio_net_ctrl_idx(net))
		return &net->ctrl;
	return idx < n_vqs_packets(net) ? &net->vq[idx] : NULL;
}

static bool is_rx(const struct virtio_net_vq *vq)
{
	return !(vq->idx & 1);
}

/* ---- calls to the driver ---- */

static void call(struct virtio_net_vq *vq)
{
	struct virtio_net *net = vq->net;

	vq->n_held = 0;
	if (vring_wants_call(&vq->ring)) {
		counter_add(&net->counters.calls, 1);
		net->ops->call(net, vq->idx);
	} else {
		counter_add(&net->counters.calls_held, 1);
	}
}

static void coal_expired(struct timer *timer)
{
	struct virtio_net_vq *vq = container_of(timer, struct virtio_net_vq,
						coal);

	call(vq);
}

/* May the call for @n more packets wait? */
static bool put_off(struct virtio_net_vq *vq, unsigned int n)
{
	const struct virtio_net_coal *coal = is_rx(vq) ? &vq->net->coal_rx :
		&vq->net->coal_tx;

	if (likely(!coal->max_usecs) || vq == &vq->net->ctrl)
		return false;
	vq->n_held += n;
	if (coal->max_packets && vq->n_held >= coal->max_packets) {
		worker_cancel_timer(vq->net->worker, &vq->coal);
		return false;
	}
	if (!vq->coal.due_ns)
		worker_set_timer(vq->net->worker, &vq->coal,
				 worker_now(vq->net->worker) +
				 coal->max_usecs * 1000ull);
	return true;
}

void vq_flush(struct virtio_net_vq *vq)
{
	unsigned int n = vq->ring.n_unpublished;

	if (!n)
		return;
	vring_publish(&vq->ring);
	if (!put_off(vq, n))
		call(vq);
}

void vq_check(struct virtio_net_vq *vq)
{
	struct virtio_net *net = vq->net;

	if (likely(!vq->ring.broken) || vq->said_broken)
		return;
	vq->said_broken = true;
	counter_add(&net->counters.rings_broken, 1);
	if (net->ops->broken)
		net->ops->broken(net, vq->idx);
}

/* ---- the port ---- */

static void net_link(struct port *port, bool up)
{
	struct virtio_net *net = net_of(port);

	if (!has_feature(net, VIRTIO_NET_F_STATUS))
		return;
	/* The switches on the way have forgotten it. */
	net->announce = up && has_feature(net, VIRTIO_NET_F_GUEST_ANNOUNCE);
	if (net->ops->config_changed)
		net->ops->config_changed(net);
}

static bool net_connected(const struct port *port)
{
	const struct virtio_net *net = container_of(port, struct virtio_net,
						    port);

	return !net->ops->connected || net->ops->connected(net);
}

static void net_destroy(struct port *port)
{
	struct virtio_net *net = net_of(port);

	virtio_net_reset(net);
	net->ops->destroy(net);
}

static const struct port_counter counters[] = {
#define C(name, what) { #name, what },
	VIRTIO_NET_COUNTERS(C)
#undef C
};
static_assert(sizeof(struct virtio_net_counters) ==
	      ARRAY_SIZE(counters) * sizeof(counter), "counters alone");

static const struct port_ops net_port_ops = {
	.kind = "virtio-net",
	.counters = counters,
	.n_counters = ARRAY_SIZE(counters),
	.tx_burst = net_tx_burst,
	.tx_done = net_tx_done,
	.rx_burst = net_rx_burst,
	.rx_flush = net_rx_flush,
	.tx_arm = net_tx_arm,
	.tx_disarm = net_tx_disarm,
	.rx_queue = net_rx_queue,
	.connected = net_connected,
	.link = net_link,
	.destroy = net_destroy,
};

/* ---- what has been negotiated ---- */

void virtio_net_set_pairs(struct virtio_net *net, unsigned int n)
{
	net->n_active = n;
	net->port.n_rx = n;
}

void net_set_offloads(struct virtio_net *net, uint64_t features)
{
	struct port_caps *caps = &net->port.caps;

	caps->csum = features & F(GUEST_CSUM);
	caps->gso = 0;
	if (features & F(GUEST_TSO4))
		caps->gso |= FRAME_GSO_TCP4;
	if (features & F(GUEST_TSO6))
		caps->gso |= FRAME_GSO_TCP6;
	if (features & F(GUEST_ECN))
		caps->gso |= FRAME_GSO_ECN;
	if ((features & F(GUEST_USO4)) && (features & F(GUEST_USO6)))
		caps->gso |= FRAME_GSO_UDP;
}

/* A driver that has been told an MTU gets no longer frames, nor segments of a
 * large one (5.1.4.1). */
static void set_max_len(struct virtio_net *net)
{
	if (net->mtu)
		net->port.caps.max_len = has_feature(net, VIRTIO_NET_F_MTU) ?
			net->mtu + ETH_HDR_LEN : FRAME_LEN_MAX;
}

/* A feature and what it needs (5.1.3.1): one of @any, and all of @all. */
static const struct {
	uint64_t feature;
	uint64_t any;
	uint64_t all;
} needs[] = {
	{ F(GUEST_TSO4), 0, F(GUEST_CSUM) },
	{ F(GUEST_TSO6), 0, F(GUEST_CSUM) },
	{ F(GUEST_ECN), F(GUEST_TSO4) | F(GUEST_TSO6), 0 },
	{ F(GUEST_USO4), 0, F(GUEST_CSUM) },
	{ F(GUEST_USO6), 0, F(GUEST_CSUM) },
	{ F(HOST_TSO4), 0, F(CSUM) },
	{ F(HOST_TSO6), 0, F(CSUM) },
	{ F(HOST_ECN), F(HOST_TSO4) | F(HOST_TSO6), 0 },
	{ F(HOST_USO), 0, F(CSUM) },
	{ F(CTRL_RX), 0, F(CTRL_VQ) },
	{ F(CTRL_VLAN), 0, F(CTRL_VQ) },
	{ F(CTRL_RX_EXTRA), 0, F(CTRL_VQ) },
	{ F(GUEST_ANNOUNCE), 0, F(CTRL_VQ) },
	{ F(MQ), 0, F(CTRL_VQ) },
	{ F(CTRL_MAC_ADDR), 0, F(CTRL_VQ) },
	{ F(CTRL_GUEST_OFFLOADS), 0, F(CTRL_VQ) },
	{ F(NOTF_COAL), 0, F(CTRL_VQ) },
	{ F(RSS), 0, F(CTRL_VQ) },
};

/* A vhost-user back-end never sees the control queue: the front-end keeps the
 * rules there, and may hand on features whose companions it has kept. */
static bool consistent(const struct virtio_net *net, uint64_t features)
{
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
		if (!(features & needs[i].feature))
			continue;
		if (needs[i].any && !(features & needs[i].any))
			return false;
		if ((features & needs[i].all & net->offered) !=
		    (needs[i].all & net->offered))
			return false;
	}
	return true;
}

int virtio_net_set_features(struct virtio_net *net, uint64_t features)
{
	if (features & ~net->offered || !consistent(net, features))
		return -EINVAL;
	net->features = features;
	net->mergeable = features & F(MRG_RXBUF);
	net->filters = features & (F(CTRL_RX) | F(CTRL_VLAN));
	net->hdr_len = VIRTIO_NET_HDR_LEGACY;
	if (net->mergeable || features & BIT64(VIRTIO_F_VERSION_1))
		net->hdr_len = VIRTIO_NET_HDR_LEN;
	if (features & F(HASH_REPORT))
		net->hdr_len = VIRTIO_NET_HDR_HASH_LEN;
	net_set_offloads(net, features);
	set_max_len(net);
	return 0;
}

void virtio_net_config(const struct virtio_net *net,
		       struct virtio_net_config_space *config)
{
	uint16_t status = 0;

	if (net->port.link_up)
		status |= VIRTIO_NET_S_LINK_UP;
	if (net->announce)
		status |= VIRTIO_NET_S_ANNOUNCE;
	*config = (struct virtio_net_config_space) {
		.status = le16_of(status),
		.max_pairs = le16_of((uint16_t)net->n_pairs),
		.mtu = le16_of(net->mtu),
		.speed = le32_of(SPEED_MBPS),
		.duplex = DUPLEX_FULL,
		.rss_max_key_len = RSS_KEY_MAX,
		.rss_max_table_len = le16_of(RSS_TABLE_MAX),
		.hash_types = le32_of(HASH_TYPES_ALL),
	};
	memcpy(config->mac, net->own_mac, sizeof(config->mac));
}

/* ---- queues ---- */

/* A pair is polled while one of its queues is served. */
static void update_port_queue(struct virtio_net *net, unsigned int pair)
{
	struct port_queue *queue = &net->port.queues[pair];
	bool on = net->vq[2 * pair].ring.dma || net->vq[2 * pair + 1].ring.dma;

	queue->wanted = on;
	if (!on)
		port_queue_stop(queue);
	else if (net->port.sw)
		port_queue_start(queue);
}

int virtio_net_queue_start(struct virtio_net *net, unsigned int idx,
			   const struct vring_config *config,
			   const struct vring_state *state)
{
	struct virtio_net_vq *vq = vq_at(net, idx);
	struct vring_config c = *config;
	int ret;

	if (!vq)
		return -EINVAL;
	if (vq->ring.dma)
		return -EBUSY;
	c.out_only = vq != &net->ctrl && idx % 2;
	ret = vring_start(&vq->ring, net->port.name, net->dma, &c, state);
	if (ret < 0)
		return ret;
	vq->idx = idx;
	vq->enabled = true;
	vq->on_hold = vq->polled = false;
	vq->said_broken = false;
	vq->n_held = 0;
	if (vq == &net->ctrl)
		/* Nobody polls this one: kicks are all there is. */
		vring_arm(&vq->ring);
	else
		update_port_queue(net, idx / 2);
	return 0;
}

static bool stop(struct virtio_net *net, struct virtio_net_vq *vq,
		 struct vring_state *state)
{
	if (!vq->ring.dma)
		return false;
	worker_cancel_timer(net->worker, &vq->coal);
	if (state)
		*state = vring_state(&vq->ring);
	vring_stop(&vq->ring);
	vq->enabled = false;
	if (vq != &net->ctrl)
		update_port_queue(net, vq->idx / 2);
	return true;
}

bool virtio_net_queue_stop(struct virtio_net *net, unsigned int idx,
			   struct vring_state *state)
{
	struct virtio_net_vq *vq = vq_at(net, idx);

	return vq && stop(net, vq, state);
}

void virtio_net_queue_enable(struct virtio_net *net, unsigned int idx,
			     bool on)
{
	struct virtio_net_vq *vq = vq_at(net, idx);

	if (!vq)
		return;
	vq->enabled = on;
	vq->on_hold = false;
}

void virtio_net_queue_hold(struct virtio_net *net, unsigned int idx)
{
	struct virtio_net_vq *vq = vq_at(net, idx);

	if (!vq)
		return;
	vq->enabled = false;
	vq->on_hold = true;
}

void virtio_net_queue_log(struct virtio_net *net, unsigned int idx,
			  const struct vring_log *log)
{
	struct virtio_net_vq *vq = vq_at(net, idx);

	if (vq && vq->ring.dma)
		vring_set_log(&vq->ring, log);
}

void virtio_net_queue_poll(struct virtio_net *net, unsigned int idx, bool on)
{
	struct virtio_net_vq *vq = vq_at(net, idx);

	if (vq)
		vq->polled = on;
}

bool virtio_net_queue_started(const struct virtio_net *net, unsigned int idx)
{
	const struct virtio_net_vq *vq = vq_at((struct virtio_net *)net, idx);

	return vq && vq->ring.dma;
}

/* Stopping is complete when it returns: no batch is under way on the worker
 * while it is here. */
void virtio_net_pause(struct virtio_net *net)
{
	for (unsigned int i = 0; i < net->n_pairs; i++)
		port_queue_stop(&net->port.queues[i]);
}

static void resume(struct virtio_net *net, struct virtio_net_vq *vq)
{
	if (vring_remap(&vq->ring) >= 0)
		return;
	log_limited(LOG_WARN, "%s: virtqueue %u is not in the guest's memory any more",
		    net->port.name, vq->idx);
	counter_add(&net->counters.rings_broken, 1);
	if (net->ops->broken)
		net->ops->broken(net, vq->idx);
}

void virtio_net_resume(struct virtio_net *net)
{
	for (unsigned int i = 0; i < n_vqs_packets(net); i++)
		resume(net, &net->vq[i]);
	resume(net, &net->ctrl);
	for (unsigned int i = 0; i < net->n_pairs; i++)
		update_port_queue(net, i);
}

void virtio_net_kick(struct virtio_net *net, unsigned int idx)
{
	counter_add(&net->counters.kicks, 1);
	if (vq_at(net, idx) == &net->ctrl)
		net_ctrl_run(net);
}

/* ---- life ---- */

void virtio_net_reset(struct virtio_net *net)
{
	for (unsigned int i = 0; i < n_vqs_packets(net); i++)
		stop(net, &net->vq[i], NULL);
	stop(net, &net->ctrl, NULL);
	net->features = 0;
	net->hdr_len = VIRTIO_NET_HDR_LEGACY;
	net->mergeable = net->filters = net->announce = false;
	memcpy(net->own_mac, net->mac, sizeof(net->own_mac));
	memset(&net->filter, 0, sizeof(net->filter));
	memset(&net->rss, 0, sizeof(net->rss));
	memset(net->flows, 0, sizeof(net->flows));
	memset(&net->coal_rx, 0, sizeof(net->coal_rx));
	memset(&net->coal_tx, 0, sizeof(net->coal_tx));
	/* As the drivers expect it: all is received until they say otherwise
	 * (5.1.6.5.1.1 leaves it open). */
	net->filter.promisc = true;
	virtio_net_set_pairs(net, 1);
	net_set_offloads(net, 0);
	set_max_len(net);
}

static void init_vq(struct virtio_net *net, struct virtio_net_vq *vq,
		    unsigned int idx)
{
	vq->net = net;
	vq->idx = idx;
	vq->coal.expired = coal_expired;
	list_init(&vq->coal.node);
}

void virtio_net_init(struct virtio_net *net, const struct virtio_net_ops *ops,
		     const struct virtio_net_params *params)
{
	memset(net, 0, sizeof(*net));
	port_init(&net->port, &net_port_ops, params->name, params->worker,
		  params->n_pairs);
	net->port.counters = (const counter *)&net->counters;
	net->ops = ops;
	net->worker = params->worker;
	net->n_pairs = params->n_pairs;
	net->mtu = params->mtu;
	memcpy(net->mac, params->mac, sizeof(net->mac));
	memcpy(net->port.mac, params->mac, sizeof(net->mac));
	net->offered = params->features & NET_FEATURES;
	if (net->mtu < MTU_MIN)
		net->offered &= ~F(MTU);
	if (eth_addr_is_zero(net->mac))
		net->offered &= ~F(MAC);
	if (net->n_pairs == 1)
		net->offered &= ~(F(MQ) | F(RSS));
	/* Without an MTU the driver's buffers decide. */
	net->port.caps.max_len = FRAME_LEN_MAX;
	for (unsigned int i = 0; i < n_vqs_packets(net); i++)
		init_vq(net, &net->vq[i], i);
	init_vq(net, &net->ctrl, n_vqs_packets(net));
	for (unsigned int i = 0; i < net->n_pairs; i++)
		net->port.queues[i].wanted = false;
	virtio_net_reset(net);
}
