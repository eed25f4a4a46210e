/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages to the operator, on standard error, one line each.
 *
 * Hostile input (guests, peers, frames) must not be able to fill a log: such
 * messages use log_limited(), which keeps its state per call site and lets one
 * line a second through, with a count of those held back.  Callable from any
 * thread; a line is one write.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdint.h>

#include "base/util.h"

enum log_level {
	LOG_ERR,	/* something asked for will not happen */
	LOG_WARN,	/* it goes on, but not as the operator may expect */
	LOG_INFO,	/* what a service says in its normal life */
	LOG_DEBUG,	/* for those who read the source */
};

/* Messages above this level are not written.  Default LOG_INFO. */
extern enum log_level log_level;

void log_msg(enum log_level level, const char *fmt, ...) printf_like(2, 3);

#define log_err(...)	log_msg(LOG_ERR, __VA_ARGS__)
#define log_warn(...)	log_msg(LOG_WARN, __VA_ARGS__)
#define log_info(...)	log_msg(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	log_msg(LOG_DEBUG, __VA_ARGS__)

/* State of one rate-limited call site; zeroed by being static. */
struct log_limit {
	uint64_t next_ns;	/* not before this time */
	uint64_t n_held;	/* messages swallowed since the last line */
};

void log_msg_limited(struct log_limit *limit, enum log_level level,
		     const char *fmt, ...) printf_like(3, 4);

#define log_limited(level, ...) do {				\
	static struct log_limit limit_;				\
	log_msg_limited(&limit_, level, __VA_ARGS__);		\
} while (0)

#endif
