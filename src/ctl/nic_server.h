/* SPDX-License-Identifier: Apache-2.0
 *
 * The NIC server's contents: networks (switches), their ports, and the workers
 * that serve them, as `serve` builds them up and the control API shows them.
 *
 * Ports are dealt out to the workers in turn, in the order in which they are
 * made: the first to the first worker, the second to the second one, and so on
 * round.  A port stays where it is, with all its queues and its sockets.
 *
 * Threads: built before the workers start and taken down after they have
 * stopped; in between the shape does not change, and whatever belongs to a
 * worker (link state, device counters) is touched through worker_call() only.
 */
#ifndef CTL_NIC_SERVER_H
#define CTL_NIC_SERVER_H

#include <stdint.h>

#include "base/util.h"
#include "port/port.h"
#include "switch/vswitch.h"

struct pci_dev;
struct vfu_server;
struct worker;

enum {
	NIC_SERVER_NETS_MAX = 256,
	NIC_SERVER_PORTS_MAX = 1024,
	NIC_SERVER_WORKERS_MAX = VSWITCH_WORKERS_MAX,
};

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
	unsigned int n_workers;
	struct worker *workers[NIC_SERVER_WORKERS_MAX];
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

struct nic_server_config {
	const char *name;	/* of the server; outlives it */
	uint64_t poll_ns;	/* how long workers poll after the last work */
	unsigned int n_workers;	/* 1 to NIC_SERVER_WORKERS_MAX */
	unsigned int n_cpus;	/* 0: they run anywhere; else n_workers */
	const unsigned int *cpus; /* processor of each */
};

/** nic_server_init() - an empty server with its workers (not started); 0 or
 * -errno */
int must_check nic_server_init(struct nic_server *server,
			       const struct nic_server_config *config);

/** nic_server_next_worker() - who is to serve the next port */
struct worker *nic_server_next_worker(const struct nic_server *server);

/** nic_server_worker_idx() - the number of the worker that serves @port */
unsigned int nic_server_worker_idx(const struct nic_server *server,
				   const struct port *port);

/** nic_server_start() - all workers; 0, or -errno after a message */
int must_check nic_server_start(struct nic_server *server);

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

/** nic_server_fini() - stop the workers, take everything down */
void nic_server_fini(struct nic_server *server);

#endif
