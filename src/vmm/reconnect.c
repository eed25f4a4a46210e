/* SPDX-License-Identifier: Apache-2.0
 *
 * NICs' servers that go away and come back.  A thread waits for the end of any
 * of the connections, and then tries to make another until it succeeds, ever
 * more slowly.  Neither vCPUs nor the main loop wait for that: only what is
 * then set up anew happens with the locks held.
 *
 * Lock order: the power lock, then those of cards.h.
 */
#include "vmm/vm_internal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/log.h"

enum { RETRY_MIN_MS = 50, RETRY_MAX_MS = 2000 };

int vm_reconnect_init(struct vm *vm)
{
	struct epoll_event event = { .events = EPOLLIN };

	vm->watch_fd = epoll_create1(EPOLL_CLOEXEC);
	vm->quit_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->watch_fd < 0 || vm->quit_fd < 0 ||
	    epoll_ctl(vm->watch_fd, EPOLL_CTL_ADD, vm->quit_fd, &event))
		return -errno;
	return 0;
}

static bool find_lost(struct vm *vm, unsigned int idx, struct cards_lost *lost)
{
	bool found;

	pthread_mutex_lock(&vm->power_lock);
	found = cards_find_lost(&vm->cards, idx, lost);
	pthread_mutex_unlock(&vm->power_lock);
	return found;
}

static int reconnect(struct vm *vm, const struct cards_lost *lost)
{
	struct vfu_session session = lost->session;
	struct vfu_client *fresh;
	int err = vfu_client_connect_session(lost->path, &session, &fresh);

	if (err)
		return err;
	pthread_mutex_lock(&vm->power_lock);
	err = cards_reconnect(&vm->cards, lost, fresh, &session, vm_wait_vcpus,
			      vm);
	pthread_mutex_unlock(&vm->power_lock);
	if (err)
		log_limited(LOG_WARN, "%s: a server is there again, but %s",
			    lost->path, err == -EPROTO ?
			    "has another card" : strerror(-err));
	/* The guest may have been asked for it. */
	vm_wake(vm);
	return err;
}

/* Return: is any still lost? */
static bool try_all(struct vm *vm)
{
	struct cards_lost lost = { .idx = 0 };
	bool any = false;

	for (; find_lost(vm, lost.idx, &lost); lost.idx++)
		any |= reconnect(vm, &lost) != 0;
	return any;
}

static void *reconnect_main(void *arg)
{
	struct vm *vm = arg;
	int delay_ms = RETRY_MIN_MS;
	struct epoll_event event;
	bool lost = false;

	for (;;) {
		int n = epoll_wait(vm->watch_fd, &event, 1,
				   lost ? delay_ms : -1);
		eventfd_t value;

		if (n > 0 && !eventfd_read(vm->quit_fd, &value))
			return NULL;
		/* One that goes now has not been tried yet. */
		delay_ms = n ? RETRY_MIN_MS :
			min_of(2 * delay_ms, (int)RETRY_MAX_MS);
		lost = try_all(vm);
	}
}

int vm_reconnect_start(struct vm *vm)
{
	sigset_t all, saved;
	int err;

	/* The process's signals are for the main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	err = pthread_create(&vm->reconnect, NULL, reconnect_main, vm);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	vm->reconnecting = !err;
	if (err)
		log_err("a thread cannot be started: %s", strerror(err));
	else
		pthread_setname_np(vm->reconnect, "reconnect");
	return -err;
}

void vm_reconnect_stop(struct vm *vm)
{
	if (!vm->reconnecting)
		return;
	(void)!eventfd_write(vm->quit_fd, 1);
	pthread_join(vm->reconnect, NULL);
	vm->reconnecting = false;
}
