/* SPDX-License-Identifier: Apache-2.0
 *
 * The system calls of a running vfio-user server, for the sandbox.
 */
#ifndef VFIO_USER_SERVER_SYSCALLS_H
#define VFIO_USER_SERVER_SYSCALLS_H

#include "base/sandbox.h"

extern const struct syscall_list vfu_server_syscalls;

#endif
