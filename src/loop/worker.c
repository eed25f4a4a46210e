/* SPDX-License-Identifier: Apache-2.0
 *
 * The worker loop; see worker.h for its rounds and for when it sleeps.
 */
#include "loop/worker.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sched.h"
#include "base/time.h"
#include "loop/worker_syscalls.h"

enum { EVENTS_MAX = 64 };

static const int worker_nrs[] = {
	__NR_epoll_wait, __NR_epoll_ctl, __NR_epoll_pwait2, __NR_read,
	__NR_write, -1,
};

const struct syscall_list worker_syscalls = { "worker", worker_nrs };

/* A function to be run on the worker; lives on its caller's stack. */
struct call {
	void (*fn)(void *arg);
	void *arg;
	bool done;		/* under calls_lock */
	struct list node;
};

struct worker {
	char name[16];		/* of the thread */
	uint64_t poll_ns;	/* how long to spin before sleeping */
	int cpu;		/* to be pinned to; -1: none */
	int epfd;		/* epoll of all watches and of wake_fd */
	struct watch wake;	/* eventfd: a call has come, or stop */

	/* The worker thread's own. */
	uint64_t now_ns;	/* time of this round */
	uint64_t last_work_ns;	/* when something was done last */
	bool busy;		/* what began at now_ns had work */
	uint64_t last_polled_ns; /* when a poller had work last */
	uint64_t last_fds_ns;	/* when descriptors were looked at last */
	bool fake_clock;	/* worker_set_now() was called */
	struct list pollers;
	struct list hot;	/* watches looked at every round */
	struct list timers;	/* by due time, soonest first */
	struct poller *next_poller; /* being walked; see remove */
	struct epoll_event events[EVENTS_MAX]; /* of this epoll_wait */
	int n_events;		/* of them not yet dispatched: [i_event, n) */
	int i_event;
	struct worker_stats stats;

	/* Shared with callers. */
	cache_aligned bool asleep; /* atomic: a nudge has to wake it */
	cache_aligned pthread_t thread;
	bool running;		/* the thread exists; written by its owner */
	bool stop;		/* atomic: end the loop */
	pthread_mutex_t calls_lock; /* calls, call.done; a leaf */
	pthread_cond_t call_done;
	struct list calls;
};

static bool wake_ready(struct watch *watch, uint32_t events)
{
	uint64_t n;

	/* Emptied by the kernel in one read; it may be empty already. */
	if (read(watch->fd, &n, sizeof(n)) < 0)
		return false;
	return true;
}

struct worker *worker_create(const char *name, uint64_t poll_ns)
{
	struct worker *w = aligned_alloc(_Alignof(struct worker), sizeof(*w));

	if (!w)
		return NULL;
	memset(w, 0, sizeof(*w));
	w->cpu = -1;
	strncpy(w->name, name, sizeof(w->name) - 1);
	w->poll_ns = sched_alone() ? 0 : poll_ns;
	list_init(&w->pollers);
	list_init(&w->hot);
	list_init(&w->timers);
	list_init(&w->calls);
	pthread_mutex_init(&w->calls_lock, NULL);
	pthread_cond_init(&w->call_done, NULL);
	w->now_ns = time_now_ns();

	w->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (w->epfd < 0)
		goto err_free;
	w->wake.ready = wake_ready;
	w->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->wake.fd < 0)
		goto err_close_epoll;
	if (worker_add_watch(w, &w->wake) < 0)
		goto err_close_wake;
	return w;

err_close_wake:
	fd_close(&w->wake.fd);
err_close_epoll:
	fd_close(&w->epfd);
err_free:
	free(w);
	return NULL;
}

void worker_destroy(struct worker *w)
{
	if (!w)
		return;
	fd_close(&w->wake.fd);
	fd_close(&w->epfd);
	pthread_cond_destroy(&w->call_done);
	pthread_mutex_destroy(&w->calls_lock);
	free(w);
}

uint64_t worker_now(const struct worker *w)
{
	return w->now_ns;
}

void worker_set_now(struct worker *w, uint64_t now_ns)
{
	w->fake_clock = true;
	w->now_ns = now_ns;
}

void worker_set_cpu(struct worker *w, unsigned int cpu)
{
	w->cpu = (int)cpu;
}

int worker_cpu(const struct worker *w)
{
	return w->cpu;
}

const char *worker_name(const struct worker *w)
{
	return w->name;
}

const struct worker_stats *worker_stats(const struct worker *w)
{
	return &w->stats;
}

/* ---- pollers ---- */

void worker_add_poller(struct worker *w, struct poller *p)
{
	if (p->active)
		return;
	p->active = true;
	list_append(&w->pollers, &p->node);
}

void worker_remove_poller(struct worker *w, struct poller *p)
{
	if (!p->active)
		return;
	/* Removed by another poller's turn: the walk goes on behind it. */
	if (w->next_poller == p)
		w->next_poller = container_of(p->node.next, struct poller,
					      node);
	p->active = false;
	list_remove(&p->node);
}

static bool poll_all(struct worker *w)
{
	bool worked = false;
	struct poller *p;

	p = container_of(w->pollers.next, struct poller, node);
	while (&p->node != &w->pollers) {
		w->next_poller = container_of(p->node.next, struct poller,
					      node);
		worked |= p->poll(p);
		p = w->next_poller;
	}
	w->next_poller = NULL;
	return worked;
}

static void arm_all(struct worker *w)
{
	struct poller *p;
	struct list *tmp;

	list_for_each(p, tmp, &w->pollers, node)
		if (p->arm)
			p->arm(p);
}

static void disarm_all(struct worker *w)
{
	struct poller *p;
	struct list *tmp;

	list_for_each(p, tmp, &w->pollers, node)
		if (p->disarm)
			p->disarm(p);
}

/* ---- descriptors ---- */

int worker_add_watch(struct worker *w, struct watch *watch)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = watch };

	watch->hot_until_ns = 0;
	list_init(&watch->hot_node);
	if (epoll_ctl(w->epfd, EPOLL_CTL_ADD, watch->fd, &event) < 0)
		return -errno;
	return 0;
}

void worker_watch_output(struct worker *w, struct watch *watch, bool on)
{
	struct epoll_event event = {
		.events = EPOLLIN | (on ? EPOLLOUT : 0),
		.data.ptr = watch,
	};

	/* Fails only for a descriptor that is not watched. */
	epoll_ctl(w->epfd, EPOLL_CTL_MOD, watch->fd, &event);
}

void worker_remove_watch(struct worker *w, struct watch *watch)
{
	epoll_ctl(w->epfd, EPOLL_CTL_DEL, watch->fd, NULL);
	list_remove(&watch->hot_node);
	watch->hot_until_ns = 0;
	/* Events of this epoll_wait that are still to come must not reach it */
	for (int i = w->i_event; i < w->n_events; i++)
		if (w->events[i].data.ptr == watch)
			w->events[i].data.ptr = NULL;
}

void worker_hot(struct worker *w, struct watch *watch, uint64_t ns)
{
	if (!w->poll_ns)
		return;
	if (!watch->hot_until_ns)
		list_append(&w->hot, &watch->hot_node);
	watch->hot_until_ns = w->now_ns + ns;
}

/* Returns whether one of them had work; a hot watch keeps the worker awake. */
static bool poll_hot(struct worker *w)
{
	struct watch *watch;
	struct list *tmp;
	bool worked = false;

	list_for_each(watch, tmp, &w->hot, hot_node) {
		if (w->now_ns >= watch->hot_until_ns) {
			list_remove(&watch->hot_node);
			watch->hot_until_ns = 0;
			continue;
		}
		/* May remove itself: it is not touched afterwards. */
		worked |= watch->ready(watch, 0);
	}
	return worked;
}

/* The @n events that have just been waited for; -1: that has failed.  Who is
 * removed before they are dispatched gets none of them. */
static void events_came(struct worker *w, int n)
{
	w->i_event = 0;
	w->n_events = max_of(n, 0);
}

static bool dispatch_events(struct worker *w)
{
	bool worked = false;

	while (w->i_event < w->n_events) {
		struct epoll_event *event = &w->events[w->i_event++];
		struct watch *watch = event->data.ptr;

		if (watch)
			worked |= watch->ready(watch, event->events);
	}
	return worked;
}

/* ---- timers ---- */

void worker_cancel_timer(struct worker *w, struct timer *timer)
{
	if (!timer->due_ns)
		return;
	timer->due_ns = 0;
	list_remove(&timer->node);
}

void worker_set_timer(struct worker *w, struct timer *timer, uint64_t due_ns)
{
	struct timer *t;
	struct list *tmp;

	worker_cancel_timer(w, timer);
	timer->due_ns = max_of(due_ns, 1ull);
	list_for_each(t, tmp, &w->timers, node)
		if (t->due_ns > timer->due_ns)
			break;
	/* Before the first later one, or before the head: at the end. */
	list_append(&t->node, &timer->node);
}

static bool run_timers(struct worker *w)
{
	bool worked = false;
	struct timer *t;

	while (!list_empty(&w->timers)) {
		t = container_of(w->timers.next, struct timer, node);
		if (t->due_ns > w->now_ns)
			break;
		worker_cancel_timer(w, t);
		t->expired(t);
		worked = true;
	}
	return worked;
}

/* ---- calls from other threads ---- */

static bool run_calls(struct worker *w)
{
	bool worked = false;

	pthread_mutex_lock(&w->calls_lock);
	while (!list_empty(&w->calls)) {
		struct call *call = container_of(w->calls.next, struct call,
						 node);

		list_remove(&call->node);
		pthread_mutex_unlock(&w->calls_lock);
		call->fn(call->arg);
		pthread_mutex_lock(&w->calls_lock);
		call->done = true;
		pthread_cond_broadcast(&w->call_done);
		worked = true;
	}
	pthread_mutex_unlock(&w->calls_lock);
	return worked;
}

static void wake(struct worker *w)
{
	uint64_t one = 1;

	/* Fails only if the eventfd is full: it will wake up, then. */
	if (write(w->wake.fd, &one, sizeof(one)) < 0)
		return;
}

void worker_call(struct worker *w, void (*fn)(void *arg), void *arg)
{
	struct call call = { .fn = fn, .arg = arg };

	if (!w->running || pthread_equal(pthread_self(), w->thread)) {
		fn(arg);
		return;
	}
	list_init(&call.node);
	pthread_mutex_lock(&w->calls_lock);
	list_append(&w->calls, &call.node);
	wake(w);
	while (!call.done)
		pthread_cond_wait(&w->call_done, &w->calls_lock);
	pthread_mutex_unlock(&w->calls_lock);
}

void worker_nudge(struct worker *w)
{
	/* Reading first keeps the line shared while nobody sleeps; of several
	 * that find it asleep, one wakes it. */
	if (__atomic_load_n(&w->asleep, __ATOMIC_SEQ_CST) &&
	    __atomic_exchange_n(&w->asleep, false, __ATOMIC_SEQ_CST))
		wake(w);
}

/* ---- the loop ---- */

/* The one time a round: what the last one took is known with it. */
static void read_clock(struct worker *w)
{
	uint64_t before_ns = w->now_ns;

	if (!w->fake_clock)
		w->now_ns = time_now_ns();
	if (w->busy)
		counter_add(&w->stats.busy_ns, w->now_ns - before_ns);
	w->busy = false;
}

/* Timers, descriptors and calls, without waiting. */
static bool look_around(struct worker *w)
{
	bool worked;

	w->last_fds_ns = w->now_ns;
	worked = run_timers(w);
	events_came(w, epoll_wait(w->epfd, w->events, EVENTS_MAX, 0));
	worked |= dispatch_events(w);
	worked |= run_calls(w);
	return worked;
}

/* Is it time to look at descriptors? */
static bool fds_due(const struct worker *w)
{
	/* One that does not poll looks at them when it goes to sleep. */
	bool busy = !w->poll_ns ||
		w->now_ns - w->last_polled_ns < WORKER_BUSY_NS;

	return w->fake_clock || w->now_ns - w->last_fds_ns >=
	       (busy ? WORKER_FD_INTERVAL_NS : WORKER_IDLE_FD_INTERVAL_NS);
}

bool worker_round(struct worker *w)
{
	bool worked;

	read_clock(w);
	worked = poll_all(w);
	if (worked)
		w->last_polled_ns = w->now_ns;
	if (!list_empty(&w->hot))
		worked |= poll_hot(w);
	if (fds_due(w))
		worked |= look_around(w);
	counter_add(&w->stats.rounds, 1);
	if (worked) {
		w->last_work_ns = w->now_ns;
		w->busy = true;
		counter_add(&w->stats.busy_rounds, 1);
	}
	return worked;
}

/* Until when epoll may wait, relative; NULL: for ever. */
static const struct timespec *sleep_time(struct worker *w, struct timespec *ts)
{
	struct timer *t;
	uint64_t ns;

	if (list_empty(&w->timers))
		return NULL;
	t = container_of(w->timers.next, struct timer, node);
	ns = t->due_ns > w->now_ns ? t->due_ns - w->now_ns : 0;
	ts->tv_sec = (time_t)(ns / NS_PER_S);
	ts->tv_nsec = (long)(ns % NS_PER_S);
	return ts;
}

static void sleep_until_event(struct worker *w)
{
	struct timespec ts;
	int n;

	arm_all(w);
	__atomic_store_n(&w->asleep, true, __ATOMIC_SEQ_CST);
	/* Whatever came before the arming took effect is found here, whatever
	 * comes after it wakes us. */
	if (poll_all(w)) {
		__atomic_store_n(&w->asleep, false, __ATOMIC_RELAXED);
		disarm_all(w);
		return;
	}
	counter_add(&w->stats.sleeps, 1);
	n = epoll_pwait2(w->epfd, w->events, EVENTS_MAX, sleep_time(w, &ts),
			 NULL);
	events_came(w, n);
	__atomic_store_n(&w->asleep, false, __ATOMIC_RELAXED);
	read_clock(w);
	/* First of all what has waited for us; caches are cold enough. */
	if (poll_all(w)) {
		w->last_polled_ns = w->now_ns;
		/* An answer may come sooner than the kicks that have woken us
		 * are read; epoll tells of them again when they are due. */
		if (w->poll_ns)
			events_came(w, 0);
	}
	disarm_all(w);
	counter_add(n > 0 ? &w->stats.wakeups : &w->stats.timer_wakeups, 1);
	w->last_work_ns = w->now_ns;
	w->last_fds_ns = w->now_ns;
	w->busy = true;
	run_timers(w);
	dispatch_events(w);
	run_calls(w);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	pthread_setname_np(pthread_self(), w->name);
	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		if (worker_round(w))
			continue;
		if (!list_empty(&w->hot) ||
		    w->now_ns - w->last_work_ns < w->poll_ns)
			continue;
		sleep_until_event(w);
	}
	run_calls(w);
	return NULL;
}

int worker_start(struct worker *w)
{
	pthread_attr_t attr;
	cpu_set_t cpus;
	int ret;

	ret = pthread_attr_init(&attr);
	if (ret)
		return -ret;
	if (w->cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET(w->cpu, &cpus);
		ret = pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	}
	w->stop = false;
	/* Set first: the new thread may ask through worker_call(). */
	w->running = true;
	if (!ret)
		ret = pthread_create(&w->thread, &attr, worker_main, w);
	if (ret)
		w->running = false;
	pthread_attr_destroy(&attr);
	return -ret;
}

void worker_stop(struct worker *w)
{
	if (!w->running)
		return;
	__atomic_store_n(&w->stop, true, __ATOMIC_RELEASE);
	wake(w);
	pthread_join(w->thread, NULL);
	w->running = false;
}
