/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's end of a connection: a byte stream with descriptors in it, taken
 * apart into messages, and replies put into it.  Never waits.  For vfio_user/
 * only.
 *
 * Theory of operation.  The kernel attaches descriptors to the bytes of one
 * sendmsg(), and reading stops behind the first such bytes it meets; but it
 * joins them with plain bytes before them.  Whose they are is known for certain
 * only if a read begins where their message begins.  So a header is never read
 * together with the message before it, with one exception: a read for the rest
 * of a payload may take in the next header, because descriptors that come with
 * it must belong to that one (or, if no byte of the next header came, to a
 * message already begun, which is an error).
 */
#ifndef VFIO_USER_TRANSPORT_H
#define VFIO_USER_TRANSPORT_H

#include "vfio_user/protocol.h"
#include "base/util.h"

/* Descriptors that came with one message. */
struct vfu_fds {
	unsigned int n;		/* in fd[] */
	bool bad;		/* too many, or not at the message's start */
	int fd[VFU_MAX_FDS];	/* -1: taken by a handler */
};

struct vfu_conn {
	int fd;			/* non-blocking socket; -1: closed */

	/* Receiving: the message under way. */
	struct vfu_header header;	/* n_header bytes of it are here */
	size_t n_header;		/* bytes received of the header */
	size_t n_payload;		/* bytes received of the payload */
	size_t payload_len;		/* bytes it has, once header is whole */
	uint8_t *payload;		/* VFU_PAYLOAD_MAX bytes */
	struct vfu_fds fds;		/* that came with it */
	struct vfu_header next;		/* read together with the payload */
	size_t n_next;			/* bytes of it */
	struct vfu_fds next_fds;	/* that came with those */
	bool drained;			/* the last read got all there was */

	/* Sending: what the socket did not take. */
	uint8_t *out;		/* VFU_OUT_MAX bytes */
	size_t out_head;	/* first byte not sent yet */
	size_t out_tail;	/* end of what is to be sent */
	int out_fd;		/* goes with the next reply's first byte, when
				 * nothing is kept; borrowed; -1: none */
};

/* Two of the largest replies: a client further behind than one is cut off. */
#define VFU_OUT_MAX (2 * (size_t)VFU_MESSAGE_MAX)

/** vfu_conn_init() - closed, with buffers; 0 or -ENOMEM */
int must_check vfu_conn_init(struct vfu_conn *conn);

/** vfu_conn_fini() - close and free the buffers */
void vfu_conn_fini(struct vfu_conn *conn);

/** vfu_conn_open() - start on a connected socket, taken over; 0 or -errno */
int must_check vfu_conn_open(struct vfu_conn *conn, int fd);

/** vfu_conn_close() - close the socket and all descriptors that came */
void vfu_conn_close(struct vfu_conn *conn);

/**
 * vfu_conn_recv() - go on receiving
 *
 * Return: 1: a whole message is in header, payload, fds; 0: not yet;
 * -ECONNRESET: the client has gone; -EMSGSIZE: a size that cannot be (header
 * is whole); another negative errno: the socket failed.
 */
int must_check vfu_conn_recv(struct vfu_conn *conn);

/** vfu_conn_done() - the message has been dealt with; closes its descriptors */
void vfu_conn_done(struct vfu_conn *conn);

/**
 * vfu_conn_reply_space() - where the payload of the next reply goes
 *
 * Return: VFU_PAYLOAD_MAX bytes, or NULL: the client does not read.
 */
uint8_t *vfu_conn_reply_space(struct vfu_conn *conn);

/**
 * vfu_conn_reply() - answer the message at hand, after reply_space()
 * @err: 0, or a negative errno: an error reply (@len is 0)
 * @len: bytes at reply_space()
 *
 * Return: 0 (sent, or kept until the socket takes it) or -errno.
 */
int must_check vfu_conn_reply(struct vfu_conn *conn, int err, size_t len);

/** vfu_conn_flush() - send what has been kept; 0 or -errno */
int must_check vfu_conn_flush(struct vfu_conn *conn);

/** vfu_conn_buffered() - is a whole message here, with no byte to be read? */
static inline bool vfu_conn_buffered(const struct vfu_conn *conn)
{
	return conn->n_header == sizeof(conn->header) &&
		conn->header.size == sizeof(conn->header);
}

/** vfu_conn_pending() - is anything kept? */
static inline bool vfu_conn_pending(const struct vfu_conn *conn)
{
	return conn->out_head != conn->out_tail;
}

#endif
