/* SPDX-License-Identifier: Apache-2.0
 *
 * `backplane up`: puts a lab's supervisor in the background and follows its
 * machines until they are ready.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "cmd/cli.h"
#include "cmd/cmd.h"
#include "cmd/lab_down.h"
#include "ctl/lab_api.h"
#include "ctl/rundir.h"

struct up_options {
	const char *file;	/* the lab file */
	bool wait;		/* until all machines are ready */
	bool foreground;	/* until Ctrl-C */
	unsigned int timeout_s;	/* for being ready; 0: none */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number unused)
{
	interrupted = 1;
}

static void print_help(FILE *out)
{
	fputs("Usage: backplane up [OPTIONS] [FILE]\n\n"
	      "Starts the lab of a file (default lab.yaml) and waits until "
	      "every machine is\nready to run commands.  Ctrl-C in the meantime "
	      "takes everything down again.\n\n"
	      "Options:\n"
	      "      --no-wait      return as soon as the lab is being started\n"
	      "      --timeout S    give up after so many seconds, and take it "
	      "down\n"
	      "      --foreground   stay until Ctrl-C, then take it down\n"
	      "  -h, --help         this text\n\n"
	      "Exit status: 0 if every machine is ready (with --no-wait: is "
	      "being started),\n1 otherwise.\n\n"
	      "Examples:\n"
	      "  backplane up examples/demo.yaml\n"
	      "  backplane exec alice -- ping -c 3 10.0.0.2\n"
	      "  backplane down\n", out);
}

/* Return: 0, or the exit status plus one where the program ends here. */
static int parse_options(int argc, char **argv, struct up_options *o)
{
	enum { OPT_NO_WAIT = 256, OPT_TIMEOUT, OPT_FOREGROUND };
	static const struct option longs[] = {
		{ "no-wait", no_argument, NULL, OPT_NO_WAIT },
		{ "timeout", required_argument, NULL, OPT_TIMEOUT },
		{ "foreground", no_argument, NULL, OPT_FOREGROUND },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned long n;
	char *end;
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (c) {
		case OPT_NO_WAIT:
			o->wait = false;
			break;
		case OPT_TIMEOUT:
			n = strtoul(optarg, &end, 10);
			if (end == optarg || *end || n < 1 || n > 86400) {
				log_err("--timeout %s: expected seconds, 1 to 86400",
					optarg);
				return 1 + EXIT_USAGE;
			}
			o->timeout_s = (unsigned int)n;
			break;
		case OPT_FOREGROUND:
			o->foreground = true;
			break;
		case 'h':
			print_help(stdout);
			return 1 + EXIT_OK;
		default:
			return 1 + cli_usage_hint("up");
		}
	}
	if (optind < argc)
		o->file = argv[optind++];
	return optind < argc ? 1 + cli_usage_hint("up") : 0;
}

/* In the new process: become the supervisor. */
static void become_supervisor(const char *file, int status_fd)
{
	char fd_text[12];
	char *argv[] = {
		(char *)"backplane", (char *)"lab", (char *)"run",
		(char *)file, fd_text, NULL,
	};

	snprintf(fd_text, sizeof(fd_text), "%d", status_fd);
	fcntl(status_fd, F_SETFD, 0);
	execv("/proc/self/exe", argv);
	dprintf(status_fd, "cannot start the supervisor: %s", strerror(errno));
	_exit(EXIT_ERROR);
}

/* Start it and wait for its first word; false: it was an error, printed. */
static bool start_supervisor(const char *file)
{
	char text[8192];
	size_t len = 0;
	int fds[2];
	ssize_t n;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC)) {
		log_err("pipe: %s", strerror(errno));
		return false;
	}
	pid = fork();
	if (!pid)
		become_supervisor(file, fds[1]);
	fd_close(&fds[1]);
	if (pid < 0) {
		log_err("fork: %s", strerror(errno));
		fd_close(&fds[0]);
		return false;
	}
	/* A Ctrl-C in these milliseconds is looked at right after. */
	while (len < sizeof(text) - 1 &&
	       ((n = read(fds[0], text + len, sizeof(text) - 1 - len)) > 0 ||
		(n < 0 && errno == EINTR)))
		len += n > 0 ? (size_t)n : 0;
	text[len] = '\0';
	fd_close(&fds[0]);
	if (!strcmp(text, "ok"))
		return true;
	waitpid(pid, NULL, 0);
	log_err("%s", len ? text : "the supervisor ended without a word");
	return false;
}

/* What was last said about each machine. */
struct progress {
	const struct lab *lab;		/* whose */
	char (*said)[16];		/* state, one per machine */
	bool server_said;		/* that the NIC server is dead */
	unsigned int n_ready, n_over;	/* machines ready; dead or stopped */
};

static void say_machine(struct progress *p, unsigned int i, json_t *machine)
{
	const char *state = cli_text(machine, "state");
	const char *name = cli_text(machine, "name");

	if (!strcmp(state, "ready"))
		p->n_ready++;
	if (!strcmp(state, "dead"))
		p->n_over++;
	/* Before its first start a machine is "stopped", for no reason. */
	if (!strcmp(state, "stopped") && json_object_get(machine, "reason"))
		p->n_over++;
	else if (!strcmp(state, "stopped"))
		return;
	if (!strcmp(p->said[i], state))
		return;
	p->said[i][0] = '\0';
	strncat(p->said[i], state, sizeof(p->said[i]) - 1);
	if (!strcmp(state, "ready"))
		printf("%s: ready after %.1f s\n", name,
		       json_real_value(json_object_get(machine,
						       "ready_after_s")));
	else if (json_object_get(machine, "reason"))
		printf("%s: %s: %s\n", name, state,
		       cli_text(machine, "reason"));
	else
		printf("%s: %s\n", name, state);
	fflush(stdout);
}

/* Ask and print what is new; false: the supervisor has gone. */
static bool look(const struct cli_lab *cli, struct progress *p)
{
	json_t *lab, *server, *machine;
	struct reply reply;
	size_t i;

	if (!client_request(cli->socket, "GET", "/v1/lab", NULL, 20000,
			    &reply)) {
		log_err("the supervisor has gone: %s", reply.error);
		reply_clear(&reply);
		return false;
	}
	lab = reply.body;
	server = json_object_get(lab, "server");
	if (!strcmp(cli_text(server, "state"), "dead") && !p->server_said) {
		p->server_said = true;
		printf("NIC server: dead: %s\n", cli_text(server, "reason"));
	}
	p->n_ready = p->n_over = 0;
	json_array_foreach(json_object_get(lab, "machines"), i, machine)
		if (i < p->lab->n_machines)
			say_machine(p, (unsigned int)i, machine);
	reply_clear(&reply);
	return true;
}

static void pause_ms(long ms)
{
	const struct timespec t = { .tv_sec = ms / 1000,
				    .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* Take down what did not come up. */
static int give_up(const struct cli_lab *cli, const char *why)
{
	log_err("%s; taking lab '%s' down", why, cli->name);
	lab_down(cli, false, false);
	return EXIT_ERROR;
}

/* Follow the machines until they are all ready; the exit status. */
static int follow(const struct cli_lab *cli, struct progress *p,
		  const struct up_options *o)
{
	uint64_t end_ns = time_now_ns() + o->timeout_s * NS_PER_S;

	for (;;) {
		if (!look(cli, p))
			return EXIT_ERROR;
		if (interrupted)
			return give_up(cli, "interrupted");
		if (p->n_over == p->lab->n_machines)
			return give_up(cli, "no machine came up");
		if (p->n_ready + p->n_over == p->lab->n_machines)
			break;
		if (o->timeout_s && time_now_ns() > end_ns)
			return give_up(cli, "not every machine was ready in time");
		pause_ms(100);
	}
	if (p->n_over) {
		log_err("%u of %u machines did not come up; lab '%s' stays up without them",
			p->n_over, p->lab->n_machines, cli->name);
		return EXIT_ERROR;
	}
	printf("lab '%s' is up\n", cli->name);
	fflush(stdout);
	return EXIT_OK;
}

/* Until Ctrl-C, or somebody else takes the lab down. */
static void stay(const struct cli_lab *cli, struct progress *p)
{
	while (!interrupted && rundir_is_up(cli->name) && look(cli, p))
		pause_ms(500);
	if (interrupted && rundir_is_up(cli->name))
		lab_down(cli, false, true);
}

static int up(const struct lab *lab, const struct up_options *o)
{
	struct progress progress = { .lab = lab };
	struct cli_lab cli;
	int status = EXIT_OK;

	if (rundir_is_up(lab->name)) {
		log_err("lab '%s' is already up; `backplane ps` shows it, `backplane down %s` takes it down",
			lab->name, lab->name);
		return EXIT_ERROR;
	}
	if (!start_supervisor(o->file) || !cli_find_lab(lab->name, &cli))
		return EXIT_ERROR;
	progress.said = calloc(lab->n_machines, sizeof(*progress.said));
	if (!progress.said)
		return give_up(&cli, "out of memory");
	if (o->wait || interrupted)
		status = follow(&cli, &progress, o);
	if (o->foreground && rundir_is_up(lab->name))
		stay(&cli, &progress);
	free(progress.said);
	return status;
}

int cmd_up(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = on_signal };
	struct up_options options = { .file = "lab.yaml", .wait = true };
	struct lab_error error;
	struct lab *lab;
	int ret;

	ret = parse_options(argc, argv, &options);
	if (ret)
		return ret - 1;
	lab = lab_load(options.file, &error);
	if (!lab) {
		log_err("%s", error.text);
		return EXIT_ERROR;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	client_init();
	ret = up(lab, &options);
	lab_free(lab);
	return ret;
}
