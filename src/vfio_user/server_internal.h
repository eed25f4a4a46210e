/* SPDX-License-Identifier: Apache-2.0
 *
 * What server.c (listening, connections) and messages.c (what a message means)
 * share.  For vfio_user/ and its tests only.
 */
#ifndef VFIO_USER_SERVER_INTERNAL_H
#define VFIO_USER_SERVER_INTERNAL_H

#include "loop/worker.h"
#include "vfio_user/irq.h"
#include "vfio_user/server.h"
#include "vfio_user/shared.h"
#include "vfio_user/transport.h"

/* What is known of a client. */
enum vfu_phase {
	VFU_PHASE_NONE,		/* there is none */
	VFU_PHASE_LEAVING,	/* it has gone, but the function is not quiet
				 * yet; the next one has to wait */
	VFU_PHASE_HELLO,	/* connected: only VERSION may come */
	VFU_PHASE_READY,	/* negotiated: everything but VERSION */
};

struct vfu_server {
	struct worker *worker;		/* home worker of dev */
	struct pci_dev *dev;		/* what is exported */
	char *path;			/* socket to unlink; NULL: not ours */
	struct dma_quota quota;		/* of each client */
	struct dma_space *dma;		/* the client's memory; dev->dma */
	struct vfu_server_stats stats;

	struct watch listener;		/* listening socket; fd -1: none */
	bool listening;			/* listener is with the worker */
	int spare_fd;			/* given up to accept and close when
					 * there are no more descriptors */

	enum vfu_phase phase;		/* of the connection */
	struct watch client;		/* its socket; fd == conn.fd */
	struct poller memory_check;	/* while connected: is dma broken? */
	struct vfu_conn conn;		/* messages and replies */
	bool wants_output;		/* EPOLLOUT is asked for */
	bool waiting;			/* the message in conn is carried out
					 * once the function is quiet */
	unsigned int budget;		/* register accesses left of this turn,
					 * messages counted as some */
	bool unfinished;		/* the message in conn has used it up,
					 * and goes on in the next round */
	uint32_t n_done;		/* bytes of its access carried out */
	struct poller go_on;		/* with the worker while unfinished */
	unsigned int max_fds;		/* the client takes with one message */
	bool may_share;			/* it knows of shared registers */
	struct vfu_shared shared;	/* those it has been given */
	/* The client comes back to the state it left by this name; "": no. */
	char session[VFU_SESSION_LEN + 1];
	uint64_t n_writes;		/* messages of the session that write
					 * regions, and have been dealt with */
	struct vfu_irqs irqs;		/* the client's eventfds */
};

/**
 * vfu_server_attach() - serve a client on a connected socket, taken over
 *
 * Return: 0; -EBUSY (there is a client) or another -errno, @fd is closed then.
 */
int must_check vfu_server_attach(struct vfu_server *server, int fd);

/**
 * vfu_message_handle() - carry out the message in server->conn and answer it
 *
 * If server->waiting or server->unfinished is set then, it has not been
 * answered yet, and stays in server->conn until vfu_message_go_on().
 *
 * Return: 0, or -errno: the connection is to be closed.
 */
int must_check vfu_message_handle(struct vfu_server *server);

/** vfu_message_go_on() - carry out the message that was waiting for a quiet
 * function, or the rest of an unfinished one; as vfu_message_handle() */
int must_check vfu_message_go_on(struct vfu_server *server);

/** vfu_message_give_up() - leave an unfinished message at that: the connection
 * is at its end */
void vfu_message_give_up(struct vfu_server *server);

/** vfu_message_refuse() - answer it with an error, if an answer is due */
int must_check vfu_message_refuse(struct vfu_server *server, int err);

#endif
