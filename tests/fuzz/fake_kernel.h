/* SPDX-License-Identifier: Apache-2.0
 *
 * The system calls that a server of a stream socket makes, played in this
 * process: a fuzz target is linked with --wrap for each of them (see
 * meson.build), so that the code under test is the very same, and an execution
 * takes microseconds.
 *
 * Theory of operation.  Descriptors from FAKE_FD on are played: one stream
 * socket at a time, files in memory, eventfds.  Whatever is done with others
 * goes to the kernel.  What a peer sends is a list of messages, with
 * descriptors at the first byte of each, as unix(7) has it: reading stops
 * behind the first message that has some.  Of the files each execution may have
 * one mapped, whose memory is kept for the next one; truncation is the
 * kernel's, SIGBUS included.
 *
 * Whatever must hold for any input is checked here by must(): each descriptor
 * is closed once, and replies follow each other as the headers say.
 */
#ifndef TESTS_FUZZ_FAKE_KERNEL_H
#define TESTS_FUZZ_FAKE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "must.h"

enum fake_kind {
	FAKE_NONE,		/* no such descriptor */
	FAKE_SOCKET,
	FAKE_MEMFD,
	FAKE_EVENTFD,
	FAKE_PAGE,		/* a file that the server makes */
};

enum {
	FAKE_FD = 1 << 20,		/* the first that is played */
	FAKE_MEMORY = 64 * 4096,	/* bytes of a file */
	FAKE_MESSAGES_MAX = 64,		/* of the peer, not read yet */
	FAKE_MESSAGE_FDS_MAX = 40,	/* descriptors with one of them */
};

/** fake_kernel_init() - once, before the code under test makes a call */
void fake_kernel_init(void);

/** fake_kernel_connect() - a connected socket; the last one has been closed */
int fake_kernel_connect(void);

/**
 * fake_kernel_send() - the peer sends a message
 * @data: stays as it is until it has been read; @len 0: nothing happens
 * @kind: of the @n_fds descriptors that come with it
 *
 * Return: false: the socket is full, or closed at our end.
 */
bool fake_kernel_send(const uint8_t *data, size_t len, enum fake_kind kind,
		      unsigned int n_fds);

/** fake_kernel_hang_up() - the peer closes its end */
void fake_kernel_hang_up(void);

/** fake_kernel_full() - the peer does not read (any more, or again) */
void fake_kernel_full(bool full);

/** fake_kernel_kick() - all eventfds that are watched are written to */
void fake_kernel_kick(void);

/** fake_kernel_truncate() - the file is empty from now on */
void fake_kernel_truncate(void);

/** fake_kernel_replies() - how many, whole, and not errors, on this socket */
unsigned int fake_kernel_replies(void);

/** fake_kernel_end() - everything has been closed; the file is as it was */
void fake_kernel_end(void);

#endif
