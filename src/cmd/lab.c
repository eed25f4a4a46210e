/* SPDX-License-Identifier: Apache-2.0
 *
 * `backplane lab`: what concerns lab files, and the supervisor that `up` puts
 * in the background.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/cli.h"
#include "cmd/cmd.h"
#include "ctl/lab_api.h"
#include "ctl/lab_config.h"
#include "ctl/rundir.h"
#include "ctl/server_api.h"
#include "ctl/supervisor.h"
#include "ctl/vm_api.h"

static void print_help(FILE *out)
{
	fputs("Usage: backplane lab validate [FILE]\n"
	      "       backplane lab schema\n"
	      "       backplane lab api\n\n"
	      "validate   check a lab file (default lab.yaml) and say what is "
	      "in it\n"
	      "schema     print every key of a lab file\n"
	      "api        print every request of the APIs of lab, NIC "
	      "server and machine\n\n"
	      "Options:\n"
	      "  -h, --help  this text\n\n"
	      "Example:\n"
	      "  backplane lab validate examples/demo.yaml\n", out);
}

static int validate(const char *file)
{
	struct lab_error error;
	struct lab *lab = lab_load(file, &error);

	if (!lab) {
		log_err("%s", error.text);
		return EXIT_ERROR;
	}
	printf("%s: lab '%s', %u machine%s, %u network%s\n", file, lab->name,
	       lab->n_machines, lab->n_machines == 1 ? "" : "s",
	       lab->n_networks, lab->n_networks == 1 ? "" : "s");
	lab_free(lab);
	return EXIT_OK;
}

/* Tell `up`, at the other end of the pipe, how it went. */
static void report(int fd, const char *text)
{
	size_t len = strlen(text);

	if (write(fd, text, len) != (ssize_t)len)
		log_warn("nobody waits for the lab to come up");
	close(fd);
}

static void started(void *arg, const char *failure)
{
	report(*(int *)arg, failure ? failure : "ok");
}

/* Leave the terminal: standard error becomes the lab's log. */
static int detach(const char *lab)
{
	char dir[RUNDIR_MAX], log[RUNDIR_MAX + 16];
	int null_fd, log_fd;

	if (rundir_path(lab, dir))
		return -ENAMETOOLONG;
	snprintf(log, sizeof(log), "%s/lab.log", dir);
	log_fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC,
		      0600);
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (log_fd < 0 || null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
	    dup2(log_fd, STDOUT_FILENO) < 0 || dup2(log_fd, STDERR_FILENO) < 0)
		return -errno;
	close(log_fd);
	close(null_fd);
	setsid();
	return 0;
}

/* The supervisor: `lab run FILE STATUS_FD`, started by `up` only. */
static int run(const char *file, int status_fd)
{
	struct lab_error error;
	struct lab *lab;
	int lock_fd, ret;

	fcntl(status_fd, F_SETFD, FD_CLOEXEC);
	lab = lab_load(file, &error);
	if (!lab) {
		report(status_fd, error.text);
		return EXIT_ERROR;
	}
	lock_fd = rundir_lock(lab->name);
	if (lock_fd < 0) {
		char text[512];

		snprintf(text, sizeof(text), "lab '%s': %s", lab->name,
			 lock_fd == -EWOULDBLOCK ? "is already up" :
			 strerror(-lock_fd));
		report(status_fd, text);
		lab_free(lab);
		return EXIT_ERROR;
	}
	/* Left over from a supervisor that was killed. */
	rundir_clean_stale(lab->name);
	ret = detach(lab->name);
	if (ret)
		report(status_fd, strerror(-ret));
	else
		ret = supervisor_run(lab, started, &status_fd);
	fd_close(&lock_fd);
	lab_free(lab);
	return ret ? EXIT_ERROR : EXIT_OK;
}

int cmd_lab(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *what;
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'h') {
			print_help(stdout);
			return EXIT_OK;
		}
		return cli_usage_hint("lab");
	}
	what = optind < argc ? argv[optind++] : "";
	if (!strcmp(what, "validate") && argc - optind <= 1)
		return validate(optind < argc ? argv[optind] : "lab.yaml");
	if (!strcmp(what, "schema") && argc == optind) {
		lab_schema_print(stdout);
		return EXIT_OK;
	}
	if (!strcmp(what, "api") && argc == optind) {
		puts("Lab (lab.sock):\n");
		api_print_routes(stdout, lab_api_routes);
		puts("\nNIC server (serve.sock):\n");
		api_print_routes(stdout, server_api_routes);
		puts("\nMachine (vm-NAME.sock):\n");
		api_print_routes(stdout, vm_api_routes);
		return EXIT_OK;
	}
	if (!strcmp(what, "run") && argc - optind == 2)
		return run(argv[optind], atoi(argv[optind + 1]));
	return cli_usage_hint("lab");
}
