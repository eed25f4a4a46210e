/* SPDX-License-Identifier: Apache-2.0
 *
 * Cutting a large frame up into those that the wire would carry, and filling
 * in checksums.  Used by the egress engine (egress.c) for receivers that
 * cannot do so themselves.
 *
 * What a frame says about its offloads comes from a guest.  gso_check() and
 * csum_check() compare it with the headers; everything else here may be called
 * for frames that passed.
 */
#ifndef PORT_GSO_H
#define PORT_GSO_H

#include "port/frame.h"

enum {
	/* Segments of one frame at most: 64 KiB in the smallest a TCP may send
	 * (an MSS of 48 less timestamps), and a bound on the work one frame can
	 * ask for. */
	GSO_SEGS_MAX = 2048,
	/* Pieces for one gso_cut(): each boundary adds one to those there
	 * were, and the rest of the private header is one, too. */
	GSO_PIECES_MAX = FRAME_SEGS_MAX + 1 + BATCH_MAX,
};

/* Frames made on the way to one receiver; each worker thread has its own. */
struct gso_scratch {
	struct frame frames[BATCH_MAX];
	struct iovec pieces[GSO_PIECES_MAX];
};

/**
 * gso_check() - do the offload fields of a large frame agree with its headers?
 *
 * The kind of GSO with the protocols, gso_hdr_len with the headers' ends, the
 * partial checksum (which every large frame has) with the L4 header, and a
 * sane number of segments.
 */
bool must_check gso_check(const struct frame *frame);

/** csum_check() - does a partial checksum lie within the private header? */
bool must_check csum_check(const struct frame *frame);

/** gso_is_ecn() - TCP with CWR set?  For frames that passed gso_check() */
bool gso_is_ecn(const struct frame *frame);

/** gso_n_segs() - frames that the large frame makes, at least 1 */
uint32_t gso_n_segs(const struct frame *frame);

/** gso_seg_len() - length of the longest of them */
uint32_t gso_seg_len(const struct frame *frame);

/**
 * gso_cut() - make segments @first, @first + 1... of @frame
 * @n: how many, at most BATCH_MAX, none beyond the last
 *
 * They have headers of their own, with lengths, ids, sequence numbers and flags
 * of their own, and refer to @frame's payload.  Their L4 checksums are left
 * partial.
 */
void gso_cut(const struct frame *frame, uint32_t first, unsigned int n,
	     struct gso_scratch *scratch);

/** csum_fill() - complete a partial checksum in the private header */
void csum_fill(struct frame *frame);

#endif
