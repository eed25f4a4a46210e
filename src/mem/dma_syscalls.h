/* SPDX-License-Identifier: Apache-2.0
 *
 * The system calls of mapping clients' memory, for the sandbox.
 */
#ifndef MEM_DMA_SYSCALLS_H
#define MEM_DMA_SYSCALLS_H

#include "base/sandbox.h"

extern const struct syscall_list dma_syscalls;

#endif
