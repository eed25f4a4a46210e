/* SPDX-License-Identifier: Apache-2.0
 *
 * The supervisor's thread: server, machines, their end; see supervisor.h.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "ctl/client.h"
#include "ctl/lab_api.h"
#include "ctl/supervisor.h"

enum {
	FDS_FIXED = 3,		/* wake, signals, server */
	TICK_START_MS = 20,	/* while something is being connected */
	TICK_BUSY_MS = 200,	/* while there is anything to look after */
	SERVER_TERM_MS = 3000,	/* for the server to end */
	SERVER_AGAIN_MS = 1000,	/* after its end, until it is started again */
};

void supervisor_wake(struct supervisor *s)
{
	const uint64_t one = 1;

	/* Full means that it will wake up anyway. */
	if (write(s->wake_fd, &one, sizeof(one)) < 0)
		return;
}

static void start_server(struct supervisor *s)
{
	char log[RUNDIR_MAX + 16];
	char *argv[] = {
		(char *)"serve", (char *)s->lab->file, (char *)"--run-dir",
		s->dir, (char *)"--api", s->server_api, NULL,
	};

	snprintf(log, sizeof(log), "%s/serve.log", s->dir);
	if (child_start(&s->server, argv, log))
		log_err("the NIC server: %s", s->server.reason);
}

/* The server's sockets are there as soon as its API answers.  One that ends
 * afterwards is started again, for the machines will come back to it; one that
 * cannot start at all would not the next time either. */
static void check_server(struct supervisor *s, uint64_t now_ns)
{
	struct reply reply;

	if (s->server_again_ns && now_ns >= s->server_again_ns) {
		s->server_again_ns = 0;
		if (!s->down)
			start_server(s);
	}
	if (child_ended(&s->server)) {
		if (s->server_up)
			s->server_again_ns = now_ns + SERVER_AGAIN_MS *
				NS_PER_MS;
		s->server_up = false;
		if (!s->down)
			log_err("the NIC server has ended: %s",
				s->server.reason);
	}
	if (s->server.pid && !s->server_up && !access(s->server_api, F_OK)) {
		s->server_up = client_request(s->server_api, "GET",
					      "/v1/worker", NULL, 1000,
					      &reply);
		reply_clear(&reply);
	}
}

static void start_machines(struct supervisor *s)
{
	s->machines_started = true;
	for (unsigned int i = 0; i < s->n_machines; i++) {
		struct machine *m = &s->machines[i];

		if (s->server.pid || !m->config->n_nics) {
			m->wish = WISH_START;
		} else {
			char reason[600];

			snprintf(reason, sizeof(reason),
				 "the NIC server ended: %s", s->server.reason);
			machine_refuse(m, reason);
		}
	}
}

/* Is every machine off, and told so if it is not? */
static bool machines_down(struct supervisor *s)
{
	bool all_off = true;

	for (unsigned int i = 0; i < s->n_machines; i++) {
		struct machine *m = &s->machines[i];

		if (!m->child.pid)
			continue;
		all_off = false;
		if (m->state != MACHINE_STOPPING && m->wish != WISH_KILL)
			m->wish = WISH_STOP;
	}
	return all_off;
}

static int tick_ms(const struct supervisor *s)
{
	int tick = -1;

	if (s->down || (s->server.pid && !s->server_up))
		return TICK_START_MS;
	if (s->server_again_ns)
		tick = TICK_BUSY_MS;
	for (unsigned int i = 0; i < s->n_machines; i++) {
		const struct machine *m = &s->machines[i];

		if (m->state == MACHINE_STARTING || m->wish != WISH_NONE)
			return TICK_START_MS;
		if (machine_busy(m))
			tick = TICK_BUSY_MS;
	}
	return tick;
}

/* Empty the descriptors that only wake. */
static void drain(struct supervisor *s)
{
	struct signalfd_siginfo info;
	uint64_t count;

	while (read(s->wake_fd, &count, sizeof(count)) > 0)
		;
	while (read(s->signal_fd, &info, sizeof(info)) > 0)
		s->down = true;
}

/* One round; false: the lab is down. */
static bool supervise(struct supervisor *s, struct pollfd *fds)
{
	nfds_t n_fds = FDS_FIXED + s->n_machines * MACHINE_POLLFDS;
	uint64_t now_ns = time_now_ns();
	int tick;

	check_server(s, now_ns);
	if (!s->machines_started && !s->down &&
	    (s->server_up || !s->server.pid))
		start_machines(s);
	if (s->down && machines_down(s))
		return false;
	for (unsigned int i = 0; i < s->n_machines; i++)
		machine_step(&s->machines[i], now_ns);

	fds[0] = (struct pollfd){ .fd = s->wake_fd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = s->signal_fd, .events = POLLIN };
	fds[2] = (struct pollfd){ .fd = s->server.pidfd, .events = POLLIN };
	for (unsigned int i = 0; i < s->n_machines; i++)
		machine_prepare(&s->machines[i],
				fds + FDS_FIXED + i * MACHINE_POLLFDS);
	tick = tick_ms(s);
	pthread_mutex_unlock(&s->lock);
	if (poll(fds, n_fds, tick) < 0 && errno != EINTR)
		log_limited(LOG_ERR, "poll: %s", strerror(errno));
	pthread_mutex_lock(&s->lock);
	drain(s);
	now_ns = time_now_ns();
	for (unsigned int i = 0; i < s->n_machines; i++)
		machine_service(&s->machines[i],
				fds + FDS_FIXED + i * MACHINE_POLLFDS, now_ns);
	return true;
}

static void stop_server(struct supervisor *s)
{
	struct pollfd p = { .fd = s->server.pidfd, .events = POLLIN };

	child_signal(&s->server, SIGTERM);
	if (s->server.pid && poll(&p, 1, SERVER_TERM_MS) == 0)
		child_signal(&s->server, SIGKILL);
	while (s->server.pid && !child_ended(&s->server))
		poll(&p, 1, -1);
}

static int open_fds(struct supervisor *s)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	s->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return s->signal_fd < 0 || s->wake_fd < 0 ? -errno : 0;
}

static int init(struct supervisor *s)
{
	int ret, n;

	ret = rundir_path(s->lab->name, s->dir);
	if (ret)
		return ret;
	n = snprintf(s->server_api, sizeof(s->server_api), "%s/serve.sock",
		     s->dir);
	if (n < 0 || (size_t)n >= sizeof(s->server_api))
		return -ENAMETOOLONG;
	s->machines = calloc(s->lab->n_machines, sizeof(*s->machines));
	if (!s->machines)
		return -ENOMEM;
	for (unsigned int i = 0; i < s->lab->n_machines; i++) {
		s->n_machines++;
		ret = machine_init(&s->machines[i], s, &s->lab->machines[i]);
		if (ret)
			return ret;
	}
	return open_fds(s);
}

static void fini(struct supervisor *s)
{
	for (unsigned int i = 0; i < s->n_machines; i++)
		machine_fini(&s->machines[i]);
	free(s->machines);
	fd_close(&s->wake_fd);
	fd_close(&s->signal_fd);
	pthread_mutex_destroy(&s->lock);
}

/* From the first child to the last. */
static int run(struct supervisor *s,
	       void (*started)(void *arg, const char *error), void *arg)
{
	nfds_t n_fds = FDS_FIXED + s->n_machines * MACHINE_POLLFDS;
	struct pollfd *fds = calloc(n_fds, sizeof(*fds));
	struct api *api;
	int ret;

	if (!fds)
		return -ENOMEM;
	/* Handlers wait at the lock until the first round sleeps. */
	pthread_mutex_lock(&s->lock);
	ret = lab_api_start(s, &api);
	if (ret) {
		pthread_mutex_unlock(&s->lock);
		goto out;
	}
	start_server(s);
	started(arg, NULL);
	while (supervise(s, fds))
		;
	stop_server(s);
	s->closed = true;
	for (unsigned int i = 0; i < s->n_machines; i++)
		machine_close(&s->machines[i]);
	pthread_mutex_unlock(&s->lock);
	api_stop(api);
out:
	free(fds);
	return ret;
}

/* Log and hand over why there is no lab. */
static void explain(const struct supervisor *s, int err,
		    void (*started)(void *arg, const char *error), void *arg)
{
	char text[RUNDIR_MAX + 128];

	if (err == -ENAMETOOLONG)
		snprintf(text, sizeof(text),
			 "the path of the runtime folder %s is too long for sockets; set BACKPLANE_RUNDIR to a shorter one",
			 s->dir);
	else
		snprintf(text, sizeof(text), "cannot supervise the lab: %s",
			 strerror(-err));
	log_err("%s", text);
	started(arg, text);
}

int supervisor_run(const struct lab *lab,
		   void (*started)(void *arg, const char *error), void *arg)
{
	struct supervisor s = {
		.lab = lab, .wake_fd = -1, .signal_fd = -1,
		.started_ns = time_now_ns(),
	};
	int ret;

	pthread_mutex_init(&s.lock, NULL);
	child_init(&s.server);
	ret = init(&s);
	/* From the start of the API on, run() cannot fail. */
	if (!ret)
		ret = run(&s, started, arg);
	if (ret)
		explain(&s, ret, started, arg);
	rundir_clean(lab->name, s.keep_logs);
	fini(&s);
	return ret;
}
