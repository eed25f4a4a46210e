/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a device, a tap or a tunnel meets the switch.
 *
 * Directions are the *guest's*, here and everywhere: TX comes from the guest
 * (or from behind the tap) into the switch, RX goes to it.
 *
 * A port has 1..PORT_QUEUES_MAX queue pairs; the queue is the unit of the data
 * path: it is polled by exactly one worker, and every control change (reset,
 * unmap, link, move to another worker) is: stop the queue, change, start it.
 * Stopping is complete when port_queue_stop() returns, since a frame never
 * outlives its batch.
 *
 * The way of a batch, all on the queue's worker:
 *
 *   port_queue_poll()          (a poller of the worker)
 *     ops->tx_burst()          the device fills a batch from its ring
 *     port->input()            the switch: verdicts, then for each receiver
 *       port_deliver()           what it cannot take is cut up, completed,
 *         ops->rx_burst()        padded; the rest is copied in as it is
 *     ops->rx_flush()          once per receiver and batch: publish, interrupt
 *     ops->tx_done()           frames consumed: write back, interrupt
 *
 * Back-pressure: a receiver that has no room takes fewer frames than offered.
 * If they are unicast, the sender is held: its remaining frames stay in its
 * ring, unconsumed, and are taken anew, for at most PORT_HOLD_NS; after that
 * the frame is dropped and counted.  A receiver that has taken nothing for
 * PORT_HOLD_NS holds nobody any more, until it takes a frame again.
 */
#ifndef PORT_PORT_H
#define PORT_PORT_H

#include "base/counter.h"
#include "loop/worker.h"
#include "port/frame.h"

enum {
	PORT_QUEUES_MAX = 16,
	PORT_NAME_MAX = 64,
	/* How long a full receiver may hold its sender. */
	PORT_HOLD_NS = 1000000,
	/* How soon at the latest a held sender is asked again. */
	PORT_HOLD_RETRY_NS = 50000,
};

struct inbox;
struct port;
struct port_queue;

/* What a port can take; the egress engine sees to the rest. */
struct port_caps {
	uint32_t max_len;	/* largest frame in bytes, no tag, no FCS, GSO
				 * aside; longer ones are dropped */
	uint16_t min_len;	/* pad with zeroes up to it, at most
				 * FRAME_HDR_MAX; 0: as it comes */
	uint8_t gso;		/* enum frame_gso bits it takes whole; only
				 * together with csum; FRAME_GSO_ECN: also
				 * TCP with CWR set */
	bool csum;		/* takes FRAME_CSUM_PARTIAL */
	bool vlan;		/* takes the tag beside the bytes */
};

/* A counter that only one kind of port has, for `show`. */
struct port_counter {
	const char *name;	/* as in the API */
	const char *what;	/* one line */
};

struct port_ops {
	/* What kind of port, for `show`: "e1000", "tap". */
	const char *kind;
	/* Counters of this kind, whose values lie at port.counters; NULL:
	 * none. */
	const struct port_counter *counters;
	unsigned int n_counters;

	/**
	 * tx_burst - take frames from the guest
	 *
	 * Fills @batch (given empty) with what the guest wants to send, bounded
	 * by the batch; sets each frame's cookie as it likes.  Nothing is
	 * consumed yet.  May do other bounded work; *@worked says so.
	 */
	void (*tx_burst)(struct port_queue *queue, struct frame_batch *batch,
			 bool *worked);

	/**
	 * tx_done - the first @n of the batch are consumed
	 *
	 * Called after each tx_burst() that returned frames; the others have to
	 * be offered again by the next tx_burst(), from the first of them on.
	 */
	void (*tx_done)(struct port_queue *queue,
			const struct frame_batch *batch, unsigned int n);

	/**
	 * rx_burst - deliver frames to the guest
	 *
	 * Frames respect the port's caps.  A frame the device drops by its own
	 * rules (filter, receiver off) counts as taken, the device counts it.
	 *
	 * Return: how many were taken; fewer than @n only for want of room.
	 */
	unsigned int (*rx_burst)(struct port_queue *queue,
				 struct frame *const *frames, unsigned int n);

	/** rx_queue - which queue pair is to receive @frame, sent from queue
	 * @sender of its port; frames of a flow go the same way.  NULL: the
	 * sender's number, modulo n_rx */
	unsigned int (*rx_queue)(const struct port *port,
				 const struct frame *frame,
				 unsigned int sender);

	/** rx_flush - end of a batch: make visible, raise interrupts.  NULL:
	 * nothing to do. */
	void (*rx_flush)(struct port_queue *queue);

	/** arm, disarm - as poller; NULL where an fd or message wakes anyway */
	void (*tx_arm)(struct port_queue *queue);
	void (*tx_disarm)(struct port_queue *queue);

	/** connected - is somebody behind it?  On the worker's thread.  NULL:
	 * that is no question (a tap), or its host knows (a NIC). */
	bool (*connected)(const struct port *port);

	/** link - the operator pulls or plugs the cable.  NULL: nobody cares.*/
	void (*link)(struct port *port, bool up);

	/** destroy - the port is detached; free what embeds it */
	void (*destroy)(struct port *port);
};

/* Written by the queue's worker alone. */
struct port_stats {
	counter tx_frames;	/* from the guest, consumed */
	counter tx_bytes;	/* without FCS; large frames count once */
	counter tx_bad_len;	/* too short or too long to be a frame; the
				 * port drops and counts them */
	counter rx_frames;	/* to the guest, after cutting up */
	counter rx_bytes;
	counter rx_full;	/* lost for want of room at the receiver */
	counter rx_too_long;	/* longer than max_len */
	counter rx_link_down;	/* the receiver's cable is out, its queue is
				 * stopped, or nobody is behind it */
	counter tx_held;	/* times the sender was held */
	counter gso_cut;	/* large frames cut up for this receiver */
	counter csum_filled;	/* checksums completed for this receiver */
	counter bad_offload;	/* offload fields contradict the headers */
};

/* Back-pressure: how far a supplier of frames has waited for a receiver. */
struct port_hold {
	uint64_t since_ns;	/* held since; 0: not held */
	uint32_t resume_seg;	/* held in the middle of a large frame: segments
				 * of it that have been delivered */
};

/* One queue pair. */
struct port_queue {
	struct port *port;	/* whose */
	unsigned int idx;	/* 0.. */
	struct worker *worker;	/* who polls it */
	bool wanted;		/* the device has a use for it: attaching to a
				 * switch starts it */
	bool running;		/* between start and stop */
	struct poller poller;	/* port_queue_poll() */
	struct timer again;	/* held: to be polled again */
	struct port_hold hold;	/* as sender */
	uint64_t rx_full_since_ns; /* as receiver: refuses frames since; 0: took
				 * what was offered last */
	bool rx_dirty;		/* has been delivered to since its last flush */
	struct port_queue *rx_next; /* the switch's: next dirty of this batch */
	struct port_stats stats;
};

struct port {
	const struct port_ops *ops;
	char name[PORT_NAME_MAX]; /* unique in the server */
	uint8_t mac[6];		/* of the NIC behind it; zero: many or unknown*/
	bool link_up;		/* the operator's cable */
	struct port_caps caps;	/* may change only while stopped */
	const counter *counters; /* ops->n_counters values, or NULL */
	unsigned int n_queues;
	unsigned int n_rx;	/* of them, the first so many receive */
	struct port_queue queues[PORT_QUEUES_MAX];

	/* Set by the switch at attach, NULL before. */
	unsigned int (*input)(struct port_queue *queue,
			      struct frame_batch *batch);
	void *sw;		/* the switch's part on our worker */
	unsigned int sw_idx;	/* our number in it */
	struct inbox *const *inboxes; /* n_inboxes, NULLs among them: frames
				 * from other workers; NULL: none */
	unsigned int n_inboxes;
};

/**
 * port_init() - set up the part that every port has
 * @worker: serves all its queues, and is where its device and its peer are
 *	served: a port is on one worker
 */
void port_init(struct port *port, const struct port_ops *ops, const char *name,
	       struct worker *worker, unsigned int n_queues);

/** port_queue_start(), port_queue_stop() - on the worker's thread;
 * idempotent */
void port_queue_start(struct port_queue *queue);
void port_queue_stop(struct port_queue *queue);

/** port_set_link() - pull (false) or plug the cable; tells ops->link.  On the
 * worker's thread. */
void port_set_link(struct port *port, bool up);

/**
 * port_deliver() - give frames to a receiver, through the egress engine
 * @queue: the receiver
 * @n: at most BATCH_MAX
 * @resume_seg: in: segments of frames[0] delivered before; out: of the first
 *	frame not taken
 *
 * Cuts up large frames, completes checksums, puts the tag into the bytes and
 * pads, each only where @queue's port needs it.  The frames themselves stay as
 * they are.  Frames that cannot be delivered by rule (too long, link down,
 * contradictory offloads) count as taken and are counted.
 *
 * Return: frames taken; fewer than @n means no room.
 */
unsigned int port_deliver(struct port_queue *queue,
			  struct frame *const *frames, unsigned int n,
			  uint32_t *resume_seg);

/** port_stats_sum() - over all queues, and what was lost on the way there; any
 * thread, as long as the port stays attached or detached */
void port_stats_sum(const struct port *port, struct port_stats *sum);

#endif
