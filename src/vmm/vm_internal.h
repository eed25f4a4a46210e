/* SPDX-License-Identifier: Apache-2.0
 *
 * What a machine consists of; for vm.c, which builds it, and run.c, which runs
 * it.
 */
#ifndef VMM_VM_INTERNAL_H
#define VMM_VM_INTERNAL_H

#include <pthread.h>

#include "vmm/boot.h"
#include "vmm/cards.h"
#include "vmm/chardev.h"
#include "vmm/irq.h"
#include "vmm/kvm.h"
#include "vmm/legacy.h"
#include "vmm/memory.h"
#include "vmm/pci_host.h"
#include "vmm/uart.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

enum { VM_N_COMS = 2 };

/* What has been asked of the main loop; the first wins. */
enum vm_request {
	VM_REQUEST_NONE, VM_REQUEST_POWER_OFF, VM_REQUEST_RESET,
	VM_REQUEST_DIED, VM_REQUEST_STOP,
};

/* A serial port and the host's end of its line. */
struct vm_com {
	struct vm *vm;
	unsigned int irq;	/* ISA interrupt */
	struct uart uart;
	struct chardev chr;
};

struct vm {
	struct vm_config config;
	struct kvm kvm;
	struct vm_memory mem;
	struct boot_source source;	/* files to boot from */

	/* Devices; they outlive every KVM machine. */
	struct bus pio, mmio;
	struct irq irq;
	struct vm_com com[VM_N_COMS];
	struct pm pm;
	struct cmos cmos;
	struct i8042 kbc;
	struct pci_host pci;
	struct cards cards;

	/* From power-on to power-off or reset.  The lock is held while the
	 * power goes on or off, and while cards come and go. */
	pthread_mutex_t power_lock;
	int vm_fd;			/* the KVM machine; -1: none */
	struct vcpu_host cpu_host;
	struct vcpu *cpu;		/* config.n_cpus of them */

	/* The thread that looks for lost servers; see reconnect.c. */
	int watch_fd;			/* epoll: connections, quit_fd */
	int quit_fd;			/* eventfd: it is to end */
	pthread_t reconnect;
	bool reconnecting;		/* it has been started */

	/* Main loop. */
	int wake_fd;			/* eventfd: look at what follows */
	enum vm_request request;		/* atomic */
	bool print_stats;		/* atomic */

	/* For vm_stats(). */
	pthread_mutex_t stats_lock;	/* vCPU descriptors come and go */
	unsigned int n_past_kvm;	/* KVM's counters of vCPUs gone: */
	struct vm_stats_kvm past_kvm[VM_STATS_KVM_MAX];
	enum vm_state state;		/* atomic */
	uint64_t start_ns;		/* when vm_run() was called */
	uint64_t n_resets;		/* atomic */
};

/** vm_request() - ask it of the main loop; no vCPU enters the guest afterwards.
 * Any thread or signal handler. */
void vm_request(struct vm *vm, enum vm_request what);

/** vm_reap_cards() - free the cards that are out; main loop, with the power
 * lock held */
void vm_reap_cards(struct vm *vm);

/** vm_wait_vcpus() - until every vCPU has been out of its exit; an argument of
 * the cards' functions */
void vm_wait_vcpus(void *vm);

/** vm_reconnect_init() - what cards_init() needs; 0 or -errno */
int must_check vm_reconnect_init(struct vm *vm);

/** vm_reconnect_start(), vm_reconnect_stop() - look for servers that have gone;
 * 0 or -errno.  Stopping one that does not run is fine. */
int must_check vm_reconnect_start(struct vm *vm);
void vm_reconnect_stop(struct vm *vm);

/** vm_wake() - have the main loop look at its descriptors again */
void vm_wake(struct vm *vm);

#endif
