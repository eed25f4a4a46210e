/* SPDX-License-Identifier: Apache-2.0
 *
 * Eventfds that others gave us.
 *
 * Their owner shares the open file: it decides whether a write() waits when the
 * counter is full, can fill it, and can change its mind at any moment.  So
 * write() is no way to tell somebody hostile anything.  The kernel's own way of
 * telling, which adds one and never waits, is reached through asynchronous I/O:
 * a read of nothing whose completion notifies an eventfd.
 *
 * Threads: any.  System calls, for the sandbox: io_submit, io_getevents,
 * preadv2, readlink.
 */
#ifndef BASE_EVENTFD_H
#define BASE_EVENTFD_H

#include "base/util.h"

/** eventfd_init() - once, before the sandbox; again is fine; 0 or -errno */
int must_check eventfd_init(void);

/** eventfd_is() - is it an eventfd?  Does not wait, whatever it is. */
bool eventfd_is(int fd);

/**
 * eventfd_notify() - add one to its counter, never waiting
 *
 * A counter that is full stays full: its reader has been told.
 */
void eventfd_notify(int fd);

/**
 * eventfd_consume() - take what is in its counter, never waiting
 *
 * Return: was there anything?
 */
bool eventfd_consume(int fd);

#endif
