/* SPDX-License-Identifier: Apache-2.0
 *
 * A machine's life: power-on, the main loop, reset, power-off, and what it has
 * counted; see vm.h.
 */
#include "vmm/vm_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "vmm/pci_setup.h"

enum {
	DRAIN_MS = 1000,	/* for the last words on a slow console */
};

void vm_wake(struct vm *vm)
{
	/* Fails only when it is already as awake as can be. */
	(void)!eventfd_write(vm->wake_fd, 1);
}

void vm_request(struct vm *vm, enum vm_request what)
{
	enum vm_request none = VM_REQUEST_NONE;

	__atomic_compare_exchange_n(&vm->request, &none, what, false,
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	__atomic_store_n(&vm->cpu_host.stop, true, __ATOMIC_RELEASE);
	vm_wake(vm);
}

void vm_stop(struct vm *vm)
{
	vm_request(vm, VM_REQUEST_STOP);
}

void vm_press_button(struct vm *vm)
{
	pm_press_button(&vm->pm);
}

void vm_print_stats(struct vm *vm)
{
	__atomic_store_n(&vm->print_stats, true, __ATOMIC_RELEASE);
	vm_wake(vm);
}

static void set_state(struct vm *vm, enum vm_state state)
{
	__atomic_store_n(&vm->state, state, __ATOMIC_RELEASE);
}

/* A new KVM machine with vCPUs, none of them running. */
static int create_cpus(struct vm *vm)
{
	int err = 0;

	pthread_mutex_lock(&vm->stats_lock);
	for (unsigned int i = 0; i < vm->config.n_cpus && !err; i++)
		err = vcpu_create(&vm->cpu[i], &vm->kvm, vm->vm_fd,
				  vm->config.n_cpus);
	pthread_mutex_unlock(&vm->stats_lock);
	if (err)
		log_err("KVM: vCPU: %s", strerror(-err));
	return err;
}

/* The devices as after power-on, and what firmware would do with them. */
static int reset_devices(struct vm *vm)
{
	int err;

	for (unsigned int i = 0; i < VM_N_COMS; i++)
		uart_reset(&vm->com[i].uart);
	pm_reset(&vm->pm);
	cards_reset(&vm->cards);
	vm_reap_cards(vm);
	err = pci_host_reset(&vm->pci);
	return err ? err : pci_setup(&vm->pci);
}

static void power_down(struct vm *vm)
{
	__atomic_store_n(&vm->cpu_host.stop, true, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < vm->config.n_cpus; i++)
		vcpu_stop(&vm->cpu[i]);
	pthread_mutex_lock(&vm->power_lock);
	if (vm->vm_fd >= 0)
		cards_unroute(&vm->cards);
	pthread_mutex_lock(&vm->stats_lock);
	for (unsigned int i = 0; i < vm->config.n_cpus; i++) {
		if (vm->cpu[i].stats_fd >= 0)
			vm_stats_add_kvm(vm->past_kvm, &vm->n_past_kvm,
					 vm->cpu[i].stats_fd);
		vcpu_destroy(&vm->cpu[i]);
	}
	pthread_mutex_unlock(&vm->stats_lock);
	irq_remove_chips(&vm->irq);
	fd_close(&vm->vm_fd);
	pthread_mutex_unlock(&vm->power_lock);
}

/* A machine of KVM, and the devices as at power-on. */
static int create_machine(struct vm *vm)
{
	int err;

	vm->vm_fd = kvm_create_vm(&vm->kvm, &vm->mem);
	if (vm->vm_fd < 0)
		return vm->vm_fd;
	err = irq_create_chips(&vm->irq, vm->vm_fd);
	if (err) {
		log_err("KVM: interrupt controllers: %s", strerror(-err));
		return err;
	}
	err = create_cpus(vm);
	return err ? err : reset_devices(vm);
}

/* Return: 0 or -errno, with a message; power_down() is due either way. */
static int power_up(struct vm *vm)
{
	struct boot_entry entry;
	int err;

	pthread_mutex_lock(&vm->power_lock);
	err = create_machine(vm);
	pthread_mutex_unlock(&vm->power_lock);
	if (!err)
		err = boot_load(&vm->mem, &vm->source, &entry);
	if (!err)
		err = vcpu_set_entry(&vm->cpu[0], &entry);
	if (err)
		return err;
	__atomic_store_n(&vm->cpu_host.stop, false, __ATOMIC_RELEASE);
	/* A vm_stop() meanwhile must not be forgotten. */
	if (__atomic_load_n(&vm->request, __ATOMIC_SEQ_CST) !=
	    VM_REQUEST_NONE)
		return 0;
	for (unsigned int i = 0; i < vm->config.n_cpus && !err; i++)
		err = vcpu_start(&vm->cpu[i]);
	if (err)
		log_err("vCPU thread: %s", strerror(-err));
	return err;
}

static void print_stats(struct vm *vm)
{
	struct vm_stats *stats = malloc(sizeof(*stats));

	if (!stats)
		return;
	vm_stats(vm, stats);
	vm_stats_print(stats, stderr);
	free(stats);
}

static void reap_cards(struct vm *vm)
{
	pthread_mutex_lock(&vm->power_lock);
	vm_reap_cards(vm);
	pthread_mutex_unlock(&vm->power_lock);
}

/* Move bytes until something is asked for. */
static enum vm_request serve(struct vm *vm)
{
	struct pollfd fds[1 + VM_N_COMS * CHARDEV_POLLFDS];
	enum vm_request what;
	eventfd_t woken;

	for (;;) {
		nfds_t n = 0;

		fds[n++] = (struct pollfd){ vm->wake_fd, POLLIN, 0 };
		for (unsigned int i = 0; i < VM_N_COMS; i++)
			n += chardev_prepare(&vm->com[i].chr, &fds[n]);
		if (poll(fds, n, -1) < 0) {
			if (errno == EINTR)
				continue;
			log_err("poll: %s", strerror(errno));
			return VM_REQUEST_STOP;
		}
		/* Cleared before looking, so that nothing is missed. */
		if (fds[0].revents)
			(void)!eventfd_read(vm->wake_fd, &woken);
		for (unsigned int i = 0; i < VM_N_COMS; i++)
			if (chardev_service(&vm->com[i].chr) == CHARDEV_QUIT)
				vm_stop(vm);
		if (cards_any_released(&vm->cards))
			reap_cards(vm);
		if (__atomic_exchange_n(&vm->print_stats, false,
					__ATOMIC_ACQ_REL))
			print_stats(vm);
		what = __atomic_load_n(&vm->request, __ATOMIC_SEQ_CST);
		if (what != VM_REQUEST_NONE)
			return what;
	}
}

/* Forget the request for a reset, unless it is overtaken by now. */
static void take_reset(struct vm *vm)
{
	enum vm_request asked = VM_REQUEST_RESET;

	set_state(vm, VM_STATE_RESETTING);
	__atomic_compare_exchange_n(&vm->request, &asked, VM_REQUEST_NONE,
				    false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&vm->n_resets, 1, __ATOMIC_RELAXED);
	/* Cards and disks let go of the memory first. */
	pthread_mutex_lock(&vm->power_lock);
	(void)!pci_host_reset(&vm->pci);
	pthread_mutex_unlock(&vm->power_lock);
	vm_memory_clear(&vm->mem);
}

enum vm_end vm_run(struct vm *vm)
{
	static const enum vm_end end_of[] = {
		[VM_REQUEST_POWER_OFF] = VM_END_POWER_OFF,
		[VM_REQUEST_RESET] = VM_END_RESET,
		[VM_REQUEST_DIED] = VM_END_DIED,
		[VM_REQUEST_STOP] = VM_END_STOPPED,
	};
	enum vm_request what;

	vm->start_ns = time_now_ns();
	if (vm_reconnect_start(vm)) {
		set_state(vm, VM_STATE_STOPPED);
		return VM_END_ERROR;
	}
	for (;;) {
		if (power_up(vm)) {
			power_down(vm);
			vm_reconnect_stop(vm);
			set_state(vm, VM_STATE_STOPPED);
			return VM_END_ERROR;
		}
		set_state(vm, VM_STATE_RUNNING);
		what = serve(vm);
		power_down(vm);
		if (what != VM_REQUEST_RESET || vm->config.no_reboot)
			break;
		take_reset(vm);
	}
	vm_reconnect_stop(vm);
	set_state(vm, VM_STATE_STOPPED);
	for (unsigned int i = 0; i < VM_N_COMS; i++)
		chardev_drain(&vm->com[i].chr, DRAIN_MS);
	return end_of[what];
}

enum vm_state vm_state(const struct vm *vm)
{
	return __atomic_load_n(&vm->state, __ATOMIC_ACQUIRE);
}

const char *vm_state_name(enum vm_state state)
{
	static const char *const names[] = {
		[VM_STATE_CREATED] = "created",
		[VM_STATE_RUNNING] = "running",
		[VM_STATE_RESETTING] = "resetting",
		[VM_STATE_STOPPED] = "stopped",
	};

	return names[state];
}

static void count_nics(struct vm *vm, struct vm_stats *stats)
{
	pthread_mutex_lock(&vm->power_lock);
	for (unsigned int i = 0; i < VM_NICS_MAX; i++) {
		const struct pci_nic *nic = vm->cards.card[i].nic;

		stats->n_nics += nic != NULL;
		stats->n_nics_gone += nic && __atomic_load_n(&nic->gone,
							     __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&vm->power_lock);
}

void vm_stats(struct vm *vm, struct vm_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	snprintf(stats->name, sizeof(stats->name), "%s", vm->config.name);
	stats->state = vm_state_name(vm_state(vm));
	stats->n_cpus = vm->config.n_cpus;
	stats->memory = vm->config.memory;
	if (vm->start_ns)
		stats->uptime_ns = time_now_ns() - vm->start_ns;
	count_nics(vm, stats);
	stats->n_resets = __atomic_load_n(&vm->n_resets, __ATOMIC_RELAXED);
	vm_stats_add_bus(stats, &vm->pio);
	vm_stats_add_bus(stats, &vm->mmio);
	pthread_mutex_lock(&vm->stats_lock);
	stats->n_kvm = vm->n_past_kvm;
	memcpy(stats->kvm, vm->past_kvm, sizeof(stats->kvm));
	for (unsigned int i = 0; i < vm->config.n_cpus; i++) {
		for (unsigned int j = 0; j < N_VM_EXITS; j++)
			stats->exits[j] += counter_read(&vm->cpu[i].exits[j]);
		if (vm->cpu[i].stats_fd >= 0)
			vm_stats_add_kvm(stats->kvm, &stats->n_kvm,
					 vm->cpu[i].stats_fd);
	}
	pthread_mutex_unlock(&vm->stats_lock);
}
