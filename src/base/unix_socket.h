/* SPDX-License-Identifier: Apache-2.0
 *
 * UNIX sockets that are reached by a name in the file system, and descriptors
 * that come over them.
 */
#ifndef BASE_UNIX_SOCKET_H
#define BASE_UNIX_SOCKET_H

#include "base/util.h"

struct msghdr;

/**
 * unix_listen() - make a socket at @path that only its owner can connect to
 * @fd: out: the listening socket, non-blocking
 *
 * A socket left behind by a process that is gone is replaced; one that somebody
 * still listens on, or any other kind of file, is not touched.
 *
 * Return: 0, -EADDRINUSE (somebody listens there, or it is no socket),
 * -ENAMETOOLONG, or another -errno.
 */
int must_check unix_listen(const char *path, int backlog, int *fd);

/** unix_bind_dgram() - the same for datagrams: all that come are for @fd */
int must_check unix_bind_dgram(const char *path, int *fd);

/**
 * unix_take_fds() - the descriptors that recvmsg() has put into @msg
 * @fds: room for @max of them, *@n of which are there already
 *
 * All of them are ours now: those without room are closed.
 *
 * Return: false: some were closed here, or by the kernel.
 */
bool unix_take_fds(struct msghdr *msg, int *fds, unsigned int *n,
		   unsigned int max);

#endif
