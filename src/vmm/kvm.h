/* SPDX-License-Identifier: Apache-2.0
 *
 * /dev/kvm: is it there, does it do what the machine needs, what CPUs can it
 * make.
 */
#ifndef VMM_KVM_H
#define VMM_KVM_H

#include <linux/kvm.h>
#include <stdint.h>

#include "base/util.h"
#include "vmm/memory.h"

enum { KVM_CPUID_MAX = 256 };

struct kvm {
	int fd;				/* /dev/kvm */
	int run_size;			/* bytes of a mapped struct kvm_run */
	unsigned int max_cpus;
	bool tsc_deadline;		/* the local APIC timer has that mode */
	struct kvm_cpuid2 *supported;	/* room for KVM_CPUID_MAX leaves */
};

/** kvm_open() - 0 or -errno, with a message that says what to do */
int must_check kvm_open(struct kvm *kvm);
void kvm_close(struct kvm *kvm);

/** kvm_missing() - what the KVM at @fd lacks that we need; NULL: nothing */
const char *must_check kvm_missing(int fd);

/** kvm_create_vm() - a machine with RAM, without interrupt chips; fd, -errno */
int must_check kvm_create_vm(const struct kvm *kvm,
			     const struct vm_memory *mem);

/** kvm_set_cpuid() - what CPUID tells on vCPU @cpu of @n_cpus; 0 or -errno */
int must_check kvm_set_cpuid(const struct kvm *kvm, int vcpu_fd,
			     unsigned int cpu, unsigned int n_cpus);

#endif
