/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames for a port from another worker; see inbox.h.
 */
#include "port/inbox.h"

#include <stdlib.h>
#include <string.h>

/* Before the bytes of a frame; all but `size` as in struct frame. */
struct entry {
	uint32_t size;		/* of the whole entry, a multiple of
				 * INBOX_ALIGN */
	uint32_t len;		/* 0: no frame, go on at the beginning */
	uint16_t verdict;
	uint16_t gso_size;
	uint16_t gso_hdr_len;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t vlan_tci;
	uint8_t flags;
	uint8_t gso;
	uint8_t sender;		/* its queue's number */
	uint8_t data[];
};

_Static_assert(PORT_QUEUES_MAX <= UINT8_MAX, "entry.sender");
_Static_assert(INBOX_SIZE >= 3 * (FRAME_LEN_MAX + INBOX_ALIGN),
	       "two of the largest, and a rest that is skipped");
_Static_assert(!(INBOX_SIZE & (INBOX_SIZE - 1)), "a power of two");

struct inbox *inbox_create(struct port *port)
{
	struct inbox *inbox = aligned_alloc(_Alignof(struct inbox),
					    sizeof(*inbox));

	if (!inbox)
		return NULL;
	memset(inbox, 0, sizeof(*inbox));
	inbox->port = port;
	inbox->worker = port->queues[0].worker;
	inbox->data = aligned_alloc(INBOX_ALIGN, INBOX_SIZE);
	if (!inbox->data) {
		free(inbox);
		return NULL;
	}
	return inbox;
}

void inbox_destroy(struct inbox *inbox)
{
	if (!inbox)
		return;
	free(inbox->data);
	free(inbox);
}

static struct entry *entry_at(const struct inbox *inbox, uint32_t pos)
{
	return (struct entry *)(inbox->data + (pos & (INBOX_SIZE - 1)));
}

/* ---- the sender's worker ---- */

/* Is there room for @size bytes?  The reader's line is looked at only if what
 * is known of it is not enough. */
static bool has_room(struct inbox *inbox, uint32_t size)
{
	if (likely(INBOX_SIZE - (inbox->tail - inbox->seen_head) >= size))
		return true;
	/* Acquire: the reader has done with what it has released. */
	inbox->seen_head = __atomic_load_n(&inbox->head, __ATOMIC_ACQUIRE);
	return INBOX_SIZE - (inbox->tail - inbox->seen_head) >= size;
}

/* Contiguous room for an entry of @size bytes, or NULL. */
static struct entry *reserve(struct inbox *inbox, uint32_t size)
{
	uint32_t left = INBOX_SIZE - (inbox->tail & (INBOX_SIZE - 1));

	if (likely(size <= left))
		return has_room(inbox, size) ? entry_at(inbox, inbox->tail) :
			NULL;
	if (!has_room(inbox, left + size))
		return NULL;
	*entry_at(inbox, inbox->tail) = (struct entry){ .size = left };
	inbox->tail += left;
	return entry_at(inbox, inbox->tail);
}

/* Payload in a guest's memory may change meanwhile; it is read once. */
static void copy_data(uint8_t *to, const struct frame *frame)
{
	memcpy(to, frame->hdr, frame->hdr_len);
	to += frame->hdr_len;
	for (unsigned int i = 0; i < frame->n_segs; i++) {
		memcpy(to, frame->segs[i].iov_base, frame->segs[i].iov_len);
		to += frame->segs[i].iov_len;
	}
}

unsigned int inbox_put(struct inbox *inbox, struct frame *const *frames,
		       unsigned int n, unsigned int sender)
{
	for (unsigned int i = 0; i < n; i++) {
		const struct frame *f = frames[i];
		uint32_t size = (uint32_t)align_up(sizeof(struct entry) +
						   f->len, INBOX_ALIGN);
		struct entry *e = reserve(inbox, size);

		if (!e)
			return i;
		*e = (struct entry) {
			.size = size,
			.len = f->len,
			.verdict = f->verdict,
			.gso_size = f->gso_size,
			.gso_hdr_len = f->gso_hdr_len,
			.csum_start = f->csum_start,
			.csum_offset = f->csum_offset,
			.vlan_tci = f->vlan_tci,
			.flags = f->flags,
			.gso = f->gso,
			.sender = (uint8_t)sender,
		};
		copy_data(e->data, f);
		inbox->tail += size;
	}
	return n;
}

void inbox_publish(struct inbox *inbox)
{
	/* Entries first.  Sequentially consistent for the sake of
	 * worker_nudge(), which looks after this whether the reader sleeps. */
	__atomic_store_n(&inbox->published, inbox->tail, __ATOMIC_SEQ_CST);
}

/* ---- the port's worker ---- */

static void describe(struct entry *e, struct frame *f, struct iovec *seg)
{
	*seg = (struct iovec){ 0 };
	f->hdr = e->data;
	f->len = e->len;
	f->hdr_len = (uint16_t)min_of(e->len, (uint32_t)FRAME_HDR_MAX);
	f->n_segs = e->len > FRAME_HDR_MAX;
	f->segs = seg;
	if (f->n_segs)
		*seg = (struct iovec){ e->data + FRAME_HDR_MAX,
				       e->len - FRAME_HDR_MAX };
	f->flags = e->flags;
	f->gso = e->gso;
	f->gso_size = e->gso_size;
	f->gso_hdr_len = e->gso_hdr_len;
	f->csum_start = e->csum_start;
	f->csum_offset = e->csum_offset;
	f->vlan_tci = e->vlan_tci;
	f->verdict = e->verdict;
	f->cookie = e->sender;
}

unsigned int inbox_peek(struct inbox *inbox, struct inbox_batch *batch)
{
	/* See inbox_publish(). */
	uint32_t end = __atomic_load_n(&inbox->published, __ATOMIC_SEQ_CST);
	uint32_t pos = inbox->head;
	unsigned int n = 0;

	while (pos != end && n < BATCH_MAX) {
		struct entry *e = entry_at(inbox, pos);

		pos += e->size;
		if (unlikely(!e->len))
			continue;
		describe(e, &batch->frames[n], &batch->segs[n]);
		batch->end[n++] = pos;
	}
	batch->n = n;
	return n;
}

void inbox_release(struct inbox *inbox, const struct inbox_batch *batch,
		   unsigned int n)
{
	if (n)
		__atomic_store_n(&inbox->head, batch->end[n - 1],
				 __ATOMIC_RELEASE);
}
