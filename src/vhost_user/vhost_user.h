/* SPDX-License-Identifier: Apache-2.0
 *
 * vhost-user back-end: virtio-net queues for any VMM, over one UNIX socket
 * (QEMU, docs/interop/vhost-user.rst).
 *
 * As server it listens and serves one front-end at a time; as client it
 * connects, and tries again while there is none: soon at first, then ever less
 * often.
 * When a front-end goes, its queues stop, its memory is unmapped and its
 * descriptors are closed; the next one starts from nothing.
 *
 * The control queue, the MAC address and the link state stay with the
 * front-end; so filters, VLANs and switching of offloads at run time are its
 * business, and link state reaches its guest by its own means alone.
 *
 * While a guest is migrated away, the pages written of it are marked in a log
 * that its front-end reads (VHOST_F_LOG_ALL).
 *
 * A front-end that breaks the protocol gets an error where it asked for a reply
 * (REPLY_ACK), else it is disconnected, with one message.
 *
 * Threads: the worker that serves the port, or before it starts.
 */
#ifndef VHOST_USER_VHOST_USER_H
#define VHOST_USER_VHOST_USER_H

#include <stdint.h>

#include "base/util.h"

struct port;
struct worker;

/* Time between two tries of a client: twice as long each time, from the first
 * on again once a front-end has said something. */
enum { VHOST_USER_RETRY_MIN_MS = 10, VHOST_USER_RETRY_MAX_MS = 1000 };

struct vhost_user_config {
	const char *name;	/* of the port; copied */
	const char *path;	/* of the socket; copied */
	struct worker *worker;	/* serves it */
	bool client;		/* connect instead of listen */
	unsigned int n_pairs;	/* queue pairs at most; 0: all there can be */
};

/**
 * vhost_user_create() - listen, or begin to connect
 * @port: out: freed by its ops->destroy()
 *
 * Return: 0 or -errno, after a message.
 */
int must_check vhost_user_create(const struct vhost_user_config *config,
				 struct port **port);

#endif
