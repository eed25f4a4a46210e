/* SPDX-License-Identifier: Apache-2.0
 *
 * Slots of a machine, dealt out as the VMM will (vmm/vm.c, vmm/cards.c): first
 * to NICs that ask for one, then to disks, then to the other NICs.  So a lab
 * that cannot start is refused before it does.  Called by lab_config.c.
 */
#include "ctl/lab_slots.h"

#include "ctl/lab_schema.h"
#include "vmm/vm.h"

/* What is taken so far, a bit a slot. */
struct slots {
	const struct lab *lab;
	const struct lab_machine *machine;
	struct lab_error *error;
	uint32_t root;				/* of the pc board's root bus */
	uint32_t behind[VM_BRIDGES_MAX];	/* of each bridge's bus */
	bool port[VM_PORTS_MAX + 1];		/* root ports, from 1 on */
};

/* @wanted, or the first free one from @first on; 0: there is none. */
static unsigned int take(uint32_t *taken, unsigned int wanted,
			 unsigned int first)
{
	unsigned int slot = wanted ? wanted : first;

	while (!wanted && slot <= VM_SLOT_LAST && *taken & BIT(slot))
		slot++;
	if (slot > VM_SLOT_LAST || *taken & BIT(slot))
		return 0;
	*taken |= BIT(slot);
	return slot;
}

static bool refuse_nic(const struct slots *s, const struct lab_nic *nic,
		       const char *key, const char *what)
{
	return lab_refuse(s->error, s->lab->file, nic->line,
			  "machines.%s.nics[%u].%s: %s", s->machine->name,
			  (unsigned int)(nic - s->machine->nics), key, what);
}

/* Into a slot of a conventional bus, whose first is @first. */
static bool place_nic(const struct slots *s, const struct lab_nic *nic,
		      uint32_t *taken, unsigned int first)
{
	char what[64];

	if (nic->slot > VM_SLOT_LAST || (nic->slot && nic->slot < first)) {
		snprintf(what, sizeof(what),
			 "expected a number from %u to %d here, not '%u'",
			 first, VM_SLOT_LAST, nic->slot);
		return refuse_nic(s, nic, "slot", what);
	}
	if (take(taken, nic->slot,
		 nic->bridge ? first : (unsigned int)VM_PC_SLOT_NIC))
		return true;
	if (!nic->slot)
		return refuse_nic(s, nic, "slot", "none is free");
	snprintf(what, sizeof(what), "%u is taken", nic->slot);
	return refuse_nic(s, nic, "slot", what);
}

/* A bridge is there from the first NIC on that goes behind it. */
static bool place_bridge(struct slots *s, const struct lab_nic *nic)
{
	unsigned int slot = VM_SLOT_BRIDGE - (nic->bridge - 1);
	char what[64];

	/* Slot 0 is never dealt out: it marks that the bridge is there. */
	if (s->behind[nic->bridge - 1])
		return true;
	s->behind[nic->bridge - 1] = BIT(0);
	if (s->machine->board != VM_BOARD_PC || take(&s->root, slot, 0))
		return true;
	snprintf(what, sizeof(what), "the bridge's own slot, %u, is taken",
		 slot);
	return refuse_nic(s, nic, "bridge", what);
}

static bool place_in_port(struct slots *s, const struct lab_nic *nic)
{
	char what[64];

	/* There are as many as it takes. */
	if (!nic->slot || !s->port[nic->slot]) {
		s->port[nic->slot] = true;
		return true;
	}
	snprintf(what, sizeof(what), "%u is taken", nic->slot);
	return refuse_nic(s, nic, "slot", what);
}

static bool place_nics(struct slots *s, bool with_slot)
{
	for (unsigned int i = 0; i < s->machine->n_nics; i++) {
		const struct lab_nic *nic = &s->machine->nics[i];
		bool ok;

		if (!nic->slot == with_slot || !nic->plugged)
			continue;
		if (nic->bridge)
			ok = place_bridge(s, nic) &&
			     place_nic(s, nic, &s->behind[nic->bridge - 1], 1);
		else if (s->machine->board == VM_BOARD_PCIE)
			ok = place_in_port(s, nic);
		else
			ok = place_nic(s, nic, &s->root, VM_PC_SLOT_FIRST);
		if (!ok)
			return false;
	}
	return true;
}

static bool place_disks(struct slots *s)
{
	const struct lab_machine *m = s->machine;

	for (unsigned int i = 0; i < m->n_disks; i++) {
		const struct lab_disk *disk = &m->disks[i];
		const char *what = NULL;

		if (m->board == VM_BOARD_PCIE)
			what = disk->slot ?
			       "can be chosen on the board pc only" : NULL;
		else if (!take(&s->root, disk->slot, VM_PC_SLOT_DISK))
			what = disk->slot ? "is taken" : "none is free";
		if (what)
			return lab_refuse(s->error, s->lab->file, disk->line,
					  "machines.%s.disks[%u].slot: %s",
					  m->name, i, what);
	}
	return true;
}

bool lab_check_slots(const struct lab *lab, const struct lab_machine *machine,
		     struct lab_error *error)
{
	struct slots s = {
		.lab = lab, .machine = machine, .error = error,
		.root = (uint32_t)BIT(VM_PC_SLOT_FIRST) - 1,
	};

	return place_nics(&s, true) && place_disks(&s) && place_nics(&s, false);
}
