/* SPDX-License-Identifier: Apache-2.0
 *
 * A server on a socket fed with anything.  The input is a list of pieces, each
 * sent with one sendmsg(): a byte of flags, 16 bits of length (little endian),
 * that many bytes.  A piece may have descriptors with it, and may be put into
 * good form by its target.
 */
#ifndef TESTS_FUZZ_PIECES_H
#define TESTS_FUZZ_PIECES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/byteorder.h"
#include "base/util.h"

enum {
	PIECE_MEMFD = 1,	/* with a memfd */
	PIECE_EVENTFD = 2,	/* with an eventfd instead */
	PIECE_MANY = 4,		/* with many of them */
	PIECE_FORMED = 8,	/* the header is made right */
	PIECE_TRUNCATE = 16,	/* the memfd is truncated behind it */
	PIECE_KICK = 32,	/* the eventfd is signalled behind it */

	PIECES_MAX = 64,
	PIECES_MEMORY = 64 * 4096, /* of the memfd */
	PIECES_FDS = 40,	/* that many are many */
};

/* What holds whatever the input. */
#define must(condition) do {				\
	if (!(condition)) {				\
		perror(__FILE__ ": " #condition);	\
		abort();				\
	}						\
} while (0)

struct pieces {
	int memfd, eventfd;	/* what is sent along */
	/* Make the piece's header right, as far as it has one. */
	void (*form)(uint8_t *data, size_t len);
	/* Let the server see what has been sent. */
	void (*run)(void);
};

static inline void pieces_init(struct pieces *p)
{
	p->memfd = memfd_create("fuzz", MFD_CLOEXEC);
	p->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	must(p->memfd >= 0 && p->eventfd >= 0);
}

static inline void pieces_send_one(const struct pieces *p, int fd,
				   uint8_t *data, size_t len,
				   unsigned int flags)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(PIECES_FDS * sizeof(int))];
	} control = { 0 };
	unsigned int n = flags & PIECE_MANY ? PIECES_FDS : 1;
	int one = flags & PIECE_EVENTFD ? p->eventfd : p->memfd;
	struct iovec iov = { data, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (flags & PIECE_FORMED)
		p->form(data, len);
	if (flags & (PIECE_MEMFD | PIECE_EVENTFD)) {
		struct cmsghdr *c;

		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		for (unsigned int i = 0; i < n; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &one,
			       sizeof(int));
	}
	/* If the server is gone or its socket full, that is that. */
	if (sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

/** pieces_send() - all of the input, into a connected socket; what comes back
 * is thrown away */
static inline void pieces_send(const struct pieces *p, int fd,
			       const uint8_t *data, size_t size)
{
	static uint8_t buf[UINT16_MAX];

	must(!ftruncate(p->memfd, PIECES_MEMORY));
	for (unsigned int i = 0; i < PIECES_MAX && size >= 3; i++) {
		unsigned int flags = data[0];
		size_t len = min_of((size_t)le16_load(data + 1), size - 3);

		memcpy(buf, data + 3, len);
		pieces_send_one(p, fd, buf, len, flags);
		p->run();
		if (flags & PIECE_TRUNCATE)
			must(!ftruncate(p->memfd, 0));
		if (flags & PIECE_KICK)
			must(eventfd_write(p->eventfd, 1) == 0);
		while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			;
		data += 3 + len;
		size -= 3 + len;
	}
}

#endif
