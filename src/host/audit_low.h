/* SPDX-License-Identifier: Apache-2.0
 *
 * Far transfers of control, for the audit.  A far pointer has a 32-bit offset
 * (on AMD's always; AMD64 manual volume 3, "CALL (Far)"), so what they jump
 * from and to is copied to the lowest 2 GiB.  So is the stack of the call:
 * QEMU's emulation takes a 32-bit call to have a 32-bit stack pointer.
 */
#ifndef HOST_AUDIT_LOW_H
#define HOST_AUDIT_LOW_H

#include <stdint.h>

#include "base/util.h"

/* m16:32, the operand of a far CALL or JMP. */
struct far_pointer {
	uint32_t offset;
	uint16_t selector;
} __attribute__((packed));

/* The routines there.  @target: filled by audit_low_map(), @selector for the
 * caller to choose. */
struct audit_low {
	/* Far CALL; returns the CS that it put on the stack. */
	uint32_t (*call)(const struct far_pointer *target, char *stack);
	/* Far JMP; returns the CS that it ended up with. */
	uint32_t (*jump)(const struct far_pointer *target);
	char *stack;		/* for call; its end */
	uint32_t call_target;	/* where call has to go */
	uint32_t jump_target;	/* where jump has to go */
};

/** audit_low_map() - false: such a mapping is not allowed here */
bool must_check audit_low_map(struct audit_low *low);

#endif
