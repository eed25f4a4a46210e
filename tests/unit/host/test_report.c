/* SPDX-License-Identifier: Apache-2.0
 *
 * The table's words, and reports of made-up findings as text and as JSON.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"

static struct host_report report;

/* Everything is there, and every instruction traps. */
static int set_up(void **state)
{
	report = (struct host_report){ .cpu = "made up", .kernel = "Linux 0" };
	for (unsigned int i = 0; i < n_host_probes; i++)
		host_found(&report.findings[i], HOST_YES, "because");
	for (unsigned int i = 0; i < n_audit_rows; i++)
		report.audit.seen[i].outcome = AUDIT_TRAPS;
	audit_add_up(&report.audit);
	return 0;
}

static char *as_text(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	host_print(&report, out);
	fclose(out);
	return text;
}

static void test_table(void **state)
{
	for (unsigned int i = 0; i < n_host_probes; i++) {
		const struct host_probe *a = &host_probes[i];
		bool new_group = false;

		assert_non_null(a->then[HOST_YES]);
		assert_non_null(a->then[HOST_NO]);
		for (enum host_verdict v = 0; v < HOST_VERDICTS; v++)
			assert_non_null(host_then(a, v));
		/* Rows of a group stand together, names are there once. */
		for (unsigned int j = i + 1; j < n_host_probes; j++) {
			bool same = !strcmp(a->group, host_probes[j].group);

			assert_string_not_equal(a->name, host_probes[j].name);
			assert_false(same && new_group);
			new_group |= !same;
		}
	}
}

static void test_all_is_well(void **state)
{
	char *text = as_text(), all_trap[32];
	json_t *json = host_json(&report);

	snprintf(all_trap, sizeof(all_trap), "yes: all %u trap", n_audit_rows);
	assert_true(host_can_run_guests(&report, NULL));
	assert_ptr_equal(strstr(text, "This host can run guests.\n"), text);
	assert_non_null(strstr(text, all_trap));
	assert_non_null(json);
	assert_true(json_is_true(json_object_get(json, "can_run_guests")));
	assert_true(json_is_true(json_object_get(
		json_object_get(json, "audit"), "virtualizable")));
	json_decref(json);
	free(text);
}

/* Only what is needed decides, and the first that is missing is named. */
static void test_what_decides(void **state)
{
	unsigned int row;
	char *text;

	for (unsigned int i = 0; i < n_host_probes; i++)
		for (enum host_verdict v = 0; v < HOST_VERDICTS; v++) {
			set_up(NULL);
			report.findings[i].verdict = v;
			row = HOST_PROBES_MAX;
			assert_int_equal(host_can_run_guests(&report, &row),
					 !host_probes[i].needed ||
					 v == HOST_YES);
			if (row != HOST_PROBES_MAX)
				assert_int_equal(row, i);
		}
	host_found(&report.findings[1], HOST_DENIED, "a reason of its own");
	assert_false(host_can_run_guests(&report, NULL));
	text = as_text();
	assert_ptr_equal(strstr(text, "This host cannot run guests: KVM: "
				"a reason of its own.\n"), text);
	assert_non_null(strstr(text, "  denied   KVM\n"));
	free(text);
}

/* Long reasons wrap, and what is no ASCII breaks neither text nor JSON. */
static void test_ugly_reasons(void **state)
{
	json_t *json, *finding;
	char *text;

	host_found(&report.findings[0], HOST_NO, "%0300d %s", 7,
		   "one two three four five six seven eight nine ten eleven "
		   "twelve thirteen fourteen fifteen \xff\x1b[0m\n");
	text = as_text();
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (!strstr(line, "0000000000"))
			assert_in_range(strlen(line), 1, 80);
	free(text);
	json = host_json(&report);
	assert_non_null(json);
	finding = json_object_get(json_object_get(json, "probes"),
				  host_probes[0].name);
	assert_string_equal(json_string_value(json_object_get(finding,
							      "verdict")),
			    "no");
	assert_non_null(strstr(json_string_value(
		json_object_get(finding, "reason")), "fifteen ??[0m?"));
	json_decref(json);
}

static void test_untried_is_no_verdict(void **state)
{
	char *text;

	report.audit = (struct audit){ 0 };
	audit_add_up(&report.audit);
	assert_false(audit_virtualizable(&report.audit));
	text = as_text();
	assert_non_null(strstr(text, "  cannot tell: "));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test_setup(test_all_is_well, set_up),
		cmocka_unit_test_setup(test_what_decides, set_up),
		cmocka_unit_test_setup(test_ugly_reasons, set_up),
		cmocka_unit_test_setup(test_untried_is_no_verdict, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
