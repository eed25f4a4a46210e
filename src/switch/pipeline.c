/* SPDX-License-Identifier: Apache-2.0
 *
 * The pipeline that frames go through, on the worker of their sender; and its
 * other half, on the worker of their receiver.
 *
 * vswitch_input() is called by port_queue_poll() with a sender's batch and runs
 * it through the stages: parse, learn and look up decide a verdict for each
 * frame; output serves the verdicts in order, in runs, and stops where a full
 * receiver holds the sender.  Only frames that leave are counted: the others
 * will come again.
 *
 * Frames for a port of another worker leave into its inbox.  There they have
 * their verdict; vswitch_serve_inbox() is the rest of the way.
 */
#include "switch/vswitch_internal.h"

#include <string.h>

#include "base/time.h"
#include "proto/eth.h"
#include "switch/mac_table.h"

/* Aged entries are as good as gone; they are cleared away no more often than
 * this. */
enum { EXPIRE_INTERVAL_MS = 1000 };

_Static_assert(BATCH_MAX <= 32, "pass.remote has a bit for each");

/* A sender's batch on its way through the stages. */
struct pass {
	struct port_queue *sender;
	unsigned int n;			/* frames */
	struct frame *frames[BATCH_MAX];
	void *to[BATCH_MAX];		/* VERDICT_UNICAST: to which queue; or
					 * into which inbox, if */
	uint32_t remote;		/* ... BIT(i) is set */
};

/* Frames that one port has to wait for another with. */
struct run {
	struct frame *const *frames;
	unsigned int n;
	unsigned int sender;		/* number of the queue they come from */
	struct port_hold *hold;		/* how long the first has waited */
	counter *n_holds;		/* counts waits; or NULL */
};

static uint64_t now_ms(const struct part *part)
{
	return worker_now(part->worker) / NS_PER_MS;
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

static void stage_parse(struct pass *pass)
{
	for (unsigned int i = 0; i < pass->n; i++)
		pass->frames[i]->verdict = (uint16_t)
			parse_frame(pass->sender->port, pass->frames[i]);
}

void vswitch_expire(struct timer *timer)
{
	struct part *part = container_of(timer, struct part, expiry);
	uint64_t next_ms = mac_table_expire(part->macs, now_ms(part));

	part->expiry_set = next_ms != UINT64_MAX;
	if (!part->expiry_set)
		return;
	next_ms = max_of(next_ms, now_ms(part) + EXPIRE_INTERVAL_MS);
	worker_set_timer(part->worker, timer, next_ms * NS_PER_MS);
}

static void stage_learn(struct part *part, struct pass *pass)
{
	uint64_t now = now_ms(part);

	for (unsigned int i = 0; i < pass->n; i++)
		if (pass->frames[i]->verdict == VERDICT_UNICAST)
			mac_table_learn(part->macs, eth(pass->frames[i])->src,
					pass->sender->port->sw_idx, now);
	if (!part->expiry_set && mac_table_count(part->macs))
		vswitch_expire(&part->expiry);
}

static enum verdict lookup_frame(const struct part *part,
				 const struct port *from,
				 const struct frame *frame, uint64_t now,
				 const struct member **to)
{
	const uint8_t *dst = eth(frame)->dst;
	int idx = -1;

	if (!eth_addr_is_multicast(dst))
		idx = mac_table_lookup(part->macs, dst, now);
	*to = idx < 0 ? NULL : part->by_idx[idx];
	/* A port that is coming or going may not be known here. */
	if (!*to)
		return part->n_members > 1 ? VERDICT_FLOOD :
			VERDICT_DROP_NO_PORT;
	return (*to)->port == from ? VERDICT_DROP_SAME_PORT : VERDICT_UNICAST;
}

/* Which queue of @to, on the worker of @to: frames of a flow to the same. */
static struct port_queue *receiver(struct port *to, const struct frame *frame,
				   unsigned int sender)
{
	return &to->queues[to->ops->rx_queue ?
			   to->ops->rx_queue(to, frame, sender) :
			   sender % to->n_rx];
}

static void stage_lookup(const struct part *part, struct pass *pass)
{
	uint64_t now = now_ms(part);

	for (unsigned int i = 0; i < pass->n; i++) {
		struct frame *frame = pass->frames[i];
		const struct member *to;

		if (frame->verdict != VERDICT_UNICAST)
			continue;
		frame->verdict = (uint16_t)
			lookup_frame(part, pass->sender->port, frame, now, &to);
		if (frame->verdict != VERDICT_UNICAST)
			continue;
		if (likely(to->home == part)) {
			pass->to[i] = receiver(to->port, frame,
					       pass->sender->idx);
		} else {
			pass->to[i] = to->inboxes[part->idx];
			pass->remote |= BIT(i);
		}
	}
}

/* ---- the stage that acts ---- */

static unsigned int deliver(struct part *part, struct port_queue *rxq,
			    struct frame *const *frames, unsigned int n,
			    uint32_t *resume_seg)
{
	uint32_t resumed_at = *resume_seg;
	unsigned int taken = port_deliver(rxq, frames, n, resume_seg);

	if (taken || *resume_seg != resumed_at) {
		rxq->rx_full_since_ns = 0;
		if (!rxq->rx_dirty) {
			rxq->rx_dirty = true;
			rxq->rx_next = part->dirty;
			part->dirty = rxq;
		}
	}
	return taken;
}

static unsigned int put(struct part *part, struct inbox *inbox,
			struct frame *const *frames, unsigned int n,
			unsigned int sender)
{
	unsigned int taken = inbox_put(inbox, frames, n, sender);

	if (taken) {
		inbox->full_since_ns = 0;
		if (!inbox->dirty) {
			inbox->dirty = true;
			inbox->next = part->outgoing;
			part->outgoing = inbox;
		}
	}
	return taken;
}

/* The receiver has been full since @full_since.  Is the sender to wait for it,
 * or has there been waiting enough: by this sender, or of anybody for this
 * receiver? */
static bool hold(struct part *part, const struct run *run,
		 uint64_t *full_since_ns)
{
	uint64_t now = worker_now(part->worker);

	if (!*full_since_ns)
		*full_since_ns = now;
	if (!run->hold->since_ns) {
		run->hold->since_ns = now;
		if (run->n_holds)
			counter_add(run->n_holds, 1);
	}
	return now - *full_since_ns < PORT_HOLD_NS &&
	       now - run->hold->since_ns < PORT_HOLD_NS;
}

/* A run goes to one queue, or into one inbox if @rxq is NULL.  Returns how many
 * have left, by one verdict or the other; if not all, the sender is held. */
static unsigned int output_unicast(struct part *part, const struct run *run,
				   struct port_queue *rxq, struct inbox *inbox)
{
	uint64_t *full_since_ns = rxq ? &rxq->rx_full_since_ns :
		&inbox->full_since_ns;
	counter *lost = rxq ? &rxq->stats.rx_full : &inbox->lost;
	struct port_hold *held = run->hold;
	unsigned int i = 0;

	for (;;) {
		uint32_t resumed_at = held->resume_seg;
		unsigned int taken;

		if (rxq) {
			taken = deliver(part, rxq, &run->frames[i], run->n - i,
					&held->resume_seg);
		} else {
			/* Whole, whatever another receiver has had of it. */
			held->resume_seg = 0;
			taken = put(part, inbox, &run->frames[i], run->n - i,
				    run->sender);
		}
		i += taken;
		if (taken || held->resume_seg != resumed_at)
			held->since_ns = 0;
		if (i == run->n || hold(part, run, full_since_ns))
			return i;

		counter_add(lost, 1);
		run->frames[i++]->verdict = VERDICT_DROP_RX_FULL;
		*held = (struct port_hold){ 0 };
		if (i == run->n)
			return i;
	}
}

/* Frames go to one receiver of many: what it does not take is lost to it. */
static void output_copy(struct part *part, struct port_queue *rxq,
			struct frame *const *frames, unsigned int n)
{
	uint32_t resume_seg = 0;
	unsigned int taken = deliver(part, rxq, frames, n, &resume_seg);

	counter_add(&rxq->stats.rx_full, n - taken);
}

/* A run goes to one port of many, of this worker.  It may spread it over
 * queues. */
static void output_copies(struct part *part, const struct run *run,
			  struct port *to)
{
	for (unsigned int i = 0, n; i < run->n; i += n) {
		struct port_queue *rxq = receiver(to, run->frames[i],
						  run->sender);

		for (n = 1; i + n < run->n; n++)
			if (receiver(to, run->frames[i + n], run->sender) !=
			    rxq)
				break;
		output_copy(part, rxq, &run->frames[i], n);
	}
}

/* A run goes to all ports but the sender's.  Nobody waits. */
static void output_flood(struct part *part, const struct run *run,
			 const struct port *from)
{
	for (unsigned int m = 0; m < part->n_members; m++) {
		const struct member *to = part->members[m];

		if (to->home != part) {
			struct inbox *inbox = to->inboxes[part->idx];

			counter_add(&inbox->lost, run->n -
				    put(part, inbox, run->frames, run->n,
					run->sender));
		} else if (to->port != from && to->port->link_up) {
			output_copies(part, run, to->port);
		}
	}
}

static bool same_way(const struct pass *pass, unsigned int a, unsigned int b)
{
	return pass->frames[a]->verdict == pass->frames[b]->verdict &&
	       (pass->frames[a]->verdict != VERDICT_UNICAST ||
		pass->to[a] == pass->to[b]);
}

/* Returns how many frames have left. */
static unsigned int stage_output(struct part *part, struct pass *pass)
{
	struct port_queue *sender = pass->sender;
	unsigned int i = 0, end, left;

	while (i < pass->n) {
		enum verdict verdict = pass->frames[i]->verdict;
		struct run run = {
			.frames = &pass->frames[i],
			.sender = sender->idx,
			.hold = &sender->hold,
			.n_holds = &sender->stats.tx_held,
		};

		for (end = i + 1; end < pass->n; end++)
			if (!same_way(pass, i, end))
				break;
		run.n = end - i;
		if (verdict == VERDICT_UNICAST) {
			bool remote = pass->remote & BIT(i);

			left = output_unicast(part, &run,
					      remote ? NULL : pass->to[i],
					      remote ? pass->to[i] : NULL);
			if (left < run.n)
				return i + left;
		} else {
			/* Not what was held, if anything was. */
			sender->hold = (struct port_hold){ 0 };
			if (verdict == VERDICT_FLOOD)
				output_flood(part, &run, sender->port);
		}
		i = end;
	}
	return i;
}

/* ---- the end of a batch ---- */

static void flush_dirty(struct part *part)
{
	struct port_queue *rxq;

	while ((rxq = part->dirty)) {
		part->dirty = rxq->rx_next;
		rxq->rx_next = NULL;
		rxq->rx_dirty = false;
		if (rxq->port->ops->rx_flush)
			rxq->port->ops->rx_flush(rxq);
	}
}

/* Publish all, then wake those workers that sleep: the first nudge does, the
 * others see that it is awake. */
static void publish_outgoing(struct part *part)
{
	struct inbox *first = part->outgoing, *inbox;

	part->outgoing = NULL;
	for (inbox = first; inbox; inbox = inbox->next) {
		inbox->dirty = false;
		inbox_publish(inbox);
	}
	for (inbox = first; inbox; inbox = inbox->next)
		worker_nudge(inbox->worker);
}

unsigned int vswitch_input(struct port_queue *sender,
			   struct frame_batch *batch)
{
	struct part *part = sender->port->sw;
	struct pass pass = { .sender = sender, .n = batch->n };
	unsigned int done;

	for (unsigned int i = 0; i < pass.n; i++)
		pass.frames[i] = &batch->frames[i];
	stage_parse(&pass);
	stage_learn(part, &pass);
	stage_lookup(part, &pass);
	done = stage_output(part, &pass);
	flush_dirty(part);
	if (part->outgoing)
		publish_outgoing(part);
	for (unsigned int i = 0; i < done; i++)
		counter_add(&part->verdicts[pass.frames[i]->verdict], 1);
	return done;
}

/* ---- frames from other workers ---- */

/* The batch of the round. */
static _Thread_local struct inbox_batch arrivals;

/* Frames from @i on that go the same way as it; which queue that is, of the
 * port of @inbox. */
static unsigned int arrivals_run(const struct inbox *inbox,
				 struct frame *const *frames, unsigned int i,
				 struct port_queue **rxq)
{
	unsigned int n;

	*rxq = receiver(inbox->port, frames[i], frames[i]->cookie);
	for (n = 1; i + n < arrivals.n; n++)
		if (frames[i + n]->verdict != frames[i]->verdict ||
		    receiver(inbox->port, frames[i + n],
			     frames[i + n]->cookie) != *rxq)
			break;
	return n;
}

/* As stage_output(), for frames whose verdict has been counted. */
static unsigned int output_arrivals(struct part *part, struct inbox *inbox,
				    struct frame *const *frames)
{
	unsigned int i = 0, left;

	while (i < arrivals.n) {
		struct run run = {
			.frames = &frames[i], .hold = &inbox->hold,
		};
		struct port_queue *rxq;

		run.n = arrivals_run(inbox, frames, i, &rxq);
		if (frames[i]->verdict == VERDICT_UNICAST) {
			left = output_unicast(part, &run, rxq, NULL);
			if (left < run.n)
				return i + left;
		} else {
			inbox->hold = (struct port_hold){ 0 };
			if (inbox->port->link_up)
				output_copy(part, rxq, run.frames, run.n);
		}
		i += run.n;
	}
	return i;
}

/* Held frames are work: nobody tells us when the receiver gets room. */
bool vswitch_serve_inbox(struct poller *poller)
{
	struct inbox *inbox = container_of(poller, struct inbox, poller);
	struct part *part = inbox->port->sw;
	struct frame *frames[BATCH_MAX];

	if (likely(!inbox_peek(inbox, &arrivals)))
		return false;
	for (unsigned int i = 0; i < arrivals.n; i++)
		frames[i] = &arrivals.frames[i];
	inbox_release(inbox, &arrivals, output_arrivals(part, inbox, frames));
	flush_dirty(part);
	return true;
}
