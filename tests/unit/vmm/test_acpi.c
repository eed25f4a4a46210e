/* SPDX-License-Identifier: Apache-2.0
 *
 * The ACPI tables, found and checked as a kernel does: ACPI 6.4, chapter 5.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/byteorder.h"
#include "vmm/acpi.h"
#include "vmm/legacy.h"
#include "vmm/vm.h"

static uint8_t *area;

static uint8_t sum(const uint8_t *p, uint32_t len)
{
	uint8_t s = 0;

	while (len--)
		s += *p++;
	return s;
}

/* @len bytes at a guest address, which must lie in the area. */
static const uint8_t *at(uint64_t gpa, uint32_t len)
{
	assert_true(gpa >= ACPI_BASE);
	assert_true(range_within(gpa - ACPI_BASE, len, ACPI_LEN));
	return area + (gpa - ACPI_BASE);
}

static const uint8_t *table_at(uint64_t gpa, const char *signature)
{
	const uint8_t *t = at(gpa, 36);
	uint32_t len = le32_load(t + 4);

	assert_memory_equal(t, signature, 4);
	assert_true(len >= 36);
	assert_int_equal(sum(at(gpa, len), len), 0);
	return t;
}

static uint64_t gpa64(const uint8_t *p)
{
	return le64_load(p);
}

static const uint8_t *find_table(unsigned int idx, const char *signature)
{
	const uint8_t *xsdt = table_at(gpa64(area + 24), "XSDT");

	assert_true(36 + 8 * (idx + 1) <= le32_load(xsdt + 4));
	return table_at(gpa64(xsdt + 36 + 8 * idx), signature);
}

static int setup(void **state)
{
	area = malloc(ACPI_LEN);
	assert_non_null(area);
	memset(area, 0xee, ACPI_LEN);
	acpi_build(area, 3, VM_BOARD_PC);
	return 0;
}

static int teardown(void **state)
{
	free(area);
	return 0;
}

static void test_rsdp(void **state)
{
	/* A kernel that is told nothing looks on 16 byte boundaries. */
	assert_int_equal(ACPI_BASE % 16, 0);
	assert_memory_equal(area, "RSD PTR ", 8);
	assert_int_equal(sum(area, 20), 0);
	assert_int_equal(sum(area, 36), 0);
	assert_int_equal(area[15], 2);
	assert_int_equal(le32_load(area + 20), 36);
}

static void test_fadt(void **state)
{
	const uint8_t *fadt = find_table(0, "FACP");
	const uint8_t *facs = at(le32_load(fadt + 36), 64);

	assert_int_equal(le32_load(fadt + 36) % 64, 0);
	assert_memory_equal(facs, "FACS", 4);
	assert_int_equal(le32_load(facs + 4), 64);
	table_at(le32_load(fadt + 40), "DSDT");
	assert_int_equal(gpa64(fadt + 140), le32_load(fadt + 40));
	assert_int_equal(le16_load(fadt + 46), ACPI_SCI_IRQ);
	assert_int_equal(le32_load(fadt + 56), PM1A_EVT_PORT);
	assert_int_equal(le32_load(fadt + 64), PM1A_CNT_PORT);
	assert_int_equal(le32_load(fadt + 76), PM_TMR_PORT);
	assert_int_equal(fadt[88], 4);
	assert_int_equal(fadt[89], 2);
	assert_int_equal(fadt[91], 4);
	/* The reset register: flag, space, width, port, value. */
	assert_true(le32_load(fadt + 112) & BIT(10));
	assert_int_equal(fadt[116], 1);
	assert_int_equal(fadt[117], 8);
	assert_int_equal(gpa64(fadt + 120), 0xcf9);
	assert_int_equal(fadt[128], 6);
}

static void test_dsdt_names(void **state)
{
	const uint8_t *fadt = find_table(0, "FACP");
	const uint8_t *dsdt = table_at(le32_load(fadt + 40), "DSDT");
	uint32_t len = le32_load(dsdt + 4);
	static const char *const names[] = {
		"_S5_", "PCI0", "_PRT", "LNKA", "LNKD", "_SRS", "COM1", "COM2",
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++)
		assert_non_null(memmem(dsdt, len, names[i], 4));
}

/* Walk the MADT; each entry's length must lead to the next. */
static unsigned int count_entries(const uint8_t *madt, uint8_t type)
{
	uint32_t len = le32_load(madt + 4), off = 44;
	unsigned int n = 0;

	while (off < len) {
		assert_true(madt[off + 1] >= 2);
		assert_true(range_within(off, madt[off + 1], len));
		n += madt[off] == type;
		off += madt[off + 1];
	}
	assert_int_equal(off, len);
	return n;
}

static void test_madt(void **state)
{
	const uint8_t *madt = find_table(1, "APIC");

	assert_int_equal(le32_load(madt + 36), 0xfee00000);
	assert_int_equal(count_entries(madt, 0), 3);
	assert_int_equal(count_entries(madt, 1), 1);
	assert_int_equal(count_entries(madt, 2), 5);
	assert_int_equal(count_entries(madt, 4), 1);
}

static void test_madt_of_the_largest_machine(void **state)
{
	acpi_build(area, VM_CPUS_MAX, VM_BOARD_PC);
	assert_int_equal(count_entries(find_table(1, "APIC"), 0), VM_CPUS_MAX);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_rsdp),
		T(test_fadt),
		T(test_dsdt_names),
		T(test_madt),
		T(test_madt_of_the_largest_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
