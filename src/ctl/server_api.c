/* SPDX-License-Identifier: Apache-2.0
 *
 * The NIC server's control API.  What belongs to a worker is copied there, by
 * worker_call(), into memory allocated here; JSON is made here, so that the
 * data path waits for nothing but the copy.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ctl/lab_config.h"
#include "ctl/nic_server.h"
#include "ctl/server_api.h"
#include "loop/worker.h"
#include "pci/pci.h"
#include "switch/vswitch.h"
#include "vfio_user/server.h"

/* What its worker knows about one port, copied. */
struct port_view {
	bool link_up;			/* the operator's cable */
	bool has_peer;			/* it can be connected or not */
	bool connected;			/* a VMM or another peer is there */
	struct port_stats stats;	/* of all queues */
	struct vfu_server_stats vfu;	/* if it is exported */
};

struct ports_call {
	const struct nic_server *server;
	const struct worker *worker;	/* on which this is called */
	struct port_view *views;	/* one per port; its own are filled */
};

static void view_ports(void *arg)
{
	struct ports_call *call = arg;

	for (unsigned int i = 0; i < call->server->n_ports; i++) {
		const struct server_port *p = &call->server->ports[i];
		struct port_view *v = &call->views[i];

		if (p->port->queues[0].worker != call->worker)
			continue;
		v->link_up = p->port->link_up;
		port_stats_sum(p->port, &v->stats);
		v->has_peer = p->vfu || p->port->ops->connected;
		if (p->vfu) {
			v->connected = vfu_server_connected(p->vfu);
			v->vfu = *vfu_server_stats(p->vfu);
		} else if (v->has_peer) {
			v->connected = p->port->ops->connected(p->port);
		}
	}
}

static json_t *counter_json(const counter *c)
{
	return json_integer((json_int_t)counter_read(c));
}

static json_t *stats_json(const struct port_stats *s)
{
	const struct {
		const char *name;
		const counter *value;
	} rows[] = {
		{ "tx_frames", &s->tx_frames },
		{ "tx_bytes", &s->tx_bytes },
		{ "tx_bad_len", &s->tx_bad_len },
		{ "rx_frames", &s->rx_frames },
		{ "rx_bytes", &s->rx_bytes },
		{ "rx_full", &s->rx_full },
		{ "rx_too_long", &s->rx_too_long },
		{ "rx_link_down", &s->rx_link_down },
		{ "tx_held", &s->tx_held },
		{ "gso_cut", &s->gso_cut },
		{ "csum_filled", &s->csum_filled },
		{ "bad_offload", &s->bad_offload },
	};
	json_t *o = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		json_object_set_new(o, rows[i].name,
				    counter_json(rows[i].value));
	return o;
}

static json_t *vfu_json(const struct vfu_server_stats *s)
{
	const struct {
		const char *name;
		const counter *value;
	} rows[] = {
		{ "connections", &s->connections },
		{ "messages", &s->messages },
		{ "errors", &s->errors },
		{ "region_reads", &s->region_reads },
		{ "region_writes", &s->region_writes },
		{ "irqs", &s->irqs },
	};
	json_t *o = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		json_object_set_new(o, rows[i].name,
				    counter_json(rows[i].value));
	return o;
}

/* What only this kind of port counts.  Counters can be read from any thread. */
static json_t *device_json(const struct port *port)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < port->ops->n_counters; i++)
		json_array_append_new(list, json_pack("{s:s, s:o, s:s}",
			"counter", port->ops->counters[i].name,
			"value", counter_json(&port->counters[i]),
			"meaning", port->ops->counters[i].what));
	return list;
}

static json_t *port_json(const struct nic_server *server,
			 const struct server_port *p,
			 const struct port_view *v)
{
	static const uint8_t zero[6];
	char mac[18];
	json_t *o;

	o = json_pack("{s:s, s:s, s:s, s:s, s:i, s:b}",
		      "name", p->port->name,
		      "network", vswitch_name(p->sw),
		      "kind", p->port->ops->kind,
		      "spec", p->spec,
		      "worker", (int)nic_server_worker_idx(server, p->port),
		      "link", v->link_up);
	if (memcmp(p->port->mac, zero, sizeof(zero))) {
		lab_mac_text(p->port->mac, mac);
		json_object_set_new(o, "mac", json_string(mac));
	}
	if (v->has_peer)
		json_object_set_new(o, "connected", json_boolean(v->connected));
	if (p->vfu)
		json_object_set_new(o, "vfio_user", vfu_json(&v->vfu));
	json_object_set_new(o, "counters", stats_json(&v->stats));
	if (p->port->counters)
		json_object_set_new(o, "device", device_json(p->port));
	return o;
}

static void get_ports(struct api_request *request)
{
	const struct nic_server *server = api_owner(request);
	struct ports_call call = { .server = server };
	json_t *list;

	call.views = calloc(server->n_ports ? server->n_ports : 1,
			    sizeof(*call.views));
	if (!call.views) {
		api_reply(request, 500, NULL);
		return;
	}
	for (unsigned int i = 0; i < server->n_workers; i++) {
		call.worker = server->workers[i];
		worker_call(server->workers[i], view_ports, &call);
	}
	list = json_array();
	for (unsigned int i = 0; i < server->n_ports; i++)
		json_array_append_new(list, port_json(server, &server->ports[i],
						      &call.views[i]));
	free(call.views);
	api_reply(request, 200, json_pack("{s:o}", "ports", list));
}

static void get_networks(struct api_request *request)
{
	const struct nic_server *server = api_owner(request);
	json_t *list = json_array();

	for (unsigned int i = 0; i < server->n_nets; i++) {
		struct vswitch *sw = server->nets[i];
		json_t *ports = json_array();

		for (unsigned int j = 0; j < server->n_ports; j++)
			if (server->ports[j].sw == sw)
				json_array_append_new(ports, json_string(
					server->ports[j].port->name));
		json_array_append_new(list, json_pack("{s:s, s:o}",
			"name", vswitch_name(sw), "ports", ports));
	}
	api_reply(request, 200, json_pack("{s:o}", "networks", list));
}

/* The network named in the path, or NULL and a reply. */
static struct vswitch *network_of(struct api_request *request)
{
	struct vswitch *sw = nic_server_find_net(api_owner(request),
						 api_arg(request, 0));

	if (!sw)
		api_error(request, 404, "there is no network '%s'",
			  api_arg(request, 0));
	return sw;
}

/* Most addresses shown: what fits in a reply of sensible size. */
enum { MACS_MAX = 65536 };

struct macs_call {
	struct vswitch *sw;
	struct vswitch_mac *macs;	/* MACS_MAX of them */
	unsigned int n;			/* filled in */
	struct vswitch_mac_stats stats;	/* of the table */
};

static void view_macs(void *arg)
{
	struct macs_call *call = arg;

	call->n = vswitch_macs(call->sw, call->macs, MACS_MAX);
	call->stats = *vswitch_mac_stats(call->sw);
}

static void get_macs(struct api_request *request)
{
	const struct nic_server *server = api_owner(request);
	struct macs_call call = { .sw = network_of(request) };
	json_t *list;

	if (!call.sw)
		return;
	call.macs = calloc(MACS_MAX, sizeof(*call.macs));
	if (!call.macs) {
		api_reply(request, 500, NULL);
		return;
	}
	/* Any of them: no worker waits for a thread that may be put off. */
	worker_call(server->workers[0], view_macs, &call);
	list = json_array();
	for (unsigned int i = 0; i < call.n; i++) {
		char mac[18];

		lab_mac_text(call.macs[i].mac, mac);
		json_array_append_new(list, json_pack("{s:s, s:s, s:i}",
			"mac", mac, "port", call.macs[i].port,
			"age_ms", (int)call.macs[i].age_ms));
	}
	free(call.macs);
	api_reply(request, 200, json_pack("{s:o, s:o, s:o, s:o, s:o}",
		"macs", list,
		"learnt", counter_json(&call.stats.learnt),
		"moved", counter_json(&call.stats.moved),
		"evicted", counter_json(&call.stats.evicted),
		"aged", counter_json(&call.stats.aged)));
}

static void get_verdicts(struct api_request *request)
{
	const struct vswitch *sw = network_of(request);
	json_t *list;

	if (!sw)
		return;
	/* Counters: they may be read from any thread. */
	list = json_array();
	for (unsigned int i = 0; i < N_VERDICTS; i++)
		json_array_append_new(list, json_pack("{s:s, s:I, s:s}",
			"verdict", verdict_names[i],
			"frames", (json_int_t)vswitch_verdicts(sw,
							(enum verdict)i),
			"meaning", verdict_texts[i]));
	api_reply(request, 200, json_pack("{s:o}", "verdicts", list));
}

/* As counters of one worker, or summed over all. */
static const struct {
	const char *name;
	size_t offset;		/* in struct worker_stats */
} worker_counters[] = {
	{ "rounds", offsetof(struct worker_stats, rounds) },
	{ "busy_rounds", offsetof(struct worker_stats, busy_rounds) },
	{ "busy_ns", offsetof(struct worker_stats, busy_ns) },
	{ "sleeps", offsetof(struct worker_stats, sleeps) },
	{ "wakeups", offsetof(struct worker_stats, wakeups) },
	{ "timer_wakeups", offsetof(struct worker_stats, timer_wakeups) },
};

/* Counters may be read from any thread. */
static uint64_t worker_counter(const struct worker *worker, size_t row)
{
	const uint8_t *stats = (const uint8_t *)worker_stats(worker);

	return counter_read((const counter *)(stats +
					      worker_counters[row].offset));
}

static json_t *worker_json(const struct worker *worker)
{
	json_t *o = json_pack("{s:s}", "name", worker_name(worker));

	if (worker_cpu(worker) >= 0)
		json_object_set_new(o, "cpu", json_integer(worker_cpu(worker)));
	for (size_t i = 0; i < ARRAY_SIZE(worker_counters); i++)
		json_object_set_new(o, worker_counters[i].name,
			json_integer((json_int_t)worker_counter(worker, i)));
	return o;
}

static void get_worker(struct api_request *request)
{
	const struct nic_server *server = api_owner(request);
	json_t *o = json_object(), *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(worker_counters); i++) {
		uint64_t sum = 0;

		for (unsigned int w = 0; w < server->n_workers; w++)
			sum += worker_counter(server->workers[w], i);
		json_object_set_new(o, worker_counters[i].name,
				    json_integer((json_int_t)sum));
	}
	for (unsigned int w = 0; w < server->n_workers; w++)
		json_array_append_new(list, worker_json(server->workers[w]));
	json_object_set_new(o, "workers", list);
	api_reply(request, 200, o);
}

struct link_call {
	struct port *port;
	bool up;		/* what it shall be */
};

static void set_link(void *arg)
{
	struct link_call *call = arg;

	if (call->port->link_up == call->up)
		return;
	if (!call->up)
		vswitch_forget(call->port);
	port_set_link(call->port, call->up);
}

static void put_link(struct api_request *request)
{
	const struct nic_server *server = api_owner(request);
	struct link_call call = {
		.up = json_is_true(json_object_get(api_body(request), "up")),
	};

	for (unsigned int i = 0; i < server->n_ports; i++)
		if (!strcmp(server->ports[i].port->name, api_arg(request, 0)))
			call.port = server->ports[i].port;
	if (!call.port) {
		api_error(request, 404, "there is no port '%s'",
			  api_arg(request, 0));
		return;
	}
	worker_call(call.port->queues[0].worker, set_link, &call);
	api_reply(request, 200, json_pack("{s:s, s:b}", "name",
					  call.port->name, "link", call.up));
}

const struct api_route server_api_routes[] = {
	{ .method = "GET", .path = "/v1/ports", .handle = get_ports,
	  .help = "Every port: network, kind, worker, link, counters." },
	{ .method = "PUT", .path = "/v1/ports/NAME/link", .handle = put_link,
	  .help = "Pull or plug the cable of a port.",
	  .body = { { "up", JSON_TRUE, true, "plugged in?" } } },
	{ .method = "GET", .path = "/v1/networks", .handle = get_networks,
	  .help = "Every network and the ports on it." },
	{ .method = "GET", .path = "/v1/networks/NAME/macs",
	  .handle = get_macs, .help = "The addresses its switch has learnt." },
	{ .method = "GET", .path = "/v1/networks/NAME/verdicts",
	  .handle = get_verdicts,
	  .help = "How frames left its switch: one counter per verdict." },
	{ .method = "GET", .path = "/v1/worker", .handle = get_worker,
	  .help = "What the worker threads have done, summed and each." },
	{ 0 },
};

int server_api_start(const char *path, struct nic_server *server,
		     struct api **api)
{
	const struct api_config config = {
		.path = path,
		.routes = server_api_routes,
		.owner = server,
	};
	int ret = api_start(&config, api);

	if (ret < 0)
		log_err("cannot serve the API on %s: %s", path,
			strerror(-ret));
	return ret;
}
