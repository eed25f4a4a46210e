/* SPDX-License-Identifier: Apache-2.0
 *
 * `backplane show`: what a lab's server and machines count.  One row of the
 * table below per thing to be shown: how it is asked for, how it is printed.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cmd/cli.h"
#include "cmd/cmd.h"

static const char *number(json_t *object, const char *key)
{
	return cli_format("%lld", cli_number(object, key));
}

/* Of a port: its cable, unless it leads to nobody. */
static const char *link_text(json_t *port)
{
	const char *kind = cli_text(port, "kind");

	if (json_is_false(json_object_get(port, "connected")))
		return strcmp(kind, "stream") && strcmp(kind, "dgram") ?
		       "no guest" : "no peer";
	return json_is_true(json_object_get(port, "link")) ? "up" : "down";
}

static void print_ports(json_t *reply, const char *name unused)
{
	struct cli_table table = { .right = { [4] = true, [6] = true,
		[7] = true, [8] = true, [9] = true, [10] = true } };
	json_t *port;
	size_t i;

	cli_row(&table, "PORT", "NETWORK", "KIND", "MAC", "WORKER", "LINK",
		"TX-FRAMES", "TX-BYTES", "RX-FRAMES", "RX-BYTES", "RX-FULL", NULL);
	json_array_foreach(json_object_get(reply, "ports"), i, port) {
		json_t *counters = json_object_get(port, "counters");

		cli_row(&table, cli_text(port, "name"),
			cli_text(port, "network"), cli_text(port, "kind"),
			cli_text(port, "mac"), number(port, "worker"),
			link_text(port),
			number(counters, "tx_frames"),
			number(counters, "tx_bytes"),
			number(counters, "rx_frames"),
			number(counters, "rx_bytes"),
			number(counters, "rx_full"), NULL);
	}
	cli_print(&table);
}

/* A counter of a device by its name; 0: it has none such. */
static long long device_counter(json_t *device, const char *name)
{
	json_t *row;
	size_t i;

	json_array_foreach(device, i, row)
		if (!strcmp(cli_text(row, "counter"), name))
			return cli_number(row, "value");
	return 0;
}

static const char *quotient(long long value, long long by)
{
	return by ? cli_format("%.2f", (double)value / (double)by) : "-";
}

/* What has happened at least once, and how often for each frame and for each
 * interrupt: that is what packets cost. */
static void print_devices(json_t *reply, const char *name unused)
{
	struct cli_table table = { .right = { [3] = true, [4] = true,
		[5] = true } };
	json_t *port, *row;
	size_t i, j;

	cli_row(&table, "PORT", "KIND", "COUNTER", "VALUE", "A-FRAME",
		"AN-IRQ", "MEANING", NULL);
	json_array_foreach(json_object_get(reply, "ports"), i, port) {
		json_t *device = json_object_get(port, "device");
		json_t *counters = json_object_get(port, "counters");
		long long n_frames = cli_number(counters, "tx_frames") +
			cli_number(counters, "rx_frames");
		/* As an e1000 has it, or virtio-net. */
		long long n_irqs = device_counter(device, "interrupts") +
			device_counter(device, "calls");

		json_array_foreach(device, j, row) {
			long long value = cli_number(row, "value");

			if (value)
				cli_row(&table, cli_text(port, "name"),
					cli_text(port, "kind"),
					cli_text(row, "counter"),
					cli_format("%lld", value),
					quotient(value, n_frames),
					quotient(value, n_irqs),
					cli_text(row, "meaning"), NULL);
		}
	}
	cli_print(&table);
}

static void print_networks(json_t *reply, const char *name unused)
{
	struct cli_table table = { 0 };
	json_t *network, *port;
	size_t i, j;

	cli_row(&table, "NETWORK", "PORTS", NULL);
	json_array_foreach(json_object_get(reply, "networks"), i, network) {
		char ports[200] = "";
		size_t len = 0;

		json_array_foreach(json_object_get(network, "ports"), j, port)
			if (len < sizeof(ports))
				len += (size_t)snprintf(ports + len,
					sizeof(ports) - len, "%s%s",
					j ? " " : "", json_string_value(port));
		cli_row(&table, cli_text(network, "name"), ports, NULL);
	}
	cli_print(&table);
}

static void print_macs(json_t *reply, const char *name)
{
	struct cli_table table = { .right = { [3] = true } };
	json_t *mac;
	size_t i;

	cli_row(&table, "NETWORK", "MAC", "PORT", "SEEN", NULL);
	json_array_foreach(json_object_get(reply, "macs"), i, mac)
		cli_row(&table, name, cli_text(mac, "mac"),
			cli_text(mac, "port"),
			cli_format("%s ago", cli_duration(
				(double)cli_number(mac, "age_ms") / 1000)),
			NULL);
	cli_print(&table);
}

static void print_verdicts(json_t *reply, const char *name)
{
	struct cli_table table = { .right = { [2] = true } };
	json_t *verdict;
	size_t i;

	cli_row(&table, "NETWORK", "VERDICT", "FRAMES", "MEANING", NULL);
	json_array_foreach(json_object_get(reply, "verdicts"), i, verdict)
		cli_row(&table, name, cli_text(verdict, "verdict"),
			number(verdict, "frames"),
			cli_text(verdict, "meaning"), NULL);
	cli_print(&table);
}

static void print_nics(json_t *reply, const char *name unused)
{
	struct cli_table table = { 0 };
	json_t *nic;
	size_t i;

	cli_row(&table, "NIC", "PLACE", "STATE", "SOCKET", NULL);
	json_array_foreach(json_object_get(reply, "nics"), i, nic)
		cli_row(&table, cli_text(nic, "id"), cli_text(nic, "where"),
			json_is_true(json_object_get(nic, "gone")) ?
			"no server" :
			json_is_true(json_object_get(nic, "leaving")) ?
			"asked to go" : "plugged in",
			cli_text(nic, "path"), NULL);
	cli_print(&table);
}

/* Add a row per number, under the path of its keys. */
static void add_numbers(struct cli_table *table, const char *prefix,
			json_t *json)
{
	const char *key;
	json_t *value;

	json_object_foreach(json, key, value) {
		char path[160];

		snprintf(path, sizeof(path), "%.80s%s%.70s", prefix,
			 *prefix ? "." : "", key);
		if (json_is_object(value))
			add_numbers(table, path, value);
		else if (json_is_integer(value))
			cli_row(table, path, cli_format("%lld",
				json_integer_value(value)), NULL);
		else if (json_is_real(value))
			cli_row(table, path, cli_format("%.3f",
				json_real_value(value)), NULL);
		else if (json_is_string(value))
			cli_row(table, path, json_string_value(value), NULL);
	}
}

static void print_numbers(json_t *reply, const char *name unused)
{
	struct cli_table table = { .right = { [1] = true } };

	cli_row(&table, "COUNTER", "VALUE", NULL);
	add_numbers(&table, "", reply);
	cli_print(&table);
}

static void print_workers(json_t *reply, const char *name unused)
{
	struct cli_table table = { .right = { [1] = true, [2] = true,
		[3] = true, [4] = true, [5] = true, [6] = true } };
	json_t *worker;
	size_t i;

	cli_row(&table, "WORKER", "CPU", "ROUNDS", "BUSY-ROUNDS", "SLEEPS",
		"WAKEUPS", "TIMER-WAKEUPS", NULL);
	json_array_foreach(json_object_get(reply, "workers"), i, worker)
		cli_row(&table, cli_format("%zu", i),
			json_object_get(worker, "cpu") ?
			number(worker, "cpu") : "any",
			number(worker, "rounds"),
			number(worker, "busy_rounds"),
			number(worker, "sleeps"), number(worker, "wakeups"),
			number(worker, "timer_wakeups"), NULL);
	cli_print(&table);
}

/* What an argument of `show X` names, if it takes one. */
enum subject { OF_NOTHING, OF_NETWORK, OF_MACHINE };

static const struct view {
	const char *name;	/* as typed */
	enum subject subject;	/* without a name: each of them in turn */
	const char *path;	/* "%s": the name */
	void (*print)(json_t *reply, const char *name);
	const char *help;	/* one line */
} views[] = {
	{ "ports", OF_NOTHING, "/v1/ports", print_ports,
	  "ports: network, worker, link, frames and bytes" },
	{ "devices", OF_NOTHING, "/v1/ports", print_devices,
	  "what NICs count: doorbells, interrupts, drops and so on" },
	{ "networks", OF_NOTHING, "/v1/networks", print_networks,
	  "networks and the ports on them" },
	{ "macs", OF_NETWORK, "/v1/networks/%s/macs", print_macs,
	  "addresses that a network's switch has learnt" },
	{ "verdicts", OF_NETWORK, "/v1/networks/%s/verdicts", print_verdicts,
	  "how frames left a network's switch" },
	{ "stats", OF_MACHINE, "/v1/machines/%s/stats", print_numbers,
	  "a machine's exits, by reason and by device" },
	{ "nics", OF_MACHINE, "/v1/machines/%s/nics", print_nics,
	  "network cards and where they are plugged in" },
	{ "worker", OF_NOTHING, "/v1/worker", print_workers,
	  "rounds, sleeps and wakeups of the server's workers" },
};

static void print_help(FILE *out)
{
	fputs("Usage: backplane show [OPTIONS] WHAT [NAME]\n\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(views); i++)
		fprintf(out, "  %-8s %-10s %s\n", views[i].name,
			views[i].subject == OF_NETWORK ? "[NETWORK]" :
			views[i].subject == OF_MACHINE ? "[MACHINE]" : "",
			views[i].help);
	fputs("\nFrom a guest's point of view: TX is what it sends.\n\n"
	      "Options:\n"
	      "      --lab NAME  of which lab (default: the only one)\n"
	      "      --json      what the API says\n"
	      "  -h, --help      this text\n\n"
	      "Examples:\n"
	      "  backplane show ports\n"
	      "  backplane show macs lan --json\n", out);
}

static bool show_one(const struct cli_lab *lab, const struct view *view,
		     const char *name, bool as_json)
{
	char path[256];
	json_t *reply;

	snprintf(path, sizeof(path), "%s", view->path);
	if (view->subject != OF_NOTHING)
		snprintf(path, sizeof(path), "%.*s%.64s%s",
			 (int)strcspn(view->path, "%"), view->path, name,
			 strchr(view->path, '%') + 2);
	reply = cli_ask(lab, "GET", path, NULL);
	if (!reply)
		return false;
	if (as_json) {
		/* Replies about one of several say which. */
		if (view->subject != OF_NOTHING)
			json_object_set_new(reply, view->subject == OF_NETWORK ?
					    "network" : "machine",
					    json_string(name));
		cli_print_json(reply);
		return true;
	}
	if (view->subject == OF_MACHINE)
		printf("%s:\n", name);
	view->print(reply, name);
	json_decref(reply);
	return true;
}

/* Every network or machine in turn. */
static bool show_all(const struct cli_lab *lab, const struct view *view,
		     bool as_json)
{
	bool of_network = view->subject == OF_NETWORK;
	json_t *reply, *item;
	bool ok = true;
	size_t i;

	reply = cli_ask(lab, "GET", of_network ? "/v1/networks" : "/v1/lab",
			NULL);
	if (!reply)
		return false;
	json_array_foreach(json_object_get(reply, of_network ? "networks" :
					   "machines"), i, item)
		ok = show_one(lab, view, cli_text(item, "name"), as_json) && ok;
	json_decref(reply);
	return ok;
}

int cmd_show(int argc, char **argv)
{
	enum { OPT_LAB = 256, OPT_JSON };
	static const struct option longs[] = {
		{ "lab", required_argument, NULL, OPT_LAB },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *wanted = NULL, *name = NULL;
	const struct view *view = NULL;
	bool as_json = false;
	struct cli_lab lab;
	bool ok;
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'h') {
			print_help(stdout);
			return EXIT_OK;
		}
		if (c == OPT_LAB)
			wanted = optarg;
		else if (c == OPT_JSON)
			as_json = true;
		else
			return cli_usage_hint("show");
	}
	for (size_t i = 0; optind < argc && i < ARRAY_SIZE(views); i++)
		if (!strcmp(views[i].name, argv[optind]))
			view = &views[i];
	if (!view)
		return cli_usage_hint("show");
	optind++;
	if (optind < argc && view->subject != OF_NOTHING)
		name = argv[optind++];
	if (optind < argc)
		return cli_usage_hint("show");
	client_init();
	if ((name && !cli_name_ok(name)) || !cli_find_lab(wanted, &lab))
		return EXIT_ERROR;
	ok = name || view->subject == OF_NOTHING ?
	     show_one(&lab, view, name, as_json) :
	     show_all(&lab, view, as_json);
	return ok ? EXIT_OK : EXIT_ERROR;
}
