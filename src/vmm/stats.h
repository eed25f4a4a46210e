/* SPDX-License-Identifier: Apache-2.0
 *
 * Why the guest left guest mode: one list of reasons, which is enum, counter
 * name and explanation at once, and a snapshot of all a machine counts.
 */
#ifndef VMM_STATS_H
#define VMM_STATS_H

#include <stdint.h>
#include <stdio.h>

#include "base/util.h"
#include "vmm/bus.h"

/* R(NAME, KVM's exit reason, "text"): exits that KVM hands to us. */
#define VM_EXITS(R)							\
	R(IO, KVM_EXIT_IO, "port I/O")					\
	R(MMIO, KVM_EXIT_MMIO, "memory-mapped I/O")			\
	R(INTR, KVM_EXIT_INTR, "a signal of ours")			\
	R(HLT, KVM_EXIT_HLT, "halted")					\
	R(IRQ_WINDOW, KVM_EXIT_IRQ_WINDOW_OPEN, "ready for an interrupt") \
	R(SHUTDOWN, KVM_EXIT_SHUTDOWN, "triple fault")			\
	R(FAIL_ENTRY, KVM_EXIT_FAIL_ENTRY, "the processor refused the guest") \
	R(INTERNAL, KVM_EXIT_INTERNAL_ERROR, "KVM could not go on")	\
	R(SYSTEM_EVENT, KVM_EXIT_SYSTEM_EVENT, "shutdown, reset, crash") \
	R(OTHER, -1, "any other")

enum vm_exit {
#define R(name, reason, text) VM_EXIT_##name,
	VM_EXITS(R)
#undef R
	N_VM_EXITS,
};

extern const char *const vm_exit_names[N_VM_EXITS];	/* "IO" */
extern const char *const vm_exit_texts[N_VM_EXITS];

/** vm_exit_of() - the row of a KVM_EXIT_* value */
enum vm_exit vm_exit_of(uint32_t reason);

enum {
	VM_STATS_DEVS_MAX = 1024, VM_STATS_KVM_MAX = 96,
	VM_STATS_NAME_MAX = 48,
};

/* Accesses that one device answered (or nobody). */
struct vm_stats_dev {
	char name[BUS_NAME_MAX];
	uint64_t n_reads;
	uint64_t n_writes;
};

/* One of KVM's own counters, summed over the vCPUs and over
 * resets. */
struct vm_stats_kvm {
	char name[VM_STATS_NAME_MAX];	/* "exits", "halt_exits", ... */
	uint64_t value;
};

/* A machine at one moment; see vm_stats(). */
struct vm_stats {
	char name[64];			/* of the machine */
	const char *state;		/* "running", "stopped", ... */
	unsigned int n_cpus;
	uint64_t memory;		/* bytes */
	uint64_t uptime_ns;		/* since vm_run() */
	unsigned int n_nics;
	unsigned int n_nics_gone;	/* whose server has gone */
	uint64_t n_resets;		/* times the guest rebooted */
	uint64_t exits[N_VM_EXITS];	/* summed over the vCPUs */
	unsigned int n_devs;
	struct vm_stats_dev dev[VM_STATS_DEVS_MAX];	/* that were used */
	unsigned int n_kvm;
	struct vm_stats_kvm kvm[VM_STATS_KVM_MAX];	/* that are not 0 */
};

/** vm_stats_add_bus() - append a bus's devices that have been accessed */
void vm_stats_add_bus(struct vm_stats *stats, struct bus *bus);

/**
 * vm_stats_add_kvm() - add one vCPU's counters
 * @row: *@n rows of VM_STATS_KVM_MAX, by name
 * @stats_fd: from KVM_GET_STATS_FD
 */
void vm_stats_add_kvm(struct vm_stats_kvm row[VM_STATS_KVM_MAX],
		      unsigned int *n, int stats_fd);

/** vm_stats_print() - as a table for humans */
void vm_stats_print(const struct vm_stats *stats, FILE *out);

#endif
