/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64 (RFC 4648, section 4): how bytes travel in JSON.
 */
#ifndef CTL_BASE64_H
#define CTL_BASE64_H

#include <sys/types.h>

#include "base/util.h"

/* Characters for @len bytes, with the NUL. */
#define BASE64_LEN(len) (((len) + 2) / 3 * 4 + 1)

/** base64_encode() - @out has BASE64_LEN(len) bytes */
void base64_encode(const void *data, size_t len, char *out);

/**
 * base64_decode() - @out has room for strlen(text) / 4 * 3 bytes
 *
 * Return: how many there are, or -EINVAL.
 */
ssize_t must_check base64_decode(const char *text, void *out);

#endif
