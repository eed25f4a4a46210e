/* SPDX-License-Identifier: Apache-2.0
 *
 * The multi-call binary: picks the command and hands over.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "cmd/cmd.h"

struct command {
	const char *name;	/* as typed */
	const char *help;	/* one line; NULL: internal, not listed */
	int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
	{ "up", "start the lab of a file and wait until it is ready", cmd_up },
	{ "down", "stop a lab and leave nothing behind", cmd_down },
	{ "ps", "list labs and machines", cmd_ps },
	{ "exec", "run a command in a machine", cmd_exec },
	{ "console", "talk to a machine's serial console", cmd_console },
	{ "show", "ports, MAC tables, verdicts, exits", cmd_show },
	{ "link", "pull or plug the cable of a port", cmd_link },
	{ "attach", "plug network cards into a running machine", cmd_attach },
	{ "detach", "take network cards out of a running machine",
	  cmd_detach },
	{ "serve", "the NIC server: ports on a switch, for any VMM",
	  cmd_serve },
	{ "vm", "one virtual machine", cmd_vm },
	{ "host", "what this host can do, and why", cmd_host },
	{ "lab", NULL, cmd_lab },
};

static void print_usage(FILE *out)
{
	fputs("Usage: backplane COMMAND [ARGUMENTS]\n\n"
	      "Virtual machines, their network cards and the network between them.\n\n"
	      "Labs:\n", out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(commands[i].name, "serve"))
			fputs("\nParts:\n", out);
		if (commands[i].help)
			fprintf(out, "  %-9s %s\n", commands[i].name,
				commands[i].help);
	}
	fputs("\nbackplane COMMAND --help says more; so does man backplane.\n"
	      "BACKPLANE_DEBUG=1 in the environment shows debug messages.\n",
	      out);
}

int main(int argc, char **argv)
{
	const char *debug = getenv("BACKPLANE_DEBUG");

	if (debug && *debug && strcmp(debug, "0"))
		log_level = LOG_DEBUG;
	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help")) {
		print_usage(stdout);
		return EXIT_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("backplane " BACKPLANE_VERSION);
		return EXIT_OK;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr,
		"backplane: no command '%s'; backplane --help lists them\n",
		argv[1]);
	return EXIT_USAGE;
}
