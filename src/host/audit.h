/* SPDX-License-Identifier: Apache-2.0
 *
 * Can this CPU be virtualized by trap and emulate alone?
 *
 * Popek and Goldberg (1974): yes, if every sensitive instruction is privileged.
 * Sensitive is what changes the machine's state or depends on it, and so must
 * not reach the real machine from a guest's kernel; privileged is what traps
 * in user mode, where such a VMM runs that kernel.  x86 has sensitive ones that
 * do not trap; the list is that of Robin and Irvine, "Analysis of the Intel
 * Pentium's Ability to Support a Secure Virtual Machine Monitor" (2000), in the
 * forms that 64-bit mode has.
 *
 * Each is executed in user mode, in a child, with operands that do no harm.
 */
#ifndef HOST_AUDIT_H
#define HOST_AUDIT_H

#include <stdint.h>

#include "base/util.h"

enum audit_outcome {
	AUDIT_UNTRIED,	/* it could not be executed; the note says why */
	AUDIT_TRAPS,
	AUDIT_EMULATED,	/* trapped, and the kernel gave made-up values */
	AUDIT_IGNORED,	/* no trap, and not what it does in ring 0 */
	AUDIT_LEAKS,	/* no trap, and it showed the real machine's state */
	AUDIT_OUTCOMES
};

/* What one instruction has done. */
struct audit_seen {
	enum audit_outcome outcome;
	int signal;		/* AUDIT_TRAPS: what the kernel made of it */
	char note[120];		/* what was seen */
};

/* A row of the table. */
struct audit_row {
	const char *name;	/* as in the manuals */
	const char *meaning;	/* what it is about */
	bool umip;		/* one of the five that UMIP makes trap */
	void (*run)(struct audit_seen *seen);
};

extern const struct audit_row audit_rows[];
extern const unsigned int n_audit_rows;

enum { AUDIT_ROWS_MAX = 32 };

struct audit {
	struct audit_seen seen[AUDIT_ROWS_MAX];	/* by row */
	unsigned int n[AUDIT_OUTCOMES];		/* rows with each outcome */
	bool umip;		/* SGDT traps */
};

/** audit_run() - execute them all; takes milliseconds */
void audit_run(struct audit *audit);

/** audit_add_up() - count outcomes, and see what UMIP has done to them */
void audit_add_up(struct audit *audit);

/** audit_virtualizable() - by trap and emulate alone, that is */
bool must_check audit_virtualizable(const struct audit *audit);

/** audit_outcome_name() - as in text and JSON */
const char *audit_outcome_name(enum audit_outcome outcome);

#endif
