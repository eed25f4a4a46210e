/* SPDX-License-Identifier: Apache-2.0
 *
 * What two cores of this machine can do at best, beside which bench/vhost.py
 * puts the switches.  Core 1 is both machines, core 0 the switch.
 *
 *   limits hop            a cache line from one core to the other, in ns
 *   limits wake GAP_US    p50 of an eventfd's wake-up of core 0 after GAP_US of
 *                         silence, in us; core 1 spins
 *   limits copy LEN       frames of LEN bytes a second, in millions, if nothing
 *                         but one copy between two rings has to be done
 *   limits tsc            ticks of the time stamp counter a second, in GHz
 *
 * Prints one number.
 */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
	LINE = 64,
	HOPS = 1000,			/* of one sample */
	HOP_SAMPLES = 200,
	WAKE_SAMPLES = 100,
	RING = 256,
	BURST = 32,
	BUFFER_LEN = 2048,
	/* As those of vhost_pair.c: walked through, first in, first out. */
	TX_BUFFERS = 2047,
	RX_BUFFERS = 4095,
	PREFETCH_AHEAD = 2,		/* frames */
	COPY_MS = 500,
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		fail("sched_setaffinity");
}

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, unsigned int n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

static pthread_t start(void *(*fn)(void *arg))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, NULL))
		fail("pthread_create");
	return thread;
}

/* ---- hop ---- */

static _Alignas(LINE) uint64_t ball;	/* odd: core 1 is to answer */

static void *answer(void *arg)
{
	(void)arg;
	pin(1);
	for (uint64_t i = 1;; i += 2) {
		uint64_t seen;

		do {
			seen = __atomic_load_n(&ball, __ATOMIC_ACQUIRE);
			if (seen == UINT64_MAX)
				return NULL;
		} while (seen != i);
		__atomic_store_n(&ball, i + 1, __ATOMIC_RELEASE);
	}
}

static double hop(void)
{
	double samples[HOP_SAMPLES];
	pthread_t thread = start(answer);
	uint64_t i = 0;

	for (unsigned int s = 0; s < HOP_SAMPLES; s++) {
		uint64_t end = i + HOPS;
		double begin = now_ns();

		for (; i < end; i += 2) {
			__atomic_store_n(&ball, i + 1, __ATOMIC_RELEASE);
			while (__atomic_load_n(&ball, __ATOMIC_ACQUIRE) !=
			       i + 2)
				;
		}
		samples[s] = (now_ns() - begin) / HOPS;
	}
	__atomic_store_n(&ball, UINT64_MAX, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	return median(samples, HOP_SAMPLES);
}

/* ---- wake ---- */

static int wake_fd;
static bool awake;

static void *sleep_and_tell(void *arg)
{
	uint64_t n;

	(void)arg;
	pin(0);
	while (read(wake_fd, &n, sizeof(n)) == sizeof(n))
		__atomic_store_n(&awake, true, __ATOMIC_RELEASE);
	return NULL;
}

static double wake(double gap_us)
{
	double samples[WAKE_SAMPLES];
	uint64_t one = 1;

	wake_fd = eventfd(0, 0);
	if (wake_fd < 0)
		fail("eventfd");
	pin(1);
	start(sleep_and_tell);
	for (unsigned int s = 0; s < WAKE_SAMPLES; s++) {
		double begin = now_ns();

		while (now_ns() - begin < gap_us * 1e3)
			;
		begin = now_ns();
		if (write(wake_fd, &one, sizeof(one)) < 0)
			fail("write");
		while (!__atomic_load_n(&awake, __ATOMIC_ACQUIRE))
			;
		samples[s] = (now_ns() - begin) / 1e3;
		awake = false;
	}
	return median(samples, WAKE_SAMPLES);
}

/* ---- copy ---- */

struct ring {
	_Alignas(LINE) uint32_t avail;	/* free-running */
	_Alignas(LINE) uint32_t used;
	_Alignas(LINE) uint32_t buffer[RING];
};

static struct ring tx, rx;
static uint8_t *tx_memory, *rx_memory;
static bool stop;
static uint64_t n_copied;

static uint8_t *tx_at(uint32_t i)
{
	return tx_memory + (size_t)tx.buffer[i % RING] * BUFFER_LEN;
}

static uint8_t *rx_at(uint32_t i)
{
	return rx_memory + (size_t)rx.buffer[i % RING] * BUFFER_LEN;
}

/* Writes and reads one line of each frame, as little as machines can. */
static void *machines(void *arg)
{
	uint32_t tx_avail = 0, rx_avail, rx_used = 0, to_send = 0, to_fill = 0;

	(void)arg;
	pin(1);
	for (rx_avail = 0; rx_avail < RING; rx_avail++)
		rx.buffer[rx_avail] = to_fill++;
	__atomic_store_n(&rx.avail, rx_avail, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		uint32_t used = __atomic_load_n(&tx.used, __ATOMIC_ACQUIRE);

		for (int i = 0; i < BURST && tx_avail - used < RING; i++) {
			tx.buffer[tx_avail % RING] = to_send;
			memset(tx_at(tx_avail++), i, LINE);
			to_send = (to_send + 1) % TX_BUFFERS;
		}
		__atomic_store_n(&tx.avail, tx_avail, __ATOMIC_RELEASE);
		used = __atomic_load_n(&rx.used, __ATOMIC_ACQUIRE);
		for (int i = 0; i < BURST && rx_used != used; i++) {
			/* Never false: to have read it. */
			n_copied += *rx_at(rx_used++) < BURST;
			rx.buffer[rx_avail++ % RING] = to_fill;
			to_fill = (to_fill + 1) % RX_BUFFERS;
		}
		__atomic_store_n(&rx.avail, rx_avail, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void ask_for(uint32_t i_tx, uint32_t i_rx, size_t len)
{
	for (size_t off = 0; off < len; off += LINE) {
		__builtin_prefetch(tx_at(i_tx) + off);
		__builtin_prefetch(rx_at(i_rx) + off, 1);
	}
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static double copy(size_t len)
{
	uint32_t tx_used = 0, rx_used = 0, n;
	double begin, took;
	pthread_t thread;

	tx_memory = aligned_alloc(4096, (TX_BUFFERS + 1) * BUFFER_LEN);
	rx_memory = aligned_alloc(4096, (RX_BUFFERS + 1) * BUFFER_LEN);
	if (!tx_memory || !rx_memory || len > BUFFER_LEN)
		fail("buffers");
	madvise(tx_memory, (TX_BUFFERS + 1) * BUFFER_LEN, MADV_HUGEPAGE);
	madvise(rx_memory, (RX_BUFFERS + 1) * BUFFER_LEN, MADV_HUGEPAGE);
	memset(tx_memory, 0, (TX_BUFFERS + 1) * BUFFER_LEN);
	memset(rx_memory, 0, (RX_BUFFERS + 1) * BUFFER_LEN);
	thread = start(machines);
	begin = now_ns();
	while (now_ns() - begin < COPY_MS * 1e6) {
		n = least(__atomic_load_n(&tx.avail, __ATOMIC_ACQUIRE) -
			  tx_used,
			  __atomic_load_n(&rx.avail, __ATOMIC_ACQUIRE) -
			  rx_used);
		n = least(n, BURST);
		for (uint32_t i = 0; i < n; i++) {
			if (i + PREFETCH_AHEAD < n)
				ask_for(tx_used + PREFETCH_AHEAD,
					rx_used + PREFETCH_AHEAD, len);
			memcpy(rx_at(rx_used++), tx_at(tx_used++), len);
		}
		__atomic_store_n(&tx.used, tx_used, __ATOMIC_RELEASE);
		__atomic_store_n(&rx.used, rx_used, __ATOMIC_RELEASE);
	}
	took = now_ns() - begin;
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return (double)n_copied / took * 1e3;
}

/* ---- tsc ---- */

static double tsc(void)
{
	double begin = now_ns(), took;
	uint64_t ticks = __builtin_ia32_rdtsc();

	while ((took = now_ns() - begin) < 5e7)
		;
	return (double)(__builtin_ia32_rdtsc() - ticks) / took;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	double number = argc > 2 ? strtod(argv[2], NULL) : 0;

	pin(0);
	if (!strcmp(what, "hop"))
		printf("%.0f\n", hop());
	else if (!strcmp(what, "wake") && argc > 2)
		printf("%.2f\n", wake(number));
	else if (!strcmp(what, "copy") && argc > 2)
		printf("%.2f\n", copy((size_t)number));
	else if (!strcmp(what, "tsc"))
		printf("%.4f\n", tsc());
	else
		fprintf(stderr, "usage: limits hop | wake GAP_US | copy LEN | "
			"tsc\n");
	return 0;
}
