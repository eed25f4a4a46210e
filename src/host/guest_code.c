/* SPDX-License-Identifier: Apache-2.0
 *
 * The guests of `backplane host`; see guest_code.h.  References: Intel SDM
 * volume 3, 4.5 (4-level paging), 6.14 (64-bit IDT), 9.8.5 (IA-32e mode).
 */
#include "host/guest_code.h"

#include <stddef.h>
#include <string.h>

#include "host/guest_numbers.h"

/* Where things lie in the guest's first 2 MiB, which it sees as they are. */
enum {
	GDT_GPA = 0x500,
	PML4_GPA = 0x1000,
	PDPT_GPA = 0x2000,
	PD_GPA = 0x3000,
	IDT_GPA = 0x4000,
	REPORT_GPA = 0x5000,
	STACK_GPA = 0x7000,	/* grows down */
	CODE_GPA = 0x8000,
};

enum {
	CODE_SELECTOR = 0x08,
	DATA_SELECTOR = 0x10,
	IDT_ENTRIES = 32,

	PAGE_PRESENT = BIT(0), PAGE_WRITE = BIT(1), PAGE_LARGE = BIT(7),
	GATE_INTERRUPT = 0x8e00,	/* present, DPL 0, 64-bit interrupt */

	FLAGS_ALWAYS = BIT(1),
	FLAG_IF = BIT(9),
};

#define CR0_PE BIT64(0)
#define CR0_MP BIT64(1)
#define CR0_ET BIT64(4)
#define CR0_NE BIT64(5)
#define CR0_WP BIT64(16)
#define CR0_PG BIT64(31)
#define CR4_PAE BIT64(5)
#define CR4_OSFXSR BIT64(9)
#define CR4_OSXMMEXCPT BIT64(10)
#define EFER_LME BIT64(8)
#define EFER_LMA BIT64(10)

#define GDT_CODE_64 0x00af9b000000ffffull
#define GDT_DATA 0x00cf93000000ffffull

_Static_assert(offsetof(struct guest_report, step) == AT_STEP &&
	       offsetof(struct guest_report, cs) == AT_CS &&
	       offsetof(struct guest_report, flags_cli) == AT_FLAGS_CLI &&
	       offsetof(struct guest_report, flags_sti) == AT_FLAGS_STI &&
	       offsetof(struct guest_report, n_exceptions) == AT_EXCEPTIONS &&
	       offsetof(struct guest_report, sse) == AT_SSE,
	       "the code of the guest writes it");
_Static_assert(REPORT == REPORT_GPA && PORT == GUEST_PORT &&
	       VALUE == GUEST_VALUE && LOOPS == GUEST_LOOPS,
	       "the code of the guest has the same numbers");

/* guest_code_asm.S */
extern const char guest_real[], guest_real_end[], guest_long[],
	guest_long_ud[], guest_long_end[];

static size_t distance(const char *from, const char *to)
{
	return (size_t)((uintptr_t)to - (uintptr_t)from);
}

void guest_load_real(uint8_t *ram, struct kvm_regs *regs,
		     struct kvm_sregs *sregs)
{
	memcpy(ram + CODE_GPA, guest_real,
	       distance(guest_real, guest_real_end));
	sregs->cs.base = 0;
	sregs->cs.selector = 0;
	*regs = (struct kvm_regs){ .rip = CODE_GPA, .rsp = STACK_GPA,
				   .rflags = FLAGS_ALWAYS };
}

static void put_u64(uint8_t *ram, unsigned int gpa, uint64_t value)
{
	memcpy(ram + gpa, &value, sizeof(value));
}

/* The first 2 MiB, one to one. */
static void put_page_tables(uint8_t *ram)
{
	put_u64(ram, PML4_GPA, PDPT_GPA | PAGE_PRESENT | PAGE_WRITE);
	put_u64(ram, PDPT_GPA, PD_GPA | PAGE_PRESENT | PAGE_WRITE);
	put_u64(ram, PD_GPA, PAGE_PRESENT | PAGE_WRITE | PAGE_LARGE);
}

/* GDT; an IDT with a gate for #UD only, and the operand of LIDT. */
static void put_descriptors(uint8_t *ram)
{
	uint64_t handler = CODE_GPA + distance(guest_long, guest_long_ud);
	uint16_t limit = IDT_ENTRIES * 16 - 1;

	put_u64(ram, GDT_GPA + CODE_SELECTOR, GDT_CODE_64);
	put_u64(ram, GDT_GPA + DATA_SELECTOR, GDT_DATA);
	put_u64(ram, IDT_GPA + UD_VECTOR * 16,
		handler | CODE_SELECTOR << 16 |
		(uint64_t)GATE_INTERRUPT << 32);
	memcpy(ram + IDT_POINTER, &limit, sizeof(limit));
	put_u64(ram, IDT_POINTER + sizeof(limit), IDT_GPA);
}

void guest_load_long(uint8_t *ram, struct kvm_regs *regs,
		     struct kvm_sregs *sregs)
{
	const struct kvm_segment code = {
		.limit = UINT32_MAX, .selector = CODE_SELECTOR, .type = 0xb,
		.present = 1, .s = 1, .l = 1, .g = 1,
	};
	const struct kvm_segment data = {
		.limit = UINT32_MAX, .selector = DATA_SELECTOR, .type = 0x3,
		.present = 1, .s = 1, .db = 1, .g = 1,
	};

	memset(ram + REPORT_GPA, 0, sizeof(struct guest_report));
	memcpy(ram + CODE_GPA, guest_long,
	       distance(guest_long, guest_long_end));
	put_page_tables(ram);
	put_descriptors(ram);
	sregs->gdt = (struct kvm_dtable){ .base = GDT_GPA, .limit = 0x17 };
	sregs->cs = code;
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
	sregs->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	sregs->cr3 = PML4_GPA;
	sregs->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	sregs->efer = EFER_LME | EFER_LMA;
	*regs = (struct kvm_regs){ .rip = CODE_GPA, .rsp = STACK_GPA,
				   .rflags = FLAGS_ALWAYS };
}

const struct guest_report *guest_report(const uint8_t *ram)
{
	return (const struct guest_report *)(ram + REPORT_GPA);
}

const char *guest_step_name(enum guest_step step)
{
	static const char *const names[] = {
		[GUEST_STEP_NONE] = "start",
		[GUEST_STEP_RING] = "read CS",
		[GUEST_STEP_FLAGS] = "change the interrupt flag",
		[GUEST_STEP_TABLES] = "set up its tables (CR3, LIDT, SWAPGS)",
		[GUEST_STEP_EXCEPTION] = "handle an exception",
		[GUEST_STEP_SSE] = "use SSE2",
		[GUEST_STEP_LOOP] = "count in a loop",
	};

	return step < ARRAY_SIZE(names) ? names[step] : "end";
}

const char *guest_fault(const struct guest_report *report)
{
	if (report->step != GUEST_STEP_LOOP)
		return "it halted before its end";
	if (report->cs != CODE_SELECTOR)
		return "its ring 0 is not ring 0 (CS)";
	if (report->flags_cli & FLAG_IF || !(report->flags_sti & FLAG_IF))
		return "CLI and STI do not change its interrupt flag";
	if (report->n_exceptions != 1)
		return "its exception was not delivered once";
	if (report->sse != UINT32_MAX)
		return "SSE2 gave a wrong result";
	return NULL;
}
