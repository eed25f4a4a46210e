/* SPDX-License-Identifier: Apache-2.0
 *
 * A stream socket as a port.
 *
 * In: bytes are received into one buffer, in which the batch's frames lie until
 * they are consumed; a frame's cookie is the offset behind it.  Out: a batch's
 * frames are put into a bounded ring and sent by one call at its end; what the
 * socket does not take is sent when it can take more.
 *
 * A peer is disconnected only by the queue's poller, so errors found elsewhere
 * are noted in `broken` until its next turn.
 */
#include "port/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/byteorder.h"
#include "base/log.h"
#include "base/unix_socket.h"
#include "port/byte_ring.h"
#include "port/port.h"

enum {
	PREFIX_LEN = 4,			/* the length before each frame */
	RECORD_MAX = PREFIX_LEN + FRAME_LEN_MAX,
	IN_LEN = 4 * RECORD_MAX,
	OUT_LEN = 512 << 10,		/* a power of two */
};

struct stream {
	struct port port;
	struct worker *worker;
	char *path;			/* to listen on; NULL: none */
	struct watch listener;		/* fd -1: none; watched while there is
					 * no peer */
	struct watch peer;		/* fd -1: none */
	bool readable;			/* not known to be empty */
	bool broken;			/* the peer has to be disconnected */
	bool want_output;		/* waits for the socket to take more */
	uint32_t in_head;		/* in[in_head..in_tail): not consumed */
	uint32_t in_tail;
	uint8_t *in;			/* IN_LEN bytes */
	struct byte_ring out;
};

static struct stream *stream_of(struct port *port)
{
	return container_of(port, struct stream, port);
}

/* ---- the peer comes and goes ---- */

static void disconnect(struct stream *s)
{
	worker_remove_watch(s->worker, &s->peer);
	fd_close(&s->peer.fd);
	s->readable = s->broken = s->want_output = false;
	s->in_head = s->in_tail = 0;
	s->out.head = s->out.tail;
	if (s->listener.fd < 0)
		return;
	if (worker_add_watch(s->worker, &s->listener) < 0)
		log_err("port %s: cannot wait for connections any more",
			s->port.name);
}

static int connect_peer(struct stream *s, int fd)
{
	s->peer.fd = fd;
	/* It may have sent something before it was watched. */
	s->readable = true;
	return worker_add_watch(s->worker, &s->peer);
}

static bool listener_ready(struct watch *watch, uint32_t events)
{
	struct stream *s = container_of(watch, struct stream, listener);
	int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int ret;

	if (fd < 0)
		return false;
	ret = connect_peer(s, fd);
	if (ret < 0) {
		log_limited(LOG_WARN, "port %s: cannot take a connection: %s",
			    s->port.name, strerror(-ret));
		fd_close(&s->peer.fd);
		return true;
	}
	worker_remove_watch(s->worker, watch);
	return true;
}

/* ---- to the peer ---- */

static void send_out(struct stream *s)
{
	struct iovec iov[2];
	struct msghdr msg = { .msg_iov = iov };
	bool left;
	ssize_t n;

	if (s->broken || !byte_ring_used(&s->out))
		return;
	msg.msg_iovlen = byte_ring_pieces(&s->out, iov);
	n = sendmsg(s->peer.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		s->out.head += (uint32_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		s->broken = true;
	left = byte_ring_used(&s->out) && !s->broken;
	if (left != s->want_output) {
		s->want_output = left;
		worker_watch_output(s->worker, &s->peer, left);
	}
}

static bool peer_ready(struct watch *watch, uint32_t events)
{
	struct stream *s = container_of(watch, struct stream, peer);

	if (events & EPOLLOUT)
		send_out(s);
	if (events & ~(uint32_t)EPOLLOUT)
		s->readable = true;
	/* Work only if the queue's poller will see to it. */
	return events && s->port.queues[0].running;
}

static void put_frame(struct stream *s, const struct frame *frame)
{
	be32 prefix = be32_of(frame->len);

	byte_ring_put(&s->out, &prefix, sizeof(prefix));
	byte_ring_put(&s->out, frame->hdr, frame->hdr_len);
	for (unsigned int i = 0; i < frame->n_segs; i++)
		byte_ring_put(&s->out, frame->segs[i].iov_base,
			      (uint32_t)frame->segs[i].iov_len);
}

static unsigned int stream_rx_burst(struct port_queue *queue,
				    struct frame *const *frames,
				    unsigned int n)
{
	struct stream *s = stream_of(queue->port);

	if (s->peer.fd < 0 || s->broken) {
		counter_add(&queue->stats.rx_link_down, n);
		return n;
	}
	for (unsigned int i = 0; i < n; i++) {
		if (byte_ring_room(&s->out) < PREFIX_LEN + frames[i]->len)
			return i;
		put_frame(s, frames[i]);
	}
	return n;
}

static void stream_rx_flush(struct port_queue *queue)
{
	struct stream *s = stream_of(queue->port);

	/* A socket that is full says so by itself when it is not any more. */
	if (!s->want_output)
		send_out(s);
}

/* ---- from the peer ---- */

static void receive(struct stream *s)
{
	ssize_t n;

	if (s->in_head && IN_LEN - s->in_tail < RECORD_MAX) {
		memmove(s->in, s->in + s->in_head, s->in_tail - s->in_head);
		s->in_tail -= s->in_head;
		s->in_head = 0;
	}
	if (s->in_tail == IN_LEN)
		return;
	n = recv(s->peer.fd, s->in + s->in_tail, IN_LEN - s->in_tail,
		 MSG_DONTWAIT);
	if (n > 0) {
		s->in_tail += (uint32_t)n;
		return;
	}
	s->readable = false;
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		s->broken = true;
}

/* The next record at @off: 1: there, with its frame's length; 0: not yet whole;
 * -EPROTO: not to be followed. */
static int next_record(struct stream *s, uint32_t off, uint32_t *len)
{
	uint32_t have = s->in_tail - off;

	if (have < PREFIX_LEN)
		return 0;
	*len = be32_load(s->in + off);
	if (!*len || *len > FRAME_LEN_MAX)
		return -EPROTO;
	return have - PREFIX_LEN >= *len;
}

/* Fill the batch with frames; returns whether a bad length is what ends them.
 * Short frames are consumed only at the head, so that each counts once. */
static bool take_frames(struct stream *s, struct frame_batch *batch)
{
	uint32_t off = s->in_head, len;
	struct frame *frame;
	int ret;

	while ((frame = batch_next(batch))) {
		struct iovec iov;

		ret = next_record(s, off, &len);
		if (ret < 0)
			return true;
		if (!ret)
			break;
		iov = (struct iovec){ s->in + off + PREFIX_LEN, len };
		off += PREFIX_LEN + len;
		if (batch_fill(batch, frame, &iov, 1, len) < 0) {
			if (batch->n)
				break;
			counter_add(&s->port.queues[0].stats.tx_bad_len, 1);
			s->in_head = off;
			continue;
		}
		frame->cookie = off;
		frame_pop_vlan(frame);
		batch_commit(batch, frame);
	}
	return false;
}

static void stream_tx_burst(struct port_queue *queue,
			    struct frame_batch *batch, bool *worked)
{
	struct stream *s = stream_of(queue->port);
	uint32_t had = s->in_tail - s->in_head;
	bool bad_len;

	if (s->peer.fd < 0)
		return;
	if (s->readable) {
		receive(s);
		*worked |= s->in_tail - s->in_head != had;
	}
	bad_len = take_frames(s, batch);
	/* Whole frames first: a peer may send them and leave. */
	if (batch->n || !(bad_len || s->broken))
		return;
	if (bad_len)
		log_limited(LOG_WARN, "port %s: the peer announced a frame of "
			    "%u bytes (1 to %u are possible) and has been "
			    "disconnected", s->port.name,
			    be32_load(s->in + s->in_head), FRAME_LEN_MAX);
	disconnect(s);
	*worked = true;
}

static void stream_tx_done(struct port_queue *queue,
			   const struct frame_batch *batch, unsigned int n)
{
	struct stream *s = stream_of(queue->port);

	if (n)
		s->in_head = batch->frames[n - 1].cookie;
	if (s->in_head == s->in_tail)
		s->in_head = s->in_tail = 0;
}

/* ---- life ---- */

static void stream_free(struct stream *s)
{
	free(s->path);
	free(s->out.data);
	free(s->in);
	free(s);
}

static void stream_destroy(struct port *port)
{
	struct stream *s = stream_of(port);

	if (s->peer.fd >= 0)
		worker_remove_watch(s->worker, &s->peer);
	else if (s->listener.fd >= 0)
		worker_remove_watch(s->worker, &s->listener);
	fd_close(&s->peer.fd);
	if (s->path)
		unlink(s->path);
	fd_close(&s->listener.fd);
	stream_free(s);
}

static bool stream_connected(const struct port *port)
{
	const struct stream *s = container_of(port, struct stream, port);

	return s->peer.fd >= 0 && !s->broken;
}

static const struct port_ops stream_ops = {
	.kind = "stream",
	.tx_burst = stream_tx_burst,
	.tx_done = stream_tx_done,
	.rx_burst = stream_rx_burst,
	.rx_flush = stream_rx_flush,
	.connected = stream_connected,
	.destroy = stream_destroy,
};

static struct stream *stream_new(const char *name, struct worker *worker)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	port_init(&s->port, &stream_ops, name, worker, 1);
	s->port.caps.max_len = FRAME_LEN_MAX;
	s->worker = worker;
	s->listener.fd = s->peer.fd = -1;
	s->listener.ready = listener_ready;
	s->peer.ready = peer_ready;
	s->in = malloc(IN_LEN);
	s->out.size = OUT_LEN;
	s->out.data = malloc(OUT_LEN);
	if (s->in && s->out.data)
		return s;
	stream_free(s);
	return NULL;
}

static int listen_on(struct stream *s, const char *path)
{
	int ret = unix_listen(path, 4, &s->listener.fd);

	if (ret < 0) {
		log_err("stream:%s: cannot listen: %s", path, strerror(-ret));
		return ret;
	}
	s->path = strdup(path);
	ret = s->path ? worker_add_watch(s->worker, &s->listener) : -ENOMEM;
	if (ret < 0) {
		unlink(path);
		fd_close(&s->listener.fd);
	}
	return ret;
}

static int use_socket(struct stream *s, int fd)
{
	socklen_t len = sizeof(int);
	int type = 0, ret;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    type != SOCK_STREAM) {
		log_err("stream:fd=%d: not a stream socket", fd);
		return -EINVAL;
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	ret = connect_peer(s, fd);
	if (ret < 0)
		log_err("stream:fd=%d: %s", fd, strerror(-ret));
	return ret;
}

int stream_port_create(const char *name, const char *path, int fd,
		       struct worker *worker, struct port **port)
{
	struct stream *s = stream_new(name, worker);
	int ret;

	if (!s) {
		log_err("stream %s: out of memory", name);
		return -ENOMEM;
	}
	ret = path ? listen_on(s, path) : use_socket(s, fd);
	if (ret < 0) {
		stream_free(s);
		return ret;
	}
	*port = &s->port;
	return 0;
}
