/* SPDX-License-Identifier: Apache-2.0
 *
 * A learning Ethernet switch.
 *
 * Stages of the pipeline, each over a whole batch: parse, learn, look up,
 * output.  Every frame leaves by exactly one verdict of the list below, counted
 * per switch; what a receiver then does with its copy is counted at its port.
 *
 * 802.1Q tags pass as they come: addresses are learnt without regard to the
 * VLAN.  A sender's frames keep to one queue of each receiver, so they stay in
 * order.
 *
 * Workers.  A port is on one of the switch's workers, and the pipeline runs
 * there for the frames it sends.  Each worker has its own list of all ports and
 * its own counters (summed when read); only the MAC table is shared (see
 * mac_table.h).  Between ports of one worker a frame is copied once, from
 * sender to receiver, without a lock or a shared line but that table.  To a
 * port of another worker it goes through an inbox (see port/inbox.h), which is
 * one more copy; what that port has no room for within PORT_HOLD_NS is lost and
 * counted as rx_full there, its verdict being UNICAST.
 *
 * Threads: vswitch_attach(), vswitch_detach() and vswitch_port_at() from one
 * controlling thread, which is none of the workers' unless there is but one of
 * them; they ask the workers one after the other and wait (worker_call()), so
 * that no worker knows a port that is not there any more.  vswitch_forget()
 * from any thread; vswitch_macs() from any thread while none is attached or
 * detached; counters always, from any.
 */
#ifndef SWITCH_VSWITCH_H
#define SWITCH_VSWITCH_H

#include "base/counter.h"
#include "base/util.h"
#include "port/port.h"

enum {
	VSWITCH_PORTS_MAX = 1024,
	VSWITCH_NAME_MAX = 64,
	VSWITCH_WORKERS_MAX = 16,
};

/* V(NAME, "counter name", "explanation"): all there is to know of a verdict. */
#define VSWITCH_VERDICTS(V)						\
	V(UNICAST, "unicast", "forwarded to one port")			\
	V(FLOOD, "flood", "forwarded to all other ports")		\
	V(DROP_SHORT, "drop_short", "shorter than an Ethernet header")	\
	V(DROP_SRC, "drop_src", "source address is multicast or zero")	\
	V(DROP_RESERVED, "drop_reserved",				\
	  "802.1D reserved destination address")			\
	V(DROP_SAME_PORT, "drop_same_port",				\
	  "destination is where it came from")				\
	V(DROP_NO_PORT, "drop_no_port", "no other port on the switch")	\
	V(DROP_LINK_DOWN, "drop_link_down",				\
	  "the sender's cable is out")					\
	V(DROP_RX_FULL, "drop_rx_full",					\
	  "the only receiver had no room for too long")

enum verdict {
#define V(name, counter, text) VERDICT_##name,
	VSWITCH_VERDICTS(V)
#undef V
	N_VERDICTS,
};

extern const char *const verdict_names[N_VERDICTS];	/* "drop_short" */
extern const char *const verdict_texts[N_VERDICTS];

struct vswitch;

struct vswitch_config {
	const char *name;	/* of the network; copied */
	struct worker *worker;	/* serves it, if there is but one */
	struct worker *const *workers; /* or n_workers of them, that do */
	unsigned int n_workers;	/* up to VSWITCH_WORKERS_MAX; 0: the one */
	unsigned int max_macs;	/* table bound, up to MAC_TABLE_MAX; 0: 8192 */
	unsigned int ageing_ms;	/* entry lifetime; 0: 300 000 (802.1D) */
};

/* One learnt address, as shown. */
struct vswitch_mac {
	uint8_t mac[6];
	unsigned int age_ms;		/* since it was last seen */
	char port[PORT_NAME_MAX];
};

/* What happened to learnt addresses. */
struct vswitch_mac_stats {
	counter learnt;		/* new entries */
	counter moved;		/* an address seen on another port */
	counter evicted;	/* thrown out for want of room */
	counter aged;		/* expired */
};

/** vswitch_create() - a switch without ports; NULL: out of memory */
struct vswitch *vswitch_create(const struct vswitch_config *config);

/** vswitch_destroy() - all ports must be detached; NULL is fine */
void vswitch_destroy(struct vswitch *sw);

const char *vswitch_name(const struct vswitch *sw);

/** vswitch_attach() - and start the port's queues; 0, -ENOSPC, -EEXIST,
 * -ENOMEM, -EINVAL (its worker is not one of the switch's) */
int must_check vswitch_attach(struct vswitch *sw, struct port *port);

/** vswitch_detach() - stop its queues, forget its addresses; frames under way
 * to it are lost */
void vswitch_detach(struct port *port);

/** vswitch_ports() - the @i-th attached port, in order of attachment; or NULL*/
struct port *vswitch_port_at(const struct vswitch *sw, unsigned int i);

/** vswitch_forget() - drop what was learnt from a port (its link went down) */
void vswitch_forget(struct port *port);

/** vswitch_macs() - copy at most @max live entries; how many */
unsigned int vswitch_macs(const struct vswitch *sw, struct vswitch_mac *macs,
			  unsigned int max);

uint64_t vswitch_verdicts(const struct vswitch *sw, enum verdict verdict);

/** vswitch_mac_stats() - table counters: learnt, moved, evicted, aged */
const struct vswitch_mac_stats *vswitch_mac_stats(const struct vswitch *sw);

#endif
