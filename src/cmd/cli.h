/* SPDX-License-Identifier: Apache-2.0
 *
 * What the commands that talk to a running lab have in common: finding it,
 * asking its API, printing tables.
 */
#ifndef CMD_CLI_H
#define CMD_CLI_H

#include <jansson.h>
#include <stdio.h>

#include "ctl/client.h"
#include "ctl/lab_config.h"

/* A lab that is up. */
struct cli_lab {
	char name[LAB_NAME_MAX];
	char socket[LAB_SOCKET_MAX];	/* of its API */
};

/**
 * cli_find_lab() - the lab a command is about
 * @wanted: from --lab, or NULL: the only one that is up
 *
 * Return: found?  Otherwise a message was printed.
 */
bool must_check cli_find_lab(const char *wanted, struct cli_lab *lab);

/** cli_ask() - one request; its JSON, or NULL and a message was printed */
json_t *cli_ask(const struct cli_lab *lab, const char *method, const char *path,
		json_t *body);

/** cli_get() - the same for GET with a path made by printf() */
json_t *cli_get(const struct cli_lab *lab, const char *fmt, ...)
	printf_like(2, 3);

/** cli_text(), cli_number() - member of an object, "-" or 0 if not there */
const char *cli_text(json_t *object, const char *key);
long long cli_number(json_t *object, const char *key);

/** cli_print_json() - pretty, to standard output; gives the reference up */
void cli_print_json(json_t *json);

/** cli_name_ok() - can it be in a path of the API?  Else prints a message. */
bool must_check cli_name_ok(const char *name);

/** cli_usage_hint() - "backplane X --help says how"; the exit status */
int cli_usage_hint(const char *command);

enum { CLI_COLUMNS_MAX = 12 };

/* Rows of text, printed with columns as wide as they have to be. */
struct cli_table {
	unsigned int n_columns;		/* set by the first row */
	size_t n_rows;			/* in rows */
	char *(*rows)[CLI_COLUMNS_MAX];	/* allocated texts */
	bool right[CLI_COLUMNS_MAX];	/* columns of numbers */
};

/** cli_row() - add a row of texts, ended by NULL; the first is the heading */
void cli_row(struct cli_table *table, ...) __attribute__((sentinel));

/** cli_print() - to standard output, then free it */
void cli_print(struct cli_table *table);

/** cli_format() - printf() into one of a few static buffers, for cli_row() */
const char *cli_format(const char *fmt, ...) printf_like(1, 2);

/** cli_duration() - seconds as "2m 5s", like cli_format() */
const char *cli_duration(double seconds);

#endif
