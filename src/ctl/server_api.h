/* SPDX-License-Identifier: Apache-2.0
 *
 * The NIC server's control API: networks, ports, worker, links.
 */
#ifndef CTL_SERVER_API_H
#define CTL_SERVER_API_H

#include "ctl/api.h"

struct nic_server;

extern const struct api_route server_api_routes[];

/**
 * server_api_start() - serve it on a socket
 * @server: outlives the API; its worker may or may not run yet
 *
 * Return: 0 or -errno, with a message.
 */
int must_check server_api_start(const char *path, struct nic_server *server,
				struct api **api);

#endif
