/* SPDX-License-Identifier: Apache-2.0
 *
 * Code for far calls and jumps; see audit_low.h.
 */
#include "host/audit_low.h"

#include <string.h>
#include <sys/mman.h>

enum { PAGE_LEN = 4096 };

/* audit_low_asm.S */
extern const char audit_low_start[], audit_low_call[], audit_low_call_target[],
	audit_low_jump[], audit_low_jump_target[], audit_low_end[];

/* Where a label of the code is in the copy at @base. */
static uintptr_t in_copy(const char *base, const char *label)
{
	return (uintptr_t)base + (uintptr_t)label - (uintptr_t)audit_low_start;
}

bool audit_low_map(struct audit_low *low)
{
	size_t len = (uintptr_t)audit_low_end - (uintptr_t)audit_low_start;
	/* The code's page, then the stack's. */
	char *base = mmap(NULL, 2 * PAGE_LEN, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (base == MAP_FAILED)
		return false;
	memcpy(base, audit_low_start, len);
	if (mprotect(base, PAGE_LEN, PROT_READ | PROT_EXEC) < 0) {
		munmap(base, 2 * PAGE_LEN);
		return false;
	}
	low->call = (uint32_t (*)(const struct far_pointer *, char *))
		in_copy(base, audit_low_call);
	low->jump = (uint32_t (*)(const struct far_pointer *))
		in_copy(base, audit_low_jump);
	low->stack = base + 2 * PAGE_LEN;
	low->call_target = (uint32_t)in_copy(base, audit_low_call_target);
	low->jump_target = (uint32_t)in_copy(base, audit_low_jump_target);
	return true;
}
