/* SPDX-License-Identifier: Apache-2.0
 *
 * vfio-user server: exports one PCI function on one UNIX socket.
 *
 * Protocol: QEMU docs/interop/vfio-user.rst (version 0.0).  One client at a
 * time; a second connection is accepted and closed at once with one message.
 * When a client goes away, DMA and interrupts stop, the memory map is cleared
 * and the function gets a power-on reset; the socket goes on listening.  A
 * client that asked for a session (see version.h) may come back to it: then the
 * reset is spared, and it has but to give its memory and eventfds again.
 *
 * DMA_UNMAP and DEVICE_RESET are answered once the function is quiet (see
 * pci_dev_ops.quiesce); messages behind them wait.
 *
 * However much a client asks for, and in however few messages, what is done for
 * it in one turn is bounded: a long access goes on in the next round.
 *
 * A client that breaks the protocol gets an error reply where a reply is due,
 * and is disconnected only where the stream itself cannot be followed any more.
 *
 * Threads: the function's home worker; create and destroy on that worker or
 * before it starts.
 */
#ifndef VFIO_USER_SERVER_H
#define VFIO_USER_SERVER_H

#include "base/counter.h"
#include "base/util.h"
#include "mem/dma.h"

struct pci_dev;
struct worker;
struct vfu_server;

struct vfu_server_config {
	struct worker *worker;	/* home worker of @dev */
	struct pci_dev *dev;	/* what is exported; not owned */
	const char *path;	/* socket to create and listen on (unlinked at
				 * the end); NULL: use listen_fd */
	int listen_fd;		/* a listening socket, taken over; -1: none */
	struct dma_quota quota;	/* zero fields: defaults */
};

struct vfu_server_stats {
	counter connections;	/* clients accepted */
	counter messages;	/* requests received */
	counter errors;		/* of those, answered with an error */
	counter region_reads;	/* REGION_READ of BARs */
	counter region_writes;	/* REGION_WRITE of BARs */
	counter irqs;		/* interrupts signalled */
};

/** vfu_server_create() - listen; 0 or -errno */
int must_check vfu_server_create(const struct vfu_server_config *config,
				 struct vfu_server **server);

/** vfu_server_destroy() - disconnect, stop listening, unlink; NULL is fine */
void vfu_server_destroy(struct vfu_server *server);

bool vfu_server_connected(const struct vfu_server *server);
const struct vfu_server_stats *vfu_server_stats(const struct vfu_server *s);

#endif
