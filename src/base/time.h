/* SPDX-License-Identifier: Apache-2.0
 *
 * Time is CLOCK_MONOTONIC nanoseconds.  Code on a worker uses worker_now(),
 * which is read once a round and can be set by tests; only what runs outside a
 * worker reads the clock itself.
 */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include <stdint.h>
#include <time.h>

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

static inline uint64_t time_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

#endif
