/* SPDX-License-Identifier: Apache-2.0
 *
 * Two tiny guests, to see whether KVM really runs one.
 *
 * The first is a few instructions of real mode, where a processor starts.  The
 * second does in 64-bit mode and ring 0 what every kernel does; some KVMs
 * interpret real mode and simple code quite well, but cannot run a kernel.
 */
#ifndef HOST_GUEST_CODE_H
#define HOST_GUEST_CODE_H

#include <linux/kvm.h>
#include <stdint.h>

#include "base/util.h"

enum {
	GUEST_PORT = 0x80,		/* where both write GUEST_VALUE to */
	GUEST_VALUE = 0x42,
	GUEST_LOOPS = 1000000,		/* of its last step */
};

/* What the 64-bit guest does, in this order. */
enum guest_step {
	GUEST_STEP_NONE,	/* not even its first instruction */
	GUEST_STEP_RING,	/* looked at CS */
	GUEST_STEP_FLAGS,	/* cleared and set the interrupt flag */
	GUEST_STEP_TABLES,	/* reloaded CR3, set the IDT, used SWAPGS */
	GUEST_STEP_EXCEPTION,	/* took an exception and came back by IRET */
	GUEST_STEP_SSE,		/* SSE2, which belongs to x86-64 */
	GUEST_STEP_LOOP,	/* wrote to the port, then GUEST_LOOPS rounds */
};

/* What it leaves in its memory. */
struct guest_report {
	uint32_t step;		/* the last it has done, enum guest_step */
	uint32_t cs;
	uint64_t flags_cli;	/* after CLI */
	uint64_t flags_sti;	/* after STI */
	uint32_t n_exceptions;	/* its handler has seen */
	uint32_t sse;		/* ~0 */
};

/** guest_load_real() - put it into @ram (GUEST_RAM_MIN bytes or more) */
void guest_load_real(uint8_t *ram, struct kvm_regs *regs,
		     struct kvm_sregs *sregs);

/** guest_load_long() - the 64-bit one, with page tables, GDT and IDT */
void guest_load_long(uint8_t *ram, struct kvm_regs *regs,
		     struct kvm_sregs *sregs);

/** guest_report() - what the 64-bit one has left so far */
const struct guest_report *guest_report(const uint8_t *ram);

/** guest_step_name() - what it does in @step, after "failed to" */
const char *guest_step_name(enum guest_step step);

/** guest_fault() - what is wrong with one that has ended, or NULL */
const char *guest_fault(const struct guest_report *report);

#endif
