/* SPDX-License-Identifier: Apache-2.0
 *
 * A datagram socket as a port; see dgram.h.
 *
 * In: datagrams are received by the batch, one call for all, into slots in
 * which the frames lie until they are consumed.  Out: a batch is sent by one
 * call, from where its frames lie.
 */
#include "port/dgram.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/unix_socket.h"
#include "port/port.h"

enum {
	SLOTS = BATCH_MAX,
	/* One more than a frame may have: longer ones are told by it. */
	SLOT_LEN = FRAME_LEN_MAX + 1,
	/* Pieces of what is sent by one call, at most. */
	OUT_PIECES = 4 * BATCH_MAX + FRAME_SEGS_MAX,
};

struct dgram {
	struct port port;
	struct worker *worker;
	char *path;			/* where it is bound; NULL: given */
	struct watch watch;		/* the socket */
	bool readable;			/* not known to be empty */

	struct sockaddr_un peer;
	socklen_t peer_len;		/* 0: none known, or connected */
	bool named;			/* the peer is the operator's choice */
	bool connected;			/* needs no address */
	bool lost;			/* nobody took what was sent last */

	/* Received and not consumed: good[first..first + n) of the slots. */
	unsigned int first, n;
	uint8_t good[SLOTS];
	uint32_t len[SLOTS];
	struct sockaddr_un from[SLOTS];
	uint8_t (*slots)[SLOT_LEN];	/* SLOTS of them */

	struct dgram_counters {
		counter foreign;
	} counters;
};

static const struct port_counter counter_names[] = {
	{ "foreign", "frames of others than the peer, dropped" },
};

static struct dgram *dgram_of(struct port *port)
{
	return container_of(port, struct dgram, port);
}

static bool dgram_ready(struct watch *watch, uint32_t events)
{
	struct dgram *d = container_of(watch, struct dgram, watch);

	if (events & EPOLLHUP) {
		log_warn("port %s: the other end of its socket is closed",
			 d->port.name);
		d->lost = true;
		worker_remove_watch(d->worker, watch);
	}
	if (events)
		d->readable = true;
	/* Work only if the queue's poller will see to it. */
	return events && d->port.queues[0].running;
}

/* ---- from the peer ---- */

/* Is it the peer's?  If nobody has been named, its sender is the peer now. */
static bool is_peers(struct dgram *d, const struct sockaddr_un *from,
		     socklen_t len)
{
	bool same = len == d->peer_len && !memcmp(from, &d->peer, len);

	if (d->connected || same)
		return true;
	if (d->named)
		return false;
	/* One without an address cannot be answered, but may send. */
	if (len > offsetof(struct sockaddr_un, sun_path)) {
		d->peer = *from;
		d->peer_len = len;
	}
	return true;
}

/* Which of the @n datagrams received are frames of the peer's. */
static void sort_out(struct dgram *d, const struct mmsghdr *msgs,
		     unsigned int n)
{
	d->first = d->n = 0;
	for (unsigned int i = 0; i < n; i++) {
		if (!is_peers(d, &d->from[i], msgs[i].msg_hdr.msg_namelen)) {
			counter_add(&d->counters.foreign, 1);
			continue;
		}
		d->lost = false;
		if (msgs[i].msg_len < FRAME_LEN_MIN ||
			   msgs[i].msg_len > FRAME_LEN_MAX) {
			counter_add(&d->port.queues[0].stats.tx_bad_len, 1);
		} else {
			d->len[i] = msgs[i].msg_len;
			d->good[d->n++] = (uint8_t)i;
		}
	}
}

/* All slots are free.  Returns whether anything came. */
static bool receive(struct dgram *d)
{
	struct mmsghdr msgs[SLOTS];
	struct iovec iov[SLOTS];
	int n;

	for (unsigned int i = 0; i < SLOTS; i++) {
		iov[i] = (struct iovec){ d->slots[i], SLOT_LEN };
		msgs[i] = (struct mmsghdr) {
			.msg_hdr = {
				.msg_name = &d->from[i],
				.msg_namelen = sizeof(d->from[i]),
				.msg_iov = &iov[i],
				.msg_iovlen = 1,
			},
		};
	}
	n = recvmmsg(d->watch.fd, msgs, SLOTS, MSG_DONTWAIT, NULL);
	/* An error of an earlier send may be told here: not the end. */
	d->readable = n == SLOTS || (n < 0 && errno == ECONNREFUSED);
	if (n <= 0)
		return false;
	sort_out(d, msgs, (unsigned int)n);
	return true;
}

static void dgram_tx_burst(struct port_queue *queue, struct frame_batch *batch,
			   bool *worked)
{
	struct dgram *d = dgram_of(queue->port);

	if (!d->n && d->readable)
		*worked |= receive(d);
	for (unsigned int i = 0; i < d->n; i++) {
		unsigned int slot = d->good[d->first + i];
		struct iovec iov = { d->slots[slot], d->len[slot] };
		struct frame *frame = batch_next(batch);

		/* One piece of a checked length: it always fits. */
		if (!frame || batch_fill(batch, frame, &iov, 1, d->len[slot]))
			return;
		frame_pop_vlan(frame);
		batch_commit(batch, frame);
	}
}

static void dgram_tx_done(struct port_queue *queue,
			  const struct frame_batch *batch, unsigned int n)
{
	struct dgram *d = dgram_of(queue->port);

	d->first += n;
	d->n -= n;
}

/* ---- to the peer ---- */

/* As many of the frames as there are pieces for, at least one; how many. */
static unsigned int describe(struct dgram *d, struct frame *const *frames,
			     unsigned int n, struct mmsghdr *msgs,
			     struct iovec *iov)
{
	struct iovec *end = iov + OUT_PIECES;
	unsigned int i;

	for (i = 0; i < n && end - iov > frames[i]->n_segs; i++) {
		const struct frame *frame = frames[i];

		msgs[i] = (struct mmsghdr) {
			.msg_hdr = {
				.msg_name = d->peer_len ? &d->peer : NULL,
				.msg_namelen = d->peer_len,
				.msg_iov = iov,
				.msg_iovlen = 1u + frame->n_segs,
			},
		};
		*iov++ = (struct iovec){ frame->hdr, frame->hdr_len };
		memcpy(iov, frame->segs, frame->n_segs * sizeof(*iov));
		iov += frame->n_segs;
	}
	return i;
}

/* The first of @n frames could not be sent.  How many are done with; 0: there
 * is no room. */
static unsigned int not_sent(struct dgram *d, int why, unsigned int n)
{
	struct port_stats *stats = &d->port.queues[0].stats;

	switch (why) {
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
		return 0;
	case EMSGSIZE:
		counter_add(&stats->rx_too_long, 1);
		return 1;
	default:
		/* Nobody is there, for the others neither. */
		d->lost = true;
		counter_add(&stats->rx_link_down, n);
		return n;
	}
}

static unsigned int dgram_rx_burst(struct port_queue *queue,
				   struct frame *const *frames,
				   unsigned int n)
{
	struct dgram *d = dgram_of(queue->port);
	struct iovec iov[OUT_PIECES];
	struct mmsghdr msgs[BATCH_MAX];
	unsigned int done = 0, some;
	int sent;

	if (!d->connected && !d->peer_len) {
		counter_add(&queue->stats.rx_link_down, n);
		return n;
	}
	while (done < n) {
		some = describe(d, frames + done, n - done, msgs, iov);
		sent = sendmmsg(d->watch.fd, msgs, some,
				MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0)
			sent = (int)not_sent(d, errno, n - done);
		else
			d->lost = false;
		if (!sent)
			break;
		done += (unsigned int)sent;
	}
	return done;
}

/* ---- life ---- */

static void dgram_free(struct dgram *d)
{
	free(d->path);
	free(d->slots);
	free(d);
}

static void dgram_destroy(struct port *port)
{
	struct dgram *d = dgram_of(port);

	worker_remove_watch(d->worker, &d->watch);
	if (d->path)
		unlink(d->path);
	fd_close(&d->watch.fd);
	dgram_free(d);
}

/* Datagrams know of no connection: it is there as long as they get there. */
static bool dgram_connected(const struct port *port)
{
	const struct dgram *d = container_of(port, struct dgram, port);

	return (d->connected || d->peer_len) && !d->lost;
}

static const struct port_ops dgram_ops = {
	.kind = "dgram",
	.counters = counter_names,
	.n_counters = ARRAY_SIZE(counter_names),
	.tx_burst = dgram_tx_burst,
	.tx_done = dgram_tx_done,
	.rx_burst = dgram_rx_burst,
	.connected = dgram_connected,
	.destroy = dgram_destroy,
};

static struct dgram *dgram_new(const char *name, struct worker *worker)
{
	struct dgram *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	port_init(&d->port, &dgram_ops, name, worker, 1);
	d->port.caps.max_len = FRAME_LEN_MAX;
	d->port.counters = (const counter *)&d->counters;
	d->worker = worker;
	d->watch.fd = -1;
	d->watch.ready = dgram_ready;
	d->readable = true;
	d->slots = malloc(SLOTS * sizeof(*d->slots));
	if (d->slots)
		return d;
	dgram_free(d);
	return NULL;
}

static int bind_to(struct dgram *d, const char *path, const char *peer)
{
	int ret;

	if (peer) {
		if (strlen(peer) >= sizeof(d->peer.sun_path)) {
			log_err("dgram:%s: the peer's path is too long", path);
			return -ENAMETOOLONG;
		}
		d->peer.sun_family = AF_UNIX;
		strcpy(d->peer.sun_path, peer);
		/* As the kernel tells addresses: with the 0 at the end. */
		d->peer_len = (socklen_t)(offsetof(struct sockaddr_un,
						   sun_path) +
					  strlen(peer) + 1);
		d->named = true;
	}
	d->path = strdup(path);
	if (!d->path)
		return -ENOMEM;
	ret = unix_bind_dgram(path, &d->watch.fd);
	if (ret < 0)
		log_err("dgram:%s: cannot bind: %s", path, strerror(-ret));
	return ret;
}

static int use_socket(struct dgram *d, int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(int), peer_len = sizeof(peer);
	int type = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    type != SOCK_DGRAM ||
	    getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0) {
		log_err("dgram:fd=%d: not a connected datagram socket", fd);
		return -EINVAL;
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	d->connected = true;
	d->watch.fd = fd;
	return 0;
}

int dgram_port_create(const char *name, const char *path, const char *peer,
		      int fd, struct worker *worker, struct port **port)
{
	struct dgram *d = dgram_new(name, worker);
	int ret;

	if (!d) {
		log_err("dgram %s: out of memory", name);
		return -ENOMEM;
	}
	ret = path ? bind_to(d, path, peer) : use_socket(d, fd);
	if (ret < 0)
		goto err_free;
	ret = worker_add_watch(worker, &d->watch);
	if (ret < 0) {
		log_err("dgram %s: %s", name, strerror(-ret));
		goto err_close;
	}
	*port = &d->port;
	return 0;

err_close:
	if (path) {
		unlink(path);
		fd_close(&d->watch.fd);
	}
err_free:
	dgram_free(d);
	return ret;
}
