/* SPDX-License-Identifier: Apache-2.0
 *
 * `backplane console`: a machine's serial console on this terminal.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "cmd/cli.h"
#include "cmd/cmd.h"

enum {
	ESCAPE = 0x1d,		/* Ctrl-] */
	TYPED_BLOCK = 4096,
	REQUEST_TIMEOUT_MS = 20000,
};

static struct termios saved;	/* the terminal as it was */
static bool is_raw;		/* it has to be put back */

struct session {
	struct cli_lab lab;
	char path[128];		/* of the console in the API */
};

static void print_help(FILE *out)
{
	fputs("Usage: backplane console [OPTIONS] MACHINE\n\n"
	      "Shows what a machine printed on its serial console last, then "
	      "what comes, and\ntypes on it what is typed here.  Ctrl-] leaves; "
	      "so does the end of the lab.\nIf standard input is no terminal, "
	      "its bytes are typed, and its end does not\nleave.\n\n"
	      "Options:\n"
	      "      --lab NAME  of which lab (default: the only one)\n"
	      "  -h, --help      this text\n", out);
}

static void restore_terminal(void)
{
	if (is_raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	is_raw = false;
}

static void make_raw(void)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &saved))
		return;
	raw = saved;
	cfmakeraw(&raw);
	is_raw = !tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	atexit(restore_terminal);
}

static bool show(void *arg unused, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, data, len);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return true;
}

/* POST until there is room for it; false: nobody takes it any more. */
static bool type(struct session *s, const void *data, size_t len)
{
	const struct timespec pause = { .tv_nsec = 20 * NS_PER_MS };
	struct reply reply;
	long status;

	for (;;) {
		client_send_raw(s->lab.socket, s->path, data, len,
				REQUEST_TIMEOUT_MS, &reply);
		status = reply.status;
		reply_clear(&reply);
		if (status != 503)
			return status != 0;
		nanosleep(&pause, NULL);
	}
}

static void *type_input(void *arg)
{
	struct session *s = arg;
	char block[TYPED_BLOCK];
	ssize_t n;

	while ((n = read(STDIN_FILENO, block, sizeof(block))) > 0) {
		char *escape = is_raw ? memchr(block, ESCAPE, (size_t)n) : NULL;

		if (escape)
			n = escape - block;
		if (n && !type(s, block, (size_t)n))
			break;
		if (escape) {
			restore_terminal();
			fputs("\n", stderr);
			exit(EXIT_OK);
		}
	}
	return NULL;
}

static int run(struct session *s, const char *machine)
{
	struct reply reply;
	pthread_t thread;
	bool ok;

	snprintf(s->path, sizeof(s->path), "/v1/machines/%s/console", machine);
	if (isatty(STDIN_FILENO))
		fprintf(stderr, "console of %s; Ctrl-] leaves\n", machine);
	make_raw();
	if (pthread_create(&thread, NULL, type_input, s)) {
		log_err("cannot make a thread");
		return EXIT_ERROR;
	}
	ok = client_stream(s->lab.socket, "GET", s->path, NULL, show, NULL,
			   &reply);
	restore_terminal();
	if (!ok)
		log_err("%s", reply.error);
	reply_clear(&reply);
	return ok ? EXIT_OK : EXIT_ERROR;
}

int cmd_console(int argc, char **argv)
{
	enum { OPT_LAB = 256 };
	static const struct option longs[] = {
		{ "lab", required_argument, NULL, OPT_LAB },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	/* Static: its thread may still look at it when main() returns. */
	static struct session session;
	const char *lab = NULL;
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'h') {
			print_help(stdout);
			return EXIT_OK;
		}
		if (c != OPT_LAB)
			return cli_usage_hint("console");
		lab = optarg;
	}
	if (optind != argc - 1)
		return cli_usage_hint("console");
	client_init();
	if (!cli_name_ok(argv[optind]) || !cli_find_lab(lab, &session.lab))
		return EXIT_ERROR;
	return run(&session, argv[optind]);
}
