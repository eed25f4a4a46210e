/* SPDX-License-Identifier: Apache-2.0
 *
 * What the processor offers to a VMM, as Linux tells it.
 */
#include "host/files.h"
#include "host/probes.h"

void probe_cpu_virtualization(const struct host *host,
			      struct host_finding *finding)
{
	if (!host_exists(host, "/proc/cpuinfo"))
		host_found(finding, HOST_UNKNOWN,
			   "cannot tell without /proc/cpuinfo");
	else if (host_cpu_flag(host, "vmx"))
		host_found(finding, HOST_YES,
			   "vmx in /proc/cpuinfo: Intel's VT-x");
	else if (host_cpu_flag(host, "svm"))
		host_found(finding, HOST_YES,
			   "svm in /proc/cpuinfo: AMD's SVM");
	else if (host_cpu_flag(host, "hypervisor"))
		host_found(finding, HOST_NO,
			   "neither vmx nor svm in /proc/cpuinfo: this host is itself a virtual machine, and its hypervisor does not hand them on");
	else
		host_found(finding, HOST_NO,
			   "neither vmx nor svm in /proc/cpuinfo: the processor has neither, or the firmware has switched it off");
}

/* Has somebody told KVM not to use it? */
static bool switched_off(const struct host *host, const char *parameter)
{
	char value[8];

	return host_read(host, parameter, value, sizeof(value)) &&
	       (value[0] == 'N' || value[0] == '0');
}

static bool no_virtualization(const struct host *host,
			      struct host_finding *finding)
{
	if (host_cpu_flag(host, "vmx") || host_cpu_flag(host, "svm"))
		return false;
	host_found(finding, HOST_NO,
		   "comes with hardware virtualization, which is not there");
	return true;
}

void probe_nested_paging(const struct host *host, struct host_finding *finding)
{
	const char *flag = host_cpu_flag(host, "vmx") ? "ept" : "npt";
	const char *parameter = flag[0] == 'e' ?
		"/sys/module/kvm_intel/parameters/ept" :
		"/sys/module/kvm_amd/parameters/npt";

	if (no_virtualization(host, finding))
		return;
	if (!host_cpu_flag(host, flag))
		host_found(finding, HOST_NO, "no %s in /proc/cpuinfo", flag);
	else if (switched_off(host, parameter))
		host_found(finding, HOST_NO,
			   "the processor has it (%s), but KVM does not use it: %s is N",
			   flag, parameter);
	else
		host_found(finding, HOST_YES, "%s in /proc/cpuinfo", flag);
}

void probe_tlb_tags(const struct host *host, struct host_finding *finding)
{
	static const char vpid[] = "/sys/module/kvm_intel/parameters/vpid";

	if (no_virtualization(host, finding))
		return;
	/* AMD64 manual volume 2, 15.16: ASIDs are a part of SVM. */
	if (!host_cpu_flag(host, "vmx"))
		host_found(finding, HOST_YES, "ASIDs belong to SVM%s",
			   host_cpu_flag(host, "flushbyasid") ?
			   "; one can be flushed alone (flushbyasid)" : "");
	else if (!host_cpu_flag(host, "vpid"))
		host_found(finding, HOST_NO, "no vpid in /proc/cpuinfo");
	else if (switched_off(host, vpid))
		host_found(finding, HOST_NO,
			   "the processor has VPIDs, but KVM does not use them: %s is N",
			   vpid);
	else
		host_found(finding, HOST_YES, "vpid in /proc/cpuinfo");
}
