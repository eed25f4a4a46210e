/* SPDX-License-Identifier: Apache-2.0
 *
 * A vhost-user back-end fed with anything.  The input is a list of pieces, each
 * sent with one sendmsg(): a byte of flags, 16 bits of length (little endian),
 * that many bytes.  A piece may have descriptors with it, and may be put into
 * good form: version and length then go into the header it begins with.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "vhost_user/vhost_user_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	PIECE_MEMFD = 1,	/* with a memfd */
	PIECE_EVENTFD = 2,	/* with an eventfd */
	PIECE_MANY = 4,		/* with many of them */
	PIECE_FORMED = 8,	/* the header is right */
	PIECE_TRUNCATE = 16,	/* the memfd is truncated behind it */
	PIECE_KICK = 32,	/* the eventfd is signalled behind it */
	MEMORY = 64 * 4096,
	PIECES_MAX = 64,
	FDS_MAX = 40,
};

static struct {
	struct worker *worker;
	struct vhost_user *vu;
	int memfd, eventfd;	/* what is sent along */
	uint64_t now;		/* the worker's clock */
} f;

static unsigned int swallow(struct port_queue *queue,
			    struct frame_batch *batch)
{
	return batch->n;
}

static void set_up(void)
{
	struct vhost_user_config config = {
		.name = "fuzz", .path = "/nowhere", .client = true,
		.n_pairs = 2,
	};
	struct port *port;

	log_level = LOG_ERR;
	f.worker = worker_create("fuzz", 0);
	config.worker = f.worker;
	f.memfd = memfd_create("fuzz", MFD_CLOEXEC);
	f.eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (f.memfd < 0 || f.eventfd < 0 || vhost_user_create(&config, &port))
		abort();
	f.vu = container_of(port, struct vhost_user, net.port);
	worker_cancel_timer(f.worker, &f.vu->retry);
	/* As if attached. */
	port->input = swallow;
	port->sw = &f;
}

static void run(void)
{
	worker_set_now(f.worker, f.now += 1000);
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

	if ((flags & PIECE_FORMED) && len >= VU_HEADER_LEN) {
		struct vu_header h = {
			data[0] % 48, VU_VERSION | (data[1] & VU_NEED_REPLY),
			(uint32_t)(len - VU_HEADER_LEN),
		};

		memcpy(data, &h, sizeof(h));
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
	/* If the back-end is gone or its socket full, that is that. */
	if (sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

static int connect_front_end(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		       pair) || vu_attach(f.vu, pair[1]))
		abort();
	return pair[0];
}

static void disconnect_front_end(int fd)
{
	close(fd);
	for (int i = 0; i < 4 && f.vu->peer.fd >= 0; i++)
		run();
	/* Whoever was there before, nothing is left of it. */
	if (f.vu->peer.fd >= 0 || f.vu->n_regions || f.vu->net.features)
		abort();
	for (unsigned int i = 0; i < VU_QUEUES_MAX; i++)
		if (f.vu->queues[i].kick.fd >= 0 ||
		    f.vu->queues[i].call_fd >= 0 ||
		    f.vu->queues[i].err_fd >= 0)
			abort();
	worker_cancel_timer(f.worker, &f.vu->retry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t buf[UINT16_MAX];
	int fd;

	if (!f.vu)
		set_up();
	if (ftruncate(f.memfd, MEMORY))
		abort();
	fd = connect_front_end();
	for (unsigned int i = 0; i < PIECES_MAX && size >= 3; i++) {
		unsigned int flags = data[0];
		size_t len = min_of((size_t)le16_load(data + 1), size - 3);

		memcpy(buf, data + 3, len);
		send_piece(fd, buf, len, flags);
		run();
		if ((flags & PIECE_TRUNCATE) && ftruncate(f.memfd, 0))
			abort();
		if ((flags & PIECE_KICK) && eventfd_write(f.eventfd, 1) < 0)
			abort();
		while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			;
		data += 3 + len;
		size -= 3 + len;
	}
	disconnect_front_end(fd);
	return 0;
}
