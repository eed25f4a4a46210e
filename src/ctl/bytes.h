/* SPDX-License-Identifier: Apache-2.0
 *
 * A queue of bytes that grows: append at the end, take from the front.
 *
 * Threads: none of its own; the owner locks.
 */
#ifndef CTL_BYTES_H
#define CTL_BYTES_H

#include "base/util.h"

/* Zeroed is empty. */
struct bytes {
	uint8_t *data;		/* allocated */
	size_t start;		/* first byte of the queue in it */
	size_t len;		/* bytes in the queue */
	size_t size;		/* allocated */
};

/** bytes_append() - false: out of memory, nothing was added */
bool must_check bytes_append(struct bytes *b, const void *data, size_t len);

/** bytes_front() - the first of b->len bytes */
const uint8_t *bytes_front(const struct bytes *b);

/** bytes_drop() - take @len, at most b->len, away from the front */
void bytes_drop(struct bytes *b, size_t len);

/** bytes_free() - and make it empty */
void bytes_free(struct bytes *b);

#endif
