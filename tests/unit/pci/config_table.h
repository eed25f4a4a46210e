/* SPDX-License-Identifier: Apache-2.0
 *
 * Every byte of a function's config space, written with ones, zeros and
 * anything, compared with a table.
 */
#ifndef TESTS_PCI_CONFIG_TABLE_H
#define TESTS_PCI_CONFIG_TABLE_H

#include <stdlib.h>
#include <string.h>

#include "pci/pci.h"

/* What a register is; a byte that no row names reads 0 and is read-only. */
struct row {
	unsigned int off, len;	/* bytes; at most 8 */
	uint64_t reset;		/* value after reset */
	uint64_t rw;		/* bits that keep what is written */
	uint64_t w1c;		/* bits that a one clears */
};

static uint64_t seed;

static uint8_t any(void)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint8_t)(seed >> 40);
}

/* The table spread over bytes. */
struct bytes {
	uint8_t reset[PCI_CONFIG_EXT_SIZE];
	uint8_t rw[PCI_CONFIG_EXT_SIZE];
	uint8_t w1c[PCI_CONFIG_EXT_SIZE];
};

static void spread(struct bytes *b, const struct row *rows, size_t n)
{
	memset(b, 0, sizeof(*b));
	for (size_t i = 0; i < n; i++)
		for (unsigned int j = 0; j < rows[i].len; j++) {
			unsigned int at = rows[i].off + j;

			b->reset[at] = (uint8_t)(rows[i].reset >> 8 * j);
			b->rw[at] = (uint8_t)(rows[i].rw >> 8 * j);
			b->w1c[at] = (uint8_t)(rows[i].w1c >> 8 * j);
		}
}

/* Who is checked, and how its config space is reached. */
struct subject {
	void *it;		/* handed to these: */
	uint32_t (*read)(void *it, unsigned int off, unsigned int len);
	void (*write)(void *it, unsigned int off, unsigned int len,
		      uint32_t val);
	void (*reset)(void *it);
	unsigned int size;	/* bytes */
	uint8_t *config;	/* to set what only hardware sets; NULL: no */
	unsigned int own_off;	/* a byte in which the function itself, as
				 * others are written, changes ... */
	uint8_t own_bits;	/* ... these bits */
};

static uint8_t byte_at(const struct subject *s, unsigned int off)
{
	return (uint8_t)s->read(s->it, off, 1);
}

/* One byte: does it end as the table says, from @set in its W1C bits? */
static void check_write(const struct subject *s, const struct bytes *b,
			unsigned int off, uint8_t set, uint8_t val)
{
	uint8_t before, want;

	if (s->config)
		s->config[off] |= set & b->w1c[off];
	before = byte_at(s, off);
	want = (uint8_t)((before & ~b->rw[off]) | (val & b->rw[off]));
	want &= (uint8_t)~(val & b->w1c[off]);
	s->write(s->it, off, 1, val);
	if (byte_at(s, off) != want)
		fail_msg("%#x: %#x, %#x written: %#x, not %#x", off, before,
			 val, byte_at(s, off), want);
}

static uint8_t own_bits(const struct subject *s, unsigned int off)
{
	return off == s->own_off ? s->own_bits : 0;
}

/* Everything but @off is as after reset. */
static void check_others(const struct subject *s, const struct bytes *b,
			 unsigned int off)
{
	for (unsigned int i = 0; i < s->size; i++)
		if (i != off && (byte_at(s, i) ^ b->reset[i]) &
		    (uint8_t)~own_bits(s, i))
			fail_msg("%#x changed by a write to %#x", i, off);
}

static void check_byte(const struct subject *s, const struct bytes *b,
		       unsigned int off)
{
	s->reset(s->it);
	if (byte_at(s, off) != b->reset[off])
		fail_msg("%#x is %#x after reset, not %#x", off,
			 byte_at(s, off), b->reset[off]);
	check_write(s, b, off, 0xff, 0xff);
	check_write(s, b, off, 0xff, 0x00);
	for (int i = 0; i < 16; i++)
		check_write(s, b, off, any(), any());
	check_others(s, b, off);
}

static void check(const struct subject *s, const struct row *rows, size_t n)
{
	struct bytes *b = malloc(sizeof(*b));

	spread(b, rows, n);
	for (unsigned int off = 0; off < s->size; off++)
		check_byte(s, b, off);
	/* Wider accesses are as good: all at once, four bytes a time. */
	s->reset(s->it);
	for (unsigned int off = 0; off < s->size; off += 4)
		s->write(s->it, off, 4, 0);
	for (unsigned int off = 0; off < s->size; off++)
		assert_int_equal(byte_at(s, off) & ~own_bits(s, off),
				 b->reset[off] & ~b->rw[off] &
				 ~own_bits(s, off));
	free(b);
}

#define CHECK(subject, rows) check(subject, rows, ARRAY_SIZE(rows))

#endif
