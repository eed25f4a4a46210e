/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of probes, and running it; see host.h.
 */
#include "host/host.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>
#include <sys/utsname.h>

#include "host/files.h"
#include "host/probes.h"

#define NOT_USED_SOFTWARE "does not use it: its cards are software"

const struct host_probe host_probes[] = {
	{ "To run machines", "cpu_virtualization", "hardware virtualization",
	  true, probe_cpu_virtualization, {
		[HOST_YES] = "lets the processor run guests, by KVM",
		[HOST_NO] = "starts no machine here; the project's demo and tests run in an emulated KVM host (tools/kvm-host)",
	} },
	{ "To run machines", "kvm", "KVM", true, probe_kvm, {
		[HOST_YES] = "makes every machine with it",
		[HOST_NO] = "starts no machine here",
		[HOST_DENIED] = "starts no machine for you; root, or a member of the group kvm, can",
	} },
	{ "To run machines", "kvm_guest", "KVM really runs a guest", true,
	  probe_kvm_guest, {
		[HOST_YES] = "will run machines here",
		[HOST_NO] = "would not get a kernel to run here",
		[HOST_UNKNOWN] = "will find out when a machine is started",
	} },
	{ "To run machines", "memfd", "sealed memory files", true,
	  probe_memfd, {
		[HOST_YES] = "keeps guests' memory in them, which the NIC server maps",
		[HOST_NO] = "cannot give a guest memory",
	} },
	{ "To run machines", "qemu_nbd", "qcow2 disk images", false,
	  probe_qemu_nbd, {
		[HOST_YES] = "starts a qemu-nbd for each qcow2 image; raw ones need none",
		[HOST_NO] = "can give machines raw images only",
	} },

	{ "To run them fast", "nested_paging", "nested paging (EPT, NPT)",
	  false, probe_nested_paging, {
		[HOST_YES] = "leaves guests their own page tables: changing them costs no exit",
		[HOST_NO] = "runs guests slower: KVM keeps shadow page tables and has to see every change of a guest's",
	} },
	{ "To run them fast", "tlb_tags", "tagged TLB (VPID, ASID)", false,
	  probe_tlb_tags, {
		[HOST_YES] = "runs guests faster: an exit leaves the TLB filled",
		[HOST_NO] = "runs guests slower: every exit empties the TLB",
	} },
	{ "To run them fast", "shmem_hugepages",
	  "transparent huge pages for shared memory", false,
	  probe_shmem_hugepages, {
		[HOST_YES] = "asks for them for guests' memory",
		[HOST_NO] = "asks for them in vain: guests' memory is in 4 KiB pages",
	} },
	{ "To run them fast", "hugepages", "huge pages set aside", false,
	  probe_hugepages, {
		[HOST_YES] = "serves VMMs that use them (QEMU, DPDK); its own machines do not",
		[HOST_NO] = "does not need any; VMMs that are served may use common memory",
	} },

	{ "To confine itself", "seccomp", "system call filters", false,
	  probe_seccomp, {
		[HOST_YES] = "`backplane serve` allows itself the system calls that it needs",
		[HOST_NO] = "`backplane serve` does not start, unless with --no-sandbox",
	} },
	{ "To confine itself", "user_namespaces", "user namespaces", false,
	  probe_user_namespaces, {
		[HOST_YES] = "does not use them: it needs no root to give up",
		[HOST_NO] = "does not need them",
	} },

	{ "To reach networks", "tun", "taps", false, probe_tun, {
		[HOST_YES] = "joins switches to the host's network by tap ports",
		[HOST_NO] = "has no tap ports here; the other kinds work",
		[HOST_DENIED] = "uses taps that root has made for you (ip tuntap add mode tap user NAME)",
	} },
	{ "To reach networks", "vhost_net", "vhost-net", false,
	  probe_vhost_net, {
		[HOST_YES] = "does not use it: its NIC server does the same outside the kernel, and serves vhost-user",
		[HOST_NO] = "does not need it: its NIC server does the same outside the kernel, and serves vhost-user",
	} },
	{ "To reach networks", "af_xdp", "AF_XDP", false, probe_af_xdp, {
		[HOST_YES] = "does not use it yet: taps are its way to the host's network",
		[HOST_NO] = "does not need it: taps are its way to the host's network",
	} },

	{ "Real devices", "iommu", "IOMMU", false, probe_iommu, {
		[HOST_YES] = NOT_USED_SOFTWARE ", and see only the memory that a VMM maps for them",
		[HOST_NO] = "does not need it: no real device is given to a guest",
	} },
	{ "Real devices", "sriov", "SR-IOV devices", false, probe_sriov, {
		[HOST_YES] = NOT_USED_SOFTWARE,
		[HOST_NO] = "does not need any: its cards are software",
	} },
};
const unsigned int n_host_probes = ARRAY_SIZE(host_probes);
_Static_assert(ARRAY_SIZE(host_probes) <= HOST_PROBES_MAX, "too many rows");

/* Text from outside becomes part of lines and of JSON. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if (!isascii(*text) || !isprint(*text))
			*text = '?';
}

void host_found(struct host_finding *finding, enum host_verdict verdict,
		const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(finding->reason, sizeof(finding->reason), fmt, args);
	va_end(args);
	make_printable(finding->reason);
	finding->verdict = verdict;
}

static void examine_names(const struct host *host, struct host_report *report)
{
	struct utsname uts;

	if (!host_field(host, "/proc/cpuinfo", "model name", report->cpu,
			sizeof(report->cpu)))
		strcpy(report->cpu, "unknown");
	make_printable(report->cpu);
	uname(&uts);
	snprintf(report->kernel, sizeof(report->kernel), "%s %s", uts.sysname,
		 uts.release);
	report->is_vm = host_cpu_flag(host, "hypervisor");
}

void host_examine(const struct host *host, struct host_report *report)
{
	*report = (struct host_report){ 0 };
	examine_names(host, report);
	for (unsigned int i = 0; i < n_host_probes; i++)
		host_probes[i].run(host, &report->findings[i]);
	audit_run(&report->audit);
}

bool host_can_run_guests(const struct host_report *report, unsigned int *row)
{
	for (unsigned int i = 0; i < n_host_probes; i++)
		if (host_probes[i].needed &&
		    report->findings[i].verdict != HOST_YES) {
			if (row)
				*row = i;
			return false;
		}
	return true;
}

const char *host_verdict_name(enum host_verdict verdict)
{
	static const char *const names[] = {
		[HOST_UNKNOWN] = "unknown",
		[HOST_YES] = "yes",
		[HOST_NO] = "no",
		[HOST_DENIED] = "denied",
	};

	return names[verdict];
}

const char *host_then(const struct host_probe *probe,
		      enum host_verdict verdict)
{
	return probe->then[verdict] ? probe->then[verdict] :
				      probe->then[HOST_NO];
}
