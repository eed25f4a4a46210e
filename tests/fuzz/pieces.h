/* SPDX-License-Identifier: Apache-2.0
 *
 * The input of a server on a socket that is fed with anything: a list of
 * pieces, each sent with one sendmsg(): a byte of flags, 16 bits of length
 * (little endian), that many bytes.  A piece may have descriptors with it, and
 * may be put into good form by its target.
 */
#ifndef TESTS_FUZZ_PIECES_H
#define TESTS_FUZZ_PIECES_H

#include "base/byteorder.h"
#include "base/util.h"

enum {
	PIECE_MEMFD = 1,	/* with a memfd */
	PIECE_EVENTFD = 2,	/* with an eventfd instead */
	PIECE_MANY = 4,		/* with many of them */
	PIECE_FORMED = 8,	/* the header is made right */
	PIECE_TRUNCATE = 16,	/* the memfd is truncated behind it */
	PIECE_UNREAD = 32,	/* the client reads no replies */
	PIECE_KICK = 64,	/* the client's eventfds are written to */
	PIECE_QUEUED = 128,	/* the server does not come to it before the
				 * next one */
	PIECES_FDS = 40,	/* that many are many */
};

struct piece {
	unsigned int flags;	/* PIECE_* */
	const uint8_t *data;	/* in the input */
	size_t len;		/* bytes there */
};

/** piece_next() - take the next piece off the input; false: there is none */
static inline bool piece_next(const uint8_t **data, size_t *size,
			      struct piece *piece)
{
	if (*size < 3)
		return false;
	piece->flags = (*data)[0];
	piece->len = min_of((size_t)le16_load(*data + 1), *size - 3);
	piece->data = *data + 3;
	*data += 3 + piece->len;
	*size -= 3 + piece->len;
	return true;
}

/** piece_n_fds() - how many descriptors come with it */
static inline unsigned int piece_n_fds(const struct piece *piece)
{
	if (!(piece->flags & (PIECE_MEMFD | PIECE_EVENTFD)))
		return 0;
	return piece->flags & PIECE_MANY ? PIECES_FDS : 1;
}

#endif
