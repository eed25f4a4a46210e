/* SPDX-License-Identifier: Apache-2.0
 *
 * Segmentation of TCP and UDP, and completion of checksums; see gso.h.
 */
#include "port/gso.h"

#include <string.h>

#include "proto/checksum.h"
#include "proto/eth.h"
#include "proto/ip.h"
#include "proto/parse.h"
#include "proto/tcp.h"
#include "proto/udp.h"

/* ---- checks ---- */

bool csum_check(const struct frame *frame)
{
	return frame->csum_start >= ETH_HDR_LEN &&
	       range_within(frame->csum_start + (uint32_t)frame->csum_offset,
			    sizeof(be16), frame->hdr_len);
}

/* Does the L4 header that @parsed found end where the payload is to begin? */
static bool l4_check(const struct frame *frame, const struct parsed *parsed)
{
	const uint8_t *l4 = frame->hdr + parsed->l4_off;
	unsigned int room = frame->gso_hdr_len - parsed->l4_off;
	unsigned int csum_offset, hdr_len;

	if (frame->gso == FRAME_GSO_UDP) {
		if (parsed->ip_proto != IP_PROTO_UDP)
			return false;
		csum_offset = offsetof(struct udp_hdr, csum);
		hdr_len = sizeof(struct udp_hdr);
	} else {
		if (parsed->ip_proto != IP_PROTO_TCP ||
		    room < sizeof(struct tcp_hdr))
			return false;
		csum_offset = offsetof(struct tcp_hdr, csum);
		hdr_len = tcp_hdr_len((const struct tcp_hdr *)l4);
		if (hdr_len < sizeof(struct tcp_hdr))
			return false;
	}
	return hdr_len == room && frame->csum_start == parsed->l4_off &&
	       frame->csum_offset == csum_offset;
}

bool gso_check(const struct frame *frame)
{
	struct parsed parsed;

	if (!frame->gso_size || frame->gso_hdr_len > frame->hdr_len ||
	    !(frame->flags & FRAME_CSUM_PARTIAL) ||
	    gso_n_segs(frame) > GSO_SEGS_MAX)
		return false;
	parse_headers(frame->hdr, frame->gso_hdr_len, &parsed);
	if (!parsed.l4_off || parsed.fragment ||
	    gso_seg_len(frame) - parsed.l3_off > UINT16_MAX)
		return false;
	switch (frame->gso) {
	case FRAME_GSO_TCP4:
		return parsed.ip_version == 4 && l4_check(frame, &parsed);
	case FRAME_GSO_TCP6:
		return parsed.ip_version == 6 && l4_check(frame, &parsed);
	case FRAME_GSO_UDP:
		return l4_check(frame, &parsed);
	}
	return false;
}

bool gso_is_ecn(const struct frame *frame)
{
	return frame->gso != FRAME_GSO_UDP &&
	       frame->hdr[frame->csum_start + offsetof(struct tcp_hdr, flags)] &
	       TCP_CWR;
}

/* ---- sizes ---- */

uint32_t gso_n_segs(const struct frame *frame)
{
	uint32_t payload = frame->len - frame->gso_hdr_len;

	/* One without payload is still a frame. */
	return payload ? (payload - 1) / frame->gso_size + 1 : 1;
}

uint32_t gso_seg_len(const struct frame *frame)
{
	return min_of(frame->len, (uint32_t)frame->gso_hdr_len +
				  frame->gso_size);
}

/* ---- cutting ---- */

/* A place in the payload, which begins in the private header's rest. */
struct cursor {
	const struct iovec *segs;	/* pieces not yet begun */
	const uint8_t *base;		/* rest of the one begun */
	size_t left;
	struct iovec *pieces;		/* where slices are written */
};

static void cursor_init(struct cursor *cursor, const struct frame *frame,
			struct gso_scratch *scratch)
{
	cursor->segs = frame->segs;
	cursor->base = frame->hdr + frame->gso_hdr_len;
	cursor->left = frame->hdr_len - frame->gso_hdr_len;
	cursor->pieces = scratch->pieces;
}

/* At most the rest of the piece begun, from @len bytes wanted. */
static struct iovec cursor_take(struct cursor *cursor, uint32_t len)
{
	struct iovec slice;

	while (!cursor->left) {
		cursor->base = cursor->segs->iov_base;
		cursor->left = cursor->segs->iov_len;
		cursor->segs++;
	}
	slice.iov_base = (void *)cursor->base;
	slice.iov_len = min_of((size_t)len, cursor->left);
	cursor->base += slice.iov_len;
	cursor->left -= slice.iov_len;
	return slice;
}

static void cursor_skip(struct cursor *cursor, uint32_t len)
{
	while (len)
		len -= (uint32_t)cursor_take(cursor, len).iov_len;
}

/* The next @len bytes become the payload of @seg. */
static void cursor_slice(struct cursor *cursor, uint32_t len,
			 struct frame *seg)
{
	seg->segs = cursor->pieces;
	seg->n_segs = 0;
	seg->len = seg->hdr_len + len;
	while (len) {
		*cursor->pieces = cursor_take(cursor, len);
		len -= (uint32_t)cursor->pieces->iov_len;
		cursor->pieces++;
		seg->n_segs++;
	}
}

/* Lengths, id and header checksum of the IP header of segment @k. */
static void ip_update(struct frame *seg, const struct parsed *parsed,
		      uint32_t k)
{
	uint16_t ip_len = (uint16_t)(seg->len - parsed->l3_off);
	struct ip4_hdr *ip4 = (void *)(seg->hdr + parsed->l3_off);
	struct ip6_hdr *ip6 = (void *)ip4;

	if (parsed->ip_version == 6) {
		ip6->payload_len = be16_of((uint16_t)(ip_len - sizeof(*ip6)));
		return;
	}
	ip4->total_len = be16_of(ip_len);
	ip4->id = be16_of((uint16_t)(be16_get(ip4->id) + k));
	ip4->csum = (be16){ { 0 } };
	ip4->csum = csum_of(ip4, ip4_hdr_len(ip4));
}

static void l4_update(struct frame *seg, const struct parsed *parsed,
		      uint32_t k, bool last)
{
	struct tcp_hdr *tcp = (void *)(seg->hdr + parsed->l4_off);
	struct udp_hdr *udp = (void *)tcp;

	if (parsed->ip_proto == IP_PROTO_UDP) {
		udp->len = be16_of((uint16_t)(seg->len - parsed->l4_off));
		return;
	}
	tcp->seq = be32_of(be32_get(tcp->seq) + k * seg->gso_size);
	if (!last)
		tcp->flags &= (uint8_t)~(TCP_FIN | TCP_PSH);
	/* The receiver is to see one congestion event once (RFC 3168, 6.1.2) */
	if (k)
		tcp->flags &= (uint8_t)~TCP_CWR;
}

/* The sum that a partial checksum starts from, with this segment's length. */
static void pseudo_update(struct frame *seg, const struct parsed *parsed)
{
	uint16_t l4_len = (uint16_t)(seg->len - parsed->l4_off);
	const uint8_t *ip = seg->hdr + parsed->l3_off;
	struct csum csum = CSUM_INIT;
	be16 sum;

	if (parsed->ip_version == 4)
		csum_add_pseudo4(&csum, ip + offsetof(struct ip4_hdr, src),
				 parsed->ip_proto, l4_len);
	else
		csum_add_pseudo6(&csum, ip + offsetof(struct ip6_hdr, src),
				 parsed->ip_proto, l4_len);
	sum = csum_sum(&csum);
	memcpy(seg->hdr + seg->csum_start + seg->csum_offset, &sum,
	       sizeof(sum));
}

void gso_cut(const struct frame *frame, uint32_t first, unsigned int n,
	     struct gso_scratch *scratch)
{
	uint32_t last = gso_n_segs(frame) - 1;
	uint32_t left = frame->len - frame->gso_hdr_len -
			first * frame->gso_size;
	struct cursor cursor;
	struct parsed parsed;

	parse_headers(frame->hdr, frame->gso_hdr_len, &parsed);
	cursor_init(&cursor, frame, scratch);
	cursor_skip(&cursor, first * frame->gso_size);
	for (unsigned int i = 0; i < n; i++) {
		uint32_t len = min_of(left, (uint32_t)frame->gso_size);
		struct frame *seg = &scratch->frames[i];

		memcpy(seg, frame, offsetof(struct frame, hdr_buf));
		seg->hdr = seg->hdr_buf + FRAME_HEADROOM;
		seg->hdr_len = frame->gso_hdr_len;
		memcpy(seg->hdr, frame->hdr, seg->hdr_len);
		cursor_slice(&cursor, len, seg);
		left -= len;

		ip_update(seg, &parsed, first + i);
		l4_update(seg, &parsed, first + i, first + i == last);
		pseudo_update(seg, &parsed);
		seg->gso = FRAME_GSO_NONE;
		seg->gso_size = 0;
		seg->gso_hdr_len = 0;
	}
}

/* ---- checksums ---- */

void csum_fill(struct frame *frame)
{
	struct csum csum = CSUM_INIT;
	be16 sum;

	csum_add(&csum, frame->hdr + frame->csum_start,
		 frame->hdr_len - frame->csum_start);
	csum_add_iov(&csum, frame->segs, frame->n_segs);
	/* UDP must not send 0; for the others both mean the same. */
	sum = csum_avoid_zero(csum_finish(&csum));
	memcpy(frame->hdr + frame->csum_start + frame->csum_offset, &sum,
	       sizeof(sum));
	frame->flags &= (uint8_t)~FRAME_CSUM_PARTIAL;
	frame->flags |= FRAME_CSUM_VALID;
}
