/* SPDX-License-Identifier: Apache-2.0
 *
 * `backplane down`: stops a lab and leaves nothing behind.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "cmd/cmd.h"
#include "cmd/lab_down.h"
#include "ctl/rundir.h"

/* A machine has at most 18 s for its three ways to end, the server 3 s. */
enum { DOWN_TIMEOUT_S = 60 };

static void print_help(FILE *out)
{
	fputs("Usage: backplane down [OPTIONS] [NAME|FILE]\n\n"
	      "Stops every machine of a lab, then its NIC server, and removes "
	      "their sockets and\nlogs.  A guest is told to power off by its "
	      "agent, or where there is none by the\npower button; after 10 "
	      "seconds it is ended.  The lab is named by its name or its\nfile; "
	      "without either it is the only one that is up.\n\n"
	      "Options:\n"
	      "      --keep-logs  leave the logs in the runtime folder\n"
	      "      --lab NAME   the same as NAME\n"
	      "  -h, --help       this text\n\n"
	      "Examples:\n"
	      "  backplane down\n"
	      "  backplane down --keep-logs demo\n", out);
}

/* Say which machines have ended since the last look. */
static void say_ended(json_t *lab, uint64_t *said)
{
	json_t *machine;
	size_t i;

	json_array_foreach(json_object_get(lab, "machines"), i, machine) {
		if (json_object_get(machine, "pid") || *said & BIT64(i))
			continue;
		*said |= BIT64(i);
		printf("%s: %s\n", cli_text(machine, "name"),
		       cli_text(machine, "state"));
		fflush(stdout);
	}
}

bool lab_down(const struct cli_lab *lab, bool keep_logs, bool say)
{
	const struct timespec pause = { .tv_nsec = 50 * NS_PER_MS };
	uint64_t end_ns = time_now_ns() + DOWN_TIMEOUT_S * NS_PER_S;
	json_t *body = json_pack("{s:b}", "keep_logs", keep_logs);
	uint64_t said = 0;
	struct reply reply;
	bool ok;

	ok = client_request(lab->socket, "POST", "/v1/lab/down", body, 20000,
			    &reply);
	json_decref(body);
	/* It may have gone down by itself at this very moment. */
	if (!ok && rundir_is_up(lab->name))
		log_err("%s", reply.error);
	reply_clear(&reply);
	while (rundir_is_up(lab->name) && time_now_ns() < end_ns) {
		if (client_request(lab->socket, "GET", "/v1/lab", NULL, 2000,
				   &reply) && say)
			say_ended(reply.body, &said);
		reply_clear(&reply);
		nanosleep(&pause, NULL);
	}
	if (rundir_is_up(lab->name)) {
		log_err("lab '%s' did not go down within %d s", lab->name,
			DOWN_TIMEOUT_S);
		return false;
	}
	if (say)
		printf("lab '%s' is down\n", lab->name);
	return true;
}

/* The name that an argument means; false: it was a bad file. */
static bool name_of(const char *arg, char name[LAB_NAME_MAX])
{
	const char *dot = strrchr(arg, '.');
	struct lab_error error;
	struct lab *lab;

	if (!strchr(arg, '/') && (!dot || (strcmp(dot, ".yaml") &&
					   strcmp(dot, ".yml")))) {
		if (!lab_name_ok(arg)) {
			log_err("'%s' cannot be a lab's name", arg);
			return false;
		}
		strcpy(name, arg);
		return true;
	}
	lab = lab_load(arg, &error);
	if (!lab) {
		log_err("%s", error.text);
		return false;
	}
	strcpy(name, lab->name);
	lab_free(lab);
	return true;
}

/* What a killed supervisor left; was there anything? */
static bool clean_up_after(const char *name)
{
	char dir[RUNDIR_MAX];
	int fd;

	if (rundir_path(name, dir) || access(dir, F_OK))
		return false;
	fd = rundir_lock(name);
	if (fd < 0)
		return false;
	rundir_clean(name, false);
	fd_close(&fd);
	printf("lab '%s' was not up; removed what was left of it\n", name);
	return true;
}

int cmd_down(int argc, char **argv)
{
	enum { OPT_KEEP_LOGS = 256, OPT_LAB };
	static const struct option longs[] = {
		{ "keep-logs", no_argument, NULL, OPT_KEEP_LOGS },
		{ "lab", required_argument, NULL, OPT_LAB },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *arg = NULL;
	char name[LAB_NAME_MAX];
	bool keep_logs = false;
	struct cli_lab lab;
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'h') {
			print_help(stdout);
			return EXIT_OK;
		}
		if (c == OPT_KEEP_LOGS)
			keep_logs = true;
		else if (c == OPT_LAB)
			arg = optarg;
		else
			return cli_usage_hint("down");
	}
	if (optind < argc)
		arg = argv[optind++];
	if (optind < argc)
		return cli_usage_hint("down");
	client_init();
	if (arg && !name_of(arg, name))
		return EXIT_ERROR;
	if (arg && !rundir_is_up(name) && clean_up_after(name))
		return EXIT_OK;
	if (!cli_find_lab(arg ? name : NULL, &lab))
		return EXIT_ERROR;
	return lab_down(&lab, keep_logs, true) ? EXIT_OK : EXIT_ERROR;
}
