/* SPDX-License-Identifier: Apache-2.0
 *
 * A lab's supervisor: keeps a NIC server and one VMM per machine running, and
 * serves the API through which everybody else sees and changes the lab.
 *
 * Theory of operation.  One thread, supervisor_run(), owns everything that
 * happens: it starts children, moves bytes of consoles and agents, notices what
 * has ended, and steps each machine through its states.  API handlers run on
 * other threads; they look and leave wishes (machine->wish, supervisor->down)
 * under `lock`, and wake the thread.  The thread holds `lock` except while it
 * sleeps in poll().
 *
 * Locks: `lock` first, then whatever api_stream_*() takes inside.
 */
#ifndef CTL_SUPERVISOR_H
#define CTL_SUPERVISOR_H

#include <jansson.h>
#include <pthread.h>

#include "ctl/child.h"
#include "ctl/console.h"
#include "ctl/lab_config.h"
#include "ctl/rundir.h"

struct agent;
struct api_stream;
struct supervisor;

/*
 * What a machine is doing.  X(NAME, text).
 *
 *  STOPPED   no VMM; it was asked to stop, or the guest switched itself off.
 *            start -> STARTING
 *  STARTING  the VMM runs, its sockets are not there yet
 *  BOOTING   console and agent line are connected; the guest's agent has not
 *            reported.  A guest without the agent stays here.
 *  READY     the agent has reported: commands can be run
 *  STOPPING  asked to stop: power-off by the guest's agent, or where there is
 *            none the power button, then SIGTERM, then SIGKILL
 *  DEAD      the VMM ended unasked and not in order; reason says how.
 *            start -> STARTING
 */
#define MACHINE_STATES(X)						\
	X(STOPPED, "stopped")						\
	X(STARTING, "starting")						\
	X(BOOTING, "booting")						\
	X(READY, "ready")						\
	X(STOPPING, "stopping")						\
	X(DEAD, "dead")

enum machine_state {
#define X(name, text) MACHINE_##name,
	MACHINE_STATES(X)
#undef X
	N_MACHINE_STATES,
};

extern const char *const machine_state_names[N_MACHINE_STATES];

/* What a handler asked for, done by the supervisor's thread. */
enum machine_wish { WISH_NONE, WISH_START, WISH_STOP, WISH_KILL };

enum { EXECS_MAX = 32 };	/* commands at a time in a machine */

/* One command that an API client runs in a machine. */
struct exec {
	struct machine *machine;	/* where; NULL: unused */
	int id;				/* its number at the agent */
	struct api_stream *stream;	/* to the client */
	uint64_t stalled_ns;		/* since when the client reads nothing
					 * and the line waits; 0: it reads */
};

struct machine {
	/* Constant: */
	struct supervisor *supervisor;	/* whose */
	const struct lab_machine *config; /* what it shall be */
	char console_path[LAB_SOCKET_MAX]; /* the VMM's sockets */
	char agent_path[LAB_SOCKET_MAX];
	char api_path[LAB_SOCKET_MAX];

	/* Process and state: */
	struct child child;		/* the VMM */
	enum machine_state state;
	enum machine_wish wish;		/* written by handlers */
	char reason[512];		/* why it is DEAD or STOPPED */
	uint64_t ready_ns;		/* when it became READY; 0: not yet */
	uint64_t stop_step_ns;		/* STOPPING: when to get rougher */
	unsigned int stop_step;		/* STOPPING: how rough it was so far */

	/* Serial lines; -1: not connected. */
	int console_fd;
	int agent_fd;
	struct console console;
	struct agent *agent;
	struct exec execs[EXECS_MAX];
	unsigned int n_execs;		/* in use */
};

struct supervisor {
	pthread_mutex_t lock;		/* of all that is not constant */
	const struct lab *lab;		/* constant */
	char dir[RUNDIR_MAX];		/* the lab's folder; constant */
	char server_api[LAB_SOCKET_MAX]; /* the NIC server's API; constant */
	int wake_fd;			/* eventfd: handlers left a wish */
	int signal_fd;			/* SIGTERM, SIGINT */
	struct child server;		/* the NIC server */
	bool server_up;			/* its API answers */
	uint64_t server_again_ns;	/* when it is started again; 0: not */
	bool machines_started;		/* which waits for that */
	bool down;			/* the lab shall end */
	bool keep_logs;			/* and leave its logs behind */
	bool closed;			/* it has ended: no new streams */
	unsigned int n_machines;
	struct machine *machines;	/* as in the lab */
	uint64_t started_ns;		/* when */
};

/**
 * supervisor_run() - bring a lab up, serve it until it has gone down
 * @lab: whose folder's lock the caller holds
 * @started: called once, when the API answers, with NULL, or when that has
 *	failed, with one sentence why
 *
 * Return: 0 or -errno, with a message.
 */
int must_check supervisor_run(const struct lab *lab,
			      void (*started)(void *arg, const char *error),
			      void *arg);

/** supervisor_wake() - have the thread look at wishes; any thread */
void supervisor_wake(struct supervisor *supervisor);

/* Machines, in machine.c; all with the lock held.  On the supervisor's thread
 * unless said otherwise. */

int must_check machine_init(struct machine *machine, struct supervisor *s,
			    const struct lab_machine *config);
void machine_fini(struct machine *machine);

/** machine_close() - end every stream: the API is about to stop, and starts no
 * more */
void machine_close(struct machine *machine);

/** machine_step() - do what is due: wishes, connecting, stopping */
void machine_step(struct machine *machine, uint64_t now_ns);

/** machine_refuse() - it cannot be started, for @reason */
void machine_refuse(struct machine *machine, const char *reason);

/** machine_busy() - does machine_step() have to be called soon again? */
bool machine_busy(const struct machine *machine);

enum { MACHINE_POLLFDS = 3 };
struct pollfd;

/** machine_prepare() - fill in MACHINE_POLLFDS entries for poll() */
void machine_prepare(struct machine *machine, struct pollfd *fds);

/** machine_service() - move bytes after poll() */
void machine_service(struct machine *machine, const struct pollfd *fds,
		     uint64_t now_ns);

/**
 * machine_exec() - run a command; any thread
 *
 * Return: the command's place, whose stream the caller sets before it lets go
 * of the lock, or NULL with *@err as of agent_exec().
 */
struct exec *machine_exec(struct machine *machine, const char *const *argv,
			  unsigned int n_args, int *err);

/** machine_forget_exec() - hang up on a command whose stream there is none of;
 * any thread */
void machine_forget_exec(struct exec *exec);

/** exec_find() - a machine's command by its number; NULL; any thread */
struct exec *exec_find(struct machine *machine, int id);

#endif
