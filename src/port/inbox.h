/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames for a port from a worker that does not serve it.
 *
 * Theory of operation.  A frame does not outlive its batch, so one that goes to
 * another worker is copied: header, payload and offloads, as one entry, into a
 * ring of bytes.  There is a ring for each pair of a port and another worker;
 * that worker's thread is the only writer, the port's worker the only reader:
 *
 *   sender's worker                     port's worker
 *     inbox_put()    for each run         inbox_peek()     frames as a batch
 *     inbox_publish()  once a batch         ... deliver ...
 *     worker_nudge()   once a batch       inbox_release()  those that are gone
 *
 * Entries stay in order, so frames of a flow do.  A ring that is full takes
 * fewer frames than it is offered, as a receiver does that has no room; since
 * it is one port's, a port that takes nothing holds nobody else.
 *
 * An entry is contiguous; where one does not fit in before the end of the ring
 * the rest is skipped.
 */
#ifndef PORT_INBOX_H
#define PORT_INBOX_H

#include "base/counter.h"
#include "loop/worker.h"
#include "port/frame.h"
#include "port/port.h"

enum {
	/* Bytes of one: some thousand small frames, two of the largest in any
	 * case. */
	INBOX_SIZE = 256 << 10,
	/* Entries begin at multiples of it: a cache line. */
	INBOX_ALIGN = 64,
};

struct inbox {
	struct port *port;	/* whose */
	struct worker *worker;	/* the port's */
	uint8_t *data;		/* INBOX_SIZE bytes */

	/* The sender's worker's. */
	cache_aligned uint32_t tail; /* bytes ever written; wraps */
	uint32_t seen_head;	/* head, when it was last looked at */
	bool dirty;		/* written to since it was last published */
	struct inbox *next;	/* next dirty one of this batch */
	uint64_t full_since_ns;	/* refuses frames since; 0: took what was
				 * offered last */
	counter lost;		/* frames, for want of room */

	/* Written by the sender's worker, read by the port's. */
	cache_aligned uint32_t published; /* atomic: the tail to be seen */

	/* Written by the port's worker, read by the sender's. */
	cache_aligned uint32_t head; /* atomic: bytes ever read; wraps */

	/* The port's worker's. */
	cache_aligned struct poller poller; /* the switch's */
	struct port_hold hold;	/* the first frame waits for its receiver */
};

/* Frames at hand.  They lie in the inbox until they are released. */
struct inbox_batch {
	unsigned int n;			/* of them */
	struct frame frames[BATCH_MAX];	/* cookie: the sender's queue; verdict:
					 * as it was put in */
	struct iovec segs[BATCH_MAX];	/* payload behind the private header */
	uint32_t end[BATCH_MAX];	/* position after each */
};

/** inbox_create() - an empty one; NULL: out of memory */
struct inbox *inbox_create(struct port *port);

/** inbox_destroy() - nobody uses it any more; NULL is fine */
void inbox_destroy(struct inbox *inbox);

/**
 * inbox_put() - copy frames in, unseen before inbox_publish()
 * @sender: number of the queue they come from
 *
 * Return: how many; fewer than @n means no room.
 */
unsigned int inbox_put(struct inbox *inbox, struct frame *const *frames,
		       unsigned int n, unsigned int sender);

/** inbox_publish() - show what was put in; then nudge the port's worker */
void inbox_publish(struct inbox *inbox);

/** inbox_peek() - the first frames, up to BATCH_MAX; how many */
unsigned int inbox_peek(struct inbox *inbox, struct inbox_batch *batch);

/** inbox_release() - the first @n of @batch, the last one peeked, are gone */
void inbox_release(struct inbox *inbox, const struct inbox_batch *batch,
		   unsigned int n);

#endif
