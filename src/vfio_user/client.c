/* SPDX-License-Identifier: Apache-2.0
 *
 * Theory of operation.  A request goes on the list of pending ones, is sent,
 * and waits for its reply.  Of the waiting threads one is the reader: it
 * receives, hands each reply to the request it belongs to, and goes on until
 * its own has come; then it passes the role to another that waits.  So a lone
 * caller costs two system calls and no switch between threads; and where there
 * are several processors, it need not even sleep.
 *
 * Locks: send_lock keeps the bytes of messages together, lock guards the list
 * and the state.  Neither is taken while the other is held, and lock is never
 * held over a system call that waits.  What the reader works on (rx) belongs
 * to whoever has the role.  Both are taken while a connection that is over has
 * its send_lock held, to be followed by this one.
 */
#include "vfio_user/client.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sched.h"
#include "base/time.h"
#include "base/unix_socket.h"
#include "mem/dma.h"
#include "vfio_user/client_internal.h"
#include "vfio_user/version.h"

enum {
	/* How long a reply is waited for.  It is not one look at the clock: if
	 * the host stands still for longer, the server has had no chance. */
	TIMEOUT_S = 5,
	TIMEOUT_SLICE_S = 1,
	ERRNO_MAX = 4095,
	/* How long a reply is looked for before sleeping, which is about what
	 * falling asleep and being woken costs. */
	AWAKE_NS = 40000,
	LATE_MAX = 255,
};

/* A request whose reply has not come yet; lives on its caller's stack. */
struct pending {
	struct list node;	/* of client->pending */
	uint16_t id;		/* of the message */
	uint16_t command;	/* of the message */
	bool done;		/* the reply has come, or never will */
	int err;		/* 0 or -errno */
	uint8_t *reply;		/* where its payload goes */
	size_t reply_max;	/* bytes there */
	size_t reply_len;	/* bytes that came */
	pthread_cond_t wake;	/* done, or become the reader */
};

/* How long somebody has waited. */
struct patience {
	uint64_t last_ns;	/* time of the last look at the clock */
	uint64_t waited_ns;	/* until then, slice by slice */
};

/* Is it at an end?  To be asked after every slice. */
static bool patience_ends(struct patience *p)
{
	uint64_t now_ns = time_now_ns();

	p->waited_ns += min_of(now_ns - p->last_ns,
			       TIMEOUT_SLICE_S * NS_PER_S);
	p->last_ns = now_ns;
	return p->waited_ns >= TIMEOUT_S * NS_PER_S;
}

/* ---- sending ---- */

/* The connection is over: nobody waits any more.  With client->lock held. */
static void die(struct vfu_client *c)
{
	struct pending *p;
	struct list *tmp;

	if (c->dead)
		return;
	__atomic_store_n(&c->dead, true, __ATOMIC_RELAXED);
	/* Wakes the reader, if there is one. */
	shutdown(c->fd, SHUT_RDWR);
	list_for_each(p, tmp, &c->pending, node)
		pthread_cond_signal(&p->wake);
}

void vfu_client_cut(struct vfu_client *c)
{
	pthread_mutex_lock(&c->lock);
	die(c);
	pthread_mutex_unlock(&c->lock);
}

static void attach_fd(struct msghdr *msg, void *control, int fd)
{
	struct cmsghdr *cmsg;

	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(sizeof(fd));
	cmsg = CMSG_FIRSTHDR(msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
}

/* Drop the first @n bytes of what @msg is to send; false: nothing is left. */
static bool advance(struct msghdr *msg, size_t n)
{
	while (msg->msg_iovlen && n >= msg->msg_iov->iov_len) {
		n -= msg->msg_iov->iov_len;
		msg->msg_iov++;
		msg->msg_iovlen--;
	}
	if (!msg->msg_iovlen)
		return false;
	msg->msg_iov->iov_base = (uint8_t *)msg->msg_iov->iov_base + n;
	msg->msg_iov->iov_len -= n;
	return true;
}

/* All that @msg has, with send_lock held; false: the connection is over. */
static bool send_all(struct vfu_client *c, struct msghdr *msg)
{
	for (;;) {
		ssize_t n = sendmsg(c->fd, msg, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (!advance(msg, (size_t)n))
			return true;
		msg->msg_control = NULL;
		msg->msg_controllen = 0;
	}
}

/* A whole message, @iov[0] being the header; @fd -1: none; @kept NULL: it is
 * no write.  0 or -ENOTCONN. */
static int send_message(struct vfu_client *c, struct iovec *iov, int n_iov,
			int fd, struct vfu_kept *kept)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (size_t)n_iov };
	bool sent;

	if (fd >= 0)
		attach_fd(&msg, control.buf, fd);
	pthread_mutex_lock(&c->send_lock);
	sent = (!kept || vfu_client_keep(c, kept)) && send_all(c, &msg);
	pthread_mutex_unlock(&c->send_lock);
	if (sent)
		return 0;
	vfu_client_cut(c);
	return -ENOTCONN;
}

/* ---- receiving ---- */

/* The server asks us something: we do nothing for servers. */
static int refuse(struct vfu_client *c, struct vfu_header h)
{
	struct iovec iov = { &h, sizeof(h) };

	if (h.flags & VFU_NO_REPLY)
		return 0;
	h.flags = VFU_TYPE_REPLY | VFU_ERROR;
	h.size = sizeof(h);
	h.error = EOPNOTSUPP;
	return send_message(c, &iov, 1, -1, NULL);
}

/* Hand a reply to whom it belongs; 0 or -EPROTO. */
static int deliver(struct vfu_client *c, const struct vfu_header *h,
		   const uint8_t *payload)
{
	size_t len = h->size - sizeof(*h);
	struct pending *p;
	struct list *tmp;
	int err = -EPROTO;

	pthread_mutex_lock(&c->lock);
	list_for_each(p, tmp, &c->pending, node) {
		if (p->id != h->id || p->done)
			continue;
		if (p->command != h->command)
			break;
		err = 0;
		p->done = true;
		if (h->flags & VFU_ERROR) {
			p->err = h->error && h->error <= ERRNO_MAX ?
				-(int)h->error : -EIO;
		} else if (len > p->reply_max) {
			p->err = -EPROTO;
		} else if (len) {
			memcpy(p->reply, payload, len);
			p->reply_len = len;
		}
		pthread_cond_signal(&p->wake);
		break;
	}
	pthread_mutex_unlock(&c->lock);
	return err;
}

/* All whole messages in rx; 0 or -errno: the stream makes no sense. */
static int take_messages(struct vfu_client *c)
{
	struct vfu_header h;
	size_t at = 0;
	int err = 0;

	while (!err && c->rx.len - at >= sizeof(h)) {
		memcpy(&h, c->rx.buf + at, sizeof(h));
		if (h.size < sizeof(h) || h.size > VFU_MESSAGE_MAX)
			return -EPROTO;
		if (c->rx.len - at < h.size)
			break;
		if ((h.flags & VFU_TYPE_MASK) == VFU_TYPE_COMMAND)
			err = refuse(c, h);
		else
			err = deliver(c, &h, c->rx.buf + at + sizeof(h));
		at += h.size;
	}
	c->rx.len -= at;
	memmove(c->rx.buf, c->rx.buf + at, c->rx.len);
	return err;
}

void vfu_client_drop_fds(struct vfu_client *c)
{
	for (unsigned int i = 0; i < c->rx.n_fds; i++)
		fd_close(&c->rx.fds[i]);
	c->rx.n_fds = 0;
}

/*
 * Look for bytes for a little while: a server in the middle of things answers
 * before we would be asleep and awake again.  When nothing has come, the next
 * replies are waited for asleep: one, then three, seven ... up to LATE_MAX, as
 * long as looking is in vain.  As recvmsg(), or 0: nothing, or the end.
 */
static ssize_t receive_awake(struct vfu_client *c, struct msghdr *msg)
{
	uint64_t end_ns;
	ssize_t n;

	if (c->alone)
		return 0;
	if (c->rx.n_asleep) {
		c->rx.n_asleep--;
		return 0;
	}
	end_ns = time_now_ns() + AWAKE_NS;
	do {
		n = recvmsg(c->fd, msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		if (n >= 0 || errno != EAGAIN) {
			c->rx.n_late = 0;
			return n;
		}
	} while (time_now_ns() < end_ns);
	c->rx.n_late = min_of(2 * c->rx.n_late + 1, (unsigned int)LATE_MAX);
	c->rx.n_asleep = c->rx.n_late;
	return 0;
}

/*
 * Receive once, as the reader.  Descriptors are of use only while the device is
 * looked up: otherwise, without room for them, the kernel closes them.
 */
static int receive(struct vfu_client *c)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(VFU_MAX_FDS * sizeof(int))];
	} control;
	struct iovec iov = { c->rx.buf + c->rx.len,
			     VFU_MESSAGE_MAX - c->rx.len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (c->rx.want_fds) {
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
	}
	n = receive_awake(c, &msg);
	if (!n)
		n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;	/* EAGAIN: nothing came for a slice */
	if (n <= 0)
		return -ENOTCONN;
	if (c->rx.want_fds)
		(void)unix_take_fds(&msg, c->rx.fds, &c->rx.n_fds,
				    VFU_MAX_FDS);
	c->rx.len += (size_t)n;
	return take_messages(c);
}

/* Somebody else has to receive now; with client->lock held. */
static void pass_on_reading(struct vfu_client *c)
{
	struct pending *p;
	struct list *tmp;

	c->has_reader = false;
	list_for_each(p, tmp, &c->pending, node) {
		if (!p->done) {
			pthread_cond_signal(&p->wake);
			return;
		}
	}
}

/* Receive until @p is done; with client->lock held, given up meanwhile. */
static void read_until_done(struct vfu_client *c, struct pending *p,
			    struct patience *patience)
{
	c->has_reader = true;
	while (!p->done && !c->dead) {
		int err;

		pthread_mutex_unlock(&c->lock);
		err = receive(c);
		pthread_mutex_lock(&c->lock);
		if (err || (!p->done && patience_ends(patience)))
			die(c);
	}
	pass_on_reading(c);
}

/* Wait for a slice while somebody else receives. */
static void wait_slice(struct vfu_client *c, struct pending *p)
{
	uint64_t end_ns = time_now_ns() + TIMEOUT_SLICE_S * NS_PER_S;
	struct timespec end = {
		.tv_sec = (time_t)(end_ns / NS_PER_S),
		.tv_nsec = (long)(end_ns % NS_PER_S),
	};

	pthread_cond_clockwait(&p->wake, &c->lock, CLOCK_MONOTONIC, &end);
}

static int wait_reply(struct vfu_client *c, struct pending *p)
{
	struct patience patience = { .last_ns = time_now_ns() };
	int err;

	pthread_mutex_lock(&c->lock);
	while (!p->done && !c->dead) {
		if (!c->has_reader) {
			read_until_done(c, p, &patience);
			break;
		}
		wait_slice(c, p);
		if (!p->done && patience_ends(&patience))
			die(c);
	}
	list_remove(&p->node);
	err = p->done ? p->err : -ENOTCONN;
	pthread_mutex_unlock(&c->lock);
	pthread_cond_destroy(&p->wake);
	return err;
}

/* ---- requests ---- */

static bool id_in_use(struct vfu_client *c, uint16_t id)
{
	struct pending *p;
	struct list *tmp;

	list_for_each(p, tmp, &c->pending, node)
		if (p->id == id)
			return true;
	return false;
}

/* Put @p on the list under a number of its own; 0 or -ENOTCONN. */
static int enlist(struct vfu_client *c, struct pending *p)
{
	int err = 0;

	pthread_mutex_lock(&c->lock);
	if (c->dead) {
		err = -ENOTCONN;
	} else {
		do {
			p->id = ++c->last_id;
		} while (id_in_use(c, p->id));
		list_append(&c->pending, &p->node);
	}
	pthread_mutex_unlock(&c->lock);
	return err;
}

int vfu_client_send(struct vfu_client *c, const struct vfu_request *r,
		    uint16_t id, uint32_t flags)
{
	struct vfu_header h = {
		.id = id,
		.command = r->command,
		.size = (uint32_t)(sizeof(h) + r->body_len + r->data_len),
		.flags = VFU_TYPE_COMMAND | flags,
	};
	struct iovec iov[] = {
		{ &h, sizeof(h) },
		{ (void *)r->body, r->body_len },
		{ (void *)r->data, r->data_len },
	};

	return send_message(c, iov, ARRAY_SIZE(iov), r->fd, r->kept);
}

int vfu_client_call(struct vfu_client *c, const struct vfu_request *r,
		    size_t *len)
{
	struct pending p = {
		.command = r->command,
		.reply = r->reply,
		.reply_max = r->reply_max,
		.wake = PTHREAD_COND_INITIALIZER,
	};
	int err = enlist(c, &p);

	if (err)
		return err;
	/* If it fails, the connection is dead and there is no waiting. */
	(void)!vfu_client_send(c, r, p.id, 0);
	err = wait_reply(c, &p);
	if (!err && p.reply_len < r->reply_min)
		err = -EPROTO;
	if (len)
		*len = p.reply_len;
	return err;
}

/* ---- connecting ---- */

static int negotiate(struct vfu_client *c, const char *path,
		     struct vfu_session *session)
{
	struct {
		struct vfu_version v;
		char json[VFU_VERSION_JSON_MAX];
	} out = { { VFU_MAJOR, VFU_MINOR }, "" }, in = { { 0, 0 }, "" };
	struct vfu_caps caps = {
		.max_msg_fds = VFU_MAX_FDS,
		.max_data_xfer_size = VFU_MAX_DATA,
		.max_dma_maps = 65535,
		.pgsizes = VFU_PGSIZES,
		.shared_regs = true,
		.n_writes = VFU_N_WRITES_NONE,
	};
	struct vfu_request r = {
		.command = VFU_VERSION, .fd = -1,
		.body = &out, .reply = &in,
		.reply_min = sizeof(in.v), .reply_max = sizeof(in),
	};
	size_t len;
	int err;

	if (session) {
		caps.has_session = true;
		strcpy(caps.session, session->name);
	}
	r.body_len = sizeof(out.v) +
		vfu_caps_print(&caps, out.json, sizeof(out.json));
	err = vfu_client_call(c, &r, &len);
	if (err == -ENOTCONN) {
		log_err("%s: the server closed the connection; it may have "
			"another client", path);
		return err;
	}
	if (!err && (in.v.major != VFU_MAJOR ||
		     vfu_caps_parse(in.json, len - sizeof(in.v), &caps)))
		err = -EPROTO;
	if (err) {
		log_err("%s: no vfio-user %u.x server: %s", path, VFU_MAJOR,
			strerror(-err));
		return err == -ENOMEM ? err : -EPROTO;
	}
	c->max_data = min_of(caps.max_data_xfer_size, (uint64_t)VFU_MAX_DATA);
	if (!session)
		return 0;
	strcpy(session->name, caps.session);
	/* Without the number nothing can be made again. */
	return caps.session[0] && caps.n_writes != VFU_N_WRITES_NONE ?
		vfu_journal_open(&c->journal, caps.n_writes) : 0;
}

static int open_socket(const char *path, int *out)
{
	const struct timeval timeout = { .tv_sec = TIMEOUT_S };
	const struct timeval slice = { .tv_sec = TIMEOUT_SLICE_S };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout,
		       sizeof(timeout)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &slice, sizeof(slice)) ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address))) {
		err = -errno;
		fd_close(&fd);
		return err;
	}
	*out = fd;
	return 0;
}

static int connect_to(const char *path, struct vfu_session *session,
		      struct vfu_client **client)
{
	struct vfu_client *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->fd = c->shared_call = -1;
	c->alone = sched_alone();
	list_init(&c->pending);
	pthread_mutex_init(&c->send_lock, NULL);
	pthread_mutex_init(&c->lock, NULL);
	c->rx.buf = malloc(VFU_MESSAGE_MAX);
	err = c->rx.buf ? open_socket(path, &c->fd) : -ENOMEM;
	if (!err)
		err = negotiate(c, path, session);
	if (!err)
		err = vfu_client_look_up(c);
	if (err) {
		vfu_client_close(c);
		return err;
	}
	*client = c;
	return 0;
}

int vfu_client_connect(const char *path, struct vfu_client **client)
{
	return connect_to(path, NULL, client);
}

int vfu_client_connect_session(const char *path, struct vfu_session *session,
			       struct vfu_client **client)
{
	return connect_to(path, session, client);
}

void vfu_client_close(struct vfu_client *client)
{
	if (!client)
		return;
	fd_close(&client->fd);
	vfu_client_drop_fds(client);
	if (client->shared)
		munmap(client->shared, PCI_SHARED_PAGE);
	for (unsigned int i = 0; i < client->n_fds; i++)
		fd_close(&client->fds[i]);
	free(client->doorbells);
	vfu_journal_close(&client->journal);
	pthread_mutex_destroy(&client->send_lock);
	pthread_mutex_destroy(&client->lock);
	free(client->rx.buf);
	free(client);
}

bool vfu_client_connected(const struct vfu_client *client)
{
	struct pollfd p = { .fd = client->fd, .events = POLLRDHUP };

	if (__atomic_load_n(&client->dead, __ATOMIC_RELAXED))
		return false;
	/* Nobody may be receiving: has the server closed meanwhile? */
	return poll(&p, 1, 0) <= 0;
}

int vfu_client_watch(const struct vfu_client *client, int epoll_fd)
{
	struct epoll_event event = { .events = EPOLLRDHUP | EPOLLONESHOT };

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, client->fd, &event) ?
		-errno : 0;
}

const struct vfu_region *vfu_client_region(const struct vfu_client *client,
					   unsigned int index)
{
	static const struct vfu_region none;

	return index < VFIO_PCI_NUM_REGIONS ? &client->regions[index] : &none;
}

const struct vfu_doorbell *
vfu_client_doorbells(const struct vfu_client *client, unsigned int *n)
{
	*n = client->n_doorbells;
	return client->doorbells;
}

unsigned int vfu_client_irqs(const struct vfu_client *client,
			     unsigned int index)
{
	return index < VFIO_PCI_NUM_IRQS ? client->irqs[index] : 0;
}

/* ---- reading; writing is in client_write.c ---- */

int vfu_client_read(struct vfu_client *client, unsigned int index,
		    uint64_t off, void *buf, uint32_t len)
{
	struct vfu_region_access a = { off, index, len };
	struct {
		struct vfu_region_access a;
		uint8_t data[64];
	} small;
	size_t reply_len = sizeof(a) + len;
	uint8_t *reply = (uint8_t *)&small;
	struct vfu_request r = {
		.command = VFU_REGION_READ, .fd = -1,
		.body = &a, .body_len = sizeof(a),
		.reply_min = reply_len, .reply_max = reply_len,
	};
	int err;

	if (!len || len > client->max_data)
		return -EINVAL;
	if (vfu_client_shared_read(client, index, off, buf, len))
		return 0;
	if (reply_len > sizeof(small))
		reply = malloc(reply_len);
	if (!reply)
		return -ENOMEM;
	r.reply = reply;
	err = vfu_client_call(client, &r, NULL);
	if (!err)
		memcpy(buf, reply + sizeof(a), len);
	if (reply != (uint8_t *)&small)
		free(reply);
	return err;
}

/* ---- memory ---- */

int vfu_client_map(struct vfu_client *client, uint64_t iova, uint64_t len,
		   uint32_t prot, int fd, uint64_t offset)
{
	struct vfu_dma_map map = {
		.argsz = sizeof(map),
		.flags = (prot & DMA_READ ? VFU_DMA_READABLE : 0) |
			(prot & DMA_WRITE ? VFU_DMA_WRITABLE : 0),
		.offset = offset, .addr = iova, .size = len,
	};
	struct vfu_request r = {
		.command = VFU_DMA_MAP, .fd = fd,
		.body = &map, .body_len = sizeof(map),
	};

	return vfu_client_call(client, &r, NULL);
}

int vfu_client_unmap(struct vfu_client *client, uint64_t iova, uint64_t len)
{
	struct vfu_dma_unmap unmap = {
		.argsz = sizeof(unmap), .addr = iova, .size = len,
	}, reply;
	struct vfu_request r = {
		.command = VFU_DMA_UNMAP, .fd = -1,
		.body = &unmap, .body_len = sizeof(unmap),
		.reply = &reply, .reply_max = sizeof(reply),
	};

	return vfu_client_call(client, &r, NULL);
}

/* ---- interrupts ---- */

static int set_irqs(struct vfu_client *c, unsigned int index, uint32_t flags,
		    unsigned int start, unsigned int count, int fd)
{
	struct vfio_irq_set set = {
		.argsz = sizeof(set), .flags = flags, .index = index,
		.start = start, .count = count,
	};
	struct vfu_request r = {
		.command = VFU_SET_IRQS, .fd = fd,
		.body = &set, .body_len = sizeof(set),
	};

	return vfu_client_call(c, &r, NULL);
}

int vfu_client_set_irqs(struct vfu_client *client, unsigned int index,
			uint32_t flags, unsigned int start,
			unsigned int count, const int *fds)
{
	int err = 0;

	if (flags & VFIO_IRQ_SET_DATA_BOOL)
		return -EINVAL;
	if (!(flags & VFIO_IRQ_SET_DATA_EVENTFD))
		return set_irqs(client, index, flags, start, count, -1);
	for (unsigned int i = 0; !err && i < count; i++)
		err = set_irqs(client, index, flags, start + i, 1, fds[i]);
	return err;
}
