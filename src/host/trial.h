/* SPDX-License-Identifier: Apache-2.0
 *
 * A function in a process of its own, for what may fault, hang or change the
 * process it is done in.
 */
#ifndef HOST_TRIAL_H
#define HOST_TRIAL_H

#include "base/util.h"

/* How it ended. */
struct trial_end {
	int err;		/* 0, or -errno: there was no child */
	bool timed_out;		/* it was killed after its time */
	int signal;		/* the signal it got; 0: none */
	int status;		/* its exit status; 0: the function returned;
				 * a sanitizer's is another */
};

/**
 * trial_run() - run @fn(@arg) in a child
 * @arg: from trial_shared(), to see what it has written there
 *
 * A fault of the processor (SIGSEGV, SIGILL, SIGBUS, SIGFPE, SIGTRAP) ends the
 * child quietly: no core, no line in the kernel's log.
 */
struct trial_end trial_run(void (*fn)(void *arg), void *arg,
			    int timeout_ms);

/** trial_shared() - zeroed memory that children share; NULL: out of memory */
void *must_check trial_shared(size_t size);
void trial_unshare(void *shared, size_t size);

#endif
