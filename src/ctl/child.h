/* SPDX-License-Identifier: Apache-2.0
 *
 * A process of the lab: another command of this binary, with a log of its own.
 * It dies with its parent.
 *
 * Threads: the one that started it (the kernel ties a child's life to the
 * thread, not to the process).
 */
#ifndef CTL_CHILD_H
#define CTL_CHILD_H

#include <stdint.h>
#include <sys/types.h>

#include "base/util.h"

struct child {
	pid_t pid;		/* 0: none runs */
	int pidfd;		/* readable when it has ended; -1: none */
	uint64_t started_ns;	/* when */
	char log[320];		/* file with its standard error and output */
	bool failed;		/* the last one did not end with status 0 */
	char reason[512];	/* how the last one ended, in words */
};

void child_init(struct child *child);

/**
 * child_start() - run `backplane ARGV...`
 * @argv: from the command's name on, ends with NULL
 * @log: file to be made anew, one that is there is renamed to @log.1; its end
 *	is quoted if the process fails
 *
 * Return: 0 or -errno; then nothing runs and child->reason says why.
 */
int must_check child_start(struct child *child, char *const *argv,
			   const char *log);

/** child_ended() - has it ended?  Then reason and failed are set. */
bool child_ended(struct child *child);

/** child_signal() - if it runs */
void child_signal(const struct child *child, int number);

#endif
