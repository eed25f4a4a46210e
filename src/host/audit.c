/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit of sensitive instructions; see audit.h.
 *
 * A run_ function executes its instruction in a child.  If that traps, the
 * child is gone, and audit_run() notes it; what comes after the instruction
 * says what it means that it did not.  Selectors are Linux's (the kernel's
 * arch/x86/include/asm/segment.h).
 */
#include "host/audit.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/audit_low.h"
#include "host/trial.h"

enum {
	TIMEOUT_MS = 10000,	/* of a host that is busy, too */

	SELECTOR_RPL = 3,	/* bits 1:0, the privilege asked for */
	USER_DATA = 0x2b,
	CPU_NUMBER = 0x7b,	/* its limit says which processor this is */

	FLAG_IF = BIT(9),
	FLAG_IOPL = 3 << 12,
	FLAG_IOPL_SHIFT = 12,

	/* A gate that no user may go through (an interrupt of the APIC's). */
	KERNEL_VECTOR = 0x81,
};

/* What Linux stores for SGDT when UMIP has made it trap (umip.c).  A real table
 * is never without a limit. */
#define UMIP_DUMMY_GDT_BASE 0xfffffffffffe0000ull

/* What SGDT and SIDT store. */
struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static void printf_like(3, 4) saw(struct audit_seen *seen,
				  enum audit_outcome outcome,
				  const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(seen->note, sizeof(seen->note), fmt, args);
	va_end(args);
	seen->outcome = outcome;
}

/* The red zone below RSP is the compiler's: step over it before a push. */
#define SKIP_RED_ZONE "lea -128(%%rsp), %%rsp\n\t"
#define BACK_OVER_RED_ZONE "lea 128(%%rsp), %%rsp\n\t"

static uint64_t read_flags(void)
{
	uint64_t flags;

	__asm__ volatile(SKIP_RED_ZONE
			 "pushfq\n\t"
			 "popq %0\n\t"
			 BACK_OVER_RED_ZONE : "=r"(flags));
	return flags;
}

static uint16_t read_cs(void)
{
	uint16_t cs;

	__asm__ volatile("movw %%cs, %0" : "=r"(cs));
	return cs;
}

static uint16_t read_ss(void)
{
	uint16_t ss;

	__asm__ volatile("movw %%ss, %0" : "=r"(ss));
	return ss;
}

static void saw_table(struct audit_seen *seen,
		      const struct table_register *table)
{
	saw(seen, AUDIT_LEAKS, "at %#llx, limit %#x",
	    (unsigned long long)table->base, table->limit);
}

static void run_sgdt(struct audit_seen *seen)
{
	struct table_register table = { 0 };

	__asm__ volatile("sgdt %0" : "=m"(table));
	saw_table(seen, &table);
	if (!table.limit && table.base == UMIP_DUMMY_GDT_BASE)
		seen->outcome = AUDIT_EMULATED;
}

static void run_sidt(struct audit_seen *seen)
{
	struct table_register table = { 0 };

	__asm__ volatile("sidt %0" : "=m"(table));
	saw_table(seen, &table);
}

static void run_sldt(struct audit_seen *seen)
{
	uint16_t selector;

	__asm__ volatile("sldt %0" : "=m"(selector));
	saw(seen, AUDIT_LEAKS, "selector 0x%04x", selector);
}

static void run_str(struct audit_seen *seen)
{
	uint16_t selector;

	__asm__ volatile("str %0" : "=m"(selector));
	saw(seen, AUDIT_LEAKS, "selector 0x%04x", selector);
}

static void run_smsw(struct audit_seen *seen)
{
	uint64_t cr0;

	__asm__ volatile("smsw %0" : "=r"(cr0));
	saw(seen, AUDIT_LEAKS, "%#llx", (unsigned long long)cr0);
}

static void run_pushf(struct audit_seen *seen)
{
	uint64_t flags = read_flags();

	saw(seen, AUDIT_LEAKS, "the real IF = %d and IOPL = %d",
	    !!(flags & FLAG_IF), (int)(flags & FLAG_IOPL) >> FLAG_IOPL_SHIFT);
}

/* Was the request to clear IF and to set IOPL to 3 heard? */
static void saw_flags_kept(struct audit_seen *seen)
{
	uint64_t flags = read_flags();

	if (flags & FLAG_IF && !(flags & FLAG_IOPL))
		saw(seen, AUDIT_IGNORED,
		    "IF stays 1, IOPL 0 when told to change");
	else
		saw(seen, AUDIT_LEAKS, "changed the real IF or IOPL: flags %#llx",
		    (unsigned long long)flags);
}

static void run_popf(struct audit_seen *seen)
{
	uint64_t flags = (read_flags() & ~(uint64_t)FLAG_IF) | FLAG_IOPL;

	__asm__ volatile(SKIP_RED_ZONE
			 "pushq %0\n\t"
			 "popfq\n\t"
			 BACK_OVER_RED_ZONE : : "r"(flags) : "cc");
	saw_flags_kept(seen);
}

static void run_lar(struct audit_seen *seen)
{
	uint32_t rights = 0;
	bool valid;

	__asm__ volatile("lar %2, %0" : "+r"(rights), "=@ccz"(valid)
			 : "r"((uint32_t)read_cs()));
	saw(seen, AUDIT_LEAKS, "%s the real GDT: rights %#x",
	    valid ? "reads" : "tests", rights);
}

static void run_lsl(struct audit_seen *seen)
{
	uint32_t limit = 0;
	bool valid;

	__asm__ volatile("lsl %2, %0" : "+r"(limit), "=@ccz"(valid)
			 : "r"((uint32_t)CPU_NUMBER));
	if (valid)
		saw(seen, AUDIT_LEAKS,
		    "the real GDT: processor %u",
		    limit & 0xfff);
	else
		saw(seen, AUDIT_LEAKS, "tests an entry of the real GDT");
}

static void run_verr(struct audit_seen *seen)
{
	bool readable;

	__asm__ volatile("verr %w1" : "=@ccz"(readable)
			 : "r"((uint32_t)USER_DATA));
	saw(seen, AUDIT_LEAKS, "tests the real GDT: %s",
	    readable ? "readable" : "not readable");
}

static void run_verw(struct audit_seen *seen)
{
	bool writable;

	__asm__ volatile("verw %w1" : "=@ccz"(writable)
			 : "r"((uint32_t)USER_DATA));
	saw(seen, AUDIT_LEAKS, "tests the real GDT: %s",
	    writable ? "writable" : "not writable");
}

static void run_mov_from_segment(struct audit_seen *seen)
{
	uint16_t cs = read_cs();

	saw(seen, AUDIT_LEAKS, "CS is 0x%04x: ring %d, not 0", cs,
	    cs & SELECTOR_RPL);
}

static void run_push_segment(struct audit_seen *seen)
{
	uint64_t fs;

	__asm__ volatile(SKIP_RED_ZONE
			 "pushq %%fs\n\t"
			 "popq %0\n\t"
			 BACK_OVER_RED_ZONE : "=r"(fs));
	saw(seen, AUDIT_LEAKS, "the real FS = 0x%04llx",
	    (unsigned long long)fs);
}

/* DS has no base in 64-bit mode, so nothing is lost by loading it. */
static void run_mov_to_segment(struct audit_seen *seen)
{
	uint16_t asked = USER_DATA & ~SELECTOR_RPL, got;

	__asm__ volatile("movw %1, %%ds\n\t"
			 "movw %%ds, %0" : "=r"(got) : "r"(asked));
	saw(seen, AUDIT_LEAKS, "loads 0x%04x from the real GDT", got);
}

static bool map_low(struct audit_low *low, struct audit_seen *seen)
{
	if (audit_low_map(low))
		return true;
	saw(seen, AUDIT_UNTRIED,
	    "cannot tell where code below 2 GiB is not allowed");
	return false;
}

static void run_far_call(struct audit_seen *seen)
{
	struct far_pointer target = { .selector = read_cs() };
	struct audit_low low;
	uint32_t pushed;

	if (!map_low(&low, seen))
		return;
	target.offset = low.call_target;
	pushed = low.call(&target, low.stack);
	saw(seen, AUDIT_LEAKS, "stacks the real CS, 0x%04x", pushed);
}

static void run_far_jmp(struct audit_seen *seen)
{
	uint16_t asked = read_cs() & ~SELECTOR_RPL;
	struct far_pointer target = { .selector = asked };
	struct audit_low low;
	uint32_t got;

	if (!map_low(&low, seen))
		return;
	target.offset = low.jump_target;
	got = low.jump(&target);
	saw(seen, AUDIT_IGNORED, "asked for ring %d, goes on in ring %d",
	    asked & SELECTOR_RPL, got & SELECTOR_RPL);
}

/* Were this ring 0, it would take RIP, CS, RSP and SS. */
static void run_far_ret(struct audit_seen *seen)
{
	uint64_t before, after;

	__asm__ volatile(SKIP_RED_ZONE
			 "movq %%rsp, %0\n\t"
			 "pushq %2\n\t"
			 "leaq 1f(%%rip), %1\n\t"
			 "pushq %1\n\t"
			 "lretq\n"
			 "1:\n\t"
			 "movq %%rsp, %1\n\t"
			 "movq %0, %%rsp\n\t"
			 BACK_OVER_RED_ZONE
			 : "=&r"(before), "=&r"(after)
			 : "r"((uint64_t)read_cs()) : "memory");
	if (after == before)
		saw(seen, AUDIT_IGNORED,
		    "to ring 3, stack not changed");
	else
		saw(seen, AUDIT_LEAKS, "RSP differs by %lld",
		    (long long)(after - before));
}

static void run_iret(struct audit_seen *seen)
{
	uint64_t flags = (read_flags() & ~(uint64_t)FLAG_IF) | FLAG_IOPL;
	uint64_t rsp, rip;

	__asm__ volatile(SKIP_RED_ZONE
			 "movq %%rsp, %0\n\t"
			 "leaq 1f(%%rip), %1\n\t"
			 "pushq %2\n\t"
			 "pushq %0\n\t"
			 "pushq %3\n\t"
			 "pushq %4\n\t"
			 "pushq %1\n\t"
			 "iretq\n"
			 "1:\n\t"
			 BACK_OVER_RED_ZONE
			 : "=&r"(rsp), "=&r"(rip)
			 : "r"((uint64_t)read_ss()), "r"(flags),
			   "r"((uint64_t)read_cs()) : "memory", "cc");
	saw_flags_kept(seen);
}

static void run_int(struct audit_seen *seen)
{
	__asm__ volatile("int %0" : : "i"(KERNEL_VECTOR));
	saw(seen, AUDIT_LEAKS, "went through a gate of the kernel's");
}

/* Instructions that have always been privileged: what it looks like when
 * trap and emulate works. */
static void run_cli(struct audit_seen *seen)
{
	__asm__ volatile("cli");
	saw_flags_kept(seen);
}

static void run_hlt(struct audit_seen *seen)
{
	__asm__ volatile("hlt");
	saw(seen, AUDIT_IGNORED, "did not halt");
}

static void run_lgdt(struct audit_seen *seen)
{
	struct table_register table = { 0 };

	__asm__ volatile("lgdt %0" : : "m"(table));
	saw(seen, AUDIT_IGNORED, "loaded nothing");
}

static void run_mov_from_cr(struct audit_seen *seen)
{
	uint64_t cr3;

	__asm__ volatile("movq %%cr3, %0" : "=r"(cr3));
	saw(seen, AUDIT_LEAKS, "%#llx", (unsigned long long)cr3);
}

const struct audit_row audit_rows[] = {
	{ "SGDT", "GDT", true, run_sgdt },
	{ "SIDT", "IDT", true, run_sidt },
	{ "SLDT", "LDT", true, run_sldt },
	{ "STR", "task register", true, run_str },
	{ "SMSW", "CR0", true, run_smsw },
	{ "PUSHF", "flags", false, run_pushf },
	{ "POPF", "flags", false, run_popf },
	{ "LAR", "descriptor", false, run_lar },
	{ "LSL", "descriptor", false, run_lsl },
	{ "VERR", "descriptor", false, run_verr },
	{ "VERW", "descriptor", false, run_verw },
	{ "MOV from segment", "ring", false, run_mov_from_segment },
	{ "PUSH segment", "selector", false, run_push_segment },
	{ "MOV to segment", "descriptor", false, run_mov_to_segment },
	{ "far CALL", "ring", false, run_far_call },
	{ "far JMP", "ring", false, run_far_jmp },
	{ "far RET", "ring", false, run_far_ret },
	{ "IRET", "flags", false, run_iret },
	{ "INT n", "gate of the IDT", false, run_int },
	{ "CLI", "flags", false, run_cli },
	{ "HLT", "processor", false, run_hlt },
	{ "LGDT", "GDT", false, run_lgdt },
	{ "MOV from CR3", "page tables", false, run_mov_from_cr },
};
const unsigned int n_audit_rows = ARRAY_SIZE(audit_rows);
_Static_assert(ARRAY_SIZE(audit_rows) <= AUDIT_ROWS_MAX, "too many rows");

/* A row and where its child writes. */
struct execution {
	const struct audit_row *row;
	struct audit_seen seen;
};

static void execute(void *arg)
{
	struct execution *execution = arg;

	execution->row->run(&execution->seen);
}

static void audit_one(const struct audit_row *row,
		      struct execution *execution, struct audit_seen *seen)
{
	struct trial_end end;

	*execution = (struct execution){ .row = row };
	end = trial_run(execute, execution, TIMEOUT_MS);
	*seen = execution->seen;
	if (end.signal) {
		saw(seen, AUDIT_TRAPS, "SIG%s", sigabbrev_np(end.signal));
		seen->signal = end.signal;
	} else if (end.err) {
		saw(seen, AUDIT_UNTRIED, "no child process: %s",
		    strerror(-end.err));
	} else if (end.timed_out) {
		saw(seen, AUDIT_UNTRIED, "no end within %d ms", TIMEOUT_MS);
	} else if (end.status) {
		saw(seen, AUDIT_UNTRIED, "its process failed with status %d",
		    end.status);
	}
}

void audit_run(struct audit *audit)
{
	struct execution *execution = trial_shared(sizeof(*execution));

	*audit = (struct audit){ 0 };
	for (unsigned int i = 0; i < n_audit_rows; i++) {
		if (execution)
			audit_one(&audit_rows[i], execution, &audit->seen[i]);
		else
			saw(&audit->seen[i], AUDIT_UNTRIED, "out of memory");
	}
	trial_unshare(execution, sizeof(*execution));
	audit_add_up(audit);
}

void audit_add_up(struct audit *audit)
{
	/* The first row, SGDT, is the one whose made-up value differs from any
	 * real one; those of the others are what a real Linux would show. */
	audit->umip = audit->seen[0].outcome == AUDIT_TRAPS ||
		      audit->seen[0].outcome == AUDIT_EMULATED;
	for (unsigned int i = 0; i < n_audit_rows; i++) {
		struct audit_seen *seen = &audit->seen[i];

		if (audit->umip && audit_rows[i].umip &&
		    seen->outcome == AUDIT_LEAKS)
			seen->outcome = AUDIT_EMULATED;
		audit->n[seen->outcome]++;
	}
}

bool audit_virtualizable(const struct audit *audit)
{
	return audit->n[AUDIT_TRAPS] + audit->n[AUDIT_EMULATED] ==
	       n_audit_rows;
}

const char *audit_outcome_name(enum audit_outcome outcome)
{
	static const char *const names[] = {
		[AUDIT_UNTRIED] = "unknown",
		[AUDIT_TRAPS] = "traps",
		[AUDIT_EMULATED] = "emulated",
		[AUDIT_IGNORED] = "ignored",
		[AUDIT_LEAKS] = "leaks",
	};

	return names[outcome];
}
