/* SPDX-License-Identifier: Apache-2.0
 *
 * `backplane ps`: the labs that are up, and their machines.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cmd/cli.h"
#include "cmd/cmd.h"
#include "ctl/rundir.h"

enum { LABS_MAX = 64 };

static void print_help(FILE *out)
{
	fputs("Usage: backplane ps [OPTIONS]\n\n"
	      "Lists the machines of every lab that is up: state, size, NICs, "
	      "process.\n\n"
	      "Options:\n"
	      "      --lab NAME  only this lab\n"
	      "      --json      what the API says, as a list of labs\n"
	      "  -h, --help      this text\n\n"
	      "States: starting, booting (the guest's agent has not reported "
	      "yet), ready,\nstopping, stopped, dead.\n", out);
}

static const char *nics_text(json_t *machine)
{
	char text[256] = "";
	size_t len = 0, i;
	json_t *nic;

	json_array_foreach(json_object_get(machine, "nics"), i, nic) {
		json_t *first = json_array_get(
			json_object_get(nic, "addresses"), 0);

		if (len < sizeof(text))
			len += (size_t)snprintf(text + len, sizeof(text) - len,
				"%s%s:%s", i ? " " : "",
				cli_text(nic, "network"),
				first ? json_string_value(first) :
				cli_text(nic, "mac"));
	}
	return cli_format("%s", *text ? text : "-");
}

static void add_machine(struct cli_table *table, json_t *lab, json_t *machine)
{
	json_t *uptime = json_object_get(machine, "uptime_s");
	json_t *pid = json_object_get(machine, "pid");

	cli_row(table, cli_text(lab, "name"), cli_text(machine, "name"),
		cli_text(machine, "state"),
		cli_format("%lld", cli_number(machine, "vcpus")),
		cli_format("%lldM", cli_number(machine, "memory_mib")),
		uptime ? cli_duration(json_real_value(uptime)) : "-",
		pid ? cli_format("%lld", json_integer_value(pid)) : "-",
		nics_text(machine), cli_format("%.200s",
			json_object_get(machine, "reason") ?
			cli_text(machine, "reason") : ""), NULL);
}

static void print_tables(json_t *labs)
{
	struct cli_table table = { .right = { [3] = true, [4] = true,
					      [5] = true, [6] = true } };
	json_t *lab, *machine, *server;
	size_t i, j;

	cli_row(&table, "LAB", "MACHINE", "STATE", "VCPUS", "MEMORY", "UPTIME",
		"PID", "NICS", "REASON", NULL);
	json_array_foreach(labs, i, lab)
		json_array_foreach(json_object_get(lab, "machines"), j, machine)
			add_machine(&table, lab, machine);
	cli_print(&table);
	json_array_foreach(labs, i, lab) {
		server = json_object_get(lab, "server");
		if (!strcmp(cli_text(server, "state"), "dead"))
			printf("NIC server of %s is dead: %s\n",
			       cli_text(lab, "name"),
			       cli_text(server, "reason"));
	}
}

/* Every lab's own words, or those of one; NULL: a message was printed. */
static json_t *ask_labs(const char *wanted)
{
	char names[LABS_MAX][LAB_NAME_MAX];
	json_t *labs = json_array();
	struct cli_lab lab;
	unsigned int n = 1;

	if (!wanted)
		n = rundir_list(names, LABS_MAX);
	for (unsigned int i = 0; i < n; i++) {
		json_t *one = cli_find_lab(wanted ? wanted : names[i], &lab) ?
			      cli_get(&lab, "/v1/lab") : NULL;

		if (one)
			json_array_append_new(labs, one);
		else if (wanted) {
			json_decref(labs);
			return NULL;
		}
	}
	return labs;
}

int cmd_ps(int argc, char **argv)
{
	enum { OPT_LAB = 256, OPT_JSON };
	static const struct option longs[] = {
		{ "lab", required_argument, NULL, OPT_LAB },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *wanted = NULL;
	bool as_json = false;
	json_t *labs;
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
			return cli_usage_hint("ps");
	}
	if (optind < argc)
		return cli_usage_hint("ps");
	client_init();
	labs = ask_labs(wanted);
	if (!labs)
		return EXIT_ERROR;
	if (as_json) {
		cli_print_json(labs);
		return EXIT_OK;
	}
	if (json_array_size(labs))
		print_tables(labs);
	else
		puts("no lab is up");
	json_decref(labs);
	return EXIT_OK;
}
