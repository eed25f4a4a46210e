/* SPDX-License-Identifier: Apache-2.0
 *
 * The host's end of a serial port: a terminal, a pseudo-terminal, a UNIX
 * socket or a file.
 *
 *	stdio		standard input and output; a terminal is put into raw
 *			mode, Ctrl-A X ends the machine, Ctrl-A H helps
 *	pty		a new pseudo-terminal, named in a message
 *	unix:PATH	a listening socket; one client at a time, others wait
 *	file:PATH	output only
 *	none		output is thrown away
 *
 * Output nobody is there to take is lost; output that somebody is slow to take
 * waits, and so in the end does the guest (except on a pty, where one cannot
 * tell).
 *
 * Threads: the machine's main loop.
 */
#ifndef VMM_CHARDEV_H
#define VMM_CHARDEV_H

#include <poll.h>
#include <termios.h>

#include "base/util.h"

struct uart;

enum { CHARDEV_POLLFDS = 3 };

enum chardev_kind {
	CHARDEV_NONE, CHARDEV_STDIO, CHARDEV_PTY, CHARDEV_UNIX, CHARDEV_FILE,
};

struct chardev {
	enum chardev_kind kind;
	struct uart *uart;	/* whose line this is */
	const char *what;	/* "console", for messages */
	int in_fd;		/* read from it; -1: nobody there */
	int out_fd;		/* write to it; may be in_fd; -1: nobody */
	int listen_fd;		/* CHARDEV_UNIX; -1 otherwise */
	int peer_fd;		/* CHARDEV_PTY: the other end, kept open so that
				 * the line does not hang up */
	char *path;		/* socket to unlink at the end */
	bool raw;		/* `saved` has to be put back */
	struct termios saved;	/* the terminal as it was */
	bool escape;		/* Ctrl-A has been typed */
	bool out_blocked;	/* the last write found no room */
	struct pollfd *poll_in, *poll_out, *poll_listen;  /* of this round */
};

/* What a round of service asks of the machine. */
enum chardev_event { CHARDEV_OK, CHARDEV_QUIT };

/** chardev_spec_ok() - is @spec one of the forms above? */
bool chardev_spec_ok(const char *spec);

/**
 * chardev_open() - @spec as above; @uart gets its bytes
 *
 * Return: 0 or -errno, with a message.
 */
int must_check chardev_open(struct chardev *chr, const char *spec,
			    const char *what, struct uart *uart);
void chardev_close(struct chardev *chr);

/** chardev_prepare() - fill at most CHARDEV_POLLFDS; how many */
unsigned int chardev_prepare(struct chardev *chr, struct pollfd *fds);

/** chardev_service() - after poll(): move bytes both ways */
enum chardev_event chardev_service(struct chardev *chr);

/** chardev_drain() - write out what is left, for at most @timeout_ms */
void chardev_drain(struct chardev *chr, int timeout_ms);

#endif
