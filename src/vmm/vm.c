/* SPDX-License-Identifier: Apache-2.0
 *
 * The machine as a whole: what is in it and how it is wired; see vm.h.
 */
#include "vmm/acpi.h"
#include "vmm/vm_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "base/time.h"

enum {
	COM1_PORT = 0x3f8, COM1_IRQ = 4,
	COM2_PORT = 0x2f8, COM2_IRQ = 3,
};

static void power_off(void *opaque)
{
	vm_request(opaque, VM_REQUEST_POWER_OFF);
}

static void reset(void *opaque)
{
	vm_request(opaque, VM_REQUEST_RESET);
}

static void guest_died(void *opaque, const char *why)
{
	struct vm *vm = opaque;

	/* A message for the first only: the others follow from it. */
	if (__atomic_load_n(&vm->request, __ATOMIC_SEQ_CST) == VM_REQUEST_NONE)
		log_err("machine %s: the guest died: %s", vm->config.name, why);
	vm_request(vm, VM_REQUEST_DIED);
}

static void set_sci(void *opaque, bool level)
{
	struct vm *vm = opaque;

	irq_set(&vm->irq, ACPI_SCI_IRQ, level);
}

static const struct power_ops power_ops = {
	.power_off = power_off,
	.reset = reset,
	.set_sci = set_sci,
};

static void com_set_irq(void *opaque, bool level)
{
	struct vm_com *com = opaque;

	irq_set(&com->vm->irq, com->irq, level);
}

static void com_wake(void *opaque)
{
	struct vm_com *com = opaque;

	vm_wake(com->vm);
}

static void set_line(void *opaque, unsigned int gsi, bool level)
{
	struct vm *vm = opaque;

	irq_set(&vm->irq, gsi, level);
}

static void send_msi(void *opaque, uint64_t addr, uint32_t data)
{
	struct vm *vm = opaque;

	irq_msi_send(&vm->irq, addr, data);
}

static void card_released(void *opaque, struct pci_bridge *port)
{
	struct vm *vm = opaque;

	cards_released(&vm->cards, port);
	vm_wake(vm);
}

static const struct pci_host_ops pci_ops = {
	.reset = reset,
	.set_line = set_line,
	.send_msi = send_msi,
	.card_released = card_released,
};

static int init_com(struct vm *vm, unsigned int i, const char *name,
		    unsigned int irq, const char *spec)
{
	struct vm_com *com = &vm->com[i];
	const struct uart_host host = { com_set_irq, com_wake, com };

	com->vm = vm;
	com->irq = irq;
	uart_init(&com->uart, name, &host);
	return chardev_open(&com->chr, spec ? spec : "none",
			    i == 0 ? "console" : "agent", &com->uart);
}

/* The fixed devices on the buses; there is room and no overlap. */
static int add_fixed(struct vm *vm)
{
	const struct {
		uint64_t base, len;
		struct bus_dev *dev;
	} row[] = {
		{ COM1_PORT, UART_N_REGS, &vm->com[0].uart.dev },
		{ COM2_PORT, UART_N_REGS, &vm->com[1].uart.dev },
		{ I8042_PORT, 1, &vm->kbc.data_dev },
		{ I8042_STATUS_PORT, 1, &vm->kbc.dev },
		{ CMOS_PORT, CMOS_LEN, &vm->cmos.dev },
		{ PCI_CONFIG_PORT, PCI_CONFIG_PORTS, &vm->pci.dev },
	};
	int err = 0;

	bus_lock(&vm->pio);
	for (unsigned int i = 0; i < ARRAY_SIZE(row) && !err; i++)
		err = bus_add(&vm->pio, row[i].base, row[i].len, row[i].dev,
			      false);
	bus_unlock(&vm->pio);
	if (err || vm->config.board != VM_BOARD_PCIE)
		return err;
	bus_lock(&vm->mmio);
	err = bus_add(&vm->mmio, VM_ECAM_BASE, VM_ECAM_LEN, &vm->pci.ecam,
		      false);
	bus_unlock(&vm->mmio);
	return err;
}

/* Root ports: for each NIC that goes into one, and some more. */
static unsigned int count_ports(const struct vm_config *config)
{
	unsigned int n = config->spare_ports;

	if (config->board != VM_BOARD_PCIE)
		return 0;
	for (unsigned int i = 0; i < config->n_nics; i++)
		n += !config->nic[i].bridge;
	for (unsigned int i = 0; i < config->n_nics; i++)
		if (!config->nic[i].bridge)
			n = max_of(n, config->nic[i].slot);
	return min_of(n, (unsigned int)VM_PORTS_MAX);
}

/* Those that ask for a slot first, so that none of the others is in it. */
static int add_nics(struct vm *vm, bool with_slot)
{
	const struct vm_config *config = &vm->config;
	struct vm_error error;
	int err = 0;

	for (unsigned int i = 0; i < config->n_nics && !err; i++) {
		if (!config->nic[i].slot == with_slot)
			continue;
		err = cards_add(&vm->cards, &config->nic[i], false, &error);
		if (err)
			log_err("NIC %s: %s", config->nic[i].path, error.text);
	}
	return err;
}

static int add_disks(struct vm *vm)
{
	const struct vm_config *config = &vm->config;
	struct vm_error error;
	int err = 0;

	for (unsigned int i = 0; i < config->n_disks && !err; i++) {
		err = cards_add_disk(&vm->cards, &config->disk[i], &error);
		if (err)
			log_err("disk %s: %s", config->disk[i].image.path,
				error.text);
	}
	return err;
}

static int init_devices(struct vm *vm)
{
	const struct vm_config *config = &vm->config;
	int err;

	pm_init(&vm->pm, &power_ops, vm, time_now_ns);
	cmos_init(&vm->cmos);
	i8042_init(&vm->kbc, &power_ops, vm);
	err = pci_host_init(&vm->pci, config->board, &pci_ops, vm, &vm->pio,
			    &vm->mmio, &vm->pm.dev);
	if (!err)
		err = irq_init(&vm->irq);
	if (!err)
		err = cards_init(&vm->cards, &vm->pci, &vm->irq, &vm->mem,
				 count_ports(config), vm->watch_fd);
	if (!err)
		err = add_fixed(vm);
	if (!err)
		err = add_nics(vm, true);
	if (!err)
		err = add_disks(vm);
	if (!err)
		err = add_nics(vm, false);
	/* Last, so that messages before are not on a raw terminal. */
	if (!err)
		err = init_com(vm, 0, "com1", COM1_IRQ, config->console);
	if (!err)
		err = init_com(vm, 1, "com2", COM2_IRQ, config->agent);
	return err;
}

static int check_config(const struct vm_config *config, const struct kvm *kvm)
{
	unsigned int max_cpus = min_of((unsigned int)VM_CPUS_MAX,
				       kvm->max_cpus);

	if (config->n_cpus < 1 || config->n_cpus > max_cpus) {
		log_err("cpus: %u, 1 to %u expected", config->n_cpus, max_cpus);
		return -EINVAL;
	}
	if (!vm_memory_size_ok(config->memory)) {
		log_err("memory: %llu bytes, a multiple of 2 MiB from 32M to "
			"256G expected", (unsigned long long)config->memory);
		return -EINVAL;
	}
	return 0;
}

static int open_files(struct vm *vm)
{
	const struct vm_config *config = &vm->config;
	int err;

	vm->source.cmdline = config->cmdline;
	vm->source.n_cpus = config->n_cpus;
	vm->source.board = config->board;
	err = boot_file_open(&vm->source.kernel, config->kernel);
	if (!err && config->initrd)
		err = boot_file_open(&vm->source.initrd, config->initrd);
	return err;
}

int vm_create(const struct vm_config *config, struct vm **result)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	int err;

	if (!vm)
		return -ENOMEM;
	vm->config = *config;
	vm->vm_fd = vm->wake_fd = vm->mem.fd = vm->kvm.fd = -1;
	vm->watch_fd = vm->quit_fd = -1;
	bus_init(&vm->pio, "unclaimed ports");
	bus_init(&vm->mmio, "unclaimed memory");
	pthread_mutex_init(&vm->stats_lock, NULL);
	pthread_mutex_init(&vm->power_lock, NULL);
	vm->cpu_host = (struct vcpu_host){
		.pio = &vm->pio, .mmio = &vm->mmio, .died = guest_died,
		.power_off = power_off, .reset = reset, .opaque = vm,
	};
	err = open_files(vm);
	if (!err)
		err = kvm_open(&vm->kvm);
	if (!err)
		err = check_config(config, &vm->kvm);
	if (err)
		goto err_destroy;
	vm->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vm->cpu = calloc(config->n_cpus, sizeof(*vm->cpu));
	if (vm->wake_fd < 0 || !vm->cpu) {
		err = -ENOMEM;
		goto err_destroy;
	}
	for (unsigned int i = 0; i < config->n_cpus; i++) {
		vm->cpu[i].host = &vm->cpu_host;
		vm->cpu[i].idx = i;
		vm->cpu[i].fd = vm->cpu[i].stats_fd = -1;
	}
	err = vm_memory_init(&vm->mem, config->memory);
	if (err) {
		log_err("memory: %llu MiB: %s",
			(unsigned long long)(config->memory >> 20),
			strerror(-err));
		goto err_destroy;
	}
	err = vm_reconnect_init(vm);
	if (!err)
		err = init_devices(vm);
	if (err)
		goto err_destroy;
	*result = vm;
	return 0;

err_destroy:
	vm_destroy(vm);
	return err;
}

void vm_destroy(struct vm *vm)
{
	if (!vm)
		return;
	for (unsigned int i = VM_N_COMS; i-- > 0; ) {
		chardev_close(&vm->com[i].chr);
		uart_fini(&vm->com[i].uart);
	}
	cards_fini(&vm->cards);
	fd_close(&vm->watch_fd);
	fd_close(&vm->quit_fd);
	irq_fini(&vm->irq);
	pci_host_fini(&vm->pci);
	cmos_fini(&vm->cmos);
	pm_fini(&vm->pm);
	vm_memory_fini(&vm->mem);
	free(vm->cpu);
	fd_close(&vm->wake_fd);
	kvm_close(&vm->kvm);
	boot_file_close(&vm->source.initrd);
	boot_file_close(&vm->source.kernel);
	pthread_mutex_destroy(&vm->power_lock);
	pthread_mutex_destroy(&vm->stats_lock);
	bus_fini(&vm->mmio);
	bus_fini(&vm->pio);
	free(vm);
}
