/* SPDX-License-Identifier: Apache-2.0
 *
 * A virtual machine: a PC, as far as an unmodified Linux kernel booted directly
 * wants one, with its NICs in other processes.
 *
 *	Theory of operation
 *
 * vm_create() checks and prepares everything that does not change from boot to
 * boot: RAM, kernel and initrd files, devices, connections to the NICs'
 * servers.  vm_run() then makes a KVM machine with vCPUs, each in a thread of
 * its own that handles its exits, while the calling thread moves the bytes of
 * the serial ports.  When the guest resets itself, that KVM machine is thrown
 * away and a new one made: a reset is a power cycle, nothing of the old
 * processors is left.
 *
 * Threads: create, run and destroy by one; the others as said.
 */
#ifndef VMM_VM_H
#define VMM_VM_H

#include <stdint.h>

#include "base/util.h"
#include "vmm/block.h"
#include "vmm/board.h"
#include "vmm/stats.h"

enum {
	VM_CPUS_MAX = 128,
	VM_NICS_MAX = 160,
	VM_PORTS_MAX = 176,	/* root ports, of the pcie board */
	VM_SPARE_PORTS = 4,	/* of them, if not said, without a card */
	VM_BRIDGES_MAX = 4,	/* conventional bridges */
	VM_DISKS_MAX = 4,
};

/* Where a NIC goes: behind conventional bridge 1 to VM_BRIDGES_MAX into slot 1
 * to 31; else (0) on the pc board into slot 2 to 31, on the pcie board into the
 * slot of root port 1 to VM_PORTS_MAX.  Slot 0: the next free one. */
struct vm_nic_config {
	const char *path;	/* vfio-user socket of its server */
	const char *id;		/* for people; NULL: one is made up */
	unsigned int bridge;
	unsigned int slot;
};

/* Disks are on the root bus; on the pc board in slot 2 to 31, or (0) the next
 * free one from 5 on. */
struct vm_disk_config {
	struct block_config image;
	unsigned int slot;
};

struct vm_nic_info {
	char id[64];
	char path[128];
	char where[16];		/* "3", "port2", "bridge1.4" */
	bool gone;		/* its server does not answer any more */
	uint64_t lost;		/* accesses that found it gone */
	uint64_t late;		/* writes that were made up for */
	uint64_t reconnects;	/* times it came back */
	bool leaving;		/* the guest was asked to let go of it */
	bool pluggable;		/* it can be taken out */
};

/* All strings must live as long as the machine. */
struct vm_config {
	const char *name;	/* for people */
	const char *kernel;	/* ELF with PVH note, or bzImage */
	const char *initrd;	/* NULL: none */
	const char *cmdline;	/* of the kernel */
	enum vm_board board;
	unsigned int spare_ports;	/* pcie: root ports without a card */
	unsigned int n_cpus;	/* 1 to VM_CPUS_MAX */
	uint64_t memory;	/* bytes; see vm_memory_size_ok() */
	const char *console;	/* COM1; a chardev specification */
	const char *agent;	/* COM2; likewise; NULL: none */
	bool no_reboot;		/* a guest's reset ends it */
	unsigned int n_nics;
	struct vm_nic_config nic[VM_NICS_MAX];
	unsigned int n_disks;
	struct vm_disk_config disk[VM_DISKS_MAX];
};

enum vm_state {
	VM_STATE_CREATED,	/* vm_run() has not been called */
	VM_STATE_RUNNING,	/* vCPUs run */
	VM_STATE_RESETTING,	/* between two lives of the guest */
	VM_STATE_STOPPED,	/* vm_run() is returning or has returned */
};

/* Why vm_run() returned. */
enum vm_end {
	VM_END_ERROR,		/* could not be started; said in a message */
	VM_END_POWER_OFF,	/* the guest powered off */
	VM_END_RESET,		/* the guest reset itself, with no_reboot */
	VM_END_DIED,		/* the guest cannot go on; see the message */
	VM_END_STOPPED,		/* vm_stop(), or Ctrl-A X at the console */
};

struct vm;

/** vm_create() - 0 or -errno, with one message: what, where, expected */
int must_check vm_create(const struct vm_config *config, struct vm **vm);

/** vm_destroy() - after vm_run() or instead of it; NULL is fine */
void vm_destroy(struct vm *vm);

/** vm_run() - boot, run, return when it is over */
enum vm_end vm_run(struct vm *vm);

/** vm_stop() - have vm_run() return; any thread or signal handler */
void vm_stop(struct vm *vm);

/** vm_press_button() - the power button: a guest that listens to it powers
 * itself off; any thread */
void vm_press_button(struct vm *vm);

/** vm_print_stats() - have vm_run() print the statistics to standard error;
 * any thread or signal handler */
void vm_print_stats(struct vm *vm);

/** vm_stats() - a snapshot; any thread, at any time before vm_destroy() */
void vm_stats(struct vm *vm, struct vm_stats *stats);

/* Why vm_plug_nic() or vm_unplug_nic() refused, in one sentence. */
struct vm_error {
	char text[256];
};

/**
 * vm_plug_nic() - plug one in while the guest runs; any thread
 *
 * Return: 0; -EAGAIN (no guest runs at the moment), -EOPNOTSUPP (not on this
 * board), -EEXIST, -EBUSY, -ENOSPC (name, slot) or what became of the
 * connection; with @error.
 */
int must_check vm_plug_nic(struct vm *vm, const struct vm_nic_config *nic,
			   struct vm_error *error);

/**
 * vm_unplug_nic() - ask the guest to let go of one, or (@pull) take it away
 *
 * It is out when vm_nics() does not list it any more.  Any thread.
 *
 * Return: 0; -EAGAIN, -EOPNOTSUPP as above; -ENOENT; -EBUSY (asked already,
 * less than 10 s ago); with @error.
 */
int must_check vm_unplug_nic(struct vm *vm, const char *id, bool pull,
			     struct vm_error *error);

/** vm_nics() - fill in up to @max; how many; any thread */
unsigned int vm_nics(struct vm *vm, struct vm_nic_info *info,
		     unsigned int max);

enum vm_state vm_state(const struct vm *vm);

/** vm_state_name() - "running", ... */
const char *vm_state_name(enum vm_state state);

#endif
