/* SPDX-License-Identifier: Apache-2.0
 *
 * vhost-user messages; see transport.h.
 */
#include "vhost_user/transport.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/unix_socket.h"

static void close_fds(struct vu_conn *conn)
{
	for (unsigned int i = 0; i < conn->n_fds; i++)
		fd_close(&conn->fds[i]);
	conn->n_fds = 0;
}

void vu_conn_open(struct vu_conn *conn, int fd)
{
	conn->fd = fd;
	conn->n_read = 0;
	conn->n_fds = 0;
}

void vu_conn_close(struct vu_conn *conn)
{
	close_fds(conn);
	fd_close(&conn->fd);
	conn->n_read = 0;
}

/* Read towards the end of a part of the message, [n_read, end). */
static int read_part(struct vu_conn *conn, uint8_t *part, size_t part_off,
		     size_t end)
{
	/* The kernel hands over at most 253 in one message. */
	union {
		char bytes[CMSG_SPACE(253 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {
		part + (conn->n_read - part_off), end - conn->n_read,
	};
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	/* No more than any message has, and at its start. */
	if (!unix_take_fds(&msg, conn->fds, &conn->n_fds,
			   conn->n_read ? 0 : VU_FDS_MAX))
		return -EPROTO;
	if (!n)
		return -ECONNRESET;
	conn->n_read += (size_t)n;
	return conn->n_read == end;
}

int vu_conn_recv(struct vu_conn *conn)
{
	int ret;

	if (conn->n_read < VU_HEADER_LEN) {
		ret = read_part(conn, (uint8_t *)&conn->header, 0,
				VU_HEADER_LEN);
		if (ret <= 0)
			return ret;
	}
	if (conn->header.size > VU_PAYLOAD_MAX ||
	    (conn->header.flags & VU_VERSION_MASK) != VU_VERSION ||
	    conn->header.flags & VU_REPLY)
		return -EPROTO;
	if (!conn->header.size)
		return 1;
	return read_part(conn, conn->payload.bytes, VU_HEADER_LEN,
			 VU_HEADER_LEN + conn->header.size);
}

void vu_conn_done(struct vu_conn *conn)
{
	close_fds(conn);
	conn->n_read = 0;
}

int vu_conn_take_fd(struct vu_conn *conn, unsigned int i)
{
	int fd = conn->fds[i];

	conn->fds[i] = -1;
	return fd;
}

int vu_conn_reply(struct vu_conn *conn, uint32_t len)
{
	struct vu_header header = {
		.request = conn->header.request,
		.flags = VU_VERSION | VU_REPLY,
		.size = len,
	};
	struct iovec iov[] = {
		{ &header, sizeof(header) }, { conn->payload.bytes, len },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n = sendmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return -errno;
	/* Half a reply cannot be completed later: nobody keeps the rest. */
	return (size_t)n == sizeof(header) + len ? 0 : -EAGAIN;
}
