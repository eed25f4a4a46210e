/* SPDX-License-Identifier: Apache-2.0
 *
 * The worker: order of rounds, timers on a fake clock, removal while walking,
 * calls from other threads, and that no wake-up is lost on the way to sleep.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/time.h"
#include "loop/worker.h"

struct fake_poller {
	struct poller poller;
	struct worker *worker;
	struct poller *removes;	/* taken off the worker in our turn */
	int n_polls;
};

static bool fake_poll(struct poller *poller)
{
	struct fake_poller *f = container_of(poller, struct fake_poller,
					     poller);

	f->n_polls++;
	if (f->removes)
		worker_remove_poller(f->worker, f->removes);
	return false;
}

static void test_poller_removed_in_a_turn(void **state)
{
	struct worker *w = worker_create("test", 0);
	struct fake_poller a = { .poller.poll = fake_poll, .worker = w };
	struct fake_poller b = a, c = a;

	worker_set_now(w, 1);
	worker_add_poller(w, &a.poller);
	worker_add_poller(w, &b.poller);
	worker_add_poller(w, &c.poller);
	worker_add_poller(w, &c.poller);	/* twice is once */
	a.removes = &b.poller;			/* the next one */
	c.removes = &c.poller;			/* itself */
	worker_round(w);
	worker_round(w);
	assert_int_equal(a.n_polls, 2);
	assert_int_equal(b.n_polls, 0);
	assert_int_equal(c.n_polls, 1);
	worker_remove_poller(w, &a.poller);
	worker_destroy(w);
}

struct fake_timer {
	struct timer timer;
	struct worker *worker;
	uint64_t period_ns;	/* sets itself again; 0: once */
	int order;		/* of the last call */
};

static int timer_calls;

static void fake_expired(struct timer *timer)
{
	struct fake_timer *f = container_of(timer, struct fake_timer, timer);

	f->order = ++timer_calls;
	if (f->period_ns)
		worker_set_timer(f->worker, timer,
				 worker_now(f->worker) + f->period_ns);
}

static void test_timers_in_order(void **state)
{
	struct worker *w = worker_create("test", 0);
	struct fake_timer a = { .timer.expired = fake_expired, .worker = w };
	struct fake_timer b = a, c = a;

	timer_calls = 0;
	worker_set_now(w, 100);
	worker_set_timer(w, &a.timer, 300);
	worker_set_timer(w, &b.timer, 200);
	worker_set_timer(w, &c.timer, 250);
	worker_set_timer(w, &c.timer, 400);	/* replaced */
	b.period_ns = 50;
	worker_set_now(w, 199);
	worker_round(w);
	assert_int_equal(timer_calls, 0);
	worker_set_now(w, 300);
	worker_round(w);
	assert_int_equal(b.order, 1);
	assert_int_equal(a.order, 2);
	assert_int_equal(c.order, 0);
	worker_set_now(w, 400);
	worker_round(w);
	assert_int_equal(b.order, 3);		/* due 350, set in between */
	assert_int_equal(c.order, 4);
	worker_cancel_timer(w, &b.timer);
	worker_cancel_timer(w, &b.timer);
	worker_set_now(w, 10000);
	worker_round(w);
	assert_int_equal(timer_calls, 4);
	worker_destroy(w);
}

struct removing_watch {
	struct watch watch;
	struct worker *worker;
	int n_ready;
};

static bool remove_self(struct watch *watch, uint32_t events)
{
	struct removing_watch *r = container_of(watch, struct removing_watch,
						watch);

	r->n_ready++;
	worker_remove_watch(r->worker, watch);
	return true;
}

static void test_watch_removed_when_ready(void **state)
{
	struct worker *w = worker_create("test", 0);
	struct removing_watch r = {
		.watch = { .ready = remove_self, .fd = eventfd(1, 0) },
		.worker = w,
	};

	worker_set_now(w, 1);
	assert_int_equal(worker_add_watch(w, &r.watch), 0);
	worker_hot(w, &r.watch, 1000);
	worker_round(w);
	worker_round(w);
	assert_int_equal(r.n_ready, 1);
	close(r.watch.fd);
	worker_destroy(w);
}

/* A poller that takes a watch off the worker when it is told to. */
struct remover {
	struct poller poller;
	struct removing_watch *victim;
	bool now;		/* atomic; by the other thread */
};

static bool remove_victim(struct poller *poller)
{
	struct remover *r = container_of(poller, struct remover, poller);

	if (__atomic_exchange_n(&r->now, false, __ATOMIC_SEQ_CST))
		worker_remove_watch(r->victim->worker, &r->victim->watch);
	return false;
}

static void nothing(void *arg)
{
}

/* What has woken the worker belongs to one who goes before it is looked at. */
static void test_watch_removed_while_its_event_waits(void **state)
{
	for (int turn = 0; turn < 50; turn++) {
		struct worker *w = worker_create("test", 0);
		uint64_t sleeps;
		struct removing_watch victim = {
			.watch = { .ready = remove_self, .fd = eventfd(0, 0) },
			.worker = w,
		};
		struct remover r = {
			.poller.poll = remove_victim, .victim = &victim,
		};

		assert_int_equal(worker_add_watch(w, &victim.watch), 0);
		worker_add_poller(w, &r.poller);
		assert_int_equal(worker_start(w), 0);
		do {
			usleep(100);
			sleeps = counter_read(&worker_stats(w)->sleeps);
		} while (!sleeps);
		/* Nobody polls while it sleeps. */
		usleep(1000);
		__atomic_store_n(&r.now, true, __ATOMIC_SEQ_CST);
		assert_int_equal(eventfd_write(victim.watch.fd, 1), 0);
		while (__atomic_load_n(&r.now, __ATOMIC_SEQ_CST))
			usleep(100);
		worker_call(w, nothing, NULL);
		assert_int_equal(victim.n_ready, 0);
		worker_stop(w);
		worker_remove_poller(w, &r.poller);
		close(victim.watch.fd);
		worker_destroy(w);
	}
}

/* A mailbox that is polled, and rings a bell only while it is armed. */
struct mailbox {
	struct poller poller;
	struct watch bell;
	uint64_t posted;	/* atomic; by the other thread */
	uint64_t seen;		/* atomic; by the worker */
	bool armed;		/* atomic */
	counter n_bells;	/* heard by the worker */
};

static bool mailbox_poll(struct poller *poller)
{
	struct mailbox *m = container_of(poller, struct mailbox, poller);
	uint64_t posted = __atomic_load_n(&m->posted, __ATOMIC_SEQ_CST);
	bool worked = posted != m->seen;

	__atomic_store_n(&m->seen, posted, __ATOMIC_SEQ_CST);
	return worked;
}

static void mailbox_arm(struct poller *poller)
{
	struct mailbox *m = container_of(poller, struct mailbox, poller);

	__atomic_store_n(&m->armed, true, __ATOMIC_SEQ_CST);
}

static void mailbox_disarm(struct poller *poller)
{
	struct mailbox *m = container_of(poller, struct mailbox, poller);

	__atomic_store_n(&m->armed, false, __ATOMIC_SEQ_CST);
}

static bool bell_ready(struct watch *watch, uint32_t events)
{
	struct mailbox *m = container_of(watch, struct mailbox, bell);
	uint64_t n;

	if (read(watch->fd, &n, sizeof(n)) != sizeof(n))
		return false;
	counter_add(&m->n_bells, 1);
	return true;
}

/* @n letters, and a call now and then, to a worker that sleeps after @poll_ns
 * without any. */
static void post_letters(uint64_t poll_ns, uint64_t n)
{
	struct worker *w = worker_create("test", poll_ns);
	struct mailbox m = {
		.poller = { mailbox_poll, mailbox_arm, mailbox_disarm,
			    { NULL, NULL }, false },
		.bell = { .ready = bell_ready,
			  .fd = eventfd(0, EFD_NONBLOCK) },
	};
	uint64_t one = 1;

	worker_add_poller(w, &m.poller);
	assert_int_equal(worker_add_watch(w, &m.bell), 0);
	assert_int_equal(worker_start(w), 0);
	for (uint64_t i = 1; i <= n; i++) {
		/* To find it asleep. */
		if (poll_ns)
			usleep(20);
		__atomic_store_n(&m.posted, i, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&m.armed, __ATOMIC_SEQ_CST))
			assert_int_equal(write(m.bell.fd, &one, sizeof(one)),
					 sizeof(one));
		/* A lost wake-up hangs here until the test's time-out. */
		while (__atomic_load_n(&m.seen, __ATOMIC_SEQ_CST) != i)
			;
		if (!(i % 16))
			worker_call(w, nothing, NULL);
	}
	worker_stop(w);
	assert_true(counter_read(&worker_stats(w)->sleeps) > 0);
	/* Bells that were left for later are read before it sleeps again. */
	assert_true(counter_read(&m.n_bells) > 0);
	worker_destroy(w);
	close(m.bell.fd);
}

static void test_no_wakeup_is_lost(void **state)
{
	post_letters(0, 20000);
}

static void test_no_wakeup_is_lost_after_polling(void **state)
{
	post_letters(1000, 2000);
}

static void record_thread(void *arg)
{
	*(pthread_t *)arg = pthread_self();
}

static void test_calls_run_on_the_worker(void **state)
{
	struct worker *w = worker_create("test", 0);
	pthread_t thread;

	worker_call(w, record_thread, &thread);	/* does not run: here */
	assert_true(pthread_equal(thread, pthread_self()));
	assert_int_equal(worker_start(w), 0);
	worker_call(w, record_thread, &thread);
	assert_false(pthread_equal(thread, pthread_self()));
	worker_stop(w);
	worker_stop(w);
	worker_call(w, record_thread, &thread);
	assert_true(pthread_equal(thread, pthread_self()));
	worker_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_poller_removed_in_a_turn),
		cmocka_unit_test(test_timers_in_order),
		cmocka_unit_test(test_watch_removed_when_ready),
		cmocka_unit_test(test_watch_removed_while_its_event_waits),
		cmocka_unit_test(test_no_wakeup_is_lost),
		cmocka_unit_test(test_no_wakeup_is_lost_after_polling),
		cmocka_unit_test(test_calls_run_on_the_worker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
