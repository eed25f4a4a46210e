/* SPDX-License-Identifier: Apache-2.0 */
#include "base/eventfd.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Completions are taken from the ring every REAP_EVERY notifications; it has
 * room for those and for what other threads submit meanwhile. */
enum { REAP_EVERY = 32, RING_SIZE = 256 };

static struct {
	pthread_mutex_t lock;	/* of init */
	aio_context_t ring;	/* 0: not set up yet */
	int nothing;		/* an empty file to read nothing from */
	unsigned int n;		/* notifications so far */
} aio = { .lock = PTHREAD_MUTEX_INITIALIZER, .nothing = -1 };

int eventfd_init(void)
{
	int err = 0;

	pthread_mutex_lock(&aio.lock);
	if (aio.nothing < 0)
		aio.nothing = memfd_create("nothing", MFD_CLOEXEC);
	if (aio.nothing < 0 ||
	    (!aio.ring && syscall(__NR_io_setup, RING_SIZE, &aio.ring)))
		err = -errno;
	pthread_mutex_unlock(&aio.lock);
	return err;
}

bool eventfd_is(int fd)
{
	static const char eventfd[] = "anon_inode:[eventfd]";
	char path[32], link[sizeof(eventfd)];
	ssize_t n;

	/* The link is made up by the kernel itself, whoever made the file. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, link, sizeof(link));
	return n == sizeof(eventfd) - 1 && !memcmp(link, eventfd, (size_t)n);
}

/* Make room in the ring; what completed is of no interest. */
static void reap(void)
{
	struct io_event events[RING_SIZE];
	struct timespec at_once = { 0, 0 };

	syscall(__NR_io_getevents, aio.ring, 0, RING_SIZE, events, &at_once);
}

void eventfd_notify(int fd)
{
	struct iocb cb = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)aio.nothing,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)fd,
	};
	struct iocb *list = &cb;

	/* Reading nothing from memory is complete on return. */
	if (syscall(__NR_io_submit, aio.ring, 1, &list) < 0 &&
	    errno == EAGAIN) {
		reap();
		syscall(__NR_io_submit, aio.ring, 1, &list);
	}
	if (__atomic_add_fetch(&aio.n, 1, __ATOMIC_RELAXED) % REAP_EVERY == 0)
		reap();
}

bool eventfd_consume(int fd)
{
	uint64_t n;
	struct iovec iov = { &n, sizeof(n) };

	return preadv2(fd, &iov, 1, -1, RWF_NOWAIT) == sizeof(n);
}
