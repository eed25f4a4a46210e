/* SPDX-License-Identifier: Apache-2.0
 *
 * What a process gives up once it is set up: capabilities, new privileges, and
 * all system calls but those its parts name.
 *
 * Each part that needs system calls at run time has a `struct syscall_list`
 * beside the code that makes them; the program puts the lists of its parts
 * together.  Whatever has to be opened or created is opened before that.
 */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include "base/util.h"

struct syscall_list {
	const char *who;	/* the part, for messages */
	const int *nrs;		/* __NR_*; ends with -1 */
};

/**
 * sandbox_drop_privileges() - no capability, no new privileges, for good
 *
 * Also keeps all threads to one heap, as the filter needs it.
 * Belongs to a thread and is inherited by those it creates: call it before the
 * first one.  Return: 0 or -errno; on failure nothing may be served.
 */
int must_check sandbox_drop_privileges(void);

/**
 * sandbox_filter() - allow the listed system calls, in all threads, for good
 * @lists: ends with NULL
 *
 * Any other call ends the process with SIGSYS.  Call it last, when all threads
 * exist.  Return: 0 or -errno; on failure nothing may be served.
 */
int must_check sandbox_filter(const struct syscall_list *const *lists);

#endif
