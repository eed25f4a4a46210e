/* SPDX-License-Identifier: Apache-2.0
 *
 * A frame on its way through the switch.
 *
 * A frame is never owned and never outlives its batch.  It is a private copy of
 * its first bytes (everything the pipeline reads; its sender cannot change it
 * any more) plus the payload where it lies: in a guest's memory, in a tap
 * buffer.  Delivery copies header and payload into the receiver: the one copy.
 *
 * The outermost 802.1Q tag and the offloads travel beside the bytes.  Frames
 * carry no FCS.
 */
#ifndef PORT_FRAME_H
#define PORT_FRAME_H

#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#include "base/util.h"
#include "proto/eth.h"

enum {
	/* Header bytes copied at most (all of them if the frame is shorter). */
	FRAME_HDR_MAX = 256,
	/* Room before them, for tags and tunnel headers to be pushed. */
	FRAME_HEADROOM = 64,
	/* Largest frame, untagged: a 64 KiB IP packet and its header */
	FRAME_LEN_MAX = 65536 + 14,
	/* Smallest: addresses and type */
	FRAME_LEN_MIN = 14,
	/* Payload pieces of one frame at most. */
	FRAME_SEGS_MAX = 64,
	/* Frames handled together. */
	BATCH_MAX = 32,
	/* Pieces for a whole batch; a batch ends early where they run out. */
	BATCH_SEGS = 512,
};

/* How a large frame is to be cut up.  Values are bits, see port_caps.gso. */
enum frame_gso {
	FRAME_GSO_NONE = 0,
	FRAME_GSO_TCP4 = 1,	/* TCP over IPv4 */
	FRAME_GSO_TCP6 = 2,	/* TCP over IPv6 */
	FRAME_GSO_UDP = 4,	/* UDP (USO), IPv4 or IPv6 */
	FRAME_GSO_ECN = 8,	/* of receivers only: TCP with CWR set, which is
				 * to be in the first segment alone */
};

enum frame_flags {
	/* An 802.1Q tag lies in vlan_tci, not in the bytes. */
	FRAME_VLAN = 1,
	/* The L4 checksum is to be filled in: one's complement sum of all bytes
	 * from csum_start on, stored at csum_start + csum_offset, which now
	 * holds the pseudo-header's sum (not inverted; with the length, for GSO
	 * the length of the whole large packet, as in virtio). */
	FRAME_CSUM_PARTIAL = 2,
	/* The sender vouches for the L4 checksum (internal, or checked). */
	FRAME_CSUM_VALID = 4,
};

struct frame {
	uint8_t *hdr;		/* the private copy; in hdr_buf */
	uint32_t len;		/* bytes in all: hdr_len + payload; no tag */
	uint16_t hdr_len;	/* bytes at hdr; >= FRAME_LEN_MIN */
	uint16_t n_segs;	/* payload pieces */
	const struct iovec *segs; /* the payload; in the batch's pool */
	uint8_t flags;		/* enum frame_flags */
	uint8_t gso;		/* enum frame_gso, exactly one or none */
	uint16_t gso_size;	/* GSO: L4 payload bytes a segment; never 0 */
	uint16_t gso_hdr_len;	/* GSO: header bytes each segment repeats;
				 * <= hdr_len */
	uint16_t csum_start;	/* PARTIAL: from the start of the frame */
	uint16_t csum_offset;	/* PARTIAL: start + offset + 2 <= hdr_len */
	uint16_t vlan_tci;	/* FRAME_VLAN: PCP, DEI, VID; host order */
	uint16_t verdict;	/* the switch's: enum verdict */
	uint32_t cookie;	/* the sender's: e.g. ring index after it */
	uint8_t hdr_buf[FRAME_HEADROOM + FRAME_HDR_MAX];
};

/* Frames of one sender, taken and forwarded together. */
struct frame_batch {
	unsigned int n;			/* frames in use */
	unsigned int n_segs;		/* of segs[] in use */
	struct frame frames[BATCH_MAX];
	struct iovec segs[BATCH_SEGS];
};

/**
 * batch_next() - the next free frame, emptied, with room for FRAME_SEGS_MAX
 *
 * The frame becomes part of the batch with batch_commit(); until then another
 * batch_next() returns the same one.
 *
 * Return: the frame, or NULL: the batch is full.
 */
struct frame *batch_next(struct frame_batch *batch);

/**
 * batch_fill(), batch_fill_behind() - describe a frame's bytes, given as pieces
 * @iov: the pieces, in order, where they lie; copied from, then referred to
 * @skip: bytes at their beginning that are not the frame's
 * @len: bytes after those, FRAME_LEN_MIN to FRAME_LEN_MAX
 *
 * Copies the first FRAME_HDR_MAX bytes (once) and lists the rest.  An 802.1Q
 * tag in the bytes is *not* taken out here; see frame_pop_vlan().
 *
 * Return: 0, or -EMSGSIZE (too short, too long), -E2BIG (too many pieces).
 */
int must_check batch_fill_behind(struct frame_batch *batch,
				 struct frame *frame, const struct iovec *iov,
				 unsigned int n_iov, uint32_t skip,
				 uint32_t len);

static inline int must_check batch_fill(struct frame_batch *batch,
					struct frame *frame,
					const struct iovec *iov,
					unsigned int n_iov, uint32_t len)
{
	return batch_fill_behind(batch, frame, iov, n_iov, 0, len);
}

/** batch_commit() - the frame of batch_next() is complete: n grows by one */
void batch_commit(struct frame_batch *batch, struct frame *frame);

/** frame_pop_tag() - the rest of the next, where there may be a tag */
void frame_pop_tag(struct frame *frame);

/**
 * frame_pop_vlan() - move an 802.1Q tag (0x8100) from the bytes to vlan_tci
 *
 * Nothing happens if there is none, the frame is shorter than a tagged one, or
 * a tag is beside it already.  Moves csum_start and gso_hdr_len along.
 */
static inline void frame_pop_vlan(struct frame *frame)
{
	be16 type;

	memcpy(&type, frame->hdr + 2 * ETH_ADDR_LEN, sizeof(type));
	if (unlikely(be16_get(type) == ETH_TYPE_VLAN))
		frame_pop_tag(frame);
}

/** frame_push_vlan() - the reverse; needs 4 bytes of headroom (there are) */
void frame_push_vlan(struct frame *frame);

/** frame_copy() - all bytes into @dst of @size; bytes copied */
uint32_t frame_copy(const struct frame *frame, void *dst, uint32_t size);

#endif
