/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of virtio-net among themselves; for virtio/ only.
 */
#ifndef VIRTIO_NET_INTERNAL_H
#define VIRTIO_NET_INTERNAL_H

#include "virtio/net.h"

enum { CACHE_LINE = 64 };

static inline struct virtio_net *net_of(struct port *port)
{
	return container_of(port, struct virtio_net, port);
}

static inline struct virtio_net_vq *rx_vq(struct port_queue *queue)
{
	return &net_of(queue->port)->vq[2 * queue->idx];
}

static inline struct virtio_net_vq *tx_vq(struct port_queue *queue)
{
	return &net_of(queue->port)->vq[2 * queue->idx + 1];
}

static inline bool has_feature(const struct virtio_net *net, unsigned int bit)
{
	return net->features & BIT64(bit);
}

/* net.c */

/** vq_flush() - publish what was used of a queue, call the driver if due */
void vq_flush(struct virtio_net_vq *vq);

/** vq_check() - tell the transport of a ring found broken */
void vq_check(struct virtio_net_vq *vq);

/** net_set_offloads() - what the driver takes, as GUEST_ feature bits */
void net_set_offloads(struct virtio_net *net, uint64_t features);

/* net_tx.c, net_rx.c: the port's operations */
void net_tx_burst(struct port_queue *queue, struct frame_batch *batch,
		  bool *worked);
void net_tx_done(struct port_queue *queue, const struct frame_batch *batch,
		 unsigned int n);
void net_tx_arm(struct port_queue *queue);
void net_tx_disarm(struct port_queue *queue);
unsigned int net_rx_burst(struct port_queue *queue,
			  struct frame *const *frames, unsigned int n);
void net_rx_flush(struct port_queue *queue);

/* net_filter.c */

/** net_wants() - do the driver's filters let @frame pass? */
bool net_wants(const struct virtio_net *net, const struct frame *frame);

/* net_hash.c */

/** net_hash() - the hash of @frame by the driver's key; @report: of what */
uint32_t net_hash(const struct virtio_net *net, const struct frame *frame,
		  enum virtio_net_hash_report *report);

/** net_flow_sent() - the driver has sent @frame on queue pair @pair: answers go
 * there */
void net_flow_sent(struct virtio_net *net, const struct frame *frame,
		   unsigned int pair);

/** net_rx_queue() - the queue pair that is to receive @frame, as the driver has
 * chosen */
unsigned int net_rx_queue(const struct port *port, const struct frame *frame,
			  unsigned int sender);

/* net_ctrl.c */

/** net_ctrl_run() - carry out the commands in the control queue */
void net_ctrl_run(struct virtio_net *net);

#endif
