/* SPDX-License-Identifier: Apache-2.0
 *
 * A machine's control API: what its VMM counts, and its network cards.
 */
#ifndef CTL_VM_API_H
#define CTL_VM_API_H

#include "ctl/api.h"

struct vm;

extern const struct api_route vm_api_routes[];

/**
 * vm_api_start() - serve it on a socket
 * @vm: from vm_create(); outlives the API
 *
 * Return: 0 or -errno, with a message.
 */
int must_check vm_api_start(const char *path, struct vm *vm, struct api **api);

#endif
