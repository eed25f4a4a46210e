/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions in a process of their own; what the audit makes of made-up
 * outcomes, and of this processor where any x86-64 has to answer the same.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/audit.h"
#include "host/trial.h"

enum { TIMEOUT_MS = 5000, SHORT_MS = 50 };

static void write_and_return(void *arg)
{
	*(int *)arg = 42;
}

static void exit_with_7(void *arg)
{
	_exit(7);
}

static void fault(void *arg)
{
	__asm__ volatile("ud2");
}

static void end_by_sigterm(void *arg)
{
	raise(SIGTERM);
}

static void hang(void *arg)
{
	for (;;)
		pause();
}

static void test_trial(void **state)
{
	int *shared = trial_shared(sizeof(*shared));
	struct trial_end end;

	assert_non_null(shared);
	end = trial_run(write_and_return, shared, TIMEOUT_MS);
	assert_false(end.err || end.timed_out || end.signal || end.status);
	assert_int_equal(*shared, 42);
	trial_unshare(shared, sizeof(*shared));

	assert_int_equal(trial_run(exit_with_7, NULL, TIMEOUT_MS).status, 7);
	assert_int_equal(trial_run(fault, NULL, TIMEOUT_MS).signal, SIGILL);
	assert_int_equal(trial_run(end_by_sigterm, NULL, TIMEOUT_MS).signal,
			 SIGTERM);
	end = trial_run(hang, NULL, SHORT_MS);
	assert_true(end.timed_out);
	/* All of them have been waited for. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static unsigned int row_of(const char *name)
{
	for (unsigned int i = 0; i < n_audit_rows; i++)
		if (!strcmp(audit_rows[i].name, name))
			return i;
	fail_msg("no row %s", name);
	return 0;
}

/* An audit in which all rows have one outcome. */
static struct audit all(enum audit_outcome outcome)
{
	struct audit audit = { 0 };

	for (unsigned int i = 0; i < n_audit_rows; i++)
		audit.seen[i].outcome = outcome;
	return audit;
}

static void test_virtualizable_if_all_trap(void **state)
{
	struct audit audit = all(AUDIT_TRAPS);

	audit_add_up(&audit);
	assert_true(audit_virtualizable(&audit));
	assert_int_equal(audit.n[AUDIT_TRAPS], n_audit_rows);

	for (enum audit_outcome one = 0; one < AUDIT_OUTCOMES; one++) {
		audit = all(AUDIT_TRAPS);
		audit.seen[row_of("POPF")].outcome = one;
		audit_add_up(&audit);
		assert_int_equal(audit_virtualizable(&audit),
				 one == AUDIT_TRAPS || one == AUDIT_EMULATED);
	}
}

/* Five instructions are UMIP's; whether it is on, SGDT tells. */
static void test_umip(void **state)
{
	struct audit audit = all(AUDIT_LEAKS);

	audit_add_up(&audit);
	assert_false(audit.umip);
	assert_int_equal(audit.n[AUDIT_LEAKS], n_audit_rows);

	audit = all(AUDIT_LEAKS);
	audit.seen[row_of("SGDT")].outcome = AUDIT_EMULATED;
	audit_add_up(&audit);
	assert_true(audit.umip);
	assert_int_equal(audit.n[AUDIT_EMULATED], 5);
	assert_int_equal(audit.seen[row_of("SMSW")].outcome, AUDIT_EMULATED);
	assert_int_equal(audit.seen[row_of("PUSHF")].outcome, AUDIT_LEAKS);

	/* Linux before 5.10 emulates three, and lets two have their trap. */
	audit = all(AUDIT_LEAKS);
	audit.seen[row_of("SGDT")].outcome = AUDIT_EMULATED;
	audit.seen[row_of("SLDT")].outcome = AUDIT_TRAPS;
	audit_add_up(&audit);
	assert_int_equal(audit.seen[row_of("SLDT")].outcome, AUDIT_TRAPS);
}

/* Privileged since the 80286; never trapped in user mode. */
static void test_this_processor(void **state)
{
	static const struct {
		const char *name;
		enum audit_outcome outcome;
	} expected[] = {
		{ "CLI", AUDIT_TRAPS }, { "HLT", AUDIT_TRAPS },
		{ "LGDT", AUDIT_TRAPS }, { "MOV from CR3", AUDIT_TRAPS },
		{ "INT n", AUDIT_TRAPS },
		{ "PUSHF", AUDIT_LEAKS }, { "POPF", AUDIT_IGNORED },
		{ "LAR", AUDIT_LEAKS }, { "LSL", AUDIT_LEAKS },
		{ "VERR", AUDIT_LEAKS }, { "VERW", AUDIT_LEAKS },
		{ "MOV from segment", AUDIT_LEAKS },
		{ "PUSH segment", AUDIT_LEAKS },
		{ "MOV to segment", AUDIT_LEAKS },
		{ "far CALL", AUDIT_LEAKS }, { "far JMP", AUDIT_IGNORED },
		{ "far RET", AUDIT_IGNORED }, { "IRET", AUDIT_IGNORED },
	};
	struct audit audit;
	unsigned int sum = 0;

	audit_run(&audit);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		unsigned int row = row_of(expected[i].name);

		if (audit.seen[row].outcome != expected[i].outcome)
			fail_msg("%s: %s (%s)", audit_rows[row].name,
				 audit_outcome_name(audit.seen[row].outcome),
				 audit.seen[row].note);
	}
	assert_int_equal(audit.seen[row_of("CLI")].signal, SIGSEGV);
	for (unsigned int i = 0; i < n_audit_rows; i++)
		assert_true(*audit.seen[i].note);
	for (enum audit_outcome one = 0; one < AUDIT_OUTCOMES; one++)
		sum += audit.n[one];
	assert_int_equal(sum, n_audit_rows);
	/* x86 has never been, which is why there is VT-x. */
	assert_false(audit_virtualizable(&audit));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trial),
		cmocka_unit_test(test_virtualizable_if_all_trap),
		cmocka_unit_test(test_umip),
		cmocka_unit_test(test_this_processor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
