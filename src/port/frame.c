/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames and batches; see frame.h.
 */
#include "port/frame.h"

#include <errno.h>
#include <string.h>

#include "proto/eth.h"

struct frame *batch_next(struct frame_batch *batch)
{
	struct frame *frame;

	if (batch->n == BATCH_MAX ||
	    BATCH_SEGS - batch->n_segs < FRAME_SEGS_MAX)
		return NULL;
	frame = &batch->frames[batch->n];
	memset(frame, 0, offsetof(struct frame, hdr_buf));
	frame->hdr = frame->hdr_buf + FRAME_HEADROOM;
	return frame;
}

/* All in one piece, as most frames are. */
static void fill_whole(struct frame *frame, struct iovec *seg, uint8_t *base,
		       uint32_t len)
{
	uint32_t hdr_len = min_of(len, (uint32_t)FRAME_HDR_MAX);

	memcpy(frame->hdr, base, hdr_len);
	*seg = (struct iovec){ base + hdr_len, len - hdr_len };
	frame->len = len;
	frame->hdr_len = (uint16_t)hdr_len;
	frame->segs = seg;
	frame->n_segs = len > hdr_len;
}

int batch_fill_behind(struct frame_batch *batch, struct frame *frame,
		      const struct iovec *iov, unsigned int n_iov,
		      uint32_t skip, uint32_t len)
{
	struct iovec *segs = &batch->segs[batch->n_segs];
	uint32_t hdr_len = min_of(len, (uint32_t)FRAME_HDR_MAX);
	uint32_t left = len, hdr_left = hdr_len;
	unsigned int n = 0;

	if (len < FRAME_LEN_MIN || len > FRAME_LEN_MAX)
		return -EMSGSIZE;
	if (likely(n_iov && iov->iov_len >= (size_t)skip + len)) {
		fill_whole(frame, segs, (uint8_t *)iov->iov_base + skip, len);
		return 0;
	}
	for (; left && n_iov; iov++, n_iov--) {
		uint32_t skip_here = (uint32_t)min_of(iov->iov_len,
						      (size_t)skip);
		uint8_t *base = (uint8_t *)iov->iov_base + skip_here;
		uint32_t piece = (uint32_t)min_of(iov->iov_len - skip_here,
						  (size_t)left);
		uint32_t head = min_of(piece, hdr_left);

		skip -= skip_here;
		memcpy(frame->hdr + (hdr_len - hdr_left), base, head);
		hdr_left -= head;
		left -= piece;
		if (piece == head)
			continue;
		if (n == FRAME_SEGS_MAX)
			return -E2BIG;
		segs[n].iov_base = base + head;
		segs[n].iov_len = piece - head;
		n++;
	}
	if (left)
		return -EMSGSIZE;

	frame->len = len;
	frame->hdr_len = (uint16_t)hdr_len;
	frame->segs = segs;
	frame->n_segs = (uint16_t)n;
	return 0;
}

void batch_commit(struct frame_batch *batch, struct frame *frame)
{
	batch->n_segs += frame->n_segs;
	batch->n++;
}

/* An offset into the frame behind the tag, after the tag has gone.  One that
 * points into the tag or before it is nonsense and stays so: whoever uses it
 * checks it against the lengths. */
static uint16_t offset_without_tag(uint16_t off)
{
	return off >= ETH_HDR_LEN + ETH_TAG_LEN ? off - ETH_TAG_LEN : off;
}

void frame_pop_tag(struct frame *frame)
{
	struct vlan_tag tag;

	if (frame->flags & FRAME_VLAN ||
	    frame->hdr_len < ETH_HDR_LEN + ETH_TAG_LEN)
		return;
	memcpy(&tag, frame->hdr + 2 * ETH_ADDR_LEN, sizeof(tag));
	if (be16_get(tag.tpid) != ETH_TYPE_VLAN)
		return;

	memmove(frame->hdr + ETH_TAG_LEN, frame->hdr, 2 * ETH_ADDR_LEN);
	frame->hdr += ETH_TAG_LEN;
	frame->hdr_len -= ETH_TAG_LEN;
	frame->len -= ETH_TAG_LEN;
	frame->csum_start = offset_without_tag(frame->csum_start);
	frame->gso_hdr_len = offset_without_tag(frame->gso_hdr_len);
	frame->vlan_tci = be16_get(tag.tci);
	frame->flags |= FRAME_VLAN;
}

void frame_push_vlan(struct frame *frame)
{
	struct vlan_tag tag = {
		be16_of(ETH_TYPE_VLAN), be16_of(frame->vlan_tci)
	};

	if (!(frame->flags & FRAME_VLAN))
		return;
	frame->hdr -= ETH_TAG_LEN;
	memmove(frame->hdr, frame->hdr + ETH_TAG_LEN, 2 * ETH_ADDR_LEN);
	memcpy(frame->hdr + 2 * ETH_ADDR_LEN, &tag, sizeof(tag));
	frame->hdr_len += ETH_TAG_LEN;
	frame->len += ETH_TAG_LEN;
	if (frame->flags & FRAME_CSUM_PARTIAL)
		frame->csum_start += ETH_TAG_LEN;
	if (frame->gso)
		frame->gso_hdr_len += ETH_TAG_LEN;
	frame->vlan_tci = 0;
	frame->flags &= (uint8_t)~FRAME_VLAN;
}

uint32_t frame_copy(const struct frame *frame, void *dst, uint32_t size)
{
	uint32_t n = min_of((uint32_t)frame->hdr_len, size);
	uint8_t *out = dst;

	memcpy(out, frame->hdr, n);
	for (unsigned int i = 0; i < frame->n_segs && n < size; i++) {
		uint32_t piece = (uint32_t)min_of(frame->segs[i].iov_len,
						  (size_t)(size - n));

		memcpy(out + n, frame->segs[i].iov_base, piece);
		n += piece;
	}
	return n;
}
