/* SPDX-License-Identifier: Apache-2.0
 *
 * The small things everybody needs: attributes, container_of, bounds, bits.
 */
#ifndef BASE_UTIL_H
#define BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n) (1u << (n))
#define BIT64(n) (1ull << (n))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* The caller has to look at the result. */
#define must_check __attribute__((warn_unused_result))
#define unused __attribute__((unused))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))
#define cache_aligned __attribute__((aligned(64)))

/* Ask for a cache line, to be read or to be written; any address will do.  Not
 * by __builtin_prefetch(): gcc takes a function that does nothing else for one
 * without effect, and drops its calls. */
static inline void prefetch_to_read(const void *p)
{
	__asm__ volatile("prefetcht0 %0" : : "m"(*(const char *)p));
}

static inline void prefetch_to_write(const void *p)
{
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)p));
}

/* The structure that holds @member at @ptr. */
#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

/* Each argument is evaluated once; they may be nested. */
#define min_of(a, b) pick_of(a, b, <, __COUNTER__)
#define max_of(a, b) pick_of(a, b, >, __COUNTER__)
#define pick_of(a, b, op, n) pick_of_named(a, b, op, n)
#define pick_of_named(a, b, op, n) ({ \
	__typeof__(a) a_##n = (a); \
	__typeof__(b) b_##n = (b); \
	a_##n op b_##n ? a_##n : b_##n; })

/* Does [off, off + len) lie within [0, size)?  Cannot overflow. */
static inline bool range_within(uint64_t off, uint64_t len, uint64_t size)
{
	return len <= size && off <= size - len;
}

/* Do [a, a + a_len) and [b, b + b_len) share a byte?  Neither may wrap. */
static inline bool ranges_overlap(uint64_t a, uint64_t a_len,
				  uint64_t b, uint64_t b_len)
{
	return a_len && b_len && a <= b + (b_len - 1) && b <= a + (a_len - 1);
}

/* Round @v up to a multiple of @to, a power of two. */
static inline uint64_t align_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) & ~(to - 1);
}

static inline bool is_power_of_two(uint64_t v)
{
	return v && !(v & (v - 1));
}

/**
 * fd_close() - close *@fd and set it to -1; keeps errno; -1 is left alone
 */
void fd_close(int *fd);

/** fd_raise_limit() - as many descriptors as the system lets us have: a NIC
 * takes a dozen, and the usual limit of 1024 is for programs that select() */
void fd_raise_limit(void);

#endif
