/* SPDX-License-Identifier: Apache-2.0
 *
 * Common to the commands that talk to a lab; see cli.h.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cmd/cli.h"
#include "cmd/cmd.h"
#include "ctl/lab_api.h"
#include "ctl/rundir.h"

enum {
	LABS_SHOWN_MAX = 64,
	ASK_TIMEOUT_MS = 20000,
};

/* All labs that are up, as "a, b". */
static unsigned int list_labs(char *text, size_t text_len,
			      char first[LAB_NAME_MAX])
{
	char names[LABS_SHOWN_MAX][LAB_NAME_MAX];
	unsigned int n = rundir_list(names, LABS_SHOWN_MAX);
	size_t len = 0;

	text[0] = first[0] = '\0';
	for (unsigned int i = 0; i < n && len < text_len; i++)
		len += (size_t)snprintf(text + len, text_len - len, "%s%s",
					i ? ", " : "", names[i]);
	if (n)
		strcpy(first, names[0]);
	return n;
}

bool cli_find_lab(const char *wanted, struct cli_lab *lab)
{
	char all[1024], only[LAB_NAME_MAX];
	unsigned int n = list_labs(all, sizeof(all), only);

	if (wanted && !lab_name_ok(wanted)) {
		log_err("'%s' cannot be a lab's name", wanted);
		return false;
	}
	if (wanted && !rundir_is_up(wanted)) {
		log_err("lab '%s' is not up%s%s", wanted,
			n ? "; these are: " : "", all);
		return false;
	}
	if (!wanted && n != 1) {
		if (n)
			log_err("several labs are up (%s): name one with --lab",
				all);
		else
			log_err("no lab is up; start one with `backplane up FILE`");
		return false;
	}
	strcpy(lab->name, wanted ? wanted : only);
	return !lab_api_socket(lab->name, lab->socket);
}

json_t *cli_ask(const struct cli_lab *lab, const char *method, const char *path,
		json_t *body)
{
	struct reply reply;
	json_t *json = NULL;

	if (client_request(lab->socket, method, path, body, ASK_TIMEOUT_MS,
			   &reply))
		json = json_incref(reply.body);
	else
		log_err("%s", reply.error);
	reply_clear(&reply);
	return json;
}

json_t *cli_get(const struct cli_lab *lab, const char *fmt, ...)
{
	char path[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	return cli_ask(lab, "GET", path, NULL);
}

const char *cli_text(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "-";
}

long long cli_number(json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

void cli_print_json(json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(json);
}

bool cli_name_ok(const char *name)
{
	for (const char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("-_.:", *c)) {
			log_err("'%s' is no name", name);
			return false;
		}
	if (!*name)
		log_err("a name is missing");
	return *name;
}

int cli_usage_hint(const char *command)
{
	fprintf(stderr, "backplane %s --help says how it is used\n", command);
	return EXIT_USAGE;
}

void cli_row(struct cli_table *table, ...)
{
	void *rows = realloc(table->rows,
			     (table->n_rows + 1) * sizeof(*table->rows));
	unsigned int n = 0;
	const char *text;
	va_list args;

	if (!rows)
		return;
	table->rows = rows;
	va_start(args, table);
	while (n < CLI_COLUMNS_MAX && (text = va_arg(args, const char *)))
		table->rows[table->n_rows][n++] = strdup(text);
	va_end(args);
	if (!table->n_rows)
		table->n_columns = n;
	while (n < CLI_COLUMNS_MAX)
		table->rows[table->n_rows][n++] = NULL;
	table->n_rows++;
}

static size_t column_width(const struct cli_table *table, unsigned int column)
{
	size_t width = 0;

	for (size_t i = 0; i < table->n_rows; i++)
		if (table->rows[i][column])
			width = max_of(width, strlen(table->rows[i][column]));
	return width;
}

void cli_print(struct cli_table *table)
{
	int widths[CLI_COLUMNS_MAX];

	for (unsigned int c = 0; c < table->n_columns; c++)
		widths[c] = (int)column_width(table, c);
	for (size_t i = 0; i < table->n_rows; i++) {
		for (unsigned int c = 0; c < table->n_columns; c++) {
			const char *text = table->rows[i][c];
			bool last = c + 1 == table->n_columns;

			text = text ? text : "";
			if (table->right[c])
				printf("%*s%s", widths[c], text,
				       last ? "" : "  ");
			else
				printf("%-*s%s", last ? 0 : widths[c], text,
				       last ? "" : "  ");
			free(table->rows[i][c]);
		}
		putchar('\n');
	}
	free(table->rows);
	*table = (struct cli_table){ 0 };
}

const char *cli_format(const char *fmt, ...)
{
	static char bufs[CLI_COLUMNS_MAX][256];
	static unsigned int next;
	char *buf = bufs[next++ % CLI_COLUMNS_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(buf, sizeof(bufs[0]), fmt, args);
	va_end(args);
	return buf;
}

const char *cli_duration(double seconds)
{
	unsigned long s = seconds > 0 ? (unsigned long)seconds : 0;

	if (s < 60)
		return cli_format("%lus", s);
	if (s < 3600)
		return cli_format("%lum %lus", s / 60, s % 60);
	if (s < 86400)
		return cli_format("%luh %lum", s / 3600, s / 60 % 60);
	return cli_format("%lud %luh", s / 86400, s / 3600 % 24);
}
