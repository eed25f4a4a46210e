/* SPDX-License-Identifier: Apache-2.0
 *
 * The system calls made at run time for taps and streams, for the sandbox.
 */
#ifndef PORT_PORT_SYSCALLS_H
#define PORT_PORT_SYSCALLS_H

#include "base/sandbox.h"

extern const struct syscall_list port_syscalls;

#endif
