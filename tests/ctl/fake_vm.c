/* SPDX-License-Identifier: Apache-2.0
 *
 * A stand-in for `backplane vm`, so that labs can be tested without KVM: it
 * takes the same options and offers the same sockets, but its guest is the
 * guest's agent running on this host, at the end of a pseudo-terminal.  What
 * is typed on its console comes back.  The NICs are not connected, just listed;
 * of one that is to be taken out the guest lets go at the second look.
 *
 * Linked with the program's own main() and commands in the place of vm.c.  The
 * agent to run is $FAKE_VM_AGENT.  A machine named "broken" fails as a VMM
 * without KVM would; one named "mallory" prints on its console without end.
 * The agent's "poweroff" is what the test puts in PATH.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "cmd/cmd.h"
#include "ctl/api.h"
#include "ctl/lab_config.h"

struct fake_vm {
	const char *name;	/* --name */
	const char *api_path;	/* --api */
	const char *console;	/* --console, without "unix:" */
	const char *agent;	/* --agent, likewise */
	int console_fd;		/* connection; -1: none yet */
	int agent_fd;		/* connection; -1: none yet */
	int pty_fd;		/* the agent's line */
	pid_t guest;		/* the agent */
};

static void get_stats(struct api_request *request)
{
	api_reply(request, 200, json_pack("{s:{s:i}}", "exits", "io", 7));
}

enum { NICS_MAX = LAB_NICS_MAX };

/* The cards; on the API's one thread, once that runs. */
static struct {
	char id[64];	/* "": no card */
	unsigned int looks;	/* left until it is out; 0: it stays */
} nics[NICS_MAX];

static bool add_nic(const char *id)
{
	for (unsigned int i = 0; i < NICS_MAX; i++) {
		if (nics[i].id[0])
			continue;
		snprintf(nics[i].id, sizeof(nics[i].id), "%.*s",
			 (int)strcspn(id, ","), id);
		return true;
	}
	return false;
}

static void get_nics(struct api_request *request)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < NICS_MAX; i++) {
		if (nics[i].looks && !--nics[i].looks)
			nics[i].id[0] = '\0';
		if (nics[i].id[0])
			json_array_append_new(list, json_pack("{s:s}", "id",
							      nics[i].id));
	}
	api_reply(request, 200, json_pack("{s:o}", "nics", list));
}

static void post_nics(struct api_request *request)
{
	const char *id = json_string_value(json_object_get(api_body(request),
							   "id"));
	const char *path = json_string_value(json_object_get(
		api_body(request), "path"));

	if (strlen(path) < 5 || strcmp(path + strlen(path) - 5, ".sock"))
		api_error(request, 502, "no server at %s", path);
	else if (add_nic(id ? id : "nic0"))
		api_reply(request, 200, json_object());
	else
		api_error(request, 409, "no slot is free");
}

static void delete_nic(struct api_request *request)
{
	for (unsigned int i = 0; i < NICS_MAX; i++) {
		if (strcmp(nics[i].id, api_arg(request, 0)))
			continue;
		nics[i].looks = json_is_true(json_object_get(
			api_body(request), "pull")) ? 1 : 2;
		api_reply(request, 202, json_object());
		return;
	}
	api_error(request, 404, "there is no NIC %s", api_arg(request, 0));
}

/* A guest that obeys, unless the test has it deaf. */
static void post_power_button(struct api_request *request)
{
	api_reply(request, 202, json_object());
	if (!getenv("FAKE_VM_DEAF"))
		kill(getpid(), SIGUSR1);
}

static const struct api_route routes[] = {
	{ .method = "POST", .path = "/v1/power-button",
	  .handle = post_power_button, .help = "Power off." },
	{ .method = "GET", .path = "/v1/nics", .handle = get_nics,
	  .help = "The cards." },
	{ .method = "POST", .path = "/v1/nics", .handle = post_nics,
	  .help = "One more.",
	  .body = { { "path", JSON_STRING, true, "its socket" },
		    { "id", JSON_STRING, false, "its name" } } },
	{ .method = "DELETE", .path = "/v1/nics/NAME", .handle = delete_nic,
	  .help = "One less.",
	  .body = { { "pull", JSON_TRUE, false, "at once" } } },
	{ .method = "GET", .path = "/v1/stats", .handle = get_stats,
	  .help = "A constant." },
	{ 0 },
};

static int accept_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client;

	strcpy(addr.sun_path, path);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(fd, 1)) {
		log_err("%s: %s", path, strerror(errno));
		exit(EXIT_ERROR);
	}
	client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	close(fd);
	return client;
}

static void start_guest(struct fake_vm *vm)
{
	const char *agent = getenv("FAKE_VM_AGENT");
	struct termios raw;
	char line[64];
	int tty;

	cfmakeraw(&raw);
	raw.c_cflag |= CREAD | CS8;
	if (!agent || openpty(&vm->pty_fd, &tty, line, &raw, NULL)) {
		log_err("no agent or no pseudo-terminal");
		exit(EXIT_ERROR);
	}
	vm->guest = fork();
	if (!vm->guest) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setsid();
		close(vm->pty_fd);
		execl(agent, agent, line, NULL);
		_exit(EXIT_ERROR);
	}
	/* `tty` stays open, so that the line does not hang up before the agent
	 * has opened it. */
}

/* Move what there is from one descriptor to another; false: end of file. */
static bool move(int from, int to)
{
	char block[4096];
	ssize_t n = read(from, block, sizeof(block));

	for (ssize_t done = 0, w; done < n; done += w) {
		w = write(to, block + done, (size_t)(n - done));
		if (w <= 0)
			return false;
	}
	return n > 0;
}

/* What comes of a guest that prints without end: control bytes, no newline. */
static bool flood(int fd)
{
	static uint8_t block[65536];

	for (size_t i = 0; !block[sizeof(block) - 1]; i++)
		block[i] = (uint8_t)(i * 167 + (i >> 8));
	return send(fd, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL) >=
		0 || errno == EAGAIN;
}

/* Until the power goes, or whoever is at the other end of a line. */
static void run(struct fake_vm *vm, int signals)
{
	bool floods = !strcmp(vm->name, "mallory");
	struct signalfd_siginfo info;

	for (;;) {
		struct pollfd fds[] = {
			{ .fd = signals, .events = POLLIN },
			{ .fd = vm->console_fd, .events = POLLIN },
			{ .fd = vm->agent_fd, .events = POLLIN },
			{ .fd = vm->pty_fd, .events = POLLIN },
		};

		if (floods)
			fds[1].events |= POLLOUT;
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			return;
		if (fds[1].revents & POLLOUT && !flood(vm->console_fd))
			return;
		if (fds[0].revents &&
		    read(signals, &info, sizeof(info)) == sizeof(info)) {
			/* TERM: the plug; USR1: the guest's poweroff. */
			return;
		}
		if (fds[1].revents & ~POLLOUT &&
		    !move(vm->console_fd, vm->console_fd))
			return;
		if (fds[2].revents && !move(vm->agent_fd, vm->pty_fd))
			return;
		if (fds[3].revents && !move(vm->pty_fd, vm->agent_fd))
			return;
	}
}

static const char *unix_path(const char *spec)
{
	return strncmp(spec, "unix:", 5) ? "" : spec + 5;
}

static void parse(struct fake_vm *vm, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "name", required_argument, NULL, 'n' },
		{ "api", required_argument, NULL, 'a' },
		{ "console", required_argument, NULL, 'c' },
		{ "agent", required_argument, NULL, 'g' },
		{ "kernel", required_argument, NULL, 'x' },
		{ "initrd", required_argument, NULL, 'x' },
		{ "append", required_argument, NULL, 'x' },
		{ "cpus", required_argument, NULL, 'x' },
		{ "memory", required_argument, NULL, 'x' },
		{ "nic", required_argument, NULL, 'N' },
		{ "disk", required_argument, NULL, 'x' },
		{ "board", required_argument, NULL, 'x' },
		{ "spare-ports", required_argument, NULL, 'x' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'n')
			vm->name = optarg;
		else if (c == 'a')
			vm->api_path = optarg;
		else if (c == 'c')
			vm->console = unix_path(optarg);
		else if (c == 'g')
			vm->agent = unix_path(optarg);
		else if (c == 'N' && strstr(optarg, ",id="))
			add_nic(strstr(optarg, ",id=") + strlen(",id="));
		else if (c != 'x')
			exit(EXIT_USAGE);
	}
}

int cmd_vm(int argc, char **argv)
{
	struct fake_vm vm = { 0 };
	sigset_t set;
	int signals;
	const struct api_config config = { .routes = routes };
	struct api_config api_config = config;
	struct api *api;
	char pid[16];

	parse(&vm, argc, argv);
	if (!strcmp(vm.name, "broken")) {
		log_err("no virtual machines here");
		return EXIT_ERROR;
	}
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("FAKE_VM_PID", pid, 1);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	/* Before the first thread; the guest gets its signals back. */
	start_guest(&vm);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	api_config.path = vm.api_path;
	if (api_start(&api_config, &api))
		return EXIT_ERROR;
	vm.console_fd = accept_at(vm.console);
	vm.agent_fd = accept_at(vm.agent);
	if (write(vm.console_fd, "hello from ", 11) != 11 ||
	    write(vm.console_fd, vm.name, strlen(vm.name)) < 0)
		return EXIT_ERROR;
	run(&vm, signals);
	kill(vm.guest, SIGKILL);
	waitpid(vm.guest, NULL, 0);
	api_stop(api);
	return EXIT_OK;
}
