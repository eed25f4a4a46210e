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

/* What eth_addr_key() never is. */
#define NO_ADDR UINT64_MAX

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

/* Who offers frames: a port's queue, or an inbox. */
struct supplier {
	struct port_hold *hold;		/* how long its first frame has waited*/
	counter *n_holds;		/* counts waits; NULL: nobody does */
	unsigned int sender;		/* number of the queue; not of inboxes,
					 * whose frames have their own */
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

/* Frames of one source mostly come together: it is learnt once for them. */
static void stage_learn(struct part *part, struct pass *pass)
{
	uint64_t now = now_ms(part);
	uint64_t last = NO_ADDR;

	for (unsigned int i = 0; i < pass->n; i++) {
		const uint8_t *src = eth(pass->frames[i])->src;

		if (pass->frames[i]->verdict != VERDICT_UNICAST ||
		    eth_addr_key(src) == last)
			continue;
		last = eth_addr_key(src);
		mac_table_learn(part->macs, src, pass->sender->port->sw_idx,
				now);
	}
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
	const struct member *to = NULL;
	enum verdict verdict = VERDICT_FLOOD;
	uint64_t now = now_ms(part);
	uint64_t last = NO_ADDR;

	for (unsigned int i = 0; i < pass->n; i++) {
		struct frame *frame = pass->frames[i];

		if (frame->verdict != VERDICT_UNICAST)
			continue;
		/* As the frame before, more often than not. */
		if (eth_addr_key(eth(frame)->dst) != last) {
			last = eth_addr_key(eth(frame)->dst);
			verdict = lookup_frame(part, pass->sender->port, frame,
					       now, &to);
		}
		frame->verdict = (uint16_t)verdict;
		if (verdict != VERDICT_UNICAST)
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

/* Offer frames to a queue of this worker; how many it has taken. */
static unsigned int deliver(struct part *part, struct port_hold *hold,
			    struct frame *const *frames, unsigned int n,
			    struct port_queue *rxq)
{
	uint32_t resumed_at = hold->resume_seg;
	unsigned int taken = port_deliver(rxq, frames, n, &hold->resume_seg);

	if (taken || hold->resume_seg != resumed_at) {
		hold->since_ns = 0;
		rxq->rx_full_since_ns = 0;
		if (!rxq->rx_dirty) {
			rxq->rx_dirty = true;
			rxq->rx_next = part->dirty;
			part->dirty = rxq;
		}
	}
	return taken;
}

/* The same for a port of another worker.  Frames go whole, whatever another
 * receiver has had of the first. */
static unsigned int put(struct part *part, const struct supplier *from,
			struct frame *const *frames, unsigned int n,
			struct inbox *inbox)
{
	unsigned int taken = inbox_put(inbox, frames, n, from->sender);

	from->hold->resume_seg = 0;
	if (taken) {
		from->hold->since_ns = 0;
		inbox->full_since_ns = 0;
		if (!inbox->dirty) {
			inbox->dirty = true;
			inbox->next = part->outgoing;
			part->outgoing = inbox;
		}
	}
	return taken;
}

/* The receiver has no room, since @full_since.  Is the supplier to wait for it,
 * or has there been waiting enough: by this one, or of anybody for this
 * receiver?  If so, its first frame is lost. */
static bool hold(struct part *part, const struct supplier *from,
		 uint64_t *full_since_ns, counter *lost, struct frame *first)
{
	uint64_t now = worker_now(part->worker);

	if (!*full_since_ns)
		*full_since_ns = now;
	if (!from->hold->since_ns) {
		from->hold->since_ns = now;
		if (from->n_holds)
			counter_add(from->n_holds, 1);
	}
	if (now - *full_since_ns < PORT_HOLD_NS &&
	    now - from->hold->since_ns < PORT_HOLD_NS)
		return true;
	counter_add(lost, 1);
	first->verdict = VERDICT_DROP_RX_FULL;
	*from->hold = (struct port_hold){ 0 };
	return false;
}

/* Frames go to one queue.  Returns how many have left, by one verdict or the
 * other; if not all, the supplier is held. */
static unsigned int output_queue(struct part *part,
				 const struct supplier *from,
				 struct frame *const *frames, unsigned int n,
				 struct port_queue *rxq)
{
	unsigned int i = deliver(part, from->hold, frames, n, rxq);

	while (unlikely(i < n)) {
		if (hold(part, from, &rxq->rx_full_since_ns,
			 &rxq->stats.rx_full, frames[i]))
			break;
		i++;
		i += deliver(part, from->hold, &frames[i], n - i, rxq);
	}
	return i;
}

/* The same into an inbox. */
static unsigned int output_inbox(struct part *part,
				 const struct supplier *from,
				 struct frame *const *frames, unsigned int n,
				 struct inbox *inbox)
{
	unsigned int i = put(part, from, frames, n, inbox);

	while (unlikely(i < n)) {
		if (hold(part, from, &inbox->full_since_ns, &inbox->lost,
			 frames[i]))
			break;
		i++;
		i += put(part, from, &frames[i], n - i, inbox);
	}
	return i;
}

/* Frames go to one queue of many: what it does not take is lost to it. */
static void output_copy(struct part *part, struct frame *const *frames,
			unsigned int n, struct port_queue *rxq)
{
	struct port_hold none = { 0 };

	counter_add(&rxq->stats.rx_full,
		    n - deliver(part, &none, frames, n, rxq));
}

/* Frames go to one port of many, of this worker.  It may spread them over
 * queues. */
static void output_copies(struct part *part, unsigned int sender,
			  struct frame *const *frames, unsigned int n,
			  struct port *to)
{
	for (unsigned int i = 0, run; i < n; i += run) {
		struct port_queue *rxq = receiver(to, frames[i], sender);

		for (run = 1; i + run < n; run++)
			if (receiver(to, frames[i + run], sender) != rxq)
				break;
		output_copy(part, &frames[i], run, rxq);
	}
}

/* Frames go to all ports but the sender's.  Nobody waits. */
static void output_flood(struct part *part, const struct supplier *from,
			 struct frame *const *frames, unsigned int n,
			 const struct port *sender)
{
	for (unsigned int m = 0; m < part->n_members; m++) {
		const struct member *to = part->members[m];

		if (to->home != part) {
			struct inbox *inbox = to->inboxes[part->idx];

			counter_add(&inbox->lost,
				    n - put(part, from, frames, n, inbox));
		} else if (to->port != sender && to->port->link_up) {
			output_copies(part, from->sender, frames, n, to->port);
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
	const struct supplier from = {
		.hold = &sender->hold,
		.n_holds = &sender->stats.tx_held,
		.sender = sender->idx,
	};
	unsigned int i = 0, end, left;

	while (i < pass->n) {
		enum verdict verdict = pass->frames[i]->verdict;

		for (end = i + 1; end < pass->n; end++)
			if (!same_way(pass, i, end))
				break;
		if (verdict == VERDICT_UNICAST) {
			left = likely(!(pass->remote & BIT(i))) ?
				output_queue(part, &from, &pass->frames[i],
					     end - i, pass->to[i]) :
				output_inbox(part, &from, &pass->frames[i],
					     end - i, pass->to[i]);
			if (left < end - i)
				return i + left;
		} else {
			/* Not what was held, if anything was. */
			sender->hold = (struct port_hold){ 0 };
			if (verdict == VERDICT_FLOOD)
				output_flood(part, &from, &pass->frames[i],
					     end - i, sender->port);
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
	struct pass pass;
	unsigned int done;

	pass.sender = sender;
	pass.n = batch->n;
	pass.remote = 0;
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
	const struct supplier from = { .hold = &inbox->hold };
	unsigned int i = 0, n, left;

	while (i < arrivals.n) {
		struct port_queue *rxq;

		n = arrivals_run(inbox, frames, i, &rxq);
		if (frames[i]->verdict == VERDICT_UNICAST) {
			left = output_queue(part, &from, &frames[i], n, rxq);
			if (left < n)
				return i + left;
		} else {
			inbox->hold = (struct port_hold){ 0 };
			if (inbox->port->link_up)
				output_copy(part, &frames[i], n, rxq);
		}
		i += n;
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
