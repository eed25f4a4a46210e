/* SPDX-License-Identifier: Apache-2.0
 *
 * A toy on a vfio-user server whose worker runs, for tests of its clients.
 */
#ifndef TESTS_VFIO_USER_TOY_SERVER_H
#define TESTS_VFIO_USER_TOY_SERVER_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop/worker.h"
#include "toy.h"
#include "vfio_user/client.h"
#include "vfio_user/server.h"

struct toy_server {
	char dir[32], path[64];		/* the socket, and where it is */
	struct worker *worker;
	struct toy toy;
	struct vfu_server *server;
	struct vfu_client *client;	/* NULL: the test has closed it */
};

/* Listens; did it all work? */
static inline bool toy_server_start(struct toy_server *t)
{
	struct vfu_server_config config = { .dev = &t->toy.pci };

	strcpy(t->dir, "/tmp/vfu-XXXXXX");
	if (!mkdtemp(t->dir))
		return false;
	snprintf(t->path, sizeof(t->path), "%s/s", t->dir);
	t->worker = worker_create("test", 20000);
	config.worker = t->worker;
	config.path = t->path;
	return !toy_init(&t->toy) && !vfu_server_create(&config, &t->server) &&
		!worker_start(t->worker);
}

static inline void toy_server_stop(struct toy_server *t)
{
	vfu_client_close(t->client);
	worker_stop(t->worker);
	vfu_server_destroy(t->server);
	pci_dev_fini(&t->toy.pci);
	worker_destroy(t->worker);
	rmdir(t->dir);
}

#endif
