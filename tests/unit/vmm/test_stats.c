/* SPDX-License-Identifier: Apache-2.0
 *
 * Exit reasons and the table of devices.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/stats.h"

static void test_reasons(void **state)
{
	assert_int_equal(vm_exit_of(KVM_EXIT_IO), VM_EXIT_IO);
	assert_int_equal(vm_exit_of(KVM_EXIT_MMIO), VM_EXIT_MMIO);
	assert_int_equal(vm_exit_of(KVM_EXIT_SHUTDOWN), VM_EXIT_SHUTDOWN);
	assert_int_equal(vm_exit_of(KVM_EXIT_DEBUG), VM_EXIT_OTHER);
	assert_int_equal(vm_exit_of(0xffffffff), VM_EXIT_OTHER);
	assert_string_equal(vm_exit_names[VM_EXIT_MMIO], "MMIO");
}

static uint64_t zero_read(void *opaque, uint64_t off, unsigned int len)
{
	return 0;
}

static void ignore_write(void *opaque, uint64_t off, unsigned int len,
			 uint64_t val)
{
}

static const struct bus_dev_ops zero_ops = { zero_read, ignore_write };

static void test_devices(void **state)
{
	static struct vm_stats stats;
	static struct bus bus;
	struct bus_dev twice, silent;

	bus_init(&bus, "nobody");
	bus_dev_init(&twice, "twice", &zero_ops, NULL, 4);
	bus_dev_init(&silent, "silent", &zero_ops, NULL, 4);
	bus_lock(&bus);
	assert_int_equal(bus_add(&bus, 0x10, 4, &twice, false), 0);
	assert_int_equal(bus_add(&bus, 0x18, 4, &silent, false), 0);
	assert_int_equal(bus_add(&bus, 0x20, 4, &twice, false), 0);
	bus_unlock(&bus);
	bus_read(&bus, 0x10, 4);
	bus_read(&bus, 0x20, 4);
	bus_write(&bus, 0x20, 4, 1);
	bus_read(&bus, 0x30, 4);
	vm_stats_add_bus(&stats, &bus);
	assert_int_equal(stats.n_devs, 2);
	assert_string_equal(stats.dev[0].name, "twice");
	assert_int_equal(stats.dev[0].n_reads, 2);
	assert_int_equal(stats.dev[0].n_writes, 1);
	assert_string_equal(stats.dev[1].name, "nobody");
	assert_int_equal(stats.dev[1].n_reads, 1);
	bus_fini(&bus);
}

static void test_print(void **state)
{
	static struct vm_stats stats = {
		.name = "m", .state = "running", .n_cpus = 2,
		.memory = 512 << 20, .exits = { [VM_EXIT_MMIO] = 42 },
		.n_devs = 1, .dev = { { "nic@3 bar0", 7, 9 } },
		.n_kvm = 1, .kvm = { { "halt_exits", 5 } },
	};
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	vm_stats_print(&stats, out);
	fclose(out);
	assert_non_null(strstr(text, "machine m: running, 2 vCPU(s), 512 MiB"));
	assert_non_null(strstr(text, "MMIO"));
	assert_null(strstr(text, "SHUTDOWN"));
	assert_non_null(strstr(text, "nic@3 bar0"));
	assert_non_null(strstr(text, "halt_exits"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_print),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
