/* SPDX-License-Identifier: Apache-2.0
 *
 * A virtio_net_hdr and a frame, both anything: what is taken over is cut up and
 * completed, and each segment is one that the wire could carry.  The input is
 * the header, then the frame.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "port/gso.h"
#include "port/vnet_hdr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct frame_batch batch;
static struct gso_scratch scratch;

static void cut(const struct frame *frame)
{
	uint32_t n = gso_n_segs(frame), longest = gso_seg_len(frame);
	uint64_t payload = 0;

	for (uint32_t first = 0; first < n; first += BATCH_MAX) {
		unsigned int run = min_of(n - first, (uint32_t)BATCH_MAX);

		gso_cut(frame, first, run, &scratch);
		for (unsigned int i = 0; i < run; i++) {
			struct frame *seg = &scratch.frames[i];

			payload += seg->len - frame->gso_hdr_len;
			if (seg->len > longest || seg->gso ||
			    !csum_check(seg))
				abort();
			csum_fill(seg);
		}
	}
	if (payload != frame->len - frame->gso_hdr_len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vnet_hdr hdr, back;
	struct frame *frame;
	struct iovec iov[3];
	size_t third;

	if (size < sizeof(hdr))
		return 0;
	memcpy(&hdr, data, sizeof(hdr));
	size -= sizeof(hdr);
	data += sizeof(hdr);
	third = size / 3;
	iov[0] = (struct iovec){ (void *)data, third };
	iov[1] = (struct iovec){ (void *)(data + third), third };
	iov[2] = (struct iovec){ (void *)(data + 2 * third), size - 2 * third };
	batch.n = batch.n_segs = 0;
	frame = batch_next(&batch);
	if (batch_fill(&batch, frame, iov, 3, (uint32_t)size) ||
	    vnet_hdr_get(&hdr, frame))
		return 0;
	vnet_hdr_put(frame, &back);
	frame_pop_vlan(frame);
	if (frame->gso && gso_check(frame))
		cut(frame);
	else if (frame->flags & FRAME_CSUM_PARTIAL && csum_check(frame))
		csum_fill(frame);
	return 0;
}
