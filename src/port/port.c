/* SPDX-License-Identifier: Apache-2.0
 *
 * What every port has: set-up, starting and stopping of queues, and the poller
 * that brings a queue's frames to the switch.
 */
#include "port/port.h"

#include <stdio.h>
#include <string.h>

#include "port/inbox.h"

/* The batch of the round; a frame never outlives it, so one a thread will do */
static _Thread_local struct frame_batch round_batch;

static void count_tx(struct port_queue *queue, const struct frame_batch *batch,
		     unsigned int n)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < n; i++)
		bytes += batch->frames[i].len;
	counter_add(&queue->stats.tx_frames, n);
	counter_add(&queue->stats.tx_bytes, bytes);
}

/* A held sender's frames have to be offered again soon, since nobody wakes it
 * when the receiver gets room; but as long as they are not taken that is no
 * work for which to stay awake, least of all where the receiver needs the
 * processor to make room. */
static void offer_again(struct port_queue *queue)
{
	struct worker *worker = queue->worker;

	if (!queue->again.due_ns)
		worker_set_timer(worker, &queue->again,
				 worker_now(worker) + PORT_HOLD_RETRY_NS);
}

/* The worker polls the queue whatever has woken it. */
static void again_expired(struct timer *timer)
{
}

static bool port_queue_poll(struct poller *poller)
{
	struct port_queue *queue = container_of(poller, struct port_queue,
						poller);
	struct port *port = queue->port;
	struct frame_batch *batch = &round_batch;
	bool worked = false;
	unsigned int n;

	batch->n = 0;
	batch->n_segs = 0;
	port->ops->tx_burst(queue, batch, &worked);
	if (!batch->n) {
		/* The sender took back what was held, if anything. */
		queue->hold = (struct port_hold){ 0 };
		return worked;
	}
	n = port->input(queue, batch);
	count_tx(queue, batch, n);
	port->ops->tx_done(queue, batch, n);
	if (n < batch->n)
		offer_again(queue);
	return worked || n;
}

static void port_queue_arm(struct poller *poller)
{
	struct port_queue *queue = container_of(poller, struct port_queue,
						poller);

	queue->port->ops->tx_arm(queue);
}

static void port_queue_disarm(struct poller *poller)
{
	struct port_queue *queue = container_of(poller, struct port_queue,
						poller);

	queue->port->ops->tx_disarm(queue);
}

void port_init(struct port *port, const struct port_ops *ops, const char *name,
	       struct worker *worker, unsigned int n_queues)
{
	memset(port, 0, sizeof(*port));
	port->ops = ops;
	snprintf(port->name, sizeof(port->name), "%s", name);
	port->link_up = true;
	port->n_queues = port->n_rx = n_queues;
	for (unsigned int i = 0; i < n_queues; i++) {
		struct port_queue *queue = &port->queues[i];

		queue->port = port;
		queue->idx = i;
		queue->worker = worker;
		queue->wanted = true;
		queue->poller.poll = port_queue_poll;
		queue->again.expired = again_expired;
		list_init(&queue->again.node);
		if (ops->tx_arm && ops->tx_disarm) {
			queue->poller.arm = port_queue_arm;
			queue->poller.disarm = port_queue_disarm;
		}
	}
}

void port_queue_start(struct port_queue *queue)
{
	if (queue->running)
		return;
	queue->hold = (struct port_hold){ 0 };
	queue->rx_full_since_ns = 0;
	queue->running = true;
	worker_add_poller(queue->worker, &queue->poller);
}

void port_queue_stop(struct port_queue *queue)
{
	if (!queue->running)
		return;
	worker_remove_poller(queue->worker, &queue->poller);
	worker_cancel_timer(queue->worker, &queue->again);
	queue->running = false;
}

void port_set_link(struct port *port, bool up)
{
	if (port->link_up == up)
		return;
	port->link_up = up;
	if (port->ops->link)
		port->ops->link(port, up);
}

void port_stats_sum(const struct port *port, struct port_stats *sum)
{
	counter *to = (counter *)sum;

	_Static_assert(sizeof(*sum) % sizeof(*to) == 0, "counters alone");
	memset(sum, 0, sizeof(*sum));
	for (unsigned int i = 0; i < port->n_queues; i++) {
		const counter *from = (const counter *)&port->queues[i].stats;

		for (size_t c = 0; c < sizeof(*sum) / sizeof(*to); c++)
			to[c].v += counter_read(&from[c]);
	}
	for (unsigned int i = 0; i < port->n_inboxes; i++)
		if (port->inboxes[i])
			sum->rx_full.v +=
				counter_read(&port->inboxes[i]->lost);
}
