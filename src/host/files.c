/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading /proc, /sys and /dev; see files.h.
 */
#include "host/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where @path lies; false: the name is too long. */
static bool under_root(const struct host *host, const char *path,
		       char full[PATH_MAX])
{
	int len = snprintf(full, PATH_MAX, "%s%s", host->root, path);

	return len > 0 && len < PATH_MAX;
}

int host_open(const struct host *host, const char *path, int flags)
{
	char full[PATH_MAX];
	int fd;

	if (!under_root(host, path, full))
		return -ENAMETOOLONG;
	fd = open(full, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

bool host_exists(const struct host *host, const char *path)
{
	char full[PATH_MAX];

	return under_root(host, path, full) && access(full, F_OK) == 0;
}

static FILE *open_stream(const struct host *host, const char *path)
{
	char full[PATH_MAX];

	return under_root(host, path, full) ? fopen(full, "re") : NULL;
}

/* A copy without the white space around it. */
static void copy_trimmed(char *to, size_t size, const char *from)
{
	size_t len;

	from += strspn(from, " \t\n");
	len = strlen(from);
	while (len && strchr(" \t\n", from[len - 1]))
		len--;
	len = min_of(len, size - 1);
	memcpy(to, from, len);
	to[len] = '\0';
}

bool host_read(const struct host *host, const char *path, char *line,
	       size_t size)
{
	FILE *f = open_stream(host, path);
	char *text = NULL;
	size_t text_size = 0;
	bool ok;

	line[0] = '\0';
	if (!f)
		return false;
	ok = getline(&text, &text_size, f) >= 0;
	if (ok)
		copy_trimmed(line, size, text);
	free(text);
	fclose(f);
	return ok;
}

long long host_read_number(const struct host *host, const char *path)
{
	char line[64], *end;
	long long n;

	if (!host_read(host, path, line, sizeof(line)))
		return -1;
	n = strtoll(line, &end, 10);
	return end == line || *end || n < 0 ? -1 : n;
}

bool host_field(const struct host *host, const char *path, const char *key,
		char *value, size_t size)
{
	FILE *f = open_stream(host, path);
	size_t key_len = strlen(key), line_size = 0;
	bool found = false;
	char *line = NULL;

	value[0] = '\0';
	if (!f)
		return false;
	while (!found && getline(&line, &line_size, f) >= 0) {
		const char *colon = line + key_len;

		if (strncmp(line, key, key_len))
			continue;
		colon += strspn(colon, " \t");
		if (*colon == ':') {
			copy_trimmed(value, size, colon + 1);
			found = true;
		}
	}
	free(line);
	fclose(f);
	return found;
}

bool host_has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	while (len && *text) {
		size_t n = strcspn(text, " \t\n");

		if (n == len && !memcmp(text, word, len))
			return true;
		text += n;
		text += strspn(text, " \t\n");
	}
	return false;
}

bool host_cpu_flag(const struct host *host, const char *flag)
{
	/* Linux knows some 400 flags; a CPU of 2024 has 150, in 1.5 KiB. */
	char flags[8192];

	return host_field(host, "/proc/cpuinfo", "flags", flags,
			  sizeof(flags)) && host_has_word(flags, flag);
}

bool host_has_capability(const struct host *host, unsigned int cap)
{
	char value[32];

	return host_field(host, "/proc/self/status", "CapEff", value,
			  sizeof(value)) &&
	       strtoull(value, NULL, 16) >> cap & 1;
}

unsigned int host_each(const struct host *host, const char *path,
		       const char *prefix,
		       void (*fn)(const char *name, void *arg), void *arg)
{
	struct dirent **entries;
	char full[PATH_MAX];
	unsigned int found = 0;
	int n;

	if (!under_root(host, path, full))
		return 0;
	n = scandir(full, &entries, NULL, alphasort);
	if (n < 0)
		return 0;
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;

		if (name[0] != '.' && !strncmp(name, prefix, strlen(prefix))) {
			fn(name, arg);
			found++;
		}
		free(entries[i]);
	}
	free(entries);
	return found;
}

static void add_name(const char *name, void *arg)
{
	host_append(arg, "%s", name);
}

void host_append(struct host_text *text, const char *fmt, ...)
{
	size_t room = text->size - text->len;
	va_list args;
	int n;

	if (room <= 2)
		return;
	if (text->len) {
		strcpy(text->buf + text->len, ", ");
		text->len += 2;
		room -= 2;
	}
	va_start(args, fmt);
	n = vsnprintf(text->buf + text->len, room, fmt, args);
	va_end(args);
	text->len += n < 0 ? 0 : min_of((size_t)n, room - 1);
}

unsigned int host_list(const struct host *host, const char *path,
		       const char *prefix, char *buf, size_t size)
{
	struct host_text text = { .buf = buf, .size = size };

	buf[0] = '\0';
	return host_each(host, path, prefix, add_name, &text);
}
