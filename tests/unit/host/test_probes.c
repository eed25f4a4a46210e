/* SPDX-License-Identifier: Apache-2.0
 *
 * Probes on made-up /proc, /sys and /dev; the tiny guests' checks.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/files.h"
#include "host/guest_code.h"
#include "host/host.h"

static char root[64];
static struct host host = { .root = root };

static int set_up(void **state)
{
	strcpy(root, "/tmp/backplane-host-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

/* Write a file under the root, with the folders it needs. */
static void put(const char *path, const char *text)
{
	char full[PATH_MAX];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *c = full + strlen(root) + 1; (c = strchr(c, '/')); c++) {
		*c = '\0';
		mkdir(full, 0777);
		*c = '/';
	}
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* Run the probe of that name. */
static struct host_finding probe(const char *name)
{
	struct host_finding finding = { 0 };

	for (unsigned int i = 0; i < n_host_probes; i++)
		if (!strcmp(host_probes[i].name, name)) {
			host_probes[i].run(&host, &finding);
			assert_true(*finding.reason);
			return finding;
		}
	fail_msg("no probe %s", name);
	return finding;
}

static void expect(const char *name, enum host_verdict verdict,
		   const char *why)
{
	struct host_finding finding = probe(name);

	if (finding.verdict != verdict || !strstr(finding.reason, why))
		fail_msg("%s: %s: %s", name,
			 host_verdict_name(finding.verdict), finding.reason);
}

static void test_files(void **state)
{
	char value[8], list[12];

	assert_true(host_has_word("fpu vmx sse", "vmx"));
	assert_true(host_has_word("vmx", "vmx"));
	assert_false(host_has_word("vmx_extra xvmx", "vmx"));
	assert_false(host_has_word("", "vmx"));
	assert_false(host_has_word("a  b", ""));

	put("/f", "key1: no\nkey\t : a value that is cut\nkey: second\n");
	assert_true(host_field(&host, "/f", "key", value, sizeof(value)));
	assert_string_equal(value, "a value");
	assert_false(host_field(&host, "/f", "ke", value, sizeof(value)));
	assert_string_equal(value, "");
	assert_false(host_field(&host, "/g", "key", value, sizeof(value)));

	put("/n/a", "12\n");
	put("/n/b", "-1\n");
	put("/n/c", "x\n");
	put("/n/d", "");
	put("/n/abc", "99999999999999999999\n");
	assert_int_equal(host_read_number(&host, "/n/a"), 12);
	assert_int_equal(host_read_number(&host, "/n/b"), -1);
	assert_int_equal(host_read_number(&host, "/n/c"), -1);
	assert_int_equal(host_read_number(&host, "/n/d"), -1);
	assert_int_equal(host_read_number(&host, "/n/e"), -1);
	assert_int_equal(host_list(&host, "/n", "", list, sizeof(list)), 5);
	assert_string_equal(list, "a, abc, b, ");
	assert_int_equal(host_list(&host, "/n", "a", list, sizeof(list)), 2);
	assert_string_equal(list, "a, abc");
	assert_int_equal(host_list(&host, "/m", "", list, sizeof(list)), 0);
	assert_string_equal(list, "");
}

static void test_cpu_virtualization(void **state)
{
	expect("cpu_virtualization", HOST_UNKNOWN, "/proc/cpuinfo");
	put("/proc/cpuinfo", "vendor_id\t: X\nflags\t\t: fpu vmx ept\n");
	expect("cpu_virtualization", HOST_YES, "VT-x");
	put("/proc/cpuinfo", "flags\t\t: fpu svm npt\n");
	expect("cpu_virtualization", HOST_YES, "SVM");
	put("/proc/cpuinfo", "flags\t\t: fpu vmx_like\nvmx flags\t: vmx\n");
	expect("cpu_virtualization", HOST_NO, "firmware");
	put("/proc/cpuinfo", "flags\t\t: fpu hypervisor\n");
	expect("cpu_virtualization", HOST_NO, "itself a virtual machine");
	put("/proc/cpuinfo", "");
	expect("cpu_virtualization", HOST_NO, "neither");
}

static void test_nested_paging(void **state)
{
	put("/proc/cpuinfo", "flags : fpu\n");
	expect("nested_paging", HOST_NO, "not there");
	put("/proc/cpuinfo", "flags : vmx npt\n");
	expect("nested_paging", HOST_NO, "no ept");
	put("/proc/cpuinfo", "flags : vmx ept\n");
	expect("nested_paging", HOST_YES, "ept");
	put("/sys/module/kvm_intel/parameters/ept", "Y\n");
	expect("nested_paging", HOST_YES, "ept");
	put("/sys/module/kvm_intel/parameters/ept", "N\n");
	expect("nested_paging", HOST_NO, "is N");
	put("/proc/cpuinfo", "flags : svm npt\n");
	expect("nested_paging", HOST_YES, "npt");
	put("/sys/module/kvm_amd/parameters/npt", "0\n");
	expect("nested_paging", HOST_NO, "npt is N");
}

static void test_tlb_tags(void **state)
{
	put("/proc/cpuinfo", "flags : fpu\n");
	expect("tlb_tags", HOST_NO, "not there");
	put("/proc/cpuinfo", "flags : svm flushbyasid\n");
	expect("tlb_tags", HOST_YES, "flushbyasid");
	put("/proc/cpuinfo", "flags : vmx\n");
	expect("tlb_tags", HOST_NO, "no vpid");
	put("/proc/cpuinfo", "flags : vmx vpid\n");
	expect("tlb_tags", HOST_YES, "vpid");
	put("/sys/module/kvm_intel/parameters/vpid", "N\n");
	expect("tlb_tags", HOST_NO, "is N");
}

static void test_devices_that_are_not_there_or_are_none(void **state)
{
	expect("kvm", HOST_NO, "No such file");
	expect("kvm_guest", HOST_NO, "No such file");
	expect("tun", HOST_NO, "No such file");
	expect("vhost_net", HOST_NO, "vhost_net");
	put("/dev/kvm", "");
	put("/dev/net/tun", "");
	expect("kvm", HOST_NO, "lacks KVM's API");
	expect("kvm_guest", HOST_NO, "KVM_CREATE_VM: ");
	expect("tun", HOST_NO, "ioctl");
}

static void test_huge_pages(void **state)
{
	expect("hugepages", HOST_NO, "this kernel");
	put("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0\n");
	put("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0\n");
	expect("hugepages", HOST_NO, "set aside");
	put("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "8\n");
	put("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "5\n");
	expect("hugepages", HOST_YES, "5 of 8 of 2048kB free");

	expect("shmem_hugepages", HOST_NO, "has no");
	put("/sys/kernel/mm/transparent_hugepage/shmem_enabled",
	    "always within_size advise [never] deny force\n");
	expect("shmem_hugepages", HOST_NO, "[never]");
	put("/sys/kernel/mm/transparent_hugepage/shmem_enabled",
	    "always within_size [advise] never deny force\n");
	expect("shmem_hugepages", HOST_YES, "[advise]");
}

static void test_real_devices(void **state)
{
	expect("iommu", HOST_NO, "not switched on");
	put("/sys/kernel/iommu_groups/0/type", "DMA\n");
	put("/sys/kernel/iommu_groups/1/type", "DMA\n");
	put("/sys/class/iommu/dmar0/x", "");
	expect("iommu", HOST_YES, "2 groups");
	expect("iommu", HOST_YES, "(dmar0)");

	expect("sriov", HOST_NO, "none of 0");
	put("/sys/bus/pci/devices/0000:03:00.0/vendor", "0x8086\n");
	put("/sys/bus/pci/devices/0000:04:00.0/sriov_totalvfs", "0\n");
	expect("sriov", HOST_NO, "none of 2");
	put("/sys/bus/pci/devices/0000:03:00.0/sriov_totalvfs", "7\n");
	put("/sys/bus/pci/devices/0000:03:00.0/sriov_numvfs", "2\n");
	expect("sriov", HOST_YES, "0000:03:00.0: 2 of 7 VFs");
}

/* More devices than a reason has room for. */
static void test_many_devices(void **state)
{
	char path[96];

	for (int i = 0; i < 100; i++) {
		snprintf(path, sizeof(path),
			 "/sys/bus/pci/devices/0000:%02x:00.0/sriov_totalvfs",
			 i);
		put(path, "63\n");
	}
	expect("sriov", HOST_YES, "0000:10:00.0: 0 of 63 VFs");
}

static void test_program_in_path(void **state)
{
	char *path = strdup(getenv("PATH"));

	setenv("PATH", "/bin::/opt/q", 1);
	expect("qemu_nbd", HOST_NO, "qemu-utils");
	put("/opt/q/qemu-nbd", "");
	expect("qemu_nbd", HOST_YES, "/opt/q/qemu-nbd");
	setenv("PATH", path, 1);
	free(path);
}

/* The kernels that this project builds on have both. */
static void test_real_kernel(void **state)
{
	expect("memfd", HOST_YES, "sealed");
	expect("seccomp", HOST_YES, "filters");
	assert_true(*probe("user_namespaces").reason);
	assert_true(*probe("af_xdp").reason);
}

static void test_guest_faults(void **state)
{
	const struct guest_report good = {
		.step = GUEST_STEP_LOOP, .cs = 0x08, .flags_cli = 0x2,
		.flags_sti = 0x202, .n_exceptions = 1, .sse = UINT32_MAX,
	};
	struct guest_report bad;

	assert_null(guest_fault(&good));
	bad = good;
	bad.step = GUEST_STEP_SSE;
	assert_non_null(strstr(guest_fault(&bad), "before its end"));
	bad = good;
	bad.cs = 0x0b;
	assert_non_null(strstr(guest_fault(&bad), "ring 0"));
	bad = good;
	bad.flags_cli = 0x202;
	assert_non_null(strstr(guest_fault(&bad), "CLI"));
	bad = good;
	bad.flags_sti = 0x2;
	assert_non_null(strstr(guest_fault(&bad), "STI"));
	bad = good;
	bad.n_exceptions = 0;
	assert_non_null(strstr(guest_fault(&bad), "exception"));
	bad = good;
	bad.sse = 0;
	assert_non_null(strstr(guest_fault(&bad), "SSE2"));
	assert_string_equal(guest_step_name(GUEST_STEP_SSE), "use SSE2");
	assert_string_equal(guest_step_name(99), "end");
}

#define IN_ROOT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ROOT(test_files),
		IN_ROOT(test_cpu_virtualization),
		IN_ROOT(test_nested_paging),
		IN_ROOT(test_tlb_tags),
		IN_ROOT(test_devices_that_are_not_there_or_are_none),
		IN_ROOT(test_huge_pages),
		IN_ROOT(test_real_devices),
		IN_ROOT(test_many_devices),
		IN_ROOT(test_program_in_path),
		IN_ROOT(test_real_kernel),
		cmocka_unit_test(test_guest_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
