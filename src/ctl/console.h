/* SPDX-License-Identifier: Apache-2.0
 *
 * A machine's console as the supervisor keeps it: what was printed last, who
 * watches, what was typed.
 *
 * Threads: none of its own; the supervisor's lock.
 */
#ifndef CTL_CONSOLE_H
#define CTL_CONSOLE_H

#include "ctl/bytes.h"

struct api_stream;

enum {
	CONSOLE_KEPT = 65536,		/* bytes of output kept */
	CONSOLE_VIEWERS_MAX = 16,	/* at a time */
	CONSOLE_TYPED_MAX = 65536,	/* bytes of input that may wait */
};

struct console {
	struct bytes kept;		/* the last CONSOLE_KEPT printed */
	struct bytes typed;		/* not yet taken by the machine */
	unsigned int n_viewers;		/* in viewers[] */
	struct api_stream *viewers[CONSOLE_VIEWERS_MAX]; /* get all output */
};

/** console_output() - the machine has printed something */
void console_output(struct console *console, const void *data, size_t len);

/** console_view() - a new viewer, which gets what was kept first; 0, -EBUSY */
int must_check console_view(struct console *console, struct api_stream *s);

/** console_type() - 0; -EAGAIN: too much waits already; -ENOMEM */
int must_check console_type(struct console *console, const void *data,
			    size_t len);

/** console_check() - let go of viewers that have hung up */
void console_check(struct console *console);

/** console_reset() - the machine starts anew: forget, but keep the viewers */
void console_reset(struct console *console);

/** console_fini() - end all viewers, free */
void console_fini(struct console *console);

#endif
