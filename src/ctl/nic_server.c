/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/nic_server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "loop/worker.h"
#include "pci/pci.h"
#include "switch/vswitch.h"
#include "vfio_user/server.h"

int nic_server_init(struct nic_server *server,
		    const struct nic_server_config *config)
{
	memset(server, 0, sizeof(*server));
	server->name = config->name;
	for (unsigned int i = 0; i < config->n_workers; i++) {
		char name[32];

		snprintf(name, sizeof(name), "bp-worker-%u", i);
		server->workers[i] = worker_create(name, config->poll_ns);
		if (!server->workers[i])
			return -errno;
		if (config->n_cpus)
			worker_set_cpu(server->workers[i], config->cpus[i]);
		server->n_workers++;
	}
	return 0;
}

struct worker *nic_server_next_worker(const struct nic_server *server)
{
	return server->workers[server->n_ports % server->n_workers];
}

unsigned int nic_server_worker_idx(const struct nic_server *server,
				   const struct port *port)
{
	unsigned int i = 0;

	while (server->workers[i] != port->queues[0].worker)
		i++;
	return i;
}

int nic_server_start(struct nic_server *server)
{
	for (unsigned int i = 0; i < server->n_workers; i++) {
		int ret = worker_start(server->workers[i]);

		if (ret < 0 && worker_cpu(server->workers[i]) >= 0)
			log_err("cannot run a worker on processor %d: %s",
				worker_cpu(server->workers[i]),
				strerror(-ret));
		else if (ret < 0)
			log_err("cannot start a worker: %s", strerror(-ret));
		if (ret < 0)
			return ret;
	}
	return 0;
}

struct vswitch *nic_server_find_net(const struct nic_server *server,
				    const char *name)
{
	for (unsigned int i = 0; i < server->n_nets; i++)
		if (!strcmp(vswitch_name(server->nets[i]), name))
			return server->nets[i];
	return NULL;
}

struct vswitch *nic_server_add_net(struct nic_server *server, const char *name,
				   unsigned int ageing_ms,
				   unsigned int max_macs)
{
	struct vswitch_config config = {
		.name = name,
		.workers = server->workers,
		.n_workers = server->n_workers,
		.ageing_ms = ageing_ms,
		.max_macs = max_macs,
	};
	struct vswitch *sw;

	if (server->n_nets == ARRAY_SIZE(server->nets)) {
		log_err("network %s: there are %u already, which is the limit",
			name, server->n_nets);
		return NULL;
	}
	sw = vswitch_create(&config);
	if (!sw) {
		log_err("network %s: out of memory", name);
		return NULL;
	}
	server->nets[server->n_nets++] = sw;
	return sw;
}

int nic_server_add_port(struct nic_server *server, struct vswitch *sw,
			const char *spec, struct port *port)
{
	struct server_port *sp;
	int ret;

	if (server->n_ports == ARRAY_SIZE(server->ports)) {
		log_err("port %s: there are %u already, which is the limit",
			spec, server->n_ports);
		return -ENOSPC;
	}
	ret = vswitch_attach(sw, port);
	if (ret < 0) {
		log_err("port %s: cannot be put on network %s: %s", spec,
			vswitch_name(sw), ret == -EEXIST ?
			"its name is taken" : strerror(-ret));
		return ret;
	}
	sp = &server->ports[server->n_ports++];
	snprintf(sp->spec, sizeof(sp->spec), "%s", spec);
	sp->sw = sw;
	sp->port = port;
	return 0;
}

int nic_server_add_nic(struct nic_server *server, struct vswitch *sw,
		       const char *spec, const struct nic_server_nic *nic)
{
	struct vfu_server_config config = {
		.worker = nic->port->queues[0].worker,
		.dev = nic->pci,
		.path = nic->socket,
		.listen_fd = -1,
	};
	struct server_port *sp;
	struct vfu_server *vfu;
	int ret;

	ret = vfu_server_create(&config, &vfu);
	if (ret < 0) {
		log_err("port %s: cannot listen on %s: %s", spec, nic->socket,
			strerror(-ret));
		return ret;
	}
	ret = nic_server_add_port(server, sw, spec, nic->port);
	if (ret < 0) {
		vfu_server_destroy(vfu);
		return ret;
	}
	sp = &server->ports[server->n_ports - 1];
	sp->pci = nic->pci;
	sp->vfu = vfu;
	return 0;
}

void nic_server_fini(struct nic_server *server)
{
	for (unsigned int i = 0; i < server->n_workers; i++)
		worker_stop(server->workers[i]);
	while (server->n_ports) {
		struct server_port *sp = &server->ports[--server->n_ports];

		vfu_server_destroy(sp->vfu);
		vswitch_detach(sp->port);
		if (sp->pci)
			sp->pci->ops->destroy(sp->pci);
		else
			sp->port->ops->destroy(sp->port);
	}
	while (server->n_nets)
		vswitch_destroy(server->nets[--server->n_nets]);
	while (server->n_workers)
		worker_destroy(server->workers[--server->n_workers]);
}
