/* SPDX-License-Identifier: Apache-2.0 */
#include "vfio_user/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/unix_socket.h"

static void fds_close(struct vfu_fds *fds)
{
	for (unsigned int i = 0; i < fds->n; i++)
		fd_close(&fds->fd[i]);
	fds->n = 0;
	fds->bad = false;
}

int vfu_conn_init(struct vfu_conn *conn)
{
	memset(conn, 0, sizeof(*conn));
	conn->fd = -1;
	conn->payload = malloc(VFU_PAYLOAD_MAX);
	conn->out = malloc(VFU_OUT_MAX);
	if (!conn->payload || !conn->out) {
		vfu_conn_fini(conn);
		return -ENOMEM;
	}
	return 0;
}

void vfu_conn_fini(struct vfu_conn *conn)
{
	vfu_conn_close(conn);
	free(conn->payload);
	free(conn->out);
	conn->payload = NULL;
	conn->out = NULL;
}

int vfu_conn_open(struct vfu_conn *conn, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	conn->fd = fd;
	return 0;
}

void vfu_conn_close(struct vfu_conn *conn)
{
	fd_close(&conn->fd);
	fds_close(&conn->fds);
	fds_close(&conn->next_fds);
	conn->n_header = conn->n_payload = conn->payload_len = 0;
	conn->n_next = 0;
	conn->out_head = conn->out_tail = 0;
	conn->n_out_fds = 0;
}

/* One read; what came with it is put into @fds.  As recv(), -errno. */
static ssize_t read_some(struct vfu_conn *conn, struct iovec *iov, int n_iov,
			 struct vfu_fds *fds)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(VFU_MAX_FDS * sizeof(int))];
	} control;
	struct msghdr msg = {
		.msg_iov = iov,
		.msg_iovlen = (size_t)n_iov,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	size_t want = 0;
	ssize_t n;

	for (int i = 0; i < n_iov; i++)
		want += iov[i].iov_len;
	do {
		n = recvmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (!unix_take_fds(&msg, fds->fd, &fds->n, VFU_MAX_FDS))
		fds->bad = true;
	conn->drained = (size_t)n < want;
	return n;
}

static ssize_t read_header(struct vfu_conn *conn)
{
	struct iovec iov = {
		(uint8_t *)&conn->header + conn->n_header,
		sizeof(conn->header) - conn->n_header,
	};
	ssize_t n = read_some(conn, &iov, 1, &conn->fds);

	if (n > 0)
		conn->n_header += (size_t)n;
	return n;
}

static ssize_t read_payload(struct vfu_conn *conn)
{
	size_t rest = conn->payload_len - conn->n_payload;
	struct iovec iov[2] = {
		{ conn->payload + conn->n_payload, rest },
		{ &conn->next, sizeof(conn->next) },
	};
	ssize_t n = read_some(conn, iov, 2, &conn->next_fds);

	if (n <= 0)
		return n;
	if ((size_t)n > rest) {
		conn->n_next = (size_t)n - rest;
	} else if (conn->next_fds.n || conn->next_fds.bad) {
		fds_close(&conn->next_fds);
		conn->fds.bad = true;
	}
	conn->n_payload += min_of((size_t)n, rest);
	return n;
}

/* Return of a read that got no bytes, as of vfu_conn_recv(). */
static int no_bytes(ssize_t n)
{
	if (n == 0 || n == -ECONNRESET || n == -EPIPE)
		return -ECONNRESET;
	return n == -EAGAIN ? 0 : (int)n;
}

int vfu_conn_recv(struct vfu_conn *conn)
{
	ssize_t n;

	while (conn->n_header < sizeof(conn->header)) {
		n = read_header(conn);
		if (n <= 0)
			return no_bytes(n);
		if (conn->drained && conn->n_header < sizeof(conn->header))
			return 0;
	}
	if (conn->header.size < sizeof(conn->header) ||
	    conn->header.size > VFU_MESSAGE_MAX)
		return -EMSGSIZE;
	conn->payload_len = conn->header.size - sizeof(conn->header);
	while (conn->n_payload < conn->payload_len) {
		n = read_payload(conn);
		if (n <= 0)
			return no_bytes(n);
		if (conn->drained && conn->n_payload < conn->payload_len)
			return 0;
	}
	return 1;
}

void vfu_conn_done(struct vfu_conn *conn)
{
	fds_close(&conn->fds);
	conn->header = conn->next;
	conn->n_header = conn->n_next;
	conn->fds = conn->next_fds;
	conn->n_next = 0;
	conn->next_fds.n = 0;
	conn->next_fds.bad = false;
	conn->n_payload = conn->payload_len = 0;
}

uint8_t *vfu_conn_reply_space(struct vfu_conn *conn)
{
	if (conn->out_head && VFU_OUT_MAX - conn->out_tail < VFU_MESSAGE_MAX) {
		memmove(conn->out, conn->out + conn->out_head,
			conn->out_tail - conn->out_head);
		conn->out_tail -= conn->out_head;
		conn->out_fds_at -= conn->out_head;
		conn->out_head = 0;
	}
	if (VFU_OUT_MAX - conn->out_tail < VFU_MESSAGE_MAX)
		return NULL;
	return conn->out + conn->out_tail + sizeof(struct vfu_header);
}

int vfu_conn_reply(struct vfu_conn *conn, int err, size_t len)
{
	struct vfu_header h = {
		.id = conn->header.id,
		.command = conn->header.command,
		.size = (uint32_t)(sizeof(h) + len),
		.flags = VFU_TYPE_REPLY | (err ? VFU_ERROR : 0),
		.error = (uint32_t)-err,
	};

	memcpy(conn->out + conn->out_tail, &h, sizeof(h));
	conn->out_tail += sizeof(h) + len;
	return vfu_conn_flush(conn);
}

int vfu_conn_attach(struct vfu_conn *conn, const int *fds, unsigned int n)
{
	if (conn->n_out_fds)
		return -ENOBUFS;
	memcpy(conn->out_fds, fds, n * sizeof(*fds));
	conn->n_out_fds = n;
	conn->out_fds_at = conn->out_tail;
	return 0;
}

/* Send from out_head on, up to where descriptors have to come along, or with
 * them; as send(). */
static ssize_t send_some(struct vfu_conn *conn)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(VFU_MAX_FDS * sizeof(int))];
	} control = { 0 };
	bool here = conn->n_out_fds && conn->out_fds_at == conn->out_head;
	size_t end = conn->n_out_fds && !here ? conn->out_fds_at :
		conn->out_tail;
	struct iovec iov = { conn->out + conn->out_head,
			     end - conn->out_head };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t len = conn->n_out_fds * sizeof(int);
	ssize_t n;

	if (here) {
		struct cmsghdr *cmsg;

		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(len);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(len);
		memcpy(CMSG_DATA(cmsg), conn->out_fds, len);
	}
	n = sendmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0 && here)
		conn->n_out_fds = 0;
	return n;
}

int vfu_conn_flush(struct vfu_conn *conn)
{
	while (vfu_conn_pending(conn)) {
		ssize_t n = send_some(conn);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		conn->out_head += (size_t)n;
	}
	conn->out_head = conn->out_tail = 0;
	return 0;
}
