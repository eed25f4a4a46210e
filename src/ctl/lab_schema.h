/* SPDX-License-Identifier: Apache-2.0
 *
 * From YAML to struct lab: the table of keys and its decoder.  Checks what can
 * be seen in one value; what concerns several is lab_config.c's.
 */
#ifndef CTL_LAB_SCHEMA_H
#define CTL_LAB_SCHEMA_H

#include "ctl/lab_config.h"

/**
 * lab_decode() - fill in a lab from the text of a file
 * @lab: zeroed, with file and machines set
 *
 * Return: success; otherwise @error is filled in.
 */
bool must_check lab_decode(struct lab *lab, const char *text, size_t len,
			   struct lab_error *error);

/** lab_refuse() - write "FILE:LINE: WHAT"; always false */
bool lab_refuse(struct lab_error *error, const char *file, unsigned int line,
		const char *fmt, ...) printf_like(4, 5);

#endif
