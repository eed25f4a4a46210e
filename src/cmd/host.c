/* SPDX-License-Identifier: Apache-2.0
 *
 * `backplane host`: what this host can do.
 */
#include <getopt.h>
#include <stdio.h>

#include "base/log.h"
#include "cmd/cli.h"
#include "cmd/cmd.h"
#include "host/host.h"

static void print_help(FILE *out)
{
	fputs("Usage: backplane host [OPTIONS]\n\n"
	      "Tells what this host can do, the reason for each verdict, and "
	      "what Backplane\ndoes about it: hardware virtualization, KVM "
	      "(which runs a tiny guest), memory,\nnetworks, real devices.  "
	      "Then executes each sensitive instruction of x86 in\nuser mode "
	      "and says whether it traps.  Needs no privileges, changes "
	      "nothing.\n\n"
	      "Options:\n"
	      "      --json      for programs\n"
	      "  -h, --help      this text\n\n"
	      "Verdicts: yes; no; denied: there, but not for this user; "
	      "unknown.\n"
	      "Instructions: traps; emulated: traps, and the kernel answers "
	      "with made-up\nvalues; ignored: no trap, and not what it does "
	      "in ring 0; leaks: no trap, and\nshows the real machine.\n\n"
	      "Exit status: 0 if guests can run here, 1 if they cannot.\n",
	      out);
}

int cmd_host(int argc, char **argv)
{
	enum { OPT_JSON = 256 };
	static const struct option longs[] = {
		{ "json", no_argument, NULL, OPT_JSON },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	static struct host_report report;
	const struct host host = { .root = "" };
	bool as_json = false;
	json_t *json;
	int c;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'h') {
			print_help(stdout);
			return EXIT_OK;
		}
		if (c != OPT_JSON)
			return cli_usage_hint("host");
		as_json = true;
	}
	if (optind < argc)
		return cli_usage_hint("host");
	host_examine(&host, &report);
	if (as_json) {
		json = host_json(&report);
		if (!json) {
			log_err("out of memory");
			return EXIT_ERROR;
		}
		cli_print_json(json);
	} else {
		host_print(&report, stdout);
	}
	return host_can_run_guests(&report, NULL) ? EXIT_OK : EXIT_ERROR;
}
