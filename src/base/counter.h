/* SPDX-License-Identifier: Apache-2.0
 *
 * Statistics counters: written by one thread, read by any.  No read-modify-
 * write instruction is needed, only stores that cannot tear.
 */
#ifndef BASE_COUNTER_H
#define BASE_COUNTER_H

#include <stdint.h>

typedef struct { uint64_t v; } counter;

static inline void counter_add(counter *c, uint64_t n)
{
	__atomic_store_n(&c->v, c->v + n, __ATOMIC_RELAXED);
}

static inline uint64_t counter_read(const counter *c)
{
	return __atomic_load_n(&c->v, __ATOMIC_RELAXED);
}

#endif
