/* SPDX-License-Identifier: Apache-2.0
 *
 * The egress engine: port_deliver() gives frames to a receiver and does for it
 * what it cannot do itself.
 *
 * Each frame has a plan, by what it is and what the receiver's caps are.  Runs
 * of frames of the same kind of plan are handled together: those that are fine
 * as they are go down as given; those that need a change are changed in copies
 * of their headers, since the frames may have other receivers as well; those
 * that have to be cut up go one by one.
 */
#include "port/port.h"

#include <string.h>

#include "port/gso.h"
#include "proto/udp.h"

/* What has to be done to a frame; PLAN_AS_IS, one of those that stand alone, or
 * bits. */
enum plan {
	PLAN_AS_IS = 0,
	/* Put the tag into the bytes. */
	PLAN_TAG = 1,
	/* Complete the checksum. */
	PLAN_CSUM = 2,
	/* Append zeroes. */
	PLAN_PAD = 4,
	/* Alone: cut up.  The segments are then planned one by one. */
	PLAN_CUT = 8,
	/* Alone: not deliverable, counted. */
	PLAN_TOO_LONG = 16,
	PLAN_BAD_OFFLOAD = 32,

	PLAN_CHANGE = PLAN_TAG | PLAN_CSUM | PLAN_PAD,
};

static _Thread_local struct gso_scratch scratch;

static unsigned int plan_gso(const struct port_caps *caps,
			     const struct frame *frame)
{
	if (!gso_check(frame))
		return PLAN_BAD_OFFLOAD;
	if (gso_seg_len(frame) > caps->max_len)
		return PLAN_TOO_LONG;
	if (!(caps->gso & frame->gso) || !caps->csum ||
	    (gso_is_ecn(frame) && !(caps->gso & FRAME_GSO_ECN)))
		return PLAN_CUT;
	return frame->flags & FRAME_VLAN && !caps->vlan ? PLAN_TAG : PLAN_AS_IS;
}

/* DHCP's clients and servers read packets raw, and many of them drop one whose
 * checksum is left to an offload that they know nothing of. */
static bool is_dhcp(const struct frame *frame)
{
	struct udp_hdr udp;

	if (frame->csum_offset != offsetof(struct udp_hdr, csum))
		return false;
	memcpy(&udp, frame->hdr + frame->csum_start, sizeof(udp));
	switch (be16_get(udp.dst)) {
	case UDP_PORT_DHCP_SERVER:
	case UDP_PORT_DHCP_CLIENT:
	case UDP_PORT_DHCPV6_SERVER:
	case UDP_PORT_DHCPV6_CLIENT:
		return true;
	}
	return false;
}

static unsigned int plan_frame(const struct port_caps *caps,
			       const struct frame *frame)
{
	unsigned int plan = PLAN_AS_IS;

	if (frame->gso)
		return plan_gso(caps, frame);
	if (frame->len > caps->max_len)
		return PLAN_TOO_LONG;
	if (frame->flags & FRAME_CSUM_PARTIAL) {
		if (!csum_check(frame))
			return PLAN_BAD_OFFLOAD;
		if (!caps->csum || is_dhcp(frame))
			plan |= PLAN_CSUM;
	}
	if (frame->flags & FRAME_VLAN && !caps->vlan)
		plan |= PLAN_TAG;
	if (frame->len < caps->min_len)
		plan |= PLAN_PAD;
	return plan;
}

/* ---- carrying out ---- */

/* A frame this short lies in its private header, but for a segment's payload:
 * that is fetched there first. */
static void pad(struct frame *frame, uint16_t min_len)
{
	uint32_t len = min_of(min_len, (uint16_t)FRAME_HDR_MAX);

	if (frame->len >= len)
		return;
	for (unsigned int i = 0; i < frame->n_segs; i++) {
		memcpy(frame->hdr + frame->hdr_len, frame->segs[i].iov_base,
		       frame->segs[i].iov_len);
		frame->hdr_len += (uint16_t)frame->segs[i].iov_len;
	}
	frame->n_segs = 0;
	memset(frame->hdr + frame->hdr_len, 0, len - frame->hdr_len);
	frame->hdr_len = (uint16_t)len;
	frame->len = len;
}

/* Checksum first: it must not see the padding, and the tag moves it. */
static void change(struct frame *frame, unsigned int plan,
		   const struct port_caps *caps)
{
	if (plan & PLAN_CSUM)
		csum_fill(frame);
	if (plan & PLAN_TAG)
		frame_push_vlan(frame);
	if (plan & PLAN_PAD)
		pad(frame, caps->min_len);
}

static void copy_header(struct frame *to, const struct frame *from)
{
	memcpy(to, from, offsetof(struct frame, hdr_buf));
	to->hdr = to->hdr_buf + FRAME_HEADROOM;
	memcpy(to->hdr, from->hdr, from->hdr_len);
}

static unsigned int give(struct port_queue *queue,
			 struct frame *const *frames, unsigned int n)
{
	unsigned int taken = queue->port->ops->rx_burst(queue, frames, n);
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < taken; i++)
		bytes += frames[i]->len;
	counter_add(&queue->stats.rx_frames, taken);
	counter_add(&queue->stats.rx_bytes, bytes);
	return taken;
}

static unsigned int give_changed(struct port_queue *queue,
				 struct frame *const *frames,
				 const unsigned int *plans, unsigned int n)
{
	struct frame *changed[BATCH_MAX];
	unsigned int taken, filled = 0;

	for (unsigned int i = 0; i < n; i++) {
		changed[i] = &scratch.frames[i];
		copy_header(changed[i], frames[i]);
		change(changed[i], plans[i], &queue->port->caps);
	}
	taken = give(queue, changed, n);
	for (unsigned int i = 0; i < taken; i++)
		filled += !!(plans[i] & PLAN_CSUM);
	counter_add(&queue->stats.csum_filled, filled);
	return taken;
}

/* Deliver the segments from *@resume_seg on; have all of them been taken? */
static bool give_cut(struct port_queue *queue, const struct frame *frame,
		     uint32_t *resume_seg)
{
	const struct port_caps *caps = &queue->port->caps;
	uint32_t total = gso_n_segs(frame);

	/* The sender may have changed the frame while it was held; beyond the
	 * new end there is nothing to deliver. */
	while (*resume_seg < total) {
		unsigned int n = min_of(total - *resume_seg,
					(uint32_t)BATCH_MAX);
		struct frame *segs[BATCH_MAX];
		unsigned int taken;

		gso_cut(frame, *resume_seg, n, &scratch);
		for (unsigned int i = 0; i < n; i++) {
			segs[i] = &scratch.frames[i];
			change(segs[i], plan_frame(caps, segs[i]), caps);
		}
		taken = give(queue, segs, n);
		if (!caps->csum)
			counter_add(&queue->stats.csum_filled, taken);
		*resume_seg += taken;
		if (taken < n)
			return false;
	}
	counter_add(&queue->stats.gso_cut, 1);
	return true;
}

/* Like plans: all as is, or all to be changed. */
static bool same_kind(unsigned int a, unsigned int b)
{
	return !a == !b && !((a | b) & ~(unsigned int)PLAN_CHANGE);
}

/* What stands alone; has it been taken? */
static bool deliver_alone(struct port_queue *queue, const struct frame *frame,
			  unsigned int plan, uint32_t *resume_seg)
{
	if (plan == PLAN_CUT && !give_cut(queue, frame, resume_seg))
		return false;
	if (plan == PLAN_TOO_LONG)
		counter_add(&queue->stats.rx_too_long, 1);
	if (plan == PLAN_BAD_OFFLOAD)
		counter_add(&queue->stats.bad_offload, 1);
	*resume_seg = 0;
	return true;
}

unsigned int port_deliver(struct port_queue *queue,
			  struct frame *const *frames, unsigned int n,
			  uint32_t *resume_seg)
{
	const struct port_caps *caps = &queue->port->caps;
	unsigned int plans[BATCH_MAX];
	unsigned int done = 0, run, taken;

	if (!queue->port->link_up || !queue->running) {
		counter_add(&queue->stats.rx_link_down, n);
		*resume_seg = 0;
		return n;
	}
	for (unsigned int i = 0; i < n; i++)
		plans[i] = plan_frame(caps, frames[i]);

	while (done < n) {
		if (plans[done] & ~(unsigned int)PLAN_CHANGE) {
			if (!deliver_alone(queue, frames[done], plans[done],
					   resume_seg))
				return done;
			done++;
			continue;
		}
		/* Held half cut, it may have come back as a small one. */
		*resume_seg = 0;
		for (run = 1; done + run < n; run++)
			if (!same_kind(plans[done], plans[done + run]))
				break;
		taken = plans[done] ?
			give_changed(queue, &frames[done], &plans[done], run) :
			give(queue, &frames[done], run);
		done += taken;
		if (taken < run)
			break;
	}
	return done;
}
