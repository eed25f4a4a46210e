/* SPDX-License-Identifier: Apache-2.0
 *
 * A datagram socket as a port: each datagram is one frame, as with QEMU's
 * -netdev dgram.
 *
 * There is one peer.  On a socket in the file system it is who has been named,
 * and what others send is dropped and counted; or, if nobody has been named,
 * who has sent the latest frame.  Datagrams that are no Ethernet frame are
 * dropped and counted.  Offloads do not pass.
 */
#ifndef PORT_DGRAM_H
#define PORT_DGRAM_H

#include "base/util.h"

struct port;
struct worker;

/**
 * dgram_port_create() - bind a UNIX datagram socket, or use a connected one
 * @name: of the port
 * @path: where to bind it, unlinked at the end; NULL: use @fd
 * @peer: path of the peer's socket, which need not exist yet; NULL: not known
 * @fd: connected datagram socket, taken over if successful
 * @port: out: freed by its ops->destroy()
 *
 * On the worker's thread, or before it runs.
 *
 * Return: 0, or -errno after a message.
 */
int must_check dgram_port_create(const char *name, const char *path,
				 const char *peer, int fd,
				 struct worker *worker, struct port **port);

#endif
