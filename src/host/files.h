/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading /proc, /sys and /dev under the root that a struct host names.
 */
#ifndef HOST_FILES_H
#define HOST_FILES_H

#include <stddef.h>

#include "base/util.h"
#include "host/host.h"

/** host_open() - like open(), under the root; descriptor or -errno */
int must_check host_open(const struct host *host, const char *path, int flags);

/** host_exists() - is there such a file or folder? */
bool must_check host_exists(const struct host *host, const char *path);

/**
 * host_read() - the first line of a file
 *
 * Cut off at @size - 1 bytes.  Return: could it be read?  Else @line is "".
 */
bool must_check host_read(const struct host *host, const char *path,
			  char *line, size_t size);

/** host_read_number() - a decimal number; -1: there is none */
long long must_check host_read_number(const struct host *host,
				      const char *path);

/**
 * host_field() - the value of the first line "@key : value"
 *
 * As in /proc/cpuinfo, /proc/meminfo and /proc/self/status.  Cut off at
 * @size - 1 bytes.  Return: is there one?  Else @value is "".
 */
bool must_check host_field(const struct host *host, const char *path,
			   const char *key, char *value, size_t size);

/** host_has_word() - is @word one of the words of @text, blanks between? */
bool must_check host_has_word(const char *text, const char *word);

/** host_cpu_flag() - is it in /proc/cpuinfo's first line of flags? */
bool must_check host_cpu_flag(const struct host *host, const char *flag);

/** host_has_capability() - is @cap (linux/capability.h) effective? */
bool must_check host_has_capability(const struct host *host, unsigned int cap);

/* A list of words that is being written. */
struct host_text {
	char *buf;		/* ends with NUL */
	size_t size;		/* of buf */
	size_t len;		/* used, without the NUL */
};

/** host_append() - another word, after a comma; cut off where buf ends */
void host_append(struct host_text *text, const char *fmt, ...)
	printf_like(2, 3);

/**
 * host_each() - call @fn for each name in a folder, in alphabetical order
 * @prefix: only names that begin so
 *
 * Return: how many there are; 0 as well if there is no such folder.
 */
unsigned int host_each(const struct host *host, const char *path,
		       const char *prefix,
		       void (*fn)(const char *name, void *arg), void *arg);

/** host_list() - the same as a list of words in @buf */
unsigned int host_list(const struct host *host, const char *path,
		       const char *prefix, char *buf, size_t size);

#endif
