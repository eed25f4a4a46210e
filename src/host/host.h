/* SPDX-License-Identifier: Apache-2.0
 *
 * What this host can do, why, and what Backplane does about it.
 *
 * One table, host_probes, has a row for each ability: the function that finds
 * out and the words that go with each verdict.  Texts and JSON come from it.
 * The audit of sensitive instructions (audit.h) is a part of the report.
 *
 * Files are looked up under a root folder, so that tests can show a made-up
 * /proc, /sys and /dev.  What is asked of the kernel by a system call, and the
 * audit, are always about the real host.
 *
 * Probes need no privilege and leave nothing behind: what could end or hang
 * the process is done in a child with a time limit (trial.h).
 *
 * Threads: one, and no others in the process: it forks.
 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include <jansson.h>
#include <stdio.h>

#include "base/util.h"
#include "host/audit.h"

/* Where to look. */
struct host {
	const char *root;	/* "" or a folder in place of / */
};

enum host_verdict {
	HOST_UNKNOWN,		/* the reason says what is needed to tell */
	HOST_YES,
	HOST_NO,
	HOST_DENIED,		/* it is there, but not for this user */
	HOST_VERDICTS
};

enum { HOST_REASON_MAX = 512 };

/* What a probe has found. */
struct host_finding {
	enum host_verdict verdict;
	char reason[HOST_REASON_MAX];	/* what was seen; no full stop */
};

/* A row of the table. */
struct host_probe {
	const char *group;	/* heading it stands under */
	const char *name;	/* key in JSON */
	const char *title;	/* for people */
	bool needed;		/* without it no guest runs here */
	void (*run)(const struct host *host, struct host_finding *finding);
	/* What Backplane does, by verdict; NULL: as for HOST_NO. */
	const char *then[HOST_VERDICTS];
};

extern const struct host_probe host_probes[];
extern const unsigned int n_host_probes;

enum { HOST_PROBES_MAX = 32 };

/* All that was found. */
struct host_report {
	char cpu[128];		/* the processor's own name */
	char kernel[192];	/* system and release */
	bool is_vm;		/* a hypervisor shows itself to this host */
	struct host_finding findings[HOST_PROBES_MAX];	/* by row */
	struct audit audit;
};

/** host_examine() - run every probe and the audit; takes up to some seconds */
void host_examine(const struct host *host, struct host_report *report);

/**
 * host_can_run_guests() - has every needed row the verdict HOST_YES?
 * @row: set to the first that has not; may be NULL
 */
bool must_check host_can_run_guests(const struct host_report *report,
				    unsigned int *row);

/** host_then() - what Backplane does in that case, without a subject */
const char *host_then(const struct host_probe *probe,
		      enum host_verdict verdict);

/** host_print() - for people, no wider than 80 columns */
void host_print(const struct host_report *report, FILE *out);

/** host_json() - the same for programs; NULL: out of memory */
json_t *must_check host_json(const struct host_report *report);

/** host_verdict_name() - as in text and JSON */
const char *host_verdict_name(enum host_verdict verdict);

/** host_found() - for probes: what was found, and why */
void host_found(struct host_finding *finding, enum host_verdict verdict,
		const char *fmt, ...) printf_like(3, 4);

#endif
