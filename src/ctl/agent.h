/* SPDX-License-Identifier: Apache-2.0
 *
 * The host's side of the guest agent: runs commands in a guest over a serial
 * line, several at once.  The frames and their rules: agent_wire.h.
 *
 * It knows the protocol, not the line: the owner feeds in what was read
 * (agent_input()), writes out what is to be sent (agent_output(),
 * agent_sent()) and says what time it is.
 *
 * Life of a command: agent_exec() gives it a number; output and errors are
 * told through struct agent_sink; the last call for it is exited(), after which
 * the number is free.  agent_abandon() takes the sink away and ends the command
 * as a hung-up terminal would.
 *
 * The guest is hostile: whatever it sends is bounded, and told apart from the
 * frames by their check.
 *
 * Threads: none of its own; the owner locks.  Sinks are called from within
 * agent_input(), agent_tick() and agent_detach(), and may not call back.
 */
#ifndef CTL_AGENT_H
#define CTL_AGENT_H

#include <stdint.h>

#include "base/util.h"

struct agent;

/* Who listens to a command. */
struct agent_sink {
	/* Bytes from standard output or error. */
	void (*output)(void *arg, bool is_stderr, const void *data, size_t len);
	/* A sentence of the agent's about this command; not NUL-terminated. */
	void (*error)(void *arg, const char *text, size_t len);
	/* It has ended; @status as of a shell, or -1: the guest went away. */
	void (*exited)(void *arg, int status);
};

/** agent_create() - NULL: out of memory */
struct agent *agent_create(void);

/** agent_destroy() - after agent_detach(); NULL is fine */
void agent_destroy(struct agent *agent);

/** agent_attach() - there is a line now; says hello over it */
void agent_attach(struct agent *agent, uint64_t now_ns);

/** agent_detach() - the line is gone; every command ends with -1 */
void agent_detach(struct agent *agent);

/** agent_ready() - has the guest's agent answered? */
bool agent_ready(const struct agent *agent);

/** agent_input() - what was read from the line */
void agent_input(struct agent *agent, const void *data, size_t len,
		 uint64_t now_ns);

/** agent_output() - what is to be written; NULL: nothing */
const void *agent_output(struct agent *agent, size_t *len);

/** agent_sent() - the first @len of those were written */
void agent_sent(struct agent *agent, size_t len);

/** agent_tick() - do what is due; to be called some times a second while a
 * command runs, agent_busy(), or the agent is not ready */
void agent_tick(struct agent *agent, uint64_t now_ns);

/** agent_busy() - is there a command that has been abandoned and goes on? */
bool agent_busy(const struct agent *agent);

/**
 * agent_exec() - start a command
 *
 * Return: its number (> 0); -ENOTCONN: the agent is not ready; -EBUSY: too many
 * commands; -E2BIG: the arguments are too long; -EINVAL: there are none;
 * -EAGAIN: the guest does not read what is sent to it; -ENOMEM.
 */
int must_check agent_exec(struct agent *agent, const char *const *argv,
			  unsigned int n_args, const struct agent_sink *sink,
			  void *arg);

/**
 * agent_stdin() - bytes for a command's standard input; none: end of file
 *
 * Return: 0; -EAGAIN: too much is waiting already, try again later; -ENOENT: no
 * such command; -EPIPE: after the end of file; -ENOMEM.
 */
int must_check agent_stdin(struct agent *agent, int id, const void *data,
			   size_t len);

/** agent_signal() - 0; -ENOENT; -EAGAIN: as of agent_exec(); -ENOMEM */
int must_check agent_signal(struct agent *agent, int id, uint8_t number);

/** agent_abandon() - hang up on a command; its sink is not called again */
void agent_abandon(struct agent *agent, int id);

#endif
