/* SPDX-License-Identifier: Apache-2.0
 *
 * The system calls of vhost-user back-ends at run time, for the sandbox.
 */
#ifndef VHOST_USER_VHOST_USER_SYSCALLS_H
#define VHOST_USER_VHOST_USER_SYSCALLS_H

#include "base/sandbox.h"

extern const struct syscall_list vhost_user_syscalls;

#endif
