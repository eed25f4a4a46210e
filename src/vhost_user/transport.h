/* SPDX-License-Identifier: Apache-2.0
 *
 * A vhost-user connection: messages and their descriptors from a stream socket,
 * and replies into it.  Never waits.  For vhost_user/ only.
 *
 * Descriptors come with the first byte of their message.  Header and payload
 * are read one after the other and never beyond the message, so what comes with
 * the header is this message's, and nothing may come with the payload.
 */
#ifndef VHOST_USER_TRANSPORT_H
#define VHOST_USER_TRANSPORT_H

#include <stddef.h>

#include "base/util.h"
#include "vhost_user/protocol.h"

struct vu_conn {
	int fd;			/* non-blocking; -1: closed */
	struct vu_header header; /* n_read bytes of both are here */
	union vu_payload payload;
	size_t n_read;
	unsigned int n_fds;	/* that came with the message */
	int fds[VU_FDS_MAX];	/* -1: taken by a handler */
};

/** vu_conn_open() - start on a connected, non-blocking socket, taken over */
void vu_conn_open(struct vu_conn *conn, int fd);

/** vu_conn_close() - close the socket and all descriptors that came */
void vu_conn_close(struct vu_conn *conn);

/**
 * vu_conn_recv() - go on receiving
 *
 * Return: 1: a whole message is there; 0: not yet; -ECONNRESET: the peer has
 * gone; -EPROTO: it cannot be followed any more; another -errno: the socket
 * failed.
 */
int must_check vu_conn_recv(struct vu_conn *conn);

/** vu_conn_done() - the message has been dealt with; closes its descriptors */
void vu_conn_done(struct vu_conn *conn);

/** vu_conn_take_fd() - the @i-th descriptor becomes the caller's */
int vu_conn_take_fd(struct vu_conn *conn, unsigned int i);

/**
 * vu_conn_reply() - answer the message at hand with the first @len bytes of its
 * payload
 *
 * Return: 0 or -errno; -EAGAIN: the peer does not read.
 */
int must_check vu_conn_reply(struct vu_conn *conn, uint32_t len);

#endif
