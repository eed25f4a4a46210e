/* SPDX-License-Identifier: Apache-2.0
 *
 * A stream socket as a port, with the framing of QEMU's -netdev stream: the
 * length of the frame as a 32-bit big-endian number, then the frame.
 *
 * One peer at a time: while there is one, others wait in the listening
 * socket's queue.  A peer that announces a frame of length 0, or longer than
 * FRAME_LEN_MAX, cannot be followed any more and is disconnected.  Frames that
 * are whole but shorter than an Ethernet header are dropped and counted.
 * Offloads do not pass.
 */
#ifndef PORT_STREAM_H
#define PORT_STREAM_H

#include "base/util.h"

struct port;
struct worker;

/**
 * stream_port_create() - listen on a UNIX socket, or use one connected socket
 * @name: of the port
 * @path: where to listen, unlinked at the end; NULL: use @fd
 * @fd: connected stream socket, taken over if successful
 * @port: out: freed by its ops->destroy()
 *
 * On the worker's thread, or before it runs.
 *
 * Return: 0, or -errno after a message.
 */
int must_check stream_port_create(const char *name, const char *path, int fd,
				  struct worker *worker, struct port **port);

#endif
