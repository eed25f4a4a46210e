/* SPDX-License-Identifier: Apache-2.0
 *
 * A vhost-user back-end fed with anything; the input is that of pieces.h.  Good
 * form: one of the requests there are, version and length.
 */
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "must.h"
#include "pieces.h"
#include "vhost_user/vhost_user_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	PIECES_MAX = 64,		/* of an input that are sent */
	MEMORY = 64 * 4096,		/* of the memfd */
};

static struct {
	struct worker *worker;
	int memfd, eventfd;	/* what is sent along */
	struct vhost_user *vu;
	uint64_t now;		/* the worker's clock */
} f;

static unsigned int swallow(struct port_queue *queue,
			    struct frame_batch *batch)
{
	return batch->n;
}

static void run(void)
{
	worker_set_now(f.worker, f.now += 1000);
	worker_round(f.worker);
}

static void form(uint8_t *data, size_t len)
{
	struct vu_header h = {
		data[0] % 48, VU_VERSION | (data[1] & VU_NEED_REPLY),
		(uint32_t)(len - VU_HEADER_LEN),
	};

	if (len >= VU_HEADER_LEN)
		memcpy(data, &h, sizeof(h));
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
	must(f.memfd >= 0 && f.eventfd >= 0);
	must(!vhost_user_create(&config, &port));
	f.vu = container_of(port, struct vhost_user, net.port);
	worker_cancel_timer(f.worker, &f.vu->retry);
	/* As if attached. */
	port->input = swallow;
	port->sw = &f;
}

static int connect_front_end(void)
{
	int pair[2];

	must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			 0, pair));
	must(!vu_attach(f.vu, pair[1]));
	return pair[0];
}

static void disconnect_front_end(int fd)
{
	close(fd);
	for (int i = 0; i < 4 && f.vu->peer.fd >= 0; i++)
		run();
	/* Whoever was there before, nothing is left of it. */
	must(f.vu->peer.fd < 0 && !f.vu->n_regions && !f.vu->net.features);
	must(f.vu->log_fd < 0 && !dma_space_broken(f.vu->dma));
	for (unsigned int i = 0; i < VU_QUEUES_MAX; i++)
		must(f.vu->queues[i].kick.fd < 0 &&
		     f.vu->queues[i].call_fd < 0 &&
		     f.vu->queues[i].err_fd < 0);
	worker_cancel_timer(f.worker, &f.vu->retry);
}

static void send_piece(int fd, const struct piece *piece)
{
	static uint8_t bytes[UINT16_MAX];
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(PIECES_FDS * sizeof(int))];
	} control = { 0 };
	size_t len = piece_n_fds(piece) * sizeof(int);
	struct iovec iov = { bytes, piece->len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	memcpy(bytes, piece->data, piece->len);
	if (piece->flags & PIECE_FORMED)
		form(bytes, piece->len);
	if (len) {
		int fds[PIECES_FDS];
		struct cmsghdr *c;

		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(len);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(len);
		for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
			fds[i] = piece->flags & PIECE_EVENTFD ? f.eventfd :
				f.memfd;
		memcpy(CMSG_DATA(c), fds, len);
	}
	/* If the server is gone or its socket full, that is that. */
	if (sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

/* Until the socket is empty; what comes is thrown away. */
static void read_replies(int fd)
{
	static uint8_t buf[UINT16_MAX];

	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct piece piece;
	int fd;

	if (!f.vu)
		set_up();
	fd = connect_front_end();
	must(!ftruncate(f.memfd, MEMORY));
	for (unsigned int i = 0; i < PIECES_MAX &&
	     piece_next(&data, &size, &piece); i++) {
		send_piece(fd, &piece);
		if (!(piece.flags & PIECE_QUEUED))
			run();
		if (piece.flags & PIECE_TRUNCATE)
			must(!ftruncate(f.memfd, 0));
		if (piece.flags & PIECE_KICK)
			must(!eventfd_write(f.eventfd, 1));
		if (!(piece.flags & PIECE_UNREAD))
			read_replies(fd);
	}
	disconnect_front_end(fd);
	return 0;
}
