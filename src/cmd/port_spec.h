/* SPDX-License-Identifier: Apache-2.0
 *
 * `--port KIND:WHERE[,KEY=VALUE...]`: what the operator writes for one port of
 * the NIC server, and the making of it.
 */
#ifndef CMD_PORT_SPEC_H
#define CMD_PORT_SPEC_H

#include <stdint.h>
#include <stdio.h>

#include "base/util.h"

struct nic_server;
struct vswitch;

enum port_kind {
	PORT_VFIO_USER,		/* a NIC model on a vfio-user socket */
	PORT_TAP,		/* a tap interface of this host */
	PORT_STREAM,		/* QEMU's -netdev stream framing */
	PORT_DGRAM,		/* QEMU's -netdev dgram: each is a frame */
	PORT_VHOST_USER,	/* virtqueues of a vhost-user front-end */
	N_PORT_KINDS,
};

struct port_spec {
	enum port_kind kind;
	char where[128];	/* socket path, interface; "": fd */
	int fd;			/* stream:fd=N, dgram:fd=N; -1: none */
	char peer[128];		/* dgram: path of the peer; "": not known */
	char model[32];		/* NIC model; default "e1000" */
	char name[64];		/* of the port; "": made from `where` */
	uint8_t mac[6];		/* zero: the server chooses */
	bool exact_crc;		/* crc=exact */
	bool client;		/* vhost-user: connect, do not listen */
	unsigned int queues;	/* queue pairs; 0: vhost-user: as many as it
				 * can have, a NIC: one */
	bool no_vnet_hdr;	/* tap: vnet_hdr=off */
	uint16_t mtu;		/* of a NIC; 0: it does not say */
	unsigned int nic_options; /* enum nic_option bits that were given */
	bool full_caps;		/* caps=full */
	bool link_down;		/* link=down: starts with its cable out */
};

/**
 * port_spec_parse() - read one specification
 *
 * Return: 0, or -EINVAL after a message that names the wrong part.
 */
int must_check port_spec_parse(const char *text, struct port_spec *spec);

/** port_spec_create() - make the port and put it on @sw; 0 or -errno (said) */
int must_check port_spec_create(const struct port_spec *spec, const char *text,
				struct nic_server *server, struct vswitch *sw);

/** port_spec_help() - the forms and keys, for --help */
void port_spec_help(FILE *out);

#endif
