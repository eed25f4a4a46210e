/* SPDX-License-Identifier: Apache-2.0
 *
 * The system calls a running worker makes itself, for the sandbox.
 */
#ifndef LOOP_WORKER_SYSCALLS_H
#define LOOP_WORKER_SYSCALLS_H

#include "base/sandbox.h"

extern const struct syscall_list worker_syscalls;

#endif
