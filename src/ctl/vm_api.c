/* SPDX-License-Identifier: Apache-2.0
 *
 * A machine's control API; see vm_api.h.
 */
#include <ctype.h>
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

const struct api_route vm_api_routes[] = {
	{ .method = "GET", .path = "/v1/stats", .handle = get_stats,
	  .help = "Exits by reason, accesses by device, KVM's own counters." },
	{ .method = "POST", .path = "/v1/stop", .handle = post_stop,
	  .help = "Pull the plug: the VMM ends in order." },
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
