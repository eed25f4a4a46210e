/* SPDX-License-Identifier: Apache-2.0
 *
 * The learning switch: its ports and the pipeline their frames go through.
 *
 * vswitch_input() is called by port_queue_poll() with a sender's batch and runs
 * it through the stages: parse, learn and look up decide a verdict for each
 * frame; output serves the verdicts in order, in runs, and stops where a full
 * receiver holds the sender.  Only frames that leave are counted: the others
 * will come again.
 */
#include "switch/vswitch.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/time.h"
#include "proto/eth.h"
#include "switch/mac_table.h"

enum {
	DEFAULT_MACS = 8192,
	DEFAULT_AGEING_MS = 300000,
	/* Aged entries are as good as gone; they are cleared away no more often
	 * than this. */
	EXPIRE_INTERVAL_MS = 1000,
};

const char *const verdict_names[N_VERDICTS] = {
#define V(name, counter, text) [VERDICT_##name] = counter,
	VSWITCH_VERDICTS(V)
#undef V
};

const char *const verdict_texts[N_VERDICTS] = {
#define V(name, counter, text) [VERDICT_##name] = text,
	VSWITCH_VERDICTS(V)
#undef V
};

struct vswitch {
	char name[VSWITCH_NAME_MAX];
	struct worker *worker;
	struct mac_table *macs;
	struct timer expiry;	/* clears aged entries */
	bool expiry_set;	/* is it running? */
	unsigned int n_ports;
	struct port *ports[VSWITCH_PORTS_MAX];	/* in order of attachment */
	struct port *by_idx[VSWITCH_PORTS_MAX];	/* by port.sw_idx; or NULL */
	struct port_queue *dirty; /* to be flushed, by rx_next; NULL outside of
				   * a batch */
	counter verdicts[N_VERDICTS];
};

/* A sender's batch on its way through the stages. */
struct pass {
	struct port_queue *sender;
	unsigned int n;			/* frames */
	struct frame *frames[BATCH_MAX];
	struct port_queue *to[BATCH_MAX]; /* VERDICT_UNICAST: whom to */
};

static uint64_t now_ms(const struct vswitch *sw)
{
	return worker_now(sw->worker) / NS_PER_MS;
}

static const struct eth_hdr *eth(const struct frame *frame)
{
	return (const struct eth_hdr *)frame->hdr;
}

/* ---- stages that decide ---- */

/* What the frame alone says.  VERDICT_UNICAST: go on with it. */
static enum verdict parse_frame(const struct port *from,
				const struct frame *frame)
{
	if (!from->link_up)
		return VERDICT_DROP_LINK_DOWN;
	if (frame->hdr_len < sizeof(struct eth_hdr))
		return VERDICT_DROP_SHORT;
	if (eth_addr_is_multicast(eth(frame)->src) ||
	    eth_addr_is_zero(eth(frame)->src))
		return VERDICT_DROP_SRC;
	if (eth_addr_is_reserved(eth(frame)->dst))
		return VERDICT_DROP_RESERVED;
	return VERDICT_UNICAST;
}

static void stage_parse(struct vswitch *sw, struct pass *pass)
{
	for (unsigned int i = 0; i < pass->n; i++)
		pass->frames[i]->verdict = (uint16_t)
			parse_frame(pass->sender->port, pass->frames[i]);
}

static void expiry_expired(struct timer *timer)
{
	struct vswitch *sw = container_of(timer, struct vswitch, expiry);
	uint64_t next_ms = mac_table_expire(sw->macs, now_ms(sw));

	sw->expiry_set = next_ms != UINT64_MAX;
	if (!sw->expiry_set)
		return;
	next_ms = max_of(next_ms, now_ms(sw) + EXPIRE_INTERVAL_MS);
	worker_set_timer(sw->worker, timer, next_ms * NS_PER_MS);
}

static void stage_learn(struct vswitch *sw, struct pass *pass)
{
	uint64_t now = now_ms(sw);

	for (unsigned int i = 0; i < pass->n; i++)
		if (pass->frames[i]->verdict == VERDICT_UNICAST)
			mac_table_learn(sw->macs, eth(pass->frames[i])->src,
					pass->sender->port->sw_idx, now);
	if (!sw->expiry_set && mac_table_count(sw->macs))
		expiry_expired(&sw->expiry);
}

static enum verdict lookup_frame(const struct vswitch *sw,
				 const struct port *from,
				 const struct frame *frame, uint64_t now,
				 struct port **to)
{
	const uint8_t *dst = eth(frame)->dst;
	int idx = -1;

	if (!eth_addr_is_multicast(dst))
		idx = mac_table_lookup(sw->macs, dst, now);
	if (idx < 0)
		return sw->n_ports > 1 ? VERDICT_FLOOD : VERDICT_DROP_NO_PORT;
	*to = sw->by_idx[idx];
	return *to == from ? VERDICT_DROP_SAME_PORT : VERDICT_UNICAST;
}

static struct port_queue *receiver(const struct port_queue *sender,
				   struct port *to, const struct frame *frame)
{
	return &to->queues[to->ops->rx_queue ?
			   to->ops->rx_queue(to, frame, sender->idx) :
			   sender->idx % to->n_rx];
}

static void stage_lookup(struct vswitch *sw, struct pass *pass)
{
	uint64_t now = now_ms(sw);

	for (unsigned int i = 0; i < pass->n; i++) {
		struct frame *frame = pass->frames[i];

		struct port *to = NULL;

		if (frame->verdict != VERDICT_UNICAST)
			continue;
		frame->verdict = (uint16_t)
			lookup_frame(sw, pass->sender->port, frame, now, &to);
		if (frame->verdict == VERDICT_UNICAST)
			pass->to[i] = receiver(pass->sender, to, frame);
	}
}

/* ---- the stage that acts ---- */

static unsigned int deliver(struct vswitch *sw, struct port_queue *rxq,
			    struct frame *const *frames, unsigned int n,
			    uint32_t *resume_seg)
{
	uint32_t resumed_at = *resume_seg;
	unsigned int taken = port_deliver(rxq, frames, n, resume_seg);

	if (taken || *resume_seg != resumed_at) {
		rxq->rx_full_since_ns = 0;
		if (!rxq->rx_dirty) {
			rxq->rx_dirty = true;
			rxq->rx_next = sw->dirty;
			sw->dirty = rxq;
		}
	}
	return taken;
}

/* The receiver is full.  Is @sender to wait for it, or has there been waiting
 * enough: by this sender, or of anybody for this receiver? */
static bool hold(struct port_queue *sender, struct port_queue *rxq)
{
	uint64_t now = worker_now(sender->worker);

	if (!rxq->rx_full_since_ns)
		rxq->rx_full_since_ns = now;
	if (!sender->held_since_ns) {
		sender->held_since_ns = now;
		counter_add(&sender->stats.tx_held, 1);
	}
	return now - rxq->rx_full_since_ns < PORT_HOLD_NS &&
	       now - sender->held_since_ns < PORT_HOLD_NS;
}

/* Frames [i, end) go to one port.  Returns how many have left, by one verdict
 * or the other; if not all, the sender is held. */
static unsigned int output_unicast(struct vswitch *sw, struct pass *pass,
				   unsigned int i, unsigned int end)
{
	struct port_queue *sender = pass->sender;
	struct port_queue *rxq = pass->to[i];
	unsigned int start = i;

	for (;;) {
		uint32_t resumed_at = sender->resume_seg;
		unsigned int taken = deliver(sw, rxq, &pass->frames[i],
					     end - i, &sender->resume_seg);

		i += taken;
		if (taken || sender->resume_seg != resumed_at)
			sender->held_since_ns = 0;
		if (i == end || hold(sender, rxq))
			return i - start;

		counter_add(&rxq->stats.rx_full, 1);
		pass->frames[i++]->verdict = VERDICT_DROP_RX_FULL;
		sender->held_since_ns = 0;
		sender->resume_seg = 0;
		if (i == end)
			return i - start;
	}
}

/* Frames [i, end) go to one port of many.  It may spread them over queues. */
static void output_copies(struct vswitch *sw, struct pass *pass,
			  struct port *to, unsigned int i, unsigned int end)
{
	while (i < end) {
		struct port_queue *rxq = receiver(pass->sender, to,
						  pass->frames[i]);
		uint32_t resume_seg = 0;
		unsigned int run = 1, taken;

		while (i + run < end &&
		       receiver(pass->sender, to, pass->frames[i + run]) == rxq)
			run++;
		taken = deliver(sw, rxq, &pass->frames[i], run, &resume_seg);
		counter_add(&rxq->stats.rx_full, run - taken);
		i += run;
	}
}

/* Frames [i, end) go to all ports but the sender's.  Nobody waits: what a full
 * receiver does not take is lost to it. */
static void output_flood(struct vswitch *sw, struct pass *pass,
			 unsigned int i, unsigned int end)
{
	for (unsigned int p = 0; p < sw->n_ports; p++) {
		struct port *to = sw->ports[p];

		if (to != pass->sender->port && to->link_up)
			output_copies(sw, pass, to, i, end);
	}
}

static bool same_way(const struct pass *pass, unsigned int a, unsigned int b)
{
	return pass->frames[a]->verdict == pass->frames[b]->verdict &&
	       (pass->frames[a]->verdict != VERDICT_UNICAST ||
		pass->to[a] == pass->to[b]);
}

/* Returns how many frames have left. */
static unsigned int stage_output(struct vswitch *sw, struct pass *pass)
{
	unsigned int i = 0, end, left;

	while (i < pass->n) {
		enum verdict verdict = pass->frames[i]->verdict;

		for (end = i + 1; end < pass->n; end++)
			if (!same_way(pass, i, end))
				break;
		if (verdict == VERDICT_UNICAST) {
			left = output_unicast(sw, pass, i, end);
			if (left < end - i)
				return i + left;
		} else {
			/* Not what was held, if anything was. */
			pass->sender->held_since_ns = 0;
			pass->sender->resume_seg = 0;
			if (verdict == VERDICT_FLOOD)
				output_flood(sw, pass, i, end);
		}
		i = end;
	}
	return i;
}

static void flush_dirty(struct vswitch *sw)
{
	struct port_queue *rxq;

	while ((rxq = sw->dirty)) {
		sw->dirty = rxq->rx_next;
		rxq->rx_next = NULL;
		rxq->rx_dirty = false;
		if (rxq->port->ops->rx_flush)
			rxq->port->ops->rx_flush(rxq);
	}
}

static unsigned int vswitch_input(struct port_queue *sender,
				  struct frame_batch *batch)
{
	struct vswitch *sw = sender->port->sw;
	struct pass pass = { .sender = sender, .n = batch->n };
	unsigned int done;

	for (unsigned int i = 0; i < pass.n; i++)
		pass.frames[i] = &batch->frames[i];
	stage_parse(sw, &pass);
	stage_learn(sw, &pass);
	stage_lookup(sw, &pass);
	done = stage_output(sw, &pass);
	flush_dirty(sw);
	for (unsigned int i = 0; i < done; i++)
		counter_add(&sw->verdicts[pass.frames[i]->verdict], 1);
	return done;
}

/* ---- life ---- */

struct vswitch *vswitch_create(const struct vswitch_config *config)
{
	struct vswitch *sw = calloc(1, sizeof(*sw));
	struct mac_table_config macs = {
		.max = config->max_macs ? config->max_macs : DEFAULT_MACS,
		.max_ports = VSWITCH_PORTS_MAX,
		.ageing_ms = config->ageing_ms ? config->ageing_ms :
						 DEFAULT_AGEING_MS,
	};

	if (!sw)
		return NULL;
	macs.max = min_of(macs.max, (unsigned int)MAC_TABLE_MAX);
	/* The hash is weaker without randomness, but works. */
	if (getrandom(&macs.seed, sizeof(macs.seed), GRND_NONBLOCK) !=
	    sizeof(macs.seed))
		macs.seed = time_now_ns() * 0x9e3779b97f4a7c15;
	snprintf(sw->name, sizeof(sw->name), "%s", config->name);
	sw->worker = config->worker;
	sw->expiry.expired = expiry_expired;
	list_init(&sw->expiry.node);
	sw->macs = mac_table_create(&macs);
	if (!sw->macs) {
		free(sw);
		return NULL;
	}
	return sw;
}

void vswitch_destroy(struct vswitch *sw)
{
	if (!sw)
		return;
	assert(!sw->n_ports);
	worker_cancel_timer(sw->worker, &sw->expiry);
	mac_table_destroy(sw->macs);
	free(sw);
}

const char *vswitch_name(const struct vswitch *sw)
{
	return sw->name;
}

int vswitch_attach(struct vswitch *sw, struct port *port)
{
	unsigned int idx = 0;

	if (sw->n_ports == VSWITCH_PORTS_MAX)
		return -ENOSPC;
	for (unsigned int i = 0; i < sw->n_ports; i++)
		if (!strcmp(sw->ports[i]->name, port->name))
			return -EEXIST;
	while (sw->by_idx[idx])
		idx++;
	sw->by_idx[idx] = port;
	sw->ports[sw->n_ports++] = port;
	mac_table_set_ports(sw->macs, sw->n_ports);
	port->sw = sw;
	port->sw_idx = idx;
	port->input = vswitch_input;
	for (unsigned int i = 0; i < port->n_queues; i++)
		if (port->queues[i].wanted)
			port_queue_start(&port->queues[i]);
	return 0;
}

void vswitch_detach(struct port *port)
{
	struct vswitch *sw = port->sw;
	unsigned int i = 0;

	for (unsigned int q = 0; q < port->n_queues; q++)
		port_queue_stop(&port->queues[q]);
	vswitch_forget(port);
	while (sw->ports[i] != port)
		i++;
	sw->n_ports--;
	memmove(&sw->ports[i], &sw->ports[i + 1],
		(sw->n_ports - i) * sizeof(sw->ports[0]));
	sw->by_idx[port->sw_idx] = NULL;
	mac_table_set_ports(sw->macs, sw->n_ports);
	port->sw = NULL;
	port->input = NULL;
}

void vswitch_forget(struct port *port)
{
	struct vswitch *sw = port->sw;

	mac_table_forget(sw->macs, port->sw_idx);
}

/* ---- looking at it ---- */

struct port *vswitch_port_at(const struct vswitch *sw, unsigned int i)
{
	return i < sw->n_ports ? sw->ports[i] : NULL;
}

unsigned int vswitch_macs(const struct vswitch *sw, struct vswitch_mac *macs,
			  unsigned int max)
{
	uint64_t now = now_ms(sw);
	struct mac_table_entry *entries;
	unsigned int n;

	max = min_of(max, mac_table_count(sw->macs));
	entries = calloc(max_of(max, 1u), sizeof(*entries));
	if (!entries)
		return 0;
	n = mac_table_walk(sw->macs, now, entries, max);
	for (unsigned int i = 0; i < n; i++) {
		const struct port *port = sw->by_idx[entries[i].port];

		memcpy(macs[i].mac, entries[i].mac, sizeof(macs[i].mac));
		macs[i].age_ms = (unsigned int)(now - entries[i].seen_ms);
		snprintf(macs[i].port, sizeof(macs[i].port), "%s", port->name);
	}
	free(entries);
	return n;
}

uint64_t vswitch_verdicts(const struct vswitch *sw, enum verdict verdict)
{
	return counter_read(&sw->verdicts[verdict]);
}

const struct vswitch_mac_stats *vswitch_mac_stats(const struct vswitch *sw)
{
	return mac_table_stats(sw->macs);
}
