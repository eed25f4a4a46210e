/* SPDX-License-Identifier: Apache-2.0
 *
 * PM ports and timer on a clock of our own, CMOS clock, keyboard controller.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <time.h>

#include "base/time.h"
#include "vmm/legacy.h"

static uint64_t now_ns;
static unsigned int n_offs, n_resets;

static uint64_t fake_now(void)
{
	return now_ns;
}

static void power_off(void *opaque)
{
	n_offs++;
}

static void reset(void *opaque)
{
	n_resets++;
}

static bool sci;

static void set_sci(void *opaque, bool level)
{
	assert_int_not_equal(level, sci);
	sci = level;
}

static const struct power_ops power = { power_off, reset, set_sci };
static struct pm pm;

static int setup(void **state)
{
	n_offs = n_resets = 0;
	now_ns = 12345;
	pm_init(&pm, &power, NULL, fake_now);
	return 0;
}

static uint32_t pm_in(unsigned int off, unsigned int len)
{
	/* The bus cuts off what is above. */
	return (uint32_t)(pm.dev.ops->read(&pm, off, len) &
			  (BIT64(8 * len) - 1));
}

static void pm_out(unsigned int off, unsigned int len, uint32_t val)
{
	pm.dev.ops->write(&pm, off, len, val);
}

static void test_pm_timer(void **state)
{
	assert_int_equal(pm_in(8, 4), 0);
	now_ns += NS_PER_S;
	assert_int_equal(pm_in(8, 4), PM_TIMER_HZ);
	/* 24 bits: it wraps after 4.7 s. */
	now_ns += 9 * NS_PER_S;
	assert_int_equal(pm_in(8, 4), (10ull * PM_TIMER_HZ) & 0xffffff);
	/* A year does not overflow the arithmetic. */
	now_ns += 365 * 86400 * NS_PER_S;
	assert_int_equal(pm_in(8, 4),
			 ((365ull * 86400 + 10) * PM_TIMER_HZ) & 0xffffff);
	pm_reset(&pm);
	assert_int_equal(pm_in(8, 4), 0);
}

static void test_pm_timer_does_not_jump(void **state)
{
	uint32_t last = 0;

	for (unsigned int i = 0; i < 1000; i++) {
		now_ns += 280;		/* a tick is 279.4 ns */
		assert_in_range(pm_in(8, 4) - last, 1, 2);
		last = pm_in(8, 4);
	}
}

static void test_pm1_registers(void **state)
{
	pm_out(2, 2, 0x0120);
	assert_int_equal(pm_in(2, 2), 0x0120);
	assert_int_equal(pm_in(0, 4), 0x01200000);
	assert_int_equal(pm_in(0, 2), 0);	/* no events */
	assert_int_equal(pm_in(4, 2) & 1, 1);	/* SCI_EN: always */
	pm_out(4, 2, 0);
	assert_int_equal(pm_in(4, 2) & 1, 1);
	pm_out(0, 4, 0x02000000);
	assert_int_equal(pm_in(2, 2), 0x0200);
}

/* ACPI 6.4, 4.8.3.1: the event stays until a 1 is written to its bit, and
 * interrupts while it is enabled. */
static void test_power_button(void **state)
{
	pm_press_button(&pm);
	assert_int_equal(pm_in(0, 2), BIT(8));
	assert_false(sci);
	pm_out(2, 2, BIT(8));
	assert_true(sci);
	pm_press_button(&pm);
	pm_out(0, 2, 0xff);		/* other bits */
	assert_true(sci);
	pm_out(2, 2, 0);
	assert_false(sci);
	pm_out(3, 1, 1);		/* a byte of it */
	assert_true(sci);
	pm_out(1, 1, 1);
	assert_false(sci);
	assert_int_equal(pm_in(0, 4), BIT(24));
	pm_press_button(&pm);
	pm_out(0, 4, BIT(24) | BIT(8));
	assert_int_equal(pm_in(0, 4), BIT(24));
	assert_false(sci);
	pm_press_button(&pm);
	assert_true(sci);
	pm_reset(&pm);
	assert_false(sci);
	assert_int_equal(pm_in(0, 4), 0);
}

static void test_power_off(void **state)
{
	pm_out(4, 2, 5 << 10 | BIT(13));	/* not S5's type */
	pm_out(4, 2, 0);			/* S5's, without SLP_EN */
	pm_out(4, 1, 0x20);
	assert_int_equal(n_offs, 0);
	pm_out(4, 2, BIT(13));
	assert_int_equal(n_offs, 1);
	assert_int_equal(pm_in(4, 2) & BIT(13), 0);
}

static uint8_t cmos_in(struct cmos *cmos, uint8_t index)
{
	cmos->dev.ops->write(cmos, 0, 1, index);
	return (uint8_t)cmos->dev.ops->read(cmos, 1, 1);
}

static int from_bcd(uint8_t v)
{
	assert_in_range(v & 0xf, 0, 9);
	return (v >> 4) * 10 + (v & 0xf);
}

static void test_cmos(void **state)
{
	struct tm tm = { .tm_isdst = 0 };
	struct cmos cmos;
	time_t before = time(NULL), told;

	cmos_init(&cmos);
	/* Again if a second passed in the middle. */
	do {
		tm.tm_sec = from_bcd(cmos_in(&cmos, 0));
		tm.tm_min = from_bcd(cmos_in(&cmos, 2));
		tm.tm_hour = from_bcd(cmos_in(&cmos, 4));
		tm.tm_mday = from_bcd(cmos_in(&cmos, 7));
		tm.tm_mon = from_bcd(cmos_in(&cmos, 8)) - 1;
		tm.tm_year = from_bcd(cmos_in(&cmos, 9)) +
			100 * from_bcd(cmos_in(&cmos, 0x32)) - 1900;
	} while (tm.tm_sec != from_bcd(cmos_in(&cmos, 0)));
	told = timegm(&tm);
	assert_in_range(told, before, time(NULL));
	assert_int_equal(cmos_in(&cmos, 10) & 0x80, 0);	/* UIP */
	assert_int_equal(cmos_in(&cmos, 13) & 0x80, 0x80);

	/* Bit 7 of the index is the NMI mask's, no index of its own. */
	cmos.dev.ops->write(&cmos, 0, 1, 0xc0);
	cmos.dev.ops->write(&cmos, 1, 1, 0x99);
	assert_int_equal(cmos_in(&cmos, 0x40), 0x99);
	assert_int_equal(cmos_in(&cmos, 0xff), 0);
	assert_int_equal(cmos.dev.ops->read(&cmos, 0, 1), 0xff);
	cmos_fini(&cmos);
}

static void test_keyboard_controller(void **state)
{
	struct i8042 kbc;

	i8042_init(&kbc, &power, NULL);
	assert_int_equal(kbc.dev.ops->read(&kbc, 0, 1), 0);
	kbc.dev.ops->write(&kbc, 0, 1, 0xd1);
	kbc.data_dev.ops->write(&kbc, 0, 1, 0xfe);
	assert_int_equal(n_resets, 0);
	kbc.dev.ops->write(&kbc, 0, 1, 0xfe);
	assert_int_equal(n_resets, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_pm_timer, setup),
		cmocka_unit_test_setup(test_pm_timer_does_not_jump, setup),
		cmocka_unit_test_setup(test_pm1_registers, setup),
		cmocka_unit_test_setup(test_power_button, setup),
		cmocka_unit_test_setup(test_power_off, setup),
		cmocka_unit_test_setup(test_cmos, setup),
		cmocka_unit_test_setup(test_keyboard_controller, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
