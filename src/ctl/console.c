/* SPDX-License-Identifier: Apache-2.0
 *
 * Consoles; see console.h.
 */
#include <errno.h>

#include "ctl/api.h"
#include "ctl/console.h"

/* A viewer that reads so little loses output: the machine is not held up. */
enum { VIEWER_BACKLOG_MAX = 1 << 20 };

void console_output(struct console *console, const void *data, size_t len)
{
	for (unsigned int i = 0; i < console->n_viewers; i++)
		if (api_stream_pending(console->viewers[i]) <
		    VIEWER_BACKLOG_MAX)
			api_stream_push(console->viewers[i], data, len);
	if (!bytes_append(&console->kept, data, len))
		return;
	if (console->kept.len > CONSOLE_KEPT)
		bytes_drop(&console->kept, console->kept.len - CONSOLE_KEPT);
}

int console_view(struct console *console, struct api_stream *s)
{
	if (console->n_viewers == CONSOLE_VIEWERS_MAX)
		return -EBUSY;
	if (console->kept.len)
		api_stream_push(s, bytes_front(&console->kept),
				console->kept.len);
	console->viewers[console->n_viewers++] = s;
	return 0;
}

int console_type(struct console *console, const void *data, size_t len)
{
	if (len > CONSOLE_TYPED_MAX ||
	    console->typed.len > CONSOLE_TYPED_MAX - len)
		return -EAGAIN;
	return bytes_append(&console->typed, data, len) ? 0 : -ENOMEM;
}

void console_check(struct console *console)
{
	unsigned int i = 0;

	while (i < console->n_viewers) {
		struct api_stream *s = console->viewers[i];

		if (api_stream_check(s)) {
			i++;
			continue;
		}
		api_stream_end(s);
		console->viewers[i] = console->viewers[--console->n_viewers];
	}
}

void console_reset(struct console *console)
{
	bytes_free(&console->kept);
	bytes_free(&console->typed);
}

void console_fini(struct console *console)
{
	while (console->n_viewers)
		api_stream_end(console->viewers[--console->n_viewers]);
	console_reset(console);
}
