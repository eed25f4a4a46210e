/* SPDX-License-Identifier: Apache-2.0
 *
 * `backplane attach` and `backplane detach`: plug network cards into a running
 * machine, and take them out.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "cmd/cli.h"
#include "cmd/cmd.h"

enum {
	WAIT_MS = 30000,	/* a guest takes its five seconds and more */
	POLL_MS = 100,
	PATH_MAX_LEN = 256,
};

static void print_attach_help(FILE *out)
{
	fputs("Usage: backplane attach [OPTIONS] MACHINE NIC...\n\n"
	      "Plugs network cards into a machine with the board pcie while it "
	      "runs.  A NIC is\none that the lab file has for the machine "
	      "(MACHINE.N, or just N; `plugged: no`\nkeeps it out at the "
	      "start), or the absolute path of any vfio-user socket.\n\n"
	      "Options:\n"
	      "      --lab NAME  of which lab (default: the only one)\n"
	      "  -h, --help      this text\n\n"
	      "Example:\n"
	      "  backplane attach alice 1\n", out);
}

static void print_detach_help(FILE *out)
{
	fputs("Usage: backplane detach [OPTIONS] MACHINE NIC...\n\n"
	      "Takes network cards out of a running machine: asks the guest, "
	      "which lets five\nseconds pass, and waits until it has let go.  "
	      "A NIC is named as for attach; one\nthat came by a path, as `show "
	      "nics` has it.\n\n"
	      "Options:\n"
	      "      --pull      take it out at once, without asking\n"
	      "      --no-wait   do not wait for the guest\n"
	      "      --lab NAME  of which lab (default: the only one)\n"
	      "  -h, --help      this text\n\n"
	      "Example:\n"
	      "  backplane detach alice 1\n", out);
}

struct options {
	const char *lab;	/* --lab; NULL: the only one */
	bool pull;		/* --pull */
	bool no_wait;		/* --no-wait */
};

/* Return: -1 to go on, or an exit status. */
static int parse(int argc, char **argv, const char *command, bool detach,
		 struct options *o)
{
	enum { OPT_LAB = 256, OPT_PULL, OPT_NO_WAIT };
	static const struct option longs[] = {
		{ "lab", required_argument, NULL, OPT_LAB },
		{ "help", no_argument, NULL, 'h' },
		{ "pull", no_argument, NULL, OPT_PULL },
		{ "no-wait", no_argument, NULL, OPT_NO_WAIT },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'h') {
			(detach ? print_detach_help : print_attach_help)(
				stdout);
			return EXIT_OK;
		}
		if (c == OPT_LAB)
			o->lab = optarg;
		else if (c == OPT_PULL && detach)
			o->pull = true;
		else if (c == OPT_NO_WAIT && detach)
			o->no_wait = true;
		else
			return cli_usage_hint(command);
	}
	return argc - optind >= 2 ? -1 : cli_usage_hint(command);
}

static bool attach(const struct cli_lab *lab, const char *machine,
		   const char *nic)
{
	json_t *body = json_pack("{s:s}", "nic", nic);
	char path[PATH_MAX_LEN];
	json_t *reply;

	snprintf(path, sizeof(path), "/v1/machines/%.64s/nics", machine);
	reply = cli_ask(lab, "POST", path, body);
	json_decref(body);
	json_decref(reply);
	return reply;
}

/* Is a card of that name, or with that number, still in the machine? */
static bool listed(json_t *nics, const char *machine, const char *nic)
{
	char full[2 * LAB_NAME_MAX];
	json_t *one;
	size_t i;

	snprintf(full, sizeof(full), "%.31s.%.31s", machine, nic);
	json_array_foreach(nics, i, one)
		if (!strcmp(cli_text(one, "id"), nic) ||
		    !strcmp(cli_text(one, "id"), full))
			return true;
	return false;
}

static bool wait_gone(const struct cli_lab *lab, const char *machine,
		      const char *nic)
{
	for (int left = WAIT_MS; left > 0; left -= POLL_MS) {
		json_t *reply = cli_get(lab, "/v1/machines/%.64s/nics",
					machine);
		bool there;

		if (!reply)
			return false;
		there = listed(json_object_get(reply, "nics"), machine, nic);
		json_decref(reply);
		if (!there)
			return true;
		usleep(POLL_MS * 1000);
	}
	fprintf(stderr, "backplane: the guest of %s does not let go of %s; "
		"detach --pull takes it out all the same\n", machine, nic);
	return false;
}

static bool detach(const struct cli_lab *lab, const char *machine,
		   const char *nic, const struct options *o)
{
	json_t *body = json_pack("{s:b}", "pull", o->pull);
	char path[PATH_MAX_LEN];
	json_t *reply;

	snprintf(path, sizeof(path), "/v1/machines/%.64s/nics/%.64s", machine,
		 nic);
	reply = cli_ask(lab, "DELETE", path, body);
	json_decref(body);
	json_decref(reply);
	return reply && (o->no_wait || wait_gone(lab, machine, nic));
}

static int run(int argc, char **argv, const char *command, bool detaching)
{
	struct options o = { .lab = NULL };
	int status = parse(argc, argv, command, detaching, &o);
	const char *machine;
	struct cli_lab lab;

	if (status >= 0)
		return status;
	machine = argv[optind++];
	client_init();
	if (!cli_name_ok(machine) || !cli_find_lab(o.lab, &lab))
		return EXIT_ERROR;
	for (int i = optind; i < argc; i++) {
		if (detaching && !cli_name_ok(argv[i]))
			return EXIT_ERROR;
		if (detaching ? !detach(&lab, machine, argv[i], &o) :
				!attach(&lab, machine, argv[i]))
			return EXIT_ERROR;
	}
	return EXIT_OK;
}

int cmd_attach(int argc, char **argv)
{
	return run(argc, argv, "attach", false);
}

int cmd_detach(int argc, char **argv)
{
	return run(argc, argv, "detach", true);
}
