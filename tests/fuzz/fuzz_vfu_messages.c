/* SPDX-License-Identifier: Apache-2.0
 *
 * A vfio-user server fed with anything.  The input is a list of pieces, each
 * sent with one sendmsg(): a byte of flags, 16 bits of length (little endian),
 * that many bytes.  A piece may have descriptors with it, and may be put into
 * good form: its length then goes into the size of the header it begins with.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../unit/vfio_user/toy.h"
#include "base/log.h"
#include "loop/worker.h"
#include "vfio_user/server_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	PIECE_MEMFD = 1,	/* with a memfd */
	PIECE_EVENTFD = 2,	/* with an eventfd */
	PIECE_MANY = 4,		/* with many of them */
	PIECE_SIZED = 8,	/* the header's size is right */
	PIECE_TRUNCATE = 16,	/* the memfd is truncated behind it */
	MEMORY = 64 * 4096,
	PIECES_MAX = 64,
	FDS_MAX = 40,
};

/* What holds whatever the input. */
#define must(condition) do {				\
	if (!(condition)) {				\
		perror("fuzz_vfu_messages: " #condition); \
		abort();				\
	}						\
} while (0)

static struct {
	struct worker *worker;
	struct toy toy;
	struct vfu_server *server;
	int memfd, eventfd;	/* what is sent along */
	uint64_t now;		/* the worker's clock */
} f;

static void set_up(void)
{
	struct vfu_server_config config = {
		.dev = &f.toy.pci, .listen_fd = -1,
	};

	log_level = LOG_ERR;
	f.worker = worker_create("fuzz", 0);
	worker_set_now(f.worker, f.now = 1);
	config.worker = f.worker;
	f.memfd = memfd_create("fuzz", MFD_CLOEXEC);
	f.eventfd = eventfd(0, EFD_CLOEXEC);
	must(f.memfd >= 0 && f.eventfd >= 0);
	must(!toy_init(&f.toy) && !vfu_server_create(&config, &f.server));
}

/* A round that looks at the descriptors even if there is other work. */
static void run(void)
{
	worker_set_now(f.worker, f.now += WORKER_FD_INTERVAL_NS);
	worker_round(f.worker);
}

static void send_piece(int fd, uint8_t *data, size_t len, unsigned int flags)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = { 0 };
	unsigned int n = flags & PIECE_MANY ? FDS_MAX : 1;
	int one = flags & PIECE_EVENTFD ? f.eventfd : f.memfd;
	struct iovec iov = { data, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if ((flags & PIECE_SIZED) && len >= sizeof(struct vfu_header)) {
		uint32_t size = (uint32_t)len;

		memcpy(data + offsetof(struct vfu_header, size), &size,
		       sizeof(size));
	}
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

/* Whoever was there before, the next client is served. */
static void check_next_client(void)
{
	struct {
		struct vfu_header h;
		struct vfu_version v;
	} hello = { { 1, VFU_VERSION, sizeof(hello), 0, 0 }, { 0, 0 } };
	struct vfu_header h;
	int pair[2];

	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	must(!vfu_server_attach(f.server, pair[1]));
	must(send(pair[0], &hello, sizeof(hello), 0) == sizeof(hello));
	run();
	must(recv(pair[0], &h, sizeof(h), MSG_DONTWAIT) == sizeof(h));
	must(h.flags == VFU_TYPE_REPLY);
	close(pair[0]);
	run();
	must(!vfu_server_connected(f.server));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t buf[UINT16_MAX];
	int pair[2];

	if (!f.server)
		set_up();
	/* Descriptors that come with a message are closed with it: whatever
	 * the input did, the numbers stay small. */
	must(!ftruncate(f.memfd, MEMORY));
	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	must(!vfu_server_attach(f.server, pair[1]));
	for (unsigned int i = 0; i < PIECES_MAX && size >= 3; i++) {
		unsigned int flags = data[0];
		size_t len = min_of((size_t)le16_load(data + 1), size - 3);

		memcpy(buf, data + 3, len);
		send_piece(pair[0], buf, len, flags);
		run();
		if (flags & PIECE_TRUNCATE)
			must(!ftruncate(f.memfd, 0));
		while (recv(pair[0], buf, sizeof(buf), MSG_DONTWAIT) > 0)
			;
		data += 3 + len;
		size -= 3 + len;
	}
	close(pair[0]);
	for (int i = 0; i < 4 && vfu_server_connected(f.server); i++)
		run();
	check_next_client();
	return 0;
}
