/* SPDX-License-Identifier: Apache-2.0
 *
 * One virtual CPU: a KVM vCPU and the thread that runs it.
 *
 * Life: vcpu_create(), for the boot processor vcpu_set_entry(), vcpu_start();
 * to end: the host's `stop` set, vcpu_stop(), vcpu_destroy().  A vCPU is never
 * reset: a machine that is, gets new ones (of the same struct, whose counters
 * go on).
 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include <linux/kvm.h>
#include <pthread.h>

#include "base/counter.h"
#include "base/util.h"
#include "vmm/boot.h"
#include "vmm/bus.h"
#include "vmm/kvm.h"
#include "vmm/stats.h"

/* What all vCPUs of a machine share. */
struct vcpu_host {
	struct bus *pio;	/* who answers port I/O */
	struct bus *mmio;	/* who answers elsewhere */
	bool stop;		/* no vCPU enters the guest any more; atomic */
	/* The guest cannot go on; @why is one sentence.  From the vCPU's
	 * thread, which then ends. */
	void (*died)(void *opaque, const char *why);
	/* The guest asked for it by a hypercall. */
	void (*power_off)(void *opaque);
	void (*reset)(void *opaque);
	void *opaque;
};

struct vcpu {
	struct vcpu_host *host;
	unsigned int idx;	/* its number and APIC id */
	int fd;			/* KVM's; -1: none at the moment */
	int stats_fd;		/* KVM's counters; -1: none */
	struct kvm_run *run;	/* shared with KVM */
	int run_size;		/* bytes of it */
	pthread_t thread;
	bool started;		/* thread is there */
	unsigned int exit_seq;	/* odd while it handles an exit; atomic */
	counter exits[N_VM_EXITS];
};

/** vcpu_create() - @vcpu->host and idx are set, the rest is 0, descriptors are
 * -1; 0 or -errno */
int must_check vcpu_create(struct vcpu *vcpu, const struct kvm *kvm, int vm_fd,
			   unsigned int n_cpus);
void vcpu_destroy(struct vcpu *vcpu);

/** vcpu_set_entry() - the state the boot protocols want */
int must_check vcpu_set_entry(struct vcpu *vcpu,
			      const struct boot_entry *entry);

int must_check vcpu_start(struct vcpu *vcpu);

/** vcpu_wait_exit() - until it has done with the exit it is in, if any: it
 * knows nothing any more of what it had found on a bus before */
void vcpu_wait_exit(const struct vcpu *vcpu);

/** vcpu_stop() - get it out of the guest, wait for its thread */
void vcpu_stop(struct vcpu *vcpu);

#endif
