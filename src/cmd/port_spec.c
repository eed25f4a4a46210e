/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/port_spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ctl/nic_server.h"
#include "loop/worker.h"
#include "nic/model.h"
#include "pci/pci.h"
#include "port/dgram.h"
#include "port/port.h"
#include "port/stream.h"
#include "port/tap.h"
#include "proto/eth.h"
#include "vhost_user/vhost_user.h"

enum { MTU_MIN = 68 };	/* RFC 791: every link carries as much */

static const struct {
	const char *prefix;	/* before the colon */
	const char *form;	/* for the help text */
	const char *what;
} kinds[N_PORT_KINDS] = {
	[PORT_VFIO_USER] = { "vfio-user", "vfio-user:PATH",
		"a NIC for a VMM's vfio-user client, on socket PATH" },
	[PORT_TAP] = { "tap", "tap:NAME",
		"tap interface NAME of this host, created if need be" },
	[PORT_STREAM] = { "stream", "stream:PATH | stream:fd=N",
		"QEMU's -netdev stream: listen on PATH, or use socket N" },
	[PORT_DGRAM] = { "dgram", "dgram:PATH | dgram:fd=N",
		"QEMU's -netdev dgram: bind PATH, or use socket N" },
	[PORT_VHOST_USER] = { "vhost-user", "vhost-user:PATH",
		"virtio queues for a VMM's vhost-user netdev, on socket PATH" },
};

/* One option after the comma. */
struct option_key {
	const char *key;
	bool bare;		/* stands alone, without a value */
	const char *help;
	unsigned int kinds;	/* BIT(enum port_kind) where it makes sense */
	unsigned int nic_option; /* enum nic_option: for NIC models that have
				 * it; 0: for all */
	int (*set)(struct port_spec *spec, const char *value);
};

static int set_model(struct port_spec *spec, const char *value)
{
	if (!nic_model_find(value))
		return -EINVAL;
	snprintf(spec->model, sizeof(spec->model), "%s", value);
	return 0;
}

static int set_mac(struct port_spec *spec, const char *value)
{
	int ret = eth_addr_parse(value, spec->mac);

	if (ret < 0)
		return ret;
	/* A NIC's own address is a unicast one. */
	return spec->mac[0] & 1 ? -EINVAL : 0;
}

static int set_name(struct port_spec *spec, const char *value)
{
	if (!*value || strlen(value) >= sizeof(spec->name) ||
	    strchr(value, '/'))
		return -EINVAL;
	snprintf(spec->name, sizeof(spec->name), "%s", value);
	return 0;
}

static int set_crc(struct port_spec *spec, const char *value)
{
	spec->exact_crc = !strcmp(value, "exact");
	return spec->exact_crc || !strcmp(value, "any") ? 0 : -EINVAL;
}

static int set_caps(struct port_spec *spec, const char *value)
{
	spec->full_caps = !strcmp(value, "full");
	return spec->full_caps || !strcmp(value, "qemu") ? 0 : -EINVAL;
}

static int set_link(struct port_spec *spec, const char *value)
{
	spec->link_down = !strcmp(value, "down");
	return spec->link_down || !strcmp(value, "up") ? 0 : -EINVAL;
}

static int set_peer(struct port_spec *spec, const char *value)
{
	if (!*value || strlen(value) >= sizeof(spec->peer) || spec->fd >= 0)
		return -EINVAL;
	snprintf(spec->peer, sizeof(spec->peer), "%s", value);
	return 0;
}

static int set_server(struct port_spec *spec, const char *value)
{
	spec->client = false;
	return 0;
}

static int set_client(struct port_spec *spec, const char *value)
{
	spec->client = true;
	return 0;
}

static int set_queues(struct port_spec *spec, const char *value)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (end == value || *end || !n || n > PORT_QUEUES_MAX)
		return -EINVAL;
	spec->queues = (unsigned int)n;
	return 0;
}

static int set_vnet_hdr(struct port_spec *spec, const char *value)
{
	spec->no_vnet_hdr = !strcmp(value, "off");
	return spec->no_vnet_hdr || !strcmp(value, "on") ? 0 : -EINVAL;
}

static int set_mtu(struct port_spec *spec, const char *value)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (end == value || *end || n < MTU_MIN || n > UINT16_MAX)
		return -EINVAL;
	spec->mtu = (uint16_t)n;
	return 0;
}

#define ALL_KINDS (BIT(N_PORT_KINDS) - 1)

static const struct option_key keys[] = {
	{ "model", false, "NIC model, e.g. e1000", BIT(PORT_VFIO_USER), 0,
	  set_model },
	{ "mac", false, "unicast MAC address, like 52:54:00:12:34:56",
	  BIT(PORT_VFIO_USER), 0, set_mac },
	{ "crc", false, "exact or any: the FCS bytes a driver keeps",
	  BIT(PORT_VFIO_USER), NIC_OPT_CRC, set_crc },
	{ "caps", false, "qemu or full: capabilities as QEMU's model, as the chip",
	  BIT(PORT_VFIO_USER), NIC_OPT_CAPS, set_caps },
	{ "peer", false, "path of the peer's socket (dgram:PATH; default: who sent last)",
	  BIT(PORT_DGRAM), 0, set_peer },
	{ "server", true, "listen on PATH (this is the default)",
	  BIT(PORT_VHOST_USER), 0, set_server },
	{ "client", true, "connect to PATH, again and again",
	  BIT(PORT_VHOST_USER), 0, set_client },
	{ "queues", false, "queue pairs, 1 to 16 (virtio-net: 1, vhost-user: 16)",
	  BIT(PORT_VHOST_USER) | BIT(PORT_VFIO_USER), NIC_OPT_QUEUES,
	  set_queues },
	{ "mtu", false, "MTU told to the driver, 68 to 65535 (virtio-net)",
	  BIT(PORT_VFIO_USER), NIC_OPT_MTU, set_mtu },
	{ "vnet_hdr", false, "on or off: large frames and partial checksums pass",
	  BIT(PORT_TAP), 0, set_vnet_hdr },
	{ "name", false, "name of the port, without '/'", ALL_KINDS, 0,
	  set_name },
	{ "link", false, "up or down, to start with", ALL_KINDS, 0, set_link },
};

void port_spec_help(FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		fprintf(out, "  %-26s %s\n", kinds[i].form, kinds[i].what);
	fputs("each with options, as KEY=VALUE after commas:\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		fprintf(out, "  %-26s %s\n", keys[i].key, keys[i].help);
	fputs("NIC models:\n", out);
	for (unsigned int i = 0; nic_model_at(i); i++)
		fprintf(out, "  %-26s %s\n", nic_model_at(i)->name,
			nic_model_at(i)->what);
}

static int set_option(struct port_spec *spec, const char *text, char *option)
{
	char *value = strchr(option, '=');

	if (value)
		*value++ = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(option, keys[i].key))
			continue;
		if (!(keys[i].kinds & BIT(spec->kind)))
			break;
		if (!value != keys[i].bare) {
			log_err(keys[i].bare ? "port %s: '%s' has no value" :
				"port %s: '%s' is not KEY=VALUE", text, option);
			return -EINVAL;
		}
		if (keys[i].set(spec, value) < 0) {
			log_err("port %s: %s=%s: expected %s", text, option,
				value, keys[i].help);
			return -EINVAL;
		}
		spec->nic_options |= keys[i].nic_option;
		return 0;
	}
	log_err("port %s: a %s port has no option '%s'", text,
		kinds[spec->kind].prefix, option);
	return -EINVAL;
}

static int set_where(struct port_spec *spec, const char *text,
		     const char *where)
{
	char *end;
	long fd;

	spec->fd = -1;
	if ((spec->kind == PORT_STREAM || spec->kind == PORT_DGRAM) &&
	    !strncmp(where, "fd=", 3)) {
		fd = strtol(where + 3, &end, 10);
		if (end == where + 3 || *end || fd < 0 || fd > 1 << 20) {
			log_err("port %s: '%s' is not a descriptor number",
				text, where + 3);
			return -EINVAL;
		}
		spec->fd = (int)fd;
		return 0;
	}
	if (!*where || strlen(where) >= sizeof(spec->where)) {
		log_err("port %s: expected %s", text, kinds[spec->kind].form);
		return -EINVAL;
	}
	snprintf(spec->where, sizeof(spec->where), "%s", where);
	return 0;
}

static int parse_kind(struct port_spec *spec, const char *text, char *head)
{
	char *where = strchr(head, ':');

	if (where) {
		*where++ = '\0';
		for (spec->kind = 0; spec->kind < N_PORT_KINDS; spec->kind++)
			if (!strcmp(head, kinds[spec->kind].prefix))
				return set_where(spec, text, where);
	}
	log_err("port %s: expected vfio-user:PATH, vhost-user:PATH, tap:NAME, stream:PATH or dgram:PATH",
		text);
	return -EINVAL;
}

/* Options that this model does not have, whichever came first. */
static int check_model(const struct port_spec *spec, const char *text)
{
	unsigned int unknown = spec->nic_options &
		~nic_model_find(spec->model)->options;

	for (size_t i = 0; unknown && i < ARRAY_SIZE(keys); i++) {
		if (!(keys[i].nic_option & unknown))
			continue;
		log_err("port %s: a NIC of model %s has no option '%s'", text,
			spec->model, keys[i].key);
		return -EINVAL;
	}
	return 0;
}

int port_spec_parse(const char *text, struct port_spec *spec)
{
	char copy[256];
	char *rest = copy;
	char *part;
	int ret;

	memset(spec, 0, sizeof(*spec));
	snprintf(spec->model, sizeof(spec->model), "e1000");
	if (strlen(text) >= sizeof(copy)) {
		log_err("port %.40s...: longer than %zu characters", text,
			sizeof(copy) - 1);
		return -EINVAL;
	}
	strcpy(copy, text);
	part = strsep(&rest, ",");
	ret = parse_kind(spec, text, part);
	while (!ret && (part = strsep(&rest, ",")))
		ret = set_option(spec, text, part);
	if (!ret && spec->kind == PORT_VFIO_USER)
		ret = check_model(spec, text);
	return ret;
}

/* The name of a port that was given none: the last part of where it is. */
static void default_name(const struct port_spec *spec, char *name, size_t size)
{
	const char *base = strrchr(spec->where, '/');

	if (spec->name[0])
		snprintf(name, size, "%s", spec->name);
	else if (spec->fd >= 0)
		snprintf(name, size, "fd%d", spec->fd);
	else
		snprintf(name, size, "%.60s", base ? base + 1 : spec->where);
}

static int create_nic(const struct port_spec *spec, const char *text,
		      const char *name, struct nic_server *server,
		      struct vswitch *sw)
{
	struct nic_params params = {
		.name = name,
		.worker = nic_server_next_worker(server),
		.exact_crc = spec->exact_crc,
		.full_caps = spec->full_caps,
		.n_pairs = spec->queues,
		.mtu = spec->mtu,
	};
	static const uint8_t no_mac[6];
	struct nic nic;
	int ret;

	memcpy(params.mac, spec->mac, sizeof(params.mac));
	if (!memcmp(spec->mac, no_mac, sizeof(no_mac))) {
		/* As QEMU numbers its NICs, from the address it starts with. */
		uint32_t low = 0x123456 + server->n_ports;
		const uint8_t mac[6] = { 0x52, 0x54, 0x00, (uint8_t)(low >> 16),
					 (uint8_t)(low >> 8), (uint8_t)low };

		memcpy(params.mac, mac, sizeof(params.mac));
	}
	ret = nic_model_find(spec->model)->create(&params, &nic);
	if (ret < 0) {
		log_err("port %s: cannot make a NIC of model %s: %s", text, spec->model,
			strerror(-ret));
		return ret;
	}
	ret = nic_server_add_nic(server, sw, text, &(struct nic_server_nic) {
		.pci = nic.pci, .port = nic.port, .socket = spec->where });
	if (ret < 0)
		nic.pci->ops->destroy(nic.pci);
	return ret;
}

int port_spec_create(const struct port_spec *spec, const char *text,
		     struct nic_server *server, struct vswitch *sw)
{
	struct worker *worker = nic_server_next_worker(server);
	char name[PORT_NAME_MAX];
	struct port *port = NULL;
	int ret;

	default_name(spec, name, sizeof(name));
	switch (spec->kind) {
	case PORT_VFIO_USER:
		ret = create_nic(spec, text, name, server, sw);
		break;
	case PORT_TAP:
		ret = tap_port_create(name, spec->where, !spec->no_vnet_hdr,
				      worker, &port);
		break;
	case PORT_STREAM:
		ret = stream_port_create(name, spec->fd < 0 ? spec->where :
					 NULL, spec->fd, worker, &port);
		break;
	case PORT_DGRAM:
		ret = dgram_port_create(name, spec->fd < 0 ? spec->where : NULL,
					spec->peer[0] ? spec->peer : NULL,
					spec->fd, worker, &port);
		break;
	case PORT_VHOST_USER:
		ret = vhost_user_create(&(struct vhost_user_config) {
			.name = name,
			.path = spec->where,
			.worker = worker,
			.client = spec->client,
			.n_pairs = spec->queues,
		}, &port);
		break;
	default:
		ret = -EINVAL;
	}
	if (!ret && port) {
		ret = nic_server_add_port(server, sw, text, port);
		if (ret < 0)
			port->ops->destroy(port);
	}
	if (!ret && spec->link_down)
		port_set_link(server->ports[server->n_ports - 1].port, false);
	return ret;
}
