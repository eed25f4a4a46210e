/* SPDX-License-Identifier: Apache-2.0
 *
 * The NIC server's contents: networks (switches), their ports, and the worker
 * that serves them, as `serve` builds them up and the control API shows them.
 *
 * Threads: built before the worker starts and taken down after it has stopped;
 * in between the shape does not change, and whatever belongs to the worker
 * (link state, MAC tables) is touched through worker_call() only.
 */
#ifndef CTL_NIC_SERVER_H
#define CTL_NIC_SERVER_H

#include <stdint.h>

#include "base/util.h"
#include "port/port.h"

struct pci_dev;
struct vfu_server;
struct vswitch;
struct worker;

enum { NIC_SERVER_NETS_MAX = 256, NIC_SERVER_PORTS_MAX = 1024 };

/* One port of the server. */
struct server_port {
	char spec[256];		/* as given, or as made from the lab file */
	struct vswitch *sw;	/* the network it is on */
	struct port *port;	/* never NULL */
	struct pci_dev *pci;	/* NULL: not a NIC (tap, stream) */
	struct vfu_server *vfu;	/* NULL: not exported */
};

struct nic_server {
	const char *name;	/* of the lab, or "serve" */
	struct worker *worker;
	unsigned int n_nets;
	struct vswitch *nets[NIC_SERVER_NETS_MAX];
	unsigned int n_ports;
	struct server_port ports[NIC_SERVER_PORTS_MAX];
};

struct nic_server_nic {
	struct pci_dev *pci;	/* taken over by a successful add */
	struct port *port;	/* of the same NIC */
	const char *socket;	/* vfio-user socket to listen on */
};

/**
 * nic_server_init() - an empty server with its worker (not started)
 * @name: copied by reference, outlives the server
 * @poll_ns: how long the worker polls after the last work
 *
 * Return: 0 or -errno.
 */
int must_check nic_server_init(struct nic_server *server, const char *name,
			       uint64_t poll_ns);

/**
 * nic_server_add_net() - one more network
 * @ageing_ms, @max_macs: as in struct vswitch_config, 0: defaults
 *
 * Return: its switch, or NULL: too many, or out of memory (said in a message).
 */
struct vswitch *nic_server_add_net(struct nic_server *server, const char *name,
				   unsigned int ageing_ms,
				   unsigned int max_macs);

/** nic_server_find_net() - by name, or NULL */
struct vswitch *nic_server_find_net(const struct nic_server *server,
				    const char *name);

/**
 * nic_server_add_port() - put a port on a network; takes it over if successful
 * @spec: what the operator wrote, for `show`
 *
 * Return: 0 or -errno (said in a message).
 */
int must_check nic_server_add_port(struct nic_server *server,
				   struct vswitch *sw, const char *spec,
				   struct port *port);

/** nic_server_add_nic() - the same for a NIC, exported by vfio-user */
int must_check nic_server_add_nic(struct nic_server *server,
				  struct vswitch *sw, const char *spec,
				  const struct nic_server_nic *nic);

/** nic_server_fini() - stop the worker, take everything down */
void nic_server_fini(struct nic_server *server);

#endif
