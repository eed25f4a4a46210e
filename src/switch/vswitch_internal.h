/* SPDX-License-Identifier: Apache-2.0
 *
 * The switch's parts among themselves; for switch/ only.
 */
#ifndef SWITCH_VSWITCH_INTERNAL_H
#define SWITCH_VSWITCH_INTERNAL_H

#include "loop/worker.h"
#include "port/inbox.h"
#include "switch/vswitch.h"

struct mac_table;
struct part;

/* An attached port, as all parts see it; does not change while it is. */
struct member {
	struct port *port;	/* to be touched by its own worker only */
	struct part *home;	/* that worker's part */
	unsigned int idx;	/* number in the switch */
	struct inbox *inboxes[VSWITCH_WORKERS_MAX]; /* one for each part but
				 * home, which is NULL */
};

/* What a worker has of the switch: all that its frames need but for the MAC
 * table.  Touched by that worker's thread alone, counters aside. */
struct part {
	struct vswitch *sw;	/* whose */
	struct worker *worker;	/* our thread */
	unsigned int idx;	/* number of the part */
	struct mac_table *macs;	/* the switch's, shared */
	struct timer expiry;	/* clears aged entries */
	bool expiry_set;	/* is it running? */
	unsigned int n_members;	/* ports on the switch, on any worker */
	struct member *members[VSWITCH_PORTS_MAX]; /* in order of attachment */
	struct member *by_idx[VSWITCH_PORTS_MAX]; /* by number; or NULL */
	struct port_queue *dirty; /* to be flushed, by rx_next; NULL outside of
				   * a batch */
	struct inbox *outgoing;	/* to be published, by next; likewise */
	counter verdicts[N_VERDICTS];
};

/** vswitch_input() - port.input */
unsigned int vswitch_input(struct port_queue *sender,
			   struct frame_batch *batch);

/** vswitch_serve_inbox() - poll of an inbox's poller, on the port's worker */
bool vswitch_serve_inbox(struct poller *poller);

/** vswitch_expire() - expired of a part's timer: drop what has aged, and set it
 * for what will age next */
void vswitch_expire(struct timer *timer);

#endif
