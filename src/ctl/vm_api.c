/* SPDX-License-Identifier: Apache-2.0
 *
 * A machine's control API; see vm_api.h.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/time.h"
#include "ctl/vm_api.h"
#include "vmm/vm.h"

/* Names of exits, as JSON has them: in small letters. */
static json_t *exits_json(const struct vm_stats *stats)
{
	json_t *o = json_object();

	for (unsigned int i = 0; i < N_VM_EXITS; i++) {
		char name[32];
		size_t len = 0;

		for (const char *c = vm_exit_names[i];
		     *c && len < sizeof(name) - 1; c++)
			name[len++] = (char)tolower((unsigned char)*c);
		name[len] = '\0';
		json_object_set_new(o, name,
				    json_integer((json_int_t)stats->exits[i]));
	}
	return o;
}

static json_t *devices_json(const struct vm_stats *stats)
{
	json_t *o = json_object();

	for (unsigned int i = 0; i < stats->n_devs; i++)
		json_object_set_new(o, stats->dev[i].name, json_pack(
			"{s:I, s:I}",
			"reads", (json_int_t)stats->dev[i].n_reads,
			"writes", (json_int_t)stats->dev[i].n_writes));
	return o;
}

static json_t *kvm_json(const struct vm_stats *stats)
{
	json_t *o = json_object();

	for (unsigned int i = 0; i < stats->n_kvm; i++)
		json_object_set_new(o, stats->kvm[i].name,
			json_integer((json_int_t)stats->kvm[i].value));
	return o;
}

static void get_stats(struct api_request *request)
{
	struct vm_stats *stats = calloc(1, sizeof(*stats));
	json_t *reply;

	if (!stats) {
		api_reply(request, 500, NULL);
		return;
	}
	vm_stats(api_owner(request), stats);
	reply = json_pack("{s:s, s:s, s:i, s:I, s:I, s:i, s:i, s:I, s:o, s:o, s:o}",
		"name", stats->name,
		"state", stats->state,
		"vcpus", (int)stats->n_cpus,
		"memory_mib", (json_int_t)(stats->memory >> 20),
		"uptime_ms", (json_int_t)(stats->uptime_ns / NS_PER_MS),
		"nics", (int)stats->n_nics,
		"nics_gone", (int)stats->n_nics_gone,
		"resets", (json_int_t)stats->n_resets,
		"exits", exits_json(stats),
		"devices", devices_json(stats),
		"kvm", kvm_json(stats));
	free(stats);
	api_reply(request, 200, reply);
}

static void post_stop(struct api_request *request)
{
	vm_stop(api_owner(request));
	api_reply(request, 202, json_object());
}

static void post_power_button(struct api_request *request)
{
	vm_press_button(api_owner(request));
	api_reply(request, 202, json_object());
}

static void get_nics(struct api_request *request)
{
	struct vm_nic_info *info = calloc(VM_NICS_MAX, sizeof(*info));
	json_t *list = json_array();
	unsigned int n;

	if (!info) {
		json_decref(list);
		api_reply(request, 500, NULL);
		return;
	}
	n = vm_nics(api_owner(request), info, VM_NICS_MAX);
	for (unsigned int i = 0; i < n; i++)
		json_array_append_new(list, json_pack(
			"{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:b, s:b}",
			"id", info[i].id,
			"path", info[i].path,
			"where", info[i].where,
			"gone", info[i].gone,
			"lost_accesses", (json_int_t)info[i].lost,
			"late_writes", (json_int_t)info[i].late,
			"reconnects", (json_int_t)info[i].reconnects,
			"leaving", info[i].leaving,
			"pluggable", info[i].pluggable));
	free(info);
	api_reply(request, 200, json_pack("{s:o}", "nics", list));
}

static void refuse(struct api_request *request, int err,
		   const struct vm_error *error)
{
	unsigned int status;

	switch (err) {
	case -ENOENT:
		status = 404;
		break;
	case -EAGAIN:
	case -EBUSY:
	case -EEXIST:
	case -ENOSPC:
	case -EOPNOTSUPP:
		status = 409;
		break;
	default:
		status = 502;	/* what became of the connection */
		break;
	}
	api_error(request, status, "%s", error->text);
}

static void post_nics(struct api_request *request)
{
	json_t *body = api_body(request);
	json_int_t slot = json_integer_value(json_object_get(body, "slot"));
	struct vm_nic_config config = {
		.path = json_string_value(json_object_get(body, "path")),
		.id = json_string_value(json_object_get(body, "id")),
		.slot = (unsigned int)slot,
	};
	struct vm_error error;
	int err;

	if (slot < 0 || slot > VM_PORTS_MAX) {
		api_error(request, 400, "'slot' in the body: expected 1 to %d",
			  VM_PORTS_MAX);
		return;
	}
	if (config.id && !*config.id)
		config.id = NULL;
	err = vm_plug_nic(api_owner(request), &config, &error);
	/* 404 would be about the path of the request. */
	if (err)
		refuse(request, err == -ENOENT ? -ECONNREFUSED : err, &error);
	else
		api_reply(request, 200, json_object());
}

static void delete_nic(struct api_request *request)
{
	bool pull = json_is_true(json_object_get(api_body(request), "pull"));
	struct vm_error error;
	int err = vm_unplug_nic(api_owner(request), api_arg(request, 0), pull,
				&error);

	if (err)
		refuse(request, err, &error);
	else
		api_reply(request, 202, json_object());
}

const struct api_route vm_api_routes[] = {
	{ .method = "GET", .path = "/v1/stats", .handle = get_stats,
	  .help = "Exits by reason, accesses by device, KVM's own counters." },
	{ .method = "POST", .path = "/v1/stop", .handle = post_stop,
	  .help = "Pull the plug: the VMM ends in order." },
	{ .method = "POST", .path = "/v1/power-button",
	  .handle = post_power_button,
	  .help = "Press the power button: a guest that listens to it powers "
	  "itself off." },
	{ .method = "GET", .path = "/v1/nics", .handle = get_nics,
	  .help = "The network cards and where they are plugged in." },
	{ .method = "POST", .path = "/v1/nics", .handle = post_nics,
	  .help = "Plug a card into a root port (board pcie).",
	  .body = { { "path", JSON_STRING, true,
		      "vfio-user socket of its server" },
		    { "id", JSON_STRING, false, "what to call it" },
		    { "slot", JSON_INTEGER, false,
		      "number of the slot; else the next free one" } } },
	{ .method = "DELETE", .path = "/v1/nics/NAME", .handle = delete_nic,
	  .help = "Have a card out: it is once it is not listed any more.",
	  .body = { { "pull", JSON_TRUE, false,
		      "take it out at once; else ask the guest, which takes "
		      "some seconds" } } },
	{ 0 },
};

int vm_api_start(const char *path, struct vm *vm, struct api **api)
{
	const struct api_config config = {
		.path = path,
		.routes = vm_api_routes,
		.owner = vm,
	};
	int ret = api_start(&config, api);

	if (ret < 0)
		log_err("cannot serve the API on %s: %s", path,
			strerror(-ret));
	return ret;
}
