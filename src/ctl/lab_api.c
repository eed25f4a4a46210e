/* SPDX-License-Identifier: Apache-2.0
 *
 * The API of a running lab.  Handlers look at the supervisor's machines under
 * its lock, leave wishes there, and pass on to the NIC server and to VMMs what
 * is theirs to answer.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "ctl/agent.h"
#include "ctl/client.h"
#include "ctl/lab_api.h"
#include "ctl/supervisor.h"

enum {
	API_THREADS = 4,	/* so that a slow child holds up few */
	CHILD_TIMEOUT_MS = 3000, /* for its answer */
	ARGS_MAX = 1024,	/* words of a command */
};

int lab_api_socket(const char *lab, char buf[LAB_SOCKET_MAX])
{
	char dir[RUNDIR_MAX];
	int n;

	if (rundir_path(lab, dir))
		return -ENAMETOOLONG;
	n = snprintf(buf, LAB_SOCKET_MAX, "%s/lab.sock", dir);
	return n < 0 || n >= LAB_SOCKET_MAX ? -ENAMETOOLONG : 0;
}

static struct supervisor *lock(struct api_request *request)
{
	struct supervisor *s = api_owner(request);

	pthread_mutex_lock(&s->lock);
	return s;
}

static void unlock(struct supervisor *s)
{
	pthread_mutex_unlock(&s->lock);
}

/* The machine named in the path, with the lock held; or NULL, a reply, and the
 * lock not held. */
static struct machine *lock_machine(struct api_request *request)
{
	struct supervisor *s = lock(request);

	for (unsigned int i = 0; i < s->n_machines; i++)
		if (!strcmp(s->machines[i].config->name, api_arg(request, 0)))
			return &s->machines[i];
	unlock(s);
	api_error(request, 404, "there is no machine '%s'",
		  api_arg(request, 0));
	return NULL;
}

static json_t *nic_json(const struct lab_machine *config, unsigned int i)
{
	const struct lab_nic *nic = &config->nics[i];
	json_t *addresses = json_array();
	char mac[18], port[2 * LAB_NAME_MAX];

	for (unsigned int j = 0; j < nic->n_addresses; j++)
		json_array_append_new(addresses,
				      json_string(nic->addresses[j].text));
	lab_mac_text(nic->mac, mac);
	lab_port_name(config, i, port, sizeof(port));
	return json_pack("{s:s, s:s, s:s, s:s, s:o}", "port", port,
			 "network", nic->network, "model", nic->model,
			 "mac", mac, "addresses", addresses);
}

static double seconds_since(uint64_t start_ns)
{
	return (double)((time_now_ns() - start_ns) / NS_PER_MS) / 1000;
}

static json_t *machine_json(const struct machine *m)
{
	json_t *nics = json_array();
	json_t *o;

	for (unsigned int i = 0; i < m->config->n_nics; i++)
		json_array_append_new(nics, nic_json(m->config, i));
	o = json_pack("{s:s, s:s, s:i, s:i, s:o}",
		      "name", m->config->name,
		      "state", machine_state_names[m->state],
		      "vcpus", (int)m->config->vcpus,
		      "memory_mib", (int)(m->config->memory >> 20),
		      "nics", nics);
	if (m->reason[0])
		json_object_set_new(o, "reason", json_string(m->reason));
	if (m->child.pid) {
		json_object_set_new(o, "pid", json_integer(m->child.pid));
		json_object_set_new(o, "uptime_s",
			json_real(seconds_since(m->child.started_ns)));
	}
	if (m->ready_ns)
		json_object_set_new(o, "ready_after_s", json_real(
			(double)((m->ready_ns - m->child.started_ns) /
				 NS_PER_MS) / 1000));
	if (m->child.log[0])
		json_object_set_new(o, "log", json_string(m->child.log));
	return o;
}

static json_t *server_json(const struct supervisor *s)
{
	const char *state = s->server.pid ?
			    s->server_up ? "running" : "starting" : "dead";
	json_t *o = json_pack("{s:s, s:s}", "state", state,
			      "log", s->server.log);

	if (s->server.pid)
		json_object_set_new(o, "pid", json_integer(s->server.pid));
	else
		json_object_set_new(o, "reason", json_string(s->server.reason));
	return o;
}

static void get_lab(struct api_request *request)
{
	struct supervisor *s = lock(request);
	json_t *machines = json_array();
	json_t *reply;

	for (unsigned int i = 0; i < s->n_machines; i++)
		json_array_append_new(machines, machine_json(&s->machines[i]));
	reply = json_pack("{s:s, s:s, s:s, s:i, s:f, s:b, s:o, s:o}",
			  "name", s->lab->name, "file", s->lab->file,
			  "run_dir", s->dir, "pid", (int)getpid(),
			  "uptime_s", seconds_since(s->started_ns),
			  "going_down", s->down,
			  "server", server_json(s), "machines", machines);
	unlock(s);
	api_reply(request, 200, reply);
}

static void post_down(struct api_request *request)
{
	struct supervisor *s = lock(request);

	s->down = true;
	if (json_is_true(json_object_get(api_body(request), "keep_logs")))
		s->keep_logs = true;
	unlock(s);
	supervisor_wake(s);
	api_reply(request, 202, json_object());
}

static void get_machine(struct api_request *request)
{
	struct machine *m = lock_machine(request);
	json_t *reply;

	if (!m)
		return;
	reply = machine_json(m);
	unlock(m->supervisor);
	api_reply(request, 200, reply);
}

/* Leave a wish with a machine that is in a state for it. */
static void post_wish(struct api_request *request, enum machine_wish wish,
		      bool wants_running)
{
	struct machine *m = lock_machine(request);
	bool running;

	if (!m)
		return;
	running = m->child.pid;
	if (running == wants_running)
		m->wish = wish;
	unlock(m->supervisor);
	if (running != wants_running) {
		api_error(request, 409, "%s is %s", m->config->name,
			  running ? "running already" : "not running");
		return;
	}
	supervisor_wake(m->supervisor);
	api_reply(request, 202, json_object());
}

static void post_start(struct api_request *request)
{
	post_wish(request, WISH_START, false);
}

static void post_stop(struct api_request *request)
{
	post_wish(request, WISH_STOP, true);
}

static void post_kill(struct api_request *request)
{
	post_wish(request, WISH_KILL, true);
}

/* Ask a child and pass on its answer. */
static void forward(struct api_request *request, const char *socket,
		    const char *who, const char *method, const char *path,
		    json_t *body)
{
	struct reply reply;

	client_request(socket, method, path, body, CHILD_TIMEOUT_MS, &reply);
	if (!reply.status)
		api_error(request, 502, "%s does not answer: %s", who,
			  reply.error);
	else
		api_reply(request, (unsigned int)reply.status,
			  json_incref(reply.body));
	reply_clear(&reply);
}

static void forward_to_server(struct api_request *request)
{
	struct supervisor *s = api_owner(request);

	forward(request, s->server_api, "the NIC server",
		api_method(request), api_path(request), api_body(request));
}

/* Have the VMM answer a GET. */
static void forward_get(struct api_request *request, const char *path)
{
	struct machine *m = lock_machine(request);
	bool running;

	if (!m)
		return;
	running = m->child.pid;
	unlock(m->supervisor);
	if (running)
		forward(request, m->api_path, m->config->name, "GET", path,
			NULL);
	else
		api_error(request, 409, "%s is not running", m->config->name);
}

static void get_stats(struct api_request *request)
{
	forward_get(request, "/v1/stats");
}

static void get_nics(struct api_request *request)
{
	forward_get(request, "/v1/nics");
}

/* The name of the card in an attach or detach request: that of its port, or
 * just its number. */
static const char *card_name(const struct lab_machine *config,
			     const char *text, char buf[2 * LAB_NAME_MAX],
			     int *nic_idx)
{
	*nic_idx = -1;
	for (unsigned int i = 0; i < config->n_nics; i++) {
		lab_port_name(config, i, buf, 2 * LAB_NAME_MAX);
		if (strcmp(text, buf) && strcmp(text, strchr(buf, '.') + 1))
			continue;
		*nic_idx = (int)i;
		return buf;
	}
	return text;
}

/* What the VMM is told: a card of the lab by its number there, any other by
 * the path of its server's socket.  NULL, and a reply: there is none such. */
static json_t *attach_body(struct api_request *request,
			   const struct machine *m)
{
	const char *text = json_string_value(json_object_get(
		api_body(request), "nic"));
	char buf[2 * LAB_NAME_MAX], path[LAB_SOCKET_MAX];
	const struct lab_nic *nic;
	const char *id;
	json_t *body;
	int idx;

	id = card_name(m->config, text, buf, &idx);
	if (idx < 0 && *text == '/')
		return json_pack("{s:s}", "path", text);
	if (idx < 0 || lab_nic_socket(m->supervisor->dir, m->config,
				      (unsigned int)idx, path)) {
		api_error(request, 400, "%s has no NIC '%s' in the lab file; expected one of them or an absolute path",
			  m->config->name, text);
		return NULL;
	}
	nic = &m->config->nics[idx];
	body = json_pack("{s:s, s:s}", "path", path, "id", id);
	if (nic->slot)
		json_object_set_new(body, "slot",
				    json_integer((json_int_t)nic->slot));
	return body;
}

static void post_nics(struct api_request *request)
{
	struct machine *m = lock_machine(request);
	json_t *body = NULL;
	bool running;

	if (!m)
		return;
	running = m->child.pid;
	unlock(m->supervisor);
	if (!running) {
		api_error(request, 409, "%s is not running", m->config->name);
		return;
	}
	/* What this looks at is constant. */
	body = attach_body(request, m);
	if (body)
		forward(request, m->api_path, m->config->name, "POST",
			"/v1/nics", body);
	json_decref(body);
}

static void delete_nic(struct api_request *request)
{
	struct machine *m = lock_machine(request);
	char buf[2 * LAB_NAME_MAX], path[API_PATH_MAX];
	const char *id;
	bool running;
	int idx;

	if (!m)
		return;
	running = m->child.pid;
	unlock(m->supervisor);
	id = card_name(m->config, api_arg(request, 1), buf, &idx);
	snprintf(path, sizeof(path), "/v1/nics/%s", id);
	if (running)
		forward(request, m->api_path, m->config->name, "DELETE", path,
			api_body(request));
	else
		api_error(request, 409, "%s is not running", m->config->name);
}

/* The words of a command, or NULL and a reply; free() it. */
static const char **decode_argv(struct api_request *request,
				unsigned int *n_args)
{
	json_t *list = json_object_get(api_body(request), "argv");
	size_t n = json_array_size(list);
	const char **argv;

	if (!n || n > ARGS_MAX) {
		api_error(request, 400, "'argv' in the body: expected 1 to %d strings",
			  ARGS_MAX);
		return NULL;
	}
	argv = calloc(n, sizeof(*argv));
	for (size_t i = 0; argv && i < n; i++) {
		json_t *word = json_array_get(list, i);

		argv[i] = json_string_value(word);
		/* The library turns \u0000 away, so there is no NUL inside. */
		if (argv[i])
			continue;
		free(argv);
		api_error(request, 400, "'argv' in the body: expected only strings");
		return NULL;
	}
	if (!argv)
		api_reply(request, 500, NULL);
	*n_args = (unsigned int)n;
	return argv;
}

static void exec_refused(struct api_request *request, const struct machine *m,
			 int err)
{
	switch (err) {
	case -ENOTCONN:
		api_error(request, 409, "%s is not ready", m->config->name);
		break;
	case -EBUSY:
		api_error(request, 409, "%s runs as many commands as it can already",
			  m->config->name);
		break;
	case -E2BIG:
		api_error(request, 400, "the command is too long");
		break;
	case -EAGAIN:
		api_error(request, 503, "%s does not read what is sent to it",
			  m->config->name);
		break;
	default:
		api_error(request, 500, "%s", strerror(-err));
	}
}

static void post_exec(struct api_request *request)
{
	bool has_stdin = json_is_true(json_object_get(api_body(request),
						      "stdin"));
	struct machine *m;
	struct exec *e;
	const char **argv;
	unsigned int n_args;
	int err = 0;

	argv = decode_argv(request, &n_args);
	if (!argv)
		return;
	m = lock_machine(request);
	if (!m)
		goto out;
	e = machine_exec(m, argv, n_args, &err);
	if (e) {
		/* A fresh command has room for an end of file. */
		if (!has_stdin && agent_stdin(m->agent, e->id, NULL, 0))
			log_debug("exec: the command has gone already");
		e->stream = api_reply_stream(request, "application/x-ndjson");
		if (e->stream)
			api_stream_push_json(e->stream,
				json_pack("{s:i}", "id", e->id));
		else
			machine_forget_exec(e);
	}
	unlock(m->supervisor);
	if (!e)
		exec_refused(request, m, err);
	supervisor_wake(m->supervisor);
out:
	free(argv);
}

/* Number of a command in the path; 0: it is none. */
static int exec_id(const struct api_request *request)
{
	const char *text = api_arg(request, 1);

	return strlen(text) <= 5 && strspn(text, "0123456789") == strlen(text) ?
	       atoi(text) : 0;
}

static void exec_reply(struct api_request *request, struct supervisor *s,
		       int err)
{
	supervisor_wake(s);
	if (!err)
		api_reply(request, 200, json_object());
	else if (err == -EAGAIN)
		api_error(request, 503, "too much is waiting already; try again");
	else if (err == -ENOENT)
		api_error(request, 404, "there is no such command");
	else if (err == -EPIPE)
		api_error(request, 409, "its standard input has been closed");
	else
		api_error(request, 500, "%s", strerror(-err));
}

static void post_exec_stdin(struct api_request *request)
{
	struct machine *m = lock_machine(request);
	struct supervisor *s;
	const void *data;
	size_t len;
	int err = -ENOENT;

	if (!m)
		return;
	s = m->supervisor;
	data = api_body_raw(request, &len);
	if (exec_find(m, exec_id(request)))
		err = agent_stdin(m->agent, exec_id(request), data, len);
	unlock(s);
	exec_reply(request, s, err);
}

static void post_exec_signal(struct api_request *request)
{
	json_int_t number = json_integer_value(
		json_object_get(api_body(request), "signal"));
	struct machine *m;
	struct supervisor *s;
	int err = -ENOENT;

	if (number < 1 || number > SIGRTMAX) {
		api_error(request, 400, "'signal' in the body: expected 1 to %d",
			  SIGRTMAX);
		return;
	}
	m = lock_machine(request);
	if (!m)
		return;
	s = m->supervisor;
	if (exec_find(m, exec_id(request)))
		err = agent_signal(m->agent, exec_id(request),
				   (uint8_t)number);
	unlock(s);
	exec_reply(request, s, err);
}

static void get_console(struct api_request *request)
{
	struct machine *m = lock_machine(request);
	struct api_stream *stream;
	int err;

	if (!m)
		return;
	err = m->console.n_viewers == CONSOLE_VIEWERS_MAX ||
	      m->supervisor->closed ? -EBUSY : 0;
	if (!err) {
		stream = api_reply_stream(request, "application/octet-stream");
		if (stream && console_view(&m->console, stream))
			api_stream_end(stream);
	}
	unlock(m->supervisor);
	if (err)
		api_error(request, 409, "too many look at this console already, or the lab goes down");
	supervisor_wake(m->supervisor);
}

static void post_console(struct api_request *request)
{
	struct machine *m = lock_machine(request);
	const void *data;
	bool connected;
	size_t len;
	int err = 0;

	if (!m)
		return;
	data = api_body_raw(request, &len);
	connected = m->console_fd >= 0;
	if (connected)
		err = console_type(&m->console, data, len);
	unlock(m->supervisor);
	supervisor_wake(m->supervisor);
	if (!connected)
		api_error(request, 409, "%s is not running", m->config->name);
	else if (err == -EAGAIN)
		api_error(request, 503, "too much is waiting already; try again");
	else if (err)
		api_reply(request, 500, NULL);
	else
		api_reply(request, 200, json_object());
}

const struct api_route lab_api_routes[] = {
	{ .method = "GET", .path = "/v1/lab", .handle = get_lab,
	  .help = "The lab: its server and machines with their states." },
	{ .method = "POST", .path = "/v1/lab/down", .handle = post_down,
	  .help = "Take the lab down; the API ends when that is done.",
	  .body = { { "keep_logs", JSON_TRUE, false,
		      "leave the logs in the runtime folder" } } },
	{ .method = "GET", .path = "/v1/machines/NAME", .handle = get_machine,
	  .help = "One machine." },
	{ .method = "POST", .path = "/v1/machines/NAME/start",
	  .handle = post_start, .help = "Start a machine that does not run." },
	{ .method = "POST", .path = "/v1/machines/NAME/stop",
	  .handle = post_stop,
	  .help = "Switch a machine off: the guest's agent does it, or where "
	  "there is none, whoever listens to the power button; after 10 s the "
	  "plug is pulled." },
	{ .method = "POST", .path = "/v1/machines/NAME/kill",
	  .handle = post_kill, .help = "Pull a machine's plug." },
	{ .method = "GET", .path = "/v1/machines/NAME/stats",
	  .handle = get_stats, .help = "A machine's exits (answered by its VMM)." },
	{ .method = "GET", .path = "/v1/machines/NAME/nics",
	  .handle = get_nics,
	  .help = "The cards that are plugged in (answered by its VMM)." },
	{ .method = "POST", .path = "/v1/machines/NAME/nics",
	  .handle = post_nics, .help = "Plug a card in while it runs.",
	  .body = { { "nic", JSON_STRING, true,
		      "name of its port or number in the lab file, or the "
		      "path of any vfio-user socket" } } },
	{ .method = "DELETE", .path = "/v1/machines/NAME/nics/ID",
	  .handle = delete_nic,
	  .help = "Have a card out: it is once it is not listed any more.",
	  .body = { { "pull", JSON_TRUE, false,
		      "take it out at once; else ask the guest" } } },
	{ .method = "POST", .path = "/v1/machines/NAME/exec",
	  .handle = post_exec,
	  .help = "Run a command; answers with a stream of JSON lines.",
	  .body = { { "argv", JSON_ARRAY, true, "command and arguments" },
		    { "stdin", JSON_TRUE, false,
		      "standard input will come; else it is empty" } } },
	{ .method = "POST", .path = "/v1/machines/NAME/exec/ID/stdin",
	  .handle = post_exec_stdin, .raw_body = true,
	  .help = "Standard input of a command; no bytes: end of file." },
	{ .method = "POST", .path = "/v1/machines/NAME/exec/ID/signal",
	  .handle = post_exec_signal, .help = "Send a command a signal.",
	  .body = { { "signal", JSON_INTEGER, true, "its number" } } },
	{ .method = "GET", .path = "/v1/machines/NAME/console",
	  .handle = get_console,
	  .help = "The last 64 KiB of console output, then what comes (bytes)." },
	{ .method = "POST", .path = "/v1/machines/NAME/console",
	  .handle = post_console, .raw_body = true,
	  .help = "Type on the console." },
	{ .method = "GET", .path = "/v1/ports", .handle = forward_to_server,
	  .help = "Answered by the NIC server, as are those below." },
	{ .method = "PUT", .path = "/v1/ports/NAME/link",
	  .handle = forward_to_server, .help = "See there.",
	  .body = { { "up", JSON_TRUE, true, "plugged in?" } } },
	{ .method = "GET", .path = "/v1/networks",
	  .handle = forward_to_server, .help = "See there." },
	{ .method = "GET", .path = "/v1/networks/NAME/macs",
	  .handle = forward_to_server, .help = "See there." },
	{ .method = "GET", .path = "/v1/networks/NAME/verdicts",
	  .handle = forward_to_server, .help = "See there." },
	{ .method = "GET", .path = "/v1/worker", .handle = forward_to_server,
	  .help = "See there." },
	{ 0 },
};

int lab_api_start(struct supervisor *s, struct api **api)
{
	char path[LAB_SOCKET_MAX];
	const struct api_config config = {
		.path = path,
		.routes = lab_api_routes,
		.owner = s,
		.threads = API_THREADS,
	};
	int ret = lab_api_socket(s->lab->name, path);

	return ret ? ret : api_start(&config, api);
}
