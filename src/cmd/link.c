/* SPDX-License-Identifier: Apache-2.0
 *
 * `backplane link`: pulls or plugs the cable of a port.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cli.h"
#include "cmd/cmd.h"

static void print_help(FILE *out)
{
	fputs("Usage: backplane link [OPTIONS] PORT up|down\n\n"
	      "Plugs in or pulls the cable of a port, as guest and switch see "
	      "it.  The port of\na machine's NIC is called MACHINE.N; "
	      "`backplane show ports` lists all.\n\n"
	      "Options:\n"
	      "      --lab NAME  of which lab (default: the only one)\n"
	      "  -h, --help      this text\n\n"
	      "Example:\n"
	      "  backplane link alice.0 down\n", out);
}

int cmd_link(int argc, char **argv)
{
	enum { OPT_LAB = 256 };
	static const struct option longs[] = {
		{ "lab", required_argument, NULL, OPT_LAB },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *wanted = NULL;
	struct cli_lab lab;
	json_t *body, *reply;
	char path[256];
	bool up;
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'h') {
			print_help(stdout);
			return EXIT_OK;
		}
		if (c != OPT_LAB)
			return cli_usage_hint("link");
		wanted = optarg;
	}
	if (optind != argc - 2)
		return cli_usage_hint("link");
	up = !strcmp(argv[optind + 1], "up");
	if (!up && strcmp(argv[optind + 1], "down"))
		return cli_usage_hint("link");
	client_init();
	if (!cli_name_ok(argv[optind]) || !cli_find_lab(wanted, &lab))
		return EXIT_ERROR;
	snprintf(path, sizeof(path), "/v1/ports/%.200s/link", argv[optind]);
	body = json_pack("{s:b}", "up", up);
	reply = cli_ask(&lab, "PUT", path, body);
	json_decref(body);
	json_decref(reply);
	return reply ? EXIT_OK : EXIT_ERROR;
}
