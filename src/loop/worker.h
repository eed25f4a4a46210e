/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker: one thread that serves queues, file descriptors and timers.
 *
 * Theory of operation.  A worker goes round:
 *
 *   1. every poller gets a turn (bounded work; says whether it did any);
 *   2. hot watches are looked at: descriptors from which something is expected
 *      at once (the register read that follows an interrupt);
 *   3. at least every WORKER_FD_INTERVAL_NS, or WORKER_IDLE_FD_INTERVAL_NS
 *      if there is no other work: due timers, all descriptors (epoll, no
 *      waiting) and calls from other threads.
 *
 * When nothing has been done for `poll_ns`, it *arms* every poller (asks the
 * other side for a wake-up) and says that it is asleep, gives each poller one
 * more turn, and only if that finds nothing sleeps in epoll until a descriptor,
 * a timer, a call or a nudge wakes it.  Asking first and looking again second
 * is what makes a lost wake-up impossible, provided that the other side does
 * the same the other way round: it publishes first and looks whether it was
 * asked second, with a full barrier in between on both sides.  Woken up, it
 * looks at the pollers first; if they have work, descriptors have their time as
 * above.
 *
 *   worker                          other thread, driver
 *     ask (arm, asleep = true)        publish (ring index, inbox)
 *     --- full barrier ---            --- full barrier ---
 *     look once more                  asked? then wake
 *     sleep
 *
 * tests/model/wakeup.pml is this protocol for spin: virtio's flags, virtio's
 * event index, and worker_nudge().
 *
 * Threads: worker_call(), worker_nudge() and worker_stop() from any thread;
 * everything else from the worker's own thread, or before worker_start().
 */
#ifndef LOOP_WORKER_H
#define LOOP_WORKER_H

#include "base/counter.h"
#include "base/list.h"
#include "base/util.h"

struct worker;

/* How long at most descriptors go unlooked at while the worker is busy. */
#define WORKER_FD_INTERVAL_NS 20000

/* And while it only polls.  Looking every time would cost a system call between
 * two looks at a queue, and that is what a frame then waits for. */
#define WORKER_IDLE_FD_INTERVAL_NS 1000

/* So long after a poller has had work the worker is still taken for busy: the
 * answer to a frame may come, and is not to wait for a system call. */
#define WORKER_BUSY_NS 5000

/* Something that may have work every round: a queue. */
struct poller {
	/* Do a bounded amount of work; was there any? */
	bool (*poll)(struct poller *poller);
	/* Ask for a wake-up, before the worker sleeps; NULL: comes by an fd */
	void (*arm)(struct poller *poller);
	/* Take that back, after it has slept; NULL if arm is */
	void (*disarm)(struct poller *poller);
	struct list node;	/* private to the worker */
	bool active;		/* private: is it on the worker's list? */
};

/* A descriptor to be looked at. */
struct watch {
	/* @events as of epoll; may be called with 0 for a hot watch, so the
	 * descriptor has to be non-blocking.  Was there any work?  May remove
	 * (and free) its own watch, not another one's. */
	bool (*ready)(struct watch *watch, uint32_t events);
	int fd;			/* owned by the caller */
	struct list hot_node;	/* private to the worker */
	uint64_t hot_until_ns;	/* private; 0: not hot */
};

/* A moment to be called at, on the worker. */
struct timer {
	void (*expired)(struct timer *timer);
	uint64_t due_ns;	/* private to the worker; 0: not set */
	struct list node;	/* private to the worker */
};

/* What a worker has done since it was created. */
struct worker_stats {
	counter rounds;		/* times round the loop */
	counter busy_rounds;	/* of those, with work done */
	counter busy_ns;	/* time they took, and waking up to work */
	counter sleeps;		/* times it went to sleep */
	counter wakeups;	/* woken by a descriptor or a call */
	counter timer_wakeups;	/* woken by a timer */
};

/**
 * worker_create() - a worker that does not run yet
 * @name: thread name, at most 15 characters, copied
 * @poll_ns: how long it goes on polling after the last work; taken as 0 on
 *	a machine with one processor
 *
 * Return: the worker or NULL (errno).
 */
struct worker *worker_create(const char *name, uint64_t poll_ns);

/** worker_set_cpu() - the thread is to run on this processor alone; before
 * worker_start(), which fails with -EINVAL if there is no such processor */
void worker_set_cpu(struct worker *worker, unsigned int cpu);

/** worker_cpu() - that processor, or -1: any */
int worker_cpu(const struct worker *worker);

/** worker_name() - of the thread */
const char *worker_name(const struct worker *worker);

/** worker_start() - run the loop in a thread of its own; 0 or -errno */
int must_check worker_start(struct worker *worker);

/** worker_stop() - end the thread and wait for it; idempotent */
void worker_stop(struct worker *worker);

/** worker_destroy() - free a stopped worker; NULL is fine */
void worker_destroy(struct worker *worker);

/**
 * worker_call() - run @fn on the worker's thread and wait for it
 *
 * If the worker does not run (not started, stopped), @fn runs here.  This is
 * how the control API changes anything that belongs to the worker.  Not from
 * another worker's thread: two that call each other would wait for ever.
 */
void worker_call(struct worker *worker, void (*fn)(void *arg), void *arg);

/**
 * worker_nudge() - a poller of @worker has got work from another thread
 *
 * To be called after publishing it by a __ATOMIC_SEQ_CST store, which the
 * poller reads by a __ATOMIC_SEQ_CST load: of the two, and of the worker's own
 * two, see above.  Costs a system call only if the worker sleeps, and only the
 * first one that comes.  Any thread; never waits.
 */
void worker_nudge(struct worker *worker);

/** worker_now() - the time of this round, CLOCK_MONOTONIC ns */
uint64_t worker_now(const struct worker *worker);

/** worker_set_now() - tests only: a worker that never starts, a fake clock */
void worker_set_now(struct worker *worker, uint64_t now_ns);

/**
 * worker_round() - one round without sleeping; for tests without a thread
 *
 * Return: was there work?
 */
bool worker_round(struct worker *worker);

const struct worker_stats *worker_stats(const struct worker *worker);

void worker_add_poller(struct worker *worker, struct poller *poller);
void worker_remove_poller(struct worker *worker, struct poller *poller);

/** worker_add_watch() - epoll on @watch->fd for EPOLLIN; 0 or -errno */
int must_check worker_add_watch(struct worker *worker, struct watch *watch);

/** worker_watch_output() - also (or no longer) EPOLLOUT */
void worker_watch_output(struct worker *worker, struct watch *watch, bool on);

void worker_remove_watch(struct worker *worker, struct watch *watch);

/** worker_hot() - look at @watch every round for the next @ns */
void worker_hot(struct worker *worker, struct watch *watch, uint64_t ns);

/** worker_set_timer() - call @timer at @due_ns; replaces an earlier setting */
void worker_set_timer(struct worker *worker, struct timer *timer,
		      uint64_t due_ns);
void worker_cancel_timer(struct worker *worker, struct timer *timer);

#endif
