/* SPDX-License-Identifier: Apache-2.0
 *
 * A queue of bytes; see bytes.h.
 */
#include <stdlib.h>
#include <string.h>

#include "ctl/bytes.h"

enum { BYTES_FIRST = 4096 };

bool bytes_append(struct bytes *b, const void *data, size_t len)
{
	size_t size = b->size ? b->size : BYTES_FIRST;
	uint8_t *grown;

	if (len > SIZE_MAX / 4 - b->len)
		return false;
	if (b->start && b->size - b->start - b->len < len) {
		memmove(b->data, b->data + b->start, b->len);
		b->start = 0;
	}
	while (size - b->start - b->len < len)
		size *= 2;
	if (size != b->size) {
		grown = realloc(b->data, size);
		if (!grown)
			return false;
		b->data = grown;
		b->size = size;
	}
	if (len)
		memcpy(b->data + b->start + b->len, data, len);
	b->len += len;
	return true;
}

const uint8_t *bytes_front(const struct bytes *b)
{
	return b->data + b->start;
}

void bytes_drop(struct bytes *b, size_t len)
{
	b->start += len;
	b->len -= len;
	if (!b->len)
		b->start = 0;
}

void bytes_free(struct bytes *b)
{
	free(b->data);
	*b = (struct bytes){ 0 };
}
