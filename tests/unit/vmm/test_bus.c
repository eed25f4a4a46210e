/* SPDX-License-Identifier: Apache-2.0
 *
 * Dispatch: who gets an access, in which pieces, and who counts it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "vmm/bus.h"

/* A device of 256 bytes of memory that notes its last access. */
struct ram_dev {
	struct bus_dev dev;
	uint8_t byte[256];
	uint64_t off;
	unsigned int len;
};

static uint64_t ram_read(void *opaque, uint64_t off, unsigned int len)
{
	struct ram_dev *ram = opaque;
	uint64_t val = 0;

	ram->off = off;
	ram->len = len;
	for (unsigned int i = 0; i < len; i++)
		val |= (uint64_t)ram->byte[off + i] << (8 * i);
	return val;
}

static void ram_write(void *opaque, uint64_t off, unsigned int len,
		      uint64_t val)
{
	struct ram_dev *ram = opaque;

	ram->off = off;
	ram->len = len;
	for (unsigned int i = 0; i < len; i++)
		ram->byte[off + i] = (uint8_t)(val >> (8 * i));
}

static const struct bus_dev_ops ram_ops = { ram_read, ram_write };

static struct bus bus;
static struct ram_dev a, b;

static int setup(void **state)
{
	bus_init(&bus, "nobody");
	a = b = (struct ram_dev){ .off = 0 };
	bus_dev_init(&a.dev, "a", &ram_ops, &a, 8);
	bus_dev_init(&b.dev, "b", &ram_ops, &b, 1);
	return 0;
}

static int teardown(void **state)
{
	bus_fini(&bus);
	return 0;
}

static int add(uint64_t base, uint64_t len, struct ram_dev *ram, bool movable)
{
	int err;

	bus_lock(&bus);
	err = bus_add(&bus, base, len, &ram->dev, movable);
	bus_unlock(&bus);
	return err;
}

static void test_nobody(void **state)
{
	assert_int_equal(bus_read(&bus, 0x1000, 4), 0xffffffff);
	assert_true(bus_read(&bus, ~0ull, 8) == ~0ull);
	bus_write(&bus, 0, 8, 1);
	assert_int_equal(bus.unclaimed.n_reads, 2);
	assert_int_equal(bus.unclaimed.n_writes, 1);
}

static void test_offsets(void **state)
{
	assert_int_equal(add(0x1000, 0x100, &a, false), 0);
	bus_write(&bus, 0x10f8, 8, 0x1122334455667788);
	assert_int_equal(a.off, 0xf8);
	assert_true(bus_read(&bus, 0x10f8, 8) == 0x1122334455667788);
	assert_int_equal(bus_read(&bus, 0x10fb, 2), 0x4455);
	assert_int_equal(a.dev.n_reads, 2);
	assert_int_equal(a.dev.n_writes, 1);
}

static void test_split_by_width(void **state)
{
	assert_int_equal(add(0x20, 0x100, &b, false), 0);
	bus_write(&bus, 0x20, 4, 0x04030201);
	assert_int_equal(b.dev.n_writes, 4);
	assert_int_equal(b.len, 1);
	assert_int_equal(bus_read(&bus, 0x20, 4), 0x04030201);
}

static void test_across_ranges(void **state)
{
	assert_int_equal(add(0x100, 2, &a, false), 0);
	assert_int_equal(add(0x103, 1, &b, false), 0);
	bus_write(&bus, 0xff, 8, 0x8877665544332211);
	assert_int_equal(a.byte[0], 0x22);
	assert_int_equal(a.byte[1], 0x33);
	assert_int_equal(b.byte[0], 0x55);
	/* The holes read as ones. */
	assert_true(bus_read(&bus, 0xff, 8) == 0xffffff55ff3322ff);
}

static void test_add_refuses(void **state)
{
	assert_int_equal(add(0x100, 0x10, &a, false), 0);
	assert_int_equal(add(0x10f, 1, &b, false), -EEXIST);
	assert_int_equal(add(0xff, 2, &b, false), -EEXIST);
	assert_int_equal(add(0x80, 0x1000, &b, false), -EEXIST);
	assert_int_equal(add(0x110, 0, &b, false), -EINVAL);
	assert_int_equal(add(~0ull, 2, &b, false), -EINVAL);
	assert_int_equal(add(0x110, 1, &b, false), 0);
	assert_int_equal(add(0xff, 1, &b, false), 0);
	assert_int_equal(add(~0ull, 1, &b, false), 0);
}

static void test_full(void **state)
{
	for (unsigned int i = 0; i < BUS_RANGES_MAX; i++)
		assert_int_equal(add(0x1000 - i * 2, 1, &b, true), 0);
	assert_int_equal(add(0x2000, 1, &a, true), -ENOSPC);
	for (unsigned int i = 0; i < BUS_RANGES_MAX; i++)
		bus_write(&bus, 0x1000 - i * 2, 1, 0);
	assert_int_equal(b.dev.n_writes, BUS_RANGES_MAX);
}

static void test_clear_movable(void **state)
{
	assert_int_equal(add(0x10, 1, &a, true), 0);
	assert_int_equal(add(0x20, 1, &b, false), 0);
	assert_int_equal(add(0x30, 1, &a, true), 0);
	bus_lock(&bus);
	bus_clear_movable(&bus);
	bus_unlock(&bus);
	assert_int_equal(bus_read(&bus, 0x10, 1), 0xff);
	assert_int_equal(bus_read(&bus, 0x30, 1), 0xff);
	assert_int_equal(bus_read(&bus, 0x20, 1), 0);
}

/* Readers while BARs move: each access finds one device or none. */
static void *reader(void *arg)
{
	unsigned int *stop = arg;

	while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
		uint64_t val = bus_read(&bus, 0x5000, 1);

		if (val != 0xff && val != 0x5a)
			return (void *)1;
		if (bus_read(&bus, 0x20, 1) != 0xa5)
			return (void *)1;
	}
	return NULL;
}

static void test_moves_under_readers(void **state)
{
	unsigned int stop = 0;
	pthread_t thread;
	void *failed;

	memset(a.byte, 0x5a, sizeof(a.byte));
	memset(b.byte, 0xa5, sizeof(b.byte));
	assert_int_equal(add(0x20, 1, &b, false), 0);
	assert_int_equal(pthread_create(&thread, NULL, reader, &stop), 0);
	for (unsigned int i = 0; i < 20000; i++) {
		bus_lock(&bus);
		bus_clear_movable(&bus);
		assert_int_equal(bus_add(&bus, i & 1 ? 0x5000 : 0x10, 1,
					 &a.dev, true), 0);
		bus_unlock(&bus);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, &failed);
	assert_null(failed);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_nobody),
		T(test_offsets),
		T(test_split_by_width),
		T(test_across_ranges),
		T(test_add_refuses),
		T(test_full),
		T(test_clear_movable),
		T(test_moves_under_readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
