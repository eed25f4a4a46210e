/* SPDX-License-Identifier: Apache-2.0
 *
 * What was found about a host, as text and as JSON; see host.h.
 */
#include <string.h>

#include "host/host.h"

enum {
	COLUMNS = 80,
	WORD_COLUMN = 2,	/* verdicts, names of instructions */
	TEXT_COLUMN = 11,	/* what a verdict is about, and why */
	OUTCOME_COLUMN = 20,
	NOTE_COLUMN = 30,
};

/* Words from column @at (where the line stands) on, the lines that follow from
 * @indent on. */
static void print_wrapped(FILE *out, int at, int indent, const char *text)
{
	bool first = true;

	while (*text) {
		int len = (int)strcspn(text, " ");

		if (!first && at + 1 + len > COLUMNS) {
			fprintf(out, "\n%*s", indent, "");
			at = indent;
		} else if (!first) {
			putc(' ', out);
			at++;
		}
		fprintf(out, "%.*s", len, text);
		at += len;
		text += len;
		text += strspn(text, " ");
		first = false;
	}
	putc('\n', out);
}

static void print_probe(FILE *out, const struct host_probe *probe,
			const struct host_finding *finding)
{
	char line[HOST_REASON_MAX + 64];

	fprintf(out, "%*s%-*s%s\n", WORD_COLUMN, "",
		TEXT_COLUMN - WORD_COLUMN, host_verdict_name(finding->verdict),
		probe->title);
	fprintf(out, "%*s", TEXT_COLUMN, "");
	print_wrapped(out, TEXT_COLUMN, TEXT_COLUMN, finding->reason);
	snprintf(line, sizeof(line), "Backplane: %s",
		 host_then(probe, finding->verdict));
	fprintf(out, "%*s", TEXT_COLUMN, "");
	print_wrapped(out, TEXT_COLUMN, TEXT_COLUMN, line);
}

/* The verdict of the audit, in words. */
static void audit_words(const struct audit *audit, char *text, size_t size)
{
	unsigned int bad = audit->n[AUDIT_IGNORED] + audit->n[AUDIT_LEAKS];
	const char *umip = audit->umip ?
		"UMIP is on, so that the first five trap" :
		"without UMIP not even SGDT traps";

	if (bad)
		snprintf(text, size,
			 "no: %u of %u do not trap, and do something else than in ring 0 or show the real machine; %s",
			 bad, n_audit_rows, umip);
	else if (!audit_virtualizable(audit))
		snprintf(text, size,
			 "cannot tell: %u of %u could not be executed",
			 audit->n[AUDIT_UNTRIED], n_audit_rows);
	else
		snprintf(text, size, "yes: all %u trap", n_audit_rows);
}

static const char audit_then[] =
	"does not run guests' kernels in user mode; the processor's guest mode (VT-x, SVM) makes what has to trap do so";

static void print_audit(FILE *out, const struct audit *audit)
{
	char text[256], line[320];

	fputs("\nSensitive instructions, executed in user mode\n", out);
	for (unsigned int i = 0; i < n_audit_rows; i++) {
		const struct audit_seen *seen = &audit->seen[i];

		fprintf(out, "%*s%-*s%-*s", WORD_COLUMN, "",
			OUTCOME_COLUMN - WORD_COLUMN, audit_rows[i].name,
			NOTE_COLUMN - OUTCOME_COLUMN,
			audit_outcome_name(seen->outcome));
		snprintf(line, sizeof(line), "%s: %s", audit_rows[i].meaning,
			 seen->note);
		print_wrapped(out, NOTE_COLUMN, NOTE_COLUMN, line);
	}
	fputs("\nVirtualizable by trap and emulate alone (Popek and Goldberg)\n",
	      out);
	audit_words(audit, text, sizeof(text));
	fprintf(out, "%*s", WORD_COLUMN, "");
	print_wrapped(out, WORD_COLUMN, WORD_COLUMN, text);
	snprintf(line, sizeof(line), "Backplane: %s", audit_then);
	fprintf(out, "%*s", WORD_COLUMN, "");
	print_wrapped(out, WORD_COLUMN, WORD_COLUMN, line);
}

/* The one sentence that most come for. */
static void summary_words(const struct host_report *report, char *text,
			  size_t size)
{
	unsigned int row;

	if (host_can_run_guests(report, &row))
		snprintf(text, size, "This host can run guests.");
	else
		snprintf(text, size, "This host cannot run guests: %s: %s.",
			 host_probes[row].title, report->findings[row].reason);
}

void host_print(const struct host_report *report, FILE *out)
{
	char text[HOST_REASON_MAX + 128];
	const char *group = "";

	summary_words(report, text, sizeof(text));
	print_wrapped(out, 0, 0, text);
	fprintf(out, "\nProcessor  %s\nKernel     %s%s\n", report->cpu,
		report->kernel, report->is_vm ? ", in a virtual machine" : "");
	for (unsigned int i = 0; i < n_host_probes; i++) {
		if (strcmp(group, host_probes[i].group)) {
			group = host_probes[i].group;
			fprintf(out, "\n%s\n", group);
		}
		print_probe(out, &host_probes[i], &report->findings[i]);
	}
	print_audit(out, &report->audit);
}

static json_t *probes_json(const struct host_report *report)
{
	json_t *probes = json_object();

	for (unsigned int i = 0; i < n_host_probes; i++) {
		const struct host_probe *probe = &host_probes[i];
		const struct host_finding *finding = &report->findings[i];

		json_object_set_new(probes, probe->name, json_pack(
			"{s:s, s:b, s:s, s:s, s:s}", "title", probe->title,
			"needed", probe->needed,
			"verdict", host_verdict_name(finding->verdict),
			"reason", finding->reason,
			"backplane", host_then(probe, finding->verdict)));
	}
	return probes;
}

static json_t *audit_json(const struct audit *audit)
{
	json_t *instructions = json_object();
	char text[256];

	for (unsigned int i = 0; i < n_audit_rows; i++)
		json_object_set_new(instructions, audit_rows[i].name,
			json_pack("{s:s, s:s, s:s}",
				  "about", audit_rows[i].meaning,
				  "outcome", audit_outcome_name(
						audit->seen[i].outcome),
				  "note", audit->seen[i].note));
	audit_words(audit, text, sizeof(text));
	return json_pack("{s:b, s:s, s:s, s:b, s:o}",
			 "virtualizable", audit_virtualizable(audit),
			 "reason", text, "backplane", audit_then,
			 "umip", audit->umip, "instructions", instructions);
}

json_t *host_json(const struct host_report *report)
{
	char text[HOST_REASON_MAX + 128];

	summary_words(report, text, sizeof(text));
	return json_pack("{s:b, s:s, s:s, s:s, s:b, s:o, s:o}",
			 "can_run_guests", host_can_run_guests(report, NULL),
			 "summary", text, "cpu", report->cpu,
			 "kernel", report->kernel,
			 "virtual_machine", report->is_vm,
			 "probes", probes_json(report),
			 "audit", audit_json(&report->audit));
}
