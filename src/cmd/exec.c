/* SPDX-License-Identifier: Apache-2.0
 *
 * `backplane exec`: runs a command in a machine, as if it ran here: its output,
 * its exit status, its standard input, and Ctrl-C.
 *
 * Three threads: the main one follows the stream of output; one sends standard
 * input; one waits for signals and sends them on, or, before the command has
 * begun, ends the program.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "cmd/cli.h"
#include "cmd/cmd.h"
#include "ctl/base64.h"
#include "ctl/bytes.h"

enum {
	/* The command could not be run; as docker and podman have it, since
	 * the lower ones are the command's own. */
	EXIT_EXEC = 125,
	/* Plus its number, as in a shell: ended by a signal. */
	EXIT_SIGNAL = 128,
	STDIN_BLOCK = 16384,
	REQUEST_TIMEOUT_MS = 20000,
};

struct session {
	struct cli_lab lab;
	const char *machine;	/* its name */
	bool send_stdin;	/* forward standard input */
	sigset_t signals;	/* blocked; taken by the signal thread */
	struct bytes line;	/* of the stream, not yet whole */
	int status;		/* of the command; -1: not known */
	pthread_mutex_t lock;	/* of id */
	pthread_cond_t id_known; /* id was set */
	int id;			/* the command's number; 0: not known */
};

static void print_help(FILE *out)
{
	fputs("Usage: backplane exec [OPTIONS] MACHINE [--] COMMAND [ARGUMENTS]\n\n"
	      "Runs a command in a machine.  Standard input is passed on unless "
	      "it is a\nterminal; Ctrl-C interrupts the command.\n\n"
	      "Options:\n"
	      "  -i, --interactive  pass on standard input even from a terminal\n"
	      "  -n, --no-stdin     pass on none\n"
	      "      --lab NAME     of which lab (default: the only one)\n"
	      "  -h, --help         this text\n\n"
	      "Exit status: the command's own; 128 + N if signal N ended it, "
	      "or ended exec\nbefore the command had begun; 127 if the machine "
	      "has no such command; 125 if it\ncould not be run at all.\n\n"
	      "Examples:\n"
	      "  backplane exec alice -- ping -c 3 10.0.0.2\n"
	      "  backplane exec bob -- sh -c 'lspci -k; ip address'\n"
	      "  echo data | backplane exec alice -- sh -c 'cat >/tmp/file'\n",
	      out);
}

/* All of it, whatever it takes; false: nobody reads it any more. */
static bool write_all(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return true;
}

static bool write_base64(int fd, const char *text)
{
	uint8_t *data = malloc(strlen(text) / 4 * 3 + 1);
	bool ok = false;
	ssize_t len;

	if (!data)
		return false;
	len = base64_decode(text, data);
	if (len >= 0)
		ok = write_all(fd, data, (size_t)len);
	free(data);
	return ok;
}

static void set_id(struct session *s, int id)
{
	pthread_mutex_lock(&s->lock);
	s->id = id;
	pthread_cond_broadcast(&s->id_known);
	pthread_mutex_unlock(&s->lock);
}

static int wait_for_id(struct session *s)
{
	int id;

	pthread_mutex_lock(&s->lock);
	while (!s->id)
		pthread_cond_wait(&s->id_known, &s->lock);
	id = s->id;
	pthread_mutex_unlock(&s->lock);
	return id;
}

/* One line of the stream; false: enough. */
static bool take_line(struct session *s, const char *text, size_t len)
{
	json_t *line = json_loadb(text, len, 0, NULL);
	const char *key;
	json_t *value;
	bool ok = true;

	json_object_foreach(line, key, value) {
		if (!strcmp(key, "stdout"))
			ok = write_base64(STDOUT_FILENO,
					  json_string_value(value));
		else if (!strcmp(key, "stderr"))
			ok = write_base64(STDERR_FILENO,
					  json_string_value(value));
		else if (!strcmp(key, "id"))
			set_id(s, (int)json_integer_value(value));
		else if (!strcmp(key, "exit"))
			s->status = (int)json_integer_value(value);
		else if (!strcmp(key, "message"))
			fprintf(stderr, "%s: %s\n", s->machine,
				json_string_value(value));
		else if (!strcmp(key, "error"))
			log_err("%s", json_string_value(value));
	}
	json_decref(line);
	return ok;
}

static bool take_stream(void *arg, const char *data, size_t len)
{
	struct session *s = arg;

	if (!bytes_append(&s->line, data, len))
		return false;
	for (;;) {
		const char *front = (const char *)bytes_front(&s->line);
		const char *end = s->line.len ?
				  memchr(front, '\n', s->line.len) : NULL;

		if (!end)
			return true;
		if (!take_line(s, front, (size_t)(end - front)))
			return false;
		bytes_drop(&s->line, (size_t)(end - front) + 1);
	}
}

/* POST until there is room for it; false: it will not be taken any more. */
static bool send_block(struct session *s, int id, const void *data, size_t len)
{
	const struct timespec pause = { .tv_nsec = 20 * NS_PER_MS };
	char path[128];
	struct reply reply;
	long status;

	snprintf(path, sizeof(path), "/v1/machines/%s/exec/%d/stdin",
		 s->machine, id);
	for (;;) {
		client_send_raw(s->lab.socket, path, data, len,
				REQUEST_TIMEOUT_MS, &reply);
		status = reply.status;
		reply_clear(&reply);
		if (status != 503)
			return status == 200;
		nanosleep(&pause, NULL);
	}
}

static void *send_stdin(void *arg)
{
	struct session *s = arg;
	uint8_t block[STDIN_BLOCK];
	int id = wait_for_id(s);
	ssize_t n;

	while ((n = read(STDIN_FILENO, block, sizeof(block))) > 0)
		if (!send_block(s, id, block, (size_t)n))
			return NULL;
	send_block(s, id, "", 0);
	return NULL;
}

/* The command's number; 0: not known yet. */
static int known_id(struct session *s)
{
	int id;

	pthread_mutex_lock(&s->lock);
	id = s->id;
	pthread_mutex_unlock(&s->lock);
	return id;
}

static void send_signal(struct session *s, int id, int number)
{
	json_t *body = json_pack("{s:i}", "signal", number);
	struct reply reply;
	char path[128];

	snprintf(path, sizeof(path), "/v1/machines/%s/exec/%d/signal",
		 s->machine, id);
	client_request(s->lab.socket, "POST", path, body, REQUEST_TIMEOUT_MS,
		       &reply);
	reply_clear(&reply);
	json_decref(body);
}

/* Signals are the command's as soon as there is one; until then, ours.  One
 * that the lab has just started then loses its client, which ends it too. */
static void *send_signals(void *arg)
{
	struct session *s = arg;
	int number;

	while (!sigwait(&s->signals, &number)) {
		int id = known_id(s);

		if (!id)
			_exit(EXIT_SIGNAL + number);
		send_signal(s, id, number);
	}
	return NULL;
}

/* Threads that end with the process. */
static bool start_threads(struct session *s)
{
	pthread_t thread;

	sigemptyset(&s->signals);
	sigaddset(&s->signals, SIGINT);
	sigaddset(&s->signals, SIGTERM);
	sigaddset(&s->signals, SIGHUP);
	sigaddset(&s->signals, SIGQUIT);
	pthread_sigmask(SIG_BLOCK, &s->signals, NULL);
	return !pthread_create(&thread, NULL, send_signals, s) &&
	       (!s->send_stdin ||
		!pthread_create(&thread, NULL, send_stdin, s));
}

static int run(struct session *s, char **argv, int n_args)
{
	json_t *words = json_array();
	char path[128];
	struct reply reply;
	json_t *body;
	bool ok;

	for (int i = 0; i < n_args; i++)
		if (json_array_append_new(words, json_string(argv[i]))) {
			log_err("'%s' is not UTF-8", argv[i]);
			json_decref(words);
			return EXIT_EXEC;
		}
	if (!start_threads(s)) {
		log_err("cannot make a thread");
		json_decref(words);
		return EXIT_EXEC;
	}
	body = json_pack("{s:o, s:b}", "argv", words, "stdin", s->send_stdin);
	snprintf(path, sizeof(path), "/v1/machines/%s/exec", s->machine);
	ok = client_stream(s->lab.socket, "POST", path, body, take_stream, s,
			   &reply);
	json_decref(body);
	if (!ok)
		log_err("%s", reply.error);
	reply_clear(&reply);
	bytes_free(&s->line);
	return s->status < 0 ? EXIT_EXEC : s->status;
}

int cmd_exec(int argc, char **argv)
{
	enum { OPT_LAB = 256 };
	static const struct option longs[] = {
		{ "interactive", no_argument, NULL, 'i' },
		{ "no-stdin", no_argument, NULL, 'n' },
		{ "lab", required_argument, NULL, OPT_LAB },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	/* Static: its threads may still look at it when main() returns. */
	static struct session session = {
		.status = -1,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.id_known = PTHREAD_COND_INITIALIZER,
	};
	const char *lab = NULL;
	int c;

	session.send_stdin = !isatty(STDIN_FILENO);
	optind = 1;
	/* '+': what follows the machine is the command's. */
	while ((c = getopt_long(argc, argv, "+inh", longs, NULL)) != -1) {
		if (c == 'h') {
			print_help(stdout);
			return EXIT_OK;
		}
		if (c == OPT_LAB)
			lab = optarg;
		else if (c == 'i' || c == 'n')
			session.send_stdin = c == 'i';
		else
			return cli_usage_hint("exec");
	}
	if (optind < argc)
		session.machine = argv[optind++];
	if (optind < argc && !strcmp(argv[optind], "--"))
		optind++;
	if (optind >= argc)
		return cli_usage_hint("exec");
	client_init();
	if (!cli_name_ok(session.machine) ||
	    !cli_find_lab(lab, &session.lab))
		return EXIT_EXEC;
	return run(&session, argv + optind, argc - optind);
}
