/* SPDX-License-Identifier: Apache-2.0
 *
 * One machine of a lab, as its supervisor sees it: VMM process, states, console
 * and agent line.  Called by supervisor.c; the API's view is in lab_api.c.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/time.h"
#include "ctl/agent.h"
#include "ctl/api.h"
#include "ctl/base64.h"
#include "ctl/client.h"
#include "ctl/supervisor.h"

enum {
	/* How long each way of stopping gets before the next. */
	STOP_POWEROFF_MS = 10000,
	STOP_BUTTON_MS = 1000,	/* for the VMM to take the press */
	STOP_TERM_MS = 3000,
	STOP_KILL_MS = 5000,
	/* Output of a command that its client may leave unread before the
	 * line has to wait, and for how long it waits. */
	EXEC_BACKLOG_MAX = 4 << 20,
	EXEC_STALL_MS = 30000,
	LINE_BLOCK = 16384,	/* bytes moved at a time */
};

const char *const machine_state_names[N_MACHINE_STATES] = {
#define X(name, text) [MACHINE_##name] = text,
	MACHINE_STATES(X)
#undef X
};

static int socket_path(char buf[LAB_SOCKET_MAX], const char *dir,
		       const char *what, const char *name)
{
	int n = snprintf(buf, LAB_SOCKET_MAX, "%s/%s-%s.sock", dir, what,
			 name);

	return n < 0 || n >= LAB_SOCKET_MAX ? -ENAMETOOLONG : 0;
}

int machine_init(struct machine *m, struct supervisor *s,
		 const struct lab_machine *config)
{
	*m = (struct machine){
		.supervisor = s,
		.config = config,
		.console_fd = -1,
		.agent_fd = -1,
	};
	child_init(&m->child);
	m->agent = agent_create();
	if (!m->agent)
		return -ENOMEM;
	if (socket_path(m->console_path, s->dir, "console", config->name) ||
	    socket_path(m->agent_path, s->dir, "agent", config->name) ||
	    socket_path(m->api_path, s->dir, "vm", config->name))
		return -ENAMETOOLONG;
	return 0;
}

static void close_lines(struct machine *m)
{
	fd_close(&m->console_fd);
	fd_close(&m->agent_fd);
	agent_detach(m->agent);
}

void machine_close(struct machine *m)
{
	close_lines(m);
	console_fini(&m->console);
}

void machine_fini(struct machine *m)
{
	if (m->agent)
		close_lines(m);
	agent_destroy(m->agent);
	console_fini(&m->console);
}

void machine_refuse(struct machine *m, const char *reason)
{
	m->state = MACHINE_DEAD;
	snprintf(m->reason, sizeof(m->reason), "%s", reason);
}

/* Commands of a VMM: argv under construction, its strings in one place. */
struct command_line {
	char *argv[2 * LAB_NICS_MAX + 32]; /* ends with NULL */
	unsigned int n;			/* entries before that */
	char text[LAB_NICS_MAX * (LAB_SOCKET_MAX + 96) +
		  (3 + LAB_DISKS_MAX) * LAB_PATH_MAX];
	size_t len;			/* bytes used in text */
	bool overflow;			/* something did not fit */
};

static void add_word(struct command_line *c, const char *fmt, ...)
	printf_like(2, 3);

static void add_word(struct command_line *c, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(c->text + c->len, sizeof(c->text) - c->len, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(c->text) - c->len ||
	    c->n >= ARRAY_SIZE(c->argv) - 1) {
		c->overflow = true;
		return;
	}
	c->argv[c->n++] = c->text + c->len;
	c->len += (size_t)n + 1;
}

static void add_nic(struct machine *m, struct command_line *c, unsigned int i)
{
	const struct lab_nic *nic = &m->config->nics[i];
	char path[LAB_SOCKET_MAX], id[2 * LAB_NAME_MAX], place[48] = "";
	int n = 0;

	if (lab_nic_socket(m->supervisor->dir, m->config, i, path))
		c->overflow = true;
	lab_port_name(m->config, i, id, sizeof(id));
	if (nic->bridge)
		n = snprintf(place, sizeof(place), ",bridge=%u", nic->bridge);
	if (nic->slot)
		snprintf(place + n, sizeof(place) - (size_t)n, ",slot=%u",
			 nic->slot);
	add_word(c, "--nic");
	add_word(c, "vfio-user:%s,id=%s%s", path, id, place);
}

static void add_disk(struct command_line *c, const struct lab_disk *disk)
{
	char slot[24] = "";

	if (disk->slot)
		snprintf(slot, sizeof(slot), ",slot=%u", disk->slot);
	add_word(c, "--disk");
	add_word(c, "%s%s%s,ro=%s%s", disk->image,
		 *disk->format ? ",format=" : "", disk->format,
		 disk->read_only ? "yes" : "no", slot);
}

/* Cards that may come later: each wants a root port. */
static unsigned int n_unplugged(const struct lab_machine *config)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < config->n_nics; i++)
		n += !config->nics[i].plugged;
	return n;
}

/* `backplane vm` with all its options; false: machine_refuse()d. */
static bool vm_command(struct machine *m, struct command_line *c)
{
	const struct lab_machine *config = m->config;
	char cmdline[LAB_CMDLINE_MAX];

	add_word(c, "vm");
	add_word(c, "--name");
	add_word(c, "%s", config->name);
	/* Without a kernel the VMM takes the guest image. */
	if (*config->kernel) {
		add_word(c, "--kernel");
		add_word(c, "%s", config->kernel);
	}
	if (*config->initrd) {
		add_word(c, "--initrd");
		add_word(c, "%s", config->initrd);
	}
	if (lab_cmdline(config, cmdline))
		c->overflow = true;
	add_word(c, "--append");
	add_word(c, "%s", cmdline);
	add_word(c, "--board");
	add_word(c, "%s", vm_board_names[config->board]);
	add_word(c, "--spare-ports");
	add_word(c, "%u", config->spare_ports + n_unplugged(config));
	add_word(c, "--cpus");
	add_word(c, "%u", config->vcpus);
	add_word(c, "--memory");
	add_word(c, "%lluM", (unsigned long long)config->memory >> 20);
	for (unsigned int i = 0; i < config->n_nics; i++)
		if (config->nics[i].plugged)
			add_nic(m, c, i);
	for (unsigned int i = 0; i < config->n_disks; i++)
		add_disk(c, &config->disks[i]);
	add_word(c, "--console");
	add_word(c, "unix:%s", m->console_path);
	add_word(c, "--agent");
	add_word(c, "unix:%s", m->agent_path);
	add_word(c, "--api");
	add_word(c, "%s", m->api_path);
	if (c->overflow)
		machine_refuse(m, "its paths are too long");
	return !c->overflow;
}

static void remove_sockets(struct machine *m)
{
	unlink(m->console_path);
	unlink(m->agent_path);
	unlink(m->api_path);
}

static void start(struct machine *m)
{
	struct command_line *c = calloc(1, sizeof(*c));
	char log[RUNDIR_MAX + LAB_NAME_MAX + 8];

	if (!c) {
		machine_refuse(m, "out of memory");
		return;
	}
	m->reason[0] = '\0';
	m->ready_ns = 0;
	m->stop_step = 0;
	m->stop_step_ns = 0;
	console_reset(&m->console);
	remove_sockets(m);
	snprintf(log, sizeof(log), "%s/%s.log", m->supervisor->dir,
		 m->config->name);
	if (vm_command(m, c)) {
		if (child_start(&m->child, c->argv, log))
			machine_refuse(m, m->child.reason);
		else
			m->state = MACHINE_STARTING;
	}
	free(c);
}

/* Connect to a socket of the VMM's; -1: it is not there yet. */
static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		fd_close(&fd);
	return fd;
}

static void connect_lines(struct machine *m, uint64_t now_ns)
{
	if (m->console_fd < 0)
		m->console_fd = connect_to(m->console_path);
	if (m->agent_fd < 0) {
		m->agent_fd = connect_to(m->agent_path);
		if (m->agent_fd >= 0)
			agent_attach(m->agent, now_ns);
	}
	if (m->console_fd >= 0 && m->agent_fd >= 0)
		m->state = MACHINE_BOOTING;
}

/* The sink of commands that the supervisor itself runs: nobody listens. */
static void ignore_output(void *arg unused, bool is_stderr unused,
			  const void *data unused, size_t len unused)
{
}

static void ignore_error(void *arg unused, const char *text unused,
			 size_t len unused)
{
}

static void ignore_exited(void *arg unused, int status unused)
{
}

static bool power_off(struct machine *m)
{
	static const struct agent_sink nobody = {
		ignore_output, ignore_error, ignore_exited,
	};
	static const char *const argv[] = { "poweroff", "-f" };

	return agent_exec(m->agent, argv, ARRAY_SIZE(argv), &nobody, NULL) > 0;
}

/* For a guest without the agent, or whose agent is not up yet. */
static bool press_button(struct machine *m)
{
	struct reply reply;
	bool ok = client_request(m->api_path, "POST", "/v1/power-button", NULL,
				 STOP_BUTTON_MS, &reply);

	reply_clear(&reply);
	return ok;
}

/* The next, rougher way to end a machine. */
static void stop_harder(struct machine *m, uint64_t now_ns)
{
	m->state = MACHINE_STOPPING;
	m->stop_step++;
	if (m->stop_step == 1 && (power_off(m) || press_button(m))) {
		m->stop_step_ns = now_ns + STOP_POWEROFF_MS * NS_PER_MS;
	} else if (m->stop_step <= 2) {
		m->stop_step = 2;
		child_signal(&m->child, SIGTERM);
		m->stop_step_ns = now_ns + STOP_TERM_MS * NS_PER_MS;
	} else {
		child_signal(&m->child, SIGKILL);
		m->stop_step_ns = now_ns + STOP_KILL_MS * NS_PER_MS;
	}
}

static void grant_wish(struct machine *m, uint64_t now_ns)
{
	enum machine_wish wish = m->wish;
	bool running = m->child.pid;

	m->wish = WISH_NONE;
	if (wish == WISH_START && !running && !m->supervisor->down) {
		start(m);
	} else if (wish == WISH_STOP && running &&
		   m->state != MACHINE_STOPPING) {
		stop_harder(m, now_ns);
	} else if (wish == WISH_KILL && running) {
		m->stop_step = 2;
		stop_harder(m, now_ns);
	}
}

/* Read a block; 0: nothing there; -1: the line is gone. */
static ssize_t read_line(int fd, void *block)
{
	ssize_t n = recv(fd, block, LINE_BLOCK, MSG_DONTWAIT);

	if (n > 0)
		return n;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

/* What the machine printed last is what tells most. */
static void drain_console(struct machine *m)
{
	uint8_t block[LINE_BLOCK];
	ssize_t n;

	while (m->console_fd >= 0 &&
	       (n = read_line(m->console_fd, block)) > 0)
		console_output(&m->console, block, (size_t)n);
}

static void ended(struct machine *m)
{
	bool asked = m->state == MACHINE_STOPPING;

	drain_console(m);
	close_lines(m);
	remove_sockets(m);
	m->ready_ns = 0;
	snprintf(m->reason, sizeof(m->reason), "%s",
		 asked ? "was asked to" : m->child.reason);
	m->state = asked || !m->child.failed ? MACHINE_STOPPED : MACHINE_DEAD;
}

/* Hang up on a command whose client is not there, or does not read. */
static void drop_exec(struct exec *e, const char *why)
{
	agent_abandon(e->machine->agent, e->id);
	if (why)
		api_stream_push_json(e->stream,
				     json_pack("{s:s}", "error", why));
	api_stream_end(e->stream);
	e->machine->n_execs--;
	*e = (struct exec){ 0 };
}

void machine_forget_exec(struct exec *e)
{
	drop_exec(e, NULL);
}

static void check_execs(struct machine *m, uint64_t now_ns)
{
	for (unsigned int i = 0; i < EXECS_MAX; i++) {
		struct exec *e = &m->execs[i];

		if (!e->machine)
			continue;
		if (!api_stream_check(e->stream)) {
			drop_exec(e, NULL);
			continue;
		}
		if (api_stream_pending(e->stream) < EXEC_BACKLOG_MAX)
			e->stalled_ns = 0;
		else if (!e->stalled_ns)
			e->stalled_ns = now_ns;
		else if (now_ns - e->stalled_ns > EXEC_STALL_MS * NS_PER_MS)
			drop_exec(e, "its output was not read for too long");
	}
}

void machine_step(struct machine *m, uint64_t now_ns)
{
	if (child_ended(&m->child))
		ended(m);
	if (m->wish != WISH_NONE)
		grant_wish(m, now_ns);
	if (m->state == MACHINE_STARTING)
		connect_lines(m, now_ns);
	if (m->state == MACHINE_STOPPING && now_ns >= m->stop_step_ns)
		stop_harder(m, now_ns);
	agent_tick(m->agent, now_ns);
	if (m->state == MACHINE_BOOTING && agent_ready(m->agent)) {
		m->state = MACHINE_READY;
		m->ready_ns = now_ns;
	}
	check_execs(m, now_ns);
	console_check(&m->console);
}

bool machine_busy(const struct machine *m)
{
	return m->state == MACHINE_STARTING || m->state == MACHINE_BOOTING ||
	       m->state == MACHINE_STOPPING || m->n_execs ||
	       agent_busy(m->agent) || m->console.n_viewers;
}

/* Does the line have to wait for a client? */
static bool line_stalled(const struct machine *m)
{
	for (unsigned int i = 0; i < EXECS_MAX; i++)
		if (m->execs[i].machine &&
		    api_stream_pending(m->execs[i].stream) >= EXEC_BACKLOG_MAX)
			return true;
	return false;
}

void machine_prepare(struct machine *m, struct pollfd *fds)
{
	size_t len;

	fds[0] = (struct pollfd){ .fd = m->child.pidfd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = m->console_fd, .events = POLLIN };
	if (m->console.typed.len)
		fds[1].events |= POLLOUT;
	fds[2] = (struct pollfd){ .fd = m->agent_fd };
	if (!line_stalled(m))
		fds[2].events |= POLLIN;
	if (m->agent_fd >= 0 && agent_output(m->agent, &len))
		fds[2].events |= POLLOUT;
}

/* Send what can be sent now; errors show when reading. */
static size_t write_line(int fd, const void *data, size_t len)
{
	ssize_t n = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	return n > 0 ? (size_t)n : 0;
}

static void service_console(struct machine *m, short events)
{
	uint8_t block[LINE_BLOCK];
	ssize_t n = 0;

	if (events & (POLLIN | POLLHUP | POLLERR))
		n = read_line(m->console_fd, block);
	if (n > 0)
		console_output(&m->console, block, (size_t)n);
	if (events & POLLOUT)
		bytes_drop(&m->console.typed,
			   write_line(m->console_fd,
				      bytes_front(&m->console.typed),
				      m->console.typed.len));
	if (n < 0)
		fd_close(&m->console_fd);
}

static void service_agent(struct machine *m, short events, uint64_t now_ns)
{
	uint8_t block[LINE_BLOCK];
	const void *out;
	ssize_t n = 0;
	size_t len;

	if (events & (POLLIN | POLLHUP | POLLERR))
		n = read_line(m->agent_fd, block);
	if (n > 0)
		agent_input(m->agent, block, (size_t)n, now_ns);
	out = agent_output(m->agent, &len);
	if (out)
		agent_sent(m->agent, write_line(m->agent_fd, out, len));
	if (n < 0) {
		fd_close(&m->agent_fd);
		agent_detach(m->agent);
	}
}

void machine_service(struct machine *m, const struct pollfd *fds,
		     uint64_t now_ns)
{
	/* What a VMM said before it ended is read before its end is noticed:
	 * machine_step() comes after this. */
	if (fds[1].revents && fds[1].fd == m->console_fd)
		service_console(m, fds[1].revents);
	if (fds[2].revents && fds[2].fd == m->agent_fd)
		service_agent(m, fds[2].revents, now_ns);
}

struct exec *exec_find(struct machine *m, int id)
{
	for (unsigned int i = 0; i < EXECS_MAX; i++)
		if (m->execs[i].machine && m->execs[i].id == id)
			return &m->execs[i];
	return NULL;
}

static void exec_output(void *arg, bool is_stderr, const void *data, size_t len)
{
	struct exec *e = arg;
	char text[BASE64_LEN(LINE_BLOCK)];

	for (size_t n; len; len -= n, data = (const char *)data + n) {
		n = min_of(len, (size_t)LINE_BLOCK);
		base64_encode(data, n, text);
		api_stream_push_json(e->stream, json_pack("{s:s}",
			is_stderr ? "stderr" : "stdout", text));
	}
}

static void exec_error(void *arg, const char *text, size_t len)
{
	struct exec *e = arg;
	char safe[256];
	size_t n = min_of(len, sizeof(safe) - 1);

	for (size_t i = 0; i < n; i++)
		safe[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	safe[n] = '\0';
	api_stream_push_json(e->stream, json_pack("{s:s}", "message", safe));
}

static void exec_exited(void *arg, int status)
{
	struct exec *e = arg;

	if (status < 0)
		api_stream_push_json(e->stream, json_pack("{s:s}", "error",
			"the machine went away"));
	else
		api_stream_push_json(e->stream,
				     json_pack("{s:i}", "exit", status));
	api_stream_end(e->stream);
	e->machine->n_execs--;
	*e = (struct exec){ 0 };
}

struct exec *machine_exec(struct machine *m, const char *const *argv,
			  unsigned int n_args, int *err)
{
	static const struct agent_sink sink = {
		exec_output, exec_error, exec_exited,
	};
	struct exec *e = m->execs;
	int id;

	while (e < m->execs + EXECS_MAX && e->machine)
		e++;
	if (e == m->execs + EXECS_MAX) {
		*err = -EBUSY;
		return NULL;
	}
	id = agent_exec(m->agent, argv, n_args, &sink, e);
	if (id < 0) {
		*err = id;
		return NULL;
	}
	*e = (struct exec){ .machine = m, .id = id };
	m->n_execs++;
	return e;
}
