/* SPDX-License-Identifier: Apache-2.0
 *
 * A tap interface of this host as a port.  With the header that says so before
 * each frame (struct vnet_hdr), large frames and partial checksums pass whole
 * both ways, as far as the kernel takes them.
 */
#ifndef PORT_TAP_H
#define PORT_TAP_H

#include "base/util.h"

struct port;
struct worker;

/**
 * tap_port_create() - open tap interface @ifname, or make it
 * @name: of the port
 * @ifname: at most IFNAMSIZ - 1 characters, no '/', blank or '%'
 * @vnet_hdr: let offloads pass
 * @port: out: freed by its ops->destroy()
 *
 * An interface made here goes away with the port; one that was there (made to
 * be persistent) stays.  On the worker's thread, or before it runs.
 *
 * Return: 0, or -errno after a message that says what is wrong.
 */
int must_check tap_port_create(const char *name, const char *ifname,
			       bool vnet_hdr, struct worker *worker,
			       struct port **port);

#endif
