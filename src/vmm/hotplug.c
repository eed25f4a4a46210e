/* SPDX-License-Identifier: Apache-2.0
 *
 * NICs that come and go while the machine runs; see vm.h.
 */
#include "vmm/vm_internal.h"

#include <errno.h>
#include <stdio.h>

/* With the power lock held: is there a guest to plug something into? */
static int check_power(const struct vm *vm, struct vm_error *error)
{
	if (vm->vm_fd >= 0)
		return 0;
	snprintf(error->text, sizeof(error->text),
		 "the machine has no power at the moment; try again");
	return -EAGAIN;
}

int vm_plug_nic(struct vm *vm, const struct vm_nic_config *nic,
		struct vm_error *error)
{
	int err;

	pthread_mutex_lock(&vm->power_lock);
	err = check_power(vm, error);
	if (!err)
		err = cards_add(&vm->cards, nic, true, error);
	pthread_mutex_unlock(&vm->power_lock);
	return err;
}

int vm_unplug_nic(struct vm *vm, const char *id, bool pull,
		  struct vm_error *error)
{
	int err;

	pthread_mutex_lock(&vm->power_lock);
	err = check_power(vm, error);
	if (!err)
		err = cards_ask(&vm->cards, id, pull, error);
	pthread_mutex_unlock(&vm->power_lock);
	vm_wake(vm);
	return err;
}

unsigned int vm_nics(struct vm *vm, struct vm_nic_info *info, unsigned int max)
{
	unsigned int n = 0;

	pthread_mutex_lock(&vm->power_lock);
	for (unsigned int i = 0; i < VM_NICS_MAX && n < max; i++) {
		const struct card *card = &vm->cards.card[i];
		struct vm_nic_info *to = &info[n];

		if (!card->nic)
			continue;
		n++;
		snprintf(to->id, sizeof(to->id), "%s", card->nic->id);
		snprintf(to->path, sizeof(to->path), "%s", card->nic->path);
		snprintf(to->where, sizeof(to->where), "%s", card->where);
		to->gone = __atomic_load_n(&card->nic->gone,
					   __ATOMIC_RELAXED);
		to->lost = __atomic_load_n(&card->nic->n_lost,
					   __ATOMIC_RELAXED);
		to->late = card->nic->n_late;
		to->reconnects = card->nic->n_reconnects;
		to->leaving = card->asked_ns;
		to->pluggable = card->port;
	}
	pthread_mutex_unlock(&vm->power_lock);
	return n;
}

void vm_wait_vcpus(void *arg)
{
	struct vm *vm = arg;

	for (unsigned int i = 0; i < vm->config.n_cpus; i++)
		vcpu_wait_exit(&vm->cpu[i]);
}

void vm_reap_cards(struct vm *vm)
{
	cards_reap(&vm->cards, vm_wait_vcpus, vm);
}
