/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"

enum log_level log_level = LOG_INFO;

static const char *const prefixes[] = {
	[LOG_ERR] = "error: ",
	[LOG_WARN] = "warning: ",
	[LOG_INFO] = "",
	[LOG_DEBUG] = "debug: ",
};

/* One line, one write, so that lines of several threads do not mix. */
static void log_line(enum log_level level, uint64_t n_held, const char *fmt,
		     va_list args)
{
	char line[1024];
	int saved = errno;
	int len;

	len = snprintf(line, sizeof(line), "backplane: %s", prefixes[level]);
	len += vsnprintf(line + len, sizeof(line) - (size_t)len, fmt, args);
	if (len > (int)sizeof(line) - 40)
		len = (int)sizeof(line) - 40;
	if (n_held)
		len += snprintf(line + len, sizeof(line) - (size_t)len,
				" (%llu more like it)",
				(unsigned long long)n_held);
	line[len++] = '\n';
	/* Standard error gone: there is nobody left to tell. */
	if (write(STDERR_FILENO, line, (size_t)len) < 0)
		errno = saved;
	errno = saved;
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	va_list args;

	if (level > log_level)
		return;
	va_start(args, fmt);
	log_line(level, 0, fmt, args);
	va_end(args);
}

void log_msg_limited(struct log_limit *limit, enum log_level level,
		     const char *fmt, ...)
{
	uint64_t now_ns = time_now_ns();
	uint64_t next_ns;
	va_list args;

	if (level > log_level)
		return;
	next_ns = __atomic_load_n(&limit->next_ns, __ATOMIC_RELAXED);
	if (now_ns < next_ns ||
	    !__atomic_compare_exchange_n(&limit->next_ns, &next_ns,
					 now_ns + NS_PER_S, false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
		__atomic_add_fetch(&limit->n_held, 1, __ATOMIC_RELAXED);
		return;
	}
	va_start(args, fmt);
	log_line(level, __atomic_exchange_n(&limit->n_held, 0,
					    __ATOMIC_RELAXED), fmt, args);
	va_end(args);
}
