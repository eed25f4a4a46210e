/* SPDX-License-Identifier: Apache-2.0
 *
 * How long is a worker to poll before it sleeps?  Another thread gives it one
 * thing to do, waits until it is done and then for a while, over and over.  For
 * each pause and each time of polling: how long the worker took to see it, half
 * the time at most and in nine of ten, and what processor time it used up.
 *
 * usage: bench_wakeup [SECONDS-A-CASE]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/time.h"
#include "loop/worker.h"

enum { SAMPLES_MAX = 100000 };

static const unsigned int polls_us[] = { 0, 20, 50, 100, 200 };
static const unsigned int pauses_us[] = { 1, 10, 30, 70, 150, 1000 };

static struct {
	struct poller poller;
	cache_aligned uint64_t posted;	/* atomic; things to do, so far */
	cache_aligned uint64_t seen_ns;	/* atomic; when the last one was seen;
					 * 0: not yet */
	cache_aligned uint64_t done;	/* the worker's own */
} box;

static uint64_t latency[SAMPLES_MAX];

static bool box_poll(struct poller *poller)
{
	uint64_t posted = __atomic_load_n(&box.posted, __ATOMIC_SEQ_CST);

	if (posted == box.done)
		return false;
	box.done = posted;
	__atomic_store_n(&box.seen_ns, time_now_ns(), __ATOMIC_RELEASE);
	return true;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Polled away, so that the pause does not end late. */
static void pause_us(unsigned int us)
{
	uint64_t end = time_now_ns() + us * NS_PER_US;

	while (time_now_ns() < end)
		;
}

static void cpu_time(void *arg)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	*(uint64_t *)arg = (uint64_t)ts.tv_sec * NS_PER_S +
			   (uint64_t)ts.tv_nsec;
}

static void run(unsigned int poll_us, unsigned int gap_us, double seconds)
{
	struct worker *w = worker_create("bench", poll_us * NS_PER_US);
	uint64_t start, ns, cpu_before, cpu_after;
	unsigned int n = 0;

	if (!w)
		exit(1);
	box.poller.poll = box_poll;
	worker_add_poller(w, &box.poller);
	if (worker_start(w) < 0)
		exit(1);
	worker_call(w, cpu_time, &cpu_before);
	start = time_now_ns();
	while ((ns = time_now_ns() - start) < seconds * (double)NS_PER_S &&
	       n < SAMPLES_MAX) {
		uint64_t seen, sent = time_now_ns();

		__atomic_store_n(&box.seen_ns, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&box.posted, box.posted + 1,
				 __ATOMIC_SEQ_CST);
		worker_nudge(w);
		while (!(seen = __atomic_load_n(&box.seen_ns,
						__ATOMIC_ACQUIRE)))
			;
		latency[n++] = seen - sent;
		pause_us(gap_us);
	}
	worker_call(w, cpu_time, &cpu_after);
	qsort(latency, n, sizeof(latency[0]), by_value);
	printf("%8u %8u %9.1f %9.1f %8.0f %%\n", gap_us, poll_us,
	       (double)latency[n / 2] / 1e3, (double)latency[n * 9 / 10] / 1e3,
	       (double)(cpu_after - cpu_before) * 100 / (double)ns);
	worker_remove_poller(w, &box.poller);
	worker_stop(w);
	worker_destroy(w);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 0.5;

	printf("pause us  poll us    p50 us    p90 us      CPU\n");
	for (size_t i = 0; i < ARRAY_SIZE(pauses_us); i++)
		for (size_t j = 0; j < ARRAY_SIZE(polls_us); j++)
			run(polls_us[j], pauses_us[i], seconds);
	return 0;
}
